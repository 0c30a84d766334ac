//! Processes as the kernel identifies them: pidfds, credentials, namespaces.

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

/// Default uid and gid of the kernel for users and groups without a number.
const DEFAULT_OVERFLOW_ID: u32 = 65534;

/// Pid of an unknown process in messages between monitors.
const NO_PID: u32 = 0;

/// Uid or gid of an unknown user or group in messages between monitors. The kernel never assigns
/// it.
const NO_ID: u32 = u32::MAX;

impl Credentials {
    /// Returns the numbers that are known to identify the peer.
    pub(crate) fn peer(self) -> Peer {
        let pid = u32::try_from(self.pid).ok().filter(|pid| *pid != NO_PID);
        Peer::process(pid, known_id(self.uid, "uid"), known_id(self.gid, "gid"))
    }

    /// Returns the credentials with [`NO_ID`] as the user if the user is unknown: resources are
    /// charged to the user, and the user decides who may join.
    pub(crate) fn or_nobody(self) -> Self {
        let is_known = self.uid == own_uid() || !is_unknown_uid(self.uid);
        Self { uid: if is_known { self.uid } else { NO_ID }, ..self }
    }
}

/// Returns the effective uid of this process.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns pid, uid and gid of a peer as messages carry them.
pub(crate) fn to_wire(peer: &Peer) -> (u32, u32, u32) {
    let id = |id: Option<u32>| id.unwrap_or(NO_ID);
    (peer.pid().unwrap_or(NO_PID), id(peer.uid()), id(peer.gid()))
}

thread_local! {
    /// Kinds of ids in messages of the root that are valid in this process.
    static SHARED_NAMESPACES: Cell<SharedNamespaces> = const { Cell::new(SharedNamespaces { pids: true, ids: true }) };
}

#[derive(Debug, Clone, Copy)]
struct SharedNamespaces {
    /// True for pids: the root is in the same PID namespace.
    pids: bool,
    /// True for uids and gids: the root is in the same user namespace.
    ids: bool,
}

/// Compares the namespaces of the root with those of this process, for [`pid_from_wire`] and
/// [`id_from_wire`]. A root that is not visible from here sends pids that are not visible either;
/// its user namespace is unknown and assumed to be the same.
pub(crate) fn compare_namespaces(root: BorrowedFd<'_>) {
    let numbers = pids_of(root);
    let map = |pid: &dyn fmt::Display| fs::read_to_string(format!("/proc/{pid}/uid_map")).ok();
    let ids = numbers.first().is_none_or(|pid| map(pid) == map(&"self"));
    SHARED_NAMESPACES.set(SharedNamespaces { pids: numbers.len() == 1, ids });
}

/// Returns a pid of a message of the root, if it is valid here.
pub(crate) fn pid_from_wire(pid: u32) -> Option<u32> {
    (pid != NO_PID && SHARED_NAMESPACES.get().pids).then_some(pid)
}

/// Returns a uid or gid of a message of the root, if it is valid here.
pub(crate) fn id_from_wire(id: u32) -> Option<u32> {
    (id != NO_ID && SHARED_NAMESPACES.get().ids).then_some(id)
}

/// Returns the number of the process of a pidfd in the PID namespace of this process.
pub(crate) fn pid_of(process: BorrowedFd<'_>) -> Option<u32> {
    pids_of(process).first().copied()
}

/// Returns the pids of the process of a pidfd, in the PID namespace of this process and in those
/// inside of it. Empty if the process is dead or not visible, or if /proc shows another namespace.
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

/// Returns true if /proc shows the PID namespace of this process. In the /proc of another namespace, the same ids belong to
/// other processes.
pub(crate) fn is_proc_of_this_namespace() -> bool {
    let own = fs::read_link("/proc/self");
    own.ok().and_then(|own| own.to_str()?.parse().ok()) == Some(std::process::id())
}

/// Returns a uid or gid of the kernel, or `None` if it may stand for users or groups without a
/// number.
fn known_id(id: u32, kind: &'static str) -> Option<u32> {
    (id != NO_ID && !is_overflow(id, kind)).then_some(id)
}

/// Returns true if `uid` may stand for users without a number here.
pub(crate) fn is_unknown_uid(uid: u32) -> bool {
    known_id(uid, "uid").is_none()
}

/// Returns true if `id` is the overflow id, and not every user, or group, has a number here.
fn is_overflow(id: u32, kind: &'static str) -> bool {
    let overflow = fs::read_to_string(format!("/proc/sys/kernel/overflow{kind}"));
    let overflow =
        overflow.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_OVERFLOW_ID);
    id == overflow && !maps_all_ids(kind)
}

/// Returns true if every uid, or gid, is mapped in the user namespace of this process.
fn maps_all_ids(kind: &str) -> bool {
    let map = fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap_or_default();
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

/// Returns a pidfd of the process that connected, or listened, at the other end of a socket.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] if the process is in another PID namespace, and the kernel is too
/// old to identify it; another error if the process is gone.
pub(crate) fn process_of(socket: BorrowedFd<'_>, credentials: Credentials) -> io::Result<OwnedFd> {
    match sys::peer_pidfd(socket) {
        Err(error) if is_without_pidfds(&error) => open(socket, credentials),
        result => result,
    }
}

/// Returns true if the root could not identify this process: the root is in a PID namespace inside
/// of this one, and the kernel is too old.
pub(crate) fn is_hidden_from(root: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> bool {
    sys::peer_pidfd(socket).is_err_and(|error| is_without_pidfds(&error)) && pids_of(root).len() > 1
}

/// Returns true if the kernel has no `SO_PEERPIDFD`.
fn is_without_pidfds(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOPROTOOPT)
}

/// Opens a pidfd on kernels before 6.5, which have the pid only. If the pid was reused in the
/// meantime, the socket has ended.
fn open(socket: BorrowedFd<'_>, credentials: Credentials) -> io::Result<OwnedFd> {
    let pid = Some(credentials.pid).filter(|pid| *pid > 0).and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| {
        let why = "the process is in another PID namespace, and this kernel has no SO_PEERPIDFD (before Linux 6.5)";
        io::Error::new(io::ErrorKind::Unsupported, why)
    })?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    if has(socket, PollFlags::HUP | PollFlags::RDHUP) {
        return Err(Errno::SRCH.into());
    }
    Ok(process)
}

/// Returns the account of the process of a pidfd. For this process, an unlimited one.
pub(crate) fn account_of(process: impl AsFd, peer: &Peer) -> rustix::io::Result<Account> {
    if peer.pid() == Some(std::process::id()) {
        return Ok(Account::unlimited());
    }
    let inode = fstat(process)?.st_ino;
    Ok(Account::of(ProcessId { pid: peer.pid(), uid: peer.uid(), inode }))
}

/// Returns true if the process of a pidfd is dead.
pub(crate) fn is_dead(process: BorrowedFd<'_>) -> bool {
    has(process, PollFlags::IN)
}

fn has(fd: BorrowedFd<'_>, wanted: PollFlags) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, wanted)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let found = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&now)));
    found.is_ok_and(|found| found > 0) && fds[0].revents().intersects(wanted)
}

/// Returns an unpredictable number.
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
    fn visible_process_has_a_pid() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("start cat");
        let process =
            pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("open a pidfd");
        assert_eq!(pid_of(process.as_fd()), Some(child.id()));
        child.kill().and_then(|()| child.wait()).expect("kill the child");
        assert_eq!(pid_of(process.as_fd()), None);
        compare_namespaces(process.as_fd());
        assert_eq!((pid_from_wire(7), id_from_wire(7)), (None, Some(7)));
    }

    #[test]
    fn invisible_process_and_user_are_unknown() {
        let none = Credentials { pid: 0, uid: u32::MAX, gid: u32::MAX };
        assert_eq!(none.peer(), Peer::process(None, None, None));
        assert_eq!(to_wire(&none.peer()), (0, u32::MAX, u32::MAX));
        let nobody = Credentials { pid: 7, uid: DEFAULT_OVERFLOW_ID, gid: 7 };
        let known = maps_all_ids("uid").then_some(DEFAULT_OVERFLOW_ID);
        assert_eq!(nobody.peer().uid(), known);
    }

    #[test]
    fn process_of_another_namespace_needs_a_pidfd_of_the_socket() {
        let (near, _far) = std::os::unix::net::UnixStream::pair().expect("sockets");
        let own = i32::try_from(std::process::id()).expect("a pid");
        let of = |pid| open(near.as_fd(), Credentials { pid, uid: 0, gid: 0 });
        let error = of(0).expect_err("the kernel has no number of it");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().contains("SO_PEERPIDFD"), "{error}");
        of(own).expect("it is visible");
    }

    #[test]
    fn dead_process_is_detected_before_it_is_reaped() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("start cat");
        let pid = Pid::from_child(&child);
        let process = pidfd_open(pid, PidfdFlags::empty()).expect("open a pidfd");
        assert!(!is_dead(process.as_fd()));
        drop(child.stdin.take());
        let mut fds = [PollFd::new(&process, PollFlags::IN)];
        let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
        poll(&mut fds, Some(&patience)).expect("poll");
        assert!(is_dead(process.as_fd()));
        child.wait().expect("wait for the child");
    }
}
