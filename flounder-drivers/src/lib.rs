//! The interconnect drivers of flounder: [`loopback`], [`lmp`], [`ump`], [`scc`] and [`beehive`], and the [`registry`] that
//! other crates can add to.
//!
//! | driver | reaches | a channel is | capabilities | waits |
//! |---|---|---|---|---|
//! | loopback | the same dispatcher | a queue | moved | never |
//! | lmp | any process of the host | a Unix `SOCK_SEQPACKET` pair | `SCM_RIGHTS`, in band | on the socket |
//! | ump | another thread or process | two rings of 64-byte lines, each with one writer | with the doorbell | looks, then sleeps |
//! | scc | another thread or process | two rings of 32-byte lines in memory that need not be coherent | with the doorbell | for its doorbell |
//! | beehive | another thread or process | messages over message hardware, or a model of it | by the brokers | looks, then sleeps |
//!
//! Every driver satisfies the contract of [`flounder_rt::channel`] and passes the suite of the crate `flounder-conformance`.
//! `docs/wire.md` has the format of everything that goes over a socket or through shared memory.
//!
//! ```
//! use flounder_drivers::registry;
//! use flounder_rt::channel::End;
//! use flounder_rt::notify::Notifier;
//!
//! let ump = registry::find("ump").expect("it is built in");
//! let end = || End { notifier: Notifier::new(), connection: 0, buffer: 0 };
//! let (client, service) = ump.pair(&end(), &end())?;
//! assert_eq!((client.driver(), service.driver()), ("ump", "ump"));
//! # Ok::<(), flounder_rt::channel::ConnectError>(())
//! ```

#![deny(unsafe_code)]

#[cfg(feature = "beehive")]
pub mod beehive;
pub mod lmp;
pub mod loopback;
pub mod mem;
pub mod recommended;
pub mod registry;
#[cfg(feature = "scc")]
pub mod scc;
pub mod ump;

mod assembler;
mod caps;
mod datagram;
mod doorbell;
mod process_pair;
mod sync;

pub use mem::pool::Blob;

/// Items that the tests of this crate name. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::assembler::PeerEnd;

    pub mod ump {
        pub mod line {
            pub use crate::ump::line::*;
        }
        pub mod ring {
            pub use crate::ump::ring::*;
        }
    }

    #[cfg(feature = "scc")]
    pub mod scc {
        pub mod line {
            pub use crate::scc::line::*;
        }
        pub mod pool {
            pub use crate::scc::pool::{publish, refresh};
        }
        pub mod ring {
            pub use crate::scc::ring::*;
        }
    }

    #[cfg(feature = "beehive")]
    pub mod beehive {
        pub mod board {
            pub use crate::beehive::board::*;
        }
        pub mod credit {
            pub use crate::beehive::credit::*;
        }
        pub mod fabric {
            pub use crate::beehive::fabric::*;
        }
        pub mod frame {
            pub use crate::beehive::frame::*;
        }
        pub mod memory_port {
            pub use crate::beehive::memory_port::*;
        }
        pub mod window {
            pub use crate::beehive::window::*;
        }
    }
}
