//! Deadlines of futures in other threads: the thread with the timers wakes futures that are late.
//!
//! ```text
//!   any thread   set ---> [ deadlines, in order ] <--- look   the thread with the timers
//!                 '-- notify, if look would be too late ------^ '-- wakes late futures; returns when to look again
//! ```
//! A future that is woken checks the clock itself. It has at most one alarm, and removes it when it ends,
//! so there are no more alarms than futures. `tests/loom_park.rs` checks every interleaving.

use core::task::Waker;
use std::collections::BTreeMap;

use crate::sync::{AtomicBool, Mutex, Ordering, planted};

use super::job_queue::Notify;

/// Deadlines, with times of type `T`.
pub(crate) struct Alarms<T> {
    state: Mutex<State<T>>,
    /// True if an alarm before the next look was set since `take_new` was called. Read without the lock.
    has_new: AtomicBool,
}

struct State<T> {
    /// Alarms by time, then by number.
    set: BTreeMap<(T, u64), Waker>,
    last_number: u64,
    /// Latest time at which the server will look.
    look: Option<T>,
}

/// The alarm of a future, if it has one.
#[derive(Debug)]
pub(crate) struct Alarm<T>(Option<(T, u64)>);

impl<T: Copy + Ord> Alarms<T> {
    pub(crate) fn new() -> Self {
        let state = State { set: BTreeMap::new(), last_number: 0, look: None };
        Self { state: Mutex::new(state), has_new: AtomicBool::new(false) }
    }

    /// Sets the alarm: `waker` is woken at this time, in place of an alarm set before. Returns whether the
    /// server has to be notified.
    pub(crate) fn set(&self, alarm: &mut Alarm<T>, at: T, waker: &Waker) -> Notify {
        let waker = waker.clone();
        let (old, notify) = {
            let mut state = self.state.lock();
            let (key, before) = match alarm.0 {
                Some(key) if key.0 == at => (key, None),
                before => {
                    state.last_number += 1;
                    ((at, state.last_number), before.and_then(|before| state.set.remove(&before)))
                }
            };
            alarm.0 = Some(key);
            let old = (before, state.set.insert(key, waker));
            let too_late = if planted("alarm_of_no_use") {
                state.look.is_none()
            } else {
                state.look.is_none_or(|look| at < look)
            };
            if too_late {
                state.look = Some(at);
                // SYNC new-alarm: pairs with the swap in `take_new`. A thread that reads this finds the alarm under the lock.
                self.has_new.store(true, Ordering::Release);
            }
            (old, if too_late { Notify::Yes } else { Notify::No })
        };
        drop(old);
        notify
    }

    /// Removes an alarm.
    pub(crate) fn clear(&self, alarm: &mut Alarm<T>) {
        if let Some(key) = alarm.0.take() {
            let waker = self.state.lock().set.remove(&key);
            drop(waker);
        }
    }

    /// For the server: returns true, once, if it has to look before the time that `look` returned.
    pub(crate) fn take_new(&self) -> bool {
        self.has_new.load(Ordering::Relaxed) && self.has_new.swap(false, Ordering::Acquire)
    }

    /// For the server: wakes late futures, and returns when to look again unless notified before.
    pub(crate) fn look(&self, now: T) -> Option<T> {
        let (late, next) = {
            let mut state = self.state.lock();
            let mut late = Vec::new();
            while let Some(first) = state.set.first_entry()
                && first.key().0 <= now
            {
                late.push(first.remove());
            }
            state.look = state.set.first_key_value().map(|((at, _), _)| *at);
            (late, state.look)
        };
        late.into_iter().for_each(Waker::wake);
        next
    }
}

impl<T> Default for Alarm<T> {
    fn default() -> Self {
        Self(None)
    }
}
