//! Service and client share one processor (a container with one, taskset). Expected: a round trip is a few context switches,
//! not a spin time or a scheduler's slice; also with a third process that computes.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn pin() {
    // SAFETY:
    // * A set of processors is an array of integers.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY:
    // * The set has a place for processor 0.
    unsafe { libc::CPU_SET(0, &mut set) };
    // SAFETY:
    // * The set has this size, and lives until the call returns.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}

fn main() {
    if !role().is_empty() {
        pin()
    }
    if role() == "serve" {
        serve("svc")
    }
    if role() == "hog" {
        say("on");
        loop {
            spin_loop()
        }
    }
    if role() == "client" {
        let ws = Waitset::current();
        let iref = find("svc");
        let b = echo::bind(iref, &ws, echo::RxVtbl::default()).driver(arg(2)).wait().unwrap();
        let c = echo::RpcClient::new(&b).timeout(Duration::from_secs(5));
        let mut t: Vec<Duration> = (0..400)
            .map(|_| {
                let t = Instant::now();
                c.say(1).unwrap();
                t.elapsed()
            })
            .collect();
        t.sort();
        say(format!("took {} {}", t[200].as_micros(), t[396].as_micros()));
        return;
    }
    watchdog(80);
    let mut all = Vec::new();
    for (driver, hog) in [
        ("ump", false),
        ("lmp", false),
        ("scc", false),
        ("beehive", false),
        ("ump", true),
        ("lmp", true),
    ] {
        isolate();
        let mut s = run(&["serve"]);
        s.line("ready", 5.0).unwrap();
        let mut h = if hog {
            let mut h = run(&["hog"]);
            h.line("on", 2.0);
            Some(h)
        } else {
            None
        };
        let r = run(&["client", driver]).line("took", 20.0);
        drop(h.take());
        let v: Vec<u64> = r
            .iter()
            .flat_map(|r| r.split(' ').filter_map(|x| x.parse().ok()).collect::<Vec<_>>())
            .collect();
        let limit = if hog { 12_000 } else { 400 };
        all.push((
            v.first().is_some_and(|m| *m < limit),
            format!(
                "{driver}{}: median {:?} us, p99 {:?} us",
                if hog { " beside a hog" } else { "" },
                v.first(),
                v.get(1)
            ),
        ));
    }
    verdict_of(&all);
}
