//! One end of a channel: messages over a [`Ring`].

use std::io;

use crossbeam_utils::CachePadded;
use flounder_rt::bulk::BulkMemory;
use flounder_rt::channel::{
    Channel, ChannelError, Incoming, Outgoing, PairId, Progress, ProtocolError, Readiness, Recv,
};
use flounder_rt::waitset::Watcher;

use super::hardware::Hardware;
use super::line::{HALVES, HalfJoiner, HalfSplitter, LineInfo, LineKind};
use super::pool::WRITTEN_BACK;
use super::ring::Ring;
use crate::assembler::{LineReader, LineWriter, MessageAssembler, PeerEnd};
use crate::caps::Caps;

/// Maximum number of words in a line that is a whole message.
const WHOLE_WORDS: usize = HALVES / 2;

/// Attempts to ring a failing doorbell before an end is dropped.
const LAST_TRIES: usize = 64;

/// One end of a channel.
///
/// As in ump, each end of a channel between threads lies on cache lines of its own.
pub(crate) struct SccChannel<H: Hardware> {
    ring: HalfWordRing<H>,
    assembler: MessageAssembler,
    /// Aligns the end to cache lines of its own.
    _own_lines: CachePadded<()>,
}

/// A ring whose lines carry halves of words. Every write has to be announced.
struct HalfWordRing<H> {
    inner: Ring<H>,
    /// Half a word of the incoming message.
    join: HalfJoiner,
}

impl<H: Hardware> SccChannel<H> {
    pub(crate) fn new(ring: Ring<H>, caps: Caps) -> Self {
        Self {
            ring: HalfWordRing { inner: ring, join: HalfJoiner::default() },
            assembler: MessageAssembler::new(caps),
            _own_lines: CachePadded::new(()),
        }
    }
}

impl<H: Hardware> LineWriter for HalfWordRing<H> {
    type Peer = Ring<H>;

    const PARTS: usize = 2;

    fn peer(&mut self) -> &mut Ring<H> {
        &mut self.inner
    }

    fn first(&mut self, message: &Outgoing<'_>) -> usize {
        let total = message.body.len();
        let mut payload = [0; HALVES];
        let mut body = HalfSplitter::at(&message.body, 0);
        let (kind, used, sent) = if total <= WHOLE_WORDS {
            let used = body.fill(&mut payload);
            (LineKind::Whole, used, used)
        } else {
            payload[0] = u32::try_from(total).expect("a body has fewer than 2^32 words");
            (LineKind::First, HALVES, body.fill(&mut payload[1..]))
        };
        self.inner.publish(&payload, LineInfo::new(kind, message.number, used, message.cap_count));
        sent
    }

    fn next(&mut self, message: &Outgoing<'_>, mut sent: usize) -> Result<usize, ProtocolError> {
        let total = Self::PARTS * message.body.len();
        let mut body = HalfSplitter::at(&message.body, sent);
        let mut payload = [0; HALVES];
        while sent < total && self.inner.room()? {
            let used = body.fill(&mut payload);
            self.inner.publish(&payload, LineInfo::new(LineKind::Next, message.number, used, 0));
            sent += used;
        }
        Ok(sent)
    }
}

impl<H: Hardware> LineReader for HalfWordRing<H> {
    const BURST: usize = 256;

    fn take(
        &mut self,
        assembler: &mut MessageAssembler,
        incoming: &mut Incoming,
    ) -> Result<bool, ProtocolError> {
        let Some((info, payload)) = self.inner.take() else { return Ok(false) };
        let left = usize::from(self.join.is_between());
        let halves = assembler.accept_line(incoming, info, &payload, left)?;
        incoming.push(self.join.push(halves).as_slice())?;
        if let Some(count) = assembler.taken(incoming) {
            self.inner.expect_caps(count);
        }
        if self.inner.ack_is_due() {
            self.inner.acknowledge();
            // The peer may wait for room: it continues while this end reads on.
            self.inner.announce();
        }
        Ok(true)
    }
}

impl<H: Hardware> Channel for SccChannel<H> {
    fn bulk(&self) -> Option<&'static dyn BulkMemory> {
        Some(&WRITTEN_BACK)
    }

    fn driver(&self) -> &'static str {
        super::NAME
    }

    fn pair(&self) -> Option<PairId> {
        self.assembler.pair()
    }

    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        self.assembler.check_sender()?;
        if self.ring.inner.peer_is_closed() {
            return Err(ChannelError::Closed);
        }
        let progress = self.assembler.send(message, &mut self.ring);
        self.ring.inner.announce();
        progress
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.assembler.check_process()?;
        let received = self.assembler.recv(incoming, &mut self.ring);
        self.ring.inner.announce();
        received
    }

    /// Costs a few loads of private memory if the doorbell was not rung.
    fn ready(&mut self) -> bool {
        // No event reports that a doorbell can be rung again, so retry it here.
        !self.assembler.is_here()
            || !self.ring.inner.retry_doorbell()
            || self.assembler.ready(&mut self.ring.inner)
    }

    fn can_resume(&mut self) -> bool {
        !self.assembler.is_here()
            || !self.ring.inner.retry_doorbell()
            || self.assembler.can_resume(&mut self.ring.inner)
    }

    fn is_over(&mut self) -> bool {
        self.assembler.is_over(&mut self.ring.inner)
    }

    /// Announces nothing: the doorbell rings for everything that is written, whether the peer
    /// sleeps or not. A doorbell that has failed for too long ends the channel; until then an end
    /// with a pending ring is ready, and retries.
    fn arm(&mut self) {
        if self.assembler.is_here()
            && !self.ring.inner.retry_doorbell()
            && let Some(errno) = self.ring.inner.hardware().ring_failure()
        {
            self.assembler.end(errno.into());
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn attached(&mut self, waitset: &dyn Watcher) -> io::Result<()> {
        match self.ring.inner.hardware().watched() {
            None => Ok(()),
            Some(watched) => waitset.watch(&watched),
        }
    }

    fn close(&mut self) {
        if self.assembler.close() {
            self.ring.inner.close();
        }
    }
}

impl<H: Hardware> Drop for SccChannel<H> {
    fn drop(&mut self) {
        self.close();
        // No thread retries after this. The log has an entry for the ring even if the peer was not woken.
        if self.assembler.is_here() && !(0..LAST_TRIES).any(|_| self.ring.inner.retry_doorbell()) {
            self.assembler.report_closed();
        }
    }
}
