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

    /// Returns a line, which is looked up once for all its words.
    ///
    /// # Panics
    /// If there is no such line.
    #[inline(always)]
    fn line(&self, line: usize) -> impl Line
    where
        Self: Sized,
    {
        LineOf { memory: self, line }
    }
}

/// A line to read.
pub trait Line {
    /// Loads one word; `order` is `Relaxed` or `Acquire`.
    ///
    /// # Panics
    /// If there is no such word.
    fn load(&self, word: usize, order: Ordering) -> u64;

    /// Hints that the line `ahead` places behind this one will be read soon.
    #[inline(always)]
    fn will_read(&self, ahead: usize) {
        let _ = ahead;
    }

    /// Copies the first `USED` words of the payload into `into`. Loads each word of the payload once. Returns false if one of
    /// the others is not zero.
    #[inline(always)]
    fn copy<const USED: usize>(&self, into: &mut Payload) -> bool {
        let mut rest = 0;
        for (word, value) in into.iter_mut().enumerate() {
            // SYNC line-publish: ordered by the Acquire of the header that the caller has loaded before.
            let loaded = self.load(word, Ordering::Relaxed);
            if word < USED {
                *value = loaded;
            } else {
                rest |= loaded;
            }
        }
        rest == 0
    }
}

/// A line of a memory, looked up for each word.
struct LineOf<'a, M> {
    memory: &'a M,
    line: usize,
}

impl<M: LineMemory> Line for LineOf<'_, M> {
    #[inline(always)]
    fn load(&self, word: usize, order: Ordering) -> u64 {
        self.memory.load(self.line, word, order)
    }
}

/// Lines to write, of which this is the only writer.
pub trait OwnMemory: LineMemory {
    /// Stores one word.
    ///
    /// # Panics
    /// If the memory has no such word.
    fn store(&self, line: usize, word: usize, value: u64, order: Ordering);

    /// Returns a line to write, which is looked up once for all its words.
    ///
    /// # Panics
    /// If there is no such line.
    fn own_line(&self, line: usize) -> impl OwnLine
    where
        Self: Sized;
}

/// A line to write.
pub trait OwnLine {
    /// Stores one word.
    ///
    /// # Panics
    /// If there is no such word.
    fn store(&self, word: usize, value: u64, order: Ordering);

    /// Hints that the line `ahead` places behind this one will be written soon.
    #[inline(always)]
    fn will_write(&self, ahead: usize) {
        let _ = ahead;
    }

    /// Stores the payload: `words`, at most seven, and zeroes after them.
    ///
    /// # Panics
    /// If there are more words.
    #[inline(always)]
    fn store_words(&self, words: &[u64]) {
        if let Ok(payload) = <&Payload>::try_from(words) {
            return self.store_payload(payload);
        }
        assert!(words.len() < PAYLOAD_WORDS, "a line has seven words");
        // Zeroes first: seven stores in a row are cheaper than finding out where to begin with them.
        self.store_payload(&[0; PAYLOAD_WORDS]);
        for (word, value) in words.iter().enumerate() {
            self.store(word, *value, Ordering::Relaxed);
        }
    }

    /// Stores the payload.
    #[inline(always)]
    fn store_payload(&self, payload: &Payload) {
        for (word, value) in payload.iter().enumerate() {
            // SYNC line-publish: ordered by the Release of the header that the caller stores after.
            self.store(word, *value, Ordering::Relaxed);
        }
    }
}
