//! A consumer takes 1 ms for each message; the producer waits for room (`send().await`). Expected: the producer sleeps in
//! between (no polling, no wake-up storm), its memory stands still, and a quiet binding of it stays quick.

use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    if role() == "slow" {
        let ws = Waitset::current();
        let s = echo::export(&ws, |_: &Peer| {
            Ok(echo::RxVtbl {
                note: Some(Box::new(|_, _| thread::sleep(Duration::from_millis(1)))),
                say: Some(Box::new(|_, n, r| r.send(n))),
                ..Default::default()
            })
        })
        .wait()
        .unwrap();
        nameservice::register("slow", s.iref()).wait().unwrap();
        say("ready");
        dispatch_for_ever(&ws)
    }
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        let ws = Waitset::current();
        let slow =
            echo::bind(find("slow"), &ws, echo::RxVtbl::default()).driver(arg(2)).wait().unwrap();
        let quick =
            echo::bind(find("svc"), &ws, echo::RxVtbl::default()).driver(arg(2)).wait().unwrap();
        for _ in 0..4 {
            let b = slow.clone();
            ws.spawn_local(async move {
                loop {
                    if b.send_note(1).await.is_err() {
                        break;
                    }
                }
            })
            .detach()
        }
        ws.dispatch_until(Some(Instant::now() + Duration::from_secs(1)), || false).unwrap();
        say("full");
        let c = echo::RpcClient::new(&quick).timeout(Duration::from_secs(3));
        let mut t = Vec::new();
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            let s = Instant::now();
            ws.block_on(c.say_async(1)).unwrap().unwrap();
            t.push(s.elapsed());
            ws.dispatch_until(Some(Instant::now() + Duration::from_millis(20)), || false).unwrap();
        }
        t.sort();
        say(format!("quick {} {}", t[t.len() / 2].as_micros(), t[t.len() * 95 / 100].as_micros()));
        return;
    }
    watchdog(80);
    let mut all = Vec::new();
    for driver in ["ump", "lmp", "scc", "beehive"] {
        isolate();
        let mut a = run(&["slow"]);
        a.line("ready", 5.0).unwrap();
        let mut b = run(&["serve"]);
        b.line("ready", 5.0).unwrap();
        let mut c = run(&["client", driver]);
        c.line("full", 8.0).unwrap();
        let (cpu, rss) = (cpu_ms(c.pid()), rss_kib(c.pid()));
        thread::sleep(Duration::from_secs(2));
        let used = cpu_ms(c.pid()) - cpu;
        let grown = rss_kib(c.pid()).saturating_sub(rss);
        let q = c.line("quick", 8.0).unwrap_or_default();
        let median: u64 = q.split(' ').next().and_then(|s| s.parse().ok()).unwrap_or(u64::MAX);
        all.push((
            used < 500 && grown < 2048 && median < 3000,
            format!("{driver}: producer {used} ms of 2000, +{grown} KiB, quiet binding {q} us"),
        ));
    }
    verdict_of(&all);
}
