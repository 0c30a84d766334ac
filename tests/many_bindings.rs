//! Ten thousand bindings between two processes: opened, used, idle, woken, closed.

mod support;

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::resources::Resources;
use support::{TIMEOUT, TestProcess, TestSystem};

/// Bindings between the two processes with many.
const MANY: usize = 10_000;

/// Bindings between the two that it is compared with.
const FEW: usize = 10;

/// Descriptors that a process may have.
const DESCRIPTORS: u64 = 20_000;

/// How long two processes must have slept that have gone to rest.
const REST: Duration = Duration::from_millis(200);

/// How long the many bindings are watched doing nothing.
const WINDOW: Duration = Duration::from_secs(2);

/// How often each side may wake up meanwhile, beyond what a side of the few does.
const WAKES: u64 = 4;

/// The part of a processor that each side may use meanwhile. What a timer of the monitor costs once a second varies with the
/// machine, a visit to each of so many bindings takes all of one.
const IDLE: f64 = 0.05;

/// Tables grown for so many may have mappings of their own.
const TABLES: usize = 8;

/// Rounds of wake-ups, and wake-ups in each.
const ROUNDS: usize = 15;
const WAKE_UPS: usize = 40;

#[test]
fn test_process() {
    support::process::run();
}

/// A service and its client.
struct Pair {
    _cast: TestSystem,
    service: TestProcess,
    client: TestProcess,
}

impl Pair {
    fn new() -> Self {
        let system = TestSystem::new();
        let (mut service, mut client) = (system.spawn(), system.spawn());
        // More than one process may have by default.
        for process in [&mut service, &mut client] {
            process.must(
                "many limit bindings:process mappings:process mappings:all descriptors:process descriptors:all",
            );
        }
        service.must("many export many");
        Self { _cast: system, service, client }
    }

    fn bind(&mut self, driver: &str, count: usize, buffer: usize) -> Duration {
        nanoseconds(&self.client.must(&format!("many bind {driver} many {count} {buffer}")))
    }

    /// Calls over each binding once.
    fn talk(&mut self) -> Duration {
        nanoseconds(&self.client.must("many talk"))
    }

    /// The median of some wake-ups of both ends.
    fn wake(&mut self) -> Duration {
        nanoseconds(&self.client.must(&format!("many wake {WAKE_UPS}")))
    }

    /// Waits until both have gone to sleep after what they did last.
    fn rest(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let before = self.processor();
            std::thread::sleep(REST);
            let after = self.processor();
            if after.into_iter().zip(before).all(|(after, before)| after - before < REST / 20) {
                return;
            }
            assert!(Instant::now() < deadline, "they do not go to sleep");
        }
    }

    /// Returns how often a thread of the service, and of the client, has gone to sleep.
    fn switches(&self) -> [u64; 2] {
        [&self.service, &self.client].map(|process| {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", process.pid()))
                .expect("the process lives");
            let statuses = tasks
                .flatten()
                .flat_map(|task| std::fs::read_to_string(task.path().join("status")));
            let voluntary = |status: String| {
                let line =
                    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
                line.and_then(|number| number.trim().parse::<u64>().ok())
            };
            statuses.filter_map(voluntary).sum()
        })
    }

    /// Returns the processor time of the service and of the client.
    fn processor(&mut self) -> [Duration; 2] {
        [&mut self.service, &mut self.client]
            .map(|process| nanoseconds(&process.must("many processor")))
    }
}

/// Processes that are started from now on have the limit as well.
fn limit_descriptors() {
    let now = getrlimit(Resource::Nofile);
    let limit = Rlimit { current: Some(DESCRIPTORS), ..now };
    setrlimit(Resource::Nofile, limit).expect("it may be changed up to the hard limit");
}

#[test]
fn ten_thousand_bindings_are_opened_used_idle_woken_and_closed() {
    limit_descriptors();
    // lmp needs a descriptor for each at both ends, ump and scc memory: a page for each direction will do.
    for (driver, buffer) in [("lmp", 0), ("ump", 4096), ("scc", 4096)] {
        let (mut many, mut few) = (Pair::new(), Pair::new());
        // The first bindings make what stays: the link, and most of the room in tables.
        many.bind(driver, MANY, buffer);
        many.client.must("many close");
        let accounts = [&mut many.service, &mut many.client].map(|process| {
            process.settle_ends();
            Resources::of(process)
        });

        let opened = many.bind(driver, MANY, buffer);
        few.bind(driver, FEW, buffer);
        let held = Resources::of(&mut many.client);
        let talked = many.talk();
        few.talk();

        many.rest();
        few.rest();
        let processor = many.processor();
        let before = [many.switches(), few.switches()];
        std::thread::sleep(WINDOW);
        let after = [many.switches(), few.switches()];
        let used = many.processor();
        let woken = [0, 1].map(|pair| [0, 1].map(|side| after[pair][side] - before[pair][side]));
        let idle =
            [0, 1].map(|side| (used[side] - processor[side]).as_secs_f64() / WINDOW.as_secs_f64());

        let wakes: Vec<_> = (0..ROUNDS).map(|_| (many.wake(), few.wake())).collect();
        let of_many = median(wakes.iter().map(|round| round.0));
        let of_few = median(wakes.iter().map(|round| round.1));

        many.client.must("many close");
        for (process, account) in [&mut many.service, &mut many.client].into_iter().zip(&accounts) {
            account.settle(process, TABLES);
        }
        println!(
            "{driver}: {MANY} bindings opened in {opened:?}, used in {talked:?}, idle at {:.2} % and {:.2} % of a processor \
             with {:?} wake-ups in {WINDOW:?} (of {FEW}: {:?}), woken in {of_many:?} (of {FEW}: {of_few:?}); client: {held}, \
             in the end {}",
            idle[0] * 100.0,
            idle[1] * 100.0,
            woken[0],
            woken[1],
            accounts[1],
        );
        assert!(idle.iter().all(|part| *part <= IDLE), "{driver}: {idle:?} of a processor");
        let quiet = |side: usize| woken[0][side] <= woken[1][side] + WAKES;
        assert!(quiet(0) && quiet(1), "{driver}: {woken:?} wake-ups");
        assert!(of_many <= of_few * 2, "{driver}: {of_many:?} of many, {of_few:?} of few");
    }
}

fn nanoseconds(text: &str) -> Duration {
    Duration::from_nanos(text.parse().expect("a number"))
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}
