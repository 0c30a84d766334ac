//! An accepted message, which can be followed by a continuation or awaited.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::time::Instant;

use crate::binding::end::{End, Local, Shared};
use crate::binding::shell::Shell;
use crate::binding::{RawBinding, Timeout, TxError};
use crate::waitset::{Outcome, Waitset};

/// A message that was accepted. It may be dropped (`NOP_CONT`), or awaited: the future completes when the message is sent.
///
/// "Sent" means that the channel has taken the whole message, not that the peer has received it. An accepted message is sent
/// even if the last handle to the binding is dropped before; only a peer that is gone, or the
/// [end of the process](crate::set_exit_timeout), prevents that.
pub struct Sent<'a, E: End = Local>(E::Sent<'a>);

impl<'a, E: End> Sent<'a, E> {
    #[inline]
    pub(super) const fn of(state: E::Sent<'a>) -> Self {
        Self(state)
    }

    /// Blocks until the message is sent, at most for [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) unless
    /// [limited](Self::timeout) otherwise. In the thread of the binding, only this binding is served meanwhile: its handlers
    /// run, unless this is called from one of them.
    ///
    /// # Errors
    /// [`TxError::Closed`] if the message is lost. [`TxError::Busy`] if it is not sent by then: it stays
    /// accepted and will be sent; do not send it again.
    pub fn wait(self) -> Result<(), TxError> {
        E::wait_sent(self.0, Timeout::Default)
    }

    /// Limits the wait to this time, from now. [`Duration::MAX`] is no limit.
    pub fn timeout(self, timeout: Duration) -> SentWithin<'a, E> {
        SentWithin { sent: self, timeout: Timeout::For(timeout).beginning_now() }
    }

    /// Limits the wait to this point in time.
    pub fn deadline(self, deadline: Instant) -> SentWithin<'a, E> {
        SentWithin { sent: self, timeout: Timeout::Until(deadline) }
    }
}

/// A blocking wait for an accepted message, with a limit: [`Sent::timeout`], [`Sent::deadline`].
#[must_use = "nothing waits before `wait`"]
pub struct SentWithin<'a, E: End = Local> {
    sent: Sent<'a, E>,
    timeout: Timeout,
}

impl<E: End> SentWithin<'_, E> {
    /// Blocks until the message is sent or the time is over, as [`Sent::wait`] does.
    ///
    /// # Errors
    /// Those of [`Sent::wait`].
    pub fn wait(self) -> Result<(), TxError> {
        E::wait_sent(self.sent.0, self.timeout)
    }
}

impl<E: End> fmt::Debug for SentWithin<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentWithin").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Sent<'_> {
    /// Runs `continuation` from the waitset of the binding once the message is sent (`MKCONT`). If the
    /// binding moves to another waitset, that one runs it. If the message is lost, `continuation` is
    /// dropped unrun.
    pub fn then(self, continuation: impl FnOnce() + 'static) {
        self.and_then(|_| {
            continuation();
            Ok(())
        });
    }

    /// Runs a continuation that uses the waitset or may fail, like [`then`](Sent::then).
    pub fn and_then(self, continuation: impl FnOnce(&Waitset) -> Outcome + 'static) {
        let shell = self.0.raw.shell();
        let outcome = shell.io.borrow().connection.outcome(self.0.serial);
        match outcome {
            Some(Ok(())) => shell.run_from_waitset(Box::new(continuation)),
            Some(Err(_)) => {}
            None => shell.io.borrow_mut().continuations.push(Box::new(continuation)),
        }
    }

    /// Returns true if the message is sent.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.0.raw.shell().io.borrow().connection.is_sent(self.0.serial)
    }
}

impl Sent<'_, Shared> {
    /// Runs `continuation` from the waitset of the binding once the message is sent (`MKCONT`): in the thread of a
    /// [`Waitset`], or in one of those that dispatch a [`SharedWaitset`](crate::SharedWaitset). If the binding moves to
    /// another waitset, that one runs it. If the message is lost, `continuation` is dropped unrun.
    pub fn then(self, continuation: impl FnOnce() + Send + 'static) {
        self.0.then(Box::new(continuation));
    }
}

impl Clone for Sent<'_> {
    fn clone(&self) -> Self {
        *self
    }
}

impl Copy for Sent<'_> {}

/// Completes when the message is sent. Dropping the future changes nothing: the message was accepted.
impl<E: End> Future for Sent<'_, E> {
    type Output = Result<(), TxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<E: End> fmt::Debug for Sent<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent").finish_non_exhaustive()
    }
}

/// An accepted message, in the thread of the binding.
#[derive(Clone, Copy)]
pub struct LocalSent<'a> {
    raw: &'a RawBinding,
    serial: u64,
}

impl<'a> LocalSent<'a> {
    #[inline]
    pub(super) const fn new(raw: &'a RawBinding, serial: u64) -> Self {
        Self { raw, serial }
    }

    pub(super) fn wait(self, timeout: Timeout) -> Result<(), TxError> {
        self.raw.shell().wait_sent(self.serial, timeout)
    }
}

impl Future for LocalSent<'_> {
    type Output = Result<(), TxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shell = self.raw.shell();
        let outcome = shell.io.borrow().connection.outcome(self.serial);
        match outcome {
            Some(result) => Poll::Ready(result),
            None => {
                shell.watch_slot(cx.waker());
                let outcome = shell.io.borrow().connection.outcome(self.serial);
                outcome.map_or(Poll::Pending, Poll::Ready)
            }
        }
    }
}

impl Shell {
    /// Wakes `waker` when the message in the slot is sent or lost.
    pub(super) fn watch_slot(&self, waker: &Waker) {
        // One message may be awaited in several places.
        if !self.io.borrow().connection.is_watched_by(waker) {
            // To copy a waker is user code: nothing is borrowed.
            let waker = waker.clone();
            self.io.borrow_mut().connection.watch_slot(waker);
        }
    }
}
