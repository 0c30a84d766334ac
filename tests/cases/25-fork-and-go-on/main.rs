//! A program forks without exec (a prefork server, Python's multiprocessing): the child uses what it has inherited, and starts
//! services of its own. Expected: errors, at once; the parent goes on; in-process services of the child work.

use std::process::exit;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    watchdog(40);
    isolate();
    let mut service = run(&["serve"]);
    service.line("ready", 5.0).unwrap();
    let ws = Waitset::current();
    let iref = find("svc");
    let ends: Vec<_> = ["ump", "lmp"]
        .iter()
        .map(|d| echo::bind(iref, &ws, echo::RxVtbl::default()).driver(*d).wait().unwrap())
        .collect();
    let clients: Vec<_> =
        ends.iter().map(|b| echo::RpcClient::new(b).timeout(Duration::from_secs(2))).collect();
    for c in &clients {
        assert_eq!(c.say(1), Ok(1))
    }
    let shared = ends[0].shared();
    let child = fork();
    if child == 0 {
        alarm(20);
        let mut n = 0;
        let mut took = |what: &str, f: &mut dyn FnMut() -> String| {
            let t = Instant::now();
            let r = f();
            n += 1;
            eprintln!("  child: {what}: {r} ({:?})", t.elapsed());
            t.elapsed() < Duration::from_secs(1)
        };
        let mut good = true;
        for c in &clients {
            good &= took("inherited call", &mut || format!("{:?}", c.say(2)));
        }
        for b in &ends {
            good &= took("inherited send", &mut || format!("{:?}", b.tx_note(1).map(|_| ())));
        }
        good &= took("inherited shared", &mut || format!("{:?}", shared.tx_note(1).map(drop)));
        good &= took("register", &mut || format!("{:?}", nameservice::register("x", iref).wait()));
        good &= took("lookup", &mut || {
            format!("{:?}", nameservice::blocking_lookup("svc").timeout(Duration::from_secs(2)).wait())
        });
        good &= took("bind far", &mut || {
            format!("{:?}", echo::bind(iref, &ws, echo::RxVtbl::default()).wait().map(|_| ()))
        });
        let new = Waitset::new();
        good &= took("own thread", &mut || {
            let s = echo::export(&new, |_: &Peer| Ok(Echo)).wait().unwrap();
            let b = echo::bind(s.iref(), &new, echo::RxVtbl::default()).wait();
            format!("{:?}", b.map(|b| echo::RpcClient::new(&b).say(3)))
        });
        good &= took("two threads", &mut || {
            let i = serve_in_thread();
            let b = echo::bind(i, &new, echo::RxVtbl::default()).wait();
            format!(
                "{:?}",
                b.map(|b| (
                    b.driver(),
                    echo::RpcClient::new(&b).timeout(Duration::from_millis(800)).say(3)
                ))
            )
        });
        drop(ends);
        drop(clients);
        drop(ws);
        exit(if good { 0 } else { 3 })
    }
    let status = wait_for(child);
    let after: Vec<_> = clients.iter().map(|c| c.say(4)).collect();
    let again = echo::bind(iref, &ws, echo::RxVtbl::default()).wait().map(|b| b.driver());
    verdict(
        status == 0 && after.iter().all(|r| r == &Ok(4)) && again.is_ok(),
        format!("child status {status:#x}; parent afterwards {after:?}, binds {again:?}"),
    );
}
