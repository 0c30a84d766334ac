//! Binds of clients of this process to services of others.
//!
//! The root finds the service's domain and introduces a link to it, both once. Everything else goes
//! over the link: an offer and its answer for each driver in turn.

use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use flounder_rt::account::{Charge, Resource};
use flounder_rt::bind::{BindError, BindRefusal, BindRequest, BrokerError, Lacking, Side};
use flounder_rt::channel::{Channel, ConnectError, Connector, End, Link};
use flounder_rt::notify::Notifier;
use flounder_rt::{Interface, Iref, Peer, peer};

use crate::error::MonitorError;
use crate::limit::Progress;
use crate::link::{Bound, ClientInfo, MAX_DRIVER_NAME, MAX_TERMS, PeerLink, Request};
use crate::monitor::Monitor;
use crate::name::{Awaited, RequestError};
use crate::protocol::intermon::Health;
use crate::protocol::monitor::Verdict;
use crate::{oneshot, services};

/// Maximum number of binds of this domain in progress.
const MAX_BINDS: usize = 1024;

/// Delays before each attempt, if the link ends during the one before: the root may learn later
/// than this domain that a process has died.
const RETRY_DELAYS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(200),
];

/// Maximum number of services whose domains are remembered.
const MAX_SERVICE_DOMAINS: usize = 4096;

/// Time that an introduction may take after the root has announced it.
const INTRODUCTION_DEADLINE: Duration = Duration::from_secs(1);

/// A finished end of a client.
struct ClientEnd {
    channel: Box<dyn Channel + Send>,
    notifier: Notifier,
    peer: Peer,
    charge: Charge,
}

/// A bind that waits until another one ends.
pub(super) struct QueuedBind {
    request: BindRequest,
    drivers: Vec<&'static dyn Connector>,
}

/// Result of an attempt over one link.
enum Attempt {
    Made(ClientEnd),
    Failed(BindError),
    /// The link ended.
    LinkLost,
}

impl Monitor {
    /// Binds, and sends the result to the request's reply. A bind beyond [`MAX_BINDS`] waits until
    /// another one ends.
    pub(crate) fn bind(
        self: &Rc<Self>,
        request: BindRequest,
        drivers: Vec<&'static dyn Connector>,
    ) {
        let queued = QueuedBind { request, drivers };
        if self.binds.get() < MAX_BINDS {
            self.begin_bind(queued);
        } else {
            self.binds_waiting.borrow_mut().push_back(queued);
        }
    }

    fn begin_bind(self: &Rc<Self>, queued: QueuedBind) {
        self.binds.set(self.binds.get() + 1);
        let me = Rc::clone(self);
        let task = async move {
            let QueuedBind { request, drivers } = queued;
            let BindRequest { iref, interface, deadline, buffer, reply, .. } = request;
            let making = Box::pin(me.make_end(iref, interface, buffer, &drivers));
            let made = match deadline {
                Some(deadline) => me.waitset.deadline(deadline, making).await,
                None => Ok(making.await),
            };
            me.binds.set(me.binds.get() - 1);
            let next = me.binds_waiting.borrow_mut().pop_front();
            if let Some(next) = next {
                me.begin_bind(next);
            }
            match made {
                Ok(Ok(ClientEnd { channel, notifier, peer, charge })) => {
                    reply.bound(channel, notifier, peer, Some(charge));
                }
                Ok(Err(error)) => reply.failed(error),
                Err(_) => reply.failed(BindError::Deadline),
            }
        };
        self.waitset.spawn_local(task).detach();
    }

    async fn make_end(
        &self,
        iref: Iref,
        interface: &'static Interface,
        buffer: usize,
        drivers: &[&'static dyn Connector],
    ) -> Result<ClientEnd, BindError> {
        for pause in RETRY_DELAYS {
            if !pause.is_zero() {
                self.waitset.sleep(pause).await;
            }
            let Some(link) = self.link_for(iref).await? else { continue };
            match try_drivers(&link, iref, interface, buffer, drivers).await {
                Attempt::Made(made) => return Ok(made),
                Attempt::Failed(error) => {
                    if error == BindError::NoService {
                        self.service_domains.borrow_mut().remove(&iref);
                    }
                    return Err(error);
                }
                Attempt::LinkLost => {}
            }
        }
        Err(BindError::LinkLost)
    }

    /// Returns the link to the domain of a service, introduced if there is none. `None` if the
    /// domain has left the root, or the link has ended, in the meantime.
    async fn link_for(&self, iref: Iref) -> Result<Option<Rc<PeerLink>>, BindError> {
        let domain = self.service_domains.borrow().get(&iref).copied();
        if let Some(link) = domain.and_then(|domain| self.link_to(domain)) {
            return Ok(Some(link));
        }
        let (verdict, domain) =
            self.call_root(|root| root.find_async(iref)).await.map_err(broker_error)?;
        if verdict != Verdict::Ok {
            return Err(BindError::NoService);
        }
        let link = match self.introduced_to(domain).await {
            Ok(Some(link)) => link,
            Ok(None) | Err(BindError::NoService) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut service_domains = self.service_domains.borrow_mut();
        if service_domains.len() >= MAX_SERVICE_DOMAINS {
            service_domains.clear();
        }
        service_domains.insert(iref, domain);
        Ok(Some(link))
    }

    /// Returns the link to a domain, introduced if there is none. `None` if it has ended in the
    /// meantime.
    async fn introduced_to(&self, domain: u64) -> Result<Option<Rc<PeerLink>>, BindError> {
        loop {
            if let Some(link) = self.link_to(domain) {
                return Ok(Some(link));
            }
            if self.introducing.borrow_mut().insert(domain) {
                break;
            }
            // Another bind has asked for the introduction.
            let over = || !self.introducing.borrow().contains(&domain);
            self.changed.wait_for(|| over().then_some(())).await;
        }
        let _introducing = Introducing { monitor: self, domain };
        let lost = self.introductions_lost.get();
        let verdict =
            self.call_root(|root| root.introduce_async(domain)).await.map_err(broker_error)?;
        match verdict {
            Verdict::Ok => {}
            Verdict::Exhausted => {
                return Err(BindError::NoDescriptor(Lacking::Root));
            }
            _ => return Err(BindError::NoService),
        }
        let found = || match self.link_to(domain) {
            Some(link) => Some(Ok(Some(link))),
            None if self.introductions_lost.get() != lost => Some(Err(())),
            // The introduction has arrived, and the link has ended.
            None if !self.introducing.borrow().contains(&domain) => Some(Ok(None)),
            None => None,
        };
        let link = self.waitset.timeout(INTRODUCTION_DEADLINE, self.changed.wait_for(found)).await;
        match link {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(())) => Err(BindError::NoDescriptor(Lacking::Client)),
            Err(_) => Err(BindError::LinkLost),
        }
    }
}

impl Monitor {
    /// Looks a name up, and returns the time until the waitset of its service has answered a ping.
    pub(crate) async fn ping(
        &self,
        name: &str,
        progress: &Progress,
    ) -> Result<Duration, RequestError> {
        let iref = self.lookup(name).await?.iref;
        progress.set_awaited(Awaited::Service);
        let began = Instant::now();
        if let Some(service) = services::find(iref) {
            let (sender, receiver) = oneshot::channel();
            service.run(|| sender.send(()));
            // A waitset that ends drops the task.
            return receiver.await.map(|()| began.elapsed()).ok_or(RequestError::Unknown);
        }
        let Some(link) = self.link_for(iref).await.map_err(ping_error)? else {
            return Err(RequestError::Unknown);
        };
        let number = self.next_number();
        let answer = link.ping(number, iref);
        let _forgets = ForgetsPing { link, number };
        match answer.await {
            Some(Health::Alive) => Ok(began.elapsed()),
            Some(Health::TooMany) => Err(MonitorError::Busy.into()),
            Some(Health::Missing) | None => {
                self.service_domains.borrow_mut().remove(&iref);
                Err(RequestError::Unknown)
            }
        }
    }
}

/// Forgets a ping when dropped.
struct ForgetsPing {
    link: Rc<PeerLink>,
    number: u64,
}

impl Drop for ForgetsPing {
    fn drop(&mut self) {
        self.link.forget_ping(self.number);
    }
}

/// Returns the error of a ping that could not be sent.
fn ping_error(error: BindError) -> RequestError {
    match error {
        BindError::NoService | BindError::LinkLost => RequestError::Unknown,
        BindError::OverLimit { limit, .. } => RequestError::OverLimit(limit),
        BindError::Broker(_) => MonitorError::Ended.into(),
        _ => MonitorError::Busy.into(),
    }
}

/// Marks that an introduction was asked for, until dropped.
struct Introducing<'a> {
    monitor: &'a Monitor,
    domain: u64,
}

impl Drop for Introducing<'_> {
    fn drop(&mut self) {
        self.monitor.introducing.borrow_mut().remove(&self.domain);
        self.monitor.changed.notify_all();
    }
}

/// Tries one driver after the other over a link.
async fn try_drivers(
    link: &Rc<PeerLink>,
    iref: Iref,
    interface: &'static Interface,
    buffer: usize,
    drivers: &[&'static dyn Connector],
) -> Attempt {
    let charge = match link.handle().account().charge(Resource::Bindings, 1) {
        Ok(charge) => charge,
        Err(limit) => return Attempt::Failed(BindError::OverLimit { at: Side::Client, limit }),
    };
    let mut errors = Vec::new();
    for driver in drivers {
        let refused = match try_driver(link, iref, interface, buffer, *driver).await {
            None => return Attempt::LinkLost,
            Some(Ok((channel, notifier, peer))) => {
                return Attempt::Made(ClientEnd { channel, notifier, peer, charge });
            }
            Some(Err(refused)) => refused,
        };
        match refused {
            DriverFailure::Local(ConnectError::OverLimit(limit)) => {
                return Attempt::Failed(BindError::OverLimit { at: Side::Client, limit });
            }
            DriverFailure::Local(error) | DriverFailure::Remote(BindRefusal::Driver(error)) => {
                errors.push((driver.name().to_owned(), error));
            }
            DriverFailure::Remote(refusal) => {
                return Attempt::Failed(refusal.into_error(driver.name(), interface));
            }
        }
    }
    Attempt::Failed(BindError::Drivers(errors))
}

/// Reason why one driver made no channel.
enum DriverFailure {
    /// The driver failed in this process.
    Local(ConnectError),
    /// The service's side refused.
    Remote(BindRefusal),
}

/// Tries one driver over a link. Returns `None` if the link ends.
async fn try_driver(
    link: &Rc<PeerLink>,
    iref: Iref,
    interface: &'static Interface,
    buffer: usize,
    driver: &'static dyn Connector,
) -> Option<Result<(Box<dyn Channel + Send>, Notifier, Peer), DriverFailure>> {
    let connection = link.next_connection();
    let end = End { notifier: Notifier::new(), connection, buffer };
    let handle = Arc::clone(link.handle()) as Arc<dyn Link>;
    let (offer, offered) = match driver.offer(&end, &handle) {
        Ok(offer) => offer,
        Err(error) => return Some(Err(DriverFailure::Local(error))),
    };
    if driver.name().len() > MAX_DRIVER_NAME || offer.words.len() > MAX_TERMS {
        let error = ConnectError::Refused("its name or its offer is too long");
        return Some(Err(DriverFailure::Local(error)));
    }
    let request = Request {
        iref,
        fingerprint: interface.fingerprint,
        buffer,
        features: peer::FEATURES,
        driver: driver.name().to_owned(),
        words: Vec::new(),
    };
    let attempt = CancelOnDrop { link: Some(link), connection };
    // The service may close its end before the answer is handled here.
    link.handle().add_end(connection, end.notifier.clone(), None);
    let answer = link.request(connection, request, offer).await?;
    let made = match answer {
        Ok(Bound { features, offer }) => {
            let peer = link.peer().clone().agreeing_on(features & peer::FEATURES);
            let made = offered.complete(offer).map_err(DriverFailure::Local);
            made.map(|channel| (channel, peer))
        }
        Err(refusal) => {
            // The other side has no end that would have to be closed.
            attempt.finish();
            return Some(Err(DriverFailure::Remote(refusal)));
        }
    };
    Some(made.map(|(channel, peer)| {
        attempt.finish();
        let about = ClientInfo { iref, driver: driver.name(), since: SystemTime::now() };
        link.handle().add_end(connection, end.notifier.clone(), Some(about));
        (channel, end.notifier, peer)
    }))
}

/// Cancels a bind request when dropped, unless it is finished.
struct CancelOnDrop<'a> {
    link: Option<&'a PeerLink>,
    connection: u64,
}

impl CancelOnDrop<'_> {
    fn finish(mut self) {
        self.link = None;
    }
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.link {
            link.cancel_request(self.connection);
        }
    }
}

fn broker_error(error: MonitorError) -> BindError {
    match error {
        MonitorError::Busy => BindError::Busy,
        error => BindError::Broker(BrokerError::new(error)),
    }
}
