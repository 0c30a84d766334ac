//! The calls that one end may have under way, and those that wait for a place among them, in order. Why they are bounded
//! stands in `backlog.rs`.
//!
//! ```text
//!   poll --> a place, and nobody before? --> the slot, and nobody before? --> sent --> answered, failed, given up
//!                     '-> Turns of the window       '-> Turns of the slot                  '-> a place is free
//! ```
//! A call has its place from when it is sent, not before: one that is woken, here or at the slot, and is not polled, holds
//! nobody up. A place that comes free wakes the first who waits. While there are places and the slot is free, too, a task of
//! the waitset wakes the others.
//!
//! Blocking calls are counted and do not wait: there is no more than one at a time, but for those below it on the stack.

use core::cell::{Cell, RefCell};
use core::task::Waker;
use std::rc::Weak;

use crate::binding::turns::{Ticket, Turns};
use crate::binding::{Core, TxState};

/// Asynchronous calls that one end of a binding may have under way. More wait for their turn.
pub const CALL_WINDOW: usize = 1024;

/// The places, and who waits for one.
#[derive(Default)]
pub(super) struct Window {
    taken: Cell<usize>,
    turns: RefCell<Turns>,
    /// Whether `turns` has anybody.
    is_waited_for: Cell<bool>,
    /// The binding, once anybody waits.
    core: RefCell<Weak<Core>>,
}

impl Window {
    /// A call is sent.
    #[inline]
    pub(super) fn begin(&self) {
        self.taken.set(self.taken.get() + 1);
    }

    /// A call that was sent is over.
    #[inline]
    pub(super) fn end(&self) {
        self.taken.set(self.taken.get() - 1);
        if self.is_waited_for.get() {
            self.pass_on();
        }
    }

    /// Whether there is a place for a call, and nobody waits for one.
    #[inline]
    pub(super) fn is_free(&self) -> bool {
        self.has_room() && !self.is_waited_for.get()
    }

    /// Whether there is a place for the call of this ticket.
    #[inline]
    pub(super) fn is_open(&self, ticket: &Ticket) -> bool {
        self.has_room() && !(self.is_waited_for.get() && self.turns.borrow().must_wait(ticket))
    }

    /// Waits for a place.
    #[cold]
    pub(super) fn wait(&self, ticket: &mut Ticket, waker: &Waker, core: &Weak<Core>) {
        self.core.borrow_mut().clone_from(core);
        if self.turns.borrow().is_waiting(ticket, waker) {
            return;
        }
        // To copy or to drop a waker is user code: nothing is borrowed.
        self.is_waited_for.set(true);
        let before = self.turns.borrow().changes();
        let copy = waker.clone();
        let old = self.turns.borrow_mut().wait(ticket, copy);
        drop(old);
        if self.turns.borrow().changes() != before {
            // There may be a place meanwhile.
            waker.wake_by_ref();
        }
    }

    /// Waits no more.
    #[inline]
    pub(super) fn leave(&self, ticket: &mut Ticket) {
        if self.is_waited_for.get() {
            let waker = self.turns.borrow_mut().leave(ticket);
            self.is_waited_for.set(!self.turns.borrow().is_empty());
            drop(waker);
        }
    }

    /// The binding has ended: those who wait.
    pub(super) fn close(&self) -> Vec<Waker> {
        self.is_waited_for.set(false);
        self.turns.borrow_mut().end().collect()
    }

    /// The binding has gone to another waitset.
    pub(super) fn moved(&self) {
        self.turns.borrow_mut().moved();
        self.pass_on();
    }

    /// If there is a place, wakes the first who waits for one; and if the slot is free, sees to it that the others get their
    /// turn. Who makes it free calls this.
    pub(super) fn pass_on(&self) {
        if !(self.is_waited_for.get() && self.has_room()) {
            return;
        }
        let core = self.core.borrow().clone();
        let is_free = core.upgrade().is_some_and(|core| core.is_slot_free());
        let next = self.turns.borrow_mut().next(is_free);
        if let Some(next) = next {
            next.wake(&core, |core| {
                let window = &core.calls.window;
                window.turns.borrow_mut().passed();
                if core.is_slot_free() {
                    window.pass_on();
                }
            });
        }
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.taken.get() < CALL_WINDOW
    }
}

impl Core {
    /// Whether the slot is known to be free. In the middle of a send it is not; who sends knows what to do afterwards.
    fn is_slot_free(&self) -> bool {
        self.io.try_borrow().is_ok_and(|io| io.state == TxState::Free)
    }
}
