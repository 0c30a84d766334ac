//! A daemon with a relative FLOUNDER_RUNTIME_DIR changes to `/` after it has started (as daemon(3) does). Later the root,
//! another process, dies. Expected: the daemon's name is still found by programs started as before.

use std::time::Duration;
use std::{env, fs, thread};

use cases::*;

fn main() {
    if role() == "root" {
        be_root()
    }
    if role() == "daemon" {
        thread::spawn(|| {
            thread::sleep(Duration::from_millis(400));
            env::set_current_dir(arg(2)).unwrap();
        });
        serve("svc")
    }
    if role() == "client" {
        client("svc", 6.0)
    }
    watchdog(60);
    let dir = fresh_dir();
    let elsewhere = dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let program = |args: &[&str]| {
        let mut c = me(args);
        c.current_dir(&dir).env("FLOUNDER_RUNTIME_DIR", "run");
        c
    };
    let mut root = start(&mut program(&["root"]));
    root.line("ready", 5.0).unwrap();
    let mut daemon = start(&mut program(&["daemon", elsewhere.to_str().unwrap()]));
    daemon.line("ready", 5.0).unwrap();
    thread::sleep(Duration::from_millis(800));
    let before = start(&mut program(&["client"])).line("", 8.0);
    root.kill(9);
    let _ = root.child.wait();
    thread::sleep(Duration::from_millis(500));
    let after = start(&mut program(&["client"])).line("", 9.0);
    let stray = elsewhere.join("run").exists();
    verdict(
        called(&after),
        format!(
            "before {before:?}, after the root died {after:?}; \
             a second runtime directory was made: {stray}"
        ),
    );
}
