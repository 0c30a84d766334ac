//! Parsing of messages, rpcs, their arguments and annotations.

use crate::ast::*;
use crate::diag::{Code, Diagnostic};
use crate::token::Kind;

use super::{Parse, Parser, Reported, Scope};

/// What can stand behind an `@`.
pub(super) enum Annotated {
    /// `@context(name=value, ..)`
    With(Annotation),
    /// `@mark`
    Mark(Name),
}

/// Returns the keyword with the text `word`.
pub(super) fn word(word: &str) -> Option<Word> {
    [Word::Message, Word::Call, Word::Response, Word::Rpc]
        .into_iter()
        .find(|known| known.as_str() == word)
}

impl Parser<'_> {
    pub(super) fn message(&mut self, mut attrs: Attrs, scope: Scope) -> Parse<Option<Decl>> {
        let (mut annotations, mut marks) = (Vec::new(), Vec::new());
        let (mut damaged, start) = (false, self.at);
        while *self.kind() == Kind::Punct('@') {
            match self.annotation() {
                Ok(Annotated::With(annotation)) => annotations.push(annotation),
                Ok(Annotated::Mark(mark)) => marks.push(mark),
                // Drop a malformed annotation and keep its message.
                Err(Reported) => {
                    damaged = true;
                    let mut ends: Vec<Kind> = ["message", "call", "response", "rpc"]
                        .map(|w| Kind::Ident(w.into()))
                        .into();
                    ends.extend([Kind::Punct(';'), Kind::Punct('@'), Kind::Close(')')]);
                    self.skip_to(&ends);
                    self.eat(&Kind::Close(')'));
                }
            }
            let more = self.attrs(false);
            attrs.docs.extend(more.docs);
            attrs.rust_name = attrs.rust_name.or(more.rust_name);
        }
        let written = self.word().unwrap_or("");
        let lower = if self.at > start {
            self.keyword_case(written, &["message", "call", "response", "rpc"])
        } else {
            None
        };
        let lower = lower.unwrap_or_else(|| written.to_ascii_lowercase());
        let Some(word) = word(&lower) else {
            if damaged {
                return Err(Reported);
            }
            return Err(self.expected("`message`, `call`, `response` or `rpc` after an annotation"));
        };
        if scope != Scope::Interface {
            return Err(self.unknown_declaration(scope));
        }
        self.next();
        let name = self.name(&format!("the name of the {}", word.as_str()))?;
        let mut message =
            Message { attrs, annotations, marks, word, name, args: Vec::new(), damaged: false };
        // The name is known, so the message exists even if the rest is malformed.
        if self.expect(&Kind::Open('(')).is_err() {
            message.damaged = true;
            self.recover();
            return Ok(Some(Decl::Message(message)));
        }
        if self.args(&mut message).is_err()
            || self.fails(&mut message).is_err()
            || self.semicolon("the message").is_err()
        {
            message.damaged = true;
            self.recover();
        }
        Ok(Some(Decl::Message(message)))
    }

    /// Parses arguments and the closing parenthesis.
    fn args(&mut self, message: &mut Message) -> Parse<()> {
        while *self.kind() != Kind::Close(')') {
            match self.arg(message.word) {
                Ok(arg) => message.args.push(arg),
                Err(Reported) => {
                    message.damaged = true;
                    self.skip_to(&[Kind::Punct(','), Kind::Close(')'), Kind::Punct(';')]);
                }
            }
            match self.kind() {
                Kind::Punct(',') => {
                    let comma = self.next().place;
                    if *self.kind() == Kind::Close(')') {
                        message.damaged = true;
                        let diagnostic = Diagnostic::new(
                            Code::Expected,
                            comma,
                            "expected an argument after `,`, found `)`",
                        )
                        .help("remove the last `,`");
                        self.report(diagnostic);
                    }
                }
                Kind::Close(')') => {}
                // The mistake was reported, and the list has no further argument.
                _ if message.damaged => return Err(Reported),
                _ => return Err(self.expected("`,` or `)`")),
            }
        }
        self.next();
        Ok(())
    }

    /// Parses `fails type` behind an rpc, if it is there.
    fn fails(&mut self, message: &mut Message) -> Parse<()> {
        let is_type = matches!(self.kind_after(1), Kind::Ident(_));
        let written = self.word().filter(|_| is_type && message.word == Word::Rpc).unwrap_or("");
        if self.keyword_case(written, &["fails"]).as_deref().unwrap_or(written) != "fails" {
            return Ok(());
        }
        self.next();
        let ty = self.reference("the type of the error")?;
        let name = Name { text: "error".to_owned(), place: ty.place };
        let (attrs, direction) = (Attrs::default(), Some(Direction::Error));
        message.args.push(Arg {
            attrs,
            optional: false,
            direction,
            ty,
            name,
            suffix: Suffix::None,
        });
        Ok(())
    }

    fn arg(&mut self, word: Word) -> Parse<Arg> {
        let attrs = self.attrs(false);
        let place = self.place();
        let first = self.word();
        let direction = match first {
            Some("in") => Some(Direction::In),
            Some("out") => Some(Direction::Out),
            Some(first) if matches!(self.kind_after(2), Kind::Ident(_)) => {
                match self.keyword_case(first, &["in", "out"]).as_deref() {
                    Some("in") => Some(Direction::In),
                    Some(_) => Some(Direction::Out),
                    None => None,
                }
            }
            _ => None,
        };
        if direction.is_some() {
            self.next();
        }
        let arg = self.typed(attrs, direction, "the type of an argument")?;
        match (word, direction) {
            (Word::Rpc, None) => {
                self.report(
                    Diagnostic::new(
                        Code::MissingDirection,
                        place,
                        format!("`{}` has no direction", arg.name.text),
                    )
                    .label("expected `in` or `out` before this")
                    .help("write `in` for what goes with the call, `out` for what comes back"),
                );
            }
            (Word::Message | Word::Call | Word::Response, Some(_)) => {
                self.report(
                    Diagnostic::new(Code::StrayDirection, place, "a direction outside of an rpc")
                        .help("remove it, or declare an `rpc`"),
                );
            }
            _ => {}
        }
        Ok(arg)
    }

    /// Parses `@context(name=value, ..)` or `@mark`.
    pub(super) fn annotation(&mut self) -> Parse<Annotated> {
        self.next();
        let Some(_) = self.word() else {
            return Err(self.bad_annotation("a context"));
        };
        let context = self.name("the context of the annotation")?;
        if !self.eat(&Kind::Open('(')) {
            return Ok(Annotated::Mark(context));
        }
        let mut params = Vec::new();
        while !self.eat(&Kind::Close(')')) {
            if !params.is_empty() && !self.eat(&Kind::Punct(',')) {
                return Err(self.bad_annotation("`,` or `)`"));
            }
            let Some(_) = self.word() else {
                return Err(self.bad_annotation("the name of a parameter"));
            };
            let name = self.reference("the name of a parameter")?;
            if !self.eat(&Kind::Punct('=')) {
                return Err(self.bad_annotation("`=`"));
            }
            let value = match *self.kind() {
                Kind::Ident(_) => Value::Ident(self.reference("a value")?),
                Kind::Int(_) => Value::Number(self.int("a value")?),
                _ => return Err(self.bad_annotation("a natural number or a name")),
            };
            params.push((name, value));
        }
        Ok(Annotated::With(Annotation { context, params }))
    }

    fn bad_annotation(&mut self, expected: &str) -> Reported {
        let (place, found) = (self.place(), self.kind().describe());
        let diagnostic = Diagnostic::new(
            Code::BadAnnotation,
            place,
            format!("expected {expected} in an annotation, found {found}"),
        )
        .help("an annotation is `@context(name=value, ..)`, with numbers or names as values");
        self.report(diagnostic)
    }
}
