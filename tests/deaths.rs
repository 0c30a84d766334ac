//! A process waits for a peer, in every way there is, and the peer dies or closes its end. The wait ends at once with the
//! documented error, and the process keeps no resource of the peer.

use flounder_test_support as support;
use std::time::{Duration, Instant};

use flounder::limits::MAX_PENDING_REPLIES;
use support::pending_calls::{self, Way};
use support::protocol::{Driver, Event};
use support::resources::Resources;
use support::{TIMEOUT, TestProcess, TestSystem, over_each_driver};

#[test]
fn test_process() {
    support::process::run();
}

/// How a peer ends, and what that is called.
const ENDS: [&str; 2] = ["PeerDied", "Closed"];

/// What a peer that does not answer is waited for with, and what comes of it; `?` stands for the end.
const WAYS: [(Way, &str); 16] = [
    (Way::Send, "Err(Closed)"),
    (Way::GiveCap, "Err(Closed)"),
    (Way::Sent, "Err(Closed)"),
    (Way::Call, "Err(Closed(?))"),
    (Way::CallForRoom, "Err(NotSent(?))"),
    (Way::CallBesideCancelled, "Err(Closed(?))"),
    (Way::Blocking, "Err(Closed(?))"),
    (Way::BlockingForRoom, "Err(NotSent(?))"),
    (Way::Recv, "Err(Ended(?))"),
    (Way::RecvNote, "Err(Ended(?))"),
    (Way::Messages, "(None, Some(?))"),
    (Way::SharedCall, "Err(Closed(?))"),
    (Way::SharedCallOfThread, "Err(Closed(?))"),
    (Way::SharedSend, "Err(Closed)"),
    (Way::SharedSendOfThread, "Err(Closed)"),
    (Way::Cancelled, "true"),
];

/// How long a test process is watched that has nothing to do, and how much of that it may use the processor.
const IDLE: Duration = Duration::from_millis(200);
const IDLE_WORK: Duration = Duration::from_millis(20);

/// A service and its client; the first waits for the second if that is the client.
fn bind(system: &TestSystem, waiting: &mut TestProcess, driver: Driver, way: Way) -> TestProcess {
    let mut peer = system.spawn();
    let name = &format!("{way:?}{}", peer.pid());
    if way == Way::Cancelled {
        waiting.export_keeper(name);
        peer.bind_keeper(driver, name);
        peer.begin_calls(1);
        waiting.wait_for(&Event::Met);
        waiting.settle_owed(1, 0);
        return peer;
    }
    peer.export_keeper(name);
    if [Way::Recv, Way::RecvNote, Way::Messages].contains(&way) {
        waiting.bind_inbox(driver, name, 4);
    } else {
        waiting.bind_keeper(driver, name);
    }
    peer.wait_for(&Event::Met);
    peer.stop_serving();
    peer
}

#[test]
fn every_wait_ends_with_the_peer() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        // It is the root, so that an election does not blur its account.
        let mut waiting = system.spawn();
        waiting.join();
        // A root keeps a file of names, once there is one.
        waiting.export("echo");
        let account = Resources::of(&mut waiting);
        for (way, outcome) in WAYS {
            for end in ENDS {
                let mut peer = bind(&system, &mut waiting, driver, way);
                waiting.begin_wait(way);
                if end == "PeerDied" {
                    peer.kill();
                } else {
                    peer.close_binding();
                }
                let what = format!("{driver}, {end}, {way:?}");
                let mut found = waiting.wait_for_outcome(way);
                let calls_later = [Way::SharedCall, Way::SharedCallOfThread, Way::Blocking];
                if calls_later.contains(&way) {
                    // It may not have been sent yet.
                    found = found.replace("NotSent", "Closed");
                }
                assert_eq!(found, outcome.replace('?', end), "{what}");
                assert_eq!(waiting.drop_all(), [end], "{what}");
                drop(peer);
                account.settle(&mut waiting, 16);
            }
        }
    });
}

/// Waits until a test process sleeps, and sees that it does so for a while.
#[track_caller]
fn expect_sleep(process: &mut TestProcess, what: Driver) {
    let mut time = || process.processor_time();
    let end = Instant::now() + TIMEOUT / 4;
    loop {
        let before = time();
        std::thread::sleep(IDLE);
        let took = time() - before;
        if took < IDLE_WORK {
            return;
        }
        assert!(Instant::now() < end, "{what}: it worked for {took:?} of {IDLE:?}");
    }
}

#[test]
fn bind_fails_when_the_service_dies_meanwhile() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let mut waiting = system.spawn();
        waiting.join();
        // A root keeps a file of names, once there is one.
        waiting.export("echo");
        let account = Resources::of(&mut waiting);
        // It is asked over a new link, or over one that is there, or not even introduced.
        for moment in ["new", "bound"].into_iter().chain(["soon"; 10]) {
            let mut service = system.spawn();
            let iref = service.export_keeper("pending_calls");
            if moment == "bound" {
                waiting.bind_keeper(driver, "pending_calls");
            }
            let bind = pending_calls::BeginBind::new(driver, iref);
            if moment == "soon" {
                let bind = waiting.start(bind);
                service.kill();
                let _ = waiting.wait_result(bind);
            } else {
                service.stop();
                waiting.expect(bind);
                service.kill();
            }
            let end = waiting.wait_for_outcome(Way::Bind);
            let made = moment == "soon" && end == "Ok(())";
            assert!(made || end == "Err(NoService)", "{driver}, {moment}: {end}");
            waiting.drop_all();
            account.settle(&mut waiting, 16);
        }
    });
}

#[test]
fn lookup_is_answered_by_the_next_root() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let mut waiting = system.spawn();
    waiting.join();
    root.stop();
    waiting.begin_lookup("nobody");
    root.kill();
    assert_eq!(waiting.wait_for_outcome(Way::Lookup), "Err(Unknown)");
}

/// A service, what it holds before it is bound to, and a client of it.
fn served(system: &TestSystem, driver: Driver) -> (TestProcess, Resources, TestProcess) {
    let mut service = system.spawn();
    service.export_keeper("pending_calls");
    let account = Resources::of(&mut service);
    let mut client = system.spawn();
    client.bind_keeper(driver, "pending_calls");
    (service, account, client)
}

#[test]
fn full_reply_quota_still_reports_death() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut service, account, mut client) = served(&system, driver);
        client.call_regardless(MAX_PENDING_REPLIES as u32 + 6);
        client.wait_for(&Event::Called);
        service.settle_owed(MAX_PENDING_REPLIES, 0);
        expect_sleep(&mut service, driver);
        client.kill();
        service.settle_owed(MAX_PENDING_REPLIES + 6, MAX_PENDING_REPLIES + 6);
        expect_sleep(&mut service, driver);
        assert_eq!(service.drop_all(), ["PeerDied"], "{driver}");
        account.settle(&mut service, 16);
    });
}

#[test]
fn full_channel_for_replies_still_reports_death() {
    over_each_driver(|driver| {
        let system = TestSystem::new();
        let (mut service, account, mut client) = served(&system, driver);
        client.begin_calls(2);
        service.settle_owed(2, 0);
        client.stop_serving();
        service.fill_channel();
        service.send_reply();
        expect_sleep(&mut service, driver);
        client.kill();
        service.settle_owed(1, 1);
        expect_sleep(&mut service, driver);
        assert_eq!(service.drop_all(), ["PeerDied"], "{driver}");
        account.settle(&mut service, 16);
    });
}

#[test]
fn full_inbox_holds_back_its_sender_and_keeps_all_it_sent() {
    over_each_driver(|driver| {
        for end in ENDS {
            let system = TestSystem::new();
            let mut reader = system.spawn();
            reader.join();
            let mut writer = system.spawn();
            writer.export_keeper("pending_calls");
            reader.bind_inbox(driver, "pending_calls", 4);
            writer.wait_for(&Event::Met);
            writer.send_notes();
            writer.wait_for(&Event::NoteSent(9));
            // The writer has stopped: this many messages are sent, in the inbox or in the channel.
            expect_sleep(&mut writer, driver);
            let sent = notes_sent(&writer);
            expect_sleep(&mut reader, driver);
            writer.count();
            assert_eq!(notes_sent(&writer), sent, "{driver}: it was not held back");
            if end == "PeerDied" {
                writer.kill();
            } else {
                writer.close_binding();
            }
            expect_sleep(&mut reader, driver);
            let drained = reader.drain_inbox();
            assert_eq!(drained.end, format!("Err(Ended({end}))"), "{driver}");
            // One may have been in the hands of the writer.
            let (sent, notes) = (sent + 10, drained.notes as usize);
            assert!((sent..=sent + 1).contains(&notes), "{driver}: {notes} of {sent}");
        }
    });
}

/// Number of notes whose sending was reported, but for those that were waited for.
fn notes_sent(writer: &TestProcess) -> usize {
    writer.count_events(|event| matches!(event, Event::NoteSent(_)))
}

#[test]
fn emptied_inbox_lets_its_sender_continue() {
    for driver in [Driver::Ump, Driver::Lmp] {
        let system = TestSystem::new();
        let (mut writer, mut reader) = (system.spawn(), system.spawn());
        writer.export_keeper("pending_calls");
        reader.bind_inbox(driver, "pending_calls", 1);
        writer.wait_for(&Event::Met);
        writer.send_notes();
        writer.wait_for(&Event::NoteSent(9));
        expect_sleep(&mut writer, driver);
        let drain = reader.start(pending_calls::DrainInbox::new());
        // Far more than fit anywhere.
        writer.wait_for(&Event::NoteSent(19_999));
        writer.kill();
        let drained = reader.wait(drain);
        assert_eq!(drained.end, "Err(Ended(PeerDied))", "{driver}");
        assert!(drained.notes >= 20_000, "{driver}: {}", drained.notes);
    }
}
