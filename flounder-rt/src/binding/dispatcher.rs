//! The receiver of a binding, made of handlers and two functions of generated code.

use crate::binding::{BindingError, Dispatch, Local, RawBinding, RawEnd, Received};
use crate::wire::DecodeError;

/// Handlers with the functions that decode for them. The functions are types, so that their calls cost nothing.
struct Dispatcher<R, B, D, F> {
    handlers: R,
    binding: fn(RawEnd<Local>) -> B,
    deliver: D,
    error: F,
}

/// Returns the receiver that calls `deliver` for each message, and `error` for each error with a typed `binding`.
pub fn dispatcher<R, B, D, F>(
    handlers: R,
    binding: fn(RawEnd<Local>) -> B,
    deliver: D,
    error: F,
) -> Box<dyn Dispatch>
where
    R: 'static,
    B: 'static,
    D: Fn(&mut R, &RawBinding, Received<'_>) -> Result<(), DecodeError> + 'static,
    F: Fn(&mut R, &B, BindingError) + 'static,
{
    Box::new(Dispatcher { handlers, binding, deliver, error })
}

impl<R, B, D, F> Dispatch for Dispatcher<R, B, D, F>
where
    D: Fn(&mut R, &RawBinding, Received<'_>) -> Result<(), DecodeError>,
    F: Fn(&mut R, &B, BindingError),
{
    fn deliver(&mut self, raw: &RawBinding, message: Received<'_>) -> Result<(), DecodeError> {
        (self.deliver)(&mut self.handlers, raw, message)
    }

    fn error(&mut self, raw: &RawBinding, error: BindingError) {
        (self.error)(&mut self.handlers, &(self.binding)(raw.handle()), error);
    }
}
