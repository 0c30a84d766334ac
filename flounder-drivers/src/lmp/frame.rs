//! Frames: the content of one datagram of lmp.
//!
//! ```text
//!          63            32 31  24 23 21 20    14 13        0
//! word 0 | payload words  | kind | zero |  caps  |  message  |
//! word 1 | first frame: words of the message; next frames: words sent before; close: zero |
//! then the payload
//! ```

use flounder_rt::channel::{MAX_CAPS, MAX_NUMBER, ProtocolError};

/// Number of words of a frame before its payload.
pub(super) const HEADER_WORDS: usize = 2;

/// Maximum number of words of a frame with its header: 32 KiB.
///
/// Measured per byte, frames of twice the size took a fifth less processor time, and frames of half
/// the size a quarter more. Larger frames would need more of the socket kept free for the last
/// frame.
pub(super) const MAX_WORDS: usize = (32 << 10) / 8;

/// Maximum number of words of payload.
pub(super) const MAX_PAYLOAD: usize = MAX_WORDS - HEADER_WORDS;

const FIRST: u64 = 1;
const NEXT: u64 = 2;
const CLOSE: u64 = 3;

/// Kind of a frame, with the fields of its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// The first part of a message, or all of it.
    First { number: u16, caps: usize, total: usize },
    /// A further part of the message of the previous frame.
    Next { number: u16, from: usize },
    /// The last frame: the sender has closed its end.
    Close,
}

impl Frame {
    /// Returns the header of a frame with `payload` words of payload.
    pub(super) const fn header(self, payload: usize) -> [u64; HEADER_WORDS] {
        let (kind, number, caps, second) = match self {
            Self::First { number, caps, total } => (FIRST, number, caps, total),
            Self::Next { number, from } => (NEXT, number, 0, from),
            Self::Close => (CLOSE, 0, 0, 0),
        };
        [(payload as u64) << 32 | kind << 24 | (caps as u64) << 14 | number as u64, second as u64]
    }

    /// Returns the frame in a datagram, and its payload.
    ///
    /// # Errors
    /// If the datagram is not a frame.
    pub(super) fn parse(datagram: &[u64]) -> Result<(Self, &[u64]), ProtocolError> {
        let [first, second, payload @ ..] = datagram else {
            return Err(ProtocolError::Frame("a frame has no header"));
        };
        if first >> 32 != payload.len() as u64 {
            return Err(ProtocolError::Frame("a frame is not as long as it says"));
        }
        let number = (first & u64::from(MAX_NUMBER)) as u16;
        let caps = (first >> 14 & 0x7f) as usize;
        if first >> 21 & 7 != 0 {
            return Err(ProtocolError::Frame("a frame has reserved bits set"));
        }
        if caps > MAX_CAPS {
            return Err(ProtocolError::Frame("a frame announces too many capabilities"));
        }
        let second = usize::try_from(*second).unwrap_or(usize::MAX);
        let frame = match first >> 24 & 0xff {
            FIRST => Self::First { number, caps, total: second },
            NEXT if caps == 0 => Self::Next { number, from: second },
            CLOSE if (number, caps, second, payload.len()) == (0, 0, 0, 0) => Self::Close,
            _ => return Err(ProtocolError::Frame("a frame is of no known kind")),
        };
        Ok((frame, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_round_trips() {
        for frame in [
            Frame::First { number: MAX_NUMBER, caps: MAX_CAPS, total: 1 << 40 },
            Frame::Next { number: 7, from: 4094 },
            Frame::Close,
        ] {
            let payload: &[u64] = if frame == Frame::Close { &[] } else { &[5, 6] };
            let datagram = [&frame.header(payload.len())[..], payload].concat();
            assert_eq!(Frame::parse(&datagram), Ok((frame, payload)));
        }
    }

    /// The example of `docs/wire.md`.
    #[test]
    fn the_documented_frame() {
        assert_eq!(
            Frame::First { number: 5, caps: 2, total: 1 }.header(1),
            [0x0000_0001_0100_8005, 1]
        );
    }

    #[test]
    fn bad_frames_are_refused() {
        let good = Frame::Next { number: 1, from: 9 }.header(0);
        assert!(Frame::parse(&good).is_ok());
        for bad in [
            vec![],
            vec![good[0]],
            vec![good[0], 9, 1],
            vec![good[0] | 1 << 14, 9],
            vec![good[0] | 1 << 21, 9],
            vec![good[0] | 0xff << 24, 9],
            vec![Frame::Close.header(0)[0] | 1, 0],
            vec![Frame::First { number: 1, caps: 65, total: 1 }.header(0)[0], 1],
        ] {
            assert!(matches!(Frame::parse(&bad), Err(ProtocolError::Frame(_))), "{bad:x?}");
        }
    }
}
