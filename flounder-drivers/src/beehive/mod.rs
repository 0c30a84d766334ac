//! Messages over message hardware, as Beehive has it: thirteen cores on a ring, a receive FIFO for each, and no flow control.
//!
//! There is no such machine to run on any more. So the driver is written against what the hardware does ([`hardware`]), and
//! models stand in for it: [`fabric`] between the threads of a process, [`wire`] in shared memory between two processes.
//! A model finds out when a FIFO is full, which would hang the machine. The driver never lets that happen.
//!
//! ```text
//!  channel      messages as frames of up to 58 words of 32 bits       window in words, per channel        channel, frame, window
//!  kernel       frames to associations, 32 for each core              credit in words, per pair of cores  kernel, credit
//!  hardware     messages of up to 63 words, FIFO of 1024              none                                fabric, wire
//! ```
//!
//! Two threads of a process get two cores of a board (a fabric); two processes have a machine of two cores between them, with
//! 32 channels at most. Capabilities go by the brokers, as for ump.
//!
//! *Sleeping.* Beehive polls. Here a core whose ends all sleep asks for an interrupt: within a process the sender's thread
//! then takes in the message in its place, between processes the bell of ump rings.
//!
//! *Errors.* A peer that breaks the format of frames ends its channel. One that breaks the rules between cores (credit, the
//! FIFO) ends all channels of that pair. That a peer has *died* the broker tells. A call from a forked child gives `ECHILD`.

use std::sync::Arc;

use flounder_rt::channel::{
    Channel, ConnectError, Connector, End, Link, Offer, PendingOffer, SendPair,
};

#[doc(hidden)]
pub mod board;
mod channel;
#[doc(hidden)]
pub mod credit;
mod endpoint;
#[doc(hidden)]
pub mod fabric;
#[doc(hidden)]
pub mod frame;
pub mod hardware;
mod kernel;
mod link;
mod node;
#[doc(hidden)]
pub mod window;
#[doc(hidden)]
pub mod wire;

pub use kernel::ASSOCIATIONS;

use crate::caps::Caps;
use channel::{BeehiveChannel, Machine};
use endpoint::Peer;
use link::{Half, Shared};
use window::{DEFAULT_WINDOW, MAX_WINDOW, MIN_WINDOW};

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
        let (half, terms) = MyHalf::new(end, link, Shared::over(link)?)?;
        Ok((terms, Box::new(half)))
    }

    fn accept(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
        offer: Offer,
    ) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
        let shared = Shared::over(link)?;
        let theirs = shared.take(offer)?;
        let (mine, terms) = MyHalf::new(end, link, shared)?;
        Ok((mine.join(&theirs), terms))
    }
}

/// The half of a channel to another process that this one has made.
struct MyHalf {
    /// For what this end sends.
    window: u16,
    caps: Caps,
    place: Place,
}

/// An association without a channel, given up when dropped.
struct Place {
    shared: Arc<Shared>,
    association: u16,
    /// Whether a channel has taken it over.
    taken: bool,
}

impl MyHalf {
    fn new(
        end: &End,
        link: &Arc<dyn Link>,
        shared: Arc<Shared>,
    ) -> Result<(Self, Offer), ConnectError> {
        let association = shared.node().open(&end.notifier)?;
        let place = Place { shared, association, taken: false };
        let window = window_of(end);
        let terms = place.shared.terms(association, window)?;
        Ok((Self { window, caps: Caps::over(link, end), place }, terms))
    }

    fn join(mut self, theirs: &Half) -> Box<dyn Channel + Send> {
        let Place { shared, association, taken } = &mut self.place;
        *taken = true;
        let peer = Peer { core: wire::THERE, association: theirs.association };
        let node = Arc::clone(shared.node());
        node.connect(*association, peer, self.window, theirs.window);
        let machine = Machine::There(Arc::clone(shared));
        Box::new(BeehiveChannel::new(node, *association, self.caps, machine))
    }
}

impl PendingOffer for MyHalf {
    fn complete(self: Box<Self>, answer: Offer) -> Result<Box<dyn Channel + Send>, ConnectError> {
        let theirs = self.place.shared.take(answer)?;
        Ok(self.join(&theirs))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.taken {
            self.shared.node().abandon(self.association);
        }
    }
}

/// The window, in words of 32 bits, for what this end sends.
fn window_of(end: &End) -> u16 {
    match end.buffer {
        0 => DEFAULT_WINDOW,
        bytes => {
            u16::try_from(bytes / 4).map_or(MAX_WINDOW, |words| words.clamp(MIN_WINDOW, MAX_WINDOW))
        }
    }
}
