//! Messages with more arguments than the runtime has tuples for (16): generated code lists the arguments itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use flounder::{CallbackError, Cap, TxError, Waitset};

flounder::flounder! {
    interface long "Many arguments" {
        message note(
            uint8 a, uint64 b, uint16 c, uint32 d, string e[8], uint8 f, uint64 g, uint16 h, uint32 i, uint8 j[j_len, 4],
            uint8 k, uint64 l, uint16 m, uint32 n, string o[8], give_away_cap p, bool q, int8 r);
        rpc sums(
            in uint8 a, in uint64 b, in uint16 c, in uint32 d, in string e[8], in uint8 f, in uint64 g, in uint16 h,
            in uint32 i, in uint8 j, in uint64 k, in uint16 l, in uint32 m, in uint8 n, in uint64 o, in uint16 p,
            out uint64 all, out string text[8]);
    };
}

/// What the handlers were given, as text.
#[derive(Clone, Default)]
struct Service(Rc<RefCell<Vec<String>>>);

/// The arguments of `note`, but for the capability, and those of a call with the results.
const NOTE: &str =
    r#"(1, 2, 3, 4, "five", 6)(7, 8, 9, [10])(11, 12, 13, 14, "fifteen", true, -18)"#;

#[rustfmt::skip]
impl long::Rx for Service {
    fn note(
        &mut self, _: &long::Binding, a: u8, b: u64, c: u16, d: u32, e: &str, f: u8, g: u64, h: u16, i: u32, j: &[u8],
        k: u8, l: u64, m: u16, n: u32, o: &str, p: Cap, q: bool, r: i8,
    ) {
        drop(p);
        let seen =
            format!("{:?}{:?}{:?}", (a, b, c, d, e, f), (g, h, i, j), (k, l, m, n, o, q, r));
        self.0.borrow_mut().push(seen);
    }

    fn sums(
        &mut self, _: &long::Binding, a: u8, b: u64, c: u16, d: u32, e: &str, f: u8, g: u64, h: u16, i: u32, j: u8,
        k: u64, l: u16, m: u32, n: u8, o: u64, p: u16, reply: long::SumsReply,
    ) {
        let small = u64::from(a) + u64::from(f) + u64::from(j) + u64::from(n);
        let middle = u64::from(c + h + l + p) + u64::from(d + i + m);
        reply.send(small + middle + b + g + k + o, e);
    }
}

#[rustfmt::skip]
impl long::AsyncRx for Service {
    async fn note(
        &self, b0: &long::Binding, a: u8, b: u64, c: u16, d: u32, e: String, f: u8, g: u64, h: u16, i: u32, j: Vec<u8>,
        k: u8, l: u64, m: u16, n: u32, o: String, p: Cap, q: bool, r: i8,
    ) {
        long::Rx::note(&mut self.clone(), b0, a, b, c, d, &e, f, g, h, i, &j, k, l, m, n, &o, p, q, r);
    }

    async fn sums(
        &self, _: &long::Binding, a: u8, b: u64, c: u16, d: u32, e: String, f: u8, g: u64, h: u16, i: u32, j: u8,
        k: u64, l: u16, m: u32, n: u8, o: u64, p: u16,
    ) -> Result<(u64, String), CallbackError> {
        let small = u64::from(a) + u64::from(f) + u64::from(j) + u64::from(n);
        let middle = u64::from(c + h + l + p) + u64::from(d + i + m);
        Ok((small + middle + b + g + k + o, e))
    }
}

fn cap() -> Cap {
    Cap::from(std::fs::File::open("/dev/null").expect("it is there"))
}

/// A client of a service with these handlers.
fn bind<X: long::Handlers>(
    ws: &Waitset,
    handlers: impl Fn() -> X + 'static,
) -> long::ClientBinding {
    let export = long::export(ws, move |_| Ok(handlers()));
    let iref = export.wait().expect("it can be exported").iref();
    long::bind(iref, ws, ()).driver("loopback").wait().expect("it can be bound to")
}

fn note(binding: &long::ClientBinding, text: &str) -> Result<(), TxError> {
    let sent = binding.tx_note(
        1,
        2,
        3,
        4,
        text,
        6,
        7,
        8,
        9,
        &[10],
        11,
        12,
        13,
        14,
        "fifteen",
        cap(),
        true,
        -18,
    );
    sent.map(drop).map_err(|rejected| rejected.error)
}

/// Sends and calls, and sees that all arrives.
fn talk(ws: &Waitset, binding: &long::ClientBinding, service: &Service) {
    let refused = note(binding, "far too long");
    assert!(matches!(refused, Err(TxError::TooLong { arg: "e", .. })), "{refused:?}");
    note(binding, "five").expect("there is room");
    let client = long::RpcClient::new(binding).timeout(Duration::from_secs(10));
    let sums = client.sums(1, 2, 3, 4, "five", 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    assert_eq!(sums, Ok((131, "five".to_owned())));
    let sums = client.sums_async(1, 2, 3, 4, "six", 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    assert_eq!(ws.block_on(sums).expect("no callback fails"), Ok((131, "six".to_owned())));
    assert_eq!(*service.0.borrow(), [NOTE]);
}

#[test]
fn long_messages_reach_handlers() {
    let (ws, service) = (Waitset::new(), Service::default());
    let handlers = service.clone();
    let binding = bind(&ws, move || handlers.clone());
    talk(&ws, &binding, &service);
}

#[test]
fn long_messages_reach_handlers_that_are_futures() {
    let (ws, service) = (Waitset::new(), Service::default());
    let handlers = service.clone();
    let binding = bind(&ws, move || flounder::Async(handlers.clone()));
    talk(&ws, &binding, &service);
}

#[test]
fn long_messages_are_values() {
    let words = {
        let e = String::from("five");
        let o = String::from("fifteen");
        let note = long::Message::Note {
            a: 1,
            b: 2,
            c: 3,
            d: 4,
            e,
            f: 6,
            g: 7,
            h: 8,
            i: 9,
            j: vec![10],
            k: 11,
            l: 12,
            m: 13,
            n: 14,
            o,
            p: cap(),
            q: true,
            r: -18,
        };
        flounder::message::MessageBuffer::encode(&note).expect("it is not too long")
    };
    // The largest alignments first, each in the order of declaration, then the tails.
    assert_eq!(words.words[..3], [2, 7, 12]);
    assert_eq!(words.words[3..6], [4 | 4 << 32, 9 | 1 << 32, 14 | 7 << 32]);
    assert_eq!(words.words.len(), 8 + 3);
    assert_eq!(words.caps.len(), 1);
    let read = words.decode::<long::Message>().expect("it is what was written");
    assert!(
        format!("{read:?}").starts_with("Note { a: 1, b: 2, c: 3, d: 4, e: \"five\""),
        "{read:?}"
    );
}
