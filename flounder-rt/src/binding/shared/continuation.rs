//! Closures that run when a shared binding has sent a message, or has room for one.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;

use parking_lot::Mutex;

use crate::waitset::{Outcome, SharedWaitset, WeakSharedWaitset};

use super::SharedSent;

type Continuation = Box<dyn FnOnce() + Send>;

type Callback = Box<dyn FnOnce(&SharedWaitset) -> Outcome + Send>;

impl SharedSent {
    /// Has the waitset of the binding run `continuation` once the message is sent; drops it if the message is lost.
    pub(in crate::binding) fn then(self, continuation: Continuation) {
        Arc::new(AfterSent(Mutex::new(State::Waits(self, continuation)))).wake();
    }
}

/// A message, and what follows it.
struct AfterSent(Mutex<State>);

enum State {
    /// The message has to be polled when it is woken.
    Waits(SharedSent, Continuation),
    /// A thread polls the message. True if it was woken since.
    Polled(bool),
    Over,
}

impl AfterSent {
    /// Takes the message out to be polled, unless a thread polls it.
    fn take(&self) -> Option<(SharedSent, Continuation)> {
        let state = &mut *self.0.lock();
        match core::mem::replace(state, State::Polled(false)) {
            State::Waits(sent, continuation) => Some((sent, continuation)),
            State::Polled(_) => {
                *state = State::Polled(true);
                None
            }
            State::Over => {
                *state = State::Over;
                None
            }
        }
    }

    /// Puts the message back. Returns true if it was woken meanwhile.
    fn put_back(&self, sent: SharedSent, continuation: Continuation) -> bool {
        let before = core::mem::replace(&mut *self.0.lock(), State::Waits(sent, continuation));
        matches!(before, State::Polled(true))
    }
}

impl Wake for AfterSent {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut context = Context::from_waker(&waker);
        while let Some((mut sent, continuation)) = self.take() {
            // Nothing is locked: the poll may serve the binding, which wakes others.
            match Pin::new(&mut sent).poll(&mut context) {
                Poll::Pending => {
                    if !self.put_back(sent, continuation) {
                        return;
                    }
                }
                Poll::Ready(result) => {
                    *self.0.lock() = State::Over;
                    if let (Ok(()), Some(link)) = (result, sent.link) {
                        link.post(continuation);
                    }
                    return;
                }
            }
        }
    }
}

/// A callback that waits for room in the queue.
pub(super) struct RoomCallback(Mutex<Option<(WeakSharedWaitset, Callback)>>);

impl RoomCallback {
    /// Returns a waker that has `waitset` run `callback`.
    pub(super) fn waker(waitset: &SharedWaitset, callback: Callback) -> Waker {
        Arc::new(Self(Mutex::new(Some((waitset.downgrade(), callback))))).into()
    }
}

impl Wake for RoomCallback {
    fn wake(self: Arc<Self>) {
        let callback = self.0.lock().take();
        if let Some((waitset, callback)) = callback
            && let Some(waitset) = waitset.upgrade()
        {
            waitset.post(callback);
        }
    }
}
