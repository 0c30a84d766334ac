//! Blocks a thread without a waitset until a future is ready. `tests/loom_park.rs` checks every
//! interleaving.

use core::cell::Cell;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};
use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

use crate::sync::{Condvar, Mutex, planted, thread_local};

/// A parked thread. Not `std::thread::park`, whose token other code may use.
struct Parker {
    woken: Mutex<bool>,
    bell: Condvar,
}

impl Parker {
    fn new() -> Arc<Self> {
        Arc::new(Self { woken: Mutex::new(true), bell: Condvar::default() })
    }

    /// Blocks until woken (since the last call), at most until `deadline`. Returns true if woken.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut woken = self.woken.lock();
        while !*woken {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return false;
            }
            self.bell.wait(&mut woken, deadline);
        }
        *woken = false;
        true
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.woken.lock() = true;
        if !planted("park_without_notice") {
            self.bell.notify_one();
        }
    }
}

thread_local! {
    /// Taken out while it is in use. A late wake-up of an earlier use causes one spurious poll.
    static PARKER: Cell<Option<Arc<Parker>>> = const { Cell::new(None) };
}

/// Blocks until `future` is ready. Returns `None` if `deadline` passes first.
pub(crate) fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    let mut future = pin!(future);
    // A thread that ends has no thread-local to keep one in.
    let parker = PARKER.try_with(Cell::take).ok().flatten().unwrap_or_else(Parker::new);
    *parker.woken.lock() = true;
    let waker = Arc::clone(&parker).into();
    let mut context = Context::from_waker(&waker);
    let mut output = None;
    while parker.wait(deadline) {
        if let Poll::Ready(ready) = future.as_mut().poll(&mut context) {
            output = Some(ready);
            break;
        }
    }
    let _ = PARKER.try_with(|kept| kept.set(Some(parker)));
    output
}
