//! A one-shot for the result of a call or a message of another thread. `tests/loom_job_queue.rs` checks
//! every interleaving.

use core::task::Waker;

use crate::sync::Mutex;

/// Passes one result between two threads.
pub(crate) struct Slot<T>(Mutex<Meeting<T>>);

struct Meeting<T> {
    /// Id of the call, once it is being sent.
    id: Option<u32>,
    given_up: bool,
    waker: Option<Waker>,
    result: Option<T>,
}

impl<T> Slot<T> {
    /// Notes the id of the call, which is being sent. Returns false if the call was given up.
    pub(crate) fn begin(&self, id: u32) -> bool {
        let mut meeting = self.0.lock();
        meeting.id = Some(id);
        !meeting.given_up
    }

    /// Stores the result, and wakes the task that waits for it.
    pub(crate) fn settle(&self, result: T) {
        let waker = {
            let mut meeting = self.0.lock();
            meeting.result = Some(result);
            meeting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns true if the result is there; otherwise wakes `waker` when it is.
    pub(crate) fn listen(&self, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut meeting = self.0.lock();
        if meeting.result.is_some() {
            return true;
        }
        let old = meeting.waker.replace(waker);
        drop(meeting);
        drop(old);
        false
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().result.take()
    }

    /// Gives the result up. Returns the id of the call, if it was sent and has no result yet.
    pub(crate) fn give_up(&self) -> Option<u32> {
        let mut meeting = self.0.lock();
        meeting.given_up = true;
        let (waker, result) = (meeting.waker.take(), meeting.result.take());
        let id = if result.is_none() { meeting.id } else { None };
        drop(meeting);
        drop((waker, result));
        id
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        let meeting = Meeting { id: None, given_up: false, waker: None, result: None };
        Self(Mutex::new(meeting))
    }
}
