//! Who is the root: whoever has the lock on the runtime directory.
//!
//! ```text
//!   flock(directory) --got--> unlink the socket of a dead root, bind, listen          root, until its process ends
//!        '----------taken--> connect --no socket, or nobody listens--> try again      a domain
//! ```
//! The lock is on the directory itself, so there is no file for it, and the kernel lets go of it when the root dies. Only
//! the holder of the lock ever removes or makes the socket. Between its lock and its `listen` a connect may fail; the
//! caller tries the whole again. Who has hardly a descriptor left does not stand: it could accept nobody. Processes of
//! users who were let in by a daemon cannot stand.

use std::os::fd::{AsFd, OwnedFd};

use flounder_rt::Peer;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};

use crate::error::MonitorError;
use crate::process::{is_dead, process_of};
use crate::root::{Register, Standing};
use crate::runtime_dir::RuntimeDir;
use crate::sys;

/// Descriptors that a process must have to spare when it becomes root: its own membership, a few domains, a reserve.
const HEADROOM: usize = 16;

/// Domains that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// What a root has to begin with. The lock is kept by [`sys::hold`].
#[derive(Debug)]
pub(crate) struct Office {
    /// Where domains come.
    pub(crate) standing: Standing,
    /// Where its names are written down, and those of the last root: only where there are several users.
    pub(crate) register: Option<Register>,
}

/// Whom the socket lets through; the root asks the kernel who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Its user, and user 0.
    Private,
    /// Whoever can enter the directory.
    Open,
}

/// Tries to become the root; `None` if there is a root, or this process cannot be one.
pub(crate) fn stand() -> Result<Option<Office>, MonitorError> {
    let directory = RuntimeDir::open()?;
    match directory.is_ours() && directory.lock()? {
        true => take_office(directory, Door::Private).map(Some),
        false => Ok(None),
    }
}

/// Becomes the root, with the lock in hand.
pub(crate) fn take_office(directory: RuntimeDir, door: Door) -> Result<Office, MonitorError> {
    let office = open_office(&directory, door)?;
    // A second descriptor of the same directory would not do: the lock belongs to this one.
    sys::hold(directory.into_fd());
    Ok(office)
}

/// Becomes the root in another directory, with its lock in hand. The one before is let go of when that has succeeded.
pub(crate) fn take_office_anew(directory: RuntimeDir, door: Door) -> Result<Office, MonitorError> {
    let office = open_office(&directory, door)?;
    sys::release();
    sys::hold(directory.into_fd());
    Ok(office)
}

/// Dropped after an error, the directory takes the lock along, and somebody better off may have it.
fn open_office(directory: &RuntimeDir, door: Door) -> Result<Office, MonitorError> {
    check_headroom(directory.fd()).map_err(MonitorError::os("find room for domains"))?;
    directory.remove_socket()?;
    let register = match directory.is_shared() {
        true => Register::open(directory.fd()).map(Some),
        false => Register::discard(directory.fd()).map(|()| None),
    };
    let register = register.map_err(MonitorError::os("open the register of names"))?;
    let failed = MonitorError::os("listen for domains");
    let listener = new_socket().map_err(&failed)?;
    bind(&listener, &directory.root_address()?).map_err(&failed)?;
    directory.open_socket_to(door == Door::Open).map_err(&failed)?;
    listen(&listener, BACKLOG).map_err(&failed)?;
    let socket = directory.spot().socket().map_err(&failed)?;
    let standing = Standing::new(listener, directory.spot().clone(), socket, door);
    Ok(Office { standing, register })
}

/// A socket connected to the root; `None` if there is none that listens, yet.
pub(crate) fn join() -> Result<Option<(OwnedFd, RuntimeDir)>, MonitorError> {
    let directory = RuntimeDir::open()?;
    Ok(connect_in(&directory)?.map(|socket| (socket, directory)))
}

/// As [`join`], in this directory.
pub(crate) fn connect_in(directory: &RuntimeDir) -> Result<Option<OwnedFd>, MonitorError> {
    let socket = new_socket().map_err(MonitorError::os("make a socket"))?;
    let address = directory.root_address()?;
    match rustix::io::retry_on_intr(|| connect(&socket, &address)) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN) => Ok(None),
        // The root of the moment lets nobody else in; a daemon will.
        Err(Errno::ACCESS) if directory.is_shared() => Ok(None),
        Err(Errno::ACCESS) => Err(MonitorError::TurnedAway {
            directory: directory.path().to_owned(),
            owner: directory.owner(),
        }),
        Err(errno) => Err(MonitorError::os("connect to the root monitor")(errno)),
    }
}

/// Who listens at the other end of a socket, by its pidfd and as the kernel vouches for it; `None` if that is dead.
pub(crate) fn root_of(
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
    Ok((!is_dead(process.as_fd())).then(|| (root.peer(), process)))
}

/// A root that cannot accept anybody would be worse than none.
fn check_headroom(any: &OwnedFd) -> rustix::io::Result<()> {
    let spare: Result<Vec<_>, _> = (0..HEADROOM).map(|_| fcntl_dupfd_cloexec(any, 0)).collect();
    spare.map(drop)
}

/// Of those that keep messages apart; not blocking, so that a root that accepts nobody holds nobody up.
fn new_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}
