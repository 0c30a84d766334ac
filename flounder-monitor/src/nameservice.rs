//! Names for services, on one host and for one user, or several where a daemon lets them in.
//!
//! A name belongs to the process that registered it first, until that process takes it back or dies. The functions block
//! the calling thread and may be called from handlers; each has an `_async` form, for
//! [`Waitset::block_on`](flounder_rt::Waitset::block_on) and for other executors.
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

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::rc::Rc;
use std::time::Instant;

use flounder_rt::{ExportError, Iref};

use crate::domain;
use crate::error::MonitorError;
use crate::link::digest;
use crate::monitor::Monitor;
use crate::process::{id_from_wire, pid_from_wire};
use crate::promise::{Missed, Pending, promise};
use crate::protocol::monitor;
use crate::root::MAX_NAME;
use crate::wait::{first, within};

/// How long the functions without a deadline of their own wait for a root monitor.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// A name and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name.
    pub name: String,
    /// The service.
    pub iref: Iref,
    /// Name of its interface.
    pub interface: String,
    /// The interface's digest.
    pub fingerprint: u128,
    /// The process that owns the name, if it is visible from here.
    pub pid: Option<u32>,
    /// The user of that process, if it has a number here.
    pub uid: Option<u32>,
}

impl Entry {
    /// `None` if it makes no sense.
    pub(crate) fn from_wire(entry: monitor::Entry) -> Option<Self> {
        let iref = Iref::from_bits(entry.iref)?;
        let fingerprint = digest(entry.digest_high, entry.digest_low);
        let (name, interface) = (entry.name, entry.iface);
        let (pid, uid) = (pid_from_wire(entry.pid), id_from_wire(entry.uid));
        Some(Self { name, iref, interface, fingerprint, pid, uid })
    }
}

/// What a lookup finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The service.
    pub iref: Iref,
    /// The process that owns the name, if it is visible from here.
    pub pid: Option<u32>,
    /// The user of that process, as the kernel vouches for it, if it has a number here: what to check before trusting a
    /// name.
    pub uid: Option<u32>,
}

/// Names a service that this process exports, which makes it reachable from other processes.
///
/// # Errors
/// [`NameError::Taken`] if another process has the name; [`NameError::NoService`] if `iref` is not of this process.
pub fn register(name: &str, iref: Iref) -> Result<(), NameError> {
    register_async(name, iref).wait()
}

/// As [`register`].
pub fn register_async(name: &str, iref: Iref) -> Answer<()> {
    let name = name.to_owned();
    start(async move |monitor| monitor.register(&name, iref).await)
}

/// Takes a name back.
///
/// # Errors
/// [`NameError::Unknown`], or [`NameError::NotOwner`] if it is another process's.
pub fn unregister(name: &str) -> Result<(), NameError> {
    unregister_async(name).wait()
}

/// As [`unregister`].
pub fn unregister_async(name: &str) -> Answer<()> {
    let name = name.to_owned();
    start(async move |monitor| monitor.unregister(&name).await)
}

/// The service of this name, if there is one now.
///
/// # Errors
/// [`NameError::Unknown`].
pub fn lookup(name: &str) -> Result<Iref, NameError> {
    Ok(lookup_with_owner(name)?.iref)
}

/// As [`lookup`], with the owner of the name.
///
/// # Errors
/// [`NameError::Unknown`].
pub fn lookup_with_owner(name: &str) -> Result<Found, NameError> {
    lookup_async(name).wait()
}

/// As [`lookup_with_owner`].
pub fn lookup_async(name: &str) -> Answer<Found> {
    let name = name.to_owned();
    start(async move |monitor| monitor.lookup(&name).await)
}

/// The service of this name, as soon as there is one. It may wait for ever, for a name or for a root monitor; a service of
/// the calling thread itself cannot be waited for so.
///
/// # Errors
/// Not [`NameError::Unknown`].
pub fn blocking_lookup(name: &str) -> Result<Iref, NameError> {
    let pending = waiting_lookup(name).0;
    match pending.wait(None) {
        Ok(found) => Ok(found?.iref),
        Err(missed) => Err(missed.into()),
    }
}

/// As [`blocking_lookup`], for so long at most.
///
/// # Errors
/// [`NameError::Deadline`].
pub fn blocking_lookup_deadline(name: &str, deadline: Duration) -> Result<Iref, NameError> {
    let at = Instant::now().checked_add(deadline);
    match waiting_lookup(name).0.wait(at) {
        Ok(found) => Ok(found?.iref),
        Err(missed) => Err(missed.into()),
    }
}

/// As [`blocking_lookup`]; dropped, it no longer waits.
pub fn blocking_lookup_async(name: &str) -> Answer<Found> {
    waiting_lookup(name)
}

/// All names of the host, in order.
///
/// # Errors
/// [`NameError::Monitor`], [`NameError::Deadline`].
pub fn list() -> Result<Vec<Entry>, NameError> {
    list_async().wait()
}

/// As [`list`].
pub fn list_async() -> Answer<Vec<Entry>> {
    start(async move |monitor| monitor.list().await)
}

fn waiting_lookup(name: &str) -> Answer<Found> {
    let name = name.to_owned();
    submit(None, async move |monitor| monitor.await_name(&name).await)
}

/// Has the monitor's thread run `task`, with the default deadline.
pub(crate) fn start<T: Send + 'static>(
    task: impl AsyncFnOnce(Rc<Monitor>) -> Result<T, NameError> + Send + 'static,
) -> Answer<T> {
    submit(Some(DEFAULT_DEADLINE), task)
}

fn submit<T: Send + 'static>(
    deadline: Option<Duration>,
    task: impl AsyncFnOnce(Rc<Monitor>) -> Result<T, NameError> + Send + 'static,
) -> Answer<T> {
    let (promise, pending) = promise();
    let remote = match domain::remote() {
        Ok(remote) => remote,
        Err(error) => {
            promise.keep(Err(error.into()));
            return Answer(pending);
        }
    };
    remote.post(move |waitset| {
        let Some(monitor) = Monitor::here() else { return Ok(()) };
        let work = async move {
            let waitset = monitor.waitset().clone();
            let work = task(monitor);
            let result = match deadline {
                None => first(work, promise.abandoned()).await,
                Some(deadline) => {
                    let work = within(&waitset, deadline, work);
                    let work = async { work.await.unwrap_or(Err(NameError::Deadline)) };
                    first(work, promise.abandoned()).await
                }
            };
            if let Some(result) = result {
                promise.keep(result);
            }
        };
        waitset.spawn_local(work).detach();
        Ok(())
    });
    Answer(pending)
}

/// An answer to come from the monitor. Dropped, nobody waits for it, and a lookup that waits for a name ends.
#[must_use = "an answer tells whether the request was granted"]
#[derive(Debug)]
pub struct Answer<T>(Pending<Result<T, NameError>>);

impl<T> Answer<T> {
    /// Blocks the thread until it is there.
    ///
    /// # Errors
    /// What the monitor says.
    pub fn wait(self) -> Result<T, NameError> {
        match self.0.wait(None) {
            Ok(result) => result,
            Err(missed) => Err(missed.into()),
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, NameError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|kept| kept.unwrap_or(Err(NameError::Monitor(MonitorError::Ended))))
    }
}

/// Why the name service did not do what it was asked.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Another process has the name.
    Taken {
        /// That process, if it is visible from here.
        pid: Option<u32>,
    },
    /// There is no such name. `LIB_ERR_NAMESERVICE_UNKNOWN_NAME`
    Unknown,
    /// This cannot be a name. `LIB_ERR_NAMESERVICE_INVALID_NAME`
    Invalid(InvalidName),
    /// This process has too many names, services or waiting lookups.
    Quota,
    /// The name belongs to another process.
    NotOwner,
    /// This process exports no service of that reference.
    NoService,
    /// The deadline passed.
    Deadline,
    /// The monitor cannot serve. `LIB_ERR_NAMESERVICE_NOT_BOUND`
    Monitor(MonitorError),
    /// There is no service to name: its export failed.
    Export(ExportError),
}

impl From<ExportError> for NameError {
    fn from(error: ExportError) -> Self {
        Self::Export(error)
    }
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidName {
    /// There is nothing in it.
    Empty,
    /// It is longer than 255 bytes.
    TooLong {
        /// Its length, in bytes.
        length: usize,
    },
    /// It has control characters.
    Control,
}

flounder_rt::debug_as_chain!(NameError);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { pid: Some(pid) } => write!(f, "process {pid} has that name"),
            Self::Taken { pid: None } => {
                f.write_str("a process that is not visible from here has that name")
            }
            Self::Unknown => f.write_str("there is no such name"),
            Self::Invalid(why) => write!(f, "this cannot be a name: {why}"),
            Self::Quota => {
                f.write_str("this process has too many names, services or waiting lookups")
            }
            Self::NotOwner => f.write_str("the name belongs to another process"),
            Self::NoService => f.write_str("this process exports no such service"),
            Self::Deadline => f.write_str("the deadline passed"),
            Self::Monitor(error) => fmt::Display::fmt(error, f),
            Self::Export(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for NameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Monitor(error) => error.source(),
            Self::Export(error) => error.source(),
            _ => None,
        }
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong { length } => {
                write!(f, "it has {length} bytes, more than {MAX_NAME}")
            }
            Self::Control => f.write_str("it has control characters"),
        }
    }
}

impl From<MonitorError> for NameError {
    fn from(error: MonitorError) -> Self {
        Self::Monitor(error)
    }
}

impl From<Missed> for NameError {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Deadline => Self::Deadline,
            Missed::Broken => Self::Monitor(MonitorError::Ended),
        }
    }
}
