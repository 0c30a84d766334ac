//! The binding state machine over a channel whose room the test decides.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use flounder_rt::channel::{ChannelError, ProtocolError};
use flounder_rt::{BindingError, Control, ControlError, RpcError, TxError, Waitset};
use support::{Log, NOTE, Pair, Seen, WORDS};

fn note(pair: &Pair, value: u64) -> Result<(), TxError> {
    pair.client.send(NOTE, &[value], &[]).map(drop)
}

#[test]
fn messages_arrive_in_order_and_whole() {
    let pair = Pair::new(100);
    for value in 0..50 {
        note(&pair, value).expect("there is room");
    }
    pair.client.send(WORDS, &[99], &[&[7; 792]]).expect("there is room");
    pair.settle();
    let mut want: Vec<_> = (0..50).map(Seen::Note).collect();
    want.push(Seen::Words(100));
    assert_eq!(pair.log(), want);
}

#[test]
fn a_second_message_is_refused_while_one_waits() {
    let pair = Pair::new(0);
    assert!(pair.client.can_send());
    note(&pair, 1).expect("the slot takes one");
    assert!(!pair.client.can_send());
    assert_eq!(note(&pair, 2), Err(TxError::Busy));
    pair.settle();
    assert_eq!(pair.log(), []);
    pair.to_service.room.set(1);
    pair.settle();
    assert_eq!(pair.log(), [Seen::Note(1)]);
    assert!(pair.client.can_send());
}

#[test]
fn continuations_run_from_the_waitset_once_the_message_is_sent() {
    let pair = Pair::new(1);
    let mark = |seen: &Log| {
        let seen = Rc::clone(seen);
        move || seen.borrow_mut().push(Seen::Continuation)
    };
    pair.client.send(NOTE, &[1], &[]).expect("room").then(mark(&pair.client_seen));
    assert_eq!(*pair.client_seen.borrow(), [], "not from inside the send");
    pair.client.send(NOTE, &[2], &[]).expect("the slot").then(mark(&pair.client_seen));
    let seen = Rc::clone(&pair.client_seen);
    pair.client
        .register_send(&pair.ws, move |_| {
            seen.borrow_mut().push(Seen::Room);
            Ok(())
        })
        .expect("none waits");
    assert_eq!(
        pair.client.register_send(&pair.ws, |_| Ok(())),
        Err(ControlError::AlreadyRegistered)
    );
    pair.settle();
    assert_eq!(*pair.client_seen.borrow(), [Seen::Continuation, Seen::Continuation, Seen::Room]);
    assert_eq!(pair.log(), [Seen::Note(1), Seen::Note(2)]);
}

#[test]
fn register_send_fires_at_once_when_there_is_room() {
    let pair = Pair::new(1);
    let fired = Rc::new(Cell::new(false));
    let theirs = Rc::clone(&fired);
    let callback = move |_: &Waitset| {
        theirs.set(true);
        Ok(())
    };
    pair.client.register_send(&pair.ws, callback).expect("none waits");
    assert!(!fired.get());
    pair.settle();
    assert!(fired.get());
}

#[test]
fn continuation_is_dropped_unrun_when_the_binding_fails() {
    let pair = Pair::new(0);
    let alive = Rc::new(());
    let held = Rc::clone(&alive);
    let seen = Rc::clone(&pair.client_seen);
    pair.client.send(NOTE, &[1], &[]).expect("the slot").then(move || {
        seen.borrow_mut().push(Seen::Continuation);
        drop(held);
    });
    pair.service.teardown();
    pair.settle();
    assert_eq!(*pair.client_seen.borrow(), [Seen::Error(BindingError::Closed)]);
    assert_eq!(Rc::strong_count(&alive), 1, "the continuation is gone");
    assert_eq!(note(&pair, 2), Err(TxError::Closed));
}

#[test]
fn teardown_delivers_what_was_sent_before() {
    let pair = Pair::new(10);
    note(&pair, 1).expect("room");
    note(&pair, 2).expect("room");
    pair.client.teardown();
    pair.client.teardown();
    pair.settle();
    assert_eq!(pair.log(), [Seen::Note(1), Seen::Note(2), Seen::Error(BindingError::Closed)]);
    assert_eq!(*pair.client_seen.borrow(), [], "who tears down is not told");
}

#[test]
fn a_handler_may_send_tear_down_and_dispatch() {
    let nested = Rc::new(Cell::new(0));
    let count = Rc::clone(&nested);
    let pair = Pair::hooked(10, move |raw, value| match value {
        1 => raw.send(NOTE, &[10], &[]).map(drop).expect("room"),
        2 => {
            let ws = raw.waitset().expect("it is running");
            let count = Rc::clone(&count);
            ws.post(move |_| {
                count.set(count.get() + 1);
                Ok(())
            });
            while ws.try_dispatch().expect("no callback fails") {}
        }
        _ => raw.teardown(),
    });
    for value in 1..=4 {
        note(&pair, value).expect("room");
    }
    pair.settle();
    assert_eq!(pair.log(), [Seen::Note(1), Seen::Note(2), Seen::Note(3)]);
    assert_eq!(nested.get(), 1, "others were served inside the handler");
    assert_eq!(*pair.client_seen.borrow(), [Seen::Note(10), Seen::Error(BindingError::Closed)]);
}

#[test]
fn a_panic_in_a_handler_ends_its_binding_only() {
    let pair = Pair::hooked(10, |_, value| assert_ne!(value, 2, "as the test wants"));
    note(&pair, 1).expect("room");
    note(&pair, 2).expect("room");
    note(&pair, 3).expect("room");
    pair.settle();
    assert_eq!(pair.log(), [Seen::Note(1), Seen::Note(2)]);
    assert_eq!(*pair.client_seen.borrow(), [Seen::Error(BindingError::Closed)]);
}

#[test]
fn wrong_words_end_the_binding_with_the_name_of_the_message() {
    let pair = Pair::new(10);
    pair.client.send(NOTE, &[], &[]).expect("room");
    pair.settle();
    let log = pair.log();
    assert!(
        matches!(&log[..], [Seen::Error(BindingError::Decode { message: "note", .. })]),
        "{log:?}"
    );
    assert_eq!(*pair.client_seen.borrow(), [Seen::Error(BindingError::Closed)]);
}

#[test]
fn channel_faults_reach_the_error_handler_once() {
    let pair = Pair::new(10);
    *pair.to_client.fault.borrow_mut() = Some(ChannelError::Protocol(ProtocolError::Number(9)));
    pair.settle();
    assert_eq!(
        *pair.client_seen.borrow(),
        [Seen::Error(BindingError::Protocol(ProtocolError::Number(9)))]
    );
    assert_eq!(pair.client.ended(), Some(BindingError::Protocol(ProtocolError::Number(9))));
}

#[test]
fn calls_are_answered_refused_by_silence_and_ended_by_teardown() {
    let pair = Pair::new(10);
    let ws = pair.ws.clone();
    assert_eq!(ws.block_on(support::double_async(&pair.client, 21)).expect("dispatch"), Ok(42));
    assert_eq!(
        ws.block_on(support::double_async(&pair.client, 13)).expect("dispatch"),
        Err(RpcError::NoReply)
    );
    let late = support::double_async(&pair.client, 1);
    drop(late);
    let ended = support::double_async(&pair.client, 2);
    pair.service.teardown();
    let result = ws.block_on(ended).expect("dispatch");
    assert_eq!(result, Err(RpcError::NotSent(BindingError::Closed)), "it was not polled before");
}

#[test]
fn a_binding_moves_to_another_waitset() {
    let pair = Pair::new(10);
    let other = Waitset::new();
    pair.service.change_waitset(&other).expect("nothing to watch");
    note(&pair, 1).expect("room");
    pair.settle();
    assert_eq!(pair.log(), []);
    while other.try_dispatch().expect("no callback fails") {}
    assert_eq!(pair.log(), [Seen::Note(1)]);
}

#[test]
fn dropping_the_last_handle_tears_down_unless_kept() {
    let pair = Pair::new(10);
    let Pair { ws, client, service, seen, .. } = pair;
    service.keep();
    drop(service);
    client.send(NOTE, &[1], &[]).expect("room");
    drop(client);
    while ws.try_dispatch().expect("no callback fails") {}
    assert_eq!(*seen.borrow(), [Seen::Note(1), Seen::Error(BindingError::Closed)]);
}

#[test]
fn a_sent_future_completes_when_the_message_is_sent() {
    let pair = Pair::new(0);
    let sent = pair.client.send(NOTE, &[1], &[]).expect("the slot");
    assert!(!sent.is_sent());
    let room = Rc::clone(&pair.to_service);
    pair.ws.post(move |_| {
        room.room.set(1);
        Ok(())
    });
    assert_eq!(pair.ws.block_on(sent).expect("dispatch"), Ok(()));
}

#[test]
fn a_future_that_wakes_itself_lets_events_in() {
    let pair = Pair::new(1);
    let sent = Rc::new(Cell::new(false));
    let theirs = Rc::clone(&sent);
    pair.client.send(NOTE, &[1], &[]).expect("room").then(move || theirs.set(true));
    let waits = std::future::poll_fn(|cx| {
        if sent.get() {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    });
    pair.ws.block_on(waits).expect("dispatch");
}

#[test]
fn caps_lost_by_the_channel_are_reported_to_the_error_handler() {
    let pair = Pair::new(10);
    pair.to_service.refuses_caps.set(true);
    let mut caps = vec![support::null()];
    let lost = pair.client.send_caps(NOTE, &[1], &[], &mut caps).expect("accepted, then lost");
    assert!(!lost.is_sent());
    lost.then(|| panic!("it is not sent"));
    pair.settle();
    let refusal = flounder_rt::channel::CapRefusal::Sender;
    assert_eq!(*pair.client_seen.borrow(), [Seen::Error(BindingError::CapsRefused(refusal))]);
    note(&pair, 2).expect("the binding goes on");
    pair.settle();
    assert_eq!(pair.log(), [Seen::Error(BindingError::CapsRefused(refusal)), Seen::Note(2)]);
}

#[test]
fn control_tears_down_and_then_says_so() {
    let pair = Pair::new(10);
    pair.client.control(Control::SetSync).expect("it is open");
    pair.client.control(Control::Teardown).expect("it is open");
    assert_eq!(pair.client.control(Control::ClearSync), Err(ControlError::Closed));
    pair.settle();
    assert_eq!(pair.log(), [Seen::Error(BindingError::Closed)]);
}

#[test]
fn blocking_call_in_own_handler_is_refused_and_sends_nothing() {
    let result = Rc::new(RefCell::new(None));
    let told = Rc::clone(&result);
    let pair = Pair::hooked(10, move |raw, value| {
        *told.borrow_mut() = Some(support::double(raw, value));
    });
    note(&pair, 7).expect("there is room");
    pair.settle();
    assert_eq!(result.take(), Some(Err(RpcError::WouldDeadlock)));
    assert_eq!(*pair.client_seen.borrow(), [], "the other end has seen no call");
}
