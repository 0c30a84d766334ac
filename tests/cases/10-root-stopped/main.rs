//! The process that happens to be the root is stopped (Ctrl-Z, a debugger). Others register, look up, bind.
//! Expected: they can, after a moment; at least those that know each other already can bind again.

use std::time::Instant;

use cases::*;

fn main() {
    if role() == "root" {
        be_root()
    }
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        client("svc", 8.0)
    }
    watchdog(60);
    isolate();
    let mut root = run(&["root"]);
    root.line("ready", 5.0).unwrap();
    root.kill(libc::SIGSTOP);
    let began = Instant::now();
    let mut service = run(&["serve"]);
    let up = service.line("", 12.0);
    let said = run(&["client"]).line("", 12.0);
    root.kill(libc::SIGCONT);
    verdict(
        called(&said),
        format!("service {up:?}, client {said:?}, {:.1} s", began.elapsed().as_secs_f64()),
    );
}
