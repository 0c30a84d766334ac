//! Binds within a process: which driver is chosen, and which error a failed bind returns.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use flounder::driver::channel::{Channel, Connector, End, Link, Offer, PendingOffer, SendPair};
use flounder::drivers::registry;
use flounder::error::ConnectError;
use flounder::{BindError, BindingError, Iref, Peer, Refusal, Waitset};

flounder::flounder! {
    interface twice "To bind to" {
        message note(uint64 n);
        rpc double(in uint32 n, out uint32 result);
    };
}

/// The same messages under another name.
mod renamed {
    flounder::flounder! {
        interface thrice "Not to bind to" {
            message note(uint64 n);
            rpc double(in uint32 n, out uint32 result);
        };
    }
}

/// Another name, and other messages.
mod other {
    flounder::flounder! {
        interface once "Not to bind to" {
            message note(uint32 n);
            rpc double(in uint32 n, out uint32 result);
        };
    }
}

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a service has seen.
#[derive(Default)]
struct Seen {
    clients: Cell<u64>,
    notes: Cell<u64>,
    ends: Cell<u64>,
}

struct Service(Rc<Seen>);

impl twice::Rx for Service {
    fn note(&mut self, _: &twice::Binding, _: u64) {
        self.0.notes.set(self.0.notes.get() + 1);
    }

    fn double(&mut self, _: &twice::Binding, n: u32, reply: twice::DoubleReply) {
        reply.send(2 * n);
    }

    fn error(&mut self, _: &twice::Binding, error: BindingError) {
        if error.is_fatal() {
            self.0.ends.set(self.0.ends.get() + 1);
        }
    }
}

fn export(ws: &Waitset, seen: &Rc<Seen>) -> Iref {
    let seen = Rc::clone(seen);
    let export = twice::export(ws, move |_: &Peer| {
        seen.clients.set(seen.clients.get() + 1);
        Ok(Service(Rc::clone(&seen)))
    });
    export.wait().expect("it can be exported").iref()
}

fn bind(iref: Iref, ws: &Waitset, drivers: &[&str]) -> Result<twice::ClientBinding, BindError> {
    let bind = twice::bind(iref, ws, ()).timeout(PATIENCE);
    bind.drivers(drivers.iter().copied()).wait()
}

/// Which driver a binding has, once a call has gone through it.
fn bound(iref: Iref, ws: &Waitset, drivers: &[&str]) -> Result<&'static str, BindError> {
    let binding = bind(iref, ws, drivers)?;
    let client = twice::RpcClient::new(&binding);
    assert_eq!(client.double(21), Ok(42), "over {}", binding.driver());
    Ok(binding.driver())
}

/// Does something while a service runs in another thread.
fn with_service_elsewhere(f: impl FnOnce(Iref, &Waitset)) {
    let (sender, receiver) = channel();
    let service = thread::spawn(move || {
        let ws = Waitset::current();
        let iref = export(&ws, &Rc::default());
        let over = Arc::new(AtomicBool::new(false));
        sender.send((iref, ws.remote(), Arc::clone(&over))).expect("the test waits");
        let deadline = Some(Instant::now() + PATIENCE);
        ws.dispatch_until(deadline, || over.load(Ordering::Relaxed))
    });
    let (iref, remote, over) = receiver.recv_timeout(PATIENCE).expect("it can be exported");
    f(iref, &Waitset::current());
    over.store(true, Ordering::Relaxed);
    remote.post(|_| Ok(()));
    assert_eq!(service.join().expect("it did not panic").ok(), Some(true), "it was told in time");
}

/// A driver that gives a reason.
struct Sorry(&'static str, ConnectError);

impl Connector for Sorry {
    fn name(&self) -> &'static str {
        self.0
    }

    fn pair(&self, _: &End, _: &End) -> Result<SendPair, ConnectError> {
        Err(self.1.clone())
    }

    fn offer(
        &self,
        _: &End,
        _: &Arc<dyn Link>,
    ) -> Result<(Offer, Box<dyn PendingOffer>), ConnectError> {
        Err(self.1.clone())
    }

    fn accept(
        &self,
        _: &End,
        _: &Arc<dyn Link>,
        _: Offer,
    ) -> Result<(Box<dyn Channel + Send>, Offer), ConnectError> {
        Err(self.1.clone())
    }
}

fn register(name: &'static str, error: ConnectError) {
    registry::register(Arc::new(Sorry(name, error))).expect("nobody has that name");
}

#[test]
fn every_driver_reaches_its_own_thread() {
    let ws = Waitset::current();
    let iref = export(&ws, &Rc::default());
    for driver in ["loopback", "ump", "lmp", "scc", "beehive"] {
        assert_eq!(bound(iref, &ws, &[driver]), Ok(driver));
    }
    assert_eq!(bound(iref, &ws, &[]), Ok("loopback"), "it is the nearest");
    assert_eq!(bound(iref, &ws, &["lmp", "loopback"]), Ok("lmp"), "the caller's order counts");
}

#[test]
fn every_driver_but_loopback_reaches_another_thread() {
    with_service_elsewhere(|iref, ws| {
        for driver in ["ump", "lmp", "scc", "beehive"] {
            assert_eq!(bound(iref, ws, &[driver]), Ok(driver));
        }
        assert_eq!(bound(iref, ws, &[]), Ok("ump"));
        assert_eq!(bound(iref, ws, &["loopback", "scc", "lmp"]), Ok("scc"));
        let error = bind(iref, ws, &["loopback"]).expect_err("it is too far away");
        assert_eq!(error, BindError::Drivers(vec![("loopback".into(), ConnectError::Reach)]));
    });
}

#[test]
fn a_failed_bind_lists_every_driver_and_its_reason_in_order() {
    register("tired", ConnectError::Refused("it has walked enough"));
    register("poor", ConnectError::Os(rustix::io::Errno::NOMEM.into()));
    let why = |errors: &[(&str, ConnectError)]| {
        let owned = errors.iter().map(|(driver, error)| ((*driver).to_owned(), error.clone()));
        BindError::Drivers(owned.collect())
    };
    let tired = ("tired", ConnectError::Refused("it has walked enough"));
    let poor = ("poor", ConnectError::Os(rustix::io::Errno::NOMEM.into()));
    with_service_elsewhere(|iref, ws| {
        let error = bind(iref, ws, &["poor", "loopback", "tired"]).expect_err("none can");
        let near = ("loopback", ConnectError::Reach);
        assert_eq!(error, why(&[poor.clone(), near, tired.clone()]));
        assert_eq!(
            error.to_string(),
            "no driver could connect; poor: a system call failed: Cannot allocate memory (os error 12); \
             loopback: the driver does not reach there; tired: it has walked enough"
        );
        assert_eq!(bound(iref, ws, &["poor", "tired", "lmp"]), Ok("lmp"));
    });
    let ws = Waitset::new();
    let iref = export(&ws, &Rc::default());
    let error = bind(iref, &ws, &["tired", "poor"]).expect_err("none can");
    assert_eq!(error, why(&[tired, poor]));
}

#[test]
fn an_unknown_driver_is_named_before_any_is_tried() {
    let ws = Waitset::new();
    let iref = export(&ws, &Rc::default());
    let error = bind(iref, &ws, &["loopback", "pigeon"]).expect_err("there is none");
    assert_eq!(error, BindError::UnknownDriver("pigeon".into()));
}

#[test]
fn a_refusal_of_the_service_is_final() {
    let ws = Waitset::new();
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    let connect = move |_: &Peer| -> Result<Service, Refusal> {
        count.set(count.get() + 1);
        Err(Refusal::new(7, "closed"))
    };
    let iref = twice::export(&ws, connect).wait().expect("it can be exported").iref();
    let error = bind(iref, &ws, &["loopback", "ump", "lmp"]).expect_err("it is refused");
    assert_eq!(error, BindError::Refused(Refusal::new(7, "closed")));
    assert_eq!(asked.get(), 1, "other drivers would not help");
}

#[test]
fn the_name_of_an_interface_counts() {
    let check = |iref: Iref, ws: &Waitset| {
        let error = renamed::thrice::bind(iref, ws, ()).wait().expect_err("the name differs");
        assert_eq!(
            error.to_string(),
            "the service's interface is `twice`, the client's is `thrice`; their messages agree"
        );
        let error = other::once::bind(iref, ws, ()).wait().expect_err("the messages differ, too");
        assert_eq!(error.to_string(), "the service's interface is `twice`, the client's is `once`");
    };
    let ws = Waitset::new();
    check(export(&ws, &Rc::default()), &ws);
    with_service_elsewhere(check);
}

/// The documented rule, calculated without the library.
#[test]
fn a_digest_begins_with_the_name_as_documented() {
    let fnv = |bytes: &[u8]| {
        let (basis, prime) =
            (0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, 0x0100_0000_0000_0000_0000_013b);
        bytes.iter().fold(basis, |hash: u128, byte| (hash ^ u128::from(*byte)).wrapping_mul(prime))
    };
    let interface = twice::INTERFACE;
    let digest = interface.messages.iter().fold(fnv(b"twice"), |digest, message| {
        fnv(&[digest.to_be_bytes(), message.fingerprint.to_be_bytes()].concat())
    });
    assert_eq!(interface.fingerprint, digest);
}

/// What the client of the next test has done.
#[derive(Debug, PartialEq)]
enum Step {
    AskedToBind,
    SaidSomething,
}

/// A service may be slow, and its clients bind, send something and go as fast as it answers: it is notified of those that have
/// gone as well.
#[test]
fn new_bindings_do_not_keep_ended_ones_waiting() {
    const CLIENTS: u64 = 100;
    for driver in ["ump", "lmp", "scc", "beehive"] {
        let (service, seen) = (Waitset::new(), Rc::<Seen>::default());
        let iref = export(&service, &seen);
        let (steps, done) = channel();
        let (heard, answers) = channel();
        let client = thread::spawn(move || {
            let ws = Waitset::new();
            for n in 0..CLIENTS {
                let bind = twice::bind(iref, &ws, ()).driver(driver);
                let result = Rc::new(RefCell::new(None));
                let theirs = Rc::clone(&result);
                bind.then(move |bound| _ = theirs.replace(Some(bound)));
                steps.send(Step::AskedToBind).expect("the service runs");
                let deadline = Some(Instant::now() + PATIENCE);
                ws.dispatch_until(deadline, || result.borrow().is_some()).expect("nothing fails");
                let binding = result.take().expect("it ended in time").expect("there is room");
                binding.tx_note(n).expect("the channel is empty");
                steps.send(Step::SaidSomething).expect("the service runs");
                answers.recv_timeout(PATIENCE).expect("it is heard");
                binding.teardown();
            }
        });
        let mut waiting = 0;
        for n in 1..=CLIENTS {
            // It does only what has to be done, and that late.
            let deadline = Some(Instant::now() + PATIENCE);
            assert_eq!(done.recv_timeout(PATIENCE), Ok(Step::AskedToBind));
            let admitted = || seen.clients.get() == n;
            assert_eq!(service.dispatch_until(deadline, admitted).ok(), Some(true), "{driver}");
            assert_eq!(done.recv_timeout(PATIENCE), Ok(Step::SaidSomething));
            let noted = || seen.notes.get() == n;
            assert_eq!(service.dispatch_until(deadline, noted).ok(), Some(true), "{driver}");
            waiting = waiting.max(n - 1 - seen.ends.get());
            heard.send(()).expect("the client runs");
        }
        client.join().expect("it did not panic");
        assert!(waiting <= 2, "{driver}: {waiting} ended bindings waited at once");
    }
}

#[test]
fn dropped_bind_gives_its_handlers_up_at_once() {
    with_service_elsewhere(|iref, ws| {
        let held = Rc::new(());
        let rx = twice::ClientRxVtbl {
            note: Some(Box::new({
                let held = Rc::clone(&held);
                move |_, _| _ = &held
            })),
            ..twice::ClientRxVtbl::default()
        };
        let mut bind = Box::pin(twice::bind(iref, ws, rx));
        let mut context = Context::from_waker(Waker::noop());
        assert!(bind.as_mut().poll(&mut context).is_pending());
        assert_eq!(Rc::strong_count(&held), 2);
        drop(bind);
        assert_eq!(Rc::strong_count(&held), 1);
        // The service's end of the binding, if there is one, is closed: another bind comes behind it.
        assert_eq!(bound(iref, ws, &[]), Ok("ump"));
    });
}

#[test]
fn bind_whose_time_is_over_fails_at_once() {
    let (ws, seen) = (Waitset::new(), Rc::<Seen>::default());
    let iref = export(&ws, &seen);
    let now = Instant::now();
    let bind = || twice::bind(iref, &ws, ());
    assert_eq!(bind().deadline(now).wait().err(), Some(BindError::Deadline));
    assert_eq!(bind().timeout(Duration::ZERO).wait().err(), Some(BindError::Deadline));
    let called = Rc::new(RefCell::new(None));
    let theirs = Rc::clone(&called);
    bind().deadline(now).then(move |bound| _ = theirs.replace(bound.err()));
    assert!(called.borrow().is_none(), "callbacks run from the waitset");
    ws.dispatch().expect("nothing fails");
    assert_eq!(called.take(), Some(BindError::Deadline));
    assert_eq!(seen.clients.get(), 0);
    bind().timeout(Duration::MAX).wait().expect("there is time");
}

#[test]
fn polled_bind_can_be_waited_for() {
    let (ws, seen) = (Waitset::new(), Rc::<Seen>::default());
    let iref = export(&ws, &seen);
    let mut bind = twice::bind(iref, &ws, ());
    assert!(Pin::new(&mut bind).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(twice::RpcClient::new(&bind.wait().expect("it is there")).double(1), Ok(2));
    assert_eq!(seen.clients.get(), 1);
}

#[test]
fn export_calls_back_from_the_waitset() {
    let ws = Waitset::new();
    let exported = Rc::new(Cell::new(None));
    let theirs = Rc::clone(&exported);
    twice::export(&ws, |_: &Peer| Ok(twice::RxVtbl::default()))
        .then(move |service| theirs.set(service.ok()));
    assert!(exported.take().is_none());
    ws.dispatch().expect("nothing fails");
    let iref = exported.take().expect("it is exported").iref();
    twice::bind(iref, &ws, ()).wait().expect("it is there");
}

#[test]
fn waitset_behind_a_pointer_is_taken_as_well() {
    let ws = Rc::new(Waitset::new());
    let service = twice::export(&ws, |_: &Peer| Ok(Service(Rc::default()))).wait().expect("export");
    #[allow(clippy::needless_borrow, clippy::needless_borrows_for_generic_args)]
    let binding = twice::bind(service.iref(), &&*ws, ()).wait().expect("bind");
    assert_eq!(twice::RpcClient::new(&binding).double(2), Ok(4));
}
