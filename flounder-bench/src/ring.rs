//! Raw cache lines and raw rings of lines, as written by hand for two threads that trust each other.
//!
//! Drivers are compared with them. The layout is that of `ump` (seven words of payload, one of header) without types, checks
//! and sleeping. Which [`Style`] is fastest depends on the machine, so several are measured.

use std::fmt;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_utils::CachePadded;
use flounder_drivers::mem::prefetch;

/// Words in a line.
const WORDS: usize = 8;
/// Words of payload in a line. The last word is the header.
const PAYLOAD: usize = WORDS - 1;
/// Bytes of payload in a line.
const BYTES: usize = PAYLOAD * 8;
/// Bytes of payload in the first line of a message, beside the length.
const FIRST: usize = BYTES - 8;

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
        self.answer_with(|_| {});
    }

    /// Answers round trips until [`stop`](Self::stop), each after `work`.
    pub(crate) fn answer_with(&self, work: impl Fn(u64)) {
        let (mut last, mut wait) = (0, Wait::default());
        while last != STOP {
            // SYNC ping: pairs with the Release in `round_trip` and `stop`.
            let now = self.ping.load(Ordering::Acquire);
            if now == last {
                wait.pause();
                continue;
            }
            (last, wait) = (now, Wait::default());
            if now != STOP {
                work(now);
            }
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

/// A way to write a ring by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Number of lines, a power of two of at least 4.
    lines: usize,
    /// Distance in lines at which both ends fetch lines ahead; 0 for not at all.
    ahead: usize,
    /// Lines that a receiver waits for at a time. Polling the line that the sender is about to write takes the line away from
    /// the sender, which costs as much as receiving it.
    batch: usize,
    /// Pause instructions after polling in vain.
    rest: usize,
}

/// Lines of a ring of `ump` with default settings.
const LINES: usize = flounder::drivers::ump::DEFAULT_BUFFER / 64;

impl Style {
    /// As many lines as a ring of `ump` with default settings, read one by one.
    pub(crate) const PLAIN: Self = Self { lines: LINES, ahead: 0, batch: 1, rest: 1 };

    /// Styles for messages of several lines that are answered before the next.
    pub(crate) const ROUND_TRIPS: [Self; 3] = [
        Self { batch: 8, ..Self::PLAIN },
        Self { ahead: 6, batch: 8, ..Self::PLAIN },
        Self { lines: 16 * LINES, batch: 8, ..Self::PLAIN },
    ];

    /// Styles for streams.
    pub(crate) const STREAMS: [Self; 6] = [
        Self::PLAIN,
        Self { rest: 256, ..Self::PLAIN },
        Self { ahead: 6, ..Self::PLAIN },
        Self { ahead: 6, batch: 32, ..Self::PLAIN },
        Self { lines: 16 * LINES, ahead: 6, ..Self::PLAIN },
        Self { lines: 16 * LINES, ahead: 6, batch: 32, ..Self::PLAIN },
    ];

    /// Returns true if the ring has as many lines as one of `ump` with default settings.
    pub(crate) const fn has_default_size(self) -> bool {
        self.lines == LINES
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines", self.lines)?;
        for (what, number, default) in
            [("ahead", self.ahead, 0), ("at a time", self.batch, 1), ("pauses", self.rest, 1)]
        {
            if number != default {
                write!(f, ", {number} {what}")?;
            }
        }
        Ok(())
    }
}

/// Shared part of a ring: the lines and the receiver's acknowledged position.
pub(crate) struct Ring {
    lines: Box<[Line]>,
    acked: CachePadded<AtomicU64>,
    style: Style,
}

impl Ring {
    /// Creates a ring.
    pub(crate) fn new(style: Style) -> Self {
        assert!(
            style.lines.is_power_of_two() && style.lines >= 4,
            "positions are masked, acks come in quarters"
        );
        let line = || Line(std::array::from_fn(|_| AtomicU64::new(0)));
        Self {
            lines: std::iter::repeat_with(line).take(style.lines).collect(),
            acked: CachePadded::new(AtomicU64::new(0)),
            style,
        }
    }

    #[inline(always)]
    fn line(&self, position: u64) -> &Line {
        &self.lines[(position & (self.lines.len() as u64 - 1)) as usize]
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

    /// Sends a line with these words of payload, at most seven.
    #[inline(always)]
    pub(crate) fn send<const N: usize>(&mut self, payload: [u64; N]) {
        let (size, mut wait) = (self.ring.lines.len() as u64, Wait::default());
        while self.next - self.acked == size {
            // SYNC ack: pairs with the Release in `receive`; the lines are free.
            self.acked = self.ring.acked.load(Ordering::Acquire);
            if self.next - self.acked == size {
                wait.pause();
            }
        }
        let Line(words) = self.ring.line(self.next);
        for (word, value) in words.iter().zip(payload) {
            word.store(value, Ordering::Relaxed);
        }
        self.next += 1;
        // SYNC line: pairs with the Acquire in `receive`.
        words[PAYLOAD].store(self.next, Ordering::Release);
        if self.ring.style.ahead > 0 {
            prefetch::for_writing(self.ring.line(self.next + self.ring.style.ahead as u64 + 1));
        }
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

/// The receiving end of a ring.
pub(crate) struct Receiver<'a> {
    ring: &'a Ring,
    next: u64,
}

impl<'a> Receiver<'a> {
    /// Creates the only receiver of a new ring.
    pub(crate) const fn new(ring: &'a Ring) -> Self {
        Self { ring, next: 0 }
    }

    /// Receives the first words of the next line, of which at most seven are payload. `left` is the number of lines that are
    /// certain to come, at least 1.
    #[inline(always)]
    pub(crate) fn receive<const N: usize>(&mut self, left: u64) -> [u64; N] {
        let Style { ahead, batch, rest, .. } = self.ring.style;
        // SYNC line: pairs with the Release in `send`.
        if self.header(self.next, Ordering::Acquire) != self.next + 1 {
            // The sender can fill half of the ring without an ack.
            let batch = (batch as u64).min(left).min(self.ring.lines.len() as u64 / 2);
            let (last, mut wait) = (self.next + batch - 1, Wait::default());
            while self.header(last, Ordering::Acquire) != last + 1 {
                (1..rest).for_each(|_| spin_loop());
                wait.pause();
            }
        }
        let Line(words) = self.ring.line(self.next);
        let payload = std::array::from_fn(|i| words[i].load(Ordering::Relaxed));
        self.next += 1;
        if ahead > 0 {
            prefetch::for_reading(self.ring.line(self.next + ahead as u64 - 1));
        }
        if self.next & (self.ring.lines.len() as u64 / 4 - 1) == 0 {
            // SYNC ack: pairs with the Acquire in `send`; the loads above cannot move below.
            self.ring.acked.store(self.next, Ordering::Release);
        }
        payload
    }

    #[inline(always)]
    fn header(&self, position: u64, order: Ordering) -> u64 {
        self.ring.line(position).0[PAYLOAD].load(order)
    }

    /// Receives a message of [`Sender::send_bytes`].
    #[inline(always)]
    pub(crate) fn receive_bytes(&mut self, into: &mut Vec<u8>) {
        let [length, a, b, c, d, e, f] = self.receive(1);
        into.resize(length as usize, 0);
        let (first, others) = into.split_at_mut((length as usize).min(FIRST));
        first.copy_from_slice(&to_bytes([a, b, c, d, e, f, 0])[..first.len()]);
        let mut lines = others.len().div_ceil(BYTES) as u64;
        let (full, tail) = others.as_chunks_mut::<BYTES>();
        for chunk in full {
            *chunk = to_bytes(self.receive(lines));
            lines -= 1;
        }
        if !tail.is_empty() {
            let last = to_bytes(self.receive(lines));
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
        let small = Style { lines: 4, ..Style::PLAIN };
        for style in [small, Style { ahead: 1, batch: 8, rest: 2, ..small }] {
            let ring = Ring::new(style);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut sender = Sender::new(&ring);
                    (0..300).for_each(|length| sender.send_bytes(&message(length)));
                });
                let (mut receiver, mut bytes) = (Receiver::new(&ring), Vec::new());
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
