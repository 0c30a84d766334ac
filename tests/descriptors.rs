//! Number of descriptors that a client process costs its service.

use flounder_test_support as support;
use support::protocol::Driver;
use support::{TestProcess, TestSystem};

const CLIENTS: u32 = 8;

#[test]
fn test_process() {
    support::process::run();
}

/// Clients, each bound twice over `driver`; the second binding costs nothing where channels hold no descriptors.
fn clients(system: &TestSystem, driver: Driver) -> Vec<TestProcess> {
    (0..CLIENTS)
        .map(|_| {
            let mut client = system.spawn();
            client.bind(driver, "echo");
            client.talk(100);
            client
        })
        .collect()
}

/// The link, the pidfd, and both ends of doorbells.
#[test]
fn client_process_costs_its_service_four_descriptors() {
    for driver in [Driver::Ump, Driver::Scc, Driver::Beehive] {
        let system = TestSystem::new();
        let mut root = system.spawn();
        root.join();
        let mut server = system.spawn();
        server.export("echo");
        let before = server.descriptors();
        let clients = clients(&system, driver);
        server.settle_at(before + 4 * CLIENTS);
        println!("{driver}: {:?}", server.list_descriptors());
        drop(clients);
        server.settle_at(before);
    }
}

/// And the connection to the root, whose pidfd is that of the link.
#[test]
fn client_process_costs_a_service_that_is_the_root_five() {
    let system = TestSystem::new();
    let mut server = system.spawn();
    server.export("echo");
    let before = server.descriptors();
    let clients = clients(&system, Driver::Ump);
    server.settle_at(before + 5 * CLIENTS);
    drop(clients);
    server.settle_at(before);
}

#[test]
fn service_near_its_limit_of_descriptors_warns() {
    let system = TestSystem::new();
    let mut server = system.spawn_with_log();
    server.export("echo");
    // Below seven eighths of the limit of test processes, nothing is said.
    let first = clients(&system, Driver::Ump);
    assert_eq!(system.log(), "");
    server.exhaust_descriptors(64);
    let second = clients(&system, Driver::Ump);
    system.wait_for_log("this process is near its limit of descriptors");
    drop((first, second));
}
