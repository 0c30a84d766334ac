//! Names of an input with mistakes. A macro emits empty items with these names, so that one mistake in an interface gives
//! one error and not another one at each use of the interface.

use std::collections::HashSet;
use std::path::PathBuf;

use proc_macro2::TokenStream;

use crate::ast::{Attrs, Decl, Item, TypeDecl, TypeDeclKind, Unit, Word};
use crate::model::Name;
use crate::{ast, names, token};

/// Known names of a unit with mistakes. The names of one list are different Rust names.
#[derive(Debug, Clone, Default)]
pub struct Salvage {
    /// Interfaces whose names could be parsed.
    pub interfaces: Vec<SalvagedInterface>,
    /// Modules of types, without those of import files.
    pub modules: Vec<SalvagedModule>,
    /// Files that were read, which the macro reports to Cargo.
    pub files: Vec<PathBuf>,
}

/// The parsed part of an interface.
#[derive(Debug, Clone)]
pub struct SalvagedInterface {
    /// The name.
    pub name: Name,
    /// Visibility tokens of the module (`pub` when none was written).
    pub visibility: TokenStream,
    /// Messages and rpcs, in order.
    pub messages: Vec<SalvagedMessage>,
    /// Types declared in the interface, without aliases.
    pub types: Vec<SalvagedType>,
    /// Constants declared in the interface.
    pub constants: Vec<Name>,
}

/// The parsed part of a module of types.
#[derive(Debug, Clone)]
pub struct SalvagedModule {
    /// The name.
    pub name: Name,
    /// Visibility tokens of the module (`pub` when none was written).
    pub visibility: TokenStream,
    /// The types.
    pub types: Vec<SalvagedType>,
    /// The constants.
    pub constants: Vec<Name>,
}

/// A type whose name is known.
#[derive(Debug, Clone)]
pub struct SalvagedType {
    /// The name in CamelCase.
    pub name: Name,
    /// Elements of an enumeration, fields of a union.
    pub elements: Vec<Name>,
}

/// The parsed part of a message or an rpc.
#[derive(Debug, Clone)]
pub struct SalvagedMessage {
    /// The name. An rpc is one entry, not two.
    pub name: Name,
    /// True for an rpc.
    pub rpc: bool,
    /// Names of the arguments of the message or of the call; `None` if some are unknown.
    pub inputs: Option<Vec<Name>>,
    /// Names of the results of an rpc.
    pub outputs: Option<Vec<Name>>,
}

pub(crate) fn salvage(unit: &Unit, files: Vec<PathBuf>) -> Salvage {
    let mut salvage = Salvage { files, ..Salvage::default() };
    let mut seen = HashSet::new();
    for item in &unit.items {
        match item {
            Item::Import(_) => {}
            Item::Types(types) => {
                if let Some(name) = fresh(&types.name, &types.attrs, &mut seen) {
                    let visibility = names::visibility(&types.attrs);
                    salvage.modules.push(SalvagedModule {
                        name,
                        visibility,
                        types: declared(&types.body),
                        constants: constants(&types.body),
                    });
                }
            }
            Item::Interface(interface) => {
                if let Some(name) = fresh(&interface.name, &interface.attrs, &mut seen) {
                    let visibility = names::visibility(&interface.attrs);
                    let (messages, types) = (messages(&interface.body), declared(&interface.body));
                    salvage.interfaces.push(SalvagedInterface {
                        name,
                        visibility,
                        messages,
                        types,
                        constants: constants(&interface.body),
                    });
                }
            }
        }
    }
    salvage
}

/// Returns the name of an item, or `None` if the name is invalid or already taken.
fn fresh(name: &ast::Name, attrs: &Attrs, seen: &mut HashSet<String>) -> Option<Name> {
    let name = names::value(name, attrs);
    usable(&name).filter(|name| seen.insert(name.rust.to_string()))
}

fn usable(name: &Name) -> Option<Name> {
    (token::reserved(&name.idl).is_none() && name.idl.is_ascii()).then(|| name.clone())
}

fn messages(body: &[Decl]) -> Vec<SalvagedMessage> {
    let mut seen = HashSet::new();
    let messages = body.iter().filter_map(|decl| match decl {
        Decl::Message(message) => Some(message),
        Decl::Import(_) | Decl::Type(_) | Decl::Const(_) => None,
    });
    messages
        .filter_map(|message| {
            let name = fresh(&message.name, &message.attrs, &mut seen)?;
            let args = |out: bool| {
                let args = message.args.iter();
                let args = args.filter(|arg| match arg.direction {
                    Some(ast::Direction::In) | None => !out,
                    Some(ast::Direction::Out) => out,
                    Some(ast::Direction::Error) => false,
                });
                (!message.damaged)
                    .then(|| args.map(|arg| names::value(&arg.name, &arg.attrs)).collect())
            };
            let rpc = message.word == Word::Rpc;
            Some(SalvagedMessage { name, rpc, inputs: args(false), outputs: args(true) })
        })
        .collect()
}

fn declared(body: &[Decl]) -> Vec<SalvagedType> {
    let mut seen = HashSet::new();
    let types = body.iter().filter_map(|decl| match decl {
        Decl::Type(decl) if !matches!(decl.kind, TypeDeclKind::Alias(_)) => Some(decl),
        _ => None,
    });
    types.filter_map(|decl| declared_type(decl, &mut seen)).collect()
}

fn constants(body: &[Decl]) -> Vec<Name> {
    let mut seen = HashSet::new();
    let names = body.iter().filter_map(|decl| match decl {
        Decl::Const(decl) => usable(&names::value(&decl.name, &decl.attrs)),
        _ => None,
    });
    names.filter(|name| seen.insert(name.rust.to_string())).collect()
}

fn declared_type(decl: &TypeDecl, seen: &mut HashSet<String>) -> Option<SalvagedType> {
    let name = usable(&names::cased(&decl.name, &decl.attrs))
        .filter(|name| seen.insert(name.rust.to_string()))?;
    let mut elements = Vec::new();
    let names: Vec<Name> = match &decl.kind {
        TypeDeclKind::Enum(list) => {
            list.iter().map(|element| names::cased(&element.name, &element.attrs)).collect()
        }
        TypeDeclKind::Union(list) => {
            list.iter().map(|field| names::cased(&field.name, &field.attrs)).collect()
        }
        _ => Vec::new(),
    };
    let mut seen = HashSet::new();
    elements
        .extend(names.iter().filter_map(usable).filter(|name| seen.insert(name.rust.to_string())));
    Some(SalvagedType { name, elements })
}
