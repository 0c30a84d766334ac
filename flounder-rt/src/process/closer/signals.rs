//! Starting a thread that takes no signals.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory. It passes pointers to two signal sets on its stack to libc, for the duration of the calls.

use core::mem::MaybeUninit;
use core::ptr;

/// Runs `f` with all signals blocked in the calling thread: a thread that `f` starts has them blocked from its first
/// instruction.
pub(super) fn while_blocked<T>(f: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY:
    // * The pointer is to memory of the right type and size, which the call fills and keeps no pointer to.
    let filled = unsafe { libc::sigfillset(all.as_mut_ptr()) };
    let blocked = filled == 0
        // SAFETY:
        // * `all` was filled by the call above, which succeeded; `before` is memory of the right type and size. The call
        //   reads the one, writes the other, and keeps no pointer.
        && unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) }
            == 0;
    let value = f();
    if blocked {
        // SAFETY:
        // * `before` was filled by the call above, which succeeded; where the old mask would go is null, which means nowhere.
        let _ =
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
    value
}
