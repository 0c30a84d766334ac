//! Receiving as values: messages that wait in their binding until somebody takes them.
//!
//! ```text
//!   Channel::recv --> Keep::deliver --message--> [ kept: at most `bound`, in order ] <-- recv, recv_*, messages
//!                                '--call, response of an rpc--> handler, waiting call
//! ```
//! A binding made with an [`Inbox`] calls no handler for the messages that stand alone; it keeps them as they came. With
//! `bound` of them it is full, and receives nothing until one is taken, so that the peer runs into `Busy`: nothing is lost,
//! and memory is bounded. A message leaves the inbox in the very poll that gives it away, so that a future which is dropped,
//! also one that was woken, has taken nothing.
//!
//! Words are read when their message is taken. The end of the binding is told after everything that came before it.

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

/// Runs once the binding is there.
type OnBound = Box<dyn FnOnce(RawBinding)>;

/// What a generated `Inbox` is underneath: it receives the messages of one binding.
pub struct Inbox {
    bound: usize,
    handler: Box<dyn Dispatch>,
    on_bound: Option<OnBound>,
}

impl Inbox {
    /// Room for `bound` messages (at least one); `handler` gets the calls of rpcs, and is told of errors.
    #[must_use]
    pub fn new(bound: usize, handler: Box<dyn Dispatch>) -> Self {
        Self { bound: bound.max(1), handler, on_bound: None }
    }

    /// Has `callback` run from the waitset with the binding, once there is one.
    #[must_use]
    pub fn on_bound(mut self, callback: impl FnOnce(RawBinding) + 'static) -> Self {
        self.on_bound = Some(Box::new(callback));
        self
    }

    /// As a binding takes it.
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

/// The messages of an inbox, and who waits for them.
#[derive(Default)]
pub(super) struct Mail {
    bound: usize,
    /// At most `bound`.
    kept: RefCell<VecDeque<MessageBuffer>>,
    /// Those to wake when anything changes. Each looks for itself, so that one who was woken and is gone has taken nothing.
    waiting: RefCell<Vec<Waker>>,
}

impl Mail {
    pub(super) fn is_full(&self) -> bool {
        self.kept.borrow().len() >= self.bound
    }

    /// The first message, or the first with this number.
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
    /// The binding has ended.
    fn drop(&mut self) {
        self.mail.wake();
    }
}

impl Shell {
    /// Takes a message out of the inbox, if it can be said now what comes of it.
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

    /// The peer sent what no sender of the interface writes: nothing that it sent afterwards is believed.
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
    /// Waits for the next message of the inbox. Used by generated code.
    #[doc(hidden)]
    pub fn recv<M: MessageValue>(&self) -> Receiving<'_, M> {
        Receiving { raw: self, what: What { number: None, decode: M::unmarshal } }
    }

    /// Waits for the next message of the inbox that has this number.
    pub(super) fn recv_one<T>(
        &self,
        number: u16,
        decode: fn(Received<'_>) -> Result<T, DecodeError>,
    ) -> Receiving<'_, T> {
        Receiving { raw: self, what: What { number: Some(number), decode } }
    }

    /// The messages of the inbox. Used by generated code.
    #[doc(hidden)]
    pub fn messages<M: MessageValue>(&self) -> Messages<'_, M> {
        Messages { raw: self, of: PhantomData }
    }
}

/// The next message of an [`Inbox`], or the next one of its kind. Dropped before it is ready, it has taken nothing.
#[must_use = "nothing is received unless awaited"]
pub struct Receiving<'a, T> {
    raw: &'a RawBinding,
    what: What<T>,
}

/// What is waited for, any message if it has no number, and how it is read.
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

/// The messages of an [`Inbox`], one after the other, until its binding has ended; [`RawBinding::ended`] says why.
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

/// Why there is no message to receive.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// The binding has ended, and everything that came before was received.
    Ended(BindingError),
    /// The inbox is full of messages of other kinds; the one waited for cannot come until some of them are received.
    Full,
    /// The binding was made with handlers, not with an inbox.
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
