//! Which capabilities may travel by way of the monitors.
//!
//! Drivers without capabilities of their own (ump) have the monitors carry them, and so a domain can say which it lets
//! out and in. lmp carries them in band, by the kernel; what is said here does not concern it.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use flounder_rt::Peer;
use flounder_rt::cap::Cap;
use parking_lot::RwLock;

/// Which way a capability is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Out of this domain.
    Send,
    /// Into it.
    Receive,
}

/// A capability at the border.
#[derive(Debug, Clone, Copy)]
pub struct CapTransfer<'a> {
    /// Which way.
    pub direction: Direction,
    /// The other domain.
    pub peer: &'a Peer,
    /// The capability.
    pub cap: BorrowedFd<'a>,
}

type Policy = dyn Fn(&CapTransfer<'_>) -> bool + Send + Sync;

static POLICY: RwLock<Option<Arc<Policy>>> = RwLock::new(None);

/// Sets the rule for this domain: `policy` is asked about each capability and says whether it may pass. Without one, all
/// may. The message of a capability that may not is lost, and both ends learn of it.
///
/// It is asked on the sender's thread, or on the monitor's thread for what comes in; it must be quick, and must not wait
/// for the monitor.
///
/// ```
/// use flounder_monitor::policy::{self, Direction};
/// // Nothing that is a directory gets out.
/// policy::set_cap_policy(|transfer| {
///     let Ok(cap) = transfer.cap.try_clone_to_owned() else { return false };
///     let is_dir = std::fs::File::from(cap).metadata().is_ok_and(|about| about.is_dir());
///     transfer.direction == Direction::Receive || !is_dir
/// });
/// # policy::clear_cap_policy();
/// ```
pub fn set_cap_policy(policy: impl Fn(&CapTransfer<'_>) -> bool + Send + Sync + 'static) {
    let old = POLICY.write().replace(Arc::new(policy));
    drop(old);
}

/// Lets everything pass again.
pub fn clear_cap_policy() {
    let old = POLICY.write().take();
    drop(old);
}

/// Whether all of these may pass. A rule that panics lets nothing pass.
pub(crate) fn allows(direction: Direction, peer: &Peer, caps: &[Cap]) -> bool {
    let Some(policy) = POLICY.read().clone() else { return true };
    let ask = || caps.iter().all(|cap| policy(&CapTransfer { direction, peer, cap: cap.as_fd() }));
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(ask)).unwrap_or(false)
}
