//! Messages that go in one direction: each end has handlers for what it can get, and what comes against its direction ends
//! the binding.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use flounder::binding::{ClientSide, ServiceSide, Side};
use flounder::{BindingError, Inbox, RpcError, TxError, Waitset};
use flounder_conformance::fake::{self, Message};
use flounder_rt::interface::Direction;
use flounder_rt::wire::DecodeError;

flounder::flounder! {
    interface desk "Both ends talk, and differ" {
        call ask(uint32 n);
        response tell(uint32 n);
        message note(uint32 n);
        rpc add(in uint32 n, out uint32 sum);
        @both rpc name(out uint32 n);
    };
}

/// What came, as text.
type Log = Rc<RefCell<Vec<String>>>;

struct Service(Log);

impl desk::Rx for Service {
    fn ask(&mut self, binding: &desk::Binding, n: u32) {
        binding.tx_tell(n + 1).expect("there is room");
    }

    fn note(&mut self, _: &desk::Binding, n: u32) {
        self.0.borrow_mut().push(format!("note {n}"));
    }

    fn add(&mut self, _: &desk::Binding, n: u32, reply: desk::AddReply) {
        reply.send(n + 10);
    }

    fn name(&mut self, _: &desk::Binding, reply: desk::NameReply) {
        reply.send(1);
    }

    fn error(&mut self, _: &desk::Binding, error: BindingError) {
        self.0.borrow_mut().push(error.to_string());
    }
}

struct Client(Log);

impl desk::ClientRx for Client {
    fn tell(&mut self, binding: &desk::ClientBinding, n: u32) {
        self.0.borrow_mut().push(format!("told {n}"));
        binding.tx_note(n).expect("there is room");
    }

    fn note(&mut self, _: &desk::ClientBinding, n: u32) {
        self.0.borrow_mut().push(format!("note {n}"));
    }

    fn name(&mut self, _: &desk::ClientBinding, reply: desk::NameReply) {
        reply.send(2);
    }

    fn error(&mut self, _: &desk::ClientBinding, error: BindingError) {
        self.0.borrow_mut().push(error.to_string());
    }
}

/// A client whose handlers are futures.
struct Later(Log);

impl desk::AsyncClientRx for Later {
    async fn tell(&self, binding: &desk::ClientBinding, n: u32) {
        self.0.borrow_mut().push(format!("told {n}"));
        binding.send_note(n).await.expect("the service lives");
    }

    async fn note(&self, _: &desk::ClientBinding, n: u32) {
        self.0.borrow_mut().push(format!("note {n}"));
    }

    async fn name(&self, _: &desk::ClientBinding) -> Result<u32, flounder::CallbackError> {
        Ok(3)
    }
}

fn settle(ws: &Waitset) {
    for _ in 0..1000 {
        if !ws.try_dispatch().expect("no callback fails") {
            return;
        }
    }
    panic!("the waitset never comes to rest");
}

fn number(name: &str) -> u16 {
    let messages = desk::INTERFACE.messages.iter();
    messages.clone().find(|message| message.name == name).expect("it is declared").number
}

#[test]
fn each_end_sends_and_handles_what_is_its_own() {
    for is_async in [false, true] {
        let (ws, (near, far, ..)) = (Waitset::new(), fake::pair(usize::MAX));
        let (here, there) = (Log::default(), Log::default());
        let client = match is_async {
            true => desk::over(Box::new(near), &ws, flounder::Async(Later(Rc::clone(&here)))),
            false => desk::over(Box::new(near), &ws, Client(Rc::clone(&here))),
        };
        let client = client.expect("a fake channel");
        let service = desk::over(Box::new(far), &ws, Service(Rc::clone(&there)));
        let service = service.expect("a fake channel");
        client.tx_ask(4).expect("there is room");
        service.tx_note(9).expect("there is room");
        settle(&ws);
        assert_eq!(*there.borrow(), ["note 5"]);
        here.borrow_mut().sort();
        assert_eq!(*here.borrow(), ["note 9", "told 5"]);
        let (rpc, back) = (desk::RpcClient::new(&client), desk::RpcClient::new(&service));
        let answers =
            async { (rpc.add_async(1).await, rpc.name_async().await, back.name_async().await) };
        let answers = ws.block_on(answers).expect("no callback fails");
        let own = if is_async { 3 } else { 2 };
        assert_eq!(answers, (Ok(11), Ok(1), Ok(own)), "the last is marked `@both`");
    }
}

#[test]
fn descriptor_says_which_end_sends() {
    let found = desk::INTERFACE.messages.iter().map(|message| (message.name, message.direction));
    let expected = [
        ("ask", Direction::ToService),
        ("tell", Direction::ToClient),
        ("note", Direction::Both),
        ("add_call", Direction::ToService),
        ("add_response", Direction::ToClient),
        ("name_call", Direction::Both),
        ("name_response", Direction::Both),
    ];
    assert!(found.eq(expected));
}

/// A message that comes against its direction ends the binding with these handlers.
fn refuses<S: Side>(name: &str, words: &[u64], rx: impl desk::Handlers<flounder::Local, S>) {
    let (ws, (_near, far, there, _back)) = (Waitset::new(), fake::pair(usize::MAX));
    let binding = desk::over(Box::new(far), &ws, rx).expect("a fake channel");
    let message = Message { number: number(name), words: words.to_vec(), caps: Vec::new() };
    there.messages.borrow_mut().push_back(message);
    settle(&ws);
    let message = desk::INTERFACE.message_name(number(name));
    let expected = BindingError::Decode { message, error: DecodeError::Direction };
    assert_eq!(binding.ended(), Some(expected), "{name}");
}

#[test]
fn message_against_its_direction_ends_the_binding() {
    for (name, words) in [("tell", [7]), ("add_response", [7 << 32 | 1])] {
        let log = Log::default();
        refuses::<ServiceSide>(name, &words, Service(Rc::clone(&log)));
        assert_eq!(log.borrow().len(), 1, "the error, and nothing else");
        refuses::<ServiceSide>(name, &words, ());
        refuses::<ServiceSide>(name, &words, Inbox::new(4));
        refuses::<ServiceSide>(name, &words, Inbox::beside(4, Service(log)));
    }
    for (name, words) in [("ask", [7]), ("add_call", [7 << 32 | 1])] {
        let log = Log::default();
        refuses::<ClientSide>(name, &words, Client(Rc::clone(&log)));
        assert_eq!(log.borrow().len(), 1, "the error, and nothing else");
        refuses::<ClientSide>(name, &words, ());
        refuses::<ClientSide>(name, &words, Inbox::new(4));
        refuses::<ClientSide>(name, &words, flounder::Async(Later(log)));
    }
}

#[test]
fn value_against_its_direction_is_not_sent() {
    let (ws, (near, far, there, back)) = (Waitset::new(), fake::pair(usize::MAX));
    let client: desk::ClientBinding = desk::over(Box::new(near), &ws, ()).expect("a fake channel");
    let service: desk::Binding = desk::over(Box::new(far), &ws, ()).expect("a fake channel");
    let to_service = [desk::Message::Ask { n: 1 }, desk::Message::AddCall { id: 1, n: 1 }];
    let to_client = [desk::Message::Tell { n: 1 }, desk::Message::AddResponse { id: 1, sum: 1 }];
    for message in &to_service {
        assert_eq!(service.tx(message).err(), Some(TxError::Direction));
        client.tx(message).expect("there is room");
    }
    for message in &to_client {
        assert_eq!(client.tx(message).err(), Some(TxError::Direction));
        service.tx(message).expect("there is room");
    }
    let note = desk::Message::Note { n: 1 };
    client.tx(&note).expect("there is room");
    service.tx(&note).expect("there is room");
    assert_eq!((there.messages.borrow().len(), back.messages.borrow().len()), (3, 3));
    // Nobody calls.
    assert_eq!(
        desk::RpcClient::new(&client).timeout(Duration::ZERO).add(1),
        Err(RpcError::Deadline)
    );
}

/// Speaks first.
struct Host(Log);

impl desk::Rx for Host {
    fn connected(&mut self, binding: &desk::Binding) {
        self.0.borrow_mut().push("connected".to_owned());
        binding.tx_tell(1).expect("a new binding has room");
    }

    fn ask(&mut self, _: &desk::Binding, n: u32) {
        self.0.borrow_mut().push(format!("ask {n}"));
    }

    fn note(&mut self, _: &desk::Binding, _: u32) {}

    fn add(&mut self, _: &desk::Binding, n: u32, reply: desk::AddReply) {
        reply.send(n);
    }

    fn name(&mut self, _: &desk::Binding, reply: desk::NameReply) {
        reply.send(1);
    }
}

/// Speaks first, in a task.
struct LaterHost(Log);

impl desk::AsyncRx for LaterHost {
    async fn connected(&self, binding: &desk::Binding) {
        self.0.borrow_mut().push("connected".to_owned());
        binding.send_tell(1).await.expect("the client lives");
    }

    async fn ask(&self, _: &desk::Binding, n: u32) {
        self.0.borrow_mut().push(format!("ask {n}"));
    }

    async fn note(&self, _: &desk::Binding, _: u32) {}

    async fn add(&self, _: &desk::Binding, n: u32) -> Result<u32, flounder::CallbackError> {
        Ok(n)
    }

    async fn name(&self, _: &desk::Binding) -> Result<u32, flounder::CallbackError> {
        Ok(1)
    }
}

/// Binds over each driver, sends at once, and expects the service to have spoken first.
fn expect_greeting<X: desk::Handlers>(driver: &str, host: impl Fn(Log) -> X + 'static) {
    let (ws, log) = (Waitset::new(), Log::default());
    let theirs = Rc::clone(&log);
    let exported = desk::export(&ws, move |_: &flounder::Peer| Ok(host(Rc::clone(&theirs)))).wait();
    let iref = exported.expect("it can be exported").iref();
    let told = Rc::new(Cell::new(0));
    let theirs = Rc::clone(&told);
    let rx = desk::ClientRxVtbl {
        tell: Some(Box::new(move |_: &desk::ClientBinding, n| theirs.set(n))),
        ..Default::default()
    };
    let binding = desk::bind(iref, &ws, rx).driver(driver).wait().expect("the service is there");
    binding.tx_ask(7).expect("there is room");
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_done = || told.get() == 1 && log.borrow().len() == 2;
    assert_eq!(ws.dispatch_until(Some(deadline), is_done).ok(), Some(true), "{driver}: {log:?}");
    assert_eq!(*log.borrow(), ["connected", "ask 7"], "{driver}");
}

#[test]
fn service_may_speak_first() {
    for driver in ["loopback", "lmp", "ump", "scc", "beehive"] {
        expect_greeting(driver, Host);
        expect_greeting(driver, |log| flounder::Async(LaterHost(log)));
        expect_greeting(driver, |log| desk::RxVtbl {
            connected: Some(Box::new({
                let log = Rc::clone(&log);
                move |binding: &desk::Binding| {
                    log.borrow_mut().push("connected".to_owned());
                    binding.tx_tell(1).expect("a new binding has room");
                }
            })),
            ask: Some(Box::new(move |_: &desk::Binding, n| {
                log.borrow_mut().push(format!("ask {n}"))
            })),
            ..Default::default()
        });
        // An inbox keeps messages, and what is beside it learns of the binding.
        let (ws, log) = (Waitset::new(), Log::default());
        let theirs = Rc::clone(&log);
        let connect = move |_: &flounder::Peer| Ok(Inbox::beside(4, Host(Rc::clone(&theirs))));
        let exported = desk::export(&ws, connect).wait().expect("it can be exported");
        let bound = desk::bind(exported.iref(), &ws, Inbox::new(4)).driver(driver).wait();
        let binding = bound.expect("the service is there");
        let told = ws.block_on(binding.recv_tell()).expect("no callback fails");
        assert_eq!((told, &log.borrow()[..]), (Ok(1), &["connected".to_owned()][..]), "{driver}");
    }
}

#[test]
fn panic_when_connected_ends_the_binding_alone() {
    struct Faulty;

    impl desk::Rx for Faulty {
        fn connected(&mut self, _: &desk::Binding) {
            panic!("it does not like its client");
        }

        fn ask(&mut self, _: &desk::Binding, _: u32) {}
        fn note(&mut self, _: &desk::Binding, _: u32) {}
        fn add(&mut self, _: &desk::Binding, _: u32, _: desk::AddReply) {}
        fn name(&mut self, _: &desk::Binding, _: desk::NameReply) {}
    }

    let (ws, (near, far, ..)) = (Waitset::new(), fake::pair(usize::MAX));
    let service = desk::over(Box::new(far), &ws, Faulty).expect("a fake channel");
    let client: desk::ClientBinding = desk::over(Box::new(near), &ws, ()).expect("a fake channel");
    settle(&ws);
    assert_eq!(service.ended(), Some(BindingError::Closed));
    assert_eq!(client.ended(), Some(BindingError::Closed));
}
