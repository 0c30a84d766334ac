//! Random interfaces with their generated decoders: what `tests/comparison.rs` compares with `flounder_wire::schema`.
//!
//! The build script writes the interfaces: 200 of the writer that `flounder-idl` tests its parser with, each with types from
//! Rust; and those whose expansions are reviewed in `flounder-codegen/tests/golden`.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use flounder::driver::channel::Channel;
use flounder::message::{Interface, MessageBuffer, MessageValue};
use flounder::{BindingError, Waitset};

/// An interface, and what its generated code makes of a message.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Descriptor of the interface.
    pub interface: &'static Interface,
    /// Reads a message, and writes it again.
    pub again: fn(MessageBuffer) -> Result<MessageBuffer, DecodeError>,
    /// Makes a binding without handlers, which reports what it receives as errors: that of a service.
    pub service: Bind,
    /// And that of a client.
    pub client: Bind,
}

/// Makes a binding over a channel.
pub type Bind = fn(Box<dyn Channel>, &Waitset, Errors) -> std::io::Result<Box<dyn Any>>;

/// What the error handler of a binding was given.
pub type Errors = Rc<RefCell<Vec<BindingError>>>;

/// Why a generated decoder refuses a message.
pub type DecodeError = flounder_wire::DecodeError;

/// The case of an interface whose module is in scope, with the closures of a client.
macro_rules! case {
    ($interface:ident, $client:ident) => {
        crate::Case {
            interface: $interface::INTERFACE,
            again: crate::again::<$interface::Message>,
            service: |channel, waitset, errors| {
                let error = move |_: &_, error| errors.borrow_mut().push(error);
                let rx = $interface::RxVtbl { error: Some(Box::new(error)), ..Default::default() };
                Ok(Box::new($interface::over(channel, waitset, rx)?))
            },
            client: |channel, waitset, errors| {
                let error = move |_: &_, error| errors.borrow_mut().push(error);
                let rx = $interface::$client { error: Some(Box::new(error)), ..Default::default() };
                Ok(Box::new($interface::over(channel, waitset, rx)?))
            },
        }
    };
}

fn again<M: MessageValue>(message: MessageBuffer) -> Result<MessageBuffer, DecodeError> {
    let message = message.decode::<M>()?;
    Ok(MessageBuffer::encode(&message).expect("what was read is within its bounds"))
}

#[allow(missing_docs, dead_code, unreachable_pub, clippy::all)]
mod random {
    include!(concat!(env!("OUT_DIR"), "/random.rs"));
}

#[allow(missing_docs, dead_code, unreachable_pub, clippy::all)]
mod golden {
    include!(concat!(env!("OUT_DIR"), "/golden.rs"));
}

/// Returns the random interfaces.
#[must_use]
pub fn random() -> Vec<Case> {
    random::cases()
}

/// Returns the interfaces whose expansions are reviewed.
#[must_use]
pub fn golden() -> Vec<Case> {
    golden::cases()
}
