//! Every interleaving of the three protocols between the threads of waitsets, in their shipped source: who must ring for a
//! sleeper (`gate.rs`), who polls, waits and gets events (`worker_pool.rs`), and who runs a source (`claim.rs`).

mod loom_support;

use loom_support::sync;

#[path = "../src/waitset/claim.rs"]
mod claim;
#[path = "../src/waitset/gate.rs"]
mod gate;
#[path = "../src/waitset/priority.rs"]
#[expect(unreachable_pub, reason = "the crate exports it")]
mod priority;
#[path = "../src/waitset/worker_pool.rs"]
mod worker_pool;

use core::convert::Infallible;
use std::sync::Arc;

use claim::{After, Claim, Rest};
use gate::Gate;
use loom::thread;
use loom_support::{Bell, model};
use sync::Mutex;
use worker_pool::{Kernel, Ranked, Wait, WorkerPool};

/// Posters put in and ring; the sleeper takes out and blocks in between. A lost wake-up is a deadlock.
fn gate_model(preemptions: Option<usize>, posters: usize) {
    #[derive(Default)]
    struct Shared {
        gate: Option<Gate>,
        queue: Mutex<Vec<usize>>,
        bell: Bell,
    }
    impl Shared {
        fn gate(&self) -> &Gate {
            self.gate.as_ref().expect("it was put there")
        }
    }
    model(preemptions, move || {
        let shared = Arc::new(Shared { gate: Some(Gate::new()), ..Shared::default() });
        for n in 0..posters {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.queue.lock().push(n);
                if shared.gate().announce() {
                    shared.bell.ring();
                }
            });
        }
        let mut taken = Vec::new();
        while taken.len() < posters {
            if shared.gate().is_pending() {
                shared.gate().clear();
                taken.append(&mut shared.queue.lock());
            } else {
                if shared.gate().sleep() {
                    shared.bell.wait();
                }
                shared.gate().awake();
            }
        }
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..posters));
    });
}

#[test]
fn no_wake_up_of_a_sleeper_is_lost() {
    gate_model(None, 1);
    gate_model(Some(3), 2);
}

/// The kernel, with descriptors that fire.
#[derive(Default)]
struct Host {
    fired: Mutex<Vec<u32>>,
    bell: Bell,
    /// The wake-up descriptor exists only once a thread is about to block.
    prepared: sync::AtomicBool,
}

impl Ranked for u32 {}

impl Kernel<u32> for Host {
    type Error = Infallible;

    fn poll(&self, wait: Wait, found: &mut Vec<u32>) -> Result<(), Infallible> {
        match wait {
            Wait::Not => self.bell.forget(),
            Wait::Until(_) => self.bell.wait(),
        }
        found.append(&mut self.fired.lock());
        Ok(())
    }

    fn prepare(&self) -> Result<(), Infallible> {
        self.prepared.store(true, sync::Ordering::Release);
        Ok(())
    }

    fn interrupt(&self) {
        if self.prepared.load(sync::Ordering::Acquire) {
            self.bell.ring();
        }
    }
}

struct Threads {
    pool: WorkerPool<u32>,
    host: Host,
}

impl Threads {
    fn new() -> Arc<Self> {
        Self::looking_around_after(64)
    }

    fn looking_around_after(events: u32) -> Arc<Self> {
        Arc::new(Self { pool: WorkerPool::new(events), host: Host::default() })
    }

    fn give(&self, event: u32) {
        self.pool.give(&self.host, event);
    }

    /// Only the thread that polls learns of this one.
    fn fire(&self, event: u32) {
        self.host.fired.lock().push(event);
        self.host.bell.ring();
    }

    fn take(&self) -> u32 {
        loop {
            let Ok(event) = self.pool.take(&self.host, Wait::Until(None), self.pool.round());
            if let Some(event) = event {
                return event;
            }
        }
    }
}

/// Takers get one event each, whichever of them polls and waits. An event that none gets, or a poll that none takes over, is
/// a deadlock.
fn pool_model(preemptions: usize, given: &'static [u32], fired: &'static [u32]) {
    model(Some(preemptions), move || {
        let threads = Threads::new();
        let sum = Arc::new(Mutex::new(0));
        let others: Vec<_> = (0..given.len() + fired.len())
            .map(|_| {
                let (threads, sum) = (Arc::clone(&threads), Arc::clone(&sum));
                thread::spawn(move || {
                    let event = threads.take();
                    *sum.lock() += event;
                })
            })
            .collect();
        given.iter().for_each(|event| threads.give(*event));
        fired.iter().for_each(|event| threads.fire(*event));
        others.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
        let all: u32 = given.iter().chain(fired).sum();
        assert_eq!(*sum.lock(), all, "each event once");
    });
}

#[test]
fn every_event_reaches_one_thread() {
    pool_model(3, &[1], &[]);
    pool_model(3, &[1, 2], &[]);
    pool_model(2, &[1, 2, 4], &[]);
}

#[test]
fn thread_that_leaves_with_an_event_hands_the_poll_on() {
    pool_model(3, &[1], &[2]);
    pool_model(3, &[], &[1, 2]);
    pool_model(1, &[1], &[2, 4]);
}

#[test]
fn thread_that_only_looks_takes_no_event_of_a_waiting_one() {
    model(Some(2), || {
        let threads = Threads::new();
        let waiter = {
            let threads = Arc::clone(&threads);
            thread::spawn(move || threads.take())
        };
        let looker = {
            let threads = Arc::clone(&threads);
            thread::spawn(move || {
                let round = threads.pool.round();
                let Ok(event) = threads.pool.take(&threads.host, Wait::Not, round);
                event
            })
        };
        threads.give(1);
        let looked = looker.join().expect("it does not panic");
        if looked.is_some() {
            threads.give(2);
        }
        let got = waiter.join().expect("it does not panic");
        assert_eq!(got, if looked.is_some() { 2 } else { 1 });
    });
}

#[test]
fn every_waker_that_is_called_arrives() {
    model(Some(2), || {
        let threads = Threads::new();
        let stop = Arc::new(sync::AtomicBool::new(false));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (threads, stop) = (Arc::clone(&threads), Arc::clone(&stop));
                thread::spawn(move || {
                    loop {
                        let round = threads.pool.round();
                        if stop.load(sync::Ordering::Relaxed) {
                            break;
                        }
                        let wait = Wait::Until(None);
                        let Ok(event) = threads.pool.take(&threads.host, wait, round);
                        assert_eq!(event, None);
                    }
                })
            })
            .collect();
        stop.store(true, sync::Ordering::Relaxed);
        threads.pool.call(&threads.host);
        others.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
    });
}

#[test]
fn thread_that_is_due_to_look_around_still_obeys_a_call() {
    model(Some(3), || {
        let threads = Threads::looking_around_after(1);
        let stop = Arc::new(sync::AtomicBool::new(false));
        let other = {
            let (threads, stop) = (Arc::clone(&threads), Arc::clone(&stop));
            thread::spawn(move || {
                loop {
                    let round = threads.pool.round();
                    if stop.load(sync::Ordering::Relaxed) {
                        break;
                    }
                    let Ok(_) = threads.pool.take(&threads.host, Wait::Until(None), round);
                }
            })
        };
        threads.give(1);
        // Taken from under the thread that polls, perhaps.
        let Ok(_) = threads.pool.take(&threads.host, Wait::Not, threads.pool.round());
        stop.store(true, sync::Ordering::Relaxed);
        threads.pool.call(&threads.host);
        other.join().expect("it does not panic");
    });
}

/// A source, what has happened to it, and how much of that was handled.
struct Claimed {
    claim: Claim,
    events: Mutex<u32>,
    handled: Mutex<u32>,
    is_running: sync::AtomicBool,
}

impl Claimed {
    /// Adds an event; runs the source if that is for the caller to do.
    fn add(&self, rest: Rest) {
        *self.events.lock() += 1;
        if self.claim.wake() {
            assert!(self.claim.begin(), "a source that is pending is queued once");
            self.run(rest);
        }
    }

    fn run(&self, rest: Rest) {
        loop {
            let overlaps = self.is_running.swap(true, sync::Ordering::AcqRel);
            assert!(!overlaps, "two threads run one source");
            let events = core::mem::take(&mut *self.events.lock());
            *self.handled.lock() += events;
            self.is_running.store(false, sync::Ordering::Release);
            if self.claim.rest(rest) {
                return;
            }
        }
    }
}

#[test]
fn source_runs_on_one_thread_and_misses_no_wake_up() {
    for rest in [Rest::Idle, Rest::Polled] {
        model(Some(2), move || {
            let source = Arc::new(Claimed {
                claim: Claim::new(),
                events: Mutex::new(0),
                handled: Mutex::new(0),
                is_running: sync::AtomicBool::new(false),
            });
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let source = Arc::clone(&source);
                    thread::spawn(move || source.add(rest))
                })
                .collect();
            source.run(rest);
            others.into_iter().for_each(|other| other.join().expect("it does not panic"));
            assert_eq!(*source.handled.lock(), 2, "an event is handled by nobody");
        });
    }
}

#[test]
fn polled_source_is_claimed_once() {
    model(Some(3), || {
        let claim = Arc::new(Claim::new());
        assert!(claim.rest(Rest::Polled));
        let theirs = Arc::clone(&claim);
        let other = thread::spawn(move || theirs.wake());
        let found = claim.is_polled() && claim.found();
        let woken = other.join().expect("it does not panic");
        assert!(found != woken, "it is queued once");
        assert!(!claim.claim_polled(), "it is pending");
        assert!(claim.begin() && !claim.begin());
        assert_eq!(claim.again(), After::Queue, "the thread that has the claim queues it again");
        claim.retire();
        assert!(!claim.begin() && !claim.wake());
    });
}

/// A source that moves from the first claim to the second.
struct Moving {
    claims: [Claim; 2],
    events: Mutex<u32>,
    is_running: sync::AtomicBool,
}

impl Moving {
    /// Runs the source for the one that has claim `at`. `Leave`: the next claim is the caller's.
    fn run(&self, at: usize) -> After {
        loop {
            let overlaps = self.is_running.swap(true, sync::Ordering::AcqRel);
            assert!(!overlaps, "two threads run one source");
            *self.events.lock() = 0;
            self.is_running.store(false, sync::Ordering::Release);
            if self.claims[at].rest(Rest::Idle) {
                return After::Nothing;
            }
            match self.claims[at].again() {
                After::Queue if self.claims[at].begin() => {}
                // The mover has taken it out of the queue.
                After::Queue => return After::Nothing,
                after => return after,
            }
        }
    }

    fn run_next(&self) {
        assert_eq!(self.claims[1].again(), After::Queue, "the new claim is given up once");
        assert!(self.claims[1].begin());
        assert_eq!(self.run(1), After::Nothing);
    }
}

#[test]
fn source_that_moves_runs_on_one_thread_and_misses_no_wake_up() {
    model(Some(3), || {
        let source = Arc::new(Moving {
            claims: [Claim::new(), Claim::new()],
            events: Mutex::new(1),
            is_running: sync::AtomicBool::new(false),
        });
        let mover = {
            let source = Arc::clone(&source);
            thread::spawn(move || {
                // The peer knows the first claim, until the source has left it.
                *source.events.lock() += 1;
                let is_mine = source.claims[0].wake();
                if source.claims[0].leave() {
                    source.run_next();
                } else {
                    assert!(!is_mine, "a source that rests leaves at once");
                }
            })
        };
        if source.run(0) == After::Leave {
            source.run_next();
        }
        mover.join().expect("it does not panic");
        assert_eq!(*source.events.lock(), 0, "an event is handled by nobody");
    });
}
