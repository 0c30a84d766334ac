//! The side of a waitset that other threads see.

use core::sync::atomic::{AtomicBool, Ordering};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};

use crate::notify::Wake;
use crate::waitset::{Outcome, Waitset};

/// Work for a waitset's thread.
pub(crate) type SendTask = Box<dyn FnOnce(&Waitset) -> Outcome + Send>;

/// A handle to a waitset for other threads: posts work to it and wakes its sources.
///
/// After the waitset is gone, what is posted is dropped.
#[derive(Default)]
pub struct Remote {
    /// Something is in the queue. Set after the push, cleared before the drain.
    pending: AtomicBool,
    /// The waitset blocks, or is about to, and wants its bell rung.
    asleep: AtomicBool,
    queue: Mutex<Queue>,
    bell: OnceLock<OwnedFd>,
}

/// What others have put in.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) tasks: Vec<SendTask>,
    pub(crate) signals: Vec<(u64, Signal)>,
    closed: bool,
}

/// What happened to a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It is worth a visit.
    Wake,
    /// The process at its other end is dead.
    PeerDied,
}

impl Remote {
    /// Runs `task` on the waitset's thread, from its dispatch.
    pub fn post(&self, task: impl FnOnce(&Waitset) -> Outcome + Send + 'static) {
        self.push(|queue| queue.tasks.push(Box::new(task)));
    }

    fn push(&self, put: impl FnOnce(&mut Queue)) {
        {
            let mut queue = self.queue.lock();
            if queue.closed {
                return;
            }
            put(&mut queue);
        }
        // SYNC remote-sleep: `pending` then `asleep` here, `asleep` then `pending` in `sleep`; SeqCst on all four, so
        // at least one side sees the other and no wake-up is lost.
        self.pending.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst)
            && let Some(bell) = self.bell.get()
        {
            // A full counter would be a bell that rings already; nobody else holds this descriptor.
            let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
    }

    /// Whether there is something to drain. One load.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        // SYNC remote-queue: only a hint; the queue itself is under its lock.
        self.pending.load(Ordering::Relaxed)
    }

    /// Takes everything.
    pub(crate) fn drain(&self) -> Queue {
        self.pending.store(false, Ordering::SeqCst);
        let mut queue = self.queue.lock();
        Queue {
            tasks: core::mem::take(&mut queue.tasks),
            signals: core::mem::take(&mut queue.signals),
            closed: queue.closed,
        }
    }

    /// The waitset is about to block: returns false if it must look again instead.
    pub(crate) fn sleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        !self.pending.load(Ordering::SeqCst)
    }

    /// The waitset is awake.
    pub(crate) fn awake(&self) {
        // SYNC remote-sleep: late visibility costs a needless ring, nothing else.
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// The descriptor that becomes readable when the sleeping waitset must wake.
    pub(crate) fn bell(&self) -> rustix::io::Result<&OwnedFd> {
        if let Some(bell) = self.bell.get() {
            return Ok(bell);
        }
        let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(self.bell.get_or_init(|| made))
    }

    /// Silences the bell after a wake-up.
    pub(crate) fn silence(&self) {
        if let Some(bell) = self.bell.get() {
            let mut count = [0; 8];
            let _ = rustix::io::read(bell, &mut count);
        }
    }

    /// The waitset is gone: nothing more is taken.
    pub(crate) fn close(&self) {
        let left = {
            let mut queue = self.queue.lock();
            queue.closed = true;
            (core::mem::take(&mut queue.tasks), core::mem::take(&mut queue.signals))
        };
        drop(left);
    }
}

impl Wake for Remote {
    fn wake(&self, token: u64) {
        self.push(|queue| queue.signals.push((token, Signal::Wake)));
    }

    fn peer_died(&self, token: u64) {
        self.push(|queue| queue.signals.push((token, Signal::PeerDied)));
    }
}

impl core::fmt::Debug for Remote {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Remote").field("pending", &self.is_pending()).finish_non_exhaustive()
    }
}
