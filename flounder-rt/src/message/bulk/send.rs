//! Bulk data on its way out: which way it goes, and what comes back if it is not sent.

use core::cell::RefCell;
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
    /// Absent while the slot is lent.
    buffer: RefCell<Option<BufferMut>>,
    /// True if the buffer was made for this message from bytes.
    is_copy: bool,
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
        let buffer = RefCell::new(Some(buffer));
        let slot = SlotToSend { pool, slot, len, buffer, is_copy };
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

    /// Adds the slot, which is lent, to the capabilities of a message that is kept until it is sent.
    pub(crate) fn put_loan(&self, caps: &mut Vec<Cap>) {
        if let Outgoing::Slot(slot) = &self.body {
            let loan = Loan { pool: Some(Arc::clone(&slot.pool)), slot: slot.slot };
            caps.push(Cap::holding(Box::new(loan)));
        }
    }

    /// A message that was kept is refused: takes the slot back, if it is still among the capabilities of the message.
    pub(crate) fn take_loan(&self, caps: &mut Vec<Cap>) {
        let Outgoing::Slot(slot) = &self.body else { return };
        let is_it =
            |cap: &Cap| cap.held::<Loan>().is_some_and(|loan| loan.is_of(&slot.pool, slot.slot));
        if let Some(at) = caps.iter().position(is_it) {
            Loan::forget(caps.remove(at));
            slot.unlend();
        }
    }

    /// Returns the buffer of a message that was not sent, if there was one.
    #[must_use]
    pub fn back(self) -> Option<BufferMut> {
        match self.body {
            Outgoing::Slot(slot) => slot.buffer.into_inner().filter(|_| !slot.is_copy),
            Outgoing::Copied(buffer, _) => buffer.into_inner(),
            Outgoing::Inline(_) | Outgoing::Sealed(_) => None,
        }
    }

    /// Returns what finds the buffer among the capabilities of a message that was put together and is not sent.
    #[must_use]
    pub fn unsent(self) -> UnsentBulk {
        UnsentBulk(match self.body {
            Outgoing::Slot(slot) if !slot.is_copy => Some(Unsent::Slot(slot)),
            Outgoing::Copied(buffer, _) => buffer.into_inner().map(Unsent::Buffer),
            Outgoing::Slot(_) | Outgoing::Inline(_) | Outgoing::Sealed(_) => None,
        })
    }
}

impl SlotToSend {
    fn lend(&self) {
        if let Some(buffer) = self.buffer.take() {
            PoolInner::lend(buffer);
        }
    }

    fn unlend(&self) {
        if self.buffer.borrow().is_none() {
            self.buffer.replace(self.pool.unlend(self.slot, self.len));
        }
    }
}

impl fmt::Debug for BulkToSend<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkToSend").field("len", &self.len).finish_non_exhaustive()
    }
}

/// What a message that was put together gives back if it is not sent.
pub struct UnsentBulk(Option<Unsent>);

enum Unsent {
    Slot(SlotToSend),
    Buffer(BufferMut),
}

impl UnsentBulk {
    /// Returns the buffer of a message that was not sent, if there was one: from `caps`, the capabilities of that message,
    /// unless it is still here.
    #[must_use]
    pub fn back_from(self, caps: &mut [Option<Cap>]) -> Option<BufferMut> {
        let slot = match self.0? {
            Unsent::Buffer(buffer) => return Some(buffer),
            Unsent::Slot(slot) => slot,
        };
        if let Some(buffer) = slot.buffer.take() {
            return Some(buffer);
        }
        let is_it = |cap: &Option<Cap>| {
            let loan = cap.as_ref().and_then(Cap::held::<Loan>);
            loan.is_some_and(|loan| loan.is_of(&slot.pool, slot.slot))
        };
        let loan = caps.iter_mut().find(|cap| is_it(cap)).and_then(Option::take)?;
        Loan::forget(loan);
        slot.pool.unlend(slot.slot, slot.len)
    }
}

impl fmt::Debug for UnsentBulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsentBulk").finish_non_exhaustive()
    }
}

/// A slot that is lent for a message that waits to be sent, last among the capabilities of that message. So the slot comes
/// back wherever the message is dropped.
struct Loan {
    /// Absent once the message is sent.
    pool: Option<Arc<PoolInner>>,
    slot: u16,
}

impl Loan {
    /// The channel has the message, or somebody else takes the slot back.
    fn forget(cap: Cap) {
        if let Some(mut loan) = cap.into_held::<Self>() {
            loan.pool = None;
        }
    }

    fn is_of(&self, pool: &Arc<PoolInner>, slot: u16) -> bool {
        self.slot == slot && self.pool.as_ref().is_some_and(|own| Arc::ptr_eq(own, pool))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.not_sent(self.slot);
        }
    }
}

/// The slots that a kept message names, apart from its capabilities.
#[must_use = "dropped, they take the slots back"]
pub(crate) struct Loans(Vec<Cap>);

impl Loans {
    /// Takes the slots out of the capabilities of a message.
    #[inline]
    pub(crate) fn take_from(caps: &mut Vec<Cap>) -> Self {
        if !caps.last().is_some_and(Cap::is_held) {
            return Self(Vec::new());
        }
        let first = caps.iter().position(Cap::is_held).unwrap_or(caps.len());
        Self(caps.split_off(first))
    }

    /// Puts them back behind the capabilities of the message.
    pub(crate) fn put_back(mut self, caps: &mut Vec<Cap>) {
        caps.append(&mut self.0);
    }

    /// The binding has the message: the slots come back from the peer, or with [`BulkEnd::lost`].
    pub(crate) fn sent(self) {
        self.0.into_iter().for_each(Loan::forget);
    }
}
