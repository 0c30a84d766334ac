//! Inboxes: messages that wait in their binding until the program takes them.
//!
//! ```text
//!   Channel::recv --> Keep::deliver --message--> [ kept: at most `bound`, in order ] <-- recv, recv_*, messages
//!                                '--call, response of an rpc--> handler, waiting call
//! ```
//! A binding with an [`Inbox`] keeps messages (not the calls of rpcs) instead of calling a handler.
//! With `bound` messages the inbox is full, and the binding receives nothing until one is taken; so
//! the peer runs into `Busy`, nothing is lost, and memory is bounded. A message leaves the inbox in
//! the poll that returns it, so a future that is dropped, even after it was woken, has taken nothing.
//!
//! The inbox is that of a binding of either kind; any thread takes from it.
//!
//! A message is decoded when it is taken. The end of the binding is reported after every message that
//! came before it.

use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use futures_core::Stream;
use parking_lot::Mutex;

use crate::binding::end::{End, Local, RawEnd};
use crate::binding::shell::{Shell, wake_all};
use crate::binding::threading::{Lock, Threading};
use crate::binding::{AsRaw, BindingError, BoxDispatch, Dispatch, RawBinding, Received, Timeout};
use crate::interface::{Direction, MessageKind};
use crate::message::{MessageBuffer, MessageValue};
use crate::wire::DecodeError;

/// Callback that gets the new binding.
pub(super) type OnBound<B> = Box<dyn FnOnce(B)>;

/// Keeps messages until the program takes them with `recv`: given to `bind` or `export` in place of handlers.
///
/// `X` are handlers for what an inbox does not keep: the calls of rpcs, and errors. `B` is the binding, which the interface
/// determines.
pub struct Inbox<B, X = ()> {
    bound: usize,
    handlers: X,
    on_bound: Option<OnBound<B>>,
}

impl<B> Inbox<B> {
    /// Creates an inbox for `bound` messages, at least one. While it is full, the binding receives nothing. Calls of rpcs
    /// are refused.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self::beside(bound, ())
    }
}

impl<B, X> Inbox<B, X> {
    /// Creates an inbox beside handlers, which get the calls of rpcs, as they come, and errors. None of the other handlers
    /// runs.
    #[must_use]
    pub fn beside(bound: usize, handlers: X) -> Self {
        Self { bound: bound.max(1), handlers, on_bound: None }
    }

    /// Runs `callback` from the waitset with the binding, once there is one: for a service, whose connect callback comes
    /// before. A binding of a [`SharedWaitset`](crate::SharedWaitset) has none.
    #[must_use]
    pub fn on_bound(mut self, callback: impl FnOnce(B) + 'static) -> Self
    where
        B: AsRaw,
    {
        self.on_bound = Some(Box::new(callback));
        self
    }
}

/// Returns the receiver of an inbox, of a side that receives messages of this direction. Used by generated code.
pub fn inbox<E: End, B: 'static, X>(
    inbox: Inbox<B, X>,
    receives: Direction,
    binding: fn(RawEnd<E>) -> B,
    dispatch: impl FnOnce(X) -> BoxDispatch<E>,
) -> BoxDispatch<E> {
    let Inbox { bound, handlers, on_bound } = inbox;
    let on_bound = on_bound
        .map(|on_bound| Box::new(move |raw| on_bound(binding(RawEnd(raw)))) as OnBound<E::Raw>);
    E::inbox(Keep::new(bound, receives, dispatch(handlers)), on_bound)
}

impl<B, X> fmt::Debug for Inbox<B, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("bound", &self.bound).finish_non_exhaustive()
    }
}

/// The messages of an inbox, and the tasks that wait for them. Any thread may take.
#[derive(Debug)]
pub struct Mail {
    bound: usize,
    state: Mutex<MailState>,
}

#[derive(Debug, Default)]
struct MailState {
    /// At most `bound` messages, in order.
    kept: VecDeque<MessageBuffer>,
    /// Wakers of the waiting tasks, all woken at each change. A task takes its message when it is
    /// polled, so a task that was woken and dropped has taken nothing.
    waiting: Vec<Waker>,
}

/// What an attempt to receive found.
pub(super) enum Taken {
    /// A message, and whether the inbox was full.
    Message(MessageBuffer, bool),
    /// No such message, and room for one.
    Nothing,
    /// No such message, and the inbox is full of others.
    Full,
}

impl Mail {
    pub(super) fn is_full(&self) -> bool {
        self.state.lock().kept.len() >= self.bound
    }

    fn put(&self, message: MessageBuffer) {
        let waiting = {
            let mut state = self.state.lock();
            state.kept.push_back(message);
            core::mem::take(&mut state.waiting)
        };
        wake_all(waiting);
    }

    /// Removes the first message, or the first with this number.
    pub(super) fn take(&self, number: Option<u16>) -> Taken {
        let mut state = self.state.lock();
        let full = state.kept.len() >= self.bound;
        let at = match number {
            None => Some(0),
            Some(number) => state.kept.iter().position(|message| message.number == number),
        };
        match at.and_then(|at| state.kept.remove(at)) {
            Some(message) => Taken::Message(message, full),
            None if full => Taken::Full,
            None => Taken::Nothing,
        }
    }

    /// Drops all messages.
    pub(super) fn clear(&self) {
        let kept = core::mem::take(&mut self.state.lock().kept);
        drop(kept);
    }

    /// Has `waker` woken at the next change. Returns true if such a message is there already.
    pub(super) fn wait(&self, number: Option<u16>, waker: &Waker) -> bool {
        // To copy a waker is user code: nothing is locked.
        let waker = waker.clone();
        let mut state = self.state.lock();
        if !state.waiting.iter().any(|known| known.will_wake(&waker)) {
            state.waiting.push(waker);
        }
        state.kept.iter().any(|message| number.is_none_or(|number| message.number == number))
    }

    pub(super) fn wake(&self) {
        let waiting = core::mem::take(&mut self.state.lock().waiting);
        wake_all(waiting);
    }
}

/// The receiver of a binding with an inbox: the inbox, and the handlers for what it does not keep.
pub struct Keep<H: ?Sized> {
    mail: Arc<Mail>,
    receives: Direction,
    handler: Box<H>,
}

impl<H: ?Sized> Keep<H> {
    fn new(bound: usize, receives: Direction, handler: Box<H>) -> Self {
        Self { mail: Arc::new(Mail { bound, state: Mutex::default() }), receives, handler }
    }
}

impl<E: End, H: Dispatch<E> + ?Sized> Dispatch<E> for Keep<H> {
    fn deliver(&mut self, raw: &E::Raw, mut message: Received<'_>) -> Result<(), DecodeError> {
        let info = E::interface(raw).message(message.number);
        if info.is_none_or(|info| info.kind != MessageKind::Message) {
            return self.handler.deliver(raw, message);
        }
        if let Some(info) = info {
            if !self.receives.receives(info.direction) {
                return Err(DecodeError::Direction);
            }
            if !info.bulks.is_empty() {
                E::resolve(raw, &info.bulks, &mut message)?;
            }
        }
        let Received { number, words, caps } = message;
        let kept = MessageBuffer { number, words: words.to_vec(), caps: core::mem::take(caps) };
        self.mail.put(kept);
        E::check_inbox(raw, &self.mail);
        Ok(())
    }

    fn error(&mut self, raw: &E::Raw, error: BindingError) {
        self.handler.error(raw, error);
    }

    fn attached(&mut self, raw: &E::Raw) -> bool {
        E::set_inbox(raw, &self.mail);
        self.handler.attached(raw)
    }

    fn connected(&mut self, raw: &E::Raw) {
        self.handler.connected(raw);
    }
}

impl<H: ?Sized> Drop for Keep<H> {
    /// Wakes the waiting tasks: the binding has ended.
    fn drop(&mut self) {
        self.mail.wake();
    }
}

/// The receiver of a binding of one thread with an inbox.
pub(super) struct LocalKeep {
    keep: Keep<dyn Dispatch>,
    on_bound: Option<OnBound<RawBinding>>,
}

impl LocalKeep {
    pub(super) const fn new(
        keep: Keep<dyn Dispatch>,
        on_bound: Option<OnBound<RawBinding>>,
    ) -> Self {
        Self { keep, on_bound }
    }
}

impl Dispatch for LocalKeep {
    fn deliver(&mut self, raw: &RawBinding, message: Received<'_>) -> Result<(), DecodeError> {
        self.keep.deliver(raw, message)
    }

    fn error(&mut self, raw: &RawBinding, error: BindingError) {
        self.keep.error(raw, error);
    }

    fn attached(&mut self, raw: &RawBinding) -> bool {
        let wants_to_know = self.keep.attached(raw);
        if let Some(on_bound) = self.on_bound.take() {
            let binding = raw.clone();
            raw.shell().run_from_waitset(Box::new(move |_| {
                on_bound(binding);
                Ok(())
            }));
        }
        wants_to_know
    }

    fn connected(&mut self, raw: &RawBinding) {
        self.keep.connected(raw);
    }
}

impl<T: Threading> Shell<T> {
    /// An inbox has changed.
    pub(super) fn check_inbox(&self, mail: &Mail) {
        // Looked at with the lock held: another thread that takes a message does so as well.
        let io = &mut *self.io.lock();
        io.connection.set_inbox_full(mail.is_full());
    }

    /// The inbox was full, and a message was taken: the binding had stopped receiving.
    pub(super) fn mail_was_taken(&self) {
        if let Some(mail) = T::mail(self) {
            self.check_inbox(mail);
            self.poke();
        }
    }

    /// A message was malformed, so nothing that the peer sent after it is trusted. Returns the error.
    #[cold]
    pub(super) fn bad_mail(&self, number: u16, error: DecodeError) -> BindingError {
        let message = self.interface.message_name(number);
        let error = BindingError::Decode { message, error };
        if let Some(mail) = T::mail(self) {
            mail.clear();
            self.check_inbox(mail);
        }
        if !self.has_ended() {
            self.note(error.clone());
            self.poke();
        }
        error
    }
}

impl Shell {
    /// Takes a message out of the inbox, or reports that none will come, or waits.
    pub(super) fn poll_mail<T>(
        &self,
        what: &What<T>,
        cx: &Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        let Some(mail) = self.own.mail.get() else { return Poll::Ready(Err(RecvError::NoInbox)) };
        match mail.take(what.number) {
            Taken::Message(mut message, was_full) => {
                if was_full {
                    self.mail_was_taken();
                }
                let number = message.number;
                let decoded = (what.decode)(message.lend());
                return Poll::Ready(decoded.map_err(|error| {
                    mail.clear();
                    RecvError::Ended(self.bad_mail(number, error))
                }));
            }
            Taken::Full | Taken::Nothing if self.has_ended() => {}
            Taken::Full => return Poll::Ready(Err(RecvError::Full)),
            Taken::Nothing => {}
        }
        if let Some(why) = self.io.borrow().connection.ended() {
            return Poll::Ready(Err(RecvError::Ended(why.clone())));
        }
        // Something may have come meanwhile.
        if mail.wait(what.number, cx.waker()) || self.has_ended() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// The next message of an [`Inbox`], or the next of one type: a future. If it is dropped before it completes, it has taken
/// nothing.
///
/// The output is the message, or [`RecvError::Ended`] when the binding has ended and everything that came before was taken.
#[must_use = "nothing is received before `.await` or `wait`"]
pub struct Receiving<'a, T, E: End = Local> {
    raw: &'a E::Raw,
    what: What<T>,
    timeout: Timeout,
    alarm: E::Alarm,
}

/// The number of the message that is waited for (any message if `None`), and its decoder.
pub struct What<T> {
    pub(super) number: Option<u16>,
    pub(super) decode: fn(Received<'_>) -> Result<T, DecodeError>,
}

impl<'a, T, E: End> Receiving<'a, T, E> {
    /// Receives any message.
    pub(super) fn any(raw: &'a E::Raw) -> Self
    where
        T: MessageValue,
    {
        Self::new(raw, What { number: None, decode: T::unmarshal })
    }

    pub(super) fn new(raw: &'a E::Raw, what: What<T>) -> Self {
        Self { raw, what, timeout: Timeout::Default, alarm: E::Alarm::default() }
    }

    /// Limits the wait to this time, from now. Then it ends with [`RecvError::Deadline`].
    /// [`Duration::MAX`] is no limit.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.limited(Timeout::For(timeout))
    }

    /// Limits the wait to this point in time. Then it ends with [`RecvError::Deadline`].
    pub fn deadline(self, deadline: Instant) -> Self {
        self.limited(Timeout::Until(deadline))
    }

    fn limited(mut self, timeout: Timeout) -> Self {
        self.timeout = timeout.beginning_now();
        self
    }

    /// Blocks until the message has come, without a limit unless one was set. In the thread of the binding, only this binding
    /// is served meanwhile.
    ///
    /// # Errors
    /// [`RecvError::Ended`] if the binding has ended. [`RecvError::Deadline`] if time runs out. [`RecvError::WouldDeadlock`]
    /// in a handler of the binding, and through a [`Shared`](super::Shared) end in the thread of the binding's waitset,
    /// which would have to receive the message. [`RecvError::Full`] and [`RecvError::NoInbox`].
    pub fn wait(mut self) -> Result<T, RecvError> {
        let cx = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(result) = E::poll_recv(self.raw, &self.what, cx) {
            return result;
        }
        if E::blocks_receiving(self.raw) {
            return Err(RecvError::WouldDeadlock);
        }
        let timeout = match self.timeout {
            Timeout::Default => Timeout::For(Duration::MAX),
            limited => limited,
        };
        // The thread checks the deadline itself.
        self.timeout = Timeout::Default;
        E::block_on(self.raw, &mut self, timeout).unwrap_or(Err(RecvError::Deadline))
    }
}

impl<T, E: End> Future for Receiving<'_, T, E> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = E::poll_recv(this.raw, &this.what, cx);
        if polled.is_ready() {
            E::clear_alarm(this.raw, &mut this.alarm);
            return polled;
        }
        if let Some(end) = this.timeout.end() {
            if Instant::now() >= end {
                E::clear_alarm(this.raw, &mut this.alarm);
                return Poll::Ready(Err(RecvError::Deadline));
            }
            E::set_alarm(this.raw, &mut this.alarm, end, cx.waker());
        }
        Poll::Pending
    }
}

impl<T, E: End> Drop for Receiving<'_, T, E> {
    fn drop(&mut self) {
        E::clear_alarm(self.raw, &mut self.alarm);
    }
}

impl<T, E: End> fmt::Debug for Receiving<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("number", &self.what.number).finish_non_exhaustive()
    }
}

/// The messages of an [`Inbox`]: a stream that ends with the binding, whose method `ended` returns
/// the reason.
#[must_use = "nothing is received unless polled"]
pub struct Messages<'a, M, E: End = Local> {
    raw: &'a E::Raw,
    of: PhantomData<fn() -> M>,
}

impl<'a, M, E: End> Messages<'a, M, E> {
    pub(super) const fn new(raw: &'a E::Raw) -> Self {
        Self { raw, of: PhantomData }
    }
}

impl<M: MessageValue, E: End> Stream for Messages<'_, M, E> {
    type Item = M;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M>> {
        let what = What { number: None, decode: M::unmarshal };
        E::poll_recv(self.raw, &what, cx).map(Result::ok)
    }
}

impl<M, E: End> fmt::Debug for Messages<'_, M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

/// Error of receiving from an inbox.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// The binding has ended, and everything that came before was received.
    Ended(BindingError),
    /// The inbox is full of messages of other types; the one waited for cannot come until some of them
    /// are received.
    Full,
    /// The binding has handlers, not an inbox.
    NoInbox,
    /// The time is over. A message that comes later stays in the inbox.
    Deadline,
    /// This thread would have to receive the message for which it waits.
    WouldDeadlock,
}

crate::debug_as_chain!(RecvError);

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(_) => f.write_str("the binding has ended"),
            Self::Full => f.write_str("the inbox is full of messages of other kinds"),
            Self::NoInbox => f.write_str("the binding was made without an inbox"),
            Self::Deadline => f.write_str("no message has come in time"),
            Self::WouldDeadlock => {
                f.write_str("this thread has to receive the message for which it would wait")
            }
        }
    }
}

impl Error for RecvError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Ended(why) => Some(why),
            Self::Full | Self::NoInbox | Self::Deadline | Self::WouldDeadlock => None,
        }
    }
}
