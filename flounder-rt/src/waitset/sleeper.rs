//! Blocking in the kernel: one epoll set for the wake-up descriptor, the descriptors of sources,
//! and the descriptors that drivers watch.

use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Weak};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

use crate::fork::ProcessFd;
use crate::waitset::{SourceFds, epoll_wait};

/// A descriptor that a waitset watches for a driver, until the driver drops the object.
pub trait Watched: Send + Sync {
    /// Returns the descriptor.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Called while the descriptor is readable (level-triggered: again and again until it is not).
    /// Runs on the waitset's thread, and calls no user code.
    fn fired(&self);

    /// Called after [`fired`](Self::fired), before the waitset watches the descriptor again: for work
    /// that delays no event when it is done after the events that `fired` has reported.
    fn finish(&self) {}

    /// Called when another waitset begins to watch the descriptor.
    fn watched(&self) {}
}

/// A waitset as a driver sees it: it watches descriptors.
pub trait Watcher {
    /// Watches a descriptor (see [`Watched`]). Holds a weak reference.
    ///
    /// # Errors
    /// If the kernel has no memory for it, or the limit of epoll watches is reached.
    fn watch(&self, watched: &Arc<dyn Watched>) -> io::Result<()>;
}

/// Meaning of an epoll event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    WakeFd,
    Source(u64),
    /// Room in the descriptor of a source, and nothing else.
    Room(u64),
    Watched(u64),
}

const WAKE_FD: u64 = u64::MAX;
const WATCHED: u64 = 1 << 63;

/// Longest wait in the kernel: the kernel refuses arbitrary numbers, and callers look again anyway.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Converts a timeout for the kernel, limited to [`LONGEST`].
pub(crate) fn timespec(time: Duration) -> Timespec {
    let time = time.min(LONGEST);
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).expect("a day is short"),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}

/// An eventfd that wakes a thread which blocks in the kernel. Each signal is an edge in the
/// [`Epoll`], so no code has to read the eventfd.
#[derive(Debug)]
pub(crate) struct WakeFd(ProcessFd);

impl WakeFd {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?.into()))
    }

    /// Wakes the thread that blocks in the epoll set, or the next one that will.
    pub(crate) fn signal(&self) {
        // No other code holds this descriptor, and its counter is full after 2^64 signals only.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// A set of descriptors to wait for.
pub(crate) struct Epoll(ProcessFd);

/// Events that the last wait found, in order; `taken` of them were returned.
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

    /// Watches a source's descriptors for edges in both directions.
    pub(crate) fn add_source(&self, fds: SourceFds<'_>, token: u64) -> io::Result<()> {
        let Some(room) = fds.room else {
            return self.add(fds.arrivals, token, ARRIVALS | room_flags(true));
        };
        self.add(fds.arrivals, token, ARRIVALS)?;
        self.add(room, token, room_flags(true)).inspect_err(|_| self.remove(fds.arrivals))
    }

    /// Begins to watch a source's descriptors for room, or ends that. What is there is reported again.
    pub(crate) fn watch_room(
        &self,
        fds: SourceFds<'_>,
        token: u64,
        watches_room: bool,
    ) -> io::Result<()> {
        let room = room_flags(watches_room);
        let (fd, flags) = match fds.room {
            Some(fd) => (fd, room),
            None => (fds.arrivals, ARRIVALS | room),
        };
        Ok(epoll::modify(&self.0, fd, EventData::new_u64(token), flags)?)
    }

    /// Stops watching the descriptors of a source.
    pub(crate) fn remove_source(&self, fds: SourceFds<'_>) {
        self.remove(fds.arrivals);
        if let Some(room) = fds.room {
            self.remove(room);
        }
    }

    /// Watches a descriptor for one event of `flags`.
    pub(crate) fn add_once(
        &self,
        fd: BorrowedFd<'_>,
        token: u64,
        flags: EventFlags,
    ) -> io::Result<()> {
        self.add(fd, token, flags | EventFlags::ONESHOT)
    }

    /// Stops watching a descriptor. The kernel forgets a descriptor itself once no copy is open.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.0, fd);
    }

    /// Waits for events, at most for `timeout`. A signal ends the wait without an event.
    pub(crate) fn wait(&self, timeout: Option<Duration>, found: &mut Found) -> io::Result<()> {
        let timeout = timeout.map(timespec);
        found.taken = 0;
        found.ready.clear();
        let ready = &mut found.ready;
        let found = |data, flags| ready.push(Ready::of(data, flags));
        match epoll_wait::wait(self.0.as_fd(), timeout.as_ref(), found) {
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
    fn of(data: u64, flags: EventFlags) -> Self {
        match data {
            WAKE_FD => Self::WakeFd,
            data if data & WATCHED != 0 => Self::Watched(data & !WATCHED),
            token if flags == EventFlags::OUT => Self::Room(token),
            token => Self::Source(token),
        }
    }
}

/// Events of a descriptor on which something arrives.
const ARRIVALS: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

/// Events of a descriptor on which a source sends.
fn room_flags(watches_room: bool) -> EventFlags {
    if watches_room { EventFlags::OUT | EventFlags::ET } else { EventFlags::ET }
}

impl Iterator for Found {
    type Item = Ready;

    fn next(&mut self) -> Option<Ready> {
        let ready = self.ready.get(self.taken).copied();
        self.taken += usize::from(ready.is_some());
        ready
    }
}

/// The kernel objects of a waitset of one thread.
pub(crate) struct Sleeper {
    pub(crate) epoll: Epoll,
    watches: Watches,
    found: Found,
}

/// The descriptors that drivers watch.
#[derive(Default)]
pub(crate) struct Watches {
    watched: HashMap<u64, Weak<dyn Watched>>,
    next: u64,
    /// Ids that have fired and are not armed again yet.
    fired: Vec<u64>,
}

impl Sleeper {
    pub(crate) fn new(wake_fd: &WakeFd) -> io::Result<Self> {
        let epoll = Epoll::new(wake_fd)?;
        Ok(Self { epoll, watches: Watches::default(), found: Found::default() })
    }

    pub(crate) fn watch(&mut self, watched: &Arc<dyn Watched>) -> io::Result<()> {
        self.watches.watch(&self.epoll, watched)
    }

    pub(crate) fn unwatch(&mut self, watched: &Arc<dyn Watched>) {
        self.watches.unwatch(&self.epoll, watched);
    }

    pub(crate) fn fired(&mut self, id: u64) -> Option<Arc<dyn Watched>> {
        self.watches.fired(id)
    }

    pub(crate) fn next_fired(&self, from: &mut usize) -> Option<Arc<dyn Watched>> {
        self.watches.next_fired(from)
    }

    /// Waits for events, at most for `timeout`. Returns true if there are any; [`next`](Self::next)
    /// returns them.
    ///
    /// # Errors
    /// Errors of `epoll_wait`. If a descriptor that has fired cannot be armed again, each wait
    /// tries again; the error is reported when there is no event.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let watched = self.watches.rearm(&self.epoll);
        let timeout = if watched.is_err() { Some(Duration::ZERO) } else { timeout };
        self.epoll.wait(timeout, &mut self.found)?;
        if self.found.ready.is_empty() {
            watched?;
        }
        Ok(!self.found.ready.is_empty())
    }

    pub(crate) fn next(&mut self) -> Option<Ready> {
        self.found.next()
    }
}

impl Watches {
    /// Watches a descriptor for a driver; a second call for the same object does nothing.
    ///
    /// The kernel reports a descriptor as long as any copy of it is open, also a copy in another
    /// process after ours is closed and can no longer be removed from the set. Therefore each
    /// report disarms the descriptor until the next [`rearm`](Self::rearm): a stale one costs one
    /// needless wake-up, not a busy loop.
    pub(crate) fn watch(&mut self, epoll: &Epoll, watched: &Arc<dyn Watched>) -> io::Result<()> {
        self.watched.retain(|_, other| other.strong_count() > 0);
        let weak = Arc::downgrade(watched);
        if self.watched.values().any(|other| other.ptr_eq(&weak)) {
            return Ok(());
        }
        let id = self.next;
        self.next += 1;
        epoll.add_once(watched.fd(), WATCHED | id, EventFlags::IN)?;
        self.watched.insert(id, weak);
        watched.watched();
        Ok(())
    }

    /// Stops watching, while the descriptor is still open.
    pub(crate) fn unwatch(&mut self, epoll: &Epoll, watched: &Arc<dyn Watched>) {
        let before = self.watched.len();
        self.watched.retain(|_, other| !core::ptr::addr_eq(other.as_ptr(), Arc::as_ptr(watched)));
        if self.watched.len() < before {
            epoll.remove(watched.fd());
        }
    }

    /// Returns the object that has fired. The next [`rearm`](Self::rearm) arms its descriptor again,
    /// so that its work comes first.
    pub(crate) fn fired(&mut self, id: u64) -> Option<Arc<dyn Watched>> {
        let watched = self.watched.get(&id)?.upgrade()?;
        self.fired.push(id);
        Some(watched)
    }

    /// Returns the next object that has fired since the last [`rearm`](Self::rearm), from position `from` on, which advances.
    pub(crate) fn next_fired(&self, from: &mut usize) -> Option<Arc<dyn Watched>> {
        let fired = self.fired.get(*from..)?.iter();
        let mut objects = fired.map(|id| {
            *from += 1;
            self.watched.get(id)?.upgrade()
        });
        objects.find_map(|object| object)
    }

    /// Arms the descriptors that have fired; an id stays in `fired` if that fails.
    pub(crate) fn rearm(&mut self, epoll: &Epoll) -> io::Result<()> {
        let mut failed = Ok(());
        self.fired.retain(|id| {
            let Some(watched) = self.watched.get(id).and_then(Weak::upgrade) else { return false };
            let (data, flags) =
                (EventData::new_u64(WATCHED | id), EventFlags::IN | EventFlags::ONESHOT);
            let modified = rustix::event::epoll::modify(&epoll.0, watched.fd(), data, flags);
            if let Err(error) = modified {
                failed = Err(error.into());
            }
            modified.is_err()
        });
        failed
    }
}

impl core::fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sleeper").field("epoll", &self.epoll.0.as_raw_fd()).finish_non_exhaustive()
    }
}
