//! Raw lines and raw rings of lines: what a careful programmer would write by hand for two threads that trust each other.
//!
//! They are the limits that drivers are compared with. The layout is that of `ump` (seven words of payload, one of header,
//! as many lines), with nothing else: no types, no checks, no sleeping.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a line.
const WORDS: usize = 8;
/// Words of payload in a line; the last word is the header.
const PAYLOAD: usize = WORDS - 1;
/// Bytes of payload in a line.
const BYTES: usize = PAYLOAD * 8;

/// A cache line, and the neighbour that is fetched with it.
#[repr(align(128))]
struct Apart(AtomicU64);

/// Two lines, written by one thread each.
pub(super) struct PingPong {
    ping: Apart,
    pong: Apart,
}

/// Ends [`PingPong::answer`].
const STOP: u64 = u64::MAX;

impl PingPong {
    pub(super) const fn new() -> Self {
        Self { ping: Apart(AtomicU64::new(0)), pong: Apart(AtomicU64::new(0)) }
    }

    /// Answers round trips until [`stop`](Self::stop).
    pub(super) fn answer(&self) {
        let mut last = 0;
        while last != STOP {
            // SYNC ping: pairs with the Release in `round_trip` and `stop`.
            let now = self.ping.0.load(Ordering::Acquire);
            if now == last {
                spin_loop();
                continue;
            }
            last = now;
            // SYNC pong: pairs with the Acquire in `round_trip`.
            self.pong.0.store(now, Ordering::Release);
        }
    }

    /// There and back. `number` is neither zero nor the last one.
    #[inline]
    pub(super) fn round_trip(&self, number: u64) {
        self.ping.0.store(number, Ordering::Release);
        while self.pong.0.load(Ordering::Acquire) != number {
            spin_loop();
        }
    }

    pub(super) fn stop(&self) {
        self.ping.0.store(STOP, Ordering::Release);
    }
}

#[repr(align(64))]
struct Line([AtomicU64; WORDS]);

/// One direction. The sender's and the receiver's positions are theirs; what they share is the lines and the ack.
pub(super) struct Ring {
    lines: Box<[Line]>,
    acked: Apart,
}

impl Ring {
    /// A ring of so many lines, a power of two of at least 4.
    pub(super) fn new(lines: usize) -> Self {
        assert!(
            lines.is_power_of_two() && lines >= 4,
            "positions are masked, acks come in quarters"
        );
        let line = || Line(std::array::from_fn(|_| AtomicU64::new(0)));
        Self {
            lines: std::iter::repeat_with(line).take(lines).collect(),
            acked: Apart(AtomicU64::new(0)),
        }
    }
}

/// The sending end of a ring.
pub(super) struct Sender<'a> {
    ring: &'a Ring,
    next: u64,
    acked: u64,
}

impl<'a> Sender<'a> {
    /// The only sender of a ring that is new.
    pub(super) const fn new(ring: &'a Ring) -> Self {
        Self { ring, next: 0, acked: 0 }
    }

    #[inline]
    pub(super) fn send(&mut self, payload: [u64; PAYLOAD]) {
        let size = self.ring.lines.len() as u64;
        while self.next - self.acked == size {
            // SYNC ack: pairs with the Release in `receive`; the lines are free.
            self.acked = self.ring.acked.0.load(Ordering::Acquire);
            if self.next - self.acked == size {
                spin_loop();
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

    /// Sends bytes as a line with their number and lines with what they are.
    #[inline]
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        self.send([bytes.len() as u64, 0, 0, 0, 0, 0, 0]);
        let (full, rest) = bytes.as_chunks::<BYTES>();
        for chunk in full {
            self.send(to_words(chunk));
        }
        if !rest.is_empty() {
            let mut last = [0; BYTES];
            last[..rest.len()].copy_from_slice(rest);
            self.send(to_words(&last));
        }
    }
}

/// The receiving end of a ring.
pub(super) struct Receiver<'a> {
    ring: &'a Ring,
    next: u64,
}

impl<'a> Receiver<'a> {
    /// The only receiver of a ring that is new.
    pub(super) const fn new(ring: &'a Ring) -> Self {
        Self { ring, next: 0 }
    }

    #[inline]
    pub(super) fn receive(&mut self) -> [u64; PAYLOAD] {
        let size = self.ring.lines.len() as u64;
        let Line(words) = &self.ring.lines[(self.next & (size - 1)) as usize];
        self.next += 1;
        // SYNC line: pairs with the Release in `send`.
        while words[PAYLOAD].load(Ordering::Acquire) != self.next {
            spin_loop();
        }
        let payload = std::array::from_fn(|i| words[i].load(Ordering::Relaxed));
        if self.next.is_multiple_of(size / 4) {
            // SYNC ack: pairs with the Acquire in `send`; what was loaded above stays above.
            self.ring.acked.0.store(self.next, Ordering::Release);
        }
        payload
    }

    /// Receives what [`Sender::send_bytes`] sends.
    #[inline]
    pub(super) fn receive_bytes(&mut self, into: &mut Vec<u8>) {
        let [length, ..] = self.receive();
        into.resize(length as usize, 0);
        let (full, rest) = into.as_chunks_mut::<BYTES>();
        for chunk in full {
            *chunk = to_bytes(self.receive());
        }
        if !rest.is_empty() {
            let last = to_bytes(self.receive());
            rest.copy_from_slice(&last[..rest.len()]);
        }
    }
}

#[inline]
fn to_words(bytes: &[u8; BYTES]) -> [u64; PAYLOAD] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_ne_bytes(words[i]))
}

#[inline]
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
        let ring = Ring::new(4);
        let message =
            |length: usize| (0..length).map(|i| (i * 7 + length) as u8).collect::<Vec<_>>();
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

    #[test]
    fn a_ping_pong_ends_when_it_is_stopped() {
        let lines = PingPong::new();
        std::thread::scope(|scope| {
            scope.spawn(|| lines.answer());
            (1..100).for_each(|number| lines.round_trip(number));
            lines.stop();
        });
        assert_eq!(lines.pong.0.load(Ordering::Acquire), STOP);
    }
}
