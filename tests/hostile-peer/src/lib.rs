//! A peer of flounder that shares no code with it: the documented wire, implemented a second time.
//!
//! Everything here is written from `docs/wire.md`, `docs/monitor.md`, `docs/idl.md` and the `.if` files of the monitors.
//! A difference between this crate and the library is a defect of one of them, or of the documents. The tests use the
//! crate in two ways: as an honest client, which shows that the documents are complete, and as a hostile one, which sends
//! what no library would send.
//!
//! | module | implements |
//! |---|---|
//! | [`interface`] | a small parser of `.if` files, canonical forms, digests |
//! | [`value`] | message bodies: values to words and back |
//! | [`lmp`] | frames of lmp over a socket |
//! | [`monitor`] | the protocols of the root monitor and of links between processes |
//! | [`region`] | sealed regions of shared memory |
//! | [`ump`] | lines of ump |
//! | [`attack`] | descriptors whose close blocks, and other resources of an attacker |
//! | [`held_locks`] | locks of a socket, held for as long as the attacker likes |

pub mod attack;
pub mod held_locks;
pub mod interface;
pub mod lmp;
pub mod monitor;
pub mod region;
pub mod ump;
pub mod value;

use std::time::Duration;

/// Longest time that an honest answer may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);
