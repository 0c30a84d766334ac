//! A program with a large static thread-local block (500 KiB) looks up a name: the monitor's thread has a 512 KiB stack,
//! in which glibc places that block.

use std::cell::Cell;

use cases::*;

thread_local! {
    static BIG: [Cell<u8>; 500 << 10] = const { [const { Cell::new(0) }; 500 << 10] };
}

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "client" {
        BIG.with(|b| b[std::process::id() as usize % 1000].set(1));
        client("svc", 5.0)
    }
    watchdog(40);
    isolate();
    let mut service = run(&["serve"]);
    let up = service.line("ready", 10.0).is_some();
    let mut client = run(&["client"]);
    let said = client.line("", 10.0);
    let (c, s) = (client.end(10.0), service.child.try_wait());
    verdict(
        up && called(&said),
        format!("service ready {up} {s:?}; client said {said:?}, ended {c:?}"),
    );
}
