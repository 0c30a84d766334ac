//! Pools: memory that one end of a binding writes and the other one reads, in slots of one size.
//!
//! ```text
//!            take                    send: `lend`               the reader is done: `give_back`
//!   free ----------> BufferMut ----------------------> lent ------------------------------------> free
//!    ^                  |  ^                             |
//!    '------ drop ------'  '---- the send is refused ----'
//! ```
//! Slots are reused last in, first out, so that the bytes of the next buffer are still in the caches. The memory of a slot is
//! in one place at a time: in `free`, in a [`BufferMut`], or in `lent`; only a `BufferMut` writes it.
//!
//! Within a process the reader takes the memory itself out of `lent`, and puts it back when it is done.

use core::fmt;
use core::future::Future;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::end::BulkEnd;
use super::memory::{HeapSlot, SlotMemory};
use crate::errno::Errno;
use crate::fork::{ForkGeneration, PerProcess};

/// Largest number of bytes of a pool: 64 MiB.
pub const MAX_POOL_BYTES: usize = 64 << 20;

/// Largest number of slots of a pool.
pub const MAX_SLOTS: usize = 1 << 16;

/// The size of a slot is a multiple of this number of bytes: no two slots share a line.
pub(super) const SLOT_ALIGN: usize = 64;

/// Shape of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Number of slots, 1 to 65,536.
    pub count: usize,
    /// Bytes of each slot, rounded up to a multiple of 64.
    pub bytes: usize,
}

impl Default for Slots {
    /// Returns 16 slots of 64 KiB.
    fn default() -> Self {
        Self { count: 16, bytes: 64 << 10 }
    }
}

impl Slots {
    /// Returns the slots with the size rounded up; `None` if there can be no such pool.
    pub(super) fn rounded(self) -> Option<Self> {
        let bytes = self.bytes.checked_next_multiple_of(SLOT_ALIGN)?;
        let slots = Self { bytes, ..self };
        let all = self.count.checked_mul(bytes)?;
        let fits = (1..=MAX_POOL_BYTES).contains(&all) && self.count <= MAX_SLOTS;
        fits.then_some(slots)
    }
}

/// Buffers that the peer of a binding reads in place. Clones are the same pool.
///
/// The peer has to agree first, which takes one exchange of messages; until then, and if it refuses, a buffer travels as
/// other bytes do. A slot is free again when the peer's handler has returned, or has dropped what it kept.
#[derive(Clone)]
pub struct Pool(pub(super) Arc<PoolInner>);

/// A pool, for those who send with it. When the last of them is gone, so is the pool.
pub(super) struct PoolInner {
    /// Number at the binding.
    pub(super) number: u8,
    pub(super) end: Weak<BulkEnd>,
    slots: Arc<PoolSlots>,
}

impl Deref for PoolInner {
    type Target = Arc<PoolSlots>;

    fn deref(&self) -> &Arc<PoolSlots> {
        &self.slots
    }
}

/// The slots of a pool. A reader in this process has them, too.
pub(super) struct PoolSlots {
    pub(super) shape: Slots,
    /// A forked child has no slots, and takes no locks of its parent: another thread may hold them there for ever.
    born: ForkGeneration,
    state: Mutex<PoolState>,
}

struct PoolState {
    status: PoolStatus,
    /// The free slots; the last one is taken first.
    free: Vec<(u16, Box<dyn SlotMemory>)>,
    /// Memory of the slots that messages name; empty within a process while the reader has it.
    lent: Vec<Lent>,
    /// Number of slots that are lent.
    lent_count: usize,
    /// The pool itself while slots are lent: a message that names a slot may still be on its way when the last handle is
    /// dropped, and must not come after the news that the pool is gone.
    keeper: Option<Arc<PoolInner>>,
    /// Wakers of tasks that wait for a slot, in order.
    waiting: VecDeque<(u64, Waker)>,
    next_ticket: u64,
}

/// A slot, as its writer sees it.
enum Lent {
    /// It is free, or in a buffer.
    No,
    Here(Box<dyn SlotMemory>),
    /// The reader, of this process, has the memory.
    WithReader,
}

/// Whether slots may be named in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PoolStatus {
    /// The peer has not answered the offer.
    Offered,
    Open,
    /// The peer does not take the pool.
    Refused,
    /// The binding has ended.
    Ended,
}

/// One end of a binding whose interface has bulk data: every generated `Binding` of such an interface.
pub trait PoolOwner {
    /// Makes a pool, and offers it to the peer.
    ///
    /// # Errors
    /// [`PoolError`].
    fn make_pool(&self, slots: Slots) -> Result<Pool, PoolError>;
}

impl Pool {
    /// Makes a pool for what one end of a binding sends, and offers it to the peer.
    ///
    /// # Errors
    /// [`PoolError::Shape`] if there can be no such pool; [`PoolError::Reach`] if the driver or the peer has none;
    /// [`PoolError::Closed`] if the binding has ended; [`PoolError::TooMany`]; [`PoolError::Os`].
    pub fn new(binding: &impl PoolOwner, slots: Slots) -> Result<Self, PoolError> {
        binding.make_pool(slots)
    }

    pub(super) fn of(
        number: u8,
        slots: Slots,
        memory: Vec<Box<dyn SlotMemory>>,
        end: Weak<BulkEnd>,
    ) -> Self {
        let lent = memory.iter().map(|_| Lent::No).collect();
        // There are at most `MAX_SLOTS`.
        let numbered = memory.into_iter().enumerate().map(|(slot, memory)| (slot as u16, memory));
        let free = numbered.rev().collect();
        let state = PoolState {
            status: PoolStatus::Offered,
            free,
            lent,
            lent_count: 0,
            keeper: None,
            waiting: VecDeque::new(),
            next_ticket: 0,
        };
        let slots = Arc::new(PoolSlots {
            shape: slots,
            born: ForkGeneration::now(),
            state: Mutex::new(state),
        });
        Self(Arc::new(PoolInner { number, end, slots }))
    }

    /// Returns the shape of the pool.
    #[must_use]
    pub fn slots(&self) -> Slots {
        self.0.shape
    }

    /// Returns true if the peer reads buffers in place: it has taken the pool, and the binding has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Returns a buffer of `len` bytes, with whatever bytes were in it before.
    ///
    /// To wait for a slot, await [`Self::taken`]. A loop over [`Waitset::dispatch`](crate::Waitset::dispatch)
    /// does not do: a slot that comes back within a process is no event of a waitset.
    ///
    /// # Errors
    /// [`PoolError::Busy`] if all slots are out, or others wait for one. [`PoolError::TooLong`] if `len` is over the size of a
    /// slot. [`PoolError::Closed`] if the binding has ended.
    pub fn take(&self, len: usize) -> Result<BufferMut, PoolError> {
        self.0.take(len, None)
    }

    /// Returns a buffer of `len` bytes, once a slot is free. Those who wait get slots in order.
    pub const fn taken(&self, len: usize) -> Taking<'_> {
        Taking { pool: self, len, ticket: None }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.born.is_here() {
            return f.debug_struct("Pool").field("slots", &self.0.shape).finish_non_exhaustive();
        }
        let state = self.0.state.lock();
        f.debug_struct("Pool")
            .field("slots", &self.0.shape)
            .field("free", &state.free.len())
            .field("status", &state.status)
            .finish_non_exhaustive()
    }
}

impl PoolInner {
    /// Returns what a reader in this process has of the pool.
    pub(super) const fn shared(&self) -> &Arc<PoolSlots> {
        &self.slots
    }

    fn take(self: &Arc<Self>, len: usize, ticket: Option<u64>) -> Result<BufferMut, PoolError> {
        if len > self.shape.bytes {
            return Err(PoolError::TooLong { len, max: self.shape.bytes });
        }
        if !self.born.is_here() {
            return Err(PoolError::Closed);
        }
        let mut state = self.state.lock();
        if state.status == PoolStatus::Ended {
            return Err(PoolError::Closed);
        }
        let first = state.waiting.front().map(|(ticket, _)| *ticket);
        if first.is_some() && first != ticket {
            return Err(PoolError::Busy);
        }
        let (slot, memory) = state.free.pop().ok_or(PoolError::Busy)?;
        drop(state);
        Ok(BufferMut { pool: Arc::clone(self), slot, len, memory: Some(memory) })
    }

    /// Returns true if messages may name slots.
    pub(super) fn is_open(&self) -> bool {
        self.born.is_here() && self.state.lock().status == PoolStatus::Open
    }

    /// The peer has answered the offer. Returns false if it had done so before.
    pub(super) fn answered(&self, is_taken: bool) -> bool {
        let mut state = self.state.lock();
        match state.status {
            PoolStatus::Offered => {
                state.status = if is_taken { PoolStatus::Open } else { PoolStatus::Refused };
                true
            }
            PoolStatus::Ended => true,
            PoolStatus::Open | PoolStatus::Refused => false,
        }
    }

    /// The binding has ended: nothing is taken any more. What is lent stays as it is, since the peer may be reading it.
    pub(super) fn ended(&self) {
        let (waiting, keeper) = {
            let mut state = self.state.lock();
            state.status = PoolStatus::Ended;
            (core::mem::take(&mut state.waiting), state.keeper.take())
        };
        drop(keeper);
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// A message names the slot of `buffer`.
    pub(super) fn lend(mut buffer: BufferMut) {
        if !buffer.pool.born.is_here() {
            return;
        }
        let Some(memory) = buffer.memory.take() else { return };
        memory.publish(buffer.len);
        let mut state = buffer.pool.state.lock();
        state.lent[usize::from(buffer.slot)] = Lent::Here(memory);
        state.lent_count += 1;
        if state.status != PoolStatus::Ended {
            state.keeper.get_or_insert_with(|| Arc::clone(&buffer.pool));
        }
    }

    /// The message that names the slot was not sent.
    pub(super) fn unlend(self: &Arc<Self>, slot: u16, len: usize) -> Option<BufferMut> {
        if !self.born.is_here() {
            return None;
        }
        let (lent, keeper) = {
            let mut state = self.state.lock();
            let lent = core::mem::replace(&mut state.lent[usize::from(slot)], Lent::No);
            let keeper = state.comes_back(!matches!(lent, Lent::No));
            (lent, keeper)
        };
        drop(keeper);
        match lent {
            Lent::Here(memory) => {
                Some(BufferMut { pool: Arc::clone(self), slot, len, memory: Some(memory) })
            }
            Lent::No | Lent::WithReader => None,
        }
    }

    /// A message that names the slot, and was accepted, will not be sent. May be called with anything borrowed or locked.
    pub(super) fn not_sent(&self, slot: u16) {
        if !self.born.is_here() {
            return;
        }
        let (keeper, waker) = {
            let mut state = self.state.lock();
            let Some(lent) = state.lent.get_mut(usize::from(slot)) else { return };
            match core::mem::replace(lent, Lent::No) {
                Lent::Here(memory) => state.free.push((slot, memory)),
                other => {
                    *lent = other;
                    return;
                }
            }
            (state.comes_back(true), state.next_waker())
        };
        drop(keeper);
        if let (Some(waker), Some(end)) = (waker, self.end.upgrade()) {
            end.wake_later(waker);
        }
    }

    /// The reader is done with slots `first + i` for each bit `i` of `mask`. Returns false if one of them was not lent.
    pub(super) fn give_back(&self, first: u64, mask: u64) -> bool {
        let (mut wakers, mut keeper) = (Vec::new(), None);
        let is_sound = {
            let mut state = self.state.lock();
            let slots =
                (0..64).filter(|bit| mask >> bit & 1 == 1).map(|bit| first.saturating_add(bit));
            let mut is_sound = true;
            for slot in slots {
                let index = usize::try_from(slot).unwrap_or(usize::MAX);
                let lent = state.lent.get_mut(index).map(|lent| core::mem::replace(lent, Lent::No));
                let Some(Lent::Here(memory)) = lent else {
                    is_sound = false;
                    continue;
                };
                state.free.push((index as u16, memory));
                keeper = keeper.or(state.comes_back(true));
                wakers.extend(state.next_waker());
            }
            is_sound
        };
        drop(keeper);
        wakers.into_iter().for_each(Waker::wake);
        is_sound
    }

    fn wait(&self, ticket: &mut Option<u64>, waker: &Waker) {
        // To copy or to drop a waker is user code: nothing is locked.
        let waker = waker.clone();
        let old = {
            let mut state = self.state.lock();
            let ticket = *ticket.get_or_insert_with(|| {
                state.next_ticket += 1;
                state.next_ticket
            });
            match state.waiting.iter_mut().find(|(known, _)| *known == ticket) {
                Some((_, known)) => Some(core::mem::replace(known, waker)),
                None => {
                    state.waiting.push_back((ticket, waker));
                    None
                }
            }
        };
        drop(old);
    }

    /// Somebody waits no longer: the next one may have its turn.
    fn leave(&self, ticket: u64) {
        if !self.born.is_here() {
            return;
        }
        let (left, next) = {
            let mut state = self.state.lock();
            let at = state.waiting.iter().position(|(known, _)| *known == ticket);
            let left = at.and_then(|at| state.waiting.remove(at));
            (left, state.next_waker())
        };
        drop(left);
        if let Some(next) = next {
            next.wake();
        }
    }
}

impl PoolSlots {
    /// Takes the memory of a lent slot, for a reader in this process.
    pub(super) fn take_lent(&self, slot: u16) -> Option<Box<dyn SlotMemory>> {
        let mut state = self.state.lock();
        let lent = state.lent.get_mut(usize::from(slot))?;
        match core::mem::replace(lent, Lent::WithReader) {
            Lent::Here(memory) => Some(memory),
            other => {
                *lent = other;
                None
            }
        }
    }

    /// The reader in this process is done with a slot.
    pub(super) fn return_lent(&self, slot: u16, memory: Box<dyn SlotMemory>) {
        let keeper = {
            let mut state = self.state.lock();
            state.lent[usize::from(slot)] = Lent::No;
            state.comes_back(true)
        };
        self.put(slot, memory);
        drop(keeper);
    }

    /// Puts a slot back among the free ones.
    fn put(&self, slot: u16, memory: Box<dyn SlotMemory>) {
        if !self.born.is_here() {
            return;
        }
        let waker = {
            let mut state = self.state.lock();
            state.free.push((slot, memory));
            state.next_waker()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl PoolState {
    /// A slot comes back, if `was_lent`. Returns the handle that kept the pool, to be dropped when nothing is locked, if it was
    /// the last one.
    fn comes_back(&mut self, was_lent: bool) -> Option<Arc<PoolInner>> {
        self.lent_count -= usize::from(was_lent);
        if self.lent_count == 0 { self.keeper.take() } else { None }
    }

    /// Returns the waker of the first that waits, if there is a slot for it.
    fn next_waker(&self) -> Option<Waker> {
        if self.free.is_empty() {
            None
        } else {
            self.waiting.front().map(|(_, waker)| waker.clone())
        }
    }
}

impl Drop for PoolInner {
    fn drop(&mut self) {
        if let Some(end) = self.end.upgrade().filter(|_| self.born.is_here()) {
            end.pool_dropped(self.number);
        }
    }
}

/// Waits for a buffer: the future of [`Pool::taken`].
#[derive(Debug)]
#[must_use = "nothing is taken before `.await`"]
pub struct Taking<'a> {
    pool: &'a Pool,
    len: usize,
    ticket: Option<u64>,
}

impl Future for Taking<'_> {
    type Output = Result<BufferMut, PoolError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let pool = &this.pool.0;
        match pool.take(this.len, this.ticket) {
            Err(PoolError::Busy) => {}
            done => {
                if let Some(ticket) = this.ticket.take() {
                    pool.leave(ticket);
                }
                return Poll::Ready(done);
            }
        }
        pool.wait(&mut this.ticket, cx.waker());
        // A slot may have come back meanwhile.
        match pool.take(this.len, this.ticket) {
            Err(PoolError::Busy) => Poll::Pending,
            done => {
                if let Some(ticket) = this.ticket.take() {
                    pool.leave(ticket);
                }
                Poll::Ready(done)
            }
        }
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.pool.0.leave(ticket);
        }
    }
}

/// A buffer of a [`Pool`], which is filled in place and then sent.
pub struct BufferMut {
    pub(super) pool: Arc<PoolInner>,
    pub(super) slot: u16,
    pub(super) len: usize,
    /// Absent once the slot is lent.
    memory: Option<Box<dyn SlotMemory>>,
}

impl BufferMut {
    /// Returns true if messages of this binding can name the slot.
    pub(super) fn is_of(&self, end: &Arc<BulkEnd>) -> bool {
        core::ptr::eq(self.pool.end.as_ptr(), Arc::as_ptr(end)) && self.pool.is_open()
    }

    /// Makes the buffer shorter. Does nothing if it is no longer than `len`.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Deref for BufferMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes = self.memory.as_ref().map_or(&[][..], |memory| memory.bytes());
        &bytes[..self.len.min(bytes.len())]
    }
}

impl DerefMut for BufferMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = self.memory.as_mut().map_or(&mut [][..], |memory| memory.bytes_mut());
        let len = self.len.min(bytes.len());
        &mut bytes[..len]
    }
}

impl fmt::Debug for BufferMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferMut").field("slot", &self.slot).field("len", &self.len).finish()
    }
}

impl Drop for BufferMut {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.pool.put(self.slot, memory);
        }
    }
}

/// Error of a pool.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// All slots are out.
    Busy,
    /// The binding has ended.
    Closed,
    /// The buffer would be longer than a slot.
    TooLong {
        /// Length of the buffer in bytes.
        len: usize,
        /// Size of a slot in bytes.
        max: usize,
    },
    /// No pool has this shape: it has no byte, more than 64 MiB, or more than 65,536 slots.
    Shape(Slots),
    /// The binding has had as many pools as it can number, 256.
    TooMany,
    /// The driver or the peer has no pools. Bulk data travels as other bytes do.
    Reach,
    /// A system call failed.
    Os(Errno),
}

crate::debug_as_chain!(PoolError);

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("all slots of the pool are out"),
            Self::Closed => f.write_str("the binding of the pool has ended"),
            Self::TooLong { len, max } => {
                write!(f, "a buffer of {len} bytes is longer than a slot, which has {max}")
            }
            Self::Shape(Slots { count, bytes }) => {
                write!(f, "no pool has {count} slots of {bytes} bytes: it has 1 byte to 64 MiB")
            }
            Self::TooMany => f.write_str("the binding has had 256 pools"),
            Self::Reach => f.write_str("the driver or the peer has no pools"),
            Self::Os(_) => f.write_str("the memory of the pool cannot be made"),
        }
    }
}

impl Error for PoolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let Self::Os(errno) = self { Some(errno) } else { None }
    }
}

/// Pools of this process whose reader is in this process, by the number that the offer names.
static LOCAL_POOLS: PerProcess<Mutex<HashMap<u64, Weak<PoolSlots>>>> =
    PerProcess::new(|_| Mutex::default());

static NEXT_LOCAL: AtomicU64 = AtomicU64::new(1);

/// Returns memory in this process.
pub(super) fn heap_slots(slots: Slots) -> Vec<Box<dyn SlotMemory>> {
    let slot = |_| Box::new(HeapSlot(vec![0; slots.bytes].into())) as Box<dyn SlotMemory>;
    (0..slots.count).map(slot).collect()
}

/// Makes a pool known to readers in this process. Returns its number.
pub(super) fn publish_local(pool: &Arc<PoolSlots>) -> u64 {
    let id = NEXT_LOCAL.fetch_add(1, Ordering::Relaxed);
    let mut pools = LOCAL_POOLS.here().lock();
    pools.retain(|_, pool| pool.strong_count() > 0);
    pools.insert(id, Arc::downgrade(pool));
    id
}

/// Returns the pool with this number, which is then forgotten: an offer is taken once.
pub(super) fn find_local(id: u64) -> Option<Arc<PoolSlots>> {
    LOCAL_POOLS.here().lock().remove(&id)?.upgrade()
}
