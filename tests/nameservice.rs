//! Names of services: registration, lookup, owners and quotas, between processes.

use flounder_test_support as support;
use std::time::{Duration, Instant};

use support::process::NameEntry;
use support::protocol::ServiceId;
use support::{TestSystem, millis, process, taken_by};

#[test]
fn test_process() {
    support::process::run();
}

#[test]
fn a_name_is_found_with_its_owner() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    let iref = server.export("clock");
    assert_eq!(client.lookup("clock"), iref);
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(client.owner("clock"), (server.pid(), uid));
    let (name, interface, pid) = ("clock".to_owned(), "echo".to_owned(), server.pid());
    assert_eq!(client.list(), [NameEntry { name, interface, pid }]);
}

#[test]
fn a_taken_name_is_refused_to_another_process() {
    let system = TestSystem::new();
    let (mut first, mut second) = (system.spawn(), system.spawn());
    let iref = first.export("clock");
    let refused = second.expect_error(process::Export::new("clock"));
    assert_eq!(refused, taken_by(first.pid()));
    assert_eq!(second.expect_error(process::Unregister::new("clock")), "NotOwner");
    assert_eq!(second.lookup("clock"), iref);
    first.unregister("clock");
    assert_eq!(second.expect_error(process::Lookup::new("clock")), "Unknown");
    assert_ne!(second.export("clock"), iref);
}

#[test]
fn a_name_of_a_process_is_refused_to_another_service_of_it() {
    let system = TestSystem::new();
    let (mut root, mut server, mut client) = (system.spawn(), system.spawn(), system.spawn());
    root.join();
    let first = server.export("clock");
    let refused = server.expect_error(process::Export::new("clock"));
    assert_eq!(refused, taken_by(server.pid()));
    assert_eq!(client.lookup("clock"), first, "the first service is not lost");
    server.register("clock", first);
    // Nor under another root, where it has registered the name again.
    root.kill();
    assert_eq!(client.await_name_for("clock", millis(5000)), first);
    let refused = server.expect_error(process::Export::new("clock"));
    assert_eq!(refused, taken_by(server.pid()));
    server.unregister("clock");
    let second = server.export("clock");
    assert_ne!(first, second);
    assert_eq!(client.lookup("clock"), second);
}

#[test]
fn the_name_of_a_service_that_is_gone_is_free_for_another() {
    let system = TestSystem::new();
    let (mut root, mut server, mut client) = (system.spawn(), system.spawn(), system.spawn());
    root.join();
    for _ in 0..50 {
        server.export("clock");
        // The withdrawal is not answered.
        server.withdraw();
    }
    let last = server.export("clock");
    assert_eq!(client.lookup("clock"), last);
}

#[test]
fn what_cannot_be_a_name_is_refused() {
    let system = TestSystem::new();
    let mut process = system.spawn();
    let iref = process.export_unnamed();
    assert_eq!(process.expect_error(process::Register::new("", iref)), "Invalid(Empty)");
    assert_eq!(process.expect_error(process::Register::new("a\tb", iref)), "Invalid(Control)");
    let long = "x".repeat(256);
    assert_eq!(
        process.expect_error(process::Register::new(&long, iref)),
        "Invalid(TooLong { length: 256 })"
    );
    process.register(&long[..255], iref);
    assert_eq!(process.expect_error(process::Lookup::new("a\tb")), "Invalid(Control)");
    assert_eq!(
        process.expect_error(process::Register::new("clock", ServiceId(12_345))),
        "NoService",
        "it is not of this process"
    );
}

#[test]
fn unknown_names_are_unknown() {
    let system = TestSystem::new();
    let mut process = system.spawn();
    assert_eq!(process.expect_error(process::Lookup::new("clock")), "Unknown");
    assert_eq!(process.expect_error(process::Unregister::new("clock")), "Unknown");
    assert_eq!(process.expect_error(process::Owner::new("clock")), "Unknown");
    assert_eq!(process.list(), []);
}

#[test]
fn a_lookup_with_a_deadline_ends_at_it() {
    let system = TestSystem::new();
    let mut process = system.spawn();
    process.join();
    let started = Instant::now();
    let error = process.expect_error(process::AwaitNameFor::new("clock", millis(200)));
    assert_eq!(error, "Deadline(Registration)");
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_deadline_tells_a_missing_name_from_a_silent_root() {
    let system = TestSystem::new();
    let (mut root, mut client) = (system.spawn(), system.spawn());
    root.join();
    let mut look_up = || client.expect_error(process::AwaitNameFor::new("clock", millis(400)));
    assert_eq!(look_up(), "Deadline(Registration)");
    root.stop();
    assert_eq!(look_up(), "Deadline(Root)");
    root.go_on();
    assert_eq!(look_up(), "Deadline(Registration)");
}

#[test]
fn lookup_that_waits_for_a_second_is_logged_with_its_place() {
    let system = TestSystem::new();
    let mut process = system.spawn_with_log();
    process.join();
    let began = Instant::now();
    let lookup = process.start(process::AwaitName::new("clock"));
    system.wait_for_log("a request to the name service is not answered yet");
    assert!(began.elapsed() >= Duration::from_secs(1));
    let log = system.log();
    let place = [format!("{:?}", "clock"), system.dir().display().to_string()];
    assert!(place.iter().all(|part| log.contains(part)), "{log}");
    assert!(log.contains(&process.pid().to_string()), "the root is named: {log}");
    system.spawn().export("clock");
    process.wait(lookup);
}

#[test]
fn lookups_that_ended_leave_nothing_at_the_root() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    for _ in 0..600 {
        let error = client.expect_error(process::AwaitNameFor::new("clock", millis(0)));
        assert_eq!(error, "Deadline(Nothing)");
    }
    // More than may wait at a time; those that ended do not count.
    let lookup = client.start(process::AwaitName::new("clock"));
    let iref = server.export("clock");
    assert_eq!(client.wait(lookup), iref);
}

#[test]
fn a_client_may_start_before_its_service() {
    let system = TestSystem::new();
    let mut clients: Vec<_> = (0..4).map(|_| system.spawn()).collect();
    let lookups: Vec<_> = clients
        .iter_mut()
        .enumerate()
        .map(|(number, client)| match number {
            0 | 1 => client.start(process::AwaitName::new("clock")),
            _ => client.start(process::AwaitNameAsync::new("clock")),
        })
        .collect();
    let mut server = system.spawn();
    let iref = server.export("clock");
    for (client, lookup) in clients.iter_mut().zip(lookups) {
        assert_eq!(client.wait(lookup), iref);
    }
}

#[test]
fn the_names_of_a_dead_process_are_free() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let (mut first, mut second) = (system.spawn(), system.spawn());
    first.export("clock");
    first.export("bell");
    // It is a domain from then on, whether it finds the name in no time or not.
    let _ = second.run(process::AwaitNameFor::new("clock", millis(0)));
    first.kill();
    // The root notices the death at some time; the name is never lost before.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !root.list().is_empty() {
        assert!(Instant::now() < deadline, "the names are still there");
    }
    second.export("clock");
}

#[test]
fn names_go_with_their_service() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.export("clock");
    server.withdraw();
    // A withdrawal is not answered; a call after it is.
    server.join();
    assert_eq!(client.expect_error(process::Lookup::new("clock")), "Unknown");
}

#[test]
fn a_process_has_a_limit_of_names_and_lists_are_whole() {
    let system = TestSystem::new();
    let (mut root, mut server, mut client) = (system.spawn(), system.spawn(), system.spawn());
    root.join();
    let iref = server.export_unnamed();
    server.register_numbered("n", 4096, iref);
    let refused = server.expect_error(process::Register::new("more", iref));
    assert!(refused.contains("limit of 4096 names for one process"), "{refused}");
    assert!(refused.starts_with("OverLimit("), "{refused}");
    assert_eq!(client.list().len(), 4096);
    client.export("more");
    server.unregister("n17");
    server.register("again", iref);
}

#[test]
fn lookups_that_are_dropped_leave_room_for_others() {
    let system = TestSystem::new();
    let (mut root, mut client) = (system.spawn(), system.spawn());
    root.join();
    // Far more, one after the other, than a process may have wait at a time.
    for _ in 0..8 {
        assert_eq!(client.drop_lookups(300, "clock"), [""; 0]);
    }
    let ended = client.drop_lookups(600, "clock");
    assert!(ended.iter().any(|result| result.contains("Err")), "there is a bound: {ended:?}");
    let lookup = client.start(process::AwaitName::new("clock"));
    let iref = root.export("clock");
    assert_eq!(client.wait(lookup), iref);
}
