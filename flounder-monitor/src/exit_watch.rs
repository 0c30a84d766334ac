//! Notification that a process has exited, from its pidfd. The end of a socket is not enough: a
//! forked child can keep the socket open.

use core::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::fs::{fstat, fstatfs};

use flounder_rt::Waitset;
use flounder_rt::cap::Cap;
use flounder_rt::waitset::{Remote, Watched};

/// Magic number of pidfs, in which each process has an inode of its own (Linux 6.9 and later).
const PIDFS: i64 = 0x5049_4446;

thread_local! {
    /// Processes that this thread watches, by the inodes of their pidfds.
    static WATCHED: RefCell<HashMap<u64, Weak<Process>>> = RefCell::default();
}

/// Watches one process until dropped. When the process exits, the callback runs, once, and posts a
/// task to the monitor's waitset.
///
/// All watches of one process on one waitset share a pidfd.
pub(crate) struct ExitWatch {
    waitset: Waitset,
    process: Arc<Process>,
    /// Key in [`Watches::callbacks`].
    number: u64,
}

struct Process {
    fd: Cap,
    inode: Option<u64>,
    remote: Arc<Remote>,
    watches: Mutex<Watches>,
}

#[derive(Default)]
struct Watches {
    next: u64,
    /// Callback of each watch; `None` once it has run.
    callbacks: HashMap<u64, Option<Arc<Callback>>>,
}

type Callback = dyn Fn(&Arc<Remote>) + Send + Sync;

impl ExitWatch {
    /// Starts a watch. `notify` posts the task.
    pub(crate) fn new(
        waitset: &Waitset,
        process: impl Into<Cap>,
        notify: impl Fn(&Arc<Remote>) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let process = process.into();
        let inode = inode_of(&process);
        let watched = inode.and_then(|inode| {
            WATCHED.with_borrow(|watched| watched.get(&inode).and_then(Weak::upgrade))
        });
        let remote = waitset.remote();
        let process = match watched {
            Some(watched) if Arc::ptr_eq(&watched.remote, &remote) => watched,
            _ => {
                let process = Process { fd: process, inode, remote, watches: Mutex::default() };
                let process = Arc::new(process);
                waitset.watch(&process.as_watched())?;
                if let Some(inode) = inode {
                    WATCHED.with_borrow_mut(|all| all.insert(inode, Arc::downgrade(&process)));
                }
                process
            }
        };
        let number = process.watches.lock().add(Arc::new(notify));
        Ok(Self { waitset: waitset.clone(), process, number })
    }

    /// Returns the pidfd.
    pub(crate) fn process(&self) -> &Cap {
        &self.process.fd
    }
}

impl Drop for ExitWatch {
    fn drop(&mut self) {
        let mut watches = self.process.watches.lock();
        let notify = watches.callbacks.remove(&self.number);
        let is_last = watches.callbacks.is_empty();
        drop(watches);
        drop(notify);
        if !is_last {
            return;
        }
        // Other processes have copies of the pidfd: the next watch of the process may bring another
        // copy.
        self.waitset.unwatch(&self.process.as_watched());
        if let Some(inode) = self.process.inode {
            // At the end of the thread, the table may have been dropped.
            let _ = WATCHED.try_with(|all| all.borrow_mut().remove(&inode));
        }
    }
}

/// Returns the inode of a pidfd, if it identifies the process.
fn inode_of(process: &Cap) -> Option<u64> {
    let is_pidfs = fstatfs(process).is_ok_and(|file_system| file_system.f_type == PIDFS);
    if is_pidfs { fstat(process).ok().map(|stat| stat.st_ino) } else { None }
}

impl Watches {
    fn add(&mut self, notify: Arc<Callback>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.callbacks.insert(number, Some(notify));
        number
    }
}

impl Process {
    fn as_watched(self: &Arc<Self>) -> Arc<dyn Watched> {
        Arc::clone(self) as Arc<dyn Watched>
    }
}

impl Watched for Process {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The pidfd stays readable, so this is called again until the posted tasks drop the watches.
    fn fired(&self) {
        let callbacks: Vec<_> =
            self.watches.lock().callbacks.values_mut().filter_map(Option::take).collect();
        for notify in callbacks {
            notify(&self.remote);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use core::time::Duration;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    thread_local! {
        static NOTIFIED: Cell<[u32; 2]> = const { Cell::new([0; 2]) };
    }

    fn watch(waitset: &Waitset, child: &Child, which: usize) -> ExitWatch {
        let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).expect("open a pidfd");
        ExitWatch::new(waitset, pidfd, move |remote| {
            remote.post(move |_| {
                let mut notified = NOTIFIED.get();
                notified[which] += 1;
                NOTIFIED.set(notified);
                Ok(())
            });
        })
        .expect("watch the child")
    }

    #[test]
    fn each_watch_is_notified_once() {
        let waitset = Waitset::new();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("start cat");
        let first = watch(&waitset, &child, 0);
        let second = watch(&waitset, &child, 1);
        let is_shared = first.process.inode.is_some();
        assert_eq!(Arc::ptr_eq(&first.process, &second.process), is_shared);
        // A dropped watch leaves the pidfd to the other one.
        drop(watch(&waitset, &child, 0));
        child.kill().expect("open a pidfd");
        child.wait().expect("wait for the child");
        let deadline = Some(Instant::now() + Duration::from_secs(20));
        let notified = waitset.dispatch_until(deadline, || NOTIFIED.get() == [1, 1]);
        assert!(notified.expect("dispatch"), "{:?}", NOTIFIED.get());
        let deadline = Some(Instant::now() + Duration::from_millis(20));
        waitset.dispatch_until(deadline, || false).expect("dispatch");
        assert_eq!(NOTIFIED.get(), [1, 1]);
        drop((first, second));
        assert!(WATCHED.with_borrow(HashMap::is_empty));
    }
}
