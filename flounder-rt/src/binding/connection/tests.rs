//! Programs of many seeds, and those that the fuzzer found worth keeping.

use std::path::Path;

use super::programs::{Choices, INTERFACE, run};
use super::*;
use crate::channel::{CapRefusal, ChannelError, Progress};
use crate::wire::Gather;

/// Steps of all programs together; the variable `FLOUNDER_CONNECTION_STEPS` asks for another number.
const STEPS: u64 = 1_000_000;

/// Steps of one program.
const STEPS_OF_ONE: u64 = 2_000;

#[test]
fn random_programs_keep_every_promise() {
    let steps = std::env::var("FLOUNDER_CONNECTION_STEPS");
    let steps = steps.map_or(STEPS, |steps| steps.parse().expect("a number of steps"));
    let mut calls = 0;
    for seed in 0..steps.div_ceil(STEPS_OF_ONE) {
        let ended = std::panic::catch_unwind(|| run(Choices::from_seed(seed, STEPS_OF_ONE)));
        calls += ended.unwrap_or_else(|panic| {
            eprintln!("the program of seed {seed} failed");
            std::panic::resume_unwind(panic)
        });
    }
    assert!(calls > steps / 100, "{calls} calls are too few to show anything");
}

/// Programs of the fuzz target `connection`, which CI runs with any compiler.
#[test]
fn kept_programs_keep_every_promise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/connection");
    // A packed crate has no corpus.
    let Ok(programs) = corpus.read_dir() else { return };
    let mut count = 0;
    for entry in programs {
        let path = entry.expect("the folder can be read").path();
        let program = std::fs::read(&path).expect("the program can be read");
        let ended = std::panic::catch_unwind(|| run(Choices::from_bytes(&program)));
        if let Err(panic) = ended {
            eprintln!("the program {} failed", path.display());
            std::panic::resume_unwind(panic)
        }
        count += 1;
    }
    assert!(count >= 20, "{count} programs are too few to show anything");
}

/// A binding that has ended fails new calls at once, however many were under way when it did.
#[test]
fn call_on_ended_binding_is_refused_when_window_was_full() {
    let mut machine = Connection::<u32, u64>::new(&INTERFACE);
    for _ in 0..CALL_WINDOW {
        let id = machine.calls().next();
        machine.calls().begin(id, true);
    }
    let (place, turn) = (Position::default(), Position::default());
    let sender = Sender::Call { place: &place, turn: &turn };
    assert_eq!(machine.rule(sender), Rule::WaitForPlace);
    assert!(machine.end(&BindingError::Closed));
    machine.begin_closing(false);
    assert_eq!(machine.rule(sender), Rule::Refuse);
}

/// The slot may still hold words of an earlier message where the channel has taken those of this one.
#[test]
fn partly_sent_call_fails_when_its_capabilities_are_refused() {
    use super::programs::{CALL, NOTE};
    let mut machine = Connection::<u32, u64>::new(&INTERFACE);
    machine.stash(NOTE, Gather::words_only(&[9, 9, 9]), &mut Vec::new(), 0, 0);
    assert_eq!(machine.took(Ok(Progress::Done)), Took::All);
    let id = machine.calls().next();
    machine.calls().begin(id, false);
    machine.stash(CALL, Gather::words_only(&[u64::from(id), 7]), &mut Vec::new(), 1, 1);
    machine.calls().accepted(id);
    let refused = Err(ChannelError::Caps(CapRefusal::SenderLimit));
    assert_eq!(machine.took(refused), Took::Lost);
    let result = machine.calls().take(id).map(|result| result.map(drop));
    assert_eq!(result, Some(Err(RpcError::CapsRefused(CapRefusal::SenderLimit))));
}
