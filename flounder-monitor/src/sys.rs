//! System calls that no safe crate has: the pidfd of a socket's peer, the signals of a thread, and what happens at the end
//! of the process.

#![allow(unsafe_code)]
//! # Safety
//! This module owns one descriptor while this process is the root: that of the runtime directory, with its lock
//! ([`hold`], [`release`]). Its number is in [`HELD`], or -1 there; whoever swaps it out owns it. The handlers that it
//! registers with libc are static functions that only make system calls, so they are safe in a forked child of a process
//! with threads and after `main`.

use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Once;

/// `SO_PEERPIDFD`, which libc does not name everywhere.
const SO_PEERPIDFD: libc::c_int = 77;

/// `SO_PASSRIGHTS`, which libc does not name everywhere.
const SO_PASSRIGHTS: libc::c_int = 83;

/// Name of the root's socket in the runtime directory.
pub(crate) const ROOT_SOCKET: &std::ffi::CStr = c"root.sock";

/// Name of the file, in the runtime directory, that says whose the names are.
pub(crate) const NAMES: &std::ffi::CStr = c"names";

/// The directory of which this process is the root, or -1.
static HELD: AtomicI32 = AtomicI32::new(-1);

/// Inode of this process's socket there.
static SOCKET: AtomicU64 = AtomicU64::new(0);

/// Whether processes besides this one have names: the next root needs to know.
static OTHERS_HAVE_NAMES: AtomicBool = AtomicBool::new(false);

/// A descriptor of the process at the other end of a socket that connected, or that listened (`SO_PEERPIDFD`).
///
/// # Errors
/// `ENOPROTOOPT` where the kernel has no such option; another if the process is gone.
pub(crate) fn peer_pidfd(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut fd: RawFd = -1;
    let mut length = libc::socklen_t::try_from(size_of::<RawFd>()).expect("4 fits");
    // SAFETY:
    // * `fd` and `length` are live, writable and of the types that the option fills; `length` is the size of `fd`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut fd).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY:
    // * The call has succeeded, so the kernel has just installed `fd` for this process, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A process at the other end of a socket, as the kernel gave it: plain numbers, each of which may stand for "not visible
/// from here".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// 0 if the PID namespace of this process does not show the process.
    pub(crate) pid: libc::pid_t,
    /// The overflow user if the user namespace of this process has no number for the user.
    pub(crate) uid: libc::uid_t,
    /// Likewise.
    pub(crate) gid: libc::gid_t,
}

/// Returns who connected, or listened, at the other end of a socket (`SO_PEERCRED`).
///
/// rustix makes a `Pid`, which is never 0, of a number that is 0 for a process of another PID namespace.
///
/// # Errors
/// `ENOTSOCK` and the like: no local socket.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
    let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).expect("12 fits");
    // SAFETY:
    // * `found` and `length` are live, writable and of the types that the option fills; `length` is the size of `found`,
    //   which consists of integers, so any bytes are a value of it.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    };
    match result {
        0 => Ok(Credentials { pid: found.pid, uid: found.uid, gid: found.gid }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether this program gained privileges by being started (set-user-ID, file capabilities): its environment is that of
/// somebody who has less.
pub(crate) fn is_secure() -> bool {
    // SAFETY:
    // * The call takes a number and reads memory of libc's; it has no further requirements.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Has the kernel refuse messages with descriptors to this socket, and to those that it accepts (`SO_PASSRIGHTS`).
///
/// # Errors
/// `ENOPROTOOPT` where the kernel has no such option (before Linux 6.16).
pub(crate) fn refuse_descriptors(socket: BorrowedFd<'_>) -> io::Result<()> {
    let no: libc::c_int = 0;
    let length = libc::socklen_t::try_from(size_of_val(&no)).expect("4 fits");
    // SAFETY:
    // * `no` is live and of the type that the option takes; `length` is its size. The call keeps no pointer to it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw const no).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps the runtime directory until it is [`release`]d or the process ends. At a normal end the root's socket, of this
/// inode, is unlinked first, and the names if nobody else has one.
///
/// A forked child gives its copy up at once: the lock would otherwise outlive the root.
pub(crate) fn hold(directory: OwnedFd, socket: u64) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY:
        // * libc keeps the pointer for the life of the process; `leave` is a static function.
        // A failure leaves a socket behind, which the next root removes.
        let _ = unsafe { libc::atexit(leave) };
        // SAFETY:
        // * libc keeps the pointer for the life of the process; `forked` is a static function that makes one system call.
        // A failure leaves the lock with children that are forked and never run a program.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(forked)) };
    });
    SOCKET.store(socket, Ordering::Relaxed);
    // SYNC held: pairs with the swaps in `release` and `leave`, which read the number above.
    let before = HELD.swap(directory.into_raw_fd(), Ordering::AcqRel);
    debug_assert_eq!(before, -1, "a process that is root is not elected");
}

/// Takes the lock on what [`hold`] keeps, unless another process has it. A root that took the office over from one that is
/// stopped has no lock until that one lets go.
pub(crate) fn lock_held() {
    let held = HELD.load(Ordering::Acquire);
    if held >= 0 {
        // SAFETY:
        // * The descriptor is owned by this module; only the thread of the root, which calls this, releases it before the
        //   end of the process.
        let _ = unsafe { libc::flock(held, libc::LOCK_EX | libc::LOCK_NB) };
    }
}

/// Says whether processes besides this one have names.
pub(crate) fn set_others_have_names(have: bool) {
    OTHERS_HAVE_NAMES.store(have, Ordering::Relaxed);
}

/// Gives up what [`hold`] keeps: removes the root's socket, then lets go of the lock.
pub(crate) fn release() {
    let held = HELD.swap(-1, Ordering::AcqRel);
    if held >= 0 {
        // SAFETY:
        // * The descriptor was owned by this module, and its number has just been taken out of `HELD`.
        let directory = unsafe { OwnedFd::from_raw_fd(held) };
        remove_socket(directory.as_raw_fd());
    }
}

/// Removes the root's socket if it is still this process's. One that stays is replaced by the next root. False if another
/// process is the root.
fn remove_socket(directory: RawFd) -> bool {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY:
    // * `directory` is open, the path is a constant C string, and `status` is memory of the right type and size.
    let found = unsafe {
        libc::fstatat(
            directory,
            ROOT_SOCKET.as_ptr(),
            status.as_mut_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    if found != 0 {
        return true;
    }
    // SAFETY:
    // * The call has succeeded, so it has filled `status`.
    let inode = unsafe { status.assume_init_ref() }.st_ino;
    if inode != SOCKET.load(Ordering::Relaxed) {
        return false;
    }
    // SAFETY:
    // * `directory` is open, and the path is a constant C string.
    let _ = unsafe { libc::unlinkat(directory, ROOT_SOCKET.as_ptr(), 0) };
    true
}

/// Blocks all signals in the calling thread: those of the process go to threads of the program, which expects them there.
pub(crate) fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY:
    // * The pointer is to memory of the right type and size, which the call fills and keeps no pointer to.
    if unsafe { libc::sigfillset(all.as_mut_ptr()) } != 0 {
        return;
    }
    // SAFETY:
    // * The set was filled by the call above; where the old mask would go is null, which means nowhere.
    let _ = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), ptr::null_mut()) };
}

extern "C" fn leave() {
    // The directory is closed by the end of the process, and the lock with it.
    let held = HELD.swap(-1, Ordering::AcqRel);
    if held >= 0 && remove_socket(held) && !OTHERS_HAVE_NAMES.load(Ordering::Relaxed) {
        // SAFETY:
        // * `held` is a directory that this module owns and never closes here; the path is a constant C string.
        let _ = unsafe { libc::unlinkat(held, NAMES.as_ptr(), 0) };
    }
}

extern "C" fn forked() {
    let held = HELD.swap(-1, Ordering::AcqRel);
    if held >= 0 {
        // SAFETY:
        // * The child's copy of the descriptor was owned by this module, and its number has just been taken out of `HELD`.
        let _ = unsafe { libc::close(held) };
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_tells_of_the_process_behind_it() {
        let (a, _b) = UnixStream::pair().expect("sockets");
        let pidfd = peer_pidfd(a.as_fd()).expect("the kernel is recent");
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let none = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("poll");
        assert_eq!(none, 0, "this process lives");
    }

    #[test]
    fn what_is_no_socket_has_no_peer() {
        let file = std::fs::File::open("/dev/null").expect("null");
        assert_eq!(
            peer_pidfd(file.as_fd()).expect_err("no socket").raw_os_error(),
            Some(libc::ENOTSOCK)
        );
    }
}
