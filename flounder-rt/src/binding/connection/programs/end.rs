//! One end: a machine, and the part of the shell around it.

use core::task::Waker;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use super::super::backlog::MAX_QUEUED_WORDS;
use super::*;
use crate::binding::Received;
use crate::channel::{ChannelError, Progress, RUNTIME_MESSAGE};
use crate::wire::Gather;

#[derive(Default)]
pub(super) struct Flag(pub(super) AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A task: an awaited call, a call of another thread, or a message that waits for the slot.
pub(super) struct Task {
    pub(super) flag: Arc<Flag>,
    pub(super) waker: Waker,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Call { id: u32, payload: u64, expired: bool },
    Foreign(ForeignCall),
    Message { position: Position, words: Vec<u64> },
}

/// A call of another thread. The machine counts it, and does not know its message.
pub(super) struct ForeignCall {
    pub(super) payload: u64,
    pub(super) words: Vec<u64>,
    /// The id, once it is sent.
    pub(super) id: Option<u32>,
    pub(super) place: Position,
    pub(super) turn: Position,
}

/// A call whose thread does nothing else until it is over.
pub(super) struct BlockingCall {
    pub(super) id: u32,
    pub(super) payload: u64,
    /// The words, until the call is accepted.
    pub(super) request: Option<Vec<u64>>,
    /// The words of the reply, if it was read where it lay.
    pub(super) reply: Option<Vec<u64>>,
}

impl Task {
    pub(super) fn new(kind: Kind) -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        Self { waker: Arc::clone(&flag).into(), flag, kind }
    }
}

/// How the programs of one end behave.
pub(super) struct Manner {
    /// Calls are answered with probability 1 / this.
    pub(super) answers: usize,
    /// Calls get no reply with probability 1 / this.
    pub(super) leaves_unanswered: usize,
    /// Calls are cancelled with probability 1 / this.
    pub(super) gives_up: usize,
    /// Handlers answer only when no call of their own end is under way, or when their caller has given up. Those that kept
    /// a reply that nobody waits for until then would stop both ends (see [`backlog`]).
    pub(super) is_nested: bool,
    /// Some calls block.
    pub(super) blocks: bool,
    /// Some messages are lost with their capabilities.
    pub(super) loses: bool,
}

/// What a program knows of one end.
pub(super) struct End {
    pub(super) manner: Manner,
    /// True if calls of the other end may block.
    pub(super) peer_blocks: bool,
    pub(super) blocking: Option<BlockingCall>,
    /// Calls of other threads that are under way, by id: the payload, and what wakes the task.
    pub(super) foreign: BTreeMap<u32, (u64, Waker)>,
    /// Results of calls of other threads, by payload.
    pub(super) foreign_results: BTreeMap<u64, Result<Vec<u64>, RpcError>>,
    /// Calls of this end that were lost here, as a call or as a reply, by payload.
    pub(super) own_lost: BTreeSet<u64>,
    /// Calls of the other end that were lost here.
    pub(super) peers_lost: BTreeSet<u64>,
    /// Number of errors that the error handler was given, and of those due for losses at this end.
    pub(super) errors: usize,
    pub(super) errors_due: usize,
    /// Messages of this end that were lost here.
    pub(super) notes_lost: BTreeSet<u64>,
    /// Payloads of calls that were given up, or whose time was over.
    pub(super) abandoned: Vec<u64>,
    pub(super) machine: Connection<u32, u64>,
    pub(super) tasks: BTreeMap<u64, Task>,
    pub(super) next_task: u64,
    /// The replies that this end's handlers have still to send, with the payload of the call.
    pub(super) pending: Vec<(u32, u64)>,
    /// A message that is held back.
    pub(super) held_back: Option<(u16, Vec<u64>)>,
    /// The last of the messages that were accepted here, and that came from the other end.
    pub(super) notes_sent: u64,
    pub(super) notes_received: u64,
    /// True once this end has learned that the other closed its channel.
    pub(super) has_lost_peer: bool,
    /// Receipts that are out, with the numbers of the messages.
    pub(super) receipts: BTreeMap<u64, u64>,
    pub(super) next_receipt: u64,
    pub(super) jobs: Vec<Line>,
    /// Calls that this end's handlers left without reply, by payload.
    pub(super) unanswered: Vec<u64>,
    /// Calls that this end's handlers answered, in order, by payload.
    pub(super) answered: Vec<u64>,
    /// Calls whose replies came, in order, by payload.
    pub(super) replies_received: Vec<u64>,
    pub(super) calls_begun: u64,
    pub(super) calls_ended: u64,
}

impl End {
    pub(super) fn new(manner: Manner) -> Self {
        Self {
            manner,
            peer_blocks: false,
            blocking: None,
            foreign: BTreeMap::new(),
            foreign_results: BTreeMap::new(),
            own_lost: BTreeSet::new(),
            peers_lost: BTreeSet::new(),
            errors: 0,
            errors_due: 0,
            notes_lost: BTreeSet::new(),
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

    pub(super) fn add(&mut self, kind: Kind) {
        self.tasks.insert(self.next_task, Task::new(kind));
        self.next_task += 1;
    }

    /// Runs what the machine asks for. Receipts must be settled once.
    pub(super) fn run_events(&mut self) {
        while self.machine.has_events() {
            for event in self.machine.drain_events().collect::<Vec<_>>() {
                self.run_event(event);
            }
        }
    }

    pub(super) fn run_event(&mut self, event: Event<u64>) {
        match event {
            Event::Wake(waker) => waker.wake(),
            Event::PassOn(line) => {
                assert!(!self.jobs.contains(&line), "one job at a time passes a turn on");
                self.jobs.push(line);
            }
            Event::Report(receipt, result) => {
                let note = self.receipts.remove(&receipt).expect("a receipt is settled once");
                let is_lost = result == Err(TxError::Closed) && self.has_lost_peer;
                let is_refused = result.is_err() && self.notes_lost.contains(&note);
                assert!(result == Ok(()) || is_lost || is_refused, "nothing is lost: {result:?}");
                assert!(result.is_err() || !self.notes_lost.contains(&note), "it is lost");
            }
            // No call of another thread has this id if the call was given up.
            Event::Fail(id, error) => self.settle_foreign(id, Err(error)),
        }
    }

    /// Settles a call of another thread, if it is still under way.
    pub(super) fn settle_foreign(&mut self, id: u32, result: Result<Vec<u64>, RpcError>) {
        if let Some((payload, waker)) = self.foreign.remove(&id) {
            self.machine.end_foreign();
            assert!(self.foreign_results.insert(payload, result).is_none(), "settled twice");
            waker.wake();
        }
    }

    /// The binding has ended: calls of other threads fail.
    pub(super) fn end_foreign_calls(&mut self) {
        for (payload, waker) in core::mem::take(&mut self.foreign).into_values() {
            let closed = Err(RpcError::Closed(BindingError::Closed));
            assert!(self.foreign_results.insert(payload, closed).is_none(), "settled twice");
            waker.wake();
        }
    }

    /// Notes that a message was lost here on its way out.
    pub(super) fn lost_out(&mut self, pipe: &mut Pipe, number: u16, words: &[u64]) {
        match number {
            NOTE => {
                self.notes_lost.insert(words[0]);
                pipe.lost_notes.insert(words[0]);
            }
            CALL => _ = self.own_lost.insert(words[1]),
            _ => _ = self.peers_lost.insert(!words[1]),
        }
        self.errors_due += 1;
        // The loss of a reply fails a call of the peer.
        pipe.errors_due += usize::from(number != REPLY);
    }

    /// The words of the next message of this end.
    pub(super) fn note(&mut self, length: usize) -> Vec<u64> {
        self.notes_sent += 1;
        vec![self.notes_sent; length]
    }

    /// Sends as the shell does, if the rule allows it.
    pub(super) fn try_send(
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
                // Only a message with capabilities is refused for them.
                let cap_count = usize::from(self.manner.loses);
                Ok(self.machine.stash(number, body, &mut Vec::new(), cap_count, taken))
            }
            Err(ChannelError::Caps(refusal)) => {
                let serial = self.machine.lost_at_once();
                self.lost_out(pipe, number, words);
                self.machine.lost_out(number, Gather::words_only(words), refusal);
                self.machine.note(BindingError::CapsRefused(refusal));
                Ok(serial)
            }
            Err(_) => Err(TxError::Closed),
        }
    }

    /// Sends a message that does not wait. Refused, it was never there.
    pub(super) fn send(&mut self, pipe: &mut Pipe, choices: &mut Choices<'_>) {
        let words = self.note(1 + choices.below(20));
        match self.try_send(pipe, NOTE, &words, Sender::Any) {
            Ok(serial) => {
                self.receipts.insert(self.next_receipt, self.notes_sent);
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

    /// One step of the shell. Returns true if anything moved.
    pub(super) fn step(&mut self, out: &mut Pipe, into: &mut Pipe) -> bool {
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
        if number == RUNTIME_MESSAGE || into.loses_next {
            return self.step_slowly(out, into);
        }
        into.receive();
        if let Some(call) = &mut self.blocking
            && call.request.is_none()
            && (number, words[0]) == (REPLY, u64::from(call.id))
        {
            // The thread that waits reads the reply where it lies.
            self.replies_received.push(!words[1]);
            call.reply = Some(words);
            return true;
        }
        self.deliver(number, words, into);
        if !self.machine.is_receive_only() {
            self.finish_step();
        }
        true
    }

    pub(super) fn step_slowly(&mut self, out: &mut Pipe, into: &mut Pipe) -> bool {
        let is_blocked = self.machine.has_unsent() || self.machine.has_events();
        let mut moved = is_blocked && self.pump(out);
        let intake = self.machine.intake(|| into.is_closed);
        if intake == Intake::Everything && self.machine.take_held_back() {
            let (number, words) = self.held_back.take().expect("it was kept");
            self.deliver(number, words, into);
            moved = true;
        } else if intake != Intake::Nothing
            && let Some((number, words)) = into.receive()
        {
            moved = true;
            if number == RUNTIME_MESSAGE {
                self.machine.runtime_message(&words, true);
            } else if core::mem::take(&mut into.loses_next) {
                self.lose(number, &words, out, into);
            } else if intake == Intake::Replies && !self.machine.is_reply(number) {
                self.machine.hold_back();
                self.held_back = Some((number, words));
            } else {
                self.deliver(number, words, into);
            }
        } else if intake != Intake::Nothing && into.is_closed {
            self.has_lost_peer = true;
            assert!(self.machine.end(&BindingError::Closed), "the end is reported once");
            self.end_foreign_calls();
            self.machine.begin_closing(true);
            self.close(out, into);
            return true;
        }
        self.finish_step();
        moved
    }

    /// A step of an end that was torn down: sends, and discards what is received.
    pub(super) fn step_closing(&mut self, out: &mut Pipe, into: &mut Pipe) -> bool {
        let mut moved = self.pump(out);
        moved |= into.receive().is_some();
        if self.machine.may_close() {
            self.close(out, into);
            moved = true;
        }
        moved
    }

    pub(super) fn close(&mut self, out: &mut Pipe, into: &mut Pipe) {
        assert!(self.machine.close().is_some(), "an end is closed once");
        self.run_events();
        (out.is_closed, into.is_closed) = (true, true);
        into.messages.clear();
        self.held_back = None;
    }

    /// The program tears the end down, in the midst of everything.
    pub(super) fn tear_down(&mut self, out: &mut Pipe, into: &mut Pipe, last: usize) {
        assert!(self.machine.end(&BindingError::Closed), "the end is open");
        self.end_foreign_calls();
        self.machine.no_more_replies();
        self.machine.begin_closing(false);
        // Messages of other threads, which were accepted before.
        for _ in 0..last {
            let words = self.note(1);
            self.receipts.insert(self.next_receipt, self.notes_sent);
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

    pub(super) fn finish_step(&mut self) {
        self.run_events();
        while let Some(error) = self.machine.next_error() {
            assert_eq!(error, BindingError::CapsRefused(REFUSAL));
            self.errors += 1;
        }
        self.machine.recompute();
    }

    pub(super) fn pump(&mut self, out: &mut Pipe) -> bool {
        let mut moved = false;
        while let Some((message, from)) = self.machine.outgoing() {
            let mut words = vec![0; message.body.len()];
            message.body.reader(0).read(&mut words);
            let number = message.number;
            let progress = out.send(number, &words, from);
            match self.machine.took(progress) {
                Took::All => moved = true,
                Took::Part { moved: more } => {
                    moved |= more;
                    break;
                }
                Took::Lost => {
                    self.lost_out(out, number, &words);
                    moved = true;
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
    pub(super) fn flush(&mut self, out: &mut Pipe) {
        if self.machine.state() == State::Free {
            self.pump(out);
        }
        self.run_events();
    }

    /// A message was received whose capabilities are refused.
    pub(super) fn lose(&mut self, number: u16, words: &[u64], out: &mut Pipe, into: &mut Pipe) {
        match number {
            NOTE => self.count_note(words, into),
            CALL => _ = self.peers_lost.insert(words[1]),
            _ => _ = self.own_lost.insert(!words[1]),
        }
        // A call that is lost, as a call or as a reply, fails at the end that made it.
        self.errors_due += usize::from(number != REPLY);
        out.errors_due += usize::from(number != CALL);
        self.machine.lost_incoming(number, words, REFUSAL);
    }

    pub(super) fn count_note(&mut self, words: &[u64], into: &mut Pipe) {
        self.skip_lost(into);
        self.notes_received += 1;
        let is_next = words.iter().all(|word| *word == self.notes_received);
        assert!(is_next, "messages come whole and in order");
    }

    /// Counts the messages that the other end has lost before the next.
    pub(super) fn skip_lost(&mut self, into: &mut Pipe) {
        while into.lost_notes.remove(&(self.notes_received + 1)) {
            self.notes_received += 1;
        }
    }

    pub(super) fn deliver(&mut self, number: u16, words: Vec<u64>, into: &mut Pipe) {
        let is_over = into.is_closed;
        match number {
            NOTE => self.count_note(&words, into),
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
                match self.machine.answer(id, &mut reply) {
                    None => self.settle_foreign(id, Ok(words)),
                    Some(None) => {}
                    Some(Some(waker)) => {
                        waker.wake_by_ref();
                        drop(self.machine.calls().keep(waker));
                    }
                }
                self.run_events();
            }
            other => panic!("message {other}"),
        }
    }

    /// The calls of the peer that are pending or queued here, and not known to be cancelled, fill at most a window, besides one
    /// that blocks: this is what [`backlog`] builds on.
    pub(super) fn check_window(&self) {
        let live = self.pending.iter().filter(|(at, _)| !self.machine.is_reply_cancelled(*at));
        let count = live.count() + self.machine.send.backlog.replies();
        let bound = CALL_WINDOW + usize::from(self.peer_blocks);
        assert!(count <= bound, "the peer has {count} calls under way");
    }

    /// Runs a job of the waitset.
    pub(super) fn run_job(&mut self) -> bool {
        let Some(line) = self.jobs.pop() else { return false };
        self.machine.pass_on(line);
        self.run_events();
        true
    }

    /// While the slot, or a place, is free and tasks sleep until it is, a job will wake one of them.
    pub(super) fn check_wake_ups(&self) {
        let machine = &self.machine;
        if machine.state() != State::Free {
            return;
        }
        let places = machine.calls.window.has_room();
        for (line, is_free) in [(Line::Slot, true), (Line::Place, places)] {
            let sleeps = is_free && machine.line(line).has_sleeper();
            assert!(!sleeps || self.jobs.contains(&line), "nothing wakes a task: {line:?}");
        }
    }

    pub(super) fn random_task(&self, choices: &mut Choices<'_>) -> Option<u64> {
        let at = choices.below(self.tasks.len().max(1));
        self.tasks.keys().nth(at).copied()
    }
}
