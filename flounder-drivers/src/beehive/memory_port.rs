//! A model of the machine, for two processes: a ring of two cores, in two regions of memory, each with one writer.
//!
//! A core writes its messages into its own region, which is the FIFO of the other core. The word with position `p` lies at
//! `p mod 1024`, with a tag that is new in every lap; the hardware header of a message is written last.
//!
//! ```text
//!              word 0            word 1      word 2     3 .. 7
//! line 0      | magic, version  | words     | listens  | zero   |   control line
//! line 1      | taken           | zero                          |   flow line
//! line 2      | 63 .. 32: tag, the low half of p + 1;  31 .. 0: word p of the FIFO, for p mod 1024 = 0
//!  ...
//! line 129    | ..                                                                    p mod 1024 = 1023
//! ```
//!
//! `taken` counts the words that this core has taken out of the *other* region. Beehive has no such counter: a sender there
//! cannot know that a FIFO is full. The model uses it to detect a stall, which credit prevents.
//!
//! # Invariants
//! * Positions are private. `taken` of the other core is a claim: it never goes back, and never beyond what was written.

use flounder_rt::channel::ProtocolError;

use crate::beehive::hardware::{
    Core, FIFO_WORDS, Hardware, MAX_MESSAGE, Message, STALLED, hardware_header,
    parse_hardware_header,
};
use crate::mem::{LINE_WORDS, LineMemory, OwnMemory};
use crate::sync::{Ordering, fence};

/// Number of lines of a region that are used.
pub const LINES: usize = FIFO + FIFO_WORDS / LINE_WORDS;

/// Number that this core has for itself.
pub const THIS_CORE: Core = Core(0);
/// Number that this core has for the other core.
pub const OTHER_CORE: Core = Core(1);
const BOTH: usize = 2;

const CONTROL: usize = 0;
const FLOW: usize = 1;
const FIFO: usize = 2;

/// Words of the control line.
const MAGIC: usize = 0;
const WORDS: usize = 1;
const LISTENS: usize = 2;
/// Word of the flow line.
const TAKEN: usize = 0;

/// "flounder" without its vowels, and the version of the format in the last byte.
pub const MAGIC_1: u64 = u64::from_be_bytes(*b"flndr_b\x01");

/// Bit of `listens`: interrupts are wanted. The bits above count the requests.
const WANTED: u64 = 1;

/// The machine from the view of one of the two cores.
#[derive(Debug)]
pub struct MemoryPort<W, R> {
    mine: W,
    theirs: R,
    /// Number of words written.
    written: u64,
    /// The last checked claim of the other core: `written - taken_there <= FIFO_WORDS`.
    taken_there: u64,
    /// Number of words taken.
    taken: u64,
    /// Value of `listens` that this core has published.
    listens: u64,
    /// Value of `listens` for which the other core was interrupted last.
    interrupted: u64,
}

impl<W: OwnMemory, R: LineMemory> MemoryPort<W, R> {
    /// Returns the port over these memories, both of at least [`LINES`] lines; [`initialize`] has
    /// been called on `mine`.
    pub const fn new(mine: W, theirs: R) -> Self {
        let (written, taken_there, taken) = (0, 0, 0);
        Self { mine, theirs, written, taken_there, taken, listens: 0, interrupted: 0 }
    }

    /// Returns a port with the positions of both directions at `start`, for tests of their
    /// wrap-around.
    pub fn starting_at(mine: W, theirs: R, start: u64) -> Self {
        initialize(&mine);
        mine.store(FLOW, TAKEN, start, Ordering::Relaxed);
        Self { written: start, taken_there: start, taken: start, ..Self::new(mine, theirs) }
    }

    /// Checks that the memory of the other core is one of a port.
    ///
    /// # Errors
    /// A description of the first check that fails.
    pub fn check(theirs: &R) -> Result<(), &'static str> {
        if theirs.lines() < LINES || theirs.load(CONTROL, MAGIC, Ordering::Relaxed) != MAGIC_1 {
            return Err("the region is not a FIFO of this version");
        }
        if theirs.load(CONTROL, WORDS, Ordering::Relaxed) != FIFO_WORDS as u64 {
            return Err("the FIFO is of another size");
        }
        Ok(())
    }

    fn put(&self, position: u64, value: u32, order: Ordering) {
        let (line, word) = locate(position);
        self.mine.store(line, word, tagged(position, value), order);
    }

    /// Returns the word at this position, if it is there.
    fn get(&self, position: u64, order: Ordering) -> Option<u32> {
        let (line, word) = locate(position);
        let found = self.theirs.load(line, word, order);
        (found == tagged(position, found as u32)).then_some(found as u32)
    }
}

impl<W: OwnMemory + Send, R: LineMemory + Send> Hardware for MemoryPort<W, R> {
    fn cores(&self) -> usize {
        BOTH
    }

    fn send(&mut self, to: Core, words: &[u32]) -> Result<(), ProtocolError> {
        assert!(to == OTHER_CORE, "there is one other core");
        assert!((1..=MAX_MESSAGE).contains(&words.len()), "a message has 1 to 63 words");
        // SYNC taken: Acquire, pairs with the Release in `receive`: the other core's loads come before our stores.
        let claim = self.theirs.load(FLOW, TAKEN, Ordering::Acquire);
        let filled = self.written.wrapping_sub(self.taken_there);
        if claim.wrapping_sub(self.taken_there) > filled {
            return Err(ProtocolError::Position { claim, max: self.written });
        }
        self.taken_there = claim;
        let filled = self.written.wrapping_sub(claim) as usize;
        if filled + 1 + words.len() > FIFO_WORDS {
            return Err(STALLED);
        }
        for (position, value) in (1..).zip(words) {
            self.put(self.written.wrapping_add(position), *value, Ordering::Relaxed);
        }
        // SYNC message: Release, pairs with the Acquire in `receive`: a reader that sees the header sees the words.
        self.put(self.written, hardware_header(THIS_CORE, words.len()), Ordering::Release);
        self.written = self.written.wrapping_add(1 + words.len() as u64);
        Ok(())
    }

    fn poll(&self) -> bool {
        // No word is read on the strength of this: `receive` loads the header again, with Acquire.
        self.get(self.taken, Ordering::Relaxed).is_some()
    }

    fn receive(&mut self, into: &mut Message) -> Result<Option<(Core, usize)>, ProtocolError> {
        // SYNC message: Acquire, pairs with the Release in `send`.
        let Some(header) = self.get(self.taken, Ordering::Acquire) else { return Ok(None) };
        let (source, length) = parse_hardware_header(header, BOTH)?;
        if source != THIS_CORE {
            return Err(ProtocolError::Frame("a message comes from no core of the ring"));
        }
        for (position, word) in (1..).zip(&mut into[..length]) {
            *word = self
                .get(self.taken.wrapping_add(position), Ordering::Relaxed)
                .ok_or(ProtocolError::Frame("a message has a header and lacks words"))?;
        }
        self.taken = self.taken.wrapping_add(1 + length as u64);
        // SYNC taken: Release, pairs with the Acquire in `send`: our loads come before.
        self.mine.store(FLOW, TAKEN, self.taken, Ordering::Release);
        Ok(Some((OTHER_CORE, length)))
    }

    fn listen(&mut self, wanted: bool) {
        self.listens = (self.listens | WANTED).wrapping_add(if wanted { 2 } else { 1 });
        self.mine.store(CONTROL, LISTENS, self.listens, Ordering::Relaxed);
        // SYNC interrupt: pairs with the fence in `must_interrupt`. Of the message and the wish, one side sees the other's.
        fence(Ordering::SeqCst);
    }

    fn must_interrupt(&mut self, _to: Core) -> bool {
        // SYNC interrupt: pairs with the fence in `listen`.
        fence(Ordering::SeqCst);
        let listens = self.theirs.load(CONTROL, LISTENS, Ordering::Relaxed);
        listens & WANTED != 0 && core::mem::replace(&mut self.interrupted, listens) != listens
    }
}

/// Writes format and size into a memory of zeroes.
pub fn initialize(mine: &impl OwnMemory) {
    assert!(mine.lines() >= LINES, "a region has room for a FIFO");
    // SYNC setup: handing the memory to the other core orders all earlier stores.
    mine.store(CONTROL, MAGIC, MAGIC_1, Ordering::Relaxed);
    mine.store(CONTROL, WORDS, FIFO_WORDS as u64, Ordering::Relaxed);
}

/// Returns a word of the FIFO, as it is in memory.
const fn tagged(position: u64, value: u32) -> u64 {
    (position.wrapping_add(1) as u32 as u64) << 32 | value as u64
}

/// Returns line and word of a position.
const fn locate(position: u64) -> (usize, usize) {
    let at = (position % FIFO_WORDS as u64) as usize;
    (FIFO + at / LINE_WORDS, at % LINE_WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::heap::{HeapOwn, HeapPeer, allocate};

    fn pair(start: u64) -> (MemoryPort<HeapOwn, HeapPeer>, MemoryPort<HeapOwn, HeapPeer>) {
        let ((a_own, a_peer), (b_own, b_peer)) = (allocate(LINES), allocate(LINES));
        (
            MemoryPort::starting_at(a_own, b_peer, start),
            MemoryPort::starting_at(b_own, a_peer, start),
        )
    }

    #[test]
    fn messages_arrive_in_order_over_every_wrap() {
        for start in [0, u64::from(u32::MAX) - 3000, u64::MAX - 3000] {
            let (mut a, mut b) = pair(start);
            let mut message = [0; MAX_MESSAGE];
            for round in 0..500_u32 {
                let words = [round; MAX_MESSAGE];
                let length = 1 + round as usize % MAX_MESSAGE;
                assert!(!b.poll());
                a.send(OTHER_CORE, &words[..length]).unwrap();
                assert!(b.poll());
                assert_eq!(b.receive(&mut message), Ok(Some((OTHER_CORE, length))));
                assert_eq!(message[..length], words[..length]);
                assert_eq!(b.receive(&mut message), Ok(None));
            }
        }
    }

    #[test]
    fn full_fifo_stalls_and_false_claims_are_errors() {
        let ((a_own, a_peer), (b_own, b_peer)) = (allocate(LINES), allocate(LINES));
        let mut a = MemoryPort::starting_at(a_own, b_peer, 0);
        for _ in 0..16 {
            a.send(OTHER_CORE, &[0; 63]).unwrap();
        }
        assert_eq!(a.send(OTHER_CORE, &[0]), Err(STALLED));
        b_own.store(FLOW, TAKEN, 1025, Ordering::Relaxed);
        assert_eq!(
            a.send(OTHER_CORE, &[0]),
            Err(ProtocolError::Position { claim: 1025, max: 1024 })
        );
        b_own.store(FLOW, TAKEN, 64, Ordering::Relaxed);
        assert_eq!(a.send(OTHER_CORE, &[0]), Ok(()));
        b_own.store(FLOW, TAKEN, 63, Ordering::Relaxed);
        assert!(matches!(a.send(OTHER_CORE, &[0]), Err(ProtocolError::Position { .. })));
        drop(a_peer);
    }

    #[test]
    fn malformed_messages_are_errors() {
        for (header, words) in
            [(0, 0), (64, 64), (1 << 6, 1), (5, 4), (1 << 8 | 3, 3), (1 << 31 | 3, 3)]
        {
            let ((a_own, a_peer), (b_own, _b_peer)) = (allocate(LINES), allocate(LINES));
            for position in 1..=words {
                let (line, word) = locate(position);
                a_own.store(line, word, tagged(position, 7), Ordering::Relaxed);
            }
            a_own.store(FIFO, 0, tagged(0, header), Ordering::Relaxed);
            let mut b = MemoryPort::starting_at(b_own, a_peer, 0);
            assert!(b.receive(&mut [0; MAX_MESSAGE]).is_err(), "header {header:#x}, {words} words");
        }
    }

    #[test]
    fn interrupt_request_is_good_once() {
        let (mut a, mut b) = pair(0);
        assert!(!a.must_interrupt(OTHER_CORE));
        for _ in 0..3 {
            b.listen(true);
            assert!(a.must_interrupt(OTHER_CORE));
            assert!(!a.must_interrupt(OTHER_CORE));
        }
        b.listen(false);
        assert!(!a.must_interrupt(OTHER_CORE));
        b.listen(false);
        assert!(!a.must_interrupt(OTHER_CORE));
        b.listen(true);
        assert!(a.must_interrupt(OTHER_CORE));
    }
}
