//! Plays a program over one driver, and writes down what both ends see of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use flounder::{Control, Exported, Waitset};

use crate::letter::{Letter, Origin, digest, label_of, labelled, shown, text};
use crate::play;
use crate::program::{
    Body, Call, Client, MAX_BYTES, Manner, Op, Program, Service, Side, Then, WAITSETS,
};
use crate::scene::{Handler, Scene};

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
    // What was received is closed by other threads.
    let _ = flounder::closer::wait_until_closed(Instant::now() + Duration::from_secs(1));
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
