//! Bulk data over every driver: in the message, in slots of a pool, as sealed memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileTypeExt;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use flounder::bulk::{Blob, BufferMut, Bulk, BulkOwned, Pool, PoolError, Slots};
use flounder::policy::{self, Direction};
use flounder::{
    Cap, Iref, Peer, Rejected, RpcError, Shared, SharedWaitset, TxError, Waitset, flounder,
};
use flounder_rt::binding::AsRaw as _;
use flounder_rt::interface::MessageKind;
use rustix::process::{Pid, WaitOptions, waitpid};

flounder! {
    interface frames "Large data" {
        message frame(uint64 seq, bulk data[2097152]);
        message pair(bulk a[65536], uint32 n, bulk b[65536]);
        /** Of each frame: the sum of its words, and how it came. */
        message got(uint64 seq, uint64 sum, string how[64]);
        /** Keeps the frames from now on, or drops those that are kept. */
        message keep(bool on);
        rpc read(in uint32 n, in bulk prefix[65536], out bulk data[2097152]);
        /** Returns the data, in a buffer of the service or as it came; and how it came. */
        rpc echo(in bulk data[2097152], in bool in_place, out string how[64], out bulk same[2097152]);
        message capped(bulk data[65536], cap file);
        /** The service lets no device in, or lets them in again. */
        message deny(bool on);
    };
}

const ROLE: &str = "FLOUNDER_BULK_ROLE";
const IREF: &str = "FLOUNDER_BULK_IREF";
const TIMEOUT: Duration = Duration::from_secs(20);
const MIB: usize = 1 << 20;

/// Bytes that depend on the number of the frame.
fn fill(bytes: &mut [u8], seq: u64) {
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = (i as u64).wrapping_mul(31).wrapping_add(seq) as u8;
    }
}

fn filled(len: usize, seq: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fill(&mut bytes, seq);
    bytes
}

/// The sum of the words of some bytes, filled up with zeroes.
fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::wrapping_add(sum, u64::from_ne_bytes(word))
    })
}

/// How bulk data has come, by its `Debug`: `inline`, `slot` or `sealed`.
fn way(data: &Bulk<'_>) -> String {
    let shown = format!("{data:?}");
    shown.rsplit(' ').next().expect("a word").trim_end_matches(')').to_owned()
}

/// The sum of bulk data, found in every way that there is.
fn sum_of(data: &Bulk<'_>) -> u64 {
    let found = data.words().fold(0, u64::wrapping_add);
    assert_eq!(found, sum(&data.to_vec()));
    assert_eq!(found, sum(data.bytes(&mut Vec::new())));
    let mut part = vec![0; 100];
    let at = data.len().saturating_sub(50);
    assert_eq!(data.copy_to(at, &mut part), data.len() - at);
    assert_eq!(part[..data.len() - at], data.to_vec()[at..]);
    assert_eq!(data.copy_to(data.len(), &mut part), 0);
    assert_eq!(data.copy_to(usize::MAX, &mut part), 0);
    found
}

#[derive(Default)]
struct Service {
    /// Number of frames.
    received: Rc<Cell<usize>>,
    keeps: bool,
    kept: Vec<(u64, BulkOwned)>,
}

impl frames::Rx for Service {
    fn frame(&mut self, b: &frames::Binding, seq: u64, data: Bulk<'_>) {
        let (sum, how) = (sum_of(&data), way(&data));
        self.received.set(self.received.get() + 1);
        if self.keeps {
            self.kept.push((sum, data.keep()));
        }
        report(b, seq, sum, &how);
    }

    fn pair(&mut self, b: &frames::Binding, left: Bulk<'_>, n: u32, right: Bulk<'_>) {
        let how = format!("{} {}", way(&left), way(&right));
        report(b, n.into(), sum_of(&left).wrapping_sub(sum_of(&right)), &how);
    }

    fn got(&mut self, _: &frames::Binding, _: u64, _: u64, _: &str) {}

    fn keep(&mut self, _: &frames::Binding, on: bool) {
        self.keeps = on;
        for (sum, data) in self.kept.drain(..) {
            assert_eq!(sum_of(&data), sum, "kept data does not change");
            // From another thread, now and then.
            if sum % 2 == 0 {
                std::thread::spawn(move || drop(data)).join().expect("it drops");
            }
        }
    }

    fn read(&mut self, _: &frames::Binding, n: u32, prefix: Bulk<'_>, reply: frames::ReadReply) {
        let mut data = prefix.to_vec();
        data.extend(filled(n as usize, 0));
        reply.send(&data);
    }

    fn echo(
        &mut self,
        b: &frames::Binding,
        data: Bulk<'_>,
        in_place: bool,
        reply: frames::EchoReply,
    ) {
        let how = way(&data);
        if in_place {
            let pool = b.pool().expect("a pool can be made");
            let mut buffer = pool.take(data.len()).expect("a slot is free");
            data.copy_to(0, &mut buffer);
            reply.send(&how, buffer);
        } else {
            reply.send(&how, data);
        }
    }

    fn capped(&mut self, b: &frames::Binding, data: Bulk<'_>, _: Cap) {
        report(b, 0, sum_of(&data), &way(&data));
    }

    fn deny(&mut self, _: &frames::Binding, on: bool) {
        if on {
            deny_devices(Direction::Receive);
        } else {
            policy::clear_cap_policy();
        }
    }
}

/// What a service answers that means harm: the bits of a head.
const BAD_HEADS: [(&str, u64); 6] = [
    ("a pool that was never offered", 16 | 1 << 32 | 3 << 34),
    ("a slot that is not lent", 16 | 1 << 32 | 5 << 42),
    ("a slot beyond the pool", 16 | 1 << 32 | 60_000 << 42),
    ("way 3", 16 | 3 << 32),
    ("sealed memory that is missing", 16 | 2 << 32),
    ("more than the maximum", 0xffff_ffff | 1 << 32),
];

/// Whatever kind of client has made the call, it fails, and the binding ends.
#[test]
fn reply_that_names_what_it_may_not_ends_the_binding() {
    let response = frames::INTERFACE.messages.iter().zip(1..).find_map(|(info, number)| {
        let MessageKind::RpcResponse { at } = info.kind else { return None };
        (info.name == "read_response").then_some((number, at))
    });
    let (number, at) = response.expect("it is declared");
    for (driver, (what, head)) in
        ["loopback", "ump", "lmp"].into_iter().flat_map(|driver| BAD_HEADS.map(|bad| (driver, bad)))
    {
        for kind in ["blocking", "awaited", "shared"] {
            let ws = Waitset::current();
            let read =
                move |b: &frames::Binding, id: u32, _: Bulk<'_>, reply: frames::ReadReply| {
                    // The pool is there, and has slots.
                    let pool = b.pool().expect("a pool can be made");
                    let mut words = [head, 0];
                    assert_eq!(at, 8, "the id is behind the head");
                    words[1] = id.into();
                    b.as_raw().send(number, &words, &[]).expect("there is room");
                    drop((pool, reply));
                };
            let exported = frames::export(&ws, move |_: &Peer| {
                Ok(frames::RxVtbl { read: Some(Box::new(read)), ..Default::default() })
            });
            let exported = exported.wait().expect("it can be exported");
            let client = Client::new(exported.iref(), driver);
            let rpc = frames::RpcClient::new(&client.binding);
            // The service answers the call whose id is its argument: the first of a binding.
            let result = match kind {
                "blocking" => rpc.read(1, &[]).map(drop),
                "awaited" => client.run(rpc.read_async(1, &[])).map(drop),
                _ => {
                    let shared = rpc.shared();
                    client.beside(move || shared.read(1, &[]).map(drop))
                }
            };
            assert!(result.is_err(), "{driver}, {kind}: {what}");
            client.until(what, || client.binding.ended().is_some());
        }
    }
}

/// Lets no device pass in this direction.
fn deny_devices(direction: Direction) {
    policy::set_cap_policy(move |transfer| {
        let file = transfer.cap.try_clone_to_owned().map(std::fs::File::from);
        let kind = file.and_then(|file| file.metadata()).expect("a file").file_type();
        !kind.is_char_device() || transfer.direction != direction
    });
}

fn report(b: &frames::Binding, seq: u64, sum: u64, how: &str) {
    let how = how.to_owned();
    let binding = b.clone();
    let ws = b.waitset().expect("a handler runs");
    ws.spawn_local(async move {
        let _ = binding.send_got(seq, sum, &how).await;
    })
    .detach();
}

type Reports = Rc<RefCell<VecDeque<(u64, u64, String)>>>;

struct Client {
    ws: Waitset,
    binding: frames::Binding,
    reports: Reports,
}

impl Client {
    fn new(iref: Iref, driver: &str) -> Self {
        let (ws, reports) = (Waitset::current(), Reports::default());
        let theirs = Rc::clone(&reports);
        let rx = frames::RxVtbl {
            got: Some(Box::new(move |_: &frames::Binding, seq, sum, how: &str| {
                theirs.borrow_mut().push_back((seq, sum, how.to_owned()));
            })),
            ..Default::default()
        };
        let bind = frames::bind(iref, &ws, rx).driver(driver).timeout(TIMEOUT);
        Self { binding: bind.wait().expect("the service is there"), ws, reports }
    }

    fn until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Some(Instant::now() + TIMEOUT);
        let is_done = self.ws.dispatch_until(deadline, done).expect("no callback fails");
        assert!(is_done, "in time: {what}");
    }

    fn open(&self, slots: Slots) -> Pool {
        let pool = Pool::new(&self.binding, slots).expect("a pool can be made");
        self.until("the pool is taken", || pool.is_open());
        pool
    }

    /// The report of the next frame.
    fn report(&self) -> (u64, u64, String) {
        self.until("a report", || !self.reports.borrow().is_empty());
        self.reports.borrow_mut().pop_front().expect("there is one")
    }

    fn expect(&self, seq: u64, bytes: &[u8], how: &str) {
        assert_eq!(self.report(), (seq, sum(bytes), how.to_owned()));
    }

    /// Runs `job` in another thread, and serves it meanwhile.
    fn beside<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, results) = std::sync::mpsc::channel();
        let remote = self.ws.remote();
        std::thread::spawn(move || {
            let _ = sender.send(job());
            remote.post(|_| Ok(()));
        });
        let result = RefCell::new(None);
        self.until("the other thread", || {
            if let Ok(done) = results.try_recv() {
                result.replace(Some(done));
            }
            result.borrow().is_some()
        });
        result.take().expect("it is there")
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let limited = self.ws.timeout(TIMEOUT, Box::pin(future));
        self.ws.block_on(limited).expect("no callback fails").expect("in time")
    }
}

fn takes(pool: &Pool, len: usize, seq: u64) -> BufferMut {
    let mut buffer = pool.take(len).expect("a slot is free");
    fill(&mut buffer, seq);
    buffer
}

/// The lengths around which something changes.
const LENGTHS: [usize; 12] = [0, 1, 7, 8, 9, 63, 64, 65, 4095, 4097, 65_535, MIB / 4];

/// Every way of every length; `in_place` is how a buffer comes.
fn everything(client: &Client, in_place: &str) {
    // In the message.
    for (seq, len) in (0..).zip(LENGTHS) {
        let data = filled(len, seq);
        client.run(client.binding.send_frame(seq, &data)).expect("it is accepted");
        client.expect(seq, &data, "inline");
    }
    // In a slot; the slots are reused.
    let pool = client.open(Slots { count: 3, bytes: MIB / 4 });
    for round in 0..2 {
        for (seq, len) in (0..).zip(LENGTHS) {
            let mut buffer = client.run(pool.taken(len)).expect("it comes back");
            fill(&mut buffer, seq + round);
            client.run(client.binding.send_frame(seq, buffer)).expect("it is accepted");
            client.expect(seq, &filled(len, seq + round), in_place);
        }
    }
    // Bytes are copied into a slot where that is worth it.
    let data = filled(70_000, 3);
    client.run(client.binding.send_frame(1, &data)).expect("it is accepted");
    client.expect(1, &data, in_place);
    // Two in a message, in different ways.
    let (left, right) = (filled(10, 1), takes(&pool, 65_536, 2));
    let expected = sum(&left).wrapping_sub(sum(&right));
    client.run(client.binding.send_pair(&left, 5, right)).expect("it is accepted");
    assert_eq!(client.report(), (5, expected, format!("inline {in_place}")));
    // As sealed memory, over and over.
    let blob = Blob::build(MIB + 3, |bytes| fill(bytes, 9)).expect("it can be made");
    for seq in 0..3 {
        client.run(client.binding.send_frame(seq, &blob)).expect("it is accepted");
        client.expect(seq, &blob, "sealed");
    }
    // Calls.
    let rpc = frames::RpcClient::new(&client.binding);
    let data = client.run(rpc.read_async(70_000, &filled(5000, 1))).expect("an answer");
    assert_eq!(sum_of(&data), sum(&[filled(5000, 1), filled(70_000, 0)].concat()));
    // Too long.
    let Err(Rejected { error: TxError::TooLong { arg, .. }, .. }) =
        client.binding.tx_frame(0, &vec![0; 2 * MIB + 1])
    else {
        panic!("it is over the maximum")
    };
    assert_eq!(arg, "data");
}

fn kept_slots_are_free_once_dropped(client: &Client) {
    let pool = client.open(Slots { count: 4, bytes: 100 });
    assert_eq!(pool.slots().bytes, 128, "a slot is whole lines");
    client.run(client.binding.send_keep(true)).expect("it is accepted");
    for seq in 0..4 {
        let buffer = takes(&pool, 128, seq);
        client.run(client.binding.send_frame(seq, buffer)).expect("it is accepted");
        let _ = client.report();
    }
    assert_eq!(pool.take(1).err(), Some(PoolError::Busy), "all are kept");
    client.run(client.binding.send_keep(false)).expect("it is accepted");
    let all: Vec<_> = (0..4).map(|_| client.run(pool.taken(1)).expect("all come back")).collect();
    assert_eq!(pool.take(1).err(), Some(PoolError::Busy));
    drop(all);
    assert!(pool.take(128).is_ok() && pool.take(129).is_err());
}

/// Slots and sealed memory in both directions of calls, of every kind of client. Everything comes back: there are two slots.
fn calls_carry_bulk_data_as_messages_do(client: &Client) {
    let (rpc, pool) =
        (frames::RpcClient::new(&client.binding), client.open(Slots { count: 2, bytes: 65_536 }));
    let (len, deadline) = (60_000, Instant::now() + TIMEOUT);
    let check = |seq: u64, (how, same): (String, BulkOwned)| {
        assert_eq!(sum_of(&same), sum(&filled(len, seq)));
        (how, way(&same))
    };
    let in_slots = ("slot".to_owned(), "slot".to_owned());
    // The pool of the service is open once this end has answered the offer.
    while check(0, rpc.echo(&filled(len, 0), true).expect("an answer")) != in_slots {
        assert!(Instant::now() < deadline, "in time: the service has a pool");
    }
    for seq in 0..40 {
        let buffer = takes(&pool, len, seq);
        let blocking = rpc.echo(buffer, true).expect("an answer");
        assert_eq!(check(seq, blocking), in_slots, "blocking");
    }
    for seq in 0..40 {
        let mut buffer = client.run(pool.taken(len)).expect("it comes back");
        fill(&mut buffer, seq);
        let awaited = client.run(rpc.echo_async(buffer, true)).expect("an answer");
        assert_eq!(check(seq, awaited), in_slots, "awaited");
    }
    for seq in 0..10 {
        let mut buffer = client.run(pool.taken(len)).expect("it comes back");
        fill(&mut buffer, seq);
        let shared = rpc.shared();
        let shared = client.beside(move || shared.echo(buffer, true)).expect("an answer");
        assert_eq!(check(seq, shared), in_slots, "shared");
    }
    // What came is passed on: a slot as a copy, in a slot of the service; sealed memory unread.
    let mut buffer = client.run(pool.taken(len)).expect("it comes back");
    fill(&mut buffer, 1);
    assert_eq!(check(1, client.run(rpc.echo_async(buffer, false)).expect("an answer")), in_slots);
    let blob = Blob::build(len, |bytes| fill(bytes, 2)).expect("it can be made");
    let sealed = ("sealed".to_owned(), "sealed".to_owned());
    assert_eq!(check(2, rpc.echo(&blob, false).expect("an answer")), sealed);
    assert_eq!(check(2, client.run(rpc.echo_async(&blob, false)).expect("an answer")), sealed);
    // Both slots are here again.
    let _all = [(); 2].map(|()| client.run(pool.taken(1)).expect("it comes back"));
}

/// What is not sent comes back.
fn slots_of_calls_that_are_not_sent_come_back(client: &Client) {
    let (rpc, pool) =
        (frames::RpcClient::new(&client.binding), client.open(Slots { count: 1, bytes: 4096 }));
    drop(rpc.echo_async(takes(&pool, 100, 0), false));
    drop(rpc.shared().echo_async(takes(&pool, 100, 0), false));
    let over = rpc.deadline(Instant::now()).echo(takes(&pool, 100, 0), false);
    assert_eq!(over.err(), Some(RpcError::Deadline));
    drop(client.binding.send_frame(0, takes(&pool, 100, 0)));
    drop(client.binding.shared().send_frame(0, takes(&pool, 100, 0)));
    // Behind a call that fills the channel, in the table of calls.
    let large = vec![0; 65_536];
    let mut cx = Context::from_waker(Waker::noop());
    let mut first = Box::pin(rpc.read_async(0, &large));
    let mut second = Box::pin(rpc.echo_async(takes(&pool, 100, 0), false));
    let is_pending = first.as_mut().poll(&mut cx).is_pending();
    let is_busy = !client.binding.can_send();
    assert!(is_busy || client.binding.driver() != "ump", "it has no room for so much");
    assert!(is_pending && second.as_mut().poll(&mut cx).is_pending());
    drop(second);
    if is_busy {
        assert!(pool.take(1).is_ok(), "it was not sent");
    }
    let _ = client.run(first).expect("an answer");
    client.run(pool.taken(1)).expect("it comes back");
}

/// A capability that may not enter takes its message with it, but not the slot.
fn slot_of_a_message_that_is_lost_comes_back(client: &Client) {
    let pool = client.open(Slots { count: 1, bytes: 4096 });
    let device = Cap::from(std::fs::File::open("/dev/null").expect("a device"));
    client.run(client.binding.send_deny(true)).expect("it is accepted");
    for seq in 0..3 {
        let mut buffer = client.run(pool.taken(4096)).expect("it comes back");
        fill(&mut buffer, seq);
        client.run(client.binding.send_capped(buffer, &device)).expect("it is accepted");
    }
    client.run(client.binding.send_deny(false)).expect("it is accepted");
    let mut buffer = client.run(pool.taken(4096)).expect("it comes back");
    fill(&mut buffer, 7);
    client.run(client.binding.send_capped(buffer, &device)).expect("it is accepted");
    client.expect(0, &filled(4096, 7), "slot");
}

/// A capability that may not leave: the buffer is given back, or the slot is free, if the message was accepted by then.
fn slot_of_a_message_that_may_not_leave_comes_back(client: &Client) {
    let pool = client.open(Slots { count: 1, bytes: 4096 });
    let device = || Cap::from(std::fs::File::open("/dev/null").expect("a device"));
    deny_devices(Direction::Send);
    let now = client.binding.tx_capped(takes(&pool, 100, 1), &device());
    let given = now.err().and_then(|rejected| rejected.given);
    assert_eq!(given.as_deref(), Some(&filled(100, 1)[..]));
    drop(given);
    let later = client.run(client.binding.send_capped(takes(&pool, 100, 2), &device()));
    let given = later.err().and_then(|rejected| rejected.given);
    assert_eq!(given.as_deref(), Some(&filled(100, 2)[..]));
    drop(given);
    let (shared, buffer) = (client.binding.shared(), takes(&pool, 100, 3));
    let other = std::thread::spawn(move || {
        shared.tx_capped(buffer, &device()).expect("there is room in the queue");
    });
    other.join().expect("no panic");
    client.run(pool.taken(1)).expect("it comes back");
    policy::clear_cap_policy();
}

#[test]
fn reply_that_nobody_waits_for_leaves_its_slot_free() {
    for driver in ["loopback", "ump", "lmp"] {
        let (ws, held) = (Waitset::current(), Rc::new(RefCell::new(VecDeque::new())));
        let theirs = Rc::clone(&held);
        let connect = move |_: &Peer| {
            let held = Rc::clone(&theirs);
            let read = move |b: &frames::Binding, _: u32, _: Bulk<'_>, reply: frames::ReadReply| {
                held.borrow_mut().push_back((b.clone(), reply));
            };
            Ok(frames::RxVtbl { read: Some(Box::new(read)), ..Default::default() })
        };
        let exported = frames::export(&ws, connect).wait().expect("it can be exported");
        let client = Client::new(exported.iref(), driver);
        let (rpc, pool) = (frames::RpcClient::new(&client.binding), RefCell::new(None));
        for is_full in [false, true] {
            let mut call = Box::pin(rpc.read_async(1, &[]));
            let waits = call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
            assert!(waits);
            client.until("the call", || !held.borrow().is_empty());
            let (service, reply) = held.borrow_mut().pop_front().expect("it is there");
            let pool = pool
                .borrow_mut()
                .get_or_insert_with(|| {
                    let slots = Slots { count: 1, bytes: 4096 };
                    Pool::new(&service, slots).expect("a pool can be made")
                })
                .clone();
            client.until("the pool is taken", || pool.is_open());
            let buffer = takes(&pool, 4096, 1);
            if is_full {
                // The reply has to wait behind these.
                while service.tx_got(1, 1, "").is_ok() {}
                reply.send(buffer);
                assert_eq!(pool.take(1).err(), Some(PoolError::Busy));
                drop(call);
            } else {
                drop(call);
                client.until("the notice", || reply.is_cancelled());
                reply.send(buffer);
                assert!(pool.take(1).is_ok(), "at once");
            }
            client.run(pool.taken(1)).expect("it comes back");
            client.reports.borrow_mut().clear();
        }
    }
}

fn refused_send_gives_the_buffer_back(client: &Client) {
    let pool = client.open(Slots { count: 1, bytes: 4096 });
    let mut buffer = takes(&pool, 4096, 7);
    let mut sent = 0;
    let given = loop {
        match client.binding.tx_frame(7, buffer) {
            Ok(_) => {
                sent += 1;
                buffer = client.run(pool.taken(4096)).expect("it comes back");
                fill(&mut buffer, 7);
                if sent == 3 {
                    client.binding.teardown();
                }
            }
            Err(Rejected { error, given }) => {
                assert_eq!(error, TxError::Closed);
                break given;
            }
        }
    };
    let given = given.expect("the buffer comes back");
    assert_eq!(&given[..], filled(4096, 7), "with what is in it");
    assert_eq!(pool.take(1).err(), Some(PoolError::Closed));
    let closed = Pool::new(&client.binding, Slots::default());
    assert_eq!(closed.err(), Some(PoolError::Closed));
}

fn pool_outlives_the_messages_that_name_its_slots(client: &Client) {
    for seq in 0..4 {
        let pool = client.open(Slots { count: 2, bytes: 8192 });
        let (buffer, shared) = (takes(&pool, 8192, seq), client.binding.shared());
        // The thread of the binding learns of the end of the pool before it sends the message.
        let other = std::thread::spawn(move || {
            shared.tx_frame(seq, buffer).expect("there is room in the queue");
            drop(pool);
        });
        other.join().expect("no panic");
        client.expect(seq, &filled(8192, seq), "slot");
    }
}

#[test]
fn pools_within_a_thread_and_between_threads() {
    for driver in ["loopback", "ump", "scc", "beehive", "lmp"] {
        let ws = Waitset::current();
        let exported = frames::export(&ws, |_: &Peer| Ok(Service::default())).wait();
        let client = Client::new(exported.expect("it can be exported").iref(), driver);
        everything(&client, "slot");
        calls_carry_bulk_data_as_messages_do(&client);
        slots_of_calls_that_are_not_sent_come_back(&client);
        kept_slots_are_free_once_dropped(&client);
        pool_outlives_the_messages_that_name_its_slots(&client);
        refused_send_gives_the_buffer_back(&client);
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let service = std::thread::spawn(move || {
        let ws = Waitset::current();
        let exported = frames::export(&ws, |_: &Peer| Ok(Service::default())).wait();
        sender.send(exported.expect("it can be exported").iref()).expect("the test waits");
        let deadline = Some(Instant::now() + 10 * TIMEOUT);
        ws.dispatch_until(deadline, || {
            stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected)
        })
        .expect("no callback fails");
    });
    let iref = receiver.recv().expect("a service");
    for driver in ["ump", "scc", "beehive", "lmp"] {
        let client = Client::new(iref, driver);
        everything(&client, "slot");
        calls_carry_bulk_data_as_messages_do(&client);
        slots_of_calls_that_are_not_sent_come_back(&client);
        kept_slots_are_free_once_dropped(&client);
        pool_outlives_the_messages_that_name_its_slots(&client);
        refused_send_gives_the_buffer_back(&client);
    }
    let last = Client::new(iref, "ump");
    drop(stop);
    // It looks once more when something comes.
    let _ = last.binding.tx_keep(false);
    service.join().expect("no panic");
}

/// A service whose handlers run on any of two threads.
struct Pooled;

impl frames::Rx<Shared> for Pooled {
    fn frame(&mut self, b: &frames::Binding<Shared>, seq: u64, data: Bulk<'_>) {
        let (sum, how) = (sum_of(&data), way(&data));
        b.send_got(seq, sum, &how).wait().expect("there is room");
    }

    fn pair(&mut self, b: &frames::Binding<Shared>, left: Bulk<'_>, n: u32, right: Bulk<'_>) {
        let how = format!("{} {}", way(&left), way(&right));
        let difference = sum_of(&left).wrapping_sub(sum_of(&right));
        b.send_got(n.into(), difference, &how).wait().expect("there is room");
    }

    fn got(&mut self, _: &frames::Binding<Shared>, _: u64, _: u64, _: &str) {}

    fn keep(&mut self, _: &frames::Binding<Shared>, _: bool) {}

    fn read(
        &mut self,
        _: &frames::Binding<Shared>,
        n: u32,
        prefix: Bulk<'_>,
        reply: frames::ReadReply<Shared>,
    ) {
        let mut data = prefix.to_vec();
        data.extend(filled(n as usize, 0));
        reply.send(&data);
    }

    fn echo(
        &mut self,
        b: &frames::Binding<Shared>,
        data: Bulk<'_>,
        in_place: bool,
        reply: frames::EchoReply<Shared>,
    ) {
        let how = way(&data);
        if in_place {
            let pool = b.pool().expect("a pool can be made");
            let mut buffer = pool.take(data.len()).expect("a slot is free");
            data.copy_to(0, &mut buffer);
            reply.send(&how, buffer);
        } else {
            reply.send(&how, data);
        }
    }

    fn capped(&mut self, _: &frames::Binding<Shared>, _: Bulk<'_>, _: Cap) {}

    fn deny(&mut self, _: &frames::Binding<Shared>, _: bool) {}
}

#[test]
fn pools_of_a_service_on_several_threads() {
    let (pool, ended) = (SharedWaitset::new(), AtomicBool::new(false));
    let exported = frames::export(&pool, |_: &Peer| Ok(Pooled)).wait();
    let iref = exported.expect("it can be exported").iref();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| pool.dispatch_until(None, || ended.load(Ordering::Acquire)));
        }
        let end = EndOfPool(&pool, &ended);
        for driver in ["ump", "scc", "beehive", "lmp"] {
            let client = Client::new(iref, driver);
            everything(&client, "slot");
            calls_carry_bulk_data_as_messages_do(&client);
            slots_of_calls_that_are_not_sent_come_back(&client);
            refused_send_gives_the_buffer_back(&client);
        }
        drop(end);
    });
}

/// Ends the threads of a waitset.
struct EndOfPool<'a>(&'a SharedWaitset, &'a AtomicBool);

impl Drop for EndOfPool<'_> {
    fn drop(&mut self) {
        self.1.store(true, Ordering::Release);
        self.0.wake_all();
    }
}

/// The process of a service.
struct OtherProcess {
    child: Child,
    iref: Iref,
}

impl OtherProcess {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", "service_process", "--nocapture"])
            .env(ROLE, "service")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let out = child.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(out).lines();
        let iref = loop {
            let line = lines.next().expect("a line").expect("it can be read");
            if let Some(bits) = line.split("iref=").nth(1) {
                break bits.trim().parse().expect("a number");
            }
        };
        Self { child, iref: Iref::from_bits(iref).expect("not 0") }
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn service_process() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let ws = Waitset::current();
    let exported = frames::export(&ws, |_: &Peer| Ok(Service::default())).wait();
    let exported = exported.expect("it can be exported");
    flounder::monitor::publish(exported.iref()).wait().expect("there is a monitor");
    println!("iref={}", exported.iref().to_bits());
    loop {
        ws.dispatch().expect("no callback fails");
    }
}

#[test]
fn pools_between_processes() {
    if std::env::var_os(ROLE).is_some() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory can be made");
    let status = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "client_process", "--nocapture"])
        .env(ROLE, "client")
        .env("FLOUNDER_RUNTIME_DIR", dir.path().join("run"))
        .status()
        .expect("this program can be started");
    assert!(status.success());
}

#[test]
fn client_process() {
    if std::env::var(ROLE).as_deref() != Ok("client") {
        return;
    }
    let service = OtherProcess::start();
    for driver in ["ump", "lmp", "scc", "beehive"] {
        let client = Client::new(service.iref, driver);
        everything(&client, "slot");
        calls_carry_bulk_data_as_messages_do(&client);
        slots_of_calls_that_are_not_sent_come_back(&client);
        slot_of_a_message_that_is_lost_comes_back(&client);
        slot_of_a_message_that_may_not_leave_comes_back(&client);
        kept_slots_are_free_once_dropped(&client);
        pool_outlives_the_messages_that_name_its_slots(&client);
        refused_send_gives_the_buffer_back(&client);
    }
    forked_child_has_no_slots(&Client::new(service.iref, "ump"));
    idle_pool_is_one_mapping(&Client::new(service.iref, "ump"));
    death_of_the_reader_closes_the_pool(service);
    killed_peer_leaves_nothing_behind();
}

/// In a child of a process of several threads: pools are closed, buffers and slots are empty, nothing is mapped, and no drop
/// waits for a thread that the child does not have.
fn forked_child_has_no_slots(client: &Client) {
    let pool = client.open(Slots { count: 4, bytes: 4096 });
    let rpc = frames::RpcClient::new(&client.binding);
    let deadline = Instant::now() + TIMEOUT;
    let kept = loop {
        let (_, kept) = rpc.echo(&filled(60_000, 1), true).expect("an answer");
        if way(&kept) == "slot" {
            break kept;
        }
        assert!(Instant::now() < deadline, "in time: the service has a pool");
    };
    let buffer = takes(&pool, 4096, 1);
    let (start, stop) = (buffer.as_ptr().addr(), AtomicBool::new(false));
    let slots = RefCell::new(Some((buffer, kept, pool.clone())));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drop(pool.take(1));
            }
        });
        for _ in 0..50 {
            // SAFETY:
            // * The child uses nothing that another thread may have locked, which is what this test is about; it ends by
            //   `_exit`.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let (buffer, kept, pool) = slots.take().expect("it has a copy of everything");
                let is_empty = buffer.is_empty() && kept.to_vec().iter().all(|byte| *byte == 0);
                let is_closed = pool.take(1).err() == Some(PoolError::Closed) && !pool.is_open();
                let is_refused = Pool::new(&client.binding, Slots::default()).is_err();
                drop((buffer, kept, pool));
                let has_none = is_empty && is_closed && is_refused && !is_mapped(start);
                // SAFETY:
                // * It ends the child, which has nothing to clean up.
                unsafe { libc::_exit(i32::from(!has_none)) };
            }
            let child = Pid::from_raw(child).expect("a child");
            let status = loop {
                if let Some((_, status)) =
                    waitpid(Some(child), WaitOptions::NOHANG).expect("it is ours")
                {
                    break status.exit_status();
                }
                assert!(Instant::now() < deadline, "in time: the child ends");
                std::thread::yield_now();
            };
            assert_eq!(status, Some(0));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (buffer, kept, _) = slots.take().expect("the children had their own");
    assert_eq!(sum_of(&kept), sum(&filled(60_000, 1)), "the parent has everything");
    assert_eq!(&buffer[..], filled(4096, 1));
}

fn idle_pool_is_one_mapping(client: &Client) {
    let (descriptors, mappings) = resources();
    let pool = client.open(Slots { count: 4, bytes: 65_536 });
    let settles = |expected: (usize, usize)| {
        // The descriptor is closed a moment later, by another thread, which is no event here.
        let deadline = Instant::now() + TIMEOUT;
        while resources() != expected {
            assert!(Instant::now() < deadline, "{:?} is not {expected:?} in time", resources());
            let tick = Some(Instant::now() + Duration::from_millis(10));
            client.ws.dispatch_until(tick, || false).expect("no callback fails");
        }
    };
    settles((descriptors, mappings + 1));
    drop(pool);
    settles((descriptors, mappings));
}

fn is_mapped(address: usize) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it can be read");
    maps.lines().any(|line| {
        let (start, rest) = line.split_once('-').expect("a range");
        let end = rest.split(' ').next().expect("a range");
        let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).expect("a number"));
        (start..end).contains(&address)
    })
}

/// Descriptors, and mappings of memory of channels and pools.
fn resources() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it can be read");
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("it can be read").count();
    (descriptors, maps.lines().filter(|line| line.contains("memfd:flounder")).count())
}

/// A peer takes, fills, sends, calls, keeps and releases slots in both directions until it is killed, wherever it is then.
fn killed_peer_leaves_nothing_behind() {
    let (ws, received) = (Waitset::current(), Rc::new(Cell::new(0)));
    let theirs = Rc::clone(&received);
    let exported = frames::export(&ws, move |_: &Peer| {
        let received = Rc::clone(&theirs);
        Ok(Service { received, ..Service::default() })
    });
    let exported = exported.wait().expect("it can be exported");
    flounder::monitor::publish(exported.iref()).wait().expect("there is a monitor");
    let mut before = (usize::MAX, 0);
    for kill_at in 0..30 {
        received.set(0);
        let mut peer = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", "busy_process", "--nocapture"])
            .env(ROLE, ["ump", "lmp", "scc"][kill_at % 3])
            .env(IREF, exported.iref().to_bits().to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("this program can be started");
        // What is closed by another thread is no event here.
        let until = |what: &str, done: &dyn Fn() -> bool| {
            let deadline = Instant::now() + TIMEOUT;
            while !done() {
                let (tick, now) = (Duration::from_millis(10), Instant::now());
                assert!(now < deadline, "in time: {what}; {:?}, before {before:?}", resources());
                ws.dispatch_until(Some(now + tick), done).expect("no callback fails");
            }
        };
        until("frames", &|| received.get() > 3 * kill_at);
        peer.kill().expect("it runs");
        peer.wait().expect("it is ours");
        let is_settled = || {
            let (descriptors, mappings) = resources();
            mappings <= before.1 && descriptors <= before.0
        };
        until("nothing is left", &is_settled);
        // The first ones leave what the monitor and the threads of the library keep for others.
        if kill_at == 3 {
            before = resources();
        }
    }
}

#[test]
fn busy_process() {
    let Ok(iref) = std::env::var(IREF) else { return };
    let driver = std::env::var(ROLE).expect("it is set");
    let iref = Iref::from_bits(iref.parse().expect("a number")).expect("not 0");
    let client = Client::new(iref, &driver);
    let (rpc, mut kept) = (frames::RpcClient::new(&client.binding), VecDeque::new());
    let pool = client.open(Slots { count: 4, bytes: 65_536 });
    for seq in 0.. {
        let mut buffer = client.run(pool.taken(60_000)).expect("it comes back");
        fill(&mut buffer, seq);
        client.run(client.binding.send_frame(seq, buffer)).expect("it is accepted");
        client.run(client.binding.send_keep(seq % 3 > 0)).expect("it is accepted");
        let mut buffer = client.run(pool.taken(60_000)).expect("it comes back");
        fill(&mut buffer, seq);
        kept.push_back(rpc.echo(buffer, true).expect("an answer"));
        if kept.len() > 3 {
            kept.pop_front();
        }
    }
}

fn death_of_the_reader_closes_the_pool(mut service: OtherProcess) {
    let client = Client::new(service.iref, "ump");
    let pool = client.open(Slots { count: 1, bytes: 64 });
    client.run(client.binding.send_keep(true)).expect("it is accepted");
    let buffer = takes(&pool, 64, 1);
    client.run(client.binding.send_frame(1, buffer)).expect("it is accepted");
    let _ = client.report();
    assert_eq!(pool.take(1).err(), Some(PoolError::Busy));
    let is_over = Cell::new(false);
    service.child.kill().expect("it runs");
    client.run(async {
        assert_eq!(pool.taken(1).await.err(), Some(PoolError::Closed));
        is_over.set(true);
    });
    assert!(is_over.get());
}
