//! Parser: tokens to syntax tree.
//!
//! A malformed declaration is reported once and skipped up to its `;` or the enclosing `}`; parsing continues there.
//! Every loop consumes a token or ends, so parsing takes linear time.

mod attrs;
mod message;
mod types;

use crate::ast::*;
use crate::diag::{Code, Diagnostic, Diagnostics, Place};
use crate::parse::message::Annotated;
use crate::token::{self, Kind, Token, Tokens as TokenList};

/// Kind of an input, which decides what declarations are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The tokens of a macro call.
    Macro,
    /// The text of a file.
    Text,
}

/// Parses a unit. Malformed declarations are reported and left out.
pub(crate) fn unit(tokens: &TokenList, text: Option<&str>, diagnostics: &mut Diagnostics) -> Unit {
    Parser::new(tokens, text, diagnostics).unit()
}

/// Parses an import file.
pub(crate) fn types_file(
    tokens: &TokenList,
    text: Option<&str>,
    diagnostics: &mut Diagnostics,
) -> (Vec<Decl>, bool) {
    let mut parser = Parser::new(tokens, text, diagnostics);
    let mut body = Vec::new();
    let damaged = parser.body(Scope::File, &mut body);
    (body, damaged || tokens.torn)
}

/// Owner of a list of declarations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Interface,
    Types,
    File,
}

/// Marker error: the mistake has been reported.
struct Reported;

type Parse<T> = Result<T, Reported>;

struct Parser<'a> {
    tokens: &'a [Token],
    /// Index of the current token; never beyond the last token, [`Kind::End`].
    at: usize,
    torn: bool,
    text: Option<&'a str>,
    dialect: Dialect,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Parser<'a> {
    fn new(tokens: &'a TokenList, text: Option<&'a str>, diagnostics: &'a mut Diagnostics) -> Self {
        let dialect = if text.is_some() { Dialect::Text } else { Dialect::Macro };
        Self { tokens: &tokens.list, at: 0, torn: tokens.torn, text, dialect, diagnostics }
    }

    // Tokens.

    fn token(&self) -> &'a Token {
        &self.tokens[self.at]
    }

    fn kind(&self) -> &'a Kind {
        &self.token().kind
    }

    fn kind_after(&self, count: usize) -> &'a Kind {
        self.tokens.get(self.at + count).map_or(&Kind::End, |token| &token.kind)
    }

    fn place(&self) -> Place {
        self.token().place
    }

    fn word(&self) -> Option<&'a str> {
        match self.kind() {
            Kind::Ident(word) => Some(word),
            _ => None,
        }
    }

    fn next(&mut self) -> &'a Token {
        let token = self.token();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn eat(&mut self, kind: &Kind) -> bool {
        let found = self.kind() == kind;
        if found {
            self.next();
        }
        found
    }

    fn report(&mut self, diagnostic: Diagnostic) -> Reported {
        self.diagnostics.push(diagnostic);
        Reported
    }

    fn expected(&mut self, what: &str) -> Reported {
        let found = self.kind();
        if self.torn && matches!(found, Kind::End | Kind::Close('}') | Kind::Punct(';')) {
            // The lexer has reported the missing bracket or quote.
            return Reported;
        }
        let message = format!("expected {what}, found {}", found.describe());
        let diagnostic = Diagnostic::new(Code::Expected, self.place(), message)
            .label(format!("expected {what}"));
        self.report(diagnostic)
    }

    fn expect(&mut self, kind: &Kind) -> Parse<Place> {
        let place = self.place();
        if self.eat(kind) { Ok(place) } else { Err(self.expected(&kind.describe())) }
    }

    /// Parses the name of a new item.
    fn name(&mut self, what: &str) -> Parse<Name> {
        let name = self.reference(what)?;
        if let Some(reason) = token::reserved(&name.text) {
            self.report(
                Diagnostic::new(
                    Code::ReservedName,
                    name.place,
                    format!("`{}` cannot be a name", name.text),
                )
                .note(reason)
                .help("choose another name"),
            );
        }
        Ok(name)
    }

    /// Parses the name of an existing item.
    fn reference(&mut self, what: &str) -> Parse<Name> {
        let Some(word) = self.word() else { return Err(self.expected(what)) };
        let place = self.next().place;
        Ok(Name { text: word.to_owned(), place })
    }

    /// Parses the `;` of a declaration. Reports a missing one and does not skip the token in its place.
    fn semicolon(&mut self, after: &str) -> Parse<()> {
        if self.eat(&Kind::Punct(';')) {
            return Ok(());
        }
        if self.torn && *self.kind() == Kind::End {
            return Err(Reported);
        }
        let place = self.tokens[self.at.saturating_sub(1)].place;
        let diagnostic =
            Diagnostic::new(Code::MissingSemicolon, place, format!("missing `;` after {after}"))
                .label("expected `;` after this")
                .help(format!("end {after} with `;`"));
        self.report(diagnostic);
        // The next declaration begins here: skip no token.
        if self.begins_declaration() || matches!(self.kind(), Kind::Close('}') | Kind::End) {
            Ok(())
        } else {
            Err(Reported)
        }
    }

    fn begins_declaration(&self) -> bool {
        match self.kind() {
            Kind::Punct('@' | '#') => true,
            Kind::Ident(word) => {
                matches!(
                    word.as_str(),
                    "import"
                        | "alias"
                        | "typedef"
                        | "const"
                        | "use"
                        | "interface"
                        | "types"
                        | "pub"
                ) || message::word(word).is_some()
            }
            _ => false,
        }
    }

    /// Skips to the end of a declaration: past its `;`, or up to the `}` that ends the list of declarations.
    fn recover(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.kind() {
                Kind::End => return,
                Kind::Punct(';') if depth == 0 => {
                    self.next();
                    return;
                }
                Kind::Close('}') if depth == 0 => return,
                Kind::Open(_) => depth += 1,
                Kind::Close(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.next();
        }
    }

    /// Skips to one of `ends` outside of inner brackets, without consuming that token.
    fn skip_to(&mut self, ends: &[Kind]) {
        let mut depth = 0_usize;
        while *self.kind() != Kind::End {
            if depth == 0 && (ends.contains(self.kind()) || *self.kind() == Kind::Close('}')) {
                return;
            }
            match self.kind() {
                Kind::Open(_) => depth += 1,
                Kind::Close(_) if depth == 0 => return,
                Kind::Close(_) => depth -= 1,
                _ => {}
            }
            self.next();
        }
    }

    /// Consumes the keyword `wanted`. A keyword in another case is reported and consumed too.
    fn keyword_case(&mut self, word: &str, known: &[&str]) -> Option<String> {
        let lower = word.to_ascii_lowercase();
        if lower == word || !known.contains(&lower.as_str()) {
            return None;
        }
        let place = self.place();
        self.report(
            Diagnostic::new(
                Code::KeywordCase,
                place,
                format!("the keyword `{lower}` is written `{word}`"),
            )
            .label("keywords are in lower case")
            .help(format!("write `{lower}`")),
        );
        Some(lower)
    }

    // Units.

    fn unit(mut self) -> Unit {
        const KEYWORDS: &[&str] = &["interface", "import", "types"];
        let mut unit = Unit::default();
        while *self.kind() != Kind::End {
            let before = self.at;
            let mut attrs = self.attrs(true);
            let marks = self.marks_of_unit(&mut attrs);
            let word = self.word().unwrap_or("");
            let lower = self.keyword_case(word, KEYWORDS);
            let parsed = match lower.as_deref().unwrap_or(word) {
                "interface" => self
                    .interface(attrs, marks)
                    .map(|interface| unit.items.push(Item::Interface(interface))),
                "types" | "import" if !marks.is_empty() => {
                    let diagnostic = Diagnostic::new(
                        Code::BadMark,
                        marks[0].place,
                        format!("`@{}` before something else than an interface", marks[0].text),
                    )
                    .help("remove it");
                    Err(self.report(diagnostic))
                }
                "types" => self.types(attrs).map(|types| unit.items.push(Item::Types(types))),
                "import" => {
                    self.no_attrs(&attrs, "an import");
                    self.import().map(|import| unit.items.push(Item::Import(import)))
                }
                _ => Err(self.stray()),
            };
            if parsed.is_err() {
                self.recover();
                // A closing brace without an opening one.
                while self.eat(&Kind::Close('}')) || self.eat(&Kind::Punct(';')) {}
            }
            debug_assert!(
                self.at > before || *self.kind() == Kind::End,
                "each turn consumes something"
            );
        }
        if unit.items.is_empty() && self.diagnostics.is_empty() {
            let place = self.place();
            self.report(
                Diagnostic::new(Code::EmptyUnit, place, "nothing is declared here")
                    .help("declare an interface: `interface name { message hello(); };`"),
            );
        }
        unit
    }

    fn stray(&mut self) -> Reported {
        let (place, found) = (self.place(), self.kind().describe());
        let diagnostic = if self.begins_declaration() || self.at > 0 {
            Diagnostic::new(Code::TrailingInput, place, format!("{found} outside of an interface"))
                .label("expected `interface`, `types`, `import` or the end")
                .help("move it into the braces of an interface, or remove it")
        } else {
            Diagnostic::new(Code::Expected, place, format!("expected `interface`, found {found}"))
                .label("expected `interface`, `types` or `import`")
                .help("an interface is `interface name { message hello(); };`")
        };
        if self.torn && *self.kind() == Kind::End { Reported } else { self.report(diagnostic) }
    }

    /// Parses what begins with `@` before an interface, and the attributes behind it.
    fn marks_of_unit(&mut self, attrs: &mut Attrs) -> Vec<Name> {
        let mut marks = Vec::new();
        while *self.kind() == Kind::Punct('@') {
            match self.annotation() {
                Ok(Annotated::Mark(mark)) => marks.push(mark),
                Ok(Annotated::With(annotation)) => {
                    let diagnostic = Diagnostic::new(
                        Code::BadAnnotation,
                        annotation.context.place,
                        "an annotation with parameters before an interface",
                    )
                    .help("move it before a message or an rpc");
                    self.report(diagnostic);
                }
                Err(Reported) => self.skip_to(&[
                    Kind::Ident("interface".to_owned()),
                    Kind::Punct('@'),
                    Kind::Open('{'),
                ]),
            }
            let more = self.attrs(true);
            attrs.docs.extend(more.docs);
            attrs.others.extend(more.others);
            attrs.rust_name = attrs.rust_name.take().or(more.rust_name);
            attrs.visibility = attrs.visibility.take().or(more.visibility);
        }
        marks
    }

    fn interface(&mut self, attrs: Attrs, marks: Vec<Name>) -> Parse<Interface> {
        self.next();
        let name = self.name("the name of the interface")?;
        let description = match self.kind() {
            Kind::Str(text) => {
                self.next();
                Some(text.clone())
            }
            _ => None,
        };
        let mut interface =
            Interface { attrs, marks, name, description, body: Vec::new(), damaged: self.torn };
        if self.expect(&Kind::Open('{')).is_err() {
            interface.damaged = true;
            self.skip_to(&[Kind::Open('{'), Kind::Punct(';')]);
            if !self.eat(&Kind::Open('{')) {
                self.recover();
                return Ok(interface);
            }
        }
        interface.damaged |= self.body(Scope::Interface, &mut interface.body);
        self.eat(&Kind::Punct(';'));
        Ok(interface)
    }

    fn types(&mut self, mut attrs: Attrs) -> Parse<Types> {
        self.next();
        if let Some(other) = attrs.others.first() {
            let diagnostic = Diagnostic::new(
                Code::BadAttribute,
                other.place,
                "an attribute of a module of types",
            )
            .help("only doc comments and `#[rust_name = \"..\"]` can stand here");
            self.report(diagnostic);
            attrs.others.clear();
        }
        let name = self.name("the name of the module of types")?;
        self.expect(&Kind::Open('{'))?;
        let mut body = Vec::new();
        self.body(Scope::Types, &mut body);
        self.eat(&Kind::Punct(';'));
        Ok(Types { attrs, name, body })
    }

    /// Parses declarations up to the closing brace (in a file: up to its end). Returns true if one was malformed.
    fn body(&mut self, scope: Scope, body: &mut Vec<Decl>) -> bool {
        let mut damaged = false;
        loop {
            match self.kind() {
                Kind::End if scope == Scope::File => return damaged,
                Kind::End => {
                    self.expected("`}`");
                    return true;
                }
                Kind::Close('}') if scope != Scope::File => {
                    self.next();
                    return damaged;
                }
                Kind::Close(_) => {
                    self.expected("a declaration");
                    self.next();
                    damaged = true;
                }
                _ => match self.declaration(scope) {
                    Ok(Some(declaration)) => body.push(declaration),
                    Ok(None) => damaged = true,
                    Err(Reported) => {
                        damaged = true;
                        self.recover();
                    }
                },
            }
        }
    }

    fn declaration(&mut self, scope: Scope) -> Parse<Option<Decl>> {
        const KEYWORDS: &[&str] = &[
            "import",
            "alias",
            "typedef",
            "const",
            "use",
            "message",
            "call",
            "response",
            "rpc",
            "interface",
            "types",
        ];
        let attrs = self.attrs(false);
        if *self.kind() == Kind::Punct('@') {
            return self.message(attrs, scope);
        }
        let Some(written) = self.word() else { return Err(self.unknown_declaration(scope)) };
        let lower = self.keyword_case(written, KEYWORDS);
        match lower.as_deref().unwrap_or(written) {
            "import" => {
                self.no_attrs(&attrs, "an import");
                self.import().map(|import| Some(Decl::Import(import)))
            }
            "alias" => self.alias(attrs).map(|alias| Some(Decl::Type(alias))),
            "typedef" => self.typedef(attrs).map(|typedef| typedef.map(Decl::Type)),
            "const" => self.constant(attrs).map(|constant| Some(Decl::Const(constant))),
            "use" => self.use_type(attrs).map(|used| used.map(Decl::Type)),
            word if message::word(word).is_some() => self.message(attrs, scope),
            _ => Err(self.unknown_declaration(scope)),
        }
    }

    fn unknown_declaration(&mut self, scope: Scope) -> Reported {
        if self.torn && *self.kind() == Kind::End {
            return Reported;
        }
        let found = self.kind().describe();
        let (code, message, help) = match scope {
            Scope::Interface => (
                Code::UnknownDeclaration,
                format!("expected a declaration, found {found}"),
                "a declaration begins with `import`, `alias`, `typedef`, `const`, `message`, `call`, `response` or `rpc`",
            ),
            Scope::Types | Scope::File => (
                Code::NotAType,
                format!("expected the declaration of a type, found {found}"),
                "shared types are declared with `alias`, `typedef`, `const` and `import` only",
            ),
        };
        let diagnostic = Diagnostic::new(code, self.place(), message).help(help);
        self.report(diagnostic)
    }

    fn import(&mut self) -> Parse<Import> {
        self.next();
        let place = self.place();
        let Kind::Str(path) = self.kind() else {
            return Err(self.expected("the path of a file in double quotes"));
        };
        self.next();
        let mut import = Import { path: path.clone(), place, module: None };
        if self.word() == Some("as") {
            self.next();
            import.module = Some(self.module_path()?);
        }
        self.semicolon("the import")?;
        Ok(import)
    }

    fn module_path(&mut self) -> Parse<ModulePath> {
        let double_colon = |parser: &mut Self| {
            let pair = parser.tokens.get(parser.at..parser.at + 2);
            let found = pair.is_some_and(|pair| token::is_double_colon(&pair[0], &pair[1]));
            parser.at += if found { 2 } else { 0 };
            found
        };
        let mut path = ModulePath { global: double_colon(self), segments: Vec::new() };
        loop {
            path.segments.push(self.reference("the path of a module")?);
            if !double_colon(self) {
                return Ok(path);
            }
        }
    }
}
