//! Children of the process in a waitset, by their pidfds.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ExitStatus};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::waitset::{Interest, Outcome, Waitset};

/// A child that has not been waited for, so its number is its own.
struct Running {
    child: Child,
    pidfd: OwnedFd,
}

impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Waitset {
    /// Runs `task` once when `child` has exited, with its status; it leaves no zombie. The child is given back for its
    /// output, of which some may not have been read.
    ///
    /// ```
    /// use std::process::Command;
    /// let ws = flounder_rt::Waitset::new();
    /// ws.when_exited(Command::new("true").spawn()?, |_, _, status| {
    ///     assert!(status?.success());
    ///     Ok(())
    /// })?;
    /// ws.dispatch()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The status is an error if somebody else has waited for the child, or the process ignores `SIGCHLD`.
    ///
    /// # Errors
    /// If the kernel has no descriptors or memory for it. The child runs on then, and nobody waits for it.
    pub fn when_exited(
        &self,
        mut child: Child,
        task: impl FnOnce(&Self, Child, io::Result<ExitStatus>) -> Outcome + 'static,
    ) -> io::Result<()> {
        let run = |waitset: &Self, mut child: Child| {
            // It is over: this does not block.
            let status = child.wait();
            task(waitset, child, status)
        };
        if child.try_wait()?.is_some() {
            self.post(|waitset| run(waitset, child));
            return Ok(());
        }
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let running = Running { child, pidfd };
        self.when(running, Interest::Readable, |waitset, running| run(waitset, running.child))
    }
}
