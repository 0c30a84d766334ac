//! One end of a channel in the kernel of its core: its windows, the frames that wait for it, and
//! what it has to publish.

use std::collections::VecDeque;

use flounder_rt::channel::ProtocolError;
use flounder_rt::notify::Notifier;

use crate::beehive::frame::{FrameBuilder, FrameHeader, FrameKind, MAX_FRAME};
use crate::beehive::hardware::Core;
use crate::beehive::window::{MAX_WINDOW, ReceiveWindow, SendWindow};

/// Length of the shortest frame that an end makes of a longer one, because other ends used up the
/// credit that it waits for.
pub(crate) const SHORT: usize = 16;

/// Number of times that an end may be overtaken before it goes first.
const MAX_OVERTAKEN: u32 = 8;

/// One end of a channel.
#[derive(Debug)]
pub(crate) struct Endpoint {
    notifier: Notifier,
    peer: Option<PeerAddress>,
    pub(crate) out: SendWindow,
    pub(crate) into: ReceiveWindow,
    /// Frames of messages that have arrived, each behind its length.
    frames: VecDeque<u32>,
    /// True if the end is to be woken, once.
    armed: bool,
    /// True if something has arrived since the end was armed.
    news: bool,
    /// Length of the frame that did not go out.
    blocked: Option<usize>,
    /// Number of times that another end had credit since.
    overtaken: u32,
    /// Claims of this end; `claims_sent` is false while the other end has to be sent them.
    mine: Claims,
    claims_sent: bool,
    /// Claims that the other end has sent.
    theirs: Claims,
    error: Option<ProtocolError>,
    /// True once the channel is gone. The end is freed when the other end knows.
    abandoned: bool,
}

/// Address of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerAddress {
    pub(crate) core: Core,
    pub(crate) association: u16,
}

/// State that an end publishes in control frames, besides its acknowledgements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// True if the end sends no more.
    pub(crate) closed: bool,
    /// Messages with capabilities of which the end has taken the first frame.
    pub(crate) expected: u32,
    /// Own messages with capabilities of which the capabilities are with the brokers.
    pub(crate) handed: u32,
}

/// Credit that an end may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CreditShare {
    /// Words of the frame that the credit is for.
    pub(crate) words: usize,
    /// True if some credit is reserved for another end.
    pub(crate) is_reduced: bool,
}

/// State of an end that its channel asks for.
#[derive(Debug)]
pub(crate) struct EndpointView {
    /// True if a frame has arrived.
    pub(crate) has_frame: bool,
    /// True if a blocked frame would go out now.
    pub(crate) can_resume: bool,
    /// Claims of the other end.
    pub(crate) theirs: Claims,
    /// Violation of the protocol by the other end.
    pub(crate) error: Option<ProtocolError>,
}

impl Endpoint {
    pub(crate) const fn new(notifier: Notifier) -> Self {
        const NOTHING: Claims = Claims { closed: false, expected: 0, handed: 0 };
        Self {
            notifier,
            peer: None,
            out: SendWindow::starting_at(0, 0),
            into: ReceiveWindow::starting_at(MAX_WINDOW, 0),
            frames: VecDeque::new(),
            armed: false,
            news: false,
            blocked: None,
            overtaken: 0,
            mine: NOTHING,
            claims_sent: true,
            theirs: NOTHING,
            error: None,
            abandoned: false,
        }
    }

    /// Sets the address of the other end, and the windows of both directions.
    pub(crate) const fn connect(&mut self, peer: PeerAddress, out: u16, into: u16) {
        self.peer = Some(peer);
        self.out = SendWindow::starting_at(out, 0);
        self.into.set_length(into);
    }

    pub(crate) fn notifier(&self) -> Notifier {
        self.notifier.clone()
    }

    pub(crate) const fn peer(&self) -> Option<PeerAddress> {
        self.peer
    }

    /// Takes a frame from a core, or notes the violation in it.
    pub(crate) fn deliver(&mut self, from: Core, frame: &[u32]) {
        if self.abandoned || self.error.is_some() {
            return;
        }
        self.news = true;
        self.error = self.accept(from, frame).err();
    }

    fn accept(&mut self, from: Core, frame: &[u32]) -> Result<(), ProtocolError> {
        if self.peer.is_some_and(|peer| peer.core != from) {
            return Err(ProtocolError::Frame("a frame comes from another core than its channel"));
        }
        let &[head, ref payload @ ..] = frame else {
            return Err(ProtocolError::Frame("a frame has no head"));
        };
        if frame.len() > MAX_FRAME {
            return Err(ProtocolError::Frame("a frame is too long"));
        }
        if self.theirs.closed {
            return Err(ProtocolError::Frame("a frame comes after the last one"));
        }
        let head = FrameHeader::from_raw(head);
        self.out.acknowledge(head.ack())?;
        if head.kind() == FrameKind::Control {
            return self.take_claims(head.number(), payload);
        }
        self.into.arrive(frame.len())?;
        self.frames.push_back(frame.len() as u32);
        self.frames.extend(frame);
        Ok(())
    }

    fn take_claims(&mut self, flags: u16, payload: &[u32]) -> Result<(), ProtocolError> {
        if flags & !FrameHeader::CLOSED != 0 {
            return Err(ProtocolError::Frame("a control frame has unknown flags"));
        }
        match *payload {
            [] => {}
            [expected, handed] => (self.theirs.expected, self.theirs.handed) = (expected, handed),
            _ => return Err(ProtocolError::Frame("a control frame is of no known length")),
        }
        self.theirs.closed = flags & FrameHeader::CLOSED != 0;
        Ok(())
    }

    /// Takes the oldest frame. Returns the number of words of `into` that it fills.
    pub(crate) fn next_frame(&mut self, into: &mut [u32; MAX_FRAME]) -> Option<usize> {
        let length = self.frames.pop_front()? as usize;
        for (word, value) in into.iter_mut().zip(self.frames.drain(..length)) {
            *word = value;
        }
        self.into.consume(length);
        Some(length)
    }

    /// Returns the permitted length of a frame that should have `wanted` words; `None` if it has to
    /// wait.
    pub(crate) fn room(&mut self, wanted: usize, credit: CreditShare) -> Option<usize> {
        let room = self.fits(wanted, credit);
        if room.is_none() {
            self.blocked = Some(wanted);
        }
        room
    }

    fn fits(&self, wanted: usize, credit: CreditShare) -> Option<usize> {
        let room = self.out.room().min(credit.words);
        if room >= wanted {
            Some(wanted)
        } else if (credit.is_reduced || self.overtaken > 0) && room >= SHORT {
            Some(room)
        } else {
            None
        }
    }

    /// Notes that a frame of this end was sent.
    pub(crate) const fn sent(&mut self, words: usize) {
        self.out.send(words);
        (self.blocked, self.overtaken) = (None, 0);
    }

    /// Notes that another end had credit. Returns true if this end goes first from now on.
    pub(crate) fn overtake(&mut self) -> bool {
        // An end that waits for its own window is not overtaken.
        if self.blocked.is_some_and(|wanted| self.out.room() >= wanted) {
            self.overtaken = self.overtaken.saturating_add(1);
        }
        self.overtaken >= MAX_OVERTAKEN
    }

    /// Returns true if a frame of this end did not go out.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Changes the claims of this end. After the claim that this end is closed, nothing changes.
    pub(crate) fn update_claims(&mut self, change: impl FnOnce(&mut Claims)) {
        let before = self.mine;
        if before.closed {
            return;
        }
        change(&mut self.mine);
        self.claims_sent &= self.mine == before;
    }

    /// Returns the control frame that is due, if one is. After the frame in which this end closes,
    /// none is.
    pub(crate) fn control(&self) -> Option<FrameBuilder> {
        self.peer?;
        let is_ack_due = self.into.is_ack_due() && !self.mine.closed;
        if (self.claims_sent && !is_ack_due) || self.theirs.closed && self.abandoned {
            return None;
        }
        let flags = if self.mine.closed { FrameHeader::CLOSED } else { 0 };
        let mut frame = FrameBuilder::new(FrameKind::Control, flags);
        if self.mine.expected > 0 || self.mine.handed > 0 {
            frame.push(self.mine.expected);
            frame.push(self.mine.handed);
        }
        Some(frame)
    }

    /// Notes that the claims were sent.
    pub(crate) const fn note_claims_sent(&mut self) {
        self.claims_sent = true;
    }

    pub(crate) fn view(&self, credit: CreditShare) -> EndpointView {
        EndpointView {
            has_frame: !self.frames.is_empty(),
            can_resume: self.can_resume(credit),
            theirs: self.theirs,
            error: self.error.clone(),
        }
    }

    /// Returns true if a blocked frame would go out now. Nothing goes out to a closed end:
    /// otherwise an end that sleeps beside it would be woken for room again and again.
    fn can_resume(&self, credit: CreditShare) -> bool {
        let fits = |wanted| self.fits(wanted, credit).is_some();
        !self.theirs.closed && self.blocked.is_some_and(fits)
    }

    pub(crate) const fn arm(&mut self) {
        (self.armed, self.news) = (true, false);
    }

    pub(crate) const fn disarm(&mut self) {
        self.armed = false;
    }

    pub(crate) const fn is_armed(&self) -> bool {
        self.armed
    }

    /// Returns the notifier, once, if this end sleeps and something has happened, or `in_any_case`.
    pub(crate) fn wake(&mut self, credit: CreditShare, in_any_case: bool) -> Option<Notifier> {
        let wakes = self.armed && (in_any_case || self.news || self.can_resume(credit));
        self.armed &= !wakes;
        wakes.then(|| self.notifier.clone())
    }

    /// Closes this end, because its channel is gone.
    pub(crate) fn abandon(&mut self) {
        self.update_claims(|claims| claims.closed = true);
        self.abandoned = true;
        self.armed = false;
        self.blocked = None;
        self.frames = VecDeque::new();
    }

    /// Returns true if the end is no longer needed: the other end knows that it is closed, or
    /// cannot be reached.
    pub(crate) fn is_over(&self, has_failed: bool) -> bool {
        self.abandoned && (has_failed || self.control().is_none())
    }
}
