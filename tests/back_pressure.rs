//! Two ends call each other as fast as they can, without time-outs, over channels with little room. Every call is answered,
//! also while other calls are cancelled.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use flounder::event::Remote;
use flounder::limits::{CALL_WINDOW, MAX_PENDING_REPLIES};
use flounder::{BindingError, CallbackError, Iref, RpcError, Waitset};

flounder::flounder! {
    @symmetric
    interface busy "Calls and is called" {
        /// Has the receiver begin.
        message begin();
        rpc ask(in uint32 n, in uint8 data[len, 3000], out uint32 n, out uint8 data[len, 3000]);
        /// Asks the caller, over the same binding, before it answers.
        rpc back(in uint32 n, out uint32 n);
        /// Answered on command of the receiver, also if the call was cancelled.
        rpc hold();
    };
}

/// Calls of each end.
const CALLS: u32 = 5_000;

/// Those that reach another thread, but for beehive, whose model takes its time there.
const DRIVERS: [&str; 3] = ["ump", "lmp", "scc"];

/// The longest that both ends may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long something is seen not to happen.
const TICK: Duration = Duration::from_millis(20);

/// Calls of an end, and the expected answers.
fn data(n: u32) -> Vec<u8> {
    vec![n as u8; (n * 7 % 3000) as usize]
}

/// One end: answers, and calls after the command to begin.
#[derive(Clone, Default)]
struct End {
    /// Calls that are over, as they should be.
    answered: Rc<Cell<u32>>,
    failed: Rc<RefCell<Option<String>>>,
    held: Rc<RefCell<Vec<busy::HoldReply>>>,
    /// True if it gives up every third call that takes long.
    gives_up: bool,
}

impl End {
    /// Makes all its calls, each a task.
    fn call(&self, b: &busy::Binding) {
        let ws = b.waitset().expect("it runs");
        for n in 0..CALLS {
            let (client, end) = (busy::RpcClient::new(b), self.clone());
            let patience = match self.gives_up && n % 3 == 0 {
                // At any time, first and last ones alike.
                true => Duration::from_micros(u64::from(n * 31 % 5000) * 40),
                false => Duration::MAX,
            };
            let client = client.timeout(patience);
            let task = async move {
                // These wait for calls, too: fewer than may be under way, or both ends would wait for places.
                let answer = match n % 8 {
                    0 => client.back_async(n).await.map(|m| (m, data(n))),
                    _ => client.ask_async(n, &data(n)).await,
                };
                match answer {
                    Ok(answer) if answer == (n, data(n)) => {
                        end.answered.set(end.answered.get() + 1);
                    }
                    Err(RpcError::Deadline) if patience != Duration::MAX => {
                        end.answered.set(end.answered.get() + 1);
                    }
                    wrong => _ = end.failed.replace(Some(format!("call {n}: {wrong:?}"))),
                }
            };
            ws.spawn_local(task).detach();
        }
    }

    fn is_done(&self) -> bool {
        assert_eq!(*self.failed.borrow(), None);
        self.answered.get() == CALLS
    }
}

/// Answers in its handlers, where that is possible.
impl busy::Rx for End {
    fn begin(&mut self, b: &busy::Binding) {
        self.call(b);
    }

    fn ask(&mut self, _: &busy::Binding, n: u32, data: &[u8], reply: busy::AskReply) {
        reply.send(n, data);
    }

    fn back(&mut self, b: &busy::Binding, n: u32, reply: busy::BackReply) {
        // No call of this test ends because the machine is slow.
        let client = busy::RpcClient::new(b).timeout(Duration::MAX);
        let task = async move {
            if let Ok((n, _)) = client.ask_async(n, &data(n)).await {
                reply.send(n);
            }
        };
        b.waitset().expect("it runs").spawn_local(task).detach();
    }

    fn hold(&mut self, _: &busy::Binding, reply: busy::HoldReply) {
        self.held.borrow_mut().push(reply);
    }

    fn error(&mut self, _: &busy::Binding, _: BindingError) {}
}

/// Answers in tasks.
impl busy::AsyncRx for End {
    async fn begin(&self, b: &busy::Binding) {
        self.call(b);
    }

    async fn ask(
        &self,
        _: &busy::Binding,
        n: u32,
        data: Vec<u8>,
    ) -> Result<(u32, Vec<u8>), CallbackError> {
        Ok((n, data))
    }

    async fn back(&self, b: &busy::Binding, n: u32) -> Result<u32, CallbackError> {
        let client = busy::RpcClient::new(b).timeout(Duration::MAX);
        Ok(client.ask_async(n, &data(n)).await?.0)
    }

    async fn hold(&self, _: &busy::Binding) -> Result<(), CallbackError> {
        Ok(())
    }

    fn error(&self, _: &busy::Binding, _: BindingError) {}
}

#[derive(Debug, Clone, Copy)]
enum Handlers {
    Plain,
    Futures,
}

impl Handlers {
    fn export(self, ws: &Waitset, end: &End) -> Iref {
        let end = end.clone();
        let exported = match self {
            Self::Plain => busy::export(ws, move |_| Ok(end.clone())).wait(),
            Self::Futures => busy::export(ws, move |_| Ok(flounder::Async(end.clone()))).wait(),
        };
        exported.expect("it can be exported").iref()
    }

    fn bind(self, ws: &Waitset, end: &End, iref: Iref, driver: &str) -> busy::Binding {
        let bind = match self {
            Self::Plain => busy::bind(iref, ws, end.clone()),
            Self::Futures => busy::bind(iref, ws, flounder::Async(end.clone())),
        };
        // The least that a driver makes of it.
        let bound = bind.driver(driver).buffer(1).wait();
        let binding = bound.expect("the service is there");
        assert_eq!(binding.driver(), driver);
        binding
    }
}

/// Both ends begin at once.
fn begin(ends: &busy::Binding, near: &End) {
    ends.tx_begin().map(drop).expect("it is the first message");
    near.call(ends);
}

fn serve(ws: &Waitset, done: impl Fn() -> bool, what: &str) {
    let deadline = Some(Instant::now() + PATIENCE);
    let ended = ws.dispatch_until(deadline, done).expect("no callback fails");
    assert!(ended, "{what}: the ends hold each other up");
}

#[test]
fn two_ends_in_one_thread_answer_each_other() {
    for handlers in [Handlers::Plain, Handlers::Futures] {
        in_one_thread(handlers, false);
    }
}

#[test]
fn two_ends_that_give_up_many_calls_answer_the_others() {
    in_one_thread(Handlers::Plain, true);
}

fn in_one_thread(handlers: Handlers, gives_up: bool) {
    for driver in ["loopback", "beehive"].iter().chain(&DRIVERS) {
        let ws = Waitset::new();
        let end = || End { gives_up, ..End::default() };
        let (near, far) = (end(), end());
        let iref = handlers.export(&ws, &far);
        let binding = handlers.bind(&ws, &near, iref, driver);
        begin(&binding, &near);
        serve(&ws, || near.is_done() && far.is_done(), &format!("{driver}, {handlers:?}"));
    }
}

#[test]
fn two_ends_in_two_threads_answer_each_other() {
    for handlers in [Handlers::Plain, Handlers::Futures] {
        for driver in DRIVERS {
            let what = format!("{driver}, {handlers:?}");
            let done = Arc::new(AtomicU32::new(0));
            let (tell, told) = mpsc::channel();
            let (ended, endings) = mpsc::channel();
            let service = {
                let (done, ended, what) = (Arc::clone(&done), ended.clone(), what.clone());
                thread::spawn(move || {
                    let (ws, end) = (Waitset::new(), End::default());
                    tell.send((handlers.export(&ws, &end), ws.remote())).expect("someone waits");
                    both(&ws, &end, &done, None, &what);
                    let _ = ended.send(());
                })
            };
            let (iref, remote) = told.recv_timeout(PATIENCE).expect("the service begins");
            let client = thread::spawn(move || {
                let (ws, end) = (Waitset::new(), End::default());
                let binding = handlers.bind(&ws, &end, iref, driver);
                begin(&binding, &end);
                both(&ws, &end, &done, Some(&remote), &what);
                let _ = ended.send(());
            });
            for _ in 0..2 {
                // A failing end reports its own error.
                endings.recv_timeout(2 * PATIENCE).expect("both ends end");
            }
            for thread in [service, client] {
                thread.join().expect("it does not panic");
            }
        }
    }
}

#[test]
fn dropping_cancelled_replies_frees_the_reply_quota() {
    for driver in ["loopback", "beehive"].iter().chain(&DRIVERS) {
        let (ws, end) = (Waitset::new(), End::default());
        let iref = Handlers::Plain.export(&ws, &end);
        let binding = Handlers::Plain.bind(&ws, &End::default(), iref, driver);
        let client = busy::RpcClient::new(&binding);
        let serve_until = |done: &dyn Fn(usize) -> bool| {
            serve(&ws, || done(end.held.borrow().len()), driver);
        };
        // All that may be under way is given up, again and again, until the service listens no more.
        while end.held.borrow().len() < MAX_PENDING_REPLIES {
            let before = end.held.borrow().len();
            let holds: Vec<_> = (0..CALL_WINDOW)
                .map(|_| {
                    let hold = client.hold_async();
                    ws.spawn_local(async { _ = hold.await })
                })
                .collect();
            serve_until(&|held| held == before + CALL_WINDOW);
            drop(holds);
        }
        let asked = ws.spawn_local(client.ask_async(1, &[]));
        let held = Rc::clone(&end.held);
        let listens = Rc::new(Cell::new(false));
        let told = Rc::clone(&listens);
        let answer = ws.spawn_local(async move {
            assert_eq!(asked.await, Ok((1, Vec::new())));
            told.set(true);
        });
        let quiet = ws.dispatch_until(Some(Instant::now() + TICK), || listens.get());
        assert!(!quiet.expect("no callback fails"), "{driver}: it owes too many replies");
        ws.after(TICK, move |_| {
            drop(held.take());
            Ok(())
        });
        serve(&ws, || listens.get(), driver);
        drop(answer);
    }
}

/// Serves until both ends are done.
fn both(ws: &Waitset, end: &End, done: &AtomicU32, other: Option<&Remote>, what: &str) {
    let counted = Cell::new(false);
    let all = || {
        if end.is_done() && !counted.replace(true) {
            done.fetch_add(1, Ordering::Release);
        }
        done.load(Ordering::Acquire) == 2
    };
    // Who is done first serves on, looking now and then whether the other one is.
    let deadline = Instant::now() + PATIENCE;
    while !ws.dispatch_until(Some(Instant::now() + TICK), all).expect("no callback fails") {
        assert!(Instant::now() < deadline, "{what}: the ends hold each other up");
    }
    if let Some(other) = other {
        other.post(|_| Ok(()));
    }
}
