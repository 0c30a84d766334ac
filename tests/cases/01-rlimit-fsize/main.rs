//! A process that may not write files (RLIMIT_FSIZE 0, as sandboxes and `ulimit -f 0` set it) is the client, or the service.
//! Expected: it works over a driver that needs no file, or gives an error. Not: killed by SIGXFSZ.

use std::os::unix::process::ExitStatusExt;

use cases::*;

fn limit() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY:
    // * The default action is one that `signal` takes.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
    // SAFETY:
    // * `none` lives until the call returns.
    unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &none) };
}

fn main() {
    if arg(2) == "limited" {
        limit()
    }
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        client("svc", 5.0)
    }
    watchdog(40);
    let mut all = Vec::new();
    for (service, client) in [("free", "limited"), ("limited", "free")] {
        isolate();
        let mut s = run(&["serve", service]);
        s.line("ready", 10.0).expect("the service is up");
        let mut c = run(&["client", client]);
        let said = c.line("", 10.0);
        let ends = (
            c.end(5.0).and_then(|e| e.signal()),
            s.child.try_wait().ok().flatten().and_then(|e| e.signal()),
        );
        all.push((
            called(&said),
            format!(
                "service {service}, client {client}: {said:?}; signals: client {:?}, service {:?}",
                ends.0, ends.1
            ),
        ));
    }
    verdict_of(&all);
}
