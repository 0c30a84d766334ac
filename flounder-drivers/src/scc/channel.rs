//! One end of a channel: messages over a [`Ring`].

use std::io;

use flounder_rt::channel::{
    Channel, ChannelError, Incoming, Outgoing, PairId, Progress, ProtocolError, Readiness, Recv,
};
use flounder_rt::waitset::Waitset;

use super::hardware::Hardware;
use super::line::{HALVES, Head, Join, Kind, Split};
use super::ring::Ring;
use crate::caps::Caps;
use crate::transit::{Peer, Sink, Source, Transit};

/// The most words in a line that is a whole message.
const WHOLE_WORDS: usize = HALVES / 2;

/// How often an end that goes away tries to ring.
const LAST_TRIES: usize = 64;

/// One end.
pub(crate) struct SccChannel<H: Hardware> {
    lane: Lane<H>,
    transit: Transit,
}

/// How lines get to the other end. What is written is to be announced.
struct Lane<H> {
    ring: Ring<H>,
    /// Half a word of the message coming in.
    join: Join,
}

impl<H: Hardware> SccChannel<H> {
    pub(crate) fn new(ring: Ring<H>, caps: Caps) -> Self {
        Self { lane: Lane { ring, join: Join::default() }, transit: Transit::new(caps) }
    }
}

impl<H: Hardware> Peer for Lane<H> {
    fn has_line(&mut self) -> bool {
        self.ring.has_line()
    }

    fn has_last_line(&mut self) -> bool {
        self.ring.has_last_line()
    }

    fn room(&mut self) -> Result<bool, ProtocolError> {
        self.ring.room()
    }

    fn is_closed(&mut self) -> Result<bool, ProtocolError> {
        Ok(self.ring.peer_is_closed())
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

impl<H: Hardware> Sink for Lane<H> {
    const PARTS: usize = 2;

    fn first(&mut self, message: &Outgoing<'_>) -> usize {
        let total = message.body.len();
        let mut payload = [0; HALVES];
        let mut body = Split::at(&message.body, 0);
        let (kind, used, sent) = if total <= WHOLE_WORDS {
            let used = body.fill(&mut payload);
            (Kind::Whole, used, used)
        } else {
            payload[0] = u32::try_from(total).expect("a body has fewer than 2^32 words");
            (Kind::First, HALVES, body.fill(&mut payload[1..]))
        };
        self.ring.publish(&payload, Head::new(kind, message.number, used, message.cap_count));
        sent
    }

    fn next(&mut self, message: &Outgoing<'_>, mut sent: usize) -> Result<usize, ProtocolError> {
        let total = Self::PARTS * message.body.len();
        let mut body = Split::at(&message.body, sent);
        let mut payload = [0; HALVES];
        while sent < total && self.ring.room()? {
            let used = body.fill(&mut payload);
            self.ring.publish(&payload, Head::new(Kind::Next, message.number, used, 0));
            sent += used;
        }
        Ok(sent)
    }
}

impl<H: Hardware> Source for Lane<H> {
    const BURST: usize = 256;

    fn take(
        &mut self,
        transit: &mut Transit,
        incoming: &mut Incoming,
    ) -> Result<bool, ProtocolError> {
        let Some((head, payload)) = self.ring.take() else { return Ok(false) };
        let left = usize::from(self.join.is_between());
        let halves = transit.place(incoming, head, &payload, left)?;
        incoming.push(self.join.push(halves).as_slice())?;
        if let Some(count) = transit.taken(incoming) {
            self.ring.expect_caps(count);
        }
        if self.ring.owes_ack() {
            self.ring.acknowledge();
            // The peer may wait for room: it goes on while this end reads on.
            self.ring.announce();
        }
        Ok(true)
    }
}

impl<H: Hardware> Channel for SccChannel<H> {
    fn driver(&self) -> &'static str {
        super::NAME
    }

    fn pair(&self) -> Option<PairId> {
        self.transit.pair()
    }

    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        self.transit.check_sender()?;
        if self.lane.ring.peer_is_closed() {
            return Err(ChannelError::Closed);
        }
        let progress = self.transit.send(message, &mut self.lane);
        self.lane.ring.announce();
        progress
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.transit.check_process()?;
        let received = self.transit.recv(incoming, &mut self.lane);
        self.lane.ring.announce();
        received
    }

    /// Without a ring of the doorbell this is a few loads of this process's own memory.
    fn ready(&mut self) -> bool {
        // Nobody tells when a doorbell that is owed can be rung.
        !self.transit.is_here() || !self.lane.ring.settle() || self.transit.ready(&mut self.lane)
    }

    fn can_resume(&mut self) -> bool {
        !self.transit.is_here()
            || !self.lane.ring.settle()
            || self.transit.can_resume(&mut self.lane)
    }

    fn is_over(&mut self) -> bool {
        self.transit.is_over(&mut self.lane)
    }

    /// The doorbell rings for all that is written, whether this end sleeps or not. One that has failed for too long ends the
    /// channel; until then an end that owes it is ready, and tries again.
    fn arm(&mut self) {
        if self.transit.is_here()
            && !self.lane.ring.settle()
            && let Some(errno) = self.lane.ring.hardware().ring_failure()
        {
            self.transit.end(ChannelError::Os(errno));
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn attached(&mut self, waitset: &Waitset) -> io::Result<()> {
        match self.lane.ring.hardware().watched() {
            None => Ok(()),
            Some(watched) => waitset.watch(&watched),
        }
    }

    fn close(&mut self) {
        if self.transit.close() {
            self.lane.ring.close();
        }
    }
}

impl<H: Hardware> Drop for SccChannel<H> {
    fn drop(&mut self) {
        self.close();
        // Nobody tries again after this. That the peer was rung stands in the log, also if it was not woken.
        if self.transit.is_here() && !(0..LAST_TRIES).any(|_| self.lane.ring.settle()) {
            self.transit.tell_closed();
        }
    }
}
