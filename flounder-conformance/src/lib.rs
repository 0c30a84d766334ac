//! The contract of a driver as tests: every driver runs all of them, those of other crates too.
//!
//! [`CLAUSES`] lists the tests; each is named after the clause of [`flounder_rt::channel`] that it holds a driver to. A
//! [`Suite`] runs them over channels within one dispatcher, between two threads, or between two processes, in both
//! directions, and by both paths of sending and receiving. The author of a driver writes into a file in `tests/`:
//!
//! ```no_run
//! use flounder_conformance::conformance_tests;
//! use flounder_drivers::ump::Ump;
//!
//! conformance_tests!(ump: Ump; in_one_dispatcher, between_threads, between_processes);
//! ```
//!
//! with the reaches that the driver has, and gets a module `ump` with a test for each of them. What the macro does can be
//! done by hand, where channels are made in another way:
//!
//! ```
//! use flounder_conformance::Suite;
//! use flounder_drivers::loopback::Loopback;
//! use flounder_rt::channel::Connector;
//!
//! let connect = |client: &_, service: &_| Loopback.pair_local(client, service).expect("it is in this thread");
//! Suite::in_one_dispatcher(connect).run();
//! ```
//!
//! The tests panic where a driver breaks the contract. No wait in them is longer than the suite's
//! [timeout](Suite::timeout). What they allow is what a binding can live with; a driver whose channel holds any number of
//! messages is turned down (clause 3).

mod broker_state;
mod clauses;
mod end;
pub mod fake;
pub mod faulty;
mod link;
mod process;
mod socket_link;
mod test;
mod thread;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flounder_rt::channel::{Connector, End, Limits, MAX_CAPS, MessageLimit, Pair, SendPair};
use flounder_rt::notify::{Notifier, Wake};
use flounder_rt::waitset::Waitset;

use end::{EndHandle, LocalEnd, TestEnd, end};
use process::ChildProcess;
use thread::ThreadEnd;

pub use link::TestLink;
pub use process::child;
pub use socket_link::SocketLink;

/// How long a test waits for what must happen.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The messages that the tests send: 1 has up to 2^17 words, 2 has capabilities as well, 3 has none of either.
pub const LIMITS: Limits = &[
    MessageLimit { words: 1 << 17, caps: 0 },
    MessageLimit { words: 1 << 17, caps: MAX_CAPS },
    MessageLimit { words: 0, caps: 0 },
];

/// One test of the contract.
pub type Clause = for<'a> fn(&Suite<'a>);

/// The tests, in the order of the clauses, each with its name.
pub const CLAUSES: &[(&str, Clause)] = clauses::ALL;

/// The tests, over channels of one driver between ends that lie somewhere.
pub struct Suite<'a> {
    connect: Box<Connect<'a>>,
    reach: Reach,
    buffers: [usize; 2],
    timeout: Duration,
    paths: Paths,
    /// Whether the end that lies elsewhere is the client's.
    swapped: bool,
}

/// Makes a channel with buffers of these sizes: the end here, and the one that may lie elsewhere.
type Connect<'a> = dyn Fn([usize; 2]) -> [Box<dyn TestEnd>; 2] + 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Dispatcher,
    Threads,
    Processes,
}

/// Whether a test uses the quick paths of clause 11.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paths {
    /// First, as a binding does.
    FastFirst,
    /// Not at all.
    SlowOnly,
}

/// A test that a driver did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Name of the test.
    pub clause: &'static str,
    /// What it found.
    pub what: String,
}

impl<'a> Suite<'a> {
    /// Over channels whose ends are both here, made by `connect` for the client's end and the service's.
    pub fn in_one_dispatcher(connect: impl Fn(&End, &End) -> Pair + 'a) -> Self {
        Self::new(Reach::Dispatcher, move |buffers| {
            let [client, service] = buffers.map(|buffer| end(0, buffer));
            let (near, far) = connect(&client, &service);
            let (near, far) =
                (LocalEnd::new(near, client.notifier), LocalEnd::new(far, service.notifier));
            [Box::new(near), Box::new(far)]
        })
    }

    /// Over channels with one end here and one in another thread.
    pub fn between_threads(connect: impl Fn(&End, &End) -> SendPair + 'a) -> Self {
        Self::new(Reach::Threads, move |buffers| {
            let [client, service] = buffers.map(|buffer| end(0, buffer));
            let (near, far) = connect(&client, &service);
            let far = ThreadEnd::new(far, service.notifier);
            [Box::new(LocalEnd::new(near, client.notifier)), Box::new(far)]
        })
    }

    /// Over channels with one end here and one in another process: this test program, started again for its test `test`,
    /// which does nothing but call [`child`].
    pub fn between_processes(driver: &'a dyn Connector, test: &str) -> Self {
        let child = ChildProcess::new(test);
        Self::new(Reach::Processes, move |buffers| {
            let (near, far) = child.connect(driver, buffers);
            [Box::new(near), Box::new(far)]
        })
    }

    fn new(reach: Reach, connect: impl Fn([usize; 2]) -> [Box<dyn TestEnd>; 2] + 'a) -> Self {
        Self {
            connect: Box::new(connect),
            reach,
            buffers: [0; 2],
            timeout: TIMEOUT,
            paths: Paths::FastFirst,
            swapped: false,
        }
    }

    /// Asks for so many bytes of buffer at the client's end and at the service's; the driver's default otherwise.
    #[must_use]
    pub fn buffers(mut self, client: usize, service: usize) -> Self {
        self.buffers = [client, service];
        self
    }

    /// Waits so long for what must happen, instead of [`TIMEOUT`]: for drivers that are known to break the contract.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs all tests: by both paths and by the slow paths alone, and in both directions where the ends lie apart.
    ///
    /// # Panics
    /// If the driver breaks the contract: says all tests that it did not pass.
    pub fn run(self) {
        let reach = self.reach;
        let violations = self.violations();
        if violations.is_empty() {
            return;
        }
        let lines: Vec<_> = violations
            .iter()
            .map(|violation| format!("{}: {}", violation.clause, violation.what))
            .collect();
        panic!("the driver breaks its contract ({reach:?}):\n  {}", lines.join("\n  "));
    }

    /// Runs all tests, and gives those that the driver did not pass.
    #[must_use]
    pub fn violations(mut self) -> Vec<Violation> {
        CLAUSES.iter().filter_map(|(clause, _)| self.violation(clause)).collect()
    }

    /// Runs the test `clause`, and gives what it found if the driver did not pass.
    ///
    /// # Panics
    /// If there is no such test.
    #[must_use]
    pub fn violation(&mut self, clause: &str) -> Option<Violation> {
        let named = CLAUSES.iter().find(|(name, _)| *name == clause);
        let (clause, test) = *named.expect("the test is listed in `CLAUSES`");
        for swapped in [false, true] {
            if swapped && self.reach == Reach::Dispatcher {
                continue;
            }
            for paths in [Paths::FastFirst, Paths::SlowOnly] {
                (self.swapped, self.paths) = (swapped, paths);
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(self))) {
                    return Some(Violation { clause, what: text(&*panic) });
                }
            }
        }
        None
    }

    /// Makes a channel: the end that sends in most tests, and the one that receives.
    fn connect(&self) -> (EndHandle, EndHandle) {
        let handle = |end| EndHandle::new(end, self.paths, self.timeout);
        let [near, far] = (self.connect)(self.buffers).map(handle);
        if self.swapped { (far, near) } else { (near, far) }
    }
}

fn text(panic: &(dyn core::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic".to_owned(),
    }
}

/// The tests of the contract for a driver: `name: connector; reaches`, with the reaches that it has of
/// `in_one_dispatcher`, `between_threads` and `between_processes`. See the [module](crate).
#[macro_export]
macro_rules! conformance_tests {
    ($name:ident: $driver:expr; $($reach:ident),+ $(,)?) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $($crate::conformance_tests!(@ $reach $driver);)+
        }
    };
    (@ in_one_dispatcher $driver:expr) => {
        #[test]
        fn in_one_dispatcher() {
            let driver: &dyn $crate::__private::Connector = &$driver;
            $crate::Suite::in_one_dispatcher(|client, service| {
                driver.pair_local(client, service).expect("the driver reaches its own thread")
            })
            .run();
        }
    };
    (@ between_threads $driver:expr) => {
        #[test]
        fn between_threads() {
            let driver: &dyn $crate::__private::Connector = &$driver;
            $crate::Suite::between_threads(|client, service| {
                driver.pair(client, service).expect("the driver reaches other threads")
            })
            .run();
        }
    };
    (@ between_processes $driver:expr) => {
        #[test]
        fn between_processes() {
            let test = $crate::__private::test_beside(module_path!(), "child");
            $crate::Suite::between_processes(&$driver, &test).run();
        }

        /// Not a test by itself: what the child process does.
        #[test]
        fn child() {
            $crate::child(&$driver);
        }
    };
}

/// What [`conformance_tests!`] names.
#[doc(hidden)]
pub mod __private {
    pub use flounder_rt::channel::Connector;

    /// The name of `test` in `module`, as the test harness knows it: without the crate.
    #[must_use]
    pub fn test_beside(module: &str, test: &str) -> String {
        match module.split_once("::") {
            Some((_crate, module)) => format!("{module}::{test}"),
            None => test.to_owned(),
        }
    }
}

/// Counts the wake-ups of one end.
#[derive(Debug, Default)]
pub struct WakeCounter(AtomicUsize);

impl WakeCounter {
    /// A counter, and an end that it counts for.
    #[must_use]
    pub fn new() -> (Arc<Self>, End) {
        let wakes = Arc::new(Self::default());
        let notifier = Notifier::new();
        notifier.retarget(Arc::clone(&wakes) as Arc<dyn Wake>, 0);
        (wakes, End { notifier, connection: 0, buffer: 0 })
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether there is one more than `before`, within [`TIMEOUT`], while `waitset` runs.
    ///
    /// # Panics
    /// If the waitset fails.
    #[must_use]
    pub fn came_after(&self, before: usize, waitset: &Waitset) -> bool {
        let deadline = Instant::now() + TIMEOUT;
        while self.count() <= before {
            if Instant::now() > deadline {
                return false;
            }
            waitset.try_dispatch().expect("nothing in the waitset fails");
        }
        true
    }
}

impl Wake for WakeCounter {
    fn wake(&self, _token: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
