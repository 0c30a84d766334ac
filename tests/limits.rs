//! What one process can make another one hold, and how it is refused more.

mod support;

use std::os::fd::OwnedFd;
use std::time::Instant;

use flounder::account::Resource;
use flounder::monitor::snapshot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use support::{TestProcess, TestSystem};

#[test]
fn test_process() {
    support::process::run();
}

/// A service with these limits, and a neighbour that is bound to it.
fn service(system: &TestSystem, limits: &str) -> (TestProcess, TestProcess) {
    let (mut service, mut neighbour) = (system.spawn(), system.spawn());
    service.must(&format!("many limit {limits}"));
    service.must("many export many");
    neighbour.must("many bind ump many 1 4096");
    (service, neighbour)
}

/// What the peers of a test process make it hold.
fn used(process: &mut TestProcess, resource: &str) -> u64 {
    process.ask(&format!("many used {resource}")).parse().expect("a number")
}

/// Waits until a process has heard of what another one did.
fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + support::TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "nothing changes");
    }
}

/// A client that limits itself in nothing.
fn greedy(system: &TestSystem) -> TestProcess {
    let mut greedy = system.spawn();
    let all =
        ["bindings", "mappings", "bytes", "descriptors"].map(|of| format!("{of}:process {of}:all"));
    greedy.must(&format!("many limit {}", all.join(" ")));
    greedy
}

/// The neighbour's binding works, and so does a new one of it, and one of a process that comes now.
fn goes_on(system: &TestSystem, neighbour: &mut TestProcess, driver: &str) {
    neighbour.must("many talk");
    neighbour.must(&format!("many bind {driver} many 1 4096"));
    let mut newcomer = system.spawn();
    newcomer.must(&format!("many bind {driver} many 1 4096"));
    newcomer.must("many talk");
}

#[test]
fn bindings_of_a_process_are_limited() {
    for driver in support::DRIVERS {
        let system = TestSystem::new();
        let (_service, mut neighbour) = service(&system, "bindings:process:20");
        let mut greedy = greedy(&system);
        let made = greedy.ask(&format!("many fill {driver} many 100 4096"));
        assert!(made.starts_with("20 later "), "{driver}: {made}");
        assert!(made.contains("the service's process holds too much"), "{driver}: {made}");
        assert!(made.contains("limit of 20 bindings for one process"), "{driver}: {made}");
        goes_on(&system, &mut neighbour, driver);
        greedy.must("many talk");
        greedy.must("many close");
        // The service has to hear of it first.
        until(|| greedy.ask(&format!("many attempt {driver} many 1 4096")) == "1");
        greedy.must("many close");
    }
}

#[test]
fn other_resources_of_a_process_are_limited() {
    let cases = [
        ("ump", "mappings:process:50", "50 mappings for one process"),
        ("scc", "mappings:process:50", "50 mappings for one process"),
        ("lmp", "descriptors:process:30", "30 descriptors for one process"),
        ("ump", "bytes:process:200000", "200000 bytes for one process"),
        ("ump", "bindings:user:30", "30 bindings for all processes of one user"),
        (
            "lmp",
            "descriptors:process descriptors:all:40",
            "40 descriptors for all other processes together",
        ),
    ];
    for (driver, limit, refusal) in cases {
        let system = TestSystem::new();
        let (mut service, mut neighbour) = service(&system, limit);
        let mut greedy = greedy(&system);
        let made = greedy.ask(&format!("many fill {driver} many 100 8192"));
        let (count, why) = made.split_once(' ').expect("two parts");
        let count: u32 = count.parse().expect("a number");
        assert!((15..40).contains(&count) && why.contains(refusal), "{driver} {limit}: {made}");
        if why.contains("one process;") {
            goes_on(&system, &mut neighbour, driver);
        } else {
            neighbour.must("many talk");
        }
        drop(greedy);
        // All that it had is given back.
        until(|| used(&mut service, "bindings") <= 3);
    }
}

#[test]
fn the_default_limits_hold_against_thousands_of_bindings() {
    let system = TestSystem::new();
    let (mut service, mut neighbour) = service(&system, "");
    let mut greedy = greedy(&system);
    let made = greedy.ask("many fill ump many 32744 1");
    assert!(made.starts_with("4096 later "), "{made}");
    assert!(made.contains("4096 bindings for one process"), "{made}");
    assert_eq!(used(&mut service, "bindings"), 4097);
    goes_on(&system, &mut neighbour, "ump");
    drop(greedy);
    until(|| used(&mut service, "mappings") <= 20);
}

#[test]
fn a_client_has_limits_of_its_own() {
    let system = TestSystem::new();
    let (mut service, mut client) = (system.spawn(), system.spawn());
    service.must("many export many");
    client.must("many limit bindings:process:5");
    let made = client.ask("many fill ump many 10 4096");
    assert!(made.starts_with("5 later this process holds too much for the service"), "{made}");
}

/// Bytes that the memory of a process may grow by in a test: less than one buffer that is refused.
const SLACK: u64 = 8 << 20;

#[test]
fn a_large_buffer_costs_the_service_its_own_maximum() {
    let system = TestSystem::new();
    let (mut service, _neighbour) = service(&system, "");
    let mut greedy = greedy(&system);
    let before = memory(&mut service);
    for driver in ["ump", "scc"] {
        assert_eq!(greedy.ask(&format!("many fill {driver} many 4 16777216")), "4 all");
    }
    greedy.must("many talk");
    let grown = memory(&mut service).saturating_sub(before);
    // The service has a ring of at most 1 MiB for each binding, and the client's rings, which the client pays for, are in
    // its page tables.
    const THEIRS: u64 = 8 * (16 << 20);
    let used = used(&mut service, "bytes");
    assert!(used <= 9 << 20, "{used} bytes are charged");
    assert!(grown < THEIRS + (9 << 20) + SLACK, "the service has grown by {grown} bytes");
}

#[test]
fn a_refused_client_costs_nothing() {
    let system = TestSystem::new();
    let mut service = system.spawn();
    service.must("many export many refusing");
    let mut greedy = greedy(&system);
    assert_eq!(greedy.ask("many attempt ump many 10 16777216"), "0");
    let before = memory(&mut service);
    assert_eq!(greedy.ask("many attempt ump many 1200 0"), "0");
    assert_eq!(greedy.ask("many attempt ump many 4 16777216"), "0");
    let grown = memory(&mut service).saturating_sub(before);
    assert!(grown < SLACK, "the service has grown by {grown} bytes");
    for resource in ["bindings", "bytes", "requests"] {
        assert_eq!(used(&mut service, resource), 0, "{resource}");
    }
}

fn memory(process: &mut TestProcess) -> u64 {
    process.ask("many memory").parse().expect("a number")
}

#[test]
fn clients_wait_while_the_connect_callback_runs() {
    let system = TestSystem::new();
    let mut service = system.spawn();
    service.must("many export many dispatching");
    let mut clients: Vec<_> = (0..6).map(|_| system.spawn()).collect();
    for client in &mut clients {
        client.tell("many fill ump many 2 4096");
    }
    for client in &mut clients {
        assert_eq!(client.answer("many fill"), "2 all");
        client.must("many talk");
    }
    assert_eq!(service.ask("many order").split_whitespace().count(), 12);
}

#[test]
fn silent_connections_of_one_process_are_few() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.must("list");
    let silent: Vec<_> = (0..300).map(|_| support::raw_monitor::connect(&system)).collect();
    let mut newcomer = system.spawn();
    newcomer.must("many export many");
    let is_open = |socket: &OwnedFd| {
        let mut fds = [PollFd::new(socket, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).expect("it can be polled") == 0
    };
    let open = silent.iter().filter(|socket| is_open(socket)).count();
    assert_eq!(open, 16, "others of 300 were hung up on");
    assert_eq!(used(&mut root, "connections"), 16);
    drop(silent);
    until(|| used(&mut root, "connections") == 0);
}

#[test]
fn services_of_a_process_are_limited_at_the_root() {
    let system = TestSystem::new();
    let (mut root, mut greedy, mut other) = (system.spawn(), system.spawn(), system.spawn());
    root.must("many limit services:process:3");
    root.must("list");
    for name in ["a", "b", "c"] {
        greedy.must(&format!("many export {name}"));
    }
    let refused = greedy.ask("many export d");
    assert!(refused.starts_with("error"), "{refused}");
    other.must("many export e");
    assert_eq!(used(&mut root, "services"), 4);
    drop(greedy);
    until(|| used(&mut root, "services") == 1);
}

#[test]
fn the_census_tells_what_each_process_holds_for_another() {
    let system = TestSystem::new();
    let (service, mut neighbour) = service(&system, "bindings:process:7 descriptors:all:90");
    neighbour.must("many bind ump many 2 4096");
    neighbour.must("many bind lmp many 1 4096");
    let snapshot = snapshot::take(Some(&system.dir())).expect("there is a root");
    let of = |holder: &TestProcess, peer: &TestProcess| {
        let mut found = snapshot.accounts.iter().filter(|account| {
            account.holder.pid == Some(holder.pid()) && account.peer.pid == Some(peer.pid())
        });
        found.next().expect("it is told").clone()
    };
    let held = of(&service, &neighbour);
    assert_eq!(held.used.get(Resource::Bindings), 4);
    assert_eq!(
        held.used.get(Resource::Mappings),
        3 * 2 + 2,
        "two rings of each binding, and two logs"
    );
    assert_eq!(held.used.get(Resource::Bytes), 3 * 4096);
    // A connection to the root, a link, the bells, and the socket of the binding over lmp.
    assert_eq!(held.used.get(Resource::Descriptors), 2 + 2 + 2 + 1);
    assert_eq!(
        (held.limit.get(Resource::Bindings), held.limit_of_all.get(Resource::Descriptors)),
        (7, 90)
    );
    let held = of(&neighbour, &service);
    assert_eq!((held.used.get(Resource::Bindings), held.limit.get(Resource::Bindings)), (4, 4096));
}
