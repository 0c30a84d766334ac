//! The barrier between a receiver that goes to sleep and the senders that might miss it.
//!
//! A sender publishes a line, then looks whether its peer is asleep; a receiver publishes that it is asleep, then looks
//! for a line. On every processor of today each side needs a full barrier between its two steps, or both can miss the
//! other (store buffering). A fence in every send would cost more than the message. So the sleeper pays for both: it
//! asks the kernel to run a barrier on every processor that runs a registered process (`membarrier(2)`,
//! `GLOBAL_EXPEDITED`), and processes register when they first make a channel. A peer that does not register harms only
//! its own messages: they are seen when the receiver wakes for another reason.
//!
//! Where the kernel has no such call, senders fence: [`senders_fence`] tells.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory. Its only unsafe operation is the system call `membarrier`, which takes no pointers.

use core::sync::atomic::{AtomicU8, Ordering, fence};

const UNKNOWN: u8 = 0;
const EXPEDITED: u8 = 1;
const FENCES: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Prepares this process; called whenever a channel over shared memory is made. Idempotent and cheap.
pub fn register() {
    // SYNC mode: the value is a fact about the kernel, the same whoever finds it out; no other memory hangs on it.
    if MODE.load(Ordering::Relaxed) == UNKNOWN {
        let registered = membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
        MODE.store(if registered { EXPEDITED } else { FENCES }, Ordering::Relaxed);
    }
}

/// Whether a sender of this process must put a `SeqCst` fence between publishing and looking for a sleeper.
#[inline]
#[must_use]
pub fn senders_fence() -> bool {
    MODE.load(Ordering::Relaxed) != EXPEDITED
}

/// The sleeper's barrier: after it, every line published before is visible here, and every later send sees the sleeper.
///
/// Returns whether it reached the other processors; where it did not, only senders that fence are covered.
pub fn barrier() -> bool {
    fence(Ordering::SeqCst);
    !senders_fence() && membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED)
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY:
    // * `membarrier` takes a command, flags and a processor number by value and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_barrier_reaches_other_processors_or_senders_fence() {
        register();
        assert_ne!(barrier(), senders_fence());
    }
}
