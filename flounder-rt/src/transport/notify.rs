//! Waking the waitset of a channel from any thread.

use core::fmt;
use std::sync::Arc;

use crate::fork::ForkGeneration;
use crate::sync::{Mutex, MutexGuard};
pub use crate::waitset::{Gone, Wake};

/// Wakes the waitset that serves one end of a channel.
///
/// Cheap to clone, usable from any thread. The target may change. A notification without a target
/// is kept until one is set. In a forked child, a notifier of the parent does nothing.
#[derive(Clone, Default)]
pub struct Notifier(Arc<Inner>);

struct Inner {
    /// Checked before the lock is taken: in a forked child the lock may be held by a thread that
    /// the child does not have.
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
    /// Creates a notifier without a target.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the target, and wakes it if a notification was kept.
    pub fn retarget(&self, wake: Arc<dyn Wake>, token: u64) {
        let (missed, gone, old) = {
            let Some(mut target) = self.target() else { return };
            let missed = core::mem::take(&mut target.missed);
            (missed, target.gone, target.wake.replace((Arc::clone(&wake), token)))
        };
        // The target may be user code, so it is called and dropped without the lock.
        drop(old);
        if missed {
            wake.wake(token);
        }
        if let Some(gone) = gone {
            wake.peer_gone(token, gone);
        }
    }

    /// Removes the target: later notifications are dropped, and the waitset may be dropped.
    pub fn detach(&self) {
        let old = self.target().map(|mut target| core::mem::take(&mut *target));
        drop(old);
    }

    /// Reports to the waitset that the peer is gone, now and whenever the target changes. Called by
    /// a broker whose process at the other end has died, or which has [received](crate::channel::Link::closed)
    /// the close. Only the first report has an effect.
    pub fn peer_gone(&self, gone: Gone) {
        let Some(mut target) = self.target() else { return };
        let gone = *target.gone.get_or_insert(gone);
        if let Some((wake, token)) = &target.wake {
            let (wake, token) = (Arc::clone(wake), *token);
            drop(target);
            wake.peer_gone(token, gone);
        }
    }

    /// Returns true if it was created in this process, and not in a parent that forked.
    #[must_use]
    pub(crate) fn is_here(&self) -> bool {
        self.0.born.is_here()
    }

    fn target(&self) -> Option<MutexGuard<'_, Target>> {
        self.is_here().then(|| self.0.target.lock())
    }

    /// Returns true if this is the only clone of the notifier.
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
