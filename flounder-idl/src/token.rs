//! Tokens, from Rust's or from text.
//!
//! The parser reads one flat list, whichever door the input came through. Doc comments are not tokens: they hang on the
//! token that follows, and whoever begins an item there takes them.
//!
//! Text has its own small lexer. Rust's would do for correct input, but inside a procedural macro it forgets all
//! positions, and it stops at the first mistake.

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};

use crate::diag::{Code, Diagnostic, Diagnostics, Place, TextRange};

/// The most bytes of an identifier.
const MAX_NAME: usize = 255;

/// The words that name nothing, whatever the context.
const RESERVED_WORDS: &[&str] = &["interface", "message", "rpc", "in", "out"];

/// The words that Rust refuses even as raw identifiers.
const NEVER_RAW: &[&str] = &["crate", "self", "super", "Self", "_"];

/// Rust's keywords, those it keeps for later included.
const RUST_KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// A token and what is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    /// Lines of the doc comments before it.
    pub(crate) docs: Vec<String>,
    /// What it was in Rust; an opening bracket holds its whole group.
    pub(crate) tree: Option<TokenTree>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Without `r#`.
    Ident(String),
    /// `None`: a number that was already complained about.
    Int(Option<u64>),
    Str(String),
    Open(char),
    Close(char),
    Punct(char),
    /// A literal of Rust that this language has no use for.
    Literal,
    End,
}

impl Kind {
    /// For "found ..".
    pub(crate) fn describe(&self) -> String {
        match self {
            Kind::Ident(name) => format!("`{name}`"),
            Kind::Int(_) => "a number".into(),
            Kind::Str(_) => "a string".into(),
            Kind::Open(c) | Kind::Close(c) | Kind::Punct(c) => format!("`{c}`"),
            Kind::Literal => "a literal".into(),
            Kind::End => "the end of the input".into(),
        }
    }
}

/// All tokens of an input, the last one being [`Kind::End`].
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) list: Vec<Token>,
    /// Brackets do not match, or a string or comment swallowed the rest: complaints about the end would be noise.
    pub(crate) torn: bool,
}

/// Why a word cannot be a name.
pub(crate) fn reserved(name: &str) -> Option<&'static str> {
    if RESERVED_WORDS.contains(&name) {
        Some("it is a keyword of interfaces")
    } else if NEVER_RAW.contains(&name) {
        Some("Rust has no identifier for it")
    } else if name.starts_with("__") {
        Some("names that start with `__` belong to generated code")
    } else {
        None
    }
}

pub(crate) fn is_rust_keyword(name: &str) -> bool {
    RUST_KEYWORDS.contains(&name)
}

/// Whether `name` can be an identifier of Rust, raw where it must be.
pub(crate) fn is_rust_name(name: &str) -> bool {
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic());
    starts && chars.all(|c| c == '_' || c.is_ascii_alphanumeric()) && !NEVER_RAW.contains(&name)
}

/// The tokens of a macro call.
pub(crate) fn from_stream(stream: TokenStream, diagnostics: &mut Diagnostics) -> Tokens {
    let mut list = Vec::new();
    let mut docs = Vec::new();
    // Groups are entered with a stack of our own: their depth is the caller's choice.
    let mut stack =
        vec![(stream.into_iter().collect::<Vec<_>>().into_iter(), None::<(char, Span)>)];
    while let Some((trees, close)) = stack.last_mut() {
        let Some(tree) = trees.next() else {
            if let Some((c, span)) = *close {
                let docs = std::mem::take(&mut docs);
                list.push(Token {
                    kind: Kind::Close(c),
                    place: Place::of_span(span),
                    docs,
                    tree: None,
                });
            }
            stack.pop();
            continue;
        };
        if let Some(skip) = doc_attribute(&tree, trees.as_slice(), &mut docs) {
            trees.by_ref().take(skip).for_each(drop);
            continue;
        }
        let place = Place::of_span(tree.span());
        let (kind, place) = match &tree {
            TokenTree::Ident(ident) => {
                let text = ident.to_string();
                let name = text.strip_prefix("r#").unwrap_or(&text);
                (Kind::Ident(word(name, place, diagnostics)), place)
            }
            TokenTree::Punct(punct) => (Kind::Punct(punct.as_char()), place),
            TokenTree::Literal(literal) => (literal_kind(literal, place, diagnostics), place),
            TokenTree::Group(group) => {
                let inner = group.stream().into_iter().collect::<Vec<_>>().into_iter();
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::Parenthesis => ('(', ')'),
                    // What `macro_rules!` wraps around a fragment is not there for us.
                    Delimiter::None => {
                        stack.push((inner, None));
                        continue;
                    }
                };
                stack.push((inner, Some((close, group.span_close()))));
                (Kind::Open(open), Place::of_span(group.span_open()))
            }
        };
        list.push(Token { kind, place, docs: std::mem::take(&mut docs), tree: Some(tree) });
    }
    finish(list, false, Place::of_span(Span::call_site()))
}

/// When `tree` begins `#[doc = ".."]` or `#![doc = ".."]`: how many trees follow that belong to it.
fn doc_attribute(tree: &TokenTree, rest: &[TokenTree], docs: &mut Vec<String>) -> Option<usize> {
    let is_punct =
        |tree: &TokenTree, c| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == c);
    if !is_punct(tree, '#') {
        return None;
    }
    let inner = rest.first().is_some_and(|tree| is_punct(tree, '!'));
    let TokenTree::Group(group) = rest.get(usize::from(inner))? else { return None };
    let mut trees = group.stream().into_iter();
    let (Some(TokenTree::Ident(word)), Some(equals), Some(value)) =
        (trees.next(), trees.next(), trees.next())
    else {
        return None;
    };
    if word != "doc" || !is_punct(&equals, '=') || group.delimiter() != Delimiter::Bracket {
        return None;
    }
    let text: syn::LitStr = syn::parse2(value.into()).ok()?;
    if !inner {
        push_docs(docs, &text.value());
    }
    Some(1 + usize::from(inner))
}

/// Adds the lines of a doc comment, those of a block without the stars at their beginning.
fn push_docs(docs: &mut Vec<String>, text: &str) {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.len() > 1 {
        for line in lines.iter_mut().skip(1) {
            let trimmed = line.trim_start();
            *line = trimmed.strip_prefix('*').unwrap_or(trimmed);
        }
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
        if lines.first().is_some_and(|line| line.trim().is_empty()) {
            lines.remove(0);
        }
    }
    docs.extend(lines.iter().map(|line| line.trim_end().to_owned()));
}

fn literal_kind(
    literal: &proc_macro2::Literal,
    place: Place,
    diagnostics: &mut Diagnostics,
) -> Kind {
    let text = literal.to_string();
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Kind::Int(number(&text, place, diagnostics));
    }
    match syn::parse2::<syn::LitStr>(TokenTree::from(literal.clone()).into()) {
        Ok(string) if !string.suffix().is_empty() => {
            diagnostics.push(suffix(place, string.suffix()));
            Kind::Str(string.value())
        }
        Ok(string) => Kind::Str(string.value()),
        Err(_) => Kind::Literal,
    }
}

fn finish(mut list: Vec<Token>, torn: bool, nowhere: Place) -> Tokens {
    let place = list.last().map_or(nowhere, |token| token.place.after());
    list.push(Token { kind: Kind::End, place, docs: Vec::new(), tree: None });
    Tokens { list, torn }
}

/// The value of a number, or a complaint.
fn number(text: &str, place: Place, diagnostics: &mut Diagnostics) -> Option<u64> {
    let (radix, digits) = match text.get(..2) {
        Some("0x" | "0X") => (16, &text[2..]),
        Some("0o" | "0O") => (8, &text[2..]),
        _ => (10, text),
    };
    let end = digits.find(|c: char| c != '_' && !c.is_digit(radix)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    let digits = digits.replace('_', "");
    if rest.starts_with(|c: char| c.is_ascii_alphabetic())
        && !digits.is_empty()
        && !text.starts_with("0b")
    {
        diagnostics.push(suffix(place, rest));
        return None;
    }
    let value = if rest.is_empty() { u64::from_str_radix(&digits, radix).ok() } else { None };
    if value.is_none() {
        diagnostics.push(
            Diagnostic::new(Code::BadNumber, place, format!("`{}` is not a number", clip(text)))
                .help("write a natural number below 2^64: `16`, `0x10` or `0o20`"),
        );
    }
    value
}

fn suffix(place: Place, suffix: &str) -> Diagnostic {
    Diagnostic::new(
        Code::LiteralSuffix,
        place,
        format!("a literal with the suffix `{}`", clip(suffix)),
    )
    .help("remove the suffix: literals of an interface have no type")
}

/// An identifier as written, or the beginning of one that is too long.
fn word(name: &str, place: Place, diagnostics: &mut Diagnostics) -> String {
    if name.len() > MAX_NAME {
        let message = format!("a name of {} bytes", name.len());
        let help = format!("a name has at most {MAX_NAME} bytes");
        diagnostics.push(Diagnostic::new(Code::NameTooLong, place, message).help(help));
        return name.chars().take(MAX_NAME / 4).collect();
    }
    if !name.is_ascii() {
        let message = format!("the name `{name}` has letters other than `a` to `z`");
        let help = "names of an interface are made of ASCII letters, digits and `_`";
        diagnostics.push(Diagnostic::new(Code::NonAsciiName, place, message).help(help));
    }
    name.to_owned()
}

/// The beginning of something that may be of any length.
fn clip(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

/// The tokens of interface text. `span` is where Rust source imports it.
pub(crate) fn from_text(
    source: usize,
    text: &str,
    span: Span,
    diagnostics: &mut Diagnostics,
) -> Tokens {
    let (list, docs, open) = Default::default();
    let mut lexer = Lexer {
        text,
        at: 0,
        source,
        span,
        list,
        docs,
        torn: false,
        swallowed: false,
        open,
        braces: 0,
        diagnostics,
    };
    lexer.run();
    let (list, torn) = (std::mem::take(&mut lexer.list), lexer.torn);
    let nowhere = lexer.place(0, 0);
    finish(list, torn, nowhere)
}

struct Lexer<'a> {
    text: &'a str,
    /// A character boundary of `text`.
    at: usize,
    source: usize,
    span: Span,
    list: Vec<Token>,
    docs: Vec<String>,
    torn: bool,
    swallowed: bool,
    /// Opening brackets that wait for their closing ones.
    open: Vec<(char, Place)>,
    /// How many of them are braces, so that a stray `}` does not search for one.
    braces: usize,
    diagnostics: &'a mut Diagnostics,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(c) = self.peek() {
            let start = self.at;
            match c {
                c if c.is_whitespace() => self.bump(c),
                '/' if self.rest().starts_with("//") => self.line_comment(),
                '/' if self.rest().starts_with("/*") => self.block_comment(),
                '"' => self.string(),
                c if c == '_' || c.is_alphabetic() => self.ident(),
                c if c.is_ascii_digit() => {
                    self.take_while(|c| c == '_' || c.is_ascii_alphanumeric());
                    let place = self.place(start, self.at);
                    let value = number(&self.text[start..self.at], place, self.diagnostics);
                    self.push(Kind::Int(value), start);
                }
                '(' | '[' | '{' => {
                    self.bump(c);
                    self.open.push((c, self.place(start, self.at)));
                    self.braces += usize::from(c == '{');
                    self.push(Kind::Open(c), start);
                }
                ')' | ']' | '}' => self.close(c),
                c if c.is_ascii_punctuation() => {
                    self.bump(c);
                    self.push(Kind::Punct(c), start);
                }
                c => {
                    self.bump(c);
                    let place = self.place(start, self.at);
                    let message = format!("unexpected character {c:?}");
                    self.diagnostics.push(
                        Diagnostic::new(Code::BadCharacter, place, message).help("remove it"),
                    );
                }
            }
        }
        // When a string or a comment swallowed the rest, it has the closing brackets too.
        if !self.swallowed {
            for (c, place) in std::mem::take(&mut self.open) {
                self.unclosed(c, place);
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn bump(&mut self, c: char) {
        self.at += c.len_utf8();
    }

    fn take_while(&mut self, mut wanted: impl FnMut(char) -> bool) {
        let length = self.rest().find(|c| !wanted(c)).unwrap_or(self.rest().len());
        self.at += length;
    }

    fn place(&self, start: usize, end: usize) -> Place {
        Place { span: self.span, text: Some(TextRange { source: self.source, start, end }) }
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let place = self.place(start, self.at);
        self.list.push(Token { kind, place, docs: std::mem::take(&mut self.docs), tree: None });
    }

    fn ident(&mut self) {
        let start = self.at;
        self.take_while(|c| c == '_' || c == '\'' || c.is_alphanumeric());
        let (name, place) = (&self.text[start..self.at], self.place(start, self.at));
        if let Some(quote) = name.find('\'') {
            let place = self.place(start + quote, start + quote + 1);
            self.diagnostics.push(
                Diagnostic::new(
                    Code::Apostrophe,
                    place,
                    format!("an apostrophe in the name `{}`", clip(name)),
                )
                .help("remove it: the original allowed apostrophes, Rust has no such names"),
            );
        }
        let plain = word(&name.replace('\'', "_"), place, self.diagnostics);
        self.push(Kind::Ident(plain), start);
    }

    fn line_comment(&mut self) {
        let start = self.at;
        self.take_while(|c| c != '\n');
        let comment = &self.text[start..self.at];
        if let Some(doc) = comment.strip_prefix("///").filter(|doc| !doc.starts_with('/')) {
            self.docs.push(doc.trim_end().to_owned());
        }
    }

    fn block_comment(&mut self) {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        while let Some(pair) = bytes.get(self.at..self.at + 2) {
            match pair {
                b"/*" => (depth, self.at) = (depth + 1, self.at + 2),
                b"*/" => (depth, self.at) = (depth - 1, self.at + 2),
                _ => self.at += 1,
            }
            if depth == 0 {
                let comment = &self.text[start..self.at];
                let doc = comment.strip_prefix("/**").and_then(|doc| doc.strip_suffix("*/"));
                if let Some(doc) = doc.filter(|doc| !doc.starts_with('*')) {
                    push_docs(&mut self.docs, doc);
                }
                return;
            }
        }
        self.swallow();
        let place = self.place(start, start + 2);
        self.diagnostics.push(
            Diagnostic::new(Code::UnterminatedComment, place, "a comment that never ends")
                .help("comments nest: each `/*` needs its own `*/`"),
        );
    }

    fn string(&mut self) {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        loop {
            let from = self.at;
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    return self.push(Kind::Str(value), start);
                }
                None | Some('\n') => {
                    let place = self.place(start, start + 1);
                    self.diagnostics.push(
                        Diagnostic::new(
                            Code::UnterminatedString,
                            place,
                            "a string that never ends",
                        )
                        .help("close it with `\"` on the same line"),
                    );
                    self.push(Kind::Str(value), start);
                    return self.swallow();
                }
                Some('\\') => match self.escape() {
                    Some(c) => value.push(c),
                    None => {
                        let place = self.place(from, self.at);
                        self.diagnostics.push(
                            Diagnostic::new(
                                Code::BadEscape,
                                place,
                                "an unknown escape in a string",
                            )
                            .help(r#"use \n, \r, \t, \\, \", \0, \x41 or \u{41}"#),
                        );
                    }
                },
                Some(c) => {
                    self.bump(c);
                    value.push(c);
                }
            }
        }
    }

    /// Gives up on the rest of the text: what it means depends on where the string or comment should have ended.
    fn swallow(&mut self) {
        self.at = self.text.len();
        (self.torn, self.swallowed) = (true, true);
    }

    /// Reads a backslash and what belongs to it.
    fn escape(&mut self) -> Option<char> {
        self.at += 1;
        let c = self.peek().filter(|&c| c != '\n')?;
        self.bump(c);
        match c {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '\\' | '"' | '\'' => Some(c),
            // `\065` is a character of its own in the original.
            '0' => (!self.peek().is_some_and(|c| c.is_ascii_digit())).then_some('\0'),
            'x' => {
                let value =
                    u8::from_str_radix(self.rest().get(..2)?, 16).ok().filter(u8::is_ascii)?;
                self.at += 2;
                Some(char::from(value))
            }
            'u' => {
                let rest = self.rest().strip_prefix('{')?;
                let digits = rest.bytes().take(7).position(|byte| byte == b'}')?;
                let c = char::from_u32(u32::from_str_radix(&rest[..digits], 16).ok()?)?;
                self.at += digits + 2;
                Some(c)
            }
            _ => None,
        }
    }

    fn close(&mut self, c: char) {
        let start = self.at;
        self.bump(c);
        let fits =
            |&(open, _): &(char, Place)| matches!((open, c), ('(', ')') | ('[', ']') | ('{', '}'));
        // A closing bracket of an outer pair: whatever was opened inside was forgotten. Only braces are trusted that far.
        let found = if self.open.last().is_some_and(fits) {
            Some(self.open.len() - 1)
        } else if c == '}' && self.braces > 0 {
            self.open.iter().rposition(fits)
        } else {
            None
        };
        match found {
            Some(at) => {
                self.braces -= usize::from(c == '}');
                for (open, place) in self.open.split_off(at).into_iter().skip(1) {
                    self.unclosed(open, place);
                }
                self.push(Kind::Close(c), start);
            }
            None => {
                self.torn = true;
                let place = self.place(start, self.at);
                let message = format!("`{c}` closes nothing");
                let help = "remove it, or open the bracket that it was meant to close";
                self.diagnostics
                    .push(Diagnostic::new(Code::UnexpectedClosing, place, message).help(help));
            }
        }
    }

    fn unclosed(&mut self, c: char, place: Place) {
        self.torn = true;
        let close = match c {
            '(' => ')',
            '[' => ']',
            _ => '}',
        };
        self.diagnostics.push(
            Diagnostic::new(Code::UnclosedDelimiter, place, format!("`{c}` is never closed"))
                .help(format!("add the missing `{close}`")),
        );
    }
}

/// The tokens of Rust between two of a list: an attribute's content, a path, a visibility.
pub(crate) fn rust_between(list: &[Token], text: Option<&str>) -> Option<TokenStream> {
    let (Some(first), Some(last)) = (list.first(), list.last()) else {
        return Some(TokenStream::new());
    };
    if let (Some(text), Some(start), Some(end)) = (text, first.place.text, last.place.text) {
        return text.get(start.start..end.end)?.parse().ok();
    }
    let mut depth = 0_usize;
    let mut stream = TokenStream::new();
    for token in list {
        // A group comes whole with its opening bracket.
        if depth == 0 {
            stream.extend(token.tree.clone());
        }
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Some(stream)
}

/// Whether two tokens are the `::` of a path.
pub(crate) fn is_double_colon(first: &Token, second: &Token) -> bool {
    let spaced =
        matches!(&first.tree, Some(TokenTree::Punct(punct)) if punct.spacing() == Spacing::Alone);
    let apart =
        matches!((first.place.text, second.place.text), (Some(a), Some(b)) if a.end != b.start);
    first.kind == Kind::Punct(':') && second.kind == Kind::Punct(':') && !spaced && !apart
}
