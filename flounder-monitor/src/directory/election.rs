//! Who is the root: the process whose socket is in the runtime directory.
//!
//! ```text
//!   connect --accepted----------> a domain of the root that listens
//!      '--refused, or no socket-> lock the directory --got--> put a socket of its own in that place: root
//!                                        '--taken--> somebody else is about to be the root: try again
//!   a root does not answer -----> put a socket of its own in that place: root, and the other is deposed
//! ```
//! A socket is made under another name, listens, and is then renamed to `root.sock`. So the change from one root to the next
//! is one step, a socket in that place that refuses is that of a dead root, and every process can tell at any moment which
//! root there is ([`DirIdentity::socket_id`](crate::directory::runtime_dir::DirIdentity::socket_id)). The lock only keeps two processes from standing at once; the kernel lets go of it when
//! the root dies. It is not what makes a root, because a root that is stopped keeps it:
//! docs/design/0011-a-root-that-is-stuck.md. Processes with hardly a descriptor left do not stand: they could accept nobody.
//! Processes of users who were let in by a daemon cannot stand.

use core::time::Duration;
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
use crate::process::{compare_namespaces, is_dead, process_of, random_number};
use crate::sys;

/// Descriptors that a process must have to spare when it becomes root: its own membership, a few domains, a reserve.
const MIN_FREE_DESCRIPTORS: usize = 16;

/// Domains that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long nobody may listen while another process has the lock, before others stand all the same: the lock may be that of a
/// root that was deposed and is still stopped.
pub(crate) const STALE_LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// What a root has to begin with. The directory is kept by [`root_lock::hold`].
#[derive(Debug)]
pub(crate) struct ElectedRoot {
    /// Where domains come.
    pub(crate) socket: RootSocket,
    /// Where its names are written down, and those of the last root.
    pub(crate) journal: NameJournal,
    /// Whether nobody has been in the directory before.
    pub(crate) is_first: bool,
}

/// What the root has, and where it is.
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

/// When to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// If there is no root that listens, and nobody else stands.
    NoRoot,
    /// In the place of this root, which does not answer, or is dead and another process keeps its lock.
    RootIs(Option<RootSocketId>),
}

/// Whom the socket lets through; the root asks the kernel who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketAccess {
    /// Its user, and user 0.
    Private,
    /// Whoever can enter the directory.
    Open,
}

/// Tries to become the root; `None` if there is a root, or this process cannot be one.
pub(crate) fn try_become_root(
    directory: RuntimeDir,
    precondition: Precondition,
) -> Result<Option<ElectedRoot>, MonitorError> {
    if !directory.is_ours() {
        return Ok(None);
    }
    let locked = directory.lock()?;
    let may = match precondition {
        // A root that took the office from one that was stopped may have no lock.
        Precondition::NoRoot => locked && matches!(probe(&directory)?, RootProbe::NoRoot),
        Precondition::RootIs(socket_id) => directory.identity().root_socket_id() == socket_id,
    };
    if may { acquire(directory, SocketAccess::Private).map(Some) } else { Ok(None) }
}

/// Becomes the root.
pub(crate) fn acquire(
    directory: RuntimeDir,
    access: SocketAccess,
) -> Result<ElectedRoot, MonitorError> {
    let elected = install_socket(&directory, access)?;
    // A second descriptor of the same directory would not do: the lock belongs to this one.
    root_lock::hold(directory.into_fd(), elected.socket.id().inode());
    Ok(elected)
}

/// Becomes the root in another directory. The one before is let go of when that has succeeded.
pub(crate) fn reacquire(
    directory: RuntimeDir,
    access: SocketAccess,
) -> Result<ElectedRoot, MonitorError> {
    let elected = install_socket(&directory, access)?;
    root_lock::release();
    root_lock::hold(directory.into_fd(), elected.socket.id().inode());
    Ok(elected)
}

/// Puts a socket in its place. Dropped after an error, the directory takes the lock along, and somebody better off may have
/// it.
pub(crate) fn install_socket(
    directory: &RuntimeDir,
    access: SocketAccess,
) -> Result<ElectedRoot, MonitorError> {
    check_headroom(directory.fd()).map_err(MonitorError::os("find room for domains"))?;
    let failed = MonitorError::os("listen for domains");
    if directory.lock()? {
        remove_stale_sockets(directory);
    }
    let name = temporary_name(random_number().map_err(&failed)?);
    let listener = new_socket().map_err(&failed)?;
    bind(&listener, &directory.address(&name)?).map_err(&failed)?;
    let placed = (|| {
        directory.set_socket_access(&name, access == SocketAccess::Open)?;
        listen(&listener, BACKLOG)?;
        directory.install_socket(&name)
    })();
    let socket_id = placed.map_err(|errno| {
        directory.remove_socket(&name);
        failed(errno)
    })?;
    // Read after the last root's answers have become void: see `Monitor::ask`.
    let journal = NameJournal::open(directory.fd())
        .map_err(MonitorError::os("open the register of names"))?;
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

/// Removes the sockets of processes that were killed before they renamed theirs. Requires the lock: a process that has it
/// is the only one that makes such a socket, unless it takes the place of a root that is stuck.
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

/// What came of an attempt to connect to the root.
#[derive(Debug)]
pub(crate) enum RootProbe {
    /// It listens; it may still not answer.
    Connected(OwnedFd),
    /// There is no socket, or its root is dead.
    NoRoot,
    /// There is a root, and too many wait at its door.
    Busy,
    /// There is a root for the moment that lets other users in no more; a daemon will.
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

/// A socket connected to the root of a directory; `None` if there is none that listens, yet.
pub(crate) fn connect_to_root(directory: &RuntimeDir) -> Result<Option<OwnedFd>, MonitorError> {
    match probe(directory)? {
        RootProbe::Connected(socket) => Ok(Some(socket)),
        RootProbe::NoRoot | RootProbe::Busy | RootProbe::Denied => Ok(None),
    }
}

/// Who listens at the other end of a socket, by its pidfd and as the kernel vouches for it; `None` if that is dead.
pub(crate) fn identify_root(
    socket: &OwnedFd,
    directory: &RuntimeDir,
) -> Result<Option<(Peer, OwnedFd)>, MonitorError> {
    let failed = MonitorError::io("ask who the root is");
    let root = sys::peer_credentials(socket.as_fd()).map_err(failed)?;
    let uid = root.uid;
    if uid != directory.owner() && uid != 0 {
        return Err(MonitorError::UntrustedRoot { directory: directory.path().to_owned(), uid });
    }
    // Whoever listened may be dead, and a child of it keep the socket.
    let Ok(process) = process_of(socket.as_fd(), root) else { return Ok(None) };
    compare_namespaces(process.as_fd());
    Ok((!is_dead(process.as_fd())).then(|| (root.peer(), process)))
}

/// A root that cannot accept anybody would be worse than none.
fn check_headroom(any: &OwnedFd) -> rustix::io::Result<()> {
    let spare: Result<Vec<_>, _> =
        (0..MIN_FREE_DESCRIPTORS).map(|_| fcntl_dupfd_cloexec(any, 0)).collect();
    spare.map(drop)
}

/// Of those that keep messages apart; not blocking, so that a root that accepts nobody holds nobody up.
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
        let parent = tempfile::tempdir().expect("make a directory");
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
        let parent = tempfile::tempdir().expect("make a directory");
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
