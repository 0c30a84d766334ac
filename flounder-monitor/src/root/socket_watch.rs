//! Keeps the root's socket where its path leads, and notices when another root has replaced it.
//!
//! The runtime directory or its socket can be removed, renamed or replaced while the root lives: by
//! a cleaner of /tmp, a logout, `rm -r`. A newcomer would find nothing and become a second root. So
//! the root compares its socket with the one that its path leads to: a moment after inotify reports
//! a change of the directory, and every few seconds. The latter covers what inotify does not
//! report: a change of a directory above, or a user without a free watch.
//!
//! ```text
//!   compare --same--> continue
//!      |----another root listens there--> release: the domains join that one. A daemon asks it to hand over
//!      '----no root--> create the directory --> lock --got--> listen there; domains connect again
//!                          |                       '--taken--> release
//!                          '--failed--> continue as before, and compare again later
//! ```
//! Another root is there because a process became root while the directory was gone, or because
//! this one was stopped and did not answer (docs/design/0011-a-root-that-is-stuck.md). A root in a
//! later candidate directory is a reason to release, too: see [`choice`].

use core::time::Duration;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use flounder_rt::fork::ProcessFd;
use flounder_rt::waitset::Interest;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::net::{Shutdown, shutdown};

use crate::directory::choice;
use crate::directory::election::{self, ElectedRoot, RootProbe};
use crate::directory::root_lock;
use crate::directory::runtime_dir::RuntimeDir;
use crate::error::MonitorError;
use crate::root::Root;

/// Time between two comparisons if inotify reports nothing.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Time between two comparisons without inotify.
const CHECK_INTERVAL_WITHOUT_INOTIFY: Duration = Duration::from_secs(1);

/// Delay after a change: a process that removes the socket may go on to remove the directory.
const CHANGE_DELAY: Duration = Duration::from_millis(100);

impl Root {
    /// Starts the comparisons.
    pub(super) fn watch_socket(self: &Rc<Self>) {
        let pause = match self.watch_directory() {
            Ok(()) => CHECK_INTERVAL,
            Err(errno) => {
                tracing::debug!(%errno, "the runtime directory cannot be watched");
                CHECK_INTERVAL_WITHOUT_INOTIFY
            }
        };
        self.check_socket_later(pause);
    }

    fn check_socket_later(self: &Rc<Self>, pause: Duration) {
        let root = Rc::clone(self);
        self.waitset.after(pause, move |_| {
            if !root.released.get() {
                root.check_socket_now();
                root.check_socket_later(pause);
            }
            Ok(())
        });
    }

    /// Watches the directory with inotify.
    fn watch_directory(self: &Rc<Self>) -> rustix::io::Result<()> {
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let of_interest = WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVE_SELF;
        let flags = of_interest | WatchFlags::DELETE_SELF | WatchFlags::ONLYDIR;
        inotify::add_watch(&changes, self.socket.borrow().directory_id.path(), flags)?;
        self.await_change(Rc::new(changes));
        Ok(())
    }

    fn await_change(self: &Rc<Self>, changes: Rc<OwnedFd>) {
        let root = Rc::clone(self);
        let listener = Rc::clone(&self.socket.borrow().listener);
        let watched = self.waitset.when(changes, Interest::Readable, move |waitset, changes| {
            // The events do not matter: the comparison finds what has changed.
            let mut events = [0; 4096];
            while rustix::io::read(&changes, &mut events).is_ok_and(|read| read > 0) {}
            if root.released.get() || !root.is_current_listener(&listener) {
                return Ok(());
            }
            waitset.after(CHANGE_DELAY, move |_| {
                if !root.released.get() && root.is_current_listener(&listener) {
                    root.check_socket_now();
                }
                if root.is_current_listener(&listener) {
                    root.await_change(changes);
                }
                Ok(())
            });
            Ok(())
        });
        if watched.is_err() {
            tracing::debug!("changes of the runtime directory are not reported");
        }
    }

    /// Returns true if `listener` is the one in use.
    pub(super) fn is_current_listener(&self, listener: &Rc<ProcessFd>) -> bool {
        Rc::ptr_eq(&self.socket.borrow().listener, listener)
    }

    /// Compares now. Returns true if this thread has a root that is not released.
    pub(crate) fn check_socket() -> bool {
        let Some(root) = Self::current().filter(|root| !root.released.get()) else { return false };
        root.check_socket_now();
        !root.released.get()
    }

    fn check_socket_now(self: &Rc<Self>) {
        if self.socket.borrow().is_in_place() {
            let is_daemon = self.users.borrow().policy().is_daemon();
            if !is_daemon && choice::must_yield_to_later(self.socket.borrow().directory_id.path()) {
                return self.yield_to_other();
            }
            // A stopped root that this one replaced may have released the lock.
            root_lock::retry_lock();
            return self.check_journal();
        }
        let path = self.socket.borrow().directory_id.path().to_owned();
        let other = RuntimeDir::existing(path.clone()).and_then(|there| election::probe(&there));
        if let Ok(RootProbe::Connected(_) | RootProbe::Busy | RootProbe::Denied) = other {
            tracing::warn!(path = %path.display(), "another process has become the root monitor");
            return self.release(Duration::ZERO);
        }
        tracing::warn!(path = %path.display(), "the runtime directory or its socket is gone and is created again");
        let is_daemon = self.users.borrow().policy().is_daemon();
        let directory = if is_daemon { RuntimeDir::at(path) } else { choice::open() };
        let moved = directory.and_then(|directory| self.reopen_at(directory));
        if let Err(error) = moved {
            tracing::warn!(?error, "the root monitor has no socket: it tries again later");
        }
    }

    /// Gives way to the root in another directory, where the domains then join.
    fn yield_to_other(self: &Rc<Self>) {
        if let Some(journal) = &mut *self.journal.borrow_mut()
            && let Err(error) = journal.replace(&[])
        {
            tracing::warn!(%error, "the name journal of the abandoned runtime directory could not be removed");
        }
        self.release(Duration::ZERO);
    }

    /// Becomes root in a directory, in place of the one that is gone.
    fn reopen_at(self: &Rc<Self>, directory: RuntimeDir) -> Result<(), MonitorError> {
        if *directory.identity() == self.socket.borrow().directory_id {
            // Only the socket is gone. The lock is on another descriptor of the same directory.
            root_lock::release();
        }
        if directory.is_ours() && directory.lock()? {
            return self.reopen_in(directory);
        }
        tracing::info!("another process is becoming the root monitor");
        self.release(Duration::ZERO);
        Ok(())
    }

    /// Serves in a directory that this process has locked.
    fn reopen_in(self: &Rc<Self>, mut directory: RuntimeDir) -> Result<(), MonitorError> {
        let access = self.socket.borrow().access;
        directory
            .share(access == election::SocketAccess::Open)
            .map_err(MonitorError::os("set who may enter the directory"))?;
        let ElectedRoot { socket, mut journal, .. } = election::reacquire(directory, access)?;
        let old = self.socket.replace(socket);
        // Wakes the watch of the old listener, which then ends.
        let _ = shutdown(&old.listener, Shutdown::Both);
        // The names in memory are newer.
        let _ = journal.take_previous();
        *self.journal.borrow_mut() = Some(journal);
        self.rewrite_journal();
        let listener = Rc::clone(&self.socket.borrow().listener);
        Rc::clone(self).listen(listener);
        if let Err(errno) = self.watch_directory() {
            tracing::debug!(%errno, "the runtime directory cannot be watched");
        }
        Ok(())
    }
}
