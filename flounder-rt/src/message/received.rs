//! A message as a channel hands it to a binding.

use crate::cap::Cap;

/// A message that has come, in private memory.
#[derive(Debug)]
pub struct Received<'a> {
    /// Its number.
    pub number: u16,
    /// Its words.
    pub words: &'a [u64],
    /// Its capabilities, to be taken out.
    pub caps: &'a mut Vec<Cap>,
}

impl Received<'_> {
    /// The four bytes at offset `at`, where a call or a reply has its id.
    #[inline]
    pub(crate) fn id_at(&self, at: usize) -> Option<u32> {
        self.words.get(at / 8).map(|word| (word >> (at % 8 * 8)) as u32)
    }
}
