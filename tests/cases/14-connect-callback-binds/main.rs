//! A proxy: its connect callback binds to another service before it takes a client (`.wait()`). Eight clients start at once.
//! Expected: all are served.

use std::thread;
use std::time::{Duration, SystemTime};

use cases::*;

/// Milliseconds, by a clock that all processes share.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    now.as_millis() as u64
}

fn main() {
    if role() == "back" {
        serve("back")
    }
    if role() == "front" {
        let ws = flounder::Waitset::current();
        let inner = ws.clone();
        let service = echo::export(&ws, move |_: &flounder::Peer| {
            let back = flounder::nameservice::lookup("back").wait()
                .map_err(|e| flounder::Refusal::new(1, e.to_string()))?;
            let upstream = echo::bind(back, &inner, echo::RxVtbl::default())
                .wait()
                .map_err(|e| flounder::Refusal::new(2, e.to_string()))?;
            std::mem::forget(upstream);
            Ok(Echo)
        })
        .wait()
        .unwrap();
        flounder::nameservice::register("front", service.iref()).wait().unwrap();
        say("ready");
        dispatch_for_ever(&ws)
    }
    if role() == "client" {
        // All start together.
        let at: u64 = arg(2).parse().unwrap();
        let iref = find("front");
        thread::sleep(Duration::from_millis(at.saturating_sub(now())));
        match echo::bind(iref, &flounder::Waitset::current(), echo::RxVtbl::default()).wait() {
            Ok(b) => say(format!("called {:?}", echo::RpcClient::new(&b).say(7))),
            Err(e) => say(format!("error {e}")),
        }
        return;
    }
    watchdog(60);
    isolate();
    let mut back = run(&["back"]);
    back.line("ready", 5.0).unwrap();
    let mut front = run(&["front"]);
    front.line("ready", 5.0).unwrap();
    let mut refused = Vec::new();
    let mut served = 0;
    for _ in 0..3 {
        let at = (now() + 400).to_string();
        let mut clients: Vec<_> = (0..8).map(|_| run(&["client", &at])).collect();
        for c in &mut clients {
            match c.line("", 10.0) {
                Some(s) if s.starts_with("called Ok") => served += 1,
                other => refused.push(format!("{other:?}")),
            }
        }
    }
    refused.dedup();
    verdict(refused.is_empty(), format!("{served} of 24 served; others: {}", refused.join(", ")));
}
