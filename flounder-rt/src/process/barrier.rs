//! The barrier between a receiver that goes to sleep and the senders that might miss it.
//!
//! A sender publishes a line, then loads the sleep state of its peer; a receiver publishes that it sleeps, then loads the
//! next line. Each side needs a full barrier between its two steps, or both can miss the other's store (store buffering).
//! A fence in every send would cost more than the message, so the receiver runs both barriers: it asks the kernel for a
//! barrier on every processor that runs a registered process (`membarrier(2)`, `GLOBAL_EXPEDITED`). Processes register when
//! they first create a channel. A peer that does not register harms only its own messages: the receiver sees them when it
//! wakes for another reason.
//!
//! If the kernel has no such call, senders fence: [`senders_fence`] is true. The kernel may also refuse a barrier to a
//! process that has registered (a seccomp filter installed later, no memory). From the first refusal on, [`senders_fence`]
//! is true, and [`arm_then_barrier`] arms again: the channels then ask their peers to fence. A channel whose peer may not
//! have read that request yet limits the sleep ([`Channel::sleep_limit`]).
//!
//! [`Channel::sleep_limit`]: crate::channel::Channel::sleep_limit

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory. Its only unsafe operation is the system call `membarrier`, which takes no pointers.

use core::sync::atomic::{AtomicU8, Ordering, fence};

const UNKNOWN: u8 = 0;
const EXPEDITED: u8 = 1;
/// Final: no process leaves this mode.
const FENCES: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Prepares this process; called whenever a channel over shared memory is made. Idempotent and cheap.
pub fn register() {
    // SYNC mode: every thread would find the same value, and no other memory depends on it.
    if MODE.load(Ordering::Relaxed) == UNKNOWN {
        let registered = membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
        let mode = if registered { EXPEDITED } else { FENCES };
        // Another thread may have registered, and have been refused a barrier, meanwhile: `FENCES` stays.
        let _ = MODE.compare_exchange(UNKNOWN, mode, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Returns true if this process cannot have barriers run on other processors: its ends fence when they send, and ask their
/// peers to do so.
#[inline]
#[must_use]
pub fn senders_fence() -> bool {
    MODE.load(Ordering::Relaxed) != EXPEDITED
}

/// Calls `arm`, which publishes that receivers sleep, and runs the barrier. After it, every line published before is visible
/// here, and every later send sees the sleepers.
///
/// If the kernel refuses the barrier, `arm` is called a second time, with [`senders_fence`] true. The receivers then have to
/// publish that their peers must fence; those whose peers may not have seen it must not sleep without a limit.
pub fn arm_then_barrier(mut arm: impl FnMut()) {
    loop {
        // Before `arm`: no later change of the mode by another thread means that `arm` has seen it.
        let fences = senders_fence();
        arm();
        fence(Ordering::SeqCst);
        if fences || membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED) {
            return;
        }
        // SYNC mode: this thread sees it in `arm`; other threads find out by themselves.
        MODE.store(FENCES, Ordering::Relaxed);
    }
}

/// Returns true if the kernel carried the command out.
#[must_use]
fn membarrier(command: libc::c_int) -> bool {
    // SAFETY:
    // * `membarrier` takes a command, flags and a processor number by value and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
