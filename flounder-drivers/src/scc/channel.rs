//! One end of a channel: messages over a [`Ring`].

use std::io;

use flounder_rt::channel::{
    Channel, ChannelError, Incoming, Outgoing, Progress, ProtocolError, Readiness, Recv,
};
use flounder_rt::waitset::Waitset;

use super::hardware::Hardware;
use super::line::{HALVES, Head, Join, Kind, Payload, Split};
use super::ring::Ring;
use crate::caps::{Caps, Delivery};
use crate::fork::Born;

/// Lines of one message taken in one call, so that a long one does not hold up the other channels of the waitset.
const BURST: usize = 256;

/// The most words in a line that is a whole message.
const WHOLE_WORDS: usize = HALVES / 2;

/// How often an end that goes away tries to ring.
const LAST_TRIES: usize = 64;

/// One end.
pub(crate) struct SccChannel<H: Hardware> {
    ring: Ring<H>,
    tx: Sending,
    rx: Receiving,
    /// Half a word of the message coming in.
    join: Join,
    /// Whether this end is closed.
    closed: bool,
    born: Born,
    caps: Caps,
    /// The end of the channel, once it was told.
    ended: Option<ChannelError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// No message is in hand.
    Idle,
    /// Nothing of one was taken, for want of room.
    Blocked,
    /// So many halves of one are published.
    Halves(usize),
    /// All of one is published, and the peer does not expect its capabilities yet.
    Caps,
    /// The channel takes no more.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    /// No message is in hand.
    Idle,
    /// Some words of one are there.
    Words,
    /// All words of one are there, and its capabilities are not.
    Caps,
    /// No more comes; see `ended`.
    Ended,
}

impl<H: Hardware> SccChannel<H> {
    pub(crate) fn new(ring: Ring<H>, caps: Caps) -> Self {
        Self {
            ring,
            tx: Sending::Idle,
            rx: Receiving::Idle,
            join: Join::default(),
            closed: false,
            born: Born::now(),
            caps,
            ended: None,
        }
    }

    /// Sends as much of the message in hand as there is room for. What was written is to be announced.
    fn send_some(&mut self, message: &mut Outgoing<'_>) -> Result<Progress, ChannelError> {
        let total = message.body.len();
        let halves = 2 * total;
        let mut sent = match self.tx {
            Sending::Halves(sent) => sent,
            Sending::Caps => halves,
            Sending::Idle | Sending::Blocked | Sending::Ended => {
                if !self.room()? {
                    self.tx = Sending::Blocked;
                    return Ok(Progress::Partial(0));
                }
                if message.cap_count > 0 {
                    self.caps.start(message.caps);
                }
                self.send_first(message, total)
            }
        };
        if self.tx != Sending::Caps {
            let mut body = Split::at(&message.body, sent);
            let mut payload = [0; HALVES];
            while sent < halves && self.room()? {
                let used = body.fill(&mut payload);
                self.ring.publish(&payload, Head::new(Kind::Next, message.number, used, 0));
                sent += used;
            }
            self.tx = if sent < halves { Sending::Halves(sent) } else { Sending::Caps };
        }
        if sent < halves || !self.hand_over(message)? {
            // A message of capabilities alone has begun, too: what has begun never looks like what has not.
            return Ok(Progress::Partial((sent / 2).max(1)));
        }
        self.tx = Sending::Idle;
        Ok(Progress::Done)
    }

    /// Publishes the first line of a message, and gives how many halves were in it.
    fn send_first(&mut self, message: &Outgoing<'_>, total: usize) -> usize {
        let mut payload = [0; HALVES];
        let mut body = Split::at(&message.body, 0);
        let (kind, used, sent) = if total <= WHOLE_WORDS {
            let used = body.fill(&mut payload);
            (Kind::Whole, used, used)
        } else {
            payload[0] = u32::try_from(total).expect("a body has fewer than 2^32 words");
            (Kind::First, HALVES, body.fill(&mut payload[1..]))
        };
        let head = Head::new(kind, message.number, used, message.cap_count);
        self.ring.publish(&payload, head);
        sent
    }

    /// Hands over the capabilities of the message in hand, if it has any and the peer expects them; gives whether that is
    /// done with.
    fn hand_over(&mut self, message: &mut Outgoing<'_>) -> Result<bool, ChannelError> {
        if message.cap_count == 0 || !self.caps.are_handed_over() {
            return Ok(true);
        }
        match self.ring.caps_expected(self.caps.sent()) {
            Err(error) => Err(self.protocol(error)),
            Ok(false) => Ok(false),
            Ok(true) => {
                let handed = self.caps.hand_over(message.caps);
                self.ring.handed_over(self.caps.sent());
                handed.map(|()| true).map_err(|refusal| {
                    self.tx = Sending::Idle;
                    ChannelError::Caps(refusal)
                })
            }
        }
    }

    fn room(&mut self) -> Result<bool, ChannelError> {
        self.ring.room().map_err(|error| self.protocol(error))
    }

    /// Receives at most one message. What was written is to be announced.
    fn recv_some(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        for _ in 0..BURST {
            match self.rx {
                Receiving::Ended => return Err(self.ended.clone().unwrap_or(ChannelError::Closed)),
                Receiving::Caps => return self.complete(incoming),
                Receiving::Idle | Receiving::Words => {}
            }
            let Some((head, payload)) = self.ring.take() else { return self.nothing() };
            self.take_line(incoming, head, &payload).map_err(|error| self.protocol(error))?;
            if self.ring.owes_ack() {
                self.ring.acknowledge();
                // The peer may wait for room: it goes on while this end reads on.
                self.ring.announce();
            }
            if self.rx == Receiving::Idle {
                return Ok(Recv::Message);
            }
        }
        Ok(Recv::More)
    }

    /// Takes one line into the message in hand, or begins one with it.
    fn take_line(
        &mut self,
        incoming: &mut Incoming,
        head: Head,
        payload: &Payload,
    ) -> Result<(), ProtocolError> {
        let (kind, used) = (head.kind()?, head.used());
        if payload[used..].iter().any(|half| *half != 0) {
            return Err(ProtocolError::Frame("the payload after the used part is not zero"));
        }
        let halves = match (self.rx, kind) {
            (Receiving::Idle, Kind::Whole) => {
                if !used.is_multiple_of(2) {
                    return Err(ProtocolError::Frame("a message ends in the middle of a word"));
                }
                incoming.begin(head.number(), used / 2, head.caps())?;
                &payload[..used]
            }
            (Receiving::Idle, Kind::First) => {
                let total = usize::try_from(payload[0]).unwrap_or(usize::MAX);
                if used != HALVES || total <= WHOLE_WORDS {
                    return Err(ProtocolError::Frame(
                        "a message that fits in one line comes in several",
                    ));
                }
                incoming.begin(head.number(), total, head.caps())?;
                &payload[1..]
            }
            (Receiving::Words, Kind::Next) => {
                if head.number() != incoming.number() || head.caps() != 0 {
                    return Err(ProtocolError::Frame(
                        "a line belongs to another message than the lines before",
                    ));
                }
                let missing = 2 * incoming.missing() - usize::from(self.join.is_between());
                if used != missing.min(HALVES) {
                    return Err(ProtocolError::Frame(
                        "a line is fuller or emptier than its message needs",
                    ));
                }
                &payload[..used]
            }
            (_, Kind::Next) => {
                return Err(ProtocolError::Frame("a message goes on that has not begun"));
            }
            (_, Kind::Whole | Kind::First) => {
                return Err(ProtocolError::Frame(
                    "a message begins before the one before has ended",
                ));
            }
        };
        incoming.push(self.join.push(halves).as_slice())?;
        if kind != Kind::Next && head.caps() > 0 {
            let count = self.caps.see();
            self.ring.expect_caps(count);
        }
        self.rx = match (incoming.missing(), incoming.cap_count()) {
            (0, 0) => Receiving::Idle,
            (0, _) => Receiving::Caps,
            _ => Receiving::Words,
        };
        Ok(())
    }

    /// Completes the message in hand, if its capabilities are there.
    fn complete(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        match self.caps.take().map_err(|error| self.protocol(error))? {
            Delivery::Nothing if self.caps_never_come() => Err(self.end(ChannelError::Closed)),
            Delivery::Nothing => Ok(Recv::Empty),
            Delivery::Lost(refusal) => {
                self.rx = Receiving::Idle;
                Err(ChannelError::Caps(refusal))
            }
            Delivery::Caps(caps) => {
                incoming.put_caps(caps).map_err(|error| self.protocol(error))?;
                self.rx = Receiving::Idle;
                Ok(Recv::Message)
            }
        }
    }

    /// Whether the channel ended before the capabilities of the message in hand were handed over. Those that were come
    /// yet, or are lost, and the brokers tell which.
    fn caps_never_come(&mut self) -> bool {
        (self.closed || self.ring.peer_is_closed())
            && !self.caps.arrive_first()
            && !self.ring.is_handed_over(self.caps.seen())
    }

    /// No line is there: perhaps none will come.
    fn nothing(&mut self) -> Result<Recv, ChannelError> {
        // What the peer wrote before it closed is in memory if that is: whoever sees the end looks once more.
        if !self.closed && !self.ring.peer_is_closed() {
            return Ok(Recv::Empty);
        }
        if self.ring.has_last_line() {
            return Ok(Recv::More);
        }
        Err(self.end(ChannelError::Closed))
    }

    fn check_process(&self) -> Result<(), ChannelError> {
        if self.born.is_here() { Ok(()) } else { Err(ChannelError::Os(libc::ECHILD)) }
    }

    #[cold]
    fn protocol(&mut self, error: ProtocolError) -> ChannelError {
        self.end(ChannelError::Protocol(error))
    }

    fn end(&mut self, error: ChannelError) -> ChannelError {
        (self.tx, self.rx) = (Sending::Ended, Receiving::Ended);
        self.ended = Some(error.clone());
        error
    }
}

impl<H: Hardware> Channel for SccChannel<H> {
    fn driver(&self) -> &'static str {
        super::NAME
    }

    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        self.check_process()?;
        if self.tx == Sending::Ended {
            return Err(self.ended.clone().unwrap_or(ChannelError::Closed));
        }
        if self.ring.peer_is_closed() {
            return Err(ChannelError::Closed);
        }
        let progress = self.send_some(message);
        self.ring.announce();
        progress
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.check_process()?;
        let received = self.recv_some(incoming);
        self.ring.announce();
        received
    }

    /// Without a ring of the doorbell this is a few loads of this process's own memory.
    fn ready(&mut self) -> bool {
        if !self.born.is_here() {
            return true;
        }
        if !self.ring.settle() {
            // Nobody tells when there is room for a doorbell.
            return true;
        }
        match self.rx {
            Receiving::Ended => return true,
            // Lines behind a message that waits for its capabilities have to wait as well.
            Receiving::Caps if self.caps.has_news() => return true,
            Receiving::Idle | Receiving::Words if self.ring.has_line() => return true,
            _ => {}
        }
        if self.tx != Sending::Idle && self.can_resume() {
            return true;
        }
        match self.rx {
            Receiving::Caps => self.caps_never_come(),
            _ => self.closed || self.ring.peer_is_closed(),
        }
    }

    fn can_resume(&mut self) -> bool {
        if !self.ring.settle() {
            return true;
        }
        let waits = match self.tx {
            Sending::Idle => return false,
            Sending::Caps => self.ring.caps_expected(self.caps.sent()),
            Sending::Blocked | Sending::Halves(_) => self.ring.room(),
            Sending::Ended => return self.ended.is_some(),
        };
        // A false claim, and the end of the channel, are worth a visit, which reports them.
        waits != Ok(false) || self.ring.peer_is_closed()
    }

    fn is_over(&mut self) -> bool {
        self.rx == Receiving::Ended || self.ring.peer_is_closed()
    }

    // `arm` and `disarm` have nothing to do: the doorbell rings for all that is written, whether this end sleeps or not.

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn attached(&mut self, waitset: &Waitset) -> io::Result<()> {
        match self.ring.hardware().watched() {
            None => Ok(()),
            Some(watched) => waitset.watch(&watched),
        }
    }

    fn close(&mut self) {
        if self.closed || !self.born.is_here() {
            return;
        }
        self.closed = true;
        self.tx = Sending::Ended;
        self.ring.close();
    }
}

impl<H: Hardware> Drop for SccChannel<H> {
    fn drop(&mut self) {
        self.close();
        // Nobody tries again after this. If the peer's doorbells are full for good, the brokers have to tell it.
        let _ = self.born.is_here() && (0..LAST_TRIES).any(|_| self.ring.settle());
    }
}
