//! Limit on how often a place in the code writes to the log.
//!
//! A hostile peer can repeat an event that is logged as often as it likes: thousands of bindings die at once, or connection
//! after connection is refused. So each place that logs an action of a peer has a [`LogRate`], which permits [`BURST`] lines at
//! once and then one a second. The field `held_back` of a line is the number of lines that the place has held back since the
//! previous one. Lines held back after the last line are counted in the next one, however late.
//!
//! [`log_limited`](crate::log_limited) is an event of `tracing` with a rate of its own.

use core::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// Lines that a place may write at once.
pub const BURST: u64 = 16;

/// Time after which a place may write another line, in milliseconds.
const INTERVAL_MS: u64 = 1000;

/// Rate of the lines that one place writes to the log.
///
/// ```
/// use flounder_rt::log_rate::{BURST, LogRate};
///
/// static RATE: LogRate = LogRate::new();
/// let written = (0..10_000).filter(|_| RATE.pass().is_some()).count();
/// assert!(written as u64 >= BURST);
/// assert!(written < 100);
/// ```
#[derive(Debug)]
pub struct LogRate {
    burst: u64,
    /// When the whole burst is available again, in milliseconds of the monotonic clock. At most `burst` intervals after
    /// the last line.
    full_at: AtomicU64,
    /// Lines held back since the last one that was written.
    held_back: AtomicU64,
}

impl LogRate {
    /// Returns a rate of [`BURST`] lines at once, and one a second after them.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_burst(BURST)
    }

    /// Returns a rate of `burst` lines at once, and one a second after them.
    #[must_use]
    pub const fn with_burst(burst: u64) -> Self {
        Self { burst, full_at: AtomicU64::new(0), held_back: AtomicU64::new(0) }
    }

    /// Returns the number of lines held back since the last one, if the next may be written now.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(now_ms())
    }

    fn pass_at(&self, now: u64) -> Option<u64> {
        let next = |full_at: u64| {
            let next = full_at.max(now).saturating_add(INTERVAL_MS);
            (next - now <= self.burst.saturating_mul(INTERVAL_MS)).then_some(next)
        };
        // SYNC log-rate: the two words are numbers for the log, and no other memory is published through them. A line that
        // is held back beside one that is written counts for this line or for the next.
        match self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Some(self.held_back.swap(0, Ordering::Relaxed)),
            Err(_) => {
                self.held_back.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

impl Default for LogRate {
    fn default() -> Self {
        Self::new()
    }
}

fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Not negative: the clock counts from the start of the machine.
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// Writes an event of `tracing` of a level (`error`, `warn`, `info`), at the rate of [`LogRate::new`] for this place.
#[macro_export]
macro_rules! log_limited {
    ($level:ident, $($event:tt)+) => {{
        static RATE: $crate::log_rate::LogRate = $crate::log_rate::LogRate::new();
        if let Some(held_back) = RATE.pass() {
            let held_back = (held_back > 0).then_some(held_back);
            tracing::$level!(held_back, $($event)+);
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_passes_and_then_one_line_a_second() {
        let rate = LogRate::new();
        let flood = |now| (0..1000).filter_map(|_| rate.pass_at(now)).collect::<Vec<_>>();
        assert_eq!(flood(5000), [0; BURST as usize]);
        assert_eq!(flood(5999), []);
        assert_eq!(flood(6000), [1000 - BURST + 1000]);
        assert_eq!(flood(6001), []);
        assert_eq!(flood(8000), [999 + 1000, 0], "two seconds later");
    }

    #[test]
    fn burst_is_available_again_after_a_quiet_time() {
        let rate = LogRate::with_burst(3);
        let flood = |now| (0..10).filter(|_| rate.pass_at(now).is_some()).count();
        assert_eq!((flood(0), flood(2999), flood(10_000)), (3, 2, 3));
    }
}
