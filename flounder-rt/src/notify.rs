//! Waking a waitset from anywhere.

use core::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

/// What a [`Notifier`] wakes. A waitset, in practice; anything, in tests.
pub trait Wake: Send + Sync {
    /// Something happened to the channel that the target knows as `token`.
    fn wake(&self, token: u64);

    /// The process at the other end of the channel that the target knows as `token` is dead.
    fn peer_died(&self, token: u64) {
        self.wake(token);
    }
}

/// Wakes whatever waitset serves one end of a channel.
///
/// Cheap to clone, usable from any thread. The waitset behind it may change; before there is one, a notification is kept.
#[derive(Clone, Default)]
pub struct Notifier(Arc<Mutex<Target>>);

#[derive(Default)]
struct Target {
    wake: Option<(Arc<dyn Wake>, u64)>,
    missed: bool,
    died: bool,
}

impl Notifier {
    /// One that wakes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Points it at `wake`; a notification that came before goes there now.
    pub fn retarget(&self, wake: Arc<dyn Wake>, token: u64) {
        let (missed, died, old) = {
            let mut target = self.0.lock();
            let missed = core::mem::take(&mut target.missed);
            (missed, target.died, target.wake.replace((Arc::clone(&wake), token)))
        };
        // What is woken, or dropped, may be foreign code: not under the lock.
        drop(old);
        if missed {
            wake.wake(token);
        }
        if died {
            wake.peer_died(token);
        }
    }

    /// Points it at nothing; notifications are dropped from here on, and its waitset may go.
    pub fn detach(&self) {
        let old = core::mem::take(&mut *self.0.lock());
        drop(old);
    }

    /// Tells the waitset that the process at the other end is dead, now and whenever the waitset changes.
    pub fn peer_died(&self) {
        let mut target = self.0.lock();
        target.died = true;
        if let Some((wake, token)) = &target.wake {
            let (wake, token) = (Arc::clone(wake), *token);
            drop(target);
            wake.peer_died(token);
        }
    }

    /// Whether nobody else holds this notifier any more.
    #[must_use]
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Wakes the waitset.
    pub fn notify(&self) {
        let mut target = self.0.lock();
        match &target.wake {
            Some((wake, token)) => {
                let (wake, token) = (Arc::clone(wake), *token);
                drop(target);
                wake.wake(token);
            }
            None => target.missed = true,
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("attached", &self.0.lock().wake.is_some()).finish()
    }
}
