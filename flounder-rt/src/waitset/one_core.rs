//! Whether to poll before blocking. Polling is of no use where it keeps the peer from running: on one processor for both.
//!
//! Two things tell. A driver may know on which processor the peer of a channel ran last ([`PeerProcessor`]): a hint, and a
//! false one costs time only. Where no driver knows, the waitset learns from its own waits. A thread that may run on one
//! processor alone, that has polled in vain, and that was then woken after a sleep shorter than that, has most likely kept
//! its peer from running. It blocks at once for some waits. Then it polls once more, to find out whether that is still so.

use core::cell::Cell;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::time::Instant;

use rustix::thread::{sched_getaffinity, sched_getcpu};

use crate::waitset::{Source, Waitset};

/// Where the peer of a channel runs, seen from this thread: a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerProcessor {
    /// The driver does not know.
    Unknown,
    /// On the processor of this thread: whoever polls for the peer keeps it from running.
    This,
    /// On another processor.
    Another,
}

/// Time for which a source waits apart from its waitset at most ([`Source::wait_briefly`], [`Source::recv_waits`]),
/// which the kernel extends to whole ticks of its clock.
pub const BRIEF_WAIT: Duration = Duration::from_millis(5);

/// Waits that block at once, between two that poll to find out whether polling is of use again.
const AT_ONCE: RangeInclusive<u32> = 16..=1024;

/// Time of polling in vain after which a waitset asks where its peers run.
const ASK_AFTER: Duration = Duration::from_micros(2);

/// Multiple of [`BRIEF_WAIT`] that must be left of the time of a call that waits apart from its waitset: the kernel counts
/// such a wait in its own ticks.
const BRIEF_WAITS_LEFT: u32 = 10;

/// What a waitset has learned about polling.
#[derive(Debug, Default)]
pub(super) struct OneCore {
    /// Waits that are left to block at once, without a driver that knows more.
    left: Cell<u32>,
    /// Value of `left` after the last trial: 0, or within [`AT_ONCE`].
    granted: Cell<u32>,
    /// True if the last wait blocked at once.
    blocks: Cell<bool>,
    /// True if drivers knew at the last wait where the peers ran.
    is_known: Cell<bool>,
}

impl OneCore {
    /// Returns true if the last wait blocked at once. The next one most likely does, too, and should ask before it polls.
    #[inline]
    pub(super) const fn blocks(&self) -> bool {
        self.blocks.get()
    }

    /// Returns true if a wait that has polled for `polled` should ask.
    #[inline]
    pub(super) fn is_time_to_ask(&self, polled: Duration) -> bool {
        self.blocks() || polled >= ASK_AFTER
    }

    /// Returns true if a wait for any of these sources should block at once.
    pub(super) fn must_block_for_any<'a>(
        &self,
        sources: impl Iterator<Item = &'a dyn Source>,
    ) -> bool {
        let this = sched_getcpu();
        self.must_block(where_peers_are(sources.map(|source| source.peer_processor(this))))
    }

    fn must_block(&self, peer: PeerProcessor) -> bool {
        self.is_known.set(peer != PeerProcessor::Unknown);
        let blocks = match peer {
            PeerProcessor::This => true,
            PeerProcessor::Another => false,
            PeerProcessor::Unknown => {
                let left = self.left.get();
                self.left.set(left.saturating_sub(1));
                left > 0
            }
        };
        self.blocks.set(blocks);
        blocks
    }

    /// Polling has found something.
    #[inline]
    pub(super) fn polling_paid(&self) {
        self.granted.set(0);
        self.left.set(0);
    }

    /// What was learned is void, because the program has changed how long it polls.
    pub(super) fn forget(&self) {
        self.polling_paid();
        self.blocks.set(false);
    }

    /// A wait has polled in vain, and then slept for less time than it had polled. Nothing is learned from that where drivers
    /// know.
    pub(super) fn slept_briefly(&self) {
        if self.is_known.get() {
            return;
        }
        let granted = if has_one_processor() {
            (2 * self.granted.get()).clamp(*AT_ONCE.start(), *AT_ONCE.end())
        } else {
            0
        };
        self.granted.set(granted);
        self.left.set(granted);
    }
}

/// Returns true if this thread may run on one processor alone.
fn has_one_processor() -> bool {
    sched_getaffinity(None).is_ok_and(|set| set.count() == 1)
}

/// Returns where polling for any of these peers may find them: on another processor if one of them is there, on this one if
/// all are here.
fn where_peers_are(mut peers: impl Iterator<Item = PeerProcessor>) -> PeerProcessor {
    let Some(mut together) = peers.next() else { return PeerProcessor::Unknown };
    for peer in peers {
        if together == PeerProcessor::Another || peer == PeerProcessor::Another {
            return PeerProcessor::Another;
        }
        if peer != together {
            together = PeerProcessor::Unknown;
        }
    }
    together
}

impl Waitset {
    /// Returns true if a wait for `source` should block at once.
    pub(super) fn must_block_for(&self, source: &dyn Source) -> bool {
        self.0.one_core.must_block_for_any(core::iter::once(source))
    }

    /// Returns true if a wait for any event should block at once. `last_ready` is the source with a descriptor that the
    /// waitset would poll, if there is one.
    pub(super) fn must_block(&self, last_ready: Option<&dyn Source>) -> bool {
        let queues = self.0.queues.borrow();
        let sources = queues.polled().map(|source| &**source).chain(last_ready);
        self.0.one_core.must_block_for_any(sources)
    }

    /// Returns true if a blocking call with this deadline may wait apart from the waitset for [`BRIEF_WAIT`]: neither another
    /// thread nor the deadline ends it before.
    fn may_wait_briefly(&self, deadline: Option<Instant>) -> bool {
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        !self.0.remote.is_pending()
            && deadline.is_none_or(|at| left(at) >= BRIEF_WAITS_LEFT * BRIEF_WAIT)
    }

    /// Runs `turn`, which waits in the kernel for the next message, if the channel of `source` can do that. Returns `None` if
    /// it cannot.
    pub(super) fn turn_that_waits(
        &self,
        source: &dyn Source,
        deadline: Option<Instant>,
        turn: &mut dyn FnMut() -> bool,
    ) -> Option<bool> {
        if !self.may_wait_briefly(deadline) || !source.recv_waits(true) {
            return None;
        }
        let worked = turn();
        source.recv_waits(false);
        Some(worked)
    }

    /// Blocks until the peer of the armed `source` wakes it, for about [`BRIEF_WAIT`] at most, if its driver can do that.
    /// Returns false if it cannot.
    pub(super) fn wait_briefly(&self, source: &dyn Source, deadline: Option<Instant>) -> bool {
        let waited = self.may_wait_briefly(deadline) && source.wait_briefly();
        if waited && self.0.remote.is_pending() {
            self.drain_remote();
        }
        waited
    }
}

#[cfg(test)]
mod tests {
    use rustix::thread::{CpuSet, sched_setaffinity};

    use super::*;

    /// Returns what is learned from a brief sleep of a thread that has one processor.
    fn learned(peer: PeerProcessor) -> u32 {
        let pinned = std::thread::spawn(move || {
            let mut one = CpuSet::new();
            one.set(sched_getcpu());
            sched_setaffinity(None, &one).expect("a thread may stay where it is");
            let one_core = OneCore::default();
            one_core.must_block(peer);
            one_core.slept_briefly();
            one_core.left.get()
        });
        pinned.join().expect("it does not panic")
    }

    #[test]
    fn brief_sleep_teaches_where_no_driver_knows_the_peer() {
        assert_eq!(learned(PeerProcessor::Unknown), *AT_ONCE.start());
        assert_eq!(learned(PeerProcessor::Another), 0);
        assert_eq!(learned(PeerProcessor::This), 0);
    }
}
