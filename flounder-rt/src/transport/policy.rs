//! Rules of the program about the capabilities that leave and enter this domain.
//!
//! Bindings ask the rule, so it holds whatever carries the message: lmp in band, the monitors for
//! ump, memory for loopback. It covers the messages of the program, not the descriptors that
//! drivers and monitors exchange while a binding is made.

use core::panic::AssertUnwindSafe;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::catch_unwind;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::cap::Cap;
use crate::fork::PerProcess;
use crate::peer::Peer;

/// Direction in which a capability moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Out of this domain.
    Send,
    /// Into this domain.
    Receive,
}

/// A capability that is about to leave or enter this domain.
#[derive(Debug, Clone, Copy)]
pub struct CapTransfer<'a> {
    /// Its direction.
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

/// Sets the rule for this domain: `policy` is called for each capability and returns true if it may pass. Without a rule, all
/// may. A message goes with all of its capabilities or not at all, and a refusal is reported at both ends:
///
/// | refused | at the sender | at the receiver |
/// |---|---|---|
/// | on the way out | [`TxError::CapsRefused`](crate::TxError::CapsRefused), with what was to be given away | its error handler |
/// | on the way in | its error handler; a call fails with [`RpcError::CapsRefused`](crate::RpcError::CapsRefused) | its error handler |
///
/// The rule runs on the thread of the binding, for outgoing capabilities during the send, so it must be quick. Within a
/// process, it is called for both directions.
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

/// Removes the rule: every capability may pass again.
pub fn clear_cap_policy() {
    let old = POLICY.here().write().take();
    drop(old);
}

/// Returns true if all of `caps` may pass. A rule that panics lets nothing pass.
pub(crate) fn allows(direction: Direction, peer: &Peer, caps: &[Cap]) -> bool {
    let Some(policy) = POLICY.here().read().clone() else { return true };
    let ask = || caps.iter().all(|cap| policy(&CapTransfer { direction, peer, cap: cap.as_fd() }));
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or(false)
}
