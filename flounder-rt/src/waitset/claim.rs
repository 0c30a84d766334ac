//! Which thread runs a source that several threads serve.
//!
//! ```text
//!              wake                begin               rest, nothing woke it meanwhile
//!   Idle   ----------> Pending ----------> Running --------------------------> Idle or Polled
//!   Polled ---wake, found--^  ^               | wake
//!      |                      '---- again ----+----> Woken
//!      '------------- claim_polled -----------^
//! ```
//! A source that is pending is in the queue of the threads, once. `Running` and `Woken` belong to one
//! thread: it alone runs the source, arms it, and withdraws that. So the steps of a source never
//! overlap, and what it receives is handled in order, whichever threads do it.
//!
//! `tests/loom_remote.rs` checks every interleaving.

use crate::sync::{AtomicU8, Ordering, planted};

/// An armed channel or a descriptor wakes the source.
const IDLE: u8 = 0;
/// The thread that polls looks at the source.
const POLLED: u8 = 1;
const PENDING: u8 = 2;
const RUNNING: u8 = 3;
/// Running, and woken since.
const WOKEN: u8 = 4;
/// Not registered any more.
const GONE: u8 = 5;

/// What finds the next event of a source that has none now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// A wake-up.
    Idle,
    /// The thread that polls.
    Polled,
}

/// The claim of a thread to a source.
#[derive(Debug)]
pub(crate) struct Claim(AtomicU8);

impl Claim {
    /// Returns the claim to a source that is pending.
    pub(crate) fn pending() -> Self {
        Self(AtomicU8::new(PENDING))
    }

    /// Changes the state. Returns the state before.
    fn change(&self, next: impl Fn(u8) -> u8) -> u8 {
        let mut before = self.0.load(Ordering::Relaxed);
        loop {
            // SYNC claim: an AcqRel exchange also where nothing changes. What a thread did before it woke the source is seen by
            // the thread that runs the source next: `begin` and `rest` read from this exchange or from a later one.
            match self.0.compare_exchange_weak(
                before,
                next(before),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(before) => return before,
                Err(now) => before = now,
            }
        }
    }

    /// Something has happened to the source. Returns true if the caller must queue the source.
    pub(crate) fn wake(&self) -> bool {
        let before = self.change(|state| match state {
            IDLE | POLLED => PENDING,
            RUNNING if !planted("claim_ignores_wake") => WOKEN,
            other => other,
        });
        matches!(before, IDLE | POLLED)
    }

    /// Claims a source that was taken from the queue. Returns false if it is gone.
    pub(crate) fn begin(&self) -> bool {
        self.change(|state| if state == PENDING { RUNNING } else { state }) == PENDING
    }

    /// Claims a polled source. Returns false if it is not polled.
    pub(crate) fn claim_polled(&self) -> bool {
        self.change(|state| if state == POLLED { RUNNING } else { state }) == POLLED
    }

    /// Returns true if the thread that polls has to look at the source.
    pub(crate) fn is_polled(&self) -> bool {
        // SYNC claim: a hint; `found` decides.
        self.0.load(Ordering::Relaxed) == POLLED
    }

    /// A polled source has something to do. Returns true if the caller must queue the source.
    pub(crate) fn found(&self) -> bool {
        self.change(|state| if state == POLLED { PENDING } else { state }) == POLLED
    }

    /// Gives up the claim to a source that has nothing to do. Returns false if the source was woken
    /// meanwhile: the caller keeps the claim.
    pub(crate) fn rest(&self, rest: Rest) -> bool {
        let state = match rest {
            Rest::Idle => IDLE,
            Rest::Polled => POLLED,
        };
        let before = self.change(|now| match now {
            RUNNING => state,
            WOKEN => RUNNING,
            other => other,
        });
        before != WOKEN
    }

    /// Gives up the claim to a source that has more to do. Returns true if the caller must queue the
    /// source.
    pub(crate) fn again(&self) -> bool {
        let before =
            self.change(|state| if matches!(state, RUNNING | WOKEN) { PENDING } else { state });
        matches!(before, RUNNING | WOKEN)
    }

    /// The source is not run any more.
    pub(crate) fn retire(&self) {
        self.change(|_| GONE);
    }
}
