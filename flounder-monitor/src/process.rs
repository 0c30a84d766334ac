//! Processes as the kernel knows them.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use flounder_rt::Peer;
use flounder_rt::account::{Account, ProcessId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::sys;

/// A pidfd of the process at the other end of a socket, whose number was `pid` when it connected or listened.
pub(crate) fn process_of(socket: BorrowedFd<'_>, pid: Pid) -> io::Result<OwnedFd> {
    match sys::peer_pidfd(socket) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => open(socket, pid),
        result => result,
    }
}

/// On kernels before 6.5. The number may have gone to another process in the meantime; but then the socket has ended.
fn open(socket: BorrowedFd<'_>, pid: Pid) -> io::Result<OwnedFd> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    if has(socket, PollFlags::HUP | PollFlags::RDHUP) {
        return Err(Errno::SRCH.into());
    }
    Ok(process)
}

/// The account of the process of a pidfd.
pub(crate) fn account_of(process: &OwnedFd, peer: &Peer) -> rustix::io::Result<Account> {
    let inode = fstat(process)?.st_ino;
    Ok(Account::of(ProcessId { pid: Some(peer.pid), uid: Some(peer.uid), inode }))
}

/// Whether the process of a pidfd is dead.
pub(crate) fn is_dead(process: BorrowedFd<'_>) -> bool {
    has(process, PollFlags::IN)
}

fn has(fd: BorrowedFd<'_>, wanted: PollFlags) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, wanted)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let found = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&now)));
    found.is_ok_and(|found| found > 0) && fds[0].revents().intersects(wanted)
}

/// A number that nobody can guess.
pub(crate) fn random_number() -> Result<u64, Errno> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_dead_process_is_known_before_it_is_reaped() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat runs");
        let pid = Pid::from_child(&child);
        let process = pidfd_open(pid, PidfdFlags::empty()).expect("it lives");
        assert!(!is_dead(process.as_fd()));
        drop(child.stdin.take());
        let mut fds = [PollFd::new(&process, PollFlags::IN)];
        let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
        poll(&mut fds, Some(&patience)).expect("poll");
        assert!(is_dead(process.as_fd()));
        child.wait().expect("it can be reaped");
    }
}
