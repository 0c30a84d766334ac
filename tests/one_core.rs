//! Calls between two processes that share a processor: neither end polls while it keeps the other from running.

use flounder_test_support as support;
use std::time::Duration;

use support::protocol::Driver;
use support::{TestProcess, TestSystem};

#[test]
fn test_process() {
    support::process::run();
}

/// Number of calls that are measured.
const CALLS: u32 = 2000;

/// Time for which an end polls before it blocks: many times what a call takes.
const SPIN: Duration = Duration::from_millis(1);

/// The first calls, in which the waitsets learn that polling is of no use.
const FIRST_CALLS: u32 = 200;

/// What one call costs both processes.
struct CallCost {
    /// Number of times that the ends block.
    blocked: f64,
    time: Duration,
}

/// Measures calls over a driver, with both ends on processor `client`, or the service on another one.
fn call_cost(driver: Driver, processors: [usize; 2], hands_over: bool) -> CallCost {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.export("echo");
    client.bind(driver, "echo");
    client.pin(processors[0], SPIN);
    server.pin(processors[1], SPIN);
    client.add_repeatedly(FIRST_CALLS, hands_over);
    let cost = |process: &mut TestProcess| process.thread_cost();
    let before = [cost(&mut client), cost(&mut server)];
    client.add_repeatedly(CALLS, hands_over);
    let after = [cost(&mut client), cost(&mut server)];
    let blocked: u64 = after.iter().zip(&before).map(|(a, b)| a.blocked - b.blocked).sum();
    let time: Duration = after.iter().zip(&before).map(|(a, b)| a.time - b.time).sum();
    CallCost { blocked: blocked as f64 / f64::from(CALLS), time: time / CALLS }
}

/// The first processors that this thread may use.
fn processors() -> impl Iterator<Item = usize> {
    let allowed = rustix::thread::sched_getaffinity(None).expect("a thread has an affinity");
    (0..rustix::thread::CpuSet::MAX_CPU).filter(move |processor| allowed.is_set(*processor))
}

#[test]
fn call_on_one_processor_costs_two_switches_and_no_polling() {
    let processor = processors().next().expect("this thread runs");
    for driver in [Driver::Ump, Driver::Lmp] {
        for hands_over in [false, true] {
            let cost = call_cost(driver, [processor; 2], hands_over);
            let CallCost { blocked, time } = cost;
            println!("{driver}, hands over {hands_over}: {blocked:.2} times blocked, {time:?}");
            // Each end blocks once; the command and the reply of the test are a few more.
            assert!(blocked < 2.1, "{driver}: {blocked} times blocked");
            assert!(time < SPIN / 4, "{driver}: {time:?} of processor time");
        }
    }
}
