//! Messages as values: they encode to the words of the wire, and wait in an inbox until a receiver takes them.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use flounder::error::EncodeError;
use flounder::message::MessageBuffer;
use flounder::{BindingError, Cap, Peer, RecvError, RpcError, TxError, Waitset};
use flounder_conformance::fake;
use flounder_rt::wire::{DecodeError, TooLong};
use futures_core::Stream;
use proptest::prelude::*;

/// A type from Rust that cannot be shown.
#[derive(flounder::FlounderMessage)]
pub struct Mute(u8);

flounder::flounder! {
    @symmetric
    interface post "Messages of every shape" {
        typedef enum { RED, GREEN } colour;
        typedef struct { string name[8]; colour c; uint8 small; } item;
        typedef struct { give_away_cap c; uint32 n; } gift;
        use crate::Mute as mute;

        message none();
        message numbers(uint8 a, uint64 b, bool c, double d, colour e);
        message text(string s[16], uint8 bytes[n, 16]);
        message items(item one, item all[n, 4], string names[m, 4]);
        message mutes(mute one, mute all[n, 4]);
        message caps(cap a, give_away_cap b, gift g);
        message id(uint32 id);
        rpc ask(in uint32 id, in string s, out uint32 result);
    };
}

use post::Message;

fn decode(number: u16, words: &[u64], caps: Vec<Cap>) -> Result<Message, DecodeError> {
    MessageBuffer { number, words: words.to_vec(), caps }.decode()
}

/// The longest that anything may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Both ends of a fake channel; what comes at the second goes into an inbox.
struct Ends {
    ws: Waitset,
    first: post::Binding,
    second: post::Binding,
    there: Rc<fake::Pipe>,
    errors: Rc<RefCell<Vec<BindingError>>>,
}

impl Ends {
    fn new(bound: usize) -> Self {
        let (ws, (first, second, there, _)) = (Waitset::new(), fake::pair(usize::MAX));
        let first = post::over(Box::new(first), &ws, post::RxVtbl::default());
        let errors: Rc<RefCell<Vec<BindingError>>> = Rc::default();
        let told = Rc::clone(&errors);
        let rx = post::RxVtbl {
            ask: Some(Box::new(|_, id, s, reply| {
                reply.send(id + u32::try_from(s.len()).expect("the string is short"));
            })),
            error: Some(Box::new(move |_, error| told.borrow_mut().push(error))),
            ..post::RxVtbl::default()
        };
        let second = post::over(Box::new(second), &ws, flounder::Inbox::beside(bound, rx));
        let [first, second] = [first, second].map(|end| end.expect("nothing to be watched"));
        Self { ws, first, second, there, errors }
    }

    /// Dispatches until nothing happens.
    fn settle(&self) {
        for _ in 0..1000 {
            if !self.ws.try_dispatch().expect("no callback fails") {
                return;
            }
        }
        panic!("the waitset never comes to rest");
    }

    /// Sends `id` messages with these numbers, and lets them arrive.
    fn send(&self, ids: impl IntoIterator<Item = u32>) {
        for id in ids {
            self.first.tx_id(id).expect("the channel has room");
        }
        self.settle();
    }

    fn recv(&self) -> Result<Message, RecvError> {
        now(self.second.recv())
    }

    /// The value of a future, which comes in time.
    fn wait<F: Future>(&self, future: F) -> F::Output {
        let patience = self.ws.after(TIMEOUT, |_| Err("nothing came in time".into()));
        let value = self.ws.block_on(future).expect("it comes in time");
        assert!(patience.cancel());
        value
    }
}

/// Counts how often it wakes.
#[derive(Default)]
struct Count(std::sync::atomic::AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The value of a future that is ready.
fn now<F: Future>(future: F) -> F::Output {
    match poll(pin!(future)) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future is not ready"),
    }
}

fn id(id: u32) -> Message {
    Message::Id { id }
}

fn cap() -> Cap {
    tempfile::tempfile().expect("a file can be made").into()
}

fn item(name: &str) -> post::Item {
    post::Item { name: name.to_owned(), c: post::Colour::Green, small: 3 }
}

/// One message of each kind without capabilities, and its like sent by its own method.
fn samples() -> Vec<Message> {
    vec![
        Message::None {},
        Message::Numbers { a: 255, b: u64::MAX, c: true, d: -0.0, e: post::Colour::Green },
        Message::Text { s: "sixteen bytes ..".to_owned(), bytes: vec![1, 2, 3] },
        Message::Text { s: String::new(), bytes: Vec::new() },
        Message::Items {
            one: item("one"),
            all: vec![item(""), item("eight by")],
            names: vec!["a".to_owned(), "bc".to_owned()],
        },
        Message::Mutes { one: Mute(1), all: vec![Mute(2), Mute(3)] },
        Message::Id { id: 7 },
        Message::AskCall { __id: 1, id: 2, s: "three".to_owned() },
        Message::AskResponse { id: 1, result: 4 },
    ]
}

#[test]
fn a_message_is_the_words_that_its_method_sends() {
    let ends = Ends::new(1);
    let tx = &ends.first;
    let one_by_one: [&dyn Fn() -> Result<(), TxError>; 7] = [
        &|| tx.tx_none().map(drop),
        &|| tx.tx_numbers(255, u64::MAX, true, -0.0, post::Colour::Green).map(drop),
        &|| tx.tx_text("sixteen bytes ..", &[1, 2, 3]).map(drop),
        &|| tx.tx_text("", &[]).map(drop),
        &|| tx.tx_items(&item("one"), &[item(""), item("eight by")], &["a", "bc"]).map(drop),
        &|| tx.tx_mutes(&Mute(1), &[Mute(2), Mute(3)]).map(drop),
        &|| tx.tx_id(7).map(drop),
    ];
    let last = || ends.there.messages.borrow_mut().pop_back().expect("something was sent");
    for (message, method) in samples().iter().zip(one_by_one) {
        method().expect("the channel has room");
        let expected = last();
        let encoded = MessageBuffer::encode(message).expect("nothing is too long");
        assert_eq!((encoded.number, &encoded.words), (expected.number, &expected.words));
        tx.tx(message).expect("the channel has room");
        let sent = last();
        assert_eq!((sent.number, sent.words), (expected.number, expected.words), "{message:?}");
    }
}

#[test]
fn halves_of_an_rpc_have_the_words_of_client_and_reply() {
    let ends = Ends::new(1);
    let client = post::RpcClient::new(&ends.first);
    let mut call = pin!(client.ask_async(5, "four"));
    assert!(poll(call.as_mut()).is_pending());
    let sent = ends.there.messages.borrow_mut().pop_back().expect("the call was sent");
    let whole = decode(sent.number, &sent.words, Vec::new()).expect("it is a call");
    assert_eq!(whole, Message::AskCall { __id: 1, id: 5, s: "four".to_owned() });
    // As a value the call goes out again, and the reply is the one that the client waits for.
    ends.first.tx(&whole).expect("the channel has room");
    ends.settle();
    assert_eq!(now(call), Ok(9));
}

#[test]
fn every_message_survives_words_and_bytes() {
    let mut bytes = Vec::new();
    for message in samples() {
        let encoded = MessageBuffer::encode(&message).expect("nothing is too long");
        bytes.extend(encoded.to_bytes());
        let decoded = decode(encoded.number, &encoded.words, encoded.caps);
        assert_eq!(decoded.as_ref(), Ok(&message));
    }
    let mut rest = &bytes[..];
    for message in samples() {
        let buffer = MessageBuffer::from_bytes(&mut rest, []).expect("all bytes are there");
        assert_eq!(buffer.decode(), Ok(message));
    }
    assert_eq!(rest, [0; 0]);
}

#[test]
fn bytes_that_end_early_are_refused_and_left() {
    let bytes = MessageBuffer::encode(&samples()[4]).expect("nothing is too long").to_bytes();
    for len in 0..bytes.len() {
        let mut rest = &bytes[..len];
        let read = MessageBuffer::from_bytes(&mut rest, []);
        assert!(matches!(read, Err(DecodeError::Short { .. })), "{len}: {read:?}");
        assert_eq!(rest.len(), len);
    }
}

#[test]
fn capabilities_go_beside_the_words() {
    let gift = post::Gift { c: cap(), n: 5 };
    let message = Message::Caps { a: cap(), b: cap(), g: gift };
    let encoded = MessageBuffer::encode(&message).expect("there are descriptors");
    assert_eq!(encoded.caps.len(), 3);
    let bytes = encoded.to_bytes();
    let missing = MessageBuffer::from_bytes(&mut &bytes[..], [cap(), cap()]);
    assert_eq!(missing.err(), Some(DecodeError::MissingCap));
    let mut spare = vec![cap(), cap(), cap(), cap()].into_iter();
    let read = MessageBuffer::from_bytes(&mut &bytes[..], spare.by_ref());
    assert_eq!(read.expect("all is there").caps.len(), 3);
    assert_eq!(spare.count(), 1);

    let same = decode(encoded.number, &encoded.words, encoded.caps);
    assert_ne!(same.as_ref(), Ok(&message), "capabilities cannot be compared");
    let short = decode(encoded.number, &encoded.words, vec![cap()]);
    assert_eq!(short, Err(DecodeError::MissingCap));
    assert_eq!(decode(1, &[], vec![cap()]), Err(DecodeError::ExtraCaps));

    // Sent, it stays what it is: also what would be given away is copied.
    let ends = Ends::new(2);
    ends.first.tx(&message).expect("the channel has room");
    ends.first.tx(&message).expect("the channel has room");
    ends.settle();
    let (_, _, gift) = now(ends.second.recv_caps()).expect("it has come");
    assert_eq!(gift.n, 5);
    assert!(matches!(ends.recv(), Ok(Message::Caps { .. })));
}

#[test]
fn what_no_sender_writes_is_not_decoded() {
    let unknown = decode(99, &[], Vec::new());
    assert_eq!(unknown, Err(DecodeError::Number(99)));
    assert_eq!(decode(0, &[], Vec::new()), Err(DecodeError::Number(0)));
    let padding = decode(7, &[1 << 32], Vec::new());
    assert_eq!(padding, Err(DecodeError::Padding));
    let leftover = decode(7, &[1, 0], Vec::new());
    assert_eq!(leftover, Err(DecodeError::Leftover { words: 1 }));
}

#[test]
fn what_is_too_long_is_neither_encoded_nor_sent() {
    let length = TooLong { len: 17, max: 16 };
    let message = Message::Text { s: "x".repeat(17), bytes: Vec::new() };
    assert_eq!(
        MessageBuffer::encode(&message).err(),
        Some(EncodeError::TooLong { arg: "s", length })
    );
    let ends = Ends::new(1);
    assert_eq!(ends.first.tx(&message).err(), Some(TxError::TooLong { arg: "s", length }));
    assert!(ends.there.messages.borrow().is_empty());
}

#[test]
fn messages_are_shown_by_their_variants() {
    let shown = samples().iter().map(|message| format!("{message:?}")).collect::<Vec<_>>();
    assert_eq!(shown[0], "None");
    assert_eq!(shown[1], "Numbers { a: 255, b: 18446744073709551615, c: true, d: -0.0, e: Green }");
    assert_eq!(shown[5], "Mutes { one: .., all: .. }");
    assert_eq!(shown[7], "AskCall { id: 1, id: 2, s: \"three\" }");
}

#[test]
fn messages_are_received_in_order_and_by_kind() {
    let ends = Ends::new(8);
    ends.send([1, 2]);
    ends.first.tx_text("between", &[9]).expect("the channel has room");
    ends.send([3]);
    assert_eq!(now(ends.second.recv_text()), Ok(("between".to_owned(), vec![9])));
    assert_eq!(ends.recv(), Ok(id(1)));
    assert_eq!(now(ends.second.recv_id()), Ok(2));
    assert_eq!(ends.recv(), Ok(id(3)));
    assert!(poll(pin!(ends.second.recv())).is_pending());
}

#[test]
fn a_full_inbox_holds_its_sender_back_and_loses_nothing() {
    let ends = Ends::new(3);
    ends.send(0..5);
    assert_eq!(ends.there.messages.borrow().len(), 2, "no more than three are taken");
    for expected in 0..5 {
        assert_eq!(ends.recv(), Ok(id(expected)));
        ends.settle();
    }
    assert!(poll(pin!(ends.second.recv())).is_pending());
}

#[test]
fn receiving_a_kind_behind_a_full_inbox_is_an_error() {
    let ends = Ends::new(2);
    ends.send([1, 2]);
    ends.first.tx_none().expect("the channel has room");
    ends.settle();
    assert_eq!(now(ends.second.recv_none()), Err(RecvError::Full));
    assert_eq!(ends.recv(), Ok(id(1)));
    let mut none = pin!(ends.second.recv_none());
    assert!(poll(none.as_mut()).is_pending());
    ends.settle();
    assert_eq!(now(none), Ok(()));
    assert_eq!(ends.recv(), Ok(id(2)));
}

#[test]
fn future_dropped_after_its_wake_up_takes_no_message() {
    let ends = Ends::new(4);
    let (count, other) = (Arc::<Count>::default(), Arc::<Count>::default());
    let wakers = [Waker::from(Arc::clone(&count)), Waker::from(Arc::clone(&other))];
    let [mut first, mut second] = [Box::pin(ends.second.recv()), Box::pin(ends.second.recv())];
    for (future, waker) in [&mut first, &mut second].into_iter().zip(&wakers) {
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    ends.send([1]);
    let woken = |count: &Count| count.0.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((woken(&count), woken(&other)), (1, 1), "each looks for itself");
    drop(first);
    assert_eq!(now(second), Ok(id(1)));
}

#[test]
fn calls_go_to_the_handler_past_messages_that_wait() {
    let ends = Ends::new(4);
    ends.send([1]);
    let client = post::RpcClient::new(&ends.first);
    assert_eq!(ends.wait(client.ask_async(1, "two")), Ok(4));
    assert_eq!(ends.recv(), Ok(id(1)));
}

#[test]
fn an_inbox_alone_refuses_calls() {
    let (ws, (first, second, ..)) = (Waitset::new(), fake::pair(usize::MAX));
    let first = post::over(Box::new(first), &ws, post::RxVtbl::default()).expect("a fake channel");
    let _second =
        post::over(Box::new(second), &ws, flounder::Inbox::new(1)).expect("a fake channel");
    let client = post::RpcClient::new(&first);
    let call = client.ask_async(1, "x").timeout(TIMEOUT);
    assert_eq!(ws.block_on(call).expect("no callback fails"), Err(RpcError::NoReply));
}

#[test]
fn a_blocking_call_does_not_wait_for_a_full_inbox() {
    let ends = Ends::new(1);
    for message in [id(1), Message::AskResponse { id: 1, result: 5 }] {
        ends.first.tx(&message).expect("the channel has room");
    }
    let client = post::RpcClient::new(&ends.second);
    assert_eq!(client.ask(1, "x"), Err(RpcError::WouldDeadlock), "filled while it waits");
    assert_eq!(client.ask(1, "x"), Err(RpcError::WouldDeadlock), "full before");
    assert_eq!(ends.recv(), Ok(id(1)));
}

#[test]
fn the_end_comes_after_everything_that_was_sent_before() {
    let ends = Ends::new(2);
    let mut waiting = pin!(ends.second.recv_none());
    assert!(poll(waiting.as_mut()).is_pending());
    ends.send([1, 2, 3]);
    ends.first.teardown();
    ends.settle();
    assert_eq!(*ends.errors.borrow(), [], "the inbox has no room for the end");
    assert_eq!(ends.recv(), Ok(id(1)));
    ends.settle();
    assert_eq!(ends.recv(), Ok(id(2)));
    ends.settle();
    assert_eq!(*ends.errors.borrow(), [BindingError::Closed]);
    let ended = RecvError::Ended(BindingError::Closed);
    assert_eq!(now(waiting), Err(ended.clone()), "none will come");
    assert_eq!(ends.recv(), Ok(id(3)));
    assert_eq!(ends.recv(), Err(ended.clone()));
    assert_eq!(ends.recv(), Err(ended));
}

#[test]
fn a_task_that_waits_is_woken_by_the_end() {
    for own in [false, true] {
        let ends = Ends::new(2);
        let binding = ends.second.clone();
        let task = ends.ws.spawn_local(async move { binding.recv().await });
        ends.settle();
        if own {
            ends.second.teardown()
        } else {
            ends.first.teardown()
        }
        assert_eq!(ends.wait(task), Err(RecvError::Ended(BindingError::Closed)));
    }
}

#[test]
fn a_message_that_cannot_be_read_ends_the_binding() {
    let ends = Ends::new(4);
    ends.send([1]);
    let forged = fake::Message { number: 7, words: vec![1 << 32], caps: Vec::new() };
    ends.there.messages.borrow_mut().push_back(forged);
    ends.send([2]);
    assert_eq!(ends.recv(), Ok(id(1)));
    let error = BindingError::Decode { message: "id", error: DecodeError::Padding };
    assert_eq!(ends.recv(), Err(RecvError::Ended(error.clone())));
    ends.settle();
    assert_eq!(ends.errors.take(), std::slice::from_ref(&error));
    assert_eq!(ends.recv(), Err(RecvError::Ended(error)), "nothing behind it is believed");
}

#[test]
fn a_stream_gives_all_messages_and_ends_with_the_binding() {
    let ends = Ends::new(2);
    ends.send([1, 2]);
    ends.first.teardown();
    let mut stream = pin!(ends.second.messages());
    let mut got = Vec::new();
    for _ in 0..3 {
        ends.settle();
        if let Poll::Ready(Some(message)) =
            stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop()))
        {
            got.push(message);
        }
    }
    assert_eq!(got, [id(1), id(2)]);
    let end = stream.poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(end, Poll::Ready(None)));
    assert_eq!(ends.second.ended(), Some(BindingError::Closed));
}

#[test]
fn a_binding_with_handlers_has_no_inbox() {
    let ends = Ends::new(1);
    assert_eq!(now(ends.first.recv()), Err(RecvError::NoInbox));
}

/// A service that answers each message with its like, over every driver that works within a thread.
#[test]
fn services_and_clients_talk_in_values() {
    for driver in ["loopback", "lmp", "ump"] {
        let ws = Waitset::new();
        let served = Rc::new(Cell::new(0));
        let export = post::export(&ws, {
            let served = Rc::clone(&served);
            move |_: &Peer| {
                let served = Rc::clone(&served);
                Ok(flounder::Inbox::new(2).on_bound(move |binding: post::Binding| {
                    let ws = binding.waitset().expect("it runs from there");
                    ws.spawn_local(serve(binding, served)).detach();
                }))
            }
        });
        let iref = export.wait().expect("it can be exported").iref();
        let bind = post::bind(iref, &ws, flounder::Inbox::new(2)).driver(driver).timeout(TIMEOUT);
        let binding = bind.wait().expect("the service is there");
        assert_eq!(binding.driver(), driver);
        let patience = ws.after(TIMEOUT, |_| Err("nothing came".into()));
        let talk = async {
            for n in 0..200 {
                let message = Message::Text { s: n.to_string(), bytes: vec![1; n % 16] };
                binding.tx(&message).expect("the binding is free").await.expect("it is sent");
                assert_eq!(binding.recv().await, Ok(message));
            }
        };
        ws.block_on(talk).expect("it ends in time");
        assert!(patience.cancel());
        assert_eq!(served.get(), 200, "over {driver}");
    }
}

async fn serve(binding: post::Binding, served: Rc<Cell<usize>>) {
    while let Ok(message) = binding.recv().await {
        served.set(served.get() + 1);
        binding.tx(&message).expect("the binding is free").await.expect("it is sent");
    }
}

proptest! {
    /// What decodes is what would be sent: no words have two readings.
    #[test]
    fn what_decodes_encodes_to_the_same_words(
        number in 0u16..12,
        words in proptest::collection::vec(prop_oneof![0u64..20, any::<u64>()], 0..6),
    ) {
        if let Ok(message) = decode(number, &words, Vec::new()) {
            let encoded = MessageBuffer::encode(&message).expect("it was within its bounds");
            prop_assert_eq!((encoded.number, encoded.words), (number, words));
        }
    }
}
