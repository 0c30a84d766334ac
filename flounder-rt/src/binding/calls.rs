//! The calls of one end that wait for their replies, found by id.
//!
//! A call has a slot: the one that its id, modulo the number of slots, points to. Ids count upwards, and one whose slot is
//! taken is passed over; since at most half of the slots are taken, few are. So a reply finds its call at once, however
//! many are under way, an id comes again only after 2^32 others, and nothing is allocated but for more slots.

use core::cell::{Cell, OnceCell, RefCell};
use core::task::{Poll, Waker};
use std::rc::Rc;

use crate::binding::shared::Home;
use crate::binding::window::Window;
use crate::binding::{BindingError, Received, RpcError};
use crate::cap::Cap;
use crate::wire::{Gather, LINE};

/// Slots of an end that makes its first call.
const FIRST_SLOTS: usize = 8;

/// The calls of one end.
#[derive(Default)]
pub(super) struct Calls {
    last: Cell<u32>,
    table: RefCell<Table>,
    /// Has the calls of other threads, which have no slot.
    pub(super) home: OnceCell<Rc<Home>>,
    /// Those that are accepted, of this thread and of others.
    pub(super) window: Window,
}

#[derive(Default)]
struct Table {
    /// As many as a power of two, or none. A slot that is taken by `id` stands at `id % slots.len()`.
    slots: Vec<Slot>,
    /// How many are taken, at most half.
    taken: usize,
}

enum Slot {
    Free,
    Open {
        id: u32,
        /// Whether the channel, or the binding for it, has the call.
        accepted: bool,
        waker: Option<Waker>,
    },
    Done {
        id: u32,
        result: Result<Message, RpcError>,
    },
}

/// What is left of a call that is given up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing that the peer knows of.
    Nothing,
    /// The peer may be at work on it.
    Accepted,
}

impl Calls {
    /// An id for the next call.
    #[inline]
    pub(super) fn next(&self) -> u32 {
        let mut table = self.table.borrow_mut();
        if (table.taken + 1) * 2 > table.slots.len() {
            table.grow();
        }
        let mut id = self.last.get().wrapping_add(1);
        while !matches!(table.slots[table.at(id)], Slot::Free) {
            id = id.wrapping_add(1);
        }
        self.last.set(id);
        id
    }

    /// A call of an id from [`next`](Self::next) begins.
    #[inline]
    pub(super) fn begin(&self, id: u32, accepted: bool) {
        let mut table = self.table.borrow_mut();
        while !matches!(table.slots[table.at(id)], Slot::Free) {
            // Calls that were begun since the id was given.
            table.grow();
        }
        let at = table.at(id);
        table.slots[at] = Slot::Open { id, accepted, waker: None };
        table.taken += 1;
        if accepted {
            self.window.begin();
        }
    }

    /// The call is accepted.
    #[inline]
    pub(super) fn accepted(&self, id: u32) {
        if let Some(Slot::Open { accepted, .. }) = self.table.borrow_mut().find(id) {
            *accepted = true;
            self.window.begin();
        }
    }

    /// Takes the result of a call, if there is one, and has `waker` woken if not. `None` also if there is no such call.
    #[inline]
    pub(super) fn poll(&self, id: u32, new: &Waker) -> Poll<Option<Result<Message, RpcError>>> {
        let mut table = self.table.borrow_mut();
        if let Some(Slot::Open { waker, .. }) = table.find(id) {
            match waker {
                Some(waker) => waker.clone_from(new),
                None => *waker = Some(new.clone()),
            }
            return Poll::Pending;
        }
        match table.free(id) {
            Some(Slot::Done { result, .. }) => Poll::Ready(Some(result)),
            _ => Poll::Ready(None),
        }
    }

    /// Whether there is a result to be taken, or no such call.
    #[inline]
    pub(super) fn is_done(&self, id: u32) -> bool {
        !matches!(self.table.borrow_mut().find(id), Some(Slot::Open { .. }))
    }

    /// Settles a call with what `result` gives, which is not asked for one that nobody waits for.
    #[inline]
    pub(super) fn settle(
        &self,
        id: u32,
        result: impl FnOnce() -> Result<Message, RpcError>,
    ) -> Left {
        let mut table = self.table.borrow_mut();
        let Some(slot @ Slot::Open { .. }) = table.find(id) else {
            drop(table);
            if let Some(home) = self.home.get() {
                home.settle(id, result);
            }
            return Left::Nothing;
        };
        let done = Slot::Done { id, result: result() };
        let Slot::Open { waker, accepted, .. } = core::mem::replace(slot, done) else {
            return Left::Nothing;
        };
        drop(table);
        if let Some(waker) = waker {
            waker.wake();
        }
        if !accepted {
            return Left::Nothing;
        }
        self.window.end();
        Left::Accepted
    }

    pub(super) fn fail(&self, id: u32, error: RpcError) {
        self.settle(id, || Err(error));
    }

    /// The binding has ended: settles every call with that, and puts the wakers of those of this thread into `woken`.
    pub(super) fn fail_all(&self, why: &BindingError, woken: &mut Vec<Waker>) {
        if let Some(home) = self.home.get() {
            home.end(why);
        }
        let error = RpcError::Closed(why.clone());
        for slot in &mut self.table.borrow_mut().slots {
            if let Slot::Open { id, waker, .. } = slot {
                woken.extend(waker.take());
                *slot = Slot::Done { id: *id, result: Err(error.clone()) };
            }
        }
    }

    /// Takes the result of a call, and forgets the call.
    #[inline]
    pub(super) fn take(&self, id: u32) -> Option<Result<Message, RpcError>> {
        match self.table.borrow_mut().free(id)? {
            Slot::Done { result, .. } => Some(result),
            _ => None,
        }
    }

    /// Forgets a call, done or not: what comes for it later is discarded.
    #[inline]
    pub(super) fn forget(&self, id: u32) -> Left {
        let mut table = self.table.borrow_mut();
        if let Some(slot @ Slot::Open { accepted: true, waker: None, .. }) = table.find(id) {
            *slot = Slot::Free;
            table.taken -= 1;
            drop(table);
            self.window.end();
            return Left::Accepted;
        }
        // What was in the slot may run user code when it is dropped.
        let old = table.free(id);
        drop(table);
        match old {
            Some(Slot::Open { accepted: true, .. }) => {
                self.window.end();
                Left::Accepted
            }
            _ => Left::Nothing,
        }
    }
}

impl Table {
    #[inline]
    fn at(&self, id: u32) -> usize {
        id as usize & (self.slots.len() - 1)
    }

    #[inline]
    fn find(&mut self, id: u32) -> Option<&mut Slot> {
        let mask = self.slots.len().wrapping_sub(1);
        let slot = self.slots.get_mut(id as usize & mask)?;
        (slot.id() == Some(id)).then_some(slot)
    }

    #[inline]
    fn free(&mut self, id: u32) -> Option<Slot> {
        let old = core::mem::replace(self.find(id)?, Slot::Free);
        self.taken -= 1;
        Some(old)
    }

    /// Twice the slots. Ids that were apart modulo half of them are so modulo all.
    #[cold]
    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(FIRST_SLOTS);
        let old = core::mem::take(&mut self.slots);
        self.slots.resize_with(len, || Slot::Free);
        for slot in old {
            if let Some(id) = slot.id() {
                let at = self.at(id);
                self.slots[at] = slot;
            }
        }
    }
}

impl Slot {
    #[inline]
    const fn id(&self) -> Option<u32> {
        match self {
            Self::Free => None,
            Self::Open { id, .. } | Self::Done { id, .. } => Some(*id),
        }
    }
}

/// A message that is kept: a call until it is accepted, a reply until its caller takes it. One of few words needs no
/// allocation.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) number: u16,
    inline: [u64; LINE],
    len: usize,
    large: Vec<u64>,
    pub(super) caps: Vec<Cap>,
}

impl Message {
    pub(super) fn new(number: u16, body: Gather<'_>, caps: Vec<Cap>) -> Self {
        let (mut inline, mut large, len) = ([0; LINE], Vec::new(), body.len());
        match inline.get_mut(..len) {
            Some(inline) => _ = body.reader(0).read(inline),
            None => {
                large = vec![0; len];
                body.reader(0).read(&mut large);
            }
        }
        Self { number, inline, len, large, caps }
    }

    /// Keeps what has come.
    #[inline]
    pub(super) fn keep(message: Received<'_>) -> Self {
        let caps = core::mem::take(message.caps);
        let (mut inline, mut large, len) = ([0; LINE], Vec::new(), message.words.len());
        match inline.get_mut(..len) {
            Some(inline) => inline.copy_from_slice(message.words),
            None => large = message.words.to_vec(),
        }
        Self { number: message.number, inline, len, large, caps }
    }

    /// Its words, to be changed.
    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        self.inline.get_mut(..self.len).unwrap_or(&mut self.large)
    }

    /// Its words and its capabilities.
    #[inline]
    pub(super) fn parts(&mut self) -> (&[u64], &mut Vec<Cap>) {
        let words = self.inline.get(..self.len).unwrap_or(&self.large);
        (words, &mut self.caps)
    }

    #[inline]
    pub(super) fn lend(&mut self) -> Received<'_> {
        let number = self.number;
        let (words, caps) = self.parts();
        Received { number, words, caps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(number: u16) -> Result<Message, RpcError> {
        Ok(Message::new(number, Gather::words_only(&[u64::from(number)]), Vec::new()))
    }

    fn begin(calls: &Calls) -> u32 {
        let id = calls.next();
        calls.begin(id, true);
        id
    }

    #[test]
    fn every_reply_finds_its_call_in_any_order() {
        let calls = Calls::default();
        let ids: Vec<_> = (0..10_000).map(|_| begin(&calls)).collect();
        for id in ids.iter().rev() {
            assert_eq!(calls.settle(*id, || reply(*id as u16)), Left::Accepted);
        }
        for id in ids {
            let reply = calls.take(id).expect("it is there").expect("a reply");
            assert_eq!(reply.number, id as u16);
        }
        assert_eq!(calls.table.borrow().taken, 0);
    }

    #[test]
    fn ids_pass_over_calls_that_are_still_open_and_slots_do_not_grow() {
        let calls = Calls::default();
        let old: Vec<_> = (0..3).map(|_| begin(&calls)).collect();
        let slots = calls.table.borrow().slots.len();
        for _ in 0..1000 {
            let id = begin(&calls);
            assert!(!old.contains(&id));
            assert_eq!(calls.settle(id, || reply(1)), Left::Accepted);
            assert!(calls.take(id).is_some());
        }
        assert_eq!(calls.table.borrow().slots.len(), slots);
        for id in old {
            assert!(!calls.is_done(id));
        }
    }

    #[test]
    fn a_reply_that_is_late_finds_nobody() {
        let calls = Calls::default();
        let id = begin(&calls);
        assert_eq!(calls.forget(id), Left::Accepted);
        let next = begin(&calls);
        assert_eq!(calls.settle(id, || unreachable!("nobody waits")), Left::Nothing);
        assert!(!calls.is_done(next));
        // That of another call with the same slot.
        assert_eq!(calls.settle(next + 8, || unreachable!("nobody waits")), Left::Nothing);
        assert!(!calls.is_done(next));
    }

    #[test]
    fn an_id_that_was_given_before_others_is_good_after_them() {
        let calls = Calls::default();
        let first = calls.next();
        calls.last.set(first.wrapping_sub(1));
        let second = begin(&calls);
        assert_eq!(second, first, "the slot is free until a call begins");
        calls.last.set(first.wrapping_add(FIRST_SLOTS as u32 - 1));
        let third = calls.next();
        calls.begin(first.wrapping_add(FIRST_SLOTS as u32), true);
        assert_ne!(third, first.wrapping_add(FIRST_SLOTS as u32));
        assert!(!calls.is_done(first));
    }

    #[test]
    fn a_call_is_settled_once() {
        let calls = Calls::default();
        let id = begin(&calls);
        calls.fail(id, RpcError::NoReply);
        assert_eq!(calls.settle(id, || unreachable!("it is done")), Left::Nothing);
        assert_eq!(calls.take(id).map(|result| result.err()), Some(Some(RpcError::NoReply)));
        assert!(calls.take(id).is_none());
    }
}
