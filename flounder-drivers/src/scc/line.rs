//! Lines of 32 bytes: seven words of 32 bits, and a header.
//!
//! ```text
//!          63           32 31            0             header:
//! word 0  | payload 1     | payload 0     |             31    26 25      12 11 10 9   7 6      0
//! word 1  | payload 3     | payload 2     |            +--------+----------+-----+-----+--------+
//! word 2  | payload 5     | payload 4     |            |  tag   | message  |kind |used |  caps  |
//! word 3  | header        | payload 6     |            +--------+----------+-----+-----+--------+
//! ```
//!
//! The body of a message consists of words of 64 bits. They are split into *halves*, the lower one first, and a line carries
//! seven halves, so every other line of a long message ends in the middle of a word.

use flounder_rt::wire::{Gather, Reader};

use super::hardware::LINE_WORDS;
use crate::assembler::line;

pub use crate::assembler::line::LineKind;

/// Number of halves of payload in a line.
pub const HALVES: usize = 2 * LINE_WORDS - 1;

/// Halves of a line besides its header, in private memory.
pub type Payload = [u32; HALVES];

/// Index of the word of a line with its header, which is stored last and loaded first.
pub const LAST: usize = LINE_WORDS - 1;

const TAG_SHIFT: u32 = 26;

/// A header without its tag, which describes the message of the line. Its payload is counted in
/// halves.
pub type LineInfo = line::LineInfo<0>;

const _: () = assert!(HALVES == line::PARTS);

/// Returns the tag of the lines of this lap: one more than that of the lap before, whose line in
/// this place the reader has read.
///
/// No older line can come back and no newer line can be there before this one is acknowledged, so
/// two alternating tags would do. There is room for 64, the first of which differs from that of a
/// line that was never written.
#[must_use]
pub const fn tag(lap: u64) -> u32 {
    lap.wrapping_add(1) as u32 & (u32::MAX >> TAG_SHIFT)
}

/// Returns the header of a line of this lap.
#[must_use]
pub const fn header(lap: u64, info: LineInfo) -> u32 {
    tag(lap) << TAG_SHIFT | info.raw()
}

/// Returns true if a header is of this lap.
#[must_use]
pub const fn is_of_lap(header: u32, lap: u64) -> bool {
    header >> TAG_SHIFT == tag(lap)
}

/// Returns the words of a line.
#[must_use]
pub fn pack(payload: &Payload, header: u32) -> [u64; LINE_WORDS] {
    let [a, b, c, d, e, f, g] = payload.map(u64::from);
    [a | b << 32, c | d << 32, e | f << 32, g | u64::from(header) << 32]
}

/// Returns the payload of a line of these words.
#[must_use]
pub const fn unpack(words: [u64; LINE_WORDS]) -> Payload {
    let [a, b, c, d] = words;
    [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32, c as u32, (c >> 32) as u32, d as u32]
}

/// Splits a body into halves of words.
#[derive(Debug)]
pub struct HalfSplitter<'a> {
    words: Reader<'a>,
    /// The upper half of a word of which the lower half was taken.
    upper: Option<u32>,
}

impl<'a> HalfSplitter<'a> {
    /// Returns a splitter that starts at this half of the body.
    #[must_use]
    pub fn at(body: &Gather<'a>, half: usize) -> Self {
        let mut split = Self { words: body.reader(half / 2), upper: None };
        if half % 2 == 1 {
            split.next();
        }
        split
    }

    /// Writes halves into `out`, and zeroes after the last. Returns the number of halves.
    pub fn fill(&mut self, out: &mut [u32]) -> usize {
        let mut count = 0;
        for place in out {
            *place = match self.next() {
                Some(half) => {
                    count += 1;
                    half
                }
                None => 0,
            };
        }
        count
    }

    fn next(&mut self) -> Option<u32> {
        if let Some(half) = self.upper.take() {
            return Some(half);
        }
        let mut word = [0];
        if self.words.read(&mut word) == 0 {
            return None;
        }
        self.upper = Some((word[0] >> 32) as u32);
        Some(word[0] as u32)
    }
}

/// Joins halves to words.
#[derive(Debug, Default)]
pub struct HalfJoiner {
    /// The lower half of a word of which the upper half has not arrived.
    lower: Option<u32>,
}

impl HalfJoiner {
    /// Takes halves, at most seven, and returns the words that they complete.
    ///
    /// # Panics
    /// If there are more halves.
    pub fn push(&mut self, halves: &[u32]) -> JoinedWords {
        let mut words = JoinedWords { words: [0; LINE_WORDS], count: 0 };
        for half in halves {
            match self.lower.take() {
                None => self.lower = Some(*half),
                Some(lower) => {
                    words.words[words.count] = u64::from(lower) | u64::from(*half) << 32;
                    words.count += 1;
                }
            }
        }
        words
    }

    /// Returns true if half a word is left.
    #[must_use]
    pub const fn is_between(&self) -> bool {
        self.lower.is_some()
    }
}

/// At most four words.
#[derive(Debug)]
pub struct JoinedWords {
    words: [u64; LINE_WORDS],
    count: usize,
}

impl JoinedWords {
    /// Returns the words.
    #[must_use]
    pub fn as_slice(&self) -> &[u64] {
        &self.words[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_has_the_info_and_the_lap() {
        for info in [
            LineInfo::new(LineKind::Whole, 0, 0, 0),
            LineInfo::new(LineKind::Next, u16::MAX >> 2, 7, 64),
        ] {
            for lap in [0, 1, 62, 63, 64, u64::MAX] {
                let header = header(lap, info);
                assert_eq!(LineInfo::from_raw(header), info);
                assert!(is_of_lap(header, lap));
                assert!(!is_of_lap(header, lap.wrapping_add(1)));
                assert!(!is_of_lap(header, lap.wrapping_sub(1)));
            }
        }
    }

    /// The example of `docs/wire.md`.
    #[test]
    fn the_documented_line() {
        let mut payload = [0; HALVES];
        let used = HalfSplitter::at(&Gather::words_only(&[7, 9 << 32]), 0).fill(&mut payload);
        let line = pack(&payload, header(2, LineInfo::new(LineKind::Whole, 5, used, 1)));
        assert_eq!(line, [7, 9 << 32, 0, 0x0c00_5201 << 32]);
    }

    #[test]
    fn unwritten_line_is_not_of_the_first_lap() {
        assert!(!is_of_lap(0, 0));
    }

    #[test]
    fn halves_join_to_the_words_wherever_they_were_split() {
        let body: Vec<u64> = (1..=20).map(|word| word << 32 | (100 + word)).collect();
        let gather = Gather::words_only(&body);
        for start in 0..40 {
            let mut join = HalfJoiner::default();
            // The halves before the start, one line a half.
            let mut joined: Vec<u64> = Vec::new();
            let mut before = HalfSplitter::at(&gather, 0);
            for _ in 0..start {
                let mut half = [0];
                assert_eq!(before.fill(&mut half), 1);
                joined.extend(join.push(&half).as_slice());
            }
            let mut rest = HalfSplitter::at(&gather, start);
            let mut line = [0; HALVES];
            loop {
                let used = rest.fill(&mut line);
                assert!(line[used..].iter().all(|half| *half == 0));
                joined.extend(join.push(&line[..used]).as_slice());
                if used < HALVES {
                    break;
                }
            }
            assert_eq!(joined, body, "split at {start}");
            assert!(!join.is_between());
        }
    }

    #[test]
    fn line_packs_and_unpacks() {
        let payload = [1, u32::MAX, 3, 4, 5, 6, 7];
        let words = pack(&payload, 0x8000_0001);
        assert_eq!(unpack(words), payload);
        assert_eq!((words[LAST] >> 32) as u32, 0x8000_0001);
    }
}
