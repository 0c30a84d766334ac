//! Resolution of names: imports, aliases and types.

mod import;
mod path;
mod scope;
mod similar;
mod types;

use crate::ast;
use crate::model::{Ty, TypeModule};

pub(crate) use import::{Resolver, root_source};
pub(crate) use path::ModPath;
pub(crate) use scope::{Entry, Facts, Made, Meaning, ModuleId, Scope, builtin};

/// A unit with its names resolved. Names with mistakes are left out.
#[derive(Debug)]
pub(crate) struct Resolved<'a> {
    pub(crate) modules: Vec<Module>,
    pub(crate) interfaces: Vec<Interface<'a>>,
}

/// A module of types that the unit generates.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) model: TypeModule,
    /// The declaration, or the import that names the module.
    pub(crate) place: crate::diag::Place,
}

/// An interface and the types visible in it.
#[derive(Debug)]
pub(crate) struct Interface<'a> {
    pub(crate) ast: &'a ast::Interface,
    pub(crate) scope: Scope,
    /// Messages in order. An rpc is one entry.
    pub(crate) messages: Vec<Message<'a>>,
}

/// A message and its resolved arguments.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) ast: &'a ast::Message,
    pub(crate) args: Vec<Arg<'a>>,
}

/// An argument.
#[derive(Debug)]
pub(crate) struct Arg<'a> {
    pub(crate) ast: &'a ast::Arg,
    pub(crate) ty: Ty,
    /// Name of the length, and maximum, of a dynamic array.
    pub(crate) array: Option<(&'a ast::Name, u32)>,
}
