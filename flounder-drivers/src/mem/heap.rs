//! Lines in the memory of one process: ordinary atomics, each line on a cache line of its own.

use std::sync::Arc;

use crate::mem::{LINE_WORDS, LineMemory, OwnMemory, Payload, acquire};
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
                let value = self.0[line].0[word].load(Ordering::Relaxed);
                acquire(order);
                value
            }

            #[inline(always)]
            fn payload(&self, line: usize, into: &mut Payload, mask: &Payload) -> u64 {
                let mut found = 0;
                for (word, (value, mask)) in self.0[line].0.iter().zip(into.iter_mut().zip(mask)) {
                    // SYNC line-publish: as in the trait.
                    *value = word.load(Ordering::Relaxed);
                    found |= *value & mask;
                }
                found
            }
        }
    )*};
}

line_memory!(HeapOwn, HeapPeer);

impl OwnMemory for HeapOwn {
    #[inline]
    fn store(&self, line: usize, word: usize, value: u64, order: Ordering) {
        self.0[line].0[word].store(value, order);
    }

    #[inline(always)]
    fn store_payload(&self, line: usize, payload: &Payload) {
        for (word, value) in self.0[line].0.iter().zip(payload) {
            word.store(*value, Ordering::Relaxed);
        }
    }
}
