//! A process waits, in every way that there is, for another that dies or closes its end: it learns of that in time, by the right
//! error, and keeps nothing.

mod support;

use std::time::{Duration, Instant};

use flounder::binding::MAX_OWED_REPLIES;
use support::resources::Resources;
use support::{DRIVERS, TIMEOUT, TestProcess, TestSystem};

#[test]
fn test_process() {
    support::process::run();
}

/// How a peer ends, and what that is called.
const ENDS: [&str; 2] = ["PeerDied", "Closed"];

/// What a peer that does not answer is waited for with, and what comes of it; `?` stands for the end.
const WAYS: [(&str, &str); 16] = [
    ("send", "Err(Closed)"),
    ("give", "Err(Closed)"),
    ("sent", "Err(Closed)"),
    ("call", "Err(Closed(?))"),
    ("call-for-room", "Err(Closed(?))"),
    ("call-beside-cancelled", "Err(Closed(?))"),
    ("blocking", "Err(Closed(?))"),
    ("blocking-for-room", "Err(Closed(?))"),
    ("recv", "Err(Ended(?))"),
    ("recv-note", "Err(Ended(?))"),
    ("messages", "(None, Some(?))"),
    ("shared-call", "Err(Closed(?))"),
    ("shared-call-of-a-thread", "Err(Closed(?))"),
    ("shared-send", "Err(Closed)"),
    ("shared-send-of-a-thread", "Err(Closed)"),
    ("cancelled", "true"),
];

/// How long a test process is watched that has nothing to do, and how much of that it may use the processor.
const IDLE: Duration = Duration::from_millis(200);
const IDLE_WORK: Duration = Duration::from_millis(20);

/// A service and its client; the first waits for the second if that is the client.
fn bind(system: &TestSystem, waiting: &mut TestProcess, driver: &str, way: &str) -> TestProcess {
    let mut peer = system.spawn();
    let name = format!("{way}{}", peer.pid());
    if way == "cancelled" {
        waiting.must(&format!("pending_calls export {name}"));
        peer.must(&format!("pending_calls bind {driver} {name}"));
        peer.must("pending_calls calls 1");
        waiting.event("met");
        waiting.settle_held("(1, 0)");
        return peer;
    }
    peer.must(&format!("pending_calls export {name}"));
    if ["recv", "recv-note", "messages"].contains(&way) {
        waiting.must(&format!("pending_calls bind-inbox {driver} {name} 4"));
    } else {
        waiting.must(&format!("pending_calls bind {driver} {name}"));
    }
    peer.event("met");
    peer.must("pending_calls mute");
    peer
}

#[test]
fn whatever_waits_ends_with_the_peer() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        // It is the root, so that an election does not blur its account.
        let mut waiting = system.spawn();
        waiting.must("list");
        // A root keeps a file of names, once there is one.
        waiting.must("export echo");
        let account = Resources::of(&mut waiting);
        for (way, outcome) in WAYS {
            for end in ENDS {
                let mut peer = bind(&system, &mut waiting, driver, way);
                waiting.must(&format!("pending_calls wait {way}"));
                if end == "PeerDied" {
                    peer.kill();
                } else {
                    peer.must("pending_calls close");
                }
                let told = waiting.event(&format!("{way}: "));
                let what = format!("{driver}, {end}");
                assert_eq!(told, format!("{way}: {}", outcome.replace('?', end)), "{what}");
                assert_eq!(
                    waiting.must("pending_calls forget"),
                    format!("[{end}]"),
                    "{what}, {way}"
                );
                drop(peer);
                account.settle(&mut waiting, 16);
            }
        }
    }
}

/// Waits until a test process sleeps, and sees that it does so for a while.
#[track_caller]
fn expect_sleep(process: &mut TestProcess, what: &str) {
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
fn a_bind_ends_when_the_service_dies_while_it_is_asked() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let mut waiting = system.spawn();
        waiting.must("list");
        // A root keeps a file of names, once there is one.
        waiting.must("export echo");
        let account = Resources::of(&mut waiting);
        // It is asked over a new link, or over one that is there, or not even introduced.
        for moment in ["new", "bound"].into_iter().chain(["soon"; 10]) {
            let mut service = system.spawn();
            let iref = service.must("pending_calls export pending_calls");
            if moment == "bound" {
                waiting.must(&format!("pending_calls bind {driver} pending_calls"));
            }
            let bind = format!("pending_calls wait-bind {driver} {iref}");
            if moment == "soon" {
                waiting.tell(&bind);
                service.kill();
                waiting.answer(&bind);
            } else {
                service.stop();
                waiting.must(&bind);
                service.kill();
            }
            let end = waiting.event("bind: ");
            let made = moment == "soon" && end == "bind: Ok(())";
            assert!(made || end == "bind: Err(NoService)", "{driver}, {moment}: {end}");
            waiting.must("pending_calls forget");
            account.settle(&mut waiting, 16);
        }
    }
}

#[test]
fn a_lookup_is_answered_by_the_next_root_when_the_root_dies() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.must("list");
    let mut waiting = system.spawn();
    waiting.must("list");
    root.stop();
    waiting.must("pending_calls wait-lookup nobody");
    root.kill();
    assert_eq!(waiting.event("lookup: "), "lookup: Err(Unknown)");
}

/// A service, what it holds before it is bound to, and a client of it.
fn served(system: &TestSystem, driver: &str) -> (TestProcess, Resources, TestProcess) {
    let mut service = system.spawn();
    service.must("pending_calls export pending_calls");
    let account = Resources::of(&mut service);
    let mut client = system.spawn();
    client.must(&format!("pending_calls bind {driver} pending_calls"));
    (service, account, client)
}

#[test]
fn a_service_that_owes_too_much_learns_of_the_death_of_its_client() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut service, account, mut client) = served(&system, driver);
        client.must(&format!("pending_calls call-regardless {}", MAX_OWED_REPLIES + 6));
        client.event("called");
        service.settle_held(&format!("({MAX_OWED_REPLIES}, 0)"));
        expect_sleep(&mut service, driver);
        client.kill();
        service.settle_held(&format!("({0}, {0})", MAX_OWED_REPLIES + 6));
        expect_sleep(&mut service, driver);
        assert_eq!(service.must("pending_calls forget"), "[PeerDied]", "{driver}");
        account.settle(&mut service, 16);
    }
}

#[test]
fn a_service_that_cannot_reply_learns_of_the_death_of_its_client() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut service, account, mut client) = served(&system, driver);
        client.must("pending_calls calls 2");
        service.settle_held("(2, 0)");
        client.must("pending_calls mute");
        service.must("pending_calls fill");
        service.must("pending_calls reply");
        expect_sleep(&mut service, driver);
        client.kill();
        service.settle_held("(1, 1)");
        expect_sleep(&mut service, driver);
        assert_eq!(service.must("pending_calls forget"), "[PeerDied]", "{driver}");
        account.settle(&mut service, 16);
    }
}

#[test]
fn an_inbox_that_is_full_holds_back_another_process_and_gives_all_that_came_before_its_end() {
    for driver in DRIVERS {
        for end in ENDS {
            let system = TestSystem::new();
            let mut reader = system.spawn();
            reader.must("list");
            let mut writer = system.spawn();
            writer.must("pending_calls export pending_calls");
            reader.must(&format!("pending_calls bind-inbox {driver} pending_calls 4"));
            writer.event("met");
            writer.must("pending_calls notes");
            writer.event("sent 9");
            // The writer comes to rest: so many are sent, in the inbox or in the channel.
            expect_sleep(&mut writer, driver);
            let sent = writer.heard("sent ");
            expect_sleep(&mut reader, driver);
            writer.must("count");
            assert_eq!(writer.heard("sent "), sent, "{driver}: it was not held back");
            if end == "PeerDied" {
                writer.kill();
            } else {
                writer.must("pending_calls close");
            }
            expect_sleep(&mut reader, driver);
            let (count, how) = drain(&mut reader);
            assert_eq!(how, format!("Err(Ended({end}))"), "{driver}");
            // One may have been in the hands of the writer.
            let sent = sent + 10;
            assert!((sent..=sent + 1).contains(&count), "{driver}: {count} of {sent}");
        }
    }
}

/// How many notes a reader gets, and what comes then.
fn drain(reader: &mut TestProcess) -> (usize, String) {
    let drained = reader.must("pending_calls drain");
    let (count, how) = drained.split_once(" notes, ").expect("it is said so");
    (count.parse().expect("a number"), how.to_owned())
}

#[test]
fn an_inbox_that_is_emptied_lets_another_process_go_on() {
    for driver in ["ump", "lmp"] {
        let system = TestSystem::new();
        let (mut writer, mut reader) = (system.spawn(), system.spawn());
        writer.must("pending_calls export pending_calls");
        reader.must(&format!("pending_calls bind-inbox {driver} pending_calls 1"));
        writer.event("met");
        writer.must("pending_calls notes");
        writer.event("sent 9");
        expect_sleep(&mut writer, driver);
        reader.tell("pending_calls drain");
        // Far more than fit anywhere.
        writer.event("sent 19999");
        writer.kill();
        let drained = reader.answer("drain");
        let (count, how) = drained.split_once(" notes, ").expect("it is said so");
        assert_eq!(how, "Err(Ended(PeerDied))", "{driver}");
        assert!(count.parse::<u32>().expect("a number") >= 20_000, "{driver}: {count}");
    }
}
