//! How a client and a service get a binding to each other.
//!
//! | module | owns |
//! |---|---|
//! | [`export`] | the side of the service, and the trait [`Broker`](export::Broker) |
//! | [`bind`] | the side of the client |
//! | `flush` | the brokers that the end of the process waits for |
//! | [`none`] | the broker of a program that has none |

pub mod bind;
pub mod export;
mod flush;
pub(crate) mod none;
