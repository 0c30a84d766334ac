//! Cost of calls for the other end: bounded memory, and no end waits for ever.

mod support;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use flounder_rt::account::{Account, Limits, ProcessId, Resource, Scope, set_limits};
use flounder_rt::binding::{
    CALL_WINDOW, Call, MAX_PENDING_REPLIES, RawBinding, ReplyToken, Timeout,
};
use flounder_rt::channel::ProtocolError;
use flounder_rt::notify::Notifier;
use flounder_rt::{BindingError, Local, Peer, RpcError, Waitset};
use support::{DOUBLE_CALL, Doubled, Handler, INTERFACE, Log, NOTE, Pair, Seen, WORDS};

/// Room that is never used up.
const PLENTY: usize = 1 << 20;

/// Room for `there` messages to the service, and for `back` to the client.
fn pair(there: usize, back: usize) -> Pair {
    hooked(there, back, |_, _| {})
}

fn hooked(there: usize, back: usize, hook: impl FnMut(&RawBinding, u64) + 'static) -> Pair {
    let pair = Pair::hooked(there, hook);
    pair.to_client.room.set(back);
    pair
}

impl Pair {
    fn double(&self, value: u64) -> Pin<Box<Call<Doubled>>> {
        Box::pin(support::double_async(&self.client, value))
    }

    /// Calls whose futures are polled once.
    fn doubles(&self, values: std::ops::Range<u64>) -> Vec<Pin<Box<Call<Doubled>>>> {
        let mut calls: Vec<_> = values.map(|value| self.double(value)).collect();
        calls.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
        calls
    }

    /// How many calls the service has seen.
    fn called(&self) -> usize {
        self.seen.borrow().iter().filter(|seen| matches!(seen, Seen::Call(_))).count()
    }

    /// Messages sent to the service and not received, since the channel had room for them.
    fn sent(&self, room: usize) -> usize {
        room - self.to_service.room.get()
    }
}

/// A waker that can be counted.
struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn replies_wait_for_room_and_hold_back_new_calls() {
    let pair = pair(PLENTY, 0);
    // Not the client of this crate: it has no window, and does not read.
    for n in 0..2 * MAX_PENDING_REPLIES as u64 {
        pair.client.send(DOUBLE_CALL, &[n, n], &[]).map(drop).expect("there is room");
    }
    pair.settle();
    let taken = pair.called();
    assert_eq!(taken, MAX_PENDING_REPLIES + 1, "those whose replies wait, and one is in the slot");
    pair.to_client.room.set(PLENTY);
    pair.settle();
    assert_eq!(pair.called(), 2 * MAX_PENDING_REPLIES);
}

#[test]
fn waiting_replies_arrive_in_order_and_later_calls_are_answered() {
    let pair = pair(PLENTY, 0);
    let order = Rc::new(RefCell::new(Vec::new()));
    let values = 100..100 + 3 * CALL_WINDOW as u64;
    for value in values.clone() {
        let (call, order) = (pair.double(value), Rc::clone(&order));
        let task = async move {
            let double = call.await.expect("it is answered");
            order.borrow_mut().push(double);
        };
        pair.ws.spawn_local(task).detach();
    }
    pair.settle();
    assert_eq!(pair.called(), CALL_WINDOW, "no more are under way");
    assert_eq!(*order.borrow(), []);
    pair.to_client.room.set(7);
    pair.settle();
    assert!(order.take().into_iter().eq(values.map(|value| 2 * value)));
}

#[test]
fn service_queues_at_most_a_megabyte_of_replies() {
    // Each note has a reply of 64 kilobytes, for the sake of the test.
    let reply = |raw: &RawBinding, value: u64| {
        ReplyToken::<Local>::new(raw, value as u32, WORDS).send(&[], &[&[0; 1 << 16]]);
    };
    for (is_service, taken) in [(true, 17), (false, 100)] {
        let pair = hooked(PLENTY, 0, reply);
        if is_service {
            pair.service.serve();
        }
        for value in 0..100 {
            pair.client.send(NOTE, &[value], &[]).map(drop).expect("there is room");
        }
        pair.settle();
        // One in the slot, and sixteen behind it; the other end goes on.
        assert_eq!(pair.seen.borrow().len(), taken, "a service: {is_service}");
    }
}

#[test]
fn unsent_replies_are_charged_to_the_peer_that_does_not_read() {
    const REPLY: usize = 1 << 16;
    let id = ProcessId { pid: Some(1), uid: Some(54_321), inode: 1 };
    let account = Account::of(id);
    set_limits(Limits::default().with(Resource::Bytes, Scope::Process, 8 * REPLY as u64));
    let reply = |raw: &RawBinding, value: u64| {
        ReplyToken::<Local>::new(raw, value as u32, WORDS).send(&[], &[&[0; REPLY]]);
    };
    // The client reads nothing, since its waitset is never dispatched.
    let (ws, idle, seen) = (Waitset::new(), Waitset::new(), Log::default());
    let (near, far, _to_service, to_client) = support::pair(PLENTY);
    to_client.room.set(0);
    let attach = |ws: &Waitset, channel: support::FakeChannel, handler, charge| {
        let (none, peer) = (Notifier::new(), Peer::unknown());
        let channel = Box::new(channel);
        RawBinding::attach_from(channel, ws, INTERFACE, handler, none, peer, charge)
            .expect("no descriptor is needed")
    };
    let charge = account.charge(Resource::Bindings, 1).expect("there are none");
    let service = attach(&ws, far, Handler::hooked(&seen, reply), Some(charge));
    service.serve();
    let client = attach(&idle, near, Handler::logging(&Log::default()), None);
    let ask = |count: u64| {
        for value in 0..count {
            client.send(NOTE, &[value], &[]).map(drop).expect("there is room");
        }
        while ws.try_dispatch().expect("no callback fails") {}
    };
    let used = || account.used(Resource::Bytes);
    ask(6);
    assert!(used() >= 6 * REPLY as u64, "{account:?}");
    to_client.room.set(6);
    ask(0);
    assert_eq!(used(), 0, "they are sent");
    to_client.room.set(0);
    ask(20);
    let ended = seen.borrow().last().cloned();
    let is_over = |error: &BindingError| {
        matches!(error, BindingError::Protocol(ProtocolError::OverLimit(limit))
            if (limit.resource, limit.of) == (Resource::Bytes, Scope::Process))
    };
    assert!(matches!(&ended, Some(Seen::Error(error)) if is_over(error)), "{ended:?}");
    assert_eq!(used(), 0, "the binding has ended");
    set_limits(Limits::default());
}

#[test]
fn answers_to_calls_that_are_given_up_go_away() {
    let pair = pair(PLENTY, 0);
    for round in 1..=10 {
        let calls = pair.doubles(0..CALL_WINDOW as u64);
        pair.settle();
        assert_eq!(pair.called(), round * CALL_WINDOW, "nothing is held back");
        drop(calls);
        pair.settle();
    }
    let mut last = pair.double(21);
    assert!(poll(&mut last).is_pending());
    pair.to_client.room.set(1);
    pair.settle();
    assert_eq!(poll(&mut last), Poll::Ready(Ok(42)));
}

#[test]
fn calls_beyond_the_window_wait_and_dropped_calls_make_room() {
    let pair = pair(PLENTY, PLENTY);
    pair.service.teardown();
    // Nobody answers from here on.
    let ws = Waitset::new();
    let (near, _far, to_service, _) = support::pair(PLENTY);
    let handler = Handler::logging(&Log::default());
    let client =
        RawBinding::attach(Box::new(near), &ws, INTERFACE, handler).expect("no descriptor");
    let pair = Pair { ws, client, to_service, ..pair };
    let mut calls = pair.doubles(0..3 * CALL_WINDOW as u64);
    pair.settle();
    assert_eq!(pair.sent(PLENTY), CALL_WINDOW);
    // Those that wait send nothing, not even that they are given up, and leave nothing behind.
    let waker = Arc::new(Nobody);
    let late = calls.last_mut().expect("there are many").as_mut();
    assert!(late.poll(&mut Context::from_waker(&Arc::clone(&waker).into())).is_pending());
    assert!(Arc::strong_count(&waker) > 1);
    calls.truncate(2 * CALL_WINDOW);
    assert_eq!(Arc::strong_count(&waker), 1);
    pair.settle();
    assert_eq!(pair.sent(PLENTY), CALL_WINDOW);
    // Each of these is given up, and is replaced when the others are polled.
    let left = calls.split_off(10);
    drop(calls);
    pair.settle();
    assert_eq!(pair.sent(PLENTY), CALL_WINDOW + 10);
    let mut left = left;
    left.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
    assert_eq!(pair.sent(PLENTY), CALL_WINDOW + 20);
}

/// How many there are of those below.
const MANY: u64 = 5 * CALL_WINDOW as u64;

/// The last call gets its turn although none of the others, which were polled once, is polled again.
fn only_the_last_is_polled(ws: &Waitset, mut calls: Vec<Pin<Box<Call<Doubled>>>>) {
    let last = calls.pop().expect("there are many");
    let limit = ws.after(Duration::from_secs(10), |_| panic!("nobody passes the turn on"));
    let result = ws.block_on(last).expect("no callback fails");
    limit.cancel();
    assert_eq!(result, Ok(2 * (MANY - 1)));
}

#[test]
fn calls_woken_and_not_polled_delay_no_others() {
    // Once with room for all, and once while all that have a place wait for the slot.
    for room in [PLENTY, 0] {
        let pair = pair(room, PLENTY);
        let calls = pair.doubles(0..MANY);
        pair.to_service.room.set(PLENTY);
        only_the_last_is_polled(&pair.ws, calls);
    }
}

#[test]
fn calls_woken_while_the_binding_is_busy_block_no_other() {
    let pair = pair(CALL_WINDOW, PLENTY);
    let calls = pair.doubles(0..MANY);
    pair.client.send(NOTE, &[1], &[]).map(drop).expect("the slot takes it");
    // Each received message makes room.
    pair.to_service.refuses.set(true);
    pair.settle();
    assert_eq!(pair.called(), CALL_WINDOW);
    pair.to_service.refuses.set(false);
    only_the_last_is_polled(&pair.ws, calls);
}

#[test]
fn waiting_for_a_place_ends_with_the_deadline_or_the_binding() {
    let pair = pair(PLENTY, 0);
    let mut calls = pair.doubles(0..CALL_WINDOW as u64);
    pair.settle();
    let late = support::double_async(&pair.client, 1).timeout(Duration::from_millis(1));
    assert_eq!(pair.ws.block_on(late).expect("no callback fails"), Err(RpcError::Deadline));
    let mut waiting = pair.double(2);
    assert!(poll(&mut waiting).is_pending());
    assert_eq!(pair.called(), CALL_WINDOW);
    pair.client.teardown();
    let [unsent, sent] =
        [RpcError::NotSent, RpcError::Closed].map(|error| error(BindingError::Closed));
    assert_eq!(pair.ws.block_on(waiting).expect("no callback fails"), Err(unsent));
    assert_eq!(poll(&mut calls[0]), Poll::Ready(Err(sent)));
}

#[test]
fn calls_of_this_thread_and_of_others_have_one_window() {
    let pair = pair(PLENTY, 0);
    let shared = pair.client.share();
    let call = || {
        Box::pin(shared.call::<Doubled>(DOUBLE_CALL, &[0, 1], &[], Vec::new(), Timeout::Default))
    };
    let mut theirs: Vec<_> = (0..40).map(|_| call()).collect();
    theirs.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
    pair.settle();
    let ours = pair.doubles(0..CALL_WINDOW as u64);
    pair.settle();
    assert_eq!(pair.called(), CALL_WINDOW);
    let mut late = call();
    assert!(poll(&mut late).is_pending());
    pair.settle();
    assert_eq!(pair.called(), CALL_WINDOW, "it waits with ours that do");
    drop(ours);
    pair.settle();
    assert_eq!(pair.called(), CALL_WINDOW + 1);
    pair.to_client.room.set(PLENTY);
    pair.settle();
    assert_eq!(poll(&mut late), Poll::Ready(Ok(2)));
    assert!(theirs.iter_mut().all(|call| poll(call) == Poll::Ready(Ok(2))));
}

#[test]
fn moved_binding_keeps_its_waiting_senders() {
    let pair = pair(PLENTY, PLENTY);
    let mut calls = pair.doubles(0..MANY);
    while poll(&mut calls[0]).is_pending() {
        assert!(pair.ws.try_dispatch().expect("no callback fails"), "there is a reply");
    }
    // The first waitset runs no more.
    let other = Waitset::new();
    for end in [&pair.client, &pair.service] {
        end.change_waitset(&other).expect("nothing to watch");
    }
    only_the_last_is_polled(&other, calls);
}
