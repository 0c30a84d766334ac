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
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use crate::binding::connection::{Message, Owned, Queued, State};
use crate::binding::shared::SentSlot;
use crate::binding::shell::{Due, Ended, Receiver, Shell, run_due};
use crate::binding::{BindingError, RawBinding, Timeout, TxError};
use crate::channel::{CapRefusal, ChannelError, Incoming, Recv};
use crate::exit;
use crate::waitset::{self, DispatchError, Source, Waitset, WeakWaitset};

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

impl Shell {
    /// Ends the binding: nothing more is accepted or delivered from here on. `is_reported` if the error handler runs by itself.
    pub(super) fn end(&self, why: BindingError, is_reported: bool, rest: Rest) {
        if !self.io.borrow_mut().connection.end(&why) {
            return;
        }
        // What other threads were promised to be accepted counts as accepted. Their calls fail.
        let shared = self.shared.get();
        let left = shared.map(|shared| shared.take_messages(&why)).unwrap_or_default();
        if let Some(shared) = shared {
            shared.end(&why);
        }
        if let Some(ticker) = self.ticker.take() {
            ticker.cancel();
        }
        let mut due = {
            let io = &mut *self.io.borrow_mut();
            let mut due = io.take_due();
            let waiting = io.register_send.take();
            due.extend(waiting.map(|(waitset, callback)| Due::Post(waitset, callback)));
            due
        };
        let receiver = if is_reported { None } else { self.receiver.take() };
        let receiver = self.begin_closing(receiver, rest);
        for (message, report) in left {
            self.send_last(message, report);
        }
        self.close_if_done(&mut due);
        let shell = Weak::clone(&self.myself);
        self.run_from_here(move || {
            drop(receiver);
            run_due(&shell, due);
        });
    }

    /// Sends the last message of another thread, behind all others.
    fn send_last(&self, mut message: Message, receipt: Option<Arc<SentSlot>>) {
        let number = message.number;
        let (words, caps) = message.parts();
        let is_allowed = caps.is_empty() || self.may_leave(caps);
        let io = &mut *self.io.borrow_mut();
        let connection = &mut io.connection;
        let lost = if connection.is_cut() {
            TxError::Closed
        } else if is_allowed {
            let (words, caps) = (words.to_vec(), core::mem::take(caps));
            let cap_count = caps.len();
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

    /// Runs what may be user code from the waitset, if it is there: this may be inside of a send.
    fn run_from_here(&self, run: impl FnOnce() + 'static) {
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
        let connection = &mut io.connection;
        let is_lost = rest == Rest::IsLost
            || (connection.has_unsent() && connection.is_peer_gone(|| io.channel.is_over()));
        connection.begin_closing(is_lost);
        receiver
    }

    /// Closes the channel if there is nothing left to be sent; else sees to it that the rest is.
    fn close_if_done(&self, due: &mut Vec<Due>) {
        let words = {
            let connection = &self.io.borrow().connection;
            (!connection.may_close()).then(|| connection.unsent_words())
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
        self.io.borrow().connection.state() == State::Closing
    }

    /// A step of a binding that is closing: sends, and discards what has come.
    #[cold]
    pub(super) fn step_closing(&self) -> bool {
        let moved = self.pump();
        let mut worked = moved;
        for _ in 0..DISCARDS {
            let io = &mut *self.io.borrow_mut();
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
        let is_done = self.io.borrow().connection.may_close();
        if is_done {
            let mut due = Vec::new();
            self.close_channel(&mut due);
            run_due(&self.myself, due);
        }
        worked || is_done
    }

    /// Closes the channel: the one transition to `Closed`. What is not sent is lost.
    fn close_channel(&self, due: &mut Vec<Due>) {
        let lost = {
            let io = &mut *self.io.borrow_mut();
            let Some(lost) = io.connection.close() else { return };
            io.channel.close();
            io.unsent = None;
            io.discarded = None;
            due.extend(io.take_due());
            due.extend(io.continuations.drain(..).map(Due::Drop));
            lost
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
            run_due(&self.myself, due);
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
        let peer = self.local_peer.borrow().upgrade().filter(|peer| !peer.is_delivering());
        let result = match (peer, self.waitset()) {
            (Some(peer), _) => self.wait_with_local_peer(&peer, timeout, done),
            (None, Some(waitset)) => {
                let mut turn = || Source::turn(self);
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
        let settled = || self.io.borrow().connection.outcome(serial);
        self.wait_for_sent(timeout, &|| settled().is_some());
        settled().unwrap_or(Err(TxError::Busy))
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
        let shell = self.raw.shell();
        shell.wait_for_sent(timeout, &|| !shell.is_closing());
        shell.close_result().unwrap_or(Err(TxError::Busy))
    }
}

impl Shell {
    fn close_result(&self) -> Option<Result<(), TxError>> {
        self.io.borrow().connection.close_result()
    }
}

impl Future for Closing {
    type Output = Result<(), TxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shell = self.raw.shell();
        match shell.close_result() {
            Some(result) => Poll::Ready(result),
            None => {
                shell.watch_slot(cx.waker());
                shell.close_result().map_or(Poll::Pending, Poll::Ready)
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
    shell: Rc<Shell>,
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
    fn add(shell: Rc<Shell>, words: usize) {
        let mut cut = Vec::new();
        LEFT.with(|left| {
            let left = &mut *left.borrow_mut();
            left.push_back(Self { shell, words });
            let mut total: usize = left.iter().map(|left| left.words).sum();
            while left.len() > 1 && (left.len() > MAX_CLOSING || total > MAX_CLOSING_WORDS) {
                let Some(oldest) = left.pop_front() else { break };
                total -= oldest.words;
                cut.push(oldest.shell);
            }
        });
        for shell in cut {
            tracing::warn!(
                interface = shell.interface.name,
                peer = %shell.peer,
                "too many bindings are closing: what this one has not sent is lost"
            );
            shell.cut();
        }
    }

    /// Takes a binding out that is closed.
    fn remove(shell: &Shell) -> Option<Self> {
        LEFT.with(|left| {
            let left = &mut *left.borrow_mut();
            let at = left.iter().position(|left| core::ptr::eq(&raw const *left.shell, shell))?;
            left.remove(at)
        })
    }

    fn all() -> Vec<Rc<Shell>> {
        // Those of the parent, in a forked child, are the parent's to send.
        let is_here = |left: &&Self| left.shell.notifier.is_here();
        LEFT.with(|all| {
            all.borrow().iter().filter(is_here).map(|left| Rc::clone(&left.shell)).collect()
        })
    }
}

/// The bindings of a thread that are closing when their waitsets end.
pub(super) struct Closings;

impl waitset::Successor for Closings {
    /// Those that are closing go on from another waitset; if the thread ends as well, this waits for them.
    fn waitset_gone(&self, is_gone: &dyn Fn(&WeakWaitset) -> bool) {
        let mut left = Left::all();
        left.retain(|shell| is_gone(&shell.home_waitset()));
        if left.is_empty() || TOGETHER.get() {
            return;
        }
        let Some(heir) = Waitset::another() else { return send_now(&left) };
        for shell in &left {
            if let Err(error) = shell.go_on_from(&heir) {
                tracing::warn!(%error, "what a binding has not sent is lost: no waitset can watch it");
                shell.cut();
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
fn send_now(left: &[Rc<Shell>]) {
    if left.is_empty() {
        return;
    }
    let deadline = exit::deadline();
    let waitset = Waitset::new();
    for shell in left {
        shell.forget_continuations();
        if let Err(error) = shell.go_on_from(&waitset) {
            tracing::warn!(%error, "what a binding has not sent is lost: no waitset can watch it");
            shell.cut();
        }
    }
    let is_done = || left.iter().all(|shell| !shell.is_closing());
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
    let late: Vec<_> = left.iter().filter(|shell| shell.is_closing()).collect();
    for shell in late {
        tracing::warn!(
            interface = shell.interface.name,
            peer = %shell.peer,
            "the thread ends before the peer has read everything: the rest is lost"
        );
        shell.cut();
    }
}
