//! Streams between two threads: a million messages of every size, each checked, while both ends sleep and wake.

mod support;

use std::sync::Arc;
use std::thread;

use flounder_conformance::TestLink;
use flounder_drivers::{lmp::Lmp, ump::Ump};
use flounder_rt::channel::{Connector, End, SendPair};
use flounder_rt::notify::Notifier;
use support::{Parker, check, stream, yielding};

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

/// Between two threads whose ends sleep.
fn run(buffer: usize, messages: u64) {
    let parkers = [Arc::new(Parker::default()), Arc::new(Parker::default())];
    let [client_end, service_end] = [&parkers[0], &parkers[1]].map(|parker| parker.end(buffer));
    let (client, mut service) = Ump.pair(&client_end, &service_end).unwrap();
    let [client_parker, service_parker] = &parkers;
    thread::scope(|scope| {
        scope.spawn(|| stream(client, messages, body, |end| client_parker.sleep(end)));
        check(&mut *service, messages, body, |end| service_parker.sleep(end));
    });
}

/// Between two threads that never sleep.
fn run_awake((client, mut service): SendPair, messages: u64) {
    thread::scope(|scope| {
        scope.spawn(|| stream(client, messages, body, yielding()));
        check(&mut *service, messages, body, yielding());
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
    run_awake(Lmp.pair(&end(), &end()).unwrap(), 50_000);
}

/// The tag of a line is 32 bits: rings whose counters are near the wrap go on over it.
#[test]
fn positions_wrap() {
    use flounder_drivers::__private::PeerEnd;
    use flounder_drivers::__private::ump::line::{LineInfo, LineKind};
    use flounder_drivers::__private::ump::ring::{DATA, Ring};
    use flounder_drivers::mem::heap::allocate;
    for start in [u64::from(u32::MAX) - 500, u64::MAX - 500] {
        let (a_own, a_peer) = allocate(DATA + 62);
        let (b_own, b_peer) = allocate(DATA + 62);
        let mut writer = Ring::starting_at(a_own, b_peer, true, start);
        let mut reader = Ring::starting_at(b_own, a_peer, true, start);
        let head = LineInfo::new(LineKind::Whole, 1, 7, 0);
        let (mut sent, mut received) = (0_u64, 0_u64);
        while received < 5000 {
            while writer.room().unwrap() && sent < received + 7 * (received % 9) + 1 {
                writer.publish(&[sent; 7], head);
                sent += 1;
            }
            while let Some((taken, payload)) = reader.take() {
                assert_eq!((taken, payload), (head, [received; 7]));
                received += 1;
                if reader.ack_is_due() {
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
    let end = |buffer| End { notifier: Notifier::new(), connection: 0, buffer };
    let (here, there) = TestLink::pair();
    let pair = TestLink::connect_over(&Ump, &end(8192), &end(4096), &here, &there);
    run_awake(pair, 200_000);
}
