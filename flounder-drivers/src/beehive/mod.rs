//! Messages over message hardware, as Beehive has it: thirteen cores on a ring, a receive FIFO for each, and no flow control.
//!
//! No such machine exists any more. So the driver is written against a description of the hardware ([`hardware`]), and models
//! stand in for it: `fabric` between the threads of a process, `memory_port` in shared memory between two processes. A model
//! detects a full FIFO, which would hang the machine. The driver never lets a FIFO fill up.
//!
//! ```text
//!  channel      messages as frames of up to 58 words of 32 bits       window in words, per channel        channel, frame, window
//!  kernel       frames to associations, 32 for each core              credit in words, per pair of cores  kernel, credit
//!  hardware     messages of up to 63 words, FIFO of 1024              none                                fabric, memory_port
//! ```
//!
//! Two threads of a process get two cores of a board (a fabric); two processes have a machine of two cores between them, with
//! 32 channels at most. Capabilities go through the brokers, as for ump.
//!
//! *Sleeping.* Beehive polls. Here a core whose ends all sleep requests an interrupt: within a process the sender's thread
//! then takes in the message for it, between processes the doorbell of ump rings.
//!
//! *Errors.* A peer that breaks the format of frames ends its channel. One that breaks the rules between cores (credit, the
//! FIFO) ends all channels of that pair. The broker reports that a peer has *died*. A call from a forked child fails with
//! `ECHILD`.

use std::sync::Arc;

use flounder_rt::channel::{
    Channel, ConnectError, Connector, End, Link, Offer, PendingOffer, SendPair,
};
use flounder_rt::waitset::Watched;

pub(crate) mod board;
mod channel;
mod core_pair;
pub(crate) mod credit;
mod endpoint;
pub(crate) mod fabric;
pub(crate) mod frame;
pub mod hardware;
mod kernel;
pub(crate) mod memory_port;
mod node;
pub(crate) mod window;

pub use kernel::ASSOCIATIONS;

use crate::caps::Caps;
use channel::BeehiveChannel;
use core_pair::{CorePair, PeerTerms};
use endpoint::PeerAddress;
use node::CoreOwner;
use window::window_of;

const NAME: &str = "beehive";

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Beehive;

impl Connector for Beehive {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pair(&self, client: &End, service: &End) -> Result<SendPair, ConnectError> {
        board::connect(client, service)
    }

    fn offer(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
    ) -> Result<(Offer, Box<dyn PendingOffer>), ConnectError> {
        let (half, terms) = LocalHalf::new(end, link, CorePair::over(link)?)?;
        Ok((terms, Box::new(half)))
    }

    fn accept(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
        offer: Offer,
    ) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
        let pair = CorePair::over(link)?;
        let theirs = pair.take(offer)?;
        let (mine, terms) = LocalHalf::new(end, link, pair)?;
        Ok((mine.join(&theirs), terms))
    }
}

/// The half of a channel to another process that this process has made.
struct LocalHalf {
    /// Window for what this end sends.
    window: u16,
    caps: Caps,
    open: OpenAssociation,
}

/// An association without a channel, given up when dropped.
struct OpenAssociation {
    pair: Arc<CorePair>,
    association: u16,
    /// True once a channel has taken it over.
    taken: bool,
}

impl LocalHalf {
    fn new(
        end: &End,
        link: &Arc<dyn Link>,
        pair: Arc<CorePair>,
    ) -> Result<(Self, Offer), ConnectError> {
        let association = pair.node().open(&end.notifier)?;
        let open = OpenAssociation { pair, association, taken: false };
        let window = window_of(end);
        let terms = open.pair.terms(association, window)?;
        Ok((Self { window, caps: Caps::over(link, end), open }, terms))
    }

    fn join(mut self, theirs: &PeerTerms) -> Box<dyn Channel + Send> {
        let OpenAssociation { pair, association, taken } = &mut self.open;
        *taken = true;
        let peer = PeerAddress { core: memory_port::OTHER_CORE, association: theirs.association };
        let node = Arc::clone(pair.node());
        node.connect(*association, peer, self.window, theirs.window);
        let doorbell = Arc::clone(pair.receiver()) as Arc<dyn Watched>;
        let owner = Arc::clone(pair) as Arc<dyn CoreOwner>;
        Box::new(BeehiveChannel::new(node, *association, self.caps, owner, Some(doorbell)))
    }
}

impl PendingOffer for LocalHalf {
    fn complete(self: Box<Self>, answer: Offer) -> Result<Box<dyn Channel + Send>, ConnectError> {
        let theirs = self.open.pair.take(answer)?;
        Ok(self.join(&theirs))
    }
}

impl Drop for OpenAssociation {
    fn drop(&mut self) {
        if !self.taken {
            self.pair.node().abandon(self.association);
        }
    }
}
