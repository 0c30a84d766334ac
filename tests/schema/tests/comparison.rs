//! Two decoders agree: the generated one, and the one that reads the form of the message (`flounder_wire::schema`), which was
//! written from `docs/wire.md`.
//!
//! Both get the same words: those of random values, and the same with bits, words and capabilities changed. Both accept them or
//! both refuse them; if they accept, both write the same words again. There are two generated decoders: one makes a `Message`,
//! the other calls handlers with borrowed values, and is tried with a binding that has none.
//!
//! `FLOUNDER_SCHEMA_MESSAGES` is the number of messages, 400,000 by default. From 10,000,000 on, every pair of bits of each
//! golden message of up to 1,024 bits is flipped, and 1,000,000 pairs of each longer one; otherwise one pair for 400
//! messages.
//!
//! ```sh
//! FLOUNDER_SCHEMA_MESSAGES=10000000 cargo test --release -p flounder-schema-comparison -- --nocapture
//! ```

use std::any::Any;
use std::cell::RefCell;
use std::env;
use std::fs::File;
use std::rc::Rc;
use std::time::Instant;

use flounder::message::{Direction, MessageBuffer, MessageKind};
use flounder::{BindingError, Cap, Errval, Iref, Waitset};
use flounder_conformance::fake::{self, Pipe};
use flounder_schema_comparison::{Case, Errors, golden, random};
use flounder_wire::schema::{BulkPlace, InterfaceSchema, Kind, Schema, TypeRef, Value};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// Messages at which the comparison is complete.
const ALL: u64 = 10_000_000;

fn messages() -> u64 {
    match env::var("FLOUNDER_SCHEMA_MESSAGES") {
        Ok(value) => value.parse().expect("FLOUNDER_SCHEMA_MESSAGES is a number"),
        Err(_) => 400_000,
    }
}

#[test]
fn both_decoders_agree_about_random_messages() {
    let (count, began) = (messages(), Instant::now());
    let all: Vec<_> = random().into_iter().map(Compared::new).collect();
    let forms: usize = all.iter().map(|compared| compared.case.interface.messages.len()).sum();
    let (mut dice, mut tally) = (Dice::new(1), Tally::default());
    while tally.sum() < count {
        for compared in &all {
            for (number, schema) in compared.schema.messages() {
                let (words, caps) = dice.message(schema);
                assert_ne!(compared.compare(number, &words, caps, &mut tally), Verdict::Refused);
                for _ in 0..7 {
                    let (words, caps) = dice.mutated(words.clone(), caps);
                    compared.compare(number, &words, caps, &mut tally);
                }
            }
        }
    }
    println!(
        "{} messages of {forms} kinds in {} interfaces: {tally:?}, in {:.1?}",
        tally.sum(),
        all.len(),
        began.elapsed()
    );
    assert!(tally.accepted > count / 20 && tally.refused > count / 20, "{tally:?}");
}

#[test]
fn both_decoders_agree_about_flipped_bits_of_golden_messages() {
    let (count, began) = (messages(), Instant::now());
    let (mut dice, mut tally) = (Dice::new(2), Tally::default());
    let (mut golden_messages, mut longest) = (0, 0);
    for compared in golden().into_iter().map(Compared::new) {
        for (number, schema) in compared.schema.messages() {
            for _ in 0..2 {
                let (words, caps) = dice.message(schema);
                let bits = words.len() * 64;
                let mut flipped = words.clone();
                let mut compare = |flips: &[usize]| {
                    flips.iter().for_each(|bit| flipped[bit / 64] ^= 1 << (bit % 64));
                    compared.compare(number, &flipped, caps, &mut tally);
                    flips.iter().for_each(|bit| flipped[bit / 64] ^= 1 << (bit % 64));
                };
                (0..bits).for_each(|bit| compare(&[bit]));
                if count >= ALL && bits <= 1024 {
                    (0..bits).for_each(|one| (0..one).for_each(|other| compare(&[one, other])));
                } else if bits > 0 {
                    let pairs = if count >= ALL { 1_000_000 } else { count / 400 };
                    (0..pairs).for_each(|_| compare(&[dice.below(bits), dice.below(bits)]));
                }
                golden_messages += 1;
                longest = bits.max(longest);
            }
        }
    }
    println!(
        "{} flips of {golden_messages} golden messages of up to {longest} bits: {tally:?}, in {:.1?}",
        tally.sum(),
        began.elapsed()
    );
    assert!(golden_messages >= 40 && tally.accepted > 0 && tally.refused > 0, "{tally:?}");
}

/// What both decoders say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    /// The generated decoder needs a pool or sealed memory for a bulk argument, which only a binding has. It accepts the message
    /// with the same number of bytes in the words.
    WithoutMemory,
    Refused,
}

#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    without_memory: u64,
    refused: u64,
}

impl Tally {
    fn sum(&self) -> u64 {
        self.accepted + self.without_memory + self.refused
    }
}

struct Compared {
    case: Case,
    schema: InterfaceSchema,
    file: Cap,
    waitset: Waitset,
    /// The bindings of the last messages to the service and to the client, unless the message ended it.
    bound: [RefCell<Option<Bound>>; 2],
}

/// A binding without handlers.
struct Bound {
    _binding: Box<dyn Any>,
    errors: Errors,
    there: Rc<Pipe>,
    back: Rc<Pipe>,
}

impl Compared {
    fn new(case: Case) -> Self {
        let schema = InterfaceSchema::of(case.interface).expect("its forms are within the limits");
        let file: File = tempfile::tempfile().expect("a file can be made");
        let (waitset, bound) = (Waitset::new(), Default::default());
        Self { case, schema, file: Cap::from(file), waitset, bound }
    }

    fn caps(&self, count: usize) -> Vec<Cap> {
        (0..count).map(|_| self.file.try_clone().expect("there are descriptors")).collect()
    }

    /// Returns true if the dispatcher of the interface accepts a message for a handler.
    fn is_delivered(&self, number: u16, words: &[u64], caps: usize) -> bool {
        let message = self.case.interface.message(number).expect("the interface has it");
        let (slot, bind) = match message.direction {
            Direction::Both | Direction::ToService => (&self.bound[0], self.case.service),
            Direction::ToClient => (&self.bound[1], self.case.client),
        };
        let bound = slot.take().unwrap_or_else(|| {
            let (_, end, there, back) = fake::pair(usize::MAX);
            let errors = Errors::default();
            let binding = bind(Box::new(end), &self.waitset, Rc::clone(&errors));
            Bound { _binding: binding.expect("nothing is watched"), errors, there, back }
        });
        let message = fake::Message { number, words: words.to_vec(), caps: self.caps(caps) };
        bound.there.messages.borrow_mut().push_back(message);
        while self.waitset.try_dispatch().expect("no callback fails") {}
        // The notices that calls get no reply.
        bound.back.messages.borrow_mut().clear();
        match &bound.errors.take()[..] {
            [BindingError::NoHandler { .. }] => {
                slot.replace(Some(bound));
                true
            }
            [_] => false,
            errors => panic!("{errors:?} for {}, {words:x?}", self.shown(number)),
        }
    }

    /// Has both decoders read a message.
    fn compare(&self, number: u16, words: &[u64], caps: usize, tally: &mut Tally) -> Verdict {
        let schema = self.schema.message(number).expect("the interface has it");
        let buffer = MessageBuffer { number, words: words.to_vec(), caps: self.caps(caps) };
        let generated = (self.case.again)(buffer);
        let message = self.case.interface.message(number).expect("the interface has it");
        // The response to no open call is not read.
        if !matches!(message.kind, MessageKind::RpcResponse { .. }) {
            let is_delivered = self.is_delivered(number, words, caps);
            assert_eq!(
                is_delivered,
                generated.is_ok(),
                "{}, {words:#x?}, {caps}",
                self.shown(number)
            );
        }
        let read = schema.decode(words, caps);
        assert_eq!(schema.validate(words, caps), read.clone().map(drop));
        let verdict = match (&read, &generated) {
            (Ok(value), Ok(again)) => {
                assert_eq!(again.words, words, "the generated code: {}", self.shown(number));
                let again = schema.encode(value);
                assert_eq!(again.as_deref(), Ok(words), "the schema: {}", self.shown(number));
                Verdict::Accepted
            }
            (Ok(value), Err(_)) if needs_memory(value) => {
                let (mut inline, mut caps) = (value.clone(), 0);
                put_inline(&mut inline, &mut caps);
                let words = schema.encode(&inline).expect("it is a value of the message");
                let verdict = self.compare(number, &words, caps, tally);
                assert_eq!(verdict, Verdict::Accepted, "{}", self.shown(number));
                Verdict::WithoutMemory
            }
            (Err(_), Err(_)) => Verdict::Refused,
            _ => panic!(
                "{}, words {words:#x?}, {caps} capabilities:\n the schema: {read:?}\n the generated code: {:?}",
                self.shown(number),
                generated.map(|again| again.words)
            ),
        };
        match verdict {
            Verdict::Accepted => tally.accepted += 1,
            Verdict::WithoutMemory => tally.without_memory += 1,
            Verdict::Refused => tally.refused += 1,
        }
        verdict
    }

    fn shown(&self, number: u16) -> String {
        let message = self.case.interface.message(number).expect("the interface has it");
        let externs: Vec<String> = message.externs.iter().map(ToString::to_string).collect();
        format!("{} of {} {externs:?}", message.form, self.case.interface.name)
    }
}

/// True if bulk data is not in the words of the message.
fn needs_memory(message: &Value) -> bool {
    let Value::Struct(arguments) = message else { return false };
    arguments.iter().any(|argument| match argument {
        Value::Bulk(place) => !matches!(place, BulkPlace::Inline(_)),
        _ => false,
    })
}

/// Puts bulk data into the words, and numbers the capabilities anew.
fn put_inline(value: &mut Value, caps: &mut usize) {
    match value {
        Value::Bulk(BulkPlace::Slot { len, .. } | BulkPlace::Sealed { len, .. }) => {
            *value = Value::Bulk(BulkPlace::Inline(vec![0; *len as usize]));
        }
        Value::Capability(position) => *position = next(caps),
        Value::Struct(parts) | Value::List(parts) | Value::Variant(_, parts) => {
            parts.iter_mut().for_each(|part| put_inline(part, caps));
        }
        Value::Optional(Some(value)) => put_inline(value, caps),
        _ => {}
    }
}

struct Dice(Pcg64Mcg);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// A random message: its words, and how many capabilities it has.
    fn message(&mut self, schema: &Schema) -> (Vec<u64>, usize) {
        let mut caps = 0;
        let members = schema.members().map(|(_, ty)| self.value(ty, &mut caps)).collect();
        (schema.encode(&Value::Struct(members)).expect("it is a value of the message"), caps)
    }

    fn value(&mut self, ty: TypeRef<'_>, caps: &mut usize) -> Value {
        match ty.kind() {
            Kind::Unit => Value::Unit,
            Kind::Bool => Value::Bool(self.below(2) == 1),
            Kind::Unsigned(bytes) => Value::Unsigned(self.wide_number() >> (128 - bytes * 8)),
            Kind::Signed(bytes) => {
                Value::Signed(self.wide_number().cast_signed() >> (128 - bytes * 8))
            }
            Kind::Float => Value::Float(f32::from_bits(self.number() as u32)),
            Kind::Double => Value::Double(f64::from_bits(self.number())),
            Kind::Char => Value::Char(self.character()),
            Kind::InterfaceRef => {
                Value::InterfaceRef(Iref::from_bits(self.number() | 1).expect("it is not 0"))
            }
            Kind::ErrorValue => Value::ErrorValue(Errval(self.number())),
            Kind::Text(max) => self.text(max),
            Kind::Capability => Value::Capability(next(caps)),
            Kind::Bulk(max) => self.bulk(max, caps),
            Kind::Array(element, len) => self.elements(element, len, caps),
            Kind::List(element, max) => {
                let len = [0, 1, 2, 3, 9][self.below(5)].min(u64::from(max));
                self.elements(element, len, caps)
            }
            Kind::Optional(value) => {
                let is_some = self.below(2) == 1;
                Value::Optional(is_some.then(|| Box::new(self.value(value, caps))))
            }
            Kind::Struct(fields) => {
                Value::Struct(fields.into_iter().map(|(_, ty)| self.value(ty, caps)).collect())
            }
            Kind::Enum(variants) => {
                let index = self.below(variants.len());
                let fields = variants[index].1.iter().map(|(_, ty)| self.value(*ty, caps));
                Value::Variant(index as u32, fields.collect())
            }
            other => panic!("no value is made of {other:?}"),
        }
    }

    /// Small, large, or anything.
    fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => u64::MAX,
            _ => self.bits(),
        }
    }

    fn wide_number(&mut self) -> u128 {
        u128::from(self.number()) << 64 | u128::from(self.number())
    }

    fn character(&mut self) -> char {
        ['\0', 'a', 'ß', '\u{d7ff}', '\u{e000}', '\u{10ffff}'][self.below(6)]
    }

    fn text(&mut self, max: u32) -> Value {
        let mut text = String::new();
        for _ in 0..self.below(12) {
            let next = self.character();
            if text.len() + next.len_utf8() <= max as usize {
                text.push(next);
            }
        }
        Value::Text(text)
    }

    fn elements(&mut self, element: TypeRef<'_>, len: u64, caps: &mut usize) -> Value {
        if matches!(element.kind(), Kind::Unsigned(1)) {
            return Value::Bytes((0..len).map(|_| self.bits() as u8).collect());
        }
        if has_one_value(element) {
            return Value::Repeated(Box::new(self.value(element, caps)), len);
        }
        Value::List((0..len).map(|_| self.value(element, caps)).collect())
    }

    fn bulk(&mut self, max: u32, caps: &mut usize) -> Value {
        let len = self.below(max.min(20) as usize + 1);
        Value::Bulk(match self.below(4) {
            0 => BulkPlace::Slot {
                pool: self.bits() as u8,
                slot: self.bits() as u16,
                len: len as u32,
            },
            1 => BulkPlace::Sealed { cap: next(caps), len: len as u32 },
            _ => BulkPlace::Inline((0..len).map(|_| self.bits() as u8).collect()),
        })
    }

    fn mutated(&mut self, mut words: Vec<u64>, mut caps: usize) -> (Vec<u64>, usize) {
        for _ in 0..[1, 1, 1, 2, 3][self.below(5)] {
            let at = self.below(words.len().max(1));
            match (self.below(16), words.get_mut(at)) {
                (0, _) => caps += 1,
                (1, _) => caps = caps.saturating_sub(1),
                (2, _) => drop(words.pop()),
                (3, _) => words.push([0, self.bits()][self.below(2)]),
                (4, _) => words.insert(at, 0),
                (5, Some(word)) => *word = self.number(),
                (6, Some(word)) => *word = 0,
                (7, Some(word)) => *word = word.rotate_left(8),
                (8, Some(_)) => drop(words.remove(at)),
                // A length, a tag or a byte that is larger or smaller by 1.
                (9 | 10, Some(word)) => *word = word.wrapping_add(1 << (self.below(8) * 8)),
                (11, Some(word)) => *word = word.wrapping_sub(1 << (self.below(8) * 8)),
                (_, Some(word)) => *word ^= 1 << self.below(64),
                (_, None) => words.push(0),
            }
        }
        (words, caps)
    }
}

fn next(caps: &mut usize) -> usize {
    *caps += 1;
    *caps - 1
}

/// True if there is nothing to choose in a value of the type.
fn has_one_value(ty: TypeRef<'_>) -> bool {
    match ty.kind() {
        Kind::Unit => true,
        Kind::Array(element, len) => len == 0 || has_one_value(element),
        Kind::Struct(fields) => fields.into_iter().all(|(_, ty)| has_one_value(ty)),
        _ => false,
    }
}
