//! Generates Rust from a checked Flounder interface.
//!
//! Every generator is pure: a [`Unit`] goes in, tokens come out. The callers (the macro and the command line) read files,
//! format the tokens and report the files to Cargo, so both produce the same tokens.
//!
//! Generated code is thin: it lists the arguments of a message, and the runtime encodes and decodes them. All names are
//! absolute paths through one path to the runtime ([`Options::runtime`], `__rt`), because the scope of the macro call may
//! shadow any name. Locals and helpers begin with `__`, which the language reserves. Functions that are not generic are
//! `#[inline]` where they call code for each message: such a function is then compiled only in crates that use it.
//!
//! | module | what it generates |
//! |---|---|
//! | `types` | the declared types |
//! | `wire` | `Shape`, `Encode` and `Decode` of a type, for interfaces and for `#[derive(FlounderMessage)]` alike |
//! | `message`, `value` | the form of a message: how its arguments go through Rust, and their maxima |
//! | `descriptor` | `INTERFACE`, and the form of each message |
//! | `binding` | `Binding`, `Rx`, `RxVtbl` and the dispatcher between them |
//! | `async_rx` | `AsyncRx`: handlers that are futures |
//! | `rpc` | `RpcClient` and the reply types |
//! | `buffer` | `Message`, any message as a value |
//! | `export` | `export` and `bind`, `serve` and `connect`, `over` |
//! | `fallback` | items of the right names beside errors |

#![forbid(unsafe_code)]

mod async_rx;
mod binding;
mod buffer;
mod descriptor;
mod docs;
mod export;
mod fallback;
mod message;
mod rpc;
mod rt;
mod types;
mod value;
mod wire;

use flounder_idl::model::{Interface, TypeModule, Unit};
use proc_macro2::TokenStream;
use quote::quote;

pub use fallback::fallback;
pub use wire::{Body, Member, Variant, WireType, wire_impl};

use crate::message::Messages;
use crate::rt::Rt;
use crate::types::Types;

/// What the generator has to know besides the interface.
#[derive(Debug, Clone)]
pub struct Options {
    /// The path of the `flounder` crate. A path of module position (`crate::..`, `self::..`, `super::..`) is one as seen
    /// from the scope that the code lands in; any other names an external crate.
    pub runtime: syn::Path,
}

impl Default for Options {
    fn default() -> Self {
        Self { runtime: syn::parse_quote!(::flounder) }
    }
}

/// Generates everything that a unit declares: one module per file of shared types, one per interface.
#[must_use]
pub fn unit(unit: &Unit, options: &Options) -> TokenStream {
    let rt = Rt::in_module(&options.runtime);
    let modules = unit.modules.iter().map(|module| type_module(module, &rt));
    let interfaces = unit.interfaces.iter().map(|interface| interface_module(interface, &rt));
    modules.chain(interfaces).collect()
}

/// `pub mod types { .. }` with shared types alone.
fn type_module(module: &TypeModule, rt: &Rt) -> TokenStream {
    let types = Types::new(&module.types, rt);
    let (visibility, name) = (&module.visibility, &module.name.rust);
    let doc = docs::of(&[], &format!("Types shared by interfaces: `{}`.", module.name.idl));
    let (allow, import) = (allow(), rt.import());
    let constants = types::constants(&module.constants, &types);
    let items = types::items(&types, rt);
    quote! {
        #doc
        #allow
        #visibility mod #name {
            #import
            #constants
            #items
        }
    }
}

/// `pub mod test { .. }`: all of one interface.
fn interface_module(interface: &Interface, rt: &Rt) -> TokenStream {
    let types = Types::new(&interface.types, rt);
    let messages = Messages::new(interface, &types, rt);
    let (visibility, name) = (&interface.visibility, &interface.name.rust);
    let attributes = &interface.attributes;
    let doc = docs::of(&interface.docs, &describe(interface));
    let (allow, import) = (allow(), rt.import());
    let constants = types::constants(&interface.constants, &types);
    let types = types::items(&types, rt);
    let descriptor = descriptor::items(&messages);
    let binding = binding::items(&messages);
    let async_rx = async_rx::items(&messages);
    let rpc = rpc::items(&messages);
    let buffer = buffer::items(&messages);
    let export = export::items(&messages);
    quote! {
        #doc
        #(#attributes)*
        #allow
        #visibility mod #name {
            #import
            #constants
            #types
            #descriptor
            #binding
            #async_rx
            #rpc
            #buffer
            #export
        }
    }
}

/// What there is to say about an interface without a doc comment.
fn describe(interface: &Interface) -> String {
    let (name, description) = (&interface.name.idl, &interface.description);
    if name == description {
        format!("The interface `{name}`.")
    } else {
        docs::sentence(description)
    }
}

/// Lints that generated code cannot keep in every crate: it declares what the crate may not use, and how many arguments
/// there are and how they are spelled is the interface's business.
fn allow() -> TokenStream {
    quote! {
        #[allow(clippy::all, clippy::pedantic, clippy::nursery, dead_code, unreachable_pub)]
        #[allow(private_interfaces, async_fn_in_trait, non_camel_case_types, non_snake_case)]
        #[allow(long_running_const_eval, missing_docs, unused_imports, unused_qualifications)]
    }
}
