//! Two rings over memory that is not coherent, as one end has them: lines in, lines out, positions, claims, doorbells.
//!
//! ```text
//!             bits 31 .. 0    63 .. 32
//! line 0     | state         | ack     | expected | handed | zero |   claims of the writer: seldom written
//! line 1     | payload 0 .. 6                              | header |   data
//! ...
//! ```
//!
//! # Invariants
//! * Positions are private. The peer writes lines (each tagged with its number) and claims, which are fetched together into
//!   private memory and checked when they are used.
//! * A line is free for the writer once the peer's ack has passed the line that was in its place a lap before. So a
//!   reader finds in the place where it looks the line of this lap, or that of the lap before, which it has seen.
//! * A reader owes at most a quarter of a ring in acks, so a writer without room has three quarters under way, the reading
//!   of which brings an ack: no line is kept in reserve and no ack is ever forced.
//! * *What is announced is in memory.* The doorbell rings after each group of stores, when they were written back and the
//!   write-backs have ended. So an end reads lines only after the doorbell has rung, and after reading the last one it need
//!   not read again before the next ring. This replaces the sleep state of ump: an end can always sleep.
//! * A doorbell that could not ring is *owed*, and tried again whenever there is an occasion.

use flounder_rt::channel::ProtocolError;

use super::hardware::{CacheOpReason, Hardware};
use super::line::{LAST, LineInfo, Payload, header, is_of_lap, pack, unpack};
use crate::assembler::PeerEnd;
use crate::caps::CAPS_AHEAD;

/// The line with the claims of its writer.
const CLAIMS: usize = 0;
/// Index of the first line that carries data.
pub const DATA: usize = 1;

/// Bit of `state`: the writer has sent its last line.
const CLOSED: u32 = 1;

/// Both rings of a channel, from one end.
#[derive(Debug)]
pub struct Ring<H> {
    hardware: H,
    tx: SendPosition,
    rx: ReceivePosition,
    mine: Claims,
    theirs: Claims,
    /// True if the peer's claims may have changed since they were fetched.
    stale_claims: bool,
    /// True if something was written and not announced.
    unannounced: bool,
    /// True while the doorbell has to be rung.
    owed: bool,
}

/// Claims that an end publishes. Counters are the low halves of private ones of 64 bits.
#[derive(Debug, Clone, Copy, Default)]
struct Claims {
    state: u32,
    /// Lines read.
    ack: u32,
    /// Messages with capabilities of which the first line was read.
    expected: u32,
    /// Own messages with capabilities of which the capabilities are with the brokers.
    handed: u32,
}

#[derive(Debug)]
struct SendPosition {
    /// Sequence number of the next line.
    next: u64,
    position: LinePosition,
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
    position: LinePosition,
    /// The last word of the next line, if the line is there.
    found: Option<u64>,
    /// True if the next line may have arrived since the last look.
    unseen: bool,
    /// Position of the last ack: `acked <= next`.
    acked: u64,
    /// Number of lines read between two acks; at least 1.
    quarter: u64,
}

/// Place of a line.
#[derive(Debug, Clone, Copy)]
struct LinePosition {
    /// `DATA <= line < lines`.
    line: usize,
    lines: usize,
    lap: u64,
}

impl LinePosition {
    fn advance(&mut self) {
        self.line += 1;
        if self.line == self.lines {
            self.line = DATA;
            self.lap = self.lap.wrapping_add(1);
        }
    }
}

impl<H: Hardware> Ring<H> {
    /// Returns the rings over this machine, whose regions are zeroes and have at least two lines
    /// each.
    pub fn new(hardware: H) -> Self {
        Self::starting_at(hardware, 0)
    }

    /// Returns rings whose sequence numbers and laps start at `start`, for tests of their
    /// wrap-around.
    ///
    /// # Panics
    /// If a region has no line of data.
    pub fn starting_at(hardware: H, start: u64) -> Self {
        let [mine, theirs] = [hardware.lines(), hardware.peer_lines()];
        assert!(mine > DATA && theirs > DATA, "a ring has a line of data at least");
        let capacity = (mine - DATA) as u64;
        let quarter = ((theirs - DATA) as u64 / 4).max(1);
        let position = |lines| LinePosition { line: DATA, lines, lap: start };
        let claims = Claims { ack: start as u32, ..Claims::default() };
        Self {
            hardware,
            tx: SendPosition {
                next: start,
                position: position(mine),
                limit: start.wrapping_add(capacity),
                capacity,
                caps_ready: 0,
            },
            rx: ReceivePosition {
                next: start,
                position: position(theirs),
                found: None,
                unseen: false,
                acked: start,
                quarter,
            },
            mine: claims,
            theirs: claims,
            stale_claims: false,
            unannounced: false,
            owed: false,
        }
    }

    /// Returns the machine.
    pub const fn hardware(&self) -> &H {
        &self.hardware
    }

    /// Writes a line, and zeroes behind its used halves. `announce` must follow.
    ///
    /// # Panics
    /// If no line is free (see [`PeerEnd::room`]).
    pub fn publish(&mut self, payload: &Payload, info: LineInfo) {
        assert!(self.tx.next != self.tx.limit, "a line is published only into room");
        let LinePosition { line, lap, .. } = self.tx.position;
        let words = pack(payload, header(lap, info));
        // The header is in the last word, which is stored last: whatever part of the line gets to memory before the
        // write-back below, it has no header without the whole payload.
        for (word, value) in words.into_iter().enumerate() {
            self.hardware.store(line, word, value);
        }
        // The line would stay in this core's cache for as long as nothing else needs its place.
        self.hardware.write_back(line, CacheOpReason::LineWritten);
        self.tx.next = self.tx.next.wrapping_add(1);
        self.tx.position.advance();
        self.unannounced = true;
    }

    /// Rings for everything that was written since the last call.
    pub fn announce(&mut self) {
        if core::mem::take(&mut self.unannounced) {
            // The peer looks once after it was rung, and finds nothing if the doorbell is faster than the lines.
            self.hardware.fence_writes(CacheOpReason::BeforeRinging);
            self.owed = true;
        }
        // If the ring stays owed, the channel limits its sleep and retries.
        let _ = self.retry_doorbell();
    }

    /// Rings the doorbell if it has to be rung. Returns true if it has not to be rung any more.
    #[must_use = "a doorbell that is owed has to be rung later"]
    pub fn retry_doorbell(&mut self) -> bool {
        if self.owed && self.hardware.ring() {
            self.owed = false;
        }
        !self.owed
    }

    /// Looks for the next line in memory.
    fn look(&mut self) -> bool {
        self.rx.unseen = false;
        let LinePosition { line, lap, .. } = self.rx.position;
        // An earlier read, the previous lap, or a prefetch may have left an old copy in the cache.
        self.hardware.invalidate(line, CacheOpReason::LineStale);
        // The invalidation may end after the load, otherwise.
        self.hardware.fence_reads(CacheOpReason::LineDropped);
        let last = self.hardware.load(line, LAST);
        self.rx.found = is_of_lap((last >> 32) as u32, lap).then_some(last);
        self.rx.found.is_some()
    }

    /// Takes a line into private memory, unchecked.
    pub fn take(&mut self) -> Option<(LineInfo, Payload)> {
        if !self.has_line() {
            return None;
        }
        let last = self.rx.found.take()?;
        let line = self.rx.position.line;
        // These words are at least as new as the header, which was loaded before.
        let [a, b, c] = core::array::from_fn(|word| self.hardware.load(line, word));
        self.rx.next = self.rx.next.wrapping_add(1);
        self.rx.position.advance();
        // The next may be there, too: one ring is for all that was written before it.
        self.rx.unseen = true;
        Some((LineInfo::from_raw((last >> 32) as u32), unpack([a, b, c, last])))
    }

    /// Returns true if it is time for an ack.
    pub const fn ack_is_due(&self) -> bool {
        self.rx.next.wrapping_sub(self.rx.acked) >= self.rx.quarter
    }

    /// Publishes the number of lines read.
    pub fn acknowledge(&mut self) {
        self.rx.acked = self.rx.next;
        self.mine.ack = self.rx.acked as u32;
        self.claim();
    }

    /// Publishes the number of messages with capabilities that have begun to arrive.
    pub fn expect_caps(&mut self, count: u64) {
        self.mine.expected = count as u32;
        self.claim();
    }

    /// Returns true if the peer has sent its last line.
    pub fn peer_is_closed(&mut self) -> bool {
        // No value of this claim is false.
        self.find_in_claims(|ring| Ok(ring.theirs.state & CLOSED != 0)) == Ok(true)
    }

    /// Publishes that this end sends no more.
    pub fn close(&mut self) {
        self.mine.state |= CLOSED;
        self.claim();
        self.announce();
    }

    /// Writes the claims. `announce` must follow.
    fn claim(&mut self) {
        let Claims { state, ack, expected, handed } = self.mine;
        // A reader that sees only some of them sees nothing false: each claim stands for itself, and older claims stay true.
        self.hardware.store(CLAIMS, 0, u64::from(state) | u64::from(ack) << 32);
        self.hardware.store(CLAIMS, 1, u64::from(expected) | u64::from(handed) << 32);
        // As with a line: it would stay in this core's cache.
        self.hardware.write_back(CLAIMS, CacheOpReason::ClaimsWritten);
        self.unannounced = true;
    }

    /// Returns true if `says` does for the claims fetched before, those in memory now, or those for
    /// which the doorbell rings meanwhile. Otherwise the doorbell is silent since the last look,
    /// however often the peer rings.
    fn find_in_claims(
        &mut self,
        mut says: impl FnMut(&mut Self) -> Result<bool, ProtocolError>,
    ) -> Result<bool, ProtocolError> {
        for _ in 0..2 {
            if says(self)? {
                return Ok(true);
            }
            if !self.fetch_claims() {
                return Ok(false);
            }
        }
        says(self)
    }

    /// Fetches the peer's claims, if they may have changed. Returns true if so.
    fn fetch_claims(&mut self) -> bool {
        if !self.stale_claims && !self.listen() {
            return false;
        }
        self.stale_claims = false;
        // They were fetched before, or the hardware has prefetched them.
        self.hardware.invalidate(CLAIMS, CacheOpReason::ClaimsStale);
        // The invalidation may end after the loads, otherwise.
        self.hardware.fence_reads(CacheOpReason::ClaimsDropped);
        let [a, b] = core::array::from_fn(|word| self.hardware.load(CLAIMS, word));
        self.theirs = Claims {
            state: a as u32,
            ack: (a >> 32) as u32,
            expected: b as u32,
            handed: (b >> 32) as u32,
        };
        true
    }

    /// Returns true if the doorbell was rung: then anything may have changed.
    fn listen(&mut self) -> bool {
        if !self.hardware.rung() {
            return false;
        }
        (self.rx.unseen, self.stale_claims) = (true, true);
        true
    }
}

impl<H: Hardware> PeerEnd for Ring<H> {
    // Reads at most twice, however often the peer rings.
    fn has_line(&mut self) -> bool {
        self.rx.found.is_some() || self.rx.unseen && self.look() || self.listen() && self.look()
    }

    /// Looks whether the doorbell was rung or not: at the end, the last ring may still be pending.
    fn has_last_line(&mut self) -> bool {
        self.rx.unseen = true;
        self.has_line()
    }

    fn room(&mut self) -> Result<bool, ProtocolError> {
        if self.tx.next != self.tx.limit {
            return Ok(true);
        }
        self.find_in_claims(|ring| {
            let acked = ring.tx.limit.wrapping_sub(ring.tx.capacity);
            // The window is far below 2^32 lines: the low half of the claim is enough.
            let ahead = u64::from(ring.theirs.ack.wrapping_sub(acked as u32));
            if ahead > ring.tx.next.wrapping_sub(acked) {
                let claim = acked.wrapping_add(ahead);
                return Err(ProtocolError::Position { claim, max: ring.tx.next });
            }
            ring.tx.limit = ring.tx.limit.wrapping_add(ahead);
            Ok(ahead > 0)
        })
    }

    fn is_closed(&mut self) -> Result<bool, ProtocolError> {
        Ok(self.peer_is_closed())
    }

    fn caps_expected(&mut self, sent: u64) -> Result<bool, ProtocolError> {
        if self.tx.caps_ready + CAPS_AHEAD >= sent {
            return Ok(true);
        }
        self.find_in_claims(|ring| {
            let ahead = u64::from(ring.theirs.expected.wrapping_sub(ring.tx.caps_ready as u32));
            if ahead > sent - ring.tx.caps_ready {
                let claim = ring.tx.caps_ready + ahead;
                return Err(ProtocolError::Position { claim, max: sent });
            }
            ring.tx.caps_ready += ahead;
            Ok(ring.tx.caps_ready + CAPS_AHEAD >= sent)
        })
    }

    /// Compares with the claims that were fetched last.
    fn is_handed_over(&mut self, count: u64) -> bool {
        self.theirs.handed.wrapping_sub(count as u32) <= u32::MAX / 2
    }

    fn handed_over(&mut self, count: u64) {
        self.mine.handed = count as u32;
        self.claim();
    }
}
