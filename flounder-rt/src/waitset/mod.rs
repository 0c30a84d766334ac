//! Waitsets: where threads meet events (TN-011 section 4.1).
//!
//! A [`Waitset`] belongs to one thread. It serves *sources* (bindings, which stay registered), *event channels*
//! ([`EventChannel`], single-shot), tasks posted by callbacks, timers, descriptors, signals, children, and what other
//! threads post through its [`Remote`]. The order of a [`dispatch`](Waitset::dispatch) is: what is pending, first in first
//! out; then poll what is polled, beginning behind the last one visited and stopping at the first hit; then, when nothing
//! came for the spin time, arm every polled source, look once more, and block.
//!
//! Handlers and callbacks run with no borrow of the waitset held: they may send, bind, tear down, or dispatch again.
//!
//! A program that has an event loop already waits for the waitset's one descriptor: [`Waitset::prepare_wait`].

use core::cell::{Cell, OnceCell, RefCell};
use core::fmt;
use core::time::Duration;
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use crate::barrier::arm_then_barrier;
use crate::error::Chain;
use crate::fork::ForkGeneration;

mod children;
mod epoll_wait;
mod event;
mod executor;
mod extension;
mod fds;
mod gate;
mod host_loop;
mod queues;
mod remote;
mod shared;
mod signals;
mod sleeper;
mod thread_end;
mod timeout;
mod timers;
#[cfg(feature = "tokio")]
pub mod tokio;
mod wake;
mod worker_pool;

pub use event::{ChannelState, EventChannel, EventError};
pub(crate) use extension::Extension;
use extension::Extensions;
pub use fds::Interest;
use host_loop::HostLoop;
use queues::{Item, Queues, Registered, Standing};
pub use remote::Remote;
pub(crate) use remote::Signal;
pub use shared::{SharedEvent, SharedTimer, SharedWaitset};
pub use signals::{SignalWatch, UnixSignal};
pub use sleeper::Watched;
use sleeper::{Ready, Sleeper};
pub(crate) use thread_end::{Successor, set_successor, thread_ends};
pub use timeout::{DEFAULT_TIMEOUT, Timeout};
pub use timers::Timer;
use timers::Timers;
pub use wake::{Gone, Wake};

/// How long a waitset polls before it blocks, by default: two context switches.
pub const DEFAULT_SPIN: Duration = Duration::from_micros(20);

/// The most halvings of that time while polling does not pay.
const MAX_BACK_OFF: u32 = 3;

/// After this many events in a row without blocking, descriptors and other threads get their turn.
const LOOK_AROUND: u32 = 64;

/// Sources visited between two looks at the clock while spinning.
const SPINS_PER_LOOK: usize = 32;

/// Visits to polled sources between two looks at everything else while spinning: a visit in vain is cheap, the way to it is
/// not.
const VISITS: usize = 8;

/// What a look at a source with a descriptor costs, in looks at polled ones: it is a system call.
const FD_VISIT: usize = 16;

/// The token of nothing.
const NO_TOKEN: u64 = u64::MAX;

/// What a callback gives back.
pub type Outcome = Result<(), CallbackError>;

pub(crate) type Task = Box<dyn FnOnce(&Waitset) -> Outcome>;

/// Something that stays registered with a waitset: a binding.
pub trait Source {
    /// Does one piece of work, if there is any: receives one message and runs its handler, or gets on with a send.
    fn turn(&self) -> bool;

    /// Whether [`turn`](Source::turn) would do something. Cheap.
    fn ready(&self) -> bool;

    /// Asks for a wake-up (clause 8 of the driver contract); false if there can be none.
    fn arm(&self) -> bool;
    /// Withdraws it.
    fn disarm(&self);

    /// Returns how long the waitset may sleep at most before it looks at this source again, although nobody has woken it;
    /// `None` if there is no limit. Asked after [`arm`](Source::arm).
    fn sleep_limit(&self) -> Option<Duration> {
        None
    }

    /// Gives back the memory that large messages took. Called before the waitset sleeps, once for each
    /// `Waitset::trim_before_sleep`.
    fn trim(&self) {}

    /// Whether it must be looked at to learn of events (otherwise its descriptor or its driver tells).
    fn is_polled(&self) -> bool;

    /// There is nobody at the other end any more.
    fn peer_gone(&self, gone: Gone);

    /// The waitset is going; the source will not be visited again.
    fn abandoned(&self);
}

/// A thread's events. Cheap to clone: clones are the same waitset.
///
/// ```
/// use flounder_rt::Waitset;
/// let ws = Waitset::current();
/// ws.post(|_| { println!("from the event loop"); Ok(()) });
/// ws.dispatch()?;
/// # Ok::<(), flounder_rt::DispatchError>(())
/// ```
#[derive(Clone)]
pub struct Waitset(Rc<Inner>);

struct Inner {
    /// Aligns the waitset, so that no other data of the program shares its cache lines.
    _own_lines: CachePadded<()>,
    /// [`ForkGeneration::NOWHERE`] once it is closed.
    born: Cell<ForkGeneration>,
    queues: RefCell<Queues>,
    timers: RefCell<Timers<Task>>,
    sleeper: RefCell<Option<Sleeper>>,
    remote: Arc<Remote>,
    spin: Cell<Duration>,
    /// How often the spin time is halved at present.
    backed_off: Cell<u32>,
    /// Sources that hold more memory than they need while the waitset sleeps.
    untrimmed: RefCell<Vec<Weak<dyn Source>>>,
    /// Events since the last look at descriptors and other threads.
    streak: Cell<u32>,
    /// Where the polled sources are collected that are about to rest; empty otherwise.
    resting: Cell<Vec<Registered>>,
    /// The source with a descriptor that had work last: before it blocks the waitset looks at it too, as at those that
    /// are polled.
    last_ready: Cell<u64>,
    extensions: Extensions,
    /// The futures that were spawned and are not over.
    tasks: executor::Tasks,
    /// For the next `block_on`, while none runs.
    cached_waker: Cell<Option<Rc<executor::CachedWaker>>>,
    /// For a loop that this waitset is part of, if there is one.
    host_loop: OnceCell<HostLoop>,
}

/// What `dispatch` reports.
#[non_exhaustive]
pub enum DispatchError {
    /// A callback gave an error back. It was the only thing that was lost.
    Callback(CallbackError),
    /// The kernel refused to make or to wait on the waitset's descriptors.
    Os(io::Error),
    /// A blocking wait ended without what it waited for.
    Deadline,
    /// The thread of the waitset is ending, and has closed it.
    Closed,
    /// The waitset is the parent's, and this is a forked child. What is made anew here works.
    Forked,
}

crate::debug_as_chain!(DispatchError);

impl fmt::Display for DispatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callback(_) => f.write_str("a callback failed"),
            Self::Os(_) => f.write_str("the waitset cannot block"),
            Self::Deadline => f.write_str("the deadline passed"),
            Self::Closed => f.write_str("the waitset is closed, because its thread is ending"),
            Self::Forked => f.write_str(
                "the waitset belongs to the parent of this forked process; make a new one here",
            ),
        }
    }
}

impl std::error::Error for DispatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Callback(error) => Some(&*error.0),
            Self::Os(error) => Some(error),
            Self::Deadline | Self::Closed | Self::Forked => None,
        }
    }
}

/// As calls say it whose errors are the system's.
impl From<DispatchError> for io::Error {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::Os(error) => error,
            error @ DispatchError::Closed => Self::new(io::ErrorKind::NotConnected, error),
            error @ DispatchError::Forked => Self::new(io::ErrorKind::PermissionDenied, error),
            error => Self::other(error),
        }
    }
}

impl From<io::Error> for DispatchError {
    fn from(error: io::Error) -> Self {
        Self::Os(error)
    }
}

/// Any error that a callback gives back with `?`.
pub struct CallbackError(Box<dyn std::error::Error + Send + Sync>);

impl CallbackError {
    /// The error itself.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.0
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for CallbackError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Chain(&*self.0), f)
    }
}

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Waitset>> = const { RefCell::new(None) };
}

impl Waitset {
    /// A new one, for this thread. Costs no descriptor before it first blocks.
    ///
    /// It ends with its last clone, or with its thread, whichever comes first: a handler, a task or a timer may own a clone.
    /// At its end its bindings are torn down, its services are withdrawn, and what it has not run is dropped.
    ///
    /// In a forked child the waitsets of the parent give [`DispatchError::Forked`], and nothing done to them reaches the
    /// parent.
    #[must_use]
    pub fn new() -> Self {
        let waitset = Self(Rc::new(Inner {
            _own_lines: CachePadded::new(()),
            born: Cell::new(ForkGeneration::now()),
            queues: RefCell::default(),
            timers: RefCell::default(),
            sleeper: RefCell::new(None),
            remote: Arc::default(),
            spin: Cell::new(DEFAULT_SPIN),
            backed_off: Cell::new(0),
            untrimmed: RefCell::default(),
            streak: Cell::new(0),
            resting: Cell::default(),
            last_ready: Cell::new(NO_TOKEN),
            extensions: Extensions::default(),
            tasks: executor::Tasks::default(),
            cached_waker: Cell::default(),
            host_loop: OnceCell::new(),
        }));
        thread_end::add(&waitset);
        waitset
    }

    /// The waitset of this thread that `remote` leads to, if it is one of this thread.
    #[must_use]
    pub fn local(remote: &Arc<Remote>) -> Option<Self> {
        thread_end::find(remote)
    }

    /// The dispatcher's default waitset: one for each thread. `get_default_waitset`
    #[must_use]
    pub fn current() -> Self {
        let current = CURRENT.try_with(|current| {
            let mut current = current.borrow_mut();
            if current.as_ref().is_some_and(|current| !current.is_usable()) {
                // That of the parent, in a forked child, or a closed one; both are left to the end of the thread.
                core::mem::forget(current.take());
            }
            current.get_or_insert_with(Self::new).clone()
        });
        // What is dropped while the thread ends may still ask.
        current.unwrap_or_else(|_| Self::new())
    }

    /// Sets how long the waitset polls before it blocks. Zero blocks at once. After waits that were much longer it polls for
    /// less, down to an eighth, until one is short again.
    pub fn set_spin(&self, spin: Duration) {
        self.0.spin.set(spin);
    }

    /// The handle for other threads.
    #[must_use]
    pub fn remote(&self) -> Arc<Remote> {
        Arc::clone(&self.0.remote)
    }

    /// Runs `task` from a later dispatch, behind what is pending now.
    ///
    /// It is dropped if the waitset is closed or the parent's.
    pub fn post(&self, task: impl FnOnce(&Self) -> Outcome + 'static) {
        if self.is_usable() {
            self.0.queues.borrow_mut().pending.push_back(Item::Task(Box::new(task)));
            self.wake_host_loop();
        }
    }

    /// Waits for the next event and runs it. `event_dispatch`
    ///
    /// # Errors
    /// What the event's callback returned, or [`DispatchError::Os`]: the waitset is as usable as before.
    /// [`DispatchError::Closed`] and [`DispatchError::Forked`]: it cannot be used here any more.
    ///
    /// # Panics
    /// If the event's callback panics, unless it is a handler of a binding. The waitset is as usable as before.
    #[inline]
    pub fn dispatch(&self) -> Result<(), DispatchError> {
        while !self.step()? && !self.block(None, Visit::Run)? {}
        Ok(())
    }

    /// Runs the next event if there is one, and says whether there was. `event_dispatch_non_block`
    ///
    /// # Errors
    /// As [`dispatch`](Waitset::dispatch).
    pub fn try_dispatch(&self) -> Result<bool, DispatchError> {
        if self.step()? {
            return Ok(true);
        }
        self.look_around()?;
        self.step()
    }

    /// Dispatches until `done` says so or `deadline` passes; returns whether it was done. The deadline is looked at after
    /// every event, so that a flood of them does not hold the caller.
    ///
    /// # Errors
    /// As [`dispatch`](Waitset::dispatch).
    pub fn dispatch_until(
        &self,
        deadline: Option<Instant>,
        mut done: impl FnMut() -> bool,
    ) -> Result<bool, DispatchError> {
        loop {
            if done() {
                return Ok(true);
            }
            let stepped = self.step()?;
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(done());
            }
            if !stepped {
                self.block(deadline, Visit::Run)?;
            }
        }
    }

    /// Waits for the next event and hands it out instead of running it. `get_next_event`
    ///
    /// # Errors
    /// [`DispatchError::Os`].
    pub fn next_event(&self) -> Result<Event, DispatchError> {
        loop {
            if let Some(event) = self.check_for_event()? {
                return Ok(event);
            }
            self.block(None, Visit::Find)?;
        }
    }

    /// Hands out the next event if there is one. `check_for_event`
    ///
    /// That of a binding may turn out to be nothing when it is run: its driver says only that it is worth a visit.
    ///
    /// # Errors
    /// [`DispatchError::Os`].
    pub fn check_for_event(&self) -> Result<Option<Event>, DispatchError> {
        let ready = |source: &dyn Source| source.ready();
        let mut next = self.next(ready)?;
        if next.is_none() {
            self.look_around()?;
            next = self.next(ready)?;
        }
        Ok(next.map(|next| Event { waitset: self.clone(), next: Some(next) }))
    }

    /// Whether nothing is pending now (polled sources are not looked at).
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.queues.borrow().pending.is_empty() && !self.0.remote.is_pending()
    }

    /// Watches what a driver wants watched (see [`Watched`]). It is held weakly.
    ///
    /// # Errors
    /// If the kernel has no more room for it.
    pub fn watch(&self, watched: &Arc<dyn Watched>) -> io::Result<()> {
        self.with_sleeper(|sleeper| sleeper.watch(watched))
    }

    /// Stops watching it. Dropping it does, too, unless another process has a copy of the descriptor: the kernel forgets a
    /// descriptor with its last copy, and until then would refuse to watch another copy under the same number.
    pub fn unwatch(&self, watched: &Arc<dyn Watched>) {
        // Nothing is made for it: what was never watched has no sleeper.
        if let Some(sleeper) = &mut *self.0.sleeper.borrow_mut() {
            sleeper.unwatch(watched);
        }
    }

    /// Whether the two are the same waitset.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Another waitset of this thread, for what one that is gone has left to do; there is none if the thread ends.
    pub(crate) fn heir() -> Option<Self> {
        if thread_end::is_ending() {
            return None;
        }
        let current = CURRENT.try_with(|current| current.borrow().clone()).ok()?;
        let current = current.filter(Self::is_usable).or_else(thread_end::first);
        Some(current.unwrap_or_else(Self::current))
    }

    /// Returns whether this is its process, and its thread is not ending.
    #[inline]
    fn is_usable(&self) -> bool {
        self.0.born.get().is_here()
    }

    #[inline]
    pub(crate) fn usable(&self) -> Result<(), DispatchError> {
        if self.is_usable() { Ok(()) } else { Err(self.0.why_not_usable()) }
    }

    pub(crate) fn downgrade(&self) -> WeakWaitset {
        WeakWaitset(Rc::downgrade(&self.0))
    }

    /// Registers a source with its descriptor. It is visited once soon.
    pub(crate) fn insert(&self, source: Rc<dyn Source>, fd: BorrowedFd<'_>) -> io::Result<u64> {
        self.usable()?;
        let token = self.0.queues.borrow_mut().insert(source);
        if let Err(error) = self.with_sleeper(|sleeper| sleeper.epoll.add_source(fd, token)) {
            self.remove(token, None);
            return Err(error);
        }
        self.0.queues.borrow_mut().make_pending(token);
        self.wake_host_loop();
        Ok(token)
    }

    /// Registers a source that is looked at in every round. Its first visit comes in its turn: one service may be bound to
    /// again and again, and those whose bindings have ended meanwhile wait to be visited as well.
    pub(crate) fn insert_polled(&self, source: Rc<dyn Source>) -> io::Result<u64> {
        self.usable()?;
        let mut queues = self.0.queues.borrow_mut();
        let token = queues.insert(source);
        queues.make_polled(token);
        drop(queues);
        self.wake_host_loop();
        Ok(token)
    }

    /// Registers a source that is visited when it is poked. A waitset that is not usable never visits it.
    pub(crate) fn insert_idle(&self, source: Rc<dyn Source>) -> u64 {
        if !self.is_usable() {
            return NO_TOKEN;
        }
        self.0.queues.borrow_mut().insert(source)
    }

    /// Forgets a source.
    pub(crate) fn remove(&self, token: u64, fd: Option<BorrowedFd<'_>>) {
        if let (Some(fd), Some(sleeper)) = (fd, &*self.0.sleeper.borrow()) {
            sleeper.epoll.remove(fd);
        }
        // The source may be dropped here, and its channel with it: not under the borrow.
        let removed = self.0.queues.borrow_mut().remove(token);
        drop(removed);
    }

    /// Has a source visited soon.
    pub(crate) fn poke(&self, token: u64) {
        if self.0.queues.borrow_mut().make_pending(token) == Some(Standing::Idle) {
            let source = self.0.queues.borrow().source(token).cloned();
            if let Some(source) = source {
                source.disarm();
            }
        }
        self.wake_host_loop();
    }

    /// Runs one event that needs no system call to be found.
    #[inline]
    fn step(&self) -> Result<bool, DispatchError> {
        self.step_quickly().map_or_else(|| self.step_slowly(), Ok)
    }

    /// What most steps are: nothing is pending, and the polled source whose turn it is has something to do. As
    /// [`step`](Self::step), but `None` if there is more to look at than polled sources, or the waitset is not usable.
    #[inline(never)]
    fn step_quickly(&self) -> Option<bool> {
        let inner = &*self.0;
        let streak = inner.streak.get();
        if streak >= LOOK_AROUND || !self.is_usable() || inner.remote.is_pending() {
            return None;
        }
        let mut queues = inner.queues.borrow_mut();
        if !queues.pending.is_empty() {
            return None;
        }
        let (at, source) = queues.next_polled()?;
        let source = Rc::clone(source);
        drop(queues);
        inner.streak.set(streak + 1);
        if source.turn() { Some(true) } else { self.missed(at, source) }
    }

    /// Goes on with the round behind a polled source that had nothing to do.
    #[inline(never)]
    fn missed(&self, at: usize, source: Rc<dyn Source>) -> Option<bool> {
        let left = {
            let mut queues = self.0.queues.borrow_mut();
            queues.had_none(at, &source);
            queues.polled_len().saturating_sub(1)
        };
        drop(source);
        let quiet = || self.0.queues.borrow().pending.is_empty();
        if quiet() && self.poll_round(left, |source| source.turn()).is_some() {
            return Some(true);
        }
        quiet().then_some(false)
    }

    #[inline(never)]
    fn step_slowly(&self) -> Result<bool, DispatchError> {
        // Pending sources that turn out to have nothing are no events, but nor may they hold the caller for ever.
        for _ in 0..LOOK_AROUND {
            let worked = match self.next(|source| source.turn())? {
                Some(Next::Task(task)) => {
                    task(self).map_err(DispatchError::Callback)?;
                    true
                }
                Some(Next::Runnable(runnable)) => {
                    runnable.run();
                    true
                }
                Some(Next::Source(token, source)) => self.visit(token, &*source),
                Some(Next::Polled(_)) => true,
                None => return Ok(false),
            };
            if worked {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Takes the next event. Polled sources are asked by `probe`.
    #[inline]
    fn next(&self, probe: impl Fn(&dyn Source) -> bool) -> Result<Option<Next>, DispatchError> {
        self.usable()?;
        let streak = self.0.streak.get();
        if streak >= LOOK_AROUND {
            self.look_around()?;
            self.rest_quiet();
            // One polled event, so that those that are always pending do not starve those that are polled.
            if let Some(source) = self.poll_round(self.polled_len(), &probe) {
                return Ok(Some(Next::Polled(source)));
            }
        }
        self.0.streak.set(self.0.streak.get() + 1);
        if self.0.remote.is_pending() {
            self.drain_remote();
        }
        loop {
            let item = self.0.queues.borrow_mut().pending.pop_front();
            match item {
                Some(Item::Task(task)) => return Ok(Some(Next::Task(task))),
                Some(Item::Runnable(runnable)) => return Ok(Some(Next::Runnable(runnable))),
                Some(Item::Event(due)) => {
                    if let Some(task) = due.take() {
                        return Ok(Some(Next::Task(task)));
                    }
                }
                Some(Item::Source(token)) => {
                    let source = self.0.queues.borrow_mut().taken(token);
                    if let Some(source) = source {
                        return Ok(Some(Next::Source(token, source)));
                    }
                }
                None => {
                    if let Some(source) = self.poll_round(self.polled_len(), &probe) {
                        return Ok(Some(Next::Polled(source)));
                    }
                    if self.0.queues.borrow().pending.is_empty() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn polled_len(&self) -> usize {
        self.0.queues.borrow().polled_len()
    }

    /// Asks polled sources, so many of them at most, until one has something to do or something becomes pending meanwhile.
    #[inline]
    fn poll_round(
        &self,
        mut left: usize,
        probe: impl Fn(&dyn Source) -> bool,
    ) -> Option<Rc<dyn Source>> {
        let pending = self.0.queues.borrow().pending.len();
        while left > 0 {
            let mut queues = self.0.queues.borrow_mut();
            let (at, source) = queues.next_polled()?;
            let source = Rc::clone(source);
            drop(queues);
            if probe(&*source) {
                return Some(source);
            }
            let mut queues = self.0.queues.borrow_mut();
            queues.had_none(at, &source);
            if queues.pending.len() > pending {
                return None;
            }
            left -= 1;
        }
        None
    }

    /// Visits a source that was pending, and puts it back where it belongs, also if a handler unwinds.
    fn visit(&self, token: u64, source: &dyn Source) -> bool {
        if source.is_polled() {
            self.0.queues.borrow_mut().make_polled(token);
            return source.turn();
        }
        // Its descriptor told of an edge only; until nothing was found there may be more.
        let mut again = Again { waitset: self, token, wanted: true };
        again.wanted = source.turn();
        if again.wanted {
            self.0.last_ready.set(token);
        }
        again.wanted
    }

    /// Takes in what other threads have posted.
    fn drain_remote(&self) {
        self.wake_host_loop();
        let queue = self.0.remote.drain();
        for (token, signal) in queue.signals {
            match signal {
                Signal::Wake => self.poke(token),
                Signal::PeerGone(gone) => {
                    let source = self.0.queues.borrow().source(token).cloned();
                    if let Some(source) = source {
                        source.peer_gone(gone);
                        self.poke(token);
                    }
                }
            }
        }
        let mut queues = self.0.queues.borrow_mut();
        queues.pending.extend(queue.tasks.into_iter().map(|task| Item::Task(task as Task)));
    }

    /// Looks at other threads, timers and descriptors, without blocking.
    fn look_around(&self) -> Result<(), DispatchError> {
        self.0.streak.set(0);
        if self.0.remote.is_pending() {
            self.drain_remote();
        }
        self.run_timers();
        if self.0.sleeper.borrow().is_some() {
            self.wait(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Waits in the kernel and makes pending what it tells of.
    fn wait(&self, timeout: Option<Duration>) -> Result<(), DispatchError> {
        let waited = self.with_sleeper(|sleeper| sleeper.wait(timeout));
        // From here on nobody has to ring, least of all this thread itself.
        self.0.remote.awake();
        self.wake_host_loop();
        waited?;
        self.take_found()?;
        if self.0.remote.is_pending() {
            self.drain_remote();
        }
        Ok(())
    }

    /// Makes pending what the last wait in the kernel has found.
    fn take_found(&self) -> io::Result<()> {
        while let Some(ready) = self.with_sleeper(|sleeper| Ok(sleeper.next()))? {
            match ready {
                Ready::WakeFd => {}
                Ready::Source(token) => self.poke(token),
                Ready::Watched(id) => {
                    let watched = self.with_sleeper(|sleeper| Ok(sleeper.fired(id)))?;
                    if let Some(watched) = watched {
                        watched.fired();
                    }
                }
            }
        }
        Ok(())
    }

    /// Polls for the spin time, then blocks, until there is something to do or `deadline` has passed; says whether an event
    /// was run, which is never if `visit` only finds.
    fn block(&self, deadline: Option<Instant>, visit: Visit) -> Result<bool, DispatchError> {
        self.wake_host_loop();
        let polled = self.polled_len();
        let last_ready = self.0.last_ready.replace(NO_TOKEN);
        let source = self.0.queues.borrow().source(last_ready).cloned();
        let spun = if let Some(source) = source {
            self.spin(polled + FD_VISIT, || match self.look(visit) {
                Found::Nothing => self.look_at_last_ready(last_ready, &*source, visit),
                found => found,
            })
        } else if polled > 0 {
            self.spin(polled, || self.look(visit))
        } else {
            Spun::InVain(None)
        };
        let began = match spun {
            Spun::Found(found) => return Ok(found == Found::Event),
            Spun::InVain(began) => began,
        };
        match self.rest() {
            Rest::Asleep(limit) => {
                self.sleep(earlier(deadline, limit), true)?;
                self.back_off(began);
                Ok(false)
            }
            Rest::News => {
                std::thread::yield_now();
                Ok(false)
            }
            Rest::Never => {
                std::thread::yield_now();
                self.look_around().map(|()| false)
            }
        }
    }

    /// Learns from a wait that ended in sleep whether polling would have paid.
    fn back_off(&self, began: Option<Instant>) {
        if let Some(began) = began {
            let long = began.elapsed() >= 2 * self.0.spin.get();
            self.0.backed_off.set(if long {
                (self.0.backed_off.get() + 1).min(MAX_BACK_OFF)
            } else {
                0
            });
        }
    }

    /// Arms every polled source and looks once more; says whether they all rest now.
    fn rest(&self) -> Rest {
        let mut resting = self.0.resting.take();
        self.0.queues.borrow().all_polled(&mut resting);
        let mut can_sleep = true;
        if !resting.is_empty() {
            arm_then_barrier(|| {
                can_sleep = resting.iter().fold(true, |all, (_, source)| source.arm() && all);
            });
        }
        let rest = match self.look(Visit::Find) {
            Found::Nothing if can_sleep => Rest::Asleep(self.make_all_idle(&resting)),
            _ if can_sleep => Rest::News,
            _ => Rest::Never,
        };
        if !matches!(rest, Rest::Asleep(_)) {
            resting.iter().for_each(|(_, source)| source.disarm());
        }
        self.rested(resting);
        rest
    }

    /// Makes sources that are armed idle, except those that limit the sleep: they are polled when it is over. Returns when
    /// that is, if there is a limit.
    fn make_all_idle(&self, armed: &[Registered]) -> Option<Instant> {
        let mut limit = None;
        for (token, source) in armed {
            match source.sleep_limit() {
                None => self.0.queues.borrow_mut().make_idle(*token),
                Some(time) => limit = earlier(limit, Some(Instant::now() + time)),
            }
        }
        limit
    }

    /// Looks until something is found or the spin time is over; `visits` is what one look costs.
    #[inline]
    fn spin(&self, visits: usize, mut look: impl FnMut() -> Found) -> Spun {
        let spin = self.0.spin.get() / (1 << self.0.backed_off.get());
        let mut started: Option<Instant> = None;
        loop {
            for _ in 0..SPINS_PER_LOOK.div_ceil(visits) {
                let found = look();
                if found != Found::Nothing {
                    self.0.backed_off.set(0);
                    return Spun::Found(found);
                }
                // A peer that answers at once does so in the first looks: then neither a pause nor the clock is in the way.
                if started.is_some() {
                    core::hint::spin_loop();
                }
            }
            if started.get_or_insert_with(Instant::now).elapsed() >= spin {
                return Spun::InVain(started);
            }
        }
    }

    /// Looks at what is pending, and visits the polled sources until one of them has something to do.
    #[inline]
    fn look(&self, visit: Visit) -> Found {
        if self.0.remote.is_pending() {
            return Found::Something;
        }
        let mut queues = self.0.queues.borrow_mut();
        let mut left = queues.polled_len();
        let times = if left < VISITS { VISITS / left.max(1) } else { 1 };
        while queues.pending.is_empty() {
            if left == 0 {
                return Found::Nothing;
            }
            let Some((at, source)) = queues.next_polled() else { return Found::Nothing };
            let source = Rc::clone(source);
            drop(queues);
            match visit {
                Visit::Run if (0..times).any(|_| source.turn()) => return Found::Event,
                Visit::Find if source.ready() => {
                    self.0.queues.borrow_mut().go_back(at, &source);
                    return Found::Something;
                }
                _ => {}
            }
            queues = self.0.queues.borrow_mut();
            queues.had_none(at, &source);
            left -= 1;
        }
        Found::Something
    }

    /// Looks at the source with a descriptor that had work last.
    fn look_at_last_ready(&self, token: u64, source: &dyn Source, visit: Visit) -> Found {
        match visit {
            Visit::Run if self.visit(token, source) => Found::Event,
            Visit::Find if source.ready() => {
                let pending = self.0.queues.borrow_mut().make_pending(token);
                if pending.is_some() { Found::Something } else { Found::Nothing }
            }
            _ => Found::Nothing,
        }
    }

    /// Blocks in the kernel until another thread, a descriptor, a timer or `deadline`, unless something is pending.
    ///
    /// The caller has armed what it waits for.
    fn sleep(&self, deadline: Option<Instant>, timers: bool) -> Result<(), DispatchError> {
        self.trim_sources();
        self.with_sleeper(|_| Ok(()))?;
        if self.0.remote.sleep() {
            let timer = if timers { self.0.timers.borrow_mut().next() } else { None };
            let next = earlier(timer, deadline);
            self.wait(next.map(|at| at.saturating_duration_since(Instant::now())))?;
        } else {
            self.0.remote.awake();
            self.drain_remote();
        }
        self.0.streak.set(0);
        self.run_timers();
        Ok(())
    }

    /// Has `source` give memory back before this waitset sleeps next: not sooner, since the next large message may follow.
    pub(crate) fn trim_before_sleep(&self, source: Weak<dyn Source>) {
        self.0.untrimmed.borrow_mut().push(source);
    }

    fn trim_sources(&self) {
        let untrimmed = core::mem::take(&mut *self.0.untrimmed.borrow_mut());
        for source in untrimmed {
            if let Some(source) = source.upgrade() {
                source.trim();
            }
        }
    }

    /// Gives the collection back; what is dropped with it may run user code.
    fn rested(&self, mut resting: Vec<Registered>) {
        resting.clear();
        self.0.resting.set(resting);
    }

    /// Arms polled sources that have been quiet for long, so that ten thousand of them cost a busy one nothing.
    fn rest_quiet(&self) {
        // One that never sleeps gives memory back, too.
        self.trim_sources();
        let mut quiet = self.0.resting.take();
        self.0.queues.borrow_mut().quiet(&mut quiet);
        if !quiet.is_empty() {
            // Those that nobody would wake stay, and are not asked again soon.
            arm_then_barrier(|| {
                quiet.retain(|(token, source)| {
                    let armed = source.arm();
                    if !armed {
                        self.0.queues.borrow_mut().had_news(*token);
                    }
                    armed
                });
            });
            for (token, source) in &quiet {
                if source.ready() || source.sleep_limit().is_some() {
                    source.disarm();
                    self.0.queues.borrow_mut().had_news(*token);
                } else {
                    self.0.queues.borrow_mut().make_idle(*token);
                }
            }
        }
        self.rested(quiet);
    }

    /// Waits until `done`, visiting only the source `token`, whose turn is `turn`; everything else stays pending.
    pub(crate) fn wait_for(
        &self,
        token: u64,
        source: &dyn Source,
        timeout: Timeout,
        turn: &mut dyn FnMut() -> bool,
        done: &dyn Fn() -> bool,
    ) -> Result<(), DispatchError> {
        let (mut deadline, mut events) = (None, 0_u32);
        while !done() {
            let visit = || if turn() { Found::Event } else { Found::Nothing };
            let visits = if source.is_polled() { 1 } else { FD_VISIT };
            let spun = self.spin(visits, visit);
            // An answer that is quick does without the clock; a flood of other messages is no reason to wait on.
            if let Spun::Found(_) = spun {
                events += 1;
                if !events.is_multiple_of(LOOK_AROUND) {
                    continue;
                }
            }
            let deadline = *deadline.get_or_insert_with(|| timeout.end_of_blocking());
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) && !done() {
                return Err(DispatchError::Deadline);
            }
            if let Spun::InVain(began) = spun {
                self.sleep_for(token, source, deadline)?;
                self.back_off(began);
            }
        }
        Ok(())
    }

    /// Blocks until the source `token` has news.
    fn sleep_for(
        &self,
        token: u64,
        source: &dyn Source,
        deadline: Option<Instant>,
    ) -> Result<(), DispatchError> {
        let mut limit = None;
        if source.is_polled() {
            arm_then_barrier(|| _ = source.arm());
            limit = source.sleep_limit().map(|limit| Instant::now() + limit);
        }
        let until = earlier(deadline, limit);
        let result = if source.ready() { Ok(()) } else { self.sleep(until, false) };
        if source.is_polled() {
            source.disarm();
            self.0.queues.borrow_mut().make_polled(token);
            self.wake_host_loop();
        }
        result
    }

    fn run_timers(&self) {
        if self.0.timers.borrow().is_empty() {
            return;
        }
        let now = Instant::now();
        let (mut timers, mut queues) = (self.0.timers.borrow_mut(), self.0.queues.borrow_mut());
        while let Some(task) = timers.due(now) {
            queues.pending.push_back(Item::Task(task));
            self.wake_host_loop();
        }
    }

    fn with_sleeper<T>(&self, f: impl FnOnce(&mut Sleeper) -> io::Result<T>) -> io::Result<T> {
        self.usable()?;
        let mut sleeper = self.0.sleeper.borrow_mut();
        if sleeper.is_none() {
            *sleeper = Some(self.0.remote.with_wake_fd(Sleeper::new)?);
        }
        f(sleeper.as_mut().expect("it was just made"))
    }
}

impl Default for Waitset {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Waitset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waitset").field("remote", &self.0.remote).finish_non_exhaustive()
    }
}

impl Inner {
    #[cold]
    fn why_not_usable(&self) -> DispatchError {
        if self.born.get() == ForkGeneration::NOWHERE {
            DispatchError::Closed
        } else {
            DispatchError::Forked
        }
    }

    /// Ends the waitset: tears its bindings down, withdraws its services, drops what it has not run, and closes its
    /// descriptors, but for those of an outer loop, which [`AsFd`](std::os::fd::AsFd) lends for as long as there is a clone.
    /// Nothing happens the second time.
    ///
    /// What is dropped is code of the program, which may panic: the rest is done all the same, and then the panic goes on.
    fn close(&self) {
        if self.born.replace(ForkGeneration::NOWHERE) == ForkGeneration::NOWHERE {
            return;
        }
        let mut panic = None;
        let mut guarded = |part: &mut dyn FnMut()| {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(part)) {
                panic.get_or_insert(payload);
            }
        };
        // Before others find nobody: a future that is woken meanwhile comes back through the remote, and is dropped here.
        guarded(&mut || self.tasks.cancel_all());
        guarded(&mut || self.remote.close());
        for extension in self.extensions.all() {
            guarded(&mut || extension.waitset_closes());
        }
        // A process that exits from within a callback may hold a borrow; what it holds ends with the process.
        let sources = self.queues.try_borrow().map(|queues| queues.sources()).unwrap_or_default();
        for source in sources {
            guarded(&mut || source.abandoned());
        }
        let queues = self.queues.try_borrow_mut().map(|mut queues| core::mem::take(&mut *queues));
        for owned in queues.map(Queues::into_owned).unwrap_or_default() {
            let mut owned = Some(owned);
            guarded(&mut || drop(owned.take()));
        }
        let timers = self.timers.try_borrow_mut().map(|mut timers| core::mem::take(&mut *timers));
        let mut timers = timers.ok();
        guarded(&mut || drop(timers.take()));
        for extension in self.extensions.all() {
            guarded(&mut || extension.waitset_closed());
        }
        let mut sleeper = self.sleeper.try_borrow_mut().ok().and_then(|mut sleeper| sleeper.take());
        guarded(&mut || drop(sleeper.take()));
        if let Some(payload) = panic
            && !std::thread::panicking()
        {
            resume_unwind(payload);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
        if let Some(successor) = thread_end::successor() {
            successor.waitset_gone(&|waitset| waitset.0.as_ptr() == core::ptr::from_ref(self));
        }
    }
}

/// Returns the earlier of two times, either of which may be none.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

/// What is done with a polled source while a waitset looks for something to do.
#[derive(Clone, Copy)]
enum Visit {
    /// It has its turn: what it has to do is an event.
    Run,
    /// It is asked, and told to be visited next.
    Find,
}

/// What a look for something to do came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// There is something for the next step.
    Something,
    /// An event was run.
    Event,
}

/// What spinning came to.
enum Spun {
    /// Not [`Found::Nothing`].
    Found(Found),
    /// Since when, if there was anything to look at.
    InVain(Option<Instant>),
}

/// What came of an attempt to put every polled source to rest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// They are armed: whatever has news wakes the waitset. If there is a time, the sleep must end then.
    Asleep(Option<Instant>),
    /// Something has news.
    News,
    /// There is one that nobody would wake.
    Never,
}

/// What [`Waitset::next`] takes.
enum Next {
    Task(Task),
    /// A future that was woken.
    Runnable(async_task::Runnable),
    /// It was pending; to be visited.
    Source(u64, Rc<dyn Source>),
    /// It was polled, and the probe said yes.
    Polled(Rc<dyn Source>),
}

/// Puts a source back into the pending queue, if that is still wanted at the end of the scope.
struct Again<'a> {
    waitset: &'a Waitset,
    token: u64,
    wanted: bool,
}

impl Drop for Again<'_> {
    fn drop(&mut self) {
        if self.wanted {
            self.waitset.0.queues.borrow_mut().make_pending(self.token);
        }
    }
}

/// A waitset that may be gone.
#[derive(Clone)]
pub(crate) struct WeakWaitset(Weak<Inner>);

impl fmt::Debug for WeakWaitset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakWaitset").field("alive", &self.is_alive()).finish()
    }
}

impl WeakWaitset {
    /// Returns whether the waitset can be used: it has clones, its thread is not ending, and this is its process.
    pub(crate) fn is_alive(&self) -> bool {
        self.upgrade().is_some()
    }

    /// The waitset, if it can be used.
    pub(crate) fn upgrade(&self) -> Option<Waitset> {
        self.0.upgrade().map(Waitset).filter(Waitset::is_usable)
    }

    /// Returns whether the waitset has clones.
    fn is_there(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Closes the waitset, if it is one of this process.
    fn close(&self) {
        if let Some(waitset) = self.upgrade() {
            waitset.0.close();
        }
    }
}

/// An event that was handed out and not yet run. Dropped unrun, a task is lost; a source is visited again.
#[must_use]
pub struct Event {
    waitset: Waitset,
    /// Until it is run.
    next: Option<Next>,
}

impl Event {
    /// Runs it.
    ///
    /// # Errors
    /// What the event's callback returned.
    pub fn run(mut self) -> Result<(), DispatchError> {
        match self.next.take() {
            Some(Next::Task(task)) => task(&self.waitset).map_err(DispatchError::Callback)?,
            Some(Next::Runnable(runnable)) => _ = runnable.run(),
            Some(Next::Source(token, source)) => {
                self.waitset.wake_host_loop();
                self.waitset.visit(token, &*source);
            }
            Some(Next::Polled(source)) => {
                source.turn();
            }
            None => {}
        }
        Ok(())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // A polled source is still among the polled ones.
        if let Some(Next::Source(token, _)) = self.next {
            self.waitset.poke(token);
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").finish_non_exhaustive()
    }
}
