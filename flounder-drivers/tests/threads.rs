//! Streams between two threads: a million messages of every size, each checked, while both ends sleep and wake.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flounder_drivers::conformance::{LIMITS, TestLink};
use flounder_drivers::{lmp::Lmp, ump::Ump};
use flounder_rt::barrier::barrier;
use flounder_rt::channel::{
    Channel, ChannelError, Connector, End, Incoming, Outgoing, Progress, Recv,
};
use flounder_rt::notify::{Notifier, Wake};
use flounder_rt::wire::Gather;

const PATIENCE: Duration = Duration::from_secs(60);

/// A bed: `wake` ends the sleep of the end that lies in it.
#[derive(Default)]
struct Bed {
    woken: Mutex<bool>,
    bell: Condvar,
}

impl Wake for Bed {
    fn wake(&self, _token: u64) {
        *self.woken.lock().unwrap() = true;
        self.bell.notify_all();
    }
}

impl Bed {
    fn end(self: &Arc<Self>, buffer: usize) -> End {
        let notifier = Notifier::new();
        notifier.retarget(Arc::clone(self) as Arc<dyn Wake>, 0);
        End { notifier, connection: 0, buffer }
    }

    /// Sleeps until woken, if the channel is not ready: as a waitset does.
    fn sleep(&self, channel: &mut dyn Channel) {
        *self.woken.lock().unwrap() = false;
        channel.arm();
        barrier();
        if !channel.ready() {
            let woken = self.woken.lock().unwrap();
            let (woken, timeout) =
                self.bell.wait_timeout_while(woken, PATIENCE, |woken| !*woken).unwrap();
            assert!(!timeout.timed_out(), "asleep for good: a wake-up was lost");
            drop(woken);
        }
        channel.disarm();
    }
}

/// Words of message `number`, of a length that depends on it.
fn body(number: u64, words: &mut Vec<u64>) {
    let length = match number % 1000 {
        999 => 3000,
        n if n % 100 == 0 => 200,
        n => n % 16,
    };
    words.clear();
    words
        .extend((0..length).map(|word| {
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(word as u32) ^ word
        }));
}

fn stream(client: &mut dyn Channel, bed: &Bed, messages: u64) {
    let (mut words, mut caps) = (Vec::new(), Vec::new());
    for number in 0..messages {
        body(number, &mut words);
        let mut from = 0;
        loop {
            let body = Gather::words_only(&words);
            match client
                .send(&mut Outgoing { number: 1, body, caps: &mut caps, cap_count: 0 }, from)
                .unwrap()
            {
                Progress::Done => break,
                Progress::Partial(taken) => from = taken,
            }
            bed.sleep(client);
        }
    }
    client.close();
}

fn check(service: &mut dyn Channel, bed: &Bed, messages: u64) {
    let (mut words, mut incoming) = (Vec::new(), Incoming::new(LIMITS));
    let deadline = Instant::now() + PATIENCE;
    for number in 0..messages {
        body(number, &mut words);
        loop {
            match service.recv(&mut incoming).unwrap() {
                Recv::Message => break,
                Recv::More => {}
                Recv::Empty => bed.sleep(service),
            }
        }
        assert_eq!(incoming.words(), words, "message {number}");
        assert!(number % 4096 != 0 || Instant::now() < deadline, "too slow");
    }
    loop {
        match service.recv(&mut incoming) {
            Err(error) => break assert_eq!(error, ChannelError::Closed),
            Ok(Recv::Empty) => bed.sleep(service),
            Ok(other) => panic!("{other:?} after the last message"),
        }
    }
}

fn run(buffer: usize, messages: u64) {
    let (client_bed, service_bed) = (Arc::new(Bed::default()), Arc::new(Bed::default()));
    let (mut client, mut service) =
        Ump.pair(&client_bed.end(buffer), &service_bed.end(buffer)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| stream(&mut *client, &client_bed, messages));
        check(&mut *service, &service_bed, messages);
    });
}

#[test]
fn a_million_messages_over_ump() {
    run(0, 1_000_000);
}

#[test]
fn many_messages_over_the_smallest_ring() {
    run(1, 300_000);
}

#[test]
fn many_messages_over_lmp() {
    let end = || End { notifier: Notifier::new(), connection: 0, buffer: 0 };
    let (mut client, mut service) = Lmp.pair(&end(), &end()).unwrap();
    let messages = 50_000;
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut words, mut caps) = (Vec::new(), Vec::new());
            for number in 0..messages {
                body(number, &mut words);
                let mut from = 0;
                let deadline = Instant::now() + PATIENCE;
                loop {
                    let body = Gather::words_only(&words);
                    let mut message = Outgoing { number: 1, body, caps: &mut caps, cap_count: 0 };
                    match client.send(&mut message, from).unwrap() {
                        Progress::Done => break,
                        Progress::Partial(taken) => from = taken,
                    }
                    assert!(Instant::now() < deadline, "full for good");
                    thread::yield_now();
                }
            }
            client.close();
        });
        let (mut words, mut incoming) = (Vec::new(), Incoming::new(LIMITS));
        for number in 0..messages {
            body(number, &mut words);
            let deadline = Instant::now() + PATIENCE;
            while service.recv(&mut incoming).unwrap() != Recv::Message {
                assert!(Instant::now() < deadline, "empty for good");
                thread::yield_now();
            }
            assert_eq!(incoming.words(), words, "message {number}");
        }
        let deadline = Instant::now() + PATIENCE;
        let error = loop {
            match service.recv(&mut incoming) {
                Err(error) => break error,
                Ok(recv) => assert_eq!(recv, Recv::Empty),
            }
            assert!(Instant::now() < deadline, "no end");
        };
        assert_eq!(error, ChannelError::Closed);
    });
}

/// The tag of a line is 32 bits: rings whose counters are near the wrap go on over it.
#[test]
fn positions_wrap() {
    use flounder_drivers::mem::heap::allocate;
    use flounder_drivers::ump::line::{Head, Kind};
    use flounder_drivers::ump::ring::{DATA, Ring};
    for start in [u64::from(u32::MAX) - 500, u64::MAX - 500] {
        let (a_own, a_peer) = allocate(DATA + 62);
        let (b_own, b_peer) = allocate(DATA + 62);
        let mut writer = Ring::starting_at(a_own, b_peer, true, start);
        let mut reader = Ring::starting_at(b_own, a_peer, true, start);
        let head = Head::new(Kind::Whole, 1, 7, 0);
        let (mut sent, mut received) = (0_u64, 0_u64);
        while received < 5000 {
            while writer.room().unwrap() && sent < received + 7 * (received % 9) + 1 {
                writer.publish(&[sent; 7], head);
                sent += 1;
            }
            while let Some((taken, payload)) = reader.take() {
                assert_eq!((taken, payload), (head, [received; 7]));
                received += 1;
                if reader.owes_ack() {
                    reader.acknowledge();
                }
            }
            assert_eq!(sent, received);
        }
    }
}

/// Ends of channels over mapped memory go to other threads, too.
#[test]
fn many_messages_over_mapped_memory() {
    let (client_bed, service_bed) = (Arc::new(Bed::default()), Arc::new(Bed::default()));
    let (here, there) = TestLink::pair();
    let (mut client, mut service) =
        TestLink::connect_over(&Ump, &client_bed.end(8192), &service_bed.end(4096), &here, &there);
    let messages = 200_000;
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut words, mut caps) = (Vec::new(), Vec::new());
            for number in 0..messages {
                body(number, &mut words);
                let mut from = 0;
                let deadline = Instant::now() + PATIENCE;
                loop {
                    let body = Gather::words_only(&words);
                    let mut message = Outgoing { number: 1, body, caps: &mut caps, cap_count: 0 };
                    match client.send(&mut message, from).unwrap() {
                        Progress::Done => break,
                        Progress::Partial(taken) => from = taken,
                    }
                    assert!(Instant::now() < deadline, "full for good");
                    thread::yield_now();
                }
            }
        });
        let (mut words, mut incoming) = (Vec::new(), Incoming::new(LIMITS));
        for number in 0..messages {
            body(number, &mut words);
            let deadline = Instant::now() + PATIENCE;
            while service.recv(&mut incoming).unwrap() != Recv::Message {
                assert!(Instant::now() < deadline, "empty for good");
                thread::yield_now();
            }
            assert_eq!(incoming.words(), words, "message {number}");
        }
    });
}
