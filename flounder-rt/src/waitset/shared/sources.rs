//! The sources of a waitset that several threads serve: bindings whose handlers run on any of them.
//!
//! The thread that polls looks at the polled sources for the spin time. Then it arms them all with
//! one barrier, looks once more, and blocks. A source that comes to rest while that thread is
//! blocked is armed by the thread that ran it: nobody would poll it.

use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use crate::barrier::arm_then_barrier;
use crate::sync::{AtomicBool, AtomicU8, Mutex, Ordering};
use crate::waitset::block::MAX_BACK_OFF;
use crate::waitset::claim::{After, Claim, Rest};
use crate::waitset::one_core::OneCore;
use crate::waitset::shared::{Host, Inner, Item};
use crate::waitset::{DEFAULT_SPIN, Gone, Priority, Source, SourceFds, Turned, Wake};

/// A source that any thread may run, one at a time.
pub(crate) trait SendSource: Source + Send + Sync {
    /// Called when the time is over that an [abandoned](Source::abandoned) source has to finish: the source gives up what is
    /// left, and removes itself.
    fn give_up(&self);
}

/// A source in its waitset.
pub(crate) struct Place {
    waitset: Weak<Inner>,
    token: u64,
    claim: Claim,
    /// The channel of the source is armed. Belongs to the thread that has the claim.
    is_armed: AtomicBool,
    /// A [`Priority`], which the next event of the source has.
    priority: AtomicU8,
    /// In the list of polled sources. Changes under the lock of the list.
    is_listed: AtomicBool,
    source: Arc<dyn SendSource>,
    /// Where the source is now, if it has moved to another waitset.
    next: OnceLock<Arc<Self>>,
}

/// The sources of one waitset.
#[derive(Default)]
pub(super) struct Sources {
    all: Mutex<HashMap<u64, Arc<Place>>>,
    polled: Mutex<Polled>,
    /// A thread that spins has to look at the queue.
    pub(super) is_interrupted: AtomicBool,
    /// Number of times that the spin time is halved at present.
    backed_off: AtomicU8,
    /// Belongs to the thread that polls.
    one_core: Mutex<OneCore>,
}

#[derive(Default)]
struct Polled {
    list: Vec<Arc<Place>>,
    /// The thread that polls blocks in the kernel, or is about to.
    is_asleep: bool,
    next_token: u64,
}

/// Marks the tokens of sources among those of the kernel.
pub(super) const SOURCE: u64 = 1 << 62;

impl Sources {
    /// Returns the source that the kernel reports as `token`.
    pub(super) fn find(&self, token: u64) -> Option<Arc<Place>> {
        self.all.lock().get(&token).map(Arc::clone)
    }

    /// Returns all sources.
    pub(super) fn all(&self) -> Vec<Arc<Place>> {
        self.all.lock().values().map(Arc::clone).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.lock().is_empty()
    }

    /// Looks at the polled sources. Those that have something to do become pending.
    fn look(&self, list: &[Arc<Place>], found: &mut Vec<Item>) {
        for place in list {
            if place.claim.is_polled() && place.source.ready() && place.claim.found() {
                found.push(Item::Source(Arc::clone(place)));
            }
        }
    }

    fn list(&self) -> Vec<Arc<Place>> {
        self.polled.lock().list.clone()
    }

    /// Looks at the polled sources once.
    pub(super) fn look_once(&self, found: &mut Vec<Item>) {
        self.look(&self.list(), found);
    }

    /// Looks at the polled sources for the spin time, or until one has something to do.
    pub(super) fn spin(&self, found: &mut Vec<Item>) -> Option<Instant> {
        let halvings = u32::from(self.backed_off.load(Ordering::Relaxed));
        let spin = DEFAULT_SPIN / (1 << halvings);
        let (one_core, began) = (self.one_core.lock(), Instant::now());
        let mut looks = if one_core.blocks() { 1 } else { LOOKS };
        let (mut is_first, mut has_asked) = (true, false);
        loop {
            let list = self.list();
            if list.is_empty() {
                return None;
            }
            for _ in 0..looks.div_ceil(list.len()) {
                self.look(&list, found);
                if !found.is_empty() || self.is_interrupted.load(Ordering::Acquire) {
                    self.backed_off.store(0, Ordering::Relaxed);
                    if !is_first {
                        one_core.polling_paid();
                    }
                    return None;
                }
                core::hint::spin_loop();
            }
            let polled = began.elapsed();
            if polled >= spin {
                return Some(began);
            }
            if !has_asked && one_core.is_time_to_ask(polled) {
                has_asked = true;
                let sources = list.iter().map(|place| &*place.source as &dyn Source);
                if one_core.must_block_for_any(sources) {
                    return None;
                }
            }
            (looks, is_first) = (LOOKS, false);
        }
    }

    /// Adapts the spin time after a sleep, as a waitset of one thread does.
    pub(super) fn back_off(&self, began: Option<Instant>) {
        if let Some(began) = began {
            let is_long = began.elapsed() >= 2 * DEFAULT_SPIN;
            if !is_long {
                self.one_core.lock().slept_briefly();
            }
            let halvings = self.backed_off.load(Ordering::Relaxed);
            let most = MAX_BACK_OFF as u8;
            let halvings = if is_long { (halvings + 1).min(most) } else { 0 };
            self.backed_off.store(halvings, Ordering::Relaxed);
        }
    }

    /// Arms every polled source, and notes that the thread that polls is about to block, unless something is found. Returns
    /// how long it may block at most.
    pub(super) fn arm_all(&self, found: &mut Vec<Item>) -> Option<Duration> {
        let mut limit: Option<Duration> = None;
        loop {
            let claimed: Vec<_> =
                self.list().into_iter().filter(|place| place.claim.claim_polled()).collect();
            let mut limited = Vec::new();
            if !claimed.is_empty() {
                arm_then_barrier(|| claimed.iter().for_each(|place| _ = place.source.arm()));
            }
            for place in claimed {
                place.is_armed.store(true, Ordering::Relaxed);
                if place.source.ready() {
                    found.extend(place.again());
                } else if let Some(time) = place.source.sleep_limit() {
                    limit = Some(limit.map_or(time, |limit| limit.min(time)));
                    limited.push(place);
                } else if !place.claim.rest(Rest::Idle) {
                    found.extend(place.again());
                }
            }
            let mut polled = self.polled.lock();
            let mut is_missed = false;
            polled.list.retain(|place| {
                // Those that came meanwhile are not armed.
                is_missed |= place.claim.is_polled();
                let stays = place.claim.is_polled()
                    || limited.iter().any(|limited| Arc::ptr_eq(limited, place));
                place.is_listed.store(stays, Ordering::Relaxed);
                stays
            });
            for place in limited {
                // It is armed, and polled again when the sleep is over.
                if !place.claim.rest(Rest::Polled) {
                    found.extend(place.again());
                }
            }
            if !found.is_empty() {
                return limit;
            }
            if !is_missed {
                polled.is_asleep = true;
                return limit;
            }
        }
    }

    /// The thread that polled has blocked.
    pub(super) fn awake(&self) {
        self.polled.lock().is_asleep = false;
    }
}

/// Looks at polled sources between two looks at the clock.
const LOOKS: usize = 32;

impl Place {
    /// Has a thread of the waitset run the source.
    pub(crate) fn wake(self: &Arc<Self>) {
        if self.claim.wake() {
            self.queue();
        }
    }

    fn queue(self: &Arc<Self>) {
        if let Some(waitset) = self.waitset.upgrade() {
            waitset.pool.give(&waitset.host, Item::Source(Arc::clone(self)));
        }
    }

    /// Runs one turn of a source that was pending. Returns true if the source did something.
    pub(super) fn run(self: &Arc<Self>, waitset: &Inner) -> bool {
        if !self.claim.begin() {
            return false;
        }
        if self.is_armed.swap(false, Ordering::Relaxed) {
            self.source.disarm();
        }
        // Queued again, also if a callback unwinds, until a visit finds nothing.
        let more = Again(self);
        let worked = self.source.turn() != Turned::Nothing;
        if worked && self.source.ready() {
            return true;
        }
        core::mem::forget(more);
        self.come_to_rest(&waitset.host);
        worked
    }

    /// Gives up the claim; the source has nothing to do.
    fn come_to_rest(self: &Arc<Self>, host: &Host) {
        if !self.source.is_polled() {
            if !self.claim.rest(Rest::Idle) {
                drop(Again(self));
            }
            return;
        }
        {
            let mut polled = host.sources.polled.lock();
            if !polled.is_asleep {
                let is_listed = self.is_listed.load(Ordering::Relaxed);
                if self.claim.rest(Rest::Polled) {
                    if !is_listed {
                        self.is_listed.store(true, Ordering::Relaxed);
                        polled.list.push(Arc::clone(self));
                    }
                    return;
                }
                drop(polled);
                return drop(Again(self));
            }
        }
        self.arm(host);
    }

    /// Arms the source: no thread polls it.
    #[cold]
    fn arm(self: &Arc<Self>, host: &Host) {
        arm_then_barrier(|| _ = self.source.arm());
        self.is_armed.store(true, Ordering::Relaxed);
        if self.source.ready() {
            return drop(Again(self));
        }
        if self.source.sleep_limit().is_some() {
            // The thread that sleeps has to limit its sleep.
            let mut polled = host.sources.polled.lock();
            if !self.is_listed.swap(true, Ordering::Relaxed) {
                polled.list.push(Arc::clone(self));
            }
            let rests = self.claim.rest(Rest::Polled);
            drop(polled);
            if rests {
                return host.wake_poller();
            }
            return drop(Again(self));
        }
        if !self.claim.rest(Rest::Idle) {
            drop(Again(self));
        }
    }

    /// Gives up the claim to a source that has more to do. Returns what is to be queued.
    fn again(self: &Arc<Self>) -> Option<Item> {
        match self.claim.again() {
            After::Nothing => None,
            After::Queue => Some(Item::Source(Arc::clone(self))),
            After::Leave => {
                self.leave();
                None
            }
        }
    }

    /// Has the source visited once soon. It was inserted, or has its next event.
    pub(crate) fn start(self: &Arc<Self>) {
        if let Some(item) = self.again()
            && let Some(waitset) = self.waitset.upgrade()
        {
            waitset.pool.give(&waitset.host, item);
        }
    }

    /// The claim is gone: the threads of the other waitset take over.
    fn leave(&self) {
        if let Some(next) = self.next.get() {
            next.is_armed.store(self.is_armed.load(Ordering::Relaxed), Ordering::Relaxed);
            next.start();
        }
    }

    /// The source is that of `next` from now on, a place in another waitset that was not started: once the event is over
    /// that a thread of this waitset may be running.
    pub(crate) fn move_to(&self, next: Arc<Self>, fds: Option<SourceFds<'_>>) {
        next.set_priority(self.priority());
        self.unregister(fds);
        // A source moves away once.
        let _ = self.next.set(next);
        if self.claim.leave() {
            self.leave();
        }
    }

    /// Ends the registration: the source is not run any more.
    pub(crate) fn remove(&self, fds: Option<SourceFds<'_>>) {
        self.claim.retire();
        self.unregister(fds);
    }

    fn unregister(&self, fds: Option<SourceFds<'_>>) {
        let Some(waitset) = self.waitset.upgrade() else { return };
        if let (Some(fds), Some(ends)) = (fds, waitset.host.ends.get()) {
            ends.epoll.remove_source(fds);
        }
        let sources = &waitset.host.sources;
        let listed = {
            let mut polled = sources.polled.lock();
            let at = polled.list.iter().position(|place| core::ptr::eq(&raw const **place, self));
            at.map(|at| polled.list.swap_remove(at))
        };
        let place = sources.all.lock().remove(&self.token);
        drop((listed, place));
    }

    pub(super) fn priority(&self) -> Priority {
        // SYNC shared-priority: nothing else depends on it.
        Priority::ALL[usize::from(self.priority.load(Ordering::Relaxed))]
    }

    /// Gives the source another priority, from its next event on.
    pub(crate) fn set_priority(&self, priority: Priority) {
        self.priority.store(priority as u8, Ordering::Relaxed);
    }

    pub(crate) fn source(&self) -> &Arc<dyn SendSource> {
        &self.source
    }
}

impl Wake for Target {
    fn wake(&self, _token: u64) {
        self.0.wake();
    }

    fn peer_gone(&self, _token: u64, gone: Gone) {
        self.0.source.peer_gone(gone);
        self.0.wake();
    }
}

/// A source, as its notifier knows it.
pub(crate) struct Target(pub(crate) Arc<Place>);

/// Queues a source that has more to do.
struct Again<'a>(&'a Arc<Place>);

impl Drop for Again<'_> {
    fn drop(&mut self) {
        self.0.start();
    }
}

impl Inner {
    /// Registers a source, which nobody visits before its place is [started](Place::start).
    pub(crate) fn insert(
        self: &Arc<Self>,
        source: Arc<dyn SendSource>,
        fds: Option<SourceFds<'_>>,
    ) -> io::Result<Arc<Place>> {
        let sources = &self.host.sources;
        let token = {
            let mut polled = sources.polled.lock();
            polled.next_token += 1;
            SOURCE | polled.next_token
        };
        let place = Arc::new(Place {
            waitset: Arc::downgrade(self),
            token,
            claim: Claim::new(),
            is_armed: AtomicBool::new(false),
            priority: AtomicU8::new(Priority::Normal as u8),
            is_listed: AtomicBool::new(false),
            source,
            next: OnceLock::new(),
        });
        // A thread that blocks may have to be woken: by the descriptors that are made here at the latest.
        let ends = self.host.ends()?;
        sources.all.lock().insert(token, Arc::clone(&place));
        if let Some(fds) = fds
            && let Err(error) = ends.epoll.add_source(fds, token)
        {
            place.remove(None);
            return Err(error);
        }
        Ok(place)
    }
}
