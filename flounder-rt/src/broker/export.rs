//! Exporting a service, and admitting its clients (TN-011 sections 3.1.1 and 4.3).

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

pub use super::error::{ExportError, Refusal};
use crate::account::{Account, Resource};
use crate::bind::{BindRefusal, BindRequest};
use crate::binding::{BoxDispatch, RawBinding, WeakBinding};
use crate::broker::flush::flush_at_exit;
use crate::channel::{Channel, End};
use crate::interface::Interface;
use crate::iref::Iref;
use crate::notify::Notifier;
use crate::peer::Peer;
use crate::waitset::{
    CallbackError, Extension, Outcome, Remote, SharedWaitset, Waitset, WeakSharedWaitset,
};

/// Connects clients with services. A program has the monitor of its process; tests have simpler ones.
pub trait Broker: Send + Sync {
    /// Registers a service. Clients of this process can bind to it at once.
    ///
    /// # Errors
    /// [`ExportError`].
    fn export(&self, service: ServiceEntry) -> Result<(), ExportError>;

    /// Removes a service. Its bindings live on.
    fn withdraw(&self, iref: Iref);

    /// Starts a bind, whose result goes to [`BindRequest::reply`]. Called on the client's thread.
    fn bind(&self, request: BindRequest);

    /// Blocks until the kernel has everything that earlier calls passed to the broker to send (capabilities of messages,
    /// withdrawn services, lookups that were given up), or until `deadline`. Called by a process that is about to end.
    ///
    /// Returns at once if nothing waits, if the broker was never used, on the broker's own thread, and in a forked child of the
    /// broker's process.
    fn flush(&self, deadline: Instant);
}

/// Reference, interface and waitset of a service. Usable from any thread.
#[derive(Debug, Clone)]
pub struct ServiceEntry {
    /// Reference of the service.
    pub iref: Iref,
    /// Interface of the service.
    pub interface: &'static Interface,
    /// Waitset of the service.
    pub host: ServiceHost,
    /// Key of the service in its waitset.
    pub key: u64,
}

/// The waitset of a service.
#[derive(Debug, Clone)]
pub struct ServiceHost(pub(super) Host);

#[derive(Debug, Clone)]
pub(super) enum Host {
    Thread(Arc<Remote>),
    Threads(WeakSharedWaitset),
}

impl ServiceHost {
    /// Returns the host of a service of one thread.
    #[must_use]
    pub fn thread(waitset: &Waitset) -> Self {
        Self(Host::Thread(waitset.remote()))
    }

    /// Returns the host of a service that several threads serve.
    #[must_use]
    pub fn threads(waitset: &SharedWaitset) -> Self {
        Self(Host::Threads(waitset.downgrade()))
    }

    /// Returns true if the waitset is closed. After false it may close at any time.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.0 {
            Host::Thread(remote) => remote.is_closed(),
            Host::Threads(waitset) => waitset.handle().is_none(),
        }
    }
}

impl ServiceEntry {
    /// Runs `task` from the waitset of the service, on any of its threads. It is dropped unrun if the waitset is closed.
    pub fn run(&self, task: impl FnOnce() + Send + 'static) {
        match &self.host.0 {
            Host::Thread(remote) => remote.post(move |_| {
                task();
                Ok(())
            }),
            Host::Threads(waitset) => {
                if let Some(waitset) = waitset.handle() {
                    waitset.post(move |_| {
                        task();
                        Ok(())
                    });
                }
            }
        }
    }

    /// Admits a client of another thread or process from the waitset of the service; see [`Waitset::admit`]. `done` gets the
    /// second value that `make` returned, and the notifier of the service's end. Nothing runs if the waitset is closed.
    pub fn admit<T: Send + 'static>(
        &self,
        client: Client,
        wanted: impl Fn() -> bool + Send + 'static,
        make: impl FnOnce(&End) -> Result<(Box<dyn Channel + Send>, T), BindRefusal> + Send + 'static,
        done: impl FnOnce(Result<(T, Notifier), BindRefusal>) + Send + 'static,
    ) {
        let key = self.key;
        match &self.host.0 {
            Host::Thread(remote) => remote.post(move |waitset| {
                let make = move |end: &End| {
                    let (channel, extra) = make(end)?;
                    Ok((channel as Box<dyn Channel>, extra))
                };
                waitset.admit(key, client, wanted, make, move |_, admitted| {
                    done(admitted.map(|(_, extra, notifier)| (extra, notifier)));
                });
                Ok(())
            }),
            Host::Threads(waitset) => {
                if let Some(waitset) = waitset.handle() {
                    waitset.post(move |waitset| {
                        super::shared::admit(waitset, key, client, wanted, make, done);
                        Ok(())
                    });
                }
            }
        }
    }
}

/// An export of a service: a future, which can also be [waited for](Self::wait). Every generated `export` on a [`Waitset`]
/// returns one.
///
/// Nothing happens before it is awaited, waited for, or given [`then`](Self::then). None of the three blocks: a service can
/// be bound to as soon as it is exported, so an export needs no time limit.
#[must_use = "nothing is exported before `.await`, `wait` or `then`"]
pub struct Export {
    waitset: Waitset,
    interface: &'static Interface,
    broker: &'static dyn Broker,
    /// `None` once it is exported.
    connect: Option<Connect>,
    max_buffer: usize,
}

/// Default maximum of the buffer of one binding at the service's end, in bytes: see [`Export::max_buffer`].
pub const DEFAULT_MAX_BUFFER: usize = 1 << 20;

/// The largest of the drivers' default buffers, in bytes.
const LARGEST_DEFAULT: usize = 64 << 10;

/// Time between two looks at the bindings of a service that drains.
const DRAIN_INTERVAL: Duration = Duration::from_millis(2);

type Connect = Box<dyn FnMut(&Peer) -> Result<BoxDispatch, Refusal>>;

impl Export {
    pub(super) fn new(
        waitset: &Waitset,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        connect: Connect,
    ) -> Self {
        let (waitset, connect) = (waitset.clone(), Some(connect));
        Self { waitset, interface, broker, connect, max_buffer: DEFAULT_MAX_BUFFER }
    }

    /// Sets the maximum buffer of each binding in bytes; the default is [`DEFAULT_MAX_BUFFER`]. A client that requests more gets
    /// this much. No client gets more than the size of its own buffer.
    pub const fn max_buffer(mut self, bytes: usize) -> Self {
        self.max_buffer = bytes;
        self
    }

    /// Exports the service, and runs `callback` once from the waitset, with the service or the error.
    pub fn then<O: IntoOutcome>(
        mut self,
        callback: impl FnOnce(Result<Exported, ExportError>) -> O + 'static,
    ) {
        let Some(connect) = self.connect.take() else { return };
        let exported = self.export(connect);
        self.waitset.post(move |_| callback(exported).into_outcome());
    }

    /// Exports the service.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn wait(mut self) -> Result<Exported, ExportError> {
        let connect = self.connect.take().ok_or(ExportError::Ended)?;
        self.export(connect)
    }

    fn export(&self, connect: Connect) -> Result<Exported, ExportError> {
        self.waitset.usable().map_err(|_| ExportError::Ended)?;
        flush_at_exit(self.broker);
        let iref = fresh_iref()?;
        let service = Service {
            interface: self.interface,
            max_buffer: self.max_buffer,
            broker: self.broker,
            iref,
            connect: Cell::new(Connecting::Idle(connect)),
            bindings: RefCell::default(),
            waiting: RefCell::default(),
        };
        let key = self.waitset.extension::<Services>().insert(service);
        let host = ServiceHost::thread(&self.waitset);
        let entry = ServiceEntry { iref, interface: self.interface, host, key };
        if let Err(error) = self.broker.export(entry) {
            self.waitset.withdraw(key);
            return Err(error);
        }
        Ok(Exported { waitset: self.waitset.clone(), broker: self.broker, iref, key })
    }
}

impl Future for Export {
    type Output = Result<Exported, ExportError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.connect.take() {
            Some(connect) => Poll::Ready(self.export(connect)),
            // A future that is polled after it completed stays pending.
            None => Poll::Pending,
        }
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
    /// Returns the reference, for clients or for the name service.
    #[must_use]
    pub const fn iref(&self) -> Iref {
        self.iref
    }

    /// Ends the export. Its bindings live on.
    pub fn withdraw(self) {
        self.broker.withdraw(self.iref);
        self.waitset.withdraw(self.key);
    }

    /// Ends the export, and waits until its bindings have ended, as the clients close them: for a service whose name another
    /// one has taken over. Meanwhile the clients finish what they have begun. At the deadline the bindings that are left are
    /// torn down. Returns their number: 0 if all clients have left in time.
    ///
    /// Nothing happens before the future is polled. If it is dropped after that, the export has ended, and its bindings live
    /// on. The waitset has to be dispatched, by [`Waitset::block_on`] for example.
    ///
    /// ```no_run
    /// # fn drain(waitset: flounder_rt::Waitset, exported: flounder_rt::Exported) -> Result<(), flounder_rt::DispatchError> {
    /// use std::time::{Duration, Instant};
    ///
    /// let left = waitset.block_on(exported.drain(Instant::now() + Duration::from_secs(30)))?;
    /// println!("{left} clients were cut off");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn drain(self, deadline: Instant) -> usize {
        let service = self.waitset.extension::<Services>().find(self.key);
        let waitset = self.waitset.clone();
        self.withdraw();
        let Some(service) = service else { return 0 };
        while service.has_bindings() && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            waitset.sleep(left.min(DRAIN_INTERVAL)).await;
        }
        let bindings = service.bindings.take();
        bindings.iter().filter(|binding| binding.teardown()).count()
    }
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exported").field("iref", &self.iref).finish_non_exhaustive()
    }
}

/// A value that a callback may return: `()`, or a `Result` whose error ends the dispatch that ran the callback.
pub trait IntoOutcome {
    /// Converts the value for the waitset.
    ///
    /// # Errors
    /// The error of the callback.
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

/// Exempts a binding of a broker from the rules about capabilities ([`policy`](crate::policy)), and from reports to the peer
/// about lost capabilities. The rules were applied to the messages that the binding carries, and the broker reports losses
/// itself.
///
/// This is a function of this crate and not a method: the facade `flounder` does not export it, so a program cannot exempt its
/// own bindings.
pub fn exempt(binding: &RawBinding) {
    binding.exempt();
}

/// Services of one waitset.
#[derive(Default)]
struct Services {
    next: Cell<u64>,
    table: RefCell<HashMap<u64, Rc<Service>>>,
}

struct Service {
    interface: &'static Interface,
    max_buffer: usize,
    broker: &'static dyn Broker,
    iref: Iref,
    connect: Cell<Connecting>,
    /// Bindings that were made, and some that have ended.
    bindings: RefCell<Vec<WeakBinding>>,
    /// Clients that wait for the connect callback, in order. The broker charges each to the account of its process.
    waiting: RefCell<VecDeque<Admit>>,
}

type Admit = Box<dyn FnOnce(&Waitset)>;

/// The connect callback of a service.
enum Connecting {
    Idle(Connect),
    /// The callback runs.
    Running,
    /// The callback has panicked.
    Failed,
}

impl Services {
    fn insert(&self, service: Service) -> u64 {
        let key = self.next.get();
        self.next.set(key + 1);
        self.table.borrow_mut().insert(key, Rc::new(service));
        key
    }

    fn find(&self, key: u64) -> Option<Rc<Service>> {
        self.table.borrow().get(&key).map(Rc::clone)
    }
}

impl Extension for Services {
    /// Withdraws the services.
    fn waitset_closes(&self) {
        let services = self.table.try_borrow_mut().map(|mut table| core::mem::take(&mut *table));
        for service in services.unwrap_or_default().into_values() {
            service.broker.withdraw(service.iref);
        }
    }
}

/// A client that asks a service for a binding.
#[derive(Debug)]
pub struct Client {
    /// Process of the client.
    pub peer: Peer,
    /// Account of that process; `None` within a process.
    pub account: Option<Account>,
    /// Digest of the client's interface.
    pub fingerprint: u128,
    /// Number of the connection on its link; 0 within a process.
    pub connection: u64,
    /// Requested size of the service's buffer in bytes; 0 for the driver's default.
    pub buffer: usize,
}

/// Result of admitting a client: the service's binding, the second value that `make` returned, and the notifier.
pub type Admitted<T> = Result<(RawBinding, T, Notifier), BindRefusal>;

impl Waitset {
    /// Admits a client to the service `key` of this waitset: compares the interfaces, charges a binding to the account of
    /// the client, calls the connect callback, calls `make` for the service's end of the channel, and attaches a binding to it.
    /// Nothing is allocated for the client before the callback accepts. `done` gets the binding or the refusal; a refusal leaves
    /// nothing behind. A client that arrives while the callback runs waits in order of arrival. A client for which `wanted`
    /// returns false when its turn comes is not admitted. Called by brokers, from the waitset.
    pub fn admit<T: 'static>(
        &self,
        key: u64,
        client: Client,
        wanted: impl Fn() -> bool + 'static,
        make: impl FnOnce(&End) -> Result<(Box<dyn Channel>, T), BindRefusal> + 'static,
        done: impl FnOnce(&Self, Admitted<T>) + 'static,
    ) {
        let Some(service) = self.extension::<Services>().find(key) else {
            return done(self, Err(BindRefusal::NoService));
        };
        if service.is_busy() {
            let again = move |waitset: &Self| waitset.admit_now(key, client, wanted, make, done);
            return service.waiting.borrow_mut().push_back(Box::new(again));
        }
        self.admit_now(key, client, wanted, make, done);
    }

    fn admit_now<T>(
        &self,
        key: u64,
        client: Client,
        wanted: impl Fn() -> bool,
        make: impl FnOnce(&End) -> Result<(Box<dyn Channel>, T), BindRefusal>,
        done: impl FnOnce(&Self, Admitted<T>),
    ) {
        match self.extension::<Services>().find(key) {
            Some(service) => {
                if wanted() {
                    done(self, service.admit(self, client, make));
                }
                self.admit_waiting(&service);
            }
            None => done(self, Err(BindRefusal::NoService)),
        }
    }

    /// Posts a task that admits the waiting clients.
    fn admit_waiting(&self, service: &Rc<Service>) {
        if service.waiting.borrow().is_empty() {
            return;
        }
        let service = Rc::clone(service);
        self.post(move |waitset| {
            if !service.is_running() {
                let next = service.waiting.borrow_mut().pop_front();
                if let Some(admit) = next {
                    admit(waitset);
                }
            }
            Ok(())
        });
    }

    /// Removes a service. Waiting clients get [`BindRefusal::NoService`].
    fn withdraw(&self, key: u64) {
        let service = self.extension::<Services>().table.borrow_mut().remove(&key);
        let Some(service) = service else { return };
        let waiting = service.waiting.take();
        drop(service);
        if !waiting.is_empty() {
            self.post(move |waitset| {
                waiting.into_iter().for_each(|admit| admit(waitset));
                Ok(())
            });
        }
    }
}

impl Service {
    /// Returns true if a client has to wait for the callback or for other clients.
    fn is_busy(&self) -> bool {
        self.is_running() || !self.waiting.borrow().is_empty()
    }

    /// Returns true if the callback runs.
    fn is_running(&self) -> bool {
        let connect = self.connect.replace(Connecting::Running);
        let running = matches!(connect, Connecting::Running);
        self.connect.set(connect);
        running
    }

    fn admit<T>(
        &self,
        waitset: &Waitset,
        client: Client,
        make: impl FnOnce(&End) -> Result<(Box<dyn Channel>, T), BindRefusal>,
    ) -> Admitted<T> {
        if self.interface.fingerprint != client.fingerprint {
            return Err(BindRefusal::Interface {
                name: self.interface.name.to_owned(),
                table: self.interface.table(),
            });
        }
        let account = client.account.as_ref();
        let charge = account.map(|account| account.charge(Resource::Bindings, 1)).transpose()?;
        let handler = self.ask(&client.peer)?;
        let (notifier, connection) = (Notifier::new(), client.connection);
        let end =
            End { notifier, connection, buffer: granted_buffer(self.max_buffer, client.buffer) };
        let (channel, extra) = make(&end)?;
        let notifier = end.notifier;
        let raw = RawBinding::attach_from(
            channel,
            waitset,
            self.interface,
            handler,
            notifier.clone(),
            client.peer,
            charge,
        );
        let raw = raw.map_err(|error| BindRefusal::Driver(error.into()))?;
        raw.serve();
        self.add_binding(&raw);
        Ok((raw, extra, notifier))
    }

    /// Keeps a binding for [`Exported::drain`]. Forgets those that have ended whenever the list would grow.
    fn add_binding(&self, raw: &RawBinding) {
        let mut bindings = self.bindings.borrow_mut();
        if bindings.len() == bindings.capacity() {
            bindings.retain(WeakBinding::is_open);
        }
        bindings.push(raw.downgrade());
    }

    fn has_bindings(&self) -> bool {
        let mut bindings = self.bindings.borrow_mut();
        bindings.retain(WeakBinding::is_open);
        !bindings.is_empty()
    }

    /// Runs the connect callback.
    fn ask(&self, peer: &Peer) -> Result<BoxDispatch, BindRefusal> {
        let failed = || BindRefusal::Service(Refusal::new(0, "the service has failed"));
        let mut connect = match self.connect.replace(Connecting::Running) {
            Connecting::Idle(connect) => connect,
            other => {
                self.connect.set(other);
                return Err(failed());
            }
        };
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| connect(peer)));
        match answer {
            Ok(answer) => {
                self.connect.set(Connecting::Idle(connect));
                answer.map_err(BindRefusal::Service)
            }
            Err(_) => {
                self.connect.set(Connecting::Failed);
                tracing::error!(
                    interface = self.interface.name,
                    "a connect callback panicked; its service is closed"
                );
                Err(failed())
            }
        }
    }
}

/// Returns the buffer size for a client that requests `wanted` bytes, at a service with this maximum; 0 for the driver's
/// default.
pub(super) fn granted_buffer(max: usize, wanted: usize) -> usize {
    match wanted {
        0 if max >= LARGEST_DEFAULT => 0,
        0 => max.max(1),
        wanted => wanted.min(max).max(1),
    }
}

/// Returns a reference that was never used.
pub(super) fn fresh_iref() -> Result<Iref, ExportError> {
    loop {
        let mut bytes = [0; 8];
        let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        got.map_err(|errno| ExportError::Random(errno.into()))?;
        if let Some(iref) = Iref::from_bits(u64::from_ne_bytes(bytes)) {
            return Ok(iref);
        }
    }
}
