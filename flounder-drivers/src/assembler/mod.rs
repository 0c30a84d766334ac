//! The message that is on its way out of one end of a channel and the one that is on its way in, for the drivers that move
//! messages in lines (or frames) and have the brokers carry capabilities beside them.
//!
//! ```text
//! out   Idle --> Blocked --> Parts(n) --> Caps --> HandedOver --> Idle     each step may be skipped; from each of them --> Ended
//! in    Idle -------------> Words ------> Caps --> Idle     likewise
//! ```
//!
//! A driver has lines of its own: it says where they go ([`LineWriter`]), where they come from ([`LineReader`]), and what the other
//! end has told of itself ([`PeerEnd`]). What follows from that for a message is the same for all, and is here.
//!
//! # Invariants
//! * `ended` is there if and only if `rx` is `Ended`, and then `tx` is, too. An end that is closed sends nothing, and
//!   receives until it has been told that no more comes.
//! * What a message that comes in announces is compared with the interface before anything is taken of it
//!   ([`Incoming::begin`]), and a line is taken only where one like it may come.
//! * Capabilities go to the brokers when all words of their message are out and the other end expects them; the message is
//!   sent when the brokers have passed them to the kernel. A message that comes in is
//!   complete when its own have come. The lines behind it wait for that.

use flounder_rt::channel::{
    ChannelError, Incoming, Outgoing, PairId, Progress, ProtocolError, Recv,
};

use crate::caps::{Caps, Delivery};
use flounder_rt::fork::ForkGeneration;

pub(crate) mod line;

/// What the other end has told of itself.
pub(crate) trait PeerEnd {
    /// Whether a line has come.
    fn has_line(&mut self) -> bool;

    /// The same for an end that sends no more, as of after that.
    fn has_last_line(&mut self) -> bool {
        self.has_line()
    }

    /// Whether there is room for a line.
    ///
    /// # Errors
    /// If the other end tells what cannot be.
    fn room(&mut self) -> Result<bool, ProtocolError>;

    /// Whether it sends no more.
    ///
    /// # Errors
    /// If it has done what no correct peer does.
    fn is_closed(&mut self) -> Result<bool, ProtocolError>;

    /// Whether the capabilities of our message number `sent` with some, which is the last, may be handed over: it has seen
    /// the first line of the one before, and so has those of the one before that.
    ///
    /// # Errors
    /// If it tells what cannot be.
    fn caps_expected(&mut self, sent: u64) -> Result<bool, ProtocolError>;

    /// Whether the capabilities of its message number `count` with some are with the brokers.
    fn is_handed_over(&mut self, count: u64) -> bool;

    /// Tells it that those of ours are.
    fn handed_over(&mut self, count: u64);
}

/// Where lines go.
pub(crate) trait LineWriter: PeerEnd {
    /// In how many parts lines take a word.
    const PARTS: usize;

    /// Publishes the first line of a message into room that is there; gives how many parts of the body are in it.
    fn first(&mut self, message: &Outgoing<'_>) -> usize;

    /// Publishes what follows these parts, as far as there is room; gives how many parts are published now.
    ///
    /// # Errors
    /// As [`PeerEnd::room`].
    fn next(&mut self, message: &Outgoing<'_>, sent: usize) -> Result<usize, ProtocolError>;

    /// Lets the other end know, after lines were published.
    ///
    /// # Errors
    /// If it turns out to have closed.
    fn published(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }
}

/// Where lines come from.
pub(crate) trait LineReader {
    /// Lines of one message taken in one call, so that a long one does not hold up the other channels of the waitset.
    const BURST: usize;

    /// Takes a line into the message in hand, or begins one with it; gives whether there was one.
    ///
    /// # Errors
    /// If no correct peer sends it.
    fn take(
        &mut self,
        assembler: &mut MessageAssembler,
        incoming: &mut Incoming,
    ) -> Result<bool, ProtocolError>;

    /// Takes lines of the message in hand together, where it can, and counts them off from `burst`. It leaves at least one
    /// part of the message to [`take`](Self::take), and whatever is out of the ordinary.
    ///
    /// # Errors
    /// If there are more than were announced.
    fn take_many(
        &mut self,
        _incoming: &mut Incoming,
        _burst: &mut usize,
    ) -> Result<(), ProtocolError> {
        Ok(())
    }
}

/// What one end has in hand.
pub(crate) struct MessageAssembler {
    tx: SendState,
    rx: ReceiveState,
    /// Whether this end is closed.
    closed: bool,
    born: ForkGeneration,
    caps: Caps,
    /// The end of the channel, once it was told.
    ended: Option<ChannelError>,
}

/// The message on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendState {
    /// There is none.
    Idle,
    /// Nothing of one was taken, for want of room.
    Blocked,
    /// So many parts of one are published.
    Parts(usize),
    /// All words of one are published, and the peer does not expect its capabilities yet.
    Caps,
    /// Its capabilities are with the brokers, and the kernel does not have them yet.
    HandedOver,
    /// The channel takes no more.
    Ended,
}

/// The message on its way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReceiveState {
    /// There is none.
    Idle,
    /// Some words of one are there.
    Words,
    /// All words of one are there, and its capabilities are not.
    Caps,
    /// No more comes; see `ended`.
    Ended,
}

/// How far a call has come with the lines that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiveStep {
    /// A message is complete.
    Message,
    /// All words of one are there, and its capabilities are to be fetched.
    Caps,
    /// It is the turn of others.
    More,
    /// There are none.
    Nothing,
    /// The end has been told.
    Ended,
}

impl MessageAssembler {
    pub(crate) fn new(caps: Caps) -> Self {
        Self {
            tx: SendState::Idle,
            rx: ReceiveState::Idle,
            closed: false,
            born: ForkGeneration::now(),
            caps,
            ended: None,
        }
    }

    /// [`Channel::pair`](flounder_rt::channel::Channel::pair).
    pub(crate) const fn pair(&self) -> Option<PairId> {
        self.caps.pair()
    }

    /// Whether this is the process of the channel.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.born.is_here()
    }

    /// Whether no message is on its way out, and one may be.
    #[inline]
    pub(crate) fn may_send_now(&self) -> bool {
        self.tx == SendState::Idle && self.born.is_here()
    }

    /// Whether no message is on its way in, and one may be.
    #[inline]
    pub(crate) fn may_receive_now(&self) -> bool {
        self.rx == ReceiveState::Idle && self.born.is_here()
    }

    /// Whether a send could not go on.
    pub(crate) const fn is_blocked(&self) -> bool {
        matches!(
            self.tx,
            SendState::Blocked | SendState::Parts(_) | SendState::Caps | SendState::HandedOver
        )
    }

    /// Whether this end is closed.
    #[inline]
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Closes this end: for what is then to be done, gives whether it was open.
    pub(crate) fn close(&mut self) -> bool {
        if self.closed || !self.born.is_here() {
            return false;
        }
        self.closed = true;
        self.tx = SendState::Ended;
        true
    }

    /// Has the brokers tell the peer of the close, if the channel cannot.
    pub(crate) fn report_closed(&self) {
        self.caps.report_closed();
    }

    /// Takes no more to send, because the peer has closed.
    pub(crate) const fn stop_sending(&mut self) {
        self.tx = SendState::Ended;
    }

    // ---- sending --------------------------------------------------------------------------------------------------------

    /// Whether there is any use in sending.
    ///
    /// # Errors
    /// If not: in another process, and after the end.
    pub(crate) fn check_sender(&self) -> Result<(), ChannelError> {
        self.check_process()?;
        if self.tx == SendState::Ended { Err(self.end_error()) } else { Ok(()) }
    }

    /// Sends as much of the message in hand as there is room for.
    pub(crate) fn send<S: LineWriter>(
        &mut self,
        message: &mut Outgoing<'_>,
        writer: &mut S,
    ) -> Result<Progress, ChannelError> {
        let total = S::PARTS * message.body.len();
        if !matches!(self.tx, SendState::Caps | SendState::HandedOver) {
            let begun = if let SendState::Parts(sent) = self.tx {
                sent
            } else {
                if !writer.room().map_err(|error| self.protocol(error))? {
                    self.tx = SendState::Blocked;
                    return Ok(Progress::Partial(0));
                }
                self.begin(message);
                writer.first(message)
            };
            let sent = writer.next(message, begun).map_err(|error| self.protocol(error))?;
            self.tx = if sent < total { SendState::Parts(sent) } else { SendState::Caps };
            writer.published()?;
        }
        self.progress(message, S::PARTS, writer)
    }

    /// How many words of the message in hand are published; `None` if it has not begun.
    #[cfg(feature = "beehive")]
    pub(crate) fn begun(&self, message: &Outgoing<'_>) -> Option<usize> {
        match self.tx {
            SendState::Parts(sent) => Some(sent),
            SendState::Caps | SendState::HandedOver => Some(message.body.len()),
            SendState::Idle | SendState::Blocked | SendState::Ended => None,
        }
    }

    /// Notes that so many words of the message in hand are published now, of which there were as many as `begun` says; and
    /// goes on to its capabilities. For a driver that sends in its own way, in whole words.
    #[cfg(feature = "beehive")]
    pub(crate) fn sent(
        &mut self,
        message: &mut Outgoing<'_>,
        words: Option<usize>,
        peer: &mut impl PeerEnd,
    ) -> Result<Progress, ChannelError> {
        if words.is_some() && self.begun(message).is_none() {
            self.begin(message);
        }
        self.tx = match words {
            None => SendState::Blocked,
            Some(sent) if sent < message.body.len() => SendState::Parts(sent),
            Some(_) if self.tx == SendState::HandedOver => SendState::HandedOver,
            Some(_) => SendState::Caps,
        };
        self.progress(message, 1, peer)
    }

    fn begin(&mut self, message: &mut Outgoing<'_>) {
        if message.cap_count > 0 {
            self.caps.start(message.caps);
        }
    }

    /// What has become of the message in hand, when no more of its words can be published.
    fn progress(
        &mut self,
        message: &mut Outgoing<'_>,
        parts: usize,
        peer: &mut impl PeerEnd,
    ) -> Result<Progress, ChannelError> {
        let taken = match self.tx {
            SendState::Blocked => return Ok(Progress::Partial(0)),
            SendState::Parts(sent) => sent / parts,
            _ => {
                if self.hand_over(message, peer)? {
                    self.tx = SendState::Idle;
                    return Ok(Progress::Done);
                }
                message.body.len()
            }
        };
        // A message of capabilities alone has begun, too: what has begun never looks like what has not.
        Ok(Progress::Partial(taken.max(1)))
    }

    /// Hands over the capabilities of the message in hand, if it has any and the peer expects them; returns whether the
    /// kernel has them.
    fn hand_over(
        &mut self,
        message: &mut Outgoing<'_>,
        peer: &mut impl PeerEnd,
    ) -> Result<bool, ChannelError> {
        if message.cap_count == 0 || self.caps.are_local() {
            return Ok(true);
        }
        if self.tx != SendState::HandedOver {
            if !peer.caps_expected(self.caps.sent()).map_err(|error| self.protocol(error))? {
                return Ok(false);
            }
            let handed = self.caps.hand_over(message.caps);
            peer.handed_over(self.caps.sent());
            self.tx = SendState::HandedOver;
            handed.map_err(|refusal| {
                self.tx = SendState::Idle;
                ChannelError::Caps(refusal)
            })?;
        }
        Ok(self.caps.are_sent())
    }

    // ---- receiving ------------------------------------------------------------------------------------------------------

    /// Receives at most one message.
    pub(crate) fn recv<L: LineReader + PeerEnd>(
        &mut self,
        incoming: &mut Incoming,
        lines: &mut L,
    ) -> Result<Recv, ChannelError> {
        let step = self.take_lines(incoming, lines);
        self.received(step, incoming, lines)
    }

    /// Takes lines until a message has all its words, none is there, or it is the turn of others.
    pub(crate) fn take_lines<S: LineReader>(
        &mut self,
        incoming: &mut Incoming,
        source: &mut S,
    ) -> Result<ReceiveStep, ProtocolError> {
        let mut burst = S::BURST;
        while burst > 0 {
            match self.rx {
                ReceiveState::Ended => return Ok(ReceiveStep::Ended),
                ReceiveState::Caps => return Ok(ReceiveStep::Caps),
                ReceiveState::Words => source.take_many(incoming, &mut burst)?,
                ReceiveState::Idle => {}
            }
            burst = burst.saturating_sub(1);
            if !source.take(self, incoming)? {
                return Ok(ReceiveStep::Nothing);
            }
            if self.rx == ReceiveState::Idle {
                return Ok(ReceiveStep::Message);
            }
        }
        Ok(ReceiveStep::More)
    }

    /// What has become of a message, after [`take_lines`](Self::take_lines).
    pub(crate) fn received(
        &mut self,
        step: Result<ReceiveStep, ProtocolError>,
        incoming: &mut Incoming,
        peer: &mut impl PeerEnd,
    ) -> Result<Recv, ChannelError> {
        match step.map_err(|error| self.protocol(error))? {
            ReceiveStep::Message => Ok(Recv::Message),
            ReceiveStep::More => Ok(Recv::More),
            ReceiveStep::Caps => self.complete(incoming, peer),
            ReceiveStep::Nothing => self.no_line(peer),
            ReceiveStep::Ended => Err(self.end_error()),
        }
    }

    /// Whether a message may begin.
    ///
    /// # Errors
    /// If one is in hand.
    pub(crate) fn check_first(&self) -> Result<(), ProtocolError> {
        if self.rx == ReceiveState::Idle {
            return Ok(());
        }
        Err(ProtocolError::Frame("a message begins before the one before has ended"))
    }

    /// Whether the message in hand may go on with a line of this message, which announces so many capabilities.
    ///
    /// # Errors
    /// If it is another one, or none is in hand.
    pub(crate) fn check_next(
        &self,
        incoming: &Incoming,
        number: u16,
        caps: usize,
    ) -> Result<(), ProtocolError> {
        if self.rx != ReceiveState::Words {
            return Err(ProtocolError::Frame("a message goes on that has not begun"));
        }
        if number != incoming.number() || caps != 0 {
            return Err(ProtocolError::Frame(
                "words come that belong to another message than the ones before",
            ));
        }
        Ok(())
    }

    /// Notes that the words of a line are in. If they are the first of a message with capabilities that the peer keeps back
    /// until it knows that: the number of that message, which it is to be told.
    pub(crate) fn taken(&mut self, incoming: &Incoming) -> Option<u64> {
        let is_first = self.rx == ReceiveState::Idle;
        self.rx = match (incoming.missing(), incoming.cap_count()) {
            (0, 0) => ReceiveState::Idle,
            (0, _) => ReceiveState::Caps,
            _ => ReceiveState::Words,
        };
        if !is_first || incoming.cap_count() == 0 {
            return None;
        }
        let seen = self.caps.count_seen();
        (!self.caps.are_local()).then_some(seen)
    }

    /// Completes the message in hand, if its capabilities are there.
    fn complete(
        &mut self,
        incoming: &mut Incoming,
        peer: &mut impl PeerEnd,
    ) -> Result<Recv, ChannelError> {
        match self.caps.take().map_err(|error| self.protocol(error))? {
            Delivery::Nothing => match self.caps_will_never_arrive(peer) {
                Ok(false) => Ok(Recv::Empty),
                Ok(true) => Err(self.end(ChannelError::Closed)),
                Err(error) => Err(self.protocol(error)),
            },
            Delivery::Lost(refusal) => {
                self.rx = ReceiveState::Idle;
                Err(ChannelError::Caps(refusal))
            }
            Delivery::Caps(caps) => {
                incoming.put_caps(caps).map_err(|error| self.protocol(error))?;
                self.rx = ReceiveState::Idle;
                Ok(Recv::Message)
            }
        }
    }

    /// Whether the channel ended before the capabilities of the message in hand were handed over. Those that were come
    /// yet, or are lost, and the brokers tell which.
    fn caps_will_never_arrive(&self, peer: &mut impl PeerEnd) -> Result<bool, ProtocolError> {
        let is_over = peer.is_closed()? || self.closed;
        Ok(is_over && !self.caps.are_local() && !peer.is_handed_over(self.caps.seen()))
    }

    /// No line is there: perhaps none will come.
    #[cold]
    fn no_line(&mut self, peer: &mut impl PeerEnd) -> Result<Recv, ChannelError> {
        match peer.is_closed() {
            Err(error) => Err(self.protocol(error)),
            Ok(false) if !self.closed => Ok(Recv::Empty),
            // What the peer published before it closed is there if that is: whoever sees the end looks once more.
            Ok(_) if peer.has_last_line() => Ok(Recv::More),
            Ok(_) => Err(self.end(ChannelError::Closed)),
        }
    }

    // ---- readiness ------------------------------------------------------------------------------------------------------

    /// [`Channel::ready`](flounder_rt::channel::Channel::ready).
    #[inline]
    pub(crate) fn ready(&mut self, peer: &mut impl PeerEnd) -> bool {
        if !self.born.is_here() {
            return true;
        }
        match self.rx {
            ReceiveState::Ended => return true,
            // Lines behind a message that waits for its capabilities have to wait as well.
            ReceiveState::Caps if self.caps.has_event() => return true,
            ReceiveState::Idle | ReceiveState::Words if peer.has_line() => return true,
            _ => {}
        }
        if self.tx != SendState::Idle && self.can_resume(peer) {
            return true;
        }
        match self.rx {
            ReceiveState::Caps => self.caps_will_never_arrive(peer) != Ok(false),
            _ => self.closed || peer.is_closed() != Ok(false),
        }
    }

    /// [`Channel::can_resume`](flounder_rt::channel::Channel::can_resume).
    pub(crate) fn can_resume(&mut self, peer: &mut impl PeerEnd) -> bool {
        if !self.born.is_here() {
            return true;
        }
        let waits = match self.tx {
            SendState::Idle => return false,
            SendState::Caps => peer.caps_expected(self.caps.sent()),
            SendState::HandedOver => Ok(self.caps.are_sent()),
            SendState::Blocked | SendState::Parts(_) => peer.room(),
            SendState::Ended => return self.ended.is_some(),
        };
        // A false claim, and the end of the channel, are worth a visit, which reports them.
        waits != Ok(false) || peer.is_closed() != Ok(false)
    }

    /// [`Channel::is_over`](flounder_rt::channel::Channel::is_over).
    pub(crate) fn is_over(&self, peer: &mut impl PeerEnd) -> bool {
        !self.born.is_here() || self.rx == ReceiveState::Ended || peer.is_closed() != Ok(false)
    }

    // ---- the end --------------------------------------------------------------------------------------------------------

    /// Whether this is the process of the channel.
    ///
    /// # Errors
    /// If it is a child of that.
    pub(crate) fn check_process(&self) -> Result<(), ChannelError> {
        if self.born.is_here() { Ok(()) } else { Err(ChannelError::Os(libc::ECHILD)) }
    }

    #[cold]
    fn protocol(&mut self, error: ProtocolError) -> ChannelError {
        self.end(ChannelError::Protocol(error))
    }

    /// Ends the channel with this error, which every later call gives.
    pub(crate) fn end(&mut self, error: ChannelError) -> ChannelError {
        (self.tx, self.rx) = (SendState::Ended, ReceiveState::Ended);
        self.ended = Some(error.clone());
        error
    }

    /// What was told when the channel ended.
    fn end_error(&self) -> ChannelError {
        self.ended.clone().unwrap_or(ChannelError::Closed)
    }
}
