//! Sealed regions of shared memory (`docs/wire.md`, "Offer of a bind").

#![allow(unsafe_code)]
//! # Safety
//! A [`Region`] owns one mapping of its own memfd, [`ReadOnly`] one of another's; both unmap it when they are dropped. Words
//! are read and written by volatile accesses at checked, aligned offsets; no reference into the memory is made.

use std::num::NonZero;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};

use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// The seals of a region.
pub const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE);

/// A region that this process writes.
#[derive(Debug)]
pub struct Region {
    /// The memfd, to be sent.
    pub fd: OwnedFd,
    map: Map,
}

impl Region {
    /// Creates a region of this many pages with these first words, seals it, and keeps it mapped.
    ///
    /// # Panics
    /// If a system call fails.
    #[must_use]
    pub fn new(pages: usize, words: &[u64]) -> Self {
        let fd = unsealed(pages);
        fallocate(&fd, FallocateFlags::empty(), 0, (pages * PAGE) as u64).expect("memory");
        let map = Map::new(&fd, pages, ProtFlags::READ | ProtFlags::WRITE);
        let region = Self { fd, map };
        words.iter().enumerate().for_each(|(at, word)| region.store(at, *word));
        fcntl_add_seals(&region.fd, SEALS).expect("seals");
        region
    }

    /// Stores a word, after all words stored before.
    ///
    /// # Panics
    /// If it lies outside.
    pub fn store(&self, at: usize, word: u64) {
        fence(Ordering::Release);
        let place = self.map.word(at);
        // SAFETY:
        // * `word` has checked that `at` lies in the mapping, which is writable here and lives as long as `self`; it is
        //   aligned, being a multiple of 8 bytes from the start of a page. Other processes read it concurrently, which a
        //   volatile store of one machine word allows on the machines that this test runs on.
        unsafe { place.write_volatile(word) };
    }
}

/// Creates a memfd of this many pages that can be sealed, but is neither allocated nor sealed.
///
/// # Panics
/// If a system call fails.
#[must_use]
pub fn unsealed(pages: usize) -> OwnedFd {
    let fd = memfd_create("peer", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
    let fd = fd.expect("a descriptor");
    ftruncate(&fd, (pages * PAGE) as u64).expect("room");
    fd
}

/// A region that another process writes.
#[derive(Debug)]
pub struct ReadOnly {
    map: Map,
}

impl ReadOnly {
    /// Maps a region that was received.
    ///
    /// # Panics
    /// If it can't be mapped.
    #[must_use]
    pub fn new(fd: &OwnedFd) -> Self {
        let bytes = rustix::fs::fstat(fd).expect("stat").st_size;
        let pages = usize::try_from(bytes).expect("a size") / PAGE;
        Self { map: Map::new(fd, pages, ProtFlags::READ) }
    }

    /// Words of the region.
    #[must_use]
    pub const fn words(&self) -> usize {
        self.map.words
    }

    /// Loads a word, before all words loaded later.
    ///
    /// # Panics
    /// If it lies outside.
    #[must_use]
    pub fn load(&self, at: usize) -> u64 {
        let place = self.map.word(at);
        // SAFETY:
        // * As in `Region::store`, for reading.
        let word = unsafe { place.read_volatile() };
        fence(Ordering::Acquire);
        word
    }
}

#[derive(Debug)]
struct Map {
    start: NonNull<u64>,
    words: usize,
}

impl Map {
    fn new(fd: impl AsFd, pages: usize, protection: ProtFlags) -> Self {
        let bytes = NonZero::new(pages * PAGE).expect("a page at least").get();
        // SAFETY:
        // * The kernel chooses a free address: no memory of anybody else is replaced.
        let start =
            unsafe { mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, fd, 0) };
        let start = NonNull::new(start.expect("a mapping").cast()).expect("not null");
        Self { start, words: bytes / 8 }
    }

    fn word(&self, at: usize) -> *mut u64 {
        assert!(at < self.words, "word {at} of {}", self.words);
        self.start.as_ptr().wrapping_add(at)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY:
        // * The mapping is owned by this value, of exactly this length, and no pointer into it outlives a call.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.words * 8) };
    }
}

// SAFETY:
// * The mapping belongs to the process, not to a thread; words are accessed whole.
unsafe impl Send for Map {}
