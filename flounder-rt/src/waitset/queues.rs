//! The queues of a waitset, as a machine: no clock, no descriptor, no user code.
//!
//! ```text
//!              insert                 poll hits                      deliver
//!   (nothing) ---------> Polled -----------------------> (visited) ----------.
//!                        |  ^                                                |
//!            quiet: armed|  |visited                                         |
//!                        v  |                                                |
//!                        Idle ---- wake / edge ----> Pending ----------------'
//! ```
//! Sources are *persistent*: a visit does not unregister them. Tasks and events are single-shot. The sources of each priority
//! have a queue of what is pending and a list of what is polled ([`Class`]). Pending is strictly first in, first out over all
//! of a class; tasks and events are in that of normal priority.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::waitset::priority::Order;
use crate::waitset::{Priority, Source, Task};

/// Where a source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its driver wakes it.
    Idle,
    /// It is looked at in every round.
    Polled,
    /// It is in the pending queue.
    Pending,
}

/// Item that is dispatched next.
pub(crate) enum Item {
    Task(Task),
    Runnable(async_task::Runnable),
    Source(u64),
    Event(Due),
}

/// Maker of single-shot registrations, which it numbers.
pub(crate) trait Registrations {
    /// Returns true if registration `serial` is the present one and its event has come.
    fn is_due(&self, serial: u64) -> bool;

    /// Ends the present registration and returns its task.
    fn unregister(&self) -> Option<Task>;
}

/// The queued delivery of one registration.
pub(crate) struct Due {
    registrations: Rc<dyn Registrations>,
    serial: u64,
}

impl Due {
    pub(crate) fn new(registrations: Rc<dyn Registrations>, serial: u64) -> Self {
        Self { registrations, serial }
    }

    /// Returns true if the registration still waits for this delivery.
    fn is_live(&self) -> bool {
        self.registrations.is_due(self.serial)
    }

    /// Ends the registration and returns its task, if the registration still waits for this delivery.
    pub(crate) fn take(self) -> Option<Task> {
        if self.is_live() { self.registrations.unregister() } else { None }
    }
}

/// A source with its token.
pub(crate) type Registered = (u64, Rc<dyn Source>);

struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

pub(crate) enum Entry {
    Source(Place),
    /// A task that waits for its descriptor.
    Once(Task),
}

/// Something of [`Queues`], to be dropped.
#[expect(dead_code, reason = "it is there to be dropped")]
pub(crate) enum Owned {
    Entry(Entry),
    Item(Item),
    Polled(Rc<dyn Source>),
}

pub(crate) struct Place {
    source: Rc<dyn Source>,
    standing: Standing,
    priority: Priority,
    /// While polled: where in `Class::polled`.
    at: usize,
    /// The kernel reports room in the descriptor of the source.
    watches_room: bool,
}

/// A source that is looked at in every round.
struct Polled {
    token: u64,
    source: Rc<dyn Source>,
    /// In how many rounds up to `last`, one after the other, it had no news. Those in which it has leave no trace, but for
    /// the gap between `last` and the rounds after.
    misses: u32,
    last: u32,
}

/// A polled source is put to rest after this many visits to all of them together without news from it, but within the
/// following bounds of rounds.
const QUIET_VISITS: usize = 65_536;
const QUIET_ROUNDS: core::ops::RangeInclusive<usize> = 16..=4096;

/// So many cancelled entries may lie in the pending queue, besides as many as there are others.
const SLACK: usize = 64;

/// The sources and what is pending.
#[derive(Default)]
pub(crate) struct Queues {
    slots: Vec<Slot>,
    free: Vec<u32>,
    classes: [Class; 3],
    /// Number of sources whose priority is not normal.
    ranked: usize,
    /// Where the next event is looked for, while there are such sources.
    pub(crate) order: Order,
    /// Entries of the pending queues that were cancelled since they were last swept, at most.
    cancelled: usize,
}

/// The sources of one priority that are pending or polled.
#[derive(Default)]
struct Class {
    pending: VecDeque<Item>,
    /// Polled sources come before pending ones next time.
    polled_first: bool,
    /// The slot of `polled[i].token` has the same source, and `at == i`.
    polled: Vec<Polled>,
    /// Where the next round of polling begins: behind the last one visited.
    cursor: usize,
    /// Rounds of polling begun.
    round: u32,
    /// The round in which the quiet were last looked for.
    looked: u32,
}

impl Class {
    /// The polled source behind the last one visited, and where it is; it is taken for visited.
    #[inline]
    fn next_polled(&mut self) -> Option<(usize, &Rc<dyn Source>)> {
        let at = self.cursor;
        let (at, polled) = if let Some(polled) = self.polled.get(at) {
            (at, polled)
        } else {
            let first = self.polled.first()?;
            self.round = self.round.wrapping_add(1);
            (0, first)
        };
        self.cursor = at + 1;
        Some((at, &polled.source))
    }

    /// A polled source had nothing to do when it was visited.
    #[inline]
    fn had_none(&mut self, at: usize, source: &Rc<dyn Source>) {
        let round = self.round;
        // It may have been taken out meanwhile, or have moved: then this round does not count.
        if let Some(polled) = self.polled.get_mut(at)
            && Rc::ptr_eq(&polled.source, source)
        {
            let unbroken = round.wrapping_sub(polled.last) <= 1;
            polled.misses = if unbroken { polled.misses.saturating_add(1) } else { 1 };
            polled.last = round;
        }
    }

    /// Collects the polled sources that have had no news for long. A constant cost for each visit before.
    fn quiet(&mut self, into: &mut Vec<Registered>) {
        let polled = self.polled.len();
        if polled == 0 || self.round == self.looked {
            return;
        }
        let round = self.round;
        self.looked = round;
        let rounds = (QUIET_VISITS / polled).clamp(*QUIET_ROUNDS.start(), *QUIET_ROUNDS.end());
        self.polled_where(into, |polled| {
            round.wrapping_sub(polled.last) <= 1 && polled.misses as usize >= rounds
        });
    }

    fn polled_where(&self, into: &mut Vec<Registered>, wanted: impl Fn(&Polled) -> bool) {
        let wanted = self.polled.iter().filter(|polled| wanted(polled));
        into.extend(wanted.map(|polled| (polled.token, Rc::clone(&polled.source))));
    }
}

impl Queues {
    #[inline(always)]
    const fn class(&self, priority: Priority) -> &Class {
        &self.classes[priority as usize]
    }

    #[inline(always)]
    const fn class_mut(&mut self, priority: Priority) -> &mut Class {
        &mut self.classes[priority as usize]
    }

    /// Adds a source, idle, and returns its token.
    pub(crate) fn insert(&mut self, source: Rc<dyn Source>, priority: Priority) -> u64 {
        self.ranked += usize::from(priority != Priority::Normal);
        self.put(Entry::Source(Place {
            source,
            standing: Standing::Idle,
            priority,
            at: 0,
            watches_room: true,
        }))
    }

    /// Adds a task that becomes pending, once, by [`make_pending`](Self::make_pending).
    pub(crate) fn insert_once(&mut self, task: Task) -> u64 {
        self.put(Entry::Once(task))
    }

    fn put(&mut self, entry: Entry) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, entry: None });
            u32::try_from(self.slots.len() - 1).expect("fewer sources than 2^32 fit in memory")
        });
        self.slots[index as usize].entry = Some(entry);
        self.token(index)
    }

    /// Forgets a source or a task; its token is never valid again (for 2^31 reuses of the slot). What comes back may run
    /// user code when it is dropped.
    pub(crate) fn remove(&mut self, token: u64) -> Removed {
        let Some(index) = self.index(token) else { return Removed::default() };
        let slot = &mut self.slots[index as usize];
        let entry = slot.entry.take();
        if entry.is_none() {
            return Removed::default();
        }
        slot.generation = (slot.generation + 1) & 0x7fff_ffff;
        self.free.push(index);
        let mut stale = Vec::new();
        if let Some(Entry::Source(place)) = &entry {
            self.ranked -= usize::from(place.priority != Priority::Normal);
            match place.standing {
                Standing::Polled => {
                    let at = place.at;
                    self.unpoll(place.priority, at);
                }
                Standing::Pending => stale = self.cancel(),
                Standing::Idle => {}
            }
        }
        Removed { entry, _stale: stale }
    }

    /// An entry of a pending queue is void from now on. Once most are, they are taken out; the caller drops them.
    pub(crate) fn cancel(&mut self) -> Vec<Item> {
        self.cancelled += 1;
        if self.cancelled < SLACK + self.pending_len() / 2 {
            return Vec::new();
        }
        self.cancelled = 0;
        let mut all_stale = Vec::new();
        for priority in Priority::ALL {
            let pending = core::mem::take(&mut self.class_mut(priority).pending);
            let (live, stale): (VecDeque<_>, VecDeque<_>) =
                pending.into_iter().partition(|item| self.is_live(item));
            self.class_mut(priority).pending = live;
            all_stale.extend(stale);
        }
        all_stale
    }

    /// Queues a task or an event.
    pub(crate) fn push(&mut self, item: Item) {
        self.class_mut(Priority::Normal).pending.push_back(item);
    }

    /// Takes the pending item of this priority that is first in line.
    pub(crate) fn pop(&mut self, priority: Priority) -> Option<Item> {
        self.class_mut(priority).pending.pop_front()
    }

    /// Returns true if nothing of this priority is pending.
    #[inline]
    pub(crate) fn is_quiet_at(&self, priority: Priority) -> bool {
        self.class(priority).pending.is_empty()
    }

    /// Returns true if nothing is pending.
    pub(crate) fn is_quiet(&self) -> bool {
        self.pending_len() == 0
    }

    /// Returns the number of pending items of this priority.
    #[inline]
    pub(crate) fn pending_len_at(&self, priority: Priority) -> usize {
        self.class(priority).pending.len()
    }

    fn pending_len(&self) -> usize {
        self.classes.iter().map(|class| class.pending.len()).sum()
    }

    /// Returns true if there are sources whose priority is not normal.
    pub(crate) const fn has_ranked(&self) -> bool {
        self.ranked > 0
    }

    /// Polled sources come before pending ones of their priority, once.
    pub(crate) fn poll_first(&mut self) {
        self.classes.iter_mut().for_each(|class| class.polled_first = true);
    }

    /// Returns true, once, if polled sources of this priority come before pending ones.
    pub(crate) fn is_polled_first(&mut self, priority: Priority) -> bool {
        core::mem::take(&mut self.class_mut(priority).polled_first)
    }

    /// Gives a source another priority. It keeps its standing.
    pub(crate) fn set_priority(&mut self, token: u64, priority: Priority) {
        let Some(place) = self.place(token) else { return };
        let before = core::mem::replace(&mut place.priority, priority);
        if before == priority {
            return;
        }
        let (standing, at) = (place.standing, place.at);
        let is_ranked = |priority| usize::from(priority != Priority::Normal);
        self.ranked = self.ranked + is_ranked(priority) - is_ranked(before);
        match standing {
            Standing::Idle => {}
            Standing::Polled => {
                self.unpoll(before, at);
                if let Some(place) = self.place(token) {
                    place.standing = Standing::Idle;
                }
                self.make_polled(token);
            }
            Standing::Pending => {
                let is_it = |item: &Item| matches!(item, Item::Source(other) if *other == token);
                self.class_mut(before).pending.retain(|item| !is_it(item));
                self.class_mut(priority).pending.push_back(Item::Source(token));
            }
        }
    }

    fn is_live(&self, item: &Item) -> bool {
        match item {
            Item::Task(_) | Item::Runnable(_) => true,
            Item::Source(token) => self.source(*token).is_some(),
            Item::Event(due) => due.is_live(),
        }
    }

    pub(crate) fn source(&self, token: u64) -> Option<&Rc<dyn Source>> {
        let index = self.index(token)?;
        match self.slots[index as usize].entry.as_ref()? {
            Entry::Source(place) => Some(&place.source),
            Entry::Once(_) => None,
        }
    }

    fn place(&mut self, token: u64) -> Option<&mut Place> {
        let index = self.index(token)?;
        match self.slots[index as usize].entry.as_mut()? {
            Entry::Source(place) => Some(place),
            Entry::Once(_) => None,
        }
    }

    /// Puts a source, or a task that waited, at the tail of the pending queue; returns the standing of a source before.
    pub(crate) fn make_pending(&mut self, token: u64) -> Option<Standing> {
        let Some(place) = self.place(token) else {
            if let Some(Entry::Once(task)) = self.remove(token).entry {
                self.push(Item::Task(task));
            }
            return None;
        };
        let before = core::mem::replace(&mut place.standing, Standing::Pending);
        let (priority, at) = (place.priority, place.at);
        match before {
            Standing::Pending => return Some(before),
            Standing::Polled => self.unpoll(priority, at),
            Standing::Idle => {}
        }
        self.class_mut(priority).pending.push_back(Item::Source(token));
        Some(before)
    }

    /// Puts a source among the polled ones. One that is in the pending queue stays there.
    pub(crate) fn make_polled(&mut self, token: u64) {
        let Some(place) = self.place(token) else { return };
        match place.standing {
            Standing::Idle => {
                place.standing = Standing::Polled;
                let (priority, source) = (place.priority, Rc::clone(&place.source));
                let class = self.class_mut(priority);
                let (at, last) = (class.polled.len(), class.round);
                // At the end of a round the next one begins: newcomers, one after the other, must not keep it from that.
                if at > 0 && class.cursor == at {
                    (class.cursor, class.round) = (0, last.wrapping_add(1));
                }
                class.polled.push(Polled { token, source, misses: 0, last });
                self.place(token).expect("it is there").at = at;
            }
            Standing::Polled => self.had_news(token),
            Standing::Pending => {}
        }
    }

    /// Notes whether the kernel reports room in the descriptor of a source. Returns true if that is new.
    pub(crate) fn note_watches_room(&mut self, token: u64, watches_room: bool) -> bool {
        let Some(place) = self.place(token) else { return false };
        core::mem::replace(&mut place.watches_room, watches_room) != watches_room
    }

    /// A pending source has been taken from the queue.
    pub(crate) fn taken(&mut self, token: u64) -> Option<Rc<dyn Source>> {
        let place = self.place(token)?;
        if place.standing == Standing::Pending {
            place.standing = Standing::Idle;
        }
        Some(Rc::clone(&place.source))
    }

    /// Puts a polled source to rest.
    pub(crate) fn make_idle(&mut self, token: u64) {
        let Some(place) = self.place(token) else { return };
        if place.standing == Standing::Polled {
            place.standing = Standing::Idle;
            let (priority, at) = (place.priority, place.at);
            self.unpoll(priority, at);
        }
    }

    /// Returns the number of polled sources.
    #[inline]
    pub(crate) fn polled_len(&self) -> usize {
        self.classes.iter().map(|class| class.polled.len()).sum()
    }

    /// Returns the number of polled sources of this priority.
    #[inline]
    pub(crate) fn polled_len_at(&self, priority: Priority) -> usize {
        self.class(priority).polled.len()
    }

    /// The polled source of this priority behind the last one visited, and where it is; it is taken for visited.
    #[inline]
    pub(crate) fn next_polled(&mut self, priority: Priority) -> Option<(usize, &Rc<dyn Source>)> {
        self.class_mut(priority).next_polled()
    }

    /// A polled source of this priority had nothing to do when it was visited.
    #[inline]
    pub(crate) fn had_none(&mut self, priority: Priority, at: usize, source: &Rc<dyn Source>) {
        self.class_mut(priority).had_none(at, source);
    }

    /// A polled source has to be taken for one that had news.
    pub(crate) fn had_news(&mut self, token: u64) {
        if let Some(&mut Place { standing: Standing::Polled, priority, at, .. }) = self.place(token)
        {
            self.class_mut(priority).polled[at].misses = 0;
        }
    }

    /// The polled source at `at`, if it is still this one, is the next to be visited of its priority, again.
    pub(crate) fn go_back(&mut self, priority: Priority, at: usize, source: &Rc<dyn Source>) {
        let class = self.class_mut(priority);
        if class.polled.get(at).is_some_and(|polled| Rc::ptr_eq(&polled.source, source)) {
            class.cursor = at;
        }
    }

    /// The polled sources.
    pub(crate) fn polled(&self) -> impl Iterator<Item = &Rc<dyn Source>> {
        self.classes.iter().flat_map(|class| &class.polled).map(|polled| &polled.source)
    }

    /// Collects the polled sources.
    pub(crate) fn all_polled(&self, into: &mut Vec<Registered>) {
        self.classes.iter().for_each(|class| class.polled_where(into, |_| true));
    }

    /// Collects the polled sources that have had no news for long. A constant cost for each visit before.
    pub(crate) fn quiet(&mut self, into: &mut Vec<Registered>) {
        self.classes.iter_mut().for_each(|class| class.quiet(into));
    }

    /// All that it owns, for the end of the waitset; what it drops may be user code.
    pub(crate) fn into_owned(self) -> Vec<Owned> {
        let entries = self.slots.into_iter().filter_map(|slot| slot.entry).map(Owned::Entry);
        let (mut pending, mut polled) = (Vec::new(), Vec::new());
        for class in self.classes {
            pending.extend(class.pending.into_iter().map(Owned::Item));
            polled.extend(class.polled.into_iter().map(|polled| Owned::Polled(polled.source)));
        }
        entries.chain(pending).chain(polled).collect()
    }

    /// Every source, for the end of the waitset.
    pub(crate) fn sources(&self) -> Vec<Rc<dyn Source>> {
        let entries = self.slots.iter().filter_map(|slot| slot.entry.as_ref());
        let sources = entries.filter_map(|entry| match entry {
            Entry::Source(place) => Some(Rc::clone(&place.source)),
            Entry::Once(_) => None,
        });
        sources.collect()
    }

    #[inline]
    fn token(&self, index: u32) -> u64 {
        u64::from(self.slots[index as usize].generation) << 32 | u64::from(index)
    }

    #[inline]
    fn index(&self, token: u64) -> Option<u32> {
        let index = token as u32;
        (self.slots.get(index as usize)?.generation == (token >> 32) as u32).then_some(index)
    }

    /// Takes the source at `at` out of the polled ones of its priority. Those that were not visited in this round yet are
    /// still to be visited in it: the hole is filled with the one visited last, and the hole this makes with the one at the
    /// tail.
    fn unpoll(&mut self, priority: Priority, mut at: usize) {
        let cursor = self.class(priority).cursor;
        if at < cursor {
            self.class_mut(priority).cursor = cursor - 1;
            self.settle(priority, cursor - 1, at);
            at = cursor - 1;
        }
        let tail = self.polled_len_at(priority) - 1;
        self.settle(priority, tail, at);
        self.class_mut(priority).polled.truncate(tail);
    }

    /// Moves the polled entry at `from` to `to`.
    fn settle(&mut self, priority: Priority, from: usize, to: usize) {
        if from == to {
            return;
        }
        let polled = &mut self.class_mut(priority).polled;
        polled.swap(from, to);
        let token = polled[to].token;
        if let Some(place) = self.place(token) {
            place.at = to;
        }
    }
}

/// Result of [`Queues::remove`], to be dropped where user code may run.
#[derive(Default)]
pub(crate) struct Removed {
    entry: Option<Entry>,
    _stale: Vec<Item>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waitset::{Gone, Turned};

    struct Still;

    impl Source for Still {
        fn turn(&self) -> Turned {
            Turned::Nothing
        }
        fn ready(&self) -> bool {
            false
        }
        fn arm(&self) -> bool {
            true
        }
        fn disarm(&self) {}
        fn is_polled(&self) -> bool {
            true
        }
        fn peer_gone(&self, _gone: Gone) {}
        fn abandoned(&self) {}
    }

    fn polled(queues: &mut Queues, count: usize) -> Vec<u64> {
        let tokens: Vec<_> =
            (0..count).map(|_| queues.insert(Rc::new(Still), Priority::Normal)).collect();
        tokens.iter().for_each(|token| queues.make_polled(*token));
        tokens
    }

    fn next(queues: &mut Queues) -> u64 {
        let (at, _) = queues.next_polled(Priority::Normal).expect("something is polled");
        queues.class(Priority::Normal).polled[at].token
    }

    #[test]
    fn removing_a_source_skips_none_in_the_round() {
        for visited in 0..=7 {
            for out in 0..7 {
                let mut queues = Queues::default();
                let tokens = polled(&mut queues, 7);
                let mut seen: Vec<_> = (0..visited).map(|_| next(&mut queues)).collect();
                queues.make_idle(tokens[out]);
                let left = 7 - visited - usize::from(!seen.contains(&tokens[out]));
                seen.extend((0..left).map(|_| next(&mut queues)));
                for (i, token) in tokens.iter().enumerate().filter(|(i, _)| *i != out) {
                    let times = seen.iter().filter(|other| *other == token).count();
                    assert_eq!(times, 1, "source {i}, {visited} visited, {out} taken out");
                }
            }
        }
    }

    #[test]
    fn newcomers_do_not_keep_the_others_waiting() {
        let mut queues = Queues::default();
        let tokens = polled(&mut queues, 5);
        let mut seen: Vec<_> = (0..5).map(|_| next(&mut queues)).collect();
        assert_eq!(seen, tokens);
        seen.clear();
        for _ in 0..5 {
            polled(&mut queues, 1);
            seen.push(next(&mut queues));
        }
        assert_eq!(seen, tokens);
    }

    #[test]
    fn ten_thousand_leave_and_come_back_quickly() {
        let mut queues = Queues::default();
        let tokens = polled(&mut queues, 10_000);
        for _ in 0..20 {
            tokens.iter().for_each(|token| queues.make_idle(*token));
            assert_eq!(queues.polled_len(), 0);
            tokens.iter().rev().for_each(|token| queues.make_polled(*token));
            assert_eq!(queues.polled_len(), 10_000);
        }
    }

    #[test]
    fn a_removed_token_is_never_valid_again() {
        let mut queues = Queues::default();
        let old = queues.insert(Rc::new(Still), Priority::Normal);
        assert!(queues.remove(old).entry.is_some());
        let new = queues.insert(Rc::new(Still), Priority::Normal);
        assert_ne!(old, new);
        assert!(queues.remove(old).entry.is_none());
        assert_eq!(queues.make_pending(old), None);
        assert_eq!(queues.make_pending(new), Some(Standing::Idle));
        assert_eq!(queues.make_pending(new), Some(Standing::Pending));
        assert_eq!(queues.pending_len(), 1);
    }

    #[test]
    fn sources_that_come_and_go_while_pending_leave_nothing_behind() {
        let mut queues = Queues::default();
        for _ in 0..10_000 {
            let token = queues.insert(Rc::new(Still), Priority::Normal);
            queues.make_pending(token);
            drop(queues.remove(token));
        }
        assert!(queues.pending_len() < 1000, "{} entries", queues.pending_len());
    }

    #[test]
    fn a_source_keeps_its_standing_with_another_priority() {
        let mut queues = Queues::default();
        let tokens = polled(&mut queues, 3);
        queues.make_pending(tokens[1]);
        queues.make_idle(tokens[2]);
        for token in &tokens {
            queues.set_priority(*token, Priority::High);
        }
        assert_eq!((queues.polled_len_at(Priority::High), queues.polled_len()), (1, 1));
        assert!(queues.is_quiet_at(Priority::Normal) && !queues.is_quiet_at(Priority::High));
        assert!(
            matches!(queues.pop(Priority::High), Some(Item::Source(token)) if token == tokens[1])
        );
        assert!(queues.is_quiet());
        for (token, before) in
            tokens.iter().zip([Standing::Polled, Standing::Pending, Standing::Idle])
        {
            assert_eq!(queues.make_pending(*token), Some(before));
            queues.set_priority(*token, Priority::Normal);
        }
        assert!(!queues.has_ranked());
        for token in tokens {
            drop(queues.remove(token));
        }
        assert_eq!(queues.polled_len(), 0);
    }
}
