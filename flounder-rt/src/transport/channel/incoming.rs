//! The message that a channel is receiving: the memory for its words, and the limits on their number.

use core::fmt;

use crate::account::{Account, Charge, OverLimit, Resource};
use crate::cap::Cap;
use crate::message::Received;
use crate::pages;
use crate::peer::{self, Peer};
use crate::waitset::MAX_RUN;
use crate::wire::{LINE, Limits, MAX_CAPS, MessageLimit, RUNTIME_MESSAGE};

/// Number of words of the largest buffer that is kept for the next message: 64 KiB. A larger one is freed when no
/// large message has come for a while.
pub(crate) const KEPT_WORDS: usize = (64 << 10) / 8;

/// Maximum number of words of a message of the runtime, and of one with the text of a refusal.
const RUNTIME_WORDS: usize = LINE;
const REASON_WORDS: usize = 5 + 256 / 8;

/// Least number of words by which the charge of a message to its sender grows: 4 KiB.
const STEP: usize = (4 << 10) / 8;

/// The message that a channel is receiving, in private memory. The memory of a long message is
/// charged to the account of its sender.
#[derive(Debug)]
pub struct Incoming {
    limits: Limits,
    /// Length in words of the longest message that needs no further charge.
    paid: usize,
    /// The sender's account, if it has one.
    account: Option<Account>,
    /// Charge for `large`.
    memory: Option<Charge>,
    /// Charge for the capabilities of a message of which words are missing.
    held: Option<Charge>,
    number: u16,
    total: usize,
    have: usize,
    inline: [u64; LINE],
    large: Vec<u64>,
    caps: Vec<Cap>,
    cap_count: usize,
    /// Limits of a message of the runtime: one capability, with the offer of a pool, if the peer may make offers; more words if
    /// it may give reasons.
    runtime: MessageLimit,
    row: Row,
}

impl Incoming {
    /// Creates an empty message for an interface with these limits.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            paid: usize::MAX,
            account: None,
            memory: None,
            held: None,
            number: 0,
            total: 0,
            have: 0,
            inline: [0; LINE],
            large: Vec::new(),
            caps: Vec::new(),
            cap_count: 0,
            runtime: MessageLimit { words: RUNTIME_WORDS, caps: 0 },
            row: Row::EMPTY,
        }
    }

    /// Creates an empty message for an interface with these limits and a peer that has an account.
    #[must_use]
    pub fn charged(limits: Limits, account: Option<Account>) -> Self {
        let paid = if account.is_some() { LINE } else { usize::MAX };
        Self { paid, account, ..Self::new(limits) }
    }

    /// Creates an empty message for the same interface and peer.
    pub(crate) fn another(&self) -> Self {
        Self { runtime: self.runtime, ..Self::charged(self.limits, self.account.clone()) }
    }

    /// Returns the same message, whose sender may offer pools and give reasons if `peer` knows how to.
    pub(crate) fn sent_by(self, peer: &Peer) -> Self {
        let words = if peer.knows(peer::REASONS) { REASON_WORDS } else { RUNTIME_WORDS };
        let caps = usize::from(peer.knows(peer::BULK));
        Self { runtime: MessageLimit { words, caps }, ..self }
    }

    /// Starts a message of `words` words and `caps` capabilities, and drops the previous one.
    ///
    /// # Errors
    /// If the interface has no such message (`FLOUNDER_ERR_RX_INVALID_MSGNUM`), the message is longer than the interface
    /// allows, or this process would hold more memory for the sender than the sender's limit.
    #[inline]
    pub fn begin(&mut self, number: u16, words: usize, caps: usize) -> Result<(), ProtocolError> {
        let limit = if number == RUNTIME_MESSAGE {
            self.runtime
        } else {
            *self.limits.get(usize::from(number) - 1).ok_or(ProtocolError::Number(number))?
        };
        if words > limit.words {
            return Err(ProtocolError::Length { number, words, max: limit.words });
        }
        if caps > limit.caps || caps > MAX_CAPS {
            return Err(ProtocolError::CapCount { number, caps, max: limit.caps });
        }
        if words > self.paid {
            self.pay(words).map_err(ProtocolError::OverLimit)?;
        }
        (self.number, self.total, self.have, self.cap_count) = (number, words, 0, caps);
        self.large.clear();
        self.caps.clear();
        Ok(())
    }

    /// Charges the memory of a message of this many words to its sender.
    #[cold]
    fn pay(&mut self, words: usize) -> Result<(), OverLimit> {
        let Some(account) = &self.account else { return Ok(()) };
        let words = words.next_power_of_two().max(STEP);
        let bytes = 8 * words as u64;
        match &mut self.memory {
            Some(memory) => memory.resize(bytes)?,
            None => self.memory = Some(account.charge(Resource::Bytes, bytes)?),
        }
        self.paid = words;
        Ok(())
    }

    /// Returns true if message `number` of the interface may have this many words in one line and
    /// no capabilities, and no capability of the previous message is left.
    #[inline]
    #[must_use]
    pub fn may_be_whole(&self, number: u16, words: usize) -> bool {
        MayBeWhole(&self.limits).ask(number, words) && self.caps.is_empty()
    }

    /// Returns memory for seven words, which a driver fills before it calls
    /// [`put_whole`](Self::put_whole). Drops the previous message.
    #[inline]
    pub fn line(&mut self) -> &mut [u64; LINE] {
        &mut self.inline
    }

    /// Takes the first `words` words of [`line`](Self::line) for a message for which [`may_be_whole`](Self::may_be_whole).
    ///
    /// # Panics
    /// If there are more than seven.
    #[inline]
    pub fn put_whole(&mut self, number: u16, words: usize) {
        assert!(words <= LINE, "a line has seven words");
        (self.number, self.total, self.have, self.cap_count) = (number, words, words, 0);
    }

    /// Returns places for [`MAX_RUN`] whole messages, which a driver fills before it calls [`put_row`](Self::put_row), and
    /// what tells which messages may be among them. Returns no place while messages of the last row are left.
    #[inline]
    pub fn row(&mut self) -> (&mut [LineMessage], MayBeWhole<'_>) {
        let row = &mut self.row;
        let free = if row.is_empty() { row.places() } else { &mut [] };
        (free, MayBeWhole(&self.limits))
    }

    /// Takes the first `messages` messages of [`row`](Self::row). They come before everything that is received later.
    ///
    /// # Panics
    /// If there are not as many places.
    #[inline]
    pub fn put_row(&mut self, messages: usize) {
        assert!(self.row.is_empty() && messages <= self.row.places().len(), "the row has no room");
        (self.row.next, self.row.end) = (0, messages);
    }

    /// Returns true if messages of a row are left.
    #[inline]
    pub(crate) fn has_row(&self) -> bool {
        !self.row.is_empty()
    }

    /// Returns the messages of the row that are left, at most `most`, and the place of their capabilities, of which there are
    /// none. They stay in the row until they are [taken](Self::taken).
    #[inline]
    pub(crate) fn lend_row(&mut self, most: usize) -> (LentRow<'_>, &mut Vec<Cap>) {
        let Row { places, next, end } = &self.row;
        let left = places.as_deref().map_or(&[][..], |places| &places[*next..*end]);
        self.caps.clear();
        (LentRow { messages: &left[..left.len().min(most)], next: 0 }, &mut self.caps)
    }

    /// Takes messages out of the row.
    #[inline]
    pub(crate) fn taken(&mut self, messages: usize) {
        self.row.next += messages;
    }

    /// Takes the next message of the row as if it had been received alone. Returns false if there is none.
    #[inline]
    pub(crate) fn take_next(&mut self) -> bool {
        let Some(message) = self.row.take() else { return false };
        self.inline = message.payload;
        let (number, words) = (message.number(), message.words().len());
        self.put_whole(number, words);
        true
    }

    /// Appends words to the message that was started.
    ///
    /// # Errors
    /// If there are more than were announced.
    #[inline]
    pub fn push(&mut self, words: &[u64]) -> Result<(), ProtocolError> {
        if words.len() > self.total - self.have {
            return Err(ProtocolError::Overrun { number: self.number });
        }
        if self.total <= LINE {
            self.inline[self.have..self.have + words.len()].copy_from_slice(words);
        } else if words.len() <= LINE {
            // One by one, as in `copy_line`.
            self.large.reserve(words.len());
            words.iter().for_each(|word| self.large.push(*word));
        } else {
            self.large.extend_from_slice(words);
        }
        self.have += words.len();
        Ok(())
    }

    /// Appends lines of seven words each to the message that was started, which has more words than
    /// that.
    ///
    /// # Errors
    /// If there are more than were announced.
    #[inline]
    pub fn push_lines(
        &mut self,
        lines: usize,
        mut line: impl FnMut(usize) -> [u64; LINE],
    ) -> Result<(), ProtocolError> {
        let words = lines * LINE;
        if words > self.total - self.have || self.total <= LINE {
            return Err(ProtocolError::Overrun { number: self.number });
        }
        self.large.reserve(words);
        (0..lines).for_each(|at| self.large.extend_from_slice(&line(at)));
        self.have += words;
        Ok(())
    }

    /// Sets the capabilities of the message. They are charged to its sender while words are
    /// missing.
    ///
    /// # Errors
    /// If there are not as many as were announced, or this process would hold more descriptors for the sender than the
    /// sender's limit.
    pub fn put_caps(&mut self, caps: Vec<Cap>) -> Result<(), ProtocolError> {
        if caps.len() != self.cap_count {
            return Err(ProtocolError::CapsMissing {
                number: self.number,
                need: self.cap_count,
                have: caps.len(),
            });
        }
        if self.missing() > 0
            && let Some(account) = &self.account
        {
            let held = account.charge(Resource::Descriptors, caps.len() as u64);
            self.held = Some(held.map_err(ProtocolError::OverLimit)?);
        }
        self.caps = caps;
        Ok(())
    }

    /// Returns the number of the message that was started.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Returns the number of words that were announced and have not been appended.
    #[inline]
    #[must_use]
    pub const fn missing(&self) -> usize {
        self.total - self.have
    }

    /// Returns the number of capabilities that were announced.
    #[inline]
    #[must_use]
    pub const fn cap_count(&self) -> usize {
        self.cap_count
    }

    /// Returns the words that have been appended.
    #[inline]
    #[must_use]
    pub fn words(&self) -> &[u64] {
        if self.total <= LINE { &self.inline[..self.have] } else { &self.large }
    }

    /// Returns the message, as it is delivered to a handler.
    #[inline]
    pub(crate) fn lend(&mut self) -> Received<'_> {
        let words = if self.total <= LINE { &self.inline[..self.have] } else { &self.large[..] };
        Received { number: self.number, words, caps: &mut self.caps }
    }

    /// Returns true if the message holds more memory than is kept for good.
    #[inline]
    pub(crate) fn is_large(&self) -> bool {
        self.large.capacity() > KEPT_WORDS
    }

    /// Drops the words of a message that was delivered, and keeps their memory.
    pub(crate) fn done(&mut self) {
        (self.total, self.have) = (0, 0);
        self.large.clear();
        self.held = None;
    }

    /// Frees the memory of long messages, unless it holds words of one. Returns true if it is
    /// freed.
    pub(crate) fn trim(&mut self) -> bool {
        if self.row.is_empty() {
            self.row = Row::EMPTY;
        }
        if self.large.is_empty() {
            pages::free(core::mem::take(&mut self.large));
            if self.memory.take().is_some() {
                self.paid = LINE;
            }
        }
        !self.is_large()
    }

    /// Removes the capabilities and returns them.
    #[inline]
    #[must_use]
    pub fn take_caps(&mut self) -> Vec<Cap> {
        self.held = None;
        core::mem::take(&mut self.caps)
    }
}

/// A message of one line without capabilities.
#[derive(Debug, Clone, Copy)]
pub struct LineMessage {
    payload: [u64; LINE],
    /// Number of the message, above three bits for the number of its words.
    head: u64,
}

impl LineMessage {
    const NONE: Self = Self { payload: [0; LINE], head: 0 };

    /// Returns the place for the words.
    #[inline(always)]
    pub fn payload(&mut self) -> &mut [u64; LINE] {
        &mut self.payload
    }

    /// Makes this message `number`, with the first `words` words of the payload: at most seven, those above are ignored.
    #[inline(always)]
    pub fn set(&mut self, number: u16, words: usize) {
        self.head = u64::from(number) << 3 | (words as u64 & LINE as u64);
    }

    #[inline(always)]
    pub(crate) const fn number(&self) -> u16 {
        (self.head >> 3) as u16
    }

    #[inline(always)]
    pub(crate) fn words(&self) -> &[u64] {
        &self.payload[..self.head as usize & LINE]
    }
}

/// Messages that were received together and are delivered one after the other. None has capabilities.
pub(crate) struct LentRow<'a> {
    messages: &'a [LineMessage],
    next: usize,
}

impl<'a> LentRow<'a> {
    /// Returns the next message.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<&'a LineMessage> {
        let message = self.messages.get(self.next)?;
        self.next += 1;
        Some(message)
    }

    /// Returns how many messages were returned.
    pub(crate) const fn taken(&self) -> usize {
        self.next
    }

    /// Returns the number of the message that was returned last, if there is one.
    pub(crate) fn last_number(&self) -> Option<u16> {
        self.messages[..self.next].last().map(LineMessage::number)
    }
}

/// Tells which messages may be received together.
#[derive(Debug, Clone, Copy)]
pub struct MayBeWhole<'a>(&'a Limits);

impl MayBeWhole<'_> {
    /// Returns true if message `number` of the interface may have this many words in one line and no capabilities.
    #[inline(always)]
    #[must_use]
    pub fn ask(self, number: u16, words: usize) -> bool {
        let limit = self.0.get(usize::from(number).wrapping_sub(1));
        limit.is_some_and(|limit| words <= limit.words)
    }
}

/// Messages that were received together, and have not been delivered. The memory is allocated when a stream is first seen.
#[derive(Debug)]
struct Row {
    places: Option<Box<[LineMessage; MAX_RUN]>>,
    next: usize,
    end: usize,
}

impl Row {
    const EMPTY: Self = Self { places: None, next: 0, end: 0 };

    #[inline(always)]
    const fn is_empty(&self) -> bool {
        self.next == self.end
    }

    #[inline(always)]
    fn places(&mut self) -> &mut [LineMessage] {
        &mut self.places.get_or_insert_with(|| Box::new([LineMessage::NONE; MAX_RUN]))[..]
    }

    #[inline(always)]
    fn take(&mut self) -> Option<&LineMessage> {
        if self.is_empty() {
            return None;
        }
        let message = self.places.as_ref()?.get(self.next)?;
        self.next += 1;
        Some(message)
    }
}

/// A violation of the protocol, which no correct peer commits.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A message number that the interface does not have. `FLOUNDER_ERR_RX_INVALID_MSGNUM`
    Number(u16),
    /// A message longer than the interface allows. `FLOUNDER_ERR_RX_INVALID_LENGTH`
    Length {
        /// Message number.
        number: u16,
        /// Its announced length in words.
        words: usize,
        /// Maximum of the interface.
        max: usize,
    },
    /// More words than were announced.
    Overrun {
        /// Message number.
        number: u16,
    },
    /// More capabilities than the interface allows.
    CapCount {
        /// Message number.
        number: u16,
        /// Number that was announced.
        caps: usize,
        /// Maximum of the interface.
        max: usize,
    },
    /// A message that arrived without its capabilities.
    CapsMissing {
        /// Message number.
        number: u16,
        /// Number that was announced.
        need: usize,
        /// Number that arrived.
        have: usize,
    },
    /// A frame that is not allowed at this point. `FLOUNDER_ERR_INVALID_STATE`
    Frame(&'static str),
    /// A position claimed by the peer that goes back, or beyond what was sent.
    Position {
        /// The claim.
        claim: u64,
        /// The largest claim that can be true.
        max: u64,
    },
    /// A message, from the peer or to it, for which this process would hold more for the peer than the peer's limit.
    OverLimit(OverLimit),
}

crate::debug_as_chain!(ProtocolError);

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "the interface has no message {number}"),
            Self::Length { number, words, max } => {
                write!(f, "message {number} has {words} words where at most {max} are allowed")
            }
            Self::Overrun { number } => write!(f, "message {number} is longer than announced"),
            Self::CapCount { number, caps, max } => {
                write!(
                    f,
                    "message {number} has {caps} capabilities where at most {max} are allowed"
                )
            }
            Self::CapsMissing { number, need, have } => {
                write!(f, "message {number} came with {have} of its {need} capabilities")
            }
            Self::Frame(what) => f.write_str(what),
            Self::Position { claim, max } => {
                write!(f, "position {claim} is claimed where at most {max} is true")
            }
            Self::OverLimit(_) => f.write_str("this process would hold too much for it"),
        }
    }
}

impl std::error::Error for ProtocolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OverLimit(limit) => Some(limit),
            _ => None,
        }
    }
}
