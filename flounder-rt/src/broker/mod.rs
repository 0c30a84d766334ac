//! How a client and a service get a binding to each other.
//!
//! | module | owns |
//! |---|---|
//! | [`export`] | the side of the service, and the trait [`Broker`](export::Broker) |
//! | [`bind`] | the side of the client |
//! | [`none`] | the broker of a program that has none |

pub mod bind;
pub mod export;
pub(crate) mod none;
