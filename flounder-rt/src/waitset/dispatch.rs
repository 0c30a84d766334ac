//! Dispatch: finds the next event of a waitset and runs it.

use core::cell::Cell;
use core::fmt;
use core::time::Duration;
use std::rc::Rc;
use std::time::Instant;

use crate::waitset::block::Visit;
use crate::waitset::queues::Item;
use crate::waitset::remote::Signal;
use crate::waitset::run::{self, Done};
use crate::waitset::{DispatchError, Priority, Run, Source, Task, Turned, Waitset};

/// Events in a row without blocking, after which the waitset looks at descriptors and other
/// threads.
pub(super) const LOOK_AROUND: u32 = 64;

impl Waitset {
    /// Waits for the next event and runs it. `event_dispatch`
    ///
    /// # Errors
    /// [`DispatchError::Callback`] with the error of the event's callback, or
    /// [`DispatchError::Os`]: the waitset is as usable as before. [`DispatchError::Closed`] and
    /// [`DispatchError::Forked`]: it cannot be used here any more.
    ///
    /// # Panics
    /// If the event's callback panics, unless it is a handler of a binding. The waitset is as usable as before.
    #[inline]
    pub fn dispatch(&self) -> Result<(), DispatchError> {
        while !self.step(None)? && !self.block(None, &mut Visit::Run(None))? {}
        Ok(())
    }

    /// Runs the next event if there is one. Returns true if there was. `event_dispatch_non_block`
    ///
    /// # Errors
    /// As [`dispatch`](Waitset::dispatch).
    pub fn try_dispatch(&self) -> Result<bool, DispatchError> {
        if self.step(None)? {
            return Ok(true);
        }
        self.look_around()?;
        self.step(None)
    }

    /// Dispatches until `done` returns true or `deadline` passes. Returns the last result of
    /// `done`, which is asked after every message and every other event. The deadline is checked
    /// after every event, so that a flood of events does not hold the caller.
    ///
    /// # Errors
    /// As [`dispatch`](Waitset::dispatch).
    pub fn dispatch_until(
        &self,
        deadline: Option<Instant>,
        mut done: impl FnMut() -> bool,
    ) -> Result<bool, DispatchError> {
        let is_done = Cell::new(false);
        // It may be true only once: a run that has seen it leaves it at that.
        let mut ask = || {
            is_done.set(is_done.get() || done());
            is_done.get()
        };
        if ask() {
            return Ok(true);
        }
        loop {
            let stepped = self.step(Some(&mut ask))?;
            let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if !stepped && !is_late {
                self.block(deadline, &mut Visit::Run(Some(&mut ask)))?;
            }
            if ask() || is_late {
                return Ok(is_done.get());
            }
        }
    }

    /// Waits for the next event and returns it instead of running it. `get_next_event`
    ///
    /// # Errors
    /// [`DispatchError::Os`].
    pub fn next_event(&self) -> Result<Event, DispatchError> {
        loop {
            if let Some(event) = self.check_for_event()? {
                return Ok(event);
            }
            self.block(None, &mut Visit::Find)?;
        }
    }

    /// Returns the next event if there is one. `check_for_event`
    ///
    /// An event of a binding may do nothing when it is run: its driver reports only that a visit is
    /// worthwhile.
    ///
    /// # Errors
    /// [`DispatchError::Os`].
    pub fn check_for_event(&self) -> Result<Option<Event>, DispatchError> {
        let mut ready = |source: &dyn Source| source.ready();
        let mut next = self.next(&mut ready)?;
        if next.is_none() {
            self.look_around()?;
            next = self.next(&mut ready)?;
        }
        Ok(next.map(|next| Event { waitset: self.clone(), next: Some(next) }))
    }

    /// Runs one event that needs no system call to be found.
    #[inline]
    pub(super) fn step(&self, done: Done<'_>) -> Result<bool, DispatchError> {
        match self.step_quickly() {
            Quick::Work => Ok(true),
            Quick::Nothing => Ok(false),
            Quick::Stream => self.run_stream(done),
            Quick::Unsure => self.step_slowly(done),
        }
    }

    /// The common case of [`step`](Self::step): nothing is pending, and the polled source whose
    /// turn it is has something to do. [`Quick::Unsure`] if there is more to look at than polled
    /// sources of normal priority, or if the waitset is not usable.
    #[inline(never)]
    fn step_quickly(&self) -> Quick {
        let inner = &*self.0;
        if inner.turns.must_look_further() || !self.is_usable() || inner.remote.is_pending() {
            return Quick::Unsure;
        }
        let mut queues = inner.queues.borrow_mut();
        if !queues.is_quiet_at(Priority::Normal) {
            return Quick::Unsure;
        }
        let Some((at, source)) = queues.next_polled(Priority::Normal) else { return Quick::Unsure };
        let source = Rc::clone(source);
        drop(queues);
        inner.turns.count();
        match source.turn() {
            Turned::Work => Quick::Work,
            Turned::Nothing => self.missed(at, source),
            Turned::Stream => self.found_stream(at, source),
        }
    }

    /// Continues the round behind a polled source that had nothing to do.
    #[inline(never)]
    fn missed(&self, at: usize, source: Rc<dyn Source>) -> Quick {
        let left = {
            let mut queues = self.0.queues.borrow_mut();
            queues.had_none(Priority::Normal, at, &source);
            queues.polled_len_at(Priority::Normal).saturating_sub(1)
        };
        drop(source);
        let quiet = || self.0.queues.borrow().is_quiet_at(Priority::Normal);
        let turned = Cell::new(Turned::Nothing);
        let probe = |source: &dyn Source| {
            turned.set(source.turn());
            turned.get() != Turned::Nothing
        };
        if quiet()
            && let Some((at, source)) = self.poll_round(Priority::Normal, left, probe)
        {
            return match turned.get() {
                Turned::Stream => self.found_stream(at, source),
                _ => Quick::Work,
            };
        }
        if quiet() { Quick::Nothing } else { Quick::Unsure }
    }

    /// A polled source has a stream of messages.
    #[cold]
    fn found_stream(&self, at: usize, source: Rc<dyn Source>) -> Quick {
        self.0.streaming.set(Some((at, source)));
        Quick::Stream
    }

    /// Runs the source that [`step_quickly`](Self::step_quickly) has found to have a stream of messages.
    #[cold]
    fn run_stream(&self, mut done: Done<'_>) -> Result<bool, DispatchError> {
        let Some((at, source)) = self.0.streaming.take() else { return self.step_slowly(done) };
        if source.run(Run::of(&self.0.turns, run::again(&mut done))) {
            return Ok(true);
        }
        match self.missed(at, source) {
            Quick::Work => Ok(true),
            Quick::Nothing => Ok(false),
            Quick::Stream | Quick::Unsure => {
                // It is visited in its turn; nobody else lets go of it.
                drop(self.0.streaming.take());
                self.step_slowly(done)
            }
        }
    }

    /// Gives a source its turn. Returns true if it did something.
    #[inline]
    pub(super) fn turn(&self, source: &dyn Source, mut done: Done<'_>) -> bool {
        match source.turn() {
            Turned::Work => true,
            Turned::Nothing => false,
            Turned::Stream => source.run(Run::of(&self.0.turns, run::again(&mut done))),
        }
    }

    #[inline(never)]
    fn step_slowly(&self, mut done: Done<'_>) -> Result<bool, DispatchError> {
        // Pending sources that have nothing to do are no events, but must not hold the caller for
        // ever.
        for _ in 0..LOOK_AROUND {
            let worked = match self.next(&mut |source| self.turn(source, run::again(&mut done)))? {
                Some(Next::Task(task)) => {
                    task(self).map_err(DispatchError::Callback)?;
                    true
                }
                Some(Next::Runnable(runnable)) => {
                    runnable.run();
                    true
                }
                Some(Next::Source(token, source)) => {
                    self.visit(token, &*source, run::again(&mut done))
                }
                Some(Next::Polled(_)) => true,
                None => return Ok(false),
            };
            if worked {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Takes the next event. `probe` decides whether a polled source has one.
    #[inline]
    fn next(
        &self,
        probe: &mut impl FnMut(&dyn Source) -> bool,
    ) -> Result<Option<Next>, DispatchError> {
        self.usable()?;
        if self.0.turns.must_look_around() {
            self.look_around()?;
            self.rest_quiet();
            // One polled event, so that sources that are always pending do not starve polled ones.
            if self.0.turns.has_priorities() {
                self.0.queues.borrow_mut().poll_first();
            } else if let Some(next) = self.next_polled(Priority::Normal, &mut *probe) {
                return Ok(Some(next));
            }
        }
        self.0.turns.count();
        if self.0.remote.is_pending() {
            self.drain_remote();
        }
        if self.0.turns.has_priorities() {
            return Ok(self.next_by_priority(probe));
        }
        Ok(self.next_of(Priority::Normal, probe))
    }

    /// Takes the next event where sources have several priorities.
    #[cold]
    fn next_by_priority(&self, probe: &mut impl FnMut(&dyn Source) -> bool) -> Option<Next> {
        loop {
            let order = self.0.queues.borrow().order.next();
            for (found, priority) in order.into_iter().enumerate() {
                let polled_first = self.0.queues.borrow_mut().is_polled_first(priority);
                let polled =
                    if polled_first { self.next_polled(priority, &mut *probe) } else { None };
                if let Some(next) = polled.or_else(|| self.next_of(priority, &mut *probe)) {
                    self.0.queues.borrow_mut().order.served(order, found);
                    return Some(next);
                }
            }
            if self.0.queues.borrow().is_quiet() {
                return None;
            }
        }
    }

    /// Takes the next event of one priority: a pending one, or that of a polled source.
    #[inline]
    fn next_of(
        &self,
        priority: Priority,
        probe: &mut impl FnMut(&dyn Source) -> bool,
    ) -> Option<Next> {
        loop {
            let item = self.0.queues.borrow_mut().pop(priority);
            match item {
                Some(Item::Task(task)) => return Some(Next::Task(task)),
                Some(Item::Runnable(runnable)) => return Some(Next::Runnable(runnable)),
                Some(Item::Event(due)) => {
                    if let Some(task) = due.take() {
                        return Some(Next::Task(task));
                    }
                }
                Some(Item::Source(token)) => {
                    let source = self.0.queues.borrow_mut().taken(token);
                    if let Some(source) = source {
                        return Some(Next::Source(token, source));
                    }
                }
                None => {
                    if let Some(next) = self.next_polled(priority, &mut *probe) {
                        return Some(next);
                    }
                    if self.0.queues.borrow().is_quiet_at(priority) {
                        return None;
                    }
                }
            }
        }
    }

    /// Takes the next event of the polled sources of one priority.
    #[inline]
    fn next_polled(
        &self,
        priority: Priority,
        probe: &mut impl FnMut(&dyn Source) -> bool,
    ) -> Option<Next> {
        let polled = self.0.queues.borrow().polled_len_at(priority);
        self.poll_round(priority, polled, probe).map(|(_, source)| Next::Polled(source))
    }

    pub(super) fn polled_len(&self) -> usize {
        self.0.queues.borrow().polled_len()
    }

    /// Probes at most `left` polled sources of one priority, until one has something to do or
    /// something of this priority becomes pending.
    #[inline]
    fn poll_round(
        &self,
        priority: Priority,
        mut left: usize,
        mut probe: impl FnMut(&dyn Source) -> bool,
    ) -> Option<(usize, Rc<dyn Source>)> {
        let pending = self.0.queues.borrow().pending_len_at(priority);
        while left > 0 {
            let mut queues = self.0.queues.borrow_mut();
            let (at, source) = queues.next_polled(priority)?;
            let source = Rc::clone(source);
            drop(queues);
            if probe(&*source) {
                return Some((at, source));
            }
            let mut queues = self.0.queues.borrow_mut();
            queues.had_none(priority, at, &source);
            if queues.pending_len_at(priority) > pending {
                return None;
            }
            left -= 1;
        }
        None
    }

    /// Visits a source that was pending, and puts it back into its queue, also if a handler
    /// unwinds.
    pub(super) fn visit(&self, token: u64, source: &dyn Source, done: Done<'_>) -> bool {
        if source.is_polled() {
            self.0.queues.borrow_mut().make_polled(token);
            return self.turn(source, done);
        }
        // Its descriptor reports edges only: there may be more until a visit finds nothing.
        let mut again = Again { waitset: self, token, wanted: true };
        again.wanted = self.turn(source, done);
        if again.wanted {
            self.0.last_ready.set(token);
        } else {
            self.watch_room(token, source);
        }
        again.wanted
    }

    /// Queues the tasks and signals that other threads have posted.
    pub(super) fn drain_remote(&self) {
        self.wake_host_loop();
        let queue = self.0.remote.drain();
        for (token, signal) in queue.signals {
            match signal {
                Signal::Wake => self.poke(token),
                Signal::PeerGone(gone) => {
                    let source = self.0.queues.borrow().source(token).cloned();
                    if let Some(source) = source {
                        source.peer_gone(gone);
                        self.poke(token);
                    }
                }
            }
        }
        let mut queues = self.0.queues.borrow_mut();
        queue.tasks.into_iter().for_each(|task| queues.push(Item::Task(task as Task)));
    }

    /// Looks at other threads, timers and descriptors, without blocking.
    pub(super) fn look_around(&self) -> Result<(), DispatchError> {
        self.0.turns.looked_around();
        if self.0.remote.is_pending() {
            self.drain_remote();
        }
        self.run_timers();
        if self.0.sleeper.borrow().is_some() {
            self.wait(Some(Duration::ZERO))?;
        }
        Ok(())
    }
}

/// Result of a step that looks at polled sources only.
enum Quick {
    /// An event was run.
    Work,
    /// There was nothing to do.
    Nothing,
    /// A source has a stream of messages, which is in `Inner::streaming`.
    Stream,
    /// There is more to look at.
    Unsure,
}

/// The next event of a waitset.
pub(super) enum Next {
    Task(Task),
    /// A future that was woken.
    Runnable(async_task::Runnable),
    /// A pending source, which is to be visited.
    Source(u64, Rc<dyn Source>),
    /// A polled source for which the probe returned true.
    Polled(Rc<dyn Source>),
}

/// Makes a source pending again at the end of the scope, if `wanted` is true then.
struct Again<'a> {
    waitset: &'a Waitset,
    token: u64,
    wanted: bool,
}

impl Drop for Again<'_> {
    fn drop(&mut self) {
        if self.wanted {
            self.waitset.0.queues.borrow_mut().make_pending(self.token);
        }
    }
}

/// An event that has not run yet. If it is dropped, a task is lost; a source is visited again.
#[must_use]
pub struct Event {
    waitset: Waitset,
    /// `None` once it has run.
    next: Option<Next>,
}

impl Event {
    /// Runs the event.
    ///
    /// # Errors
    /// [`DispatchError::Callback`] with the error of the event's callback.
    pub fn run(mut self) -> Result<(), DispatchError> {
        match self.next.take() {
            Some(Next::Task(task)) => task(&self.waitset).map_err(DispatchError::Callback)?,
            Some(Next::Runnable(runnable)) => _ = runnable.run(),
            Some(Next::Source(token, source)) => {
                self.waitset.wake_host_loop();
                self.waitset.visit(token, &*source, None);
            }
            Some(Next::Polled(source)) => {
                self.waitset.turn(&*source, None);
            }
            None => {}
        }
        Ok(())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // A polled source is still among the polled ones.
        if let Some(Next::Source(token, _)) = self.next {
            self.waitset.poke(token);
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").finish_non_exhaustive()
    }
}
