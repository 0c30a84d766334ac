//! Futures that send once the binding is no longer busy.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::binding::connection::{Line, Position, Rule, Sender};
use crate::binding::message_type::Sendable;
use crate::binding::shell::Shell;
use crate::binding::{RawBinding, TxError};

/// Completes when the binding has accepted a message. If it is dropped before, nothing is sent.
#[must_use = "nothing is sent unless it is awaited"]
pub struct Sending<'a, F: Sendable> {
    raw: &'a RawBinding,
    position: Position,
    /// `None` once the message is accepted.
    args: Option<F::Sent<'a>>,
}

impl<'a, F: Sendable> Sending<'a, F> {
    pub(super) fn new(raw: &'a RawBinding, args: F::Sent<'a>) -> Self {
        Self { raw, position: Position::default(), args: Some(args) }
    }
}

impl<F: Sendable> Future for Sending<'_, F> {
    type Output = Result<(), TxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // A future that is polled after it completed stays pending.
        let Some(args) = this.args else { return Poll::Pending };
        if this.raw.shell().may_try(&this.position) {
            match F::try_send(this.raw, args) {
                Err(TxError::Busy) => {}
                done => {
                    this.args = None;
                    this.raw.shell().leave(Line::Slot, &mut this.position);
                    return Poll::Ready(done.map(drop));
                }
            }
        }
        this.raw.shell().wait_in(Line::Slot, &mut this.position, cx.waker());
        Poll::Pending
    }
}

// The arguments are borrowed or copied, so moving the future moves nothing that is pointed to.
impl<F: Sendable> Unpin for Sending<'_, F> {}

impl<F: Sendable> Drop for Sending<'_, F> {
    fn drop(&mut self) {
        self.raw.shell().leave(Line::Slot, &mut self.position);
    }
}

impl<F: Sendable> fmt::Debug for Sending<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

impl Shell {
    /// Returns true if it is the turn of a task that waits for the slot, or no turn will come.
    #[inline(always)]
    pub(super) fn may_try(&self, position: &Position) -> bool {
        let rule = self.io.borrow().connection.rule(Sender::Waiting(position));
        matches!(rule, Rule::Send | Rule::Refuse)
    }

    /// Waits in a line: `waker` is woken when it is the turn of `position`.
    pub(super) fn wait_in(&self, line: Line, position: &mut Position, waker: &Waker) {
        let before = {
            let connection = &self.io.borrow().connection;
            if connection.is_waiting(line, position, waker) {
                return;
            }
            connection.changes(line)
        };
        // To copy or to drop a waker is user code: nothing is borrowed.
        let copy = waker.clone();
        let (old, changes) = {
            let connection = &mut self.io.borrow_mut().connection;
            (connection.wait(line, position, copy), connection.changes(line))
        };
        drop(old);
        if changes != before {
            // Its turn may have come meanwhile.
            waker.wake_by_ref();
        }
    }

    /// Leaves a line.
    pub(super) fn leave(&self, line: Line, position: &mut Position) {
        let waker = self.io.borrow_mut().connection.leave(line, position);
        drop(waker);
    }
}
