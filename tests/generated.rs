//! Generated code: values of every type arrive as they were sent, and what may not be sent or received is refused.

use std::cell::RefCell;
use std::fmt::Debug;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use flounder::{BindingError, Cap, Errval, Iref, RpcError, TxError, Waitset};
use flounder_conformance::fake::{self, Message};
use flounder_rt::wire::{DecodeError, TooLong};
use proptest::prelude::*;

#[path = "generated/direction.rs"]
mod direction;

/// A type from Rust.
#[derive(flounder::FlounderMessage, Debug, Clone, PartialEq)]
pub struct Pose {
    name: String,
    at: [f64; 2],
    limbs: Vec<Limb>,
}

/// Another.
#[derive(flounder::FlounderMessage, Debug, Clone, PartialEq)]
pub enum Limb {
    /// Without data.
    Arm,
    /// With a named field.
    Leg {
        /// A number.
        toes: u8,
    },
    /// With a field.
    Tail(Option<String>),
}

/// The form of `Pose`, written out.
const POSE: &str = "struct{name:string[65536],at:[double;2],\
    limbs:enum{Arm,Leg{toes:uint8},Tail{0:string[65536]?}}[;65536]}";

flounder::flounder! {
    @symmetric
    interface all "Everything" {
        typedef enum { FOO, BAR, BAZ } choice;
        typedef struct { uint8 a; uint64 b; choice c; } pair;
        typedef struct { string name[8]; pair p; } named;
        typedef uint16 row[3];
        typedef string text;
        typedef struct { cap c; uint32 n; } holder;
        typedef struct { give_away_cap c; string why[4]; } gift;
        use crate::Pose as pose;

        message signed(int8 a, int16 b, int32 c, int64 d, intptr e, int f);
        message unsigned(uint8 a, uint16 b, uint32 c, uint64 d, uintptr e, size f, char g, bool h);
        message floats(float a, double b);
        message special(iref a, errval b, choice c);
        message structs(pair a, named b, row c, text d, pose e);
        message plain(uint8 a[a_len, 8], int16 b[b_len], double c[c_len, 3]);
        message items(bool a[a_len, 4], pair b[b_len, 4], string c[c_len, 4], named d[d_len, 2], pose e[e_len], row f[f_len]);
        message none();
        message copied(cap a, holder b);
        message mixed(cap a, give_away_cap b, string why[4], holder c, give_away_cap d);
        message given(gift g);
        call type(uint32 fn);
        response answer(string s[4]);

        rpc length(in string s[16], out uint32 result);
        rpc many(in named n, in uint8 key[key_len, 4], out string s[4], out pair found[n, 2], out cap c, out string names[m, 2]);
        rpc nothing();
    };
}

/// What the handlers were given, as text.
type Log = Rc<RefCell<Vec<String>>>;

#[derive(Default)]
struct Recorder {
    log: Log,
    errors: Rc<RefCell<Vec<BindingError>>>,
    /// Replies to be answered later.
    kept: Rc<RefCell<Vec<all::LengthReply>>>,
}

impl Recorder {
    fn put(&self, value: impl Debug) {
        self.log.borrow_mut().push(format!("{value:?}"));
    }
}

impl all::Rx for Recorder {
    fn signed(&mut self, _: &all::Binding, a: i8, b: i16, c: i32, d: i64, e: isize, f: i32) {
        self.put((a, b, c, d, e, f));
    }

    fn unsigned(
        &mut self,
        _: &all::Binding,
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        e: usize,
        f: usize,
        g: u8,
        h: bool,
    ) {
        self.put((a, b, c, d, e, f, g, h));
    }

    fn floats(&mut self, _: &all::Binding, a: f32, b: f64) {
        self.put((a.to_bits(), b.to_bits()));
    }

    fn special(&mut self, _: &all::Binding, a: Iref, b: Errval, c: all::Choice) {
        self.put((a, b, c));
    }

    fn structs(
        &mut self,
        _: &all::Binding,
        a: all::Pair,
        b: all::Named,
        c: all::Row,
        d: &str,
        e: Pose,
    ) {
        self.put((a, b, c, d, e));
    }

    fn plain(&mut self, _: &all::Binding, a: &[u8], b: &[i16], c: &[f64]) {
        self.put((a, b, c));
    }

    fn items(
        &mut self,
        _: &all::Binding,
        a: &[bool],
        b: &[all::Pair],
        c: &[&str],
        d: &[all::Named],
        e: &[Pose],
        f: &[all::Row],
    ) {
        self.put((a, b, c, d, e, f));
    }

    fn none(&mut self, _: &all::Binding) {
        self.put("none");
    }

    fn copied(&mut self, _: &all::Binding, a: Cap, b: all::Holder) {
        self.put((identity(&a), identity(&b.c), b.n));
    }

    fn mixed(&mut self, _: &all::Binding, a: Cap, b: Cap, why: &str, c: all::Holder, d: Cap) {
        self.put((identity(&a), identity(&b), why, identity(&c.c), c.n, identity(&d)));
    }

    fn given(&mut self, _: &all::Binding, g: all::Gift) {
        self.put((identity(&g.c), g.why));
    }

    fn r#type(&mut self, binding: &all::Binding, r#fn: u32) {
        self.put(r#fn);
        binding.tx_answer("ok").expect("the channel has room");
    }

    fn answer(&mut self, _: &all::Binding, s: &str) {
        self.put(s);
    }

    fn length(&mut self, _: &all::Binding, s: &str, reply: all::LengthReply) {
        match s {
            "later" => self.kept.borrow_mut().push(reply),
            "never" => drop(reply),
            s => reply.send(u32::try_from(s.len()).expect("the string is short")),
        }
    }

    fn many(&mut self, _: &all::Binding, n: all::Named, key: &[u8], reply: all::ManyReply) {
        let cap = cap();
        self.put(identity(&cap));
        let names: Vec<&str> = key.iter().map(|_| "x").collect();
        reply.send(&n.name, &[n.p, n.p], &cap, &names);
    }

    fn nothing(&mut self, _: &all::Binding, reply: all::NothingReply) {
        reply.send();
    }

    fn error(&mut self, _: &all::Binding, error: BindingError) {
        self.errors.borrow_mut().push(error);
    }
}

/// Two ends in this thread.
struct Ends {
    waitset: Waitset,
    client: all::Binding,
    _server: all::Binding,
    there: Rc<fake::Pipe>,
    back: Rc<fake::Pipe>,
    server: Recorder,
    client_side: Recorder,
}

impl Ends {
    fn new() -> Self {
        let (server, client_side) = (Recorder::default(), Recorder::default());
        let (waitset, (first, second, there, back)) = (Waitset::new(), fake::pair(usize::MAX));
        let client = all::over(Box::new(first), &waitset, client_side.share())
            .expect("a fake channel needs nothing watched");
        let _server = all::over(Box::new(second), &waitset, server.share())
            .expect("a fake channel needs nothing watched");
        Self { waitset, client, _server, there, back, server, client_side }
    }

    /// Dispatches until nothing happens.
    fn settle(&self) {
        for _ in 0..1000 {
            if !self.waitset.try_dispatch().expect("no callback fails") {
                return;
            }
        }
        panic!("the waitset never comes to rest");
    }

    /// What the server's handlers were given since the last time.
    fn received(&self) -> Vec<String> {
        self.settle();
        self.server.log.take()
    }

    /// Sends, and expects the handler to be given `expected`.
    fn expect(&self, sent: Result<flounder::Sent<'_>, TxError>, expected: impl Debug) {
        sent.expect("the channel has room");
        assert_eq!(self.received(), [format!("{expected:?}")]);
        assert_eq!(*self.server.errors.borrow(), []);
    }

    /// Puts a message on the channel that no client would send, and expects it to end the binding.
    fn forge(number: u16, words: &[u64], caps: Vec<Cap>, expected: DecodeError) {
        let ends = Self::new();
        let copies = caps.iter().map(|cap| cap.try_clone().expect("it can be copied")).collect();
        ends.there.messages.borrow_mut().push_back(Message { number, words: words.to_vec(), caps });
        assert_eq!(ends.received(), [""; 0], "{expected}");
        let message = all::INTERFACE.message_name(number);
        let error = BindingError::Decode { message, error: expected };
        assert_eq!(*ends.server.errors.borrow(), std::slice::from_ref(&error));
        Self::forge_for_nobody(Message { number, words: words.to_vec(), caps: copies }, &error);
    }

    /// A binding without handlers checks what it receives all the same.
    fn forge_for_nobody(message: Message, expected: &BindingError) {
        let (waitset, (_first, second, there, _back)) = (Waitset::new(), fake::pair(usize::MAX));
        let binding = all::over(Box::new(second), &waitset, ())
            .expect("a fake channel needs nothing watched");
        there.messages.borrow_mut().push_back(message);
        while waitset.try_dispatch().expect("no callback fails") {}
        assert_eq!(binding.ended().as_ref(), Some(expected));
    }
}

impl Recorder {
    fn share(&self) -> Self {
        Self {
            log: Rc::clone(&self.log),
            errors: Rc::clone(&self.errors),
            kept: Rc::clone(&self.kept),
        }
    }
}

fn cap() -> Cap {
    tempfile::tempfile().expect("a file can be made").into()
}

/// What a capability refers to.
fn identity(cap: &Cap) -> (u64, u64) {
    let file = File::from(cap.try_clone().expect("there are descriptors"));
    let data = file.metadata().expect("a file has metadata");
    (data.dev(), data.ino())
}

fn pair(a: u8, b: u64) -> all::Pair {
    all::Pair { a, b, c: all::Choice::Bar }
}

fn named(name: &str) -> all::Named {
    all::Named { name: name.to_owned(), p: pair(1, 2) }
}

fn pose(name: &str) -> Pose {
    let limbs =
        vec![Limb::Arm, Limb::Leg { toes: 5 }, Limb::Tail(None), Limb::Tail(Some(name.to_owned()))];
    Pose { name: name.to_owned(), at: [0.5, -1.0], limbs }
}

#[test]
fn numbers_go_through_at_their_limits() {
    let ends = Ends::new();
    let tx = &ends.client;
    let (a, b, c, d, e, f) = (i8::MIN, i16::MIN, i32::MIN, i64::MIN, isize::MIN, i32::MAX);
    ends.expect(tx.tx_signed(a, b, c, d, e, f), (a, b, c, d, e, f));
    let (a, b, c, d, e, f) = (i8::MAX, i16::MAX, i32::MAX, i64::MAX, isize::MAX, -1);
    ends.expect(tx.tx_signed(a, b, c, d, e, f), (a, b, c, d, e, f));
    let (a, b, c, d, e, f, g, h) =
        (u8::MAX, u16::MAX, u32::MAX, u64::MAX, usize::MAX, usize::MIN, b'x', true);
    ends.expect(tx.tx_unsigned(a, b, c, d, e, f, g, h), (a, b, c, d, e, f, g, h));
    ends.expect(tx.tx_unsigned(0, 0, 0, 0, 0, 0, 0, false), (0, 0, 0, 0, 0, 0, 0, false));
    for (a, b) in [(f32::MIN, f64::MAX), (f32::NAN, f64::NEG_INFINITY), (-0.0, f64::MIN_POSITIVE)] {
        ends.expect(tx.tx_floats(a, b), (a.to_bits(), b.to_bits()));
    }
    for bits in [1, u64::MAX] {
        let iref = Iref::from_bits(bits).expect("it is not zero");
        ends.expect(
            tx.tx_special(iref, Errval(bits), all::Choice::Baz),
            (iref, Errval(bits), all::Choice::Baz),
        );
    }
}

#[test]
fn values_of_every_type_go_through() {
    let ends = Ends::new();
    let tx = &ends.client;
    let (a, b, c, d, e) =
        (pair(255, u64::MAX), named("8 bytes!"), [1, 2, u16::MAX], "text", pose("standing"));
    ends.expect(tx.tx_structs(a, &b, &c, d, &e), (a, &b, c, d, &e));
    ends.expect(tx.tx_structs(a, &named(""), &c, "", &e), (a, named(""), c, "", &e));
    ends.expect(tx.tx_plain(&[1; 8], &[i16::MIN], &[1.5, -0.0]), ([1; 8], [i16::MIN], [1.5, -0.0]));
    ends.expect(tx.tx_plain(&[], &[], &[]), ([0; 0], [0; 0], [0; 0]));
    let (a, b, c) = ([true, false], [pair(1, 2), pair(3, 4)], ["", "one", "two words"]);
    let (d, e, f) = ([named("a"), named("bc")], [pose("x"), pose("y")], [[1, 2, 3]; 5]);
    ends.expect(tx.tx_items(&a, &b, &c, &d, &e, &f), (a, b, c, &d, &e, f));
    let empty = ([(); 0], [(); 0], [(); 0], [(); 0], [(); 0], [(); 0]);
    ends.expect(tx.tx_items(&[], &[], &[""; 0], &[], &[], &[]), empty);
    ends.expect(tx.tx_none(), "none");
    ends.expect(tx.tx_type(7), 7);
    assert_eq!(ends.client_side.log.take(), [format!("{:?}", "ok")]);
}

proptest! {
    #[test]
    fn random_values_go_through(
        a in any::<i8>(), b in any::<i16>(), c in any::<i32>(), d in any::<i64>(), e in any::<isize>(),
        text in "\\PC{0,40}", short in "[a-z]{0,8}",
        bytes in prop::collection::vec(any::<u8>(), 0..=8), numbers in prop::collection::vec(any::<i16>(), 0..100),
        flags in prop::collection::vec(any::<bool>(), 0..=4), words in any::<[u16; 3]>(),
        texts in prop::collection::vec("\\PC{0,12}", 0..=4),
    ) {
        let ends = Ends::new();
        let tx = &ends.client;
        ends.expect(tx.tx_signed(a, b, c, d, e, c), (a, b, c, d, e, c));
        let (p, n) = (pair(a.cast_unsigned(), d.cast_unsigned()), named(&short));
        ends.expect(tx.tx_structs(p, &n, &words, &text, &pose(&text)), (p, &n, words, &text, pose(&text)));
        ends.expect(tx.tx_plain(&bytes, &numbers, &[]), (&bytes, &numbers, [0; 0]));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let none: [Pose; 0] = [];
        let sent = tx.tx_items(&flags, &[p], &texts, std::slice::from_ref(&n), &none, &[words]);
        ends.expect(sent, (&flags, [p], &texts, [n], none, [words]));
    }
}

#[test]
fn words_lie_where_the_wire_says() {
    let ends = Ends::new();
    ends.client
        .tx_unsigned(0x11, 0x2222, 0x3333_3333, 4, 5, 6, 0x77, true)
        .expect("the channel has room");
    let message = ends.there.messages.borrow_mut().pop_front().expect("it was sent");
    // Eight-byte members first, then c, b, a, g, h from the less significant end.
    assert_eq!((message.number, message.words), (2, vec![4, 5, 6, 0x7711_2222_3333_3333, 0x01]));
    ends.client.tx_plain(&[1, 2, 3], &[-1], &[]).expect("the channel has room");
    let message = ends.there.messages.borrow_mut().pop_front().expect("it was sent");
    assert_eq!((message.number, message.words), (6, vec![0x1_0000_0003, 0, 0x03_0201, 0xffff]));
}

#[test]
fn capabilities_arrive_where_they_belong() {
    let ends = Ends::new();
    let (a, b, c, d) = (cap(), cap(), cap(), cap());
    let (ia, ib, ic, id) = (identity(&a), identity(&b), identity(&c), identity(&d));
    let holder = all::Holder { c, n: 9 };
    ends.expect(ends.client.tx_copied(&a, &holder), (ia, ic, 9));
    let moved = b.as_raw_fd();
    ends.client.tx_mixed(&a, b, "why", &holder, d).expect("the channel has room");
    {
        let messages = ends.there.messages.borrow();
        let caps = &messages[0].caps;
        assert_eq!(caps[1].as_raw_fd(), moved, "what is given away is moved, not copied");
    }
    assert_eq!(ends.received(), [format!("{:?}", (ia, ib, "why", ic, 9, id))]);
    let gift = all::Gift { c: holder.c, why: "so".to_owned() };
    ends.client.tx_given(gift).expect("the channel has room");
    assert_eq!(ends.received(), [format!("{:?}", (ic, "so"))]);
}

#[test]
fn what_is_given_away_comes_back_when_it_is_not_sent() {
    let ends = Ends::new();
    let holder = all::Holder { c: cap(), n: 1 };
    let (a, b, d) = (cap(), cap(), cap());
    let (ib, id) = (identity(&b), identity(&d));

    let rejected =
        ends.client.tx_mixed(&a, b, "too long", &holder, d).expect_err("the string is too long");
    let length = TooLong { len: 8, max: 4 };
    assert_eq!(rejected.error, TxError::TooLong { arg: "why", length });
    let (b, d) = rejected.given;
    assert_eq!((identity(&b), identity(&d)), (ib, id));

    ends.there.refuses.set(true);
    ends.client.tx_none().expect("the slot is free").then(|| ());
    let rejected = ends.client.tx_mixed(&a, b, "why", &holder, d).expect_err("the slot is taken");
    assert_eq!(rejected.error, TxError::Busy);
    let (b, d) = rejected.given;
    assert_eq!((identity(&b), identity(&d)), (ib, id));
    let gift = all::Gift { c: b, why: "so".to_owned() };
    let rejected = ends.client.tx_given(gift).expect_err("the slot is taken");
    assert_eq!((rejected.error, identity(&rejected.given.c)), (TxError::Busy, ib));

    ends.there.refuses.set(false);
    assert_eq!(ends.received(), [format!("{:?}", "none")]);
    ends.client.teardown();
    let rejected = ends.client.tx_given(rejected.given).expect_err("the binding has ended");
    assert_eq!((rejected.error, identity(&rejected.given.c)), (TxError::Closed, ib));
}

#[test]
fn values_over_their_maximum_are_not_sent() {
    let ends = Ends::new();
    let tx = &ends.client;
    let refused = |sent: Result<flounder::Sent<'_>, TxError>, arg, len, max| {
        assert_eq!(sent.err(), Some(TxError::TooLong { arg, length: TooLong { len, max } }));
    };
    let (p, row, standing) = (pair(0, 0), [0; 3], pose("x"));
    refused(tx.tx_structs(p, &named("nine byte"), &row, "", &standing), "b", 9, 8);
    refused(
        tx.tx_structs(p, &named(""), &row, &"x".repeat(65_537), &standing),
        "d",
        65_537,
        65_536,
    );
    refused(
        tx.tx_structs(p, &named(""), &row, "", &pose(&"x".repeat(65_537))),
        "e",
        65_537,
        65_536,
    );
    refused(tx.tx_plain(&[0; 9], &[], &[]), "a", 9, 8);
    refused(tx.tx_plain(&[], &vec![0; 65_537], &[]), "b", 65_537, 65_536);
    refused(tx.tx_plain(&[], &[], &[0.0; 4]), "c", 4, 3);
    refused(tx.tx_items(&[true; 5], &[], &[""; 0], &[], &[], &[]), "a", 5, 4);
    refused(tx.tx_items(&[], &[], &[""; 5], &[], &[], &[]), "c", 5, 4);
    refused(tx.tx_items(&[], &[], &[""; 0], &[named("nine byte")], &[], &[]), "d", 9, 8);
    refused(tx.tx_answer("five!"), "s", 5, 4);
    assert!(ends.there.messages.borrow().is_empty(), "nothing was sent");
    ends.expect(
        tx.tx_structs(p, &named(""), &row, &"x".repeat(65_536), &standing),
        (p, named(""), row, "x".repeat(65_536), &standing),
    );
}

#[test]
fn every_kind_of_bad_word_is_refused() {
    // special: iref, errval, choice
    Ends::forge(4, &[0, 0, 0], vec![], DecodeError::Iref);
    Ends::forge(4, &[1, 0, 3], vec![], DecodeError::Enum { name: "choice", value: 3 });
    Ends::forge(4, &[1, 0, 1 << 32], vec![], DecodeError::Padding);
    Ends::forge(4, &[1, 0], vec![], DecodeError::Short { need: 3, have: 2 });
    // unsigned: a boolean in the last word
    Ends::forge(2, &[0, 0, 0, 0, 2], vec![], DecodeError::Bool(2));
    Ends::forge(2, &[0, 0, 0, 0, 0x100], vec![], DecodeError::Padding);
    // answer: string[4]
    Ends::forge(13, &[5, 0], vec![], DecodeError::TooLong { len: 5, max: 4 });
    Ends::forge(13, &[4, 0xff], vec![], DecodeError::Utf8);
    Ends::forge(13, &[1, 0x6261], vec![], DecodeError::Padding);
    Ends::forge(13, &[1], vec![], DecodeError::Short { need: 1, have: 0 });
    Ends::forge(13, &[0, 0], vec![], DecodeError::Leftover { words: 1 });
    // copied: two capabilities
    Ends::forge(9, &[0], vec![cap()], DecodeError::MissingCap);
    // plain: three lengths of 32 bits, then their tails; a has at most eight elements
    Ends::forge(6, &[9, 0, 0, 0], vec![], DecodeError::TooLong { len: 9, max: 8 });
    // items: six lengths; the first is of booleans
    Ends::forge(7, &[1, 0, 0, 2], vec![], DecodeError::Bool(2));
    Ends::forge(7, &[1 << 32, 0, 0, 0], vec![], DecodeError::Short { need: 2, have: 1 });
}

/// Messages without capabilities, as the client puts them on the channel.
fn samples() -> Vec<Message> {
    let ends = Ends::new();
    let tx = &ends.client;
    let sent = [
        tx.tx_signed(-1, 2, -3, 4, -5, 6),
        tx.tx_unsigned(1, 2, 3, 4, 5, 6, 7, true),
        tx.tx_special(Iref::from_bits(9).expect("it is not zero"), Errval(1), all::Choice::Bar),
        tx.tx_structs(pair(1, 2), &named("name"), &[1, 2, 3], "a text", &pose("x")),
        tx.tx_plain(&[1, 2, 3], &[-1, 2], &[0.5]),
        tx.tx_items(
            &[true, false],
            &[pair(3, 4)],
            &["ab", ""],
            &[named("n")],
            &[pose("y")],
            &[[7; 3]],
        ),
        tx.tx_none(),
        tx.tx_type(1),
    ];
    assert!(sent.iter().all(Result::is_ok));
    ends.there.messages.borrow_mut().drain(..).collect()
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    // A receiver either refuses the words or reads another value: no value has two forms, and no bit is ignored.
    let receive = |number, words: &[u64]| {
        let ends = Ends::new();
        ends.there.messages.borrow_mut().push_back(Message {
            number,
            words: words.to_vec(),
            caps: vec![],
        });
        let received = ends.received();
        assert_eq!(
            received.is_empty(),
            !ends.server.errors.borrow().is_empty(),
            "either a value or an error"
        );
        received
    };
    for Message { number, words, .. } in samples() {
        let original = receive(number, &words);
        assert_eq!(original.len(), 1);
        for bit in 0..words.len() * 64 {
            let mut flipped = words.clone();
            flipped[bit / 64] ^= 1 << (bit % 64);
            assert_ne!(receive(number, &flipped), original, "message {number}, bit {bit}");
            // Two at a time: this one and one further on.
            let second = (bit * 7 + 13) % (words.len() * 64);
            flipped[second / 64] ^= 1 << (second % 64);
            if second != bit {
                assert_ne!(
                    receive(number, &flipped),
                    original,
                    "message {number}, bits {bit} and {second}"
                );
            }
        }
        for len in 0..words.len() {
            assert_eq!(
                receive(number, &words[..len]),
                [""; 0],
                "message {number} cut to {len} words"
            );
        }
    }
}

#[test]
fn messages_beyond_limits_are_refused_before_decoding() {
    for (number, words, caps) in [(13, 3, 0), (8, 1, 0), (8, 0, 1), (99, 0, 0)] {
        let ends = Ends::new();
        let caps = (0..caps).map(|_| cap()).collect();
        ends.there.messages.borrow_mut().push_back(Message { number, words: vec![0; words], caps });
        assert_eq!(ends.received(), [""; 0]);
        assert!(
            matches!(*ends.server.errors.borrow_mut(), ref errors if matches!(errors[..], [BindingError::Protocol(_)]))
        );
    }
}

#[test]
fn calls_get_their_replies() {
    let ends = Ends::new();
    let client = all::RpcClient::new(&ends.client);
    assert_eq!(
        ends.waitset.block_on(client.length_async("hello")).expect("no callback fails"),
        Ok(5)
    );
    assert_eq!(ends.waitset.block_on(client.nothing_async()).expect("no callback fails"), Ok(()));
    let answer = ends
        .waitset
        .block_on(client.many_async(&named("four"), &[1, 2]))
        .expect("no callback fails");
    let (s, found, cap, names) = answer.expect("the reply comes");
    assert_eq!((s.as_str(), found), ("four", vec![pair(1, 2); 2]));
    assert_eq!(names, ["x", "x"]);
    assert_eq!(ends.server.log.take(), [format!("{:?}", identity(&cap))]);
    let answer = ends.waitset.block_on(client.length_async("never")).expect("no callback fails");
    assert_eq!(answer, Err(RpcError::NoReply));
    let answer = ends
        .waitset
        .block_on(client.length_async("longer than sixteen"))
        .expect("no callback fails");
    let length = TooLong { len: 19, max: 16 };
    assert_eq!(answer, Err(RpcError::Tx(TxError::TooLong { arg: "s", length })));
    assert_eq!(
        client.length("longer than sixteen"),
        Err(RpcError::Tx(TxError::TooLong { arg: "s", length }))
    );
}

#[test]
fn replies_find_their_calls_in_any_order() {
    let ends = Ends::new();
    let client = all::RpcClient::new(&ends.client);
    let first = ends.waitset.spawn_local(client.length_async("later"));
    let second = ends.waitset.spawn_local(client.length_async("later"));
    ends.settle();
    let mut kept = ends.server.kept.take();
    assert_eq!(kept.len(), 2);
    kept.remove(1).send(2);
    kept.remove(0).send(1);
    assert_eq!(ends.waitset.block_on(first).expect("no callback fails"), Ok(1));
    assert_eq!(ends.waitset.block_on(second).expect("no callback fails"), Ok(2));
}

#[test]
fn a_reply_over_its_maximum_fails_the_call_and_is_reported() {
    let ends = Ends::new();
    let client = all::RpcClient::new(&ends.client);
    let answer =
        ends.waitset.block_on(client.many_async(&named("five!"), &[])).expect("no callback fails");
    assert_eq!(answer.err(), Some(RpcError::NoReply));
    ends.settle();
    let length = TooLong { len: 5, max: 4 };
    let expected = BindingError::Reply(TxError::TooLong { arg: "s", length });
    assert_eq!(*ends.server.errors.borrow(), [expected]);
}

#[test]
fn the_response_to_another_call_is_not_taken_for_this_one() {
    let ends = Ends::new();
    let client = all::RpcClient::new(&ends.client);
    let call = ends.waitset.spawn_local(client.length_async("later"));
    ends.settle();
    let id = 1;
    let nothing_response =
        all::INTERFACE.messages.iter().find(|message| message.name == "nothing_response");
    let number = nothing_response.expect("it is declared").number;
    ends.back.messages.borrow_mut().push_back(Message { number, words: vec![id], caps: vec![] });
    let answer = ends.waitset.block_on(call).expect("no callback fails");
    assert!(matches!(answer, Err(RpcError::Decode(_))), "{answer:?}");
}

#[test]
fn a_message_without_a_closure_is_reported() {
    let (waitset, (first, second, ..)) = (Waitset::new(), fake::pair(usize::MAX));
    let (log, errors) = (Log::default(), Rc::new(RefCell::new(Vec::new())));
    let (texts, reported) = (Rc::clone(&log), Rc::clone(&errors));
    let handlers = all::RxVtbl {
        answer: Some(Box::new(move |_, s| texts.borrow_mut().push(s.to_owned()))),
        error: Some(Box::new(move |_, error| reported.borrow_mut().push(error))),
        ..Default::default()
    };
    let client = all::over(Box::new(first), &waitset, all::RxVtbl::default())
        .expect("a fake channel needs nothing watched");
    let _server = all::over(Box::new(second), &waitset, handlers)
        .expect("a fake channel needs nothing watched");
    client.tx_answer("yes").expect("the channel has room");
    client.tx_none().expect("the channel has room");
    let call = waitset.spawn_local(all::RpcClient::new(&client).length_async("x"));
    while waitset.try_dispatch().expect("no callback fails") {}
    assert_eq!(log.take(), ["yes"]);
    let missing = |message| BindingError::NoHandler { message };
    assert_eq!(*errors.borrow(), [missing("none"), missing("length")]);
    assert_eq!(waitset.block_on(call).expect("no callback fails"), Err(RpcError::NoReply));
}

#[test]
fn descriptor_contains_what_was_declared() {
    let interface = all::INTERFACE;
    assert_eq!((interface.name, interface.description), ("all", "Everything"));
    let numbers: Vec<u16> = interface.messages.iter().map(|message| message.number).collect();
    assert_eq!(numbers, (1..=19).collect::<Vec<u16>>());
    assert_eq!(interface.fingerprint, flounder_rt::Interface::digest("all", interface.messages));
    assert_eq!(interface.fingerprint, 0xea77_d8e1_e311_9ece_38f2_9f18_c487_6106);
    let plain = &interface.messages[5];
    assert!(plain.form.starts_with("message plain(a:uint8[;8],"), "{}", plain.form);
    assert!(plain.args.starts_with("a: uint8[a_len, 8]"), "{}", plain.args);
    let first = plain.arguments().next().expect("it has arguments");
    assert_eq!((plain.name, first.name, first.ty), ("plain", "a", "uint8[a_len, 8]"));
    let given = &interface.messages[10];
    assert_eq!(given.form, "message given(g:{c:give_away_cap,why:string[4]})");
    let structs = &interface.messages[4];
    assert!(structs.form.ends_with(",e:extern#0)"), "{}", structs.form);
    let externs: Vec<String> = structs.externs.iter().map(|form| form.to_string()).collect();
    assert_eq!(externs, [POSE]);
    // answer: one word for the length, one for four bytes.
    assert_eq!((interface.limits[12].words, interface.limits[12].caps), (2, 0));
    assert_eq!((interface.limits[9].words, interface.limits[9].caps), (2, 4));
}
