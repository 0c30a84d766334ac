//! Peers in processes of their own: this program again, with a socket as its standard input.
//!
//! ```text
//! leader                                   peer
//!   greeting, descriptors  ----------->      creates its end, or serves until its leader ends
//!                          <-----------   ready
//!   load                   ----------->      prepares its end
//!                          <-----------   ready
//!      ... the load itself, over the subject ...
//!                          <-----------   done
//! ```
//! In place of any of its lines the peer may send an error, and end. Between loads the peer is blocked in this module and
//! uses no processor time.

use std::env;
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::load::Load;
use crate::machine::Cores;
use crate::subject::{Candidate, End, Error, Result, Subject, follow, lead};

/// Command line option that makes this program a peer; the id of the candidate follows.
pub(crate) const PEER: &str = "--peer";

const READY: &str = "ready";
const DONE: &str = "done";
/// Maximum number of descriptors in a greeting.
const MAX_FDS: usize = 2;
/// Length of a greeting in bytes.
const MAX_GREETING: usize = 200;

/// Longest time for a peer to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// The leader's handle to a peer. Dropping the handle ends the peer, by force if it does not end itself.
pub(crate) struct Peer {
    child: Child,
    control: BufReader<UnixStream>,
}

impl Peer {
    /// Starts the peer of a candidate and waits until it is ready.
    ///
    /// # Errors
    /// Fails if the peer cannot be started; returns the peer's error if it cannot get ready.
    pub(crate) fn start(
        candidate: &Candidate,
        cores: Cores,
        greeting: &str,
        fds: &[OwnedFd],
    ) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(env::current_exe()?)
            .args([PEER, &candidate.id(), "--cores", &cores.to_string()])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        let mut peer = Self { child, control: BufReader::new(ours) };

        let greeting = format!("{greeting}\n");
        if greeting.len() > MAX_GREETING {
            return Err("the greeting is too long".into());
        }
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err("too many descriptors for a greeting".into());
        }
        let message = [IoSlice::new(greeting.as_bytes())];
        sendmsg(peer.control.get_ref(), &message, &mut ancillary, SendFlags::empty())?;
        peer.expect(READY)?;
        Ok(peer)
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.control.get_mut(), "{line}")
    }

    fn expect(&mut self, expected: &str) -> Result {
        let mut line = String::new();
        self.control.read_line(&mut line)?;
        match line.trim_end() {
            line if line == expected => Ok(()),
            "" => Err("the peer died".into()),
            said => Err(format!("the peer says: {said}").into()),
        }
    }

    /// Returns the reason why a load failed: the peer's error if it has sent one, because that is often the cause; `error`
    /// otherwise.
    pub(crate) fn blame(&mut self, error: Error) -> Error {
        let asked = self.control.get_ref().set_read_timeout(Some(FAREWELL));
        let mut line = String::new();
        match asked.and_then(|()| self.control.read_line(&mut line)) {
            Ok(_) if !line.is_empty() => format!("the peer says: {}", line.trim_end()).into(),
            _ => error,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The peer ends when its socket closes. Errors can be ignored: a peer that stays is killed, one that has ended is
        // only reaped.
        let control = self.control.get_ref();
        let _ = control.shutdown(Shutdown::Write);
        let _ = control.set_read_timeout(Some(FAREWELL));
        let _ = io::copy(&mut self.control, &mut io::sink());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A subject that is one [`End`] here and another in the peer's process.
pub(crate) struct Across<E> {
    end: E,
    peer: Peer,
}

impl<E: End + 'static> Across<E> {
    pub(crate) const fn new(end: E, peer: Peer) -> Self {
        Self { end, peer }
    }
}

impl<E: End> Subject for Across<E> {
    fn run(&mut self, load: &Load) -> Result<Duration> {
        self.end.prepare(load)?;
        self.peer.say(&load.to_string())?;
        self.peer.expect(READY)?;
        let time = lead(&mut self.end, load).map_err(|error| self.peer.blame(error))?;
        self.peer.expect(DONE)?;
        Ok(time)
    }
}

/// What a peer has from its leader: the socket and the descriptors.
pub(crate) struct Seat {
    pub(crate) greeting: String,
    pub(crate) fds: Vec<OwnedFd>,
    control: BufReader<UnixStream>,
}

impl Seat {
    /// Runs the peer in this process. Errors are sent to the leader.
    ///
    /// # Errors
    /// Fails if standard input is no socket to a leader.
    pub(crate) fn serve(serve: fn(Self) -> Result) -> Result {
        let seat = Self::take()?;
        let mut leader = seat.control.get_ref().try_clone()?;
        // Ignore an error: the leader has ended.
        let _ = serve(seat).or_else(|error| writeln!(leader, "{error}"));
        Ok(())
    }

    fn take() -> Result<Self> {
        // A peer that polls would not notice the end of its leader.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);

        let mut bytes = [0; MAX_GREETING];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(&mut bytes)];
        let length = recvmsg(&control, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes;
        let fds = ancillary.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
            _ => Vec::new(),
        });
        let fds = fds.collect();
        let greeting = String::from_utf8_lossy(&bytes[..length]).trim_end().to_owned();
        Ok(Self { greeting, fds, control: BufReader::new(control) })
    }

    /// Reports to the leader that the peer is ready.
    ///
    /// # Errors
    /// Fails if the leader has ended.
    pub(crate) fn ready(&mut self) -> io::Result<()> {
        self.say(READY)
    }

    /// Carries the leader's loads over `end` until the leader ends.
    ///
    /// # Errors
    /// Returns the errors of `end`.
    pub(crate) fn follow(mut self, mut end: impl End) -> Result {
        self.ready()?;
        let mut line = String::new();
        while self.control.read_line(&mut line)? > 0 {
            let load: Load = line.trim_end().parse()?;
            line.clear();
            end.prepare(&load)?;
            self.ready()?;
            follow(&mut end, &load)?;
            self.say(DONE)?;
        }
        Ok(())
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.control.get_mut(), "{line}")
    }
}
