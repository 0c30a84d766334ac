//! Regions of shared memory with one writer, enforced by the kernel.
//!
//! The maker allocates every page, maps the region for itself, and seals it: from then on its size is fixed, its pages stay,
//! and no process can map it for writing any more or write it through a descriptor. A reader checks all of that before it
//! maps anything, and each failed check has an error of its own. After these checks a hostile maker can change the contents
//! at any time, which readers expect, and nothing else: it can cause no `SIGBUS`, and no growth at the reader's expense.
//!
//! The first read of a hole allocates its page, charged to the reader, and `st_blocks` hides a hole if there are blocks
//! beyond the end. So the reader asks the kernel how many of the region's pages are in memory (`cachestat`). If all of them
//! are, there is no hole, and the seals keep it that way. Otherwise (a page was swapped out, or is a hole), or if the kernel
//! does not say (before 6.5), the reader populates all pages when it maps the region: an allocation failure happens here and
//! not in a later load, and a region that has grown had a hole, and is refused.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    FallocateFlags, FileType, MemfdFlags, SealFlags, Stat, fallocate, fcntl_add_seals,
    fcntl_get_seals, fstat, fstatfs, ftruncate, memfd_create,
};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Resource, getrlimit};

use flounder_rt::cap::Cap;
use flounder_rt::channel::ConnectError;

use crate::mem::mapped::{MappedOwn, MappedPeer, pages_in_memory};

/// Size of a page in bytes. Regions consist of whole pages.
pub(crate) const PAGE: usize = 4096;

/// Size in bytes of the largest region that is accepted from a peer.
pub(crate) const MAX_REGION: usize = 16 << 20;

/// `F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE`, 0x17.
const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE);

/// `F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE`: nothing changes any more.
const CONTENTS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// Magic number of tmpfs, the file system of memfds other than huge ones.
const TMPFS: i64 = 0x0102_1994;

const HOLES: &str = "the region has holes";

/// A region made by a peer, checked and mapped.
#[derive(Debug)]
pub(crate) struct AcceptedRegion {
    /// The lines.
    pub(crate) lines: MappedPeer,
    /// Inode, which identifies the region.
    pub(crate) inode: u64,
}

/// Permitted size of a region.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RegionSize {
    /// Whole pages, at most [`MAX_REGION`] bytes.
    Any,
    /// Exactly this number of pages. The text is the error for any other size.
    Pages(usize, &'static str),
}

/// A mapping of the maker.
pub(crate) trait WriterMapping: Sized {
    /// Maps the first `bytes` bytes of memory that was just made.
    ///
    /// # Errors
    /// The errors of `mmap`.
    fn map(fd: BorrowedFd<'_>, bytes: usize) -> Result<Self, Errno>;
}

/// A mapping of a reader.
pub(crate) trait ReaderMapping: Sized {
    /// Maps the first `bytes` bytes of memory that was just checked, read-only.
    ///
    /// # Errors
    /// The errors of `mmap`.
    fn map(fd: BorrowedFd<'_>, bytes: usize) -> Result<Self, Errno>;

    /// Brings in every page, also a page that the maker has not allocated.
    ///
    /// # Errors
    /// If there is no memory.
    fn populate(&self) -> Result<(), Errno>;
}

/// Makes a region of `pages` pages. Returns the writer's mapping, the descriptor for the peer, and
/// the inode.
///
/// # Errors
/// `EFBIG` if the process may not have a file of that size; the errors of the system calls.
pub(crate) fn create_sealed(pages: usize) -> Result<(MappedOwn, OwnedFd, u64), Errno> {
    create(pages * PAGE)
}

/// Makes memory of `bytes` bytes, whole pages, with one writer. Returns the writer's mapping, the descriptor for the reader,
/// and the inode.
///
/// # Errors
/// Those of [`create_sealed`].
pub(crate) fn create<M: WriterMapping>(bytes: usize) -> Result<(M, OwnedFd, u64), Errno> {
    let fd = create_unsealed(bytes)?;
    let mapping = M::map(fd.as_fd(), bytes)?;
    fcntl_add_seals(&fd, SEALS)?;
    let inode = fstat(&fd)?.st_ino;
    Ok((mapping, fd, inode))
}

/// Makes memory of `bytes` bytes, all of it allocated.
///
/// # Errors
/// Those of [`create_sealed`].
pub(crate) fn create_unsealed(bytes: usize) -> Result<OwnedFd, Errno> {
    // The kernel would also raise SIGXFSZ in this thread, which belongs to the program.
    if getrlimit(Resource::Fsize).current.is_some_and(|limit| (bytes as u64) > limit) {
        return Err(Errno::FBIG);
    }
    let fd = create_memory()?;
    ftruncate(&fd, bytes as u64)?;
    // The allocation of many pages takes so long that a signal may interrupt it.
    retry_on_intr(|| fallocate(&fd, FallocateFlags::empty(), 0, bytes as u64))?;
    Ok(fd)
}

/// Seals the contents of memory that is not mapped for writing any more: nobody can change it.
///
/// # Errors
/// `EBUSY` while it is mapped for writing.
pub(crate) fn seal_contents(fd: &OwnedFd) -> Result<(), Errno> {
    fcntl_add_seals(fd, CONTENTS)
}

/// Returns memory that can be sealed. It is not executable, unless the kernel is older than 6.3.
fn create_memory() -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create("flounder", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create("flounder", flags),
        made => made,
    }
}

/// Checks a region made by a peer, and maps it.
///
/// # Errors
/// [`ConnectError::Refused`] with the check that failed; [`ConnectError::Os`] if a system call
/// fails.
pub(crate) fn accept_region(fd: Cap, size: RegionSize) -> Result<AcceptedRegion, ConnectError> {
    let (lines, inode) = accept(&fd, MAX_REGION, size)?;
    // A file in memory that stays mapped: its close frees nothing and runs nothing, so this thread may do it.
    drop(OwnedFd::from(fd));
    Ok(AcceptedRegion { lines, inode })
}

/// Checks memory of at most `most` bytes made by a peer, and maps it. Returns the mapping and the inode.
///
/// # Errors
/// Those of [`accept_region`].
pub(crate) fn accept<M: ReaderMapping>(
    fd: &Cap,
    most: usize,
    size: RegionSize,
) -> Result<(M, u64), ConnectError> {
    // Only files in memory have seals at all: anything else fails here.
    let seals = fcntl_get_seals(fd)
        .map_err(|_| ConnectError::Refused("the region is not sealable memory"))?;
    // Without FUTURE_WRITE another process could write it; without SHRINK its pages could vanish.
    if !seals.contains(SealFlags::SHRINK) {
        return Err(ConnectError::Refused("the region can shrink"));
    }
    if !seals.contains(SealFlags::GROW) {
        return Err(ConnectError::Refused("the region can grow"));
    }
    if !seals.contains(SealFlags::FUTURE_WRITE) {
        return Err(ConnectError::Refused("the region can be mapped for writing, or lose pages"));
    }
    if !seals.contains(SealFlags::SEAL) {
        return Err(ConnectError::Refused("the seals of the region are not final"));
    }
    let stat = check_file(fd)?;
    let bytes = usize::try_from(stat.st_size)
        .map_err(|_| ConnectError::Refused("the region is too large"))?;
    if bytes == 0 {
        return Err(ConnectError::Refused("the region is empty"));
    }
    if bytes > most {
        return Err(ConnectError::Refused("the region is too large"));
    }
    if !bytes.is_multiple_of(PAGE) {
        return Err(ConnectError::Refused("the region is not whole pages"));
    }
    if let RegionSize::Pages(pages, otherwise) = size
        && bytes != pages * PAGE
    {
        return Err(ConnectError::Refused(otherwise));
    }
    check_blocks(&stat, bytes)?;
    let mapping = M::map(fd.as_fd(), bytes)?;
    if pages_in_memory(fd.as_fd(), bytes) != Some(bytes / PAGE) {
        mapping
            .populate()
            .map_err(|_| ConnectError::Refused("the region cannot be read in full"))?;
        if fstat(fd)?.st_blocks > stat.st_blocks {
            return Err(ConnectError::Refused(HOLES));
        }
    }
    Ok((mapping, stat.st_ino))
}

/// Checks memory of `len` bytes whose contents a peer has sealed. A hole costs its reader no more than the bytes would have
/// cost in a message.
///
/// # Errors
/// Those of [`accept_region`].
pub(crate) fn check_sealed(fd: &Cap, len: usize) -> Result<(), ConnectError> {
    let seals = fcntl_get_seals(fd)
        .map_err(|_| ConnectError::Refused("the memory is not sealable memory"))?;
    if !seals.contains(SealFlags::WRITE) {
        return Err(ConnectError::Refused("the memory can be written"));
    }
    if !seals.contains(SealFlags::SHRINK) {
        return Err(ConnectError::Refused("the memory can shrink"));
    }
    if !seals.contains(SealFlags::GROW) {
        return Err(ConnectError::Refused("the memory can grow"));
    }
    let stat = check_file(fd)?;
    if len == 0 {
        return Err(ConnectError::Refused("the memory is empty"));
    }
    if u64::try_from(stat.st_size) != Ok(len as u64) {
        return Err(ConnectError::Refused("the memory has another size than the message says"));
    }
    check_blocks(&stat, len)
}

/// Checks that memory is a regular file of tmpfs.
fn check_file(fd: &Cap) -> Result<Stat, ConnectError> {
    if fstatfs(fd)?.f_type != TMPFS {
        return Err(ConnectError::Refused("the region is not on tmpfs"));
    }
    let stat = fstat(fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(ConnectError::Refused("the region is not a file"));
    }
    Ok(stat)
}

/// Checks that a file has blocks for all of its bytes.
fn check_blocks(stat: &Stat, bytes: usize) -> Result<(), ConnectError> {
    if stat.st_blocks.unsigned_abs().saturating_mul(512) < bytes as u64 {
        return Err(ConnectError::Refused(HOLES));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    thread_local!(static POPULATED: Cell<usize> = const { Cell::new(0) });

    /// A mapping of which only the number of populated ones matters.
    struct Counted;

    impl ReaderMapping for Counted {
        fn map(_: BorrowedFd<'_>, _: usize) -> Result<Self, Errno> {
            Ok(Self)
        }

        fn populate(&self) -> Result<(), Errno> {
            POPULATED.set(POPULATED.get() + 1);
            Ok(())
        }
    }

    fn populated_for(fd: OwnedFd) -> usize {
        let before = POPULATED.get();
        accept::<Counted>(&fd.into(), MAX_REGION, RegionSize::Any).expect("a sound region");
        POPULATED.get() - before
    }

    #[test]
    fn only_regions_that_are_not_in_memory_are_populated() {
        let says = pages_in_memory(create_memory().expect("memory").as_fd(), PAGE).is_some();
        let (_mapping, whole, _) = create_sealed(33).expect("memory");
        assert_eq!(populated_for(whole), usize::from(!says));
        // The block beyond the end makes up for the hole.
        let hollow = create_memory().expect("memory");
        ftruncate(&hollow, 33 * PAGE as u64).expect("a size");
        let rest = 32 * PAGE as u64;
        fallocate(&hollow, FallocateFlags::empty(), 0, rest).expect("memory");
        fallocate(&hollow, FallocateFlags::KEEP_SIZE, rest + PAGE as u64, PAGE as u64)
            .expect("memory");
        fcntl_add_seals(&hollow, SEALS).expect("memory that can be sealed");
        assert_eq!(populated_for(hollow), 1);
    }
}
