//! Timers of a waitset.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BinaryHeap, HashMap};
use std::time::Instant;

use crate::waitset::{Outcome, Task, Waitset};

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    /// Cancelled timers are absent here and skipped when their turn comes.
    tasks: HashMap<u64, Task>,
    next: u64,
}

impl Timers {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    fn insert(&mut self, at: Instant, task: Task) -> u64 {
        let id = self.next;
        self.next += 1;
        self.heap.push(Reverse((at, id)));
        self.tasks.insert(id, task);
        id
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

    /// Takes those that are due, earliest first.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Task> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((_, id))) = self.heap.pop() else { break };
            due.extend(self.tasks.remove(&id));
        }
        due
    }
}

/// A timer that was set. Dropping it changes nothing; the timer fires all the same.
#[derive(Debug)]
pub struct Timer {
    waitset: Waitset,
    id: u64,
}

impl Timer {
    /// Cancels it; returns whether it had not fired.
    pub fn cancel(self) -> bool {
        let task = self.waitset.0.timers.borrow_mut().tasks.remove(&self.id);
        task.is_some()
    }
}

impl Waitset {
    /// Runs `task` once, `delay` from now.
    ///
    /// ```
    /// use std::time::Duration;
    /// let ws = flounder_rt::Waitset::new();
    /// ws.after(Duration::from_millis(1), |_| Ok(()));
    /// ws.dispatch()?; // the timer
    /// # Ok::<(), flounder_rt::DispatchError>(())
    /// ```
    pub fn after(&self, delay: Duration, task: impl FnOnce(&Self) -> Outcome + 'static) -> Timer {
        let id = self.0.timers.borrow_mut().insert(Instant::now() + delay, Box::new(task));
        Timer { waitset: self.clone(), id }
    }
}
