//! What the runtimes of the two ends report to each other: messages of number 0, a few words each. `docs/wire.md` has the
//! format.

use super::message::Owned;
use crate::binding::Refusal;
use crate::channel::{CapRefusal, RUNTIME_MESSAGE};
use crate::wire::TooLong;

const NO_REPLY: u64 = 1;
const CAPS_REFUSED: u64 = 2;
const CANCELLED: u64 = 3;
// 4 to 7 are about bulk data: see `binding/bulk.rs`.
const NO_REPLY_BECAUSE: u64 = 8;

/// Reasons of `NO_REPLY_BECAUSE`.
const PANICKED: u64 = 1;
const FAILED: u64 = 2;
const CLOSED: u64 = 3;
const TOO_LONG: u64 = 4;
const REFUSED: u64 = 5;

/// A report to the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::binding) enum Notice {
    /// This call of the receiver gets no reply.
    NoReply(u32, NoReply),
    /// A message between the two is lost, because its capabilities were refused. With the id of a call of the receiver if
    /// the message was that call or the reply to it.
    CapsRefused(CapRefusal, Option<u32>),
    /// The sender has given up this call of its own.
    Cancelled(u32),
}

/// Why a call gets no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoReply {
    /// The reply was dropped, or the two runtimes have not agreed on reasons.
    Dropped,
    /// The handler panicked.
    Panicked,
    /// The asynchronous handler returned an error.
    Failed,
    /// The end of the service closes.
    Closed,
    /// A value of the reply is over its maximum.
    TooLong {
        /// Number of the reply message.
        number: u16,
        /// Index of the argument in the record, where the id of the call is 0.
        argument: u16,
        /// Length and maximum.
        length: TooLong,
    },
    /// The handler refused the call.
    Refused(Refusal),
}

impl Notice {
    pub(super) fn parse(words: &[u64]) -> Option<Self> {
        let number = |word: u64| u32::try_from(word).ok();
        Some(match *words {
            [NO_REPLY, call] => Self::NoReply(number(call)?, NoReply::Dropped),
            [NO_REPLY_BECAUSE, call, ref why @ ..] => {
                Self::NoReply(number(call)?, NoReply::parse(why)?)
            }
            [CANCELLED, call] => Self::Cancelled(number(call)?),
            [CAPS_REFUSED, code] => Self::CapsRefused(CapRefusal::from_code(number(code)?)?, None),
            [CAPS_REFUSED, code, call] => {
                Self::CapsRefused(CapRefusal::from_code(number(code)?)?, Some(number(call)?))
            }
            _ => return None,
        })
    }

    fn words(&self) -> Vec<u64> {
        match *self {
            Self::NoReply(call, NoReply::Dropped) => vec![NO_REPLY, call.into()],
            Self::NoReply(call, ref why) => {
                let mut words = vec![NO_REPLY_BECAUSE, call.into()];
                why.put(&mut words);
                words
            }
            Self::Cancelled(call) => vec![CANCELLED, call.into()],
            Self::CapsRefused(refusal, None) => vec![CAPS_REFUSED, refusal.code().into()],
            Self::CapsRefused(refusal, Some(call)) => {
                vec![CAPS_REFUSED, refusal.code().into(), call.into()]
            }
        }
    }

    /// Returns the notice as a message.
    pub(super) fn into_owned(self) -> Owned {
        Owned { number: RUNTIME_MESSAGE, words: self.words(), ..Owned::default() }
    }
}

impl NoReply {
    /// Reads a reason other than [`NoReply::Dropped`].
    fn parse(words: &[u64]) -> Option<Self> {
        Some(match *words {
            [PANICKED] => Self::Panicked,
            [FAILED] => Self::Failed,
            [CLOSED] => Self::Closed,
            [TOO_LONG, number, argument, len, max] => {
                let length = TooLong { len: usize::try_from(len).ok()?, max: max.try_into().ok()? };
                let is_over = length.len > length.max as usize;
                let [number, argument] = [number, argument].map(u16::try_from);
                let (number, argument) = (number.ok()?, argument.ok()?);
                is_over.then_some(Self::TooLong { number, argument, length })?
            }
            [REFUSED, code, len, ref text @ ..] => {
                let len = usize::try_from(len).ok().filter(|len| *len <= Refusal::MAX_REASON)?;
                let mut bytes: Vec<_> = text.iter().flat_map(|word| word.to_le_bytes()).collect();
                let padding = bytes.get(len..).filter(|_| text.len() == len.div_ceil(8))?;
                if padding.iter().any(|byte| *byte != 0) {
                    return None;
                }
                bytes.truncate(len);
                Self::Refused(Refusal::new(code, String::from_utf8(bytes).ok()?))
            }
            _ => return None,
        })
    }

    fn put(&self, words: &mut Vec<u64>) {
        match self {
            Self::Dropped => {}
            Self::Panicked => words.push(PANICKED),
            Self::Failed => words.push(FAILED),
            Self::Closed => words.push(CLOSED),
            Self::TooLong { number, argument, length } => {
                let (number, argument) = (u64::from(*number), u64::from(*argument));
                words.extend([TOO_LONG, number, argument, length.len as u64, length.max.into()]);
            }
            Self::Refused(Refusal { code, reason }) => {
                let mut end = reason.len().min(Refusal::MAX_REASON);
                while !reason.is_char_boundary(end) {
                    end -= 1;
                }
                let text = &reason[..end];
                words.extend([REFUSED, *code, text.len() as u64]);
                words.extend(text.as_bytes().chunks(8).map(|chunk| {
                    let mut word = [0; 8];
                    word[..chunk.len()].copy_from_slice(chunk);
                    u64::from_le_bytes(word)
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons() -> Vec<NoReply> {
        let length = TooLong { len: usize::MAX, max: u32::MAX };
        let texts = ["", "1234567", "12345678", "123456789", "ä😀", &"x".repeat(256)];
        let refused = texts.map(|text| NoReply::Refused(Refusal::new(u64::MAX, text)));
        let mut reasons = Vec::from(refused);
        reasons.extend([NoReply::Panicked, NoReply::Failed, NoReply::Closed, NoReply::Dropped]);
        reasons.push(NoReply::TooLong { number: u16::MAX, argument: 0, length });
        reasons
    }

    #[test]
    fn notices_survive_the_wire() {
        let refusals = (1..).map_while(CapRefusal::from_code);
        let mut notices = vec![Notice::Cancelled(0), Notice::Cancelled(u32::MAX)];
        for why in reasons() {
            notices.extend([0, u32::MAX].map(|call| Notice::NoReply(call, why.clone())));
        }
        for refusal in refusals {
            notices.extend([None, Some(0), Some(7)].map(|call| Notice::CapsRefused(refusal, call)));
        }
        assert_eq!(notices.len(), 2 + 11 * 2 + 5 * 3);
        for notice in notices {
            let words = notice.clone().into_owned().words;
            assert_eq!(Notice::parse(&words), Some(notice));
        }
    }

    #[test]
    fn reason_is_cut_between_characters() {
        let long = NoReply::Refused(Refusal::new(1, "ä".repeat(100) + "xxx" + &"ä".repeat(100)));
        let words = Notice::NoReply(7, long).into_owned().words;
        assert_eq!(words.len(), 5 + 256_usize.div_ceil(8));
        let Some(Notice::NoReply(7, NoReply::Refused(refusal))) = Notice::parse(&words) else {
            panic!("{words:?}");
        };
        assert_eq!(refusal.reason, "ä".repeat(100) + "xxx" + &"ä".repeat(26));
    }

    #[test]
    fn nonsense_is_no_notice() {
        let wide = u64::from(u32::MAX) + 1;
        let long = [&[8, 1, 5, 0, 257][..], &[u64::from_le_bytes(*b"xxxxxxxx"); 33]].concat();
        for words in [
            &[][..],
            &[0],
            &[1],
            &[1, wide],
            &[1, 2, 3],
            &[2],
            &[2, 0],
            &[2, 6],
            &[2, wide + 1],
            &[2, 1, wide],
            &[2, 1, 2, 3],
            &[3],
            &[3, wide],
            &[3, 1, 2],
            &[4, 1],
            &[8],
            &[8, 1],
            &[8, wide, 1],
            &[8, 1, 0],
            &[8, 1, 1, 1],
            &[8, 1, 6],
            // Not too long; numbers that are none; a word more or less.
            &[8, 1, 4, 2, 1, 7, 7],
            &[8, 1, 4, 65_536, 1, 8, 7],
            &[8, 1, 4, 2, 65_536, 8, 7],
            &[8, 1, 4, 2, 1, u64::MAX, wide],
            &[8, 1, 4, 2, 1, 8],
            &[8, 1, 4, 2, 1, 8, 7, 0],
            // Text that is too short, too long, padded, not UTF-8.
            &[8, 1, 5, 0],
            &[8, 1, 5, 0, 1],
            &[8, 1, 5, 0, 0, 0],
            &[8, 1, 5, 0, 8, 0x6161_6161_6161_6161, 0],
            &[8, 1, 5, 0, 1, 0x6161],
            &[8, 1, 5, 0, 1, 0xff],
            &[8, 1, 5, 0, u64::MAX, 0],
            &long,
        ] {
            assert_eq!(Notice::parse(words), None, "{words:?}");
        }
    }
}
