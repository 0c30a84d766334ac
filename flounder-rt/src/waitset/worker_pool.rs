//! Several threads at one waitset: who gets an event, who polls, who waits (TN-011 section 4.1).
//!
//! ```text
//!   take():   something pending? ---> it, first in first out
//!             nobody polls? --------> poll: block in the kernel, then look again
//!             otherwise ------------> wait in the line of threads, until given an event or the poll
//! ```
//! Whoever leaves with an event sees to it that the others go on: what else is pending goes to those who wait, and if
//! nobody polls now, the first who still waits is told to. An event that comes while threads wait is given to the first of
//! them at once. Only a thread that runs no event is in here, so a long handler stops nobody else.
//!
//! This module knows neither closures nor the kernel; `tests/loom_remote.rs` runs it through every interleaving.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::sync::{Condvar, Mutex};

/// What the thread that polls blocks in.
pub(crate) trait Kernel<T> {
    /// Why it failed.
    type Error;

    /// Adds what is there to `found`. If nothing is, blocks as `wait` says, until something is or the bell rings.
    /// Runs no user code.
    fn poll(&self, wait: Wait, found: &mut Vec<T>) -> Result<(), Self::Error>;

    /// Called before each poll that may block: from here on, [`interrupt`](Self::interrupt) does what it says.
    fn prepare(&self) -> Result<(), Self::Error>;

    /// Ends the poll that is under way, or the next one if there is none. Usable from any thread.
    fn interrupt(&self);
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Only look.
    Not,
    /// At most until then.
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

/// The threads that serve one waitset, and what is pending for them.
pub(crate) struct WorkerPool<T> {
    /// After this many events without polling, a thread polls although more are pending.
    look_around: u32,
    state: Mutex<State<T>>,
}

struct State<T> {
    pending: VecDeque<T>,
    /// Longest first. Outside of the lock, if anybody waits then nothing is pending.
    waiting: VecDeque<Arc<Waiter<T>>>,
    /// A thread is in [`Kernel::poll`].
    polling: bool,
    /// The bell was interrupted for the poll under way.
    interrupted: bool,
    /// Events taken since the last poll.
    streak: u32,
    /// How often everybody was [called](WorkerPool::call).
    round: u64,
}

/// A thread in the line.
struct Waiter<T> {
    given: Mutex<Option<Given<T>>>,
    woken: Condvar,
}

enum Given<T> {
    Event(T),
    /// Look again: nobody polls, or everybody was called.
    Look,
}

impl<T> WorkerPool<T> {
    /// One whose threads look at the kernel at least once in `look_around` events.
    pub(crate) fn new(look_around: u32) -> Self {
        Self {
            look_around,
            state: Mutex::new(State {
                pending: VecDeque::new(),
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
                    state.pending.push_back(event);
                    state.must_interrupt()
                }
            }
        };
        if interrupt {
            kernel.interrupt();
        }
    }

    /// How often everybody was called so far; for [`take`](Self::take).
    pub(crate) fn round(&self) -> u64 {
        self.state.lock().round
    }

    /// Calls everybody out of [`take`](Self::take) who entered it with an earlier round and finds nothing.
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

    /// Takes an event; `None` once the wait is over or everybody was called since `round`.
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
                if let Some(event) = state.pending.pop_front() {
                    // Somebody who polls sees to the kernel.
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
                // Under the lock: whoever sees that somebody polls must be able to interrupt.
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
                if !cfg!(flounder_bug = "pool_stays_rung") {
                    state.interrupted = false;
                }
                state.pending.extend(found.drain(..));
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
    /// Whether the thread that polls must be interrupted for.
    fn must_interrupt(&mut self) -> bool {
        self.polling && !core::mem::replace(&mut self.interrupted, true)
    }

    /// The calling thread is about to leave; the others go on.
    fn leave(&mut self) {
        while !self.pending.is_empty()
            && let Some(waiter) = self.waiting.pop_front()
            && let Some(event) = self.pending.pop_front()
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
    /// Gives something to a thread that was taken out of the line. The caller holds the lock of the pool.
    fn give(&self, given: Given<T>) {
        *self.given.lock() = Some(given);
        self.woken.notify_one();
    }
}
