//! Clients that come back. A process is the client, starts the services, and kills them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flounder::service::{Reconnect, Reconnecting};
use flounder::{RpcError, TxError, Waitset, flounder};

flounder! {
    interface tally "Counts what runs" {
        rpc add(in uint64 n, out uint64 n);
        @idempotent
        rpc put(in uint64 n, out uint64 n);
        rpc pid(out uint32 pid);
    };
}

pub(crate) const ROLE: &str = "FLOUNDER_TEST_ROLE";
const FILE: &str = "FLOUNDER_TEST_FILE";
const TIMEOUT: Duration = Duration::from_secs(60);

/// Plays the role of a process.
pub(crate) fn play(role: &str) {
    match role {
        "service" => service(),
        "successor" => successor(),
        "load" => load(),
        "hand over" => hand_over(),
        "at once" => at_once(),
        "deadline" => deadline(),
        "handles" => handles(),
        _ => panic!("no such role: {role}"),
    }
}

/// Runs a role in a process of its own, in a directory of its own.
#[track_caller]
fn run(role: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut process = start(role, Some(dir.path().into()));
    assert!(process.0.wait().expect("it is a child").success(), "{role}");
}

/// A process that is killed when the value is dropped.
struct Process(Child);

impl Process {
    /// Kills the process, and returns once it is dead.
    fn kill(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.0.kill();
        self.0.wait().expect("it is a child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start(role: &str, dir: Option<PathBuf>) -> Process {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["role", "--exact", "--nocapture"]).env(ROLE, role);
    if let Some(dir) = dir {
        command.env("FLOUNDER_RUNTIME_DIR", dir.join("run")).env(FILE, dir.join("ran"));
    }
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
    Process(command.spawn().expect("this program can be started"))
}

/// Writes down what runs, before it answers.
struct Server(File);

impl Server {
    fn ran(&mut self, n: u64) {
        self.0.write_all(format!("{n}\n").as_bytes()).expect("there is room");
    }
}

impl tally::Rx for Server {
    fn add(&mut self, _: &tally::Binding, n: u64, reply: tally::AddReply) {
        self.ran(n);
        reply.send(n);
    }

    fn put(&mut self, _: &tally::Binding, n: u64, reply: tally::PutReply) {
        self.ran(n);
        reply.send(n);
    }

    fn pid(&mut self, _: &tally::Binding, reply: tally::PidReply) {
        reply.send(std::process::id());
    }
}

fn file() -> PathBuf {
    std::env::var_os(FILE).expect("it is set").into()
}

fn open() -> File {
    File::options().append(true).create(true).open(file()).expect("it can be made")
}

fn service() {
    let service = tally::serve("tally", || Server(open())).timeout(TIMEOUT).wait();
    let _service = service.expect("the name is free");
    // Ends with the process that has started it.
    let _ = std::io::stdin().read(&mut [0]);
}

/// A service that takes over from the one before, and ends when the next one takes over from it.
fn successor() {
    let service = tally::serve("tally", || Server(open())).taking_over().timeout(TIMEOUT).wait();
    let service = service.expect("the name is of this user");
    service.lost().wait().expect("it has the name until then");
    let left = service.drain(Instant::now() + TIMEOUT).wait().expect("it is served");
    assert_eq!(left, 0, "all clients have moved");
}

fn connect(policy: Reconnect) -> tally::RpcClient<Reconnecting> {
    let connecting = tally::connect("tally").reconnecting(policy).timeout(TIMEOUT);
    tally::RpcClient::new(&connecting.wait().expect("there is a service"))
}

#[track_caller]
fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

/// What the callers have done.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    next: AtomicU64,
    answered: AtomicU64,
    /// The calls of `add`, and whether they were answered; then those of `put`.
    adds: Mutex<Vec<(u64, bool)>>,
    puts: Mutex<Vec<u64>>,
}

impl Load {
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn add(&self, result: Result<u64, RpcError>, n: u64) {
        let answered = match result {
            Ok(answer) => {
                assert_eq!(answer, n, "the answer to another call");
                self.answered.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(RpcError::Closed(_) | RpcError::NotSent(_) | RpcError::ServiceClosed) => false,
            Err(error) => panic!("call {n}: {error:?}"),
        };
        self.adds.lock().expect("no thread panics").push((n, answered));
    }

    fn put(&self, result: Result<u64, RpcError>, n: u64) {
        assert_eq!(result, Ok(n), "an idempotent call is repeated until it is answered");
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.puts.lock().expect("no thread panics").push(n);
    }

    fn call(&self, client: &tally::RpcClient<Reconnecting>) {
        while !self.over.load(Ordering::Relaxed) {
            let n = self.number();
            self.add(client.add(n), n);
            let n = self.number();
            self.put(client.put(n), n);
        }
    }

    /// Calls with several under way at a time.
    fn call_async(&self, client: &tally::RpcClient<Reconnecting>) {
        let waitset = Waitset::new();
        while !self.over.load(Ordering::Relaxed) {
            let calls = [(); 4].map(|()| {
                let n = self.number();
                (n, client.add_async(n))
            });
            for (n, call) in calls {
                self.add(waitset.block_on(call).expect("no callback fails"), n);
            }
        }
    }
}

fn load() {
    let kills = std::env::var("FLOUNDER_RESTARTS").map_or(12, |set| set.parse().expect("a number"));
    let mut service = start("service", None);
    let events = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let (lost, back) = (Arc::clone(&events), Arc::clone(&events));
    let policy = Reconnect::default()
        .first_delay(Duration::from_millis(1))
        .on_lost(move |_| _ = lost.0.fetch_add(1, Ordering::Relaxed))
        .on_back(move |_| _ = back.1.fetch_add(1, Ordering::Relaxed));
    let client = connect(policy);
    let load = Load::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| load.call(&client));
        }
        scope.spawn(|| load.call_async(&client));
        for kill_number in 1..=kills {
            let before = load.answered.load(Ordering::Relaxed);
            until("the client is back", || load.answered.load(Ordering::Relaxed) > before + 200);
            service.kill();
            service = start("service", None);
            until("the loss is reported", || events.0.load(Ordering::Relaxed) == kill_number);
        }
        until("the last return", || events.1.load(Ordering::Relaxed) == kills);
        load.over.store(true, Ordering::Relaxed);
    });
    service.kill();
    let mut ran: HashMap<u64, u32> = HashMap::new();
    for n in fs::read_to_string(file()).expect("it was made").lines() {
        *ran.entry(n.parse().expect("a number")).or_default() += 1;
    }
    let (adds, puts) = (load.adds.into_inner().expect("ok"), load.puts.into_inner().expect("ok"));
    let mut lost = 0;
    for (n, answered) in &adds {
        let times = ran.get(n).copied().unwrap_or(0);
        assert!(times == 1 || !answered && times == 0, "add {n}: ran {times} times, {answered}");
        lost += u32::from(!answered);
    }
    let repeated = puts.iter().filter(|n| ran.get(n).copied().expect("it ran") > 1).count();
    eprintln!(
        "{kills} kills: {} calls ran once, {lost} may have run and failed; of {} idempotent calls {repeated} ran twice",
        adds.len() as u32 - lost,
        puts.len()
    );
}

fn hand_over() {
    let mut service = start("successor", None);
    let is_lost = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&is_lost);
    let policy = Reconnect::default().on_lost(move |_| noted.store(true, Ordering::Relaxed));
    let client = connect(policy);
    let load = Load::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| load.call(&client));
        }
        scope.spawn(|| load.call_async(&client));
        for _ in 0..8 {
            let before = load.answered.load(Ordering::Relaxed);
            until("calls go on", || load.answered.load(Ordering::Relaxed) > before + 200);
            let next = start("successor", None);
            // The last service ends by itself.
            let ended = service.0.wait().expect("it is a child");
            assert!(ended.success(), "the service before: {ended}");
            until("the client has moved", || client.pid() == Ok(next.0.id()));
            service = next;
        }
        load.over.store(true, Ordering::Relaxed);
    });
    assert!(!is_lost.load(Ordering::Relaxed), "the client has moved before its binding ended");
    let ran = fs::read_to_string(file()).expect("it was made");
    let mut ran: Vec<u64> = ran.lines().map(|n| n.parse().expect("a number")).collect();
    ran.sort_unstable();
    let adds = load.adds.into_inner().expect("ok");
    assert!(adds.iter().all(|(_, answered)| *answered), "every call is answered");
    let all: Vec<u64> = (0..load.next.into_inner()).collect();
    assert_eq!(ran, all, "every call ran once");
    eprintln!("8 services took over: {} calls, each ran once", all.len());
}

fn at_once() {
    let mut service = start("service", None);
    let is_lost = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&is_lost);
    let policy = Reconnect::default()
        .fail_meanwhile()
        .on_lost(move |_| noted.store(true, Ordering::Relaxed))
        .on_back(|_| panic!("a panic of a callback ends nothing"));
    let client = connect(policy);
    let first = client.pid().expect("it lives");
    service.kill();
    until("the loss is reported", || is_lost.load(Ordering::Relaxed));
    let refused = Err(RpcError::Tx(TxError::NotConnected));
    assert_eq!(client.put(1), refused);
    assert_eq!(Waitset::new().block_on(client.put_async(2)).expect("no callback fails"), refused);
    assert!(fs::read_to_string(file()).is_ok_and(|ran| ran.is_empty()), "nothing was sent");
    for _ in 0..2 {
        let _service = start("service", None);
        until("the client is back", || client.pid().is_ok_and(|pid| pid != first));
    }
}

fn deadline() {
    let mut service = start("service", None);
    let client = connect(Reconnect::default());
    client.pid().expect("it lives");
    service.kill();
    let short = client.timeout(Duration::from_millis(50));
    until("calls wait", || match short.pid() {
        Err(RpcError::Deadline) => true,
        Err(RpcError::Closed(_) | RpcError::NotSent(_)) => false,
        other => panic!("{other:?}"),
    });
    let waits = short.pid_async();
    assert_eq!(Waitset::new().block_on(waits).expect("no callback fails"), Err(RpcError::Deadline));
    // A call that waits is made by the next service.
    let waiting = thread::spawn(move || client.pid());
    let next = start("service", None);
    assert_eq!(waiting.join().expect("no panic"), Ok(next.0.id()));
}

fn handles() {
    let service = tally::serve("tally", || Server(open())).wait().expect("the name is free");
    let client = connect(Reconnect::default());
    assert_eq!(client.pid(), Ok(std::process::id()));
    let other = client.clone();
    assert!(client.binding().ended().is_none());
    let shared = client.binding().shared();
    drop(client);
    assert_eq!(other.pid(), Ok(std::process::id()));
    drop(other);
    drop(shared);
    // A binding that is torn down stays so.
    let client = connect(Reconnect::default());
    client.binding().teardown();
    assert!(matches!(client.pid(), Err(RpcError::NotSent(_))));
    assert!(client.binding().ended().is_some());
    drop(service);
}

#[test]
fn no_call_runs_twice_while_services_are_killed() {
    run("load");
}

#[test]
fn no_call_fails_when_services_take_over() {
    run("hand over");
}

#[test]
fn calls_fail_at_once_if_the_policy_says_so() {
    run("at once");
}

#[test]
fn calls_without_a_connection_end_at_their_deadline() {
    run("deadline");
}

#[test]
fn clones_of_a_reconnecting_end_are_one_end() {
    run("handles");
}
