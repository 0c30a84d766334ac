//! What a driver adds to the transfer of a cache line between two processors, measured in the same run.
//!
//! `cargo bench -p flounder-drivers`. Prints, for each driver, nanoseconds per message one way (a stream of 8-byte messages)
//! and per round trip (ping-pong), the ratio of the round trip to that of a bare cache line, and the throughput of messages of
//! 64 KiB. Between threads both ends
//! poll; with fewer than two processors these figures mean nothing.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crossbeam_utils::CachePadded;
use flounder_conformance::LIMITS;
use flounder_drivers::{lmp::Lmp, loopback::Loopback, ump::Ump};
use flounder_rt::channel::{Channel, Connector, End, Incoming, Outgoing, Progress, Recv};
use flounder_rt::notify::Notifier;
use flounder_rt::wire::Gather;

const ROUNDS: u64 = 200_000;
const STREAM: u64 = 5_000_000;
const LARGE: usize = 64 << 10;
const LARGE_COUNT: usize = 20_000;

fn main() {
    println!("processors: {}", thread::available_parallelism().map_or(1, usize::from));
    let line = cache_line();
    println!(
        "{:<12} {:>10} {:>13} {:>8} {:>8}",
        "", "ns one way", "ns round trip", "ratio", "GB/s"
    );
    println!("{:<12} {:>10} {line:>13.1} {:>8.2}", "cache line", "", 1.0);
    let (send, both) = loopback();
    println!("{:<12} {send:>10.1} {both:>13.1} {:>8.2}", "loopback", both / line);
    for (driver, scale) in [(&Ump as &dyn Connector, 1), (&Lmp, 20)] {
        let (one_way, round_trip) =
            (stream(driver, STREAM / scale), ping_pong(driver, ROUNDS / scale));
        let (ratio, bytes) = (round_trip / line, throughput(driver));
        println!(
            "{:<12} {one_way:>10.1} {round_trip:>13.1} {ratio:>8.2} {bytes:>8.2}",
            driver.name()
        );
    }
}

/// Two lines, each written by one thread and read by the other.
fn cache_line() -> f64 {
    let line = || CachePadded::new(AtomicU64::new(0));
    let (there, back) = (line(), line());
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                while there.load(Ordering::Acquire) != round {
                    spin_loop();
                }
                back.store(round, Ordering::Release);
            }
        });
        let start = Instant::now();
        for round in 1..=ROUNDS {
            there.store(round, Ordering::Release);
            while back.load(Ordering::Acquire) != round {
                spin_loop();
            }
        }
        start.elapsed().as_nanos() as f64 / ROUNDS as f64
    })
}

fn loopback() -> (f64, f64) {
    let (mut client, mut service) =
        Loopback.pair_local(&end(), &end()).expect("it reaches its own thread");
    let mut incoming = Incoming::new(LIMITS);
    let start = Instant::now();
    for round in 0..STREAM {
        put(&mut *client, round);
        assert_eq!(get(&mut *service, &mut incoming), round);
    }
    let one = start.elapsed().as_nanos() as f64 / STREAM as f64;
    (one, 2.0 * one)
}

fn stream(driver: &dyn Connector, messages: u64) -> f64 {
    let (mut client, mut service) = driver.pair(&end(), &end()).expect("it reaches another thread");
    thread::scope(|scope| {
        scope.spawn(move || {
            for message in 0..messages {
                put(&mut *client, message);
            }
            // The end is kept until everything is read.
            get(&mut *client, &mut Incoming::new(LIMITS));
        });
        let mut incoming = Incoming::new(LIMITS);
        let start = Instant::now();
        for message in 0..messages {
            assert_eq!(get(&mut *service, &mut incoming), message);
        }
        let elapsed = start.elapsed();
        put(&mut *service, 0);
        elapsed.as_nanos() as f64 / messages as f64
    })
}

fn throughput(driver: &dyn Connector) -> f64 {
    let (mut client, mut service) = driver.pair(&end(), &end()).expect("it reaches another thread");
    thread::scope(|scope| {
        scope.spawn(move || {
            let (words, mut caps) = (vec![7; LARGE / 8], Vec::new());
            for _ in 0..LARGE_COUNT {
                let mut from = 0;
                let body = Gather::words_only(&words);
                let mut message = Outgoing { number: 1, body, caps: &mut caps, cap_count: 0 };
                while let Progress::Partial(taken) =
                    client.send(&mut message, from).expect("the channel is sound")
                {
                    from = taken;
                    spin_loop();
                }
            }
            get(&mut *client, &mut Incoming::new(LIMITS));
        });
        let mut incoming = Incoming::new(LIMITS);
        let start = Instant::now();
        for _ in 0..LARGE_COUNT {
            assert_eq!(get(&mut *service, &mut incoming), 7);
        }
        let elapsed = start.elapsed();
        put(&mut *service, 0);
        (LARGE * LARGE_COUNT) as f64 / elapsed.as_nanos() as f64
    })
}

fn ping_pong(driver: &dyn Connector, rounds: u64) -> f64 {
    let (mut client, mut service) = driver.pair(&end(), &end()).expect("it reaches another thread");
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut incoming = Incoming::new(LIMITS);
            for _ in 0..rounds {
                let word = get(&mut *service, &mut incoming);
                put(&mut *service, word);
            }
            // The last answer has been read when this comes.
            get(&mut *service, &mut incoming);
        });
        let mut incoming = Incoming::new(LIMITS);
        let start = Instant::now();
        for round in 0..rounds {
            put(&mut *client, round);
            assert_eq!(get(&mut *client, &mut incoming), round);
        }
        let elapsed = start.elapsed();
        put(&mut *client, 0);
        elapsed.as_nanos() as f64 / rounds as f64
    })
}

fn end() -> End {
    End { notifier: Notifier::new(), connection: 0, buffer: 0 }
}

#[inline]
fn put(channel: &mut dyn Channel, word: u64) {
    let mut caps = Vec::new();
    let words = [word];
    let mut message =
        Outgoing { number: 1, body: Gather::words_only(&words), caps: &mut caps, cap_count: 0 };
    while channel.send(&mut message, 0).expect("the channel is sound") != Progress::Done {
        spin_loop();
    }
}

#[inline]
fn get(channel: &mut dyn Channel, incoming: &mut Incoming) -> u64 {
    while channel.recv(incoming).expect("the channel is sound") != Recv::Message {
        spin_loop();
    }
    incoming.words()[0]
}
