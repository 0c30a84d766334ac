//! Messages that were accepted arrive, however their sender ends: over every driver that reaches another process.
//!
//! This program has a `main` of its own: what a return from `main` does can be seen only where there is one. It starts itself
//! again as the process that sends (or serves); the first process receives.

use std::cell::RefCell;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

use flounder::{BindingError, Cap, Iref, Peer, TxError, Waitset, flounder};
use flounder_conformance::seccomp;

flounder! {
    interface words "Says things and ends" {
        message note(uint32 n);
        message bytes(uint8 data[len, 16777216]);
        message give(uint32 n, cap c);
        rpc fetch(in uint32 size, out uint8 data[len, 16777216]);
    };
}

const ROLE: &str = "FLOUNDER_LAST_WORDS";
const DRIVERS: [&str; 4] = ["ump", "lmp", "scc", "beehive"];
const TIMEOUT: Duration = Duration::from_secs(40);
const NOTES: u32 = 1023;
const SHARED: u32 = 15;
/// Notes that use up the credit of beehive, so that there is none for a last frame; and room in the other drivers for all.
const FEW: u32 = 12;
const LARGE: usize = 8 << 20;
const STUCK: u32 = u32::MAX;

/// The longest message that beehive carries in time on a loaded machine.
fn large(driver: &str) -> usize {
    if driver == "beehive" { LARGE / 16 } else { LARGE }
}

fn main() {
    if let Ok(role) = env::var(ROLE) {
        let args: Vec<String> = env::args().skip(1).collect();
        return play(&role, &args);
    }
    if env::var_os("FLOUNDER_RUNTIME_DIR").is_none() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let status = Command::new(env::current_exe().expect("this program has a path"))
            .args(env::args_os().skip(1))
            .env("FLOUNDER_RUNTIME_DIR", dir.path().join("run"))
            .status()
            .expect("this program can be started");
        drop(dir);
        std::process::exit(status.code().unwrap_or(1));
    }
    let filter = env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let tests: [(&str, fn()); 11] = [
        ("awaited_sends_arrive_however_the_sender_ends", awaited_sends),
        ("close_of_a_thread_arrives_at_a_peer_that_reads_later", thread_close),
        ("close_arrives_at_a_peer_whose_doorbell_fails", close_without_doorbell),
        ("large_message_arrives_after_its_handle_is_dropped", large_message),
        ("capabilities_arrive_when_the_sender_exits", capabilities),
        ("capabilities_arrive_before_news_of_the_death", capabilities_then_death),
        ("shared_sends_arrive_when_the_process_exits", shared_sends),
        ("shared_message_that_is_sent_survives_the_process", shared_sent),
        ("reply_before_a_teardown_arrives", reply_then_teardown),
        ("exit_waits_no_longer_than_its_timeout", stuck_peer),
        ("peer_that_does_not_read_delays_no_other_binding", stuck_and_other),
    ];
    for (name, test) in tests {
        if name.contains(&filter) {
            test();
            println!("test {name} ... ok");
        }
    }
}

/// What the first process has received.
#[derive(Default)]
struct Log {
    notes: Vec<u32>,
    bytes: Vec<usize>,
    caps: Vec<String>,
    ended: Option<BindingError>,
}

struct Listener(Rc<RefCell<Log>>);

impl words::Rx for Listener {
    fn note(&mut self, _: &words::Binding, n: u32) {
        if n == STUCK {
            loop {
                thread::park();
            }
        }
        self.0.borrow_mut().notes.push(n);
    }

    fn bytes(&mut self, _: &words::Binding, data: &[u8]) {
        assert!(data.iter().all(|byte| *byte == 7), "nothing is torn");
        self.0.borrow_mut().bytes.push(data.len());
    }

    fn give(&mut self, _: &words::Binding, _: u32, cap: Cap) {
        let mut text = String::new();
        std::fs::File::from(cap).read_to_string(&mut text).expect("it can be read");
        self.0.borrow_mut().caps.push(text);
    }

    fn fetch(&mut self, binding: &words::Binding, size: u32, reply: words::FetchReply) {
        reply.send(&vec![7; size as usize]);
        binding.teardown();
    }

    fn error(&mut self, _: &words::Binding, error: BindingError) {
        self.0.borrow_mut().ended = Some(error);
    }
}

/// The receiving service.
struct Service {
    waitset: Waitset,
    log: Rc<RefCell<Log>>,
    iref: Iref,
}

impl Service {
    fn new() -> Self {
        let (waitset, log) = (Waitset::current(), Rc::<RefCell<Log>>::default());
        let theirs = Rc::clone(&log);
        let service =
            words::export(&waitset, move |_: &Peer| Ok(Listener(Rc::clone(&theirs)))).wait();
        let iref = service.expect("it is exported").iref();
        flounder::monitor::publish(iref).wait().expect("there is a monitor");
        Self { waitset, log, iref }
    }

    fn sender(&self, driver: &str, how: &str) -> Sender {
        *self.log.borrow_mut() = Log::default();
        Sender::start("send", &[driver, how, &self.iref.to_bits().to_string()])
    }

    /// Dispatches until `done`, for a limited time; returns true if it was done.
    fn until(&self, mut done: impl FnMut(&Log) -> bool) -> bool {
        let deadline = Instant::now() + TIMEOUT;
        let done = || done(&self.log.borrow());
        self.waitset.dispatch_until(Some(deadline), done).expect("no callback fails")
    }
}

/// Another process; it is killed with this.
struct Sender(Child);

impl Sender {
    fn start(role: &str, args: &[&str]) -> Self {
        let child = Command::new(env::current_exe().expect("this program has a path"))
            .args(args)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.expect("this program can be started"))
    }

    /// Waits for a line, and returns it.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.0.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it can be read");
        line.trim().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it lives");
    }

    fn stop(&self) {
        self.signal(Signal::STOP);
        let pid = Some(Pid::from_child(&self.0));
        let stopped = waitpid(pid, WaitOptions::UNTRACED).expect("it is a child");
        assert!(stopped.is_some_and(|(_, status)| status.stopped()));
    }

    /// Lets it go on that waits for a line.
    fn go_on(&mut self) {
        writeln!(self.0.stdin.as_ref().expect("it is piped")).expect("it reads");
    }

    /// Waits until each of its threads has slept for a while.
    fn wait_until_it_sleeps(&self) {
        let deadline = Instant::now() + TIMEOUT;
        let switches = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("it lives");
            let stat = |task: std::fs::DirEntry| {
                std::fs::read_to_string(task.path().join("status")).unwrap_or_default()
            };
            tasks.filter_map(Result::ok).map(stat).collect::<Vec<_>>()
        };
        let mut before = switches();
        loop {
            thread::sleep(Duration::from_millis(50));
            let now = switches();
            if now == before && !now.iter().any(|status| status.contains("State:\tR")) {
                return;
            }
            assert!(Instant::now() < deadline, "it does not sleep");
            before = now;
        }
    }

    /// Waits until it has ended by itself.
    fn end(&mut self) -> ExitStatus {
        drop(self.0.stdin.take());
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.0.try_wait().expect("it is a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the process does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn awaited_sends() {
    let service = Service::new();
    for driver in DRIVERS {
        for how in ["return", "exit", "exit in a handler", "leak", "thread", "drop", "close"] {
            let mut sender = service.sender(driver, how);
            let ended = service.until(|log| log.ended.is_some());
            let got = service.log.borrow().notes.len();
            assert!(ended, "{driver}, {how}: no end; {got} came");
            assert!(
                service.log.borrow().notes.iter().copied().eq(0..NOTES),
                "{driver}, {how}: {got} of {NOTES} came"
            );
            // The one that closes its binding kills itself then.
            assert!(sender.end().success() || how == "close", "{driver}, {how}");
        }
    }
}

/// The receiver is stopped until the thread of the sender has ended. All is sent then, and the sender lives on.
fn thread_close() {
    for driver in DRIVERS {
        let mut receiver = Sender::start("count", &[]);
        let iref = receiver.line();
        let mut sender = Sender::start("send", &[driver, "few from a thread", &iref]);
        assert_eq!(sender.line(), "bound");
        receiver.stop();
        sender.go_on();
        assert_eq!(sender.line(), "ended");
        receiver.signal(Signal::CONT);
        assert_eq!(receiver.line(), format!("{FEW}: {}", BindingError::Closed), "{driver}");
    }
}

/// The kernel takes no doorbell of the sender's thread any more. The receiver sleeps then, and is woken all the same.
fn close_without_doorbell() {
    for driver in DRIVERS {
        let mut receiver = Sender::start("count", &[]);
        let iref = receiver.line();
        let mut sender = Sender::start("send", &[driver, "few without a doorbell", &iref]);
        assert_eq!(sender.line(), "bound");
        receiver.wait_until_it_sleeps();
        sender.go_on();
        assert_eq!(sender.line(), "ended");
        assert_eq!(receiver.line(), format!("1: {}", BindingError::Closed), "{driver}");
    }
}

fn large_message() {
    let service = Service::new();
    for driver in DRIVERS {
        for how in ["large drop", "large return", "large exit", "large thread", "large close"] {
            let mut sender = service.sender(driver, how);
            assert!(service.until(|log| !log.notes.is_empty()), "{driver}, {how}: no note");
            assert_eq!(sender.line(), "accepted");
            let ended = service.until(|log| log.ended.is_some());
            assert!(ended, "{driver}, {how}: no end");
            assert_eq!(service.log.borrow().bytes, [large(driver)], "{driver}, {how}");
            assert!(sender.end().success() || how == "large close", "{driver}, {how}");
        }
    }
}

fn capabilities() {
    let service = Service::new();
    for driver in DRIVERS {
        for how in ["caps return", "caps exit"] {
            let mut sender = service.sender(driver, how);
            assert!(service.until(|log| log.ended.is_some()), "{driver}, {how}: no end");
            assert_eq!(service.log.borrow().caps, vec!["hello"; 5], "{driver}, {how}");
            assert_eq!(service.log.borrow().notes, [9], "{driver}, {how}");
            assert!(sender.end().success(), "{driver}, {how}");
        }
    }
}

/// The receiver is stopped until the sender is dead: it finds what was sent and the death at the same time.
fn capabilities_then_death() {
    for driver in DRIVERS {
        let mut receiver = Sender::start("listen", &[]);
        let iref = receiver.line();
        let mut sender = Sender::start("send", &[driver, "caps killed", &iref]);
        assert_eq!(sender.line(), "bound");
        receiver.stop();
        assert!(!sender.end().success(), "{driver}: it kills itself");
        receiver.signal(Signal::CONT);
        assert_eq!(receiver.line(), r#"["hello"] Some(9) true"#, "{driver}");
    }
}

fn shared_sends() {
    let service = Service::new();
    for driver in DRIVERS {
        for how in ["shared exit", "shared return", "shared thread ends"] {
            let mut sender = service.sender(driver, how);
            if how == "shared thread ends" {
                // Its bind is served meanwhile.
                let remote = service.waitset.remote();
                let (told, waits) = std::sync::mpsc::channel();
                thread::spawn(move || {
                    let line = sender.line();
                    told.send((line, sender)).expect("the test waits");
                    remote.post(|_| Ok(()));
                });
                let mut found = None;
                let queued = service.until(|_| {
                    found = found.take().or_else(|| waits.try_recv().ok());
                    found.is_some()
                });
                assert!(queued, "{driver}, {how}: not queued");
                let line;
                (line, sender) = found.expect("it was queued");
                assert_eq!(line, "queued", "{driver}, {how}");
                drop(sender.0.stdin.take());
            }
            assert!(service.until(|log| log.ended.is_some()), "{driver}, {how}: no end");
            assert!(service.log.borrow().notes.iter().copied().eq(0..SHARED), "{driver}, {how}");
            assert!(sender.end().success(), "{driver}, {how}");
        }
    }
}

fn shared_sent() {
    let service = Service::new();
    for driver in DRIVERS {
        let mut sender = service.sender(driver, "shared sent");
        assert!(service.until(|log| log.ended.is_some()), "{driver}: no end");
        assert!(service.log.borrow().notes.iter().copied().eq(0..SHARED), "{driver}");
        sender.end();
    }
}

fn reply_then_teardown() {
    let waitset = Waitset::current();
    for driver in DRIVERS {
        let mut server = Sender::start("serve", &[]);
        let iref = Iref::from_bits(server.line().parse().expect("a number")).expect("not 0");
        let bind = words::bind(iref, &waitset, ()).driver(driver);
        let binding = bind.wait().expect("it is there");
        let size = large(driver) / 2;
        let call = words::RpcClient::new(&binding).timeout(TIMEOUT).fetch_async(size as u32);
        let data = waitset.block_on(call).expect("no callback fails");
        assert_eq!(data.map(|data| data.len()), Ok(size), "{driver}");
        let ended = waitset.dispatch_until(Some(Instant::now() + TIMEOUT), || {
            binding.ended() == Some(BindingError::Closed)
        });
        assert!(ended.expect("no callback fails"), "{driver}");
        assert!(server.end().success(), "{driver}");
    }
}

fn stuck_peer() {
    for driver in DRIVERS {
        for (how, limit) in [("stuck return", 300), ("stuck exit", 300), ("stuck thread", 300)] {
            let mut stuck = Sender::start("stuck", &[]);
            let iref = stuck.line();
            let mut sender = Sender::start("send", &[driver, how, &iref]);
            assert_eq!(sender.line(), "ends");
            // Before it waits: this process may be late on a loaded machine.
            let begun = Instant::now();
            sender.go_on();
            assert!(sender.end().success(), "{driver}, {how}");
            let took = begun.elapsed();
            assert!(took >= Duration::from_millis(limit * 9 / 10), "{driver}, {how}: {took:?}");
            assert!(took < Duration::from_secs(10), "{driver}, {how}: {took:?}");
        }
    }
}

fn stuck_and_other() {
    let service = Service::new();
    for driver in DRIVERS {
        let mut stuck = Sender::start("stuck", &[]);
        let iref = stuck.line();
        *service.log.borrow_mut() = Log::default();
        let own = service.iref.to_bits().to_string();
        let mut sender = Sender::start("send", &[driver, "stuck and other", &iref, &own]);
        let came = service.until(|log| !log.bytes.is_empty() || log.ended.is_some());
        assert!(came, "{driver}: nothing has come");
        assert_eq!(service.log.borrow().bytes, [large(driver)], "{driver}");
        let ended = sender.0.try_wait().expect("it is a child");
        assert_eq!(ended, None, "{driver}: it waits for the peer that does not read");
        sender.signal(Signal::KILL);
        sender.end();
        assert!(service.until(|log| log.ended.is_some()), "{driver}: no end");
    }
}

fn play(role: &str, args: &[String]) {
    match role {
        "serve" => {
            let service = Service::new();
            println!("{}", service.iref.to_bits());
            let served = service.waitset.dispatch_until(None, {
                let (sender, closed) = std::sync::mpsc::channel::<()>();
                let remote = service.waitset.remote();
                thread::spawn(move || {
                    wait_for_stdin();
                    drop(sender);
                    remote.post(|_| Ok(()));
                });
                move || closed.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected)
            });
            assert!(served.expect("no callback fails"));
        }
        // The receiver reports what has arrived when the sender has ended.
        "listen" => {
            let service = Service::new();
            println!("{}", service.iref.to_bits());
            let ended = service.until(|log| log.ended.is_some());
            let log = service.log.borrow();
            println!("{:?} {:?} {ended}", log.caps, log.notes.last());
        }
        // The receiver reports the number of messages, and how the binding has ended.
        "count" => {
            let service = Service::new();
            println!("{}", service.iref.to_bits());
            service.until(|log| log.ended.is_some());
            let log = service.log.borrow();
            let how = log.ended.as_ref().map_or("no end".to_owned(), ToString::to_string);
            println!("{}: {how}", log.notes.len());
        }
        // After the note `STUCK` it reads nothing.
        "stuck" => {
            let service = Service::new();
            println!("{}", service.iref.to_bits());
            loop {
                service.waitset.dispatch().expect("no callback fails");
            }
        }
        "send" => send(&args[0], &args[1], &args[2..]),
        other => panic!("role {other}"),
    }
}

/// Ends this process with whatever it still has in memory.
fn die() -> ! {
    kill_process(getpid(), Signal::KILL).expect("it is this process");
    unreachable!("SIGKILL ends a process");
}

fn wait_for_stdin() {
    let mut nothing = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut nothing);
}

fn wait_for_a_line() {
    std::io::stdin().read_line(&mut String::new()).expect("it can be read");
}

fn bound(iref: &str, driver: &str) -> words::ClientBinding {
    let iref = Iref::from_bits(iref.parse().expect("a number")).expect("not 0");
    let bind = words::bind(iref, &Waitset::current(), ()).driver(driver);
    bind.timeout(TIMEOUT).wait().expect("the service is there")
}

fn notes(binding: &words::ClientBinding) {
    let all = async {
        for n in 0..NOTES {
            binding.send_note(n).await.expect("the binding is there");
        }
    };
    Waitset::current().block_on(all).expect("no callback fails");
}

fn stick(binding: &words::ClientBinding) {
    let sent = Waitset::current().block_on(binding.send_note(STUCK)).expect("no callback fails");
    sent.expect("the binding is there");
}

/// Sends a note, after which the service does not read until this process has printed `accepted`: the channel is full then.
fn accept_unread(binding: &words::ClientBinding, driver: &str) {
    let told = Waitset::current().block_on(binding.send_note(0)).expect("no callback fails");
    told.expect("the binding is there");
    accept_large(binding, driver);
    println!("accepted");
}

fn accept_large(binding: &words::ClientBinding, driver: &str) {
    let sent = binding.tx_bytes(&vec![7; large(driver)]).expect("the slot is free");
    assert!(!sent.is_sent(), "it is larger than what a channel takes at once");
}

fn give(binding: &words::ClientBinding, count: u32) {
    let all = async {
        for n in 0..count {
            let (read, mut write) = std::io::pipe().expect("a pipe");
            std::io::Write::write_all(&mut write, b"hello").expect("it fits");
            binding.send_give(n, &Cap::from(read)).await.expect("the binding is there");
        }
        binding.send_note(9).await.expect("the binding is there");
    };
    Waitset::current().block_on(all).expect("no callback fails");
}

/// Sends the note 9 until one was not only accepted, but sent.
async fn all_sent(binding: &words::ClientBinding) {
    loop {
        match binding.tx_note(9) {
            Ok(sent) => return sent.await.expect("the binding is there"),
            Err(error) => assert_eq!(error, TxError::Busy),
        }
        binding.send_note(9).await.expect("the binding is there");
    }
}

/// A binding in a thread that dispatches it for ever, or until `stop`.
fn shared(
    iref: &str,
    driver: &str,
    stop: bool,
) -> (words::ClientBinding<flounder::Shared>, thread::JoinHandle<()>) {
    let (iref, driver) = (iref.to_owned(), driver.to_owned());
    let (sender, receiver) = std::sync::mpsc::channel();
    let owner = thread::spawn(move || {
        let binding = bound(&iref, &driver);
        sender.send(binding.shared()).expect("main waits");
        if stop {
            // The queue is full of unsent messages when the thread ends.
            wait_for_stdin();
            return;
        }
        loop {
            Waitset::current().dispatch().expect("no callback fails");
        }
    });
    (receiver.recv().expect("the thread binds"), owner)
}

fn send(driver: &str, how: &str, irefs: &[String]) {
    let iref = &irefs[0];
    if !how.starts_with("stuck") {
        // What is tested is that everything arrives, and the machine may be slow.
        flounder::limits::set_exit_timeout(TIMEOUT);
    }
    match how {
        "return" => notes(&bound(iref, driver)),
        "exit" => {
            let binding = bound(iref, driver);
            notes(&binding);
            std::process::exit(0);
        }
        "exit in a handler" => {
            let binding = bound(iref, driver);
            let waitset = Waitset::current();
            waitset.post(move |_| {
                notes(&binding);
                std::process::exit(0);
            });
            waitset.dispatch().expect("it does not return");
        }
        "leak" => {
            let binding = bound(iref, driver);
            std::mem::forget((Waitset::current(), binding.clone()));
            notes(&binding);
        }
        "thread" => {
            let (iref, driver) = (iref.clone(), driver.to_owned());
            let thread = thread::spawn(move || notes(&bound(&iref, &driver)));
            thread.join().expect("it does not panic");
            wait_for_stdin();
        }
        "few from a thread" | "few without a doorbell" => {
            let (iref, driver) = (iref.clone(), driver.to_owned());
            let is_mute = how == "few without a doorbell";
            let thread = thread::spawn(move || {
                let binding = bound(&iref, &driver);
                println!("bound");
                wait_for_a_line();
                if is_mute && driver != "lmp" {
                    seccomp::refuse(&[libc::SYS_sendto], libc::ENOBUFS);
                }
                for n in 0..if is_mute { 1 } else { FEW } {
                    let sent = binding.tx_note(n).expect("there is room");
                    assert!(sent.is_sent(), "{driver}: note {n}");
                }
            });
            thread.join().expect("it does not panic");
            println!("ended");
            wait_for_stdin();
        }
        "drop" | "large drop" => {
            let binding = bound(iref, driver);
            if how == "drop" {
                notes(&binding)
            } else {
                accept_unread(&binding, driver)
            }
            drop(binding);
            let remote = Waitset::current().remote();
            let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let theirs = std::sync::Arc::clone(&over);
            thread::spawn(move || {
                wait_for_stdin();
                theirs.store(true, std::sync::atomic::Ordering::Relaxed);
                remote.post(|_| Ok(()));
            });
            let done = || over.load(std::sync::atomic::Ordering::Relaxed);
            Waitset::current().dispatch_until(None, done).expect("no callback fails");
        }
        "close" | "large close" => {
            let binding = bound(iref, driver);
            if how == "close" {
                notes(&binding)
            } else {
                accept_unread(&binding, driver)
            }
            let closed = Waitset::current().block_on(binding.close());
            assert_eq!(closed.expect("no callback fails"), Ok(()));
            die();
        }
        "large return" => accept_unread(&bound(iref, driver), driver),
        "large exit" => {
            let binding = bound(iref, driver);
            accept_unread(&binding, driver);
            std::process::exit(0);
        }
        "large thread" => {
            let (iref, driver) = (iref.clone(), driver.to_owned());
            let thread = thread::spawn(move || accept_unread(&bound(&iref, &driver), &driver));
            thread.join().expect("it does not panic");
            wait_for_stdin();
        }
        "caps return" => give(&bound(iref, driver), 5),
        "caps exit" => {
            let binding = bound(iref, driver);
            give(&binding, 5);
            std::process::exit(0);
        }
        "caps killed" => {
            let binding = bound(iref, driver);
            println!("bound");
            wait_for_stdin();
            give(&binding, 1);
            Waitset::current().block_on(all_sent(&binding)).expect("no callback fails");
            die();
        }
        "shared exit" | "shared return" => {
            let (shared, _owner) = shared(iref, driver, false);
            for n in 0..SHARED {
                shared.send_note(n).wait().expect("the binding is there");
            }
            if how == "shared exit" {
                std::process::exit(0);
            }
        }
        "shared thread ends" => {
            let (shared, owner) = shared(iref, driver, true);
            for n in 0..SHARED {
                shared.send_note(n).wait().expect("the binding is there");
            }
            println!("queued");
            owner.join().expect("it does not panic");
        }
        "shared sent" => {
            let (shared, _owner) = shared(iref, driver, false);
            for n in 0..SHARED {
                shared.send_note(n).sent().wait().expect("the binding is there");
            }
            die();
        }
        "stuck return" | "stuck exit" | "stuck thread" => {
            flounder::limits::set_exit_timeout(Duration::from_millis(300));
            let (iref, driver) = (iref.clone(), driver.to_owned());
            let fill = move || {
                let binding = bound(&iref, &driver);
                stick(&binding);
                accept_large(&binding, &driver);
                binding
            };
            if how == "stuck thread" {
                let thread = thread::spawn(move || {
                    let binding = fill();
                    println!("ends");
                    wait_for_a_line();
                    drop(binding);
                });
                thread.join().expect("it does not panic");
                return;
            }
            let binding = fill();
            println!("ends");
            wait_for_a_line();
            if how == "stuck exit" {
                std::process::exit(0);
            }
            drop(binding);
        }
        "stuck and other" => {
            flounder::limits::set_exit_timeout(TIMEOUT);
            let (stuck, other) = (bound(iref, driver), bound(&irefs[1], driver));
            stick(&stuck);
            accept_large(&stuck, driver);
            accept_large(&other, driver);
            assert_eq!(stuck.tx_note(1).map(drop), Err(TxError::Busy));
            std::process::exit(0);
        }
        other => panic!("how: {other}"),
    }
}
