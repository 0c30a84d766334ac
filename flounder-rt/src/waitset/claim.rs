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
//! A source that goes to another waitset gets a claim of its own there, which begins as `Running`. The claim that it leaves
//! becomes `Gone`, at once or (`Leaving`) when the thread that has it gives it up; whoever makes it `Gone` gives up the new
//! one.
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
/// Running for the last time: the source has another claim.
const LEAVING: u8 = 6;

/// What finds the next event of a source that has none now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// A wake-up.
    Idle,
    /// The thread that polls.
    Polled,
}

/// What a thread has to do that has given up a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Nothing,
    /// Queue the source.
    Queue,
    /// Give up the claim that the source has elsewhere.
    Leave,
}

/// The claim of a thread to a source.
#[derive(Debug)]
pub(crate) struct Claim(AtomicU8);

impl Claim {
    /// Returns the claim to a new source, or to one that leaves another claim: the caller has the claim.
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(RUNNING))
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

    /// Gives up the claim to a source that has nothing to do. Returns false if the source was woken or has left meanwhile:
    /// the caller keeps the claim.
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
        !matches!(before, WOKEN | LEAVING)
    }

    /// Gives up the claim to a source that has more to do.
    #[must_use]
    pub(crate) fn again(&self) -> After {
        let before = self.change(|state| match state {
            RUNNING | WOKEN => PENDING,
            LEAVING => GONE,
            other => other,
        });
        match before {
            RUNNING | WOKEN => After::Queue,
            LEAVING => After::Leave,
            _ => After::Nothing,
        }
    }

    /// The source goes elsewhere, with another claim. Returns true if the caller has to give up that one: no thread has
    /// this one.
    pub(crate) fn leave(&self) -> bool {
        let waits = !planted("claim_leaves_while_running");
        let before = self.change(|state| match state {
            IDLE | POLLED | PENDING => GONE,
            RUNNING | WOKEN if waits => LEAVING,
            RUNNING | WOKEN => GONE,
            other => other,
        });
        match before {
            IDLE | POLLED | PENDING => true,
            RUNNING | WOKEN => !waits,
            _ => false,
        }
    }

    /// The source is not run any more.
    pub(crate) fn retire(&self) {
        self.change(|_| GONE);
    }
}
