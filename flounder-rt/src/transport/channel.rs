//! The contract of an interconnect driver: [`Connector`] makes channels, a [`Channel`] moves messages.
//!
//! A driver moves *messages made of words and capabilities*; it knows no interface and no type. A binding owns one end of a
//! channel and is its only user, from one thread at a time.
//!
//! # Contract of `Channel`
//! Each clause has tests of its name in `flounder-conformance`.
//! 1. *Prefix.* The receiver gets the messages whose `send` returned [`Progress::Done`] exactly once, whole and in order;
//!    of the others, at most a prefix of the sending order follows them.
//! 2. *Whole.* A message is handed out with all its words and all its capabilities, or not at all. If its capabilities are
//!    lost, `recv` says so once in its place ([`ChannelError::Caps`]).
//! 3. *Never blocks.* `send` and `recv` return at once, call no user code and take no unbounded time. A channel holds a
//!    bounded number of words; when it is full, `send` says so.
//! 4. *Partial sends.* [`Progress::Partial`] says how many words were taken: never fewer than before, and 0 only if nothing
//!    was. The binding calls `send` again with the same message and that count until `Done`; it sends nothing else in
//!    between. Capabilities are taken out of [`Outgoing::caps`] when the driver has no more use for the caller's copy, and
//!    none is left at `Done`.
//! 5. *Nothing taken.* `Partial(0)` of a first call leaves the channel as if the call had not been made.
//! 6. *Total.* Whatever the peer does, `recv` gives a message, `Empty`, `More` or an error, and after an error the channel
//!    gives the same error again; but [`ChannelError::Caps`] is about one message, and the channel goes on. Memory is
//!    allocated only within [`Incoming::begin`]'s limits and as words arrive.
//! 7. *End.* After [`Channel::close`], or after the peer's, messages already sent are still received; then `recv` gives
//!    [`ChannelError::Closed`]. An end that is dropped is closed. Where the channel is full, the close may get through only
//!    while a waitset runs to which this end was [attached](Channel::attached); when the end is dropped, nobody may be left
//!    to try again, and [the brokers tell](Link::closed) what the channel has not. So it is with a doorbell that fails.
//!    Death of the peer without a close gives [`ChannelError::PeerDied`] at that point, if the driver can tell; the binding
//!    is told by the broker otherwise. At the latest when `recv` has told of the end, `send` fails. [`Channel::is_over`]
//!    may tell of the peer's end while messages are left; it does so for good.
//! 8. *Sleep.* After [`Channel::arm`] and a full barrier between the two processes
//!    ([`arm_then_barrier`](crate::barrier::arm_then_barrier)), either [`Channel::ready`] is true or the driver wakes the
//!    [`Notifier`] of this end when a message arrives, space for a blocked send appears, or the channel ends. Until
//!    [`Channel::disarm`]. While a wake-up may be missed, or is owed to the peer, [`Channel::sleep_limit`] says how long
//!    the sleep may be at most. A channel that has a [descriptor](Readiness::Fd) shows an edge there instead, armed or not.
//! 9. *Retarget.* The waitset behind a `Notifier` may change at any time, also while the end is armed.
//! 10. *Ready.* [`Channel::ready`] and [`Channel::can_resume`] may be true in vain, but not for ever while nothing happens;
//!     they are never false in vain. What an end of this thread has done is seen at once.
//! 11. *Quick ways.* [`Channel::send_now`] and [`Channel::recv_now`] are other doors to the same queue: by whichever of them
//!     messages go in and come out, they are in one order. Either may always say no; then nothing was taken, and `send` or
//!     `recv` says why. What only `recv` can judge (a message that the interface lacks, one of the runtime, one with
//!     capabilities, one that has come in part) `recv_now` leaves to it; it says that nothing is there
//!     only where `recv` would say so. A driver without them is complete.
//! 12. *Done is sent.* A message for which `send` gives [`Progress::Done`] needs nothing more from this end or its broker:
//!     its words are published, and the kernel has its capabilities. It arrives if this process ends at once.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::any::Any;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::account::{Account, OverLimit};
use crate::cap::Cap;
use crate::closer::Origin;
use crate::notify::Notifier;
use crate::waitset::Waitset;
use crate::wire::Gather;
pub use crate::wire::{Limits, MAX_CAPS, MAX_NUMBER, MessageLimit, RUNTIME_MESSAGE};

mod caps;
mod incoming;

pub use caps::{CAPS_AHEAD, CapEvent, CapInbox, CapRefusal};
pub(crate) use incoming::KEPT_WORDS;
pub use incoming::{Incoming, ProtocolError};

/// A message on its way out.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Message number.
    pub number: u16,
    /// Words of the body.
    pub body: Gather<'a>,
    /// Capabilities, in order; the driver takes them out as clause 4 describes.
    pub caps: &'a mut Vec<Cap>,
    /// Number of capabilities of the message, including those that were taken out.
    pub cap_count: usize,
}

/// Result of a `send`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The channel has taken the whole message.
    Done,
    /// The channel has taken this many words, and may still have to hand over capabilities. The
    /// binding calls again when the channel is ready.
    Partial(usize),
}

/// Result of a `recv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recv {
    /// A message is complete in the [`Incoming`].
    Message,
    /// Part of a message was received; there may be more at once.
    More,
    /// Nothing is there.
    Empty,
}

/// Result of a `recv_now`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvNow {
    /// A message is complete in the [`Incoming`].
    Message,
    /// Nothing is there, and nothing is to be reported: `recv` would return [`Recv::Empty`].
    Empty,
    /// Only `recv` can decide. Nothing has been taken.
    Unsure,
}

/// How the waitset learns that a channel should be visited.
#[derive(Debug, Clone, Copy)]
pub enum Readiness<'a> {
    /// By polling ([`Channel::ready`] is a few loads), and by the notifier when armed.
    Polled,
    /// By an edge on this descriptor; `ready` costs a system call or nothing.
    Fd(BorrowedFd<'a>),
}

/// Control operations of a binding. `IDC_CONTROL_*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// End the binding, as [`teardown`](crate::binding::RawBinding::teardown) does. Never reaches a channel.
    Teardown,
    /// Prefer the receiver: yield the processor with each message, where messages go through the kernel (lmp).
    SetSync,
    /// Undoes `SetSync`. This is the default.
    ClearSync,
}

/// One end of a channel. See the [module](self) for the contract.
pub trait Channel {
    /// Returns the name of the driver.
    fn driver(&self) -> &'static str;

    /// Sends `message`, of which earlier calls have taken `from` words.
    ///
    /// # Errors
    /// If the channel has ended. Nothing of the message will arrive whole.
    fn send(&mut self, message: &mut Outgoing<'_>, from: usize) -> Result<Progress, ChannelError>;

    /// Receives at most one message into `incoming`, which keeps a partial one between calls.
    ///
    /// # Errors
    /// If the channel has ended, after everything that was sent before was received.
    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError>;

    /// Sends a message of these words and no capabilities, if that can be done at once: a way past [`send`](Channel::send)
    /// for what most messages are. After "no" `send` is called, with the same message or, some time, with another: nothing
    /// of this one has been taken.
    fn send_now(&mut self, _number: u16, _words: &[u64]) -> bool {
        false
    }

    /// Receives a message of the interface that is there as a whole and has no capabilities, if none is in hand: a way past
    /// [`recv`](Channel::recv) for what most messages are, and for most looks at a channel where nothing is.
    fn recv_now(&mut self, _incoming: &mut Incoming) -> RecvNow {
        RecvNow::Unsure
    }

    /// Returns true if `recv` or a blocked `send` would make progress. Cheap; may be true in vain,
    /// never false in vain.
    fn ready(&mut self) -> bool;

    /// Returns true if a blocked `send` would make progress, whatever has arrived. Cheap; may be
    /// true in vain, never false in vain.
    fn can_resume(&mut self) -> bool {
        self.ready()
    }

    /// Returns true if the peer has ended the channel, though messages that it sent before may not
    /// have been received yet: nothing that is sent gets through any more. Cheap; never true in
    /// vain. A binding that holds back messages calls this; if a driver cannot tell, that binding
    /// learns of the end when it receives again.
    fn is_over(&mut self) -> bool {
        false
    }

    /// Requests a wake-up (clause 8).
    fn arm(&mut self) {}

    /// Withdraws the request.
    fn disarm(&mut self) {}

    /// Returns how long the waitset may sleep at most before it arms and looks at this end again, although nobody has
    /// woken it; `None` if there is no limit. Asked after [`arm`](Channel::arm).
    fn sleep_limit(&mut self) -> Option<Duration> {
        None
    }

    /// Returns how the waitset learns of events.
    fn readiness(&self) -> Readiness<'_>;

    /// What the driver notifies when this end is to be visited: that of the [`End`] it was made for, where it keeps one.
    fn notifier(&self) -> Option<Notifier> {
        None
    }

    /// Returns what both ends of a channel within a process have in common, if the driver knows it: a blocking call through an
    /// end also serves the other one, if that is in the same thread.
    fn pair(&self) -> Option<PairId> {
        None
    }

    /// Called when the channel comes under a waitset, at first and after each change.
    ///
    /// # Errors
    /// If the waitset cannot watch what the driver needs watched.
    fn attached(&mut self, _waitset: &Waitset) -> io::Result<()> {
        Ok(())
    }

    /// Carries out a control operation. Drivers to which it means nothing do nothing.
    ///
    /// # Errors
    /// If the channel has ended.
    fn control(&mut self, _control: Control) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Closes this end. Idempotent; never waits for the peer.
    fn close(&mut self);
}

/// A channel within a process: its two ends have it in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PairId(u64);

impl PairId {
    /// Returns one that no other channel of this process has.
    #[must_use]
    pub fn fresh() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// Error of a channel, which ends it except for [`Caps`](Self::Caps).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelError {
    /// The peer closed its end.
    Closed,
    /// The peer died.
    PeerDied,
    /// The peer did what no correct peer does.
    Protocol(ProtocolError),
    /// Capabilities of the message in hand were refused; the message is lost, the channel goes on. From `recv`, its number
    /// and the words of it that came are in the [`Incoming`], and the binding tells the peer.
    Caps(CapRefusal),
    /// A system call failed.
    Os(i32),
}

crate::debug_as_chain!(ChannelError);

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer closed the channel"),
            Self::PeerDied => f.write_str("the peer died"),
            Self::Protocol(_) => f.write_str("the peer broke the protocol"),
            Self::Caps(_) => f.write_str("capabilities were refused"),
            Self::Os(errno) => {
                write!(f, "a system call failed: {}", io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl std::error::Error for ChannelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::Caps(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl From<rustix::io::Errno> for ChannelError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Os(errno.raw_os_error())
    }
}

/// Makes channels of one driver.
///
/// There are three ways, from near to far. Between two dispatchers of one process a driver makes both ends at once
/// ([`pair_local`](Connector::pair_local), [`pair`](Connector::pair)); between processes the client *offers*, the service
/// *accepts* and *answers*, the client *completes*; the brokers carry offer and answer.
pub trait Connector: Send + Sync {
    /// Name of the driver, as in [`Channel::driver`].
    fn name(&self) -> &'static str;

    /// Both ends, for two bindings of one thread.
    ///
    /// # Errors
    /// [`ConnectError::Reach`] if the driver does not do this.
    fn pair_local(&self, client: &End, service: &End) -> Result<Pair, ConnectError> {
        let (client, service) = self.pair(client, service)?;
        Ok((client, service))
    }

    /// Both ends, for two threads of one process.
    ///
    /// # Errors
    /// [`ConnectError::Reach`] if the driver does not do this.
    fn pair(&self, _client: &End, _service: &End) -> Result<SendPair, ConnectError> {
        Err(ConnectError::Reach)
    }

    /// The client's half of a channel to another process.
    ///
    /// # Errors
    /// [`ConnectError::Reach`] if the driver does not do this; [`ConnectError::Os`].
    fn offer(
        &self,
        _end: &End,
        _link: &Arc<dyn Link>,
    ) -> Result<(Offer, Box<dyn PendingOffer>), ConnectError> {
        Err(ConnectError::Reach)
    }

    /// The service's half: takes what the client offered, gives what it answers.
    ///
    /// # Errors
    /// [`ConnectError::Reach`] if the driver does not do this. If the offer is not sound: [`ConnectError::Refused`] says what is
    /// wrong with it.
    fn accept(
        &self,
        _end: &End,
        _link: &Arc<dyn Link>,
        _offer: Offer,
    ) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
        Err(ConnectError::Reach)
    }
}

/// Two ends that stay in one thread.
pub type Pair = (Box<dyn Channel>, Box<dyn Channel>);
/// Two ends that may move to their threads.
pub type SendPair = (Box<dyn Channel + Send>, Box<dyn Channel + Send>);

/// A client's half that waits for the answer.
pub trait PendingOffer: Send {
    /// Takes the service's answer.
    ///
    /// # Errors
    /// If the answer is not sound.
    fn complete(self: Box<Self>, answer: Offer) -> Result<Box<dyn Channel + Send>, ConnectError>;
}

/// What the two halves of a driver tell each other through the brokers.
#[derive(Debug, Default)]
pub struct Offer {
    /// Numbers, as the driver documents them in `docs/wire.md`.
    pub words: Vec<u64>,
    /// Descriptors.
    pub caps: Vec<Cap>,
}

/// What a driver is told about the end it makes.
#[derive(Debug, Clone)]
pub struct End {
    /// Wakes the waitset of this end.
    pub notifier: Notifier,
    /// Identifies the connection on its [`Link`]; the same number at both ends. 0 within a process.
    pub connection: u64,
    /// Bytes of buffer for what this end sends (a hint; drivers round it).
    pub buffer: usize,
}

/// The connection between two processes, as far as drivers use it.
pub trait Link: Send + Sync {
    /// The account of the process at the other end. Drivers charge it for what they make or keep for that process:
    /// mappings, the bytes of their own rings, descriptors.
    fn account(&self) -> &Account;

    /// The process at the other end, for descriptors that it sends or gets.
    fn origin(&self) -> &Origin;

    /// Has the brokers carry capabilities to the end of `connection` in the other process, as number `sequence`. A driver
    /// does so for [`CAPS_AHEAD`] messages at most of which the other end has not said that it has begun to read them;
    /// the brokers take more for an attack.
    ///
    /// When the kernel has them, the brokers call [`CapInbox::note_sent`] on the inbox of this end: then the message is sent,
    /// and arrives even if this process ends. Until then the driver says [`Progress::Partial`].
    ///
    /// # Errors
    /// If the link has ended; the capabilities are dropped.
    fn send_caps(&self, connection: u64, sequence: u64, caps: Vec<Cap>) -> Result<(), CapRefusal>;

    /// Returns once every transfer to the kernel that has begun is noted ([`CapInbox::note_sent`]). Without it the answer of
    /// the peer can come before the note: a thread of the brokers may be preempted between the two.
    ///
    /// Waits for a system call that does not block, and for nothing else.
    fn finish_transfer(&self);

    /// Where capabilities for this end of `connection` are put when they arrive. Forgotten when the inbox is dropped.
    fn expect_caps(&self, connection: u64, inbox: &Arc<CapInbox>);

    /// Has the brokers tell the other end of `connection` that this one is closed. For a driver that cannot tell it by the
    /// channel: because the peer has to make room first, or its doorbell fails. All that was sent before is published, or
    /// with the brokers; the other end receives it, and then is closed. Costs a message; a close that the channel tells needs none.
    fn closed(&self, connection: u64);

    /// What the driver `name` keeps for this pair of processes, made on first use.
    fn state(
        &self,
        name: &'static str,
        make: &mut dyn FnMut() -> io::Result<Arc<dyn Any + Send + Sync>>,
    ) -> io::Result<Arc<dyn Any + Send + Sync>>;
}

/// Why a driver made no channel.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The driver does not reach that far (or that near).
    Reach,
    /// What the other side sent is not sound.
    Refused(&'static str),
    /// A system call failed.
    Os(i32),
    /// One end holds as much for the peer as its limits allow.
    OverLimit(OverLimit),
}

impl ConnectError {
    /// Returns whether the same attempt may succeed later, because something was short.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Reach | Self::Refused(_) => false,
            Self::Os(errno) => matches!(
                *errno,
                libc::EMFILE
                    | libc::ENFILE
                    | libc::ENOMEM
                    | libc::ENOBUFS
                    | libc::EAGAIN
                    | libc::EINTR
                    | libc::ETOOMANYREFS
                    | libc::ENOSPC
            ),
            Self::OverLimit(_) => true,
        }
    }
}

crate::debug_as_chain!(ConnectError);

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reach => f.write_str("the driver does not reach there"),
            Self::Refused(what) => f.write_str(what),
            Self::Os(errno) => {
                write!(f, "a system call failed: {}", io::Error::from_raw_os_error(*errno))
            }
            Self::OverLimit(limit) => fmt::Display::fmt(limit, f),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<rustix::io::Errno> for ConnectError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Os(errno.raw_os_error())
    }
}

impl From<OverLimit> for ConnectError {
    fn from(limit: OverLimit) -> Self {
        Self::OverLimit(limit)
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        if let Some(limit) = error.get_ref().and_then(|inner| inner.downcast_ref::<OverLimit>()) {
            return Self::OverLimit(*limit);
        }
        Self::Os(error.raw_os_error().unwrap_or(0))
    }
}
