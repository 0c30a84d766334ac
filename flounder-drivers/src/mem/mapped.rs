//! Lines in memory that another process sees too.
//!
//! [`MappedOwn`] is mapped for writing in its maker; [`MappedPeer`] is what a reader has of it, mapped read-only.

#![allow(unsafe_code)]
//! # Safety
//! This module owns its mappings: it makes them, it unmaps them, and no pointer into one leaves it.
//! * Every access is of one aligned 64-bit word, atomic, through a pointer; no Rust reference to mapped memory is made
//!   except the `&AtomicU64` that lives for one access. No access has another size, ever.
//! * `base` is the start of a mapping of `lines` whole lines that lives as long as the value.
//! * The mapped object can neither shrink nor lose pages under us: it was made or checked by `seal`, which is the only
//!   caller of the constructors. So an access never faults.
//! * A forked child has no such mapping (`MADV_DONTFORK`). The channels refuse to work there, and dropping unmaps nothing.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicU64;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use crate::fork::Born;
use crate::mem::{LINE_WORDS, LineMemory, OwnMemory, Payload};
use crate::sync::Ordering;

/// The maker's mapping.
#[derive(Debug)]
pub(crate) struct MappedOwn(Mapping);

/// A reader's mapping.
#[derive(Debug)]
pub(crate) struct MappedPeer(Mapping);

impl MappedOwn {
    /// Maps the first `bytes` bytes of a memfd that `seal` has just made.
    pub(super) fn new(fd: BorrowedFd<'_>, bytes: usize) -> Result<Self, Errno> {
        Mapping::new(fd, bytes, ProtFlags::READ | ProtFlags::WRITE).map(Self)
    }
}

impl MappedPeer {
    /// Maps the first `bytes` bytes of a memfd that `seal` has just checked.
    pub(super) fn new(fd: BorrowedFd<'_>, bytes: usize) -> Result<Self, Errno> {
        Mapping::new(fd, bytes, ProtFlags::READ).map(Self)
    }
}

macro_rules! line_memory {
    ($($end:ty),*) => {$(
        impl $end {
            /// Lends a word to an instruction on its line, which must not store.
            #[inline]
            pub(crate) fn with_word(&self, line: usize, word: usize, on: impl FnOnce(&AtomicU64)) {
                self.0.line(line).with_word(word, on);
            }
        }

        impl LineMemory for $end {
            #[inline]
            fn lines(&self) -> usize {
                self.0.lines
            }

            #[inline]
            fn load(&self, line: usize, word: usize, order: Ordering) -> u64 {
                self.0.line(line).load(word, order)
            }

            #[inline(always)]
            fn payload(&self, line: usize, into: &mut Payload, mask: &Payload) -> u64 {
                let (line, mut found) = (self.0.line(line), 0);
                for (word, (value, mask)) in into.iter_mut().zip(mask).enumerate() {
                    // SYNC line-publish: as in the trait.
                    *value = line.load(word, Ordering::Relaxed);
                    found |= *value & mask;
                }
                found
            }
        }
    )*};
}

line_memory!(MappedOwn, MappedPeer);

impl OwnMemory for MappedOwn {
    #[inline]
    fn store(&self, line: usize, word: usize, value: u64, order: Ordering) {
        self.store_in(&self.0.line(line), word, value, order);
    }

    #[inline(always)]
    fn store_payload(&self, line: usize, payload: &Payload) {
        let line = self.0.line(line);
        for (word, value) in payload.iter().enumerate() {
            // SYNC line-publish: as in the trait.
            self.store_in(&line, word, *value, Ordering::Relaxed);
        }
    }
}

impl MappedOwn {
    /// Stores into a line of this mapping.
    #[inline]
    fn store_in(&self, line: &Line<'_>, word: usize, value: u64, order: Ordering) {
        let at = line.word(word);
        // SAFETY:
        // * `at` is aligned and inside a live mapping (`Line::word`), which is writable: lines are only handed here from
        //   `self.0`, which `MappedOwn::new` has mapped for writing.
        // * All accesses to the word are atomic and of this size: ours by this module, the readers' by the wire format.
        // * The reference ends with the statement, before the mapping can.
        let word = unsafe { AtomicU64::from_ptr(at) };
        word.store(value, order);
    }
}

/// A line of a mapping, which outlives it.
struct Line<'a> {
    /// Its first word: aligned, inside the mapping, and with the others of the line behind it.
    start: *mut u64,
    _mapping: PhantomData<&'a Mapping>,
}

impl Line<'_> {
    /// Where a word is: aligned, and inside the mapping.
    #[inline]
    fn word(&self, word: usize) -> *mut u64 {
        assert!(word < LINE_WORDS, "a line has eight words");
        self.start.wrapping_add(word)
    }

    #[inline]
    fn load(&self, word: usize, order: Ordering) -> u64 {
        self.with_word(word, |word| word.load(order))
    }

    #[inline]
    fn with_word<T>(&self, word: usize, on: impl FnOnce(&AtomicU64) -> T) -> T {
        let at = self.word(word);
        // SAFETY:
        // * `at` is aligned and inside a live mapping (`word`), which is readable; what it is lent to loads, or tells the
        //   caches about the line, and does not store.
        // * All accesses to the word are atomic and of this size; what another process does to it is a store by hardware
        //   of which each load sees some whole value, which callers treat as a claim.
        // * The reference ends with the statement, before the mapping can.
        on(unsafe { AtomicU64::from_ptr(at) })
    }
}

#[derive(Debug)]
struct Mapping {
    /// Page-aligned start of `lines` mapped lines.
    base: NonNull<u64>,
    lines: usize,
    born: Born,
}

// SAFETY:
// * The mapping belongs to the process, not to a thread; the value owns it, and its accesses are atomic.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, bytes: usize, access: ProtFlags) -> Result<Self, Errno> {
        let born = Born::now();
        // SAFETY:
        // * The address is left to the kernel, so no existing mapping is touched.
        let base = unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, fd, 0)? };
        let base = NonNull::new(base.cast::<u64>()).ok_or(Errno::NOMEM)?;
        let mapping = Self { base, lines: bytes / (LINE_WORDS * 8), born };
        // SAFETY:
        // * The range is the mapping just made; `MADV_DONTFORK` changes nothing in this process.
        unsafe { madvise(mapping.start(), bytes, Advice::LinuxDontFork)? };
        Ok(mapping)
    }

    fn start(&self) -> *mut c_void {
        self.base.as_ptr().cast()
    }

    #[inline]
    fn line(&self, line: usize) -> Line<'_> {
        assert!(line < self.lines, "positions are private and wrap at the last line");
        let start = self.base.as_ptr().wrapping_add(line * LINE_WORDS);
        Line { start, _mapping: PhantomData }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !self.born.is_here() {
            return;
        }
        // SAFETY:
        // * The range is exactly the mapping made in `new`, which this value owns, in the process that made it.
        // * No pointer into it is left: none leaves this module.
        // A failure would leak the mapping; there is nothing better to do with it.
        let _ = unsafe { munmap(self.start(), self.lines * LINE_WORDS * 8) };
    }
}
