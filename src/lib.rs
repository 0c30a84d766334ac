//! Typed message passing between the threads and processes of one machine: Barrelfish's Flounder, reborn.
//!
//! An interface is declared with [`flounder!`], in Flounder's own language. It becomes a module with a `Binding` that sends
//! its messages, traits `Rx` and `ClientRx` for the handlers of a service and of a client, an `RpcClient`, and the functions
//! `export` and `bind`. How the messages
//! travel is chosen when a client binds: within a thread, through shared memory, or by the kernel ([`drivers`]).
//!
//! ```
//! use flounder::{Peer, Waitset, flounder};
//!
//! flounder! {
//!     interface counter "Counts" {
//!         call add(uint32 amount);
//!         rpc total(out uint64 total);
//!     };
//! }
//!
//! #[derive(Default)]
//! struct Server { total: u64 }
//!
//! impl counter::Rx for Server {
//!     fn add(&mut self, _: &counter::Binding, amount: u32) {
//!         self.total += u64::from(amount);
//!     }
//!     fn total(&mut self, _: &counter::Binding, reply: counter::TotalReply) {
//!         reply.send(self.total);
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ws = Waitset::current();
//! // A service; a process of its own would now give it a name, with `nameservice::register`, and dispatch for ever.
//! let service = counter::export(&ws, |_: &Peer| Ok(Server::default())).wait()?;
//!
//! // A client; it would get the reference with `nameservice::blocking_lookup`.
//! let binding = counter::bind(service.iref(), &ws, ()).wait()?;
//! binding.tx_add(40)?;
//! binding.tx_add(2)?;
//! let client = counter::RpcClient::new(&binding);
//! assert_eq!(client.total()?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! | to | see |
//! |---|---|
//! | wait for events, set timers, run futures | [`Waitset`], [`event`] |
//! | use an existing event loop | [`Waitset::prepare_wait`]; for tokio, the feature `tokio` |
//! | name a service, find one | [`nameservice`] |
//! | serve and connect by name, without a waitset | [`service`] |
//! | refuse a client or a call, identify a client | [`Refusal`], [`Peer`] |
//! | send file descriptors | [`Cap`], and [`policy`] for rules about them |
//! | send large data without copies | [`bulk`] |
//! | send types of Rust | [`FlounderMessage`](derive@FlounderMessage) |
//! | compile interface files in a build script | [`include_flounder!`] |
//! | store messages, inspect interfaces | [`message`] |
//! | name the type of a bind, a call or a send | [`binding`] |
//! | know what can go wrong | [`Error`] for all of it; [`TxError`], [`RpcError`], [`BindError`], [`BindingError`]; [`error`] |
//! | limit what peers may take | [`limits`] |
//! | run or ask the root monitor | [`monitor`] |
//! | choose a driver, write one | [`drivers`], [`driver`] |

#![forbid(unsafe_code)]

mod any_error;
pub mod binding;
pub mod bulk;
pub mod driver;
pub mod error;
pub mod event;
pub mod limits;
pub mod message;
#[cfg(feature = "tokio")]
pub mod tokio;

// `tests/facade.rs` lists the names of the root: a new one is added there, on purpose.
pub use any_error::Error;
pub use flounder_macros::{FlounderMessage, flounder, include_flounder};
pub use flounder_monitor::{nameservice, service};
pub use flounder_rt::policy;
pub use flounder_rt::{
    Async, BindError, BindingError, Call, CallbackError, Cap, Control, ControlError, DispatchError,
    Errval, ExportError, Exported, Inbox, Iref, Local, Outcome, Peer, Priority, RecvError, Refusal,
    Rejected, RpcError, Sent, Shared, SharedWaitset, TxError, Waitset,
};

/// The monitor of this process, the root monitor as a daemon, and snapshots of a host.
///
/// ```no_run
/// use flounder::monitor::snapshot;
///
/// for entry in snapshot::take(None)?.names {
///     println!("{} is a {}", entry.name, entry.interface);
/// }
/// # Ok::<(), flounder::Error>(())
/// ```
pub mod monitor {
    pub use flounder_monitor::{DirProblem, MonitorError, RootLocation, RootProcess};
    pub use flounder_monitor::{daemon, publish, snapshot};
}

/// The drivers that come with the library, and the order in which a bind tries them.
///
/// ```
/// use flounder::drivers::{recommended, registry};
///
/// let ump = registry::find("ump").expect("it is built in");
/// assert!(recommended::ELSEWHERE.iter().any(|driver| driver.name() == ump.name()));
/// ```
pub mod drivers {
    #[cfg(feature = "beehive")]
    pub use flounder_drivers::beehive;
    #[cfg(feature = "scc")]
    pub use flounder_drivers::scc;
    pub use flounder_drivers::{lmp, loopback, recommended, registry, ump};
}

#[doc(hidden)]
pub mod __private {
    pub use flounder_rt::__private::*;

    // In place of those of the runtime, which stand in for them.
    pub use flounder_monitor::__private::{Again, Connect, Serve, connect, serve};

    /// The broker of a program that has a monitor.
    #[must_use]
    pub fn broker() -> &'static dyn flounder_rt::export::Broker {
        flounder_monitor::broker()
    }
}

/// The code of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
