//! Limits: on what peers make this process hold, on queues, and on times.
//!
//! ```
//! use flounder::limits::{Limits, Resource, Scope, limits, set_limits};
//!
//! set_limits(limits().with(Resource::Bindings, Scope::Process, 100));
//! ```

pub use flounder_rt::account::{
    Limits, Resource, Scope, UNLIMITED, Usage, limits, set_limits, usage, used_by_all,
};
pub use flounder_rt::bind::DEFAULT_BIND_TIMEOUT;
pub use flounder_rt::binding::{CALL_WINDOW, DEFAULT_TIMEOUT, MAX_PENDING_REPLIES, SHARED_QUEUE};
pub use flounder_rt::export::DEFAULT_MAX_BUFFER;
pub use flounder_rt::waitset::DEFAULT_SPIN;
pub use flounder_rt::{EXIT_TIMEOUT, set_exit_timeout};
