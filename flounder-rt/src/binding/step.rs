//! One step of a binding: a message is received and delivered, or several of a stream.
//!
//! A message that comes alone is received and delivered by the shortest way: nothing is looked at that the peer may be about
//! to write. After [`STREAM`] messages in a row, messages are received together and delivered one after the other, up to
//! [`MAX_RUN`] in one step; a long message counts as several. A step ends sooner if something else has to be done: to send, to
//! end, to report an error, to wait for room in an inbox, to go on with what the program dispatches for.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::binding::connection::Intake;
use crate::binding::shell::{Io, Receiver, Shell};
use crate::binding::threading::{Lock, Slot, Threading};
use crate::binding::{BindingError, Received, Rest};
use crate::channel::{
    CapRefusal, Channel, ChannelError, Incoming, LentRow, LineMessage, RUNTIME_MESSAGE, Recv,
    RecvNow,
};
use crate::waitset::{Begun, MAX_RUN, Run, Turned};
use crate::wire::DecodeError;

/// Messages in a row, without a look in vain between them, that make a stream.
pub(super) const STREAM: u32 = 16;

/// Words of a long message that count as much as a message in a run.
const WORDS_PER_MESSAGE: usize = 256;

impl<T: Threading> Io<T> {
    /// Receives a small message, if nothing else is to be done; [`RecvNow::Unsure`] if something is.
    #[inline(always)]
    fn receive_now(&mut self, incoming: &mut Incoming) -> RecvNow {
        if self.connection.is_receive_only() {
            self.channel.recv_now(incoming)
        } else {
            RecvNow::Unsure
        }
    }

    /// Returns [`RecvNow::Message`] if nothing else is to be done than to receive, else [`RecvNow::Unsure`].
    #[inline(always)]
    fn look(&self) -> RecvNow {
        if self.connection.is_receive_only() { RecvNow::Message } else { RecvNow::Unsure }
    }

    /// Receives a row of small messages, or one alone.
    fn receive_row(&mut self, incoming: &mut Incoming) -> RecvNow {
        if self.channel.recv_row(incoming) {
            RecvNow::Message
        } else {
            self.channel.recv_now(incoming)
        }
    }
}

/// Messages that are delivered one after the other, for as long as nothing else has to be done.
pub(super) struct DeliveredRow<'a, T: Threading> {
    lent: LentRow<'a>,
    shell: &'a Shell<T>,
    begun: Begun<'a>,
}

impl<'a, T: Threading> DeliveredRow<'a, T> {
    /// Takes out the next message, if it may be delivered after the one before.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<&'a LineMessage> {
        let goes_on =
            self.begun.is_undisturbed() && self.shell.io.lock().connection.is_receive_only();
        if goes_on { self.lent.next() } else { None }
    }
}

impl<T: Threading> Shell<T> {
    /// Runs one receive step. `taken` may consume the message instead of the handler; it is asked on the fast path only. A step
    /// that is not `ALONE` leaves a stream to [`run_stream`](Self::run_stream).
    #[inline(always)]
    pub(super) fn step<const ALONE: bool>(
        &self,
        taken: impl FnOnce(Received<'_>) -> bool,
    ) -> Turned {
        let Some(mut receiver) = self.receiver.take() else {
            return Turned::of(self.step_slowly());
        };
        let received = if !T::MAY_END_ANYWHERE && receiver.in_a_row >= STREAM {
            if !ALONE && receiver.in_a_row > STREAM {
                self.put_back_alive(receiver);
                return Turned::Stream;
            }
            self.receive_one(&mut receiver)
        } else {
            receiver.in_a_row += 1;
            self.io.lock().receive_now(&mut receiver.incoming)
        };
        if received != RecvNow::Message {
            if received == RecvNow::Empty {
                receiver.in_a_row = 0;
            }
            self.put_back_alive(receiver);
            return Turned::of(received == RecvNow::Unsure && self.step_slowly());
        }
        if !taken(receiver.incoming.lend()) {
            self.deliver(&mut receiver);
            // To borrow for a change is one comparison less than to borrow.
            if !self.io.lock().connection.is_receive_only() {
                self.put_back(receiver);
                self.finish_step();
                return Turned::Work;
            }
        }
        self.put_back_alive(receiver);
        Turned::Work
    }

    /// Runs one step that handles one message at most. Returns true if it did something.
    pub(super) fn step_alone(&self) -> bool {
        self.step::<true>(|_| false) == Turned::Work
    }

    /// Receives messages together and delivers them, after [`step`](Self::step) has found a stream.
    #[inline(never)]
    pub(super) fn run_stream(&self, mut run: Run<'_>) -> bool {
        let Some(mut receiver) = self.receiver.take() else { return self.step_slowly() };
        let begun = run.begin();
        let mut received = self.io.lock().look();
        let (mut messages, mut is_drained) = (0, false);
        while received == RecvNow::Message && messages < MAX_RUN {
            if receiver.incoming.has_row() {
                let most = if run.has_condition() { 1 } else { MAX_RUN - messages };
                messages += self.deliver_row(&mut receiver, &begun, most);
                is_drained = !receiver.incoming.has_row();
            } else if is_drained {
                break;
            } else {
                received = self.io.lock().receive_row(&mut receiver.incoming);
                if received == RecvNow::Unsure {
                    let Some(counts) = self.receive_long(&mut receiver) else { break };
                    messages += counts;
                    received = RecvNow::Message;
                } else if received != RecvNow::Message || receiver.incoming.has_row() {
                    continue;
                } else {
                    self.deliver(&mut receiver);
                    messages += 1;
                }
            }
            if !self.io.lock().connection.is_receive_only() {
                begun.end(messages);
                self.put_back(receiver);
                self.finish_step();
                return true;
            }
            if !begun.is_undisturbed() {
                break;
            }
            if run.has_condition() {
                self.put_back_alive(receiver);
                let is_done = run.is_done();
                // The condition may have ended the binding, or sent.
                let Some(again) = self.receiver.take() else { return true };
                receiver = again;
                if is_done || !begun.is_undisturbed() {
                    break;
                }
                received = self.io.lock().look();
            }
        }
        if messages < 2 && !receiver.incoming.has_row() {
            receiver.in_a_row = 0;
        }
        self.put_back_alive(receiver);
        begun.end(messages);
        messages > 0 || received == RecvNow::Unsure && self.step_slowly()
    }

    /// Receives a message that is not a small one, or more of it, and delivers it. Returns how many messages of a run it
    /// counts as: a long one takes its time; `None` if there was nothing, or something else is to be done.
    #[inline(never)]
    fn receive_long(&self, receiver: &mut Receiver<T>) -> Option<usize> {
        let intake = {
            let io = &mut *self.io.lock();
            if !io.connection.is_receive_only() {
                return None;
            }
            io.connection.intake(|| io.channel.is_over())
        };
        if intake != Intake::Everything {
            return None;
        }
        let counts = self.receive(receiver, intake);
        let io = &mut *self.io.lock();
        if !io.connection.may_only_receive() || !io.due.is_empty() {
            // A message of the runtime has ended a call, for one: that ends the run, and is done before the next message.
            io.connection.look_at_everything();
        }
        counts
    }

    /// Receives one message after [`STREAM`] in a row, and finds out whether another one follows.
    #[cold]
    fn receive_one(&self, receiver: &mut Receiver<T>) -> RecvNow {
        let io = &mut *self.io.lock();
        let received = match io.look() {
            RecvNow::Message if receiver.incoming.take_next() => RecvNow::Message,
            RecvNow::Message => io.channel.recv_now(&mut receiver.incoming),
            other => return other,
        };
        // To ask a channel with a descriptor may cost a system call.
        let follows = receiver.incoming.has_row() || !self.polled || io.channel.ready();
        receiver.in_a_row = if follows { STREAM + 1 } else { 0 };
        received
    }

    /// A step in which more may have to be done than to receive.
    #[inline(never)]
    fn step_slowly(&self) -> bool {
        if self.is_closing() {
            return self.step_closing();
        }
        let (is_new, is_blocked) = {
            let io = &mut *self.io.lock();
            let is_blocked =
                io.connection.has_unsent() || io.connection.has_events() || !io.due.is_empty();
            (core::mem::take(&mut io.connection.is_new), is_blocked)
        };
        if is_new {
            self.connected();
        }
        let mut worked = (is_blocked && self.pump()) || is_new;
        let intake = {
            let io = &mut *self.io.lock();
            io.connection.intake(|| io.channel.is_over())
        };
        if intake != Intake::Nothing
            && let Some(mut receiver) = self.receiver.take()
        {
            let is_held_back =
                intake == Intake::Everything && self.io.lock().connection.take_held_back();
            worked |= if is_held_back {
                self.hand_out(&mut receiver);
                true
            } else {
                self.receive(&mut receiver, intake).is_some()
            };
            self.put_back(receiver);
        }
        self.finish_step();
        worked
    }

    /// Tells the handlers of their binding.
    #[cold]
    fn connected(&self) {
        let Some(mut receiver) = self.receiver.take() else { return };
        let Receiver { handler, raw, .. } = &mut *receiver;
        if catch_unwind(AssertUnwindSafe(|| T::connected(handler, raw))).is_err() {
            self.panicked(RUNTIME_MESSAGE);
        }
        self.put_back(receiver);
    }

    /// Ends a step: gives errors to the error handler, and finds out whether the next step has only to receive.
    #[cold]
    fn finish_step(&self) {
        self.run_events();
        if self.io.lock().connection.has_unreported_errors() {
            self.report_errors();
        }
        let looks_again = T::step_ends(self);
        let io = &mut *self.io.lock();
        io.connection.recompute();
        if looks_again || !io.due.is_empty() {
            io.connection.look_at_everything();
        }
    }

    /// Receives at most one message, and delivers it, or holds it back. Returns how many messages of a run that counts as;
    /// `None` if there was nothing.
    fn receive(&self, receiver: &mut Receiver<T>, intake: Intake) -> Option<usize> {
        let result = {
            let io = &mut *self.io.lock();
            if io.connection.has_too_many_replies() {
                // The peer is gone, and what it left does not end.
                let gone = io.connection.peer_gone();
                io.connection.note(gone.map_or(BindingError::Closed, BindingError::from));
                return Some(1);
            }
            if receiver.incoming.take_next() {
                Ok(Recv::Message)
            } else {
                io.channel.recv(&mut receiver.incoming)
            }
        };
        match result {
            Ok(Recv::Message) if receiver.incoming.number() == RUNTIME_MESSAGE => {
                self.runtime_message(receiver);
            }
            Ok(Recv::Message)
                if intake == Intake::Replies && !self.is_reply(receiver.incoming.number()) =>
            {
                self.io.lock().connection.hold_back();
            }
            Ok(Recv::Message) => return Some(self.hand_out(receiver)),
            Ok(Recv::More) => {}
            Ok(Recv::Empty) => {
                let gone = self.io.lock().connection.peer_gone();
                match gone {
                    Some(gone) => self.note(gone.into()),
                    None => return None,
                }
            }
            Err(ChannelError::Caps(refusal)) => self.refuse_incoming(receiver, refusal),
            Err(error) => self.note(error.into()),
        }
        Some(1)
    }

    fn is_reply(&self, number: u16) -> bool {
        self.io.lock().connection.is_reply(number)
    }

    /// Delivers the message in hand, if its capabilities may enter. Returns how many messages of a run that counts as.
    fn hand_out(&self, receiver: &mut Receiver<T>) -> usize {
        let counts = 1 + receiver.incoming.words().len() / WORDS_PER_MESSAGE;
        let caps = receiver.incoming.lend().caps;
        if caps.is_empty() || self.may_enter(caps) {
            self.deliver(receiver);
        } else {
            self.refuse_incoming(receiver, CapRefusal::Receiver);
        }
        if receiver.incoming.is_large() {
            receiver.incoming.done();
            T::trim_later(self);
        }
        counts
    }

    /// The message in `receiver` is lost with its capabilities: both ends learn of it.
    fn refuse_incoming(&self, receiver: &mut Receiver<T>, refusal: CapRefusal) {
        let incoming = &mut receiver.incoming;
        drop(incoming.take_caps());
        let (number, words) = (incoming.number(), incoming.words());
        self.with_pools(number, |end, bulks| end.discard(bulks, words));
        self.io.lock().connection.lost_incoming(number, words, refusal);
        self.flush();
    }

    /// Delivers the message that was received alone.
    #[inline(always)]
    fn deliver(&self, receiver: &mut Receiver<T>) {
        let Receiver { incoming, handler, raw, .. } = &mut *receiver;
        self.run_handler(handler, raw, incoming.lend(), None);
    }

    /// Delivers at most `most` of the messages that were received together, until something else has to be done. Returns how
    /// many.
    fn deliver_row(&self, receiver: &mut Receiver<T>, begun: &Begun<'_>, most: usize) -> usize {
        let Receiver { incoming, handler, raw, .. } = &mut *receiver;
        let (mut lent, caps) = incoming.lend_row(most);
        let Some(first) = lent.next() else { return 0 };
        let message = Received { number: first.number(), words: first.words(), caps };
        let mut row = DeliveredRow { lent, shell: self, begun: *begun };
        self.run_handler(handler, raw, message, Some(&mut row));
        let delivered = row.lent.taken();
        incoming.taken(delivered);
        delivered
    }

    #[inline(always)]
    fn run_handler<'a>(
        &self,
        handler: &mut T::Handler,
        raw: &T::Raw,
        message: Received<'a>,
        mut rest: Option<&mut DeliveredRow<'a, T>>,
    ) {
        let number = message.number;
        // The one place where a panic of user code stops: the binding ends, everything else goes on.
        let run = || T::deliver(handler, raw, message, rest.as_deref_mut()).err().map(Box::new);
        let result = catch_unwind(AssertUnwindSafe(run));
        let number = || rest.and_then(|rest| rest.lent.last_number()).unwrap_or(number);
        match result {
            Ok(None) => {}
            Ok(Some(error)) => self.undecodable(number(), *error),
            Err(_) => self.panicked(number()),
        }
    }

    #[cold]
    fn undecodable(&self, number: u16, error: DecodeError) {
        let message = self.interface.message_name(number);
        self.note(BindingError::Decode { message, error });
    }

    #[cold]
    fn panicked(&self, number: u16) {
        let message = self.interface.message_name(number);
        crate::log_limited!(
            error,
            interface = self.interface.name,
            message,
            "a handler panicked; its binding is closed"
        );
        self.end(BindingError::Closed, false, Rest::IsSent);
    }

    /// Puts the receiver back, or drops it if the binding has ended meanwhile.
    #[inline(never)]
    pub(super) fn put_back(&self, mut receiver: Box<Receiver<T>>) {
        let mut io = self.io.lock();
        if !io.connection.has_ended() {
            // Under the lock: another thread may end the binding.
            let none = self.receiver.put(receiver);
            debug_assert!(none.is_none(), "there is one receiver");
            return;
        }
        if T::MAY_END_ANYWHERE && io.discarded.is_some() {
            // A message of which a part has come continues in the same memory.
            let fresh = receiver.incoming.another();
            let incoming = core::mem::replace(&mut receiver.incoming, fresh);
            io.discarded = Some(Box::new(incoming));
        }
        drop(io);
    }

    /// Puts the receiver back into a binding that has not ended.
    #[inline(always)]
    fn put_back_alive(&self, receiver: Box<Receiver<T>>) {
        if T::MAY_END_ANYWHERE {
            return self.put_back(receiver);
        }
        let none = self.receiver.put(receiver);
        debug_assert!(none.is_none(), "there is one receiver");
        // Nothing is to be dropped: the compiler does not know.
        core::mem::forget(none);
    }

    /// Gives the error handler the errors that it has not seen.
    #[cold]
    fn report_errors(&self) {
        loop {
            let Some(mut receiver) = self.receiver.take() else { return };
            let error = self.io.lock().connection.next_error();
            let Some(error) = error else {
                self.put_back(receiver);
                return;
            };
            let fatal = error.is_fatal();
            if fatal {
                self.end(error.clone(), true, Rest::IsLost);
            }
            let Receiver { handler, raw, .. } = &mut *receiver;
            if catch_unwind(AssertUnwindSafe(|| T::error(handler, raw, error))).is_err() {
                self.panicked(RUNTIME_MESSAGE);
            }
            self.put_back(receiver);
            if fatal {
                return;
            }
        }
    }

    /// Returns true while a handler of this binding runs.
    pub(super) fn is_delivering(&self) -> bool {
        self.is_delivering_in(self.has_ended())
    }

    /// As [`is_delivering`](Self::is_delivering), of a binding that `has_ended` or not.
    pub(super) fn is_delivering_in(&self, has_ended: bool) -> bool {
        self.receiver.is_empty() && !has_ended
    }
}
