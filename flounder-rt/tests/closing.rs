//! What becomes of accepted messages when their binding, its waitset or its thread ends.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use flounder_rt::binding::{CALL_WINDOW, RawBinding};
use flounder_rt::channel::ChannelError;
use flounder_rt::notify::{Gone, Wake};
use flounder_rt::{BindingError, RpcError, TxError, Waitset};
use support::{Handler, INTERFACE, Log, NOTE, Pair, Seen, double_async};

/// Dispatches `ws` until `done`.
fn dispatch(ws: &Waitset, done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    assert!(ws.dispatch_until(Some(deadline), done).expect("no callback fails"), "in time");
}

fn closed(seen: &Log) -> bool {
    matches!(seen.borrow().last(), Some(Seen::Error(BindingError::Closed)))
}

#[test]
fn last_handle_dropped_sends_what_was_accepted() {
    let Pair { ws, client, service, seen, to_service, .. } = Pair::new(0);
    client.send(NOTE, &[1], &[]).expect("the slot takes one");
    drop(client);
    for _ in 0..10 {
        ws.try_dispatch().expect("no callback fails");
    }
    assert_eq!(*seen.borrow(), [], "the peer sees no end before the message");
    to_service.room.set(1);
    dispatch(&ws, || closed(&seen));
    assert_eq!(*seen.borrow(), [Seen::Note(1), Seen::Error(BindingError::Closed)]);
    drop(service);
}

#[test]
fn replies_before_a_teardown_arrive() {
    let pair = Pair::new(10);
    pair.to_client.room.set(0);
    let calls: Vec<_> = (0..5).map(|n| double_async(&pair.client, n)).collect();
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    for call in &mut calls {
        assert!(futures_poll(call.as_mut()).is_pending());
    }
    pair.settle();
    pair.service.teardown();
    pair.to_client.room.set(5);
    for (n, call) in calls.into_iter().enumerate() {
        let result = pair.ws.block_on(call).expect("dispatch");
        assert_eq!(result, Ok(2 * n as u64));
    }
}

fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[test]
fn torn_down_binding_accepts_and_delivers_nothing() {
    let pair = Pair::new(0);
    pair.client.send(NOTE, &[1], &[]).expect("the slot takes one");
    pair.to_client.room.set(10);
    pair.service.send(NOTE, &[7], &[]).expect("room");
    pair.client.teardown();
    assert_eq!(pair.client.send(NOTE, &[2], &[]).map(drop), Err(TxError::Closed));
    assert!(!pair.client.can_send());
    pair.to_service.room.set(10);
    pair.settle();
    assert_eq!(pair.log(), [Seen::Note(1), Seen::Error(BindingError::Closed)]);
    assert_eq!(*pair.client_seen.borrow(), [], "what came was discarded");
}

#[test]
fn continuations_run_after_a_teardown() {
    let pair = Pair::new(0);
    let ran = Rc::new(Cell::new(false));
    let theirs = Rc::clone(&ran);
    let sent = pair.client.send(NOTE, &[1], &[]).expect("the slot takes one");
    sent.then(move || theirs.set(true));
    pair.client.teardown();
    assert!(!sent.is_sent());
    pair.to_service.room.set(1);
    assert_eq!(pair.ws.block_on(sent).expect("dispatch"), Ok(()));
    pair.settle();
    assert!(ran.get());
}

#[test]
fn close_completes_when_everything_is_sent() {
    let pair = Pair::new(0);
    pair.client.send(NOTE, &[1], &[]).expect("the slot takes one");
    let room = Rc::clone(&pair.to_service);
    pair.ws.post(move |_| {
        room.room.set(1);
        Ok(())
    });
    assert_eq!(pair.ws.block_on(pair.client.close()).expect("dispatch"), Ok(()));
    assert_eq!(pair.ws.block_on(pair.client.close()).expect("dispatch"), Ok(()), "twice");
    pair.settle();
    assert_eq!(pair.log(), [Seen::Note(1), Seen::Error(BindingError::Closed)]);
}

#[test]
fn close_reports_what_could_not_be_sent() {
    let pair = Pair::new(0);
    pair.client.send(NOTE, &[1], &[]).expect("the slot takes one");
    let late = pair.client.close().timeout(Duration::from_millis(1)).wait();
    assert_eq!(late, Err(TxError::Busy));
    let soon = pair.client.close().timeout(Duration::from_millis(1));
    assert_eq!(pair.ws.block_on(soon).expect("dispatch"), Err(TxError::Busy));
    let now = pair.client.close().deadline(Instant::now());
    assert_eq!(pair.ws.block_on(now).expect("dispatch"), Err(TxError::Busy));
    pair.service.teardown();
    assert_eq!(pair.client.close().wait(), Err(TxError::Closed));
}

#[test]
fn wait_blocks_until_the_message_is_sent() {
    let pair = Pair::new(1);
    assert_eq!(pair.client.send(NOTE, &[1], &[]).expect("room").wait(), Ok(()));
    let sent = pair.client.send(NOTE, &[2], &[]).expect("the slot takes one");
    assert_eq!(sent.timeout(Duration::from_millis(1)).wait(), Err(TxError::Busy));
    pair.to_service.room.set(1);
    assert_eq!(sent.wait(), Ok(()));
    let lost = pair.client.send(NOTE, &[3], &[]).expect("the slot takes one");
    *pair.to_client.fault.borrow_mut() = Some(ChannelError::PeerDied);
    assert_eq!(lost.wait(), Err(TxError::Closed));
}

#[test]
fn accepted_messages_survive_their_waitset() {
    let Pair { ws, client, service, seen, to_service, .. } = Pair::new(0);
    let other = Waitset::new();
    service.change_waitset(&other).expect("nothing to watch");
    client.send(NOTE, &[1], &[]).expect("the slot takes one");
    drop(ws);
    assert_eq!(client.ended(), Some(BindingError::Closed));
    to_service.room.set(1);
    // They go on from another waitset of the thread: here, the only one.
    dispatch(&other, || closed(&seen));
    assert_eq!(*seen.borrow(), [Seen::Note(1), Seen::Error(BindingError::Closed)]);
}

#[test]
fn close_reported_by_the_broker_comes_after_sent_messages() {
    for died in [false, true] {
        let pair = Pair::new(10);
        for n in 0..3 {
            pair.client.send(NOTE, &[n], &[]).expect("there is room");
        }
        let (remote, token) = (pair.ws.remote(), pair.service.token());
        remote.peer_gone(token, Gone::Closed);
        if died {
            remote.peer_gone(token, Gone::Died);
        }
        dispatch(&pair.ws, || closed(&pair.seen));
        let notes = (0..3).map(Seen::Note).chain([Seen::Error(BindingError::Closed)]);
        assert!(pair.seen.borrow().iter().cloned().eq(notes), "{:?}", pair.seen.borrow());
    }
}

#[test]
fn closing_bindings_delay_no_other() {
    let (stuck, pair) = (Pair::new(0), Pair::new(100));
    stuck.client.send(NOTE, &[1], &[]).expect("the slot takes one");
    drop(stuck.client);
    for n in 0..50 {
        pair.client.send(NOTE, &[n], &[]).expect("room");
    }
    pair.settle();
    assert_eq!(pair.log().len(), 50);
}

#[test]
fn closing_bindings_of_a_thread_are_bounded() {
    let ws = Waitset::new();
    let (mut pipes, mut services) = (Vec::new(), Vec::new());
    for _ in 0..1500 {
        let (near, far, to_service, _) = support::pair(0);
        let seen = Log::default();
        let attach = |channel, handler| {
            RawBinding::attach(Box::new(channel), &ws, INTERFACE, handler).expect("no descriptor")
        };
        let client = attach(near, Handler::logging(&Log::default()));
        services.push((attach(far, Handler::logging(&seen)), seen));
        client.send(NOTE, &[1], &[]).expect("the slot takes one");
        drop(client);
        pipes.push(to_service);
    }
    pipes.iter().for_each(|pipe| pipe.room.set(1));
    dispatch(&ws, || services.iter().all(|(_, seen)| closed(seen)));
    let got = services.iter().filter(|(_, seen)| seen.borrow().len() == 2).count();
    assert_eq!(got, 1024, "the oldest are cut off");
}

#[test]
fn continuations_follow_the_binding_to_another_waitset() {
    for sent_before in [true, false] {
        let pair = Pair::new(usize::from(sent_before));
        let (old, other) = (Waitset::new(), Waitset::new());
        pair.client.change_waitset(&old).expect("nothing to watch");
        let ran: Rc<RefCell<Vec<u32>>> = Rc::default();
        let mark = |n| {
            let ran = Rc::clone(&ran);
            move || ran.borrow_mut().push(n)
        };
        let sent = pair.client.send(NOTE, &[1], &[]).expect("accepted");
        sent.then(mark(1));
        sent.then(mark(2));
        if !sent_before {
            pair.to_service.room.set(1);
            assert_eq!(sent.wait(), Ok(()));
        }
        pair.client.change_waitset(&other).expect("nothing to watch");
        drop(old);
        while other.try_dispatch().expect("no callback fails") {}
        assert_eq!(*ran.borrow(), [1, 2]);
    }
}

#[test]
fn deadlines_follow_the_binding_to_another_waitset() {
    let pair = Pair::new(0);
    let (old, other) = (Waitset::new(), Waitset::new());
    pair.client.change_waitset(&old).expect("nothing to watch");
    let call = double_async(&pair.client, 1).timeout(Duration::from_millis(20));
    let mut call = Box::pin(call);
    assert!(futures_poll(call.as_mut()).is_pending());
    pair.client.change_waitset(&other).expect("nothing to watch");
    drop(old);
    assert_eq!(other.block_on(call).expect("dispatch"), Err(RpcError::Deadline));
}

#[test]
fn calls_that_expire_before_they_are_sent_are_not_sent() {
    let pair = Pair::new(CALL_WINDOW);
    let late = double_async(&pair.client, 1).deadline(Instant::now());
    assert_eq!(pair.ws.block_on(late).expect("dispatch"), Err(RpcError::Deadline));
    pair.settle();
    assert_eq!(pair.log(), [], "nothing was sent");
}
