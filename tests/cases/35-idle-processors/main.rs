//! Nothing happens, in many states: bound and quiet; a peer that has died and whose handle is kept; a peer that is stopped with
//! a full ring and senders waiting; a full inbox; a bind and a lookup that wait; no root to be had; a stopped root.
//! Expected: no process uses more than 2 % of a processor.

use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "silent" {
        let ws = Waitset::current();
        let s = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap();
        nameservice::register("svc", s.iref()).wait().unwrap();
        say("ready");
        thread::sleep(Duration::from_secs(100))
    }
    if role() == "root" {
        let _ = nameservice::list().wait();
        say("ready");
        thread::sleep(Duration::from_secs(100))
    }
    if role() == "client" {
        let ws = Waitset::current();
        let driver = arg(3);
        if arg(2) == "lookup" {
            say("set");
            let _ = nameservice::blocking_lookup("none").timeout(Duration::from_secs(30)).wait();
            return;
        }
        let iref = find("svc");
        if arg(2) == "bind" {
            say("set");
            let _ = echo::bind(iref, &ws, echo::RxVtbl::default())
                .driver(driver)
                .timeout(Duration::from_secs(30))
                .wait();
            return;
        }
        let b = echo::bind(iref, &ws, echo::RxVtbl::default()).driver(driver).wait().unwrap();
        echo::RpcClient::new(&b).say(1).unwrap();
        let _held = if arg(2) == "quiet" {
            let c = b.clone();
            Some((
                ws.after(Duration::from_secs(1000), |_| Ok(())),
                ws.on_signal(event::UnixSignal::User2, |_| Ok(())).unwrap(),
                c.shared(),
            ))
        } else {
            None
        };
        say("bound");
        wait_for_line();
        if arg(2) == "stopped" {
            for _ in 0..3 {
                let b = b.clone();
                ws.spawn_local(async move {
                    loop {
                        if b.send_bytes(&[0; 60_000]).await.is_err() {
                            break;
                        }
                    }
                })
                .detach()
            }
            let b2 = b.clone();
            ws.spawn_local(async move {
                let _ = echo::RpcClient::new(&b2).say_async(1).await;
            })
            .detach()
        }
        say("set");
        let _ = ws.dispatch_until(Some(Instant::now() + Duration::from_secs(30)), || false);
        return;
    }
    watchdog(150);
    let mut all = Vec::new();
    for (what, driver) in [
        ("quiet", "ump"),
        ("quiet", "lmp"),
        ("quiet", "scc"),
        ("quiet", "beehive"),
        ("dead", "ump"),
        ("dead", "lmp"),
        ("dead", "scc"),
        ("dead", "beehive"),
        ("stopped", "ump"),
        ("stopped", "lmp"),
        ("stopped", "scc"),
        ("stopped", "beehive"),
        ("bind", "ump"),
        ("lookup", "ump"),
        ("stopped root", "ump"),
    ] {
        isolate();
        let mut root = if what == "stopped root" {
            let mut r = run(&["root"]);
            r.line("ready", 5.0).unwrap();
            Some(r)
        } else {
            None
        };
        let mut s = run(&[if what == "bind" { "silent" } else { "serve" }]);
        s.line("ready", 5.0).unwrap();
        let mut c = run_with_input(&["client", what, driver]);
        if what != "bind" && what != "lookup" {
            c.line("bound", 6.0).unwrap();
        }
        match what {
            "dead" => {
                s.kill(9);
                let _ = s.child.wait();
            }
            "stopped" => s.kill(libc::SIGSTOP),
            "stopped root" => root.as_ref().unwrap().kill(libc::SIGSTOP),
            _ => {}
        }
        c.go_on();
        c.line("set", 6.0).unwrap();
        thread::sleep(Duration::from_millis(400));
        let (a, b) = (cpu_ms(s.pid()), cpu_ms(c.pid()));
        thread::sleep(Duration::from_millis(2000));
        let used = (cpu_ms(s.pid()).saturating_sub(a), cpu_ms(c.pid()).saturating_sub(b));
        all.push((
            used.0 <= 40 && used.1 <= 40,
            format!("{what} {driver}: {}/{} ms of 2000", used.0, used.1),
        ));
        s.kill(libc::SIGCONT);
        if let Some(r) = &root {
            r.kill(libc::SIGCONT)
        }
        drop(root.take());
    }
    let bad_ones: Vec<_> = all.iter().filter(|(g, _)| !g).map(|(_, s)| s.as_str()).collect();
    verdict(
        bad_ones.is_empty(),
        format!("{} states; bad: {}; all: {}", all.len(), bad_ones.join("; "), details(&all, ", ")),
    );
}
