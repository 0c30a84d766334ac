//! Bulk data over every driver: in the message, in slots of a pool, as sealed memory.

#[path = "bulk/calls.rs"]
mod calls;
#[path = "bulk/lossy_driver.rs"]
mod lossy_driver;
#[path = "bulk/lost.rs"]
mod lost;
#[path = "bulk/processes.rs"]
mod processes;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileTypeExt;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use calls::{calls_carry_bulk_data_as_messages_do, slots_of_calls_that_are_not_sent_come_back};
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
        call frame(uint64 seq, bulk data[2097152]);
        call pair(bulk a[65536], uint32 n, bulk b[65536]);
        /** Of each frame: the sum of its words, and how it came. */
        response got(uint64 seq, uint64 sum, string how[64]);
        /** Keeps the frames from now on, or drops those that are kept. */
        call keep(bool on);
        rpc read(in uint32 n, in bulk prefix[65536], out bulk data[2097152]);
        /** Returns the data, in a buffer of the service or as it came; and how it came. */
        rpc echo(in bulk data[2097152], in bool in_place, out string how[64], out bulk same[2097152]);
        call capped(bulk data[65536], cap file);
        /** The service lets no device in, or lets them in again. */
        call deny(bool on);
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
    binding: frames::ClientBinding,
    reports: Reports,
}

impl Client {
    fn new(iref: Iref, driver: &str) -> Self {
        let (ws, reports) = (Waitset::current(), Reports::default());
        let theirs = Rc::clone(&reports);
        let rx = frames::ClientRxVtbl {
            got: Some(Box::new(move |_: &frames::ClientBinding, seq, sum, how: &str| {
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
