//! Names for services, on one host and for one user, or for several users where a daemon admits
//! them.
//!
//! A name belongs to the process that registered it first, until that process unregisters it or
//! dies. Each function returns a [`Request`]: a future for any executor, which can also be waited
//! for with [`wait`](Request::wait), from handlers too.
//!
//! ```no_run
//! use std::time::Duration;
//! # fn main() -> Result<(), flounder_monitor::nameservice::NameError> {
//! # let iref = flounder_rt::Iref::from_bits(1).expect("not zero");
//! use flounder_monitor::nameservice;
//! nameservice::register("clock", iref).wait()?; // in the service
//! let clock = nameservice::blocking_lookup("clock").wait()?; // in a client, which may have started first
//! let clock = nameservice::blocking_lookup("clock").timeout(Duration::from_secs(3)).wait()?;
//! for entry in nameservice::list().wait()? {
//!     println!("{} is {} of user {:?}", entry.name, entry.interface, entry.uid);
//! }
//! # drop(clock);
//! # Ok(())
//! # }
//! ```

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::rc::Rc;
use std::time::Instant;

use flounder_rt::export::IntoOutcome;
use flounder_rt::{Iref, Waitset, log_limited};
use futures_core::Stream;

use crate::directory::choice;
use crate::error::MonitorError;
use crate::limit::{Limit, Progress};
use crate::monitor::Monitor;
use crate::monitor_thread;
use crate::name::RequestError;
pub use crate::name::{
    Awaited, Entry, InvalidName, LostName, NameError, NameRequest, ResolvedName,
};
use crate::oneshot;
use crate::root_location::RootLocation;
use crate::wait::until_cancelled;

/// Time after which an unanswered request is logged.
const SLOW_REQUEST: Duration = Duration::from_secs(1);

/// Time limit of a request that was given none, but for those that wait for something to happen.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Registers a name for a service that this process exports, which also publishes the service.
///
/// If the request is dropped before it completes, the name is not registered.
///
/// # Errors
/// [`NameError::Taken`] if another process has the name, or this one for another service;
/// [`NameError::NoService`] if this process exports no service `iref`.
pub fn register(name: &str, iref: Iref) -> Request<()> {
    Request::named(name, async move |monitor, name, _| monitor.register(&name, iref, false).await)
}

/// Registers a name for a service of this process, also if another process of the same user has the name: it is taken over
/// without a gap, so that every lookup finds the one or the other service. For a new version of a service, which is started
/// while the old one runs. If no process has the name, this is [`register`].
///
/// The other process learns it from [`lost`], and should then end its service with [`Exported::drain`]: its clients finish
/// what they have begun. Clients that look the name up from now on, and those that
/// [reconnect](crate::service::Connect::reconnecting), use the new service.
///
/// If the request is dropped before it completes, the name may have been taken over, and is removed then.
///
/// ```no_run
/// # fn main() -> Result<(), flounder_monitor::nameservice::NameError> {
/// # let iref = flounder_rt::Iref::from_bits(1).expect("not zero");
/// use flounder_monitor::nameservice;
/// nameservice::take_over("clock", iref).wait()?; // `iref` is the new clock
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`NameError::Taken`] if a process of another user has the name; otherwise those of [`register`].
///
/// [`Exported::drain`]: flounder_rt::Exported::drain
pub fn take_over(name: &str, iref: Iref) -> Request<()> {
    Request::named(name, async move |monitor, name, _| monitor.register(&name, iref, true).await)
}

/// Removes a name of this process.
///
/// If the request is dropped before it completes, the name is removed all the same, unless the
/// request was not sent.
///
/// # Errors
/// [`NameError::Unknown`] if there is no such name; [`NameError::NotOwner`] if another process has
/// it.
pub fn unregister(name: &str) -> Request<()> {
    Request::named(name, async move |monitor, name, _| monitor.unregister(&name).await)
}

/// Returns the service with this name.
///
/// # Errors
/// [`NameError::Unknown`] if there is no such name.
pub fn lookup(name: &str) -> Request<Iref> {
    Request::named(name, async move |monitor, name, _| Ok(monitor.lookup(&name).await?.iref))
}

/// Returns the service with this name, and the owner of the name.
///
/// # Errors
/// [`NameError::Unknown`] if there is no such name.
pub fn lookup_with_owner(name: &str) -> Request<ResolvedName> {
    Request::named(name, async move |monitor, name, _| monitor.lookup(&name).await)
}

/// Returns the service with this name, and waits until it is registered: for ever, if the name is
/// not registered, or if there is no root monitor, unless the request has a
/// [`timeout`](Request::timeout) or a [`deadline`](Request::deadline).
///
/// A thread that blocks in [`wait`](Request::wait) cannot wait for a service of its own.
///
/// # Errors
/// Every error of a lookup but [`NameError::Unknown`].
pub fn blocking_lookup(name: &str) -> Request<Iref> {
    let request = Request::named(name, async move |monitor, name, progress| {
        Ok(monitor.await_name(&name, &progress).await?.iref)
    });
    request.without_limit()
}

/// Returns the service with this name, and the owner of the name, and waits until it is registered,
/// like [`blocking_lookup`].
///
/// # Errors
/// Those of [`blocking_lookup`].
pub fn blocking_lookup_with_owner(name: &str) -> Request<ResolvedName> {
    let request = Request::named(name, async move |monitor, name, progress| {
        monitor.await_name(&name, &progress).await
    });
    request.without_limit()
}

/// Asks the service with this name for a sign of life, and returns the time until it has answered. Its runtime answers, with
/// a task of the waitset that the service is exported on: a service that is stuck in a handler, or has stopped to dispatch,
/// does not answer, though its process lives. If several threads serve the waitset, any of them answers.
///
/// ```no_run
/// # fn main() -> Result<(), flounder_monitor::nameservice::NameError> {
/// use flounder_monitor::nameservice;
/// let time = nameservice::ping("clock").timeout(std::time::Duration::from_secs(1)).wait()?;
/// println!("the clock has answered after {time:?}");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`NameError::Unknown`] if there is no such name, or its service ends; [`NameError::Deadline`] with
/// [`Awaited::Service`] if the service does not answer in time; [`NameError::Monitor`] with [`MonitorError::Busy`] if too
/// many pings of this process wait at the service.
pub fn ping(name: &str) -> Request<Duration> {
    Request::named(name, async move |monitor, name, progress| monitor.ping(&name, &progress).await)
}

/// Returns all names of the host, in order.
///
/// # Errors
/// [`NameError::Monitor`] if the monitor cannot serve; [`NameError::Deadline`] if no root answers
/// in time.
pub fn list() -> Request<Vec<Entry>> {
    Request::new(None, async move |monitor| monitor.list().await)
}

/// Completes once another process has a name that this process registered: a process of the same user has taken it over
/// ([`take_over`]); or the root died, and the record of the name was lost, too; or two roots have become one. Otherwise that
/// does not happen while this process lives. For services that can be replaced, or must not assume that they still have
/// their name.
///
/// ```no_run
/// # async fn watch() -> Result<(), flounder_monitor::nameservice::NameError> {
/// use flounder_monitor::nameservice;
/// let lost = nameservice::lost("clock").await?;
/// eprintln!("{} belongs to {:?} now", lost.name, lost.pid);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`NameError::NotOwner`] if this process has not registered the name, or unregisters it.
pub fn lost(name: &str) -> Request<LostName> {
    let request = Request::named(name, async move |monitor, name, progress| {
        monitor.lost(&name, &progress).await
    });
    request.without_limit().without_slow_log()
}

/// Returns the changes of a name from now on: that a service has it, and that no service has it any more. An iterator, each
/// step of which blocks until there is a change, and a stream for programs with an executor.
///
/// If the name is registered already, that is the first change. A name that is missing at first is not reported as gone. A
/// watcher that is slow misses what is over: it gets the last state, and so never gets two equal ones in a row. Nothing
/// queues up for it. A new root monitor does not appear as a change.
///
/// The watch ends after an error: an invalid name, a monitor that cannot serve, or more lookups that wait than the limit of
/// the process allows ([`NameError::OverLimit`]); a watch counts as one.
///
/// ```no_run
/// # fn main() -> Result<(), flounder_monitor::nameservice::NameError> {
/// use flounder_monitor::nameservice::{self, NameChange};
/// for change in nameservice::watch("clock") {
///     match change? {
///         NameChange::There(clock) => println!("process {:?} is the clock", clock.pid),
///         NameChange::Gone => println!("no clock"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub fn watch(name: &str) -> Watch {
    Watch { name: name.to_owned(), known: None, request: None, is_over: false }
}

/// A change of a name, reported by a [`Watch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameChange {
    /// A service has the name.
    There(ResolvedName),
    /// No service has the name: it was unregistered, or its process has ended.
    Gone,
}

/// The changes of a name: see [`watch`].
///
/// Nothing is asked for before the first step. It works in any thread and any executor.
#[must_use = "nothing is watched before the first step"]
pub struct Watch {
    name: String,
    /// The service that the last change reported.
    known: Option<Iref>,
    /// The request for the next change, while it is polled.
    request: Option<Request<NameChange>>,
    is_over: bool,
}

impl Watch {
    /// Blocks until there is a change, and at most for `timeout`. Returns `None` if there was none; the watch goes on.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use flounder_monitor::nameservice::{self, NameError};
    /// # fn main() -> Result<(), NameError> {
    /// let mut clock = nameservice::watch("clock");
    /// if clock.next_within(Duration::from_secs(1))?.is_none() {
    ///     println!("nothing new for a second");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As the iterator's; [`NameError::Monitor`] if the watch is over.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<NameChange>, NameError> {
        if self.is_over {
            return Err(ended());
        }
        // One that a poll has sent has no limit.
        self.request = None;
        match self.ask().timeout(timeout).wait() {
            Err(NameError::Deadline { .. }) => Ok(None),
            result => self.note(result).map(Some),
        }
    }

    /// Returns a request for the next change.
    fn ask(&self) -> Request<NameChange> {
        let known = self.known;
        let request =
            Request::named(&self.name, async move |monitor, name, progress| {
                match monitor.await_change(&name, known, &progress).await {
                    Err(RequestError::Unknown) if known.is_some() => Ok(NameChange::Gone),
                    found => found.map(NameChange::There),
                }
            });
        request.without_limit().without_slow_log()
    }

    fn note(&mut self, result: Result<NameChange, NameError>) -> Result<NameChange, NameError> {
        self.is_over = result.is_err();
        self.known = match result {
            Ok(NameChange::There(found)) => Some(found.iref),
            Ok(NameChange::Gone) | Err(_) => None,
        };
        result
    }
}

impl Iterator for Watch {
    type Item = Result<NameChange, NameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let request = self.request.take().unwrap_or_else(|| self.ask());
        let result = request.wait();
        Some(self.note(result))
    }
}

impl Stream for Watch {
    type Item = Result<NameChange, NameError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let me = &mut *self;
        if me.is_over {
            return Poll::Ready(None);
        }
        let mut request = me.request.take().unwrap_or_else(|| me.ask());
        match Pin::new(&mut request).poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(me.note(result))),
            Poll::Pending => {
                me.request = Some(request);
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("name", &self.name).field("known", &self.known).finish()
    }
}

/// Logging of a request that has waited for [`SLOW_REQUEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlowRequestLog {
    On,
    Off,
}

/// A request to the name service: a future, which can also be [waited for](Self::wait).
///
/// Nothing is sent before it is awaited or waited for. If it is dropped before it completes, it is
/// given up. It may be sent to another thread, and works in any executor.
#[must_use = "nothing is sent before `.await` or `wait`"]
pub struct Request<T> {
    name: Option<String>,
    limit: Limit,
    slow_log: SlowRequestLog,
    stage: Stage<T>,
}

enum Stage<T> {
    Unsent(Task<T>),
    Sent(oneshot::Receiver<Result<T, NameError>>),
    Over,
}

/// Runs on the monitor's thread.
type Task<T> = Box<dyn FnOnce(Rc<Monitor>, Rc<Progress>) -> TaskFuture<T> + Send>;

type TaskFuture<T> = Pin<Box<dyn Future<Output = Result<T, RequestError>>>>;

impl<T: Send + 'static> Request<T> {
    /// Returns a request about `name` that runs `task` on the monitor's thread.
    pub(crate) fn new(
        name: Option<String>,
        task: impl AsyncFnOnce(Rc<Monitor>) -> Result<T, RequestError> + Send + 'static,
    ) -> Self {
        Self::with_progress(name, async move |monitor, _| task(monitor).await)
    }

    fn with_progress(
        name: Option<String>,
        task: impl AsyncFnOnce(Rc<Monitor>, Rc<Progress>) -> Result<T, RequestError> + Send + 'static,
    ) -> Self {
        let task: Task<T> = Box::new(|monitor, progress| Box::pin(task(monitor, progress)));
        let (limit, slow_log) = (Limit::Default, SlowRequestLog::On);
        Self { name, limit, slow_log, stage: Stage::Unsent(task) }
    }

    fn named(
        name: &str,
        task: impl AsyncFnOnce(Rc<Monitor>, String, Rc<Progress>) -> Result<T, RequestError>
        + Send
        + 'static,
    ) -> Self {
        let name = name.to_owned();
        Self::with_progress(Some(name.clone()), async move |monitor, progress| {
            task(monitor, name, progress).await
        })
    }

    fn without_limit(mut self) -> Self {
        self.limit = Limit::Never;
        self
    }

    fn without_slow_log(mut self) -> Self {
        self.slow_log = SlowRequestLog::Off;
        self
    }

    /// Limits the request to this time, from now. Then it ends with [`NameError::Deadline`].
    /// [`Duration::MAX`] is no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limit = Limit::within(timeout);
        self
    }

    /// Limits the request to this point in time. Then it ends with [`NameError::Deadline`].
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.limit = Limit::Until(deadline);
        self
    }

    /// Blocks the thread until the request is answered.
    ///
    /// # Errors
    /// The error of the request.
    pub fn wait(mut self) -> Result<T, NameError> {
        self.send();
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Sent(receiver) => receiver.wait(None).unwrap_or_else(|_| Err(ended())),
            Stage::Unsent(_) | Stage::Over => Err(ended()),
        }
    }

    /// Runs `callback` once with the answer, from the dispatch of `waitset`. If `waitset` closes
    /// before, the request is given up.
    pub fn then<O: IntoOutcome>(
        self,
        waitset: &Waitset,
        callback: impl FnOnce(Result<T, NameError>) -> O + 'static,
    ) {
        let here = waitset.remote();
        let task = async move {
            let result = self.await;
            if let Some(waitset) = Waitset::local(&here) {
                waitset.post(move |_| callback(result).into_outcome());
            }
        };
        waitset.spawn_local(task).detach();
    }

    /// Sends the request, unless it is sent.
    fn send(&mut self) {
        if matches!(self.stage, Stage::Unsent(_))
            && let Stage::Unsent(task) = core::mem::replace(&mut self.stage, Stage::Over)
        {
            self.stage = Stage::Sent(self.submit(task));
        }
    }

    fn submit(&self, task: Task<T>) -> oneshot::Receiver<Result<T, NameError>> {
        let (sender, receiver) = oneshot::channel();
        let (name, slow_log) = (self.name.clone(), self.slow_log);
        let deadline = self.limit.end(DEFAULT_TIMEOUT);
        let failed = match monitor_thread::remote() {
            _ if self.limit.is_over() => RequestError::Deadline(Awaited::Nothing),
            Ok(remote) => {
                remote.post(move |_| {
                    if let Some(monitor) = Monitor::current() {
                        run(monitor, task, Submission { name, deadline, slow_log, sender });
                    }
                    Ok(())
                });
                return receiver;
            }
            Err(error) => RequestError::Monitor(error),
        };
        sender.send(Err(failed.of(unsent_request(name))));
        receiver
    }
}

struct Submission<T> {
    name: Option<String>,
    deadline: Option<Instant>,
    slow_log: SlowRequestLog,
    sender: oneshot::Sender<Result<T, NameError>>,
}

/// Runs the task of a request, on the monitor's thread, until its deadline or until the request is dropped.
fn run<T: Send + 'static>(monitor: Rc<Monitor>, task: Task<T>, submission: Submission<T>) {
    let waitset = monitor.waitset().clone();
    let Submission { name, deadline, slow_log, sender } = submission;
    let work = async move {
        let waitset = monitor.waitset().clone();
        let request = |name| NameRequest { name, location: Some(monitor.location()) };
        let log_if_slow = async {
            waitset.sleep(SLOW_REQUEST).await;
            if slow_log == SlowRequestLog::On {
                log_limited!(warn, request = %request(name.clone()), "a request to the name service is not answered yet");
            }
            core::future::pending::<()>().await;
        };
        let progress = Rc::new(Progress::new(deadline));
        let task = task(Rc::clone(&monitor), Rc::clone(&progress));
        let work = until_cancelled(task, log_if_slow);
        let work = async { work.await.unwrap_or(Err(RequestError::Monitor(MonitorError::Ended))) };
        let result = match deadline {
            None => until_cancelled(work, sender.closed()).await,
            Some(deadline) => {
                let work = waitset.deadline(deadline, work);
                let over = || RequestError::Deadline(progress.awaited());
                let work = async { work.await.unwrap_or_else(|_| Err(over())) };
                until_cancelled(work, sender.closed()).await
            }
        };
        if let Some(result) = result {
            sender.send(result.map_err(|failure| failure.of(request(name))));
        }
    };
    waitset.spawn_local(work).detach();
}

impl<T: Send + 'static> Future for Request<T> {
    type Output = Result<T, NameError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.send();
        // A future that is polled after it completed stays pending.
        let Stage::Sent(receiver) = &mut self.stage else { return Poll::Pending };
        let result = core::task::ready!(Pin::new(receiver).poll(cx));
        self.stage = Stage::Over;
        Poll::Ready(result.unwrap_or_else(|| Err(ended())))
    }
}

// No field is pinned.
impl<T> Unpin for Request<T> {}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Returns the error of a request to a monitor that has ended, or is the parent's of this process.
fn ended() -> NameError {
    RequestError::Monitor(MonitorError::Ended).of(unsent_request(None))
}

/// Returns a request that did not reach the monitor of this process.
fn unsent_request(name: Option<String>) -> NameRequest {
    NameRequest {
        name,
        location: choice::chosen_already().map(|directory| RootLocation::new(directory, None)),
    }
}
