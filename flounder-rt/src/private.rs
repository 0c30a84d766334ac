//! What generated code names. Not part of the public interface: it changes with the generator.

pub use core;
pub use core::clone::Clone;
pub use core::cmp::{Eq, PartialEq};
pub use core::default::Default;
pub use core::fmt::{self, Debug, Formatter};
pub use core::hash::Hash;
pub use core::marker::{Copy, PhantomData, Send};
pub use core::ops::{FnMut, FnOnce};
pub use core::option::Option::{self, None, Some};
pub use core::prelude::v1::derive;
pub use core::primitive::{bool, str, u32, u64, u128, usize};
pub use core::result::Result::{self, Err, Ok};
pub use std::boxed::Box;
pub use std::io;
pub use std::rc::Rc;
pub use std::string::String;
pub use std::vec::Vec;

pub use crate::__args;
#[cfg(fuzzing)]
pub use crate::binding::run_program;
pub use crate::binding::{
    AsRaw, Async, BindingError, BoxDispatch, Call, Cancelled, ClientSide, Closing, ControlError,
    End, Fallible, Inbox, Local, MessageType, Messages, RawBinding, RawEnd, Received, Receiving,
    Reconnecting, Rejected, Reply, ReplyToken, RpcError, Sending, SendingCaps, Sent, ServiceSide,
    Shared, Side, Timeout, TxError, async_dispatcher, attach, dispatcher, handler_failed, inbox,
    nothing, shared_dispatcher, side::stray,
};
pub use crate::broker::any_waitset::{AnyWaitset, Connects};
pub use crate::broker::none::{Again, Connect, Serve, connect, serve};
pub use crate::cap::Cap;
pub use crate::channel::{Channel, Control};
pub use crate::export::{Broker, Refusal};
pub use crate::interface::{
    AnnotationInfo, AnnotationValue, Direction, Interface, MessageInfo, MessageKind, limits,
    numbered,
};
pub use crate::iref::{Errval, Iref};
pub use crate::message::args::{
    Args, CapToMove, Copied, Giving, Items, Lent, Moved, Optional, Slice, Strings, Text, TextItem,
    Texts,
};
pub use crate::message::bulk::{
    BufferMut, Bulk, BulkArg, BulkOwned, BulkToSend, IntoBulk, Pool, PoolError, PoolOwner, Slots,
};
pub use crate::message::{EncodeError, MessageBuffer, MessageValue, Opaque, same, show};
pub use crate::peer::Peer;
pub use crate::waitset::{CallbackError, Outcome, Priority, SharedWaitset, Waitset};
pub use crate::wire::{
    Bounded, CapRefs, Decode, DecodeError, Decoder, Encode, Plain, Record, Shape, TakeBounded,
    TooLong, TypeForm, largest, nest, put_tag, record, total,
};
pub use core::time::Duration;
pub use std::time::Instant;

/// The default of an error handler: writes to the log.
#[cold]
pub fn unhandled_error<E: End>(end: &RawEnd<E>, error: BindingError) {
    crate::binding::log_unhandled(end.interface(), error);
}

/// Returns the error for a message whose closure is missing.
#[cold]
#[must_use]
pub const fn no_handler(message: &'static str) -> BindingError {
    BindingError::NoHandler { message }
}

/// Shows handlers that are closures.
///
/// # Errors
/// The formatter's.
pub fn closures(f: &mut Formatter<'_>) -> fmt::Result {
    f.debug_struct("RxVtbl").finish_non_exhaustive()
}

/// Returns an export of a service. `deliver` makes a receiver of what `connect` answers with.
pub fn export<W: AnyWaitset, X, C: Connects<W::End, X>>(
    waitset: &W,
    interface: &'static Interface,
    broker: &'static dyn Broker,
    connect: C,
    deliver: fn(X) -> BoxDispatch<W::End>,
) -> W::Export {
    waitset.__export(interface, broker, connect.__for_clients(deliver))
}

/// Returns a bind to the service that `iref` names.
pub fn bind<W: AnyWaitset, B: 'static>(
    iref: Iref,
    waitset: &W,
    interface: &'static Interface,
    broker: &'static dyn Broker,
    handler: BoxDispatch<W::End>,
    wrap: fn(RawEnd<W::End>) -> B,
) -> W::Bind<B> {
    waitset.__bind(iref, interface, broker, handler, wrap)
}

/// The broker of a program that has only the runtime: it knows no service.
#[must_use]
pub fn broker() -> &'static dyn Broker {
    &crate::broker::none::NONE
}

/// What the implementation of [`Args`] names.
pub mod args {
    pub use core::assert;
    pub use core::prelude::v1::{Err, FnOnce, None, Ok, Option, Some};
    pub use core::result::Result;
    pub use std::vec::Vec;

    pub use crate::cap::Cap;
    pub use crate::message::args::{Arg, Args, CapsToSend, Refused, Results, slots};
    pub use crate::wire::{Bulks, DecodeError, Decoder, first_at, record, total};
}
