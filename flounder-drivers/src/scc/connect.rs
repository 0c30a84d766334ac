//! Connecting two ends over the real machine.

use std::sync::Arc;

use flounder_rt::channel::{CapInbox, Channel, ConnectError, End, Link, Offered, SendPair, Terms};

use super::cache::Caches;
use super::channel::SccChannel;
use super::hardware::Doorbell;
use super::machine::Machine;
use super::ring::Ring;
use super::{ends, pages};
use crate::bell::{Bell, Slot};
use crate::caps::{Caps, Route};
use crate::link::Held;
use crate::link::{Half, Region, Shared};
use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::seal::{accept_region, create_sealed};

pub(super) fn pair(caches: Caches, client: &End, service: &End) -> Result<SendPair, ConnectError> {
    let (client_own, client_peer) = region(client)?;
    let (service_own, service_peer) = region(service)?;
    let [client_bell, service_bell] =
        [client, service].map(|end| Doorbell::new(end.notifier.clone()));
    let ropes = [&client_bell, &service_bell].map(|bell| Bell::Here(bell.rope()));
    let [to_client, to_service] = ropes;
    let a = Machine::new(caches, client_own, service_peer, to_service, client_bell, None);
    let b = Machine::new(caches, service_own, client_peer, to_client, service_bell, None);
    Ok(ends((a, client), (b, service)))
}

pub(super) fn offer(
    end: &End,
    link: &Arc<dyn Link>,
) -> Result<(Terms, Box<dyn Offered>), ConnectError> {
    let (half, terms) = MyHalf::new(end, link, &Shared::over(link)?)?;
    Ok((terms, Box::new(half)))
}

pub(super) fn accept(
    end: &End,
    link: &Arc<dyn Link>,
    offer: Terms,
) -> Result<(Box<dyn Channel + Send>, Terms), ConnectError> {
    let shared = Shared::over(link)?;
    let theirs = shared.take(offer, |_| Ok(()))?;
    let (mine, terms) = MyHalf::new(end, link, &shared)?;
    Ok((mine.join(theirs), terms))
}

/// The half of a channel that this process has made.
struct MyHalf {
    caches: Caches,
    shared: Arc<Shared>,
    link: Arc<dyn Link>,
    connection: u64,
    lines: MappedOwn,
    region: Region,
    bell: Arc<Doorbell>,
    slot: Slot,
    inbox: Arc<CapInbox>,
}

impl MyHalf {
    fn new(
        end: &End,
        link: &Arc<dyn Link>,
        shared: &Arc<Shared>,
    ) -> Result<(Self, Terms), ConnectError> {
        let caches = caches()?;
        let (lines, fd, inode) = create_sealed(pages(end))?;
        let region = shared.claim(inode)?;
        let bell = Doorbell::new(end.notifier.clone());
        let slot = shared.enter(bell.rope());
        let terms = shared.terms(fd, &slot)?;
        let inbox = Arc::new(CapInbox::new(end.notifier.clone()));
        link.expect_caps(end.connection, &inbox);
        let (shared, link, connection) = (Arc::clone(shared), Arc::clone(link), end.connection);
        let half = Self { caches, shared, link, connection, lines, region, bell, slot, inbox };
        Ok((half, terms))
    }

    fn join(self, theirs: Half) -> Box<dyn Channel + Send> {
        let route = Route::There { link: self.link, connection: self.connection };
        let held = Held { slot: self.slot, _regions: [self.region, theirs.region] };
        let machine = Machine::new(
            self.caches,
            self.lines,
            theirs.theirs,
            theirs.bell,
            self.bell,
            Some(held),
        );
        Box::new(SccChannel::new(Ring::new(machine), Caps::new(route, self.inbox)))
    }
}

impl Offered for MyHalf {
    fn complete(self: Box<Self>, answer: Terms) -> Result<Box<dyn Channel + Send>, ConnectError> {
        let theirs = self.shared.take(answer, |_| Ok(()))?;
        Ok(self.join(theirs))
    }
}

fn caches() -> Result<Caches, ConnectError> {
    Caches::of_this_machine().ok_or(ConnectError::Reach)
}

/// A region of this process, for its writer and its reader.
fn region(end: &End) -> Result<(MappedOwn, MappedPeer), ConnectError> {
    let (own, fd, _) = create_sealed(pages(end))?;
    Ok((own, accept_region(fd)?.lines))
}
