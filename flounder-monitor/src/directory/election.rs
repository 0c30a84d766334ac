//! Election of the root: the process whose socket is in the runtime directory.
//!
//! ```text
//!   connect --accepted----------> join the root that listens
//!      '--refused, or no socket-> lock the directory --got--> put a socket of its own in place: root
//!                                        '--taken--> another process is becoming root: try again
//!   a root does not answer -----> put a socket of its own in place: root; the other one is replaced
//! ```
//! A socket is bound under a temporary name, listens, and is then renamed to `root.sock`. So one
//! rename replaces a root, a socket in place that refuses connections is that of a dead root, and
//! every process can determine at any moment which root there is
//! ([`DirIdentity::root_socket_id`]). The lock only keeps two processes from becoming root at once;
//! the kernel releases it when the root dies. The lock does not make a root, because a stopped root
//! keeps it: docs/design/0011-a-root-that-is-stuck.md.
//!
//! A process that is low on descriptors does not run for root: it could accept no connection.
//! Neither does a process of a user whom a daemon let in.

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use flounder_rt::Peer;
use flounder_rt::fork::ProcessFd;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};

use crate::directory::name_journal::NameJournal;
use crate::directory::root_lock;
use crate::directory::runtime_dir::{DirIdentity, RootSocketId, RuntimeDir};
use crate::error::MonitorError;
use crate::process::{compare_namespaces, is_dead, is_hidden_from, process_of, random_number};
use crate::sys;

/// Free descriptors that a process needs to become root: for its own membership, a few domains and
/// a reserve.
const MIN_FREE_DESCRIPTORS: usize = 16;

/// Length of the queue of connections that are not accepted yet.
const BACKLOG: i32 = 1024;

/// How long a lock is respected while no root listens. After that other processes become root
/// without it: the lock may be held by a root that was replaced and is still stopped.
pub(crate) const STALE_LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// What a root starts with. [`root_lock::hold`] keeps the directory.
#[derive(Debug)]
pub(crate) struct ElectedRoot {
    /// Socket to which domains connect.
    pub(crate) socket: RootSocket,
    /// Journal of names, with those of the last root.
    pub(crate) journal: NameJournal,
    /// True if this process created the directory, so that no domain can have been there before.
    pub(crate) is_first: bool,
}

/// The listening socket of a root, and its place.
#[derive(Debug)]
pub(crate) struct RootSocket {
    pub(crate) listener: Rc<ProcessFd>,
    pub(crate) directory_id: DirIdentity,
    socket_id: RootSocketId,
    pub(crate) access: SocketAccess,
}

impl RootSocket {
    pub(crate) fn new(
        listener: OwnedFd,
        directory_id: DirIdentity,
        socket_id: RootSocketId,
        access: SocketAccess,
    ) -> Self {
        Self { listener: Rc::new(listener.into()), directory_id, socket_id, access }
    }

    pub(crate) fn is_in_place(&self) -> bool {
        self.directory_id.is_there() && self.directory_id.root_socket_id() == Some(self.socket_id)
    }

    pub(crate) const fn id(&self) -> RootSocketId {
        self.socket_id
    }
}

/// Condition under which a process becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// No root listens, and no other process is becoming root.
    NoRoot,
    /// The root in place is still this one, which does not answer, or is dead while another process
    /// keeps its lock.
    RootIs(Option<RootSocketId>),
}

/// Who may connect to the socket. The root then checks the user that the kernel reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketAccess {
    /// The user of the root, and user 0.
    Private,
    /// Every user who can enter the directory.
    Open,
}

/// Tries to become root. Returns `None` if there is a root, or if this process cannot be one.
pub(crate) fn try_become_root(
    directory: RuntimeDir,
    precondition: Precondition,
) -> Result<Option<ElectedRoot>, MonitorError> {
    if !directory.is_ours() || root_lock::process_ends() {
        return Ok(None);
    }
    let locked = directory.lock()?;
    let may = match precondition {
        // A root that replaced a stopped one may have no lock.
        Precondition::NoRoot => locked && matches!(probe(&directory)?, RootProbe::NoRoot),
        Precondition::RootIs(socket_id) => directory.identity().root_socket_id() == socket_id,
    };
    if may { acquire(directory, SocketAccess::Private).map(Some) } else { Ok(None) }
}

/// Becomes root in `directory`.
pub(crate) fn acquire(
    directory: RuntimeDir,
    access: SocketAccess,
) -> Result<ElectedRoot, MonitorError> {
    let elected = install_socket(&directory, access)?;
    // The lock belongs to this descriptor; another one of the same directory has none.
    root_lock::hold(directory.into_fd(), elected.socket.id().inode());
    Ok(elected)
}

/// Becomes root in another directory, then releases the directory before.
pub(crate) fn reacquire(
    directory: RuntimeDir,
    access: SocketAccess,
) -> Result<ElectedRoot, MonitorError> {
    let elected = install_socket(&directory, access)?;
    root_lock::release();
    root_lock::hold(directory.into_fd(), elected.socket.id().inode());
    Ok(elected)
}

/// Puts the root's socket in place. After an error the caller drops the directory, which releases
/// the lock for a process that has descriptors to spare.
pub(crate) fn install_socket(
    directory: &RuntimeDir,
    access: SocketAccess,
) -> Result<ElectedRoot, MonitorError> {
    check_headroom(directory.fd()).map_err(MonitorError::os("reserve descriptors for domains"))?;
    let failed = MonitorError::os("listen for domains");
    if directory.lock()? {
        remove_stale_sockets(directory);
    }
    let name = temporary_name(random_number().map_err(&failed)?);
    let listener = new_socket().map_err(&failed)?;
    let unplaced = root_lock::remove_at_exit(directory.fd().as_fd(), &name);
    bind(&listener, &directory.address(&name)?).map_err(&failed)?;
    let placed = (|| {
        directory.set_socket_access(&name, access == SocketAccess::Open)?;
        listen(&listener, BACKLOG)?;
        directory.install_socket(&name)
    })();
    drop(unplaced);
    let socket_id = placed.map_err(|errno| {
        directory.remove_socket(&name);
        failed(errno)
    })?;
    // Read after the rename, which made the last root's answers void: see `Monitor::call_root`.
    let journal =
        NameJournal::open(directory.fd()).map_err(MonitorError::os("open the name journal"))?;
    let socket = RootSocket::new(listener, directory.identity().clone(), socket_id, access);
    Ok(ElectedRoot { socket, journal, is_first: directory.was_created() })
}

/// Name of a socket until it is renamed to `root.sock`.
fn temporary_name(number: u64) -> String {
    format!("root.{number:016x}")
}

fn is_temporary_name(name: &str) -> bool {
    let number = name.strip_prefix("root.").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    number.is_some_and(|number| temporary_name(number) == name)
}

/// Removes the sockets of processes that were killed before they renamed theirs. Requires the lock:
/// only a process with the lock makes such a socket, or one that replaces a stuck root.
fn remove_stale_sockets(directory: &RuntimeDir) {
    let names = match directory.own_sockets() {
        Ok(names) => names,
        Err(error) => return tracing::debug!(%error, "the runtime directory cannot be listed"),
    };
    for name in names.iter().filter(|name| is_temporary_name(name)) {
        let refused = || -> Result<bool, MonitorError> {
            let socket = new_socket().map_err(MonitorError::os("make a socket"))?;
            Ok(connect(&socket, &directory.address(name)?) == Err(Errno::CONNREFUSED))
        };
        if refused().unwrap_or(false) {
            tracing::debug!(name, "a socket that nobody listens on is removed");
            directory.remove_socket(name);
        }
    }
}

/// Result of an attempt to connect to the root.
#[derive(Debug)]
pub(crate) enum RootProbe {
    /// The root listens. It may still not answer.
    Connected(OwnedFd),
    /// There is no socket, or its root is dead.
    NoRoot,
    /// There is a root, and its queue of connections is full.
    Busy,
    /// There is a root that admits no other users. The daemon that admitted them is gone, and may come back.
    Denied,
}

/// Connects to the root of a directory.
pub(crate) fn probe(directory: &RuntimeDir) -> Result<RootProbe, MonitorError> {
    let socket = new_socket().map_err(MonitorError::os("make a socket"))?;
    let address = directory.root_address()?;
    match rustix::io::retry_on_intr(|| connect(&socket, &address)) {
        // A forked child of a dead root may keep its socket.
        Ok(()) => Ok(match identify_root(&socket, directory)? {
            Some(_) => RootProbe::Connected(socket),
            None => RootProbe::NoRoot,
        }),
        Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(RootProbe::NoRoot),
        Err(Errno::AGAIN) => Ok(RootProbe::Busy),
        Err(Errno::ACCESS) if directory.is_shared() => Ok(RootProbe::Denied),
        Err(Errno::ACCESS) => Err(MonitorError::JoinDenied {
            directory: directory.path().to_owned(),
            owner: directory.owner(),
        }),
        Err(errno) => Err(MonitorError::os("connect to the root monitor")(errno)),
    }
}

/// Returns a socket connected to the root of a directory, or `None` if no root accepts a connection
/// now.
pub(crate) fn connect_to_root(directory: &RuntimeDir) -> Result<Option<OwnedFd>, MonitorError> {
    match probe(directory)? {
        RootProbe::Connected(socket) => Ok(Some(socket)),
        RootProbe::NoRoot | RootProbe::Busy | RootProbe::Denied => Ok(None),
    }
}

/// Returns the process that listens at the other end of a socket, as the kernel reports it, and its
/// pidfd. `None` if that process is dead.
pub(crate) fn identify_root(
    socket: &OwnedFd,
    directory: &RuntimeDir,
) -> Result<Option<(Peer, OwnedFd)>, MonitorError> {
    let failed = MonitorError::os("ask who the root is");
    let root = sys::peer_credentials(socket.as_fd()).map_err(failed)?;
    let uid = root.uid;
    if uid != directory.owner() && uid != 0 {
        return Err(MonitorError::UntrustedRoot { directory: directory.path().to_owned(), uid });
    }
    let hidden = || MonitorError::PidNamespace { directory: directory.path().to_owned() };
    let process = match process_of(socket.as_fd(), root) {
        Ok(process) => process,
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Err(hidden()),
        // The process that listened may be dead while a child of it keeps the socket.
        Err(_) => return Ok(None),
    };
    if is_hidden_from(process.as_fd(), socket.as_fd()) {
        return Err(hidden());
    }
    compare_namespaces(process.as_fd());
    Ok((!is_dead(process.as_fd())).then(|| (root.peer(), process)))
}

/// Fails if the process is low on descriptors: a root that cannot accept connections is worse than
/// none.
fn check_headroom(any: &OwnedFd) -> rustix::io::Result<()> {
    let spare: Result<Vec<_>, _> =
        (0..MIN_FREE_DESCRIPTORS).map(|_| fcntl_dupfd_cloexec(any, 0)).collect();
    spare.map(drop)
}

/// Returns a socket that preserves message boundaries. Non-blocking, so that a root that accepts
/// nothing blocks no other process.
fn new_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn becoming_root_removes_stale_sockets_only() {
        let parent = tempfile::tempdir().expect("create a temporary directory");
        let path = parent.path().join("run");
        let dir = RuntimeDir::at(path.clone()).expect("make the runtime directory");
        let socket = |name: &str| {
            let socket = new_socket().expect("make a socket");
            bind(&socket, &dir.address(name).expect("the path fits")).expect("bind");
            socket
        };
        drop(socket(&temporary_name(1)));
        drop(socket("root.1"));
        drop(socket("other.0000000000000001"));
        let live = socket(&temporary_name(2));
        listen(&live, 1).expect("listen");
        fs::write(path.join(temporary_name(3)), "").expect("write");
        let elected = install_socket(&dir, SocketAccess::Private).expect("become root");
        let mut left: Vec<_> = fs::read_dir(&path)
            .expect("list the directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        left.sort();
        let kept = ["other.0000000000000001", "root.0000000000000002", "root.0000000000000003"];
        assert_eq!(left, [&kept[..], &["root.1", "root.sock"]].concat());
        drop(elected);
    }

    #[test]
    fn stale_sockets_stay_while_another_has_the_lock() {
        let parent = tempfile::tempdir().expect("create a temporary directory");
        let path = parent.path().join("run");
        let dir = RuntimeDir::at(path.clone()).expect("make the runtime directory");
        let stale = new_socket().expect("make a socket");
        let name = temporary_name(1);
        bind(&stale, &dir.address(&name).expect("the path fits")).expect("bind");
        let other = RuntimeDir::at(path.clone()).expect("open the runtime directory");
        assert!(other.lock().expect("lock"));
        let elected = install_socket(&dir, SocketAccess::Private).expect("become root");
        assert!(path.join(name).exists());
        drop(elected);
    }
}
