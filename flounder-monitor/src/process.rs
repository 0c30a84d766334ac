//! Processes as the kernel knows them.

use core::cell::Cell;
use core::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::{fs, io};

use flounder_rt::Peer;
use flounder_rt::account::{Account, ProcessId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::sys::{self, Credentials};

/// What stands for users and groups without a number, unless the system is set otherwise.
const DEFAULT_OVERFLOW_ID: u32 = 65534;

/// Stands for a process without a number in messages between monitors.
const NO_PID: u32 = 0;

/// Stands for a user or group without a number in messages between monitors. The kernel gives it to nobody.
const NO_ID: u32 = u32::MAX;

impl Credentials {
    /// Returns what of it can be believed.
    pub(crate) fn peer(self) -> Peer {
        let pid = u32::try_from(self.pid).ok().filter(|pid| *pid != NO_PID);
        Peer::process(pid, known_id(self.uid, "uid"), known_id(self.gid, "gid"))
    }
}

impl Credentials {
    /// Returns the same with a user that nobody has, if it cannot be told which user it is: what a process has is counted
    /// for its user, and who may come in is decided by it.
    pub(crate) fn or_nobody(self) -> Self {
        let is_known = self.uid == own_uid() || !is_unknown_uid(self.uid);
        Self { uid: if is_known { self.uid } else { NO_ID }, ..self }
    }
}

/// The user of this process.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The numbers of a peer in a message: process, user, group.
pub(crate) fn to_wire(peer: &Peer) -> (u32, u32, u32) {
    let id = |id: Option<u32>| id.unwrap_or(NO_ID);
    (peer.pid().unwrap_or(NO_PID), id(peer.uid()), id(peer.gid()))
}

thread_local! {
    /// Which numbers in messages of the root mean the same to this thread's process.
    static SHARED_NAMESPACES: Cell<SharedNamespaces> = const { Cell::new(SharedNamespaces { pids: true, ids: true }) };
}

#[derive(Debug, Clone, Copy)]
struct SharedNamespaces {
    /// Those of processes: the root is in the same PID namespace.
    pids: bool,
    /// Those of users and groups: the root is in the same user namespace.
    ids: bool,
}

/// Finds out which numbers in messages of the root, from now on, mean the same to this process. A root that is not visible
/// from here names processes that are not visible either; its user namespace cannot be told, and is taken to be the same.
pub(crate) fn compare_namespaces(root: BorrowedFd<'_>) {
    let numbers = pids_of(root);
    let map = |pid: &dyn fmt::Display| fs::read_to_string(format!("/proc/{pid}/uid_map")).ok();
    let ids = numbers.first().is_none_or(|pid| map(pid) == map(&"self"));
    SHARED_NAMESPACES.set(SharedNamespaces { pids: numbers.len() == 1, ids });
}

/// The number of a process in a message of the root.
pub(crate) fn pid_from_wire(pid: u32) -> Option<u32> {
    (pid != NO_PID && SHARED_NAMESPACES.get().pids).then_some(pid)
}

/// The number of a user or group in a message of the root.
pub(crate) fn id_from_wire(id: u32) -> Option<u32> {
    (id != NO_ID && SHARED_NAMESPACES.get().ids).then_some(id)
}

/// Returns the number of the process of a pidfd in the PID namespace of this process.
pub(crate) fn pid_of(process: BorrowedFd<'_>) -> Option<u32> {
    pids_of(process).first().copied()
}

/// Numbers of the process of a pidfd, in the PID namespace of this process and in those inside of it. None if the process
/// is dead or not visible, or if /proc shows another namespace.
fn pids_of(process: BorrowedFd<'_>) -> Vec<u32> {
    if !is_proc_of_this_namespace() {
        return Vec::new();
    }
    let about = format!("/proc/self/fdinfo/{}", process.as_raw_fd());
    let about = fs::read_to_string(about).unwrap_or_default();
    let line = |name| about.lines().find_map(|line| line.strip_prefix(name));
    let numbers = line("NSpid:").or_else(|| line("Pid:")).unwrap_or_default();
    let numbers = numbers.split_ascii_whitespace().map_while(|number| number.parse().ok());
    numbers.take_while(|number| *number != NO_PID).collect()
}

/// Returns whether /proc shows the PID namespace of this process. One of another namespace has other processes under the same
/// numbers.
pub(crate) fn is_proc_of_this_namespace() -> bool {
    let own = fs::read_link("/proc/self");
    own.ok().and_then(|own| own.to_str()?.parse().ok()) == Some(std::process::id())
}

/// A user or group that the kernel has named; `None` if the number may be the one that it gives for those without one.
fn known_id(id: u32, kind: &'static str) -> Option<u32> {
    (id != NO_ID && !is_overflow(id, kind)).then_some(id)
}

/// Whether the kernel may have given `uid` in place of a user that has no number here.
pub(crate) fn is_unknown_uid(uid: u32) -> bool {
    known_id(uid, "uid").is_none()
}

/// Whether a number may stand for all that have none: only where not every user, or group, has a number.
fn is_overflow(id: u32, kind: &'static str) -> bool {
    let overflow = fs::read_to_string(format!("/proc/sys/kernel/overflow{kind}"));
    let overflow =
        overflow.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_OVERFLOW_ID);
    id == overflow && !maps_all_ids(kind)
}

/// Whether every user, or group, of the machine has a number in the user namespace of this process.
fn maps_all_ids(kind: &str) -> bool {
    let map = fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap_or_default();
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

/// A pidfd of the process at the other end of a socket, as it was when it connected or listened.
pub(crate) fn process_of(socket: BorrowedFd<'_>, credentials: Credentials) -> io::Result<OwnedFd> {
    match sys::peer_pidfd(socket) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            // The kernel could name the process by its number only, and that is not visible here.
            let pid = Some(credentials.pid).filter(|pid| *pid > 0).and_then(Pid::from_raw);
            open(socket, pid.ok_or(Errno::SRCH)?)
        }
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

/// The account of the process of a pidfd. This process has none.
pub(crate) fn account_of(process: impl AsFd, peer: &Peer) -> rustix::io::Result<Account> {
    if peer.pid() == Some(std::process::id()) {
        return Ok(Account::unlimited());
    }
    let inode = fstat(process)?.st_ino;
    Ok(Account::of(ProcessId { pid: peer.pid(), uid: peer.uid(), inode }))
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
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_of_this_namespace_has_its_number() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat runs");
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("it lives");
        assert_eq!(pid_of(process.as_fd()), Some(child.id()));
        child.kill().and_then(|()| child.wait()).expect("it can be killed");
        assert_eq!(pid_of(process.as_fd()), None);
        compare_namespaces(process.as_fd());
        assert_eq!((pid_from_wire(7), id_from_wire(7)), (None, Some(7)));
    }

    #[test]
    fn what_the_kernel_cannot_show_is_unknown() {
        let none = Credentials { pid: 0, uid: u32::MAX, gid: u32::MAX };
        assert_eq!(none.peer(), Peer::process(None, None, None));
        assert_eq!(to_wire(&none.peer()), (0, u32::MAX, u32::MAX));
        let nobody = Credentials { pid: 7, uid: DEFAULT_OVERFLOW_ID, gid: 7 };
        let known = maps_all_ids("uid").then_some(DEFAULT_OVERFLOW_ID);
        assert_eq!(nobody.peer().uid(), known);
    }

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
