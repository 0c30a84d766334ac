//! Waits on an epoll set with a timeout in nanoseconds.
//!
//! `epoll_pwait2` (Linux 5.11) takes such a timeout; `epoll_wait` and `epoll_pwait` round to milliseconds. Sandboxes with an
//! older list of system calls refuse `epoll_pwait2` with `ENOSYS` or `EPERM`. There the wait is two calls: `ppoll` on the epoll
//! set, which is as precise, then `epoll_pwait` with a timeout of zero.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory and no descriptor. Its only unsafe operation is the system call `epoll_pwait`, which rustix
//! does not offer where it offers `epoll_pwait2`.

use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::event::epoll::{self, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Number of events that one wait returns at most.
const EVENTS: usize = 64;

/// True once this process was refused `epoll_pwait2`.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Waits for events, at most for `timeout`, and passes data and flags of each event to `found`.
///
/// # Errors
/// The errors of `epoll_wait(2)`, including `EINTR`.
pub(super) fn wait(
    epoll: BorrowedFd<'_>,
    timeout: Option<&Timespec>,
    mut found: impl FnMut(u64, EventFlags),
) -> Result<(), Errno> {
    // SYNC refused: a hint; whoever does not see it yet is refused as well.
    if !REFUSED.load(Ordering::Relaxed) {
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        match epoll::wait(epoll, &mut events, timeout) {
            Ok((events, _)) => {
                events.iter().for_each(|event| found(event.data.u64(), event.flags));
                return Ok(());
            }
            // A valid wait on a valid set fails with neither: a filter has refused the call.
            Err(Errno::NOSYS | Errno::PERM) => REFUSED.store(true, Ordering::Relaxed),
            Err(error) => return Err(error),
        }
    }
    if timeout.is_none_or(|timeout| timeout.tv_sec != 0 || timeout.tv_nsec != 0) {
        poll(&mut [PollFd::new(&epoll, PollFlags::IN)], timeout)?;
    }
    take_ready(epoll, found)
}

/// Passes on what is ready now.
fn take_ready(epoll: BorrowedFd<'_>, mut found: impl FnMut(u64, EventFlags)) -> Result<(), Errno> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    let length = libc::c_int::try_from(EVENTS).expect("64 fits");
    // SAFETY:
    // * `events` is live, writable and has `length` elements of the type that the call fills.
    // * The signal mask is null, which leaves the mask as it is.
    let count = unsafe {
        libc::epoll_pwait(epoll.as_raw_fd(), events.as_mut_ptr(), length, 0, ptr::null())
    };
    let Ok(count) = usize::try_from(count) else {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO));
    };
    for event in events.iter().take(count) {
        let (data, flags) = (event.u64, event.events);
        found(data, EventFlags::from_bits_retain(flags));
    }
    Ok(())
}
