//! Allocations of calls: short calls allocate nothing once the tables have grown.

use std::alloc::System;
use std::cell::Cell;
use std::rc::Rc;

use flounder::Waitset;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

flounder::flounder! {
    interface sums "Adds" {
        rpc add(in uint32 a, in uint64 b, out uint64 sum);
    };
}

struct Service;

impl sums::Rx for Service {
    fn add(&mut self, _: &sums::Binding, a: u32, b: u64, reply: sums::AddReply) {
        reply.send(u64::from(a) + b);
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
        let export = sums::export(&ws, |_| Ok(Service));
        let iref = export.wait().expect("it can be exported").iref();
        let bind = sums::bind(iref, &ws, sums::RxVtbl::default()).driver(driver);
        let rpc = Rc::new(sums::RpcClient::new(&bind.wait().expect("it can be bound to")));

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
