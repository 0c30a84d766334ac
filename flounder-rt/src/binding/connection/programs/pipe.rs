//! One direction of the channel between the two machines.

use std::collections::{BTreeSet, VecDeque};

use super::REFUSAL;
use crate::channel::{ChannelError, Progress, RUNTIME_MESSAGE};

/// One direction: words on their way, and how many more it takes now.
#[derive(Default)]
pub(super) struct Pipe {
    pub(super) messages: VecDeque<(u16, Vec<u64>)>,
    /// What has been taken of a message that is not whole. The sender does not have these words any more.
    pub(super) part: Vec<u64>,
    pub(super) words: usize,
    pub(super) budget: usize,
    /// True once one end has closed its channel: nothing more is taken, and what is there can still be received.
    pub(super) is_closed: bool,
    /// True if the sender's side refuses the capabilities of the message that is sent next.
    pub(super) refuses_next: bool,
    /// True if the receiver's side refuses the capabilities of the message that is received next.
    pub(super) loses_next: bool,
    /// Number of errors due at the receiver for losses at the sender.
    pub(super) errors_due: usize,
    /// Messages that the sender's side has lost, of those that carry a number.
    pub(super) lost_notes: BTreeSet<u64>,
}

/// Words that a pipe holds.
pub(super) const PIPE: usize = 48;

impl Pipe {
    pub(super) fn send(
        &mut self,
        number: u16,
        words: &[u64],
        from: usize,
    ) -> Result<Progress, ChannelError> {
        if self.is_closed {
            return Err(ChannelError::Closed);
        }
        if self.refuses_next && number != RUNTIME_MESSAGE {
            self.refuses_next = false;
            self.words -= core::mem::take(&mut self.part).len();
            return Err(ChannelError::Caps(REFUSAL));
        }
        let room = PIPE - self.words;
        let taken = self.budget.min(room).min(words.len() - from);
        self.budget -= taken;
        self.words += taken;
        self.part.extend_from_slice(&words[from..from + taken]);
        if from + taken < words.len() {
            return Ok(Progress::Partial(from + taken));
        }
        self.messages.push_back((number, core::mem::take(&mut self.part)));
        Ok(Progress::Done)
    }

    /// Sends a message without capabilities, if all of it fits.
    pub(super) fn send_whole(&mut self, number: u16, words: &[u64]) -> bool {
        let fits = self.budget.min(PIPE - self.words) >= words.len();
        let refuses_next = core::mem::take(&mut self.refuses_next);
        let is_sent = fits && self.send(number, words, 0) == Ok(Progress::Done);
        self.refuses_next = refuses_next;
        is_sent
    }

    pub(super) fn receive(&mut self) -> Option<(u16, Vec<u64>)> {
        let (number, words) = self.messages.pop_front()?;
        self.words -= words.len();
        Some((number, words))
    }
}
