//! Bindings whose handlers run on any thread of a `SharedWaitset`, over every driver that reaches another thread.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use flounder::{
    BindError, BindingError, Inbox, Iref, Peer, RecvError, RpcError, Shared, SharedWaitset,
    TxError, Waitset, flounder,
};
use flounder_test_support::threads::{Threads, eventually};

flounder! {
    /// Doubles numbers.
    @symmetric
    interface work {
        message hello();
        message note(uint64 value);
        message long(uint64 words[n, 999]);
        rpc double(in uint64 a, out uint64 b);
    };
}

use work::{Binding, RpcClient};

const PATIENCE: Duration = Duration::from_secs(20);

/// What arrived.
enum Event {
    Note(u64),
    Call(work::DoubleReply<Shared>, u64),
    Long(u64),
    Error(BindingError),
}

/// Handlers for any thread.
struct Handlers<F> {
    /// Gets the binding at the first message.
    binding: Option<mpsc::Sender<Binding<Shared>>>,
    run: F,
}

impl<F: FnMut(&Binding<Shared>, Event) + Send> work::Rx<Shared> for Handlers<F> {
    fn hello(&mut self, binding: &Binding<Shared>) {
        if let Some(sender) = self.binding.take() {
            sender.send(binding.clone()).expect("the test waits");
        }
    }

    fn note(&mut self, binding: &Binding<Shared>, value: u64) {
        (self.run)(binding, Event::Note(value));
    }

    fn long(&mut self, binding: &Binding<Shared>, words: &[u64]) {
        (self.run)(binding, Event::Long(words[0]));
    }

    fn double(&mut self, binding: &Binding<Shared>, a: u64, reply: work::DoubleReply<Shared>) {
        (self.run)(binding, Event::Call(reply, a));
    }

    fn error(&mut self, binding: &Binding<Shared>, error: BindingError) {
        (self.run)(binding, Event::Error(error));
    }
}

/// Answers calls with the double.
fn double(_: &Binding<Shared>, event: Event) {
    if let Event::Call(reply, value) = event {
        reply.send(2 * value);
    }
}

fn ignore(_: &Binding<Shared>, _: Event) {}

/// Exports a service for one client. Also returns the service's end, which comes when the client has said hello.
fn export(
    pool: &SharedWaitset,
    run: impl FnMut(&Binding<Shared>, Event) + Send + 'static,
) -> (Iref, mpsc::Receiver<Binding<Shared>>) {
    let (binding, bindings) = mpsc::channel();
    let mut handlers = Some(Handlers { binding: Some(binding), run });
    let connect = move |_: &Peer| Ok(handlers.take().expect("one client binds"));
    let exported = work::export(pool, connect).wait().expect("export the service");
    (exported.iref(), bindings)
}

/// Binds a client of the pool to a service.
fn bind(
    driver: &str,
    iref: Iref,
    pool: &SharedWaitset,
    run: impl FnMut(&Binding<Shared>, Event) + Send + 'static,
) -> Binding<Shared> {
    let handlers = Handlers { binding: None, run };
    let bound = work::bind(iref, pool, handlers).driver(driver).timeout(PATIENCE).wait();
    let binding = bound.expect("bind to the service");
    assert_eq!(binding.driver(), driver);
    binding
}

/// Makes a service on the pool `at` and a client on the pool `from`. Returns both ends.
fn pair(
    driver: &str,
    (at, service): (&SharedWaitset, impl FnMut(&Binding<Shared>, Event) + Send + 'static),
    (from, client): (&SharedWaitset, impl FnMut(&Binding<Shared>, Event) + Send + 'static),
) -> (Binding<Shared>, Binding<Shared>) {
    let (iref, ends) = export(at, service);
    let client = bind(driver, iref, from, client);
    client.send_hello().wait().expect("there is room");
    (client, ends.recv_timeout(PATIENCE).expect("the message arrives"))
}

fn note(end: &Binding<Shared>, value: u64) -> Result<(), TxError> {
    end.send_note(value).wait()
}

macro_rules! over_every_driver {
    ($($story:ident),* $(,)?) => {
        mod ump { $(#[test] fn $story() { super::$story("ump"); })* }
        mod lmp { $(#[test] fn $story() { super::$story("lmp"); })* }
        mod scc { $(#[test] fn $story() { super::$story("scc"); })* }
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
    reply_reports_that_its_caller_gave_up,
    blocking_call_in_its_own_handler_is_refused,
    call_that_nobody_answers_ends_at_its_deadline,
    last_clone_of_the_waitset_sends_what_was_accepted,
    full_channel_makes_senders_wait,
    full_inbox_makes_senders_wait,
    long_messages_arrive_whole,
    idle_binding_wakes_a_sleeping_thread,
    binding_without_handlers_receives_replies,
    client_of_one_thread_calls_a_service_of_many,
);

/// The program `mt_waitset` of Barrelfish: several threads dispatch one waitset, and clients flood it.
fn every_message_is_handled_once_and_in_order(driver: &'static str) {
    const CLIENTS: u64 = 4;
    const NOTES: u64 = 3000;
    let threads = Threads::new(3);
    let (total, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (total, ended, mut next) = (Arc::clone(&total), Arc::clone(&ended), 0);
            let running = AtomicBool::new(false);
            let (iref, _) = export(&threads.pool, move |_, event| {
                assert!(!running.swap(true, Ordering::AcqRel), "two handlers of one binding run");
                match event {
                    Event::Note(value) => {
                        assert_eq!(value, next, "a note is lost, doubled or out of order");
                        next += 1;
                        total.fetch_add(1, Ordering::Relaxed);
                    }
                    Event::Error(error) => {
                        assert_eq!((error, next), (BindingError::Closed, NOTES));
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                    _ => panic!("clients send notes"),
                }
                running.store(false, Ordering::Release);
            });
            thread::spawn(move || {
                let ws = Waitset::new();
                let bound = work::bind(iref, &ws, ()).driver(driver).timeout(PATIENCE).wait();
                let client = bound.expect("bind to the service");
                for value in 0..NOTES {
                    client
                        .send_note(value)
                        .timeout(PATIENCE)
                        .wait()
                        .expect("there is room in time");
                }
                client.close().timeout(PATIENCE).wait().expect("everything is sent");
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("no client panics"));
    // A handler that panics reports no end.
    eventually(PATIENCE, "the end of the bindings", || ended.load(Ordering::Relaxed) == CLIENTS);
    assert_eq!(total.load(Ordering::Relaxed), CLIENTS * NOTES);
}

fn every_call_is_answered_once(driver: &str) {
    const CALLS: u64 = 300;
    let (services, clients) = (Threads::new(2), Threads::new(2));
    let mut callers = Vec::new();
    for _ in 0..2 {
        let (client, _) = pair(driver, (&services.pool, double), (&clients.pool, ignore));
        for thread in 0..3 {
            let client = RpcClient::new(&client);
            callers.push(thread::spawn(move || {
                for n in 0..CALLS {
                    let value = thread * CALLS + n;
                    assert_eq!(client.double(value), Ok(2 * value));
                }
            }));
        }
    }
    callers.into_iter().for_each(|caller| caller.join().expect("every answer is right"));
}

fn handlers_of_two_bindings_overlap(driver: &str) {
    let threads = Threads::new(2);
    let (meeting, met) = (Arc::new(Barrier::new(2)), mpsc::channel());
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let (meeting, met) = (Arc::clone(&meeting), met.0.clone());
            let handler = move |_: &Binding<Shared>, event| {
                if let Event::Note(_) = event {
                    meeting.wait();
                    met.send(()).expect("the test waits");
                }
            };
            pair(driver, (&threads.pool, handler), (&threads.pool, ignore)).0
        })
        .collect();
    clients.iter().for_each(|client| note(client, 0).expect("there is room"));
    (0..2).for_each(|_| met.1.recv_timeout(PATIENCE).expect("both handlers run at once"));
}

fn handler_that_blocks_delays_no_other_binding(driver: &str) {
    let threads = Threads::new(2);
    let (release, blocks) = mpsc::channel::<()>();
    let handler = move |_: &Binding<Shared>, event| {
        if let Event::Note(_) = event {
            blocks.recv_timeout(PATIENCE).expect("the test releases the handler");
        }
    };
    let (blocker, _) = pair(driver, (&threads.pool, handler), (&threads.pool, ignore));
    let (client, _) = pair(driver, (&threads.pool, double), (&threads.pool, ignore));
    note(&blocker, 0).expect("there is room");
    let client = RpcClient::new(&client);
    for value in 0..100 {
        assert_eq!(client.double(value), Ok(2 * value));
    }
    release.send(()).expect("the handler waits");
}

fn handler_and_another_thread_send_at_once(driver: &str) {
    let threads = Threads::new(2);
    let (began, begins) = mpsc::channel();
    let (release, blocks) = mpsc::channel::<()>();
    let handler = move |end: &Binding<Shared>, event| {
        if let Event::Note(_) = event {
            note(end, 1).expect("a handler may send");
            began.send(()).expect("the test waits");
            blocks.recv_timeout(PATIENCE).expect("the test releases the handler");
            note(end, 100).expect("a handler may send");
        }
    };
    let sum = Arc::new(AtomicU64::new(0));
    let theirs = Arc::clone(&sum);
    let add = move |_: &Binding<Shared>, event| {
        if let Event::Note(value) = event {
            theirs.fetch_add(value, Ordering::Relaxed);
        }
    };
    let (client, service) = pair(driver, (&threads.pool, handler), (&threads.pool, add));
    note(&client, 0).expect("there is room");
    begins.recv_timeout(PATIENCE).expect("the handler runs");
    note(&service, 10).expect("a thread may send while the handler runs");
    eventually(PATIENCE, "both notes", || sum.load(Ordering::Relaxed) == 11);
    release.send(()).expect("the handler waits");
    eventually(PATIENCE, "the last note", || sum.load(Ordering::Relaxed) == 111);
}

fn panic_of_a_handler_ends_its_binding_only(driver: &str) {
    let threads = Threads::new(2);
    let handler = |_: &Binding<Shared>, event| {
        if let Event::Note(_) = event {
            panic!("this is part of the test");
        }
    };
    let (client, service) = pair(driver, (&threads.pool, handler), (&threads.pool, ignore));
    let (caller, other) = pair(driver, (&threads.pool, double), (&threads.pool, ignore));
    note(&client, 0).expect("there is room");
    eventually(PATIENCE, "the end of both ends", || service.ended().and(client.ended()).is_some());
    assert_eq!(RpcClient::new(&caller).double(4), Ok(8));
    assert_eq!(other.ended(), None);
}

fn close_while_others_send_loses_nothing_that_was_accepted(driver: &str) {
    let threads = Threads::new(2);
    for _ in 0..20 {
        let count = Arc::new(AtomicU32::new(0));
        let theirs = Arc::clone(&count);
        let handler = move |_: &Binding<Shared>, event| {
            if let Event::Note(_) = event {
                theirs.fetch_add(1, Ordering::Relaxed);
            }
        };
        let (client, service) = pair(driver, (&threads.pool, handler), (&threads.pool, ignore));
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
        eventually(PATIENCE, "the end of the service's end", || service.ended().is_some());
        assert_eq!(count.load(Ordering::Relaxed), accepted);
    }
}

fn end_of_the_peer_is_reported_after_its_messages(driver: &str) {
    let threads = Threads::new(2);
    let (seen, sees) = mpsc::channel();
    let handler = move |_: &Binding<Shared>, event| {
        let what = match event {
            Event::Note(value) => Ok(value),
            Event::Error(error) => Err(error),
            _ => return,
        };
        seen.send(what).expect("the test waits");
    };
    let (client, _service) = pair(driver, (&threads.pool, handler), (&threads.pool, ignore));
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
    let (pass, passed) = mpsc::channel();
    let handler = move |_: &Binding<Shared>, event| {
        if let Event::Call(reply, value) = event {
            pass.send((reply, value)).expect("the other thread waits");
        }
    };
    let (client, _service) = pair(driver, (&threads.pool, handler), (&threads.pool, ignore));
    let answering = thread::spawn(move || {
        for _ in 0..50 {
            let (reply, value): (work::DoubleReply<Shared>, u64) =
                passed.recv_timeout(PATIENCE).expect("a call comes");
            reply.send(2 * value);
        }
        // One more, which is dropped.
        drop(passed.recv_timeout(PATIENCE).expect("a call comes"));
    });
    let client = RpcClient::new(&client);
    for value in 0..50 {
        assert_eq!(client.double(value), Ok(2 * value));
    }
    assert_eq!(client.double(0), Err(RpcError::NoReply));
    answering.join().expect("every call came");
}

fn reply_reports_that_its_caller_gave_up(driver: &str) {
    let threads = Threads::new(2);
    let (pass, passed) = mpsc::channel();
    let handler = move |_: &Binding<Shared>, event| {
        if let Event::Call(reply, _) = event {
            pass.send(reply).expect("the test waits");
        }
    };
    let (client, _service) = pair(driver, (&threads.pool, handler), (&threads.pool, ignore));
    let client = RpcClient::new(&client);
    let ws = Waitset::new();
    let call = ws.spawn_local(client.double_async(0));
    ws.try_dispatch().expect("no callback fails");
    let mut reply = passed.recv_timeout(PATIENCE).expect("the call comes");
    assert!(!reply.is_cancelled());
    drop(call);
    ws.block_on(ws.timeout(PATIENCE, reply.cancelled()))
        .expect("no callback fails")
        .expect("the service learns in time");
    assert!(reply.is_cancelled());
}

fn blocking_call_in_its_own_handler_is_refused(driver: &str) {
    let threads = Threads::new(2);
    let (result, results) = mpsc::channel();
    let handler = move |end: &Binding<Shared>, event| {
        if let Event::Note(_) = event {
            result.send(RpcClient::new(end).double(1)).expect("the test waits");
        }
    };
    let (client, service) = pair(driver, (&threads.pool, handler), (&threads.pool, double));
    note(&client, 0).expect("there is room");
    assert_eq!(results.recv_timeout(PATIENCE), Ok(Err(RpcError::WouldDeadlock)));
    // Elsewhere it works.
    assert_eq!(RpcClient::new(&service).double(2), Ok(4));
}

fn call_that_nobody_answers_ends_at_its_deadline(driver: &str) {
    let threads = Threads::new(1);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&kept);
    let handler = move |_: &Binding<Shared>, event| {
        if let Event::Call(reply, _) = event {
            theirs.lock().expect("nobody panics").push(reply);
        }
    };
    let (client, _service) = pair(driver, (&threads.pool, handler), (&threads.pool, ignore));
    let client = RpcClient::new(&client).timeout(Duration::from_millis(50));
    assert_eq!(client.double(0), Err(RpcError::Deadline));
    let result = Waitset::new().block_on(client.double_async(0));
    assert_eq!(result.expect("the waitset runs"), Err(RpcError::Deadline));
    eventually(PATIENCE, "both cancellations", || {
        let kept = kept.lock().expect("nobody panics");
        kept.len() == 2 && kept.iter().all(work::DoubleReply::is_cancelled)
    });
}

fn last_clone_of_the_waitset_sends_what_was_accepted(driver: &str) {
    // Nothing is given up, however slow the machine is.
    flounder_rt::set_exit_timeout(PATIENCE);
    let threads = Threads::new(1);
    let received = Arc::new(AtomicU32::new(0));
    let theirs = Arc::clone(&received);
    let handler = move |_: &Binding<Shared>, event| {
        if let Event::Long(_) = event {
            theirs.fetch_add(1, Ordering::Relaxed);
        }
    };
    let pool = SharedWaitset::new();
    let (client, _service) = pair(driver, (&threads.pool, handler), (&pool, ignore));
    let words = vec![7; 900];
    let mut accepted = 0;
    while accepted < 50 && client.tx_long(&words).is_ok() {
        accepted += 1;
    }
    drop(pool);
    assert!(client.ended().is_some());
    eventually(PATIENCE, "the last message", || received.load(Ordering::Relaxed) == accepted);
}

fn full_channel_makes_senders_wait(driver: &str) {
    let threads = Threads::new(2);
    let (release, blocks) = mpsc::channel::<()>();
    let mut is_first = true;
    let (count, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(HashMap::new())));
    let (counts, sees) = (Arc::clone(&count), Arc::clone(&seen));
    let handler = move |_: &Binding<Shared>, event| {
        if core::mem::take(&mut is_first) {
            blocks.recv_timeout(PATIENCE).expect("the test releases the handler");
        }
        if let Event::Long(value) = event {
            *sees.lock().expect("nobody panics").entry(value).or_insert(0) += 1;
            counts.fetch_add(1, Ordering::Relaxed);
        }
    };
    let (client, _service) = pair(driver, (&threads.pool, handler), (&threads.pool, ignore));
    let senders: Vec<_> = (0..3)
        .map(|sender| {
            let client = client.clone();
            thread::spawn(move || {
                let mut words = vec![0; 900];
                for n in 0..100 {
                    words[0] = sender * 100 + n;
                    client.send_long(&words).wait().expect("it waits");
                }
            })
        })
        .collect();
    // Until the channel, the slot and the queue are full.
    eventually(PATIENCE, "a full queue", || client.tx_note(0).map(drop) == Err(TxError::Busy));
    release.send(()).expect("the handler waits");
    senders.into_iter().for_each(|sender| sender.join().expect("all messages are accepted"));
    eventually(PATIENCE, "the last message", || count.load(Ordering::Relaxed) == 300);
    assert!(seen.lock().expect("nobody panics").values().all(|times| *times == 1));
}

fn full_inbox_makes_senders_wait(driver: &str) {
    // More than any driver holds.
    const ENOUGH: u64 = 1 << 20;
    let threads = Threads::new(2);
    // The client keeps notes, and answers calls beside.
    let (iref, ends) = export(&threads.pool, ignore);
    let inbox = Inbox::beside(3, Handlers { binding: None, run: double });
    let bound = work::bind(iref, &threads.pool, inbox).driver(driver).timeout(PATIENCE).wait();
    let client: Binding<Shared> = bound.expect("bind to the service");
    client.send_hello().wait().expect("there is room");
    let service = ends.recv_timeout(PATIENCE).expect("the message arrives");
    assert_eq!(RpcClient::new(&service).double(5), Ok(10));
    let (full, is_full) = mpsc::channel();
    let sender = thread::spawn(move || {
        // Until the inbox, the channel and the queue are full.
        let sent = (0..ENOUGH).take_while(|value| service.tx_note(*value).is_ok()).count() as u64;
        full.send(sent).expect("the test waits");
        for value in sent..sent + 500 {
            service.send_note(value).timeout(PATIENCE).wait().expect("there is room in time");
        }
        service.teardown();
    });
    let sent = is_full.recv_timeout(PATIENCE).expect("the sender stops in time");
    assert!(sent < ENOUGH, "nothing is ever full");
    for value in 0..sent + 500 {
        assert_eq!(client.recv_note().timeout(PATIENCE).wait(), Ok(value));
    }
    sender.join().expect("all notes are accepted");
    let ended = client.recv_note().timeout(PATIENCE).wait();
    assert_eq!(ended, Err(RecvError::Ended(BindingError::Closed)));
}

fn long_messages_arrive_whole(driver: &str) {
    let threads = Threads::new(2);
    let (seen, sees) = mpsc::channel();
    let handler = move |_: &Binding<Shared>, event| {
        if let Event::Long(value) = event {
            seen.send(value).expect("the test waits");
        }
    };
    let (client, _service) = pair(driver, (&threads.pool, handler), (&threads.pool, ignore));
    let mut words = vec![1; 999];
    for value in 0..50 {
        words[0] = value;
        client.send_long(&words).sent().wait().expect("it is sent");
    }
    for value in 0..50 {
        assert_eq!(sees.recv_timeout(PATIENCE), Ok(value));
    }
}

fn idle_binding_wakes_a_sleeping_thread(driver: &str) {
    let threads = Threads::new(2);
    let (client, _service) = pair(driver, (&threads.pool, double), (&threads.pool, ignore));
    let client = RpcClient::new(&client);
    for value in 0..5 {
        assert_eq!(client.double(value), Ok(2 * value));
        // Longer than any thread spins: what is tested is that a message wakes the threads.
        thread::sleep(Duration::from_millis(5));
    }
}

fn binding_without_handlers_receives_replies(driver: &str) {
    let threads = Threads::new(2);
    let (iref, ends) = export(&threads.pool, double);
    let bound = work::bind(iref, &threads.pool, ()).driver(driver).timeout(PATIENCE).wait();
    let client = bound.expect("bind to the service");
    client.send_hello().wait().expect("there is room");
    let service = ends.recv_timeout(PATIENCE).expect("the message arrives");
    assert_eq!(RpcClient::new(&client).double(3), Ok(6));
    // A message that it does not handle is no error, and a call is refused.
    note(&service, 1).expect("there is room");
    assert_eq!(RpcClient::new(&service).double(4), Err(RpcError::NoReply));
    assert_eq!(RpcClient::new(&client).double(5), Ok(10));
}

fn client_of_one_thread_calls_a_service_of_many(driver: &str) {
    let threads = Threads::new(2);
    let (iref, _) = export(&threads.pool, double);
    let ws = Waitset::new();
    let bound = work::bind(iref, &ws, ()).driver(driver).timeout(PATIENCE).wait();
    let client = RpcClient::new(&bound.expect("bind to the service"));
    for value in 0..500 {
        assert_eq!(client.double(value), Ok(2 * value));
    }
}

#[test]
fn loopback_reaches_no_other_thread() {
    let threads = Threads::new(1);
    let (iref, _) = export(&threads.pool, ignore);
    let refused = work::bind(iref, &threads.pool, ()).driver("loopback").wait();
    let Err(BindError::Drivers(errors)) = refused else { panic!("{refused:?}") };
    let [(driver, error)] = &errors[..] else { panic!("{errors:?}") };
    let text = error.to_string();
    assert_eq!((driver.as_str(), text.as_str()), ("loopback", "the driver does not reach there"));
}
