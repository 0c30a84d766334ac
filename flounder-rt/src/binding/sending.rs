//! Sending that waits while the binding is busy.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::binding::turns::Ticket;
use crate::binding::{Endpoint, Rejected, TxError, TxState};

/// A message that waits until the binding accepts it. Dropped before that, nothing is sent; after that, all of it.
#[must_use = "nothing is sent unless it is awaited"]
pub struct Sending<'a, T, F> {
    endpoint: &'a Endpoint,
    ticket: Ticket,
    /// What the message gives away; absent once it is accepted.
    given: Option<T>,
    attempt: F,
}

impl<'a, T, F: FnMut(T) -> Result<(), Rejected<T>>> Sending<'a, T, F> {
    /// `attempt` sends the message, or gives back what it would have given away. Used by generated code.
    #[doc(hidden)]
    pub fn new(endpoint: &'a Endpoint, given: T, attempt: F) -> Self {
        Self { endpoint, ticket: Ticket::default(), given: Some(given), attempt }
    }
}

impl<T: Unpin, F: FnMut(T) -> Result<(), Rejected<T>> + Unpin> Future for Sending<'_, T, F> {
    type Output = Result<(), Rejected<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.endpoint.0.is_turn_of(&this.ticket) {
            // Polled again after it was done, it stays so.
            let Some(given) = this.given.take() else { return Poll::Pending };
            match (this.attempt)(given) {
                Err(Rejected { error: TxError::Busy, given }) => this.given = Some(given),
                done => {
                    this.endpoint.0.leave(&mut this.ticket);
                    return Poll::Ready(done);
                }
            }
        }
        this.endpoint.0.io.borrow_mut().turns.wait(&mut this.ticket, cx.waker());
        Poll::Pending
    }
}

impl<T, F> Drop for Sending<'_, T, F> {
    fn drop(&mut self) {
        self.endpoint.0.leave(&mut self.ticket);
    }
}

impl<T, F> fmt::Debug for Sending<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

/// As [`Sending::new`], for a message that gives nothing away. Used by generated code.
#[doc(hidden)]
pub async fn sending(
    endpoint: &Endpoint,
    mut attempt: impl FnMut() -> Result<(), TxError> + Unpin,
) -> Result<(), TxError> {
    let attempt = |()| attempt().map_err(|error| Rejected { error, given: () });
    Sending::new(endpoint, (), attempt).await.map_err(|rejected| rejected.error)
}

impl super::Core {
    /// Whether it is worth trying to send.
    pub(super) fn is_turn_of(&self, ticket: &Ticket) -> bool {
        let io = self.io.borrow();
        match io.state {
            TxState::Free => !io.turns.must_wait(ticket),
            TxState::Sending => false,
            TxState::Closed => true,
        }
    }

    pub(super) fn leave(&self, ticket: &mut Ticket) {
        let waker = self.io.borrow_mut().turns.leave(ticket);
        drop(waker);
    }
}
