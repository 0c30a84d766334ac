//! Exporting a service, and admitting its clients (TN-011 sections 3.1.1 and 4.3).

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::{IntoFuture, Ready, ready};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::bind::{BindRefusal, BindRequest};
use crate::binding::{Deliver, Endpoint};
use crate::channel::{Channel, ConnectError, End};
use crate::interface::Interface;
use crate::iref::Iref;
use crate::notify::Notifier;
use crate::peer::Peer;
use crate::waitset::{CallbackError, Outcome, Remote, Waitset};

/// Introduces clients to services: the monitor of the process, or something simpler in tests.
pub trait Broker: Send + Sync {
    /// Makes a service known. It is reachable from this process at once.
    ///
    /// # Errors
    /// [`ExportError`].
    fn export(&self, service: ServiceEntry) -> Result<(), ExportError>;

    /// Forgets a service. Bindings that were made go on.
    fn withdraw(&self, iref: Iref);

    /// Starts to bind; the result goes to [`BindRequest::reply`]. Called on the client's thread.
    fn bind(&self, request: BindRequest);

    /// Blocks until the kernel has what the broker was given to send by calls that returned before this one (capabilities of
    /// messages, withdrawn services, lookups given up), or until `deadline`. For a process that is about to end.
    ///
    /// Returns at once where nothing waits, in a broker that was never used, on the broker's own thread and in a forked
    /// child of the process of the broker.
    fn flush(&self, deadline: Instant);
}

/// Where a service lives. Usable from any thread.
#[derive(Debug, Clone)]
pub struct ServiceEntry {
    /// Its reference.
    pub iref: Iref,
    /// Its interface.
    pub interface: &'static Interface,
    /// Its waitset.
    pub remote: Arc<Remote>,
    /// What its waitset knows it by.
    pub key: u64,
}

/// A service that is about to be exported.
#[must_use = "nothing is exported before `on_exported` or `start`"]
pub struct Export {
    waitset: Waitset,
    interface: &'static Interface,
    broker: &'static dyn Broker,
    connect: Connect,
}

type Connect = Box<dyn FnMut(&Peer) -> Result<Box<dyn Deliver>, Refusal>>;

impl Export {
    /// Used by generated code.
    #[doc(hidden)]
    pub fn new(
        waitset: &Waitset,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        connect: impl FnMut(&Peer) -> Result<Box<dyn Deliver>, Refusal> + 'static,
    ) -> Self {
        Self { waitset: waitset.clone(), interface, broker, connect: Box::new(connect) }
    }

    /// Exports the service; `callback` runs from the waitset with its reference, once clients can bind to it.
    ///
    /// # Errors
    /// [`ExportError`], at once; the callback is dropped then.
    pub fn on_exported<O: IntoOutcome>(
        self,
        callback: impl FnOnce(Result<Iref, ExportError>) -> O + 'static,
    ) -> Result<Exported, ExportError> {
        let waitset = self.waitset.clone();
        let exported = self.start()?;
        let iref = exported.iref;
        waitset.post(move |_| callback(Ok(iref)).into_outcome());
        Ok(exported)
    }

    /// Exports the service.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn start(self) -> Result<Exported, ExportError> {
        let iref = fresh_iref()?;
        let service = Service { interface: self.interface, connect: Cell::new(Some(self.connect)) };
        let key = self.waitset.services().insert(service);
        let entry =
            ServiceEntry { iref, interface: self.interface, remote: self.waitset.remote(), key };
        if let Err(error) = self.broker.export(entry) {
            self.waitset.services().remove(key);
            return Err(error);
        }
        Ok(Exported { waitset: self.waitset, broker: self.broker, iref, key })
    }
}

/// As [`start`](Export::start): a service can be bound to as soon as it is exported, so that this never waits.
impl IntoFuture for Export {
    type Output = Result<Exported, ExportError>;
    type IntoFuture = Ready<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        ready(self.start())
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("interface", &self.interface.name).finish_non_exhaustive()
    }
}

/// A service that is exported: until it is withdrawn or its waitset is gone, whether or not this handle is kept.
#[derive(Clone)]
pub struct Exported {
    waitset: Waitset,
    broker: &'static dyn Broker,
    iref: Iref,
    key: u64,
}

impl Exported {
    /// Its reference, to give to clients or to the name service.
    #[must_use]
    pub const fn iref(&self) -> Iref {
        self.iref
    }

    /// Ends the export. Bindings that were made go on.
    pub fn withdraw(self) {
        self.broker.withdraw(self.iref);
        self.waitset.services().remove(self.key);
    }
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exported").field("iref", &self.iref).finish_non_exhaustive()
    }
}

/// What a callback may return: nothing, or a result whose error ends the dispatch that ran it.
pub trait IntoOutcome {
    /// As the waitset wants it.
    ///
    /// # Errors
    /// The callback's own.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Ok(())
    }
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        self.map(drop).map_err(|error| CallbackError::from(error.into()))
    }
}

/// A service's "no" to a client. The client gets both parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A number between the two.
    pub code: u64,
    /// A sentence for people.
    pub reason: String,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(code: u64, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service refused: {} (code {})", self.reason, self.code)
    }
}

impl std::error::Error for Refusal {}

/// Why a service was not exported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportError {
    /// The kernel gave no random bits; the number is the system's.
    Random(i32),
    /// The broker cannot take more. `MON_ERR_IREF_ALLOC`
    Full,
    /// The monitor could not be reached.
    Monitor(String),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random(errno) => {
                write!(f, "no random bits: {}", io::Error::from_raw_os_error(*errno))
            }
            Self::Full => f.write_str("the broker cannot take more services"),
            Self::Monitor(why) => write!(f, "the monitor could not be reached: {why}"),
        }
    }
}

impl std::error::Error for ExportError {}

/// The services of one waitset.
#[derive(Default)]
pub(crate) struct Services {
    next: Cell<u64>,
    table: RefCell<HashMap<u64, Rc<Service>>>,
}

struct Service {
    interface: &'static Interface,
    /// Absent while it runs.
    connect: Cell<Option<Connect>>,
}

impl Services {
    fn insert(&self, service: Service) -> u64 {
        let key = self.next.get();
        self.next.set(key + 1);
        self.table.borrow_mut().insert(key, Rc::new(service));
        key
    }

    fn remove(&self, key: u64) {
        let service = self.table.borrow_mut().remove(&key);
        drop(service);
    }
}

/// A client at the door of a service.
#[derive(Debug)]
pub struct Client {
    /// Who it is.
    pub peer: Peer,
    /// The digest of its interface.
    pub fingerprint: u128,
    /// The connection's number on its link; 0 within a process.
    pub connection: u64,
    /// Bytes of buffer for what the service sends.
    pub buffer: usize,
}

impl Waitset {
    /// Admits a client to the service `key` of this waitset: compares the interfaces, has `make` build the service's end
    /// of the channel, asks the connect callback, and puts a binding on the channel. Called by brokers, from the waitset.
    ///
    /// # Errors
    /// [`BindRefusal`]; nothing is left of the attempt.
    pub fn admit<T>(
        &self,
        key: u64,
        client: &Client,
        make: impl FnOnce(&End) -> Result<(Box<dyn Channel>, T), ConnectError>,
    ) -> Result<(Endpoint, T, Notifier), BindRefusal> {
        let service = self
            .services()
            .table
            .borrow()
            .get(&key)
            .map(Rc::clone)
            .ok_or(BindRefusal::NoService)?;
        if service.interface.fingerprint != client.fingerprint {
            return Err(BindRefusal::Interface {
                name: service.interface.name.to_owned(),
                table: service.interface.table(),
            });
        }
        let end =
            End { notifier: Notifier::new(), connection: client.connection, buffer: client.buffer };
        let (channel, extra) = make(&end).map_err(BindRefusal::Driver)?;
        let handler = service.ask(&client.peer)?;
        let notifier = end.notifier;
        let endpoint = Endpoint::attach_from(
            channel,
            self,
            service.interface,
            handler,
            notifier.clone(),
            client.peer.clone(),
        );
        let endpoint = endpoint.map_err(|error| BindRefusal::Driver(error.into()))?;
        endpoint.serve();
        Ok((endpoint, extra, notifier))
    }
}

impl Service {
    /// Runs the connect callback.
    fn ask(&self, peer: &Peer) -> Result<Box<dyn Deliver>, BindRefusal> {
        let Some(mut connect) = self.connect.take() else {
            return Err(BindRefusal::Service(Refusal::new(
                0,
                "the service is admitting another client",
            )));
        };
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| connect(peer)));
        match answer {
            Ok(answer) => {
                self.connect.set(Some(connect));
                answer.map_err(BindRefusal::Service)
            }
            Err(_) => {
                tracing::error!(
                    interface = self.interface.name,
                    "a connect callback panicked; its service is closed"
                );
                Err(BindRefusal::Service(Refusal::new(0, "the service has failed")))
            }
        }
    }
}

/// A reference that nobody has had before.
fn fresh_iref() -> Result<Iref, ExportError> {
    loop {
        let mut bytes = [0; 8];
        let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        got.map_err(|errno| ExportError::Random(errno.raw_os_error()))?;
        if let Some(iref) = Iref::from_bits(u64::from_ne_bytes(bytes)) {
            return Ok(iref);
        }
    }
}
