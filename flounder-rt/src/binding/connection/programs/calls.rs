//! The tasks of one end: calls of each kind, messages that wait for the slot, and replies.

use core::task::Waker;
use std::sync::atomic::Ordering;

use super::end::{BlockingCall, End, ForeignCall, Kind, Task};
use super::*;
use crate::binding::Refusal;
use crate::wire::Gather;

impl End {
    /// Begins a message that waits for the slot: the order of such messages is that of their acceptance.
    pub(super) fn begin_message(&mut self, choices: &mut Choices<'_>) {
        let words = vec![0; 1 + choices.below(20)];
        self.add(Kind::Message { position: Position::default(), words });
    }

    /// Returns the payload of the next call, and its words but for the id.
    pub(super) fn request(&mut self, choices: &mut Choices<'_>) -> (u64, Vec<u64>) {
        self.calls_begun += 1;
        let payload = self.calls_begun;
        (payload, vec![payload; 2 + choices.below(20)])
    }

    pub(super) fn begin_foreign_call(&mut self, choices: &mut Choices<'_>) {
        let (payload, words) = self.request(choices);
        let (place, turn) = (Position::default(), Position::default());
        self.add(Kind::Foreign(ForeignCall { payload, words, id: None, place, turn }));
    }

    pub(super) fn begin_blocking_call(&mut self, pipe: &mut Pipe, choices: &mut Choices<'_>) {
        let id = self.machine.calls().next();
        let (payload, mut words) = self.request(choices);
        words[0] = u64::from(id);
        let now = self.machine.is_free() && pipe.send_whole(CALL, &words);
        if now {
            self.machine.sent_at_once();
        }
        self.machine.calls().begin(id, now);
        let request = (!now).then_some(words);
        self.blocking = Some(BlockingCall { id, payload, request, reply: None });
    }

    pub(super) fn begin_call(&mut self, choices: &mut Choices<'_>) {
        let id = self.machine.calls().next();
        let (payload, mut words) = self.request(choices);
        words[0] = u64::from(id);
        let body = Gather::words_only(&words);
        self.machine.calls().begin_with(id, CALL, body, Vec::new(), Limit::At(None));
        self.add(Kind::Call { id, payload, expired: false });
    }

    /// Polls a task if it was woken. Returns true if anything happened.
    pub(super) fn poll(&mut self, key: u64, pipe: &mut Pipe, peer: &Self) -> bool {
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
                let result = self.poll_call(id, &task.waker, pipe);
                let result = result.map(|result| result.map(|mut reply| reply.parts().0.to_vec()));
                let is_done = result.is_some();
                result.into_iter().for_each(|result| self.check(payload, expired, result, peer));
                is_done
            }
            Kind::Foreign(call) => {
                let result = self.poll_foreign(call, &task.waker, pipe);
                let is_done = result.is_some();
                result.into_iter().for_each(|result| self.check(call.payload, false, result, peer));
                is_done
            }
        };
        if !is_done {
            self.tasks.insert(key, task);
        }
        self.run_events();
        true
    }

    /// Checks the result of a call.
    pub(super) fn check(
        &mut self,
        payload: u64,
        expired: bool,
        result: Result<Vec<u64>, RpcError>,
        peer: &Self,
    ) {
        self.calls_ended += 1;
        let is_refused = self.own_lost.contains(&payload) || peer.peers_lost.contains(&payload);
        match result {
            Ok(words) => {
                let is_whole = words[1..].iter().all(|word| *word == !payload);
                assert!(is_whole, "the reply is that to this call");
            }
            Err(RpcError::Deadline) => assert!(expired, "its time was not over"),
            Err(RpcError::NoReply) => {
                assert!(peer.unanswered.contains(&payload), "it was answered");
            }
            Err(RpcError::Refused(refusal)) => {
                assert!(peer.unanswered.contains(&payload), "it was answered");
                assert_eq!(refusal.code, payload, "the refusal is that of this call");
            }
            Err(RpcError::ServiceClosed) => assert!(peer.machine.has_ended(), "the peer is open"),
            Err(RpcError::NotSent(_)) => {
                assert!(self.machine.has_ended(), "the binding is open");
                assert!(!peer.answered.contains(&payload), "it was sent");
            }
            Err(RpcError::CapsRefused(_)) => assert!(is_refused, "nothing was refused"),
            Err(RpcError::Closed(_)) => {
                assert!(self.machine.has_ended(), "the binding is open");
                let is_lost = self.has_lost_peer && peer.answered.contains(&payload);
                assert!(!is_lost || expired || is_refused, "a reply before the end has come");
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Polls a call of another thread as the jobs of the handles do.
    pub(super) fn poll_foreign(
        &mut self,
        call: &mut ForeignCall,
        waker: &Waker,
        pipe: &mut Pipe,
    ) -> Option<Result<Vec<u64>, RpcError>> {
        if call.id.is_some() {
            return self.foreign_results.remove(&call.payload);
        }
        let ForeignCall { payload, words, id: sent, place, turn } = call;
        match self.machine.rule(Sender::Call { place, turn }) {
            Rule::Send => {}
            Rule::WaitForPlace => {
                drop(self.machine.leave(Line::Slot, turn));
                drop(self.machine.wait(Line::Place, place, waker.clone()));
                return None;
            }
            Rule::WaitForSlot => {
                drop(self.machine.wait(Line::Slot, turn, waker.clone()));
                return None;
            }
            Rule::Refuse => {
                drop(self.machine.leave(Line::Slot, turn));
                drop(self.machine.leave(Line::Place, place));
                return Some(Err(RpcError::NotSent(BindingError::Closed)));
            }
        }
        let id = self.machine.calls().next();
        words[0] = u64::from(id);
        self.foreign.insert(id, (*payload, waker.clone()));
        self.machine.begin_foreign();
        // If the channel is closed, the binding is about to end, which settles the call.
        let result = self.try_send(pipe, CALL, words, Sender::Waiting(turn));
        assert_ne!(result, Err(TxError::Busy), "the rule allows it");
        *sent = Some(id);
        drop(self.machine.leave(Line::Slot, turn));
        drop(self.machine.leave(Line::Place, place));
        None
    }

    /// Returns true if the reply to the blocking call was read where it lay.
    pub(super) fn has_read_in_place(&self) -> bool {
        self.blocking.as_ref().is_some_and(|call| call.reply.is_some())
    }

    /// Goes on with the blocking call. Returns true if anything happened.
    pub(super) fn poll_blocking(&mut self, pipe: &mut Pipe, peer: &Self) -> bool {
        let Some(mut call) = self.blocking.take() else { return false };
        let mut moved = false;
        if let Some(words) = call.request.take() {
            match self.try_send(pipe, CALL, &words, Sender::Any) {
                Ok(_) => self.machine.calls().accepted(call.id),
                Err(_) if self.machine.has_ended() => {
                    drop(self.machine.give_up_call(call.id));
                    self.run_events();
                    let closed = Err(RpcError::Closed(BindingError::Closed));
                    self.check(call.payload, false, closed, peer);
                    return true;
                }
                // It waits for the slot, or for the end of the binding.
                Err(_) => {
                    call.request = Some(words);
                    self.blocking = Some(call);
                    return false;
                }
            }
            moved = true;
        }
        let result = if let Some(reply) = call.reply.take() {
            self.machine.free_call(call.id);
            Some(Ok(reply))
        } else if !self.machine.calls().is_done(call.id) {
            None
        } else if let Some(line) = self.machine.calls().take_line(call.id) {
            Some(Ok(line.words[..line.len].to_vec()))
        } else {
            let taken = self.machine.calls().take(call.id).expect("the call is there");
            Some(taken.map(|mut reply| reply.parts().0.to_vec()))
        };
        self.run_events();
        match result {
            Some(result) => {
                self.check(call.payload, false, result, peer);
                true
            }
            None => {
                self.blocking = Some(call);
                moved
            }
        }
    }

    /// The time of the blocking call is over.
    pub(super) fn give_up_blocking(&mut self, pipe: &mut Pipe) {
        if let Some(call) = self.blocking.take() {
            self.abandoned.push(call.payload);
            drop(self.machine.give_up_call(call.id));
            self.flush(pipe);
        }
    }

    /// Polls a call as the shell does.
    pub(super) fn poll_call(
        &mut self,
        id: u32,
        waker: &Waker,
        pipe: &mut Pipe,
    ) -> Option<Result<Message, RpcError>> {
        let whole = |number, words: &[u64]| pipe.send_whole(number, words);
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
    pub(super) fn give_up(&mut self, key: u64, pipe: &mut Pipe) {
        match self.tasks.remove(&key).map(|task| task.kind) {
            Some(Kind::Call { id, payload, .. }) => {
                self.abandoned.push(payload);
                let given_up = self.machine.give_up_call(id);
                if let Some(mut waits) = given_up.waits {
                    drop(self.machine.leave(Line::Slot, &mut waits.turn));
                    drop(self.machine.leave(Line::Place, &mut waits.place));
                }
            }
            Some(Kind::Foreign(mut call)) => {
                self.abandoned.push(call.payload);
                drop(self.machine.leave(Line::Slot, &mut call.turn));
                drop(self.machine.leave(Line::Place, &mut call.place));
                self.foreign_results.remove(&call.payload);
                if let Some(id) = call.id
                    && self.foreign.remove(&id).is_some()
                {
                    self.machine.end_foreign();
                    self.run_events();
                    self.machine.cancel_foreign(id);
                }
            }
            Some(Kind::Message { mut position, .. }) => {
                drop(self.machine.leave(Line::Slot, &mut position));
            }
            None => {}
        }
        self.flush(pipe);
    }

    pub(super) fn expire(&mut self, key: u64, pipe: &mut Pipe) {
        let task = self.tasks.get_mut(&key);
        if let Some(Task { kind: Kind::Call { id, expired, payload }, .. }) = task {
            *expired = true;
            self.abandoned.push(*payload);
            self.machine.expire_call(*id);
        }
        self.flush(pipe);
    }

    /// Answers one of the calls of the peer, or lets it go without reply.
    pub(super) fn answer(&mut self, pipe: &mut Pipe, choices: &mut Choices<'_>) -> bool {
        let calls = |task: &Task| !matches!(task.kind, Kind::Message { .. });
        let has_calls = self.blocking.is_some() || self.tasks.values().any(calls);
        let must_wait = self.manner.is_nested && has_calls;
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
            let refusal = Refusal::new(payload, "r".repeat(choices.below(300)));
            let refused = NoReply::Refused(refusal);
            let why = if choices.one_in(2) { NoReply::Dropped } else { refused };
            self.machine.no_reply(id, why);
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
}
