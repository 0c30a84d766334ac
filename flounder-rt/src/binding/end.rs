//! The two kinds of ends, one for the thread of its waitset and one for any thread, behind one interface: generated code,
//! and the futures of this folder, are generic over [`End`].

use core::fmt::Debug;
use core::task::{Context, Poll, Waker};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::binding::call::LocalCall;
use crate::binding::dispatcher::{Nothing, Uncounted};
use crate::binding::inbox::{Keep, LocalKeep, Mail, OnBound, What};
use crate::binding::reply::{LocalToken, SharedToken, TokenOf};
use crate::binding::sending::{LocalSending, SendBody};
use crate::binding::sent::LocalSent;
use crate::binding::shared::{SharedAlarm, SharedCall, SharedSending, SharedSent};
use crate::binding::{
    BindingError, Call, Closing, Dispatch, Procedure, RawBinding, Received, RecvError, Reply,
    RpcError, Sent, SharedEndpoint, Timeout, TxError,
};
use crate::cap::Cap;
use crate::interface::{Direction, Interface};
use crate::message::MessageValue;
use crate::message::bulk::BulkEnd;
use crate::peer::Peer;
use crate::waitset::{Priority, Timer};
use crate::wire::{Bulks, DecodeError};

/// Which threads may use a binding: the one of its waitset ([`Local`]), or any ([`Shared`]). Handlers of either kind get such
/// an end.
pub trait End: sealed::End + Copy + Debug + 'static {}

/// The end of a binding for the thread of its waitset.
#[derive(Debug, Clone, Copy)]
pub struct Local(());

/// The end of a binding for any thread. `binding.shared()` returns one, and so does a bind on a
/// [`SharedWaitset`](crate::SharedWaitset).
#[derive(Debug, Clone, Copy)]
pub struct Shared(());

impl End for Local {}
impl End for Shared {}

/// The untyped end that a generated `Binding` wraps.
pub struct RawEnd<E: End>(pub E::Raw);

impl<E: End> RawEnd<E> {
    /// Returns another handle to the same end.
    #[inline]
    #[must_use]
    pub fn handle(&self) -> Self {
        Self(self.0.clone())
    }

    /// Returns an id for the next call; the thread of the binding chooses that of a shared one.
    #[inline]
    #[must_use]
    pub fn next_call(&self) -> u32 {
        E::next_call(&self.0)
    }

    /// Returns the interface.
    #[must_use]
    pub fn interface(&self) -> &'static Interface {
        E::interface(&self.0)
    }

    /// Returns a handle for any thread.
    #[must_use]
    pub fn shared(&self) -> RawEnd<Shared> {
        RawEnd(E::shared(&self.0))
    }

    /// Returns the reason why the binding ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<BindingError> {
        E::ended(&self.0)
    }

    /// Returns the process at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        E::peer(&self.0)
    }

    /// Returns the name of the driver.
    #[must_use]
    pub fn driver(&self) -> &'static str {
        E::driver(&self.0)
    }

    /// Tears the binding down.
    pub fn teardown(&self) {
        E::teardown(&self.0);
    }

    /// Tears the binding down. The future completes when everything that was accepted is sent.
    pub fn close(&self) -> Closing<E> {
        Closing::of(&self.0)
    }

    /// Returns true if a message would be accepted now.
    #[must_use]
    pub fn can_send(&self) -> bool {
        E::can_send(&self.0)
    }

    /// Gives the binding another priority within its waitset.
    pub fn set_priority(&self, priority: Priority) {
        E::set_priority(&self.0, priority);
    }
}

impl<E: End> Clone for RawEnd<E> {
    #[inline]
    fn clone(&self) -> Self {
        self.handle()
    }
}

impl<E: End> Debug for RawEnd<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// The receive handlers of a binding. Those of a binding that any thread may serve are `Send`.
pub type BoxDispatch<E = Local> = Box<<E as sealed::End>::Handler>;

/// A generated `Binding`, as code sees it that knows no interface.
pub trait AsRaw {
    /// Returns the untyped binding.
    fn as_raw(&self) -> &RawBinding;
}

pub(super) mod sealed {
    use super::*;

    /// What the two kinds of ends do in ways of their own.
    pub trait End: Sized {
        /// The untyped end.
        type Raw: Clone + Debug + Unpin;
        /// A message that was accepted.
        type Sent<'a>: Future<Output = Result<(), TxError>> + Unpin;
        /// A message that waits to be accepted.
        type Sending<'a>: Unpin;
        /// A call under way.
        type Call<R: Reply>: Future<Output = Result<R::Values, RpcError>> + Unpin;
        /// Wakes a future at its deadline.
        type Alarm: Default + Unpin;
        /// The receive handlers of a binding.
        type Handler: ?Sized;
        /// A call that is to be answered.
        type Token: TokenOf<Self::Raw>;
        /// Keeps an end that is lent to handlers from being counted, until it is dropped.
        type Uncounted;

        /// True if a message that waits may borrow its arguments.
        const SENDS_BORROWED: bool;

        /// Returns the receiver of a binding with an inbox.
        fn inbox(
            keep: Keep<Self::Handler>,
            on_bound: Option<OnBound<Self::Raw>>,
        ) -> Box<Self::Handler>;
        /// The messages of a new binding are kept in `mail`.
        fn set_inbox(raw: &Self::Raw, mail: &Arc<Mail>);
        /// The inbox of the binding has changed.
        fn check_inbox(raw: &Self::Raw, mail: &Mail);
        /// Returns the receiver of a binding without handlers, of a side that receives messages of this direction.
        fn nothing<M: MessageValue + 'static>(receives: Direction) -> Box<Self::Handler>;
        /// Returns the interface.
        fn interface(raw: &Self::Raw) -> &'static Interface;
        /// Returns the process at the other end.
        fn peer(raw: &Self::Raw) -> &Peer;
        /// Returns the name of the driver.
        fn driver(raw: &Self::Raw) -> &'static str;
        /// Returns the reason why the binding ended.
        fn ended(raw: &Self::Raw) -> Option<BindingError>;
        /// Tears the binding down.
        fn teardown(raw: &Self::Raw);
        /// Returns whether everything was sent, once the binding is closed; otherwise wakes `waker` then.
        fn poll_closed(raw: &Self::Raw, waker: &Waker) -> Option<Result<(), TxError>>;
        /// Returns true if a message would be accepted now.
        fn can_send(raw: &Self::Raw) -> bool;
        /// Gives the binding another priority within its waitset.
        fn set_priority(raw: &Self::Raw, priority: Priority);
        /// Returns the pools of the binding.
        fn bulk(raw: &Self::Raw) -> Option<Arc<BulkEnd>>;
        /// Returns a handle for any thread.
        fn shared(raw: &Self::Raw) -> SharedEndpoint;
        /// Returns an end to lend to handlers, which does not keep the binding. What is beside it is dropped first.
        fn lend(raw: &Self::Raw) -> (Self::Uncounted, Self::Raw);

        /// Sends a message, or returns [`TxError::Busy`] with the capabilities in their place.
        fn tx<'a>(
            raw: &'a Self::Raw,
            number: u16,
            fixed: &[u64],
            tails: &[&[u8]],
            caps: Option<&mut Vec<Cap>>,
        ) -> Result<Sent<'a, Self>, TxError>
        where
            Self: super::End;
        /// Blocks until a message is sent.
        fn wait_sent(sent: Self::Sent<'_>, timeout: Timeout) -> Result<(), TxError>;
        /// Reports that a capability cannot be copied, and returns the error.
        fn cap_copy(raw: &Self::Raw, error: io::Error) -> TxError;

        /// Returns a message that is to be sent once there is room.
        fn sending<'a>(raw: &'a Self::Raw, body: SendBody<'a>) -> Self::Sending<'a>;
        /// Sends the message if it is its turn, or returns [`TxError::Busy`]; with a waker, it then waits in line.
        fn poll_sending(
            sending: &mut Self::Sending<'_>,
            waker: Option<&Waker>,
        ) -> Result<(), TxError>;
        /// Takes the capabilities of a message that was refused.
        fn take_caps(sending: &mut Self::Sending<'_>) -> Vec<Cap>;

        /// Returns an id for the next call.
        fn next_call(raw: &Self::Raw) -> u32;
        /// Passes a reply to the call that waits for it.
        fn answer(
            raw: &Self::Raw,
            message: &mut Received<'_>,
            at: usize,
            words: usize,
        ) -> Result<(), DecodeError>;
        /// Finds the bulk data that a received message names.
        fn resolve(
            raw: &Self::Raw,
            bulks: &Bulks,
            message: &mut Received<'_>,
        ) -> Result<(), DecodeError>;
        /// Runs a handler that gets bulk data, and then tells the peer which slots it has released.
        fn delivering<R>(raw: &Self::Raw, handler: impl FnOnce() -> R) -> R;
        /// Makes a call and blocks until its reply has come.
        fn call<R: Reply>(
            raw: &Self::Raw,
            id: u32,
            procedure: Procedure,
            fixed: &[u64],
            tails: &[&[u8]],
            caps: Vec<Cap>,
            timeout: Timeout,
        ) -> Result<R::Values, RpcError>;
        /// Makes a call.
        fn call_async<R: Reply>(
            raw: &Self::Raw,
            id: u32,
            number: u16,
            fixed: &[u64],
            tails: &[&[u8]],
            caps: Vec<Cap>,
            timeout: Timeout,
        ) -> Self::Call<R>;
        /// Returns a call that fails.
        fn call_failed<R: Reply>(raw: &Self::Raw, id: u32, error: RpcError) -> Self::Call<R>;
        /// Limits a call.
        fn limit_call<R: Reply>(call: Self::Call<R>, timeout: Timeout) -> Self::Call<R>;

        /// Takes a message out of the inbox, or waits.
        fn poll_recv<T>(
            raw: &Self::Raw,
            what: &What<T>,
            cx: &Context<'_>,
        ) -> Poll<Result<T, RecvError>>;
        /// Returns true if nothing can be received while this thread blocks.
        fn blocks_receiving(raw: &Self::Raw) -> bool;

        /// Blocks until the future is ready; `None` if time runs out, or the thread must not block.
        fn block_on<F: Future + Unpin>(
            raw: &Self::Raw,
            future: F,
            timeout: Timeout,
        ) -> Option<F::Output>;
        /// Has `waker` woken at `end`.
        fn set_alarm(raw: &Self::Raw, alarm: &mut Self::Alarm, end: Instant, waker: &Waker);
        /// Removes an alarm.
        fn clear_alarm(raw: &Self::Raw, alarm: &mut Self::Alarm);
    }

    impl End for Local {
        type Raw = RawBinding;
        type Sent<'a> = LocalSent<'a>;
        type Sending<'a> = LocalSending<'a>;
        type Call<R: Reply> = LocalCall<R>;
        type Alarm = Option<Timer>;
        type Handler = dyn Dispatch;
        type Token = LocalToken;
        type Uncounted = Uncounted;

        const SENDS_BORROWED: bool = true;

        fn inbox(
            keep: Keep<dyn Dispatch>,
            on_bound: Option<OnBound<RawBinding>>,
        ) -> Box<dyn Dispatch> {
            Box::new(LocalKeep::new(keep, on_bound))
        }

        fn set_inbox(raw: &RawBinding, mail: &Arc<Mail>) {
            // A binding is attached once.
            let _ = raw.shell().own.mail.set(Arc::clone(mail));
        }

        fn check_inbox(raw: &RawBinding, mail: &Mail) {
            raw.shell().check_inbox(mail);
        }

        fn nothing<M: MessageValue + 'static>(receives: Direction) -> Box<dyn Dispatch> {
            Box::new(Nothing::<M>::new(receives))
        }

        fn interface(raw: &RawBinding) -> &'static Interface {
            raw.interface()
        }

        fn peer(raw: &RawBinding) -> &Peer {
            raw.peer()
        }

        fn driver(raw: &RawBinding) -> &'static str {
            raw.driver()
        }

        fn ended(raw: &RawBinding) -> Option<BindingError> {
            raw.ended()
        }

        fn teardown(raw: &RawBinding) {
            raw.teardown();
        }

        fn poll_closed(raw: &RawBinding, waker: &Waker) -> Option<Result<(), TxError>> {
            raw.shell().poll_closed(waker)
        }

        fn can_send(raw: &RawBinding) -> bool {
            raw.can_send()
        }

        fn set_priority(raw: &RawBinding, priority: Priority) {
            raw.set_priority(priority);
        }

        fn bulk(raw: &RawBinding) -> Option<Arc<BulkEnd>> {
            raw.shell().watched_pools().cloned()
        }

        fn shared(raw: &RawBinding) -> SharedEndpoint {
            raw.share()
        }

        fn lend(raw: &RawBinding) -> (Uncounted, RawBinding) {
            Uncounted::lend(raw)
        }

        #[inline]
        fn tx<'a>(
            raw: &'a RawBinding,
            number: u16,
            fixed: &[u64],
            tails: &[&[u8]],
            caps: Option<&mut Vec<Cap>>,
        ) -> Result<Sent<'a>, TxError> {
            match caps {
                None => raw.send(number, fixed, tails),
                Some(caps) => raw.send_caps(number, fixed, tails, caps),
            }
        }

        fn wait_sent(sent: LocalSent<'_>, timeout: Timeout) -> Result<(), TxError> {
            sent.wait(timeout)
        }

        fn cap_copy(raw: &RawBinding, error: io::Error) -> TxError {
            raw.cap_copy(error)
        }

        fn sending<'a>(raw: &'a RawBinding, body: SendBody<'a>) -> LocalSending<'a> {
            LocalSending::new(raw, body)
        }

        fn poll_sending(
            sending: &mut LocalSending<'_>,
            waker: Option<&Waker>,
        ) -> Result<(), TxError> {
            sending.poll(waker)
        }

        fn take_caps(sending: &mut LocalSending<'_>) -> Vec<Cap> {
            sending.take_caps()
        }

        #[inline]
        fn next_call(raw: &RawBinding) -> u32 {
            raw.next_call()
        }

        #[inline]
        fn answer(
            raw: &RawBinding,
            message: &mut Received<'_>,
            at: usize,
            words: usize,
        ) -> Result<(), DecodeError> {
            raw.answer(message, at, words)
        }

        fn resolve(
            raw: &RawBinding,
            bulks: &Bulks,
            message: &mut Received<'_>,
        ) -> Result<(), DecodeError> {
            raw.resolve(bulks, message)
        }

        fn delivering<R>(raw: &RawBinding, handler: impl FnOnce() -> R) -> R {
            raw.delivering(handler)
        }

        #[inline]
        fn call<R: Reply>(
            raw: &RawBinding,
            id: u32,
            procedure: Procedure,
            fixed: &[u64],
            tails: &[&[u8]],
            caps: Vec<Cap>,
            timeout: Timeout,
        ) -> Result<R::Values, RpcError> {
            raw.call::<R>(id, procedure, fixed, tails, caps, timeout)
        }

        #[inline]
        fn call_async<R: Reply>(
            raw: &RawBinding,
            id: u32,
            number: u16,
            fixed: &[u64],
            tails: &[&[u8]],
            caps: Vec<Cap>,
            timeout: Timeout,
        ) -> LocalCall<R> {
            let call: Call<R> = raw.call_async(id, number, fixed, tails, caps, timeout);
            call.0
        }

        fn call_failed<R: Reply>(raw: &RawBinding, id: u32, error: RpcError) -> LocalCall<R> {
            let call: Call<R> = raw.call_failed(id, error);
            call.0
        }

        fn limit_call<R: Reply>(call: LocalCall<R>, timeout: Timeout) -> LocalCall<R> {
            call.limited(timeout)
        }

        fn poll_recv<T>(
            raw: &RawBinding,
            what: &What<T>,
            cx: &Context<'_>,
        ) -> Poll<Result<T, RecvError>> {
            raw.shell().poll_mail(what, cx)
        }

        fn blocks_receiving(raw: &RawBinding) -> bool {
            raw.shell().is_delivering()
        }

        fn block_on<F: Future + Unpin>(
            raw: &RawBinding,
            future: F,
            timeout: Timeout,
        ) -> Option<F::Output> {
            raw.shell().block_on(future, timeout)
        }

        fn set_alarm(raw: &RawBinding, alarm: &mut Option<Timer>, end: Instant, waker: &Waker) {
            Self::clear_alarm(raw, alarm);
            let left = end.saturating_duration_since(Instant::now());
            let waker = waker.clone();
            *alarm = raw.waitset().map(|waitset| {
                waitset.after(left, move |_| {
                    waker.wake();
                    Ok(())
                })
            });
        }

        fn clear_alarm(_raw: &RawBinding, alarm: &mut Option<Timer>) {
            if let Some(timer) = alarm.take() {
                timer.cancel();
            }
        }
    }

    impl End for Shared {
        type Raw = SharedEndpoint;
        type Sent<'a> = SharedSent;
        type Sending<'a> = SharedSending;
        type Call<R: Reply> = SharedCall<R>;
        type Alarm = SharedAlarm;
        type Handler = dyn Dispatch<Self> + Send;
        type Token = SharedToken;
        type Uncounted = ();

        const SENDS_BORROWED: bool = false;

        fn inbox(
            keep: Keep<dyn Dispatch<Self> + Send>,
            // Only inboxes of bindings of one thread take a callback.
            _on_bound: Option<OnBound<SharedEndpoint>>,
        ) -> Box<dyn Dispatch<Self> + Send> {
            Box::new(keep)
        }

        fn set_inbox(raw: &SharedEndpoint, mail: &Arc<Mail>) {
            raw.set_inbox(mail);
        }

        fn check_inbox(raw: &SharedEndpoint, mail: &Mail) {
            if let Some(shell) = raw.shell() {
                shell.check_inbox(mail);
            }
        }

        fn nothing<M: MessageValue + 'static>(
            receives: Direction,
        ) -> Box<dyn Dispatch<Self> + Send> {
            Box::new(Nothing::<M>::new(receives))
        }

        fn interface(raw: &SharedEndpoint) -> &'static Interface {
            raw.interface()
        }

        fn peer(raw: &SharedEndpoint) -> &Peer {
            raw.peer()
        }

        fn driver(raw: &SharedEndpoint) -> &'static str {
            raw.driver()
        }

        fn ended(raw: &SharedEndpoint) -> Option<BindingError> {
            raw.ended()
        }

        fn teardown(raw: &SharedEndpoint) {
            raw.teardown();
        }

        fn poll_closed(raw: &SharedEndpoint, waker: &Waker) -> Option<Result<(), TxError>> {
            raw.poll_closed(waker)
        }

        fn can_send(raw: &SharedEndpoint) -> bool {
            raw.can_send()
        }

        fn set_priority(raw: &SharedEndpoint, priority: Priority) {
            raw.set_priority(priority);
        }

        fn bulk(raw: &SharedEndpoint) -> Option<Arc<BulkEnd>> {
            raw.bulk().cloned()
        }

        fn shared(raw: &SharedEndpoint) -> SharedEndpoint {
            raw.clone()
        }

        fn lend(raw: &SharedEndpoint) -> ((), SharedEndpoint) {
            ((), raw.to_lend())
        }

        fn tx<'a>(
            raw: &'a SharedEndpoint,
            number: u16,
            fixed: &[u64],
            tails: &[&[u8]],
            caps: Option<&mut Vec<Cap>>,
        ) -> Result<Sent<'a, Self>, TxError> {
            raw.tx(number, fixed, tails, caps)
        }

        fn wait_sent(sent: SharedSent, timeout: Timeout) -> Result<(), TxError> {
            sent.wait(timeout)
        }

        fn cap_copy(raw: &SharedEndpoint, error: io::Error) -> TxError {
            raw.cap_copy(error)
        }

        fn sending<'a>(raw: &'a SharedEndpoint, body: SendBody<'a>) -> SharedSending {
            SharedSending::new(raw, body)
        }

        fn poll_sending(sending: &mut SharedSending, waker: Option<&Waker>) -> Result<(), TxError> {
            sending.poll(waker)
        }

        fn take_caps(sending: &mut SharedSending) -> Vec<Cap> {
            sending.take_caps()
        }

        fn next_call(_raw: &SharedEndpoint) -> u32 {
            0
        }

        fn answer(
            raw: &SharedEndpoint,
            message: &mut Received<'_>,
            at: usize,
            words: usize,
        ) -> Result<(), DecodeError> {
            raw.answer(message, at, words)
        }

        fn resolve(
            raw: &SharedEndpoint,
            bulks: &Bulks,
            message: &mut Received<'_>,
        ) -> Result<(), DecodeError> {
            raw.resolve(bulks, message)
        }

        fn delivering<R>(raw: &SharedEndpoint, handler: impl FnOnce() -> R) -> R {
            raw.delivering(handler)
        }

        fn call<R: Reply>(
            raw: &SharedEndpoint,
            id: u32,
            procedure: Procedure,
            fixed: &[u64],
            tails: &[&[u8]],
            caps: Vec<Cap>,
            timeout: Timeout,
        ) -> Result<R::Values, RpcError> {
            Self::call_async::<R>(raw, id, procedure.call, fixed, tails, caps, timeout).wait()
        }

        fn call_async<R: Reply>(
            raw: &SharedEndpoint,
            _id: u32,
            number: u16,
            fixed: &[u64],
            tails: &[&[u8]],
            caps: Vec<Cap>,
            timeout: Timeout,
        ) -> SharedCall<R> {
            let call: Call<R, Self> = raw.call(number, fixed, tails, caps, timeout);
            call.0
        }

        fn call_failed<R: Reply>(
            _raw: &SharedEndpoint,
            _id: u32,
            error: RpcError,
        ) -> SharedCall<R> {
            SharedCall::failed(error)
        }

        fn limit_call<R: Reply>(call: SharedCall<R>, timeout: Timeout) -> SharedCall<R> {
            call.limited(timeout)
        }

        fn poll_recv<T>(
            raw: &SharedEndpoint,
            what: &What<T>,
            cx: &Context<'_>,
        ) -> Poll<Result<T, RecvError>> {
            raw.poll_mail(what, cx)
        }

        fn blocks_receiving(raw: &SharedEndpoint) -> bool {
            raw.is_in_its_thread()
        }

        fn block_on<F: Future + Unpin>(
            raw: &SharedEndpoint,
            future: F,
            timeout: Timeout,
        ) -> Option<F::Output> {
            raw.block_on(future, timeout)
        }

        fn set_alarm(raw: &SharedEndpoint, alarm: &mut SharedAlarm, end: Instant, waker: &Waker) {
            raw.set_alarm(alarm, end, waker);
        }

        fn clear_alarm(raw: &SharedEndpoint, alarm: &mut SharedAlarm) {
            raw.clear_alarm(alarm);
        }
    }
}
