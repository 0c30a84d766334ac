//! Connects two ends over the real machine.

use std::os::fd::AsFd as _;
use std::sync::Arc;

use flounder_rt::channel::{Channel, ConnectError, End, Link, Offer, PendingOffer, SendPair};

use super::cache::Caches;
use super::channel::SccChannel;
use super::hardware::DoorbellFlag;
use super::machine::Machine;
use super::ring::Ring;
use super::{ends, pages};
use crate::doorbell::Doorbell;
use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::seal::{PAGE, ReaderMapping as _, create_sealed};
use crate::process_pair::{JoinedHalves, LocalHalf, PeerHalf, ProcessPair};

pub(super) fn pair(caches: Caches, client: &End, service: &End) -> Result<SendPair, ConnectError> {
    let (client_own, client_peer) = region(client)?;
    let (service_own, service_peer) = region(service)?;
    let [client_flag, service_flag] =
        [client, service].map(|end| DoorbellFlag::new(end.notifier.clone()));
    let ringers = [&client_flag, &service_flag].map(|flag| Doorbell::local(flag.ringer()));
    let [to_client, to_service] = ringers;
    let a = Machine::new(caches, client_own, service_peer, to_service, client_flag, None);
    let b = Machine::new(caches, service_own, client_peer, to_client, service_flag, None);
    Ok(ends((a, client), (b, service)))
}

pub(super) fn offer(
    end: &End,
    link: &Arc<dyn Link>,
) -> Result<(Offer, Box<dyn PendingOffer>), ConnectError> {
    let (half, terms) = SccHalf::new(end, link, pages(end))?;
    Ok((terms, Box::new(half)))
}

pub(super) fn accept(
    end: &End,
    link: &Arc<dyn Link>,
    offer: Offer,
) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
    let theirs = ProcessPair::over(link)?.take(offer, |_| Ok(()))?;
    let (mine, terms) = SccHalf::new(end, link, pages(end).min(theirs.pages()))?;
    Ok((mine.join(theirs), terms))
}

/// The half of a channel that this process has made.
struct SccHalf {
    caches: Caches,
    flag: Arc<DoorbellFlag>,
    half: LocalHalf,
}

impl SccHalf {
    fn new(end: &End, link: &Arc<dyn Link>, pages: usize) -> Result<(Self, Offer), ConnectError> {
        let caches = caches()?;
        let flag = DoorbellFlag::new(end.notifier.clone());
        // A region of this driver has no header: it starts as zeroes.
        let (half, terms) = LocalHalf::new(end, link, flag.ringer(), pages, |_| ())?;
        Ok((Self { caches, flag, half }, terms))
    }

    fn join(self, theirs: PeerHalf) -> Box<dyn Channel + Send> {
        let JoinedHalves { mine, theirs, doorbell, caps, resources } = self.half.join(theirs);
        let machine = Machine::new(self.caches, mine, theirs, doorbell, self.flag, Some(resources));
        Box::new(SccChannel::new(Ring::new(machine), caps))
    }
}

impl PendingOffer for SccHalf {
    fn complete(self: Box<Self>, answer: Offer) -> Result<Box<dyn Channel + Send>, ConnectError> {
        let theirs = self.half.take(answer, |_| Ok(()))?;
        Ok(self.join(theirs))
    }
}

fn caches() -> Result<Caches, ConnectError> {
    Caches::of_this_machine().ok_or(ConnectError::Reach)
}

/// Returns a region of this process, for its writer and its reader.
fn region(end: &End) -> Result<(MappedOwn, MappedPeer), ConnectError> {
    let (own, fd, _) = create_sealed(pages(end))?;
    let peer = MappedPeer::map(fd.as_fd(), pages(end) * PAGE)?;
    Ok((own, peer))
}
