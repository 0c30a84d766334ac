//! Lines of seven parts and a header, as rings carry them: what a header says about its message, and what may follow what.
//!
//! ```text
//!   AT + 25    AT + 12 AT+11 AT+9   AT+7 AT + 6  AT  AT - 1  0
//! +-------------------+-----+-----------+----------+----------+
//! |      message      |kind |   used    |   caps   |   zero   |   what is above is the driver's
//! +-------------------+-----+-----------+----------+----------+
//! ```

use flounder_rt::channel::{Incoming, MAX_CAPS, MAX_NUMBER, ProtocolError};

use super::MessageAssembler;

/// Parts of payload in a line.
pub(crate) const PARTS: usize = 7;

const CAPS_BITS: u32 = 7;
const USED_BITS: u32 = 3;
const KIND_BITS: u32 = 2;
const NUMBER_BITS: u32 = 14;
const BITS: u32 = NUMBER_BITS + KIND_BITS + USED_BITS + CAPS_BITS;

const _: () = assert!(MAX_CAPS < 1 << CAPS_BITS);
const _: () = assert!(PARTS < 1 << USED_BITS);
const _: () = assert!(MAX_NUMBER as u32 == (1 << NUMBER_BITS) - 1);

/// Position of a line in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// The line is the whole message.
    Whole,
    /// The line is the first of several; part 0 of its payload is the number of words of the
    /// message.
    First,
    /// The line is one of the others.
    Next,
}

/// What a line header says about its message: `AT` bits up from the bottom of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineInfo<const AT: u32>(u32);

impl<const AT: u32> LineInfo<AT> {
    const USED: u32 = AT + CAPS_BITS;
    const KIND: u32 = Self::USED + USED_BITS;
    const NUMBER: u32 = Self::KIND + KIND_BITS;
    /// The bits of this value, and those below it that must be zero.
    const MASK: u32 = u32::MAX >> (u32::BITS - AT - BITS);

    /// Returns the info of a line with `used` parts of payload, of a message with this number and
    /// `caps` capabilities.
    #[inline]
    #[must_use]
    pub const fn new(kind: LineKind, number: u16, used: usize, caps: usize) -> Self {
        let kind = match kind {
            LineKind::Whole => 0,
            LineKind::First => 1,
            LineKind::Next => 2,
        };
        Self(
            (number as u32) << Self::NUMBER
                | kind << Self::KIND
                | (used as u32) << Self::USED
                | (caps as u32) << AT,
        )
    }

    /// Returns the info in a header, unchecked.
    #[inline]
    #[must_use]
    pub const fn from_raw(header: u32) -> Self {
        Self(header & Self::MASK)
    }

    /// Returns the bits of a header.
    #[inline]
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Returns true if the line is a whole message without capabilities, and no reserved bit is
    /// set.
    #[inline]
    #[must_use]
    pub const fn is_plain(self) -> bool {
        self.0 & (((1 << Self::USED) - 1) | (3 << Self::KIND)) == 0
    }

    /// Returns the position of the line in its message.
    ///
    /// # Errors
    /// If the kind is unknown, there are too many capabilities, or reserved bits are set.
    pub const fn kind(self) -> Result<LineKind, ProtocolError> {
        if self.0 & ((1 << AT) - 1) != 0 {
            return Err(ProtocolError::Frame("a line has reserved bits set"));
        }
        if self.caps() > MAX_CAPS {
            return Err(ProtocolError::Frame("a line announces too many capabilities"));
        }
        match self.0 >> Self::KIND & 3 {
            0 => Ok(LineKind::Whole),
            1 => Ok(LineKind::First),
            2 => Ok(LineKind::Next),
            _ => Err(ProtocolError::Frame("a line is of no known kind")),
        }
    }

    /// Message number.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u16 {
        (self.0 >> Self::NUMBER) as u16
    }

    /// Number of parts of payload in use.
    #[inline]
    #[must_use]
    pub const fn used(self) -> usize {
        (self.0 >> Self::USED & 7) as usize
    }

    /// Number of capabilities of the message, in its first line.
    #[inline]
    #[must_use]
    pub const fn caps(self) -> usize {
        (self.0 >> AT & 0x7f) as usize
    }
}

/// Unit of payload: a word of a body, or half of one.
pub(crate) trait PayloadUnit: Copy + Into<u64> {
    /// Units that make a word.
    const OF_A_WORD: usize = size_of::<u64>() / size_of::<Self>();
}

impl PayloadUnit for u64 {}
impl PayloadUnit for u32 {}

impl MessageAssembler {
    /// Checks a line against the current message, which begins or goes on with it. Returns the
    /// units of the body in the line. `left` units of a word remain from the line before.
    pub(crate) fn accept_line<'a, P: PayloadUnit, const AT: u32>(
        &self,
        incoming: &mut Incoming,
        info: LineInfo<AT>,
        payload: &'a [P; PARTS],
        left: usize,
    ) -> Result<&'a [P], ProtocolError> {
        let kind = info.kind()?;
        let (used, rest) = payload.split_at(info.used());
        if rest.iter().any(|part| (*part).into() != 0) {
            return Err(ProtocolError::Frame("the payload after the used part is not zero"));
        }
        match kind {
            LineKind::Whole => {
                self.check_first()?;
                if !used.len().is_multiple_of(P::OF_A_WORD) {
                    return Err(ProtocolError::Frame("a message ends in the middle of a word"));
                }
                incoming.begin(info.number(), used.len() / P::OF_A_WORD, info.caps())?;
                Ok(used)
            }
            LineKind::First => {
                self.check_first()?;
                let total = usize::try_from(payload[0].into()).unwrap_or(usize::MAX);
                if used.len() != PARTS || total <= PARTS / P::OF_A_WORD {
                    return Err(ProtocolError::Frame(
                        "a message that fits in one line comes in several",
                    ));
                }
                incoming.begin(info.number(), total, info.caps())?;
                Ok(&payload[1..])
            }
            LineKind::Next => {
                self.check_next(incoming, info.number(), info.caps())?;
                let missing = P::OF_A_WORD * incoming.missing() - left;
                if used.len() != missing.min(PARTS) {
                    return Err(ProtocolError::Frame(
                        "a line is fuller or emptier than its message needs",
                    ));
                }
                Ok(used)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flounder_conformance::{LIMITS, WakeCounter};

    use super::*;
    use crate::caps::Caps;

    fn there_and_back<const AT: u32>() {
        for kind in [LineKind::Whole, LineKind::First, LineKind::Next] {
            for (number, used, caps) in [(0, 0, 0), (1, 7, 64), (MAX_NUMBER, 3, 1)] {
                let info = LineInfo::<AT>::new(kind, number, used, caps);
                assert_eq!(info.raw() & !LineInfo::<AT>::MASK, 0);
                let above = 1_u32.checked_shl(AT + BITS).unwrap_or(0);
                assert_eq!(LineInfo::<AT>::from_raw(info.raw() | above), info);
                assert_eq!(info.kind(), Ok(kind));
                assert_eq!((info.number(), info.used(), info.caps()), (number, used, caps));
                assert_eq!(info.is_plain(), kind == LineKind::Whole && caps == 0);
            }
        }
    }

    #[test]
    fn header_round_trips() {
        there_and_back::<0>();
        there_and_back::<6>();
    }

    fn every_bad_bit<const AT: u32>() {
        for bit in 0..AT {
            assert!(LineInfo::<AT>::from_raw(1 << bit).kind().is_err());
            assert!(!LineInfo::<AT>::from_raw(1 << bit).is_plain());
        }
        assert!(LineInfo::<AT>::from_raw(3 << (AT + 10)).kind().is_err());
        for caps in 65..=127 {
            assert!(LineInfo::<AT>::from_raw(caps << AT).kind().is_err());
        }
    }

    #[test]
    fn reserved_bits_and_unknown_kinds_are_errors() {
        every_bad_bit::<0>();
        every_bad_bit::<6>();
    }

    #[test]
    fn padding_must_be_zero() {
        let end = WakeCounter::new().1;
        let [caps, _] = Caps::between(&end, &end);
        let assembler = MessageAssembler::new(caps);
        for used in 0..=PARTS {
            for part in 0..PARTS {
                let mut payload = [0; PARTS];
                payload[part] = 1_u64 << 63;
                let info = LineInfo::<6>::new(LineKind::Whole, 1, used, 0);
                let mut incoming = Incoming::new(LIMITS);
                let placed = assembler.accept_line(&mut incoming, info, &payload, 0);
                assert_eq!(placed.is_ok(), part < used, "part {part} of {used}");
            }
        }
    }
}
