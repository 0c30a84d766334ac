//! For authors of interconnect drivers.
//!
//! A driver is a [`Connector`](channel::Connector), which makes channels, and a [`Channel`](channel::Channel), which moves
//! messages as words. The contract of both, in numbered clauses, is the documentation of [`channel`]; the crate
//! `flounder-conformance` tests each clause. `docs/drivers.md` explains a whole driver, `examples/foreign-driver`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use flounder::driver::channel::{Connector, End, SendPair};
//! use flounder::driver::registry;
//! use flounder::error::ConnectError;
//!
//! struct Pigeon;
//!
//! impl Connector for Pigeon {
//!     fn name(&self) -> &'static str {
//!         "pigeon"
//!     }
//!
//!     fn pair(&self, _client: &End, _service: &End) -> Result<SendPair, ConnectError> {
//!         Err(ConnectError::Refused("no pigeon is at home"))
//!     }
//! }
//!
//! registry::register(Arc::new(Pigeon))?;
//! assert!(registry::names().contains(&"pigeon"));
//! # Ok::<(), flounder::Error>(())
//! ```

pub use flounder_drivers::registry;
pub use flounder_rt::waitset::{Watched, Watcher};
pub use flounder_rt::{account, barrier, channel, closer, debug_as_chain, fork, notify, wire};

/// Memory for the pools of bulk data: what a driver returns from [`Channel::bulk`](channel::Channel::bulk) if its two ends have
/// memory in common.
pub mod bulk {
    pub use flounder_rt::bulk::{BulkMemory, PeerMemory, SealedMemory, SlotMemory};
}
