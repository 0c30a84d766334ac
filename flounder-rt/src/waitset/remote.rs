//! The handle to a waitset for other threads.

use std::io;

use crate::sync::Mutex;

use crate::fork::ForkGeneration;
use crate::waitset::gate::Gate;
use crate::waitset::sleeper::WakeFd;
use crate::waitset::{Gone, Outcome, Waitset, Wake};

/// A task for the waitset's thread.
pub(crate) type SendTask = Box<dyn FnOnce(&Waitset) -> Outcome + Send>;

/// A handle to a waitset for other threads: posts work to it and wakes its sources.
///
/// Tasks that are posted after the waitset has closed are dropped. So are tasks that a forked child
/// posts to a waitset of its parent.
pub struct Remote {
    /// Checked before a lock is taken: in a forked child the lock may be held by a thread that the
    /// child does not have.
    born: ForkGeneration,
    gate: Gate,
    queue: Mutex<Queue>,
    /// Created before the waitset first sleeps; `None` once the waitset is closed.
    wake_fd: Mutex<Option<WakeFd>>,
}

/// Tasks and signals of other threads.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) tasks: Vec<SendTask>,
    pub(crate) signals: Vec<(u64, Signal)>,
    closed: bool,
}

/// A report about a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The source should be visited.
    Wake,
    /// The peer of the source is gone.
    PeerGone(Gone),
}

impl Remote {
    /// Runs `task` on the waitset's thread, from its dispatch.
    pub fn post(&self, task: impl FnOnce(&Waitset) -> Outcome + Send + 'static) {
        drop(self.offer(Box::new(task)));
    }

    /// Returns true if the waitset is closed. After false it may close at any time.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.born.is_here() || self.queue.lock().closed
    }

    /// Posts a task, or returns it as the error if the waitset is closed.
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
        // A closed waitset has no sources.
        let _ = self.push((token, signal), |queue, signal| queue.signals.push(signal));
    }

    /// Returns true if there is something to drain. One load.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        self.gate.is_pending()
    }

    /// Takes all tasks and signals.
    pub(crate) fn drain(&self) -> Queue {
        self.gate.clear();
        let mut queue = self.queue.lock();
        Queue {
            tasks: core::mem::take(&mut queue.tasks),
            signals: core::mem::take(&mut queue.signals),
            closed: queue.closed,
        }
    }

    /// Called before the waitset blocks. Returns false if it must drain instead.
    pub(crate) fn sleep(&self) -> bool {
        self.gate.sleep()
    }

    /// Called after the waitset has blocked.
    pub(crate) fn awake(&self) {
        self.gate.awake();
    }

    /// Calls `f` with the descriptor that wakes the sleeping waitset, which the first call creates.
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

    /// Closes the handle: tasks are refused from here on, and nothing wakes the waitset.
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
