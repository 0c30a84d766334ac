//! Limits of what a process can make another process hold, and the errors beyond them.

use flounder_test_support as support;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use flounder::error::OverLimit;
use flounder::limits::{Resource, Scope, UNLIMITED};
use flounder::monitor::snapshot::{self, SnapshotError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use support::many::{self, Filled};
use support::process;
use support::protocol::{Driver, Limit};
use support::raw_monitor::RawMonitor;
use support::raw_monitor::protocol::monitor::Verdict;
use support::{TestProcess, TestSystem};

#[test]
fn test_process() {
    support::process::run();
}

/// A service with these limits, and a neighbour that is bound to it.
fn service(system: &TestSystem, limits: impl Into<Vec<Limit>>) -> (TestProcess, TestProcess) {
    let (mut service, mut neighbour) = (system.spawn(), system.spawn());
    service.set_limits(limits);
    service.export_many("many");
    neighbour.bind_many(Driver::Ump, "many", 1, 4096);
    (service, neighbour)
}

/// Waits until a process is notified of what another one did.
fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + support::TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "nothing changes");
    }
}

/// A client that limits itself in nothing.
fn greedy(system: &TestSystem) -> TestProcess {
    let mut greedy = system.spawn();
    let resources =
        [Resource::Bindings, Resource::Mappings, Resource::Bytes, Resource::Descriptors];
    let limits = resources
        .map(|of| [Limit::of_process(of, UNLIMITED), Limit::of_all(of, UNLIMITED)])
        .concat();
    greedy.set_limits(limits);
    greedy
}

/// Binds until a bind fails for now; returns the number of bindings that were made, and the text of the error.
fn bind_all(
    client: &mut TestProcess,
    driver: Driver,
    count: usize,
    buffer: usize,
) -> (usize, String) {
    let filled = client.bind_until_refused(driver, "many", count, buffer);
    let refusal = filled.refusal.expect("there is a limit");
    assert!(refusal.retryable, "{driver}: {}", refusal.text);
    (filled.made, refusal.text)
}

/// A control group with a limit of memory; removed when this is dropped.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// Returns `None` where this process may not make one; the reason is printed.
    fn new(bytes: u64) -> Option<Self> {
        let (parent, limit) = match Path::new("/sys/fs/cgroup/memory").is_dir() {
            true => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            false => ("/sys/fs/cgroup", "memory.max"),
        };
        let group = Self(Path::new(parent).join(format!("flounder-{}", std::process::id())));
        let made = fs::create_dir(&group.0)
            .and_then(|()| fs::write(group.0.join(limit), bytes.to_string()));
        if let Err(error) = made {
            println!("skipped: no control group can be made: {error}");
            return None;
        }
        Some(group)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Its processes are gone a moment after their end.
        until(|| fs::remove_dir(&self.0).is_ok() || !self.0.exists());
    }
}

/// The neighbour's binding works, and so does a new one of it, and one of a process that comes now.
fn goes_on(system: &TestSystem, neighbour: &mut TestProcess, driver: Driver) {
    neighbour.call_over_each();
    neighbour.bind_many(driver, "many", 1, 4096);
    let mut newcomer = system.spawn();
    newcomer.bind_many(driver, "many", 1, 4096);
    newcomer.call_over_each();
}

#[test]
fn bindings_of_a_process_are_limited() {
    for driver in support::DRIVERS {
        let system = TestSystem::new();
        let (_service, mut neighbour) =
            service(&system, [Limit::of_process(Resource::Bindings, 20)]);
        let mut greedy = greedy(&system);
        let (made, text) = bind_all(&mut greedy, driver, 100, 4096);
        assert_eq!(made, 20, "{driver}: {text}");
        assert!(text.contains("the service's process holds too much"), "{driver}: {text}");
        assert!(text.contains("limit of 20 bindings for one process"), "{driver}: {text}");
        goes_on(&system, &mut neighbour, driver);
        greedy.call_over_each();
        greedy.close_many();
        // The service must be notified first.
        until(|| greedy.try_bind_many(driver, "many", 1, 4096) == 1);
        greedy.close_many();
    }
}

#[test]
fn other_resources_of_a_process_are_limited() {
    use Driver::{Lmp, Scc, Ump};
    use Resource::{Bindings, Bytes, Descriptors, Mappings};
    let cases = [
        (Ump, vec![Limit::of_process(Mappings, 50)], "50 mappings for one process"),
        (Scc, vec![Limit::of_process(Mappings, 50)], "50 mappings for one process"),
        (Lmp, vec![Limit::of_process(Descriptors, 50)], "50 descriptors for one process"),
        (Ump, vec![Limit::of_process(Bytes, 200_000)], "200000 bytes for one process"),
        (Ump, vec![Limit::of_user(Bindings, 30)], "30 bindings for all processes of one user"),
        (
            Lmp,
            vec![Limit::of_process(Descriptors, UNLIMITED), Limit::of_all(Descriptors, 60)],
            "60 descriptors for all other processes together",
        ),
    ];
    for (driver, limit, refusal) in cases {
        let system = TestSystem::new();
        let (mut service, mut neighbour) = service(&system, limit.clone());
        let mut greedy = greedy(&system);
        let (made, text) = bind_all(&mut greedy, driver, 100, 8192);
        let expected = (15..40).contains(&made) && text.contains(refusal);
        assert!(expected, "{driver} {limit:?}: {made} {text}");
        if text.contains("one process;") {
            goes_on(&system, &mut neighbour, driver);
        } else {
            neighbour.call_over_each();
        }
        drop(greedy);
        // All that it had is given back.
        until(|| service.used_by_peers(Bindings) <= 3);
    }
}

#[test]
fn the_default_limits_hold_against_thousands_of_bindings() {
    let system = TestSystem::new();
    let (mut service, mut neighbour) = service(&system, []);
    let mut greedy = greedy(&system);
    let (made, text) = bind_all(&mut greedy, Driver::Ump, 32_744, 1);
    assert_eq!(made, 4096, "{text}");
    assert!(text.contains("4096 bindings for one process"), "{text}");
    assert_eq!(service.used_by_peers(Resource::Bindings), 4097);
    goes_on(&system, &mut neighbour, Driver::Ump);
    drop(greedy);
    until(|| service.used_by_peers(Resource::Mappings) <= 20);
}

#[test]
fn a_client_has_limits_of_its_own() {
    let system = TestSystem::new();
    let (mut service, mut client) = (system.spawn(), system.spawn());
    service.export_many("many");
    client.set_limits([Limit::of_process(Resource::Bindings, 5)]);
    let (made, text) = bind_all(&mut client, Driver::Ump, 10, 4096);
    assert_eq!(made, 5, "{text}");
    assert!(text.starts_with("this process holds too much for the service"), "{text}");
}

/// Bytes that the memory of a process may grow by in a test: less than one buffer that is refused.
const SLACK: u64 = 8 << 20;

#[test]
fn a_large_buffer_costs_the_service_its_own_maximum() {
    let system = TestSystem::new();
    let (mut service, _neighbour) = service(&system, []);
    let mut greedy = greedy(&system);
    let before = service.memory_in_use();
    for driver in [Driver::Ump, Driver::Scc] {
        greedy.bind_many(driver, "many", 4, 16 << 20);
    }
    greedy.call_over_each();
    let grown = service.memory_in_use().saturating_sub(before);
    // The service has a ring of at most 1 MiB for each binding, and the client's rings, which the client pays for, are in
    // its page tables.
    const THEIRS: u64 = 8 * (16 << 20);
    let used = service.used_by_peers(Resource::Bytes);
    assert!(used <= 9 << 20, "{used} bytes are charged");
    assert!(grown < THEIRS + (9 << 20) + SLACK, "the service has grown by {grown} bytes");
}

#[test]
fn a_service_in_a_small_control_group_lives() {
    let Some(group) = MemoryGroup::new(64 << 20) else { return };
    let system = TestSystem::new();
    let join = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", group.0.display());
    let mut service = system.spawn_under("sh", &["-c", &join, "sh"]);
    service.export_many("many");
    let mut neighbour = system.spawn();
    neighbour.bind_many(Driver::Ump, "many", 1, 4096);
    let mut greedy = greedy(&system);
    for (driver, count, buffer) in [(Driver::Ump, 100, 16 << 20), (Driver::Scc, 2000, 64 << 10)] {
        let (made, refusal) = bind_all(&mut greedy, driver, count, buffer);
        assert!(refusal.contains("bytes"), "{driver}, {made} bindings: {refusal}");
    }
    neighbour.call_over_each();
    assert!(service.used_by_peers(Resource::Bytes) <= 32 << 20);
}

#[test]
fn a_refused_client_costs_nothing() {
    let system = TestSystem::new();
    let mut service = system.spawn();
    service.export_refusing_all("many");
    let mut greedy = greedy(&system);
    assert_eq!(greedy.try_bind_many(Driver::Ump, "many", 10, 16 << 20), 0);
    let before = service.memory_in_use();
    assert_eq!(greedy.try_bind_many(Driver::Ump, "many", 1200, 0), 0);
    assert_eq!(greedy.try_bind_many(Driver::Ump, "many", 4, 16 << 20), 0);
    let grown = service.memory_in_use().saturating_sub(before);
    assert!(grown < SLACK, "the service has grown by {grown} bytes");
    for resource in [Resource::Bindings, Resource::Bytes, Resource::Requests] {
        assert_eq!(service.used_by_peers(resource), 0, "{}", resource.name());
    }
}

#[test]
fn clients_wait_while_the_connect_callback_runs() {
    let system = TestSystem::new();
    let mut service = system.spawn();
    service.export_dispatching("many");
    let mut clients: Vec<_> = (0..6).map(|_| system.spawn()).collect();
    let binds: Vec<_> = clients
        .iter_mut()
        .map(|client| client.start(many::BindUntilRefused::new(Driver::Ump, "many", 2, 4096)))
        .collect();
    for (client, bind) in clients.iter_mut().zip(binds) {
        assert_eq!(client.wait(bind), Filled { made: 2, refusal: None });
        client.call_over_each();
    }
    assert_eq!(service.connect_order().len(), 12);
}

#[test]
fn silent_connections_of_one_process_are_few() {
    let system = TestSystem::new();
    let (mut root, began) = (system.spawn_with_log(), Instant::now());
    root.join();
    let silent: Vec<_> = (0..300).map(|_| support::raw_monitor::connect(&system)).collect();
    let mut newcomer = system.spawn();
    newcomer.export_many("many");
    let is_open = |socket: &OwnedFd| {
        let mut fds = [PollFd::new(socket, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).expect("it can be polled") == 0
    };
    let open = silent.iter().filter(|socket| is_open(socket)).count();
    assert_eq!(open, 16, "others of 300 were hung up on");
    assert_eq!(root.used_by_peers(Resource::Connections), 16);
    let log = system.log();
    let lines =
        log.lines().filter(|line| line.contains("a connection could not be set up")).count();
    let most = 16 + usize::try_from(began.elapsed().as_secs()).expect("the test is short");
    assert!((1..=most).contains(&lines), "{lines} lines of 284 refusals: {log}");
    drop(silent);
    until(|| root.used_by_peers(Resource::Connections) == 0);
}

#[test]
fn services_of_a_process_are_limited_at_the_root() {
    let system = TestSystem::new();
    let (mut root, mut greedy, mut other) = (system.spawn(), system.spawn(), system.spawn());
    root.set_limits([Limit::of_process(Resource::Services, 3)]);
    root.join();
    for name in ["a", "b", "c"] {
        greedy.export_many(name);
    }
    greedy.expect_error(many::Export::new("d"));
    other.export_many("e");
    assert_eq!(root.used_by_peers(Resource::Services), 4);
    drop(greedy);
    until(|| root.used_by_peers(Resource::Services) == 1);
}

/// The amounts that one process holds for another one of a resource, and its limit.
fn held(system: &TestSystem, holder: &TestProcess, peer: u32, of: Resource) -> Option<(u64, u64)> {
    let snapshot = snapshot::take(Some(&system.dir())).expect("there is a root");
    let mut found = snapshot.accounts.iter().filter(|account| {
        account.holder.pid == Some(holder.pid()) && account.peer.pid == Some(peer)
    });
    found.next().map(|account| (account.used.get(of), account.limit.get(of)))
}

#[test]
fn names_of_a_process_are_limited_at_the_root() {
    let system = TestSystem::new();
    let (mut root, mut greedy, mut other) = (system.spawn(), system.spawn(), system.spawn());
    root.set_limits([Limit::of_process(Resource::Names, 3)]);
    root.join();
    let iref = greedy.export_unnamed();
    greedy.register_numbered("n", 3, iref);
    let limit = OverLimit::new(Resource::Names, 3, Scope::Process);
    let refused = greedy.expect_error(process::Register::new("more", iref));
    assert_eq!(refused, format!("OverLimit({limit})"));
    other.export("clock");
    assert_eq!(root.used_by_peers(Resource::Names), 4);
    assert_eq!(held(&system, &root, greedy.pid(), Resource::Names), Some((3, 3)));
    greedy.unregister("n1");
    greedy.register("more", iref);
    drop(greedy);
    until(|| root.used_by_peers(Resource::Names) == 1);
}

#[test]
fn names_of_a_user_are_limited_at_the_root() {
    let system = TestSystem::new();
    let (mut root, mut one, mut other) = (system.spawn(), system.spawn(), system.spawn());
    root.set_limits([Limit::of_user(Resource::Names, 1)]);
    root.join();
    one.export("clock");
    let limit = OverLimit::new(Resource::Names, 1, Scope::User);
    let refused = other.expect_error(process::Export::new("bell"));
    assert_eq!(refused, format!("OverLimit({limit})"));
}

#[test]
fn names_that_a_new_root_restores_are_charged() {
    let system = TestSystem::new();
    let (mut root, mut next, mut owner) = (system.spawn(), system.spawn(), system.spawn());
    root.join();
    next.set_limits([Limit::of_process(Resource::Names, 2)]);
    next.join();
    let iref = owner.export_unnamed();
    owner.register_numbered("n", 3, iref);
    // It does not notice that there is another root, which has its names from the last one.
    owner.stop();
    root.kill();
    until(|| next.used_by_peers(Resource::Names) == 3);
    assert_eq!(next.lookup("n2"), iref);
    owner.go_on();
    let limit = OverLimit::new(Resource::Names, 2, Scope::Process);
    let refused = owner.expect_error(process::Register::new("more", iref));
    assert_eq!(refused, format!("OverLimit({limit})"), "those that it has stay");
    assert_eq!(held(&system, &next, owner.pid(), Resource::Names), Some((3, 2)));
    owner.unregister("n0");
    owner.unregister("n1");
    owner.register("more", iref);
    drop(owner);
    until(|| next.used_by_peers(Resource::Names) == 0);
}

#[test]
fn services_and_lookups_are_refused_with_their_limit() {
    let system = TestSystem::new();
    let (mut root, mut client) = (system.spawn(), system.spawn());
    root.set_limits([
        Limit::of_process(Resource::Services, 0),
        Limit::of_process(Resource::Lookups, 0),
    ]);
    root.join();
    let refused = |resource| format!("OverLimit({})", OverLimit::new(resource, 0, Scope::Process));
    let services = client.expect_error(process::Export::new("clock"));
    assert_eq!(services, refused(Resource::Services));
    let lookups = client.expect_error(process::AwaitName::new("clock"));
    assert_eq!(lookups, refused(Resource::Lookups));
}

#[test]
fn pending_reports_of_a_process_are_limited_at_the_root() {
    let system = TestSystem::new();
    let (mut root, mut silent) = (system.spawn(), system.spawn());
    root.set_limits([Limit::of_process(Resource::Reports, 3)]);
    root.join();
    silent.join();
    let asker = RawMonitor::join(&system, 77);
    let members = asker.root().members(0).expect("the root answers");
    let member = members.iter().find(|member| member.pid == silent.pid()).expect("it joined");
    silent.stop();
    let ask = || asker.waitset().spawn_local(asker.root().bindings_async(member.domain, 0, 0));
    let pending = [ask(), ask(), ask()];
    until(|| {
        asker.waitset().try_dispatch().expect("no callback fails");
        root.used_by_peers(Resource::Reports) == 3
    });
    let (verdict, limit, _) = asker.root().bindings(member.domain, 0, 0).expect("the root answers");
    let code = u64::from(Resource::Reports.number()) << 56 | 3;
    assert_eq!((verdict, limit), (Verdict::Quota, code));
    let refused = snapshot::take(Some(&system.dir())).expect_err("this process has asked enough");
    let limit = OverLimit::new(Resource::Reports, 3, Scope::Process);
    assert_eq!(refused, SnapshotError::OverLimit(limit));
    silent.go_on();
    for answer in pending {
        let answer = asker.waitset().block_on(answer).expect("no callback fails");
        assert_eq!(answer.expect("the root answers").0, Verdict::Ok);
    }
    assert_eq!(root.used_by_peers(Resource::Reports), 0);
    // It asks all three domains at once, and this one does not answer.
    let snapshot = snapshot::take(Some(&system.dir())).expect("there is room again");
    assert_eq!((snapshot.domains.len(), snapshot.unresponsive.len()), (3, 1));
}

#[test]
fn snapshot_lists_what_each_process_holds_for_another() {
    let system = TestSystem::new();
    let (service, mut neighbour) = service(
        &system,
        [Limit::of_process(Resource::Bindings, 7), Limit::of_all(Resource::Descriptors, 90)],
    );
    neighbour.bind_many(Driver::Ump, "many", 2, 4096);
    neighbour.bind_many(Driver::Lmp, "many", 1, 4096);
    let snapshot = snapshot::take(Some(&system.dir())).expect("there is a root");
    let of = |holder: &TestProcess, peer: &TestProcess| {
        let mut found = snapshot.accounts.iter().filter(|account| {
            account.holder.pid == Some(holder.pid()) && account.peer.pid == Some(peer.pid())
        });
        found.next().expect("it is told").clone()
    };
    let held = of(&service, &neighbour);
    assert_eq!(held.used.get(Resource::Bindings), 4);
    assert_eq!(
        held.used.get(Resource::Mappings),
        3 * 2 + 2,
        "two rings of each binding, and two logs"
    );
    assert_eq!(held.used.get(Resource::Bytes), 3 * 4096);
    // A connection to the root, a link, the doorbells, and the sockets of the binding over lmp.
    assert_eq!(held.used.get(Resource::Descriptors), 2 + 2 + 2 + 2);
    assert_eq!(
        (held.limit.get(Resource::Bindings), held.limit_of_all.get(Resource::Descriptors)),
        (7, 90)
    );
    let held = of(&neighbour, &service);
    assert_eq!((held.used.get(Resource::Bindings), held.limit.get(Resource::Bindings)), (4, 4096));
}
