//! Loads: what a subject has to carry. [`Outbox`] creates payloads, [`Inbox`] checks them.
//!
//! A payload begins with its number; the other bytes follow from its size. The receiver reads the length, the number and a
//! byte of every cache line, so that the payload reaches the receiver's core with every subject. A *thorough* load compares
//! every byte.

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;

/// Sizes of payloads, in bytes.
pub(crate) const SIZES: [usize; 5] = [8, 56, 4 << 10, 64 << 10, 1 << 20];

/// Number of round trips before the clock starts, for lazy initialisation.
pub(crate) const WARM_UP: u64 = 8;

const LINE: usize = 64;

/// Direction of payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pattern {
    /// Each payload is answered before the next is sent.
    RoundTrip,
    /// Payloads go in one direction. The last one is answered, which stops the clock.
    Stream,
}

impl Pattern {
    pub(crate) const ALL: [Self; 2] = [Self::RoundTrip, Self::Stream];

    /// Returns the name in the tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RoundTrip => "round trip",
            Self::Stream => "stream",
        }
    }
}

/// Returns each pattern with each size.
pub(crate) fn loads() -> impl Iterator<Item = (Pattern, usize)> {
    Pattern::ALL.into_iter().flat_map(|pattern| SIZES.map(|size| (pattern, size)))
}

/// Work of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) pattern: Pattern,
    /// Length of a payload in bytes, at least eight.
    pub(crate) size: usize,
    /// Number of timed payloads.
    pub(crate) count: u64,
    /// True if receivers compare every byte.
    pub(crate) thorough: bool,
}

impl Load {
    /// Returns the number of payloads that the peer receives, including the warm-up.
    pub(crate) const fn total(&self) -> u64 {
        WARM_UP + self.count
    }

    /// Returns true if the peer answers the payload with this number, counted from 1.
    pub(crate) const fn is_answered(&self, received: u64) -> bool {
        match self.pattern {
            Pattern::RoundTrip => true,
            Pattern::Stream => received <= WARM_UP || received == self.total(),
        }
    }
}

/// The format that [`FromStr`] parses.
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

/// Error for a text that is no [`Load`].
#[derive(Debug)]
pub(crate) struct NotALoad;

impl fmt::Display for NotALoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no description of a load")
    }
}

impl std::error::Error for NotALoad {}

/// Creates payloads in one buffer.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    next: u64,
}

impl Outbox {
    pub(crate) fn new(size: usize) -> Self {
        Self { bytes: (0..size).map(|at| filler(size, at)).collect(), next: 0 }
    }

    /// Returns the next payload.
    #[inline]
    pub(crate) fn next(&mut self) -> &[u8] {
        self.bytes[..8].copy_from_slice(&self.next.to_ne_bytes());
        self.next += 1;
        &self.bytes
    }
}

/// Returns the byte at this offset of a payload. Neighbouring lines, and payloads of different sizes, differ.
const fn filler(size: usize, at: usize) -> u8 {
    (size.wrapping_add(at.wrapping_mul(31)).wrapping_add(at / LINE) % 251) as u8
}

/// Checks received payloads.
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

    /// Returns the number of payloads received.
    #[inline]
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// Checks the next payload.
    ///
    /// # Errors
    /// Fails if the payload differs from the one sent.
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

    /// Checks the next payload, of `length` bytes, which is there in words. Looks at each, so that none has to be copied.
    ///
    /// # Errors
    /// Fails if the payload differs from the one sent.
    pub(crate) fn accept_words(
        &mut self,
        length: usize,
        mut words: impl Iterator<Item = u64>,
    ) -> Result<(), Damaged> {
        if self.thorough {
            let bytes: Vec<u8> = words.flat_map(u64::to_ne_bytes).take(length).collect();
            return self.accept(&bytes);
        }
        let number = self.received;
        self.received += 1;
        let whole = length == self.expected.bytes.len() && words.next() == Some(number);
        black_box(words.fold(0, |sum, word| sum ^ word));
        if whole { Ok(()) } else { Err(Damaged { number, length }) }
    }
}

/// Error for a payload that differs from the one sent.
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

    fn words(bytes: &[u8]) -> Vec<u64> {
        bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect()
    }

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
    fn words_are_accepted_as_bytes_are() {
        for thorough in [true, false] {
            let (mut outbox, mut inbox) =
                (Outbox::new(200), Inbox::new(&Load { thorough, ..PROOF }));
            for _ in 0..3 {
                let payload = words(outbox.next());
                assert_eq!(inbox.accept_words(200, payload.into_iter()), Ok(()));
            }
            outbox.next();
            let payload = words(outbox.next());
            assert!(inbox.accept_words(200, payload.into_iter()).is_err(), "one is missing");
        }
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
