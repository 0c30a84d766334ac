//! A forked child cannot reach what its parent had, and can use flounder anew.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use flounder::event::UnixSignal;
use flounder::monitor::publish;
use flounder::nameservice::NameError;
use flounder::{
    BindError, Cap, DispatchError, Iref, Peer, SharedWaitset, Waitset, flounder, nameservice,
};

flounder! {
    interface forked "What parent and child ask each other" {
        rpc say(in uint32 n, out uint32 n);
        rpc read(in cap file, out string text);
        message stop();
    };
}

const ROLE: &str = "FLOUNDER_TEST_ROLE";
const PATIENCE: Duration = Duration::from_secs(60);
const DRIVERS: [&str; 5] = ["loopback", "lmp", "ump", "scc", "beehive"];

/// What a child does with what it has inherited.
const DEEDS: [&str; 6] = ["drop", "dispatch", "teardown", "call", "signal", "exit"];

/// Not a test of its own: what the processes of the tests do.
#[test]
fn role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match role.split(' ').collect::<Vec<_>>()[..] {
        ["service"] => service(),
        ["parent", driver] => parent(driver),
        ["anew", driver] => anew(driver),
        ["busy"] => busy(),
        ["exec"] => exec_with_a_child(),
        ["watch", driver] => watch(driver),
        ["root"] => root_with_a_child(),
        ["successor"] => {
            assert_eq!(nameservice::list().wait(), Ok(Vec::new()));
            say("root");
        }
        _ => panic!("no such role: {role}"),
    }
}

fn say(line: &str) {
    println!("@ {line}");
}

fn handlers(over: &Rc<Cell<bool>>) -> forked::RxVtbl {
    let over = Rc::clone(over);
    forked::RxVtbl {
        say: Some(Box::new(|_, n, reply| reply.send(n))),
        read: Some(Box::new(|_, file, reply| {
            let mut text = String::new();
            let mut file = std::fs::File::from(OwnedFd::from(file));
            file.read_to_string(&mut text).expect("it can be read");
            reply.send(&text)
        })),
        stop: Some(Box::new(move |_| over.set(true))),
        ..Default::default()
    }
}

fn export(ws: &Waitset) -> (Iref, Rc<Cell<bool>>) {
    let over = Rc::new(Cell::new(false));
    let theirs = Rc::clone(&over);
    let exported = forked::export(ws, move |_: &Peer| Ok(handlers(&theirs))).wait();
    (exported.expect("it can be exported").iref(), over)
}

/// Serves until the command to stop, or the end of its input.
fn service() {
    let ws = Waitset::new();
    let (iref, over) = export(&ws);
    nameservice::register("service", iref).wait().expect("the name is free");
    say("ready");
    serve(&ws, &over);
}

fn serve(ws: &Waitset, over: &Cell<bool>) {
    let done = ws.dispatch_until(Some(Instant::now() + PATIENCE), || over.get());
    assert!(done.expect("no callback fails"), "nobody stops it");
}

fn bind(name: &str, ws: &Waitset, driver: &str) -> forked::ClientBinding {
    let iref = nameservice::blocking_lookup(name).timeout(PATIENCE).wait().expect("it is there");
    let bind = forked::bind(iref, ws, ()).timeout(PATIENCE);
    bind.driver(driver).wait().expect("it can be bound to")
}

fn asks(binding: &forked::ClientBinding, n: u32) {
    assert_eq!(forked::RpcClient::new(binding).timeout(PATIENCE).say(n), Ok(n));
}

fn passes_capabilities(binding: &forked::ClientBinding) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(b"through a pipe").expect("it is empty");
    drop(writer);
    let client = forked::RpcClient::new(binding).timeout(PATIENCE);
    let text = client.read(&Cap::from(OwnedFd::from(reader)));
    assert_eq!(text.as_deref(), Ok("through a pipe"));
}

/// Forks; in the child, runs `deed` and exits as a process does.
fn fork(deed: impl FnOnce()) -> rustix::process::Pid {
    // SAFETY:
    // * The child uses the allocator, which the C library has put in order, and the functions under test: that these take no
    //   lock that another thread can hold is what the tests are about.
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

fn ends_well(child: rustix::process::Pid, what: &str) {
    let status = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
    let status = status.expect("it is a child").expect("it waits").1;
    assert_eq!(status.exit_status(), Some(0), "{what}: {status:?}");
}

/// Everything of a waitset that a child inherits.
struct Inherited {
    ws: Waitset,
    shared: SharedWaitset,
    binding: forked::ClientBinding,
    handle: forked::ClientBinding<flounder::Shared>,
    /// Served by whoever dispatches `shared`; loopback does not reach one.
    pooled: Option<forked::ClientBinding<flounder::Shared>>,
    timer: Rc<Cell<bool>>,
    signals: Rc<Cell<u32>>,
}

impl Inherited {
    fn new(driver: &str) -> Self {
        let ws = Waitset::new();
        let binding = if driver == "loopback" {
            let (iref, _) = export(&ws);
            let bind = forked::bind(iref, &ws, ()).timeout(PATIENCE);
            bind.driver("loopback").wait().expect("it can be bound to")
        } else {
            bind("service", &ws, driver)
        };
        asks(&binding, 1);
        let signals = Rc::new(Cell::new(0));
        let theirs = Rc::clone(&signals);
        let count = move |_: &Waitset| {
            theirs.set(theirs.get() + 1);
            Ok(())
        };
        ws.on_signal(UnixSignal::User1, count).expect("there are descriptors");
        let timer = Rc::new(Cell::new(false));
        let theirs = Rc::clone(&timer);
        ws.after(Duration::from_millis(50), move |_| {
            theirs.set(true);
            Ok(())
        });
        ws.prepare_wait().expect("there are descriptors");
        let shared = SharedWaitset::new();
        shared.after(Duration::ZERO, |_| Ok(()));
        shared.dispatch().expect("no callback fails");
        let handle = binding.shared();
        let pooled = (driver != "loopback").then(|| {
            let iref = nameservice::lookup("service").wait().expect("it is registered");
            let bind = forked::bind(iref, &shared, ()).timeout(PATIENCE);
            bind.driver(driver).wait().expect("it can be bound to")
        });
        Self { ws, shared, binding, handle, pooled, timer, signals }
    }

    fn misuse(self, deed: &str) {
        let forked_ws = |result: Result<(), DispatchError>| {
            assert!(matches!(result, Err(DispatchError::Forked)), "{result:?}");
        };
        match deed {
            "drop" => drop(self),
            "dispatch" => {
                forked_ws(self.ws.dispatch());
                forked_ws(self.ws.try_dispatch().map(drop));
                forked_ws(self.ws.dispatch_until(None, || false).map(drop));
                forked_ws(self.ws.next_event().map(drop));
                forked_ws(self.ws.block_on(core::future::pending::<()>()));
                forked_ws(self.shared.dispatch());
                forked_ws(self.shared.try_dispatch().map(drop));
                assert!(self.ws.prepare_wait().is_err());
                self.ws.remote().post(|_| Ok(()));
                self.ws.post(|_| Ok(()));
                self.shared.post(|_| Ok(()));
                self.shared.wake_all();
                assert!(!Waitset::current().same(&self.ws));
            }
            "teardown" => {
                self.binding.teardown();
                drop(self);
            }
            "call" => {
                let client = forked::RpcClient::new(&self.binding).timeout(PATIENCE);
                assert!(client.say(2).is_err());
                let shared = forked::RpcClient::new(&self.handle).timeout(PATIENCE);
                assert!(shared.say(2).is_err());
                assert!(self.handle.send_stop().wait().is_err());
                for end in self.pooled.iter().chain([&self.handle]) {
                    assert!(!end.can_send());
                    assert!(end.register_send(&self.shared, |_| Ok(())).is_err());
                    assert!(end.change_waitset(&SharedWaitset::new()).is_err());
                    end.set_priority(flounder::Priority::High);
                    assert!(end.close().timeout(PATIENCE).wait().is_err());
                }
                // Sent over a channel of the parent's it would end the parent's service.
                let _ = self.binding.tx_stop();
            }
            "signal" => {
                let me = rustix::process::getpid();
                rustix::process::kill_process(me, rustix::process::Signal::USR1).expect("it lives");
            }
            _ => std::process::exit(0),
        }
    }

    fn goes_on(&self, driver: &str) {
        for n in 0..10 {
            asks(&self.binding, n);
        }
        if ["lmp", "ump", "loopback"].contains(&driver) {
            passes_capabilities(&self.binding);
        }
        let posted = Rc::new(Cell::new(false));
        let theirs = Rc::clone(&posted);
        self.ws.after(Duration::from_millis(1), move |_| {
            theirs.set(true);
            Ok(())
        });
        let remote = self.ws.remote();
        let thread = thread::spawn(move || remote.post(|_| Ok(())));
        let all = || posted.get() && self.timer.get();
        let deadline = Some(Instant::now() + PATIENCE);
        assert!(self.ws.dispatch_until(deadline, all).expect("no callback fails"));
        thread.join().expect("it ends");
        assert_eq!(self.signals.get(), 0, "the signals of the child are not the parent's");
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::USR1).expect("it lives");
        let heard = || self.signals.get() == 1;
        assert!(self.ws.dispatch_until(deadline, heard).expect("no callback fails"));
    }
}

fn parent(driver: &str) {
    for deed in DEEDS {
        let inherited = Inherited::new(driver);
        let mut inherited = Some(inherited);
        let child = fork(|| {
            if let Some(inherited) = inherited.take() {
                inherited.misuse(deed);
            }
        });
        ends_well(child, &format!("{driver}, {deed}"));
        inherited.take().expect("only the child takes it").goes_on(driver);
    }
    say("done");
}

/// A child binds to others over `driver`, and others to it.
fn anew(driver: &str) {
    let inherited = Inherited::new(driver);
    let child = fork(|| {
        let ws = Waitset::current();
        let other = bind("service", &ws, driver);
        assert_eq!(other.driver(), driver);
        asks(&other, 3);
        passes_capabilities(&other);
        let (iref, over) = export(&ws);
        let near = forked::bind(iref, &ws, ()).wait().expect("it is here");
        asks(&near, 4);
        nameservice::register("child", iref).wait().expect("the name is free");
        serve(&ws, &over);
    });
    let ws = Waitset::new();
    let binding = bind("child", &ws, driver);
    assert_eq!(binding.peer().pid(), u32::try_from(child.as_raw_nonzero().get()).ok());
    asks(&binding, 5);
    passes_capabilities(&binding);
    let stopping = binding.clone();
    let stopped = ws.block_on(async move { stopping.send_stop().await });
    stopped.expect("no callback fails").expect("it lives");
    ends_well(child, driver);
    let gone = || binding.ended().is_some();
    let learnt = ws.dispatch_until(Some(Instant::now() + PATIENCE), gone);
    assert!(learnt.expect("no callback fails"));
    inherited.goes_on(driver);
    say("done");
}

/// Forks beside threads that hold every lock of the process now and then.
fn busy() {
    for _ in 0..3 {
        thread::spawn(|| {
            let ws = Waitset::current();
            loop {
                let (iref, _) = export(&ws);
                drop(forked::bind(iref, &ws, ()).wait());
                flounder::policy::set_cap_policy(|_| true);
                drop(nameservice::lookup("nothing").wait());
            }
        });
    }
    let (posts, shared) = (Waitset::new(), SharedWaitset::new());
    let (remote, theirs) = (posts.remote(), shared.clone());
    thread::spawn(move || {
        loop {
            remote.post(|_| Ok(()));
            theirs.post(|_| Ok(()));
            thread::yield_now();
        }
    });
    for round in 0..150 {
        while posts.try_dispatch().expect("no callback fails") {}
        while shared.try_dispatch().expect("no callback fails") {}
        let child = fork(|| {
            posts.post(|_| Ok(()));
            posts.remote().post(|_| Ok(()));
            shared.post(|_| Ok(()));
            let ws = Waitset::new();
            let (iref, _) = export(&ws);
            let near = forked::bind(iref, &ws, ()).wait();
            asks(&near.expect("it is here"), 7);
            let unknown = forked::bind(Iref::from_bits(1).expect("not 0"), &ws, ());
            if round % 10 == 0 {
                assert!(matches!(unknown.wait(), Err(BindError::NoService)));
                flounder::policy::set_cap_policy(|_| true);
            }
            // The destructors of what was inherited run as well.
        });
        ends_well(child, "beside busy threads");
    }
    say("done");
    // The threads go on for ever.
    std::process::exit(0);
}

/// Serves, forks on command, and execs another program while its child lives on.
fn exec_with_a_child() {
    let ws = Waitset::new();
    let (iref, over) = export(&ws);
    nameservice::register("executes", iref).wait().expect("the name is free");
    say("ready");
    serve(&ws, &over);
    fork(|| {
        say("forked");
        thread::sleep(PATIENCE);
    });
    panic!("{}", Command::new("sleep").arg("60").exec());
}

/// Binds to that service, sends the command, and waits for the end of the binding.
fn watch(driver: &str) {
    let ws = Waitset::new();
    let binding = bind("executes", &ws, driver);
    asks(&binding, 1);
    binding.tx_stop().expect("it is free");
    // Half of what the child lives.
    let deadline = Some(Instant::now() + PATIENCE / 2);
    let ended = ws.dispatch_until(deadline, || binding.ended().is_some());
    say(if ended.expect("no callback fails") { "ended" } else { "late" });
}

/// Becomes root and forks. Parent and child wait for the end of their input; the child then uses a
/// monitor of its own.
fn root_with_a_child() {
    assert_eq!(nameservice::list().wait(), Ok(Vec::new()));
    fork(|| {
        say("child");
        wait_for_end_of_input();
        let iref = Iref::from_bits(1).expect("not zero");
        let served = nameservice::list().wait() == Ok(Vec::new())
            && matches!(publish(iref).wait(), Err(NameError::NoService { .. }));
        say(if served { "child served" } else { "child refused" });
    });
    assert_eq!(nameservice::list().wait(), Ok(Vec::new()), "the parent is served as before");
    say("parent");
    wait_for_end_of_input();
}

fn wait_for_end_of_input() {
    let _ = std::io::stdin().read(&mut [0]);
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
        assert_eq!(self.lines.recv_timeout(PATIENCE).as_deref(), Ok(line));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // With its children.
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let kill = rustix::process::Signal::KILL;
            let _ = rustix::process::kill_process_group(group, kill);
        }
        let _ = self.child.wait();
    }
}

fn with_service(test: impl Fn(&Path)) {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("run");
    let service = Process::start("service", &dir);
    service.says("ready");
    test(&dir);
}

#[test]
fn a_child_cannot_harm_the_waitset_of_its_parent() {
    with_service(|dir| {
        for driver in DRIVERS {
            Process::start(&format!("parent {driver}"), dir).says("done");
        }
    });
}

#[test]
fn what_a_child_makes_anew_works() {
    with_service(|dir| {
        for driver in &DRIVERS[1..] {
            Process::start(&format!("anew {driver}"), dir).says("done");
        }
    });
}

#[test]
fn a_child_forked_beside_busy_threads_never_hangs() {
    with_service(|dir| Process::start("busy", dir).says("done"));
}

#[test]
fn an_exec_is_reported_while_a_child_lives() {
    with_service(|dir| {
        for driver in &DRIVERS[1..] {
            let process = Process::start("exec", dir);
            process.says("ready");
            let client = Process::start(&format!("watch {driver}"), dir);
            process.says("forked");
            client.says("ended");
        }
    });
}

#[test]
fn a_child_of_a_dead_root_does_not_stay_root() {
    let dir = tempfile::tempdir().expect("create a temporary directory");
    let dir = dir.path().join("run");
    let mut root = Process::start("root", &dir);
    let mut both: Vec<_> = (0..2)
        .map(|_| root.lines.recv_timeout(PATIENCE).expect("parent and child report"))
        .collect();
    both.sort();
    assert_eq!(both, ["child", "parent"]);
    // The pipe stays open, so the child lives on, with a copy of all descriptors of the root.
    let input = root.child.stdin.take();
    root.child.kill().expect("kill the root");
    root.child.wait().expect("wait for the root");
    let mut successor = Process::start("successor", &dir);
    successor.says("root");
    assert!(successor.child.wait().expect("wait for the successor").success());
    drop(input);
    root.says("child served");
}
