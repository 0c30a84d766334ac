//! The end of a binding, and what becomes of the messages that it has accepted by then.
//!
//! ```text
//!   Free, Sending --teardown, last handle, end of the waitset--> Closing --everything sent, or the peer is gone--> Closed
//!        '------------peer closed or died, error, exempt-------------------------------------------------------------^
//! ```
//! A binding in `Closing` has ended for the program: nothing more is accepted, no handler runs, and
//! received messages are discarded. It stays a source of its waitset until the channel has taken the
//! message in the slot and the backlog; then the channel is closed. So dropping a handle never blocks,
//! and a peer that does not read delays no other binding.
//!
//! If the waitset ends first, the bindings in `Closing` move to another waitset of the thread. A
//! thread that ends, and a process that ends by `exit` or by returning from `main`, waits for them, at
//! most for the [exit timeout](set_exit_timeout). [`closing_list`](super::closing_list) bounds what
//! the bindings in `Closing` of one thread hold: beyond that the oldest is cut off.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::time::Instant;

use crate::binding::closing_list::ClosingList;
use crate::binding::connection::{Message, Owned, Queued, State};
use crate::binding::shared::SentSlot;
use crate::binding::shell::{AfterEnd, Due, Receiver, Shell, run_due};
use crate::binding::threading::{Lock, Slot, Threading};
use crate::binding::{
    BindingError, End, Local, RawBinding, Shared, SharedEndpoint, Timeout, TxError,
};
use crate::channel::{CapRefusal, Channel, ChannelError, Incoming, Recv};
use crate::exit;
use crate::message::bulk::Loans;
use crate::peer;
use crate::waitset::{self, DispatchError, Waitset, WeakWaitset};

/// Panics of wakers after which a thread that ends no longer waits.
const MAX_PANICS: usize = 1000;

/// Messages that a closing binding discards in one step.
const DISCARDS: usize = 16;

/// What happens to messages that are accepted and not sent when a binding ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// They are sent.
    IsSent,
    /// They are lost: the peer is gone, or has violated the protocol.
    IsLost,
}

impl<T: Threading> Shell<T> {
    /// Ends the binding: from here on nothing is accepted or delivered. With `is_reported`, the caller
    /// runs the error handler, and has taken the receiver out.
    pub(super) fn end(&self, why: BindingError, is_reported: bool, rest: Rest) {
        if !self.io.lock().connection.end(&why) {
            return;
        }
        let left = T::binding_ends(self, &why);
        let mut due = {
            let io = &mut *self.io.lock();
            let mut due = io.take_due();
            let waiting = io.register_send.take();
            due.extend(waiting.map(|(waitset, callback)| Due::Post(waitset, callback)));
            due
        };
        let receiver = if is_reported { None } else { self.receiver.take() };
        let receiver = self.begin_closing(receiver, rest);
        let has_rest = {
            let connection = &self.io.lock().connection;
            connection.has_unsent() && !connection.is_cut()
        };
        if has_rest {
            // The waitset sends what the channel does not take at once, if anybody dispatches it.
            self.pump_channel();
            self.io.lock().note_unsent();
        }
        for (message, report) in left {
            self.send_last(message, report);
        }
        self.close_if_done(&mut due);
        T::run_after_end(self, AfterEnd { shell: self.myself.clone(), receiver, due });
    }

    /// Sends the last message of another thread, behind all others.
    pub(super) fn send_last(&self, mut message: Message, receipt: Option<Arc<SentSlot>>) {
        let number = message.number;
        let (words, caps) = message.parts();
        let loans = Loans::take_from(caps);
        let is_allowed = caps.is_empty() || self.may_leave(caps);
        let io = &mut *self.io.lock();
        let connection = &mut io.connection;
        let lost = if connection.is_cut() || connection.state() == State::Closed {
            TxError::Closed
        } else if is_allowed {
            let (words, mut caps) = (words.to_vec(), core::mem::take(caps));
            let cap_count = caps.len();
            loans.put_back(&mut caps);
            let owned = Owned { number, words, caps, cap_count };
            connection.queue(Queued::Message(owned, receipt));
            return io.note_unsent();
        } else {
            connection.report_refusal(CapRefusal::Sender, None);
            TxError::CapsRefused(CapRefusal::Sender)
        };
        if let Some(receipt) = receipt {
            connection.report(Err(lost), receipt);
        }
        io.note_unsent();
    }

    /// Begins to discard what is received.
    fn begin_closing(
        &self,
        mut receiver: Option<Box<Receiver<T>>>,
        rest: Rest,
    ) -> Option<Box<Receiver<T>>> {
        let io = &mut *self.io.lock();
        // A message of which a part has come continues in the same memory.
        let incoming = match &mut receiver {
            Some(receiver) => {
                let fresh = receiver.incoming.another();
                core::mem::replace(&mut receiver.incoming, fresh)
            }
            None => Incoming::new(self.interface.limits).sent_by(&self.peer),
        };
        io.discarded = Some(Box::new(incoming));
        if rest == Rest::IsSent && self.peer.knows(peer::REASONS) {
            io.connection.no_more_replies();
        }
        let connection = &mut io.connection;
        let is_lost = rest == Rest::IsLost
            || (connection.has_unsent() && connection.is_peer_gone(|| io.channel.is_over()));
        connection.begin_closing(is_lost);
        receiver
    }

    /// Closes the channel if nothing is left to be sent; otherwise has the waitset send the rest.
    fn close_if_done(&self, due: &mut Vec<Due<T>>) {
        let words = {
            let connection = &self.io.lock().connection;
            let may_close = connection.may_close() && !T::is_busy(self);
            (!may_close).then(|| connection.unsent_words())
        };
        match words {
            Some(words) => {
                self.poke();
                T::begin_closing(self, words);
            }
            None => self.close_channel(due),
        }
    }

    /// Returns true if the binding has ended and has messages left to send.
    pub(super) fn is_closing(&self) -> bool {
        self.io.lock().connection.state() == State::Closing
    }

    /// Runs one step of a binding that is closing: sends, and discards what is received.
    #[cold]
    pub(super) fn step_closing(&self) -> bool {
        let moved = self.pump();
        let mut worked = moved;
        for _ in 0..DISCARDS {
            let io = &mut *self.io.lock();
            let Some(incoming) = &mut io.discarded else { break };
            let connection = &mut io.connection;
            match io.channel.recv(incoming) {
                Ok(Recv::Message) => {
                    drop(incoming.take_caps());
                    incoming.done();
                    let _ = incoming.trim();
                }
                Ok(Recv::More) => {}
                Ok(Recv::Empty) => {
                    if connection.peer_gone().is_some() && !moved {
                        connection.cut();
                    }
                    break;
                }
                Err(ChannelError::Caps(_)) => drop(incoming.take_caps()),
                Err(_) => {
                    connection.cut();
                    break;
                }
            }
            worked = true;
        }
        let is_done = !T::is_busy(self) && self.io.lock().connection.may_close();
        if is_done {
            let mut due = Vec::new();
            self.close_channel(&mut due);
            run_due(&self.myself, due);
        }
        worked || is_done
    }

    /// Closes the channel: the one transition to `Closed`. What is not sent is lost.
    fn close_channel(&self, due: &mut Vec<Due<T>>) {
        let lost = {
            let io = &mut *self.io.lock();
            let Some(lost) = io.connection.close() else { return };
            io.channel.close();
            io.all_is_sent();
            io.discarded = None;
            due.extend(io.take_due());
            due.extend(io.continuations.drain(..).map(Due::Drop));
            lost
        };
        drop(lost);
        let left = T::closed(self);
        // The channel is dropped now; the program may keep handles for long.
        let channel = core::mem::replace(&mut self.io.lock().channel, T::no_channel());
        drop((channel, left));
    }
    /// Gives up what is not sent.
    pub(super) fn cut(&self) {
        if self.is_closing() {
            let mut due = Vec::new();
            self.close_channel(&mut due);
            run_due(&self.myself, due);
        }
    }

    /// Gives up what is not sent, because other bindings are closing.
    pub(super) fn cut_for_others(&self) {
        crate::log_limited!(
            warn,
            interface = self.interface.name,
            peer = %self.peer,
            "too many bindings are closing: what this one has not sent is lost"
        );
        self.cut();
    }
}

impl Shell {
    /// The waitset ends. The thread sends the rest.
    pub(super) fn waitset_ends(&self) {
        self.end(BindingError::Closed, false, Rest::IsSent);
        let finished = core::mem::take(&mut self.io.borrow_mut().finished);
        drop(finished);
    }

    /// Sends the rest from another waitset.
    fn go_on_from(&self, waitset: &Waitset) -> std::io::Result<()> {
        self.io.borrow_mut().channel.attached(waitset)?;
        self.register(waitset)?;
        self.poke();
        Ok(())
    }

    /// Drops the continuations, which no longer run.
    fn forget_continuations(&self) {
        let (finished, continuations) = {
            let io = &mut *self.io.borrow_mut();
            (core::mem::take(&mut io.finished), core::mem::take(&mut io.continuations))
        };
        drop((finished, continuations));
    }

    /// Blocks until `done` returns true, serving this binding alone. Returns false if time ran out.
    fn wait_for_sent(&self, timeout: Timeout, done: &dyn Fn() -> bool) -> bool {
        if done() {
            return true;
        }
        let peer = self.own.local_peer.borrow().upgrade().filter(|peer| !peer.is_delivering());
        let result = match (peer, self.waitset()) {
            (Some(peer), _) => self.wait_with_local_peer(&peer, timeout, done),
            (None, Some(waitset)) => {
                let mut turn = || self.step_alone();
                waitset.wait_for(self.own.token.get(), self, timeout, &mut turn, done)
            }
            (None, None) => Ok(()),
        };
        if let Err(DispatchError::Os(error)) = result {
            tracing::warn!(%error, "cannot wait until a message is sent");
        }
        done()
    }

    /// Blocks until `future` is ready, serving this binding alone. Returns `None` if time ran out.
    pub(super) fn block_on<F: Future + Unpin>(
        &self,
        mut future: F,
        timeout: Timeout,
    ) -> Option<F::Output> {
        let end = timeout.end_of_blocking();
        let timeout = end.map_or(Timeout::For(Duration::MAX), Timeout::Until);
        let flag = Arc::new(Flag::default());
        let waker = Arc::clone(&flag).into();
        let mut cx = Context::from_waker(&waker);
        loop {
            flag.0.store(false, Ordering::Relaxed);
            if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut cx) {
                return Some(output);
            }
            if !self.wait_for_sent(timeout, &|| flag.0.load(Ordering::Relaxed)) {
                return None;
            }
        }
    }

    /// Blocks until message `serial` is sent or lost.
    pub(super) fn wait_sent(&self, serial: u64, timeout: Timeout) -> Result<(), TxError> {
        let settled = || self.io.borrow().connection.outcome(serial);
        self.wait_for_sent(timeout, &|| settled().is_some());
        settled().unwrap_or(Err(TxError::Busy))
    }
}

/// Woken by the turns of a binding, in the thread that blocks.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl RawBinding {
    /// [Tears the binding down](RawBinding::teardown). The future completes when everything that was
    /// accepted is sent and the channel is closed.
    ///
    /// ```no_run
    /// # async fn example(binding: flounder_rt::binding::RawBinding) -> Result<(), flounder_rt::TxError> {
    /// binding.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) -> Closing {
        Closing::of(self)
    }
}

impl SharedEndpoint {
    /// [Tears the binding down](SharedEndpoint::teardown). The future completes when everything that was accepted is sent
    /// and the channel is closed; a thread that serves the binding has to dispatch until then.
    pub fn close(&self) -> Closing<Shared> {
        Closing::of(self)
    }
}

/// Completes when a binding that was [closed](RawBinding::close) has sent what it accepted. Dropping it changes nothing.
///
/// Its output is [`TxError::Closed`] if something that was accepted could not be sent: the peer is
/// gone, or the binding ended before by an error. [`TxError::Busy`] is the output of one whose time is over.
#[must_use = "the rest is sent anyway; `.await` or `wait` to know when"]
pub struct Closing<E: End = Local> {
    raw: E::Raw,
    timeout: Timeout,
    alarm: E::Alarm,
}

impl<E: End> Closing<E> {
    pub(super) fn of(raw: &E::Raw) -> Self {
        E::teardown(raw);
        Self { raw: raw.clone(), timeout: Timeout::Default, alarm: E::Alarm::default() }
    }

    /// Limits the wait to this time, from now. Then it ends with [`TxError::Busy`], and sending continues.
    /// [`Duration::MAX`] is no limit.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.limited(Timeout::For(timeout).beginning_now())
    }

    /// Limits the wait to this point in time. Then it ends with [`TxError::Busy`], and sending continues.
    pub fn deadline(self, deadline: Instant) -> Self {
        self.limited(Timeout::Until(deadline))
    }

    fn limited(mut self, timeout: Timeout) -> Self {
        self.timeout = timeout;
        self
    }

    /// Blocks until everything is sent: for the time that it is limited to, otherwise for
    /// [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT) at most. In the thread of the binding, only this binding is served
    /// meanwhile.
    ///
    /// # Errors
    /// [`TxError::Closed`] if something could not be sent. [`TxError::Busy`] if time ran out, and through a [`Shared`] end
    /// in the thread of the binding's waitset or in a handler of the binding, which would have to send the rest.
    pub fn wait(mut self) -> Result<(), TxError> {
        let (raw, timeout) = (self.raw.clone(), self.timeout);
        if let Some(result) = E::poll_closed(&raw, Waker::noop()) {
            return result;
        }
        // The thread checks the deadline itself.
        self.timeout = Timeout::Default;
        E::block_on(&raw, self, timeout).unwrap_or(Err(TxError::Busy))
    }
}

impl Shell {
    /// Returns whether everything was sent, once the binding is closed; otherwise wakes `waker` then.
    pub(super) fn poll_closed(&self, waker: &Waker) -> Option<Result<(), TxError>> {
        self.close_result().or_else(|| {
            self.watch_slot(waker);
            self.close_result()
        })
    }
}

impl<T: Threading> Shell<T> {
    pub(super) fn close_result(&self) -> Option<Result<(), TxError>> {
        self.io.lock().connection.close_result()
    }
}

impl<E: End> Future for Closing<E> {
    type Output = Result<(), TxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(result) = E::poll_closed(&this.raw, cx.waker()) {
            E::clear_alarm(&this.raw, &mut this.alarm);
            return Poll::Ready(result);
        }
        if let Some(end) = this.timeout.end() {
            if Instant::now() >= end {
                E::clear_alarm(&this.raw, &mut this.alarm);
                return Poll::Ready(Err(TxError::Busy));
            }
            E::set_alarm(&this.raw, &mut this.alarm, end, cx.waker());
        }
        Poll::Pending
    }
}

impl<E: End> Drop for Closing<E> {
    fn drop(&mut self) {
        E::clear_alarm(&self.raw, &mut self.alarm);
    }
}

impl<E: End> fmt::Debug for Closing<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closing").finish_non_exhaustive()
    }
}

thread_local! {
    /// The bindings of this thread that are closing. It is used while the thread ends, too, so it has no destructor; the
    /// last use leaves it empty.
    static CLOSING: ManuallyDrop<RefCell<ClosingList<Rc<Shell>>>> =
        const { ManuallyDrop::new(RefCell::new(ClosingList::new())) };
    /// True while all waitsets of the thread end, whose bindings are waited for together.
    static TOGETHER: Cell<bool> = const { Cell::new(false) };
}

/// Notes that a binding of this thread is closing.
pub(super) fn add(shell: Rc<Shell>, words: usize) {
    let cut = CLOSING.with(|closing| closing.borrow_mut().add(shell, words));
    cut.into_iter().for_each(|shell| shell.cut_for_others());
}

/// Notes that a binding of this thread is closed.
pub(super) fn remove(shell: &Shell) -> Option<Rc<Shell>> {
    let is_it = |other: &Rc<Shell>| core::ptr::eq(&raw const **other, shell);
    CLOSING.with(|closing| closing.borrow_mut().remove(is_it))
}

/// Returns the bindings of this thread that are closing. In a forked child, the parent sends what its bindings hold.
fn all() -> Vec<Rc<Shell>> {
    let is_here = |shell: &&Rc<Shell>| shell.notifier.is_here();
    CLOSING.with(|closing| closing.borrow().iter().filter(is_here).map(Rc::clone).collect())
}

/// Takes over the closing bindings of a waitset that ends.
pub(super) struct Closings;

impl waitset::Successor for Closings {
    /// Moves them to another waitset of the thread; if there is none, blocks until they have sent.
    fn waitset_gone(&self, is_gone: &dyn Fn(&WeakWaitset) -> bool) {
        let mut left = all();
        left.retain(|shell| is_gone(&shell.home_waitset()));
        if left.is_empty() || TOGETHER.get() {
            return;
        }
        let Some(heir) = Waitset::another() else { return send_now(&left) };
        for shell in &left {
            if let Err(error) = shell.go_on_from(&heir) {
                crate::log_limited!(warn, %error, "what a binding has not sent is lost: no waitset can watch it");
                shell.cut();
            }
        }
    }

    fn thread_ends(&self, close: &mut dyn FnMut()) {
        TOGETHER.set(true);
        close();
        TOGETHER.set(false);
        send_now(&all());
    }
}

/// Blocks until these bindings have sent what they accepted, at most until the exit timeout.
fn send_now(left: &[Rc<Shell>]) {
    if left.is_empty() {
        return;
    }
    let deadline = exit::deadline();
    let waitset = Waitset::new();
    for shell in left {
        shell.forget_continuations();
        if let Err(error) = shell.go_on_from(&waitset) {
            crate::log_limited!(warn, %error, "what a binding has not sent is lost: no waitset can watch it");
            shell.cut();
        }
    }
    let is_done = || left.iter().all(|shell| !shell.is_closing());
    let mut panics = 0;
    while !is_done() && Instant::now() < deadline && panics < MAX_PANICS {
        // The wakers that this wakes are user code.
        let run = AssertUnwindSafe(|| waitset.dispatch_until(Some(deadline), is_done));
        match catch_unwind(run) {
            Ok(Ok(_)) => {}
            Ok(Err(DispatchError::Os(error))) => {
                tracing::warn!(%error, "cannot wait until everything is sent");
                break;
            }
            Ok(Err(error)) => tracing::error!(?error, "a callback failed while a thread ended"),
            Err(_) => {
                panics += 1;
                tracing::error!("a waker panicked while a thread ended");
            }
        }
    }
    let late: Vec<_> = left.iter().filter(|shell| shell.is_closing()).collect();
    for shell in late {
        crate::log_limited!(
            warn,
            interface = shell.interface.name,
            peer = %shell.peer,
            "the thread ends before the peer has read everything: the rest is lost"
        );
        shell.cut();
    }
}
