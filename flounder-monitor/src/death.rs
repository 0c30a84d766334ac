//! Learning that a process is dead, from its pidfd: a socket's end is not enough, since a forked child can keep it open.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use flounder_rt::Waitset;
use flounder_rt::waitset::{Remote, Watched};

/// Watches one process for as long as it is kept. When the process dies, a task is posted to the monitor's waitset, once.
pub(crate) struct DeathWatch {
    waitset: Waitset,
    watched: Arc<dyn Watched>,
    process: Arc<Process>,
}

struct Process {
    fd: OwnedFd,
    remote: Arc<Remote>,
    told: AtomicBool,
    tell: Box<Tell>,
}

type Tell = dyn Fn(&Arc<Remote>) + Send + Sync;

impl DeathWatch {
    /// Begins to watch. `tell` posts the task.
    pub(crate) fn new(
        waitset: &Waitset,
        process: OwnedFd,
        tell: impl Fn(&Arc<Remote>) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (remote, told) = (waitset.remote(), AtomicBool::new(false));
        let process = Arc::new(Process { fd: process, remote, told, tell: Box::new(tell) });
        let watched = Arc::clone(&process) as Arc<dyn Watched>;
        waitset.watch(&watched)?;
        Ok(Self { waitset: waitset.clone(), watched, process })
    }

    /// The pidfd.
    pub(crate) fn process(&self) -> &OwnedFd {
        &self.process.fd
    }
}

impl Drop for DeathWatch {
    /// Pidfds are passed on: the root has a copy, and the next link to the process may bring another one under this number.
    fn drop(&mut self) {
        self.waitset.unwatch(&self.watched);
    }
}

impl Watched for Process {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The pidfd stays readable, so this is called until the watch is dropped, by what was posted.
    fn fired(&self) {
        // SYNC told: called by the thread of the waitset alone; the flag is atomic because the trait wants it `Sync`.
        if !self.told.swap(true, Ordering::Relaxed) {
            (self.tell)(&self.remote);
        }
    }
}
