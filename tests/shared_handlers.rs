//! A service whose bindings several threads serve, as its clients see it: in the same process and in others, which are killed.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use flounder::binding::SharedExported;
use flounder::nameservice;
use flounder::{
    BindError, BindingError, ControlError, Peer, Refusal, RpcError, Shared, SharedWaitset, TxError,
    Waitset, flounder,
};
use flounder_test_support::threads::{Threads, eventually};

flounder! {
    /// Doubles numbers, and counts notes.
    @symmetric
    interface doubler "doubler" {
        message note(uint64 value);
        rpc double(in uint64 a, out uint64 b);
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

/// Names the part of a process that a test started.
const PART: &str = "FLOUNDER_TEST_SHARED_HANDLERS";
const DRIVER: &str = "FLOUNDER_TEST_DRIVER";

/// Handlers of one client.
struct Handlers {
    seen: Arc<Seen>,
    /// The value of the next note.
    next: u64,
}

/// What all handlers saw.
#[derive(Default)]
struct Seen {
    notes: AtomicU64,
    calls: AtomicU64,
    ends: AtomicU32,
    threads: Mutex<HashMap<thread::ThreadId, u64>>,
}

impl Handlers {
    fn new(seen: &Arc<Seen>) -> Self {
        Self { seen: Arc::clone(seen), next: 0 }
    }

    fn note_thread(&self) {
        let mut threads = self.seen.threads.lock().expect("nobody panics");
        *threads.entry(thread::current().id()).or_insert(0) += 1;
    }
}

impl doubler::Rx<Shared> for Handlers {
    fn note(&mut self, _: &doubler::Binding<Shared>, value: u64) {
        assert_eq!(value, self.next, "a note is lost, doubled or out of order");
        self.next += 1;
        self.seen.notes.fetch_add(1, Ordering::Relaxed);
        self.note_thread();
    }

    fn double(
        &mut self,
        _: &doubler::Binding<Shared>,
        a: u64,
        reply: doubler::DoubleReply<Shared>,
    ) {
        self.seen.calls.fetch_add(1, Ordering::Relaxed);
        reply.send(2 * a);
        self.note_thread();
    }

    fn error(&mut self, _: &doubler::Binding<Shared>, error: BindingError) {
        assert!(matches!(error, BindingError::Closed | BindingError::PeerDied), "{error}");
        self.seen.ends.fetch_add(1, Ordering::Relaxed);
    }
}

struct Service {
    threads: Threads,
    seen: Arc<Seen>,
    exported: SharedExported,
}

impl Service {
    fn new(threads: usize) -> Self {
        let (threads, seen) = (Threads::new(threads), Arc::<Seen>::default());
        let theirs = Arc::clone(&seen);
        let service = move |_: &Peer| Ok(Handlers::new(&theirs));
        let exported = doubler::export(&threads.pool, service).wait().expect("export the service");
        Self { threads, seen, exported }
    }
}

#[test]
fn clients_of_other_threads_bind_and_call() {
    let service = Service::new(2);
    let iref = service.exported.iref();
    let clients: Vec<_> = (0..3)
        .map(|_| {
            thread::spawn(move || {
                let ws = Waitset::new();
                let binding =
                    doubler::bind(iref, &ws, doubler::RxVtbl::default()).wait().expect("bind");
                let client = doubler::RpcClient::new(&binding);
                for value in 0..500 {
                    assert_eq!(client.double(value), Ok(2 * value));
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("every answer is right"));
    assert_eq!(service.seen.calls.load(Ordering::Relaxed), 1500);
    eventually(PATIENCE, "the end of the bindings", || {
        service.seen.ends.load(Ordering::Relaxed) == 3
    });
}

#[test]
fn client_of_several_threads_binds_from_any_of_them() {
    let service = Service::new(2);
    let iref = service.exported.iref();
    let bind = || doubler::bind(iref, &service.threads.pool, Handlers::new(&Arc::default()));
    let blocking = bind().wait().expect("bind");
    let awaited = Waitset::new().block_on(bind()).expect("the waitset runs").expect("bind");
    for end in [blocking, awaited] {
        end.send_note(0).wait().expect("there is room");
    }
    eventually(PATIENCE, "both notes", || service.seen.notes.load(Ordering::Relaxed) == 2);
    let late = bind().timeout(Duration::ZERO).wait();
    assert!(matches!(late, Err(BindError::Deadline)), "{late:?}");
    service.exported.clone().withdraw();
    let refused = bind().wait();
    assert!(matches!(refused, Err(BindError::NoService)), "{refused:?}");
}

#[test]
fn dropped_bind_leaves_no_binding_and_no_handlers() {
    const ROUNDS: u32 = 200;
    let service = Service::new(2);
    let (iref, ws) = (service.exported.iref(), SharedWaitset::new());
    let handlers = Arc::<Seen>::default();
    let bind = || doubler::bind(iref, &ws, Handlers::new(&handlers));
    // The first poll begins it.
    drop(bind());
    for round in 0..ROUNDS {
        let (mut bind, woken) = (Box::pin(bind()), Arc::<Woken>::default());
        let waker = Waker::from(Arc::clone(&woken));
        let polled = bind.as_mut().poll(&mut Context::from_waker(&waker));
        // If it was polled late, it may have its binding, which is closed as well.
        if polled.is_pending() {
            match round % 3 {
                0 => {}
                // About when the binding is made.
                1 => (0..10 * round).for_each(|_| std::hint::spin_loop()),
                _ => eventually(PATIENCE, "the result", || woken.0.load(Ordering::Acquire)),
            }
        }
        drop(bind);
    }
    let ends = || {
        // A binding that was made closes in a thread of its waitset.
        while ws.try_dispatch().expect("no callback fails") {}
        service.seen.ends.load(Ordering::Relaxed)
    };
    eventually(PATIENCE, "the end of the bindings", || ends() == ROUNDS);
    eventually(PATIENCE, "the drop of the handlers", || Arc::strong_count(&handlers) == 1);
    // Nothing else was bound before.
    let binding = bind().wait().expect("bind");
    binding.send_note(0).wait().expect("there is room");
    eventually(PATIENCE, "the note", || service.seen.notes.load(Ordering::Relaxed) == 1);
    assert_eq!(ends(), ROUNDS);
}

/// Whether it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn connect_callback_runs_for_one_client_at_a_time() {
    let ws = SharedWaitset::new();
    let (running, mut count) = (AtomicBool::new(false), 0);
    let connect = move |_: &Peer| {
        assert!(!running.swap(true, Ordering::AcqRel), "two connect callbacks run");
        thread::yield_now();
        count += 1;
        running.store(false, Ordering::Release);
        match count {
            1..=8 => Ok(Handlers::new(&Arc::default())),
            9 => Err(Refusal::new(7, "no more")),
            _ => panic!("this is part of the test"),
        }
    };
    let exported = doubler::export(&ws, connect).wait();
    let iref = exported.expect("export the service").iref();
    // They go on until the test process ends.
    for _ in 0..3 {
        let ws = ws.clone();
        thread::spawn(move || ws.dispatch_until(None, || false));
    }
    let bind = move || {
        let ws = Waitset::new();
        let bound = doubler::bind(iref, &ws, doubler::RxVtbl::default()).wait();
        bound.map(|binding| doubler::RpcClient::new(&binding).double(2).expect("an answer"))
    };
    let clients: Vec<_> = (0..8).map(|_| thread::spawn(bind)).collect();
    for client in clients {
        assert_eq!(client.join().expect("no panic"), Ok(4));
    }
    assert!(matches!(bind(), Err(BindError::Refused(refusal)) if refusal.code == 7));
    // The callback panics, and later clients are refused.
    assert!(matches!(bind(), Err(BindError::Refused(refusal)) if refusal.code == 0));
    assert!(matches!(bind(), Err(BindError::Refused(refusal)) if refusal.code == 0));
}

#[test]
fn services_end_with_the_last_clone_of_their_waitset() {
    let service = Service::new(1);
    let iref = service.exported.iref();
    drop(service);
    let bound = doubler::bind(iref, &Waitset::new(), doubler::RxVtbl::default()).wait();
    assert!(matches!(bound, Err(BindError::NoService)), "{bound:?}");
}

/// A client whose service keeps its end, and sends notes through it.
struct Noted {
    client: doubler::Binding<Shared>,
    service: doubler::Binding<Shared>,
    seen: Arc<Seen>,
}

impl Noted {
    /// Binds on `here`. The handlers of the client run `hook` on each note; the service is served by `there`.
    fn new(
        driver: &'static str,
        here: &SharedWaitset,
        there: &Threads,
        mut hook: impl FnMut(u64) + Send + 'static,
    ) -> Self {
        let seen = Arc::<Seen>::default();
        let (send, ends) = mpsc::channel();
        let connect = move |_: &Peer| Ok(Keeper(send.clone()));
        let exported = doubler::export(&there.pool, connect).wait().expect("export the service");
        let handlers =
            Hooked(Handlers::new(&seen), move |_: &doubler::Binding<Shared>, value| hook(value));
        let bind = doubler::bind(exported.iref(), here, handlers).driver(driver);
        let client = bind.wait().expect("bind");
        let service = ends.recv_timeout(PATIENCE).expect("the service learns of its binding");
        Self { client, service, seen }
    }

    fn wait_for(&self, notes: u64) {
        let arrived = || self.seen.notes.load(Ordering::Relaxed) == notes;
        eventually(PATIENCE, "the last note", arrived);
    }
}

/// Sends its binding away, and doubles.
struct Keeper(mpsc::Sender<doubler::Binding<Shared>>);

impl doubler::Rx<Shared> for Keeper {
    fn connected(&mut self, binding: &doubler::Binding<Shared>) {
        let _ = self.0.send(binding.clone());
    }

    fn note(&mut self, _: &doubler::Binding<Shared>, _: u64) {}

    fn double(
        &mut self,
        _: &doubler::Binding<Shared>,
        a: u64,
        reply: doubler::DoubleReply<Shared>,
    ) {
        reply.send(2 * a);
    }
}

/// Handlers that run a closure on each note and call.
struct Hooked<F>(Handlers, F);

impl<F> doubler::Rx<Shared> for Hooked<F>
where
    F: FnMut(&doubler::Binding<Shared>, u64) + Send + 'static,
{
    fn note(&mut self, binding: &doubler::Binding<Shared>, value: u64) {
        (self.1)(binding, value);
        self.0.note(binding, value);
    }

    fn double(
        &mut self,
        binding: &doubler::Binding<Shared>,
        a: u64,
        reply: doubler::DoubleReply<Shared>,
    ) {
        (self.1)(binding, a);
        self.0.double(binding, a, reply);
    }

    fn error(&mut self, binding: &doubler::Binding<Shared>, error: BindingError) {
        self.0.error(binding, error);
    }
}

#[test]
fn binding_moves_to_another_shared_waitset() {
    let (idle, there, here) = (SharedWaitset::new(), Threads::new(1), Threads::new(2));
    let noted = Noted::new("ump", &idle, &there, |_| {});
    let client = doubler::RpcClient::new(&noted.client);
    let limited = client.timeout(Duration::from_millis(20)).double(1);
    assert_eq!(limited, Err(RpcError::Deadline), "no thread dispatches its waitset");
    noted.service.send_note(0).wait().expect("there is room");
    noted.client.change_waitset(&here.pool).expect("it can be watched");
    noted.client.change_waitset(&here.pool).expect("it is there");
    noted.wait_for(1);
    drop(idle);
    assert_eq!(client.double(21), Ok(42), "the first waitset takes nothing along");
    noted.client.teardown();
    let moved = noted.client.change_waitset(&SharedWaitset::new());
    assert_eq!(moved, Err(ControlError::Closed));
}

#[test]
fn handler_under_way_ends_before_the_new_waitset_runs_the_next() {
    let (old, there, new) = (Threads::new(1), Threads::new(1), Threads::new(1));
    let (entered, is_in) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let noted = Noted::new("ump", &old.pool, &there, move |value| {
        if value == 0 {
            entered.send(thread::current().id()).expect("the test waits");
            released.recv().expect("the test goes on");
        }
    });
    noted.service.send_note(0).wait().expect("there is room");
    let first = is_in.recv_timeout(PATIENCE).expect("the handler runs");
    noted.service.send_note(1).wait().expect("there is room");
    // There and back, and there again: only the last one counts.
    for pool in [&new.pool, &old.pool, &new.pool] {
        noted.client.change_waitset(pool).expect("it can be watched");
    }
    // Its threads look, and find nothing that they may run.
    let (turn, turned) = mpsc::channel();
    for _ in 0..3 {
        let turn = turn.clone();
        new.pool.post(move |_| Ok(turn.send(())?));
        turned.recv_timeout(PATIENCE).expect("the threads dispatch");
    }
    assert_eq!(noted.seen.notes.load(Ordering::Relaxed), 0, "a handler runs");
    release.send(()).expect("the handler waits");
    noted.wait_for(2);
    let threads = noted.seen.threads.lock().expect("nobody panics");
    assert_eq!((threads.len(), threads[&first]), (2, 1), "the second note runs elsewhere");
}

#[test]
fn binding_that_moves_again_and_again_loses_nothing() {
    for driver in ["ump", "lmp"] {
        moves_again_and_again(driver);
    }
}

fn moves_again_and_again(driver: &'static str) {
    const NOTES: u64 = 20_000;
    let (first, second, there) = (Threads::new(2), Threads::new(2), Threads::new(1));
    let noted = Noted::new(driver, &first.pool, &there, |_| {});
    let client = doubler::RpcClient::new(&noted.client);
    let moves = thread::scope(|scope| {
        scope.spawn(|| {
            for value in 0..NOTES {
                noted.service.send_note(value).wait().expect("it is accepted");
            }
        });
        scope.spawn(|| (0..1000).for_each(|a| assert_eq!(client.double(a), Ok(2 * a))));
        let mut moves = 0_u64;
        while noted.seen.notes.load(Ordering::Relaxed) < NOTES {
            let pool = if moves.is_multiple_of(2) { &second.pool } else { &first.pool };
            noted.client.change_waitset(pool).expect("it can be watched");
            moves += 1;
            assert_eq!(noted.client.ended(), None);
        }
        moves
    });
    assert!(moves > 1, "{driver}: it has moved {moves} times");
    noted.wait_for(NOTES);
}

#[test]
fn shared_end_reports_room_and_the_end_of_what_it_sends() {
    let (here, there) = (Threads::new(1), Threads::new(1));
    let (release, released) = mpsc::channel::<()>();
    let noted = Noted::new("ump", &here.pool, &there, move |value| {
        if value == 0 {
            // The peer of the service reads nothing until then.
            let _ = released.recv();
        }
    });
    let (seen, done) = mpsc::channel();
    let mut sent = 0;
    while let Ok(message) = noted.service.tx_note(sent) {
        sent += 1;
        let seen = seen.clone();
        message.then(move || seen.send(()).expect("the test waits"));
    }
    assert!(!noted.service.can_send());
    let (room, has_room) = mpsc::channel();
    let callback = move |_: &SharedWaitset| Ok(room.send(thread::current().id())?);
    noted.service.register_send(&there.pool, callback.clone()).expect("none waits");
    let second = noted.service.register_send(&there.pool, callback);
    assert_eq!(second, Err(ControlError::AlreadyRegistered));
    let closing = noted.service.close();
    let late = noted.service.close().timeout(Duration::from_millis(20)).wait();
    assert_eq!(late, Err(TxError::Busy), "the peer reads nothing");
    has_room.recv_timeout(PATIENCE).expect("the end of the binding runs the callback");
    release.send(()).expect("the handler waits");
    assert_eq!(closing.wait(), Ok(()));
    noted.wait_for(sent);
    for _ in 0..sent {
        done.recv_timeout(PATIENCE).expect("a continuation follows each message");
    }
    assert!(matches!(noted.service.ended(), Some(BindingError::Closed)));
}

/// Runs this program again, as one part of a test.
fn start(part: &str, driver: &str, dir: &tempfile::TempDir) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    Command::new(program)
        .args(["--exact", "part_of_a_test", "--nocapture"])
        .env(PART, part)
        .env(DRIVER, driver)
        .env("FLOUNDER_RUNTIME_DIR", dir.path())
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .expect("this program starts")
}

/// Reads lines of a process up to the first that ends with `wanted`; returns what stands before.
fn expect_line(lines: &mut impl BufRead, wanted: &str) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        let read = lines.read_line(&mut line).expect("its output can be read");
        assert!(read > 0, "the process ends before it says {wanted}");
        if let Some(before) = line.trim_end().strip_suffix(wanted) {
            return before.to_owned();
        }
    }
}

#[test]
fn clients_of_other_processes_are_served_until_they_are_killed() {
    for driver in ["ump", "lmp", "beehive"] {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("it is ours");
        let mut service = start("service", driver, &dir);
        let mut says = BufReader::new(service.stdout.take().expect("it is piped"));
        expect_line(&mut says, "ready");
        let mut clients: Vec<_> = (0..3).map(|_| start("client", driver, &dir)).collect();
        for client in &mut clients {
            let mut lines = BufReader::new(client.stdout.take().expect("it is piped"));
            expect_line(&mut lines, "answered");
        }
        // They send notes for ever.
        for client in &mut clients {
            client.kill().expect("it runs");
            client.wait().expect("it ends");
        }
        expect_line(&mut says, "all ended");
        service.kill().expect("it runs");
        service.wait().expect("it ends");
    }
}

/// What the processes do that the tests start.
#[test]
fn part_of_a_test() {
    let Ok(part) = std::env::var(PART) else { return };
    let driver = std::env::var(DRIVER).expect("the test sets it");
    match part.as_str() {
        "service" => {
            let (first, second, seen) = (Threads::new(2), Threads::new(2), Arc::<Seen>::default());
            let (theirs, pools) = (Arc::clone(&seen), [second.pool.clone(), first.pool.clone()]);
            // Each binding moves to the other threads now and then, from a handler.
            let connect = move |_: &Peer| {
                let (pools, mut events) = (pools.clone(), 0);
                let hook = move |binding: &doubler::Binding<Shared>, _| {
                    events += 1;
                    if events % 7 == 0 {
                        let moved = binding.change_waitset(&pools[events % 2]);
                        moved.expect("it can be watched");
                    }
                };
                Ok(Hooked(Handlers::new(&theirs), hook))
            };
            let exported = doubler::export(&first.pool, connect).wait().expect("export");
            nameservice::register("doubler", exported.iref()).wait().expect("register");
            println!("\nready");
            eventually(PATIENCE, "the end of all clients", || {
                seen.ends.load(Ordering::Relaxed) == 3
            });
            assert!(seen.notes.load(Ordering::Relaxed) > 0);
            assert!(seen.threads.lock().expect("nobody panics").len() > 2, "no binding moved");
            println!("\nall ended");
            thread::sleep(PATIENCE);
        }
        "client" => {
            let ws = Waitset::new();
            let iref = nameservice::lookup("doubler").wait().expect("lookup");
            let binding = doubler::bind(iref, &ws, doubler::RxVtbl::default())
                .driver(driver)
                .wait()
                .expect("bind");
            let client = doubler::RpcClient::new(&binding);
            for value in 0..300 {
                assert_eq!(client.double(value), Ok(2 * value));
            }
            println!("\nanswered");
            for value in 0.. {
                ws.block_on(binding.send_note(value)).expect("it runs").expect("it is sent");
            }
        }
        other => panic!("there is no part {other}"),
    }
}
