//! The two sides of a binding, as types: which messages of an interface one sends and receives.

use core::fmt::Debug;

use crate::interface::{Direction, Interface};
use crate::wire::DecodeError;

/// Side of a binding whose interface has messages in one direction: [`ServiceSide`] or [`ClientSide`].
///
/// A generated `Binding` has a method for each message that its side sends, and handlers for each that comes.
///
/// ```
/// use flounder_rt::{ClientSide, ServiceSide, Side};
///
/// fn name<S: Side>() -> &'static str {
///     std::any::type_name::<S>()
/// }
///
/// assert_ne!(name::<ClientSide>(), name::<ServiceSide>());
/// ```
pub trait Side: sealed::Side + Copy + Debug + Send + Sync + Unpin + 'static {}

/// The side that exported the service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceSide(());

/// The side that bound to the service.
#[derive(Debug, Clone, Copy)]
pub struct ClientSide(());

impl Side for ServiceSide {}
impl Side for ClientSide {}

mod sealed {
    use super::{ClientSide, Direction, ServiceSide};

    pub trait Side {
        /// Which of the messages that go in one direction this side receives.
        const RECEIVES: Direction;
    }

    impl Side for ServiceSide {
        const RECEIVES: Direction = Direction::ToService;
    }

    impl Side for ClientSide {
        const RECEIVES: Direction = Direction::ToClient;
    }
}

/// Returns the error of a message that no handler of this side is for.
#[cold]
pub fn stray<T>(interface: &Interface, number: u16) -> Result<T, DecodeError> {
    let message = interface.message(number);
    Err(message.map_or(DecodeError::Number(number), |_| DecodeError::Direction))
}
