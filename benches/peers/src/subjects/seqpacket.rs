//! A Unix `SOCK_SEQPACKET` socket with one packet for each payload.

use std::hint::spin_loop;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};

use crate::load::{Inbox, Load};
use crate::machine::Cores;
use crate::process::{Across, Peer, Seat};
use crate::subject::{Candidate, End, Result, Subject};

pub(crate) const CANDIDATES: &[Candidate] = &[
    Candidate::between_processes("Unix seqpacket, polled", open::<true>, serve::<true>)
        .carrying(LENGTHS),
    Candidate::between_processes("Unix seqpacket, blocking", open::<false>, serve::<false>)
        .carrying(LENGTHS),
];

/// A packet must fit into the default buffer of a socket.
const LENGTHS: RangeInclusive<usize> = 0..=64 << 10;

fn open<const POLLED: bool>(candidate: &Candidate, cores: Cores) -> Result<Box<dyn Subject>> {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let peer = Peer::start(candidate, cores, "", &[theirs])?;
    Ok(Box::new(Across::new(SocketEnd::<POLLED> { socket: ours, buffer: Vec::new() }, peer)))
}

fn serve<const POLLED: bool>(mut seat: Seat) -> Result {
    let socket = seat.fds.pop().ok_or("a socket is needed")?;
    seat.follow(SocketEnd::<POLLED> { socket, buffer: Vec::new() })
}

struct SocketEnd<const POLLED: bool> {
    socket: OwnedFd,
    /// Buffer for one payload.
    buffer: Vec<u8>,
}

impl<const POLLED: bool> End for SocketEnd<POLLED> {
    fn prepare(&mut self, load: &Load) -> Result {
        self.buffer.resize(load.size, 0);
        Ok(())
    }

    fn send(&mut self, payload: &[u8]) -> Result {
        let flags = if POLLED { SendFlags::DONTWAIT } else { SendFlags::empty() };
        while let Err(error) = send(&self.socket, payload, flags | SendFlags::NOSIGNAL) {
            match error {
                Errno::AGAIN if POLLED => spin_loop(),
                error => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn receive(&mut self, inbox: &mut Inbox) -> Result {
        let flags = if POLLED { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
        loop {
            match recv(&self.socket, &mut self.buffer[..], flags) {
                Ok((0, _)) => return Err("the other end is gone".into()),
                Ok((length, _)) => return Ok(inbox.accept(&self.buffer[..length])?),
                Err(Errno::AGAIN) if POLLED => spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
