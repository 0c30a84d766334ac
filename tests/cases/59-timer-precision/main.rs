//! Timers of 50 us to 20 ms, in a waitset that dispatches, blocks on a future, or is driven by tokio: never early, and as a
//! rule not late by more than a wake-up costs (compared with a poll with a timeout of the same length).

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

type Late = Rc<RefCell<Vec<i64>>>;

fn set(ws: &Waitset, late: &Late, us: u64) {
    let (l, due) = (late.clone(), Instant::now() + Duration::from_micros(us));
    ws.after(Duration::from_micros(us), move |_| {
        let now = Instant::now();
        l.borrow_mut().push(if now >= due {
            (now - due).as_micros() as i64
        } else {
            -((due - now).as_nanos() as i64)
        });
        Ok(())
    });
}

fn wait(how: &str, ws: &Waitset, l: &Late, want: usize) {
    match how {
        "dispatch" => {
            ws.dispatch_until(None, || l.borrow().len() >= want).unwrap();
        }
        "block_on" => ws
            .block_on(poll_fn(|cx| {
                if l.borrow().len() >= want {
                    Poll::Ready(())
                } else {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }))
            .unwrap(),
        _ => {
            let rt = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let until = async {
                while l.borrow().len() < want {
                    ::tokio::time::sleep(Duration::from_micros(100)).await
                }
            };
            rt.block_on(flounder::tokio::run_until(ws, until)).unwrap();
        }
    }
}

fn main() {
    watchdog(40);
    let mut all = Vec::new();
    // What the kernel does: ppoll with the same time.
    let mut k: Vec<i64> = (0..100)
        .map(|_| {
            let t = Instant::now();
            let ts = libc::timespec { tv_sec: 0, tv_nsec: 300_000 };
            // SAFETY:
            // * There are no descriptors and no mask, and the time lives until the call returns.
            unsafe { libc::ppoll(std::ptr::null_mut(), 0, &raw const ts, std::ptr::null()) };
            t.elapsed().as_micros() as i64 - 300
        })
        .collect();
    k.sort();
    all.push((true, format!("the kernel: median {} us late", k[50])));
    for how in ["dispatch", "block_on", "tokio"] {
        let ws = Waitset::new();
        let late: Late = Rc::default();
        for round in 0..60 {
            for us in [50, 300, 999, 1000, 1001, 1500, 20_000] {
                if us == 20_000 && round % 10 > 0 {
                    continue;
                }
                let want = late.borrow().len() + 1;
                set(&ws, &late, us);
                wait(how, &ws, &late, want);
            }
        }
        let mut l = late.borrow().clone();
        l.sort();
        let early = l.iter().filter(|x| **x < 0).count();
        all.push((
            early == 0 && l[l.len() / 2] < 4 * k[50] + 200,
            format!(
                "{how}: {} timers, {early} early, median {} us late, p95 {}",
                l.len(),
                l[l.len() / 2],
                l[l.len() * 95 / 100]
            ),
        ));
    }
    verdict_of(&all);
}
