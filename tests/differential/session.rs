//! The state of one binding: what both ends have sent and received, and their handlers.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use flounder::bulk::Bulk;
use flounder::{BindingError, Cap, RpcError, TxError, Waitset};

use crate::play;
use crate::program::{Body, Client, Side, Then, WAITSETS};
use crate::test_message::{
    Origin, Scalars, TestMessage, Token, described, items, label_of, parts, pieces, raw,
};

/// One binding, from its bind to its end.
#[derive(Default)]
pub(crate) struct Session {
    pub(crate) ends: [End; 2],
    pub(crate) broken: RefCell<Vec<String>>,
    /// Calls that were begun, by number: how they ended.
    pub(crate) calls: RefCell<BTreeMap<u32, Option<String>>>,
    /// Of these, those whose end was written down.
    pub(crate) told: RefCell<Vec<u32>>,
    /// Calls that the service got, and those of them that it keeps.
    pub(crate) asked: RefCell<BTreeMap<u32, String>>,
    pub(crate) kept: RefCell<BTreeMap<u32, Kept>>,
    pub(crate) arrived: Cell<u64>,
    pub(crate) busy: Cell<u64>,
    pub(crate) is_over: Cell<bool>,
}

pub(crate) type Kept = play::KeepReply;

/// One end of it.
#[derive(Default)]
pub(crate) struct End {
    pub(crate) binding: RefCell<Option<play::Binding>>,
    /// Which waitset serves it.
    pub(crate) waitset: Cell<usize>,
    pub(crate) outbox: RefCell<VecDeque<TestMessage>>,
    /// What was accepted from it, in order.
    pub(crate) accepted: RefCell<Vec<(Origin, String)>>,
    /// How many of the other end's were received.
    pub(crate) received: Cell<usize>,
    /// How many of these were written down.
    pub(crate) written: Cell<usize>,
    /// Continuations: begun, run, dropped.
    pub(crate) begun: Cell<u32>,
    pub(crate) ran: RefCell<Vec<u32>>,
    pub(crate) dropped: Cell<u32>,
    /// How many of them were written down.
    pub(crate) continued: Cell<usize>,
    /// True if it has moved since the last of them was written down.
    pub(crate) moved: Cell<bool>,
    /// Calls for room that are wanted, and whether one is registered.
    pub(crate) rooms: RefCell<VecDeque<usize>>,
    pub(crate) registered: Cell<bool>,
    pub(crate) roomy: Cell<u32>,
    pub(crate) errors: RefCell<Vec<BindingError>>,
}

impl Session {
    pub(crate) fn binding(&self, side: Side) -> play::Binding {
        let binding = self.ends[side as usize].binding.borrow();
        binding.clone().expect("the bind has made both ends")
    }

    pub(crate) fn complain(&self, what: String) {
        self.broken.borrow_mut().push(what);
    }

    pub(crate) fn state(&self) -> String {
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

    pub(crate) fn is_settled(&self) -> bool {
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

    /// After an end that came at once, a call has its right result or the error of that end.
    pub(crate) fn check_calls(&self) {
        for (at, result) in &*self.calls.borrow() {
            let result = result.as_deref().unwrap_or("nothing");
            let [unsent, closed] =
                [RpcError::NotSent, RpcError::Closed].map(|error| error(BindingError::Closed));
            let is_right = result.starts_with("Ok(")
                || [unsent, closed, RpcError::ServiceClosed, RpcError::NoReply]
                    .iter()
                    .any(|error| result == format!("Err({error:?})"));
            if !is_right {
                self.complain(format!("call {at} gives {result}"));
            }
        }
    }

    /// Sends what waits, as long as the binding takes it.
    pub(crate) fn pump(self: &Rc<Self>, side: Side) {
        let end = &self.ends[side as usize];
        // Also called by handlers, which run while the outbox is not in use.
        let Some(binding) = end.binding.borrow().clone() else { return };
        loop {
            let Some(mut message) = end.outbox.borrow_mut().pop_front() else { return };
            if !binding.can_send() && binding.ended().is_none() {
                // Tried all the same now and then; making a long message anew each time is slow.
                let busy = self.busy.get();
                self.busy.set(busy + 1);
                if !busy.is_multiple_of(16) {
                    end.outbox.borrow_mut().push_front(message);
                    return;
                }
            }
            let serial = end.accepted.borrow().len() as u32;
            let token = (message.then == Then::Continue).then(|| Token {
                session: Rc::clone(self),
                side,
                salt: message.salt,
                ran: Cell::new(false),
            });
            if token.is_some() {
                end.begun.set(end.begun.get() + 1);
            }
            match message.attempt(&binding, serial, token) {
                Ok(()) => end.accepted.borrow_mut().push((message.origin, message.described())),
                Err(TxError::Busy) => {
                    end.forget_token(&message);
                    end.outbox.borrow_mut().push_front(message);
                    return;
                }
                Err(TxError::Closed) => {
                    // The end has not been reported yet; later events do not matter.
                    end.forget_token(&message);
                    end.outbox.borrow_mut().clear();
                    return;
                }
                Err(error) => {
                    end.forget_token(&message);
                    self.complain(format!("{:?} is refused: {error}", message.body));
                }
            }
        }
    }

    pub(crate) fn want_room(self: &Rc<Self>, side: Side, waitsets: &[Waitset; WAITSETS]) {
        let end = &self.ends[side as usize];
        let Some(waitset) = end.rooms.borrow().front().copied() else { return };
        if end.registered.get() {
            return;
        }
        let session = Rc::clone(self);
        let result = self.binding(side).register_send(&waitsets[waitset], move |_| {
            let end = &session.ends[side as usize];
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
    fn forget_token(&self, message: &TestMessage) {
        if message.then == Then::Continue {
            self.begun.set(self.begun.get() - 1);
            self.dropped.set(self.dropped.get() - 1);
        }
    }
}

pub(crate) struct Handler {
    pub(crate) session: Rc<Session>,
    pub(crate) side: Side,
}

impl Handler {
    fn received(&self, at: u32, what: &str) {
        self.session.received(self.side, at, what);
    }

    fn asked(&self, at: u32, what: String) {
        self.session.arrived.set(self.session.arrived.get() + 1);
        if self.side == Client || self.session.asked.borrow_mut().insert(at, what).is_some() {
            self.session.complain(format!("call {at} arrives twice, or where it was made"));
        }
    }
}

impl play::Rx for Handler {
    fn hello(&mut self, b: &play::Binding) {
        self.session.ends[self.side as usize].binding.replace(Some(b.clone()));
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

    fn parts(
        &mut self,
        _: &play::Binding,
        at: u32,
        s: Option<&str>,
        w: Option<&[u64]>,
        u: play::Any,
        p: Option<play::Point>,
        c: Option<Cap>,
        list: Vec<Cap>,
        g: Option<Cap>,
    ) {
        let caps = c.iter().chain(&list).chain(&g);
        let labels: Vec<u64> = caps.map(label_of).collect();
        self.received(at, &parts(s, w, &u, p, &labels));
    }

    fn data(&mut self, _: &play::Binding, at: u32, a: Bulk<'_>, b: Bulk<'_>) {
        self.received(at, &described("data", &[a.to_vec(), b.to_vec()].concat(), &[]));
    }

    fn sealed(&mut self, _: &play::Binding, at: u32, a: Bulk<'_>, c: Cap) {
        self.received(at, &described("sealed", &a.to_vec(), &[label_of(&c)]));
    }

    fn echo(&mut self, _: &play::Binding, at: u32, b: &[u8]) {
        self.received(at, &described("echo", b, &[]));
        let message = TestMessage {
            body: Body::Echo(b.len()),
            salt: 0,
            then: Then::Nothing,
            origin: Origin::Handler,
            caps: Vec::new(),
            labels: Vec::new(),
            echo: Some(b.to_vec()),
        };
        self.session.ends[self.side as usize].outbox.borrow_mut().push_back(message);
        self.session.pump(self.side);
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

    fn mirror(&mut self, b: &play::Binding, at: u32, data: Bulk<'_>, reply: play::MirrorReply) {
        self.asked(at, described("mirror", &data.to_vec(), &[]));
        // Half of the replies are in slots of this end.
        match b.pool().and_then(|pool| pool.take(data.len())) {
            Ok(mut buffer) if at.is_multiple_of(2) => {
                data.copy_to(0, &mut buffer);
                reply.send(buffer);
            }
            _ => reply.send(data),
        }
    }

    fn keep(&mut self, _: &play::Binding, at: u32, reply: play::KeepReply) {
        self.asked(at, "keep".to_owned());
        self.session.kept.borrow_mut().insert(at, reply);
    }

    fn never(&mut self, _: &play::Binding, at: u32, reply: play::NeverReply) {
        self.asked(at, "never".to_owned());
        drop(reply);
    }

    fn error(&mut self, _: &play::Binding, error: BindingError) {
        self.session.ends[self.side as usize].errors.borrow_mut().push(error);
    }
}
