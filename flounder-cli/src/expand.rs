//! The Rust of an interface, as text.

use flounder_idl::Unit;

/// Returns the expansion of the macro for the interface, formatted.
pub(crate) fn formatted(unit: &Unit) -> String {
    let tokens = flounder_codegen::unit(unit, &flounder_codegen::Options::default());
    let file = syn::parse2(tokens).expect("the generator writes Rust that parses");
    prettyplease::unparse(&file)
}
