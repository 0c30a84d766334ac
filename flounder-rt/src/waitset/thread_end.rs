//! The waitsets of a thread, which end with it.
//!
//! A waitset cannot leave its thread, so at the thread's end nobody can dispatch it any more, although a handler, a task or a
//! timer may own a clone of it. Each waitset of the thread is [closed](Waitset::close) then.
//!
//! ```text
//!   thread's function returns
//!     destructors of thread-local variables, last registered first; ours among them: closes the waitsets made so far,
//!     and waits until their bindings have sent what they accepted
//!     destructors of POSIX keys: closes those that the destructors above have made after ours had run
//! ```

#![allow(unsafe_code)]
//! # Safety
//! This module owns one POSIX key, which it never deletes. The values under it are not pointers to anything.

use core::cell::{Cell, RefCell};
use core::ffi::c_void;
use core::mem::ManuallyDrop;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::waitset::{Remote, Waitset, WeakWaitset};

thread_local! {
    /// Without a destructor, so that it can be used until the thread is gone.
    static LOCAL: ManuallyDrop<RefCell<Vec<WeakWaitset>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
    static END: End = const { End };
    /// The waitsets of the thread are being closed, or were.
    static THREAD_ENDS: Cell<bool> = const { Cell::new(false) };
    static SUCCESSOR: Cell<Option<&'static dyn Successor>> = const { Cell::new(None) };
}

/// Takes over sources with something unsent when the waitsets of a thread end.
pub(crate) trait Successor {
    /// A waitset of the calling thread is gone, and its sources were abandoned. `is_gone` recognises it.
    fn waitset_gone(&self, is_gone: &dyn Fn(&WeakWaitset) -> bool);

    /// Calls `close`, which closes the waitsets of the calling thread, and blocks until what their sources have accepted is
    /// sent, at most until the exit timeout of the thread.
    fn thread_ends(&self, close: &mut dyn FnMut());
}

/// Sets what is called when waitsets of the calling thread end.
pub(crate) fn set_successor(successor: &'static dyn Successor) {
    SUCCESSOR.set(Some(successor));
}

pub(super) fn successor() -> Option<&'static dyn Successor> {
    SUCCESSOR.get()
}

/// Returns true if the waitsets of the calling thread are being closed, or were: the thread dispatches no more.
pub(crate) fn thread_ends() -> bool {
    THREAD_ENDS.get()
}

/// Closes the waitsets of its thread when it is dropped.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        close_all();
    }
}

/// Has the waitset closed when the calling thread ends.
pub(super) fn add(waitset: &Waitset) {
    LOCAL.with(|local| {
        let mut local = local.borrow_mut();
        local.retain(WeakWaitset::is_there);
        local.push(waitset.downgrade());
    });
    if is_ending() {
        close_later();
    }
}

/// The waitset of the calling thread that `remote` leads to.
pub(super) fn find(remote: &Arc<Remote>) -> Option<Waitset> {
    LOCAL.with(|local| {
        let local = local.borrow();
        let mut alive = local.iter().filter_map(WeakWaitset::upgrade);
        alive.find(|waitset| Arc::ptr_eq(&waitset.0.remote, remote))
    })
}

/// One of the waitsets of the calling thread that can be used.
pub(super) fn first() -> Option<Waitset> {
    LOCAL.with(|local| local.borrow().iter().find_map(WeakWaitset::upgrade))
}

/// Returns whether the waitsets of the calling thread are being closed, or were.
pub(super) fn is_ending() -> bool {
    END.try_with(|_| ()).is_err()
}

fn close_all() {
    let all = LOCAL.with(|local| local.take());
    // What a program drops may panic; nothing may unwind out of a thread that has ended.
    let close = |waitset: &WeakWaitset| {
        if catch_unwind(AssertUnwindSafe(|| waitset.close())).is_err() {
            tracing::error!("a value that a waitset owned panicked when its thread ended");
        }
    };
    THREAD_ENDS.set(true);
    // What sources have accepted is sent first.
    let closed = || {
        let mut close = || all.iter().for_each(close);
        match successor() {
            Some(successor) => successor.thread_ends(&mut close),
            None => close(),
        }
    };
    if catch_unwind(AssertUnwindSafe(closed)).is_err() {
        tracing::error!("a value that a binding owned panicked when its thread ended");
    }
    // The last handles may be in here.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(all)));
}

/// The number of the key plus 1, or 0.
static KEY: AtomicU64 = AtomicU64::new(0);

/// Has [`close_all`] run once more, after the destructors of thread-local variables.
fn close_later() {
    let Some(key) = key() else { return };
    let set = ptr::without_provenance::<c_void>(1);
    // SAFETY:
    // * `key` was made by `pthread_key_create` and is never deleted.
    // * The value is not used as a pointer by anybody. A failure (no memory) leaves the waitset as it is.
    let _ = unsafe { libc::pthread_setspecific(key, set) };
}

fn key() -> Option<libc::pthread_key_t> {
    // SYNC key: the number is all that is published.
    if let Some(key) = KEY.load(Ordering::Acquire).checked_sub(1) {
        return libc::pthread_key_t::try_from(key).ok();
    }
    let mut made = 0;
    // SAFETY:
    // * `made` is live and writable; `thread_has_ended` is a static function that does not unwind.
    if unsafe { libc::pthread_key_create(&raw mut made, Some(thread_has_ended)) } != 0 {
        return None;
    }
    // Of two threads that come at once the later one's key is used by both; the other one is an empty entry.
    KEY.store(u64::from(made) + 1, Ordering::Release);
    Some(made)
}

extern "C" fn thread_has_ended(_: *mut c_void) {
    close_all();
}
