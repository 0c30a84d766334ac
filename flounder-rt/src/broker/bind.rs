//! Binding to a service (TN-011 sections 3.1.2 and 4.3.2).

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::{Future, IntoFuture};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

pub use super::error::{BindError, BrokerError, Interrupted, Lacking, Side};
use crate::account::{Charge, OverLimit};
use crate::binding::{Dispatch, RawBinding};
use crate::broker::flush::flush_at_exit;
use crate::channel::{Channel, ConnectError, Connector, End};
use crate::export::{Broker, Client, IntoOutcome, Refusal, ServiceEntry};
use crate::interface::Interface;
use crate::iref::Iref;
use crate::notify::Notifier;
use crate::peer::Peer;
use crate::waitset::{Extension, Outcome, Remote, Timer, Waitset};

/// Default time limit of a bind.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// A builder for a bind, which starts with `on_bound`, `wait` or `.await`.
#[must_use = "nothing is bound before `on_bound`, `wait` or `.await`"]
pub struct Bind<B> {
    iref: Iref,
    waitset: Waitset,
    interface: &'static Interface,
    broker: &'static dyn Broker,
    handler: Box<dyn Dispatch>,
    wrap: fn(RawBinding) -> B,
    drivers: Vec<String>,
    deadline: Duration,
    buffer: usize,
}

impl<B: 'static> Bind<B> {
    /// Used by generated code.
    #[doc(hidden)]
    pub fn new(
        iref: Iref,
        waitset: &Waitset,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        handler: Box<dyn Dispatch>,
        wrap: fn(RawBinding) -> B,
    ) -> Self {
        let waitset = waitset.clone();
        let (drivers, deadline, buffer) = (Vec::new(), DEFAULT_DEADLINE, 0);
        Self { iref, waitset, interface, broker, handler, wrap, drivers, deadline, buffer }
    }

    /// Allows this driver only.
    pub fn driver(self, name: impl Into<String>) -> Self {
        self.drivers([name.into()])
    }

    /// Sets the drivers to try, in order.
    pub fn drivers<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.drivers = names.into_iter().map(Into::into).collect();
        self
    }

    /// Gives up after this time (5 seconds by default).
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Asks for about this many bytes of buffer in each direction, where the driver has one to size. The service may spend
    /// less ([`Export::max_buffer`](crate::export::Export::max_buffer)).
    pub const fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// Starts the bind. `callback` runs once from the waitset, with the binding or the error.
    ///
    /// # Errors
    /// None at present; the result leaves room for drivers that fail before they start.
    pub fn on_bound<O: IntoOutcome>(
        self,
        callback: impl FnOnce(Result<B, BindError>) -> O + 'static,
    ) -> Result<(), BindError> {
        let wrap = self.wrap;
        self.start(Box::new(move |result| callback(result.map(wrap)).into_outcome()));
        Ok(())
    }

    /// Binds, and dispatches the waitset until the result is there.
    ///
    /// # Errors
    /// [`BindError`]. A callback that fails meanwhile ends the bind with [`BindError::Dispatch`].
    pub fn wait(self) -> Result<B, BindError> {
        let waitset = self.waitset.clone();
        let result = waitset.block_on(self.into_future());
        result.unwrap_or_else(|error| Err(error.into()))
    }

    fn start(self, done: Done) {
        flush_at_exit(self.broker);
        let waitset = self.waitset;
        let pending = waitset.extension::<Pending>();
        let ticket = pending.next.get();
        pending.next.set(ticket + 1);
        let timer = waitset.after(self.deadline, move |waitset| {
            waitset.finish_bind(ticket, Err(BindError::Deadline))
        });
        let bind = PendingBind { interface: self.interface, handler: self.handler, done, timer };
        pending.table.borrow_mut().insert(ticket, bind);
        let reply = BindReply { remote: waitset.remote(), ticket, open: true };
        self.broker.bind(BindRequest {
            iref: self.iref,
            interface: self.interface,
            drivers: self.drivers,
            deadline: self.deadline,
            buffer: self.buffer,
            reply,
        });
    }
}

impl<B> fmt::Debug for Bind<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind")
            .field("iref", &self.iref)
            .field("interface", &self.interface.name)
            .finish_non_exhaustive()
    }
}

impl<B: 'static> IntoFuture for Bind<B> {
    type Output = Result<B, BindError>;
    type IntoFuture = Binding<B>;

    fn into_future(self) -> Self::IntoFuture {
        let slot = Rc::new(Slot { result: Cell::new(None), waker: Cell::new(None) });
        let theirs = Rc::clone(&slot);
        let wrap = self.wrap;
        self.start(Box::new(move |result| {
            theirs.result.set(Some(result.map(wrap)));
            if let Some(waker) = theirs.waker.take() {
                waker.wake();
            }
            Ok(())
        }));
        Binding(slot)
    }
}

/// A bind in progress. If it is dropped, the binding is torn down as soon as it is made.
pub struct Binding<B>(Rc<Slot<B>>);

struct Slot<B> {
    result: Cell<Option<Result<B, BindError>>>,
    waker: Cell<Option<Waker>>,
}

impl<B> Future for Binding<B> {
    type Output = Result<B, BindError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                self.0.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

impl<B> fmt::Debug for Binding<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").finish_non_exhaustive()
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
    /// Time limit of the bind. The client gives up by itself after it.
    pub deadline: Duration,
    /// Bytes of buffer wanted; 0 for the driver's default.
    pub buffer: usize,
    /// Where the result goes.
    pub reply: BindReply,
}

/// Sends the result of a bind to the client, from any thread. If it is dropped unused, the bind
/// fails.
#[derive(Debug)]
pub struct BindReply {
    remote: Arc<Remote>,
    ticket: u64,
    open: bool,
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
        let ticket = self.ticket;
        self.remote.post(move |waitset| {
            let made = Made { channel, notifier, peer, charge, twin: None };
            waitset.finish_bind(ticket, Ok(made))
        });
    }

    /// Fails the bind.
    pub fn failed(mut self, error: BindError) {
        self.fail(error);
    }

    fn fail(&mut self, error: BindError) {
        self.open = false;
        let ticket = self.ticket;
        self.remote.post(move |waitset| waitset.finish_bind(ticket, Err(error)));
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
    twin: Option<RawBinding>,
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
    handler: Box<dyn Dispatch>,
    done: Done,
    timer: Timer,
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
        timer.cancel();
        done(result.and_then(|made| {
            let Made { channel, notifier, peer, charge, twin } = made;
            let raw =
                RawBinding::attach_from(channel, self, interface, handler, notifier, peer, charge)
                    .map_err(|error| BindError::Drivers(vec![("attach".into(), error.into())]))?;
            if let Some(twin) = twin {
                raw.pair_with(&twin);
            }
            Ok(raw)
        }))
    }
}

/// Why the service's side of a bind failed, as it travels to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindRefusal {
    /// There is no such service (any more). `MON_ERR_INVALID_IREF`
    NoService,
    /// The service has another interface, or another version of it: its name, and the name and digest of its messages.
    Interface {
        /// Name of the service's interface.
        name: String,
        /// Name and digest of its messages, in order.
        table: Vec<(String, u128)>,
    },
    /// This driver made no channel; another may.
    Driver(ConnectError),
    /// No driver made a channel: the error of each.
    Drivers(Vec<(String, ConnectError)>),
    /// The service's process holds as much for the client as its limits allow.
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

/// Binds within this process: to a service of the client's own thread, or of another. For brokers.
///
/// `connectors` are tried in order; one that does not reach is passed over, and a refusal of the service is final.
pub fn bind_in_process(
    service: &ServiceEntry,
    connectors: Vec<&'static dyn Connector>,
    request: BindRequest,
) {
    let near = End { notifier: Notifier::new(), connection: 0, buffer: request.buffer };
    let admission = Admission { key: service.key, near, connectors, request };
    match Waitset::local(&service.remote) {
        Some(waitset) => waitset.post(move |waitset| {
            admission.within_a_thread(waitset);
            Ok(())
        }),
        None => service.remote.post(move |waitset| {
            admission.across_threads(waitset);
            Ok(())
        }),
    }
}

/// A client of this process on its way to a service.
struct Admission {
    key: u64,
    /// The client's end.
    near: End,
    connectors: Vec<&'static dyn Connector>,
    request: BindRequest,
}

impl Admission {
    /// The client is in the service's thread.
    fn within_a_thread(self, waitset: &Waitset) {
        self.admit(
            waitset,
            |connector, near, far| connector.pair_local(near, far),
            |service, channel, near, mut reply| {
                let (ticket, own) = (reply.ticket, Waitset::local(&reply.remote));
                reply.open = false;
                if let Some(own) = own {
                    let made = Made {
                        channel,
                        notifier: near.notifier,
                        peer: Peer::this_process(),
                        charge: None,
                        twin: Some(service),
                    };
                    own.post(move |waitset| waitset.finish_bind(ticket, Ok(made)));
                }
            },
        );
    }

    /// The client is in another thread.
    fn across_threads(self, waitset: &Waitset) {
        self.admit(
            waitset,
            |connector, near, far| {
                let (ours, theirs) = connector.pair(near, far)?;
                Ok((ours, theirs as Box<dyn Channel>))
            },
            |_, channel, near, reply| {
                reply.bound(channel, near.notifier, Peer::this_process(), None);
            },
        );
    }

    /// Has one driver after the other make both ends, the client's first. `bound` gets the service's binding and the
    /// client's end of the first driver that can.
    fn admit<C: 'static>(
        self,
        waitset: &Waitset,
        pair: impl Fn(&dyn Connector, &End, &End) -> Result<(C, Box<dyn Channel>), ConnectError>
        + 'static,
        bound: impl FnOnce(RawBinding, C, End, BindReply) + 'static,
    ) {
        let Self { key, near, connectors, request } = self;
        let BindRequest { interface, buffer, reply, .. } = request;
        let client = Client {
            peer: Peer::this_process(),
            account: None,
            fingerprint: interface.fingerprint,
            connection: 0,
            buffer,
        };
        let theirs = near.clone();
        let make = move |far: &End| {
            let mut errors = Vec::new();
            for connector in connectors {
                match pair(connector, &theirs, far) {
                    Ok((ours, theirs)) => return Ok((theirs, ours)),
                    Err(error) => errors.push((connector.name().to_owned(), error)),
                }
            }
            Err(BindRefusal::Drivers(errors))
        };
        waitset.admit(
            key,
            client,
            || true,
            make,
            move |_, admitted| match admitted {
                Ok((service, channel, _)) => bound(service, channel, near, reply),
                Err(refusal) => reply.failed(refusal.into_error("", interface)),
            },
        );
    }
}
