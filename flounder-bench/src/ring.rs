//! Raw cache lines and raw rings of lines, as written by hand for two threads that trust each other.
//!
//! Drivers are compared with them. The layout is that of `ump` (seven words of payload, one of header, as many lines)
//! without types, checks and sleeping.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_utils::CachePadded;

/// Words in a line.
const WORDS: usize = 8;
/// Words of payload in a line. The last word is the header.
const PAYLOAD: usize = WORDS - 1;
/// Bytes of payload in a line.
const BYTES: usize = PAYLOAD * 8;
/// Bytes of payload in the first line of a message, beside the length.
const FIRST: usize = BYTES - 8;

/// Distance in lines at which a receiver polls while it waits for the next lines of a message. Polling the line that the
/// writer is about to write takes the line away from the writer, which costs as much as receiving it.
const AHEAD: usize = 8;

/// Number of polls before a thread yields its core, many times more than a wait takes while both threads run.
const LOOKS: u32 = 4096;

/// Waits for the other thread by polling. After many polls, yields the core to other work, which may be the other thread.
#[derive(Default)]
pub(crate) struct Wait {
    looks: u32,
}

impl Wait {
    /// Pauses between two polls.
    #[inline(always)]
    pub(crate) fn pause(&mut self) {
        if self.looks < LOOKS {
            self.looks += 1;
            spin_loop();
        } else {
            thread::yield_now();
        }
    }

    /// Returns true if the core was yielded.
    #[inline(always)]
    pub(crate) const fn was_long(&self) -> bool {
        self.looks == LOOKS
    }
}

/// Two words on separate cache lines, one written by each thread.
pub(crate) struct PingPong {
    ping: CachePadded<AtomicU64>,
    pong: CachePadded<AtomicU64>,
}

/// Ends [`PingPong::answer`].
const STOP: u64 = u64::MAX;

impl PingPong {
    pub(crate) const fn new() -> Self {
        Self {
            ping: CachePadded::new(AtomicU64::new(0)),
            pong: CachePadded::new(AtomicU64::new(0)),
        }
    }

    /// Answers round trips until [`stop`](Self::stop).
    pub(crate) fn answer(&self) {
        let (mut last, mut wait) = (0, Wait::default());
        while last != STOP {
            // SYNC ping: pairs with the Release in `round_trip` and `stop`.
            let now = self.ping.load(Ordering::Acquire);
            if now == last {
                wait.pause();
                continue;
            }
            (last, wait) = (now, Wait::default());
            // SYNC pong: pairs with the Acquire in `round_trip`.
            self.pong.store(now, Ordering::Release);
        }
    }

    /// Makes a round trip with `number`, which must be neither zero nor the last number. Returns true if the core was
    /// yielded meanwhile.
    #[inline(always)]
    pub(crate) fn round_trip(&self, number: u64) -> bool {
        self.ping.store(number, Ordering::Release);
        let mut wait = Wait::default();
        while self.pong.load(Ordering::Acquire) != number {
            wait.pause();
        }
        wait.was_long()
    }

    pub(crate) fn stop(&self) {
        self.ping.store(STOP, Ordering::Release);
    }
}

#[repr(align(64))]
struct Line([AtomicU64; WORDS]);

/// Shared part of a ring: the lines and the receiver's acknowledged position.
pub(crate) struct Ring {
    lines: Box<[Line]>,
    acked: CachePadded<AtomicU64>,
}

impl Ring {
    /// Creates a ring. `lines` is a power of two of at least 4.
    pub(crate) fn new(lines: usize) -> Self {
        assert!(
            lines.is_power_of_two() && lines >= 4,
            "positions are masked, acks come in quarters"
        );
        let line = || Line(std::array::from_fn(|_| AtomicU64::new(0)));
        Self {
            lines: std::iter::repeat_with(line).take(lines).collect(),
            acked: CachePadded::new(AtomicU64::new(0)),
        }
    }
}

/// The sending end of a ring.
pub(crate) struct Sender<'a> {
    ring: &'a Ring,
    next: u64,
    acked: u64,
}

impl<'a> Sender<'a> {
    /// Creates the only sender of a new ring.
    pub(crate) const fn new(ring: &'a Ring) -> Self {
        Self { ring, next: 0, acked: 0 }
    }

    #[inline(always)]
    pub(crate) fn send(&mut self, payload: [u64; PAYLOAD]) {
        let (size, mut wait) = (self.ring.lines.len() as u64, Wait::default());
        while self.next - self.acked == size {
            // SYNC ack: pairs with the Release in `receive`; the lines are free.
            self.acked = self.ring.acked.load(Ordering::Acquire);
            if self.next - self.acked == size {
                wait.pause();
            }
        }
        let Line(words) = &self.ring.lines[(self.next & (size - 1)) as usize];
        for (word, value) in words.iter().zip(payload) {
            word.store(value, Ordering::Relaxed);
        }
        self.next += 1;
        // SYNC line: pairs with the Acquire in `receive`.
        words[PAYLOAD].store(self.next, Ordering::Release);
    }

    /// Sends a message: its length and its first bytes in one line, the rest in further lines.
    #[inline(always)]
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let (first, others) = bytes.split_at(bytes.len().min(FIRST));
        let [words @ .., _] = to_words(&padded(first));
        let [a, b, c, d, e, f] = words;
        self.send([bytes.len() as u64, a, b, c, d, e, f]);
        let (full, tail) = others.as_chunks::<BYTES>();
        for chunk in full {
            self.send(to_words(chunk));
        }
        if !tail.is_empty() {
            self.send(to_words(&padded(tail)));
        }
    }
}

/// Kind of traffic that a receiver expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// One message at a time, as soon as possible.
    One,
    /// A stream. After polling in vain the receiver waits for this many pause instructions.
    Stream(usize),
}

impl Expect {
    /// Ways to wait in a stream: without a rest for near cores, with one for far cores.
    pub(crate) const STREAMS: [Self; 2] = [Self::Stream(1), Self::Stream(256)];

    const fn rest(self) -> usize {
        match self {
            Self::One => 1,
            Self::Stream(rest) => rest,
        }
    }
}

/// The receiving end of a ring.
pub(crate) struct Receiver<'a> {
    ring: &'a Ring,
    next: u64,
    expect: Expect,
}

impl<'a> Receiver<'a> {
    /// Creates the only receiver of a new ring.
    pub(crate) const fn new(ring: &'a Ring, expect: Expect) -> Self {
        Self { ring, next: 0, expect }
    }

    /// Receives a line.
    #[inline(always)]
    pub(crate) fn receive(&mut self) -> [u64; PAYLOAD] {
        self.receive_after(self.expect.rest())
    }

    /// Receives a line, with `rest` pause instructions after polling in vain.
    #[inline(always)]
    fn receive_after(&mut self, rest: usize) -> [u64; PAYLOAD] {
        let (words, mut wait) = (self.words(self.next), Wait::default());
        self.next += 1;
        // SYNC line: pairs with the Release in `send`.
        while words[PAYLOAD].load(Ordering::Acquire) != self.next {
            (1..rest).for_each(|_| spin_loop());
            wait.pause();
        }
        let payload = std::array::from_fn(|i| words[i].load(Ordering::Relaxed));
        if self.next & (self.ring.lines.len() as u64 / 4 - 1) == 0 {
            // SYNC ack: pairs with the Acquire in `send`; the loads above cannot move below.
            self.ring.acked.store(self.next, Ordering::Release);
        }
        payload
    }

    /// Receives the next of `lines` lines that a message still has. Polls a later line if the next one is not there.
    #[inline(always)]
    fn receive_within(&mut self, lines: usize) -> [u64; PAYLOAD] {
        match self.expect {
            Expect::Stream(rest) => self.receive_after(rest),
            Expect::One => {
                if !self.is_there(self.next) {
                    // The sender can fill half of the ring without an ack.
                    let ahead = lines.min(AHEAD).min(self.ring.lines.len() / 2) as u64;
                    let mut wait = Wait::default();
                    while !self.is_there(self.next + ahead - 1) {
                        wait.pause();
                    }
                }
                self.receive_after(1)
            }
        }
    }

    #[inline(always)]
    fn words(&self, position: u64) -> &'a [AtomicU64; WORDS] {
        let lines = &self.ring.lines;
        &lines[(position & (lines.len() as u64 - 1)) as usize].0
    }

    #[inline(always)]
    fn is_there(&self, position: u64) -> bool {
        // Relaxed: the reader of the line loads the header again.
        self.words(position)[PAYLOAD].load(Ordering::Relaxed) == position + 1
    }

    /// Receives a message of [`Sender::send_bytes`].
    #[inline(always)]
    pub(crate) fn receive_bytes(&mut self, into: &mut Vec<u8>) {
        let [length, a, b, c, d, e, f] = self.receive();
        into.resize(length as usize, 0);
        let (first, others) = into.split_at_mut((length as usize).min(FIRST));
        first.copy_from_slice(&to_bytes([a, b, c, d, e, f, 0])[..first.len()]);
        let mut lines = others.len().div_ceil(BYTES);
        let (full, tail) = others.as_chunks_mut::<BYTES>();
        for chunk in full {
            *chunk = to_bytes(self.receive_within(lines));
            lines -= 1;
        }
        if !tail.is_empty() {
            let last = to_bytes(self.receive_within(lines));
            tail.copy_from_slice(&last[..tail.len()]);
        }
    }
}

/// Returns a line with these bytes, filled with zeros.
fn padded(bytes: &[u8]) -> [u8; BYTES] {
    let mut line = [0; BYTES];
    line[..bytes.len()].copy_from_slice(bytes);
    line
}

#[inline(always)]
fn to_words(bytes: &[u8; BYTES]) -> [u64; PAYLOAD] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_ne_bytes(words[i]))
}

#[inline(always)]
fn to_bytes(words: [u64; PAYLOAD]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_ne_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_every_length_go_through_a_ring_many_times_over() {
        let message =
            |length: usize| (0..length).map(|i| (i * 7 + length) as u8).collect::<Vec<_>>();
        for expect in [Expect::One, Expect::Stream(2)] {
            let ring = Ring::new(4);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut sender = Sender::new(&ring);
                    (0..300).for_each(|length| sender.send_bytes(&message(length)));
                });
                let (mut receiver, mut bytes) = (Receiver::new(&ring, expect), Vec::new());
                for length in 0..300 {
                    receiver.receive_bytes(&mut bytes);
                    assert_eq!(bytes, message(length));
                }
            });
        }
    }

    #[test]
    fn a_ping_pong_ends_when_it_is_stopped() {
        let lines = PingPong::new();
        std::thread::scope(|scope| {
            scope.spawn(|| lines.answer());
            (1..100).for_each(|number| _ = lines.round_trip(number));
            lines.stop();
        });
        assert_eq!(lines.pong.load(Ordering::Acquire), STOP);
    }
}
