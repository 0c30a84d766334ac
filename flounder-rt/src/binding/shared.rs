//! A binding that any thread may use (TN-011 section 3.2: the mutex of a binding).
//!
//! ```text
//!   any thread                                      the thread of the binding's waitset
//!   marshal --> Job --[ JobQueue: bounded queue ]-----> SharedServer (a source of the waitset) --> Shell::accept --> channel
//!                            wakes by a Notifier      |
//!   decode <--- Slot <-------- the caller's waker ----+-- answer <-- Shell::step <-- channel
//! ```
//! The binding stays with its thread and costs what it costs alone: nothing in here is on its way. What crosses is owned words
//! and capabilities, put together and read by the same generated code as ever, in the thread that sends or calls. Why it is a
//! queue and not a lock stands in `docs/design/0009-shared-bindings.md`.
//!
//! What is bounded: the queue, by [`SHARED_QUEUE`]; the calls under way, with those of the binding's own thread, by
//! [`CALL_WINDOW`](super::CALL_WINDOW). Behind a full one the other fills, and then callers wait, in order.

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

/// Where the result of a call goes.
type Slot = slot::Slot<Result<Message, RpcError>>;

/// Where it is told what became of a message.
pub(super) type SentSlot = slot::Slot<Result<(), TxError>>;

/// Messages and calls that other threads may have handed to a binding, and that its thread has not begun to send; as many
/// again may be in its hands.
pub const SHARED_QUEUE: usize = 64;

/// A handle to a binding for any thread: what every generated `SharedBinding` is underneath, and derefs to.
///
/// Clones are handles to the same binding. They count as handles of it together: when the last one is dropped, what they
/// have sent goes out first. Handlers, the error handler among them, run in the thread of the binding's waitset, which has to
/// dispatch; when that waitset or that thread ends, so does the binding, and whatever waits here gets an error.
#[derive(Clone)]
pub struct SharedEndpoint(Arc<Handle>);

/// What the handles have of the binding. In a forked child its locks are not taken: a thread that is not there may hold them.
struct Link {
    born: ForkGeneration,
    job_queue: JobQueue<Job, HandleEvent>,
    /// The deadlines of calls that are awaited.
    alarms: Alarms<Instant>,
    /// Wakes the server.
    server: Notifier,
    thread: ThreadId,
    thread_name: String,
    /// Whether the binding ended because its thread did.
    thread_ended: AtomicBool,
    /// Whether the clock looks after this link.
    is_watched: AtomicBool,
    /// What the clock saw last.
    watch: Mutex<Watch>,
    ended: OnceLock<BindingError>,
    interface: &'static Interface,
    driver: &'static str,
    peer: Peer,
}

/// What the clock has seen of a queue.
#[derive(Default)]
struct Watch {
    looks: u64,
    /// Ticks without a look of the thread, while something waited.
    ticks: u32,
}

/// Something for the thread of the binding to do.
enum Job {
    /// The slot is told when the message is sent.
    Message(Message, Option<Arc<SentSlot>>),
    Call(Message, Arc<Slot>),
    /// A capability of a message could not be copied: the peer is to learn that it missed one.
    Missed,
}

/// Something for it to know.
enum HandleEvent {
    /// Nobody waits for this call any more.
    GivenUp(u32),
    /// The reply with this number cannot be read.
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

    /// Something waits for the thread of the binding.
    #[inline]
    fn is_waited_for(self: &Arc<Self>) {
        if !self.is_watched.load(Ordering::Acquire)
            && !self.is_watched.swap(true, Ordering::AcqRel)
            && !clock::watch(self)
        {
            self.is_watched.store(false, Ordering::Release);
        }
    }

    /// A tick of the clock; says whether anything waits.
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

    /// Wakes calls whose time is over; says whether anything else waits.
    fn waits(&self, now: Instant) -> bool {
        let has_alarms = self.alarms.look(now).is_some();
        self.ended.get().is_none() && (has_alarms || self.job_queue.looks().1)
    }

    /// The error of a call whose time is over.
    fn too_late(&self) -> RpcError {
        if self.watch.lock().ticks >= clock::STALLED {
            RpcError::NotServed { thread: self.thread_name.clone() }
        } else {
            RpcError::Deadline
        }
    }

    /// The error of calls when the binding has ended for this reason.
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

    /// Why nothing can be called any more.
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
    /// A handle for other threads.
    #[must_use]
    pub fn share(&self) -> SharedEndpoint {
        SharedEndpoint(Handle::new(SharedServer::of(self).link()))
    }
}

impl SharedEndpoint {
    /// Why the binding ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<BindingError> {
        self.link().ended.get().cloned()
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.link().peer
    }

    /// The driver that was chosen.
    #[must_use]
    pub fn driver(&self) -> &'static str {
        self.link().driver
    }

    /// The interface.
    #[must_use]
    pub fn interface(&self) -> &'static Interface {
        self.link().interface
    }

    /// A message to be sent. Used by generated code.
    #[doc(hidden)]
    pub fn send(&self, number: u16, fixed: &[u64], tails: &[&[u8]], caps: Vec<Cap>) -> SharedSend {
        let job = Job::Message(Message::new(number, Gather { fixed, tails }, caps), None);
        SharedSend(Sending::Entering(Entry::new(self, job)))
    }

    /// A call to be made; its number is put in later. Used by generated code.
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

/// A job on its way into the queue. Dropped before it is there, nothing is sent.
struct Entry {
    handle: SharedEndpoint,
    job: Option<Job>,
    ticket: Option<u64>,
}

impl Entry {
    fn new(handle: &SharedEndpoint, job: Job) -> Self {
        Self { handle: handle.clone(), job: Some(job), ticket: None }
    }

    /// [`TxError::Busy`] if there is no room; with a waker it waits in the line.
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

/// A message for a shared binding: a future, `Send`, that ends when the binding has taken the message. Nothing is sent before it is
/// awaited, [waited for](Self::wait), or [tried](Self::try_now).
///
/// Dropped before it has ended, it sends nothing, and capabilities that it would give away are closed. Afterwards the message
/// goes out, behind all that were taken before, also if the last handle is dropped or the thread of the binding ends; only a
/// peer that is gone, or the [end of the process](crate::set_exit_timeout), prevents that. That its capabilities may not leave
/// is then told to the error handler of the binding. [`sent`](Self::sent) waits until it is sent.
#[must_use = "nothing is sent before `.await`, `wait` or `try_now`"]
pub struct SharedSend(Sending);

enum Sending {
    Failed(TxError),
    Entering(Entry),
    Over,
}

impl SharedSend {
    /// One that failed before it began.
    #[doc(hidden)]
    pub const fn failed(error: TxError) -> Self {
        Self(Sending::Failed(error))
    }

    /// Sends if there is room now. When it is [busy](TxError::Busy) the message stays in here, with its capabilities, and may be
    /// tried again or awaited.
    ///
    /// # Errors
    /// [`TxError`].
    pub fn try_now(&mut self) -> Result<(), TxError> {
        self.attempt(None)
    }

    /// Waits for room, blocking the thread, and sends.
    ///
    /// # Errors
    /// [`TxError`]; [`TxError::Busy`] only in the thread that would have to make the room, that of the binding's waitset.
    pub fn wait(mut self) -> Result<(), TxError> {
        match self.try_now() {
            Err(TxError::Busy) if !self.is_server_thread() => {
                park::block_on(self, None).unwrap_or(Err(TxError::Busy))
            }
            result => result,
        }
    }

    /// As the message itself, and completes when the channel has taken all of it: what happens to this process does not
    /// matter to the message from then on.
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

/// A message for a shared binding and what becomes of it: a future, `Send`, that ends when the channel has taken the whole
/// message. Made by [`SharedSend::sent`]. Dropped before the binding has taken the message, it sends nothing; dropped later, it
/// changes nothing.
#[must_use = "nothing is sent before `.await` or `wait`"]
pub struct SharedSent {
    /// Until the binding has taken the message.
    entering: Option<SharedSend>,
    slot: Arc<SentSlot>,
}

impl SharedSent {
    /// Blocks the thread until the message is sent, at most for [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT).
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    pub fn wait(self) -> Result<(), TxError> {
        self.wait_timeout(super::DEFAULT_TIMEOUT)
    }

    /// Blocks the thread until the message is sent, at most for `timeout`.
    ///
    /// # Errors
    /// [`TxError`]; [`TxError::Busy`] if the message is not sent by then, and in the thread that would have to send it, that
    /// of the binding's waitset. A message that the binding has taken by then is sent all the same.
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

/// A call through a shared binding: a future, `Send`. Nothing is sent before it is awaited or [waited for](Self::wait).
///
/// It waits for room behind the others, and then for the reply. Dropped before it has room, it sends nothing; dropped later,
/// it is not sent if the binding has not begun to, and else its reply is discarded. A call whose [time](Self::timeout) is over
/// ends as if it were dropped. One without a time of its own ends after [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT). A call
/// ends at its time also if the thread of the binding's waitset does not dispatch: with [`RpcError::NotServed`], which names
/// that thread, and up to a quarter of a second late.
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
    /// One that failed before it began.
    #[doc(hidden)]
    pub fn failed(error: RpcError) -> Self {
        Self {
            stage: Stage::Failed(error),
            timeout: Timeout::Default,
            alarm: Alarm::default(),
            reply: PhantomData,
        }
    }

    /// Ends the call with [`RpcError::Deadline`] if it is not done after this time, which begins now. A time beyond the end of
    /// the clock is for ever.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.limited(Timeout::For(timeout))
    }

    /// Ends the call with [`RpcError::Deadline`] if it is not done at this time.
    pub fn deadline(self, deadline: Instant) -> Self {
        self.limited(Timeout::Until(deadline))
    }

    fn limited(mut self, timeout: Timeout) -> Self {
        self.timeout = timeout.beginning_now();
        self
    }

    /// Blocks the thread until the reply has come, for [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) at most, as any
    /// blocking call without a time of its own.
    ///
    /// # Errors
    /// [`RpcError`]; [`RpcError::WouldDeadlock`] in the thread of the binding's waitset, which would have to fetch the reply.
    pub fn wait(self) -> Result<R::Values, RpcError> {
        let end = self.timeout.end_of_blocking();
        self.wait_until(end)
    }

    /// As [`wait`](Self::wait), for so long at most; a time beyond the end of the clock is for ever.
    ///
    /// # Errors
    /// [`RpcError::Deadline`] then, and the call is given up.
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
        // This thread watches the clock itself.
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

    /// What is to be done while there is no result: the error if the time is over.
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
    /// Forgets everything; what is still under way is given up.
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
