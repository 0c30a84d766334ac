//! Resolution of type declarations and of the types of arguments.

use std::collections::HashMap;

use crate::ast::{self, Decl, Size, Suffix, TypeDecl, TypeDeclKind};
use crate::check::check_members;
use crate::diag::{Code, Diagnostic, Place};
use crate::model::{
    Builtin, Constant, DEFAULT_MAX, DeclaredIn, Element, Field, Traits, Ty, TypeDef, TypeKind,
};
use crate::names;
use crate::source::SourceFile;

use super::import::OWN;
use super::similar::similar;
use super::{Arg, Entry, Facts, Made, Meaning, Message, ModuleId, Resolver, Scope, builtin};

/// Maximum number of elements of a fixed array.
const MAX_LENGTH: u64 = 65_536;
/// Maximum size of the fixed part of a type, in bytes.
const MAX_SIZE: u64 = 64 * 1024;
/// Maximum size of the fixed part of a field of a union, in bytes: in Rust, each value takes the size of the largest field.
const MAX_UNION: u64 = 1024;
/// Maximum number of elements of a dynamic array.
const MAX_ELEMENTS: u64 = 16 * 1024 * 1024;
/// Maximum length of a string, in bytes.
const MAX_STRING: u64 = 16 * 1024 * 1024;
/// Maximum length of a bulk argument, in bytes.
const MAX_BULK: u64 = 1 << 30;
/// Maximum nesting depth of types.
const MAX_DEPTH: u32 = 64;

/// Declarations of a list, to report a use before the declaration.
struct Later<'a> {
    /// Index of the first declaration of each name.
    by_name: HashMap<&'a str, (usize, &'a TypeDecl)>,
    /// Index of the declaration being resolved.
    now: usize,
    /// Name of the declaration being resolved.
    name: &'a str,
}

impl Resolver<'_> {
    /// Resolves the imports and types among declarations, in order.
    pub(super) fn declarations(
        &mut self,
        scope: &mut Scope,
        module: ModuleId,
        body: &[Decl],
        file: Option<&SourceFile>,
    ) {
        // A module is resolved in the middle of another one, so each has its own list of reported names. The list of an
        // interface is kept for its messages.
        let outer = std::mem::take(&mut self.unknown);
        let mut by_name = HashMap::new();
        for (index, decl) in body.iter().enumerate() {
            if let Decl::Type(decl) = decl {
                by_name.entry(decl.name.text.as_str()).or_insert((index, decl));
            }
        }
        let mut later = Later { by_name, now: 0, name: "" };
        for (index, decl) in body.iter().enumerate() {
            later.now = index;
            match decl {
                Decl::Import(import) => self.import(scope, import, file),
                Decl::Type(decl) => {
                    later.name = &decl.name.text;
                    self.type_decl(scope, module, decl, &later);
                }
                Decl::Const(decl) => self.constant(scope, module, decl, &later),
                Decl::Message(_) => {}
            }
        }
        if module != OWN {
            self.unknown = outer;
        }
        check_members(body, scope, self.diagnostics);
    }

    /// Resolves the arguments of messages, after the declarations of their interface.
    pub(super) fn messages<'a>(&mut self, scope: &mut Scope, body: &'a [Decl]) -> Vec<Message<'a>> {
        let messages = body.iter().filter_map(|decl| match decl {
            Decl::Message(message) => Some(message),
            Decl::Import(_) | Decl::Type(_) | Decl::Const(_) => None,
        });
        messages
            .map(|ast| Message {
                ast,
                args: ast.args.iter().filter_map(|arg| self.arg(scope, arg)).collect(),
            })
            .collect()
    }

    fn arg<'a>(&mut self, scope: &mut Scope, ast: &'a ast::Arg) -> Option<Arg<'a>> {
        let ty = self.reference(scope, &ast.ty, None);
        if let Some(Ty::Bulk { .. }) = ty {
            if ast.direction == Some(ast::Direction::Error) {
                self.misplaced_bulk(&ast.ty);
                return None;
            }
            return self.bulk(scope, ast);
        }
        let brackets = self.brackets(scope, &ast.suffix)?;
        if let (Brackets::Dynamic(length, max), false) = (&brackets, ast.optional) {
            let max = self.elements(*max);
            let ty = ty?;
            return Some(Arg { ast, ty, array: Some((length, max?)) });
        }
        let ty = self.value(scope, OWN, ast, ty, brackets)?;
        self.limits(&ast.name, &scope.facts(ty))?;
        Some(Arg { ast, ty, array: None })
    }

    /// Returns the type of an argument or a field: `ty` with what is written around the name.
    fn value(
        &mut self,
        scope: &mut Scope,
        module: ModuleId,
        ast: &ast::Arg,
        ty: Option<Ty>,
        brackets: Brackets<'_>,
    ) -> Option<Ty> {
        let ty = match (brackets, ty) {
            (Brackets::None, ty) => ty?,
            (Brackets::Bound(max), Some(Ty::String { .. })) => {
                let max = self.bound(max, MAX_STRING, "bytes of a string")?;
                Ty::String { max }
            }
            (Brackets::Bound(len), ty) => {
                let len = self.length(len);
                scope.make(Made::Array(ty?, len?), module)
            }
            (Brackets::Dynamic(_, max), ty) => {
                let max = self.elements(max);
                scope.make(Made::List(ty?, max?), module)
            }
        };
        Some(if ast.optional { scope.make(Made::Optional(ty), module) } else { ty })
    }

    /// Returns the maximum of a dynamic array.
    fn elements(&mut self, max: Option<Number>) -> Option<u32> {
        match max {
            Some(max) => self.bound(max, MAX_ELEMENTS, "elements of a dynamic array"),
            None => Some(DEFAULT_MAX),
        }
    }

    /// Returns the argument `bulk name[max]`.
    fn bulk<'a>(&mut self, scope: &Scope, ast: &'a ast::Arg) -> Option<Arg<'a>> {
        let name = &ast.name.text;
        if ast.optional {
            self.diagnostics.push(
                Diagnostic::new(Code::MisplacedBulk, ast.ty.place, "`bulk` cannot be optional")
                    .help("remove `optional`: bulk data may be empty"),
            );
            return None;
        }
        let (place, help) = match self.brackets(scope, &ast.suffix)? {
            Brackets::Bound(max) => {
                let max = self.bound(max, MAX_BULK, "bytes of a bulk argument")?;
                return Some(Arg { ast, ty: Ty::Bulk { max }, array: None });
            }
            Brackets::None => (ast.name.place, format!("write `bulk {name}[1048576]`")),
            Brackets::Dynamic(length, _) => (
                length.place,
                format!("write `bulk {name}[1048576]`: what is received knows its length"),
            ),
        };
        self.diagnostics.push(
            Diagnostic::new(Code::BulkWithoutMax, place, format!("`{name}` has no maximum"))
                .note("a bulk argument names the most bytes that it may have, at most 1 GiB")
                .help(help),
        );
        None
    }

    /// Reports `bulk` in a declaration of a type, or as an error.
    fn misplaced_bulk(&mut self, written: &ast::Name) {
        self.diagnostics.push(
            Diagnostic::new(Code::MisplacedBulk, written.place, "`bulk` in a type")
                .note("only arguments of messages can be bulk data")
                .help("pass it as an argument of its own: `bulk name[1048576]`"),
        );
    }

    /// Returns what stands in the brackets of an argument or a field.
    fn brackets<'a>(&mut self, scope: &Scope, suffix: &'a Suffix) -> Option<Brackets<'a>> {
        Some(match suffix {
            Suffix::None => Brackets::None,
            Suffix::Bound(int) => Brackets::Bound(number(int)?),
            Suffix::Dynamic(name, max) => {
                if scope.is_broken(&name.text) {
                    return None;
                }
                let value = scope.constant(&name.text);
                match (value, max) {
                    (Some(value), None) => Brackets::Bound(Number { value, place: name.place }),
                    (Some(_), Some(_)) => {
                        let (name, place) = (&name.text, name.place);
                        self.diagnostics.push(
                            Diagnostic::new(
                                Code::LengthIsConstant,
                                place,
                                format!("the length `{name}` is called as a constant"),
                            )
                            .label("expected a name for the length")
                            .help(format!(
                                "a dynamic array of at most `{name}` elements is `[n, {name}]`"
                            )),
                        );
                        return None;
                    }
                    (None, None) => Brackets::Dynamic(name, None),
                    (None, Some(max)) => Brackets::Dynamic(name, Some(self.size(scope, max)?)),
                }
            }
        })
    }

    /// Returns a number in brackets; `None` if it was malformed, or is the name of no constant.
    fn size(&mut self, scope: &Scope, size: &Size) -> Option<Number> {
        let name = match size {
            Size::Int(int) => return number(int),
            Size::Const(name) => name,
        };
        if let Some(value) = scope.constant(&name.text) {
            return Some(Number { value, place: name.place });
        }
        if !scope.damaged && !scope.is_broken(&name.text) {
            let text = format!("`{}` is no constant", name.text);
            self.diagnostics.push(Diagnostic::new(Code::UnknownConstant, name.place, text).help(
                format!("write a number, or declare `const uint32 {} = ..;` above", name.text),
            ));
        }
        None
    }

    /// `const type name = value;`
    fn constant(
        &mut self,
        scope: &mut Scope,
        module: ModuleId,
        decl: &ast::Const,
        later: &Later<'_>,
    ) {
        let meaning = match self.constant_value(scope, decl, later) {
            None => Meaning::Broken,
            Some((ty, value)) => {
                let name = names::value(&decl.name, &decl.attrs);
                if !scope.entries.contains_key(&decl.name.text) {
                    let docs = decl.attrs.docs.clone();
                    let constant =
                        Constant { name, docs, ty, value, declared_in: DeclaredIn::Here };
                    scope.add_constant(constant, module, decl.name.place, self.diagnostics);
                }
                Meaning::Const(value)
            }
        };
        let entry = Entry { meaning, place: decl.name.place, module };
        scope.declare(&decl.name.text, entry, self.diagnostics);
    }

    /// Returns the type and the value of a constant, after the rules of its declaration.
    fn constant_value(
        &mut self,
        scope: &Scope,
        decl: &ast::Const,
        later: &Later<'_>,
    ) -> Option<(Ty, i128)> {
        let place = decl.name.place;
        if builtin(&decl.name.text).is_some() {
            let text = format!("`{}` is a builtin type", decl.name.text);
            self.diagnostics.push(
                Diagnostic::new(Code::DuplicateType, place, text).help("choose another name"),
            );
            return None;
        }
        let rust = names::value_text(&decl.name, &decl.attrs);
        // Rust would take an argument of the same name for the constant; those that begin with a capital are renamed.
        let in_capitals = rust.starts_with(|c: char| c.is_ascii_uppercase())
            && !rust.contains(|c: char| c.is_ascii_lowercase());
        if !in_capitals {
            let text = format!("the constant `{rust}` is not in capitals");
            let help = format!("call it `{}`", rust.trim_start_matches('_').to_ascii_uppercase());
            self.diagnostics.push(Diagnostic::new(Code::ConstantName, place, text).help(help));
        }
        let ty = self.reference(scope, &decl.ty, Some(later))?;
        let Some((least, most)) = scope.builtin(ty).and_then(Builtin::range) else {
            let text = format!("a constant of the type `{}`", decl.ty.text);
            self.diagnostics.push(
                Diagnostic::new(Code::ConstantType, decl.ty.place, text)
                    .help("constants are integers: `uint8`, `int32`, `size`, .."),
            );
            return None;
        };
        let Number { value, place } = number(&decl.value)?;
        if !(least..=most).contains(&value) {
            let text = format!("{value} does not fit into `{}`", decl.ty.text);
            self.diagnostics.push(
                Diagnostic::new(Code::ConstantRange, place, text)
                    .help(format!("choose a number from {least} to {most}, or another type")),
            );
            return None;
        }
        in_capitals.then_some((ty, value))
    }

    fn bound(&mut self, Number { value, place }: Number, most: u64, what: &str) -> Option<u32> {
        if (1..=i128::from(most)).contains(&value) {
            // `most` is far below 2^32.
            return u32::try_from(value).ok();
        }
        self.diagnostics.push(
            Diagnostic::new(
                Code::BadBound,
                place,
                format!("the maximum number of {what} is out of range"),
            )
            .help(format!("choose a number from 1 to {most}")),
        );
        None
    }

    /// Resolves one declaration and adds its name to the scope.
    fn type_decl(
        &mut self,
        scope: &mut Scope,
        module: ModuleId,
        decl: &TypeDecl,
        later: &Later<'_>,
    ) {
        let entry = |meaning| Entry { meaning, place: decl.name.place, module };
        if let Some(kind) = redeclared(decl) {
            match kind {
                Redeclared::Original => {}
                Redeclared::Builtin => self.builtin_redeclared(scope, decl),
            }
            return;
        }
        if scope.entries.contains_key(&decl.name.text) {
            // Resolve the body too, to report its mistakes.
            let meaning = match self.kind(scope, module, decl, later) {
                Some(Declared::Alias(ty)) => Meaning::Alias(ty),
                _ => Meaning::Broken,
            };
            scope.declare(&decl.name.text, entry(meaning), self.diagnostics);
            return;
        }
        let meaning = match self.kind(scope, module, decl, later) {
            None => Meaning::Broken,
            Some(Declared::Alias(ty)) => Meaning::Alias(ty),
            Some(Declared::Type(kind, facts)) => {
                let declared_in = match &decl.kind {
                    TypeDeclKind::Use(path) => match syn::parse2(path.stream.clone()) {
                        Ok(path) => DeclaredIn::Rust(path),
                        Err(_) => return,
                    },
                    _ => DeclaredIn::Here,
                };
                let name = names::cased(&decl.name, &decl.attrs);
                let def = TypeDef {
                    name,
                    docs: decl.attrs.docs.clone(),
                    kind,
                    declared_in,
                    traits: facts.traits,
                };
                scope.claim(&def, module, decl.name.place, self.diagnostics);
                Meaning::Type(scope.add(def, facts, None, module))
            }
        };
        scope.declare(&decl.name.text, entry(meaning), self.diagnostics);
    }

    fn builtin_redeclared(&mut self, scope: &mut Scope, decl: &TypeDecl) {
        // `typedef new old;`, the order that the technical note gives.
        if let TypeDeclKind::Named(first) = &decl.kind
            && builtin(&first.text).is_none()
            && !scope.entries.contains_key(&first.text)
        {
            self.swapped(first, &decl.name);
            let entry = Entry { meaning: Meaning::Broken, place: first.place, module: OWN };
            scope.declare(&first.text, entry, self.diagnostics);
            return;
        }
        self.diagnostics.push(
            Diagnostic::new(
                Code::DuplicateType,
                decl.name.place,
                format!("`{}` is a builtin type", decl.name.text),
            )
            .label("declared again")
            .help("remove the declaration, or choose another name"),
        );
    }

    fn swapped(&mut self, first: &ast::Name, second: &ast::Name) {
        let message = format!("unknown type `{}`", first.text);
        self.diagnostics.push(Diagnostic::new(Code::UnknownType, first.place, message).help(
            format!("the existing type comes first: `typedef {} {};`", second.text, first.text),
        ));
    }

    fn kind(
        &mut self,
        scope: &mut Scope,
        module: ModuleId,
        decl: &TypeDecl,
        later: &Later<'_>,
    ) -> Option<Declared> {
        match &decl.kind {
            TypeDeclKind::Alias(target) => self.alias(scope, decl, target, later),
            TypeDeclKind::Struct(fields) => self.structure(scope, module, decl, fields, later),
            TypeDeclKind::Union(fields) => self.union(scope, module, decl, fields, later),
            TypeDeclKind::Enum(elements) => {
                let list = elements.iter().map(|element| Element {
                    name: names::cased(&element.name, &element.attrs),
                    docs: element.attrs.docs.clone(),
                });
                let canonical =
                    elements.iter().map(|element| element.name.text.len() as u64 + 1).sum::<u64>()
                        + 6;
                let traits = Traits { copy: true, caps: false, gives_away: false, eq: true };
                let facts = Facts { size: 4, align: 4, depth: 1, caps: 0, canonical, traits };
                Some(Declared::Type(TypeKind::Enum(list.collect()), facts))
            }
            TypeDeclKind::Array(elem, length) => self.array(scope, decl, elem, length, later),
            TypeDeclKind::Named(old) => {
                if !known(scope, &old.text, later) && known(scope, &decl.name.text, later) {
                    self.swapped(old, &decl.name);
                    return None;
                }
                let ty = self.reference(scope, old, Some(later))?;
                let facts = scope.facts(ty);
                let facts = Facts { depth: facts.depth + 1, ..facts };
                self.limits(&decl.name, &facts)?;
                Some(Declared::Type(TypeKind::Alias(ty), facts))
            }
            TypeDeclKind::Use(_) => {
                let facts = Facts {
                    size: 0,
                    align: 1,
                    depth: 1,
                    caps: 0,
                    canonical: 13,
                    traits: Traits::default(),
                };
                Some(Declared::Type(TypeKind::Extern, facts))
            }
        }
    }

    fn alias(
        &mut self,
        scope: &Scope,
        decl: &TypeDecl,
        target: &ast::Name,
        later: &Later<'_>,
    ) -> Option<Declared> {
        match builtin(&target.text) {
            Some(Ty::Bulk { .. }) => {
                self.misplaced_bulk(target);
                return None;
            }
            Some(ty) => return Some(Declared::Alias(ty)),
            None => {}
        }
        let name = &decl.name.text;
        let entry = scope.entries.get(&target.text);
        if builtin(name).is_some()
            || (entry.is_none() && !later.by_name.contains_key(target.text.as_str()))
        {
            self.reference(scope, target, Some(later))?;
        }
        if entry.is_some_and(|entry| entry.meaning == Meaning::Broken) {
            return None;
        }
        self.diagnostics.push(
            Diagnostic::new(
                Code::AliasOfType,
                target.place,
                format!("`{}` is not a builtin type", target.text),
            )
            .note("`alias` renames builtin types only")
            .help(format!("write `typedef {} {name};`", target.text)),
        );
        None
    }

    fn structure(
        &mut self,
        scope: &mut Scope,
        module: ModuleId,
        decl: &TypeDecl,
        fields: &[ast::Arg],
        later: &Later<'_>,
    ) -> Option<Declared> {
        let list = self.fields(scope, module, fields, later);
        let whole = list.len() == fields.len();
        let mut facts = Facts {
            size: 0,
            align: 1,
            depth: 0,
            caps: 0,
            canonical: 2,
            traits: Traits { copy: true, caps: false, gives_away: false, eq: true },
        };
        for field in &list {
            let part = scope.facts(field.ty);
            facts.size = facts.size.next_multiple_of(part.align).saturating_add(part.size);
            facts.align = facts.align.max(part.align);
            facts.caps = facts.caps.saturating_add(part.caps);
            facts.add_part(part, field.name.idl.len());
        }
        facts.size = facts.size.next_multiple_of(facts.align);
        facts.depth += 1;
        self.limits(&decl.name, &facts)?;
        whole.then_some(Declared::Type(TypeKind::Struct(list), facts))
    }

    fn union(
        &mut self,
        scope: &mut Scope,
        module: ModuleId,
        decl: &TypeDecl,
        fields: &[ast::Arg],
        later: &Later<'_>,
    ) -> Option<Declared> {
        let mut list = self.fields(scope, module, fields, later);
        if list.len() < fields.len() {
            return None;
        }
        // The value lies behind the record that holds the union.
        let traits = Traits { copy: true, caps: false, gives_away: false, eq: true };
        let mut facts = Facts { size: 4, align: 4, depth: 0, caps: 0, canonical: 6, traits };
        for (field, ast) in list.iter_mut().zip(fields) {
            let part = scope.facts(field.ty);
            if part.size > MAX_UNION {
                let text =
                    format!("the field `{}` of a union has {} bytes", ast.name.text, part.size);
                let help = format!(
                    "a field of a union has at most {MAX_UNION} bytes; pass more as a dynamic array"
                );
                self.diagnostics
                    .push(Diagnostic::new(Code::TypeTooLarge, ast.name.place, text).help(help));
                return None;
            }
            facts.caps = facts.caps.max(part.caps);
            facts.add_part(part, field.name.idl.len() + 4);
            field.name = names::cased(&ast.name, &ast.attrs);
        }
        facts.depth += 1;
        self.limits(&decl.name, &facts)?;
        Some(Declared::Type(TypeKind::Union(list), facts))
    }

    /// Resolves fields. Those with a mistake are missing.
    fn fields(
        &mut self,
        scope: &mut Scope,
        module: ModuleId,
        fields: &[ast::Arg],
        later: &Later<'_>,
    ) -> Vec<Field> {
        let mut list = Vec::with_capacity(fields.len());
        for field in fields {
            let ty = self.reference(scope, &field.ty, Some(later));
            let brackets = self.brackets(scope, &field.suffix);
            let ty = brackets.and_then(|brackets| self.value(scope, module, field, ty, brackets));
            if let Some(ty) = ty {
                let name = names::value(&field.name, &field.attrs);
                list.push(Field { name, docs: field.attrs.docs.clone(), ty });
            }
        }
        list
    }

    fn array(
        &mut self,
        scope: &Scope,
        decl: &TypeDecl,
        elem: &ast::Name,
        length: &Size,
        later: &Later<'_>,
    ) -> Option<Declared> {
        let ty = self.reference(scope, elem, Some(later));
        let length = self.size(scope, length);
        let len = length.and_then(|length| self.length(length));
        let (ty, len) = (ty?, len?);
        let facts = scope.facts(ty).of_array(len);
        self.limits(&decl.name, &facts)?;
        Some(Declared::Type(TypeKind::Array { elem: ty, len }, facts))
    }

    /// Returns the length of a fixed array.
    fn length(&mut self, Number { value, place }: Number) -> Option<u64> {
        let len = u64::try_from(value).ok().filter(|len| (1..=MAX_LENGTH).contains(len));
        if len.is_none() {
            let text = "the length of a fixed array is out of range";
            self.diagnostics.push(
                Diagnostic::new(Code::BadLength, place, text)
                    .help(format!("choose a number from 1 to {MAX_LENGTH}")),
            );
        }
        len
    }

    fn limits(&mut self, name: &ast::Name, facts: &Facts) -> Option<()> {
        let (code, message, help) = if facts.size > MAX_SIZE {
            let message = format!("the type `{}` has {} bytes", name.text, facts.size);
            (
                Code::TypeTooLarge,
                message,
                "a type has at most 65536 bytes; pass more as a dynamic array",
            )
        } else if facts.depth > MAX_DEPTH {
            let message = format!("the type `{}` is nested too deeply", name.text);
            (Code::TypeTooDeep, message, "nest types at most 64 deep")
        } else {
            return Some(());
        };
        self.diagnostics.push(Diagnostic::new(code, name.place, message).help(help));
        None
    }

    /// Resolves the name of a type. `later` has the declarations that are not yet visible.
    fn reference(
        &mut self,
        scope: &Scope,
        name: &ast::Name,
        later: Option<&Later<'_>>,
    ) -> Option<Ty> {
        match scope.entries.get(&name.text).map(|entry| entry.meaning) {
            Some(Meaning::Alias(ty)) => return Some(ty),
            Some(Meaning::Type(id)) => return Some(Ty::Named(id)),
            Some(Meaning::Broken) => return None,
            Some(Meaning::Const(_)) => {
                let text = format!("`{}` is a constant, not a type", name.text);
                self.diagnostics
                    .push(Diagnostic::new(Code::UnknownType, name.place, text).help("name a type"));
                return None;
            }
            None => {}
        }
        match builtin(&name.text) {
            Some(Ty::Bulk { .. }) if later.is_some() => {
                self.misplaced_bulk(name);
                return None;
            }
            Some(ty) => return Some(ty),
            None => {}
        }
        match later.and_then(|later| Some((later, later.by_name.get(name.text.as_str())?))) {
            Some((later, (index, decl))) if *index >= later.now => {
                self.too_early(name, decl, *index, later)
            }
            _ => self.unknown(scope, name),
        }
        None
    }

    fn too_early(&mut self, name: &ast::Name, decl: &TypeDecl, index: usize, later: &Later<'_>) {
        if index == later.now || mentions(decl, later.name) {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::RecursiveType,
                    name.place,
                    format!("`{}` contains itself", name.text),
                )
                .note("a value of it would have no end")
                .help("send the parts in messages of their own, or as a dynamic array"),
            );
        } else {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::UseBeforeDeclaration,
                    name.place,
                    format!("`{}` is used before its declaration", name.text),
                )
                .also(decl.name.place, "declared here")
                .help(format!("move the declaration of `{}` up", name.text)),
            );
        }
    }

    /// Reports an unknown type, once for each name.
    fn unknown(&mut self, scope: &Scope, name: &ast::Name) {
        if scope.damaged || self.unknown.contains(&name.text) {
            return;
        }
        self.unknown.insert(name.text.clone());
        let message = format!("unknown type `{}`", name.text);
        let diagnostic =
            Diagnostic::new(Code::UnknownType, name.place, message).label("not declared");
        let similar = if self.suggestions > 0 { similar(&name.text, scope) } else { None };
        self.suggestions = self.suggestions.saturating_sub(1);
        let help = match similar {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => "declare it above, or import the file that declares it".to_owned(),
        };
        self.diagnostics.push(diagnostic.help(help));
    }
}

/// Brackets after the name of an argument or a field, with constants replaced by their values.
enum Brackets<'a> {
    None,
    /// `[bound]`
    Bound(Number),
    /// `[length]` or `[length, max]`
    Dynamic(&'a ast::Name, Option<Number>),
}

/// A number or the value of a constant, where it is used.
#[derive(Debug, Clone, Copy)]
struct Number {
    value: i128,
    place: Place,
}

/// Returns the number of a literal, unless it is malformed.
fn number(int: &ast::Int) -> Option<Number> {
    let value = i128::from(int.value?);
    Some(Number { value: if int.negative { -value } else { value }, place: int.place })
}

/// Result of resolving a declaration.
enum Declared {
    Alias(Ty),
    Type(TypeKind, Facts),
}

/// A declaration of a name that is builtin.
enum Redeclared {
    /// An alias of `iref` or `errval` to itself, as in the shared files of Barrelfish: without effect.
    Original,
    Builtin,
}

fn redeclared(decl: &TypeDecl) -> Option<Redeclared> {
    let name = decl.name.text.as_str();
    builtin(name)?;
    match (&decl.kind, name) {
        (TypeDeclKind::Alias(target), "iref" | "errval") if builtin(&target.text).is_some() => {
            Some(Redeclared::Original)
        }
        _ => Some(Redeclared::Builtin),
    }
}

fn known(scope: &Scope, name: &str, later: &Later<'_>) -> bool {
    let declared_later = later.by_name.get(name).is_some_and(|(index, _)| *index > later.now);
    scope.entries.contains_key(name) || builtin(name).is_some() || declared_later
}

/// Returns true if a declaration uses `name` itself.
fn mentions(decl: &TypeDecl, name: &str) -> bool {
    match &decl.kind {
        TypeDeclKind::Struct(fields) | TypeDeclKind::Union(fields) => {
            fields.iter().any(|field| field.ty.text == name)
        }
        TypeDeclKind::Array(old, _) | TypeDeclKind::Named(old) | TypeDeclKind::Alias(old) => {
            old.text == name
        }
        TypeDeclKind::Enum(_) | TypeDeclKind::Use(_) => false,
    }
}
