//! The shell of one end: it owns the channel, the handler and the registration with the waitset, and drives the
//! [`Connection`].
//!
//! A binding belongs to the thread of its waitset and costs no lock and no atomic operation. User code runs with nothing
//! borrowed: handlers from [`Shell::step`] only, which a waitset calls; wakers and receipts from [`Shell::run_events`]. The
//! receiver (handler and message) is taken out of the shell while a handler runs, so a nested dispatch finds the binding busy
//! and skips it.

use core::cell::{Cell, OnceCell, RefCell};
use core::task::Waker;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::account::{Account, Charge, OverLimit, Resource};
use crate::binding::connection::{self, Connection, Event, Intake, State};
use crate::binding::inbox::Mail;
use crate::binding::shared::{SentSlot, SharedServer};
use crate::binding::{BindingError, Dispatch, RawBinding, closing};
use crate::channel::{
    Channel, ChannelError, Incoming, KEPT_WORDS, Outgoing, Progress, ProtocolError, Readiness, Recv,
};
use crate::exit::Unsent;
use crate::interface::Interface;
use crate::notify::{Gone, Notifier};
use crate::peer::Peer;
use crate::waitset::{self, Outcome, Source, Timer, Waitset, WeakWaitset};

/// A task that a program has run after a message.
pub(super) type SendCallback = Box<dyn FnOnce(&Waitset) -> Outcome>;

/// On lines of its own, and the neighbours that are fetched with them: memory that another thread has freed may lie beside
/// what it still uses, and each message writes here.
#[repr(align(128))]
pub(crate) struct Shell {
    pub(super) myself: Weak<Shell>,
    pub(super) interface: &'static Interface,
    pub(super) peer: Peer,
    /// Returns the binding to the account of the peer.
    _charge: Option<Charge>,
    pub(super) driver: &'static str,
    pub(super) notifier: Notifier,
    /// Number of handles that the program has.
    pub(super) handles: Cell<usize>,
    /// True if the binding lives without handles.
    pub(super) kept: Cell<bool>,
    waitset: RefCell<WeakWaitset>,
    pub(super) token: Cell<u64>,
    /// True if the channel has no descriptor that reports its events.
    polled: bool,
    /// True if the waitset knows that this binding has memory to give back.
    pub(super) untrimmed: Cell<bool>,
    pub(super) io: RefCell<Io>,
    /// Handler and incoming message; absent while a handler runs, and at the end.
    pub(super) receiver: Cell<Option<Box<Receiver>>>,
    /// The other end, when it is in this thread.
    pub(super) local_peer: RefCell<Weak<Shell>>,
    /// Counts the ticks of calls with the default timeout.
    pub(super) ticker: Cell<Option<Timer>>,
    /// Serves the handles of other threads.
    pub(super) shared: OnceCell<Rc<SharedServer>>,
    /// Messages that are received as values.
    pub(super) mail: OnceCell<Arc<Mail>>,
    /// True if the waitset asked for events while the handler ran: the answer was that there are none, and the waitset may
    /// sleep now.
    pub(super) polled_in_handler: Cell<bool>,
}

/// On lines of its own, like a [`Shell`].
#[repr(align(128))]
pub(super) struct Receiver {
    pub(super) incoming: Incoming,
    pub(super) handler: Box<dyn Dispatch>,
    /// What is lent to the handler. It does not count as a handle; the binding always ends, which drops it.
    pub(super) raw: RawBinding,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The drop of `raw` subtracts what was never added.
        let handles = &self.raw.shell().handles;
        handles.set(handles.get() + 1);
    }
}

pub(super) struct Io {
    pub(super) connection: Connection<Timer, Arc<SentSlot>>,
    pub(super) channel: Box<dyn Channel>,
    /// Callbacks that follow the message in the slot.
    pub(super) continuations: Vec<SendCallback>,
    /// Callbacks whose time has come: for each, a task that runs the first is posted to the waitset.
    pub(super) finished: VecDeque<SendCallback>,
    /// The callback that runs when the slot is free, and the waitset that runs it.
    pub(super) register_send: Option<(WeakWaitset, SendCallback)>,
    /// Present while the slot or the backlog has something, unless the binding is exempt.
    pub(super) unsent: Option<Unsent>,
    /// The account of the peer, if it has one.
    account: Option<Account>,
    /// Charge for the messages in the slot and the backlog, where they are long.
    unsent_memory: Option<Charge>,
    /// Where received messages go while the binding is closing.
    pub(super) discarded: Option<Box<Incoming>>,
    /// Callbacks to post or to drop as soon as nothing is borrowed.
    pub(super) due: Vec<Due>,
}

/// User code that is due as soon as nothing is borrowed.
pub(super) enum Due {
    Event(Event<Arc<SentSlot>>),
    /// To be posted, or dropped if its waitset is gone.
    Post(WeakWaitset, SendCallback),
    Drop(SendCallback),
}

impl Due {
    fn run(self, shell: &Weak<Shell>) {
        match self {
            Self::Event(Event::Wake(waker)) => waker.wake(),
            Self::Event(Event::Report(slot, result)) => slot.settle(result),
            Self::Event(Event::Fail(call, error)) => {
                if let Some(shell) = shell.upgrade()
                    && let Some(shared) = shell.shared.get()
                {
                    shared.settle(call, || Err(error));
                }
            }
            Self::Event(Event::PassOn(line)) => {
                let Some(waitset) = shell.upgrade().and_then(|shell| shell.waitset()) else {
                    return;
                };
                let shell = Weak::clone(shell);
                waitset.post(move |_| {
                    if let Some(shell) = shell.upgrade() {
                        shell.pass_on(line);
                    }
                    Ok(())
                });
            }
            Self::Post(waitset, callback) => {
                if let Some(waitset) = waitset.upgrade() {
                    waitset.post(callback);
                }
            }
            Self::Drop(callback) => drop(callback),
        }
    }
}

/// Runs everything. Of several panics the first is resumed, after the others have had their turn.
pub(super) fn run_all<T>(items: impl IntoIterator<Item = T>, run: impl Fn(T)) {
    let mut panicked = None;
    for item in items {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(item))) {
            panicked.get_or_insert(panic);
        }
    }
    if let Some(panic) = panicked {
        resume_unwind(panic);
    }
}

/// Wakes all of them, even if one panics.
pub(super) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    run_all(wakers, Waker::wake);
}

/// Runs what is due at a binding.
pub(super) fn run_due(shell: &Weak<Shell>, due: impl IntoIterator<Item = Due>) {
    run_all(due, |due| due.run(shell));
}

impl Io {
    /// Keeps the process from ending before the slot and the backlog are sent, and charges their memory to the peer that
    /// does not read. A peer over its limit is noted as an error, which ends the binding.
    #[cold]
    pub(super) fn note_unsent(&mut self) {
        if self.unsent.is_none() && !self.connection.is_exempt() && self.connection.has_unsent() {
            self.unsent = Some(Unsent::new());
        }
        if let Err(limit) = self.charge_unsent()
            && !self.connection.has_unreported_errors()
        {
            self.connection.note(BindingError::Protocol(ProtocolError::OverLimit(limit)));
        }
    }

    fn charge_unsent(&mut self) -> Result<(), OverLimit> {
        let Some(account) = &self.account else { return Ok(()) };
        let words = self.connection.held_words();
        match &mut self.unsent_memory {
            Some(memory) => memory.resize(8 * words as u64),
            None if words > KEPT_WORDS => {
                self.unsent_memory = Some(account.charge(Resource::Bytes, 8 * words as u64)?);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Nothing is unsent any more.
    pub(super) fn all_is_sent(&mut self) {
        self.unsent = None;
        self.unsent_memory = None;
    }

    /// Takes out everything that is due.
    pub(super) fn take_due(&mut self) -> Vec<Due> {
        let mut due = core::mem::take(&mut self.due);
        due.extend(self.connection.drain_events().map(Due::Event));
        due
    }

    fn has_due(&self) -> bool {
        self.connection.has_events() || !self.due.is_empty()
    }

    /// The message in the slot is sent: its continuations have their time, then the callback that waits for the slot.
    fn slot_sent(&mut self) -> usize {
        let count = self.continuations.len();
        self.finished.extend(self.continuations.drain(..));
        self.slot_is_free();
        count
    }

    /// The message in the slot is lost: its continuations are dropped.
    fn slot_lost(&mut self) {
        self.due.extend(self.continuations.drain(..).map(Due::Drop));
        self.slot_is_free();
    }

    fn slot_is_free(&mut self) {
        let waiting = self.register_send.take();
        self.due.extend(waiting.map(|(waitset, callback)| Due::Post(waitset, callback)));
    }
}

/// What a shell is made of.
pub(super) struct Parts {
    pub(super) channel: Box<dyn Channel>,
    pub(super) interface: &'static Interface,
    pub(super) notifier: Notifier,
    pub(super) peer: Peer,
    pub(super) charge: Option<Charge>,
}

impl Shell {
    pub(super) fn new(parts: Parts, waitset: &Waitset) -> Rc<Self> {
        let Parts { channel, interface, notifier, peer, charge } = parts;
        let account = charge.as_ref().map(|charge| charge.account().clone());
        Rc::new_cyclic(|myself| Self {
            myself: myself.clone(),
            interface,
            peer,
            _charge: charge,
            driver: channel.driver(),
            notifier,
            handles: Cell::new(1),
            kept: Cell::new(false),
            waitset: RefCell::new(waitset.downgrade()),
            token: Cell::new(u64::MAX),
            polled: matches!(channel.readiness(), Readiness::Polled),
            untrimmed: Cell::new(false),
            io: RefCell::new(Io {
                connection: Connection::new(interface),
                channel,
                continuations: Vec::new(),
                finished: VecDeque::new(),
                register_send: None,
                unsent: None,
                account,
                unsent_memory: None,
                discarded: None,
                due: Vec::new(),
            }),
            receiver: Cell::new(None),
            local_peer: RefCell::new(Weak::new()),
            ticker: Cell::new(None),
            shared: OnceCell::new(),
            mail: OnceCell::new(),
            polled_in_handler: Cell::new(false),
        })
    }

    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        self.io.borrow().connection.has_ended()
    }

    pub(super) fn strong(&self) -> Rc<Self> {
        self.myself.upgrade().expect("a shell is used through an Rc of it")
    }

    pub(super) fn waitset(&self) -> Option<Waitset> {
        self.waitset.borrow().upgrade()
    }

    /// Returns the waitset that serves the binding, which may be gone.
    pub(super) fn home_waitset(&self) -> WeakWaitset {
        self.waitset.borrow().clone()
    }

    pub(super) fn register(&self, waitset: &Waitset) -> io::Result<()> {
        let me = self.strong();
        let io = self.io.borrow();
        let token = match io.channel.readiness() {
            Readiness::Polled => waitset.insert_polled(me)?,
            Readiness::Fd(fd) => waitset.insert(me, fd)?,
        };
        waitset::set_successor(&closing::Closings);
        self.token.set(token);
        *self.waitset.borrow_mut() = waitset.downgrade();
        self.notifier.retarget(waitset.remote(), token);
        Ok(())
    }

    pub(super) fn unregister(&self, waitset: &Waitset, token: u64) {
        let io = self.io.borrow();
        let fd = match io.channel.readiness() {
            Readiness::Polled => None,
            Readiness::Fd(fd) => Some(fd),
        };
        waitset.remove(token, fd);
    }

    /// Has the waitset visit this binding. The waitset may disarm the channel, so nothing may be borrowed.
    pub(super) fn poke(&self) {
        if let Some(waitset) = self.waitset() {
            waitset.poke(self.token.get());
        }
    }

    /// The error handler is to be given this error, in the step that runs or in the next.
    pub(super) fn note(&self, error: BindingError) {
        self.io.borrow_mut().connection.note(error);
    }

    /// Runs the wakers, receipts and callbacks that are due.
    #[cold]
    pub(super) fn run_events(&self) {
        let mut due = {
            let io = &mut *self.io.borrow_mut();
            if !io.has_due() {
                return;
            }
            io.take_due()
        };
        run_due(&self.myself, due.drain(..));
        // The memory is kept for the next ones.
        let io = &mut *self.io.borrow_mut();
        due.append(&mut io.due);
        io.due = due;
    }

    fn pass_on(&self, line: connection::Line) {
        self.io.borrow_mut().connection.pass_on(line);
        self.run_events();
    }

    /// Wakes the tasks that wait for the slot, if it is free, and those that wait for a place in the window.
    pub(super) fn wake_next(&self) {
        self.io.borrow_mut().connection.wake_next();
        self.run_events();
    }

    /// Sends what the channel takes of the slot and the backlog, and then runs what is due. Returns true if anything moved.
    #[cold]
    pub(super) fn pump(&self) -> bool {
        let moved = self.pump_channel();
        self.run_events();
        self.wake_next();
        moved
    }

    /// Sends what the channel takes of the slot and the backlog. Returns true if anything moved.
    pub(super) fn pump_channel(&self) -> bool {
        use connection::Took;

        let mut moved = false;
        loop {
            let io = &mut *self.io.borrow_mut();
            let Some((mut message, from)) = io.connection.outgoing() else {
                io.all_is_sent();
                return moved;
            };
            let result = io.channel.send(&mut message, from);
            match io.connection.took(result) {
                Took::All => {
                    moved = true;
                    let finished = io.slot_sent();
                    self.trim_slot_before_sleep(io);
                    if finished > 0
                        && let Some(waitset) = self.waitset()
                    {
                        (0..finished).for_each(|_| self.post_finished(&waitset));
                    }
                }
                Took::Lost => {
                    moved = true;
                    io.slot_lost();
                    self.trim_slot_before_sleep(io);
                }
                Took::Part { moved: more } => return moved || more,
                Took::PeerGone => return moved,
                Took::Failed => return true,
            }
        }
    }

    fn trim_slot_before_sleep(&self, io: &Io) {
        if io.connection.has_large_slot() {
            self.trim_before_sleep();
        }
    }

    /// Sends notices that were queued, and has the waitset do the rest.
    #[cold]
    pub(super) fn flush(&self) {
        if self.io.borrow().connection.state() == State::Free {
            self.pump_channel();
        }
        let (is_visited, has_due) = {
            let io = &mut *self.io.borrow_mut();
            io.note_unsent();
            let is_visited = io.connection.has_unsent() || io.connection.has_unreported_errors();
            (is_visited, io.has_due())
        };
        if is_visited {
            self.poke();
        }
        if has_due {
            self.run_later();
        }
    }

    /// Runs what is due from the waitset: this may be inside of a send.
    fn run_later(&self) {
        let shell = Weak::clone(&self.myself);
        if let Some(waitset) = self.waitset() {
            waitset.post(move |_| {
                if let Some(shell) = shell.upgrade() {
                    shell.run_events();
                }
                Ok(())
            });
        }
    }

    /// Has `callback` run from the waitset that the binding has when its turn comes.
    pub(super) fn run_from_waitset(&self, callback: SendCallback) {
        let waitset = self.waitset();
        if let Some(waitset) = waitset {
            self.io.borrow_mut().finished.push_back(callback);
            self.post_finished(&waitset);
        }
    }

    pub(super) fn post_finished(&self, waitset: &Waitset) {
        let shell = self.strong();
        waitset.post(move |waitset| {
            // The binding may have moved on, and another task with it.
            if !shell.waitset().is_some_and(|own| own.same(waitset)) {
                return Ok(());
            }
            let callback = shell.io.borrow_mut().finished.pop_front();
            callback.map_or(Ok(()), |callback| callback(waitset))
        });
    }

    /// A large message is done. Its memory is given back when no other follows.
    #[cold]
    pub(super) fn trim_before_sleep(&self) {
        if !self.untrimmed.replace(true)
            && let Some(waitset) = self.waitset()
        {
            waitset.trim_before_sleep(Weak::clone(&self.myself) as Weak<dyn Source>);
        }
    }

    /// The inbox has changed.
    pub(super) fn check_inbox(&self, mail: &Mail) {
        self.io.borrow_mut().connection.set_inbox_full(mail.is_full());
    }

    /// Returns true if an inbox has no room.
    #[inline]
    pub(super) fn is_mail_full(&self) -> bool {
        self.mail.get().is_some_and(|mail| mail.is_full())
    }
}

/// Replaces the channel of an ended binding.
pub(super) struct Ended;

impl Channel for Ended {
    fn driver(&self) -> &'static str {
        "none"
    }

    fn send(
        &mut self,
        _message: &mut Outgoing<'_>,
        _from: usize,
    ) -> Result<Progress, ChannelError> {
        Err(ChannelError::Closed)
    }

    fn recv(&mut self, _incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        Err(ChannelError::Closed)
    }

    fn ready(&mut self) -> bool {
        false
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn close(&mut self) {}
}

impl Source for Shell {
    #[inline]
    fn turn(&self) -> bool {
        self.step(|_| false)
    }

    fn ready(&self) -> bool {
        let io = &mut *self.io.borrow_mut();
        let Io { connection, channel, .. } = io;
        if connection.state() == State::Closing {
            return connection.peer_gone().is_some() || channel.ready() || channel.can_resume();
        }
        if self.is_delivering_in(connection.has_ended()) {
            // A handler that dispatches in turn would wait for itself, if it did not sleep.
            self.polled_in_handler.set(true);
            connection.look_at_everything();
            return !connection.is_peer_gone(|| channel.is_over()) && channel.can_resume();
        }
        let something = match connection.intake(|| channel.is_over()) {
            Intake::Everything => connection.has_held_back() || channel.ready(),
            Intake::Replies => channel.ready(),
            // To a peer that is gone nothing gets through, and its end is reported when there is room for what came before.
            Intake::Nothing => {
                !connection.is_peer_gone(|| channel.is_over()) && channel.can_resume()
            }
        };
        something || connection.has_news()
    }

    fn arm(&self) -> bool {
        self.io.borrow_mut().channel.arm();
        true
    }

    fn disarm(&self) {
        self.io.borrow_mut().channel.disarm();
    }

    fn sleep_limit(&self) -> Option<Duration> {
        self.io.borrow_mut().channel.sleep_limit()
    }

    fn trim(&self) {
        self.untrimmed.set(false);
        if let Some(mut receiver) = self.receiver.take() {
            // The memory may hold words of a message that has come in part, or waits for its capabilities.
            if !receiver.incoming.trim() {
                self.trim_before_sleep();
            }
            self.put_back(receiver);
        }
        self.io.borrow_mut().connection.trim();
    }

    fn is_polled(&self) -> bool {
        self.polled
    }

    fn peer_gone(&self, gone: Gone) {
        self.io.borrow_mut().connection.set_peer_gone(gone);
    }

    fn abandoned(&self) {
        self.waitset_ends();
    }
}
