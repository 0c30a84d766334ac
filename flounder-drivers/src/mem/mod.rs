//! Memory of 64-byte lines, as a ring uses it.
//!
//! A ring is written once and runs over two memories: [`heap`] (atomics; between threads, in tests,
//! and under loom) and `mapped` (memory shared with another process, behind raw pointers). Both are
//! accessed one 64-bit word at a time, by atomic loads and stores, never through a reference to
//! memory that another process writes: the compiler may assume nothing about its contents.
//!
//! A memory has one writer. The types enforce this ([`OwnMemory`] has stores, [`LineMemory`] has
//! none), and for mapped memory the kernel does, too: `seal` makes regions that only their maker can
//! write, and accepts no others.

pub mod heap;
pub(crate) mod mapped;
pub(crate) mod pool;
#[cfg(not(loom))]
pub mod prefetch;
pub(crate) mod seal;

use crate::sync::{Ordering, fence};

/// Number of 64-bit words in a line.
pub const LINE_WORDS: usize = 8;

/// Number of words of a line besides its header.
pub const PAYLOAD_WORDS: usize = LINE_WORDS - 1;

/// Words of a line besides its header, in private memory.
pub type Payload = [u64; PAYLOAD_WORDS];

/// Returns the tag of the line, or log entry, with this sequence number: new in every lap, and
/// never zero before 2^32 lines.
#[inline]
#[must_use]
pub const fn tag(sequence: u64) -> u32 {
    sequence.wrapping_add(1) as u32
}

/// Gives a relaxed load before this call the ordering `order`, which is `Relaxed` or `Acquire`.
/// Memory that a reader maps read-only has to be loaded like this. All memories are loaded like
/// this, so that a test over one is valid for the others.
#[inline]
pub(crate) fn acquire(order: Ordering) {
    debug_assert!(matches!(order, Ordering::Relaxed | Ordering::Acquire), "the order of a load");
    if order == Ordering::Acquire {
        fence(Ordering::Acquire);
    }
}

/// Lines to read.
pub trait LineMemory {
    /// Returns the number of lines.
    fn lines(&self) -> usize;

    /// Loads one word; `order` is `Relaxed` or `Acquire`.
    ///
    /// # Panics
    /// If the memory has no such word.
    fn load(&self, line: usize, word: usize, order: Ordering) -> u64;

    /// Loads the payload of a line, each word once. Returns the bits of `mask` that are set in it.
    #[inline(always)]
    fn payload(&self, line: usize, into: &mut Payload, mask: &Payload) -> u64 {
        let mut found = 0;
        for (word, (value, mask)) in into.iter_mut().zip(mask).enumerate() {
            // SYNC line-publish: ordered by the Acquire of the header that the caller has loaded before.
            *value = self.load(line, word, Ordering::Relaxed);
            found |= *value & mask;
        }
        found
    }
}

/// Lines to write, of which this is the only writer.
pub trait OwnMemory: LineMemory {
    /// Stores one word.
    ///
    /// # Panics
    /// If the memory has no such word.
    fn store(&self, line: usize, word: usize, value: u64, order: Ordering);

    /// Stores the payload of a line: `words`, at most seven, and zeroes after them.
    ///
    /// # Panics
    /// If there are more words.
    #[inline]
    fn store_words(&self, line: usize, words: &[u64]) {
        if let Ok(payload) = <&Payload>::try_from(words) {
            return self.store_payload(line, payload);
        }
        assert!(words.len() < PAYLOAD_WORDS, "a line has seven words");
        // Zeroes first: seven stores in a row are cheaper than finding out where to begin with them.
        self.store_payload(line, &[0; PAYLOAD_WORDS]);
        for (word, value) in words.iter().enumerate() {
            self.store(line, word, *value, Ordering::Relaxed);
        }
    }

    /// Stores the payload of a line.
    #[inline(always)]
    fn store_payload(&self, line: usize, payload: &Payload) {
        for (word, value) in payload.iter().enumerate() {
            // SYNC line-publish: ordered by the Release of the header that the caller stores after.
            self.store(line, word, *value, Ordering::Relaxed);
        }
    }
}
