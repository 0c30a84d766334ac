//! Errors of a dispatch, and of the callbacks that it runs.

use core::fmt;
use std::io;

use crate::error::Chain;

/// Error of a dispatch.
#[non_exhaustive]
pub enum DispatchError {
    /// A callback returned an error. Nothing else is lost.
    Callback(CallbackError),
    /// The kernel refused to create the waitset's descriptors or to wait on them.
    Os(io::Error),
    /// The deadline of a blocking wait passed.
    Deadline,
    /// The thread of the waitset is ending, and has closed it.
    Closed,
    /// The waitset belongs to the parent of this forked process. A new one works here.
    Forked,
}

impl fmt::Display for DispatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callback(_) => f.write_str("a callback failed"),
            Self::Os(_) => f.write_str("the waitset cannot block"),
            Self::Deadline => f.write_str("the deadline passed"),
            Self::Closed => f.write_str("the waitset is closed, because its thread is ending"),
            Self::Forked => f.write_str(
                "the waitset belongs to the parent of this forked process; make a new one here",
            ),
        }
    }
}

impl std::error::Error for DispatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Callback(error) => Some(&*error.0),
            Self::Os(error) => Some(error),
            Self::Deadline | Self::Closed | Self::Forked => None,
        }
    }
}

/// For calls whose errors are those of the system.
impl From<DispatchError> for io::Error {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::Os(error) => error,
            error @ DispatchError::Closed => Self::new(io::ErrorKind::NotConnected, error),
            error @ DispatchError::Forked => Self::new(io::ErrorKind::PermissionDenied, error),
            error => Self::other(error),
        }
    }
}

impl From<io::Error> for DispatchError {
    fn from(error: io::Error) -> Self {
        Self::Os(error)
    }
}

/// Any error that a callback returns with `?`.
pub struct CallbackError(Box<dyn std::error::Error + Send + Sync>);

impl CallbackError {
    /// Returns the error itself.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.0
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for CallbackError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Chain(&*self.0), f)
    }
}

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
