//! What a subject is asked to carry, and the two ends of it: [`Outbox`] makes payloads, [`Inbox`] looks at them.
//!
//! A payload begins with its number; the other bytes follow from its size. Whoever receives one looks at its length, its
//! number and a byte of every cache line, so that the payload has come to the receiver's core whatever the subject does;
//! a *thorough* load compares every byte.

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;

/// Sizes of payloads, in bytes.
pub(crate) const SIZES: [usize; 4] = [8, 56, 1 << 10, 64 << 10];

/// Round trips before the clock starts: both ends are awake then, and what is made lazily is made.
pub(crate) const WARM_UP: u64 = 8;

const LINE: usize = 64;

/// Which way payloads go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pattern {
    /// One there, one back; then the next.
    RoundTrip,
    /// One after the other in one direction. One comes back for the last, and stops the clock.
    Stream,
}

impl Pattern {
    pub(crate) const ALL: [Self; 2] = [Self::RoundTrip, Self::Stream];

    /// As the tables call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RoundTrip => "round trip",
            Self::Stream => "stream",
        }
    }
}

/// A piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) pattern: Pattern,
    /// Bytes of a payload; at least eight.
    pub(crate) size: usize,
    /// Payloads to time.
    pub(crate) count: u64,
    /// True if receivers compare every byte.
    pub(crate) thorough: bool,
}

impl Load {
    /// Payloads that the peer receives, those of the warm-up included.
    pub(crate) const fn total(&self) -> u64 {
        WARM_UP + self.count
    }

    /// Returns true if the peer answers the payload after which it has received so many.
    pub(crate) const fn is_answered(&self, received: u64) -> bool {
        match self.pattern {
            Pattern::RoundTrip => true,
            Pattern::Stream => received <= WARM_UP || received == self.total(),
        }
    }
}

/// In words that [`FromStr`] reads.
impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = match self.pattern {
            Pattern::RoundTrip => "round-trip",
            Pattern::Stream => "stream",
        };
        write!(f, "{pattern} {} {} {}", self.size, self.count, self.thorough)
    }
}

impl FromStr for Load {
    type Err = NotALoad;

    fn from_str(text: &str) -> Result<Self, NotALoad> {
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        let [pattern, size, count, thorough] = words[..] else { return Err(NotALoad) };
        let pattern = match pattern {
            "round-trip" => Pattern::RoundTrip,
            "stream" => Pattern::Stream,
            _ => return Err(NotALoad),
        };
        Ok(Self {
            pattern,
            size: size.parse().ok().filter(|size| *size >= 8).ok_or(NotALoad)?,
            count: count.parse().map_err(|_| NotALoad)?,
            thorough: thorough.parse().map_err(|_| NotALoad)?,
        })
    }
}

/// A text that is no [`Load`].
#[derive(Debug)]
pub(crate) struct NotALoad;

impl fmt::Display for NotALoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no description of a load")
    }
}

impl std::error::Error for NotALoad {}

/// Makes payloads, one after the other, in one buffer.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    next: u64,
}

impl Outbox {
    pub(crate) fn new(size: usize) -> Self {
        Self { bytes: (0..size).map(|at| filler(size, at)).collect(), next: 0 }
    }

    /// The next payload.
    #[inline]
    pub(crate) fn next(&mut self) -> &[u8] {
        self.bytes[..8].copy_from_slice(&self.next.to_ne_bytes());
        self.next += 1;
        &self.bytes
    }
}

/// What stands at a place of a payload, behind its number. No two neighbouring lines, and no two sizes, look alike.
const fn filler(size: usize, at: usize) -> u8 {
    (size.wrapping_add(at.wrapping_mul(31)).wrapping_add(at / LINE) % 251) as u8
}

/// Looks at payloads, one after the other.
#[derive(Debug)]
pub(crate) struct Inbox {
    expected: Outbox,
    thorough: bool,
    received: u64,
}

impl Inbox {
    pub(crate) fn new(load: &Load) -> Self {
        Self { expected: Outbox::new(load.size), thorough: load.thorough, received: 0 }
    }

    /// How many have come.
    #[inline]
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// Looks at the next one.
    ///
    /// # Errors
    /// If it is not what was sent.
    #[inline]
    pub(crate) fn accept(&mut self, bytes: &[u8]) -> Result<(), Damaged> {
        let number = self.received;
        self.received += 1;
        let whole = bytes.len() == self.expected.bytes.len()
            && bytes.first_chunk() == Some(&number.to_ne_bytes())
            && (!self.thorough || bytes[8..] == self.expected.bytes[8..]);
        black_box(bytes.iter().step_by(LINE).fold(0, |sum, byte| sum ^ byte));
        if whole { Ok(()) } else { Err(Damaged { number, length: bytes.len() }) }
    }
}

/// A payload did not arrive as it was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    number: u64,
    length: usize,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, length } = self;
        write!(f, "payload {number} did not arrive as it was sent ({length} bytes came)")
    }
}

impl std::error::Error for Damaged {}

#[cfg(test)]
mod tests {
    use super::*;

    const PROOF: Load = Load { pattern: Pattern::Stream, size: 200, count: 5, thorough: true };

    #[test]
    fn what_was_sent_is_accepted_in_its_order_only() {
        let (mut outbox, mut inbox) = (Outbox::new(PROOF.size), Inbox::new(&PROOF));
        for _ in 0..3 {
            assert_eq!(inbox.accept(outbox.next()), Ok(()));
        }
        outbox.next();
        assert!(inbox.accept(outbox.next()).is_err(), "the fourth is missing");
    }

    #[test]
    fn a_thorough_look_sees_every_byte() {
        for at in 0..PROOF.size {
            let mut bytes = Outbox::new(PROOF.size).next().to_vec();
            bytes[at] ^= 1;
            assert!(Inbox::new(&PROOF).accept(&bytes).is_err(), "byte {at}");
        }
        assert!(Inbox::new(&PROOF).accept(&Outbox::new(199).next()[..199]).is_err());
    }

    #[test]
    fn loads_are_read_as_they_are_written() {
        for pattern in Pattern::ALL {
            let load = Load { pattern, ..PROOF };
            assert_eq!(load.to_string().parse::<Load>().ok(), Some(load));
        }
        for text in ["", "stream", "stream 7 1 true", "both 8 1 true", "stream 8 1 true 9"] {
            assert!(text.parse::<Load>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_stream_is_answered_while_it_warms_up_and_at_its_end() {
        let answered: Vec<u64> = (1..=PROOF.total()).filter(|n| PROOF.is_answered(*n)).collect();
        assert_eq!(answered, [1, 2, 3, 4, 5, 6, 7, 8, 13]);
    }
}
