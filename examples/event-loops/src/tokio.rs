//! tokio, by hand: `AsyncFd` is edge-triggered. `flounder::tokio` is this with a bound on the events of one turn, and without
//! an unsafe block in the program: tokio cannot check that a descriptor of another crate stays open.

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;
use flounder::{DispatchError, Waitset};

/// Dispatches for ever, beside the program's other futures on this thread.
///
/// # Errors
/// The error of a callback, or of a system call.
pub async fn drive(ws: &Waitset) -> Result<(), DispatchError> {
    ws.prepare_wait()?;
    // SAFETY:
    // * The descriptor is open: `prepare_wait` makes it, if it is not there.
    // * It stays open, and the same, for as long as there is a clone of the waitset, as the `AsyncFd` has; `AsRawFd` of
    //   `Waitset` documents this.
    let registered = unsafe { AsyncFd::register_with_interest(ws.clone(), Interest::READABLE) };
    let descriptor = registered.map_err(std::io::Error::from)?;
    loop {
        while ws.try_dispatch()? {}
        if ws.prepare_wait()? {
            // Before dispatching: what comes from here on is an edge again.
            descriptor.readable().await?.clear_ready();
        }
    }
}
