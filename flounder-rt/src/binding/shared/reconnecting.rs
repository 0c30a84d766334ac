//! Ends that get another binding when theirs has ended, so that calls can wait for the service to come back.
//!
//! ```text
//!   call --- connected? --yes--> the queue of the shared binding --- reply
//!              |  ^                  |            '-- the binding ends: may have run. Repeated if the rpc is @idempotent
//!              no |                  '-- refused, as the binding has ended: not sent, so it waits
//!              v  |
//!           waits for `Replacement::replace`, or fails at once
//! ```
//! Nothing here is on the path of a binding of another kind. Who finds the service again is not known here: the monitor does
//! that, and passes each new binding to [`Replacement::replace`].

use core::any::Any;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;

use super::slot::Slot as AnySlot;
use super::{
    Entry, Job, SharedAlarm, SharedCall, SharedEndpoint, SharedSending, SharedSent, Stage, park,
};
use crate::binding::connection::{Message, NoReply};
use crate::binding::end::sealed::End;
use crate::binding::inbox::{Keep, Mail, OnBound, What};
use crate::binding::reply::TokenOf;
use crate::binding::sending::SendBody;
use crate::binding::{
    BindingError, Dispatch, Procedure, Received, RecvError, Reply, RpcError, Sent, Timeout, TxError,
};
use crate::cap::Cap;
use crate::fork::ForkGeneration;
use crate::interface::{Direction, Interface};
use crate::message::MessageValue;
use crate::message::args::Refused;
use crate::message::bulk::BulkEnd;
use crate::peer::Peer;
use crate::waitset::{Priority, Remote};
use crate::wire::{Bulks, DecodeError, Gather};

/// Name of the annotation of rpcs that may run more than once.
const IDEMPOTENT: &str = "idempotent";

/// The end of a binding that is made again when it is lost, for any thread. `connect(..).reconnecting(..)` returns one.
///
/// The process at the other end changes, so that its [`Peer`] is unknown here: `binding.shared().peer()` is the present one.
/// Such an end receives nothing but replies. Messages fail with [`TxError::NotConnected`] while there is no connection, and
/// are not repeated; only rpcs tell that they were received.
#[derive(Debug, Clone, Copy)]
pub struct Reconnecting(());

impl super::super::End for Reconnecting {}

/// What happens to calls that are made while there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    /// They wait for the next connection, until their deadline.
    Wait,
    /// They fail at once with [`TxError::NotConnected`].
    Fail,
}

/// An untyped end that gets other bindings. Every generated `Binding<Reconnecting>` wraps one.
#[derive(Clone)]
pub struct ReconnectingEndpoint(Arc<State>);

/// Gives an end its next binding. Does not keep the end.
#[derive(Debug, Clone)]
pub struct Replacement(Weak<State>);

struct State {
    born: ForkGeneration,
    meanwhile: Meanwhile,
    /// Runs the timers of calls that wait.
    remote: Arc<Remote>,
    unknown: Peer,
    /// The first binding, for what does not change, and for a forked child. Does not keep the binding.
    first: SharedEndpoint,
    connection: Mutex<Connection>,
}

struct Connection {
    /// The last binding, which may have ended.
    endpoint: SharedEndpoint,
    /// Number of the binding, from 1.
    number: u64,
    /// Set by a teardown of this end.
    ended: Option<BindingError>,
    priority: Option<Priority>,
    /// Calls that wait for another binding.
    waiting: HashMap<u64, Waker>,
    last_ticket: u64,
    /// Dropped when the end is torn down, or dropped.
    keeper: Option<Box<dyn Any + Send>>,
}

/// What a call finds.
enum Found {
    /// A binding, and its number.
    Binding(SharedEndpoint, u64),
    /// None: the waker is woken when there is one.
    Nothing,
    Ended(BindingError),
}

impl ReconnectingEndpoint {
    /// Returns an end that has `endpoint` first. `remote` runs timers; `keeper` is dropped when nobody uses the end any more.
    #[must_use]
    pub fn new(
        endpoint: SharedEndpoint,
        meanwhile: Meanwhile,
        remote: Arc<Remote>,
        keeper: Box<dyn Any + Send>,
    ) -> Self {
        let first = endpoint.to_lend();
        let connection = Connection {
            endpoint,
            number: 1,
            ended: None,
            priority: None,
            waiting: HashMap::new(),
            last_ticket: 0,
            keeper: Some(keeper),
        };
        let (born, unknown) = (ForkGeneration::now(), Peer::process(None, None, None));
        let connection = Mutex::new(connection);
        Self(Arc::new(State { born, meanwhile, remote, unknown, first, connection }))
    }

    /// Returns the means to give this end another binding.
    #[must_use]
    pub fn replacement(&self) -> Replacement {
        Replacement(Arc::downgrade(&self.0))
    }

    /// Returns the last binding. In a forked child, `None`: another thread of the parent may have held the lock.
    fn last(&self) -> Option<SharedEndpoint> {
        self.0.born.is_here().then(|| self.0.connection.lock().endpoint.clone())
    }

    /// Returns the present binding, if it has not ended.
    fn present(&self) -> Option<SharedEndpoint> {
        self.last().filter(|endpoint| endpoint.ended().is_none())
    }

    /// Returns the binding if its number is above `after`. Otherwise the call with this ticket waits.
    fn find(&self, after: u64, ticket: &mut Option<u64>, waker: &Waker) -> Found {
        if !self.0.born.is_here() {
            return Found::Ended(BindingError::Closed);
        }
        let mut connection = self.0.connection.lock();
        if let Some(why) = &connection.ended {
            return Found::Ended(why.clone());
        }
        if connection.number > after && connection.endpoint.ended().is_none() {
            return Found::Binding(connection.endpoint.clone(), connection.number);
        }
        let ticket = *ticket.get_or_insert_with(|| {
            connection.last_ticket += 1;
            connection.last_ticket
        });
        let old = connection.waiting.insert(ticket, waker.clone());
        drop(connection);
        drop(old);
        Found::Nothing
    }

    /// Forgets a call that does not wait any more.
    fn forget(&self, ticket: Option<u64>) {
        if let Some(ticket) = ticket
            && self.0.born.is_here()
        {
            let waker = self.0.connection.lock().waiting.remove(&ticket);
            drop(waker);
        }
    }

    /// Wakes the call with this ticket at `at`, if it waits then.
    fn wake_at(&self, at: Instant, ticket: u64) {
        let state = Arc::downgrade(&self.0);
        self.0.remote.post(move |waitset| {
            waitset.after(at.saturating_duration_since(Instant::now()), move |_| {
                let waiting = state.upgrade();
                let waker =
                    waiting.and_then(|state| state.connection.lock().waiting.remove(&ticket));
                waker.into_iter().for_each(Waker::wake);
                Ok(())
            });
            Ok(())
        });
    }

    fn teardown(&self) {
        if !self.0.born.is_here() {
            return;
        }
        let mut connection = self.0.connection.lock();
        connection.ended.get_or_insert(BindingError::Closed);
        let (endpoint, keeper) = (connection.endpoint.clone(), connection.keeper.take());
        let waiting = core::mem::take(&mut connection.waiting);
        drop(connection);
        endpoint.teardown();
        drop(keeper);
        waiting.into_values().for_each(Waker::wake);
    }
}

impl Replacement {
    /// Gives the end another binding: calls that wait are made over it. Calls over the last one go on there, and keep it until
    /// they are done. Returns false if nobody uses the end any more; `endpoint` is dropped.
    pub fn replace(&self, endpoint: SharedEndpoint) -> bool {
        let Some(state) = self.0.upgrade() else { return false };
        let mut connection = state.connection.lock();
        if connection.ended.is_some() {
            return false;
        }
        if let Some(priority) = connection.priority {
            endpoint.set_priority(priority);
        }
        let old = core::mem::replace(&mut connection.endpoint, endpoint);
        connection.number += 1;
        let waiting = core::mem::take(&mut connection.waiting);
        drop(connection);
        drop(old);
        waiting.into_values().for_each(Waker::wake);
        true
    }
}

impl fmt::Debug for ReconnectingEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding<Reconnecting>").field("present", &self.present()).finish()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("meanwhile", &self.meanwhile).finish_non_exhaustive()
    }
}

/// A call that is made over the first binding that takes it.
pub struct ReconnectingCall<R> {
    end: ReconnectingEndpoint,
    step: Step<R>,
    timeout: Timeout,
    /// Number of the binding that the call was made over last; 0 before.
    number: u64,
    /// The call once more, if it may run twice.
    copy: Option<Message>,
    ticket: Option<u64>,
    /// True if a timer wakes the call at its deadline.
    has_timer: bool,
}

enum Step<R> {
    Failed(RpcError),
    /// The call waits for a binding.
    Waiting(Message),
    /// The call waits for room in the queue of a binding, which has not got it yet.
    Entering(SharedCall<R>),
    /// The call may run.
    UnderWay(SharedCall<R>),
    Over,
}

impl<R: Reply> ReconnectingCall<R> {
    fn new(end: &ReconnectingEndpoint, step: Step<R>, timeout: Timeout) -> Self {
        let (end, timeout) = (end.clone(), timeout.beginning_now());
        Self { end, step, timeout, number: 0, copy: None, ticket: None, has_timer: false }
    }

    /// Makes the call over `endpoint`.
    fn begin(&mut self, endpoint: &SharedEndpoint, request: Message) -> SharedCall<R> {
        if self.end.0.meanwhile == Meanwhile::Wait && may_repeat(endpoint.interface(), &request) {
            self.copy = Some(request.copy_without_caps());
        }
        let slot = Arc::new(AnySlot::default());
        let job = Job::Call(request, Arc::clone(&slot));
        SharedCall {
            stage: Stage::UnderWay(Entry::new(endpoint, job), slot),
            timeout: self.timeout,
            alarm: Default::default(),
            reply: core::marker::PhantomData,
        }
    }

    /// Blocks until the reply comes.
    fn wait(mut self) -> Result<R::Values, RpcError> {
        if self.end.last().is_some_and(|endpoint| endpoint.is_in_its_thread()) {
            return Err(RpcError::WouldDeadlock);
        }
        if self.timeout.is_over() {
            return Err(RpcError::Deadline);
        }
        let end = self.timeout.end_of_blocking();
        // This thread checks the deadline itself.
        self.timeout = Timeout::For(Duration::MAX);
        park::block_on(&mut self, end).unwrap_or_else(|| match &self.step {
            Step::Entering(call) | Step::UnderWay(call) => {
                Err(call.link().map_or(RpcError::Deadline, |link| link.too_late()))
            }
            _ => Err(RpcError::Deadline),
        })
    }
}

impl<R: Reply> Future for ReconnectingCall<R> {
    type Output = Result<R::Values, RpcError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = &mut *self;
        me.timeout.begin_default();
        loop {
            match core::mem::replace(&mut me.step, Step::Over) {
                // A future that is polled after it completed stays pending.
                Step::Over => return Poll::Pending,
                Step::Failed(error) => return Poll::Ready(Err(error)),
                Step::Waiting(request) => {
                    if me.timeout.is_over() {
                        return Poll::Ready(Err(RpcError::Deadline));
                    }
                    match me.end.find(me.number, &mut me.ticket, cx.waker()) {
                        Found::Binding(endpoint, number) => {
                            me.end.forget(me.ticket.take());
                            me.has_timer = false;
                            me.number = number;
                            me.step = Step::Entering(me.begin(&endpoint, request));
                        }
                        Found::Ended(why) => return Poll::Ready(Err(RpcError::NotSent(why))),
                        Found::Nothing if me.end.0.meanwhile == Meanwhile::Fail => {
                            return Poll::Ready(Err(TxError::NotConnected.into()));
                        }
                        Found::Nothing => {
                            if let (Some(at), Some(ticket)) = (me.timeout.end(), me.ticket)
                                && !core::mem::replace(&mut me.has_timer, true)
                            {
                                me.end.wake_at(at, ticket);
                            }
                            me.step = Step::Waiting(request);
                            return Poll::Pending;
                        }
                    }
                }
                Step::Entering(mut call) => match call.enter(cx.waker()) {
                    Ok(()) => me.step = Step::UnderWay(call),
                    Err(TxError::Busy) => match call.watch_the_clock(None, cx.waker()) {
                        Poll::Ready(error) => return Poll::Ready(Err(error)),
                        Poll::Pending => {
                            me.step = Step::Entering(call);
                            return Poll::Pending;
                        }
                    },
                    // The binding has ended without this call.
                    Err(error) => match call.take_request() {
                        Some(request) => me.step = Step::Waiting(request),
                        None => return Poll::Ready(Err(error.into())),
                    },
                },
                Step::UnderWay(mut call) => match Pin::new(&mut call).poll(cx) {
                    Poll::Pending => {
                        me.step = Step::UnderWay(call);
                        return Poll::Pending;
                    }
                    Poll::Ready(Err(error)) if is_loss(&error) => match me.copy.take() {
                        Some(request) => me.step = Step::Waiting(request),
                        None => return Poll::Ready(Err(error)),
                    },
                    Poll::Ready(result) => return Poll::Ready(result),
                },
            }
        }
    }
}

impl<R> Drop for ReconnectingCall<R> {
    fn drop(&mut self) {
        self.end.forget(self.ticket);
    }
}

impl<R> fmt::Debug for ReconnectingCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectingCall").finish_non_exhaustive()
    }
}

impl<R: Reply> SharedCall<R> {
    /// Puts the call into the queue of the binding, or waits in line.
    fn enter(&mut self, waker: &Waker) -> Result<(), TxError> {
        match &mut self.stage {
            Stage::UnderWay(entry, _) if entry.job.is_some() => entry.put(Some(waker)),
            _ => Ok(()),
        }
    }

    /// Takes the request of a call that is not in the queue.
    fn take_request(mut self) -> Option<Message> {
        let Stage::UnderWay(entry, _) = &mut self.stage else { return None };
        let link = Arc::clone(entry.handle.link());
        let request = match entry.job.take() {
            Some(Job::Call(request, _)) => Some(request),
            _ => None,
        };
        link.alarms.clear(&mut self.alarm);
        self.stage = Stage::Over;
        request
    }
}

/// Returns true if a call may run twice: its rpc says so, and its arguments can be sent twice.
fn may_repeat(interface: &Interface, request: &Message) -> bool {
    interface.message(request.number).is_some_and(|message| {
        request.caps.is_empty()
            && message.bulks.is_empty()
            && message.annotations.iter().any(|annotation| annotation.context == IDEMPOTENT)
    })
}

/// Returns true if a call has failed because its binding ended.
const fn is_loss(error: &RpcError) -> bool {
    matches!(
        error,
        RpcError::NotSent(BindingError::Closed | BindingError::PeerDied | BindingError::Os(_))
            | RpcError::Closed(BindingError::Closed | BindingError::PeerDied | BindingError::Os(_))
            | RpcError::ServiceClosed
            | RpcError::Tx(TxError::Closed)
    )
}

/// The alarm of a message, at the binding that the message waits for.
#[derive(Default)]
pub struct ReconnectingAlarm {
    alarm: SharedAlarm,
    of: Option<SharedEndpoint>,
}

/// A call that is to be answered: there is none, as such an end receives no calls.
pub enum NoToken {}

impl TokenOf<ReconnectingEndpoint> for NoToken {
    fn new(_: &ReconnectingEndpoint, _: u32, _: u16) -> Self {
        unreachable!("a reconnecting end receives no calls")
    }

    fn id(&self) -> u32 {
        match *self {}
    }

    fn number(&self) -> u16 {
        match *self {}
    }

    fn is_cancelled(&self) -> bool {
        match *self {}
    }

    fn poll_cancelled(&mut self, _: &mut Context<'_>) -> Poll<()> {
        match *self {}
    }

    fn call_name(&self) -> &'static str {
        match *self {}
    }

    fn bulk(&self) -> Option<Arc<BulkEnd>> {
        match *self {}
    }

    fn send(self, _: &[u64], _: &[&[u8]]) {
        match self {}
    }

    fn send_caps(self, _: &[u64], _: &[&[u8]], _: Vec<Cap>) {
        match self {}
    }

    fn renumber(&mut self, _: u16) {
        match *self {}
    }

    fn no_reply(self, _: NoReply) {
        match self {}
    }

    fn refuse_value(self, _: Refused) {
        match self {}
    }
}

impl End for Reconnecting {
    type Raw = ReconnectingEndpoint;
    type Sent<'a> = SharedSent;
    type Sending<'a> = SharedSending;
    type Call<R: Reply> = ReconnectingCall<R>;
    type Alarm = ReconnectingAlarm;
    type Handler = dyn Dispatch<Self> + Send;
    type Token = NoToken;
    type Uncounted = ();

    const SENDS_BORROWED: bool = false;

    fn inbox(
        keep: Keep<dyn Dispatch<Self> + Send>,
        _on_bound: Option<OnBound<ReconnectingEndpoint>>,
    ) -> Box<dyn Dispatch<Self> + Send> {
        Box::new(keep)
    }

    // The bindings have no inbox: messages that come are reported, as without handlers.
    fn set_inbox(_raw: &ReconnectingEndpoint, _mail: &Arc<Mail>) {}

    fn check_inbox(_raw: &ReconnectingEndpoint, _mail: &Mail) {}

    fn nothing<M: MessageValue + 'static>(receives: Direction) -> Box<dyn Dispatch<Self> + Send> {
        Box::new(crate::binding::dispatcher::Nothing::<M>::new(receives))
    }

    fn interface(raw: &ReconnectingEndpoint) -> &'static Interface {
        raw.0.first.interface()
    }

    fn peer(raw: &ReconnectingEndpoint) -> &Peer {
        &raw.0.unknown
    }

    fn driver(raw: &ReconnectingEndpoint) -> &'static str {
        raw.last().map_or_else(|| raw.0.first.driver(), |endpoint| endpoint.driver())
    }

    fn ended(raw: &ReconnectingEndpoint) -> Option<BindingError> {
        match raw.0.born.is_here() {
            true => raw.0.connection.lock().ended.clone(),
            false => Some(BindingError::Closed),
        }
    }

    fn teardown(raw: &ReconnectingEndpoint) {
        raw.teardown();
    }

    fn poll_closed(raw: &ReconnectingEndpoint, waker: &Waker) -> Option<Result<(), TxError>> {
        raw.last().map_or(Some(Err(TxError::Closed)), |endpoint| endpoint.poll_closed(waker))
    }

    fn can_send(raw: &ReconnectingEndpoint) -> bool {
        raw.present().is_some_and(|endpoint| endpoint.can_send())
    }

    fn set_priority(raw: &ReconnectingEndpoint, priority: Priority) {
        if raw.0.born.is_here() {
            let mut connection = raw.0.connection.lock();
            connection.priority = Some(priority);
            connection.endpoint.set_priority(priority);
        }
    }

    // A slot belongs to one binding: bulk arguments travel in the message, or as sealed memory.
    fn bulk(_raw: &ReconnectingEndpoint) -> Option<Arc<BulkEnd>> {
        None
    }

    fn shared(raw: &ReconnectingEndpoint) -> SharedEndpoint {
        raw.last().unwrap_or_else(|| raw.0.first.clone())
    }

    fn lend(raw: &ReconnectingEndpoint) -> ((), ReconnectingEndpoint) {
        ((), raw.clone())
    }

    fn tx<'a>(
        raw: &'a ReconnectingEndpoint,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Option<&mut Vec<Cap>>,
    ) -> Result<Sent<'a, Self>, TxError> {
        let endpoint = raw.present().ok_or(TxError::NotConnected)?;
        endpoint.send_now(number, fixed, tails, caps).map(Sent::of)
    }

    fn wait_sent(sent: SharedSent, timeout: Timeout) -> Result<(), TxError> {
        sent.wait(timeout)
    }

    fn cap_copy(_raw: &ReconnectingEndpoint, error: io::Error) -> TxError {
        TxError::cap_copy(error)
    }

    fn sending<'a>(raw: &'a ReconnectingEndpoint, body: SendBody<'a>) -> SharedSending {
        match raw.present() {
            Some(endpoint) => SharedSending::new(&endpoint, body),
            None => SharedSending::Failed(TxError::NotConnected),
        }
    }

    fn poll_sending(sending: &mut SharedSending, waker: Option<&Waker>) -> Result<(), TxError> {
        sending.poll(waker)
    }

    fn take_caps(sending: &mut SharedSending) -> Vec<Cap> {
        sending.take_caps()
    }

    fn next_call(_raw: &ReconnectingEndpoint) -> u32 {
        0
    }

    fn answer(
        _raw: &ReconnectingEndpoint,
        _message: &mut Received<'_>,
        _at: usize,
        _words: usize,
    ) -> Result<(), DecodeError> {
        unreachable!("replies come to the bindings of a reconnecting end, not to it")
    }

    fn resolve(
        _raw: &ReconnectingEndpoint,
        _bulks: &Bulks,
        _message: &mut Received<'_>,
    ) -> Result<(), DecodeError> {
        unreachable!("messages come to the bindings of a reconnecting end, not to it")
    }

    fn delivering<R>(_raw: &ReconnectingEndpoint, handler: impl FnOnce() -> R) -> R {
        handler()
    }

    fn call<R: Reply>(
        raw: &ReconnectingEndpoint,
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
        raw: &ReconnectingEndpoint,
        _id: u32,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: Vec<Cap>,
        timeout: Timeout,
    ) -> ReconnectingCall<R> {
        let request = Message::new(number, Gather { fixed, tails }, caps);
        ReconnectingCall::new(raw, Step::Waiting(request), timeout)
    }

    fn call_failed<R: Reply>(
        raw: &ReconnectingEndpoint,
        _id: u32,
        error: RpcError,
    ) -> ReconnectingCall<R> {
        ReconnectingCall::new(raw, Step::Failed(error), Timeout::Default)
    }

    fn limit_call<R: Reply>(
        mut call: ReconnectingCall<R>,
        timeout: Timeout,
    ) -> ReconnectingCall<R> {
        call.timeout = timeout.beginning_now();
        call
    }

    fn poll_recv<T>(
        _raw: &ReconnectingEndpoint,
        _what: &What<T>,
        _cx: &Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        Poll::Ready(Err(RecvError::NoInbox))
    }

    fn blocks_receiving(raw: &ReconnectingEndpoint) -> bool {
        raw.last().is_some_and(|endpoint| endpoint.is_in_its_thread())
    }

    fn block_on<F: Future + Unpin>(
        raw: &ReconnectingEndpoint,
        future: F,
        timeout: Timeout,
    ) -> Option<F::Output> {
        raw.last()?.block_on(future, timeout)
    }

    fn set_alarm(
        raw: &ReconnectingEndpoint,
        alarm: &mut ReconnectingAlarm,
        end: Instant,
        waker: &Waker,
    ) {
        Self::clear_alarm(raw, alarm);
        if let Some(endpoint) = raw.last() {
            endpoint.set_alarm(&mut alarm.alarm, end, waker);
            alarm.of = Some(endpoint);
        }
    }

    fn clear_alarm(_raw: &ReconnectingEndpoint, alarm: &mut ReconnectingAlarm) {
        if let Some(endpoint) = alarm.of.take() {
            endpoint.clear_alarm(&mut alarm.alarm);
        }
    }
}
