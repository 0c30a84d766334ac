//! A waitset that several threads serve (TN-011 section 4.1: "multi-threaded delivery").

use core::fmt;
use core::sync::atomic::AtomicUsize;
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};

use crate::exit;
use crate::fork::ForkGeneration;
use crate::waitset::dispatch::LOOK_AROUND;
use crate::waitset::extension::{SharedExtension, SharedExtensions};
use crate::waitset::sleeper::{Epoll, Found, Ready, WakeFd, Watched, Watches};
use crate::waitset::timers::Timers;
use crate::waitset::worker_pool::{Kernel, Ranked, Wait, WorkerPool};
use crate::waitset::{
    ChannelState, DispatchError, EventError, Interest, Outcome, Priority, Watcher,
};

mod sources;

pub(crate) use sources::{Place, SendSource, Target};
use sources::{SOURCE, Sources};

pub(crate) type Task = Box<dyn FnOnce(&SharedWaitset) -> Outcome + Send>;

/// Events for any number of threads. Cheap to clone: clones are the same waitset.
///
/// Each event is delivered once, to one of the threads that dispatch; events of one [`Priority`] are handed out in the order
/// in which they became pending, those of a higher one before those of a lower one. But handlers run side by side, so what one event starts may end after what the next one does. One of the
/// idle threads blocks in the kernel, the others in the waitset; a thread that is busy with a long handler stops nobody.
/// No lock is held while a closure runs; one that panics unwinds into its thread's `dispatch` and harms nothing else.
///
/// It takes only closures that are `Send`, and serves bindings whose handlers are `Send`: generated `export` and `bind` take
/// it, and `Rx<Shared>` of the interface is the trait of the handlers. The messages of one binding are handled one at a time
/// and in order, each by whichever thread is free; those of different bindings side by side.
///
/// It ends with its last clone: its bindings are torn down, and what they have accepted is sent by the thread that drops
/// the clone, for at most the [exit timeout](crate::set_exit_timeout).
///
/// ```
/// use flounder_rt::SharedWaitset;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::sync::Arc;
///
/// let (ws, sum) = (SharedWaitset::new(), Arc::new(AtomicU32::new(0)));
/// let done = |sum: &AtomicU32| sum.load(Ordering::Relaxed) == 55;
/// std::thread::scope(|scope| {
///     for _ in 0..3 {
///         scope.spawn(|| ws.dispatch_until(None, || done(&sum)).expect("no callback fails"));
///     }
///     for n in 1..=10 {
///         let sum = Arc::clone(&sum);
///         ws.post(move |ws| {
///             if sum.fetch_add(n, Ordering::Relaxed) + n == 55 {
///                 ws.wake_all();
///             }
///             Ok(())
///         });
///     }
/// });
/// ```
pub struct SharedWaitset(Arc<Inner>);

pub(crate) struct Inner {
    /// Asked before a lock is taken: in a forked child nobody may be there to let go of it.
    born: ForkGeneration,
    pool: WorkerPool<Item>,
    host: Host,
    extensions: SharedExtensions,
    /// Number of clones that the program has.
    handles: AtomicUsize,
    /// True once the last clone is dropped.
    is_closed: AtomicBool,
}

/// A waitset that may be gone.
#[derive(Clone, Debug)]
pub(crate) struct WeakSharedWaitset(Weak<Inner>);

impl WeakSharedWaitset {
    /// Returns a clone of the waitset, if there is another one.
    pub(crate) fn handle(&self) -> Option<SharedWaitset> {
        let inner = self.upgrade()?;
        let one_more = |handles: usize| (handles > 0).then_some(handles + 1);
        // SYNC shared-waitset-handles: nothing is read that an earlier drop wrote.
        let counted = inner.handles.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.ok().map(|_| SharedWaitset(inner))
    }

    /// Returns true if this is `waitset`.
    pub(crate) fn is(&self, waitset: &SharedWaitset) -> bool {
        core::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&waitset.0))
    }

    pub(crate) fn upgrade(&self) -> Option<Arc<Inner>> {
        self.0.upgrade().filter(|inner| inner.born.is_here())
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWaitset").finish_non_exhaustive()
    }
}

/// Something pending.
enum Item {
    Task(Task),
    Event(Due),
    Source(Arc<Place>),
}

impl Ranked for Item {
    fn priority(&self) -> Priority {
        match self {
            Self::Source(place) => place.priority(),
            Self::Task(_) | Self::Event(_) => Priority::Normal,
        }
    }
}

impl SharedWaitset {
    /// A new one. Costs no descriptor before a thread first blocks.
    #[must_use]
    pub fn new() -> Self {
        let (pool, host) = (WorkerPool::new(LOOK_AROUND), Host::default());
        let (handles, is_closed) = (AtomicUsize::new(1), AtomicBool::new(false));
        let (born, extensions) = (ForkGeneration::now(), SharedExtensions::default());
        Self(Arc::new(Inner { born, pool, host, extensions, handles, is_closed }))
    }

    /// Runs `task` on one of the threads that dispatch.
    ///
    /// It is dropped in a forked child, if the waitset is the parent's.
    pub fn post(&self, task: impl FnOnce(&Self) -> Outcome + Send + 'static) {
        if self.usable().is_ok() {
            self.0.post(Box::new(task));
        }
    }

    /// Runs `task` once, `delay` from now.
    pub fn after(
        &self,
        delay: Duration,
        task: impl FnOnce(&Self) -> Outcome + Send + 'static,
    ) -> SharedTimer {
        if self.usable().is_err() {
            // No timer has this number.
            return SharedTimer { waitset: Weak::new(), id: u64::MAX };
        }
        let id = self.0.host.add_timer(delay, Box::new(task));
        SharedTimer { waitset: Arc::downgrade(&self.0), id }
    }

    /// Runs `task` once when `fd` is as wanted, and gives the descriptor back to it.
    ///
    /// # Errors
    /// If the kernel cannot watch the descriptor (a regular file, one that is waited for already, or no memory). The
    /// descriptor is closed then.
    pub fn when<F: AsFd + Send + 'static>(
        &self,
        fd: F,
        interest: Interest,
        task: impl FnOnce(&Self, F) -> Outcome + Send + 'static,
    ) -> io::Result<()> {
        self.usable()?;
        let ends = self.0.host.ends()?;
        // What tells the descriptor is code of the program: no lock is held.
        let number = fd.as_fd();
        // The lock is held until the task is in its place: the descriptor may fire at once.
        let mut waiting = self.0.host.waiting.lock();
        let token = waiting.next;
        if let Err(error) = ends.epoll.add_once(number, token, interest.flags()) {
            // Closing a descriptor may be anything but quick.
            drop(waiting);
            return Err(error);
        }
        waiting.next += 1;
        let task: Task = Box::new(move |waitset: &Self| {
            if let Some(ends) = waitset.0.host.ends.get() {
                ends.epoll.remove(fd.as_fd());
            }
            task(waitset, fd)
        });
        waiting.tasks.insert(token, task);
        Ok(())
    }

    /// Waits for an event and runs it. `event_dispatch`
    ///
    /// # Errors
    /// What the event's callback returned, or [`DispatchError::Os`]: the waitset is as usable as before.
    /// [`DispatchError::Forked`] in a forked child.
    ///
    /// # Panics
    /// If the event's callback panics. The waitset is as usable as before.
    pub fn dispatch(&self) -> Result<(), DispatchError> {
        while !self.step(Wait::Until(None), self.round()?)? {}
        Ok(())
    }

    /// Runs an event if there is one, and says whether there was. `event_dispatch_non_block`
    ///
    /// # Errors
    /// As [`dispatch`](Self::dispatch).
    pub fn try_dispatch(&self) -> Result<bool, DispatchError> {
        self.step(Wait::Not, self.round()?)
    }

    /// Dispatches on this thread until `done` says so or `deadline` passes; returns whether it was done.
    ///
    /// `done` is asked before each event, and when [`wake_all`](Self::wake_all) is called: whoever makes it true from
    /// elsewhere calls that.
    ///
    /// # Errors
    /// As [`dispatch`](Self::dispatch).
    pub fn dispatch_until(
        &self,
        deadline: Option<Instant>,
        mut done: impl FnMut() -> bool,
    ) -> Result<bool, DispatchError> {
        loop {
            // Before `done` is asked: a call that comes after is not missed.
            let round = self.round()?;
            if done() {
                return Ok(true);
            }
            self.step(Wait::Until(deadline), round)?;
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(done());
            }
        }
    }

    /// Has every thread in [`dispatch_until`](Self::dispatch_until) ask whether it is done.
    pub fn wake_all(&self) {
        if self.usable().is_ok() {
            self.0.pool.call(&self.0.host);
        }
    }

    /// Returns true if the two are the same waitset.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn downgrade(&self) -> WeakSharedWaitset {
        WeakSharedWaitset(Arc::downgrade(&self.0))
    }

    /// Returns the extension of type `T`, made by the first call.
    pub(crate) fn extension<T: SharedExtension + Default>(&self) -> Arc<T> {
        self.0.extension()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub(crate) fn usable(&self) -> Result<(), DispatchError> {
        if self.0.born.is_here() { Ok(()) } else { Err(DispatchError::Forked) }
    }

    fn round(&self) -> Result<u64, DispatchError> {
        self.usable().map(|()| self.0.pool.round())
    }

    /// Runs one event and says whether there was one.
    fn step(&self, wait: Wait, round: u64) -> Result<bool, DispatchError> {
        while let Some(item) = self.0.pool.take(&self.0.host, wait, round)? {
            let task = match item {
                Item::Task(task) => task,
                // A queued event may have been deregistered.
                Item::Event(due) => match due.take() {
                    Some(task) => task,
                    None => continue,
                },
                Item::Source(place) => {
                    if place.run(&self.0) {
                        return Ok(true);
                    }
                    // Visits in vain are no events, but must not hold the caller for ever.
                    if matches!(wait, Wait::Until(Some(end)) if Instant::now() >= end) {
                        return Ok(false);
                    }
                    continue;
                }
            };
            return task(self).map_err(DispatchError::Callback).map(|()| true);
        }
        Ok(false)
    }

    /// Ends the bindings, and sends what they have accepted, for at most the exit timeout.
    fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        if !self.0.born.is_here() {
            return;
        }
        for extension in self.0.extensions.all() {
            extension.waitset_closes();
        }
        let sources = &self.0.host.sources;
        for place in sources.all() {
            place.source().abandoned();
        }
        let deadline = Instant::now() + exit::timeout();
        while !sources.is_empty() && Instant::now() < deadline {
            let wait = Wait::Until(Some(deadline));
            if let Ok(Some(Item::Source(place))) =
                self.0.pool.take(&self.0.host, wait, self.0.pool.round())
            {
                place.run(&self.0);
            }
        }
        for place in sources.all() {
            crate::log_limited!(
                warn,
                "a shared waitset ends before a peer has read everything: the rest is lost"
            );
            place.source().give_up();
        }
        let tasks = core::mem::take(&mut self.0.host.waiting.lock().tasks);
        drop(tasks);
    }
}

impl Clone for SharedWaitset {
    fn clone(&self) -> Self {
        self.0.handles.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for SharedWaitset {
    fn drop(&mut self) {
        // SYNC shared-waitset-handles: AcqRel, so that the last one sees what the others did.
        if self.0.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }
}

impl Inner {
    /// Runs `task` on one of the threads that dispatch; drops it if the waitset is closed.
    pub(crate) fn post(&self, task: Task) {
        if !self.is_closed.load(Ordering::Acquire) {
            self.pool.give(&self.host, Item::Task(task));
        }
    }

    pub(crate) fn extension<T: SharedExtension + Default>(&self) -> Arc<T> {
        self.extensions.get()
    }

    /// Runs `task` once, `delay` from now.
    pub(crate) fn after(&self, delay: Duration, task: Task) -> u64 {
        self.host.add_timer(delay, task)
    }

    /// Cancels a timer.
    pub(crate) fn cancel(&self, id: u64) {
        let task = self.host.timers.lock().remove(id);
        drop(task);
    }
}

impl Watcher for SharedWaitset {
    fn watch(&self, watched: &Arc<dyn Watched>) -> io::Result<()> {
        self.usable()?;
        let ends = self.0.host.ends()?;
        self.0.host.watches.lock().watch(&ends.epoll, watched)
    }
}

impl Default for SharedWaitset {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SharedWaitset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWaitset").finish_non_exhaustive()
    }
}

/// A timer of a [`SharedWaitset`]. Dropping it changes nothing; the timer fires all the same.
pub struct SharedTimer {
    waitset: Weak<Inner>,
    id: u64,
}

impl SharedTimer {
    /// Cancels it; returns whether it had not fired.
    pub fn cancel(self) -> bool {
        let waitset = self.waitset.upgrade().filter(|waitset| waitset.born.is_here());
        let Some(waitset) = waitset else { return false };
        let task = waitset.host.timers.lock().remove(self.id);
        task.is_some()
    }
}

impl fmt::Debug for SharedTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTimer").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The clock and the kernel, for the thread that polls.
#[derive(Default)]
struct Host {
    timers: Mutex<Timers<Task>>,
    waiting: Mutex<Waiting>,
    /// Made before a thread first blocks, and before it looks at the timers: one that is added later rings.
    ends: OnceLock<Ends>,
    /// Of the thread that polls; nobody else takes this lock.
    events: Mutex<Found>,
    sources: Sources,
    watches: Mutex<Watches>,
}

/// Tasks that wait for descriptors, by the number that the kernel reports.
#[derive(Default)]
struct Waiting {
    tasks: HashMap<u64, Task>,
    next: u64,
}

struct Ends {
    wake_fd: WakeFd,
    epoll: Epoll,
}

impl Host {
    fn ends(&self) -> io::Result<&Ends> {
        if let Some(ends) = self.ends.get() {
            return Ok(ends);
        }
        let wake_fd = WakeFd::new()?;
        let epoll = Epoll::new(&wake_fd)?;
        Ok(self.ends.get_or_init(|| Ends { wake_fd, epoll }))
    }

    fn add_timer(&self, delay: Duration, task: Task) -> u64 {
        let (id, earlier) = {
            let mut timers = self.timers.lock();
            let before = timers.next();
            let id = timers.insert(delay, task);
            (id, timers.next() != before)
        };
        if earlier {
            // Whoever blocks does so for too long.
            self.wake_poller();
        }
        id
    }
}

impl Kernel<Item> for Host {
    type Error = io::Error;

    fn poll(&self, wait: Wait, found: &mut Vec<Item>) -> io::Result<()> {
        let (mut began, mut limit) = (None, None);
        match wait {
            Wait::Not => self.sources.look_once(found),
            Wait::Until(_) => {
                began = self.sources.spin(found);
                if found.is_empty() && !self.sources.is_interrupted.load(Ordering::Acquire) {
                    limit = self.sources.arm_all(found);
                }
            }
        }
        let blocks = found.is_empty() && !self.sources.is_interrupted.swap(false, Ordering::AcqRel);
        if let Some(ends) = self.ends.get() {
            let timeout = match wait {
                Wait::Until(deadline) if blocks => {
                    let first = [self.timers.lock().next(), deadline].into_iter().flatten().min();
                    let first = first.map(|at| at.saturating_duration_since(Instant::now()));
                    first.into_iter().chain(limit).min()
                }
                _ => Some(Duration::ZERO),
            };
            let mut position = 0;
            // Drivers log, and close capabilities: nothing is locked.
            while let Some(watched) = { self.watches.lock().next_fired(&mut position) } {
                watched.finish();
            }
            let rearmed = self.watches.lock().rearm(&ends.epoll);
            let timeout = if rearmed.is_err() { Some(Duration::ZERO) } else { timeout };
            let mut events = self.events.lock();
            let waited = ends.epoll.wait(timeout, &mut events);
            self.sources.awake();
            self.sources.back_off(began);
            waited?;
            for ready in events.by_ref() {
                match ready {
                    Ready::WakeFd => {}
                    Ready::Source(token) | Ready::Room(token) if token & SOURCE != 0 => {
                        if let Some(place) = self.sources.find(token) {
                            place.wake();
                        }
                    }
                    Ready::Source(token) | Ready::Room(token) => {
                        found.extend(self.waiting.lock().tasks.remove(&token).map(Item::Task));
                    }
                    Ready::Watched(id) => {
                        let watched = self.watches.lock().fired(id);
                        if let Some(watched) = watched {
                            watched.fired();
                        }
                    }
                }
            }
        }
        let mut timers = self.timers.lock();
        if !timers.is_empty() {
            let now = Instant::now();
            found.extend(core::iter::from_fn(|| timers.due(now)).map(Item::Task));
        }
        Ok(())
    }

    fn prepare(&self) -> io::Result<()> {
        self.ends().map(drop)
    }

    fn interrupt(&self) {
        self.wake_poller();
    }
}

impl Host {
    /// Ends the poll that is running, or the next one if none is.
    fn wake_poller(&self) {
        self.sources.is_interrupted.store(true, Ordering::Release);
        if let Some(ends) = self.ends.get() {
            ends.wake_fd.signal();
        }
    }
}

/// A source of single events for a [`SharedWaitset`], usable from any thread. Cheap to clone: clones are the same channel.
///
/// As with [`EventChannel`](crate::waitset::EventChannel), a registration is good for one event, and the channel is
/// unregistered again before its closure runs, so that the closure may register it anew.
///
/// ```
/// use flounder_rt::SharedWaitset;
/// use flounder_rt::waitset::{ChannelState, SharedEvent};
/// let (ws, event) = (SharedWaitset::new(), SharedEvent::new());
/// event.register(&ws, |_| Ok(()))?;
/// std::thread::scope(|scope| scope.spawn(|| event.trigger()).join().expect("it does not panic"))?;
/// assert_eq!(event.state(), ChannelState::Pending);
/// ws.dispatch()?;
/// assert_eq!(event.state(), ChannelState::Unregistered);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct SharedEvent(Arc<EventCell>);

struct EventCell {
    born: ForkGeneration,
    inner: Mutex<EventInner>,
}

impl Default for EventCell {
    fn default() -> Self {
        Self { born: ForkGeneration::now(), inner: Mutex::default() }
    }
}

#[derive(Default)]
struct EventInner {
    registration: Option<Registration>,
    /// Counts registrations, so that a queued delivery of an earlier one is recognised.
    serial: u64,
}

struct Registration {
    /// Weak: a channel that is registered does not keep its waitset.
    waitset: Weak<Inner>,
    task: Task,
    pending: bool,
}

impl Registration {
    fn is_alive(&self) -> bool {
        self.waitset.strong_count() > 0
    }
}

impl SharedEvent {
    /// An unregistered channel.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `None` in a forked child, if it is the parent's: a thread that is not there may hold the lock.
    fn lock(&self) -> Option<MutexGuard<'_, EventInner>> {
        self.0.born.is_here().then(|| self.0.inner.lock())
    }

    /// Where it stands, for the moment: never [`ChannelState::Polled`].
    #[must_use]
    pub fn state(&self) -> ChannelState {
        let Some(event) = self.lock() else { return ChannelState::Unregistered };
        match &event.registration {
            Some(registration) if !registration.is_alive() => ChannelState::Unregistered,
            Some(registration) if registration.pending => ChannelState::Pending,
            Some(_) => ChannelState::Idle,
            None => ChannelState::Unregistered,
        }
    }

    /// Registers `task` for one event: unregistered to idle.
    ///
    /// # Errors
    /// [`EventError::AlreadyRegistered`].
    pub fn register(
        &self,
        waitset: &SharedWaitset,
        task: impl FnOnce(&SharedWaitset) -> Outcome + Send + 'static,
    ) -> Result<(), EventError> {
        let before = {
            waitset.usable().map_err(|_| EventError::Closed)?;
            let mut event = self.lock().ok_or(EventError::Closed)?;
            if event.registration.as_ref().is_some_and(Registration::is_alive) {
                return Err(EventError::AlreadyRegistered);
            }
            event.serial += 1;
            let (waitset, task) = (Arc::downgrade(&waitset.0), Box::new(task));
            event.registration.replace(Registration { waitset, task, pending: false })
        };
        drop(before);
        Ok(())
    }

    /// The event has come: idle to pending. A pending channel stays as it is.
    ///
    /// # Errors
    /// [`EventError::NotRegistered`].
    pub fn trigger(&self) -> Result<(), EventError> {
        let (waitset, serial) = {
            let mut event = self.lock().ok_or(EventError::Closed)?;
            let serial = event.serial;
            let registration = event.registration.as_mut().ok_or(EventError::NotRegistered)?;
            let waitset = registration.waitset.upgrade().ok_or(EventError::NotRegistered)?;
            if core::mem::replace(&mut registration.pending, true) {
                return Ok(());
            }
            (waitset, serial)
        };
        let due = Due { event: self.clone(), serial };
        waitset.pool.give(&waitset.host, Item::Event(due));
        Ok(())
    }

    /// Takes the registration back, whatever its state: to unregistered. Its closure does not run after this, but may be
    /// running now if another thread dispatches.
    ///
    /// # Errors
    /// [`EventError::NotRegistered`].
    pub fn deregister(&self) -> Result<(), EventError> {
        let registration = self.lock().ok_or(EventError::Closed)?.registration.take();
        match registration {
            Some(registration) if registration.is_alive() => Ok(()),
            _ => Err(EventError::NotRegistered),
        }
    }
}

impl fmt::Debug for SharedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedEvent").field("state", &self.state()).finish()
    }
}

/// The delivery of a registration, as it is queued.
struct Due {
    event: SharedEvent,
    serial: u64,
}

impl Due {
    /// Unregisters the channel and gives what is to be run, if the registration is still there.
    fn take(self) -> Option<Task> {
        let mut event = self.event.lock()?;
        let registration =
            if event.serial == self.serial { event.registration.take() } else { None };
        drop(event);
        registration.map(|registration| registration.task)
    }
}
