//! A future in `run_until` calls in a loop whose answers are there at once. Expected: other tasks of the same tokio thread
//! go on (a ticker of 1 ms), and so does a timeout around the loop.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use cases::*;

fn main() {
    watchdog(40);
    let mut all = Vec::new();
    for near in [true, false] {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        let (ticks, calls) = rt.block_on(local.run_until(async move {
            let ticks = Rc::new(Cell::new(0u32));
            let t = ticks.clone();
            tokio::task::spawn_local(async move {
                let mut i = tokio::time::interval(Duration::from_millis(1));
                loop {
                    i.tick().await;
                    t.set(t.get() + 1)
                }
            });
            let ws = flounder::Waitset::new();
            let calls = Rc::new(Cell::new(0u64));
            let c = calls.clone();
            let w2 = ws.clone();
            let _ = flounder::tokio::run_until(&ws, async move {
                let iref = if near {
                    echo::export(&w2, |_: &flounder::Peer| Ok(Echo)).wait().unwrap().iref()
                } else {
                    serve_in_thread()
                };
                let b = echo::bind(iref, &w2, echo::RxVtbl::default()).await.unwrap();
                let client = echo::RpcClient::new(&b);
                let _ = tokio::time::timeout(Duration::from_secs(2), async {
                    loop {
                        client.say_async(1).await.unwrap();
                        c.set(c.get() + 1)
                    }
                })
                .await;
            })
            .await;
            (ticks.get(), calls.get())
        }));
        all.push((
            ticks > 600,
            format!(
                "{}: {ticks} ticks in 2 s, {calls} calls",
                if near { "same thread" } else { "other thread" }
            ),
        ));
    }
    verdict_of(&all);
}
