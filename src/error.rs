//! Errors that the errors of the crate's root hold, and how errors are shown.
//!
//! `Display` writes the text of an error alone, and [`source`](core::error::Error::source) returns the error that it holds.
//! `Debug` writes the whole chain on one line, so that a `main` that returns an error prints it for people. [`Chain`] does
//! the same with any error.
//!
//! ```
//! use flounder::error::{Chain, Errno};
//! use flounder::{BindingError, RpcError};
//!
//! let error = RpcError::Closed(BindingError::PeerDied);
//! assert_eq!(error.to_string(), "the binding ended before the reply came");
//! assert_eq!(format!("{error:?}"), "the binding ended before the reply came: the peer died");
//!
//! let error: Box<dyn std::error::Error> = RpcError::Os(Errno::from_raw_os_error(24)).into();
//! let text = "the waitset cannot block: Too many open files (os error 24)";
//! assert_eq!(Chain(&*error).to_string(), text);
//! ```

pub use flounder_rt::account::OverLimit;
pub use flounder_rt::bind::{BrokerError, Interrupted, Lacking, Side};
pub use flounder_rt::channel::{CapRefusal, ChannelError, ConnectError, ProtocolError};
pub use flounder_rt::error::Chain;
pub use flounder_rt::waitset::{Elapsed, EventError};
pub use flounder_rt::wire::{DecodeError, TooLong};
pub use flounder_rt::{EncodeError, Errno, Escaped};
