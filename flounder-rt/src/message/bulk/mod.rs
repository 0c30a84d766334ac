//! Bulk data: large arguments, which travel in the message, in a slot of a pool, or as sealed memory.
//!
//! ```text
//!   sender                                            receiver
//!   Pool --take--> BufferMut --send--> [ message ] --> Bulk --keep--> BulkOwned
//!    ^                                                  |                |
//!    '--------------- the slot is free again <----------'----- drop -----'
//! ```
//! | module | owns |
//! |---|---|
//! | `pool` | pools of this end: which slots are free, in buffers, or lent |
//! | `lease` | pools of the peer: which slots messages have named |
//! | `slot_bits` | which slots were released, and who tells the peer |
//! | `end` | both, for one binding, and what the two ends tell each other |
//! | `send` | the way that an argument takes, and what comes back if it is not sent |
//! | `data` | what a receiver can do with it |
//! | `memory` | what drivers provide |

mod data;
pub(crate) mod end;
mod lease;
mod memory;
mod pool;
mod send;
mod slot_bits;

use std::io;

use crate::message::arg::{Arg, CapsToSend};
use crate::wire::{BULK_PLACE, DecodeError, Decoder, TooLong};

pub use data::{Bulk, BulkOwned, Words};
pub use end::BulkEnd;
pub use memory::{BulkMemory, PeerMemory, SealedMemory, SlotMemory};
pub use pool::{BufferMut, MAX_POOL_BYTES, MAX_SLOTS, Pool, PoolError, PoolOwner, Slots, Taking};
pub(crate) use send::Loans;
pub use send::{BulkBody, BulkToSend, IntoBulk, UnsentBulk};

/// Bulk data of at most `MAX` bytes.
#[derive(Debug)]
pub struct BulkArg<const MAX: u32>;

impl<const MAX: u32> Arg for BulkArg<MAX> {
    type Sent<'a> = &'a BulkToSend<'a>;
    type Taken<'a> = Bulk<'a>;
    type Owned = BulkOwned;

    const PLACE: (usize, usize) = BULK_PLACE;
    const MAX_TAIL: usize = (MAX as usize).div_ceil(8);
    const MAX_CAPS: usize = 1;
    const IS_BULK: bool = true;

    #[inline]
    fn check(value: &BulkToSend<'_>) -> Result<(), TooLong> {
        value.check(MAX)
    }

    #[inline]
    fn put(value: &BulkToSend<'_>, words: &mut [u64], at: usize) {
        words[at / 8] = value.head();
    }

    #[inline]
    fn tail<'a: 'b, 'b>(value: &'a BulkToSend<'a>, _built: &'b mut Vec<u64>) -> &'b [u8] {
        value.tail()
    }

    #[inline]
    fn put_caps<'a>(value: &'a BulkToSend<'a>, load: &mut CapsToSend<'a>) -> io::Result<()> {
        load.bulk(value)
    }

    #[inline]
    fn take<'a>(decoder: &mut Decoder<'a>, at: usize) -> Result<Bulk<'a>, DecodeError> {
        Bulk::take(decoder, at, MAX)
    }

    #[inline]
    fn take_owned(decoder: &mut Decoder<'_>, at: usize) -> Result<BulkOwned, DecodeError> {
        Bulk::take(decoder, at, MAX).map(Bulk::keep)
    }
}
