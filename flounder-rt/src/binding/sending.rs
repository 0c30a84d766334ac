//! Sending that waits while the binding is busy.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::binding::message_type::Sendable;
use crate::binding::turns::Ticket;
use crate::binding::{RawBinding, TxError, TxState};

/// A message that waits until the binding accepts it. Dropped before that, nothing is sent; after that, all of it.
#[must_use = "nothing is sent unless it is awaited"]
pub struct Sending<'a, F: Sendable> {
    raw: &'a RawBinding,
    ticket: Ticket,
    /// Absent once the message is accepted.
    args: Option<F::Sent<'a>>,
}

impl<'a, F: Sendable> Sending<'a, F> {
    pub(super) fn new(raw: &'a RawBinding, args: F::Sent<'a>) -> Self {
        Self { raw, ticket: Ticket::default(), args: Some(args) }
    }
}

impl<F: Sendable> Future for Sending<'_, F> {
    type Output = Result<(), TxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // Polled again after it was done, it stays so.
        let Some(args) = this.args else { return Poll::Pending };
        if this.raw.0.is_turn_of(&this.ticket) {
            match F::try_send(this.raw, args) {
                Err(TxError::Busy) => {}
                done => {
                    this.args = None;
                    this.raw.0.leave(&mut this.ticket);
                    return Poll::Ready(done.map(drop));
                }
            }
        }
        this.raw.0.wait_for_turn(&mut this.ticket, cx.waker());
        Poll::Pending
    }
}

// What is borrowed stays where it is.
impl<F: Sendable> Unpin for Sending<'_, F> {}

impl<F: Sendable> Drop for Sending<'_, F> {
    fn drop(&mut self) {
        self.raw.0.leave(&mut self.ticket);
    }
}

impl<F: Sendable> fmt::Debug for Sending<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

impl super::Core {
    /// Whether it is worth trying to send.
    #[inline(always)]
    pub(super) fn is_turn_of(&self, ticket: &Ticket) -> bool {
        let io = self.io.borrow();
        match io.state {
            TxState::Free => !io.turns.must_wait(ticket),
            TxState::Sending => false,
            TxState::Closing | TxState::Closed => true,
        }
    }

    pub(super) fn leave(&self, ticket: &mut Ticket) {
        let waker = self.io.borrow_mut().turns.leave(ticket);
        drop(waker);
    }
}
