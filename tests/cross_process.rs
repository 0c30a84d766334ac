//! Bindings between processes: bind, refusal, messages, death of a process, and release of all resources.

use flounder_test_support as support;
use std::time::{Duration, Instant};

use support::process::{self, Bound};
use support::protocol::{Driver, Drivers, Event, ServiceId};
use support::{DRIVERS, TIMEOUT, TestSystem, millis, over_each_driver, pending_calls};

#[test]
fn test_process() {
    support::process::run();
}

#[test]
fn messages_and_calls_go_both_ways_over_each_driver() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.export("echo");
        let bound = client.bind(driver, "echo");
        assert_eq!(bound, Bound::new(driver, server.pid()));
        client.talk(1000);
        assert_eq!(client.add(20, 22), 42, "{driver}");
    });
}

#[test]
fn the_recommended_driver_between_processes_is_ump() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.export("echo");
    assert_eq!(client.bind(Drivers::ANY, "echo"), Bound::new(Driver::Ump, server.pid()));
}

#[test]
fn drivers_are_tried_in_order_and_unknown_ones_refused() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.export("echo");
    assert_eq!(client.bind(["loopback", "lmp"], "echo"), Bound::new(Driver::Lmp, server.pid()));
    let refused = client.expect_error(process::Bind::new(Driver::Loopback, "echo"));
    assert!(refused.contains("Drivers([(\"loopback\", Reach)])"), "{refused}");
    let unknown = client.expect_error(process::Bind::new(["pigeon"], "echo"));
    assert!(unknown.contains("UnknownDriver(\"pigeon\")"), "{unknown}");
}

#[test]
fn a_bind_that_fails_lists_what_each_driver_said() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.export("echo");
    client.bind(Driver::Ump, "echo");
    // What this process cannot open, and then what the other one cannot.
    let errno = rustix::io::Errno::MFILE.raw_os_error();
    for exhausted in [0, 1] {
        let process = if exhausted == 0 { &mut client } else { &mut server };
        process.exhaust_descriptors(0);
        let refused = client.expect_error(process::Bind::new(["loopback", "lmp", "ump"], "echo"));
        let expected = format!(
            "Drivers([(\"loopback\", Reach), (\"lmp\", Os({errno})), (\"ump\", Os({errno}))])"
        );
        assert_eq!(refused, expected);
        let process = if exhausted == 0 { &mut client } else { &mut server };
        process.release();
    }
    client.bind(["loopback", "lmp", "ump"], "echo");
}

#[test]
fn a_service_is_found_by_its_reference_alone() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    let iref = server.export_unnamed();
    assert_eq!(client.expect_error(process::BindTo::new(Driver::Ump, iref)), "NoService");
    server.publish(iref);
    client.bind_to(Driver::Ump, iref);
    client.talk(10);
    server.withdraw();
    assert_eq!(client.expect_error(process::BindTo::new(Driver::Ump, iref)), "NoService");
    client.talk(10);
    assert_eq!(
        client.expect_error(process::BindTo::new(Driver::Ump, ServiceId(12_345))),
        "NoService"
    );
}

#[test]
fn two_processes_that_bind_to_each_other_share_one_link() {
    for _ in 0..10 {
        let system = TestSystem::new();
        let (mut root, mut one, mut other) = (system.spawn(), system.spawn(), system.spawn());
        root.join();
        let first = one.export("one");
        let second = other.export("other");
        let of_one = one.start(process::BindTo::new(Driver::Lmp, second));
        let of_other = other.start(process::BindTo::new(Driver::Lmp, first));
        assert_eq!(one.wait(of_one).driver, "lmp");
        assert_eq!(other.wait(of_other).driver, "lmp");
        one.talk(50);
        other.talk(50);
        one.unbind();
        other.unbind();
        // The connection to the root, and the link.
        for process in [&mut one, &mut other] {
            process.settle_where("two sockets", |counts| counts.sockets == 2);
        }
    }
}

#[test]
fn the_code_of_a_refusal_reaches_the_client() {
    for drivers in DRIVERS.map(Drivers::from).into_iter().chain([Drivers::ANY]) {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.export_refusing("echo", 77);
        let refused = client.expect_error(process::Bind::new(drivers, "echo"));
        assert_eq!(refused, "Refused(Refusal { code: 77, reason: \"not today\" })");
    }
}

#[test]
fn changed_interface_is_refused_by_its_first_changed_message() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.export("echo");
    let refused = client.expect_error(process::BindChanged::new(Driver::Ump, "echo"));
    assert_eq!(refused, "Version { interface: \"echo\", message: \"said\" }");
}

#[test]
fn interface_of_another_name_is_refused() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.export("echo");
        assert_eq!(
            client.bind_renamed(driver, "echo"),
            "the service's interface is `echo`, the client's is `parrot`; their messages agree"
        );
    }
}

#[test]
fn death_of_the_service_is_reported_and_leaves_nothing() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client, before) = system.counted_client(driver);
        let killed = Instant::now();
        server.kill();
        client.wait_for_client_error("PeerDied");
        let took = killed.elapsed();
        assert!(took < Duration::from_millis(100), "{driver}: it took {took:?}");
        client.unbind();
        client.settle(&before);
        assert_eq!(client.client_errors(), 0, "{driver}: it was reported twice");
    }
}

#[test]
fn death_of_the_client_is_reported_and_leaves_nothing() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client, before) = system.counted_server(driver);
        let killed = Instant::now();
        client.kill();
        server.wait_for_service_error("PeerDied");
        let took = killed.elapsed();
        assert!(took < Duration::from_millis(100), "{driver}: it took {took:?}");
        server.settle(&before);
    }
}

#[test]
fn death_amid_a_conversation_is_reported_once() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.export("echo");
        client.bind(driver, "echo");
        let _ = client.start(process::Talk::new(1_000_000));
        client.wait_for(&Event::Round(999));
        server.kill();
        client.wait_for_client_error("PeerDied");
        assert_eq!(client.client_errors(), 0, "{driver}: it was reported twice");
    });
}

/// As a forked child does that keeps what its parent had: the sockets show no end.
#[test]
fn death_is_reported_while_another_process_holds_the_sockets() {
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    for driver in [Driver::Ump, Driver::Scc, Driver::Beehive] {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.export("echo");
        client.bind(driver, "echo");
        client.talk(10);
        let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a process id"));
        let process = pidfd_open(pid.expect("not 0"), PidfdFlags::empty()).expect("it lives");
        let fds = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("it lives");
        let mut held = Vec::new();
        for fd in fds.flatten() {
            let is_socket = std::fs::read_link(fd.path())
                .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
            if is_socket {
                let number = fd.file_name().to_string_lossy().parse().expect("a number");
                match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
                    Ok(copy) => held.push(copy),
                    Err(error) => return println!("skipped: no copy of a descriptor: {error}"),
                }
            }
        }
        assert!(held.len() >= 2, "the link and the doorbell are sockets");
        server.kill();
        client.wait_for_client_error("PeerDied");
    }
}

#[test]
fn late_reply_is_discarded_and_a_missing_one_reported() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.export_keeper("pending_calls");
        client.bind_keeper(driver, "pending_calls");
        // The service is notified of the cancellation, and replies nevertheless.
        assert_eq!(client.expect_error(pending_calls::CallKeeper::new(millis(20))), "Deadline");
        server.settle_owed(1, 1);
        server.send_reply();
        // The client is stopped when its time is over and the reply comes: whichever it sees first.
        for _ in 0..5 {
            let pending = client.start(pending_calls::CallKeeper::new(millis(20)));
            server.settle_owed_where("one reply", |owed| owed.replies == 1);
            client.stop();
            server.send_reply();
            client.go_on();
            let end = client.wait_result(pending);
            let deadline = Err("Deadline".to_owned());
            assert!(end == Ok(0) || end == deadline, "{driver}: {end:?}");
        }
        let call = client.start(pending_calls::CallKeeper::new(TIMEOUT));
        server.settle_owed(1, 0);
        server.drop_reply();
        assert_eq!(client.wait_error(call), "NoReply", "{driver}");
        let call = client.start(pending_calls::CallKeeper::new(TIMEOUT));
        server.settle_owed(1, 0);
        server.send_reply();
        assert_eq!(client.wait(call), 0, "{driver}");
        assert_eq!(client.drop_all(), [""; 0], "{driver}");
        server.settle_owed(0, 0);
    }
}

/// Mappings that stay with the link of two processes when no binding is left.
fn kept(driver: Driver) -> u32 {
    match driver {
        Driver::Lmp => 0,
        // The log of each side's bell.
        Driver::Ump | Driver::Scc => 2,
        // Also what each of the two cores writes: the machine is made once, and serves all channels.
        Driver::Beehive => 4,
        Driver::Loopback => panic!("it does not reach other processes"),
    }
}

#[test]
fn a_thousand_bindings_that_came_and_went_leave_nothing() {
    over_each_driver(|driver| {
        let shared = kept(driver);
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.export("echo");
        // The first make what stays: the link, and what the driver keeps for it.
        client.cycle(driver, "echo", 10);
        let before = [&mut server, &mut client].map(|process| {
            process.settle_where("mappings of the link", |now| now.shared_mappings == shared)
        });
        client.cycle(driver, "echo", 1000);
        server.settle(&before[0]);
        client.settle(&before[1]);
    });
}

#[test]
fn unanswered_bind_times_out() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.export("echo");
        client.cycle(driver, "echo", 10);
        let shared = kept(driver);
        let before = [&mut server, &mut client].map(|process| {
            process.settle_where("mappings of the link", |now| now.shared_mappings == shared)
        });
        // Its thread is busy, whatever its monitor does.
        let busy = server.start(process::BlockThread::new(millis(1000)));
        server.wait_for(&Event::Busy);
        assert_eq!(
            client.expect_error(process::BindWithin::new(driver, "echo", millis(100))),
            "Deadline"
        );
        server.wait(busy);
        server.settle(&before[0]);
        client.settle(&before[1]);
        client.bind(driver, "echo");
        client.talk(10);
    });
}

#[test]
fn a_process_at_its_descriptor_limit_recovers() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.export("echo");
    client.bind(Driver::Ump, "echo");
    client.exhaust_descriptors(0);
    let refused = client.expect_error(process::Bind::new(Driver::Lmp, "echo"));
    assert!(
        refused.contains(&format!("Os({})", rustix::io::Errno::MFILE.raw_os_error())),
        "{refused}"
    );
    client.talk(10);
    client.release();
    client.bind(Driver::Lmp, "echo");
    client.talk(10);
    server.exhaust_descriptors(0);
    let refused = client.expect_error(process::Bind::new(Driver::Lmp, "echo"));
    assert!(
        refused.contains(&format!("Os({})", rustix::io::Errno::MFILE.raw_os_error())),
        "{refused}"
    );
    server.release();
    client.bind(Driver::Lmp, "echo");
    client.talk(10);
}

#[test]
fn bind_in_one_process_makes_no_thread_and_no_socket() {
    let system = TestSystem::new();
    let mut process = system.spawn();
    let iref = process.export_unnamed();
    let before = process.count();
    assert_eq!(process.bind_to(Drivers::ANY, iref), Bound::new(Driver::Loopback, process.pid()));
    process.talk(100);
    process.unbind();
    assert_eq!(process.count(), before);
    assert_eq!(process.bind_to(Driver::Ump, iref), Bound::new(Driver::Ump, process.pid()));
    process.talk(100);
    process.unbind();
    assert_eq!(process.count(), before);
    assert!(system.files().is_empty(), "there is no root: {:?}", system.files());
}
