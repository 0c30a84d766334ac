//! Lines in the memory of one process: ordinary atomics, each line on a cache line of its own.

use std::sync::Arc;

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
    let lines: Arc<[HeapLine]> =
        (0..lines).map(|_| HeapLine(core::array::from_fn(|_| AtomicU64::new(0)))).collect();
    (HeapOwn(Arc::clone(&lines)), HeapPeer(lines))
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
