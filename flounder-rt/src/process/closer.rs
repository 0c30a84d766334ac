//! Closing descriptors of files that a peer had access to.
//!
//! `close(2)` of the last descriptor of a file runs code of that file in the calling thread, and a peer that has had another
//! descriptor of the same file can make that code wait for as long as the peer likes:
//!
//! | file | why its last close can block |
//! |---|---|
//! | TCP socket | `SO_LINGER` with unsent data: until the time is over |
//! | file of a FUSE server, NFS | `FLUSH`: until the server answers |
//! | pipe | takes the lock of the pipe, which a writer holds while it reads memory of its own that a FUSE file backs |
//! | eventfd, pidfd, device, any socket: every file that can be polled | leaves its epoll sets, and takes their locks: the peer holds such a lock by a wait that stores its events into memory that a FUSE file backs |
//! | Unix socket | as the row above, and closes the descriptors in its queue, which may be of any kind; older kernels also collect garbage of other processes |
//!
//! The rows of pipes, eventfds and Unix sockets were tried: a close took until the peer was killed. So one rule applies to all
//! kinds of files but one. *A file in memory* (memfd, tmpfs, hugetlbfs) cannot be polled, has no code of its
//! own to run at a close, and no other user during its last close: closing it costs the time to free its pages. `F_GET_SEALS`
//! distinguishes such files without a call into the file: `fstat(2)` of a FUSE file can block as well. A file in
//! memory of up to [`MAX_INLINE`] bytes is closed at once by the calling thread.
//!
//! A thread that may hang closes everything else. There are at most [`MAX_THREADS`] such threads; they start when there is
//! work and end after a while without. One thread does all the work, and another one takes over if a close takes longer than
//! 5 ms. A thread that has closed everything pauses for 500 us, or until 32 files of a peer wait: who closes many
//! files, one after the other, does not pay for a wake-up each time. The files of one peer are closed by one thread at a time, and
//! those of the peers of one user by all but one, so that one thread is left for other users.
//!
//! A peer *hangs* if none of its files has been closed for [`HANG`]. From then on, its waiting files count as
//! [`Resource::Closes`] of its account, and a peer over its limit is cut off.
//! Before that, a caller waits, for [`HANG`] at most, if [`MAX_WAITING`] files of the peer are in the queue: a peer cannot use
//! up descriptors faster than they are closed.
//!
//! A forked child has a queue and threads of its own.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::fs::{fcntl_get_seals, fstat};

use crate::account::{Account, Charge, Resource};
use crate::fork::PerProcess;

mod signals;

/// Maximum number of threads that close.
pub const MAX_THREADS: usize = 4;

/// Largest file in memory that is closed by the calling thread, in bytes.
pub const MAX_INLINE: u64 = 1 << 20;

/// Time after which a close counts as slow, so that another thread takes over.
const SLOW: Duration = Duration::from_millis(5);

/// Time without a closed file after which a peer hangs.
pub const HANG: Duration = Duration::from_millis(250);

/// Number of waiting files of one peer from which on a caller waits, too.
pub const MAX_WAITING: usize = 128;

/// Time without work after which a thread ends.
const IDLE: Duration = Duration::from_millis(100);

/// Time for which a thread without work does not need to be woken.
const PAUSE: Duration = Duration::from_micros(500);

/// Number of waiting files of one peer that ends a pause.
const MANY: usize = 32;

/// Size of a thread's stack in bytes. The thread makes one system call.
const STACK: usize = 128 << 10;

/// The peer that has, or had, access to a file.
///
/// Clones stand for the same peer.
#[derive(Clone, Default)]
pub struct Origin(Option<Arc<OriginPeer>>);

struct OriginPeer {
    account: Account,
    is_cut_off: AtomicBool,
    cut_off: Box<dyn Fn() + Send + Sync>,
}

impl Origin {
    /// The origin of files within this process. It has no account and is never cut off.
    pub const LOCAL: Self = Self(None);

    /// Returns the origin for a peer with this account. A thread that closes a file of the peer calls `cut_off`, once, when
    /// more files wait than the account allows. `cut_off` must not block.
    #[must_use]
    pub fn new(account: Account, cut_off: impl Fn() + Send + Sync + 'static) -> Self {
        let (is_cut_off, cut_off) = (AtomicBool::new(false), Box::new(cut_off));
        Self(Some(Arc::new(OriginPeer { account, is_cut_off, cut_off })))
    }

    /// Returns true if the peer has been cut off, so that nothing is accepted from it any more.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        // SYNC cut-off: a flag that never goes back; nothing is published with it.
        self.0.as_ref().is_some_and(|peer| peer.is_cut_off.load(Ordering::Relaxed))
    }

    /// Returns true if this is the origin of files within this process.
    pub(crate) const fn is_local(&self) -> bool {
        self.0.is_none()
    }

    fn account(&self) -> Option<&Account> {
        self.0.as_ref().map(|peer| &peer.account)
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self.account(), other.account()) {
            (Some(a), Some(b)) => a.is_same(b),
            (None, None) => true,
            _ => false,
        }
    }

    fn is_of_same_user(&self, other: &Self) -> bool {
        let user = |origin: &Self| origin.account().and_then(Account::process).map(|id| id.uid);
        match (user(self), user(other)) {
            (Some(a), Some(b)) => a == b,
            _ => self.is_same(other),
        }
    }

    fn cut_off(&self) {
        let Some(peer) = &self.0 else { return };
        if !peer.is_cut_off.swap(true, Ordering::Relaxed) {
            crate::log_limited!(
                warn,
                account = ?peer.account,
                "a peer is cut off: closing the descriptors that it sent blocks, and too many of them wait"
            );
            (peer.cut_off)();
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin").field(&self.account()).finish()
    }
}

/// Closes a descriptor of a file that `origin` has, or had, access to. Never blocks for longer than [`HANG`].
pub fn close(fd: OwnedFd, origin: Origin) {
    if closes_at_once(fd.as_fd()) {
        drop(fd);
    } else {
        QUEUE.here().push(fd, origin);
    }
}

/// Blocks until every descriptor that was passed to [`close`] is closed, or until `deadline`. Returns true if all are closed.
#[must_use]
pub fn wait_until_closed(deadline: Instant) -> bool {
    let queue = QUEUE.here();
    let mut state = queue.lock();
    while !state.peers.is_empty() {
        let now = Instant::now();
        if now >= deadline {
            return false;
        }
        state.waiting += 1;
        state = wait(&queue.closed, state, deadline - now);
        state.waiting -= 1;
    }
    true
}

/// Returns true if `fd` is a file in memory of moderate size. Makes no call into a file of another kind.
fn closes_at_once(fd: BorrowedFd<'_>) -> bool {
    fcntl_get_seals(fd).is_ok()
        && fstat(fd).is_ok_and(|stat| stat.st_blocks.unsigned_abs() <= MAX_INLINE / 512)
}

/// Descriptors of one process that wait to be closed.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// Signalled when there is work for a thread.
    work: Condvar,
    /// Signalled when a file was closed.
    closed: Condvar,
    /// Signalled when many files of a peer wait.
    many: Condvar,
}

#[derive(Default)]
struct State {
    threads: usize,
    /// Number of threads that wait for work.
    idle: usize,
    /// Number of threads that will look for work by themselves: that were started or woken, or pause.
    coming: usize,
    /// Number of threads that pause.
    pausing: usize,
    /// True if a thread waits for a close to become slow.
    is_watched: bool,
    /// Number of callers that wait for a file to be closed.
    waiting: usize,
    /// The peers of which files are in the queue or being closed. The first has waited longest for its turn.
    peers: Vec<PeerFiles>,
}

/// Work of a thread.
enum Next {
    /// A file of the peer at this index can be closed.
    Now(usize),
    /// A file can be closed if the close that runs takes longer than this.
    Later(Duration),
    Nothing,
}

/// The files of one peer.
struct PeerFiles {
    origin: Origin,
    waiting: VecDeque<OwnedFd>,
    /// Start of the close that runs.
    closing: Option<Instant>,
    /// Time at which the last file was closed, or the first was added.
    progress: Instant,
    /// Charge for the waiting files, while the peer hangs.
    charge: Option<Charge>,
}

/// The queue. A forked child has its own: the lock of its parent's queue may be held for ever, and the threads are the parent's.
static QUEUE: PerProcess<Queue> = PerProcess::new(|_| Queue::default());

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&'static self, fd: OwnedFd, origin: Origin) {
        let mut state = self.lock();
        while let Some(time) = state.peer(&origin).and_then(|peer| peer.time_to_wait()) {
            state.waiting += 1;
            state = wait(&self.closed, state, time);
            state.waiting -= 1;
        }
        let exceeds = state.add(fd, &origin);
        self.have_it_closed(&mut state);
        if state.pausing > 0 && state.has_many() {
            self.many.notify_one();
        }
        drop(state);
        if exceeds {
            origin.cut_off();
        }
    }

    /// Wakes or starts a thread, if there is work for one.
    fn have_it_closed(&'static self, state: &mut State) {
        match state.next() {
            Next::Now(_) => {}
            Next::Later(_) if !state.is_watched => {}
            Next::Later(_) | Next::Nothing => return,
        }
        if state.coming > 0 {
            // It sees to the rest when it has found work.
            return;
        }
        if state.idle > 0 {
            state.coming += 1;
            self.work.notify_one();
        } else if state.threads < MAX_THREADS {
            let builder = thread::Builder::new().name("flounder-close".into()).stack_size(STACK);
            // The thread takes over the mask of this one: no signal of the process is ever delivered to it.
            match signals::while_blocked(|| builder.spawn(|| self.work())) {
                Ok(_) => {
                    state.threads += 1;
                    state.coming += 1;
                }
                // The next descriptor that is to be closed tries again.
                Err(error) => {
                    crate::log_limited!(warn, %error, "no thread could be started to close descriptors")
                }
            }
        }
    }

    /// Runs in each thread.
    fn work(&'static self) {
        let mut state = self.lock();
        state.coming = state.coming.saturating_sub(1);
        let mut has_closed = false;
        loop {
            let time = match state.next() {
                Next::Now(at) => {
                    let (fd, origin) = state.begin(at);
                    // Another peer's file must not wait for this one for long.
                    self.have_it_closed(&mut state);
                    drop(state);
                    // May hang.
                    drop(fd);
                    state = self.lock();
                    state.end(&origin);
                    if state.waiting > 0 {
                        self.closed.notify_all();
                    }
                    has_closed = true;
                    continue;
                }
                Next::Nothing if has_closed => {
                    state.coming += 1;
                    state.pausing += 1;
                    let until = Instant::now() + PAUSE;
                    while let Some(time) = until.checked_duration_since(Instant::now())
                        && !state.has_many()
                    {
                        state = wait(&self.many, state, time);
                    }
                    state.pausing -= 1;
                    state.coming = state.coming.saturating_sub(1);
                    has_closed = false;
                    continue;
                }
                Next::Later(time) if !state.is_watched => Some(time),
                Next::Later(_) | Next::Nothing => None,
            };
            state.idle += 1;
            state.is_watched |= time.is_some();
            let waited = self.work.wait_timeout(state, time.unwrap_or(IDLE));
            let (next, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.is_watched &= time.is_none();
            state.idle -= 1;
            state.coming = state.coming.saturating_sub(1);
            if time.is_none() && waited.timed_out() && matches!(state.next(), Next::Nothing) {
                state.threads -= 1;
                return;
            }
        }
    }
}

impl State {
    fn peer(&self, origin: &Origin) -> Option<&PeerFiles> {
        self.peers.iter().find(|peer| peer.origin.is_same(origin))
    }

    /// Adds a file. Returns true if more files of this peer wait than its account allows.
    fn add(&mut self, fd: OwnedFd, origin: &Origin) -> bool {
        let found = self.peers.iter().position(|peer| peer.origin.is_same(origin));
        let at = found.unwrap_or_else(|| {
            self.peers.push(PeerFiles {
                origin: origin.clone(),
                waiting: VecDeque::new(),
                closing: None,
                progress: Instant::now(),
                charge: None,
            });
            self.peers.len() - 1
        });
        let peer = &mut self.peers[at];
        peer.waiting.push_back(fd);
        peer.hangs() && !peer.charge()
    }

    /// Returns the next work for a thread.
    fn next(&self) -> Next {
        let eligible = self.peers.iter().position(|peer| {
            let of_user = self.peers.iter().filter(|other| {
                other.closing.is_some() && other.origin.is_of_same_user(&peer.origin)
            });
            peer.closing.is_none() && !peer.waiting.is_empty() && of_user.count() < MAX_THREADS - 1
        });
        let Some(at) = eligible else { return Next::Nothing };
        match self.peers.iter().filter_map(|peer| peer.closing).max() {
            Some(last) if last.elapsed() < SLOW => Next::Later(SLOW - last.elapsed().min(SLOW)),
            _ => Next::Now(at),
        }
    }

    /// Returns true if many files of a peer wait that is not known to block.
    fn has_many(&self) -> bool {
        self.peers.iter().any(|peer| peer.closing.is_none() && peer.waiting.len() >= MANY)
    }

    /// Takes a file out of the queue to close it.
    fn begin(&mut self, at: usize) -> (OwnedFd, Origin) {
        // The next file of this peer comes after those of the others.
        let mut peer = self.peers.remove(at);
        let fd = peer.waiting.pop_front().expect("`next` finds peers with files that wait");
        peer.closing = Some(Instant::now());
        let origin = peer.origin.clone();
        self.peers.push(peer);
        (fd, origin)
    }

    /// Records that a file of this peer was closed.
    fn end(&mut self, origin: &Origin) {
        let Some(at) = self.peers.iter().position(|peer| peer.origin.is_same(origin)) else {
            return;
        };
        let peer = &mut self.peers[at];
        (peer.closing, peer.progress, peer.charge) = (None, Instant::now(), None);
        if peer.waiting.is_empty() {
            self.peers.remove(at);
        }
    }
}

impl PeerFiles {
    fn hangs(&self) -> bool {
        self.progress.elapsed() >= HANG
    }

    /// Returns the time for which a caller that adds a file waits until another is closed.
    fn time_to_wait(&self) -> Option<Duration> {
        if self.waiting.len() < MAX_WAITING {
            return None;
        }
        HANG.checked_sub(self.progress.elapsed()).filter(|time| !time.is_zero())
    }

    /// Charges the peer for its waiting files. Returns true if its account allows that many.
    fn charge(&mut self) -> bool {
        let Some(account) = self.origin.account() else { return true };
        let amount = self.waiting.len() as u64;
        let charged = match &mut self.charge {
            Some(charge) => charge.resize(amount),
            None => account.charge(Resource::Closes, amount).map(|charge| {
                self.charge = Some(charge);
            }),
        };
        charged.is_ok()
    }
}

fn wait<'a>(
    condvar: &Condvar,
    state: MutexGuard<'a, State>,
    time: Duration,
) -> MutexGuard<'a, State> {
    condvar.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
}
