//! Tasks that wait for one thing, the outgoing slot or a place in the call window, in order.
//!
//! When the thing is free, the first sleeper is woken. The others are woken one by one: a job of the shell passes the turn
//! on for as long as the thing stays free ([`Woken::pass_on`]). A task that finds the thing taken again keeps its position.
//! A task that was woken and is not polled delays nobody.

use std::collections::VecDeque;

use core::task::Waker;

/// Capacity that an empty queue keeps.
const KEPT: usize = 256;

/// The queue.
#[derive(Default)]
pub(in crate::binding) struct WaitQueue {
    next: u64,
    /// In order of their positions.
    queue: VecDeque<Waiter>,
    /// Number of changes to the order, since the beginning.
    changes: u64,
    /// True while a job of the shell is under way that passes the turn on.
    passing: bool,
}

struct Waiter {
    position: u64,
    /// `None` once it is woken, until its task is polled again.
    sleeping: Option<Waker>,
}

/// The position of a task in a [`WaitQueue`], if it has one.
#[derive(Debug, Default)]
pub(in crate::binding) struct Position(Option<u64>);

impl Position {
    #[inline]
    pub(in crate::binding) const fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

/// The task whose turn it is.
pub(super) struct Woken {
    pub(super) waker: Waker,
    /// True if the shell has to start a job that passes the turn on.
    pub(super) pass_on: bool,
}

impl WaitQueue {
    /// Returns true if a task before `position` sleeps.
    #[inline]
    pub(super) fn must_wait(&self, position: &Position) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        let before =
            |waiter: &&Waiter| position.0.is_none_or(|position| waiter.position < position);
        self.queue.iter().take_while(before).any(|waiter| waiter.sleeping.is_some())
    }

    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Returns true if `position` sleeps already and would wake the task of `waker`.
    pub(super) fn is_waiting(&self, position: &Position, waker: &Waker) -> bool {
        let sleeping = self.find(position).and_then(|at| self.queue[at].sleeping.as_ref());
        sleeping.is_some_and(|sleeping| sleeping.will_wake(waker))
    }

    /// Waits at `position`, or at the end of the queue. Returns the waker before, whose drop may run user code.
    #[must_use]
    pub(super) fn wait(&mut self, position: &mut Position, waker: Waker) -> Option<Waker> {
        if let Some(at) = self.find(position) {
            return self.queue[at].sleeping.replace(waker);
        }
        position.0 = Some(self.next);
        self.queue.push_back(Waiter { position: self.next, sleeping: Some(waker) });
        self.next += 1;
        None
    }

    /// Leaves the queue. Returns the waker, whose drop may run user code.
    #[must_use]
    pub(super) fn leave(&mut self, position: &mut Position) -> Option<Waker> {
        self.changes += 1;
        let at = self.find(position);
        position.0 = None;
        let left = self.queue.remove(at?)?;
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
        left.sleeping
    }

    /// Empties the queue for good. Returns the sleepers.
    pub(super) fn end(&mut self) -> impl Iterator<Item = Waker> {
        self.changes += 1;
        self.queue.drain(..).filter_map(|waiter| waiter.sleeping)
    }

    /// The job that passes the turn on is lost: the shell has moved to another waitset.
    pub(super) fn moved(&mut self) {
        self.passing = false;
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns true if a task sleeps.
    #[cfg(any(test, fuzzing))]
    pub(super) fn has_sleeper(&self) -> bool {
        self.queue.iter().any(|waiter| waiter.sleeping.is_some())
    }

    /// Takes out the first sleeper. With `others`, [`Woken::pass_on`] is set if there are more and no job is under way.
    pub(super) fn next(&mut self, others: bool) -> Option<Woken> {
        self.changes += 1;
        let waker = self.queue.iter_mut().find_map(|waiter| waiter.sleeping.take())?;
        let others = others && self.queue.iter().any(|waiter| waiter.sleeping.is_some());
        let pass_on = others && !core::mem::replace(&mut self.passing, true);
        Some(Woken { waker, pass_on })
    }

    /// The job that passes the turn on runs.
    pub(super) fn passed(&mut self) {
        self.passing = false;
    }

    fn find(&self, position: &Position) -> Option<usize> {
        self.queue.binary_search_by_key(&position.0?, |waiter| waiter.position).ok()
    }
}
