//! Memory of bulk data: pools that one process writes and another one reads, and sealed memory that nobody writes any more.

#![allow(unsafe_code)]
//! # Safety
//! This module owns its mappings: it makes them and unmaps them.
//! * A mapping for writing is of memory that this process has made, and that nobody else can map for writing or write
//!   through a descriptor: `seal` has seen to that before the descriptor leaves this module. It is divided among the
//!   [`OwnSlot`]s of the pool, each of which alone hands out references to its part.
//! * A mapping of a peer's pool is read-only, and the peer writes it whenever it likes. Bytes are copied out of it by an
//!   instruction that the compiler does not look into; on other processors than x86-64 by relaxed loads of words, through an
//!   `&AtomicU64` that lives for one load. No other Rust reference into it is made.
//! * A mapping of sealed memory is private and read-only, of memory that the kernel lets nobody write, shrink or punch: it
//!   never changes, so that references to it are sound.
//! * `seal` has checked or made the memory, so that no access faults: it can neither shrink nor lose pages.
//! * A forked child has no mapping of a pool (`MADV_DONTFORK`): `is_here` is asked before each access.

use core::ffi::c_void;
use core::fmt;
use core::ops::Range;
use core::ptr::{self, NonNull};
use core::slice;
#[cfg(not(target_arch = "x86_64"))]
use core::sync::atomic::{AtomicU64, Ordering};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use flounder_rt::bulk::{
    BulkBody, BulkMemory, BulkOwned, IntoBulk, PeerMemory, SealedMemory, SlotMemory,
};
use flounder_rt::cap::Cap;
use flounder_rt::channel::ConnectError;
use flounder_rt::fork::ForkGeneration;

#[cfg(feature = "scc")]
use crate::mem::mapped::WordAddress;
use crate::mem::seal::{self, PAGE, ReaderMapping, RegionSize, WriterMapping};

/// Memory of this machine, for the pools of a binding, with the cache operations that it needs.
#[derive(Debug)]
pub(crate) struct Mapped<C = Coherent>(pub(crate) C);

/// Coherent memory.
pub(crate) static MAPPED: Mapped = Mapped(Coherent);

/// What is done to the caches when the writer of a slot sends it, and when its reader gets it.
pub(crate) trait PoolCaches: fmt::Debug + Copy + Default + Send + Sync + 'static {
    /// See [`SlotMemory::publish`].
    fn publish(self, lines: SlotLines<'_>);

    /// See [`PeerMemory::refresh`].
    fn refresh(self, lines: SlotLines<'_>);
}

/// Caches that are coherent, and have nothing to do.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Coherent;

impl PoolCaches for Coherent {
    fn publish(self, _lines: SlotLines<'_>) {}

    fn refresh(self, _lines: SlotLines<'_>) {}
}

/// The lines of a slot, which are mapped.
#[cfg_attr(not(feature = "scc"), allow(dead_code))]
pub(crate) struct SlotLines<'a> {
    mapping: &'a Mapping,
    /// Offset of the first line in the mapping, and the end of the last one.
    range: Range<usize>,
}

#[cfg(feature = "scc")]
impl<'a> SlotLines<'a> {
    /// Returns the number of lines.
    pub(crate) const fn count(&self) -> usize {
        (self.range.end - self.range.start).div_ceil(LINE_BYTES)
    }

    /// Returns the address of a line.
    ///
    /// # Panics
    /// If the slot has no such line.
    #[inline]
    pub(crate) fn address(&self, line: usize) -> WordAddress<'a> {
        assert!(line < self.count(), "the slot has the line");
        let at = self.mapping.range(self.range.start + line * LINE_BYTES, 1);
        // SAFETY:
        // 1. `at` is in the mapping (`range`), which lives for `'a`; callers make lines in a process that has it (`lines`).
        unsafe { WordAddress::mapped(at.cast_const().cast()) }
    }
}

/// Bytes of a line of the processor. The mapping and its slots begin at one.
#[cfg(feature = "scc")]
const LINE_BYTES: usize = 64;

/// A mapping of whole pages.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
    born: ForkGeneration,
    /// True if a forked child has the mapping, too.
    is_inherited: bool,
}

// SAFETY:
// * The mapping belongs to the process, not to a thread. What reads or writes it says in its own place why it may.
unsafe impl Send for Mapping {}
// SAFETY:
// * As above: a shared reference gives access to nothing but the address and the size.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(
        fd: BorrowedFd<'_>,
        bytes: usize,
        access: ProtFlags,
        flags: MapFlags,
    ) -> Result<Self, Errno> {
        let born = ForkGeneration::now();
        // SAFETY:
        // * The address is left to the kernel, so no existing mapping is touched.
        let base = unsafe { mmap(ptr::null_mut(), bytes, access, flags, fd, 0)? };
        let base = NonNull::new(base.cast::<u8>()).ok_or(Errno::NOMEM)?;
        let is_inherited = flags.contains(MapFlags::PRIVATE);
        let mapping = Self { base, bytes, born, is_inherited };
        if !is_inherited {
            mapping.advise(Advice::LinuxDontFork)?;
        }
        Ok(mapping)
    }

    /// Gives advice about the whole mapping. The advice must be one that changes no contents.
    fn advise(&self, advice: Advice) -> Result<(), Errno> {
        // SAFETY:
        // * The range is exactly this mapping; `MADV_DONTFORK`, `MADV_POPULATE_READ` and `MADV_POPULATE_WRITE`, which it is
        //   called with, change nothing that this process can see in it.
        unsafe { madvise(self.base.as_ptr().cast(), self.bytes, advice) }
    }

    fn is_here(&self) -> bool {
        self.is_inherited || self.born.is_here()
    }

    /// Returns the lines of `len` bytes; `None` in a forked child, which has none.
    fn lines(&self, at: usize, len: usize) -> Option<SlotLines<'_>> {
        self.is_here().then(|| SlotLines { mapping: self, range: at..at + len })
    }

    /// Returns the address of `len` bytes, which lie in the mapping.
    fn range(&self, at: usize, len: usize) -> *mut u8 {
        let fits = at.checked_add(len).is_some_and(|end| end <= self.bytes);
        assert!(fits, "the range lies in the mapping");
        self.base.as_ptr().wrapping_add(at)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !self.is_here() {
            return;
        }
        // SAFETY:
        // * The range is exactly the mapping made in `new`, which this value owns, in a process that has it.
        // * References into it borrow a value that keeps this one.
        // A failure would leak the mapping; there is nothing better to do with it.
        let _ = unsafe { munmap(self.base.as_ptr().cast::<c_void>(), self.bytes) };
    }
}

impl WriterMapping for Mapping {
    fn map(fd: BorrowedFd<'_>, bytes: usize) -> Result<Self, Errno> {
        Self::new(fd, bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)
    }
}

/// A slot of a pool of this process.
#[derive(Debug)]
struct OwnSlot<C> {
    pool: Arc<Mapping>,
    caches: C,
    /// Offset and length of the slot in the pool: no other `OwnSlot` has these bytes.
    at: usize,
    len: usize,
}

impl<C: PoolCaches> SlotMemory for OwnSlot<C> {
    fn bytes(&self) -> &[u8] {
        if !self.pool.is_here() {
            return &[];
        }
        let start = self.pool.range(self.at, self.len);
        // SAFETY:
        // * `start` begins `len` mapped, readable bytes (`range`), which the kernel has set to zero at least, for as long as
        //   `self.pool`, and so `self`, lives.
        // * Nobody else writes them: no other process can, and in this one only `bytes_mut` of the same value does, which
        //   borrows it alone. What other processes read is outside of the abstract machine.
        unsafe { slice::from_raw_parts(start, self.len) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        if !self.pool.is_here() {
            return &mut [];
        }
        let start = self.pool.range(self.at, self.len);
        // SAFETY:
        // * As in `bytes`; the mapping is writable (`WriterMapping`), and `&mut self` is the only way to these bytes in this
        //   process, since each byte of a pool belongs to one `OwnSlot`.
        unsafe { slice::from_raw_parts_mut(start, self.len) }
    }

    fn publish(&self, len: usize) {
        if let Some(lines) = self.pool.lines(self.at, len.min(self.len)) {
            self.caches.publish(lines);
        }
    }
}

/// A pool of a peer.
#[derive(Debug)]
struct PeerPool<C>(Mapping, C);

impl<C: PoolCaches> ReaderMapping for PeerPool<C> {
    fn map(fd: BorrowedFd<'_>, bytes: usize) -> Result<Self, Errno> {
        let mapping = Mapping::new(fd, bytes, ProtFlags::READ, MapFlags::SHARED)?;
        Ok(Self(mapping, C::default()))
    }

    fn populate(&self) -> Result<(), Errno> {
        self.0.advise(Advice::LinuxPopulateRead)
    }
}

impl<C: PoolCaches> PeerMemory for PeerPool<C> {
    fn copy(&self, at: usize, into: &mut [u8]) {
        let from = self.0.range(at, into.len());
        if self.0.is_here() {
            copy_out(from, into);
        }
    }

    fn write_to(&self, at: usize, len: usize, fd: BorrowedFd<'_>) -> io::Result<usize> {
        let from = self.0.range(at, len);
        if !self.0.is_here() {
            return Ok(0);
        }
        // SAFETY:
        // * The kernel reads `len` mapped bytes (`range`); that the peer changes them meanwhile is nothing to it.
        let written = unsafe { libc::write(fd.as_raw_fd(), from.cast(), len) };
        usize::try_from(written).map_err(|_| io::Error::last_os_error())
    }

    fn refresh(&self, at: usize, len: usize) {
        let _ = self.0.range(at, len);
        if let Some(lines) = self.0.lines(at, len) {
            self.1.refresh(lines);
        }
    }
}

/// Loads an aligned word that is mapped and that another process may write.
#[cfg(not(target_arch = "x86_64"))]
fn load(at: *mut u64) -> u64 {
    // SAFETY:
    // * Callers give an aligned address of eight mapped, readable bytes. The mapping may be read-only: the access is a
    //   relaxed load, which `core::sync::atomic` allows there ("Atomic accesses to read-only memory").
    // * The reference ends with the statement.
    let word = unsafe { AtomicU64::from_ptr(at) };
    word.load(Ordering::Relaxed)
}

/// Copies mapped bytes that another process may write meanwhile; `from` begins `into.len()` of them.
#[cfg(target_arch = "x86_64")]
fn copy_out(from: *const u8, into: &mut [u8]) {
    // SAFETY:
    // * The instruction reads `into.len()` bytes from `from`, which are mapped and readable, and writes as many to `into`,
    //   which is borrowed alone: the two do not overlap. It leaves the flags and the stack as they are; the direction flag is
    //   clear at every `asm!`.
    // * To the compiler this is no access to the memory of the peer, but the arrival of unknown bytes in `into`.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rcx") into.len() => _,
            inout("rsi") from => _,
            inout("rdi") into.as_mut_ptr() => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies mapped bytes that another process may write meanwhile; `from` begins `into.len()` of them, in a mapping of whole
/// words.
#[cfg(not(target_arch = "x86_64"))]
fn copy_out(from: *const u8, into: &mut [u8]) {
    let (mut word, mut skip) = (from.map_addr(|at| at & !7), from.addr() % 8);
    let mut rest = into;
    while !rest.is_empty() {
        let bytes = load(word.cast_mut().cast()).to_ne_bytes();
        let count = (8 - skip).min(rest.len());
        let (now, later) = rest.split_at_mut(count);
        now.copy_from_slice(&bytes[skip..skip + count]);
        (rest, word, skip) = (later, word.wrapping_add(8), 0);
    }
}

impl<C: PoolCaches> BulkMemory for Mapped<C> {
    fn make(&self, slots: usize, slot_bytes: usize) -> io::Result<(Vec<Box<dyn SlotMemory>>, Cap)> {
        let bytes = (slots * slot_bytes).next_multiple_of(PAGE);
        let (pool, fd, _) = seal::create::<Mapping>(bytes)?;
        // Here, and not in the first use of each slot: a page takes as long as it takes to fill. Otherwise it is done there.
        let _ = pool.advise(Advice::LinuxPopulateWrite);
        let pool = Arc::new(pool);
        let slot = |slot| {
            let (pool, at) = (Arc::clone(&pool), slot * slot_bytes);
            let own = OwnSlot { pool, caches: self.0, at, len: slot_bytes };
            Box::new(own) as Box<dyn SlotMemory>
        };
        Ok(((0..slots).map(slot).collect(), fd.into()))
    }

    fn accept(&self, cap: Cap, bytes: usize) -> Result<Box<dyn PeerMemory>, &'static str> {
        let pages = bytes.div_ceil(PAGE);
        let size = RegionSize::Pages(pages, "the pool has another size than its slots");
        let (pool, _) = seal::accept::<PeerPool<C>>(&cap, pages * PAGE, size).map_err(in_words)?;
        // As its maker does.
        let _ = pool.populate();
        Ok(Box::new(pool))
    }

    fn accept_sealed(&self, cap: Cap, len: usize) -> Result<Arc<dyn SealedMemory>, &'static str> {
        seal::check_sealed(&cap, len).map_err(in_words)?;
        let sealed = Sealed::map(cap, len).map_err(|_| "it cannot be mapped")?;
        Ok(Arc::new(sealed))
    }
}

fn in_words(error: ConnectError) -> &'static str {
    match error {
        ConnectError::Refused(why) => why,
        _ => "a system call failed",
    }
}

/// Memory that nobody writes any more.
#[derive(Debug)]
struct Sealed {
    memory: Mapping,
    len: usize,
    fd: Cap,
}

impl Sealed {
    /// Maps memory that `seal` has made or checked.
    fn map(fd: Cap, len: usize) -> Result<Self, Errno> {
        let bytes = len.next_multiple_of(PAGE);
        let memory = Mapping::new(fd.as_fd(), bytes, ProtFlags::READ, MapFlags::PRIVATE)?;
        Ok(Self { memory, len, fd })
    }
}

impl SealedMemory for Sealed {
    fn bytes(&self) -> &[u8] {
        let start = self.memory.range(0, self.len);
        // SAFETY:
        // * `start` begins `len` mapped, readable bytes (`range`), for as long as `self` lives; a forked child has them, too.
        // * They never change: the kernel lets nobody write sealed memory, shrink it or punch holes into it, and no mapping
        //   for writing is left (`F_SEAL_WRITE` is refused while there is one).
        unsafe { slice::from_raw_parts(start, self.len) }
    }

    fn cap(&self) -> io::Result<Cap> {
        self.fd.try_clone()
    }
}

/// Bytes that never change, in memory that any number of processes share: made once, sent many times without a copy.
///
/// ```
/// use flounder_drivers::Blob;
///
/// let blob = Blob::build(5, |bytes| bytes.copy_from_slice(b"hello"))?;
/// assert_eq!(&blob[..], b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Blob(Arc<Sealed>);

impl Blob {
    /// Makes memory of `len` bytes, has `fill` write it, and seals it.
    ///
    /// # Errors
    /// `EINVAL` if `len` is 0, `EFBIG` if the process may not have a file of that size; the errors of the system calls.
    pub fn build(len: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        let fd = seal::create_unsealed(len)?;
        let mapping = Arc::new(Mapping::map(fd.as_fd(), len.next_multiple_of(PAGE))?);
        fill(OwnSlot { pool: mapping, caches: Coherent, at: 0, len }.bytes_mut());
        seal::seal_contents(&fd)?;
        Ok(Self(Arc::new(Sealed::map(fd.into(), len)?)))
    }
}

impl core::ops::Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// For a handler that returns what is sent as its reply.
///
/// ```
/// use flounder_drivers::Blob;
/// use flounder_rt::bulk::BulkOwned;
///
/// let blob = Blob::build(2, |bytes| bytes.fill(7))?;
/// assert_eq!(BulkOwned::from(blob).to_vec(), [7, 7]);
/// # Ok::<(), std::io::Error>(())
/// ```
impl From<Blob> for BulkOwned {
    fn from(blob: Blob) -> Self {
        Self::sealed(blob.0)
    }
}

impl IntoBulk for &Blob {
    fn into_bulk<'a>(self) -> BulkBody<'a>
    where
        Self: 'a,
    {
        BulkBody::sealed(Arc::clone(&self.0) as Arc<dyn SealedMemory>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of pages of this thread that were not there when it used them.
    fn faults() -> usize {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split_ascii_whitespace().nth(7).unwrap().parse().unwrap()
    }

    #[test]
    fn pages_of_a_pool_are_there_before_a_slot_is_used() {
        const SLOTS: usize = 16;
        const BYTES: usize = 64 * PAGE;
        let (mut slots, fd) = MAPPED.make(SLOTS, BYTES).unwrap();
        let peer = MAPPED.accept(fd, SLOTS * BYTES).unwrap();
        let mut read = vec![1; BYTES];
        let before = faults();
        for slot in &mut slots {
            slot.bytes_mut().fill(7);
        }
        for slot in 0..SLOTS {
            peer.copy(slot * BYTES, &mut read);
            assert!(read.iter().all(|byte| *byte == 7));
        }
        let faults = faults() - before;
        assert!(faults < SLOTS, "{faults} faults for {} pages at each end", SLOTS * BYTES / PAGE);
    }
}
