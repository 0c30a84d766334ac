//! The runtime directory is removed while its processes live (a cleaner of /tmp, a logout, `rm -r`).
//! Expected: a client that starts afterwards finds the running service again, after a moment; or the service learns.

use std::fs;

use cases::*;

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        client("svc", 8.0)
    }
    watchdog(60);
    let dir = isolate();
    let mut service = run(&["serve"]);
    service.line("ready", 10.0).expect("up");
    let before = run(&["client"]).line("", 10.0);
    fs::remove_dir_all(dir.join("run")).expect("removed");
    let mut late = run(&["client"]);
    let after = late.line("", 12.0);
    verdict(called(&after), format!("before {before:?}, after {after:?}"));
}
