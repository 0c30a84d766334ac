//! Time limits of requests.

use core::cell::Cell;
use core::time::Duration;
use std::time::Instant;

use crate::name::Awaited;

/// Time limit of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// The default of the request, from when it begins.
    Default,
    Until(Instant),
    Never,
}

impl Limit {
    /// Returns a limit of `timeout` from now, or none if that is beyond the end of the clock.
    pub(crate) fn within(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Self::Never, Self::Until)
    }

    /// Returns the deadline of a request that begins now.
    pub(crate) fn end(self, default: Duration) -> Option<Instant> {
        match self {
            Self::Default => Instant::now().checked_add(default),
            Self::Until(deadline) => Some(deadline),
            Self::Never => None,
        }
    }

    /// Returns true if the deadline has already passed.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Until(deadline) if Instant::now() >= deadline)
    }
}

/// How far a request has come, for the error at its deadline.
#[derive(Debug)]
pub(crate) struct Progress {
    deadline: Option<Instant>,
    awaited: Cell<Awaited>,
}

impl Progress {
    pub(crate) const fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, awaited: Cell::new(Awaited::Root) }
    }

    /// Returns what the request waits for.
    pub(crate) const fn awaited(&self) -> Awaited {
        self.awaited.get()
    }

    pub(crate) fn set_awaited(&self, awaited: Awaited) {
        self.awaited.set(awaited);
    }

    /// Returns the delay before the root is asked whether it has the request: `most`, or less if
    /// the answer would come after the deadline.
    pub(crate) fn check_delay(&self, most: Duration) -> Duration {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.deadline.map_or(most, |deadline| most.min(left(deadline) / 8))
    }
}
