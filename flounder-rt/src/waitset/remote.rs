//! The side of a waitset that other threads see.

use std::io;

use crate::sync::Mutex;

use crate::fork::ForkGeneration;
use crate::waitset::gate::Gate;
use crate::waitset::sleeper::WakeFd;
use crate::waitset::{Gone, Outcome, Waitset, Wake};

/// Work for a waitset's thread.
pub(crate) type SendTask = Box<dyn FnOnce(&Waitset) -> Outcome + Send>;

/// A handle to a waitset for other threads: posts work to it and wakes its sources.
///
/// After the waitset is gone, what is posted is dropped; so it is in a forked child, if the waitset is the parent's.
pub struct Remote {
    /// Asked before a lock is taken: in a child nobody may be there to let go of it.
    born: ForkGeneration,
    gate: Gate,
    queue: Mutex<Queue>,
    /// Made before the waitset first sleeps; gone when it is closed.
    wake_fd: Mutex<Option<WakeFd>>,
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
    /// There is nobody at its other end any more.
    PeerGone(Gone),
}

impl Remote {
    /// Runs `task` on the waitset's thread, from its dispatch.
    pub fn post(&self, task: impl FnOnce(&Waitset) -> Outcome + Send + 'static) {
        drop(self.offer(Box::new(task)));
    }

    /// Whether the waitset is gone. It may go at any time after a "no".
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.born.is_here() || self.queue.lock().closed
    }

    /// As [`post`](Self::post), but gives the task back if the waitset is gone.
    pub(crate) fn offer(&self, task: SendTask) -> Result<(), SendTask> {
        self.push(task, |queue, task| queue.tasks.push(task))
    }

    fn push<T>(&self, what: T, put: impl FnOnce(&mut Queue, T)) -> Result<(), T> {
        if !self.born.is_here() {
            return Err(what);
        }
        {
            let mut queue = self.queue.lock();
            if queue.closed {
                return Err(what);
            }
            put(&mut queue, what);
        }
        if self.gate.announce()
            && let Some(wake_fd) = &*self.wake_fd.lock()
        {
            wake_fd.signal();
        }
        Ok(())
    }

    fn signal(&self, token: u64, signal: Signal) {
        // A waitset that is gone has no sources.
        let _ = self.push((token, signal), |queue, signal| queue.signals.push(signal));
    }

    /// Whether there is something to drain. One load.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        self.gate.is_pending()
    }

    /// Takes everything.
    pub(crate) fn drain(&self) -> Queue {
        self.gate.clear();
        let mut queue = self.queue.lock();
        Queue {
            tasks: core::mem::take(&mut queue.tasks),
            signals: core::mem::take(&mut queue.signals),
            closed: queue.closed,
        }
    }

    /// The waitset is about to block: returns false if it must look again instead.
    pub(crate) fn sleep(&self) -> bool {
        self.gate.sleep()
    }

    /// The waitset is awake.
    pub(crate) fn awake(&self) {
        self.gate.awake();
    }

    /// Does something with what rings when the sleeping waitset must wake; makes it if there is none.
    pub(crate) fn with_wake_fd<T>(
        &self,
        f: impl FnOnce(&WakeFd) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut wake_fd = self.wake_fd.lock();
        let made = match wake_fd.take() {
            Some(wake_fd) => wake_fd,
            None => WakeFd::new()?,
        };
        f(wake_fd.insert(made))
    }

    /// The waitset is gone: nothing more is taken, and nothing rings.
    pub(crate) fn close(&self) {
        if !self.born.is_here() {
            return;
        }
        let left = {
            let mut queue = self.queue.lock();
            queue.closed = true;
            (core::mem::take(&mut queue.tasks), core::mem::take(&mut queue.signals))
        };
        let wake_fd = self.wake_fd.lock().take();
        drop(wake_fd);
        drop(left);
    }
}

impl Default for Remote {
    fn default() -> Self {
        let (queue, wake_fd) = (Mutex::default(), Mutex::default());
        Self { born: ForkGeneration::now(), gate: Gate::new(), queue, wake_fd }
    }
}

impl Wake for Remote {
    fn wake(&self, token: u64) {
        self.signal(token, Signal::Wake);
    }

    fn peer_gone(&self, token: u64, gone: Gone) {
        self.signal(token, Signal::PeerGone(gone));
    }
}

impl core::fmt::Debug for Remote {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Remote").field("pending", &self.is_pending()).finish_non_exhaustive()
    }
}
