//! Back-pressure: a binding that has reached its reply quota, or whose inbox is full, stops receiving. These tests check that
//! such a binding (1) uses no CPU, (2) still reports that its peer closed, and (3) cannot deadlock with another one.

use flounder_test_support as support;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use flounder::limits::{CALL_WINDOW, MAX_PENDING_REPLIES};
use flounder::{BindingError, Call, Peer, RecvError, RpcError, Waitset};
use flounder_rt::binding::AsRaw as _;
use rustix::time::{ClockId, clock_gettime};
use support::TIMEOUT;

flounder::flounder! {
    @symmetric
    interface work "To be put off" {
        message note(uint32 n);
        message bulk(uint8 data[length, 1048576]);
        rpc hold(in uint32 n, out uint32 n);
    };
}

const DRIVERS: [&str; 5] = ["loopback", "lmp", "ump", "scc", "beehive"];

/// Number of calls of `hold` that exceeds the quota of unsent replies.
const HOLD_CALL: u16 = 3;
const OVERBURDEN: u32 = MAX_PENDING_REPLIES as u32 + 4;

/// How long a waitset is watched that has nothing to do, and how much of that it may use the processor.
const IDLE: Duration = Duration::from_millis(200);
const IDLE_WORK: Duration = Duration::from_millis(20);

/// Keeps its unsent replies.
#[derive(Default)]
struct Keeper {
    held: RefCell<Vec<(u32, work::HoldReply)>>,
    bindings: RefCell<Vec<work::Binding>>,
    errors: RefCell<Vec<BindingError>>,
}

struct Service(Rc<Keeper>);

impl work::Rx for Service {
    fn note(&mut self, _: &work::Binding, _: u32) {}

    fn bulk(&mut self, _: &work::Binding, _: &[u8]) {}

    fn hold(&mut self, b: &work::Binding, n: u32, reply: work::HoldReply) {
        self.0.bindings.borrow_mut().push(b.clone());
        self.0.held.borrow_mut().push((n, reply));
    }

    fn error(&mut self, _: &work::Binding, error: BindingError) {
        self.0.errors.borrow_mut().push(error);
    }
}

/// A client and a service in one thread, each with a waitset of its own.
struct Ends {
    here: Waitset,
    there: Waitset,
    client: work::Binding,
    keeper: Rc<Keeper>,
}

impl Ends {
    fn new(driver: &str) -> Self {
        let rx = work::RxVtbl {
            hold: Some(Box::new(|_, n, reply| reply.send(n + 1))),
            ..work::RxVtbl::default()
        };
        Self::with(driver, rx)
    }

    fn with(driver: &str, rx: impl work::Handlers) -> Self {
        Self::with_room(driver, 0, rx)
    }

    fn with_room(driver: &str, bytes: usize, rx: impl work::Handlers) -> Self {
        let (here, there, keeper) = (Waitset::new(), Waitset::new(), Rc::<Keeper>::default());
        let theirs = Rc::clone(&keeper);
        let export = work::export(&there, move |_: &Peer| Ok(Service(Rc::clone(&theirs))));
        let iref = export.wait().expect("it can be exported").iref();
        let bind = work::bind(iref, &there, rx).driver(driver).buffer(bytes);
        let client = bind.wait().expect("it can be bound to");
        assert_eq!(client.driver(), driver);
        client.change_waitset(&here).expect("it can be moved");
        Self { here, there, client, keeper }
    }

    /// Fills the service's quota of unsent replies, and leaves more calls in the channel.
    fn overburden(&self) {
        for n in 0..OVERBURDEN {
            self.call_regardless(n);
            while self.there.try_dispatch().expect("no callback fails") {}
        }
        assert_eq!(self.keeper.held.borrow().len(), MAX_PENDING_REPLIES);
    }

    /// A call by a client that has no window, and takes no reply.
    fn call_regardless(&self, n: u32) {
        let words = [u64::from(n) << 32 | u64::from(n)];
        self.client.as_raw().send(HOLD_CALL, &words, &[]).map(drop).expect("the channel has room");
    }

    /// A call that is made and waits.
    fn hold(&self, n: u32) -> Held {
        let mut call = Box::pin(work::RpcClient::new(&self.client).hold_async(n));
        assert!(is_pending(call.as_mut()), "it is answered when it is made");
        call
    }

    /// The end of the service.
    fn service(&self) -> work::Binding {
        self.keeper.bindings.borrow().first().cloned().expect("it has been called")
    }
}

type Held = Pin<Box<Call<work::HoldReply>>>;

fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// Fills the slot of a binding with a message that does not fit into the channel.
fn fill(binding: &work::Binding) {
    for _ in 0..100 {
        binding.tx_bulk(&[7; 1 << 20]).expect("the slot is free");
        if !binding.can_send() {
            return;
        }
    }
    panic!("the binding is never busy");
}

#[track_caller]
fn until(waitset: &Waitset, done: impl FnMut() -> bool) {
    let done = waitset.dispatch_until(Some(Instant::now() + TIMEOUT), done);
    assert!(done.expect("no callback fails"), "too late");
}

/// Returns the output of a future while a waitset runs, within the time limit.
#[track_caller]
fn run<F: Future>(waitset: &Waitset, future: F) -> F::Output {
    let patience = waitset.after(TIMEOUT, |_| Err("it takes too long".into()));
    let value = waitset.block_on(future).expect("it comes in time");
    patience.cancel();
    value
}

/// Dispatches until nothing happens any more.
#[track_caller]
fn settle(waitset: &Waitset) {
    let end = Instant::now() + TIMEOUT;
    while waitset.try_dispatch().expect("no callback fails") {
        assert!(Instant::now() < end, "it never comes to rest");
    }
}

/// Checks that a waitset sleeps for as long as nothing happens.
#[track_caller]
fn expect_sleep(waitset: &Waitset, what: &str) {
    settle(waitset);
    let time =
        || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("it is positive");
    let before = time();
    waitset.dispatch_until(Some(Instant::now() + IDLE), || false).expect("no callback fails");
    let took = time() - before;
    assert!(took < IDLE_WORK, "{what}: it worked for {took:?} of {IDLE:?}");
}

#[test]
fn full_reply_quota_still_reports_close() {
    for driver in DRIVERS {
        let ends = Ends::new(driver);
        ends.overburden();
        expect_sleep(&ends.there, driver);
        ends.client.teardown();
        let keeper = &ends.keeper;
        until(&ends.there, || !keeper.errors.borrow().is_empty());
        assert_eq!(*keeper.errors.borrow(), [BindingError::Closed], "{driver}");
        let held = keeper.held.borrow();
        let sent = OVERBURDEN as usize;
        assert_eq!(held.len(), sent, "{driver}: what was sent before comes before");
        assert!(held.iter().all(|(_, reply)| reply.is_cancelled()), "{driver}");
        drop(held);
        expect_sleep(&ends.there, driver);
        keeper.held.take();
    }
}

#[test]
fn calls_of_a_closed_peer_are_bounded_by_twice_the_quota() {
    let ends = Ends::with_room("ump", 1 << 20, work::RxVtbl::default());
    (0..4 * MAX_PENDING_REPLIES as u32).for_each(|n| ends.call_regardless(n));
    assert!(ends.client.can_send(), "all of them are in the channel");
    settle(&ends.there);
    assert_eq!(ends.keeper.held.borrow().len(), MAX_PENDING_REPLIES);
    ends.client.teardown();
    until(&ends.there, || !ends.keeper.errors.borrow().is_empty());
    assert_eq!(*ends.keeper.errors.borrow(), [BindingError::Closed]);
    assert_eq!(ends.keeper.held.take().len(), 2 * MAX_PENDING_REPLIES);
}

#[test]
fn full_reply_quota_and_full_channel_still_report_close() {
    for driver in DRIVERS {
        let ends = Ends::new(driver);
        ends.overburden();
        fill(&ends.service());
        // This reply waits behind the message that does not fit.
        let (_, reply) = ends.keeper.held.borrow_mut().pop().expect("there are many");
        reply.send(0);
        expect_sleep(&ends.there, driver);
        ends.client.teardown();
        until(&ends.there, || !ends.keeper.errors.borrow().is_empty());
        assert_eq!(*ends.keeper.errors.borrow(), [BindingError::Closed], "{driver}");
        ends.keeper.held.take();
    }
}

#[test]
fn full_inbox_uses_no_cpu_while_others_wait_or_close() {
    for driver in DRIVERS {
        for blocked in [false, true] {
            let ends = Ends::with(driver, flounder::Inbox::new(2));
            let call = ends.hold(1);
            settle(&ends.there);
            let service = ends.service();
            for n in 0..4 {
                service.tx_note(n).expect("the channel has room");
            }
            if blocked {
                fill(&ends.client);
            }
            let what = format!("{driver}, blocked: {blocked}");
            expect_sleep(&ends.here, &what);
            service.teardown();
            expect_sleep(&ends.here, &what);
            for n in 0..4 {
                assert_eq!(run(&ends.here, ends.client.recv_note()), Ok(n), "{what}");
            }
            let end = run(&ends.here, ends.client.recv());
            assert_eq!(end, Err(RecvError::Ended(BindingError::Closed)), "{what}");
            assert_eq!(run(&ends.here, call), Err(RpcError::ServiceClosed), "{what}");
        }
    }
}

/// The service cannot send its replies, as the client has no time, and the client cannot send that a call is cancelled.
#[test]
fn cancelling_with_both_directions_full_does_not_deadlock() {
    for driver in DRIVERS {
        let ends = Ends::new(driver);
        let mut calls = vec![ends.hold(0)];
        settle(&ends.there);
        fill(&ends.service());
        // A reply that waits for room.
        ends.keeper.held.borrow_mut().pop().expect("it came").1.send(0);
        // The service has no time to receive more.
        while ends.client.can_send() && calls.len() < 100 {
            calls.push(ends.hold(calls.len() as u32));
        }
        if ends.client.can_send() {
            fill(&ends.client);
        }
        calls.push(ends.hold(calls.len() as u32));
        // The service cannot receive the end of the last call but one, and the last call waits.
        let last = calls.len() as u32 - 1;
        drop(calls.remove(last as usize - 1));
        let answered = Rc::new(Cell::new(0));
        for (call, n) in calls.into_iter().zip((0..last - 1).chain([last])) {
            let answered = Rc::clone(&answered);
            let task = async move {
                assert_eq!(call.await, Ok(n));
                answered.set(answered.get() + 1);
            };
            ends.here.spawn_local(task).detach();
        }
        let (mut dropped, end) = (None, Instant::now() + TIMEOUT);
        while answered.get() < last {
            assert!(Instant::now() < end, "{driver}: they wait for each other");
            settle(&ends.there);
            settle(&ends.here);
            for (n, reply) in ends.keeper.held.take() {
                if n == last - 1 { dropped = Some(reply) } else { reply.send(n) }
            }
        }
        settle(&ends.there);
        assert!(dropped.expect("it was sent").is_cancelled(), "{driver}");
    }
}

/// As many calls as the quota allows, all cancelled in the end: the service is notified of each.
#[test]
fn full_reply_quota_still_delivers_cancellations_and_replies() {
    for driver in DRIVERS {
        let ends = Ends::new(driver);
        let mut calls: Vec<_> = Vec::new();
        for n in 0..MAX_PENDING_REPLIES as u32 {
            if n.is_multiple_of(CALL_WINDOW as u32) {
                // The service keeps the replies all the same.
                for call in calls.drain(..) {
                    drop(call);
                    settle(&ends.there);
                }
            }
            calls.push(ends.hold(n));
            settle(&ends.there);
        }
        let service = ends.service();
        let back = work::RpcClient::new(&service).hold_async(7);
        let back = ends.there.spawn_local(back);
        settle(&ends.there);
        settle(&ends.here);
        assert_eq!(run(&ends.there, back), Ok(8), "{driver}");
        for call in calls {
            drop(call);
            settle(&ends.there);
        }
        let late = ends.hold(5000);
        ends.client.tx_note(1).expect("the channel has room");
        expect_sleep(&ends.there, driver);
        let mut held = ends.keeper.held.take();
        assert_eq!(held.len(), MAX_PENDING_REPLIES, "{driver}: the late call waits");
        assert!(held.iter().all(|(_, reply)| reply.is_cancelled()), "{driver}");
        drop(held.pop());
        settle(&ends.there);
        let (n, reply) =
            ends.keeper.held.borrow_mut().pop().expect("there is room for the late call");
        reply.send(n);
        settle(&ends.there);
        assert_eq!(run(&ends.here, late), Ok(5000), "{driver}");
    }
}

/// A handler that dispatches in turn, with something else to be received by its binding: that has to wait, and to come then.
#[test]
fn dispatching_handler_sleeps_while_its_binding_has_more() {
    for driver in DRIVERS {
        let (ws, seen) = (Waitset::new(), Rc::<RefCell<Vec<u32>>>::default());
        let theirs = Rc::clone(&seen);
        let export = work::export(&ws, move |_: &Peer| {
            let seen = Rc::clone(&theirs);
            Ok(work::RxVtbl {
                note: Some(Box::new(move |b: &work::Binding, n| {
                    if n == 1 {
                        expect_sleep(&b.waitset().expect("it runs from there"), b.driver());
                    }
                    seen.borrow_mut().push(n);
                })),
                ..work::RxVtbl::default()
            })
        });
        let iref = export.wait().expect("it can be exported").iref();
        let bind = work::bind(iref, &ws, work::RxVtbl::default()).driver(driver);
        let client = bind.wait().expect("it can be bound to");
        for n in 1..4 {
            client.tx_note(n).expect("the channel has room");
        }
        until(&ws, || seen.borrow().len() == 3);
        assert_eq!(*seen.borrow(), [1, 2, 3], "{driver}");
    }
}
