//! crossbeam-channel: a bounded channel for each direction; it spins, yields, then parks.

use crossbeam_channel::{Receiver, Sender, bounded};

use super::typed::{self, Carrier, Payload};
use crate::load::Inbox;
use crate::subject::{Candidate, End, Result};

pub(crate) const CANDIDATES: &[Candidate] =
    &[Candidate::between_threads("crossbeam-channel", |_, cores| {
        Ok(Box::new(move |load: &_| typed::run::<Channels>(cores, load)))
    })];

struct Channels;

impl Carrier for Channels {
    type End<P: Payload> = ChannelEnd<P>;

    fn pair<P: Payload>() -> (ChannelEnd<P>, ChannelEnd<P>) {
        let (to_peer, from_leader) = bounded(P::DEPTH);
        let (to_leader, from_peer) = bounded(P::DEPTH);
        (ChannelEnd { tx: to_peer, rx: from_peer }, ChannelEnd { tx: to_leader, rx: from_leader })
    }
}

struct ChannelEnd<P> {
    tx: Sender<P>,
    rx: Receiver<P>,
}

impl<P: Payload> End for ChannelEnd<P> {
    fn send(&mut self, payload: &[u8]) -> Result {
        self.tx.send(P::of(payload)).map_err(|_| "the other end is gone".into())
    }

    fn receive(&mut self, inbox: &mut Inbox) -> Result {
        Ok(inbox.accept(self.rx.recv()?.bytes())?)
    }
}
