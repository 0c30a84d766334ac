//! Work that whichever thread comes first does for all.
//!
//! ```text
//!   request():  requests += 1;  busy = true?  was false: work, busy = false, and again if there were requests meanwhile
//!                                             was true:  leave: the thread that works sees the request
//! ```
//! No thread waits for another one. `tests/loom_job_queue.rs` checks every interleaving.

use crate::sync::{AtomicBool, AtomicUsize, Ordering, planted};

/// Runs work on one thread at a time.
#[derive(Debug)]
pub(crate) struct Combiner {
    /// Number of requests, which wraps.
    requests: AtomicUsize,
    is_busy: AtomicBool,
}

impl Combiner {
    pub(crate) fn new() -> Self {
        Self { requests: AtomicUsize::new(0), is_busy: AtomicBool::new(false) }
    }

    /// Has `work` run after this call has begun: by this thread, or by the one that works now.
    pub(crate) fn request(&self, mut work: impl FnMut()) {
        self.requests.fetch_add(1, Ordering::AcqRel);
        // SYNC combiner: both swaps are AcqRel. A thread that finds `true` has released its request to the thread that swaps
        // `false` in later, which therefore counts the request.
        while !self.is_busy.swap(true, Ordering::AcqRel) {
            let seen = self.requests.load(Ordering::Acquire);
            let done = Done(self);
            work();
            drop(done);
            let is_served =
                planted("combiner_forgets") || self.requests.load(Ordering::Acquire) == seen;
            if is_served {
                break;
            }
        }
    }

    /// Returns true if a thread works.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }
}

/// Ends the work, also if it unwinds.
struct Done<'a>(&'a Combiner);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.is_busy.swap(false, Ordering::AcqRel);
    }
}
