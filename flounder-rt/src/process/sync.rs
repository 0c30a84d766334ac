//! Atomics and locks of the protocols between threads. The models in `tests/` compile the same protocols against loom's.
//!
//! The locks are those of std, without poisoning. All locks of `parking_lot` share one table, and a forked child that waits
//! for any lock may find a part of that table held by a thread that it does not have.

use core::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::Instant;

pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence,
};
pub(crate) use std::thread_local;

/// Returns true in a model into which this defect was put.
#[inline]
pub(crate) const fn planted(_defect: &str) -> bool {
    false
}

/// A lock without poisoning. Its holders leave the value consistent when they panic.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

/// Guard of a [`Mutex`]. `None` only while a [`Condvar`] waits.
pub(crate) struct MutexGuard<'a, T>(Option<std::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_ref().expect("nobody waits with it")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("nobody waits with it")
    }
}

/// A condition variable whose wait may have a deadline.
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    /// Waits for a notification, at most until `deadline`.
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) {
        let Some(held) = guard.0.take() else { return };
        let held = match deadline {
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.0.wait_timeout(held, left).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.0.wait(held).unwrap_or_else(PoisonError::into_inner),
        };
        guard.0 = Some(held);
    }

    /// Wakes one waiter.
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
}
