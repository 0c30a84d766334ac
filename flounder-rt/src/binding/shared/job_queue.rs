//! A bounded queue from any number of threads to the one that serves a binding: who waits for room, and who is woken.
//!
//! ```text
//!   put():   room, and nobody waits for it? ---> into the queue; the server is told, unless it was and has not looked
//!            otherwise --------------------> wait in the line, with a ticket
//!   take():  the server takes all of it; each place that comes free is kept for the first in the line, who is woken
//! ```
//! A place that is kept goes to nobody else: who waits is served in order, and a newcomer passes nobody. One who gives up
//! passes the place on. Beside the queue there are *handle_events*, which need no place: whoever makes one had a place before, and
//! makes at most one for it.
//!
//! Wakers are foreign code: they are cloned, woken and dropped outside of the lock. This module knows neither bindings nor
//! waitsets; `tests/loom_job_queue.rs` runs it through every interleaving.

use core::task::Waker;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::sync::Mutex;

/// The queue, of items `T` and handle_events `R`.
pub(crate) struct JobQueue<T, R> {
    capacity: usize,
    state: Mutex<State<T, R>>,
}

struct State<T, R> {
    /// With the places that are kept, at most as many as the capacity.
    queue: VecDeque<T>,
    handle_events: Vec<R>,
    /// Who waits for room, by ticket. Outside of the lock, if anybody does then no place is free.
    waiting: BTreeMap<u64, Waker>,
    /// Tickets that a place is kept for.
    kept: BTreeSet<u64>,
    next_ticket: u64,
    /// How often the server has looked.
    looks: u64,
    /// Whether the server has taken items and has not come back for more.
    serving: bool,
    /// Handles in other threads.
    users: usize,
    /// The server was told of the queue, and has not taken it since.
    told: bool,
    closed: bool,
}

/// What came of a [`put`](JobQueue::put).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is in the queue.
    Done(Tell),
    /// There is no room.
    Full,
    /// The server is gone.
    Closed,
}

/// Whether the caller has to tell the server that there is something for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tell {
    Yes,
    No,
}

/// What the server learns when it takes the queue.
#[must_use]
pub(crate) struct Taken {
    /// Whether there is a user left.
    pub(crate) used: bool,
    /// Those for whom there is room now. They are foreign code: the server wakes them when it holds nothing.
    pub(crate) next: Vec<Waker>,
}

impl<T, R> JobQueue<T, R> {
    /// One with room for so many items, and no user.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                handle_events: Vec::new(),
                waiting: BTreeMap::new(),
                kept: BTreeSet::new(),
                next_ticket: 0,
                looks: 0,
                serving: false,
                users: 0,
                told: false,
                closed: false,
            }),
        }
    }

    /// Puts the item in, if there is room; else it stays where it is, and with a waker the caller gets a ticket and waits.
    /// A ticket must be [given back](Self::give_up) unless a later `put` takes it.
    pub(crate) fn put(
        &self,
        item: &mut Option<T>,
        ticket: &mut Option<u64>,
        waker: Option<&Waker>,
    ) -> Put {
        let waker = waker.cloned();
        let mut old = None;
        let put = {
            let mut state = self.state.lock();
            let kept = ticket.is_some_and(|ticket| state.kept.remove(&ticket));
            if state.closed {
                *ticket = None;
                Put::Closed
            } else if kept || (ticket.is_none() && state.has_room(self.capacity)) {
                *ticket = None;
                state.queue.extend(item.take());
                Put::Done(if core::mem::replace(&mut state.told, true) {
                    Tell::No
                } else {
                    Tell::Yes
                })
            } else {
                if let Some(waker) = waker {
                    let number = *ticket.get_or_insert_with(|| {
                        state.next_ticket += 1;
                        state.next_ticket
                    });
                    old = state.waiting.insert(number, waker);
                }
                Put::Full
            }
        };
        drop(old);
        put
    }

    /// Gives a ticket back; a place that was kept for it goes to the next.
    pub(crate) fn give_up(&self, ticket: u64) {
        let (own, next) = {
            let mut state = self.state.lock();
            let own = state.waiting.remove(&ticket);
            let was_kept = state.kept.remove(&ticket);
            let passes_on = was_kept && !cfg!(flounder_bug = "job_queue_keeps_place");
            let next = if passes_on { state.keep(self.capacity) } else { Vec::new() };
            (own, next)
        };
        drop(own);
        next.into_iter().for_each(Waker::wake);
    }

    /// Adds a report.
    pub(crate) fn report(&self, report: R) -> Tell {
        let mut state = self.state.lock();
        if state.closed {
            return Tell::No;
        }
        // The server takes the handle_events whenever it looks, the queue only when it is done with the last one.
        let tell = if state.handle_events.is_empty() { Tell::Yes } else { Tell::No };
        state.handle_events.push(report);
        tell
    }

    /// One more user.
    pub(crate) fn enter(&self) {
        self.state.lock().users += 1;
    }

    /// One user less; the server is told of the last.
    pub(crate) fn leave(&self) -> Tell {
        let mut state = self.state.lock();
        state.users -= 1;
        if state.users == 0 && !state.closed { Tell::Yes } else { Tell::No }
    }

    /// For the server: takes the handle_events, and the queue if `items` is empty.
    pub(crate) fn take(&self, items: &mut VecDeque<T>, handle_events: &mut Vec<R>) -> Taken {
        let mut state = self.state.lock();
        state.looks += 1;
        handle_events.append(&mut state.handle_events);
        let mut next = Vec::new();
        if items.is_empty() {
            state.told = false;
            core::mem::swap(&mut state.queue, items);
            state.serving = !items.is_empty();
            next = state.keep(self.capacity);
        }
        Taken { used: state.users > 0 || !state.queue.is_empty(), next }
    }

    /// How often the server has looked, and whether there is an item that it has not taken or is not done with.
    pub(crate) fn looks(&self) -> (u64, bool) {
        let state = self.state.lock();
        (state.looks, state.serving || !state.queue.is_empty())
    }

    /// For the server, which goes: nothing more is taken, and whoever waits learns it. What is left is given back.
    pub(crate) fn close(&self) -> VecDeque<T> {
        let (left, waiting, handle_events) = {
            let mut state = self.state.lock();
            state.closed = true;
            state.serving = false;
            state.kept.clear();
            (
                core::mem::take(&mut state.queue),
                core::mem::take(&mut state.waiting),
                core::mem::take(&mut state.handle_events),
            )
        };
        drop(handle_events);
        waiting.into_values().for_each(Waker::wake);
        left
    }
}

impl<T, R> State<T, R> {
    fn has_room(&self, capacity: usize) -> bool {
        self.queue.len() + self.kept.len() < capacity
    }

    /// Keeps the places that are free for those who wait, and gives their wakers.
    fn keep(&mut self, capacity: usize) -> Vec<Waker> {
        let mut woken = Vec::new();
        while self.has_room(capacity)
            && let Some((ticket, waker)) = self.waiting.pop_first()
        {
            self.kept.insert(ticket);
            woken.push(waker);
        }
        woken
    }
}
