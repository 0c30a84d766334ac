//! Lowering of a checked unit to the model: rpcs become two or three messages, messages get their numbers and canonical forms.
//!
//! The canonical form of a message is one line of text with everything that sender and receiver must agree on:
//!
//! ```text
//! form    = role SP name "(" [ arg { "," arg } ] ")"
//! role    = "message" | "call" | "response" | "rpc-call" | "rpc-response" | "rpc-error"
//!         | "rpc-call-both" | "rpc-response-both" | "rpc-error-both"
//! arg     = name ":" type
//! type    = builtin | "string[" maximum "]" | "bulk[" maximum "]" | "{" [ name ":" type { "," name ":" type } ] "}"
//!         | "enum{" name { "," name } "}" | "enum{" name "{0:" type "}" { "," name "{0:" type "}" } "}"
//!         | "[" type ";" length "]" | "extern#" index
//!         | type "[;" maximum "]" | type "?"
//! ```
//!
//! In an interface with `@symmetric`, `call` and `response` are `message`, and an rpc is one with `@both`. Names are those of
//! the interface; an rpc `f` gives `f_call` and `f_response`, and `f_error` if it `fails`.
//! Numbers are decimal. Types are written out, so their own names do not matter; `extern#k` is the k-th different Rust type
//! in the message, from 0. A digest is the first 16 bytes of SHA-256 of the form, as a big-endian number.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::ast::{self, Word};
use crate::check::Checked;
use crate::check::marks::IDEMPOTENT;
use crate::model::{
    Annotation, AnnotationValue, Arg, Direction, DynArray, Interface, Message, Name, Role, Rpc, Ty,
    TypeDef, TypeId, TypeKind, Unit,
};
use crate::{names, resolve};

/// Returns the model of a unit.
pub(crate) fn lower(unit: Checked<'_>, files: Vec<std::path::PathBuf>) -> Unit {
    let unit = unit.into_inner();
    let modules = unit.modules.into_iter().map(|module| module.model).collect();
    Unit { modules, interfaces: unit.interfaces.into_iter().map(interface).collect(), files }
}

/// Returns the name of one of the messages of an rpc.
fn half(message: &ast::Message, suffix: &str) -> Name {
    let span = message.name.place.span;
    let rust = format!("{}{suffix}", names::value_text(&message.name, &message.attrs));
    Name { idl: format!("{}{suffix}", message.name.text), rust: names::ident(&rust, span), span }
}

fn interface(interface: resolve::Interface<'_>) -> Interface {
    let resolve::Interface { ast, scope, messages: declared } = interface;
    let constants = scope.constants.into_iter().map(|(_, constant)| constant).collect();
    let types = scope.types;
    let symmetric = ast.is_marked("symmetric");
    let (mut messages, mut rpcs) = (Vec::new(), Vec::new());
    for declared in &declared {
        let ast = declared.ast;
        let name = names::value(&ast.name, &ast.attrs);
        let both = symmetric || ast.is_marked("both");
        let (index, call) = (rpcs.len(), messages.len());
        let mut push = |name, role, direction, taken| {
            let direction = if both { Direction::Both } else { direction };
            let before = messages.len();
            messages.push(message(&types, declared, name, role, direction, taken, before));
        };
        match ast.word {
            Word::Message => push(name, Role::Message, Direction::Both, None),
            Word::Call => push(name, Role::Call, Direction::ToService, None),
            Word::Response => push(name, Role::Response, Direction::ToClient, None),
            Word::Rpc => {
                for (suffix, taken) in ast.halves() {
                    let (role, direction) = match taken {
                        ast::Direction::In => (Role::RpcCall(index), Direction::ToService),
                        ast::Direction::Out => (Role::RpcResponse(index), Direction::ToClient),
                        ast::Direction::Error => (Role::RpcError(index), Direction::ToClient),
                    };
                    push(half(ast, suffix), role, direction, Some(*taken));
                }
                let camel = camel(&name);
                rpcs.push(Rpc {
                    name,
                    camel,
                    docs: ast.attrs.docs.clone(),
                    call,
                    response: call + 1,
                    error: ast.fails().then_some(call + 2),
                });
            }
        }
    }
    Interface {
        name: names::value(&ast.name, &ast.attrs),
        visibility: names::visibility(&ast.attrs),
        attributes: ast.attrs.others.iter().map(|tokens| tokens.stream.clone()).collect(),
        description: ast.description.clone().unwrap_or_else(|| ast.name.text.clone()),
        docs: ast.attrs.docs.clone(),
        types,
        constants,
        messages,
        rpcs,
    }
}

fn message(
    types: &[TypeDef],
    declared: &resolve::Message<'_>,
    name: Name,
    role: Role,
    direction: Direction,
    taken: Option<ast::Direction>,
    before: usize,
) -> Message {
    let args = declared.args.iter().filter(|arg| taken.is_none() || arg.ast.direction == taken);
    let args: Vec<Arg> = args.map(arg).collect();
    let mut form = Form { types, text: String::new(), externs: Vec::new() };
    form.message(&name.idl, role, direction, &args);
    let Form { text: canonical, externs, .. } = form;
    Message {
        camel: camel(&name),
        name,
        docs: declared.ast.attrs.docs.clone(),
        number: u16::try_from(before + 1).expect("the checker bounds the number of messages"),
        role,
        direction,
        args,
        annotations: annotations(declared.ast),
        digest: digest(&canonical),
        canonical,
        externs,
    }
}

fn arg(arg: &resolve::Arg<'_>) -> Arg {
    let array = arg.array.map(|(length, max)| DynArray {
        len_name: names::value(length, &ast::Attrs::default()),
        max,
    });
    let name = names::value(&arg.ast.name, &arg.ast.attrs);
    Arg { name, docs: arg.ast.attrs.docs.clone(), ty: arg.ty, array }
}

/// Returns the annotations of a message, with the mark that clients look for at run time.
fn annotations(message: &ast::Message) -> Vec<Annotation> {
    let with = message.annotations.iter().map(annotation);
    let marks = message.marks.iter().filter(|mark| mark.text == IDEMPOTENT);
    let marks = marks.map(|mark| Annotation {
        context: names::value(mark, &ast::Attrs::default()),
        params: Vec::new(),
    });
    with.chain(marks).collect()
}

fn annotation(annotation: &ast::Annotation) -> Annotation {
    let none = ast::Attrs::default();
    let params = annotation.params.iter().map(|(name, value)| {
        let value = match value {
            ast::Value::Number(int) => AnnotationValue::Number(int.value.unwrap_or(0)),
            ast::Value::Ident(name) => AnnotationValue::Ident(name.text.clone()),
        };
        (names::value(name, &none), value)
    });
    Annotation { context: names::value(&annotation.context, &none), params: params.collect() }
}

fn camel(name: &Name) -> proc_macro2::Ident {
    let rust = name.rust.to_string();
    names::ident(&names::camel(rust.trim_start_matches("r#")), name.span)
}

fn digest(canonical: &str) -> u128 {
    let hash = Sha256::digest(canonical.as_bytes());
    hash.iter().take(16).fold(0, |value, byte| value << 8 | u128::from(*byte))
}

/// Builder of a canonical form.
struct Form<'a> {
    types: &'a [TypeDef],
    text: String,
    externs: Vec<TypeId>,
}

impl Form<'_> {
    fn message(&mut self, name: &str, role: Role, direction: Direction, args: &[Arg]) {
        let role = match (role, direction) {
            (Role::RpcCall(_), Direction::Both) => "rpc-call-both",
            (Role::RpcResponse(_), Direction::Both) => "rpc-response-both",
            (Role::RpcError(_), Direction::Both) => "rpc-error-both",
            (Role::RpcCall(_), _) => "rpc-call",
            (Role::RpcResponse(_), _) => "rpc-response",
            (Role::RpcError(_), _) => "rpc-error",
            (_, Direction::Both) => "message",
            (_, Direction::ToService) => "call",
            (_, Direction::ToClient) => "response",
        };
        self.add(format_args!("{role} {name}("));
        for (index, arg) in args.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            self.add(format_args!("{comma}{}:", arg.name.idl));
            self.ty(arg.ty);
            if let Some(array) = &arg.array {
                self.add(format_args!("[;{}]", array.max));
            }
        }
        self.text.push(')');
    }

    /// Recursion is bounded: the checker limits the nesting of types and the length of their canonical forms.
    fn ty(&mut self, ty: Ty) {
        let types = self.types;
        let id = match ty {
            Ty::Builtin(builtin) => return self.text.push_str(builtin.name()),
            Ty::String { max } => return self.add(format_args!("string[{max}]")),
            Ty::Bulk { max } => return self.add(format_args!("bulk[{max}]")),
            Ty::Named(id) => id,
        };
        match &types[id.0].kind {
            TypeKind::Struct(fields) => {
                self.text.push('{');
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    self.add(format_args!("{comma}{}:", field.name.idl));
                    self.ty(field.ty);
                }
                self.text.push('}');
            }
            TypeKind::Union(fields) => {
                // As an enumeration of Rust whose variants are tuples of one.
                self.text.push_str("enum{");
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    self.add(format_args!("{comma}{}{{0:", field.name.idl));
                    self.ty(field.ty);
                    self.text.push('}');
                }
                self.text.push('}');
            }
            TypeKind::Enum(elements) => {
                let names: Vec<&str> =
                    elements.iter().map(|element| element.name.idl.as_str()).collect();
                self.add(format_args!("enum{{{}}}", names.join(",")));
            }
            TypeKind::Array { elem, len } => {
                self.text.push('[');
                self.ty(*elem);
                self.add(format_args!(";{len}]"));
            }
            TypeKind::List { elem, max } => {
                self.ty(*elem);
                self.add(format_args!("[;{max}]"));
            }
            TypeKind::Optional(value) => {
                self.ty(*value);
                self.text.push('?');
            }
            TypeKind::Alias(old) => self.ty(*old),
            TypeKind::Extern => {
                let index =
                    self.externs.iter().position(|known| *known == id).unwrap_or_else(|| {
                        self.externs.push(id);
                        self.externs.len() - 1
                    });
                self.add(format_args!("extern#{index}"));
            }
        }
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(text);
    }
}
