//! The end of a connection.

use super::backlog::Backlog;
use super::message::Owned;
use super::{Connection, Event, State};
use crate::binding::error::{BindingError, TxError};

impl<T, R> Connection<T, R> {
    /// Ends the binding for the program: nothing more is accepted or delivered, and calls fail. Returns false if it had
    /// ended before.
    pub(in crate::binding) fn end(&mut self, why: &BindingError) -> bool {
        if self.ended.is_some() {
            return false;
        }
        self.ended = Some(why.clone());
        self.receive_only = false;
        let events = &mut self.events;
        events.extend(self.send.queue.end().map(Event::Wake));
        self.calls.stop_ticking();
        events.extend(self.calls.window.queue.end().map(Event::Wake));
        self.calls.fail_all(why, |waker| events.push(Event::Wake(waker)));
        events.extend(self.replies.end().map(Event::Wake));
        true
    }

    /// From here on, what comes in is discarded; what was accepted is sent, unless `is_lost`.
    pub(in crate::binding) const fn begin_closing(&mut self, is_lost: bool) {
        self.send.state = State::Closing;
        self.send.is_cut = is_lost || self.is_exempt;
    }

    /// Gives up what a closing binding has not sent.
    pub(in crate::binding) const fn cut(&mut self) {
        self.send.is_cut = true;
    }

    /// Returns true if a closing binding has given up what it has not sent.
    pub(in crate::binding) const fn is_cut(&self) -> bool {
        self.send.is_cut
    }

    /// Returns true if the binding is closing and has nothing left to do.
    pub(in crate::binding) fn may_close(&self) -> bool {
        self.send.state == State::Closing && (self.send.is_cut || !self.send.has_unsent())
    }

    /// Closes the binding: the one transition to `Closed`. Returns the messages that were not sent, to be dropped; `None` if
    /// the binding was closed before.
    pub(in crate::binding) fn close(&mut self) -> Option<(Owned, Backlog<R>)> {
        let half = &mut self.send;
        if half.state == State::Closed {
            return None;
        }
        half.all_sent = !half.has_unsent();
        half.state = State::Closed;
        self.events.extend(half.watchers.drain(..).map(Event::Wake));
        let receipts = half.receipt.take().into_iter().chain(half.backlog.receipts());
        self.events.extend(receipts.map(|receipt| Event::Report(receipt, Err(TxError::Closed))));
        Some((core::mem::take(&mut half.slot), core::mem::take(&mut half.backlog)))
    }

    /// Returns whether everything that was accepted was sent, once the binding is closed.
    pub(in crate::binding) fn close_result(&self) -> Option<Result<(), TxError>> {
        let sent = if self.send.all_sent { Ok(()) } else { Err(TxError::Closed) };
        (self.send.state == State::Closed).then_some(sent)
    }
}
