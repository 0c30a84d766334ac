//! A program starts much at once, as `join_all` does: 2000 lookups, 1500 binds to another process, 2000 calls on each of a few,
//! 300 registrations. Expected: all succeed, in turn; or the limit is documented.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    if role() == "serve" {
        serve("svc")
    }
    watchdog(90);
    isolate();
    let mut s = run(&["serve"]);
    s.line("ready", 5.0).unwrap();
    let ws = Waitset::current();
    let iref = find("svc");
    fn tally<T, E: std::fmt::Debug>(
        ws: &Waitset,
        what: &str,
        tasks: Vec<impl Future<Output = Result<T, E>>>,
        out: &mut Vec<(bool, String)>,
    ) -> Vec<T> {
        let t = Instant::now();
        let n = tasks.len();
        let (mut good, mut errors) = (Vec::new(), BTreeMap::new());
        for task in tasks {
            match ws.block_on(task).unwrap() {
                Ok(v) => good.push(v),
                Err(e) => *errors.entry(format!("{e:?}")).or_insert(0) += 1,
            }
        }
        out.push((
            errors.is_empty(),
            format!("{what}: {} of {n} in {} ms {errors:?}", good.len(), t.elapsed().as_millis()),
        ));
        good
    }
    let mut out = Vec::new();
    tally(&ws, "lookups", (0..2000).map(|_| nameservice::lookup_with_owner("svc")).collect(), &mut out);
    let binds: Vec<_> = (0..1500)
        .map(|_| {
            ws.spawn_local(
                echo::bind(iref, &ws, echo::RxVtbl::default())
                    .buffer(4096)
                    .timeout(Duration::from_secs(30)),
            )
        })
        .collect();
    let ends = tally(&ws, "binds", binds, &mut out);
    if let Some(b) = ends.first() {
        let c = echo::RpcClient::new(b);
        let calls: Vec<_> = (0..3000u32).map(|n| ws.spawn_local(c.say_async(n))).collect();
        tally(&ws, "calls", calls, &mut out);
    }
    drop(ends);
    let own: Vec<_> =
        (0..300).map(|_| echo::export(&ws, |_: &Peer| Ok(Echo)).wait().unwrap()).collect();
    tally(
        &ws,
        "registrations",
        own.iter()
            .enumerate()
            .map(|(i, e)| nameservice::register(&format!("n{i}"), e.iref()))
            .collect(),
        &mut out,
    );
    let quick: Vec<_> = (0..400)
        .map(|i| nameservice::blocking_lookup_with_owner(if i % 2 == 0 { "n7" } else { "svc" }))
        .collect();
    tally(&ws, "waiting lookups", quick, &mut out);
    verdict_of(&out);
}
