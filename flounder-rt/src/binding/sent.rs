//! What follows an accepted message: nothing, a continuation, or an await.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::binding::{Endpoint, TxError};
use crate::waitset::{Outcome, Waitset};

/// A message that was accepted. Dropping it asks for nothing more (`NOP_CONT`).
///
/// "Sent" means that the channel has taken the whole message, not that the peer has received it.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    endpoint: &'a Endpoint,
    serial: u64,
}

/// What runs when the message in the slot is sent.
pub(super) type Continuation = Box<dyn FnOnce(&Waitset) -> Outcome>;

impl<'a> Sent<'a> {
    #[inline]
    pub(super) const fn new(endpoint: &'a Endpoint, serial: u64) -> Self {
        Self { endpoint, serial }
    }

    /// Runs `continuation` from the binding's waitset once the message is sent (`MKCONT`); it is dropped unrun if the
    /// binding fails before.
    pub fn then(self, continuation: impl FnOnce() + 'static) {
        self.and_then(|_| {
            continuation();
            Ok(())
        });
    }

    /// As [`then`](Sent::then), for a continuation that uses the waitset or may fail.
    pub fn and_then(self, continuation: impl FnOnce(&Waitset) -> Outcome + 'static) {
        let io = &mut *self.endpoint.0.io.borrow_mut();
        if io.is_sent(self.serial) {
            if let Some(waitset) = self.endpoint.waitset() {
                waitset.post(continuation);
            }
        } else if io.lost < self.serial && self.endpoint.ended().is_none() {
            io.continuations.push(Box::new(continuation));
        }
    }

    /// Whether the message is sent already.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.endpoint.0.io.borrow().is_sent(self.serial)
    }
}

/// Completes when the message is sent. Dropping the future changes nothing: the message was accepted.
impl Future for Sent<'_> {
    type Output = Result<(), TxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let io = &mut *self.endpoint.0.io.borrow_mut();
        if io.is_sent(self.serial) {
            Poll::Ready(Ok(()))
        } else if io.lost >= self.serial || self.endpoint.ended().is_some() {
            Poll::Ready(Err(TxError::Closed))
        } else {
            // One message may be awaited in several places.
            if !io.watchers.iter().any(|waker| waker.will_wake(cx.waker())) {
                io.watchers.push(cx.waker().clone());
            }
            Poll::Pending
        }
    }
}

impl fmt::Debug for Sent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent").field("serial", &self.serial).finish_non_exhaustive()
    }
}
