//! What the facade passes to generated code. Not part of the public interface: it changes with the generator.

use flounder_rt::binding::{Dispatch, Local, RawEnd};
use flounder_rt::interface::Interface;

pub use crate::service::{Connect, Serve};

/// Returns a service under `name`. `handlers` makes what handles the messages of one client.
pub fn serve(
    name: &str,
    interface: &'static Interface,
    handlers: impl FnMut() -> Box<dyn Dispatch> + Send + 'static,
) -> Serve {
    Serve::new(name, interface, handlers)
}

/// Returns a connection to the service called `name`. `handlers` makes what handles the messages of the service.
pub fn connect<B: Send + 'static>(
    name: &str,
    interface: &'static Interface,
    handlers: fn() -> Box<dyn Dispatch>,
    wrap: fn(RawEnd<Local>) -> B,
) -> Connect<B> {
    Connect::new(name, interface, handlers, wrap)
}
