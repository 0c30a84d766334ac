//! Services and clients of programs that have no waitset of their own: a name is enough.
//!
//! ```no_run
//! # mod kv {
//! #     use flounder_monitor::service::{Connect, Serve};
//! #     pub fn serve(_: &str, _: impl FnMut() -> Server) -> Serve { loop {} }
//! #     pub fn connect(_: &str) -> Connect<()> { loop {} }
//! #     pub struct Server;
//! # }
//! # use kv::Server;
//! # fn main() -> Result<(), flounder_monitor::service::ServiceError> {
//! let service = kv::serve("kv", || Server).wait()?; // for each client a `Server`
//! let binding = kv::connect("kv").wait()?; // from any process, for any thread; or `.await`
//! # drop((service, binding));
//! # Ok(())
//! # }
//! ```
//!
//! Each interface has two functions for this, `serve` and `connect`. A thread of the library stands behind both; there is
//! one in a process, started when it is first needed. It runs the handlers of all services, so a handler must not block:
//! one that has to wait is a future (`AsyncRx`), or hands its work to another thread and keeps the reply for later.
//!
//! ```text
//!  any thread                               thread of the library                        monitor
//!  kv::serve("kv", make) --- Serve -------> exports; one value of make() per client ---> registers "kv"
//!        ServiceHandle <------------------- handlers run here                            |
//!        dropped -------------------------> withdraws, ends the bindings --------------> removes "kv"
//!  kv::connect("kv") ------- Connect -----> waits for the name, binds <----------------- looks "kv" up
//!        shared binding <------------------ sends and receives for it
//! ```
//!
//! The long form (`export`, `nameservice::register`, `bind`) is for programs that dispatch a waitset: handlers run in their
//! own thread, a service sees who its clients are and may refuse them, and calls have no thread in between.

use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::collections::HashMap;
use std::error;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub use flounder_rt::binding::Reconnecting;
use flounder_rt::binding::{BoxDispatch, Dispatch, Local, RawBinding, RawEnd, Received, nothing};
use flounder_rt::export::Exported;
use flounder_rt::fork::ForkGeneration;
use flounder_rt::interface::Direction;
use flounder_rt::message::MessageValue;
use flounder_rt::waitset::Remote;
use flounder_rt::wire::DecodeError;
use flounder_rt::{
    __private, BindError, BindingError, Errno, ExportError, Interface, Iref, Peer, Waitset,
};

use crate::limit::Limit;
use crate::name::{Awaited, LostName, NameError, NameRequest};
use crate::nameservice::{self, Request};
use crate::wait::until_cancelled;
use crate::{broker, oneshot, service_thread};

mod reconnect;

pub use reconnect::Reconnect;

/// Pause before a name is looked up again whose service has ended meanwhile.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// A service that is about to be offered under a name: a future, which can also be [waited for](Self::wait). Every generated
/// `serve` returns one.
///
/// Nothing happens before it is awaited or waited for. If it is dropped before it completes, there is no service and no
/// name. It works in any executor.
#[must_use = "nothing is served before `.await` or `wait`"]
pub struct Serve {
    job: Job<ServiceHandle>,
    takes_over: Arc<AtomicBool>,
}

impl Serve {
    /// `handlers` makes what handles the messages of one client.
    pub(crate) fn new(
        name: &str,
        interface: &'static Interface,
        handlers: impl FnMut() -> BoxDispatch + Send + 'static,
    ) -> Self {
        let (name, takes_over) = (name.to_owned(), Arc::new(AtomicBool::new(false)));
        let theirs = Arc::clone(&takes_over);
        let job = Job::new(move |waitset, deadline| {
            Box::pin(async move {
                // SYNC takes-over: the job is started after the last change, and is passed by a lock.
                let register = match theirs.load(Ordering::Relaxed) {
                    true => nameservice::take_over,
                    false => nameservice::register,
                };
                serve(&waitset, name, interface, handlers, register, deadline).await
            })
        });
        Self { job, takes_over }
    }

    /// Takes over the name from another process of the same user, if one has it, without a gap
    /// ([`nameservice::take_over`]). That process learns it from [`ServiceHandle::lost`], and should then
    /// [drain](ServiceHandle::drain) its service.
    pub fn taking_over(self) -> Self {
        self.takes_over.store(true, Ordering::Relaxed);
        self
    }

    /// Limits the start of the service to this time, from now ([`nameservice::DEFAULT_TIMEOUT`] otherwise). Then it ends with
    /// [`NameError::Deadline`]. [`Duration::MAX`] is no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.job.limit = Limit::within(timeout);
        self
    }

    /// Limits the start of the service to this point in time.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.job.limit = Limit::Until(deadline);
        self
    }

    /// Blocks the thread until clients can connect.
    ///
    /// # Errors
    /// [`ServiceError::Name`] with [`NameError::Taken`], which names the process, if there is a service of this name;
    /// otherwise another [`ServiceError`].
    pub fn wait(self) -> Result<ServiceHandle, ServiceError> {
        self.job.wait()
    }
}

impl Future for Serve {
    type Output = Result<ServiceHandle, ServiceError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.job.poll(cx)
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").finish_non_exhaustive()
    }
}

/// A service that runs in the thread of the library. When the handle is dropped the service ends: its name is free, and its
/// bindings are closed, once what they have accepted is sent.
///
/// In a forked child the handle is the parent's, and its drop does nothing.
#[must_use = "the service ends when its handle is dropped; `detach` keeps it"]
pub struct ServiceHandle {
    name: String,
    iref: Iref,
    /// `None` if the service was detached.
    remote: Option<Arc<Remote>>,
    born: ForkGeneration,
}

impl ServiceHandle {
    /// Returns the name of the service.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the reference of the service, for clients that use the long form without the name.
    #[must_use]
    pub const fn iref(&self) -> Iref {
        self.iref
    }

    /// Completes when another process has the name ([`nameservice::lost`]), which is otherwise never: a program that does
    /// nothing but serve waits for it.
    pub fn lost(&self) -> Request<LostName> {
        nameservice::lost(&self.name)
    }

    /// Ends the service once its clients have left: no client connects any more, and those that are connected finish what
    /// they have begun. Clients that reconnect leave by themselves when another service has taken over the name. At the
    /// deadline the bindings that are left are closed. The value is their number: 0 if all clients have left in time.
    ///
    /// Dropped before it completes, it ends the service at once.
    ///
    /// ```no_run
    /// # fn drain(service: flounder_monitor::service::ServiceHandle) -> Result<(), flounder_monitor::service::ServiceError> {
    /// use std::time::{Duration, Instant};
    ///
    /// // Another process has taken over the name.
    /// let left = service.drain(Instant::now() + Duration::from_secs(30)).wait()?;
    /// println!("{left} clients were cut off");
    /// # Ok(())
    /// # }
    /// ```
    pub fn drain(mut self, deadline: Instant) -> Drain {
        let (iref, born) = (self.iref, self.born);
        // The job ends the service instead of the drop.
        let is_served = self.remote.take().is_some() && born.is_here();
        let mut job = Job::new(move |_, _| {
            Box::pin(async move {
                let served = SERVED.with_borrow_mut(|all| all.remove(&iref));
                match served.filter(|_| is_served) {
                    Some(mut served) => match served.exported.take() {
                        Some(exported) => Ok(exported.drain(deadline).await),
                        None => Err(ServiceError::Ended),
                    },
                    None => Err(ServiceError::Ended),
                }
            })
        });
        job.limit = Limit::Never;
        Drain(job)
    }

    /// Keeps the service until the process ends.
    pub fn detach(mut self) {
        self.remote = None;
    }
}

impl Drop for ServiceHandle {
    fn drop(&mut self) {
        if !self.born.is_here() {
            return;
        }
        let Some(remote) = self.remote.take() else { return };
        let iref = self.iref;
        // From here on no client of this process finds the service, and the monitor tells the root.
        broker().withdraw(iref);
        remote.post(move |_| {
            let served = SERVED.with_borrow_mut(|served| served.remove(&iref));
            drop(served);
            Ok(())
        });
    }
}

impl fmt::Debug for ServiceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceHandle")
            .field("name", &self.name)
            .field("iref", &self.iref)
            .finish_non_exhaustive()
    }
}

/// A service that ends: a future, which can also be [waited for](Self::wait). See [`ServiceHandle::drain`].
#[must_use = "the service goes on before `.await` or `wait`, and ends when the value is dropped"]
pub struct Drain(Job<usize>);

impl Drain {
    /// Blocks the thread until the service has ended. Returns the number of bindings that were closed at the deadline.
    ///
    /// # Errors
    /// [`ServiceError::Ended`] if the service was detached, or is that of the parent of this forked process;
    /// [`ServiceError::OwnThread`] from a handler.
    pub fn wait(self) -> Result<usize, ServiceError> {
        self.0.wait()
    }
}

impl Future for Drain {
    type Output = Result<usize, ServiceError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").finish_non_exhaustive()
    }
}

thread_local! {
    /// The services of the thread of the library.
    static SERVED: RefCell<HashMap<Iref, Served>> = RefCell::default();
}

/// An exported service with its bindings. The drop ends all of them.
struct Served {
    exported: Option<Exported>,
    bindings: Rc<Bindings>,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(exported) = self.exported.take() {
            exported.withdraw();
        }
        let bindings = self.bindings.0.take();
        for binding in bindings.into_values() {
            binding.teardown();
        }
    }
}

/// The bindings of a service that have not ended, by the number of the client.
#[derive(Default)]
struct Bindings(RefCell<HashMap<u64, RawBinding>>);

/// Handlers of one client. They tell the service when their binding begins and ends.
struct ClientHandlers {
    number: u64,
    handlers: BoxDispatch,
    bindings: Rc<Bindings>,
}

impl Dispatch for ClientHandlers {
    fn deliver(&mut self, raw: &RawBinding, message: Received<'_>) -> Result<(), DecodeError> {
        self.handlers.deliver(raw, message)
    }

    fn error(&mut self, raw: &RawBinding, error: BindingError) {
        self.handlers.error(raw, error);
    }

    fn attached(&mut self, raw: &RawBinding) -> bool {
        self.bindings.0.borrow_mut().insert(self.number, raw.clone());
        self.handlers.attached(raw)
    }

    fn connected(&mut self, raw: &RawBinding) {
        self.handlers.connected(raw);
    }
}

impl Drop for ClientHandlers {
    fn drop(&mut self) {
        let ended = self.bindings.0.borrow_mut().remove(&self.number);
        drop(ended);
    }
}

/// Exports a service and registers its name, on the thread of the library.
async fn serve(
    waitset: &Waitset,
    name: String,
    interface: &'static Interface,
    mut handlers: impl FnMut() -> BoxDispatch + 'static,
    register: fn(&str, Iref) -> Request<()>,
    deadline: Option<Instant>,
) -> Result<ServiceHandle, ServiceError> {
    let bindings = Rc::<Bindings>::default();
    let (theirs, mut clients) = (Rc::clone(&bindings), 0);
    let connect = move |_: &Peer| {
        clients += 1;
        let (handlers, bindings) = (handlers(), Rc::clone(&theirs));
        Ok(ClientHandlers { number: clients, handlers, bindings })
    };
    let deliver = |handlers| Box::new(handlers) as BoxDispatch;
    let export = __private::export(waitset, interface, broker(), connect, deliver);
    let exported = export.await?;
    let iref = exported.iref();
    // From here on the drop withdraws it.
    let served = Served { exported: Some(exported), bindings };
    let registered = register(&name, iref);
    match deadline {
        Some(deadline) => registered.deadline(deadline).await?,
        None => registered.timeout(Duration::MAX).await?,
    }
    SERVED.with_borrow_mut(|all| all.insert(iref, served));
    Ok(ServiceHandle { name, iref, remote: Some(waitset.remote()), born: ForkGeneration::now() })
}

/// A connection that is about to be made to the service of a name: a future, which can also be [waited for](Self::wait). Every
/// generated `connect` returns one. Its output is an end for any thread, whose calls block or are awaited.
///
/// Nothing happens before it is awaited or waited for. A name that is not registered yet is waited for. If it is dropped
/// before it completes, there is no connection. It works in any executor.
#[must_use = "nothing is connected before `.await` or `wait`"]
pub struct Connect<B, A = ()> {
    job: Job<B>,
    again: A,
}

/// What a [`Connect`] needs to make its connection again: see [`Connect::reconnecting`].
pub struct Again<B> {
    target: Target,
    wrap: fn(RawEnd<Reconnecting>) -> B,
}

impl<B> fmt::Debug for Again<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Again").field("name", &self.target.name).finish_non_exhaustive()
    }
}

/// The service that a client is to be connected to.
#[derive(Clone)]
struct Target {
    name: String,
    interface: &'static Interface,
    handlers: fn() -> BoxDispatch,
}

impl<B: Send + 'static, A: Send + 'static> Connect<B, Again<A>> {
    /// The messages of the service are those of `M`.
    pub(crate) fn new<M: MessageValue + 'static>(
        name: &str,
        wrap: fn(RawEnd<Local>) -> B,
        wrap_again: fn(RawEnd<Reconnecting>) -> A,
    ) -> Self {
        let handlers = || nothing::<Local, M>(Direction::ToClient);
        let name = name.to_owned();
        let target = Target { name, interface: M::INTERFACE, handlers };
        let again = Again { target: target.clone(), wrap: wrap_again };
        let job = Job::new(move |waitset, deadline| {
            Box::pin(async move { connect(&waitset, &target, wrap, deadline).await })
        });
        Self { job, again }
    }

    /// Returns a connection that is made again when it is lost: see [`Reconnect`]. The limit of time is that of the first
    /// connection.
    ///
    /// ```no_run
    /// # mod kv {
    /// #     use flounder_monitor::service::{Again, Connect};
    /// #     pub fn connect(_: &str) -> Connect<(), Again<()>> { loop {} }
    /// # }
    /// # fn main() -> Result<(), flounder_monitor::service::ServiceError> {
    /// use flounder_monitor::service::Reconnect;
    ///
    /// let policy = Reconnect::default().on_lost(|why| eprintln!("the service is gone: {why}"));
    /// let binding = kv::connect("kv").reconnecting(policy).wait()?;
    /// # drop(binding);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconnecting(self, policy: Reconnect) -> Connect<A> {
        let Again { target, wrap } = self.again;
        let limit = self.job.limit;
        let mut job = Job::new(move |waitset, deadline| {
            Box::pin(async move {
                let end = reconnect::connect(&waitset, target, policy, deadline).await?;
                Ok(wrap(RawEnd(end)))
            })
        });
        job.limit = limit;
        Connect { job, again: () }
    }
}

impl<B: Send + 'static, A> Connect<B, A> {
    /// Limits the connection to this time, from now ([`nameservice::DEFAULT_TIMEOUT`] otherwise). Then it ends with
    /// [`ServiceError::NoService`] if the name is missing, with [`BindError::Deadline`] if the service does not answer.
    /// [`Duration::MAX`] is no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.job.limit = Limit::within(timeout);
        self
    }

    /// Limits the connection to this point in time.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.job.limit = Limit::Until(deadline);
        self
    }

    /// Blocks the thread until the connection is made.
    ///
    /// # Errors
    /// [`ServiceError::NoService`] if no service has the name in time; [`ServiceError::Bind`] if the service cannot be bound
    /// to; otherwise another [`ServiceError`].
    pub fn wait(self) -> Result<B, ServiceError> {
        self.job.wait()
    }
}

impl<B: Send + 'static, A: Unpin> Future for Connect<B, A> {
    type Output = Result<B, ServiceError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.job.poll(cx)
    }
}

impl<B, A> fmt::Debug for Connect<B, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").finish_non_exhaustive()
    }
}

/// Looks a name up and binds to its service, on the thread of the library.
async fn connect<B: 'static>(
    waitset: &Waitset,
    target: &Target,
    wrap: fn(RawEnd<Local>) -> B,
    deadline: Option<Instant>,
) -> Result<B, ServiceError> {
    loop {
        let iref = find(&target.name, deadline).await?;
        let handlers = (target.handlers)();
        match bind(waitset, iref, target.interface, handlers, wrap, deadline).await {
            // It has ended since, and another may have the name soon.
            Err(BindError::NoService) => waitset.sleep(RETRY_DELAY).await,
            bound => return Ok(bound?),
        }
    }
}

/// Looks a name up, and waits until there is a service.
async fn find(name: &str, deadline: Option<Instant>) -> Result<Iref, ServiceError> {
    let lookup = nameservice::blocking_lookup(name);
    match deadline {
        Some(deadline) => lookup.deadline(deadline).await.map_err(missing),
        None => Ok(lookup.await?),
    }
}

async fn bind<B: 'static>(
    waitset: &Waitset,
    iref: Iref,
    interface: &'static Interface,
    handlers: BoxDispatch,
    wrap: fn(RawEnd<Local>) -> B,
    deadline: Option<Instant>,
) -> Result<B, BindError> {
    let bind = __private::bind(iref, waitset, interface, broker(), handlers, wrap);
    match deadline {
        Some(deadline) => bind.deadline(deadline).await,
        None => bind.timeout(Duration::MAX).await,
    }
}

/// Returns the error of a lookup that waited.
fn missing(error: NameError) -> ServiceError {
    match error {
        NameError::Deadline { awaited: Awaited::Registration, request } => {
            ServiceError::NoService { request }
        }
        error => ServiceError::Name(error),
    }
}

/// Work for the thread of the library that has one result.
struct Job<T> {
    limit: Limit,
    stage: Stage<T>,
}

enum Stage<T> {
    Ready(Task<T>),
    Started(oneshot::Receiver<Result<T, ServiceError>>),
    Over,
}

/// Runs on the thread of the library, and ends at the deadline.
type Task<T> = Box<dyn FnOnce(Waitset, Option<Instant>) -> TaskFuture<T> + Send>;

type TaskFuture<T> = Pin<Box<dyn Future<Output = Result<T, ServiceError>>>>;

impl<T: Send + 'static> Job<T> {
    fn new(task: impl FnOnce(Waitset, Option<Instant>) -> TaskFuture<T> + Send + 'static) -> Self {
        Self { limit: Limit::Default, stage: Stage::Ready(Box::new(task)) }
    }

    /// Starts the work, unless it is started.
    fn start(&mut self) -> Result<(), ServiceError> {
        let task = match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Ready(task) => task,
            started => {
                self.stage = started;
                return Ok(());
            }
        };
        let (sender, receiver) = oneshot::channel();
        let deadline = self.limit.end(nameservice::DEFAULT_TIMEOUT);
        service_thread::remote()?.post(move |waitset| {
            let work = task(waitset.clone(), deadline);
            let work = async move {
                if let Some(result) = until_cancelled(work, sender.closed()).await {
                    sender.send(result);
                }
            };
            waitset.spawn_local(work).detach();
            Ok(())
        });
        self.stage = Stage::Started(receiver);
        Ok(())
    }

    fn wait(mut self) -> Result<T, ServiceError> {
        if service_thread::is_current() {
            return Err(ServiceError::OwnThread);
        }
        self.start()?;
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Started(receiver) => receiver.wait(None).unwrap_or(Err(ServiceError::Ended)),
            Stage::Ready(_) | Stage::Over => Err(ServiceError::Ended),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, ServiceError>> {
        if let Err(error) = self.start() {
            return Poll::Ready(Err(error));
        }
        // A future that is polled after it completed stays pending.
        let Stage::Started(receiver) = &mut self.stage else { return Poll::Pending };
        let result = ready!(Pin::new(receiver).poll(cx));
        self.stage = Stage::Over;
        Poll::Ready(result.unwrap_or(Err(ServiceError::Ended)))
    }
}

// No field is pinned.
impl<T> Unpin for Job<T> {}

/// Error of `serve` and `connect`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceError {
    /// The thread of the library did not start.
    Thread(Errno),
    /// The service could not be exported.
    Export(ExportError),
    /// The name service refused, or did not answer.
    Name(NameError),
    /// No service had the name before the deadline.
    NoService {
        /// The name, and where it was looked up.
        request: Box<NameRequest>,
    },
    /// The service could not be bound to.
    Bind(BindError),
    /// The thread of the library would have to wait for itself: a handler has called `wait`. It may spawn the future.
    OwnThread,
    /// The thread of the library has ended, or is that of the parent of this forked process.
    Ended,
}

impl From<ExportError> for ServiceError {
    fn from(error: ExportError) -> Self {
        Self::Export(error)
    }
}

impl From<NameError> for ServiceError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl From<BindError> for ServiceError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

flounder_rt::debug_as_chain!(ServiceError);

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(_) => f.write_str("the thread of the services did not start"),
            Self::Export(error) => fmt::Display::fmt(error, f),
            Self::Name(error) => fmt::Display::fmt(error, f),
            Self::NoService { request } => {
                write!(f, "no service had {request}, before the deadline")
            }
            Self::Bind(error) => fmt::Display::fmt(error, f),
            Self::OwnThread => f.write_str(
                "a handler of a service cannot block for `serve` or `connect`; await it in a task",
            ),
            Self::Ended => f.write_str(
                "the thread of the services has ended, or is that of the parent of this forked process",
            ),
        }
    }
}

impl error::Error for ServiceError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Thread(errno) => Some(errno),
            Self::Export(error) => error.source(),
            Self::Name(error) => error.source(),
            Self::Bind(error) => error.source(),
            Self::NoService { .. } | Self::OwnThread | Self::Ended => None,
        }
    }
}
