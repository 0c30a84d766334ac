//! Calls, blocking and asynchronous.
//!
//! A blocking call decodes its reply in the memory of the channel if the reply comes while the call
//! waits. An asynchronous call keeps everything in its slot of the table of calls: what is sent, the
//! waker, and the reply. [`connection`](super::connection) decides when either may be sent.

use core::cell::Cell;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::rc::{Rc, Weak};
use std::time::Instant;

use crate::binding::connection::{
    GivenUp, Left, Limit, Line, Message, NONE, Polled, ReplyLine, Rule, Sender, State, TICKS,
    Waits, Watched,
};
use crate::binding::end::{End, Local, Shared};
use crate::binding::message_type::Response;
use crate::binding::shell::Shell;
use crate::binding::threading::{OneThread, Threading};
use crate::binding::{BindingError, RawBinding, Received, RpcError, TxError};
use crate::cap::Cap;
use crate::waitset::{DEFAULT_TIMEOUT, DispatchError, Source, Timeout, Timer, Turned, Waitset};
use crate::wire::{DecodeError, Gather};

/// A remote procedure on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Procedure {
    /// Message number of the call.
    pub call: u16,
    /// Message number of the response.
    pub response: u16,
    /// Byte offset of the id of the call in the response.
    pub id: usize,
}

/// Means by which a blocking call waits.
struct Way {
    waitset: Waitset,
    /// The other end, if it is in this thread.
    local_peer: Option<Rc<Shell>>,
    timeout: Timeout,
}

/// Decodes a reply and keeps its values.
type Read<'a> = &'a mut dyn FnMut(Received<'_>) -> Result<(), DecodeError>;

/// Gives up a call when dropped.
struct GiveUp<'a>(&'a Shell, u32);

impl Drop for GiveUp<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.give_up(self.1);
    }
}

impl RawBinding {
    /// Returns an id for the next call.
    #[inline]
    #[must_use]
    pub fn next_call(&self) -> u32 {
        self.shell().io.borrow_mut().connection.calls().next()
    }

    /// Passes a reply to the call that waits for it. The record of the reply has `words` words, and the
    /// id of the call at byte `at`. Used by generated code.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if the reply has fewer words.
    pub fn answer(
        &self,
        message: &mut Received<'_>,
        at: usize,
        words: usize,
    ) -> Result<(), DecodeError> {
        let id = message.reply_id(at, words)?;
        self.shell().answer(id, message);
        Ok(())
    }

    /// Makes a call and blocks until its reply has come. Only this binding is served meanwhile, and, if
    /// the service is in the same thread, the waitset of the service. Used by generated code.
    ///
    /// # Errors
    /// Every [`RpcError`] of a binding for one thread.
    #[inline]
    pub fn call<R: Reply>(
        &self,
        id: u32,
        procedure: Procedure,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Vec<Cap>,
        timeout: Timeout,
    ) -> Result<R::Values, RpcError> {
        let mut values = None;
        let body = Gather { fixed, tails };
        let has_bulk = const { !R::Response::BULKS.is_empty() };
        if has_bulk {
            self.tell_before_call();
        }
        self.shell().call(id, procedure, body, caps, timeout, &mut |mut reply| {
            if has_bulk && reply.number == R::Response::NUMBER {
                self.resolve_reply(&R::Response::BULKS, &mut reply)?;
            }
            values = Some(R::Response::returned(reply)?);
            Ok(())
        })?;
        Ok(values.expect("a call that succeeds has read its reply"))
    }

    /// Makes a call. The future completes with its result. Used by generated code.
    #[inline]
    pub fn call_async<R: Reply>(
        &self,
        id: u32,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Vec<Cap>,
        timeout: Timeout,
    ) -> Call<R> {
        let limit = match timeout {
            Timeout::Default => Limit::Default,
            limited => Limit::At(limited.end()),
        };
        let mut io = self.shell().io.borrow_mut();
        let mut calls = io.connection.calls();
        if matches!(limit, Limit::Default) && calls.must_tick() {
            drop(io);
            self.shell().start_ticking();
            io = self.shell().io.borrow_mut();
            calls = io.connection.calls();
        }
        calls.begin_with(id, number, Gather { fixed, tails }, caps, limit);
        drop(io);
        Call(LocalCall { raw: self.clone(), id, reply: PhantomData })
    }

    /// Returns a call that fails with `error`. Used by generated code.
    #[cold]
    pub fn call_failed<R: Reply>(&self, id: u32, error: RpcError) -> Call<R> {
        self.shell().io.borrow_mut().connection.calls().fail_at_once(id, error);
        Call(LocalCall { raw: self.clone(), id, reply: PhantomData })
    }
}

impl Shell {
    /// Makes a call and blocks until `read` has decoded its reply. See [`RawBinding::call`].
    fn call(
        &self,
        id: u32,
        procedure: Procedure,
        body: Gather<'_>,
        mut caps: Vec<Cap>,
        timeout: Timeout,
        read: Read<'_>,
    ) -> Result<(), RpcError> {
        let mut way = self.way(timeout)?;
        let Procedure { call, response, id: at } = procedure;
        let now =
            body.tails.is_empty() && caps.is_empty() && self.accept_now(call, body.fixed).is_some();
        self.io.borrow_mut().connection.calls().begin(id, now);
        let give_up = GiveUp(self, id);
        if !now {
            // The call may be lost at once, with its capabilities; it fails then, so it must be in the table.
            self.accept_call(&mut way, call, body, &mut caps)?;
            self.io.borrow_mut().connection.calls().accepted(id);
        }
        let (is_read, failed) = (Cell::new(false), Cell::new(None));
        // A reply that comes on the fast path while this waits is decoded in place; any other comes by `answer`.
        let mut turn = || {
            let turned = self.step::<true>(|reply| {
                let ours = reply.number == response && reply.id_at(at) == Some(id);
                if ours {
                    is_read.set(true);
                    failed.set(read(reply).err());
                }
                ours
            });
            turned == Turned::Work
        };
        let is_answered = || is_read.get() || self.is_call_done(id);
        // This thread, which waits here, is the one that would empty the inbox.
        let done = || is_answered() || self.is_mail_full();
        self.wait_until(&way, &mut turn, &done)?;
        if !is_answered() {
            return Err(RpcError::WouldDeadlock);
        }
        if is_read.get() {
            core::mem::forget(give_up);
            self.free_call(id);
            return failed.take().map_or(Ok(()), |error| Err(self.bad_reply(response, error)));
        }
        self.take(id, read)
    }

    /// Returns how a blocking call can wait.
    fn way(&self, timeout: Timeout) -> Result<Way, RpcError> {
        let Some(waitset) = self.waitset() else { return Err(self.call_error(TxError::Closed)) };
        let local_peer = self.own.local_peer.borrow().upgrade();
        let peer_delivers = local_peer.as_ref().is_some_and(|peer| peer.is_delivering());
        if self.is_delivering() || peer_delivers || self.is_mail_full() {
            return Err(RpcError::WouldDeadlock);
        }
        if timeout.is_over() {
            return Err(RpcError::Deadline);
        }
        Ok(Way { waitset, local_peer, timeout })
    }

    /// Sends a call, after waiting for the slot if it is taken.
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
                    // The reply gets the rest of the time.
                    if let Some(end) = way.timeout.end_of_blocking() {
                        way.timeout = Timeout::Until(end);
                    }
                    let free = || self.io.borrow().connection.state() != State::Sending;
                    self.wait_until(way, &mut || self.step_alone(), &free)?;
                    if way.timeout.is_over() {
                        return Err(RpcError::Deadline);
                    }
                }
                // The binding is about to end, and knows why only then.
                Err(TxError::Closed) => {
                    let ended = || self.has_ended() || self.is_mail_full();
                    self.wait_until(way, &mut || self.step_alone(), &ended)?;
                    return Err(self.call_error(TxError::Closed));
                }
                Err(error) => return Err(self.call_error(error)),
            }
        }
    }

    /// Blocks until `done` returns true, with `turn` for the steps of this binding.
    #[inline]
    fn wait_until(
        &self,
        way: &Way,
        turn: &mut dyn FnMut() -> bool,
        done: &dyn Fn() -> bool,
    ) -> Result<(), RpcError> {
        let result = match &way.local_peer {
            None => way.waitset.wait_for(self.own.token.get(), self, way.timeout, turn, done),
            Some(peer) => self.wait_with_local_peer(peer, way.timeout, done),
        };
        result.map_err(|error| match error {
            DispatchError::Os(error) => RpcError::Os(error.into()),
            _ => RpcError::Deadline,
        })
    }

    /// Blocks until `done` returns true, and dispatches the waitset of the other end meanwhile.
    pub(super) fn wait_with_local_peer(
        &self,
        peer: &Rc<Self>,
        timeout: Timeout,
        done: &dyn Fn() -> bool,
    ) -> Result<(), DispatchError> {
        let mut deadline = None;
        let mut turns = 0_usize;
        while !done() {
            let worked = peer.step_alone() | self.step_alone();
            turns += 1;
            if worked && !turns.is_multiple_of(TURNS_PER_LOOK) {
                continue;
            }
            let deadline = *deadline.get_or_insert_with(|| timeout.end_of_blocking());
            if worked {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Err(DispatchError::Deadline);
                }
                continue;
            }
            let Some(waitset) = peer.waitset() else { return Ok(()) };
            match waitset.dispatch_until(deadline, || done() || peer.ready() || self.ready()) {
                Ok(true) => {}
                Ok(false) => return Err(DispatchError::Deadline),
                // The error belongs to another part of the program, which is not here to get it.
                Err(DispatchError::Callback(error)) => {
                    crate::log_limited!(error, ?error, "a callback failed during a blocking call");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns the error of a call that was not accepted.
    pub(super) fn call_error(&self, error: TxError) -> RpcError {
        match (error, self.io.borrow().connection.ended()) {
            (TxError::Closed, Some(why)) => RpcError::NotSent(why.clone()),
            (error, _) => RpcError::Tx(error),
        }
    }

    /// Passes a reply to the call that waits for it. A reply that no call waits for is discarded.
    #[inline]
    fn answer(&self, id: u32, message: &mut Received<'_>) {
        let mut io = self.io.borrow_mut();
        let Some(waker) = io.connection.answer(id, message) else {
            drop(io);
            return OneThread::settle_call(self, id, || Ok(Message::keep(message.reborrow())));
        };
        let has_events = io.connection.has_events();
        drop(io);
        if let Some(waker) = waker {
            waker.wake_by_ref();
            let old = self.io.borrow_mut().connection.calls().keep(waker);
            drop(old);
        }
        if has_events {
            self.run_events();
        }
    }

    #[inline]
    fn is_call_done(&self, id: u32) -> bool {
        self.io.borrow_mut().connection.calls().is_done(id)
    }

    /// Forgets a blocking call whose reply was decoded in place.
    #[inline]
    fn free_call(&self, id: u32) {
        let has_events = {
            let connection = &mut self.io.borrow_mut().connection;
            connection.free_call(id);
            connection.has_events()
        };
        if has_events {
            self.run_events();
        }
    }

    /// Takes the result of a call that is done.
    #[inline]
    fn take<T>(
        &self,
        id: u32,
        decode: impl FnOnce(Received<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, RpcError> {
        // Nothing is borrowed while `decode` makes values of user types.
        if let Some(line) = self.take_line(id) {
            let (number, words) = (line.number, &line.words[..line.len]);
            // Decoders only take capabilities out, so nothing is to be dropped: the compiler does not know.
            let mut caps = ManuallyDrop::new(Vec::new());
            return match decode(Received { number, words, caps: &mut caps }) {
                Ok(value) => Ok(value),
                Err(error) => Err(self.bad_reply(number, error)),
            };
        }
        let mut reply = self.take_slowly(id)?;
        decode(reply.lend()).map_err(|error| self.bad_reply(reply.number, error))
    }

    /// Takes the reply to a call that is done, or its error.
    #[inline(never)]
    fn take_slowly(&self, id: u32) -> Result<Message, RpcError> {
        if let Some(waits) = self.take_waits(id) {
            self.wait_no_more(*waits);
        }
        let connection = &mut self.io.borrow_mut().connection;
        let taken = connection.calls().take(id);
        taken.unwrap_or_else(|| {
            let why = connection.ended().cloned();
            Err(RpcError::Closed(why.unwrap_or(BindingError::Closed)))
        })
    }

    #[inline]
    fn take_line(&self, id: u32) -> Option<ReplyLine> {
        self.io.borrow_mut().connection.calls().take_line(id)
    }

    fn take_waits(&self, id: u32) -> Option<Box<Waits<Timer>>> {
        self.io.borrow_mut().connection.calls().take_waits(id)
    }

    /// Gives a call up, and cancels it if the service may be at work on it.
    #[inline]
    fn give_up(&self, id: u32) {
        let GivenUp { left, waits, waker } = self.io.borrow_mut().connection.give_up_call(id);
        drop(waker);
        if let Some(waits) = waits {
            self.wait_no_more(*waits);
        }
        if left == Left::Accepted {
            self.flush();
            self.run_events();
        }
    }

    /// Ends a call whose deadline has passed.
    fn expire(&self, id: u32) {
        self.io.borrow_mut().connection.expire_call(id);
        self.flush();
        self.run_events();
    }
}

impl<T: Threading> Shell<T> {
    /// Reports a malformed reply to the error handler, and returns the error for the caller.
    #[cold]
    pub(super) fn bad_reply(&self, number: u16, error: DecodeError) -> RpcError {
        let message = self.interface.message_name(number);
        self.note(BindingError::Decode { message, error: error.clone() });
        self.poke();
        RpcError::Decode(error)
    }
}

/// Steps without the reply between two looks at the clock.
const TURNS_PER_LOOK: usize = 64;

/// The reply to one rpc. Generated reply types implement this.
pub trait Reply {
    /// Results of the rpc: one value, or a tuple in order.
    type Values;

    /// The message.
    type Response: Response<Values = Self::Values>;
}

/// A call under way: a future that completes with the results in the reply `R`. With
/// `rpc add(in uint32 a, in uint32 b, out uint32 sum)`, `client.add_async(1, 2)` is a `Call<AddReply>`
/// with the output `Result<u32, RpcError>`.
///
/// A call that is dropped before it was accepted is not sent. Dropped later, it is cancelled, and a
/// reply that still comes is discarded.
///
/// Through a [`Shared`] end, a call waits for room behind the others, and then for the reply. If the thread of the
/// binding's waitset does not dispatch, the call still ends, up to a quarter of a second late, with
/// [`RpcError::NotServed`], which names that thread.
#[must_use = "a call does nothing unless awaited"]
pub struct Call<R: Reply, E: End = Local>(pub(super) E::Call<R>);

impl<R: Reply, E: End> Call<R, E> {
    /// Limits the call to this time, from now. Then it ends with [`RpcError::Deadline`].
    /// [`Duration::MAX`] is no limit.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self(E::limit_call(self.0, Timeout::For(timeout)))
    }

    /// Limits the call to this point in time. Then it ends with [`RpcError::Deadline`].
    pub fn deadline(self, deadline: Instant) -> Self {
        Self(E::limit_call(self.0, Timeout::Until(deadline)))
    }
}

impl<R: Reply> Call<R, Shared> {
    /// Blocks until the reply has come: for the time that the call is limited to, otherwise for
    /// [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) at most.
    ///
    /// # Errors
    /// Every [`RpcError`]. [`RpcError::WouldDeadlock`] in the thread of the binding's waitset, which would
    /// have to receive the reply.
    pub fn wait(self) -> Result<R::Values, RpcError> {
        self.0.wait()
    }
}

impl<R: Reply, E: End> Future for Call<R, E> {
    type Output = Result<R::Values, RpcError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<R: Reply, E: End> fmt::Debug for Call<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// A call under way, in the thread of the binding.
// Two words, like `ReplyToken`, for the same reason.
pub struct LocalCall<R> {
    raw: RawBinding,
    /// Id in the table of calls, which has everything else; `NONE` once the future has completed.
    id: u32,
    reply: PhantomData<fn() -> R>,
}

impl<R> LocalCall<R> {
    pub(super) fn limited(self, timeout: Timeout) -> Self {
        let old = {
            let io = &mut *self.raw.shell().io.borrow_mut();
            io.connection.calls().limit(self.id, timeout.end())
        };
        if let Some(old) = old {
            old.cancel();
        }
        self
    }
}

impl<R: Reply> Future for LocalCall<R> {
    type Output = Result<R::Values, RpcError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A future that is polled after it completed stays pending.
        if self.id == NONE || self.raw.shell().poll_call(self.id, cx.waker()).is_pending() {
            return Poll::Pending;
        }
        let id = core::mem::replace(&mut self.id, NONE);
        // The last expression, so that the values are written to where the caller wants them.
        Poll::Ready(self.raw.shell().take(id, R::Response::returned))
    }
}

impl Shell {
    /// Makes progress with an asynchronous call, until its result can be taken.
    #[inline]
    fn poll_call(&self, id: u32, waker: &Waker) -> Poll<()> {
        let (polled, watch) = {
            let io = &mut *self.io.borrow_mut();
            io.connection.poll_call(id, waker, |number, words| io.channel.send_now(number, words))
        };
        if watch {
            self.watch_call(id, waker);
        }
        match polled {
            Polled::Done => Poll::Ready(()),
            Polled::Accepted => Poll::Pending,
            Polled::Waiting => self.poll_slowly(id, waker),
        }
    }

    #[cold]
    fn watch_call(&self, id: u32, waker: &Waker) {
        // To copy, to wake or to drop a waker is user code: nothing is borrowed.
        let copy = waker.clone();
        let watched = self.io.borrow_mut().connection.calls().watch(id, copy);
        match watched {
            Watched::Kept(old) => drop(old),
            Watched::Settled(waker) => waker.wake(),
        }
    }

    /// Polls a call that has to wait in a line, has a deadline, or does not fit into the channel at once.
    #[inline(never)]
    fn poll_slowly(&self, id: u32, waker: &Waker) -> Poll<()> {
        let mut waits = self.take_waits(id).map_or_else(Waits::default, |waits| *waits);
        // A call whose time is over before it is sent is not sent.
        if waits.end.is_some_and(|end| Instant::now() >= end) && self.is_call_waiting(id) {
            self.io.borrow_mut().connection.fail_call(id, RpcError::Deadline);
            self.run_events();
        }
        if matches!(self.rule_of(&waits), Rule::Send | Rule::Refuse) {
            self.send_call(id);
        }
        // The call may have been lost at once, with its capabilities.
        if self.is_call_done(id) {
            self.wait_no_more(waits);
            return Poll::Ready(());
        }
        if !self.is_call_waiting(id) {
            self.stop_waiting(&mut waits);
        } else if self.rule_of(&waits) == Rule::WaitForPlace {
            self.leave(Line::Slot, &mut waits.turn);
            self.wait_in(Line::Place, &mut waits.place, waker);
        } else {
            self.wait_in(Line::Slot, &mut waits.turn, waker);
        }
        if let (Some(end), None, Some(waitset)) = (waits.end, &waits.timer, self.waitset()) {
            waits.timer = Some(self.watch_the_clock(id, end, &waitset));
        }
        self.io.borrow_mut().connection.calls().put_waits(id, waits);
        Poll::Pending
    }

    /// Sends a call, if it still waits to be sent.
    fn send_call(&self, id: u32) {
        let request = self.io.borrow_mut().connection.calls().take_request(id);
        let Some(mut request) = request else { return };
        let number = request.number;
        let (words, caps) = request.parts();
        let accepted = self.accept(number, Gather::words_only(words), caps);
        let error = match accepted {
            Err(error) => self.call_error(error),
            Ok(_) => return self.io.borrow_mut().connection.calls().accepted(id),
        };
        let calls = &mut *self.io.borrow_mut();
        let connection = &mut calls.connection;
        let waker = match error {
            RpcError::Tx(TxError::Busy) => {
                connection.calls().put_request(id, request);
                None
            }
            // The binding is about to end, and knows why only then.
            RpcError::Tx(TxError::Closed) => {
                connection.calls().doom(id);
                None
            }
            error => connection.calls().refuse(id, error),
        };
        drop(waker);
    }

    fn is_call_waiting(&self, id: u32) -> bool {
        self.io.borrow_mut().connection.calls().is_waiting(id)
    }

    /// Returns the rule for a call.
    fn rule_of(&self, waits: &Waits<Timer>) -> Rule {
        let Waits { place, turn, .. } = waits;
        self.io.borrow().connection.rule(Sender::Call { place, turn })
    }

    /// Returns a timer that ends a call at `end`.
    fn watch_the_clock(&self, id: u32, end: Instant, waitset: &Waitset) -> Timer {
        let shell = Weak::clone(&self.myself);
        let left = end.saturating_duration_since(Instant::now());
        waitset.after(left, move |_| {
            if let Some(shell) = shell.upgrade() {
                shell.expire(id);
            }
            Ok(())
        })
    }

    /// Starts to count ticks, for calls with the default timeout.
    #[cold]
    fn start_ticking(&self) {
        if let Some(waitset) = self.waitset()
            && !self.has_ended()
        {
            self.tick_from(&waitset);
        }
    }

    fn tick_from(&self, waitset: &Waitset) {
        let shell = Weak::clone(&self.myself);
        let timer = waitset.after(DEFAULT_TIMEOUT / TICKS, move |waitset| {
            if let Some(shell) = shell.upgrade() {
                let (late, others) = shell.io.borrow_mut().connection.calls().tick();
                if others && !shell.has_ended() {
                    shell.tick_from(waitset);
                } else {
                    shell.stop_ticking();
                }
                // Last, because a task that is woken may make a call, which needs ticks again.
                late.into_iter().for_each(|id| shell.expire(id));
            }
            Ok(())
        });
        self.io.borrow_mut().connection.calls().start_ticking();
        if let Some(old) = self.own.ticker.replace(Some(timer)) {
            old.cancel();
        }
    }

    /// Stops counting ticks.
    pub(super) fn stop_ticking(&self) {
        self.io.borrow_mut().connection.calls().stop_ticking();
        if let Some(old) = self.own.ticker.take() {
            old.cancel();
        }
    }

    /// Moves the timers of calls to another waitset.
    pub(super) fn calls_moved(&self, waitset: &Waitset) {
        let (is_ticking, timed) = {
            let io = &mut *self.io.borrow_mut();
            let calls = io.connection.calls();
            (calls.is_ticking(), calls.timed())
        };
        if is_ticking {
            self.tick_from(waitset);
        }
        for (id, end) in timed {
            let timer = self.watch_the_clock(id, end, waitset);
            let old = self.io.borrow_mut().connection.calls().watch_by(id, timer);
            if let Some(old) = old {
                old.cancel();
            }
        }
    }

    /// Takes a call out of the lines that it waits in.
    fn stop_waiting(&self, waits: &mut Waits<Timer>) {
        self.leave(Line::Slot, &mut waits.turn);
        self.leave(Line::Place, &mut waits.place);
    }

    /// Ends everything that a call waits for.
    #[cold]
    fn wait_no_more(&self, mut waits: Waits<Timer>) {
        self.stop_waiting(&mut waits);
        if let Some(timer) = waits.timer {
            timer.cancel();
        }
    }
}

impl<R> Drop for LocalCall<R> {
    #[inline]
    fn drop(&mut self) {
        if self.id != NONE {
            self.raw.shell().give_up(self.id);
        }
    }
}
