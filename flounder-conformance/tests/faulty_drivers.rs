//! Drivers that break the contract are caught: each fault by the test of the clause that it breaks.

use core::time::Duration;

use flounder_conformance::faulty::Fault::{self, *};
use flounder_conformance::faulty::{DeathAsClose, pair};
use flounder_conformance::{CLAUSES, Suite, child as run_child};
use flounder_drivers::{lmp::Lmp, loopback::Loopback, ump::Ump};
use flounder_rt::channel::Connector;

/// Timeout of a suite over a faulty driver: most faults are things that never happen.
const TIMEOUT: Duration = Duration::from_millis(250);

/// `lmp`, except that the death of a peer looks like a close: only another process can show that.
static DEATH_AS_CLOSE: DeathAsClose = DeathAsClose(&Lmp);

/// Each fault, over a driver that can have it, and the test that finds it.
const FAULTS: [(Fault, &dyn Connector, &str); 43] = [
    (DropsAMessage, &Loopback, "clause_1_prefix"),
    (SendsAMessageTwice, &Loopback, "clause_1_prefix"),
    (SwapsTwoMessages, &Loopback, "clause_1_prefix"),
    (DeliversWhatWasCutOff, &Ump, "clause_1_prefix_of_what_was_cut_off"),
    (LosesTheLastWord, &Loopback, "clause_2_whole"),
    (SplitsAMessage, &Loopback, "clause_2_whole"),
    (FlipsABit, &Loopback, "clause_2_whole_with_tails"),
    (HandsOutABeginning, &Ump, "clause_2_whole"),
    (LosesACapability, &Loopback, "clause_2_whole_with_capabilities"),
    (SwapsCapabilities, &Loopback, "clause_2_whole_with_capabilities"),
    (Blocks, &Loopback, "clause_3_never_blocks"),
    (TakesWordsBack, &Ump, "clause_4_partial_sends"),
    (BeginsAnew, &Lmp, "clause_4_partial_sends"),
    (KeepsACapability, &Loopback, "clause_4_partial_sends_with_capabilities"),
    (TakesCapabilitiesAndNothingElse, &Loopback, "clause_5_nothing_taken"),
    (TakesWordsAndSaysNone, &Loopback, "clause_5_nothing_taken"),
    (EndsWithAnotherErrorLater, &Ump, "clause_6_total"),
    (ForgivesAnError, &Ump, "clause_6_total"),
    (ForgivesAnError, &Ump, "clause_6_total_for_the_runtime"),
    (ClosesBeforeWhatWasSent, &Loopback, "clause_7_end"),
    (KeepsOnAfterClose, &Loopback, "clause_7_end"),
    (TakesCloseForDeath, &Loopback, "clause_7_end"),
    (ForeseesAnEnd, &Loopback, "clause_7_end_is_foreseen"),
    (ForgetsTheEndThatItForesaw, &Loopback, "clause_7_end_is_foreseen"),
    (IsNotClosedByDrop, &Loopback, "clause_7_end_by_drop"),
    (SendsWhenItIsClosed, &Loopback, "clause_7_end_of_this_side"),
    (ForgetsToWake, &Loopback, "clause_8_sleep_until_a_message"),
    (WakesOnce, &Loopback, "clause_8_sleep_until_a_message"),
    (ForgetsToWakeForRoom, &Loopback, "clause_8_sleep_until_room"),
    (ForgetsToWakeForTheEnd, &Loopback, "clause_8_sleep_until_the_end"),
    (WakesTheOldWaitset, &Loopback, "clause_9_retarget"),
    (IsNeverReady, &Loopback, "clause_10_ready"),
    (IsAlwaysReady, &Loopback, "clause_10_ready"),
    (IsNotReadyForTheEnd, &Loopback, "clause_10_ready"),
    (IsNotReadyForRoom, &Loopback, "clause_10_ready_for_room"),
    (CannotResume, &Loopback, "clause_10_ready_for_room"),
    (OvertakesQuickly, &Loopback, "clause_11_quick_ways"),
    (TakesQuicklyAndSaysNo, &Loopback, "clause_11_quick_ways"),
    (LosesQuicklyWhenFull, &Loopback, "clause_11_quick_ways_when_full"),
    (TakesQuicklyWhatIsNotForIt, &Loopback, "clause_11_quick_ways_leave_the_rest"),
    (HidesQuicklyWhatIsNotForIt, &Loopback, "clause_11_quick_ways_leave_the_rest"),
    (SendsQuicklyAfterTheEnd, &Loopback, "clause_11_quick_ways_at_the_end"),
    (ReportsDoneTooEarly, &Ump, "clause_12_done_is_sent"),
];

/// The test that kills a process.
const BY_DEATH: &str = "clause_7_end_by_death";

#[test]
fn every_fault_is_caught_by_its_clause() {
    for (clause, _) in CLAUSES {
        // Nobody is killed in one dispatcher: see below.
        let is_here = *clause != BY_DEATH;
        assert_eq!(is_here, FAULTS.iter().any(|(_, _, test)| test == clause), "{clause}");
    }

    let mut caught = 0;
    for (fault, driver, clause) in FAULTS {
        match suite(fault, driver).timeout(TIMEOUT).violation(clause) {
            Some(violation) => {
                println!("{fault:?}: {clause}: {}", violation.what);
                caught += 1;
            }
            None => println!("{fault:?} is not caught by {clause}"),
        }
    }
    match Suite::between_processes(&DEATH_AS_CLOSE, "child").violation(BY_DEATH) {
        Some(violation) => {
            println!("DeathAsClose: {BY_DEATH}: {}", violation.what);
            caught += 1;
        }
        None => println!("DeathAsClose is not caught by {BY_DEATH}"),
    }
    let total = FAULTS.len() + 1;
    println!("caught {caught} of {total}");
    assert_eq!(caught, total);
}

/// Not a test by itself: what the second process does.
#[test]
fn child() {
    run_child(&DEATH_AS_CLOSE);
}

/// What hides the channels of a sound driver behind wrappers is sound.
#[test]
fn wrappers_without_a_fault_pass() {
    for driver in [&Loopback as &dyn Connector, &Ump, &Lmp] {
        suite(NoFault, driver).run();
        suite(SlowPathsOnly, driver).run();
    }
}

fn suite(fault: Fault, driver: &dyn Connector) -> Suite<'_> {
    Suite::in_one_dispatcher(move |client, service| pair(fault, driver, client, service))
}
