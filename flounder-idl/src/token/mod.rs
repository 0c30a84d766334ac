//! Tokens of macro calls and of text files.
//!
//! The parser reads one flat list of tokens, for both kinds of input. Doc comments are not tokens: the following token
//! holds them.
//!
//! Text has its own lexer. The lexer of `proc_macro2` loses all positions inside a procedural macro and stops at the
//! first mistake.

mod rust;
mod text;

use proc_macro2::{Spacing, TokenStream, TokenTree};

use crate::diag::{Code, Diagnostic, Diagnostics, Place};

pub(crate) use rust::from_stream;
pub(crate) use text::from_text;

/// Maximum length of an identifier, in bytes.
const MAX_NAME: usize = 255;

/// Maximum nesting depth of brackets in Rust tokens.
const MAX_NESTED: usize = 64;

/// Words that are names in no context.
const RESERVED_WORDS: &[&str] = &["interface", "message", "rpc", "in", "out"];

/// Words that Rust refuses even as raw identifiers.
const NEVER_RAW: &[&str] = &["crate", "self", "super", "Self", "_"];

/// Keywords of Rust, including reserved ones.
const RUST_KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// A token with its place and doc comments.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    /// Lines of the doc comments before the token.
    pub(crate) docs: Vec<String>,
    /// The Rust token. An opening bracket holds its whole group.
    pub(crate) tree: Option<TokenTree>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier, without `r#`.
    Ident(String),
    /// A number; `None` if it is malformed, which has been reported.
    Int(Option<u64>),
    Str(String),
    Open(char),
    Close(char),
    Punct(char),
    /// A Rust literal that is none of this language.
    Literal,
    End,
}

impl Kind {
    /// Returns the description for "found ..".
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

/// All tokens of an input. The last one is [`Kind::End`].
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) list: Vec<Token>,
    /// True if brackets do not match, or a string or comment has no end: an error at the end of the input is not reported
    /// then.
    pub(crate) torn: bool,
}

/// Returns the reason why a word cannot be a name.
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

/// Returns true if `name` can be an identifier of Rust, raw where it must be.
pub(crate) fn is_rust_name(name: &str) -> bool {
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic());
    starts && chars.all(|c| c == '_' || c.is_ascii_alphanumeric()) && !NEVER_RAW.contains(&name)
}

/// Adds the lines of a doc comment. Lines of a block lose their leading stars.
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

fn finish(mut list: Vec<Token>, torn: bool, nowhere: Place) -> Tokens {
    let place = list.last().map_or(nowhere, |token| token.place.after());
    list.push(Token { kind: Kind::End, place, docs: Vec::new(), tree: None });
    Tokens { list, torn }
}

/// Returns the value of a number; reports a malformed one.
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

/// Returns an identifier, cut if it is too long.
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

/// Returns the beginning of a text of any length.
fn clip(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

/// Converts tokens to Rust tokens, for an attribute, a path or a visibility. Returns `None` if they are no Rust tokens, or
/// are nested so deeply that parsing them could overflow the stack.
pub(crate) fn rust_between(list: &[Token], text: Option<&str>) -> Option<TokenStream> {
    let mut deepest = 0_usize;
    let mut depth = 0_usize;
    for token in list {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > MAX_NESTED {
        return None;
    }
    let (Some(first), Some(last)) = (list.first(), list.last()) else {
        return Some(TokenStream::new());
    };
    if let (Some(text), Some(start), Some(end)) = (text, first.place.text, last.place.text) {
        return text.get(start.start..end.end)?.parse().ok();
    }
    let mut depth = 0_usize;
    let mut stream = TokenStream::new();
    for token in list {
        // The opening bracket holds the whole group.
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

/// Returns true if two tokens are the `::` of a path.
pub(crate) fn is_double_colon(first: &Token, second: &Token) -> bool {
    let spaced =
        matches!(&first.tree, Some(TokenTree::Punct(punct)) if punct.spacing() == Spacing::Alone);
    let apart =
        matches!((first.place.text, second.place.text), (Some(a), Some(b)) if a.end != b.start);
    first.kind == Kind::Punct(':') && second.kind == Kind::Punct(':') && !spaced && !apart
}
