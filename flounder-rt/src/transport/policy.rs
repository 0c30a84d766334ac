//! Which capabilities may leave this domain, and which may come in.
//!
//! The rule is asked by the bindings, so it is the same whatever carries the message: in band over lmp, by the monitors over
//! ump, by hand over loopback. It is about the messages of the program; what drivers and monitors hand each other when a
//! binding is made is theirs.

use core::panic::AssertUnwindSafe;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::catch_unwind;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::cap::Cap;
use crate::fork::PerProcess;
use crate::peer::Peer;

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

/// The rule of the parent is that of a forked child. If another thread of the parent was about to change it, nothing passes
/// until the child sets its own.
static POLICY: PerProcess<RwLock<Option<Arc<Policy>>>> = PerProcess::new(|parents| {
    let policy = parents.and_then(|parents| match parents.try_read() {
        Some(policy) => policy.clone(),
        None => Some(Arc::new(|_: &CapTransfer<'_>| false) as Arc<Policy>),
    });
    RwLock::new(policy)
});

/// Sets the rule for this domain: `policy` is asked about each capability and says whether it may pass. Without one, all
/// may. A message goes with all of its capabilities or not at all, and both ends learn of a refusal:
///
/// | refused | at the sender | at the receiver |
/// |---|---|---|
/// | on the way out | [`TxError::CapsRefused`](crate::TxError::CapsRefused), with what was to be given away | its error handler |
/// | on the way in | its error handler; a call fails with [`RpcError::CapsRefused`](crate::RpcError::CapsRefused) | its error handler |
///
/// It is asked on the thread of the binding, for what goes out while the message is sent, and so must be quick. Within a
/// process, it is asked for both directions.
///
/// ```
/// use flounder_rt::policy::{self, Direction};
/// // Nothing that is a directory gets out.
/// policy::set_cap_policy(|transfer| {
///     let Ok(cap) = transfer.cap.try_clone_to_owned() else { return false };
///     let is_dir = std::fs::File::from(cap).metadata().is_ok_and(|about| about.is_dir());
///     transfer.direction == Direction::Receive || !is_dir
/// });
/// # policy::clear_cap_policy();
/// ```
pub fn set_cap_policy(policy: impl Fn(&CapTransfer<'_>) -> bool + Send + Sync + 'static) {
    let old = POLICY.here().write().replace(Arc::new(policy));
    drop(old);
}

/// Lets everything pass again.
pub fn clear_cap_policy() {
    let old = POLICY.here().write().take();
    drop(old);
}

/// Whether all of these may pass. A rule that panics lets nothing pass.
pub(crate) fn allows(direction: Direction, peer: &Peer, caps: &[Cap]) -> bool {
    let Some(policy) = POLICY.here().read().clone() else { return true };
    let ask = || caps.iter().all(|cap| policy(&CapTransfer { direction, peer, cap: cap.as_fd() }));
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or(false)
}
