//! The runtime directory with its lock, which this process keeps while it is the root. When the process exits normally, the
//! root's socket is unlinked, and so is the name journal if no other process that lives has a name ([`names_at_exit`]).
//!
//! A forked child keeps nothing: its copy of the directory does not hold the lock, and it may
//! become root itself.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, FlockOperation, flock, statat, unlinkat};

use flounder_rt::fork::{PerProcess, ProcessFd};

use crate::directory::{name_journal, names_at_exit};
use crate::sys;

/// File name of the root's socket in the runtime directory.
pub(crate) const ROOT_SOCKET: &str = "root.sock";

/// File name of the name journal in the runtime directory.
pub(crate) const NAMES: &str = "names";

/// Time for which the exit handler waits for a thread that holds the mutex.
const EXIT_LOCK_TIMEOUT: Duration = Duration::from_millis(100);

static STATE: PerProcess<Mutex<Option<RootLock>>> = PerProcess::new(|_| Mutex::default());

/// True once the process ends normally.
static ENDS: PerProcess<AtomicBool> = PerProcess::new(|_| AtomicBool::new(false));

/// A socket that does not have its final name yet, and its directory.
static UNPLACED: PerProcess<Mutex<Option<(OwnedFd, String)>>> =
    PerProcess::new(|_| Mutex::default());

struct RootLock {
    directory: ProcessFd,
    /// Inode of this process's socket in the directory.
    socket: u64,
}

/// Keeps the runtime directory, and the root's socket with this inode, until [`release`] or the end
/// of the process.
pub(crate) fn hold(directory: OwnedFd, socket: u64) {
    register_exit_handler();
    let previous =
        STATE.here().lock().replace(RootLock { directory: ProcessFd::new(directory), socket });
    debug_assert!(previous.is_none(), "this process is the root already");
}

/// Removes the socket `name` at a normal end of the process, until the value is dropped: then the socket has its final name,
/// or is removed.
pub(crate) fn remove_at_exit(directory: BorrowedFd<'_>, name: &str) -> Unplaced {
    register_exit_handler();
    let directory = directory.try_clone_to_owned().ok();
    *UNPLACED.here().lock() = directory.map(|directory| (directory, name.to_owned()));
    Unplaced
}

/// See [`remove_at_exit`].
#[must_use = "the socket is removed at the end of the process only while this exists"]
pub(crate) struct Unplaced;

impl Drop for Unplaced {
    fn drop(&mut self) {
        let unplaced = UNPLACED.here().lock().take();
        drop(unplaced);
    }
}

/// Makes the process leave the runtime directory as a process with names does: see [`names_at_exit`].
pub(crate) fn has_names() {
    register_exit_handler();
    names_at_exit::expect();
}

/// Returns true once the process ends normally: it must not become root.
pub(crate) fn process_ends() -> bool {
    // SYNC ends: a flag that publishes no data.
    ENDS.here().load(Ordering::Relaxed)
}

fn register_exit_handler() {
    // SYNC registered: the flag is set once and never cleared; no data is published with it.
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        sys::at_exit(release_at_exit);
    }
}

/// Tries to lock the directory that [`hold`] keeps. A root that replaced a stopped one has no lock
/// until the stopped process releases it.
pub(crate) fn retry_lock() {
    if let Some(lock) = &*STATE.here().lock() {
        let _ = flock(&lock.directory, FlockOperation::NonBlockingLockExclusive);
    }
}

/// Removes the root's socket, then releases the lock. Does nothing if [`hold`] keeps nothing.
pub(crate) fn release() {
    let lock = STATE.here().lock().take();
    if let Some(lock) = lock {
        remove_socket(lock.directory.as_fd(), lock.socket);
    }
}

/// Removes the root's socket if it is still the one of this process. Returns false if another
/// process is the root. A socket that cannot be removed is replaced by the next root.
fn remove_socket(directory: BorrowedFd<'_>, inode: u64) -> bool {
    let Ok(found) = statat(directory, ROOT_SOCKET, AtFlags::SYMLINK_NOFOLLOW) else { return true };
    if found.st_ino != inode {
        return false;
    }
    let _ = unlinkat(directory, ROOT_SOCKET, AtFlags::empty());
    true
}

extern "C" fn release_at_exit() {
    ENDS.here().store(true, Ordering::Relaxed);
    if let Some(mut unplaced) = UNPLACED.here().try_lock_for(EXIT_LOCK_TIMEOUT)
        && let Some((directory, name)) = unplaced.take()
    {
        let _ = unlinkat(&directory, &name, AtFlags::empty());
    }
    if !end_as_root() {
        names_at_exit::leave(end_as_root);
    }
}

/// Leaves the runtime directory if this process is its root. Returns false if it is not.
fn end_as_root() -> bool {
    let Some(mut state) = STATE.here().try_lock_for(EXIT_LOCK_TIMEOUT) else { return false };
    let Some(RootLock { directory, socket }) = state.take() else { return false };
    if remove_socket(directory.as_fd(), socket) {
        name_journal::leave(directory.as_fd());
    }
    // The end of the process closes the directory and releases the lock. Until then there is no other root.
    core::mem::forget(directory);
    true
}
