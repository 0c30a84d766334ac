//! The processes of a test: a service that is attacked, an honest client of it, and the attacker, which is the test.

// Each test file uses its part of this.
#![allow(dead_code, unreachable_pub)]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use flounder_hostile_peer::PATIENCE;
use flounder_hostile_peer::interface::Interface;
use flounder_hostile_peer::monitor::{Domain, Link};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

/// The interface of the service.
pub static VICTIM: LazyLock<Interface> =
    LazyLock::new(|| Interface::parse(include_str!("../../src/victim.if")));

/// A runtime directory with a service in it, which is its root, too.
pub struct Host {
    dir: TempDir,
    pub service: Program,
}

impl Host {
    /// Starts a service that accepts every client.
    pub fn new() -> Self {
        Self::with("serve", |_| {})
    }

    /// Starts a service in this mode of `victim`, with changes to its command.
    pub fn with(mode: &str, change: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = victim(&dir, &[mode, "victim"]);
        change(&mut command);
        let mut service = Program::start(&mut command);
        assert_eq!(service.line(), "ready");
        Self { dir, service }
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// A command of `victim` in this runtime directory.
    pub fn command(&self, args: &[&str]) -> Command {
        victim(&self.dir, args)
    }

    /// Starts an honest client.
    pub fn client(&self) -> Client {
        let mut program = Program::start(&mut self.command(&["call", "victim"]));
        assert_eq!(program.line(), "bound");
        Client(program)
    }

    /// Joins as the attacker and makes a link to the service; returns the reference of the service, too.
    pub fn attack(&self) -> (Domain, Link, u64) {
        let mut domain = Domain::join(&self.dir(), u64::from(std::process::id()) << 20 | 1);
        let iref = domain.lookup("victim");
        let link = domain.link(iref);
        (domain, link, iref)
    }
}

fn victim(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_victim"));
    command.args(args).env("FLOUNDER_RUNTIME_DIR", dir.path().join("run"));
    command
}

/// What the honest client has seen in one round of calls and binds.
#[derive(Debug)]
pub struct Round {
    /// The slowest of them.
    pub slowest: Duration,
    /// Descriptors of the service.
    pub descriptors: u64,
    /// Mappings of the service.
    pub mappings: u64,
    /// Resident memory of the service, in KiB.
    pub rss_kib: u64,
}

/// An honest client.
pub struct Client(Program);

impl Client {
    /// Makes a hundred calls over a binding that is there, binds anew, and makes a hundred more.
    pub fn round(&mut self) -> Round {
        self.0.say("go");
        let line = self.0.line();
        let numbers: Vec<u64> =
            line.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [micros, descriptors, mappings, rss_kib] = numbers[..] else { panic!("{line}") };
        Round { slowest: Duration::from_micros(micros), descriptors, mappings, rss_kib }
    }
}

/// A process of the test; killed when dropped.
pub struct Program {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the program");
        let (out, stdin) =
            (child.stdout.take().expect("piped"), child.stdin.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it, and waits until it has stopped.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let deadline = Instant::now() + PATIENCE;
        let stat = format!("/proc/{}/stat", self.pid());
        let is_stopped = || {
            let stat = std::fs::read_to_string(&stat).expect("the program lives");
            stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"))
        };
        while !is_stopped() {
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::yield_now();
        }
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the program lives");
    }

    /// The next line that it prints.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.unwrap_or_else(|error| panic!("no line: {error}, {:?}", self.child.try_wait()))
    }

    pub fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("the program listens");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A stopped process dies of it, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
