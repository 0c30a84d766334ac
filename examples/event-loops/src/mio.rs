//! mio: edge-triggered epoll on Linux.

use std::os::fd::AsRawFd;
use std::time::Duration;

use ::mio::unix::SourceFd;
use ::mio::{Events, Interest, Poll, Token};
use flounder::{DispatchError, Waitset};

const WAITSET: Token = Token(0);

/// Dispatches until `done`.
///
/// # Errors
/// The error of a callback, or of a system call.
pub fn run_until(ws: &Waitset, done: impl Fn() -> bool) -> Result<(), DispatchError> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    poll.registry().register(&mut SourceFd(&ws.as_raw_fd()), WAITSET, Interest::READABLE)?;
    while !done() {
        let timeout = if ws.prepare_wait()? { None } else { Some(Duration::ZERO) };
        match poll.poll(&mut events, timeout) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(error.into());
            }
            _ => {}
        }
        // Here the program would handle the events of its other tokens.
        while !done() && ws.try_dispatch()? {}
    }
    Ok(())
}
