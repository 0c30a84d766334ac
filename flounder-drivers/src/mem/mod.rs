//! Memory of 64-byte lines, as a ring sees it.
//!
//! A ring is written once and runs over two memories: [`heap`] (atomics; between threads, in tests, and under loom) and
//! `mapped` (memory shared with another process, behind raw pointers). Both are reached a whole 64-bit word at a time, by
//! atomic loads and stores, never by a reference to what another party writes: the compiler may assume nothing about it.
//!
//! One memory has one writer. That is a property of the types here ([`OwnMemory`] has stores, [`LineMemory`] has none), and
//! of the kernel for mapped memory: `seal` makes regions that nobody but their maker can write, and takes no others.

pub mod heap;
pub(crate) mod mapped;
pub(crate) mod seal;

use crate::sync::{Ordering, fence};

/// 64-bit words in a line.
pub const LINE_WORDS: usize = 8;

/// Words of a line besides its header.
pub const PAYLOAD_WORDS: usize = LINE_WORDS - 1;

/// The words of a line besides its header, in private memory.
pub type Payload = [u64; PAYLOAD_WORDS];

/// The tag of the line, or entry, with this sequence number: new in every lap, and never zero before 2^32 lines.
#[inline]
#[must_use]
pub const fn tag(sequence: u64) -> u32 {
    sequence.wrapping_add(1) as u32
}

/// Orders a relaxed load before this as a load with `order`, which is `Relaxed` or `Acquire`. Memory that a reader maps
/// read-only must be loaded from like this, and so all memories are: what is tested over one holds over the others.
#[inline]
pub(crate) fn acquire(order: Ordering) {
    debug_assert!(matches!(order, Ordering::Relaxed | Ordering::Acquire), "the order of a load");
    if order == Ordering::Acquire {
        fence(Ordering::Acquire);
    }
}

/// Lines to read.
pub trait LineMemory {
    /// How many lines there are.
    fn lines(&self) -> usize;

    /// Loads one word; `order` is `Relaxed` or `Acquire`.
    ///
    /// # Panics
    /// If there is no such word.
    fn load(&self, line: usize, word: usize, order: Ordering) -> u64;

    /// Loads the payload of a line, each word once, and gives what it has of the bits of `mask`.
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
    /// If there is no such word.
    fn store(&self, line: usize, word: usize, value: u64, order: Ordering);

    /// Stores the payload of a line: these words, at most seven, and zeroes after them.
    ///
    /// # Panics
    /// If there are more.
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
