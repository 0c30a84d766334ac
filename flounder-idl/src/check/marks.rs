//! Annotations without parameters: `@symmetric` before an interface, `@both` and `@idempotent` before an rpc.

use crate::ast::{self, Name, Word};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::resolve::Interface;

/// The mark of an rpc that may run more than once.
pub(crate) const IDEMPOTENT: &str = "idempotent";

/// Marks must exist, stand once, and mean something where they stand.
pub(super) fn check(interface: &Interface<'_>, diagnostics: &mut Diagnostics) {
    let symmetric = interface.ast.is_marked("symmetric");
    for mark in unlike(&interface.ast.marks, diagnostics) {
        if mark.text != "symmetric" {
            diagnostics.push(
                bad(mark, format!("an interface has no mark `@{}`", mark.text))
                    .help("an interface can have `@symmetric`: either end may send every message"),
            );
        }
    }
    for message in interface.messages.iter().map(|message| message.ast) {
        for mark in unlike(&message.marks, diagnostics) {
            if let Some(diagnostic) = message_mark(mark, message, symmetric) {
                diagnostics.push(diagnostic);
            }
        }
    }
}

/// Returns what is wrong with the mark of a message.
fn message_mark(mark: &Name, message: &ast::Message, symmetric: bool) -> Option<Diagnostic> {
    let word = message.word.as_str();
    if !["both", IDEMPOTENT].contains(&&*mark.text) {
        return Some(bad(mark, format!("a {word} has no mark `@{}`", mark.text)).help(
            "an rpc can have `@both`: the service may call it as well, and `@idempotent`: it may run twice; \
                 an annotation with parameters is `@context(name=value, ..)`",
        ));
    }
    if mark.text == IDEMPOTENT {
        return (message.word != Word::Rpc).then(|| {
            bad(mark, format!("`@idempotent` before a {word}"))
                .help("remove it; only an rpc is ever repeated")
        });
    }
    if message.word != Word::Rpc {
        return Some(
            bad(mark, format!("`@both` before a {word}"))
                .help("remove it; a `message` goes both ways"),
        );
    }
    symmetric.then(|| {
        bad(mark, "`@both` in an interface with `@symmetric`".to_owned())
            .help("remove it: either end may call every rpc")
    })
}

/// Returns the marks, but for those that stand twice.
fn unlike<'a>(marks: &'a [Name], diagnostics: &mut Diagnostics) -> Vec<&'a Name> {
    let mut found: Vec<&Name> = Vec::new();
    for mark in marks {
        match found.iter().find(|known| known.text == mark.text) {
            Some(first) => diagnostics.push(
                bad(mark, format!("`@{}` stands here twice", mark.text))
                    .also(first.place, "the first one")
                    .help("remove one of them"),
            ),
            None => found.push(mark),
        }
    }
    found
}

fn bad(mark: &Name, message: String) -> Diagnostic {
    Diagnostic::new(Code::BadMark, mark.place, message)
}
