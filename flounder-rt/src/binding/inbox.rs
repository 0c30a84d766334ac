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
//! A message is decoded when it is taken. The end of the binding is reported after every message that
//! came before it.

use core::cell::RefCell;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::error::Error;
use std::rc::Rc;

use futures_core::Stream;

use crate::binding::shell::{Shell, wake_all};
use crate::binding::{BindingError, Dispatch, RawBinding, Received};
use crate::interface::MessageKind;
use crate::message::{MessageBuffer, MessageValue};
use crate::wire::DecodeError;

/// Callback that gets the new binding.
type OnBound = Box<dyn FnOnce(RawBinding)>;

/// Receives the messages of one binding. Every generated `Inbox` wraps one.
pub struct Inbox {
    bound: usize,
    handler: Box<dyn Dispatch>,
    on_bound: Option<OnBound>,
}

impl Inbox {
    /// Creates an inbox for `bound` messages (at least one). `handler` gets the calls of rpcs, and
    /// errors.
    #[must_use]
    pub fn new(bound: usize, handler: Box<dyn Dispatch>) -> Self {
        Self { bound: bound.max(1), handler, on_bound: None }
    }

    /// Runs `callback` from the waitset when the binding is connected.
    #[must_use]
    pub fn on_bound(mut self, callback: impl FnOnce(RawBinding) + 'static) -> Self {
        self.on_bound = Some(Box::new(callback));
        self
    }

    /// Returns the receiver to make a binding with.
    #[must_use]
    pub fn into_deliver(self) -> Box<dyn Dispatch> {
        let Self { bound, handler, on_bound } = self;
        let mail = Rc::new(Mail { bound, ..Mail::default() });
        Box::new(Keep { mail, handler, on_bound })
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("bound", &self.bound).finish_non_exhaustive()
    }
}

/// The messages of an inbox, and the tasks that wait for them.
#[derive(Default)]
pub(super) struct Mail {
    bound: usize,
    /// At most `bound` messages, in order.
    kept: RefCell<VecDeque<MessageBuffer>>,
    /// Wakers of the waiting tasks, all woken at each change. A task takes its message when it is
    /// polled, so a task that was woken and dropped has taken nothing.
    waiting: RefCell<Vec<Waker>>,
}

impl Mail {
    pub(super) fn is_full(&self) -> bool {
        self.kept.borrow().len() >= self.bound
    }

    /// Removes the first message, or the first with this number.
    fn take(&self, number: Option<u16>) -> Option<MessageBuffer> {
        let mut kept = self.kept.borrow_mut();
        let at = match number {
            None => 0,
            Some(number) => kept.iter().position(|message| message.number == number)?,
        };
        kept.remove(at)
    }

    fn has(&self, number: Option<u16>) -> bool {
        let kept = self.kept.borrow();
        kept.iter().any(|message| number.is_none_or(|number| message.number == number))
    }

    fn wait(&self, waker: &Waker) {
        if !self.waiting.borrow().iter().any(|known| known.will_wake(waker)) {
            // To copy a waker is user code: nothing is borrowed.
            let waker = waker.clone();
            self.waiting.borrow_mut().push(waker);
        }
    }

    fn wake(&self) {
        let waiting = core::mem::take(&mut *self.waiting.borrow_mut());
        wake_all(waiting);
    }
}

/// The receiver of a binding with an inbox.
struct Keep {
    mail: Rc<Mail>,
    handler: Box<dyn Dispatch>,
    on_bound: Option<OnBound>,
}

impl Dispatch for Keep {
    fn deliver(&mut self, raw: &RawBinding, message: Received<'_>) -> Result<(), DecodeError> {
        let info = raw.shell().interface.message(message.number);
        if info.is_none_or(|info| info.kind != MessageKind::Message) {
            return self.handler.deliver(raw, message);
        }
        let Received { number, words, caps } = message;
        let kept = MessageBuffer { number, words: words.to_vec(), caps: core::mem::take(caps) };
        self.mail.kept.borrow_mut().push_back(kept);
        if self.mail.is_full() {
            raw.shell().check_inbox(&self.mail);
        }
        self.mail.wake();
        Ok(())
    }

    fn error(&mut self, raw: &RawBinding, error: BindingError) {
        self.handler.error(raw, error);
    }

    fn attached(&mut self, raw: &RawBinding) {
        // A binding is attached once.
        let _ = raw.shell().mail.set(Rc::clone(&self.mail));
        if let Some(on_bound) = self.on_bound.take() {
            let binding = raw.clone();
            raw.shell().run_from_waitset(Box::new(move |_| {
                on_bound(binding);
                Ok(())
            }));
        }
    }
}

impl Drop for Keep {
    /// Wakes the waiting tasks: the binding has ended.
    fn drop(&mut self) {
        self.mail.wake();
    }
}

impl Shell {
    /// Takes a message out of the inbox, or reports that none will come, or waits.
    fn take_mail<T>(&self, what: &What<T>, cx: &Context<'_>) -> Poll<Result<T, RecvError>> {
        let Some(mail) = self.mail.get() else { return Poll::Ready(Err(RecvError::NoInbox)) };
        let full = mail.is_full();
        if let Some(mut message) = mail.take(what.number) {
            if full {
                // The binding had stopped receiving.
                self.check_inbox(mail);
                self.poke();
            }
            let decoded = (what.decode)(message.lend());
            let number = message.number;
            return Poll::Ready(decoded.map_err(|error| self.bad_mail(mail, number, error)));
        }
        if let Some(why) = self.io.borrow().connection.ended() {
            return Poll::Ready(Err(RecvError::Ended(why.clone())));
        }
        if full {
            return Poll::Ready(Err(RecvError::Full));
        }
        mail.wait(cx.waker());
        // Something may have come meanwhile.
        if mail.has(what.number) || self.has_ended() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Drops all messages: one was malformed, so nothing that the peer sent after it is trusted.
    #[cold]
    fn bad_mail(&self, mail: &Mail, number: u16, error: DecodeError) -> RecvError {
        let kept = core::mem::take(&mut *mail.kept.borrow_mut());
        drop(kept);
        self.check_inbox(mail);
        let message = self.interface.message_name(number);
        let error = BindingError::Decode { message, error };
        if !self.has_ended() {
            self.note(error.clone());
            self.poke();
        }
        RecvError::Ended(error)
    }
}

impl RawBinding {
    /// Returns the next message of the inbox. Used by generated code.
    #[doc(hidden)]
    pub fn recv<M: MessageValue>(&self) -> Receiving<'_, M> {
        Receiving { raw: self, what: What { number: None, decode: M::unmarshal } }
    }

    /// Returns the next message of the inbox that has this number.
    pub(super) fn recv_one<T>(
        &self,
        number: u16,
        decode: fn(Received<'_>) -> Result<T, DecodeError>,
    ) -> Receiving<'_, T> {
        Receiving { raw: self, what: What { number: Some(number), decode } }
    }

    /// Returns a stream of the messages of the inbox. Used by generated code.
    #[doc(hidden)]
    pub fn messages<M: MessageValue>(&self) -> Messages<'_, M> {
        Messages { raw: self, of: PhantomData }
    }
}

/// Completes with the next message of an [`Inbox`], or the next of one type. If it is dropped before,
/// it has taken nothing.
#[must_use = "nothing is received unless awaited"]
pub struct Receiving<'a, T> {
    raw: &'a RawBinding,
    what: What<T>,
}

/// The number of the message that is waited for (any message if `None`), and its decoder.
struct What<T> {
    number: Option<u16>,
    decode: fn(Received<'_>) -> Result<T, DecodeError>,
}

impl<T> Future for Receiving<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.raw.shell().take_mail(&self.what, cx)
    }
}

impl<T> fmt::Debug for Receiving<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("number", &self.what.number).finish_non_exhaustive()
    }
}

/// Stream of the messages of an [`Inbox`]. It ends with the binding; [`RawBinding::ended`] returns the
/// reason.
#[must_use = "nothing is received unless polled"]
pub struct Messages<'a, M> {
    raw: &'a RawBinding,
    of: PhantomData<fn() -> M>,
}

impl<M: MessageValue> Stream for Messages<'_, M> {
    type Item = M;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M>> {
        self.raw.shell().take_mail(&What { number: None, decode: M::unmarshal }, cx).map(Result::ok)
    }
}

impl<M> fmt::Debug for Messages<'_, M> {
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
}

crate::debug_as_chain!(RecvError);

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(_) => f.write_str("the binding has ended"),
            Self::Full => f.write_str("the inbox is full of messages of other kinds"),
            Self::NoInbox => f.write_str("the binding was made without an inbox"),
        }
    }
}

impl Error for RecvError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Ended(why) => Some(why),
            _ => None,
        }
    }
}
