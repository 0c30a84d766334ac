//! The state of the message on its way out of one end and of the message on its way in, for drivers
//! that move messages in lines or frames while the brokers carry capabilities.
//!
//! ```text
//! out   Idle --> Blocked --> Parts(n) --> Caps --> HandedOver --> Idle       HandedOver: by way of the brokers only
//! in    Idle -------------> Words ------> Caps -----------------> Idle
//!       each step may be skipped; each state may lead to Ended
//! ```
//!
//! A driver defines its lines: where they go ([`LineWriter`]), where they come from
//! ([`LineReader`]), and what the other end has published ([`PeerEnd`]). The consequences for a
//! message are the same for all drivers, and are here.
//!
//! # Invariants
//! * `ended` is `Some` if and only if `rx` is `Ended`, and then `tx` is `Ended`, too. An end that
//!   is closed sends nothing, and receives until the end of the channel was reported.
//! * The announced sizes of an incoming message are compared with the interface before anything of
//!   it is taken ([`Incoming::begin`]), and a line is taken only in a state that permits it.
//! * Capabilities go on their way when all words of their message are out and the other end expects
//!   them: with its doorbell, or to the brokers. The message is sent when the kernel has them. An
//!   incoming message is complete when its own capabilities have arrived. The lines behind it wait
//!   for that.

use flounder_rt::channel::{
    ChannelError, Incoming, Outgoing, PairId, Progress, ProtocolError, Recv,
};

use crate::caps::{Caps, Delivery, HandedTo};
use flounder_rt::fork::ForkGeneration;
use rustix::io::Errno;

pub(crate) mod line;

/// What the other end has published.
pub trait PeerEnd {
    /// Returns true if a line has arrived.
    fn has_line(&mut self) -> bool;

    /// Returns true if a line has arrived from an end that is closed. Called after
    /// [`is_closed`](Self::is_closed).
    fn has_last_line(&mut self) -> bool {
        self.has_line()
    }

    /// Returns true if there is room for a line.
    ///
    /// # Errors
    /// If the other end makes a false claim.
    fn room(&mut self) -> Result<bool, ProtocolError>;

    /// Returns true if the other end sends no more.
    ///
    /// # Errors
    /// If the other end breaks the protocol.
    fn is_closed(&mut self) -> Result<bool, ProtocolError>;

    /// Returns true if the capabilities of our message number `sent` with some, the last one, may
    /// be handed over: the peer has read the first line of the one before it, and so has the
    /// capabilities of the one before that.
    ///
    /// # Errors
    /// If the other end makes a false claim.
    fn caps_expected(&mut self, sent: u64) -> Result<bool, ProtocolError>;

    /// Returns true if the capabilities of the peer's message number `count` with some are handed over: with the kernel, or
    /// with the brokers.
    fn is_handed_over(&mut self, count: u64) -> bool;

    /// Publishes that the capabilities of our message number `count` with some are handed over.
    fn handed_over(&mut self, count: u64);
}

/// Destination of lines.
pub(crate) trait LineWriter {
    /// The other end, which reads the lines.
    type Peer: PeerEnd;

    /// Parts of a line that make a word.
    const PARTS: usize;

    /// Returns the other end.
    fn peer(&mut self) -> &mut Self::Peer;

    /// Publishes the first line of a message, for which there is room. Returns the number of parts
    /// of the body in it.
    fn first(&mut self, message: &Outgoing<'_>) -> usize;

    /// Publishes lines from part `sent` on, as far as there is room. Returns the number of parts
    /// published so far.
    ///
    /// # Errors
    /// If the other end makes a false claim, as in [`PeerEnd::room`].
    fn next(&mut self, message: &Outgoing<'_>, sent: usize) -> Result<usize, ProtocolError>;

    /// Notifies the other end of published lines.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] if the other end is closed.
    fn published(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Notifies the other end like [`published`](Self::published), and calls `wake`, which returns true if it has woken the
    /// other end: a driver whose lines the other end sees by then needs no doorbell besides.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] if the other end is closed.
    fn published_and(
        &mut self,
        wake: impl FnOnce(&mut Self::Peer) -> bool,
    ) -> Result<(), ChannelError> {
        self.published()?;
        wake(self.peer());
        Ok(())
    }
}

/// Source of lines.
pub(crate) trait LineReader {
    /// Maximum number of lines of one message taken in one call, so that a long message does not
    /// delay the other channels of the waitset.
    const BURST: usize;

    /// Takes one line into the current message, or begins a message with it. Returns true if there
    /// was a line.
    ///
    /// # Errors
    /// If no correct peer sends the line.
    fn take(
        &mut self,
        assembler: &mut MessageAssembler,
        incoming: &mut Incoming,
    ) -> Result<bool, ProtocolError>;

    /// Takes several lines of the current message, where it can, and counts them off `burst`.
    /// Leaves at least one part of the message, and everything unusual, to [`take`](Self::take).
    ///
    /// # Errors
    /// If there are more words than were announced.
    fn take_many(
        &mut self,
        _incoming: &mut Incoming,
        _burst: &mut usize,
    ) -> Result<(), ProtocolError> {
        Ok(())
    }
}

/// The outgoing and the incoming message of one end.
pub(crate) struct MessageAssembler {
    tx: SendState,
    rx: ReceiveState,
    /// True once this end is closed.
    closed: bool,
    born: ForkGeneration,
    caps: Caps,
    /// Error with which the channel ended, once it was reported.
    ended: Option<ChannelError>,
}

/// State of the outgoing message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendState {
    /// No message is on its way.
    Idle,
    /// The channel had no room for any part of a message.
    Blocked,
    /// Number of parts of a message that are published.
    Parts(usize),
    /// All words are published, and the peer does not expect the capabilities yet.
    Caps,
    /// The capabilities are with the brokers, and not with the kernel yet.
    HandedOver,
    /// The channel accepts no more.
    Ended,
}

/// State of the incoming message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReceiveState {
    /// No message is on its way.
    Idle,
    /// Some words have arrived.
    Words,
    /// All words have arrived, and the capabilities have not.
    Caps,
    /// No more arrives; see `ended`.
    Ended,
}

/// Result of taking the lines that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiveStep {
    /// A message is complete.
    Message,
    /// All words of a message have arrived, and its capabilities are due.
    Caps,
    /// The burst is over; more lines may be there.
    More,
    /// No line is there.
    Nothing,
    /// The end of the channel was reported.
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

    /// Returns the id of the channel: [`Channel::pair`](flounder_rt::channel::Channel::pair).
    pub(crate) const fn pair(&self) -> Option<PairId> {
        self.caps.pair()
    }

    /// Returns true in the process that made the channel, and false in its forked children.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        self.born.is_here()
    }

    /// Returns true if a new message may be sent.
    #[inline]
    pub(crate) fn may_send_now(&self) -> bool {
        self.tx == SendState::Idle && self.born.is_here()
    }

    /// Returns true if a new message may be received.
    #[inline]
    pub(crate) fn may_receive_now(&self) -> bool {
        self.rx == ReceiveState::Idle && self.born.is_here()
    }

    /// Returns true if a send could not finish.
    pub(crate) const fn is_blocked(&self) -> bool {
        matches!(
            self.tx,
            SendState::Blocked | SendState::Parts(_) | SendState::Caps | SendState::HandedOver
        )
    }

    /// Returns true if this end waits for lines of the peer alone: neither for room nor for the brokers.
    pub(crate) fn waits_for_lines(&self) -> bool {
        self.tx == SendState::Idle
            && matches!(self.rx, ReceiveState::Idle | ReceiveState::Words)
            && self.born.is_here()
    }

    /// Returns true if this end is closed.
    #[inline]
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Closes this end. Returns true if it was open.
    pub(crate) fn close(&mut self) -> bool {
        if self.closed || !self.born.is_here() {
            return false;
        }
        self.closed = true;
        self.tx = SendState::Ended;
        true
    }

    /// Makes the brokers report the close to the peer, for a channel that cannot report it itself.
    pub(crate) fn report_closed(&self) {
        self.caps.report_closed();
    }

    /// Sends no more, because the peer has closed.
    pub(crate) const fn stop_sending(&mut self) {
        self.tx = SendState::Ended;
    }

    // ---- sending --------------------------------------------------------------------------------------------------------

    /// Checks that a message may be sent.
    ///
    /// # Errors
    /// In a forked child, and after the end of the channel.
    pub(crate) fn check_sender(&self) -> Result<(), ChannelError> {
        self.check_process()?;
        if self.tx == SendState::Ended { Err(self.end_error()) } else { Ok(()) }
    }

    /// Sends as much of the current message as there is room for.
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
                if !writer.peer().room().map_err(|error| self.protocol(error))? {
                    self.tx = SendState::Blocked;
                    return Ok(Progress::Partial(0));
                }
                self.begin(message);
                writer.first(message)
            };
            let sent = writer.next(message, begun).map_err(|error| self.protocol(error))?;
            self.tx = if sent < total { SendState::Parts(sent) } else { SendState::Caps };
            if message.cap_count > 0 && self.tx == SendState::Caps {
                return self.publish_with_caps(message, writer);
            }
            writer.published()?;
        }
        self.progress(message, S::PARTS, writer.peer())
    }

    /// Notifies the other end that all words of the current message are published, and sends its capabilities with the
    /// doorbell, if they may go: one wake-up for both.
    #[cold]
    #[inline(never)]
    fn publish_with_caps<S: LineWriter>(
        &mut self,
        message: &mut Outgoing<'_>,
        writer: &mut S,
    ) -> Result<Progress, ChannelError> {
        let mut is_sent = false;
        writer.published_and(|peer| {
            is_sent = self.caps.may_go_with_doorbell()
                && peer.caps_expected(self.caps.sent()) == Ok(true)
                && self.caps.send_with_doorbell(message.caps);
            if is_sent {
                peer.handed_over(self.caps.sent());
            }
            is_sent
        })?;
        if is_sent {
            self.tx = SendState::Idle;
            return Ok(Progress::Done);
        }
        self.progress(message, S::PARTS, writer.peer())
    }

    /// Returns the number of words of the current message that are published; `None` if it has not
    /// begun.
    #[cfg(feature = "beehive")]
    pub(crate) fn begun(&self, message: &Outgoing<'_>) -> Option<usize> {
        match self.tx {
            SendState::Parts(sent) => Some(sent),
            SendState::Caps | SendState::HandedOver => Some(message.body.len()),
            SendState::Idle | SendState::Blocked | SendState::Ended => None,
        }
    }

    /// Notes that `words` words of the current message are published now, and goes on to its
    /// capabilities. For a driver that publishes lines itself, in whole words.
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

    /// Returns the progress of the current message, when no more of its words can be published.
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
        // 0 would mean that the message has not begun; a message without words has begun all the same.
        Ok(Progress::Partial(taken.max(1)))
    }

    /// Hands over the capabilities of the current message, if it has any and the peer expects them.
    /// Returns true if the kernel has them.
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
            match handed {
                Ok(HandedTo::Kernel) => return Ok(true),
                Ok(HandedTo::Brokers) => self.tx = SendState::HandedOver,
                Err(refusal) => {
                    self.tx = SendState::Idle;
                    return Err(ChannelError::Caps(refusal));
                }
            }
        }
        Ok(self.caps.are_with_kernel())
    }

    // ---- receiving ------------------------------------------------------------------------------------------------------

    /// Receives at most one message.
    pub(crate) fn recv<L: LineReader + LineWriter>(
        &mut self,
        incoming: &mut Incoming,
        lines: &mut L,
    ) -> Result<Recv, ChannelError> {
        let step = self.take_lines(incoming, lines);
        self.received(step, incoming, lines.peer())
    }

    /// Takes lines until a message has all its words, no line is there, or the burst is over.
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

    /// Returns what `recv` returns, after [`take_lines`](Self::take_lines).
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

    /// Checks that a message may begin.
    ///
    /// # Errors
    /// If a message is on its way already.
    pub(crate) fn check_first(&self) -> Result<(), ProtocolError> {
        if self.rx == ReceiveState::Idle {
            return Ok(());
        }
        Err(ProtocolError::Frame("a message begins before the one before has ended"))
    }

    /// Checks that the current message may go on with a line of message `number` that announces
    /// `caps` capabilities.
    ///
    /// # Errors
    /// If the line belongs to another message, or none is on its way.
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

    /// Notes that the words of a line were taken. Returns the number of the message if its
    /// capabilities wait until the peer knows of this line: the driver has to publish that number.
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

    /// Completes the current message, if its capabilities have arrived.
    #[inline(never)]
    fn complete(
        &mut self,
        incoming: &mut Incoming,
        peer: &mut impl PeerEnd,
    ) -> Result<Recv, ChannelError> {
        let mut delivery = self.caps.take();
        if matches!(delivery, Ok(Delivery::Nothing)) && self.are_caps_handed_over(peer) {
            let is_more = self.caps.collect();
            delivery = self.caps.take();
            if is_more && matches!(delivery, Ok(Delivery::Nothing)) {
                return Ok(Recv::More);
            }
        }
        match delivery.map_err(|error| self.protocol(error))? {
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

    /// Returns true if the capabilities of the current message have come, or there is more to look through for them.
    #[inline(never)]
    fn have_caps_come(&mut self, peer: &mut impl PeerEnd) -> bool {
        self.caps.has_event()
            || self.are_caps_handed_over(peer) && (self.caps.collect() || self.caps.has_event())
    }

    /// Returns true if the peer has handed over the capabilities of the current message, so that it pays to look for them.
    fn are_caps_handed_over(&self, peer: &mut impl PeerEnd) -> bool {
        // A driver fetches the claims of its peer with this one.
        let _ = peer.is_closed();
        !self.caps.are_local() && peer.is_handed_over(self.caps.seen())
    }

    /// Returns true if the channel ended before the capabilities of the current message were handed
    /// over. Capabilities that were handed over still arrive, or are lost, and the brokers report
    /// which.
    fn caps_will_never_arrive(&self, peer: &mut impl PeerEnd) -> Result<bool, ProtocolError> {
        let is_over = peer.is_closed()? || self.closed;
        Ok(is_over && !self.caps.are_local() && !peer.is_handed_over(self.caps.seen()))
    }

    /// Returns what `recv` returns if no line is there: perhaps none will come.
    #[cold]
    fn no_line(&mut self, peer: &mut impl PeerEnd) -> Result<Recv, ChannelError> {
        match peer.is_closed() {
            Err(error) => Err(self.protocol(error)),
            Ok(false) if !self.closed => Ok(Recv::Empty),
            // The peer published its lines before the end, so lines may have arrived since the last read: read once more.
            Ok(_) if peer.has_last_line() => Ok(Recv::More),
            Ok(_) => Err(self.end(ChannelError::Closed)),
        }
    }

    // ---- readiness ------------------------------------------------------------------------------------------------------

    /// Implements [`Channel::ready`](flounder_rt::channel::Channel::ready).
    #[inline]
    pub(crate) fn ready(&mut self, peer: &mut impl PeerEnd) -> bool {
        if !self.born.is_here() {
            return true;
        }
        match self.rx {
            ReceiveState::Ended => return true,
            // The lines after a message that waits for its capabilities have to wait as well.
            ReceiveState::Idle | ReceiveState::Words if peer.has_line() => return true,
            _ => {}
        }
        if self.tx != SendState::Idle && self.can_resume(peer) {
            return true;
        }
        match self.rx {
            ReceiveState::Caps => {
                self.have_caps_come(peer) || self.caps_will_never_arrive(peer) != Ok(false)
            }
            _ => self.closed || peer.is_closed() != Ok(false),
        }
    }

    /// Implements [`Channel::can_resume`](flounder_rt::channel::Channel::can_resume).
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
        // A visit reports a false claim, and the end of the channel.
        waits != Ok(false) || peer.is_closed() != Ok(false)
    }

    /// Implements [`Channel::is_over`](flounder_rt::channel::Channel::is_over).
    pub(crate) fn is_over(&self, peer: &mut impl PeerEnd) -> bool {
        !self.born.is_here() || self.rx == ReceiveState::Ended || peer.is_closed() != Ok(false)
    }

    // ---- the end --------------------------------------------------------------------------------------------------------

    /// Checks that this is the process that made the channel.
    ///
    /// # Errors
    /// `ECHILD` in a forked child.
    pub(crate) fn check_process(&self) -> Result<(), ChannelError> {
        if self.born.is_here() { Ok(()) } else { Err(Errno::CHILD.into()) }
    }

    #[cold]
    fn protocol(&mut self, error: ProtocolError) -> ChannelError {
        self.end(ChannelError::Protocol(error))
    }

    /// Ends the channel with this error, which every later call returns.
    pub(crate) fn end(&mut self, error: ChannelError) -> ChannelError {
        (self.tx, self.rx) = (SendState::Ended, ReceiveState::Ended);
        self.ended = Some(error.clone());
        error
    }

    /// Returns the error with which the channel ended.
    fn end_error(&self) -> ChannelError {
        self.ended.clone().unwrap_or(ChannelError::Closed)
    }
}
