//! Messages that are sent once the binding accepts them.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::time::Instant;

use crate::binding::connection::{Line, Message, Position, Rule, Sender};
use crate::binding::end::{End, Local, Shared};
use crate::binding::shell::Shell;
use crate::binding::threading::{Lock, Threading};
use crate::binding::{RawBinding, Rejected, Sent, Timeout, TxError};
use crate::cap::Cap;
use crate::errno::Errno;
use crate::wire::Gather;

/// A message for a binding that may be busy: a future that completes when the binding has accepted the message.
///
/// Nothing is sent before the future is awaited or [waited for](Self::wait). A future that is dropped before it completes
/// sends nothing, and closes the capabilities that it would have moved. Messages that wait are accepted in order.
///
/// Of a [`Shared`] end the future is `Send`, and an accepted message is sent even if the last handle is dropped or the
/// thread of the binding ends. If its capabilities may not leave this domain, the error handler of the binding gets the
/// error.
#[must_use = "nothing is sent before `.await` or `wait`"]
pub struct Sending<'a, E: End = Local> {
    raw: &'a E::Raw,
    state: E::Sending<'a>,
    timeout: Timeout,
    alarm: E::Alarm,
}

impl<'a, E: End> Sending<'a, E> {
    pub(super) fn new(raw: &'a E::Raw, body: SendBody<'a>) -> Self {
        let state = E::sending(raw, body);
        Self { raw, state, timeout: Timeout::Default, alarm: E::Alarm::default() }
    }

    /// Limits the wait to this time, from now. Then it ends with [`TxError::Busy`], and the message is not sent.
    /// [`Duration::MAX`] is no limit.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.limited(Timeout::For(timeout))
    }

    /// Limits the wait to this point in time. Then it ends with [`TxError::Busy`], and the message is not sent.
    pub fn deadline(self, deadline: Instant) -> Self {
        self.limited(Timeout::Until(deadline))
    }

    fn limited(mut self, timeout: Timeout) -> Self {
        self.timeout = timeout.beginning_now();
        self
    }

    /// Blocks until the binding has accepted the message, at most for [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) unless
    /// limited otherwise. In the thread of the binding, only this binding is served meanwhile.
    ///
    /// # Errors
    /// [`TxError::Busy`] if time runs out, and through a [`Shared`] end in the thread of the binding's waitset, which would
    /// have to make the room. [`TxError::Closed`] if the binding has ended. [`TxError::TooLong`], [`TxError::CapCopy`] and
    /// [`TxError::CapsRefused`] for the arguments.
    pub fn wait(mut self) -> Result<(), TxError> {
        self.block()
    }

    fn block(&mut self) -> Result<(), TxError> {
        match E::poll_sending(&mut self.state, None) {
            Err(TxError::Busy) => {}
            done => return done,
        }
        let (raw, timeout) = (self.raw, self.timeout);
        // The thread checks the deadline itself.
        self.timeout = Timeout::Default;
        E::block_on(raw, self, timeout).unwrap_or(Err(TxError::Busy))
    }
}

impl<'a, E: End> Sending<'a, E> {
    /// Returns a message whose error returns what it would have given away, put together by `back`. Used by generated code.
    pub fn giving<T>(
        self,
        back: impl FnOnce(&mut [Option<Cap>]) -> T + Send + 'a,
    ) -> SendingCaps<'a, E, T> {
        SendingCaps { sending: self, back: Some(Box::new(back)) }
    }
}

impl<'a> Sending<'a, Shared> {
    /// Returns a future that completes when the channel has taken the whole message. From then on, the
    /// message arrives whatever happens to this process.
    pub fn sent(mut self) -> Sent<'a, Shared> {
        let state = core::mem::take(&mut self.state);
        Sent::of(state.sent())
    }
}

impl<E: End> Future for Sending<'_, E> {
    type Output = Result<(), TxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let done = E::poll_sending(&mut this.state, Some(cx.waker()));
        if done != Err(TxError::Busy) {
            E::clear_alarm(this.raw, &mut this.alarm);
            return Poll::Ready(done);
        }
        if let Some(end) = this.timeout.end() {
            if Instant::now() >= end {
                E::clear_alarm(this.raw, &mut this.alarm);
                return Poll::Ready(Err(TxError::Busy));
            }
            E::set_alarm(this.raw, &mut this.alarm, end, cx.waker());
        }
        Poll::Pending
    }
}

impl<E: End> Drop for Sending<'_, E> {
    fn drop(&mut self) {
        E::clear_alarm(self.raw, &mut self.alarm);
    }
}

impl<E: End> fmt::Debug for Sending<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

/// A message with capabilities that are given away, for a binding that may be busy: a [`Sending`] whose error returns them.
#[must_use = "nothing is sent before `.await` or `wait`"]
pub struct SendingCaps<'a, E: End, T> {
    sending: Sending<'a, E>,
    /// Puts together what is given back, from what was kept and the capabilities of the message.
    back: Option<Box<GiveBack<'a, T>>>,
}

/// Returns what would have been given away with these capabilities.
type GiveBack<'a, T> = dyn FnOnce(&mut [Option<Cap>]) -> T + Send + 'a;

impl<'a, E: End, T> SendingCaps<'a, E, T> {
    /// Limits the wait to this time, from now: [`Sending::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.sending.timeout = Timeout::For(timeout).beginning_now();
        self
    }

    /// Limits the wait to this point in time: [`Sending::deadline`].
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.sending.timeout = Timeout::Until(deadline);
        self
    }

    /// Blocks until the binding has accepted the message: [`Sending::wait`].
    ///
    /// # Errors
    /// Those of [`Sending::wait`], with what would have been given away.
    pub fn wait(mut self) -> Result<(), Rejected<T>> {
        let result = self.sending.block();
        self.give_back(result)
    }

    /// # Panics
    /// If a future that has failed is polled again.
    fn give_back(&mut self, result: Result<(), TxError>) -> Result<(), Rejected<T>> {
        let Err(error) = result else { return Ok(()) };
        let caps = E::take_caps(&mut self.sending.state);
        let mut caps: Vec<_> = caps.into_iter().map(Some).collect();
        let back = self.back.take().expect("a future that has failed is not polled again");
        Err(Rejected { error, given: back(&mut caps) })
    }
}

impl<E: End, T> Future for SendingCaps<'_, E, T> {
    type Output = Result<(), Rejected<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.sending).poll(cx) {
            Poll::Ready(result) => Poll::Ready(self.give_back(result)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<E: End, T> fmt::Debug for SendingCaps<'_, E, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendingCaps").finish_non_exhaustive()
    }
}

/// What a [`Sending`] sends.
pub enum SendBody<'a> {
    /// The arguments are refused.
    Failed(TxError),
    /// A capability cannot be copied: the peer has to learn that a message was lost.
    Missed(Errno),
    /// The message.
    Message(Message),
    /// A message that is large, and is not copied before there is room for it.
    Attempt(Box<Attempt<'a>>),
}

/// Tries to send a message.
type Attempt<'a> = dyn FnMut(&RawBinding) -> Result<(), TxError> + 'a;

/// A message that waits for the slot of its binding, in the thread of the binding.
pub struct LocalSending<'a> {
    raw: &'a RawBinding,
    position: Position,
    body: SendBody<'a>,
    is_over: bool,
}

impl<'a> LocalSending<'a> {
    pub(super) fn new(raw: &'a RawBinding, body: SendBody<'a>) -> Self {
        Self { raw, position: Position::default(), body, is_over: false }
    }

    pub(super) fn poll(&mut self, waker: Option<&Waker>) -> Result<(), TxError> {
        // A future that is polled after it completed stays pending.
        if self.is_over {
            return Err(TxError::Busy);
        }
        let shell = self.raw.shell();
        if matches!(self.body, SendBody::Failed(_)) || shell.may_try(&self.position) {
            match self.attempt() {
                Err(TxError::Busy) => {}
                done => {
                    self.is_over = true;
                    shell.leave(Line::Slot, &mut self.position);
                    return done;
                }
            }
        }
        if let Some(waker) = waker {
            shell.wait_in(Line::Slot, &mut self.position, waker);
        }
        Err(TxError::Busy)
    }

    fn attempt(&mut self) -> Result<(), TxError> {
        match &mut self.body {
            SendBody::Failed(error) => Err(error.clone()),
            SendBody::Missed(errno) => Err(self.raw.cap_copy((*errno).into())),
            SendBody::Message(message) => {
                let number = message.number;
                let (words, caps) = message.parts();
                if caps.is_empty() {
                    return self.raw.send(number, words, &[]).map(drop);
                }
                self.raw.shell().accept(number, Gather::words_only(words), caps).map(drop)
            }
            SendBody::Attempt(send) => send(self.raw),
        }
    }

    pub(super) fn take_caps(&mut self) -> Vec<Cap> {
        match &mut self.body {
            SendBody::Message(message) => core::mem::take(message.parts().1),
            _ => Vec::new(),
        }
    }
}

impl Drop for LocalSending<'_> {
    fn drop(&mut self) {
        self.raw.shell().leave(Line::Slot, &mut self.position);
    }
}

impl<T: Threading> Shell<T> {
    /// Returns true if it is the turn of a task that waits for the slot, or no turn will come.
    #[inline(always)]
    pub(super) fn may_try(&self, position: &Position) -> bool {
        let rule = self.io.lock().connection.rule(Sender::Waiting(position));
        matches!(rule, Rule::Send | Rule::Refuse)
    }

    /// Waits in a line: `waker` is woken when it is the turn of `position`.
    pub(super) fn wait_in(&self, line: Line, position: &mut Position, waker: &Waker) {
        let before = {
            let connection = &self.io.lock().connection;
            if connection.is_waiting(line, position, waker) {
                return;
            }
            connection.changes(line)
        };
        // To copy or to drop a waker is user code: nothing is borrowed.
        let copy = waker.clone();
        let (old, changes) = {
            let connection = &mut self.io.lock().connection;
            (connection.wait(line, position, copy), connection.changes(line))
        };
        drop(old);
        if changes != before {
            // Its turn may have come meanwhile.
            waker.wake_by_ref();
        }
    }

    /// Leaves a line.
    pub(super) fn leave(&self, line: Line, position: &mut Position) {
        let waker = self.io.lock().connection.leave(line, position);
        drop(waker);
    }
}
