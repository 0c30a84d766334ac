//! One end of a channel with an interface on top: the binding object of TN-011 section 3.2.
//!
//! ```text
//!   tx_* --> [ one outgoing slot ] --> Channel::send          states of the slot
//!   reply -> [ backlog ] -----------'                            Free --send--> Free      (the channel took it all)
//!                                                                Free --send--> Sending   (it took a part)
//!   handler <-- decode <-- [ Incoming ] <-- Channel::recv        Sending --ready--> Free  (continuation is posted)
//!                                                                any --teardown, last handle--> Closing --all sent--> Closed
//!                                                                any --error--> Closed
//! ```
//! A binding belongs to the thread of its waitset and costs no lock and no atomic operation. User code is called from
//! `Core::turn` only, which runs from a waitset, with nothing borrowed: the receiver (handler and message) is taken
//! out of the binding while it runs, so a nested dispatch finds the binding busy and passes it over.

use core::cell::{Cell, OnceCell, RefCell};
use core::fmt;
use core::task::Waker;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::account::Charge;
use crate::cap::Cap;
use crate::channel::{
    CapRefusal, Channel, ChannelError, Control, Incoming, KEPT_WORDS, Outgoing, Progress,
    RUNTIME_MESSAGE, Readiness, Recv, RecvNow,
};
use crate::exit::Unsent;
use crate::interface::{Interface, MessageKind};
pub use crate::message::Received;
use crate::notify::{Gone, Notifier};
use crate::peer::Peer;
use crate::waitset::{self, Outcome, Source, Waitset, WeakWaitset};
use crate::wire::{DecodeError, Gather, LINE};

mod backlog;
mod call;
mod calls;
mod closing;
mod debts;
mod error;
mod inbox;
mod message_type;
mod notice;
mod refusal;
mod reply;
mod sending;
mod sent;
mod serve;
mod shared;
mod turns;
mod twins;
mod window;

pub use crate::waitset::{DEFAULT_TIMEOUT, Timeout};
use backlog::{Backlog, Waiting};
pub use call::{Call, Procedure, Reply};
use calls::Calls;
pub use closing::Closing;
use closing::{Due, Rest, run_all, wake_all};
use debts::Debts;
pub use error::{BindingError, ControlError, Rejected, RpcError, TxError};
pub use inbox::{Inbox, Messages, Receiving, RecvError};
pub use message_type::MessageType;
use notice::Notice;
use refusal::Part;
pub use reply::{Cancelled, ReplyToken};
pub use sending::Sending;
pub use sent::Sent;
pub use serve::Handler;
pub use shared::{SHARED_QUEUE, SharedCall, SharedEndpoint, SharedSend, SharedSent};
use turns::Turns;
pub use window::CALL_WINDOW;

/// Replies that may be owed, or wait for room; with so many, an end takes nothing more until some are sent. Twice as many as the
/// peer may have calls under way. Of a peer that is gone it takes what is left, up to as many calls again.
pub const MAX_OWED_REPLIES: usize = 2 * CALL_WINDOW;

/// What a generated module gives to its binding: the receive handlers behind the decoder.
pub trait Dispatch {
    /// Decodes `message` and runs its handler.
    ///
    /// # Errors
    /// If the words are not those of a message of the interface; the binding ends then.
    fn deliver(&mut self, raw: &RawBinding, message: Received<'_>) -> Result<(), DecodeError>;

    /// Runs the error handler.
    fn error(&mut self, raw: &RawBinding, error: BindingError);

    /// Learns of its binding, before anything is delivered.
    fn attached(&mut self, raw: &RawBinding) {
        let _ = raw;
    }
}

/// A handle to a binding: what every generated `Binding` is underneath, and derefs to.
///
/// Clones are handles to the same binding. When the last handle of a client is dropped the binding is [torn
/// down](RawBinding::teardown), which sends what was accepted; the bindings of a service are kept by its export until they end.
pub struct RawBinding(BelongsToOneThreadUseShared);

/// The core of a handle. rustc names the type, and shows its line, where a binding is sent to another thread.
struct BelongsToOneThreadUseShared(Rc<Core>); // `binding.shared()` is for any thread

impl core::ops::Deref for BelongsToOneThreadUseShared {
    type Target = Rc<Core>;

    #[inline]
    fn deref(&self) -> &Rc<Core> {
        &self.0
    }
}

/// On lines of its own, and the neighbours that are fetched with them: memory that another thread has freed may lie beside
/// what it still uses, and each message writes here.
#[repr(align(128))]
pub(crate) struct Core {
    myself: Weak<Core>,
    interface: &'static Interface,
    peer: Peer,
    /// Gives the binding back to the account of the peer.
    _charge: Option<Charge>,
    driver: &'static str,
    notifier: Notifier,
    /// Live handles of the user.
    handles: Cell<usize>,
    /// Whether the binding lives without handles.
    kept: Cell<bool>,
    /// Whether it is the end of a service.
    is_service: Cell<bool>,
    place: RefCell<Place>,
    token: Cell<u64>,
    /// Whether the channel has no descriptor to tell of its events.
    polled: bool,
    /// Whether nothing but receiving is to be done in a turn: true only if the slot and the backlog are free, fewer replies
    /// are owed than may be, nobody said that the peer is dead, and the error handler has been told everything. Whoever changes one of these clears it; a turn
    /// that finds it cleared looks at all of them.
    calm: Cell<bool>,
    /// Whether the waitset knows that this binding has memory to give back.
    untrimmed: Cell<bool>,
    io: RefCell<Io>,
    /// Handler and incoming message; absent while a handler runs, and at the end.
    receiver: Cell<Option<Box<Receiver>>>,
    /// The other end, when it is in this thread.
    twin: RefCell<Weak<Core>>,
    calls: Calls,
    /// Replies owed by this end.
    debts: Debts,
    /// Where messages wait that are received as values.
    mail: OnceCell<Rc<inbox::Mail>>,
    /// Whether the receiver has a message that came while too many replies were owed.
    parked: Cell<bool>,
    /// Whether it was asked for events while its handler ran: it said that there is nothing, and may rest now.
    denied: Cell<bool>,
    /// What the broker has told of the other end.
    peer_gone: Cell<Option<Gone>>,
    /// Whether it is a binding of a broker: see [`RawBinding::exempt`].
    exempt: Cell<bool>,
    /// Why the binding ended, until the error handler has been told.
    unreported_errors: RefCell<VecDeque<BindingError>>,
    ended: RefCell<Option<BindingError>>,
}

/// Where the binding is registered.
struct Place {
    waitset: WeakWaitset,
}

/// On lines of its own, as a [`Core`].
#[repr(align(128))]
struct Receiver {
    incoming: Incoming,
    handler: Box<dyn Dispatch>,
    /// What is lent to the handler. It does not count as a handle; the binding always ends, which drops it.
    raw: RawBinding,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // The drop of the endpoint takes away what it never added.
        let handles = &self.raw.0.handles;
        handles.set(handles.get() + 1);
    }
}

struct Io {
    state: TxState,
    channel: Box<dyn Channel>,
    slot: Owned,
    /// Words of the slot that the channel has taken.
    taken: usize,
    /// Messages accepted, and messages sent, since the beginning.
    accepted: u64,
    sent: u64,
    /// Serial of the last message that was lost from the slot.
    lost: u64,
    /// What follows the message in the slot, the futures that wait for it to be sent, and the thread that asked.
    continuations: Vec<SendCallback>,
    watchers: Vec<Waker>,
    report: Option<Arc<shared::SentSlot>>,
    /// Callbacks whose time has come: for each, a task that runs the first is posted to the waitset.
    finished: VecDeque<SendCallback>,
    /// Futures that wait for the slot.
    turns: Turns,
    /// What is due as soon as nothing is borrowed.
    due: Vec<Due>,
    register_send: Option<(WeakWaitset, SendCallback)>,
    backlog: Backlog,
    /// There while the slot or the backlog has something, unless the binding is exempt.
    unsent: Option<Unsent>,
    /// Where what comes in goes while the binding is closing.
    discarded: Option<Box<Incoming>>,
    /// Whether the binding is closing and what it has not sent is lost.
    is_cut: bool,
    /// Whether everything that was accepted was sent; known when the binding is closed.
    all_sent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TxState {
    Free,
    Sending,
    /// Nothing more is accepted; what was is sent.
    Closing,
    Closed,
}

type SendCallback = Box<dyn FnOnce(&Waitset) -> Outcome>;

/// A message put together in memory of its own.
#[derive(Debug, Default)]
struct Owned {
    number: u16,
    words: Vec<u64>,
    caps: Vec<Cap>,
    cap_count: usize,
}

impl RawBinding {
    /// A handle to `core`.
    #[inline]
    const fn of(core: Rc<Core>) -> Self {
        Self(BelongsToOneThreadUseShared(core))
    }

    /// Puts a binding on a channel that is connected.
    ///
    /// The binding lives as long as its handles; [`RawBinding::keep`] lets it live until it ends by itself. Its
    /// [`peer`](RawBinding::peer) is unknown: nobody but whoever made the channel can say who has the other end.
    ///
    /// # Errors
    /// If the waitset cannot watch the channel.
    pub fn attach(
        channel: Box<dyn Channel>,
        waitset: &Waitset,
        interface: &'static Interface,
        handler: Box<dyn Dispatch>,
    ) -> io::Result<Self> {
        let notifier = channel.notifier().unwrap_or_default();
        Self::attach_from(channel, waitset, interface, handler, notifier, Peer::unknown(), None)
    }

    /// As [`attach`](RawBinding::attach), for a channel that was made with `notifier` and leads to `peer`, whose account
    /// `charge` is given back to when the binding is gone.
    ///
    /// # Errors
    /// If the waitset cannot watch the channel.
    pub fn attach_from(
        mut channel: Box<dyn Channel>,
        waitset: &Waitset,
        interface: &'static Interface,
        mut handler: Box<dyn Dispatch>,
        notifier: Notifier,
        peer: Peer,
        charge: Option<Charge>,
    ) -> io::Result<Self> {
        channel.attached(waitset)?;
        let polled = matches!(channel.readiness(), Readiness::Polled);
        let pair = channel.pair();
        let account = charge.as_ref().map(|charge| charge.account().clone());
        let core = Rc::new_cyclic(|myself| Core {
            myself: myself.clone(),
            interface,
            peer,
            _charge: charge,
            driver: channel.driver(),
            notifier,
            handles: Cell::new(1),
            kept: Cell::new(false),
            is_service: Cell::new(false),
            place: RefCell::new(Place { waitset: waitset.downgrade() }),
            token: Cell::new(u64::MAX),
            polled,
            io: RefCell::new(Io {
                state: TxState::Free,
                channel,
                slot: Owned::default(),
                taken: 0,
                accepted: 0,
                sent: 0,
                lost: 0,
                continuations: Vec::new(),
                watchers: Vec::new(),
                report: None,
                finished: VecDeque::new(),
                turns: Turns::default(),
                due: Vec::new(),
                register_send: None,
                backlog: Backlog::default(),
                unsent: None,
                discarded: None,
                is_cut: false,
                all_sent: false,
            }),
            calm: Cell::new(false),
            untrimmed: Cell::new(false),
            receiver: Cell::new(None),
            twin: RefCell::new(Weak::new()),
            calls: Calls::default(),
            debts: Debts::default(),
            mail: OnceCell::new(),
            parked: Cell::new(false),
            denied: Cell::new(false),
            peer_gone: Cell::new(None),
            exempt: Cell::new(false),
            unreported_errors: RefCell::default(),
            ended: RefCell::new(None),
        });
        core.register(waitset)?;
        let raw = Self::of(Rc::clone(&core));
        handler.attached(&raw);
        if let Some(pair) = pair {
            twins::attached(pair, &core);
        }
        // Last, because from here on the binding holds itself until it ends.
        core.receiver.set(Some(Box::new(Receiver {
            incoming: Incoming::charged(interface.limits, account),
            handler,
            raw: Self::of(Rc::clone(&core)),
        })));
        Ok(raw)
    }

    /// Lets the binding live without handles, until either side tears it down.
    pub fn keep(&self) {
        self.0.kept.set(true);
    }

    /// Makes this the end of a service: it lives until it ends by itself, and receives nothing while a megabyte of replies
    /// waits for a client that does not read. At most one of two ends may be that of a service. Exported services have done
    /// this.
    pub fn serve(&self) {
        self.0.is_service.set(true);
        self.keep();
    }

    /// Whether a message would be accepted now.
    #[inline]
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.0.io.borrow().state == TxState::Free
    }

    /// Runs `callback` once from `waitset` when a message is likely to be accepted: at once if one would be now, or when
    /// the message in the slot is sent or fails. Nothing is reserved: the callback may find the binding busy again. It does not
    /// keep the waitset, and is dropped unrun if that is gone by then.
    ///
    /// # Errors
    /// [`ControlError::AlreadyRegistered`] if another waits; [`ControlError::Closed`].
    pub fn register_send(
        &self,
        waitset: &Waitset,
        callback: impl FnOnce(&Waitset) -> Outcome + 'static,
    ) -> Result<(), ControlError> {
        let io = &mut *self.0.io.borrow_mut();
        match io.state {
            TxState::Closing | TxState::Closed => return Err(ControlError::Closed),
            _ if io.register_send.is_some() => return Err(ControlError::AlreadyRegistered),
            TxState::Free => waitset.post(callback),
            TxState::Sending => io.register_send = Some((waitset.downgrade(), Box::new(callback))),
        }
        Ok(())
    }

    /// Moves the binding to another waitset of the same thread: its handlers and continuations run from there.
    ///
    /// # Errors
    /// [`ControlError::Os`] if that waitset cannot watch the channel: the binding stays where it is.
    pub fn change_waitset(&self, waitset: &Waitset) -> Result<(), ControlError> {
        let core = &self.0;
        let old = core.waitset();
        if core.has_ended() || !core.notifier.is_here() {
            return Err(ControlError::Closed);
        }
        if old.as_ref().is_some_and(|old| old.same(waitset)) {
            return Ok(());
        }
        core.io.borrow_mut().channel.attached(waitset)?;
        let before = core.token.get();
        core.register(waitset)?;
        if let Some(old) = &old {
            core.unregister(old, before);
        }
        if let Some(home) = core.calls.home.get() {
            if let Some(old) = &old {
                home.move_out(old);
            }
            home.settle_in(waitset);
        }
        core.io.borrow_mut().turns.moved();
        core.calls.window.moved();
        core.untrimmed.set(false);
        core.calls_moved(waitset);
        // The tasks that were to run these are in the queue of the old waitset.
        let finished = core.io.borrow().finished.len();
        (0..finished).for_each(|_| core.post_finished(waitset));
        core.pass_on();
        Ok(())
    }

    /// Carries out a control operation; drivers to which it means nothing do nothing.
    ///
    /// # Errors
    /// [`ControlError::Closed`].
    pub fn control(&self, control: Control) -> Result<(), ControlError> {
        if self.0.has_ended() {
            return Err(ControlError::Closed);
        }
        if control == Control::Teardown {
            self.teardown();
            return Ok(());
        }
        let mut io = self.0.io.borrow_mut();
        io.channel.control(control).map_err(|_| ControlError::Closed)
    }

    /// Tears the binding down, without waiting. From here on nothing is accepted, no handler runs, and what comes in is
    /// discarded; calls that wait end with an error. The own error handler is not called. The peer gets every message and
    /// every reply that was accepted before, and then [`BindingError::Closed`]: what the channel has not taken yet is sent
    /// from the waitset, and continuations run as ever. [`close`](RawBinding::close) tells when that is done. Does nothing
    /// the second time. `IDC_CONTROL_TEARDOWN`
    pub fn teardown(&self) {
        self.0.end(BindingError::Closed, false, Rest::IsSent);
    }

    /// Why the binding ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<BindingError> {
        self.0.ended.borrow().clone()
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// The driver that was chosen.
    #[must_use]
    pub fn driver(&self) -> &'static str {
        self.0.driver
    }

    /// The interface.
    #[must_use]
    pub fn interface(&self) -> &'static Interface {
        self.0.interface
    }

    /// The waitset that serves the binding, unless it is gone.
    #[must_use]
    pub fn waitset(&self) -> Option<Waitset> {
        self.0.waitset()
    }

    /// Sends a message without capabilities. Used by generated code.
    ///
    /// # Errors
    /// [`TxError::Busy`] or [`TxError::Closed`].
    #[inline]
    #[doc(hidden)]
    pub fn send(&self, number: u16, fixed: &[u64], tails: &[&[u8]]) -> Result<Sent<'_>, TxError> {
        if tails.is_empty()
            && let Some(serial) = self.0.accept_now(number, fixed)
        {
            return Ok(Sent::new(self, serial));
        }
        self.send_slowly(number, fixed, tails)
    }

    #[inline(never)]
    fn send_slowly(
        &self,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
    ) -> Result<Sent<'_>, TxError> {
        let mut words = [0; LINE];
        if !tails.is_empty()
            && let Some(used) = (Gather { fixed, tails }).put_together(&mut words)
            && let Some(serial) = self.0.accept_now(number, &words[..used])
        {
            return Ok(Sent::new(self, serial));
        }
        self.send_caps(number, fixed, tails, &mut Vec::new())
    }

    /// Sends a message; on an error its capabilities are still in `caps`. Used by generated code.
    ///
    /// # Errors
    /// [`TxError::Busy`] or [`TxError::Closed`].
    #[inline]
    #[doc(hidden)]
    pub fn send_caps(
        &self,
        number: u16,
        fixed: &[u64],
        tails: &[&[u8]],
        caps: &mut Vec<Cap>,
    ) -> Result<Sent<'_>, TxError> {
        let core = &*self.0;
        let serial = core.accept(number, Gather { fixed, tails }, caps)?;
        Ok(Sent::new(self, serial))
    }

    pub(crate) fn pair_with(&self, other: &Self) {
        twins::pair(&self.0, &other.0);
    }

    /// What identifies the binding to [`Wake::peer_died`](crate::notify::Wake::peer_died).
    #[must_use]
    pub fn token(&self) -> u64 {
        self.0.token.get()
    }
}

impl Clone for RawBinding {
    #[inline]
    fn clone(&self) -> Self {
        self.0.handles.set(self.0.handles.get() + 1);
        Self::of(Rc::clone(&self.0))
    }
}

impl Drop for RawBinding {
    #[inline]
    fn drop(&mut self) {
        let left = self.0.handles.get() - 1;
        self.0.handles.set(left);
        if left == 0 {
            self.last_dropped();
        }
    }
}

impl RawBinding {
    #[cold]
    fn last_dropped(&self) {
        if !self.0.kept.get() {
            self.teardown();
        }
    }
}

impl fmt::Debug for RawBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("interface", &self.0.interface.name)
            .field("driver", &self.0.driver)
            .field("peer", &self.0.peer)
            .finish_non_exhaustive()
    }
}

impl Io {
    /// Whether message `serial` is sent. What was sent since does not count for one that was lost.
    const fn is_sent(&self, serial: u64) -> bool {
        self.sent >= serial && self.lost != serial
    }

    /// Puts into the slot what the channel has not taken.
    #[cold]
    fn stash(
        &mut self,
        number: u16,
        body: Gather<'_>,
        caps: &mut Vec<Cap>,
        cap_count: usize,
        taken: usize,
    ) -> u64 {
        self.state = TxState::Sending;
        self.accepted += 1;
        self.taken = taken;
        self.slot.number = number;
        // The channel does not ask for the words again that it has taken.
        let (len, from) = (body.len(), taken.min(body.len()));
        self.slot.words.resize(len, 0);
        body.reader(from).read(&mut self.slot.words[from..]);
        self.slot.caps = core::mem::take(caps);
        self.slot.cap_count = cap_count;
        self.accepted
    }
}

impl Core {
    #[inline]
    fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    fn strong(&self) -> Rc<Self> {
        self.myself.upgrade().expect("a core is used through an Rc of it")
    }

    fn waitset(&self) -> Option<Waitset> {
        self.place.borrow().waitset.upgrade()
    }

    fn register(&self, waitset: &Waitset) -> io::Result<()> {
        let me = self.strong();
        let io = self.io.borrow();
        let token = match io.channel.readiness() {
            Readiness::Polled => waitset.insert_polled(me)?,
            Readiness::Fd(fd) => waitset.insert(me, fd)?,
        };
        waitset::set_successor(&closing::Closings);
        self.token.set(token);
        self.place.borrow_mut().waitset = waitset.downgrade();
        self.notifier.retarget(waitset.remote(), token);
        Ok(())
    }

    fn unregister(&self, waitset: &Waitset, token: u64) {
        let io = self.io.borrow();
        let fd = match io.channel.readiness() {
            Readiness::Polled => None,
            Readiness::Fd(fd) => Some(fd),
        };
        waitset.remove(token, fd);
    }

    /// Takes a small message for sending, if the channel takes it at once and whole; otherwise does nothing.
    #[inline]
    fn accept_now(&self, number: u16, words: &[u64]) -> Option<u64> {
        self.accept_now_if(number, words, |_| true)
    }

    /// As [`accept_now`](Self::accept_now), if no future waits for the slot.
    #[inline]
    fn accept_first(&self, number: u16, words: &[u64]) -> bool {
        self.accept_now_if(number, words, |io| io.turns.is_empty()).is_some()
    }

    #[inline(always)]
    fn accept_now_if(
        &self,
        number: u16,
        words: &[u64],
        may: impl FnOnce(&Io) -> bool,
    ) -> Option<u64> {
        // Borrowed only by a bug in here, which the general way reports.
        let io = &mut *self.io.try_borrow_mut().ok()?;
        if io.state != TxState::Free || !may(io) || !io.channel.send_now(number, words) {
            return None;
        }
        io.accepted += 1;
        io.sent = io.accepted;
        Some(io.accepted)
    }

    /// Has the error handler told of this in the turn that runs, or in the next.
    fn note(&self, error: BindingError) {
        self.calm.set(false);
        self.unreported_errors.borrow_mut().push_back(error);
    }

    /// Takes a message for sending, if its capabilities may leave this domain.
    #[inline]
    fn accept(&self, number: u16, body: Gather<'_>, caps: &mut Vec<Cap>) -> Result<u64, TxError> {
        // A message that would not be accepted is not asked about.
        if !caps.is_empty() && self.io.borrow().state == TxState::Free {
            self.ask_out(number, body, caps)?;
        }
        match self.accept_allowed(number, body, caps) {
            Err(TxError::Busy) => self.accept_behind_caps(number, body, caps),
            accepted => accepted,
        }
    }

    /// Accepts a message if the one in the slot has waited for nothing but its capabilities, and these are sent: its answer
    /// may have come before the waitset has heard of that. Who waits for room goes first.
    #[cold]
    fn accept_behind_caps(
        &self,
        number: u16,
        body: Gather<'_>,
        caps: &mut Vec<Cap>,
    ) -> Result<u64, TxError> {
        let io = self.io.borrow();
        let is_waited_for = io.register_send.is_some() || !io.turns.is_empty();
        if io.slot.cap_count == 0 || is_waited_for || !self.calls.window.is_free() {
            return Err(TxError::Busy);
        }
        drop(io);
        self.pump_slot();
        // Whom that concerns hears of it in the next turn.
        self.poke();
        if self.io.borrow().state != TxState::Free {
            return Err(TxError::Busy);
        }
        self.accept(number, body, caps)
    }

    /// Takes a message for sending: onto the channel as far as it goes, the rest into the slot.
    // In place, so that the message is put together where it is handed over, and not moved there.
    #[inline(always)]
    fn accept_allowed(
        &self,
        number: u16,
        body: Gather<'_>,
        caps: &mut Vec<Cap>,
    ) -> Result<u64, TxError> {
        let mut io = self.io.borrow_mut();
        if io.state != TxState::Free {
            return Err(if io.state == TxState::Sending { TxError::Busy } else { TxError::Closed });
        }
        let cap_count = caps.len();
        match io.channel.send(&mut Outgoing { number, body, caps, cap_count }, 0) {
            Ok(Progress::Done) => {
                io.accepted += 1;
                io.sent = io.accepted;
                Ok(io.accepted)
            }
            Ok(Progress::Partial(taken)) => {
                let serial = io.stash(number, body, caps, cap_count, taken);
                self.has_unsent(&mut io);
                // The waitset looks at the channel when poked.
                drop(io);
                self.poke();
                Ok(serial)
            }
            Err(error) if caps.len() < cap_count => {
                // The channel had taken capabilities already: the message was accepted, and is lost.
                io.accepted += 1;
                io.lost = io.accepted;
                let serial = io.lost;
                drop(io);
                if let TxError::CapsRefused(refusal) = self.send_failed(error, number, body) {
                    self.note(BindingError::CapsRefused(refusal));
                    self.poke();
                }
                Ok(serial)
            }
            Err(error) => {
                drop(io);
                Err(self.send_failed(error, number, body))
            }
        }
    }

    /// A send met an error: it is told from the waitset, because handlers do not run inside a send.
    #[cold]
    fn send_failed(&self, error: ChannelError, number: u16, body: Gather<'_>) -> TxError {
        if let ChannelError::Caps(refusal) = error {
            self.refused_out(number, body, refusal);
            return TxError::CapsRefused(refusal);
        }
        // That the peer is gone is told by `recv`, which knows how, once what it sent before has been received.
        if !matches!(error, ChannelError::Closed | ChannelError::PeerDied) {
            self.note(error.into());
        }
        self.poke();
        TxError::Closed
    }

    /// The slot or the backlog has something.
    #[cold]
    fn has_unsent(&self, io: &mut Io) {
        self.calm.set(false);
        if io.unsent.is_none() && !self.exempt.get() {
            io.unsent = Some(Unsent::new());
        }
    }

    fn poke(&self) {
        if let Some(waitset) = self.waitset() {
            waitset.poke(self.token.get());
        }
    }

    /// Gets on with the slot and the backlog, and then wakes whom that concerns; says whether anything moved.
    #[cold]
    fn pump(&self) -> bool {
        let moved = self.pump_slot();
        let mut due = core::mem::take(&mut self.io.borrow_mut().due);
        if !due.is_empty() {
            run_all(due.drain(..));
            // The memory is kept for the next ones.
            let io = &mut *self.io.borrow_mut();
            due.append(&mut io.due);
            io.due = due;
        }
        self.pass_on();
        moved
    }

    fn pump_slot(&self) -> bool {
        let mut moved = false;
        loop {
            let io = &mut *self.io.borrow_mut();
            if io.state == TxState::Closed {
                return moved;
            }
            if !io.is_slot_full() {
                let Some((next, report)) = io.backlog.pop() else {
                    io.unsent = None;
                    io.backlog.give_back();
                    return moved;
                };
                (io.slot, io.report, io.taken) = (next, report, 0);
                io.accepted += 1;
                if io.state == TxState::Free {
                    io.state = TxState::Sending;
                }
            }
            let slot = &mut io.slot;
            let mut message = Outgoing {
                number: slot.number,
                body: Gather::words_only(&slot.words),
                caps: &mut slot.caps,
                cap_count: slot.cap_count,
            };
            match io.channel.send(&mut message, io.taken) {
                Ok(Progress::Done) => {
                    moved = true;
                    self.slot_sent(io);
                }
                Ok(Progress::Partial(taken)) => {
                    moved |= taken != io.taken;
                    io.taken = taken;
                    return moved;
                }
                // As in `send_failed`. Replies would hold back what is still to be received.
                Err(ChannelError::Closed | ChannelError::PeerDied) => {
                    let reports = io.backlog.reports();
                    io.due.extend(reports.map(|report| Due::Report(report, Err(TxError::Closed))));
                    io.backlog = Backlog::default();
                    io.is_cut = io.state == TxState::Closing;
                    return moved;
                }
                Err(ChannelError::Caps(refusal)) => {
                    let word = |at| slot.words.get(at).copied();
                    let part = self.part(slot.number, word);
                    self.slot_lost(io, refusal);
                    if let Some(notice) = self.lost_notice(part, refusal) {
                        io.backlog.push(Waiting::Notice(notice));
                    }
                    if let Part::Call(call) = part {
                        // This wakes who waits for the call.
                        io.due.push(Due::Fail(Weak::clone(&self.myself), call, refusal));
                    }
                    self.note(BindingError::CapsRefused(refusal));
                    moved = true;
                }
                Err(error) => {
                    io.is_cut = io.state == TxState::Closing;
                    self.note(error.into());
                    return true;
                }
            }
        }
    }

    /// The message in the slot is sent: its continuation first, then the callback that waits for room.
    fn slot_sent(&self, io: &mut Io) {
        self.slot_free(io, Ok(()));
        io.sent = io.accepted;
        if !io.continuations.is_empty()
            && let Some(waitset) = self.waitset()
        {
            for continuation in io.continuations.drain(..) {
                io.finished.push_back(continuation);
                self.post_finished(&waitset);
            }
        }
        io.due.extend(io.register_send.take().map(|(waitset, task)| Due::Post(waitset, task)));
    }

    /// The message in the slot is lost: its continuation is dropped unrun.
    fn slot_lost(&self, io: &mut Io, refusal: CapRefusal) {
        self.slot_free(io, Err(TxError::CapsRefused(refusal)));
        io.lost = io.accepted;
        io.due.extend(io.continuations.drain(..).map(Due::Drop));
        io.due.extend(io.register_send.take().map(|(waitset, task)| Due::Post(waitset, task)));
    }

    fn slot_free(&self, io: &mut Io, result: Result<(), TxError>) {
        if io.state == TxState::Sending {
            io.state = TxState::Free;
        }
        io.slot.caps.clear();
        if io.slot.words.capacity() > KEPT_WORDS {
            self.trim_before_sleep();
        }
        io.due.extend(io.report.take().map(|report| Due::Report(report, result)));
        io.due.extend(io.watchers.drain(..).map(Due::Wake));
    }

    /// Has `callback` run from the waitset that the binding has when its turn comes.
    fn run_from_waitset(&self, callback: SendCallback) {
        let waitset = self.waitset();
        if let Some(waitset) = waitset {
            self.io.borrow_mut().finished.push_back(callback);
            self.post_finished(&waitset);
        }
    }

    fn post_finished(&self, waitset: &Waitset) {
        let core = self.strong();
        waitset.post(move |waitset| {
            // The binding may have moved on, and another task with it.
            if !core.waitset().is_some_and(|own| own.same(waitset)) {
                return Ok(());
            }
            let callback = core.io.borrow_mut().finished.pop_front();
            callback.map_or(Ok(()), |callback| callback(waitset))
        });
    }

    /// A turn; a message that `taken` takes is not delivered. It is asked only about those that come the quick way.
    #[inline(always)]
    fn turn_unless(&self, taken: impl FnOnce(Received<'_>) -> bool) -> bool {
        if !self.calm.get() {
            return self.turn_slowly();
        }
        let Some(mut receiver) = self.receiver.take() else { return false };
        let received = self.io.borrow_mut().channel.recv_now(&mut receiver.incoming);
        if received != RecvNow::Message {
            self.put_back_calm(receiver);
            return received == RecvNow::Unsure && self.turn_slowly();
        }
        if !taken(receiver.incoming.lend()) {
            self.deliver(&mut receiver);
            if !self.calm.get() {
                self.put_back(receiver);
                self.settle();
                return true;
            }
        }
        self.put_back_calm(receiver);
        true
    }

    /// A turn in which more may have to be done than to receive.
    #[inline(never)]
    fn turn_slowly(&self) -> bool {
        if self.is_closing() {
            return self.turn_closing();
        }
        let io = self.io.borrow();
        let blocked = io.state != TxState::Free || !io.backlog.is_empty() || !io.due.is_empty();
        drop(io);
        let mut worked = blocked && self.pump();
        let (holds_back, takes_news) = {
            let io = &mut *self.io.borrow_mut();
            (self.holds_back(io), self.takes_news(io))
        };
        if (!holds_back || takes_news)
            && let Some(mut receiver) = self.receiver.take()
        {
            worked |= if !holds_back && self.parked.take() {
                self.hand_out(&mut receiver);
                true
            } else {
                self.receive(&mut receiver, holds_back)
            };
            self.put_back(receiver);
        }
        self.settle();
        worked
    }

    /// Ends a turn: tells the error handler, and finds out whether the next turn has only to receive.
    #[cold]
    fn settle(&self) {
        if !self.unreported_errors.borrow().is_empty() {
            self.tell();
        }
        if self.denied.get() && !self.is_delivering() {
            self.denied.set(false);
            self.poke();
        }
        let io = &mut *self.io.borrow_mut();
        let calm = io.state == TxState::Free
            && io.due.is_empty()
            && !self.denied.get()
            && io.backlog.is_empty()
            && !self.has_much(io)
            && !self.is_mail_full()
            && !self.parked.get()
            && self.peer_gone.get().is_none()
            && self.unreported_errors.borrow().is_empty();
        self.calm.set(calm);
    }

    /// Receives at most one message, and delivers it, or parks it if it is held back.
    fn receive(&self, receiver: &mut Receiver, holds_back: bool) -> bool {
        if self.debts.count() >= 2 * MAX_OWED_REPLIES {
            // The peer is gone, and what it left does not end.
            let gone = self.peer_gone.get();
            self.note(gone.map_or(BindingError::Closed, BindingError::from));
            return true;
        }
        let result = self.io.borrow_mut().channel.recv(&mut receiver.incoming);
        match result {
            Ok(Recv::Message) if receiver.incoming.number() == RUNTIME_MESSAGE => {
                self.runtime_message(receiver.incoming.words());
            }
            Ok(Recv::Message) if holds_back && !self.is_response(receiver.incoming.number()) => {
                self.parked.set(true);
            }
            Ok(Recv::Message) => self.hand_out(receiver),
            Ok(Recv::More) => {}
            Ok(Recv::Empty) => match self.peer_gone.get() {
                Some(gone) => self.note(gone.into()),
                None => return false,
            },
            Err(ChannelError::Caps(refusal)) => self.refused_in(&mut receiver.incoming, refusal),
            Err(error) => self.note(error.into()),
        }
        true
    }

    /// Whether a message is the reply to a call of this end.
    fn is_response(&self, number: u16) -> bool {
        let info = self.interface.message(number);
        info.is_some_and(|info| matches!(info.kind, MessageKind::RpcResponse { .. }))
    }

    /// Delivers the message in hand, if its capabilities may enter.
    fn hand_out(&self, receiver: &mut Receiver) {
        let caps = receiver.incoming.lend().caps;
        if caps.is_empty() || self.may_enter(caps) {
            self.deliver(receiver);
        } else {
            self.refused_in(&mut receiver.incoming, CapRefusal::Receiver);
        }
        if receiver.incoming.is_large() {
            receiver.incoming.done();
            self.trim_before_sleep();
        }
    }

    /// A large message is done. Its memory is given back when no other follows.
    #[cold]
    fn trim_before_sleep(&self) {
        if !self.untrimmed.replace(true)
            && let Some(waitset) = self.waitset()
        {
            waitset.trim_before_sleep(Weak::clone(&self.myself) as Weak<dyn Source>);
        }
    }

    #[inline(always)]
    fn deliver(&self, receiver: &mut Receiver) {
        let Receiver { incoming, handler, raw } = &mut *receiver;
        let message = incoming.lend();
        // The one place where a panic of user code stops: the binding ends, everything else goes on.
        let run = || handler.deliver(raw, message).err().map(Box::new);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(None) => {}
            Ok(Some(error)) => self.undecodable(receiver.incoming.number(), *error),
            Err(_) => self.panicked(receiver.incoming.number()),
        }
    }

    #[cold]
    fn undecodable(&self, number: u16, error: DecodeError) {
        let message = self.interface.message_name(number);
        self.note(BindingError::Decode { message, error });
    }

    #[cold]
    fn panicked(&self, number: u16) {
        let message = self.interface.message_name(number);
        tracing::error!(
            interface = self.interface.name,
            message,
            "a handler panicked; its binding is closed"
        );
        self.end(BindingError::Closed, false, Rest::IsSent);
    }

    /// Puts the receiver back, or drops it if the binding has ended meanwhile.
    #[inline(never)]
    fn put_back(&self, receiver: Box<Receiver>) {
        if !self.has_ended() {
            self.receiver.set(Some(receiver));
        }
    }

    /// Puts the receiver back into a binding that is calm, and so has not ended.
    #[inline(always)]
    fn put_back_calm(&self, receiver: Box<Receiver>) {
        let none = self.receiver.replace(Some(receiver));
        debug_assert!(none.is_none(), "there is one receiver");
        // Nothing is to be dropped: the compiler does not know.
        core::mem::forget(none);
    }

    /// Tells the error handler what it has not been told.
    #[cold]
    fn tell(&self) {
        loop {
            let Some(mut receiver) = self.receiver.take() else { return };
            let Some(error) = self.unreported_errors.borrow_mut().pop_front() else {
                self.put_back(receiver);
                return;
            };
            let fatal = error.is_fatal();
            if fatal {
                self.end(error.clone(), true, Rest::IsLost);
            }
            let Receiver { handler, raw, .. } = &mut *receiver;
            if catch_unwind(AssertUnwindSafe(|| handler.error(raw, error))).is_err() {
                self.panicked(RUNTIME_MESSAGE);
            }
            self.put_back(receiver);
            if fatal {
                return;
            }
        }
    }

    fn runtime_message(&self, words: &[u64]) {
        match Notice::parse(words) {
            Some(Notice::NoReply(call)) => _ = self.calls.fail(call, RpcError::NoReply),
            Some(Notice::Cancelled(call)) => self.cancelled(call),
            Some(Notice::CapsRefused(refusal, call)) if !self.exempt.get() => {
                self.told_refusal(refusal, call);
            }
            _ => {
                let error = DecodeError::Short { need: 2, have: words.len() };
                self.note(BindingError::Decode { message: "(runtime)", error });
            }
        }
    }
}

/// Stands where the channel of an ended binding was.
struct Ended;

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

impl Source for Core {
    #[inline]
    fn turn(&self) -> bool {
        self.turn_unless(|_| false)
    }

    fn ready(&self) -> bool {
        let io = &mut *self.io.borrow_mut();
        if io.state == TxState::Closing {
            return self.is_told_gone() || io.channel.ready() || io.channel.can_resume();
        }
        if self.is_delivering() {
            // A handler that dispatches in turn would wait for itself, if it did not sleep.
            self.denied.set(true);
            self.calm.set(false);
            return !self.is_peer_gone(io) && io.channel.can_resume();
        }
        let something = if !self.holds_back(io) {
            self.parked.get() || io.channel.ready()
        } else if self.takes_news(io) {
            io.channel.ready()
        } else {
            // To a peer that is gone nothing gets through, and its end is told when there is room for what came before.
            !self.is_peer_gone(io) && io.channel.can_resume()
        };
        something
            || (self.is_told_gone() && !self.is_mail_full())
            || !self.unreported_errors.borrow().is_empty()
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
            // The memory may hold words of a message that has not come in full, or waits for its capabilities.
            if !receiver.incoming.trim() {
                self.trim_before_sleep();
            }
            self.put_back(receiver);
        }
        let io = &mut *self.io.borrow_mut();
        if !io.is_slot_full() && io.slot.words.capacity() > KEPT_WORDS {
            io.slot.words = Vec::new();
        }
    }

    fn is_polled(&self) -> bool {
        self.polled
    }

    fn peer_gone(&self, gone: Gone) {
        self.peer_gone.set(self.peer_gone.get().or(Some(gone)));
        self.calm.set(false);
    }

    fn abandoned(&self) {
        self.waitset_ends();
    }
}
