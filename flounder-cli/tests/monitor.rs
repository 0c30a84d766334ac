//! `flounder monitor`, `flounder ls` and `flounder ping` as a user runs them.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use flounder::monitor::daemon;
use flounder::{Peer, Waitset, nameservice};
use rustix::process::{Pid, Signal, kill_process};

flounder::flounder! {
    interface clock "Tells the time" {
        rpc now(out uint64 seconds);
    };
}

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon, in a directory that is gone with it.
struct Daemon {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Daemon {
    /// Starts a monitor and waits for its first line.
    fn start(dir: &Path, args: &[&str]) -> (Self, String) {
        let mut child = command(dir, "monitor")
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let said = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut daemon = Self { child, said };
        let mut line = String::new();
        daemon.said.read_line(&mut line).expect("it speaks");
        (daemon, line)
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &Path, name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flounder"));
    command.arg(name).arg("--runtime-dir").arg(dir);
    command
}

fn ls(dir: &Path, args: &[&str]) -> Output {
    command(dir, "ls").args(args).output().expect("the command runs")
}

/// A device on which nothing can be written.
fn full() -> Stdio {
    std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there").into()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the command writes UTF-8")
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let dir = parent.path().join("run");
    (parent, dir)
}

fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir).expect("it is there").count()
}

#[test]
fn it_says_what_it_is_and_leaves_nothing_at_a_signal() {
    for signal in [Signal::INT, Signal::TERM] {
        let (_parent, dir) = place();
        let (mut daemon, said) = Daemon::start(&dir, &[]);
        let (pid, place) = (daemon.pid(), dir.display());
        let expected = format!("process {pid} is the root monitor in {place}, for its own user\n");
        assert!(said.ends_with(&expected), "{said}");
        assert_eq!(files(&dir), 1);
        assert_eq!(daemon.signal(signal).code(), Some(0));
        assert_eq!(files(&dir), 0, "it leaves its socket behind");
    }
}

#[test]
fn it_can_be_ended_while_it_waits() {
    let (_parent, dir) = place();
    let (mut first, _) = Daemon::start(&dir, &[]);
    kill_process(Pid::from_child(&first.child), Signal::STOP).expect("it runs");
    let (mut second, said) = Daemon::start(&dir, &[]);
    assert!(said.contains(&format!("waiting for process {}", first.pid())), "{said}");
    assert_eq!(second.signal(Signal::TERM).code(), Some(0));
    // The socket is the first one's, unless a second has passed: then the other one was the root, and took it along.
    assert!(files(&dir) <= 1, "it leaves files behind");
    assert_eq!(first.signal(Signal::KILL).code(), None);
}

#[test]
fn a_second_one_is_refused() {
    let (_parent, dir) = place();
    let (first, _) = Daemon::start(&dir, &[]);
    let second = command(&dir, "monitor").output().expect("the command runs");
    assert_eq!(second.status.code(), Some(1));
    let expected = format!("already: process {}\n", first.pid());
    assert!(text(&second.stderr).ends_with(&expected), "{}", text(&second.stderr));
    assert!(ls(&dir, &[]).status.success(), "the first one goes on");
}

#[test]
fn admitted_users_are_listed_and_the_mode_is_no_wider() {
    use std::os::unix::fs::PermissionsExt;
    let (_parent, dir) = place();
    let mode =
        |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let (mut daemon, said) = Daemon::start(&dir, &["--allow-uid", "7", "9", "--allow-uid", "5"]);
    assert!(said.ends_with("for its own user and 5, 7, 9\n"), "{said}");
    assert_eq!((mode(&dir), mode(&dir.join("root.sock"))), (0o711, 0o666));
    daemon.signal(Signal::TERM);
    let (_daemon, _) = Daemon::start(&dir, &[]);
    assert_eq!(mode(&dir), 0o700, "it is private again");
}

#[test]
fn without_a_monitor_there_is_nothing_to_list() {
    let (_parent, dir) = place();
    let none = |dir: &Path| {
        let output = ls(dir, &[]);
        assert_eq!(output.status.code(), Some(1));
        let expected = format!("flounder: ls: no monitor is running in {}\n", dir.display());
        assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), expected));
    };
    none(&dir);
    assert!(!dir.exists(), "it was not made");
    let (mut daemon, _) = Daemon::start(&dir, &[]);
    daemon.signal(Signal::KILL);
    assert_eq!(files(&dir), 1, "a socket without a monitor");
    none(&dir);
}

/// The one test here that has a monitor of its own: there is one for each process, in the directory of the daemon.
#[test]
fn client() {
    if std::env::var_os("FLOUNDER_TEST_CLIENT").is_none() {
        // Not a test of its own: what a process of the test below does.
        return;
    }
    let iref = nameservice::blocking_lookup("wall clock").wait().expect("there is a root");
    let bind = clock::bind(iref, &Waitset::current(), clock::ClientRxVtbl::default()).driver("lmp");
    let bound = bind.wait().expect("the service listens");
    println!("@ bound");
    let _ = std::io::stdin().read(&mut [0]);
    drop(bound);
}

#[test]
fn names_and_bindings_are_listed_for_people_and_programs() {
    if std::env::var_os("FLOUNDER_RUNTIME_DIR").is_none() {
        // A monitor finds its directory in the environment.
        let (_parent, dir) = place();
        let name = "names_and_bindings_are_listed_for_people_and_programs";
        let inner = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([name, "--exact", "--nocapture"])
            .env("FLOUNDER_RUNTIME_DIR", &dir)
            .output()
            .expect("this program can be started");
        return assert!(inner.status.success(), "{}", text(&inner.stderr));
    }
    let dir = PathBuf::from(std::env::var_os("FLOUNDER_RUNTIME_DIR").expect("it is set"));
    let (daemon, _) = Daemon::start(&dir, &[]);
    let ws = Waitset::current();
    let service = clock::export(&ws, |_: &Peer| Ok(clock::RxVtbl::default())).wait();
    let iref = service.as_ref().expect("it can be exported").iref();
    nameservice::register("wall clock", iref).wait().expect("it is free");

    let output = ls(&dir, &["--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let (me, uid) = (std::process::id(), rustix::process::geteuid().as_raw());
    assert_eq!(json["runtime_dir"], dir.to_str().expect("it is UTF-8"));
    assert_eq!(json["root"]["pid"], daemon.pid());
    assert_eq!(json["domains"], serde_json::json!([{ "pid": me, "uid": uid }]));
    assert_eq!(
        (&json["bindings"], &json["unresponsive"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );
    let [name] = &json["names"].as_array().expect("an array")[..] else { panic!("{json}") };
    let fingerprint = name["fingerprint"].as_str().expect("a string");
    assert!(fingerprint.len() == 32 && fingerprint.bytes().all(|c| c.is_ascii_hexdigit()));
    let expected = serde_json::json!({
        "name": "wall clock", "iref": iref.to_string(), "interface": "clock",
        "fingerprint": fingerprint, "pid": me, "uid": uid,
    });
    assert_eq!(*name, expected);

    let mut client = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["client", "--exact", "--nocapture"])
        .env("FLOUNDER_TEST_CLIENT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started");
    let said = BufReader::new(client.stdout.take().expect("it is piped"));
    let (remote, is_bound) = (ws.remote(), Arc::new(AtomicBool::new(false)));
    let set = Arc::clone(&is_bound);
    thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            if line.contains("@ bound") {
                set.store(true, Ordering::Relaxed);
                remote.post(|_| Ok(()));
            }
        }
    });
    let deadline = Some(Instant::now() + PATIENCE);
    let bound = ws.dispatch_until(deadline, || is_bound.load(Ordering::Relaxed));
    assert!(bound.expect("no callback fails"), "the client is not bound");

    let json: serde_json::Value =
        serde_json::from_slice(&ls(&dir, &["--json"]).stdout).expect("it is JSON");
    let [binding] = &json["bindings"].as_array().expect("an array")[..] else { panic!("{json}") };
    let since = binding["since"].as_f64().expect("a number");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
    assert!((now.as_secs_f64() - since).abs() < PATIENCE.as_secs_f64(), "since {since}");
    let expected = serde_json::json!({
        "client": { "pid": client.id(), "uid": uid }, "service": { "pid": me, "uid": uid },
        "iref": iref.to_string(), "interface": "clock", "driver": "lmp", "since": since,
    });
    assert_eq!(*binding, expected);
    let accounts = json["accounts"].as_array().expect("an array");
    let held = |holder: u32, peer: u32| {
        let is_it = |account: &&serde_json::Value| {
            account["holder"]["pid"] == holder && account["peer"]["pid"] == peer
        };
        accounts.iter().find(is_it).unwrap_or_else(|| panic!("{json}"))
    };
    for (holder, peer) in [(me, client.id()), (client.id(), me)] {
        let account = held(holder, peer);
        assert_eq!(account["used"]["bindings"], 1, "{account}");
        assert_eq!(account["limit"]["bindings"], 4096, "{account}");
        assert!(account["limit_of_all"]["bindings"].is_null(), "{account}");
        assert!(account["used"]["descriptors"].as_u64().is_some_and(|n| n >= 3), "{account}");
    }
    let at_root = held(daemon.pid(), me);
    assert!(at_root["used"]["descriptors"].as_u64() >= Some(2), "{json}");
    assert_eq!((&at_root["used"]["names"], &at_root["limit"]["names"]), (&1.into(), &4096.into()));
    assert_eq!(at_root["limit"]["pending_reports"], 512);

    let printed = text(&ls(&dir, &[]).stdout);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[1], "processes: 2, names: 1, bindings: 1");
    let at = |head: &str, column: &str| head.find(column).expect("it is a column");
    let (head, row) = (lines[3], lines[4]);
    let columns = ["name", "iref", "pid", "uid", "interface", "fingerprint"];
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), columns);
    assert!(row[at(head, "name")..].starts_with("wall clock "), "{printed}");
    assert!(row[at(head, "iref")..].starts_with(&iref.to_string()), "{printed}");
    assert!(row[at(head, "interface")..].starts_with("clock "), "{printed}");
    let (head, row) = (lines[6], lines[7]);
    let columns = ["client", "service", "iref", "interface", "driver", "for"];
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), columns);
    let of = |pid: u32| format!("{pid} of user {uid} ");
    assert!(row[at(head, "client")..].starts_with(&of(client.id())), "{printed}");
    assert!(row[at(head, "service")..].starts_with(&of(me)), "{printed}");
    assert!(row[at(head, "driver")..].starts_with("lmp "), "{printed}");
    let columns = ["holder", "peer", "holds", "amount", "limit"];
    assert_eq!(lines[9].split_whitespace().collect::<Vec<_>>(), columns);
    let holds = |holder: u32, peer: u32, what: &str| {
        let row = format!("{}{}{what}", of(holder), of(peer)).replace(' ', "");
        lines[10..].iter().any(|line| line.replace(' ', "").starts_with(&row))
    };
    assert!(holds(me, client.id(), "bindings 1 4096"), "{printed}");
    assert!(holds(client.id(), me, "bindings 1 4096"), "{printed}");
    assert!(holds(daemon.pid(), me, "services 1 "), "{printed}");
    assert!(holds(daemon.pid(), me, "names 1 4096"), "{printed}");
    assert!(holds(daemon.pid(), client.id(), "descriptors"), "{printed}");
    let is_nothing = |line: &&str| line.split_whitespace().nth_back(1) == Some("0");
    assert!(!lines[10..].iter().any(is_nothing), "{printed}");
    drop(client.stdin.take());
    client.wait().expect("it ends");
    // The same code as in other processes.
    let another = daemon::Daemon::start(daemon::Options::default(), |_| ()).map(drop);
    assert_eq!(another, Err(daemon::DaemonError::Running { pid: Some(daemon.pid()) }));
}

#[test]
fn a_daemon_logs_warnings() {
    let (_parent, dir) = place();
    let (mut daemon, _) = Daemon::start(&dir, &[]);
    std::fs::remove_file(dir.join("root.sock")).expect("it is there");
    let mut line = String::new();
    daemon.said.read_line(&mut line).expect("it speaks");
    assert!(line.starts_with("flounder: monitor: ") && line.contains("created again"), "{line}");
    assert!(line.contains(&format!("(path: {})", dir.display())), "{line}");
}

#[test]
fn a_daemon_whose_log_is_full_goes_on() {
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("run");
    let start = || command(&dir, "monitor").stdout(full()).stderr(full()).spawn();
    let first = start().expect("the command runs");
    let mut daemon = Daemon { child: first, said: BufReader::new(nothing()) };
    let deadline = Instant::now() + PATIENCE;
    while !ls(&dir, &[]).status.success() {
        assert_eq!(daemon.child.try_wait().expect("it is ours"), None, "it ended");
        assert!(Instant::now() < deadline, "it does not serve");
    }
    // The second command fails: its exit status is that of the failure, although its message cannot be written.
    let refused = start().expect("the command runs").wait().expect("it ends");
    assert_eq!(refused.code(), Some(1));
    assert!(daemon.signal(Signal::TERM).success());
}

/// Standard error of a silent process.
fn nothing() -> ChildStderr {
    let mut child = Command::new("true").stderr(Stdio::piped()).spawn().expect("it runs");
    child.wait().expect("it ends");
    child.stderr.take().expect("it is piped")
}

#[test]
fn what_cannot_be_written_is_an_error_and_a_closed_pipe_is_none() {
    let parent = tempfile::tempdir().expect("a directory");
    let dir = parent.path().join("run");
    let (_daemon, _) = Daemon::start(&dir, &[]);
    for args in [&[][..], &["--json"]] {
        let output = command(&dir, "ls").args(args).stdout(full()).output().expect("it runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with("flounder: ls: ") && said.contains("space"), "{said}");
        let silent = command(&dir, "ls").args(args).stdout(full()).stderr(full()).status();
        assert_eq!(silent.expect("it runs").code(), Some(1));
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command(&dir, "ls").args(args).stdout(writer).output().expect("it runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn ping_tells_a_service_that_answers_from_a_stuck_one() {
    if std::env::var_os("FLOUNDER_RUNTIME_DIR").is_none() {
        // A monitor finds its directory in the environment.
        let (_parent, dir) = place();
        let name = "ping_tells_a_service_that_answers_from_a_stuck_one";
        let inner = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([name, "--exact", "--nocapture"])
            .env("FLOUNDER_RUNTIME_DIR", &dir)
            .output()
            .expect("this program can be started");
        return assert!(inner.status.success(), "{}", text(&inner.stderr));
    }
    let ping = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flounder"));
        let output = command.arg("ping").args(args).output().expect("the command runs");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, said) = ping(&["clock"]);
    assert!(code == Some(1) && said.contains("no monitor"), "{said}");
    let _clock = clock::serve("clock", clock::RxVtbl::default).wait().expect("the name is free");
    let (code, printed, said) = ping(&["clock", "--timeout", "20000"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.starts_with("clock has answered after ") && printed.ends_with(" ms\n"));
    let (code, _, said) = ping(&["unknown"]);
    assert!(code == Some(1) && said.contains("\"unknown\""), "{said}");
    // This thread does not dispatch.
    let waitset = Waitset::current();
    let service = clock::export(&waitset, |_: &Peer| Ok(clock::RxVtbl::default())).wait();
    let iref = service.as_ref().expect("it can be exported").iref();
    nameservice::register("stuck", iref).wait().expect("it is free");
    let (code, printed, said) = ping(&["stuck", "--timeout", "300"]);
    assert!(code == Some(1) && said.contains("does not dispatch"), "{said}");
    assert_eq!(printed, "");
}
