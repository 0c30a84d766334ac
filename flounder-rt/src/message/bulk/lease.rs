//! Pools of the peer, and the slots of them that this end reads.

use core::fmt;
use std::sync::{Arc, Weak};

use super::end::{BulkEnd, Place};
use super::memory::{PeerMemory, SlotMemory};
use super::pool::{PoolSlots, Slots};
use super::slot_bits::SlotBits;
use crate::account::Charge;
use crate::fork::ForkGeneration;

/// A pool of the peer.
pub(super) struct ReceivedPool {
    number: u8,
    slots: Slots,
    memory: ReceivedMemory,
    /// A bit for each slot that messages have named and that was not released since.
    held: SlotBits,
    /// A bit for each slot that was released and that the peer has not been told of.
    released: SlotBits,
    end: Weak<BulkEnd>,
    born: ForkGeneration,
    /// What the pool costs on the account of the peer.
    _charges: Vec<Charge>,
}

/// Memory of a pool of the peer.
#[derive(Debug)]
pub(super) enum ReceivedMemory {
    Mapped(Box<dyn PeerMemory>),
    /// The peer is in this process.
    Process(Arc<PoolSlots>),
}

impl fmt::Debug for PoolSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolSlots").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl ReceivedPool {
    pub(super) fn new(
        number: u8,
        slots: Slots,
        memory: ReceivedMemory,
        end: Weak<BulkEnd>,
        charges: Vec<Charge>,
    ) -> Self {
        let (held, released) = (SlotBits::new(slots.count), SlotBits::new(slots.count));
        let born = ForkGeneration::now();
        Self { number, slots, memory, held, released, end, born, _charges: charges }
    }

    pub(super) const fn number(&self) -> u8 {
        self.number
    }

    /// A message names `len` bytes of a slot.
    ///
    /// # Errors
    /// What is wrong with that, in words.
    pub(super) fn lease(self: &Arc<Self>, slot: u16, len: u32) -> Result<Lease, &'static str> {
        let len = len as usize;
        if usize::from(slot) >= self.slots.count {
            return Err("the pool has no such slot");
        }
        if len > self.slots.bytes {
            return Err("the data is longer than a slot");
        }
        if !self.held.set(slot) {
            return Err("the slot is lent already");
        }
        let at = usize::from(slot) * self.slots.bytes;
        let memory = match &self.memory {
            ReceivedMemory::Mapped(memory) => {
                memory.refresh(at, len);
                None
            }
            ReceivedMemory::Process(pool) => match pool.take_lent(slot) {
                Some(memory) => Some(memory),
                None => {
                    self.held.clear(slot);
                    return Err("the slot is not lent");
                }
            },
        };
        Ok(Lease { pool: Arc::clone(self), slot, at, len, memory })
    }

    /// Takes the slots out that were released: each time the first one, and a bit for each of the next 64.
    pub(super) fn take_released(&self) -> impl Iterator<Item = (u64, u64)> {
        self.released.take()
    }
}

impl fmt::Debug for ReceivedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedPool").field("number", &self.number).finish_non_exhaustive()
    }
}

/// A slot that a message has named, until it is dropped. Then its writer gets it back.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Arc<ReceivedPool>,
    slot: u16,
    /// Offset of the slot in the memory of the pool.
    at: usize,
    len: usize,
    /// The memory itself, if the peer is in this process.
    memory: Option<Box<dyn SlotMemory>>,
}

impl Lease {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Returns true if this is the lease of this slot.
    pub(super) fn is_of(&self, pool: u8, slot: u16) -> bool {
        self.pool.number == pool && self.slot == slot
    }

    /// Gives back the memory of the place that the lease was in.
    pub(super) fn reuse(&self, place: Place) {
        if let Some(end) = self.pool.end.upgrade() {
            end.reuse(place);
        }
    }

    /// Returns the bytes, which nobody writes, if the peer is in this process.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.memory.as_ref().map(|memory| &memory.bytes()[..self.len])
    }

    /// Returns the memory that the peer may write, and where the bytes are in it.
    pub(super) fn foreign(&self) -> Option<(&dyn PeerMemory, usize)> {
        match &self.pool.memory {
            ReceivedMemory::Mapped(memory) => Some((&**memory, self.at)),
            ReceivedMemory::Process(_) => None,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let pool = &self.pool;
        // A forked child has no slots, and takes no locks of its parent.
        if !pool.born.is_here() {
            return;
        }
        // First, because the peer may name the slot again as soon as it knows that it is free.
        pool.held.clear(self.slot);
        match (&pool.memory, self.memory.take()) {
            (ReceivedMemory::Process(own), Some(memory)) => own.return_lent(self.slot, memory),
            (ReceivedMemory::Mapped(_), _) => {
                pool.released.set(self.slot);
                if let Some(end) = pool.end.upgrade() {
                    end.released();
                }
            }
            (ReceivedMemory::Process(_), None) => {}
        }
    }
}
