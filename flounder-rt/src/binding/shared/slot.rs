//! Where a call of another thread and its result meet. `tests/loom_job_queue.rs` runs it through every interleaving.

use core::task::Waker;

use crate::sync::Mutex;

/// Where a call and its result meet.
pub(crate) struct Slot<T>(Mutex<Meeting<T>>);

struct Meeting<T> {
    /// The number of the call, once it is being sent.
    id: Option<u32>,
    given_up: bool,
    waker: Option<Waker>,
    result: Option<T>,
}

impl<T> Slot<T> {
    /// The call is being sent, with this number; false if nobody waits for it any more.
    pub(crate) fn begin(&self, id: u32) -> bool {
        let mut meeting = self.0.lock();
        meeting.id = Some(id);
        !meeting.given_up
    }

    /// The result is there.
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

    /// Whether the result is there; if not, the waker is woken when it is.
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

    /// Nobody waits any more. The number of the call if one was given and no result is there.
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
