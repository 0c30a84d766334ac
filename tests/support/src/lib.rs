//! Test processes, for tests that need more than one process: the test binary starts itself again, and the new process runs
//! commands.
//!
//! ```text
//!   test ── TestSystem ── spawn ──> TestProcess ── command ──> test process (process.rs)
//!                                               <── answer, events ──
//! ```
//! This is a package of its own, so that it is compiled once, and not in each test file.
//!
//! A test file declares `#[test] fn test_process()` that calls [`process::run`]. [`TestSystem`] is a runtime directory with the
//! processes that meet there; [`TestProcess`] has a method for each command, which panics if the command fails:
//! `client.bind(Driver::Ump, "echo")`. [`TestProcess::expect_error`] is for commands that fail, [`TestProcess::start`] and
//! [`TestProcess::wait`] for commands that take their time. Commands and events are defined in [`protocol`] and in a module
//! for each family of commands.

// What is public is for the tests alone. A command without fields needs no `Default`.
#![allow(missing_docs, unreachable_pub, clippy::new_without_default)]

pub mod cap_transfer;
pub mod group;
pub mod kind;
pub mod many;
pub mod mute_files;
pub mod pending_calls;
pub mod process;
pub mod protocol;
pub mod raw_monitor;
pub mod resources;
pub mod threads;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::marker::PhantomData;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use pending_calls::{Owed, Way};
use process::Counts;
use protocol::{Driver, Event, Output, Request};

/// The longest that anything may take before its test fails.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Time between two looks at what another process does: a test that looks all the time slows down what it waits for.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The drivers that reach other processes.
pub const DRIVERS: [Driver; 4] = [Driver::Lmp, Driver::Ump, Driver::Scc, Driver::Beehive];

/// Prefix of a test process's lines, among those of the test harness.
const MARK: &str = "@ ";
/// Environment variable that makes the test binary a test process.
pub const TEST_PROCESS: &str = "FLOUNDER_TEST_PROCESS";
/// Environment variable that makes a test process wait in its own event loop.
const OUTER: &str = "FLOUNDER_TEST_OUTER";
/// Environment variable that makes a test process a daemon that admits these users.
const DAEMON: &str = "FLOUNDER_TEST_DAEMON";
/// Environment variable that makes a test process write its warnings to this file.
const LOG: &str = "FLOUNDER_TEST_LOG";
/// In the environment of a test process that is to run as on an old kernel ([`be_old_kernel`]).
pub const OLD_KERNEL: &str = "FLOUNDER_TEST_OLD_KERNEL";

/// Takes from this thread, and from those that it starts, what kernels lack that are as old as flounder allows: the socket
/// options `SO_PEERPIDFD` (Linux 6.5) and `SO_PASSRIGHTS` (6.16).
pub fn be_old_kernel() {
    const SO_PEERPIDFD: i32 = 77;
    const SO_PASSRIGHTS: i32 = 83;
    flounder_conformance::seccomp::refuse_socket_options(&[SO_PEERPIDFD, SO_PASSRIGHTS]);
}

/// The processes of one test, and where they meet.
pub struct TestSystem {
    dir: TempDir,
    in_outer_loops: bool,
}

impl TestSystem {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        Self { dir, in_outer_loops: false }
    }

    /// Test processes that wait in an event loop of their own, of which the waitset is a part.
    pub fn in_outer_loops() -> Self {
        Self { in_outer_loops: true, ..Self::new() }
    }

    /// The runtime directory; the first monitor makes it.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// What is in it.
    pub fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.dir()) else { return Vec::new() };
        entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect()
    }

    /// Starts a test process.
    pub fn spawn(&self) -> TestProcess {
        self.start(&mut self.command()).expect("this program can be started")
    }

    /// A server, and a client that is bound to it over this driver; and what the server had before there was the client.
    pub fn counted_server(&self, driver: Driver) -> (TestProcess, TestProcess, Counts) {
        let mut server = self.spawn();
        server.export("echo");
        let before = server.count();
        let mut client = self.spawn();
        client.bind(driver, "echo");
        client.talk(100);
        (server, client, before)
    }

    /// The same two, and what the client had before there was the server. The client is the root, so that no election
    /// blurs its count.
    pub fn counted_client(&self, driver: Driver) -> (TestProcess, TestProcess, Counts) {
        let mut client = self.spawn();
        client.join();
        let before = client.count();
        let mut server = self.spawn();
        server.export("echo");
        client.bind(driver, "echo");
        client.talk(100);
        (server, client, before)
    }

    /// Starts a test process from a command that is changed first.
    pub fn spawn_with(&self, change: impl FnOnce(&mut Command)) -> TestProcess {
        let mut command = self.command();
        change(&mut command);
        self.start(&mut command).expect("this program can be started")
    }

    /// Starts a test process that writes its warnings to [`log`](Self::log).
    pub fn spawn_with_log(&self) -> TestProcess {
        self.spawn_with(|command| {
            command.env(LOG, self.dir.path().join("log"));
        })
    }

    /// Returns the warnings of the processes with a log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Waits until the log contains a text.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + TIMEOUT;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "{text} is not in the log: {}", self.log());
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Starts a test process as the child of another program, which gets these arguments first.
    pub fn spawn_under(&self, program: &str, args: &[&str]) -> TestProcess {
        let own = self.command();
        let mut command = Command::new(program);
        command.args(args).arg(own.get_program()).args(own.get_args());
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        self.start(&mut command).expect("the program can be started")
    }

    /// Starts a test process of another user. Who is not user 0 cannot; the reason is printed and `None` returned.
    pub fn spawn_as(&self, uid: u32) -> Option<TestProcess> {
        self.start_of(uid, &mut self.command())
    }

    /// As [`spawn_as`](Self::spawn_as); it believes in a directory of this user.
    pub fn spawn_trusting_as(&self, uid: u32, owner: u32) -> Option<TestProcess> {
        self.start_of(uid, self.command().env("FLOUNDER_TRUST_UID", owner.to_string()))
    }

    /// Starts a daemon of another user in a directory of that user, and waits until it is the root.
    pub fn spawn_root_as(&self, uid: u32, allowed: &[u32]) -> Option<TestProcess> {
        let mut command = self.daemon_command(allowed);
        std::fs::create_dir(self.dir()).expect("it is not there");
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(self.dir(), private).expect("it is ours");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(self.dir(), Some(uid), Some(uid)).expect("user 0 may");
        }
        let mut daemon = self.start_of(uid, &mut command)?;
        daemon.wait_for(&Event::BecameRoot);
        Some(daemon)
    }

    fn start_of(&self, uid: u32, command: &mut Command) -> Option<TestProcess> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only user 0 can start a process of another user");
            return None;
        }
        let enter = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(self.dir.path(), enter).expect("it is ours");
        match self.start(command.uid(uid).gid(uid)) {
            Ok(process) => Some(process),
            Err(error) => {
                println!("skipped: user {uid} cannot start this program: {error}");
                None
            }
        }
    }

    /// Starts a daemon that lets these users in, and waits until it is the root.
    pub fn spawn_root(&self, allowed: &[u32]) -> TestProcess {
        let mut daemon = self.spawn_daemon(allowed);
        daemon.wait_for(&Event::BecameRoot);
        daemon
    }

    /// Starts one, which may have to wait.
    pub fn spawn_daemon(&self, allowed: &[u32]) -> TestProcess {
        self.start(&mut self.daemon_command(allowed)).expect("this program can be started")
    }

    fn daemon_command(&self, allowed: &[u32]) -> Command {
        let allowed: Vec<_> = allowed.iter().map(u32::to_string).collect();
        let mut command = self.command();
        command.env(DAEMON, allowed.join(","));
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command
            .args(["test_process", "--exact", "--nocapture", "--test-threads=1"])
            .env(TEST_PROCESS, "1")
            .env("FLOUNDER_RUNTIME_DIR", self.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if self.in_outer_loops {
            command.env(OUTER, "1");
        }
        command
    }

    fn start(&self, command: &mut Command) -> std::io::Result<TestProcess> {
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // The harness does not end its own line before the first of ours.
                if let Some(at) = line.find(MARK)
                    && sender.send(line[at + MARK.len()..].to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Ok(TestProcess {
            child,
            stdin: Some(stdin),
            lines,
            requests: 0,
            answers: HashMap::new(),
            events: Vec::new(),
            history: Vec::new(),
        })
    }
}

/// A process that carries out commands.
pub struct TestProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Number of requests that were sent.
    requests: u64,
    /// Answers that came and were not waited for yet, by the numbers of their requests.
    answers: HashMap<u64, Result<serde_json::Value, String>>,
    /// Events that came and were not waited for yet.
    events: Vec<Event>,
    /// The commands so far, for the messages of failures.
    history: Vec<String>,
}

/// A command that a test process runs, of which the answer is fetched later.
#[must_use]
#[derive(Debug)]
pub struct Pending<T> {
    id: u64,
    answer: PhantomData<fn() -> T>,
}

impl TestProcess {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command that succeeds, and returns its answer.
    #[track_caller]
    pub fn expect<C: protocol::Command>(&mut self, command: C) -> C::Answer {
        let pending = self.start(command);
        self.wait(pending)
    }

    /// Runs a command that fails, and returns its error.
    #[track_caller]
    pub fn expect_error<C: protocol::Command>(&mut self, command: C) -> String {
        let pending = self.start(command);
        self.wait_error(pending)
    }

    /// Runs a command, and returns its answer or its error.
    #[track_caller]
    pub fn run<C: protocol::Command>(&mut self, command: C) -> Result<C::Answer, String> {
        let pending = self.start(command);
        self.wait_result(pending)
    }

    /// Starts a command; its answer is fetched later.
    pub fn start<C: protocol::Command>(&mut self, command: C) -> Pending<C::Answer> {
        self.requests += 1;
        self.history.push(format!("{command:?}"));
        let request = Request { id: self.requests, command: command.wrap() };
        let line = serde_json::to_string(&request).expect("commands are plain data");
        let stdin = self.stdin.as_mut().expect("it was not told to end");
        writeln!(stdin, "{line}").expect("the process lives");
        Pending { id: self.requests, answer: PhantomData }
    }

    /// Returns the answer to a command that succeeds.
    #[track_caller]
    pub fn wait<T: DeserializeOwned>(&mut self, pending: Pending<T>) -> T {
        match self.wait_result(pending) {
            Ok(answer) => answer,
            Err(error) => panic!("{error}; {}", self.story()),
        }
    }

    /// Returns the error of a command that fails.
    #[track_caller]
    pub fn wait_error<T: DeserializeOwned>(&mut self, pending: Pending<T>) -> String {
        match self.wait_result(pending) {
            Ok(_) => panic!("the command succeeded; {}", self.story()),
            Err(error) => error,
        }
    }

    #[track_caller]
    pub fn wait_result<T: DeserializeOwned>(&mut self, pending: Pending<T>) -> Result<T, String> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(result) = self.answers.remove(&pending.id) {
                return result.map(|answer| {
                    serde_json::from_value(answer).expect("both ends are one program")
                });
            }
            assert!(self.receive(deadline), "no answer in {TIMEOUT:?}; {}", self.story());
        }
    }

    /// Waits for an event; earlier ones are dropped.
    #[track_caller]
    pub fn wait_for(&mut self, event: &Event) {
        self.wait_for_event(&format!("{event:?}"), |other| (other == event).then_some(()));
    }

    /// Waits for an event that `find` finds something in, and returns that; earlier ones are dropped.
    #[track_caller]
    pub fn wait_for_event<T>(
        &mut self,
        what: &str,
        mut find: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + TIMEOUT;
        // Number of events that were looked at already: there may be thousands.
        let mut seen = 0;
        loop {
            let new = self.events.iter().enumerate().skip(seen);
            let found = new.into_iter().find_map(|(at, event)| Some((at, find(event)?)));
            if let Some((at, found)) = found {
                self.events.drain(..=at);
                return found;
            }
            seen = self.events.len();
            if !self.receive(deadline) {
                let events = &self.events;
                panic!("no event {what} in {TIMEOUT:?}; there were {events:?}; {}", self.story());
            }
        }
    }

    /// Returns the number of events that came and were not waited for.
    pub fn count_events(&self, is_one: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| is_one(event)).count()
    }

    /// The last commands of the process, for the message of a failure.
    fn story(&self) -> String {
        let last = self.history.len().saturating_sub(20);
        format!("process {}, after {:#?}", self.pid(), &self.history[last..])
    }

    /// Takes one line; returns false if none comes before `deadline`.
    fn receive(&mut self, deadline: Instant) -> bool {
        let Some(line) = self.next(deadline) else { return false };
        match serde_json::from_str(&line).expect("both ends are one program") {
            Output::Answer { id, result } => _ = self.answers.insert(id, result),
            Output::Event(event) => self.events.push(event),
        }
        true
    }

    /// Joins the monitors of the host; the first process that does so is the root.
    #[track_caller]
    pub fn join(&mut self) {
        self.list();
    }

    /// Waits until the error handler of a client's binding is called with this error.
    #[track_caller]
    pub fn wait_for_client_error(&mut self, error: &str) {
        self.wait_for(&Event::ClientError(error.into()));
    }

    /// Waits until the error handler of a service's binding is called with this error.
    #[track_caller]
    pub fn wait_for_service_error(&mut self, error: &str) {
        self.wait_for(&Event::ServiceError(error.into()));
    }

    /// Number of calls of error handlers of clients' bindings that were not waited for.
    pub fn client_errors(&self) -> usize {
        self.count_events(|event| matches!(event, Event::ClientError(_)))
    }

    /// Number of calls of error handlers of services' bindings that were not waited for.
    pub fn service_errors(&self) -> usize {
        self.count_events(|event| matches!(event, Event::ServiceError(_)))
    }

    /// Waits until the service has got a capability; returns its number and its inode.
    #[track_caller]
    pub fn wait_for_got(&mut self) -> (u32, u64) {
        self.wait_for_event("Got", |event| match event {
            Event::Got { number, inode } => Some((*number, *inode)),
            _ => None,
        })
    }

    /// Waits for a capability that was requested; returns its number and its inode.
    #[track_caller]
    pub fn wait_for_given(&mut self) -> (u32, u64) {
        self.wait_for_event("Given", |event| match event {
            Event::Given { number, inode } => Some((*number, *inode)),
            _ => None,
        })
    }

    /// Waits for the outcome of a wait.
    #[track_caller]
    pub fn wait_for_outcome(&mut self, of: Way) -> String {
        self.wait_for_event(&format!("Waited {of:?}"), |event| match event {
            Event::Waited { way, outcome } if *way == of => Some(outcome.clone()),
            _ => None,
        })
    }

    /// Waits until it holds as much as before: resources are returned when the reports have arrived.
    #[track_caller]
    pub fn settle(&mut self, expected: &Counts) {
        self.settle_where(&format!("{expected:?}"), |now| now == expected);
    }

    /// Waits until what it holds is as it should be.
    #[track_caller]
    pub fn settle_where(&mut self, what: &str, is_so: impl Fn(&Counts) -> bool) -> Counts {
        let deadline = Instant::now() + TIMEOUT / 4;
        loop {
            let now = self.count();
            if is_so(&now) {
                return now;
            }
            let late = Instant::now() >= deadline;
            assert!(!late, "expected: {what}; found: {now:?}: {:?}", self.list_descriptors());
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until it has at most `descriptors`.
    #[track_caller]
    pub fn settle_at(&mut self, descriptors: u32) {
        let what = format!("{descriptors} descriptors");
        self.settle_where(&what, |now| now.descriptors <= descriptors);
    }

    /// Waits until the bindings of its `many` service, at either end, are gone.
    #[track_caller]
    pub fn settle_ends(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let ends = self.ends();
            if ends == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{ends} ends are left");
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until the process has this many unsent replies, this many of them cancelled.
    #[track_caller]
    pub fn settle_owed(&mut self, replies: usize, cancelled: usize) {
        let expected = Owed { replies, cancelled };
        self.settle_owed_where(&format!("{expected:?}"), |owed| *owed == expected);
    }

    /// Waits until the unsent replies satisfy the condition.
    #[track_caller]
    pub fn settle_owed_where(&mut self, what: &str, is_so: impl Fn(&Owed) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let owed = self.replies_owed();
            if is_so(&owed) {
                return;
            }
            assert!(Instant::now() < deadline, "{owed:?} instead of {what}");
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Number of its descriptors.
    #[track_caller]
    pub fn descriptors(&mut self) -> u32 {
        self.count().descriptors
    }

    fn next(&mut self, deadline: Instant) -> Option<String> {
        self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }

    /// Kills it, as nothing can prevent, and leaves the body unreaped for now.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
    }

    /// Stops it where it is, until [`go_on`](Self::go_on).
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        // The stop takes a moment, and is seen in the state of the process: T.
        let stat = format!("/proc/{}/stat", self.pid());
        let deadline = Instant::now() + TIMEOUT;
        while !std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T ")) {
            assert!(Instant::now() < deadline, "process {} does not stop", self.pid());
            thread::yield_now();
        }
    }

    /// Stops it and ends its connections, but not its listening sockets: so is a process that dies while the machine has
    /// no time for it.
    pub fn stop_halfway_through_death(&self) {
        use rustix::net::{Shutdown, getpeername, shutdown};
        use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
        self.stop();
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty());
        let process = process.expect("it is a child");
        let fds = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it is there");
        for fd in fds {
            let name = fd.expect("an entry").file_name();
            let number = name.to_str().and_then(|name| name.parse().ok()).expect("a number");
            let copy = pidfd_getfd(&process, number, PidfdGetfdFlags::empty());
            let copy = copy.expect("a child may be looked into");
            if getpeername(&copy).is_ok() {
                shutdown(&copy, Shutdown::Both).expect("it is connected");
            }
        }
    }

    /// Lets it go on after a [`stop`](Self::stop).
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).expect("it lives");
    }

    /// Has it end normally.
    #[track_caller]
    pub fn end(mut self) {
        let _ = self.start(process::Exit::new());
        drop(self.stdin.take());
        let deadline = Instant::now() + TIMEOUT;
        // The pipe ends with the process.
        while self.next(deadline).is_some() {}
        assert!(Instant::now() < deadline, "process {} did not end", self.pid());
        let status = self.child.wait().expect("it has ended");
        assert!(status.success(), "process {} ended with {status}", self.pid());
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a test over each driver that reaches other processes, side by side: it waits more than it works.
pub fn over_each_driver(test: impl Fn(Driver) + Sync) {
    thread::scope(|scope| {
        for driver in DRIVERS {
            let test = &test;
            // A panic names the thread.
            let builder = thread::Builder::new().name(driver.name().into());
            builder.spawn_scoped(scope, move || test(driver)).expect("there is room for a thread");
        }
    });
}

/// The error of a name that this process has.
pub fn taken_by(pid: u32) -> String {
    format!("Taken {{ pid: Some({pid}) }}")
}

/// Returns this many milliseconds.
pub const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
