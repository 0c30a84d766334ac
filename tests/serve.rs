//! Services and clients of programs without a waitset: `serve` and `connect`.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use flounder::nameservice::NameError;
use flounder::service::{ServiceError, ServiceHandle};
use flounder::{RpcError, flounder, nameservice};

flounder! {
    interface kv "Numbers by name" {
        message note(uint32 n);
        rpc add(in uint32 n, out uint32 sum);
        rpc pid(out uint32 pid);
        rpc fail(in uint32 n, out uint32 n);
        rpc reconnect(in string name[64], out uint8 is_refused);
    };
}

flounder! {
    interface other "Not kv" {
        rpc ask(in uint32 n, out uint32 n);
    };
}

const ROLE: &str = "FLOUNDER_TEST_ROLE";
const TIMEOUT: Duration = Duration::from_secs(60);

/// One value for each client.
struct Server {
    sum: u32,
    /// Number of values that live.
    alive: Arc<AtomicU32>,
}

impl Server {
    fn new(alive: &Arc<AtomicU32>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { sum: 0, alive: Arc::clone(alive) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl kv::Rx for Server {
    fn note(&mut self, _: &kv::Binding, n: u32) {
        self.sum += n;
    }

    fn add(&mut self, _: &kv::Binding, n: u32, reply: kv::AddReply) {
        self.sum += n;
        reply.send(self.sum);
    }

    fn pid(&mut self, _: &kv::Binding, reply: kv::PidReply) {
        reply.send(std::process::id());
    }

    fn fail(&mut self, _: &kv::Binding, n: u32, _: kv::FailReply) {
        panic!("a handler fails with {n}");
    }

    fn reconnect(&mut self, _: &kv::Binding, name: &str, reply: kv::ReconnectReply) {
        let refused = matches!(kv::connect(name).wait(), Err(ServiceError::OwnThread));
        let call = other::connect(name).wait();
        reply.send(u8::from(refused && call.is_err()));
    }
}

struct Echo;

impl other::Rx for Echo {
    fn ask(&mut self, _: &other::Binding, n: u32, reply: other::AskReply) {
        reply.send(n);
    }
}

fn serve(name: &str) -> (ServiceHandle, Arc<AtomicU32>) {
    let alive = Arc::new(AtomicU32::new(0));
    let theirs = Arc::clone(&alive);
    let service = kv::serve(name, move || Server::new(&theirs)).timeout(TIMEOUT).wait();
    (service.expect("the name is free"), alive)
}

fn connect(name: &str) -> kv::RpcClient<flounder::Shared> {
    let end = kv::connect(name).timeout(TIMEOUT).wait().expect("there is a service");
    kv::RpcClient::new(&end)
}

/// Waits until other threads have made a condition true.
#[track_caller]
fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

/// Not a test of its own: what the processes of the tests do.
#[test]
fn role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match role.as_str() {
        "service" => service(),
        "one process" => one_process(),
        "tokio" => in_tokio(),
        "many services" => many_services(),
        "twice" => twice(),
        "taken" => taken(),
        "dropped" => dropped(),
        "given up" => given_up(),
        "late" => late(),
        "silent root" => silent_root(),
        "client" => client(),
        "panics" => panics(),
        "own thread" => own_thread(),
        "fork" => forks(),
        _ => panic!("no such role: {role}"),
    }
    say("done");
}

fn service() {
    let (_service, _) = serve("kv");
    say("ready");
    let _ = std::io::stdin().read(&mut [0]);
}

/// Calls block, are awaited, and come from any thread.
fn one_process() {
    let (service, alive) = serve("kv");
    assert_eq!(service.name(), "kv");
    assert_eq!(nameservice::lookup("kv").wait(), Ok(service.iref()));
    let client = connect("kv");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| assert!(client.add(1).is_ok())));
        }
    });
    assert_eq!(client.add(0), Ok(400));
    assert_eq!(connect("kv").add(1), Ok(1), "each client has a value of its own");
    let end = kv::connect("kv").wait().expect("there is a service");
    end.send_note(7).wait().expect("the service lives");
    assert_eq!(kv::RpcClient::new(&end).add(0), Ok(7));
    drop(end);
    until("the handlers of clients that are gone are dropped", || {
        alive.load(Ordering::Relaxed) == 1
    });
    assert_eq!(client.add(0), Ok(400));
}

fn in_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    let runtime = runtime.expect("start a runtime");
    runtime.block_on(async {
        let alive = Arc::default();
        let service = kv::serve("kv", move || Server::new(&alive)).await.expect("serve");
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                tokio::spawn(async {
                    let client = kv::RpcClient::new(&kv::connect("kv").await.expect("connect"));
                    for n in 1..=100 {
                        assert_eq!(client.add_async(1).await, Ok(n));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task does not panic");
        }
        drop(service);
    });
}

/// One process, one thread: services of two interfaces.
fn many_services() {
    let alive = Arc::<AtomicU32>::default();
    let services: Vec<_> = (0..100)
        .map(|n| {
            let alive = Arc::clone(&alive);
            kv::serve(&format!("kv {n}"), move || Server::new(&alive)).wait().expect("serve")
        })
        .collect();
    let echo = other::serve("echo", || Echo).wait().expect("serve");
    for n in 0..100 {
        assert_eq!(connect(&format!("kv {n}")).add(n), Ok(n));
    }
    let client = other::RpcClient::new(&other::connect("echo").wait().expect("connect"));
    assert_eq!(client.ask(3), Ok(3));
    let error = other::connect("kv 1").wait().expect_err("it is another interface");
    assert!(matches!(error, ServiceError::Bind(_)), "{error:?}");
    assert_eq!(threads_of_the_library(), 1);
    drop((services, echo));
}

fn threads_of_the_library() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("there is a proc file system");
    let names = tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("comm")));
    names.flatten().filter(|name| name.trim() == "flounder-serve").count()
}

/// The first service keeps its name, in one process as among several.
fn twice() {
    let (service, _) = serve("kv");
    let alive = Arc::default();
    let again = kv::serve("kv", move || Server::new(&alive)).wait();
    let error = again.expect_err("the name is taken");
    let this = format!("this process, {}, has another service", std::process::id());
    assert!(error.to_string().starts_with(&this), "{error}");
    assert_eq!(connect("kv").add(2), Ok(2), "the first one goes on");
    assert_eq!(nameservice::lookup("kv").wait(), Ok(service.iref()));
}

/// Another process has the name.
fn taken() {
    let owner = connect("kv").pid().expect("it lives");
    let error = other::serve("kv", || Echo).wait().expect_err("the name is taken");
    let ServiceError::Name(NameError::Taken { pid, .. }) = &error else { panic!("{error:?}") };
    assert_eq!(*pid, Some(owner));
    assert!(error.to_string().contains(&format!("process {owner} has the name \"kv\"")), "{error}");
}

/// The name is free and the bindings have ended, also those of other processes.
fn dropped() {
    let (service, alive) = serve("mine");
    let client = connect("mine");
    assert_eq!(client.add(1), Ok(1));
    drop(service);
    until("handlers are dropped", || alive.load(Ordering::Relaxed) == 0);
    until("calls fail", || matches!(client.add(1), Err(RpcError::NotSent(_))));
    let unknown = nameservice::lookup("mine").wait();
    assert!(matches!(unknown, Err(NameError::Unknown { .. })), "{unknown:?}");
    for n in 0..20 {
        let (service, _) = serve("mine");
        assert_eq!(connect("mine").add(n), Ok(n));
        drop(service);
    }
    let (service, _) = serve("mine");
    service.detach();
    assert_eq!(connect("mine").add(1), Ok(1));
}

/// Futures that are dropped leave nothing.
fn given_up() {
    let alive = Arc::<AtomicU32>::default();
    for polls in 0..40 {
        let theirs = Arc::clone(&alive);
        let mut serve = kv::serve("kv", move || Server::new(&theirs));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..polls {
            let polled = std::pin::Pin::new(&mut serve).poll(&mut context);
            if polled.is_ready() {
                break;
            }
            thread::yield_now();
        }
        drop(serve);
        if polls % 4 == 0 {
            drop(self::serve("kv"));
        }
    }
    let _service = self::serve("kv");
    let mut connects: Vec<_> = (0..20).map(|_| kv::connect("kv")).collect();
    for connect in &mut connects {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = std::pin::Pin::new(connect).poll(&mut context);
    }
    drop(connects);
    assert_eq!(connect("kv").add(1), Ok(1));
    let _ = alive;
}

fn late() {
    let error = kv::connect("kv").timeout(Duration::from_millis(50)).wait();
    let error = error.expect_err("nobody serves").to_string();
    assert!(error.contains("the name \"kv\""), "{error}");
    let error = kv::connect("kv").deadline(Instant::now()).wait().expect_err("it is late");
    assert!(matches!(error, ServiceError::NoService { .. } | ServiceError::Name(_)), "{error:?}");
    let client = thread::spawn(|| connect("kv").add(5));
    // The client is on its way.
    thread::yield_now();
    let (_service, _) = serve("kv");
    assert_eq!(client.join().expect("it does not panic"), Ok(5));
}

/// The root answers that a name is missing, and then answers nothing.
fn silent_root() {
    let root = connect("kv").pid().expect("it lives");
    let missing = || kv::connect("nobody").timeout(Duration::from_millis(400)).wait();
    let error = missing().expect_err("no service has the name");
    assert!(matches!(error, ServiceError::NoService { .. }), "{error:?}");
    let signal = |signal| {
        let process = rustix::process::Pid::from_raw(root.cast_signed()).expect("a pid");
        rustix::process::kill_process(process, signal).expect("it lives");
    };
    signal(rustix::process::Signal::STOP);
    let stat = || std::fs::read_to_string(format!("/proc/{root}/stat"));
    until("it stops", || stat().is_ok_and(|stat| stat.contains(") T ")));
    let error = missing().expect_err("the root is stopped");
    signal(rustix::process::Signal::CONT);
    let ServiceError::Name(NameError::Deadline { awaited, .. }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*awaited, nameservice::Awaited::Root);
    assert!(error.to_string().contains(&format!("process {root} ")), "{error}");
}

/// Outlives its service, and finds the next.
fn client() {
    let client = connect("kv");
    say(&client.pid().expect("it lives").to_string());
    let deadline = Instant::now() + TIMEOUT;
    while client.add(1).is_ok() {
        assert!(Instant::now() < deadline, "the service was killed");
    }
    say("gone");
    say(&connect("kv").pid().expect("it lives").to_string());
}

fn panics() {
    let (_service, _) = serve("kv");
    let (one, two) = (connect("kv"), connect("kv"));
    assert_eq!(two.add(1), Ok(1));
    one.timeout(TIMEOUT).fail(1).expect_err("its handler panics");
    assert_eq!(two.add(1), Ok(2));
    assert_eq!(connect("kv").add(1), Ok(1), "the service goes on");
    let broken = kv::serve("broken", || -> Server { panic!("no client is welcome") });
    let _broken = broken.wait().expect("it is free");
    let refused = kv::connect("broken").wait().expect_err("there are no handlers");
    assert!(matches!(refused, ServiceError::Bind(_)), "{refused:?}");
    assert_eq!(two.add(1), Ok(3));
}

/// A handler that would wait for its own thread gets an error.
fn own_thread() {
    let (_service, _) = serve("kv");
    assert_eq!(connect("kv").reconnect("kv"), Ok(1));
}

fn forks() {
    let (service, _) = serve("parent");
    let client = connect("parent");
    assert_eq!(client.add(1), Ok(1));
    let mut handles = Some((service, client));
    let child = fork(|| {
        let (service, client) = handles.take().expect("the child has its copy");
        assert!(client.add(1).is_err(), "it is the parent's");
        drop((service, client));
        assert_eq!(connect("parent").pid(), Ok(std::os::unix::process::parent_id()));
        let (_own, _) = serve("child");
        assert_eq!(connect("child").pid(), Ok(std::process::id()));
        assert_eq!(connect("parent").add(5), Ok(5));
    });
    let status = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
    let status = status.expect("it is a child").expect("it waits").1;
    assert_eq!(status.exit_status(), Some(0), "{status:?}");
    let (_service, client) = handles.take().expect("the parent has its own");
    assert_eq!(client.add(1), Ok(2), "the parent's service goes on");
}

/// Forks; in the child, runs `deed` and exits as a process does.
fn fork(deed: impl FnOnce()) -> rustix::process::Pid {
    // SAFETY:
    // * The child uses the allocator, which the C library has put in order, and the functions under test: that these take no
    //   lock that another thread can hold is what the test is about.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // A child that hangs is ended by this.
        // SAFETY:
        // * `alarm` takes a number.
        let _ = unsafe { libc::alarm(50) };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(deed));
        std::process::exit(if done.is_ok() { 0 } else { 1 });
    }
    rustix::process::Pid::from_raw(child).expect("fork works")
}

fn say(line: &str) {
    println!("@ {line}");
}

struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    fn start(role: &str, dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["role", "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env("FLOUNDER_RUNTIME_DIR", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("this program can be started");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(at) = line.find("@ ") {
                    let _ = sender.send(line[at + 2..].to_owned());
                }
            }
        });
        Self { child, lines }
    }

    #[track_caller]
    fn says(&self, line: &str) {
        assert_eq!(self.lines.recv_timeout(TIMEOUT).as_deref(), Ok(line));
    }

    #[track_caller]
    fn ends_well(&mut self) {
        self.says("done");
        assert!(self.child.wait().expect("it is a child").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // With its children.
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Runs a test in a directory of its own.
fn in_directory(test: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().expect("a directory");
    test(&dir.path().join("run"));
}

fn run(role: &str) {
    in_directory(|dir| Process::start(role, dir).ends_well());
}

#[test]
fn service_and_clients_need_no_waitset() {
    run("one process");
}

#[test]
fn service_and_clients_run_in_tokio() {
    run("tokio");
}

#[test]
fn many_services_share_one_thread() {
    run("many services");
}

#[test]
fn second_service_of_a_name_in_one_process_is_refused() {
    run("twice");
}

#[test]
fn second_service_of_a_name_gets_the_owner() {
    in_directory(|dir| {
        let service = Process::start("service", dir);
        service.says("ready");
        Process::start("taken", dir).ends_well();
    });
}

#[test]
fn dropped_handle_ends_the_service() {
    run("dropped");
}

#[test]
fn dropped_futures_leave_nothing() {
    run("given up");
}

#[test]
fn client_may_start_before_its_service() {
    run("late");
}

#[test]
fn missing_service_is_told_from_a_silent_root() {
    in_directory(|dir| {
        let service = Process::start("service", dir);
        service.says("ready");
        Process::start("silent root", dir).ends_well();
    });
}

#[test]
fn killed_service_ends_its_clients_which_find_the_next() {
    in_directory(|dir| {
        let mut first = Process::start("service", dir);
        first.says("ready");
        let mut client = Process::start("client", dir);
        client.says(&first.child.id().to_string());
        first.child.kill().expect("kill the service");
        client.says("gone");
        let second = Process::start("service", dir);
        client.says(&second.child.id().to_string());
        client.ends_well();
    });
}

#[test]
fn panic_of_a_handler_ends_only_its_binding() {
    run("panics");
}

#[test]
fn handler_cannot_block_for_its_own_thread() {
    run("own thread");
}

#[test]
fn forked_child_uses_its_own_thread() {
    run("fork");
}
