//! Calls between two processes that share a processor: neither end polls while it keeps the other from running.

use flounder_test_support as support;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity};
use support::process::AddRepeatedly;
use support::protocol::Driver;
use support::{TIMEOUT, TestProcess, TestSystem};

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

/// Measures calls over a driver between two processes on one processor, which `spawn` starts.
fn call_cost(
    driver: Driver,
    hands_over: bool,
    spawn: impl Fn(&TestSystem) -> TestProcess,
) -> CallCost {
    let system = TestSystem::new();
    let (mut server, mut client) = (spawn(&system), spawn(&system));
    server.export("echo");
    client.bind(driver, "echo");
    for process in [&mut client, &mut server] {
        process.pin(processor(), SPIN);
    }
    client.add_repeatedly(FIRST_CALLS, hands_over, TIMEOUT);
    let cost = |process: &mut TestProcess| process.thread_cost();
    let before = [cost(&mut client), cost(&mut server)];
    client.add_repeatedly(CALLS, hands_over, TIMEOUT);
    let after = [cost(&mut client), cost(&mut server)];
    let blocked: u64 = after.iter().zip(&before).map(|(a, b)| a.blocked - b.blocked).sum();
    let time: Duration = after.iter().zip(&before).map(|(a, b)| a.time - b.time).sum();
    CallCost { blocked: blocked as f64 / f64::from(CALLS), time: time / CALLS }
}

/// The first processor that this thread may use.
fn processor() -> usize {
    let allowed = sched_getaffinity(None).expect("a thread has an affinity");
    (0..CpuSet::MAX_CPU).find(|&processor| allowed.is_set(processor)).expect("this thread runs")
}

#[test]
fn call_on_one_processor_costs_two_switches_and_no_polling() {
    for driver in [Driver::Ump, Driver::Lmp] {
        for hands_over in [false, true] {
            let CallCost { blocked, time } = call_cost(driver, hands_over, TestSystem::spawn);
            println!("{driver}, hands over {hands_over}: {blocked:.2} times blocked, {time:?}");
            // Each end blocks once; the command and the reply of the test are a few more.
            assert!(blocked < 2.1, "{driver}: {blocked} times blocked");
            assert!(time < SPIN / 4, "{driver}: {time:?} of processor time");
        }
    }
}

/// Under this policy the kernel takes no processor away from a process that polls.
#[test]
fn call_between_realtime_processes_needs_no_polling() {
    const POLICY: [&str; 2] = ["-f", "1"];
    let probe = Command::new("chrt").args(POLICY).arg("true").status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: this user may not use SCHED_FIFO");
        return;
    }
    for driver in [Driver::Ump, Driver::Lmp] {
        let spawn = |system: &TestSystem| system.spawn_under("chrt", &POLICY);
        let time = call_cost(driver, false, spawn).time;
        assert!(time < SPIN / 4, "{driver}: {time:?} of processor time");
    }
}

/// Connects two processes that share a processor. The service does not run.
fn with_stopped_service(system: &TestSystem, driver: Driver) -> (TestProcess, TestProcess) {
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.export("echo");
    client.bind(driver, "echo");
    for process in [&mut client, &mut server] {
        process.pin(processor(), SPIN);
    }
    client.add_repeatedly(FIRST_CALLS, true, TIMEOUT);
    server.stop();
    (server, client)
}

#[test]
fn call_that_hands_over_sleeps_until_its_deadline() {
    for driver in [Driver::Ump, Driver::Lmp] {
        let system = TestSystem::new();
        let (server, mut client) = with_stopped_service(&system, driver);
        for limit in [10, 60, 300].map(Duration::from_millis) {
            let (before, began) = (client.thread_cost(), Instant::now());
            let error = client.expect_error(AddRepeatedly::new(1_u32, true, limit));
            let waited = began.elapsed();
            assert_eq!(error, "Deadline", "over {driver}");
            assert!(waited >= limit, "over {driver}: {waited:?} of {limit:?}");
            let used = client.thread_cost().time - before.time;
            assert!(used < Duration::from_millis(8), "over {driver}: {used:?} of processor time");
        }
        server.go_on();
    }
}

#[test]
fn call_that_hands_over_ends_when_its_peer_dies() {
    for driver in [Driver::Ump, Driver::Lmp] {
        // While the call waits on its own descriptor, and when it has gone on to wait with the waitset.
        for pause in [1, 50].map(Duration::from_millis) {
            let system = TestSystem::new();
            let (mut server, mut client) = with_stopped_service(&system, driver);
            let call = client.start(AddRepeatedly::new(1_u32, true, TIMEOUT));
            std::thread::sleep(pause);
            server.kill();
            let error = client.wait_error(call);
            assert_eq!(error, "Closed(PeerDied)", "over {driver}");
        }
    }
}
