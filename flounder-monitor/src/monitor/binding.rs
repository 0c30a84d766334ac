//! Binding a client of this process to a service of another.
//!
//! The service's domain is found through the root, once; the link to it is introduced by the root, once; the rest goes over
//! the link: for each driver in turn an offer, and its answer.

use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use flounder_rt::account::{Charge, Resource};
use flounder_rt::bind::{BindError, BindRefusal, BindRequest, Lacking, Side};
use flounder_rt::channel::{Channel, ConnectError, Connector, End, Link};
use flounder_rt::notify::Notifier;
use flounder_rt::{Interface, Iref};

use crate::error::MonitorError;
use crate::link::{About, MAX_DRIVER_NAME, MAX_TERMS, PeerLink, Request};
use crate::monitor::Monitor;
use crate::protocol::monitor::Verdict;
use crate::wait::within;

/// Binds of this domain that may be under way.
const MAX_BINDS: usize = 1024;

/// Pauses before each attempt to bind over a link that ends meanwhile: the root may hear later than this domain that a process
/// has died.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(200),
];

/// Domains of services that are remembered.
const MAX_LOCATED: usize = 4096;

/// How long an introduction may come after the root has said that it is under way.
const INTRODUCTION_DEADLINE: Duration = Duration::from_secs(1);

/// A client's end that is ready.
struct Made {
    channel: Box<dyn Channel + Send>,
    notifier: Notifier,
    link: Rc<PeerLink>,
    charge: Charge,
}

/// A bind that waits for its turn.
pub(super) struct Waiting {
    request: BindRequest,
    drivers: Vec<&'static dyn Connector>,
    since: Instant,
}

/// What came of an attempt over one link.
enum Attempt {
    Made(Made),
    Failed(BindError),
    /// The link ended.
    LinkLost,
}

impl Monitor {
    /// Binds; the result goes to the request's reply. A bind beyond [`MAX_BINDS`] waits until another ends.
    pub(crate) fn bind(
        self: &Rc<Self>,
        request: BindRequest,
        drivers: Vec<&'static dyn Connector>,
    ) {
        let waiting = Waiting { request, drivers, since: Instant::now() };
        if self.binds.get() < MAX_BINDS {
            self.begin_bind(waiting);
        } else {
            self.binds_waiting.borrow_mut().push_back(waiting);
        }
    }

    fn begin_bind(self: &Rc<Self>, waiting: Waiting) {
        self.binds.set(self.binds.get() + 1);
        let me = Rc::clone(self);
        let task = async move {
            let Waiting { request, drivers, since } = waiting;
            let BindRequest { iref, interface, deadline, buffer, reply, .. } = request;
            let making = me.make_end(iref, interface, buffer, &drivers);
            let left = deadline.saturating_sub(since.elapsed());
            let made = within(&me.waitset, left, making).await;
            me.binds.set(me.binds.get() - 1);
            let next = me.binds_waiting.borrow_mut().pop_front();
            if let Some(next) = next {
                me.begin_bind(next);
            }
            match made {
                Some(Ok(Made { channel, notifier, link, charge })) => {
                    reply.bound(channel, notifier, link.peer().clone(), Some(charge));
                }
                Some(Err(error)) => reply.failed(error),
                None => reply.failed(BindError::Deadline),
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
    ) -> Result<Made, BindError> {
        for pause in PAUSES {
            if !pause.is_zero() {
                let _ = within(&self.waitset, pause, core::future::pending::<()>()).await;
            }
            let Some(link) = self.link_for(iref).await? else { continue };
            match try_drivers(&link, iref, interface, buffer, drivers).await {
                Attempt::Made(made) => return Ok(made),
                Attempt::Failed(error) => {
                    if error == BindError::NoService {
                        self.located.borrow_mut().remove(&iref);
                    }
                    return Err(error);
                }
                Attempt::LinkLost => {}
            }
        }
        Err(BindError::LinkLost)
    }

    /// The link to the domain of a service; introduced if there is none. `None` if that domain has left the root since the
    /// root was asked for it, or the link has ended by the time that it is looked for.
    async fn link_for(&self, iref: Iref) -> Result<Option<Rc<PeerLink>>, BindError> {
        let located = self.located.borrow().get(&iref).copied();
        if let Some(link) = located.and_then(|domain| self.link_to(domain)) {
            return Ok(Some(link));
        }
        let (verdict, domain) =
            self.ask(|root| root.find_async(iref)).await.map_err(broker_error)?;
        if verdict != Verdict::Ok {
            return Err(BindError::NoService);
        }
        let link = match self.introduced_to(domain).await {
            Ok(Some(link)) => link,
            Ok(None) | Err(BindError::NoService) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut located = self.located.borrow_mut();
        if located.len() >= MAX_LOCATED {
            located.clear();
        }
        located.insert(iref, domain);
        Ok(Some(link))
    }

    /// The link to a domain. `None` if it has ended by the time that it is looked for.
    async fn introduced_to(&self, domain: u64) -> Result<Option<Rc<PeerLink>>, BindError> {
        loop {
            if let Some(link) = self.link_to(domain) {
                return Ok(Some(link));
            }
            if self.introducing.borrow_mut().insert(domain) {
                break;
            }
            // Another bind has asked already.
            let over = || !self.introducing.borrow().contains(&domain);
            self.changed.until(|| over().then_some(())).await;
        }
        let _introducing = Introducing { monitor: self, domain };
        let lost = self.introductions_lost.get();
        let verdict = self.ask(|root| root.introduce_async(domain)).await.map_err(broker_error)?;
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
            // It has come.
            None if !self.introducing.borrow().contains(&domain) => Some(Ok(None)),
            None => None,
        };
        let link = within(&self.waitset, INTRODUCTION_DEADLINE, self.changed.until(found)).await;
        match link {
            Some(Ok(link)) => Ok(link),
            Some(Err(())) => Err(BindError::NoDescriptor(Lacking::Client)),
            None => Err(BindError::LinkLost),
        }
    }
}

/// Marks that an introduction was asked for, however that ends.
struct Introducing<'a> {
    monitor: &'a Monitor,
    domain: u64,
}

impl Drop for Introducing<'_> {
    fn drop(&mut self) {
        self.monitor.introducing.borrow_mut().remove(&self.domain);
        self.monitor.changed.raise();
    }
}

/// Tries one driver after the other.
async fn try_drivers(
    link: &Rc<PeerLink>,
    iref: Iref,
    interface: &'static Interface,
    buffer: usize,
    drivers: &[&'static dyn Connector],
) -> Attempt {
    let charge = match link.line().account().charge(Resource::Bindings, 1) {
        Ok(charge) => charge,
        Err(limit) => return Attempt::Failed(BindError::OverLimit { at: Side::Client, limit }),
    };
    let mut errors = Vec::new();
    for driver in drivers {
        let refused = match try_driver(link, iref, interface, buffer, *driver).await {
            None => return Attempt::LinkLost,
            Some(Ok((channel, notifier))) => {
                return Attempt::Made(Made { channel, notifier, link: Rc::clone(link), charge });
            }
            Some(Err(refused)) => refused,
        };
        match refused {
            Refused::Here(ConnectError::OverLimit(limit)) => {
                return Attempt::Failed(BindError::OverLimit { at: Side::Client, limit });
            }
            Refused::Here(error) | Refused::There(BindRefusal::Driver(error)) => {
                errors.push((driver.name().to_owned(), error));
            }
            Refused::There(refusal) => {
                return Attempt::Failed(refusal.into_error(driver.name(), interface));
            }
        }
    }
    Attempt::Failed(BindError::Drivers(errors))
}

/// Why one driver made no channel.
enum Refused {
    /// What the driver said here.
    Here(ConnectError),
    /// What the service's side answered.
    There(BindRefusal),
}

/// Tries one driver. `None` if the link ended.
async fn try_driver(
    link: &Rc<PeerLink>,
    iref: Iref,
    interface: &'static Interface,
    buffer: usize,
    driver: &'static dyn Connector,
) -> Option<Result<(Box<dyn Channel + Send>, Notifier), Refused>> {
    let connection = link.begin();
    let end = End { notifier: Notifier::new(), connection, buffer };
    let line = Arc::clone(link.line()) as Arc<dyn Link>;
    let (terms, offered) = match driver.offer(&end, &line) {
        Ok(offer) => offer,
        Err(error) => return Some(Err(Refused::Here(error))),
    };
    if driver.name().len() > MAX_DRIVER_NAME || terms.words.len() > MAX_TERMS {
        let error = ConnectError::Refused("its name or its terms are too long");
        return Some(Err(Refused::Here(error)));
    }
    let request = Request {
        iref,
        fingerprint: interface.fingerprint,
        buffer,
        driver: driver.name().to_owned(),
        words: Vec::new(),
    };
    let attempt = Unfinished { link: Some(link), connection };
    // The service may close its end before the answer is taken up here.
    link.line().adopt(connection, end.notifier.clone(), None);
    let answer = link.request(connection, request, terms).await?;
    let made = match answer {
        Ok(terms) => offered.complete(terms).map_err(Refused::Here),
        Err(refusal) => {
            // There is nothing at the other end that would have to be closed.
            attempt.finish();
            return Some(Err(Refused::There(refusal)));
        }
    };
    Some(made.map(|channel| {
        attempt.finish();
        let about = About { iref, driver: driver.name(), since: SystemTime::now() };
        link.line().adopt(connection, end.notifier.clone(), Some(about));
        (channel, end.notifier)
    }))
}

/// A connection that came to nothing unless it is finished: the service's side is told.
struct Unfinished<'a> {
    link: Option<&'a PeerLink>,
    connection: u64,
}

impl Unfinished<'_> {
    fn finish(mut self) {
        self.link = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.link {
            link.give_up(self.connection);
        }
    }
}

fn broker_error(error: MonitorError) -> BindError {
    match error {
        MonitorError::Busy => BindError::Busy,
        error => BindError::Broker(error.to_string()),
    }
}
