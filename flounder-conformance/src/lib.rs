//! The contract of a driver as tests, for drivers of any crate.
//!
//! [`CLAUSES`] lists the tests; each is named after the clause of [`flounder_rt::channel`] that it
//! checks. A [`Suite`] runs them over channels within one dispatcher, between two threads, or
//! between two processes, in both directions, and with the fast paths of clause 11 and without. The
//! author of a driver writes into a file in `tests/`:
//!
//! ```no_run
//! use flounder_conformance::conformance_tests;
//! use flounder_drivers::ump::Ump;
//!
//! conformance_tests!(ump: Ump; in_one_dispatcher, between_threads, between_processes);
//! ```
//!
//! with the reaches that the driver has. The macro makes a module `ump` with a test for each reach.
//! For channels that are made in another way, make a suite yourself:
//!
//! ```
//! use flounder_conformance::Suite;
//! use flounder_drivers::loopback::Loopback;
//! use flounder_rt::channel::Connector;
//!
//! let connect = |client: &_, service: &_| Loopback.pair_local(client, service).expect("loopback reaches this thread");
//! Suite::in_one_dispatcher(connect).run();
//! ```
//!
//! A test panics if the driver breaks the contract. No wait in a test is longer than the suite's
//! [timeout](Suite::timeout). A driver whose channel holds any number of messages fails (clause 3).
//!
//! [`TestLink`] and [`SocketLink`] stand in for the link between two brokers; [`fake`] and
//! [`faulty`] have channels for tests of bindings, and of this suite. [`LingeringSocket`] is a
//! descriptor whose close blocks, and [`seccomp`] makes system calls fail.

mod clauses;
mod end;
pub mod fake;
pub mod faulty;
mod lingering_socket;
mod link;
mod process;
pub mod seccomp;
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

pub use lingering_socket::LingeringSocket;
pub use link::{BrokerLink, Carrier, Passage, TestLink};
pub use process::child;
pub use socket_link::{Socket, SocketLink};

/// Default time for which a test waits for an event.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Limits of the messages that the tests send: message 1 has up to 2^17 words, message 2 has
/// capabilities as well, message 3 has neither.
pub const LIMITS: Limits = &[
    MessageLimit { words: 1 << 17, caps: 0 },
    MessageLimit { words: 1 << 17, caps: MAX_CAPS },
    MessageLimit { words: 0, caps: 0 },
];

/// One test of the contract.
pub type Clause = for<'a> fn(&Suite<'a>);

/// The tests with their names, in the order of the clauses.
pub const CLAUSES: &[(&str, Clause)] = clauses::ALL;

/// The tests, over channels of one driver with one reach.
pub struct Suite<'a> {
    connect: Box<Connect<'a>>,
    reach: Reach,
    buffers: [usize; 2],
    timeout: Duration,
    paths: Paths,
    /// True if the end here is the service's.
    swapped: bool,
}

/// Makes a channel with buffers of these sizes: the end here, and the end that may be elsewhere.
type Connect<'a> = dyn Fn([usize; 2]) -> [Box<dyn TestEnd>; 2] + 'a;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Dispatcher,
    Threads,
    Processes,
}

/// Use of the fast paths of clause 11.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paths {
    /// Before the other paths, as in a binding.
    FastFirst,
    /// Never.
    SlowOnly,
}

/// A test that a driver did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Name of the test.
    pub clause: &'static str,
    /// Description of what the test found.
    pub what: String,
}

impl<'a> Suite<'a> {
    /// Returns a suite over channels with both ends here. `connect` gets the client's end and the
    /// service's.
    pub fn in_one_dispatcher(connect: impl Fn(&End, &End) -> Pair + 'a) -> Self {
        Self::new(Reach::Dispatcher, move |buffers| {
            let [client, service] = buffers.map(|buffer| end(0, buffer));
            let (near, far) = connect(&client, &service);
            let (near, far) =
                (LocalEnd::new(near, client.notifier), LocalEnd::new(far, service.notifier));
            [Box::new(near), Box::new(far)]
        })
    }

    /// Returns a suite over channels with one end here and one on another thread.
    pub fn between_threads(connect: impl Fn(&End, &End) -> SendPair + 'a) -> Self {
        Self::new(Reach::Threads, move |buffers| {
            let [client, service] = buffers.map(|buffer| end(0, buffer));
            let (near, far) = connect(&client, &service);
            let far = ThreadEnd::new(far, service.notifier);
            [Box::new(LocalEnd::new(near, client.notifier)), Box::new(far)]
        })
    }

    /// Returns a suite over channels with one end here and one in another process: this test
    /// program, started again for its test `test`, which only calls [`child`].
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

    /// Requests buffers of these sizes in bytes for the client's end and the service's, in place of
    /// the driver's default.
    #[must_use]
    pub fn buffers(mut self, client: usize, service: usize) -> Self {
        self.buffers = [client, service];
        self
    }

    /// Sets the time for which a test waits for an event, in place of [`TIMEOUT`]: for drivers that
    /// are known to break the contract.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs all tests, with the fast paths and without, and in both directions if the ends are
    /// apart.
    ///
    /// # Panics
    /// If the driver breaks the contract: with all tests that it did not pass.
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

    /// Runs all tests, and returns what they found.
    #[must_use]
    pub fn violations(mut self) -> Vec<Violation> {
        CLAUSES.iter().filter_map(|(clause, _)| self.violation(clause)).collect()
    }

    /// Runs the test `clause`, and returns what it found if the driver did not pass.
    ///
    /// # Panics
    /// If there is no such test.
    #[must_use]
    pub fn violation(&mut self, clause: &str) -> Option<Violation> {
        let named = CLAUSES.iter().find(|(name, _)| *name == clause);
        let (clause, test) = *named.expect("a name of `CLAUSES`");
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

    /// Makes a channel. Returns the end that sends in most tests, and the end that receives.
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

/// Makes tests of the contract for a driver: `name: connector; reaches`, with those of
/// `in_one_dispatcher`, `between_threads` and `between_processes` that the driver has. See the
/// [crate](crate).
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

        /// Runs the child process. Not a test by itself.
        #[test]
        fn child() {
            $crate::child(&$driver);
        }
    };
}

/// Items that [`conformance_tests!`] names.
#[doc(hidden)]
pub mod __private {
    pub use flounder_rt::channel::Connector;

    /// Returns the name of `test` in `module` for the test harness: without the crate.
    #[must_use]
    pub fn test_beside(module: &str, test: &str) -> String {
        match module.split_once("::") {
            Some((_crate, module)) => format!("{module}::{test}"),
            None => test.to_owned(),
        }
    }
}

/// Counter of the wake-ups of one end.
#[derive(Debug, Default)]
pub struct WakeCounter(AtomicUsize);

impl WakeCounter {
    /// Returns a counter, and an end that it counts for.
    #[must_use]
    pub fn new() -> (Arc<Self>, End) {
        let wakes = Arc::new(Self::default());
        let notifier = Notifier::new();
        notifier.retarget(Arc::clone(&wakes) as Arc<dyn Wake>, 0);
        (wakes, End { notifier, connection: 0, buffer: 0 })
    }

    /// Returns the number of wake-ups.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns true if there is one more wake-up than `before` within [`TIMEOUT`], while `waitset`
    /// runs.
    ///
    /// # Panics
    /// If the waitset fails.
    #[must_use]
    pub fn came_after(&self, before: usize, waitset: &Waitset) -> bool {
        let deadline = Instant::now() + TIMEOUT;
        while self.count() <= before {
            let now = Instant::now();
            if now > deadline {
                return false;
            }
            // A doorbell ends the sleep. A wake-up from another thread of this process does not.
            let slice = Some(now + Duration::from_micros(200));
            let came = waitset.dispatch_until(slice, || self.count() > before);
            came.expect("nothing in the waitset fails");
        }
        true
    }
}

impl Wake for WakeCounter {
    fn wake(&self, _token: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
