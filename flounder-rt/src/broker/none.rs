//! A broker that connects nothing, for programs made of the runtime alone, which attach bindings to channels themselves.

use core::marker::PhantomData;
use std::time::Instant;

use crate::bind::{BindError, BindRequest};
use crate::binding::{BoxDispatch, Local, RawEnd, Reconnecting};
use crate::export::{Broker, ExportError, ServiceEntry};
use crate::interface::Interface;
use crate::iref::Iref;
use crate::message::MessageValue;

pub(crate) struct NoBroker;

pub(crate) static NONE: NoBroker = NoBroker;

impl Broker for NoBroker {
    fn export(&self, _service: ServiceEntry) -> Result<(), ExportError> {
        Err(ExportError::NoBroker)
    }

    fn withdraw(&self, _iref: Iref) {}

    fn bind(&self, request: BindRequest) {
        request.reply.failed(BindError::NoBroker);
    }

    fn flush(&self, _deadline: Instant) {}
}

/// Result of the generated `serve` in a program that has no name service. It has no use.
#[derive(Debug)]
pub struct Serve(());

/// Result of the generated `connect` in a program that has no name service. It has no use.
#[derive(Debug)]
pub struct Connect<B, A>(PhantomData<fn() -> (B, A)>);

/// Stands for what a program with a name service makes connections again with. It has no use.
#[derive(Debug)]
pub struct Again<B>(PhantomData<fn() -> B>);

/// Drops the arguments.
#[must_use]
pub fn serve(
    _name: &str,
    _interface: &'static Interface,
    _handlers: impl FnMut() -> BoxDispatch + Send + 'static,
) -> Serve {
    Serve(())
}

/// Drops the arguments.
#[must_use]
pub fn connect<M: MessageValue, B, A>(
    _name: &str,
    _wrap: fn(RawEnd<Local>) -> B,
    _wrap_again: fn(RawEnd<Reconnecting>) -> A,
) -> Connect<B, Again<A>> {
    Connect(PhantomData)
}
