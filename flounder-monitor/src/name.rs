//! Types of the name service that the monitor shares: names, entries, errors.

use core::fmt;

use flounder_rt::account::OverLimit;
use flounder_rt::{Escaped, ExportError, Iref};

use crate::error::MonitorError;
use crate::process::{id_from_wire, pid_from_wire};
use crate::protocol::monitor;
use crate::root_location::{RootLocation, RootProcess};

/// Longest name, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// Returns true if a string can be a name: not empty, not too long, and without control characters.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

/// A registered name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Reference of the service.
    pub iref: Iref,
    /// Name of the interface of the service.
    pub interface: String,
    /// Digest of the interface.
    pub fingerprint: u128,
    /// The process that owns the name, if it is visible from here.
    pub pid: Option<u32>,
    /// The user of that process, if it has a number here.
    pub uid: Option<u32>,
}

impl Entry {
    /// Returns the entry of a message, or `None` if it is malformed.
    pub(crate) fn from_wire(entry: monitor::Entry) -> Option<Self> {
        let iref = Iref::from_bits(entry.iref)?;
        let (name, interface, fingerprint) = (entry.name, entry.iface, entry.digest);
        let (pid, uid) = (pid_from_wire(entry.pid), id_from_wire(entry.uid));
        Some(Self { name, iref, interface, fingerprint, pid, uid })
    }
}

/// Result of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedName {
    /// Reference of the service.
    pub iref: Iref,
    /// The process that owns the name, if it is visible from here.
    pub pid: Option<u32>,
    /// The user of that process, as the kernel vouches for it, if it has a number here: what to check before trusting a
    /// name.
    pub uid: Option<u32>,
}

/// A name that another process has taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostName {
    /// The name.
    pub name: String,
    /// The process that has the name, if it is visible from here.
    pub pid: Option<u32>,
}

/// Error of the name service.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Another process has the name, or this one has it for another service.
    Taken {
        /// Process id of the owner, if it is visible from here.
        pid: Option<u32>,
        /// The request, and where it went.
        request: Box<NameRequest>,
    },
    /// There is no such name. `LIB_ERR_NAMESERVICE_UNKNOWN_NAME`
    Unknown {
        /// The request, and where it went.
        request: Box<NameRequest>,
    },
    /// The string cannot be a name. `LIB_ERR_NAMESERVICE_INVALID_NAME`
    Invalid {
        /// What is wrong with the string.
        why: InvalidName,
        /// The request, and where it went.
        request: Box<NameRequest>,
    },
    /// The root monitor holds as many names, services or waiting lookups for this process as its limits allow. A program can
    /// change those of its own root with [`account::set_limits`](flounder_rt::account::set_limits).
    OverLimit {
        /// The limit.
        limit: OverLimit,
        /// The request, and where it went.
        request: Box<NameRequest>,
    },
    /// The name belongs to another process.
    NotOwner {
        /// The request, and where it went.
        request: Box<NameRequest>,
    },
    /// This process exports no service of that reference.
    NoService {
        /// The request, and where it went.
        request: Box<NameRequest>,
    },
    /// The deadline passed.
    Deadline {
        /// What the request waited for.
        awaited: Awaited,
        /// The request, and where it went: the root monitor that did not answer, if there is one.
        request: Box<NameRequest>,
    },
    /// The monitor cannot serve. `LIB_ERR_NAMESERVICE_NOT_BOUND`
    Monitor {
        /// Reason.
        error: MonitorError,
        /// The request, and where it went.
        request: Box<NameRequest>,
    },
    /// The export of the service to name failed.
    Export(ExportError),
}

/// What a request to the name service waited for when its deadline passed.
///
/// ```no_run
/// use flounder_monitor::nameservice::{self, Awaited, NameError};
/// # use std::time::Duration;
/// match nameservice::blocking_lookup("clock").timeout(Duration::from_secs(1)).wait() {
///     Err(NameError::Deadline { awaited: Awaited::Registration, .. }) => println!("start the clock"),
///     Err(NameError::Deadline { awaited: Awaited::Root, .. }) => println!("the root is silent"),
///     other => println!("{other:?}"),
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Awaited {
    /// The registration of the name: the root monitor had received the lookup, and no service has registered the name.
    Registration,
    /// The owners of names: a root monitor that has taken the place of another waits for them, half a second at most, before
    /// it says that a name is unknown. One of them may have the name.
    Owners,
    /// An answer of the root monitor, or a root monitor.
    Root,
    /// The service: its waitset has not answered a ping, and is not dispatched.
    Service,
    /// The loss of the name, which this process still had.
    Loss,
    /// Nothing: the deadline had passed before the request was sent.
    Nothing,
}

/// A request to the name service: which name it was about, and where it went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameRequest {
    /// The name; `None` for requests about all names, or a reference.
    pub name: Option<String>,
    /// The runtime directory and the root monitor there; `None` if no directory was chosen.
    pub location: Option<RootLocation>,
}

impl NameRequest {
    /// Returns a request about `name`, sent to `location`.
    #[must_use]
    pub const fn new(name: Option<String>, location: Option<RootLocation>) -> Self {
        Self { name, location }
    }
}

/// Error of a request, without the request: see [`NameError`].
#[derive(Debug)]
pub(crate) enum RequestError {
    Taken { pid: Option<u32> },
    Unknown,
    Invalid(InvalidName),
    OverLimit(OverLimit),
    NotOwner,
    NoService,
    Deadline(Awaited),
    Monitor(MonitorError),
}

impl From<MonitorError> for RequestError {
    fn from(error: MonitorError) -> Self {
        Self::Monitor(error)
    }
}

impl RequestError {
    pub(crate) fn of(self, request: NameRequest) -> NameError {
        let request = Box::new(request);
        match self {
            Self::Taken { pid } => NameError::Taken { pid, request },
            Self::Unknown => NameError::Unknown { request },
            Self::Invalid(why) => NameError::Invalid { why, request },
            Self::OverLimit(limit) => NameError::OverLimit { limit, request },
            Self::NotOwner => NameError::NotOwner { request },
            Self::NoService => NameError::NoService { request },
            Self::Deadline(awaited) => NameError::Deadline { awaited, request },
            Self::Monitor(error) => NameError::Monitor { error, request },
        }
    }
}

impl From<ExportError> for NameError {
    fn from(error: ExportError) -> Self {
        Self::Export(error)
    }
}

/// Reason why a string cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidName {
    /// The string is empty.
    Empty,
    /// The string is longer than 255 bytes.
    TooLong {
        /// Length of the string, in bytes.
        length: usize,
    },
    /// The string has control characters.
    Control,
}

flounder_rt::debug_as_chain!(NameError);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { pid: Some(pid), request } if *pid == std::process::id() => write!(
                f,
                "this process, {pid}, has another service with {request}; unregister the name first"
            ),
            Self::Taken { pid: Some(pid), request } => write!(f, "process {pid} has {request}"),
            Self::Taken { pid: None, request } => {
                write!(f, "a process that is not visible from here has {request}")
            }
            Self::Unknown { request } => write!(f, "no service has {request}"),
            Self::Invalid { why, request } => write!(f, "{why}: {request}"),
            Self::OverLimit { request, .. } => {
                write!(f, "the root monitor holds too much for this process, for {request}")
            }
            Self::NotOwner { request } => write!(f, "this process does not own {request}"),
            Self::NoService { request } => {
                write!(f, "this process exports no such service, for {request}")
            }
            Self::Deadline { awaited: Awaited::Registration, request } => {
                write!(f, "no service has registered {request}; the deadline has passed")
            }
            Self::Deadline { awaited: Awaited::Owners, request } => {
                write!(
                    f,
                    "the root monitor is new and waits for the owners of names, one of which may have {request}; \
                     the deadline has passed"
                )
            }
            Self::Deadline { awaited: Awaited::Root, request } => match request.root() {
                Some(root) => {
                    write!(
                        f,
                        "the root monitor, {root}, did not answer before the deadline, for "
                    )?;
                    request.write_place(f)
                }
                None => write!(f, "no root monitor answered before the deadline, for {request}"),
            },
            Self::Deadline { awaited: Awaited::Service, request } => {
                write!(
                    f,
                    "the service has not answered before the deadline; it does not dispatch its waitset: {request}"
                )
            }
            Self::Deadline { awaited: Awaited::Loss, request } => {
                write!(f, "this process still had {request}, when the deadline passed")
            }
            Self::Deadline { awaited: Awaited::Nothing, request } => {
                write!(f, "the deadline had passed before the request was sent, for {request}")
            }
            Self::Monitor { error, request } => {
                write!(f, "{error}, for ")?;
                match error.names_location() {
                    true => request.write_name(f),
                    false => fmt::Display::fmt(request, f),
                }
            }
            Self::Export(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl NameRequest {
    /// Returns the root monitor that the request went to.
    fn root(&self) -> Option<&RootProcess> {
        self.location.as_ref()?.root.as_ref()
    }

    /// Writes the name and the directory, without the root monitor.
    fn write_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_name(f)?;
        match &self.location {
            Some(location) => write!(f, " in {}", Escaped(location.directory.display())),
            None => Ok(()),
        }
    }

    fn write_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "the name \"{}\"", Escaped(name)),
            None => f.write_str("a request without a name"),
        }
    }
}

impl fmt::Display for NameRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_name(f)?;
        match &self.location {
            Some(location) => write!(f, " {location}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OverLimit { limit, .. } => Some(limit),
            Self::Monitor { error, .. } => error.source(),
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

#[cfg(test)]
mod tests {
    use flounder_rt::Peer;

    use super::*;

    #[test]
    fn deadline_names_what_was_awaited() {
        let root = RootProcess {
            peer: Peer::process(Some(7), Some(0), None),
            command: Some("initd".into()),
        };
        let at = |root| RootLocation::new("/run/f".into(), root);
        let text = |awaited, root| {
            let request = NameRequest::new(Some("clock".into()), Some(at(root)));
            RequestError::Deadline(awaited).of(request).to_string()
        };
        let missing = text(Awaited::Registration, Some(root.clone()));
        assert!(
            missing.starts_with("no service has registered the name \"clock\" in /run/f"),
            "{missing}"
        );
        let returning = text(Awaited::Owners, Some(root.clone()));
        assert!(returning.starts_with("the root monitor is new"), "{returning}");
        let silent =
            "the root monitor, process 7 of user 0 (initd), did not answer before the deadline";
        assert_eq!(
            text(Awaited::Root, Some(root)),
            format!("{silent}, for the name \"clock\" in /run/f")
        );
        let none = text(Awaited::Root, None);
        assert!(none.starts_with("no root monitor answered"), "{none}");
    }

    #[test]
    fn name_of_this_process_for_another_service_is_said_so() {
        let taken = |pid| RequestError::Taken { pid: Some(pid) }.of(NameRequest::new(None, None));
        let own = std::process::id();
        assert!(taken(own).to_string().contains("has another service"));
        assert!(!taken(own + 1).to_string().contains("has another service"));
    }
}
