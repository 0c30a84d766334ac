//! Capabilities: what Linux has for them are file descriptors, unforgeable, transferable, closed when dropped.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A capability: an owned file descriptor that can travel in a message.
///
/// ```
/// use flounder_rt::Cap;
/// # fn main() -> std::io::Result<()> {
/// let cap = Cap::from(std::fs::File::open("/dev/null")?);
/// let copy = cap.try_clone()?; // what sending a `cap` does
/// let file = std::fs::File::from(copy);
/// # drop((cap, file));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cap(OwnedFd);

impl Cap {
    /// A second capability for the same object (`fcntl(F_DUPFD_CLOEXEC)`).
    ///
    /// # Errors
    /// `EMFILE` when the process is at its descriptor limit.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

macro_rules! from {
    ($($fd:ty),* $(,)?) => {$(
        impl From<$fd> for Cap {
            fn from(fd: $fd) -> Self {
                Self(fd.into())
            }
        }
    )*};
}

from! {
    OwnedFd,
    std::fs::File,
    std::io::PipeReader,
    std::io::PipeWriter,
    std::net::TcpListener,
    std::net::TcpStream,
    std::net::UdpSocket,
    std::os::unix::net::UnixDatagram,
    std::os::unix::net::UnixListener,
    std::os::unix::net::UnixStream,
}

impl From<Cap> for OwnedFd {
    fn from(cap: Cap) -> Self {
        cap.0
    }
}

impl From<Cap> for std::fs::File {
    fn from(cap: Cap) -> Self {
        cap.0.into()
    }
}

impl AsFd for Cap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Cap {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
