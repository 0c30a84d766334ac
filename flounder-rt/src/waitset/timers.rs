//! Timers of a waitset.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BinaryHeap, HashMap};
use std::time::Instant;

use crate::waitset::{Outcome, Task, Waitset, WeakWaitset};

/// So many cancelled timers may stay in the heap, besides as many as there are others.
const SLACK: usize = 64;

/// A delay that leads beyond the end of the clock is cut to this.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Tasks of any kind with their times.
pub(crate) struct Timers<T> {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    /// Cancelled timers are absent here and skipped when their turn comes.
    tasks: HashMap<u64, T>,
    next: u64,
}

impl<T> Timers<T> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(crate) fn insert(&mut self, delay: Duration, task: T) -> u64 {
        let now = Instant::now();
        self.insert_at(now.checked_add(delay).unwrap_or(now + FAR), task)
    }

    pub(crate) fn insert_at(&mut self, at: Instant, task: T) -> u64 {
        let id = self.next;
        self.next += 1;
        self.heap.push(Reverse((at, id)));
        self.tasks.insert(id, task);
        id
    }

    /// Takes a timer back, if it has not fired.
    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let task = self.tasks.remove(&id)?;
        if self.heap.len() > 2 * self.tasks.len() + SLACK {
            self.heap.retain(|Reverse((_, id))| self.tasks.contains_key(id));
        }
        Some(task)
    }

    /// When the earliest is due.
    pub(crate) fn next(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, id))) = self.heap.peek() {
            if self.tasks.contains_key(id) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes the earliest, if it is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<T> {
        // The time first: whether a timer was cancelled is a look-up.
        while self.heap.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Reverse((_, id)) = self.heap.pop()?;
            if let Some(task) = self.tasks.remove(&id) {
                return Some(task);
            }
        }
        None
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), tasks: HashMap::new(), next: 0 }
    }
}

/// A timer that was set. Dropping it changes nothing; the timer fires all the same.
#[derive(Debug)]
pub struct Timer {
    waitset: WeakWaitset,
    id: u64,
}

impl Timer {
    /// Cancels it; returns whether it had not fired.
    pub fn cancel(self) -> bool {
        let Some(waitset) = self.waitset.upgrade() else { return false };
        let task: Option<Task> = waitset.0.timers.borrow_mut().remove(self.id);
        task.is_some()
    }
}

impl Waitset {
    /// Runs `task` once, `delay` from now. It is dropped if the waitset is closed or the parent's.
    ///
    /// ```
    /// use std::time::Duration;
    /// let ws = flounder_rt::Waitset::new();
    /// ws.after(Duration::from_millis(1), |_| Ok(()));
    /// ws.dispatch()?; // the timer
    /// # Ok::<(), flounder_rt::DispatchError>(())
    /// ```
    pub fn after(&self, delay: Duration, task: impl FnOnce(&Self) -> Outcome + 'static) -> Timer {
        self.add_timer(|timers| timers.insert(delay, Box::new(task)))
    }

    /// Runs `task` once, at `time`, like [`after`](Self::after).
    pub(crate) fn at(&self, time: Instant, task: impl FnOnce(&Self) -> Outcome + 'static) -> Timer {
        self.add_timer(|timers| timers.insert_at(time, Box::new(task)))
    }

    fn add_timer(&self, add: impl FnOnce(&mut Timers<Task>) -> u64) -> Timer {
        if !self.is_usable() {
            // No timer has this number.
            return Timer { waitset: self.downgrade(), id: u64::MAX };
        }
        let id = add(&mut self.0.timers.borrow_mut());
        self.wake_host_loop();
        Timer { waitset: self.downgrade(), id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelled_timers_leave_nothing_behind() {
        let mut timers = Timers::default();
        for _ in 0..10_000 {
            let id = timers.insert(Duration::from_secs(60), ());
            assert_eq!(timers.remove(id), Some(()));
        }
        assert!(timers.heap.len() < 1000, "{} entries", timers.heap.len());
        assert!(timers.next().is_none());
    }

    #[test]
    fn a_cancelled_timer_is_never_due() {
        let mut timers = Timers::default();
        let first = timers.insert(Duration::ZERO, 1);
        timers.insert(Duration::ZERO, 2);
        let late = timers.insert(Duration::from_secs(3600), 3);
        timers.remove(first);
        let now = Instant::now();
        assert_eq!(timers.due(now), Some(2));
        assert_eq!(timers.due(now), None);
        timers.remove(late);
        assert_eq!(timers.due(now + Duration::from_secs(7200)), None);
    }

    #[test]
    fn a_delay_beyond_the_end_of_the_clock_is_far_away() {
        let mut timers = Timers::default();
        timers.insert(Duration::MAX, ());
        assert!(timers.next().is_some_and(|at| at > Instant::now() + Duration::from_secs(3600)));
    }
}
