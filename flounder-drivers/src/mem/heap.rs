//! Lines in the memory of one process: ordinary atomics, each line on a cache line of its own.
//!
//! The memory of a ring is as large as most allocators return to the kernel at once, which then makes each page anew for the
//! next ring. So a few memories of rings that have ended are kept for the next ones.

use std::sync::Arc;

#[cfg(not(loom))]
use parking_lot::Mutex;

#[cfg(not(loom))]
use crate::mem::prefetch;
use crate::mem::{LINE_WORDS, Line, LineMemory, OwnLine, OwnMemory, acquire};
use crate::sync::{AtomicU64, Ordering};

/// The writer's end of a memory.
#[derive(Debug)]
pub struct HeapOwn(Arc<[HeapLine]>);

/// A reader's end of a memory.
#[derive(Debug, Clone)]
pub struct HeapPeer(Arc<[HeapLine]>);

#[derive(Debug)]
#[repr(align(64))]
struct HeapLine([AtomicU64; LINE_WORDS]);

/// Returns a memory of `lines` lines of zeroes, for one writer and its readers.
#[must_use]
pub fn allocate(lines: usize) -> (HeapOwn, HeapPeer) {
    #[cfg(not(loom))]
    let spare = SPARES.take(lines);
    #[cfg(loom)]
    let spare = None;
    let lines = spare.unwrap_or_else(|| fresh(lines));
    (HeapOwn(Arc::clone(&lines)), HeapPeer(lines))
}

fn fresh(lines: usize) -> Arc<[HeapLine]> {
    (0..lines).map(|_| HeapLine(core::array::from_fn(|_| AtomicU64::new(0)))).collect()
}

/// Maximum number of memories that are kept.
#[cfg(not(loom))]
const MAX_SPARES: usize = 8;

/// Number of lines of the largest memory that is kept: 64 KiB.
#[cfg(not(loom))]
const MAX_SPARE_LINES: usize = 1024;

/// Memories of rings that have ended.
#[cfg(not(loom))]
static SPARES: Spares = Spares(Mutex::new(Vec::new()));

/// Memories without an end, the one that was kept last at the end.
///
/// Nobody waits for the lock, which may be held for ever in a forked child: without it, memory is allocated and freed.
#[cfg(not(loom))]
struct Spares(Mutex<Vec<Arc<[HeapLine]>>>);

#[cfg(not(loom))]
impl Spares {
    /// Returns a memory of `lines` lines, zeroed.
    fn take(&self, lines: usize) -> Option<Arc<[HeapLine]>> {
        let mut spare = {
            let mut spares = self.0.try_lock()?;
            let at = spares.iter().rposition(|spare| spare.len() == lines)?;
            spares.remove(at)
        };
        for line in Arc::get_mut(&mut spare)? {
            line.0 = core::array::from_fn(|_| AtomicU64::new(0));
        }
        Some(spare)
    }

    /// Keeps a memory whose last end this is.
    fn keep(&self, memory: &mut Arc<[HeapLine]>) {
        // Two last ends that are dropped at once see each other. Then the memory is freed.
        if memory.len() > MAX_SPARE_LINES || Arc::get_mut(memory).is_none() {
            return;
        }
        let Some(mut spares) = self.0.try_lock() else { return };
        let oldest = (spares.len() == MAX_SPARES).then(|| spares.remove(0));
        spares.push(Arc::clone(memory));
        drop(spares);
        drop(oldest);
    }
}

#[cfg(not(loom))]
impl Drop for HeapOwn {
    fn drop(&mut self) {
        SPARES.keep(&mut self.0);
    }
}

#[cfg(not(loom))]
impl Drop for HeapPeer {
    fn drop(&mut self) {
        SPARES.keep(&mut self.0);
    }
}

macro_rules! line_memory {
    ($($end:ty),*) => {$(
        impl LineMemory for $end {
            #[inline]
            fn lines(&self) -> usize {
                self.0.len()
            }

            #[inline]
            fn load(&self, line: usize, word: usize, order: Ordering) -> u64 {
                self.line(line).load(word, order)
            }

            #[inline(always)]
            fn line(&self, line: usize) -> impl Line {
                &self.0[line]
            }
        }
    )*};
}

line_memory!(HeapOwn, HeapPeer);

impl Line for &HeapLine {
    #[inline]
    fn load(&self, word: usize, order: Ordering) -> u64 {
        let value = self.0[word].load(Ordering::Relaxed);
        acquire(order);
        value
    }

    #[cfg(not(loom))]
    #[inline(always)]
    fn will_read(&self, ahead: usize) {
        prefetch::for_reading(self.0.as_ptr().wrapping_add(ahead * LINE_WORDS));
    }
}

impl OwnMemory for HeapOwn {
    #[inline]
    fn store(&self, line: usize, word: usize, value: u64, order: Ordering) {
        self.own_line(line).store(word, value, order);
    }

    #[inline(always)]
    fn own_line(&self, line: usize) -> impl OwnLine {
        &self.0[line]
    }
}

impl OwnLine for &HeapLine {
    #[inline(always)]
    fn store(&self, word: usize, value: u64, order: Ordering) {
        self.0[word].store(value, order);
    }

    #[cfg(not(loom))]
    #[inline(always)]
    fn will_write(&self, ahead: usize) {
        prefetch::for_writing(self.0.as_ptr().wrapping_add(ahead * LINE_WORDS));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_without_ends_and_zeroed() {
        let spares = Spares(Mutex::new(Vec::new()));
        let mut memory = fresh(3);
        memory[2].0[7].store(5, Ordering::Relaxed);
        let (at, end) = (memory.as_ptr(), Arc::clone(&memory));
        spares.keep(&mut memory);
        assert!(spares.take(3).is_none(), "an end is left");
        drop(end);
        spares.keep(&mut memory);
        drop(memory);
        assert!(spares.take(2).is_none(), "it has another size");
        let again = spares.take(3).expect("it was kept");
        assert_eq!((again.as_ptr(), again[2].0[7].load(Ordering::Relaxed)), (at, 0));
    }

    #[test]
    fn few_memories_are_kept() {
        let spares = Spares(Mutex::new(Vec::new()));
        (0..=MAX_SPARES).for_each(|more| spares.keep(&mut fresh(1 + more)));
        assert!(spares.take(1).is_none(), "the oldest makes room");
        assert!((0..MAX_SPARES).all(|more| spares.take(2 + more).is_some()));
        spares.keep(&mut fresh(MAX_SPARE_LINES + 1));
        assert!(spares.take(MAX_SPARE_LINES + 1).is_none());
    }
}
