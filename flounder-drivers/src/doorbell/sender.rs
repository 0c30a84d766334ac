//! The socket of the peer's doorbell: rings the channels of another process.

use std::os::fd::{AsFd, BorrowedFd};

use flounder_rt::cap::Cap;
use flounder_rt::channel::ConnectError;
use flounder_rt::fork::{ForkGeneration, Mark};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{AddressFamily, SendFlags, SocketType, send};

use super::log::LogWriter;
use crate::mem::mapped::MappedOwn;
use crate::sync::{Ordering, fence};

/// Attempts to send after signals, in one ring.
const INTERRUPTIONS: usize = 8;

/// Rings the channels of another process.
#[derive(Debug)]
pub(crate) struct DoorbellSender {
    log: Mutex<LogWriter>,
    // Dropped first: once the number is free, another thread may reuse it.
    _mark: Mark,
    /// The peer's socket. Whatever the peer does to it delays its own wake-ups only.
    socket: Cap,
    born: ForkGeneration,
}

impl DoorbellSender {
    /// Returns a sender for this socket, which was checked, and this log.
    pub(crate) fn new(socket: Cap, log: MappedOwn) -> Self {
        let _mark = Mark::new(socket.as_fd());
        Self { _mark, log: Mutex::new(LogWriter::new(log)), socket, born: ForkGeneration::now() }
    }

    /// Checks a socket that the peer has sent.
    ///
    /// # Errors
    /// [`ConnectError::Refused`] if it is not a local datagram socket.
    pub(crate) fn check(socket: BorrowedFd<'_>) -> Result<(), ConnectError> {
        let is_local = socket_domain(socket).is_ok_and(|domain| domain == AddressFamily::UNIX);
        if is_local && socket_type(socket).is_ok_and(|kind| kind == SocketType::DGRAM) {
            Ok(())
        } else {
            Err(ConnectError::Refused("the doorbell is not a local datagram socket"))
        }
    }

    /// Returns the socket; `None` in a forked child, which has no peer.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.born.is_here().then(|| self.socket.as_fd())
    }

    /// Rings for a slot of the peer.
    ///
    /// # Errors
    /// If the kernel did not take the datagram and the peer has no other to read.
    pub(super) fn ring(&self, slot: u32) -> Result<(), Errno> {
        // A forked child has no mapping of the log, and no peer.
        let Some(socket) = self.socket() else { return Ok(()) };
        self.log.lock().append(slot);
        // SYNC wake-log: if the socket is full, nothing is sent; its owner has not drained it then, and reads the log after
        // it does. The entry must be there before the socket is seen full.
        fence(Ordering::SeqCst);
        for _ in 0..INTERRUPTIONS {
            return match send(socket, &[0], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => Ok(()),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) if self.is_full() => Ok(()),
                // The receiver is gone: there is nothing to wake.
                Err(Errno::CONNREFUSED | Errno::CONNRESET | Errno::NOTCONN | Errno::PIPE) => Ok(()),
                Err(error) => Err(error),
            };
        }
        Err(Errno::INTR)
    }

    /// Returns true if the socket has datagrams that the peer has not read.
    fn is_full(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let found = poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(&now));
        found == Ok(0)
    }
}
