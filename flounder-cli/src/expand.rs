//! The Rust of an interface, as text.

use flounder_idl::Unit;

/// What the macro expands the interface to, formatted.
pub(crate) fn formatted(unit: &Unit) -> String {
    let tokens = flounder_codegen::unit(unit, &flounder_codegen::Options::default());
    let file = syn::parse2(tokens).expect("the generator writes Rust that parses");
    prettyplease::unparse(&file)
}
