//! Programs: the operations on both ends of a binding, generated from a seed.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// Operations of one program.
const LENGTH: usize = 100;

/// Waitsets of a program.
pub(crate) const WAITSETS: usize = 3;

/// The longest string or array of bytes.
pub(crate) const MAX_BYTES: usize = 65536;
/// The longest array of words.
pub(crate) const MAX_WORDS: usize = 9000;
/// The longest piece where a message has several.
pub(crate) const MAX_PIECE: usize = 5000;
/// The most items of the arrays of structs and of strings.
pub(crate) const MAX_ITEMS: [usize; 2] = [600, 40];

/// Which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Service,
}

pub(crate) use Side::{Client, Service};

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Client => Service,
            Service => Client,
        }
    }
}

/// One operation. Whatever is left out of a program, the rest is a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// Sends a message, now or as soon as those before are accepted; with a continuation if so.
    Send(Side, Body, Then),
    /// Sends this many of the smallest messages at once.
    Burst(Side, usize),
    /// Tries to send a string that is one byte too long.
    TooLong(Side),
    /// Begins a call of the client's.
    Call(Call),
    /// Answers the calls that the service keeps: half of them with a reply, half of them with none.
    Answer,
    /// Asks for a call when there is room, from this waitset.
    Room(Side, usize),
    /// Moves the end to this waitset.
    Move(Side, usize),
    /// Prefers the receiver, or no longer.
    Sync(Side, bool),
    /// Dispatches this waitset this many times.
    Turn(usize, usize),
    /// Lets this waitset sleep, if it has nothing to do.
    Rest(usize),
    /// Goes on until everything that was begun is done.
    Settle,
    /// Tears the binding down from this end.
    Teardown(Side, Manner),
    /// Binds again, if the binding has ended.
    Bind,
}

/// Whether a message has a continuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    Continue,
}

/// When a binding is torn down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// When everything that was sent is received.
    Settled,
    /// At once, whatever is under way.
    AtOnce,
    /// By the handler of a message, when everything before it is received.
    InHandler,
}

/// A message. The numbers are lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    Tick,
    Scalars(u64),
    Text(usize),
    Bytes(usize),
    Words(usize),
    Pieces([usize; 4]),
    Items([usize; 2]),
    /// A capability given away, and a string.
    Gift(usize),
    /// One copied, and words.
    Lent(usize),
    /// Seven, of both kinds.
    Seven,
    /// Options, a union, and four: three copied, two of them in an array, and one given away.
    Parts(usize),
    /// Bulk data, twice: in the message, in slots, or as sealed memory.
    Data([(Way, usize); 2]),
    /// Sealed memory, and a capability given away.
    Sealed(usize),
    /// Comes back from the handler.
    Echo(usize),
}

/// How bulk data is passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Bytes,
    /// A buffer of the pool of the binding, if one is free.
    Buffer,
    Sealed,
}

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Sum(u64, u64),
    /// Turns a string round.
    Turn(usize),
    /// Gives a capability away, and gets it back.
    Swap,
    /// Gets bulk data back as it was sent.
    Mirror(Way, usize),
    /// The service keeps the reply until the command to answer.
    Keep,
    /// Is never answered.
    Never,
}

/// A program, and the buffer that its bindings ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) buffer: usize,
    pub(crate) ops: Vec<Op>,
}

impl Program {
    /// The program of a seed.
    pub(crate) fn random(seed: u64) -> Self {
        // One of four floods its channels: long messages, and few turns to receive them.
        let floods = seed.is_multiple_of(4);
        let mut dice = Dice { rng: Pcg64Mcg::seed_from_u64(seed), floods };
        let buffer = [0, 1, 4096, 1 << 16][dice.below(4)];
        let mut ops = Vec::with_capacity(LENGTH + 4);
        while ops.len() < LENGTH {
            dice.push(&mut ops);
        }
        Self { buffer, ops }
    }

    /// A message of every length around which something ends, over and over.
    pub(crate) fn boundaries(buffer: usize) -> Self {
        let mut lengths: Vec<usize> = (0..=130).collect();
        for power in 5..16 {
            lengths.extend([(1 << power) - 1, 1 << power, (1 << power) + 1]);
            lengths.extend([(7 << power) - 1, 7 << power, (7 << power) + 1]);
        }
        let at_most = |max: usize| {
            let mut lengths: Vec<_> = lengths.iter().copied().filter(|it| *it < max - 1).collect();
            lengths.extend([max - 1, max]);
            lengths
        };
        let mut ops = Vec::new();
        let mut both = |body| {
            for side in [Client, Service] {
                ops.push(Op::Send(side, body, Then::Continue));
            }
        };
        at_most(MAX_BYTES).into_iter().for_each(|bytes| both(Body::Text(bytes)));
        at_most(MAX_BYTES).into_iter().for_each(|bytes| both(Body::Bytes(bytes)));
        at_most(MAX_WORDS).into_iter().for_each(|words| both(Body::Words(words)));
        at_most(MAX_ITEMS[0]).into_iter().for_each(|items| both(Body::Items([items, 1])));
        for length in at_most(MAX_PIECE) {
            both(Body::Pieces([length, 1, MAX_PIECE - length, length % 300]));
        }
        let ops = ops.into_iter().enumerate().flat_map(|(i, op)| {
            let check =
                (i % 16 == 15).then(|| [Op::Settle, Op::TooLong([Client, Service][i / 16 % 2])]);
            [op].into_iter().chain(check.into_iter().flatten())
        });
        Self { buffer, ops: ops.collect() }
    }
}

struct Dice {
    rng: Pcg64Mcg,
    floods: bool,
}

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        (self.rng.next_u64() % bound as u64) as usize
    }

    fn side(&mut self) -> Side {
        [Client, Service][self.below(2)]
    }

    fn push(&mut self, ops: &mut Vec<Op>) {
        let op = match self.below(100) {
            62..84 if self.floods && self.below(4) > 0 => {
                Op::Send(self.side(), self.body(), Then::Continue)
            }
            0..48 => {
                let then = [Then::Nothing, Then::Continue][self.below(2)];
                Op::Send(self.side(), self.body(), then)
            }
            48..62 => Op::Call(self.call()),
            62..76 => Op::Turn(self.below(WAITSETS), 1 + self.below(12)),
            76..78 => Op::Rest(self.below(WAITSETS)),
            78..84 => Op::Settle,
            84..87 => Op::Answer,
            87..91 => Op::Room(self.side(), self.below(WAITSETS)),
            91..92 => Op::Burst(self.side(), self.below(200)),
            92..95 => Op::Move(self.side(), self.below(WAITSETS)),
            95..96 => Op::Sync(self.side(), self.below(2) == 0),
            96..98 => Op::TooLong(self.side()),
            _ => {
                let manner = [Manner::Settled, Manner::AtOnce, Manner::InHandler][self.below(3)];
                ops.push(Op::Teardown(self.side(), manner));
                // Results of operations on an ended binding.
                for _ in 0..self.below(3) {
                    let op = match self.below(5) {
                        0 => Op::Call(self.call()),
                        1 => Op::Room(self.side(), self.below(WAITSETS)),
                        2 => Op::Move(self.side(), self.below(WAITSETS)),
                        3 => Op::Sync(self.side(), true),
                        _ => Op::Send(self.side(), self.body(), Then::Continue),
                    };
                    ops.push(op);
                }
                Op::Bind
            }
        };
        ops.push(op);
    }

    fn body(&mut self) -> Body {
        match self.below(19) {
            18 => Body::Parts(self.length(600)),
            16 => Body::Data([(); 2].map(|()| (self.way(), self.length(MAX_BYTES)))),
            17 => Body::Sealed(self.length(MAX_BYTES)),
            0..3 => Body::Tick,
            3..5 => Body::Scalars(self.rng.next_u64()),
            5..7 => Body::Text(self.length(MAX_BYTES)),
            7..9 => Body::Bytes(self.length(MAX_BYTES)),
            9 => Body::Words(self.length(MAX_WORDS)),
            10 => Body::Pieces([
                self.length(MAX_PIECE),
                self.length(MAX_PIECE),
                self.length(MAX_PIECE),
                self.length(300),
            ]),
            11 => Body::Items([self.length(MAX_ITEMS[0]), self.length(MAX_ITEMS[1])]),
            12 => Body::Gift(self.length(2000)),
            13 => Body::Lent(self.length(600)),
            14 => Body::Seven,
            _ => Body::Echo(self.length(2000)),
        }
    }

    fn way(&mut self) -> Way {
        [Way::Bytes, Way::Buffer, Way::Sealed][self.below(3)]
    }

    fn call(&mut self) -> Call {
        match self.below(10) {
            8.. => Call::Mirror(self.way(), self.length(MAX_BYTES)),
            0..3 => Call::Sum(self.rng.next_u64(), self.rng.next_u64()),
            3..5 => Call::Turn(self.length(3000)),
            5 => Call::Swap,
            6 => Call::Keep,
            _ => Call::Never,
        }
    }

    /// A length: most are small, some near where lines, frames and buffers end, few are long.
    fn length(&mut self, max: usize) -> usize {
        let length = match self.below(20) {
            0..16 if self.floods => self.below(max + 1),
            0..12 => self.below(131),
            12..17 => {
                let unit = [7, 8, 28, 32, 56, 57, 64, 228][self.below(8)];
                (unit << self.below(9)) + self.below(3) - 1
            }
            17..19 => self.below(max + 1) >> self.below(8),
            _ => max - self.below(2),
        };
        length.min(max)
    }
}
