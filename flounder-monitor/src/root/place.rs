//! Keeping the root where its path leads.
//!
//! The runtime directory or its socket can be removed, renamed or replaced while the root lives: by a cleaner of /tmp, a
//! logout, `rm -r`. A newcomer would find nothing and become a second root. So the root compares what it has with what
//! its path leads to: a moment after the kernel tells of a change of the directory (inotify), and in any case every few
//! seconds, which also covers what inotify does not tell: that a directory above has changed, or that the user has no
//! watch left.
//!
//! ```text
//!   compare --same--> go on
//!      '----other, or nothing--> make the directory --> lock --got--> listen there; domains stay connected
//!                                     |                   '--taken--> a root for the moment resigns: its domains join the
//!                                     |                               other one. A daemon asks that one to hand over
//!                                     '--failed--> go on as before, and compare again later
//! ```

use core::time::Duration;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::thread;

use flounder_rt::waitset::Interest;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::net::{Shutdown, shutdown};

use crate::daemon;
use crate::election::{self, Office};
use crate::error::MonitorError;
use crate::root::Root;
use crate::root::register::Record;
use crate::runtime_dir::{RuntimeDir, Spot};
use crate::sys;

/// Between two comparisons if the kernel tells of nothing.
const SELDOM: Duration = Duration::from_secs(5);

/// The same, if the kernel cannot tell.
const OFTEN: Duration = Duration::from_secs(1);

/// After the kernel has told of a change: who removes the socket may go on to remove the directory.
const SETTLE: Duration = Duration::from_millis(100);

/// What the root has, and where it is.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(super) listener: Rc<OwnedFd>,
    spot: Spot,
    /// Number of the socket's inode.
    socket: u64,
    door: election::Door,
}

impl Standing {
    pub(crate) fn new(listener: OwnedFd, spot: Spot, socket: u64, door: election::Door) -> Self {
        Self { listener: Rc::new(listener), spot, socket, door }
    }

    fn is_in_place(&self) -> bool {
        self.spot.is_there() && self.spot.socket() == Ok(self.socket)
    }

    pub(super) const fn spot(&self) -> &Spot {
        &self.spot
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
    pub(super) fn is_door(&self, listener: &Rc<OwnedFd>) -> bool {
        Rc::ptr_eq(&self.standing.borrow().listener, listener)
    }

    fn compare(self: &Rc<Self>) {
        if self.standing.borrow().is_in_place() || self.moving.get() {
            return;
        }
        let path = self.standing.borrow().spot.path().to_owned();
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
        let same = directory.spot() == self.standing.borrow().spot();
        if same {
            // Only the socket is gone. The lock is on another descriptor of the same directory.
            sys::release();
        }
        if directory.is_ours() && directory.lock()? {
            return self.settle_in(directory);
        }
        if !self.users.borrow().policy().is_daemon() {
            tracing::info!("another process has become the root monitor meanwhile");
            self.resign();
            return Ok(());
        }
        // Asking for the office waits.
        self.moving.set(true);
        let remote = self.waitset.remote();
        let asking = move || {
            let taken = daemon::take_lock(&directory, |_| {}).map(|()| directory);
            remote.post(move |_| {
                if let Some(root) = Self::here() {
                    root.moving.set(false);
                    root.lock_taken(taken);
                }
                Ok(())
            });
        };
        let thread = thread::Builder::new().name("flounder-move".into()).spawn(asking);
        if let Err(error) = thread {
            self.moving.set(false);
            return Err(MonitorError::io("start a thread")(error));
        }
        Ok(())
    }

    fn lock_taken(self: &Rc<Self>, taken: Result<RuntimeDir, daemon::DaemonError>) {
        match taken {
            Ok(directory) => {
                if let Err(error) = self.settle_in(directory) {
                    tracing::warn!(%error, "the root monitor has no place where others find it");
                }
            }
            Err(error) => {
                tracing::error!(%error, "this daemon is the root monitor no longer");
                self.resign();
            }
        }
    }

    /// Serves in a directory whose lock it has. Those who are connected already stay so.
    fn settle_in(self: &Rc<Self>, mut directory: RuntimeDir) -> Result<(), MonitorError> {
        let door = self.standing.borrow().door;
        directory
            .share(door == election::Door::Open)
            .map_err(MonitorError::os("set who may enter the directory"))?;
        let office = election::take_office_anew(directory, door)?;
        let Office { standing, register } = office;
        let old = self.standing.replace(standing);
        // Wakes its watch, which sees that it is over.
        let _ = shutdown(&old.listener, Shutdown::Both);
        if register.is_some() {
            *self.register.borrow_mut() = register;
            self.fill_register();
        }
        let listener = Rc::clone(&self.standing.borrow().listener);
        Rc::clone(self).listen(listener);
        if let Err(errno) = self.watch_place() {
            tracing::debug!(%errno, "the runtime directory cannot be watched");
        }
        Ok(())
    }

    /// Writes down whose all names are.
    fn fill_register(&self) {
        let (names, domains, absent) =
            (self.names.borrow(), self.domains.borrow(), self.absent.borrow());
        let identity = |owner: u64| {
            let domain = domains.get(&owner).map(|domain| domain.identity);
            domain.or_else(|| absent.get(&owner).map(|absent| absent.identity))
        };
        let mut register = self.register.borrow_mut();
        let Some(register) = &mut *register else { return };
        let _ = register.take_found();
        for (name, owned) in names.after("") {
            let Some(owner) = identity(owned.owner) else { continue };
            let record = Record { name: name.to_owned(), iref: owned.iref, owner };
            if let Err(error) = register.enter(&record) {
                tracing::warn!(%error, "a name could not be written down");
            }
        }
    }
}
