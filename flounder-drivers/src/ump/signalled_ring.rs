//! A [`Ring`] with the [`Doorbell`] of the other end: lines, and the wake-ups that follow them.

use core::time::Duration;
use std::time::Instant;

use flounder_rt::barrier;
use flounder_rt::channel::{ChannelError, Incoming, Outgoing, ProtocolError};
use flounder_rt::notify::Notifier;
use rustix::thread::sched_getcpu;

use crate::assembler::{LineReader, LineWriter, MessageAssembler, PeerEnd};
use crate::doorbell::{Doorbell, retry_time};
use crate::mem::{LineMemory, OwnMemory, PAYLOAD_WORDS};
use crate::sync::Ordering;
use crate::ump::line::{LineInfo, LineKind};
use crate::ump::ring::{EndState, Ring, WakeCause};

/// The ring, and the doorbell of the other end.
pub(super) struct SignalledRing<W, R> {
    pub(super) inner: Ring<W, R>,
    doorbell: Doorbell,
    /// Notifier of this end, which makes the waitset poll it.
    notifier: Notifier,
    /// Time since which this end sleeps with a limit, because its peer may send without a fence.
    unsure_since: Option<Instant>,
}

impl<W: OwnMemory, R: LineMemory> SignalledRing<W, R> {
    pub(super) const fn new(ring: Ring<W, R>, doorbell: Doorbell, notifier: Notifier) -> Self {
        Self { inner: ring, doorbell, notifier, unsure_since: None }
    }

    /// Publishes that this end sleeps from now on. A full barrier must follow, and then a last look
    /// at the ring.
    ///
    /// # Errors
    /// If the doorbell of the peer has failed for too long.
    pub(super) fn arm(&mut self, blocked: bool) -> Result<(), ChannelError> {
        self.doorbell.retry()?;
        if barrier::senders_fence() && self.inner.ask_for_fences() {
            // A peer that was rung arms again, which shows that it has read the request.
            self.ring_doorbell();
        }
        let unsure = self.inner.is_unsure();
        self.unsure_since = unsure.then(|| self.unsure_since.unwrap_or_else(Instant::now));
        self.inner.publish_processor(sched_getcpu());
        self.inner.arm(blocked);
        Ok(())
    }

    /// Returns the longest sleep of this end once it is armed.
    pub(super) fn sleep_limit(&self) -> Option<Duration> {
        let unsure = self.unsure_since.map(retry_time);
        [unsure, self.doorbell.sleep_limit()].into_iter().flatten().min()
    }

    /// Makes the waitset poll this end again, and limit its sleep.
    pub(super) fn poll_soon(&self) {
        self.notifier.notify();
    }

    /// Retries a pending ring, when no thread may be left to retry later. Returns true if none is
    /// pending any more.
    #[must_use = "the brokers have to report the close to a peer that cannot be woken"]
    pub(super) fn retry_before_drop(&mut self) -> bool {
        self.doorbell.retry_before_drop()
    }

    fn ring_doorbell(&mut self) {
        if !self.doorbell.ring() {
            self.poll_soon();
        }
    }

    /// Returns true if the peer has closed. Lines from before may still be there.
    #[inline]
    pub(super) fn seems_closed(&self) -> bool {
        self.inner.peer_state(Ordering::Relaxed).is_closed()
    }

    /// Wakes a peer in this state if it sleeps, after publishing.
    #[cold]
    pub(super) fn signal(&mut self, state: EndState, cause: WakeCause) -> Result<(), ChannelError> {
        if self.inner.must_ring(state, cause) {
            self.inner.publish_processor(sched_getcpu());
            // A ring that fails stays pending.
            self.inner.note_rung(state);
            self.ring_doorbell();
        }
        if state.is_closed() { Err(ChannelError::Closed) } else { Ok(()) }
    }

    /// Publishes what was read, if an ack is due.
    #[inline]
    pub(super) fn acknowledge(&mut self) {
        if self.inner.ack_is_due() {
            self.acknowledge_now();
        }
    }

    #[cold]
    fn acknowledge_now(&mut self) {
        self.inner.acknowledge();
        self.signal_room();
    }

    /// Wakes the peer if it sleeps until there is room, after an ack or a permission to hand over
    /// capabilities.
    fn signal_room(&mut self) {
        if let Some(state) = self.inner.look() {
            // Ignore an error: a closed peer is reported once no lines are left.
            let _ = self.signal(state, WakeCause::Room);
        }
    }
}

impl<W: OwnMemory, R: LineMemory> LineWriter for SignalledRing<W, R> {
    type Peer = Ring<W, R>;

    const PARTS: usize = 1;

    #[inline]
    fn peer(&mut self) -> &mut Ring<W, R> {
        &mut self.inner
    }

    #[inline]
    fn first(&mut self, message: &Outgoing<'_>) -> usize {
        let total = message.body.len();
        let mut payload = [0; PAYLOAD_WORDS];
        let mut body = message.body.reader(0);
        let (kind, used, sent) = if total <= PAYLOAD_WORDS {
            let used = body.read(&mut payload);
            (LineKind::Whole, used, used)
        } else {
            payload[0] = total as u64;
            (LineKind::First, PAYLOAD_WORDS, body.read(&mut payload[1..]))
        };
        self.inner.publish(
            &payload[..used],
            LineInfo::new(kind, message.number, used, message.cap_count),
        );
        sent
    }

    #[inline]
    fn next(&mut self, message: &Outgoing<'_>, mut sent: usize) -> Result<usize, ProtocolError> {
        let total = message.body.len();
        let mut body = message.body.reader(sent);
        let full = LineInfo::new(LineKind::Next, message.number, PAYLOAD_WORDS, 0);
        while sent < total && self.inner.room()? {
            let lines = body.lines(self.inner.free());
            if !lines.is_empty() {
                self.inner.publish_lines(lines, full);
                sent += lines.len() * PAYLOAD_WORDS;
            } else {
                let mut payload = [0; PAYLOAD_WORDS];
                let used = body.read(&mut payload);
                self.inner
                    .publish(&payload, LineInfo::new(LineKind::Next, message.number, used, 0));
                sent += used;
            }
        }
        Ok(sent)
    }

    #[inline]
    fn published(&mut self) -> Result<(), ChannelError> {
        match self.inner.look() {
            None => Ok(()),
            Some(state) => self.signal(state, WakeCause::Line),
        }
    }

    fn published_and(
        &mut self,
        wake: impl FnOnce(&mut Ring<W, R>) -> bool,
    ) -> Result<(), ChannelError> {
        match self.inner.look_and_wake(wake) {
            None => Ok(()),
            Some(state) => self.signal(state, WakeCause::Line),
        }
    }
}

impl<W: OwnMemory, R: LineMemory> LineReader for SignalledRing<W, R> {
    const BURST: usize = 256;

    #[inline]
    fn take(
        &mut self,
        assembler: &mut MessageAssembler,
        incoming: &mut Incoming,
    ) -> Result<bool, ProtocolError> {
        let Some((info, payload)) = self.inner.take() else { return Ok(false) };
        let words = assembler.accept_line(incoming, info, &payload, 0)?;
        incoming.push(words)?;
        if let Some(count) = assembler.taken(incoming) {
            self.inner.expect_caps(count);
            self.signal_room();
        }
        self.acknowledge();
        Ok(true)
    }

    /// Takes full lines that are not the last of their message.
    #[inline]
    fn take_many(
        &mut self,
        incoming: &mut Incoming,
        burst: &mut usize,
    ) -> Result<(), ProtocolError> {
        let full = LineInfo::new(LineKind::Next, incoming.number(), PAYLOAD_WORDS, 0);
        loop {
            let more = (incoming.missing().saturating_sub(1) / PAYLOAD_WORDS).min(*burst);
            let lines = self.inner.lines(full, more);
            if lines == 0 {
                return Ok(());
            }
            incoming.push_lines(lines, |line| self.inner.line(line))?;
            self.inner.taken(lines);
            self.acknowledge();
            *burst -= lines;
        }
    }
}
