//! Calls: blocking, and as futures.

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

use crate::binding::calls::{GivenUp, Left, Limit, NONE, Polled, TICKS, Waits};
use crate::binding::notice::Notice;
use crate::binding::{Core, RawBinding, Received, RpcError, TxError, TxState};
use crate::cap::Cap;
use crate::waitset::{DEFAULT_TIMEOUT, DispatchError, Source, Timeout, Timer, Waitset};
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
    timeout: Timeout,
}

/// What reads a reply, and keeps what is in it.
type Read<'a> = &'a mut dyn FnMut(Received<'_>) -> Result<(), DecodeError>;

/// Gives up a call that ends without a result.
struct GiveUp<'a>(&'a Core, u32);

impl Drop for GiveUp<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.give_up(self.1);
    }
}

impl RawBinding {
    /// An id for the next call.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn next_call(&self) -> u32 {
        self.0.calls.next()
    }

    /// Hands a reply, whose record has so many words and the number of the call at byte `at`, to the call that waits for
    /// it. Used by generated code.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    #[doc(hidden)]
    pub fn answer(
        &self,
        message: Received<'_>,
        at: usize,
        words: usize,
    ) -> Result<(), DecodeError> {
        let have = message.words.len();
        match message.id_at(at) {
            Some(id) if have >= words => {
                self.0.calls.answer(id, message);
                Ok(())
            }
            _ => Err(DecodeError::Short { need: words, have }),
        }
    }

    /// Makes a call and blocks until its reply has come, visiting only this binding (and, if the service is in the same
    /// thread, whatever it takes to have it answer). Used by generated code.
    ///
    /// # Errors
    /// [`RpcError`].
    #[doc(hidden)]
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
        self.0.call(id, procedure, body, caps, timeout, &mut |reply| {
            values = Some(R::decode(reply)?);
            Ok(())
        })?;
        Ok(values.expect("a call that succeeds has read its reply"))
    }

    /// Makes a call; the future gives its result. Used by generated code.
    #[doc(hidden)]
    #[inline]
    pub fn call_async<R>(
        &self,
        id: u32,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Vec<Cap>,
        timeout: Timeout,
    ) -> Call<R> {
        let limit = match timeout {
            Timeout::Default => {
                if self.0.calls.must_tick() {
                    self.0.start_ticking();
                }
                Limit::Usual
            }
            limited => Limit::At(limited.end()),
        };
        self.0.calls.begin_with(id, number, Gather { fixed, tails }, caps, limit);
        Call { raw: self.clone(), id, reply: PhantomData }
    }

    /// A call that cannot be made. Used by generated code.
    #[doc(hidden)]
    #[cold]
    pub fn call_failed<R>(&self, id: u32, error: RpcError) -> Call<R> {
        self.0.calls.fail_at_once(id, error);
        Call { raw: self.clone(), id, reply: PhantomData }
    }
}

impl Core {
    /// As [`RawBinding::call`], with what reads the reply.
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
        self.calls.begin(id, now);
        let give_up = GiveUp(self, id);
        if !now {
            // It may be lost again at once, with its capabilities: then the call fails, which has to be known.
            self.accept_call(&mut way, call, body, &mut caps)?;
            self.calls.accepted(id);
        }
        let (is_read, failed) = (Cell::new(false), Cell::new(None));
        // The reply is read where it lies, if it comes while this waits and goes the quick way; else it comes by `answer`.
        let mut turn = || {
            self.turn_unless(|reply| {
                let ours = reply.number == response && reply.id_at(at) == Some(id);
                if ours {
                    is_read.set(true);
                    failed.set(read(reply).err());
                }
                ours
            })
        };
        let is_answered = || is_read.get() || self.calls.is_done(id);
        // Nobody takes messages out of the inbox while this thread waits here.
        let done = || is_answered() || self.is_mail_full();
        self.wait_until(&way, &mut turn, &done)?;
        if !is_answered() {
            return Err(RpcError::WouldDeadlock);
        }
        if is_read.get() {
            core::mem::forget(give_up);
            self.calls.free(id);
            return failed.take().map_or(Ok(()), |error| Err(self.bad_reply(response, error)));
        }
        self.take(id, read)
    }

    /// How a blocking call can wait, if it can.
    fn way(&self, timeout: Timeout) -> Result<Way, RpcError> {
        let Some(waitset) = self.waitset() else { return Err(self.call_error(TxError::Closed)) };
        let twin = self.twin.borrow().upgrade();
        let twin_delivers = twin.as_ref().is_some_and(|twin| twin.is_delivering());
        if self.is_delivering() || twin_delivers || self.is_mail_full() {
            return Err(RpcError::WouldDeadlock);
        }
        if timeout.is_over() {
            return Err(RpcError::Deadline);
        }
        Ok(Way { waitset, twin, timeout })
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
                    if let Some(end) = way.timeout.end_of_blocking() {
                        way.timeout = Timeout::Until(end);
                    }
                    let free = || self.io.borrow().state != TxState::Sending;
                    self.wait_until(way, &mut || self.turn(), &free)?;
                    if way.timeout.is_over() {
                        return Err(RpcError::Deadline);
                    }
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
            None => way.waitset.wait_for(self.token.get(), self, way.timeout, turn, done),
            Some(twin) => self.wait_with_twin(twin, way.timeout, done),
        };
        result.map_err(|error| match error {
            DispatchError::Os(error) => RpcError::Os(error.raw_os_error().unwrap_or(0)),
            _ => RpcError::Deadline,
        })
    }

    /// Both ends are here: whatever the service needs for its answer is dispatched too.
    pub(super) fn wait_with_twin(
        &self,
        twin: &Rc<Self>,
        timeout: Timeout,
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
            let deadline = *deadline.get_or_insert_with(|| timeout.end_of_blocking());
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
                    tracing::error!(?error, "a callback failed during a blocking call");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether a handler of this binding is running.
    pub(super) fn is_delivering(&self) -> bool {
        let receiver = self.receiver.take();
        let absent = receiver.is_none();
        self.receiver.set(receiver);
        absent && !self.has_ended()
    }

    fn call_error(&self, error: TxError) -> RpcError {
        match (error, &*self.ended.borrow()) {
            (TxError::Closed, Some(why)) => RpcError::Closed(why.clone()),
            (error, _) => RpcError::Tx(error),
        }
    }

    /// Takes what came of a call that is done.
    #[inline]
    fn take<T>(
        &self,
        id: u32,
        decode: impl FnOnce(Received<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, RpcError> {
        // Not under a borrow: types of the user are made of it.
        let (decoded, number) = if let Some(line) = self.calls.take_line(id) {
            let (number, words) = (line.number, &line.words[..line.len]);
            // Readers take out and put nothing in, so that there is nothing to be dropped: the compiler does not know.
            let mut caps = ManuallyDrop::new(Vec::new());
            (decode(Received { number, words, caps: &mut caps }), number)
        } else {
            if let Some(waits) = self.calls.take_waits(id) {
                self.wait_no_more(*waits);
            }
            match self.calls.take(id) {
                Some(Ok(mut reply)) => (decode(reply.lend()), reply.number),
                Some(Err(error)) => return Err(error),
                None => return Err(self.call_error(TxError::Closed)),
            }
        };
        match decoded {
            Ok(value) => Ok(value),
            Err(error) => Err(self.bad_reply(number, error)),
        }
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
        let GivenUp { left, waits } = self.calls.forget(id);
        if let Some(waits) = waits {
            self.wait_no_more(*waits);
        }
        if left == Left::Accepted {
            self.tell_peer(Notice::Cancelled(id));
        }
    }

    /// The deadline of a call has passed.
    fn expire(&self, id: u32) {
        if self.calls.fail(id, RpcError::Deadline) == Left::Accepted {
            self.tell_peer(Notice::Cancelled(id));
        }
    }
}

/// Turns of a binding without the reply between two looks at the clock.
const TURNS_PER_LOOK: usize = 64;

/// The reply to one rpc: what generated reply types stand for.
pub trait Reply {
    /// The results of the rpc: a value, or a tuple of them in order.
    type Values;

    /// Reads a message. That it is the reply to this call, and not to another one, is for the peer to claim and for this to
    /// check.
    ///
    /// # Errors
    /// If it is not.
    #[doc(hidden)]
    fn decode(message: Received<'_>) -> Result<Self::Values, DecodeError>;
}

/// A call on its way, which gives what the reply `R` brings: with `rpc add(in uint32 a, in uint32 b, out uint32 sum)`,
/// `client.add_async(1, 2)` is a `Call<AddReply>`, and its output a `Result<u32, RpcError>`.
///
/// Dropped before the call was accepted, nothing is sent; after that, the service is told that nobody waits any more, and a
/// reply that comes all the same is discarded.
// Two words, as a reply: see there.
#[must_use = "a call does nothing unless awaited"]
pub struct Call<R> {
    raw: RawBinding,
    /// Where it stands in the table, which has the rest; `NONE` once it was ready.
    id: u32,
    reply: PhantomData<fn() -> R>,
}

impl<R> Call<R> {
    /// Ends the call with [`RpcError::Deadline`] if it is not done after this time, which begins now.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.limited(Instant::now().checked_add(timeout))
    }

    /// Ends the call with [`RpcError::Deadline`] if it is not done at this time.
    pub fn deadline(self, deadline: Instant) -> Self {
        self.limited(Some(deadline))
    }

    fn limited(self, limit: Option<Instant>) -> Self {
        if let Some(old) = self.raw.0.calls.limit(self.id, limit) {
            old.cancel();
        }
        self
    }
}

impl<R: Reply> Future for Call<R> {
    type Output = Result<R::Values, RpcError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Polled again after it was ready, it stays pending.
        if self.id == NONE || self.raw.0.poll_call(self.id, cx.waker()).is_pending() {
            return Poll::Pending;
        }
        let id = core::mem::replace(&mut self.id, NONE);
        // Nothing comes behind this, so that the values go where the caller wants them.
        Poll::Ready(self.raw.0.take(id, R::decode))
    }
}

impl Core {
    /// Gets on with an asynchronous call, until its result can be taken.
    #[inline]
    fn poll_call(&self, id: u32, waker: &Waker) -> Poll<()> {
        let send =
            |number, words: &[u64]| self.calls.window.is_free() && self.accept_first(number, words);
        match self.calls.poll(id, waker, send) {
            Polled::Done => Poll::Ready(()),
            Polled::Accepted => Poll::Pending,
            Polled::Waiting => self.poll_slowly(id, waker),
        }
    }

    /// Where there is more to be done than to send what fits at once, or to wait.
    #[inline(never)]
    fn poll_slowly(&self, id: u32, waker: &Waker) -> Poll<()> {
        let mut waits = self.calls.take_waits(id).map_or_else(Waits::default, |waits| *waits);
        let window = &self.calls.window;
        // A call whose time is over before it is sent is not sent.
        if waits.end.is_some_and(|end| Instant::now() >= end) && self.calls.is_waiting(id) {
            self.calls.fail(id, RpcError::Deadline);
        }
        if self.may_send(&waits)
            && let Some(mut request) = self.calls.take_request(id)
        {
            let number = request.number;
            let (words, caps) = request.parts();
            match self.accept(number, Gather::words_only(words), caps) {
                Ok(_) => self.calls.accepted(id),
                Err(TxError::Busy) => self.calls.put_request(id, request),
                Err(TxError::Closed) if !self.has_ended() => self.calls.doom(id),
                Err(error) => self.calls.refuse(id, self.call_error(error)),
            }
        }
        // It may have been lost again at once.
        if self.calls.is_done(id) {
            self.wait_no_more(waits);
            return Poll::Ready(());
        }
        if !self.calls.is_waiting(id) {
            self.stop_waiting(&mut waits);
        } else if window.is_open(&waits.place) {
            self.wait_for_turn(&mut waits.ticket, waker);
        } else {
            self.leave(&mut waits.ticket);
            window.wait(&mut waits.place, waker, &self.myself);
        }
        if let (Some(end), None, Some(waitset)) = (waits.end, &waits.timer, self.waitset()) {
            waits.timer = Some(self.watch_the_clock(id, end, &waitset));
        }
        self.calls.put_waits(id, waits);
        Poll::Pending
    }

    /// Ends a call at this time.
    fn watch_the_clock(&self, id: u32, end: Instant, waitset: &Waitset) -> Timer {
        let core = Weak::clone(&self.myself);
        let left = end.saturating_duration_since(Instant::now());
        waitset.after(left, move |_| {
            if let Some(core) = core.upgrade() {
                core.expire(id);
            }
            Ok(())
        })
    }

    /// Counts ticks while there are calls that have the usual time.
    #[cold]
    fn start_ticking(&self) {
        if let Some(waitset) = self.waitset()
            && !self.has_ended()
        {
            self.tick_from(&waitset);
        }
    }

    fn tick_from(&self, waitset: &Waitset) {
        let core = Weak::clone(&self.myself);
        let timer = waitset.after(DEFAULT_TIMEOUT / TICKS, move |waitset| {
            if let Some(core) = core.upgrade() {
                let (late, others) = core.calls.tick();
                if others && !core.has_ended() {
                    core.tick_from(waitset);
                } else {
                    core.calls.stop_ticking();
                }
                // Last, because who is woken may make a call, which needs ticks again.
                late.into_iter().for_each(|id| core.expire(id));
            }
            Ok(())
        });
        self.calls.tick_by(timer);
    }

    /// The binding has another waitset, which watches the clock from here on.
    pub(super) fn calls_moved(&self, waitset: &Waitset) {
        if self.calls.is_ticking() {
            self.tick_from(waitset);
        }
        for (id, end) in self.calls.timed() {
            let timer = self.watch_the_clock(id, end, waitset);
            if let Some(old) = self.calls.watch_by(id, timer) {
                old.cancel();
            }
        }
    }

    /// Whether a call has its place and its turn.
    fn may_send(&self, waits: &Waits) -> bool {
        self.calls.window.is_open(&waits.place) && self.is_turn_of(&waits.ticket)
    }

    /// A call does not wait for its turn any more.
    fn stop_waiting(&self, waits: &mut Waits) {
        self.leave(&mut waits.ticket);
        self.calls.window.leave(&mut waits.place);
    }

    /// A call has nothing to wait for any more.
    #[cold]
    fn wait_no_more(&self, mut waits: Waits) {
        self.stop_waiting(&mut waits);
        if let Some(timer) = waits.timer {
            timer.cancel();
        }
    }
}

impl<R> Drop for Call<R> {
    #[inline]
    fn drop(&mut self) {
        if self.id != NONE {
            self.raw.0.give_up(self.id);
        }
    }
}

impl<R> fmt::Debug for Call<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}
