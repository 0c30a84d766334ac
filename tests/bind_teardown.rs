//! Bindings between processes leave nothing behind when they are torn down, or when their client is killed.
//!
//! `ci/bind-teardown.sh` makes a hundred thousand of them.

use flounder_test_support as support;
use std::thread;
use std::time::{Duration, Instant};

use support::protocol::{Driver, Event};
use support::resources::{Resources, resident};
use support::{DRIVERS, TIMEOUT, TestSystem, many};

/// How many cycles over each driver.
const CYCLES: &str = "FLOUNDER_BIND_CYCLES";

/// Cycles that one client makes while another is killed.
const PLAIN: usize = 9;

/// Bytes that a process may hold more in the end, however many cycles there were.
const SLACK: u64 = 1 << 20;

/// Mappings of the stacks that the C library keeps of threads that have closed descriptors: two for each of four.
const STACKS: usize = 8;

#[test]
fn test_process() {
    support::process::run();
}

/// A client that is killed: every other one while it is bound, the others wherever it happens to be between a bind and a
/// teardown.
fn kill_one(system: &TestSystem, driver: Driver, number: usize) {
    let mut client = system.spawn();
    if number.is_multiple_of(2) {
        client.bind_many(driver, "many", 1, 0);
    } else {
        let _ = client.start(many::Cycle::new(driver, "many", 1_000_000));
        client.wait_for(&Event::Cycling);
    }
    client.kill();
}

#[test]
fn bindings_of_killed_clients_leave_nothing() {
    let cycles = std::env::var(CYCLES).map_or(1000, |text| text.parse().expect("a number"));
    // The drivers side by side: most of the time goes into starting the clients that are killed.
    thread::scope(|scope| {
        for driver in DRIVERS {
            scope.spawn(move || bind_and_tear_down(driver, cycles));
        }
    });
}

fn bind_and_tear_down(driver: Driver, cycles: usize) {
    let system = TestSystem::new();
    let (mut service, mut client) = (system.spawn(), system.spawn());
    service.export_many("many");
    // The first make what stays: the link, what the driver keeps for it, and what the allocator gets used to. A descriptor
    // that the other process needs stays until that process is known to have it.
    let (mut accounts, deadline) = (None, Instant::now() + TIMEOUT);
    let accounts = loop {
        client.cycle_many(driver, "many", 200);
        let now = [&mut service, &mut client].map(|process| {
            process.settle_ends();
            Resources::of(process)
        });
        let is_same = |before: &[Resources; 2]| {
            before.iter().zip(&now).all(|(before, now)| before.has_files_of(now))
        };
        if accounts.as_ref().is_some_and(is_same) {
            break now;
        }
        assert!(Instant::now() < deadline, "{driver}: each 200 bindings change what is held");
        accounts = Some(now);
    };
    (0..10).for_each(|number| kill_one(&system, driver, number));
    accounts[0].settle(&mut service, STACKS);
    let before = [&service, &client].map(resident);

    let (mut binds, mut teardowns, started) = (Vec::new(), Vec::new(), Instant::now());
    for number in 0..cycles / (PLAIN + 1) {
        let cycle = client.start(many::Cycle::new(driver, "many", PLAIN));
        kill_one(&system, driver, number);
        let times = client.wait(cycle);
        binds.push(times.bind);
        teardowns.push(times.teardown);
    }
    let took = started.elapsed();

    for (process, account) in [&mut service, &mut client].into_iter().zip(&accounts) {
        account.settle(process, STACKS);
    }
    let after = [&service, &client].map(resident);
    println!(
        "{driver}: {cycles} cycles, {:.0} a second; bind {:?}, teardown {:?}; service: {}, {} to {} KiB; client: {}, \
         {} to {} KiB",
        cycles as f64 / took.as_secs_f64(),
        median(binds),
        median(teardowns),
        accounts[0],
        before[0] >> 10,
        after[0] >> 10,
        accounts[1],
        before[1] >> 10,
        after[1] >> 10,
    );
    for (before, after) in before.into_iter().zip(after) {
        assert!(after <= before + SLACK, "{driver}: from {before} to {after} bytes");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
