//! A waitset in a tokio runtime (feature `tokio`).
//!
//! The waitset belongs to one thread, so its driver is a future of that thread. The module of this name in the crate
//! `flounder` has a program.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory and no descriptor. Its only unsafe operation is to promise tokio that the descriptor of a
//! waitset stays what it is for as long as the waitset is there.

use core::cell::Cell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll};
use std::io;

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;

use crate::{DispatchError, Waitset};

/// After so many events the other futures of the thread have their turn.
const EVENTS: usize = 64;

/// Dispatches the events of `waitset` for ever, beside the other futures of its thread: to be spawned on a `LocalSet`, or to
/// be one branch of a `select!`. A waitset has one driver at a time.
///
/// # Errors
/// What an event's callback returned, or [`DispatchError::Os`], also if the waitset has a driver already. The waitset is as
/// usable as before, and may be driven again.
///
/// # Panics
/// Outside of a tokio runtime whose I/O is enabled.
pub async fn drive(waitset: &Waitset) -> Result<Infallible, DispatchError> {
    let driver = Driver::new(waitset)?;
    Err(poll_fn(|context| driver.poll(context)).await)
}

/// Dispatches the events of `waitset` until `future` is ready, and gives its value: a whole program, or a part of it that
/// uses a waitset. A waitset has one driver at a time.
///
/// # Errors
/// As [`drive`]; the future is dropped then.
///
/// # Panics
/// Outside of a tokio runtime whose I/O is enabled.
pub async fn run_until<F: Future>(
    waitset: &Waitset,
    future: F,
) -> Result<F::Output, DispatchError> {
    let driver = Driver::new(waitset)?;
    let mut future = pin!(future);
    poll_fn(|context| match driver.poll(context) {
        Poll::Ready(error) => Poll::Ready(Err(error)),
        Poll::Pending => future.as_mut().poll(context).map(Ok),
    })
    .await
}

struct Driver {
    /// Readiness stays set until it is cleared; each event sets it again.
    waitset: AsyncFd<Waitset>,
    /// It has not come to rest since its readiness was cleared.
    is_awake: Cell<bool>,
}

impl Driver {
    fn new(waitset: &Waitset) -> io::Result<Self> {
        // Whether there are descriptors is told here; then there is something to wait for.
        waitset.prepare_wait()?;
        let readable = Interest::READABLE;
        // SAFETY:
        // * The descriptor is open: `prepare_wait` has just made it, if it was not there.
        // * It stays open and the same while the `AsyncFd` has this `Waitset`, which shares the ownership of `HostLoop` with its
        //   clones, and `HostLoop` is made once and neither replaced nor changed (`OnceCell` in `waitset::Inner`).
        // * `as_raw_fd` gives that of `HostLoop`, each time.
        let registered = unsafe { AsyncFd::register_with_interest(waitset.clone(), readable) };
        let waitset = registered?;
        Ok(Self { waitset, is_awake: Cell::new(true) })
    }

    /// Dispatches until there is nothing to do; is ready only with an error.
    fn poll(&self, context: &mut Context<'_>) -> Poll<DispatchError> {
        self.turn(context).map_or_else(Poll::Ready, |()| Poll::Pending)
    }

    fn turn(&self, context: &mut Context<'_>) -> Result<(), DispatchError> {
        let waitset = self.waitset.get_ref();
        let mut left = EVENTS;
        loop {
            if !self.is_awake.get() {
                let Poll::Ready(mut ready) = self.waitset.poll_read_ready(context)? else {
                    return Ok(());
                };
                // Before anything is dispatched: what comes from here on sets it again.
                ready.clear_ready();
                self.is_awake.set(true);
            }
            while left > 0 && waitset.try_dispatch()? {
                left -= 1;
            }
            // One that cannot rest is looked at again when the others have had their turn.
            if left == 0 || !waitset.prepare_wait()? {
                context.waker().wake_by_ref();
                return Ok(());
            }
            self.is_awake.set(false);
        }
    }
}
