//! Random programs over two machines, which are tied together by two pipes that lose nothing, hold little and are as slow as
//! the program chooses. The choices come from a seed (`tests.rs`) or from the bytes of a fuzzer (`fuzz/`).
//!
//! Tasks are polled only when their wakers were woken, so a wake-up that is lost shows as a task that never ends. After each
//! program everything runs until nothing moves: then every message must have come, in order and once, every call must
//! have ended, once and for a reason that happened, and nothing may be left waiting.

use core::task::Waker;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use super::backlog::MAX_QUEUED_WORDS;
use super::*;
use crate::binding::Received;
use crate::channel::{ChannelError, MessageLimit, Progress};
use crate::interface::MessageInfo;
use crate::interface::MessageKind;
use crate::wire::Gather;

const NOTE: u16 = 1;
const CALL: u16 = 2;
const REPLY: u16 = 3;

const LIMIT: MessageLimit = MessageLimit { words: 0, caps: 0 };

const fn message(number: u16, name: &'static str, kind: MessageKind) -> MessageInfo {
    MessageInfo { number, name, kind, args: "", annotations: &[], fingerprint: 0, limit: LIMIT }
}

pub(super) static INTERFACE: Interface = Interface {
    name: "program",
    description: "",
    messages: &[
        message(NOTE, "note", MessageKind::Message),
        message(CALL, "call", MessageKind::RpcCall { at: 0 }),
        message(REPLY, "reply", MessageKind::RpcResponse { at: 0 }),
    ],
    limits: &[],
    fingerprint: 0,
};

/// Where a program gets its choices from.
pub(super) struct Choices<'a> {
    /// Bytes that are not used yet: one for each choice.
    bytes: &'a [u8],
    /// State of the generator that chooses once the bytes are used up (splitmix64, Steele et al. 2014).
    seed: u64,
    /// Steps that the program makes beyond its bytes.
    steps_left: u64,
}

impl<'a> Choices<'a> {
    #[cfg(test)]
    pub(super) const fn from_seed(seed: u64, steps: u64) -> Self {
        Self { bytes: &[], seed, steps_left: steps }
    }

    /// The program ends with the bytes.
    pub(super) const fn from_bytes(bytes: &'a [u8]) -> Self {
        Self { bytes, seed: 0, steps_left: 0 }
    }

    /// Returns true if the program makes another step.
    const fn has_step(&mut self) -> bool {
        if self.bytes.is_empty() {
            let has_step = self.steps_left > 0;
            self.steps_left = self.steps_left.saturating_sub(1);
            return has_step;
        }
        true
    }

    fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        if let Some((first, others)) = self.bytes.split_first() {
            self.bytes = others;
            return usize::from(*first) % bound;
        }
        (self.next() % bound as u64) as usize
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}

/// One direction: words on their way, and how many more it takes now.
#[derive(Default)]
struct Pipe {
    messages: VecDeque<(u16, Vec<u64>)>,
    /// What has been taken of a message that is not whole. The sender does not have these words any more.
    part: Vec<u64>,
    words: usize,
    budget: usize,
    /// True once one end has closed its channel: nothing more is taken, and what is there can still be received.
    is_closed: bool,
}

/// Rounds in which everything that a program began is done.
const ROUNDS: usize = 10_000;

/// Words that a pipe holds.
const PIPE: usize = 48;

impl Pipe {
    fn send(&mut self, number: u16, words: &[u64], from: usize) -> Result<Progress, ChannelError> {
        if self.is_closed {
            return Err(ChannelError::Closed);
        }
        let room = PIPE - self.words;
        let taken = self.budget.min(room).min(words.len() - from);
        self.budget -= taken;
        self.words += taken;
        self.part.extend_from_slice(&words[from..from + taken]);
        if from + taken < words.len() {
            return Ok(Progress::Partial(from + taken));
        }
        self.messages.push_back((number, core::mem::take(&mut self.part)));
        Ok(Progress::Done)
    }

    fn receive(&mut self) -> Option<(u16, Vec<u64>)> {
        let (number, words) = self.messages.pop_front()?;
        self.words -= words.len();
        Some((number, words))
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A task: a call, or a message that waits for the slot.
struct Task {
    flag: Arc<Flag>,
    waker: Waker,
    kind: Kind,
}

enum Kind {
    Call { id: u32, payload: u64, expired: bool },
    Message { position: Position, words: Vec<u64> },
}

impl Task {
    fn new(kind: Kind) -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        Self { waker: Arc::clone(&flag).into(), flag, kind }
    }
}

/// How the programs of one end behave.
struct Manner {
    /// Calls are answered with probability 1 / this.
    answers: usize,
    /// Calls get no reply with probability 1 / this.
    leaves_unanswered: usize,
    /// Calls are cancelled with probability 1 / this.
    gives_up: usize,
    /// Handlers answer only when no call of their own end is under way, or when their caller has given up. Those that kept
    /// a reply that nobody waits for until then would stop both ends (see [`backlog`]).
    is_nested: bool,
}

/// What a program knows of one end.
struct End {
    manner: Manner,
    /// Payloads of calls that were given up, or whose time was over.
    abandoned: Vec<u64>,
    machine: Connection<u32, u64>,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    /// The replies that this end's handlers have still to send, with the payload of the call.
    pending: Vec<(u32, u64)>,
    /// A message that is held back.
    held_back: Option<(u16, Vec<u64>)>,
    /// The last of the messages that were accepted here, and that came from the other end.
    notes_sent: u64,
    notes_received: u64,
    /// True once this end has learned that the other closed its channel.
    has_lost_peer: bool,
    /// Receipts that are out, with the serials.
    receipts: BTreeMap<u64, u64>,
    next_receipt: u64,
    jobs: Vec<Line>,
    /// Calls that this end's handlers left without reply, by payload.
    unanswered: Vec<u64>,
    /// Calls that this end's handlers answered, in order, by payload.
    answered: Vec<u64>,
    /// Calls whose replies came, in order, by payload.
    replies_received: Vec<u64>,
    calls_begun: u64,
    calls_ended: u64,
}

impl End {
    fn new(manner: Manner) -> Self {
        Self {
            manner,
            abandoned: Vec::new(),
            machine: Connection::new(&INTERFACE),
            tasks: BTreeMap::new(),
            next_task: 0,
            pending: Vec::new(),
            held_back: None,
            notes_sent: 0,
            notes_received: 0,
            has_lost_peer: false,
            receipts: BTreeMap::new(),
            next_receipt: 0,
            jobs: Vec::new(),
            unanswered: Vec::new(),
            answered: Vec::new(),
            replies_received: Vec::new(),
            calls_begun: 0,
            calls_ended: 0,
        }
    }

    fn add(&mut self, kind: Kind) {
        self.tasks.insert(self.next_task, Task::new(kind));
        self.next_task += 1;
    }

    /// Runs what the machine asks for. Receipts must be settled once.
    fn run_events(&mut self) {
        for event in self.machine.drain_events().collect::<Vec<_>>() {
            match event {
                Event::Wake(waker) => waker.wake(),
                Event::PassOn(line) => self.jobs.push(line),
                Event::Report(receipt, result) => {
                    let is_lost = result == Err(TxError::Closed) && self.has_lost_peer;
                    assert!(result == Ok(()) || is_lost, "nothing is lost: {result:?}");
                    assert!(self.receipts.remove(&receipt).is_some(), "a receipt is settled once");
                }
                // A reply, or a notice, for a call that was given up.
                Event::Fail(..) => {}
            }
        }
    }

    /// The words of the next message of this end.
    fn note(&mut self, length: usize) -> Vec<u64> {
        self.notes_sent += 1;
        vec![self.notes_sent; length]
    }

    /// Sends as the shell does, if the rule allows it.
    fn try_send(
        &mut self,
        pipe: &mut Pipe,
        number: u16,
        words: &[u64],
        sender: Sender<'_>,
    ) -> Result<u64, TxError> {
        match self.machine.rule(sender) {
            Rule::Send => {}
            Rule::WaitForSlot | Rule::WaitForPlace => return Err(TxError::Busy),
            Rule::Refuse => return Err(TxError::Closed),
        }
        match pipe.send(number, words, 0) {
            Ok(Progress::Done) => Ok(self.machine.sent_at_once()),
            Ok(Progress::Partial(taken)) => {
                let body = Gather::words_only(words);
                Ok(self.machine.stash(number, body, &mut Vec::new(), 0, taken))
            }
            Err(_) => Err(TxError::Closed),
        }
    }

    /// Sends a message that does not wait. Refused, it was never there.
    fn send(&mut self, pipe: &mut Pipe, choices: &mut Choices<'_>) {
        let words = self.note(1 + choices.below(20));
        match self.try_send(pipe, NOTE, &words, Sender::Any) {
            Ok(serial) => {
                self.receipts.insert(self.next_receipt, serial);
                self.machine.report(Ok(serial), self.next_receipt);
                self.next_receipt += 1;
                self.run_events();
            }
            Err(error) => {
                assert_eq!(error, TxError::Busy);
                self.notes_sent -= 1;
            }
        }
    }

    /// Begins a message that waits for the slot: the order of such messages is that of their acceptance.
    fn begin_message(&mut self, choices: &mut Choices<'_>) {
        let words = vec![0; 1 + choices.below(20)];
        self.add(Kind::Message { position: Position::default(), words });
    }

    fn begin_call(&mut self, choices: &mut Choices<'_>) {
        let id = self.machine.calls().next();
        self.calls_begun += 1;
        let payload = self.calls_begun;
        let mut words = vec![payload; 2 + choices.below(20)];
        words[0] = u64::from(id);
        let body = Gather::words_only(&words);
        self.machine.calls().begin_with(id, CALL, body, Vec::new(), Limit::At(None));
        self.add(Kind::Call { id, payload, expired: false });
    }

    /// Polls a task if it was woken. Returns true if anything happened.
    fn poll(&mut self, key: u64, pipe: &mut Pipe, peer: &Self) -> bool {
        let Some(task) = self.tasks.get(&key) else { return false };
        if !task.flag.0.swap(false, Ordering::Relaxed) {
            return false;
        }
        let mut task = self.tasks.remove(&key).expect("it is there");
        let is_done = match &mut task.kind {
            Kind::Message { position, words } => {
                self.notes_sent += 1;
                words.fill(self.notes_sent);
                let sent = self.try_send(pipe, NOTE, words, Sender::Waiting(position));
                self.notes_sent -= u64::from(sent.is_err());
                if sent == Err(TxError::Busy) {
                    drop(self.machine.wait(Line::Slot, position, task.waker.clone()));
                } else {
                    drop(self.machine.leave(Line::Slot, position));
                }
                sent != Err(TxError::Busy)
            }
            Kind::Call { id, payload, expired } => {
                let (id, payload, expired) = (*id, *payload, *expired);
                self.poll_call(id, &task.waker, pipe).is_some_and(|result| {
                    self.calls_ended += 1;
                    match result {
                        Ok(mut reply) => {
                            let words = reply.parts().0;
                            let is_whole = words[1..].iter().all(|word| *word == !payload);
                            assert!(is_whole, "the reply is that to this call");
                        }
                        Err(RpcError::Deadline) => assert!(expired, "its time was not over"),
                        Err(RpcError::NoReply) => {
                            assert!(peer.unanswered.contains(&payload), "it was answered");
                        }
                        Err(RpcError::Closed(_)) => {
                            assert!(self.machine.has_ended(), "the binding is open");
                            let is_lost = self.has_lost_peer && peer.answered.contains(&payload);
                            assert!(!is_lost || expired, "a reply before the end has come");
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                    true
                })
            }
        };
        if !is_done {
            self.tasks.insert(key, task);
        }
        self.run_events();
        true
    }

    /// Polls a call as the shell does.
    fn poll_call(
        &mut self,
        id: u32,
        waker: &Waker,
        pipe: &mut Pipe,
    ) -> Option<Result<Message, RpcError>> {
        let whole = |number, words: &[u64]| {
            let fits = pipe.budget.min(PIPE - pipe.words) >= words.len();
            fits && pipe.send(number, words, 0) == Ok(Progress::Done)
        };
        let (polled, watch) = self.machine.poll_call(id, waker, whole);
        if watch {
            match self.machine.calls().watch(id, waker.clone()) {
                Watched::Kept(old) => drop(old),
                Watched::Settled(waker) => waker.wake(),
            }
        }
        match polled {
            Polled::Done => {}
            Polled::Accepted => return None,
            Polled::Waiting => {
                let waits = self.machine.calls().take_waits(id);
                let mut waits = waits.map_or_else(Waits::default, |waits| *waits);
                let sender = Sender::Call { place: &waits.place, turn: &waits.turn };
                let rule = self.machine.rule(sender);
                if rule == Rule::Send
                    && let Some(mut request) = self.machine.calls().take_request(id)
                {
                    let words = request.parts().0.to_vec();
                    match self.try_send(pipe, CALL, &words, Sender::Any) {
                        Ok(_) => self.machine.calls().accepted(id),
                        Err(error) => {
                            assert_eq!(error, TxError::Closed, "the rule allows it");
                            self.machine.calls().doom(id);
                        }
                    }
                }
                if !self.machine.calls().is_waiting(id) {
                    drop(self.machine.leave(Line::Slot, &mut waits.turn));
                    drop(self.machine.leave(Line::Place, &mut waits.place));
                } else if rule == Rule::WaitForPlace {
                    drop(self.machine.leave(Line::Slot, &mut waits.turn));
                    drop(self.machine.wait(Line::Place, &mut waits.place, waker.clone()));
                } else {
                    drop(self.machine.wait(Line::Slot, &mut waits.turn, waker.clone()));
                }
                self.machine.calls().put_waits(id, waits);
                return None;
            }
        }
        if let Some(mut waits) = self.machine.calls().take_waits(id) {
            drop(self.machine.leave(Line::Slot, &mut waits.turn));
            drop(self.machine.leave(Line::Place, &mut waits.place));
        }
        self.machine.calls().take(id)
    }

    /// Gives a task up.
    fn give_up(&mut self, key: u64, pipe: &mut Pipe) {
        match self.tasks.remove(&key).map(|task| task.kind) {
            Some(Kind::Call { id, payload, .. }) => {
                self.abandoned.push(payload);
                let given_up = self.machine.give_up_call(id);
                if let Some(mut waits) = given_up.waits {
                    drop(self.machine.leave(Line::Slot, &mut waits.turn));
                    drop(self.machine.leave(Line::Place, &mut waits.place));
                }
            }
            Some(Kind::Message { mut position, .. }) => {
                drop(self.machine.leave(Line::Slot, &mut position));
            }
            None => {}
        }
        self.flush(pipe);
    }

    fn expire(&mut self, key: u64, pipe: &mut Pipe) {
        let task = self.tasks.get_mut(&key);
        if let Some(Task { kind: Kind::Call { id, expired, payload }, .. }) = task {
            *expired = true;
            self.abandoned.push(*payload);
            self.machine.expire_call(*id);
        }
        self.flush(pipe);
    }

    /// Answers one of the calls of the peer, or lets it go without reply.
    fn answer(&mut self, pipe: &mut Pipe, choices: &mut Choices<'_>) -> bool {
        let calls = |task: &Task| matches!(task.kind, Kind::Call { .. });
        let must_wait = self.manner.is_nested && self.tasks.values().any(calls);
        let machine = &self.machine;
        let may_answer = |(at, _): &(u32, u64)| !must_wait || machine.is_reply_cancelled(*at);
        let count = self.pending.iter().filter(|reply| may_answer(reply)).count();
        if count == 0 {
            return false;
        }
        let chosen = choices.below(count);
        let mut may_be = (0..self.pending.len()).filter(|at| may_answer(&self.pending[*at]));
        let at = may_be.nth(chosen).expect("there are as many");
        let (at, payload) = self.pending.swap_remove(at);
        let id = self.machine.reply_id(at);
        let Finished { cancelled, waker, .. } = self.machine.finish_reply(at);
        drop(waker);
        if cancelled || self.machine.has_ended() {
            return true;
        }
        if choices.one_in(self.manner.leaves_unanswered) {
            self.unanswered.push(payload);
            self.machine.no_reply(id);
            self.flush(pipe);
            return true;
        }
        let mut words = vec![!payload; 2 + choices.below(20)];
        words[0] = u64::from(id);
        let sent =
            self.machine.may_reply() && self.try_send(pipe, REPLY, &words, Sender::Any).is_ok();
        if !sent {
            let owned = Owned { number: REPLY, words, ..Owned::default() };
            assert!(self.machine.queue(Queued::Reply(id, owned)), "the end is open");
        }
        self.answered.push(payload);
        true
    }

    /// One step of the shell. Returns true if anything moved.
    fn step(&mut self, out: &mut Pipe, into: &mut Pipe) -> bool {
        match self.machine.state() {
            State::Free | State::Sending => {}
            State::Closing => return self.step_closing(out, into),
            State::Closed => return false,
        }
        if !self.machine.is_receive_only() {
            return self.step_slowly(out, into);
        }
        let Some((number, words)) = into.messages.front().cloned() else {
            return into.is_closed && self.step_slowly(out, into);
        };
        if number == crate::channel::RUNTIME_MESSAGE {
            return self.step_slowly(out, into);
        }
        into.receive();
        self.deliver(number, words, into.is_closed);
        if !self.machine.is_receive_only() {
            self.finish_step();
        }
        true
    }

    fn step_slowly(&mut self, out: &mut Pipe, into: &mut Pipe) -> bool {
        let is_blocked = self.machine.has_unsent() || self.machine.has_events();
        let mut moved = is_blocked && self.pump(out);
        let intake = self.machine.intake(|| into.is_closed);
        if intake == Intake::Everything && self.machine.take_held_back() {
            let (number, words) = self.held_back.take().expect("it was kept");
            self.deliver(number, words, into.is_closed);
            moved = true;
        } else if intake != Intake::Nothing
            && let Some((number, words)) = into.receive()
        {
            moved = true;
            if number == crate::channel::RUNTIME_MESSAGE {
                self.machine.runtime_message(&words);
            } else if intake == Intake::Replies && !self.machine.is_reply(number) {
                self.machine.hold_back();
                self.held_back = Some((number, words));
            } else {
                self.deliver(number, words, into.is_closed);
            }
        } else if intake != Intake::Nothing && into.is_closed {
            self.has_lost_peer = true;
            assert!(self.machine.end(&BindingError::Closed), "the end is reported once");
            self.machine.begin_closing(true);
            self.close(out, into);
            return true;
        }
        self.finish_step();
        moved
    }

    /// A step of an end that was torn down: sends, and discards what is received.
    fn step_closing(&mut self, out: &mut Pipe, into: &mut Pipe) -> bool {
        let mut moved = self.pump(out);
        moved |= into.receive().is_some();
        if self.machine.may_close() {
            self.close(out, into);
            moved = true;
        }
        moved
    }

    fn close(&mut self, out: &mut Pipe, into: &mut Pipe) {
        assert!(self.machine.close().is_some(), "an end is closed once");
        self.run_events();
        (out.is_closed, into.is_closed) = (true, true);
        into.messages.clear();
        self.held_back = None;
    }

    /// The program tears the end down, in the midst of everything.
    fn tear_down(&mut self, out: &mut Pipe, into: &mut Pipe, last: usize) {
        assert!(self.machine.end(&BindingError::Closed), "the end is open");
        self.machine.begin_closing(false);
        // Messages of other threads, which were accepted before.
        for _ in 0..last {
            let words = self.note(1);
            self.receipts.insert(self.next_receipt, 0);
            let owned = Owned { number: NOTE, words, ..Owned::default() };
            let entry = Queued::Message(owned, Some(self.next_receipt));
            assert!(self.machine.queue(entry), "what was accepted is sent");
            self.next_receipt += 1;
        }
        self.run_events();
        if self.machine.may_close() {
            self.close(out, into);
        }
    }

    fn finish_step(&mut self) {
        self.run_events();
        assert!(!self.machine.has_unreported_errors(), "{:?}", self.machine.next_error());
        self.machine.recompute();
    }

    fn pump(&mut self, out: &mut Pipe) -> bool {
        let mut moved = false;
        while let Some((message, from)) = self.machine.outgoing() {
            let mut words = vec![0; message.body.len()];
            message.body.reader(0).read(&mut words);
            let progress = out.send(message.number, &words, from);
            match self.machine.took(progress) {
                Took::All => moved = true,
                Took::Part { moved: more } => {
                    moved |= more;
                    break;
                }
                Took::PeerGone if out.is_closed => break,
                took => panic!("{took:?}"),
            }
        }
        self.run_events();
        self.machine.wake_next();
        self.run_events();
        moved
    }

    /// Sends what was queued, if nothing is before it, so that a call does not overtake the notice that another is cancelled.
    fn flush(&mut self, out: &mut Pipe) {
        if self.machine.state() == State::Free {
            self.pump(out);
        }
        self.run_events();
    }

    fn deliver(&mut self, number: u16, words: Vec<u64>, is_over: bool) {
        match number {
            NOTE => {
                self.notes_received += 1;
                let is_next = words.iter().all(|word| *word == self.notes_received);
                assert!(is_next, "messages come whole and in order");
            }
            CALL => {
                assert!(words[2..].iter().all(|word| *word == words[1]), "calls come whole");
                let backlog = &self.machine.send.backlog;
                let has_room = !self.machine.is_service || backlog.words() < MAX_QUEUED_WORDS;
                assert!(has_room || is_over, "a service with much to send receives no calls");
                let at = self.machine.begin_reply(words[0] as u32);
                self.pending.push((at, words[1]));
                let count = self.pending.len() + self.machine.send.backlog.replies();
                assert!(
                    count <= MAX_PENDING_REPLIES || is_over,
                    "an end receives no more calls than it may owe replies"
                );
                self.check_window();
            }
            REPLY => {
                self.replies_received.push(!words[1]);
                let (id, mut caps) = (words[0] as u32, Vec::new());
                let mut reply = Received { number, words: &words, caps: &mut caps };
                if let Some(Some(waker)) = self.machine.answer(id, &mut reply) {
                    waker.wake_by_ref();
                    drop(self.machine.calls().keep(waker));
                }
            }
            other => panic!("message {other}"),
        }
    }

    /// The calls of the peer that are pending or queued here, and not known to be cancelled, fill at most a window: this is what
    /// [`backlog`] builds on.
    fn check_window(&self) {
        let live = self.pending.iter().filter(|(at, _)| !self.machine.is_reply_cancelled(*at));
        let count = live.count() + self.machine.send.backlog.replies();
        assert!(count <= CALL_WINDOW, "the peer has {count} calls under way");
    }

    /// Runs a job of the waitset.
    fn run_job(&mut self) -> bool {
        let Some(line) = self.jobs.pop() else { return false };
        self.machine.pass_on(line);
        self.run_events();
        true
    }

    fn random_task(&self, choices: &mut Choices<'_>) -> Option<u64> {
        let at = choices.below(self.tasks.len().max(1));
        self.tasks.keys().nth(at).copied()
    }
}

/// One random step of one end.
fn step(end: &mut End, peer: &mut End, out: &mut Pipe, into: &mut Pipe, choices: &mut Choices<'_>) {
    match choices.below(16) {
        0 => end.send(out, choices),
        1 if end.tasks.len() < 40 => end.begin_message(choices),
        2 | 3 if end.tasks.len() < 40 => end.begin_call(choices),
        4..=6 => {
            if let Some(key) = end.random_task(choices) {
                end.poll(key, out, peer);
            }
        }
        7 if choices.one_in(end.manner.gives_up) => {
            if let Some(key) = end.random_task(choices) {
                end.give_up(key, out);
            }
        }
        8 if choices.one_in(6) => {
            if let Some(key) = end.random_task(choices) {
                end.expire(key, out);
            }
        }
        9 | 10 if choices.one_in(end.manner.answers) => _ = end.answer(out, choices),
        11 => _ = end.run_job(),
        12 => out.budget = choices.below(30),
        13 if choices.one_in(8) => {
            // Room in an inbox comes and goes.
            let is_full = choices.one_in(2);
            end.machine.set_inbox_full(is_full);
        }
        14 if choices.one_in(20) => {
            end.machine.moved();
            end.jobs.clear();
            end.run_events();
        }
        _ => _ = end.step(out, into),
    }
}

/// Lets everything run until nothing moves.
fn drain(ends: &mut [End; 2], pipes: &mut [Pipe; 2], choices: &mut Choices<'_>, answers: bool) {
    for end in &mut *ends {
        end.machine.set_inbox_full(false);
    }
    for _ in 0..ROUNDS {
        let mut moved = false;
        for which in 0..2 {
            let [first, second] = &mut *ends;
            let [there, back] = &mut *pipes;
            let (end, peer, out, into) = if which == 0 {
                (first, second, there, back)
            } else {
                (second, first, back, there)
            };
            out.budget = PIPE;
            moved |= end.step(out, into) | end.run_job();
            moved |= answers && end.answer(out, choices);
            let tasks: Vec<_> = end.tasks.keys().copied().collect();
            for key in tasks {
                moved |= end.poll(key, out, peer);
            }
        }
        if !moved {
            return;
        }
    }
    panic!("the ends keep moving and get nowhere");
}

/// Runs one program. Returns how many calls ended.
///
/// # Panics
///
/// Panics if the machine breaks a promise.
pub(super) fn run(mut choices: Choices<'_>) -> u64 {
    let mut ends = [(), ()].map(|()| {
        End::new(Manner {
            answers: [1, 2, 20][choices.below(3)],
            leaves_unanswered: [1, 8, 8][choices.below(3)],
            gives_up: [1, 3, 30][choices.below(3)],
            is_nested: false,
        })
    });
    // Two ends that both wait for the other before they answer would stop each other by themselves.
    ends[choices.below(2)].manner.is_nested = choices.one_in(2);
    let mut pipes = [Pipe::default(), Pipe::default()];
    ends[0].machine.is_service = choices.one_in(2);
    let is_torn_down = choices.one_in(4);
    while choices.has_step() {
        let [first, second] = &mut ends;
        let [there, back] = &mut pipes;
        if choices.one_in(2) {
            step(first, second, there, back, &mut choices);
        } else {
            step(second, first, back, there, &mut choices);
        }
    }
    if is_torn_down {
        finish_torn_down(&mut ends, &mut pipes, &mut choices);
    } else {
        finish(&mut ends, &mut pipes, &mut choices);
    }
    ends.iter().map(|end| end.calls_ended).sum()
}

/// Nothing is left when both ends have done what they began.
fn finish(ends: &mut [End; 2], pipes: &mut [Pipe; 2], choices: &mut Choices<'_>) {
    drain(ends, pipes, choices, false);
    let [first, second] = &mut *ends;
    for (end, peer) in [(&*first, &*second), (&*second, &*first)] {
        // What is behind a message that is held back has not been received.
        if end.held_back.is_none() {
            for (at, payload) in &end.pending {
                let is_cancelled = end.machine.is_reply_cancelled(*at);
                assert_eq!(
                    is_cancelled,
                    peer.abandoned.contains(payload),
                    "calls given up are known"
                );
            }
            end.check_window();
        }
    }
    drain(ends, pipes, choices, true);
    let [first, second] = &mut *ends;
    for (end, peer) in [(&*first, &*second), (&*second, &*first)] {
        assert!(end.tasks.is_empty(), "{} tasks wait for ever", end.tasks.len());
        assert_eq!(end.notes_sent, peer.notes_received, "every message has come");
        assert!(end.receipts.is_empty() && end.pending.is_empty() && end.held_back.is_none());
        assert!(!end.machine.has_unsent(), "everything is sent");
        assert!(end.machine.calls.window.is_free(), "no place is lost");
        assert_eq!(end.machine.replies.count(), 0);
        assert!(end.machine.may_only_receive(), "the fast path is open again");
    }
    assert!(pipes.iter().all(|pipe| pipe.messages.is_empty()));
    check_order(ends);
}

/// One end is torn down: the other receives what was accepted by then, learns of the end, and nothing waits for ever.
fn finish_torn_down(ends: &mut [End; 2], pipes: &mut [Pipe; 2], choices: &mut Choices<'_>) {
    let closing = choices.below(2);
    let [there, back] = &mut *pipes;
    let (out, into) = if closing == 0 { (there, back) } else { (back, there) };
    ends[closing].tear_down(out, into, choices.below(3));
    drain(ends, pipes, choices, true);
    for end in &*ends {
        assert!(end.tasks.is_empty(), "{} tasks wait for ever", end.tasks.len());
        assert!(end.receipts.is_empty() && end.pending.is_empty());
        assert_eq!(end.machine.state(), State::Closed);
        assert_eq!(end.machine.replies.count(), 0);
    }
    let (closed, other) = (&ends[closing], &ends[1 - closing]);
    assert_eq!(closed.machine.close_result(), Some(Ok(())), "everything is sent before the end");
    assert_eq!(closed.notes_sent, other.notes_received, "every message has come");
    check_order(ends);
}

/// Replies come in the order in which they were sent.
fn check_order(ends: &[End; 2]) {
    let [first, second] = ends;
    for (end, peer) in [(first, second), (second, first)] {
        let mut sent = peer.answered.iter();
        let in_order = end.replies_received.iter().all(|reply| sent.any(|other| other == reply));
        assert!(in_order, "replies come in order");
    }
}

/// Runs the program of these bytes.
#[cfg(fuzzing)]
pub fn run_program(bytes: &[u8]) {
    run(Choices::from_bytes(bytes));
}
