//! The rules of a whole unit, one `check_*` each.
//!
//! Only this module constructs `Checked`, and only from a unit without mistakes. Lowering takes a `Checked` and cannot
//! fail.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use crate::ast::{Decl, Direction, Suffix, TypeDeclKind, Word};
use crate::diag::{Code, Diagnostic, Diagnostics, Place};
use crate::model::{self, MAX_MESSAGES};
use crate::names::{
    self, GENERATED_CLIENT, GENERATED_CONSTANTS, GENERATED_HANDLERS, GENERATED_TYPES,
};
use crate::resolve::{Arg, Interface, Meaning, Message, Resolved, Scope};
use crate::{ast, model::Ty};

mod ata;
pub(crate) mod marks;

/// Maximum number of capabilities in one message.
pub const MAX_CAPS: u64 = 64;

/// Maximum number of bulk arguments of one message.
pub const MAX_BULKS: usize = 8;

/// Maximum sum of the lengths of the canonical forms of one interface, in bytes.
const MAX_CANONICAL: u64 = 16 * 1024 * 1024;

/// A unit that has passed all rules.
#[derive(Debug)]
pub(crate) struct Checked<'a>(Resolved<'a>);

impl<'a> Checked<'a> {
    pub(crate) fn into_inner(self) -> Resolved<'a> {
        self.0
    }
}

/// Checks a unit. Returns `None` if any stage has reported a mistake.
pub(crate) fn check<'a>(unit: Resolved<'a>, diagnostics: &mut Diagnostics) -> Option<Checked<'a>> {
    check_modules(&unit, diagnostics);
    for interface in &unit.interfaces {
        check_order(interface, diagnostics);
        check_messages(interface, diagnostics);
        check_message_names(interface, diagnostics);
        check_args(interface, diagnostics);
        check_caps(interface, diagnostics);
        check_bulks(interface, diagnostics);
        check_canonical(interface, diagnostics);
        ata::check(interface, diagnostics);
        marks::check(interface, diagnostics);
        check_type_names(interface, diagnostics);
    }
    diagnostics.is_empty().then_some(Checked(unit))
}

/// Checks the fields and elements of declarations, in an interface or anywhere else.
pub(crate) fn check_members(body: &[Decl], scope: &Scope, diagnostics: &mut Diagnostics) {
    for decl in body {
        let Decl::Type(decl) = decl else { continue };
        let mut names = Names::new(diagnostics);
        match &decl.kind {
            TypeDeclKind::Struct(fields) | TypeDeclKind::Union(fields) => {
                let is_union = matches!(decl.kind, TypeDeclKind::Union(_));
                for field in fields {
                    let rust = if is_union {
                        names::cased_text(&field.name, &field.attrs)
                    } else {
                        names::value_text(&field.name, &field.attrs).to_owned()
                    };
                    names.add(Code::DuplicateField, "the field", &field.name, rust);
                    // The fields of a union are never there together: their lengths may have one name.
                    if let Some(length) = length(field, scope).filter(|_| !is_union) {
                        let rust = length.text.clone();
                        names.add(Code::DuplicateField, "the field", length, rust);
                    }
                }
            }
            TypeDeclKind::Enum(elements) => {
                for element in elements {
                    let rust = names::cased_text(&element.name, &element.attrs);
                    names.add(Code::DuplicateElement, "the element", &element.name, rust);
                }
            }
            TypeDeclKind::Alias(_)
            | TypeDeclKind::Array(..)
            | TypeDeclKind::Named(_)
            | TypeDeclKind::Use(_) => {}
        }
    }
}

/// Names of one namespace, by spelling and by Rust identifier.
struct Names<'a, 'd> {
    diagnostics: &'d mut Diagnostics,
    spelled: HashMap<&'a str, Place>,
    rust: HashMap<String, &'a ast::Name>,
}

impl<'a, 'd> Names<'a, 'd> {
    fn new(diagnostics: &'d mut Diagnostics) -> Self {
        Self { diagnostics, spelled: HashMap::new(), rust: HashMap::new() }
    }

    fn add(&mut self, code: Code, what: &str, name: &'a ast::Name, rust: String) {
        match self.spelled.entry(&name.text) {
            MapEntry::Occupied(first) => {
                let message = format!("{what} `{}` is declared twice", name.text);
                return self.diagnostics.push(
                    Diagnostic::new(code, name.place, message)
                        .label("declared again")
                        .also(*first.get(), "first declared here")
                        .help("rename one of them"),
                );
            }
            MapEntry::Vacant(entry) => entry.insert(name.place),
        };
        self.collide(name, rust);
    }

    fn collide(&mut self, name: &'a ast::Name, rust: String) {
        match self.rust.entry(rust) {
            MapEntry::Occupied(first) => {
                let other = first.get();
                let message = format!(
                    "`{}` and `{}` are both `{}` in Rust",
                    other.text,
                    name.text,
                    first.key()
                );
                self.diagnostics.push(
                    Diagnostic::new(Code::NameCollision, name.place, message)
                        .also(other.place, format!("`{}` is declared here", other.text))
                        .help("write `#[rust_name = \"..\"]` before one of them"),
                );
            }
            MapEntry::Vacant(entry) => {
                entry.insert(name);
            }
        }
    }
}

fn generated(name: &ast::Name, rust: &str, what: &str) -> Diagnostic {
    let message = format!(
        "`{}` would be `{rust}` in Rust, which is {what} of the generated module",
        name.text
    );
    Diagnostic::new(Code::GeneratedName, name.place, message)
        .help("write `#[rust_name = \"..\"]` before it, or rename it")
}

/// Modules of one unit are siblings: their names must differ.
fn check_modules(unit: &Resolved<'_>, diagnostics: &mut Diagnostics) {
    let plain = |name: &model::Name| name.rust.to_string().trim_start_matches("r#").to_owned();
    let modules = unit.modules.iter().map(|module| (plain(&module.model.name), module.place));
    let interfaces = unit.interfaces.iter().map(|interface| {
        let name = names::value_text(&interface.ast.name, &interface.ast.attrs);
        (name.to_owned(), interface.ast.name.place)
    });
    let mut seen: HashMap<String, Place> = HashMap::new();
    for (name, place) in modules.chain(interfaces) {
        match seen.entry(name) {
            MapEntry::Occupied(first) => diagnostics.push(
                Diagnostic::new(
                    Code::DuplicateModule,
                    place,
                    format!("a second module `{}`", first.key()),
                )
                .also(*first.get(), "the first one")
                .help("rename one of them; an import can also be given a module with `as`"),
            ),
            MapEntry::Vacant(entry) => {
                entry.insert(place);
            }
        }
    }
}

/// Types and constants must precede messages.
fn check_order(interface: &Interface<'_>, diagnostics: &mut Diagnostics) {
    let mut message = None;
    for decl in &interface.ast.body {
        let (place, what) = match (decl, message) {
            (Decl::Message(first), None) => {
                message = Some(first.name.place);
                continue;
            }
            (Decl::Type(decl), Some(_)) => (decl.name.place, "a type"),
            (Decl::Const(decl), Some(_)) => (decl.name.place, "a constant"),
            (Decl::Import(import), Some(_)) => (import.place, "an import"),
            _ => continue,
        };
        let diagnostic =
            Diagnostic::new(Code::TypeAfterMessage, place, format!("{what} after a message"))
                .help("move it above the first message");
        diagnostics.push(match message {
            Some(first) => diagnostic.also(first, "the first message"),
            None => diagnostic,
        });
    }
}

/// An interface must have at least one message and at most as many as the wire can number.
fn check_messages(interface: &Interface<'_>, diagnostics: &mut Diagnostics) {
    let name = &interface.ast.name;
    if interface.messages.is_empty() && !interface.ast.damaged {
        let message = format!("the interface `{}` has no message", name.text);
        let help = "declare at least one `message` or `rpc`";
        diagnostics.push(Diagnostic::new(Code::NoMessage, name.place, message).help(help));
    }
    let mut count = 0;
    for message in &interface.messages {
        count += message.ast.halves().len().max(1);
        if count > MAX_MESSAGES {
            let place = message.ast.name.place;
            let text =
                format!("the interface `{}` has more than {MAX_MESSAGES} messages", name.text);
            let help = "split the interface; an rpc counts as two messages, or three with `fails`";
            return diagnostics
                .push(Diagnostic::new(Code::TooManyMessages, place, text).help(help));
        }
    }
}

/// Messages must have different names, including the messages of each rpc.
fn check_message_names(interface: &Interface<'_>, diagnostics: &mut Diagnostics) {
    let mut spelled: HashMap<String, &ast::Name> = HashMap::new();
    let mut camels = Names::new(diagnostics);
    let mut client: HashMap<String, &ast::Name> = HashMap::new();
    for message in interface.messages.iter().map(|message| message.ast) {
        let name = &message.name;
        let mut taken = None;
        for text in wire_names(message) {
            match spelled.entry(text) {
                MapEntry::Occupied(first) => {
                    taken = taken.or_else(|| Some((first.key().clone(), first.get().place)))
                }
                MapEntry::Vacant(entry) => {
                    entry.insert(name);
                }
            }
        }
        if let Some((text, first)) = taken {
            let diagnostic = Diagnostic::new(
                Code::DuplicateMessage,
                name.place,
                format!("the message `{text}` is declared twice"),
            )
            .label("declared again")
            .also(first, "first declared here");
            let note = if message.halves().len() == 2 {
                "an rpc `f` is a handler `f` and two messages, `f_call` and `f_response`"
            } else {
                "an rpc `f` is a handler `f` and three messages, `f_call`, `f_response` and `f_error`"
            };
            let diagnostic =
                if message.word == Word::Rpc { diagnostic.note(note) } else { diagnostic };
            camels.diagnostics.push(diagnostic.help("rename one of them"));
            continue;
        }
        let rust = names::value_text(name, &message.attrs).to_owned();
        if GENERATED_HANDLERS.contains(&rust.as_str()) {
            camels.diagnostics.push(generated(name, &rust, "a handler"));
        }
        camels.collide(name, names::camel(&rust));
        if message.word == Word::Rpc {
            for (half, _) in message.halves() {
                camels.collide(name, names::camel(&format!("{rust}{half}")));
            }
            check_client(name, &rust, &mut client, camels.diagnostics);
        }
    }
}

/// The methods of the rpc client, `f` and `f_async` for each rpc, must have different names.
fn check_client<'a>(
    name: &'a ast::Name,
    rust: &str,
    client: &mut HashMap<String, &'a ast::Name>,
    diagnostics: &mut Diagnostics,
) {
    if GENERATED_CLIENT.contains(&rust) {
        diagnostics.push(generated(name, rust, "a function of the rpc client"));
    }
    for function in [rust.to_owned(), format!("{rust}_async")] {
        if let Some(other) = client.insert(function.clone(), name) {
            let text = format!(
                "`{}` and `{}` both declare the function `{function}` of the client",
                other.text, name.text
            );
            diagnostics.push(
                Diagnostic::new(Code::NameCollision, name.place, text)
                    .also(other.place, format!("`{}` is declared here", other.text))
                    .help("write `#[rust_name = \"..\"]` before one of them"),
            );
        }
    }
}

/// Returns the message names that a declaration takes.
fn wire_names(message: &ast::Message) -> Vec<String> {
    let name = &message.name.text;
    let halves = message.halves().iter().map(|(half, _)| format!("{name}{half}"));
    [name.clone()].into_iter().chain(halves).collect()
}

/// Arguments of one message must have different names, including lengths. Each direction is a message.
fn check_args(interface: &Interface<'_>, diagnostics: &mut Diagnostics) {
    for message in &interface.messages {
        for direction in Direction::ALL {
            let mut names = Names::new(diagnostics);
            let args = message.ast.args.iter();
            for arg in args.filter(|arg| arg.direction.unwrap_or(Direction::In) == direction) {
                let rust = names::value_text(&arg.name, &arg.attrs).to_owned();
                names.add(Code::DuplicateArgument, "the argument", &arg.name, rust);
                if let Some(length) = length(arg, &interface.scope) {
                    names.add(Code::DuplicateArgument, "the argument", length, length.text.clone());
                }
            }
        }
    }
}

/// Returns the name of the length, if this is a dynamic array.
fn length<'a>(arg: &'a ast::Arg, scope: &Scope) -> Option<&'a ast::Name> {
    match &arg.suffix {
        Suffix::Dynamic(name, _) => scope.constant(&name.text).is_none().then_some(name),
        Suffix::None | Suffix::Bound(_) => None,
    }
}

/// A message must not contain more capabilities than a transport can carry.
fn check_caps(interface: &Interface<'_>, diagnostics: &mut Diagnostics) {
    for message in &interface.messages {
        for direction in Direction::ALL {
            let args = message
                .args
                .iter()
                .filter(|arg| arg.ast.direction.unwrap_or(Direction::In) == direction);
            let most = |arg: &Arg<'_>| {
                let elements = arg.array.map_or(1, |(_, max)| u64::from(max));
                interface.scope.facts(arg.ty).caps.saturating_mul(elements)
            };
            let caps: u64 = args.map(most).fold(0, u64::saturating_add);
            if caps > MAX_CAPS {
                let name = &message.ast.name;
                diagnostics.push(
                    Diagnostic::new(
                        Code::TooManyCaps,
                        name.place,
                        format!("`{}` carries up to {caps} capabilities", name.text),
                    )
                    .help(format!(
                        "a message carries at most {MAX_CAPS}; the maximum of an array counts"
                    )),
                );
            }
        }
    }
}

/// A message must not have more bulk arguments than [`MAX_BULKS`].
fn check_bulks(interface: &Interface<'_>, diagnostics: &mut Diagnostics) {
    for message in &interface.messages {
        for direction in Direction::ALL {
            let bulks = message.args.iter().filter(|arg| {
                arg.ast.direction.unwrap_or(Direction::In) == direction
                    && matches!(arg.ty, Ty::Bulk { .. })
            });
            let count = bulks.count();
            if count > MAX_BULKS {
                let name = &message.ast.name;
                let text = format!("`{}` has {count} bulk arguments", name.text);
                diagnostics.push(
                    Diagnostic::new(Code::TooManyBulks, name.place, text)
                        .help(format!("a message has at most {MAX_BULKS}")),
                );
            }
        }
    }
}

/// Canonical forms contain whole types, so their total length must be bounded.
fn check_canonical(interface: &Interface<'_>, diagnostics: &mut Diagnostics) {
    let mut total = 0_u64;
    for message in &interface.messages {
        total = total.saturating_add(canonical_length(interface, message));
        if total > MAX_CANONICAL {
            let name = &message.ast.name;
            let text =
                format!("the types of the messages up to `{}` are out of proportion", name.text);
            let help = "written out, all messages of an interface have at most 16 MiB; share smaller types";
            return diagnostics
                .push(Diagnostic::new(Code::TooComplex, name.place, text).help(help));
        }
    }
}

fn canonical_length(interface: &Interface<'_>, message: &Message<'_>) -> u64 {
    let of = |ty: Ty| interface.scope.facts(ty).canonical;
    message
        .args
        .iter()
        .map(|arg| of(arg.ty).saturating_add(arg.ast.name.text.len() as u64 + 16))
        .fold(64, u64::saturating_add)
}

/// Types and constants must not have the names of generated items.
fn check_type_names(interface: &Interface<'_>, diagnostics: &mut Diagnostics) {
    let mut replies: HashMap<String, &ast::Name> = HashMap::new();
    for message in interface
        .messages
        .iter()
        .map(|message| message.ast)
        .filter(|message| message.word == Word::Rpc)
    {
        let rust = names::camel(names::value_text(&message.name, &message.attrs));
        replies.insert(format!("{rust}Reply"), &message.name);
    }
    for (_, constant) in &interface.scope.constants {
        let (idl, rust) = (&constant.name.idl, constant.name.rust.to_string());
        if GENERATED_CONSTANTS.contains(&rust.as_str()) {
            let place = interface.scope.entries[idl].place;
            let name = ast::Name { text: idl.clone(), place };
            diagnostics.push(generated(&name, &rust, "a constant"));
        }
    }
    for idl in &interface.scope.order {
        let entry = interface.scope.entries[idl];
        let Meaning::Type(id) = entry.meaning else { continue };
        let rust = interface.scope.types[id.0].name.rust.to_string();
        let name = ast::Name { text: idl.clone(), place: entry.place };
        if GENERATED_TYPES.contains(&rust.as_str()) {
            diagnostics.push(generated(&name, &rust, "a type"));
        } else if let Some(rpc) = replies.get(&rust) {
            diagnostics
                .push(generated(&name, &rust, "a type").also(rpc.place, "the reply of this rpc"));
        }
    }
}
