//! The head of a bulk argument: its length, and where its bytes are.
//!
//! ```text
//!  63      58 57            42 41        34 33 32 31                     0
//! |   zero   |      slot      |    pool    | way |         length         |
//! ```

use crate::decode::DecodeError;

/// Size and alignment of the head, in bytes.
pub const BULK_PLACE: (usize, usize) = (8, 8);

/// The most bytes of a bulk argument.
pub const MAX_BULK: u32 = 1 << 30;

const WAY: u32 = 32;
const POOL: u32 = 34;
const SLOT: u32 = 42;
const END: u32 = 58;

/// Where the bytes of a bulk argument are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkWay {
    /// In the tail of the argument.
    Inline,
    /// In a slot of a pool that the sender has offered.
    Slot {
        /// Number of the pool at this binding.
        pool: u8,
        /// Number of the slot.
        slot: u16,
    },
    /// In the next capability of the message, which is sealed memory.
    Sealed,
}

/// The head of a bulk argument, which is its fixed part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkHead {
    /// Length in bytes.
    pub len: u32,
    /// Where the bytes are.
    pub way: BulkWay,
}

impl BulkHead {
    /// Returns the bits of the head.
    #[inline]
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        let way = match self.way {
            BulkWay::Inline => 0,
            BulkWay::Slot { pool, slot } => {
                1 << WAY | (pool as u64) << POOL | (slot as u64) << SLOT
            }
            BulkWay::Sealed => 2 << WAY,
        };
        way | self.len as u64
    }

    /// Reads a head of an argument of at most `max` bytes.
    ///
    /// ```
    /// use flounder_wire::{BulkHead, BulkWay};
    /// let head = BulkHead { len: 70_000, way: BulkWay::Slot { pool: 3, slot: 65_535 } };
    /// assert_eq!(BulkHead::from_bits(head.to_bits(), 70_000), Ok(head));
    /// assert!(BulkHead::from_bits(head.to_bits(), 69_999).is_err());
    /// assert!(BulkHead::from_bits(1 << 63, 70_000).is_err());
    /// ```
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] if it is longer; [`DecodeError::Padding`] if a bit that has no meaning is set;
    /// [`DecodeError::Bulk`] if there is no such way.
    #[inline]
    pub const fn from_bits(bits: u64, max: u32) -> Result<Self, DecodeError> {
        let len = bits as u32;
        if len > max {
            return Err(DecodeError::TooLong { len: len as usize, max });
        }
        let (pool, slot) = ((bits >> POOL) as u8, (bits >> SLOT) as u16);
        let way = match bits >> WAY & 3 {
            0 => BulkWay::Inline,
            1 => BulkWay::Slot { pool, slot },
            2 => BulkWay::Sealed,
            _ => return Err(DecodeError::Bulk("no bulk data travels in the way 3")),
        };
        let is_in_slot = matches!(way, BulkWay::Slot { .. });
        if bits >> END != 0 || (!is_in_slot && bits >> POOL != 0) {
            return Err(DecodeError::Padding);
        }
        Ok(Self { len, way })
    }
}

/// The most bulk arguments of one message.
pub const MAX_BULKS: usize = 8;

/// Where the record of a message has the heads of its bulk arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulks {
    /// Byte offsets, of which the first `count` are in use.
    at: [u32; MAX_BULKS],
    count: usize,
}

impl Bulks {
    /// No bulk argument.
    pub const NONE: Self = Self { at: [0; MAX_BULKS], count: 0 };

    /// Returns the places of those arguments that are bulk data, of arguments with these byte offsets.
    ///
    /// # Panics
    /// If there are more than [`MAX_BULKS`].
    #[must_use]
    pub const fn of(arguments: &[(bool, usize)]) -> Self {
        let mut all = Self::NONE;
        let mut i = 0;
        while i < arguments.len() {
            if arguments[i].0 {
                all.at[all.count] = arguments[i].1 as u32;
                all.count += 1;
            }
            i += 1;
        }
        all
    }

    /// Returns true if there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the bits of each head in the words of a message, as far as they are there.
    pub fn heads(&self, words: &[u64]) -> impl Iterator<Item = u64> {
        self.at[..self.count].iter().map_while(|at| words.get(*at as usize / 8).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_heads_that_are_written_are_read() {
        let slots =
            [(0, 0), (255, 65_535), (3, 7)].map(|(pool, slot)| BulkWay::Slot { pool, slot });
        for way in slots.into_iter().chain([BulkWay::Inline, BulkWay::Sealed]) {
            for len in [0, 1, MAX_BULK] {
                let bits = BulkHead { len, way }.to_bits();
                assert_eq!(BulkHead::from_bits(bits, MAX_BULK), Ok(BulkHead { len, way }));
                for bit in 0..64 {
                    let Ok(other) = BulkHead::from_bits(bits ^ 1 << bit, u32::MAX) else {
                        continue;
                    };
                    assert_eq!(
                        other.to_bits(),
                        bits ^ 1 << bit,
                        "bit {bit} of {bits:x} is not lost"
                    );
                }
            }
        }
        let three = BulkHead::from_bits(3 << 32, 1);
        assert_eq!(three, Err(DecodeError::Bulk("no bulk data travels in the way 3")));
        assert_eq!(BulkHead::from_bits(1 << 34, 1), Err(DecodeError::Padding));
        assert_eq!(BulkHead::from_bits(1 << 58 | 1 << 32, 1), Err(DecodeError::Padding));
    }
}
