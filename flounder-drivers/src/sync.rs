//! Atomics of the rings: those of `core`, or in models, which check every interleaving, those of loom.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// Does nothing: loom does not reorder at compile time.
#[cfg(loom)]
pub(crate) fn compiler_fence(_: Ordering) {}
