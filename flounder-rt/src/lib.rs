//! The runtime of `flounder`: wire, waitset, bindings, and the contract of an interconnect driver.
//!
//! The crate knows no driver and no monitor. Programs use it through the facade crate `flounder`; drivers are written
//! against [`channel`], brokers against [`export::Broker`].

#![deny(unsafe_code)]

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!(
    "flounder runs on Linux on x86-64 and aarch64 only: it is built on epoll, sealed memfds, pidfds and membarrier"
);

extern crate self as flounder_rt;

pub mod binding;
mod broker;
pub mod message;
mod process;
mod transport;
pub mod waitset;
pub mod wire;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use broker::{any_waitset, bind, export, shared};
pub use flounder_wire::{debug_as_chain, error, escape, interface, iref, schema};
pub use message::bulk;
pub use process::{account, barrier, cap, closer, fork, log_rate, peer};
pub(crate) use process::{errno, exit, pages, sync};
pub use transport::{channel, notify, policy};
#[cfg(feature = "tokio")]
pub use waitset::tokio;

pub use bind::BindError;
pub use binding::{
    Async, BindingError, Call, ClientSide, Closing, ControlError, End, Inbox, Local, RecvError,
    Rejected, Reply, RpcError, Sending, Sent, ServiceSide, Shared, Side, TxError,
};
pub use cap::Cap;
pub use channel::Control;
pub use errno::Errno;
pub use escape::Escaped;
pub use exit::{EXIT_TIMEOUT, set_exit_timeout};
pub use export::{ExportError, Exported, Refusal};
pub use interface::Interface;
pub use iref::{Errval, Iref};
pub use message::{EncodeError, MessageBuffer};
pub use peer::Peer;
pub use waitset::{CallbackError, DispatchError, Outcome, Priority, SharedWaitset, Waitset};
