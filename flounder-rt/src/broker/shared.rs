//! Services and clients whose bindings any thread of a [`SharedWaitset`] serves.
//!
//! The connect callback of a service runs on one thread at a time; a client that comes meanwhile waits in line. A client's
//! binding is attached by the thread that completes the bind, which runs no code of the program but a waker.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::account::{Charge, Resource};
use crate::bind::{BindError, BindRefusal, BindReply, BindRequest, DEFAULT_BIND_TIMEOUT};
use crate::binding::{BoxDispatch, RawEnd, Shared, SharedEndpoint, Slot, block_on};
use crate::broker::flush::flush_at_exit;
use crate::channel::{Channel, End};
use crate::export::{
    Broker, Client, DEFAULT_MAX_BUFFER, ExportError, Refusal, ServiceEntry, ServiceHost,
    fresh_iref, granted_buffer,
};
use crate::interface::Interface;
use crate::iref::Iref;
use crate::notify::Notifier;
use crate::peer::Peer;
use crate::sync::Mutex;
use crate::waitset::{SharedExtension, SharedTimer, SharedWaitset, Timeout, WeakSharedWaitset};

/// An export of a service whose bindings several threads serve: a future, which can also be [waited for](Self::wait). Every
/// generated `export` on a [`SharedWaitset`] returns one.
///
/// Nothing happens before it is awaited or waited for. Neither blocks.
#[must_use = "nothing is exported before `.await` or `wait`"]
pub struct SharedExport {
    waitset: SharedWaitset,
    interface: &'static Interface,
    broker: &'static dyn Broker,
    /// `None` once it is exported.
    connect: Option<Connect>,
    max_buffer: usize,
}

type Connect = Box<dyn FnMut(&Peer) -> Result<BoxDispatch<Shared>, Refusal> + Send>;

impl SharedExport {
    pub(super) fn new(
        waitset: &SharedWaitset,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        connect: Connect,
    ) -> Self {
        let (waitset, connect) = (waitset.clone(), Some(connect));
        Self { waitset, interface, broker, connect, max_buffer: DEFAULT_MAX_BUFFER }
    }

    /// Bounds the buffer of each binding, in bytes, as [`Export::max_buffer`](crate::export::Export::max_buffer) does.
    pub const fn max_buffer(mut self, bytes: usize) -> Self {
        self.max_buffer = bytes;
        self
    }

    /// Exports the service.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn wait(mut self) -> Result<SharedExported, ExportError> {
        let connect = self.connect.take().ok_or(ExportError::Ended)?;
        self.export(connect)
    }

    fn export(&self, connect: Connect) -> Result<SharedExported, ExportError> {
        let Self { interface, broker, max_buffer, .. } = *self;
        self.waitset.usable().map_err(|_| ExportError::Ended)?;
        flush_at_exit(broker);
        let iref = fresh_iref()?;
        let connecting = Connecting::Idle(connect);
        let line = Mutex::new(Line { connecting, waiting: VecDeque::new() });
        let service = Arc::new(Service { interface, max_buffer, broker, iref, line });
        let key = self.waitset.extension::<Services>().insert(service);
        let host = ServiceHost::threads(&self.waitset);
        if let Err(error) = broker.export(ServiceEntry { iref, interface, host, key }) {
            withdraw(&self.waitset, key);
            return Err(error);
        }
        Ok(SharedExported { waitset: self.waitset.downgrade(), broker, iref, key })
    }
}

impl Future for SharedExport {
    type Output = Result<SharedExported, ExportError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.connect.take() {
            Some(connect) => Poll::Ready(self.export(connect)),
            // A future that is polled after it completed stays pending.
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for SharedExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedExport")
            .field("interface", &self.interface.name)
            .finish_non_exhaustive()
    }
}

/// A service that is exported: until it is withdrawn or its waitset is gone, whether or not this handle is kept.
#[derive(Clone)]
pub struct SharedExported {
    waitset: WeakSharedWaitset,
    broker: &'static dyn Broker,
    iref: Iref,
    key: u64,
}

impl SharedExported {
    /// Returns the reference, for clients or for the name service.
    #[must_use]
    pub const fn iref(&self) -> Iref {
        self.iref
    }

    /// Ends the export. Its bindings live on.
    pub fn withdraw(self) {
        self.broker.withdraw(self.iref);
        if let Some(waitset) = self.waitset.handle() {
            withdraw(&waitset, self.key);
        }
    }
}

impl fmt::Debug for SharedExported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedExported").field("iref", &self.iref).finish_non_exhaustive()
    }
}

/// Services of one waitset.
#[derive(Default)]
struct Services(Mutex<Table>);

#[derive(Default)]
struct Table {
    next: u64,
    services: HashMap<u64, Arc<Service>>,
}

struct Service {
    interface: &'static Interface,
    max_buffer: usize,
    broker: &'static dyn Broker,
    iref: Iref,
    line: Mutex<Line>,
}

/// The connect callback, and the clients that wait for it, in order.
struct Line {
    connecting: Connecting,
    waiting: VecDeque<Admit>,
}

type Admit = Box<dyn FnOnce(&SharedWaitset) + Send>;

enum Connecting {
    Idle(Connect),
    /// A thread runs the callback.
    Running,
    /// The callback has panicked.
    Failed,
}

impl Services {
    fn insert(&self, service: Arc<Service>) -> u64 {
        let mut table = self.0.lock();
        table.next += 1;
        let key = table.next;
        table.services.insert(key, service);
        key
    }

    fn find(&self, key: u64) -> Option<Arc<Service>> {
        self.0.lock().services.get(&key).map(Arc::clone)
    }
}

impl SharedExtension for Services {
    /// Withdraws the services.
    fn waitset_closes(&self) {
        let services = core::mem::take(&mut self.0.lock().services);
        for service in services.into_values() {
            service.broker.withdraw(service.iref);
        }
    }
}

/// Removes a service. Waiting clients get [`BindRefusal::NoService`].
fn withdraw(waitset: &SharedWaitset, key: u64) {
    let service = waitset.extension::<Services>().0.lock().services.remove(&key);
    let Some(service) = service else { return };
    let waiting = core::mem::take(&mut service.line.lock().waiting);
    for admit in waiting {
        waitset.post(move |waitset| {
            admit(waitset);
            Ok(())
        });
    }
}

/// What came of admitting a client: what was made beside the channel, and the notifier.
pub(super) type Admitted<T> = Result<(T, Notifier), BindRefusal>;

/// Admits a client to the service `key`, as [`Waitset::admit`](crate::Waitset::admit) does. Runs on a thread of the waitset.
pub(super) fn admit<T: Send + 'static>(
    waitset: &SharedWaitset,
    key: u64,
    client: Client,
    wanted: impl Fn() -> bool + Send + 'static,
    make: impl FnOnce(&End) -> Result<(Box<dyn Channel + Send>, T), BindRefusal> + Send + 'static,
    done: impl FnOnce(Admitted<T>) + Send + 'static,
) {
    let Some(service) = waitset.extension::<Services>().find(key) else {
        return done(Err(BindRefusal::NoService));
    };
    let mut line = service.line.lock();
    let connect = match core::mem::replace(&mut line.connecting, Connecting::Running) {
        Connecting::Running => {
            let again: Admit =
                Box::new(move |waitset| admit(waitset, key, client, wanted, make, done));
            line.waiting.push_back(again);
            return;
        }
        Connecting::Idle(connect) => Some(connect),
        Connecting::Failed => None,
    };
    drop(line);
    let turn = Turn { waitset, service: &service, connect };
    if wanted() {
        done(turn.admit(client, make));
    }
}

/// The turn of one client. When it is over, the next client has its own.
struct Turn<'a> {
    waitset: &'a SharedWaitset,
    service: &'a Service,
    /// `None` once the callback has panicked.
    connect: Option<Connect>,
}

impl Turn<'_> {
    fn admit<T>(
        mut self,
        client: Client,
        make: impl FnOnce(&End) -> Result<(Box<dyn Channel + Send>, T), BindRefusal>,
    ) -> Admitted<T> {
        let Service { interface, max_buffer, .. } = *self.service;
        if interface.fingerprint != client.fingerprint {
            let (name, table) = (interface.name.to_owned(), interface.table());
            return Err(BindRefusal::Interface { name, table });
        }
        let account = client.account.as_ref();
        let charge = account.map(|account| account.charge(Resource::Bindings, 1)).transpose()?;
        let handler = self.ask(&client.peer)?;
        let buffer = granted_buffer(max_buffer, client.buffer);
        let end = End { notifier: Notifier::new(), connection: client.connection, buffer };
        let (channel, extra) = make(&end)?;
        let notifier = end.notifier;
        let service = SharedEndpoint::attach_from(
            channel,
            self.waitset,
            interface,
            handler,
            notifier.clone(),
            client.peer,
            charge,
        );
        service.map_err(|error| BindRefusal::Driver(error.into()))?.serve();
        Ok((extra, notifier))
    }

    /// Runs the connect callback.
    fn ask(&mut self, peer: &Peer) -> Result<BoxDispatch<Shared>, BindRefusal> {
        let failed = || BindRefusal::Service(Refusal::new(0, "the service has failed"));
        let connect = self.connect.as_mut().ok_or_else(failed)?;
        match catch_unwind(AssertUnwindSafe(|| connect(peer))) {
            Ok(answer) => answer.map_err(BindRefusal::Service),
            Err(_) => {
                self.connect = None;
                tracing::error!(
                    interface = self.service.interface.name,
                    "a connect callback panicked; its service is closed"
                );
                Err(failed())
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let next = {
            let mut line = self.service.line.lock();
            line.connecting = self.connect.take().map_or(Connecting::Failed, Connecting::Idle);
            line.waiting.pop_front()
        };
        if let Some(next) = next {
            self.waitset.post(move |waitset| {
                next(waitset);
                Ok(())
            });
        }
    }
}

/// A bind of a client that several threads serve: a future, which can also be [waited for](Self::wait). Every generated `bind`
/// on a [`SharedWaitset`] returns one.
///
/// Nothing happens before it is awaited or waited for. If it is dropped before it completes, the bind is given up.
#[must_use = "nothing is bound before `.await` or `wait`"]
pub struct SharedBind<B> {
    wrap: fn(RawEnd<Shared>) -> B,
    timeout: Timeout,
    stage: Stage,
}

enum Stage {
    Ready(Box<Setup>),
    Waiting(Waiting),
    Over,
}

/// A bind that has not begun.
struct Setup {
    waitset: SharedWaitset,
    iref: Iref,
    interface: &'static Interface,
    broker: &'static dyn Broker,
    handler: BoxDispatch<Shared>,
    drivers: Vec<String>,
    buffer: usize,
}

impl<B> SharedBind<B> {
    pub(super) fn new(
        iref: Iref,
        waitset: &SharedWaitset,
        interface: &'static Interface,
        broker: &'static dyn Broker,
        handler: BoxDispatch<Shared>,
        wrap: fn(RawEnd<Shared>) -> B,
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

    /// Asks for about this many bytes of buffer in each direction, where the driver has one to size.
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

    /// Binds, and blocks until the result is there. Needs no thread that dispatches the waitset of the client. The binding
    /// does: it neither receives nor closes before a thread dispatches.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn wait(self) -> Result<B, BindError> {
        let end = end_of(self.timeout);
        block_on(self, end).unwrap_or(Err(BindError::Deadline))
    }

    fn with(mut self, set: impl FnOnce(&mut Setup)) -> Self {
        if let Stage::Ready(setup) = &mut self.stage {
            set(setup);
        }
        self
    }
}

/// Returns when a bind with this time limit ends.
fn end_of(timeout: Timeout) -> Option<Instant> {
    match timeout {
        Timeout::Default => Instant::now().checked_add(DEFAULT_BIND_TIMEOUT),
        limited => limited.end(),
    }
}

impl Setup {
    fn begin(self, timeout: Timeout) -> Result<Waiting, BindError> {
        let Self { waitset, iref, interface, broker, handler, drivers, buffer } = self;
        waitset.usable()?;
        if timeout.is_over() {
            return Err(BindError::Deadline);
        }
        flush_at_exit(broker);
        let pending = Arc::new(PendingBind {
            waitset: waitset.downgrade(),
            interface,
            handler: Mutex::new(Some(handler)),
            result: Slot::default(),
        });
        let deadline = end_of(timeout);
        let timer = deadline.map(|deadline| {
            let late = Arc::downgrade(&pending);
            let left = deadline.saturating_duration_since(Instant::now());
            waitset.after(left, move |_| {
                if let Some(pending) = late.upgrade() {
                    pending.fail(BindError::Deadline);
                }
                Ok(())
            })
        });
        let reply = BindReply::to_threads(Arc::clone(&pending));
        broker.bind(BindRequest { iref, interface, drivers, deadline, buffer, reply });
        Ok(Waiting { pending, timer })
    }
}

impl<B> Future for SharedBind<B> {
    type Output = Result<B, BindError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if matches!(this.stage, Stage::Ready(_))
            && let Stage::Ready(setup) = core::mem::replace(&mut this.stage, Stage::Over)
        {
            match setup.begin(this.timeout) {
                Ok(waiting) => this.stage = Stage::Waiting(waiting),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // A future that is polled after it completed stays pending.
        let Stage::Waiting(waiting) = &this.stage else { return Poll::Pending };
        if !waiting.pending.result.listen(cx.waker()) {
            return Poll::Pending;
        }
        let result = waiting.pending.result.take();
        this.stage = Stage::Over;
        result.map_or(Poll::Pending, |result| Poll::Ready(result.map(RawEnd).map(this.wrap)))
    }
}

impl<B> fmt::Debug for SharedBind<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SharedBind");
        if let Stage::Ready(setup) = &self.stage {
            debug.field("iref", &setup.iref).field("interface", &setup.interface.name);
        }
        debug.finish_non_exhaustive()
    }
}

/// A bind in progress, with the slot for its result.
struct Waiting {
    pending: Arc<PendingBind>,
    timer: Option<SharedTimer>,
}

impl Drop for Waiting {
    /// Gives the bind up, unless it is over.
    fn drop(&mut self) {
        let _ = self.pending.result.give_up();
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
        // A channel that comes now finds no handlers, and is closed.
        let handler = self.pending.handler.lock().take();
        drop(handler);
    }
}

/// A client that waits for its end of a channel.
pub(super) struct PendingBind {
    waitset: WeakSharedWaitset,
    interface: &'static Interface,
    /// `None` once there is a result.
    handler: Mutex<Option<BoxDispatch<Shared>>>,
    result: Slot<Result<SharedEndpoint, BindError>>,
}

impl PendingBind {
    /// Attaches a binding to the channel. A channel that comes too late is closed.
    pub(super) fn bound(
        &self,
        mut channel: Box<dyn Channel + Send>,
        notifier: Notifier,
        peer: Peer,
        charge: Option<Charge>,
    ) {
        let handler = self.handler.lock().take();
        let (Some(handler), Some(waitset)) = (handler, self.waitset.handle()) else {
            return channel.close();
        };
        let interface = self.interface;
        let bound = SharedEndpoint::attach_from(
            channel, &waitset, interface, handler, notifier, peer, charge,
        );
        self.result.settle(
            bound.map_err(|error| BindError::Drivers(vec![("attach".into(), error.into())])),
        );
    }

    pub(super) fn fail(&self, error: BindError) {
        let handler = self.handler.lock().take();
        if handler.is_some() {
            self.result.settle(Err(error));
        }
    }
}

impl fmt::Debug for PendingBind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingBind")
            .field("interface", &self.interface.name)
            .finish_non_exhaustive()
    }
}
