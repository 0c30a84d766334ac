//! Runs a program over one driver and records what both ends observe.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use flounder::{Control, Exported, Waitset};

use crate::play;
use crate::program::{
    Body, Call, Client, MAX_BYTES, Manner, Op, Program, Service, Side, Then, WAITSETS,
};
use crate::session::{Handler, Session};
use crate::test_message::{Origin, TestMessage, data, digest, label_of, labelled, shown, text};

/// What came of a program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What must be the same over every driver.
    pub(crate) trace: Vec<String>,
    /// What must not be over any.
    pub(crate) broken: Vec<String>,
    /// Messages and calls that arrived.
    pub(crate) arrived: u64,
    /// Messages that found their binding busy.
    pub(crate) busy: u64,
}

/// Plays `program` over `driver`; what takes longer than `timeout` is stuck.
pub(crate) fn play(program: &Program, driver: &str, timeout: Duration) -> Outcome {
    let before = descriptors();
    let mut outcome = {
        let runner = Runner::new(program.buffer, driver, timeout);
        runner.bind();
        for (at, op) in program.ops.iter().enumerate() {
            runner.run_op(at as u32, op);
            if runner.is_stuck.get() {
                break;
            }
        }
        runner.run_op(u32::MAX, &Op::Teardown(Client, Manner::Settled));
        runner.end()
    };
    let after = descriptors();
    if after != before && outcome.broken.is_empty() {
        outcome.broken.push(format!("{before} descriptors have become {after}"));
    }
    outcome
}

fn descriptors() -> usize {
    // What was received is closed by other threads.
    let _ = flounder::driver::closer::wait_until_closed(Instant::now() + Duration::from_secs(1));
    std::fs::read_dir("/proc/self/fd").expect("there is /proc").count()
}

/// Both ends of a binding after another, and the waitsets of their thread.
struct Runner {
    waitsets: [Waitset; WAITSETS],
    exported: Exported,
    driver: String,
    buffer: usize,
    timeout: Duration,
    /// The binding of this moment.
    session: Rc<RefCell<Rc<Session>>>,
    trace: RefCell<Vec<String>>,
    broken: RefCell<Vec<String>>,
    arrived: Cell<u64>,
    busy: Cell<u64>,
    is_stuck: Cell<bool>,
    labels: Cell<u64>,
}

impl Runner {
    fn new(buffer: usize, driver: &str, timeout: Duration) -> Self {
        let waitsets: [Waitset; WAITSETS] = std::array::from_fn(|_| Waitset::new());
        let session = Rc::new(RefCell::new(Rc::new(Session::default())));
        let current = Rc::clone(&session);
        let exported = play::export(&waitsets[1], move |_| {
            Ok(Handler { session: Rc::clone(&current.borrow()), side: Service })
        });
        Self {
            exported: exported.wait().expect("a process may export to itself"),
            waitsets,
            driver: driver.to_owned(),
            buffer,
            timeout,
            session,
            trace: RefCell::default(),
            broken: RefCell::default(),
            arrived: Cell::new(0),
            busy: Cell::new(0),
            is_stuck: Cell::new(false),
            labels: Cell::new(0),
        }
    }

    fn session(&self) -> Rc<Session> {
        Rc::clone(&self.session.borrow())
    }

    fn write(&self, line: String) {
        self.trace.borrow_mut().push(line);
    }

    fn break_off(&self, what: String) {
        self.broken.borrow_mut().push(what);
        self.is_stuck.set(true);
    }

    fn bind(&self) {
        let session = Rc::new(Session::default());
        session.ends[1].waitset.set(1);
        self.session.replace(Rc::clone(&session));
        let handler = Handler { session: Rc::clone(&session), side: Client };
        let slot = Rc::clone(&session);
        play::bind(self.exported.iref(), &self.waitsets[0], handler)
            .driver(&self.driver)
            .buffer(self.buffer)
            .then(move |bound| match bound {
                Ok(binding) => {
                    if binding.tx_hello().is_err() {
                        slot.complain("a new binding is busy".into());
                    }
                    slot.ends[0].binding.replace(Some(binding));
                }
                Err(error) => slot.complain(error.to_string()),
            });
        let bound =
            |session: &Session| session.ends.iter().all(|end| end.binding.borrow().is_some());
        self.go_on_until("the bind", &session, bound);
        if let Some(binding) = &*session.ends[0].binding.borrow()
            && !self.driver.starts_with(binding.driver())
        {
            self.break_off(format!("bound by {}", binding.driver()));
        }
    }

    fn run_op(&self, at: u32, op: &Op) {
        let session = self.session();
        match *op {
            Op::Send(side, body, then) if session.is_over.get() => {
                let mut message = self.message(at, body, then);
                let binding = session.binding(side);
                let result = message.attempt(&binding, 0, None);
                self.write(format!("{at}: {side:?} sends to nobody: {result:?}"));
            }
            Op::Send(side, body, then) => {
                let message = self.message(at, body, then);
                session.ends[side as usize].outbox.borrow_mut().push_back(message);
                session.pump(side);
            }
            Op::Burst(..) if session.is_over.get() => {}
            Op::Burst(side, messages) => {
                for _ in 0..messages {
                    let message = self.message(at, Body::Tick, Then::Nothing);
                    session.ends[side as usize].outbox.borrow_mut().push_back(message);
                }
                session.pump(side);
            }
            Op::TooLong(side) => {
                let long = vec![b'x'; MAX_BYTES + 1];
                let long = String::from_utf8(long).expect("x is a character");
                let result = session.binding(side).tx_text(0, &long).map(drop);
                self.write(format!("{at}: {side:?} sends too much: {result:?}"));
            }
            Op::Call(call) => self.call(&session, at, call),
            Op::Answer => {
                self.settle(&session);
                self.answer(&session);
            }
            Op::Room(side, waitset) => {
                if session.is_over.get() {
                    let result =
                        session.binding(side).register_send(&self.waitsets[waitset], |_| Ok(()));
                    self.write(format!("{at}: {side:?} finds no room: {result:?}"));
                    return;
                }
                session.ends[side as usize].rooms.borrow_mut().push_back(waitset);
                session.want_room(side, &self.waitsets);
            }
            Op::Move(side, waitset) => {
                let result = session.binding(side).change_waitset(&self.waitsets[waitset]);
                session.ends[side as usize].waitset.set(waitset);
                session.ends[side as usize].moved.set(true);
                self.write(format!("{at}: {side:?} moves: {result:?}"));
            }
            Op::Sync(side, sync) => {
                let control = if sync { Control::SetSync } else { Control::ClearSync };
                let result = session.binding(side).control(control);
                self.write(format!("{at}: {side:?} controls: {result:?}"));
            }
            Op::Turn(waitset, turns) => {
                for _ in 0..turns {
                    self.turn(&self.waitsets[waitset]);
                }
                self.pump(&session);
            }
            Op::Rest(waitset) => {
                let until = Instant::now() + Duration::from_micros(50);
                if let Err(error) = self.waitsets[waitset].dispatch_until(Some(until), || false) {
                    self.break_off(error.to_string());
                }
            }
            Op::Settle => self.settle(&session),
            Op::Teardown(side, manner) => self.teardown(&session, side, manner),
            Op::Bind if session.is_over.get() => self.bind(),
            Op::Bind => {}
        }
    }

    fn message(&self, at: u32, body: Body, then: Then) -> TestMessage {
        let count = match body {
            Body::Gift(_) | Body::Lent(_) | Body::Sealed(_) => 1,
            Body::Seven => 7,
            Body::Parts(_) => 4,
            _ => 0,
        };
        let labels: Vec<_> = (0..count).map(|_| self.label()).collect();
        let caps = labels.iter().map(|label| labelled(*label)).collect();
        TestMessage { body, salt: at, then, origin: Origin::Program, caps, labels, echo: None }
    }

    fn label(&self) -> u64 {
        self.labels.set(self.labels.get() + 1);
        self.labels.get()
    }

    fn call(&self, session: &Rc<Session>, at: u32, call: Call) {
        let client = play::RpcClient::new(&session.binding(Client));
        let label = self.label();
        let cap = matches!(call, Call::Swap).then(|| labelled(label));
        let session = Rc::clone(session);
        let waitset = &self.waitsets[session.ends[0].waitset.get()];
        session.calls.borrow_mut().insert(at, None);
        let task = async move {
            let result = match call {
                Call::Sum(a, b) => shown(client.sum_async(at, a, b).await),
                Call::Turn(length) => {
                    let text = client.turn_async(at, &text(length, at)).await;
                    shown(text.map(|text| digest(text.as_bytes())))
                }
                Call::Swap => {
                    let cap = cap.expect("it was made above");
                    shown(client.swap_async(at, cap).await.map(|cap| label_of(&cap)))
                }
                Call::Mirror(way, length) => {
                    let data = data(client.binding(), way, length, at);
                    let same = client.mirror_async(at, data).await;
                    shown(same.map(|same| digest(&same.to_vec())))
                }
                Call::Keep => shown(client.keep_async(at).await),
                Call::Never => shown(client.never_async(at).await),
            };
            session.calls.borrow_mut().insert(at, Some(result));
        };
        waitset.spawn_local(task).detach();
    }

    fn answer(&self, session: &Rc<Session>) {
        for (at, reply) in session.kept.take() {
            if at % 2 == 0 {
                reply.send(at);
            }
        }
        self.settle(session);
    }

    fn teardown(&self, session: &Rc<Session>, side: Side, manner: Manner) {
        if session.is_over.get() {
            return;
        }
        if manner != Manner::AtOnce {
            self.settle(session);
        }
        let other = &session.ends[side.other() as usize];
        // What the peer gets at least: what was sent, whatever is still accepted and no more.
        let own = &session.ends[side as usize];
        let binding = session.binding(side);
        let accepted = own.accepted.borrow().len();
        let least = if binding.can_send() { accepted } else { accepted.saturating_sub(1) };
        if manner == Manner::InHandler {
            match session.binding(side.other()).tx_bye() {
                Ok(_) => {}
                Err(error) => session.complain(format!("the last message is refused: {error}")),
            }
        } else {
            binding.teardown();
        }
        for end in &session.ends {
            end.outbox.borrow_mut().clear();
            end.rooms.borrow_mut().clear();
        }
        session.is_over.set(true);
        session.kept.borrow_mut().clear();
        self.go_on_until("the end", session, |session| {
            let calls = session.calls.borrow();
            !other.errors.borrow().is_empty() && calls.values().all(Option::is_some)
        });
        self.rest(session);
        if other.received.get() < least {
            let received = other.received.get();
            session.complain(format!("{received} messages are received of {least} that were sent"));
        }
        for (name, end) in [("client", &session.ends[0]), ("service", &session.ends[1])] {
            let (begun, dropped) = (end.begun.get(), end.dropped.get());
            let ran = end.ran.borrow().len() as u32;
            if ran + dropped != begun {
                session.complain(format!(
                    "of {begun} continuations of the {name} {ran} ran and {dropped} were dropped"
                ));
            }
            if manner != Manner::AtOnce && dropped > 0 {
                session.complain(format!("{dropped} continuations of the {name} did not run"));
            }
            self.write(format!("the {name} is told {:?}", end.errors.borrow()));
            let ended = end.binding.borrow().as_ref().and_then(|binding| binding.ended());
            self.write(format!("the {name} has ended: {ended:?}"));
        }
        if manner == Manner::AtOnce {
            // Which calls were answered, and how far the messages got, is a matter of time.
            session.check_calls();
        } else {
            self.write_down(session);
        }
        self.collect(session);
    }

    /// Goes on until everything that was begun is done, and writes down what came of it.
    fn settle(&self, session: &Rc<Session>) {
        if session.is_over.get() {
            self.rest(session);
            return;
        }
        self.go_on_until("everything", session, Session::is_settled);
        self.rest(session);
        self.write_down(session);
    }

    fn write_down(&self, session: &Rc<Session>) {
        for side in [Client, Service] {
            let (end, peer) = (&session.ends[side as usize], &session.ends[side.other() as usize]);
            let arrived = end.received.get();
            let from = end.written.replace(arrived);
            let accepted = peer.accepted.borrow();
            for origin in [Origin::Program, Origin::Handler] {
                for (_, what) in accepted[from..arrived].iter().filter(|(of, _)| *of == origin) {
                    self.write(format!("{side:?} receives {what}"));
                }
            }
            let mut ran = end.ran.borrow().clone();
            if !end.moved.take() && !ran[end.continued.get()..].is_sorted() {
                session.complain(format!("{side:?} goes on after {ran:?}, in this order"));
            }
            end.continued.set(ran.len());
            // One that was left at another waitset may run after those that came later.
            ran.sort_unstable();
            let roomy = end.roomy.get();
            self.write(format!("{side:?} goes on after {ran:?}, and had room {roomy} times"));
        }
        for (at, what) in &*session.asked.borrow() {
            self.write(format!("call {at} arrived: {what}"));
        }
        session.asked.borrow_mut().clear();
        let mut told = session.told.borrow_mut();
        for (at, result) in &*session.calls.borrow() {
            if let Some(result) = result
                && !told.contains(at)
            {
                self.write(format!("call {at} gives {result}"));
                told.push(*at);
            }
        }
    }

    fn collect(&self, session: &Rc<Session>) {
        self.arrived.set(self.arrived.get() + session.arrived.take());
        self.busy.set(self.busy.get() + session.busy.take());
        self.broken.borrow_mut().append(&mut session.broken.borrow_mut());
    }

    fn turn(&self, waitset: &Waitset) -> bool {
        match waitset.try_dispatch() {
            Ok(turned) => turned,
            Err(error) => {
                self.break_off(error.to_string());
                false
            }
        }
    }

    fn pump(&self, session: &Rc<Session>) {
        for side in [Client, Service] {
            session.pump(side);
            session.want_room(side, &self.waitsets);
        }
    }

    fn go_on_until(&self, what: &str, session: &Rc<Session>, is_done: impl Fn(&Session) -> bool) {
        let deadline = Instant::now() + self.timeout;
        while !is_done(session) {
            for waitset in &self.waitsets {
                self.turn(waitset);
            }
            self.pump(session);
            if !session.broken.borrow().is_empty() || self.is_stuck.get() {
                self.is_stuck.set(true);
                self.collect(session);
                return;
            }
            if Instant::now() > deadline {
                self.break_off(format!("stuck before {what} is done: {}", session.state()));
                return;
            }
        }
    }

    /// Dispatches until nothing is left to do.
    fn rest(&self, session: &Rc<Session>) {
        let deadline = Instant::now() + self.timeout;
        while self.waitsets.iter().fold(false, |turned, waitset| self.turn(waitset) | turned) {
            if Instant::now() > deadline {
                return self.break_off(format!("never at rest: {}", session.state()));
            }
        }
    }

    fn end(self) -> Outcome {
        let session = self.session();
        self.collect(&session);
        for end in &session.ends {
            end.binding.take();
        }
        self.session.replace(Rc::default());
        self.exported.withdraw();
        for waitset in &self.waitsets {
            while waitset.try_dispatch().is_ok_and(|turned| turned) {}
        }
        Outcome {
            trace: self.trace.take(),
            broken: self.broken.take(),
            arrived: self.arrived.get(),
            busy: self.busy.get(),
        }
    }
}
