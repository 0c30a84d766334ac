//! Frames of lmp over a `SOCK_SEQPACKET` socket (`docs/wire.md`, "Frames of lmp").

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// Words of a frame, header and all.
const FRAME: usize = 4096;

/// A message that has come.
#[derive(Debug)]
pub struct Message {
    /// Number of the message.
    pub number: u16,
    /// Words of its body.
    pub words: Vec<u64>,
    /// Its descriptors.
    pub fds: Vec<OwnedFd>,
}

/// Makes a connected pair of sockets.
///
/// # Panics
/// If there are no descriptors to spare.
#[must_use]
pub fn pair() -> (OwnedFd, OwnedFd) {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let pair = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None);
    pair.expect("descriptors to spare")
}

/// One end of a channel of lmp.
#[derive(Debug)]
pub struct Socket {
    /// Connected in both directions, unless there is a socket for sending.
    pub receiving: OwnedFd,
    /// The socket for sending.
    pub sending: Option<OwnedFd>,
}

impl Socket {
    /// An end over one socket, as monitors have.
    #[must_use]
    pub const fn two_way(socket: OwnedFd) -> Self {
        Self { receiving: socket, sending: None }
    }

    /// Connects to a socket in the file system.
    ///
    /// # Errors
    /// Of `socket` and `connect`.
    pub fn connect(path: &Path) -> rustix::io::Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        rustix::net::connect(&socket, &address)?;
        Ok(Self::two_way(socket))
    }

    /// Sends a message in as many frames as it takes; waits for room.
    ///
    /// # Errors
    /// Of `sendmsg`.
    pub fn send(
        &self,
        number: u16,
        body: &[u64],
        fds: &[BorrowedFd<'_>],
    ) -> rustix::io::Result<()> {
        let first = body.len().min(FRAME - 2);
        self.send_frame(1, number, body.len() as u64, &body[..first], fds)?;
        let mut sent = first;
        while sent < body.len() {
            let part = (body.len() - sent).min(FRAME - 2);
            self.send_frame(2, number, sent as u64, &body[sent..sent + part], &[])?;
            sent += part;
        }
        Ok(())
    }

    /// Sends one frame with any contents.
    ///
    /// # Errors
    /// Of `sendmsg`.
    pub fn send_frame(
        &self,
        kind: u64,
        number: u16,
        word_1: u64,
        payload: &[u64],
        fds: &[BorrowedFd<'_>],
    ) -> rustix::io::Result<()> {
        let word_0 = (payload.len() as u64) << 32
            | kind << 24
            | (fds.len() as u64) << 14
            | u64::from(number);
        let words = [&[word_0, word_1], payload].concat();
        self.send_bytes(&words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>(), fds)
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// Of `sendmsg`.
    pub fn send_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)), "253 descriptors at most");
        }
        loop {
            let pieces = [IoSlice::new(bytes)];
            let socket = self.sending.as_ref().unwrap_or(&self.receiving);
            match rustix::net::sendmsg(socket, &pieces, &mut control, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                result => return result.map(drop),
            }
        }
    }

    /// Receives a message; `None` if the other end is closed, or nothing comes for so long.
    ///
    /// # Panics
    /// If what comes is not as documented: then the library, or its documents, is wrong.
    #[must_use]
    pub fn receive(&self, patience: Duration) -> Option<Message> {
        let deadline = Instant::now() + patience;
        let mut message: Option<(Message, usize)> = None;
        loop {
            let (words, fds) = self.datagram(deadline)?;
            let [word_0, word_1, payload @ ..] = &words[..] else { panic!("a frame has a header") };
            let (number, caps) = ((word_0 & 0x3fff) as u16, (word_0 >> 14 & 0x7f) as usize);
            assert_eq!((word_0 >> 32) as usize, payload.len(), "payload words");
            match word_0 >> 24 & 0xff {
                1 => {
                    assert!(message.is_none(), "a message begins inside of another");
                    assert_eq!(caps, fds.len(), "descriptors");
                    let length = usize::try_from(*word_1).expect("a length");
                    message = Some((Message { number, words: payload.to_vec(), fds }, length));
                }
                2 => {
                    let (message, _) = message.as_mut().expect("the message has begun");
                    assert_eq!(*word_1 as usize, message.words.len(), "words that came before");
                    message.words.extend_from_slice(payload);
                }
                3 => return None,
                kind => panic!("unknown kind {kind}"),
            }
            match message.take() {
                Some((message, length)) if message.words.len() == length => return Some(message),
                unfinished => message = unfinished,
            }
        }
    }

    fn datagram(&self, deadline: Instant) -> Option<(Vec<u64>, Vec<OwnedFd>)> {
        let socket = &self.receiving;
        wait(socket.as_fd(), deadline)?;
        let mut bytes = vec![0; FRAME * 8];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut pieces = [IoSliceMut::new(&mut bytes)];
        let got = rustix::net::recvmsg(socket, &mut pieces, &mut control, RecvFlags::CMSG_CLOEXEC);
        let length = got.ok()?.bytes;
        if length == 0 {
            return None;
        }
        let fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let fds = fds.flatten().collect();
        let words = bytes[..length].chunks_exact(8);
        Some((words.map(|w| u64::from_ne_bytes(w.try_into().expect("8 bytes"))).collect(), fds))
    }

    /// Waits until the other end has closed; returns false if it has not when the time is over. What comes is dropped.
    #[must_use]
    pub fn ends_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            if self.datagram(deadline).is_none() {
                return Instant::now() < deadline;
            }
        }
    }
}

/// Waits until `fd` is readable; `None` at the deadline.
fn wait(fd: BorrowedFd<'_>, deadline: Instant) -> Option<()> {
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        let left = Timespec::try_from(left).expect("a short time");
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)) {
            Ok(0) => return None,
            Ok(_) => return Some(()),
            Err(Errno::INTR) => {}
            Err(errno) => panic!("poll: {errno}"),
        }
    }
}
