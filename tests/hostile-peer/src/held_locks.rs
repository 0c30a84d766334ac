//! Locks of a socket that a holder of a copy holds for as long as he likes.

#![allow(unsafe_code)]
//! # Safety
//! `Pages` owns one private mapping, which it unmaps after every thread that was given a page of it has ended. The kernel
//! alone reads and writes the pages, in system calls of those threads.

use std::io::{self, Error};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::region::PAGE;

/// A lock of a socket.
#[derive(Debug, Clone, Copy)]
pub enum Lock {
    /// That of receiving. The socket must have a datagram to receive.
    Receiving,
    /// That of the options.
    Options,
}

/// Threads that hold locks of sockets, until this is dropped.
#[derive(Debug)]
pub struct HeldLocks {
    // Dropped first: the kernel lets the threads go.
    faults: Option<OwnedFd>,
    threads: Vec<JoinHandle<()>>,
    _pages: Pages,
}

impl HeldLocks {
    /// Takes these locks. Returns when all are held; `None` if this process may not make memory whose pages never arrive.
    ///
    /// # Panics
    /// If a lock is not taken within `patience`.
    #[must_use]
    pub fn take(locks: &[(BorrowedFd<'_>, Lock)], patience: Duration) -> Option<Self> {
        let (pages, faults) = match Pages::absent(locks.len()) {
            Ok(absent) => absent,
            Err(error) => {
                println!("skipped: no memory can be withheld here: {error}");
                return None;
            }
        };
        let hold = |(number, (socket, lock)): (usize, &(BorrowedFd<'_>, Lock))| {
            let socket = socket.try_clone_to_owned().expect("descriptors to spare");
            let (page, lock) = (pages.address(number), *lock);
            thread::spawn(move || match lock {
                Lock::Receiving => receive(&socket, page),
                Lock::Options => attach_filter(&socket, page),
            })
        };
        let threads = locks.iter().enumerate().map(hold).collect();
        let held = Self { faults: Some(faults), threads, _pages: pages };
        let deadline = Instant::now() + patience;
        locks.iter().for_each(|_| held.wait_for_fault(deadline));
        Some(held)
    }

    /// Waits until a thread waits for a page.
    fn wait_for_fault(&self, deadline: Instant) {
        let faults = self.faults.as_ref().expect("it is there until the drop");
        let left = Timespec::try_from(deadline - Instant::now()).expect("a short time");
        let events = poll(&mut [PollFd::new(faults, PollFlags::IN)], Some(&left)).expect("poll");
        assert_eq!(events, 1, "a lock is not taken");
        rustix::io::read(faults, &mut [0; 32]).expect("a fault");
    }
}

impl Drop for HeldLocks {
    fn drop(&mut self) {
        drop(self.faults.take());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Receives a datagram to this address.
fn receive(socket: &OwnedFd, address: usize) {
    // SAFETY:
    // * `address` is that of a page of a mapping that lives until this thread has ended, and that no reference leads to.
    let _ = unsafe { libc::recv(socket.as_raw_fd(), address as *mut libc::c_void, PAGE, 0) };
}

/// Attaches the filter at this address.
fn attach_filter(socket: &OwnedFd, address: usize) {
    let filter = libc::sock_fprog { len: 1, filter: address as *mut libc::sock_filter };
    let length = size_of_val(&filter) as libc::socklen_t;
    let (socket, option) = (socket.as_raw_fd(), (&raw const filter).cast());
    // SAFETY:
    // * The option is a `sock_fprog`, from which the kernel reads; the program is at `address`, as in `receive`.
    let _ = unsafe {
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, option, length)
    };
}

/// A private mapping.
#[derive(Debug)]
struct Pages {
    start: NonNull<libc::c_void>,
    bytes: usize,
}

impl Pages {
    /// Returns pages that do not arrive, and the descriptor that reports each wait for a page. Its close makes the pages
    /// arrive, as zeroes.
    fn absent(count: usize) -> io::Result<(Self, OwnedFd)> {
        /// `UFFDIO_API` and `UFFDIO_REGISTER`.
        const HANDSHAKE: u64 = 0xc018_aa3f;
        const REGISTER: u64 = 0xc020_aa00;
        const VERSION: u64 = 0xaa;
        const MISSING: u64 = 1;
        // SAFETY:
        // * The call takes flags and returns a new descriptor or an error.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(Error::last_os_error)?;
        // SAFETY:
        // * The kernel has just returned it, and no other code knows it.
        let faults = unsafe { OwnedFd::from_raw_fd(fd) };
        let pages = Self::new(count * PAGE)?;
        request(&faults, HANDSHAKE, &mut [VERSION, 0, 0])?;
        request(&faults, REGISTER, &mut [pages.address(0) as u64, pages.bytes as u64, MISSING, 0])?;
        Ok((pages, faults))
    }

    fn new(bytes: usize) -> io::Result<Self> {
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY:
        // * The kernel chooses a free address: no memory of anybody else is replaced.
        let start = unsafe { libc::mmap(null_mut(), bytes, access, kind, -1, 0) };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Self { start, bytes }),
            _ => Err(Error::last_os_error()),
        }
    }

    fn address(&self, page: usize) -> usize {
        assert!(page * PAGE < self.bytes, "page {page}");
        self.start.as_ptr().addr() + page * PAGE
    }
}

fn request(faults: &OwnedFd, number: u64, words: &mut [u64]) -> io::Result<()> {
    // SAFETY:
    // * Both requests read and write the three or four words of their structures, to which the pointer leads.
    let result =
        unsafe { libc::ioctl(faults.as_raw_fd(), number as libc::Ioctl, words.as_mut_ptr()) };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY:
        // * The mapping is owned by this value, of exactly this length, and the threads that use it have ended.
        let _ = unsafe { libc::munmap(self.start.as_ptr(), self.bytes) };
    }
}

// SAFETY:
// * The mapping belongs to the process, not to a thread, and only its address leaves this value.
unsafe impl Send for Pages {}
