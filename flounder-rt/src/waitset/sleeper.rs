//! Blocking: one epoll set for the bell, for sources with descriptors, and for what drivers watch.

use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

use rustix::event::{Timespec, epoll};

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
    Bell,
    Source(u64),
    Watched(u64),
}

const BELL: u64 = u64::MAX;
const WATCHED: u64 = 1 << 63;
const EVENTS: usize = 64;

pub(crate) struct Sleeper {
    epoll: OwnedFd,
    watched: HashMap<u64, Weak<dyn Watched>>,
    next: u64,
    events: Vec<epoll::Event>,
}

impl Sleeper {
    pub(crate) fn new(bell: &OwnedFd) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, bell, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN)?;
        Ok(Self { epoll, watched: HashMap::new(), next: 0, events: Vec::with_capacity(EVENTS) })
    }

    /// Watches a source's descriptor for edges in both directions.
    pub(crate) fn add_source(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), flags)?)
    }

    /// Watches a descriptor once for what `flags` name.
    pub(crate) fn add_once(
        &self,
        fd: BorrowedFd<'_>,
        token: u64,
        flags: epoll::EventFlags,
    ) -> io::Result<()> {
        let flags = flags | epoll::EventFlags::ONESHOT;
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), flags)?)
    }

    /// Stops watching a descriptor. A descriptor that is closed is forgotten by the kernel.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Watches what a driver wants watched; a second time is a no-op.
    pub(crate) fn watch(&mut self, watched: &Arc<dyn Watched>) -> io::Result<()> {
        self.watched.retain(|_, other| other.strong_count() > 0);
        let weak = Arc::downgrade(watched);
        if self.watched.values().any(|other| other.ptr_eq(&weak)) {
            return Ok(());
        }
        let id = self.next;
        self.next += 1;
        let data = epoll::EventData::new_u64(WATCHED | id);
        epoll::add(&self.epoll, watched.fd(), data, epoll::EventFlags::IN)?;
        self.watched.insert(id, weak);
        Ok(())
    }

    pub(crate) fn watched(&self, id: u64) -> Option<Arc<dyn Watched>> {
        self.watched.get(&id)?.upgrade()
    }

    /// Waits for events, at most for `timeout`, and appends them to `ready`. A signal ends the wait without one.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> io::Result<()> {
        let timeout = timeout.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut self.events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.extend(self.events.iter().map(|event| match event.data.u64() {
            BELL => Ready::Bell,
            data if data & WATCHED != 0 => Ready::Watched(data & !WATCHED),
            token => Ready::Source(token),
        }));
        Ok(())
    }
}

impl core::fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sleeper").field("epoll", &self.epoll.as_raw_fd()).finish_non_exhaustive()
    }
}
