//! The macros of `flounder`: [`flounder!`] declares interfaces, [`derive@FlounderMessage`] makes a Rust type one that
//! messages can carry. Use them through the crate `flounder`.

#![forbid(unsafe_code)]

mod derive;
mod include;
mod input;

use proc_macro::TokenStream;

/// Declares interfaces in the language of Flounder, and becomes one module for each.
///
/// ```text
/// flounder! {
///     interface test "Test interface" {
///         typedef enum { FOO, BAR } myenum;
///         message basic(uint32 arg, myenum e);
///         rpc testrpc(in string s, out uint32 result);
///     };
/// }
/// ```
/// Two settings may stand before the declarations: `crate = path;` names the `flounder` crate where it is renamed or
/// re-exported, and `file = "name.if";`, in place of declarations, reads them from a file below the folder of the package.
#[proc_macro]
pub fn flounder(input: TokenStream) -> TokenStream {
    input::expand(input.into()).into()
}

/// Includes what a build script has generated from an interface file (crate `flounder-build`): `include_flounder!("test");`
/// becomes the modules of `test.if`, as `flounder! { file = ".."; }` does.
#[proc_macro]
pub fn include_flounder(input: TokenStream) -> TokenStream {
    include::expand(input.into()).into()
}

/// Makes a struct or an enumeration a type that messages can carry: an interface names it with `use path::Type as name;`.
///
/// Fields may be numbers, `bool`, `char`, `String`, `Vec<T>`, `Option<T>`, `Box<T>`, arrays, capabilities, and other types
/// with this derive. `#[flounder(max = N)]` on a `String`, a `Vec`, or an `Option` of one of them sets its maximum (65,536
/// otherwise), in bytes or elements; `#[flounder(crate = path)]` on the type names the `flounder` crate where it is not `::flounder`.
#[proc_macro_derive(FlounderMessage, attributes(flounder))]
pub fn derive_flounder_message(input: TokenStream) -> TokenStream {
    derive::expand(input.into()).into()
}
