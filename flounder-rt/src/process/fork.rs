//! State that a forked child must not share with its parent.
//!
//! A child that `fork(2)` has made has a copy of the parent's memory and of its descriptors, and one thread. The objects of
//! this library belong to the process that made them. A child that used them would take messages and events away from its
//! parent through the shared kernel objects, and could wait for ever for a lock that a thread of the parent holds.
//!
//! | object | in a child |
//! |---|---|
//! | [`ForkGeneration`] | [`is_here`](ForkGeneration::is_here) is false for everything that the parent made: operations fail before they take a lock |
//! | [`ProcessFd`] | the number stands for an inert descriptor; the child has no copy of the kernel object |
//! | [`PerProcess`] | a table of the process is created again, empty |
//!
//! All three depend on one handler that `fork(2)` runs in the child. A child made by a bare `clone(2)`, by `vfork(2)` or by
//! `posix_spawn(3)` runs no handler: it must `exec`, as in every program that has threads.

#![allow(unsafe_code)]
//! # Safety
//! This module owns the values of [`PerProcess`], which it never frees, and the bitmap of marked descriptors, which it never
//! frees either. The handler makes system calls and atomic accesses only, so it is safe in the child of a process with
//! threads. In a child it replaces each marked descriptor by an inert one. The number stays open, so its owner closes a
//! descriptor of its own.

use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// True once the handler is registered.
static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Identifies the process, among a process and its forked children, in which a value was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkGeneration(u32);

impl ForkGeneration {
    /// Returns a value that stands for no process.
    pub const NOWHERE: Self = Self(u32::MAX);

    /// Returns the value for this process.
    #[must_use]
    pub fn now() -> Self {
        watch_forks();
        // SYNC generation: it changes only in a child, before that child's only thread returns from `fork`.
        Self(GENERATION.load(Ordering::Relaxed))
    }

    /// Returns true in the process whose value this is. One load and one comparison, never stale.
    #[inline]
    #[must_use]
    pub fn is_here(self) -> bool {
        // SYNC generation: see `now`.
        GENERATION.load(Ordering::Relaxed) == self.0
    }
}

/// Registers the handler. Two threads that do so at once may register it twice, which counts each fork twice and is harmless. A
/// lock would avoid that, but a child may find it held.
fn watch_forks() {
    // SYNC registered: set after the registration; a thread that reads true runs after it.
    if REGISTERED.load(Ordering::Acquire) {
        return;
    }
    // SAFETY:
    // * `pthread_atfork` keeps the pointer for the life of the process; `forked` is a static function.
    // * `forked` is async-signal-safe, as a handler in the child of a threaded process has to be.
    // A failure (no memory for the entry) leaves children undetected, as if made by `clone`.
    let _ = unsafe { libc::pthread_atfork(None, None, Some(forked)) };
    REGISTERED.store(true, Ordering::Release);
}

extern "C" fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    MARKED.disarm();
}

/// A descriptor whose kernel object belongs to one process: sockets to peers, epoll sets, doorbells, locks.
///
/// In a forked child its number stands for an inert descriptor (an eventfd that is never readable). So the child keeps no
/// copy of the object: nothing that it does with the number affects the parent, and the object ends with the parent.
#[derive(Debug)]
pub struct ProcessFd {
    // Dropped first: once the number is free, another thread may reuse it.
    _mark: Mark,
    fd: OwnedFd,
}

impl ProcessFd {
    /// Wraps a descriptor that this process has created or received.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self { _mark: Mark::new(fd.as_fd()), fd }
    }
}

impl From<OwnedFd> for ProcessFd {
    fn from(fd: OwnedFd) -> Self {
        Self::new(fd)
    }
}

/// Returns the descriptor to the caller. Forked children inherit it.
impl From<ProcessFd> for OwnedFd {
    fn from(fd: ProcessFd) -> Self {
        fd.fd
    }
}

impl AsFd for ProcessFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for ProcessFd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Mark of a descriptor that another value owns: in forked children an inert descriptor replaces it. Must be dropped before
/// the descriptor is closed.
#[derive(Debug)]
#[must_use]
pub struct Mark(RawFd);

impl Mark {
    /// Marks a descriptor that has no other mark.
    pub fn new(fd: BorrowedFd<'_>) -> Self {
        watch_forks();
        MARKED.set(fd.as_raw_fd());
        Self(fd.as_raw_fd())
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        MARKED.clear(self.0);
    }
}

static MARKED: Marked = Marked { chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS] };

/// Number of descriptors that can be marked: the default of `fs.nr_open`. Descriptors beyond it are not marked.
const CHUNKS: usize = 1024;
const WORDS: usize = 16;
const BITS: usize = 64;

/// One bit for each descriptor number.
type Chunk = [AtomicU64; WORDS];

struct Marked {
    /// Null or from `Box::into_raw`, never freed.
    chunks: [AtomicPtr<Chunk>; CHUNKS],
}

impl Marked {
    fn set(&self, fd: RawFd) {
        if let Some((chunk, word, bit)) = place(fd) {
            let chunk = self.chunk(chunk).unwrap_or_else(|| self.make(chunk));
            // SYNC marked: read by the child of a fork, whose memory is that of the thread that forks.
            chunk[word].fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn clear(&self, fd: RawFd) {
        if let Some((chunk, word, bit)) = place(fd)
            && let Some(chunk) = self.chunk(chunk)
        {
            chunk[word].fetch_and(!bit, Ordering::Relaxed);
        }
    }

    fn chunk(&self, at: usize) -> Option<&'static Chunk> {
        // SYNC chunk: pairs with the exchange in `make`.
        let chunk = self.chunks[at].load(Ordering::Acquire);
        // SAFETY:
        // * It is null, or from `Box::into_raw` of a `Chunk` that is never freed nor borrowed mutably.
        unsafe { chunk.as_ref() }
    }

    fn make(&self, at: usize) -> &'static Chunk {
        let made = Box::into_raw(Box::new([const { AtomicU64::new(0) }; WORDS]));
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        if self.chunks[at].compare_exchange(ptr::null_mut(), made, success, failure).is_err() {
            // SAFETY:
            // * `made` is from `Box::into_raw` above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(made) });
        }
        self.chunk(at).expect("one was made")
    }

    /// In a child: replaces each marked descriptor by an inert one.
    fn disarm(&self) {
        let mut inert = -1;
        let mut spare = false;
        for at in 0..CHUNKS {
            let Some(chunk) = self.chunk(at) else { continue };
            for (word, bits) in chunk.iter().enumerate() {
                let mut bits = bits.load(Ordering::Relaxed);
                while bits != 0 {
                    let bit = bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    let Ok(fd) = RawFd::try_from((at * WORDS + word) * BITS + bit) else { return };
                    if inert < 0 {
                        // The first gives its number up, so that this works at the limit of descriptors.
                        inert = replace_first(fd);
                        spare = inert >= 0 && inert != fd;
                    }
                    if inert >= 0 && inert != fd {
                        // SAFETY:
                        // * `fd` is a descriptor of this library, whose copy in this child nobody uses now: the child's only
                        //   thread is here.
                        let _ = unsafe { libc::dup3(inert, fd, libc::O_CLOEXEC) };
                    }
                }
            }
        }
        if spare {
            // SAFETY:
            // * It was made in `replace_first`, and nobody else knows its number.
            let _ = unsafe { libc::close(inert) };
        }
    }
}

/// Closes `fd` and makes an inert descriptor, under its number if that is the lowest that is free.
fn replace_first(fd: RawFd) -> RawFd {
    // SAFETY:
    // * See `disarm`: `fd` is of this library, and this thread is alone. Its number is taken again at once.
    let _ = unsafe { libc::close(fd) };
    // SAFETY:
    // * The call takes numbers only.
    unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }
}

fn place(fd: RawFd) -> Option<(usize, usize, u64)> {
    let fd = usize::try_from(fd).ok()?;
    let (word, bit) = (fd / BITS, fd % BITS);
    (word / WORDS < CHUNKS).then_some((word / WORDS, word % WORDS, 1 << bit))
}

/// A value of the process that a forked child creates again. The value of the parent stays in memory, which the child reads at
/// most once.
pub struct PerProcess<T: 'static> {
    /// Null or from `Box::into_raw`, never freed.
    made: AtomicPtr<Made<T>>,
    make: fn(Option<&T>) -> T,
}

struct Made<T> {
    born: ForkGeneration,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    /// Creates a value that `make` makes on first use. In a forked child, the argument of `make` is the value of the parent, if
    /// there is one; its locks may be held for ever.
    #[must_use]
    pub const fn new(make: fn(Option<&T>) -> T) -> Self {
        Self { made: AtomicPtr::new(ptr::null_mut()), make }
    }

    /// Returns the value of this process.
    #[must_use]
    pub fn here(&'static self) -> &'static T {
        loop {
            // SYNC per-process: pairs with the exchange below.
            let found = self.made.load(Ordering::Acquire);
            // SAFETY:
            // * It is null, or from `Box::into_raw` of a `Made` that is never freed nor borrowed mutably.
            let made = unsafe { found.as_ref() };
            if let Some(made) = made
                && made.born.is_here()
            {
                return &made.value;
            }
            let value = (self.make)(made.map(|made| &made.value));
            let new = Box::into_raw(Box::new(Made { born: ForkGeneration::now(), value }));
            let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
            if self.made.compare_exchange(found, new, success, failure).is_err() {
                // SAFETY:
                // * `new` is from `Box::into_raw` above, and nobody else has seen it.
                drop(unsafe { Box::from_raw(new) });
            }
        }
    }
}

impl<T> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerProcess").finish_non_exhaustive()
    }
}
