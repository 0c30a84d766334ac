//! Names that another process takes over, and services that drain.

use std::time::Instant;

use flounder_test_support::process::{
    Add, BindTo, Drain, LookupRepeatedly, RegisterRepeatedly, TakeOver, WaitUntilLost,
};
use flounder_test_support::protocol::{Driver, Event};
use flounder_test_support::{TIMEOUT, TestProcess, TestSystem, millis, process, taken_by};

/// A user other than that of the tests.
const ANN: u32 = 54_321;

#[test]
fn name_is_taken_over_without_a_gap() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let [mut first, mut second, mut looker] = [(); 3].map(|()| system.spawn());
    first.export("svc");
    looker.join();
    let lookups = looker.start(LookupRepeatedly::new("svc", millis(400)));
    looker.wait_for(&Event::Looking);
    let lost = first.start(WaitUntilLost::new("svc"));
    let mut last = second.expect(TakeOver::new("svc"));
    assert_eq!(first.wait(lost), second.pid());
    for _ in 0..10 {
        first.expect(TakeOver::new("svc"));
        last = second.expect(TakeOver::new("svc"));
    }
    let lookups = looker.wait(lookups);
    assert_eq!(lookups.failed, 0, "{lookups:?}");
    assert_eq!(looker.lookup("svc"), last);
    assert_eq!(first.expect_error(process::Export::new("svc")), taken_by(second.pid()));
    // The services that lost the name end, and it stays.
    for _ in 0..11 {
        first.withdraw();
    }
    first.join();
    assert_eq!(looker.lookup("svc"), last);
}

#[test]
fn taken_name_stays_with_its_new_owner_when_the_root_dies() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let [mut old, mut new, mut other] = [(); 3].map(|()| system.spawn());
    old.export("svc");
    other.join();
    let iref = new.expect(TakeOver::new("svc"));
    new.stop();
    root.kill();
    let attempts = other.start(RegisterRepeatedly::new("svc", millis(200)));
    assert_eq!(other.wait(attempts).granted, 0);
    old.join();
    assert_eq!(old.lookup("svc"), iref);
    new.go_on();
    assert_eq!(other.await_name_for("svc", millis(5000)), iref);
}

#[test]
fn name_of_another_user_is_not_taken_over() {
    let system = TestSystem::new();
    let _daemon = system.spawn_root(&[ANN]);
    let Some(mut ann) = system.spawn_as(ANN) else { return };
    let mut own = system.spawn();
    let iref = ann.export("svc");
    assert_eq!(own.expect_error(TakeOver::new("svc")), taken_by(ann.pid()));
    own.export("own");
    assert_eq!(ann.expect_error(TakeOver::new("own")), taken_by(own.pid()));
    assert_eq!(own.lookup("svc"), iref);
}

#[test]
fn flood_of_hand_overs_costs_a_stopped_owner_one_connection() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let [mut owner, mut taker] = [system.spawn(), system.spawn()];
    let iref = owner.export("other");
    for i in 0..200 {
        owner.register(&format!("n{i}"), iref);
    }
    owner.stop();
    for i in 0..200 {
        taker.expect(TakeOver::new(&format!("n{i}")));
    }
    owner.go_on();
    assert_eq!(owner.expect(WaitUntilLost::new("n199")), taker.pid());
    assert_eq!(taker.await_name_for("other", TIMEOUT), iref);
}

/// A service, and a client that is bound to it.
fn bound(system: &TestSystem) -> (TestProcess, TestProcess) {
    let mut service = system.spawn();
    service.export("svc");
    let mut client = system.spawn();
    client.bind(Driver::Ump, "svc");
    (service, client)
}

#[test]
fn draining_service_lets_its_clients_finish() {
    let system = TestSystem::new();
    let (mut service, mut client) = bound(&system);
    let iref = client.lookup("svc");
    let drained = service.start(Drain::new(TIMEOUT));
    // Until the service has begun to drain, it admits clients.
    let deadline = Instant::now() + TIMEOUT;
    let refused = loop {
        match client.run(BindTo::new(Driver::Ump, iref)) {
            Ok(_) => assert!(Instant::now() < deadline, "it drains"),
            Err(refused) => break refused,
        }
    };
    assert!(refused.starts_with("NoService"), "{refused}");
    assert_eq!(client.expect(Add::new(1, 2)), 3, "it is bound");
    client.unbind();
    assert_eq!(service.wait(drained), 0);
}

#[test]
fn draining_service_closes_what_is_left_at_its_deadline() {
    let system = TestSystem::new();
    let (mut service, mut client) = bound(&system);
    assert_eq!(service.expect(Drain::new(millis(50))), 1);
    client.wait_for_client_error("Closed");
    assert_eq!(service.service_errors(), 0);
}
