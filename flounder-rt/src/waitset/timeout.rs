//! How long a call may take.

use core::time::Duration;
use std::time::Instant;

/// How long a blocking call waits that was given no limit. Two services that call each other, each blocked and so unable to
/// serve the other, get an error and not a hang.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a call may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// [`DEFAULT_TIMEOUT`]. An asynchronous call of the thread of its binding may take a sixteenth longer.
    #[default]
    Default,
    /// So long from when it is made. A time beyond the end of the clock is for ever.
    For(Duration),
    /// Until then.
    Until(Instant),
}

impl Timeout {
    /// When a blocking call that is made now has to end.
    pub(crate) fn end_of_blocking(self) -> Option<Instant> {
        match self {
            Self::Default => Instant::now().checked_add(DEFAULT_TIMEOUT),
            limited => limited.end(),
        }
    }

    /// When an asynchronous call that is made now has to end.
    pub(crate) fn end(self) -> Option<Instant> {
        match self {
            Self::Default => None,
            Self::For(time) => Instant::now().checked_add(time),
            Self::Until(at) => Some(at),
        }
    }

    /// The same for a call that is awaited from now on.
    pub(crate) fn limited_now(self) -> Self {
        match self {
            Self::Default => Self::For(DEFAULT_TIMEOUT).beginning_now(),
            limited => limited,
        }
    }

    /// The same for a call that is made now and waited for later, in whatever way.
    pub(crate) fn beginning_now(self) -> Self {
        match self {
            Self::For(time) => Instant::now().checked_add(time).map_or(self, Self::Until),
            other => other,
        }
    }

    /// Whether it was over before it began.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Until(at) if Instant::now() >= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_blocking_call_has_a_limit_that_nobody_set() {
        let now = Instant::now();
        assert_eq!(Timeout::Default.end(), None);
        assert!(Timeout::Default.end_of_blocking().is_some_and(|end| end >= now + DEFAULT_TIMEOUT));
        assert_eq!(Timeout::For(Duration::MAX).end_of_blocking(), None, "for ever");
        assert_eq!(Timeout::Until(now).end(), Some(now));
        assert!(Timeout::Until(now).is_over());
        assert!(!Timeout::For(Duration::ZERO).is_over(), "it is tried once");
        assert_eq!(Timeout::Default.beginning_now(), Timeout::Default);
        assert_eq!(Timeout::For(Duration::MAX).beginning_now().end_of_blocking(), None, "for ever");
        assert!(Timeout::For(Duration::ZERO).beginning_now().is_over());
    }
}
