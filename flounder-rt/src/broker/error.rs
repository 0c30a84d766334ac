//! Errors of exports and binds.

use core::fmt;
use std::error::Error;
use std::sync::Arc;

use crate::account::OverLimit;
pub use crate::binding::Refusal;
use crate::channel::ConnectError;
use crate::errno::Errno;
use crate::error::Chain;
use crate::escape::Escaped;
use crate::waitset::DispatchError;

crate::debug_as_chain!(BindError, BrokerError, ExportError);

/// One of the two sides of a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The process that binds.
    Client,
    /// The process that exports.
    Service,
}

/// Error of a bind. [`is_retryable`](Self::is_retryable) returns true if another attempt may succeed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// The service does not exist, or no longer. `MON_ERR_INVALID_IREF`
    NoService,
    /// The connect callback of the service refused the client, with a code and a reason.
    Refused(Refusal),
    /// The service has another version of the interface.
    Version {
        /// Name of the interface.
        interface: String,
        /// The first message that differs; empty if all agree, and only the digest of the interface differs.
        message: String,
    },
    /// The service has an interface of another name.
    Interface {
        /// Name of the client's interface.
        expected: String,
        /// Name of the service's interface.
        found: String,
        /// True if all messages of the two agree, so that only the name differs.
        messages_agree: bool,
    },
    /// No driver made a channel: the name and error of each. `FLOUNDER_ERR_GENERIC_BIND_NO_MORE_DRIVERS`
    Drivers(Vec<(String, ConnectError)>),
    /// There is no driver of this name.
    UnknownDriver(String),
    /// One side already holds as much for the other as its limits allow ([`account`](crate::account)).
    OverLimit {
        /// The side that has the limit.
        at: Side,
        /// The limit.
        limit: OverLimit,
    },
    /// The deadline passed.
    Deadline,
    /// A process has no file descriptor to spare.
    NoDescriptor(Lacking),
    /// The connection between the processes ended while the bind was under way, again and again.
    LinkLost,
    /// The root monitor is overloaded.
    Busy,
    /// The broker failed.
    Broker(BrokerError),
    /// The broker dropped the request.
    Dropped,
    /// The program has no broker, because it is built with the runtime alone.
    NoBroker,
    /// The waitset, or one of its callbacks, failed during the wait for the bind.
    Dispatch(Interrupted),
}

/// The process that has no file descriptor to spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lacking {
    /// The process that binds.
    Client,
    /// The root monitor.
    Root,
}

impl BindError {
    /// Returns true if the same bind may succeed later: a resource was short, a process was slow, or a connection was ending.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::OverLimit { .. }
            | Self::Deadline
            | Self::NoDescriptor(_)
            | Self::LinkLost
            | Self::Busy => true,
            Self::Drivers(errors) => errors.iter().any(|(_, error)| error.is_retryable()),
            Self::NoService
            | Self::Refused(_)
            | Self::Version { .. }
            | Self::Interface { .. }
            | Self::UnknownDriver(_)
            | Self::Broker(_)
            | Self::Dropped
            | Self::NoBroker
            | Self::Dispatch(_) => false,
        }
    }
}

/// The error that ended the wait for a bind. It equals its clones only, because errors of callbacks cannot be compared.
#[derive(Clone)]
pub struct Interrupted(Arc<DispatchError>);

impl Interrupted {
    /// The error of the waitset.
    #[must_use]
    pub fn error(&self) -> &DispatchError {
        &self.0
    }
}

impl PartialEq for Interrupted {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Interrupted {}

impl fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Error of a broker, of a type that the broker chooses: the monitor's are `MonitorError`. Two errors are equal if their texts
/// are equal.
#[derive(Clone)]
pub struct BrokerError(Arc<dyn Error + Send + Sync>);

impl BrokerError {
    /// Wraps the error of a broker.
    #[must_use]
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }

    /// Returns the broker's error, for a downcast.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl PartialEq for BrokerError {
    fn eq(&self, other: &Self) -> bool {
        Chain(&*self.0).to_string() == Chain(&*other.0).to_string()
    }
}

impl Eq for BrokerError {}

/// Displays the broker's error.
impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for BrokerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService => f.write_str("there is no such service"),
            Self::Refused(_) => f.write_str("the service refused the client"),
            Self::Version { interface, message } if message.is_empty() => {
                write!(
                    f,
                    "the service has another digest of interface {interface}, though all messages agree; build both with the same version of flounder"
                )
            }
            Self::Version { interface, message } => {
                write!(
                    f,
                    "the service has another version of interface {interface}: message {message} differs"
                )
            }
            Self::Interface { expected, found, messages_agree } => {
                write!(
                    f,
                    "the service's interface is `{}`, the client's is `{expected}`",
                    Escaped(found)
                )?;
                if *messages_agree { f.write_str("; their messages agree") } else { Ok(()) }
            }
            Self::Drivers(errors) => {
                f.write_str("no driver could connect")?;
                errors
                    .iter()
                    .try_for_each(|(driver, error)| write!(f, "; {}: {}", Escaped(driver), Chain(error)))
            }
            Self::UnknownDriver(name) => write!(f, "there is no driver called {}", Escaped(name)),
            Self::OverLimit { at: Side::Client, .. } => {
                f.write_str("this process holds too much for the service")
            }
            Self::OverLimit { at: Side::Service, .. } => {
                f.write_str("the service's process holds too much for this one")
            }
            Self::Deadline => f.write_str("the deadline passed before the service answered"),
            Self::NoDescriptor(Lacking::Client) => f.write_str(
                "this process has no file descriptor to spare; close some, or raise RLIMIT_NOFILE (ulimit -n)",
            ),
            Self::NoDescriptor(Lacking::Root) => f.write_str(
                "the root monitor has no file descriptor to spare; try again, or raise its RLIMIT_NOFILE (ulimit -n)",
            ),
            Self::LinkLost => f.write_str(
                "the connection to the service's process ended while the bind was under way; try again",
            ),
            Self::Busy => f.write_str("the root monitor has too much to do; try again"),
            Self::Broker(_) => f.write_str("the broker failed"),
            Self::Dropped => f.write_str("the broker dropped the request"),
            Self::NoBroker => f.write_str("this program has no broker; use the crate `flounder`"),
            Self::Dispatch(_) => f.write_str("the wait for the service was interrupted"),
        }
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::OverLimit { limit, .. } => Some(limit),
            Self::Broker(error) => Some(error),
            Self::Dispatch(interrupted) => Some(interrupted.error()),
            Self::NoService
            | Self::Version { .. }
            | Self::Interface { .. }
            | Self::Drivers(_)
            | Self::UnknownDriver(_)
            | Self::Deadline
            | Self::NoDescriptor(_)
            | Self::LinkLost
            | Self::Busy
            | Self::Dropped
            | Self::NoBroker => None,
        }
    }
}

impl From<DispatchError> for BindError {
    fn from(error: DispatchError) -> Self {
        Self::Dispatch(Interrupted(Arc::new(error)))
    }
}

/// Error of an export.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportError {
    /// The kernel returned no random bits.
    Random(Errno),
    /// The broker has no room for another service. `MON_ERR_IREF_ALLOC`
    Full,
    /// The program has no broker, because it is built with the runtime alone.
    NoBroker,
    /// The waitset is closed because its thread is ending, or it belongs to the parent of this forked process.
    Ended,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random(_) => f.write_str("the kernel returned no random bits"),
            Self::Full => f.write_str("the broker cannot take more services"),
            Self::NoBroker => f.write_str("this program has no broker; use the crate `flounder`"),
            Self::Ended => f.write_str(
                "the waitset is closed, because its thread is ending, or is the parent's; make a new one",
            ),
        }
    }
}

impl Error for ExportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Random(errno) => Some(errno),
            Self::Full | Self::NoBroker | Self::Ended => None,
        }
    }
}
