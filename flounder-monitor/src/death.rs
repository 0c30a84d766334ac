//! Learning that a process is dead, from its pidfd: a socket's end is not enough, since a forked child can keep it open.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use flounder_rt::Waitset;
use flounder_rt::waitset::{Remote, Watched};

/// Watches one process for as long as it is kept. When the process dies, a task is posted to the monitor's waitset, once.
pub(crate) struct DeathWatch {
    process: OwnedFd,
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
    ) -> io::Result<Arc<Self>> {
        let (remote, told) = (waitset.remote(), AtomicBool::new(false));
        let watch = Arc::new(Self { process, remote, told, tell: Box::new(tell) });
        waitset.watch(&(Arc::clone(&watch) as Arc<dyn Watched>))?;
        Ok(watch)
    }

    /// The pidfd.
    pub(crate) const fn process(&self) -> &OwnedFd {
        &self.process
    }
}

impl Watched for DeathWatch {
    fn fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    /// The pidfd stays readable, so this is called until the watch is dropped, by what was posted.
    fn fired(&self) {
        // SYNC told: called by the thread of the waitset alone; the flag is atomic because the trait wants it `Sync`.
        if !self.told.swap(true, Ordering::Relaxed) {
            (self.tell)(&self.remote);
        }
    }
}
