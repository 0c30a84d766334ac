//! One end of a ump channel: messages over a [`Ring`].

use std::io;
use std::sync::Arc;

use flounder_rt::barrier::barrier;
use flounder_rt::channel::{
    Channel, ChannelError, Incoming, Outgoing, Progress, ProtocolError, Readiness, Recv, RecvNow,
};
use flounder_rt::waitset::{Waitset, Watched};

use crate::bell::Bell;
use crate::caps::{Caps, Delivery};
use crate::fork::Born;
use crate::link::Held;
use crate::mem::{LineMemory, OwnMemory, PAYLOAD_WORDS, Payload};
use crate::sync::Ordering;
use crate::ump::line::{Head, Kind, is_padded, padding};
use crate::ump::ring::{Cause, Ring, State};

/// Lines of one message taken in one call, so that a long one does not hold up the other channels of the waitset.
const BURST: usize = 256;

/// One end.
///
/// Both ends of a channel between threads are made by one of them, one after the other: on lines of their own, or what one
/// end notes of its position would take a line away from the other with each message.
#[repr(align(128))]
pub(crate) struct UmpChannel<W: OwnMemory, R: LineMemory> {
    ring: Ring<W, R>,
    tx: Sending,
    rx: Receiving,
    /// Whether this end is closed.
    closed: bool,
    armed: bool,
    born: Born,
    bell: Bell,
    caps: Caps,
    /// The end of the channel, once it was told.
    ended: Option<ChannelError>,
    /// Held by a channel to another process until it is unmapped.
    held: Option<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// No message is in hand.
    Idle,
    /// Nothing of one was taken, for want of room.
    Blocked,
    /// So many words of one are published.
    Words(usize),
    /// All words of one are published, and the peer does not expect its capabilities yet.
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

impl<W: OwnMemory, R: LineMemory> UmpChannel<W, R> {
    pub(crate) fn new(ring: Ring<W, R>, bell: Bell, caps: Caps, held: Option<Held>) -> Self {
        Self {
            ring,
            tx: Sending::Idle,
            rx: Receiving::Idle,
            closed: false,
            armed: false,
            born: Born::now(),
            bell,
            caps,
            ended: None,
            held,
        }
    }

    /// After publishing: wakes the peer if it sleeps.
    #[inline]
    fn published(&mut self) -> Result<(), ChannelError> {
        match self.ring.look() {
            None => Ok(()),
            Some(state) => self.tell(state, Cause::Line),
        }
    }

    #[cold]
    fn tell(&mut self, state: State, cause: Cause) -> Result<(), ChannelError> {
        if self.ring.must_ring(state, cause) && self.bell.ring() {
            self.ring.has_rung(state);
        }
        if state.is_closed() { Err(ChannelError::Closed) } else { Ok(()) }
    }

    /// As [`tell`](Self::tell), for `send_now`: after a "no", `send` tells why, and does not send the line again.
    #[cold]
    fn tell_now(&mut self, state: State) -> bool {
        let told = self.tell(state, Cause::Line).is_ok();
        if !told {
            self.tx = Sending::Ended;
        }
        told
    }

    #[cold]
    fn send_slowly(&mut self, message: &mut Outgoing<'_>) -> Result<Progress, ChannelError> {
        self.check_process()?;
        if self.tx == Sending::Ended {
            return Err(self.ended.clone().unwrap_or(ChannelError::Closed));
        }
        if self.ring.peer_state(Ordering::Relaxed).is_closed() {
            return Err(ChannelError::Closed);
        }
        let mut progress = self.send_some(message)?;
        if progress != Progress::Done && self.armed {
            // This end sleeps, and the peer does not know yet that it waits for room.
            self.ring.arm(true);
            barrier();
            progress = self.send_some(message)?;
        }
        Ok(progress)
    }

    /// Sends as much of the message in hand as there is room for.
    fn send_some(&mut self, message: &mut Outgoing<'_>) -> Result<Progress, ChannelError> {
        let total = message.body.len();
        let mut sent = match self.tx {
            Sending::Words(sent) => sent,
            Sending::Caps => total,
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
            let mut body = message.body.reader(sent);
            let full = Head::new(Kind::Next, message.number, PAYLOAD_WORDS, 0);
            while sent < total && self.room()? {
                let lines = body.lines(self.ring.free());
                if !lines.is_empty() {
                    self.ring.publish_lines(lines, full);
                    sent += lines.len() * PAYLOAD_WORDS;
                } else {
                    let mut payload = [0; PAYLOAD_WORDS];
                    let used = body.read(&mut payload);
                    let head = Head::new(Kind::Next, message.number, used, 0);
                    self.ring.publish(&payload, head);
                    sent += used;
                }
            }
            self.tx = if sent < total { Sending::Words(sent) } else { Sending::Caps };
            self.published()?;
        }
        if sent < total || !self.hand_over(message)? {
            // A message of capabilities alone has begun, too: what has begun never looks like what has not.
            return Ok(Progress::Partial(sent.max(1)));
        }
        self.tx = Sending::Idle;
        Ok(Progress::Done)
    }

    /// Publishes the first line of a message, and gives how many words were in it.
    fn send_first(&mut self, message: &Outgoing<'_>, total: usize) -> usize {
        let mut payload = [0; PAYLOAD_WORDS];
        let mut body = message.body.reader(0);
        if total <= PAYLOAD_WORDS {
            let used = body.read(&mut payload);
            self.ring.publish(
                &payload[..used],
                Head::new(Kind::Whole, message.number, used, message.cap_count),
            );
            used
        } else {
            payload[0] = total as u64;
            let used = body.read(&mut payload[1..]);
            self.ring.publish(
                &payload,
                Head::new(Kind::First, message.number, PAYLOAD_WORDS, message.cap_count),
            );
            used
        }
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
            Ok(true) => match self.caps.hand_over(message.caps) {
                Ok(()) => {
                    self.ring.handed_over(self.caps.sent());
                    Ok(true)
                }
                Err(refusal) => {
                    self.ring.handed_over(self.caps.sent());
                    self.tx = Sending::Idle;
                    Err(ChannelError::Caps(refusal))
                }
            },
        }
    }

    fn room(&mut self) -> Result<bool, ChannelError> {
        self.ring.room().map_err(|error| self.protocol(error))
    }

    #[cold]
    fn recv_slowly(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.check_process()?;
        let mut burst = BURST;
        while burst > 0 {
            match self.rx {
                Receiving::Ended => return Err(self.ended.clone().unwrap_or(ChannelError::Closed)),
                Receiving::Caps => return self.complete(incoming),
                Receiving::Idle => {}
                Receiving::Words => self
                    .take_full_lines(incoming, &mut burst)
                    .map_err(|error| self.protocol(error))?,
            }
            burst = burst.saturating_sub(1);
            let Some((head, payload)) = self.ring.take() else { return self.nothing() };
            self.take_line(incoming, head, &payload).map_err(|error| self.protocol(error))?;
            self.acknowledge();
            if self.rx == Receiving::Idle {
                return Ok(Recv::Message);
            }
        }
        Ok(Recv::More)
    }

    /// Takes lines that are full and belong to the message in hand, and have more behind them. What else comes is left for
    /// [`take_line`](Self::take_line) to judge.
    fn take_full_lines(
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

    /// Whether a send could not go on.
    const fn is_blocked(&self) -> bool {
        matches!(self.tx, Sending::Blocked | Sending::Words(_) | Sending::Caps)
    }

    /// Takes one line into the message in hand, or begins one with it.
    fn take_line(
        &mut self,
        incoming: &mut Incoming,
        head: Head,
        payload: &Payload,
    ) -> Result<(), ProtocolError> {
        let kind = head.kind()?;
        if !is_padded(head.used(), payload) {
            return Err(ProtocolError::Frame("the words after the used ones are not zero"));
        }
        match (self.rx, kind) {
            (Receiving::Idle, Kind::Whole) => {
                incoming.begin(head.number(), head.used(), head.caps())?;
                incoming.push(&payload[..head.used()])?;
            }
            (Receiving::Idle, Kind::First) => {
                let [claimed, words @ ..] = payload;
                let total = usize::try_from(*claimed).unwrap_or(usize::MAX);
                if head.used() != PAYLOAD_WORDS || total <= PAYLOAD_WORDS {
                    return Err(ProtocolError::Frame(
                        "a message that fits in one line comes in several",
                    ));
                }
                incoming.begin(head.number(), total, head.caps())?;
                incoming.push(words)?;
            }
            (Receiving::Words, Kind::Next) => {
                if head.number() != incoming.number() || head.caps() != 0 {
                    return Err(ProtocolError::Frame(
                        "a line belongs to another message than the lines before",
                    ));
                }
                if head.used() != incoming.missing().min(PAYLOAD_WORDS) {
                    return Err(ProtocolError::Frame(
                        "a line is fuller or emptier than its message needs",
                    ));
                }
                incoming.push(&payload[..head.used()])?;
            }
            (_, Kind::Next) => {
                return Err(ProtocolError::Frame("a message goes on that has not begun"));
            }
            (_, Kind::Whole | Kind::First) => {
                return Err(ProtocolError::Frame(
                    "a message begins before the one before has ended",
                ));
            }
        }
        if kind != Kind::Next && head.caps() > 0 {
            let count = self.caps.see();
            self.ring.expect_caps(count);
            self.given();
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
    fn caps_never_come(&self) -> bool {
        (self.closed || self.ring.peer_state(Ordering::Acquire).is_closed())
            && !self.caps.arrive_first()
            && !self.ring.is_handed_over(self.caps.seen())
    }

    /// No line is there, and no message is in hand: whether there is anything else to tell.
    #[inline]
    fn nothing_now(&self) -> RecvNow {
        if self.closed || self.ring.peer_state(Ordering::Relaxed).is_closed() {
            RecvNow::Unsure
        } else {
            RecvNow::Empty
        }
    }

    /// No line is there: perhaps none will come.
    #[cold]
    fn nothing(&mut self) -> Result<Recv, ChannelError> {
        // SYNC close: Acquire, pairs with the Release in `Ring::set_state`: lines published before it are visible after.
        if !self.closed && !self.ring.peer_state(Ordering::Acquire).is_closed() {
            return Ok(Recv::Empty);
        }
        if self.ring.has_line() {
            return Ok(Recv::More);
        }
        Err(self.end(ChannelError::Closed))
    }

    #[inline]
    fn acknowledge(&mut self) {
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

impl<W: OwnMemory, R: LineMemory> Channel for UmpChannel<W, R> {
    fn driver(&self) -> &'static str {
        super::NAME
    }

    #[inline]
    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        if message.cap_count == 0
            && message.body.tails.is_empty()
            && self.send_now(message.number, message.body.fixed)
        {
            return Ok(Progress::Done);
        }
        self.send_slowly(message)
    }

    #[inline]
    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        match self.recv_now(incoming) {
            RecvNow::Message => Ok(Recv::Message),
            RecvNow::Empty => Ok(Recv::Empty),
            RecvNow::Unsure => self.recv_slowly(incoming),
        }
    }

    #[inline]
    fn send_now(&mut self, number: u16, words: &[u64]) -> bool {
        if self.tx != Sending::Idle
            || words.len() > PAYLOAD_WORDS
            || !self.ring.has_room()
            || !self.born.is_here()
        {
            return false;
        }
        self.ring.publish(words, Head::new(Kind::Whole, number, words.len(), 0));
        match self.ring.look() {
            None => true,
            Some(state) => self.tell_now(state),
        }
    }

    #[inline]
    fn recv_now(&mut self, incoming: &mut Incoming) -> RecvNow {
        if self.rx != Receiving::Idle || !self.born.is_here() {
            return RecvNow::Unsure;
        }
        let Some(head) = self.ring.head() else { return self.nothing_now() };
        if !head.is_plain() || !incoming.may_be_whole(head.number(), head.used()) {
            return RecvNow::Unsure;
        }
        // The line is copied, and the copy is checked; where it fails, `recv` begins anew with a copy of its own.
        if self.ring.copy(incoming.line(), padding(head.used())) != 0 {
            return RecvNow::Unsure;
        }
        self.ring.taken(1);
        incoming.put_whole(head.number(), head.used());
        self.acknowledge();
        RecvNow::Message
    }

    #[inline]
    fn ready(&mut self) -> bool {
        if !self.born.is_here() {
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
            _ => self.closed || self.ring.peer_state(Ordering::Relaxed).is_closed(),
        }
    }

    fn can_resume(&mut self) -> bool {
        let waits = match self.tx {
            Sending::Idle => return false,
            Sending::Caps => self.ring.caps_expected(self.caps.sent()),
            Sending::Blocked | Sending::Words(_) => self.ring.room(),
            Sending::Ended => return self.ended.is_some(),
        };
        // A false claim, and the end of the channel, are worth a visit, which reports them.
        waits != Ok(false) || self.ring.peer_state(Ordering::Relaxed).is_closed()
    }

    fn is_over(&mut self) -> bool {
        self.rx == Receiving::Ended || self.ring.peer_state(Ordering::Relaxed).is_closed()
    }

    fn arm(&mut self) {
        if self.born.is_here() {
            self.armed = true;
            self.ring.arm(self.is_blocked());
        }
    }

    fn disarm(&mut self) {
        if self.born.is_here() {
            self.armed = false;
            self.ring.disarm();
        }
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn attached(&mut self, waitset: &Waitset) -> io::Result<()> {
        match &self.held {
            None => Ok(()),
            Some(held) => waitset.watch(&(Arc::clone(held.slot.ear()) as Arc<dyn Watched>)),
        }
    }

    fn close(&mut self) {
        if self.closed || !self.born.is_here() {
            return;
        }
        self.closed = true;
        self.tx = Sending::Ended;
        self.ring.close();
        // That the peer is closed, too, is no news.
        let _ = self.published();
    }
}

impl<W: OwnMemory, R: LineMemory> Drop for UmpChannel<W, R> {
    fn drop(&mut self) {
        self.close();
    }
}
