//! Calls: blocking, and as futures.

use core::cell::Cell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::rc::{Rc, Weak};
use std::time::Instant;

use crate::binding::calls::{Left, Message};
use crate::binding::notice::Notice;
use crate::binding::patience::Patience;
use crate::binding::turns::Ticket;
use crate::binding::{Core, Endpoint, Received, RpcError, TxError, TxState};
use crate::cap::Cap;
use crate::waitset::{DispatchError, Source, Timer, Waitset};
use crate::wire::{DecodeError, Gather};

/// A remote procedure, as it is on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Procedure {
    /// Message number of the call.
    pub call: u16,
    /// Message number of the response.
    pub response: u16,
    /// Byte offset of the call's id in the response.
    pub id: usize,
}

/// What a blocking call waits with.
struct Way {
    waitset: Waitset,
    /// The other end, if it is in this thread.
    twin: Option<Rc<Core>>,
    patience: Patience,
}

/// Gives up a call that ends without a result.
struct GiveUp<'a>(&'a Core, u32);

impl Drop for GiveUp<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.give_up(self.1);
    }
}

impl Endpoint {
    /// An id for the next call.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn next_call(&self) -> u32 {
        self.0.calls.next()
    }

    /// Hands a reply to the call that waits for it. Used by generated code.
    #[doc(hidden)]
    #[inline]
    pub fn answer(&self, id: u32, message: Received<'_>) {
        self.0.calls.settle(id, || Ok(Message::keep(message)));
    }

    /// Makes a call and blocks until its reply has come, visiting only this binding (and, if the service is in the same
    /// thread, whatever it takes to have it answer). Used by generated code.
    ///
    /// # Errors
    /// [`RpcError`].
    #[doc(hidden)]
    #[expect(
        clippy::too_many_arguments,
        reason = "generated code calls it, and it is called often"
    )]
    pub fn call<T>(
        &self,
        id: u32,
        procedure: Procedure,
        fixed: &[u64],
        tails: &[&[u8]],
        mut caps: Vec<Cap>,
        patience: Patience,
        decode: fn(Received<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, RpcError> {
        let core = &*self.0;
        let mut way = core.way(patience)?;
        let Procedure { call, response, id: at } = procedure;
        let now = tails.is_empty() && caps.is_empty() && core.accept_now(call, fixed).is_some();
        core.calls.begin(id, now);
        let give_up = GiveUp(core, id);
        if !now {
            // It may be lost again at once, with its capabilities: then the call fails, which has to be known.
            core.accept_call(&mut way, call, Gather { fixed, tails }, &mut caps)?;
            core.calls.accepted(id);
        }
        let (decoded, is_decoded) = (Cell::new(None), Cell::new(false));
        // The reply is read where it lies, if it comes while this waits and goes the quick way; else it comes by `answer`.
        let taken = |message: Received<'_>| {
            let ours = message.number == response && message.id_at(at) == Some(id);
            if ours {
                decoded.set(Some(decode(message)));
                is_decoded.set(true);
            }
            ours
        };
        let is_answered = || is_decoded.get() || core.calls.is_done(id);
        // Nobody takes messages out of the inbox while this thread waits here.
        let done = || is_answered() || core.is_mail_full();
        core.wait_until(&way, &mut || core.turn_unless(taken), &done)?;
        if !is_answered() {
            return Err(RpcError::WouldDeadlock);
        }
        match decoded.take() {
            Some(result) => {
                core::mem::forget(give_up);
                core.calls.forget(id);
                result.map_err(|error| core.bad_reply(response, error))
            }
            None => core.finish(id, decode),
        }
    }

    /// Makes a call; the future gives its result. Used by generated code.
    #[doc(hidden)]
    #[expect(
        clippy::too_many_arguments,
        reason = "generated code calls it, and it is called often"
    )]
    pub fn call_async<T>(
        &self,
        id: u32,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Vec<Cap>,
        patience: Patience,
        decode: fn(Received<'_>) -> Result<T, DecodeError>,
    ) -> Call<T> {
        self.0.calls.begin(id, false);
        let request = Some(Message::new(number, Gather { fixed, tails }, caps));
        let (endpoint, place, ticket) = (self.clone(), Ticket::default(), Ticket::default());
        let end = patience.end();
        Call(State::Waiting { endpoint, id, request, place, ticket, end, timer: None, decode })
    }
}

impl Core {
    /// How a blocking call can wait, if it can.
    fn way(&self, patience: Patience) -> Result<Way, RpcError> {
        let Some(waitset) = self.waitset() else { return Err(self.call_error(TxError::Closed)) };
        let twin = self.twin.borrow().upgrade();
        let twin_delivers = twin.as_ref().is_some_and(|twin| twin.is_delivering());
        if self.is_delivering() || twin_delivers || self.is_mail_full() {
            return Err(RpcError::WouldDeadlock);
        }
        if patience.is_over() {
            return Err(RpcError::Deadline);
        }
        Ok(Way { waitset, twin, patience })
    }

    /// Sends a call, waiting for the slot if that is taken.
    #[cold]
    fn accept_call(
        &self,
        way: &mut Way,
        number: u16,
        body: Gather<'_>,
        caps: &mut Vec<Cap>,
    ) -> Result<(), RpcError> {
        loop {
            match self.accept(number, body, caps) {
                Ok(_) => return Ok(()),
                Err(TxError::Busy) => {
                    // What is left of the time is for the reply.
                    if let Some(end) = way.patience.end_of_blocking() {
                        way.patience = Patience::Until(end);
                    }
                    let free = || self.io.borrow().state != TxState::Sending;
                    self.wait_until(way, &mut || self.turn(), &free)?;
                }
                // The binding is about to end, and knows why only then.
                Err(TxError::Closed) => {
                    let ended = || self.has_ended() || self.is_mail_full();
                    self.wait_until(way, &mut || self.turn(), &ended)?;
                    return Err(self.call_error(TxError::Closed));
                }
                Err(error) => return Err(self.call_error(error)),
            }
        }
    }

    /// Blocks until `done`, with `turn` for the turns of this binding.
    #[inline]
    fn wait_until(
        &self,
        way: &Way,
        turn: &mut dyn FnMut() -> bool,
        done: &dyn Fn() -> bool,
    ) -> Result<(), RpcError> {
        let result = match &way.twin {
            None => way.waitset.wait_for(self.token.get(), self, way.patience, turn, done),
            Some(twin) => self.wait_with_twin(twin, way.patience, done),
        };
        result.map_err(|error| match error {
            DispatchError::Os(error) => RpcError::Os(error.raw_os_error().unwrap_or(0)),
            _ => RpcError::Deadline,
        })
    }

    /// Both ends are here: whatever the service needs for its answer is dispatched too.
    fn wait_with_twin(
        &self,
        twin: &Rc<Self>,
        patience: Patience,
        done: &dyn Fn() -> bool,
    ) -> Result<(), DispatchError> {
        let mut deadline = None;
        let mut turns = 0_usize;
        while !done() {
            let worked = Source::turn(&**twin) | self.turn();
            turns += 1;
            if worked && !turns.is_multiple_of(TURNS_PER_LOOK) {
                continue;
            }
            let deadline = *deadline.get_or_insert_with(|| patience.end_of_blocking());
            if worked {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Err(DispatchError::Deadline);
                }
                continue;
            }
            let Some(waitset) = twin.waitset() else { return Ok(()) };
            match waitset.dispatch_until(deadline, || done() || twin.ready() || self.ready()) {
                Ok(true) => {}
                Ok(false) => return Err(DispatchError::Deadline),
                // It is somebody else's, and lost like any that the program does not look at.
                Err(DispatchError::Callback(error)) => {
                    tracing::error!(%error, "a callback failed during a blocking call");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether a handler of this binding is running.
    fn is_delivering(&self) -> bool {
        let receiver = self.receiver.take();
        let absent = receiver.is_none();
        self.receiver.set(receiver);
        absent && !self.has_ended()
    }

    fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    fn call_error(&self, error: TxError) -> RpcError {
        match (error, &*self.ended.borrow()) {
            (TxError::Closed, Some(why)) => RpcError::Closed(why.clone()),
            (error, _) => RpcError::Tx(error),
        }
    }

    fn finish<T>(
        &self,
        id: u32,
        decode: impl FnOnce(Received<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, RpcError> {
        self.read(self.calls.take(id), decode)
    }

    /// Reads what came of a call.
    #[inline]
    fn read<T>(
        &self,
        result: Option<Result<Message, RpcError>>,
        decode: impl FnOnce(Received<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, RpcError> {
        let Some(result) = result else { return Err(self.call_error(TxError::Closed)) };
        let mut reply = result?;
        let number = reply.number;
        decode(reply.lend()).map_err(|error| self.bad_reply(number, error))
    }

    /// A reply cannot be read: the error handler is told, and the caller.
    #[cold]
    pub(super) fn bad_reply(&self, number: u16, error: DecodeError) -> RpcError {
        let message = self.interface.message_name(number);
        self.note(super::BindingError::Decode { message, error: error.clone() });
        self.poke();
        RpcError::Decode(error)
    }

    /// Nobody waits for this call any more: the service is told, if it may be at work on it.
    #[inline]
    fn give_up(&self, id: u32) {
        if self.calls.forget(id) == Left::Accepted {
            self.tell_peer(Notice::Cancelled(id));
        }
    }

    /// The deadline of a call has passed.
    fn expire(&self, id: u32) {
        if self.calls.settle(id, || Err(RpcError::Deadline)) == Left::Accepted {
            self.tell_peer(Notice::Cancelled(id));
        }
    }
}

/// Turns of a binding without the reply between two looks at the clock.
const TURNS_PER_LOOK: usize = 64;

/// A call on its way. Dropped before the call was accepted, nothing is sent; after that, the service is told that nobody
/// waits any more, and a reply that comes all the same is discarded.
#[must_use = "a call does nothing unless awaited"]
pub struct Call<T>(State<T>);

enum State<T> {
    Failed(Option<RpcError>),
    Waiting {
        endpoint: Endpoint,
        id: u32,
        /// The message, until it is accepted.
        request: Option<Message>,
        /// How it waits for a place among the calls, and for the slot.
        place: Ticket,
        ticket: Ticket,
        end: Option<Instant>,
        timer: Option<Timer>,
        decode: fn(Received<'_>) -> Result<T, DecodeError>,
    },
}

impl<T> Call<T> {
    /// One that failed before it began.
    #[doc(hidden)]
    pub const fn failed(error: RpcError) -> Self {
        Self(State::Failed(Some(error)))
    }

    /// Ends the call with [`RpcError::Deadline`] if it is not done after this time, which begins now.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.limited(Instant::now().checked_add(timeout))
    }

    /// Ends the call with [`RpcError::Deadline`] if it is not done at this time.
    pub fn deadline(self, deadline: Instant) -> Self {
        self.limited(Some(deadline))
    }

    fn limited(mut self, limit: Option<Instant>) -> Self {
        if let State::Waiting { end, .. } = &mut self.0 {
            *end = limit;
        }
        self
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T, RpcError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let State::Waiting { endpoint, id, request, place, ticket, end, timer, decode } =
            &mut self.0
        else {
            let State::Failed(error) = &mut self.0 else { return Poll::Pending };
            return error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
        };
        let (core, id) = (&*endpoint.0, *id);
        let window = &core.calls.window;
        if request.is_some()
            && !core.calls.is_done(id)
            && window.is_open(place)
            && core.is_turn_of(ticket)
        {
            match core.accept_request(request, ticket) {
                Ok(()) => {
                    core.calls.accepted(id);
                    window.leave(place);
                }
                Err(TxError::Busy) => {}
                // The binding is about to end, and knows why only then.
                Err(TxError::Closed) if !core.has_ended() => {
                    *request = None;
                    core.leave(ticket);
                }
                Err(error) => {
                    let error = core.call_error(error);
                    self.clear();
                    return Poll::Ready(Err(error));
                }
            }
        }
        if let Poll::Ready(result) = core.calls.poll(id, cx.waker()) {
            let result = core.read(result, *decode);
            self.clear();
            return Poll::Ready(result);
        }
        if request.is_some() {
            if window.is_open(place) {
                core.io.borrow_mut().turns.wait(ticket, cx.waker());
            } else {
                core.leave(ticket);
                window.wait(place, cx.waker(), &core.myself);
            }
        }
        if let (Some(end), None) = (&end, &timer)
            && let Some(waitset) = core.waitset()
        {
            let core = Weak::clone(&core.myself);
            let left = end.saturating_duration_since(Instant::now());
            *timer = Some(waitset.after(left, move |_| {
                if let Some(core) = core.upgrade() {
                    core.expire(id);
                }
                Ok(())
            }));
        }
        Poll::Pending
    }
}

impl Core {
    /// Sends the message of an asynchronous call.
    fn accept_request(
        &self,
        request: &mut Option<Message>,
        ticket: &mut Ticket,
    ) -> Result<(), TxError> {
        let Some(message) = request else { return Ok(()) };
        let number = message.number;
        let (words, caps) = message.parts();
        if !(caps.is_empty() && self.accept_now(number, words).is_some()) {
            self.accept(number, Gather::words_only(words), caps)?;
        }
        *request = None;
        self.leave(ticket);
        Ok(())
    }
}

impl<T> Call<T> {
    /// Forgets everything; what is still under way is given up.
    fn clear(&mut self) {
        let state = core::mem::replace(&mut self.0, State::Failed(None));
        if let State::Waiting { endpoint, id, mut place, mut ticket, timer, .. } = state {
            endpoint.0.leave(&mut ticket);
            endpoint.0.calls.window.leave(&mut place);
            endpoint.0.give_up(id);
            if let Some(timer) = timer {
                timer.cancel();
            }
        }
    }
}

impl<T> Unpin for Call<T> {}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}
