//! Contract of an interconnect driver: a [`Connector`] creates channels, a [`Channel`] moves messages.
//!
//! A message is a sequence of words and capabilities; a driver knows no interface and no type. A binding owns one end of a
//! channel and is its only user, from one thread at a time.
//!
//! # Contract of `Channel`
//! Each clause has tests of its name in `flounder-conformance`.
//! 1. *Prefix.* The receiver gets each message whose `send` returned [`Progress::Done`] exactly once, whole and in order.
//!    Of the other messages, it gets at most a prefix of the sending order.
//! 2. *Whole.* A message is delivered with all its words and all its capabilities, or not at all. If the capabilities are
//!    lost, `recv` returns [`ChannelError::Caps`] once in the message's place.
//! 3. *Never blocks.* `send` and `recv` return in bounded time and call no user code. A channel holds a bounded number of
//!    words; `send` to a full channel returns [`Progress::Partial`].
//! 4. *Partial sends.* [`Progress::Partial`] has the number of words taken so far: never fewer than before, and 0 only if
//!    the channel has taken no part of the message. The binding calls `send` again with the same message and that number
//!    until `Done`, and sends no other message in between. The driver takes capabilities out of [`Outgoing::caps`] when it
//!    no longer needs the caller's copy; at `Done` none is left.
//! 5. *Nothing taken.* `Partial(0)` of a first call leaves the channel unchanged.
//! 6. *Total.* Whatever the peer does, `recv` returns a message, `Empty`, `More` or an error. After an error, the channel
//!    returns the same error again, except for [`ChannelError::Caps`], which is about one message. Memory is allocated only
//!    within the limits of [`Incoming::begin`] and as words arrive.
//! 7. *End.* After [`Channel::close`] by either end, messages already sent are still received; then `recv` returns
//!    [`ChannelError::Closed`]. Dropping an end closes it. If the channel is full, or a doorbell fails, the close may need a
//!    waitset to which this end is [attached](Channel::attached); if the end is dropped before the close is through,
//!    [the brokers report it](Link::closed). If the peer died without a close, `recv` returns [`ChannelError::PeerDied`] at
//!    that point, if the driver can detect it; otherwise the broker informs the binding. `send` fails at the latest once
//!    `recv` has returned the end. [`Channel::is_over`] may become true while messages are left, and then stays true.
//! 8. *Sleep.* After [`Channel::arm`] and a full barrier between the two processes
//!    ([`arm_then_barrier`](crate::barrier::arm_then_barrier)), until [`Channel::disarm`]: either [`Channel::ready`] is
//!    true, or the driver wakes the [`Notifier`] of this end when a message arrives, space for a blocked send appears, or
//!    the channel ends. While a wake-up may be missed, or has not reached the peer, [`Channel::sleep_limit`] limits the
//!    sleep. A channel with [descriptors](Readiness::Fds) shows an edge there instead, armed or not.
//! 9. *Retarget.* The waitset behind a `Notifier` may change at any time, also while the end is armed.
//! 10. *Ready.* [`Channel::ready`] and [`Channel::can_resume`] may return true although there is nothing to do, but not for
//!     ever; they never return false if there is something to do. Effects of the other end in the same thread are visible
//!     at once.
//! 11. *Fast paths.* [`Channel::send_now`], [`Channel::recv_now`] and [`Channel::recv_row`] use the same queue as `send` and
//!     `recv`, and keep the order of messages. Each may decline at any time without taking a message; `send` or `recv` is called then.
//!     `recv_now` must leave to `recv`: messages that the interface lacks, messages of the runtime, messages with
//!     capabilities, and partly received messages. It returns [`RecvNow::Empty`] only if `recv` would return
//!     [`Recv::Empty`]. [`Channel::recv_row`] takes the messages that as many calls of `recv_now` would take. All three are
//!     optional.
//! 12. *Done is sent.* Once `send` has returned [`Progress::Done`], the message needs nothing more from this end or its
//!     broker: its words are published, and the kernel has its capabilities. The message arrives even if this process ends
//!     at once.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::any::Any;
use std::io;
use std::sync::Arc;

use crate::account::{Account, OverLimit};
use crate::cap::Cap;
use crate::closer::Origin;
use crate::errno::Errno;
use crate::message::bulk::BulkMemory;
use crate::notify::Notifier;
use crate::waitset::Watcher;
pub use crate::waitset::{BRIEF_WAIT, PeerProcessor, SourceFds};
use crate::wire::Gather;
pub use crate::wire::{Limits, MAX_CAPS, MAX_NUMBER, MessageLimit, RUNTIME_MESSAGE};

mod caps;
mod incoming;

pub use caps::{CAPS_AHEAD, CapEvent, CapInbox, CapRefusal};
pub use incoming::{Incoming, LineMessage, MayBeWhole, ProtocolError};
pub(crate) use incoming::{KEPT_WORDS, LentRow};

/// A message to send.
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
    /// The channel has taken this many words; words or capabilities are left. The binding calls
    /// again when the channel is ready.
    Partial(usize),
}

/// Result of a `recv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recv {
    /// A message is complete in the [`Incoming`].
    Message,
    /// Part of a message was received; there may be more at once.
    More,
    /// No message is there.
    Empty,
}

/// Result of a `recv_now`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvNow {
    /// A message is complete in the [`Incoming`].
    Message,
    /// No message and no error is there: `recv` would return [`Recv::Empty`].
    Empty,
    /// Only `recv` can decide. Nothing has been taken.
    Unsure,
}

/// How a waitset finds out that a channel is ready.
#[derive(Debug, Clone, Copy)]
pub enum Readiness<'a> {
    /// The waitset calls [`Channel::ready`], which is a few loads; the notifier wakes an armed end.
    Polled,
    /// The waitset watches these descriptors for edges. A call of `ready` may make a system call.
    Fds(SourceFds<'a>),
}

impl<'a> Readiness<'a> {
    /// Returns the descriptors that the waitset watches.
    #[must_use]
    pub const fn fds(self) -> Option<SourceFds<'a>> {
        match self {
            Self::Polled => None,
            Self::Fds(fds) => Some(fds),
        }
    }
}

/// Control operations of a binding. `IDC_CONTROL_*`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Ends the binding, as [`teardown`](crate::binding::RawBinding::teardown) does. Never reaches a channel.
    Teardown,
    /// Hands the processor over to the peer: this end blocks at once when it waits for the peer, in a call or in its waitset,
    /// and does not poll first. Faster where both ends share a processor, slower where each has its own.
    SetSync,
    /// Undoes `SetSync`. This is the default: this end polls before it blocks, unless its driver knows that the peer ran last
    /// on the same processor, or the waitset has found that polling is of no use.
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

    /// Sends a message without capabilities if that is possible at once: the fast path of [`send`](Channel::send) (clause
    /// 11). After false, the caller uses `send`, with this message or with another: the channel has taken no part of it.
    fn send_now(&mut self, _number: u16, _words: &[u64]) -> bool {
        false
    }

    /// Receives a complete message of the interface without capabilities, if none is partly received: the fast path of
    /// [`recv`](Channel::recv) (clause 11), also for an empty channel.
    fn recv_now(&mut self, _incoming: &mut Incoming) -> RecvNow {
        RecvNow::Unsure
    }

    /// Receives the messages that are there and for which [`recv_now`](Channel::recv_now) would return [`RecvNow::Message`],
    /// one after the other, into [`Incoming::row`] (clause 11). Returns false if it received none: only `recv_now` can decide
    /// then. The driver may prepare for more messages to come: the caller has seen a stream.
    fn recv_row(&mut self, _incoming: &mut Incoming) -> bool {
        false
    }

    /// Returns true if `recv` or a blocked `send` may make progress. Cheap. A false result is exact (clause 10).
    fn ready(&mut self) -> bool;

    /// Returns true if a blocked `send` may make progress, whatever has arrived. Cheap. A false result is exact (clause
    /// 10).
    fn can_resume(&mut self) -> bool {
        self.ready()
    }

    /// Returns true if the peer has ended the channel, so that no further message reaches it; messages of the peer may
    /// still be unreceived. Cheap. A true result is exact. A binding that holds back messages calls this; with a driver
    /// that always returns false, such a binding finds the end when it receives again.
    fn is_over(&mut self) -> bool {
        false
    }

    /// Requests a wake-up (clause 8).
    fn arm(&mut self) {}

    /// Withdraws the request.
    fn disarm(&mut self) {}

    /// Returns the longest time that the waitset may sleep without a wake-up before it arms and visits this end again;
    /// `None` without a limit. Called after [`arm`](Channel::arm).
    fn sleep_limit(&mut self) -> Option<Duration> {
        None
    }

    /// Returns where the peer ran last, seen from a thread on processor `this`. The default does not know.
    fn peer_processor(&self, _this: usize) -> PeerProcessor {
        PeerProcessor::Unknown
    }

    /// Blocks until the peer wakes this end, which is armed, for about [`BRIEF_WAIT`] at most. Returns false at once if the
    /// driver cannot do that, or if anything else than the peer may have to wake this end. Only for a channel that is
    /// [polled](Readiness::Polled). The default cannot.
    fn wait_briefly(&mut self) -> bool {
        false
    }

    /// Makes [`recv`](Channel::recv) wait for a message, for about [`BRIEF_WAIT`] at most, until a call with false. Returns
    /// false if the driver cannot do that; `recv` does not wait then. Only for a channel with [descriptors](Readiness::Fds).
    /// The default cannot.
    fn recv_waits(&mut self, _waits: bool) -> bool {
        false
    }

    /// Returns how the waitset learns of events.
    fn readiness(&self) -> Readiness<'_>;

    /// Returns true if a waitset that polls in vain should pause between two polls: they read a line into which the peer is
    /// about to store, and each read between two of its stores has the line travel once more. The default is false.
    fn wants_pauses(&self) -> bool {
        false
    }

    /// Returns the notifier of this end's [`End`], if the driver wakes one.
    fn notifier(&self) -> Option<Notifier> {
        None
    }

    /// Returns an id that is the same at both ends of a channel within a process, if the driver keeps one. A blocking call through one
    /// end then also serves the other end if both are in one thread.
    fn pair(&self) -> Option<PairId> {
        None
    }

    /// Called when the channel is attached to a waitset, at first and after each change.
    ///
    /// # Errors
    /// If the waitset cannot watch a descriptor of the driver.
    fn attached(&mut self, _waitset: &dyn Watcher) -> io::Result<()> {
        Ok(())
    }

    /// Returns what makes and accepts memory that this end writes and its peer reads, for the pools of bulk data. The default,
    /// for a driver without memory in common, is none: bulk data then travels in messages.
    fn bulk(&self) -> Option<&'static dyn BulkMemory> {
        None
    }

    /// Closes this end. Idempotent; never waits for the peer.
    fn close(&mut self);
}

/// Id of a channel within a process, the same at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PairId(u64);

impl PairId {
    /// Returns an id that no other channel of this process has.
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
    /// The peer violated the protocol.
    Protocol(ProtocolError),
    /// Capabilities of the current message were refused. The message is lost, the channel goes on. After `recv`, the
    /// [`Incoming`] has the message's number and the words received, and the binding notifies the peer.
    Caps(CapRefusal),
    /// A system call failed.
    Os(Errno),
}

crate::debug_as_chain!(ChannelError);

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer closed the channel"),
            Self::PeerDied => f.write_str("the peer died"),
            Self::Protocol(_) => f.write_str("the peer broke the protocol"),
            Self::Caps(_) => f.write_str("capabilities were refused"),
            Self::Os(_) => f.write_str("a system call failed"),
        }
    }
}

impl std::error::Error for ChannelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::Caps(refusal) => Some(refusal),
            Self::Os(errno) => Some(errno),
            Self::Closed | Self::PeerDied => None,
        }
    }
}

impl From<rustix::io::Errno> for ChannelError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Os(errno.into())
    }
}

/// Creates the channels of one driver.
///
/// Within a process a driver creates both ends at once: in one thread ([`pair_local`](Connector::pair_local)), or in two
/// ([`pair`](Connector::pair)). Between processes, the client *offers*, the service *accepts* the offer and *answers*, the
/// client *completes*; the brokers carry offer and answer.
pub trait Connector: Send + Sync {
    /// Returns the name of the driver, as [`Channel::driver`] does.
    fn name(&self) -> &'static str;

    /// Creates both ends, for two bindings of one thread.
    ///
    /// # Errors
    /// [`ConnectError::Reach`] if the driver does not do this.
    fn pair_local(&self, client: &End, service: &End) -> Result<Pair, ConnectError> {
        let (client, service) = self.pair(client, service)?;
        Ok((client, service))
    }

    /// Creates both ends, for two threads of one process.
    ///
    /// # Errors
    /// [`ConnectError::Reach`] if the driver does not do this.
    fn pair(&self, _client: &End, _service: &End) -> Result<SendPair, ConnectError> {
        Err(ConnectError::Reach)
    }

    /// Creates the client's half of a channel to another process.
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

    /// Creates the service's half from the client's offer, and the answer to it.
    ///
    /// # Errors
    /// [`ConnectError::Reach`] if the driver does not do this. If the offer is not sound: [`ConnectError::Refused`] with what is
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

/// Both ends of a channel that stay in one thread.
pub type Pair = (Box<dyn Channel>, Box<dyn Channel>);
/// Both ends of a channel; each may move to another thread.
pub type SendPair = (Box<dyn Channel + Send>, Box<dyn Channel + Send>);

/// A client's half of a channel, which waits for the service's answer.
pub trait PendingOffer: Send {
    /// Completes the channel with the service's answer.
    ///
    /// # Errors
    /// If the answer is invalid.
    fn complete(self: Box<Self>, answer: Offer) -> Result<Box<dyn Channel + Send>, ConnectError>;
}

/// An offer or an answer: data that one half of a driver sends to the other through the brokers.
#[derive(Debug, Default)]
pub struct Offer {
    /// Numbers. `docs/wire.md` has their meaning for each driver.
    pub words: Vec<u64>,
    /// Descriptors.
    pub caps: Vec<Cap>,
}

/// Parameters of an end that a driver creates.
#[derive(Debug, Clone)]
pub struct End {
    /// Wakes the waitset of this end.
    pub notifier: Notifier,
    /// Identifies the connection on its [`Link`]; the same number at both ends. 0 within a process.
    pub connection: u64,
    /// Size in bytes of the buffer for messages that this end sends; a hint that drivers round. 0 is the driver's default.
    pub buffer: usize,
}

/// One end of the link between two processes, for drivers.
pub trait Link: Send + Sync {
    /// Returns the account of the process at the other end. Drivers charge it for the mappings, the memory of rings and the
    /// descriptors that they create or keep for that process.
    fn account(&self) -> &Account;

    /// Returns the process at the other end, for descriptors that it sends or receives.
    fn origin(&self) -> &Origin;

    /// Sends capabilities through the brokers to the end of `connection` in the other process, with number `sequence`. A
    /// driver may do so for at most [`CAPS_AHEAD`] messages that the other end has not begun to read; the brokers treat more
    /// as a protocol violation.
    ///
    /// When the kernel has the capabilities, the brokers call [`CapInbox::note_sent`] on the inbox of this end. From then on
    /// the message arrives even if this process ends. Until then the driver returns [`Progress::Partial`].
    ///
    /// # Errors
    /// If the link has ended; the capabilities are dropped.
    fn send_caps(&self, connection: u64, sequence: u64, caps: Vec<Cap>) -> Result<(), CapRefusal>;

    /// Blocks until every transfer to the kernel that has begun is recorded by [`CapInbox::note_sent`]. Without this call, a
    /// reply of the peer can arrive before the record, because a thread of the brokers may be preempted between the two.
    ///
    /// The wait is for a system call that does not block.
    fn finish_transfer(&self);

    /// Returns true if drivers may send capabilities to the other process themselves, where they have a way: a system call
    /// of the sender's thread, in place of two threads of the brokers. The default is false: a link that observes, delays or
    /// refuses capabilities keeps them with the brokers.
    fn drivers_may_carry(&self) -> bool {
        false
    }

    /// Sets the inbox for capabilities that arrive for this end of `connection`, until the inbox is dropped.
    fn expect_caps(&self, connection: u64, inbox: &Arc<CapInbox>);

    /// Reports to the other end of `connection`, through the brokers, that this end is closed. Used for a close that the
    /// channel cannot carry, because it is full or its doorbell fails. The other end first receives all messages that were sent
    /// before the close. The report is a message between the brokers.
    fn closed(&self, connection: u64);

    /// Returns the state that the driver `name` keeps for this pair of processes, created on first use.
    fn state(
        &self,
        name: &'static str,
        make: &mut dyn FnMut() -> io::Result<Arc<dyn Any + Send + Sync>>,
    ) -> io::Result<Arc<dyn Any + Send + Sync>>;
}

/// Error of creating a channel.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The driver does not support ends at this distance.
    Reach,
    /// The offer or answer of the other side is invalid.
    Refused(&'static str),
    /// A system call failed.
    Os(Errno),
    /// One end holds as much for the peer as its limits allow.
    OverLimit(OverLimit),
}

impl ConnectError {
    /// Returns true if the same attempt may succeed later, because a resource was short.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Reach | Self::Refused(_) => false,
            Self::Os(errno) => matches!(
                errno.raw_os_error(),
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
            Self::Os(_) => f.write_str("a system call failed"),
            Self::OverLimit(_) => f.write_str("one end holds too much for the other"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os(errno) => Some(errno),
            Self::OverLimit(limit) => Some(limit),
            Self::Reach | Self::Refused(_) => None,
        }
    }
}

impl From<Errno> for ChannelError {
    fn from(errno: Errno) -> Self {
        Self::Os(errno)
    }
}

impl From<Errno> for ConnectError {
    fn from(errno: Errno) -> Self {
        Self::Os(errno)
    }
}

impl From<rustix::io::Errno> for ConnectError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Os(errno.into())
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
        Self::Os(error.into())
    }
}
