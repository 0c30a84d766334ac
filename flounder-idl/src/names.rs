//! Conversion of interface names to Rust identifiers.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::ast::{Attrs, Name};
use crate::{model, token};

/// Names of the types in every generated module.
pub const GENERATED_TYPES: &[&str] = &[
    "Binding",
    "Rx",
    "RxVtbl",
    "RpcClient",
    "Export",
    "Message",
    "AsyncRx",
    "Handlers",
    "ClientBinding",
    "ClientRx",
    "ClientRxVtbl",
    "AsyncClientRx",
];

/// Names of the constants in every generated module.
pub const GENERATED_CONSTANTS: &[&str] = &["INTERFACE"];

/// Names of the methods that every generated receive trait has.
pub const GENERATED_HANDLERS: &[&str] = &["error", "connected"];

/// Names of the methods that every generated rpc client has.
pub const GENERATED_CLIENT: &[&str] = &["new", "binding", "timeout", "deadline", "shared"];

/// Returns the Rust name of a module, message, argument or field: as written, or `#[rust_name]`.
pub(crate) fn value(name: &Name, attrs: &Attrs) -> model::Name {
    let rust = ident(value_text(name, attrs), name.place.span);
    model::Name { idl: name.text.clone(), rust, span: name.place.span }
}

/// Returns the text of the identifier of [`value`], without `r#`.
pub(crate) fn value_text<'a>(name: &'a Name, attrs: &'a Attrs) -> &'a str {
    attrs.rust_name.as_ref().map_or(&name.text, |chosen| &chosen.text)
}

/// Returns the Rust name of a type or an element: in CamelCase, or `#[rust_name]`.
pub(crate) fn cased(name: &Name, attrs: &Attrs) -> model::Name {
    let rust = ident(&cased_text(name, attrs), name.place.span);
    model::Name { idl: name.text.clone(), rust, span: name.place.span }
}

/// Returns the text of the identifier of [`cased`], without `r#`.
pub(crate) fn cased_text(name: &Name, attrs: &Attrs) -> String {
    attrs.rust_name.as_ref().map_or_else(|| camel(&name.text), |chosen| chosen.text.clone())
}

/// Returns the visibility of a module, `pub` if none was written.
pub(crate) fn visibility(attrs: &Attrs) -> TokenStream {
    attrs.visibility.as_ref().map_or_else(|| quote! { pub }, |tokens| tokens.stream.clone())
}

/// Returns an identifier, raw if Rust requires it.
pub(crate) fn ident(text: &str, span: Span) -> Ident {
    if !token::is_rust_name(text) {
        // The parser has refused the name; no code is generated from it.
        Ident::new("__refused", span)
    } else if token::is_rust_keyword(text) {
        Ident::new_raw(text, span)
    } else {
        Ident::new(text, span)
    }
}

/// Converts to CamelCase: `my_type_t` to `MyTypeT`, `FOO_BAR` to `FooBar`, `v4l2` to `V4l2`.
pub fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for part in name.split('_').filter(|part| !part.is_empty()) {
        // `a_1_2` and `a_12` must remain different names.
        if out.ends_with(|c: char| c.is_ascii_digit())
            && part.starts_with(|c: char| c.is_ascii_digit())
        {
            out.push('_');
        }
        let shouted = !part.contains(|c: char| c.is_ascii_lowercase());
        for (index, c) in part.chars().enumerate() {
            out.push(match (index, shouted) {
                (0, _) => c.to_ascii_uppercase(),
                (_, true) => c.to_ascii_lowercase(),
                (_, false) => c,
            });
        }
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    if out == "Self" {
        out.push('_');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::camel;

    #[test]
    fn names_become_camel_case() {
        let cases = [
            ("myenum", "Myenum"),
            ("FOO", "Foo"),
            ("my_type_t", "MyTypeT"),
            ("XAPIC", "Xapic"),
            ("v4l2", "V4l2"),
            ("FOO_BAR", "FooBar"),
            ("fooBar", "FooBar"),
            ("_private", "Private"),
            ("_1", "_1"),
            ("a_1_2", "A1_2"),
            ("SELF", "Self_"),
        ];
        for (idl, rust) in cases {
            assert_eq!(camel(idl), rust, "{idl}");
        }
    }
}
