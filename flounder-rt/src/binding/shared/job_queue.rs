//! A bounded queue from any number of threads to the thread that serves a binding.
//!
//! ```text
//!   put():   room, and no thread waits? ---> into the queue; notify the server, unless it was and has not looked
//!            otherwise --------------------> wait in the line, with a ticket
//!   take():  the server takes everything; each free place is kept for the first in the line, which is woken
//! ```
//! A place that is kept goes to no other thread, so waiting threads are served in order and newcomers
//! overtake none. A thread that gives up passes the place on. Beside the queue there are *reports*, which
//! need no place: a thread that makes one had a place before, and makes at most one for it.
//!
//! Wakers are foreign code: they are cloned, woken and dropped outside of the lock. This module knows
//! neither bindings nor waitsets; `tests/loom_job_queue.rs` checks every interleaving.

use core::task::Waker;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::sync::{Mutex, planted};

/// The queue, of items `T` and reports `R`.
pub(crate) struct JobQueue<T, R> {
    capacity: usize,
    state: Mutex<State<T, R>>,
}

struct State<T, R> {
    /// Items; with the places that are kept, at most `capacity`.
    queue: VecDeque<T>,
    handle_events: Vec<R>,
    /// Wakers of the threads that wait for room, by ticket. If there is one, no place is free (while the
    /// lock is not held).
    waiting: BTreeMap<u64, Waker>,
    /// Tickets that a place is kept for.
    kept: BTreeSet<u64>,
    /// Woken when there is room that is not kept.
    watcher: Option<Waker>,
    next_ticket: u64,
    /// Number of times that the server has looked.
    looks: u64,
    /// True if the server has taken items and has not come back for more.
    serving: bool,
    /// Number of handles in other threads.
    users: usize,
    /// True if the server was notified, and has not taken the queue since.
    is_notified: bool,
    closed: bool,
}

/// Result of [`put`](JobQueue::put).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The item is in the queue.
    Done(Notify),
    /// There is no room.
    Full,
    /// The server is gone.
    Closed,
}

/// Result of [`watch_room`](JobQueue::watch_room).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is room.
    Free,
    /// There is none; the waker is woken when there is.
    Watched,
    /// There is none, and another waker is woken when there is.
    WatchedByAnother,
    /// The server is gone.
    Closed,
}

/// Whether the caller has to notify the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notify {
    Yes,
    No,
}

/// Result of [`take`](JobQueue::take).
#[must_use]
pub(crate) struct Taken {
    /// True if a handle is left.
    pub(crate) used: bool,
    /// Wakers of the threads for which there is room now; the server wakes them when it holds no lock.
    pub(crate) next: Vec<Waker>,
}

impl<T, R> JobQueue<T, R> {
    /// Creates a queue for `capacity` items, without handles.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                handle_events: Vec::new(),
                waiting: BTreeMap::new(),
                kept: BTreeSet::new(),
                watcher: None,
                next_ticket: 0,
                looks: 0,
                serving: false,
                users: 0,
                is_notified: false,
                closed: false,
            }),
        }
    }

    /// Takes the item, if there is room. Otherwise the item stays where it is, and with a waker the caller
    /// gets a ticket and waits. A ticket must be [returned](Self::give_up) unless a later `put` takes it.
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
                Put::Done(if core::mem::replace(&mut state.is_notified, true) {
                    Notify::No
                } else {
                    Notify::Yes
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

    /// Returns a ticket; a place that was kept for it goes to the next thread.
    pub(crate) fn give_up(&self, ticket: u64) {
        let (own, next) = {
            let mut state = self.state.lock();
            let own = state.waiting.remove(&ticket);
            let was_kept = state.kept.remove(&ticket);
            let passes_on = was_kept && !planted("job_queue_keeps_place");
            let next = if passes_on { state.keep(self.capacity) } else { Vec::new() };
            (own, next)
        };
        drop(own);
        next.into_iter().for_each(Waker::wake);
    }

    /// Returns true if an item would be taken now.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.state.lock();
        !state.closed && state.has_room(self.capacity)
    }

    /// Wakes `waker` once there is room, or the server is gone. No place is kept.
    pub(crate) fn watch_room(&self, waker: &Waker) -> Room {
        let waker = waker.clone();
        let mut state = self.state.lock();
        if state.closed {
            Room::Closed
        } else if state.has_room(self.capacity) {
            Room::Free
        } else if state.watcher.is_some() {
            Room::WatchedByAnother
        } else {
            state.watcher = Some(waker);
            Room::Watched
        }
    }

    /// Adds a report.
    pub(crate) fn report(&self, report: R) -> Notify {
        let mut state = self.state.lock();
        if state.closed {
            return Notify::No;
        }
        // The server takes the reports whenever it looks, the queue only when it is done with the last one.
        let notify = if state.handle_events.is_empty() { Notify::Yes } else { Notify::No };
        state.handle_events.push(report);
        notify
    }

    /// Counts a new handle.
    pub(crate) fn enter(&self) {
        self.state.lock().users += 1;
    }

    /// Counts a handle that is dropped. The server is notified of the last one.
    pub(crate) fn leave(&self) -> Notify {
        let mut state = self.state.lock();
        state.users -= 1;
        if state.users == 0 && !state.closed { Notify::Yes } else { Notify::No }
    }

    /// For the server: takes the reports, and the queue if `items` is empty.
    pub(crate) fn take(&self, items: &mut VecDeque<T>, handle_events: &mut Vec<R>) -> Taken {
        let mut state = self.state.lock();
        state.looks += 1;
        handle_events.append(&mut state.handle_events);
        let mut next = Vec::new();
        if items.is_empty() {
            state.is_notified = false;
            core::mem::swap(&mut state.queue, items);
            state.serving = !items.is_empty();
            next = state.keep(self.capacity);
        }
        Taken { used: state.users > 0 || !state.queue.is_empty(), next }
    }

    /// Returns how often the server has looked, and whether there is an item that it has not taken or is
    /// not done with.
    pub(crate) fn looks(&self) -> (u64, bool) {
        let state = self.state.lock();
        (state.looks, state.serving || !state.queue.is_empty())
    }

    /// For the server: closes the queue, wakes all waiting threads, and returns the items.
    pub(crate) fn close(&self) -> VecDeque<T> {
        let (left, waiting, handle_events) = {
            let mut state = self.state.lock();
            state.closed = true;
            state.serving = false;
            state.kept.clear();
            let waiting = core::mem::take(&mut state.waiting).into_values();
            (
                core::mem::take(&mut state.queue),
                waiting.chain(state.watcher.take()).collect::<Vec<_>>(),
                core::mem::take(&mut state.handle_events),
            )
        };
        drop(handle_events);
        waiting.into_iter().for_each(Waker::wake);
        left
    }
}

impl<T, R> State<T, R> {
    fn has_room(&self, capacity: usize) -> bool {
        self.queue.len() + self.kept.len() < capacity
    }

    /// Keeps the free places for the threads that wait, and returns their wakers.
    fn keep(&mut self, capacity: usize) -> Vec<Waker> {
        let mut woken = Vec::new();
        while self.has_room(capacity)
            && let Some((ticket, waker)) = self.waiting.pop_first()
        {
            self.kept.insert(ticket);
            woken.push(waker);
        }
        if self.has_room(capacity) {
            woken.extend(self.watcher.take());
        }
        woken
    }
}
