//! A service comes up (or comes back) while 120 client processes wait for its name: all look it up, bind and call at once.
//! Expected: each is served, without a second try.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        let _ = nameservice::lookup("svc").wait();
        say("waiting");
        client("svc", 20.0)
    }
    watchdog(100);
    isolate();
    let mut first = run(&["client"]);
    first.line("waiting", 5.0).unwrap();
    let mut all: Vec<_> = (0..119).map(|_| run(&["client"])).collect();
    for p in &mut all {
        p.line("waiting", 20.0).unwrap();
    }
    thread::sleep(Duration::from_millis(300));
    let t = Instant::now();
    let mut s = run(&["serve"]);
    s.line("ready", 5.0).unwrap();
    let mut tally = BTreeMap::new();
    all.push(first);
    for p in &mut all {
        *tally.entry(p.line("", 25.0).unwrap_or("silent".into())).or_insert(0) += 1;
    }
    verdict(
        tally.len() == 1 && tally.contains_key("called ump"),
        format!("of 120: {tally:?}, within {:.1} s", t.elapsed().as_secs_f64()),
    );
}
