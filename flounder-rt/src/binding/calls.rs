//! The calls of one end that wait for their replies, found by id.
//!
//! A call has a slot: the one that its id, modulo the number of slots, points to. Ids count upwards, and one whose slot is
//! taken is passed over; since at most half of the slots are taken, few are. So a reply finds its call at once, however
//! many are under way, an id comes again only after 2^32 others, and nothing is allocated but for more slots.
//!
//! The words of a call, until it is accepted, and those of its reply lie in the slot, in one place: they are put together
//! there, sent from there, and overwritten there.
//!
//! ```text
//!   Free --begin--> Waiting --accepted--> Accepted --answer--> Answered --take--> Free
//!     |                '--------fail---------'--------fail--> Failed  ---------'
//!     '-------------------------fail_at_once--------------------'
//! ```

use core::cell::{Cell, OnceCell, RefCell};
use core::task::Waker;
use std::rc::Rc;
use std::time::Instant;

use crate::binding::shared::Home;
use crate::binding::turns::Ticket;
use crate::binding::window::Window;
use crate::binding::{BindingError, Received, RpcError};
use crate::cap::Cap;
use crate::waitset::Timer;
use crate::wire::{Gather, LINE, copy_line};

/// Slots of an end that makes its first call.
const FIRST_SLOTS: usize = 8;

/// The tick of what has no usual time: a call with a limit of its own, every call of a binding of a broker.
const NO_LIMIT: u32 = u32::MAX;

/// The tick while nothing counts them.
const STOPPED: u32 = 0;

/// Ticks in the usual time of a call.
pub(super) const TICKS: u32 = 16;

/// Slots that an end keeps that has made many calls at a time.
const KEPT_SLOTS: usize = 256;

/// The id that no call has.
pub(super) const NONE: u32 = 0;

/// The calls of one end.
#[derive(Default)]
pub(super) struct Calls {
    last: Cell<u32>,
    /// Counts sixteenths of the usual time of a call, while there are such calls; else [`STOPPED`], or [`NO_LIMIT`] if there
    /// never are. One load gives what a call notes and whether a timer is to be set.
    ticks: Cell<u32>,
    /// What counts them.
    ticker: Cell<Option<Timer>>,
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
    /// The waker of the call that was settled last: mostly the next one has the same, and to count another copy in and out
    /// again are two atomic operations, behind a store that others wait for.
    spare: Option<Waker>,
    /// Whether the binding has ended.
    ended: bool,
}

#[derive(Default)]
struct Slot {
    id: u32,
    stage: Stage,
    /// The tick after which a call began that has the usual time; `NO_LIMIT` if it has another, or none.
    began: u32,
    waker: Option<Waker>,
    /// The call that waits, or the reply that has come.
    message: Message,
    /// Why there is none.
    error: Option<RpcError>,
    /// Absent for most calls, which are sent at once and have the usual time.
    waits: Option<Box<Waits>>,
}

/// What a call waits for besides its reply.
#[derive(Default)]
pub(super) struct Waits {
    /// For a place in the window.
    pub(super) place: Ticket,
    /// For the slot of the binding.
    pub(super) ticket: Ticket,
    /// When it has to be done, and what watches that.
    pub(super) end: Option<Instant>,
    pub(super) timer: Option<Timer>,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Free,
    /// For room.
    Waiting,
    /// The channel has it, or the binding for it.
    Accepted,
    /// It cannot be sent any more, since the binding is about to end; why, is known then.
    Doomed,
    Answered,
    Failed,
}

/// How far a call is that is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polled {
    /// There is nothing to do but to wait for its reply.
    Accepted,
    /// It waits for room, or has just stopped doing so, or its time begins.
    Waiting,
    /// There is a result to be taken, or no such call.
    Done,
}

/// What a call that is given up leaves to be done.
pub(super) struct GivenUp {
    pub(super) left: Left,
    pub(super) waits: Option<Box<Waits>>,
}

/// A reply of few words.
pub(super) struct Line {
    pub(super) number: u16,
    pub(super) words: [u64; LINE],
    pub(super) len: usize,
}

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    Usual,
    /// Until then, or for ever.
    At(Option<Instant>),
}

/// Who knows of a call that is given up, besides this end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        while id == NONE || table.at(id).stage != Stage::Free {
            id = id.wrapping_add(1);
        }
        self.last.set(id);
        id
    }

    /// A call of an id from [`next`](Self::next) begins, whose message is kept elsewhere.
    #[inline]
    pub(super) fn begin(&self, id: u32, accepted: bool) {
        let stage = if accepted { Stage::Accepted } else { Stage::Waiting };
        self.table.borrow_mut().begin(id, stage, NO_LIMIT);
        if accepted {
            self.window.begin();
        }
    }

    /// A call of an id from [`next`](Self::next) begins, and waits to be sent.
    #[inline]
    pub(super) fn begin_with(
        &self,
        id: u32,
        number: u16,
        body: Gather<'_>,
        caps: Vec<Cap>,
        limit: Limit,
    ) {
        let mut table = self.table.borrow_mut();
        let (began, end) = match limit {
            Limit::Usual => (self.ticks.get(), None),
            Limit::At(end) => (NO_LIMIT, end),
        };
        let slot = table.begin(id, Stage::Waiting, began);
        if end.is_some() {
            slot.set_end(end);
        }
        let message = &mut slot.message;
        message.put_together(number, body);
        // A free slot has none. To move an empty vector by words of another size than it was made of stalls the processor.
        if !caps.is_empty() {
            message.caps = caps;
        }
    }

    /// A call of an id from [`next`](Self::next) fails before it begins.
    #[cold]
    pub(super) fn fail_at_once(&self, id: u32, error: RpcError) {
        self.table.borrow_mut().begin(id, Stage::Failed, NO_LIMIT).error = Some(error);
    }

    /// Takes what the call waits for, if there is anything.
    pub(super) fn take_waits(&self, id: u32) -> Option<Box<Waits>> {
        self.table.borrow_mut().find(id)?.waits.take()
    }

    /// Notes what the call waits for, if it is still there.
    pub(super) fn put_waits(&self, id: u32, waits: Waits) {
        if let Some(slot) = self.table.borrow_mut().find(id)
            && waits.is_some()
        {
            slot.waits = Some(Box::new(waits));
        }
    }

    /// Another timer watches the end of the call. Gives the one before.
    pub(super) fn watch_by(&self, id: u32, timer: Timer) -> Option<Timer> {
        self.table.borrow_mut().find(id)?.waits.as_mut()?.timer.replace(timer)
    }

    /// A call begins that has the usual time: says whether ticks have to be counted from now on.
    #[inline]
    pub(super) fn must_tick(&self) -> bool {
        self.ticks.get() == STOPPED
    }

    /// Whether ticks are counted.
    pub(super) fn is_ticking(&self) -> bool {
        !matches!(self.ticks.get(), STOPPED | NO_LIMIT)
    }

    /// Ticks are counted by this from now on.
    pub(super) fn tick_by(&self, timer: Timer) {
        self.ticks.set(self.ticks.get().max(STOPPED + 1));
        if let Some(old) = self.ticker.replace(Some(timer)) {
            old.cancel();
        }
    }

    /// There are no calls of the usual time, or nothing ends them any more.
    pub(super) fn stop_ticking(&self) {
        if self.is_ticking() {
            self.ticks.set(STOPPED);
        }
        if let Some(old) = self.ticker.take() {
            old.cancel();
        }
    }

    /// Calls have no usual time from now on.
    pub(super) fn never_tick(&self) {
        self.stop_ticking();
        self.ticks.set(NO_LIMIT);
    }

    /// Counts a tick. Gives the calls whose usual time is over, and whether there are others.
    pub(super) fn tick(&self) -> (Vec<u32>, bool) {
        // Not `NO_LIMIT` by counting: that takes 250 years. A tick that was due when ticks were given up leaves it as it is.
        let now = self.ticks.get().saturating_add(1);
        self.ticks.set(now);
        let mut table = self.table.borrow_mut();
        if table.taken == 0 && table.slots.len() > KEPT_SLOTS {
            table.slots = Vec::new();
        }
        let usual = table.slots.iter().filter(|slot| slot.is_open() && slot.began != NO_LIMIT);
        let (late, others): (Vec<_>, Vec<_>) = usual.partition(|slot| now - slot.began > TICKS);
        (late.iter().map(|slot| slot.id).collect(), !others.is_empty())
    }

    /// The call has another limit than the usual time.
    pub(super) fn limit(&self, id: u32, end: Option<Instant>) -> Option<Timer> {
        let mut table = self.table.borrow_mut();
        let slot = table.find(id)?;
        slot.began = NO_LIMIT;
        slot.set_end(end)
    }

    /// The calls with timers, and when they have to be done.
    pub(super) fn timed(&self) -> Vec<(u32, Instant)> {
        let table = self.table.borrow();
        let timed = table.slots.iter().filter(|slot| slot.is_open()).filter_map(|slot| {
            let waits = slot.waits.as_ref().filter(|waits| waits.timer.is_some())?;
            Some((slot.id, waits.end?))
        });
        timed.collect()
    }

    /// The call is accepted.
    #[inline]
    pub(super) fn accepted(&self, id: u32) {
        if let Some(slot) = self.table.borrow_mut().find_waiting(id) {
            slot.stage = Stage::Accepted;
            self.window.begin();
        }
    }

    /// The call cannot be sent any more, and waits for the end of the binding.
    pub(super) fn doom(&self, id: u32) {
        if let Some(slot) = self.table.borrow_mut().find_waiting(id) {
            slot.stage = Stage::Doomed;
        }
    }

    /// Whether the call waits for room.
    pub(super) fn is_waiting(&self, id: u32) -> bool {
        self.table.borrow_mut().find_waiting(id).is_some()
    }

    /// Takes the message of a call that waits.
    pub(super) fn take_request(&self, id: u32) -> Option<Message> {
        let mut table = self.table.borrow_mut();
        table.find_waiting(id).map(|slot| core::mem::take(&mut slot.message))
    }

    /// Puts it back, if the call still waits.
    pub(super) fn put_request(&self, id: u32, request: Message) {
        if let Some(slot) = self.table.borrow_mut().find_waiting(id) {
            slot.message = request;
        }
    }

    /// How far a call is. One that waits is offered to `send`, if its words are all there is to it and it has not waited
    /// before; one that is not done has `new` woken when it is.
    #[inline]
    pub(super) fn poll(
        &self,
        id: u32,
        new: &Waker,
        send: impl FnOnce(u16, &[u64]) -> bool,
    ) -> Polled {
        let mut table = self.table.borrow_mut();
        let Table { slots, spare, .. } = &mut *table;
        let Some(slot) = Table::find_in(slots, id).filter(|slot| slot.is_open()) else {
            return Polled::Done;
        };
        let is_quiet = slot.waits.as_ref().is_none_or(|waits| waits.is_quiet());
        if slot.stage == Stage::Waiting && slot.waits.is_none() {
            let number = slot.message.number;
            let (words, caps) = slot.message.parts();
            if caps.is_empty() && send(number, words) {
                slot.stage = Stage::Accepted;
                self.window.begin();
            }
        }
        let accepted = slot.stage != Stage::Waiting && is_quiet;
        match &slot.waker {
            Some(old) if old.will_wake(new) => {}
            None if spare.as_ref().is_some_and(|spare| spare.will_wake(new)) => {
                slot.waker = spare.take();
            }
            _ => {
                drop(table);
                self.watch(id, new.clone());
            }
        }
        if accepted { Polled::Accepted } else { Polled::Waiting }
    }

    /// Has `waker` woken when the call is settled.
    #[cold]
    fn watch(&self, id: u32, waker: Waker) {
        let mut table = self.table.borrow_mut();
        let Some(slot) = table.find(id) else { return };
        if slot.is_open() {
            let old = slot.waker.replace(waker);
            drop(table);
            drop(old);
        } else {
            // It was settled while the waker was copied.
            drop(table);
            waker.wake();
        }
    }

    /// Whether there is a result to be taken, or no such call.
    #[inline]
    pub(super) fn is_done(&self, id: u32) -> bool {
        self.table.borrow_mut().find_open(id).is_none()
    }

    /// Settles a call with its reply. One that nobody waits for is discarded.
    #[inline]
    pub(super) fn answer(&self, id: u32, message: Received<'_>) {
        let mut table = self.table.borrow_mut();
        let Some(slot) = table.find_open(id) else {
            drop(table);
            if let Some(home) = self.home.get() {
                home.settle(id, || Ok(Message::keep(message)));
            }
            return;
        };
        let left = slot.left();
        slot.stage = Stage::Answered;
        slot.message.put_together(message.number, Gather::words_only(message.words));
        // Those of a call that a hostile peer answers before it is sent are closed.
        if !message.caps.is_empty() || !slot.message.caps.is_empty() {
            slot.message.caps = core::mem::take(message.caps);
        }
        let waker = slot.waker.take();
        drop(table);
        self.wake(waker);
        self.over(left);
    }

    /// Settles a call that gets no reply.
    pub(super) fn fail(&self, id: u32, error: RpcError) -> Left {
        let mut table = self.table.borrow_mut();
        let Some(slot) = table.find_open(id) else {
            drop(table);
            if let Some(home) = self.home.get() {
                home.settle(id, || Err(error));
            }
            return Left::Nothing;
        };
        let left = slot.left();
        slot.stage = Stage::Failed;
        slot.error = Some(error);
        let (unsent, waker) = (core::mem::take(&mut slot.message), slot.waker.take());
        drop((table, unsent));
        self.wake(waker);
        self.over(left)
    }

    /// A call is over: its place is free, if it had one.
    #[inline]
    fn over(&self, left: Left) -> Left {
        if left == Left::Accepted {
            self.window.end();
        }
        left
    }

    /// A call whose message was taken, and is polled, cannot be sent.
    pub(super) fn refuse(&self, id: u32, error: RpcError) {
        let mut table = self.table.borrow_mut();
        let Some(slot) = table.find(id) else { return };
        (slot.stage, slot.error) = (Stage::Failed, Some(error));
        let waker = slot.waker.take();
        drop(table);
        drop(waker);
    }

    /// Wakes who waits for a call that is settled, and keeps the waker for the next one.
    #[inline]
    fn wake(&self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        waker.wake_by_ref();
        // An ended binding keeps none: who waits may hold the binding.
        let mut table = self.table.borrow_mut();
        let old = if table.ended { Some(waker) } else { table.spare.replace(waker) };
        drop(table);
        drop(old);
    }

    /// The binding has ended: settles every call with that, and puts the wakers of those of this thread into `woken`.
    pub(super) fn fail_all(&self, why: &BindingError, woken: &mut Vec<Waker>) {
        if let Some(home) = self.home.get() {
            home.end(why);
        }
        let error = RpcError::Closed(why.clone());
        let mut table = self.table.borrow_mut();
        for slot in table.slots.iter_mut().filter(|slot| slot.is_open()) {
            woken.extend(slot.waker.take());
            // What was not sent is lost, and its capabilities are closed.
            slot.message = Message::default();
            (slot.stage, slot.error) = (Stage::Failed, Some(error.clone()));
        }
        table.ended = true;
        woken.extend(table.spare.take());
    }

    /// Forgets a call that is done, and gives its result; `None` if there is no such call. What it waited for must have been
    /// [taken](Self::take_waits).
    pub(super) fn take(&self, id: u32) -> Option<Result<Message, RpcError>> {
        let mut table = self.table.borrow_mut();
        let slot = table.find(id)?;
        let result = match core::mem::take(&mut slot.stage) {
            Stage::Answered => Some(Ok(core::mem::take(&mut slot.message))),
            _ => slot.error.take().map(Err),
        };
        table.taken -= 1;
        result
    }

    /// As [`take`](Self::take), if what came is a reply of few words and no capabilities; otherwise does nothing.
    #[inline]
    pub(super) fn take_line(&self, id: u32) -> Option<Line> {
        let mut table = self.table.borrow_mut();
        let slot = table.find(id)?;
        if slot.stage != Stage::Answered || slot.message.has_more() || slot.waits.is_some() {
            return None;
        }
        let (number, mut words) = (slot.message.number, [0; LINE]);
        let len = copy_line(slot.message.parts().0, &mut words)?;
        slot.stage = Stage::Free;
        table.taken -= 1;
        Some(Line { number, words, len })
    }

    /// Forgets a call of which nothing is in its slot: a blocking one, whose reply was read where it lay.
    #[inline]
    pub(super) fn free(&self, id: u32) {
        let mut table = self.table.borrow_mut();
        let Some(slot) = table.find(id) else { return };
        let left = slot.left();
        slot.stage = Stage::Free;
        table.taken -= 1;
        drop(table);
        self.over(left);
    }

    /// Forgets a call, done or not: what comes for it later is discarded.
    #[inline]
    pub(super) fn forget(&self, id: u32) -> GivenUp {
        let mut table = self.table.borrow_mut();
        let Some(slot) = table.find(id) else {
            return GivenUp { left: Left::Nothing, waits: None };
        };
        let left = slot.left();
        let waits = slot.waits.take();
        // A waker may run user code when it is dropped.
        let waker = slot.waker.take();
        if slot.message.has_more() {
            slot.message = Message::default();
        }
        (slot.stage, slot.error) = (Stage::Free, None);
        table.taken -= 1;
        drop(table);
        drop(waker);
        GivenUp { left: self.over(left), waits }
    }
}

impl Waits {
    fn is_some(&self) -> bool {
        !self.is_quiet() || self.timer.is_some()
    }

    /// Whether there is nothing to be done about it.
    #[cold]
    fn is_quiet(&self) -> bool {
        self.place.is_none()
            && self.ticket.is_none()
            && (self.end.is_none() || self.timer.is_some())
    }
}

impl Table {
    /// The slot where a call of this id stands, if it is one.
    #[inline]
    fn at(&mut self, id: u32) -> &mut Slot {
        let at = id as usize & (self.slots.len() - 1);
        &mut self.slots[at]
    }

    #[inline]
    fn find(&mut self, id: u32) -> Option<&mut Slot> {
        Self::find_in(&mut self.slots, id)
    }

    /// The slot of a call that waits for room.
    #[inline]
    fn find_waiting(&mut self, id: u32) -> Option<&mut Slot> {
        self.find(id).filter(|slot| slot.stage == Stage::Waiting)
    }

    /// The slot of a call that is still to be settled.
    #[inline]
    fn find_open(&mut self, id: u32) -> Option<&mut Slot> {
        self.find(id).filter(|slot| slot.is_open())
    }

    #[inline]
    fn find_in(slots: &mut [Slot], id: u32) -> Option<&mut Slot> {
        let at = id as usize & slots.len().wrapping_sub(1);
        slots.get_mut(at).filter(|slot| slot.id == id && slot.stage != Stage::Free)
    }

    #[inline]
    fn begin(&mut self, id: u32, stage: Stage, began: u32) -> &mut Slot {
        while self.at(id).stage != Stage::Free {
            // Calls that were begun since the id was given.
            self.grow();
        }
        self.taken += 1;
        let slot = self.at(id);
        (slot.id, slot.stage, slot.began) = (id, stage, began);
        slot
    }

    /// Twice the slots. Ids that were apart modulo half of them are so modulo all.
    #[cold]
    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(FIRST_SLOTS);
        let old = core::mem::take(&mut self.slots);
        self.slots.resize_with(len, Slot::default);
        for slot in old {
            if slot.stage != Stage::Free {
                let at = self.at(slot.id);
                *at = slot;
            }
        }
    }
}

impl Slot {
    /// Whether the call is still to be settled.
    #[inline]
    const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Accepted | Stage::Doomed)
    }

    /// Has the call end at this time, or at none. Gives what has watched the time before.
    #[cold]
    fn set_end(&mut self, end: Option<Instant>) -> Option<Timer> {
        let mut waits = self.waits.take().unwrap_or_default();
        waits.end = end;
        let timer = waits.timer.take();
        self.waits = waits.is_some().then_some(waits);
        timer
    }

    #[inline]
    fn left(&self) -> Left {
        if self.stage == Stage::Accepted { Left::Accepted } else { Left::Nothing }
    }
}

/// A message that is kept: a call until it is accepted, a reply until its caller takes it. One of few words needs no
/// allocation.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) number: u16,
    inline: [u64; LINE],
    len: usize,
    large: Vec<u64>,
    pub(super) caps: Vec<Cap>,
}

impl Message {
    pub(super) fn new(number: u16, body: Gather<'_>, caps: Vec<Cap>) -> Self {
        let mut message = Self { caps, ..Self::default() };
        message.put_together(number, body);
        message
    }

    /// Keeps what has come.
    pub(super) fn keep(message: Received<'_>) -> Self {
        let caps = core::mem::take(message.caps);
        Self::new(message.number, Gather::words_only(message.words), caps)
    }

    /// Has these words in place of those before.
    #[inline]
    fn put_together(&mut self, number: u16, body: Gather<'_>) {
        self.number = number;
        match body.put_together(&mut self.inline) {
            Some(len) => self.len = len,
            None => self.put_large(body),
        }
    }

    #[cold]
    fn put_large(&mut self, body: Gather<'_>) {
        self.len = body.len();
        self.large.clear();
        self.large.resize(self.len, 0);
        body.reader(0).read(&mut self.large);
    }

    /// Whether it has more than inline words.
    #[inline]
    fn has_more(&self) -> bool {
        !self.caps.is_empty() || self.large.capacity() > 0
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

    fn answer(calls: &Calls, id: u32) {
        let number = id as u16;
        let words = [u64::from(number)];
        calls.answer(id, Received { number, words: &words, caps: &mut Vec::new() });
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
            answer(&calls, *id);
        }
        for id in ids {
            let reply = calls.take_line(id).expect("it is there");
            assert_eq!((reply.number, reply.len), (id as u16, 1));
            assert_eq!(reply.words[0], u64::from(id as u16));
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
            answer(&calls, id);
            assert!(matches!(calls.take(id), Some(Ok(_))));
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
        assert_eq!(calls.forget(id).left, Left::Accepted);
        let next = begin(&calls);
        answer(&calls, id);
        assert!(!calls.is_done(next));
        // That of another call with the same slot.
        answer(&calls, next + 8);
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
    fn calls_of_the_usual_time_end_after_sixteen_ticks() {
        let calls = Calls::default();
        let begin = |limit| {
            let id = calls.next();
            calls.begin_with(id, 1, Gather::words_only(&[]), Vec::new(), limit);
            id
        };
        let (usual, unlimited) = (begin(Limit::Usual), begin(Limit::At(None)));
        let other = begin(Limit::Usual);
        assert!(calls.limit(other, None).is_none());
        for _ in 0..TICKS {
            assert_eq!(calls.tick(), (vec![], true));
        }
        assert_eq!(calls.tick(), (vec![usual], false));
        calls.fail(usual, RpcError::Deadline);
        assert_eq!(calls.tick(), (vec![], false));
        assert!(!calls.is_done(unlimited) && !calls.is_done(other));
    }

    #[test]
    fn ticks_are_counted_while_calls_have_the_usual_time() {
        let waitset = crate::waitset::Waitset::new();
        let timer = || waitset.after(core::time::Duration::from_secs(3600), |_| Ok(()));
        let calls = Calls::default();
        let begin = || {
            let id = calls.next();
            calls.begin_with(id, 1, Gather::words_only(&[]), Vec::new(), Limit::Usual);
            id
        };
        assert!(calls.must_tick() && !calls.is_ticking());
        calls.tick_by(timer());
        let first = begin();
        assert!(!calls.must_tick() && calls.is_ticking());
        assert_eq!(calls.tick(), (vec![], true));
        calls.tick_by(timer());
        for _ in 1..TICKS {
            assert_eq!(calls.tick(), (vec![], true));
        }
        assert_eq!(calls.tick(), (vec![first], false));
        calls.stop_ticking();
        assert!(calls.must_tick() && !calls.is_ticking());
        calls.never_tick();
        let other = begin();
        assert!(!calls.must_tick() && !calls.is_ticking());
        calls.fail(first, RpcError::Deadline);
        for _ in 0..=TICKS {
            assert_eq!(calls.tick(), (vec![], false));
        }
        calls.stop_ticking();
        assert!(!calls.must_tick() && !calls.is_done(other));
    }

    #[test]
    fn a_call_that_waits_for_nothing_has_no_memory_for_it() {
        let calls = Calls::default();
        let id = calls.next();
        let end = Instant::now();
        calls.begin_with(id, 1, Gather::words_only(&[]), Vec::new(), Limit::At(Some(end)));
        assert!(calls.take_waits(id).is_some_and(|waits| waits.end == Some(end)));
        calls.put_waits(id, Waits::default());
        assert!(calls.take_waits(id).is_none());
        calls.limit(id, Some(end));
        calls.limit(id, None);
        assert!(calls.take_waits(id).is_none());
    }

    #[test]
    fn a_call_is_settled_once() {
        let calls = Calls::default();
        let id = begin(&calls);
        assert_eq!(calls.fail(id, RpcError::NoReply), Left::Accepted);
        assert_eq!(calls.fail(id, RpcError::Deadline), Left::Nothing);
        answer(&calls, id);
        assert!(matches!(calls.take(id), Some(Err(RpcError::NoReply))));
        assert!(calls.take(id).is_none());
    }
}
