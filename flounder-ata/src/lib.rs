//! Disks as bindings of `flounder`: the calls of an interface with `@ata(..)` become commands on an AHCI host bus adapter.
//!
//! ```text
//!   RpcClient --> Binding --> channel --> slots --> Hba: registers, DMA memory --> disk
//! ```
//! A [`Port`] is opened over an [`Hba`], and gives the channel for a binding. The annotations say what each rpc is; the front
//! end of `flounder` has checked them (`docs/ata.md`).
//!
//! | to | see |
//! |---|---|
//! | bind an interface to a disk | [`Port`] |
//! | know why a command failed | [`check`], [`AtaError`], [`Port::last_failure`] |
//! | connect an adapter | [`Hba`] |
//! | test without hardware | [`model`], [`qemu`] |
//!
//! # Trust
//! The disk and its adapter are not trusted. Registers, received FISes and transferred sizes are claims; no more than was asked
//! for is copied, into private memory, before it is decoded; and memory is not used again before the adapter has stopped
//! using it. An adapter that writes where it was not told to is a matter for the IOMMU.

#![forbid(unsafe_code)]

mod channel;
mod command;
mod disk;
mod engine;
mod error;
mod hba;
mod memory;
pub mod model;
mod port;
pub mod qemu;
mod structures;

pub use disk::Disk;
pub use error::{AtaError, AttachError, OpenError, Refusal, check};
pub use hba::{GONE, Hba, host, port as port_registers};
pub use memory::{MAX_COMMAND_BYTES, MIN_DMA_BYTES};
pub use port::{Failure, Port};
