//! Several threads at one waitset: which thread gets an event, which one polls, which ones wait
//! (TN-011 section 4.1).
//!
//! ```text
//!   take():   an event is pending? ---> return it, by priority, then first in first out
//!             no thread polls? -------> poll: block in the kernel, then look again
//!             otherwise --------------> wait in line for an event or for the poll
//! ```
//! A thread that leaves with an event hands the other pending events to the waiting threads; if no
//! thread polls then, it makes the first thread that still waits poll. An event that arrives while
//! threads wait goes to the first of them at once. Only threads that run no event are in here, so a
//! long handler stops no other thread.
//!
//! This module knows neither closures nor the kernel; `tests/loom_remote.rs` runs it through every
//! interleaving.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::priority::{Pending, Priority};
use crate::sync::{Condvar, Mutex, planted};

/// An event of a pool.
pub(crate) trait Ranked {
    fn priority(&self) -> Priority {
        Priority::Normal
    }
}

/// The blocking wait of the thread that polls.
pub(crate) trait Kernel<T> {
    /// Error of a poll.
    type Error;

    /// Adds the events that are ready to `found`. If there are none, blocks as `wait` allows, until
    /// one is ready or [`interrupt`](Self::interrupt) is called. Runs no user code.
    fn poll(&self, wait: Wait, found: &mut Vec<T>) -> Result<(), Self::Error>;

    /// Called before each poll that may block. From here on [`interrupt`](Self::interrupt) works.
    fn prepare(&self) -> Result<(), Self::Error>;

    /// Ends the poll that is running, or the next one if none is. Usable from any thread.
    fn interrupt(&self);
}

/// The longest time that a thread waits for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    Not,
    /// Until this time, or without a limit.
    Until(Option<Instant>),
}

impl Wait {
    fn is_over(self) -> bool {
        match self {
            Self::Not => true,
            Self::Until(deadline) => deadline.is_some_and(|deadline| Instant::now() >= deadline),
        }
    }

    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Not => None,
            Self::Until(deadline) => deadline,
        }
    }
}

/// The threads that serve one waitset, with the events that are pending for them.
pub(crate) struct WorkerPool<T> {
    /// After this many events without polling, a thread polls although more are pending.
    look_around: u32,
    state: Mutex<State<T>>,
}

struct State<T> {
    pending: Pending<T>,
    /// Waiting threads, longest wait first. Invariant while the lock is free: if a thread waits, no
    /// event is pending.
    waiting: VecDeque<Arc<Waiter<T>>>,
    /// A thread is in [`Kernel::poll`].
    polling: bool,
    /// The poll that is running was interrupted.
    interrupted: bool,
    /// Events taken since the last poll.
    streak: u32,
    /// Number of [`call`](WorkerPool::call)s.
    round: u64,
}

/// A waiting thread.
struct Waiter<T> {
    given: Mutex<Option<Given<T>>>,
    woken: Condvar,
}

enum Given<T> {
    Event(T),
    /// Nothing: the thread looks again, because no thread polls or all threads were called.
    Look,
}

impl<T: Ranked> WorkerPool<T> {
    /// Creates a pool whose threads poll at least once in `look_around` events.
    pub(crate) fn new(look_around: u32) -> Self {
        Self {
            look_around,
            state: Mutex::new(State {
                pending: Pending::default(),
                waiting: VecDeque::new(),
                polling: false,
                interrupted: false,
                streak: 0,
                round: 0,
            }),
        }
    }

    /// Adds an event.
    pub(crate) fn give<K: Kernel<T>>(&self, kernel: &K, event: T) {
        let interrupt = {
            let mut state = self.state.lock();
            match state.waiting.pop_front() {
                Some(waiter) => {
                    waiter.give(Given::Event(event));
                    false
                }
                None => {
                    state.pending.push(event.priority(), event);
                    state.must_interrupt()
                }
            }
        };
        if interrupt {
            kernel.interrupt();
        }
    }

    /// Returns the number of calls so far, for [`take`](Self::take).
    pub(crate) fn round(&self) -> u64 {
        self.state.lock().round
    }

    /// Makes [`take`](Self::take) return in every thread that entered it with an earlier round and
    /// finds no event.
    pub(crate) fn call<K: Kernel<T>>(&self, kernel: &K) {
        let interrupt = {
            let mut state = self.state.lock();
            state.round += 1;
            while let Some(waiter) = state.waiting.pop_front() {
                waiter.give(Given::Look);
            }
            state.must_interrupt()
        };
        if interrupt {
            kernel.interrupt();
        }
    }

    /// Returns the next event, or `None` once the wait is over or [`call`](Self::call) has run
    /// since `round`.
    pub(crate) fn take<K: Kernel<T>>(
        &self,
        kernel: &K,
        wait: Wait,
        round: u64,
    ) -> Result<Option<T>, K::Error> {
        let mut state = self.state.lock();
        let mut found = Vec::new();
        let mut polled = false;
        loop {
            let look_around =
                !state.polling && state.streak >= self.look_around && !state.pending.is_empty();
            if !look_around {
                if let Some(event) = state.pending.pop() {
                    // A thread that polls looks at the kernel meanwhile.
                    state.streak += u32::from(!state.polling);
                    state.leave();
                    return Ok(Some(event));
                }
                let over = wait.is_over() && (polled || state.polling);
                if over || state.round != round {
                    state.leave();
                    return Ok(None);
                }
            }
            if state.polling {
                let waiter =
                    Arc::new(Waiter { given: Mutex::new(None), woken: Condvar::default() });
                state.waiting.push_back(Arc::clone(&waiter));
                loop {
                    let given = waiter.given.lock().take();
                    match given {
                        Some(Given::Event(event)) => {
                            state.leave();
                            return Ok(Some(event));
                        }
                        Some(Given::Look) => break,
                        None if wait.is_over() => {
                            state.waiting.retain(|other| !Arc::ptr_eq(other, &waiter));
                            state.leave();
                            return Ok(None);
                        }
                        None => waiter.woken.wait(&mut state, wait.deadline()),
                    }
                }
            } else {
                let wait = if state.pending.is_empty() { wait } else { Wait::Not };
                // Under the lock: a thread that sees `polling` must be able to interrupt the poll.
                if wait != Wait::Not
                    && let Err(error) = kernel.prepare()
                {
                    state.leave();
                    return Err(error);
                }
                state.polling = true;
                state.streak = 0;
                drop(state);
                let result = kernel.poll(wait, &mut found);
                state = self.state.lock();
                state.polling = false;
                if !planted("pool_stays_rung") {
                    state.interrupted = false;
                }
                for event in found.drain(..) {
                    state.pending.push(event.priority(), event);
                }
                if let Err(error) = result {
                    state.leave();
                    return Err(error);
                }
                polled = true;
            }
        }
    }
}

impl<T> State<T> {
    /// Returns true if the caller must interrupt the poll that is running.
    fn must_interrupt(&mut self) -> bool {
        self.polling && !core::mem::replace(&mut self.interrupted, true)
    }

    /// Hands pending events, or the poll, to waiting threads: the calling thread is about to leave.
    fn leave(&mut self) {
        while !self.pending.is_empty()
            && let Some(waiter) = self.waiting.pop_front()
            && let Some(event) = self.pending.pop()
        {
            waiter.give(Given::Event(event));
        }
        if !self.polling
            && let Some(waiter) = self.waiting.pop_front()
        {
            waiter.give(Given::Look);
        }
    }
}

impl<T> Waiter<T> {
    /// Wakes a thread that was removed from the line. The caller holds the lock of the pool.
    fn give(&self, given: Given<T>) {
        *self.given.lock() = Some(given);
        self.woken.notify_one();
    }
}
