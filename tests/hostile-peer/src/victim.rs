//! The program that is attacked, and its honest clients: `victim serve NAME` and `victim call NAME`.
//!
//! `serve` prints `ready` and dispatches until it is killed. `refuse` does the same and refuses every client; `spare` holds 64 MiB
//! at most for one peer. `call` binds, prints `bound`, and reads lines: for each it binds
//! anew and makes a hundred calls over the old binding, and prints how long the slowest of all that took, in microseconds.

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use flounder::bulk::Bulk;
use flounder::limits::{Limits, Resource, Scope, set_limits};
use flounder::{Cap, Refusal, Waitset, flounder, nameservice};

flounder! { file = "src/victim.if"; }

struct Server;

impl victim::Rx for Server {
    fn give(&mut self, _: &victim::Binding, cap: Cap) {
        drop(cap);
    }

    fn add(&mut self, _: &victim::Binding, a: u32, b: u32, reply: victim::AddReply) {
        reply.send(a.wrapping_add(b));
    }

    fn resources(&mut self, _: &victim::Binding, reply: victim::ResourcesReply) {
        let lines = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let status = lines("/proc/self/status");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        let fds = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        reply.send(fds as u64, lines("/proc/self/maps").lines().count() as u64, rss);
    }

    fn load(&mut self, _: &victim::Binding, _: &[u8]) {}

    fn picture(&mut self, b: &victim::Binding, seq: u64, pixels: Bulk<'_>) {
        // What may change meanwhile is looked at in every way.
        let mut copy = pixels.to_vec();
        pixels.copy_to(0, &mut copy);
        let _ = pixels.bytes(&mut Vec::new()).iter().map(|byte| u64::from(*byte)).sum::<u64>();
        let sum = pixels.words().fold(0, u64::wrapping_add);
        let _ = b.tx_seen(seq, pixels.len() as u64, sum);
    }

    fn seen(&mut self, _: &victim::Binding, _: u64, _: u64, _: u64) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args: Vec<_> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", name] => serve(name, false),
        ["spare", name] => {
            set_limits(Limits::default().with(Resource::Bytes, Scope::Process, 64 << 20));
            serve(name, false)
        }
        ["refuse", name] => serve(name, true),
        ["call", name] => call(name),
        _ => Err("usage: victim serve|refuse|spare|call NAME".into()),
    }
}

fn serve(name: &str, refuse: bool) -> Result<(), Box<dyn Error>> {
    let ws = Waitset::current();
    let exported = victim::export(&ws, move |_| match refuse {
        true => Err(Refusal::new(7, "nobody may come in")),
        false => Ok(Server),
    });
    let exported = exported.wait()?;
    nameservice::register(name, exported.iref()).wait()?;
    say("ready");
    loop {
        ws.dispatch()?;
    }
}

fn call(name: &str) -> Result<(), Box<dyn Error>> {
    let ws = Waitset::current();
    let iref = nameservice::blocking_lookup(name).wait()?;
    let bind = || victim::bind(iref, &ws, ()).drivers(["lmp"]).wait();
    let binding = bind()?;
    say("bound");
    for line in std::io::stdin().lock().lines() {
        line?;
        let mut slowest = Duration::ZERO;
        let mut time = |began: Instant| slowest = slowest.max(began.elapsed());
        let began = Instant::now();
        let other = bind()?;
        time(began);
        for client in [victim::RpcClient::new(&binding), victim::RpcClient::new(&other)] {
            for i in 0..100 {
                let began = Instant::now();
                if client.add(i, 1)? != i + 1 {
                    return Err("a wrong sum".into());
                }
                time(began);
            }
        }
        let (fds, maps, rss) = victim::RpcClient::new(&binding).resources()?;
        say(&format!("{} {fds} {maps} {rss}", slowest.as_micros()));
    }
    Ok(())
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{what}").and_then(|()| out.flush());
}
