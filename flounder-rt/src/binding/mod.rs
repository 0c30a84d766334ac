//! One end of a channel with an interface on top: the binding object of TN-011 section 3.2.
//!
//! ```text
//!   Binding<Local> --> RawBinding --> Shell (channel, handler, waitset) --> Connection (the protocol of one end)
//!   Binding<Shared>, any thread --> SharedEndpoint --> queue ----^
//!
//!   tx_* --> [ slot ] --> Channel::send               Channel::recv --> [ Incoming ] --> decode --> handler
//!   reply -> [ backlog ] -----^                                              '--> the call that waits for it
//! ```
//! `connection` is the protocol as a machine: it decides what may be sent, received, answered, and when the binding ends,
//! and touches neither a channel nor a clock. `shell` owns those, and runs user code. It is generic over how a binding is
//! shared (`threading`): within one thread, or by the threads of a [`SharedWaitset`](crate::SharedWaitset) (`any_thread`).
//! `shared` is the handle for any thread to a binding of either kind.

use crate::wire::DecodeError;

pub use crate::message::Received;
pub use crate::waitset::{DEFAULT_TIMEOUT, Timeout};

mod any_thread;
mod bulk;
mod call;
mod closing;
mod closing_list;
mod combiner;
mod connection;
mod dispatcher;
mod end;
mod error;
mod inbox;
mod local_peers;
mod message_type;
mod raw;
mod refusal;
mod reply;
mod sending;
mod sent;
mod serve;
mod shared;
mod shell;
pub mod side;
mod step;
mod threading;
mod transmit;

pub use call::{Call, Procedure, Reply};
pub use closing::Closing;
use closing::Rest;
use connection::Owned;
#[cfg(fuzzing)]
pub use connection::run_program;
pub use connection::{CALL_WINDOW, MAX_PENDING_REPLIES};
pub(crate) use dispatcher::log_unhandled;
pub use dispatcher::{async_dispatcher, dispatcher, nothing, shared_dispatcher};
pub use end::{AsRaw, BoxDispatch, End, Local, RawEnd, Shared};
pub use error::{BindingError, ControlError, Refusal, Rejected, RpcError, TxError};
pub use inbox::{Inbox, Messages, Receiving, RecvError, inbox};
pub use message_type::{Fallible, MessageType, Response};
pub(crate) use raw::WeakBinding;
pub use raw::{RawBinding, attach};
pub use reply::{Cancelled, ReplyToken};
pub use sending::{Sending, SendingCaps};
pub use sent::{Sent, SentWithin};
pub use serve::{Async, Handler, handler_failed};
pub use shared::{
    Meanwhile, Reconnecting, ReconnectingEndpoint, Replacement, SHARED_QUEUE, SharedEndpoint,
};
pub(crate) use shared::{block_on, slot::Slot};
pub use side::{ClientSide, ServiceSide, Side};

/// A message that is delivered, and those that were received together with it. `'r` is the borrow of the row, `'a` that of what
/// the row borrows.
pub struct Delivery<'r, 'a> {
    message: Received<'a>,
    rest: &'r mut step::DeliveredRow<'a, threading::OneThread>,
}

impl<'a> Delivery<'_, 'a> {
    /// Returns the message.
    #[inline(always)]
    pub fn message(&mut self) -> &mut Received<'a> {
        &mut self.message
    }

    /// Goes on to the next message. Returns false if there is none, or something else has to be done first.
    #[inline(always)]
    pub fn advance(&mut self) -> bool {
        self.rest.next().is_some_and(|next| {
            // No message of a row has capabilities.
            (self.message.number, self.message.words) = (next.number(), next.words());
            true
        })
    }
}

/// What a generated module gives to its binding: the receive handlers behind the decoder. [`BoxDispatch`] is the form in
/// which a binding owns it.
pub trait Dispatch<E: End = Local> {
    /// Decodes `message` and runs its handler.
    ///
    /// # Errors
    /// If the words are not those of a message of the interface; the binding ends then.
    fn deliver(&mut self, raw: &E::Raw, message: Received<'_>) -> Result<(), DecodeError>;

    /// [Delivers](Self::deliver) the messages of `delivery`.
    ///
    /// # Errors
    /// The first one; no message is delivered after it.
    fn deliver_all(
        &mut self,
        raw: &E::Raw,
        delivery: &mut Delivery<'_, '_>,
    ) -> Result<(), DecodeError> {
        loop {
            self.deliver(raw, delivery.message().reborrow())?;
            if !delivery.advance() {
                return Ok(());
            }
        }
    }

    /// Runs the error handler.
    fn error(&mut self, raw: &E::Raw, error: BindingError);

    /// Learns of its binding, before anything is delivered. Returns true if [`connected`](Self::connected) is to run.
    fn attached(&mut self, raw: &E::Raw) -> bool {
        let _ = raw;
        false
    }

    /// Runs the handler of a new binding, from the waitset, before any other.
    fn connected(&mut self, raw: &E::Raw) {
        let _ = raw;
    }
}
