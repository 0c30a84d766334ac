//! How lines get to the other end of a channel, and how it is woken for them: a [`Ring`] and a [`Bell`].

use core::time::Duration;
use std::time::Instant;

use flounder_rt::barrier;
use flounder_rt::channel::{ChannelError, Incoming, Outgoing, ProtocolError};
use flounder_rt::notify::Notifier;

use crate::bell::{Bell, retry_time};
use crate::mem::{LineMemory, OwnMemory, PAYLOAD_WORDS};
use crate::sync::Ordering;
use crate::transit::{Peer, Sink, Source, Transit};
use crate::ump::line::{Head, Kind};
use crate::ump::ring::{Cause, Ring, State};

/// The ring, and the bell of the other end.
pub(super) struct Lane<W, R> {
    pub(super) ring: Ring<W, R>,
    bell: Bell,
    /// What has the waitset of this end look at it.
    notifier: Notifier,
    /// Since when this end sleeps with a limit, because its peer may send without a fence.
    unsure_since: Option<Instant>,
}

impl<W: OwnMemory, R: LineMemory> Lane<W, R> {
    pub(super) const fn new(ring: Ring<W, R>, bell: Bell, notifier: Notifier) -> Self {
        Self { ring, bell, notifier, unsure_since: None }
    }

    /// Publishes that this end sleeps from now on. A full barrier must follow, and then a last look at the ring.
    ///
    /// # Errors
    /// If the bell of the peer has failed for too long.
    pub(super) fn arm(&mut self, blocked: bool) -> Result<(), ChannelError> {
        self.bell.settle()?;
        if barrier::senders_fence() && self.ring.ask_for_fences() {
            // A peer that was rung arms again, which shows that it sees what it is asked for.
            self.ring_bell();
        }
        let unsure = self.ring.is_unsure();
        self.unsure_since = unsure.then(|| self.unsure_since.unwrap_or_else(Instant::now));
        self.ring.arm(blocked);
        Ok(())
    }

    /// How long this end may sleep now that it is armed.
    pub(super) fn sleep_limit(&self) -> Option<Duration> {
        let unsure = self.unsure_since.map(retry_time);
        [unsure, self.bell.sleep_limit()].into_iter().flatten().min()
    }

    /// Has the waitset look at this end again, and limit its sleep.
    pub(super) fn look_again(&self) {
        self.notifier.notify();
    }

    /// Rings an owed doorbell, when nobody is left to try again later; returns whether nothing is owed any more.
    #[must_use = "a peer that cannot be woken has to be told by the brokers"]
    pub(super) fn settle_at_last(&mut self) -> bool {
        self.bell.settle_at_last()
    }

    fn ring_bell(&mut self) {
        if !self.bell.ring() {
            self.look_again();
        }
    }

    /// Whether the peer has closed. The lines before that may yet have to be looked for.
    #[inline]
    pub(super) fn seems_closed(&self) -> bool {
        self.ring.peer_state(Ordering::Relaxed).is_closed()
    }

    /// After publishing, to a peer about which this is known: wakes it if it sleeps.
    #[cold]
    pub(super) fn tell(&mut self, state: State, cause: Cause) -> Result<(), ChannelError> {
        if self.ring.must_ring(state, cause) {
            // A ring that fails is owed.
            self.ring.has_rung(state);
            self.ring_bell();
        }
        if state.is_closed() { Err(ChannelError::Closed) } else { Ok(()) }
    }

    /// Tells the peer what was read, if it is time.
    #[inline]
    pub(super) fn acknowledge(&mut self) {
        if self.ring.owes_ack() {
            self.acknowledge_now();
        }
    }

    #[cold]
    fn acknowledge_now(&mut self) {
        self.ring.acknowledge();
        self.given();
    }

    /// After an ack or leave to hand over: wakes the peer if it sleeps for want of that.
    fn given(&mut self) {
        if let Some(state) = self.ring.look() {
            // That the peer is closed is told when there are no more lines.
            let _ = self.tell(state, Cause::Room);
        }
    }
}

impl<W: OwnMemory, R: LineMemory> Peer for Lane<W, R> {
    #[inline]
    fn has_line(&mut self) -> bool {
        self.ring.has_line()
    }

    #[inline]
    fn room(&mut self) -> Result<bool, ProtocolError> {
        self.ring.room()
    }

    #[inline]
    fn is_closed(&mut self) -> Result<bool, ProtocolError> {
        // SYNC close: Acquire, pairs with the Release in `Ring::set_state`: lines published before it are visible after.
        Ok(self.ring.peer_state(Ordering::Acquire).is_closed())
    }

    fn caps_expected(&mut self, sent: u64) -> Result<bool, ProtocolError> {
        self.ring.caps_expected(sent)
    }

    fn is_handed_over(&mut self, count: u64) -> bool {
        self.ring.is_handed_over(count)
    }

    fn handed_over(&mut self, count: u64) {
        self.ring.handed_over(count);
    }
}

impl<W: OwnMemory, R: LineMemory> Sink for Lane<W, R> {
    const PARTS: usize = 1;

    #[inline]
    fn first(&mut self, message: &Outgoing<'_>) -> usize {
        let total = message.body.len();
        let mut payload = [0; PAYLOAD_WORDS];
        let mut body = message.body.reader(0);
        let (kind, used, sent) = if total <= PAYLOAD_WORDS {
            let used = body.read(&mut payload);
            (Kind::Whole, used, used)
        } else {
            payload[0] = total as u64;
            (Kind::First, PAYLOAD_WORDS, body.read(&mut payload[1..]))
        };
        self.ring
            .publish(&payload[..used], Head::new(kind, message.number, used, message.cap_count));
        sent
    }

    #[inline]
    fn next(&mut self, message: &Outgoing<'_>, mut sent: usize) -> Result<usize, ProtocolError> {
        let total = message.body.len();
        let mut body = message.body.reader(sent);
        let full = Head::new(Kind::Next, message.number, PAYLOAD_WORDS, 0);
        while sent < total && self.ring.room()? {
            let lines = body.lines(self.ring.free());
            if !lines.is_empty() {
                self.ring.publish_lines(lines, full);
                sent += lines.len() * PAYLOAD_WORDS;
            } else {
                let mut payload = [0; PAYLOAD_WORDS];
                let used = body.read(&mut payload);
                self.ring.publish(&payload, Head::new(Kind::Next, message.number, used, 0));
                sent += used;
            }
        }
        Ok(sent)
    }

    #[inline]
    fn published(&mut self) -> Result<(), ChannelError> {
        match self.ring.look() {
            None => Ok(()),
            Some(state) => self.tell(state, Cause::Line),
        }
    }
}

impl<W: OwnMemory, R: LineMemory> Source for Lane<W, R> {
    const BURST: usize = 256;

    #[inline]
    fn take(
        &mut self,
        transit: &mut Transit,
        incoming: &mut Incoming,
    ) -> Result<bool, ProtocolError> {
        let Some((head, payload)) = self.ring.take() else { return Ok(false) };
        let words = transit.place(incoming, head, &payload, 0)?;
        incoming.push(words)?;
        if let Some(count) = transit.taken(incoming) {
            self.ring.expect_caps(count);
            self.given();
        }
        self.acknowledge();
        Ok(true)
    }

    /// Takes lines that are full, and have more behind them.
    #[inline]
    fn take_many(
        &mut self,
        incoming: &mut Incoming,
        burst: &mut usize,
    ) -> Result<(), ProtocolError> {
        let full = Head::new(Kind::Next, incoming.number(), PAYLOAD_WORDS, 0);
        loop {
            let more = (incoming.missing().saturating_sub(1) / PAYLOAD_WORDS).min(*burst);
            let lines = self.ring.lines(full, more);
            if lines == 0 {
                return Ok(());
            }
            incoming.push_lines(lines, |line| self.ring.line(line))?;
            self.ring.taken(lines);
            self.acknowledge();
            *burst -= lines;
        }
    }
}
