//! Rpcs that fail with an error of their own.

use std::cell::Cell;
use std::rc::Rc;

use flounder::error::TooLong;
use flounder::message::{MessageBuffer, schema::Schema};
use flounder::{Async, BindingError, Cap, Errval, Refusal, RpcError, Waitset};
use flounder_rt::binding::AsRaw as _;

use super::{DRIVERS, PATIENCE, run};

flounder::flounder! {
    interface store "Values, or reasons why there are none" {
        typedef enum { MISSING, DENIED } reason;
        typedef struct { string why[8]; errval code; } failure;

        rpc get(in string key, out string value) fails reason;
        rpc put(in string key, in uint64 value) fails failure;
        rpc open(in string key, out cap file, out uint8 data[n, 16]) fails string;
        rpc read(in string key, out bulk data[100000]) fails reason;
        rpc drop(in string key) fails cap;
    };
}

use store::{Failure, Message, Reason};

fn cap() -> Cap {
    std::fs::File::open("/dev/null").expect("it is there").into()
}

struct Sync;

impl store::Rx for Sync {
    fn get(&mut self, _: &store::Binding, key: &str, reply: store::GetReply) {
        match key {
            "missing" => reply.fail(Reason::Missing),
            "denied" => reply.fail(Reason::Denied),
            "refused" => reply.refuse(Refusal::new(7, "refused")),
            key => reply.send(key),
        }
    }

    fn put(&mut self, _: &store::Binding, key: &str, value: u64, reply: store::PutReply) {
        match value {
            0 => reply.send(),
            value => reply.fail(&Failure { why: key.to_owned(), code: Errval(value) }),
        }
    }

    fn open(&mut self, _: &store::Binding, key: &str, reply: store::OpenReply) {
        if key == "good" { reply.send(&cap(), &[7; 16]) } else { reply.fail(key) }
    }

    fn read(&mut self, _: &store::Binding, key: &str, reply: store::ReadReply) {
        if key == "good" { reply.send(&[7; 70_000]) } else { reply.fail(Reason::Missing) }
    }

    fn drop(&mut self, _: &store::Binding, key: &str, reply: store::DropReply) {
        if key == "good" { reply.send() } else { reply.fail(&cap()) }
    }
}

struct Later;

impl store::AsyncRx for Later {
    async fn get(&self, _: &store::Binding, key: String) -> Result<String, Reason> {
        assert_ne!(key, "panics", "as it is told");
        match key.as_str() {
            "missing" => Err(Reason::Missing),
            "denied" => Err(Reason::Denied),
            _ => Ok(key),
        }
    }

    async fn put(&self, _: &store::Binding, why: String, value: u64) -> Result<(), Failure> {
        if value == 0 { Ok(()) } else { Err(Failure { why, code: Errval(value) }) }
    }

    async fn open(&self, _: &store::Binding, key: String) -> Result<(Cap, Vec<u8>), String> {
        if key == "good" { Ok((cap(), vec![7; 16])) } else { Err(key) }
    }

    async fn read(
        &self,
        _: &store::Binding,
        _: String,
    ) -> Result<flounder::bulk::BulkOwned, Reason> {
        Err(Reason::Missing)
    }

    async fn drop(&self, _: &store::Binding, key: String) -> Result<(), Cap> {
        if key == "good" { Ok(()) } else { Err(cap()) }
    }
}

/// A client of a service in the same thread.
fn ends(driver: &str, later: bool) -> (Waitset, store::RpcClient) {
    let ws = Waitset::new();
    let export = if later {
        store::export(&ws, |_| Ok(Async(Later))).wait()
    } else {
        store::export(&ws, |_| Ok(Sync)).wait()
    };
    let iref = export.expect("it can be exported").iref();
    let bind = store::bind(iref, &ws, ()).driver(driver);
    let client = store::RpcClient::new(&bind.wait().expect("it can be bound to"));
    (ws, client.timeout(PATIENCE))
}

#[test]
fn call_returns_the_value_or_the_error_of_the_service() {
    for driver in DRIVERS {
        for later in [false, true] {
            let (ws, client) = ends(driver, later);
            for (key, result) in [
                ("key", Ok("key".to_owned())),
                ("missing", Err(Reason::Missing)),
                ("denied", Err(Reason::Denied)),
            ] {
                assert_eq!(client.get(key), Ok(result.clone()), "{driver}");
                assert_eq!(run(&ws, client.get_async(key)), Ok(result.clone()), "{driver}");
                let shared = client.shared();
                assert_eq!(run(&ws, shared.get_async(key)), Ok(result), "{driver}");
            }
            let failure = Failure { why: "full".to_owned(), code: Errval(7) };
            assert_eq!(client.put("full", 7), Ok(Err(failure)), "{driver}");
            assert_eq!(client.put("full", 0), Ok(Ok(())), "{driver}");
            let (_, data) = client.open("good").expect("a reply").expect("it is good");
            assert_eq!(data, [7; 16]);
            assert_eq!(client.open("ä").expect("a reply").err().as_deref(), Some("ä"), "{driver}");
            assert!(client.drop("good").expect("a reply").is_ok(), "{driver}");
            assert!(client.drop("bad").expect("a reply").is_err(), "{driver}: a capability");
            assert_eq!(client.read("bad").expect("a reply").err(), Some(Reason::Missing));
            assert_eq!(
                run(&ws, client.read_async("bad")).expect("a reply").err(),
                Some(Reason::Missing)
            );
        }
    }
}

#[test]
fn bulk_reply_and_error_of_one_rpc_are_told_apart() {
    for driver in DRIVERS {
        let (ws, client) = ends(driver, false);
        for _ in 0..3 {
            let read = client.read("good").expect("a reply").expect("it is good");
            assert_eq!(read.to_vec(), [7; 70_000], "{driver}");
            let read = run(&ws, client.read_async("good")).expect("a reply").expect("it is good");
            assert_eq!(read.to_vec(), [7; 70_000], "{driver}");
            assert_eq!(client.read("bad").expect("a reply").err(), Some(Reason::Missing));
        }
    }
}

#[test]
fn errors_of_the_rpc_and_of_the_call_are_apart() {
    for driver in DRIVERS {
        let (_ws, client) = ends(driver, false);
        let refused = RpcError::Refused(Refusal::new(7, "refused"));
        assert_eq!(client.get("refused"), Err(refused), "{driver}");
        let length = TooLong { len: 9, max: 8 };
        let too_long = RpcError::ReplyTooLong { arg: "error", length };
        assert_eq!(client.put("ninechars", 1), Err(too_long), "{driver}");
        let (_ws, client) = ends(driver, true);
        assert_eq!(client.get("panics"), Err(RpcError::HandlerPanicked), "{driver}");
        assert_eq!(client.get("key"), Ok(Ok("key".to_owned())), "the binding lives");
    }
}

#[test]
fn error_is_a_message_of_its_own() {
    let forms: Vec<_> =
        store::INTERFACE.messages.iter().take(6).map(|message| message.form).collect();
    assert_eq!(
        forms,
        [
            "rpc-call get_call(key:string[65536])",
            "rpc-response get_response(value:string[65536])",
            "rpc-error get_error(error:enum{MISSING,DENIED})",
            "rpc-call put_call(key:string[65536],value:uint64)",
            "rpc-response put_response()",
            "rpc-error put_error(error:{why:string[8],code:errval})",
        ]
    );
    let message = Message::GetError { id: 9, error: Reason::Denied };
    let buffer = MessageBuffer::encode(&message).expect("nothing is too long");
    assert_eq!((buffer.number, &buffer.words[..]), (3, &[1 << 32 | 9][..]));
    let info = store::INTERFACE.message(3).expect("it is there");
    let schema = Schema::of(info).expect("the form is sound");
    assert!(schema.validate(&buffer.words, 0).is_ok());
    assert_eq!(buffer.decode::<Message>().expect("the words are sound"), message);
}

#[test]
fn error_of_another_rpc_ends_the_binding() {
    struct Liar(Rc<Cell<bool>>);
    impl store::Rx for Liar {
        fn get(&mut self, b: &store::Binding, _: &str, reply: store::GetReply) {
            // The first call of each client, answered with the error of `put`, and with an element that does not exist.
            let is_first = self.0.replace(false);
            let (number, words): (u16, &[u64]) =
                if is_first { (6, &[0, 0, 1]) } else { (3, &[2 << 32 | 1]) };
            b.as_raw().send(number, words, &[]).expect("there is room");
            std::mem::forget(reply);
        }
        fn put(&mut self, _: &store::Binding, _: &str, _: u64, _: store::PutReply) {}
        fn open(&mut self, _: &store::Binding, _: &str, _: store::OpenReply) {}
        fn read(&mut self, _: &store::Binding, _: &str, _: store::ReadReply) {}
        fn drop(&mut self, _: &store::Binding, _: &str, _: store::DropReply) {}
    }
    for driver in DRIVERS {
        let (ws, first) = (Waitset::new(), Rc::new(Cell::new(true)));
        let export = store::export(&ws, move |_| Ok(Liar(Rc::clone(&first)))).wait();
        let iref = export.expect("it can be exported").iref();
        for _ in 0..2 {
            let bind = store::bind(iref, &ws, ()).driver(driver);
            let client = store::RpcClient::new(&bind.wait().expect("it can be bound to"));
            let result = run(&ws, client.get_async("key"));
            assert!(matches!(result, Err(RpcError::Decode(_))), "{driver}: {result:?}");
            let is_over = || client.binding().ended().is_some();
            assert!(ws.dispatch_until(None, is_over).expect("no callback fails"));
            assert!(matches!(client.binding().ended(), Some(BindingError::Decode { .. })));
        }
    }
}
