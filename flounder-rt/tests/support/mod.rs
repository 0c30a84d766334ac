//! Bindings over a fake channel, and an interface written by hand.

#![allow(dead_code, unreachable_pub)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

#[allow(unused_imports)]
pub use flounder_conformance::fake::{FakeChannel, Pipe, pair};
use flounder_rt::binding::{Dispatch, Procedure, RawBinding, Received, Response, Timeout};
use flounder_rt::channel::MessageLimit;
use flounder_rt::interface::{Direction, MessageInfo, MessageKind};
use flounder_rt::wire::{Bulks, DecodeError};
use flounder_rt::{BindingError, Call, Cap, Interface, Local, Reply, Waitset};

/// `message note(uint64 value); message words(uint64 w[n, 100]); rpc double(in uint64 a, out uint64 b);`
pub const NOTE: u16 = 1;
pub const WORDS: u16 = 2;
pub const DOUBLE_CALL: u16 = 3;
pub const DOUBLE_RESPONSE: u16 = 4;

const fn message(number: u16, name: &'static str) -> MessageInfo {
    let kind = match number {
        DOUBLE_CALL => MessageKind::RpcCall { at: 0 },
        DOUBLE_RESPONSE => MessageKind::RpcResponse { at: 0 },
        _ => MessageKind::Message,
    };
    MessageInfo {
        number,
        name,
        kind,
        direction: Direction::Both,
        args: ARGS,
        form: "",
        externs: &[],
        annotations: &[],
        fingerprint: number as u128,
        limit: LIMIT,
        bulks: Bulks::NONE,
    }
}

/// Not looked at: the interface lists the limits.
const LIMIT: MessageLimit = MessageLimit { words: 0, caps: 0 };

const ARGS: &str = "value: uint64";
const MESSAGES: &[MessageInfo] = &[
    message(1, "note"),
    message(2, "words"),
    message(3, "double_call"),
    message(4, "double_response"),
];

pub const INTERFACE: &Interface = &Interface {
    name: "by_hand",
    description: "written by hand",
    messages: MESSAGES,
    limits: &[
        MessageLimit { words: 1, caps: 1 },
        MessageLimit { words: 101, caps: 0 },
        MessageLimit { words: 2, caps: 1 },
        MessageLimit { words: 2, caps: 1 },
    ],
    fingerprint: Interface::digest("by_hand", MESSAGES),
};

/// What happened at an end, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Note(u64),
    Words(usize),
    Call(u64),
    Error(BindingError),
    Continuation,
    Room,
}

pub type Log = Rc<RefCell<Vec<Seen>>>;
pub type Hook = Box<dyn FnMut(&RawBinding, u64)>;

/// Logs what comes, answers calls, and runs a hook on notes.
pub struct Handler {
    pub log: Log,
    pub hook: Option<Hook>,
}

impl Handler {
    pub fn logging(log: &Log) -> Box<Self> {
        Box::new(Self { log: Rc::clone(log), hook: None })
    }

    pub fn hooked(log: &Log, hook: impl FnMut(&RawBinding, u64) + 'static) -> Box<Self> {
        Box::new(Self { log: Rc::clone(log), hook: Some(Box::new(hook)) })
    }
}

impl Dispatch for Handler {
    fn deliver(&mut self, raw: &RawBinding, mut message: Received<'_>) -> Result<(), DecodeError> {
        let short = DecodeError::Short { need: 1, have: 0 };
        match message.number {
            NOTE => {
                let value = *message.words.first().ok_or(short)?;
                self.log.borrow_mut().push(Seen::Note(value));
                if let Some(hook) = &mut self.hook {
                    hook(raw, value);
                }
            }
            WORDS => self.log.borrow_mut().push(Seen::Words(message.words.len())),
            DOUBLE_CALL => {
                let [id, value] = *message.words else { return Err(short) };
                self.log.borrow_mut().push(Seen::Call(value));
                let reply =
                    flounder_rt::binding::ReplyToken::<Local>::new(raw, id as u32, DOUBLE_RESPONSE);
                match value {
                    13 => drop(reply),
                    14 => reply.send_caps(&[id, value * 2], &[], vec![null()]),
                    _ => reply.send(&[id, value * 2], &[]),
                }
            }
            DOUBLE_RESPONSE => raw.answer(&mut message, 0, 1)?,
            other => panic!("message {other}"),
        }
        Ok(())
    }

    fn error(&mut self, _endpoint: &RawBinding, error: BindingError) {
        self.log.borrow_mut().push(Seen::Error(error));
    }
}

/// The bindings of both ends, on one waitset.
pub struct Pair {
    pub ws: Waitset,
    pub client: RawBinding,
    pub service: RawBinding,
    /// What the service has seen.
    pub seen: Log,
    pub client_seen: Log,
    pub to_service: Rc<Pipe>,
    pub to_client: Rc<Pipe>,
}

impl Pair {
    pub fn new(room: usize) -> Self {
        Self::hooked(room, |_, _| {})
    }

    /// With a hook that the service runs on notes.
    pub fn hooked(room: usize, hook: impl FnMut(&RawBinding, u64) + 'static) -> Self {
        let ws = Waitset::new();
        let (near, far, to_service, to_client) = pair(room);
        let (seen, client_seen) = (Log::default(), Log::default());
        let attach = |channel, handler| {
            RawBinding::attach(Box::new(channel), &ws, INTERFACE, handler).expect("no descriptor")
        };
        let client = attach(near, Handler::logging(&client_seen));
        let service = attach(far, Handler::hooked(&seen, hook));
        Self { ws, client, service, seen, client_seen, to_service, to_client }
    }

    /// Dispatches until nothing is left to do.
    pub fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut quiet = 0;
        while quiet < 3 {
            assert!(Instant::now() < deadline, "the waitset does not come to rest");
            quiet = if self.ws.try_dispatch().expect("no callback fails") { 0 } else { quiet + 1 };
        }
    }

    pub fn log(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }
}

/// A capability.
pub fn null() -> Cap {
    Cap::from(std::fs::File::open("/dev/null").expect("it is there"))
}

/// The reply of `double`.
pub struct Doubled;

impl Reply for Doubled {
    type Values = u64;
    type Response = Self;
}

impl Response for Doubled {
    const NUMBER: u16 = DOUBLE_RESPONSE;
    const ID: usize = 0;
    const BULKS: Bulks = Bulks::NONE;
    type Values = u64;

    fn returned(message: Received<'_>) -> Result<u64, DecodeError> {
        Ok(message.words[1])
    }
}

/// The blocking client of `double`.
pub fn double(raw: &RawBinding, value: u64) -> Result<u64, flounder_rt::RpcError> {
    let id = raw.next_call();
    let words = [u64::from(id), value];
    let double = Procedure { call: DOUBLE_CALL, response: DOUBLE_RESPONSE, id: 0 };
    let timeout = Timeout::default();
    raw.call::<Doubled>(id, double, &words, &[], Vec::new(), timeout)
}

/// The asynchronous client of `double`.
pub fn double_async(raw: &RawBinding, value: u64) -> Call<Doubled> {
    let id = raw.next_call();
    let words = [u64::from(id), value];
    raw.call_async(id, DOUBLE_CALL, &words, &[], Vec::new(), Timeout::default())
}
