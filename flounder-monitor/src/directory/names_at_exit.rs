//! The normal end of a process that is not the root and has, or had, names.
//!
//! The root usually sees the end of the process and erases its names. If there is no root, or if the root ends at the same
//! time, nobody would: the journal would stay until the next process uses the directory. So each such process makes sure that
//! somebody erases its names, and the last one removes the file:
//!
//! ```text
//!   lock the directory --got, no root listens--> erase the own names, or remove the journal
//!      ^   '--taken, and a root has its socket in place--> withdraw the services; the root has received it --> the socket
//!      |                                                   is still in place: the root erases, or its own end does
//!      '--otherwise: wait, as the other process is ending too
//! ```
//! A root removes its socket before it looks who else has names, so one of the two sees what the other has done. A process
//! that is killed does none of this. Its records count as those of a dead process, for the others and for the next root.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::os::fd::AsFd;
use std::thread;
use std::time::Instant;

use flounder_rt::fork::PerProcess;

use crate::directory::election::{self, RootProbe};
use crate::directory::runtime_dir::RuntimeDir;
use crate::directory::{choice, name_journal};
use crate::monitor::Monitor;
use crate::{monitor_thread, oneshot};

/// Maximum delay of the end of the process. It passes only if the root is stuck, or if another process takes that long to end.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Pause between attempts to lock the directory.
const PAUSE: Duration = Duration::from_millis(1);

static EXPECTED: PerProcess<AtomicBool> = PerProcess::new(|_| AtomicBool::new(false));

/// Has [`leave`] do its work.
pub(super) fn expect() {
    // SYNC expected: a flag that publishes no data.
    EXPECTED.here().store(true, Ordering::Relaxed);
}

/// Makes sure that the names of this process are erased. `end_as_root` returns true if this process has become the root
/// meanwhile, and has done the same as the root.
pub(super) fn leave(end_as_root: impl Fn() -> bool) {
    if !EXPECTED.here().swap(false, Ordering::Relaxed) {
        return;
    }
    let Some(Ok(directory)) = choice::chosen_already().map(RuntimeDir::existing) else { return };
    if !directory.is_ours() {
        // Its root is a daemon of another user.
        return;
    }
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline && !end_as_root() {
        match step(&directory, deadline) {
            Step::Again => thread::sleep(PAUSE),
            Step::Done => return,
            Step::Locked => {
                name_journal::leave(directory.fd().as_fd());
                // As for a root, the end of the process releases the lock.
                core::mem::forget(directory);
                return;
            }
        }
    }
}

enum Step {
    /// This process has the lock, and there is no root.
    Locked,
    /// A root erases the names.
    Done,
    Again,
}

fn step(directory: &RuntimeDir, deadline: Instant) -> Step {
    let Ok(locked) = directory.lock() else { return Step::Done };
    let listens = || !matches!(election::probe(directory), Ok(RootProbe::NoRoot));
    if locked && !listens() {
        return Step::Locked;
    }
    let root = || directory.identity().root_socket_id();
    let Some(found) = root() else { return Step::Again };
    let Some(monitor) = monitor_thread::running_elsewhere() else { return Step::Done };
    let (sender, receiver) = oneshot::channel();
    monitor.post(move |_| {
        if let Some(monitor) = Monitor::current() {
            monitor.leave(sender);
        }
        Ok(())
    });
    match receiver.wait(Some(deadline)) {
        Ok(true) if root() == Some(found) => Step::Done,
        _ => Step::Again,
    }
}
