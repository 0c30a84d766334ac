//! One end's view of the two rings of a channel: lines in, lines out, positions, and sleep states.
//!
//! This end writes the memory `mine` and only reads the memory `theirs`; the other end has them the other way round.
//!
//! ```text
//!             word 0           1          2         3 .. 7
//! line 0     | magic, version | lines    | state   | processor, zero  |   control line: seldom written
//! line 1     | ack            | expected | handed  | zero             |   flow line: written every quarter of a ring
//! line 2     | payload                                      | header  |   data line 0
//! ...
//! ```
//!
//! # Invariants
//! * Positions are private. The peer writes lines (each tagged with its number) and claims. A claim is checked when it is
//!   used: `ack` and `expected` never go back and never beyond what was sent.
//! * A line is free for the writer once the peer's `ack` has passed the line that was in its place a lap before.
//! * A reader owes at most a quarter of a ring in acks. So a writer that sees no free line has at least three quarters of
//!   a ring under way, the reading of which brings an ack: no line is kept in reserve and no ack is ever forced.

use flounder_rt::channel::{LineMessage, MayBeWhole, ProtocolError};

use crate::assembler::PeerEnd;
use crate::caps::CAPS_AHEAD;
use crate::mem::{Line, LineMemory, OwnLine, OwnMemory, PAYLOAD_WORDS, Payload, prefetch, tag};
use crate::sync::{Ordering, compiler_fence, fence, planted};
use crate::ump::line::{HEADER, LineInfo, header};

const CONTROL: usize = 0;
const FLOW: usize = 1;
/// Index of the first line that carries data.
pub const DATA: usize = 2;

/// Word of the control line that names format and version.
const MAGIC: usize = 0;
/// Word of the control line with the number of lines.
const LINES: usize = 1;
/// Word of the control line with an [`EndState`].
const STATE: usize = 2;
/// Word of the control line with the number, plus 1, of the processor on which its writer last armed or rang; 0 at first.
const PROCESSOR: usize = 3;
/// Word of the flow line: the number of lines that its writer has read.
const ACK: usize = 0;
/// Word of the flow line: the number of messages with capabilities of which its writer has read the
/// first line.
const EXPECTED: usize = 1;
/// Word of the flow line: the number of messages with capabilities that its writer has handed to
/// the brokers.
const HANDED: usize = 2;

/// How far ahead a reader that has seen a stream fetches lines, where that pays, and how far a writer in one:
/// `docs/performance.md`.
const READ_AHEAD: usize = 6;
const WRITE_AHEAD: usize = 8;

/// Lines sent without an answer that make a stream.
const STREAM: u64 = 4;

/// "flounder" without its vowels, and the version of the format in the last byte.
pub const MAGIC_1: u64 = u64::from_be_bytes(*b"flndr_u\x01");

/// State that an end publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndState(u64);

impl EndState {
    const ASLEEP: u64 = 1;
    const FENCE: u64 = 2;
    const BLOCKED: u64 = 4;
    const CLOSED: u64 = 8;
    /// Unit of the counter of arms, in the bits above: a doorbell rings once for each arm.
    const EPOCH: u64 = 16;

    /// Returns true if the end is closed.
    #[inline]
    #[must_use]
    pub const fn is_closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }

    /// Returns the number of times that the end has armed.
    const fn epoch(self) -> u64 {
        self.0 / Self::EPOCH
    }

    /// Returns true if the state requires nothing of a sender.
    #[inline]
    const fn is_quiet(self) -> bool {
        self.0 & (Self::ASLEEP | Self::FENCE | Self::CLOSED) == 0
    }
}

/// What a sleeping end may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeCause {
    /// A line, or the end of the channel.
    Line,
    /// Room for a line, or permission to hand over capabilities.
    Room,
}

/// Both rings of a channel, from one end.
#[derive(Debug)]
pub struct Ring<W, R> {
    mine: W,
    theirs: R,
    /// True if this end fences between publishing and the look at the sleep state.
    fences: bool,
    tx: SendPosition,
    rx: ReceivePosition,
    /// State of this end, as published.
    state: u64,
    /// Processor of this end, as published.
    processor: u64,
    /// State of the peer for which the doorbell was rung last.
    rung: EndState,
    /// Number of the peer's arms when this end requested fences. Until the peer has armed once more,
    /// it may send without a fence.
    unsure: Option<u64>,
}

#[derive(Debug)]
struct SendPosition {
    /// Sequence number of the next line.
    next: u64,
    /// Its place: `DATA <= line < lines`.
    line: usize,
    /// Sequence number from which on what is sent is a stream: it is sent without an answer. Where the numbers wrap around,
    /// the lines of a lap are not fetched, or in vain.
    stream: u64,
    /// `next <= limit`, and `limit` is the last checked ack plus `capacity`.
    limit: u64,
    capacity: u64,
    /// The last checked claim of the peer about capabilities; never more than were sent.
    caps_ready: u64,
}

#[derive(Debug)]
struct ReceivePosition {
    /// Sequence number of the next line.
    next: u64,
    /// Its place: `DATA <= line < lines`.
    line: usize,
    /// Position of the last ack: `acked <= next`.
    acked: u64,
    /// Number of lines read between two acks; at least 1.
    quarter: u64,
    /// True if the lines of a row are fetched ahead.
    fetches: bool,
}

impl<W: OwnMemory, R: LineMemory> Ring<W, R> {
    /// Returns the ring over these memories, both of at least three lines. `fences` is true if this
    /// end fences when it sends, because it cannot rely on the barrier of the sleeper.
    pub fn new(mine: W, theirs: R, fences: bool) -> Self {
        Self::starting_at(mine, theirs, fences, 0)
    }

    /// Returns a ring with the sequence numbers of both directions starting at `start`, for tests
    /// of their wrap-around.
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
                stream: start.wrapping_add(STREAM),
                limit: start.wrapping_add(capacity),
                capacity,
                caps_ready: 0,
            },
            rx: ReceivePosition {
                next: start,
                line: DATA,
                acked: start,
                quarter,
                fetches: prefetch::pays_for_reading(),
            },
            mine,
            theirs,
            fences,
            state,
            processor: 0,
            rung: EndState(0),
            unsure: None,
        }
    }

    /// Checks that the peer's memory is a ring of its size.
    ///
    /// # Errors
    /// A description of the first check that fails.
    pub fn check(theirs: &R) -> Result<(), &'static str> {
        if theirs.load(CONTROL, MAGIC, Ordering::Relaxed) != MAGIC_1 {
            return Err("the region is not a ring of this version");
        }
        if theirs.load(CONTROL, LINES, Ordering::Relaxed) != theirs.lines() as u64 {
            return Err("the ring does not fill its region");
        }
        Ok(())
    }

    /// Returns the number of lines known to be free, without a look at the peer's memory.
    #[inline]
    pub fn free(&self) -> usize {
        self.tx.limit.wrapping_sub(self.tx.next) as usize
    }

    /// Returns true if a line is known to be free, without a look at the peer's memory.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.tx.next != self.tx.limit
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
    /// If no line is free (see [`PeerEnd::room`]), or there are more words.
    // Where it is called on the quick way of sending, the call would cost a sixth of that.
    #[inline(always)]
    pub fn publish(&mut self, payload: &[u64], info: LineInfo) {
        assert!(self.has_room(), "a line is published only into room");
        let line = self.tx.line;
        let mine = self.mine.own_line(line);
        if self.tx.next >= self.tx.stream {
            mine.will_write(WRITE_AHEAD);
        }
        store(&mine, header(self.tx.next, info), |mine| mine.store_words(payload));
        drop(mine);
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
            let mine = self.mine.own_line(line);
            store(&mine, header(next, info), |mine| mine.store_payload(&words));
            next = next.wrapping_add(1);
            line = following(line, self.mine.lines());
        }
        (self.tx.next, self.tx.line) = (next, line);
    }

    /// Loads the state of the peer after publishing. Returns `None` if it requires nothing of a
    /// sender.
    #[inline]
    pub fn look(&self) -> Option<EndState> {
        if self.is_peer_quiet() { None } else { Some(self.look_twice()) }
    }

    /// Loads the state of the peer after publishing. Returns true if it requires nothing of a sender; otherwise
    /// [`look_twice`](Self::look_twice) tells what.
    #[inline(always)]
    pub fn is_peer_quiet(&self) -> bool {
        // SYNC sleep: the loads of `state` must come after the stores before this call, for all to see. Either this end
        // fences, or the sleeper has the kernel run the barrier here; for that the compiler must keep the order.
        compiler_fence(Ordering::SeqCst);
        if self.fences && !planted("no_fence") {
            fence(Ordering::SeqCst);
        }
        self.peer_state(Ordering::Relaxed).is_quiet()
    }

    /// Looks at the state of the peer like [`look`](Self::look), then calls `wake`, which returns true if it wakes the peer in
    /// place of the doorbell.
    ///
    /// The state comes first: a sleep that begins after that load finds the lines. If it were loaded after `wake`, a peer
    /// that was awake could have taken what `wake` sent, and sleep only then; the next line would not ring for that sleep.
    pub fn look_and_wake(&mut self, wake: impl FnOnce(&mut Self) -> bool) -> Option<EndState> {
        let mut state = self.look();
        let is_woken = wake(self);
        if planted("late_look") {
            state = self.look();
        }
        if let Some(state) = state
            && is_woken
            && self.must_ring(state, WakeCause::Line)
        {
            self.note_rung(state);
        }
        state
    }

    /// Fences in place of a peer that cannot run the barrier, and loads its state again.
    #[cold]
    pub fn look_twice(&self) -> EndState {
        let state = self.peer_state(Ordering::Relaxed);
        if state.0 & EndState::FENCE == 0 || self.fences {
            return state;
        }
        fence(Ordering::SeqCst);
        self.peer_state(Ordering::Relaxed)
    }

    /// Returns true if the doorbell must be rung for a peer in this state: once for each arm.
    pub fn must_ring(&self, state: EndState, cause: WakeCause) -> bool {
        state.0 & EndState::ASLEEP != 0
            && state != self.rung
            && (cause == WakeCause::Line || state.0 & EndState::BLOCKED != 0)
    }

    /// Notes that the doorbell was rung for this state.
    pub fn note_rung(&mut self, state: EndState) {
        self.rung = state;
    }

    /// Returns the state of the peer.
    #[inline]
    pub fn peer_state(&self, order: Ordering) -> EndState {
        EndState(self.theirs.load(CONTROL, STATE, order))
    }

    /// Takes a line out of the peer's memory into private memory, unchecked.
    #[inline]
    pub fn take(&mut self) -> Option<(LineInfo, Payload)> {
        let mut payload = [0; PAYLOAD_WORDS];
        let (info, line) = self.next()?;
        if planted("early_ack") {
            self.mine.store(FLOW, ACK, self.rx.next.wrapping_add(1), Ordering::Release);
        }
        line.copy::<PAYLOAD_WORDS>(&mut payload);
        drop(line);
        self.taken(1);
        Some((info, payload))
    }

    /// Returns the number of next lines, at most `most`, that are there, have this info, and need
    /// no ack between them.
    #[inline]
    pub fn lines(&self, info: LineInfo, most: usize) -> usize {
        let most = most.min(self.until_ack());
        let (mut line, mut found) = (self.rx.line, 0);
        while found < most {
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

    /// Returns the payload of a line that [`lines`](Self::lines) has found, `behind` lines after
    /// the next one.
    #[inline]
    pub fn line(&self, behind: usize) -> Payload {
        let mut payload = [0; PAYLOAD_WORDS];
        self.theirs.line(self.place(self.rx.line, behind)).copy::<PAYLOAD_WORDS>(&mut payload);
        payload
    }

    /// Copies the next lines that are whole messages without capabilities into `messages`, as many as there are and need no
    /// ack between them. `may_be` tells which may be copied; a line with anything else in it is left. Returns the number of
    /// messages, which are [taken](Self::taken).
    #[inline]
    pub fn take_row(&mut self, messages: &mut [LineMessage], may_be: MayBeWhole<'_>) -> usize {
        let most = messages.len().min(self.until_ack());
        // A copy, because a load of a line may be from memory that anything is in, for all the compiler knows.
        let (mut line, mut taken) = (self.rx.line, 0);
        while taken < most {
            // SYNC line-publish: Acquire, pairs with the Release in `store`.
            let header = self.theirs.load(line, HEADER, Ordering::Acquire);
            let info = LineInfo::from_raw(header as u32);
            let (number, used) = (info.number(), info.used());
            let tag = tag(self.rx.next.wrapping_add(taken as u64));
            if (header >> 32) as u32 != tag || !info.is_plain() || !may_be.ask(number, used) {
                break;
            }
            // In a stream most messages are like the one before: then the header of each is known.
            let rest = &mut messages[taken..most];
            let alike = match used {
                0 => self.copy_alike::<0>(number, header, line, rest),
                1 => self.copy_alike::<1>(number, header, line, rest),
                2 => self.copy_alike::<2>(number, header, line, rest),
                3 => self.copy_alike::<3>(number, header, line, rest),
                4 => self.copy_alike::<4>(number, header, line, rest),
                5 => self.copy_alike::<5>(number, header, line, rest),
                6 => self.copy_alike::<6>(number, header, line, rest),
                _ => self.copy_alike::<PAYLOAD_WORDS>(number, header, line, rest),
            };
            if alike == 0 {
                break;
            }
            (line, taken) = (self.place(line, alike), taken + alike);
        }
        self.rx.next = self.rx.next.wrapping_add(taken as u64);
        self.rx.line = line;
        self.tx.stream = self.tx.next.wrapping_add(STREAM);
        taken
    }

    /// Copies lines that are messages of `USED` words, from `line` on, as long as there are and their headers follow `header`,
    /// that of the first. Returns how many.
    #[inline(always)]
    fn copy_alike<const USED: usize>(
        &self,
        number: u16,
        mut header: u64,
        mut line: usize,
        messages: &mut [LineMessage],
    ) -> usize {
        let (lines, fetches) = (self.theirs.lines(), self.rx.fetches);
        let mut alike = 0;
        for message in messages {
            message.set(number, USED);
            let there = self.theirs.line(line);
            if fetches {
                there.will_read(READ_AHEAD);
            }
            // SYNC line-publish: Acquire, pairs with the Release in `store`. The line is copied, and what was loaded is checked.
            if there.load(HEADER, Ordering::Acquire) != header
                || !there.copy::<USED>(message.payload())
            {
                break;
            }
            (line, alike) = (following(line, lines), alike + 1);
            header = header.wrapping_add(1 << 32);
        }
        alike
    }

    /// Returns the place `behind` lines after `line`, less than a lap.
    #[inline]
    fn place(&self, line: usize, behind: usize) -> usize {
        let (place, lines) = (line + behind, self.theirs.lines());
        if place < lines { place } else { place - lines + DATA }
    }

    /// Returns the number of lines that may be read before the next ack.
    #[inline]
    fn until_ack(&self) -> usize {
        let unacknowledged = self.rx.next.wrapping_sub(self.rx.acked);
        usize::try_from(self.rx.quarter - unacknowledged).unwrap_or(usize::MAX)
    }

    /// Returns the next line and its info, unchecked, if there is a next line.
    #[inline(always)]
    pub fn next(&self) -> Option<(LineInfo, impl Line)> {
        let line = self.theirs.line(self.rx.line);
        // SYNC line-publish: Acquire, pairs with the Release in `store`.
        let header = line.load(HEADER, Ordering::Acquire);
        let is_next = (header >> 32) as u32 == tag(self.rx.next);
        is_next.then_some((LineInfo::from_raw(header as u32), line))
    }

    /// Notes that the next `lines` lines were copied.
    #[inline]
    pub fn taken(&mut self, lines: usize) {
        self.rx.next = self.rx.next.wrapping_add(lines as u64);
        self.rx.line = self.place(self.rx.line, lines);
        self.tx.stream = self.tx.next.wrapping_add(STREAM);
    }

    /// Returns true if it is time for an ack.
    #[inline]
    pub fn ack_is_due(&self) -> bool {
        self.rx.next.wrapping_sub(self.rx.acked) >= self.rx.quarter
    }

    /// Publishes the number of lines read.
    pub fn acknowledge(&mut self) {
        self.rx.acked = self.rx.next;
        // SYNC ack: Release, pairs with the Acquire in `look_for_room`: our loads of the lines come before.
        self.mine.store(FLOW, ACK, self.rx.acked, Ordering::Release);
    }

    /// Publishes the number of messages with capabilities that have begun to arrive.
    pub fn expect_caps(&self, count: u64) {
        // SYNC caps: Release for the order of this end's claims among each other; no other memory hangs on it.
        self.mine.store(FLOW, EXPECTED, count, Ordering::Release);
    }

    /// Requests that the peer fence when it sends from now on, because the barrier of this end was
    /// refused; this end fences, too. Returns false if fences were requested before.
    ///
    /// The peer may still send a line without a fence, after loading the old state of this end:
    /// [`is_unsure`].
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

    /// Returns true as long as the peer may send a line without the fence that was requested. Call
    /// it before a barrier only: the look that follows the barrier finds the lines that were sent
    /// that way.
    #[must_use]
    pub fn is_unsure(&mut self) -> bool {
        let Some(epoch) = self.unsure else { return false };
        if planted("sure_at_once") {
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

    /// Publishes that this end sleeps from now on. A full barrier must follow, and then a last look
    /// at the ring.
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

    /// Publishes that this end sends no more.
    pub fn close(&mut self) {
        self.set_state(self.state | EndState::CLOSED);
    }

    /// Publishes on which processor this end runs.
    pub fn publish_processor(&mut self, number: usize) {
        let processor = number as u64 + 1;
        if processor != self.processor {
            self.processor = processor;
            // No other memory hangs on it.
            self.mine.store(CONTROL, PROCESSOR, processor, Ordering::Relaxed);
        }
    }

    /// Returns the number of the processor that the peer has published last, if it has published one. A hint that nothing but
    /// speed may depend on.
    pub fn peer_processor(&self) -> Option<u64> {
        self.theirs.load(CONTROL, PROCESSOR, Ordering::Relaxed).checked_sub(1)
    }

    fn set_state(&mut self, state: u64) {
        self.state = state;
        // SYNC close: Release, pairs with the Acquire load of a receiver that finds no line: the lines come before.
        self.mine.store(CONTROL, STATE, state, Ordering::Release);
    }
}

impl<W: OwnMemory, R: LineMemory> PeerEnd for Ring<W, R> {
    #[inline]
    fn has_line(&mut self) -> bool {
        // No line is read on the strength of this: a header is loaded again, with Acquire, to take it.
        (self.theirs.load(self.rx.line, HEADER, Ordering::Relaxed) >> 32) as u32
            == tag(self.rx.next)
    }

    #[inline]
    fn room(&mut self) -> Result<bool, ProtocolError> {
        if self.has_room() { Ok(true) } else { self.look_for_room() }
    }

    #[inline]
    fn is_closed(&mut self) -> Result<bool, ProtocolError> {
        // SYNC close: Acquire, pairs with the Release in `set_state`: lines published before it are visible after.
        Ok(self.peer_state(Ordering::Acquire).is_closed())
    }

    fn caps_expected(&mut self, sent: u64) -> Result<bool, ProtocolError> {
        let claim = self.theirs.load(FLOW, EXPECTED, Ordering::Acquire);
        if claim < self.tx.caps_ready || claim > sent {
            return Err(ProtocolError::Position { claim, max: sent });
        }
        self.tx.caps_ready = claim;
        Ok(claim + CAPS_AHEAD >= sent)
    }

    fn is_handed_over(&mut self, count: u64) -> bool {
        self.theirs.load(FLOW, HANDED, Ordering::Relaxed) >= count
    }

    fn handed_over(&mut self, count: u64) {
        // SYNC close: ordered by the Release of the state, if this end closes after.
        self.mine.store(FLOW, HANDED, count, Ordering::Release);
    }
}

/// Writes format and size into a memory of zeroes.
pub fn initialize(mine: &impl OwnMemory) {
    // SYNC setup: handing the memory to the other end orders all earlier stores.
    mine.store(CONTROL, MAGIC, MAGIC_1, Ordering::Relaxed);
    mine.store(CONTROL, LINES, mine.lines() as u64, Ordering::Relaxed);
}

fn data_lines(memory: &impl LineMemory) -> usize {
    let lines = memory.lines();
    assert!(lines > DATA, "a ring has a line of data at least");
    lines - DATA
}

/// Stores a line: calls `payload` for the payload, then stores the header.
#[inline(always)]
fn store<L: OwnLine>(mine: &L, header: u64, payload: impl FnOnce(&L)) {
    if planted("header_first") {
        mine.store(HEADER, header, Ordering::Release);
    }
    payload(mine);
    // SYNC line-publish: Release, pairs with the Acquire in `next`, `lines` and `copy_alike`.
    let order = if planted("relaxed_header") { Ordering::Relaxed } else { Ordering::Release };
    mine.store(HEADER, header, order);
}

/// Copies the first `used` words of a line into `into`. Returns false if one of the others is not zero.
#[inline(always)]
pub fn copy(line: &impl Line, used: usize, into: &mut Payload) -> bool {
    match used {
        0 => line.copy::<0>(into),
        1 => line.copy::<1>(into),
        2 => line.copy::<2>(into),
        3 => line.copy::<3>(into),
        4 => line.copy::<4>(into),
        5 => line.copy::<5>(into),
        6 => line.copy::<6>(into),
        _ => line.copy::<PAYLOAD_WORDS>(into),
    }
}

#[inline]
fn following(line: usize, lines: usize) -> usize {
    if line + 1 == lines { DATA } else { line + 1 }
}
