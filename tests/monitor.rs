//! Monitors: which process is the root, what happens when the root dies, and what a peer that violates the protocol gets.

use flounder_test_support as support;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use flounder::{Cap, Iref};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::SendFlags;
use support::protocol::{Driver, Drivers, Event};
use support::raw_monitor::protocol::{intermon, monitor};
use support::raw_monitor::{RawMonitor, VERSION, connect};
use support::{TestProcess, TestSystem, millis, over_each_driver, process};

#[test]
fn test_process() {
    support::process::run();
}

#[test]
fn nothing_is_left_in_the_runtime_directory() {
    let system = TestSystem::new();
    let (mut first, mut second) = (system.spawn(), system.spawn());
    first.join();
    second.join();
    assert_eq!(system.files(), ["root.sock"]);
    first.end();
    // The second is the root now; a call waits for that.
    second.join();
    assert_eq!(system.files(), ["root.sock"]);
    second.end();
    assert_eq!(system.files(), [""; 0]);
}

#[test]
fn domains_that_start_at_once_agree_on_a_root() {
    let system = TestSystem::new();
    let mut processes: Vec<_> = (0..12).map(|_| system.spawn()).collect();
    let exports: Vec<_> = processes
        .iter_mut()
        .enumerate()
        .map(|(i, process)| process.start(process::Export::new(&format!("name{i}"))))
        .collect();
    for (process, export) in processes.iter_mut().zip(exports) {
        process.wait(export);
    }
    for process in &mut processes {
        assert_eq!(process.list().len(), 12);
    }
}

#[test]
fn socket_of_a_dead_root_is_replaced() {
    let system = TestSystem::new();
    let mut first = system.spawn();
    first.join();
    first.kill();
    drop(first);
    assert_eq!(system.files(), ["root.sock"]);
    let mut second = system.spawn();
    second.export("clock");
    second.end();
    assert_eq!(system.files(), [""; 0]);
}

/// A root that is only that, a server and a client.
fn trio(system: &TestSystem) -> (TestProcess, TestProcess, TestProcess) {
    let mut root = system.spawn();
    root.join();
    let (mut server, client) = (system.spawn(), system.spawn());
    server.export("echo");
    (root, server, client)
}

#[test]
fn death_of_the_root_disturbs_no_binding() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut root, _server, mut client) = trio(&system);
        client.bind(driver, "echo");
        let talk = client.start(process::Talk::new(5000));
        client.wait_for(&Event::Round(99));
        root.kill();
        // Each message was numbered and answered, or this would be an error.
        client.wait(talk);
        assert_eq!(client.client_errors(), 0, "{driver}: the error handler was called");
    });
}

#[test]
fn a_bind_succeeds_within_a_second_of_the_death_of_the_root() {
    let system = TestSystem::new();
    let (mut root, mut server, mut client) = trio(&system);
    let mut late = system.spawn();
    client.bind(Driver::Ump, "echo");
    let killed = Instant::now();
    root.kill();
    late.await_name_for("echo", millis(1000));
    late.bind(Driver::Ump, "echo");
    assert!(killed.elapsed() < Duration::from_secs(1), "it took {:?}", killed.elapsed());
    late.talk(100);
    // Over the link that there is.
    client.bind(Driver::Lmp, "echo");
    client.talk(100);
    // The other way round.
    client.export("other");
    server.bind(Driver::Ump, "other");
    server.talk(100);
}

#[test]
fn names_and_services_survive_root_after_root() {
    let system = TestSystem::new();
    let mut server = system.spawn();
    // Roots come before it, so that it is never one.
    let mut root = system.spawn();
    root.join();
    let iref = server.export("clock");
    for _ in 0..5 {
        let mut next = system.spawn();
        next.join();
        root.kill();
        assert_eq!(next.await_name_for("clock", millis(5000)), iref);
        next.bind(Driver::Ump, "clock");
        next.talk(10);
        drop(root);
        root = next;
    }
}

#[test]
fn a_service_that_becomes_root_goes_on_serving() {
    let system = TestSystem::new();
    let mut server = system.spawn();
    let mut client = system.spawn();
    client.join();
    server.export("echo");
    client.kill();
    drop(client);
    let mut client = system.spawn();
    client.await_name_for("echo", millis(5000));
    client.bind(Driver::Ump, "echo");
    client.talk(100);
}

#[test]
fn a_lookup_goes_on_waiting_under_the_next_root() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    // It is a domain when its lookup begins.
    client.join();
    let lookup = client.start(process::AwaitName::new("clock"));
    root.kill();
    let iref = server.export("clock");
    assert_eq!(client.wait(lookup), iref);
}

#[test]
fn two_domains_that_lose_the_root_at_once_both_rejoin() {
    let system = TestSystem::new();
    let (mut root, mut server, mut client) = trio(&system);
    let iref = client.export("other");
    root.kill();
    assert_eq!(server.await_name_for("other", millis(5000)), iref);
    server.bind(Driver::Ump, "other");
    client.await_name_for("echo", millis(5000));
    client.bind(Driver::Ump, "echo");
    server.talk(100);
    client.talk(100);
}

#[test]
fn garbage_before_hello_affects_no_others() {
    let system = TestSystem::new();
    let (mut root, _server, mut client) = trio(&system);
    let before = root.descriptors();
    let mut silent: Vec<OwnedFd> = Vec::new();
    for round in 0..100_u64 {
        let socket = connect(&system);
        let nonsense: Vec<u8> = (0..round * 8).map(|i| (i * round) as u8).collect();
        // The root may have hung up already.
        let _ = rustix::net::send(&socket, &nonsense, SendFlags::NOSIGNAL);
        if round % 10 == 0 {
            silent.push(socket);
        }
    }
    client.bind(Driver::Ump, "echo");
    client.talk(100);
    drop(silent);
    // The client has joined since: a connection and a pidfd more.
    root.settle_at(before + 2);
}

#[test]
fn a_root_without_descriptors_says_no_and_recovers() {
    let system = TestSystem::new();
    let (mut root, _server, mut client) = trio(&system);
    client.bind(Driver::Ump, "echo");
    root.exhaust_descriptors(0);
    // The root accepts with its reserve descriptor, and closes the connection at once.
    let raw_monitor = connect(&system);
    let mut hung_up = [PollFd::new(&raw_monitor, PollFlags::IN)];
    let patience = Timespec { tv_sec: 5, tv_nsec: 0 };
    assert_eq!(poll(&mut hung_up, Some(&patience)), Ok(1), "the root left a domain waiting");
    let mut late = system.spawn();
    let refused = late.expect_error(process::AwaitNameFor::new("echo", millis(300)));
    // If it takes the place of the root that closes its connections, it waits for the owners of names to come back.
    assert!(["Deadline(Root)", "Deadline(Owners)"].contains(&&*refused), "{refused}");
    client.talk(100);
    root.release();
    late.await_name_for("echo", millis(5000));
    late.bind(Driver::Ump, "echo");
    late.talk(100);
}

#[test]
fn service_without_descriptors_rejoins_after_the_root_dies() {
    let system = TestSystem::new();
    let (mut root, mut server, mut client) = trio(&system);
    client.join();
    server.exhaust_descriptors(0);
    root.kill();
    // The client is the root now.
    client.join();
    server.release();
    client.await_name_for("echo", millis(10_000));
    client.bind(Driver::Ump, "echo");
    client.talk(100);
}

#[test]
fn service_rejoins_when_the_directory_is_repaired() {
    use std::os::unix::fs::PermissionsExt;
    let system = TestSystem::new();
    let (mut root, _server, _client) = trio(&system);
    let mode = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(system.dir(), mode).expect("chmod");
    };
    mode(0o777);
    root.kill();
    let mut late = system.spawn();
    assert!(late.expect_error(process::List::new()).contains("Mode"));
    mode(0o700);
    late.await_name_for("echo", millis(10_000));
    late.bind(Driver::Ump, "echo");
}

#[test]
fn a_directory_that_is_open_to_others_is_refused_with_advice() {
    use std::os::unix::fs::PermissionsExt;
    let system = TestSystem::new();
    std::fs::create_dir(system.dir()).expect("mkdir");
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(system.dir(), mode(0o755)).expect("chmod");
    let mut process = system.spawn();
    let refused = process.expect_error(process::List::new());
    assert!(refused.contains("Mode { mode: 493 }"), "{refused}");
    let iref = process.export_unnamed();
    process.bind_to(Drivers::ANY, iref);
    std::fs::set_permissions(system.dir(), mode(0o700)).expect("chmod");
    assert_eq!(process.list(), [], "it is tried again");
}

#[test]
fn protocol_violation_by_a_monitor_costs_only_its_link() {
    let system = TestSystem::new();
    let (_root, mut server, mut client) = trio(&system);
    let iref = server.export("other");
    client.bind(Driver::Ump, "echo");
    let before = server.descriptors();
    let iref = iref.iref();
    let raw_monitor = RawMonitor::join(&system, 77);
    let null = || Cap::from(File::open("/dev/null").expect("null"));
    let send = "it can be sent";
    let breaches: [&dyn Fn(&intermon::Binding); 7] = [
        // A capability that nothing announced, and a report of a missing one.
        &|link| _ = link.tx_cap(null()).expect(send),
        &|link| _ = link.tx_no_cap(4).expect(send),
        // Too many announced; and something else in their place.
        &|link| _ = link.tx_cap_send(0, 1, 65).expect(send),
        &|link| {
            link.tx_cap_send(0, 1, 2).expect(send);
            link.tx_cap(null()).expect(send);
            link.tx_closed(0).expect(send);
        },
        // Connections of the other's half.
        &|link| _ = link.tx_bind_request(1, iref, 0, 0, 0, "lmp", &[], 0).expect(send),
        &|link| _ = link.tx_bound(0, 0, &[], 0).expect(send),
        &|link| _ = link.tx_refused(2, intermon::Refusal::NoService, 0, "", &[]).expect(send),
    ];
    for (number, breach) in breaches.iter().enumerate() {
        let link = raw_monitor.link(iref);
        breach(&link.binding);
        assert_eq!(link.end(), "Closed", "breach {number}");
    }
    // Either side may report any connection as closed.
    let link = raw_monitor.link(iref);
    for connection in 0..4 {
        link.binding.tx_closed(connection).expect(send);
    }
    let sent = link.binding.tx_bind_request(4, iref, 0, 0, 0, "pigeon", &[], 0);
    sent.expect(send);
    assert_eq!(link.hear(), "refused 4 Reach 0");
    drop(link);
    client.talk(100);
    drop(raw_monitor);
    server.settle_at(before);
}

#[test]
fn bad_requests_are_refused_each_for_its_reason() {
    let system = TestSystem::new();
    let (_root, mut server, _client) = trio(&system);
    let iref = server.export("other");
    let iref = iref.iref();
    let nobody = Iref::from_bits(1).expect("not zero");
    let raw_monitor = RawMonitor::join(&system, 77);
    let link = raw_monitor.link(iref);
    let ask = |connection, iref, driver: &str, words: &[u64], caps: u32| {
        let sent = link.binding.tx_bind_request(connection, iref, 0, 0, 0, driver, words, caps);
        sent.expect("it can be sent");
        for _ in 0..caps {
            let null = Cap::from(File::open("/dev/null").expect("null"));
            link.binding.tx_cap(null).expect("it can be sent");
        }
        link.hear()
    };
    assert_eq!(ask(0, nobody, "lmp", &[1], 1), "refused 0 NoService 0");
    // The link is there by now.
    let before = server.descriptors();
    assert_eq!(ask(2, iref, "pigeon", &[1], 1), "refused 2 Reach 0");
    // The interface is compared before anything is looked at.
    assert_eq!(ask(4, iref, "lmp", &[1], 64), "refused 4 Interface 0");
    // Capabilities for an unknown connection are closed without a report.
    link.binding.tx_cap_send(6, 1, 1).expect("it can be sent");
    link.binding.tx_cap(Cap::from(File::open("/dev/null").expect("null"))).expect("it can be sent");
    link.binding.tx_closed(8).expect("it can be sent");
    // The sender had no descriptor for what it offers.
    link.binding.tx_bind_request(10, iref, 0, 0, 0, "lmp", &[1], 1).expect("it can be sent");
    link.binding.tx_no_cap(3).expect("it can be sent");
    let errno = rustix::io::Errno::MFILE.raw_os_error();
    assert_eq!(link.hear(), format!("refused 10 System {errno}"));
    server.settle_at(before);
}

#[test]
fn root_refuses_false_claims() {
    let system = TestSystem::new();
    let (_root, mut server, _client) = trio(&system);
    let bits = server.export("other");
    let iref = bits.iref();
    let (one, other) = (RawMonitor::join(&system, 77), RawMonitor::join(&system, 78));
    let verdict = other.root().hello(VERSION, 77).expect("the root answers");
    assert_eq!(verdict, monitor::Verdict::Duplicate, "the number is another's");
    let (verdict, _) = one.root().publish(iref, "echo", 0).expect("the root answers");
    assert_eq!(verdict, monitor::Verdict::Duplicate, "the service is another's");
    let (verdict, _, _) = one.root().register("mine", iref, false).expect("the root answers");
    assert_eq!(verdict, monitor::Verdict::Unknown, "the service is another's");
    let verdict = one.root().introduce(77).expect("the root answers");
    assert_eq!(verdict, monitor::Verdict::Unknown, "it is itself");
    let null = || Cap::from(File::open("/dev/null").expect("null"));
    // Since Linux 6.16 the kernel refuses descriptors on their way to the root.
    let _ = one.send_as_root(&monitor::Message::Introduced {
        domain: 1,
        pid: 1,
        uid: 0,
        gid: 0,
        caller: false,
        socket: null(),
        process: null(),
    });
    one.root().lookup("echo").expect_err("who plays the root is hung up on");
    let (verdict, ..) = other.root().lookup("echo").expect("the root answers");
    assert_eq!(verdict, monitor::Verdict::Ok);
}
