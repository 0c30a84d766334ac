//! Calls that wait for their replies, matched by id.

use core::cell::{Cell, OnceCell, RefCell};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;
use std::time::Instant;

use crate::binding::shared::Home;
use crate::binding::{BindingError, Core, Endpoint, Owned, Received, RpcError, TxError, TxState};
use crate::cap::Cap;
use crate::waitset::{DispatchError, Source, Waitset};
use crate::wire::{DecodeError, Gather};

/// Words of a reply that are kept without an allocation.
const INLINE: usize = 7;

/// The calls of one end.
#[derive(Default)]
pub(super) struct Calls {
    next: Cell<u32>,
    waiting: RefCell<Vec<Waiting>>,
    /// Has the calls of other threads.
    pub(super) home: OnceCell<Rc<Home>>,
}

struct Waiting {
    id: u32,
    waker: Option<Waker>,
    result: Option<Result<Reply, RpcError>>,
}

/// A reply that has come, until its caller takes it.
pub struct Reply {
    number: u16,
    inline: [u64; INLINE],
    len: usize,
    large: Vec<u64>,
    caps: Vec<Cap>,
}

impl Reply {
    fn new(message: Received<'_>) -> Self {
        let (mut inline, mut large) = ([0; INLINE], Vec::new());
        let len = message.words.len();
        match inline.get_mut(..len) {
            Some(inline) => inline.copy_from_slice(message.words),
            None => large = message.words.to_vec(),
        }
        Self { number: message.number, inline, len, large, caps: core::mem::take(message.caps) }
    }

    pub(super) fn lend(&mut self) -> Received<'_> {
        let words = if self.len <= INLINE { &self.inline[..self.len] } else { &self.large };
        Received { number: self.number, words, caps: &mut self.caps }
    }
}

impl Calls {
    pub(super) fn next_id(&self) -> u32 {
        let id = self.next.get().wrapping_add(1);
        self.next.set(id);
        id
    }

    fn begin(&self, id: u32) {
        self.waiting.borrow_mut().push(Waiting { id, waker: None, result: None });
    }

    fn with<T>(&self, id: u32, f: impl FnOnce(&mut Waiting) -> T) -> Option<T> {
        self.waiting.borrow_mut().iter_mut().find(|waiting| waiting.id == id).map(f)
    }

    fn is_done(&self, id: u32) -> bool {
        self.with(id, |waiting| waiting.result.is_some()).unwrap_or(true)
    }

    /// Settles a call; a reply to a call that nobody waits for is discarded.
    fn settle(&self, id: u32, result: Result<Reply, RpcError>) {
        let mut result = Some(result);
        let waker = self.with(id, |waiting| {
            waiting.result = waiting.result.take().or(result.take());
            waiting.waker.take()
        });
        if let Some(Some(waker)) = waker {
            waker.wake();
        }
        if let (Some(home), Some(result)) = (self.home.get(), result) {
            home.settle(id, result);
        }
    }

    pub(super) fn fail(&self, id: u32, error: RpcError) {
        self.settle(id, Err(error));
    }

    /// The binding has ended: settles every call with that, and returns the wakers of those of this thread.
    pub(super) fn fail_all(&self, why: &BindingError) -> Vec<Waker> {
        if let Some(home) = self.home.get() {
            home.end(why);
        }
        let error = RpcError::Closed(why.clone());
        let mut waiting = self.waiting.borrow_mut();
        let failed = waiting.iter_mut().filter(|waiting| waiting.result.is_none());
        failed
            .filter_map(|waiting| {
                waiting.result = Some(Err(error.clone()));
                waiting.waker.take()
            })
            .collect()
    }

    fn take(&self, id: u32) -> Option<Result<Reply, RpcError>> {
        let mut waiting = self.waiting.borrow_mut();
        let at = waiting.iter().position(|waiting| waiting.id == id)?;
        waiting.swap_remove(at).result
    }
}

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
}

/// Forgets a call that is given up.
struct Forget<'a>(&'a Calls, u32);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        drop(self.0.take(self.1));
    }
}

impl Endpoint {
    /// An id for the next call.
    #[doc(hidden)]
    #[must_use]
    pub fn next_call(&self) -> u32 {
        self.0.calls.next_id()
    }

    /// Hands a reply to the call that waits for it. Used by generated code.
    #[doc(hidden)]
    pub fn answer(&self, id: u32, message: Received<'_>) {
        self.0.calls.settle(id, Ok(Reply::new(message)));
    }

    /// Makes a call and blocks until its reply has come, visiting only this binding (and, if the service is in the same
    /// thread, whatever it takes to have it answer). Used by generated code.
    ///
    /// # Errors
    /// [`RpcError`].
    #[doc(hidden)]
    pub fn call<T>(
        &self,
        id: u32,
        procedure: Procedure,
        fixed: &[u64],
        tails: &[&[u8]],
        mut caps: Vec<Cap>,
        decode: fn(Received<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, RpcError> {
        let core = &*self.0;
        let way = core.way()?;
        let Procedure { call, response, id: at } = procedure;
        let accepted =
            tails.is_empty() && caps.is_empty() && core.accept_now(call, fixed).is_some();
        core.calls.begin(id);
        let _forget = Forget(&core.calls, id);
        if !accepted {
            // It may be lost again at once, with its capabilities: then the call fails, which has to be known.
            core.accept_call(&way, call, Gather { fixed, tails }, &mut caps)?;
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
        let done = || is_decoded.get() || core.calls.is_done(id);
        core.wait_until(&way, None, &mut || core.turn_unless(taken), &done)?;
        match decoded.take() {
            Some(result) => result.map_err(|error| core.bad_reply(response, error)),
            None => core.finish(id, decode),
        }
    }

    /// Makes a call; the future gives its result. Used by generated code.
    #[doc(hidden)]
    pub fn call_async<T>(
        &self,
        id: u32,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Vec<Cap>,
        decode: fn(Received<'_>) -> Result<T, DecodeError>,
    ) -> Call<T> {
        self.0.calls.begin(id);
        let body = Gather { fixed, tails };
        let mut words = vec![0; body.len()];
        body.reader(0).read(&mut words);
        let cap_count = caps.len();
        let request = Some(Owned { number, words, caps, cap_count });
        Call(State::Waiting { endpoint: self.clone(), id, request, decode })
    }
}

impl Core {
    /// How a blocking call can wait, if it can.
    fn way(&self) -> Result<Way, RpcError> {
        let Some(waitset) = self.waitset() else { return Err(self.call_error(TxError::Closed)) };
        let twin = self.twin.borrow().upgrade();
        if self.is_delivering() || twin.as_ref().is_some_and(|twin| twin.is_delivering()) {
            return Err(RpcError::WouldDeadlock);
        }
        Ok(Way { waitset, twin })
    }

    /// Sends a call, waiting for the slot if that is taken.
    #[cold]
    fn accept_call(
        &self,
        way: &Way,
        number: u16,
        body: Gather<'_>,
        caps: &mut Vec<Cap>,
    ) -> Result<(), RpcError> {
        loop {
            match self.accept(number, body, caps) {
                Ok(_) => return Ok(()),
                Err(TxError::Busy) => {
                    let free = || self.io.borrow().state != TxState::Sending;
                    self.wait_until(way, None, &mut || self.turn(), &free)?;
                }
                Err(error) => return Err(self.call_error(error)),
            }
        }
    }

    /// Blocks until `done`, with `turn` for the turns of this binding.
    fn wait_until(
        &self,
        way: &Way,
        deadline: Option<Instant>,
        turn: &mut dyn FnMut() -> bool,
        done: &dyn Fn() -> bool,
    ) -> Result<(), RpcError> {
        let result = match &way.twin {
            None => way.waitset.wait_for(self.token.get(), self, deadline, turn, done),
            Some(twin) => self.wait_with_twin(twin, deadline, done),
        };
        result.map_err(|error| match error {
            DispatchError::Deadline => RpcError::Deadline,
            DispatchError::Os(error) => RpcError::Os(error.raw_os_error().unwrap_or(0)),
            DispatchError::Callback(error) => {
                tracing::error!(%error, "a callback failed during a blocking call");
                RpcError::Os(0)
            }
        })
    }

    /// Both ends are here: whatever the service needs for its answer is dispatched too.
    fn wait_with_twin(
        &self,
        twin: &Rc<Self>,
        deadline: Option<Instant>,
        done: &dyn Fn() -> bool,
    ) -> Result<(), DispatchError> {
        while !done() {
            let worked = Source::turn(&**twin) | self.turn();
            if worked {
                continue;
            }
            let Some(waitset) = twin.waitset() else { return Ok(()) };
            if !waitset.dispatch_until(deadline, || done() || twin.ready() || self.ready())? {
                return Err(DispatchError::Deadline);
            }
        }
        Ok(())
    }

    /// Whether a handler of this binding is running.
    fn is_delivering(&self) -> bool {
        let receiver = self.receiver.take();
        let absent = receiver.is_none();
        self.receiver.set(receiver);
        absent && self.ended.borrow().is_none()
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
        let Some(result) = self.calls.take(id) else {
            return Err(self.call_error(TxError::Closed));
        };
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
}

/// A call on its way. Dropped before the call was accepted, nothing is sent; after that, the reply is discarded.
#[must_use = "a call does nothing unless awaited"]
pub struct Call<T>(State<T>);

enum State<T> {
    Failed(Option<RpcError>),
    Waiting {
        endpoint: Endpoint,
        id: u32,
        /// The message, until it is accepted.
        request: Option<Owned>,
        decode: fn(Received<'_>) -> Result<T, DecodeError>,
    },
}

impl<T> Call<T> {
    /// One that failed before it began.
    #[doc(hidden)]
    pub const fn failed(error: RpcError) -> Self {
        Self(State::Failed(Some(error)))
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T, RpcError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let State::Waiting { endpoint, id, request, decode } = &mut self.0 else {
            let State::Failed(error) = &mut self.0 else { return Poll::Pending };
            return error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
        };
        let core = Rc::clone(&endpoint.0);
        if let Some(owned) = request {
            match core.accept(owned.number, Gather::words_only(&owned.words), &mut owned.caps) {
                Ok(_) => *request = None,
                Err(TxError::Busy) => {
                    core.io.borrow_mut().wakers.push(cx.waker().clone());
                    return Poll::Pending;
                }
                Err(error) => {
                    drop(core.calls.take(*id));
                    let error = core.call_error(error);
                    self.0 = State::Failed(None);
                    return Poll::Ready(Err(error));
                }
            }
        }
        if !core.calls.is_done(*id) {
            core.calls.with(*id, |waiting| waiting.waker = Some(cx.waker().clone()));
            return Poll::Pending;
        }
        let result = core.finish(*id, *decode);
        self.0 = State::Failed(None);
        Poll::Ready(result)
    }
}

impl<T> Unpin for Call<T> {}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        if let State::Waiting { endpoint, id, .. } = &self.0 {
            drop(endpoint.0.calls.take(*id));
        }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}
