//! One bit for each slot of a pool, and a flag: any thread releases slots, and the thread of the binding tells the peer.
//!
//! ```text
//!   any thread                                the thread of the binding
//!   reads the slot                            Note::take    nothing that was noted before is missed
//!   SlotBits::set                             SlotBits::take --> the peer: these slots are free
//!   Note::set --true--> wakes that thread -->
//! ```

use crate::sync::{AtomicBool, AtomicU64, Ordering, planted};

/// One bit for each slot of a pool.
pub(crate) struct SlotBits(Box<[AtomicU64]>);

impl SlotBits {
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Sets a bit. Returns false if it was set.
    pub(crate) fn set(&self, bit: u16) -> bool {
        let mask = 1 << (bit % 64);
        // SYNC slot-release: Release, pairs with the Acquire in `take`: what a thread has read of a slot, it has read before
        // the peer is told that the slot is free.
        let order =
            if planted("slot_release_relaxed") { Ordering::Relaxed } else { Ordering::Release };
        self.0[usize::from(bit / 64)].fetch_or(mask, order) & mask == 0
    }

    pub(crate) fn clear(&self, bit: u16) {
        self.0[usize::from(bit / 64)].fetch_and(!(1 << (bit % 64)), Ordering::Release);
    }

    /// Takes bits out, up to 64 of them. Returns the number of the first one, and the bits from there.
    pub(crate) fn take(&self) -> impl Iterator<Item = (u64, u64)> {
        // SYNC slot-release: Acquire, pairs with the Release in `set`.
        let taken = self.0.iter().map(|bits| bits.swap(0, Ordering::Acquire));
        (0..).step_by(64).zip(taken).filter(|(_, mask)| *mask != 0)
    }
}

/// Whether there may be something that the thread of the binding has not seen.
pub(crate) struct Note(AtomicBool);

impl Note {
    // Loom's takes no `const`.
    #[allow(clippy::missing_const_for_fn)]
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Notes that there is something. Returns true if the thread of the binding has to be woken.
    pub(crate) fn set(&self) -> bool {
        // SYNC bulk-note: the bits or the news come first; pairs with the swap in `take`.
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Returns true if there may be something.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Called before the bits and the news are read.
    pub(crate) fn take(&self) {
        // SYNC bulk-note: pairs with the swap in `set`. What is noted from here on wakes the thread again.
        self.0.swap(planted("slot_note_stays"), Ordering::AcqRel);
    }
}
