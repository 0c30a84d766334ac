//! Binding to a service (TN-011 sections 3.1.2 and 4.3.2).

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

pub use super::error::{BindError, BrokerError, Interrupted, Lacking, Side};
use crate::account::{Charge, OverLimit};
use crate::binding::{BoxDispatch, Local, RawBinding, RawEnd};
use crate::broker::flush::flush_at_exit;
use crate::broker::shared::PendingBind as SharedPendingBind;
use crate::channel::{Channel, ConnectError, Connector, End};
use crate::export::{Broker, Client, Host, IntoOutcome, Refusal, ServiceEntry};
use crate::interface::Interface;
use crate::iref::Iref;
use crate::notify::Notifier;
use crate::peer::Peer;
use crate::waitset::{
    DispatchError, Extension, Outcome, Remote, Timeout, Timer, Waitset, WeakWaitset,
};

/// Time limit of a bind that was given none.
pub const DEFAULT_BIND_TIMEOUT: Duration = Duration::from_secs(5);

/// A bind to a service: a future, which can also be [waited for](Self::wait). Every generated `bind` on a [`Waitset`] returns
/// one.
///
/// Nothing happens before it is awaited, waited for, or given [`then`](Self::then). If it is dropped before it completes,
/// the bind is given up: a binding that is made all the same is torn down.
#[must_use = "nothing is bound before `.await`, `wait` or `then`"]
pub struct Bind<B> {
    wrap: fn(RawEnd<Local>) -> B,
    timeout: Timeout,
    stage: Stage<B>,
}

enum Stage<B> {
    Ready(Box<Setup>),
    Waiting(Waiting<B>),
    Over,
}

/// A bind that has not begun.
struct Setup {
    waitset: Waitset,
    iref: Iref,
    interface: &'static Interface,
    broker: &'static dyn Broker,
    handler: BoxDispatch,
    drivers: Vec<String>,
    buffer: usize,
}

impl<B: 'static> Bind<B> {
    pub(super) fn new(
        iref: Iref,
        waitset: &Waitset,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        handler: BoxDispatch,
        wrap: fn(RawEnd<Local>) -> B,
    ) -> Self {
        let (waitset, drivers, buffer) = (waitset.clone(), Vec::new(), 0);
        let setup = Setup { waitset, iref, interface, broker, handler, drivers, buffer };
        Self { wrap, timeout: Timeout::Default, stage: Stage::Ready(Box::new(setup)) }
    }

    /// Allows this driver only.
    pub fn driver(self, name: impl Into<String>) -> Self {
        self.drivers([name.into()])
    }

    /// Sets the drivers to try, in order.
    pub fn drivers<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.with(|setup| setup.drivers = names.into_iter().map(Into::into).collect())
    }

    /// Requests a buffer of about this many bytes in each direction, if the driver has buffers of variable size. The service
    /// may grant less ([`Export::max_buffer`](crate::export::Export::max_buffer)).
    pub fn buffer(self, bytes: usize) -> Self {
        self.with(|setup| setup.buffer = bytes)
    }

    /// Limits the bind to this time, from now ([`DEFAULT_BIND_TIMEOUT`] otherwise). Then it ends with
    /// [`BindError::Deadline`]. [`Duration::MAX`] is no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Timeout::For(timeout).beginning_now();
        self
    }

    /// Limits the bind to this point in time. Then it ends with [`BindError::Deadline`].
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.timeout = Timeout::Until(deadline);
        self
    }

    /// Binds, and runs `callback` once with the binding or the error: from the waitset, before the binding receives anything.
    pub fn then<O: IntoOutcome>(
        mut self,
        callback: impl FnOnce(Result<B, BindError>) -> O + 'static,
    ) {
        let Stage::Ready(setup) = core::mem::replace(&mut self.stage, Stage::Over) else { return };
        let wrap = self.wrap;
        setup.begin(
            self.timeout,
            Box::new(move |result| callback(result.map(RawEnd).map(wrap)).into_outcome()),
        );
    }

    /// Binds, and dispatches the waitset until the result is there.
    ///
    /// # Errors
    /// [`BindError`]. A callback that fails meanwhile ends the bind with [`BindError::Dispatch`].
    pub fn wait(self) -> Result<B, BindError> {
        let waitset = match &self.stage {
            Stage::Ready(setup) => Some(setup.waitset.clone()),
            Stage::Waiting(waiting) => waiting.waitset.upgrade(),
            Stage::Over => None,
        };
        let waitset = waitset.ok_or(DispatchError::Closed)?;
        waitset.block_on(self).unwrap_or_else(|error| Err(error.into()))
    }

    fn with(mut self, set: impl FnOnce(&mut Setup)) -> Self {
        if let Stage::Ready(setup) = &mut self.stage {
            set(setup);
        }
        self
    }
}

impl Setup {
    /// Begins the bind. Returns its number. If it fails at once, returns `None`, and `done` runs from the waitset.
    fn begin(self, timeout: Timeout, done: Done) -> Option<u64> {
        if let Err(error) = self.may_begin(timeout) {
            self.waitset.post(move |_| done(Err(error)));
            return None;
        }
        let Self { waitset, iref, interface, broker, handler, drivers, buffer } = self;
        flush_at_exit(broker);
        let pending = waitset.extension::<Pending>();
        let ticket = pending.next.get();
        pending.next.set(ticket + 1);
        let deadline = match timeout {
            Timeout::Default => Instant::now().checked_add(DEFAULT_BIND_TIMEOUT),
            limited => limited.end(),
        };
        let timer = deadline.map(|deadline| {
            waitset
                .at(deadline, move |waitset| waitset.finish_bind(ticket, Err(BindError::Deadline)))
        });
        let bind = PendingBind { interface, handler, done, timer };
        pending.table.borrow_mut().insert(ticket, bind);
        let client = WaitingClient::Thread(waitset.remote(), ticket);
        let reply = BindReply { client, open: true };
        broker.bind(BindRequest { iref, interface, drivers, deadline, buffer, reply });
        Some(ticket)
    }

    fn may_begin(&self, timeout: Timeout) -> Result<(), BindError> {
        self.waitset.usable()?;
        if timeout.is_over() { Err(BindError::Deadline) } else { Ok(()) }
    }
}

impl<B> fmt::Debug for Bind<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Bind");
        if let Stage::Ready(setup) = &self.stage {
            debug.field("iref", &setup.iref).field("interface", &setup.interface.name);
        }
        debug.finish_non_exhaustive()
    }
}

impl<B: 'static> Future for Bind<B> {
    type Output = Result<B, BindError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Ready(setup) = &self.stage {
            if let Err(error) = setup.may_begin(self.timeout) {
                self.stage = Stage::Over;
                return Poll::Ready(Err(error));
            }
            self.wait_for_result();
        }
        // A future that is polled after it completed stays pending.
        let Stage::Waiting(Waiting { slot, .. }) = &self.stage else { return Poll::Pending };
        match slot.result.take() {
            Some(result) => {
                self.stage = Stage::Over;
                Poll::Ready(result)
            }
            None => {
                slot.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl<B: 'static> Bind<B> {
    /// Begins the bind, whose result goes to a slot.
    fn wait_for_result(&mut self) {
        let Stage::Ready(setup) = core::mem::replace(&mut self.stage, Stage::Over) else { return };
        let slot = Rc::new(Slot { result: Cell::new(None), waker: Cell::new(None) });
        let (theirs, wrap) = (Rc::clone(&slot), self.wrap);
        let done = Box::new(move |result: Result<RawBinding, BindError>| {
            theirs.result.set(Some(result.map(RawEnd).map(wrap)));
            if let Some(waker) = theirs.waker.take() {
                waker.wake();
            }
            Ok(())
        });
        let waitset = setup.waitset.downgrade();
        let ticket = setup.begin(self.timeout, done);
        self.stage = Stage::Waiting(Waiting { slot, waitset, ticket });
    }
}

/// A bind in progress, with the slot for its result.
struct Waiting<B> {
    slot: Rc<Slot<B>>,
    waitset: WeakWaitset,
    ticket: Option<u64>,
}

struct Slot<B> {
    result: Cell<Option<Result<B, BindError>>>,
    waker: Cell<Option<Waker>>,
}

impl<B> Drop for Waiting<B> {
    /// Gives the bind up, unless it is over.
    fn drop(&mut self) {
        let (Some(ticket), Some(waitset)) = (self.ticket, self.waitset.upgrade()) else { return };
        let pending = waitset.extension::<Pending>();
        let given_up = pending.table.borrow_mut().remove(&ticket);
        if let Some(PendingBind { timer: Some(timer), .. }) = given_up {
            timer.cancel();
        }
    }
}

/// A client's request to its broker.
#[derive(Debug)]
pub struct BindRequest {
    /// Reference of the service.
    pub iref: Iref,
    /// The client's interface.
    pub interface: &'static Interface,
    /// Drivers to try, in order; empty for the recommended ones.
    pub drivers: Vec<String>,
    /// Time at which the client gives up; `None` for never.
    pub deadline: Option<Instant>,
    /// Requested size of the buffers in bytes; 0 for the driver's default.
    pub buffer: usize,
    /// Destination of the result.
    pub reply: BindReply,
}

/// Sends the result of a bind to the client, from any thread. If it is dropped unused, the bind
/// fails.
#[derive(Debug)]
pub struct BindReply {
    client: WaitingClient,
    open: bool,
}

#[derive(Debug, Clone)]
enum WaitingClient {
    /// The waitset of the client, and the number of the bind there.
    Thread(Arc<Remote>, u64),
    Threads(Arc<SharedPendingBind>),
}

impl BindReply {
    /// Completes the bind with the client's end of the channel. The binding keeps `charge` while it
    /// lives.
    pub fn bound(
        mut self,
        channel: Box<dyn Channel + Send>,
        notifier: Notifier,
        peer: Peer,
        charge: Option<Charge>,
    ) {
        self.open = false;
        match &self.client {
            WaitingClient::Thread(remote, ticket) => {
                let ticket = *ticket;
                remote.post(move |waitset| {
                    let made = Made { channel, notifier, peer, charge, local_peer: None };
                    waitset.finish_bind(ticket, Ok(made))
                });
            }
            WaitingClient::Threads(pending) => pending.bound(channel, notifier, peer, charge),
        }
    }

    /// Marks the request as answered: the client gets its binding in another way.
    fn answered_otherwise(mut self) {
        self.open = false;
    }

    /// Returns the reply to a client that several threads serve.
    pub(super) fn to_threads(pending: Arc<SharedPendingBind>) -> Self {
        Self { client: WaitingClient::Threads(pending), open: true }
    }

    /// Fails the bind.
    pub fn failed(mut self, error: BindError) {
        self.fail(error);
    }

    fn fail(&mut self, error: BindError) {
        self.open = false;
        match &self.client {
            WaitingClient::Thread(remote, ticket) => {
                let ticket = *ticket;
                remote.post(move |waitset| waitset.finish_bind(ticket, Err(error)));
            }
            WaitingClient::Threads(pending) => pending.fail(error),
        }
    }
}

impl Drop for BindReply {
    fn drop(&mut self) {
        if self.open {
            self.fail(BindError::Dropped);
        }
    }
}

type Done = Box<dyn FnOnce(Result<RawBinding, BindError>) -> Outcome>;

/// The client's end of a channel.
struct Made {
    channel: Box<dyn Channel>,
    notifier: Notifier,
    peer: Peer,
    charge: Option<Charge>,
    /// The service's binding, if it is in the same thread.
    local_peer: Option<RawBinding>,
}

/// Binds of one waitset that wait for their result.
#[derive(Default)]
struct Pending {
    next: Cell<u64>,
    table: RefCell<HashMap<u64, PendingBind>>,
}

impl Extension for Pending {
    /// Drops the binds: no callback runs any more.
    fn waitset_closed(&self) {
        let pending = self.table.try_borrow_mut().map(|mut table| core::mem::take(&mut *table));
        drop(pending);
    }
}

struct PendingBind {
    interface: &'static Interface,
    handler: BoxDispatch,
    done: Done,
    /// `None` without a limit.
    timer: Option<Timer>,
}

impl Waitset {
    /// Attaches the client's binding to its channel and runs the callback. A result that comes too
    /// late is dropped, and the service's binding ends.
    fn finish_bind(&self, ticket: u64, result: Result<Made, BindError>) -> Outcome {
        let pending = self.extension::<Pending>().table.borrow_mut().remove(&ticket);
        let Some(PendingBind { interface, handler, done, timer }) = pending else {
            if let Ok(mut made) = result {
                made.channel.close();
            }
            return Ok(());
        };
        if let Some(timer) = timer {
            timer.cancel();
        }
        done(result.and_then(|made| {
            let Made { channel, notifier, peer, charge, local_peer } = made;
            let raw =
                RawBinding::attach_from(channel, self, interface, handler, notifier, peer, charge)
                    .map_err(|error| BindError::Drivers(vec![("attach".into(), error.into())]))?;
            if let Some(local_peer) = local_peer {
                raw.pair_with(&local_peer);
            }
            Ok(raw)
        }))
    }
}

/// Why the service's side of a bind failed, as it travels to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindRefusal {
    /// The service does not exist, or no longer. `MON_ERR_INVALID_IREF`
    NoService,
    /// The service has another interface, or another version of it: its name, and the name and digest of its messages.
    Interface {
        /// Name of the service's interface.
        name: String,
        /// Name and digest of its messages, in order.
        table: Vec<(String, u128)>,
    },
    /// This driver made no channel. Another may.
    Driver(ConnectError),
    /// No driver made a channel: the name and error of each.
    Drivers(Vec<(String, ConnectError)>),
    /// The service's process already holds as much for the client as the client's limit.
    OverLimit(OverLimit),
    /// The connect callback refused the client.
    Service(Refusal),
}

impl BindRefusal {
    /// Converts the refusal to the error of a client with `interface`. The caller collects
    /// [`BindRefusal::Driver`] of several drivers.
    #[must_use]
    pub fn into_error(self, driver: &str, interface: &Interface) -> BindError {
        match self {
            Self::NoService => BindError::NoService,
            Self::Interface { name, table } => {
                let difference = interface.first_difference(&table);
                if name == interface.name {
                    let message = difference.unwrap_or_default();
                    return BindError::Version { interface: name, message };
                }
                BindError::Interface {
                    expected: interface.name.to_owned(),
                    found: name,
                    messages_agree: difference.is_none(),
                }
            }
            Self::Driver(error) => BindError::Drivers(vec![(driver.to_owned(), error)]),
            Self::Drivers(errors) => BindError::Drivers(errors),
            Self::OverLimit(limit) => BindError::OverLimit { at: Side::Service, limit },
            Self::Service(refusal) => BindError::Refused(refusal),
        }
    }
}

impl From<OverLimit> for BindRefusal {
    fn from(limit: OverLimit) -> Self {
        Self::OverLimit(limit)
    }
}

/// Binds within this process, to a service of the client's own thread or of another. Called by brokers.
///
/// Tries `connectors` in order. One that does not support the distance is skipped; a refusal of the service is final.
pub fn bind_in_process(
    service: &ServiceEntry,
    connectors: Vec<&'static dyn Connector>,
    request: BindRequest,
) {
    let near = End { notifier: Notifier::new(), connection: 0, buffer: request.buffer };
    let admission = Admission { near, connectors, request };
    let own = match (&service.host.0, &admission.request.reply.client) {
        (Host::Thread(remote), WaitingClient::Thread(client, ticket)) => {
            let waitset = Waitset::local(remote);
            waitset.map(|waitset| (waitset, Arc::clone(client), *ticket))
        }
        _ => None,
    };
    let Some((waitset, client, ticket)) = own else { return admission.across_threads(service) };
    let key = service.key;
    waitset.post(move |waitset| {
        admission.within_a_thread(waitset, key, client, ticket);
        Ok(())
    });
}

/// A bind of a client of this process.
struct Admission {
    /// The client's end.
    near: End,
    connectors: Vec<&'static dyn Connector>,
    request: BindRequest,
}

impl Admission {
    /// Binds a client in the service's thread.
    fn within_a_thread(self, waitset: &Waitset, key: u64, remote: Arc<Remote>, ticket: u64) {
        let (client, interface) = (self.client(), self.request.interface);
        let this_process = client.peer.clone();
        let Self { near, connectors, request } = self;
        let reply = request.reply;
        let theirs = near.clone();
        let make = move |far: &End| {
            first_that_can(&connectors, |connector| connector.pair_local(&theirs, far))
                .map(|(ours, theirs)| (theirs, ours))
        };
        waitset.admit(
            key,
            client,
            || true,
            make,
            move |_, admitted| match admitted {
                Ok((service, channel, _)) => {
                    reply.answered_otherwise();
                    if let Some(own) = Waitset::local(&remote) {
                        let made = Made {
                            channel,
                            notifier: near.notifier,
                            peer: this_process,
                            charge: None,
                            local_peer: Some(service),
                        };
                        own.post(move |waitset| waitset.finish_bind(ticket, Ok(made)));
                    }
                }
                Err(refusal) => reply.failed(refusal.into_error("", interface)),
            },
        );
    }

    /// Binds a client in another thread, or ends that belong to no thread.
    fn across_threads(self, service: &ServiceEntry) {
        let (client, interface) = (self.client(), self.request.interface);
        let this_process = client.peer.clone();
        let Self { near, connectors, request } = self;
        let reply = request.reply;
        let theirs = near.clone();
        let make = move |far: &End| {
            first_that_can(&connectors, |connector| connector.pair(&theirs, far))
                .map(|(ours, theirs)| (theirs, ours))
        };
        service.admit(
            client,
            || true,
            make,
            move |admitted| match admitted {
                Ok((channel, _)) => {
                    reply.bound(channel, near.notifier, this_process, None);
                }
                Err(refusal) => reply.failed(refusal.into_error("", interface)),
            },
        );
    }

    fn client(&self) -> Client {
        Client {
            peer: Peer::this_process(),
            account: None,
            fingerprint: self.request.interface.fingerprint,
            connection: 0,
            buffer: self.request.buffer,
        }
    }
}

/// Tries the drivers in order. Returns both ends of the first channel that one of them makes.
fn first_that_can<P>(
    connectors: &[&'static dyn Connector],
    pair: impl Fn(&dyn Connector) -> Result<P, ConnectError>,
) -> Result<P, BindRefusal> {
    let mut errors = Vec::new();
    for connector in connectors {
        match pair(*connector) {
            Ok(ends) => return Ok(ends),
            Err(error) => errors.push((connector.name().to_owned(), error)),
        }
    }
    Err(BindRefusal::Drivers(errors))
}
