//! A program that has many busy threads already (a game, a server) makes its first binding between threads, and its first to
//! another process. Expected: within 300 ms; not a stall that the machine's other work does not explain.

use std::hint::spin_loop;
use std::process::exit;
use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        for _ in 0..12 {
            thread::spawn(|| {
                loop {
                    spin_loop()
                }
            });
        }
        thread::sleep(Duration::from_millis(100));
        let iref = serve_in_thread();
        let ws = Waitset::current();
        let t = Instant::now();
        let near = echo::bind(iref, &ws, echo::RxVtbl::default())
            .driver(arg(2))
            .timeout(Duration::from_secs(20))
            .wait()
            .is_ok();
        let a = t.elapsed();
        let t = Instant::now();
        let second = echo::bind(iref, &ws, echo::RxVtbl::default())
            .driver(arg(2))
            .timeout(Duration::from_secs(20))
            .wait()
            .is_ok();
        let b = t.elapsed();
        let t = Instant::now();
        let far = call_once("svc", 15.0);
        let c = t.elapsed();
        say(format!(
            "took {} {} {} {near} {second} {far:?}",
            a.as_millis(),
            b.as_millis(),
            c.as_millis()
        ));
        exit(0)
    }
    watchdog(80);
    let mut all = Vec::new();
    for driver in ["ump", "lmp"] {
        isolate();
        let mut s = run(&["serve"]);
        s.line("ready", 5.0).unwrap();
        let r = run(&["client", driver]).line("took", 40.0).unwrap_or_default();
        let n: Vec<u64> = r.split(' ').filter_map(|x| x.parse().ok()).collect();
        all.push((
            n.first().is_some_and(|a| *a < 300),
            format!("{driver}: first, second, to another process (ms): {r}"),
        ));
    }
    verdict_of(&all);
}
