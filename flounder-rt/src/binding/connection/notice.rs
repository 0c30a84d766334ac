//! What the runtimes of the two ends report to each other: messages of number 0, a few words each. `docs/wire.md` has the
//! format.

use super::message::Owned;
use crate::channel::{CapRefusal, RUNTIME_MESSAGE};

const NO_REPLY: u64 = 1;
const CAPS_REFUSED: u64 = 2;
const CANCELLED: u64 = 3;

/// Words of the longest notice.
const WORDS: usize = 3;

/// A report to the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::binding) enum Notice {
    /// This call of the receiver gets no reply.
    NoReply(u32),
    /// A message between the two is lost, because its capabilities were refused. With the id of a call of the receiver if
    /// the message was that call or the reply to it.
    CapsRefused(CapRefusal, Option<u32>),
    /// The sender has given up this call of its own.
    Cancelled(u32),
}

impl Notice {
    pub(super) fn parse(words: &[u64]) -> Option<Self> {
        let number = |word: u64| u32::try_from(word).ok();
        Some(match *words {
            [NO_REPLY, call] => Self::NoReply(number(call)?),
            [CANCELLED, call] => Self::Cancelled(number(call)?),
            [CAPS_REFUSED, code] => Self::CapsRefused(CapRefusal::from_code(number(code)?)?, None),
            [CAPS_REFUSED, code, call] => {
                Self::CapsRefused(CapRefusal::from_code(number(code)?)?, Some(number(call)?))
            }
            _ => return None,
        })
    }

    /// Returns the words, and how many they are.
    pub(in crate::binding) fn words(self) -> ([u64; WORDS], usize) {
        match self {
            Self::NoReply(call) => ([NO_REPLY, call.into(), 0], 2),
            Self::Cancelled(call) => ([CANCELLED, call.into(), 0], 2),
            Self::CapsRefused(refusal, None) => ([CAPS_REFUSED, refusal.code().into(), 0], 2),
            Self::CapsRefused(refusal, Some(call)) => {
                ([CAPS_REFUSED, refusal.code().into(), call.into()], 3)
            }
        }
    }

    /// Returns the notice as a message.
    pub(super) fn into_owned(self) -> Owned {
        let (words, used) = self.words();
        Owned { number: RUNTIME_MESSAGE, words: words[..used].to_vec(), ..Owned::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_survive_the_wire() {
        let refusals = (1..).map_while(CapRefusal::from_code);
        let mut notices = vec![Notice::NoReply(0), Notice::NoReply(u32::MAX)];
        notices.extend([Notice::Cancelled(0), Notice::Cancelled(u32::MAX)]);
        for refusal in refusals {
            notices.extend([None, Some(0), Some(7)].map(|call| Notice::CapsRefused(refusal, call)));
        }
        assert_eq!(notices.len(), 4 + 5 * 3);
        for notice in notices {
            assert_eq!(Notice::parse(&notice.into_owned().words), Some(notice));
        }
    }

    #[test]
    fn nonsense_is_no_notice() {
        let wide = u64::from(u32::MAX) + 1;
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
        ] {
            assert_eq!(Notice::parse(words), None, "{words:?}");
        }
    }
}
