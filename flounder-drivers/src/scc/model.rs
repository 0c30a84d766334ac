//! A machine whose caches behave as badly as they may, in software.
//!
//! Every end has a core, and every core a private cache of 32-byte lines. What the model does to
//! them is drawn from a seed, so that a failure can be replayed:
//!
//! ```text
//!   store ----> cache of the writer ------------------------------> memory ------------> cache of the reader ----> load
//!               dirty words of a line, gathered                     |  ^   when the line is not cached:   |
//!               go together, at any time,                           |  |   by a load, or by a prefetch    |
//!               or at the latest when a                             |  |                                  |
//!               write-back meets its fence                          |  |   dropped at any time, or at the |
//!                                                                   |  |   latest when an invalidation    |
//!                                                                   |  |   meets its fence                |
//! ```
//!
//! * A core loads a cached line as it is, however old, until the line is dropped.
//! * A write-back or an invalidation is only *started*. It finishes with the next fence of its
//!   kind, or before, at any time.
//! * A partly written line stays in the cache as it is; if it goes to memory, its dirty words go
//!   all at once.
//! * A doorbell is an entry in a ring of [`DOORBELLS`] entries of the other core. A core that takes
//!   no interrupts leaves them there, and a full ring takes no more. Some fault rates have a
//!   doorbell refused now and then as if the ring were full.
//!
//! The [`FaultRates`], also drawn from the seed, are the rates of such events. Some machines write
//! nothing back and drop nothing without an instruction; others do both all the time.
//!
//! All of the machine is behind one lock: a model is for tests, and for platforms on which there is
//! nothing better.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::{Rng, SeedableRng};

use flounder_rt::notify::Notifier;

use super::hardware::{CacheOpReason, DoorbellFlag, Hardware, LINE_WORDS, LineCaches};

/// Number of entries in the doorbell ring of a core.
pub const DOORBELLS: usize = 255;

/// Maximum number of lines that are fetched behind one that is loaded.
const PREFETCH: usize = 3;

/// The two cores: those of clients and those of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// The one that clients run on.
    Client,
    /// The one that services run on.
    Service,
}

/// Rates at which caches act without an instruction: once in this number of occasions, never if 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultRates {
    /// A dirty line is written back after a store.
    pub writes_back: u32,
    /// A cached line is dropped before a load.
    pub drops: u32,
    /// Lines behind one that is loaded are fetched.
    pub prefetches: u32,
    /// A started operation finishes before its fence.
    pub ends_early: u32,
    /// A doorbell is refused.
    pub refuses: u32,
}

impl FaultRates {
    /// No fault: what is not written back never reaches memory, and what is not dropped stays for
    /// ever.
    pub const NONE: Self =
        Self { writes_back: 0, drops: 0, prefetches: 0, ends_early: 0, refuses: 0 };

    /// Every fault, often.
    pub const FREQUENT: Self =
        Self { writes_back: 2, drops: 3, prefetches: 2, ends_early: 2, refuses: 4 };

    /// Returns the rates of the machine with this seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Pcg32::seed_from_u64(seed ^ 0x6d6f_6f64);
        let mut draw = |choices: [u32; 4]| choices[rng.next_u32() as usize % choices.len()];
        Self {
            writes_back: draw([0, 0, 3, 20]),
            drops: draw([0, 0, 3, 20]),
            prefetches: draw([0, 1, 3, 20]),
            ends_early: draw([0, 0, 3, 20]),
            refuses: draw([0, 0, 3, 20]),
        }
    }
}

/// The machine. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Model(Arc<Mutex<ModelState>>);

impl Model {
    /// Returns the machine of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_faults(seed, FaultRates::from_seed(seed))
    }

    /// Returns a machine with these rates.
    #[must_use]
    pub fn with_faults(seed: u64, faults: FaultRates) -> Self {
        Self(Arc::new(Mutex::new(ModelState {
            rng: Pcg32::seed_from_u64(seed),
            faults,
            left_out: None,
            regions: Vec::new(),
            unused: Vec::new(),
            doorbells: [DoorbellRing::default(), DoorbellRing::default()],
        })))
    }

    /// Skips the cache operations of this reason.
    #[must_use]
    pub fn without(self, reason: CacheOpReason) -> Self {
        self.0.lock().left_out = Some(reason);
        self
    }

    /// Returns two ends with regions of these numbers of lines, and doorbells that wake these
    /// notifiers.
    ///
    /// # Panics
    /// If there are as many channels as a doorbell can name.
    #[must_use]
    pub fn connect(
        &self,
        client: (usize, &Notifier),
        service: (usize, &Notifier),
    ) -> (ModelEnd, ModelEnd) {
        let flags = [client.1, service.1].map(|notifier| DoorbellFlag::new(notifier.clone()));
        let mut state = self.0.lock();
        let [a, b] = [client.0, service.0].map(|lines| state.allocate(lines));
        let channel = u16::try_from(a.max(b)).expect("a test has fewer than 2^16 channels");
        for (core, flag) in [Core::Client, Core::Service].into_iter().zip(&flags) {
            state.doorbells[core as usize].register(channel, flag);
        }
        drop(state);
        let [client_flag, service_flag] = flags;
        let end = |core, mine, theirs, flag| ModelEnd {
            model: self.clone(),
            core,
            mine,
            theirs,
            channel,
            flag,
            pending: Vec::new(),
        };
        (end(Core::Client, a, b, client_flag), end(Core::Service, b, a, service_flag))
    }

    /// Masks the interrupts of a core: doorbells queue in its ring.
    pub fn mask(&self, core: Core) {
        self.0.lock().doorbells[core as usize].masked = true;
    }

    /// Unmasks the interrupts of a core, and delivers those that are queued.
    pub fn unmask(&self, core: Core) {
        let mut state = self.0.lock();
        state.doorbells[core as usize].masked = false;
        Self::interrupt(state, core);
    }

    /// Rings the doorbell of a core for no channel, as another program on the machine does.
    #[must_use]
    pub fn ring_for_nobody(&self, core: Core) -> bool {
        let mut state = self.0.lock();
        let has_rung = state.doorbells[core as usize].enter(None);
        Self::interrupt(state, core);
        has_rung
    }

    /// Runs the interrupt handler of a core, which takes other locks: with ours released.
    fn interrupt(mut state: MutexGuard<'_, ModelState>, core: Core) {
        let rung = state.doorbells[core as usize].drain();
        drop(state);
        for ringer in rung {
            ringer.notify();
        }
    }
}

#[derive(Debug)]
struct ModelState {
    rng: Pcg32,
    faults: FaultRates,
    left_out: Option<CacheOpReason>,
    regions: Vec<ModelRegion>,
    /// Numbers of the regions whose ends are gone.
    unused: Vec<usize>,
    /// Of each core.
    doorbells: [DoorbellRing; 2],
}

/// A region of memory, and what its writer and its reader have cached of it.
#[derive(Debug, Default)]
struct ModelRegion {
    memory: Vec<[u64; LINE_WORDS]>,
    written: Vec<Dirty>,
    cached: Vec<Option<[u64; LINE_WORDS]>>,
    ends: usize,
}

/// Words of a line that were stored and are not in memory.
#[derive(Debug, Clone, Copy, Default)]
struct Dirty([Option<u64>; LINE_WORDS]);

/// The doorbell ring of a core.
#[derive(Debug, Default)]
struct DoorbellRing {
    entries: VecDeque<Option<u16>>,
    masked: bool,
    /// By channel.
    ringers: Vec<Option<Notifier>>,
}

impl ModelState {
    /// Draws whether an event with this rate happens now.
    fn happens(&mut self, once_in: u32) -> bool {
        once_in != 0 && self.rng.next_u32().is_multiple_of(once_in)
    }

    fn allocate(&mut self, lines: usize) -> usize {
        let number = self.unused.pop().unwrap_or_else(|| {
            self.regions.push(ModelRegion::default());
            self.regions.len() - 1
        });
        self.regions[number] = ModelRegion {
            memory: vec![[0; LINE_WORDS]; lines],
            written: vec![Dirty::default(); lines],
            cached: vec![None; lines],
            ends: 2,
        };
        number
    }
}

impl ModelRegion {
    /// Writes the dirty words of a line to memory, all at once.
    fn write_back(&mut self, line: usize) {
        let dirty = core::mem::take(&mut self.written[line]);
        for (word, value) in self.memory[line].iter_mut().zip(dirty.0) {
            *word = value.unwrap_or(*word);
        }
    }

    /// Returns the reader's copy of a line, fetched if there is none.
    fn fetch(&mut self, line: usize) -> &[u64; LINE_WORDS] {
        self.cached[line].get_or_insert(self.memory[line])
    }

    fn leave(&mut self) -> bool {
        self.ends -= 1;
        self.ends == 0
    }
}

impl DoorbellRing {
    fn register(&mut self, channel: u16, flag: &Arc<DoorbellFlag>) {
        let channel = usize::from(channel);
        if self.ringers.len() <= channel {
            self.ringers.resize(channel + 1, None);
        }
        self.ringers[channel] = Some(flag.ringer());
    }

    fn enter(&mut self, channel: Option<u16>) -> bool {
        let has_room = self.entries.len() < DOORBELLS;
        if has_room {
            self.entries.push_back(channel);
        }
        has_room
    }

    /// Returns the notifiers of the queued doorbells, if the core takes interrupts.
    fn drain(&mut self) -> Vec<Notifier> {
        if self.masked {
            return Vec::new();
        }
        let ringers = &self.ringers;
        let entries = self.entries.drain(..).flatten();
        entries.filter_map(|channel| ringers.get(usize::from(channel))?.clone()).collect()
    }
}

/// The machine, as one end sees it.
#[derive(Debug)]
pub struct ModelEnd {
    model: Model,
    core: Core,
    /// Numbers of the regions.
    mine: usize,
    theirs: usize,
    channel: u16,
    flag: Arc<DoorbellFlag>,
    /// Write-backs and invalidations that have not finished.
    pending: Vec<PendingOp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PendingOp {
    WriteBack(usize),
    Invalidate(usize),
}

impl ModelEnd {
    /// Finishes the pending operations for which `which` returns true.
    fn end(
        &mut self,
        state: &mut ModelState,
        mut which: impl FnMut(&mut ModelState, PendingOp) -> bool,
    ) {
        let (mine, theirs) = (self.mine, self.theirs);
        self.pending.retain(|pending| {
            let ends = which(state, *pending);
            match *pending {
                _ if !ends => {}
                PendingOp::WriteBack(line) => state.regions[mine].write_back(line),
                PendingOp::Invalidate(line) => state.regions[theirs].cached[line] = None,
            }
            !ends
        });
    }

    /// Locks the machine, after the events between two operations of this end.
    fn step<R>(&mut self, operate: impl FnOnce(&mut Self, &mut ModelState) -> R) -> R {
        let model = self.model.clone();
        let mut state = model.0.lock();
        if !self.pending.is_empty() && state.faults.ends_early != 0 {
            let once_in = state.faults.ends_early;
            self.end(&mut state, |state, _| state.happens(once_in));
        }
        operate(self, &mut state)
    }

    fn begin(&mut self, pending: PendingOp, reason: CacheOpReason) {
        self.step(|this, state| {
            if state.left_out != Some(reason) && !this.pending.contains(&pending) {
                this.pending.push(pending);
            }
        });
    }
}

impl Hardware for ModelEnd {
    fn lines(&self) -> usize {
        self.model.0.lock().regions[self.mine].memory.len()
    }

    fn peer_lines(&self) -> usize {
        self.model.0.lock().regions[self.theirs].memory.len()
    }

    fn store(&mut self, line: usize, word: usize, value: u64) {
        self.step(|this, state| {
            state.regions[this.mine].written[line].0[word] = Some(value);
            let once_in = state.faults.writes_back;
            if state.happens(once_in) {
                state.regions[this.mine].write_back(line);
            }
        });
    }

    fn load(&mut self, line: usize, word: usize) -> u64 {
        self.step(|this, state| {
            let FaultRates { drops, prefetches, .. } = state.faults;
            if state.happens(drops) {
                state.regions[this.theirs].cached[line] = None;
            }
            let value = state.regions[this.theirs].fetch(line)[word];
            if state.happens(prefetches) {
                let lines = state.regions[this.theirs].memory.len();
                for ahead in 1..=PREFETCH {
                    state.regions[this.theirs].fetch((line + ahead) % lines);
                }
            }
            value
        })
    }

    fn ring(&mut self) -> bool {
        let peer = if self.core == Core::Client { Core::Service } else { Core::Client };
        let mut state = self.model.0.lock();
        let once_in = state.faults.refuses;
        if state.happens(once_in) {
            return false;
        }
        let has_rung = state.doorbells[peer as usize].enter(Some(self.channel));
        Model::interrupt(state, peer);
        has_rung
    }

    fn rung(&mut self) -> bool {
        self.flag.take()
    }
}

impl LineCaches for ModelEnd {
    fn write_back(&mut self, line: usize, reason: CacheOpReason) {
        self.begin(PendingOp::WriteBack(line), reason);
    }

    fn invalidate(&mut self, line: usize, reason: CacheOpReason) {
        self.begin(PendingOp::Invalidate(line), reason);
    }

    fn fence_writes(&mut self, reason: CacheOpReason) {
        self.step(|this, state| {
            if state.left_out != Some(reason) {
                this.end(state, |_, pending| matches!(pending, PendingOp::WriteBack(_)));
            }
        });
    }

    fn fence_reads(&mut self, reason: CacheOpReason) {
        self.step(|this, state| {
            if state.left_out != Some(reason) {
                this.end(state, |_, pending| matches!(pending, PendingOp::Invalidate(_)));
            }
        });
    }
}

impl Drop for ModelEnd {
    fn drop(&mut self) {
        let mut state = self.model.0.lock();
        let ringers = &mut state.doorbells[self.core as usize].ringers;
        let ringer = ringers.get_mut(usize::from(self.channel)).and_then(Option::take);
        for region in [self.mine, self.theirs] {
            if state.regions[region].leave() {
                state.regions[region] = ModelRegion::default();
                state.unused.push(region);
            }
        }
        drop(state);
        // Whatever hangs on it goes without our lock.
        drop(ringer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASON: CacheOpReason = CacheOpReason::LineWritten;

    fn ends(faults: FaultRates) -> (Model, ModelEnd, ModelEnd) {
        let model = Model::with_faults(7, faults);
        let nobody = Notifier::new();
        let (writer, reader) = model.connect((8, &nobody), (8, &nobody));
        (model, writer, reader)
    }

    fn lines_seen(reader: &mut ModelEnd, lines: usize) -> Vec<[u64; LINE_WORDS]> {
        (0..lines).map(|line| core::array::from_fn(|word| reader.load(line, word))).collect()
    }

    #[test]
    fn store_without_write_back_stays_in_the_cache() {
        let (_, mut writer, mut reader) = ends(FaultRates::NONE);
        writer.store(1, 0, 5);
        writer.fence_writes(REASON);
        assert_eq!(reader.load(1, 0), 0);
    }

    #[test]
    fn write_back_needs_its_fence() {
        let (_, mut writer, mut reader) = ends(FaultRates::NONE);
        writer.store(1, 0, 5);
        writer.write_back(1, REASON);
        // This fence is of the other kind.
        writer.fence_reads(REASON);
        assert_eq!(reader.load(1, 0), 0);
        reader.invalidate(1, REASON);
        reader.fence_reads(REASON);
        writer.fence_writes(REASON);
        assert_eq!(reader.load(1, 0), 5);
    }

    #[test]
    fn load_is_stale_until_the_line_is_dropped() {
        let (_, mut writer, mut reader) = ends(FaultRates::NONE);
        assert_eq!(reader.load(1, 0), 0);
        for (word, value) in [(0, 5), (3, 6)] {
            writer.store(1, word, value);
        }
        writer.write_back(1, REASON);
        writer.fence_writes(REASON);
        assert_eq!(reader.load(1, 0), 0);
        reader.invalidate(1, REASON);
        reader.fence_writes(REASON);
        assert_eq!(reader.load(1, 0), 0, "the invalidation has not met its fence");
        reader.fence_reads(REASON);
        assert_eq!((reader.load(1, 0), reader.load(1, 3)), (5, 6));
    }

    #[test]
    fn prefetched_line_is_stale() {
        let (_, mut writer, mut reader) = ends(FaultRates { prefetches: 1, ..FaultRates::NONE });
        assert_eq!(reader.load(0, 0), 0);
        writer.store(1, 0, 5);
        writer.write_back(1, REASON);
        writer.fence_writes(REASON);
        assert_eq!(reader.load(1, 0), 0, "it was never loaded before");
    }

    #[test]
    fn lines_arrive_out_of_order_and_in_part() {
        let (mut is_reordered, mut is_torn) = (false, false);
        for seed in 0..200 {
            let model = Model::with_faults(seed, FaultRates { writes_back: 4, ..FaultRates::NONE });
            let nobody = Notifier::new();
            let (mut writer, mut reader) = model.connect((8, &nobody), (8, &nobody));
            for line in 0..8 {
                for word in 0..LINE_WORDS {
                    writer.store(line, word, 1);
                }
            }
            let seen = lines_seen(&mut reader, 8);
            let sum = |line: &[u64; LINE_WORDS]| line.iter().sum::<u64>();
            is_reordered |= seen.windows(2).any(|two| sum(&two[0]) < sum(&two[1]));
            is_torn |= seen.iter().any(|line| (1..LINE_WORDS as u64).contains(&sum(line)));
            for line in seen {
                // But within a line, what was stored later is not seen without what was stored before.
                assert!(line.is_sorted_by(|before, after| before >= after), "{line:?}");
            }
        }
        assert!(is_reordered && is_torn);
    }

    #[test]
    fn seed_determines_the_run() {
        let play = |seed| {
            let model = Model::with_faults(seed, FaultRates::FREQUENT);
            let nobody = Notifier::new();
            let (mut writer, mut reader) = model.connect((8, &nobody), (8, &nobody));
            let mut seen = Vec::new();
            for step in 0..200 {
                writer.store(step % 8, step % LINE_WORDS, step as u64);
                writer.write_back(step % 8, REASON);
                reader.invalidate(step % 5, REASON);
                seen.push((reader.load(step % 7, step % LINE_WORDS), writer.ring()));
            }
            seen
        };
        assert_eq!(play(3), play(3));
        assert_ne!(play(3), play(4));
    }

    #[test]
    fn masked_doorbells_queue_up_to_the_limit() {
        let (model, mut writer, mut reader) = ends(FaultRates::NONE);
        model.mask(Core::Service);
        for _ in 0..DOORBELLS {
            assert!(writer.ring());
        }
        assert!(!writer.ring() && !model.ring_for_nobody(Core::Service));
        assert!(reader.ring(), "the other core has its own");
        assert!(!reader.rung());
        model.unmask(Core::Service);
        assert!(reader.rung() && !reader.rung());
        assert!(writer.ring() && writer.rung());
    }

    #[test]
    fn freed_regions_are_reused() {
        let model = Model::with_faults(1, FaultRates::NONE);
        let nobody = Notifier::new();
        for _ in 0..10 {
            let (mut a, b) = model.connect((8, &nobody), (4, &nobody));
            drop(b);
            a.store(7, 0, 1);
            assert!(a.ring(), "nobody hears it");
        }
        assert_eq!(model.0.lock().regions.len(), 2);
    }

    #[test]
    fn each_reason_can_be_skipped() {
        for reason in CacheOpReason::ALL {
            let model = Model::with_faults(1, FaultRates::NONE).without(*reason);
            let nobody = Notifier::new();
            let (mut writer, mut reader) = model.connect((8, &nobody), (8, &nobody));
            assert_eq!(reader.load(1, 0), 0);
            writer.store(1, 0, 5);
            writer.write_back(1, *reason);
            writer.fence_writes(*reason);
            reader.invalidate(1, *reason);
            reader.fence_reads(*reason);
            assert_eq!(reader.load(1, 0), 0, "{reason} was not left out");
        }
    }
}
