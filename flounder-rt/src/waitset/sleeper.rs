//! Blocking: one epoll set for the wake_fd, for sources with descriptors, and for what drivers watch.

use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Weak};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

use crate::fork::ProcessFd;
use crate::waitset::epoll_wait;

/// A descriptor that a driver wants watched, for as long as it keeps the object alive.
pub trait Watched: Send + Sync {
    /// The descriptor.
    fn fd(&self) -> BorrowedFd<'_>;

    /// The descriptor is readable (level-triggered: it is called again until it is not). Runs on the waitset's thread
    /// and calls no user code.
    fn fired(&self);
}

/// What an epoll event stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    WakeFd,
    Source(u64),
    Watched(u64),
}

const WAKE_FD: u64 = u64::MAX;
const WATCHED: u64 = 1 << 63;

/// No wait is longer: the kernel takes no arbitrary numbers, and those who wait look again anyway.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A time to wait as the kernel takes it, cut to the longest.
pub(crate) fn timespec(time: Duration) -> Timespec {
    let time = time.min(LONGEST);
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).expect("a day is short"),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}

/// What wakes a thread that blocks in the kernel. Each ring is an edge in the [`Epoll`]: nobody has to silence it.
#[derive(Debug)]
pub(crate) struct WakeFd(ProcessFd);

impl WakeFd {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?.into()))
    }

    /// Rings.
    pub(crate) fn signal(&self) {
        // Nobody else holds this descriptor, and its counter is full after 2^64 rings.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// A set of descriptors to wait for.
pub(crate) struct Epoll(ProcessFd);

/// What a wait has found and nobody has taken yet.
#[derive(Default)]
pub(crate) struct Found {
    ready: Vec<Ready>,
    taken: usize,
}

impl Epoll {
    pub(crate) fn new(wake_fd: &WakeFd) -> io::Result<Self> {
        let epoll = Self(epoll::create(epoll::CreateFlags::CLOEXEC)?.into());
        epoll.add(wake_fd.0.as_fd(), WAKE_FD, EventFlags::IN | EventFlags::ET)?;
        Ok(epoll)
    }

    fn add(&self, fd: BorrowedFd<'_>, data: u64, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.0, fd, EventData::new_u64(data), flags)?)
    }

    /// Watches a source's descriptor for edges in both directions.
    pub(crate) fn add_source(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let both = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        self.add(fd, token, both)
    }

    /// Watches a descriptor once for what `flags` name.
    pub(crate) fn add_once(
        &self,
        fd: BorrowedFd<'_>,
        token: u64,
        flags: EventFlags,
    ) -> io::Result<()> {
        self.add(fd, token, flags | EventFlags::ONESHOT)
    }

    /// Stops watching a descriptor. A descriptor of which no copy is open is forgotten by the kernel.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.0, fd);
    }

    /// Waits for events, at most for `timeout`. A signal ends the wait without one.
    pub(crate) fn wait(&self, timeout: Option<Duration>, found: &mut Found) -> io::Result<()> {
        let timeout = timeout.map(timespec);
        found.taken = 0;
        found.ready.clear();
        let ready = &mut found.ready;
        match epoll_wait::wait(self.0.as_fd(), timeout.as_ref(), |data| ready.push(Ready::of(data)))
        {
            Ok(()) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Ready {
    fn of(data: u64) -> Self {
        match data {
            WAKE_FD => Self::WakeFd,
            data if data & WATCHED != 0 => Self::Watched(data & !WATCHED),
            token => Self::Source(token),
        }
    }
}

impl Iterator for Found {
    type Item = Ready;

    fn next(&mut self) -> Option<Ready> {
        let ready = self.ready.get(self.taken).copied();
        self.taken += usize::from(ready.is_some());
        ready
    }
}

/// The kernel's side of a waitset of one thread.
pub(crate) struct Sleeper {
    pub(crate) epoll: Epoll,
    watched: HashMap<u64, Weak<dyn Watched>>,
    next: u64,
    found: Found,
    /// Those that have fired and are not watched on yet.
    fired: Vec<u64>,
}

impl Sleeper {
    pub(crate) fn new(wake_fd: &WakeFd) -> io::Result<Self> {
        let epoll = Epoll::new(wake_fd)?;
        let found = Found::default();
        Ok(Self { epoll, watched: HashMap::new(), next: 0, found, fired: Vec::new() })
    }

    /// Watches what a driver wants watched; a second time is a no-op.
    ///
    /// The kernel reports a descriptor as long as any copy of it is open, also one in another process, when ours is closed
    /// and can no longer be taken out of the set. Therefore each report is the last one until the next [`wait`](Self::wait): one
    /// that is gone costs one needless wake-up, not a processor.
    pub(crate) fn watch(&mut self, watched: &Arc<dyn Watched>) -> io::Result<()> {
        self.watched.retain(|_, other| other.strong_count() > 0);
        let weak = Arc::downgrade(watched);
        if self.watched.values().any(|other| other.ptr_eq(&weak)) {
            return Ok(());
        }
        let id = self.next;
        self.next += 1;
        self.epoll.add_once(watched.fd(), WATCHED | id, EventFlags::IN)?;
        self.watched.insert(id, weak);
        Ok(())
    }

    /// Stops that, while the descriptor is still open.
    pub(crate) fn unwatch(&mut self, watched: &Arc<dyn Watched>) {
        let before = self.watched.len();
        self.watched.retain(|_, other| !core::ptr::addr_eq(other.as_ptr(), Arc::as_ptr(watched)));
        if self.watched.len() < before {
            self.epoll.remove(watched.fd());
        }
    }

    /// One that has fired. It is watched on from the next [`wait`](Self::wait): what it has to do comes first.
    pub(crate) fn fired(&mut self, id: u64) -> Option<Arc<dyn Watched>> {
        let watched = self.watched.get(&id)?.upgrade()?;
        self.fired.push(id);
        Some(watched)
    }

    /// Waits for events, at most for `timeout`; says whether there are any. [`next`](Self::next) gives them.
    ///
    /// # Errors
    /// Those of the wait. If a descriptor that has fired cannot be watched on, that is tried again in each wait; the error is
    /// reported when there is nothing else.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let watched = self.watch_on();
        let timeout = if watched.is_err() { Some(Duration::ZERO) } else { timeout };
        self.epoll.wait(timeout, &mut self.found)?;
        if self.found.ready.is_empty() {
            watched?;
        }
        Ok(!self.found.ready.is_empty())
    }

    /// Watches those on that have fired; those for which it fails are left.
    fn watch_on(&mut self) -> io::Result<()> {
        let mut failed = Ok(());
        self.fired.retain(|id| {
            let Some(watched) = self.watched.get(id).and_then(Weak::upgrade) else { return false };
            let (data, flags) =
                (EventData::new_u64(WATCHED | id), EventFlags::IN | EventFlags::ONESHOT);
            let modified = epoll::modify(&self.epoll.0, watched.fd(), data, flags);
            if let Err(error) = modified {
                failed = Err(error.into());
            }
            modified.is_err()
        });
        failed
    }

    pub(crate) fn next(&mut self) -> Option<Ready> {
        self.found.next()
    }
}

impl core::fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sleeper").field("epoll", &self.epoll.0.as_raw_fd()).finish_non_exhaustive()
    }
}
