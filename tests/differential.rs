//! The same program, over every driver: both ends see the same.
//!
//! A program is a list of operations on both ends of a binding, made from a seed: messages of all shapes and sizes, with
//! continuations and without, calls, capabilities, `register_send`, `change_waitset`, control operations, turns of one
//! waitset or another, teardown at any moment from either end or in a handler, and a new bind. It is played in one thread,
//! over each driver as it is within a process, and again as it is between two, with both halves here. What handlers,
//! continuations, callbacks, calls and error handlers see is written down, and what each operation returns; these traces
//! have to be equal, word for word.
//!
//! # What is no part of a trace
//! Channels are of different sizes, so it is a matter of the driver
//! - *when* a send finds the binding busy: the program sends the same message again later, and capabilities that come back
//!   must be the same; messages of an end are accepted in one order and must be received in just that order (each carries its
//!   number), but where echoes come to lie among them is left out, because these are sent when they can be;
//! - *when* within the program a handler runs: what has happened is written down where the program waits for everything that
//!   was begun, by kind and end, each in its order; continuations are in the order of their messages unless the end moved
//!   to another waitset, where a later one may run before one that was left behind;
//! - *how far* things got when an end is torn down at once: at least what the channel had taken arrives, at most what was
//!   accepted, in order and once; every continuation runs or is dropped; every call ends; a call that was answered has the
//!   right answer. The peer gets `Closed`, once, and that is in the trace.
//!
//! # To run it
//! `FLOUNDER_DIFFERENTIAL_OPS` is the number of operations over each driver, two thousand by default; `ci/differential.sh`
//! plays 100,000, and any number may be given. A failure names the seed of its program and shows a program that was made as
//! short as it could be. `FLOUNDER_DIFFERENTIAL_SEED` begins with another seed than 1.

use std::env;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

#[path = "differential/faulty_drivers.rs"]
mod faulty_drivers;
#[path = "differential/program.rs"]
mod program;
#[path = "differential/runner.rs"]
mod runner;
#[path = "differential/session.rs"]
mod session;
#[path = "differential/shrink.rs"]
mod shrink;
#[path = "differential/split_drivers.rs"]
mod split_drivers;
#[path = "differential/test_message.rs"]
mod test_message;

use program::{Manner, Op, Program, Side};
use runner::{Outcome, play as perform};
use shrink::shrink;

flounder::flounder! {
    @symmetric
    interface play "Every kind of message" {
        typedef enum { RED, GREEN, BLUE } colour;
        typedef struct { uint32 x; uint8 y; colour c; } point;
        typedef union { uint32 number; string text[300]; point p; } any;

        message hello();
        message tick(uint32 at);
        message scalars(uint32 at, bool a, uint8 b, int16 c, int64 d, double e, colour f, point p);
        message text(uint32 at, string s[65536]);
        message bytes(uint32 at, uint8 b[b_len, 65536]);
        message words(uint32 at, uint64 w[w_len, 9000]);
        message pieces(uint32 at, string s[5000], uint16 h[h_len, 5000], uint8 n[n_len, 5000], string t[300]);
        message items(uint32 at, point points[points_len, 600], string names[names_len, 40]);
        message gift(uint32 at, give_away_cap c, string s[2000]);
        message lent(uint32 at, cap c, uint64 w[w_len, 600]);
        message seven(uint32 at, cap a, cap b, give_away_cap c, cap d, cap e, give_away_cap f, cap g);
        message parts(uint32 at, optional string s[3000], optional uint64 w[w_len, 600], any u, optional point p, optional cap c,
                      cap list[list_len, 3], optional give_away_cap g);
        message data(uint32 at, bulk a[65536], bulk b[65536]);
        message sealed(uint32 at, bulk a[65536], give_away_cap c);
        message echo(uint32 at, uint8 b[b_len, 2000]);
        message echoed(uint32 at, uint8 b[b_len, 2000]);
        message bye();
        rpc sum(in uint32 at, in uint64 a, in uint64 b, out uint64 sum);
        rpc turn(in uint32 at, in string s[3000], out string t[3000]);
        rpc swap(in uint32 at, in give_away_cap c, out cap d);
        rpc mirror(in uint32 at, in bulk data[65536], out bulk same[65536]);
        rpc keep(in uint32 at, out uint32 n);
        rpc never(in uint32 at);
    };
}

/// The drivers, as they are within a process and between two. The first is what the others are compared with.
fn drivers() -> Vec<&'static str> {
    let near = ["loopback", "lmp", "ump", "scc", "beehive"];
    near.into_iter().chain(split_drivers::register_all()).collect()
}

const REFERENCE: &str = "loopback";

/// The longest that anything may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The same, for programs that are known to go wrong.
const IMPATIENCE: Duration = Duration::from_millis(500);

/// Programs count the descriptors of the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => default,
    }
}

#[test]
fn every_driver_shows_the_same() {
    let _alone = alone();
    let ops = number("FLOUNDER_DIFFERENTIAL_OPS", 2000);
    let first = number("FLOUNDER_DIFFERENTIAL_SEED", 1);
    let drivers = warm_up();
    let (began, mut played, mut arrived, mut seed) = (Instant::now(), 0, 0, first);
    let mut effort = vec![(Duration::ZERO, 0); drivers.len()];
    while played < ops {
        let program = Program::random(seed);
        let mut reference = None;
        for (driver, (took, busy)) in drivers.iter().zip(&mut effort) {
            let began = Instant::now();
            let outcome = perform(&program, driver, TIMEOUT);
            *took += began.elapsed();
            *busy += outcome.busy;
            match &reference {
                None => {
                    arrived += outcome.arrived;
                    if !outcome.broken.is_empty() {
                        report(seed, &program, REFERENCE, driver);
                    }
                    reference = Some(outcome);
                }
                Some(reference) if agree(reference, &outcome) => {}
                Some(_) => {
                    println!("over {driver}, at first: {:?}", outcome.broken);
                    report(seed, &program, REFERENCE, driver);
                }
            }
        }
        played += program.ops.len() as u64;
        seed += 1;
    }
    println!(
        "{played} operations over each of {}, of programs {first} to {}: the same traces; {arrived} messages and calls \
         arrived over {}, in {:.1?}",
        drivers.join(", "),
        seed - 1,
        REFERENCE,
        began.elapsed(),
    );
    for (driver, (took, busy)) in drivers.iter().zip(effort) {
        println!("  {driver}: {took:.1?}; the binding was busy {busy} times");
    }
}

/// Strings and arrays of every length at which a word, a line, a frame or a buffer ends; and one more than the maximum.
#[test]
fn every_length_arrives_over_every_driver() {
    let _alone = alone();
    let drivers = warm_up();
    // Without optimisation the smallest buffers alone take long enough.
    let buffers: &[usize] = if cfg!(debug_assertions) { &[1] } else { &[0, 1, 1 << 18] };
    for &buffer in buffers {
        let program = Program::boundaries(buffer);
        let reference = perform(&program, REFERENCE, TIMEOUT);
        assert_eq!(reference.broken, [""; 0]);
        for driver in &drivers[1..] {
            let outcome = perform(&program, driver, TIMEOUT);
            assert_eq!(outcome.broken, [""; 0], "over {driver}");
            if let Some(line) = first_difference(&reference, &outcome) {
                panic!("over {driver} with a buffer of {buffer}: {line}");
            }
        }
        println!("buffer {buffer}: {} messages over each driver", reference.arrived);
    }
}

/// The notice that a call gets no reply comes in a run of messages: the call ends all the same.
#[test]
fn notice_behind_a_stream_ends_its_call() {
    let _alone = alone();
    for driver in warm_up() {
        for messages in [10, 60, 100] {
            let ops = vec![Op::Burst(Side::Service, messages), Op::Call(program::Call::Never)];
            let outcome = perform(&Program { buffer: 0, ops }, driver, TIMEOUT);
            assert_eq!(outcome.broken, [""; 0], "{driver}, behind {messages}");
        }
    }
}

/// A driver that reports something else, or loses a message, is found with a short program.
#[test]
fn differing_driver_is_found_by_a_short_program() {
    let _alone = alone();
    warm_up();
    for (driver, warp) in faulty_drivers::register_all() {
        let differs = |program: &Program| {
            let reference = perform(program, REFERENCE, IMPATIENCE);
            !agree(&reference, &perform(program, driver, IMPATIENCE))
        };
        let seed = (1..50).find(|seed| differs(&Program::random(*seed)));
        let seed = seed.unwrap_or_else(|| panic!("a driver that {warp} is not found"));
        let short = shrink(&Program::random(seed), 60, differs);
        println!("a driver that {warp} is found by program {seed}, or by {:?}", short.ops);
        assert!(short.ops.len() < 40, "{} operations are left", short.ops.len());
    }
}

/// The drivers, once what a process opens once and keeps is open, before anybody counts.
fn warm_up() -> Vec<&'static str> {
    let drivers = drivers();
    // A link gives its descriptors away with its first channels.
    let ops = vec![Op::Rest(0), Op::Teardown(Side::Client, Manner::Settled), Op::Bind, Op::Settle];
    for driver in &drivers {
        perform(&Program { buffer: 0, ops: ops.clone() }, driver, TIMEOUT);
    }
    drivers
}

fn agree(reference: &Outcome, outcome: &Outcome) -> bool {
    reference.broken.is_empty() && outcome.broken.is_empty() && reference.trace == outcome.trace
}

fn first_difference(reference: &Outcome, outcome: &Outcome) -> Option<String> {
    let (ours, theirs) = (&reference.trace, &outcome.trace);
    let at = (0..ours.len().max(theirs.len())).find(|at| ours.get(*at) != theirs.get(*at))?;
    Some(format!("line {at} is\n  {:?}, not\n  {:?}", theirs.get(at), ours.get(at)))
}

/// Formats a program over which two drivers differ, with both traces.
fn report(seed: u64, program: &Program, reference: &str, driver: &str) -> ! {
    let outcomes =
        |program: &Program| [reference, driver].map(|driver| perform(program, driver, TIMEOUT));
    let differs = |program: &Program| {
        let [ours, theirs] = [reference, driver].map(|it| perform(program, it, IMPATIENCE * 4));
        !agree(&ours, &theirs)
    };
    let [ours, theirs] = outcomes(program);
    let short = shrink(program, 200, differs);
    let [short_ours, short_theirs] = outcomes(&short);
    panic!(
        "program {seed} over {driver}, compared with {reference}: {}\nbroken: {:?}, {:?}\n\
         short: {short:#?}\n{}\nbroken: {:?}, {:?}",
        first_difference(&ours, &theirs).unwrap_or_default(),
        ours.broken,
        theirs.broken,
        first_difference(&short_ours, &short_theirs).unwrap_or_default(),
        short_ours.broken,
        short_theirs.broken,
    );
}
