//! The barrier that a receiver runs before it sleeps, so that no sender misses that it sleeps.
//!
//! A sender publishes a line, then loads the sleep state of its peer; a receiver publishes that it sleeps, then loads the
//! next line. Each side needs a full barrier between its two steps, or both can miss the other's store (store buffering).
//! A fence in every send would cost more than the message, so the receiver runs both barriers: it asks the kernel for a
//! barrier on every processor that runs a registered process (`membarrier(2)`, `GLOBAL_EXPEDITED`). Processes register when
//! they first create a channel. A peer that does not register harms only its own messages: the receiver sees them when it
//! wakes for another reason.
//!
//! If the kernel lacks the system call, senders fence: [`senders_fence`] is true. The kernel may also refuse a barrier to a
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
/// True for good once it is set.
const FENCES: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Registers this process for barriers. Called whenever a channel over shared memory is made; idempotent and cheap.
pub fn register() {
    // SYNC mode: every thread would find the same value, and no other memory depends on it.
    if MODE.load(Ordering::Relaxed) == UNKNOWN {
        let registered = membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
        let mode = if registered { EXPEDITED } else { FENCES };
        // Another thread may have registered, and have been refused a barrier, meanwhile: `FENCES` stays.
        let _ = MODE.compare_exchange(UNKNOWN, mode, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Returns true if the kernel runs no barriers on other processors for this process. Its ends then fence when they send, and
/// request the same of their peers.
#[inline]
#[must_use]
pub fn senders_fence() -> bool {
    MODE.load(Ordering::Relaxed) != EXPEDITED
}

/// Calls `arm`, which publishes that receivers sleep, and runs the barrier. After the barrier, every line published before it
/// is visible here, and every later send sees the sleep state.
///
/// If the kernel refuses the barrier, `arm` is called a second time, with [`senders_fence`] true. Receivers then publish that
/// their peers must fence. A receiver whose peer may not have read that yet must limit its sleep.
pub fn arm_then_barrier(mut arm: impl FnMut()) {
    loop {
        // Before `arm`: no later change of the mode by another thread means that `arm` has seen it.
        let fences = senders_fence();
        arm();
        fence(Ordering::SeqCst);
        if fences || membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED) {
            return;
        }
        // SYNC mode: this thread reads it in `arm`; other threads are refused a barrier themselves.
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
