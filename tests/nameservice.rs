//! Names between processes.

mod support;

use std::time::{Duration, Instant};

use support::TestSystem;

#[test]
fn test_process() {
    support::process::run();
}

#[test]
fn a_name_is_found_with_its_owner() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    let iref = server.must("export clock");
    assert_eq!(client.ask("lookup clock"), iref);
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(client.ask("owner clock"), format!("({}, {uid})", server.pid()));
    let list = client.ask("list");
    assert_eq!(list, format!("[(\"clock\", \"echo\", {})]", server.pid()));
}

#[test]
fn a_taken_name_is_refused_to_another_process() {
    let system = TestSystem::new();
    let (mut first, mut second) = (system.spawn(), system.spawn());
    let iref = first.must("export clock");
    let refused = second.ask("export clock");
    assert_eq!(refused, format!("error Taken {{ pid: Some({}) }}", first.pid()));
    assert_eq!(second.ask("unregister clock"), "error NotOwner");
    assert_eq!(second.ask("lookup clock"), iref);
    assert_eq!(first.ask("unregister clock"), "()");
    assert_eq!(second.ask("lookup clock"), "error Unknown");
    assert_ne!(second.must("export clock"), iref);
}

#[test]
fn the_owner_may_point_its_name_at_another_service() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    let first = server.must("export clock");
    let second = server.must("export clock");
    assert_ne!(first, second);
    assert_eq!(client.ask("lookup clock"), second);
}

#[test]
fn what_cannot_be_a_name_is_refused() {
    let system = TestSystem::new();
    let mut process = system.spawn();
    let iref = process.must("export");
    assert_eq!(process.ask(&format!("register-empty {iref}")), "error Invalid(Empty)");
    assert_eq!(process.ask(&format!("register a\tb {iref}")), "error Invalid(Control)");
    let long = "x".repeat(256);
    assert_eq!(
        process.ask(&format!("register {long} {iref}")),
        "error Invalid(TooLong { length: 256 })"
    );
    assert_eq!(process.ask(&format!("register {} {iref}", &long[..255])), "()");
    assert_eq!(process.ask("lookup a\tb"), "error Invalid(Control)");
    assert_eq!(process.ask("register clock 12345"), "error NoService", "it is not of this process");
}

#[test]
fn unknown_names_are_unknown() {
    let system = TestSystem::new();
    let mut process = system.spawn();
    assert_eq!(process.ask("lookup clock"), "error Unknown");
    assert_eq!(process.ask("unregister clock"), "error Unknown");
    assert_eq!(process.ask("owner clock"), "error Unknown");
    assert_eq!(process.ask("list"), "[]");
}

#[test]
fn a_lookup_with_a_deadline_ends_at_it() {
    let system = TestSystem::new();
    let mut process = system.spawn();
    process.must("list");
    let started = Instant::now();
    assert_eq!(process.ask("await clock 200"), "error Deadline");
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn lookups_that_ended_leave_nothing_at_the_root() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    for _ in 0..600 {
        assert_eq!(client.ask("await clock 0"), "error Deadline");
    }
    // More than may wait at a time; those that ended do not count.
    client.tell("await clock");
    let iref = server.must("export clock");
    assert_eq!(client.answer("await"), iref);
}

#[test]
fn a_client_may_start_before_its_service() {
    let system = TestSystem::new();
    let mut clients: Vec<_> = (0..4).map(|_| system.spawn()).collect();
    for client in &mut clients[..2] {
        client.tell("await clock");
    }
    for client in &mut clients[2..] {
        client.tell("await-async clock");
    }
    let mut server = system.spawn();
    let iref = server.must("export clock");
    for client in &mut clients {
        assert_eq!(client.answer("await"), iref);
    }
}

#[test]
fn the_names_of_a_dead_process_are_free() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.must("list");
    let (mut first, mut second) = (system.spawn(), system.spawn());
    first.must("export clock");
    first.must("export bell");
    second.tell("await clock 0");
    second.answer("await");
    first.kill();
    // The root hears of the death when it may; a name is never lost before.
    let deadline = Instant::now() + Duration::from_secs(5);
    while root.ask("list") != "[]" {
        assert!(Instant::now() < deadline, "the names are still there");
    }
    second.must("export clock");
}

#[test]
fn names_go_with_their_service() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.must("export clock");
    server.must("withdraw");
    // A withdrawal is not answered; a call after it is.
    server.must("list");
    assert_eq!(client.ask("lookup clock"), "error Unknown");
}

#[test]
fn a_process_has_a_quota_of_names_and_lists_are_whole() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    let iref = server.must("export");
    assert_eq!(server.ask(&format!("register-many n 4096 {iref}")), "()");
    assert_eq!(server.ask(&format!("register more {iref}")), "error Quota");
    assert_eq!(client.must("list").matches("\"echo\"").count(), 4096);
    client.must("export more");
    server.must("unregister n17");
    assert_eq!(server.ask(&format!("register again {iref}")), "()");
}

#[test]
fn lookups_that_are_dropped_leave_room_for_others() {
    let system = TestSystem::new();
    let (mut root, mut client) = (system.spawn(), system.spawn());
    root.must("list");
    // Far more, one after the other, than a process may have wait at a time.
    for _ in 0..8 {
        assert_eq!(client.ask("pending_calls lookups 300 clock"), "[]");
    }
    assert!(client.ask("pending_calls lookups 600 clock").contains("Err"), "there is a bound");
    client.tell("await clock");
    let iref = root.must("export clock");
    assert_eq!(client.answer("await"), iref);
}
