//! The pools of one binding: those that this end writes, and those that it reads.
//!
//! What concerns the peer is done in the thread of the binding, which takes it out of a list of [`News`]; any thread adds to
//! the list, and then has the binding look.

use core::cell::Cell;
use core::fmt;
use core::ptr;
use core::task::Waker;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use super::lease::{Lease, ReceivedMemory, ReceivedPool};
use super::memory::BulkMemory;
use super::pool::{self, Pool, PoolError, PoolInner, Slots};
use super::slot_bits::Note;
use crate::account::{Account, Charge, OverLimit, Resource};
use crate::cap::Cap;
use crate::fork::ForkGeneration;
use crate::message::Received;
use crate::wire::{BulkHead, BulkWay, Bulks, DecodeError, MAX_BULK};

/// The most pools of the peer that one binding reads at a time.
const MAX_RECEIVED: usize = 4;

/// The most pools that a binding has in its life, in each direction: the number of a pool is never used again.
const MAX_POOLS: usize = 256;

/// News for the peer.
#[derive(Debug)]
pub enum News {
    /// A pool is offered.
    Offer {
        /// Number of the pool.
        pool: u8,
        /// Shape of the pool.
        slots: Slots,
        /// The number under which a peer in this process finds the pool.
        local: Option<u64>,
        /// The capability of the memory for a peer in another process.
        cap: Option<Cap>,
    },
    /// Nothing more comes from this pool.
    End(u8),
    /// Not for the peer: a task that waits for a slot is to be woken when nothing is borrowed or locked.
    Wake(Waker),
}

/// The pools of one binding.
pub struct BulkEnd {
    memory: &'static dyn BulkMemory,
    /// True if the peer is in this process: the memory of a slot is moved, and not mapped.
    is_local: bool,
    account: Option<Account>,
    own: Mutex<OwnPools>,
    received: Mutex<ReceivedPools>,
    news: Mutex<Vec<News>>,
    /// Memory of places that decoders have emptied.
    spare: Mutex<Vec<Place>>,
    /// True if there may be released slots or news that the thread of the binding has not seen.
    note: Note,
    /// Has the thread of the binding look.
    tell: OnceLock<Box<dyn Fn() + Send + Sync>>,
    myself: Weak<Self>,
    born: ForkGeneration,
}

#[derive(Default)]
struct OwnPools {
    /// By number; those that are dropped stay in the list.
    pools: Vec<Weak<PoolInner>>,
    /// The pool that the end makes by itself.
    default: Option<Pool>,
    has_ended: bool,
}

#[derive(Default)]
struct ReceivedPools {
    /// Number of pools that the peer has offered.
    offered: usize,
    /// Those that are in use.
    pools: Vec<Arc<ReceivedPool>>,
}

const OVER_LIMIT: &str = "this process would hold too much for the peer";

thread_local! {
    /// The end whose handler this thread runs: it looks when the handler has returned.
    static DELIVERING: Cell<*const BulkEnd> = const { Cell::new(ptr::null()) };
}

/// Notes that this thread looks at an end later, until dropped.
struct Delivering(*const BulkEnd);

impl Delivering {
    fn begin(end: &BulkEnd) -> Self {
        Self(DELIVERING.replace(end))
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        DELIVERING.set(self.0);
    }
}

impl BulkEnd {
    /// Returns the pools of a binding with a peer that has this account. There is none yet.
    #[must_use]
    pub fn new(
        memory: &'static dyn BulkMemory,
        is_local: bool,
        account: Option<Account>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            memory,
            is_local,
            account,
            own: Mutex::default(),
            received: Mutex::default(),
            news: Mutex::default(),
            spare: Mutex::default(),
            note: Note::new(),
            tell: OnceLock::new(),
            myself: Weak::clone(myself),
            born: ForkGeneration::now(),
        })
    }

    /// Sets what has the thread of the binding look for news; the first call counts.
    pub fn tell_by(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.tell.set(Box::new(tell));
    }

    /// Makes a pool and offers it to the peer.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn make(&self, slots: Slots) -> Result<Pool, PoolError> {
        let rounded = slots.rounded().ok_or(PoolError::Shape(slots))?;
        if !self.born.is_here() {
            return Err(PoolError::Closed);
        }
        let mut own = self.own.lock();
        if own.has_ended {
            return Err(PoolError::Closed);
        }
        let number = u8::try_from(own.pools.len()).map_err(|_| PoolError::TooMany)?;
        let (memory, cap) = if self.is_local {
            (pool::heap_slots(rounded), None)
        } else {
            let made = self.memory.make(rounded.count, rounded.bytes);
            let (memory, cap) = made.map_err(|error| PoolError::Os(error.into()))?;
            (memory, Some(cap))
        };
        let pool = Pool::of(number, rounded, memory, Weak::clone(&self.myself));
        own.pools.push(Arc::downgrade(&pool.0));
        let local = cap.is_none().then(|| pool::publish_local(pool.0.shared()));
        drop(own);
        self.add(News::Offer { pool: number, slots: rounded, local, cap });
        Ok(pool)
    }

    /// Returns the pool that the end makes by itself, with the [default shape](Slots::default).
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn default_pool(&self) -> Result<Pool, PoolError> {
        if !self.born.is_here() {
            return Err(PoolError::Closed);
        }
        if let Some(pool) = &self.own.lock().default {
            return Ok(pool.clone());
        }
        let made = self.make(Slots::default())?;
        let mut own = self.own.lock();
        if own.has_ended {
            return Err(PoolError::Closed);
        }
        let pool = own.default.get_or_insert(made.clone()).clone();
        drop(own);
        Ok(pool)
    }

    /// Returns a pool from which a buffer of `len` bytes can be taken and sent.
    pub(super) fn open_pool(&self, len: usize) -> Option<Pool> {
        if !self.born.is_here() {
            return None;
        }
        let own = self.own.lock();
        let mut pools = own.pools.iter().filter_map(Weak::upgrade);
        pools.find(|pool| pool.shape.bytes >= len && pool.is_open()).map(Pool)
    }

    /// The handles to a pool are gone.
    pub(super) fn pool_dropped(&self, number: u8) {
        self.add(News::End(number));
    }

    /// A slot was released.
    pub(super) fn released(&self) {
        if DELIVERING.get() != ptr::from_ref(self) {
            self.look();
        }
    }

    /// Has the thread of the binding wake a task.
    pub(super) fn wake_later(&self, waker: Waker) {
        self.add(News::Wake(waker));
    }

    fn add(&self, news: News) {
        self.news.lock().push(news);
        self.look();
    }

    fn look(&self) {
        if self.note.set()
            && let Some(tell) = self.tell.get()
        {
            tell();
        }
    }

    /// Returns true if there may be something that the peer is to learn.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.note.is_set()
    }

    /// Takes out what the peer is to learn. Called in the thread of the binding.
    pub fn take_news(&self) -> Vec<News> {
        self.note.take();
        core::mem::take(&mut *self.news.lock())
    }

    /// Calls `tell` with the slots that were released: number of the pool, the first slot, and a bit for each of 64 from it.
    pub fn take_released(&self, mut tell: impl FnMut(u8, u64, u64)) {
        let received = self.received.lock();
        for pool in &received.pools {
            for (first, mask) in pool.take_released() {
                tell(pool.number(), first, mask);
            }
        }
    }

    /// The peer has answered an offer. Returns false if it had none to answer.
    pub fn answered(&self, number: u64, is_taken: bool) -> bool {
        let own = self.own.lock();
        let pool = usize::try_from(number).ok().and_then(|number| own.pools.get(number));
        match pool.map(Weak::upgrade) {
            Some(Some(pool)) => {
                drop(own);
                pool.answered(is_taken)
            }
            Some(None) => true,
            None => false,
        }
    }

    /// The peer is done with slots of a pool of this end. Returns false if they were not lent.
    pub fn given_back(&self, number: u64, first: u64, mask: u64) -> bool {
        let own = self.own.lock();
        let pool = usize::try_from(number).ok().and_then(|number| own.pools.get(number));
        match pool.map(Weak::upgrade) {
            Some(Some(pool)) => {
                drop(own);
                pool.give_back(first, mask)
            }
            Some(None) => true,
            None => false,
        }
    }

    /// The peer offers a pool. Returns true if it is taken.
    ///
    /// # Errors
    /// If no correct peer makes such an offer.
    pub fn offered(&self, offer: ReceivedOffer) -> Result<bool, &'static str> {
        let ReceivedOffer { pool: number, slots, local, cap } = offer;
        let mut received = self.received.lock();
        if number != received.offered as u64 || received.offered >= MAX_POOLS {
            return Err("a pool is offered out of turn");
        }
        received.offered += 1;
        let number = number as u8;
        if slots.rounded() != Some(slots) || received.pools.len() >= MAX_RECEIVED {
            return Ok(false);
        }
        let accepted = match (self.is_local, local, cap) {
            (true, Some(id), None) => match pool::find_local(id) {
                Some(pool) if pool.shape == slots => {
                    Ok((ReceivedMemory::Process(pool), Vec::new()))
                }
                _ => return Ok(false),
            },
            (false, None, Some(cap)) => {
                let bytes = slots.count * slots.bytes;
                self.charge(bytes, false).map_err(|_| OVER_LIMIT).and_then(|charges| {
                    let memory = self.memory.accept(cap, bytes)?;
                    Ok((ReceivedMemory::Mapped(memory), charges))
                })
            }
            _ => return Err("a pool is offered without its memory"),
        };
        let (memory, charges) = match accepted {
            Ok(accepted) => accepted,
            Err(why) => {
                tracing::debug!(why, "a pool of the peer is not taken");
                return Ok(false);
            }
        };
        let pool = ReceivedPool::new(number, slots, memory, Weak::clone(&self.myself), charges);
        received.pools.push(Arc::new(pool));
        Ok(true)
    }

    /// Charges a mapping to the account of the peer, and a descriptor if one is kept.
    fn charge(&self, bytes: usize, has_descriptor: bool) -> Result<Vec<Charge>, OverLimit> {
        let Some(account) = &self.account else { return Ok(Vec::new()) };
        let mut charges = vec![account.charge(Resource::Mappings, 1)?];
        charges.push(account.charge(Resource::Bytes, bytes as u64)?);
        if has_descriptor {
            charges.push(account.charge(Resource::Descriptors, 1)?);
        }
        Ok(charges)
    }

    /// The peer has dropped a pool. Returns false if it never had it.
    pub fn peer_dropped(&self, number: u64) -> bool {
        let mut received = self.received.lock();
        // Those who still read slots of it keep it until they are done.
        received.pools.retain(|pool| u64::from(pool.number()) != number);
        number < received.offered as u64
    }

    /// The binding has ended.
    pub fn ended(&self) {
        // A forked child takes no locks of its parent.
        if !self.born.is_here() {
            return;
        }
        let (pools, default) = {
            let mut own = self.own.lock();
            own.has_ended = true;
            (own.pools.iter().filter_map(Weak::upgrade).collect::<Vec<_>>(), own.default.take())
        };
        pools.iter().for_each(|pool| pool.ended());
        drop(default);
        let received = core::mem::take(&mut self.received.lock().pools);
        drop(received);
    }

    /// Finds the slots and the memory that a message names, and puts them beside its capabilities for the decoder.
    ///
    /// # Errors
    /// [`DecodeError::Bulk`] if it names what it may not name.
    pub fn resolve(&self, bulks: &Bulks, message: &mut Received<'_>) -> Result<(), DecodeError> {
        for bits in bulks.heads(message.words) {
            // The decoder compares the length with the maximum of the argument.
            let head = BulkHead::from_bits(bits, MAX_BULK)?;
            let found = match head.way {
                BulkWay::Inline => continue,
                BulkWay::Slot { pool, slot } => {
                    let received = self.received.lock();
                    let pool = received.pools.iter().find(|known| known.number() == pool);
                    let pool = pool.ok_or(DecodeError::Bulk("the pool was not accepted"))?;
                    Found::Slot(pool.lease(slot, head.len).map_err(DecodeError::Bulk)?)
                }
                BulkWay::Sealed => {
                    let charges = self.charge(head.len as usize, true);
                    let charges = charges.map_err(|_| DecodeError::Bulk(OVER_LIMIT))?;
                    Found::Memory(self.memory, charges)
                }
            };
            let mut place = self.spare.lock().pop().unwrap_or_default();
            *place = Some(found);
            message.caps.push(Cap::holding(place));
        }
        Ok(())
    }

    /// A message of the peer is lost, with its capabilities: the slots that it names are released.
    pub fn discard(&self, bulks: &Bulks, words: &[u64]) {
        for (pool, slot, len) in named_slots(bulks, words) {
            let pool = {
                let received = self.received.lock();
                received.pools.iter().find(|known| known.number() == pool).map(Arc::clone)
            };
            // A slot that the peer may not name needs no release.
            drop(pool.map(|pool| pool.lease(slot, len)));
        }
    }

    /// A message of this end that was accepted is lost, with its capabilities: its slots are free again.
    pub fn lost(&self, bulks: &Bulks, words: &[u64]) {
        for (pool, slot, _) in named_slots(bulks, words) {
            let pool = self.own.lock().pools.get(usize::from(pool)).and_then(Weak::upgrade);
            if let Some(pool) = pool {
                pool.not_sent(slot);
            }
        }
    }

    /// Takes back the memory of a place.
    pub(super) fn reuse(&self, place: Place) {
        let mut spare = self.spare.lock();
        if spare.len() < MAX_SPARE {
            spare.push(place);
        }
    }

    /// Runs a handler of the binding: slots that it releases in this thread are not told of one by one.
    pub fn deliver<T>(&self, handler: impl FnOnce() -> T) -> T {
        let _delivering = Delivering::begin(self);
        handler()
    }
}

/// A place beside the capabilities of a message: what was found for a bulk argument, until the argument is decoded.
pub(super) type Place = Box<Option<Found>>;

/// The most empty places that are kept.
const MAX_SPARE: usize = 8;

/// Returns pool, slot and length of each slot that the words of a message name. A head that is not sound names none.
fn named_slots<'a>(
    bulks: &'a Bulks,
    words: &'a [u64],
) -> impl Iterator<Item = (u8, u16, u32)> + 'a {
    bulks.heads(words).filter_map(|bits| match BulkHead::from_bits(bits, MAX_BULK) {
        Ok(BulkHead { len, way: BulkWay::Slot { pool, slot } }) => Some((pool, slot, len)),
        _ => None,
    })
}

/// What a bulk argument of a received message needs to be read.
pub(super) enum Found {
    Slot(Lease),
    /// What maps its capability, and what that costs on the account of the peer.
    Memory(&'static dyn BulkMemory, Vec<Charge>),
}

/// An offer of the peer.
#[derive(Debug)]
pub struct ReceivedOffer {
    /// Number of the pool.
    pub pool: u64,
    /// Shape of the pool.
    pub slots: Slots,
    /// The number of the pool in this process.
    pub local: Option<u64>,
    /// The capability of the memory.
    pub cap: Option<Cap>,
}

impl fmt::Debug for BulkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkEnd").finish_non_exhaustive()
    }
}
