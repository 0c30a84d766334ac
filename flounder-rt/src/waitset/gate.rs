//! The agreement between a waitset that goes to sleep and threads that post to it: two flags.

use crate::sync::{AtomicBool, Ordering, fence, planted};

/// A poster [announces](Gate::announce) what it has queued; the sleeper [sleeps](Gate::sleep) only
/// if nothing was announced.
///
/// ```text
///   poster: put; pending = true; FENCE; asleep?       sleeper: asleep = true; FENCE; pending?
/// ```
/// With a full fence between the two steps of each, at least one sees the other: no wake-up is lost.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Something is queued. Set after it is queued, cleared before the queue is drained.
    pending: AtomicBool,
    /// The sleeper blocks, or is about to.
    asleep: AtomicBool,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { pending: AtomicBool::new(false), asleep: AtomicBool::new(false) }
    }

    /// Announces that something is queued. Returns true if the caller must wake the sleeper. Of
    /// several posters that come before the sleeper looks, only the one that made `pending` true
    /// must do so.
    pub(crate) fn announce(&self) -> bool {
        // SYNC gate-take: an AcqRel swap, pairs with the one in `clear`. If this one finds `true`,
        // the next `clear` reads from it or from a later one, and what was queued before is drained
        // after it.
        if self.pending.swap(true, Ordering::AcqRel) {
            return false;
        }
        // SYNC gate-sleep: with the fence in `sleep`.
        if !planted("gate_without_fence") {
            fence(Ordering::SeqCst);
        }
        self.asleep.load(Ordering::Relaxed)
    }

    /// Returns true if something is queued. One load.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        // SYNC gate-take: a hint only; `clear` comes before the queue is drained.
        self.pending.load(Ordering::Relaxed)
    }

    /// Called by the sleeper before it drains the queue.
    pub(crate) fn clear(&self) {
        // SYNC gate-take: see `announce`.
        self.pending.swap(false, Ordering::AcqRel);
    }

    /// Called by the sleeper before it blocks. Returns false if it must drain the queue first.
    pub(crate) fn sleep(&self) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        // SYNC gate-sleep: with the fence in `announce`.
        fence(Ordering::SeqCst);
        !self.pending.load(Ordering::Relaxed)
    }

    /// Called by the sleeper after it has blocked.
    pub(crate) fn awake(&self) {
        // SYNC gate-sleep: seen late, it costs a needless ring, nothing else.
        self.asleep.store(false, Ordering::Relaxed);
    }
}
