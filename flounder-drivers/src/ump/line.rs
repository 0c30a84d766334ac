//! The header of a line.
//!
//! ```text
//!  63                              32 31        18 17 16 15 13 12      6 5      0
//! +----------------------------------+------------+-----+-----+---------+--------+
//! | sequence number of the line, + 1 |   message  |kind |used |  caps   |  zero  |
//! +----------------------------------+------------+-----+-----+---------+--------+
//! ```

use crate::assembler::line;
use crate::mem::{PAYLOAD_WORDS, tag};

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

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of `docs/wire.md`.
    #[test]
    fn the_documented_line() {
        assert_eq!(header(2, LineInfo::new(LineKind::Whole, 5, 2, 1)), 0x0000_0003_0014_4040);
    }
}
