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
//! Sources are *persistent*: a visit does not unregister them. Tasks and events are single-shot. Pending is strictly first
//! in, first out over all of them.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::waitset::{Source, Task};

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
    /// While polled: where in `Queues::polled`.
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
    pub(crate) pending: VecDeque<Item>,
    /// Entries of `pending` that were cancelled since it was last swept, at most.
    cancelled: usize,
    /// The slot of `polled[i].token` has the same source, and `at == i`.
    polled: Vec<Polled>,
    /// Where the next round of polling begins: behind the last one visited.
    cursor: usize,
    /// Rounds of polling begun.
    round: u32,
    /// The round in which the quiet were last looked for.
    looked: u32,
}

impl Queues {
    /// Adds a source, idle, and returns its token.
    pub(crate) fn insert(&mut self, source: Rc<dyn Source>) -> u64 {
        self.put(Entry::Source(Place {
            source,
            standing: Standing::Idle,
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
            match place.standing {
                Standing::Polled => {
                    let at = place.at;
                    self.unpoll(at);
                }
                Standing::Pending => stale = self.cancel(),
                Standing::Idle => {}
            }
        }
        Removed { entry, _stale: stale }
    }

    /// An entry of the pending queue is void from now on. Once most are, they are taken out; the caller drops them.
    pub(crate) fn cancel(&mut self) -> Vec<Item> {
        self.cancelled += 1;
        if self.cancelled < SLACK + self.pending.len() / 2 {
            return Vec::new();
        }
        self.cancelled = 0;
        let (live, stale): (VecDeque<_>, VecDeque<_>) =
            core::mem::take(&mut self.pending).into_iter().partition(|item| self.is_live(item));
        self.pending = live;
        stale.into()
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
                self.pending.push_back(Item::Task(task));
            }
            return None;
        };
        let before = core::mem::replace(&mut place.standing, Standing::Pending);
        let at = place.at;
        match before {
            Standing::Pending => return Some(before),
            Standing::Polled => self.unpoll(at),
            Standing::Idle => {}
        }
        self.pending.push_back(Item::Source(token));
        Some(before)
    }

    /// Puts a source among the polled ones. One that is in the pending queue stays there.
    pub(crate) fn make_polled(&mut self, token: u64) {
        let (at, last, cursor) = (self.polled.len(), self.round, self.cursor);
        let Some(place) = self.place(token) else { return };
        match place.standing {
            Standing::Idle => {
                (place.standing, place.at) = (Standing::Polled, at);
                let source = Rc::clone(&place.source);
                // At the end of a round the next one begins: newcomers, one after the other, must not keep it from that.
                if at > 0 && cursor == at {
                    (self.cursor, self.round) = (0, last.wrapping_add(1));
                }
                self.polled.push(Polled { token, source, misses: 0, last });
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
            let at = place.at;
            self.unpoll(at);
        }
    }

    #[inline]
    pub(crate) fn polled_len(&self) -> usize {
        self.polled.len()
    }

    /// The polled source behind the last one visited, and where it is; it is taken for visited.
    #[inline]
    pub(crate) fn next_polled(&mut self) -> Option<(usize, &Rc<dyn Source>)> {
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
    pub(crate) fn had_none(&mut self, at: usize, source: &Rc<dyn Source>) {
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

    /// A polled source has to be taken for one that had news.
    pub(crate) fn had_news(&mut self, token: u64) {
        if let Some(&mut Place { standing: Standing::Polled, at, .. }) = self.place(token) {
            self.polled[at].misses = 0;
        }
    }

    /// The polled source at `at`, if it is still this one, is the next to be visited, again.
    pub(crate) fn go_back(&mut self, at: usize, source: &Rc<dyn Source>) {
        if self.polled.get(at).is_some_and(|polled| Rc::ptr_eq(&polled.source, source)) {
            self.cursor = at;
        }
    }

    /// The polled sources.
    pub(crate) fn polled(&self) -> impl Iterator<Item = &Rc<dyn Source>> {
        self.polled.iter().map(|polled| &polled.source)
    }

    /// Collects the polled sources.
    pub(crate) fn all_polled(&self, into: &mut Vec<Registered>) {
        self.polled_where(into, |_| true);
    }

    /// Collects the polled sources that have had no news for long. A constant cost for each visit before.
    pub(crate) fn quiet(&mut self, into: &mut Vec<Registered>) {
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

    /// All that it owns, for the end of the waitset; what it drops may be user code.
    pub(crate) fn into_owned(self) -> Vec<Owned> {
        let entries = self.slots.into_iter().filter_map(|slot| slot.entry).map(Owned::Entry);
        let polled = self.polled.into_iter().map(|polled| Owned::Polled(polled.source));
        entries.chain(self.pending.into_iter().map(Owned::Item)).chain(polled).collect()
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

    /// Takes the source at `at` out of the polled ones. Those that were not visited in this round yet are still to be
    /// visited in it: the hole is filled with the one visited last, and the hole this makes with the one at the tail.
    fn unpoll(&mut self, mut at: usize) {
        if at < self.cursor {
            self.cursor -= 1;
            self.settle(self.cursor, at);
            at = self.cursor;
        }
        let tail = self.polled.len() - 1;
        self.settle(tail, at);
        self.polled.truncate(tail);
    }

    /// Moves the polled entry at `from` to `to`.
    fn settle(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        self.polled.swap(from, to);
        let token = self.polled[to].token;
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
        let tokens: Vec<_> = (0..count).map(|_| queues.insert(Rc::new(Still))).collect();
        tokens.iter().for_each(|token| queues.make_polled(*token));
        tokens
    }

    fn next(queues: &mut Queues) -> u64 {
        let (at, _) = queues.next_polled().expect("something is polled");
        queues.polled[at].token
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
        let old = queues.insert(Rc::new(Still));
        assert!(queues.remove(old).entry.is_some());
        let new = queues.insert(Rc::new(Still));
        assert_ne!(old, new);
        assert!(queues.remove(old).entry.is_none());
        assert_eq!(queues.make_pending(old), None);
        assert_eq!(queues.make_pending(new), Some(Standing::Idle));
        assert_eq!(queues.make_pending(new), Some(Standing::Pending));
        assert_eq!(queues.pending.len(), 1);
    }

    #[test]
    fn sources_that_come_and_go_while_pending_leave_nothing_behind() {
        let mut queues = Queues::default();
        for _ in 0..10_000 {
            let token = queues.insert(Rc::new(Still));
            queues.make_pending(token);
            drop(queues.remove(token));
        }
        assert!(queues.pending.len() < 1000, "{} entries", queues.pending.len());
    }
}
