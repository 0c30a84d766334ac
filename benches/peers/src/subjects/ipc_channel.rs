//! ipc-channel: a channel of bytes for each direction, without serialisation.

use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel,
};

use crate::load::Inbox;
use crate::machine::Cores;
use crate::process::{Across, Peer, Seat};
use crate::subject::{Candidate, End, Result, Subject};

pub(crate) const CANDIDATES: &[Candidate] =
    &[Candidate::between_processes("ipc-channel", open, serve)];

/// The leader's ends, as the peer sends them.
type Ends = (IpcBytesSender, IpcBytesReceiver);

fn open(candidate: &Candidate, cores: Cores) -> Result<Box<dyn Subject>> {
    let (server, name) = IpcOneShotServer::<Ends>::new()?;
    let peer = Peer::start(candidate, cores, &name, &[])?;
    let (_, (tx, rx)) = server.accept()?;
    Ok(Box::new(Across::new(BytesEnd { tx, rx }, peer)))
}

fn serve(seat: Seat) -> Result {
    let (to_peer, from_leader) = bytes_channel()?;
    let (to_leader, from_peer) = bytes_channel()?;
    IpcSender::<Ends>::connect(seat.greeting.clone())?.send((to_peer, from_peer))?;
    seat.follow(BytesEnd { tx: to_leader, rx: from_leader })
}

struct BytesEnd {
    tx: IpcBytesSender,
    rx: IpcBytesReceiver,
}

impl End for BytesEnd {
    fn send(&mut self, payload: &[u8]) -> Result {
        Ok(self.tx.send(payload)?)
    }

    fn receive(&mut self, inbox: &mut Inbox) -> Result {
        Ok(inbox.accept(&self.rx.recv()?)?)
    }
}
