//! Rules of the program about the capabilities that leave and enter this domain.
//!
//! Bindings ask the rule, so it applies to every driver: lmp, where capabilities travel in band; ump,
//! where the monitors carry them; loopback, where they stay in memory. It applies to messages of the
//! program, not to the descriptors that drivers and monitors exchange while a binding is made.

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
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
    /// Direction in which it moves.
    pub direction: Direction,
    /// The other domain.
    pub peer: &'a Peer,
    /// The capability.
    pub cap: BorrowedFd<'a>,
}

type Policy = dyn Fn(&CapTransfer<'_>) -> bool + Send + Sync;

/// A forked child inherits the rule of its parent. If another thread of the parent was changing the rule during the fork,
/// nothing passes in the child until it sets a rule.
static POLICY: PerProcess<RwLock<Option<Arc<Policy>>>> = PerProcess::new(|parents| {
    let policy = parents.and_then(|parents| match parents.try_read() {
        Some(policy) => policy.clone(),
        None => Some(Arc::new(|_: &CapTransfer<'_>| false) as Arc<Policy>),
    });
    RwLock::new(policy)
});

/// True once a rule was set: most programs have none, and need no lock to see that.
static MAY_BE_SET: AtomicBool = AtomicBool::new(false);

/// Sets the rule for this domain: `policy` is called for each capability and returns true if it may pass. Without a rule, all
/// capabilities pass. If one capability of a message is refused, the message is lost, which is reported at both ends:
///
/// | refused | at the sender | at the receiver |
/// |---|---|---|
/// | on the way out | [`TxError::CapsRefused`](crate::TxError::CapsRefused), which returns the capabilities | its error handler |
/// | on the way in | its error handler; a call fails with [`RpcError::CapsRefused`](crate::RpcError::CapsRefused) | its error handler |
///
/// The rule runs on the thread of the binding, for outgoing capabilities during the send, so it must be quick. Within a
/// process, it is called for both directions.
///
/// ```
/// use flounder_rt::policy::{self, Direction};
/// // No directory leaves this domain.
/// policy::set_cap_policy(|transfer| {
///     let Ok(cap) = transfer.cap.try_clone_to_owned() else { return false };
///     let is_dir = std::fs::File::from(cap).metadata().is_ok_and(|about| about.is_dir());
///     transfer.direction == Direction::Receive || !is_dir
/// });
/// # policy::clear_cap_policy();
/// ```
pub fn set_cap_policy(policy: impl Fn(&CapTransfer<'_>) -> bool + Send + Sync + 'static) {
    // SYNC policy: a send that happens after this call sees the flag, and the lock orders the rule. The flag is set before the
    // lock is taken, so that a child that is forked between the two asks for the rule, and finds it locked.
    MAY_BE_SET.store(true, Ordering::Relaxed);
    let old = POLICY.here().write().replace(Arc::new(policy));
    drop(old);
}

/// Removes the rule: every capability may pass again.
pub fn clear_cap_policy() {
    let old = POLICY.here().write().take();
    drop(old);
}

/// Returns true if all of `caps` may pass. A rule that panics lets nothing pass.
#[inline]
pub(crate) fn allows(direction: Direction, peer: &Peer, caps: &[Cap]) -> bool {
    // SYNC policy: pairs with `set_cap_policy`.
    if !MAY_BE_SET.load(Ordering::Relaxed) {
        return true;
    }
    let Some(policy) = POLICY.here().read().clone() else { return true };
    let ask = || caps.iter().all(|cap| policy(&CapTransfer { direction, peer, cap: cap.as_fd() }));
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or(false)
}
