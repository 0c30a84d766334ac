//! Watches of names.

use std::time::{Duration, Instant};

use flounder_test_support::process::{NextChange, NextOfStream};
use flounder_test_support::{TIMEOUT, TestProcess, TestSystem, millis, process};

const GONE: Option<u64> = Some(0);

/// Returns the next change of a name that `watcher` sees.
fn next(watcher: &mut TestProcess, name: &str) -> Option<u64> {
    watcher.expect(NextChange::new(name, TIMEOUT))
}

/// Returns true if nothing changes for so long.
fn is_quiet(watcher: &mut TestProcess, name: &str, time: Duration) -> bool {
    watcher.expect(NextChange::new(name, time)).is_none()
}

#[test]
fn watcher_sees_a_name_come_and_go() {
    let system = TestSystem::new();
    let [mut watcher, mut owner] = [system.spawn(), system.spawn()];
    watcher.join();
    assert!(is_quiet(&mut watcher, "svc", millis(20)), "a missing name is no change");
    let first = owner.export("svc");
    assert_eq!(next(&mut watcher, "svc"), Some(first.0));
    assert!(is_quiet(&mut watcher, "svc", millis(20)));
    owner.unregister("svc");
    assert_eq!(next(&mut watcher, "svc"), GONE);
    owner.register("svc", first);
    assert_eq!(next(&mut watcher, "svc"), Some(first.0));
    owner.withdraw();
    assert_eq!(next(&mut watcher, "svc"), GONE);
    let second = owner.export("svc");
    assert_eq!(watcher.expect(NextOfStream::new("svc")), second.0);
    owner.kill();
    assert_eq!(watcher.expect(NextOfStream::new("svc")), 0);
}

#[test]
fn slow_watcher_gets_the_last_state() {
    let system = TestSystem::new();
    let [mut watcher, mut owner] = [system.spawn(), system.spawn()];
    watcher.join();
    let first = owner.export("svc");
    assert_eq!(next(&mut watcher, "svc"), Some(first.0));
    owner.withdraw();
    let last = (0..20).fold(first, |_, _| {
        let iref = owner.export("svc");
        owner.withdraw();
        iref
    });
    // The root has received everything.
    owner.join();
    assert_eq!(next(&mut watcher, "svc"), GONE, "not {last:?} or another before it");
    assert!(is_quiet(&mut watcher, "svc", millis(20)));
}

#[test]
fn watch_survives_the_death_of_the_root() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let [mut watcher, mut owner] = [system.spawn(), system.spawn()];
    let iref = owner.export("svc");
    assert_eq!(next(&mut watcher, "svc"), Some(iref.0));
    root.kill();
    assert!(is_quiet(&mut watcher, "svc", millis(800)), "its owner lives");
    owner.kill();
    assert_eq!(next(&mut watcher, "svc"), GONE);
}

#[test]
fn owner_that_dies_with_the_root_is_reported_gone() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let [mut watcher, mut owner] = [system.spawn(), system.spawn()];
    let iref = owner.export("svc");
    assert_eq!(next(&mut watcher, "svc"), Some(iref.0));
    let change = watcher.start(NextChange::new("svc", TIMEOUT));
    owner.stop();
    root.kill();
    owner.kill();
    assert_eq!(watcher.wait(change), GONE);
}

#[test]
fn watches_are_limited_like_lookups_that_wait() {
    let system = TestSystem::new();
    let [mut root, mut watcher] = [system.spawn(), system.spawn()];
    root.join();
    // A watch counts while it waits, and no longer.
    for _ in 0..2 {
        for i in 0..600 {
            let name = format!("missing {}", i % 8);
            assert!(is_quiet(&mut watcher, &name, millis(0)), "{name}");
        }
    }
    let began = Instant::now();
    let mut owner = system.spawn();
    let iref = owner.export("missing 1");
    assert_eq!(next(&mut watcher, "missing 1"), Some(iref.0));
    assert!(began.elapsed() < TIMEOUT);
    watcher.expect_error(process::NextChange::new("", TIMEOUT));
}
