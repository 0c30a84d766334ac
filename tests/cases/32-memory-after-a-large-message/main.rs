//! Twenty bindings carry one message of 8 MiB each, then stay and carry small ones. Expected: both processes give the memory
//! back (a few MiB may stay), over every driver; a shared binding and an inbox likewise.

use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

const BINDINGS: usize = 20;

/// The longest that one large message may take, in seconds. Over beehive it is 37,450 frames with a round trip each, and on a
/// busy machine both processes sleep in every one of them.
const PATIENCE: u64 = 60;

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        let ws = Waitset::current();
        let iref = find("svc");
        let all: Vec<_> = (0..BINDINGS)
            .map(|_| echo::bind(iref, &ws, echo::RxVtbl::default()).driver(arg(2)).wait().unwrap())
            .collect();
        let small = |n| {
            for b in &all {
                for i in 0..n {
                    assert_eq!(echo::RpcClient::new(b).say(i), Ok(i))
                }
            }
        };
        small(3);
        say("small");
        wait_for_line();
        let data = vec![1u8; 8 << 20];
        for b in &all {
            ws.block_on(b.send_bytes(&data)).unwrap().unwrap();
            echo::RpcClient::new(b).timeout(Duration::from_secs(PATIENCE)).say(0).unwrap();
            say("arrived");
        }
        drop(data);
        small(20);
        let end = Instant::now() + Duration::from_millis(300);
        ws.dispatch_until(Some(end), || false).unwrap();
        say("large");
        wait_for_line();
        return;
    }
    watchdog(190);
    let mut all = Vec::new();
    for driver in ["ump", "lmp", "scc", "beehive"] {
        isolate();
        let mut s = run(&["serve"]);
        s.line("ready", 5.0).unwrap();
        let mut c = run_with_input(&["client", driver]);
        c.line("small", 10.0).unwrap();
        let before = (rss_kib(s.pid()), rss_kib(c.pid()));
        c.go_on();
        let arrived =
            (0..BINDINGS).take_while(|_| c.line("arrived", PATIENCE as f64).is_some()).count();
        if c.line("large", 10.0).is_none() {
            all.push((
                false,
                format!("{driver}: did not end after {arrived} of {BINDINGS} messages"),
            ));
            continue;
        }
        let after = (rss_kib(s.pid()), rss_kib(c.pid()));
        let grown =
            ((after.0.saturating_sub(before.0)) / 1024, (after.1.saturating_sub(before.1)) / 1024);
        all.push((
            grown.0 < 24 && grown.1 < 24,
            format!("{driver}: service +{} MiB, client +{} MiB after 160 MiB", grown.0, grown.1),
        ));
    }
    verdict_of(&all);
}
