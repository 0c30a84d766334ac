//! The broker of flounder: binds, capability transfer and names between processes, without a
//! daemon.
//!
//! Every process embeds a *monitor*: a small thread, started when the first bind, name or published
//! service leaves the process. One monitor of a user is the *root*: it holds the names and
//! introduces processes to each other, which then communicate directly. When the root dies another
//! monitor replaces it, and bindings are not affected. A [`daemon`] can be the root instead, and
//! admit other users; a [`snapshot`] lists names, processes and bindings of a host.
//!
//! ```text
//!   client            monitor A            root            monitor B           service
//!     | bind(iref)       |                   |                  |                  |
//!     |----------------->| find(iref)        |                  |                  |
//!     |                  |------------------>| which domain     |                  |
//!     |                  | introduce(domain) |                  |                  |
//!     |                  |------------------>| a socket pair    |                  |
//!     |                  |<------------------|----------------->|   once for each pair of processes
//!     |                  | bind_request(offer of a driver)      |                  |
//!     |                  |------------------------------------->| admit            |
//!     |                  |                   |                  |----------------->| connect callback
//!     |                  |       bound(answer of the driver), or refused           |
//!     |<-----------------|<-------------------------------------|<-----------------|
//!     |<============================ the binding itself ==========================>|
//! ```
//!
//! Programs use the crate `flounder`, which passes [`broker`] to generated code and re-exports
//! [`nameservice`] and [`publish`].

#![deny(unsafe_code)]

pub mod daemon;
pub mod nameservice;
pub mod service;
pub mod snapshot;

mod accounts;
mod broker;
mod directory;
mod error;
mod exit_watch;
mod limit;
mod link;
mod monitor;
mod monitor_thread;
mod name;
mod oneshot;
mod outbox;
mod prefix;
mod process;
mod protocol;
mod root;
mod root_client;
mod root_location;
mod service_thread;
mod services;
mod sys;
mod wait;

/// Items that the facade passes to generated code. Not part of the public interface.
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

use flounder_rt::Iref;

pub use broker::{MonitorBroker, broker};
pub use error::{DirProblem, MonitorError};
pub use root_location::{RootLocation, RootProcess};

#[cfg(doc)]
use name::NameError;
use nameservice::Request;

/// Makes a service of this process reachable from other processes by its reference, without a name.
/// [`nameservice::register`] does this too.
///
/// # Errors
/// [`NameError::NoService`] if this process exports no service `iref`; [`NameError::Monitor`] if
/// the monitor cannot serve; [`NameError::Deadline`] if no root answers within
/// [`DEFAULT_TIMEOUT`](nameservice::DEFAULT_TIMEOUT).
pub fn publish(iref: Iref) -> Request<()> {
    Request::new(None, async move |monitor| monitor.publish(iref).await)
}
