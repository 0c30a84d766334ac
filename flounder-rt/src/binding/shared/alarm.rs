//! Deadlines of futures in other threads: the thread that has the timers wakes who is late.
//!
//! ```text
//!   any thread   set ---> [ deadlines, in order ] <--- look   the thread with the timers
//!                 '-- tells it, if it would come too late ---^ '-- wakes who is late; says when to look again
//! ```
//! Who is woken looks at the clock itself. A future has at most one alarm, and takes it back when it ends: there are no more
//! than futures. `tests/loom_park.rs` runs this through every interleaving.

use core::task::Waker;
use std::collections::BTreeMap;

use crate::sync::{AtomicBool, Mutex, Ordering};

use super::job_queue::Tell;

/// The deadlines, in a time `T`.
pub(crate) struct Alarms<T> {
    state: Mutex<State<T>>,
    /// Whether the server has been told since it looked: it need not take the lock to see that it has not.
    told: AtomicBool,
}

struct State<T> {
    /// By time, then by number.
    set: BTreeMap<(T, u64), Waker>,
    last_number: u64,
    /// When the server will look, at the latest.
    look: Option<T>,
}

/// The alarm of a future, if it has one.
#[derive(Debug)]
pub(crate) struct Alarm<T>(Option<(T, u64)>);

impl<T: Copy + Ord> Alarms<T> {
    pub(crate) fn new() -> Self {
        let state = State { set: BTreeMap::new(), last_number: 0, look: None };
        Self { state: Mutex::new(state), told: AtomicBool::new(false) }
    }

    /// Has `waker` woken at this time, and none that was set before. Says whether the server has to be told.
    pub(crate) fn set(&self, alarm: &mut Alarm<T>, at: T, waker: &Waker) -> Tell {
        let waker = waker.clone();
        let (old, tell) = {
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
            let too_late = if cfg!(flounder_bug = "alarm_of_no_use") {
                state.look.is_none()
            } else {
                state.look.is_none_or(|look| at < look)
            };
            if too_late {
                state.look = Some(at);
                // SYNC alarm-told: pairs with the swap in `is_told`. Whoever sees this finds the alarm under the lock.
                self.told.store(true, Ordering::Release);
            }
            (old, if too_late { Tell::Yes } else { Tell::No })
        };
        drop(old);
        tell
    }

    /// Takes an alarm back.
    pub(crate) fn clear(&self, alarm: &mut Alarm<T>) {
        if let Some(key) = alarm.0.take() {
            let waker = self.state.lock().set.remove(&key);
            drop(waker);
        }
    }

    /// For the server: whether it has to look before the time that it was given.
    pub(crate) fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed) && self.told.swap(false, Ordering::Acquire)
    }

    /// For the server: wakes who is late, and says when it has to look again, if it is not told before.
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
