//! Threads that dispatch a [`SharedWaitset`], and a wait for what they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flounder::SharedWaitset;

/// Threads that dispatch a waitset of their own, until this is dropped.
pub struct Threads {
    pub pool: SharedWaitset,
    ends: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Threads {
    pub fn new(count: usize) -> Self {
        let (pool, ends) = (SharedWaitset::new(), Arc::new(AtomicBool::new(false)));
        let threads = (0..count).map(|_| {
            let (pool, ends) = (pool.clone(), Arc::clone(&ends));
            thread::spawn(move || {
                pool.dispatch_until(None, || ends.load(Ordering::Acquire))
                    .expect("no callback fails");
            })
        });
        Self { threads: threads.collect(), pool, ends }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        self.pool.wake_all();
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a thread of the waitset panicked");
        }
    }
}

/// Waits until `done` returns true.
///
/// # Panics
/// If that takes longer than `patience`.
#[track_caller]
pub fn eventually(patience: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        thread::yield_now();
    }
}
