//! A message as a channel hands it to a binding.

use crate::cap::Cap;
use crate::wire::DecodeError;

/// A received message, in private memory.
#[derive(Debug)]
pub struct Received<'a> {
    /// Message number.
    pub number: u16,
    /// Words of the body.
    pub words: &'a [u64],
    /// Capabilities, in order. The reader takes them out.
    pub caps: &'a mut Vec<Cap>,
}

impl Received<'_> {
    /// Returns the same message, borrowed.
    #[inline]
    pub(crate) fn reborrow(&mut self) -> Received<'_> {
        Received { number: self.number, words: self.words, caps: &mut *self.caps }
    }

    /// Returns the four bytes at offset `at`, where a call or a reply has its id; `None` if the
    /// body is shorter.
    #[inline]
    pub(crate) fn id_at(&self, at: usize) -> Option<u32> {
        self.words.get(at / 8).map(|word| (word >> (at % 8 * 8)) as u32)
    }

    /// Returns the id of the call that this reply answers: it is at byte `at` of a record of `words` words.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if the reply has fewer words.
    #[inline]
    pub(crate) fn reply_id(&self, at: usize, words: usize) -> Result<u32, DecodeError> {
        let have = self.words.len();
        let id = self.id_at(at).filter(|_| have >= words);
        id.ok_or(DecodeError::Short { need: words, have })
    }
}
