//! Lines in memory that is shared with another process.
//!
//! [`MappedOwn`] is the writable mapping of the maker; [`MappedPeer`] is the read-only mapping of a reader.

#![allow(unsafe_code)]
//! # Safety
//! This module owns its mappings: it makes them and unmaps them. A pointer into one leaves it only as a [`WordAddress`],
//! which does not outlive the mapping and through which nothing is accessed.
//! * Every access is of one aligned 64-bit word, atomic, through a pointer; no Rust reference to mapped memory is made
//!   except the `&AtomicU64` that lives for one access. No access has another size, ever.
//! * A reader's mapping is read-only. All its accesses are relaxed loads, which `core::sync::atomic` permits there ("Atomic
//!   accesses to read-only memory"); a load that has to acquire is followed by a fence.
//! * `base` is the start of a mapping of `lines` whole lines that lives as long as the value.
//! * The mapped object can neither shrink nor lose pages: it was made or checked by `seal`, and the constructors are
//!   called for such objects only. So an access never faults.
//! * A forked child has no such mapping (`MADV_DONTFORK`). The channels refuse to work there, and dropping unmaps nothing.
//! * [`pages_in_memory`] passes pointers to two records of its own to one system call.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::num::NonZero;
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicU64;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use crate::mem::seal::{ReaderMapping, WriterMapping};
use crate::mem::{LINE_WORDS, Line, LineMemory, OwnLine, OwnMemory, acquire, prefetch};
use crate::sync::Ordering;
use flounder_rt::fork::ForkGeneration;

/// The maker's mapping, which is writable.
#[derive(Debug)]
pub(crate) struct MappedOwn(Mapping);

/// A reader's mapping, which is read-only.
#[derive(Debug)]
pub(crate) struct MappedPeer(Mapping);

impl WriterMapping for MappedOwn {
    fn map(fd: BorrowedFd<'_>, bytes: usize) -> Result<Self, Errno> {
        Mapping::new(fd, bytes, ProtFlags::READ | ProtFlags::WRITE).map(Self)
    }
}

impl ReaderMapping for MappedPeer {
    fn map(fd: BorrowedFd<'_>, bytes: usize) -> Result<Self, Errno> {
        Mapping::new(fd, bytes, ProtFlags::READ).map(Self)
    }

    fn populate(&self) -> Result<(), Errno> {
        self.0.advise(Advice::LinuxPopulateRead)
    }
}

macro_rules! line_memory {
    ($($end:ty),*) => {$(
        impl $end {
            /// Returns the address of a word, for an instruction on its line.
            #[cfg(feature = "scc")]
            #[inline]
            pub(crate) fn address(&self, line: usize, word: usize) -> WordAddress<'_> {
                self.0.line(line).address(word)
            }
        }

        impl LineMemory for $end {
            #[inline]
            fn lines(&self) -> usize {
                self.0.lines.get()
            }

            #[inline]
            fn load(&self, line: usize, word: usize, order: Ordering) -> u64 {
                self.0.line(line).load(word, order)
            }

            #[inline(always)]
            fn line(&self, line: usize) -> impl Line {
                self.0.line(line)
            }
        }
    )*};
}

line_memory!(MappedOwn, MappedPeer);

impl OwnMemory for MappedOwn {
    #[inline]
    fn store(&self, line: usize, word: usize, value: u64, order: Ordering) {
        self.own_line(line).store(word, value, order);
    }

    #[inline(always)]
    fn own_line(&self, line: usize) -> impl OwnLine {
        MappedOwnLine(self.0.line(line))
    }
}

/// A line of a mapping that is writable: only [`MappedOwn`] makes one.
struct MappedOwnLine<'a>(MappedLine<'a>);

impl OwnLine for MappedOwnLine<'_> {
    #[inline(always)]
    fn store(&self, word: usize, value: u64, order: Ordering) {
        let at = self.0.word(word);
        // SAFETY:
        // * `at` is aligned and inside a live mapping (`MappedLine::word`), which is writable: this line is of a `MappedOwn`,
        //   which was mapped for writing (`MappedOwn::new`).
        // * All accesses to the word are atomic and of this size: ours by this module, the readers' by the wire format.
        // * The reference ends with the statement, before the mapping can.
        let word = unsafe { AtomicU64::from_ptr(at) };
        word.store(value, order);
    }

    #[inline(always)]
    fn will_write(&self, ahead: usize) {
        prefetch::for_writing(self.0.start.wrapping_add(ahead * LINE_WORDS));
    }
}

/// A line of a mapping that lives for `'a`.
struct MappedLine<'a> {
    /// Its first word: aligned, inside the mapping, with the other words of the line behind it.
    start: *mut u64,
    _mapping: PhantomData<&'a Mapping>,
}

impl MappedLine<'_> {
    /// Returns the address of a word: aligned, and inside the mapping.
    #[inline]
    fn word(&self, word: usize) -> *mut u64 {
        assert!(word < LINE_WORDS, "a line has eight words");
        self.start.wrapping_add(word)
    }

    #[cfg(feature = "scc")]
    #[inline]
    fn address<'a>(&self, word: usize) -> WordAddress<'a>
    where
        Self: 'a,
    {
        WordAddress { at: self.word(word), _mapping: PhantomData }
    }
}

impl Line for MappedLine<'_> {
    #[inline]
    fn load(&self, word: usize, order: Ordering) -> u64 {
        let at = self.word(word);
        // SAFETY:
        // * `at` is aligned and inside a live mapping (`word`), which is readable. It may be read-only: the only access is a
        //   relaxed load of 8 bytes, which `core::sync::atomic` allows there ("Atomic accesses to read-only memory").
        // * All accesses to the word are atomic and of this size; what another process does to it is a store by hardware
        //   of which each load sees some whole value, which callers treat as a claim.
        // * The reference ends with the statement, before the mapping can.
        let word = unsafe { AtomicU64::from_ptr(at) };
        let value = word.load(Ordering::Relaxed);
        acquire(order);
        value
    }

    #[inline(always)]
    fn will_read(&self, ahead: usize) {
        prefetch::for_reading(self.start.wrapping_add(ahead * LINE_WORDS));
    }
}

/// The address of a word in a mapping that lives for `'a`. It names a line to the processor;
/// nothing is accessed through it.
#[cfg(feature = "scc")]
// Only the cache instructions of x86-64 read the address.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct WordAddress<'a> {
    at: *const u64,
    _mapping: PhantomData<&'a AtomicU64>,
}

#[cfg(feature = "scc")]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
impl<'a> WordAddress<'a> {
    /// Returns the address of a word in private memory, for tests.
    #[cfg(test)]
    pub(crate) const fn of(word: &'a AtomicU64) -> Self {
        Self { at: word.as_ptr(), _mapping: PhantomData }
    }

    /// Returns the address of a word.
    ///
    /// # Safety
    /// 1. `at` is mapped for as long as `'a`.
    pub(crate) const unsafe fn mapped(at: *const u64) -> Self {
        Self { at, _mapping: PhantomData }
    }

    /// Returns the address, which is mapped for as long as `'a`.
    #[inline]
    pub(crate) const fn as_ptr(self) -> *const u64 {
        self.at
    }
}

#[derive(Debug)]
struct Mapping {
    /// Page-aligned start of `lines` mapped lines.
    base: NonNull<u64>,
    /// Not zero: then the compiler knows that there is a first line.
    lines: NonZero<usize>,
    born: ForkGeneration,
}

// SAFETY:
// * The mapping belongs to the process, not to a thread; the value owns it, and its accesses are atomic.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, bytes: usize, access: ProtFlags) -> Result<Self, Errno> {
        let lines = NonZero::new(bytes / (LINE_WORDS * 8)).ok_or(Errno::INVAL)?;
        let born = ForkGeneration::now();
        // SAFETY:
        // * The address is left to the kernel, so no existing mapping is touched.
        let base = unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, fd, 0)? };
        let base = NonNull::new(base.cast::<u64>()).ok_or(Errno::NOMEM)?;
        let mapping = Self { base, lines, born };
        mapping.advise(Advice::LinuxDontFork)?;
        Ok(mapping)
    }

    /// Gives advice about the whole mapping. The advice must be one that changes no contents.
    fn advise(&self, advice: Advice) -> Result<(), Errno> {
        // SAFETY:
        // * The range is exactly this mapping; `MADV_DONTFORK` and `MADV_POPULATE_READ`, which it is called with, change
        //   nothing that this process can see in it.
        unsafe { madvise(self.start(), self.lines.get() * LINE_WORDS * 8, advice) }
    }

    fn start(&self) -> *mut c_void {
        self.base.as_ptr().cast()
    }

    #[inline]
    fn line(&self, line: usize) -> MappedLine<'_> {
        assert!(line < self.lines.get(), "positions are private and wrap at the last line");
        let start = self.base.as_ptr().wrapping_add(line * LINE_WORDS);
        MappedLine { start, _mapping: PhantomData }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !self.born.is_here() {
            return;
        }
        // SAFETY:
        // * The range is exactly the mapping made in `new`, which this value owns, in the process that made it.
        // * No pointer into it is left: a `WordAddress` borrows this value.
        // A failure would leak the mapping; there is nothing better to do with it.
        let _ = unsafe { munmap(self.start(), self.lines.get() * LINE_WORDS * 8) };
    }
}

/// Number of `cachestat`, the same on all machines.
const CACHESTAT: libc::c_long = 451;

/// Returns the number of pages of the first `bytes` bytes of a file that are in memory. `None` if the kernel does not say,
/// which older ones do not.
pub(crate) fn pages_in_memory(fd: BorrowedFd<'_>, bytes: usize) -> Option<usize> {
    /// `struct cachestat_range`.
    #[repr(C)]
    struct Range {
        offset: u64,
        len: u64,
    }

    /// `struct cachestat`, in pages.
    #[repr(C)]
    #[derive(Default)]
    struct Pages {
        cached: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }

    let range = Range { offset: 0, len: bytes as u64 };
    let mut pages = Pages::default();
    // SAFETY:
    // * Both pointers are to live records of the layout and size that the kernel expects; it reads the first one, writes the
    //   second one, and keeps neither.
    let result =
        unsafe { libc::syscall(CACHESTAT, fd.as_raw_fd(), &raw const range, &raw mut pages, 0) };
    if result == 0 { usize::try_from(pages.cached).ok() } else { None }
}
