//! The receiver of a binding, made of handlers and two closures of generated code.

use crate::binding::{BindingError, Dispatch, RawBinding, Received};
use crate::wire::DecodeError;

/// Handlers with the closures that decode for them. The closures are types, so that their calls cost nothing.
struct Dispatcher<R, D, F> {
    handlers: R,
    deliver: D,
    error: F,
}

/// Returns the receiver that calls `deliver` for each message and `error` for each error.
pub fn dispatcher<R, D, F>(handlers: R, deliver: D, error: F) -> Box<dyn Dispatch>
where
    R: 'static,
    D: Fn(&mut R, &RawBinding, Received<'_>) -> Result<(), DecodeError> + 'static,
    F: Fn(&mut R, &RawBinding, BindingError) + 'static,
{
    Box::new(Dispatcher { handlers, deliver, error })
}

impl<R, D, F> Dispatch for Dispatcher<R, D, F>
where
    D: Fn(&mut R, &RawBinding, Received<'_>) -> Result<(), DecodeError>,
    F: Fn(&mut R, &RawBinding, BindingError),
{
    fn deliver(&mut self, raw: &RawBinding, message: Received<'_>) -> Result<(), DecodeError> {
        (self.deliver)(&mut self.handlers, raw, message)
    }

    fn error(&mut self, raw: &RawBinding, error: BindingError) {
        (self.error)(&mut self.handlers, raw, error);
    }
}
