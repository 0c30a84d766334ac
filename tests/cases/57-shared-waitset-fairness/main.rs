//! Four threads serve one SharedWaitset. Two sources post themselves again and again, a third is slow, a timer ticks.
//! Expected: the two get about the same number of turns; the slow one delays no other; the timer ticks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::SharedWaitset;

fn again(ws: &SharedWaitset, n: Arc<AtomicU64>, stop: Arc<AtomicBool>, pause: Duration) {
    ws.post(move |ws| {
        n.fetch_add(1, Relaxed);
        if !pause.is_zero() {
            thread::sleep(pause)
        }
        if !stop.load(Relaxed) {
            again(ws, n, stop, pause)
        }
        Ok(())
    })
}

fn tick(ws: &SharedWaitset, n: Arc<AtomicU64>) {
    ws.after(Duration::from_millis(5), move |ws| {
        n.fetch_add(1, Relaxed);
        tick(ws, n);
        Ok(())
    });
}

fn main() {
    watchdog(40);
    let ws = SharedWaitset::new();
    let n: Vec<Arc<AtomicU64>> = (0..4).map(|_| Arc::default()).collect();
    let stop = Arc::new(AtomicBool::new(false));
    for n in &n[..2] {
        again(&ws, n.clone(), stop.clone(), Duration::ZERO)
    }
    again(&ws, n[2].clone(), stop.clone(), Duration::from_millis(20));
    tick(&ws, n[3].clone());
    thread::scope(|s| {
        for _ in 0..4 {
            let ws = &ws;
            let stop = stop.clone();
            s.spawn(move || {
                ws.dispatch_until(Some(Instant::now() + Duration::from_secs(4)), || {
                    stop.load(Relaxed)
                })
            });
        }
        thread::sleep(Duration::from_secs(3));
        stop.store(true, Relaxed);
        ws.wake_all();
    });
    let c: Vec<u64> = n.iter().map(|n| n.load(Relaxed)).collect();
    verdict(
        c[0].abs_diff(c[1]) < c[0].max(c[1]) / 4 && c[2] > 60 && c[3] > 200,
        format!("the two {} and {}, slow {}, timer {}", c[0], c[1], c[2], c[3]),
    );
}
