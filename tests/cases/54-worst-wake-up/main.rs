//! The worst wake-up of a sleeping service in some seconds, beside that of a pair of pipes at the same time on the same
//! machine. Expected: of the same order.

use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn worst(mut f: impl FnMut()) -> String {
    let (end, mut t, mut x) = (Instant::now() + Duration::from_secs(6), Vec::new(), 1u32);
    while Instant::now() < end {
        x = x.wrapping_mul(1664525).wrapping_add(1013904223);
        thread::sleep(Duration::from_micros(u64::from(x % 400)));
        let s = Instant::now();
        f();
        t.push(s.elapsed())
    }
    t.sort();
    format!(
        "{} {} {} {}",
        t[t.len() / 2].as_micros(),
        t[t.len() * 99 / 100].as_micros(),
        t[t.len() * 999 / 1000].as_micros(),
        t[t.len() - 1].as_micros()
    )
}

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    if role() == "cat" {
        let mut b = [0];
        while std::io::stdin().read(&mut b).is_ok_and(|n| n > 0) {
            std::io::stdout().write_all(&b).unwrap();
            std::io::stdout().flush().unwrap()
        }
        return;
    }
    if role() == "pipes" {
        let mut c = me(&["cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut i, mut o) = (c.stdin.take().unwrap(), c.stdout.take().unwrap());
        let mut b = [0];
        say(format!(
            "worst {}",
            worst(|| {
                i.write_all(&[10]).unwrap();
                o.read_exact(&mut b).unwrap()
            })
        ));
        let _ = c.kill();
        let _ = c.wait();
        return;
    }
    if role() == "client" {
        let ws = Waitset::current();
        let b =
            echo::bind(find("svc"), &ws, echo::RxVtbl::default()).driver(arg(2)).wait().unwrap();
        let c = echo::RpcClient::new(&b).timeout(Duration::from_secs(5));
        c.say(1).unwrap();
        say(format!(
            "worst {}",
            worst(|| {
                c.say(1).unwrap();
            })
        ));
        return;
    }
    watchdog(60);
    let mut all = Vec::new();
    for driver in ["ump", "lmp"] {
        isolate();
        let mut s = run(&["serve"]);
        s.line("ready", 5.0).unwrap();
        let (mut c, mut p) = (run(&["client", driver]), run(&["pipes"]));
        let num = |s: Option<String>| -> Vec<u64> {
            s.unwrap_or_default().split(' ').filter_map(|x| x.parse().ok()).collect()
        };
        let (f, p) = (num(c.line("worst", 20.0)), num(p.line("worst", 20.0)));
        all.push((
            f.len() == 4
                && p.len() == 4
                && f[1] < p[1] * 5 + 500
                && f[2] < p[2] * 5 + 3000
                && f[3] < p[3] * 5 + 30_000,
            format!("{driver} p50/p99/p99.9/max {f:?} us, pipes {p:?} us"),
        ));
    }
    verdict_of(&all);
}
