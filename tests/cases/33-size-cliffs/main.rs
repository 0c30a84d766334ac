//! One more byte makes a message much dearer than its neighbours (a fragment more, a buffer of another size class, a wait).
//! For sizes around every power of two: no size costs five times what both neighbours do, in the best of many.

use std::time::{Duration, Instant};

use cases::*;
use flounder::*;

fn main() {
    watchdog(100);
    let iref = serve_in_thread();
    let ws = Waitset::current();
    let mut cliffs = Vec::new();
    let mut n = 0;
    for driver in ["ump", "lmp", "scc"] {
        let b = echo::bind(iref, &ws, echo::RxVtbl::default()).driver(driver).wait().unwrap();
        let c = echo::RpcClient::new(&b).timeout(Duration::from_secs(5));
        let mut sizes: Vec<usize> = (3..16)
            .flat_map(|p| [-9i64, -8, -1, 0, 1, 8, 9].map(|d| ((1i64 << p) + d) as usize))
            .collect();
        sizes.extend([55, 56, 57, 111, 112, 113, 65_527, 65_535, 65_536]);
        sizes.sort();
        sizes.dedup();
        sizes.retain(|s| *s <= 65_536);
        let cost: Vec<(usize, Duration)> = sizes
            .iter()
            .map(|size| {
                let s = "x".repeat(*size);
                let best = (0..if *size > 8000 { 12 } else { 40 })
                    .map(|_| {
                        let t = Instant::now();
                        c.tell(&s).unwrap();
                        t.elapsed()
                    })
                    .min()
                    .unwrap();
                (*size, best)
            })
            .collect();
        for w in cost.windows(3) {
            n += 1;
            let side = w[0].1.max(w[2].1).max(Duration::from_nanos(400));
            if w[1].1 > side * 5 {
                cliffs.push(format!(
                    "{driver} {} bytes: {:?}, neighbours {:?} {:?}",
                    w[1].0, w[1].1, w[0].1, w[2].1
                ))
            }
        }
    }
    verdict(cliffs.is_empty(), format!("{n} sizes; {}", cliffs.join("; ")));
}
