//! What the case programs share: processes and verdicts ([`common`]), and the service that most of them use ([`service`]).
//!
//! A case program is one binary. Started without arguments it plays the case and prints its verdict; started by itself, with the
//! name of a role as the first argument, it is a service, a client or whatever else the case needs.

pub mod common;
#[path = "echo.rs"]
pub mod service;

pub use common::*;
pub use service::*;
