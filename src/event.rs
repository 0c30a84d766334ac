//! Events of a [`Waitset`](crate::Waitset) besides messages, and the way into an event loop that the program has already.
//!
//! A host loop waits for the descriptor of the waitset beside its own, and dispatches what is there:
//!
//! ```
//! use flounder::Waitset;
//! use rustix::event::{PollFd, PollFlags, poll};
//!
//! let ws = Waitset::current();
//! ws.post(|_| { println!("a task"); Ok(()) });
//! // False if there are events already: the loop must not wait.
//! if ws.prepare_wait()? {
//!     poll(&mut [PollFd::new(&ws, PollFlags::IN)], None)?;
//! }
//! while ws.try_dispatch()? {}
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use flounder_rt::waitset::{
    ChannelState, Event, EventChannel, Interest, Limited, Remote, SharedEvent, SharedTimer,
    SignalWatch, Sleep, Timer, UnixSignal,
};
