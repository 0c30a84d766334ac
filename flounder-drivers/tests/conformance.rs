//! Every driver keeps the contract: within a dispatcher, within a process, and half by half as between two processes.

use flounder_drivers::conformance::{self, TestLink};
use flounder_drivers::scc::model::Mood;
use flounder_drivers::scc::{Model, Scc};
use flounder_drivers::{beehive::Beehive, lmp::Lmp, loopback::Loopback, ump::Ump};
use flounder_rt::channel::{Connector, End, Pair};

fn within_process(driver: &dyn Connector, client: &End, service: &End) -> Pair {
    driver.pair_local(client, service).expect("the driver reaches its own process")
}

#[test]
fn loopback() {
    conformance::run(&|client, service| within_process(&Loopback, client, service));
}

#[test]
fn lmp() {
    conformance::run(&|client, service| within_process(&Lmp, client, service));
}

#[test]
fn lmp_half_by_half() {
    conformance::run(&|client, service| TestLink::connect(&Lmp, client, service));
}

#[test]
fn ump() {
    conformance::run(&|client, service| within_process(&Ump, client, service));
}

#[test]
fn ump_with_the_smallest_rings() {
    conformance::run(&|client, service| {
        within_process(
            &Ump,
            &End { buffer: 1, ..client.clone() },
            &End { buffer: 1, ..service.clone() },
        )
    });
}

#[test]
fn ump_with_rings_of_two_sizes() {
    conformance::run(&|client, service| {
        within_process(
            &Ump,
            &End { buffer: 1, ..client.clone() },
            &End { buffer: 1 << 18, ..service.clone() },
        )
    });
}

#[test]
fn ump_half_by_half() {
    conformance::run(&|client, service| TestLink::connect(&Ump, client, service));
}

#[test]
fn ump_half_by_half_with_rings_of_two_sizes() {
    conformance::run(&|client, service| {
        TestLink::connect(
            &Ump,
            &End { buffer: 4096, ..client.clone() },
            &End { buffer: 12288, ..service.clone() },
        )
    });
}

#[test]
fn scc() {
    conformance::run(&|client, service| within_process(&Scc, client, service));
}

#[test]
fn scc_with_rings_of_two_sizes() {
    conformance::run(&|client, service| {
        within_process(
            &Scc,
            &End { buffer: 1, ..client.clone() },
            &End { buffer: 1 << 18, ..service.clone() },
        )
    });
}

#[test]
#[cfg(target_arch = "x86_64")]
fn scc_half_by_half() {
    conformance::run(&|client, service| TestLink::connect(&Scc, client, service));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn scc_half_by_half_with_the_smallest_rings() {
    conformance::run(&|client, service| {
        TestLink::connect(
            &Scc,
            &End { buffer: 1, ..client.clone() },
            &End { buffer: 1, ..service.clone() },
        )
    });
}

#[test]
fn scc_over_a_lazy_model() {
    let scc = Scc::over(&Model::with_mood(1, Mood::LAZY));
    conformance::run(&|client, service| {
        within_process(
            &scc,
            &End { buffer: 1, ..client.clone() },
            &End { buffer: 1, ..service.clone() },
        )
    });
}

#[test]
fn scc_over_a_restless_model() {
    // A doorbell that is refused is rung by the next call, and these tests wait for it without one.
    let mood = Mood { refuses: 0, ..Mood::RESTLESS };
    let scc = Scc::over(&Model::with_mood(2, mood));
    conformance::run(&|client, service| within_process(&scc, client, service));
}

#[test]
fn beehive() {
    conformance::run(&|client, service| within_process(&Beehive, client, service));
}

#[test]
fn beehive_with_windows_of_two_sizes() {
    conformance::run(&|client, service| {
        within_process(
            &Beehive,
            &End { buffer: 1, ..client.clone() },
            &End { buffer: 1 << 18, ..service.clone() },
        )
    });
}

#[test]
fn beehive_half_by_half() {
    conformance::run(&|client, service| TestLink::connect(&Beehive, client, service));
}

#[test]
fn beehive_half_by_half_with_windows_of_two_sizes() {
    conformance::run(&|client, service| {
        TestLink::connect(
            &Beehive,
            &End { buffer: 4096, ..client.clone() },
            &End { buffer: 1, ..service.clone() },
        )
    });
}
