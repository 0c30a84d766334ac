//! The receiver of a binding, made of handlers and two functions of generated code.

use std::rc::{Rc, Weak};

use crate::binding::shell::Shell;
use crate::binding::{BindingError, Dispatch, Local, RawBinding, RawEnd, Received};
use crate::wire::DecodeError;

const ATTACHED: &str = "a binding is attached before anything is delivered";

/// Handlers with the functions that decode for them. The functions are types, so that their calls cost nothing.
struct Dispatcher<R, B, D, F> {
    handlers: R,
    binding: fn(RawEnd<Local>) -> B,
    /// Present once the binding is attached, which is before anything is delivered.
    lent: Option<Lent<B>>,
    deliver: D,
    error: F,
}

/// The typed binding that handlers borrow. It is made once, and does not count as a handle of the program.
struct Lent<B> {
    shell: Weak<Shell>,
    binding: B,
}

impl<B> Lent<B> {
    fn new(raw: &RawBinding, binding: fn(RawEnd<Local>) -> B) -> Self {
        let shell = raw.shell();
        let lent = Self { shell: Rc::downgrade(shell), binding: binding(raw.handle()) };
        let handles = &shell.own.handles;
        handles.set(handles.get() - 1);
        lent
    }
}

impl<B> Drop for Lent<B> {
    fn drop(&mut self) {
        // The drop of `binding`, which keeps the shell until then, subtracts what is not counted.
        if let Some(shell) = self.shell.upgrade() {
            shell.own.handles.set(shell.own.handles.get() + 1);
        }
    }
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
    D: Fn(&mut R, &B, &RawBinding, &mut Received<'_>) -> Result<(), DecodeError> + 'static,
    F: Fn(&mut R, &B, BindingError) + 'static,
{
    Box::new(Dispatcher { handlers, binding, lent: None, deliver, error })
}

/// Returns the receiver of handlers that are futures, which share the service.
pub fn async_dispatcher<R, B, D, F>(
    service: R,
    binding: fn(RawEnd<Local>) -> B,
    deliver: D,
    error: F,
) -> Box<dyn Dispatch>
where
    R: 'static,
    B: 'static,
    D: Fn(&mut Rc<R>, &B, &RawBinding, &mut Received<'_>) -> Result<(), DecodeError> + 'static,
    F: Fn(&R, &B, BindingError) + 'static,
{
    let error = move |service: &mut Rc<R>, binding: &B, cause| error(service, binding, cause);
    dispatcher(Rc::new(service), binding, deliver, error)
}

impl<R, B, D, F> Dispatch for Dispatcher<R, B, D, F>
where
    D: Fn(&mut R, &B, &RawBinding, &mut Received<'_>) -> Result<(), DecodeError>,
    F: Fn(&mut R, &B, BindingError),
{
    fn deliver(&mut self, raw: &RawBinding, mut message: Received<'_>) -> Result<(), DecodeError> {
        let lent = self.lent.as_ref().expect(ATTACHED);
        // A reference: by value, the message would be copied before the arms are told apart.
        (self.deliver)(&mut self.handlers, &lent.binding, raw, &mut message)
    }

    fn error(&mut self, _raw: &RawBinding, error: BindingError) {
        let lent = self.lent.as_ref().expect(ATTACHED);
        (self.error)(&mut self.handlers, &lent.binding, error);
    }

    fn attached(&mut self, raw: &RawBinding) {
        self.lent = Some(Lent::new(raw, self.binding));
    }
}
