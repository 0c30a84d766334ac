//! A client tries again and again what cannot succeed: references to nothing, names that are not there, services that refuse,
//! other interfaces, deadlines. Expected: descriptors and memory of both processes stand still.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

flounder! {
    interface other "Another" {
        message note(uint32 n, uint32 m);
    };
}

fn main() {
    if role() == "serve" {
        let ws = Waitset::current();
        let s = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap();
        nameservice::register("svc", s.iref()).wait().unwrap();
        let r =
            echo::export(&ws, |_: &Peer| Err::<Echo, _>(Refusal::new(3, "no"))).wait().unwrap();
        nameservice::register("refuses", r.iref()).wait().unwrap();
        say("ready");
        dispatch_for_ever(&ws)
    }
    if role() == "client" {
        let ws = Waitset::current();
        let (svc, refuses) = (find("svc"), find("refuses"));
        loop {
            for i in 0..300u64 {
                let _ = echo::bind(
                    Iref::from_bits(0x1234_5678_0000 + i).unwrap(),
                    &ws,
                    echo::RxVtbl::default(),
                )
                .wait();
                let _ = nameservice::lookup("nobody").wait();
                let _ = nameservice::blocking_lookup("nobody").timeout(Duration::from_micros(200)).wait();
                let _ = echo::bind(refuses, &ws, echo::RxVtbl::default()).wait();
                let _ = other::bind(svc, &ws, other::RxVtbl::default()).wait();
                let _ = echo::bind(svc, &ws, echo::RxVtbl::default())
                    .timeout(Duration::from_micros(30))
                    .wait()
                    .map(|b| b.teardown());
                drop(ws.block_on(async {
                    let mut f = Box::pin(echo::bind(svc, &ws, echo::RxVtbl::default()));
                    poll_fn(|cx| {
                        let _ = f.as_mut().poll(cx);
                        Poll::Ready(())
                    })
                    .await
                }));
                let _ = echo::bind(svc, &ws, echo::RxVtbl::default()).driver("pigeon").wait();
                let _ = nameservice::register(&"x".repeat(300), svc).wait();
                let _ = nameservice::unregister("nobody").wait();
            }
            let _ = ws.dispatch_until(Some(Instant::now() + Duration::from_millis(100)), || false);
            say("round");
            if !wait_for_line() {
                return;
            }
        }
    }
    watchdog(90);
    isolate();
    let mut s = run(&["serve"]);
    s.line("ready", 5.0).unwrap();
    let mut c = run_with_input(&["client"]);
    let mut seen = Vec::new();
    for _ in 0..6 {
        if c.line("round", 25.0).is_none() {
            break;
        }
        seen.push((fds(s.pid()), rss_kib(s.pid()), fds(c.pid()), rss_kib(c.pid())));
        c.go_on();
    }
    let good = seen.len() == 6 && {
        let (a, z) = (seen[2], seen[5]);
        z.0 <= a.0 + 1 && z.2 <= a.2 + 1 && z.1 < a.1 + 1500 && z.3 < a.3 + 1500
    };
    verdict(good, format!("service fds/RSS, client fds/RSS after each 300: {seen:?}"));
}
