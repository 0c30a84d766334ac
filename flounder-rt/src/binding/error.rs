//! Errors of a binding.

use core::fmt;
use std::error::Error;
use std::io;

use crate::channel::{CapRefusal, ChannelError, ProtocolError};
use crate::errno::Errno;
use crate::escape::Escaped;
use crate::interface::Interface;
use crate::message::args::Refused;
use crate::notify::Gone;
use crate::wire::{DecodeError, TooLong};

crate::debug_as_chain!(TxError, BindingError, RpcError, ControlError, Refusal);

/// Error of sending: the message was not accepted. The binding is unchanged.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TxError {
    /// The slot has a message that is not sent yet. Send again from its continuation or from
    /// `register_send`.
    /// `FLOUNDER_ERR_TX_BUSY`
    Busy,
    /// The binding has ended; its error handler got the reason.
    Closed,
    /// There is no connection to the service now; the binding is being made again
    /// ([`Reconnecting`](crate::binding::Reconnecting)).
    NotConnected,
    /// A string or array is longer than the interface allows. `FLOUNDER_ERR_TX_MSG_SIZE`
    TooLong {
        /// Name of the argument.
        arg: &'static str,
        /// Length and maximum.
        length: TooLong,
    },
    /// A capability could not be copied (`EMFILE`). The peer learns that a message was lost.
    CapCopy(Errno),
    /// The capabilities may not or cannot be sent. The peer learns that a message was lost.
    /// `LIB_ERR_MONITOR_CAP_SEND`
    CapsRefused(CapRefusal),
    /// The value is a message that only the other end sends.
    Direction,
}

impl TxError {
    /// Returns the error of a value of `arg` that is too long.
    #[cold]
    #[must_use]
    pub const fn too_long(arg: &'static str, length: TooLong) -> Self {
        Self::TooLong { arg, length }
    }

    /// Returns the error of message `number` whose arguments were refused; `cap_copy` makes the error of a
    /// capability that could not be copied.
    #[cold]
    pub(super) fn refused(
        refused: Refused,
        interface: &Interface,
        number: u16,
        cap_copy: impl FnOnce(io::Error) -> Self,
    ) -> Self {
        match refused {
            Refused::TooLong(i, length) => Self::too_long(interface.argument(number, i), length),
            Refused::Caps(error) => cap_copy(error),
        }
    }

    /// Returns the error of a capability that could not be copied.
    #[cold]
    #[must_use]
    pub fn cap_copy(error: io::Error) -> Self {
        Self::CapCopy(error.into())
    }
}

impl fmt::Display for TxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("the binding is busy with another message"),
            Self::Closed => f.write_str("the binding has ended"),
            Self::NotConnected => f.write_str("there is no connection to the service now"),
            Self::TooLong { arg, .. } => write!(f, "argument {arg} is too long"),
            Self::CapCopy(_) => f.write_str("a capability cannot be copied"),
            Self::CapsRefused(_) => f.write_str("the capabilities of the message were refused"),
            Self::Direction => f.write_str("only the other end sends this message"),
        }
    }
}

impl Error for TxError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TooLong { length, .. } => Some(length),
            Self::CapCopy(errno) => Some(errno),
            Self::CapsRefused(refusal) => Some(refusal),
            Self::Busy | Self::Closed | Self::Direction | Self::NotConnected => None,
        }
    }
}

/// Error of sending capabilities: the message was not accepted, and the capabilities are returned.
pub struct Rejected<T> {
    /// Reason.
    pub error: TxError,
    /// The capabilities that would have been moved: one value, or a tuple in order.
    pub given: T,
}

impl<T> fmt::Display for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<T> fmt::Debug for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

/// Displays the error.
impl<T> Error for Rejected<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Error that the error handler of a binding gets.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindingError {
    /// The peer tore the binding down.
    Closed,
    /// The peer's process died.
    PeerDied,
    /// The peer sent a malformed message.
    Decode {
        /// Name of the message.
        message: &'static str,
        /// What is wrong with the words.
        error: DecodeError,
    },
    /// The peer broke the protocol of the channel.
    Protocol(ProtocolError),
    /// A system call on the channel failed.
    Os(Errno),
    /// Capabilities of a message were refused, on the way in or out. The message is lost; the binding
    /// continues.
    CapsRefused(CapRefusal),
    /// A message without a handler was received. It is lost; the binding continues.
    NoHandler {
        /// Name of the message.
        message: &'static str,
    },
    /// A reply could not be sent; the caller gets an error. The binding continues.
    Reply(TxError),
}

impl BindingError {
    /// Returns true if the error ends the binding.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        !matches!(self, Self::CapsRefused(_) | Self::NoHandler { .. } | Self::Reply(_))
    }
}

impl From<ChannelError> for BindingError {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::Closed => Self::Closed,
            ChannelError::PeerDied => Self::PeerDied,
            ChannelError::Protocol(error) => Self::Protocol(error),
            ChannelError::Caps(refusal) => Self::CapsRefused(refusal),
            ChannelError::Os(errno) => Self::Os(errno),
        }
    }
}

impl From<Gone> for BindingError {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Died => Self::PeerDied,
            Gone::Closed => Self::Closed,
        }
    }
}

impl fmt::Display for BindingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer closed the binding"),
            Self::PeerDied => f.write_str("the peer died"),
            Self::Decode { message, .. } => write!(f, "message {message} cannot be decoded"),
            Self::Protocol(_) => f.write_str("the peer broke the protocol"),
            Self::Os(_) => f.write_str("the channel failed"),
            Self::CapsRefused(_) => f.write_str("capabilities of a message were refused"),
            Self::NoHandler { message } => write!(f, "message {message} has no handler"),
            Self::Reply(_) => f.write_str("a reply could not be sent"),
        }
    }
}

impl Error for BindingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Decode { error, .. } => Some(error),
            Self::Protocol(error) => Some(error),
            Self::Os(errno) => Some(errno),
            Self::CapsRefused(refusal) => Some(refusal),
            Self::Reply(error) => Some(error),
            Self::Closed | Self::PeerDied | Self::NoHandler { .. } => None,
        }
    }
}

/// A service's refusal: of a client, by the connect callback, or of a call, by its handler. The other side receives both parts.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// A number whose meaning client and service define.
    pub code: u64,
    /// A sentence for people, which is shown escaped.
    pub reason: String,
}

impl Refusal {
    /// The most bytes of the reason that the refusal of a call carries; a longer one is cut.
    pub const MAX_REASON: usize = 256;

    /// Creates a refusal.
    #[must_use]
    pub fn new(code: u64, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", Escaped(&self.reason), self.code)
    }
}

impl Error for Refusal {}

/// Error of a call.
///
/// [`may_have_run`](Self::may_have_run) returns whether the service may have carried the call out, which decides whether it is
/// safe to repeat.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RpcError {
    /// The call was not accepted. [`TxError::TooLong`] names the argument that is over its maximum.
    Tx(TxError),
    /// The binding ended before the call was sent.
    NotSent(BindingError),
    /// The binding ended after the call was sent, and before the reply came.
    Closed(BindingError),
    /// The service did not carry the call out, for a reason of its own.
    Refused(Refusal),
    /// The service dropped the call without a reply, or its runtime cannot report why there is none.
    NoReply,
    /// The handler of the service panicked.
    HandlerPanicked,
    /// The asynchronous handler of the service returned an error.
    HandlerFailed,
    /// The service closed its end of the binding before it replied.
    ServiceClosed,
    /// A value of the reply is over its maximum, and was not sent.
    ReplyTooLong {
        /// Name of the argument.
        arg: &'static str,
        /// Length and maximum.
        length: TooLong,
    },
    /// The reply, or the call, was lost with its capabilities.
    CapsRefused(CapRefusal),
    /// The reply cannot be decoded; the binding has ended.
    Decode(DecodeError),
    /// The call would wait for a handler that runs below it on the stack, or for a full inbox to be
    /// emptied. Use the asynchronous form there.
    WouldDeadlock,
    /// The deadline passed; a reply that comes later is discarded.
    Deadline,
    /// The deadline passed, and the thread that serves the shared binding has not read its queue for a
    /// second or more.
    NotServed {
        /// Name or number of the thread, which has to dispatch its waitset.
        thread: String,
    },
    /// The thread that served the shared binding has ended, and the binding with it.
    ThreadEnded {
        /// Name or number of the thread.
        thread: String,
    },
    /// The waitset cannot block.
    Os(Errno),
}

impl RpcError {
    /// Returns false if the service has certainly not carried the call out: it was not sent, or was refused. Returns true if the
    /// service has begun it, or may have.
    ///
    /// ```
    /// use flounder_rt::{BindingError, Refusal, RpcError};
    /// assert!(!RpcError::NotSent(BindingError::PeerDied).may_have_run());
    /// assert!(!RpcError::Refused(Refusal::new(7, "no such disk")).may_have_run());
    /// assert!(RpcError::Closed(BindingError::PeerDied).may_have_run());
    /// ```
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        !matches!(self, Self::Tx(_) | Self::NotSent(_) | Self::Refused(_))
    }
}

impl From<TxError> for RpcError {
    fn from(error: TxError) -> Self {
        Self::Tx(error)
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tx(error) => fmt::Display::fmt(error, f),
            Self::NotSent(_) => f.write_str("the binding ended before the call was sent"),
            Self::Closed(_) => f.write_str("the binding ended before the reply came"),
            Self::Refused(_) => f.write_str("the service refused the call"),
            Self::NoReply => f.write_str("the service dropped the call without a reply"),
            Self::HandlerPanicked => f.write_str("the handler of the service panicked"),
            Self::HandlerFailed => f.write_str("the handler of the service returned an error"),
            Self::ServiceClosed => {
                f.write_str("the service closed the binding before it replied")
            }
            Self::ReplyTooLong { arg, .. } => {
                write!(f, "argument {arg} of the reply is too long")
            }
            Self::CapsRefused(_) => {
                f.write_str("the capabilities of the call or of its reply were refused")
            }
            Self::Decode(_) => f.write_str("the reply cannot be decoded"),
            Self::WouldDeadlock => f.write_str(
                "a blocking call would wait for a handler that is running below it, or for a full inbox; use the asynchronous form",
            ),
            Self::Deadline => f.write_str("the deadline passed"),
            Self::NotServed { thread } => write!(
                f,
                "the deadline passed; thread {thread}, which serves the shared binding, has to dispatch its waitset and does not"
            ),
            Self::ThreadEnded { thread } => write!(
                f,
                "thread {thread}, which served the shared binding, has ended; bind in a thread that dispatches its waitset"
            ),
            Self::Os(_) => f.write_str("the waitset cannot block"),
        }
    }
}

impl Error for RpcError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // The text is that of the source.
            Self::Tx(error) => error.source(),
            Self::NotSent(error) | Self::Closed(error) => Some(error),
            Self::Refused(refusal) => Some(refusal),
            Self::ReplyTooLong { length, .. } => Some(length),
            Self::CapsRefused(refusal) => Some(refusal),
            Self::Decode(error) => Some(error),
            Self::Os(errno) => Some(errno),
            Self::NoReply
            | Self::HandlerPanicked
            | Self::HandlerFailed
            | Self::ServiceClosed
            | Self::WouldDeadlock
            | Self::Deadline
            | Self::NotServed { .. }
            | Self::ThreadEnded { .. } => None,
        }
    }
}

/// Error of an operation on a binding, which changed nothing.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// The binding has ended.
    Closed,
    /// A send callback is registered already. `LIB_ERR_CHAN_ALREADY_REGISTERED`
    AlreadyRegistered,
    /// The binding belongs to one thread, so that no waitset of several threads can serve it.
    OfOneThread,
    /// The waitset cannot watch the channel. `FLOUNDER_ERR_CHANGE_WAITSET`
    Os(Errno),
}

impl From<io::Error> for ControlError {
    fn from(error: io::Error) -> Self {
        Self::Os(error.into())
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the binding has ended"),
            Self::AlreadyRegistered => f.write_str("a send callback is registered already"),
            Self::OfOneThread => f.write_str(
                "the binding belongs to one thread, and a waitset of several threads cannot serve it: bind on that waitset",
            ),
            Self::Os(_) => f.write_str("the waitset cannot watch the channel"),
        }
    }
}

impl Error for ControlError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Os(errno) => Some(errno),
            Self::Closed | Self::AlreadyRegistered | Self::OfOneThread => None,
        }
    }
}
