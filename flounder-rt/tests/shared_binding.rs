//! A binding shared between threads, step by step: the test's thread is the waitset's and decides when it looks.

mod support;

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use flounder_rt::binding::{
    CALL_WINDOW, Call, Closing, RawBinding, Received, Response, SHARED_QUEUE, Sending, Shared,
    SharedEndpoint, Timeout,
};
use flounder_rt::wire::{Bulks, DecodeError};
use flounder_rt::{BindingError, ControlError, Reply, RpcError, SharedWaitset, TxError, Waitset};
use support::{DOUBLE_CALL, Doubled, Handler, INTERFACE, Log, NOTE, Pipe, Seen};

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}

const _: () = {
    is_send::<SharedEndpoint>();
    is_sync::<SharedEndpoint>();
    is_send::<Sending<'static, Shared>>();
    is_send::<Call<Doubled, Shared>>();
    is_send::<Closing<Shared>>();
};

struct Pair {
    ws: Waitset,
    client: RawBinding,
    service: RawBinding,
    shared: SharedEndpoint,
    seen: Log,
    client_seen: Log,
    to_service: Rc<Pipe>,
}

fn pair(room: usize) -> Pair {
    let ws = Waitset::new();
    let (near, far, to_service, _) = support::pair(room);
    let (seen, client_seen) = (Log::default(), Log::default());
    let attach = |channel, handler| {
        RawBinding::attach(Box::new(channel), &ws, INTERFACE, handler).expect("no descriptor")
    };
    let client = attach(near, Handler::logging(&client_seen));
    let service = attach(far, Handler::logging(&seen));
    let shared = client.share();
    Pair { ws, client, service, shared, seen, client_seen, to_service }
}

impl Pair {
    fn note(&self, value: u64) -> Sending<'_, Shared> {
        self.shared.send(NOTE, &[value], &[], Vec::new())
    }

    fn try_note(&self, value: u64) -> Result<(), TxError> {
        self.shared.tx(NOTE, &[value], &[], None).map(drop)
    }

    fn double(&self, value: u64) -> Call<Doubled, Shared> {
        double(&self.shared, value)
    }

    /// Notes until there is no room in the queue.
    fn fill(&self) -> u64 {
        let mut value = 0;
        while self.try_note(value).is_ok() {
            value += 1;
        }
        value
    }

    /// Dispatches until nothing is left to do.
    fn settle(&self) {
        settle(&self.ws);
    }

    fn notes(&self) -> Vec<u64> {
        let note = |seen: &Seen| if let Seen::Note(value) = seen { Some(*value) } else { None };
        self.seen.borrow().iter().filter_map(note).collect()
    }

    fn errors(&self) -> Vec<BindingError> {
        let error = |seen: &Seen| {
            if let Seen::Error(error) = seen { Some(error.clone()) } else { None }
        };
        self.client_seen.borrow().iter().filter_map(error).collect()
    }
}

fn settle(ws: &Waitset) {
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut quiet = 0;
    while quiet < 3 {
        assert!(Instant::now() < deadline, "the waitset does not come to rest");
        quiet = if ws.try_dispatch().expect("no callback fails") { 0 } else { quiet + 1 };
    }
}

fn double(shared: &SharedEndpoint, value: u64) -> Call<Doubled, Shared> {
    // The number of the call is not for the caller to choose.
    shared.call(DOUBLE_CALL, &[0, value], &[], Vec::new(), Timeout::Default)
}

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicU32);

impl Count {
    fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, count: &Arc<Count>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
}

#[test]
fn queued_messages_go_out_in_order_once_the_thread_dispatches() {
    let pair = pair(100);
    for value in 0..10 {
        pair.try_note(value).expect("there is room");
    }
    assert_eq!(pair.notes(), []);
    pair.settle();
    assert!(pair.notes().into_iter().eq(0..10));
}

#[test]
fn a_full_queue_is_busy_and_keeps_the_message() {
    let pair = pair(1000);
    assert_eq!(pair.fill(), SHARED_QUEUE as u64);
    let mut caps = vec![support::null()];
    let refused = pair.shared.tx(NOTE, &[98], &[], Some(&mut caps)).map(drop);
    assert_eq!((refused, caps.len()), (Err(TxError::Busy), 1));
    let count = Arc::new(Count::default());
    let mut late = pin!(pair.note(99));
    assert_eq!(poll(late.as_mut(), &count), Poll::Pending);
    assert_eq!(poll(late.as_mut(), &count), Poll::Pending);
    pair.settle();
    assert_eq!(poll(late.as_mut(), &count), Poll::Ready(Ok(())));
    pair.settle();
    let mut want: Vec<_> = (0..SHARED_QUEUE as u64).collect();
    want.push(99);
    assert_eq!(pair.notes(), want);
}

#[test]
fn busy_binding_takes_at_most_two_queues() {
    let pair = pair(0);
    let mut taken = 0;
    for _ in 0..10 {
        taken += pair.fill();
        pair.settle();
    }
    // Beside them, the binding has one in its slot.
    let most = 2 * SHARED_QUEUE as u64 + 1;
    assert!(taken <= most, "{taken} messages");
    pair.to_service.room.set(1000);
    pair.settle();
    assert_eq!(pair.notes().len() as u64, taken);
}

#[test]
fn senders_that_wait_for_room_are_served_in_order() {
    let pair = pair(1000);
    pair.fill();
    let count = Arc::new(Count::default());
    let mut waiting: Vec<_> = (100..103).map(|value| Box::pin(pair.note(value))).collect();
    for send in &mut waiting {
        assert!(poll(send.as_mut(), &count).is_pending());
    }
    assert_eq!(count.get(), 0);
    pair.settle();
    assert_eq!(count.get(), 3, "all three have room now");
    // All but the three places that are kept.
    let free = pair.fill();
    assert_eq!(free, SHARED_QUEUE as u64 - 3);
    for send in &mut waiting {
        assert_eq!(poll(send.as_mut(), &count), Poll::Ready(Ok(())));
    }
    pair.settle();
    assert!(pair.notes().ends_with(&[100, 101, 102]));
}

#[test]
fn dropped_waiting_send_sends_nothing_and_frees_its_place() {
    let pair = pair(1000);
    pair.fill();
    let count = Arc::new(Count::default());
    // As many as there are places, and one more.
    let mut waiting: Vec<_> =
        (0..=SHARED_QUEUE as u64).map(|value| Box::pin(pair.note(1000 + value))).collect();
    for send in &mut waiting {
        assert!(poll(send.as_mut(), &count).is_pending());
    }
    drop(waiting.remove(5));
    pair.settle();
    assert_eq!(count.get(), SHARED_QUEUE as u32);
    let mut last = waiting.pop().expect("there are many");
    assert_eq!(poll(last.as_mut(), &count), Poll::Ready(Ok(())));
    // The places that were kept for these go to the newcomers.
    assert_eq!(pair.try_note(1), Err(TxError::Busy));
    drop(waiting);
    pair.try_note(2).expect("there is room");
    pair.settle();
    assert!(pair.notes().ends_with(&[1000 + SHARED_QUEUE as u64, 2]));
    assert!(!pair.notes().contains(&1001));
}

#[test]
fn a_call_from_another_thread_gets_its_reply() {
    let pair = pair(100);
    let shared = pair.shared.clone();
    let thread = thread::spawn(move || (100..200).map(|n| double(&shared, n).wait()).collect());
    let deadline = Instant::now() + Duration::from_secs(10);
    while !thread.is_finished() {
        assert!(Instant::now() < deadline, "no answer");
        pair.ws.try_dispatch().expect("no callback fails");
    }
    let answers: Result<Vec<_>, _> = thread.join().expect("it does not panic");
    assert!(answers.expect("all are answered").into_iter().eq((100..200).map(|n| 2 * n)));
}

#[test]
fn calls_of_this_thread_and_of_others_are_distinguished() {
    let pair = pair(100);
    let count = Arc::new(Count::default());
    let mut far = pin!(pair.double(20));
    assert!(poll(far.as_mut(), &count).is_pending());
    let mut near = pin!(support::double_async(&pair.client, 10));
    assert!(poll(near.as_mut(), &count).is_pending());
    pair.settle();
    assert_eq!(poll(near.as_mut(), &count), Poll::Ready(Ok(20)));
    assert_eq!(poll(far.as_mut(), &count), Poll::Ready(Ok(40)));
}

#[test]
fn a_call_that_the_service_drops_fails() {
    let pair = pair(100);
    let count = Arc::new(Count::default());
    let mut call = pin!(pair.double(13));
    assert!(poll(call.as_mut(), &count).is_pending());
    pair.settle();
    assert_eq!(count.get(), 1);
    assert_eq!(poll(call.as_mut(), &count), Poll::Ready(Err(RpcError::NoReply)));
}

#[test]
fn a_call_that_is_dropped_in_the_queue_is_not_sent() {
    let pair = pair(100);
    let count = Arc::new(Count::default());
    let mut call = Box::pin(pair.double(1));
    assert!(poll(call.as_mut(), &count).is_pending());
    drop(call);
    pair.try_note(5).expect("there is room");
    pair.settle();
    assert_eq!(*pair.seen.borrow(), [Seen::Note(5)]);
}

#[test]
fn call_dropped_while_the_binding_is_busy_is_not_sent() {
    let pair = pair(0);
    let count = Arc::new(Count::default());
    pair.try_note(1).expect("there is room");
    let mut call = Box::pin(pair.double(1));
    assert!(poll(call.as_mut(), &count).is_pending());
    pair.settle();
    drop(call);
    pair.to_service.room.set(100);
    pair.settle();
    assert_eq!(*pair.seen.borrow(), [Seen::Note(1)]);
}

#[test]
fn the_reply_to_a_call_that_was_dropped_is_discarded() {
    let pair = pair(100);
    let count = Arc::new(Count::default());
    let mut call = Box::pin(pair.double(1));
    assert!(poll(call.as_mut(), &count).is_pending());
    while pair.seen.borrow().is_empty() {
        pair.ws.dispatch().expect("no callback fails");
    }
    drop(call);
    let mut other = pin!(pair.double(2));
    assert!(poll(other.as_mut(), &count).is_pending());
    pair.settle();
    assert_eq!(poll(other.as_mut(), &count), Poll::Ready(Ok(4)));
    assert_eq!(count.get(), 1);
}

#[test]
fn calls_that_are_given_up_make_room_for_others() {
    let ws = Waitset::new();
    let (near, far, ..) = support::pair(usize::MAX >> 1);
    let client =
        RawBinding::attach(Box::new(near), &ws, INTERFACE, Handler::logging(&Log::default()));
    let client = client.expect("no descriptor");
    // Nobody answers: the service is not attached. All that may be under way is, and the queues are full.
    let shared = client.share();
    let count = Arc::new(Count::default());
    let mut calls = Vec::new();
    loop {
        settle(&ws);
        let before = count.get();
        let mut call = Box::pin(double(&shared, 1));
        assert!(poll(call.as_mut(), &count).is_pending());
        calls.push(call);
        settle(&ws);
        assert_eq!(count.get(), before);
        if calls.len() == CALL_WINDOW + 2 * SHARED_QUEUE + 1 {
            break;
        }
    }
    let mut send = pin!(shared.send(NOTE, &[1], &[], Vec::new()));
    assert!(poll(send.as_mut(), &count).is_pending(), "nothing is unbounded");
    calls.clear();
    settle(&ws);
    assert_eq!(poll(send.as_mut(), &count), Poll::Ready(Ok(())));
    drop(far);
}

#[test]
fn the_end_of_the_binding_ends_whatever_waits() {
    for how in ["torn down", "waitset dropped", "closed by the peer"] {
        let (ws, elsewhere) = (Waitset::new(), Waitset::new());
        let (near, far, ..) = support::pair(1);
        let attach = |channel, ws: &Waitset| {
            let handler = Handler::logging(&Log::default());
            RawBinding::attach(Box::new(channel), ws, INTERFACE, handler).expect("no descriptor")
        };
        let (client, service) = (attach(near, &ws), attach(far, &elsewhere));
        let shared = client.share();
        let count = Arc::new(Count::default());
        // The first is sent, the next is in the slot, others are held, in the queue, or wait for room in it.
        let calls = 2 + 2 * SHARED_QUEUE + 1;
        let mut calls: Vec<_> = (0..calls).map(|_| Box::pin(double(&shared, 1))).collect();
        for call in &mut calls {
            assert!(poll(call.as_mut(), &count).is_pending());
            settle(&ws);
        }
        let mut send = pin!(shared.send(NOTE, &[1], &[], Vec::new()));
        assert!(poll(send.as_mut(), &count).is_pending());
        match how {
            "torn down" => client.teardown(),
            "waitset dropped" => drop(ws),
            _ => {
                service.teardown();
                settle(&ws);
            }
        }
        assert_eq!(count.get() as usize, calls.len() + 1, "{how}: each is woken");
        let (closed, sent) = (RpcError::NotSent(BindingError::Closed), 2);
        for (at, call) in calls.iter_mut().enumerate() {
            let error =
                if at < sent { RpcError::Closed(BindingError::Closed) } else { closed.clone() };
            assert_eq!(poll(call.as_mut(), &count), Poll::Ready(Err(error)), "{how}, call {at}");
        }
        assert_eq!(poll(send.as_mut(), &count), Poll::Ready(Err(TxError::Closed)), "{how}");
        assert_eq!(shared.ended(), Some(BindingError::Closed), "{how}");
        let other = shared.clone();
        let late = thread::spawn(move || double(&other, 1).wait());
        assert_eq!(late.join().expect("it does not panic"), Err(closed), "{how}");
    }
}

#[test]
fn binding_ends_with_its_thread_if_the_waitset_is_leaked() {
    let (sender, shared) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        let pair = pair(100);
        sender.send(pair.shared.clone()).expect("the test waits");
        std::mem::forget(pair);
    });
    let shared = shared.recv().expect("the thread sends it");
    let result = double(&shared, 1).timeout(Duration::from_secs(10)).wait();
    thread.join().expect("it does not panic");
    assert!(matches!(result, Err(RpcError::ThreadEnded { .. })), "{result:?}");
    let late = double(&shared, 1).timeout(Duration::from_secs(10)).wait();
    assert!(matches!(late, Err(RpcError::ThreadEnded { .. })), "{late:?}");
}

#[test]
fn in_the_thread_of_the_waitset_nothing_blocks() {
    let pair = pair(100);
    assert_eq!(pair.double(1).wait(), Err(RpcError::WouldDeadlock));
    pair.fill();
    assert_eq!(pair.note(1).wait(), Err(TxError::Busy));
    assert_eq!(pair.ws.block_on(pair.double(7)).expect("no callback fails"), Ok(14));
}

#[test]
fn a_deadline_ends_a_call_from_another_thread() {
    let pair = pair(100);
    let shared = pair.shared.clone();
    let late = thread::spawn(move || double(&shared, 1).timeout(Duration::from_millis(1)).wait());
    assert_eq!(late.join().expect("it does not panic"), Err(RpcError::Deadline));
    pair.settle();
    assert_eq!(*pair.seen.borrow(), [], "given up before it was sent");
}

/// A binding whose service never looks, and a handle to it.
fn unanswered() -> (Waitset, RawBinding, SharedEndpoint, support::FakeChannel) {
    let ws = Waitset::new();
    let (near, far, ..) = support::pair(usize::MAX >> 1);
    let handler = Handler::logging(&Log::default());
    let client =
        RawBinding::attach(Box::new(near), &ws, INTERFACE, handler).expect("no descriptor");
    let shared = client.share();
    (ws, client, shared, far)
}

/// Dispatches until a waker is woken.
fn until_woken(ws: &Waitset, count: &Count) {
    let end = Instant::now() + Duration::from_secs(10);
    let woken = ws.dispatch_until(Some(end), || count.get() > 0).expect("no callback fails");
    assert!(woken, "nobody watches the clock");
}

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn deadline_ends_an_awaited_call_in_every_state() {
    let (ws, _client, shared, _far) = unanswered();
    let count = Arc::new(Count::default());
    let mut calls = Vec::new();
    // Sent, held behind the window, in the queue, and waiting for room in it.
    for before in [0, CALL_WINDOW, CALL_WINDOW + SHARED_QUEUE, CALL_WINDOW + 3 * SHARED_QUEUE] {
        while calls.len() < before {
            // Those that wait, with a deadline that comes later.
            let mut call = Box::pin(double(&shared, 1).timeout(LONG));
            assert!(poll(call.as_mut(), &count).is_pending());
            calls.push(call);
            settle(&ws);
        }
        let mut late = Box::pin(double(&shared, 1).timeout(SHORT));
        let own = Arc::new(Count::default());
        assert!(poll(late.as_mut(), &own).is_pending());
        until_woken(&ws, &own);
        assert_eq!(poll(late.as_mut(), &own), Poll::Ready(Err(RpcError::Deadline)), "{before}");
        assert_eq!(Arc::strong_count(&own), 1, "nothing is left of it");
    }
    drop(calls);
    settle(&ws);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn a_call_whose_time_was_over_before_is_not_sent() {
    let pair = pair(100);
    let count = Arc::new(Count::default());
    let now = Instant::now();
    let calls = [pair.double(1).deadline(now), pair.double(2).timeout(Duration::ZERO)];
    for mut call in calls.map(Box::pin) {
        assert_eq!(poll(call.as_mut(), &count), Poll::Ready(Err(RpcError::Deadline)));
    }
    let over = pair.double(3).deadline(now);
    let result = thread::spawn(move || over.wait()).join().expect("it does not panic");
    assert_eq!(result, Err(RpcError::Deadline));
    pair.settle();
    assert_eq!(*pair.seen.borrow(), []);
}

#[test]
fn a_call_that_is_answered_in_time_keeps_no_alarm() {
    let pair = pair(100);
    for timeout in [LONG, Duration::MAX] {
        let count = Arc::new(Count::default());
        let mut call = Box::pin(pair.double(4).timeout(timeout));
        assert!(poll(call.as_mut(), &count).is_pending());
        pair.settle();
        assert_eq!(poll(call.as_mut(), &count), Poll::Ready(Ok(8)));
        assert_eq!(Arc::strong_count(&count), 1, "{timeout:?}");
    }
}

#[test]
fn clock_moves_to_another_waitset_with_the_binding() {
    let (ws, client, shared, _far) = unanswered();
    let count = Arc::new(Count::default());
    let mut late = pin!(double(&shared, 1).timeout(Duration::from_millis(50)));
    assert!(poll(late.as_mut(), &count).is_pending());
    // The first waitset knows of it, and runs no more.
    settle(&ws);
    let elsewhere = Waitset::new();
    client.change_waitset(&elsewhere).expect("it can be watched");
    until_woken(&elsewhere, &count);
    assert_eq!(poll(late.as_mut(), &count), Poll::Ready(Err(RpcError::Deadline)));
}

#[test]
fn last_limit_of_a_blocking_call_counts() {
    let (ws, _client, shared, _far) = unanswered();
    let calls = [
        thread::spawn({
            let call = double(&shared, 1).timeout(SHORT);
            move || call.wait()
        }),
        thread::spawn({
            let call = double(&shared, 1).timeout(LONG).timeout(SHORT);
            move || call.wait()
        }),
        thread::spawn({
            let call = double(&shared, 1).timeout(LONG).deadline(Instant::now() + SHORT);
            move || call.wait()
        }),
    ];
    let end = Instant::now() + Duration::from_secs(10);
    for call in calls {
        while !call.is_finished() {
            assert!(Instant::now() < end, "it does not end");
            ws.try_dispatch().expect("no callback fails");
        }
        assert_eq!(call.join().expect("it does not panic"), Err(RpcError::Deadline));
    }
}

#[test]
fn last_handle_ends_the_binding_after_sent_messages() {
    let Pair { ws, client, shared, seen, to_service, service, .. } = pair(0);
    let other = shared.clone();
    drop(client);
    settle(&ws);
    assert_eq!(other.ended(), None, "the handles keep it");
    for value in 0..20 {
        shared.tx(NOTE, &[value], &[], None).map(drop).expect("there is room");
    }
    drop((shared, other));
    settle(&ws);
    assert_eq!(*seen.borrow(), []);
    to_service.room.set(5);
    settle(&ws);
    let want = (0..20).map(Seen::Note).chain([Seen::Error(BindingError::Closed)]);
    assert_eq!(*seen.borrow(), want.collect::<Vec<_>>());
    drop(service);
}

#[test]
fn binding_with_a_local_handle_lives_on_and_can_be_shared_again() {
    let Pair { ws, client, shared, seen, service, .. } = pair(10);
    drop(shared);
    settle(&ws);
    client.send(NOTE, &[1], &[]).map(drop).expect("it has not ended");
    let again = client.share();
    again.tx(NOTE, &[2], &[], None).map(drop).expect("there is room");
    settle(&ws);
    assert_eq!(*seen.borrow(), [Seen::Note(1), Seen::Note(2)]);
    drop(service);
}

#[test]
fn ended_binding_can_be_shared_and_reports_why() {
    let pair = pair(10);
    let Pair { client, service, ws, .. } = &pair;
    service.teardown();
    settle(ws);
    let late = client.share();
    assert_eq!(late.ended(), Some(BindingError::Closed));
    assert_eq!(late.tx(NOTE, &[2], &[], None).map(drop), Err(TxError::Closed));
}

#[test]
fn it_follows_its_binding_to_another_waitset() {
    let pair = pair(100);
    let elsewhere = Waitset::new();
    pair.try_note(1).expect("there is room");
    pair.client.change_waitset(&elsewhere).expect("it can be watched");
    settle(&elsewhere);
    pair.settle();
    assert_eq!(pair.notes(), [1]);
    let count = Arc::new(Count::default());
    let mut call = pin!(pair.double(3));
    assert!(poll(call.as_mut(), &count).is_pending());
    settle(&elsewhere);
    pair.settle();
    settle(&elsewhere);
    assert_eq!(poll(call.as_mut(), &count), Poll::Ready(Ok(6)));
}

#[test]
fn close_completes_once_the_thread_has_sent_everything() {
    let pair = pair(0);
    let count = Arc::new(Count::default());
    for value in 0..3 {
        pair.try_note(value).expect("there is room");
    }
    let mut closing = pin!(pair.shared.close());
    assert!(poll(closing.as_mut(), &count).is_pending());
    pair.settle();
    assert!(poll(closing.as_mut(), &count).is_pending(), "the channel has no room");
    let late = pair.shared.close().timeout(Duration::ZERO).wait();
    assert_eq!(late, Err(TxError::Busy), "this thread would have to send the rest");
    pair.to_service.room.set(10);
    pair.settle();
    assert!(count.get() > 0, "the end wakes");
    assert_eq!(poll(closing.as_mut(), &count), Poll::Ready(Ok(())));
    assert_eq!(pair.notes(), [0, 1, 2]);
    // Of one that is closed, also through a handle that is made later.
    assert_eq!(pair.shared.close().wait(), Ok(()));
    assert_eq!(pair.client.share().close().wait(), Ok(()));
}

#[test]
fn close_reports_what_is_lost() {
    let pair = pair(0);
    pair.try_note(1).expect("there is room");
    let count = Arc::new(Count::default());
    let mut closing = pin!(pair.shared.close());
    assert!(poll(closing.as_mut(), &count).is_pending());
    pair.service.teardown();
    pair.settle();
    assert_eq!(poll(closing.as_mut(), &count), Poll::Ready(Err(TxError::Closed)));
}

#[test]
fn continuation_of_a_shared_end_follows_its_message() {
    let pair = pair(10);
    let ran = Arc::new(AtomicU32::new(0));
    let then = |value| {
        let ran = Arc::clone(&ran);
        let sent = pair.shared.tx(NOTE, &[value], &[], None).expect("there is room");
        sent.then(move || _ = ran.fetch_add(1, Ordering::Relaxed));
    };
    (0..3).for_each(then);
    // One that is not in the queue yet.
    let theirs = Arc::clone(&ran);
    pair.note(3).sent().then(move || _ = theirs.fetch_add(1, Ordering::Relaxed));
    assert_eq!(ran.load(Ordering::Relaxed), 0, "they run from the waitset");
    pair.settle();
    assert_eq!((ran.load(Ordering::Relaxed), pair.notes()), (4, vec![0, 1, 2, 3]));
    let pair = self::pair(0);
    let theirs = Arc::clone(&ran);
    let sent = pair.shared.tx(NOTE, &[1], &[], None).expect("there is room");
    sent.then(move || _ = theirs.fetch_add(1, Ordering::Relaxed));
    pair.settle();
    pair.service.teardown();
    pair.settle();
    assert_eq!(ran.load(Ordering::Relaxed), 4, "the message is lost");
    assert_eq!(Arc::strong_count(&ran), 1, "the continuation is dropped");
}

#[test]
fn send_callback_runs_once_the_queue_has_room() {
    let (pair, pool) = (pair(1000), SharedWaitset::new());
    let ran = Arc::new(AtomicU32::new(0));
    let register = || {
        let ran = Arc::clone(&ran);
        pair.shared.register_send(&pool, move |_| {
            ran.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    };
    assert!(pair.shared.can_send());
    assert_eq!(register(), Ok(()));
    assert_eq!(pool.try_dispatch().ok(), Some(true), "there is room at once");
    pair.fill();
    assert!(!pair.shared.can_send());
    assert_eq!((register(), register()), (Ok(()), Err(ControlError::AlreadyRegistered)));
    assert_eq!(pool.try_dispatch().ok(), Some(false));
    pair.settle();
    assert_eq!(pool.try_dispatch().ok(), Some(true));
    assert_eq!(ran.load(Ordering::Relaxed), 2);
    pair.fill();
    assert_eq!(register(), Ok(()));
    pair.client.teardown();
    assert_eq!(pool.try_dispatch().ok(), Some(true), "the end of the binding is reported");
    assert_eq!(register(), Err(ControlError::Closed));
    assert!(!pair.shared.can_send());
}

#[test]
fn binding_of_one_thread_stays_off_shared_waitsets() {
    let pair = pair(1);
    let moved = pair.shared.change_waitset(&SharedWaitset::new());
    assert_eq!(moved, Err(ControlError::OfOneThread));
    pair.try_note(1).expect("there is room");
    pair.settle();
    assert_eq!(pair.notes(), [1]);
}

/// The reply of a client that reads another interface.
struct Garbled;

impl Reply for Garbled {
    type Values = ();
    type Response = Self;
}

impl Response for Garbled {
    const NUMBER: u16 = support::DOUBLE_RESPONSE;
    const ID: usize = 0;
    const BULKS: Bulks = Bulks::NONE;
    type Values = ();

    fn returned(message: Received<'_>) -> Result<(), DecodeError> {
        Err(DecodeError::Short { need: 9, have: message.words.len() })
    }
}

#[test]
fn unreadable_reply_ends_the_call_and_the_binding() {
    let pair = pair(100);
    let count = Arc::new(Count::default());
    let short = DecodeError::Short { need: 9, have: 2 };
    let call: Call<Garbled, Shared> =
        pair.shared.call(DOUBLE_CALL, &[0, 1], &[], Vec::new(), Timeout::Default);
    let mut call = pin!(call);
    assert!(poll(call.as_mut(), &count).is_pending());
    pair.settle();
    assert_eq!(poll(call.as_mut(), &count), Poll::Ready(Err(RpcError::Decode(short.clone()))));
    pair.settle();
    let decode = BindingError::Decode { message: "double_response", error: short };
    assert_eq!(pair.errors(), std::slice::from_ref(&decode));
    assert_eq!(pair.shared.ended(), Some(decode));
}

#[test]
fn refused_outgoing_caps_are_reported_to_handler_or_caller() {
    let pair = pair(100);
    pair.to_service.refuses_caps.set(true);
    let count = Arc::new(Count::default());
    let caps = vec![support::null()];
    let call: Call<Doubled, Shared> =
        pair.shared.call(DOUBLE_CALL, &[0, 1], &[], caps, Timeout::Default);
    let mut call = pin!(call);
    assert!(poll(call.as_mut(), &count).is_pending());
    pair.shared
        .tx(NOTE, &[1], &[], Some(&mut vec![support::null()]))
        .map(drop)
        .expect("there is room");
    pair.settle();
    assert!(matches!(poll(call.as_mut(), &count), Poll::Ready(Err(RpcError::CapsRefused(_)))));
    assert!(pair.errors().iter().all(|error| matches!(error, BindingError::CapsRefused(_))));
    assert!(!pair.errors().is_empty());
    assert_eq!(pair.shared.ended(), None);
}

#[test]
fn values_dropped_with_a_message_may_use_the_binding() {
    /// Drops a future when it is woken, as an executor that is shutting down does.
    struct Executor(parking_lot::Mutex<Option<Pin<Box<Sending<'static, Shared>>>>>);
    impl Wake for Executor {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().take());
        }
    }
    let pair: &'static Pair = Box::leak(Box::new(pair(1000)));
    pair.fill();
    let executor = Arc::new(Executor(parking_lot::Mutex::new(None)));
    let mut send = Box::pin(pair.note(1));
    let waker = Waker::from(Arc::clone(&executor));
    assert!(send.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    *executor.0.lock() = Some(send);
    pair.settle();
    assert!(executor.0.lock().is_none());
    assert_eq!(pair.fill(), SHARED_QUEUE as u64, "its place is free");
}

/// Polls on a thread that has no waitset, and so no clock of its own.
fn wait_elsewhere<F: Future + Send + 'static>(future: F) -> F::Output
where
    F::Output: Send,
{
    let waker = Arc::new(Unpark(thread::current()));
    let (mut future, waker) = (Box::pin(future), Waker::from(waker));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        assert!(Instant::now() < deadline, "nobody wakes it");
        thread::park_timeout(Duration::from_secs(10));
    }
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What is logged in this process.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

impl io::Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn deadline_ends_a_call_without_dispatch() {
    let warnings = Warnings::default();
    let log = warnings.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).init();
    let (sender, shared) = std::sync::mpsc::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let owner = thread::Builder::new().name("idle owner".into());
    let owner = owner.spawn(move || {
        let pair = pair(100);
        sender.send(pair.shared.clone()).expect("the test waits");
        // It does not dispatch.
        let _ = stopped.recv();
    });
    let shared = shared.recv().expect("the thread sends it");
    let soon = double(&shared, 1).timeout(Duration::from_millis(20));
    assert_eq!(wait_elsewhere(soon), Err(RpcError::Deadline));
    let late = double(&shared, 1).timeout(Duration::from_secs(3));
    let thread = "\"idle owner\"".to_owned();
    assert_eq!(wait_elsewhere(late), Err(RpcError::NotServed { thread: thread.clone() }));
    let blocked = double(&shared, 1).timeout(Duration::from_millis(1)).wait();
    assert_eq!(blocked, Err(RpcError::NotServed { thread }));
    let warnings = warnings.0.lock().expect("nobody panics");
    let warnings = String::from_utf8_lossy(&warnings);
    let mut lines = warnings.lines().filter(|line| line.contains("has not looked at its queue"));
    let warning = lines.next().expect("a queue that nobody looks at is logged");
    assert!(warning.contains("idle owner") && warning.contains(INTERFACE.name), "{warning}");
    drop(stop);
    owner.expect("it starts").join().expect("it does not panic");
}
