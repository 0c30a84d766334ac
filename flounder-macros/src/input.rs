//! What stands between the braces of `flounder!`: settings, then declarations or the name of a file.

use std::path::{Path, PathBuf};

use flounder_codegen::Options;
use flounder_idl::source::FileSources;
use flounder_idl::{Failure, Unit};
use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{LitStr, Token};

/// The expansion of a call.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    let input: Input = match syn::parse2(tokens) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    // Without Cargo, files are found from where the compiler runs.
    let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let (result, main) = match input.body {
        Body::Inline(tokens) => {
            (flounder_idl::compile_tokens(tokens, &FileSources::new(folder)), None)
        }
        Body::File(name) => match compile_file(&name, &folder) {
            Ok((result, path)) => (result, Some(path)),
            Err(error) => return error.into_compile_error(),
        },
    };
    let (items, files) = match result {
        Ok(unit) => (flounder_codegen::unit(&unit, &input.options), unit.files),
        Err(failure) => {
            let files = failure.salvage.files.clone();
            (flounder_codegen::fallback(failure), files)
        }
    };
    let tracked = main.iter().chain(&files).filter_map(|path| track(path));
    quote! {
        #(#tracked)*
        #items
    }
}

fn compile_file(name: &LitStr, folder: &Path) -> syn::Result<(Result<Unit, Failure>, PathBuf)> {
    let path = folder.join(name.value());
    let refused = |error| {
        let message = format!(
            "cannot read {:?}: {error}\n= help: the path is relative to the folder of the package",
            name.value()
        );
        syn::Error::new(name.span(), message)
    };
    let file = FileSources::open(&path).map_err(refused)?;
    let path = file.key().to_owned();
    Ok((flounder_idl::compile_text(file, &[], &FileSources::new(folder)), path))
}

/// Has Cargo look at the file: a change of it is a change of the code.
fn track(path: &Path) -> Option<TokenStream> {
    let path = path.to_str()?;
    Some(quote! { const _: &[u8] = ::core::include_bytes!(#path); })
}

struct Input {
    options: Options,
    body: Body,
}

enum Body {
    Inline(TokenStream),
    File(LitStr),
}

mod keyword {
    syn::custom_keyword!(file);
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Options::default();
        if input.peek(Token![crate]) && input.peek2(Token![=]) {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            let help = "expected the path of the crate `flounder`\n= help: write `crate = ::name;` or `crate = crate::path;`";
            options.runtime = input
                .call(syn::Path::parse_mod_style)
                .map_err(|error| syn::Error::new(error.span(), help))?;
            input.parse::<Token![;]>()?;
        }
        let body = if input.peek(keyword::file) && input.peek2(Token![=]) {
            input.parse::<keyword::file>()?;
            input.parse::<Token![=]>()?;
            let name = input.parse()?;
            input.parse::<Token![;]>()?;
            if !input.is_empty() {
                return Err(input
                    .error("nothing can follow `file = ..;`\n= help: write a second `flounder!`"));
            }
            Body::File(name)
        } else {
            Body::Inline(input.parse()?)
        };
        Ok(Self { options, body })
    }
}
