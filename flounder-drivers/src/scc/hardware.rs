//! What the driver requires of a machine whose caches are not coherent.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use flounder_rt::notify::{Notifier, Wake};
use flounder_rt::waitset::Watched;
use rustix::io::Errno;

/// 64-bit words of a line.
pub const LINE_WORDS: usize = 4;

/// Operations on the caches of one end, by number of the line.
///
/// An end writes back lines that it alone writes, and invalidates lines that it only reads.
pub trait LineCaches {
    /// Starts to write a line back to memory.
    fn write_back(&mut self, line: usize, reason: CacheOpReason);

    /// Starts to drop what is cached of a line.
    fn invalidate(&mut self, line: usize, reason: CacheOpReason);

    /// Finishes what `write_back` started, before any later operation of this end.
    fn fence_writes(&mut self, reason: CacheOpReason);

    /// Finishes what `invalidate` started, before any later operation of this end.
    fn fence_reads(&mut self, reason: CacheOpReason);
}

/// The machine, as one end of a channel sees it: a region that it alone writes, a region that it
/// only reads, their lines in its caches, and doorbells.
///
/// Nothing between the two ends is coherent. What an end stores may stay in its cache for ever, and
/// what it loads may come out of its cache, however old, unless the end acts:
///
/// * `write_back` and then `fence_writes`: from then on the line is in memory, as it was when it
///   was written back or later.
/// * `invalidate` and then `fence_reads`: later loads return what was in memory at that time or
///   later.
///
/// The driver relies on the machine for the following:
///
/// * A line reaches memory, and comes out of it, whole. It may do so at any time, and lines in any
///   order.
/// * Stores of one end to *one line* become visible in the order in which they were made.
/// * An end does not store before its earlier loads have returned.
/// * A doorbell that rings stays rung until it is checked.
pub trait Hardware: LineCaches + Send {
    /// Returns the number of lines of the region that this end writes.
    fn lines(&self) -> usize;

    /// Returns the number of lines of the region that this end reads.
    fn peer_lines(&self) -> usize;

    /// Stores a word in this end's region.
    fn store(&mut self, line: usize, word: usize, value: u64);

    /// Loads a word of the peer's region, current or old.
    fn load(&mut self, line: usize, word: usize) -> u64;

    /// Rings the doorbell of the peer's end. Returns false if that failed and has to be retried.
    #[must_use = "a doorbell that was not rung has to be rung later"]
    fn ring(&mut self) -> bool;

    /// Returns the error number of a doorbell that has failed for so long that the channel ends.
    fn ring_failure(&self) -> Option<Errno> {
        None
    }

    /// Returns true if the doorbell of this end was rung since the last call. Cheap.
    fn rung(&mut self) -> bool;

    /// Returns what a waitset has to watch so that this end's doorbell wakes it.
    fn watched(&self) -> Option<Arc<dyn Watched>> {
        None
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $name:literal,)*) => {
        /// Reason for a cache operation of the driver: there is one for each place in the code that
        /// has one.
        ///
        /// The real machine ignores the reason. A [`Model`](super::model::Model) can skip the
        /// operations of one reason; then a test must fail, or the operation is not needed.
        /// `ci/cache-operations.sh` tries them all.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum CacheOpReason {
            $($(#[$doc])* $reason,)*
        }

        impl CacheOpReason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$reason,)*];

            /// Returns the name of the reason.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// A line of data is written: it must get to memory. Without: `a_message_reaches_the_memory`.
    LineWritten = "line-written",
    /// The claims of this end have changed: they must get to memory. Without: `an_ack_reaches_the_memory`.
    ClaimsWritten = "claims-written",
    /// The doorbell is about to ring: what it announces must be in memory. Without: `the_doorbell_does_not_overtake`.
    BeforeRinging = "before-ringing",
    /// The cache may hold an old copy of the line, from an earlier read or a prefetch. Without: `a_stale_line_is_dropped`.
    LineStale = "line-stale",
    /// The stale line must be gone before the new one is loaded. Without: `a_stale_line_is_dropped_in_time`.
    LineDropped = "line-dropped",
    /// The claims were loaded before. Without: `stale_claims_are_dropped`.
    ClaimsStale = "claims-stale",
    /// The stale claims must be gone before the new ones are loaded. Without: `stale_claims_are_dropped_in_time`.
    ClaimsDropped = "claims-dropped",
    /// A slot of a pool is filled: it must get to memory. Without: `a_slot_reaches_the_memory`.
    SlotWritten = "slot-written",
    /// The message is about to be written: the slot must be in memory before. Without: `a_message_does_not_overtake_its_slot`.
    SlotBeforeMessage = "slot-before-message",
    /// The cache may hold old lines of the slot. Without: `a_stale_slot_is_dropped`.
    SlotStale = "slot-stale",
    /// The stale lines must be gone before the slot is read. Without: `a_stale_slot_is_dropped_in_time`.
    SlotDropped = "slot-dropped",
}

impl fmt::Display for CacheOpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The doorbell of one end within this process: a flag, and the notifier of its owner.
#[derive(Debug)]
pub struct DoorbellFlag {
    /// On cache lines of its own: the owner looks at it with each message, and the flag of the other end, which is made next,
    /// is set with each message.
    rung: CachePadded<AtomicBool>,
    owner: Notifier,
}

impl DoorbellFlag {
    /// Returns a flag that is not set, and notifies `owner` when it is.
    #[must_use]
    pub fn new(owner: Notifier) -> Arc<Self> {
        Arc::new(Self { rung: AtomicBool::new(false).into(), owner })
    }

    /// Returns a notifier that sets the flag.
    #[must_use]
    pub fn ringer(self: &Arc<Self>) -> Notifier {
        let ringer = Notifier::new();
        ringer.retarget(Arc::clone(self) as Arc<dyn Wake>, 0);
        ringer
    }

    /// Makes the waitset of the owner poll the channel.
    pub(crate) fn wake_owner(&self) {
        self.owner.notify();
    }

    /// Returns true if the flag was set since the last call, and clears it.
    #[inline]
    #[must_use]
    pub fn take(&self) -> bool {
        // SYNC doorbell: the swap acquires what the ringer released. A ring after it is seen the next time.
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for DoorbellFlag {
    fn wake(&self, _token: u64) {
        // SYNC doorbell: pairs with `take`. If the flag was set already, the owner has been notified, and reads the lines
        // after it takes the flag.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.owner.notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_is_set_once_for_all_rings_since_the_last_take() {
        let flag = DoorbellFlag::new(Notifier::new());
        let ringer = flag.ringer();
        assert!(!flag.take());
        for _ in 0..3 {
            ringer.notify();
        }
        assert!(flag.take());
        assert!(!flag.take());
        ringer.notify();
        assert!(flag.take());
    }
}
