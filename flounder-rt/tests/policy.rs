//! The rule about capabilities, applied by bindings over a channel that does not know it, and the reports to each end.

mod support;
mod waitset_support;

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use flounder_rt::binding::{Procedure, RawBinding, Timeout};
use flounder_rt::channel::CapRefusal;
use flounder_rt::export::exempt;
use flounder_rt::policy::{self, Direction};
use flounder_rt::wire::DecodeError;
use flounder_rt::{BindingError, Call, Cap, RpcError, TxError};
use parking_lot::{Mutex, MutexGuard};
use support::{DOUBLE_CALL, DOUBLE_RESPONSE, Doubled, NOTE, Pair, Seen, null};
use waitset_support::{LIMIT, within};

/// There is one rule for a process, and so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A pair under the rule that its test sets.
struct Ruled {
    pair: Pair,
    _alone: MutexGuard<'static, ()>,
}

impl Ruled {
    fn new(room: usize) -> Self {
        let _alone = ALONE.lock();
        policy::clear_cap_policy();
        Self { pair: Pair::new(room), _alone }
    }

    fn note(&self, value: u64, caps: &mut Vec<Cap>) -> Result<(), TxError> {
        self.client.send_caps(NOTE, &[value], &[], caps).map(drop)
    }

    /// Dispatches until nothing is left to do. Returns what the client and the service have seen since the last time.
    fn seen(&self) -> (Vec<Seen>, Vec<Seen>) {
        self.settle();
        (self.client_seen.take(), self.pair.seen.take())
    }
}

impl Deref for Ruled {
    type Target = Pair;

    fn deref(&self) -> &Pair {
        &self.pair
    }
}

impl Drop for Ruled {
    fn drop(&mut self) {
        policy::clear_cap_policy();
    }
}

fn forbid(direction: Direction) {
    policy::set_cap_policy(move |transfer| transfer.direction != direction);
}

fn refused(refusal: CapRefusal) -> Vec<Seen> {
    vec![Seen::Error(BindingError::CapsRefused(refusal))]
}

#[test]
fn refused_outgoing_caps_return_and_the_peer_is_notified() {
    let pair = Ruled::new(10);
    forbid(Direction::Send);
    let mut caps = vec![null()];
    let refusal = TxError::CapsRefused(CapRefusal::Sender);
    assert_eq!(pair.note(1, &mut caps), Err(refusal));
    assert_eq!(caps.len(), 1);
    assert_eq!(pair.seen(), (vec![], refused(CapRefusal::Sender)));
    pair.note(2, &mut Vec::new()).expect("it has no capability");
    assert_eq!(pair.seen(), (vec![], vec![Seen::Note(2)]));
}

#[test]
fn refused_incoming_message_is_lost_and_reported_to_both_ends() {
    let pair = Ruled::new(10);
    forbid(Direction::Receive);
    pair.note(1, &mut Vec::new()).expect("room");
    pair.note(2, &mut vec![null()]).expect("room");
    pair.note(3, &mut Vec::new()).expect("room");
    let [error] = refused(CapRefusal::Receiver).try_into().expect("one");
    let seen = (vec![error.clone()], vec![Seen::Note(1), error, Seen::Note(3)]);
    assert_eq!(pair.seen(), seen);
}

#[test]
fn a_message_that_is_not_accepted_is_not_asked_about() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let pair = Ruled::new(0);
    policy::set_cap_policy(|_| ASKED.fetch_add(1, Ordering::Relaxed) == u32::MAX);
    pair.note(1, &mut Vec::new()).expect("the slot takes one");
    assert_eq!(pair.note(2, &mut vec![null()]), Err(TxError::Busy));
    pair.client.teardown();
    assert_eq!(pair.note(3, &mut vec![null()]), Err(TxError::Closed));
    assert_eq!(ASKED.load(Ordering::Relaxed), 0);
}

#[test]
fn refusal_waits_for_room_and_uses_only_the_slot() {
    let pair = Ruled::new(0);
    forbid(Direction::Send);
    assert!(matches!(pair.note(1, &mut vec![null()]), Err(TxError::CapsRefused(_))));
    for _ in 0..100 {
        assert_eq!(pair.note(2, &mut vec![null()]), Err(TxError::Busy), "the news is in the slot");
    }
    assert_eq!(pair.seen(), (vec![], vec![]));
    pair.to_service.room.set(10);
    assert_eq!(pair.seen(), (vec![], refused(CapRefusal::Sender)));
}

#[test]
fn a_rule_that_panics_lets_nothing_pass() {
    let pair = Ruled::new(10);
    policy::set_cap_policy(|_| panic!("it cannot decide"));
    let refusal = Err(TxError::CapsRefused(CapRefusal::Sender));
    assert_eq!(pair.note(1, &mut vec![null()]), refusal);
    assert_eq!(pair.seen(), (vec![], refused(CapRefusal::Sender)));
}

#[test]
fn a_rule_may_use_the_binding_that_it_is_asked_about() {
    thread_local! {
        static BINDING: std::cell::RefCell<Option<RawBinding>> = const { std::cell::RefCell::new(None) };
    }
    let pair = Ruled::new(1);
    BINDING.set(Some(pair.client.clone()));
    policy::set_cap_policy(|transfer| {
        // The first takes the room, the second the slot.
        if transfer.direction == Direction::Send {
            BINDING.with_borrow(|binding| {
                let binding = binding.as_ref().expect("it is there");
                for value in [7, 8] {
                    binding.send(NOTE, &[value], &[]).map(drop).expect("it is free");
                }
            });
        }
        true
    });
    let mut caps = vec![null()];
    assert_eq!(pair.note(1, &mut caps), Err(TxError::Busy));
    assert_eq!(caps.len(), 1);
    policy::clear_cap_policy();
    pair.to_service.room.set(10);
    assert_eq!(pair.seen(), (vec![], vec![Seen::Note(7), Seen::Note(8)]));
    BINDING.set(None);
}

fn call(pair: &Pair, value: u64, caps: Vec<Cap>) -> Call<Doubled> {
    let id = pair.client.next_call();
    let words = [u64::from(id), value];
    pair.client.call_async(id, DOUBLE_CALL, &words, &[], caps, Timeout::default())
}

fn result(pair: &Pair, call: Call<Doubled>) -> Result<u64, RpcError> {
    pair.ws.block_on(call).expect("no callback fails")
}

#[test]
fn lost_call_fails_whichever_end_refuses_it() {
    let pair = Ruled::new(10);
    assert_eq!(result(&pair, call(&pair, 4, vec![null()])), Ok(8));
    assert_eq!(pair.seen(), (vec![], vec![Seen::Call(4)]));
    forbid(Direction::Send);
    let refusal = RpcError::Tx(TxError::CapsRefused(CapRefusal::Sender));
    assert_eq!(result(&pair, call(&pair, 4, vec![null()])), Err(refusal));
    assert_eq!(pair.seen(), (vec![], refused(CapRefusal::Sender)));
    forbid(Direction::Receive);
    let refusal = RpcError::CapsRefused(CapRefusal::Receiver);
    assert_eq!(result(&pair, call(&pair, 4, vec![null()])), Err(refusal));
    assert_eq!(pair.seen(), (vec![], refused(CapRefusal::Receiver)));
}

#[test]
fn blocking_call_whose_caps_are_lost_fails() {
    within(LIMIT, || {
        let pair = Ruled::new(10);
        pair.to_service.refuses_caps.set(true);
        let id = pair.client.next_call();
        let double = Procedure { call: DOUBLE_CALL, response: DOUBLE_RESPONSE, id: 0 };
        let words = [u64::from(id), 4];
        let (caps, timeout) = (vec![null()], Timeout::default());
        let result = pair.client.call::<Doubled>(id, double, &words, &[], caps, timeout);
        assert_eq!(result, Err(RpcError::CapsRefused(CapRefusal::Sender)));
    });
}

#[test]
fn lost_response_fails_its_call_whichever_end_refuses() {
    let pair = Ruled::new(10);
    assert_eq!(result(&pair, call(&pair, 14, vec![])), Ok(28));
    assert_eq!(pair.seen(), (vec![], vec![Seen::Call(14)]));
    forbid(Direction::Send);
    let refusal = CapRefusal::Sender;
    assert_eq!(result(&pair, call(&pair, 14, vec![])), Err(RpcError::CapsRefused(refusal)));
    let told = Seen::Error(BindingError::Reply(TxError::CapsRefused(refusal)));
    assert_eq!(pair.seen(), (vec![], vec![Seen::Call(14), told]));
    forbid(Direction::Receive);
    let refusal = CapRefusal::Receiver;
    assert_eq!(result(&pair, call(&pair, 14, vec![])), Err(RpcError::CapsRefused(refusal)));
    let told = Seen::Error(BindingError::CapsRefused(refusal));
    assert_eq!(pair.seen(), (vec![], vec![Seen::Call(14), told]));
}

#[test]
fn a_response_is_asked_about_before_it_waits_for_room() {
    let pair = Ruled::new(10);
    pair.to_client.room.set(0);
    // Takes the slot of the service, so that the response has to wait.
    pair.service.send(NOTE, &[1], &[]).map(drop).expect("the slot is free");
    forbid(Direction::Send);
    let call = call(&pair, 14, vec![]);
    let mut call = std::pin::pin!(call);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    let told = Seen::Error(BindingError::Reply(TxError::CapsRefused(CapRefusal::Sender)));
    assert_eq!(pair.seen(), (vec![], vec![Seen::Call(14), told]));
    policy::clear_cap_policy();
    pair.to_client.room.set(10);
    assert_eq!(pair.seen(), (vec![Seen::Note(1)], vec![]));
    let refusal = RpcError::CapsRefused(CapRefusal::Sender);
    assert_eq!(call.as_mut().poll(&mut cx), std::task::Poll::Ready(Err(refusal)));
}

#[test]
fn message_lost_later_is_reported_to_both_ends() {
    let pair = Ruled::new(0);
    pair.to_service.refuses_caps.set(true);
    let mut caps = vec![null()];
    let sent = pair.client.send_caps(NOTE, &[1], &[], &mut caps).expect("the slot takes it");
    sent.then(|| panic!("it is not sent"));
    let mut call = std::pin::pin!(call(&pair, 4, vec![null()]));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending(), "it waits for the slot");
    pair.to_service.room.set(10);
    let lost = refused(CapRefusal::Sender);
    assert_eq!(pair.seen(), (lost.clone(), lost));
    // The call is accepted now, and lost at once.
    let refusal = RpcError::CapsRefused(CapRefusal::Sender);
    assert_eq!(call.as_mut().poll(&mut cx), std::task::Poll::Ready(Err(refusal)));
}

#[test]
fn the_bindings_of_a_broker_are_exempt() {
    let pair = Ruled::new(10);
    exempt(&pair.client);
    forbid(Direction::Send);
    pair.note(1, &mut vec![null()]).expect("room");
    assert_eq!(pair.seen(), (vec![], vec![Seen::Note(1)]));
    // What it loses it keeps to itself.
    pair.to_service.refuses_caps.set(true);
    pair.note(2, &mut vec![null()]).expect("accepted, then lost");
    assert_eq!(pair.seen(), (refused(CapRefusal::Sender), vec![]));
    // And it gets no report of a refusal.
    assert!(pair.service.send_caps(NOTE, &[3], &[], &mut vec![null()]).is_err());
    let (client, _) = pair.seen();
    let error = DecodeError::Short { need: 2, have: 2 };
    assert_eq!(client, [Seen::Error(BindingError::Decode { message: "(runtime)", error })]);
}
