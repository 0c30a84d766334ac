//! Atomics of the rings: those of `core`, or those of loom where a model checks every interleaving.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// loom reorders nothing at compile time.
#[cfg(loom)]
pub(crate) fn compiler_fence(_: Ordering) {}
