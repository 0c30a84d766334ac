//! Connecting two ends over the real machine.

use std::sync::Arc;

use flounder_rt::channel::{Channel, ConnectError, End, Link, Offer, PendingOffer, SendPair};

use super::cache::Caches;
use super::channel::SccChannel;
use super::hardware::Doorbell;
use super::machine::Machine;
use super::ring::Ring;
use super::{ends, pages};
use crate::bell::Bell;
use crate::link::{Half, Joined, MyHalf, Shared};
use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::seal::{Size, accept_region, create_sealed};

pub(super) fn pair(caches: Caches, client: &End, service: &End) -> Result<SendPair, ConnectError> {
    let (client_own, client_peer) = region(client)?;
    let (service_own, service_peer) = region(service)?;
    let [client_bell, service_bell] =
        [client, service].map(|end| Doorbell::new(end.notifier.clone()));
    let ropes = [&client_bell, &service_bell].map(|bell| Bell::here(bell.rope()));
    let [to_client, to_service] = ropes;
    let a = Machine::new(caches, client_own, service_peer, to_service, client_bell, None);
    let b = Machine::new(caches, service_own, client_peer, to_client, service_bell, None);
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
    let theirs = Shared::over(link)?.take(offer, |_| Ok(()))?;
    let (mine, terms) = SccHalf::new(end, link, pages(end).min(theirs.pages()))?;
    Ok((mine.join(theirs), terms))
}

/// The half of a channel that this process has made.
struct SccHalf {
    caches: Caches,
    bell: Arc<Doorbell>,
    half: MyHalf,
}

impl SccHalf {
    fn new(end: &End, link: &Arc<dyn Link>, pages: usize) -> Result<(Self, Offer), ConnectError> {
        let caches = caches()?;
        let bell = Doorbell::new(end.notifier.clone());
        // Nothing tells a region of this driver: it is all zeroes.
        let (half, terms) = MyHalf::new(end, link, bell.rope(), pages, |_| ())?;
        Ok((Self { caches, bell, half }, terms))
    }

    fn join(self, theirs: Half) -> Box<dyn Channel + Send> {
        let Joined { mine, theirs, bell, caps, held } = self.half.join(theirs);
        let machine = Machine::new(self.caches, mine, theirs, bell, self.bell, Some(held));
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

/// A region of this process, for its writer and its reader.
fn region(end: &End) -> Result<(MappedOwn, MappedPeer), ConnectError> {
    let (own, fd, _) = create_sealed(pages(end))?;
    Ok((own, accept_region(fd.into(), Size::Any)?.lines))
}
