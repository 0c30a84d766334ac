//! Errors of the monitor.

use core::fmt;
use std::error::Error;
use std::path::PathBuf;

use flounder_rt::account::OverLimit;
use flounder_rt::channel::ConnectError;
use flounder_rt::{Errno, Escaped};

use crate::root_location::RootLocation;

/// Reason why the monitor of this process cannot serve.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MonitorError {
    /// The runtime directory cannot be used.
    RuntimeDir {
        /// Path of the directory.
        path: PathBuf,
        /// What is wrong with the directory.
        why: DirProblem,
    },
    /// The monitor's thread did not start.
    Thread(Errno),
    /// A system call failed.
    Os {
        /// Purpose of the call.
        what: &'static str,
        /// Error of the call.
        errno: Errno,
    },
    /// The root monitor belongs to a user that this process does not trust.
    UntrustedRoot {
        /// The runtime directory.
        directory: PathBuf,
        /// Uid of that user.
        uid: u32,
    },
    /// The root monitor speaks another version of the protocol.
    Version {
        /// The directory, and its root.
        location: RootLocation,
    },
    /// The user of this process may not join in this directory.
    JoinDenied {
        /// The runtime directory.
        directory: PathBuf,
        /// Uid of the owner of the directory.
        owner: u32,
    },
    /// The root monitor is in another PID namespace, and the kernel cannot identify processes across
    /// them: it has no `SO_PEERPIDFD`, which is there since Linux 6.5.
    PidNamespace {
        /// The runtime directory.
        directory: PathBuf,
    },
    /// No root monitor answered before the deadline.
    NoRoot {
        /// The directory, and its root.
        location: RootLocation,
    },
    /// A blocking function was called on the monitor's own thread, by a capability policy.
    OwnThread,
    /// This process already holds as much for a peer as its limits allow.
    OverLimit(OverLimit),
    /// The monitor, or the root, has too many requests in progress.
    Busy,
    /// The monitor has ended.
    Ended,
}

/// What is wrong with a runtime directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirProblem {
    /// The directory cannot be created or opened.
    Os(Errno),
    /// The path is not a directory, or is a symbolic link to one.
    NotADirectory,
    /// The directory belongs to a user that this process does not trust.
    Owner {
        /// Uid of that user.
        uid: u32,
    },
    /// The directory belongs to a user without a number in the user namespace of this process,
    /// which could be any user.
    UnknownOwner,
    /// The directory is missing, and its parent belongs to another user.
    Parent {
        /// Uid of that user.
        uid: u32,
    },
    /// Other users have access that they must not have.
    Mode {
        /// Permissions of the directory.
        mode: u32,
    },
}

/// `ENOENT`: a file or a directory does not exist.
pub(crate) const NO_ENTRY: Errno = Errno::from_raw_os_error(libc::ENOENT);

impl MonitorError {
    /// Returns true if the text names the directory.
    pub(crate) const fn names_location(&self) -> bool {
        matches!(
            self,
            Self::RuntimeDir { .. }
                | Self::UntrustedRoot { .. }
                | Self::Version { .. }
                | Self::JoinDenied { .. }
                | Self::PidNamespace { .. }
                | Self::NoRoot { .. }
        )
    }

    pub(crate) fn os<E: Into<Errno>>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Os { what, errno: error.into() }
    }

    /// For a driver that made no channel over a socket that this process has.
    pub(crate) fn connect(what: &'static str) -> impl Fn(ConnectError) -> Self {
        move |error| match error {
            ConnectError::Os(errno) => Self::Os { what, errno },
            _ => Self::Os { what, errno: Errno::from_raw_os_error(libc::EPROTO) },
        }
    }
}

impl From<OverLimit> for MonitorError {
    fn from(limit: OverLimit) -> Self {
        Self::OverLimit(limit)
    }
}

flounder_rt::debug_as_chain!(MonitorError);

impl fmt::Display for MonitorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RuntimeDir { path, why } => {
                write!(f, "the runtime directory {} {why}", Escaped(path.display()))
            }
            Self::Thread(_) => f.write_str("the monitor's thread did not start"),
            Self::Os { what, .. } => write!(f, "cannot {what}"),
            Self::UntrustedRoot { directory, uid } => write!(
                f,
                "the root monitor in {} belongs to user {uid}; set FLOUNDER_RUNTIME_DIR to a \
                 directory of your own",
                Escaped(directory.display())
            ),
            Self::Version { location } => write!(
                f,
                "the root monitor speaks another version of the protocol, {location}; end that \
                 process, or set FLOUNDER_RUNTIME_DIR to another directory"
            ),
            Self::JoinDenied { directory, owner } => write!(
                f,
                "the root monitor in {}, a directory of user {owner}, does not let this user in; \
                 set FLOUNDER_RUNTIME_DIR to a directory of your own, or have that user start \
                 `flounder monitor` with --allow-uid",
                Escaped(directory.display())
            ),
            Self::PidNamespace { directory } => write!(
                f,
                "the root monitor in {} is in another PID namespace, and this kernel cannot identify \
                 processes across them (it has no SO_PEERPIDFD, which is there since Linux 6.5); set \
                 FLOUNDER_RUNTIME_DIR to a directory for each namespace",
                Escaped(directory.display())
            ),
            Self::NoRoot { location } => {
                write!(f, "no root monitor answered before the deadline {location}")
            }
            Self::OwnThread => f.write_str("the monitor's own thread cannot wait for itself"),
            Self::OverLimit(_) => f.write_str("this process holds too much for another"),
            Self::Busy => f.write_str("the monitor has too much to do already"),
            Self::Ended => f.write_str("the monitor has ended"),
        }
    }
}

impl Error for MonitorError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::RuntimeDir { why: DirProblem::Os(errno), .. }
            | Self::Thread(errno)
            | Self::Os { errno, .. } => Some(errno),
            Self::OverLimit(limit) => Some(limit),
            Self::RuntimeDir { .. }
            | Self::UntrustedRoot { .. }
            | Self::Version { .. }
            | Self::JoinDenied { .. }
            | Self::PidNamespace { .. }
            | Self::NoRoot { .. }
            | Self::OwnThread
            | Self::Busy
            | Self::Ended => None,
        }
    }
}

impl fmt::Display for DirProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os(_) => f.write_str(
                "cannot be used; set FLOUNDER_RUNTIME_DIR to a directory of your own",
            ),
            Self::NotADirectory => f.write_str(
                "is not a directory itself; remove it, or set FLOUNDER_RUNTIME_DIR to another",
            ),
            Self::Owner { uid } => write!(
                f,
                "belongs to user {uid}; set FLOUNDER_RUNTIME_DIR to a directory of your own, or \
                 FLOUNDER_TRUST_UID to {uid} if that user is to be trusted with the names of services"
            ),
            Self::UnknownOwner => f.write_str(
                "belongs to a user that is not known in this user namespace; set FLOUNDER_RUNTIME_DIR \
                 to a directory of your own",
            ),
            Self::Parent { uid } => write!(
                f,
                "is not there, and would be made in a directory of user {uid}; make it yourself, or \
                 set FLOUNDER_RUNTIME_DIR to a directory of your own"
            ),
            Self::Mode { mode } => {
                write!(f, "is open to others (mode {mode:03o}); take their access away (chmod 700)")
            }
        }
    }
}
