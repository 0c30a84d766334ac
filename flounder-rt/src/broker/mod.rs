//! How a client and a service get a binding to each other.
//!
//! | module | owns |
//! |---|---|
//! | [`export`] | the side of the service, and the trait [`Broker`](export::Broker) |
//! | [`bind`] | the side of the client |
//! | [`shared`] | both sides, for bindings that several threads serve |
//! | [`any_waitset`] | what the two kinds of waitsets make of `export` and `bind` |
//! | `error` | the errors of both |
//! | `flush` | the brokers that the end of the process waits for |
//! | [`none`] | the broker of a program that has none |

pub mod any_waitset;
pub mod bind;
mod error;
pub mod export;
mod flush;
pub(crate) mod none;
pub mod shared;
