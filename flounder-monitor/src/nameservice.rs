//! Names for services, on one host and for one user, or for several users where a daemon admits
//! them.
//!
//! A name belongs to the process that registered it first, until that process unregisters it or
//! dies. The functions block the calling thread and may be called from handlers; each has an
//! `_async` form, for [`Waitset::block_on`](flounder_rt::Waitset::block_on) and for other
//! executors.
//!
//! ```no_run
//! use std::time::Duration;
//! # fn main() -> Result<(), flounder_monitor::nameservice::NameError> {
//! # let iref = flounder_rt::Iref::from_bits(1).expect("not zero");
//! use flounder_monitor::nameservice;
//! nameservice::register("clock", iref)?; // in the service
//! let clock = nameservice::blocking_lookup("clock")?; // in a client, which may have started first
//! let clock = nameservice::blocking_lookup_deadline("clock", Duration::from_secs(3))?;
//! for entry in nameservice::list()? {
//!     println!("{} is {} of user {:?}", entry.name, entry.interface, entry.uid);
//! }
//! # drop(clock);
//! # Ok(())
//! # }
//! ```

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::rc::Rc;

use flounder_rt::Iref;

use crate::directory::choice;
use crate::error::MonitorError;
use crate::monitor::Monitor;
use crate::monitor_thread;
use crate::name::RequestError;
pub use crate::name::{Entry, InvalidName, LostName, NameError, NameRequest, ResolvedName};
use crate::oneshot;
use crate::root_location::RootLocation;
use crate::wait::until_cancelled;

/// Time after which an unanswered request is logged.
const SLOW_REQUEST: Duration = Duration::from_secs(1);

/// Time that functions without a deadline parameter wait for a root monitor.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// Registers a name for a service that this process exports, which also publishes the service.
///
/// # Errors
/// [`NameError::Taken`] if another process has the name; [`NameError::NoService`] if this process
/// exports no service `iref`.
pub fn register(name: &str, iref: Iref) -> Result<(), NameError> {
    register_async(name, iref).wait()
}

/// Registers a name, like [`register`], without blocking.
pub fn register_async(name: &str, iref: Iref) -> Answer<()> {
    let name = name.to_owned();
    start(Some(name.clone()), async move |monitor| monitor.register(&name, iref).await)
}

/// Removes a name of this process.
///
/// # Errors
/// [`NameError::Unknown`] if there is no such name; [`NameError::NotOwner`] if another process has
/// it.
pub fn unregister(name: &str) -> Result<(), NameError> {
    unregister_async(name).wait()
}

/// Removes a name, like [`unregister`], without blocking.
pub fn unregister_async(name: &str) -> Answer<()> {
    let name = name.to_owned();
    start(Some(name.clone()), async move |monitor| monitor.unregister(&name).await)
}

/// Returns the service with this name.
///
/// # Errors
/// [`NameError::Unknown`] if there is no such name.
pub fn lookup(name: &str) -> Result<Iref, NameError> {
    Ok(lookup_with_owner(name)?.iref)
}

/// Returns the service with this name, and the owner of the name.
///
/// # Errors
/// [`NameError::Unknown`] if there is no such name.
pub fn lookup_with_owner(name: &str) -> Result<ResolvedName, NameError> {
    lookup_async(name).wait()
}

/// Looks a name up, like [`lookup_with_owner`], without blocking.
pub fn lookup_async(name: &str) -> Answer<ResolvedName> {
    let name = name.to_owned();
    start(Some(name.clone()), async move |monitor| monitor.lookup(&name).await)
}

/// Returns the service with this name, and waits until it is registered. Blocks for ever if the
/// name is not registered, or if there is no root monitor. The calling thread cannot wait for a
/// service of its own.
///
/// # Errors
/// Every error of a lookup but [`NameError::Unknown`] and [`NameError::Deadline`].
pub fn blocking_lookup(name: &str) -> Result<Iref, NameError> {
    Ok(waiting_lookup(name, None).wait()?.iref)
}

/// Returns the service with this name, like [`blocking_lookup`], and waits for at most `deadline`.
///
/// # Errors
/// [`NameError::Deadline`] if the name is not registered in time.
pub fn blocking_lookup_deadline(name: &str, deadline: Duration) -> Result<Iref, NameError> {
    Ok(waiting_lookup(name, Some(deadline)).wait()?.iref)
}

/// Waits for a name, like [`blocking_lookup`], without blocking. If dropped, the lookup ends.
pub fn blocking_lookup_async(name: &str) -> Answer<ResolvedName> {
    waiting_lookup(name, None)
}

/// Returns all names of the host, in order.
///
/// # Errors
/// [`NameError::Monitor`] if the monitor cannot serve; [`NameError::Deadline`] if no root answers
/// in time.
pub fn list() -> Result<Vec<Entry>, NameError> {
    list_async().wait()
}

/// Returns all names, like [`list`], without blocking.
pub fn list_async() -> Answer<Vec<Entry>> {
    start(None, async move |monitor| monitor.list().await)
}

/// Completes once another process has a name that this process registered: the root died, and the
/// record of the name was lost, too; or two roots have become one. Otherwise that does not happen
/// while this process lives. For services that must not assume that they still have their name.
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
pub fn lost(name: &str) -> Answer<LostName> {
    let name = name.to_owned();
    submit(Some(name.clone()), None, SlowRequestLog::Off, async move |monitor| {
        monitor.lost(&name).await
    })
}

fn waiting_lookup(name: &str, deadline: Option<Duration>) -> Answer<ResolvedName> {
    let name = name.to_owned();
    let task = {
        let name = name.clone();
        async move |monitor: Rc<Monitor>| monitor.await_name(&name).await
    };
    submit(Some(name), deadline, SlowRequestLog::On, task)
}

/// Runs `task`, a request about `name`, on the monitor's thread, with the default deadline.
pub(crate) fn start<T: Send + 'static>(
    name: Option<String>,
    task: impl AsyncFnOnce(Rc<Monitor>) -> Result<T, RequestError> + Send + 'static,
) -> Answer<T> {
    submit(name, Some(DEFAULT_DEADLINE), SlowRequestLog::On, task)
}

/// Logging of a request that has waited for [`SLOW_REQUEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlowRequestLog {
    On,
    Off,
}

fn submit<T: Send + 'static>(
    name: Option<String>,
    deadline: Option<Duration>,
    slow_log: SlowRequestLog,
    task: impl AsyncFnOnce(Rc<Monitor>) -> Result<T, RequestError> + Send + 'static,
) -> Answer<T> {
    let (sender, receiver) = oneshot::channel();
    let remote = match monitor_thread::remote() {
        Ok(remote) => remote,
        Err(error) => {
            sender.send(Err(RequestError::Monitor(error).of(unsent_request(name))));
            return Answer(receiver);
        }
    };
    remote.post(move |waitset| {
        let Some(monitor) = Monitor::current() else { return Ok(()) };
        let work = async move {
            let waitset = monitor.waitset().clone();
            let request = |name| NameRequest { name, location: Some(monitor.location()) };
            let log_if_slow = async {
                waitset.sleep(SLOW_REQUEST).await;
                if slow_log == SlowRequestLog::On {
                    tracing::warn!(request = %request(name.clone()), "a request to the name service is not answered yet");
                }
                core::future::pending::<()>().await;
            };
            let work = until_cancelled(task(Rc::clone(&monitor)), log_if_slow);
            let work = async { work.await.unwrap_or(Err(RequestError::Monitor(MonitorError::Ended))) };
            let result = match deadline {
                None => until_cancelled(work, sender.closed()).await,
                Some(deadline) => {
                    let work = waitset.timeout(deadline, work);
                    let work = async { work.await.unwrap_or_else(|_| Err(RequestError::Deadline)) };
                    until_cancelled(work, sender.closed()).await
                }
            };
            if let Some(result) = result {
                sender.send(result.map_err(|failure| failure.of(request(name))));
            }
        };
        waitset.spawn_local(work).detach();
        Ok(())
    });
    Answer(receiver)
}

/// A future answer of the monitor. If dropped, a lookup that waits for a name ends.
#[must_use = "the answer reports whether the request succeeded"]
#[derive(Debug)]
pub struct Answer<T>(oneshot::Receiver<Result<T, NameError>>);

impl<T> Answer<T> {
    /// Blocks the thread until the answer has arrived.
    ///
    /// # Errors
    /// The error of the request.
    pub fn wait(self) -> Result<T, NameError> {
        match self.0.wait(None) {
            Ok(result) => result,
            Err(_) => Err(RequestError::Monitor(MonitorError::Ended).of(unsent_request(None))),
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, NameError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = || Err(RequestError::Monitor(MonitorError::Ended).of(unsent_request(None)));
        Pin::new(&mut self.0).poll(cx).map(|kept| kept.unwrap_or_else(ended))
    }
}

/// Returns a request that did not reach the monitor of this process.
fn unsent_request(name: Option<String>) -> NameRequest {
    NameRequest {
        name,
        location: choice::chosen_already().map(|directory| RootLocation::new(directory, None)),
    }
}
