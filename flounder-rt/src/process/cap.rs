//! Capabilities: file descriptors, which are unforgeable, can be transferred, and are closed when they are dropped.

use core::any::Any;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::closer::{self, Origin};

/// A capability: an owned file descriptor that can travel in a message.
///
/// A capability that came from a peer, or went to one, is closed by a thread of the runtime when it is dropped, because
/// such a close can block (see [`closer`]): the descriptor may be open for a moment after the drop. A capability that is
/// taken apart (`OwnedFd::from(cap)`, `File::from(cap)`) is an ordinary descriptor of the program: closing it can block for
/// as long as the peer likes. [`Cap::from_peer`] turns such a descriptor into a capability again.
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
pub struct Cap {
    /// `None` in a capability that is being taken apart.
    fd: Option<OwnedFd>,
    /// Peer that has, or had, access to the file; `None` if this process knows of none.
    origin: Option<Origin>,
    /// In place of a descriptor: what the runtime puts beside the capabilities of a received message, for its decoder.
    held: Option<Box<Held>>,
}

/// A value of the runtime.
type Held = dyn Any + Send + Sync;

impl Cap {
    /// Returns a value that travels among the capabilities of a received message, and is none.
    pub(crate) fn holding<T: Any + Send + Sync>(value: Box<T>) -> Self {
        Self { fd: None, origin: None, held: Some(value) }
    }

    /// Returns the value, if there is one of this type.
    pub(crate) fn held<T: Any>(&self) -> Option<&T> {
        self.held.as_ref()?.downcast_ref()
    }

    /// Takes the value out, if there is one of this type.
    pub(crate) fn into_held<T: Any>(mut self) -> Option<Box<T>> {
        self.held.take()?.downcast().ok()
    }

    /// Returns true if it is no capability.
    pub(crate) const fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Returns a capability for a file that `origin` has, or had, access to.
    #[must_use]
    pub const fn from_peer(fd: OwnedFd, origin: Origin) -> Self {
        Self { fd: Some(fd), origin: Some(origin), held: None }
    }

    /// Returns a second capability for the same object (`fcntl(F_DUPFD_CLOEXEC)`).
    ///
    /// # Errors
    /// `EMFILE` when the process is at its descriptor limit.
    pub fn try_clone(&self) -> io::Result<Self> {
        let fd = self.as_fd().try_clone_to_owned()?;
        Ok(Self { fd: Some(fd), origin: self.origin.clone(), held: None })
    }

    /// Records that `origin` has access to the file from now on, unless another peer is recorded.
    pub fn share(&mut self, origin: &Origin) {
        if self.origin.as_ref().is_none_or(Origin::is_local) {
            self.origin = Some(origin.clone());
        }
    }

    fn into_fd(mut self) -> OwnedFd {
        self.fd.take().expect("only this function takes it, and consumes the capability")
    }
}

impl Drop for Cap {
    #[inline]
    fn drop(&mut self) {
        if let (Some(fd), Some(origin)) = (self.fd.take(), self.origin.take()) {
            closer::close(fd, origin);
        }
    }
}

macro_rules! from {
    ($($fd:ty),* $(,)?) => {$(
        impl From<$fd> for Cap {
            fn from(fd: $fd) -> Self {
                Self { fd: Some(fd.into()), origin: None, held: None }
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
        cap.into_fd()
    }
}

impl From<Cap> for std::fs::File {
    fn from(cap: Cap) -> Self {
        cap.into_fd().into()
    }
}

impl AsFd for Cap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("a capability that can be borrowed has its descriptor").as_fd()
    }
}

impl AsRawFd for Cap {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
