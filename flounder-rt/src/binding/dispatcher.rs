//! The receiver of a binding, made of handlers and two functions of generated code.

use core::marker::PhantomData;
use std::rc::{Rc, Weak};

use crate::binding::shell::Shell;
use crate::binding::{
    BindingError, BoxDispatch, Dispatch, End, Local, RawBinding, RawEnd, Received, ReplyToken,
    Shared,
};
use crate::interface::{Direction, Interface, MessageInfo, MessageKind};
use crate::message::MessageValue;
use crate::wire::DecodeError;

const ATTACHED: &str = "a binding is attached before anything is delivered";

/// Handlers with the functions that decode for them. The functions are types, so that their calls cost nothing.
struct Dispatcher<E: End, R, B, D, F> {
    handlers: R,
    binding: fn(RawEnd<E>) -> B,
    /// Present once the binding is attached, which is before anything is delivered.
    lent: Option<Lent<E, B>>,
    deliver: D,
    error: F,
    connected: Option<Connected<R, B>>,
}

/// What runs when there is a binding.
type Connected<R, B> = fn(&mut R, &B);

/// The typed binding that handlers borrow. It is made once, and does not count as a handle of the program.
struct Lent<E: End, B> {
    /// Dropped before the binding.
    _uncounted: E::Uncounted,
    binding: B,
}

impl<E: End, B> Lent<E, B> {
    fn new(raw: &E::Raw, binding: fn(RawEnd<E>) -> B) -> Self {
        let (uncounted, raw) = E::lend(raw);
        Self { _uncounted: uncounted, binding: binding(RawEnd(raw)) }
    }
}

/// Keeps one handle of a binding from being counted.
pub struct Uncounted(Weak<Shell>);

impl Uncounted {
    pub(super) fn lend(raw: &RawBinding) -> (Self, RawBinding) {
        let shell = raw.shell();
        let lent = (Self(Rc::downgrade(shell)), raw.clone());
        let handles = &shell.own.handles;
        handles.set(handles.get() - 1);
        lent
    }
}

impl Drop for Uncounted {
    fn drop(&mut self) {
        // The drop of the handle, which keeps the shell until then, subtracts what is not counted.
        if let Some(shell) = self.0.upgrade() {
            shell.own.handles.set(shell.own.handles.get() + 1);
        }
    }
}

/// Returns the receiver that calls `deliver` for each message, and `error` for each error with a typed `binding`; and
/// `connected` before that.
pub fn dispatcher<R, B, D, F>(
    handlers: R,
    binding: fn(RawEnd<Local>) -> B,
    deliver: D,
    error: F,
    connected: Option<Connected<R, B>>,
) -> BoxDispatch
where
    R: 'static,
    B: 'static,
    D: Fn(&mut R, &B, &mut Received<'_>) -> Result<(), DecodeError> + 'static,
    F: Fn(&mut R, &B, BindingError) + 'static,
{
    Box::new(Dispatcher { handlers, binding, lent: None, deliver, error, connected })
}

/// Returns the [`dispatcher`] of handlers that any thread may run.
pub fn shared_dispatcher<R, B, D, F>(
    handlers: R,
    binding: fn(RawEnd<Shared>) -> B,
    deliver: D,
    error: F,
    connected: Option<Connected<R, B>>,
) -> BoxDispatch<Shared>
where
    R: Send + 'static,
    B: Send + 'static,
    D: Fn(&mut R, &B, &mut Received<'_>) -> Result<(), DecodeError> + Send + 'static,
    F: Fn(&mut R, &B, BindingError) + Send + 'static,
{
    Box::new(Dispatcher { handlers, binding, lent: None, deliver, error, connected })
}

/// Returns the receiver of handlers that are futures, which share the service.
pub fn async_dispatcher<R, B, D, F>(
    service: R,
    binding: fn(RawEnd<Local>) -> B,
    deliver: D,
    error: F,
    connected: Option<Connected<Rc<R>, B>>,
) -> BoxDispatch
where
    R: 'static,
    B: 'static,
    D: Fn(&mut Rc<R>, &B, &mut Received<'_>) -> Result<(), DecodeError> + 'static,
    F: Fn(&R, &B, BindingError) + 'static,
{
    let error = move |service: &mut Rc<R>, binding: &B, cause| error(service, binding, cause);
    dispatcher(Rc::new(service), binding, deliver, error, connected)
}

/// Returns the receiver of a binding without handlers, of a side that receives messages of this direction.
#[must_use]
pub fn nothing<E: End, M: MessageValue + 'static>(receives: Direction) -> BoxDispatch<E> {
    E::nothing::<M>(receives)
}

/// Handles nothing: a message `M` is decoded and then reported as one that has no handler.
pub(super) struct Nothing<M> {
    receives: Direction,
    message: PhantomData<fn() -> M>,
}

impl<M> Nothing<M> {
    pub(super) const fn new(receives: Direction) -> Self {
        Self { receives, message: PhantomData }
    }
}

impl<M: MessageValue> Nothing<M> {
    /// Decodes and reports a message that is no response of plain data.
    #[inline(never)]
    fn report<E: End>(
        &self,
        raw: &E::Raw,
        info: &MessageInfo,
        mut message: Received<'_>,
    ) -> Result<(), DecodeError> {
        if !self.receives.receives(info.direction) {
            return Err(DecodeError::Direction);
        }
        if !info.bulks.is_empty() {
            E::resolve(raw, &info.bulks, &mut message)?;
        }
        let (name, call) = match info.kind {
            MessageKind::Message => (info.name, None),
            MessageKind::RpcCall { at } => {
                (info.name.strip_suffix("_call").unwrap_or(info.name), message.id_at(at))
            }
            MessageKind::RpcResponse { at } => return answer::<E>(raw, &mut message, at),
        };
        let number = message.number;
        E::delivering(raw, || M::unmarshal(message).map(drop))?;
        // Dropped: the caller learns that no reply will come.
        drop(call.map(|id| ReplyToken::<E>::new(raw, id, number)));
        log_unhandled(M::INTERFACE, BindingError::NoHandler { message: name });
        Ok(())
    }
}

/// Passes a response to the call that waits for it, if there is one, which decodes the rest.
#[inline(always)]
fn answer<E: End>(raw: &E::Raw, message: &mut Received<'_>, at: usize) -> Result<(), DecodeError> {
    let answered = E::answer(raw, message, at, at / 8 + 1);
    if !message.caps.is_empty() {
        message.caps.clear();
    }
    answered
}

impl<E: End, M: MessageValue> Dispatch<E> for Nothing<M> {
    #[inline]
    fn deliver(&mut self, raw: &E::Raw, mut message: Received<'_>) -> Result<(), DecodeError> {
        let number = message.number;
        let info = M::INTERFACE.message(number).ok_or(DecodeError::Number(number))?;
        match info.kind {
            MessageKind::RpcResponse { at }
                if info.bulks.is_empty() && self.receives.receives(info.direction) =>
            {
                answer::<E>(raw, &mut message, at)
            }
            _ => self.report::<E>(raw, info, message),
        }
    }

    fn error(&mut self, _raw: &E::Raw, error: BindingError) {
        log_unhandled(M::INTERFACE, error);
    }
}

/// Writes an error that no handler gets to the log.
#[cold]
pub(crate) fn log_unhandled(interface: &Interface, error: BindingError) {
    match error {
        BindingError::Closed => {
            tracing::debug!(interface = interface.name, "binding closed by the peer")
        }
        error => {
            crate::log_limited!(
                error,
                interface = interface.name,
                ?error,
                "binding error without a handler"
            )
        }
    }
}

impl<E: End, R, B, D, F> Dispatch<E> for Dispatcher<E, R, B, D, F>
where
    D: Fn(&mut R, &B, &mut Received<'_>) -> Result<(), DecodeError>,
    F: Fn(&mut R, &B, BindingError),
{
    fn deliver(&mut self, _raw: &E::Raw, mut message: Received<'_>) -> Result<(), DecodeError> {
        let lent = self.lent.as_ref().expect(ATTACHED);
        // A reference: by value, the message would be copied before the arms are told apart.
        (self.deliver)(&mut self.handlers, &lent.binding, &mut message)
    }

    fn error(&mut self, _raw: &E::Raw, error: BindingError) {
        let lent = self.lent.as_ref().expect(ATTACHED);
        (self.error)(&mut self.handlers, &lent.binding, error);
    }

    fn attached(&mut self, raw: &E::Raw) -> bool {
        self.lent = Some(Lent::new(raw, self.binding));
        self.connected.is_some()
    }

    fn connected(&mut self, _raw: &E::Raw) {
        let lent = self.lent.as_ref().expect(ATTACHED);
        if let Some(connected) = self.connected {
            connected(&mut self.handlers, &lent.binding);
        }
    }
}
