//! Who is the root: whoever has the lock on the runtime directory.
//!
//! ```text
//!   flock(directory) --got--> unlink the socket of a dead root, bind, listen          root, until its process ends
//!        '----------taken--> connect --no socket, or nobody listens--> try again      a domain
//! ```
//! The lock is on the directory itself, so there is no file for it, and the kernel lets go of it when the root dies. Only
//! the holder of the lock ever removes or makes the socket. Between its lock and its `listen` a connect may fail; the
//! caller tries the whole again. Who has hardly a descriptor left does not stand: it could accept nobody.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FlockOperation, flock, unlinkat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};

use crate::error::MonitorError;
use crate::runtime_dir::RuntimeDir;
use crate::sys::{self, ROOT_SOCKET};

/// Descriptors that a process must have to spare when it becomes root: its own membership, a few domains, a reserve.
const HEADROOM: usize = 16;

/// Domains that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Tries to become the root: gives the socket to accept domains from, or `None` if there is a root.
pub(crate) fn stand() -> Result<Option<OwnedFd>, MonitorError> {
    let directory = RuntimeDir::open()?;
    let lock = rustix::io::retry_on_intr(|| {
        flock(directory.fd(), FlockOperation::NonBlockingLockExclusive)
    });
    match lock {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(errno) => return Err(MonitorError::os("lock the runtime directory")(errno)),
    }
    // Dropped with an error, the directory takes the lock along, and somebody better off may have it.
    check_headroom(directory.fd()).map_err(MonitorError::os("find room for domains"))?;
    match unlinkat(directory.fd(), ROOT_SOCKET, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(MonitorError::os("remove the socket of a dead root")(errno)),
    }
    let failed = MonitorError::os("listen for domains");
    let listener = new_socket().map_err(&failed)?;
    bind(&listener, &directory.root_address()?).map_err(&failed)?;
    listen(&listener, BACKLOG).map_err(&failed)?;
    // A second descriptor of the same directory would not do: the lock belongs to this one.
    sys::hold(directory.into_fd());
    Ok(Some(listener))
}

/// A socket connected to the root; `None` if there is none that listens, yet.
pub(crate) fn join() -> Result<Option<OwnedFd>, MonitorError> {
    let directory = RuntimeDir::open()?;
    let socket = new_socket().map_err(MonitorError::os("make a socket"))?;
    let address = directory.root_address()?;
    match rustix::io::retry_on_intr(|| connect(&socket, &address)) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN) => Ok(None),
        Err(errno) => Err(MonitorError::os("connect to the root monitor")(errno)),
    }
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
