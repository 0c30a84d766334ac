//! A broker that introduces nobody, for programs made of the runtime alone: they attach bindings to channels themselves.

use std::time::Instant;

use crate::bind::{BindError, BindRequest};
use crate::export::{Broker, ExportError, ServiceEntry};
use crate::iref::Iref;

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
