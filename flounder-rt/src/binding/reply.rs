//! The reply to a call, as a value that is used once.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::Rc;
use std::sync::Arc;

use crate::binding::any_thread::AnyThread;
use crate::binding::connection::{Finished, NoReply};
use crate::binding::shell::Shell;
use crate::binding::threading::{Lock, OneThread, Threading};
use crate::binding::{End, Local, RawBinding, Refusal, SharedEndpoint, TxError};
use crate::cap::Cap;
use crate::channel::CapRefusal;
use crate::message::args::Refused;
use crate::message::bulk::BulkEnd;
use crate::peer;
use crate::wire::Gather;

use super::BindingError;

/// A call that is to be answered. Generated code wraps it in one type for each rpc. A `ReplyToken<Shared>` may be sent from
/// any thread.
///
/// A reply may be kept and sent later; if the binding has ended by then, the reply is discarded. A reply that is dropped
/// unsent reports to the caller that none will come, and whether that is because of a panic. A full channel never makes a reply fail: replies wait in the binding,
/// which receives no more calls while too many wait.
///
/// A caller gives up by dropping its call, or when its deadline passes. The reply is *cancelled* then, and is discarded when
/// it is sent. So it is in a forked child, where nothing can be sent.
#[must_use = "a reply that is dropped reports to the caller that there will be none"]
pub struct ReplyToken<E: End = Local>(E::Token);

/// A call that is to be answered, in one of the two ways of [`End`](super::End).
pub trait TokenOf<R>: Sized {
    /// See [`ReplyToken::new`].
    fn new(raw: &R, id: u32, number: u16) -> Self;
    /// See [`ReplyToken::id`].
    fn id(&self) -> u32;
    /// Returns the number of the reply message.
    fn number(&self) -> u16;
    /// See [`ReplyToken::is_cancelled`].
    fn is_cancelled(&self) -> bool;
    /// See [`ReplyToken::cancelled`].
    fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    /// Returns the name of the rpc.
    fn call_name(&self) -> &'static str;
    /// Returns the pools of the binding.
    fn bulk(&self) -> Option<Arc<BulkEnd>>;
    /// See [`ReplyToken::send`].
    fn send(self, fixed: &[u64], tails: &[&[u8]]);
    /// See [`ReplyToken::send_caps`].
    fn send_caps(self, fixed: &[u64], tails: &[&[u8]], caps: Vec<Cap>);
    /// See [`ReplyToken::renumber`].
    fn renumber(&mut self, number: u16);
    /// Reports why there is no reply.
    fn no_reply(self, why: NoReply);
    /// Reports that a value of the reply is refused.
    fn refuse_value(self, refused: Refused);
}

/// A call that is to be answered by the thread of its binding.
// Two words, which are passed in registers: the value moves often, and memory that is written in pieces and read at once
// stalls the processor.
pub struct LocalToken(Token<OneThread>);

/// A call that is to be answered by any thread.
pub struct SharedToken(Token<AnyThread>);

macro_rules! tokens {
    ($($token:ident of $raw:ident: $new:expr;)*) => {$(
        impl TokenOf<$raw> for $token {
            #[inline]
            fn new(raw: &$raw, id: u32, number: u16) -> Self {
                Self(Token::new($new(raw), id, number))
            }

            #[inline]
            fn id(&self) -> u32 {
                if self.0.may_lock() { self.0.id() } else { 0 }
            }

            fn number(&self) -> u16 {
                self.0.note.number()
            }

            fn is_cancelled(&self) -> bool {
                !self.0.may_lock() || self.0.is_cancelled()
            }

            fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
                if self.0.may_lock() { self.0.poll_cancelled(cx) } else { Poll::Ready(()) }
            }

            fn call_name(&self) -> &'static str {
                self.0.call_name()
            }

            fn bulk(&self) -> Option<Arc<BulkEnd>> {
                if self.0.may_lock() { self.0.bulk() } else { None }
            }

            #[inline]
            fn send(self, fixed: &[u64], tails: &[&[u8]]) {
                if self.0.may_lock() {
                    self.0.send(fixed, tails);
                }
            }

            fn send_caps(self, fixed: &[u64], tails: &[&[u8]], caps: Vec<Cap>) {
                if self.0.may_lock() {
                    self.0.send_caps(fixed, tails, caps);
                }
            }

            #[inline]
            fn renumber(&mut self, number: u16) {
                self.0.note = self.0.note.with(number);
            }

            #[cold]
            fn no_reply(self, why: NoReply) {
                if self.0.may_lock() {
                    self.0.no_reply(why);
                }
            }

            #[cold]
            fn refuse_value(self, refused: Refused) {
                if self.0.may_lock() {
                    self.0.refuse_value(refused);
                }
            }
        }
    )*};
}

tokens! {
    LocalToken of RawBinding: |raw: &RawBinding| Rc::clone(raw.shell());
    SharedToken of SharedEndpoint: |raw: &SharedEndpoint| raw.shell().expect("calls come to a binding that no thread owns");
}

/// A call that is to be answered, by whichever thread.
pub(super) struct Token<T: Threading> {
    shell: T::Ref,
    note: Note,
}

/// Where the binding has noted the call, the number of the reply message, and whether the reply is still to be sent.
#[derive(Clone, Copy)]
struct Note(u64);

impl Note {
    const PENDING: u64 = 1 << 48;

    const fn new(at: u32, number: u16) -> Self {
        Self(at as u64 | (number as u64) << 32 | Self::PENDING)
    }

    const fn at(self) -> u32 {
        self.0 as u32
    }

    const fn number(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// Returns the note with another number, whose reply is still to be sent.
    const fn with(self, number: u16) -> Self {
        Self::new(self.at(), number)
    }

    const fn is_pending(self) -> bool {
        self.0 & Self::PENDING != 0
    }
}

impl<E: End> ReplyToken<E> {
    /// Notes that call `id` is to be answered with message `number`. `raw` is the end that the handlers of the binding got.
    ///
    /// # Panics
    /// If `raw` is a shared end of a binding that has ended or belongs to one thread: handlers get none.
    #[inline]
    pub fn new(raw: &E::Raw, id: u32, number: u16) -> Self {
        Self(E::Token::new(raw, id, number))
    }

    /// Returns the id of the call.
    #[inline]
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Returns true if the reply would be discarded: the caller gave up, or the binding has ended.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns a future that completes when the reply would be discarded.
    pub const fn cancelled(&mut self) -> Cancelled<'_, E> {
        Cancelled(self)
    }

    pub(super) fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_cancelled(cx)
    }

    /// Returns the name of the rpc.
    pub(super) fn call_name(&self) -> &'static str {
        self.0.call_name()
    }

    /// Returns the pools of the binding.
    #[must_use]
    pub fn bulk(&self) -> Option<Arc<BulkEnd>> {
        self.0.bulk()
    }

    /// Sends the reply.
    #[inline]
    pub fn send(self, fixed: &[u64], tails: &[&[u8]]) {
        self.0.send(fixed, tails);
    }

    /// Sends the reply with capabilities.
    pub fn send_caps(self, fixed: &[u64], tails: &[&[u8]], caps: Vec<Cap>) {
        self.0.send_caps(fixed, tails, caps);
    }

    /// Refuses the call: the caller gets [`RpcError::Refused`](super::RpcError::Refused), and knows that it was not carried out.
    #[cold]
    pub fn refuse(self, refusal: Refusal) {
        self.0.no_reply(NoReply::Refused(refusal));
    }

    /// The call is to be answered with message `number`.
    #[inline]
    pub(super) fn renumber(&mut self, number: u16) {
        self.0.renumber(number);
    }

    /// Sends no reply, for this reason.
    #[cold]
    pub(super) fn no_reply(self, why: NoReply) {
        self.0.no_reply(why);
    }

    /// See [`Token::refuse_value`].
    #[cold]
    pub(super) fn refuse_value(self, refused: Refused) {
        self.0.refuse_value(refused);
    }
}

impl<T: Threading> Token<T> {
    /// Notes that call `id` is to be answered with message `number`.
    #[inline]
    pub(super) fn new(shell: T::Ref, id: u32, number: u16) -> Self {
        let at = shell.io.lock().connection.begin_reply(id);
        Self { shell, note: Note::new(at, number) }
    }

    /// Returns the id of the call.
    #[inline]
    pub(super) fn id(&self) -> u32 {
        self.shell.io.lock().connection.reply_id(self.note.at())
    }

    /// Returns true if the reply would be discarded: the caller gave up, or the binding has ended.
    pub(super) fn is_cancelled(&self) -> bool {
        let connection = &self.shell.io.lock().connection;
        connection.is_reply_cancelled(self.note.at()) || connection.has_ended()
    }

    pub(super) fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_cancelled() {
            return Poll::Ready(());
        }
        // To copy or to drop a waker is user code: nothing is borrowed.
        let copy = cx.waker().clone();
        let old = self.shell.io.lock().connection.watch_reply(self.note.at(), copy);
        drop(old);
        if self.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// See [`Threading::may_lock`].
    #[inline]
    pub(super) fn may_lock(&self) -> bool {
        T::may_lock(&self.shell)
    }

    /// Returns the name of the rpc.
    pub(super) fn call_name(&self) -> &'static str {
        self.shell.interface.message_name(self.note.number())
    }

    fn bulk(&self) -> Option<Arc<BulkEnd>> {
        T::bulk_end(&self.shell)
    }

    /// Sends the reply.
    #[inline]
    pub(super) fn send(mut self, fixed: &[u64], tails: &[&[u8]]) {
        if tails.is_empty() && self.shell.reply_at_once(self.note, fixed) {
            self.note.0 &= !Note::PENDING;
            return;
        }
        self.send_slowly(fixed, tails);
    }

    #[inline(never)]
    fn send_slowly(mut self, fixed: &[u64], tails: &[&[u8]]) {
        let id = self.id();
        if !self.close() {
            self.shell.reply(id, self.note.number(), Gather { fixed, tails }, Vec::new());
        }
    }

    /// Sends the reply with capabilities.
    pub(super) fn send_caps(mut self, fixed: &[u64], tails: &[&[u8]], caps: Vec<Cap>) {
        let id = self.id();
        if !self.close() {
            self.shell.reply(id, self.note.number(), Gather { fixed, tails }, caps);
        }
    }

    /// A value of the reply is too long, or a capability of it cannot be copied: the caller gets no reply, and the error
    /// handler of the service gets the reason.
    #[cold]
    fn refuse_value(mut self, refused: Refused) {
        let (interface, number) = (self.shell.interface, self.note.number());
        let why = match &refused {
            Refused::TooLong(argument, length) => u16::try_from(*argument)
                .ok()
                .map(|argument| NoReply::TooLong { number, argument, length: *length }),
            Refused::Caps(_) => None,
        };
        let error = TxError::refused(refused, interface, number, |error| {
            let id = self.id();
            if !self.close() {
                self.shell.report_refusal(CapRefusal::SenderLimit, Some(id));
            }
            TxError::cap_copy(error)
        });
        self.shell.note(BindingError::Reply(error));
        self.shell.poke();
        if let Some(why) = why {
            self.no_reply(why);
        }
    }

    /// Sends no reply, for this reason.
    #[cold]
    fn no_reply(mut self, why: NoReply) {
        self.give_none(why);
    }

    /// The reply is dropped unsent.
    #[cold]
    #[inline(never)]
    fn dropped(&mut self) {
        if self.may_lock() {
            let is_panicking = std::thread::panicking();
            self.give_none(if is_panicking { NoReply::Panicked } else { NoReply::Dropped });
        }
    }

    #[cold]
    #[inline(never)]
    fn give_none(&mut self, why: NoReply) {
        let id = self.id();
        if !self.close() {
            let knows_reasons = self.shell.peer.knows(peer::REASONS);
            let why = if knows_reasons { why } else { NoReply::Dropped };
            self.shell.io.lock().connection.no_reply(id, why);
            self.shell.flush();
        }
    }

    /// The reply is sent, or will not be. Returns true if the caller gave up.
    #[inline]
    fn close(&mut self) -> bool {
        self.note.0 &= !Note::PENDING;
        let finished = self.shell.io.lock().connection.finish_reply(self.note.at());
        let Finished { cancelled, resumes, waker } = finished;
        drop(waker);
        if resumes {
            self.shell.poke();
        }
        cancelled
    }
}

impl<T: Threading> Shell<T> {
    /// Sends a small reply, if the channel takes it whole and nothing is ahead of it.
    // Not inlined: in a handler with the decoder it would take registers from messages without reply.
    #[inline(never)]
    fn reply_at_once(&self, note: Note, words: &[u64]) -> bool {
        let waker = {
            let io = &mut *self.io.lock();
            // The caller waits for the message, so what is noted about it comes after it.
            let may_reply = io.connection.may_reply_at_once(note.at());
            if !may_reply || !io.hand_over(note.number(), words) {
                return false;
            }
            io.connection.sent_at_once();
            let Finished { resumes, waker, .. } = io.connection.finish_reply(note.at());
            debug_assert!(!resumes, "an end that may reply at once receives");
            waker
        };
        drop(waker);
        true
    }
}

impl<E: End> core::fmt::Debug for ReplyToken<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReplyToken")
            .field("call", &self.call_name())
            .field("number", &self.0.number())
            .finish_non_exhaustive()
    }
}

/// Completes when a reply would be discarded: the caller gave up, or the binding has ended.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Cancelled<'a, E: End = Local>(&'a mut ReplyToken<E>);

impl<E: End> Future for Cancelled<'_, E> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_cancelled(cx)
    }
}

impl<T: Threading> Drop for Token<T> {
    fn drop(&mut self) {
        if self.note.is_pending() {
            self.dropped();
        }
    }
}
