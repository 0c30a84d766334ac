//! Documentation of generated items, and how declarations look in it.

use flounder_idl::model::{Arg, Interface, Message, Ty, TypeDef};
use proc_macro2::TokenStream;
use quote::quote;

/// The doc comment of the interface if there is one, else `otherwise`.
pub(crate) fn of(lines: &[String], otherwise: &str) -> TokenStream {
    let empty = lines.iter().all(|line| line.trim().is_empty());
    if empty { line(otherwise) } else { quote!(#(#[doc = #lines])*) }
}

/// The doc comment of the interface, if there is one. A name needs no other.
pub(crate) fn only(lines: &[String]) -> TokenStream {
    quote!(#(#[doc = #lines])*)
}

/// Returns the docs of [`of`] and a section on errors.
pub(crate) fn with_errors(lines: &[String], otherwise: &str, errors: &str) -> TokenStream {
    let (first, heading, errors) = (of(lines, otherwise), line("# Errors"), line(errors));
    quote!(#first #[doc = ""] #heading #errors)
}

/// One line, as `///` gives it.
pub(crate) fn line(text: &str) -> TokenStream {
    let text = format!(" {text}");
    quote!(#[doc = #text])
}

/// A description as a sentence: text, and neither links nor markup.
pub(crate) fn sentence(text: &str) -> String {
    let escape = |c: char| if "[]<>`*_\\".contains(c) { vec!['\\', c] } else { vec![c] };
    let text: String = text.trim_end_matches('.').chars().flat_map(escape).collect();
    format!("{text}.")
}

/// `name(uint32 arg, string s)`, the way the interface declares it.
pub(crate) fn signature(name: &str, message: &Message, types: &[TypeDef]) -> String {
    format!("{name}({})", arguments(message, types))
}

/// `rpc name(in string s, out uint32 result)`.
pub(crate) fn rpc_signature(
    name: &str,
    call: &Message,
    response: &Message,
    interface: &Interface,
) -> String {
    let directed = |word: &'static str, message: &Message| {
        message
            .args
            .iter()
            .map(move |arg| format!("{word} {}", argument(arg, &interface.types)))
            .collect::<Vec<_>>()
    };
    format!("rpc {name}({})", [directed("in", call), directed("out", response)].concat().join(", "))
}

fn arguments(message: &Message, types: &[TypeDef]) -> String {
    message.args.iter().map(|arg| argument(arg, types)).collect::<Vec<_>>().join(", ")
}

fn argument(arg: &Arg, types: &[TypeDef]) -> String {
    match &arg.array {
        Some(array) => {
            format!(
                "{} {}[{}, {}]",
                type_name(arg.ty, types),
                arg.name.idl,
                array.len_name.idl,
                array.max
            )
        }
        None => format!("{} {}", type_name(arg.ty, types), arg.name.idl),
    }
}

/// The type of an argument, the way the descriptor gives it.
pub(crate) fn argument_type(arg: &Arg, types: &[TypeDef]) -> String {
    let element = match arg.ty {
        Ty::String { max } => format!("string[{max}]"),
        Ty::Bulk { max } => format!("bulk[{max}]"),
        other => type_name(other, types).to_owned(),
    };
    match &arg.array {
        Some(array) => format!("{element}[{}, {}]", array.len_name.idl, array.max),
        None => element,
    }
}

/// The name of a type, as an interface spells it.
pub(crate) fn type_name(ty: Ty, types: &[TypeDef]) -> &str {
    match ty {
        Ty::Builtin(builtin) => builtin.name(),
        Ty::String { .. } => "string",
        Ty::Bulk { .. } => "bulk",
        Ty::Named(id) => &types[id.0].name.idl,
    }
}
