//! What this process holds while it is the root: the runtime directory with its lock, until the root ends. At a normal end of
//! the process the root's socket is unlinked, and the names if nobody else has one.
//!
//! A forked child holds nothing: it may become the root of its own accord, and its copy of the directory does not keep the
//! lock.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, FlockOperation, flock, statat, unlinkat};

use flounder_rt::fork::{PerProcess, ProcessFd};

use crate::sys;

/// Name of the root's socket in the runtime directory.
pub(crate) const ROOT_SOCKET: &str = "root.sock";

/// Name of the file, in the runtime directory, that says whose the names are.
pub(crate) const NAMES: &str = "names";

/// How long the end of the process waits for a thread that looks at this.
const EXIT_LOCK_TIMEOUT: Duration = Duration::from_millis(100);

static STATE: PerProcess<Mutex<RootState>> = PerProcess::new(|_| Mutex::default());

#[derive(Default)]
struct RootState {
    lock: Option<RootLock>,
    /// Processes besides this one have names: the next root needs to know.
    others_have_names: bool,
}

struct RootLock {
    directory: ProcessFd,
    /// Inode of this process's socket there.
    socket: u64,
}

/// Keeps the runtime directory, with the root's socket of this inode in it, until it is [`release`]d or the process ends.
pub(crate) fn hold(directory: OwnedFd, socket: u64) {
    // SYNC registered: a flag that never goes back; nothing is published with it.
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        sys::at_exit(release_at_exit);
    }
    let previous =
        STATE.here().lock().lock.replace(RootLock { directory: ProcessFd::new(directory), socket });
    debug_assert!(previous.is_none(), "a process that is root is not elected");
}

/// Takes the lock on what [`hold`] keeps, unless another process has it. A root that took the office over from one that is
/// stopped has no lock until that one lets go.
pub(crate) fn retry_lock() {
    if let Some(lock) = &STATE.here().lock().lock {
        let _ = flock(&lock.directory, FlockOperation::NonBlockingLockExclusive);
    }
}

/// Says whether processes besides this one have names.
pub(crate) fn set_others_have_names(have: bool) {
    STATE.here().lock().others_have_names = have;
}

/// Gives up what [`hold`] keeps: removes the root's socket, then lets go of the lock.
pub(crate) fn release() {
    let lock = STATE.here().lock().lock.take();
    if let Some(lock) = lock {
        remove_socket(lock.directory.as_fd(), lock.socket);
    }
}

/// Removes the root's socket if it is still this process's. One that stays is replaced by the next root. False if another
/// process is the root.
fn remove_socket(directory: BorrowedFd<'_>, inode: u64) -> bool {
    let Ok(found) = statat(directory, ROOT_SOCKET, AtFlags::SYMLINK_NOFOLLOW) else { return true };
    if found.st_ino != inode {
        return false;
    }
    let _ = unlinkat(directory, ROOT_SOCKET, AtFlags::empty());
    true
}

extern "C" fn release_at_exit() {
    let Some(mut state) = STATE.here().try_lock_for(EXIT_LOCK_TIMEOUT) else { return };
    let Some(RootLock { directory, socket }) = state.lock.take() else { return };
    if remove_socket(directory.as_fd(), socket) && !state.others_have_names {
        let _ = unlinkat(&directory, NAMES, AtFlags::empty());
    }
    // The end of the process closes the directory, and lets go of the lock: until then there is no other root.
    core::mem::forget(directory);
}
