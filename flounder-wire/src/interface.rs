//! Descriptors of interfaces. A generated module has the one of its interface as a constant.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::shape::{digest, mix, mix_forms};
use crate::{Bulks, Limits, MessageLimit, RUNTIME_MESSAGE, TypeForm};

/// An interface, as the constant `INTERFACE` of its module describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Name.
    pub name: &'static str,
    /// Description, as in the declaration.
    pub description: &'static str,
    /// Messages, including the calls and responses of rpcs; entry `i` has number `i + 1`.
    pub messages: &'static [MessageInfo],
    /// Limits of each message on the wire.
    pub limits: Limits,
    /// Digest of the name and of the messages. Two ends can bind if their digests are equal.
    pub fingerprint: u128,
}

/// A message of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageInfo {
    /// Number on the wire, from 1.
    pub number: u16,
    /// Name.
    pub name: &'static str,
    /// A message that stands alone, or half of an rpc.
    pub kind: MessageKind,
    /// Which end sends it.
    pub direction: Direction,
    /// Arguments: `arg: uint32, buf: uint8[buflen, 4096]`. [`arguments`](Self::arguments) returns them one by one.
    pub args: &'static str,
    /// Canonical form: `message str(arg:uint32,s:string[64])`, as `docs/idl.md` defines it.
    pub form: &'static str,
    /// Forms of the types from Rust: entry `k` is that of `extern#k` in [`form`](Self::form).
    pub externs: &'static [&'static TypeForm],
    /// Annotations.
    pub annotations: &'static [AnnotationInfo],
    /// Digest of the canonical form and of the types from Rust.
    pub fingerprint: u128,
    /// Limits on the wire.
    pub limit: MessageLimit,
    /// Where the record has the heads of bulk arguments.
    pub bulks: Bulks,
}

impl MessageInfo {
    /// Creates the description of a message. [`numbered`] sets its number and its digest.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: MessageKind,
        args: &'static str,
        form: &'static str,
        limit: MessageLimit,
    ) -> Self {
        Self {
            number: 0,
            name,
            kind,
            direction: Direction::of(form),
            args,
            form,
            externs: &[],
            annotations: &[],
            fingerprint: 0,
            limit,
            bulks: Bulks::NONE,
        }
    }

    /// Returns the arguments in order.
    pub fn arguments(&self) -> impl Iterator<Item = ArgInfo> {
        let mut depth = 0;
        let parts = self.args.split(move |c| {
            match c {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            depth == 0 && c == ','
        });
        parts.filter_map(|part| {
            let (name, ty) = part.trim_start().split_once(": ")?;
            Some(ArgInfo { name, ty })
        })
    }

    /// Returns the description of a message with arguments of types from Rust.
    #[must_use]
    pub const fn externs(self, externs: &'static [&'static TypeForm]) -> Self {
        Self { externs, ..self }
    }

    /// Returns the description of a message with bulk arguments.
    #[must_use]
    pub const fn bulks(self, bulks: Bulks) -> Self {
        Self { bulks, ..self }
    }

    /// Returns the description of a message with annotations.
    #[must_use]
    pub const fn annotations(self, annotations: &'static [AnnotationInfo]) -> Self {
        Self { annotations, ..self }
    }
}

/// Returns the messages of an interface in order, with their numbers and digests; `digests` are those of their forms alone.
#[must_use]
pub const fn numbered<const N: usize>(
    mut messages: [MessageInfo; N],
    digests: [u128; N],
) -> [MessageInfo; N] {
    let mut i = 0;
    while i < N {
        messages[i].number = i as u16 + 1;
        messages[i].fingerprint = mix_forms(digests[i], messages[i].externs);
        i += 1;
    }
    messages
}

/// Returns the limits of the messages of an interface.
#[must_use]
pub const fn limits<const N: usize>(messages: &[MessageInfo; N]) -> [MessageLimit; N] {
    let mut limits = [MessageLimit { words: 0, caps: 0 }; N];
    let mut i = 0;
    while i < N {
        limits[i] = messages[i].limit;
        i += 1;
    }
    limits
}

/// Kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A message that stands alone.
    Message,
    /// The call of an rpc.
    RpcCall {
        /// Byte offset of the id of the call in the words of the message.
        at: usize,
    },
    /// The response of an rpc, or its error.
    RpcResponse {
        /// Byte offset of the id of the call in the words of the message.
        at: usize,
    },
}

/// Which end of a binding sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Either end.
    Both,
    /// The client.
    ToService,
    /// The service.
    ToClient,
}

impl Direction {
    /// Returns the direction of a message by the role in its canonical form.
    #[must_use]
    pub const fn of(form: &str) -> Self {
        if begins(form, "call ") || begins(form, "rpc-call ") {
            Self::ToService
        } else if begins(form, "response ") || begins(form, "rpc-response ") {
            Self::ToClient
        } else {
            Self::Both
        }
    }

    /// Returns true if an end that receives messages of this direction, beside those that go both ways, receives `message`.
    #[inline]
    #[must_use]
    pub const fn receives(self, message: Self) -> bool {
        matches!(message, Self::Both) || self as u8 == message as u8
    }
}

const fn begins(text: &str, prefix: &str) -> bool {
    let (text, prefix) = (text.as_bytes(), prefix.as_bytes());
    let mut i = 0;
    while i < prefix.len() {
        if i == text.len() || text[i] != prefix[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// An argument of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgInfo {
    /// Name.
    pub name: &'static str,
    /// Type, as the interface spells it.
    pub ty: &'static str,
}

/// `@context(name=value, ..)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnotationInfo {
    /// Name before the parameters.
    pub context: &'static str,
    /// Parameters.
    pub params: &'static [(&'static str, AnnotationValue)],
}

/// The value of a parameter of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationValue {
    /// A number.
    Number(u64),
    /// A name; by convention that of an argument.
    Ident(&'static str),
}

impl Interface {
    /// Creates the description of an interface.
    #[must_use]
    pub const fn new(
        name: &'static str,
        description: &'static str,
        messages: &'static [MessageInfo],
        limits: Limits,
    ) -> Self {
        Self { name, description, messages, limits, fingerprint: Self::digest(name, messages) }
    }

    /// Returns the digest of an interface with this name and these messages.
    #[must_use]
    pub const fn digest(name: &str, messages: &[MessageInfo]) -> u128 {
        let mut digest = digest(name);
        let mut i = 0;
        while i < messages.len() {
            digest = mix(digest, messages[i].fingerprint);
            i += 1;
        }
        digest
    }

    /// Returns message `number`, if the interface has it.
    #[inline]
    #[must_use]
    pub fn message(&self, number: u16) -> Option<&'static MessageInfo> {
        self.messages.get(usize::from(number).checked_sub(1)?)
    }

    /// Returns the name of message `number`.
    #[must_use]
    pub fn message_name(&self, number: u16) -> &'static str {
        match number {
            RUNTIME_MESSAGE => "(runtime)",
            _ => self.message(number).map_or("(unknown)", |message| message.name),
        }
    }

    /// Returns the name of argument `i` of message `number`. The first argument of half an rpc is `id`, the id of the call.
    #[must_use]
    pub fn argument(&self, number: u16, i: usize) -> &'static str {
        let Some(message) = self.message(number) else { return "(unknown)" };
        let before = usize::from(message.kind != MessageKind::Message);
        match i.checked_sub(before) {
            None => "id",
            Some(i) => message.arguments().nth(i).map_or("(unknown)", |arg| arg.name),
        }
    }

    /// Returns name and digest of every message, for a peer that has another version of the interface.
    #[must_use]
    pub fn table(&self) -> Vec<(String, u128)> {
        self.messages.iter().map(|message| (message.name.to_owned(), message.fingerprint)).collect()
    }

    /// Returns the name of the first message in which the peer's table differs from this interface; `None` if all agree.
    #[must_use]
    pub fn first_difference(&self, theirs: &[(String, u128)]) -> Option<String> {
        for (ours, theirs) in self.messages.iter().zip(theirs) {
            if ours.fingerprint != theirs.1 {
                return Some(ours.name.to_owned());
            }
        }
        let more = self.messages.get(theirs.len()).map(|message| message.name.to_owned());
        more.or_else(|| theirs.get(self.messages.len()).map(|theirs| theirs.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_outside_of_brackets() {
        let text = "arg: uint32, buf: uint8[buflen, 4096], names: string[16][n, 8]";
        let limit = MessageLimit { words: 1, caps: 0 };
        let info = MessageInfo::new("m", MessageKind::Message, text, "", limit);
        let found: Vec<_> = info.arguments().map(|arg| (arg.name, arg.ty)).collect();
        let expected =
            [("arg", "uint32"), ("buf", "uint8[buflen, 4096]"), ("names", "string[16][n, 8]")];
        assert_eq!(found, expected);
        let none = MessageInfo::new("m", MessageKind::Message, "", "", limit);
        assert_eq!(none.arguments().count(), 0);
    }
}
