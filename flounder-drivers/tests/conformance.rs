//! Every driver keeps the contract: in one dispatcher, between threads, between processes, and half by half in one process;
//! with buffers of all sizes.

use flounder_conformance::conformance_tests;
use flounder_conformance::{LIMITS, Suite, TestLink, WakeCounter};
#[cfg(feature = "beehive")]
use flounder_drivers::beehive::Beehive;
#[cfg(feature = "scc")]
use flounder_drivers::scc::{Model, Scc, model::FaultRates};
use flounder_drivers::{lmp::Lmp, loopback::Loopback, ump::StartingAt, ump::Ump};
use flounder_rt::channel::{Connector, Incoming, Outgoing, Progress, Recv};
use flounder_rt::wire::Gather;

conformance_tests!(loopback: Loopback; in_one_dispatcher);
conformance_tests!(lmp: Lmp; in_one_dispatcher, between_threads, between_processes);
conformance_tests!(ump: Ump; in_one_dispatcher, between_threads, between_processes);
#[cfg(feature = "scc")]
conformance_tests!(scc: Scc; in_one_dispatcher, between_threads);
#[cfg(feature = "beehive")]
conformance_tests!(beehive: Beehive; in_one_dispatcher, between_threads, between_processes);

#[cfg(all(feature = "scc", target_arch = "x86_64"))]
conformance_tests!(scc_on_this_machine: Scc; between_processes);

/// Over channels made within the process.
fn near(driver: &dyn Connector) -> Suite<'_> {
    Suite::in_one_dispatcher(|client, service| {
        driver.pair_local(client, service).expect("the driver reaches its own process")
    })
}

/// Over channels made half by half, as between processes.
fn half_by_half(driver: &dyn Connector) -> Suite<'_> {
    Suite::in_one_dispatcher(|client, service| TestLink::connect(driver, client, service))
}

/// Returns the suite of [`half_by_half`] over links whose drivers send capabilities with the doorbell, unless it is full.
fn with_doorbells(driver: &dyn Connector) -> Suite<'_> {
    Suite::in_one_dispatcher(|client, service| TestLink::connect_carrying(driver, client, service))
}

#[test]
fn ump_with_capabilities_in_doorbells() {
    with_doorbells(&Ump).run();
    with_doorbells(&Ump).buffers(1, 1).run();
}

#[test]
#[cfg(all(feature = "scc", target_arch = "x86_64"))]
fn scc_with_capabilities_in_doorbells() {
    with_doorbells(&Scc).run();
}

#[test]
fn lmp_half_by_half() {
    half_by_half(&Lmp).run();
}

#[test]
fn ump_half_by_half() {
    half_by_half(&Ump).run();
}

#[test]
#[cfg(all(feature = "scc", target_arch = "x86_64"))]
fn scc_half_by_half() {
    half_by_half(&Scc).run();
}

#[cfg(feature = "beehive")]
#[test]
fn beehive_half_by_half() {
    half_by_half(&Beehive).run();
}

#[test]
fn ump_with_the_smallest_rings() {
    near(&Ump).buffers(1, 1).run();
}

#[test]
fn ump_with_rings_of_two_sizes() {
    near(&Ump).buffers(1, 1 << 18).run();
    half_by_half(&Ump).buffers(4096, 12288).run();
}

#[cfg(feature = "scc")]
#[test]
fn scc_with_rings_of_two_sizes() {
    near(&Scc).buffers(1, 1 << 18).run();
}

#[test]
#[cfg(all(feature = "scc", target_arch = "x86_64"))]
fn scc_half_by_half_with_the_smallest_rings() {
    half_by_half(&Scc).buffers(1, 1).run();
}

#[cfg(feature = "scc")]
#[test]
fn scc_over_a_model_without_faults() {
    let scc = Scc::over(&Model::with_faults(1, FaultRates::NONE));
    near(&scc).buffers(1, 1).run();
}

#[cfg(feature = "scc")]
#[test]
fn scc_over_a_model_with_frequent_faults() {
    // A doorbell that is refused is rung by the next call, and these tests wait for it without one.
    let faults = FaultRates { refuses: 0, ..FaultRates::FREQUENT };
    near(&Scc::over(&Model::with_faults(2, faults))).run();
}

#[cfg(feature = "beehive")]
#[test]
fn beehive_with_windows_of_two_sizes() {
    near(&Beehive).buffers(1, 1 << 18).run();
    half_by_half(&Beehive).buffers(4096, 1).run();
}

/// Positions near the wrap of the tag in a line, of 32 bits, and near their own. Those of beehive are of 16 bits: every long
/// message takes them round.
const NEAR_THE_WRAP: [u64; 2] = [u32::MAX as u64 - 100, u64::MAX - 100];

#[test]
fn ump_with_positions_near_their_wrap() {
    for start in NEAR_THE_WRAP {
        near(&StartingAt(start)).buffers(1, 1).run();
        let between = |client: &_, service: &_| {
            StartingAt(start).pair(client, service).expect("it reaches other threads")
        };
        Suite::between_threads(between).run();
    }
}

#[cfg(feature = "scc")]
#[test]
fn scc_with_positions_near_their_wrap() {
    for start in NEAR_THE_WRAP {
        let scc = Scc::over(&Model::with_faults(3, FaultRates::NONE)).starting_at(start);
        // A ring of thirty lines is gone round in each long message.
        near(&scc.with_lines(31)).run();
    }
}

/// All of it is there, and yet others have a turn while it is taken.
#[test]
fn long_message_is_received_in_several_calls() {
    let drivers: &[&dyn Connector] = &[
        &Ump,
        #[cfg(feature = "scc")]
        &Scc,
    ];
    for driver in drivers {
        let (mut client, mut service) =
            driver.pair(&WakeCounter::new().1, &WakeCounter::new().1).expect("it is near");
        let words = [7; 3000];
        let body = Gather::words_only(&words);
        let mut message = Outgoing { number: 1, body, caps: &mut Vec::new(), cap_count: 0 };
        assert_eq!(client.send(&mut message, 0), Ok(Progress::Done));
        let mut incoming = Incoming::new(LIMITS);
        assert_eq!(service.recv(&mut incoming), Ok(Recv::More), "{}", driver.name());
        while service.recv(&mut incoming) == Ok(Recv::More) {}
        assert_eq!(incoming.words(), words, "{}", driver.name());
    }
}
