//! Parsing of type declarations, fields and arguments.

use crate::ast::*;
use crate::diag::{Code, Diagnostic};
use crate::token::{self, Kind};

use super::{Dialect, Parse, Parser, Reported};

impl Parser<'_> {
    /// `alias new builtin;`
    pub(super) fn alias(&mut self, attrs: Attrs) -> Parse<TypeDecl> {
        self.next();
        self.no_attrs(&attrs, "an alias");
        let name = self.name("the new name")?;
        let target = self.reference("a builtin type")?;
        self.semicolon("the alias")?;
        Ok(TypeDecl {
            attrs: Attrs { docs: attrs.docs, ..Attrs::default() },
            name,
            kind: TypeDeclKind::Alias(target),
        })
    }

    /// `const type name = value;`
    pub(super) fn constant(&mut self, attrs: Attrs) -> Parse<Const> {
        self.next();
        let ty = self.reference("the type of the constant")?;
        let name = self.name("the name of the constant")?;
        self.expect(&Kind::Punct('='))?;
        let value = self.int("a number")?;
        self.semicolon("the constant")?;
        Ok(Const { attrs, ty, name, value })
    }

    /// `typedef ..;`
    pub(super) fn typedef(&mut self, attrs: Attrs) -> Parse<Option<TypeDecl>> {
        self.next();
        let braced = *self.kind_after(1) == Kind::Open('{');
        let word = self.word().unwrap_or("");
        let lower =
            if braced { self.keyword_case(word, &["struct", "enum", "union"]) } else { None };
        let declared = match lower.as_deref().unwrap_or(word) {
            "struct" if braced => self.record(attrs, false)?,
            "union" if braced => self.record(attrs, true)?,
            "enum" if braced => self.enumeration(attrs)?,
            _ => Some(self.renaming(attrs)?),
        };
        self.semicolon("the typedef")?;
        Ok(declared)
    }

    /// Parses a struct, or a union.
    fn record(&mut self, attrs: Attrs, is_union: bool) -> Parse<Option<TypeDecl>> {
        let place = self.next().place;
        let (fields, damaged) = self.fields()?;
        let (what, empty) =
            if is_union { ("union", Code::EmptyUnion) } else { ("struct", Code::EmptyStruct) };
        if fields.is_empty() && !damaged {
            self.report(
                Diagnostic::new(empty, place, format!("a {what} without fields"))
                    .help("declare at least one field: `uint32 x;`"),
            );
        }
        let name = self.name(&format!("the name of the {what}"))?;
        let kind =
            if is_union { TypeDeclKind::Union(fields) } else { TypeDeclKind::Struct(fields) };
        Ok(Some(TypeDecl { attrs, name, kind }))
    }

    /// Parses `{ .. }` around fields. Returns true with them if one was malformed.
    fn fields(&mut self) -> Parse<(Vec<Arg>, bool)> {
        self.next();
        let (mut fields, mut damaged) = (Vec::new(), false);
        while !matches!(self.kind(), Kind::Close('}') | Kind::End) {
            match self.field() {
                Ok(field) => fields.push(field),
                Err(Reported) => {
                    damaged = true;
                    self.skip_to(&[Kind::Punct(';')]);
                    // Skip closing brackets without an opening one, one at a time.
                    if !self.eat(&Kind::Punct(';')) && *self.kind() != Kind::Close('}') {
                        self.next();
                    }
                }
            }
        }
        self.expect(&Kind::Close('}'))?;
        Ok((fields, damaged))
    }

    fn field(&mut self) -> Parse<Arg> {
        let attrs = self.attrs(false);
        let field = self.typed(attrs, None, "the type of a field")?;
        if *self.kind() == Kind::Close('}') {
            // The type ends here: skip no token.
            let _ = self.semicolon("the field");
        } else {
            self.semicolon("the field")?;
        }
        Ok(field)
    }

    fn enumeration(&mut self, attrs: Attrs) -> Parse<Option<TypeDecl>> {
        let place = self.next().place;
        self.next();
        let mut elements = Vec::new();
        let mut damaged = false;
        while !matches!(self.kind(), Kind::Close('}') | Kind::End) {
            match self.element() {
                Ok(element) => elements.push(element),
                Err(Reported) => {
                    damaged = true;
                    self.skip_to(&[Kind::Punct(',')]);
                    if !matches!(self.kind(), Kind::Punct(',') | Kind::Close('}')) {
                        self.next();
                    }
                }
            }
            self.eat(&Kind::Punct(','));
        }
        self.expect(&Kind::Close('}'))?;
        if elements.is_empty() && !damaged {
            self.report(
                Diagnostic::new(Code::EmptyEnum, place, "an enumeration without elements")
                    .help("declare at least one element"),
            );
        }
        let name = self.name("the name of the enumeration")?;
        Ok(Some(TypeDecl { attrs, name, kind: TypeDeclKind::Enum(elements) }))
    }

    fn element(&mut self) -> Parse<Element> {
        let attrs = self.attrs(false);
        let name = self.name("the name of an element")?;
        match self.kind() {
            Kind::Punct(',') | Kind::Close('}') => Ok(Element { attrs, name }),
            Kind::Punct('=') => {
                let diagnostic =
                    Diagnostic::new(Code::Expected, self.place(), "expected `,` or `}`, found `=`")
                        .help("elements have no explicit values: they count from 0");
                Err(self.report(diagnostic))
            }
            _ => Err(self.expected("`,` or `}`")),
        }
    }

    /// `typedef old new;` and `typedef element new[length];`
    fn renaming(&mut self, attrs: Attrs) -> Parse<TypeDecl> {
        let old = self.reference("a type")?;
        let name = self.name("the new name")?;
        let kind = if self.eat(&Kind::Open('[')) {
            let length = self.size("the length of the array")?;
            self.expect(&Kind::Close(']'))?;
            TypeDeclKind::Array(old, length)
        } else {
            TypeDeclKind::Named(old)
        };
        Ok(TypeDecl { attrs, name, kind })
    }

    /// `use path as name;`
    pub(super) fn use_type(&mut self, attrs: Attrs) -> Parse<Option<TypeDecl>> {
        let place = self.next().place;
        let start = self.at;
        while !matches!(
            self.kind(),
            Kind::Punct(';') | Kind::Open('{') | Kind::Close(_) | Kind::End
        ) && self.word() != Some("as")
        {
            self.next();
        }
        let path = &self.tokens[start..self.at];
        if self.dialect == Dialect::Text {
            return Err(self.report(
                Diagnostic::new(Code::UseInText, place, "`use` in an interface file")
                    .note("a path of Rust means something in Rust source only")
                    .help("declare the type here, or write the interface in `flounder!`"),
            ));
        }
        if self.word() != Some("as") {
            let diagnostic =
                Diagnostic::new(Code::Expected, self.place(), "expected `as` and a name")
                    .help("write `use path::Type as name;`");
            return Err(self.report(diagnostic));
        }
        self.next();
        let name = self.name("the name of the type in this interface")?;
        self.semicolon("the use")?;
        let stream = token::rust_between(path, None).unwrap_or_default();
        if syn::parse2::<syn::Path>(stream.clone()).is_err() {
            let place = path.first().map_or(place, |token| token.place);
            self.report(
                Diagnostic::new(Code::Expected, place, "expected the path of a Rust type")
                    .help("write `use path::Type as name;`"),
            );
            return Ok(None);
        }
        Ok(Some(TypeDecl { attrs, name, kind: TypeDeclKind::Use(Tokens { stream, place }) }))
    }

    /// `type name`, `type name[bound]`, `type name[length]`, `type name[length, max]`; each also behind `optional`.
    pub(super) fn typed(
        &mut self,
        attrs: Attrs,
        direction: Option<Direction>,
        what: &str,
    ) -> Parse<Arg> {
        // A type may be called `optional`: the keyword stands before two names.
        let is_before_two = matches!(self.kind_after(1), Kind::Ident(_))
            && matches!(self.kind_after(2), Kind::Ident(_));
        let word = self.word().filter(|_| is_before_two).unwrap_or("");
        let lower = self.keyword_case(word, &["optional"]);
        let optional = lower.as_deref().unwrap_or(word) == "optional";
        if optional {
            self.next();
        }
        let ty = self.reference(what)?;
        let name = self.name("a name")?;
        let mut suffix = Suffix::None;
        if self.eat(&Kind::Open('[')) {
            suffix = match self.kind() {
                Kind::Int(_) | Kind::Punct('-') => Suffix::Bound(self.int("a number")?),
                Kind::Ident(_) => {
                    let length = self.name("the name of the length")?;
                    let max = if self.eat(&Kind::Punct(',')) {
                        Some(self.size("the maximum")?)
                    } else {
                        None
                    };
                    Suffix::Dynamic(length, max)
                }
                _ => {
                    return Err(self.expected("the name of the length, or a number"));
                }
            };
            self.expect(&Kind::Close(']'))?;
        }
        Ok(Arg { attrs, optional, direction, ty, name, suffix })
    }

    /// Parses a number or the name of a constant.
    fn size(&mut self, what: &str) -> Parse<Size> {
        match self.kind() {
            Kind::Ident(_) => self.reference(what).map(Size::Const),
            _ => self.int(what).map(Size::Int),
        }
    }

    /// Parses a number. A negative one is accepted here and refused by the checker.
    pub(super) fn int(&mut self, what: &str) -> Parse<Int> {
        let negative =
            *self.kind() == Kind::Punct('-') && matches!(self.kind_after(1), Kind::Int(_));
        if negative {
            self.next();
        }
        let Kind::Int(value) = *self.kind() else { return Err(self.expected(what)) };
        Ok(Int { value, negative, place: self.next().place })
    }
}
