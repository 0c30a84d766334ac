//! Pings of services.

use flounder_test_support::process::{BlockThread, Ping};
use flounder_test_support::protocol::Event;
use flounder_test_support::raw_monitor::RawMonitor;
use flounder_test_support::raw_monitor::protocol::intermon;
use flounder_test_support::{TIMEOUT, TestSystem, millis};

/// Pings that one process may have waiting at another.
const LIMIT: u64 = 1024;

#[test]
fn ping_is_answered_by_the_waitset_of_the_service() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let [mut client, mut service] = [system.spawn(), system.spawn()];
    service.export("svc");
    for _ in 0..100 {
        client.expect(Ping::new("svc", TIMEOUT));
    }
    assert_eq!(client.expect_error(Ping::new("unknown", TIMEOUT)), "Unknown");
    // The process lives, its monitor as well, and the service is stuck.
    let busy = service.start(BlockThread::new(millis(400)));
    service.wait_for(&Event::Busy);
    assert_eq!(client.expect_error(Ping::new("svc", millis(50))), "Deadline(Service)");
    service.wait(busy);
    client.expect(Ping::new("svc", TIMEOUT));
    service.stop();
    assert_eq!(client.expect_error(Ping::new("svc", millis(50))), "Deadline(Service)");
    service.go_on();
    client.expect(Ping::new("svc", TIMEOUT));
    // Within a process: the thread that waits would have to answer.
    assert_eq!(service.expect_error(Ping::new("svc", millis(50))), "Deadline(Service)");
    let waiting = client.start(Ping::new("svc", TIMEOUT));
    client.wait(waiting);
    service.kill();
    let error = client.expect_error(Ping::new("svc", TIMEOUT));
    assert_eq!(error, "Unknown");
}

#[test]
fn flood_of_pings_is_limited_and_costs_the_service_nothing_else() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let [mut service, mut client] = [system.spawn(), system.spawn()];
    let iref = service.export("svc").iref();
    client.expect(Ping::new("svc", TIMEOUT));
    let before = service.count();
    let raw_monitor = RawMonitor::join(&system, 77);
    let link = raw_monitor.link(iref);
    let busy = service.start(BlockThread::new(millis(700)));
    service.wait_for(&Event::Busy);
    let send = |number| {
        let sent = link.binding.send_ping(number, iref);
        let sent = raw_monitor.waitset().block_on(sent).expect("no callback fails");
        sent.expect("the monitor reads");
    };
    (0..LIMIT).for_each(send);
    (LIMIT..LIMIT + 20).for_each(|number| {
        send(number);
        assert_eq!(link.hear(), format!("pong {number} TooMany"));
    });
    service.wait(busy);
    for number in 0..LIMIT {
        assert_eq!(link.hear(), format!("pong {number} Alive"));
    }
    // All charges are returned.
    (0..10).for_each(|number| {
        send(number);
        assert_eq!(link.hear(), format!("pong {number} Alive"));
    });
    // An answer that nobody waits for changes nothing.
    let sent = link.binding.send_pong(7, intermon::Health::Alive);
    raw_monitor.waitset().block_on(sent).expect("no callback fails").expect("it is sent");
    send(5);
    assert_eq!(link.hear(), "pong 5 Alive");
    drop((link, raw_monitor));
    client.expect(Ping::new("svc", TIMEOUT));
    service.settle(&before);
}
