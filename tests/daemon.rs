//! The root monitor as a daemon: taking over from another root, other users, and its death.

use flounder_test_support as support;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use flounder::Iref;
use flounder::monitor::snapshot::{self, Snapshot, SnapshotError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use support::protocol::{Driver, Event, ServiceId};
use support::raw_monitor::protocol::monitor::{self, Verdict};
use support::raw_monitor::{RawMonitor, connect};
use support::{TIMEOUT, TestSystem, millis, process, taken_by};

/// Two users without other processes.
const ANN: u32 = 54_321;
const BOB: u32 = 54_322;

#[test]
fn test_process() {
    support::process::run();
}

fn take(system: &TestSystem) -> Snapshot {
    snapshot::take(Some(&system.dir())).expect("there is a root")
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: it does not come about");
        std::thread::yield_now();
    }
}

/// Waits until a snapshot is as it should be.
#[track_caller]
fn settle(system: &TestSystem, what: &str, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let last = snapshot::take(Some(&system.dir()));
        match last {
            Ok(snapshot) if is_so(&snapshot) => return snapshot,
            last => assert!(Instant::now() < deadline, "{what}: {last:?}"),
        }
    }
}

#[test]
fn daemon_takes_over_the_root_and_a_domain_takes_it_back() {
    let system = TestSystem::new();
    let mut server = system.spawn();
    let iref = server.export("echo");
    assert_eq!(take(&system).root.pid, Some(server.pid()));
    let (mut client, mut others) =
        (system.spawn(), [system.spawn(), system.spawn(), system.spawn()]);
    client.bind(Driver::Ump, "echo");
    others.iter_mut().for_each(|other| other.join());
    for _ in 0..3 {
        let mut daemon = system.spawn_root(&[]);
        assert_eq!(take(&system).root.pid, Some(daemon.pid()));
        assert_eq!(client.await_name_for("echo", millis(5000)), iref);
        client.bind(Driver::Lmp, "echo");
        daemon.kill();
        assert_eq!(client.await_name_for("echo", millis(5000)), iref);
        assert_ne!(take(&system).root.pid, Some(daemon.pid()));
        let mut late = system.spawn();
        late.await_name_for("echo", millis(5000));
        late.bind(Driver::Ump, "echo");
        late.talk(10);
    }
    client.talk(100);
    assert_eq!(client.client_errors(), 0, "the error handler was called");
}

#[test]
fn second_daemon_is_refused_with_the_pid_of_the_first() {
    let system = TestSystem::new();
    let mut first = system.spawn_root(&[]);
    let mut second = system.spawn_daemon(&[]);
    let running = format!("Running {{ pid: Some({}) }}", first.pid());
    second.wait_for(&Event::DaemonRefused(running));
    assert_eq!(take(&system).root.pid, Some(first.pid()));
    first.kill();
    system.spawn_root(&[]);
}

#[test]
fn daemon_reports_that_it_waits_for_a_stopped_root() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    root.stop();
    let mut daemon = system.spawn_daemon(&[]);
    daemon.wait_for(&Event::WaitsForRoot { pid: root.pid() });
    root.kill();
    daemon.wait_for(&Event::BecameRoot);
    assert_eq!(take(&system).root.pid, Some(daemon.pid()));
}

#[test]
fn snapshot_lists_names_domains_and_bindings() {
    let system = TestSystem::new();
    let daemon = system.spawn_root(&[]);
    let (mut server, mut client) = (system.spawn(), system.spawn());
    let iref = server.export("echo");
    client.bind(Driver::Ump, "echo");
    client.bind(Driver::Lmp, "echo");
    let uid = rustix::process::geteuid().as_raw();
    let snapshot = take(&system);
    assert_eq!((snapshot.root.pid, snapshot.root.uid), (Some(daemon.pid()), Some(uid)));
    assert_eq!(snapshot.directory, system.dir());
    let [name] = &snapshot.names[..] else { panic!("one name: {snapshot:?}") };
    assert_eq!((&*name.name, &*name.interface), ("echo", "echo"));
    assert_eq!(ServiceId::from(name.iref), iref);
    assert_eq!((name.pid, name.uid), (Some(server.pid()), Some(uid)));
    assert_ne!(name.fingerprint, 0);
    let mut pids: Vec<_> =
        snapshot.domains.iter().map(|domain| domain.pid.expect("it is visible")).collect();
    pids.sort_unstable();
    let mut expected = [server.pid(), client.pid()];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    let mut drivers = Vec::new();
    for binding in &snapshot.bindings {
        drivers.push(&*binding.driver);
        let service = binding.service.expect("it is there");
        assert_eq!((binding.client.pid, service.pid), (Some(client.pid()), Some(server.pid())));
        assert_eq!((binding.iref, &*binding.interface), (name.iref, "echo"));
        assert!(binding.since.elapsed().expect("it is past") < TIMEOUT);
    }
    drivers.sort_unstable();
    assert_eq!(drivers, ["lmp", "ump"]);
    assert_eq!(snapshot.unresponsive, []);
    client.unbind();
    settle(&system, "the bindings are gone", |snapshot| snapshot.bindings.is_empty());
}

#[test]
fn snapshot_lists_all_bindings_of_a_domain_with_many() {
    let system = TestSystem::new();
    let _daemon = system.spawn_root(&[]);
    let mut servers = [system.spawn(), system.spawn()];
    let mut client = system.spawn();
    for (i, server) in servers.iter_mut().enumerate() {
        server.export(&format!("echo{i}"));
    }
    for _ in 0..100 {
        client.bind(Driver::Ump, "echo0");
        client.bind(Driver::Lmp, "echo1");
    }
    let bindings = take(&system).bindings;
    assert_eq!(bindings.len(), 200);
    for (server, driver) in servers.iter().zip(["ump", "lmp"]) {
        let with = bindings.iter().filter(|binding| {
            binding.service.is_some_and(|of| of.pid == Some(server.pid()))
                && binding.driver == driver
        });
        assert_eq!(with.count(), 100);
    }
}

#[test]
fn snapshot_does_not_wait_for_unresponsive_processes() {
    let system = TestSystem::new();
    let _daemon = system.spawn_root(&[]);
    let mut server = system.spawn();
    server.export("echo");
    let mut clients: Vec<_> = (0..6).map(|_| system.spawn()).collect();
    for client in &mut clients {
        client.bind(Driver::Ump, "echo");
        client.stop();
    }
    let began = Instant::now();
    let snapshot = take(&system);
    // Each of them is given two seconds, but all at once.
    assert!(began.elapsed() < Duration::from_secs(8), "it took {:?}", began.elapsed());
    assert_eq!(snapshot.names.len(), 1);
    let mut stopped: Vec<_> = clients.iter().map(|client| Some(client.pid())).collect();
    stopped.sort_unstable();
    assert_eq!(snapshot.unresponsive.iter().map(|of| of.pid).collect::<Vec<_>>(), stopped);
    clients.iter().for_each(|client| client.go_on());
    settle(&system, "they answer again", |snapshot| snapshot.bindings.len() == 6);
}

#[test]
fn snapshot_without_a_root_fails_and_creates_nothing() {
    let system = TestSystem::new();
    let none = || Err(SnapshotError::NoMonitor { directory: system.dir() });
    assert_eq!(snapshot::take(Some(&system.dir())), none());
    assert!(!system.dir().exists(), "it was not made");
    let mut root = system.spawn();
    root.join();
    root.kill();
    drop(root);
    assert_eq!(system.files(), ["root.sock"]);
    assert_eq!(snapshot::take(Some(&system.dir())), none());
    assert_eq!(system.files(), ["root.sock"]);
}

#[test]
fn connection_without_hello_is_closed() {
    let system = TestSystem::new();
    let _daemon = system.spawn_root(&[]);
    let silent = connect(&system);
    let mut hung_up = [PollFd::new(&silent, PollFlags::RDHUP)];
    let patience = Timespec { tv_sec: TIMEOUT.as_secs() as i64, tv_nsec: 0 };
    assert_eq!(poll(&mut hung_up, Some(&patience)), Ok(1), "the root waits for ever");
}

#[test]
fn allowed_users_join_and_others_are_denied() {
    let system = TestSystem::new();
    let _daemon = system.spawn_root(&[ANN]);
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    let Some(mut bob) = system.spawn_as(BOB) else { return };
    let mut own = system.spawn();
    let iref = own.export("echo");
    ann.export("ann");
    assert_eq!(bob.expect_error(process::Lookup::new("echo")), "Monitor(JoinDenied { owner: 0 })");
    assert_eq!(ann.lookup("echo"), iref);
    assert_eq!(own.owner("ann"), (ann.pid(), ANN));
    for driver in [Driver::Ump, Driver::Lmp] {
        ann.bind(driver, "echo");
        ann.talk(100);
        own.bind(driver, "ann");
        own.talk(100);
    }
    let snapshot = take(&system);
    assert_eq!(snapshot.domains.len(), 2);
    assert_eq!(snapshot.bindings.len(), 4);
    assert_eq!(
        bob.expect_error(process::List::new()),
        "Monitor(JoinDenied { owner: 0 })",
        "it is tried again"
    );
}

#[test]
fn allowed_users_see_no_processes_of_others() {
    let system = TestSystem::new();
    let _daemon = system.spawn_root(&[ANN, BOB]);
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    let Some(mut bob) = system.spawn_as(BOB) else { return };
    let iref = ann.export("clock");
    bob.bind(Driver::Ump, "clock");
    assert_eq!(bob.snapshot(), (vec![bob.pid()], 1));
    assert_eq!(ann.snapshot(), (vec![ann.pid()], 0), "its client tells of a binding");
    let [ok, forbidden] = ["Ok", "Forbidden"].map(str::to_owned);
    assert_eq!(bob.query_root(iref), (forbidden.clone(), forbidden.clone()));
    assert_eq!(ann.query_root(iref), (ok, forbidden), "it is its own");
    // Those who pried have left.
    let all = |snapshot: &Snapshot| (snapshot.domains.len(), snapshot.bindings.len()) == (2, 1);
    settle(&system, "the root's user sees all", all);
}

#[test]
fn root_of_another_user_is_trusted_only_by_request() {
    let system = TestSystem::new();
    let Some(daemon) = system.spawn_root_as(ANN, &[BOB]) else { return };
    let Some(mut bob) = system.spawn_as(BOB) else { return };
    let refused = bob.expect_error(process::List::new());
    assert!(refused.contains(&format!("why: Owner {{ uid: {ANN} }}")), "{refused}");
    let Some(mut bob) = system.spawn_trusting_as(BOB, ANN) else { return };
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    let iref = bob.export("clock");
    assert_eq!(ann.lookup("clock"), iref);
    ann.bind(Driver::Ump, "clock");
    ann.talk(100);
    // Nor can it be the root there.
    drop((daemon, ann));
    let lookup = || process::AwaitNameFor::new("clock", millis(300));
    assert_eq!(bob.expect_error(lookup()), "Deadline(Root)");
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    ann.join();
    let refused = bob.expect_error(lookup());
    assert_eq!(refused, "Deadline(Root)", "a domain lets no other users in");
}

#[test]
fn domain_trusts_no_root_of_a_user_without_the_directory() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only user 0 can listen in the name of another");
    }
    let system = TestSystem::new();
    std::fs::create_dir(system.dir()).expect("it is not there");
    std::fs::set_permissions(system.dir(), Permissions::from_mode(0o700)).expect("it is ours");
    std::os::unix::fs::chown(system.dir(), Some(ANN), Some(ANN)).expect("user 0 may");
    let lock = File::open(system.dir()).expect("user 0 may");
    flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("nobody has it");
    let path = system.dir().join("root.sock");
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
    bind(&socket, &SocketAddrUnix::new(&path).expect("it is short")).expect("nobody has it");
    std::fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("it is ours");
    // The kernel reports the listening thread's credentials: those of this thread, for a moment.
    let (root, bob) = (Uid::ROOT, Uid::from_raw(BOB));
    set_thread_res_uid(bob, bob, root).expect("user 0 may");
    let listens = listen(&socket, 1);
    set_thread_res_uid(root, root, root).expect("it was user 0");
    listens.expect("it is bound");
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    assert_eq!(
        ann.expect_error(process::List::new()),
        format!("Monitor(UntrustedRoot {{ uid: {BOB} }})")
    );
}

#[test]
fn daemon_without_allowed_users_denies_them() {
    let system = TestSystem::new();
    let daemon = system.spawn_root(&[ANN]);
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    ann.join();
    drop(daemon);
    let _daemon = system.spawn_root(&[]);
    assert_eq!(ann.expect_error(process::List::new()), "Monitor(JoinDenied { owner: 0 })");
    assert_eq!(system.files(), ["root.sock"]);
}

#[test]
fn another_user_cannot_take_a_name_of_a_living_owner() {
    let system = TestSystem::new();
    let _daemon = system.spawn_root(&[ANN, BOB]);
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    let Some(mut bob) = system.spawn_as(BOB) else { return };
    let iref = ann.export("clock");
    let taken = taken_by(ann.pid());
    assert_eq!(bob.expect_error(process::Export::new("clock")), taken);
    assert_eq!(bob.expect_error(process::Unregister::new("clock")), "NotOwner");
    assert_eq!(bob.lookup("clock"), iref);
    ann.kill();
    // The root may see the end of a connection before that of its process.
    until("the name is free", || bob.run(process::Export::new("clock")).is_ok());
}

#[test]
fn names_of_slow_owners_survive_root_changes() {
    let system = TestSystem::new();
    let mut daemon = system.spawn_root(&[ANN, BOB]);
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    let Some(mut bob) = system.spawn_as(BOB) else { return };
    let mut own = system.spawn();
    let iref = ann.export("clock");
    bob.join();
    let taken = taken_by(ann.pid());
    for round in 0..3 {
        // The owner does not notice that the root is gone.
        ann.stop();
        daemon.kill();
        if round == 1 {
            // A domain is the root for a moment, and hands over what it has found.
            own.join();
        }
        daemon = system.spawn_root(&[ANN, BOB]);
        assert_eq!(bob.expect_error(process::Export::new("clock")), taken);
        assert_eq!(bob.expect_error(process::Unregister::new("clock")), "NotOwner");
        assert_eq!(bob.lookup("clock"), iref, "its owner lives");
        let thief = RawMonitor::join(&system, 77);
        let (verdict, _) = thief.root().publish(iref.iref(), "echo", 0).expect("the root answers");
        assert_eq!(verdict, Verdict::Duplicate, "its reference is kept, too");
        // Who looks the name up waits for its owner.
        let lookup = bob.start(process::AwaitName::new("clock"));
        ann.go_on();
        assert_eq!(bob.wait(lookup), iref);
        assert_eq!(bob.expect_error(process::Export::new("clock")), taken);
    }
    // What the owner has taken back meanwhile is free once it is there.
    daemon.kill();
    ann.withdraw();
    daemon = system.spawn_root(&[ANN, BOB]);
    ann.join();
    let second = bob.export("clock");
    // The owner dies while there is no root.
    bob.stop();
    daemon.kill();
    bob.kill();
    drop(bob);
    let _daemon = system.spawn_root(&[ANN, BOB]);
    assert_ne!(ann.export("clock"), second);
}

#[test]
fn name_journal_is_removed_with_the_last_name() {
    let system = TestSystem::new();
    let mut daemon = system.spawn_root(&[ANN]);
    let (mut first, mut second) = (system.spawn(), system.spawn());
    let files = || {
        let mut files = system.files();
        files.sort();
        files
    };
    assert_eq!(files(), ["root.sock"]);
    first.export("a");
    first.unregister("a");
    assert_eq!(files(), ["root.sock"], "it was taken back");
    first.export("a");
    second.export("b");
    assert_eq!(files(), ["names", "root.sock"]);
    first.withdraw();
    first.join();
    second.kill();
    until("one owner has left and the other is dead", || files() == ["root.sock"]);
    // The owner dies while there is no root.
    first.export("a");
    daemon.kill();
    first.kill();
    drop(first);
    let _daemon = system.spawn_root(&[ANN]);
    assert_eq!(files(), ["root.sock"], "its owner is dead");
}

#[test]
fn disconnected_process_keeps_its_names_while_it_lives() {
    let system = TestSystem::new();
    let _daemon = system.spawn_root(&[ANN]);
    let iref = Iref::from_bits(4711).expect("not zero");
    let name = |of: &RawMonitor| {
        assert_eq!(of.root().publish(iref, "echo", 1), Ok((Verdict::Ok, 0)));
        of.root().register("mine", iref, false).expect("the root answers").0
    };
    let first = RawMonitor::join(&system, 77);
    assert_eq!(name(&first), Verdict::Ok);
    // Only a root sends this.
    let report = monitor::Message::Report { ticket: 1, link: 2, connection: 3 };
    first.send_as_root(&report).expect("it can be sent");
    first.root().lookup("mine").expect_err("who plays the root is hung up on");
    let mut own = system.spawn();
    let me = std::process::id();
    assert_eq!(own.expect_error(process::Export::new("mine")), taken_by(me));
    assert_eq!(own.lookup("mine"), ServiceId(4711), "its owner lives");
    let second = RawMonitor::join(&system, 78);
    assert_eq!(name(&second), Verdict::Ok, "it is the same process");
    assert_eq!(own.lookup("mine"), ServiceId(4711));
    drop(second);
    let third = RawMonitor::join(&system, 79);
    settle(&system, "the name is kept", |snapshot| {
        snapshot.names.iter().all(|name| name.interface.is_empty())
    });
    assert_eq!(own.expect_error(process::Export::new("mine")), taken_by(me));
    third.root().binding().tx_rejoined().expect("it can be sent");
    // The process has reported all its names, and not this one.
    third.root().lookup("mine").expect("the root answers");
    own.export("mine");
}

#[test]
fn old_names_are_kept_from_users_who_join_later() {
    let system = TestSystem::new();
    let mut own = system.spawn();
    let iref = own.export("clock");
    own.join();
    let mut root = own;
    // It hands over and is slow to join again.
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    let _daemon = system.spawn_root(&[ANN]);
    root.stop();
    assert_eq!(ann.expect_error(process::Export::new("clock")), taken_by(root.pid()));
    root.go_on();
    assert_eq!(ann.await_name_for("clock", millis(5000)), iref);
    assert_eq!(root.list().iter().filter(|entry| entry.name == "clock").count(), 1);
}

#[test]
fn private_directory_admits_other_users_after_its_own() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    root.kill();
    drop(root);
    // The journal is missing, so owners may still come back and register their names.
    let began = Instant::now();
    let _daemon = system.spawn_root(&[ANN]);
    let mut own = system.spawn();
    own.export("clock");
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    assert_eq!(ann.expect_error(process::Export::new("clock")), taken_by(own.pid()));
    assert!(began.elapsed() >= Duration::from_secs(1), "it was let in after {:?}", began.elapsed());
}

#[test]
fn one_user_cannot_use_up_the_root() {
    let system = TestSystem::new();
    let _daemon = system.spawn_root(&[ANN]);
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    let Some(mut bob) = system.spawn_as(BOB) else { return };
    // Neither of them sends hello.
    assert_eq!(ann.overconnect(600), 16);
    assert_eq!(bob.overconnect(100), 8);
    let mut own = [system.spawn(), system.spawn()];
    own[0].export("echo");
    own[1].bind(Driver::Ump, "echo");
    own[1].talk(100);
    // Nor does it keep out other processes of the same user.
    let mut other = system.spawn_as(ANN).expect("there was one before");
    other.bind(Driver::Ump, "echo");
    // It is not for ever.
    ann.release();
    ann.bind(Driver::Ump, "echo");
    ann.talk(100);
}

/// `FLOUNDER_SECONDS` chooses how long it goes on: `ci/root-killed.sh` has a minute of it.
#[test]
fn killing_the_root_repeatedly_loses_no_message() {
    let seconds = std::env::var("FLOUNDER_SECONDS").ok().map(|set| set.parse().expect("a number"));
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(6));
    let system = TestSystem::new();
    let mut daemon = system.spawn_root(&[ANN]);
    let mut server = system.spawn();
    server.export("echo");
    let own = [Driver::Ump, Driver::Lmp, Driver::Scc].map(|driver| (driver, system.spawn()));
    let other = system.spawn_as(ANN).map(|ann| (Driver::Ump, ann));
    let mut clients: Vec<_> = own.into_iter().chain(other).collect();
    for (driver, client) in &mut clients {
        client.bind(*driver, "echo");
        client.start_talking();
    }
    let (mut kills, mut binds, mut worst) = (0, 0, Duration::ZERO);
    while Instant::now() < until {
        let mut newcomer = system.spawn();
        // Its start is not what is measured.
        newcomer.count();
        let killed = Instant::now();
        daemon.kill();
        kills += 1;
        // It has no link to the service yet, so the next root has to introduce it.
        newcomer.await_name_for("echo", millis(5000));
        newcomer.bind(Driver::Ump, "echo");
        let took = killed.elapsed();
        worst = worst.max(took);
        assert_eq!(newcomer.add(2, 3), 5);
        // Over the link that there is, but for the name.
        clients[0].1.await_name_for("echo", millis(5000));
        binds += 1;
        daemon = system.spawn_root(&[ANN]);
        let rest = Duration::from_millis(500).saturating_sub(killed.elapsed());
        std::thread::sleep(rest);
    }
    let mut messages = 0;
    for (driver, client) in &mut clients {
        let said = u64::from(client.stop_talking());
        assert_eq!(client.client_errors(), 0, "{driver}: the error handler was called");
        messages += said * 2;
    }
    assert_eq!(server.service_errors(), 0, "the error handler was called");
    println!(
        "{messages} messages, none lost; {kills} roots killed; {binds} new binds, the slowest {} ms after a kill",
        worst.as_millis()
    );
    assert!(worst < Duration::from_secs(1), "a bind took {worst:?}");
}
