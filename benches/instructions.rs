//! What `ci/instructions.sh` counts: the instructions of one message, through generated stubs and a waitset.
//!
//! Counts say what changed, to the instruction and on any machine, where times on a busy one say nothing. Both ends live in
//! one thread, so that the work of each is all there is to count; what the transfer of a cache line costs is measured
//! elsewhere. `instructions CASE` runs one case and prints how many units of work each part of it did, and the time of both
//! ends together for one; `instructions` alone runs all of them.

use core::cell::Cell;
use core::future::Future;
use core::hint::black_box;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;
use std::time::Instant;

use flounder::drivers::{loopback::Loopback, ump::Ump};
use flounder::{Call, Waitset};
use flounder_conformance::TestLink;
use flounder_rt::channel::{Channel, Connector, End};
use flounder_rt::notify::Notifier;
use flounder_rt::waitset::MAX_RUN;

flounder::flounder! {
    interface work "What is counted" {
        message ping(uint64 a);
        message note(uint8 b[n, 1048576]);
        rpc next(in uint64 a, out uint64 b);
    };
}

/// Messages of one batch.
const BATCH: usize = 200;
/// Batches of small messages.
const BATCHES: usize = 500;
/// Batches before: buffers grow, lazy bindings are made.
const WARM_UP: usize = 3;

/// Large messages of one case.
const LARGE: usize = 50;
/// Bytes that fit in a line with their length, and in three quarters of a ring of the default size.
const SMALL_NOTE: usize = 48;
const RING_NOTE: usize = 40 << 10;
/// Bytes that do not fit in the ring.
const LONG_NOTE: usize = 1 << 20;

/// Calls of one case.
const CALLS: u64 = 50_000;

/// Words of payload in a line.
const LINE: usize = 7;

fn main() {
    let cases = [
        "ump-alone",
        "ump-run",
        "ump-ping",
        "ump-note",
        "ump-large",
        "ump-long",
        "ump-call",
        "mapped-alone",
        "mapped-run",
        "mapped-ping",
        "mapped-large",
        "loopback-ping",
    ];
    let wanted = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    for case in cases {
        if wanted.as_deref().is_none_or(|wanted| wanted == case) {
            let start = Instant::now();
            let units = run(case);
            let each = start.elapsed().as_secs_f64() * 1e9 / units as f64;
            println!("{case} {units} units, {each:.1} ns each");
        }
    }
}

/// Runs a case and returns the units of work that it did: messages, or lines if the messages are long.
fn run(case: &str) -> usize {
    let (kind, message) = case.split_once('-').expect("a case has two parts");
    let ends = Ends::over(kind);
    match message {
        "note" => {
            let note = [7; SMALL_NOTE];
            for _ in 0..WARM_UP + BATCHES {
                send_notes(&ends.client, &note, BATCH);
                receive_until(&ends, BATCH);
            }
            ends.finish((WARM_UP + BATCHES) * BATCH)
        }
        "large" => {
            let note = vec![7; RING_NOTE];
            for _ in 0..LARGE {
                send_notes(&ends.client, &note, 1);
                receive_until(&ends, 1);
            }
            ends.finish(LARGE) * lines(RING_NOTE)
        }
        "long" => {
            let note = vec![7; LONG_NOTE];
            for _ in 0..LARGE {
                exchange(&ends, &note);
            }
            ends.finish(LARGE) * lines(LONG_NOTE)
        }
        "call" => {
            let client = work::RpcClient::new(&ends.client);
            for n in 0..CALLS {
                let call = ask(&client, n);
                ends.served.dispatch().expect("the waitset works");
                answer(&ends.sending, call);
            }
            ends.finish(CALLS as usize)
        }
        "alone" => {
            for _ in 0..BATCHES * BATCH {
                send_batch(&ends.client, 1);
                receive_until(&ends, 1);
            }
            ends.finish(BATCHES * BATCH)
        }
        "run" => {
            for _ in 0..BATCHES {
                send_batch(&ends.client, MAX_RUN);
                receive_until(&ends, MAX_RUN);
            }
            ends.finish(BATCHES * MAX_RUN)
        }
        _ => {
            for _ in 0..WARM_UP + BATCHES {
                // A loopback queue has 64 places.
                for _ in 0..BATCH / 50 {
                    send_batch(&ends.client, 50);
                    receive_until(&ends, 50);
                }
            }
            ends.finish((WARM_UP + BATCHES) * BATCH)
        }
    }
}

/// Makes a call as a future and polls it once, which sends it.
#[inline(never)]
fn ask(client: &work::RpcClient, n: u64) -> Call<work::NextReply> {
    let mut call = client.next_async(black_box(n));
    assert!(Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    call
}

/// Receives its reply.
#[inline(never)]
fn answer(waitset: &Waitset, mut call: Call<work::NextReply>) {
    let reply = loop {
        waitset.dispatch().expect("the waitset works");
        // The first event may be the timer of the usual time of calls.
        match Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {}
            Poll::Ready(reply) => break reply,
        }
    };
    assert!(reply.is_ok(), "the reply has come");
}

/// Lines of a message of so many bytes: its length and theirs each take a word more.
fn lines(bytes: usize) -> usize {
    (2 + bytes / 8).div_ceil(LINE)
}

#[inline(never)]
fn send_batch(binding: &work::ClientBinding, count: usize) {
    for message in 0..count {
        binding.tx_ping(black_box(message as u64)).expect("there is room");
    }
}

#[inline(never)]
fn send_notes(binding: &work::ClientBinding, note: &[u8], count: usize) {
    for _ in 0..count {
        binding.tx_note(black_box(note)).expect("there is room");
    }
}

#[inline(never)]
fn receive_until(ends: &Ends, count: usize) {
    let target = ends.received.get() + count;
    while ends.received.get() < target {
        ends.served.dispatch().expect("the waitset works");
    }
}

/// Sends and receives a message that does not fit in the ring, both ends by turns.
#[inline(never)]
fn exchange(ends: &Ends, note: &[u8]) {
    let target = ends.received.get() + 1;
    ends.client.tx_note(note).expect("there is room");
    while ends.received.get() < target {
        ends.sending.try_dispatch().expect("the waitset works");
        ends.served.try_dispatch().expect("the waitset works");
    }
}

/// Two ends of a channel in this thread, with a waitset each, or both with one where the driver requires that.
struct Ends {
    client: work::ClientBinding,
    _service: work::Binding,
    sending: Waitset,
    served: Waitset,
    received: Rc<Cell<usize>>,
}

struct Count(Rc<Cell<usize>>);

/// Handlers of the client. In no case does a message come to them.
struct Caller;

impl work::ClientRx for Caller {
    fn ping(&mut self, _: &work::ClientBinding, _: u64) {}

    fn note(&mut self, _: &work::ClientBinding, _: &[u8]) {}
}

impl work::Rx for Count {
    fn ping(&mut self, _binding: &work::Binding, a: u64) {
        black_box(a);
        self.0.set(self.0.get() + 1);
    }

    fn next(&mut self, _binding: &work::Binding, a: u64, reply: work::NextReply) {
        self.0.set(self.0.get() + 1);
        reply.send(a + 1);
    }

    fn note(&mut self, _binding: &work::Binding, b: &[u8]) {
        black_box(b);
        self.0.set(self.0.get() + 1);
    }
}

impl Ends {
    /// Over ump between threads, over ump as between processes, or over loopback.
    fn over(kind: &str) -> Self {
        let served = Waitset::new();
        let (sending, (client, service)) = match kind {
            "loopback" => (served.clone(), Loopback.pair_local(&end(), &end()).expect("it can")),
            "mapped" => {
                let (here, there) = TestLink::pair();
                let (client, service) = TestLink::connect_over(&Ump, &end(), &end(), &here, &there);
                (Waitset::new(), (client as Box<dyn Channel>, service as Box<dyn Channel>))
            }
            _ => {
                let (client, service) = Ump.pair(&end(), &end()).expect("it reaches this process");
                (Waitset::new(), (client as Box<dyn Channel>, service as Box<dyn Channel>))
            }
        };
        let received = Rc::new(Cell::new(0));
        let count = Count(Rc::clone(&received));
        Self {
            client: work::over(client, &sending, Caller).expect("no descriptor is needed"),
            _service: work::over(service, &served, count).expect("no descriptor is needed"),
            sending,
            served,
            received,
        }
    }

    fn finish(&self, count: usize) -> usize {
        assert_eq!(self.received.get(), count, "every message is received, once");
        count
    }
}

fn end() -> End {
    End { notifier: Notifier::new(), connection: 0, buffer: 0 }
}
