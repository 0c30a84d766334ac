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
//! Bindings with a [`Priority`] come in the order of their priorities: a dispatch takes steps 1 and 2 for each priority, the
//! highest first, except that a lower one comes first once 8 events (64, if it is low) were served without a look at it.
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
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use crate::fork::ForkGeneration;

mod block;
mod children;
mod claim;
mod dispatch;
mod epoll_wait;
mod error;
mod event;
mod executor;
mod extension;
mod fds;
mod gate;
mod host_loop;
mod one_core;
mod priority;
mod queues;
mod remote;
mod room;
mod run;
mod shared;
mod signals;
mod sleep;
mod sleeper;
mod source;
mod thread_end;
mod timeout;
mod timers;
#[cfg(feature = "tokio")]
pub mod tokio;
mod wake;
mod worker_pool;

pub use dispatch::Event;
pub use error::{CallbackError, DispatchError};
pub use event::{ChannelState, EventChannel, EventError};
use extension::Extensions;
pub(crate) use extension::{Extension, SharedExtension};
pub use fds::Interest;
use host_loop::HostLoop;
use one_core::OneCore;
pub use one_core::{BRIEF_WAIT, PeerProcessor};
pub use priority::Priority;
use queues::{Item, Queues, Registered, Standing};
pub use remote::Remote;
pub(crate) use run::Begun;
use run::Turns;
pub use run::{MAX_RUN, Run};
pub(crate) use shared::{Place, SendSource, Target, WeakSharedWaitset};
pub use shared::{SharedEvent, SharedTimer, SharedWaitset};
pub use signals::{SignalWatch, UnixSignal};
pub use sleep::{Elapsed, Limited, Sleep};
use sleeper::Sleeper;
pub use sleeper::{Watched, Watcher};
pub use source::{Source, SourceFds, Turned};
pub(crate) use thread_end::{Successor, set_successor, thread_ends};
pub use timeout::{DEFAULT_TIMEOUT, Timeout};
pub use timers::Timer;
use timers::Timers;
pub use wake::{Gone, Wake};

/// Default time that a waitset polls before it blocks: that of two context switches.
pub const DEFAULT_SPIN: Duration = Duration::from_micros(20);

/// Time without a large message after which a binding gives back the memory that such messages took: it is
/// given back after twice this time at most. Memory that is fresh from the kernel costs a large message as
/// much again as copying it.
pub(crate) const KEEP_LARGE: Duration = Duration::from_millis(10);

/// A token that no source has.
const NO_TOKEN: u64 = u64::MAX;

/// The result of a callback.
pub type Outcome = Result<(), CallbackError>;

pub(crate) type Task = Box<dyn FnOnce(&Waitset) -> Outcome>;

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
    one_core: OneCore,
    /// Sources that hold the memory of large messages.
    untrimmed: RefCell<Vec<Weak<dyn Source>>>,
    /// When these are asked to free it. `None` if there are none.
    trim_at: Cell<Option<Instant>>,
    /// Counts events, for the next look at descriptors and other threads.
    turns: Turns,
    /// The polled source that [`dispatch::Quick::Stream`] is about, and its place.
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

crate::debug_as_chain!(DispatchError);

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
            one_core: OneCore::default(),
            untrimmed: RefCell::default(),
            trim_at: Cell::new(None),
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
        self.0.one_core.forget();
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
            self.0.queues.borrow_mut().push(Item::Task(Box::new(task)));
            self.wake_host_loop();
        }
    }

    /// Returns true if nothing is pending now. Polled sources are not looked at.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.queues.borrow().is_quiet() && !self.0.remote.is_pending()
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
    pub(crate) fn insert(
        &self,
        source: Rc<dyn Source>,
        priority: Priority,
        fds: SourceFds<'_>,
    ) -> io::Result<u64> {
        self.usable()?;
        let token = self.0.queues.borrow_mut().insert(source, priority);
        if let Err(error) = self.with_sleeper(|sleeper| sleeper.epoll.add_source(fds, token)) {
            self.remove(token, None);
            return Err(error);
        }
        self.0.turns.descriptor_added();
        self.0.queues.borrow_mut().make_pending(token);
        self.note_priorities();
        self.wake_host_loop();
        Ok(token)
    }

    /// Registers a source that is polled in every round. Its first visit comes in its turn: clients
    /// may bind to one service again and again, and the bindings that have ended meanwhile need
    /// visits, too.
    pub(crate) fn insert_polled(
        &self,
        source: Rc<dyn Source>,
        priority: Priority,
    ) -> io::Result<u64> {
        self.usable()?;
        let mut queues = self.0.queues.borrow_mut();
        let token = queues.insert(source, priority);
        queues.make_polled(token);
        drop(queues);
        self.note_priorities();
        self.wake_host_loop();
        Ok(token)
    }

    /// Gives a source another priority.
    pub(crate) fn set_priority(&self, token: u64, priority: Priority) {
        self.0.queues.borrow_mut().set_priority(token, priority);
        self.note_priorities();
    }

    fn note_priorities(&self) {
        self.0.turns.note_priorities(self.0.queues.borrow().has_ranked());
    }

    /// Registers a source that is visited after [`poke`](Self::poke) only. A waitset that is not
    /// usable never visits it.
    pub(crate) fn insert_idle(&self, source: Rc<dyn Source>) -> u64 {
        if !self.is_usable() {
            return NO_TOKEN;
        }
        self.0.queues.borrow_mut().insert(source, Priority::Normal)
    }

    /// Forgets a source.
    pub(crate) fn remove(&self, token: u64, fds: Option<SourceFds<'_>>) {
        if let (Some(fds), Some(sleeper)) = (fds, &*self.0.sleeper.borrow()) {
            sleeper.epoll.remove_source(fds);
            self.0.turns.descriptor_removed();
        }
        // The source may be dropped here, and its channel with it: not under the borrow.
        let removed = self.0.queues.borrow_mut().remove(token);
        self.note_priorities();
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

    /// Runs the timers that are due, and has sources give back memory.
    fn run_timers(&self) {
        self.trim_sources();
        if self.0.timers.borrow().is_empty() {
            return;
        }
        let now = Instant::now();
        let (mut timers, mut queues) = (self.0.timers.borrow_mut(), self.0.queues.borrow_mut());
        while let Some(task) = timers.due(now) {
            queues.push(Item::Task(task));
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
