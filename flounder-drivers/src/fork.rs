//! Telling a forked child from the process that made a channel.
//!
//! A channel belongs to the process that made it: a child that used its copy would take messages away from the parent,
//! or fault on memory that is not there (`MADV_DONTFORK`). A handler run by `fork(2)` in the child counts generations;
//! comparing one integer in each call is cheaper than asking for the process id, and is never stale. A child made by a
//! bare `clone(2)` runs no handlers: it must `exec`, as for every library with threads.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory. Its unsafe operation registers a handler that only adds to a static atomic.

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Once;

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The process generation in which something was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Born(u32);

impl Born {
    /// Now, here.
    pub(crate) fn now() -> Self {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(|| {
            // SAFETY:
            // * `pthread_atfork` keeps the pointer for the life of the process; `forked` is a static function.
            // * `forked` is async-signal-safe, as a handler in the child of a threaded process has to be: one atomic add.
            // A failure (no memory for the entry) leaves children undetected, as if made by `clone`.
            let _ = unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        });
        Self(GENERATION.load(Ordering::Relaxed))
    }

    /// Whether this is still the process in which that was.
    #[inline]
    pub(crate) fn is_here(self) -> bool {
        // SYNC generation: it changes only in a child, before that child's only thread returns from `fork`.
        GENERATION.load(Ordering::Relaxed) == self.0
    }
}

extern "C" fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
