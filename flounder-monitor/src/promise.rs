//! A value that another thread waits for: blocked, or as a future.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use flounder_rt::fork::Born;

/// A promise, and where its value will be.
pub(crate) fn promise<T>() -> (Promise<T>, Pending<T>) {
    let (slot, changed) = (Mutex::default(), Condvar::new());
    let shared = Arc::new(Shared { born: Born::now(), slot, changed });
    (Promise(Arc::clone(&shared)), Pending(shared))
}

struct Shared<T> {
    /// In a forked child nobody keeps the promises of the parent's monitor, and its locks may be held for ever.
    born: Born,
    slot: Mutex<Slot<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    /// `None` in a forked child.
    fn lock(&self) -> Option<MutexGuard<'_, Slot<T>>> {
        self.born.is_here().then(|| self.slot.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Slot<T> {
    state: State<T>,
    /// Who waits for the value.
    waiting: Option<Waker>,
    /// Who wants to know that nobody does any more.
    watching: Option<Waker>,
}

enum State<T> {
    Open,
    Kept(T),
    /// The promise was dropped, or the value was taken.
    Broken,
    /// Nobody waits.
    Abandoned,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { state: State::Open, waiting: None, watching: None }
    }
}

/// The duty to give a value. Dropped without, the other side learns that there will be none.
pub(crate) struct Promise<T>(Arc<Shared<T>>);

impl<T> Promise<T> {
    /// Gives the value. It is dropped if nobody waits.
    pub(crate) fn keep(self, value: T) {
        self.settle(State::Kept(value));
    }

    /// Completes when nobody waits for the value any more.
    pub(crate) fn abandoned(&self) -> Abandoned<'_, T> {
        Abandoned(self)
    }

    fn settle(&self, state: State<T>) {
        let Some(mut slot) = self.0.lock() else { return };
        let (old, waiting) = match slot.state {
            State::Open => (core::mem::replace(&mut slot.state, state), slot.waiting.take()),
            _ => (state, None),
        };
        drop(slot);
        drop(old);
        self.0.changed.notify_all();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.settle(State::Broken);
    }
}

/// See [`Promise::abandoned`].
pub(crate) struct Abandoned<'a, T>(&'a Promise<T>);

impl<T> Future for Abandoned<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut slot) = self.0.0.lock() else { return Poll::Ready(()) };
        if matches!(slot.state, State::Abandoned) {
            return Poll::Ready(());
        }
        slot.watching = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A value to come; `None` if there will be none. Dropped, it tells the other side that nobody waits.
pub(crate) struct Pending<T>(Arc<Shared<T>>);

/// A wait that ended without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    /// The deadline came first.
    Deadline,
    /// There will be none.
    Broken,
}

impl<T> Pending<T> {
    /// Blocks the thread until the value is there.
    pub(crate) fn wait(self, deadline: Option<Instant>) -> Result<T, Missed> {
        let mut slot = self.0.lock().ok_or(Missed::Broken)?;
        loop {
            if let Some(result) = slot.take() {
                return result.ok_or(Missed::Broken);
            }
            let changed = &self.0.changed;
            slot = match deadline {
                None => changed.wait(slot).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Missed::Deadline);
                    }
                    changed.wait_timeout(slot, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl<T> Slot<T> {
    fn take(&mut self) -> Option<Option<T>> {
        match core::mem::replace(&mut self.state, State::Broken) {
            State::Kept(value) => Some(Some(value)),
            State::Broken => Some(None),
            open => {
                self.state = open;
                None
            }
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(mut slot) = self.0.lock() else { return Poll::Ready(None) };
        match slot.take() {
            Some(value) => Poll::Ready(value),
            None => {
                slot.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        let Some(mut slot) = self.0.lock() else { return };
        let old = core::mem::replace(&mut slot.state, State::Abandoned);
        let watching = slot.watching.take();
        drop(slot);
        drop(old);
        if let Some(waker) = watching {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::thread;

    use flounder_rt::Waitset;

    use super::*;

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(2))
    }

    #[test]
    fn a_blocked_thread_gets_the_value() {
        let (promise, pending) = promise();
        let giver = thread::spawn(move || promise.keep(7));
        assert_eq!(pending.wait(soon()), Ok(7));
        giver.join().expect("it ends");
    }

    #[test]
    fn a_dropped_promise_is_told() {
        let (promise, pending) = promise::<u8>();
        drop(promise);
        assert_eq!(pending.wait(soon()), Err(Missed::Broken));
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let (_promise, pending) = promise::<u8>();
        let missed = pending.wait(Some(Instant::now() + Duration::from_millis(5)));
        assert_eq!(missed, Err(Missed::Deadline));
    }

    #[test]
    fn the_giver_learns_that_nobody_waits() {
        let (promise, pending) = promise::<u8>();
        let ws = Waitset::new();
        let dropper = thread::spawn(move || drop(pending));
        ws.block_on(promise.abandoned()).expect("no callback fails");
        dropper.join().expect("it ends");
    }

    #[test]
    fn a_future_gets_the_value() {
        let (promise, pending) = promise();
        let giver = thread::spawn(move || promise.keep("x"));
        assert_eq!(Waitset::new().block_on(pending).expect("no callback fails"), Some("x"));
        giver.join().expect("it ends");
    }
}
