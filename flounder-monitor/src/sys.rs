//! System calls for which no crate has a safe function: the pidfd of a socket's peer, the signals of a thread, and functions
//! that run at the end of the process.

#![allow(unsafe_code)]
//! # Safety
//! Each function makes one system call on memory of its own, and keeps no pointer to it.

use core::mem::MaybeUninit;
use core::ptr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `SO_PEERPIDFD`, which libc does not define on all targets.
const SO_PEERPIDFD: libc::c_int = 77;

/// `SO_PASSRIGHTS`, which libc does not define on all targets.
const SO_PASSRIGHTS: libc::c_int = 83;

/// Returns a pidfd of the process that connected, or listened, at the other end of a socket
/// (`SO_PEERPIDFD`).
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
    // * The call has succeeded, so the kernel has just installed `fd` for this process, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Credentials of the process at the other end of a socket, as the kernel returns them. Each number may stand for "not visible
/// from here".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// 0 if the process is not visible in the PID namespace of this process.
    pub(crate) pid: libc::pid_t,
    /// The overflow uid if the user has no number in the user namespace of this process.
    pub(crate) uid: libc::uid_t,
    /// The overflow gid if the group has no number in the user namespace of this process.
    pub(crate) gid: libc::gid_t,
}

/// Returns the credentials of the process that connected, or listened, at the other end of a socket
/// (`SO_PEERCRED`).
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

/// Returns true if this program gained privileges by being started (set-user-ID, file capabilities):
/// its environment comes from a user with fewer privileges.
pub(crate) fn is_secure() -> bool {
    // SAFETY:
    // * The call takes a number and reads memory of libc's; it has no further requirements.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Makes the kernel refuse messages with descriptors to this socket, and to those that it accepts
/// (`SO_PASSRIGHTS`).
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

/// Registers `handler` to run when the process ends normally: at a return from `main`, or by
/// `exit`.
pub(crate) fn at_exit(handler: extern "C" fn()) {
    // SAFETY:
    // * libc keeps the pointer for the life of the process; a function lives as long.
    // * A failure (no memory for the entry) leaves `handler` uncalled, as an end by a signal does.
    let _ = unsafe { libc::atexit(handler) };
}

/// Blocks all signals in the calling thread, so that the kernel delivers those of the process to
/// the program's threads.
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

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn socket_has_a_pidfd_of_its_peer() {
        let (a, _b) = UnixStream::pair().expect("sockets");
        let pidfd = peer_pidfd(a.as_fd()).expect("the kernel is recent");
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let none = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("poll");
        assert_eq!(none, 0, "this process lives");
    }

    #[test]
    fn file_has_no_peer() {
        let file = std::fs::File::open("/dev/null").expect("null");
        assert_eq!(
            peer_pidfd(file.as_fd()).expect_err("no socket").raw_os_error(),
            Some(libc::ENOTSOCK)
        );
    }
}
