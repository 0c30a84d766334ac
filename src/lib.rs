//! Typed message passing.

#![forbid(unsafe_code)]

pub use flounder_macros::{FlounderMessage, flounder};
pub use flounder_rt::*;

/// Publishing services, and rules about capabilities: the monitor of this process.
pub mod monitor {
    pub use flounder_monitor::{DirProblem, MonitorError, policy, publish, publish_async};
}

/// The drivers, by name, and the order in which they are tried.
pub mod drivers {
    pub use flounder_drivers::{lmp, loopback, recommended, registry, ump};
}

pub use flounder_monitor::nameservice;

#[doc(hidden)]
pub mod __private {
    pub use flounder_rt::__private::*;

    /// The broker of a program that has a monitor.
    #[must_use]
    pub fn broker() -> &'static dyn flounder_rt::export::Broker {
        flounder_monitor::broker()
    }
}
