//! Futures that wait for the outgoing slot, or for a place in the window, in order.
//!
//! When what they wait for is free the first of them is woken, and each of the others when those before it have had their chance:
//! a task of the waitset passes the slot on, as long as it is free. One that finds the slot taken again keeps its place. One
//! that was woken and is not polled holds nobody up.

use std::collections::VecDeque;
use std::rc::Weak;

use core::task::Waker;

use crate::binding::{Core, TxState};

/// Places of an empty queue that are kept.
const KEPT: usize = 256;

/// Those who wait.
#[derive(Default)]
pub(super) struct Turns {
    next: u64,
    /// In order of their tickets.
    queue: VecDeque<Waiter>,
    /// Changes in whose turn it is, since the beginning.
    changes: u64,
    /// Whether the task that passes the slot on is posted. While the slot is free and someone sleeps, it is.
    passing: bool,
}

struct Waiter {
    ticket: u64,
    /// Absent once it is woken, until it is polled again.
    sleeping: Option<Waker>,
}

/// The place of a future among those who wait, if it has one.
#[derive(Debug, Default)]
pub(super) struct Ticket(Option<u64>);

impl Ticket {
    /// Whether it has none.
    #[inline]
    pub(super) const fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl Turns {
    /// Whether someone before `ticket` has yet to be woken.
    #[inline]
    pub(super) fn must_wait(&self, ticket: &Ticket) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        let before = |waiter: &&Waiter| ticket.0.is_none_or(|ticket| waiter.ticket < ticket);
        self.queue.iter().take_while(before).any(|waiter| waiter.sleeping.is_some())
    }

    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether `ticket` waits already, and wakes the task of `waker`.
    pub(super) fn is_waiting(&self, ticket: &Ticket, waker: &Waker) -> bool {
        let sleeping = self.find(ticket).and_then(|at| self.queue[at].sleeping.as_ref());
        sleeping.is_some_and(|sleeping| sleeping.will_wake(waker))
    }

    /// Waits, at the end of the queue or where it stood before. What comes back may run user code when it is dropped.
    #[must_use]
    pub(super) fn wait(&mut self, ticket: &mut Ticket, waker: Waker) -> Option<Waker> {
        if let Some(at) = self.find(ticket) {
            return self.queue[at].sleeping.replace(waker);
        }
        ticket.0 = Some(self.next);
        self.queue.push_back(Waiter { ticket: self.next, sleeping: Some(waker) });
        self.next += 1;
        None
    }

    /// Waits no more. What comes back may run user code when it is dropped.
    pub(super) fn leave(&mut self, ticket: &mut Ticket) -> Option<Waker> {
        self.changes += 1;
        let at = self.find(ticket);
        ticket.0 = None;
        let left = self.queue.remove(at?)?;
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
        left.sleeping
    }

    /// Those who sleep, when nobody will ever get a turn again.
    pub(super) fn end(&mut self) -> impl Iterator<Item = Waker> {
        self.changes += 1;
        self.queue.drain(..).filter_map(|waiter| waiter.sleeping)
    }

    /// The task that passes the slot on may never run, being posted to another waitset.
    pub(super) fn moved(&mut self) {
        self.passing = false;
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The first who sleeps is to be woken; and, with `others`, those behind it, unless there is a task for that.
    pub(super) fn next(&mut self, others: bool) -> Option<Next> {
        self.changes += 1;
        let waker = self.queue.iter_mut().find_map(|waiter| waiter.sleeping.take())?;
        let others = others && self.queue.iter().any(|waiter| waiter.sleeping.is_some());
        let post = others && !core::mem::replace(&mut self.passing, true);
        Some(Next { waker, post })
    }

    /// The task runs that wakes those behind the first.
    pub(super) fn passed(&mut self) {
        self.passing = false;
    }

    fn find(&self, ticket: &Ticket) -> Option<usize> {
        self.queue.binary_search_by_key(&ticket.0?, |waiter| waiter.ticket).ok()
    }
}

/// Who gets a turn.
pub(super) struct Next {
    waker: Waker,
    /// Whether a task is to be posted for those behind it.
    post: bool,
}

impl Next {
    /// Wakes it; `pass_on` is the task.
    pub(super) fn wake(self, core: &Weak<Core>, pass_on: fn(&Core)) {
        self.waker.wake();
        if self.post
            && let Some(waitset) = core.upgrade().and_then(|core| core.waitset())
        {
            let core = Weak::clone(core);
            waitset.post(move |_| {
                if let Some(core) = core.upgrade() {
                    pass_on(&core);
                }
                Ok(())
            });
        }
    }
}

impl Core {
    /// Has `waker` woken when it is the turn of `ticket`.
    pub(super) fn wait_for_turn(&self, ticket: &mut Ticket, waker: &Waker) {
        let before = {
            let turns = &self.io.borrow().turns;
            if turns.is_waiting(ticket, waker) {
                return;
            }
            turns.changes()
        };
        // To copy or to drop a waker is user code: nothing is borrowed.
        let copy = waker.clone();
        let (old, changes) = {
            let turns = &mut self.io.borrow_mut().turns;
            (turns.wait(ticket, copy), turns.changes())
        };
        drop(old);
        if changes != before {
            // Its turn may have come meanwhile.
            waker.wake_by_ref();
        }
    }

    /// The slot may be free: wakes the first who waits for it, and sees to it that the others get their turn, and those who
    /// wait for a place in the window.
    pub(super) fn pass_on(&self) {
        let next = {
            let io = &mut *self.io.borrow_mut();
            if io.state != TxState::Free {
                return;
            }
            io.turns.next(true)
        };
        if let Some(next) = next {
            next.wake(&self.myself, |core| {
                core.io.borrow_mut().turns.passed();
                core.pass_on();
            });
        }
        self.calls.window.pass_on();
    }
}
