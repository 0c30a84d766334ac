//! A turn of a source: how many messages it may handle, and what ends it early.
//!
//! One event may deliver many messages (TN-011 section 4.1: a receive handler drains its channel). What is done once for
//! each event, such as finding the source, is then done once for up to [`MAX_RUN`] messages. Nothing else of the program may
//! notice: a run ends at once when a handler dispatches in turn, and when what the program dispatches for has come.

use core::cell::Cell;

use super::dispatch::LOOK_AROUND;

/// Most messages that a source handles in one turn.
pub const MAX_RUN: usize = 32;

/// Tells whether what the program dispatches for has come.
pub(super) type Done<'a> = Option<&'a mut dyn FnMut() -> bool>;

/// Borrows a condition for one use of several.
#[inline(always)]
pub(super) fn again<'b>(done: &'b mut Done<'_>) -> Done<'b> {
    match done {
        Some(done) => Some(*done),
        None => None,
    }
}

/// What a [`Source`](super::Source) may do that has several messages.
pub struct Run<'a> {
    turns: &'a Turns,
    done: Done<'a>,
}

/// Counts the events of a waitset. They begin with a turn, and each message of a run counts as one.
#[derive(Debug)]
pub(super) struct Turns {
    /// Number of events since the waitset was made.
    events: Cell<u64>,
    /// The number of events at which the waitset looks at descriptors and other threads.
    look_at: Cell<u64>,
    /// The number of events from which on a step looks at more than the next polled source: `look_at`, or zero while there
    /// are priorities to look at.
    quick_until: Cell<u64>,
    has_priorities: Cell<bool>,
    /// Number of sources whose descriptors report their events.
    descriptors: Cell<usize>,
}

impl Default for Turns {
    fn default() -> Self {
        let look_at = u64::from(LOOK_AROUND);
        Self {
            events: Cell::new(0),
            look_at: Cell::new(look_at),
            quick_until: Cell::new(look_at),
            has_priorities: Cell::new(false),
            descriptors: Cell::new(0),
        }
    }
}

impl Turns {
    #[inline(always)]
    pub(super) fn count(&self) {
        self.events.set(self.events.get() + 1);
    }

    /// Returns true if the next step has more to look at than the next polled source.
    #[inline(always)]
    pub(super) fn must_look_further(&self) -> bool {
        self.events.get() >= self.quick_until.get()
    }

    pub(super) fn must_look_around(&self) -> bool {
        self.events.get() >= self.look_at.get()
    }

    pub(super) fn looked_around(&self) {
        self.look_around_at(self.events.get() + u64::from(LOOK_AROUND));
    }

    fn look_around_at(&self, events: u64) {
        self.look_at.set(events);
        self.quick_until.set(if self.has_priorities.get() { 0 } else { events });
    }

    pub(super) const fn has_priorities(&self) -> bool {
        self.has_priorities.get()
    }

    /// Notes whether there are sources whose priority is not normal.
    pub(super) fn note_priorities(&self, has_priorities: bool) {
        self.has_priorities.set(has_priorities);
        self.look_around_at(self.look_at.get());
    }

    /// A source with a descriptor has come.
    pub(super) fn descriptor_added(&self) {
        self.descriptors.set(self.descriptors.get() + 1);
    }

    /// A source with a descriptor has gone.
    pub(super) fn descriptor_removed(&self) {
        self.descriptors.set(self.descriptors.get().saturating_sub(1));
    }
}

impl<'a> Run<'a> {
    /// Returns a run of a waitset with these turns, which ends when `done` returns true. No handler runs while `done` is
    /// called.
    pub(super) const fn of(turns: &'a Turns, done: Done<'a>) -> Self {
        Self { turns, done }
    }

    /// Begins the run.
    pub(crate) fn begin(&self) -> Begun<'a> {
        Begun { turns: self.turns, events: self.turns.events.get() }
    }

    /// Returns true if something else than a dispatch ends the run.
    #[inline]
    pub(crate) const fn has_condition(&self) -> bool {
        self.done.is_some()
    }

    /// Returns true if what the program dispatches for has come.
    #[inline]
    pub(crate) fn is_done(&mut self) -> bool {
        self.done.as_mut().is_some_and(|done| done())
    }
}

/// A run that has begun.
#[derive(Clone, Copy)]
pub(crate) struct Begun<'a> {
    turns: &'a Turns,
    events: u64,
}

impl Begun<'_> {
    /// Returns true if no handler has dispatched since the run began.
    #[inline(always)]
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.turns.events.get() == self.events
    }

    /// Ends a run of `messages` messages.
    pub(crate) fn end(self, messages: usize) {
        let events = self.turns.events.get() + (messages as u64).saturating_sub(1);
        self.turns.events.set(events);
        if messages >= MAX_RUN && self.turns.descriptors.get() > 0 {
            // What a descriptor has to report waits for one run at most.
            self.turns.look_around_at(events);
        }
    }
}
