//! The end of the process, which waits until accepted messages are sent.
//!
//! A thread that ends waits for its own bindings (`binding/closing.rs`), and so does the thread that ends the process by
//! `exit` or by a return from `main`; this happens first. This module then waits for the other threads, which continue to run
//! meanwhile. If nothing is unsent, nothing waits.

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

/// Default time for which a thread or a process that ends waits for accepted messages to be sent.
pub const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Time between two looks at what is unsent, while the process ends.
const LOOK: Duration = Duration::from_millis(1);

static TIMEOUT_NS: AtomicU64 = AtomicU64::new(EXIT_TIMEOUT.as_nanos() as u64);

/// Bindings of this process that have accepted a message which their channel has not taken.
static UNSENT: PerProcess<AtomicUsize> = PerProcess::new(|_| AtomicUsize::new(0));

/// Blocks until something is sent, at most until a deadline.
type Flush = fn(Instant);

/// Function that runs when the process ends, after its messages are sent.
static FLUSH: PerProcess<Mutex<Option<Flush>>> = PerProcess::new(|_| Mutex::default());

/// Queues to threads of this process.
static QUEUES: PerProcess<Mutex<Vec<Weak<dyn Queue>>>> = PerProcess::new(|_| Mutex::default());

thread_local! {
    /// Deadline of the wait of this thread, set when the thread begins to end.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// True once the handler is registered.
static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Sets the maximum time for which a thread that ends, and a process that ends by a return from `main` or by `exit`, waits
/// until the messages that its bindings have accepted are sent. The default is [`EXIT_TIMEOUT`]; zero disables the wait. If
/// everything is sent, nothing waits. A process that ends by `_exit`, `abort` or a signal does not wait.
///
/// ```
/// flounder_rt::set_exit_timeout(std::time::Duration::from_millis(200));
/// ```
pub fn set_exit_timeout(timeout: Duration) {
    let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    TIMEOUT_NS.store(nanoseconds, Ordering::Relaxed);
}

/// Maximum of the exit timeout: a day.
pub(crate) fn timeout() -> Duration {
    Duration::from_nanos(TIMEOUT_NS.load(Ordering::Relaxed)).min(Duration::from_secs(24 * 60 * 60))
}

/// Returns the deadline of the calling thread's wait for unsent messages. Called when the thread ends; the first call sets it.
pub(crate) fn deadline() -> Instant {
    let deadline = DEADLINE.get().unwrap_or_else(|| Instant::now() + timeout());
    DEADLINE.set(Some(deadline));
    deadline
}

/// Messages between threads of this process.
pub(crate) trait Queue: Send + Sync {
    /// Returns true if the queue has an item that its server has not taken or is not done with.
    fn is_busy(&self) -> bool;
}

/// Makes the end of the process wait until `queue` is empty.
pub(crate) fn wait_for(queue: Weak<dyn Queue>) {
    register();
    let mut queues = QUEUES.here().lock();
    queues.retain(|queue| queue.strong_count() > 0);
    queues.push(queue);
}

/// Sets the function that the end of the process runs after the messages are sent. `flush` must return at the deadline that
/// it is passed.
pub(crate) fn flush_with(flush: Flush) {
    register();
    *FLUSH.here().lock() = Some(flush);
}

/// Guard of a binding that has something unsent. The end of the process waits until it is dropped.
#[derive(Debug)]
pub(crate) struct Unsent {
    /// Process that counts it. A forked child has copies of its parent's guards, and a count of its own.
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

/// Registers the handler. Two threads that do so at once may register it twice; it then waits twice, until the same deadline. A
/// lock would avoid that, but a forked child may find it held.
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
    // Ignore a panic: the process ends.
    let _ = catch_unwind(|| {
        while !is_done() && Instant::now() < deadline() {
            thread::sleep(LOOK);
        }
        // After the messages: the brokers carry their capabilities.
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
