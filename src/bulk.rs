//! Large arguments: `bulk name[MAX]` in an interface.
//!
//! A [`Pool`] has buffers that the peer reads in place; a [`Blob`] is made once and sent many times; and bytes are copied, as
//! those of an array are. A handler gets [`Bulk`], whichever it was.
//!
//! ```
//! use flounder::bulk::{Bulk, Pool, Slots};
//! use flounder::{Peer, Waitset, flounder};
//! use std::cell::Cell;
//! use std::rc::Rc;
//!
//! flounder! {
//!     interface camera "Frames" {
//!         call frame(uint64 seq, bulk pixels[8294400]);
//!     };
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ws = Waitset::current();
//! let sum = Rc::new(Cell::new(0));
//! let total = Rc::clone(&sum);
//! let service = camera::export(&ws, move |_: &Peer| {
//!     let total = Rc::clone(&total);
//!     Ok(camera::RxVtbl {
//!         frame: Some(Box::new(move |_: &camera::Binding, _, pixels: Bulk<'_>| {
//!             total.set(pixels.words().fold(0, u64::wrapping_add));
//!         })),
//!         ..Default::default()
//!     })
//! })
//! .wait()?;
//! let binding = camera::bind(service.iref(), &ws, ()).wait()?;
//!
//! let pool = Pool::new(&binding, Slots { count: 4, bytes: 1 << 16 })?;
//! let mut buffer = pool.take(1 << 16)?;
//! buffer.fill(1);
//! binding.tx_frame(1, buffer)?;
//! while sum.get() == 0 {
//!     ws.dispatch()?;
//! }
//! assert_eq!(sum.get(), 0x0101_0101_0101_0101_u64.wrapping_mul((1 << 16) / 8));
//! # Ok(())
//! # }
//! ```

pub use flounder_drivers::Blob;
pub use flounder_rt::bulk::{
    BufferMut, Bulk, BulkBody, BulkOwned, IntoBulk, MAX_POOL_BYTES, MAX_SLOTS, Pool, PoolError,
    PoolOwner, SealedMemory, Slots, Taking, Words,
};
