//! Whether a waitset sleeps and whether something waits for it, agreed on by two flags.

use crate::sync::{AtomicBool, Ordering, fence};

/// One side [announces](Gate::announce) what it has put in, the other [goes to sleep](Gate::sleep) only if nothing was.
///
/// ```text
///   poster: put; pending = true; FENCE; asleep?       sleeper: asleep = true; FENCE; pending?
/// ```
/// With a full fence between the two steps of each, at least one sees the other: no wake-up is lost.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Something was put in. Set after it was, cleared before it is taken out.
    pending: AtomicBool,
    /// The sleeper blocks, or is about to.
    asleep: AtomicBool,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { pending: AtomicBool::new(false), asleep: AtomicBool::new(false) }
    }

    /// Something was put in; returns whether the bell must be rung. Of many that are put in before the sleeper looks, only
    /// the first has to ask: whoever made `pending` true rings for all.
    pub(crate) fn announce(&self) -> bool {
        // SYNC gate-take: an AcqRel swap, pairs with the one in `clear`. If this one finds `true`, the clearing that follows
        // reads from it or from a later one, so what was put in before is taken out after it.
        if self.pending.swap(true, Ordering::AcqRel) {
            return false;
        }
        // SYNC gate-sleep: with the fence in `sleep`.
        if !cfg!(flounder_bug = "gate_without_fence") {
            fence(Ordering::SeqCst);
        }
        self.asleep.load(Ordering::Relaxed)
    }

    /// Whether something was put in. One load.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        // SYNC gate-take: a hint only; `clear` comes before anything is taken out.
        self.pending.load(Ordering::Relaxed)
    }

    /// The sleeper is about to take out what was put in.
    pub(crate) fn clear(&self) {
        // SYNC gate-take: see `announce`.
        self.pending.swap(false, Ordering::AcqRel);
    }

    /// The sleeper is about to block; false if it must take out first.
    pub(crate) fn sleep(&self) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        // SYNC gate-sleep: with the fence in `announce`.
        fence(Ordering::SeqCst);
        !self.pending.load(Ordering::Relaxed)
    }

    /// The sleeper does not block any more.
    pub(crate) fn awake(&self) {
        // SYNC gate-sleep: seen late, it costs a needless ring, nothing else.
        self.asleep.store(false, Ordering::Relaxed);
    }
}
