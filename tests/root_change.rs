//! Names, lookups and binds while the root monitor changes: it dies, ends, or is stopped and continued.

use flounder_test_support as support;
use std::time::{Duration, Instant};

use flounder::monitor::snapshot;
use support::process::NameEntry;
use support::protocol::{Driver, Event, ServiceId};
use support::{TIMEOUT, TestProcess, TestSystem, millis, process, taken_by};

#[test]
fn test_process() {
    support::process::run();
}

/// How often a root dies: `FLOUNDER_ROOTS` chooses.
fn roots(default: u32) -> u32 {
    std::env::var("FLOUNDER_ROOTS").map_or(default, |set| set.parse().expect("a number"))
}

/// Waits until this process is the root, or another than that.
fn until_root(system: &TestSystem, what: &str, is_it: impl Fn(u32) -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match snapshot::take(Some(&system.dir())) {
            Ok(snapshot) if snapshot.root.pid.is_some_and(&is_it) => return,
            other => assert!(Instant::now() < deadline, "{what}: {other:?}"),
        }
    }
}

#[test]
fn a_living_owner_keeps_its_name_when_the_root_dies() {
    let (mut looked, mut tried) = (0, 0);
    for round in 0..roots(4) {
        let system = TestSystem::new();
        let mut root = system.spawn();
        root.join();
        let [mut owner, mut looker, mut taker] = [system.spawn(), system.spawn(), system.spawn()];
        let iref = owner.export("svc");
        looker.join();
        taker.join();
        let lookups = looker.start(process::LookupRepeatedly::new("svc", millis(900)));
        let attempts = taker.start(process::RegisterRepeatedly::new("svc", millis(900)));
        looker.wait_for(&Event::Looking);
        // It is not the beginning that is tried.
        std::thread::sleep(Duration::from_millis(100));
        root.kill();
        let (lookups, attempts) = (looker.wait(lookups), taker.wait(attempts));
        assert_eq!(lookups.failed, 0, "round {round}: {lookups:?}");
        assert_eq!(attempts.granted, 0, "round {round}: the name went to another process");
        assert_eq!(owner.lookup("svc"), iref);
        looked += lookups.made;
        tried += attempts.tried;
    }
    println!("{looked} lookups, each found the name; {tried} attempts to take it, all refused");
}

#[test]
fn an_owner_that_is_slow_to_come_back_keeps_its_name() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let [mut owner, mut other] = [system.spawn(), system.spawn()];
    let iref = owner.export("svc");
    other.join();
    owner.stop();
    root.kill();
    assert_eq!(other.expect_error(process::Export::new("svc")), taken_by(owner.pid()));
    assert_eq!(other.expect_error(process::Unregister::new("svc")), "NotOwner");
    assert_eq!(other.lookup("svc"), iref, "the owner lives");
    assert!(other.list().iter().any(|entry| entry.name == "svc"), "the owner lives");
    owner.go_on();
    assert_eq!(other.await_name_for("svc", millis(5000)), iref);
    other.bind(Driver::Ump, "svc");
    owner.kill();
    // The root may see the end of a connection before that of its process.
    let deadline = Instant::now() + TIMEOUT;
    while other.run(process::Export::new("svc")).is_err() {
        assert!(Instant::now() < deadline, "the name of a dead process is free");
    }
}

#[test]
fn a_lookup_that_a_new_root_cannot_answer_yet_says_so() {
    // On a machine that is busy with something else, a round can miss the half second.
    let seen = (0..5).any(|_| {
        let system = TestSystem::new();
        let mut root = system.spawn();
        root.join();
        let [mut owner, mut other] = [system.spawn(), system.spawn()];
        owner.export("svc");
        other.join();
        owner.stop();
        root.kill();
        let deadline = Instant::now() + TIMEOUT;
        let mut seen = false;
        loop {
            let missing = process::AwaitNameFor::new("unknown", millis(150));
            match &*other.expect_error(missing) {
                "Deadline(Owners)" => seen = true,
                "Deadline(Registration)" => break,
                error => assert_eq!(error, "Deadline(Root)"),
            }
            assert!(Instant::now() < deadline, "the root waits for half a second");
        }
        owner.go_on();
        seen
    });
    assert!(seen, "no lookup ended while the new root waited for the owner");
}

#[test]
fn binds_succeed_when_the_root_dies() {
    let mut binds = 0;
    for _ in 0..roots(3) {
        let system = TestSystem::new();
        let mut root = system.spawn();
        root.join();
        let mut server = system.spawn();
        let iref = server.export_unnamed();
        server.publish(iref);
        let mut clients: Vec<_> = (0..9).map(|_| system.spawn()).collect();
        clients.iter_mut().for_each(|client| client.join());
        root.kill();
        // The reference has no name, so the journal has no owner for it.
        let pending: Vec<_> = clients
            .iter_mut()
            .map(|client| client.start(process::BindTo::new(Driver::Ump, iref)))
            .collect();
        for (client, bind) in clients.iter_mut().zip(pending) {
            client.wait(bind);
            binds += 1;
        }
    }
    println!("{binds} binds to a reference without a name, each after the death of the root");
}

#[test]
fn unknown_reference_is_refused_by_the_next_root() {
    let system = TestSystem::new();
    let [mut root, mut client] = [system.spawn(), system.spawn()];
    root.join();
    client.join();
    root.kill();
    assert_eq!(
        client.expect_error(process::BindTo::new(Driver::Ump, ServiceId(4711))),
        "NoService"
    );
}

/// A stopped root that has a name, a service, and a client that has joined.
fn stopped_root(system: &TestSystem) -> (TestProcess, TestProcess, TestProcess) {
    let mut root = system.spawn();
    root.export("mine");
    let [mut service, mut client] = [system.spawn(), system.spawn()];
    service.export("svc");
    client.join();
    root.stop();
    (root, service, client)
}

#[test]
fn stopped_root_blocks_no_process() {
    let system = TestSystem::new();
    let (mut root, mut service, mut client) = stopped_root(&system);
    let began = Instant::now();
    let iref = client.lookup("svc");
    client.bind(Driver::Ump, "svc");
    client.talk(10);
    service.export("another");
    client.lookup("another");
    println!("{:?} after the root was stopped", began.elapsed());
    // Its own name stays its own.
    let taken = taken_by(root.pid());
    assert_eq!(client.expect_error(process::Export::new("mine")), taken);
    root.go_on();
    until_root(&system, "there is one root", |pid| pid != root.pid());
    assert_eq!(root.lookup("svc"), iref);
    assert_eq!(client.expect_error(process::Export::new("mine")), taken);
    client.bind(Driver::Ump, "mine");
    client.talk(10);
    root.export("late");
    client.lookup("late");
}

#[test]
fn a_root_that_dies_slowly_is_replaced_within_a_second() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let [mut service, mut newcomer] = [system.spawn(), system.spawn()];
    service.export("svc");
    newcomer.count();
    root.stop_halfway_through_death();
    let began = Instant::now();
    newcomer.await_name_for("svc", millis(5000));
    newcomer.bind(Driver::Ump, "svc");
    let took = began.elapsed();
    newcomer.talk(10);
    assert!(took < Duration::from_secs(1), "{took:?}");
    println!("{took:?} after the root has begun to die");
    root.kill();
}

#[test]
fn a_root_that_does_not_answer_is_named() {
    let system = TestSystem::new();
    let [mut root, mut client] = [system.spawn(), system.spawn()];
    root.join();
    client.join();
    root.stop();
    let why = client.explain_lookup("nobody", millis(300));
    let pid = format!("process {} ", root.pid());
    let directory = system.dir().display().to_string();
    for part in ["did not answer before", "\"nobody\"", &pid, "(root_change", &directory] {
        assert!(why.contains(part), "{part} is not in: {why}");
    }
    let mut newcomer = system.spawn();
    let why = newcomer.explain_lookup("nobody", millis(300));
    assert!(why.contains(&pid) && why.contains(&directory), "{why}");
}

#[test]
fn losing_a_name_is_reported_to_its_owner() {
    let system = TestSystem::new();
    let [mut root, mut owner] = [system.spawn(), system.spawn()];
    root.join();
    owner.export("svc");
    assert_eq!(owner.expect_error(process::WaitUntilLost::new("another")), "NotOwner");
    let lost = owner.start(process::WaitUntilLost::new("svc"));
    owner.stop();
    root.kill();
    // Nobody is left who knows whose the name is.
    std::fs::remove_file(system.dir().join("names")).expect("it is there");
    let mut other = system.spawn();
    other.export("svc");
    owner.go_on();
    assert_eq!(owner.wait(lost), other.pid());
}

#[test]
fn a_newcomer_replaces_a_root_that_is_stopped() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    root.stop();
    // Nobody here has ever been let in.
    let mut service = system.spawn();
    service.export("svc");
    let mut client = system.spawn();
    client.bind(Driver::Ump, "svc");
    root.go_on();
    assert_eq!(root.lookup("svc"), client.lookup("svc"));
    root.bind(Driver::Ump, "svc");
}

#[test]
fn names_survive_a_stopped_root_and_its_dead_successor() {
    let system = TestSystem::new();
    let mut first = system.spawn();
    first.join();
    first.stop();
    let mut second = system.spawn();
    second.join();
    let mut service = system.spawn();
    let iref = service.export("svc");
    // The lock on the directory is still that of the first.
    second.kill();
    let mut third = system.spawn();
    assert_eq!(third.lookup("svc"), iref);
    first.go_on();
    assert_eq!(first.lookup("svc"), iref);
    assert_eq!(third.lookup("svc"), iref);
}

#[test]
fn stopped_daemon_becomes_root_again_when_continued() {
    let system = TestSystem::new();
    let daemon = system.spawn_root(&[]);
    let mut service = system.spawn();
    let iref = service.export("svc");
    daemon.stop();
    let mut client = system.spawn();
    assert_eq!(client.lookup("svc"), iref);
    until_root(&system, "a domain takes its place", |pid| pid != daemon.pid());
    daemon.go_on();
    until_root(&system, "it is there again", |pid| pid == daemon.pid());
    assert_eq!(client.lookup("svc"), iref);
    assert!(client.expect_error(process::Export::new("svc")).starts_with("Taken"));
}

/// The root is stopped at a moment that differs from round to round while others register, and goes on later.
#[test]
fn names_have_one_owner_when_a_root_stops_meanwhile() {
    for round in 0..roots(3) {
        let system = TestSystem::new();
        let root = {
            let mut root = system.spawn();
            root.join();
            root
        };
        let mut processes: Vec<_> = (0..3).map(|_| system.spawn()).collect();
        processes.iter_mut().for_each(|process| process.join());
        let exports: Vec<Vec<_>> = (0..20)
            .map(|name| {
                let export = || process::Export::new(&format!("name{name}"));
                processes.iter_mut().map(|process| process.start(export())).collect()
            })
            .collect();
        std::thread::sleep(Duration::from_micros(u64::from(round) * 700));
        root.stop();
        let mut granted = vec![Vec::new(); 20];
        for ((name, granted), exports) in granted.iter_mut().enumerate().zip(exports) {
            for (process, export) in processes.iter_mut().zip(exports) {
                match process.wait_result(export) {
                    Ok(service) => granted.push((process.pid(), service)),
                    Err(error) => assert!(error.starts_with("Taken"), "{error}"),
                }
            }
            // Just before the others are asked for, it goes on, deposed or not.
            if name == 10 {
                root.go_on();
            }
        }
        let listed = processes[0].list();
        for (name, owners) in granted.iter().enumerate() {
            let [(pid, iref)] = &owners[..] else { panic!("name{name}: {owners:?}") };
            let (name, interface) = (format!("name{name}"), "echo".to_owned());
            let entry = NameEntry { name, interface, pid: *pid };
            assert!(listed.contains(&entry), "{listed:?}");
            for process in &mut processes {
                assert_eq!(process.lookup(&entry.name), *iref);
            }
        }
    }
}

/// Ends processes normally, all at once.
fn end_together<const N: usize>(processes: [TestProcess; N]) {
    std::thread::scope(|scope| {
        for process in processes {
            scope.spawn(|| process.end());
        }
    });
}

#[test]
fn processes_that_end_together_leave_no_file() {
    for round in 0..roots(6) {
        let system = TestSystem::new();
        let mut processes = [(); 3].map(|()| system.spawn());
        processes.iter_mut().enumerate().for_each(|(i, process)| {
            process.export(&format!("name {i}"));
        });
        end_together(processes);
        assert_eq!(system.files(), [""; 0], "round {round}");
    }
}

#[test]
fn name_journal_of_a_killed_root_ends_with_the_last_owner() {
    for round in 0..roots(4) {
        let system = TestSystem::new();
        let mut root = system.spawn();
        root.export("of the root");
        let (mut first, mut second) = (system.spawn(), system.spawn());
        first.export("first");
        second.export("second");
        root.kill();
        end_together([first, second]);
        assert!(!system.files().contains(&"names".to_owned()), "round {round}");
    }
}

#[test]
fn name_journal_stays_for_a_process_that_lives() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.export("of the root");
    let (mut ends, mut lives) = (system.spawn(), system.spawn());
    ends.export("ends");
    lives.export("lives");
    lives.stop();
    end_together([root, ends]);
    assert_eq!(system.files(), ["names"], "its owner lives");
    lives.go_on();
    lives.end();
    assert_eq!(system.files(), [""; 0]);
}
