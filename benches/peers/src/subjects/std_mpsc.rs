//! `std::sync::mpsc`: a bounded channel for each direction.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::typed::{self, Carrier, Payload};
use crate::load::Inbox;
use crate::subject::{Candidate, End, Result};

pub(crate) const CANDIDATES: &[Candidate] =
    &[Candidate::between_threads("std mpsc", |_, cores| {
        Ok(Box::new(move |load: &_| typed::run::<Channels>(cores, load)))
    })];

struct Channels;

impl Carrier for Channels {
    type End<P: Payload> = ChannelEnd<P>;

    fn pair<P: Payload>() -> (ChannelEnd<P>, ChannelEnd<P>) {
        let (to_peer, from_leader) = sync_channel(P::DEPTH);
        let (to_leader, from_peer) = sync_channel(P::DEPTH);
        (ChannelEnd { tx: to_peer, rx: from_peer }, ChannelEnd { tx: to_leader, rx: from_leader })
    }
}

struct ChannelEnd<P> {
    tx: SyncSender<P>,
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
