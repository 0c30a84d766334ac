//! tokio, by hand: `AsyncFd` is edge-triggered. `flounder::tokio` is this with a bound on the events of one turn, and without
//! an unsafe block of yours: tokio takes descriptors of other crates on their word.

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;
use flounder::{DispatchError, Waitset};

/// Dispatches for ever, beside the program's other futures on this thread.
///
/// # Errors
/// What a callback gave back, or the kernel.
pub async fn drive(ws: &Waitset) -> Result<(), DispatchError> {
    ws.prepare_wait()?;
    // SAFETY:
    // * The descriptor is open: `prepare_wait` makes it, if it is not there.
    // * It stays open, and the same, for as long as there is a clone of the waitset, as the `AsyncFd` has; `AsRawFd` of
    //   `Waitset` says so.
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
