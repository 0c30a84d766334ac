//! Tokens of interface text.

use proc_macro2::Span;

use crate::diag::{Code, Diagnostic, Diagnostics, Place, TextRange};

use super::{Kind, Token, Tokens, clip, finish, number, push_docs, word};

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
