//! The root dies while a service lives. One process looks the service up all the time, another one tries to register its name
//! all the time. Expected (nameservice: "a name belongs to the process that registered it first, until that process takes it
//! back or dies"): no lookup reports that there is no such name, and no other process gets the name.

use std::thread;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    if role() == "root" {
        be_root()
    }
    if role() == "serve" {
        serve("svc")
    }
    if role() == "look" {
        let _ = nameservice::lookup("svc").wait();
        say("ready");
        let end = Instant::now() + Duration::from_millis(900);
        let (mut n, mut unknown, mut other) = (0, 0, 0);
        while Instant::now() < end {
            n += 1;
            match nameservice::lookup("svc").wait() {
                Ok(_) => {}
                Err(nameservice::NameError::Unknown { .. }) => unknown += 1,
                Err(e) => {
                    other += 1;
                    eprintln!("{e}")
                }
            }
        }
        say(format!("looked {n} {unknown} {other}"));
        return;
    }
    if role() == "take" {
        let ws = Waitset::current();
        let s = echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap();
        let _ = nameservice::register("svc", s.iref()).wait();
        say("ready");
        let end = Instant::now() + Duration::from_millis(900);
        let (mut n, mut got) = (0, 0);
        while Instant::now() < end {
            n += 1;
            if nameservice::register("svc", s.iref()).wait().is_ok() {
                got += 1
            }
        }
        say(format!("tried {n} {got}"));
        return;
    }
    watchdog(120);
    let (mut unknown, mut taken, mut looked, mut rounds) = (0, 0, 0u64, 0);
    for _ in 0..25 {
        isolate();
        let mut root = run(&["root"]);
        root.line("ready", 5.0).unwrap();
        let mut s = run(&["serve"]);
        s.line("ready", 5.0).unwrap();
        let (mut l, mut t) = (run(&["look"]), run(&["take"]));
        l.line("ready", 5.0).unwrap();
        t.line("ready", 5.0).unwrap();
        thread::sleep(Duration::from_millis(150));
        root.kill(9);
        let a: Vec<u64> = l
            .line("looked", 8.0)
            .unwrap_or_default()
            .split(' ')
            .filter_map(|x| x.parse().ok())
            .collect();
        let b: Vec<u64> = t
            .line("tried", 8.0)
            .unwrap_or_default()
            .split(' ')
            .filter_map(|x| x.parse().ok())
            .collect();
        rounds += 1;
        looked += a.first().unwrap_or(&0);
        unknown += u32::from(a.get(1).is_some_and(|n| *n > 0));
        taken += u32::from(b.get(1).is_some_and(|n| *n > 0));
    }
    verdict(
        unknown == 0 && taken == 0,
        format!(
            "{rounds} deaths of the root, {looked} lookups: in {unknown} a lookup said Unknown, \
             in {taken} the name went to the other process while its owner lived"
        ),
    );
}
