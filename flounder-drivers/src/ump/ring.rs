//! Two rings, one in each direction, as one end has them: lines in, lines out, positions, and who is asleep.
//!
//! This end writes the memory `mine` and only reads the memory `theirs`; the other end has them the other way round.
//!
//! ```text
//!             word 0           1          2         3 .. 7
//! line 0     | magic, version | lines    | state   | zero             |   control line: seldom written
//! line 1     | ack            | expected | handed  | zero             |   flow line: written every quarter of a ring
//! line 2     | payload                                      | header  |   data line 0
//! ...
//! ```
//!
//! # Invariants
//! * Positions are private. From the peer come lines (a tag says which), and claims, each checked when it is used: an
//!   `ack` never goes back and never beyond what was sent; nor does `expected`.
//! * A line is free for the writer once the peer's `ack` has passed the line that was in its place a lap before.
//! * A reader owes at most a quarter of a ring in acks. So a writer that sees no free line has at least three quarters of
//!   a ring under way, the reading of which brings an ack: no line is kept in reserve and no ack is ever forced.

use flounder_rt::channel::ProtocolError;

use crate::caps::CAPS_AHEAD;
use crate::mem::{LineMemory, OwnMemory, PAYLOAD_WORDS, Payload, tag};
use crate::sync::{Ordering, compiler_fence, fence};
use crate::ump::line::{HEADER, LineInfo, header};

const CONTROL: usize = 0;
const FLOW: usize = 1;
/// The first line that carries data.
pub const DATA: usize = 2;

/// Word of the control line that names format and version.
const MAGIC: usize = 0;
/// Word of the control line with the number of lines.
const LINES: usize = 1;
/// Word of the control line with an [`EndState`].
const STATE: usize = 2;
/// Word of the flow line: the lines that its writer has read.
const ACK: usize = 0;
/// Word of the flow line: the messages with capabilities that its writer has seen the first line of.
const EXPECTED: usize = 1;
/// Word of the flow line: the messages with capabilities of which its writer has handed them to the brokers.
const HANDED: usize = 2;

/// "flounder" without its vowels, and the version of the format in the last byte.
pub const MAGIC_1: u64 = u64::from_be_bytes(*b"flndr_u\x01");

/// What an end says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndState(u64);

impl EndState {
    const ASLEEP: u64 = 1;
    const FENCE: u64 = 2;
    const BLOCKED: u64 = 4;
    const CLOSED: u64 = 8;
    /// How often it armed, in the bits above: a doorbell rings once for each time.
    const EPOCH: u64 = 16;

    /// Whether the end is closed.
    #[inline]
    #[must_use]
    pub const fn is_closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }

    /// How often the end has armed.
    const fn epoch(self) -> u64 {
        self.0 / Self::EPOCH
    }

    /// Whether nothing about it concerns a sender.
    #[inline]
    const fn is_quiet(self) -> bool {
        self.0 & (Self::ASLEEP | Self::FENCE | Self::CLOSED) == 0
    }
}

/// What a sleeper may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeCause {
    /// A line, or the end of the channel.
    Line,
    /// Room for a line, or leave to hand over capabilities.
    Room,
}

/// Both rings, from one end.
#[derive(Debug)]
pub struct Ring<W, R> {
    mine: W,
    theirs: R,
    /// Whether this end fences between publishing and looking for a sleeper.
    fences: bool,
    tx: SendPosition,
    rx: ReceivePosition,
    /// This end's state, as published.
    state: u64,
    /// The state of the peer for which the doorbell was rung last.
    rung: EndState,
    /// How often the peer had armed when this end asked it for fences: until it has armed once more, it may send without.
    unsure: Option<u64>,
}

#[derive(Debug)]
struct SendPosition {
    /// Sequence number of the next line.
    next: u64,
    /// Where it goes: `DATA <= line < lines`.
    line: usize,
    /// `next <= limit`, and `limit` is the last checked ack plus `capacity`.
    limit: u64,
    capacity: u64,
    /// The last checked claim of the peer about capabilities; never more than `caps_sent`.
    caps_ready: u64,
}

#[derive(Debug)]
struct ReceivePosition {
    /// Sequence number of the next line.
    next: u64,
    /// Where it comes: `DATA <= line < lines`.
    line: usize,
    /// What was last acknowledged: `acked <= next`.
    acked: u64,
    /// How many lines are read between two acks; at least 1.
    quarter: u64,
}

impl<W: OwnMemory, R: LineMemory> Ring<W, R> {
    /// Over these memories, both of at least three lines. `fences` says whether this end fences when it sends, because it
    /// cannot rely on the sleeper's barrier.
    pub fn new(mine: W, theirs: R, fences: bool) -> Self {
        Self::starting_at(mine, theirs, fences, 0)
    }

    /// With the sequence numbers of both directions starting at `start`, for tests of their wrap-around.
    pub fn starting_at(mine: W, theirs: R, fences: bool, start: u64) -> Self {
        let capacity = data_lines(&mine) as u64;
        let quarter = (data_lines(&theirs) as u64 / 4).max(1);
        initialize(&mine);
        mine.store(FLOW, ACK, start, Ordering::Relaxed);
        let state = if fences { EndState::FENCE } else { 0 };
        mine.store(CONTROL, STATE, state, Ordering::Relaxed);
        Self {
            tx: SendPosition {
                next: start,
                line: DATA,
                limit: start.wrapping_add(capacity),
                capacity,
                caps_ready: 0,
            },
            rx: ReceivePosition { next: start, line: DATA, acked: start, quarter },
            mine,
            theirs,
            fences,
            state,
            rung: EndState(0),
            unsure: None,
        }
    }

    /// Whether the peer's memory says that it is one, of the size that it has.
    ///
    /// # Errors
    /// With what it is instead.
    pub fn check(theirs: &R) -> Result<(), &'static str> {
        if theirs.load(CONTROL, MAGIC, Ordering::Relaxed) != MAGIC_1 {
            return Err("the region is not a ring of this version");
        }
        if theirs.load(CONTROL, LINES, Ordering::Relaxed) != theirs.lines() as u64 {
            return Err("the ring does not fill its region");
        }
        Ok(())
    }

    /// How many lines are free, as far as is known without a look at the peer's memory.
    #[inline]
    pub fn free(&self) -> usize {
        self.tx.limit.wrapping_sub(self.tx.next) as usize
    }

    /// Whether a line is free, as far as is known without a look at the peer's memory.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.tx.next != self.tx.limit
    }

    /// Whether a line is free.
    ///
    /// # Errors
    /// If the peer claims to have read what was not sent, or less than before.
    #[inline]
    pub fn room(&mut self) -> Result<bool, ProtocolError> {
        if self.has_room() { Ok(true) } else { self.look_for_room() }
    }

    #[cold]
    fn look_for_room(&mut self) -> Result<bool, ProtocolError> {
        // SYNC ack: Acquire, pairs with the Release in `acknowledge`: the peer's loads of the lines come before our stores.
        let claim = self.theirs.load(FLOW, ACK, Ordering::Acquire);
        let acked = self.tx.limit.wrapping_sub(self.tx.capacity);
        if claim.wrapping_sub(acked) > self.tx.next.wrapping_sub(acked) {
            return Err(ProtocolError::Position { claim, max: self.tx.next });
        }
        self.tx.limit = claim.wrapping_add(self.tx.capacity);
        Ok(self.has_room())
    }

    /// Publishes a line with these words of payload, at most seven, and zeroes after them.
    ///
    /// # Panics
    /// If no line is free, of which `room` tells, or there are more words.
    // Where it is called on the quick way of sending, the call would cost a sixth of that.
    #[inline(always)]
    pub fn publish(&mut self, payload: &[u64], info: LineInfo) {
        assert!(self.has_room(), "a line is published only into room");
        let line = self.tx.line;
        self.store(line, header(self.tx.next, info), |mine| mine.store_words(line, payload));
        self.tx.next = self.tx.next.wrapping_add(1);
        self.tx.line = following(line, self.mine.lines());
    }

    /// Publishes full lines, one after the other, each with this info.
    ///
    /// # Panics
    /// If there are more than are [free](Self::free).
    #[inline]
    pub fn publish_lines(&mut self, payloads: &[[u8; PAYLOAD_WORDS * 8]], info: LineInfo) {
        assert!(payloads.len() <= self.free(), "lines are published only into room");
        // Copies, because every store of a line may be to memory that anything is in, for all the compiler knows.
        let (mut next, mut line) = (self.tx.next, self.tx.line);
        for payload in payloads {
            let (words, _) = payload.as_chunks();
            let words = core::array::from_fn(|word| u64::from_ne_bytes(words[word]));
            self.store(line, header(next, info), |mine| mine.store_payload(line, &words));
            next = next.wrapping_add(1);
            line = following(line, self.mine.lines());
        }
        (self.tx.next, self.tx.line) = (next, line);
    }

    /// Stores a line: what `store` stores, then the header.
    #[inline(always)]
    fn store(&self, line: usize, header: u64, store: impl FnOnce(&W)) {
        if cfg!(flounder_bug = "header_first") {
            self.mine.store(line, HEADER, header, Ordering::Release);
        }
        store(&self.mine);
        // SYNC line-publish: Release, pairs with the Acquire in `info` and `lines`.
        let order = if cfg!(flounder_bug = "relaxed_header") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        self.mine.store(line, HEADER, header, order);
    }

    /// Looks at the peer after publishing: its state, or `None` if nothing there concerns a sender.
    #[inline]
    pub fn look(&self) -> Option<EndState> {
        // SYNC sleep: the loads of `state` must come after the stores before this call, for all to see. Either this end
        // fences, or the sleeper has the kernel run the barrier here; for that the compiler must keep the order.
        compiler_fence(Ordering::SeqCst);
        if self.fences && !cfg!(flounder_bug = "no_fence") {
            fence(Ordering::SeqCst);
        }
        let state = self.peer_state(Ordering::Relaxed);
        if state.is_quiet() { None } else { Some(self.look_twice(state)) }
    }

    /// If the peer cannot run the barrier, this end fences in its place.
    #[cold]
    fn look_twice(&self, state: EndState) -> EndState {
        if state.0 & EndState::FENCE == 0 || self.fences {
            return state;
        }
        fence(Ordering::SeqCst);
        self.peer_state(Ordering::Relaxed)
    }

    /// Whether the doorbell must be rung for a peer in this state. It is, once, each time that the peer arms.
    pub fn must_ring(&self, state: EndState, cause: WakeCause) -> bool {
        state.0 & EndState::ASLEEP != 0
            && state != self.rung
            && (cause == WakeCause::Line || state.0 & EndState::BLOCKED != 0)
    }

    /// Notes that it was rung.
    pub fn note_rung(&mut self, state: EndState) {
        self.rung = state;
    }

    /// The state of the peer.
    #[inline]
    pub fn peer_state(&self, order: Ordering) -> EndState {
        EndState(self.theirs.load(CONTROL, STATE, order))
    }

    /// Whether there is a line to take.
    #[inline]
    pub fn has_line(&self) -> bool {
        // No line is read on the strength of this: a header is loaded again, with Acquire, to take it.
        (self.theirs.load(self.rx.line, HEADER, Ordering::Relaxed) >> 32) as u32
            == tag(self.rx.next)
    }

    /// Takes a line, out of the peer's memory into private memory, unchecked.
    #[inline]
    pub fn take(&mut self) -> Option<(LineInfo, Payload)> {
        let mut payload = [0; 7];
        let info = self.info()?;
        if cfg!(flounder_bug = "early_ack") {
            self.mine.store(FLOW, ACK, self.rx.next.wrapping_add(1), Ordering::Release);
        }
        self.copy(&mut payload, &[0; 7]);
        self.taken(1);
        Some((info, payload))
    }

    /// How many of the next lines are there and have this info, and need no ack between them; so many at most.
    #[inline]
    pub fn lines(&self, info: LineInfo, most: usize) -> usize {
        let unacknowledged = self.rx.next.wrapping_sub(self.rx.acked);
        let until_ack = usize::try_from(self.rx.quarter - unacknowledged).unwrap_or(usize::MAX);
        let (mut line, mut found) = (self.rx.line, 0);
        while found < most.min(until_ack) {
            // SYNC line-publish: Acquire, pairs with the Release in `store`; the payloads are loaded after.
            let there = self.theirs.load(line, HEADER, Ordering::Acquire);
            if there != header(self.rx.next.wrapping_add(found as u64), info) {
                break;
            }
            found += 1;
            line = following(line, self.theirs.lines());
        }
        found
    }

    /// The payload of a line that [`lines`](Self::lines) has found: the next one, or so many behind it.
    #[inline]
    pub fn line(&self, behind: usize) -> Payload {
        let (mut payload, lines) = ([0; PAYLOAD_WORDS], self.theirs.lines());
        let line = self.rx.line + behind;
        let line = if line < lines { line } else { line - lines + DATA };
        self.theirs.payload(line, &mut payload, &[0; PAYLOAD_WORDS]);
        payload
    }

    /// What the next line says about its message, if there is a next line; unchecked.
    #[inline]
    pub fn info(&self) -> Option<LineInfo> {
        // SYNC line-publish: Acquire, pairs with the Release in `store`.
        let header = self.theirs.load(self.rx.line, HEADER, Ordering::Acquire);
        ((header >> 32) as u32 == tag(self.rx.next)).then_some(LineInfo::from_raw(header as u32))
    }

    /// Copies the payload of the next line, of which [`info`](Self::info) has been seen, and gives what it has of the bits of
    /// `mask`.
    #[inline]
    pub fn copy(&self, into: &mut Payload, mask: &Payload) -> u64 {
        self.theirs.payload(self.rx.line, into, mask)
    }

    /// The next lines, so many, have been copied.
    #[inline]
    pub fn taken(&mut self, lines: usize) {
        self.rx.next = self.rx.next.wrapping_add(lines as u64);
        let (line, end) = (self.rx.line + lines, self.theirs.lines());
        self.rx.line = if line < end { line } else { line - end + DATA };
    }

    /// Whether it is time to acknowledge.
    #[inline]
    pub fn ack_is_due(&self) -> bool {
        self.rx.next.wrapping_sub(self.rx.acked) >= self.rx.quarter
    }

    /// Tells the peer what was read.
    pub fn acknowledge(&mut self) {
        self.rx.acked = self.rx.next;
        // SYNC ack: Release, pairs with the Acquire in `look_for_room`: our loads of the lines come before.
        self.mine.store(FLOW, ACK, self.rx.acked, Ordering::Release);
    }

    /// Tells the peer how many messages with capabilities have begun to come in.
    pub fn expect_caps(&self, count: u64) {
        // SYNC caps: Release for the order of this end's claims among each other; no other memory hangs on it.
        self.mine.store(FLOW, EXPECTED, count, Ordering::Release);
    }

    /// Whether the capabilities of our message number `sent` with some, which is the last, may be handed over: the peer has
    /// seen the first line of the one before, and so has those of the one before that.
    ///
    /// # Errors
    /// If it claims to have seen more than that, or less than before.
    pub fn caps_expected(&mut self, sent: u64) -> Result<bool, ProtocolError> {
        let claim = self.theirs.load(FLOW, EXPECTED, Ordering::Acquire);
        if claim < self.tx.caps_ready || claim > sent {
            return Err(ProtocolError::Position { claim, max: sent });
        }
        self.tx.caps_ready = claim;
        Ok(claim + CAPS_AHEAD >= sent)
    }

    /// Notes that the capabilities of our message number `count` with some are with the brokers.
    pub fn handed_over(&self, count: u64) {
        // SYNC close: ordered by the Release of the state, if this end closes after.
        self.mine.store(FLOW, HANDED, count, Ordering::Release);
    }

    /// Whether the capabilities of the peer's message number `count` with some are with the brokers, so it says.
    pub fn is_handed_over(&self, count: u64) -> bool {
        self.theirs.load(FLOW, HANDED, Ordering::Relaxed) >= count
    }

    /// Asks the peer to fence when it sends from now on, because the sleeper's barrier has been refused, and fences as well.
    /// Returns false if that was asked for before.
    ///
    /// The peer may yet send a line without a fence, having loaded the state of this end before: [`is_unsure`].
    ///
    /// [`is_unsure`]: Self::is_unsure
    #[cold]
    #[must_use]
    pub fn ask_for_fences(&mut self) -> bool {
        if self.state & EndState::FENCE != 0 {
            return false;
        }
        self.fences = true;
        self.set_state(self.state | EndState::FENCE);
        // SYNC fences: with the barrier that follows when the peer arms. If the state loaded here is not that of the peer's
        // next sleep, whatever the peer loads in and after that sleep is as new as the store above.
        fence(Ordering::SeqCst);
        self.unsure = Some(self.peer_state(Ordering::Relaxed).epoch());
        true
    }

    /// Returns true as long as the peer may send a line without a fence that it was asked for. Before a barrier only: the
    /// look that follows it finds the lines that were sent that way.
    #[must_use]
    pub fn is_unsure(&mut self) -> bool {
        let Some(epoch) = self.unsure else { return false };
        if cfg!(flounder_bug = "sure_at_once") {
            self.unsure = None;
            return false;
        }
        // SYNC fences: Acquire, pairs with the Release in `set_state`: lines published before the peer armed are visible.
        let peer = self.peer_state(Ordering::Acquire);
        if peer.epoch() != epoch {
            self.unsure = None;
        }
        self.unsure.is_some()
    }

    /// Publishes that this end sleeps from now on. A full barrier must follow, and then a last look at the ring.
    pub fn arm(&mut self, blocked: bool) {
        let epoch = (self.state & !(EndState::EPOCH - 1)).wrapping_add(EndState::EPOCH);
        let kept = self.state & (EndState::FENCE | EndState::CLOSED);
        self.set_state(
            epoch | kept | EndState::ASLEEP | if blocked { EndState::BLOCKED } else { 0 },
        );
    }

    /// Publishes that this end is awake.
    pub fn disarm(&mut self) {
        self.set_state(self.state & !(EndState::ASLEEP | EndState::BLOCKED));
    }

    /// Publishes that this end sends nothing any more.
    pub fn close(&mut self) {
        self.set_state(self.state | EndState::CLOSED);
    }

    fn set_state(&mut self, state: u64) {
        self.state = state;
        // SYNC close: Release, pairs with the Acquire load of a receiver that finds no line: the lines come before.
        self.mine.store(CONTROL, STATE, state, Ordering::Release);
    }
}

/// Writes into a memory of zeroes what it is.
pub fn initialize(mine: &impl OwnMemory) {
    // SYNC setup: whoever hands a memory to the other end orders all that was stored before.
    mine.store(CONTROL, MAGIC, MAGIC_1, Ordering::Relaxed);
    mine.store(CONTROL, LINES, mine.lines() as u64, Ordering::Relaxed);
}

fn data_lines(memory: &impl LineMemory) -> usize {
    let lines = memory.lines();
    assert!(lines > DATA, "a ring has a line of data at least");
    lines - DATA
}

#[inline]
fn following(line: usize, lines: usize) -> usize {
    if line + 1 == lines { DATA } else { line + 1 }
}
