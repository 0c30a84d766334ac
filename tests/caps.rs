//! Capabilities between processes: in band over lmp, by way of the monitors over the others.

mod support;

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use support::{Actor, Cast, DRIVERS};

#[test]
fn actor() {
    support::actor::run();
}

fn inode(path: &str) -> u64 {
    File::open(path).and_then(|file| file.metadata()).expect("it is there").ino()
}

/// A server and a client that is bound to it.
fn pair(cast: &Cast, driver: &str) -> (Actor, Actor) {
    let (mut server, mut client) = (cast.actor(), cast.actor());
    server.must(&format!("export {driver}"));
    client.must(&format!("bind {driver} {driver}"));
    (server, client)
}

#[test]
fn capabilities_go_both_ways_over_each_driver() {
    for driver in DRIVERS {
        let cast = Cast::new();
        let (_server, mut client) = pair(&cast, driver);
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
    let counted = |actor: &mut Actor, command: &str| {
        let (first, before) = (actor.ask(command), actor.descriptors());
        assert_eq!((first.as_str(), actor.ask(command).as_str()), ("()", "()"), "{command}");
        actor.settle_at(before);
    };
    let cast = Cast::new();
    let mut alone = cast.actor();
    for driver in ["loopback"].iter().chain(&DRIVERS) {
        counted(&mut alone, &format!("parcel here {driver}"));
    }
    for driver in DRIVERS {
        counted(&mut alone, &format!("parcel threads {driver}"));
        let (mut server, mut client) = (cast.actor(), cast.actor());
        server.must(&format!("parcel export {driver}"));
        client.must(&format!("parcel bind {driver} {driver}"));
        let before = server.descriptors();
        counted(&mut client, "parcel run");
        server.settle_at(before);
    }
}

#[test]
fn a_hundred_capabilities_leave_no_descriptor() {
    for driver in DRIVERS {
        let cast = Cast::new();
        let (mut server, mut client) = pair(&cast, driver);
        let give = |client: &mut Actor, number: u32| {
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
        let cast = Cast::new();
        let (mut server, mut client) = pair(&cast, driver);
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
        let cast = Cast::new();
        let (mut server, mut client) = pair(&cast, driver);
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
        let cast = Cast::new();
        let (mut server, mut client) = pair(&cast, driver);
        server.must("hoard 0");
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
        let cast = Cast::new();
        let (mut server, mut client) = pair(&cast, driver);
        // One to open what is to be sent; none for its copy.
        client.must("hoard 1");
        let errno = rustix::io::Errno::MFILE.raw_os_error();
        assert_eq!(client.ask("give 1 /dev/null"), format!("error CapCopy({errno})"), "{driver}");
        server.event("service CapsRefused(SenderLimit)");
        client.must("release");
        client.must("give 2 /dev/null");
        assert_eq!(client.event("got"), format!("got 2 {}", inode("/dev/null")), "{driver}");
    }
}

#[test]
fn the_death_of_the_root_does_not_stop_capabilities() {
    let cast = Cast::new();
    let mut root = cast.actor();
    root.must("list");
    let mut bound: Vec<_> = DRIVERS.iter().map(|driver| (driver, pair(&cast, driver))).collect();
    root.kill();
    for (driver, (_, client)) in &mut bound {
        for number in 0..20 {
            client.must(&format!("give {number} /dev/null"));
            let got = client.event("got");
            assert_eq!(got, format!("got {number} {}", inode("/dev/null")), "{driver}");
        }
    }
}
