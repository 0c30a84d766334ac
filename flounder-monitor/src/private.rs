//! What the facade passes to generated code. Not part of the public interface: it changes with the generator.

use flounder_rt::binding::{BoxDispatch, Local, RawEnd, Reconnecting};
use flounder_rt::interface::Interface;
use flounder_rt::message::MessageValue;

pub use crate::service::{Again, Connect, Serve};

/// Returns a service under `name`. `handlers` makes what handles the messages of one client.
pub fn serve(
    name: &str,
    interface: &'static Interface,
    handlers: impl FnMut() -> BoxDispatch + Send + 'static,
) -> Serve {
    Serve::new(name, interface, handlers)
}

/// Returns a connection to the service called `name`, whose messages are those of `M`. None of them has a handler.
pub fn connect<M: MessageValue + 'static, B: Send + 'static, A: Send + 'static>(
    name: &str,
    wrap: fn(RawEnd<Local>) -> B,
    wrap_again: fn(RawEnd<Reconnecting>) -> A,
) -> Connect<B, Again<A>> {
    Connect::new::<M>(name, wrap, wrap_again)
}
