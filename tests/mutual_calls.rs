//! Blocking calls inside handlers, nested and mutual: each ends with an answer, or with an error that says what to do, and
//! none hangs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flounder::waitset::Remote;
use flounder::{BindingError, Iref, RpcError, Waitset};

flounder::flounder! {
    interface party "Calls and is called" {
        /// Has the receiver call the sender, over this binding, in its handler.
        message call_me();
        /// Has the receiver keep its end.
        message meet();
        /// Answers at once.
        rpc answer(in uint32 n, out uint32 n);
        /// Answers with what a call back over this binding gives.
        rpc back(in uint32 n, out uint32 code);
        /// Answers with what a call of `depth - 1` gives over the receiver's own binding to the other party.
        rpc nest(in uint32 depth, out uint32 code);
    };
}

const DRIVERS: [&str; 3] = ["loopback", "ump", "lmp"];

/// How long a call may take here, and how long all of a test.
const TIME: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(20);

/// What a call came to, as a number.
fn code(result: Result<u32, RpcError>) -> u32 {
    match result {
        Ok(code) => code,
        Err(RpcError::WouldDeadlock) => 1001,
        Err(RpcError::Deadline) => 1002,
        Err(RpcError::Closed(_) | RpcError::NoReply) => 1003,
        Err(error) => panic!("{error}"),
    }
}

const WOULD_DEADLOCK: u32 = 1001;
const DEADLINE: u32 = 1002;

/// A service, with the binding to the other one once there is one.
#[derive(Clone, Default)]
struct Party {
    other: Rc<RefCell<Option<party::Binding>>>,
    log: Rc<RefCell<Vec<u32>>>,
    met: Rc<RefCell<Option<party::Binding>>>,
}

fn client(binding: &party::Binding) -> party::RpcClient {
    party::RpcClient::new(binding).timeout(TIME)
}

impl party::Rx for Party {
    fn call_me(&mut self, b: &party::Binding) {
        self.log.borrow_mut().push(code(client(b).answer(1)));
    }

    fn meet(&mut self, b: &party::Binding) {
        self.met.replace(Some(b.clone()));
    }

    fn answer(&mut self, _: &party::Binding, n: u32, reply: party::AnswerReply) {
        reply.send(n);
    }

    fn back(&mut self, b: &party::Binding, n: u32, reply: party::BackReply) {
        reply.send(code(client(b).answer(n)));
    }

    fn nest(&mut self, _: &party::Binding, depth: u32, reply: party::NestReply) {
        let other = self.other.borrow().clone();
        match (depth, other) {
            (0, _) | (_, None) => reply.send(0),
            (depth, Some(other)) => reply.send(code(client(&other).nest(depth - 1))),
        }
    }

    fn error(&mut self, _: &party::Binding, _: BindingError) {}
}

impl Party {
    fn export(&self, ws: &Waitset) -> Iref {
        let myself = self.clone();
        let export = party::export(ws, move |_| Ok(myself.clone()));
        export.start().expect("it can be exported").iref()
    }

    fn bind(&self, iref: Iref, ws: &Waitset, driver: &str) -> party::Binding {
        let bind = party::bind(iref, ws, self.clone()).driver(driver);
        bind.wait().expect("it can be bound to")
    }
}

/// Runs a test that may hang, and fails it if it does.
fn within(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        test();
    });
    let end = finished.recv_timeout(2 * PATIENCE);
    assert!(end != Err(std::sync::mpsc::RecvTimeoutError::Timeout), "the test hangs");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn one_thread_nested_calls_get_an_answer_and_those_over_a_busy_binding_an_error() {
    within(|| {
        for (there, back) in DRIVERS.iter().flat_map(|a| DRIVERS.map(|b| (*a, b))) {
            let ws = Waitset::new();
            let (a, b) = (Party::default(), Party::default());
            let (to_a, to_b) = (a.export(&ws), b.export(&ws));
            a.other.replace(Some(a.bind(to_b, &ws, there)));
            b.other.replace(Some(b.bind(to_a, &ws, back)));
            let own = Party::default().bind(to_a, &ws, there);
            let rpc = client(&own);
            assert_eq!(rpc.answer(7), Ok(7));
            assert_eq!(rpc.nest(1), Ok(0), "A calls B");
            assert_eq!(rpc.nest(2), Ok(0), "A calls B, which calls A");
            assert_eq!(rpc.nest(3), Ok(WOULD_DEADLOCK), "A's call to B is still being handled");
            assert_eq!(rpc.back(7), Ok(WOULD_DEADLOCK), "over the binding of the handler");
            // The error handler has nothing to tell, and everything goes on.
            assert_eq!(rpc.answer(8), Ok(8), "{there} and {back}");
        }
    });
}

/// What a thread is told to do.
enum Order {
    Bind(Iref),
    /// Call the other party, with this depth, and tell what came of it.
    Nest(u32),
    /// Call the other party over the binding, which calls back over it.
    Back,
    End,
}

/// A party in a thread of its own, which serves until it is told something.
struct Thread {
    orders: Sender<Order>,
    answers: Receiver<u32>,
    remote: Arc<Remote>,
    iref: Iref,
    thread: thread::JoinHandle<()>,
}

impl Thread {
    fn start(driver: &'static str) -> Self {
        let ((orders, ordered), (answer, answers)) = (channel(), channel());
        let (tell, told) = channel();
        let thread = thread::spawn(move || {
            let (ws, party) = (Waitset::new(), Party::default());
            tell.send((party.export(&ws), ws.remote())).expect("someone waits");
            loop {
                let end = Some(Instant::now() + PATIENCE);
                let mut order = None;
                let found = ws.dispatch_until(end, || {
                    order = order.take().or_else(|| ordered.try_recv().ok());
                    order.is_some()
                });
                assert!(found.expect("no callback fails"), "nobody gives orders");
                let other = || party.other.borrow().clone().expect("it is bound");
                match order.expect("it was found") {
                    Order::Bind(iref) => {
                        party.other.replace(Some(party.bind(iref, &ws, driver)));
                        answer.send(0).expect("someone waits");
                    }
                    Order::Nest(depth) => {
                        let result = code(client(&other()).nest(depth));
                        answer.send(result).expect("someone waits");
                    }
                    Order::Back => {
                        let result = code(client(&other()).back(7));
                        answer.send(result).expect("someone waits");
                    }
                    Order::End => {
                        party.other.take();
                        return;
                    }
                }
            }
        });
        let (iref, remote) = told.recv().expect("it starts");
        Self { orders, answers, remote, iref, thread }
    }

    fn tell(&self, order: Order) {
        self.orders.send(order).expect("it lives");
        self.remote.post(|_| Ok(()));
    }

    fn answer(&self) -> u32 {
        self.answers.recv_timeout(PATIENCE).expect("it answers")
    }

    fn ask(&self, order: Order) -> u32 {
        self.tell(order);
        self.answer()
    }

    fn end(self) {
        self.tell(Order::End);
        self.thread.join().expect("it ends well");
    }
}

#[test]
fn two_threads_every_call_ends_with_an_answer_or_at_its_deadline() {
    within(|| {
        for (there, back) in ["ump", "lmp"].iter().flat_map(|a| ["ump", "lmp"].map(|b| (*a, b))) {
            let (a, b) = (Thread::start(there), Thread::start(back));
            assert_eq!(a.ask(Order::Bind(b.iref)), 0);
            assert_eq!(b.ask(Order::Bind(a.iref)), 0);
            assert_eq!(a.ask(Order::Nest(0)), 0, "there is nobody else");
            assert_eq!(a.ask(Order::Back), WOULD_DEADLOCK);
            // A calls B, whose handler calls A: A waits and serves only its binding to B, so that B waits in vain.
            assert_eq!(
                a.ask(Order::Nest(1)),
                DEADLINE,
                "the inner call ends first, or both at once"
            );
            // Both at a time, from outside of handlers.
            a.tell(Order::Nest(0));
            b.tell(Order::Nest(0));
            for result in [a.answer(), b.answer()] {
                assert!(result == 0 || result == DEADLINE, "{result}");
            }
            // Nothing is left of it.
            assert_eq!(a.ask(Order::Nest(0)), 0, "{there} and {back}");
            assert_eq!(b.ask(Order::Nest(0)), 0);
            a.end();
            b.end();
        }
    });
}

#[test]
fn two_threads_that_call_each_other_over_one_binding_serve_each_other() {
    within(|| {
        for driver in ["ump", "lmp"] {
            let (tell, told) = channel();
            let service = thread::spawn(move || {
                let (ws, party) = (Waitset::new(), Party::default());
                tell.send(party.export(&ws)).expect("someone waits");
                let end = Some(Instant::now() + PATIENCE);
                // The client has it call: its handler may not, over this binding.
                let asked = ws.dispatch_until(end, || !party.log.borrow().is_empty());
                assert!(asked.expect("no callback fails"));
                assert_eq!(*party.log.borrow(), [WOULD_DEADLOCK]);
            });
            let (ws, party) = (Waitset::new(), Party::default());
            let binding = party.bind(told.recv().expect("it starts"), &ws, driver);
            binding.tx_call_me().expect("there is room");
            service.join().expect("it ends well");
        }
        for driver in ["ump", "lmp"] {
            let done = Arc::<Done>::default();
            let theirs = Arc::clone(&done);
            let (tell, told) = channel();
            let service = thread::spawn(move || {
                let (ws, party) = (Waitset::new(), Party::default());
                tell.send(party.export(&ws)).expect("someone waits");
                let end = Some(Instant::now() + PATIENCE);
                let met = ws.dispatch_until(end, || party.met.borrow().is_some());
                assert!(met.expect("no callback fails"));
                let binding = party.met.take().expect("it was found");
                call_and_serve(&ws, &binding, &theirs);
            });
            let (ws, party) = (Waitset::new(), Party::default());
            let binding = party.bind(told.recv().expect("it starts"), &ws, driver);
            binding.tx_meet().expect("there is room");
            call_and_serve(&ws, &binding, &done);
            drop(binding);
            service.join().expect("it ends well");
        }
    });
}

/// Makes calls while the other end does, and then serves it until it is done as well.
fn call_and_serve(ws: &Waitset, binding: &party::Binding, done: &Done) {
    let rpc = party::RpcClient::new(binding).timeout(PATIENCE);
    for n in 0..1000 {
        assert_eq!(rpc.answer(n), Ok(n));
    }
    let end = Some(Instant::now() + PATIENCE);
    done.tell(ws);
    assert!(ws.dispatch_until(end, || done.both()).expect("no callback fails"));
}

/// Which of two threads is done.
#[derive(Default)]
struct Done {
    count: AtomicU32,
    remotes: Mutex<Vec<Arc<Remote>>>,
}

impl Done {
    fn tell(&self, ws: &Waitset) {
        let mut remotes = self.remotes.lock().expect("nobody panics here");
        self.count.fetch_add(1, Ordering::SeqCst);
        remotes.push(ws.remote());
        remotes.iter().for_each(|remote| remote.post(|_| Ok(())));
    }

    fn both(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 2
    }
}
