//! The contract between a binding and an interconnect driver.
//!
//! | module | owns |
//! |---|---|
//! | [`channel`] | the traits that a driver implements, with the contract in numbered clauses |
//! | [`notify`] | [`Notifier`](notify::Notifier): how a driver wakes the waitset that serves an end |
//! | [`policy`] | rules of the program about the capabilities in its messages |

pub mod channel;
pub mod notify;
pub mod policy;
