//! Messages of a program: how they are made, sent and compared.

use std::cell::Cell;
use std::fmt::Debug;
use std::os::fd::AsFd;
use std::rc::Rc;

use flounder::bulk::{Blob, BulkOwned};
use flounder::{Cap, Rejected, RpcError, Sent, TxError};

use crate::play;
use crate::program::{Body, Side, Then, Way};
use crate::session::Session;

/// Who had a message sent. Which of the two comes first depends on when room appears, and is no part of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Program,
    Handler,
}

/// A message that is to be sent.
pub(crate) struct TestMessage {
    pub(crate) body: Body,
    /// What makes its content.
    pub(crate) salt: u32,
    pub(crate) then: Then,
    pub(crate) origin: Origin,
    pub(crate) caps: Vec<Cap>,
    pub(crate) labels: Vec<u64>,
    /// The bytes of an echo.
    pub(crate) echo: Option<Vec<u8>>,
}

impl TestMessage {
    /// Tries to send it as the message number `at` of its end. On an error its capabilities are still there.
    pub(crate) fn attempt(
        &mut self,
        b: &play::Binding,
        at: u32,
        token: Option<Token>,
    ) -> Result<(), TxError> {
        let salt = self.salt;
        let sent = match self.body {
            Body::Tick => b.tx_tick(at),
            Body::Scalars(bits) => {
                let Scalars { a, b: byte, c, d, e, f, p } = Scalars::of(bits);
                b.tx_scalars(at, a, byte, c, d, e, f, p)
            }
            Body::Text(length) => b.tx_text(at, &text(length, salt)),
            Body::Bytes(length) => b.tx_bytes(at, &bytes(length, salt)),
            Body::Words(length) => b.tx_words(at, &words(length, salt)),
            Body::Pieces([s, h, n, t]) => {
                let halves: Vec<u16> = words(h, salt).iter().map(|word| *word as u16).collect();
                b.tx_pieces(at, &text(s, salt), &halves, &bytes(n, salt), &text(t, salt))
            }
            Body::Items([points, names]) => {
                let points = self::points(points, salt);
                let names = self::names(names, salt);
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                b.tx_items(at, &points, &names)
            }
            Body::Gift(length) => {
                let cap = self.caps.remove(0);
                match b.tx_gift(at, cap, &text(length, salt)) {
                    Ok(sent) => Ok(sent),
                    Err(Rejected { error, given, .. }) => {
                        self.caps.push(given);
                        Err(error)
                    }
                }
            }
            Body::Lent(length) => b.tx_lent(at, &self.caps[0], &words(length, salt)),
            Body::Seven => {
                let (f, c) = (self.caps.remove(5), self.caps.remove(2));
                let [a, b1, d, e, g] = &self.caps[..] else { unreachable!("seven less two") };
                match b.tx_seven(at, a, b1, c, d, e, f, g) {
                    Ok(sent) => Ok(sent),
                    Err(Rejected { error, given: (c, f), .. }) => {
                        self.caps.insert(2, c);
                        self.caps.insert(5, f);
                        Err(error)
                    }
                }
            }
            Body::Parts(length) => {
                let g = self.caps.pop();
                let Parts { s, w, u, p } = Parts::of(length, salt);
                let [c, list @ ..] = &self.caps[..] else { unreachable!("four less one") };
                match b.tx_parts(at, s.as_deref(), w.as_deref(), &u, p, Some(c), list, g) {
                    Ok(sent) => Ok(sent),
                    Err(Rejected { error, given, .. }) => {
                        self.caps.extend(given);
                        Err(error)
                    }
                }
            }
            Body::Data([one, other]) => {
                let [one, other] = [one, other].map(|(way, length)| data(b, way, length, salt));
                b.tx_data(at, one, other).map_err(|rejected| rejected.error)
            }
            Body::Sealed(length) => {
                let cap = self.caps.remove(0);
                match b.tx_sealed(at, data(b, Way::Sealed, length, salt), cap) {
                    Ok(sent) => Ok(sent),
                    Err(Rejected { error, given: (_, cap), .. }) => {
                        self.caps.push(cap);
                        Err(error)
                    }
                }
            }
            Body::Echo(length) => match &self.echo {
                Some(bytes) => b.tx_echoed(at, bytes),
                None => b.tx_echo(at, &bytes(length, salt)),
            },
        };
        let held: Vec<u64> = self.caps.iter().map(label_of).collect();
        match sent {
            Ok(sent) => {
                continue_with(sent, token);
                self.caps.clear();
                Ok(())
            }
            Err(error) => {
                assert_eq!(held, self.labels, "capabilities come back from a send that is refused");
                Err(error)
            }
        }
    }

    /// Description that the handler will report.
    pub(crate) fn described(&self) -> String {
        let salt = self.salt;
        match self.body {
            Body::Tick => "tick".to_owned(),
            Body::Scalars(bits) => Scalars::of(bits).described(),
            Body::Text(length) => described("text", text(length, salt).as_bytes(), &[]),
            Body::Bytes(length) => described("bytes", &bytes(length, salt), &[]),
            Body::Words(length) => described("words", &raw(&words(length, salt)), &[]),
            Body::Pieces([s, h, n, t]) => {
                let halves: Vec<u16> = words(h, salt).iter().map(|word| *word as u16).collect();
                pieces(&text(s, salt), &halves, &bytes(n, salt), &text(t, salt))
            }
            Body::Items([points, names]) => {
                let names = self::names(names, salt);
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                items(&self::points(points, salt), &names)
            }
            Body::Parts(length) => {
                let Parts { s, w, u, p } = Parts::of(length, salt);
                parts(s.as_deref(), w.as_deref(), &u, p, &self.labels)
            }
            Body::Gift(length) => described("gift", text(length, salt).as_bytes(), &self.labels),
            Body::Lent(length) => described("lent", &raw(&words(length, salt)), &self.labels),
            Body::Data([(_, one), (_, other)]) => {
                described("data", &[bytes(one, salt), bytes(other, salt)].concat(), &[])
            }
            Body::Sealed(length) => described("sealed", &bytes(length, salt), &self.labels),
            Body::Seven => described("seven", &[], &self.labels),
            Body::Echo(length) => match &self.echo {
                Some(bytes) => described("echoed", bytes, &[]),
                None => described("echo", &bytes(length, salt), &[]),
            },
        }
    }
}

fn continue_with(sent: Sent<'_>, token: Option<Token>) {
    if let Some(token) = token {
        sent.then(move || token.run());
    }
}

/// What a continuation holds: counts whether it runs or is dropped.
pub(crate) struct Token {
    pub(crate) session: Rc<Session>,
    pub(crate) side: Side,
    pub(crate) salt: u32,
    pub(crate) ran: Cell<bool>,
}

impl Token {
    fn run(&self) {
        self.ran.set(true);
        self.session.ends[self.side as usize].ran.borrow_mut().push(self.salt);
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if !self.ran.get() {
            let end = &self.session.ends[self.side as usize];
            end.dropped.set(end.dropped.get() + 1);
        }
    }
}

pub(crate) struct Scalars {
    pub(crate) a: bool,
    pub(crate) b: u8,
    pub(crate) c: i16,
    pub(crate) d: i64,
    pub(crate) e: f64,
    pub(crate) f: play::Colour,
    pub(crate) p: play::Point,
}

impl Scalars {
    fn of(bits: u64) -> Self {
        let colours = [play::Colour::Red, play::Colour::Green, play::Colour::Blue];
        let colour = |n: u64| colours[(n % 3) as usize];
        Self {
            a: bits & 1 == 1,
            b: bits as u8,
            c: bits as i16,
            d: bits as i64,
            e: bits as f64,
            f: colour(bits >> 3),
            p: play::Point { x: bits as u32, y: (bits >> 9) as u8, c: colour(bits >> 7) },
        }
    }

    pub(crate) fn described(&self) -> String {
        let Self { a, b, c, d, e, f, p } = self;
        format!("scalars {a} {b} {c} {d} {e} {f:?} {p:?}")
    }
}

/// Values that are there or missing, and one of a union.
struct Parts {
    s: Option<String>,
    w: Option<Vec<u64>>,
    u: play::Any,
    p: Option<play::Point>,
}

impl Parts {
    fn of(length: usize, salt: u32) -> Self {
        let point = Scalars::of(u64::from(salt)).p;
        Self {
            s: length.is_multiple_of(2).then(|| text(length * 5, salt)),
            w: length.is_multiple_of(3).then(|| words(length, salt)),
            u: match length % 5 {
                0 => play::Any::Number(salt),
                1 | 2 => play::Any::Text(text(length / 2, salt)),
                _ => play::Any::P(point),
            },
            p: length.is_multiple_of(7).then_some(point),
        }
    }
}

pub(crate) fn parts(
    s: Option<&str>,
    w: Option<&[u64]>,
    u: &play::Any,
    p: Option<play::Point>,
    labels: &[u64],
) -> String {
    let (s, w) = (s.map(|s| digest(s.as_bytes())), w.map(|w| digest(&raw(w))));
    format!("parts {s:?} {w:?} {} {p:?} {labels:?}", digest(format!("{u:?}").as_bytes()))
}

/// Bulk data to be passed in this way, if that is possible now; otherwise as bytes, which receivers cannot tell.
pub(crate) fn data(b: &play::Binding, way: Way, length: usize, salt: u32) -> BulkOwned {
    let bytes = bytes(length, salt);
    match way {
        Way::Buffer => match b.pool().and_then(|pool| pool.take(length)) {
            Ok(mut buffer) => {
                buffer.copy_from_slice(&bytes);
                buffer.into()
            }
            Err(_) => bytes.into(),
        },
        Way::Sealed if length > 0 => {
            let blob = Blob::build(length, |memory| memory.copy_from_slice(&bytes));
            blob.expect("there is memory").into()
        }
        Way::Bytes | Way::Sealed => bytes.into(),
    }
}

fn bytes(length: usize, salt: u32) -> Vec<u8> {
    (0..length as u32).map(|i| i.wrapping_mul(31).wrapping_add(salt) as u8).collect()
}

pub(crate) fn text(length: usize, salt: u32) -> String {
    (0..length as u32).map(|i| char::from(b' ' + ((i * 7 + salt % 95) % 95) as u8)).collect()
}

fn words(length: usize, salt: u32) -> Vec<u64> {
    let word = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(salt);
    (0..length as u64).map(word).collect()
}

fn points(length: usize, salt: u32) -> Vec<play::Point> {
    let salt = u64::from(salt);
    words(length, 1).iter().map(|word| Scalars::of(word ^ salt).p).collect()
}

fn names(length: usize, salt: u32) -> Vec<String> {
    (0..length as u32).map(|i| text((i * 13 % 70) as usize, salt)).collect()
}

pub(crate) fn raw(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("{} bytes {:08x}", bytes.len(), crc32fast::hash(bytes))
}

pub(crate) fn described(name: &str, bytes: &[u8], labels: &[u64]) -> String {
    format!("{name} {} {labels:?}", digest(bytes))
}

pub(crate) fn pieces(s: &str, h: &[u16], n: &[u8], t: &str) -> String {
    let halves: Vec<u8> = h.iter().flat_map(|half| half.to_ne_bytes()).collect();
    let parts = [s.as_bytes(), &halves, n, t.as_bytes()].map(digest);
    format!("pieces {}", parts.join(", "))
}

pub(crate) fn items(points: &[play::Point], names: &[&str]) -> String {
    let points = format!("{points:?}");
    format!("items {}, {}", digest(points.as_bytes()), digest(names.join("\n").as_bytes()))
}

/// A file that any process can identify.
pub(crate) fn labelled(label: u64) -> Cap {
    let file = rustix::fs::memfd_create("label", rustix::fs::MemfdFlags::CLOEXEC)
        .expect("there are descriptors to spare");
    rustix::io::pwrite(&file, &label.to_ne_bytes(), 0).expect("a new file can be written");
    Cap::from(file)
}

pub(crate) fn label_of(cap: &Cap) -> u64 {
    let mut label = [0; 8];
    match rustix::io::pread(cap.as_fd(), &mut label, 0) {
        Ok(_) => u64::from_ne_bytes(label),
        Err(error) => panic!("a capability is not the file that was sent: {error}"),
    }
}

pub(crate) fn shown(result: Result<impl Debug, RpcError>) -> String {
    format!("{result:?}")
}
