//! Streams: one event delivers several messages, and nothing else of the program notices.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use flounder::drivers::{loopback::Loopback, ump::Ump};
use flounder::{Inbox, Waitset};
use flounder_conformance::TestLink;
use flounder_rt::channel::{Channel, Connector, End};
use flounder_rt::notify::Notifier;

flounder::flounder! {
    interface stream "Many messages" {
        message item(uint64 n);
        message words(uint64 n, uint64 a, uint64 b, uint64 c, uint64 d, uint64 e, uint64 f);
        message bytes(uint64 n, uint8 data[length, 4096]);
        rpc count(out uint64 received);
    };
}

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Drivers whose channels have room for [`MANY`] messages, of one line or of two.
const KINDS: [&str; 6] =
    ["threads", "processes", "loopback", "threads, long", "processes, long", "loopback, long"];
/// Messages that fit in every channel.
const MANY: u64 = 60;

type Hook = Box<dyn FnMut(&stream::Binding, u64)>;

struct Items {
    seen: Rc<RefCell<Vec<u64>>>,
    hook: Hook,
}

impl stream::Rx for Items {
    fn item(&mut self, b: &stream::Binding, n: u64) {
        self.seen.borrow_mut().push(n);
        (self.hook)(b, n);
    }

    fn words(
        &mut self,
        b: &stream::Binding,
        n: u64,
        _: u64,
        _: u64,
        _: u64,
        _: u64,
        _: u64,
        _: u64,
    ) {
        self.item(b, n);
    }

    fn bytes(&mut self, b: &stream::Binding, n: u64, _: &[u8]) {
        self.item(b, n);
    }

    fn count(&mut self, _: &stream::Binding, reply: stream::CountReply) {
        reply.send(self.seen.borrow().len() as u64);
    }
}

/// The sending end, and the receiving end with what it has seen.
struct Stream {
    client: stream::ClientBinding,
    served: stream::Binding,
    seen: Rc<RefCell<Vec<u64>>>,
    ws: Waitset,
    next: Cell<u64>,
    /// Bytes of a long message; `None` for messages of one line.
    length: Option<usize>,
    /// The binding of the client ends with its waitset.
    _sending: Waitset,
}

impl Stream {
    fn over(kind: &str, ws: &Waitset, hook: impl FnMut(&stream::Binding, u64) + 'static) -> Self {
        let (kind, length) =
            kind.strip_suffix(", long").map_or((kind, None), |kind| (kind, Some(64)));
        let (client, service) = pair(kind);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let items = Items { seen: Rc::clone(&seen), hook: Box::new(hook) };
        let sending = if kind == "loopback" { ws.clone() } else { Waitset::new() };
        let attached = "the channel is new";
        Self {
            client: stream::over(client, &sending, ()).expect(attached),
            served: stream::over(service, ws, items).expect(attached),
            seen,
            ws: ws.clone(),
            next: Cell::new(0),
            length,
            _sending: sending,
        }
    }

    /// Sends `count` more numbers.
    fn send(&self, count: u64) {
        for n in self.next.get()..self.next.get() + count {
            let sent = match self.length {
                Some(length) => self.client.tx_bytes(n, &vec![1; length]),
                None => self.client.tx_item(n),
            };
            sent.expect("there is room");
        }
        self.next.set(self.next.get() + count);
    }

    fn received(&self) -> u64 {
        self.seen.borrow().len() as u64
    }

    /// Dispatches until everything that was sent is received.
    fn drain(&self) {
        self.dispatch_until(|| self.received() >= self.next.get());
    }

    fn dispatch_until(&self, done: impl FnMut() -> bool) {
        let deadline = Some(Instant::now() + PATIENCE);
        assert!(self.ws.dispatch_until(deadline, done).expect("the waitset works"));
    }

    /// Dispatches until message `n` is received, by events that have no condition to look at.
    fn dispatch_past(&self, n: u64) {
        while self.received() <= n {
            self.ws.dispatch().expect("the waitset works");
        }
    }

    /// The receiver has seen a stream, and received all of it.
    fn warm_up(&self) {
        while self.received() < 2 * MANY {
            self.send(MANY);
            self.drain();
        }
    }

    /// Returns the most messages that one event delivers of ten bursts, which arrive in order.
    fn longest_run(&self) -> u64 {
        let mut longest = 0;
        for _ in 0..10 {
            self.send(MANY);
            while self.received() < self.next.get() {
                let before = self.received();
                self.ws.dispatch().expect("the waitset works");
                longest = longest.max(self.received() - before);
            }
        }
        self.assert_in_order();
        longest
    }

    fn assert_in_order(&self) {
        let expected: Vec<_> = (0..self.received()).collect();
        assert_eq!(*self.seen.borrow(), expected);
    }
}

fn pair(kind: &str) -> (Box<dyn Channel>, Box<dyn Channel>) {
    let end = || End { notifier: Notifier::new(), connection: 0, buffer: 0 };
    match kind {
        "loopback" => Loopback.pair_local(&end(), &end()).expect("it reaches this thread"),
        "processes" => {
            let (here, there) = TestLink::pair();
            let (client, service) = TestLink::connect_over(&Ump, &end(), &end(), &here, &there);
            (client, service)
        }
        _ => {
            let (client, service) = Ump.pair(&end(), &end()).expect("it reaches this process");
            (client, service)
        }
    }
}

#[test]
fn one_event_delivers_at_most_a_run_in_order() {
    for kind in KINDS {
        let stream = Stream::over(kind, &Waitset::new(), |_, _| {});
        stream.warm_up();
        assert_eq!(stream.longest_run(), 32, "{kind}");
    }
}

#[test]
fn a_run_has_fewer_messages_if_they_are_long() {
    let mut stream = Stream::over("loopback, long", &Waitset::new(), |_, _| {});
    stream.warm_up();
    // Each counts as three.
    stream.length = Some(4096);
    assert_eq!(stream.longest_run(), 11);
}

#[test]
fn messages_of_several_kinds_keep_their_order() {
    for kind in KINDS {
        let stream = Stream::over(kind, &Waitset::new(), |_, _| {});
        for n in 0..1000 {
            if n % 7 == 0 {
                stream.client.tx_bytes(n, &[1; 100]).expect("there is room");
            } else if n % 3 == 0 || n % 64 > 40 {
                stream.client.tx_words(n, 1, 2, 3, 4, 5, 6).expect("there is room");
            } else {
                stream.client.tx_item(n).expect("there is room");
            }
            stream.next.set(n + 1);
            if n % MANY == 0 {
                stream.drain();
            }
        }
        stream.drain();
        stream.assert_in_order();
    }
}

#[test]
fn messages_that_come_alone_are_events_of_their_own() {
    for kind in KINDS {
        let stream = Stream::over(kind, &Waitset::new(), |_, _| {});
        stream.warm_up();
        for _ in 0..100 {
            stream.send(1);
            let before = stream.received();
            stream.ws.dispatch().expect("the waitset works");
            assert_eq!(stream.received(), before + 1, "{kind}");
        }
    }
}

#[test]
fn a_flood_holds_a_quiet_binding_back_by_one_run() {
    let ws = Waitset::new();
    let received = Rc::new(Cell::new(0));
    let counted = Rc::clone(&received);
    let flood = Stream::over("threads", &ws, move |_, _| counted.set(counted.get() + 1));
    let at = Rc::new(Cell::new(None));
    let quiet: Vec<_> = (0..63)
        .map(|_| {
            let (at, received) = (Rc::clone(&at), Rc::clone(&received));
            Stream::over("threads", &ws, move |_, _| at.set(Some(received.get())))
        })
        .collect();
    flood.warm_up();
    for quiet in &quiet {
        // The flood has begun, and is in the middle of a run when the quiet message arrives.
        flood.send(300);
        ws.dispatch().expect("the waitset works");
        let arrived = received.get();
        quiet.send(1);
        at.set(None);
        flood.dispatch_until(|| at.get().is_some());
        let between = at.get().expect("it has come") - arrived;
        assert!(between <= 32, "{between} messages of the flood before a quiet one");
        flood.drain();
    }
}

/// Has a handler `act` in the middle of a run, and dispatches until it has. Nothing is delivered after its message: the
/// messages of the same run that follow are there already.
fn act_in_a_run(kind: &str, ws: &Waitset, act: impl Fn(&stream::Binding) + 'static) -> Stream {
    let stop = Rc::new(Cell::new(u64::MAX));
    let at = Rc::clone(&stop);
    let stream = Stream::over(kind, ws, move |b, n| {
        if n == at.get() {
            act(b);
        }
    });
    stream.warm_up();
    stop.set(stream.next.get() + 9);
    stream.send(MANY);
    stream.dispatch_past(stop.get());
    assert_eq!(stream.received(), stop.get() + 1, "{kind}");
    stream
}

/// Dispatches what there is, and checks that no message is delivered.
fn assert_ended(stream: &Stream) {
    let received = stream.received();
    while stream.ws.try_dispatch().expect("the waitset works") {}
    assert_eq!(stream.received(), received);
}

#[test]
fn a_run_ends_when_a_handler_tears_down() {
    for kind in KINDS {
        assert_ended(&act_in_a_run(kind, &Waitset::new(), stream::Binding::teardown));
    }
}

#[test]
fn a_run_ends_when_a_handler_panics() {
    for kind in KINDS {
        assert_ended(&act_in_a_run(kind, &Waitset::new(), |_| panic!("a planted panic")));
    }
}

#[test]
fn a_run_ends_when_a_handler_dispatches() {
    for kind in KINDS {
        let ws = Waitset::new();
        let nested = ws.clone();
        let stream = act_in_a_run(kind, &ws, move |_| {
            nested.post(|_| Ok(()));
            nested.dispatch().expect("the waitset works");
        });
        stream.drain();
        stream.assert_in_order();
    }
}

#[test]
fn a_run_ends_when_a_handler_changes_the_waitset() {
    for kind in ["threads", "processes", "threads, long", "processes, long"] {
        let other = Waitset::new();
        let new = other.clone();
        let stream = act_in_a_run(kind, &Waitset::new(), move |b| {
            b.change_waitset(&new).expect("the binding is open");
        });
        assert_ended(&stream);
        let deadline = Some(Instant::now() + PATIENCE);
        let done = || stream.received() == stream.next.get();
        assert!(other.dispatch_until(deadline, done).expect("the waitset works"));
        stream.assert_in_order();
    }
}

#[test]
fn a_run_ends_when_the_inbox_is_full() {
    const BOUND: usize = 20;
    let (client, service) = pair("threads");
    let (ws, other) = (Waitset::new(), Waitset::new());
    let client: stream::ClientBinding =
        stream::over(client, &other, ()).expect("the channel is new");
    let inbox = Inbox::new(BOUND);
    let served: stream::Binding = stream::over(service, &ws, inbox).expect("the channel is new");
    let mut context = Context::from_waker(Waker::noop());
    let mut expected = 0;
    for round in 0..20 {
        for n in 0..MANY {
            client.tx_item(round * MANY + n).expect("there is room");
        }
        while expected < (round + 1) * MANY {
            while ws.try_dispatch().expect("the waitset works") {}
            let mut taken = 0;
            while let Poll::Ready(item) = pin!(served.recv_item()).poll(&mut context) {
                assert_eq!(item.expect("the binding is open"), expected);
                (expected, taken) = (expected + 1, taken + 1);
            }
            assert!((1..=BOUND).contains(&taken), "{taken} messages in the inbox");
        }
    }
}

#[test]
fn a_run_ends_when_what_is_dispatched_for_has_come() {
    for kind in KINDS {
        let stream = Stream::over(kind, &Waitset::new(), |_, _| {});
        stream.warm_up();
        stream.send(MANY);
        for wanted in [1, 2, 30, 31, 33] {
            let wanted = stream.next.get() - MANY + wanted;
            stream.dispatch_until(|| stream.received() == wanted);
            assert_eq!(stream.received(), wanted, "{kind}");
        }
        stream.drain();
        stream.assert_in_order();
    }
}

#[test]
fn what_a_run_has_left_is_an_event() {
    for kind in KINDS {
        let stream = Stream::over(kind, &Waitset::new(), |_, _| {});
        stream.warm_up();
        stream.send(10);
        let some = stream.received() + 3;
        stream.dispatch_until(|| stream.received() == some);
        let event = stream.ws.check_for_event().expect("the waitset works");
        event.expect("seven messages are left").run().expect("the waitset works");
        stream.drain();
        stream.assert_in_order();
    }
}

#[test]
fn a_condition_that_is_true_once_is_enough() {
    let stream = Stream::over("threads", &Waitset::new(), |_, _| {});
    stream.warm_up();
    stream.send(MANY);
    let (mut asked, wanted) = (0, stream.received() + 5);
    stream.dispatch_until(|| {
        let has_come = stream.received() == wanted && asked == 0;
        asked += u32::from(has_come);
        has_come
    });
    assert_eq!(stream.received(), wanted);
}

#[test]
fn a_condition_that_panics_loses_no_message() {
    let stream = Stream::over("threads", &Waitset::new(), |_, _| {});
    stream.warm_up();
    stream.send(MANY);
    let stop = stream.received() + 5;
    let result = catch_unwind(AssertUnwindSafe(|| {
        stream.dispatch_until(|| {
            assert_ne!(stream.received(), stop, "a planted panic");
            false
        });
    }));
    assert!(result.is_err());
    stream.drain();
    stream.assert_in_order();
}

#[test]
fn a_condition_may_call_through_the_binding() {
    let stream = Stream::over("loopback", &Waitset::new(), |_, _| {});
    stream.warm_up();
    stream.send(MANY);
    let client = stream::RpcClient::new(&stream.client);
    let mut answers = 0;
    // The queue of a loopback channel has no room for the call until it is drained.
    stream.dispatch_until(|| {
        let has_room = stream.received() == stream.next.get();
        answers += u32::from(has_room && client.count().is_ok());
        answers > 0
    });
    assert!(stream.served.can_send());
    stream.assert_in_order();
}

#[test]
fn a_run_ends_when_the_future_is_woken() {
    for kind in KINDS {
        let wanted = Rc::new(Cell::new(u64::MAX));
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let (at, wake) = (Rc::clone(&wanted), Rc::clone(&waker));
        let stream = Stream::over(kind, &Waitset::new(), move |_, n| {
            if n == at.get()
                && let Some(waker) = wake.borrow_mut().take()
            {
                waker.wake();
            }
        });
        stream.warm_up();
        stream.send(MANY);
        wanted.set(stream.received() + 7);
        let woken = poll_fn(|cx| {
            if stream.received() > wanted.get() {
                return Poll::Ready(stream.received());
            }
            *waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        });
        let received = stream.ws.block_on(woken).expect("the waitset works");
        assert_eq!(received, wanted.get() + 1, "{kind}");
    }
}
