//! The shell of one end: it owns the channel, the handler and the registration with the waitset, and drives the
//! [`Connection`].
//!
//! [`Threading`] says how the parts are shared: within one thread, which costs no lock and no atomic operation, or between
//! any threads. User code runs with nothing borrowed or locked: handlers from [`Shell::step`] only, which a waitset calls;
//! wakers and receipts from [`Shell::run_events`]. The receiver (handler and message) is taken out of the shell while a
//! handler runs, so a nested dispatch finds the binding busy and skips it.

use core::task::Waker;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;

use crate::account::{Account, Charge, OverLimit, Resource};
use crate::binding::connection::{self, Connection, Event, Intake, State};
use crate::binding::shared::SentSlot;
use crate::binding::threading::{Lock, OneThread, Own, Slot, Threading};
use crate::binding::{BindingError, closing};
use crate::channel::{
    Channel, ChannelError, Incoming, KEPT_WORDS, Outgoing, PeerProcessor, Progress, ProtocolError,
    Readiness, Recv,
};
use crate::exit::Unsent;
use crate::interface::Interface;
use crate::notify::{Gone, Notifier};
use crate::pages;
use crate::peer::Peer;
use crate::waitset::{self, Outcome, Run, Source, SourceFds, Turned, Waitset, WeakWaitset};

/// A task that a program has run after a message.
pub(super) type SendCallback = Box<dyn FnOnce(&Waitset) -> Outcome>;

/// On lines of its own, and the neighbours that are fetched with them: memory that another thread has freed may lie beside
/// what it still uses, and each message writes here.
#[repr(align(128))]
pub(crate) struct Shell<T: Threading = OneThread> {
    pub(super) myself: T::Weak,
    pub(super) interface: &'static Interface,
    pub(super) peer: Peer,
    /// Returns the binding to the account of the peer.
    _charge: Option<Charge>,
    pub(super) driver: &'static str,
    pub(super) notifier: Notifier,
    /// True if the channel has no descriptor that reports its events.
    pub(super) polled: bool,
    /// What [`Channel::wants_pauses`] returns.
    wants_pauses: bool,
    pub(super) io: T::Lock<Io<T>>,
    /// Handler and incoming message; absent while a handler runs, and at the end.
    pub(super) receiver: T::Slot<Box<Receiver<T>>>,
    pub(super) own: T::Own,
}

/// On lines of its own, like a [`Shell`].
#[repr(align(128))]
pub(super) struct Receiver<T: Threading = OneThread> {
    pub(super) incoming: Incoming,
    /// Messages since a look found none: see [`STREAM`](super::step::STREAM).
    pub(super) in_a_row: u32,
    pub(super) handler: Box<T::Handler>,
    /// What is lent to the handler. It does not count as a handle; the binding always ends, which drops it.
    pub(super) raw: T::Raw,
}

impl<T: Threading> Drop for Receiver<T> {
    fn drop(&mut self) {
        T::receiver_dropped(&self.raw);
    }
}

pub(super) struct Io<T: Threading = OneThread> {
    pub(super) connection: Connection<T::Timer, Arc<SentSlot>>,
    pub(super) channel: Box<T::Channel>,
    /// Callbacks that follow the message in the slot.
    pub(super) continuations: Vec<T::Callback>,
    /// Callbacks whose time has come: for each, a task that runs the first is posted to the waitset.
    pub(super) finished: VecDeque<T::Callback>,
    /// The callback that runs when the slot is free, and the waitset that runs it.
    pub(super) register_send: Option<(T::Waitset, T::Callback)>,
    /// Present while the slot or the backlog has something, unless the binding is exempt.
    pub(super) unsent: Option<Unsent>,
    /// The account of the peer, if it has one.
    account: Option<Account>,
    /// Charge for the messages in the slot and the backlog, where they are long.
    unsent_memory: Option<Charge>,
    /// Where received messages go while the binding is closing.
    pub(super) discarded: Option<Box<Incoming>>,
    /// Callbacks to post or to drop as soon as nothing is borrowed.
    pub(super) due: Vec<Due<T>>,
}

/// User code that is due as soon as nothing is borrowed.
pub(super) enum Due<T: Threading = OneThread> {
    Event(Event<Arc<SentSlot>>),
    /// To be posted, or dropped if its waitset is gone.
    Post(T::Waitset, T::Callback),
    Drop(T::Callback),
}

impl<T: Threading> Due<T> {
    fn run(self, shell: &T::Weak) {
        match self {
            Self::Event(Event::Wake(waker)) => waker.wake(),
            Self::Event(Event::Report(slot, result)) => slot.settle(result),
            Self::Event(Event::Fail(call, error)) => {
                if let Some(shell) = T::upgrade(shell) {
                    T::settle_call(&shell, call, || Err(error));
                }
            }
            Self::Event(Event::PassOn(line)) => {
                if let Some(shell) = T::upgrade(shell) {
                    T::pass_on_later(&shell, line);
                }
            }
            Self::Post(waitset, callback) => T::post(waitset, callback),
            Self::Drop(callback) => drop(callback),
        }
    }
}

/// What is left to run and to drop when a binding has ended.
pub(super) struct AfterEnd<T: Threading> {
    pub(super) shell: T::Weak,
    pub(super) receiver: Option<Box<Receiver<T>>>,
    pub(super) due: Vec<Due<T>>,
}

impl<T: Threading> AfterEnd<T> {
    pub(super) fn run(self) {
        drop(self.receiver);
        run_due(&self.shell, self.due);
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
pub(super) fn run_due<T: Threading>(shell: &T::Weak, due: impl IntoIterator<Item = Due<T>>) {
    run_all(due, |due| due.run(shell));
}

impl<T: Threading> Io<T> {
    pub(super) fn new(
        interface: &'static Interface,
        channel: Box<T::Channel>,
        account: Option<Account>,
    ) -> Self {
        Self {
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
        }
    }

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

    /// Returns the account of the peer, if it has one.
    pub(super) const fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Nothing is unsent any more.
    pub(super) fn all_is_sent(&mut self) {
        self.unsent = None;
        self.unsent_memory = None;
    }

    /// Takes out everything that is due.
    pub(super) fn take_due(&mut self) -> Vec<Due<T>> {
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
pub(super) struct Parts<T: Threading = OneThread> {
    pub(super) channel: Box<T::Channel>,
    pub(super) interface: &'static Interface,
    pub(super) notifier: Notifier,
    pub(super) peer: Peer,
    pub(super) charge: Option<Charge>,
}

impl<T: Threading> Shell<T> {
    pub(super) fn of(parts: Parts<T>, myself: T::Weak, own: T::Own) -> Self {
        let Parts { channel, interface, notifier, peer, charge } = parts;
        let account = charge.as_ref().map(|charge| charge.account().clone());
        Self {
            myself,
            interface,
            peer,
            _charge: charge,
            driver: channel.driver(),
            notifier,
            polled: matches!(channel.readiness(), Readiness::Polled),
            wants_pauses: channel.wants_pauses(),
            io: Lock::new(Io::new(interface, channel, account)),
            receiver: Slot::empty(),
            own,
        }
    }

    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        self.io.lock().connection.has_ended()
    }
}

impl Shell {
    pub(super) fn new(parts: Parts, waitset: &Waitset) -> Rc<Self> {
        Rc::new_cyclic(|myself| Self::of(parts, myself.clone(), Own::new(waitset.downgrade())))
    }

    pub(super) fn strong(&self) -> Rc<Self> {
        self.myself.upgrade().expect("a shell is used through an Rc of it")
    }

    pub(super) fn waitset(&self) -> Option<Waitset> {
        self.own.waitset.borrow().upgrade()
    }

    /// Returns the waitset that serves the binding, which may be gone.
    pub(super) fn home_waitset(&self) -> WeakWaitset {
        self.own.waitset.borrow().clone()
    }

    pub(super) fn register(&self, waitset: &Waitset) -> io::Result<()> {
        let me = self.strong();
        let io = self.io.borrow();
        let token = match io.channel.readiness() {
            Readiness::Polled => waitset.insert_polled(me, self.own.priority.get())?,
            Readiness::Fds(fds) => waitset.insert(me, self.own.priority.get(), fds)?,
        };
        waitset::set_successor(&closing::Closings);
        self.own.token.set(token);
        *self.own.waitset.borrow_mut() = waitset.downgrade();
        self.notifier.retarget(waitset.remote(), token);
        Ok(())
    }

    pub(super) fn unregister(&self, waitset: &Waitset, token: u64) {
        let io = self.io.borrow();
        waitset.remove(token, io.channel.readiness().fds());
    }
}

impl<T: Threading> Shell<T> {
    /// Has the waitset visit this binding. The waitset may disarm the channel, so nothing may be borrowed.
    pub(super) fn poke(&self) {
        T::poke(self);
    }

    /// The error handler is to be given this error, in the step that runs or in the next.
    pub(super) fn note(&self, error: BindingError) {
        self.io.lock().connection.note(error);
    }

    /// Runs the wakers, receipts and callbacks that are due.
    #[cold]
    pub(super) fn run_events(&self) {
        let mut due = {
            let io = &mut *self.io.lock();
            if !io.has_due() {
                return;
            }
            io.take_due()
        };
        run_due(&self.myself, due.drain(..));
        // The memory is kept for the next ones.
        let io = &mut *self.io.lock();
        due.append(&mut io.due);
        io.due = due;
    }

    pub(super) fn pass_on(&self, line: connection::Line) {
        self.io.lock().connection.pass_on(line);
        self.run_events();
    }

    /// Wakes the tasks that wait for the slot, if it is free, and those that wait for a place in the window.
    pub(super) fn wake_next(&self) {
        self.io.lock().connection.wake_next();
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
            let mut guard = self.io.lock();
            let io = &mut *guard;
            let Some((mut message, from)) = io.connection.outgoing() else {
                io.all_is_sent();
                return moved;
            };
            let number = message.number;
            let result = io.channel.send(&mut message, from);
            let is_large = io.connection.has_large_slot();
            let mut lost = None;
            let finished = match io.connection.took(result) {
                Took::All => io.slot_sent(),
                Took::Lost => {
                    io.slot_lost();
                    lost = self.bulks_of(number).map(|_| io.connection.lost_words());
                    0
                }
                Took::Part { moved: more } => return moved || more,
                Took::PeerGone => return moved,
                Took::Failed => return true,
            };
            moved = true;
            drop(guard);
            if let Some(words) = lost {
                self.take_slots_back(number, &words);
            }
            if is_large {
                T::trim_later(self);
            }
            if finished > 0 {
                T::post_finished(self, finished);
            }
        }
    }

    /// Sends notices that were queued, and has the waitset do the rest.
    #[cold]
    pub(super) fn flush(&self) {
        if self.state() == State::Free {
            self.pump_channel();
        }
        let (is_visited, has_due) = {
            let io = &mut *self.io.lock();
            io.note_unsent();
            let is_visited = io.connection.has_unsent() || io.connection.has_unreported_errors();
            (is_visited, io.has_due())
        };
        if is_visited {
            self.poke();
        }
        if has_due {
            // This may be inside of a send.
            T::run_events_later(self);
        }
    }

    pub(super) fn state(&self) -> State {
        self.io.lock().connection.state()
    }
}

impl Shell {
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

    /// Returns true if an inbox has no room.
    #[inline]
    pub(super) fn is_mail_full(&self) -> bool {
        self.own.mail.get().is_some_and(|mail| mail.is_full())
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

impl<T: Threading> Shell<T> {
    /// Returns true if a step would do something. `must_sleep` is called if a handler runs.
    pub(super) fn would_step(&self, must_sleep: impl FnOnce()) -> bool {
        let has_row = self.has_row();
        let io = &mut *self.io.lock();
        let Io { connection, channel, .. } = io;
        if connection.state() == State::Closing {
            return connection.peer_gone().is_some() || channel.ready() || channel.can_resume();
        }
        if self.is_delivering_in(connection.has_ended()) {
            // A handler that dispatches in turn would wait for itself, if it did not sleep.
            must_sleep();
            connection.look_at_everything();
            return !connection.is_peer_gone(|| channel.is_over()) && channel.can_resume();
        }
        let something = match connection.intake(|| channel.is_over()) {
            Intake::Everything => connection.has_held_back() || has_row || channel.ready(),
            Intake::Replies => has_row || channel.ready(),
            // To a peer that is gone nothing gets through, and its end is reported when there is room for what came before.
            Intake::Nothing => {
                !connection.is_peer_gone(|| channel.is_over()) && channel.can_resume()
            }
        };
        something || connection.has_news()
    }

    /// Returns true if messages that were received together are left.
    fn has_row(&self) -> bool {
        let Some(receiver) = self.receiver.take() else { return false };
        let has_row = receiver.incoming.has_row();
        self.put_back(receiver);
        has_row
    }

    /// Frees the memory that large messages took.
    pub(super) fn trim_now(&self) {
        // The memory may hold words of a message that is delivered, has come in part, or waits for its capabilities.
        let is_free = self.receiver.take().is_some_and(|mut receiver| {
            let is_free = receiver.incoming.trim();
            self.put_back(receiver);
            is_free
        });
        if !is_free {
            T::trim_later(self);
        }
        let unused = self.io.lock().connection.take_large_slot();
        pages::free(unused);
    }
}

impl Shell {
    /// Returns true if a handle in another thread, or a buffer there, may need this end while it waits.
    fn serves_other_threads(&self) -> bool {
        self.own.shared.get().is_some() || self.own.bulk.get().is_some_and(Option::is_some)
    }
}

impl Source for Shell {
    #[inline]
    fn turn(&self) -> Turned {
        self.step::<false>(|_| false)
    }

    fn run(&self, run: Run<'_>) -> bool {
        self.run_stream(run)
    }

    fn ready(&self) -> bool {
        self.would_step(|| self.own.polled_in_handler.set(true))
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

    fn needs_room(&self) -> bool {
        self.io.borrow().connection.has_unsent()
    }

    fn with_descriptors(&self, f: &mut dyn FnMut(SourceFds<'_>)) {
        if let Some(fds) = self.io.borrow().channel.readiness().fds() {
            f(fds);
        }
    }

    fn peer_processor(&self, this: usize) -> PeerProcessor {
        if self.own.hands_over.get() {
            PeerProcessor::This
        } else {
            self.io.borrow().channel.peer_processor(this)
        }
    }

    fn wait_briefly(&self) -> bool {
        !self.serves_other_threads() && self.io.borrow_mut().channel.wait_briefly()
    }

    fn recv_waits(&self, waits: bool) -> bool {
        let waits = waits && !self.serves_other_threads();
        self.io.borrow_mut().channel.recv_waits(waits) && waits
    }

    fn trim(&self) -> bool {
        if self.own.had_large.take() {
            return true;
        }
        self.own.has_large.set(false);
        self.trim_now();
        false
    }

    fn is_polled(&self) -> bool {
        self.polled
    }

    fn wants_pauses(&self) -> bool {
        self.wants_pauses
    }

    fn peer_gone(&self, gone: Gone) {
        self.io.borrow_mut().connection.set_peer_gone(gone);
    }

    fn abandoned(&self) {
        self.waitset_ends();
    }
}
