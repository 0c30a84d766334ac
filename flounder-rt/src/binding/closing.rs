//! The end of a binding, and what becomes of the messages that it has accepted by then.
//!
//! ```text
//!   Free, Sending --teardown, last handle, end of the waitset--> Closing --everything sent, or the peer is gone--> Closed
//!        '------------peer closed or died, error, exempt-------------------------------------------------------------^
//! ```
//! A binding in `Closing` has ended for the program: nothing more is accepted, no handler runs, and what comes in is
//! discarded. It stays a source of its waitset until the channel has taken the message in the slot and the backlog; then the
//! channel is closed. So dropping a handle never waits, and a peer that does not read delays no other binding.
//!
//! Where the waitset ends first, the bindings in `Closing` move to another waitset of the thread. A thread that ends, and a
//! process that ends by `exit` or by a return from `main`, waits for them, at most for the [exit timeout](set_exit_timeout).
//! What the bindings in `Closing` of one thread hold is bounded by [`MAX_CLOSING`] and [`MAX_CLOSING_WORDS`]: beyond that
//! the oldest is cut off.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use crate::binding::calls::Message;
use crate::binding::notice::Notice;
use crate::binding::shared::SentSlot;
use crate::binding::{
    BindingError, Core, Ended, Incoming, Io, Owned, RawBinding, Receiver, Recv, RpcError,
    SendCallback, Timeout, TxError, TxState, Waiting,
};
use crate::channel::{CapRefusal, ChannelError};
use crate::exit;
use crate::waitset::{self, DispatchError, Waitset, WeakWaitset};

/// Bindings of one thread that may be closing at a time.
const MAX_CLOSING: usize = 1024;

/// Words of messages that the closing bindings of one thread may hold, unless one of them alone holds more.
const MAX_CLOSING_WORDS: usize = (64 << 20) / 8;

/// Wakers that may panic while a thread ends, until it waits no more.
const MAX_PANICS: usize = 1000;

/// Messages that a closing binding discards in one turn.
const DISCARDS: usize = 16;

/// What becomes of messages that are accepted and not sent when a binding ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// They are sent.
    IsSent,
    /// They are lost: the peer is gone, or is not to be believed.
    IsLost,
}

/// User code that is due as soon as nothing is borrowed.
pub(super) enum Due {
    /// To be woken.
    Wake(Waker),
    /// To be posted, or dropped if its waitset is gone.
    Post(WeakWaitset, SendCallback),
    /// To be dropped.
    Drop(SendCallback),
    /// To be told what became of its message.
    Report(Arc<SentSlot>, Result<(), TxError>),
    /// A call whose message was lost with its capabilities.
    Fail(Weak<Core>, u32, CapRefusal),
}

impl Due {
    pub(super) fn run(self) {
        match self {
            Self::Wake(waker) => waker.wake(),
            Self::Post(waitset, callback) => {
                if let Some(waitset) = waitset.upgrade() {
                    waitset.post(callback);
                }
            }
            Self::Drop(callback) => drop(callback),
            Self::Report(slot, result) => slot.settle(result),
            Self::Fail(core, call, refusal) => {
                if let Some(core) = core.upgrade() {
                    core.calls.fail(call, RpcError::CapsRefused(refusal));
                }
            }
        }
    }
}

/// Runs all of it. Of several panics the first goes on, after the others have had their turn.
pub(super) fn run_all(due: impl IntoIterator<Item = Due>) {
    let mut panicked = None;
    for due in due {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| due.run())) {
            panicked.get_or_insert(panic);
        }
    }
    if let Some(panic) = panicked {
        resume_unwind(panic);
    }
}

/// Wakes all of them, also if one panics.
pub(super) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    run_all(wakers.into_iter().map(Due::Wake));
}

impl Core {
    /// Ends the binding: nothing more is accepted or delivered from here on.
    pub(super) fn end(&self, why: BindingError, told: bool, rest: Rest) {
        if self.has_ended() {
            return;
        }
        *self.ended.borrow_mut() = Some(why.clone());
        // What other threads were told is accepted counts as accepted.
        let left = self.calls.home.get().map(|home| home.take_messages(&why)).unwrap_or_default();
        let mut due = {
            let io = &mut *self.io.borrow_mut();
            self.calm.set(false);
            let mut due = core::mem::take(&mut io.due);
            due.extend(io.turns.end().map(Due::Wake));
            due.extend(io.register_send.take().map(|(waitset, task)| Due::Post(waitset, task)));
            due
        };
        self.calls.stop_ticking();
        let mut woken = self.calls.window.close();
        self.calls.fail_all(&why, &mut woken);
        self.debts.wake_all(&mut woken);
        due.extend(woken.into_iter().map(Due::Wake));
        let receiver = if told { None } else { self.receiver.take() };
        let receiver = self.begin_closing(receiver, rest);
        for (message, report) in left {
            self.send_last(message, report);
        }
        self.close_if_done(&mut due);
        self.run_later(move || {
            drop(receiver);
            run_all(due);
        });
    }

    /// Tells `report` what becomes of a message that was handed in by another thread.
    pub(super) fn report(&self, accepted: Result<u64, TxError>, report: Arc<SentSlot>) {
        let outcome = accepted
            .map_or_else(|error| Some(Err(error)), |serial| self.io.borrow().outcome(serial));
        match outcome {
            Some(outcome) => report.settle(outcome),
            // It is in the slot.
            None => self.io.borrow_mut().report = Some(report),
        }
    }

    /// Has the last message of another thread sent behind all others.
    fn send_last(&self, mut message: Message, report: Option<Arc<SentSlot>>) {
        let number = message.number;
        let (words, caps) = message.parts();
        let is_allowed = caps.is_empty() || self.exempt.get() || self.may_leave(caps);
        let io = &mut *self.io.borrow_mut();
        let lost = if io.is_cut {
            TxError::Closed
        } else if is_allowed {
            let (words, caps) = (words.to_vec(), core::mem::take(caps));
            let cap_count = caps.len();
            let owned = Owned { number, words, caps, cap_count };
            io.backlog.push(Waiting::Message(owned, report));
            return self.has_unsent(io);
        } else {
            let refusal = CapRefusal::Sender;
            io.backlog.push(Waiting::Notice(Notice::CapsRefused(refusal, None)));
            self.has_unsent(io);
            TxError::CapsRefused(refusal)
        };
        io.due.extend(report.map(|report| Due::Report(report, Err(lost))));
    }

    /// Runs what may be user code from the waitset, if it is there: this may be inside of a send.
    fn run_later(&self, run: impl FnOnce() + 'static) {
        match self.waitset() {
            Some(waitset) => waitset.post(move |_| {
                run();
                Ok(())
            }),
            None => run(),
        }
    }

    /// From here on, what comes in is discarded.
    fn begin_closing(
        &self,
        mut receiver: Option<Box<Receiver>>,
        rest: Rest,
    ) -> Option<Box<Receiver>> {
        let io = &mut *self.io.borrow_mut();
        // A message that has come in part goes on where it stopped.
        let incoming = match &mut receiver {
            Some(receiver) => {
                let fresh = receiver.incoming.another();
                core::mem::replace(&mut receiver.incoming, fresh)
            }
            None => Incoming::new(self.interface.limits),
        };
        io.discarded = Some(Box::new(incoming));
        io.state = TxState::Closing;
        let is_lost = rest == Rest::IsLost || self.exempt.get();
        io.is_cut = is_lost || (io.has_unsent() && self.is_peer_gone(io));
        receiver
    }

    /// Closes the channel if there is nothing left to be sent; else sees to it that the rest is.
    fn close_if_done(&self, due: &mut Vec<Due>) {
        let words = {
            let io = self.io.borrow();
            if io.is_cut || !io.has_unsent() { None } else { Some(io.unsent_words()) }
        };
        match words {
            Some(words) => {
                self.poke();
                Left::add(self.strong(), words);
            }
            None => self.close_channel(due),
        }
    }

    /// Whether it has ended and messages that it accepted are still to be sent.
    pub(super) fn is_closing(&self) -> bool {
        self.io.borrow().state == TxState::Closing
    }

    /// A turn of a binding that is closing: sends, and discards what has come.
    #[cold]
    pub(super) fn turn_closing(&self) -> bool {
        let moved = self.pump();
        let mut worked = moved;
        for _ in 0..DISCARDS {
            let io = &mut *self.io.borrow_mut();
            let Some(incoming) = &mut io.discarded else { break };
            match io.channel.recv(incoming) {
                Ok(Recv::Message) => {
                    drop(incoming.take_caps());
                    incoming.done();
                    let _ = incoming.trim();
                }
                Ok(Recv::More) => {}
                Ok(Recv::Empty) => {
                    io.is_cut |= self.is_told_gone() && !moved;
                    break;
                }
                Err(ChannelError::Caps(_)) => drop(incoming.take_caps()),
                Err(_) => {
                    io.is_cut = true;
                    break;
                }
            }
            worked = true;
        }
        let is_done = {
            let io = self.io.borrow();
            io.state == TxState::Closing && (io.is_cut || !io.has_unsent())
        };
        if is_done {
            let mut due = Vec::new();
            self.close_channel(&mut due);
            run_all(due);
        }
        worked || is_done
    }

    /// Closes the channel: the one transition to `Closed`. What is not sent is lost.
    fn close_channel(&self, due: &mut Vec<Due>) {
        let lost = {
            let io = &mut *self.io.borrow_mut();
            if io.state == TxState::Closed {
                return;
            }
            io.all_sent = !io.has_unsent();
            io.state = TxState::Closed;
            io.channel.close();
            io.unsent = None;
            io.discarded = None;
            due.append(&mut io.due);
            due.extend(io.watchers.drain(..).map(Due::Wake));
            due.extend(io.continuations.drain(..).map(Due::Drop));
            let reports = io.report.take().into_iter().chain(io.backlog.reports());
            due.extend(reports.map(|report| Due::Report(report, Err(TxError::Closed))));
            (core::mem::take(&mut io.slot), core::mem::take(&mut io.backlog))
        };
        drop(lost);
        let left = Left::remove(self);
        self.notifier.detach();
        if let Some(waitset) = self.waitset() {
            self.unregister(&waitset, self.token.get());
        }
        // The channel goes now; handles of the user may stay for long.
        let channel = core::mem::replace(&mut self.io.borrow_mut().channel, Box::new(Ended));
        drop((channel, left));
    }

    /// The waitset goes. What is not sent is left to the thread.
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

    /// Gives up what is not sent.
    fn cut(&self) {
        if self.is_closing() {
            let mut due = Vec::new();
            self.close_channel(&mut due);
            run_all(due);
        }
    }

    /// Nothing that a program asked to be run after a message is run any more.
    fn forget_continuations(&self) {
        let (finished, continuations) = {
            let io = &mut *self.io.borrow_mut();
            (core::mem::take(&mut io.finished), core::mem::take(&mut io.continuations))
        };
        drop((finished, continuations));
    }

    /// Blocks until `done`, serving this binding alone; says whether it was done by then.
    fn wait_for_sent(&self, timeout: Timeout, done: &dyn Fn() -> bool) -> bool {
        if done() {
            return true;
        }
        let twin = self.twin.borrow().upgrade().filter(|twin| !twin.is_delivering());
        let result = match (twin, self.waitset()) {
            (Some(twin), _) => self.wait_with_twin(&twin, timeout, done),
            (None, Some(waitset)) => {
                let mut turn = || crate::waitset::Source::turn(self);
                waitset.wait_for(self.token.get(), self, timeout, &mut turn, done)
            }
            (None, None) => Ok(()),
        };
        if let Err(DispatchError::Os(error)) = result {
            tracing::warn!(%error, "cannot wait until a message is sent");
        }
        done()
    }

    /// Blocks until message `serial` is sent or lost.
    pub(super) fn wait_sent(&self, serial: u64, timeout: Timeout) -> Result<(), TxError> {
        let settled = || self.io.borrow().outcome(serial);
        self.wait_for_sent(timeout, &|| settled().is_some());
        settled().unwrap_or(Err(TxError::Busy))
    }
}

impl Io {
    /// Whether the slot has a message.
    pub(super) const fn is_slot_full(&self) -> bool {
        let settled = if self.sent > self.lost { self.sent } else { self.lost };
        self.accepted > settled
    }

    /// Whether a message was accepted that the channel has not taken.
    pub(super) fn has_unsent(&self) -> bool {
        self.is_slot_full() || !self.backlog.is_empty()
    }

    fn unsent_words(&self) -> usize {
        let slot = if self.is_slot_full() { self.slot.words.len() } else { 0 };
        slot + self.backlog.all_words()
    }

    /// What became of message `serial`, if that is known.
    pub(super) fn outcome(&self, serial: u64) -> Option<Result<(), TxError>> {
        if self.is_sent(serial) {
            Some(Ok(()))
        } else if self.lost >= serial || self.state == TxState::Closed {
            Some(Err(TxError::Closed))
        } else {
            None
        }
    }
}

impl RawBinding {
    /// Tears the binding down, as [`teardown`](RawBinding::teardown), and gives a future that completes when everything that
    /// was accepted is sent and the channel is closed.
    ///
    /// ```no_run
    /// # async fn example(binding: flounder_rt::binding::RawBinding) -> Result<(), flounder_rt::TxError> {
    /// binding.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) -> Closing {
        self.teardown();
        Closing { raw: self.clone() }
    }
}

/// Completes when a binding that was [closed](RawBinding::close) has sent what it accepted. Dropping it changes nothing.
///
/// [`TxError::Closed`] if something that was accepted could not be sent: the peer is gone, or the binding ended before by
/// an error.
#[must_use = "the rest is sent all the same; to know when, use `.await` or `wait`"]
pub struct Closing {
    raw: RawBinding,
}

impl Closing {
    /// Blocks until everything is sent, at most for [`DEFAULT_TIMEOUT`](super::DEFAULT_TIMEOUT).
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    pub fn wait(self) -> Result<(), TxError> {
        self.wait_for(Timeout::Default)
    }

    /// Blocks until everything is sent, at most for `timeout`. Only this binding is served meanwhile.
    ///
    /// # Errors
    /// [`TxError::Closed`] if something could not be sent; [`TxError::Busy`] if something is not sent by then: it goes on.
    pub fn wait_timeout(self, timeout: Duration) -> Result<(), TxError> {
        self.wait_for(Timeout::For(timeout))
    }

    fn wait_for(self, timeout: Timeout) -> Result<(), TxError> {
        let core = &self.raw.0;
        core.wait_for_sent(timeout, &|| !core.is_closing());
        core.close_result().unwrap_or(Err(TxError::Busy))
    }
}

impl Core {
    fn close_result(&self) -> Option<Result<(), TxError>> {
        let io = self.io.borrow();
        let sent = if io.all_sent { Ok(()) } else { Err(TxError::Closed) };
        (io.state == TxState::Closed).then_some(sent)
    }
}

impl Future for Closing {
    type Output = Result<(), TxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let core = &self.raw.0;
        match core.close_result() {
            Some(result) => Poll::Ready(result),
            None => {
                core.watch_slot(cx.waker());
                core.close_result().map_or(Poll::Pending, Poll::Ready)
            }
        }
    }
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closing").finish_non_exhaustive()
    }
}

/// A binding that is closing, and the words that it held when it began to.
struct Left {
    core: Rc<Core>,
    words: usize,
}

thread_local! {
    /// The bindings of this thread that are closing, oldest first. It is used while the thread ends as well, and so has no
    /// destructor; the last use leaves it empty.
    static LEFT: ManuallyDrop<RefCell<VecDeque<Left>>> =
        const { ManuallyDrop::new(RefCell::new(VecDeque::new())) };
    /// Whether waitsets are ending that are waited for together.
    static TOGETHER: Cell<bool> = const { Cell::new(false) };
}

impl Left {
    fn add(core: Rc<Core>, words: usize) {
        let mut cut = Vec::new();
        LEFT.with(|left| {
            let left = &mut *left.borrow_mut();
            left.push_back(Self { core, words });
            let mut total: usize = left.iter().map(|left| left.words).sum();
            while left.len() > 1 && (left.len() > MAX_CLOSING || total > MAX_CLOSING_WORDS) {
                let Some(oldest) = left.pop_front() else { break };
                total -= oldest.words;
                cut.push(oldest.core);
            }
        });
        for core in cut {
            tracing::warn!(
                interface = core.interface.name,
                peer = %core.peer,
                "too many bindings are closing: what this one has not sent is lost"
            );
            core.cut();
        }
    }

    /// Takes a binding out that is closed.
    fn remove(core: &Core) -> Option<Self> {
        LEFT.with(|left| {
            let left = &mut *left.borrow_mut();
            let at = left.iter().position(|left| core::ptr::eq(&raw const *left.core, core))?;
            left.remove(at)
        })
    }

    fn all() -> Vec<Rc<Core>> {
        // Those of the parent, in a forked child, are the parent's to send.
        let is_here = |left: &&Self| left.core.notifier.is_here();
        LEFT.with(|all| {
            all.borrow().iter().filter(is_here).map(|left| Rc::clone(&left.core)).collect()
        })
    }
}

/// The bindings of a thread that are closing when their waitsets end.
pub(super) struct Closings;

impl waitset::Successor for Closings {
    /// Those that are closing go on from another waitset; if the thread ends as well, this waits for them.
    fn waitset_gone(&self, is_gone: &dyn Fn(&WeakWaitset) -> bool) {
        let mut left = Left::all();
        left.retain(|core| is_gone(&core.place.borrow().waitset));
        if left.is_empty() || TOGETHER.get() {
            return;
        }
        let Some(heir) = Waitset::another() else { return send_now(&left) };
        for core in &left {
            if let Err(error) = core.go_on_from(&heir) {
                tracing::warn!(%error, "what a binding has not sent is lost: no waitset can watch it");
                core.cut();
            }
        }
    }

    fn thread_ends(&self, close: &mut dyn FnMut()) {
        TOGETHER.set(true);
        close();
        TOGETHER.set(false);
        send_now(&Left::all());
    }
}

/// Blocks until these have sent what they accepted, at most until the exit timeout of the thread.
fn send_now(left: &[Rc<Core>]) {
    if left.is_empty() {
        return;
    }
    let deadline = exit::deadline();
    let waitset = Waitset::new();
    for core in left {
        core.forget_continuations();
        if let Err(error) = core.go_on_from(&waitset) {
            tracing::warn!(%error, "what a binding has not sent is lost: no waitset can watch it");
            core.cut();
        }
    }
    let is_done = || left.iter().all(|core| !core.is_closing());
    let mut panics = 0;
    while !is_done() && Instant::now() < deadline && panics < MAX_PANICS {
        // What the bindings wake on their way is user code.
        let run = AssertUnwindSafe(|| waitset.dispatch_until(Some(deadline), is_done));
        match catch_unwind(run) {
            Ok(Ok(_)) => {}
            Ok(Err(DispatchError::Os(error))) => {
                tracing::warn!(%error, "cannot wait until everything is sent");
                break;
            }
            Ok(Err(error)) => tracing::error!(%error, "a callback failed while a thread ended"),
            Err(_) => {
                panics += 1;
                tracing::error!("a waker panicked while a thread ended");
            }
        }
    }
    let late: Vec<_> = left.iter().filter(|core| core.is_closing()).collect();
    for core in late {
        tracing::warn!(
            interface = core.interface.name,
            peer = %core.peer,
            "the thread ends before the peer has read everything: the rest is lost"
        );
        core.cut();
    }
}
