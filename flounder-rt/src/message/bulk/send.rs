//! Bulk data on its way out: which way it goes, and what comes back if it is not sent.

use core::cell::{Cell, RefCell};
use core::fmt;
use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use super::data::{Bulk, Data};
use super::end::BulkEnd;
use super::memory::SealedMemory;
use super::pool::{BufferMut, PoolInner};
use crate::cap::Cap;
use crate::wire::{BulkHead, BulkWay, MAX_BULK, TooLong};

/// Bytes that are copied into the message rather than into a slot.
const FEW: usize = 4096;

/// What a bulk argument can be sent from: `&[u8]`, `&Vec<u8>` and arrays, which are copied; a [`BufferMut`], which the peer
/// reads in place; sealed memory; and data that was received ([`Bulk`]).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as bulk data",
    note = "pass a `BufferMut` of a pool of the binding, a `&Blob`, or bytes: `&[u8]`, `&Vec<u8>`"
)]
pub trait IntoBulk: Sized {
    /// Returns what is sent.
    fn into_bulk<'a>(self) -> BulkBody<'a>
    where
        Self: 'a;
}

/// What a bulk argument is sent from.
pub struct BulkBody<'a>(Body<'a>);

enum Body<'a> {
    Bytes(Cow<'a, [u8]>),
    Buffer(BufferMut),
    Sealed(Arc<dyn SealedMemory>),
}

impl<'a> BulkBody<'a> {
    /// Returns sealed memory.
    #[must_use]
    pub fn sealed(memory: Arc<dyn SealedMemory>) -> Self {
        Self(Body::Sealed(memory))
    }

    const fn bytes(bytes: &'a [u8]) -> Self {
        Self(Body::Bytes(Cow::Borrowed(bytes)))
    }
}

impl IntoBulk for &[u8] {
    fn into_bulk<'a>(self) -> BulkBody<'a>
    where
        Self: 'a,
    {
        BulkBody::bytes(self)
    }
}

impl<const N: usize> IntoBulk for &[u8; N] {
    fn into_bulk<'a>(self) -> BulkBody<'a>
    where
        Self: 'a,
    {
        BulkBody::bytes(self)
    }
}

impl IntoBulk for &Vec<u8> {
    fn into_bulk<'a>(self) -> BulkBody<'a>
    where
        Self: 'a,
    {
        BulkBody::bytes(self)
    }
}

impl IntoBulk for BufferMut {
    fn into_bulk<'a>(self) -> BulkBody<'a>
    where
        Self: 'a,
    {
        BulkBody(Body::Buffer(self))
    }
}

impl IntoBulk for Bulk<'_> {
    fn into_bulk<'a>(self) -> BulkBody<'a>
    where
        Self: 'a,
    {
        BulkBody(match self.0 {
            Data::Inline(bytes) => Body::Bytes(bytes),
            Data::Sealed(memory, _) => Body::Sealed(memory),
            Data::Buffer(buffer) => Body::Buffer(buffer),
            Data::Slot(_) => Body::Bytes(Cow::Owned(self.to_vec())),
        })
    }
}

impl IntoBulk for &Bulk<'_> {
    fn into_bulk<'a>(self) -> BulkBody<'a>
    where
        Self: 'a,
    {
        BulkBody(match &self.0 {
            Data::Inline(bytes) => Body::Bytes(Cow::Borrowed(bytes)),
            Data::Sealed(memory, _) => Body::Sealed(Arc::clone(memory)),
            Data::Buffer(buffer) => Body::Bytes(Cow::Borrowed(buffer)),
            Data::Slot(_) => Body::Bytes(Cow::Owned(self.to_vec())),
        })
    }
}

/// A bulk argument of a message that is being sent. Used by generated code.
pub struct BulkToSend<'a> {
    len: usize,
    body: Outgoing<'a>,
}

enum Outgoing<'a> {
    /// The bytes go into the message.
    Inline(Cow<'a, [u8]>),
    /// So do those of a buffer that cannot be named.
    Copied(RefCell<Option<BufferMut>>, Box<[u8]>),
    Slot(SlotToSend),
    Sealed(Arc<dyn SealedMemory>),
}

/// A slot that the message names.
struct SlotToSend {
    pool: Arc<PoolInner>,
    slot: u16,
    len: usize,
    state: Cell<SlotState>,
    buffer: RefCell<Option<BufferMut>>,
    /// True if the buffer was made for this message from bytes.
    is_copy: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SlotState {
    /// The buffer is here.
    Held,
    /// The slot is lent.
    Lent,
}

impl<'a> BulkToSend<'a> {
    /// Chooses the way of an argument, at a binding with these pools.
    #[must_use]
    pub fn new(end: Option<&Arc<BulkEnd>>, value: impl IntoBulk + 'a) -> Self {
        match (value.into_bulk().0, end) {
            (Body::Bytes(bytes), Some(end)) if bytes.len() > FEW => {
                match end.open_pool(bytes.len()).and_then(|pool| pool.take(bytes.len()).ok()) {
                    Some(mut buffer) if buffer.len() == bytes.len() => {
                        buffer.copy_from_slice(&bytes);
                        Self::in_slot(buffer, true)
                    }
                    _ => Self::inline(bytes),
                }
            }
            (Body::Bytes(bytes), _) => Self::inline(bytes),
            (Body::Buffer(buffer), Some(end)) if buffer.is_of(end) => Self::in_slot(buffer, false),
            (Body::Buffer(buffer), _) => {
                let bytes = Box::<[u8]>::from(&buffer[..]);
                Self { len: bytes.len(), body: Outgoing::Copied(RefCell::new(Some(buffer)), bytes) }
            }
            (Body::Sealed(memory), Some(_)) => {
                Self { len: memory.bytes().len(), body: Outgoing::Sealed(memory) }
            }
            (Body::Sealed(memory), None) => Self::inline(Cow::Owned(memory.bytes().to_vec())),
        }
    }

    /// Returns an argument whose bytes go into the message: a message outside of a binding.
    #[must_use]
    pub fn copied(data: &'a Bulk<'_>) -> Self {
        Self::inline(match &data.0 {
            Data::Inline(bytes) => Cow::Borrowed(bytes),
            _ => Cow::Owned(data.to_vec()),
        })
    }

    fn inline(bytes: Cow<'a, [u8]>) -> Self {
        Self { len: bytes.len(), body: Outgoing::Inline(bytes) }
    }

    fn in_slot(buffer: BufferMut, is_copy: bool) -> Self {
        let (pool, slot, len) = (Arc::clone(&buffer.pool), buffer.slot, buffer.len());
        let (state, buffer) = (Cell::new(SlotState::Held), RefCell::new(Some(buffer)));
        let slot = SlotToSend { pool, slot, len, state, buffer, is_copy };
        Self { len, body: Outgoing::Slot(slot) }
    }

    pub(super) fn check(&self, max: u32) -> Result<(), TooLong> {
        TooLong::check(self.len, max.min(MAX_BULK))
    }

    pub(super) fn head(&self) -> u64 {
        let way = match &self.body {
            Outgoing::Inline(_) | Outgoing::Copied(..) => BulkWay::Inline,
            Outgoing::Slot(slot) => BulkWay::Slot { pool: slot.pool.number, slot: slot.slot },
            Outgoing::Sealed(_) => BulkWay::Sealed,
        };
        // `check` comes before.
        BulkHead { len: self.len as u32, way }.to_bits()
    }

    pub(super) fn tail(&self) -> &[u8] {
        match &self.body {
            Outgoing::Inline(bytes) => bytes,
            Outgoing::Copied(_, bytes) => bytes,
            Outgoing::Slot(_) | Outgoing::Sealed(_) => &[],
        }
    }

    /// Returns the capability that goes with the message.
    pub(crate) fn cap(&self) -> Option<io::Result<Cap>> {
        if let Outgoing::Sealed(memory) = &self.body { Some(memory.cap()) } else { None }
    }

    /// The message is about to be sent: the peer may read the slot.
    pub(crate) fn lend(&self) {
        if let Outgoing::Slot(slot) = &self.body {
            slot.lend();
        }
    }

    /// The message was refused.
    pub(crate) fn unlend(&self) {
        if let Outgoing::Slot(slot) = &self.body {
            slot.unlend();
        }
    }

    /// Returns the buffer of a message that was not sent, if there was one.
    #[must_use]
    pub fn back(self) -> Option<BufferMut> {
        match self.body {
            Outgoing::Slot(slot) => slot.back(),
            Outgoing::Copied(buffer, _) => buffer.into_inner(),
            Outgoing::Inline(_) | Outgoing::Sealed(_) => None,
        }
    }

    /// Returns what comes back if a message that was put together is not sent.
    #[must_use]
    pub fn unsent(self) -> UnsentBulk {
        UnsentBulk(match self.body {
            Outgoing::Slot(slot) => Some(Unsent::Slot(slot)),
            Outgoing::Copied(buffer, _) => buffer.into_inner().map(Unsent::Buffer),
            Outgoing::Inline(_) | Outgoing::Sealed(_) => None,
        })
    }
}

impl SlotToSend {
    fn lend(&self) {
        if let Some(buffer) = self.buffer.take() {
            PoolInner::lend(buffer);
            self.state.set(SlotState::Lent);
        }
    }

    fn unlend(&self) {
        if self.state.replace(SlotState::Held) == SlotState::Lent {
            self.buffer.replace(self.pool.unlend(self.slot, self.len));
        }
    }

    fn back(self) -> Option<BufferMut> {
        self.unlend();
        self.buffer.take().filter(|_| !self.is_copy)
    }
}

impl fmt::Debug for BulkToSend<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkToSend").field("len", &self.len).finish_non_exhaustive()
    }
}

/// What a message that waits to be sent would give back. Dropped before the message is accepted, it takes the slot back.
pub struct UnsentBulk(Option<Unsent>);

enum Unsent {
    Slot(SlotToSend),
    Buffer(BufferMut),
}

impl UnsentBulk {
    /// The message was accepted.
    pub(crate) fn accepted(mut self) {
        // Nothing is taken back.
        self.0 = None;
    }

    /// Returns the buffer, if there was one.
    #[must_use]
    pub fn back(mut self) -> Option<BufferMut> {
        match self.0.take() {
            Some(Unsent::Slot(slot)) => slot.back(),
            Some(Unsent::Buffer(buffer)) => Some(buffer),
            None => None,
        }
    }
}

impl Drop for UnsentBulk {
    fn drop(&mut self) {
        if let Some(Unsent::Slot(slot)) = self.0.take() {
            slot.unlend();
        }
    }
}

impl fmt::Debug for UnsentBulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsentBulk").finish_non_exhaustive()
    }
}
