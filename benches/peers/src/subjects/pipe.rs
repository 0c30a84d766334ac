//! Two pipes. Both sides know the size of a payload, so there is no framing.

use std::hint::spin_loop;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, read, write};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::load::{Inbox, Load};
use crate::machine::Cores;
use crate::process::{Across, Peer, Seat};
use crate::subject::{Candidate, End, Result, Subject};

pub(crate) const CANDIDATES: &[Candidate] = &[
    Candidate::between_processes(
        "pipe, polled",
        |this, cores| open(this, cores, PipeFlags::NONBLOCK),
        serve,
    ),
    Candidate::between_processes(
        "pipe, blocking",
        |this, cores| open(this, cores, PipeFlags::empty()),
        serve,
    ),
];

fn open(candidate: &Candidate, cores: Cores, flags: PipeFlags) -> Result<Box<dyn Subject>> {
    let (from_leader, to_peer) = pipe_with(flags | PipeFlags::CLOEXEC)?;
    let (from_peer, to_leader) = pipe_with(flags | PipeFlags::CLOEXEC)?;
    let peer = Peer::start(candidate, cores, "", &[from_leader, to_leader])?;
    Ok(Box::new(Across::new(PipeEnd { rx: from_peer, tx: to_peer, buffer: Vec::new() }, peer)))
}

fn serve(mut seat: Seat) -> Result {
    let (Some(tx), Some(rx)) = (seat.fds.pop(), seat.fds.pop()) else {
        return Err("two descriptors are needed".into());
    };
    seat.follow(PipeEnd { rx, tx, buffer: Vec::new() })
}

struct PipeEnd {
    rx: OwnedFd,
    tx: OwnedFd,
    /// Buffer for one payload.
    buffer: Vec<u8>,
}

impl End for PipeEnd {
    fn prepare(&mut self, load: &Load) -> Result {
        self.buffer.resize(load.size, 0);
        Ok(())
    }

    fn send(&mut self, mut payload: &[u8]) -> Result {
        while !payload.is_empty() {
            match write(self.tx.as_fd(), payload) {
                Ok(written) => payload = &payload[written..],
                Err(Errno::AGAIN) => spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn receive(&mut self, inbox: &mut Inbox) -> Result {
        let mut filled = 0;
        while filled < self.buffer.len() {
            match read(self.rx.as_fd(), &mut self.buffer[filled..]) {
                Ok(0) => return Err("the other end is gone".into()),
                Ok(more) => filled += more,
                Err(Errno::AGAIN) => spin_loop(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(inbox.accept(&self.buffer)?)
    }
}
