//! Allocations of calls: short calls allocate nothing once the tables have grown.

use std::alloc::System;
use std::cell::Cell;
use std::rc::Rc;

use flounder::Waitset;
use flounder::bulk::{Bulk, Pool, Slots};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

flounder::flounder! {
    interface sums "Adds" {
        rpc add(in uint32 a, in uint64 b, out uint64 sum);
        message frame(bulk data[65536]);
    };
}

/// With the sum of the words of the last frame.
struct Service(Rc<Cell<u64>>);

impl sums::Rx for Service {
    fn add(&mut self, _: &sums::Binding, a: u32, b: u64, reply: sums::AddReply) {
        reply.send(u64::from(a) + b);
    }

    fn frame(&mut self, _: &sums::Binding, data: Bulk<'_>) {
        self.0.set(data.words().fold(0, u64::wrapping_add));
    }
}

/// Calls in a row, and tasks that make them side by side.
const CALLS: u32 = 1000;
const TASKS: u32 = 8;

// One test, because the allocator counts what all threads do.
#[test]
fn calls_allocate_nothing_in_the_long_run() {
    for driver in ["loopback", "ump"] {
        let ws = Waitset::new();
        let seen = Rc::new(Cell::new(0));
        let theirs = Rc::clone(&seen);
        let export = sums::export(&ws, move |_| Ok(Service(Rc::clone(&theirs))));
        let iref = export.wait().expect("it can be exported").iref();
        let bind = sums::bind(iref, &ws, ()).driver(driver);
        let binding = bind.wait().expect("it can be bound to");
        let rpc = Rc::new(sums::RpcClient::new(&binding));

        let awaited = || {
            for n in 0..CALLS {
                let sum = ws.block_on(rpc.add_async(n, 1)).expect("no callback fails");
                assert_eq!(sum, Ok(u64::from(n) + 1));
            }
        };
        awaited();
        assert_eq!(allocations(awaited), 0, "awaited, over {driver}");

        let blocking = || {
            for n in 0..CALLS {
                assert_eq!(rpc.add(n, 1), Ok(u64::from(n) + 1));
            }
        };
        blocking();
        assert_eq!(allocations(blocking), 0, "blocking, over {driver}");

        // The tasks themselves are allocated; their calls are not.
        let tasks = || {
            let done = Rc::new(Cell::new(0));
            for _ in 0..TASKS {
                let (rpc, done) = (Rc::clone(&rpc), Rc::clone(&done));
                let calls = async move {
                    for n in 0..CALLS {
                        assert_eq!(rpc.add_async(n, 1).await, Ok(u64::from(n) + 1));
                    }
                    done.set(done.get() + 1);
                };
                ws.spawn_local(calls).detach();
            }
            while done.get() < TASKS {
                ws.dispatch().expect("no callback fails");
            }
        };
        tasks();
        let counted = allocations(tasks);
        assert!(counted <= 4 * TASKS as usize, "{counted} for the tasks, over {driver}");

        let pool = Pool::new(&binding, Slots { count: 2, bytes: 1 << 16 }).expect("a pool");
        while !pool.is_open() {
            ws.dispatch().expect("no callback fails");
        }
        let frames = || {
            for n in 1..=u64::from(CALLS) {
                let mut buffer = pool.take(1 << 16).expect("both slots come back");
                buffer[..8].copy_from_slice(&n.to_ne_bytes());
                binding.tx_frame(buffer).expect("there is room");
                while seen.get() != n {
                    ws.dispatch().expect("no callback fails");
                }
            }
        };
        frames();
        assert_eq!(allocations(frames), 0, "frames, over {driver}");
    }
}

/// The least of three times: the thread of the monitor has work of its own now and then.
fn allocations(work: impl Fn()) -> usize {
    let count = || {
        let region = Region::new(ALLOCATOR);
        work();
        let change = region.change();
        change.allocations + change.reallocations
    };
    (0..3).map(|_| count()).min().unwrap_or_default()
}
