//! A link to another process over a socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use flounder_rt::cap::Cap;
use flounder_rt::channel::{CapEvent, CapRefusal, MAX_CAPS, Offer};

use crate::link::{BrokerLink, Carrier};

/// A link between two processes of a test, over a `SOCK_SEQPACKET` socket of which each has an end. A thread sends the
/// capabilities, as in the monitors: when a driver has handed them over, they are not sent yet.
pub type SocketLink = BrokerLink<Socket>;

/// Carries capabilities to another process.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Carrier for Socket {
    fn carry(&self, connection: u64, sequence: u64, caps: Vec<Cap>) -> Result<(), CapRefusal> {
        let words = [connection, sequence];
        transmit(self.0.as_fd(), bytemuck::cast_slice(&words), &caps)
            .map_err(|_| CapRefusal::LinkLost)
    }
}

impl SocketLink {
    /// Returns this process's end.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Arc<Self> {
        let link = Arc::new(Self::over(Socket(socket)));
        link.send_by_thread(Duration::ZERO);
        link
    }

    /// Sends words and capabilities.
    ///
    /// # Panics
    /// If the other process is gone.
    pub fn put(&self, words: &[u64], caps: &[Cap]) {
        transmit(self.carrier.0.as_fd(), bytemuck::cast_slice(words), caps)
            .expect("the other process lives");
    }

    /// Receives what [`put`](Self::put) sent; `None` if the other process is gone. Not to be called
    /// after [`serve`](Self::serve).
    #[must_use]
    pub fn get(&self) -> Option<Offer> {
        let mut words = [0_u64; 32];
        let (read, caps) =
            receive(self.carrier.0.as_fd(), bytemuck::cast_slice_mut(&mut words)).ok()?;
        (read > 0).then(|| Offer { words: words[..read / 8].to_vec(), caps })
    }

    /// Starts a thread that delivers capabilities to their channels until the other process ends.
    pub fn serve(self: &Arc<Self>) {
        let link = Arc::clone(self);
        thread::spawn(move || {
            while let Some(Offer { words, caps }) = link.get() {
                if let Some(inbox) = link.inbox(words[0]) {
                    inbox.put(CapEvent::Arrived(words[1], caps));
                }
            }
        });
    }
}

/// Sends bytes with capabilities.
pub(crate) fn transmit(socket: BorrowedFd<'_>, bytes: &[u8], caps: &[Cap]) -> io::Result<()> {
    let fds: Vec<BorrowedFd<'_>> = caps.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_CAPS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)), "there are not so many");
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives bytes and capabilities. Returns the number of bytes.
pub(crate) fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<Cap>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_CAPS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    assert!(!received.flags.contains(ReturnFlags::CTRUNC), "no capability is cut off");
    let mut caps = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            caps.extend(fds.map(Cap::from));
        }
    }
    Ok((received.bytes, caps))
}
