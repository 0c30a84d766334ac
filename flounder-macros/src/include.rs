//! `include_flounder!`: the code that a build script has generated.

use std::path::PathBuf;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, LitStr};

/// The expansion of a call.
pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    path(tokens).map_or_else(Error::into_compile_error, |path| quote!(::core::include! { #path }))
}

/// Returns the path of the file that is to be included.
fn path(tokens: TokenStream) -> syn::Result<String> {
    let name: LitStr = syn::parse2(tokens).map_err(|error| {
        let help = "expected the name of an interface file\n= help: write `include_flounder!(\"test\");` for `test.if`";
        Error::new(error.span(), help)
    })?;
    let refused = |message: String| Error::new(name.span(), message);
    let Some(folder) = std::env::var_os("OUT_DIR") else {
        return Err(refused(
            "the package has no build script\n= help: call `flounder_build::Config` in `build.rs`, or use \
             `flounder! { file = \"..\"; }`"
                .to_owned(),
        ));
    };
    let mut path = PathBuf::from(folder);
    path.push("flounder");
    path.push(format!("{}.rs", name.value()));
    match path.to_str() {
        Some(text) if path.is_file() => Ok(text.to_owned()),
        _ => Err(refused(format!(
            "the build script has generated nothing of the name {:?}\n= help: name the interface file in `build.rs`; \
             its code has the name of the file, without the folder and without `.if`",
            name.value()
        ))),
    }
}
