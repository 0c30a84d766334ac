//! Plays a program over one driver, and writes down what both ends see of it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use flounder::{BindingError, Cap, Control, Exported, Rejected, RpcError, Sent, TxError, Waitset};

use crate::play;
use crate::program::{
    Body, Call, Client, MAX_BYTES, Manner, Op, Program, Service, Side, Then, WAITSETS,
};

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

/// Plays `program` over `driver`; what takes longer than `patience` is stuck.
pub(crate) fn play(program: &Program, driver: &str, patience: Duration) -> Outcome {
    let before = descriptors();
    let mut outcome = {
        let stage = Stage::new(program.buffer, driver, patience);
        stage.bind();
        for (at, op) in program.ops.iter().enumerate() {
            stage.obey(at as u32, op);
            if stage.is_stuck.get() {
                break;
            }
        }
        stage.obey(u32::MAX, &Op::Teardown(Client, Manner::Settled));
        stage.end()
    };
    let after = descriptors();
    if after != before && outcome.broken.is_empty() {
        outcome.broken.push(format!("{before} descriptors have become {after}"));
    }
    outcome
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("there is /proc").count()
}

/// Both ends of a binding after another, and the waitsets of their thread.
struct Stage {
    waitsets: [Waitset; WAITSETS],
    exported: Exported,
    driver: String,
    buffer: usize,
    patience: Duration,
    /// The binding of this moment.
    scene: Rc<RefCell<Rc<Scene>>>,
    trace: RefCell<Vec<String>>,
    broken: RefCell<Vec<String>>,
    arrived: Cell<u64>,
    busy: Cell<u64>,
    is_stuck: Cell<bool>,
    labels: Cell<u64>,
}

/// One binding, from its bind to its end.
#[derive(Default)]
struct Scene {
    ends: [End; 2],
    broken: RefCell<Vec<String>>,
    /// Calls that were begun, by number: how they ended.
    calls: RefCell<BTreeMap<u32, Option<String>>>,
    /// Of these, those whose end was written down.
    told: RefCell<Vec<u32>>,
    /// Calls that the service got, and those of them that it keeps.
    asked: RefCell<BTreeMap<u32, String>>,
    kept: RefCell<BTreeMap<u32, Kept>>,
    arrived: Cell<u64>,
    busy: Cell<u64>,
    is_over: Cell<bool>,
}

type Kept = play::KeepReply;

/// One end of it.
#[derive(Default)]
struct End {
    binding: RefCell<Option<play::Binding>>,
    /// Which waitset serves it.
    waitset: Cell<usize>,
    outbox: RefCell<VecDeque<Letter>>,
    /// What was accepted from it, in order.
    accepted: RefCell<Vec<(Origin, String)>>,
    /// How many of the other end's were received.
    received: Cell<usize>,
    /// How many of these were written down.
    written: Cell<usize>,
    /// Continuations: begun, run, dropped.
    begun: Cell<u32>,
    ran: RefCell<Vec<u32>>,
    dropped: Cell<u32>,
    /// How many of them were written down.
    continued: Cell<usize>,
    /// Whether it has moved since the last of them was written down.
    moved: Cell<bool>,
    /// Calls for room that are wanted, and whether one is registered.
    rooms: RefCell<VecDeque<usize>>,
    registered: Cell<bool>,
    roomy: Cell<u32>,
    errors: RefCell<Vec<BindingError>>,
}

/// Who had a message sent. Which of the two comes first depends on when room appears, and is no part of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Program,
    Handler,
}

/// A message that is to be sent.
struct Letter {
    body: Body,
    /// What makes its content.
    salt: u32,
    then: Then,
    origin: Origin,
    caps: Vec<Cap>,
    labels: Vec<u64>,
    /// The bytes of an echo.
    echo: Option<Vec<u8>>,
}

impl Stage {
    fn new(buffer: usize, driver: &str, patience: Duration) -> Self {
        let waitsets: [Waitset; WAITSETS] = std::array::from_fn(|_| Waitset::new());
        let scene = Rc::new(RefCell::new(Rc::new(Scene::default())));
        let current = Rc::clone(&scene);
        let exported = play::export(&waitsets[1], move |_| {
            Ok(Handler { scene: Rc::clone(&current.borrow()), side: Service })
        });
        Self {
            exported: exported.start().expect("a process may export to itself"),
            waitsets,
            driver: driver.to_owned(),
            buffer,
            patience,
            scene,
            trace: RefCell::default(),
            broken: RefCell::default(),
            arrived: Cell::new(0),
            busy: Cell::new(0),
            is_stuck: Cell::new(false),
            labels: Cell::new(0),
        }
    }

    fn scene(&self) -> Rc<Scene> {
        Rc::clone(&self.scene.borrow())
    }

    fn write(&self, line: String) {
        self.trace.borrow_mut().push(line);
    }

    fn break_off(&self, what: String) {
        self.broken.borrow_mut().push(what);
        self.is_stuck.set(true);
    }

    fn bind(&self) {
        let scene = Rc::new(Scene::default());
        scene.ends[1].waitset.set(1);
        self.scene.replace(Rc::clone(&scene));
        let handler = Handler { scene: Rc::clone(&scene), side: Client };
        let slot = Rc::clone(&scene);
        play::bind(self.exported.iref(), &self.waitsets[0], handler)
            .driver(&self.driver)
            .buffer(self.buffer)
            .on_bound(move |bound| match bound {
                Ok(binding) => {
                    if binding.tx_hello().is_err() {
                        slot.complain("a new binding is busy".into());
                    }
                    slot.ends[0].binding.replace(Some(binding));
                }
                Err(error) => slot.complain(error.to_string()),
            })
            .expect("a bind may start");
        let bound = |scene: &Scene| scene.ends.iter().all(|end| end.binding.borrow().is_some());
        self.go_on_until("the bind", &scene, bound);
        if let Some(binding) = &*scene.ends[0].binding.borrow()
            && !self.driver.starts_with(binding.driver())
        {
            self.break_off(format!("bound by {}", binding.driver()));
        }
    }

    fn obey(&self, at: u32, op: &Op) {
        let scene = self.scene();
        match *op {
            Op::Send(side, body, then) if scene.is_over.get() => {
                let mut letter = self.letter(at, body, then);
                let binding = scene.binding(side);
                let result = letter.attempt(&binding, 0, None);
                self.write(format!("{at}: {side:?} sends to nobody: {result:?}"));
            }
            Op::Send(side, body, then) => {
                let letter = self.letter(at, body, then);
                scene.ends[side as usize].outbox.borrow_mut().push_back(letter);
                scene.pump(side);
            }
            Op::Burst(..) if scene.is_over.get() => {}
            Op::Burst(side, messages) => {
                for _ in 0..messages {
                    let letter = self.letter(at, Body::Tick, Then::Nothing);
                    scene.ends[side as usize].outbox.borrow_mut().push_back(letter);
                }
                scene.pump(side);
            }
            Op::TooLong(side) => {
                let long = vec![b'x'; MAX_BYTES + 1];
                let long = String::from_utf8(long).expect("x is a character");
                let result = scene.binding(side).tx_text(0, &long).map(drop);
                self.write(format!("{at}: {side:?} sends too much: {result:?}"));
            }
            Op::Call(call) => self.call(&scene, at, call),
            Op::Answer => {
                self.settle(&scene);
                self.answer(&scene);
            }
            Op::Room(side, waitset) => {
                if scene.is_over.get() {
                    let result =
                        scene.binding(side).register_send(&self.waitsets[waitset], |_| Ok(()));
                    self.write(format!("{at}: {side:?} finds no room: {result:?}"));
                    return;
                }
                scene.ends[side as usize].rooms.borrow_mut().push_back(waitset);
                scene.want_room(side, &self.waitsets);
            }
            Op::Move(side, waitset) => {
                let result = scene.binding(side).change_waitset(&self.waitsets[waitset]);
                scene.ends[side as usize].waitset.set(waitset);
                scene.ends[side as usize].moved.set(true);
                self.write(format!("{at}: {side:?} moves: {result:?}"));
            }
            Op::Sync(side, sync) => {
                let control = if sync { Control::SetSync } else { Control::ClearSync };
                let result = scene.binding(side).control(control);
                self.write(format!("{at}: {side:?} controls: {result:?}"));
            }
            Op::Turn(waitset, turns) => {
                for _ in 0..turns {
                    self.turn(&self.waitsets[waitset]);
                }
                self.pump(&scene);
            }
            Op::Rest(waitset) => {
                let until = Instant::now() + Duration::from_micros(50);
                if let Err(error) = self.waitsets[waitset].dispatch_until(Some(until), || false) {
                    self.break_off(error.to_string());
                }
            }
            Op::Settle => self.settle(&scene),
            Op::Teardown(side, manner) => self.teardown(&scene, side, manner),
            Op::Bind if scene.is_over.get() => self.bind(),
            Op::Bind => {}
        }
    }

    fn letter(&self, at: u32, body: Body, then: Then) -> Letter {
        let count = match body {
            Body::Gift(_) | Body::Lent(_) => 1,
            Body::Seven => 7,
            _ => 0,
        };
        let labels: Vec<_> = (0..count).map(|_| self.label()).collect();
        let caps = labels.iter().map(|label| labelled(*label)).collect();
        Letter { body, salt: at, then, origin: Origin::Program, caps, labels, echo: None }
    }

    fn label(&self) -> u64 {
        self.labels.set(self.labels.get() + 1);
        self.labels.get()
    }

    fn call(&self, scene: &Rc<Scene>, at: u32, call: Call) {
        let client = play::RpcClient::new(&scene.binding(Client));
        let label = self.label();
        let cap = matches!(call, Call::Swap).then(|| labelled(label));
        let scene = Rc::clone(scene);
        let waitset = &self.waitsets[scene.ends[0].waitset.get()];
        scene.calls.borrow_mut().insert(at, None);
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
                Call::Keep => shown(client.keep_async(at).await),
                Call::Never => shown(client.never_async(at).await),
            };
            scene.calls.borrow_mut().insert(at, Some(result));
        };
        waitset.spawn_local(task).detach();
    }

    fn answer(&self, scene: &Rc<Scene>) {
        for (at, reply) in scene.kept.take() {
            if at % 2 == 0 {
                reply.send(at);
            }
        }
        self.settle(scene);
    }

    fn teardown(&self, scene: &Rc<Scene>, side: Side, manner: Manner) {
        if scene.is_over.get() {
            return;
        }
        if manner != Manner::AtOnce {
            self.settle(scene);
        }
        let other = &scene.ends[side.other() as usize];
        // What the peer gets at least: what was sent, whatever is still accepted and no more.
        let own = &scene.ends[side as usize];
        let binding = scene.binding(side);
        let accepted = own.accepted.borrow().len();
        let least = if binding.can_send() { accepted } else { accepted.saturating_sub(1) };
        if manner == Manner::InHandler {
            match scene.binding(side.other()).tx_bye() {
                Ok(_) => {}
                Err(error) => scene.complain(format!("the last message is refused: {error}")),
            }
        } else {
            binding.teardown();
        }
        for end in &scene.ends {
            end.outbox.borrow_mut().clear();
            end.rooms.borrow_mut().clear();
        }
        scene.is_over.set(true);
        scene.kept.borrow_mut().clear();
        self.go_on_until("the end", scene, |scene| {
            let calls = scene.calls.borrow();
            !other.errors.borrow().is_empty() && calls.values().all(Option::is_some)
        });
        self.rest(scene);
        if other.received.get() < least {
            let received = other.received.get();
            scene.complain(format!("{received} messages are received of {least} that were sent"));
        }
        for (name, end) in [("client", &scene.ends[0]), ("service", &scene.ends[1])] {
            let (begun, dropped) = (end.begun.get(), end.dropped.get());
            let ran = end.ran.borrow().len() as u32;
            if ran + dropped != begun {
                scene.complain(format!(
                    "of {begun} continuations of the {name} {ran} ran and {dropped} were dropped"
                ));
            }
            if manner != Manner::AtOnce && dropped > 0 {
                scene.complain(format!("{dropped} continuations of the {name} did not run"));
            }
            self.write(format!("the {name} is told {:?}", end.errors.borrow()));
            let ended = end.binding.borrow().as_ref().and_then(|binding| binding.ended());
            self.write(format!("the {name} has ended: {ended:?}"));
        }
        if manner == Manner::AtOnce {
            // Which calls were answered, and how far the messages got, is a matter of time.
            scene.check_calls();
        } else {
            self.write_down(scene);
        }
        self.collect(scene);
    }

    /// Goes on until everything that was begun is done, and writes down what came of it.
    fn settle(&self, scene: &Rc<Scene>) {
        if scene.is_over.get() {
            self.rest(scene);
            return;
        }
        self.go_on_until("everything", scene, Scene::is_settled);
        self.rest(scene);
        self.write_down(scene);
    }

    fn write_down(&self, scene: &Rc<Scene>) {
        for side in [Client, Service] {
            let (end, peer) = (&scene.ends[side as usize], &scene.ends[side.other() as usize]);
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
                scene.complain(format!("{side:?} goes on after {ran:?}, in this order"));
            }
            end.continued.set(ran.len());
            // One that was left at another waitset may run after those that came later.
            ran.sort_unstable();
            let roomy = end.roomy.get();
            self.write(format!("{side:?} goes on after {ran:?}, and had room {roomy} times"));
        }
        for (at, what) in &*scene.asked.borrow() {
            self.write(format!("call {at} arrived: {what}"));
        }
        scene.asked.borrow_mut().clear();
        let mut told = scene.told.borrow_mut();
        for (at, result) in &*scene.calls.borrow() {
            if let Some(result) = result
                && !told.contains(at)
            {
                self.write(format!("call {at} gives {result}"));
                told.push(*at);
            }
        }
    }

    fn collect(&self, scene: &Rc<Scene>) {
        self.arrived.set(self.arrived.get() + scene.arrived.take());
        self.busy.set(self.busy.get() + scene.busy.take());
        self.broken.borrow_mut().append(&mut scene.broken.borrow_mut());
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

    fn pump(&self, scene: &Rc<Scene>) {
        for side in [Client, Service] {
            scene.pump(side);
            scene.want_room(side, &self.waitsets);
        }
    }

    fn go_on_until(&self, what: &str, scene: &Rc<Scene>, is_done: impl Fn(&Scene) -> bool) {
        let deadline = Instant::now() + self.patience;
        while !is_done(scene) {
            for waitset in &self.waitsets {
                self.turn(waitset);
            }
            self.pump(scene);
            if !scene.broken.borrow().is_empty() || self.is_stuck.get() {
                self.is_stuck.set(true);
                self.collect(scene);
                return;
            }
            if Instant::now() > deadline {
                self.break_off(format!("stuck before {what} is done: {}", scene.state()));
                return;
            }
        }
    }

    /// Dispatches until nothing is left to do.
    fn rest(&self, scene: &Rc<Scene>) {
        let deadline = Instant::now() + self.patience;
        while self.waitsets.iter().fold(false, |turned, waitset| self.turn(waitset) | turned) {
            if Instant::now() > deadline {
                return self.break_off(format!("never at rest: {}", scene.state()));
            }
        }
    }

    fn end(self) -> Outcome {
        let scene = self.scene();
        self.collect(&scene);
        for end in &scene.ends {
            end.binding.take();
        }
        self.scene.replace(Rc::default());
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

impl Scene {
    fn binding(&self, side: Side) -> play::Binding {
        let binding = self.ends[side as usize].binding.borrow();
        binding.clone().expect("the bind has made both ends")
    }

    fn complain(&self, what: String) {
        self.broken.borrow_mut().push(what);
    }

    fn state(&self) -> String {
        let ends = self.ends.each_ref().map(|end| {
            let (waiting, accepted) = (end.outbox.borrow().len(), end.accepted.borrow().len());
            let errors = end.errors.borrow();
            format!(
                "[{accepted} accepted, {waiting} waiting, {} received, {} of {} continued, {errors:?}]",
                end.received.get(),
                end.ran.borrow().len(),
                end.begun.get(),
            )
        });
        let calls = self.calls.borrow();
        let open: Vec<_> = calls.iter().filter(|(_, result)| result.is_none()).collect();
        format!("client {}, service {}, open calls {open:?}", ends[0], ends[1])
    }

    fn is_settled(&self) -> bool {
        let is_settled = |end: &End, peer: &End| {
            end.outbox.borrow().is_empty()
                && end.rooms.borrow().is_empty()
                && end.accepted.borrow().len() == peer.received.get()
                && end.ran.borrow().len() as u32 == end.begun.get()
        };
        let [client, service] = &self.ends;
        let kept = self.kept.borrow();
        let calls = self.calls.borrow();
        is_settled(client, service)
            && is_settled(service, client)
            && calls.iter().all(|(at, result)| result.is_some() || kept.contains_key(at))
    }

    /// After an end that came at once, a call has its right result or an error that says so.
    fn check_calls(&self) {
        for (at, result) in &*self.calls.borrow() {
            let result = result.as_deref().unwrap_or("nothing");
            let closed = RpcError::Closed(BindingError::Closed);
            let is_right = result.starts_with("Ok(")
                || [closed, RpcError::Tx(TxError::Closed), RpcError::NoReply]
                    .iter()
                    .any(|error| result == format!("Err({error:?})"));
            if !is_right {
                self.complain(format!("call {at} gives {result}"));
            }
        }
    }

    /// Sends what waits, as long as the binding takes it.
    fn pump(self: &Rc<Self>, side: Side) {
        let end = &self.ends[side as usize];
        // Also called by handlers, which run while the outbox is not in use.
        let Some(binding) = end.binding.borrow().clone() else { return };
        loop {
            let Some(mut letter) = end.outbox.borrow_mut().pop_front() else { return };
            if !binding.can_send() && binding.ended().is_none() {
                // Tried all the same now and then; making a long message anew each time is slow.
                let busy = self.busy.get();
                self.busy.set(busy + 1);
                if !busy.is_multiple_of(16) {
                    end.outbox.borrow_mut().push_front(letter);
                    return;
                }
            }
            let serial = end.accepted.borrow().len() as u32;
            let token = (letter.then == Then::Continue).then(|| Token {
                scene: Rc::clone(self),
                side,
                salt: letter.salt,
                ran: Cell::new(false),
            });
            if token.is_some() {
                end.begun.set(end.begun.get() + 1);
            }
            match letter.attempt(&binding, serial, token) {
                Ok(()) => end.accepted.borrow_mut().push((letter.origin, letter.described())),
                Err(TxError::Busy) => {
                    end.forget_token(&letter);
                    end.outbox.borrow_mut().push_front(letter);
                    return;
                }
                Err(TxError::Closed) => {
                    // The end is not told yet; nothing that comes after it matters.
                    end.forget_token(&letter);
                    end.outbox.borrow_mut().clear();
                    return;
                }
                Err(error) => {
                    end.forget_token(&letter);
                    self.complain(format!("{:?} is refused: {error}", letter.body));
                }
            }
        }
    }

    fn want_room(self: &Rc<Self>, side: Side, waitsets: &[Waitset; WAITSETS]) {
        let end = &self.ends[side as usize];
        let Some(waitset) = end.rooms.borrow().front().copied() else { return };
        if end.registered.get() {
            return;
        }
        let scene = Rc::clone(self);
        let result = self.binding(side).register_send(&waitsets[waitset], move |_| {
            let end = &scene.ends[side as usize];
            end.registered.set(false);
            end.rooms.borrow_mut().pop_front();
            end.roomy.set(end.roomy.get() + 1);
            Ok(())
        });
        match result {
            Ok(()) => end.registered.set(true),
            Err(error) => self.complain(format!("room is not to be had: {error}")),
        }
    }

    /// A message has come to `side`.
    fn received(&self, side: Side, at: u32, what: &str) {
        self.arrived.set(self.arrived.get() + 1);
        let (end, peer) = (&self.ends[side as usize], &self.ends[side.other() as usize]);
        let next = end.received.replace(end.received.get() + 1);
        let accepted = peer.accepted.borrow();
        // One that comes from within the call that sends it is not among the accepted ones yet.
        let sent = accepted.get(next).map(|(_, sent)| sent.as_str());
        if at as usize != next || sent != Some(what) {
            self.complain(format!("{side:?} receives {what} as {next}, not {sent:?} ({at})"));
        }
    }
}

impl End {
    fn forget_token(&self, letter: &Letter) {
        if letter.then == Then::Continue {
            self.begun.set(self.begun.get() - 1);
            self.dropped.set(self.dropped.get() - 1);
        }
    }
}

/// What a continuation holds: counts whether it runs or is dropped.
struct Token {
    scene: Rc<Scene>,
    side: Side,
    salt: u32,
    ran: Cell<bool>,
}

impl Token {
    fn run(&self) {
        self.ran.set(true);
        self.scene.ends[self.side as usize].ran.borrow_mut().push(self.salt);
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if !self.ran.get() {
            let end = &self.scene.ends[self.side as usize];
            end.dropped.set(end.dropped.get() + 1);
        }
    }
}

impl Letter {
    /// Tries to send it as the message number `at` of its end. On an error its capabilities are still there.
    fn attempt(&mut self, b: &play::Binding, at: u32, token: Option<Token>) -> Result<(), TxError> {
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

    /// What its handler will say that it is.
    fn described(&self) -> String {
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
            Body::Gift(length) => described("gift", text(length, salt).as_bytes(), &self.labels),
            Body::Lent(length) => described("lent", &raw(&words(length, salt)), &self.labels),
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

// ---- what messages hold, and how it is told apart ---------------------------------------------------------------------------

struct Scalars {
    a: bool,
    b: u8,
    c: i16,
    d: i64,
    e: f64,
    f: play::Colour,
    p: play::Point,
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

    fn described(&self) -> String {
        let Self { a, b, c, d, e, f, p } = self;
        format!("scalars {a} {b} {c} {d} {e} {f:?} {p:?}")
    }
}

fn bytes(length: usize, salt: u32) -> Vec<u8> {
    (0..length as u32).map(|i| i.wrapping_mul(31).wrapping_add(salt) as u8).collect()
}

fn text(length: usize, salt: u32) -> String {
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

fn raw(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn digest(bytes: &[u8]) -> String {
    format!("{} bytes {:08x}", bytes.len(), crc32fast::hash(bytes))
}

fn described(name: &str, bytes: &[u8], labels: &[u64]) -> String {
    format!("{name} {} {labels:?}", digest(bytes))
}

fn pieces(s: &str, h: &[u16], n: &[u8], t: &str) -> String {
    let halves: Vec<u8> = h.iter().flat_map(|half| half.to_ne_bytes()).collect();
    let parts = [s.as_bytes(), &halves, n, t.as_bytes()].map(digest);
    format!("pieces {}", parts.join(", "))
}

fn items(points: &[play::Point], names: &[&str]) -> String {
    let points = format!("{points:?}");
    format!("items {}, {}", digest(points.as_bytes()), digest(names.join("\n").as_bytes()))
}

/// A file that can be told from others, in any process.
fn labelled(label: u64) -> Cap {
    let file = rustix::fs::memfd_create("label", rustix::fs::MemfdFlags::CLOEXEC)
        .expect("there are descriptors to spare");
    rustix::io::pwrite(&file, &label.to_ne_bytes(), 0).expect("a new file can be written");
    Cap::from(file)
}

fn label_of(cap: &Cap) -> u64 {
    let mut label = [0; 8];
    match rustix::io::pread(cap.as_fd(), &mut label, 0) {
        Ok(_) => u64::from_ne_bytes(label),
        Err(error) => panic!("a capability is not the file that was sent: {error}"),
    }
}

fn shown(result: Result<impl Debug, RpcError>) -> String {
    format!("{result:?}")
}

// ---- what both ends do with what comes ---------------------------------------------------------------------------------------

struct Handler {
    scene: Rc<Scene>,
    side: Side,
}

impl Handler {
    fn received(&self, at: u32, what: &str) {
        self.scene.received(self.side, at, what);
    }

    fn asked(&self, at: u32, what: String) {
        self.scene.arrived.set(self.scene.arrived.get() + 1);
        if self.side == Client || self.scene.asked.borrow_mut().insert(at, what).is_some() {
            self.scene.complain(format!("call {at} arrives twice, or where it was made"));
        }
    }
}

impl play::Rx for Handler {
    fn hello(&mut self, b: &play::Binding) {
        self.scene.ends[self.side as usize].binding.replace(Some(b.clone()));
    }

    fn tick(&mut self, _: &play::Binding, at: u32) {
        self.received(at, "tick");
    }

    fn scalars(
        &mut self,
        _: &play::Binding,
        at: u32,
        a: bool,
        b: u8,
        c: i16,
        d: i64,
        e: f64,
        f: play::Colour,
        p: play::Point,
    ) {
        self.received(at, &Scalars { a, b, c, d, e, f, p }.described());
    }

    fn text(&mut self, _: &play::Binding, at: u32, s: &str) {
        self.received(at, &described("text", s.as_bytes(), &[]));
    }

    fn bytes(&mut self, _: &play::Binding, at: u32, b: &[u8]) {
        self.received(at, &described("bytes", b, &[]));
    }

    fn words(&mut self, _: &play::Binding, at: u32, w: &[u64]) {
        self.received(at, &described("words", &raw(w), &[]));
    }

    fn pieces(&mut self, _: &play::Binding, at: u32, s: &str, h: &[u16], n: &[u8], t: &str) {
        self.received(at, &pieces(s, h, n, t));
    }

    fn items(&mut self, _: &play::Binding, at: u32, points: &[play::Point], names: &[&str]) {
        self.received(at, &items(points, names));
    }

    fn gift(&mut self, _: &play::Binding, at: u32, c: Cap, s: &str) {
        self.received(at, &described("gift", s.as_bytes(), &[label_of(&c)]));
    }

    fn lent(&mut self, _: &play::Binding, at: u32, c: Cap, w: &[u64]) {
        self.received(at, &described("lent", &raw(w), &[label_of(&c)]));
    }

    fn seven(
        &mut self,
        _: &play::Binding,
        at: u32,
        a: Cap,
        b: Cap,
        c: Cap,
        d: Cap,
        e: Cap,
        f: Cap,
        g: Cap,
    ) {
        let labels = [a, b, c, d, e, f, g].map(|cap| label_of(&cap));
        self.received(at, &described("seven", &[], &labels));
    }

    fn echo(&mut self, _: &play::Binding, at: u32, b: &[u8]) {
        self.received(at, &described("echo", b, &[]));
        let letter = Letter {
            body: Body::Echo(b.len()),
            salt: 0,
            then: Then::Nothing,
            origin: Origin::Handler,
            caps: Vec::new(),
            labels: Vec::new(),
            echo: Some(b.to_vec()),
        };
        self.scene.ends[self.side as usize].outbox.borrow_mut().push_back(letter);
        self.scene.pump(self.side);
    }

    fn echoed(&mut self, _: &play::Binding, at: u32, b: &[u8]) {
        self.received(at, &described("echoed", b, &[]));
    }

    fn bye(&mut self, b: &play::Binding) {
        b.teardown();
    }

    fn sum(&mut self, _: &play::Binding, at: u32, a: u64, b: u64, reply: play::SumReply) {
        self.asked(at, format!("sum {a} {b}"));
        reply.send(a.wrapping_add(b));
    }

    fn turn(&mut self, _: &play::Binding, at: u32, s: &str, reply: play::TurnReply) {
        self.asked(at, described("turn", s.as_bytes(), &[]));
        reply.send(&s.chars().rev().collect::<String>());
    }

    fn swap(&mut self, _: &play::Binding, at: u32, c: Cap, reply: play::SwapReply) {
        self.asked(at, described("swap", &[], &[label_of(&c)]));
        reply.send(&c);
    }

    fn keep(&mut self, _: &play::Binding, at: u32, reply: play::KeepReply) {
        self.asked(at, "keep".to_owned());
        self.scene.kept.borrow_mut().insert(at, reply);
    }

    fn never(&mut self, _: &play::Binding, at: u32, reply: play::NeverReply) {
        self.asked(at, "never".to_owned());
        drop(reply);
    }

    fn error(&mut self, _: &play::Binding, error: BindingError) {
        self.scene.ends[self.side as usize].errors.borrow_mut().push(error);
    }
}
