//! Keeping the root where its path leads, and noticing that another has taken its place.
//!
//! The runtime directory or its socket can be removed, renamed or replaced while the root lives: by a cleaner of /tmp, a
//! logout, `rm -r`. A newcomer would find nothing and become a second root. So the root compares what it has with what
//! its path leads to: a moment after the kernel tells of a change of the directory (inotify), and in any case every few
//! seconds, which also covers what inotify does not tell: that a directory above has changed, or that the user has no
//! watch left.
//!
//! ```text
//!   compare --same--> go on
//!      |----another root listens there--> resign: its domains join that one. A daemon asks it to hand over
//!      '----nobody--> make the directory --> lock --got--> listen there; domains connect anew
//!                          |                   '--taken--> resign
//!                          '--failed--> go on as before, and compare again later
//! ```
//! Another root is there because somebody made it while the directory was gone, or because this one was stopped and did not
//! answer: docs/design/0011-a-root-that-is-stuck.md.

use core::time::Duration;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use flounder_rt::fork::ProcessFd;
use flounder_rt::waitset::Interest;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::net::{Shutdown, shutdown};

use crate::election::{self, Elected, Knock};
use crate::error::MonitorError;
use crate::office;
use crate::root::Root;
use crate::runtime_dir::{Office, RuntimeDir, Spot};

/// Between two comparisons if the kernel tells of nothing.
const SELDOM: Duration = Duration::from_secs(5);

/// The same, if the kernel cannot tell.
const OFTEN: Duration = Duration::from_secs(1);

/// After the kernel has told of a change: who removes the socket may go on to remove the directory.
const SETTLE: Duration = Duration::from_millis(100);

/// What the root has, and where it is.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(super) listener: Rc<ProcessFd>,
    spot: Spot,
    office: Office,
    door: election::Door,
}

impl Standing {
    pub(crate) fn new(listener: OwnedFd, spot: Spot, office: Office, door: election::Door) -> Self {
        Self { listener: Rc::new(listener.into()), spot, office, door }
    }

    fn is_in_place(&self) -> bool {
        self.spot.is_there() && self.spot.office() == Some(self.office)
    }

    pub(crate) const fn office(&self) -> Office {
        self.office
    }
}

impl Root {
    /// Begins to compare.
    pub(super) fn keep_place(self: &Rc<Self>) {
        let pause = match self.watch_place() {
            Ok(()) => SELDOM,
            Err(errno) => {
                tracing::debug!(%errno, "the runtime directory cannot be watched");
                OFTEN
            }
        };
        self.compare_later(pause);
    }

    fn compare_later(self: &Rc<Self>, pause: Duration) {
        let root = Rc::clone(self);
        self.waitset.after(pause, move |_| {
            if !root.resigned.get() {
                root.compare();
                root.compare_later(pause);
            }
            Ok(())
        });
    }

    /// Has the kernel tell of changes of the directory.
    fn watch_place(self: &Rc<Self>) -> rustix::io::Result<()> {
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let of_interest = WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVE_SELF;
        let flags = of_interest | WatchFlags::DELETE_SELF | WatchFlags::ONLYDIR;
        inotify::add_watch(&changes, self.standing.borrow().spot.path(), flags)?;
        self.await_change(Rc::new(changes));
        Ok(())
    }

    fn await_change(self: &Rc<Self>, changes: Rc<OwnedFd>) {
        let root = Rc::clone(self);
        let listener = Rc::clone(&self.standing.borrow().listener);
        let watched = self.waitset.when(changes, Interest::Readable, move |waitset, changes| {
            // Whatever it was: the comparison sees it.
            let mut events = [0; 4096];
            while rustix::io::read(&changes, &mut events).is_ok_and(|read| read > 0) {}
            if root.resigned.get() || !root.is_door(&listener) {
                return Ok(());
            }
            waitset.after(SETTLE, move |_| {
                if !root.resigned.get() && root.is_door(&listener) {
                    root.compare();
                }
                if root.is_door(&listener) {
                    root.await_change(changes);
                }
                Ok(())
            });
            Ok(())
        });
        if watched.is_err() {
            tracing::debug!("changes of the runtime directory are not told");
        }
    }

    /// Whether domains come through this listener, still.
    pub(super) fn is_door(&self, listener: &Rc<ProcessFd>) -> bool {
        Rc::ptr_eq(&self.standing.borrow().listener, listener)
    }

    /// Compares at once. True if this thread has a root that has not resigned.
    pub(crate) fn check_office() -> bool {
        let Some(root) = Self::here().filter(|root| !root.resigned.get()) else { return false };
        root.compare();
        !root.resigned.get()
    }

    fn compare(self: &Rc<Self>) {
        if self.standing.borrow().is_in_place() {
            // A root that was stopped when this one took its place may have let go of the lock.
            office::lock_held();
            return self.check_register();
        }
        let path = self.standing.borrow().spot.path().to_owned();
        let other = RuntimeDir::existing(path.clone()).and_then(|there| election::knock(&there));
        if let Ok(Knock::Connected(_) | Knock::Busy | Knock::Closed) = other {
            tracing::warn!(path = %path.display(), "another process has become the root monitor");
            return self.resign(Duration::ZERO);
        }
        tracing::warn!(path = %path.display(), "the runtime directory or its socket is gone; they are made anew");
        let is_daemon = self.users.borrow().policy().is_daemon();
        let directory = if is_daemon { RuntimeDir::at(path) } else { RuntimeDir::open() };
        let moved = directory.and_then(|directory| self.move_to(directory));
        if let Err(error) = moved {
            tracing::warn!(%error, "the root monitor has no place where others find it");
        }
    }

    /// Takes the office in a directory, in place of the one that is gone.
    fn move_to(self: &Rc<Self>, directory: RuntimeDir) -> Result<(), MonitorError> {
        if *directory.spot() == self.standing.borrow().spot {
            // Only the socket is gone. The lock is on another descriptor of the same directory.
            office::release();
        }
        if directory.is_ours() && directory.lock()? {
            return self.settle_in(directory);
        }
        tracing::info!("another process is about to be the root monitor");
        self.resign(Duration::ZERO);
        Ok(())
    }

    /// Serves in a directory whose lock it has.
    fn settle_in(self: &Rc<Self>, mut directory: RuntimeDir) -> Result<(), MonitorError> {
        let door = self.standing.borrow().door;
        directory
            .share(door == election::Door::Open)
            .map_err(MonitorError::os("set who may enter the directory"))?;
        let Elected { standing, mut register, .. } = election::take_office_anew(directory, door)?;
        let old = self.standing.replace(standing);
        // Wakes its watch, which sees that it is over.
        let _ = shutdown(&old.listener, Shutdown::Both);
        // What this root knows is newer.
        let _ = register.take_found();
        *self.register.borrow_mut() = Some(register);
        self.write_register();
        let listener = Rc::clone(&self.standing.borrow().listener);
        Rc::clone(self).listen(listener);
        if let Err(errno) = self.watch_place() {
            tracing::debug!(%errno, "the runtime directory cannot be watched");
        }
        Ok(())
    }
}
