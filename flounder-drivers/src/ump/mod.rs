//! Messages over rings of 64-byte lines in memory: between threads, or between processes.
//!
//! A channel is two rings, one in each direction, and each ring has one writer; between processes
//! the kernel enforces it. A line is seven words of payload and a header, which is written last and
//! read first. `docs/wire.md` has the format.
//!
//! A channel between processes holds no descriptor: its memory is mapped, and all channels to one
//! process share one doorbell. Capabilities go through the brokers; the line carries the number of
//! capabilities of its message, and the message is complete when they have arrived.
//!
//! *Sleeping.* An end that finds nothing publishes in its control line that it sleeps, runs a
//! barrier, looks once more, and then sleeps. The other end reads that control line after each
//! line that it publishes, and rings once for each sleep. A wake-up ends one sleep: an end that
//! sleeps again arms again.
//!
//! *Errors.* A peer that breaks the format ends the channel with [`ChannelError::Protocol`]. Memory
//! does not show that a peer has *died*; the broker reports it. In a forked child, calls return
//! `ECHILD`.
//!
//! [`ChannelError::Protocol`]: flounder_rt::channel::ChannelError::Protocol

use std::sync::Arc;

use flounder_rt::barrier;
use flounder_rt::channel::{
    Channel, ConnectError, Connector, End, Link, Offer, PendingOffer, SendPair,
};
use flounder_rt::notify::Notifier;

use crate::caps::Caps;
use crate::doorbell::Doorbell;
use crate::mem::LINE_WORDS;
use crate::mem::heap;
use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::seal::{MAX_REGION, PAGE};
use crate::process_pair::{JoinedHalves, LocalHalf, PeerHalf, ProcessPair};

mod channel;
pub(crate) mod line;
pub(crate) mod ring;
mod signalled_ring;

use channel::UmpChannel;
use ring::Ring;

const NAME: &str = "ump";

/// Default size of a ring in bytes: 1022 lines of data.
pub const DEFAULT_BUFFER: usize = 64 << 10;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Ump;

impl Connector for Ump {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pair(&self, client: &End, service: &End) -> Result<SendPair, ConnectError> {
        Ok(pair(client, service, 0))
    }

    fn offer(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
    ) -> Result<(Offer, Box<dyn PendingOffer>), ConnectError> {
        let (half, terms) = UmpHalf::new(end, link, pages(end))?;
        Ok((terms, Box::new(half)))
    }

    fn accept(
        &self,
        end: &End,
        link: &Arc<dyn Link>,
        offer: Offer,
    ) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
        let theirs = ProcessPair::over(link)?.take(offer, check)?;
        let (mine, terms) = UmpHalf::new(end, link, pages(end).min(theirs.pages()))?;
        Ok((mine.join(theirs), terms))
    }
}

/// The driver, with positions of its rings that start at this number: for tests of their
/// wrap-around.
#[derive(Debug, Clone, Copy)]
pub struct StartingAt(pub u64);

impl Connector for StartingAt {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pair(&self, client: &End, service: &End) -> Result<SendPair, ConnectError> {
        Ok(pair(client, service, self.0))
    }
}

/// Returns both ends of a channel within this process, with positions that start at `start`.
fn pair(client: &End, service: &End, start: u64) -> SendPair {
    barrier::register();
    let (client_own, client_peer) = heap::allocate(lines(client));
    let (service_own, service_peer) = heap::allocate(lines(service));
    let [client_caps, service_caps] = Caps::between(client, service);
    let fences = barrier::senders_fence();
    let a = UmpChannel::new(
        Ring::starting_at(client_own, service_peer, fences, start),
        Doorbell::local(service.notifier.clone()),
        &client.notifier,
        client_caps,
        None,
    );
    let b = UmpChannel::new(
        Ring::starting_at(service_own, client_peer, fences, start),
        Doorbell::local(client.notifier.clone()),
        &service.notifier,
        service_caps,
        None,
    );
    (Box::new(a), Box::new(b))
}

/// The half of a channel that this process has made.
struct UmpHalf {
    half: LocalHalf,
    notifier: Notifier,
}

impl UmpHalf {
    fn new(end: &End, link: &Arc<dyn Link>, pages: usize) -> Result<(Self, Offer), ConnectError> {
        barrier::register();
        let (half, terms) =
            LocalHalf::new(end, link, end.notifier.clone(), pages, ring::initialize)?;
        Ok((Self { half, notifier: end.notifier.clone() }, terms))
    }

    fn join(self, theirs: PeerHalf) -> Box<dyn Channel + Send> {
        let JoinedHalves { mine, theirs, doorbell, caps, resources } = self.half.join(theirs);
        let ring = Ring::new(mine, theirs, barrier::senders_fence());
        Box::new(UmpChannel::new(ring, doorbell, &self.notifier, caps, Some(resources)))
    }
}

impl PendingOffer for UmpHalf {
    fn complete(self: Box<Self>, answer: Offer) -> Result<Box<dyn Channel + Send>, ConnectError> {
        let theirs = self.half.take(answer, check)?;
        Ok(self.join(theirs))
    }
}

/// Checks that a region is a ring.
fn check(theirs: &MappedPeer) -> Result<(), &'static str> {
    Ring::<MappedOwn, MappedPeer>::check(theirs)
}

/// Returns the pages of the ring that this end writes.
fn pages(end: &End) -> usize {
    let bytes = if end.buffer == 0 { DEFAULT_BUFFER } else { end.buffer };
    bytes.clamp(1, MAX_REGION).div_ceil(PAGE)
}

/// Returns the lines of the ring that this end writes.
fn lines(end: &End) -> usize {
    pages(end) * PAGE / (LINE_WORDS * 8)
}
