//! The protocol of one end of a binding, as a machine: no channel, no clock, no callback, no shared ownership.
//!
//! ```text
//!                 stash, or an entry of the backlog                     end                 nothing unsent, or cut
//!        Free ------------------------------------> Sending      any ------> Closing ----------------------------> Closed
//!         ^                                            |
//!         '------------ took: all, or lost ------------'
//! ```
//! | state | a message is | `outgoing` | received messages are |
//! |---|---|---|---|
//! | `Free` | accepted | nothing | delivered |
//! | `Sending` | refused with `Busy` | the slot, then the backlog | delivered |
//! | `Closing` | refused with `Closed` | the slot, then the backlog | discarded |
//! | `Closed` | refused with `Closed` | nothing | discarded |
//!
//! The shell ([`Shell`](super::Shell), and the shared binding on top of it) owns the channel, the handlers and the waitset. It
//! puts in
//!
//! - what the program sends: [`rule`](Connection::rule) decides between sending, waiting and refusing, and is the only place
//!   that does; then [`sent_at_once`](Connection::sent_at_once) or [`stash`](Connection::stash) note what the channel took;
//! - how far the channel is with [`outgoing`](Connection::outgoing): [`took`](Connection::took);
//! - replies and runtime messages that have come: [`answer`](Connection::answer), [`runtime_message`];
//! - the end: [`end`](Connection::end), [`close`](Connection::close), [`set_peer_gone`](Connection::set_peer_gone).
//!
//! Out come, besides what the methods return, [`Event`]s: wakers to wake and to drop, receipts to settle. They are user code, so
//! the shell runs them when nothing is borrowed ([`drain_events`](Connection::drain_events)).
//!
//! [`runtime_message`]: Connection::runtime_message

use core::task::Waker;
use std::collections::VecDeque;

use crate::binding::error::{BindingError, RpcError, TxError};
use crate::interface::Interface;

mod backlog;
mod calls;
mod end;
mod loss;
mod message;
mod notice;
#[cfg(any(test, fuzzing))]
mod programs;
mod receive;
mod replies;
mod send;
#[cfg(test)]
mod tests;
mod wait_queue;
mod window;

pub(super) use backlog::Queued;
use calls::Calls;
pub(super) use calls::{GivenUp, Left, Limit, NONE, Polled, ReplyLine, TICKS, Waits, Watched};
pub(super) use message::{Message, Owned};
pub(super) use notice::NoReply;
#[cfg(fuzzing)]
pub use programs::run_program;
pub(super) use receive::Intake;
use receive::ReceiveHalf;
pub(super) use replies::Finished;
use replies::PendingReplies;
use send::SendHalf;
pub(super) use send::Took;
pub(super) use wait_queue::Position;
use wait_queue::WaitQueue;
pub use window::CALL_WINDOW;

/// Replies that may be pending, or wait for room; with so many, an end receives no more calls until some are sent. Twice as
/// many as the peer may have calls under way. Of a peer that is gone an end receives what is left, up to as many calls again.
pub const MAX_PENDING_REPLIES: usize = 2 * CALL_WINDOW;

/// Where an end stands with what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The slot is empty.
    Free,
    /// The channel has taken a part of the message in the slot.
    Sending,
    /// Nothing more is accepted; what was is sent.
    Closing,
    Closed,
}

/// Kind of sender.
#[derive(Clone, Copy)]
pub(super) enum Sender<'a> {
    /// A message or a blocking call, which does not wait in line.
    Any,
    /// A task that waits for the slot.
    Waiting(&'a Position),
    /// An asynchronous call, which needs a place in the window, too.
    Call { place: &'a Position, turn: &'a Position },
}

/// Whether a message may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Now.
    Send,
    /// After the message in the slot, and the tasks that waited before.
    WaitForSlot,
    /// After one of the calls that are under way, and the calls that waited before.
    WaitForPlace,
    /// Never.
    Refuse,
}

/// What the shell has to do when nothing is borrowed.
pub(super) enum Event<R> {
    Wake(Waker),
    /// To call [`Connection::pass_on`] from the waitset, after the tasks that are woken by now have run.
    PassOn(Line),
    /// To report what became of a message.
    Report(R, Result<(), TxError>),
    /// To fail a call that this thread did not make.
    Fail(u32, RpcError),
}

/// What a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Slot,
    Place,
}

/// One end. `T` is a timer of the shell, `R` a receipt that the shell gets back when a message is settled.
pub(super) struct Connection<T, R> {
    interface: &'static Interface,
    send: SendHalf<R>,
    calls: Calls<T>,
    replies: PendingReplies,
    receive: ReceiveHalf,
    /// Cache of [`may_only_receive`](Self::may_only_receive): if true, the next step has only to receive. Every method that
    /// changes one of its parts clears it.
    receive_only: bool,
    /// True for the end of a service: see [`backlog`].
    pub(super) is_service: bool,
    /// True until the handlers know of the binding, if they want to. The first step looks at everything.
    pub(super) is_new: bool,
    /// True for the binding of a broker: its capabilities are not checked, and nothing is reported about them.
    is_exempt: bool,
    /// Errors that the error handler has not been given yet.
    unreported_errors: VecDeque<BindingError>,
    /// Why the binding ended.
    ended: Option<BindingError>,
    events: Vec<Event<R>>,
}

impl<T, R> Connection<T, R> {
    pub(super) fn new(interface: &'static Interface) -> Self {
        Self {
            interface,
            send: SendHalf::default(),
            calls: Calls::default(),
            replies: PendingReplies::default(),
            receive: ReceiveHalf::default(),
            receive_only: false,
            is_service: false,
            is_new: false,
            is_exempt: false,
            unreported_errors: VecDeque::new(),
            ended: None,
            events: Vec::new(),
        }
    }

    /// The calls of this end, for what concerns neither the window nor the slot.
    #[inline]
    pub(super) const fn calls(&mut self) -> &mut Calls<T> {
        &mut self.calls
    }

    /// Makes this the binding of a broker.
    pub(super) const fn exempt(&mut self) {
        self.is_exempt = true;
        self.calls.never_tick();
    }

    pub(super) const fn is_exempt(&self) -> bool {
        self.is_exempt
    }

    #[inline]
    pub(super) const fn state(&self) -> State {
        self.send.state
    }

    #[inline]
    pub(super) const fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Returns why the binding ended, if it has.
    pub(super) const fn ended(&self) -> Option<&BindingError> {
        self.ended.as_ref()
    }

    /// Takes out what the shell has to do.
    pub(super) fn drain_events(&mut self) -> impl Iterator<Item = Event<R>> {
        self.events.drain(..)
    }

    #[inline]
    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The rule for everything that is sent, except for replies and notices ([`may_reply`](Self::may_reply)).
    #[inline(always)]
    pub(super) fn rule(&self, sender: Sender<'_>) -> Rule {
        match self.send.state {
            State::Closing | State::Closed => return Rule::Refuse,
            State::Free | State::Sending => {}
        }
        let turn = match sender {
            Sender::Any => None,
            Sender::Waiting(turn) => Some(turn),
            Sender::Call { place, .. } if !self.calls.window.is_open(place) => {
                return Rule::WaitForPlace;
            }
            Sender::Call { turn, .. } => Some(turn),
        };
        let must_wait = self.send.state == State::Sending
            || turn.is_some_and(|turn| self.send.queue.must_wait(turn));
        if must_wait { Rule::WaitForSlot } else { Rule::Send }
    }

    /// Returns true if [`rule`](Self::rule) is [`Rule::Send`] for [`Sender::Any`].
    #[inline]
    pub(super) fn is_free(&self) -> bool {
        self.send.state == State::Free
    }

    /// Returns true if a reply or a notice may be sent now: it must not overtake another in the backlog.
    #[inline]
    pub(super) fn may_reply(&self) -> bool {
        self.is_free() && self.send.backlog.is_empty()
    }

    const fn line(&self, line: Line) -> &WaitQueue {
        match line {
            Line::Slot => &self.send.queue,
            Line::Place => &self.calls.window.queue,
        }
    }

    const fn line_mut(&mut self, line: Line) -> &mut WaitQueue {
        match line {
            Line::Slot => &mut self.send.queue,
            Line::Place => &mut self.calls.window.queue,
        }
    }

    /// Returns true if `position` waits in the line already, with this waker.
    pub(super) fn is_waiting(&self, line: Line, position: &Position, waker: &Waker) -> bool {
        self.line(line).is_waiting(position, waker)
    }

    /// Number of changes to a line since the beginning.
    pub(super) const fn changes(&self, line: Line) -> u64 {
        self.line(line).changes()
    }

    /// Waits in a line. Returns the waker before, to be dropped.
    #[must_use]
    pub(super) fn wait(
        &mut self,
        line: Line,
        position: &mut Position,
        waker: Waker,
    ) -> Option<Waker> {
        self.line_mut(line).wait(position, waker)
    }

    /// Leaves a line. Returns the waker, to be dropped.
    #[must_use]
    pub(super) fn leave(&mut self, line: Line, position: &mut Position) -> Option<Waker> {
        if line == Line::Place && self.calls.window.queue.is_empty() {
            *position = Position::default();
            return None;
        }
        self.line_mut(line).leave(position)
    }

    /// Wakes the first task of the lines whose thing is free.
    pub(super) fn wake_next(&mut self) {
        if self.send.state == State::Free {
            self.wake_first(Line::Slot, true);
            self.wake_next_call();
        }
    }

    /// Wakes the first call that waits for a place, if there is one.
    #[inline]
    pub(super) fn wake_next_call(&mut self) {
        if !self.calls.window.queue.is_empty() && self.calls.window.has_room() {
            self.wake_first(Line::Place, self.send.state == State::Free);
        }
    }

    fn wake_first(&mut self, line: Line, others: bool) {
        let Some(woken) = self.line_mut(line).next(others) else { return };
        self.events.push(Event::Wake(woken.waker));
        if woken.pass_on {
            self.events.push(Event::PassOn(line));
        }
    }

    /// The shell runs the job of [`Event::PassOn`].
    pub(super) fn pass_on(&mut self, line: Line) {
        self.line_mut(line).passed();
        match line {
            Line::Slot => self.wake_next(),
            Line::Place if self.send.state == State::Free => self.wake_next_call(),
            Line::Place => {}
        }
    }

    /// The jobs of [`Event::PassOn`] are lost: the shell has moved to another waitset.
    pub(super) fn moved(&mut self) {
        self.send.queue.moved();
        self.calls.window.queue.moved();
        self.wake_next();
        self.wake_next_call();
    }
}
