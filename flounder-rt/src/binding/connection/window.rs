//! The calls that one end may have under way, and those that wait for a place among them, in order. [`backlog`] explains why
//! they are bounded.
//!
//! ```text
//!   poll --> a place, and nobody before? --> the slot, and nobody before? --> sent --> answered, failed, given up
//!                     '-> queue of the window      '-> queue of the slot                  '-> a place is free
//! ```
//! A call has its place from when it is sent, not before: a call that is woken, here or at the slot, and is not polled,
//! delays nobody. A place that becomes free wakes the first sleeper. While there are places and the slot is free, too, a
//! job of the shell wakes the others.
//!
//! Blocking calls are counted and do not wait: there is at most one at a time, except for those below it on the stack.
//!
//! [`backlog`]: super::backlog

use super::wait_queue::{Position, WaitQueue};

/// Asynchronous calls that one end of a binding may have under way. More wait for their turn.
// Few in the random programs of this folder, which so reach the bound often.
pub const CALL_WINDOW: usize = if cfg!(any(test, fuzzing)) { 6 } else { 1024 };

/// The places, and the calls that wait for one.
#[derive(Default)]
pub(super) struct Window {
    taken: usize,
    pub(super) queue: WaitQueue,
}

impl Window {
    /// A call is sent.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.taken += 1;
    }

    /// A call that was sent is over.
    #[inline]
    pub(super) const fn end(&mut self) {
        self.taken -= 1;
    }

    /// Returns true if there is a place for a call that has not waited.
    #[inline]
    pub(super) fn is_free(&self) -> bool {
        self.has_room() && self.queue.is_empty()
    }

    /// Returns true if there is a place for the call at this position.
    #[inline]
    pub(super) fn is_open(&self, position: &Position) -> bool {
        self.has_room() && !self.queue.must_wait(position)
    }

    /// Number of places that are taken.
    #[cfg(any(test, fuzzing))]
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    #[inline]
    pub(super) const fn has_room(&self) -> bool {
        self.taken < CALL_WINDOW
    }
}
