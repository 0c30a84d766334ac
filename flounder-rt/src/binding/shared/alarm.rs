//! Deadlines of futures in other threads: the thread with the timers wakes futures that are late.
//!
//! ```text
//!   any thread   set ---> [ deadlines, in order ] <--- look   the thread with the timers
//!                 '-- notify, if look would be too late ------^ '-- wakes late futures; returns when to look again
//! ```
//! A future that is woken checks the clock itself. It has at most one alarm, and removes it when it ends,
//! so there are no more alarms than futures. Most end long before their deadline: an alarm is cheap to set and
//! to remove, and a look goes through all of them. `tests/loom_park.rs` checks every interleaving.

use core::task::Waker;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicBool, Mutex, Ordering, planted};

use super::job_queue::Notify;

/// Most places that are kept while no alarm is set.
const KEPT: usize = 256;

/// Deadlines, with times of type `T`.
pub(crate) struct Alarms<T> {
    state: Mutex<State<T>>,
    /// True if an alarm before the next look was set since `take_new` was called. Read without the lock.
    has_new: CachePadded<AtomicBool>,
}

struct State<T> {
    places: Vec<Place<T>>,
    /// Indices of the places without an alarm.
    free: Vec<usize>,
    /// Latest time at which the server will look.
    look: Option<T>,
}

/// What an alarm has in the list.
enum Place<T> {
    Free,
    /// The waker is woken at this time.
    Set(T, Waker),
    /// The waker was woken; the place still belongs to the alarm.
    Over,
}

/// The alarm of a future, if it has one: its place in the list.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<usize>);

impl<T: Copy + Ord> Alarms<T> {
    pub(crate) fn new() -> Self {
        let state = State { places: Vec::new(), free: Vec::new(), look: None };
        Self { state: Mutex::new(state), has_new: CachePadded::new(AtomicBool::new(false)) }
    }

    /// Sets the alarm: `waker` is woken at this time, in place of an alarm set before. Returns whether the
    /// server has to be notified.
    pub(crate) fn set(&self, alarm: &mut Alarm, at: T, waker: &Waker) -> Notify {
        let set = Place::Set(at, waker.clone());
        let (old, notify) = {
            let mut state = self.state.lock();
            let index = *alarm.0.get_or_insert_with(|| state.take_place());
            let old = core::mem::replace(&mut state.places[index], set);
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
    pub(crate) fn clear(&self, alarm: &mut Alarm) {
        if let Some(index) = alarm.0.take() {
            let old = self.state.lock().free_place(index);
            drop(old);
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
            let (mut late, mut next) = (Vec::new(), None::<T>);
            for place in &mut state.places {
                match place {
                    Place::Set(at, _) if *at <= now => {
                        late.push(core::mem::replace(place, Place::Over));
                    }
                    Place::Set(at, _) => next = Some(next.map_or(*at, |next| next.min(*at))),
                    Place::Free | Place::Over => {}
                }
            }
            state.look = next;
            (late, next)
        };
        for place in late {
            if let Place::Set(_, waker) = place {
                waker.wake();
            }
        }
        next
    }
}

impl<T> State<T> {
    fn take_place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::Free);
            self.places.len() - 1
        })
    }

    /// Returns what was there; its drop is code of the program.
    fn free_place(&mut self, index: usize) -> Place<T> {
        let old = core::mem::replace(&mut self.places[index], Place::Free);
        self.free.push(index);
        if self.free.len() == self.places.len() && self.places.len() > KEPT {
            (self.places, self.free) = (Vec::new(), Vec::new());
        }
        old
    }
}
