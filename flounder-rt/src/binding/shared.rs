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
use std::sync::{Arc, OnceLock, Weak};
use std::thread::ThreadId;
use std::time::Instant;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::binding::any_thread::{self, AnyThread};
use crate::binding::connection::Message;
use crate::binding::end::Shared;
use crate::binding::inbox::{Mail, Taken, What};
use crate::binding::message_type::Response;
use crate::binding::sending::{SendBody, Sending};
use crate::binding::shell::Shell;
use crate::binding::{
    BindingError, Call, ControlError, RawBinding, RecvError, Reply, RpcError, Sent, TxError,
};
use crate::cap::Cap;
use crate::exit::Queue;
use crate::fork::ForkGeneration;
use crate::interface::Interface;
use crate::message::bulk::BulkEnd;
use crate::notify::Notifier;
use crate::peer::Peer;
use crate::waitset::{Outcome, Priority, Remote, SharedWaitset, Timeout, Waitset};
use crate::wire::{DecodeError, Gather};

mod alarm;
mod clock;
mod closed;
mod continuation;
mod job_queue;
mod jobs;
mod park;
mod reconnecting;
mod server;
pub(crate) mod slot;

use alarm::{Alarm, Alarms};
use closed::Closed;
use continuation::RoomCallback;
use job_queue::{JobQueue, Notify, Put, Room};
pub(super) use jobs::Jobs;
pub(crate) use park::block_on;
pub use reconnecting::{Meanwhile, Reconnecting, ReconnectingEndpoint, Replacement};
pub(super) use server::SharedServer;

/// Receives the result of a call.
type Slot = slot::Slot<Result<Message, RpcError>>;

/// Receives the outcome of a message.
pub(super) type SentSlot = slot::Slot<Result<(), TxError>>;

/// Most messages and calls of other threads that wait in the queue of a binding. The thread of the
/// binding may hold as many again.
pub const SHARED_QUEUE: usize = 64;

/// An untyped handle to a binding for any thread. Every generated `Binding<Shared>` wraps
/// one.
///
/// Clones are handles to the same binding, and together count as one handle of it: when the last one is
/// dropped, what they have sent goes out first. Handlers, the error handler included, run in the thread
/// of the binding's waitset, which has to dispatch. When that waitset or that thread ends, the binding
/// ends, and waiting calls and messages get an error.
pub struct SharedEndpoint(Arc<Handle>);

/// The part of a binding that its handles share. A forked child does not take its locks: a thread that
/// does not exist in the child may hold them.
pub(super) struct Link {
    born: ForkGeneration,
    /// In lines of its own, as the alarms are: threads on several processors write both.
    job_queue: CachePadded<JobQueue<Job, HandleEvent>>,
    /// The deadlines of calls that are awaited.
    alarms: CachePadded<Alarms<Instant>>,
    server: Server,
    /// True if the binding ended because its thread did.
    thread_ended: AtomicBool,
    /// True while the clock watches this link.
    is_watched: AtomicBool,
    /// State of the queue at the last tick of the clock.
    watch: Mutex<Watch>,
    ended: OnceLock<BindingError>,
    closed: Closed,
    interface: &'static Interface,
    driver: &'static str,
    peer: Peer,
    /// The inbox of the binding, if it has one.
    mail: OnceLock<Arc<Mail>>,
    /// The pools of the binding, if it has any.
    bulk: Option<Arc<BulkEnd>>,
}

/// Who sends what is queued, and receives replies.
enum Server {
    /// The thread of the waitset of the binding.
    Thread(ServingThread),
    /// Whichever thread comes first: the binding belongs to a [`SharedWaitset`](crate::SharedWaitset).
    AnyThread(Weak<Shell<AnyThread>>),
}

struct ServingThread {
    notifier: Notifier,
    /// The tasks of its waitset.
    remote: Mutex<Option<Arc<Remote>>>,
    id: ThreadId,
    name: String,
}

impl ServingThread {
    /// Returns the calling thread, which `notifier` wakes.
    fn here(notifier: Notifier) -> Self {
        let thread = std::thread::current();
        let number = || format!("{:?}", thread.id());
        let name = thread.name().map_or_else(number, |name| format!("\"{name}\""));
        Self { notifier, remote: Mutex::default(), id: thread.id(), name }
    }
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
    /// The inbox was full, and a message was taken.
    MailTaken,
    /// The message of the inbox with this number is malformed.
    BadMail(u16, DecodeError),
    /// The peer is to learn of pools or of slots.
    BulkNews,
    /// The binding gets another priority.
    Priority(Priority),
    /// The binding is to be torn down.
    Teardown,
}

/// A handle that is counted.
struct Handle {
    link: Arc<Link>,
    /// False for the end that is lent to handlers: it does not keep the binding.
    is_counted: bool,
}

impl Handle {
    fn new(link: &Arc<Link>) -> Arc<Self> {
        if link.born.is_here() {
            link.job_queue.enter();
        }
        Arc::new(Self { link: Arc::clone(link), is_counted: true })
    }

    fn uncounted(link: &Arc<Link>) -> Arc<Self> {
        Arc::new(Self { link: Arc::clone(link), is_counted: false })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_counted && self.link.born.is_here() {
            self.link.notify(self.link.job_queue.leave());
        }
    }
}

impl Link {
    fn new(
        server: Server,
        interface: &'static Interface,
        driver: &'static str,
        peer: Peer,
        mail: Option<Arc<Mail>>,
        bulk: Option<Arc<BulkEnd>>,
    ) -> Self {
        Self {
            born: ForkGeneration::now(),
            job_queue: CachePadded::new(JobQueue::new(SHARED_QUEUE)),
            alarms: CachePadded::new(Alarms::new()),
            server,
            thread_ended: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
            watch: Mutex::default(),
            ended: OnceLock::new(),
            closed: Closed::default(),
            interface,
            driver,
            peer,
            mail: mail.map_or_else(OnceLock::new, OnceLock::from),
            bulk,
        }
    }

    /// Returns the pools of the binding, if it has any.
    pub(super) const fn bulk(&self) -> Option<&Arc<BulkEnd>> {
        self.bulk.as_ref()
    }

    /// Notes that there is news about the pools, for the next time that the server looks.
    pub(super) fn note_bulk_news(&self) {
        if self.born.is_here() {
            let _ = self.job_queue.report(HandleEvent::BulkNews);
        }
    }

    /// Returns the inbox of the binding, if it has one.
    pub(super) fn mail(&self) -> Option<&Arc<Mail>> {
        self.mail.get()
    }

    pub(super) fn of_any_thread(
        shell: Weak<Shell<AnyThread>>,
        interface: &'static Interface,
        driver: &'static str,
        peer: Peer,
        bulk: Option<Arc<BulkEnd>>,
    ) -> Self {
        Self::new(Server::AnyThread(shell), interface, driver, peer, None, bulk)
    }

    /// Returns true if the server has to look at the clock before the time that
    /// [`look_at_alarms`](Self::look_at_alarms) returned.
    pub(super) fn has_new_alarm(&self) -> bool {
        self.alarms.take_new()
    }

    /// Wakes the calls whose deadline has passed. Returns the next deadline.
    pub(super) fn look_at_alarms(&self, now: Instant) -> Option<Instant> {
        self.alarms.look(now)
    }

    fn notify(&self, notify: Notify) {
        if notify == Notify::Yes {
            match &self.server {
                Server::Thread(thread) => thread.notifier.notify(),
                Server::AnyThread(shell) => {
                    if let Some(shell) = shell.upgrade() {
                        any_thread::serve(&shell);
                    }
                }
            }
        }
    }

    /// `waitset` visits the server as `token`.
    fn retarget(&self, waitset: &Waitset, token: u64) {
        if let Server::Thread(thread) = &self.server {
            let old = thread.remote.lock().replace(waitset.remote());
            drop(old);
            thread.notifier.retarget(waitset.remote(), token);
        }
    }

    /// Runs `task` from the waitset of the binding; drops it if the waitset is gone.
    fn post(&self, task: impl FnOnce() + Send + 'static) {
        match &self.server {
            Server::Thread(thread) => {
                let remote = thread.remote.lock().clone();
                if let Some(remote) = remote {
                    remote.post(move |_| {
                        task();
                        Ok(())
                    });
                }
            }
            Server::AnyThread(shell) => {
                if let Some(shell) = shell.upgrade() {
                    shell.post(Box::new(move |_| {
                        task();
                        Ok(())
                    }));
                }
            }
        }
    }

    /// The channel is closed: whether everything that was accepted is sent.
    pub(super) fn note_closed(&self, result: Option<Result<(), TxError>>) {
        if let Some(result) = result
            && self.born.is_here()
        {
            self.closed.report(result);
        }
    }

    /// The waitset of the server's thread does not visit the server any more.
    fn detach(&self) {
        if let Server::Thread(thread) = &self.server {
            thread.notifier.detach();
        }
    }

    fn thread_name(&self) -> &str {
        match &self.server {
            Server::Thread(thread) => &thread.name,
            Server::AnyThread(_) => "of a shared waitset",
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
                thread = self.thread_name(),
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
            RpcError::NotServed { thread: self.thread_name().to_owned() }
        } else {
            RpcError::Deadline
        }
    }

    /// Returns the error of calls when the binding has ended for this reason. `error` makes it, unless the thread has ended.
    fn end_error(&self, why: &BindingError, error: fn(BindingError) -> RpcError) -> RpcError {
        if self.thread_ended.load(Ordering::Acquire) {
            RpcError::ThreadEnded { thread: self.thread_name().to_owned() }
        } else {
            error(why.clone())
        }
    }

    /// Returns true if this thread would have to do what it waits for.
    fn is_server_thread(&self) -> bool {
        match &self.server {
            Server::Thread(thread) => std::thread::current().id() == thread.id,
            Server::AnyThread(shell) => {
                shell.upgrade().is_some_and(|shell| any_thread::is_in_handler(&shell))
            }
        }
    }

    /// Returns the error of calls that were not sent, on a binding that has ended.
    fn call_error(&self) -> RpcError {
        let error = |why| self.end_error(why, RpcError::NotSent);
        self.ended.get().map_or(RpcError::Tx(TxError::Closed), error)
    }
}

impl Queue for Link {
    fn is_busy(&self) -> bool {
        self.job_queue.looks().1
    }
}

impl Clone for SharedEndpoint {
    fn clone(&self) -> Self {
        // The end that is lent to a handler keeps nothing; its clones do.
        Self(if self.0.is_counted { Arc::clone(&self.0) } else { Handle::new(self.link()) })
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

    /// Returns the pools of the binding.
    pub(super) fn bulk(&self) -> Option<&Arc<BulkEnd>> {
        self.link().bulk.as_ref()
    }

    /// Has the server tell the peer what is new about the pools.
    pub(super) fn report_bulk_news(&self) {
        let link = self.link();
        link.notify(link.job_queue.report(HandleEvent::BulkNews));
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

    /// Tears the binding down, as soon as the thread of its waitset dispatches; at once if it has none. Nothing is accepted after that; what was
    /// accepted before is sent.
    pub fn teardown(&self) {
        let link = self.link();
        if link.born.is_here() {
            link.notify(link.job_queue.report(HandleEvent::Teardown));
        }
    }

    /// Returns whether everything was sent, once the binding is closed; otherwise wakes `waker` then.
    pub(super) fn poll_closed(&self, waker: &Waker) -> Option<Result<(), TxError>> {
        let link = self.link();
        if link.born.is_here() { link.closed.poll(waker) } else { Some(Err(TxError::Closed)) }
    }

    /// Returns true if the queue has room for a message.
    #[must_use]
    pub fn can_send(&self) -> bool {
        let link = self.link();
        link.born.is_here() && link.job_queue.has_room()
    }

    /// Runs `callback` once from `waitset` when a message is likely to be accepted: in the next dispatch if the queue has
    /// room, otherwise when it has. Nothing is reserved: the callback may find the binding busy again. The callback is
    /// dropped unrun if the waitset is gone by then.
    ///
    /// # Errors
    /// [`ControlError::AlreadyRegistered`] if another callback waits; [`ControlError::Closed`] if the binding has ended.
    pub fn register_send(
        &self,
        waitset: &SharedWaitset,
        callback: impl FnOnce(&SharedWaitset) -> Outcome + Send + 'static,
    ) -> Result<(), ControlError> {
        let link = self.link();
        if !link.born.is_here() {
            return Err(ControlError::Closed);
        }
        let waker = RoomCallback::waker(waitset, Box::new(callback));
        match link.job_queue.watch_room(&waker) {
            Room::Free => waker.wake(),
            Room::Watched => {}
            Room::WatchedByAnother => return Err(ControlError::AlreadyRegistered),
            Room::Closed => return Err(ControlError::Closed),
        }
        Ok(())
    }

    /// Moves a binding of a [`SharedWaitset`] to another one, whose threads then run its handlers and continuations. A
    /// thread that runs a handler of the binding meanwhile finishes that one. The priority stays.
    ///
    /// # Errors
    /// [`ControlError::OfOneThread`] if the binding belongs to the thread that made it, as its handlers do.
    /// [`ControlError::Os`] if that waitset cannot watch the channel: the binding stays where it is.
    /// [`ControlError::Closed`] if the binding has ended.
    pub fn change_waitset(&self, waitset: &SharedWaitset) -> Result<(), ControlError> {
        match &self.link().server {
            Server::Thread(_) => Err(ControlError::OfOneThread),
            Server::AnyThread(shell) => {
                shell.upgrade().ok_or(ControlError::Closed)?.change_waitset(waitset)
            }
        }
    }

    /// Gives the binding another priority within its waitset, as soon as the thread of the waitset dispatches.
    pub fn set_priority(&self, priority: Priority) {
        let link = self.link();
        if link.born.is_here() {
            link.notify(link.job_queue.report(HandleEvent::Priority(priority)));
        }
    }

    /// Sends a message, if there is room in the queue.
    ///
    /// # Errors
    /// [`TxError::Busy`] and [`TxError::Closed`]. Then the capabilities are still in `caps`.
    pub fn tx(
        &self,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Option<&mut Vec<Cap>>,
    ) -> Result<Sent<'_, Shared>, TxError> {
        self.send_now(number, fixed, tails, caps).map(Sent::of)
    }

    /// Sends a message like [`tx`](Self::tx).
    fn send_now(
        &self,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Option<&mut Vec<Cap>>,
    ) -> Result<SharedSent, TxError> {
        let (own, mut none) = (caps, Vec::new());
        let caps = own.unwrap_or(&mut none);
        let message = Message::new(number, Gather { fixed, tails }, core::mem::take(caps));
        let slot = Arc::new(SentSlot::default());
        let mut entry = Entry::new(self, Job::Message(message, Some(Arc::clone(&slot))));
        match entry.put(None) {
            Ok(()) => Ok(SharedSent { entering: None, slot, link: Some(Arc::clone(self.link())) }),
            Err(error) => {
                *caps = entry.take_caps();
                Err(error)
            }
        }
    }

    /// Returns a message to be sent once there is room.
    pub fn send(
        &self,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Vec<Cap>,
    ) -> Sending<'_, Shared> {
        let message = Message::new(number, Gather { fixed, tails }, caps);
        Sending::new(self, SendBody::Message(message))
    }

    /// Returns a call to be made; its id is filled in later.
    pub fn call<R: Reply>(
        &self,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Vec<Cap>,
        timeout: Timeout,
    ) -> Call<R, Shared> {
        let slot = Arc::new(Slot::default());
        let request = Message::new(number, Gather { fixed, tails }, caps);
        let job = Job::Call(request, Arc::clone(&slot));
        Call(SharedCall {
            stage: Stage::UnderWay(Entry::new(self, job), slot),
            timeout: timeout.beginning_now(),
            alarm: Alarm::default(),
            reply: PhantomData,
        })
    }

    /// A capability of a message could not be copied.
    #[cold]
    #[must_use]
    pub(super) fn cap_copy(&self, error: io::Error) -> TxError {
        match Entry::new(self, Job::Missed).put(None) {
            Ok(()) => TxError::cap_copy(error),
            Err(error) => error,
        }
    }

    /// Takes a message out of the inbox, or reports that none will come, or waits.
    pub(super) fn poll_mail<T>(
        &self,
        what: &What<T>,
        cx: &Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        let link = self.link();
        if !link.born.is_here() {
            return Poll::Ready(Err(RecvError::Ended(BindingError::Closed)));
        }
        let Some(mail) = link.mail() else { return Poll::Ready(Err(RecvError::NoInbox)) };
        // Read first: what came before the end is found below.
        let ended = link.ended.get();
        match mail.take(what.number) {
            Taken::Message(mut message, was_full) => {
                if was_full {
                    link.notify(link.job_queue.report(HandleEvent::MailTaken));
                }
                let number = message.number;
                let decoded = (what.decode)(message.lend());
                return Poll::Ready(decoded.map_err(|error| {
                    mail.clear();
                    let bad = HandleEvent::BadMail(number, error.clone());
                    link.notify(link.job_queue.report(bad));
                    let message = link.interface.message_name(number);
                    RecvError::Ended(BindingError::Decode { message, error })
                }));
            }
            Taken::Full | Taken::Nothing if ended.is_some() => {}
            Taken::Full => return Poll::Ready(Err(RecvError::Full)),
            Taken::Nothing => {}
        }
        if let Some(why) = ended {
            return Poll::Ready(Err(RecvError::Ended(why.clone())));
        }
        // Something may have come meanwhile.
        if mail.wait(what.number, cx.waker()) || link.ended.get().is_some() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Returns true in the thread of the binding's waitset.
    pub(super) fn is_in_its_thread(&self) -> bool {
        self.link().is_server_thread()
    }

    pub(super) fn set_alarm(
        &self,
        SharedAlarm(alarm): &mut SharedAlarm,
        end: Instant,
        waker: &Waker,
    ) {
        let link = self.link();
        if link.born.is_here() {
            link.notify(link.alarms.set(alarm, end, waker));
            link.is_waited_for();
        }
    }

    pub(super) fn clear_alarm(&self, SharedAlarm(alarm): &mut SharedAlarm) {
        if self.link().born.is_here() {
            self.link().alarms.clear(alarm);
        }
    }

    /// Blocks the thread until `future` is ready. Returns `None` if time runs out, or this is the thread of the binding.
    pub(super) fn block_on<F: Future>(&self, future: F, timeout: Timeout) -> Option<F::Output> {
        if self.is_in_its_thread() {
            return None;
        }
        park::block_on(future, timeout.end_of_blocking())
    }

    /// Returns a new handle.
    pub(super) fn counted(link: &Arc<Link>) -> Self {
        Self(Handle::new(link))
    }

    /// Returns the end that is lent to handlers, which does not keep the binding.
    pub(super) fn lent(link: &Arc<Link>) -> Self {
        Self(Handle::uncounted(link))
    }

    /// The messages of the binding are kept in `mail`.
    pub(super) fn set_inbox(&self, mail: &Arc<Mail>) {
        // A binding is attached once.
        let _ = self.link().mail.set(Arc::clone(mail));
    }

    /// Returns an end to lend to handlers.
    pub(super) fn to_lend(&self) -> Self {
        Self::lent(self.link())
    }

    /// Returns the shell of a binding that belongs to no thread.
    pub(super) fn shell(&self) -> Option<Arc<Shell<AnyThread>>> {
        match &self.link().server {
            Server::AnyThread(shell) => shell.upgrade(),
            Server::Thread(_) => None,
        }
    }

    fn link(&self) -> &Arc<Link> {
        &self.0.link
    }
}

impl fmt::Debug for SharedEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding<Shared>")
            .field("interface", &self.interface().name)
            .field("driver", &self.driver())
            .field("peer", self.peer())
            .finish_non_exhaustive()
    }
}

/// A job that waits for room in the queue. If it is dropped before, nothing is sent.
pub struct Entry {
    handle: SharedEndpoint,
    /// Absent once it is in the queue.
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
            Put::Done(notify) => {
                link.notify(notify);
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

impl Entry {
    /// Takes the capabilities of a message that is not sent.
    fn take_caps(&mut self) -> Vec<Cap> {
        match &mut self.job {
            Some(Job::Message(message, _)) => core::mem::take(&mut message.caps),
            _ => Vec::new(),
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

/// A message for the queue of a shared binding.
#[derive(Default)]
pub enum SharedSending {
    /// The arguments are refused.
    Failed(TxError),
    /// It waits for room; then it ends with this error, if there is one.
    Entering(Box<Entry>, Option<TxError>),
    /// It has ended.
    #[default]
    Over,
}

impl SharedSending {
    pub(super) fn new(end: &SharedEndpoint, body: SendBody<'_>) -> Self {
        match body {
            SendBody::Failed(error) => Self::Failed(error),
            SendBody::Missed(errno) => {
                let error = TxError::CapCopy(errno);
                Self::Entering(Box::new(Entry::new(end, Job::Missed)), Some(error))
            }
            SendBody::Message(message) => {
                Self::Entering(Box::new(Entry::new(end, Job::Message(message, None))), None)
            }
            SendBody::Attempt(_) => unreachable!("messages of shared ends are copied at once"),
        }
    }

    /// Puts the message into the queue, or returns [`TxError::Busy`]; with a waker, the message then waits in line.
    pub(super) fn poll(&mut self, waker: Option<&Waker>) -> Result<(), TxError> {
        let result = match self {
            Self::Entering(entry, error) => match (entry.put(waker), error.take()) {
                (Ok(()), Some(missed)) => Err(missed),
                (Err(TxError::Busy), missed) => {
                    *error = missed;
                    return Err(TxError::Busy);
                }
                // The capabilities are still there.
                (Err(refused), _) => return Err(refused),
                (Ok(()), None) => Ok(()),
            },
            Self::Failed(error) => Err(error.clone()),
            // A future that is polled after it completed stays pending.
            Self::Over => return Err(TxError::Busy),
        };
        *self = Self::Over;
        result
    }

    pub(super) fn take_caps(&mut self) -> Vec<Cap> {
        match self {
            Self::Entering(entry, _) => entry.take_caps(),
            _ => Vec::new(),
        }
    }

    /// Returns a future that completes when the channel has taken the whole message.
    pub(super) fn sent(mut self) -> SharedSent {
        let slot = Arc::new(SentSlot::default());
        if let Self::Entering(entry, _) = &mut self
            && let Some(Job::Message(_, report)) = &mut entry.job
        {
            *report = Some(Arc::clone(&slot));
        }
        let link = match &self {
            Self::Entering(entry, _) => Some(Arc::clone(entry.handle.link())),
            Self::Failed(_) | Self::Over => None,
        };
        SharedSent { entering: Some(self), slot, link }
    }

    fn is_server_thread(&self) -> bool {
        matches!(self, Self::Entering(entry, _) if entry.handle.link().is_server_thread())
    }
}

/// A message for a shared binding and its outcome. Dropped before the binding has accepted the message, it sends nothing;
/// dropped later, it changes nothing.
pub struct SharedSent {
    /// The message, until the binding has accepted it.
    entering: Option<SharedSending>,
    slot: Arc<SentSlot>,
    /// The binding, unless the arguments are refused.
    link: Option<Arc<Link>>,
}

impl SharedSent {
    /// Blocks until the message is sent. [`TxError::Busy`] if time runs out, and in the thread of the binding's waitset,
    /// which would have to send it.
    pub(super) fn wait(mut self, timeout: Timeout) -> Result<(), TxError> {
        let cx = &mut Context::from_waker(Waker::noop());
        if self.entering.as_ref().is_some_and(SharedSending::is_server_thread) {
            return Err(TxError::Busy);
        }
        match Pin::new(&mut self).poll(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                park::block_on(self, timeout.end_of_blocking()).unwrap_or(Err(TxError::Busy))
            }
        }
    }
}

impl Future for SharedSent {
    type Output = Result<(), TxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(entering) = &mut self.entering {
            match entering.poll(Some(cx.waker())) {
                Err(TxError::Busy) => return Poll::Pending,
                Ok(()) => self.entering = None,
                error => {
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

/// A call through a shared binding. Nothing is sent before it is awaited or waited for.
pub struct SharedCall<R> {
    stage: Stage,
    timeout: Timeout,
    alarm: Alarm,
    reply: PhantomData<fn() -> R>,
}

/// The alarm of a message that is sent or received.
#[derive(Default)]
pub struct SharedAlarm(Alarm);

enum Stage {
    Failed(RpcError),
    /// The call is to enter the queue, or has entered it and waits for its reply.
    UnderWay(Entry, Arc<Slot>),
    Over,
}

impl<R: Reply> SharedCall<R> {
    /// Returns one that fails with `error`.
    pub(super) fn failed(error: RpcError) -> Self {
        Self {
            stage: Stage::Failed(error),
            timeout: Timeout::Default,
            alarm: Alarm::default(),
            reply: PhantomData,
        }
    }

    pub(super) fn limited(mut self, timeout: Timeout) -> Self {
        self.timeout = timeout.beginning_now();
        self
    }

    pub(super) fn wait(mut self) -> Result<R::Values, RpcError> {
        let end = self.timeout.end_of_blocking();
        if let Stage::UnderWay(entry, _) = &self.stage
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
            Stage::UnderWay(entry, _) => Some(Arc::clone(entry.handle.link())),
            Stage::Failed(_) | Stage::Over => None,
        }
    }

    /// Waits for the result; returns the error if the deadline has passed. `now` is the time, where it was read already.
    fn watch_the_clock(&mut self, now: Option<Instant>, waker: &Waker) -> Poll<RpcError> {
        let Some(end) = self.timeout.end() else { return Poll::Pending };
        if now.unwrap_or_else(Instant::now) >= end {
            let error = self.link().map_or(RpcError::Deadline, |link| link.too_late());
            self.give_up();
            return Poll::Ready(error);
        }
        if let Stage::UnderWay(entry, _) = &self.stage {
            let link = entry.handle.link();
            link.notify(link.alarms.set(&mut self.alarm, end, waker));
            link.is_waited_for();
        }
        Poll::Pending
    }

    fn read(&self, link: &Link, mut reply: Message) -> Result<R::Values, RpcError> {
        let message = reply.lend();
        let number = message.number;
        R::Response::returned(message).map_err(|error| {
            link.notify(link.job_queue.report(HandleEvent::BadReply(number, error.clone())));
            RpcError::Decode(error)
        })
    }
}

impl<R: Reply> Future for SharedCall<R> {
    type Output = Result<R::Values, RpcError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let now = this.timeout.begin_default();
        if let Stage::UnderWay(entry, _) = &this.stage
            && !entry.handle.link().born.is_here()
        {
            this.stage = Stage::Failed(entry.handle.link().call_error());
        }
        if let Stage::UnderWay(entry, _) = &mut this.stage
            && entry.job.is_some()
            && (now.is_some() || !this.timeout.is_over())
        {
            match entry.put(Some(cx.waker())) {
                Ok(()) | Err(TxError::Busy) => {}
                Err(_) => {
                    let link = entry.handle.link();
                    link.alarms.clear(&mut this.alarm);
                    this.stage = Stage::Failed(link.call_error());
                }
            }
        }
        let waits = match &this.stage {
            Stage::UnderWay(entry, slot) => entry.job.is_some() || !slot.listen(cx.waker()),
            Stage::Failed(_) | Stage::Over => false,
        };
        if waits {
            return this.watch_the_clock(now, cx.waker()).map(Err);
        }
        Poll::Ready(match core::mem::replace(&mut this.stage, Stage::Over) {
            Stage::UnderWay(entry, slot) => {
                let link = entry.handle.link();
                link.alarms.clear(&mut this.alarm);
                match slot.take() {
                    Some(Ok(reply)) => this.read(link, reply),
                    Some(Err(error)) => Err(error),
                    None => Err(link.call_error()),
                }
            }
            Stage::Failed(error) => Err(error),
            Stage::Over => Err(RpcError::Tx(TxError::Closed)),
        })
    }
}

impl<R> SharedCall<R> {
    /// Gives up what is still under way.
    fn give_up(&mut self) {
        let stage = core::mem::replace(&mut self.stage, Stage::Over);
        let Stage::UnderWay(entry, slot) = &stage else { return };
        let link = entry.handle.link();
        if !link.born.is_here() {
            return;
        }
        link.alarms.clear(&mut self.alarm);
        if entry.job.is_none()
            && let Some(id) = slot.give_up()
        {
            link.notify(link.job_queue.report(HandleEvent::GivenUp(id)));
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
