//! Waitsets: where threads meet events (TN-011 section 4.1).
//!
//! A [`Waitset`] belongs to one thread and runs everything that happens to that thread: messages of
//! bindings, timers, tasks, futures, signals, and the tasks of other threads. A program is a loop:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! let ws = flounder_rt::Waitset::current();
//! ws.after(Duration::from_secs(1), |_| { println!("a second has passed"); Ok(()) });
//! loop {
//!     ws.dispatch()?; // Blocks until there is an event, and runs it.
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), flounder_rt::DispatchError>(())
//! ```
//!
//! | event | registered by |
//! |---|---|
//! | a message, or room for one | a binding, which is a [`Source`] and stays registered |
//! | a single event of the program | [`EventChannel`], or [`SharedEvent`] for several threads |
//! | a time | [`Waitset::after`], which returns a [`Timer`]; for futures [`Waitset::sleep`], [`Waitset::timeout`] |
//! | a task | [`Waitset::post`]; from other threads [`Remote::post`] |
//! | a future that was woken | [`Waitset::spawn_local`], [`Waitset::block_on`] |
//! | a descriptor, a signal, the end of a child | [`Waitset::when`], [`Waitset::on_signal`], [`Waitset::when_exited`] |
//!
//! # Order
//! A [`dispatch`](Waitset::dispatch) looks in this order:
//!
//! 1. at pending events, first in, first out;
//! 2. at polled sources, from the one behind the last visit, until one has something to do;
//! 3. when nothing came for the spin time, it arms every polled source, looks once more, and
//!    blocks.
//!
//! An event of a binding delivers one message, or up to [`MAX_RUN`] of a stream, which count as so many events here.
//! After 64 events in a row without blocking it looks at descriptors, timers and other
//! threads, so that a flood of one kind of event holds back no other kind.
//!
//! # Callbacks
//! Handlers and callbacks run with no borrow of the waitset held: they may send, bind, tear down,
//! or dispatch again. A callback that panics leaves the waitset usable.
//!
//! A program that has an event loop already waits for the waitset's one descriptor:
//! [`Waitset::prepare_wait`]. Several threads share a [`SharedWaitset`].

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
mod claim;
mod epoll_wait;
mod event;
mod executor;
mod extension;
mod fds;
mod gate;
mod host_loop;
mod queues;
mod remote;
mod run;
mod shared;
mod signals;
mod sleep;
mod sleeper;
mod thread_end;
mod timeout;
mod timers;
#[cfg(feature = "tokio")]
pub mod tokio;
mod wake;
mod worker_pool;

pub use event::{ChannelState, EventChannel, EventError};
use extension::Extensions;
pub(crate) use extension::{Extension, SharedExtension};
pub use fds::Interest;
use host_loop::HostLoop;
use queues::{Item, Queues, Registered, Standing};
pub use remote::Remote;
pub(crate) use remote::Signal;
pub(crate) use run::Begun;
use run::{Done, Turns};
pub use run::{MAX_RUN, Run};
pub(crate) use shared::{Place, SendSource, Target, WeakSharedWaitset};
pub use shared::{SharedEvent, SharedTimer, SharedWaitset};
pub use signals::{SignalWatch, UnixSignal};
pub use sleep::{Elapsed, Limited, Sleep};
use sleeper::{Ready, Sleeper};
pub use sleeper::{Watched, Watcher};
pub(crate) use thread_end::{Successor, set_successor, thread_ends};
pub use timeout::{DEFAULT_TIMEOUT, Timeout};
pub use timers::Timer;
use timers::Timers;
pub use wake::{Gone, Wake};

/// Default time that a waitset polls before it blocks: that of two context switches.
pub const DEFAULT_SPIN: Duration = Duration::from_micros(20);

/// The most halvings of the spin time while polling does not pay.
const MAX_BACK_OFF: u32 = 3;

/// Events in a row without blocking, after which the waitset looks at descriptors and other
/// threads.
const LOOK_AROUND: u32 = 64;

/// Sources visited between two looks at the clock while spinning.
const SPINS_PER_LOOK: usize = 32;

/// Visits to polled sources between two looks at everything else while spinning. A visit in vain is
/// cheap; the loop around it is not.
const VISITS: usize = 8;

/// Cost of a look at a source with a descriptor, in looks at polled ones: it is a system call.
const FD_VISIT: usize = 16;

/// A token that no source has.
const NO_TOKEN: u64 = u64::MAX;

/// The result of a callback.
pub type Outcome = Result<(), CallbackError>;

pub(crate) type Task = Box<dyn FnOnce(&Waitset) -> Outcome>;

/// Something that stays registered with a waitset: a binding.
pub trait Source {
    /// Does one piece of work, if there is any: receives a message and runs its handler, or gets on with a send.
    fn turn(&self) -> Turned;

    /// Receives several messages and runs their handlers, as `run` allows, after [`turn`](Source::turn) has returned
    /// [`Turned::Stream`]. Returns true if it did something.
    fn run(&self, _run: Run<'_>) -> bool {
        false
    }

    /// Returns true if [`turn`](Source::turn) would do something. Cheap.
    fn ready(&self) -> bool;

    /// Requests a wake-up (clause 8 of the driver contract). Returns false if there can be none.
    fn arm(&self) -> bool;
    /// Withdraws the request.
    fn disarm(&self);

    /// Returns how long the waitset may sleep at most before it looks at this source again without
    /// a wake-up; `None` if there is no limit. Called after [`arm`](Source::arm).
    fn sleep_limit(&self) -> Option<Duration> {
        None
    }

    /// Frees the memory that large messages took. Called before the waitset sleeps, once for each
    /// `Waitset::trim_before_sleep`.
    fn trim(&self) {}

    /// Returns true if the waitset must look at the source to learn of events. Otherwise its
    /// descriptor or its driver reports them.
    fn is_polled(&self) -> bool;

    /// Called when the peer is gone.
    fn peer_gone(&self, gone: Gone);

    /// Called when the waitset closes: the source is not visited again.
    fn abandoned(&self);
}

/// What a turn of a [`Source`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// Nothing: there was nothing to do.
    Nothing,
    /// One piece of work.
    Work,
    /// Nothing yet: there are messages, which come in a stream, for [`Source::run`] to handle.
    Stream,
}

impl Turned {
    /// Returns what a turn did that did or did not work.
    #[inline]
    pub(crate) const fn of(worked: bool) -> Self {
        if worked { Self::Work } else { Self::Nothing }
    }
}

/// The events of a thread. Cheap to clone: clones are the same waitset.
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
    /// Number of times that the spin time is halved at present.
    backed_off: Cell<u32>,
    /// Sources that hold more memory than they need while the waitset sleeps.
    untrimmed: RefCell<Vec<Weak<dyn Source>>>,
    /// Counts events, for the next look at descriptors and other threads.
    turns: Turns,
    /// The polled source that [`Quick::Stream`] is about, and its place.
    streaming: Cell<Option<(usize, Rc<dyn Source>)>>,
    /// Buffer for the polled sources that are about to be armed; empty otherwise.
    resting: Cell<Vec<Registered>>,
    /// The source with a descriptor that had work last: while it spins, the waitset looks at it as
    /// at the polled ones.
    last_ready: Cell<u64>,
    extensions: Extensions,
    /// Futures that were spawned and have not ended.
    tasks: executor::Tasks,
    /// For the next `block_on`; `None` while one runs.
    cached_waker: Cell<Option<Rc<executor::CachedWaker>>>,
    /// Descriptors for a host event loop, if there is one.
    host_loop: OnceCell<HostLoop>,
}

/// Error of a dispatch.
#[non_exhaustive]
pub enum DispatchError {
    /// A callback returned an error. Nothing else is lost.
    Callback(CallbackError),
    /// The kernel refused to create the waitset's descriptors or to wait on them.
    Os(io::Error),
    /// The deadline of a blocking wait passed.
    Deadline,
    /// The thread of the waitset is ending, and has closed it.
    Closed,
    /// The waitset belongs to the parent of this forked process. A new one works here.
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

/// For calls whose errors are those of the system.
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

/// Any error that a callback returns with `?`.
pub struct CallbackError(Box<dyn std::error::Error + Send + Sync>);

impl CallbackError {
    /// Returns the error itself.
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
    /// Creates a waitset for this thread. Takes no descriptor before it first blocks.
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
            turns: Turns::default(),
            streaming: Cell::default(),
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

    /// Returns the waitset that `remote` leads to, if it is one of this thread.
    #[must_use]
    pub fn local(remote: &Arc<Remote>) -> Option<Self> {
        thread_end::find(remote)
    }

    /// Returns the default waitset of this thread. `get_default_waitset`
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

    /// Sets how long the waitset polls before it blocks. Zero blocks at once. After waits that were
    /// much longer than this time the waitset polls for less, down to an eighth, until a wait is
    /// short again.
    pub fn set_spin(&self, spin: Duration) {
        self.0.spin.set(spin);
    }

    /// Returns the handle for other threads.
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
    /// [`DispatchError::Callback`] with the error of the event's callback, or
    /// [`DispatchError::Os`]: the waitset is as usable as before. [`DispatchError::Closed`] and
    /// [`DispatchError::Forked`]: it cannot be used here any more.
    ///
    /// # Panics
    /// If the event's callback panics, unless it is a handler of a binding. The waitset is as usable as before.
    #[inline]
    pub fn dispatch(&self) -> Result<(), DispatchError> {
        while !self.step(None)? && !self.block(None, &mut Visit::Run(None))? {}
        Ok(())
    }

    /// Runs the next event if there is one. Returns true if there was. `event_dispatch_non_block`
    ///
    /// # Errors
    /// As [`dispatch`](Waitset::dispatch).
    pub fn try_dispatch(&self) -> Result<bool, DispatchError> {
        if self.step(None)? {
            return Ok(true);
        }
        self.look_around()?;
        self.step(None)
    }

    /// Dispatches until `done` returns true or `deadline` passes. Returns the last result of
    /// `done`, which is asked after every message and every other event. The deadline is checked
    /// after every event, so that a flood of events does not hold the caller.
    ///
    /// # Errors
    /// As [`dispatch`](Waitset::dispatch).
    pub fn dispatch_until(
        &self,
        deadline: Option<Instant>,
        mut done: impl FnMut() -> bool,
    ) -> Result<bool, DispatchError> {
        let is_done = Cell::new(false);
        // It may be true only once: a run that has seen it leaves it at that.
        let mut ask = || {
            is_done.set(is_done.get() || done());
            is_done.get()
        };
        if ask() {
            return Ok(true);
        }
        loop {
            let stepped = self.step(Some(&mut ask))?;
            let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if !stepped && !is_late {
                self.block(deadline, &mut Visit::Run(Some(&mut ask)))?;
            }
            if ask() || is_late {
                return Ok(is_done.get());
            }
        }
    }

    /// Waits for the next event and returns it instead of running it. `get_next_event`
    ///
    /// # Errors
    /// [`DispatchError::Os`].
    pub fn next_event(&self) -> Result<Event, DispatchError> {
        loop {
            if let Some(event) = self.check_for_event()? {
                return Ok(event);
            }
            self.block(None, &mut Visit::Find)?;
        }
    }

    /// Returns the next event if there is one. `check_for_event`
    ///
    /// An event of a binding may do nothing when it is run: its driver reports only that a visit is
    /// worthwhile.
    ///
    /// # Errors
    /// [`DispatchError::Os`].
    pub fn check_for_event(&self) -> Result<Option<Event>, DispatchError> {
        let mut ready = |source: &dyn Source| source.ready();
        let mut next = self.next(&mut ready)?;
        if next.is_none() {
            self.look_around()?;
            next = self.next(&mut ready)?;
        }
        Ok(next.map(|next| Event { waitset: self.clone(), next: Some(next) }))
    }

    /// Returns true if nothing is pending now. Polled sources are not looked at.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.queues.borrow().pending.is_empty() && !self.0.remote.is_pending()
    }

    /// Watches a descriptor for a driver (see [`Watched`]). Holds a weak reference.
    ///
    /// # Errors
    /// If the kernel has no memory for it, or the limit of epoll watches is reached.
    pub fn watch(&self, watched: &Arc<dyn Watched>) -> io::Result<()> {
        self.with_sleeper(|sleeper| sleeper.watch(watched))
    }

    /// Stops watching a descriptor. So does the drop of `watched`, unless another process has a
    /// copy of the descriptor: the kernel forgets a descriptor with its last copy, and until then
    /// would refuse to watch another copy under the same number.
    pub fn unwatch(&self, watched: &Arc<dyn Watched>) {
        // A waitset that never watched anything has no sleeper, and needs none here.
        if let Some(sleeper) = &mut *self.0.sleeper.borrow_mut() {
            sleeper.unwatch(watched);
        }
    }

    /// Returns true if both are the same waitset.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Returns another waitset of this thread, which finishes the work of one that is gone; `None`
    /// if the thread ends.
    pub(crate) fn another() -> Option<Self> {
        if thread_end::is_ending() {
            return None;
        }
        let current = CURRENT.try_with(|current| current.borrow().clone()).ok()?;
        let current = current.filter(Self::is_usable).or_else(thread_end::first);
        Some(current.unwrap_or_else(Self::current))
    }

    /// Returns true if this is the process of the waitset, and its thread is not ending.
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

    /// Registers a source with its descriptor. The source is visited once soon.
    pub(crate) fn insert(&self, source: Rc<dyn Source>, fd: BorrowedFd<'_>) -> io::Result<u64> {
        self.usable()?;
        let token = self.0.queues.borrow_mut().insert(source);
        if let Err(error) = self.with_sleeper(|sleeper| sleeper.epoll.add_source(fd, token)) {
            self.remove(token, None);
            return Err(error);
        }
        self.0.turns.descriptor_added();
        self.0.queues.borrow_mut().make_pending(token);
        self.wake_host_loop();
        Ok(token)
    }

    /// Registers a source that is polled in every round. Its first visit comes in its turn: clients
    /// may bind to one service again and again, and the bindings that have ended meanwhile need
    /// visits, too.
    pub(crate) fn insert_polled(&self, source: Rc<dyn Source>) -> io::Result<u64> {
        self.usable()?;
        let mut queues = self.0.queues.borrow_mut();
        let token = queues.insert(source);
        queues.make_polled(token);
        drop(queues);
        self.wake_host_loop();
        Ok(token)
    }

    /// Registers a source that is visited after [`poke`](Self::poke) only. A waitset that is not
    /// usable never visits it.
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
            self.0.turns.descriptor_removed();
        }
        // The source may be dropped here, and its channel with it: not under the borrow.
        let removed = self.0.queues.borrow_mut().remove(token);
        drop(removed);
    }

    /// Makes the waitset visit a source soon.
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
    fn step(&self, done: Done<'_>) -> Result<bool, DispatchError> {
        match self.step_quickly() {
            Quick::Work => Ok(true),
            Quick::Nothing => Ok(false),
            Quick::Stream => self.run_stream(done),
            Quick::Unsure => self.step_slowly(done),
        }
    }

    /// The common case of [`step`](Self::step): nothing is pending, and the polled source whose
    /// turn it is has something to do. [`Quick::Unsure`] if there is more to look at than polled
    /// sources, or if the waitset is not usable.
    #[inline(never)]
    fn step_quickly(&self) -> Quick {
        let inner = &*self.0;
        if inner.turns.must_look_around() || !self.is_usable() || inner.remote.is_pending() {
            return Quick::Unsure;
        }
        let mut queues = inner.queues.borrow_mut();
        if !queues.pending.is_empty() {
            return Quick::Unsure;
        }
        let Some((at, source)) = queues.next_polled() else { return Quick::Unsure };
        let source = Rc::clone(source);
        drop(queues);
        inner.turns.count();
        match source.turn() {
            Turned::Work => Quick::Work,
            Turned::Nothing => self.missed(at, source),
            Turned::Stream => self.found_stream(at, source),
        }
    }

    /// Continues the round behind a polled source that had nothing to do.
    #[inline(never)]
    fn missed(&self, at: usize, source: Rc<dyn Source>) -> Quick {
        let left = {
            let mut queues = self.0.queues.borrow_mut();
            queues.had_none(at, &source);
            queues.polled_len().saturating_sub(1)
        };
        drop(source);
        let quiet = || self.0.queues.borrow().pending.is_empty();
        let turned = Cell::new(Turned::Nothing);
        let probe = |source: &dyn Source| {
            turned.set(source.turn());
            turned.get() != Turned::Nothing
        };
        if quiet()
            && let Some((at, source)) = self.poll_round(left, probe)
        {
            return match turned.get() {
                Turned::Stream => self.found_stream(at, source),
                _ => Quick::Work,
            };
        }
        if quiet() { Quick::Nothing } else { Quick::Unsure }
    }

    /// A polled source has a stream of messages.
    #[cold]
    fn found_stream(&self, at: usize, source: Rc<dyn Source>) -> Quick {
        self.0.streaming.set(Some((at, source)));
        Quick::Stream
    }

    /// Runs the source that [`step_quickly`](Self::step_quickly) has found to have a stream of messages.
    #[cold]
    fn run_stream(&self, mut done: Done<'_>) -> Result<bool, DispatchError> {
        let Some((at, source)) = self.0.streaming.take() else { return self.step_slowly(done) };
        if source.run(Run::of(&self.0.turns, run::again(&mut done))) {
            return Ok(true);
        }
        match self.missed(at, source) {
            Quick::Work => Ok(true),
            Quick::Nothing => Ok(false),
            Quick::Stream | Quick::Unsure => {
                // It is visited in its turn; nobody else lets go of it.
                drop(self.0.streaming.take());
                self.step_slowly(done)
            }
        }
    }

    /// Gives a source its turn. Returns true if it did something.
    #[inline]
    fn turn(&self, source: &dyn Source, mut done: Done<'_>) -> bool {
        match source.turn() {
            Turned::Work => true,
            Turned::Nothing => false,
            Turned::Stream => source.run(Run::of(&self.0.turns, run::again(&mut done))),
        }
    }

    #[inline(never)]
    fn step_slowly(&self, mut done: Done<'_>) -> Result<bool, DispatchError> {
        // Pending sources that have nothing to do are no events, but must not hold the caller for
        // ever.
        for _ in 0..LOOK_AROUND {
            let worked = match self.next(&mut |source| self.turn(source, run::again(&mut done)))? {
                Some(Next::Task(task)) => {
                    task(self).map_err(DispatchError::Callback)?;
                    true
                }
                Some(Next::Runnable(runnable)) => {
                    runnable.run();
                    true
                }
                Some(Next::Source(token, source)) => {
                    self.visit(token, &*source, run::again(&mut done))
                }
                Some(Next::Polled(_)) => true,
                None => return Ok(false),
            };
            if worked {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Takes the next event. `probe` decides whether a polled source has one.
    #[inline]
    fn next(
        &self,
        probe: &mut impl FnMut(&dyn Source) -> bool,
    ) -> Result<Option<Next>, DispatchError> {
        self.usable()?;
        if self.0.turns.must_look_around() {
            self.look_around()?;
            self.rest_quiet();
            // One polled event, so that sources that are always pending do not starve polled ones.
            if let Some((_, source)) = self.poll_round(self.polled_len(), &mut *probe) {
                return Ok(Some(Next::Polled(source)));
            }
        }
        self.0.turns.count();
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
                    if let Some((_, source)) = self.poll_round(self.polled_len(), &mut *probe) {
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

    /// Probes at most `left` polled sources, until one has something to do or something becomes
    /// pending.
    #[inline]
    fn poll_round(
        &self,
        mut left: usize,
        mut probe: impl FnMut(&dyn Source) -> bool,
    ) -> Option<(usize, Rc<dyn Source>)> {
        let pending = self.0.queues.borrow().pending.len();
        while left > 0 {
            let mut queues = self.0.queues.borrow_mut();
            let (at, source) = queues.next_polled()?;
            let source = Rc::clone(source);
            drop(queues);
            if probe(&*source) {
                return Some((at, source));
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

    /// Visits a source that was pending, and puts it back into its queue, also if a handler
    /// unwinds.
    fn visit(&self, token: u64, source: &dyn Source, done: Done<'_>) -> bool {
        if source.is_polled() {
            self.0.queues.borrow_mut().make_polled(token);
            return self.turn(source, done);
        }
        // Its descriptor reports edges only: there may be more until a visit finds nothing.
        let mut again = Again { waitset: self, token, wanted: true };
        again.wanted = self.turn(source, done);
        if again.wanted {
            self.0.last_ready.set(token);
        }
        again.wanted
    }

    /// Queues the tasks and signals that other threads have posted.
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
        self.0.turns.looked_around();
        if self.0.remote.is_pending() {
            self.drain_remote();
        }
        self.run_timers();
        if self.0.sleeper.borrow().is_some() {
            self.wait(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Waits in the kernel and makes the reported sources pending.
    fn wait(&self, timeout: Option<Duration>) -> Result<(), DispatchError> {
        let waited = self.with_sleeper(|sleeper| sleeper.wait(timeout));
        // From here on no thread has to wake the waitset, least of all this one.
        self.0.remote.awake();
        self.wake_host_loop();
        waited?;
        self.take_found()?;
        if self.0.remote.is_pending() {
            self.drain_remote();
        }
        Ok(())
    }

    /// Makes the sources pending that the last wait in the kernel has found.
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

    /// Polls for the spin time, then blocks, until there is something to do or `deadline` has
    /// passed. Returns true if an event was run, which [`Visit::Find`] never does.
    fn block(
        &self,
        deadline: Option<Instant>,
        visit: &mut Visit<'_>,
    ) -> Result<bool, DispatchError> {
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
                self.sleep_in_kernel(earlier(deadline, limit), true)?;
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

    /// Adapts the spin time after a sleep: halves it if the wait was too long for polling to pay.
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

    /// Arms every polled source and looks once more. Returns whether the waitset may sleep now.
    fn rest(&self) -> Rest {
        let mut resting = self.0.resting.take();
        self.0.queues.borrow().all_polled(&mut resting);
        let mut can_sleep = true;
        if !resting.is_empty() {
            arm_then_barrier(|| {
                can_sleep = resting.iter().fold(true, |all, (_, source)| source.arm() && all);
            });
        }
        let rest = match self.look(&mut Visit::Find) {
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

    /// Makes armed sources idle, except those that limit the sleep: they are polled when it is
    /// over. Returns the end of the sleep, if there is a limit.
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

    /// Looks until something is found or the spin time is over. `visits` is the cost of one look.
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
                // A peer that answers at once does so in the first looks: they use neither a pause
                // nor the clock.
                if started.is_some() {
                    core::hint::spin_loop();
                }
            }
            if started.get_or_insert_with(Instant::now).elapsed() >= spin {
                return Spun::InVain(started);
            }
        }
    }

    /// Checks for pending work, and visits the polled sources until one has something to do.
    #[inline]
    fn look(&self, visit: &mut Visit<'_>) -> Found {
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
                Visit::Run(done) => {
                    if (0..times).any(|_| self.turn(&*source, run::again(done))) {
                        return Found::Event;
                    }
                }
                Visit::Find => {
                    if source.ready() {
                        self.0.queues.borrow_mut().go_back(at, &source);
                        return Found::Something;
                    }
                }
            }
            queues = self.0.queues.borrow_mut();
            queues.had_none(at, &source);
            left -= 1;
        }
        Found::Something
    }

    /// Looks at the source with a descriptor that had work last.
    fn look_at_last_ready(&self, token: u64, source: &dyn Source, visit: &mut Visit<'_>) -> Found {
        match visit {
            Visit::Run(done) => {
                if self.visit(token, source, run::again(done)) {
                    return Found::Event;
                }
            }
            Visit::Find => {
                if source.ready() && self.0.queues.borrow_mut().make_pending(token).is_some() {
                    return Found::Something;
                }
            }
        }
        Found::Nothing
    }

    /// Blocks in the kernel until another thread, a descriptor, a timer or `deadline`, unless something is pending.
    ///
    /// The caller has armed the sources that it waits for.
    fn sleep_in_kernel(
        &self,
        deadline: Option<Instant>,
        timers: bool,
    ) -> Result<(), DispatchError> {
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
        self.0.turns.looked_around();
        self.run_timers();
        Ok(())
    }

    /// Makes `source` free memory before this waitset sleeps next: not sooner, since another large
    /// message may follow.
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

    /// Puts the buffer back. The drop of its sources may run user code.
    fn rested(&self, mut resting: Vec<Registered>) {
        resting.clear();
        self.0.resting.set(resting);
    }

    /// Arms polled sources that have been quiet for long, so that ten thousand quiet sources cost a
    /// busy one nothing.
    fn rest_quiet(&self) {
        // A waitset that never sleeps frees memory, too.
        self.trim_sources();
        let mut quiet = self.0.resting.take();
        self.0.queues.borrow_mut().quiet(&mut quiet);
        if !quiet.is_empty() {
            // Sources that no driver would wake stay polled, and are not armed again soon.
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

    /// Waits until `done` returns true. Visits only the source `token`, by `turn`; everything else
    /// stays pending.
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
            // A quick answer needs no clock; under a flood of other messages the deadline still
            // counts.
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

    /// Blocks until the source `token` may have something to do.
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
        let result = if source.ready() { Ok(()) } else { self.sleep_in_kernel(until, false) };
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

impl Watcher for Waitset {
    fn watch(&self, watched: &Arc<dyn Watched>) -> io::Result<()> {
        Self::watch(self, watched)
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

/// How a waitset that looks for something to do visits a polled source.
enum Visit<'a> {
    /// Runs its turn, which is an event if it does something.
    Run(Done<'a>),
    /// Asks only; a source that is ready is visited next.
    Find,
}

/// Result of a step that looks at polled sources only.
enum Quick {
    /// An event was run.
    Work,
    /// There was nothing to do.
    Nothing,
    /// A source has a stream of messages, which is in `Inner::streaming`.
    Stream,
    /// There is more to look at.
    Unsure,
}

/// Result of a look for something to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// There is something for the next step.
    Something,
    /// An event was run.
    Event,
}

/// Result of spinning.
enum Spun {
    /// Never [`Found::Nothing`].
    Found(Found),
    /// Start of the spin, if there was a source to look at.
    InVain(Option<Instant>),
}

/// Result of arming every polled source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// All are armed: a source with news wakes the waitset. A time limits the sleep.
    Asleep(Option<Instant>),
    /// A source has news.
    News,
    /// A source cannot be armed: no driver would wake the waitset for it.
    Never,
}

/// The next event of a waitset.
enum Next {
    Task(Task),
    /// A future that was woken.
    Runnable(async_task::Runnable),
    /// A pending source, which is to be visited.
    Source(u64, Rc<dyn Source>),
    /// A polled source for which the probe returned true.
    Polled(Rc<dyn Source>),
}

/// Makes a source pending again at the end of the scope, if `wanted` is true then.
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

    /// Returns the waitset, if it can be used.
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

/// An event that has not run yet. If it is dropped, a task is lost; a source is visited again.
#[must_use]
pub struct Event {
    waitset: Waitset,
    /// `None` once it has run.
    next: Option<Next>,
}

impl Event {
    /// Runs the event.
    ///
    /// # Errors
    /// [`DispatchError::Callback`] with the error of the event's callback.
    pub fn run(mut self) -> Result<(), DispatchError> {
        match self.next.take() {
            Some(Next::Task(task)) => task(&self.waitset).map_err(DispatchError::Callback)?,
            Some(Next::Runnable(runnable)) => _ = runnable.run(),
            Some(Next::Source(token, source)) => {
                self.waitset.wake_host_loop();
                self.waitset.visit(token, &*source, None);
            }
            Some(Next::Polled(source)) => {
                self.waitset.turn(&*source, None);
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
