//! Atomics of the rings: those of `core`, or in models, which check every interleaving, those of loom.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// Does nothing: loom does not reorder at compile time.
#[cfg(loom)]
pub(crate) fn compiler_fence(_: Ordering) {}

/// Returns true in a model into which this defect was put: if `FLOUNDER_DEFECT` names it.
#[inline]
#[cfg(loom)]
pub(crate) fn planted(defect: &str) -> bool {
    static NAMED: std::sync::OnceLock<Option<std::ffi::OsString>> = std::sync::OnceLock::new();
    let named = NAMED.get_or_init(|| std::env::var_os("FLOUNDER_DEFECT"));
    named.as_ref().is_some_and(|named| named == defect)
}

/// Returns true in a model into which this defect was put.
#[inline]
#[cfg(not(loom))]
pub(crate) const fn planted(_defect: &str) -> bool {
    false
}
