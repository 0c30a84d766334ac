//! Blocking: polls for the spin time, arms every polled source, looks once more, and sleeps in the kernel.

use core::time::Duration;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Instant;

use crate::barrier::arm_then_barrier;
use crate::waitset::dispatch::LOOK_AROUND;
use crate::waitset::queues::Registered;
use crate::waitset::run::{self, Done};
use crate::waitset::sleeper::Ready;
use crate::waitset::{DispatchError, KEEP_LARGE, NO_TOKEN, Priority, Source, Timeout, Waitset};

/// The most halvings of the spin time while polling does not pay.
pub(super) const MAX_BACK_OFF: u32 = 3;

/// Sources visited between two looks at the clock while spinning.
const SPINS_PER_LOOK: usize = 32;

/// Visits to polled sources between two looks at everything else while spinning. A visit in vain is
/// cheap; the loop around it is not. As many come first without pauses between them: a peer on a near processor answers
/// within them.
const VISITS: usize = 8;

/// Cost of a look at a source with a descriptor, in looks at polled ones: it is a system call.
const FD_VISIT: usize = 16;

impl Waitset {
    /// Waits in the kernel and makes the reported sources pending.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<(), DispatchError> {
        let waited = self.wait_for_descriptors(timeout);
        // From here on no thread has to wake the waitset, least of all this one.
        self.0.remote.awake();
        self.wake_host_loop();
        waited?;
        self.take_found()?;
        if self.0.remote.is_pending() {
            self.drain_remote();
        }
        Ok(())
    }

    /// Waits in the kernel, once drivers have finished what their descriptors have reported. Returns true if
    /// [`take_found`](Self::take_found) has something to take.
    pub(super) fn wait_for_descriptors(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let mut position = 0;
        // Drivers log, and close capabilities: nothing is borrowed.
        while let Some(watched) =
            self.with_sleeper(|sleeper| Ok(sleeper.next_fired(&mut position)))?
        {
            watched.finish();
        }
        self.with_sleeper(|sleeper| sleeper.wait(timeout))
    }

    /// Makes the sources pending that the last wait in the kernel has found.
    pub(super) fn take_found(&self) -> io::Result<()> {
        while let Some(ready) = self.with_sleeper(|sleeper| Ok(sleeper.next()))? {
            match ready {
                Ready::WakeFd => {}
                Ready::Source(token) => self.poke(token),
                Ready::Room(token) => self.room_found(token),
                Ready::Watched(id) => {
                    let watched = self.with_sleeper(|sleeper| Ok(sleeper.fired(id)))?;
                    if let Some(watched) = watched {
                        watched.fired();
                    }
                }
            }
        }
        Ok(())
    }

    /// Polls for the spin time, then blocks, until there is something to do or `deadline` has
    /// passed. Returns true if an event was run, which [`Visit::Find`] never does.
    pub(super) fn block(
        &self,
        deadline: Option<Instant>,
        visit: &mut Visit<'_>,
    ) -> Result<bool, DispatchError> {
        self.wake_host_loop();
        let polled = self.polled_len();
        let last_ready = self.0.last_ready.replace(NO_TOKEN);
        let source = self.0.queues.borrow().source(last_ready).cloned();
        let must_block = || self.must_block(source.as_deref());
        let spun = if self.0.one_core.blocks() && must_block() {
            Spun::InVain(None)
        } else if let Some(source) = &source {
            let look = |pace| match self.look(visit, pace) {
                // It may not be the one that comes first.
                Found::Nothing if self.0.turns.has_priorities() => self.look_at_descriptors(),
                Found::Nothing => self.look_at_last_ready(last_ready, &**source, visit),
                found => found,
            };
            self.spin(polled + FD_VISIT, 1, must_block, look)
        } else if polled > 0 {
            self.spin(polled, 1, must_block, |pace| self.look(visit, pace))
        } else {
            Spun::InVain(None)
        };
        let began = match spun {
            Spun::Found(found) => return Ok(found == Found::Event),
            Spun::InVain(began) => began,
        };
        match self.rest() {
            Rest::Asleep(limit) => {
                self.sleep_in_kernel(earlier(deadline, limit), true)?;
                self.back_off(began);
                Ok(false)
            }
            Rest::News => {
                std::thread::yield_now();
                Ok(false)
            }
            Rest::Never => {
                std::thread::yield_now();
                self.look_around().map(|()| false)
            }
        }
    }

    /// Adapts the spin time after a sleep: halves it if the wait was too long for polling to pay.
    fn back_off(&self, began: Option<Instant>) {
        if let Some(began) = began {
            let long = began.elapsed() >= 2 * self.0.spin.get();
            if !long {
                self.0.one_core.slept_briefly();
            }
            self.0.backed_off.set(if long {
                (self.0.backed_off.get() + 1).min(MAX_BACK_OFF)
            } else {
                0
            });
        }
    }

    /// Arms every polled source and looks once more. Returns whether the waitset may sleep now.
    pub(super) fn rest(&self) -> Rest {
        let mut resting = self.0.resting.take();
        self.0.queues.borrow().all_polled(&mut resting);
        let mut can_sleep = true;
        if !resting.is_empty() {
            arm_then_barrier(|| {
                can_sleep = resting.iter().fold(true, |all, (_, source)| source.arm() && all);
            });
        }
        let rest = match self.look(&mut Visit::Find, Pace::Eager) {
            Found::Nothing if can_sleep => Rest::Asleep(self.make_all_idle(&resting)),
            _ if can_sleep => Rest::News,
            _ => Rest::Never,
        };
        if !matches!(rest, Rest::Asleep(_)) {
            resting.iter().for_each(|(_, source)| source.disarm());
        }
        self.rested(resting);
        rest
    }

    /// Makes armed sources idle, except those that limit the sleep: they are polled when it is
    /// over. Returns the end of the sleep, if there is a limit.
    pub(super) fn make_all_idle(&self, armed: &[Registered]) -> Option<Instant> {
        let mut limit = None;
        for (token, source) in armed {
            match source.sleep_limit() {
                None => self.0.queues.borrow_mut().make_idle(*token),
                Some(time) => limit = earlier(limit, Some(Instant::now() + time)),
            }
        }
        limit
    }

    /// Looks until something is found or the spin time is over. `visits` is the cost of one look; the first `eager` looks are
    /// without pauses. Stops early if `must_block`, which is asked once, returns true.
    #[inline]
    fn spin(
        &self,
        visits: usize,
        mut eager: usize,
        must_block: impl FnOnce() -> bool,
        mut look: impl FnMut(Pace) -> Found,
    ) -> Spun {
        let one_core = &self.0.one_core;
        let mut must_block = Some(must_block);
        let mut started: Option<Instant> = None;
        let mut looks = if one_core.blocks() { 1 } else { SPINS_PER_LOOK.div_ceil(visits) };
        loop {
            for _ in 0..looks {
                let pace = if eager > 0 { Pace::Eager } else { Pace::Pausing };
                eager = eager.saturating_sub(1);
                let found = look(pace);
                if found != Found::Nothing {
                    self.0.backed_off.set(0);
                    if started.is_some() {
                        one_core.polling_paid();
                    }
                    return Spun::Found(found);
                }
                // A peer that answers at once does so in the first looks, which do not use the clock.
                if started.is_some() {
                    core::hint::spin_loop();
                }
            }
            let polled = started.get_or_insert_with(Instant::now).elapsed();
            if polled >= self.0.spin.get() / (1 << self.0.backed_off.get()) {
                return Spun::InVain(started);
            }
            if one_core.is_time_to_ask(polled)
                && let Some(must_block) = must_block.take()
                && must_block()
            {
                return Spun::InVain(None);
            }
            looks = SPINS_PER_LOOK.div_ceil(visits);
        }
    }

    /// Checks for pending work, and visits the polled sources until one has something to do.
    #[inline]
    fn look(&self, visit: &mut Visit<'_>, pace: Pace) -> Found {
        if self.0.remote.is_pending() {
            return Found::Something;
        }
        if !self.0.turns.has_priorities() {
            return self.look_at(Priority::Normal, visit, pace);
        }
        for priority in Priority::ALL {
            let found = self.look_at(priority, visit, pace);
            if found != Found::Nothing {
                return found;
            }
        }
        if self.0.queues.borrow().is_quiet() { Found::Nothing } else { Found::Something }
    }

    /// Checks for pending work of one priority, and visits its polled sources until one has something to do.
    #[inline]
    fn look_at(&self, priority: Priority, visit: &mut Visit<'_>, pace: Pace) -> Found {
        let mut queues = self.0.queues.borrow_mut();
        let mut left = queues.polled_len_at(priority);
        let times = if left < VISITS { VISITS / left.max(1) } else { 1 };
        while queues.is_quiet_at(priority) {
            if left == 0 {
                return Found::Nothing;
            }
            let Some((at, source)) = queues.next_polled(priority) else { return Found::Nothing };
            let source = Rc::clone(source);
            drop(queues);
            match visit {
                Visit::Run(done) => {
                    // Among many sources each is visited seldom.
                    let pauses = pace == Pace::Pausing && times > 1 && source.wants_pauses();
                    if pauses {
                        core::hint::spin_loop();
                    }
                    let times = if pauses { 1 } else { times };
                    if (0..times).any(|_| self.turn(&*source, run::again(done))) {
                        return Found::Event;
                    }
                }
                Visit::Find => {
                    if source.ready() {
                        self.0.queues.borrow_mut().go_back(priority, at, &source);
                        return Found::Something;
                    }
                }
            }
            queues = self.0.queues.borrow_mut();
            queues.had_none(priority, at, &source);
            left -= 1;
        }
        Found::Something
    }

    /// Looks at all descriptors.
    #[cold]
    fn look_at_descriptors(&self) -> Found {
        // An error is that of the wait that follows.
        let looked = self.look_around();
        if looked.is_err() || self.0.queues.borrow().is_quiet() {
            Found::Nothing
        } else {
            Found::Something
        }
    }

    /// Looks at the source with a descriptor that had work last.
    fn look_at_last_ready(&self, token: u64, source: &dyn Source, visit: &mut Visit<'_>) -> Found {
        match visit {
            Visit::Run(done) => {
                if self.visit(token, source, run::again(done)) {
                    return Found::Event;
                }
            }
            Visit::Find => {
                if source.ready() && self.0.queues.borrow_mut().make_pending(token).is_some() {
                    return Found::Something;
                }
            }
        }
        Found::Nothing
    }

    /// Blocks in the kernel until another thread, a descriptor, a timer or `deadline`, unless something is pending.
    ///
    /// The caller has armed the sources that it waits for.
    fn sleep_in_kernel(
        &self,
        deadline: Option<Instant>,
        timers: bool,
    ) -> Result<(), DispatchError> {
        self.with_sleeper(|_| Ok(()))?;
        if self.0.remote.sleep() {
            let timer = if timers { self.0.timers.borrow_mut().next() } else { None };
            let next = earlier(earlier(timer, deadline), self.0.trim_at.get());
            self.wait(next.map(|at| at.saturating_duration_since(Instant::now())))?;
        } else {
            self.0.remote.awake();
            self.drain_remote();
        }
        self.0.turns.looked_around();
        self.run_timers();
        Ok(())
    }

    /// Makes `source` free the memory of large messages once none has come for [`KEEP_LARGE`]: another may
    /// follow.
    pub(crate) fn trim_later(&self, source: Weak<dyn Source>) {
        self.0.untrimmed.borrow_mut().push(source);
        if self.0.trim_at.get().is_none() {
            self.0.trim_at.set(Some(Instant::now() + KEEP_LARGE));
        }
    }

    /// Asks the sources that hold the memory of large messages to free it, if it is time.
    pub(super) fn trim_sources(&self) {
        if self.0.trim_at.get().is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.0.trim_at.set(None);
        let untrimmed = core::mem::take(&mut *self.0.untrimmed.borrow_mut());
        for weak in untrimmed {
            if weak.upgrade().is_some_and(|source| source.trim()) {
                self.trim_later(weak);
            }
        }
    }

    /// Puts the buffer back. The drop of its sources may run user code.
    pub(super) fn rested(&self, mut resting: Vec<Registered>) {
        resting.clear();
        self.0.resting.set(resting);
    }

    /// Arms polled sources that have been quiet for long, so that ten thousand quiet sources cost a
    /// busy one nothing.
    pub(super) fn rest_quiet(&self) {
        let mut quiet = self.0.resting.take();
        self.0.queues.borrow_mut().quiet(&mut quiet);
        if !quiet.is_empty() {
            // Sources that no driver would wake stay polled, and are not armed again soon.
            arm_then_barrier(|| {
                quiet.retain(|(token, source)| {
                    let armed = source.arm();
                    if !armed {
                        self.0.queues.borrow_mut().had_news(*token);
                    }
                    armed
                });
            });
            for (token, source) in &quiet {
                if source.ready() || source.sleep_limit().is_some() {
                    source.disarm();
                    self.0.queues.borrow_mut().had_news(*token);
                } else {
                    self.0.queues.borrow_mut().make_idle(*token);
                }
            }
        }
        self.rested(quiet);
    }

    /// Waits until `done` returns true. Visits only the source `token`, by `turn`; everything else
    /// stays pending.
    pub(crate) fn wait_for(
        &self,
        token: u64,
        source: &dyn Source,
        timeout: Timeout,
        turn: &mut dyn FnMut() -> bool,
        done: &dyn Fn() -> bool,
    ) -> Result<(), DispatchError> {
        let (mut deadline, mut events) = (None, 0_u32);
        let wants_pauses = source.wants_pauses();
        // False after a wait apart from the waitset that was in vain: the next one is with the waitset.
        let mut may_be_brief = true;
        while !done() {
            let waits_in_recv = may_be_brief && !source.is_polled() && self.0.one_core.blocks();
            if waits_in_recv && self.must_block_for(source) {
                let deadline = *deadline.get_or_insert_with(|| timeout.end_of_blocking());
                if let Some(worked) = self.turn_that_waits(source, deadline, turn) {
                    may_be_brief = worked;
                    continue;
                }
            }
            let visit = |pace: Pace| {
                if pace == Pace::Pausing && wants_pauses {
                    core::hint::spin_loop();
                }
                if turn() { Found::Event } else { Found::Nothing }
            };
            let visits = if source.is_polled() { 1 } else { FD_VISIT };
            let spun = self.spin(visits, VISITS, || self.must_block_for(source), visit);
            // A quick answer needs no clock; under a flood of other messages the deadline still
            // counts.
            if let Spun::Found(_) = spun {
                may_be_brief = true;
                events += 1;
                if !events.is_multiple_of(LOOK_AROUND) {
                    continue;
                }
            }
            let deadline = *deadline.get_or_insert_with(|| timeout.end_of_blocking());
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) && !done() {
                return Err(DispatchError::Deadline);
            }
            if let Spun::InVain(began) = spun {
                may_be_brief = !self.sleep_for(token, source, deadline, may_be_brief)?;
                self.back_off(began);
            }
        }
        Ok(())
    }

    /// Blocks until the source `token` may have something to do. Returns true if it has waited apart from the waitset, which
    /// `may_be_brief` permits.
    fn sleep_for(
        &self,
        token: u64,
        source: &dyn Source,
        deadline: Option<Instant>,
        may_be_brief: bool,
    ) -> Result<bool, DispatchError> {
        let mut limit = None;
        if source.is_polled() {
            arm_then_barrier(|| _ = source.arm());
            limit = source.sleep_limit().map(|limit| Instant::now() + limit);
        } else {
            self.watch_room(token, source);
        }
        let until = earlier(deadline, limit);
        let may_be_brief = may_be_brief && source.is_polled() && limit.is_none();
        let result = if source.ready() {
            Ok(false)
        } else if may_be_brief && self.wait_briefly(source, deadline) {
            Ok(true)
        } else {
            self.sleep_in_kernel(until, false).map(|()| false)
        };
        if source.is_polled() {
            source.disarm();
            self.0.queues.borrow_mut().make_polled(token);
            self.wake_host_loop();
        }
        result
    }
}

/// How a waitset that looks for something to do visits a polled source.
pub(super) enum Visit<'a> {
    /// Runs its turn, which is an event if it does something.
    Run(Done<'a>),
    /// Asks only; a source that is ready is visited next.
    Find,
}

/// How a waitset that polls visits a source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// At once.
    Eager,
    /// After a pause, if it wants one.
    Pausing,
}

/// Result of a look for something to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// There is something for the next step.
    Something,
    /// An event was run.
    Event,
}

/// Result of spinning.
enum Spun {
    /// Never [`Found::Nothing`].
    Found(Found),
    /// Start of the spin, if there was a source to look at.
    InVain(Option<Instant>),
}

/// Result of arming every polled source.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// All are armed: a source with news wakes the waitset. A time limits the sleep.
    Asleep(Option<Instant>),
    /// A source has news.
    News,
    /// A source cannot be armed: no driver would wake the waitset for it.
    Never,
}

/// Returns the earlier of two times, either of which may be none.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}
