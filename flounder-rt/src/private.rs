//! What generated code names. Not part of the public interface: it changes with the generator.

pub use core;
pub use std::boxed::Box;
pub use std::io;
pub use std::rc::Rc;
pub use std::string::String;
pub use std::vec::Vec;

pub use crate::bind::Bind;
pub use crate::binding::{
    BindingError, Call, Deliver, Endpoint, Inbox, Messages, Patience, Procedure, Received,
    Receiving, Rejected, Reply, ReplyToken, RpcError, Sending, Sent, SharedCall, SharedEndpoint,
    SharedSend, TxError, sending,
};
pub use crate::cap::Cap;
pub use crate::channel::{Channel, MessageLimit};
pub use crate::export::{Broker, Export, Refusal};
pub use crate::interface::{
    AnnotationInfo, AnnotationValue, ArgInfo, Interface, MessageInfo, MessageKind,
};
pub use crate::iref::{Errval, Iref};
pub use crate::message::{
    EncodeError, Max, MessageBuffer, MessageValue, Parts, Untold, Visit, read, same, show,
};
pub use crate::peer::Peer;
pub use crate::waitset::{CallbackError, Waitset};
pub use crate::wire::{
    Bounded, Decode, DecodeError, Encode, Plain, Record, Shape, Source, TakeBounded, TooLong,
    digest, fingerprint, largest, nest, record, total,
};
pub use core::time::Duration;
pub use std::time::Instant;

/// What `attach` gives when it fails.
pub type AttachError = std::io::Error;

/// The bytes of plain values, as they lie on the wire.
#[inline]
pub fn plain_bytes<T: Plain>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

/// Strings, as they are lent.
#[must_use]
pub fn texts(strings: &[String]) -> Vec<&str> {
    strings.iter().map(String::as_str).collect()
}

/// The default of an error handler: writes to the log.
#[cold]
pub fn unhandled_error(interface: &Interface, error: &BindingError) {
    match error {
        BindingError::Closed => {
            tracing::debug!(interface = interface.name, "binding closed by the peer")
        }
        error => {
            tracing::error!(interface = interface.name, %error, "binding error without a handler")
        }
    }
}

/// A message number beyond those of the interface: the limits of a channel let none through.
#[cold]
#[must_use]
pub const fn unknown_message(number: u16) -> DecodeError {
    DecodeError::Number(number)
}

/// The broker of a program that has only the runtime: it knows no service.
#[must_use]
pub fn broker() -> &'static dyn Broker {
    &crate::broker::NONE
}
