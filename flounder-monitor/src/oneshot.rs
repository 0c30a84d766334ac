//! A channel for one value between threads. The receiver blocks, or waits as a future.
//!
//! Neither end waits for the other in a forked child, where the parent's threads do not exist.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use flounder_rt::fork::ForkGeneration;

/// Returns the two ends of a channel.
pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (slot, changed) = (Mutex::default(), Condvar::new());
    let shared = Arc::new(Shared { born: ForkGeneration::now(), slot, changed });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

struct Shared<T> {
    /// Process that made the channel. A forked child has no thread that would send, and locks may
    /// stay held.
    born: ForkGeneration,
    slot: Mutex<Slot<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    /// Returns `None` in a forked child.
    fn lock(&self) -> Option<MutexGuard<'_, Slot<T>>> {
        self.born.is_here().then(|| self.slot.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Slot<T> {
    state: State<T>,
    /// True while the receiver blocks.
    is_receiver_blocked: bool,
    /// Waker of the receiver.
    receiver_waker: Option<Waker>,
    /// Waker of [`Sender::closed`].
    sender_waker: Option<Waker>,
}

enum State<T> {
    Open,
    Sent(T),
    /// The sender was dropped, or the value was taken.
    Dropped,
    /// The receiver was dropped.
    Closed,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        let state = State::Open;
        Self { state, is_receiver_blocked: false, receiver_waker: None, sender_waker: None }
    }
}

/// The sending end. If it is dropped, the receiver gets [`WaitError::Dropped`] or `None`.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Sends the value. Drops it if the receiver is gone.
    pub(crate) fn send(self, value: T) {
        self.complete(State::Sent(value));
    }

    /// Completes when the receiver is dropped.
    pub(crate) fn closed(&self) -> Closed<'_, T> {
        Closed(self)
    }

    fn complete(&self, state: State<T>) {
        let Some(mut slot) = self.0.lock() else { return };
        let (old, receiver_waker) = match slot.state {
            State::Open => (core::mem::replace(&mut slot.state, state), slot.receiver_waker.take()),
            _ => (state, None),
        };
        let is_receiver_blocked = slot.is_receiver_blocked;
        drop(slot);
        drop(old);
        if is_receiver_blocked {
            self.0.changed.notify_one();
        }
        if let Some(waker) = receiver_waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.complete(State::Dropped);
    }
}

/// Future of [`Sender::closed`].
pub(crate) struct Closed<'a, T>(&'a Sender<T>);

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut slot) = self.0.0.lock() else { return Poll::Ready(()) };
        if matches!(slot.state, State::Closed) {
            return Poll::Ready(());
        }
        slot.sender_waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// The receiving end. As a future it yields `None` if the sender is dropped.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

/// Reason why a wait ended without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitError {
    /// The deadline has passed.
    Deadline,
    /// The sender was dropped, or the process has forked.
    Dropped,
}

impl<T> Receiver<T> {
    /// Blocks the thread until the value is sent.
    pub(crate) fn wait(self, deadline: Option<Instant>) -> Result<T, WaitError> {
        let mut slot = self.0.lock().ok_or(WaitError::Dropped)?;
        loop {
            if let Some(result) = slot.take() {
                return result.ok_or(WaitError::Dropped);
            }
            slot.is_receiver_blocked = true;
            let changed = &self.0.changed;
            slot = match deadline {
                None => changed.wait(slot).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(WaitError::Deadline);
                    }
                    changed.wait_timeout(slot, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl<T> Slot<T> {
    fn take(&mut self) -> Option<Option<T>> {
        match core::mem::replace(&mut self.state, State::Dropped) {
            State::Sent(value) => Some(Some(value)),
            State::Dropped => Some(None),
            open => {
                self.state = open;
                None
            }
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(mut slot) = self.0.lock() else { return Poll::Ready(None) };
        match slot.take() {
            Some(value) => Poll::Ready(value),
            None => {
                slot.receiver_waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let Some(mut slot) = self.0.lock() else { return };
        let old = core::mem::replace(&mut slot.state, State::Closed);
        let sender_waker = slot.sender_waker.take();
        drop(slot);
        drop(old);
        if let Some(waker) = sender_waker {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
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
    fn blocked_thread_gets_the_value() {
        let (sender, receiver) = channel();
        let giver = thread::spawn(move || sender.send(7));
        assert_eq!(receiver.wait(soon()), Ok(7));
        giver.join().expect("join the thread");
    }

    #[test]
    fn dropped_sender_ends_the_wait() {
        let (sender, receiver) = channel::<u8>();
        drop(sender);
        assert_eq!(receiver.wait(soon()), Err(WaitError::Dropped));
    }

    #[test]
    fn wait_ends_at_its_deadline() {
        let (_promise, receiver) = channel::<u8>();
        let missed = receiver.wait(Some(Instant::now() + Duration::from_millis(5)));
        assert_eq!(missed, Err(WaitError::Deadline));
    }

    #[test]
    fn dropped_receiver_completes_closed() {
        let (sender, receiver) = channel::<u8>();
        let ws = Waitset::new();
        let dropper = thread::spawn(move || drop(receiver));
        ws.block_on(sender.closed()).expect("dispatch");
        dropper.join().expect("join the thread");
    }

    #[test]
    fn future_gets_the_value() {
        let (sender, receiver) = channel();
        let giver = thread::spawn(move || sender.send("x"));
        assert_eq!(Waitset::new().block_on(receiver).expect("dispatch"), Some("x"));
        giver.join().expect("join the thread");
    }
}
