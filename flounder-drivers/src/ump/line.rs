//! The header of a line.
//!
//! ```text
//!  63                              32 31        18 17 16 15 13 12      6 5      0
//! +----------------------------------+------------+-----+-----+---------+--------+
//! | sequence number of the line, + 1 |   message  |kind |used |  caps   |  zero  |
//! +----------------------------------+------------+-----+-----+---------+--------+
//! ```

use crate::assembler::line;
use crate::mem::{PAYLOAD_WORDS, Payload, tag};

pub use crate::assembler::line::LineKind;

/// Index of the word of a line that is its header: the last.
pub const HEADER: usize = PAYLOAD_WORDS;

/// The lower half of a header, which describes the message of the line. Its payload is counted in words.
pub type LineInfo = line::LineInfo<6>;

const _: () = assert!(PAYLOAD_WORDS == line::PARTS);

/// Returns the header of a line.
#[inline]
#[must_use]
pub const fn header(sequence: u64, info: LineInfo) -> u64 {
    (tag(sequence) as u64) << 32 | info.raw() as u64
}

/// Returns the mask of the words after the first `used`, which must be zero. It is a table and not
/// a jump that depends on the message: the processor would mispredict it where sizes are mixed.
///
/// # Panics
/// If `used` is more than seven.
#[inline]
#[must_use]
pub fn padding(used: usize) -> &'static Payload {
    &AFTER[used]
}

/// Masks of the unused words, by the number of used words.
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

    /// The example of `docs/wire.md`.
    #[test]
    fn the_documented_line() {
        assert_eq!(header(2, LineInfo::new(LineKind::Whole, 5, 2, 1)), 0x0000_0003_0014_4040);
    }

    #[test]
    fn padding_masks_the_unused_words() {
        for used in 0..=PAYLOAD_WORDS {
            for (word, bits) in padding(used).iter().enumerate() {
                assert_eq!(*bits == 0, word < used, "word {word} of {used}");
                assert!([0, u64::MAX].contains(bits));
            }
        }
    }
}
