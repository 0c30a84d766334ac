//! Wakers of tasks and of `block_on` are woken, cloned and dropped in other threads while their waitset is dropped and its
//! thread ends.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::Waitset;

static MADE: AtomicU32 = AtomicU32::new(0);
static DROPPED: AtomicU32 = AtomicU32::new(0);

struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Relaxed);
    }
}

fn main() {
    watchdog(60);
    let (tx, rx) = channel::<Waker>();
    let end = Instant::now() + Duration::from_secs(8);
    let rx = Arc::new(Mutex::new(rx));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let rx = rx.clone();
            thread::spawn(move || {
                let mut kept = Vec::new();
                loop {
                    let w = rx.lock().unwrap().recv();
                    let Ok(w) = w else { break };
                    for _ in 0..3 {
                        w.wake_by_ref();
                    }
                    kept.push(w.clone());
                    w.wake();
                    if kept.len() > 50 {
                        for w in kept.drain(..) {
                            w.wake()
                        }
                    }
                }
            })
        })
        .collect();
    let mut rounds = 0;
    while Instant::now() < end {
        let tx = tx.clone();
        thread::spawn(move || {
            let ws = Waitset::new();
            for _ in 0..4 {
                let tx = tx.clone();
                MADE.fetch_add(1, Relaxed);
                let guard = Guard;
                ws.spawn_local(poll_fn(move |cx| {
                    let _ = &guard;
                    let _ = tx.send(cx.waker().clone());
                    Poll::<()>::Pending
                }))
                .detach();
            }
            let mut left = 3;
            let _ = ws.block_on(poll_fn(|cx| {
                let _ = tx.send(cx.waker().clone());
                left -= 1;
                if left == 0 { Poll::Ready(()) } else { Poll::Pending }
            }));
        })
        .join()
        .unwrap();
        rounds += 1;
    }
    drop(tx);
    let _ = threads;
    // Documented: a future that is woken elsewhere after its waitset is gone is leaked.
    thread::sleep(Duration::from_millis(300));
    ok(format!(
        "{rounds} rounds; of {} futures {} were dropped, the rest leaked (documented)",
        MADE.load(Relaxed),
        DROPPED.load(Relaxed)
    ))
}
