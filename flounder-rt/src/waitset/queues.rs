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
//! Sources are *persistent*: a visit does not unregister them. Tasks are single-shot. Pending is strictly first in, first
//! out over both.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::waitset::{Source, Task};

/// Where a source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its driver will wake it.
    Idle,
    /// It is looked at in every round.
    Polled,
    /// It is in the pending queue.
    Pending,
}

/// What is next.
pub(crate) enum Item {
    Task(Task),
    Source(u64),
}

struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

struct Entry {
    source: Rc<dyn Source>,
    standing: Standing,
    /// Rounds without news, while polled.
    quiet: u32,
}

/// The sources and what is pending.
#[derive(Default)]
pub(crate) struct Queues {
    slots: Vec<Slot>,
    free: Vec<u32>,
    pub(crate) pending: VecDeque<Item>,
    polled: Vec<u32>,
    /// Where the next round of polling begins: behind the last one visited.
    cursor: usize,
}

impl Queues {
    /// Adds a source, idle, and returns its token.
    pub(crate) fn insert(&mut self, source: Rc<dyn Source>) -> u64 {
        let entry = Some(Entry { source, standing: Standing::Idle, quiet: 0 });
        let index = if let Some(index) = self.free.pop() {
            self.slots[index as usize].entry = entry;
            index
        } else {
            self.slots.push(Slot { generation: 0, entry });
            u32::try_from(self.slots.len() - 1).expect("fewer sources than 2^32 fit in memory")
        };
        u64::from(self.slots[index as usize].generation) << 32 | u64::from(index)
    }

    /// Forgets a source; its token is never valid again (for 2^31 reuses of the slot).
    pub(crate) fn remove(&mut self, token: u64) -> Option<Rc<dyn Source>> {
        let index = self.index(token)?;
        let slot = &mut self.slots[index as usize];
        let entry = slot.entry.take()?;
        slot.generation = (slot.generation + 1) & 0x7fff_ffff;
        if entry.standing == Standing::Polled {
            self.unpoll(index);
        }
        self.free.push(index);
        Some(entry.source)
    }

    pub(crate) fn source(&self, token: u64) -> Option<&Rc<dyn Source>> {
        let index = self.index(token)?;
        self.slots[index as usize].entry.as_ref().map(|entry| &entry.source)
    }

    /// Puts a source at the tail of the pending queue; returns its standing before, if it exists.
    pub(crate) fn make_pending(&mut self, token: u64) -> Option<Standing> {
        let index = self.index(token)?;
        let entry = self.slots[index as usize].entry.as_mut()?;
        let before = core::mem::replace(&mut entry.standing, Standing::Pending);
        match before {
            Standing::Pending => return Some(before),
            Standing::Polled => self.unpoll(index),
            Standing::Idle => {}
        }
        self.pending.push_back(Item::Source(token));
        Some(before)
    }

    /// Puts a source among the polled ones. One that is in the pending queue stays there.
    pub(crate) fn make_polled(&mut self, token: u64) {
        let Some(index) = self.index(token) else { return };
        let Some(entry) = self.slots[index as usize].entry.as_mut() else { return };
        entry.quiet = 0;
        if entry.standing == Standing::Idle {
            entry.standing = Standing::Polled;
            self.polled.push(index);
        }
    }

    /// A pending source has been taken from the queue.
    pub(crate) fn taken(&mut self, token: u64) -> Option<Rc<dyn Source>> {
        let index = self.index(token)?;
        let entry = self.slots[index as usize].entry.as_mut()?;
        if entry.standing == Standing::Pending {
            entry.standing = Standing::Idle;
        }
        Some(Rc::clone(&entry.source))
    }

    /// Puts a source among the polled ones, if that is what it is.
    pub(crate) fn make_polled_if(&mut self, token: u64, polled: bool) {
        if polled {
            self.make_polled(token);
        }
    }

    /// Puts a polled source to rest.
    pub(crate) fn make_idle(&mut self, token: u64) {
        let Some(index) = self.index(token) else { return };
        let Some(entry) = self.slots[index as usize].entry.as_mut() else { return };
        if entry.standing == Standing::Polled {
            entry.standing = Standing::Idle;
            self.unpoll(index);
        }
    }

    #[inline]
    pub(crate) fn polled_len(&self) -> usize {
        self.polled.len()
    }

    /// The polled source behind the last one visited.
    #[inline]
    pub(crate) fn next_polled(&mut self) -> Option<(u64, Rc<dyn Source>)> {
        if self.cursor >= self.polled.len() {
            self.cursor = 0;
        }
        let index = *self.polled.get(self.cursor)?;
        self.cursor += 1;
        let slot = &mut self.slots[index as usize];
        let entry = slot.entry.as_mut().expect("a polled slot holds a source");
        entry.quiet += 1;
        Some((u64::from(slot.generation) << 32 | u64::from(index), Rc::clone(&entry.source)))
    }

    /// A polled source had news.
    #[inline]
    pub(crate) fn had_news(&mut self, token: u64) {
        if let Some(index) = self.index(token)
            && let Some(entry) = self.slots[index as usize].entry.as_mut()
        {
            entry.quiet = 0;
        }
    }

    /// The polled sources without news for at least `rounds`.
    pub(crate) fn quiet(&self, rounds: u32) -> Vec<(u64, Rc<dyn Source>)> {
        let entries = self.polled.iter().filter_map(|index| {
            let slot = &self.slots[*index as usize];
            let entry = slot.entry.as_ref()?;
            let token = u64::from(slot.generation) << 32 | u64::from(*index);
            (entry.quiet >= rounds).then(|| (token, Rc::clone(&entry.source)))
        });
        entries.collect()
    }

    /// Every source, for the end of the waitset.
    pub(crate) fn take_all(&mut self) -> Vec<Rc<dyn Source>> {
        self.polled.clear();
        self.slots.drain(..).filter_map(|slot| slot.entry).map(|entry| entry.source).collect()
    }

    #[inline]
    fn index(&self, token: u64) -> Option<u32> {
        let index = token as u32;
        (self.slots.get(index as usize)?.generation == (token >> 32) as u32).then_some(index)
    }

    fn unpoll(&mut self, index: u32) {
        if let Some(at) = self.polled.iter().position(|other| *other == index) {
            self.polled.remove(at);
            if at < self.cursor {
                self.cursor -= 1;
            }
        }
    }
}
