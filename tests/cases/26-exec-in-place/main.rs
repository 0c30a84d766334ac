//! A service replaces itself by exec (an upgrade in place): same pid, same name. Expected: clients bound over any driver learn
//! of it; the new program can take the name at once.

use std::os::unix::process::CommandExt;
use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    if role() == "serve" {
        thread::spawn(|| {
            wait_for_line();
            let e = me(&["serve2"]).exec();
            panic!("{e}")
        });
        serve("svc")
    }
    if role() == "serve2" {
        serve("svc")
    }
    if role() == "client" {
        let ws = Waitset::current();
        let iref = find("svc");
        let b = echo::bind(iref, &ws, echo::RxVtbl::default()).driver(arg(2)).wait().unwrap();
        let c = echo::RpcClient::new(&b);
        c.say(1).unwrap();
        say("bound");
        let done = ws
            .dispatch_until(Some(Instant::now() + Duration::from_secs(6)), || b.ended().is_some())
            .unwrap();
        say(format!("learnt {done} {:?}", b.ended()));
        return;
    }
    if role() == "again" {
        client("svc", 5.0)
    }
    watchdog(60);
    isolate();
    let mut other = run(&["again"]);
    // Somebody else has been the root, and may have gone.
    let _ = other.line("error", 6.0);
    let mut s = run_with_input(&["serve"]);
    s.line("ready", 5.0).unwrap();
    let mut clients: Vec<_> = ["ump", "lmp", "scc", "beehive"]
        .iter()
        .map(|d| {
            let mut c = run(&["client", d]);
            c.line("bound", 5.0).unwrap();
            (*d, c)
        })
        .collect();
    s.go_on();
    let second = s.line("", 6.0);
    let learnt: Vec<_> =
        clients.iter_mut().map(|(d, c)| format!("{d}: {:?}", c.line("learnt", 8.0))).collect();
    let again = run(&["again"]).line("", 6.0);
    verdict(
        second.as_deref() == Some("ready")
            && learnt.iter().all(|l| l.contains("true"))
            && called(&again),
        format!("after exec: {second:?}; {learnt:?}; a new client: {again:?}"),
    );
}
