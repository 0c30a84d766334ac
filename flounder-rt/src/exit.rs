//! The end of the process: waits until messages that were accepted are sent.
//!
//! A thread that ends waits for its own bindings (`binding/closing.rs`), and so does the thread that ends the process by
//! `exit` or by a return from `main`, before this module's turn comes. Here it waits for the other threads, which go on
//! running meanwhile. Nothing is waited for where nothing is unsent.

#![allow(unsafe_code)]
//! # Safety
//! This module owns no memory. Its unsafe operations register handlers: static functions that use atomics, locks of this
//! module, and safe code of this crate.

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::{Once, Weak};
use std::thread;
use std::time::Instant;

use parking_lot::Mutex;

use crate::export::Broker;

/// How long a thread or a process that ends waits for messages that are accepted and not sent, by default.
pub const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Time between two looks at what is unsent, while the process ends.
const LOOK: Duration = Duration::from_millis(1);

static TIMEOUT_NS: AtomicU64 = AtomicU64::new(EXIT_TIMEOUT.as_nanos() as u64);

/// Bindings of this process that have accepted a message which their channel has not taken.
static UNSENT: AtomicUsize = AtomicUsize::new(0);

/// Forks between the first process and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// To be flushed when the process ends.
static BROKERS: Mutex<Vec<&'static dyn Broker>> = Mutex::new(Vec::new());

/// Queues to threads of this process, with the generation that made each.
static QUEUES: Mutex<Vec<(u32, Weak<dyn Queue>)>> = Mutex::new(Vec::new());

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

/// Messages between threads of this process.
pub(crate) trait Queue: Send + Sync {
    /// Whether something is in it, or in the hands of the thread that serves it.
    fn is_busy(&self) -> bool;
}

/// Has the end of the process wait for what is in `queue`.
pub(crate) fn wait_for(queue: Weak<dyn Queue>) {
    register();
    let mut queues = QUEUES.lock();
    queues.retain(|(_, queue)| queue.strong_count() > 0);
    queues.push((generation(), queue));
}

/// Has the end of the process wait until `broker` has sent what it was given.
pub(crate) fn flush(broker: &'static dyn Broker) {
    register();
    let mut brokers = BROKERS.lock();
    if !brokers.iter().any(|known| core::ptr::addr_eq(*known, broker)) {
        brokers.push(broker);
    }
}

/// What a binding holds while it has something unsent.
#[derive(Debug)]
pub(crate) struct Unsent {
    generation: u32,
}

impl Unsent {
    pub(crate) fn new() -> Self {
        register();
        UNSENT.fetch_add(1, Ordering::Relaxed);
        Self { generation: generation() }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        // A forked child has copies of its parent's, which it did not count.
        if self.generation == generation() {
            // SYNC unsent: pairs with the Acquire in `is_done`. What the binding did before is done.
            UNSENT.fetch_sub(1, Ordering::Release);
        }
    }
}

/// Number of forks between the first process and this one.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY:
        // * `pthread_atfork` keeps the pointer for the life of the process; `forked` is a static function.
        // * `forked` is async-signal-safe, as a handler in the child of a threaded process has to be: two atomic operations.
        // A failure (no memory for the entry) lets a child that exits wait for its parent's messages, until the timeout.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        // SAFETY: `atexit` keeps the pointer until the process ends or this library is unloaded, when it is called for the
        // last time; `exiting` is a static function that does not unwind.
        // A failure (no memory for the entry) means that an exit does not wait for other threads.
        let _ = unsafe { libc::atexit(exiting) };
    });
}

extern "C" fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    UNSENT.store(0, Ordering::Relaxed);
}

extern "C" fn exiting() {
    // Nobody is left who could be told of a panic.
    let _ = catch_unwind(|| {
        while !is_done() && Instant::now() < crate::binding::exit_deadline() {
            thread::sleep(LOOK);
        }
        // Behind the messages: their capabilities travel by the brokers.
        let brokers = BROKERS.try_lock_for(LOOK).map(|brokers| brokers.clone());
        for broker in brokers.unwrap_or_default() {
            broker.flush(crate::binding::exit_deadline());
        }
    });
}

fn is_done() -> bool {
    // SYNC unsent: pairs with the Release in `Unsent::drop`.
    UNSENT.load(Ordering::Acquire) == 0
        // A lock that a thread held at a fork is held for ever in the child: there, nothing is waited for.
        && QUEUES.try_lock_for(LOOK).is_none_or(|queues| {
            let own = queues.iter().filter(|(generation, _)| *generation == self::generation());
            own.filter_map(|(_, queue)| queue.upgrade()).all(|queue| !queue.is_busy())
        })
}
