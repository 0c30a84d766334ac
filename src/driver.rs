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
//!
//! # A binding over a channel
//!
//! A bind makes a channel and a binding over it. `over`, which every interface has, makes a binding over a channel that the
//! program has: over a device, over a socket that a sandboxed process inherits ([`lmp::over`](crate::drivers::lmp::over)), or
//! over both ends of a pair in a test. The two ends compare no digests: the program ensures that both speak the interface.
//!
//! ```
//! use flounder::driver::channel::{Connector, End};
//! use flounder::driver::notify::Notifier;
//! use flounder::drivers::loopback::Loopback;
//! use flounder::{Waitset, flounder};
//!
//! flounder! { interface sums { rpc add(in uint32 a, in uint32 b, out uint32 sum); }; }
//!
//! struct Adder;
//!
//! impl sums::Rx for Adder {
//!     fn add(&mut self, _: &sums::Binding, a: u32, b: u32, reply: sums::AddReply) {
//!         reply.send(a + b);
//!     }
//! }
//!
//! let end = || End { notifier: Notifier::new(), connection: 0, buffer: 0 };
//! let (near, far) = Loopback.pair_local(&end(), &end())?;
//!
//! let ws = Waitset::new();
//! let _service = sums::over(far, &ws, Adder)?;
//! let client = sums::over(near, &ws, ())?;
//! assert_eq!(sums::RpcClient::new(&client).add(2, 3)?, 5);
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
