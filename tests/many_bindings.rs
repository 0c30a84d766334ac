//! Ten thousand bindings between two processes: opened, used, idle, woken and closed.

use flounder_test_support as support;
use std::thread;
use std::time::{Duration, Instant};

use flounder::limits::{Resource, UNLIMITED};
use rustix::process::{Resource as ProcessResource, Rlimit, getrlimit, setrlimit};
use support::protocol::{Driver, Limit};
use support::resources::Resources;
use support::{TIMEOUT, TestProcess, TestSystem};

/// Bindings between the two processes with many, over a driver whose bindings need memory.
const MANY: usize = 10_000;

/// The same over lmp: of two descriptors each at both ends, as many as a process may have.
const MANY_SOCKETS: usize = DESCRIPTORS as usize / 2 - 100;

/// Bindings that are opened and closed before.
const FIRST: usize = 1_000;

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

/// Tables for this many bindings may have mappings of their own.
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
    _system: TestSystem,
    service: TestProcess,
    client: TestProcess,
}

impl Pair {
    fn new() -> Self {
        let system = TestSystem::new();
        let (mut service, mut client) = (system.spawn(), system.spawn());
        // More than one process may have by default.
        let no_limits = [
            Limit::of_process(Resource::Bindings, UNLIMITED),
            Limit::of_process(Resource::Mappings, UNLIMITED),
            Limit::of_all(Resource::Mappings, UNLIMITED),
            Limit::of_process(Resource::Descriptors, UNLIMITED),
            Limit::of_all(Resource::Descriptors, UNLIMITED),
        ];
        for process in [&mut service, &mut client] {
            process.set_limits(no_limits);
        }
        service.export_many("many");
        Self { _system: system, service, client }
    }

    fn bind(&mut self, driver: Driver, count: usize, buffer: usize) -> Duration {
        self.client.bind_many(driver, "many", count, buffer)
    }

    /// Waits until both have gone to sleep after what they did last.
    fn rest(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let before = self.processor();
            thread::sleep(REST);
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
        [&mut self.service, &mut self.client].map(TestProcess::processor_time)
    }
}

/// Processes that are started from now on have the limit as well.
fn limit_descriptors() {
    let now = getrlimit(ProcessResource::Nofile);
    let limit = Rlimit { current: Some(DESCRIPTORS), ..now };
    setrlimit(ProcessResource::Nofile, limit).expect("it may be changed up to the hard limit");
}

/// Many bindings over one driver, and a few to compare with.
struct Site {
    driver: Driver,
    count: usize,
    many: Pair,
    few: Pair,
    /// What the service and the client held before the bindings.
    before: [Resources; 2],
    /// What the client holds with them.
    held: Resources,
    opened: Duration,
    called: Duration,
}

impl Site {
    fn open(driver: Driver, count: usize, buffer: usize) -> Self {
        let (mut many, mut few) = (Pair::new(), Pair::new());
        // The first bindings make what stays: the link, and the first room in tables.
        many.bind(driver, FIRST, buffer);
        many.client.close_many();
        let before = [&mut many.service, &mut many.client].map(|process| {
            process.settle_ends();
            Resources::of(process)
        });
        let opened = many.bind(driver, count, buffer);
        few.bind(driver, FEW, buffer);
        let held = Resources::of(&mut many.client);
        let called = many.client.call_over_each();
        few.client.call_over_each();
        Self { driver, count, many, few, before, held, opened, called }
    }

    /// The medians of some wake-ups of both ends, among many and among few.
    fn wake_up(&mut self) -> [Duration; 2] {
        let rounds: Vec<_> = (0..ROUNDS)
            .map(|_| [&mut self.many, &mut self.few].map(|pair| pair.client.wake_up(WAKE_UPS)))
            .collect();
        [0, 1].map(|pair| median(rounds.iter().map(|round| round[pair])))
    }

    /// Closes the bindings; what they took is given back.
    fn close(&mut self) {
        self.many.client.close_many();
        let ends = [&mut self.many.service, &mut self.many.client];
        for (process, before) in ends.into_iter().zip(&self.before) {
            before.settle(process, TABLES);
        }
    }
}

#[test]
fn ten_thousand_bindings_open_work_sleep_wake_and_close() {
    limit_descriptors();
    // A page of memory for each direction will do.
    let drivers =
        [(Driver::Lmp, MANY_SOCKETS, 0), (Driver::Ump, MANY, 4096), (Driver::Scc, MANY, 4096)];
    let mut sites = thread::scope(|scope| {
        let openings = drivers
            .map(|(driver, count, buffer)| scope.spawn(move || Site::open(driver, count, buffer)));
        openings.map(|opening| opening.join().expect("the bindings are opened"))
    });

    for site in &mut sites {
        site.many.rest();
        site.few.rest();
    }
    let processor = sites.each_mut().map(|site| site.many.processor());
    let before = sites.each_ref().map(|site| [site.many.switches(), site.few.switches()]);
    thread::sleep(WINDOW);
    let after = sites.each_ref().map(|site| [site.many.switches(), site.few.switches()]);
    let used = sites.each_mut().map(|site| site.many.processor());

    for (at, site) in sites.iter_mut().enumerate() {
        let driver = site.driver;
        let woken =
            [0, 1].map(|pair| [0, 1].map(|side| after[at][pair][side] - before[at][pair][side]));
        let idle = [0, 1].map(|side| {
            (used[at][side] - processor[at][side]).as_secs_f64() / WINDOW.as_secs_f64()
        });
        let [of_many, of_few] = site.wake_up();
        println!(
            "{driver}: {} bindings opened in {:?} and used in {:?} beside those of other drivers, idle at {:.2} % and \
             {:.2} % of a processor with {:?} wake-ups in {WINDOW:?} (of {FEW}: {:?}), woken in {of_many:?} (of {FEW}: \
             {of_few:?}); client: {}, before {}",
            site.count,
            site.opened,
            site.called,
            idle[0] * 100.0,
            idle[1] * 100.0,
            woken[0],
            woken[1],
            site.held,
            site.before[1],
        );
        assert!(idle.iter().all(|part| *part <= IDLE), "{driver}: {idle:?} of a processor");
        let quiet = |side: usize| woken[0][side] <= woken[1][side] + WAKES;
        assert!(quiet(0) && quiet(1), "{driver}: {woken:?} wake-ups");
        assert!(of_many <= of_few * 2, "{driver}: {of_many:?} of many, {of_few:?} of few");
    }

    thread::scope(|scope| {
        for site in &mut sites {
            scope.spawn(|| site.close());
        }
    });
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}
