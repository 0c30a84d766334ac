//! async-io, the reactor of smol and async-std.

use ::async_io::Async;
use flounder::{DispatchError, Waitset};

/// Dispatches for ever: for an executor of one thread, beside the program's other futures.
///
/// # Errors
/// The error of a callback, or of a system call.
pub async fn drive(ws: &Waitset) -> Result<(), DispatchError> {
    let descriptor = Async::new_nonblocking(ws.clone())?;
    loop {
        while ws.try_dispatch()? {}
        if ws.prepare_wait()? {
            descriptor.readable().await?;
        }
    }
}
