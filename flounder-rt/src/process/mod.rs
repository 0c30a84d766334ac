//! State of a process besides its waitsets: descriptors, and the resources that peers make it hold.
//!
//! | module | owns |
//! |---|---|
//! | [`account`] | limits on what peers make this process hold |
//! | [`barrier`] | memory barriers that one thread runs on all processors |
//! | [`cap`] | capabilities: descriptors that travel in messages |
//! | [`closer`] | threads that close descriptors to which a peer had access |
//! | [`errno`] | error numbers of the system |
//! | [`exit`] | the wait for unsent messages when the process ends |
//! | [`fork`] | the parts of a process that a forked child must not share with its parent |
//! | [`log_rate`] | limit on how often a place in the code writes to the log |
//! | [`peer`] | the identity of the process at the other end |
//! | [`sync`] | locks and atomics of protocols between threads, replaced by loom's in the models |

pub mod account;
pub mod barrier;
pub mod cap;
pub mod closer;
pub(crate) mod errno;
pub(crate) mod exit;
pub mod fork;
pub mod log_rate;
pub(crate) mod pages;
pub mod peer;
pub(crate) mod sync;
