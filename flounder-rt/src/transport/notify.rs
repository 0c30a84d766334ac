//! Waking a waitset from anywhere.

use core::fmt;
use std::sync::Arc;

use crate::fork::ForkGeneration;
use crate::sync::{Mutex, MutexGuard};
pub use crate::waitset::{Gone, Wake};

/// Wakes whatever waitset serves one end of a channel.
///
/// Cheap to clone, usable from any thread. The waitset behind it may change; before there is one, a notification is kept.
/// In a forked child, one of the parent's does nothing.
#[derive(Clone, Default)]
pub struct Notifier(Arc<Inner>);

struct Inner {
    /// Asked before the lock is taken: in a forked child nobody may be there to let go of it.
    born: ForkGeneration,
    target: Mutex<Target>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { born: ForkGeneration::now(), target: Mutex::default() }
    }
}

#[derive(Default)]
struct Target {
    wake: Option<(Arc<dyn Wake>, u64)>,
    missed: bool,
    gone: Option<Gone>,
}

impl Notifier {
    /// One that wakes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Points it at `wake`; a notification that came before goes there now.
    pub fn retarget(&self, wake: Arc<dyn Wake>, token: u64) {
        let (missed, gone, old) = {
            let Some(mut target) = self.target() else { return };
            let missed = core::mem::take(&mut target.missed);
            (missed, target.gone, target.wake.replace((Arc::clone(&wake), token)))
        };
        // What is woken, or dropped, may be foreign code: not under the lock.
        drop(old);
        if missed {
            wake.wake(token);
        }
        if let Some(gone) = gone {
            wake.peer_gone(token, gone);
        }
    }

    /// Points it at nothing; notifications are dropped from here on, and its waitset may go.
    pub fn detach(&self) {
        let old = self.target().map(|mut target| core::mem::take(&mut *target));
        drop(old);
    }

    /// Tells the waitset that there is nobody at the other end, now and whenever the waitset changes: for a broker that has
    /// seen the process die, or was [told](crate::channel::Link::closed) of the close. What comes first counts.
    pub fn peer_gone(&self, gone: Gone) {
        let Some(mut target) = self.target() else { return };
        let gone = *target.gone.get_or_insert(gone);
        if let Some((wake, token)) = &target.wake {
            let (wake, token) = (Arc::clone(wake), *token);
            drop(target);
            wake.peer_gone(token, gone);
        }
    }

    /// Returns whether it was made in this process, and not in a parent that forked.
    #[must_use]
    pub(crate) fn is_here(&self) -> bool {
        self.0.born.is_here()
    }

    fn target(&self) -> Option<MutexGuard<'_, Target>> {
        self.is_here().then(|| self.0.target.lock())
    }

    /// Whether nobody else holds this notifier any more.
    #[must_use]
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Wakes the waitset.
    pub fn notify(&self) {
        let Some(mut target) = self.target() else { return };
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
        f.debug_struct("Notifier")
            .field("attached", &self.target().is_some_and(|target| target.wake.is_some()))
            .finish()
    }
}
