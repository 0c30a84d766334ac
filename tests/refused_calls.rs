//! The kernel refuses system calls to a running process: no wake-up is lost, and no call hangs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use flounder::driver::barrier;
use flounder::{Peer, Waitset, flounder, nameservice};
use flounder_conformance::seccomp;
use rustix::process::{Resource, Rlimit, setrlimit};

/// The longest that one step may take before its test fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a process is, by the name of its part.
const PART: &str = "FLOUNDER_TEST_PART";
const DRIVER: &str = "FLOUNDER_TEST_DRIVER";
const ERRNO: &str = "FLOUNDER_TEST_ERRNO";
/// Rounds of the ping-pong, if not [`ROUNDS`].
const HOW_MANY: &str = "FLOUNDER_TEST_ROUNDS";

/// Rounds of a ping-pong.
const ROUNDS: u64 = 20_000;

/// Prefix of a child's lines, among those of the test harness.
const MARK: &str = "@ ";

flounder! {
    interface pulse "Messages that wake somebody" {
        call tick(uint64 n);
        response tock(uint64 n);
        call bulk(uint8 data[len, 60000]);
        rpc double(in uint64 n, out uint64 twice);
        /// Answered after the service has slept for this many milliseconds.
        rpc late(in uint64 milliseconds, out uint64 same);
    };
}

// ---- the children -----------------------------------------------------------------------------------------------------------

struct Service;

impl pulse::Rx for Service {
    fn tick(&mut self, binding: &pulse::Binding, n: u64) {
        binding.tx_tock(n).expect("there is room");
    }

    fn bulk(&mut self, _: &pulse::Binding, _: &[u8]) {}

    fn double(&mut self, _: &pulse::Binding, n: u64, reply: pulse::DoubleReply) {
        reply.send(2 * n);
    }

    fn late(&mut self, _: &pulse::Binding, milliseconds: u64, reply: pulse::LateReply) {
        let time = Duration::from_millis(milliseconds);
        Waitset::current().after(time, move |_| {
            reply.send(milliseconds);
            Ok(())
        });
    }
}

/// Not a test by itself: what the other processes do.
#[test]
fn child() {
    let Ok(part) = std::env::var(PART) else { return };
    if part != "unlimited" && part.contains("limited") {
        // As `ulimit -f 0`. SIGXFSZ has its default action, which ends the process.
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        setrlimit(Resource::Fsize, none).expect("a process may limit itself");
    }
    let ws = Waitset::current();
    if part.starts_with("serve") {
        return serve(&ws, &part);
    }
    let iref = nameservice::blocking_lookup("pulse").timeout(TIMEOUT).wait().expect("it is there");
    let driver = std::env::var(DRIVER).expect("the test says which");
    let (sender, tocks) = channel();
    let vtbl = pulse::ClientRxVtbl {
        tock: Some(Box::new(move |_: &pulse::ClientBinding, n| {
            sender.send(n).expect("this thread takes them");
        })),
        ..Default::default()
    };
    if part.ends_with("limited") {
        let binding = pulse::bind(iref, &ws, vtbl).wait().expect("it can be bound");
        let client = pulse::RpcClient::new(&binding).timeout(TIMEOUT);
        assert_eq!(client.double(1).expect("the service answers"), 2);
        return say(binding.driver());
    }
    let binding = pulse::bind(iref, &ws, vtbl).driver(&driver).wait().expect("it can be bound");
    let client = pulse::RpcClient::new(&binding).timeout(TIMEOUT);
    assert_eq!(client.double(1).expect("the service answers"), 2);
    // From here on the end of this binding is idle and armed.
    rest(&ws);
    match part.as_str() {
        "ping-pong" => {
            refuse_barriers();
            let rounds = std::env::var(HOW_MANY).map_or(ROUNDS, |n| n.parse().expect("a number"));
            for n in 0..rounds {
                binding.tx_tick(n).expect("there is room");
                let mut tock = None;
                let deadline = Some(Instant::now() + TIMEOUT);
                let came = ws.dispatch_until(deadline, || {
                    tock = tocks.try_recv().ok();
                    tock.is_some()
                });
                assert!(came.expect("no callback fails"), "round {n}: asleep for good");
                assert_eq!(tock, Some(n));
            }
        }
        "dispatch" => {
            refuse_barriers();
            // The answer makes the binding one that is polled, which rests then.
            binding.tx_tick(0).expect("there is room");
            let deadline = Some(Instant::now() + TIMEOUT);
            ws.dispatch_until(deadline, || tocks.try_recv().is_ok()).expect("no callback fails");
            rest(&ws);
        }
        "call" => {
            refuse_barriers();
            assert_eq!(client.late(20).expect("the service answers"), 20);
        }
        "busy" => {
            refuse_barriers();
            // The answer makes the binding one that is polled. Others have work all the time: this thread never blocks.
            binding.tx_tick(0).expect("there is room");
            let deadline = Instant::now() + TIMEOUT;
            while tocks.try_recv().is_err() {
                ws.try_dispatch().expect("no callback fails");
                assert!(Instant::now() < deadline, "the service does not answer");
            }
            let mut events = 0;
            while !barrier::senders_fence() && events < 2_000_000 {
                ws.post(|_| Ok(()));
                ws.dispatch().expect("there is an event");
                events += 1;
            }
        }
        "full" => {
            refuse_barriers();
            say("stop");
            wait_for_the_test();
            while binding.tx_bulk(&[7; 60_000]).is_ok() {}
        }
        "bell" => {
            let errno = std::env::var(ERRNO).expect("the test says which");
            seccomp::refuse(&[libc::SYS_sendto], errno.parse().expect("a number"));
            let began = Instant::now();
            let error = client.double(3).expect_err("nobody wakes the service");
            let is_in_time = began.elapsed() < TIMEOUT / 2;
            return say(&format!("{is_in_time} {error:?}"));
        }
        other => panic!("no such part: {other}"),
    }
    say(if barrier::senders_fence() { "fences" } else { "not refused" });
    if part == "full" {
        wait_for_the_test();
    }
    // Nothing was lost, nor is anything later.
    for n in 0..100 {
        assert_eq!(client.late(n % 3).expect("the service answers"), n % 3, "call {n}");
    }
    say("done");
}

fn serve(ws: &Waitset, part: &str) {
    let exported = pulse::export(ws, |_: &Peer| Ok(Service)).wait().expect("it can be exported");
    nameservice::register("pulse", exported.iref()).wait().expect("nobody else has the name");
    if part == "serve refused" {
        barrier::register();
        refuse_barriers();
    }
    say("ready");
    ws.dispatch_until(None, || false).expect("the test kills this process");
}

/// Dispatches for a moment in which nothing happens.
fn rest(ws: &Waitset) {
    let deadline = Some(Instant::now() + Duration::from_millis(20));
    ws.dispatch_until(deadline, || false).expect("no callback fails");
}

fn refuse_barriers() {
    assert!(!barrier::senders_fence(), "the kernel has membarrier, and this process is registered");
    seccomp::refuse(&[libc::SYS_membarrier], libc::EPERM);
}

fn say(line: &str) {
    println!("\n{MARK}{line}");
    std::io::stdout().flush().expect("the test reads");
}

fn wait_for_the_test() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("the test writes");
}

// ---- the tests --------------------------------------------------------------------------------------------------------------

struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    fn start(dir: &Path, part: &str, driver: &str, errno: i32) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(PART, part)
            .env(DRIVER, driver)
            .env(ERRNO, errno.to_string())
            .env("FLOUNDER_RUNTIME_DIR", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(said) = line.strip_prefix(MARK)
                    && sender.send(said.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    #[track_caller]
    fn says(&self) -> String {
        self.lines.recv_timeout(2 * TIMEOUT).expect("the process says something")
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it lives");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service, and a client with this part.
fn pair(dir: &Path, service: &str, part: &str, driver: &str, errno: i32) -> (Process, Process) {
    let service = Process::start(dir, service, driver, 0);
    assert_eq!(service.says(), "ready");
    let client = Process::start(dir, part, driver, errno);
    (service, client)
}

#[test]
fn ping_pong_survives_a_barrier_refused_late() {
    for service in ["serve", "serve refused"] {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let (_service, client) = pair(&dir.path().join("run"), service, "ping-pong", "ump", 0);
        let said = client.lines.recv().expect("it says when it has failed, too");
        assert_eq!(said, "fences", "{service}");
        assert_eq!(client.says(), "done", "{service}");
    }
}

/// Each place that arms: a waitset that blocks, one that rests quiet sources, a blocking call, and a send that finds no room.
#[test]
fn each_caller_notices_a_refused_barrier() {
    for part in ["dispatch", "busy", "call", "full"] {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let (service, mut client) = pair(&dir.path().join("run"), "serve", part, "ump", 0);
        if part == "full" {
            assert_eq!(client.says(), "stop");
            service.signal(rustix::process::Signal::STOP);
            writeln!(client.stdin).expect("it reads");
        }
        assert_eq!(client.says(), "fences", "{part}");
        if part == "full" {
            service.signal(rustix::process::Signal::CONT);
            writeln!(client.stdin).expect("it reads");
        }
        assert_eq!(client.says(), "done", "{part}");
    }
}

#[test]
fn process_that_may_not_write_files_binds_without_memory() {
    for (service, client) in [("serve", "limited"), ("serve limited", "limited")] {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let (_service, client) = pair(&dir.path().join("run"), service, client, "any", 0);
        assert_eq!(client.says(), "lmp", "{service}");
    }
    let dir = tempfile::tempdir().expect("a directory can be made");
    let (_service, client) = pair(&dir.path().join("run"), "serve limited", "unlimited", "any", 0);
    assert_eq!(client.says(), "lmp");
}

#[test]
fn refused_doorbell_ends_the_channel_with_the_error() {
    use rustix::io::Errno;
    for driver in ["ump", "scc", "beehive"] {
        for errno in [Errno::PERM, Errno::NOBUFS, Errno::NOMEM, Errno::AGAIN] {
            let dir = tempfile::tempdir().expect("a directory can be made");
            let errno = errno.raw_os_error();
            let (_service, client) = pair(&dir.path().join("run"), "serve", "bell", driver, errno);
            let said = client.says();
            assert!(said.starts_with("true"), "{driver}, error {errno}: {said}");
            assert!(
                said.contains(&format!("(os error {errno})")),
                "{driver}, error {errno}: {said}"
            );
        }
    }
}
