//! Received arguments are forwarded without conversion: every type of argument, from handlers and from callers.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use flounder::{CallbackError, Cap, FlounderMessage, Peer, Waitset};

const PATIENCE: Duration = Duration::from_secs(20);

/// A type from Rust.
#[derive(Debug, Clone, PartialEq, FlounderMessage)]
pub struct Note {
    names: Vec<String>,
    extra: Option<u32>,
}

flounder::flounder! {
    @symmetric
    interface words "Every type of argument" {
        use crate::Note as note;
        typedef enum { RED, GREEN } color;
        typedef struct { uint32 a; color b; } plain;
        typedef struct { string s[9]; uint32 n; } item;
        typedef struct { uint32 n; give_away_cap c; } gift;
        typedef uint16 row[3];
        typedef string lines[2];
        message put(uint32 n, color c, plain p, item i, row r, lines l, note o, string s, string few[8], string all[count],
                    uint8 d[length], bool flags[amount], plain ps[number], item items[total], note notes[sum]);
        message give(cap kept, give_away_cap moved, gift g);
        rpc turn(in string all[n], in item i, in uint8 d[m], in string s, out string all[n], out item i, out uint8 d[m], out string s);
        rpc swap(in cap kept, in give_away_cap moved, out cap kept, out give_away_cap moved);
    };
}

/// Passes everything on, with handlers that are futures.
struct Proxy(words::Binding);

impl words::AsyncRx for Proxy {
    async fn put(
        &self,
        _: &words::Binding,
        n: u32,
        c: words::Color,
        p: words::Plain,
        i: words::Item,
        r: words::Row,
        l: words::Lines,
        o: Note,
        s: String,
        few: String,
        all: Vec<String>,
        d: Vec<u8>,
        flags: Vec<bool>,
        ps: Vec<words::Plain>,
        items: Vec<words::Item>,
        notes: Vec<Note>,
    ) {
        let sent = self
            .0
            .send_put(n, c, p, &i, &r, &l, &o, &s, &few, &all, &d, &flags, &ps, &items, &notes);
        sent.await.expect("the next one lives");
    }

    async fn give(&self, _: &words::Binding, kept: Cap, moved: Cap, g: words::Gift) {
        self.0.send_give(&kept, moved, g).await.expect("the next one lives");
    }

    async fn turn(
        &self,
        _: &words::Binding,
        all: Vec<String>,
        i: words::Item,
        d: Vec<u8>,
        s: String,
    ) -> Result<(Vec<String>, words::Item, Vec<u8>, String), CallbackError> {
        Ok(words::RpcClient::new(&self.0).turn_async(&all, &i, &d, &s).await?)
    }

    async fn swap(
        &self,
        _: &words::Binding,
        kept: Cap,
        moved: Cap,
    ) -> Result<(Cap, Cap), CallbackError> {
        Ok(words::RpcClient::new(&self.0).swap_async(&kept, moved).await?)
    }
}

/// Sends back what it gets, with plain handlers.
#[derive(Default)]
struct Echo {
    heard: Rc<RefCell<Vec<String>>>,
}

impl words::Rx for Echo {
    fn put(
        &mut self,
        binding: &words::Binding,
        n: u32,
        c: words::Color,
        p: words::Plain,
        i: words::Item,
        r: words::Row,
        l: words::Lines,
        o: Note,
        s: &str,
        few: &str,
        all: &[&str],
        d: &[u8],
        flags: &[bool],
        ps: &[words::Plain],
        items: &[words::Item],
        notes: &[Note],
    ) {
        self.heard.borrow_mut().push(format!(
            "{n} {c:?} {p:?} {i:?} {r:?} {l:?} {o:?} {s} {few} {all:?} {d:?} {flags:?} {ps:?} {items:?} {notes:?}"
        ));
        let sent = binding.tx_put(n, c, p, &i, &r, &l, &o, s, few, all, d, flags, ps, items, notes);
        sent.expect("there is room");
    }

    fn give(&mut self, binding: &words::Binding, kept: Cap, moved: Cap, g: words::Gift) {
        self.heard.borrow_mut().push(format!("gift {}", g.n));
        binding.tx_give(&kept, moved, g).expect("there is room");
    }

    fn turn(
        &mut self,
        _: &words::Binding,
        all: &[&str],
        i: words::Item,
        d: &[u8],
        s: &str,
        reply: words::TurnReply,
    ) {
        reply.send(all, &i, d, s);
    }

    fn swap(&mut self, _: &words::Binding, kept: Cap, moved: Cap, reply: words::SwapReply) {
        reply.send(&kept, moved);
    }
}

fn cap() -> Cap {
    Cap::from(std::fs::File::open("/dev/null").expect("null"))
}

#[test]
fn every_argument_can_be_passed_on() {
    let ws = Waitset::new();
    let echo = Echo::default();
    let heard = Rc::clone(&echo.heard);
    let (echo, ends) = (RefCell::new(Some(echo)), Echo::default());
    let back = Rc::clone(&ends.heard);
    let last = words::export(&ws, move |_: &Peer| Ok(echo.take().expect("one client")));
    let last = last.wait().expect("it can be exported");
    // What the echo sends back ends with the proxy's own handler, which writes it down.
    let behind = words::bind(last.iref(), &ws, ends).wait().expect("it is in this thread");
    let proxy = RefCell::new(Some(behind));
    let middle = words::export(&ws, move |_: &Peer| {
        Ok(flounder::Async(Proxy(proxy.take().expect("one client"))))
    });
    let middle = middle.wait().expect("it can be exported");
    let binding = words::bind(middle.iref(), &ws, ()).wait();
    let binding = binding.expect("it is in this thread");

    let item = |s: &str| words::Item { s: s.into(), n: 7 };
    let plain = words::Plain { a: 1, b: words::Color::Green };
    let note = Note { names: vec!["x".into(), String::new()], extra: Some(9) };
    let sent = binding.tx_put(
        5,
        words::Color::Red,
        plain,
        &item("one"),
        &[1, 2, 3],
        &["a".into(), "b".into()],
        &note,
        "text",
        "few",
        &["lent", ""],
        &[1, 2],
        &[true],
        &[plain],
        &[item("two")],
        std::slice::from_ref(&note),
    );
    sent.expect("there is room");
    binding.tx_give(&cap(), cap(), words::Gift { n: 3, c: cap() }).expect("there is room");
    let deadline = std::time::Instant::now() + PATIENCE;
    let came = ws.dispatch_until(Some(deadline), || back.borrow().len() == 2);
    assert!(came.expect("no callback fails"), "only {:?} came back", back.borrow());
    assert_eq!(*heard.borrow(), *back.borrow());
    assert!(heard.borrow()[0].contains(r#"["lent", ""]"#), "{:?}", heard.borrow());

    let client = words::RpcClient::new(&binding).timeout(PATIENCE);
    let first = client.turn(&["a", "b"], &item("x"), &[1], "s").expect("it is answered");
    let (all, i, d, s) = &first;
    // What an rpc returned goes into the next call.
    assert_eq!(client.turn(all, i, d, s).expect("it is answered"), first);
    let call = client.turn_async(all, i, d, s);
    assert_eq!(ws.block_on(call).expect("no callback fails").expect("it is answered"), first);
    let (kept, moved) = client.swap(&cap(), cap()).expect("it is answered");
    client.swap(&kept, moved).expect("it is answered");
    let message =
        words::Message::TurnCall { id: 1, all: first.0, i: first.1, d: first.2, s: first.3 };
    let encoded = flounder::message::MessageBuffer::encode(&message).expect("nothing is too long");
    let decoded = encoded.decode::<words::Message>();
    assert_eq!(decoded.expect("it was encoded"), message);
}

#[test]
fn an_array_of_owned_strings_keeps_its_maximum() {
    let ws = Waitset::new();
    let exported = words::export(&ws, |_: &Peer| Ok(words::RxVtbl::default())).wait();
    let iref = exported.as_ref().expect("it can be exported").iref();
    let binding = words::bind(iref, &ws, ()).wait().expect("it is here");
    let client = words::RpcClient::new(&binding);
    let long = vec![String::new(); 65_537];
    let item = words::Item { s: String::new(), n: 0 };
    let error = client.turn(&long, &item, &[], "").expect_err("it is too long");
    assert_eq!(
        format!("{error:?}"),
        "argument all is too long: length 65537 is over the maximum of 65536"
    );
}

flounder::flounder! {
    @symmetric interface parts "Values that may be missing, and arrays without a typedef" {
        const size MAX = 4;
        typedef struct { uint8 key[16]; optional string note[32]; uint8 value[length, 64]; } entry;
        typedef union { uint32 number; string text[8]; entry whole; cap file; } any;
        typedef struct { cap files[n, 2]; optional give_away_cap last; } bag;
        message put(optional uint32 n, optional string s[9], optional entry e, optional uint16 row[3],
                    optional uint8 bytes[length], optional string all[count, MAX], optional entry entries[total],
                    optional i128 wide[amount, MAX], uint8 id[16], entry fixed[2]);
        message give(optional cap kept, optional give_away_cap moved);
        message one(any value, optional any other);
        message all(cap kept[n, 3], give_away_cap moved[m, 3], optional cap some[k, 2], optional give_away_cap gone[l, 2],
                    cap fixed[2], bag bags[b, 2]);
        rpc look(in optional string key, out optional entry found, out optional string lines[n]);
    };
}

/// Passes everything on, with handlers that are futures.
struct PartsProxy(parts::Binding);

impl parts::AsyncRx for PartsProxy {
    async fn put(
        &self,
        _: &parts::Binding,
        n: Option<u32>,
        s: Option<String>,
        e: Option<parts::Entry>,
        row: Option<[u16; 3]>,
        bytes: Option<Vec<u8>>,
        all: Option<Vec<String>>,
        entries: Option<Vec<parts::Entry>>,
        wide: Option<Vec<i128>>,
        id: [u8; 16],
        fixed: [parts::Entry; 2],
    ) {
        let (s, e, row, bytes) = (s.as_deref(), e.as_ref(), row.as_ref(), bytes.as_deref());
        let (all, entries, wide) = (all.as_deref(), entries.as_deref(), wide.as_deref());
        let sent = self.0.send_put(n, s, e, row, bytes, all, entries, wide, &id, &fixed);
        sent.await.expect("the next one lives");
    }

    async fn give(&self, _: &parts::Binding, kept: Option<Cap>, moved: Option<Cap>) {
        self.0.send_give(kept.as_ref(), moved).await.expect("the next one lives");
    }

    async fn one(&self, _: &parts::Binding, value: parts::Any, other: Option<parts::Any>) {
        self.0.send_one(&value, other.as_ref()).await.expect("the next one lives");
    }

    async fn all(
        &self,
        _: &parts::Binding,
        kept: Vec<Cap>,
        moved: Vec<Cap>,
        some: Option<Vec<Cap>>,
        gone: Option<Vec<Cap>>,
        fixed: [Cap; 2],
        bags: Vec<parts::Bag>,
    ) {
        let sent = self.0.send_all(&kept, moved, some.as_deref(), gone, &fixed, bags);
        sent.await.expect("the next one lives");
    }

    async fn look(
        &self,
        _: &parts::Binding,
        key: Option<String>,
    ) -> Result<(Option<parts::Entry>, Option<Vec<String>>), CallbackError> {
        Ok(parts::RpcClient::new(&self.0).look_async(key.as_deref()).await?)
    }
}

/// Writes down what it gets, with plain handlers, sends it back if told so, and answers with what it has.
#[derive(Default)]
struct PartsEcho {
    heard: Rc<RefCell<Vec<String>>>,
    sends_back: bool,
    entries: Vec<(String, parts::Entry)>,
}

impl parts::Rx for PartsEcho {
    fn put(
        &mut self,
        binding: &parts::Binding,
        n: Option<u32>,
        s: Option<&str>,
        e: Option<parts::Entry>,
        row: Option<[u16; 3]>,
        bytes: Option<&[u8]>,
        all: Option<&[&str]>,
        entries: Option<&[parts::Entry]>,
        wide: Option<&[i128]>,
        id: [u8; 16],
        fixed: [parts::Entry; 2],
    ) {
        self.heard.borrow_mut().push(format!(
            "{n:?} {s:?} {e:?} {row:?} {bytes:?} {all:?} {entries:?} {wide:?} {id:?} {fixed:?}"
        ));
        if self.sends_back {
            let (e, row) = (e.as_ref(), row.as_ref());
            let sent = binding.tx_put(n, s, e, row, bytes, all, entries, wide, &id, &fixed);
            sent.expect("there is room");
        }
    }

    fn give(&mut self, binding: &parts::Binding, kept: Option<Cap>, moved: Option<Cap>) {
        self.heard.borrow_mut().push(format!("{} {}", kept.is_some(), moved.is_some()));
        if self.sends_back {
            binding.tx_give(kept.as_ref(), moved).expect("there is room");
        }
    }

    fn one(&mut self, binding: &parts::Binding, value: parts::Any, other: Option<parts::Any>) {
        let shown = |value: &parts::Any| match value {
            parts::Any::File(_) => "a file".to_owned(),
            other => format!("{other:?}"),
        };
        self.heard.borrow_mut().push(format!("{} {:?}", shown(&value), other.as_ref().map(shown)));
        if self.sends_back {
            binding.tx_one(&value, other.as_ref()).expect("there is room");
        }
    }

    fn all(
        &mut self,
        binding: &parts::Binding,
        kept: Vec<Cap>,
        moved: Vec<Cap>,
        some: Option<Vec<Cap>>,
        gone: Option<Vec<Cap>>,
        fixed: [Cap; 2],
        bags: Vec<parts::Bag>,
    ) {
        let count = |caps: &Option<Vec<Cap>>| caps.as_ref().map(Vec::len);
        let in_bags = bags.iter().map(|bag| (bag.files.len(), bag.last.is_some()));
        let in_bags: Vec<_> = in_bags.collect();
        self.heard.borrow_mut().push(format!(
            "{} {} {:?} {:?} {in_bags:?}",
            kept.len(),
            moved.len(),
            count(&some),
            count(&gone)
        ));
        if self.sends_back {
            let sent = binding.tx_all(&kept, moved, some.as_deref(), gone, &fixed, bags);
            sent.expect("there is room");
        }
    }

    fn look(&mut self, _: &parts::Binding, key: Option<&str>, reply: parts::LookReply) {
        let found = self.entries.iter().find(|(known, _)| key == Some(known));
        let lines: Option<&[&str]> = if key.is_some() { Some(&["two", "lines"]) } else { None };
        reply.send(found.map(|(_, entry)| entry), lines);
    }
}

#[test]
fn optional_values_and_arrays_can_be_passed_on() {
    let ws = Waitset::new();
    let entry = parts::Entry { key: [7; 16], note: Some("n".into()), value: vec![1, 2] };
    let plain = parts::Entry { key: [8; 16], note: None, value: Vec::new() };
    let entries = vec![("k".to_owned(), entry.clone())];
    let (echo, ends) =
        (PartsEcho { entries, sends_back: true, ..Default::default() }, PartsEcho::default());
    let (heard, back) = (Rc::clone(&echo.heard), Rc::clone(&ends.heard));
    let echo = RefCell::new(Some(echo));
    let last = parts::export(&ws, move |_: &Peer| Ok(echo.take().expect("one client")));
    let last = last.wait().expect("it can be exported");
    let behind = parts::bind(last.iref(), &ws, ends).wait().expect("it is in this thread");
    let proxy = RefCell::new(Some(behind));
    let middle = parts::export(&ws, move |_: &Peer| {
        Ok(flounder::Async(PartsProxy(proxy.take().expect("one client"))))
    });
    let middle = middle.wait().expect("it can be exported");
    let binding = parts::bind(middle.iref(), &ws, parts::RxVtbl::default()).wait();
    let binding = binding.expect("it is in this thread");

    let (id, fixed) = ([9; 16], [entry.clone(), plain.clone()]);
    let strings: Option<&[&str]> = Some(&["lent", ""]);
    let sent = binding.tx_put(
        Some(5),
        Some("text"),
        Some(&entry),
        Some(&[1, 2, 3]),
        Some(&[]),
        strings,
        Some(std::slice::from_ref(&plain)),
        Some(&[-1]),
        &id,
        &fixed,
    );
    sent.expect("there is room");
    let none: Option<&[&str]> = None;
    let sent = binding.tx_put(None, None, None, None, None, none, None, None, &id, &fixed);
    sent.expect("there is room");
    binding.tx_give(Some(&cap()), Some(cap())).expect("there is room");
    binding.tx_give(None, None).expect("there is room");
    binding.tx_one(&parts::Any::Number(3), None).expect("there is room");
    let (text, file) = (parts::Any::Text("text".into()), parts::Any::File(cap()));
    binding.tx_one(&text, Some(&file)).expect("there is room");
    binding.tx_one(&parts::Any::Whole(plain.clone()), None).expect("there is room");
    let some = [cap(), cap()];
    let bag =
        |n: usize| parts::Bag { files: (0..n).map(|_| cap()).collect(), last: (n > 0).then(cap) };
    let fixed_caps = [cap(), cap()];
    let gone = Some(vec![cap()]);
    let sent = binding.tx_all(
        &[cap(), cap(), cap()],
        vec![cap()],
        Some(&some),
        gone,
        &fixed_caps,
        vec![bag(2), bag(0)],
    );
    sent.expect("there is room");
    binding.tx_all(&[], vec![], None, None, &fixed_caps, vec![]).expect("there is room");
    let four = vec![cap(), cap(), cap(), cap()];
    let refused = binding.tx_all(&[], four, None, None, &fixed_caps, vec![]);
    let (moved, gone, bags) = refused.expect_err("they are too many").given;
    assert_eq!((moved.len(), gone.is_none(), bags.len()), (4, true, 0));
    let deadline = std::time::Instant::now() + PATIENCE;
    let came = ws.dispatch_until(Some(deadline), || back.borrow().len() == 9);
    assert!(came.expect("no callback fails"), "only {:?} came back", back.borrow());
    assert_eq!(*heard.borrow(), *back.borrow());
    assert!(heard.borrow()[0].contains(r#"Some(["lent", ""])"#), "{:?}", heard.borrow());
    let nothing = "None None None None None None None None [9";
    assert!(heard.borrow()[1].starts_with(nothing), "{:?}", heard.borrow());
    assert_eq!(heard.borrow()[2..4], ["true true", "false false"]);
    assert_eq!(heard.borrow()[4..6], ["Number(3) None", r#"Text("text") Some("a file")"#]);
    let counts = ["3 1 Some(2) Some(1) [(2, true), (0, false)]", "0 0 None None []"];
    assert_eq!(heard.borrow()[7..], counts);
    let long = parts::Any::Text("x".repeat(9));
    let error = format!("{:?}", binding.tx_one(&long, None).expect_err("it is too long"));
    assert_eq!(error, "argument value is too long: length 9 is over the maximum of 8");

    let client = parts::RpcClient::new(&binding).timeout(PATIENCE);
    let (found, lines) = client.look(Some("k")).expect("it is answered");
    assert_eq!(found, Some(entry));
    assert_eq!(lines.as_deref(), Some(&["two".to_owned(), "lines".to_owned()][..]));
    assert_eq!(client.look(Some("x")).expect("it is answered").0, None);
    assert_eq!(client.look(None).expect("it is answered"), (None, None));
    let long = "x".repeat(10);
    let refused =
        binding.tx_put(None, Some(&long), None, None, None, none, None, None, &id, &fixed);
    let error = format!("{:?}", refused.expect_err("it is too long"));
    assert_eq!(error, "argument s is too long: length 10 is over the maximum of 9");
    let five: Option<&[&str]> = Some(&[""; 5]);
    let refused = binding.tx_put(None, None, None, None, None, five, None, None, &id, &fixed);
    let error = format!("{:?}", refused.expect_err("it is too long"));
    assert_eq!(error, "argument all is too long: length 5 is over the maximum of 4");
}
