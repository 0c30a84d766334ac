//! Messages in memory of their own.

use crate::binding::Received;
use crate::cap::Cap;
use crate::wire::{Gather, LINE};

/// A message to be sent, with all its words.
#[derive(Debug, Default)]
pub(in crate::binding) struct Owned {
    pub(in crate::binding) number: u16,
    pub(in crate::binding) words: Vec<u64>,
    /// Capabilities that the channel has not taken; in the backlog, followed by the slots that the message names.
    pub(in crate::binding) caps: Vec<Cap>,
    /// Number of capabilities in all.
    pub(in crate::binding) cap_count: usize,
}

/// A message that is kept: a call until it is accepted, a reply until its caller takes it. A message of few words needs no
/// allocation.
#[derive(Debug, Default)]
pub struct Message {
    pub(in crate::binding) number: u16,
    inline: [u64; LINE],
    len: usize,
    large: Vec<u64>,
    /// Capabilities, followed by the slots that the message names.
    pub(in crate::binding) caps: Vec<Cap>,
}

impl Message {
    pub(in crate::binding) fn new(number: u16, body: Gather<'_>, caps: Vec<Cap>) -> Self {
        let mut message = Self { caps, ..Self::default() };
        message.put_together(number, body);
        message
    }

    /// Returns a copy of the number and the words.
    pub(in crate::binding) fn copy_without_caps(&self) -> Self {
        let Self { number, inline, len, .. } = *self;
        Self { number, inline, len, large: self.large.clone(), caps: Vec::new() }
    }

    /// Copies a message that was received.
    pub(in crate::binding) fn keep(message: Received<'_>) -> Self {
        let caps = core::mem::take(message.caps);
        Self::new(message.number, Gather::words_only(message.words), caps)
    }

    /// Replaces the words.
    #[inline]
    pub(super) fn put_together(&mut self, number: u16, body: Gather<'_>) {
        self.number = number;
        match body.put_together(&mut self.inline) {
            Some(len) => self.len = len,
            None => self.put_large(body),
        }
    }

    #[cold]
    fn put_large(&mut self, body: Gather<'_>) {
        self.len = body.len();
        self.large.clear();
        self.large.resize(self.len, 0);
        body.reader(0).read(&mut self.large);
    }

    /// Returns true if there are capabilities, or memory for many words.
    #[inline]
    pub(super) fn has_more(&self) -> bool {
        !self.caps.is_empty() || self.large.capacity() > 0
    }

    /// Returns the words, to be changed.
    pub(in crate::binding) fn words_mut(&mut self) -> &mut [u64] {
        self.inline.get_mut(..self.len).unwrap_or(&mut self.large)
    }

    /// Returns the words and the capabilities.
    #[inline]
    pub(in crate::binding) fn parts(&mut self) -> (&[u64], &mut Vec<Cap>) {
        let words = self.inline.get(..self.len).unwrap_or(&self.large);
        (words, &mut self.caps)
    }

    /// Returns the message as a handler or a caller reads it.
    #[inline]
    pub(in crate::binding) fn lend(&mut self) -> Received<'_> {
        let number = self.number;
        let (words, caps) = self.parts();
        Received { number, words, caps }
    }
}
