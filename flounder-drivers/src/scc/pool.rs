//! Slots of pools in memory that no hardware keeps coherent: what the caches have to do before a message that names a slot is
//! announced, and before its receiver reads the slot.
//!
//! A slot is whole lines of the processor, of which no other slot has a part. Its writer and its reader take turns: the
//! message gives it to the reader, the release gives it back.

use core::ops::Range;

use super::cache::Caches;
use super::hardware::{CacheOpReason, LineCaches};
use crate::mem::pool::{Mapped, PoolCaches, SlotLines};

/// The memory of pools between two processes, with the cache operations of this machine. Where none are known the driver
/// does not reach other processes.
pub(crate) static WRITTEN_BACK: Mapped<MachineCaches> = Mapped(MachineCaches);

/// Gets what was stored in these lines to memory, before anything that is stored later.
#[inline]
pub fn publish(hardware: &mut impl LineCaches, lines: Range<usize>) {
    for line in lines {
        hardware.write_back(line, CacheOpReason::SlotWritten);
    }
    hardware.fence_writes(CacheOpReason::SlotBeforeMessage);
}

/// Drops what is cached of these lines, before anything that is loaded later.
#[inline]
pub fn refresh(hardware: &mut impl LineCaches, lines: Range<usize>) {
    for line in lines {
        hardware.invalidate(line, CacheOpReason::SlotStale);
    }
    hardware.fence_reads(CacheOpReason::SlotDropped);
}

/// The caches of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MachineCaches;

impl PoolCaches for MachineCaches {
    fn publish(self, lines: SlotLines<'_>) {
        if let Some(caches) = Caches::of_this_machine() {
            let count = lines.count();
            publish(&mut OnMachine { caches, lines }, 0..count);
        }
    }

    fn refresh(self, lines: SlotLines<'_>) {
        if let Some(caches) = Caches::of_this_machine() {
            let count = lines.count();
            refresh(&mut OnMachine { caches, lines }, 0..count);
        }
    }
}

/// Lines of a slot of this machine.
struct OnMachine<'a> {
    caches: Caches,
    lines: SlotLines<'a>,
}

impl LineCaches for OnMachine<'_> {
    #[inline]
    fn write_back(&mut self, line: usize, _reason: CacheOpReason) {
        self.caches.write_back(self.lines.address(line));
    }

    #[inline]
    fn fence_writes(&mut self, _reason: CacheOpReason) {
        self.caches.fence_writes();
    }

    #[inline]
    fn invalidate(&mut self, line: usize, _reason: CacheOpReason) {
        self.caches.drop_line(self.lines.address(line));
    }

    #[inline]
    fn fence_reads(&mut self, _reason: CacheOpReason) {
        self.caches.fence_reads();
    }
}
