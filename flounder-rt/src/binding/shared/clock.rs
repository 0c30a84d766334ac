//! Watches the queues of shared bindings: a thread that does not dispatch cannot report that itself.
//!
//! ```text
//!   put, call ---> [ links ] <--- every TICK --- the clock: a thread that runs while a queue or a deadline waits
//! ```
//! The clock wakes calls whose deadline has passed, and logs a warning when a queue has not been read for
//! a second. It ends when nothing has waited for a second.

use core::time::Duration;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Instant;

use parking_lot::Mutex;

use super::Link;
use crate::fork::PerProcess;

/// Time between two ticks.
const TICK: Duration = Duration::from_millis(250);

/// Ticks without a read after which a queue counts as not served: one second.
pub(super) const STALLED: u32 = 4;

/// Ticks without anything that waits after which the clock ends.
const IDLE: u32 = 4;

/// Per process: a forked child has no copy of the thread.
static CLOCK: PerProcess<Mutex<Clock>> = PerProcess::new(|_| Mutex::default());

#[derive(Default)]
struct Clock {
    /// True while the thread runs.
    runs: bool,
    links: Vec<Weak<Link>>,
}

/// Has the clock watch `link`. Returns false if it cannot.
#[cold]
pub(super) fn watch(link: &Arc<Link>) -> bool {
    // If another thread holds the lock, the next thread that queues something tries again.
    let Some(mut clock) = CLOCK.here().try_lock() else { return false };
    clock.links.push(Arc::downgrade(link));
    if !clock.runs {
        let run = || thread::Builder::new().name("flounder-clock".into()).spawn(run);
        if let Err(error) = run() {
            tracing::warn!(%error, "no thread for the deadlines of shared bindings");
            clock.links.clear();
            return false;
        }
        clock.runs = true;
    }
    true
}

fn run() {
    let mut idle = 0;
    loop {
        thread::sleep(TICK);
        let links: Vec<_> = CLOCK.here().lock().links.iter().filter_map(Weak::upgrade).collect();
        let now = Instant::now();
        let waits = links.iter().fold(false, |waits, link| link.tick(now) | waits);
        drop(links);
        idle = if waits { 0 } else { idle + 1 };
        if idle >= IDLE {
            let mut clock = CLOCK.here().lock();
            let links = core::mem::take(&mut clock.links);
            for link in links.iter().filter_map(Weak::upgrade) {
                link.is_watched.store(false, core::sync::atomic::Ordering::Release);
            }
            // A thread that queued something meanwhile has seen that the link was watched.
            let waits =
                links.iter().filter_map(Weak::upgrade).any(|link| link.waits(Instant::now()));
            if !waits {
                clock.runs = false;
                drop(clock);
                return;
            }
            for link in links.iter().filter_map(Weak::upgrade) {
                link.is_watched.store(true, core::sync::atomic::Ordering::Release);
            }
            clock.links = links;
            idle = 0;
        }
    }
}
