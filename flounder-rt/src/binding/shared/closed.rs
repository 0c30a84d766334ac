//! Whether a binding is closed, for threads that wait for that.

use core::task::Waker;

use parking_lot::Mutex;

use crate::binding::TxError;
use crate::binding::shell::wake_all;

/// Result of closing a binding, and who waits for it.
#[derive(Default)]
pub(super) struct Closed(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// [`TxError::Closed`] if something that was accepted is lost.
    result: Option<Result<(), TxError>>,
    wakers: Vec<Waker>,
}

impl Closed {
    /// The channel is closed. Only the first report counts.
    pub(super) fn report(&self, result: Result<(), TxError>) {
        let wakers = {
            let waiting = &mut *self.0.lock();
            waiting.result.get_or_insert(result);
            core::mem::take(&mut waiting.wakers)
        };
        wake_all(wakers);
    }

    /// Returns the result if it is there; otherwise wakes `waker` when it is.
    pub(super) fn poll(&self, waker: &Waker) -> Option<Result<(), TxError>> {
        // To copy a waker is user code: nothing is locked.
        let copy = waker.clone();
        let waiting = &mut *self.0.lock();
        if waiting.result.is_none() && !waiting.wakers.iter().any(|known| known.will_wake(waker)) {
            waiting.wakers.push(copy);
        }
        waiting.result.clone()
    }
}
