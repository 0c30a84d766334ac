//! The sockets of one end, and the room in the one on which it sends.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{
    Timeout, set_socket_send_buffer_size, set_socket_timeout, socket_acceptconn, socket_domain,
    socket_type,
};
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, getpeername, send, socketpair,
};

use flounder_rt::cap::Cap;
use flounder_rt::channel::{BRIEF_WAIT, ConnectError, SourceFds};
use flounder_rt::closer::Origin;
use flounder_rt::fork::Mark;

use crate::datagram;

/// `SO_SNDBUF` of each socket. The kernel doubles it; the default `wmem_max` allows it.
const SEND_BUFFER: usize = 104 << 10;

/// Memory of the kernel, in bytes, that messages may fill. A frame that begins below it may exceed it, and leaves room for the
/// last frame.
const MESSAGE_LIMIT: usize = 128 << 10;

/// The sockets of one end.
pub(super) struct Sockets {
    // Dropped first: once the numbers are free, another thread may reuse them.
    _marks: (Mark, Option<Mark>),
    receiving: Cap,
    /// The peer's socket, if the own one is for receiving only.
    sending: Option<Cap>,
    /// Memory of the kernel, in bytes, that what was sent and not received takes at most.
    unread: usize,
    wait_limit: WaitLimit,
}

/// How long a call that waits on the receiving socket may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitLimit {
    /// No call may wait: others may have held the socket, and can change its timeout.
    Others,
    /// For ever: only this process has held the socket, and no call has waited yet.
    NotSet,
    /// For [`BRIEF_WAIT`].
    Set,
}

/// Returns a socket for receiving, and the one on which the peer, a process of `origin`, is to send.
pub(super) fn receiving(origin: &Origin) -> Result<(Cap, Cap), Errno> {
    let (receiving, sending) = connected()?;
    // Whoever sends on it may set no option.

    let mut receiving = Cap::from(receiving);
    receiving.share(origin);
    Ok((receiving, Cap::from(sending)))
}

fn connected() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

impl Sockets {
    /// Makes the sockets of both ends of a channel within this process.
    pub(super) fn pair() -> Result<(Self, Self), Errno> {
        let (a, b) = connected()?;
        let end = |socket| {
            set_socket_send_buffer_size(&socket, SEND_BUFFER)?;
            Ok(Self::new(Cap::from(socket), None, WaitLimit::NotSet))
        };
        Ok((end(a)?, end(b)?))
    }

    /// Returns the sockets of an end that receives on `receiving`, which this process has made, and sends on a socket of its
    /// peer.
    pub(super) fn one_way(receiving: Cap, sending: Cap) -> Result<Self, ConnectError> {
        check(sending.as_fd())?;
        Ok(Self::new(receiving, Some(sending), WaitLimit::NotSet))
    }

    /// Returns an end over one socket, whose peer is a process of `origin`.
    pub(super) fn two_way(mut socket: Cap, origin: &Origin) -> Result<Self, ConnectError> {
        socket.share(origin);
        check(socket.as_fd())?;
        set_socket_send_buffer_size(&socket, SEND_BUFFER)?;
        Ok(Self::new(socket, None, WaitLimit::Others))
    }

    fn new(receiving: Cap, sending: Option<Cap>, wait_limit: WaitLimit) -> Self {
        let _marks = (
            Mark::new(receiving.as_fd()),
            sending.as_ref().map(|socket| Mark::new(socket.as_fd())),
        );
        Self { _marks, receiving, sending, unread: 0, wait_limit }
    }

    pub(super) fn receiving(&self) -> BorrowedFd<'_> {
        self.receiving.as_fd()
    }

    fn sending(&self) -> BorrowedFd<'_> {
        self.sending.as_ref().unwrap_or(&self.receiving).as_fd()
    }

    pub(super) fn fds(&self) -> SourceFds<'_> {
        SourceFds { arrivals: self.receiving(), room: self.sending.as_ref().map(AsFd::as_fd) }
    }

    /// Sends one frame of a message.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] if there is no room; errors of `sendmsg`.
    pub(super) fn transmit(
        &mut self,
        words: usize,
        pieces: &[IoSlice<'_>],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), Errno> {
        self.check_room()?;
        datagram::transmit(self.sending(), pieces, fds)?;
        self.unread += memory_of(words);
        Ok(())
    }

    /// Sends a frame in one piece: the kernel does less work for it.
    ///
    /// # Errors
    /// As of [`transmit`](Self::transmit), and [`Errno::INTR`].
    pub(super) fn send(&mut self, frame: &[u64]) -> Result<(), Errno> {
        self.check_room()?;
        self.send_last(frame)?;
        self.unread += memory_of(frame.len());
        Ok(())
    }

    /// Sends a frame into the room that is kept for the last one.
    pub(super) fn send_last(&self, frame: &[u64]) -> Result<(), Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        send(self.sending(), bytemuck::cast_slice(frame), flags).map(drop)
    }

    /// Returns [`Errno::AGAIN`] if messages fill their part of the socket. Asks the kernel only if the count of this end says so.
    fn check_room(&mut self) -> Result<(), Errno> {
        if self.unread >= MESSAGE_LIMIT {
            self.unread = datagram::unread(self.sending())?;
            if self.unread >= MESSAGE_LIMIT {
                return Err(Errno::AGAIN);
            }
        }
        Ok(())
    }

    /// Limits calls that wait on the receiving socket. Returns false if they cannot be limited.
    pub(super) fn limit_waits(&mut self) -> bool {
        if self.wait_limit == WaitLimit::NotSet
            && set_socket_timeout(&self.receiving, Timeout::Recv, Some(BRIEF_WAIT)).is_ok()
        {
            self.wait_limit = WaitLimit::Set;
        }
        self.wait_limit == WaitLimit::Set
    }

    /// Returns true if there is something to receive, or the end of the channel.
    pub(super) fn have_arrivals(&self) -> bool {
        has_event(&mut [PollFd::from_borrowed_fd(self.receiving(), PollFlags::IN)])
    }

    /// Returns true if there is room to send, or the end of the channel.
    pub(super) fn have_room(&mut self) -> bool {
        // With a larger buffer than it was given, the socket of a malicious peer is writable all the time.
        has_event(&mut [PollFd::from_borrowed_fd(self.sending(), PollFlags::OUT)])
            && self.check_room() != Err(Errno::AGAIN)
    }

    /// Returns true if the peer has closed the channel, or is dead.
    pub(super) fn are_over(&self) -> bool {
        has_event(&mut [PollFd::from_borrowed_fd(self.receiving(), PollFlags::empty())])
    }
}

/// If the system call fails, the next one on the socket finds out why.
fn has_event(fds: &mut [PollFd<'_>]) -> bool {
    poll(fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0)
}

/// Returns an upper bound of the kernel's memory, in bytes, for a datagram of this many words: its blocks come in powers of two up to
/// 16 KiB, what is longer in pages.
const fn memory_of(words: usize) -> usize {
    const DESCRIPTION: usize = 2048;
    const ROUNDING: usize = 10 << 10;
    let bytes = words * 8;
    bytes + if bytes < ROUNDING { bytes } else { ROUNDING } + DESCRIPTION
}

/// Refuses a descriptor that no frame can be sent on. Takes no lock that a holder of a copy can hold.
fn check(socket: BorrowedFd<'_>) -> Result<(), ConnectError> {
    if !socket_domain(socket).is_ok_and(|domain| domain == AddressFamily::UNIX) {
        return Err(ConnectError::Refused("the descriptor is not a local socket"));
    }
    if !socket_type(socket).is_ok_and(|kind| kind == SocketType::SEQPACKET) {
        return Err(ConnectError::Refused("the socket is not one of packets in sequence"));
    }
    if socket_acceptconn(socket)? || getpeername(socket).is_err() {
        return Err(ConnectError::Refused("the socket is not connected"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::net::{RecvFlags, recv};

    use super::*;

    #[test]
    fn no_datagram_takes_more_memory_than_is_counted() {
        let (receiving, sending) = receiving(&Origin::LOCAL).unwrap();
        let buffer = &mut [0_u8; 8];
        for words in (2..=4096).step_by(3).chain([4095, 4096]) {
            let frame = vec![7_u64; words];
            let flags = SendFlags::DONTWAIT;
            send(&sending, bytemuck::cast_slice(&frame), flags).unwrap();
            let taken = datagram::unread(sending.as_fd()).unwrap();
            let bound = memory_of(words);
            assert!((words * 8..=bound).contains(&taken), "{words} words take {taken} bytes");
            recv(&receiving, &mut *buffer, RecvFlags::DONTWAIT).unwrap();
        }
    }

    #[test]
    fn a_full_socket_has_room_for_the_last_frame() {
        let (receiving, sending) = receiving(&Origin::LOCAL).unwrap();
        let (_, own) = connected().unwrap();
        let mut sockets = Sockets::one_way(own.into(), sending).unwrap();
        for words in [2, 18, 600, 4096] {
            let frame = vec![7_u64; words];
            while sockets.send(&frame).is_ok() {}
            assert_eq!(sockets.send(&frame), Err(Errno::AGAIN));
            assert_eq!(sockets.send_last(&frame[..2]), Ok(()), "after frames of {words} words");
            assert!(!sockets.have_room());
            while recv(&receiving, &mut [0_u8; 8], RecvFlags::DONTWAIT).is_ok() {}
            assert!(sockets.have_room());
            assert_eq!(sockets.send(&frame), Ok(()));
        }
    }
}
