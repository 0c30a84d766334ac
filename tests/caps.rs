//! Capabilities between processes: in band over lmp, by way of the monitors over the others.

mod support;

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use flounder::channel::Connector;
use flounder_drivers::{beehive::Beehive, scc::Scc, ump::Ump};
use support::{DRIVERS, TestProcess, TestSystem};

#[test]
fn test_process() {
    support::process::run();
}

fn inode(path: &str) -> u64 {
    File::open(path).and_then(|file| file.metadata()).expect("it is there").ino()
}

/// A server and a client that is bound to it.
fn pair(system: &TestSystem, driver: &str) -> (TestProcess, TestProcess) {
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.must(&format!("export {driver}"));
    client.must(&format!("bind {driver} {driver}"));
    // Once both have heard of the other, they have closed what only binding needs.
    assert_eq!(client.ask("talk 10"), "ok");
    (server, client)
}

/// The same for the interface with capabilities in every place.
fn cap_transfer_pair(system: &TestSystem, driver: &str) -> (TestProcess, TestProcess) {
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.must(&format!("cap_transfer export {driver}"));
    client.must(&format!("cap_transfer bind {driver} {driver}"));
    (server, client)
}

#[test]
fn capabilities_go_both_ways_over_each_driver() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (_server, mut client) = pair(&system, driver);
        for (number, path) in ["/dev/null", "/", "/proc/self/status"].into_iter().enumerate() {
            client.must(&format!("give {number} {path}"));
            let got = client.event("got");
            // Each process has a status of its own.
            if path != "/proc/self/status" {
                assert_eq!(got, format!("got {number} {}", inode(path)), "{driver}");
            }
        }
        client.must("want 7");
        assert_eq!(client.event("given"), format!("given 7 {}", inode("/")), "{driver}");
        assert_eq!(client.ask("talk 100"), "ok", "{driver}");
    }
}

#[test]
fn capabilities_in_every_place_arrive_in_order_and_leave_nothing() {
    let counted = |process: &mut TestProcess, command: &str| {
        let (first, before) = (process.ask(command), process.descriptors());
        assert_eq!((first.as_str(), process.ask(command).as_str()), ("()", "()"), "{command}");
        process.settle_at(before);
    };
    let system = TestSystem::new();
    let mut alone = system.spawn();
    for driver in ["loopback"].iter().chain(&DRIVERS) {
        counted(&mut alone, &format!("cap_transfer here {driver}"));
    }
    for driver in DRIVERS {
        counted(&mut alone, &format!("cap_transfer threads {driver}"));
        let (mut server, mut client) = cap_transfer_pair(&system, driver);
        let before = server.descriptors();
        counted(&mut client, "cap_transfer run");
        assert_eq!(client.ask("cap_transfer abandon"), "()", "{driver}");
        client.must(&format!("cap_transfer bind {driver} {driver}"));
        assert_eq!(client.ask("cap_transfer desert"), "()", "{driver}");
        server.settle_at(before);
    }
}

#[test]
fn a_hundred_capabilities_leave_no_descriptor() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        let give = |client: &mut TestProcess, number: u32| {
            client.must(&format!("give {number} /dev/null"));
            let got = client.event("got");
            assert_eq!(got, format!("got {number} {}", inode("/dev/null")), "{driver}");
        };
        give(&mut client, 0);
        let (server_before, client_before) = (server.descriptors(), client.descriptors());
        for number in 1..=100 {
            give(&mut client, number);
        }
        server.settle_at(server_before);
        client.settle_at(client_before);
    }
}

#[test]
fn a_rule_of_the_sender_reaches_both_ends() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        let (server_before, client_before) = (server.descriptors(), client.descriptors());
        client.must("policy keep");
        for number in 0..20 {
            let refused = client.ask(&format!("give {number} /dev/null"));
            assert_eq!(refused, "error CapsRefused(Sender)", "{driver}");
            server.event("service CapsRefused(Sender)");
        }
        assert_eq!(client.ask("talk 10"), "ok", "{driver}: the binding goes on");
        client.must("policy none");
        client.must("give 2 /dev/null");
        assert_eq!(client.event("got"), format!("got 2 {}", inode("/dev/null")), "{driver}");
        assert_eq!(client.heard("client"), 0, "{driver}: who was told at once is told again");
        server.settle_at(server_before);
        client.settle_at(client_before);
    }
}

#[test]
fn a_rule_of_the_receiver_reaches_both_ends() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        let (server_before, client_before) = (server.descriptors(), client.descriptors());
        server.must("policy shun");
        for number in 0..20 {
            client.must(&format!("give {number} /dev/null"));
            client.event("client CapsRefused(Receiver)");
            server.event("service CapsRefused(Receiver)");
        }
        assert_eq!(client.ask("talk 10"), "ok", "{driver}: the binding goes on");
        server.must("policy none");
        client.must("give 2 /dev/null");
        assert_eq!(client.event("got"), format!("got 2 {}", inode("/dev/null")), "{driver}");
        server.settle_at(server_before);
        client.settle_at(client_before);
    }
}

#[test]
fn a_receiver_without_descriptors_loses_the_message_and_no_other() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        server.must("exhaust 0");
        client.must("give 1 /dev/null");
        server.event("service CapsRefused(ReceiverLimit)");
        client.event("client CapsRefused(ReceiverLimit)");
        assert_eq!(client.ask("talk 10"), "ok", "{driver}: the binding goes on");
        server.must("release");
        client.must("give 2 /dev/null");
        assert_eq!(client.event("got"), format!("got 2 {}", inode("/dev/null")), "{driver}");
    }
}

#[test]
fn a_sender_without_descriptors_is_told_at_once() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        // One to open what is to be sent; none for its copy.
        client.must("exhaust 1");
        let errno = rustix::io::Errno::MFILE.raw_os_error();
        assert_eq!(client.ask("give 1 /dev/null"), format!("error CapCopy({errno})"), "{driver}");
        server.event("service CapsRefused(SenderLimit)");
        client.must("release");
        client.must("give 2 /dev/null");
        assert_eq!(client.event("got"), format!("got 2 {}", inode("/dev/null")), "{driver}");
    }
}

#[test]
fn capabilities_that_monitors_lose_are_lost_for_both_ends() {
    for driver in [&Ump as &dyn Connector, &Scc, &Beehive] {
        let result = support::cap_transfer::lose(driver);
        assert_eq!(result, Ok(()), "{}", driver.name());
    }
}

#[test]
fn a_rule_knows_the_peer() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        let mut other = system.spawn();
        other.must(&format!("bind {driver} {driver}"));
        server.must(&format!("policy not {}", other.pid()));
        other.must("give 1 /dev/null");
        other.event("client CapsRefused(Receiver)");
        client.must("give 2 /dev/null");
        assert_eq!(client.event("got"), format!("got 2 {}", inode("/dev/null")), "{driver}");
        server.must("policy none");
        other.must(&format!("policy not {}", server.pid()));
        assert_eq!(other.ask("give 3 /dev/null"), "error CapsRefused(Sender)", "{driver}");
    }
}

#[test]
fn a_refused_call_fails_at_its_caller() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = cap_transfer_pair(&system, driver);
        assert_eq!(client.ask("cap_transfer swap"), "\"swapped\"", "{driver}");
        let (server_before, client_before) = (server.descriptors(), client.descriptors());
        let limit = format!("Reply(CapCopy({}))", rustix::io::Errno::MFILE.raw_os_error());
        let (nobody, client_first) = (None::<&str>, "error Tx(CapsRefused(Sender))");
        let cases = [
            (Some("policy keep"), nobody, client_first, "CapsRefused(Sender)"),
            (nobody, Some("policy shun"), "error CapsRefused(Receiver)", "CapsRefused(Receiver)"),
            (
                nobody,
                Some("policy keep"),
                "error CapsRefused(Sender)",
                "Reply(CapsRefused(Sender))",
            ),
            (Some("policy shun"), nobody, "error CapsRefused(Receiver)", "CapsRefused(Receiver)"),
            (
                nobody,
                Some("exhaust 0"),
                "error CapsRefused(ReceiverLimit)",
                "CapsRefused(ReceiverLimit)",
            ),
            // Room for what comes, and none for the copy that goes back.
            (nobody, Some("exhaust 2"), "error CapsRefused(SenderLimit)", limit.as_str()),
        ];
        for (at_client, at_server, answer, told) in cases {
            at_client.map(|command| client.must(command));
            at_server.map(|command| server.must(command));
            assert_eq!(
                client.ask("cap_transfer swap"),
                answer,
                "{driver}: {at_client:?} {at_server:?}"
            );
            server.event(&format!("service {told}"));
            for process in [&mut server, &mut client] {
                process.must("policy none");
                process.must("release");
            }
            assert_eq!(
                client.ask("cap_transfer swap"),
                "\"swapped\"",
                "{driver}: the binding goes on"
            );
        }
        assert_eq!(client.heard("client"), 0, "{driver}: a call is told to its caller alone");
        server.settle_at(server_before);
        client.settle_at(client_before);
    }
}

#[test]
fn a_client_without_descriptors_loses_what_it_is_given_and_no_other() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        client.must("exhaust 0");
        client.must("want 1");
        client.event("client CapsRefused(ReceiverLimit)");
        server.event("service CapsRefused(ReceiverLimit)");
        client.must("release");
        server.must("exhaust 1");
        client.must("want 2");
        let errno = rustix::io::Errno::MFILE.raw_os_error();
        server.event(&format!("refused CapCopy({errno})"));
        client.event("client CapsRefused(SenderLimit)");
        server.must("release");
        client.must("want 3");
        assert_eq!(client.event("given"), format!("given 3 {}", inode("/")), "{driver}");
    }
}

#[test]
fn a_sender_that_dies_between_payload_and_capability_leaves_nothing() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client, before) = system.counted_server(driver);
        // A receiver that stands still reads no payload. The capability of the first message is with the monitors, or in
        // the socket; that of the second is not handed over before the first is read, but over lmp.
        server.stop();
        client.must("give 1 /dev/null");
        client.must("give 2 /dev/null");
        client.kill();
        server.go_on();
        server.event("service PeerDied");
        assert_eq!(server.heard("PeerDied"), 0, "{driver}: it was reported twice");
        server.settle(&before);
    }
}

#[test]
fn a_receiver_that_dies_between_payload_and_capability_leaves_nothing() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client, before) = system.counted_client(driver);
        server.stop();
        client.must("give 1 /dev/null");
        client.must("give 2 /dev/null");
        server.kill();
        client.event("client PeerDied");
        client.must("unbind");
        client.settle(&before);
        assert_eq!(client.heard("client"), 0, "{driver}: something else was reported");
    }
}

#[test]
fn a_peer_that_is_killed_among_capabilities_leaves_nothing() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        // The one that stays is the root.
        let mut stays = system.spawn();
        stays.must("cap_transfer export here");
        let before = stays.ask("count");
        for round in 0..6 {
            let mut dies = system.spawn();
            // It takes, or it gives.
            let giver = if round % 2 == 0 {
                dies.must("cap_transfer export there");
                stays.must(&format!("cap_transfer bind {driver} there"));
                &mut stays
            } else {
                dies.must(&format!("cap_transfer bind {driver} here"));
                &mut dies
            };
            giver.must("cap_transfer flood");
            giver.event(&format!("flooded {}", round * 20 + 19));
            dies.kill();
            stays.event("PeerDied");
            stays.must("cap_transfer unbind");
            stays.settle(&before);
        }
    }
}

#[test]
fn the_death_of_the_root_does_not_stop_capabilities() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.must("list");
    let mut bound: Vec<_> = DRIVERS.iter().map(|driver| (driver, pair(&system, driver))).collect();
    // Each has a capability to hand over when the root is gone.
    for (driver, (server, client)) in &mut bound {
        server.stop();
        client.must("give 0 /dev/null");
        client.must("give 1 /dev/null");
        assert_eq!(client.heard("got"), 0, "{driver}");
    }
    root.kill();
    for (driver, (server, client)) in &mut bound {
        server.go_on();
        for number in 0..20 {
            if number > 1 {
                client.must(&format!("give {number} /dev/null"));
            }
            let got = client.event("got");
            assert_eq!(got, format!("got {number} {}", inode("/dev/null")), "{driver}");
        }
    }
}
