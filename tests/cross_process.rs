//! Bindings between processes: made, refused, used, killed, and gone without a trace.

#[path = "support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{DRIVERS, TIMEOUT, TestSystem};

#[test]
fn test_process() {
    support::process::run();
}

#[test]
fn messages_and_calls_go_both_ways_over_each_driver() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.must("export echo");
        let bound = client.must(&format!("bind {driver} echo"));
        assert_eq!(bound, format!("(\"{driver}\", {})", server.pid()));
        assert_eq!(client.ask("talk 1000"), "ok", "{driver}");
        assert_eq!(client.ask("add 20 22"), "42", "{driver}");
    }
}

#[test]
fn the_recommended_driver_between_processes_is_ump() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.must("export echo");
    assert_eq!(client.must("bind any echo"), format!("(\"ump\", {})", server.pid()));
}

#[test]
fn drivers_are_tried_in_order_and_unknown_ones_are_said() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.must("export echo");
    assert_eq!(client.must("bind loopback,lmp echo"), format!("(\"lmp\", {})", server.pid()));
    let refused = client.ask("bind loopback echo");
    assert!(refused.contains("Drivers([(\"loopback\", Reach)])"), "{refused}");
    let unknown = client.ask("bind pigeon echo");
    assert!(unknown.contains("UnknownDriver(\"pigeon\")"), "{unknown}");
}

#[test]
fn a_bind_that_fails_lists_what_each_driver_said() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.must("export echo");
    client.must("bind ump echo");
    // What this process cannot open, and then what the other one cannot.
    let errno = rustix::io::Errno::MFILE.raw_os_error();
    for exhausted in [0, 1] {
        let process = if exhausted == 0 { &mut client } else { &mut server };
        process.must("exhaust 0");
        let refused = client.ask("bind loopback,lmp,ump echo");
        let expected = format!(
            "error Drivers([(\"loopback\", Reach), (\"lmp\", Os({errno})), (\"ump\", Os({errno}))])"
        );
        assert_eq!(refused, expected);
        let process = if exhausted == 0 { &mut client } else { &mut server };
        process.must("release");
    }
    client.must("bind loopback,lmp,ump echo");
}

#[test]
fn a_service_is_found_by_its_reference_alone() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    let iref = server.must("export");
    assert_eq!(client.ask(&format!("bind-iref ump {iref}")), "error NoService");
    server.must(&format!("publish {iref}"));
    client.must(&format!("bind-iref ump {iref}"));
    assert_eq!(client.ask("talk 10"), "ok");
    server.must("withdraw");
    assert_eq!(client.ask(&format!("bind-iref ump {iref}")), "error NoService");
    assert_eq!(client.ask("talk 10"), "ok", "bindings outlive the export");
    assert_eq!(client.ask("bind-iref ump 12345"), "error NoService");
}

#[test]
fn two_that_bind_to_each_other_at_once_have_one_link() {
    for _ in 0..10 {
        let system = TestSystem::new();
        let (mut root, mut one, mut other) = (system.spawn(), system.spawn(), system.spawn());
        root.must("list");
        let first = one.must("export one");
        let second = other.must("export other");
        one.tell(&format!("bind-iref lmp {second}"));
        other.tell(&format!("bind-iref lmp {first}"));
        assert!(one.answer("bind").contains("lmp"));
        assert!(other.answer("bind").contains("lmp"));
        assert_eq!(one.ask("talk 50"), "ok");
        assert_eq!(other.ask("talk 50"), "ok");
        one.must("unbind");
        other.must("unbind");
        // The connection to the root, and the link.
        one.settle("sockets 2 ");
        other.settle("sockets 2 ");
    }
}

#[test]
fn the_code_of_a_refusal_reaches_the_client() {
    for driver in [DRIVERS.as_slice(), &["any"]].concat() {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.must("export echo refuse 77");
        let refused = client.ask(&format!("bind {driver} echo"));
        assert_eq!(
            refused, "error Refused(Refusal { code: 77, reason: \"not today\" })",
            "{driver}"
        );
    }
}

#[test]
fn a_changed_interface_is_refused_by_the_first_message_that_differs() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.must("export echo");
    let refused = client.ask("bind-changed ump echo");
    assert_eq!(refused, "error Version { interface: \"echo\", message: \"said\" }");
}

#[test]
fn interface_of_another_name_is_refused() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.must("export echo");
        assert_eq!(
            client.ask(&format!("bind-renamed {driver} echo")),
            "the service's interface is `echo`, the client's is `parrot`; their messages agree"
        );
    }
}

#[test]
fn the_death_of_the_service_is_reported_soon_and_leaves_nothing() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client, before) = system.counted_client(driver);
        let killed = Instant::now();
        server.kill();
        client.event("client PeerDied");
        let took = killed.elapsed();
        assert!(took < Duration::from_millis(100), "{driver}: it took {took:?}");
        client.must("unbind");
        client.settle(&before);
        assert_eq!(client.heard("PeerDied"), 0, "{driver}: it was reported twice");
    }
}

#[test]
fn the_death_of_the_client_is_reported_soon_and_leaves_nothing() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client, before) = system.counted_server(driver);
        let killed = Instant::now();
        client.kill();
        server.event("service PeerDied");
        let took = killed.elapsed();
        assert!(took < Duration::from_millis(100), "{driver}: it took {took:?}");
        server.settle(&before);
    }
}

#[test]
fn a_peer_that_is_killed_in_the_middle_of_a_conversation_is_reported() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.must("export echo");
        client.must(&format!("bind {driver} echo"));
        client.tell("talk 1000000");
        client.event("round 999");
        server.kill();
        client.event("client PeerDied");
        assert_eq!(client.heard("PeerDied"), 0, "{driver}: it was reported twice");
    }
}

/// As a forked child does that keeps what its parent had: the sockets show no end.
#[test]
fn death_is_reported_though_another_process_holds_the_sockets() {
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    for driver in ["ump", "scc", "beehive"] {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.must("export echo");
        client.must(&format!("bind {driver} echo"));
        assert_eq!(client.ask("talk 10"), "ok");
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
        client.event("client PeerDied");
    }
}

#[test]
fn a_reply_that_is_late_goes_nowhere_and_one_that_never_comes_is_said() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.must("pending_calls export pending_calls");
        client.must(&format!("pending_calls bind {driver} pending_calls"));
        // The service hears that nobody waits, and replies all the same.
        assert_eq!(client.ask("pending_calls call-within 20"), "error Deadline");
        server.settle_held("(1, 1)");
        server.must("pending_calls reply");
        // The client is stopped when its time is over and the reply comes: whichever it sees first.
        for _ in 0..5 {
            client.tell("pending_calls call-within 20");
            server.settle_held("(1, ");
            client.stop();
            server.must("pending_calls reply");
            client.go_on();
            let end = client.answer("call-within");
            assert!(["0", "error Deadline"].contains(&&*end), "{driver}: {end}");
        }
        let patience = format!("pending_calls call-within {}", TIMEOUT.as_millis());
        client.tell(&patience);
        server.settle_held("(1, 0)");
        server.must("pending_calls drop-reply");
        assert_eq!(client.answer(&patience), "error NoReply", "{driver}");
        client.tell(&patience);
        server.settle_held("(1, 0)");
        server.must("pending_calls reply");
        assert_eq!(client.answer(&patience), "0", "{driver}");
        assert_eq!(client.must("pending_calls forget"), "[]", "{driver}");
        assert_eq!(server.must("pending_calls held"), "(0, 0)", "{driver}");
    }
}

/// Mappings that stay with the link of two processes when no binding is left.
fn kept(driver: &str) -> &'static str {
    match driver {
        "lmp" => "shared 0 ",
        // The log of each side's bell.
        "ump" | "scc" => "shared 2 ",
        // Also what each of the two cores writes: the machine is made once, and serves all channels.
        "beehive" => "shared 4 ",
        _ => panic!("no such driver: {driver}"),
    }
}

#[test]
fn a_thousand_bindings_that_came_and_went_leave_nothing() {
    for driver in DRIVERS {
        let shared = kept(driver);
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.must("export echo");
        // The first make what stays: the link, and what the driver keeps for it.
        assert_eq!(client.ask(&format!("cycle {driver} echo 10")), "ok");
        let before = [&mut server, &mut client].map(|process| process.settle(shared));
        assert_eq!(client.ask(&format!("cycle {driver} echo 1000")), "ok");
        server.settle(&before[0]);
        client.settle(&before[1]);
    }
}

#[test]
fn a_bind_that_the_service_does_not_answer_ends_at_its_deadline() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.must("export echo");
        assert_eq!(client.ask(&format!("cycle {driver} echo 10")), "ok");
        let shared = kept(driver);
        let before = [&mut server, &mut client].map(|process| process.settle(shared));
        // Its thread is busy, whatever its monitor does.
        server.tell("busy 1000");
        server.event("busy");
        assert_eq!(client.ask(&format!("bind-within 100 {driver} echo")), "error Deadline");
        assert_eq!(server.answer("busy"), "error Deadline");
        server.settle(&before[0]);
        client.settle(&before[1]);
        client.must(&format!("bind {driver} echo"));
        assert_eq!(client.ask("talk 10"), "ok");
    }
}

#[test]
fn a_process_at_its_descriptor_limit_recovers() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.must("export echo");
    client.must("bind ump echo");
    client.must("exhaust 0");
    let refused = client.ask("bind lmp echo");
    assert!(
        refused.contains(&format!("Os({})", rustix::io::Errno::MFILE.raw_os_error())),
        "{refused}"
    );
    assert_eq!(client.ask("talk 10"), "ok", "what is bound goes on");
    client.must("release");
    client.must("bind lmp echo");
    assert_eq!(client.ask("talk 10"), "ok");
    server.must("exhaust 0");
    let refused = client.ask("bind lmp echo");
    assert!(
        refused.contains(&format!("Os({})", rustix::io::Errno::MFILE.raw_os_error())),
        "{refused}"
    );
    server.must("release");
    client.must("bind lmp echo");
    assert_eq!(client.ask("talk 10"), "ok");
}

#[test]
fn binding_within_a_process_starts_no_thread_and_opens_no_socket() {
    let system = TestSystem::new();
    let mut process = system.spawn();
    let iref = process.must("export");
    let before = process.ask("count");
    assert_eq!(
        process.must(&format!("bind-iref any {iref}")),
        format!("(\"loopback\", {})", process.pid())
    );
    assert_eq!(process.ask("talk 100"), "ok");
    process.must("unbind");
    assert_eq!(process.ask("count"), before);
    assert_eq!(
        process.must(&format!("bind-iref ump {iref}")),
        format!("(\"ump\", {})", process.pid())
    );
    assert_eq!(process.ask("talk 100"), "ok");
    process.must("unbind");
    assert_eq!(process.ask("count"), before);
    assert!(system.files().is_empty(), "there is no root: {:?}", system.files());
}
