//! Time limits of requests.

use core::time::Duration;
use std::time::Instant;

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
