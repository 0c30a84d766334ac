//! Futures over bindings: sends that wait, calls with time-outs, cancellation and async handlers, and how each ends when its
//! binding ends.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use flounder::error::TooLong;
use flounder::{BindingError, CallbackError, Cap, Iref, Refusal, RpcError, TxError, Waitset};

#[path = "futures/fails.rs"]
mod fails;

flounder::flounder! {
    interface work "To be waited for" {
        message note(uint32 n);
        message bulk(uint8 data[length, 1048576]);
        message give(uint32 n, give_away_cap c);
        rpc add(in uint32 a, in uint32 b, out uint32 sum);
        rpc hold(in uint32 n, out uint32 n);
        rpc words(in string names[count, 8], out string names[count, 8], out uint8 all[length]);
    };
}

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The drivers over which a binding may be busy.
const BUSY: [&str; 2] = ["ump", "lmp"];

const DRIVERS: [&str; 3] = ["loopback", "ump", "lmp"];

#[derive(Default)]
struct Seen {
    notes: RefCell<Vec<u32>>,
    held: RefCell<Vec<(u32, work::HoldReply)>>,
    bindings: RefCell<Vec<work::Binding>>,
    errors: RefCell<Vec<BindingError>>,
}

struct Service(Rc<Seen>);

impl work::Rx for Service {
    fn note(&mut self, b: &work::Binding, n: u32) {
        self.0.notes.borrow_mut().push(n);
        if n == 0 {
            b.teardown();
        }
    }

    fn bulk(&mut self, _: &work::Binding, _: &[u8]) {}

    fn give(&mut self, _: &work::Binding, n: u32, _: Cap) {
        self.0.notes.borrow_mut().push(n);
    }

    fn add(&mut self, _: &work::Binding, a: u32, b: u32, reply: work::AddReply) {
        reply.send(a + b);
    }

    fn hold(&mut self, b: &work::Binding, n: u32, reply: work::HoldReply) {
        self.0.bindings.borrow_mut().push(b.clone());
        self.0.held.borrow_mut().push((n, reply));
    }

    fn words(&mut self, _: &work::Binding, names: &[&str], reply: work::WordsReply) {
        if names == ["nine"] {
            return reply.send(&["x"; 9], &[]);
        }
        reply.send(names, names.concat().as_bytes());
    }

    fn error(&mut self, _: &work::Binding, error: BindingError) {
        self.0.errors.borrow_mut().push(error);
    }
}

/// Both ends in one thread.
struct Ends {
    ws: Waitset,
    client: work::ClientBinding,
    seen: Rc<Seen>,
}

impl Ends {
    fn new(driver: &str) -> Self {
        let (ws, seen) = (Waitset::new(), Rc::<Seen>::default());
        let theirs = Rc::clone(&seen);
        let export = work::export(&ws, move |_| Ok(Service(Rc::clone(&theirs))));
        let iref = export.wait().expect("it can be exported").iref();
        let client = bind(iref, &ws, driver);
        Self { ws, client, seen }
    }

    fn rpc(&self) -> work::RpcClient {
        work::RpcClient::new(&self.client)
    }

    /// Fills the slot with a message that does not fit in the channel.
    fn fill(&self) {
        for _ in 0..100 {
            self.client.tx_bulk(&[7; 1 << 20]).expect("the slot is free");
            if !self.client.can_send() {
                return;
            }
        }
        panic!("the binding is never busy");
    }

    #[track_caller]
    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        run(&self.ws, future)
    }

    /// Dispatches until `done`.
    #[track_caller]
    fn until(&self, done: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        assert!(self.ws.dispatch_until(Some(end), done).expect("no callback fails"), "too late");
    }

    /// Dispatches everything that there is.
    fn settle(&self) {
        let sum = self.run(self.rpc().add_async(1, 1));
        assert_eq!(sum, Ok(2));
    }
}

fn bind(iref: Iref, ws: &Waitset, driver: &str) -> work::ClientBinding {
    let bind = work::bind(iref, ws, ()).driver(driver);
    bind.wait().expect("it can be bound to")
}

/// Runs a future, for so long at most.
#[track_caller]
fn run<T>(ws: &Waitset, future: impl Future<Output = T>) -> T {
    let late = Rc::new(Cell::new(false));
    let theirs = Rc::clone(&late);
    let timer = ws.after(PATIENCE, move |_| {
        theirs.set(true);
        Err("too late".into())
    });
    let value = ws.block_on(future).expect("it is done in time");
    timer.cancel();
    value
}

/// Polls once; it must not be done.
fn start<T>(future: Pin<&mut impl Future<Output = T>>) {
    let polled = future.poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "it did not have to wait");
}

fn cap() -> Cap {
    Cap::from(std::fs::File::open("/dev/null").expect("it is there"))
}

#[test]
fn waiting_sends_go_out_in_order_once_the_binding_is_free() {
    for driver in BUSY {
        let ends = Ends::new(driver);
        ends.fill();
        for n in 1..=100 {
            let client = ends.client.clone();
            let send = async move { client.send_note(n).await.expect("the binding lives") };
            ends.ws.spawn_local(send).detach();
        }
        assert_eq!(*ends.seen.notes.borrow(), []);
        ends.until(|| ends.seen.notes.borrow().len() == 100);
        assert_eq!(*ends.seen.notes.borrow(), (1..=100).collect::<Vec<_>>(), "{driver}");
    }
}

#[test]
fn dropped_waiting_send_has_sent_nothing_unless_done() {
    for driver in BUSY {
        let ends = Ends::new(driver);
        ends.fill();
        {
            let mut dropped = pin!(ends.client.send_note(1));
            start(dropped.as_mut());
            let mut given = pin!(ends.client.send_give(2, cap()));
            start(given.as_mut());
            drop(ends.client.send_note(3));
        }
        assert_eq!(ends.run(ends.client.send_note(4)), Ok(()));
        ends.run(ends.client.send_give(5, cap())).expect("the binding lives");
        ends.until(|| ends.seen.notes.borrow().len() == 2);
        assert_eq!(*ends.seen.notes.borrow(), [4, 5], "{driver}");
    }
}

#[test]
fn forgotten_send_holds_up_no_other() {
    for driver in BUSY {
        let ends = Ends::new(driver);
        ends.fill();
        let mut forgotten = pin!(ends.client.send_note(1));
        start(forgotten.as_mut());
        let mut other = pin!(ends.client.send_note(2));
        start(other.as_mut());
        assert_eq!(ends.run(ends.client.send_note(3)), Ok(()));
        assert_eq!(ends.run(other), Ok(()));
        assert_eq!(ends.run(forgotten), Ok(()));
        ends.until(|| ends.seen.notes.borrow().len() == 3);
        assert_eq!(*ends.seen.notes.borrow(), [3, 2, 1], "{driver}");
    }
}

#[test]
fn waiting_sends_end_with_their_binding_and_return_values() {
    for driver in BUSY {
        let ends = Ends::new(driver);
        ends.fill();
        let client = ends.client.clone();
        let note = ends.ws.spawn_local(async move { client.send_note(1).await });
        let client = ends.client.clone();
        let give = ends.ws.spawn_local(async move { client.send_give(2, cap()).await });
        ends.ws.try_dispatch().expect("no callback fails");
        let client = ends.client.clone();
        ends.ws.post(move |_| {
            client.teardown();
            Ok(())
        });
        assert_eq!(ends.run(note), Err(TxError::Closed), "{driver}");
        let rejected = ends.run(give).expect_err("the binding has ended");
        assert_eq!(rejected.error, TxError::Closed);
        let _: Cap = rejected.given;
    }
}

#[test]
fn a_message_may_be_awaited_in_several_places() {
    for driver in BUSY {
        let ends = Ends::new(driver);
        ends.fill();
        ends.run(ends.client.send_bulk(&[1; 1 << 20])).expect("the binding lives");
        let ran = Rc::new(Cell::new(0));
        let sent = loop {
            let Ok(sent) = ends.client.tx_bulk(&[2; 1 << 20]) else {
                ends.ws.dispatch().expect("no callback fails");
                continue;
            };
            if !sent.is_sent() {
                break sent;
            }
        };
        for _ in 0..2 {
            let theirs = Rc::clone(&ran);
            sent.then(move || theirs.set(theirs.get() + 1));
        }
        let mut first = pin!(async { sent.await });
        start(first.as_mut());
        let mut second = pin!(async { sent.await });
        start(second.as_mut());
        let both = async {
            // Each has a waker of its own: joined by hand, as a `select!` would.
            assert_eq!(second.await, Ok(()));
            first.await
        };
        assert_eq!(ends.run(both), Ok(()));
        ends.until(|| ran.get() == 2);
    }
}

#[test]
fn dropped_call_is_cancelled_and_its_late_reply_discarded() {
    for driver in DRIVERS {
        let ends = Ends::new(driver);
        let rpc = ends.rpc();
        {
            let never_sent = pin!(rpc.hold_async(0));
            assert!(format!("{never_sent:?}").contains("Call"));
        }
        {
            let mut call = pin!(rpc.hold_async(1));
            start(call.as_mut());
            let mut other = pin!(rpc.hold_async(2));
            start(other.as_mut());
            ends.until(|| ends.seen.held.borrow().len() == 2);
            assert!(ends.seen.held.borrow().iter().all(|(_, reply)| !reply.is_cancelled()));
            ends.seen.held.borrow_mut().pop().expect("two").1.send(2);
            assert_eq!(ends.run(other), Ok(2), "replies in any order");
        }
        let (n, mut reply) = ends.seen.held.borrow_mut().pop().expect("one");
        assert_eq!(n, 1);
        ends.run(reply.cancelled());
        assert!(reply.is_cancelled(), "{driver}");
        reply.send(1);
        ends.settle();
        assert_eq!(*ends.seen.errors.borrow(), []);
        assert_eq!(ends.seen.held.borrow().len(), 0);
    }
}

#[test]
fn a_reply_that_crosses_the_cancellation_is_discarded() {
    for driver in DRIVERS {
        let ends = Ends::new(driver);
        let rpc = ends.rpc();
        {
            let mut call = pin!(rpc.hold_async(1));
            start(call.as_mut());
            ends.until(|| ends.seen.held.borrow().len() == 1);
            ends.seen.held.borrow_mut().pop().expect("one").1.send(9);
        }
        ends.settle();
        assert_eq!(*ends.seen.errors.borrow(), [], "{driver}");
        assert_eq!(ends.client.ended(), None);
    }
}

#[test]
fn deadline_ends_a_call_and_cancels_it_at_the_service() {
    for driver in DRIVERS {
        let ends = Ends::new(driver);
        let (rpc, soon) = (ends.rpc(), Duration::from_millis(20));
        assert_eq!(ends.run(rpc.hold_async(1).timeout(soon)), Err(RpcError::Deadline));
        assert_eq!(ends.run(rpc.timeout(soon).hold_async(2)), Err(RpcError::Deadline));
        assert_eq!(
            ends.run(rpc.hold_async(3).deadline(Instant::now() + soon)),
            Err(RpcError::Deadline)
        );
        assert_eq!(rpc.timeout(soon).hold(4), Err(RpcError::Deadline));
        assert_eq!(rpc.deadline(Instant::now() + soon).hold(5), Err(RpcError::Deadline));
        ends.until(|| {
            let held = ends.seen.held.borrow();
            held.len() == 5 && held.iter().all(|(_, reply)| reply.is_cancelled())
        });
        let past = rpc.deadline(Instant::now());
        assert_eq!(past.hold(6), Err(RpcError::Deadline), "{driver}");
        ends.settle();
        assert_eq!(ends.seen.held.borrow().len(), 5, "what is too late is not sent");
        let long = rpc.timeout(PATIENCE);
        assert_eq!(long.add(2, 3), Ok(5));
        assert_eq!(ends.run(long.add_async(2, 3)), Ok(5));
        assert_eq!(ends.run(rpc.timeout(Duration::MAX).add_async(2, 3)), Ok(5));
    }
}

#[test]
fn a_deadline_ends_a_call_that_waits_for_room() {
    for driver in BUSY {
        let ends = Ends::new(driver);
        // Another dispatcher has the service's end, and does nothing.
        let elsewhere = Waitset::new();
        let service = loop {
            if let Some(service) = ends.seen.bindings.borrow_mut().pop() {
                break service;
            }
            assert_eq!(
                ends.run(ends.rpc().timeout(Duration::from_millis(1)).hold_async(1)),
                Err(RpcError::Deadline)
            );
        };
        service.change_waitset(&elsewhere).expect("it can be moved");
        ends.fill();
        let soon = Duration::from_millis(20);
        assert_eq!(ends.run(ends.rpc().timeout(soon).add_async(1, 2)), Err(RpcError::Deadline));
        assert!(!ends.client.can_send(), "{driver}");
    }
}

#[test]
fn blocking_call_times_out_while_messages_keep_coming() {
    let ends = Ends::new("ump");
    let rpc = ends.rpc();
    let mut first = pin!(rpc.hold_async(1));
    start(first.as_mut());
    ends.until(|| !ends.seen.bindings.borrow().is_empty());
    let service = ends.seen.bindings.borrow_mut().pop().expect("one");
    let flood = async move { while service.send_note(1).await.is_ok() {} };
    ends.ws.spawn_local(flood).detach();
    assert_eq!(rpc.timeout(Duration::from_millis(20)).hold(2), Err(RpcError::Deadline));
}

#[test]
fn ten_thousand_calls_find_their_replies_in_any_order() {
    for driver in DRIVERS {
        let ends = Ends::new(driver);
        let rpc = ends.rpc();
        let done = Rc::new(Cell::new(0));
        for n in 0..10_000 {
            let (call, done) = (rpc.hold_async(n), Rc::clone(&done));
            let task = async move {
                assert_eq!(call.await, Ok(n));
                done.set(done.get() + 1);
            };
            ends.ws.spawn_local(task).detach();
        }
        ends.until(|| {
            let mut held = ends.seen.held.borrow_mut();
            if held.len() >= 500 || (!held.is_empty() && done.get() >= 9500) {
                while let Some((n, reply)) = held.pop() {
                    reply.send(n);
                }
            }
            done.get() == 10_000
        });
    }
}

#[test]
fn every_pending_future_ends_with_its_binding() {
    for driver in DRIVERS {
        let ends = Ends::new(driver);
        let rpc = ends.rpc();
        let call = ends.ws.spawn_local(rpc.hold_async(1));
        ends.until(|| !ends.seen.held.borrow().is_empty());
        let (_, mut reply) = ends.seen.held.borrow_mut().pop().expect("one");
        let cancelled = ends.ws.spawn_local(async move {
            reply.cancelled().await;
            reply.is_cancelled()
        });
        assert_eq!(ends.run(ends.client.send_note(0)), Ok(()));
        assert_eq!(ends.run(call), Err(RpcError::ServiceClosed), "{driver}");
        assert!(ends.run(cancelled), "{driver}");
        let late = ends.run(rpc.add_async(1, 2));
        assert_eq!(late, Err(RpcError::NotSent(BindingError::Closed)));
        assert_eq!(rpc.add(1, 2), Err(RpcError::NotSent(BindingError::Closed)));
        assert_eq!(ends.run(ends.client.send_note(1)), Err(TxError::Closed));
    }
    for driver in BUSY {
        let ends = Ends::new(driver);
        ends.fill();
        let waiting = ends.ws.spawn_local(ends.rpc().add_async(1, 2));
        let client = ends.client.clone();
        let sent = ends.ws.spawn_local(async move { client.send_bulk(&[1; 1 << 20]).await });
        ends.ws.try_dispatch().expect("no callback fails");
        ends.client.teardown();
        let unsent = RpcError::NotSent(BindingError::Closed);
        assert_eq!(ends.run(waiting), Err(unsent), "{driver}");
        assert_eq!(ends.run(sent), Err(TxError::Closed));
    }
}

#[test]
fn call_after_the_peer_closed_reports_why_it_failed() {
    for driver in DRIVERS {
        for blocking in [false, true] {
            let ends = Ends::new(driver);
            let rpc = ends.rpc();
            let mut call = pin!(rpc.hold_async(1));
            start(call.as_mut());
            ends.until(|| !ends.seen.bindings.borrow().is_empty());
            ends.seen.bindings.borrow_mut().pop().expect("one").teardown();
            assert_eq!(ends.client.ended(), None, "{driver}: it has not heard of it");
            let late = if blocking { rpc.add(1, 2) } else { ends.run(rpc.add_async(1, 2)) };
            let is_ended = |error| matches!(error, RpcError::Closed(_) | RpcError::NotSent(_));
            assert!(late.is_err_and(is_ended), "{driver}");
            assert_eq!(ends.run(call), Err(RpcError::ServiceClosed), "{driver}");
        }
    }
}

#[test]
fn a_future_ends_when_the_waitset_of_its_binding_goes() {
    let (here, there) = (Waitset::new(), Waitset::new());
    let ends = Ends::new("loopback");
    let Ends { ws, client, seen } = ends;
    let call = here.spawn_local(work::RpcClient::new(&client).hold_async(1));
    while here.try_dispatch().expect("no callback fails") {}
    while seen.held.borrow().is_empty() {
        ws.dispatch().expect("no callback fails");
    }
    client.change_waitset(&there).expect("it can be moved");
    drop(there);
    assert_eq!(run(&here, call), Err(RpcError::Closed(BindingError::Closed)));
}

/// Handlers that wait.
#[derive(Default)]
struct Slow {
    order: RefCell<Vec<u32>>,
    /// Those who wait for their turn.
    gate: RefCell<Vec<Waker>>,
    open: Cell<bool>,
    dropped: Rc<Cell<u32>>,
}

impl Slow {
    async fn gate(&self) {
        std::future::poll_fn(|cx| {
            if self.open.get() {
                return Poll::Ready(());
            }
            self.gate.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn open(&self) {
        self.open.set(true);
        self.gate.borrow_mut().drain(..).for_each(Waker::wake);
    }
}

struct OnDrop(Rc<Cell<u32>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

struct Shared(Rc<Slow>);

impl work::AsyncRx for Shared {
    async fn note(&self, _: &work::Binding, n: u32) {
        self.0.order.borrow_mut().push(n);
        assert_ne!(n, 13, "panics as it is told");
    }

    async fn bulk(&self, _: &work::Binding, _: Vec<u8>) {}

    async fn give(&self, _: &work::Binding, n: u32, _: Cap) {
        self.0.order.borrow_mut().push(n);
    }

    async fn add(&self, _: &work::Binding, a: u32, b: u32) -> Result<u32, CallbackError> {
        assert_ne!(a, 13, "panics as it is told");
        if a == 14 {
            return Err(Refusal::new(14, "not fourteen").into());
        }
        let sum = a.checked_add(b).ok_or("the sum is too large")?;
        Ok(sum)
    }

    async fn hold(&self, _: &work::Binding, n: u32) -> Result<u32, CallbackError> {
        let _guard = OnDrop(Rc::clone(&self.0.dropped));
        self.0.order.borrow_mut().push(n);
        self.0.gate().await;
        Ok(n)
    }

    async fn words(
        &self,
        _: &work::Binding,
        names: Vec<String>,
    ) -> Result<(Vec<String>, Vec<u8>), CallbackError> {
        let all = names.concat().into_bytes();
        Ok((names, all))
    }
}

fn slow(driver: &str) -> (Ends, Rc<Slow>) {
    let (ws, slow) = (Waitset::new(), Rc::<Slow>::default());
    let theirs = Rc::clone(&slow);
    let export = work::export(&ws, move |_| Ok(flounder::Async(Shared(Rc::clone(&theirs)))));
    let exported = run(&ws, export).expect("it can be exported");
    let client = bind(exported.iref(), &ws, driver);
    (Ends { ws, client, seen: Rc::default() }, slow)
}

#[test]
fn async_handlers_run_concurrently_and_reply_with_their_result() {
    for driver in DRIVERS {
        let (ends, slow) = slow(driver);
        let rpc = ends.rpc();
        let held: Vec<_> = (1..=3).map(|n| ends.ws.spawn_local(rpc.hold_async(n))).collect();
        ends.until(|| slow.order.borrow().len() == 3);
        assert_eq!(ends.run(ends.client.send_note(4)), Ok(()));
        ends.until(|| slow.order.borrow().len() == 4);
        assert_eq!(*slow.order.borrow(), [1, 2, 3, 4], "{driver}");
        assert_eq!(ends.run(rpc.add_async(40, 2)), Ok(42), "others are served meanwhile");
        assert_eq!(rpc.add(40, 2), Ok(42));
        let words = ends.run(rpc.words_async(&["one", "two"])).expect("a reply");
        assert_eq!(words, (vec!["one".into(), "two".into()], b"onetwo".to_vec()));
        slow.open();
        for (n, call) in (1..).zip(held) {
            assert_eq!(ends.run(call), Ok(n));
        }
    }
}

#[test]
fn failed_handler_reports_how_and_the_binding_goes_on() {
    for driver in DRIVERS {
        let (ends, _) = slow(driver);
        let rpc = ends.rpc();
        assert_eq!(ends.run(rpc.add_async(u32::MAX, 1)), Err(RpcError::HandlerFailed), "{driver}");
        assert_eq!(ends.run(rpc.add_async(13, 1)), Err(RpcError::HandlerPanicked), "{driver}");
        let refused = RpcError::Refused(Refusal::new(14, "not fourteen"));
        assert_eq!(ends.run(rpc.add_async(14, 1)), Err(refused), "{driver}");
        assert_eq!(ends.run(rpc.add_async(1, 1)), Ok(2));
        ends.run(ends.client.send_note(13)).expect("the binding lives");
        let after = ends.run(rpc.hold_async(1));
        assert_eq!(after, Err(RpcError::Closed(BindingError::Closed)), "that of a message ends it");
    }
}

#[test]
fn call_without_a_reply_reports_the_reason() {
    let drop_in_panic = |reply: work::HoldReply| {
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _reply = reply;
            panic!("as it is told")
        }));
        assert!(panic.is_err());
    };
    let long = "ä".repeat(200);
    let cut = Refusal::new(u64::MAX, &long[..Refusal::MAX_REASON]);
    for driver in ["loopback", "lmp", "ump", "scc", "beehive"] {
        let ends = Ends::new(driver);
        let rpc = ends.rpc();
        for blocking in [false, true] {
            let length = TooLong { len: 9, max: 8 };
            let too_long = RpcError::ReplyTooLong { arg: "names", length };
            let nine = &["nine"];
            let answer = if blocking { rpc.words(nine) } else { ends.run(rpc.words_async(nine)) };
            assert_eq!(answer, Err(too_long), "{driver}");
        }
        let held = |end: &dyn Fn(work::HoldReply)| {
            let call = ends.ws.spawn_local(rpc.hold_async(1));
            ends.until(|| !ends.seen.held.borrow().is_empty());
            end(ends.seen.held.borrow_mut().pop().expect("one").1);
            ends.run(call)
        };
        let refuse = |reply: work::HoldReply| reply.refuse(Refusal::new(u64::MAX, long.clone()));
        assert_eq!(held(&refuse), Err(RpcError::Refused(cut.clone())), "{driver}");
        assert_eq!(held(&drop), Err(RpcError::NoReply), "{driver}");
        assert_eq!(held(&drop_in_panic), Err(RpcError::HandlerPanicked), "{driver}");
        assert_eq!(held(&|reply| reply.send(7)), Ok(7), "{driver}");
    }
}

#[test]
fn a_handler_is_dropped_when_its_caller_gives_up() {
    for driver in DRIVERS {
        let (ends, slow) = slow(driver);
        let rpc = ends.rpc();
        {
            let mut call = pin!(rpc.hold_async(1));
            start(call.as_mut());
            ends.until(|| slow.order.borrow().len() == 1);
            assert_eq!(slow.dropped.get(), 0);
        }
        ends.until(|| slow.dropped.get() == 1);
        let soon = Duration::from_millis(10);
        assert_eq!(ends.run(rpc.hold_async(2).timeout(soon)), Err(RpcError::Deadline));
        ends.until(|| slow.dropped.get() == 2);
        let last = ends.ws.spawn_local(rpc.hold_async(3));
        ends.until(|| slow.order.borrow().len() == 3);
        ends.client.teardown();
        ends.until(|| slow.dropped.get() == 3);
        assert_eq!(ends.run(last), Err(RpcError::Closed(BindingError::Closed)), "{driver}");
    }
}

#[test]
fn calls_between_threads_are_cancelled_too() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let service = thread::spawn(move || {
        let (ws, seen) = (Waitset::new(), Rc::<Seen>::default());
        let theirs = Rc::clone(&seen);
        let export = work::export(&ws, move |_| Ok(Service(Rc::clone(&theirs))));
        sender.send(export.wait().expect("it can be exported").iref()).expect("someone waits");
        let end = Some(Instant::now() + PATIENCE);
        let held = ws.dispatch_until(end, || !seen.held.borrow().is_empty());
        assert!(held.expect("no callback fails"));
        let (_, mut reply) = seen.held.borrow_mut().pop().expect("one");
        run(&ws, reply.cancelled());
        assert!(reply.is_cancelled());
        drop(reply);
        let done = ws.dispatch_until(end, || !seen.errors.borrow().is_empty());
        assert!(done.expect("no callback fails"));
        assert_eq!(*seen.errors.borrow(), [BindingError::Closed]);
    });
    let ws = Waitset::new();
    let client = bind(receiver.recv().expect("the service lives"), &ws, "ump");
    let rpc = work::RpcClient::new(&client);
    let soon = Duration::from_millis(50);
    assert_eq!(rpc.timeout(soon).hold(1), Err(RpcError::Deadline));
    assert_eq!(rpc.add(1, 2), Ok(3), "the binding is as good as before");
    client.teardown();
    service.join().expect("the service ends");
}
