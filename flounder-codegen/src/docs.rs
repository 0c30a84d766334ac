//! Documentation of generated items, and how declarations look in it.

use flounder_idl::model::{Arg, DeclaredIn, Interface, Message, Rpc, Ty, TypeDef, TypeKind};
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

/// `rpc name(in string s, out uint32 result) fails error`.
pub(crate) fn rpc_signature(rpc: &Rpc, interface: &Interface) -> String {
    let [call, response] = [rpc.call, rpc.response].map(|index| &interface.messages[index]);
    let directed = |word: &'static str, message: &Message| {
        message
            .args
            .iter()
            .map(move |arg| format!("{word} {}", argument(arg, &interface.types)))
            .collect::<Vec<_>>()
    };
    let fails = rpc.error.and_then(|index| interface.messages[index].args.first());
    let fails = fails.map(|error| format!(" fails {}", type_name(error.ty, &interface.types)));
    let args = [directed("in", call), directed("out", response)].concat().join(", ");
    format!("rpc {}({args}){}", rpc.name.idl, fails.unwrap_or_default())
}

fn arguments(message: &Message, types: &[TypeDef]) -> String {
    message.args.iter().map(|arg| argument(arg, types)).collect::<Vec<_>>().join(", ")
}

fn argument(arg: &Arg, types: &[TypeDef]) -> String {
    let (ty, name) = (type_name(arg.ty, types), &arg.name.idl);
    match (&arg.array, made(arg.ty, types)) {
        (Some(array), _) => format!("{ty} {name}[{}, {}]", array.len_name.idl, array.max),
        (None, Some((ty, brackets))) => format!("{ty} {name}{brackets}"),
        (None, None) => format!("{ty} {name}"),
    }
}

/// The type of an argument, the way the descriptor gives it.
pub(crate) fn argument_type(arg: &Arg, types: &[TypeDef]) -> String {
    let element = match arg.ty {
        Ty::String { max } => format!("string[{max}]"),
        Ty::Bulk { max } => format!("bulk[{max}]"),
        other => type_name(other, types),
    };
    match &arg.array {
        Some(array) => format!("{element}[{}, {}]", array.len_name.idl, array.max),
        None => element,
    }
}

/// The name of a type, as an interface spells it; that of one without a declaration with its brackets.
pub(crate) fn type_name(ty: Ty, types: &[TypeDef]) -> String {
    if let Some((ty, brackets)) = made(ty, types) {
        return format!("{ty}{brackets}");
    }
    let name = match ty {
        Ty::Builtin(builtin) => builtin.name(),
        Ty::String { .. } => "string",
        Ty::Bulk { .. } => "bulk",
        Ty::Named(id) => &types[id.0].name.idl,
    };
    name.to_owned()
}

/// What stands before and behind the name of an argument whose type has no declaration.
fn made(ty: Ty, types: &[TypeDef]) -> Option<(String, String)> {
    let Ty::Named(id) = ty else { return None };
    let def = &types[id.0];
    match (&def.declared_in, &def.kind) {
        (DeclaredIn::Use, TypeKind::Array { elem, len }) => {
            Some((type_name(*elem, types), format!("[{len}]")))
        }
        (DeclaredIn::Use, TypeKind::List { elem, max }) => {
            Some((type_name(*elem, types), format!("[.., {max}]")))
        }
        (DeclaredIn::Use, TypeKind::Optional(value)) => {
            let (ty, brackets) =
                made(*value, types).unwrap_or_else(|| (type_name(*value, types), String::new()));
            Some((format!("optional {ty}"), brackets))
        }
        _ => None,
    }
}
