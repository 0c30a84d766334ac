//! Time limits of calls.

use core::time::Duration;
use std::time::Instant;

/// Limit of a blocking call that was given none. Two services that call each other, each blocked
/// and so unable to serve the other, get an error and do not hang.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time that a call may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// [`DEFAULT_TIMEOUT`]. An asynchronous call of the thread of its binding may take a sixteenth longer.
    #[default]
    Default,
    /// This long from when the call is made. A time beyond the end of the clock means no limit. A
    /// call that has no time at all is not sent, nor is one whose deadline has passed.
    For(Duration),
    /// Until this time.
    Until(Instant),
}

impl Timeout {
    /// Returns the deadline of a blocking call that is made now.
    pub(crate) fn end_of_blocking(self) -> Option<Instant> {
        match self {
            Self::Default => Instant::now().checked_add(DEFAULT_TIMEOUT),
            limited => limited.end(),
        }
    }

    /// Returns the deadline of an asynchronous call that is made now.
    pub(crate) fn end(self) -> Option<Instant> {
        match self {
            Self::Default => None,
            Self::For(time) => Instant::now().checked_add(time),
            Self::Until(at) => Some(at),
        }
    }

    /// Makes the default a deadline of a call that is awaited from now on. Returns the time now, if that had to be read.
    pub(crate) fn begin_default(&mut self) -> Option<Instant> {
        let now = (*self == Self::Default).then(Instant::now)?;
        *self = now.checked_add(DEFAULT_TIMEOUT).map_or(*self, Self::Until);
        Some(now)
    }

    /// Converts a relative timeout to an absolute deadline.
    pub(crate) fn beginning_now(self) -> Self {
        match self {
            Self::For(time) => Instant::now().checked_add(time).map_or(self, Self::Until),
            other => other,
        }
    }

    /// Returns true if the deadline has already passed. A timeout of zero has passed when it begins.
    pub(crate) fn is_over(self) -> bool {
        match self {
            Self::Default => false,
            Self::For(time) => time.is_zero(),
            Self::Until(at) => Instant::now() >= at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_limits_only_blocking_calls() {
        let now = Instant::now();
        assert_eq!(Timeout::Default.end(), None);
        assert!(Timeout::Default.end_of_blocking().is_some_and(|end| end >= now + DEFAULT_TIMEOUT));
        assert_eq!(Timeout::For(Duration::MAX).end_of_blocking(), None, "for ever");
        assert_eq!(Timeout::Until(now).end(), Some(now));
        assert!(Timeout::Until(now).is_over());
        assert!(Timeout::For(Duration::ZERO).is_over(), "as when it has begun");
        assert!(!Timeout::For(Duration::from_nanos(1)).is_over(), "it has not begun");
        assert_eq!(Timeout::Default.beginning_now(), Timeout::Default);
        assert_eq!(Timeout::For(Duration::MAX).beginning_now().end_of_blocking(), None, "for ever");
        assert!(Timeout::For(Duration::ZERO).beginning_now().is_over());
    }
}
