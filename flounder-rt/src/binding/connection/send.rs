//! The sending half: one outgoing slot, and the backlog behind it.

use core::ops::Range;
use core::task::Waker;

use super::backlog::{Backlog, Queued};
use super::loss::part;
use super::message::Owned;
use super::notice::Notice;
use super::wait_queue::WaitQueue;
use super::{Connection, Event, State};
use crate::binding::error::{BindingError, TxError};
use crate::cap::Cap;
use crate::channel::{ChannelError, KEPT_WORDS, Outgoing, Progress};
use crate::message::bulk::Loans;
use crate::wire::Gather;

/// Words of memory that an entry of the backlog takes besides the words of its message.
const REPLY_WORDS: usize = 16;

/// How far the channel is with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::binding) enum Took {
    /// It has taken the rest.
    All,
    /// It has taken more, or nothing more.
    Part { moved: bool },
    /// It has refused the capabilities: the message is lost.
    Lost,
    /// The peer is gone.
    PeerGone,
    /// It has failed.
    Failed,
}

/// The slot, the backlog, and the tasks that wait for either.
pub(super) struct SendHalf<R> {
    pub(super) state: State,
    pub(super) slot: Owned,
    /// Words of the slot that the channel has taken.
    pub(super) taken: usize,
    /// Number of messages accepted since the beginning: the serial of the last one.
    pub(super) accepted: u64,
    /// True if the last message that was accepted is in the slot: neither sent nor lost.
    pub(super) is_slot_full: bool,
    /// Serials of the messages that were lost last, without one that was sent among them.
    pub(super) lost: Range<u64>,
    /// The receipt of the message in the slot.
    pub(super) receipt: Option<R>,
    /// Wakers of the tasks that wait until the message in the slot is sent or lost.
    pub(super) watchers: Vec<Waker>,
    /// Tasks that wait for the slot.
    pub(super) queue: WaitQueue,
    pub(super) backlog: Backlog<R>,
    /// True if the binding is closing and what it has not sent is lost.
    pub(super) is_cut: bool,
    /// True if everything that was accepted was sent; known once the binding is closed.
    pub(super) all_sent: bool,
}

impl<R> Default for SendHalf<R> {
    fn default() -> Self {
        Self {
            state: State::Free,
            slot: Owned::default(),
            taken: 0,
            accepted: 0,
            is_slot_full: false,
            lost: 1..1,
            receipt: None,
            watchers: Vec::new(),
            queue: WaitQueue::default(),
            backlog: Backlog::default(),
            is_cut: false,
            all_sent: false,
        }
    }
}

impl<R> SendHalf<R> {
    /// The channel took a message whole, at once. Returns its serial.
    #[inline]
    pub(super) const fn sent_at_once(&mut self) -> u64 {
        self.accepted += 1;
        self.accepted
    }

    /// The last message that was accepted is lost.
    fn lose(&mut self) {
        if self.lost.end != self.accepted {
            self.lost.start = self.accepted;
        }
        self.lost.end = self.accepted + 1;
    }

    /// Moves the first entry of the backlog into the slot, if the slot is empty. Returns true if the slot has a message.
    pub(super) fn fill_slot(&mut self) -> bool {
        if self.is_slot_full {
            return true;
        }
        let Some((mut next, receipt)) = self.backlog.pop() else {
            self.backlog.give_back();
            return false;
        };
        Loans::take_from(&mut next.caps).sent();
        (self.slot, self.receipt, self.taken) = (next, receipt, 0);
        self.accepted += 1;
        self.is_slot_full = true;
        if self.state == State::Free {
            self.state = State::Sending;
        }
        true
    }

    /// Returns true if a message was accepted that the channel has not taken.
    pub(super) fn has_unsent(&self) -> bool {
        self.is_slot_full || !self.backlog.is_empty()
    }

    /// Words of the messages that the channel has not taken.
    pub(super) fn unsent_words(&self) -> usize {
        let slot = if self.is_slot_full { self.slot.words.len() } else { 0 };
        slot + self.backlog.all_words()
    }

    /// Words of memory that the message in the slot and the queued replies take.
    pub(super) const fn held_words(&self) -> usize {
        let slot = if self.is_slot_full { self.slot.words.capacity() } else { 0 };
        slot + self.backlog.words() + self.backlog.replies() * REPLY_WORDS
    }

    /// Returns true if message `serial` is sent. A later message that was sent does not make up for one that was lost.
    #[inline]
    pub(super) fn is_sent(&self, serial: u64) -> bool {
        self.is_settled(serial) && !self.lost.contains(&serial)
    }

    /// Returns true if message `serial` is sent or lost.
    #[inline]
    const fn is_settled(&self, serial: u64) -> bool {
        serial <= self.accepted - self.is_slot_full as u64
    }

    /// Returns what became of message `serial`, if that is known.
    pub(super) fn outcome(&self, serial: u64) -> Option<Result<(), TxError>> {
        if self.is_sent(serial) {
            Some(Ok(()))
        } else if self.is_settled(serial) || self.state == State::Closed {
            Some(Err(TxError::Closed))
        } else {
            None
        }
    }
}

impl<T, R> Connection<T, R> {
    /// Returns true if a message behind the one in the slot overtakes nobody, and the one in the slot waits for nothing but
    /// its capabilities.
    pub(in crate::binding) fn waits_for_caps_alone(&self) -> bool {
        self.send.slot.cap_count > 0 && self.send.queue.is_empty() && self.calls.window.is_free()
    }

    /// The channel took a message whole, at once. Returns its serial.
    #[inline]
    pub(in crate::binding) const fn sent_at_once(&mut self) -> u64 {
        self.send.sent_at_once()
    }

    /// The channel took the capabilities of a message, and lost the message. Returns its serial.
    pub(in crate::binding) fn lost_at_once(&mut self) -> u64 {
        self.send.accepted += 1;
        self.send.lose();
        self.send.accepted
    }

    /// Puts into the slot what the channel has not taken of a message. Returns the serial of the message.
    #[cold]
    pub(in crate::binding) fn stash(
        &mut self,
        number: u16,
        body: Gather<'_>,
        caps: &mut Vec<Cap>,
        cap_count: usize,
        taken: usize,
    ) -> u64 {
        self.receive_only = false;
        let half = &mut self.send;
        half.state = State::Sending;
        half.accepted += 1;
        half.is_slot_full = true;
        half.taken = taken;
        half.slot.number = number;
        // The channel does not read again the words that it has taken. If it refuses the capabilities later, the words show
        // which call is lost.
        let (len, from) = (body.len(), if cap_count > 0 { 0 } else { taken.min(body.len()) });
        half.slot.words.resize(len, 0);
        body.reader(from).read(&mut half.slot.words[from..]);
        half.slot.caps = core::mem::take(caps);
        half.slot.cap_count = cap_count;
        half.accepted
    }

    /// Queues a reply or a message behind everything that is accepted; drops it, and returns false, once the binding is
    /// closed.
    pub(in crate::binding) fn queue(&mut self, entry: Queued<R>) -> bool {
        let is_open = self.send.state != State::Closed && !self.send.is_cut;
        if is_open {
            self.receive_only = false;
            self.send.backlog.push(entry);
        }
        is_open
    }

    /// Queues a notice, unless the binding has ended.
    pub(super) fn notify(&mut self, notice: Notice) {
        if matches!(self.send.state, State::Free | State::Sending) {
            self.receive_only = false;
            self.send.backlog.push(Queued::Notice(notice));
        }
    }

    /// Returns the message that the channel has to take next, and how many of its words it has taken.
    pub(in crate::binding) fn outgoing(&mut self) -> Option<(Outgoing<'_>, usize)> {
        if self.send.state == State::Closed || !self.send.fill_slot() {
            return None;
        }
        let Owned { number, words, caps, cap_count } = &mut self.send.slot;
        let body = Gather::words_only(words);
        Some((Outgoing { number: *number, body, caps, cap_count: *cap_count }, self.send.taken))
    }

    /// The channel was given the [`outgoing`](Self::outgoing) message.
    pub(in crate::binding) fn took(&mut self, result: Result<Progress, ChannelError>) -> Took {
        match result {
            Ok(Progress::Done) => {
                self.settle_slot(Ok(()));
                Took::All
            }
            Ok(Progress::Partial(taken)) => {
                let moved = taken != self.send.taken;
                self.send.taken = taken;
                Took::Part { moved }
            }
            // What was sent before is still to be received, and the backlog would hold that back.
            Err(ChannelError::Closed | ChannelError::PeerDied) => {
                let receipts = self.send.backlog.receipts();
                let report = |receipt| Event::Report(receipt, Err(TxError::Closed));
                self.events.extend(receipts.map(report));
                self.send.backlog = Backlog::default();
                self.send.is_cut = self.send.state == State::Closing;
                Took::PeerGone
            }
            Err(ChannelError::Caps(refusal)) => {
                let words = &self.send.slot.words;
                let part = part(self.interface, self.send.slot.number, |at| words.get(at).copied());
                self.settle_slot(Err(TxError::CapsRefused(refusal)));
                self.send.lose();
                self.lost_in(part, refusal, true);
                self.note(BindingError::CapsRefused(refusal));
                Took::Lost
            }
            Err(error) => {
                self.send.is_cut = self.send.state == State::Closing;
                self.note(error.into());
                Took::Failed
            }
        }
    }

    /// The message in the slot is sent or lost.
    fn settle_slot(&mut self, result: Result<(), TxError>) {
        if self.send.state == State::Sending {
            self.send.state = State::Free;
        }
        self.send.is_slot_full = false;
        self.send.slot.caps.clear();
        let report = self.send.receipt.take().map(|receipt| Event::Report(receipt, result));
        self.events.extend(report);
        self.events.extend(self.send.watchers.drain(..).map(Event::Wake));
    }

    /// Returns the words of the message that was lost just now.
    pub(in crate::binding) fn lost_words(&self) -> Vec<u64> {
        self.send.slot.words.clone()
    }

    /// Returns true if the slot has memory to give back.
    pub(in crate::binding) const fn has_large_slot(&self) -> bool {
        self.send.slot.words.capacity() > KEPT_WORDS
    }

    /// Takes the memory of the slot, if it is large and not in use.
    pub(in crate::binding) fn take_large_slot(&mut self) -> Vec<u64> {
        if !self.send.is_slot_full && self.has_large_slot() {
            core::mem::take(&mut self.send.slot.words)
        } else {
            Vec::new()
        }
    }

    /// Returns true if a message was accepted that the channel has not taken.
    pub(in crate::binding) fn has_unsent(&self) -> bool {
        self.send.has_unsent()
    }

    /// Words of the messages that the channel has not taken.
    pub(in crate::binding) fn unsent_words(&self) -> usize {
        self.send.unsent_words()
    }

    /// Words of memory that the message in the slot and the queued replies take.
    pub(in crate::binding) const fn held_words(&self) -> usize {
        self.send.held_words()
    }

    /// Returns what became of message `serial`, if that is known.
    pub(in crate::binding) fn outcome(&self, serial: u64) -> Option<Result<(), TxError>> {
        self.send.outcome(serial)
    }

    #[inline]
    pub(in crate::binding) fn is_sent(&self, serial: u64) -> bool {
        self.send.is_sent(serial)
    }

    /// Reports with `receipt` what becomes of a message that was accepted, or refused, just now.
    pub(in crate::binding) fn report(&mut self, accepted: Result<u64, TxError>, receipt: R) {
        match accepted.map_or_else(|error| Some(Err(error)), |serial| self.send.outcome(serial)) {
            Some(outcome) => self.events.push(Event::Report(receipt, outcome)),
            // It is in the slot.
            None => self.send.receipt = Some(receipt),
        }
    }

    /// Returns true if a task of this waker waits until the message in the slot is settled.
    pub(in crate::binding) fn is_watched_by(&self, waker: &Waker) -> bool {
        self.send.watchers.iter().any(|watcher| watcher.will_wake(waker))
    }

    /// Wakes `waker` when the message in the slot is sent or lost.
    pub(in crate::binding) fn watch_slot(&mut self, waker: Waker) {
        self.send.watchers.push(waker);
    }
}
