//! Atomics and locks of the protocols between threads: the models in `tests/` compile the same protocols against loom's.

use std::time::Instant;

pub(crate) use core::sync::atomic::{AtomicBool, Ordering, fence};
pub(crate) use parking_lot::{Mutex, MutexGuard};
pub(crate) use std::thread_local;

/// A condition variable whose wait may have an end.
#[derive(Debug, Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// Waits for a notification, at most until `deadline`.
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => {
                self.0.wait_until(guard, deadline);
            }
            None => self.0.wait(guard),
        }
    }

    /// Wakes one waiter.
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
}
