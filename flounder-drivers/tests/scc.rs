//! The driver scc over machines that do their worst, and over the real one.
//!
//! The environment makes a model skip what the driver does to the caches for one reason
//! (`FLOUNDER_SCC_WITHOUT=line-stale`); then some test here fails, as `ci/cache-operations.sh` checks. `FLOUNDER_SCC_SEEDS`
//! says how many random programs to play.

mod support;

use std::io;
use std::sync::{Arc, Mutex};
use std::thread;

use flounder_conformance::{LIMITS, WakeCounter};
use flounder_drivers::__private::PeerEnd;
use flounder_drivers::__private::scc::line::{HALVES, LAST, LineInfo, LineKind, header, pack};
use flounder_drivers::__private::scc::pool::{publish, refresh};
use flounder_drivers::__private::scc::ring::{DATA, Ring};
use flounder_drivers::scc::model::{Core, DOORBELLS, FaultRates, ModelEnd};
use flounder_drivers::scc::{CacheOpReason, Hardware, LINE_WORDS, LineCaches, Model, Scc, ends};
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    Channel, ChannelError, Connector, Incoming, Outgoing, Progress, ProtocolError, Recv,
};
use flounder_rt::notify::Notifier;
use flounder_rt::wire::Gather;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};
use support::{Parker, check, stream};

/// Number of random programs without a setting in the environment.
const PROGRAMS: u64 = 3000;

fn machine(seed: u64, faults: FaultRates) -> Model {
    let model = Model::with_faults(seed, faults);
    match std::env::var("FLOUNDER_SCC_WITHOUT") {
        Err(_) => model,
        Ok(name) => {
            let reason = CacheOpReason::ALL.iter().find(|reason| reason.name() == name);
            model.without(*reason.unwrap_or_else(|| panic!("there is no reason called {name}")))
        }
    }
}

// ---- a channel over a model, one step at a time -----------------------------------------------------------------------------

/// One end, and who woke it.
struct Side {
    channel: Box<dyn Channel + Send>,
    wakes: Arc<WakeCounter>,
    incoming: Incoming,
}

impl Side {
    fn put(&mut self, words: &[u64]) -> Progress {
        self.put_on(words, 0)
    }

    fn put_on(&mut self, words: &[u64], from: usize) -> Progress {
        let body = Gather::words_only(words);
        let mut message = Outgoing { number: 1, body, caps: &mut vec![], cap_count: 0 };
        self.channel.send(&mut message, from).unwrap()
    }

    /// Receives a message that has to be there, in as many calls as it takes.
    #[track_caller]
    fn expect(&mut self, words: &[u64]) {
        loop {
            match self.channel.recv(&mut self.incoming).unwrap() {
                Recv::Message => break assert_eq!(self.incoming.words(), words),
                Recv::More => {}
                Recv::Empty => panic!("the message is not there"),
            }
        }
    }
}

fn connect(model: &Model, lines: usize) -> (Side, Side) {
    let [(client_wakes, client_end), (service_wakes, service_end)] =
        [WakeCounter::new(), WakeCounter::new()];
    let scc = Scc::over(model).with_lines(lines);
    let (client, service) = scc.pair(&client_end, &service_end).unwrap();
    let side = |channel, wakes| Side { channel, wakes, incoming: Incoming::new(LIMITS) };
    (side(client, client_wakes), side(service, service_wakes))
}

// ---- what each cache operation is there for ---------------------------------------------------------------------------------

#[test]
fn a_message_reaches_the_memory() {
    let (mut client, mut service) = connect(&machine(1, FaultRates::NONE), 8);
    assert_eq!(client.put(&[7]), Progress::Done);
    service.expect(&[7]);
}

#[test]
fn the_doorbell_does_not_overtake() {
    let (mut client, mut service) = connect(&machine(1, FaultRates::NONE), 32);
    for round in 0..5 {
        assert!(!service.channel.ready());
        let before = service.wakes.count();
        let words = [round; 20];
        assert_eq!(client.put(&words), Progress::Done);
        assert_eq!(service.wakes.count(), before + 1, "one ring for a message of many lines");
        // It is woken once, and looks once.
        assert!(service.channel.ready());
        service.expect(&words);
    }
}

#[test]
fn a_stale_line_is_dropped() {
    // The reader has the lines of the lap before in its cache.
    let (mut client, mut service) = connect(&machine(1, FaultRates::NONE), DATA + 3);
    for number in 0..200 {
        assert_eq!(client.put(&[number]), Progress::Done);
        service.expect(&[number]);
    }
}

#[test]
fn a_stale_line_is_dropped_in_time() {
    // The reader has lines in its cache that it has never looked at.
    let faults = FaultRates { prefetches: 1, ..FaultRates::NONE };
    let (mut client, mut service) = connect(&machine(1, faults), DATA + 7);
    for number in 0..200 {
        assert_eq!(client.put(&[number]), Progress::Done);
        service.expect(&[number]);
        assert_eq!(service.channel.recv(&mut service.incoming), Ok(Recv::Empty));
    }
}

/// Fills the ring, lets the other end read, and finds room, again and again.
fn blocks_and_goes_on(faults: FaultRates, lines: usize) {
    let (mut client, mut service) = connect(&machine(1, faults), DATA + lines);
    let (mut sent, mut received) = (0, 0);
    for _ in 0..20 {
        while client.put(&[sent]) == Progress::Done {
            sent += 1;
        }
        // The reader may have up to a quarter unacknowledged.
        assert!(sent - received > lines as u64 * 3 / 4, "{} of {lines} lines", sent - received);
        assert!(!client.channel.ready());
        let before = client.wakes.count();
        while received < sent {
            service.expect(&[received]);
            received += 1;
        }
        assert!(client.wakes.count() > before, "nobody says that there is room");
        assert!(client.channel.ready(), "there is room");
    }
}

#[test]
fn an_ack_reaches_the_memory() {
    let (mut client, mut service) = connect(&machine(1, FaultRates::NONE), DATA + 1);
    assert_eq!(client.put(&[1]), Progress::Done);
    assert_eq!(client.put(&[2]), Progress::Partial(0));
    service.expect(&[1]);
    assert_eq!(client.put(&[2]), Progress::Done);
}

#[test]
fn stale_claims_are_dropped() {
    blocks_and_goes_on(FaultRates::NONE, 4);
}

#[test]
fn stale_claims_are_dropped_in_time() {
    // An end that only sends looks at nothing but claims: no fence of another look comes to their help.
    let (mut client, mut service) = connect(&machine(1, FaultRates::NONE), DATA + 1);
    for number in 0..20 {
        assert_eq!(client.put(&[number]), Progress::Done);
        assert_eq!(client.put(&[number + 1]), Progress::Partial(0));
        service.expect(&[number]);
    }
    blocks_and_goes_on(FaultRates { prefetches: 1, ..FaultRates::NONE }, 11);
}

// ---- slots of pools ---------------------------------------------------------------------------------------------------------

/// Lines of a slot; the line behind it announces what the slot has.
const SLOT: core::ops::Range<usize> = 0..6;
const FLAG: usize = 6;

/// Fills the slot in the cache of its writer.
fn fill(writer: &mut ModelEnd, value: u64) {
    for line in SLOT {
        (0..LINE_WORDS).for_each(|word| writer.store(line, word, value));
    }
}

/// Returns true if the reader loads this value everywhere in the slot.
fn has(reader: &mut ModelEnd, value: u64) -> bool {
    SLOT.into_iter().all(|line| (0..LINE_WORDS).all(|word| reader.load(line, word) == value))
}

fn slot_of(seed: u64, faults: FaultRates) -> (ModelEnd, ModelEnd) {
    let nobody = Notifier::new();
    machine(seed, faults).connect((FLAG + 1, &nobody), (1, &nobody))
}

#[test]
fn a_slot_reaches_the_memory() {
    let (mut writer, mut reader) = slot_of(1, FaultRates::NONE);
    fill(&mut writer, 5);
    publish(&mut writer, SLOT);
    assert!(has(&mut reader, 5));
}

#[test]
fn a_message_does_not_overtake_its_slot() {
    let faults = FaultRates { writes_back: 4, ends_early: 3, ..FaultRates::NONE };
    let mut early = 0;
    for seed in 0..200 {
        let (mut writer, mut reader) = slot_of(seed, faults);
        fill(&mut writer, 5);
        publish(&mut writer, SLOT);
        // The line of the message may reach memory as soon as it is stored.
        writer.store(FLAG, 0, 1);
        if reader.load(FLAG, 0) == 1 {
            early += 1;
            assert!(has(&mut reader, 5), "seed {seed}");
        }
    }
    assert!(early > 10, "the message is seen at once in some runs: {early}");
}

#[test]
fn a_stale_slot_is_dropped() {
    let (mut writer, mut reader) = slot_of(1, FaultRates::NONE);
    for round in 1..50 {
        fill(&mut writer, round);
        publish(&mut writer, SLOT);
        refresh(&mut reader, SLOT);
        assert!(has(&mut reader, round), "round {round}");
    }
}

#[test]
fn a_stale_slot_is_dropped_in_time() {
    // The reader has lines in its cache that it has never looked at.
    let (mut writer, mut reader) = slot_of(1, FaultRates { prefetches: 1, ..FaultRates::NONE });
    for round in 1..50 {
        assert_eq!(reader.load(FLAG, 0), 0);
        fill(&mut writer, round);
        publish(&mut writer, SLOT);
        refresh(&mut reader, SLOT);
        assert!(has(&mut reader, round), "round {round}");
    }
}

// ---- doorbells --------------------------------------------------------------------------------------------------------------

#[test]
fn full_doorbell_ring_is_retried() {
    let model = machine(1, FaultRates::NONE);
    let (mut client, mut service) = connect(&model, 512);
    model.mask(Core::Service);
    let messages = DOORBELLS as u64 + 20;
    for number in 0..messages {
        assert_eq!(client.channel.ready(), number > DOORBELLS as u64, "message {number}");
        assert_eq!(client.put(&[number]), Progress::Done);
    }
    assert_eq!(service.wakes.count(), 0);
    assert!(client.channel.ready() && client.channel.can_resume(), "a doorbell is owed");
    model.unmask(Core::Service);
    for number in 0..messages {
        service.expect(&[number]);
    }
    assert!(!service.channel.ready());
    // The pending doorbell rings, without a message, and is no longer pending.
    let before = service.wakes.count();
    assert!(!client.channel.ready());
    assert_eq!(service.wakes.count(), before + 1);
    assert!(!service.channel.ready());
}

/// What has to be done yet when there was no doorbell to be had.
#[test]
fn pending_doorbell_is_rung_by_every_call() {
    type Call = fn(&mut Side);
    let calls: [Call; 4] = [
        |side| assert!(!side.channel.ready()),
        |side| assert!(!side.channel.can_resume()),
        |side| assert_eq!(side.channel.recv(&mut side.incoming), Ok(Recv::Empty)),
        |side| assert_eq!(side.put(&[2]), Progress::Done),
    ];
    for call in calls {
        let model = machine(1, FaultRates::NONE);
        let (mut client, mut service) = connect(&model, 8);
        model.mask(Core::Service);
        while model.ring_for_nobody(Core::Service) {}
        assert_eq!(client.put(&[1]), Progress::Done);
        model.unmask(Core::Service);
        assert_eq!(service.wakes.count(), 0, "nobody rang for it");
        assert!(!service.channel.ready(), "it has no reason to look");
        call(&mut client);
        assert_eq!(service.wakes.count(), 1);
        service.expect(&[1]);
    }
}

#[test]
fn close_reaches_the_peer_despite_refused_doorbells() {
    for seed in 0..100 {
        let (mut client, mut service) = connect(&machine(seed, FaultRates::FREQUENT), 64);
        assert_eq!(client.put(&[1]), Progress::Done);
        drop(client);
        assert!(service.wakes.count() > 0, "seed {seed}");
        service.expect(&[1]);
        assert_eq!(service.channel.recv(&mut service.incoming), Err(ChannelError::Closed));
    }
}

// ---- a machine that is watched ----------------------------------------------------------------------------------------------

/// What an end does to its machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Store,
    /// Of this word of this line.
    Load(usize, usize),
    /// Of this line.
    Invalidate(usize),
    Other,
}

/// A machine on which `then` runs after each operation, with the loaded value, and returns the value to use.
struct Spied<F> {
    hardware: ModelEnd,
    then: F,
}

impl<F: FnMut(Op, u64) -> u64 + Send> Hardware for Spied<F> {
    fn lines(&self) -> usize {
        self.hardware.lines()
    }

    fn peer_lines(&self) -> usize {
        self.hardware.peer_lines()
    }

    fn store(&mut self, line: usize, word: usize, value: u64) {
        self.hardware.store(line, word, value);
        (self.then)(Op::Store, 0);
    }

    fn load(&mut self, line: usize, word: usize) -> u64 {
        let value = self.hardware.load(line, word);
        (self.then)(Op::Load(line, word), value)
    }

    fn ring(&mut self) -> bool {
        self.hardware.ring()
    }

    fn rung(&mut self) -> bool {
        self.hardware.rung()
    }
}

impl<F: FnMut(Op, u64) -> u64 + Send> LineCaches for Spied<F> {
    fn write_back(&mut self, line: usize, reason: CacheOpReason) {
        self.hardware.write_back(line, reason);
        (self.then)(Op::Other, 0);
    }

    fn invalidate(&mut self, line: usize, reason: CacheOpReason) {
        self.hardware.invalidate(line, reason);
        (self.then)(Op::Invalidate(line), 0);
    }

    fn fence_writes(&mut self, reason: CacheOpReason) {
        self.hardware.fence_writes(reason);
        (self.then)(Op::Other, 0);
    }

    fn fence_reads(&mut self, reason: CacheOpReason) {
        self.hardware.fence_reads(reason);
        (self.then)(Op::Other, 0);
    }
}

/// A channel over a model, of whose service's end every operation is watched.
fn connect_spied(
    model: &Model,
    lines: usize,
    then: impl FnMut(Op, u64) -> u64 + Send + 'static,
) -> (Side, Side) {
    let [(client_wakes, client_end), (service_wakes, service_end)] =
        [WakeCounter::new(), WakeCounter::new()];
    let (a, b) = model.connect((lines, &client_end.notifier), (lines, &service_end.notifier));
    let (client, service) = ends((a, &client_end), (Spied { hardware: b, then }, &service_end));
    let side = |channel, wakes| Side { channel, wakes, incoming: Incoming::new(LIMITS) };
    (side(client, client_wakes), side(service, service_wakes))
}

#[test]
fn idle_end_does_not_touch_memory() {
    let touched = Arc::new(Mutex::new(0));
    let count = Arc::clone(&touched);
    let (_client, mut service) =
        connect_spied(&machine(1, FaultRates::NONE), 8, move |_, value| {
            *count.lock().unwrap() += 1;
            value
        });
    for _ in 0..10 {
        assert!(!service.channel.ready());
        assert_eq!(service.channel.recv(&mut service.incoming), Ok(Recv::Empty));
    }
    assert_eq!(*touched.lock().unwrap(), 0);
}

#[test]
fn no_word_is_fetched_twice() {
    // A word that is loaded again, without being dropped in between, is another.
    let mut loaded = vec![[false; LINE_WORDS]; 64];
    let fickle = move |op, value: u64| match op {
        Op::Load(line, word) if core::mem::replace(&mut loaded[line][word], true) => !value,
        Op::Invalidate(line) => {
            loaded[line] = [false; LINE_WORDS];
            value
        }
        _ => value,
    };
    let (mut client, mut service) = connect_spied(&machine(1, FaultRates::NONE), 64, fickle);
    for round in 0..300_u64 {
        let words: Vec<u64> = (0..round % 50).map(|word| round << 20 | word).collect();
        assert_eq!(client.put(&words), Progress::Done);
        assert!(service.channel.ready() && service.channel.ready());
        service.expect(&words);
        assert_eq!(service.put(&words), Progress::Done);
        client.expect(&words);
    }
}

#[test]
fn a_line_is_never_seen_in_part() {
    // Every store gets to memory at once, and the reader looks after each.
    let nobody = Notifier::new();
    let faults = FaultRates { writes_back: 1, ..FaultRates::NONE };
    let (a, b) = machine(1, faults).connect((DATA + 4, &nobody), (DATA + 4, &nobody));
    let mut reader = Ring::new(b);
    let seen = Arc::new(Mutex::new(0_u32));
    let number = Arc::clone(&seen);
    let then = move |op, value| {
        if op == Op::Store && reader.has_last_line() {
            let mut number = number.lock().unwrap();
            *number += 1;
            let (_, payload) = reader.take().expect("it is there");
            assert_eq!(payload, [*number; HALVES]);
            reader.acknowledge();
            reader.announce();
        }
        value
    };
    let mut writer = Ring::new(Spied { hardware: a, then });
    for number in 1..100 {
        assert_eq!(writer.room(), Ok(true));
        writer.publish(&[number; HALVES], LineInfo::new(LineKind::Whole, 1, HALVES, 0));
        writer.announce();
        assert_eq!(*seen.lock().unwrap(), number);
    }
}

#[test]
fn last_line_is_found_without_its_doorbell() {
    let model = machine(1, FaultRates::NONE);
    let slot: Arc<Mutex<Option<Side>>> = Arc::default();
    let (client, core) = (Arc::clone(&slot), model.clone());
    // As soon as the service has found no line, the client sends, closes, and cannot ring.
    let then = move |op, value| {
        if op == Op::Load(DATA + 1, LAST)
            && let Some(mut client) = client.lock().unwrap().take()
        {
            core.mask(Core::Service);
            while core.ring_for_nobody(Core::Service) {}
            assert_eq!(client.put(&[2]), Progress::Done);
            client.channel.close();
        }
        value
    };
    let (mut client, mut service) = connect_spied(&model, 8, then);
    assert_eq!(client.put(&[1]), Progress::Done);
    service.expect(&[1]);
    *slot.lock().unwrap() = Some(client);
    service.expect(&[2]);
    assert_eq!(service.channel.recv(&mut service.incoming), Err(ChannelError::Closed));
}

/// A peer that rings all the time gets two looks for each thing that there is to know: a line, room, and the end, also of a send.
#[test]
fn storm_of_doorbells_is_harmless() {
    let model = machine(1, FaultRates::NONE);
    let looks = Arc::new(Mutex::new(0));
    let (count, storm) = (Arc::clone(&looks), Arc::new(Mutex::new(None::<ModelEnd>)));
    let ringer = Arc::clone(&storm);
    let [(_, liar_end), (wakes, end)] = [WakeCounter::new(), WakeCounter::new()];
    let (liar, honest) = model.connect((8, &liar_end.notifier), (8, &end.notifier));
    let then = move |op, value| {
        if let Op::Invalidate(_) = op {
            *count.lock().unwrap() += 1;
        }
        if let Some(liar) = &mut *ringer.lock().unwrap() {
            assert!(liar.ring());
        }
        value
    };
    let (other, _) = model.connect((8, &liar_end.notifier), (8, &end.notifier));
    let (_other, channel) = ends((other, &liar_end), (Spied { hardware: honest, then }, &end));
    *storm.lock().unwrap() = Some(liar);
    let mut side = Side { channel, wakes, incoming: Incoming::new(LIMITS) };
    assert_eq!(side.put(&[1; 24]), Progress::Done, "seven lines");
    assert!(matches!(side.put(&[1]), Progress::Partial(0)));
    let calls: [fn(&mut Side); 4] = [
        |side| assert!(!side.channel.ready()),
        |side| assert!(!side.channel.can_resume()),
        |side| assert_eq!(side.channel.recv(&mut side.incoming), Ok(Recv::Empty)),
        |side| assert_eq!(side.put(&[1]), Progress::Partial(0)),
    ];
    for call in calls {
        *looks.lock().unwrap() = 0;
        call(&mut side);
        assert!(*looks.lock().unwrap() <= 8, "{} looks", looks.lock().unwrap());
    }
}

// ---- random programs --------------------------------------------------------------------------------------------------------

/// An end that has messages to send and to receive, and sleeps in between as a waitset does.
struct Player {
    side: Side,
    /// What the other end's messages and its own are drawn from.
    seeds: [u64; 2],
    messages: u64,
    sent: u64,
    /// The message in hand, what was taken of it, and its capabilities.
    sending: Option<(Vec<u64>, usize, Vec<Cap>, usize)>,
    received: u64,
    blocked: bool,
    /// The wake-ups that it knew of when it fell asleep.
    asleep: Option<usize>,
    ended: bool,
}

/// Message `number` of the stream of this seed: its words, and how many capabilities it has.
fn message(seed: u64, number: u64) -> (Vec<u64>, usize) {
    let mut rng = Pcg32::seed_from_u64(seed.wrapping_mul(1 << 20) + number);
    let length = match rng.next_u32() % 8 {
        0 => rng.next_u32() % 60,
        _ => rng.next_u32() % 9,
    };
    let words = (0..length).map(|_| rng.next_u64()).collect();
    (words, if rng.next_u32().is_multiple_of(16) { 1 + rng.next_u32() as usize % 2 } else { 0 })
}

impl Player {
    /// Does something, unless it sleeps on. Gives whether it did.
    fn turn(&mut self, rng: &mut Pcg32) -> bool {
        if self.asleep == Some(self.side.wakes.count()) {
            return false;
        }
        self.asleep = None;
        for _ in 0..rng.next_u32() % 4 {
            self.receive();
        }
        for _ in 0..rng.next_u32() % 4 {
            self.send();
        }
        let has_work = self.sent < self.messages && !self.blocked;
        if !has_work || self.ended {
            let before = self.side.wakes.count();
            self.side.channel.arm();
            if self.ended || !self.side.channel.ready() {
                self.asleep = Some(before);
            }
            self.side.channel.disarm();
        }
        true
    }

    fn send(&mut self) {
        if self.sent == self.messages || self.ended {
            return;
        }
        let (words, taken, caps, cap_count) = self.sending.get_or_insert_with(|| {
            let (words, count) = message(self.seeds[0], self.sent);
            let caps = (0..count).map(|_| Cap::from(io::pipe().unwrap().0)).collect();
            (words, 0, caps, count)
        });
        let number = if *cap_count > 0 { 2 } else { 1 };
        let body = Gather::words_only(words);
        let mut outgoing = Outgoing { number, body, caps, cap_count: *cap_count };
        match self.side.channel.send(&mut outgoing, *taken).unwrap() {
            Progress::Done => {
                (self.sending, self.blocked) = (None, false);
                self.sent += 1;
            }
            Progress::Partial(count) => {
                assert!(count >= *taken, "words that were taken are taken back");
                (*taken, self.blocked) = (count, true);
            }
        }
    }

    fn receive(&mut self) {
        if self.ended {
            return;
        }
        match self.side.channel.recv(&mut self.side.incoming) {
            Ok(Recv::Message) => {
                let (words, caps) = message(self.seeds[1], self.received);
                let incoming = &mut self.side.incoming;
                assert_eq!(incoming.words(), words, "message {}", self.received);
                assert_eq!(incoming.take_caps().len(), caps, "message {}", self.received);
                self.received += 1;
            }
            Ok(Recv::More | Recv::Empty) => {
                // After a visit a blocked sender tries again.
                self.blocked = false;
            }
            Err(error) => {
                assert_eq!(error, ChannelError::Closed);
                self.ended = true;
            }
        }
    }
}

/// Plays one program: both ends send all they have, then close.
fn play(seed: u64) {
    let mut rng = Pcg32::seed_from_u64(seed);
    let model = machine(seed, FaultRates::from_seed(seed));
    let lines = DATA + 1 + rng.next_u32() as usize % 20;
    let (client, service) = connect(&model, lines);
    let messages = 10 + u64::from(rng.next_u32() % 60);
    let player = |side, seeds| Player {
        side,
        seeds,
        messages,
        sent: 0,
        sending: None,
        received: 0,
        blocked: false,
        asleep: None,
        ended: false,
    };
    let mut players =
        [player(client, [2 * seed, 2 * seed + 1]), player(service, [2 * seed + 1, 2 * seed])];
    let mut closed = false;
    for _ in 0..100_000 {
        match rng.next_u32() % 32 {
            0 => model.mask(Core::Client),
            1 => model.mask(Core::Service),
            2 => model.unmask(Core::Client),
            3 => model.unmask(Core::Service),
            _ => {}
        }
        let turn = rng.next_u32() as usize % 2;
        let did = players[turn].turn(&mut rng) || players[1 - turn].turn(&mut rng);
        let all_sent = players.iter().all(|player| player.sent == messages);
        if all_sent && !closed && players[0].received == messages {
            // The service may have a lot to read yet.
            players[0].side.channel.close();
            players[0].ended = true;
            closed = true;
        } else if players[1].ended {
            assert_eq!(players.each_ref().map(|player| player.received), [messages; 2]);
            return;
        } else if !did {
            [Core::Client, Core::Service].into_iter().for_each(|core| model.unmask(core));
            // The closed end may have a pending doorbell, and is not visited any more.
            for _ in 0..64 {
                let _ = closed && players[0].side.channel.ready();
            }
            let is_awake = |player: &Player| player.asleep != Some(player.side.wakes.count());
            assert!(players.iter().any(is_awake), "asleep for good");
        }
    }
    panic!("the program does not end");
}

#[test]
fn random_programs_lose_no_message() {
    let programs = std::env::var("FLOUNDER_SCC_SEEDS");
    let programs = programs.map_or(PROGRAMS, |count| count.parse().expect("a number of programs"));
    for seed in 0..programs {
        if let Err(panic) = std::panic::catch_unwind(|| play(seed)) {
            eprintln!("in the program with seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
    println!("{programs} programs");
}

// ---- wrap-around --------------------------------------------------------------------------------------------------------------

#[test]
fn positions_and_tags_wrap() {
    for start in [0, 62, u64::from(u32::MAX) - 500, u64::MAX - 500] {
        for faults in [FaultRates::NONE, FaultRates::FREQUENT] {
            let nobody = Notifier::new();
            let (a, b) = machine(start, faults).connect((DATA + 6, &nobody), (DATA + 6, &nobody));
            let mut writer = Ring::starting_at(a, start);
            let mut reader = Ring::starting_at(b, start);
            let info = LineInfo::new(LineKind::Whole, 1, HALVES, 0);
            let (mut sent, mut received) = (0_u32, 0_u32);
            for round in 0.. {
                if received == 5000 {
                    break;
                }
                assert!(round < 50_000, "stuck after {received} lines");
                while writer.room().unwrap() && sent < 5000.min(received + 7 * (received % 9) + 1) {
                    writer.publish(&[sent; HALVES], info);
                    sent += 1;
                }
                writer.announce();
                while let Some(line) = reader.take() {
                    assert_eq!(line, (info, [received; HALVES]));
                    received += 1;
                    if reader.ack_is_due() {
                        reader.acknowledge();
                    }
                }
                reader.announce();
            }
        }
    }
}

// ---- a peer that lies ---------------------------------------------------------------------------------------------------------

/// A sound end, and the bare machine of its peer.
fn beside_a_liar(seed: u64, lines: usize) -> (ModelEnd, Side) {
    let model = machine(seed, FaultRates::NONE);
    let [(_, liar_end), (wakes, end)] = [WakeCounter::new(), WakeCounter::new()];
    let (liar, honest) = model.connect((lines, &liar_end.notifier), (lines, &end.notifier));
    let other = model.connect((lines, &liar_end.notifier), (lines, &end.notifier)).0;
    let (_, channel) = ends((other, &liar_end), (honest, &end));
    (liar, Side { channel, wakes, incoming: Incoming::new(LIMITS) })
}

fn write(liar: &mut ModelEnd, line: usize, words: [u64; LINE_WORDS]) {
    for (word, value) in words.into_iter().enumerate() {
        liar.store(line, word, value);
    }
    liar.write_back(line, CacheOpReason::LineWritten);
    liar.fence_writes(CacheOpReason::BeforeRinging);
    assert!(liar.ring());
}

#[test]
fn bad_lines_end_the_channel() {
    let info = LineInfo::new;
    let first = pack(&[9, 1, 0, 2, 0, 3, 0], header(0, info(LineKind::First, 1, 7, 0)));
    let frame = |error: &ProtocolError| matches!(error, ProtocolError::Frame(_));
    type Is = fn(&ProtocolError) -> bool;
    let bad: [(&[[u64; LINE_WORDS]], Is); 14] = [
        // Of no known kind; too many capabilities; half a word; something behind the end.
        (&[pack(&[0; 7], header(0, info(LineKind::Whole, 1, 0, 0)) | 3 << 10)], frame),
        (&[pack(&[0; 7], header(0, info(LineKind::Whole, 2, 0, 65)))], frame),
        (&[pack(&[1; 7], header(0, info(LineKind::Whole, 1, 7, 0)))], frame),
        (&[pack(&[0, 0, 1, 0, 0, 0, 0], header(0, info(LineKind::Whole, 1, 2, 0)))], frame),
        (&[pack(&[0, 0, 0, 0, 0, 0, 1], header(0, info(LineKind::Whole, 1, 6, 0)))], frame),
        // A beginning that is not full, or of a message that is too short for one.
        (&[pack(&[9, 0, 0, 0, 0, 0, 0], header(0, info(LineKind::First, 1, 6, 0)))], frame),
        (&[pack(&[3, 0, 0, 0, 0, 0, 0], header(0, info(LineKind::First, 1, 7, 0)))], frame),
        // An end without a beginning; a beginning without an end; another message's end.
        (&[pack(&[0; 7], header(0, info(LineKind::Next, 1, 7, 0)))], frame),
        (&[first, first], frame),
        (&[first, pack(&[0; 7], header(0, info(LineKind::Next, 2, 7, 0)))], frame),
        (&[first, pack(&[0; 7], header(0, info(LineKind::Next, 1, 7, 1)))], frame),
        // One that is too short where it goes on.
        (&[first, pack(&[0; 7], header(0, info(LineKind::Next, 1, 6, 0)))], frame),
        // Against the interface.
        (&[pack(&[0; 7], header(0, info(LineKind::Whole, 9, 0, 0)))], |error| {
            matches!(error, ProtocolError::Number(9))
        }),
        (&[pack(&[u32::MAX; 7], header(0, info(LineKind::First, 1, 7, 0)))], |error| {
            matches!(error, ProtocolError::Length { number: 1, .. })
        }),
    ];
    for (case, (lines, is_expected)) in bad.into_iter().enumerate() {
        let (mut liar, mut side) = beside_a_liar(1, 16);
        for (number, line) in lines.iter().enumerate() {
            write(&mut liar, DATA + number, *line);
        }
        for _ in 0..2 {
            match side.channel.recv(&mut side.incoming) {
                Err(ChannelError::Protocol(error)) if is_expected(&error) => {}
                other => panic!("case {case} gives {other:?}"),
            }
            assert!(side.channel.ready(), "an end is worth a visit");
        }
    }
}

#[test]
fn false_acks_end_the_channel() {
    for ack in [6_u32, 1 << 31, u32::MAX] {
        let (mut liar, mut side) = beside_a_liar(1, DATA + 5);
        for number in 0..5 {
            assert_eq!(side.put(&[number]), Progress::Done);
        }
        assert_eq!(side.put(&[5]), Progress::Partial(0));
        write(&mut liar, 0, [u64::from(ack) << 32, 0, 0, 0]);
        assert!(side.channel.ready() && side.channel.ready());
        let mut message =
            Outgoing { number: 1, body: Gather::words_only(&[5]), caps: &mut vec![], cap_count: 0 };
        for _ in 0..2 {
            match side.channel.send(&mut message, 0) {
                Err(ChannelError::Protocol(ProtocolError::Position { claim, max: 5 })) => {
                    assert_eq!(claim, u64::from(ack));
                }
                other => panic!("an ack of {ack} gives {other:?}"),
            }
        }
    }
}

#[test]
fn random_writes_give_messages_or_an_error() {
    for seed in 0..2000 {
        let mut rng = Pcg32::seed_from_u64(seed);
        let (mut liar, mut side) = beside_a_liar(seed, DATA + 4);
        for step in 0..200_u32 {
            let line = rng.next_u32() as usize % (DATA + 4);
            let mut words: [u64; LINE_WORDS] =
                core::array::from_fn(|_| rng.next_u64() >> (rng.next_u32() % 64));
            if rng.next_u32().is_multiple_of(2) {
                // Nearly right.
                let kind =
                    [LineKind::Whole, LineKind::First, LineKind::Next][rng.next_u32() as usize % 3];
                let used = [0, 2, 7, 7][rng.next_u32() as usize % 4];
                let lap = u64::from(step / 4 % 3);
                let header = header(lap, LineInfo::new(kind, 1, used, 0));
                words[0] = u64::from(rng.next_u32() % 40);
                words[LAST] = words[LAST] as u32 as u64 | u64::from(header) << 32;
            }
            write(&mut liar, line, words);
            let _ = side.channel.ready();
            let received = side.channel.recv(&mut side.incoming);
            if step.is_multiple_of(3) {
                let mut message = Outgoing {
                    number: 1,
                    body: Gather::words_only(&[1, 2, 3, 4, 5]),
                    caps: &mut vec![],
                    cap_count: 0,
                };
                // The count is of a message in hand, or nothing was.
                let _ = side.channel.send(&mut message, 0);
            }
            if let Err(error) = received {
                assert_eq!(side.channel.recv(&mut side.incoming), Err(error), "seed {seed}");
                break;
            }
        }
    }
}

// ---- threads ----------------------------------------------------------------------------------------------------------------

/// Words of message `number`, of a length that depends on it.
fn body(number: u64, words: &mut Vec<u64>) {
    words.clear();
    words.extend((0..[1, 3, 4, 0, 30][number as usize % 5]).map(|word| number << 8 | word));
}

/// One thread sends, the other receives, and both sleep whenever they can. The doorbell rings for all that is written, so
/// that they need no barrier.
fn stream_between_threads(scc: &dyn Connector, buffer: usize, messages: u64) {
    let [client_parker, service_parker] =
        [Arc::new(Parker::default()), Arc::new(Parker::default())];
    let (client, mut service) =
        scc.pair(&client_parker.end(buffer), &service_parker.end(buffer)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            stream(client, messages, body, |end| client_parker.sleep_without_barrier(end))
        });
        check(&mut *service, messages, body, |end| service_parker.sleep_without_barrier(end));
    });
}

#[test]
fn a_stream_between_threads_over_models() {
    for (seed, faults) in [
        (1, FaultRates::NONE),
        (2, FaultRates::FREQUENT),
        (3, FaultRates::from_seed(3)),
        (4, FaultRates::from_seed(4)),
    ] {
        stream_between_threads(&Scc::over(&machine(seed, faults)).with_lines(20), 0, 3000);
    }
}

#[test]
fn a_stream_between_threads_over_the_real_machine() {
    for buffer in [1, 0] {
        stream_between_threads(&Scc, buffer, 100_000);
    }
}

#[test]
fn many_channels_share_the_doorbells_of_their_cores() {
    let scc = Scc::over(&machine(5, FaultRates::from_seed(5))).with_lines(8);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| stream_between_threads(&scc, 0, 1000));
        }
    });
}
