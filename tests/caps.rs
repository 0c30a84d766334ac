//! Capabilities between processes: in band over lmp, with the doorbells over ump and scc, through the monitors over beehive.

use flounder_test_support as support;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use flounder::driver::channel::Connector;
use flounder_drivers::{beehive::Beehive, scc::Scc, ump::Ump};
use support::process::CapPolicy;
use support::protocol::{Driver, Event};
use support::{DRIVERS, TestProcess, TestSystem, cap_transfer, over_each_driver, process};

#[test]
fn test_process() {
    support::process::run();
}

fn inode(path: &str) -> u64 {
    File::open(path).and_then(|file| file.metadata()).expect("it is there").ino()
}

/// A server and a client that is bound to it.
fn pair(system: &TestSystem, driver: Driver) -> (TestProcess, TestProcess) {
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.export(driver.name());
    client.bind(driver, driver.name());
    // Once each knows the other, both have closed the descriptors that only binding needs.
    client.talk(10);
    (server, client)
}

/// The same for the interface with capabilities in every place.
fn cap_transfer_pair(system: &TestSystem, driver: Driver) -> (TestProcess, TestProcess) {
    let (mut server, mut client) = (system.spawn(), system.spawn());
    server.export_taker(driver.name());
    client.bind_taker(driver, driver.name());
    (server, client)
}

#[test]
fn capabilities_go_both_ways_over_each_driver() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (_server, mut client) = pair(&system, driver);
        for (number, path) in (0..).zip(["/dev/null", "/", "/proc/self/status"]) {
            client.give(number, path);
            let got = client.wait_for_got();
            // Each process has a status of its own.
            if path != "/proc/self/status" {
                assert_eq!(got, (number, inode(path)), "{driver}");
            }
        }
        client.want(7);
        assert_eq!(client.wait_for_given(), (7, inode("/")), "{driver}");
        client.talk(100);
    }
}

#[test]
fn capabilities_in_every_place_arrive_and_leave_nothing() {
    // The first run makes what stays.
    let counted = |process: &mut TestProcess, run: &dyn Fn(&mut TestProcess)| {
        run(process);
        let before = process.descriptors();
        run(process);
        process.settle_at(before);
    };
    let system = TestSystem::new();
    let mut alone = system.spawn();
    for driver in [Driver::Loopback].into_iter().chain(DRIVERS) {
        counted(&mut alone, &|alone| alone.transfer_in_thread(driver));
    }
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let mut alone = system.spawn();
        counted(&mut alone, &|alone| alone.transfer_between_threads(driver));
        let (mut server, mut client) = cap_transfer_pair(&system, driver);
        let before = server.descriptors();
        counted(&mut client, &TestProcess::transfer_caps);
        client.give_and_tear_down();
        client.bind_taker(driver, driver.name());
        client.give_until_closed();
        server.settle_at(before);
    });
}

#[test]
fn a_hundred_capabilities_leave_no_descriptor() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        let give = |client: &mut TestProcess, number: u32| {
            client.give(number, "/dev/null");
            let got = client.wait_for_got();
            assert_eq!(got, (number, inode("/dev/null")), "{driver}");
        };
        give(&mut client, 0);
        let (server_before, client_before) = (server.descriptors(), client.descriptors());
        for number in 1..=100 {
            give(&mut client, number);
        }
        server.settle_at(server_before);
        client.settle_at(client_before);
    });
}

/// Returns how often the monitor's thread of a process has gone to sleep.
fn sleeps_of_monitor(process: &TestProcess) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.pid())).expect("it runs");
    let read = |task: &Path, file: &str| std::fs::read_to_string(task.join(file));
    let mut monitors = tasks
        .map(|task| task.expect("the directory can be read").path())
        .filter(|task| read(task, "comm").is_ok_and(|name| name.trim_end() == "flounder-monito"));
    let monitor = monitors.next().expect("the process has a monitor");
    let status = read(&monitor, "status").expect("the thread does not end");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).expect("the kernel counts them")
}

#[test]
fn capabilities_with_doorbells_leave_the_monitors_asleep() {
    const ROUNDS: u32 = 200;
    for driver in [Driver::Ump, Driver::Scc].into_iter().filter(|driver| DRIVERS.contains(driver)) {
        let system = TestSystem::new();
        let (server, mut client) = pair(&system, driver);
        let sleeps = |client: &TestProcess| [&server, client].map(sleeps_of_monitor);
        let before = sleeps(&client);
        for number in 0..ROUNDS {
            client.give(number, "/dev/null");
            assert_eq!(client.wait_for_got(), (number, inode("/dev/null")), "{driver}");
            client.want(number);
            assert_eq!(client.wait_for_given(), (number, inode("/")), "{driver}");
        }
        for (before, after) in before.into_iter().zip(sleeps(&client)) {
            assert!(
                after - before < u64::from(ROUNDS / 4),
                "{driver}: {before} sleeps, then {after}"
            );
        }
    }
}

#[test]
fn a_rule_of_the_sender_reaches_both_ends() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        let (server_before, client_before) = (server.descriptors(), client.descriptors());
        client.set_cap_policy(CapPolicy::DenySending);
        for number in 0..20 {
            let refused = client.expect_error(process::Give::new(number, "/dev/null"));
            assert_eq!(refused, "CapsRefused(Sender)", "{driver}");
            server.wait_for_service_error("CapsRefused(Sender)");
        }
        client.talk(10);
        client.set_cap_policy(CapPolicy::AllowAll);
        client.give(2, "/dev/null");
        assert_eq!(client.wait_for_got(), (2, inode("/dev/null")), "{driver}");
        assert_eq!(client.client_errors(), 0, "{driver}: who was told at once is told again");
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
        server.set_cap_policy(CapPolicy::DenyReceiving);
        for number in 0..20 {
            client.give(number, "/dev/null");
            client.wait_for_client_error("CapsRefused(Receiver)");
            server.wait_for_service_error("CapsRefused(Receiver)");
        }
        client.talk(10);
        server.set_cap_policy(CapPolicy::AllowAll);
        client.give(2, "/dev/null");
        assert_eq!(client.wait_for_got(), (2, inode("/dev/null")), "{driver}");
        server.settle_at(server_before);
        client.settle_at(client_before);
    }
}

#[test]
fn receiver_without_descriptors_loses_only_that_message() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        server.exhaust_descriptors(0);
        client.give(1, "/dev/null");
        server.wait_for_service_error("CapsRefused(ReceiverLimit)");
        client.wait_for_client_error("CapsRefused(ReceiverLimit)");
        client.talk(10);
        server.release();
        client.give(2, "/dev/null");
        assert_eq!(client.wait_for_got(), (2, inode("/dev/null")), "{driver}");
    });
}

#[test]
fn send_without_descriptors_fails_at_once() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        // One to open what is to be sent; none for its copy.
        client.exhaust_descriptors(1);
        let errno = rustix::io::Errno::MFILE.raw_os_error();
        assert_eq!(
            client.expect_error(process::Give::new(1, "/dev/null")),
            format!("CapCopy({errno})"),
            "{driver}"
        );
        server.wait_for_service_error("CapsRefused(SenderLimit)");
        client.release();
        client.give(2, "/dev/null");
        assert_eq!(client.wait_for_got(), (2, inode("/dev/null")), "{driver}");
    });
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
        other.bind(driver, driver.name());
        server.set_cap_policy(CapPolicy::DenyPeer(other.pid()));
        other.give(1, "/dev/null");
        other.wait_for_client_error("CapsRefused(Receiver)");
        client.give(2, "/dev/null");
        assert_eq!(client.wait_for_got(), (2, inode("/dev/null")), "{driver}");
        server.set_cap_policy(CapPolicy::AllowAll);
        other.set_cap_policy(CapPolicy::DenyPeer(server.pid()));
        assert_eq!(
            other.expect_error(process::Give::new(3, "/dev/null")),
            "CapsRefused(Sender)",
            "{driver}"
        );
    }
}

#[test]
fn a_refused_call_fails_at_its_caller() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut server, mut client) = cap_transfer_pair(&system, driver);
        client.swap_caps();
        let (server_before, client_before) = (server.descriptors(), client.descriptors());
        let limit = format!("Reply(CapCopy({}))", rustix::io::Errno::MFILE.raw_os_error());
        use CapPolicy::{DenyReceiving, DenySending};
        let no_descriptors = |process: &mut TestProcess| process.exhaust_descriptors(0);
        // Room for what comes, and none for the copy that goes back.
        let two_descriptors = |process: &mut TestProcess| process.exhaust_descriptors(2);
        let deny_sending = |process: &mut TestProcess| process.set_cap_policy(DenySending);
        let deny_receiving = |process: &mut TestProcess| process.set_cap_policy(DenyReceiving);
        let (sender, receiver) = ("CapsRefused(Sender)", "CapsRefused(Receiver)");
        type Change<'a> = &'a dyn Fn(&mut TestProcess);
        let nothing: Change = &|_| {};
        let cases: [(Change, Change, &str, &str); 6] = [
            (&deny_sending, nothing, "Tx(CapsRefused(Sender))", sender),
            (nothing, &deny_receiving, receiver, receiver),
            (nothing, &deny_sending, sender, "Reply(CapsRefused(Sender))"),
            (&deny_receiving, nothing, receiver, receiver),
            (nothing, &no_descriptors, "CapsRefused(ReceiverLimit)", "CapsRefused(ReceiverLimit)"),
            (nothing, &two_descriptors, "CapsRefused(SenderLimit)", &limit),
        ];
        for (at_client, at_server, error, told) in cases {
            at_client(&mut client);
            at_server(&mut server);
            assert_eq!(client.expect_error(cap_transfer::SwapCaps::new()), error, "{driver}");
            server.wait_for_service_error(told);
            for process in [&mut server, &mut client] {
                process.set_cap_policy(CapPolicy::AllowAll);
                process.release();
            }
            client.swap_caps();
        }
        assert_eq!(client.client_errors(), 0, "{driver}: a call is told to its caller alone");
        server.settle_at(server_before);
        client.settle_at(client_before);
    });
}

#[test]
fn client_without_descriptors_loses_only_that_capability() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut server, mut client) = pair(&system, driver);
        client.exhaust_descriptors(0);
        client.want(1);
        client.wait_for_client_error("CapsRefused(ReceiverLimit)");
        server.wait_for_service_error("CapsRefused(ReceiverLimit)");
        client.release();
        server.exhaust_descriptors(1);
        client.want(2);
        let errno = rustix::io::Errno::MFILE.raw_os_error();
        server.wait_for(&Event::GiveRefused(format!("CapCopy({errno})")));
        client.wait_for_client_error("CapsRefused(SenderLimit)");
        server.release();
        client.want(3);
        assert_eq!(client.wait_for_given(), (3, inode("/")), "{driver}");
    });
}

#[test]
fn sender_killed_before_a_capability_leaves_nothing() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client, before) = system.counted_server(driver);
        // A receiver that stands still reads no payload. The capability of the first message is with the monitors, or in
        // the socket; that of the second is not handed over before the first is read, but over lmp.
        server.stop();
        client.give(1, "/dev/null");
        client.give(2, "/dev/null");
        client.kill();
        server.go_on();
        server.wait_for_service_error("PeerDied");
        assert_eq!(server.service_errors(), 0, "{driver}: it was reported twice");
        server.settle(&before);
    }
}

#[test]
fn receiver_killed_before_a_capability_leaves_nothing() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client, before) = system.counted_client(driver);
        server.stop();
        client.give(1, "/dev/null");
        client.give(2, "/dev/null");
        server.kill();
        client.wait_for_client_error("PeerDied");
        client.unbind();
        client.settle(&before);
        assert_eq!(client.client_errors(), 0, "{driver}: something else was reported");
    }
}

#[test]
fn peer_killed_among_capabilities_leaves_nothing() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        // The one that stays is the root.
        let mut stays = system.spawn();
        stays.export_taker("here");
        let before = stays.count();
        for round in 0..6 {
            let mut dies = system.spawn();
            // It takes, or it gives.
            let giver = if round % 2 == 0 {
                dies.export_taker("there");
                stays.bind_taker(driver, "there");
                &mut stays
            } else {
                dies.bind_taker(driver, "here");
                &mut dies
            };
            giver.flood_caps();
            giver.wait_for(&Event::Flooded(round * 20 + 19));
            dies.kill();
            if round % 2 == 0 {
                stays.wait_for_client_error("PeerDied");
            } else {
                stays.wait_for_service_error("PeerDied");
            }
            stays.unbind_takers();
            stays.settle(&before);
        }
    });
}

#[test]
fn the_death_of_the_root_does_not_stop_capabilities() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let mut bound = DRIVERS.map(|driver| (driver, pair(&system, driver)));
    // Each has a capability to hand over when the root is gone.
    for (driver, (server, client)) in &mut bound {
        server.stop();
        client.give(0, "/dev/null");
        client.give(1, "/dev/null");
        let got = |event: &Event| matches!(event, Event::Got { .. });
        assert_eq!(client.count_events(got), 0, "{driver}");
    }
    root.kill();
    for (driver, (server, client)) in &mut bound {
        server.go_on();
        for number in 0..20 {
            if number > 1 {
                client.give(number, "/dev/null");
            }
            let got = client.wait_for_got();
            assert_eq!(got, (number, inode("/dev/null")), "{driver}");
        }
    }
}
