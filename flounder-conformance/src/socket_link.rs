//! A link to another process over a socket.

use std::any::Any;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use flounder_rt::account::Account;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{CapEvent, CapInbox, CapRefusal, Link, MAX_CAPS, Offer};

use flounder_rt::closer::Origin;

use crate::broker_state::BrokerState;

/// A link between two processes of a test, over a `SOCK_SEQPACKET` socket of which each has an end.
/// It does what two brokers do, and no more.
#[derive(Debug)]
pub struct SocketLink {
    socket: OwnedFd,
    broker: BrokerState,
    /// Queue of the thread that sends capabilities.
    outgoing: Sender<(u64, u64, Vec<Cap>)>,
}

impl SocketLink {
    /// Returns this process's end.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Arc<Self> {
        let (outgoing, capabilities) = channel();
        let link = Arc::new(Self { socket, broker: BrokerState::default(), outgoing });
        let sender = Arc::downgrade(&link);
        // As the monitors do, in a thread of its own: what a driver has handed over is not sent yet.
        thread::spawn(move || {
            for (connection, sequence, caps) in capabilities {
                let Some(link) = sender.upgrade() else { return };
                link.transmit(connection, sequence, &caps);
            }
        });
        link
    }

    fn transmit(&self, connection: u64, sequence: u64, caps: &[Cap]) {
        let words = [connection, sequence];
        self.broker.transfer(|| {
            let sent = transmit(self.socket.as_fd(), bytemuck::cast_slice(&words), caps);
            if let (Ok(()), Some(inbox)) = (sent, self.broker.inbox(connection)) {
                inbox.note_sent(sequence);
            }
        });
    }

    /// Sends words and capabilities.
    ///
    /// # Panics
    /// If the other process is gone.
    pub fn put(&self, words: &[u64], caps: &[Cap]) {
        transmit(self.socket.as_fd(), bytemuck::cast_slice(words), caps)
            .expect("the other process lives");
    }

    /// Receives what [`put`](Self::put) sent; `None` if the other process is gone. Not to be called
    /// after [`serve`](Self::serve).
    #[must_use]
    pub fn get(&self) -> Option<Offer> {
        let mut words = [0_u64; 32];
        let (read, caps) =
            receive(self.socket.as_fd(), bytemuck::cast_slice_mut(&mut words)).ok()?;
        (read > 0).then(|| Offer { words: words[..read / 8].to_vec(), caps })
    }

    /// Starts a thread that delivers capabilities to their channels until the other process ends.
    pub fn serve(self: &Arc<Self>) {
        let link = Arc::clone(self);
        thread::spawn(move || {
            while let Some(Offer { words, caps }) = link.get() {
                if let Some(inbox) = link.broker.inbox(words[0]) {
                    inbox.put(CapEvent::Arrived(words[1], caps));
                }
            }
        });
    }
}

impl Link for SocketLink {
    fn account(&self) -> &Account {
        self.broker.account()
    }

    fn origin(&self) -> &Origin {
        &Origin::LOCAL
    }

    fn send_caps(&self, connection: u64, sequence: u64, caps: Vec<Cap>) -> Result<(), CapRefusal> {
        self.outgoing.send((connection, sequence, caps)).map_err(|_| CapRefusal::LinkLost)
    }

    fn finish_transfer(&self) {
        self.broker.finish_transfer();
    }

    fn expect_caps(&self, connection: u64, inbox: &Arc<CapInbox>) {
        self.broker.expect_caps(connection, inbox);
    }

    /// Does nothing: no binding of these tests waits for the report.
    fn closed(&self, _connection: u64) {}

    fn state(
        &self,
        name: &'static str,
        make: &mut dyn FnMut() -> io::Result<Arc<dyn Any + Send + Sync>>,
    ) -> io::Result<Arc<dyn Any + Send + Sync>> {
        self.broker.state(name, make)
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
