//! Bindings that any thread may use (TN-011 section 3.2: the mutex of a binding).
//!
//! ```text
//!   any thread                                      the thread of the binding's waitset
//!   marshal --> Job --[ JobQueue: bounded queue ]-----> SharedServer (a source of the waitset) --> Shell::accept --> channel
//!                            wakes by a Notifier      |
//!   decode <--- Slot <-------- the caller's waker ----+-- answer <-- Shell::step <-- channel
//! ```
//! The binding stays with its thread, and nothing in this module is on its fast path. Words and
//! capabilities cross between threads; the thread that sends or calls encodes and decodes them, with
//! the same generated code as for any binding. `docs/design/0009-shared-bindings.md` explains why this
//! is a queue and not a lock.
//!
//! [`SHARED_QUEUE`] bounds the queue, [`CALL_WINDOW`](super::CALL_WINDOW) the calls under way, together
//! with those of the thread of the binding. When both are full, callers wait, in order.

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;
use std::time::Instant;

use parking_lot::Mutex;

use crate::binding::connection::Message;
use crate::binding::{BindingError, RawBinding, Reply, RpcError, TxError};
use crate::cap::Cap;
use crate::exit::Queue;
use crate::fork::ForkGeneration;
use crate::interface::Interface;
use crate::notify::Notifier;
use crate::peer::Peer;
use crate::waitset::Timeout;
use crate::wire::{DecodeError, Gather};

mod alarm;
mod clock;
mod job_queue;
mod park;
mod server;
mod slot;

use alarm::{Alarm, Alarms};
use job_queue::{JobQueue, Put, Tell};
pub(super) use server::SharedServer;

/// Receives the result of a call.
type Slot = slot::Slot<Result<Message, RpcError>>;

/// Receives the outcome of a message.
pub(super) type SentSlot = slot::Slot<Result<(), TxError>>;

/// Most messages and calls of other threads that wait in the queue of a binding. The thread of the
/// binding may hold as many again.
pub const SHARED_QUEUE: usize = 64;

/// An untyped handle to a binding for any thread. Every generated `SharedBinding` wraps one and
/// dereferences to it.
///
/// Clones are handles to the same binding, and together count as one handle of it: when the last one is
/// dropped, what they have sent goes out first. Handlers, the error handler included, run in the thread
/// of the binding's waitset, which has to dispatch. When that waitset or that thread ends, the binding
/// ends, and waiting calls and messages get an error.
#[derive(Clone)]
pub struct SharedEndpoint(Arc<Handle>);

/// The part of a binding that its handles share. A forked child does not take its locks: a thread that
/// does not exist in the child may hold them.
struct Link {
    born: ForkGeneration,
    job_queue: JobQueue<Job, HandleEvent>,
    /// The deadlines of calls that are awaited.
    alarms: Alarms<Instant>,
    /// Wakes the server.
    server: Notifier,
    thread: ThreadId,
    thread_name: String,
    /// True if the binding ended because its thread did.
    thread_ended: AtomicBool,
    /// True while the clock watches this link.
    is_watched: AtomicBool,
    /// State of the queue at the last tick of the clock.
    watch: Mutex<Watch>,
    ended: OnceLock<BindingError>,
    interface: &'static Interface,
    driver: &'static str,
    peer: Peer,
}

/// State of a queue at a tick of the clock.
#[derive(Default)]
struct Watch {
    looks: u64,
    /// Ticks during which something waited and the thread did not read the queue.
    ticks: u32,
}

/// Work for the thread of the binding.
enum Job {
    /// A message, with a slot that receives its outcome.
    Message(Message, Option<Arc<SentSlot>>),
    Call(Message, Arc<Slot>),
    /// A capability of a message could not be copied: the peer has to learn that a message was lost.
    Missed,
}

/// Report of a handle to the thread of the binding.
enum HandleEvent {
    /// This call is given up.
    GivenUp(u32),
    /// The reply with this message number is malformed.
    BadReply(u16, DecodeError),
}

/// A handle that is counted.
struct Handle(Arc<Link>);

impl Handle {
    fn new(link: &Arc<Link>) -> Arc<Self> {
        if link.born.is_here() {
            link.job_queue.enter();
        }
        Arc::new(Self(Arc::clone(link)))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.0.born.is_here() {
            self.0.tell(self.0.job_queue.leave());
        }
    }
}

impl Link {
    fn tell(&self, tell: Tell) {
        if tell == Tell::Yes {
            self.server.notify();
        }
    }

    /// Has the clock watch this link: something waits for the thread of the binding.
    #[inline]
    fn is_waited_for(self: &Arc<Self>) {
        if !self.is_watched.load(Ordering::Acquire)
            && !self.is_watched.swap(true, Ordering::AcqRel)
            && !clock::watch(self)
        {
            self.is_watched.store(false, Ordering::Release);
        }
    }

    /// Handles a tick of the clock. Returns true if anything waits.
    fn tick(&self, now: Instant) -> bool {
        let (looks, waits) = self.job_queue.looks();
        let is_stalled = {
            let mut watch = self.watch.lock();
            let stands = waits && watch.looks == looks && self.ended.get().is_none();
            watch.ticks = if stands { watch.ticks.saturating_add(1) } else { 0 };
            watch.looks = looks;
            watch.ticks == clock::STALLED
        };
        if is_stalled {
            tracing::warn!(
                interface = self.interface.name,
                thread = self.thread_name,
                "the thread that serves a shared binding has not looked at its queue for a second: it has to dispatch its \
                 waitset"
            );
        }
        self.waits(now)
    }

    /// Wakes calls whose deadline has passed. Returns true if anything else waits.
    fn waits(&self, now: Instant) -> bool {
        let has_alarms = self.alarms.look(now).is_some();
        self.ended.get().is_none() && (has_alarms || self.job_queue.looks().1)
    }

    /// Returns the error of a call whose deadline has passed.
    fn too_late(&self) -> RpcError {
        if self.watch.lock().ticks >= clock::STALLED {
            RpcError::NotServed { thread: self.thread_name.clone() }
        } else {
            RpcError::Deadline
        }
    }

    /// Returns the error of calls when the binding has ended for this reason.
    fn end_error(&self, why: &BindingError) -> RpcError {
        if self.thread_ended.load(Ordering::Acquire) {
            RpcError::ThreadEnded { thread: self.thread_name.clone() }
        } else {
            RpcError::Closed(why.clone())
        }
    }

    fn is_server_thread(&self) -> bool {
        std::thread::current().id() == self.thread
    }

    /// Returns the error of calls on a binding that has ended.
    fn call_error(&self) -> RpcError {
        self.ended.get().map_or(RpcError::Tx(TxError::Closed), |why| self.end_error(why))
    }
}

impl Queue for Link {
    fn is_busy(&self) -> bool {
        self.job_queue.looks().1
    }
}

impl RawBinding {
    /// Returns a handle for any thread.
    #[must_use]
    pub fn share(&self) -> SharedEndpoint {
        SharedEndpoint(Handle::new(SharedServer::of(self).link()))
    }
}

impl SharedEndpoint {
    /// Returns the reason why the binding ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<BindingError> {
        self.link().ended.get().cloned()
    }

    /// Returns the process at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.link().peer
    }

    /// Returns the name of the driver.
    #[must_use]
    pub fn driver(&self) -> &'static str {
        self.link().driver
    }

    /// Returns the interface.
    #[must_use]
    pub fn interface(&self) -> &'static Interface {
        self.link().interface
    }

    /// Returns a message to be sent. Used by generated code.
    #[doc(hidden)]
    pub fn send(&self, number: u16, fixed: &[u64], tails: &[&[u8]], caps: Vec<Cap>) -> SharedSend {
        let job = Job::Message(Message::new(number, Gather { fixed, tails }, caps), None);
        SharedSend(Sending::Entering(Entry::new(self, job)))
    }

    /// Returns a call to be made; its id is filled in later. Used by generated code.
    #[doc(hidden)]
    pub fn call<R>(
        &self,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Vec<Cap>,
        timeout: Timeout,
    ) -> SharedCall<R> {
        let slot = Arc::new(Slot::default());
        let request = Message::new(number, Gather { fixed, tails }, caps);
        let job = Job::Call(request, Arc::clone(&slot));
        SharedCall {
            stage: Stage::Entering(Entry::new(self, job), slot),
            timeout: timeout.beginning_now(),
            alarm: Alarm::default(),
            reply: PhantomData,
        }
    }

    /// A capability of a message could not be copied. Used by generated code.
    #[doc(hidden)]
    #[cold]
    #[must_use]
    pub fn cap_copy(&self, error: io::Error) -> TxError {
        match Entry::new(self, Job::Missed).put(None) {
            Ok(()) => TxError::cap_copy(error),
            Err(error) => error,
        }
    }

    fn link(&self) -> &Arc<Link> {
        &self.0.0
    }
}

impl fmt::Debug for SharedEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBinding")
            .field("interface", &self.interface().name)
            .field("driver", &self.driver())
            .field("peer", self.peer())
            .finish_non_exhaustive()
    }
}

/// A job that waits for room in the queue. If it is dropped before, nothing is sent.
struct Entry {
    handle: SharedEndpoint,
    job: Option<Job>,
    ticket: Option<u64>,
}

impl Entry {
    fn new(handle: &SharedEndpoint, job: Job) -> Self {
        Self { handle: handle.clone(), job: Some(job), ticket: None }
    }

    /// Puts the job into the queue, or returns [`TxError::Busy`]; with a waker, the job then waits in line.
    fn put(&mut self, waker: Option<&Waker>) -> Result<(), TxError> {
        let link = self.handle.link();
        if !link.born.is_here() {
            return Err(TxError::Closed);
        }
        match link.job_queue.put(&mut self.job, &mut self.ticket, waker) {
            Put::Done(tell) => {
                link.tell(tell);
                link.is_waited_for();
                Ok(())
            }
            Put::Full => {
                link.is_waited_for();
                Err(TxError::Busy)
            }
            Put::Closed => Err(TxError::Closed),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket
            && self.handle.link().born.is_here()
        {
            self.handle.link().job_queue.give_up(ticket);
        }
    }
}

/// A message for a shared binding: a future that is `Send` and completes when the binding has accepted
/// the message. Nothing is sent before the future is awaited, [waited for](Self::wait), or
/// [tried](Self::try_now).
///
/// A future that is dropped before it completes sends nothing, and closes the capabilities that it would
/// have moved. Once it has completed, the message is sent, behind all that were accepted before, even if
/// the last handle is dropped or the thread of the binding ends; only a peer that is gone, or the [end
/// of the process](crate::set_exit_timeout), prevents that. If its capabilities may not leave this
/// domain, the error handler of the binding gets the error. [`sent`](Self::sent) waits until the message
/// is sent.
#[must_use = "nothing is sent before `.await`, `wait` or `try_now`"]
pub struct SharedSend(Sending);

enum Sending {
    Failed(TxError),
    Entering(Entry),
    Over,
}

impl SharedSend {
    /// Returns one that fails with `error`.
    #[doc(hidden)]
    pub const fn failed(error: TxError) -> Self {
        Self(Sending::Failed(error))
    }

    /// Sends the message if there is room now. Otherwise it stays here with its capabilities, and may be
    /// tried again or awaited.
    ///
    /// # Errors
    /// [`TxError::Busy`] if there is no room; otherwise the reason why the message cannot be sent.
    pub fn try_now(&mut self) -> Result<(), TxError> {
        self.attempt(None)
    }

    /// Blocks until there is room, and sends the message.
    ///
    /// # Errors
    /// The reason why the message cannot be sent. [`TxError::Busy`] only in the thread of the binding's
    /// waitset, which would have to make the room.
    pub fn wait(mut self) -> Result<(), TxError> {
        match self.try_now() {
            Err(TxError::Busy) if !self.is_server_thread() => {
                park::block_on(self, None).unwrap_or(Err(TxError::Busy))
            }
            result => result,
        }
    }

    /// Returns a future that completes when the channel has taken the whole message. From then on, the
    /// message arrives whatever happens to this process.
    pub fn sent(mut self) -> SharedSent {
        let slot = Arc::new(SentSlot::default());
        if let Sending::Entering(Entry { job: Some(Job::Message(_, report)), .. }) = &mut self.0 {
            *report = Some(Arc::clone(&slot));
        }
        SharedSent { entering: Some(self), slot }
    }

    fn is_server_thread(&self) -> bool {
        matches!(&self.0, Sending::Entering(entry) if entry.handle.link().is_server_thread())
    }

    fn attempt(&mut self, waker: Option<&Waker>) -> Result<(), TxError> {
        let result = match &mut self.0 {
            Sending::Entering(entry) => entry.put(waker),
            Sending::Failed(error) => Err(error.clone()),
            Sending::Over => Err(TxError::Closed),
        };
        if result != Err(TxError::Busy) {
            self.0 = Sending::Over;
        }
        result
    }
}

impl Future for SharedSend {
    type Output = Result<(), TxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let entering = matches!(self.0, Sending::Entering(_));
        match self.attempt(Some(cx.waker())) {
            Err(TxError::Busy) if entering => Poll::Pending,
            result => Poll::Ready(result),
        }
    }
}

impl fmt::Debug for SharedSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSend").finish_non_exhaustive()
    }
}

/// A message for a shared binding and its outcome: a future that is `Send` and completes when the
/// channel has taken the whole message. Made by [`SharedSend::sent`]. Dropped before the binding has
/// accepted the message, it sends nothing; dropped later, it changes nothing.
#[must_use = "nothing is sent before `.await` or `wait`"]
pub struct SharedSent {
    /// The message, until the binding has accepted it.
    entering: Option<SharedSend>,
    slot: Arc<SentSlot>,
}

impl SharedSent {
    /// Blocks the thread until the message is sent, at most for [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT).
    ///
    /// # Errors
    /// Those of [`wait_timeout`](Self::wait_timeout).
    pub fn wait(self) -> Result<(), TxError> {
        self.wait_timeout(super::DEFAULT_TIMEOUT)
    }

    /// Blocks the thread until the message is sent, at most for `timeout`.
    ///
    /// # Errors
    /// The reason why the message cannot be sent. [`TxError::Busy`] if it is not sent by then, and in the
    /// thread of the binding's waitset, which would have to send it. A message that the binding has
    /// accepted by then will be sent.
    pub fn wait_timeout(self, timeout: Duration) -> Result<(), TxError> {
        if self.entering.as_ref().is_some_and(SharedSend::is_server_thread) {
            return Err(TxError::Busy);
        }
        park::block_on(self, Timeout::For(timeout).end()).unwrap_or(Err(TxError::Busy))
    }
}

impl Future for SharedSent {
    type Output = Result<(), TxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(entering) = &mut self.entering {
            match Pin::new(entering).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => self.entering = None,
                Poll::Ready(error) => {
                    self.entering = None;
                    return Poll::Ready(error);
                }
            }
        }
        if !self.slot.listen(cx.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(self.slot.take().unwrap_or(Err(TxError::Closed)))
    }
}

impl fmt::Debug for SharedSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSent").finish_non_exhaustive()
    }
}

/// A call through a shared binding: a future that is `Send`. Nothing is sent before it is awaited or
/// [waited for](Self::wait).
///
/// A call waits for room behind the others, and then for the reply. If it is dropped before the binding
/// has begun to send it, nothing is sent; dropped later, its reply is discarded. A call whose
/// [timeout](Self::timeout) passes ends as if it were dropped; without one of its own, the timeout is
/// [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT). If the thread of the binding's waitset does not dispatch,
/// a call still ends, up to a quarter of a second late, with [`RpcError::NotServed`], which names that
/// thread.
#[must_use = "a call does nothing before `.await` or `wait`"]
pub struct SharedCall<R> {
    stage: Stage,
    timeout: Timeout,
    alarm: Alarm<Instant>,
    reply: PhantomData<fn() -> R>,
}

enum Stage {
    Failed(RpcError),
    Entering(Entry, Arc<Slot>),
    Waiting(SharedEndpoint, Arc<Slot>),
    Over,
}

impl<R: Reply> SharedCall<R> {
    /// Returns one that fails with `error`.
    #[doc(hidden)]
    pub fn failed(error: RpcError) -> Self {
        Self {
            stage: Stage::Failed(error),
            timeout: Timeout::Default,
            alarm: Alarm::default(),
            reply: PhantomData,
        }
    }

    /// Limits the call to this time, from now. Then it ends with [`RpcError::Deadline`].
    /// [`Duration::MAX`] is no limit.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.limited(Timeout::For(timeout))
    }

    /// Limits the call to this point in time. Then it ends with [`RpcError::Deadline`].
    pub fn deadline(self, deadline: Instant) -> Self {
        self.limited(Timeout::Until(deadline))
    }

    fn limited(mut self, timeout: Timeout) -> Self {
        self.timeout = timeout.beginning_now();
        self
    }

    /// Blocks until the reply has come, for [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) at most.
    ///
    /// # Errors
    /// Every [`RpcError`]. [`RpcError::WouldDeadlock`] in the thread of the binding's waitset, which would
    /// have to receive the reply.
    pub fn wait(self) -> Result<R::Values, RpcError> {
        let end = self.timeout.end_of_blocking();
        self.wait_until(end)
    }

    /// Blocks until the reply has come, for `timeout` at most; [`Duration::MAX`] is no limit.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait); [`RpcError::Deadline`] when time runs out, and the call is given up.
    pub fn wait_timeout(self, timeout: Duration) -> Result<R::Values, RpcError> {
        let (own, end) = (self.timeout.end(), Timeout::For(timeout).end());
        self.wait_until(own.into_iter().chain(end).min())
    }

    fn wait_until(mut self, end: Option<Instant>) -> Result<R::Values, RpcError> {
        if let Stage::Entering(entry, _) = &self.stage
            && entry.handle.link().is_server_thread()
        {
            return Err(RpcError::WouldDeadlock);
        }
        if self.timeout.is_over() {
            return Err(RpcError::Deadline);
        }
        // This thread checks the deadline itself.
        self.timeout = Timeout::For(Duration::MAX);
        let link = self.link();
        park::block_on(self, end)
            .unwrap_or_else(|| Err(link.map_or(RpcError::Deadline, |link| link.too_late())))
    }

    fn link(&self) -> Option<Arc<Link>> {
        match &self.stage {
            Stage::Entering(Entry { handle, .. }, _) | Stage::Waiting(handle, _) => {
                Some(Arc::clone(handle.link()))
            }
            Stage::Failed(_) | Stage::Over => None,
        }
    }

    /// Waits for the result; returns the error if the deadline has passed.
    fn watch_the_clock(&mut self, waker: &Waker) -> Poll<RpcError> {
        let Some(end) = self.timeout.end() else { return Poll::Pending };
        if Instant::now() >= end {
            let error = self.link().map_or(RpcError::Deadline, |link| link.too_late());
            self.give_up();
            return Poll::Ready(error);
        }
        if let Stage::Entering(Entry { handle, .. }, _) | Stage::Waiting(handle, _) = &self.stage {
            let link = handle.link();
            link.tell(link.alarms.set(&mut self.alarm, end, waker));
            link.is_waited_for();
        }
        Poll::Pending
    }

    fn read(&self, handle: &SharedEndpoint, mut reply: Message) -> Result<R::Values, RpcError> {
        let message = reply.lend();
        let number = message.number;
        R::decode(message).map_err(|error| {
            let link = handle.link();
            link.tell(link.job_queue.report(HandleEvent::BadReply(number, error.clone())));
            RpcError::Decode(error)
        })
    }
}

impl<R: Reply> Future for SharedCall<R> {
    type Output = Result<R::Values, RpcError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.timeout = this.timeout.limited_now();
        if let Stage::Entering(Entry { handle, .. }, _) | Stage::Waiting(handle, _) = &this.stage
            && !handle.link().born.is_here()
        {
            this.stage = Stage::Failed(handle.link().call_error());
        }
        if let Stage::Entering(entry, slot) = &mut this.stage
            && !this.timeout.is_over()
        {
            match entry.put(Some(cx.waker())) {
                Ok(()) => this.stage = Stage::Waiting(entry.handle.clone(), Arc::clone(slot)),
                Err(TxError::Busy) => {}
                Err(_) => {
                    let link = entry.handle.link();
                    link.alarms.clear(&mut this.alarm);
                    this.stage = Stage::Failed(link.call_error());
                }
            }
        }
        let waits = match &this.stage {
            Stage::Entering(..) => true,
            Stage::Waiting(_, slot) => !slot.listen(cx.waker()),
            Stage::Failed(_) | Stage::Over => false,
        };
        if waits {
            return this.watch_the_clock(cx.waker()).map(Err);
        }
        Poll::Ready(match core::mem::replace(&mut this.stage, Stage::Over) {
            Stage::Waiting(handle, slot) => {
                handle.link().alarms.clear(&mut this.alarm);
                match slot.take() {
                    Some(Ok(reply)) => this.read(&handle, reply),
                    Some(Err(error)) => Err(error),
                    None => Err(handle.link().call_error()),
                }
            }
            Stage::Failed(error) => Err(error),
            Stage::Entering(..) | Stage::Over => Err(RpcError::Tx(TxError::Closed)),
        })
    }
}

impl<R> SharedCall<R> {
    /// Gives up what is still under way.
    fn give_up(&mut self) {
        let stage = core::mem::replace(&mut self.stage, Stage::Over);
        let (Stage::Entering(Entry { handle, .. }, _) | Stage::Waiting(handle, _)) = &stage else {
            return;
        };
        let link = handle.link();
        if !link.born.is_here() {
            return;
        }
        link.alarms.clear(&mut self.alarm);
        if let Stage::Waiting(_, slot) = &stage
            && let Some(id) = slot.give_up()
        {
            link.tell(link.job_queue.report(HandleEvent::GivenUp(id)));
        }
    }
}

impl<R> Drop for SharedCall<R> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<R> fmt::Debug for SharedCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCall").finish_non_exhaustive()
    }
}
