//! Frames, which the channels of two cores exchange. A message of the hardware holds one, after its kernel header.
//!
//! ```text
//!          31   30 29               16 15                 0
//!         |       credit returned     |    association     |   kernel header; without a frame: credit alone
//! word 0  | kind |  message           |        ack         |
//! word 1  |  up to 57 words of payload                     |
//! ```
//!
//! | kind | payload |
//! |---|---|
//! | whole | a body of up to 28 words |
//! | first | number of words of the body; then the first of them |
//! | next | further words of the body |
//! | control | nothing, or `expected` and `handed`; bit 0 of `message`: closed |
//!
//! A word of a body is two words of the hardware, the lower half first. So a body has an even number of hardware words, and
//! an additional word in front of it is the number of capabilities: 57 words hold 28 words of a body and that number.

use flounder_rt::channel::{MAX_NUMBER, ProtocolError};

/// Maximum number of words of a frame.
pub const MAX_FRAME: usize = 58;

/// Maximum number of words of payload.
pub const MAX_PAYLOAD: usize = MAX_FRAME - 1;

/// Maximum number of words of a body in one frame.
pub const MAX_BODY: usize = MAX_PAYLOAD / 2;

const KIND_SHIFT: u32 = 30;
const NUMBER_SHIFT: u32 = 16;

const _: () = assert!(MAX_NUMBER as u32 == (1 << (KIND_SHIFT - NUMBER_SHIFT)) - 1);

/// Position of a frame in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// The whole message.
    Whole,
    /// The first of several frames.
    First,
    /// A later frame.
    Next,
    /// A frame that belongs to no message, but to the channel.
    Control,
}

/// Word 0 of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader(u32);

impl FrameHeader {
    /// Flag in `message` of a control frame: the sender sends no more.
    pub const CLOSED: u16 = 1;

    /// Returns the head of a frame of the message with this number.
    #[must_use]
    pub const fn new(kind: FrameKind, number: u16, ack: u16) -> Self {
        let kind = match kind {
            FrameKind::Whole => 0,
            FrameKind::First => 1,
            FrameKind::Next => 2,
            FrameKind::Control => 3,
        };
        Self(kind << KIND_SHIFT | (number as u32) << NUMBER_SHIFT | ack as u32)
    }

    /// Returns a head that was found in a frame.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// Returns the word that goes into a frame.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Returns the kind of the frame.
    #[must_use]
    pub const fn kind(self) -> FrameKind {
        match self.0 >> KIND_SHIFT {
            0 => FrameKind::Whole,
            1 => FrameKind::First,
            2 => FrameKind::Next,
            _ => FrameKind::Control,
        }
    }

    /// Returns the message number, or the flags of a control frame.
    #[must_use]
    pub const fn number(self) -> u16 {
        (self.0 >> NUMBER_SHIFT) as u16 & MAX_NUMBER
    }

    /// Returns the acknowledgement: the words that the sender has consumed of the other direction.
    #[must_use]
    pub const fn ack(self) -> u16 {
        self.0 as u16
    }
}

/// Returns the kernel header of a message.
#[must_use]
pub const fn kernel_header(credit: u16, association: u16) -> u32 {
    (credit as u32) << 16 | association as u32
}

/// Returns the credit that a message returns, and its association.
#[must_use]
pub const fn parse_kernel_header(header: u32) -> (u16, u16) {
    ((header >> 16) as u16, header as u16)
}

/// A frame of a message, being put together.
#[derive(Debug)]
pub struct FrameBuilder {
    words: [u32; MAX_FRAME],
    used: usize,
}

impl FrameBuilder {
    /// Creates a frame of this kind. Its acknowledgement is set when it is sent.
    #[must_use]
    pub const fn new(kind: FrameKind, number: u16) -> Self {
        let mut words = [0; MAX_FRAME];
        words[0] = FrameHeader::new(kind, number, 0).raw();
        Self { words, used: 1 }
    }

    /// Appends a word of the hardware.
    pub const fn push(&mut self, word: u32) {
        self.words[self.used] = word;
        self.used += 1;
    }

    /// Appends words of a body.
    pub const fn push_body(&mut self, body: &[u64]) {
        let mut rest = body;
        while let [word, after @ ..] = rest {
            self.push(*word as u32);
            self.push((*word >> 32) as u32);
            rest = after;
        }
    }

    /// Returns the words of the frame.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words[..self.used]
    }
}

/// The parsed payload of a frame.
#[derive(Debug, PartialEq, Eq)]
pub struct FramePayload<'a> {
    /// Words of the whole body, in a frame of kind `First`.
    pub total: Option<u32>,
    /// Capabilities of the message.
    pub caps: usize,
    /// Words of the body, in halves; even in number.
    pub halves: &'a [u32],
}

impl<'a> FramePayload<'a> {
    /// Parses a payload.
    ///
    /// # Errors
    /// If a frame of this kind has no such payload.
    pub fn of(kind: FrameKind, payload: &'a [u32]) -> Result<Self, ProtocolError> {
        let (total, rest) = match (kind, payload) {
            (FrameKind::First, [total, rest @ ..]) => (Some(*total), rest),
            (FrameKind::First, []) => {
                return Err(ProtocolError::Frame("the first frame of a message is empty"));
            }
            _ => (None, payload),
        };
        let (caps, halves) = match rest {
            [caps, halves @ ..] if rest.len() % 2 == 1 => (*caps as usize, halves),
            _ => (0, rest),
        };
        if rest.len() % 2 == 1 && (caps == 0 || kind == FrameKind::Next) {
            return Err(ProtocolError::Frame("a frame has half a word"));
        }
        if kind != FrameKind::Whole && halves.is_empty() {
            return Err(ProtocolError::Frame("a frame of several has no word of the body"));
        }
        if total.is_some_and(|total| total as usize <= halves.len() / 2) {
            return Err(ProtocolError::Frame("a message that fits in one frame comes in several"));
        }
        Ok(Self { total, caps, halves })
    }

    /// Puts the words of the body together at the beginning of `into`, and returns them.
    pub fn body<'b>(&self, into: &'b mut [u64; MAX_BODY]) -> &'b [u64] {
        let (pairs, _) = self.halves.as_chunks::<2>();
        for (word, [low, high]) in into.iter_mut().zip(pairs) {
            *word = u64::from(*high) << 32 | u64::from(*low);
        }
        &into[..pairs.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trips() {
        for kind in [FrameKind::Whole, FrameKind::First, FrameKind::Next, FrameKind::Control] {
            for (number, ack) in [(0, 0), (1, u16::MAX), (MAX_NUMBER, 0x1234)] {
                let head = FrameHeader::from_raw(FrameHeader::new(kind, number, ack).raw());
                assert_eq!((head.kind(), head.number(), head.ack()), (kind, number, ack));
            }
        }
    }

    #[test]
    fn payload_splits_into_total_caps_and_body() {
        let payload: Vec<u32> = (100..157).collect();
        for (kind, length, total, caps, words) in [
            (FrameKind::Whole, 0, None, 0, 0),
            (FrameKind::Whole, 1, None, 100, 0),
            (FrameKind::Whole, 56, None, 0, 28),
            (FrameKind::Whole, 57, None, 100, 28),
            (FrameKind::First, 57, Some(100), 0, 28),
            (FrameKind::First, 56, Some(100), 101, 27),
            (FrameKind::Next, 56, None, 0, 28),
        ] {
            let parts = FramePayload::of(kind, &payload[..length]).unwrap();
            assert_eq!((parts.total, parts.caps), (total, caps), "{kind:?} of {length}");
            assert_eq!(parts.body(&mut [0; MAX_BODY]).len(), words, "{kind:?} of {length}");
        }
    }

    #[test]
    fn impossible_payloads_are_errors() {
        for (kind, payload) in [
            (FrameKind::Whole, &[0, 1, 2][..]),
            (FrameKind::First, &[]),
            (FrameKind::First, &[5]),
            (FrameKind::First, &[5, 1]),
            (FrameKind::First, &[1, 1, 2]),
            (FrameKind::Next, &[]),
            (FrameKind::Next, &[1, 2, 3]),
        ] {
            assert!(FramePayload::of(kind, payload).is_err(), "{kind:?} of {payload:?}");
        }
    }

    /// The example of `docs/wire.md`.
    #[test]
    fn the_documented_frame() {
        let mut frame = FrameBuilder::new(FrameKind::Whole, 5);
        frame.push(1);
        frame.push_body(&[7, 0x9_0000_0008]);
        assert_eq!(frame.words(), [0x0005_0000, 1, 7, 0, 8, 9]);
    }
}
