//! What a generated module tells about its interface.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Limits, RUNTIME_MESSAGE, digest, fingerprint};

/// An interface, as the constant `INTERFACE` of its module describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: &'static str,
    /// Its description.
    pub description: &'static str,
    /// Its messages, those of rpcs included; entry `i` is numbered `i + 1`.
    pub messages: &'static [MessageInfo],
    /// What the wire allows of each message.
    pub limits: Limits,
    /// Digest of the name and of the messages: two ends can bind if theirs are equal.
    pub fingerprint: u128,
}

/// A message of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageInfo {
    /// Its number on the wire, from 1.
    pub number: u16,
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: MessageKind,
    /// Its arguments.
    pub args: &'static [ArgInfo],
    /// Its annotations.
    pub annotations: &'static [AnnotationInfo],
    /// Digest of its canonical form.
    pub fingerprint: u128,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A message that stands alone.
    Message,
    /// The call of an rpc.
    RpcCall {
        /// Where its words have the number of the call, in bytes.
        at: usize,
    },
    /// The response of an rpc.
    RpcResponse {
        /// Where its words have the number of the call, in bytes.
        at: usize,
    },
}

/// An argument of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgInfo {
    /// Its name.
    pub name: &'static str,
    /// Its type, as the interface spells it.
    pub ty: &'static str,
}

/// `@context(name=value, ..)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnotationInfo {
    /// The context.
    pub context: &'static str,
    /// Its parameters.
    pub params: &'static [(&'static str, AnnotationValue)],
}

/// The value of a parameter of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationValue {
    /// A number.
    Number(u64),
    /// A name, by convention of an argument.
    Ident(&'static str),
}

impl Interface {
    /// Returns the digest of an interface with this name and these messages.
    #[must_use]
    pub const fn digest(name: &str, messages: &[MessageInfo]) -> u128 {
        let mut digest = digest(name);
        let mut i = 0;
        while i < messages.len() {
            digest = fingerprint(digest, &[messages[i].fingerprint]);
            i += 1;
        }
        digest
    }

    /// Message `number`, if the interface has it.
    #[inline]
    #[must_use]
    pub fn message(&self, number: u16) -> Option<&'static MessageInfo> {
        self.messages.get(usize::from(number).checked_sub(1)?)
    }

    /// The name of message `number`.
    #[must_use]
    pub fn message_name(&self, number: u16) -> &'static str {
        match number {
            RUNTIME_MESSAGE => "(runtime)",
            _ => self.message(number).map_or("(unknown)", |message| message.name),
        }
    }

    /// The name of argument `i` of message `number`. In the halves of an rpc the first is the number of the call, `id`.
    #[must_use]
    pub fn argument(&self, number: u16, i: usize) -> &'static str {
        let Some(message) = self.message(number) else { return "(unknown)" };
        let before = usize::from(message.kind != MessageKind::Message);
        match i.checked_sub(before) {
            None => "id",
            Some(i) => message.args.get(i).map_or("(unknown)", |arg| arg.name),
        }
    }

    /// Name and digest of every message, for a peer that has another version.
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
