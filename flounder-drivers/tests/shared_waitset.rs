//! Bindings whose handlers run on any thread of a `SharedWaitset`, over every driver that reaches another thread.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use flounder_drivers::registry;
use flounder_rt::binding::{
    Call, Dispatch, Procedure, RawBinding, Received, Reply, Response, Shared, SharedDispatch,
    SharedEndpoint, SharedReplyToken, Timeout,
};
use flounder_rt::channel::{Channel, End, MessageLimit};
use flounder_rt::interface::{Interface, MessageInfo, MessageKind};
use flounder_rt::notify::Notifier;
use flounder_rt::wire::DecodeError;
use flounder_rt::{BindingError, RpcError, SharedWaitset, TxError, Waitset};

const PATIENCE: Duration = Duration::from_secs(20);

const NOTE: u16 = 1;
const CALL: u16 = 2;
const RESPONSE: u16 = 3;
const LONG: u16 = 4;

const fn message(number: u16, name: &'static str) -> MessageInfo {
    let kind = match number {
        CALL => MessageKind::RpcCall { at: 0 },
        RESPONSE => MessageKind::RpcResponse { at: 0 },
        _ => MessageKind::Message,
    };
    let args = "value: uint64";
    let limit = MessageLimit { words: 1000, caps: 0 };
    MessageInfo {
        number,
        name,
        kind,
        args,
        annotations: &[],
        fingerprint: number as u128,
        limit,
        bulks: flounder_rt::wire::Bulks::NONE,
    }
}

const MESSAGES: &[MessageInfo] =
    &[message(1, "note"), message(2, "call"), message(3, "response"), message(4, "long")];

/// `message note(uint64 value); rpc double(in uint64 a, out uint64 b); message long(uint64 w[n, 999]);`
const INTERFACE: &Interface = &Interface {
    name: "by_hand",
    description: "written by hand",
    messages: MESSAGES,
    limits: &[
        MessageLimit { words: 1, caps: 0 },
        MessageLimit { words: 2, caps: 0 },
        MessageLimit { words: 2, caps: 0 },
        MessageLimit { words: 1000, caps: 0 },
    ],
    fingerprint: Interface::digest("by_hand", MESSAGES),
};

struct Doubled;

impl Reply for Doubled {
    type Values = u64;
    type Response = Self;
}

impl Response for Doubled {
    const NUMBER: u16 = RESPONSE;
    const ID: usize = 0;
    type Values = u64;

    fn returned(message: Received<'_>) -> Result<u64, DecodeError> {
        let short = DecodeError::Short { need: 2, have: message.words.len() };
        message.words.get(1).copied().ok_or(short)
    }
}

/// What arrived.
enum Event {
    Note(u64),
    Call(SharedReplyToken, u64),
    Long(u64),
    Error(BindingError),
}

/// Handlers for any thread.
struct Handlers<F>(F);

impl<F: FnMut(&SharedEndpoint, Event) + Send> SharedDispatch for Handlers<F> {
    fn deliver(
        &mut self,
        end: &SharedEndpoint,
        mut message: Received<'_>,
    ) -> Result<(), DecodeError> {
        let short = DecodeError::Short { need: 1, have: 0 };
        match (message.number, message.words) {
            (NOTE, [value]) => (self.0)(end, Event::Note(*value)),
            (LONG, [value, ..]) => (self.0)(end, Event::Long(*value)),
            (CALL, [id, value]) => {
                let reply = SharedReplyToken::new(end, *id as u32, RESPONSE).expect("no thread");
                (self.0)(end, Event::Call(reply, *value));
            }
            (RESPONSE, _) => return end.answer(&mut message, 0, 2),
            _ => return Err(short),
        }
        Ok(())
    }

    fn error(&mut self, end: &SharedEndpoint, error: BindingError) {
        (self.0)(end, Event::Error(error));
    }
}

fn attach(
    channel: Box<dyn Channel + Send>,
    notifier: Notifier,
    ws: &SharedWaitset,
    handler: impl FnMut(&SharedEndpoint, Event) + Send + 'static,
) -> SharedEndpoint {
    let peer = flounder_rt::Peer::this_process();
    let handler = Box::new(Handlers(handler));
    SharedEndpoint::attach_from(channel, ws, INTERFACE, handler, notifier, peer, None)
        .expect("the waitset watches the channel")
}

/// Answers calls with the double.
fn double(_: &SharedEndpoint, event: Event) {
    if let Event::Call(reply, value) = event {
        let id = reply.id().into();
        reply.send(&[id, 2 * value], &[]);
    }
}

fn ignore(_: &SharedEndpoint, _: Event) {}

/// One end of a channel.
type Half = (Box<dyn Channel + Send>, Notifier);

fn pair(driver: &str) -> (Half, Half) {
    let end = || End { notifier: Notifier::new(), connection: 0, buffer: 0 };
    let (near, far) = (end(), end());
    let driver = registry::find(driver).expect("it is built in");
    let (client, service) = driver.pair(&near, &far).expect("the driver reaches another thread");
    ((client, near.notifier), (service, far.notifier))
}

/// Handlers of a client of one thread.
struct Client(Arc<AtomicU64>);

impl Dispatch for Client {
    fn deliver(&mut self, raw: &RawBinding, mut message: Received<'_>) -> Result<(), DecodeError> {
        match message.number {
            RESPONSE => raw.answer(&mut message, 0, 2),
            _ => {
                self.0.fetch_add(message.words[0], Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn error(&mut self, _: &RawBinding, _: BindingError) {}
}

fn client_of_a_thread(half: Half, ws: &Waitset) -> RawBinding {
    let (channel, notifier) = half;
    let peer = flounder_rt::Peer::this_process();
    let handler = Box::new(Client(Arc::default()));
    RawBinding::attach_from(channel, ws, INTERFACE, handler, notifier, peer, None)
        .expect("the waitset watches the channel")
}

fn note(end: &SharedEndpoint, value: u64) -> Result<(), TxError> {
    end.send(NOTE, &[value], &[], Vec::new()).wait()
}

fn call(end: &SharedEndpoint, value: u64) -> Call<Doubled, Shared> {
    end.call(CALL, &[0, value], &[], Vec::new(), Timeout::For(PATIENCE))
}

/// Threads that dispatch a waitset, until this is dropped.
struct Threads {
    ws: SharedWaitset,
    ends: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Threads {
    fn new(count: usize) -> Self {
        let (ws, ends) = (SharedWaitset::new(), Arc::new(AtomicBool::new(false)));
        let threads = (0..count).map(|_| {
            let (ws, ends) = (ws.clone(), Arc::clone(&ends));
            thread::spawn(move || {
                ws.dispatch_until(None, || ends.load(Ordering::Acquire))
                    .expect("no callback fails");
            })
        });
        Self { threads: threads.collect(), ws, ends }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        self.ws.wake_all();
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a thread of the waitset panicked");
        }
    }
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        thread::yield_now();
    }
}

macro_rules! over_every_driver {
    ($($story:ident),* $(,)?) => {
        mod ump { $(#[test] fn $story() { super::$story("ump"); })* }
        mod lmp { $(#[test] fn $story() { super::$story("lmp"); })* }
        #[cfg(feature = "scc")]
        mod scc { $(#[test] fn $story() { super::$story("scc"); })* }
        #[cfg(feature = "beehive")]
        mod beehive { $(#[test] fn $story() { super::$story("beehive"); })* }
    };
}

over_every_driver!(
    every_message_is_handled_once_and_in_order,
    every_call_is_answered_once,
    handlers_of_two_bindings_overlap,
    handler_that_blocks_delays_no_other_binding,
    handler_and_another_thread_send_at_once,
    panic_of_a_handler_ends_its_binding_only,
    close_while_others_send_loses_nothing_that_was_accepted,
    end_of_the_peer_is_reported_after_its_messages,
    reply_is_sent_from_another_thread,
    blocking_call_in_its_own_handler_is_refused,
    call_that_nobody_answers_ends_at_its_deadline,
    last_clone_of_the_waitset_sends_what_was_accepted,
    full_channel_makes_senders_wait,
    long_messages_arrive_whole,
    idle_binding_wakes_a_sleeping_thread,
);

/// The program `mt_waitset` of Barrelfish: several threads dispatch one waitset, and clients flood it.
fn every_message_is_handled_once_and_in_order(driver: &str) {
    const CLIENTS: u64 = 4;
    const NOTES: u64 = 3000;
    let threads = Threads::new(3);
    let total = Arc::new(AtomicU64::new(0));
    let services: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (near, (channel, notifier)) = pair(driver);
            let (total, mut next) = (Arc::clone(&total), 0);
            let running = AtomicBool::new(false);
            let service = attach(channel, notifier, &threads.ws, move |_, event| {
                assert!(!running.swap(true, Ordering::AcqRel), "two handlers of one binding run");
                if let Event::Note(value) = event {
                    assert_eq!(value, next, "a note is lost, doubled or out of order");
                    next += 1;
                    total.fetch_add(1, Ordering::Relaxed);
                }
                running.store(false, Ordering::Release);
            });
            (near, service)
        })
        .collect();
    let mut ends = Vec::new();
    let clients: Vec<_> = services
        .into_iter()
        .map(|(near, service)| {
            ends.push(service);
            thread::spawn(move || {
                let ws = Waitset::new();
                let client = client_of_a_thread(near, &ws);
                let mut sent = 0;
                let deadline = Instant::now() + PATIENCE;
                while sent < NOTES {
                    match client.send(NOTE, &[sent], &[]) {
                        Ok(_) => sent += 1,
                        Err(TxError::Busy) => {
                            ws.dispatch_until(Some(deadline), || client.can_send()).unwrap();
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                client.close().wait().expect("everything is sent");
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("no client panics"));
    eventually("the last note", || total.load(Ordering::Relaxed) == CLIENTS * NOTES);
    for end in ends {
        eventually("the end of the binding", || end.ended().is_some());
        assert_eq!(end.ended(), Some(BindingError::Closed), "no handler panicked");
    }
}

fn every_call_is_answered_once(driver: &str) {
    const CALLS: u64 = 300;
    let (services, clients) = (Threads::new(2), Threads::new(2));
    let mut callers = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..2 {
        let (near, far) = pair(driver);
        ends.push(attach(far.0, far.1, &services.ws, double));
        let client = attach(near.0, near.1, &clients.ws, ignore);
        for thread in 0..3 {
            let client = client.clone();
            callers.push(thread::spawn(move || {
                for n in 0..CALLS {
                    let value = thread * CALLS + n;
                    assert_eq!(
                        call(&client, value).wait().expect("the service answers"),
                        2 * value
                    );
                }
            }));
        }
    }
    callers.into_iter().for_each(|caller| caller.join().expect("every answer is right"));
}

fn handlers_of_two_bindings_overlap(driver: &str) {
    let threads = Threads::new(2);
    let (meeting, met) = (Arc::new(Barrier::new(2)), mpsc::channel());
    let ends: Vec<_> = (0..2)
        .map(|_| {
            let (near, far) = pair(driver);
            let (meeting, met) = (Arc::clone(&meeting), met.0.clone());
            let service = attach(far.0, far.1, &threads.ws, move |_, event| {
                if let Event::Note(_) = event {
                    meeting.wait();
                    met.send(()).expect("the test waits");
                }
            });
            (attach(near.0, near.1, &threads.ws, ignore), service)
        })
        .collect();
    ends.iter().for_each(|(client, _)| note(client, 0).expect("there is room"));
    (0..2).for_each(|_| met.1.recv_timeout(PATIENCE).expect("both handlers run at once"));
}

fn handler_that_blocks_delays_no_other_binding(driver: &str) {
    let threads = Threads::new(2);
    let (release, blocks) = mpsc::channel::<()>();
    let (near, far) = pair(driver);
    let _blocked = attach(far.0, far.1, &threads.ws, move |_, event| {
        if let Event::Note(_) = event {
            blocks.recv_timeout(PATIENCE).expect("the test releases the handler");
        }
    });
    let blocker = attach(near.0, near.1, &threads.ws, ignore);
    note(&blocker, 0).expect("there is room");
    let (near, far) = pair(driver);
    let _service = attach(far.0, far.1, &threads.ws, double);
    let client = attach(near.0, near.1, &threads.ws, ignore);
    for value in 0..100 {
        assert_eq!(call(&client, value).wait(), Ok(2 * value));
    }
    release.send(()).expect("the handler waits");
}

fn handler_and_another_thread_send_at_once(driver: &str) {
    let threads = Threads::new(2);
    let (near, far) = pair(driver);
    let (began, begins) = mpsc::channel();
    let (release, blocks) = mpsc::channel::<()>();
    let service = attach(far.0, far.1, &threads.ws, move |end, event| {
        if let Event::Note(_) = event {
            note(end, 1).expect("a handler may send");
            began.send(()).expect("the test waits");
            blocks.recv_timeout(PATIENCE).expect("the test releases the handler");
            note(end, 100).expect("a handler may send");
        }
    });
    let sum = Arc::new(AtomicU64::new(0));
    let theirs = Arc::clone(&sum);
    let client = attach(near.0, near.1, &threads.ws, move |_, event| {
        if let Event::Note(value) = event {
            theirs.fetch_add(value, Ordering::Relaxed);
        }
    });
    note(&client, 0).expect("there is room");
    begins.recv_timeout(PATIENCE).expect("the handler runs");
    note(&service, 10).expect("a thread may send while the handler runs");
    eventually("both notes", || sum.load(Ordering::Relaxed) == 11);
    release.send(()).expect("the handler waits");
    eventually("the last note", || sum.load(Ordering::Relaxed) == 111);
}

fn panic_of_a_handler_ends_its_binding_only(driver: &str) {
    let threads = Threads::new(2);
    let (near, far) = pair(driver);
    let service = attach(far.0, far.1, &threads.ws, |_, event| {
        if let Event::Note(_) = event {
            panic!("this is part of the test");
        }
    });
    let client = attach(near.0, near.1, &threads.ws, ignore);
    let (near, far) = pair(driver);
    let other = attach(far.0, far.1, &threads.ws, double);
    let caller = attach(near.0, near.1, &threads.ws, ignore);
    note(&client, 0).expect("there is room");
    eventually("the end of both ends", || service.ended().and(client.ended()).is_some());
    assert_eq!(call(&caller, 4).wait(), Ok(8));
    assert_eq!(other.ended(), None);
}

fn close_while_others_send_loses_nothing_that_was_accepted(driver: &str) {
    let threads = Threads::new(2);
    for _ in 0..20 {
        let (near, far) = pair(driver);
        let count = Arc::new(AtomicU32::new(0));
        let theirs = Arc::clone(&count);
        let service = attach(far.0, far.1, &threads.ws, move |_, event| {
            if let Event::Note(_) = event {
                theirs.fetch_add(1, Ordering::Relaxed);
            }
        });
        let client = attach(near.0, near.1, &threads.ws, ignore);
        let start = Arc::new(Barrier::new(3));
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (client, start) = (client.clone(), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    let accepted = (0..500).take_while(|value| note(&client, *value).is_ok());
                    accepted.count() as u32
                })
            })
            .collect();
        start.wait();
        thread::yield_now();
        client.teardown();
        let accepted: u32 =
            senders.into_iter().map(|sender| sender.join().expect("no panic")).sum();
        eventually("the end of the service's end", || service.ended().is_some());
        assert_eq!(count.load(Ordering::Relaxed), accepted);
    }
}

fn end_of_the_peer_is_reported_after_its_messages(driver: &str) {
    let threads = Threads::new(2);
    let (near, far) = pair(driver);
    let (seen, sees) = mpsc::channel();
    let _service = attach(far.0, far.1, &threads.ws, move |_, event| {
        let what = match event {
            Event::Note(value) => Ok(value),
            Event::Error(error) => Err(error),
            _ => return,
        };
        seen.send(what).expect("the test waits");
    });
    let client = attach(near.0, near.1, &threads.ws, ignore);
    (0..20).for_each(|value| note(&client, value).expect("there is room"));
    // The last handle.
    drop(client);
    for value in 0..20 {
        assert_eq!(sees.recv_timeout(PATIENCE), Ok(Ok(value)));
    }
    assert_eq!(sees.recv_timeout(PATIENCE), Ok(Err(BindingError::Closed)));
}

fn reply_is_sent_from_another_thread(driver: &str) {
    let threads = Threads::new(2);
    let (near, far) = pair(driver);
    let (pass, passed) = mpsc::channel();
    let _service = attach(far.0, far.1, &threads.ws, move |_, event| {
        if let Event::Call(reply, value) = event {
            pass.send((reply, value)).expect("the other thread waits");
        }
    });
    let client = attach(near.0, near.1, &threads.ws, ignore);
    let answering = thread::spawn(move || {
        for _ in 0..50 {
            let (reply, value): (SharedReplyToken, u64) =
                passed.recv_timeout(PATIENCE).expect("a call comes");
            let id = reply.id().into();
            reply.send(&[id, 2 * value], &[]);
        }
        // One more, which is dropped.
        drop(passed.recv_timeout(PATIENCE).expect("a call comes"));
    });
    for value in 0..50 {
        assert_eq!(call(&client, value).wait(), Ok(2 * value));
    }
    assert_eq!(call(&client, 0).wait(), Err(RpcError::NoReply));
    answering.join().expect("every call came");
}

fn blocking_call_in_its_own_handler_is_refused(driver: &str) {
    let threads = Threads::new(2);
    let (near, far) = pair(driver);
    let (result, results) = mpsc::channel();
    let service = attach(far.0, far.1, &threads.ws, move |end, event| {
        if let Event::Note(_) = event {
            result.send(call(end, 1).wait()).expect("the test waits");
        }
    });
    let client = attach(near.0, near.1, &threads.ws, double);
    note(&client, 0).expect("there is room");
    assert_eq!(results.recv_timeout(PATIENCE), Ok(Err(RpcError::WouldDeadlock)));
    // Elsewhere it works.
    assert_eq!(call(&service, 2).wait(), Ok(4));
}

fn call_that_nobody_answers_ends_at_its_deadline(driver: &str) {
    let threads = Threads::new(1);
    let (near, far) = pair(driver);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&kept);
    let _service = attach(far.0, far.1, &threads.ws, move |_, event| {
        if let Event::Call(reply, _) = event {
            theirs.lock().expect("nobody panics").push(reply);
        }
    });
    let client = attach(near.0, near.1, &threads.ws, ignore);
    let late = call(&client, 0).timeout(Duration::from_millis(50)).wait();
    assert_eq!(late, Err(RpcError::Deadline));
    let awaited = Waitset::new();
    let result = awaited.block_on(call(&client, 0).timeout(Duration::from_millis(50)));
    assert_eq!(result.expect("the waitset runs"), Err(RpcError::Deadline));
    eventually("both cancellations", || {
        let kept = kept.lock().expect("nobody panics");
        kept.len() == 2 && kept.iter().all(SharedReplyToken::is_cancelled)
    });
}

fn last_clone_of_the_waitset_sends_what_was_accepted(driver: &str) {
    // Nothing is given up, however slow the machine is.
    flounder_rt::set_exit_timeout(PATIENCE);
    let (near, far) = pair(driver);
    let threads = Threads::new(1);
    let received = Arc::new(AtomicU32::new(0));
    let theirs = Arc::clone(&received);
    let service = attach(far.0, far.1, &threads.ws, move |_, event| {
        if let Event::Long(_) = event {
            theirs.fetch_add(1, Ordering::Relaxed);
        }
    });
    let ws = SharedWaitset::new();
    let client = attach(near.0, near.1, &ws, ignore);
    let tail = vec![0; 8 * 900];
    let mut accepted = 0;
    while accepted < 50 && client.tx(LONG, &[7], &[&tail], None).is_ok() {
        accepted += 1;
    }
    drop(ws);
    assert!(client.ended().is_some());
    eventually("the last message", || received.load(Ordering::Relaxed) == accepted);
    drop(service);
}

fn full_channel_makes_senders_wait(driver: &str) {
    let threads = Threads::new(2);
    let (near, far) = pair(driver);
    let (release, blocks) = mpsc::channel::<()>();
    let mut is_first = true;
    let (count, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(HashMap::new())));
    let (counts, sees) = (Arc::clone(&count), Arc::clone(&seen));
    let _service = attach(far.0, far.1, &threads.ws, move |_, event| {
        if core::mem::take(&mut is_first) {
            blocks.recv_timeout(PATIENCE).expect("the test releases the handler");
        }
        if let Event::Long(value) = event {
            *sees.lock().expect("nobody panics").entry(value).or_insert(0) += 1;
            counts.fetch_add(1, Ordering::Relaxed);
        }
    });
    let client = attach(near.0, near.1, &threads.ws, ignore);
    let senders: Vec<_> = (0..3)
        .map(|sender| {
            let client = client.clone();
            thread::spawn(move || {
                let tail = vec![0; 8 * 900];
                for n in 0..100 {
                    let value = sender * 100 + n;
                    client.send(LONG, &[value], &[&tail], Vec::new()).wait().expect("it waits");
                }
            })
        })
        .collect();
    // Until the channel, the slot and the queue are full.
    eventually("a full queue", || client.tx(NOTE, &[0], &[], None).map(drop) == Err(TxError::Busy));
    release.send(()).expect("the handler waits");
    senders.into_iter().for_each(|sender| sender.join().expect("all messages are accepted"));
    eventually("the last message", || count.load(Ordering::Relaxed) == 300);
    assert!(seen.lock().expect("nobody panics").values().all(|times| *times == 1));
}

fn long_messages_arrive_whole(driver: &str) {
    let threads = Threads::new(2);
    let (near, far) = pair(driver);
    let (seen, sees) = mpsc::channel();
    let _service = attach(far.0, far.1, &threads.ws, move |_, event| {
        if let Event::Long(value) = event {
            seen.send(value).expect("the test waits");
        }
    });
    let client = attach(near.0, near.1, &threads.ws, ignore);
    let tail = vec![1; 8 * 999];
    for value in 0..50 {
        client.send(LONG, &[value], &[&tail], Vec::new()).sent().wait().expect("it is sent");
    }
    for value in 0..50 {
        assert_eq!(sees.recv_timeout(PATIENCE), Ok(value));
    }
}

fn idle_binding_wakes_a_sleeping_thread(driver: &str) {
    let threads = Threads::new(2);
    let (near, far) = pair(driver);
    let _service = attach(far.0, far.1, &threads.ws, double);
    let client = attach(near.0, near.1, &threads.ws, ignore);
    for value in 0..5 {
        assert_eq!(call(&client, value).wait(), Ok(2 * value));
        // Longer than any thread spins: what is tested is that a message wakes the threads.
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn client_of_one_thread_calls_a_service_of_many() {
    for driver in ["ump", "lmp"] {
        let threads = Threads::new(2);
        let (near, far) = pair(driver);
        let _service = attach(far.0, far.1, &threads.ws, double);
        let ws = Waitset::new();
        let client = client_of_a_thread(near, &ws);
        for value in 0..1000 {
            let id = client.next_call();
            let procedure = Procedure { call: CALL, response: RESPONSE, id: 0 };
            let words = [id.into(), value];
            let timeout = Timeout::For(PATIENCE);
            let result = client.call::<Doubled>(id, procedure, &words, &[], Vec::new(), timeout);
            assert_eq!(result, Ok(2 * value));
        }
    }
}
