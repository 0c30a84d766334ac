//! Only one side may use membarrier. Calls with pauses around the time at which the other goes to sleep: no wake-up is lost.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use cases::*;

fn main() {
    if role() == "serve" {
        if arg(2) == "deny" {
            deny(&[libc::SYS_membarrier], libc::ENOSYS)
        }
        flounder::Waitset::current().set_spin(Duration::from_micros(arg(3).parse().unwrap()));
        serve("svc")
    }
    if role() == "client" {
        if arg(2) == "deny" {
            deny(&[libc::SYS_membarrier], libc::EPERM)
        }
        let ws = flounder::Waitset::current();
        ws.set_spin(Duration::from_micros(arg(3).parse().unwrap()));
        let iref = find("svc");
        let b = echo::bind(iref, &ws, echo::RxVtbl::default()).driver("ump").wait().unwrap();
        let c = echo::RpcClient::new(&b).timeout(Duration::from_secs(2));
        let (end, mut x, mut calls, mut late, mut worst) =
            (Instant::now() + Duration::from_secs(5), 12345u32, 0u64, 0, Duration::ZERO);
        while Instant::now() < end {
            x = x.wrapping_mul(1664525).wrapping_add(1013904223);
            let pause = Instant::now() + Duration::from_nanos(u64::from(x % 30_000));
            while Instant::now() < pause {
                spin_loop()
            }
            let t = Instant::now();
            if c.say(1).is_err() {
                late += 1
            }
            worst = worst.max(t.elapsed());
            calls += 1;
        }
        say(format!("done {late} late of {calls}, worst {worst:?}"));
        return;
    }
    watchdog(100);
    let mut all = Vec::new();
    for (s, c) in [("deny", "allow"), ("allow", "deny"), ("deny", "deny"), ("allow", "allow")] {
        for spin in ["0", "10"] {
            isolate();
            let mut service = run(&["serve", s, spin]);
            service.line("ready", 8.0).expect("up");
            let said = run(&["client", c, spin]).line("done", 20.0);
            all.push((
                said.as_deref().is_some_and(|s| s.starts_with("0 late")),
                format!("service {s}, client {c}, spin {spin}: {said:?}"),
            ));
        }
    }
    verdict_of(&all);
}
