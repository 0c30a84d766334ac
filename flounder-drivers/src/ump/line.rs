//! The header of a line.
//!
//! ```text
//!  63                              32 31        18 17 16 15 13 12      6 5      0
//! +----------------------------------+------------+-----+-----+---------+--------+
//! | sequence number of the line, + 1 |   message  |kind |used |  caps   |  zero  |
//! +----------------------------------+------------+-----+-----+---------+--------+
//! ```

use flounder_rt::channel::{MAX_CAPS, ProtocolError};

use crate::mem::{PAYLOAD_WORDS, Payload, tag};

/// The word of a line that is its header: the last.
pub const HEADER: usize = PAYLOAD_WORDS;

const NUMBER_SHIFT: u32 = 18;
const KIND_SHIFT: u32 = 16;
const USED_SHIFT: u32 = 13;
const CAPS_SHIFT: u32 = 6;
const ZERO: u32 = (1 << CAPS_SHIFT) - 1;

const _: () = assert!(flounder_rt::channel::MAX_NUMBER as u32 == u32::MAX >> NUMBER_SHIFT);
const _: () = assert!(MAX_CAPS < 1 << (USED_SHIFT - CAPS_SHIFT));
const _: () = assert!(PAYLOAD_WORDS < 1 << (KIND_SHIFT - USED_SHIFT));

/// What a line is to its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All of it.
    Whole,
    /// The first of several lines; payload word 0 is the number of words of the message.
    First,
    /// One of the others.
    Next,
}

/// The lower half of a header: what the line says about its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head(u32);

impl Head {
    /// The head of a line with `used` words of payload, of a message with this number and `caps` capabilities.
    #[inline]
    #[must_use]
    pub const fn new(kind: Kind, number: u16, used: usize, caps: usize) -> Self {
        let kind = match kind {
            Kind::Whole => 0,
            Kind::First => 1,
            Kind::Next => 2,
        };
        Self(
            (number as u32) << NUMBER_SHIFT
                | kind << KIND_SHIFT
                | (used as u32) << USED_SHIFT
                | (caps as u32) << CAPS_SHIFT,
        )
    }

    /// One as found in a line, before any check.
    #[inline]
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// As it goes into a line.
    #[inline]
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Whether the line is a whole message without capabilities, and says so in a sound way.
    #[inline]
    #[must_use]
    pub const fn is_plain(self) -> bool {
        self.0 & (((1 << USED_SHIFT) - 1) | (3 << KIND_SHIFT)) == 0
    }

    /// What the line is to its message.
    ///
    /// # Errors
    /// If the kind is unknown, there are too many capabilities, or the bits that must be zero are not.
    pub const fn kind(self) -> Result<Kind, ProtocolError> {
        if self.0 & ZERO != 0 {
            return Err(ProtocolError::Frame("a line has reserved bits set"));
        }
        if self.caps() > MAX_CAPS {
            return Err(ProtocolError::Frame("a line announces too many capabilities"));
        }
        match self.0 >> KIND_SHIFT & 3 {
            0 => Ok(Kind::Whole),
            1 => Ok(Kind::First),
            2 => Ok(Kind::Next),
            _ => Err(ProtocolError::Frame("a line is of no known kind")),
        }
    }

    /// Message number.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u16 {
        (self.0 >> NUMBER_SHIFT) as u16
    }

    /// Words of payload that mean something.
    #[inline]
    #[must_use]
    pub const fn used(self) -> usize {
        (self.0 >> USED_SHIFT & 7) as usize
    }

    /// Capabilities of the message, in its first line.
    #[inline]
    #[must_use]
    pub const fn caps(self) -> usize {
        (self.0 >> CAPS_SHIFT & 0x7f) as usize
    }
}

/// The header of a line.
#[inline]
#[must_use]
pub const fn header(sequence: u64, head: Head) -> u64 {
    (tag(sequence) as u64) << 32 | head.raw() as u64
}

/// The bits of the words after the first `used`, which must be zero. A table, not a jump that depends on the message: the
/// processor would guess it wrong where sizes are mixed.
///
/// # Panics
/// If there are more than seven.
#[inline]
#[must_use]
pub fn padding(used: usize) -> &'static Payload {
    &AFTER[used]
}

/// Whether the words after the used ones are zero, as they must be.
#[must_use]
pub fn is_padded(used: usize, payload: &Payload) -> bool {
    payload[used..].iter().all(|word| *word == 0)
}

/// For each number of used words, the bits of the words after them.
static AFTER: [Payload; PAYLOAD_WORDS + 1] = {
    let mut after = [[0; PAYLOAD_WORDS]; PAYLOAD_WORDS + 1];
    let mut used = 0;
    while used <= PAYLOAD_WORDS {
        let mut word = used;
        while word < PAYLOAD_WORDS {
            after[used][word] = u64::MAX;
            word += 1;
        }
        used += 1;
    }
    after
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_gives_back_what_was_put_in() {
        for kind in [Kind::Whole, Kind::First, Kind::Next] {
            for (number, used, caps) in [(0, 0, 0), (1, 7, 64), (16383, 3, 1)] {
                let head = Head::from_raw(Head::new(kind, number, used, caps).raw());
                assert_eq!(head.kind(), Ok(kind));
                assert_eq!((head.number(), head.used(), head.caps()), (number, used, caps));
                assert_eq!(head.is_plain(), kind == Kind::Whole && caps == 0);
            }
        }
    }

    /// The example of `docs/wire.md`.
    #[test]
    fn the_documented_line() {
        assert_eq!(header(2, Head::new(Kind::Whole, 5, 2, 1)), 0x0000_0003_0014_4040);
    }

    #[test]
    fn every_bad_bit_is_an_error() {
        for bit in 0..6 {
            assert!(Head::from_raw(1 << bit).kind().is_err());
        }
        assert!(Head::from_raw(3 << 16).kind().is_err());
        assert!(Head::from_raw(65 << 6).kind().is_err());
    }

    #[test]
    fn padding_is_checked_word_by_word() {
        for used in 0..=7 {
            for word in 0..7 {
                let mut payload = [0; 7];
                payload[word] = 1 << 63;
                assert_eq!(is_padded(used, &payload), word < used, "word {word} of {used}");
            }
        }
    }
}
