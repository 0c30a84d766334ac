//! A waitset in the event loops of other crates, one file each.
//!
//! They all follow the rule of [`Waitset::prepare_wait`](flounder::Waitset::prepare_wait): prepare before each wait, wait
//! only if that returns true, dispatch afterwards. The same with plain epoll is `examples/epoll_loop.rs` of `flounder`; in a tokio
//! runtime `flounder::tokio` does all of it.

pub mod async_io;
pub mod mio;
pub mod tokio;
