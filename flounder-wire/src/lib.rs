//! Messages as words: the layout of values, how they are written, and how they are read.
//!
//! A message body is a sequence of 64-bit words: one record with the fixed parts of all arguments, then the tails of the
//! arguments of variable length, in order of declaration, each on a word boundary and padded with zeroes.
//!
//! ```text
//!  word 0        1        ..        W-1    W                    ..
//!  +--------+--------+--------+--------+-----------------+-----------------+
//!  | fixed parts, largest alignment first | tail of arg 1   | tail of arg 3   |
//!  +--------+--------+--------+--------+-----------------+-----------------+
//! ```
//! The fixed part of a string or sequence is its length (32 bits); its tail holds the bytes, or the fixed parts of the
//! elements one after another, then the elements' own tails. Within a word the member with the lower offset takes the less
//! significant bits, so that on little-endian machines the words are also the natural layout in memory.
//!
//! Reading is total: for any words, [`Decode::take`] returns a value or a [`DecodeError`], and allocates memory only in
//! proportion to the number of words of the message.
//!
//! This crate uses `core` and `alloc` only: no clock, no file, no lock. A capability is a position in the message
//! ([`CapRefs`], [`CapSlots`]).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bounded;
mod bulk;
mod caps;
mod decode;
mod encode;
pub mod error;
pub mod escape;
mod gather;
pub mod interface;
pub mod iref;
mod limits;
pub mod schema;
mod shape;

pub use bounded::{Bounded, TakeBounded};
pub use bulk::{BULK_PLACE, BulkHead, BulkWay, Bulks, MAX_BULK, MAX_BULKS};
pub use caps::{CapRefs, CapSlots};
pub use decode::{Decode, DecodeError, Decoder};
pub use encode::{Encode, Plain, TooLong, max_items, nest, option_place, put_some, put_tag};
pub use gather::{Gather, LINE, Reader, copy_line};
pub use limits::{Limits, MAX_CAPS, MAX_NUMBER, MessageLimit, RUNTIME_MESSAGE};
pub use shape::{DEFAULT_MAX, Record, Shape, TypeForm, first_at, largest, record, total};
