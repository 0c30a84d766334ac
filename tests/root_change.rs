//! What names, lookups and binds come to while the root monitor changes: it dies, it ends, it is stopped and goes on.

mod support;

use std::time::{Duration, Instant};

use flounder::monitor::snapshot;
use support::{TIMEOUT, TestProcess, TestSystem};

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

fn numbers(answer: &str) -> Vec<u64> {
    answer.split(' ').map_while(|word| word.parse().ok()).collect()
}

#[test]
fn a_living_owner_keeps_its_name_when_the_root_dies() {
    let (mut looked, mut tried) = (0, 0);
    for round in 0..roots(4) {
        let system = TestSystem::new();
        let mut root = system.spawn();
        root.must("list");
        let [mut owner, mut looker, mut taker] = [system.spawn(), system.spawn(), system.spawn()];
        let iref = owner.must("export svc");
        looker.must("list");
        taker.must("list");
        looker.tell("look svc 900");
        taker.tell("take svc 900");
        looker.event("looking");
        // It is not the beginning that is tried.
        std::thread::sleep(Duration::from_millis(100));
        root.kill();
        let (lookups, attempts) = (looker.answer("look"), taker.answer("take"));
        let (lookups_made, attempts_made) = (numbers(&lookups), numbers(&attempts));
        assert_eq!(lookups_made[1], 0, "round {round}: {lookups}");
        assert_eq!(attempts_made[1], 0, "round {round}: the name went to another process");
        assert_eq!(owner.must("lookup svc"), iref);
        looked += lookups_made[0];
        tried += attempts_made[0];
    }
    println!("{looked} lookups, each found the name; {tried} attempts to take it, all refused");
}

#[test]
fn an_owner_that_is_slow_to_come_back_keeps_its_name() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.must("list");
    let [mut owner, mut other] = [system.spawn(), system.spawn()];
    let iref = owner.must("export svc");
    other.must("list");
    owner.stop();
    root.kill();
    assert_eq!(other.ask("export svc"), format!("error Taken {{ pid: Some({}) }}", owner.pid()));
    assert_eq!(other.ask("unregister svc"), "error NotOwner");
    assert_eq!(other.must("lookup svc"), iref, "the owner lives");
    assert!(other.must("list").contains("svc"), "the owner lives");
    owner.go_on();
    assert_eq!(other.must("await svc 5000"), iref);
    other.must("bind ump svc");
    owner.kill();
    // The root hears of the end of a connection before that of its process.
    let deadline = Instant::now() + TIMEOUT;
    while other.ask("export svc").starts_with("error") {
        assert!(Instant::now() < deadline, "the name of a dead process is free");
    }
}

#[test]
fn binds_to_a_living_service_succeed_when_the_root_dies() {
    let mut binds = 0;
    for _ in 0..roots(3) {
        let system = TestSystem::new();
        let mut root = system.spawn();
        root.must("list");
        let mut server = system.spawn();
        let iref = server.must("export");
        server.must(&format!("publish {iref}"));
        let mut clients: Vec<_> = (0..9).map(|_| system.spawn()).collect();
        clients.iter_mut().for_each(|client| drop(client.must("list")));
        root.kill();
        // The reference has no name: nobody has written down whose it is.
        clients.iter_mut().for_each(|client| client.tell(&format!("bind-iref ump {iref}")));
        for client in &mut clients {
            let answer = client.answer("bind-iref");
            assert!(!answer.starts_with("error"), "{answer}");
            binds += 1;
        }
    }
    println!("{binds} binds to a reference without a name, each after the death of the root");
}

#[test]
fn a_reference_that_is_nobodys_is_refused_under_the_next_root() {
    let system = TestSystem::new();
    let [mut root, mut client] = [system.spawn(), system.spawn()];
    root.must("list");
    client.must("list");
    root.kill();
    assert_eq!(client.ask("bind-iref ump 4711"), "error NoService");
}

/// A stopped root that has a name, a service, and a client that has joined.
fn stopped_root(system: &TestSystem) -> (TestProcess, TestProcess, TestProcess) {
    let mut root = system.spawn();
    root.must("export mine");
    let [mut service, mut client] = [system.spawn(), system.spawn()];
    service.must("export svc");
    client.must("list");
    root.stop();
    (root, service, client)
}

#[test]
fn a_stopped_root_stops_nobody() {
    let system = TestSystem::new();
    let (mut root, mut service, mut client) = stopped_root(&system);
    let began = Instant::now();
    let iref = client.must("lookup svc");
    client.must("bind ump svc");
    assert_eq!(client.ask("talk 10"), "ok");
    service.must("export another");
    client.must("lookup another");
    println!("{:?} after the root was stopped", began.elapsed());
    // Its own name stays its own.
    let taken = format!("error Taken {{ pid: Some({}) }}", root.pid());
    assert_eq!(client.ask("export mine"), taken);
    root.go_on();
    until_root(&system, "there is one root", |pid| pid != root.pid());
    assert_eq!(root.must("lookup svc"), iref);
    assert_eq!(client.ask("export mine"), taken);
    client.must("bind ump mine");
    assert_eq!(client.ask("talk 10"), "ok");
    root.must("export late");
    client.must("lookup late");
}

#[test]
fn a_root_that_does_not_answer_is_named() {
    let system = TestSystem::new();
    let [mut root, mut client] = [system.spawn(), system.spawn()];
    root.must("list");
    client.must("list");
    root.stop();
    let why = client.ask("why nobody 300");
    let pid = format!("process {} ", root.pid());
    let directory = system.dir().display().to_string();
    for part in ["the deadline passed", "\"nobody\"", &pid, "(root_change", &directory] {
        assert!(why.contains(part), "{part} is not in: {why}");
    }
    let mut newcomer = system.spawn();
    let why = newcomer.ask("why nobody 300");
    assert!(why.contains(&pid) && why.contains(&directory), "{why}");
}

#[test]
fn a_program_is_told_when_it_loses_a_name() {
    let system = TestSystem::new();
    let [mut root, mut owner] = [system.spawn(), system.spawn()];
    root.must("list");
    owner.must("export svc");
    assert_eq!(owner.ask("lost another"), "error NotOwner");
    owner.tell("lost svc");
    owner.stop();
    root.kill();
    // Nobody is left who knows whose the name is.
    std::fs::remove_file(system.dir().join("names")).expect("it is there");
    let mut other = system.spawn();
    other.must("export svc");
    owner.go_on();
    assert_eq!(owner.answer("lost"), other.pid().to_string());
}

#[test]
fn a_newcomer_replaces_a_root_that_is_stopped() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.must("list");
    root.stop();
    // Nobody here has ever been let in.
    let mut service = system.spawn();
    service.must("export svc");
    let mut client = system.spawn();
    client.must("bind ump svc");
    root.go_on();
    assert_eq!(root.must("lookup svc"), client.must("lookup svc"));
    root.must("bind ump svc");
}

#[test]
fn the_root_dies_that_replaced_one_which_is_stopped() {
    let system = TestSystem::new();
    let mut first = system.spawn();
    first.must("list");
    first.stop();
    let mut second = system.spawn();
    second.must("list");
    let mut service = system.spawn();
    let iref = service.must("export svc");
    // The lock on the directory is still that of the first.
    second.kill();
    let mut third = system.spawn();
    assert_eq!(third.must("lookup svc"), iref);
    first.go_on();
    assert_eq!(first.must("lookup svc"), iref);
    assert_eq!(third.must("lookup svc"), iref);
}

#[test]
fn a_daemon_that_was_stopped_takes_its_office_back() {
    let system = TestSystem::new();
    let daemon = system.spawn_root(&[]);
    let mut service = system.spawn();
    let iref = service.must("export svc");
    daemon.stop();
    let mut client = system.spawn();
    assert_eq!(client.must("lookup svc"), iref);
    until_root(&system, "a domain takes its place", |pid| pid != daemon.pid());
    daemon.go_on();
    until_root(&system, "it is there again", |pid| pid == daemon.pid());
    assert_eq!(client.must("lookup svc"), iref);
    assert!(client.ask("export svc").starts_with("error Taken"));
}

/// The root is stopped at a moment that differs from round to round while others register, and goes on later.
#[test]
fn names_have_one_owner_when_a_root_stops_amid_registrations() {
    for round in 0..roots(3) {
        let system = TestSystem::new();
        let root = {
            let mut root = system.spawn();
            root.must("list");
            root
        };
        let mut processes: Vec<_> = (0..3).map(|_| system.spawn()).collect();
        processes.iter_mut().for_each(|process| drop(process.must("list")));
        for name in 0..20 {
            processes.iter_mut().for_each(|process| process.tell(&format!("export name{name}")));
        }
        std::thread::sleep(Duration::from_micros(u64::from(round) * 700));
        root.stop();
        let mut granted = vec![Vec::new(); 20];
        for (name, granted) in granted.iter_mut().enumerate() {
            for process in &mut processes {
                let answer = process.answer("export");
                if !answer.starts_with("error") {
                    granted.push((process.pid(), answer));
                } else {
                    assert!(answer.starts_with("error Taken"), "{answer}");
                }
            }
            // Just before the others are asked for, it goes on, deposed or not.
            if name == 10 {
                root.go_on();
            }
        }
        let listed = processes[0].must("list");
        for (name, owners) in granted.iter().enumerate() {
            let [(pid, iref)] = &owners[..] else { panic!("name{name}: {owners:?}") };
            assert!(listed.contains(&format!("(\"name{name}\", \"echo\", {pid})")), "{listed}");
            for process in &mut processes {
                assert_eq!(process.must(&format!("lookup name{name}")), *iref);
            }
        }
    }
}
