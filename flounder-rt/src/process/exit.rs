//! The end of the process: waits until messages that were accepted are sent.
//!
//! A thread that ends waits for its own bindings (`binding/closing.rs`), and so does the thread that ends the process by
//! `exit` or by a return from `main`, before this module's turn comes. Here it waits for the other threads, which go on
//! running meanwhile. Nothing is waited for where nothing is unsent.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory. Its unsafe operations register handlers: static functions that use atomics, locks of this
//! module, and safe code of this crate.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::Weak;
use std::thread;
use std::time::Instant;

use crate::fork::PerProcess;
use crate::sync::Mutex;

/// How long a thread or a process that ends waits for messages that are accepted and not sent, by default.
pub const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Time between two looks at what is unsent, while the process ends.
const LOOK: Duration = Duration::from_millis(1);

static TIMEOUT_NS: AtomicU64 = AtomicU64::new(EXIT_TIMEOUT.as_nanos() as u64);

/// Bindings of this process that have accepted a message which their channel has not taken.
static UNSENT: PerProcess<AtomicUsize> = PerProcess::new(|_| AtomicUsize::new(0));

/// Blocks until something is sent, at most until a deadline.
type Flush = fn(Instant);

/// Run when the process ends, behind the messages.
static FLUSH: PerProcess<Mutex<Option<Flush>>> = PerProcess::new(|_| Mutex::default());

/// Queues to threads of this process.
static QUEUES: PerProcess<Mutex<Vec<Weak<dyn Queue>>>> = PerProcess::new(|_| Mutex::default());

thread_local! {
    /// Until when this thread waits, once it has begun to end.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The handler is registered.
static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Sets how long a thread that ends, and a process that ends by a return from `main` or by `exit`, waits at most until the
/// messages that its bindings have accepted are sent. [`EXIT_TIMEOUT`] by default; zero waits for nothing. Where everything is
/// sent, nothing is waited for. A process that ends by `_exit`, `abort` or a signal waits for nothing.
///
/// ```
/// flounder_rt::set_exit_timeout(std::time::Duration::from_millis(200));
/// ```
pub fn set_exit_timeout(timeout: Duration) {
    let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    TIMEOUT_NS.store(nanoseconds, Ordering::Relaxed);
}

/// No longer than a day.
pub(crate) fn timeout() -> Duration {
    Duration::from_nanos(TIMEOUT_NS.load(Ordering::Relaxed)).min(Duration::from_secs(24 * 60 * 60))
}

/// Returns until when the calling thread waits for unsent messages. Called when the thread ends: the first call sets the time.
pub(crate) fn deadline() -> Instant {
    let deadline = DEADLINE.get().unwrap_or_else(|| Instant::now() + timeout());
    DEADLINE.set(Some(deadline));
    deadline
}

/// Messages between threads of this process.
pub(crate) trait Queue: Send + Sync {
    /// Returns true if something is in it, or in the hands of the thread that serves it.
    fn is_busy(&self) -> bool;
}

/// Has the end of the process wait for what is in `queue`.
pub(crate) fn wait_for(queue: Weak<dyn Queue>) {
    register();
    let mut queues = QUEUES.here().lock();
    queues.retain(|queue| queue.strong_count() > 0);
    queues.push(queue);
}

/// Sets what the end of the process runs behind the messages. `flush` returns at the deadline that is passed to it.
pub(crate) fn flush_with(flush: Flush) {
    register();
    *FLUSH.here().lock() = Some(flush);
}

/// Guard of a binding that has something unsent: keeps the process from ending.
#[derive(Debug)]
pub(crate) struct Unsent {
    /// Where it is counted: a forked child has copies of its parent's, and a count of its own.
    count: &'static AtomicUsize,
}

impl Unsent {
    pub(crate) fn new() -> Self {
        register();
        let count = UNSENT.here();
        count.fetch_add(1, Ordering::Relaxed);
        Self { count }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        // SYNC unsent: pairs with the Acquire in `is_done`. What the binding did before is done.
        self.count.fetch_sub(1, Ordering::Release);
    }
}

/// Two threads that come at once may both register the handler, which then waits twice, until the same time. A lock would be
/// one more that a forked child may find held.
fn register() {
    // SYNC registered: set after the registration; a thread that reads true runs after it.
    if REGISTERED.load(Ordering::Acquire) {
        return;
    }
    // SAFETY: `atexit` keeps the pointer until the process ends or this library is unloaded, when it is called for the
    // last time; `exiting` is a static function that does not unwind.
    // A failure (no memory for the entry) means that an exit does not wait for other threads.
    let _ = unsafe { libc::atexit(exiting) };
    REGISTERED.store(true, Ordering::Release);
}

extern "C" fn exiting() {
    // The process ends: ignore a panic.
    let _ = catch_unwind(|| {
        while !is_done() && Instant::now() < deadline() {
            thread::sleep(LOOK);
        }
        // Behind the messages: their capabilities travel by the brokers.
        let flush = *FLUSH.here().lock();
        if let Some(flush) = flush {
            flush(deadline());
        }
    });
}

fn is_done() -> bool {
    // SYNC unsent: pairs with the Release in `Unsent::drop`.
    if UNSENT.here().load(Ordering::Acquire) > 0 {
        return false;
    }
    let queues: Vec<_> = QUEUES.here().lock().iter().filter_map(Weak::upgrade).collect();
    queues.iter().all(|queue| !queue.is_busy())
}
