//! A program with bindings over all drivers, signals, timers, a tokio driver and the root monitor starts children the
//! ordinary way, and some with `pre_exec`. Expected: they have no descriptor of it, and normal signal masks and dispositions.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use cases::*;
use flounder::*;

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    watchdog(40);
    isolate();
    let script = "ls -l /proc/self/fd | awk '{print $9,$10,$11}' \
                  | grep -v '^ *$' | grep -v '/proc/'; \
                  grep -E 'SigBlk|SigIgn' /proc/self/status";
    let children = || {
        let mut out = Vec::new();
        for pre in [false, true] {
            let mut c = Command::new("sh");
            c.args(["-c", script]).stdin(Stdio::null());
            if pre {
                // SAFETY:
                // * The closure does nothing.
                unsafe { c.pre_exec(|| Ok(())) };
            }
            out.extend(
                String::from_utf8_lossy(&c.output().unwrap().stdout)
                    .lines()
                    .map(|l| l.split("pipe:").next().unwrap().to_owned()),
            );
        }
        out
    };
    let before = children();
    let ws = Waitset::current();
    let _ = nameservice::list().wait();
    let mut s = run(&["serve"]);
    s.line("ready", 5.0).unwrap();
    let iref = find("svc");
    let ends: Vec<_> = ["ump", "lmp", "scc", "beehive"]
        .iter()
        .map(|d| {
            let b = echo::bind(iref, &ws, echo::RxVtbl::default()).driver(*d).wait().unwrap();
            echo::RpcClient::new(&b).say(1).unwrap();
            b
        })
        .collect();
    let f = fs::File::open("/dev/null").unwrap();
    ws.block_on(ends[0].send_give(1, &Cap::from(f))).unwrap().unwrap();
    ws.on_signal(event::UnixSignal::User1, |_| Ok(())).unwrap();
    ws.after(Duration::from_secs(9), |_| Ok(()));
    let _ = ws.prepare_wait();
    let _shared = ends[1].shared();
    ws.when_exited(Command::new("sleep").arg("3").spawn().unwrap(), |_, _, _| Ok(())).unwrap();
    let wrong: Vec<_> = children().into_iter().filter(|l| !before.contains(l)).collect();
    verdict(wrong.is_empty(), format!("wrong: {wrong:?}"));
}
