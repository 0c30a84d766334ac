//! The calls of one end that wait for their replies, found by id.
//!
//! A call has a slot: the one that its id, modulo the number of slots, points to. Ids count upwards, and an id whose slot is
//! taken is passed over; since at most half of the slots are taken, few are. So a reply finds its call at once, however
//! many are under way, an id comes again only after 2^32 others, and nothing is allocated except for more slots.
//!
//! The words of a call, until it is accepted, and those of its reply lie in the slot, in one place: they are put together
//! there, sent from there, and overwritten there.
//!
//! ```text
//!   Free --begin--> Waiting --accepted--> Accepted --answer--> Answered --take--> Free
//!     |                '--------fail---------'--------fail--> Failed  ---------'
//!     '-------------------------fail_at_once--------------------'
//! ```
//! Wakers and timers belong to the shell: what these methods return may run user code when it is woken or dropped, and is
//! woken or dropped by the shell when nothing is borrowed.

use core::task::Waker;
use std::time::Instant;

use super::message::Message;
use super::notice::Notice;
use super::wait_queue::Position;
use super::window::Window;
use super::{Connection, Event, State};
use crate::binding::{BindingError, Received, RpcError};
use crate::cap::Cap;
use crate::wire::{Gather, LINE, copy_line};

/// Slots of an end that makes its first call.
const FIRST_SLOTS: usize = 8;

/// The tick of a call that has no default timeout: a call with a limit of its own, every call of a binding of a broker.
const NO_LIMIT: u32 = u32::MAX;

/// The tick while nothing counts ticks.
const STOPPED: u32 = 0;

/// Ticks in the default timeout of a call.
pub(in crate::binding) const TICKS: u32 = 16;

/// Slots that an end keeps after it has made many calls at a time.
const KEPT_SLOTS: usize = 256;

/// The id that no call has.
pub(in crate::binding) const NONE: u32 = 0;

/// The calls of one end. `T` is a timer of the shell.
pub(in crate::binding) struct Calls<T> {
    last: u32,
    /// Counts sixteenths of the default timeout, while there are calls that have it; else [`STOPPED`], or [`NO_LIMIT`] if
    /// there never are. One load gives what a call notes and whether a timer is to be set.
    ticks: u32,
    /// A power of two, or none. A slot that is taken by `id` stands at `id % slots.len()`.
    slots: Vec<Slot<T>>,
    /// Number of slots that are taken, at most half.
    taken: usize,
    /// The waker of the call that was settled last: mostly the next call has the same, and to count another copy in and out
    /// again are two atomic operations, behind a store that others wait for.
    spare: Option<Waker>,
    /// True once the binding has ended.
    ended: bool,
    /// The calls that are accepted, of this thread and of others.
    pub(super) window: Window,
}

struct Slot<T> {
    id: u32,
    stage: Stage,
    /// The tick after which a call began that has the default timeout; `NO_LIMIT` if it has another, or none.
    began: u32,
    waker: Option<Waker>,
    /// The call that waits, or the reply that has come.
    message: Message,
    /// Why there is no reply.
    error: Option<RpcError>,
    /// Absent for most calls, which are sent at once and have the default timeout.
    waits: Option<Box<Waits<T>>>,
}

/// What a call waits for besides its reply.
pub(in crate::binding) struct Waits<T> {
    /// Its position among those that wait for a place in the window.
    pub(in crate::binding) place: Position,
    /// Its position among those that wait for the slot of the binding.
    pub(in crate::binding) turn: Position,
    /// When the call has to be done.
    pub(in crate::binding) end: Option<Instant>,
    /// Expires the call at `end`.
    pub(in crate::binding) timer: Option<T>,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Free,
    /// It waits to be sent.
    Waiting,
    /// The channel has it, or the binding for it.
    Accepted,
    /// It cannot be sent any more, since the binding is about to end; the reason is known then.
    Doomed,
    Answered,
    Failed,
}

/// How far a call is that is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::binding) enum Polled {
    /// Nothing is to be done but to wait for the reply.
    Accepted,
    /// It waits to be sent, or has just stopped waiting, or its time begins.
    Waiting,
    /// There is a result to be taken, or no such call.
    Done,
}

/// What a call that is given up leaves behind.
pub(in crate::binding) struct GivenUp<T> {
    pub(in crate::binding) left: Left,
    pub(in crate::binding) waits: Option<Box<Waits<T>>>,
    /// To be dropped.
    pub(in crate::binding) waker: Option<Waker>,
}

/// A reply of few words.
pub(in crate::binding) struct ReplyLine {
    pub(in crate::binding) number: u16,
    pub(in crate::binding) words: [u64; LINE],
    pub(in crate::binding) len: usize,
}

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::binding) enum Limit {
    Default,
    /// Until then, or for ever.
    At(Option<Instant>),
}

/// What the peer knows of a call that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::binding) enum Left {
    /// Nothing that has to be cancelled.
    Nothing,
    /// The peer may be at work on it.
    Accepted,
}

/// What becomes of a waker that a call is to be watched with.
pub(in crate::binding) enum Watched {
    /// It is kept; the waker before is to be dropped.
    Kept(Option<Waker>),
    /// The call was settled meanwhile: the waker is to be woken.
    Settled(Waker),
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self {
            last: 0,
            ticks: STOPPED,
            slots: Vec::new(),
            taken: 0,
            spare: None,
            ended: false,
            window: Window::default(),
        }
    }
}

impl<T> Calls<T> {
    /// Returns an id for the next call.
    #[inline]
    pub(in crate::binding) fn next(&mut self) -> u32 {
        if (self.taken + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let mut id = self.last.wrapping_add(1);
        while id == NONE || self.at(id).stage != Stage::Free {
            id = id.wrapping_add(1);
        }
        self.last = id;
        id
    }

    /// A call of an id from [`next`](Self::next) begins, whose message is kept elsewhere.
    #[inline]
    pub(in crate::binding) fn begin(&mut self, id: u32, accepted: bool) {
        let stage = if accepted { Stage::Accepted } else { Stage::Waiting };
        self.begin_slot(id, stage, NO_LIMIT);
        if accepted {
            self.window.begin();
        }
    }

    /// A call of an id from [`next`](Self::next) begins, and waits to be sent.
    #[inline]
    pub(in crate::binding) fn begin_with(
        &mut self,
        id: u32,
        number: u16,
        body: Gather<'_>,
        caps: Vec<Cap>,
        limit: Limit,
    ) {
        let (began, end) = match limit {
            Limit::Default => (self.ticks, None),
            Limit::At(end) => (NO_LIMIT, end),
        };
        let slot = self.begin_slot(id, Stage::Waiting, began);
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
    pub(in crate::binding) fn fail_at_once(&mut self, id: u32, error: RpcError) {
        self.begin_slot(id, Stage::Failed, NO_LIMIT).error = Some(error);
    }

    /// Takes what the call waits for, if there is anything.
    pub(in crate::binding) fn take_waits(&mut self, id: u32) -> Option<Box<Waits<T>>> {
        self.find(id)?.waits.take()
    }

    /// Notes what the call waits for, if the call is still there.
    pub(in crate::binding) fn put_waits(&mut self, id: u32, waits: Waits<T>) {
        if let Some(slot) = self.find(id)
            && waits.is_some()
        {
            slot.waits = Some(Box::new(waits));
        }
    }

    /// Another timer expires the call. Returns the timer before.
    pub(in crate::binding) fn watch_by(&mut self, id: u32, timer: T) -> Option<T> {
        self.find(id)?.waits.as_mut()?.timer.replace(timer)
    }

    /// Returns true if a call that begins with the default timeout needs ticks to be counted from now on.
    #[inline]
    pub(in crate::binding) const fn must_tick(&self) -> bool {
        self.ticks == STOPPED
    }

    /// Returns true while ticks are counted.
    pub(in crate::binding) const fn is_ticking(&self) -> bool {
        !matches!(self.ticks, STOPPED | NO_LIMIT)
    }

    /// Ticks are counted from now on.
    pub(in crate::binding) fn start_ticking(&mut self) {
        self.ticks = self.ticks.max(STOPPED + 1);
    }

    /// No call has the default timeout, or nothing ends calls any more.
    pub(in crate::binding) const fn stop_ticking(&mut self) {
        if self.is_ticking() {
            self.ticks = STOPPED;
        }
    }

    /// Calls have no default timeout from now on.
    pub(in crate::binding) const fn never_tick(&mut self) {
        self.ticks = NO_LIMIT;
    }

    /// Counts a tick. Returns the calls whose default timeout is over, and whether others have it.
    pub(in crate::binding) fn tick(&mut self) -> (Vec<u32>, bool) {
        // Not `NO_LIMIT` by counting: that takes 250 years. A tick that was due when ticks were given up leaves it as it is.
        let now = self.ticks.saturating_add(1);
        self.ticks = now;
        if self.taken == 0 && self.slots.len() > KEPT_SLOTS {
            self.slots = Vec::new();
        }
        let ticking = self.slots.iter().filter(|slot| slot.is_open() && slot.began != NO_LIMIT);
        let (late, others): (Vec<_>, Vec<_>) = ticking.partition(|slot| now - slot.began > TICKS);
        (late.iter().map(|slot| slot.id).collect(), !others.is_empty())
    }

    /// Replaces the default timeout of the call. Returns the timer that expired it before.
    pub(in crate::binding) fn limit(&mut self, id: u32, end: Option<Instant>) -> Option<T> {
        let slot = self.find(id)?;
        slot.began = NO_LIMIT;
        slot.set_end(end)
    }

    /// Returns the calls with timers, and when they have to be done.
    pub(in crate::binding) fn timed(&self) -> Vec<(u32, Instant)> {
        let timed = self.slots.iter().filter(|slot| slot.is_open()).filter_map(|slot| {
            let waits = slot.waits.as_ref().filter(|waits| waits.timer.is_some())?;
            Some((slot.id, waits.end?))
        });
        timed.collect()
    }

    /// The call is accepted.
    #[inline]
    pub(in crate::binding) fn accepted(&mut self, id: u32) {
        if let Some(slot) = self.find_waiting(id) {
            slot.stage = Stage::Accepted;
            self.window.begin();
        }
    }

    /// The call cannot be sent any more, and waits for the end of the binding.
    pub(in crate::binding) fn doom(&mut self, id: u32) {
        if let Some(slot) = self.find_waiting(id) {
            slot.stage = Stage::Doomed;
        }
    }

    /// Returns true if the call waits to be sent.
    pub(in crate::binding) fn is_waiting(&mut self, id: u32) -> bool {
        self.find_waiting(id).is_some()
    }

    /// Takes the message of a call that waits to be sent.
    pub(in crate::binding) fn take_request(&mut self, id: u32) -> Option<Message> {
        self.find_waiting(id).map(|slot| core::mem::take(&mut slot.message))
    }

    /// Puts the message back, if the call still waits.
    pub(in crate::binding) fn put_request(&mut self, id: u32, request: Message) {
        if let Some(slot) = self.find_waiting(id) {
            slot.message = request;
        }
    }

    /// Returns how far a call is, and whether it has to be [watched](Self::watch) with a copy of `new`. A call that waits is
    /// offered to `send`, if its words are all there is to it and it has not waited before.
    #[inline]
    pub(super) fn poll(
        &mut self,
        id: u32,
        new: &Waker,
        send: impl FnOnce(u16, &[u64]) -> bool,
    ) -> (Polled, bool) {
        let has_place = self.window.is_free();
        let Some(slot) = Self::find_in(&mut self.slots, id).filter(|slot| slot.is_open()) else {
            return (Polled::Done, false);
        };
        let is_quiet = slot.waits.as_ref().is_none_or(|waits| waits.is_quiet());
        if slot.stage == Stage::Waiting && slot.waits.is_none() && has_place {
            let number = slot.message.number;
            let (words, caps) = slot.message.parts();
            if caps.is_empty() && send(number, words) {
                slot.stage = Stage::Accepted;
                self.window.begin();
            }
        }
        let accepted = slot.stage != Stage::Waiting && is_quiet;
        let watch = match &slot.waker {
            Some(old) => !old.will_wake(new),
            None if self.spare.as_ref().is_some_and(|spare| spare.will_wake(new)) => {
                slot.waker = self.spare.take();
                false
            }
            None => true,
        };
        (if accepted { Polled::Accepted } else { Polled::Waiting }, watch)
    }

    /// Wakes `waker` when the call is settled.
    #[cold]
    pub(in crate::binding) fn watch(&mut self, id: u32, waker: Waker) -> Watched {
        match self.find(id) {
            Some(slot) if slot.is_open() => Watched::Kept(slot.waker.replace(waker)),
            Some(_) => Watched::Settled(waker),
            None => Watched::Kept(Some(waker)),
        }
    }

    /// Returns true if there is a result to be taken, or no such call.
    #[inline]
    pub(in crate::binding) fn is_done(&mut self, id: u32) -> bool {
        self.find_open(id).is_none()
    }

    /// Settles a call with its reply, and returns the waker of its task; `None` if no call of this table waits for it.
    #[inline]
    pub(super) fn answer(&mut self, id: u32, message: &mut Received<'_>) -> Option<Option<Waker>> {
        let slot = self.find_open(id)?;
        let left = slot.left();
        slot.stage = Stage::Answered;
        slot.message.put_together(message.number, Gather::words_only(message.words));
        // Those of a call that a hostile peer answers before it is sent are closed.
        if !message.caps.is_empty() || !slot.message.caps.is_empty() {
            slot.message.caps = core::mem::take(message.caps);
        }
        let waker = slot.waker.take();
        self.over(left);
        Some(waker)
    }

    /// Settles a call that gets no reply, and returns the waker of its task; `None` if no call of this table waits.
    pub(super) fn fail(&mut self, id: u32, error: &RpcError) -> Option<(Left, Option<Waker>)> {
        let slot = self.find_open(id)?;
        let left = slot.left();
        slot.stage = Stage::Failed;
        slot.error = Some(error.clone());
        slot.message = Message::default();
        let waker = slot.waker.take();
        self.over(left);
        Some((left, waker))
    }

    /// A call is over: its place is free, if it had one.
    #[inline]
    fn over(&mut self, left: Left) {
        if left == Left::Accepted {
            self.window.end();
        }
    }

    /// A call whose message was taken, and is polled, cannot be sent. Returns the waker of its task, to be dropped.
    pub(in crate::binding) fn refuse(&mut self, id: u32, error: RpcError) -> Option<Waker> {
        let slot = self.find(id)?;
        (slot.stage, slot.error) = (Stage::Failed, Some(error));
        slot.waker.take()
    }

    /// Keeps a waker that was woken for the next call. Returns one to be dropped.
    #[inline]
    pub(in crate::binding) fn keep(&mut self, waker: Waker) -> Option<Waker> {
        // An ended binding keeps none: the task may hold the binding.
        if self.ended { Some(waker) } else { self.spare.replace(waker) }
    }

    /// The binding has ended: settles every call with that, and adds the wakers to `woken`.
    pub(super) fn fail_all(&mut self, why: &BindingError, mut woken: impl FnMut(Waker)) {
        for slot in self.slots.iter_mut().filter(|slot| slot.is_open()) {
            slot.waker.take().map(&mut woken);
            // What was not sent is lost, and its capabilities are closed.
            slot.message = Message::default();
            let error =
                if slot.stage == Stage::Accepted { RpcError::Closed } else { RpcError::NotSent };
            (slot.stage, slot.error) = (Stage::Failed, Some(error(why.clone())));
        }
        self.ended = true;
        self.spare.take().map(woken);
    }

    /// Forgets a call that is done, and returns its result; `None` if there is no such call. What it waited for must have
    /// been [taken](Self::take_waits).
    pub(in crate::binding) fn take(&mut self, id: u32) -> Option<Result<Message, RpcError>> {
        let slot = self.find(id)?;
        let result = match core::mem::take(&mut slot.stage) {
            Stage::Answered => Some(Ok(core::mem::take(&mut slot.message))),
            _ => slot.error.take().map(Err),
        };
        self.taken -= 1;
        result
    }

    /// As [`take`](Self::take), if a reply of few words and no capabilities came; otherwise does nothing.
    #[inline]
    pub(in crate::binding) fn take_line(&mut self, id: u32) -> Option<ReplyLine> {
        let slot = self.find(id)?;
        if slot.stage != Stage::Answered || slot.message.has_more() || slot.waits.is_some() {
            return None;
        }
        let (number, mut words) = (slot.message.number, [0; LINE]);
        let len = copy_line(slot.message.parts().0, &mut words)?;
        slot.stage = Stage::Free;
        self.taken -= 1;
        Some(ReplyLine { number, words, len })
    }

    /// Forgets a call with nothing in its slot: a blocking call, whose reply was read where it lay.
    #[inline]
    pub(super) fn free(&mut self, id: u32) {
        let Some(slot) = self.find(id) else { return };
        let left = slot.left();
        slot.stage = Stage::Free;
        self.taken -= 1;
        self.over(left);
    }

    /// Forgets a call, done or not: what comes for it later is discarded.
    #[inline]
    pub(super) fn forget(&mut self, id: u32) -> GivenUp<T> {
        let Some(slot) = self.find(id) else {
            return GivenUp { left: Left::Nothing, waits: None, waker: None };
        };
        let left = slot.left();
        let (waits, waker) = (slot.waits.take(), slot.waker.take());
        if slot.message.has_more() {
            slot.message = Message::default();
        }
        (slot.stage, slot.error) = (Stage::Free, None);
        self.taken -= 1;
        self.over(left);
        GivenUp { left, waits, waker }
    }

    /// Returns the slot where a call of this id stands, if there is one.
    #[inline]
    fn at(&mut self, id: u32) -> &mut Slot<T> {
        let at = id as usize & (self.slots.len() - 1);
        &mut self.slots[at]
    }

    #[inline]
    fn find(&mut self, id: u32) -> Option<&mut Slot<T>> {
        Self::find_in(&mut self.slots, id)
    }

    /// Returns the slot of a call that waits to be sent.
    #[inline]
    fn find_waiting(&mut self, id: u32) -> Option<&mut Slot<T>> {
        self.find(id).filter(|slot| slot.stage == Stage::Waiting)
    }

    /// Returns the slot of a call that is still to be settled.
    #[inline]
    fn find_open(&mut self, id: u32) -> Option<&mut Slot<T>> {
        self.find(id).filter(|slot| slot.is_open())
    }

    #[inline]
    fn find_in(slots: &mut [Slot<T>], id: u32) -> Option<&mut Slot<T>> {
        let at = id as usize & slots.len().wrapping_sub(1);
        slots.get_mut(at).filter(|slot| slot.id == id && slot.stage != Stage::Free)
    }

    #[inline]
    fn begin_slot(&mut self, id: u32, stage: Stage, began: u32) -> &mut Slot<T> {
        while self.at(id).stage != Stage::Free {
            // Calls that were begun since the id was given.
            self.grow();
        }
        self.taken += 1;
        let slot = self.at(id);
        (slot.id, slot.stage, slot.began) = (id, stage, began);
        slot
    }

    /// Doubles the slots. Ids that differ modulo half of them differ modulo all.
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

impl<T> Default for Waits<T> {
    fn default() -> Self {
        Self { place: Position::default(), turn: Position::default(), end: None, timer: None }
    }
}

impl<T> Waits<T> {
    fn is_some(&self) -> bool {
        !self.is_quiet() || self.timer.is_some()
    }

    /// Returns true if there is nothing to be done about it.
    #[cold]
    fn is_quiet(&self) -> bool {
        self.place.is_none() && self.turn.is_none() && (self.end.is_none() || self.timer.is_some())
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            id: NONE,
            stage: Stage::Free,
            began: 0,
            waker: None,
            message: Message::default(),
            error: None,
            waits: None,
        }
    }
}

impl<T> Slot<T> {
    /// Returns true if the call is still to be settled.
    #[inline]
    const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Accepted | Stage::Doomed)
    }

    /// The call ends at this time, or at none. Returns the timer of the time before.
    #[cold]
    fn set_end(&mut self, end: Option<Instant>) -> Option<T> {
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

impl<T, R> Connection<T, R> {
    /// Returns how far a call is, and whether it has to be watched with a copy of `waker`. `send` hands a message to the
    /// channel, which takes it whole or not at all.
    #[inline]
    pub(in crate::binding) fn poll_call(
        &mut self,
        id: u32,
        waker: &Waker,
        send: impl FnOnce(u16, &[u64]) -> bool,
    ) -> (Polled, bool) {
        let half = &mut self.send;
        self.calls.poll(id, waker, |number, words| {
            let sent = half.state == State::Free && half.queue.is_empty() && send(number, words);
            if sent {
                half.sent_at_once();
            }
            sent
        })
    }

    /// A call whose slot is kept elsewhere has been sent.
    pub(in crate::binding) fn begin_foreign(&mut self) {
        self.calls.window.begin();
    }

    /// It is over.
    pub(in crate::binding) fn end_foreign(&mut self) {
        self.calls.window.end();
        self.wake_next_call();
    }

    /// Settles the call that a reply answers, and returns the waker of its task, to be woken and
    /// [kept](Calls::keep). Returns `None` if this thread made no such call.
    #[inline]
    pub(in crate::binding) fn answer(
        &mut self,
        id: u32,
        message: &mut Received<'_>,
    ) -> Option<Option<Waker>> {
        let waker = self.calls.answer(id, message)?;
        self.wake_next_call();
        Some(waker)
    }

    /// Settles a call that gets no reply. A call that this thread did not make is left to the shell.
    pub(in crate::binding) fn fail_call(&mut self, id: u32, error: RpcError) -> Left {
        match self.calls.fail(id, &error) {
            Some((left, waker)) => {
                self.events.extend(waker.map(Event::Wake));
                self.wake_next_call();
                left
            }
            None => {
                self.events.push(Event::Fail(id, error));
                Left::Nothing
            }
        }
    }

    /// The time of a call is over.
    pub(in crate::binding) fn expire_call(&mut self, id: u32) {
        if self.fail_call(id, RpcError::Deadline) == Left::Accepted {
            self.notify(Notice::Cancelled(id));
        }
    }

    /// Forgets a blocking call whose reply was read where it lay.
    #[inline]
    pub(in crate::binding) fn free_call(&mut self, id: u32) {
        self.calls.free(id);
        self.wake_next_call();
    }

    /// Forgets a call, done or not, and cancels it if the peer may be at work on it.
    #[inline]
    pub(in crate::binding) fn give_up_call(&mut self, id: u32) -> GivenUp<T> {
        let given_up = self.calls.forget(id);
        if given_up.left == Left::Accepted {
            self.wake_next_call();
            self.notify(Notice::Cancelled(id));
        }
        given_up
    }

    /// A call of another thread is given up.
    pub(in crate::binding) fn cancel_foreign(&mut self, id: u32) {
        self.notify(Notice::Cancelled(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(calls: &mut Calls<()>, id: u32) {
        let number = id as u16;
        let words = [u64::from(number)];
        calls.answer(id, &mut Received { number, words: &words, caps: &mut Vec::new() });
    }

    fn begin(calls: &mut Calls<()>) -> u32 {
        let id = calls.next();
        calls.begin(id, true);
        id
    }

    #[test]
    fn every_reply_finds_its_call_in_any_order() {
        let mut calls = Calls::<()>::default();
        let ids: Vec<_> = (0..10_000).map(|_| begin(&mut calls)).collect();
        for id in ids.iter().rev() {
            answer(&mut calls, *id);
        }
        for id in ids {
            let reply = calls.take_line(id).expect("it is there");
            assert_eq!((reply.number, reply.len), (id as u16, 1));
            assert_eq!(reply.words[0], u64::from(id as u16));
        }
        assert_eq!(calls.taken, 0);
    }

    #[test]
    fn ids_skip_open_calls_and_slots_do_not_grow() {
        let mut calls = Calls::<()>::default();
        let old: Vec<_> = (0..3).map(|_| begin(&mut calls)).collect();
        let slots = calls.slots.len();
        for _ in 0..1000 {
            let id = begin(&mut calls);
            assert!(!old.contains(&id));
            answer(&mut calls, id);
            assert!(matches!(calls.take(id), Some(Ok(_))));
        }
        assert_eq!(calls.slots.len(), slots);
        for id in old {
            assert!(!calls.is_done(id));
        }
    }

    #[test]
    fn late_reply_finds_no_call() {
        let mut calls = Calls::<()>::default();
        let id = begin(&mut calls);
        assert_eq!(calls.forget(id).left, Left::Accepted);
        let next = begin(&mut calls);
        answer(&mut calls, id);
        assert!(!calls.is_done(next));
        // That of another call with the same slot.
        answer(&mut calls, next + 8);
        assert!(!calls.is_done(next));
    }

    #[test]
    fn id_stays_good_when_later_calls_begin_first() {
        let mut calls = Calls::<()>::default();
        let first = calls.next();
        calls.last = first.wrapping_sub(1);
        let second = begin(&mut calls);
        assert_eq!(second, first, "the slot is free until a call begins");
        calls.last = first.wrapping_add(FIRST_SLOTS as u32 - 1);
        let third = calls.next();
        calls.begin(first.wrapping_add(FIRST_SLOTS as u32), true);
        assert_ne!(third, first.wrapping_add(FIRST_SLOTS as u32));
        assert!(!calls.is_done(first));
    }

    #[test]
    fn default_timeout_ends_after_sixteen_ticks() {
        let mut calls = Calls::<()>::default();
        let mut begin = |limit| {
            let id = calls.next();
            calls.begin_with(id, 1, Gather::words_only(&[]), Vec::new(), limit);
            id
        };
        let (usual, unlimited) = (begin(Limit::Default), begin(Limit::At(None)));
        let other = begin(Limit::Default);
        assert!(calls.limit(other, None).is_none());
        for _ in 0..TICKS {
            assert_eq!(calls.tick(), (vec![], true));
        }
        assert_eq!(calls.tick(), (vec![usual], false));
        calls.fail(usual, &RpcError::Deadline);
        assert_eq!(calls.tick(), (vec![], false));
        assert!(!calls.is_done(unlimited) && !calls.is_done(other));
    }

    #[test]
    fn ticks_are_counted_while_calls_have_the_default_timeout() {
        let mut calls = Calls::<()>::default();
        let begin = |calls: &mut Calls<()>| {
            let id = calls.next();
            calls.begin_with(id, 1, Gather::words_only(&[]), Vec::new(), Limit::Default);
            id
        };
        assert!(calls.must_tick() && !calls.is_ticking());
        calls.start_ticking();
        let first = begin(&mut calls);
        assert!(!calls.must_tick() && calls.is_ticking());
        assert_eq!(calls.tick(), (vec![], true));
        calls.start_ticking();
        for _ in 1..TICKS {
            assert_eq!(calls.tick(), (vec![], true));
        }
        assert_eq!(calls.tick(), (vec![first], false));
        calls.stop_ticking();
        assert!(calls.must_tick() && !calls.is_ticking());
        calls.never_tick();
        let other = begin(&mut calls);
        assert!(!calls.must_tick() && !calls.is_ticking());
        calls.fail(first, &RpcError::Deadline);
        for _ in 0..=TICKS {
            assert_eq!(calls.tick(), (vec![], false));
        }
        calls.stop_ticking();
        assert!(!calls.must_tick() && !calls.is_done(other));
    }

    #[test]
    fn call_that_waits_for_nothing_has_no_waits() {
        let mut calls = Calls::<()>::default();
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
    fn call_is_settled_once() {
        let mut calls = Calls::<()>::default();
        let id = begin(&mut calls);
        assert!(matches!(calls.fail(id, &RpcError::NoReply), Some((Left::Accepted, None))));
        assert!(calls.fail(id, &RpcError::Deadline).is_none());
        answer(&mut calls, id);
        assert!(matches!(calls.take(id), Some(Err(RpcError::NoReply))));
        assert!(calls.take(id).is_none());
    }
}
