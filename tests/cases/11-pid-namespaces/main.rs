//! Two containers share the runtime directory but not the pid namespace: each way round, a client calls a service, sends it
//! a descriptor, and the service learns of the client's death.

use std::env;
use std::process::Command;

use cases::*;

fn unshared(args: &[&str]) -> Proc {
    let mut c = Command::new("unshare");
    c.args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(env::current_exe().unwrap())
        .args(args);
    start(&mut c)
}

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        client("svc", 5.0)
    }
    watchdog(60);
    if !is_root() {
        ok("skipped: needs user 0")
    }
    let mut all = Vec::new();
    for (who, inside) in [("service inside", true), ("client inside", false)] {
        isolate();
        let mut service = if inside { unshared(&["serve"]) } else { run(&["serve"]) };
        let up = service.line("", 8.0);
        let mut c = if inside { run(&["client"]) } else { unshared(&["client"]) };
        let said = c.line("", 8.0);
        let ended = c.end(5.0);
        all.push((called(&said), format!("{who}: service {up:?}, client {said:?} {ended:?}")));
    }
    // Both inside, in two namespaces: neither sees the other.
    isolate();
    let mut service = unshared(&["serve"]);
    let up = service.line("", 8.0);
    let said = unshared(&["client"]).line("", 8.0);
    all.push((called(&said), format!("both: service {up:?}, client {said:?}")));
    verdict_of(&all);
}
