//! Bulk data as a receiver has it.

use core::fmt;
use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::end::{Found, Place};
use super::lease::Lease;
use super::memory::SealedMemory;
use super::pool::BufferMut;
use crate::account::Charge;
use crate::cap::Cap;
use crate::wire::{BulkHead, BulkWay, DecodeError, Decoder};

/// Bulk data of a message. In a handler it may lie in memory that the peer can change at any time, so it is not simply a
/// slice: it is copied out once ([`copy_to`](Self::copy_to), [`to_vec`](Self::to_vec)), read in place word by word
/// ([`words`](Self::words)), or written to a file ([`write_to`](Self::write_to)). [`bytes`](Self::bytes) lends a slice, and
/// copies only where it must.
///
/// When it is dropped, the peer may use the memory again. [`keep`](Self::keep) returns data that is dropped later, by any
/// thread.
///
/// ```
/// use flounder_rt::bulk::BulkOwned;
///
/// let data = BulkOwned::from(vec![1, 2, 3]);
/// let mut two = [0; 2];
/// assert_eq!(data.copy_to(1, &mut two), 2);
/// assert_eq!((two, data.len()), ([2, 3], 3));
/// assert_eq!(data.words().collect::<Vec<_>>(), [u64::from_ne_bytes([1, 2, 3, 0, 0, 0, 0, 0])]);
/// assert_eq!(data.bytes(&mut Vec::new()), [1, 2, 3]);
/// ```
pub struct Bulk<'a>(pub(super) Data<'a>);

/// Bulk data that can be kept.
pub type BulkOwned = Bulk<'static>;

pub(super) enum Data<'a> {
    /// In the message itself.
    Inline(Cow<'a, [u8]>),
    /// In a slot of the peer.
    Slot(Lease),
    /// With what it costs on the account of its sender.
    Sealed(Arc<dyn SealedMemory>, Vec<Charge>),
    /// In a buffer of this process.
    Buffer(BufferMut),
}

impl Bulk<'_> {
    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Data::Inline(bytes) => bytes.len(),
            Data::Slot(lease) => lease.len(),
            Data::Sealed(memory, _) => memory.bytes().len(),
            Data::Buffer(buffer) => buffer.len(),
        }
    }

    /// Returns true if there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes where nobody can change them.
    fn stable(&self) -> Option<&[u8]> {
        match &self.0 {
            Data::Inline(bytes) => Some(bytes),
            Data::Slot(lease) => lease.bytes(),
            Data::Sealed(memory, _) => Some(memory.bytes()),
            Data::Buffer(buffer) => Some(buffer),
        }
    }

    /// Copies the bytes from offset `at` on into `into`, as many as there are. Returns their number. Each byte is read once;
    /// what is to be checked is checked in the copy.
    pub fn copy_to(&self, at: usize, into: &mut [u8]) -> usize {
        let count = self.len().saturating_sub(at).min(into.len());
        if count == 0 {
            return 0;
        }
        let into = &mut into[..count];
        match (&self.0, self.stable()) {
            (_, Some(bytes)) => into.copy_from_slice(&bytes[at..at + count]),
            (Data::Slot(lease), None) => {
                if let Some((memory, start)) = lease.foreign() {
                    memory.copy(start + at, into);
                }
            }
            _ => {}
        }
        count
    }

    /// Returns a copy.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        if let Some(bytes) = self.stable() {
            return bytes.to_vec();
        }
        let mut bytes = vec![0; self.len()];
        self.copy_to(0, &mut bytes);
        bytes
    }

    /// Returns the bytes as words of the machine, the last one filled up with zeroes: read in place, a few at a time, without
    /// memory for all of them.
    ///
    /// Each word is read once, but the peer may change it at any time, so that a second iterator may return other words. It is
    /// for what looks once: sums, searches, filters. Methods that take the whole iterator (`sum`, `fold`, `for_each`) are the
    /// fastest.
    pub const fn words(&self) -> Words<'_> {
        Words { data: self, at: 0, block: [0; BLOCK], next: 0, end: 0 }
    }

    /// Writes all bytes to a file; the kernel copies them out of the memory of the peer.
    ///
    /// # Errors
    /// The error of `write`. Part of the bytes may have been written.
    pub fn write_to(&self, fd: impl AsFd) -> io::Result<()> {
        let (fd, len) = (fd.as_fd(), self.len());
        let mut done = 0;
        while done < len {
            match self.write_from(done, fd) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_from(&self, at: usize, fd: BorrowedFd<'_>) -> io::Result<usize> {
        match (&self.0, self.stable()) {
            (_, Some(bytes)) => Ok(rustix::io::write(fd, &bytes[at..])?),
            (Data::Slot(lease), None) => match lease.foreign() {
                Some((memory, start)) => memory.write_to(start + at, self.len() - at, fd),
                None => Ok(0),
            },
            _ => Ok(0),
        }
    }

    /// Lends the bytes: where nobody can change them, in place; otherwise a copy in `scratch`.
    pub fn bytes<'s>(&'s self, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        if let Some(bytes) = self.stable() {
            return bytes;
        }
        // Bytes that are there need no zeroes first.
        scratch.resize(self.len(), 0);
        self.copy_to(0, scratch);
        scratch
    }

    /// Returns data that can be kept and given to other threads. The peer cannot use its memory before it is dropped; only
    /// bytes that came in the message itself are copied.
    #[must_use]
    pub fn keep(self) -> BulkOwned {
        Bulk(match self.0 {
            Data::Inline(bytes) => Data::Inline(Cow::Owned(bytes.into_owned())),
            Data::Slot(lease) => Data::Slot(lease),
            Data::Sealed(memory, charges) => Data::Sealed(memory, charges),
            Data::Buffer(buffer) => Data::Buffer(buffer),
        })
    }
}

/// Words that are read at a time: 2 KiB, which stay in the nearest cache.
const BLOCK: usize = 256;

/// The words of bulk data: the iterator of [`Bulk::words`].
pub struct Words<'a> {
    data: &'a Bulk<'a>,
    /// Offset of the next block in the data.
    at: usize,
    /// Words that were read, of which those from `next` to `end` were not returned.
    block: [u64; BLOCK],
    next: usize,
    end: usize,
}

impl Words<'_> {
    /// Reads the next block. Returns false at the end.
    fn read(&mut self) -> bool {
        let bytes = bytemuck::cast_slice_mut::<u64, u8>(&mut self.block);
        let count = self.data.copy_to(self.at, bytes);
        let whole = count.next_multiple_of(8);
        bytes[count..whole].fill(0);
        self.at += count;
        (self.next, self.end) = (0, whole / 8);
        count > 0
    }
}

impl Iterator for Words<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        if self.next == self.end && !self.read() {
            return None;
        }
        let word = self.block[self.next];
        self.next += 1;
        Some(word)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next + self.data.len().saturating_sub(self.at).div_ceil(8);
        (left, Some(left))
    }

    #[inline]
    fn fold<B, F: FnMut(B, u64) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = init;
        loop {
            folded = self.block[self.next..self.end].iter().copied().fold(folded, &mut f);
            self.next = self.end;
            if !self.read() {
                return folded;
            }
        }
    }
}

impl ExactSizeIterator for Words<'_> {}

impl fmt::Debug for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words").field("left", &self.len()).finish_non_exhaustive()
    }
}

impl<'a> Bulk<'a> {
    /// Reads bulk data of at most `max` bytes.
    pub(super) fn take(
        decoder: &mut Decoder<'a>,
        at: usize,
        max: u32,
    ) -> Result<Self, DecodeError> {
        let BulkHead { len, way } = decoder.bulk(at, max)?;
        Ok(Self(match way {
            BulkWay::Inline => Data::Inline(Cow::Borrowed(decoder.bytes(len as usize)?)),
            BulkWay::Slot { pool, slot } => {
                const MISSING: DecodeError = DecodeError::Bulk("slots mean nothing here");
                let caps: &mut Vec<Cap> = decoder.next_cap().map_err(|_| MISSING)?;
                let is_it =
                    |found: &Found| matches!(found, Found::Slot(lease) if lease.is_of(pool, slot));
                let Some(mut place) = take_place(caps, is_it) else { return Err(MISSING) };
                let Some(Found::Slot(lease)) = place.take() else { return Err(MISSING) };
                lease.reuse(place);
                Data::Slot(lease)
            }
            BulkWay::Sealed => {
                let caps: &mut Vec<Cap> = decoder.next_cap()?;
                let cap = Cap::take_first(caps)?;
                let caps: &mut Vec<Cap> = decoder.next_cap()?;
                let place = take_place(caps, |found| matches!(found, Found::Memory(..)));
                let Some(Found::Memory(memory, charges)) = place.and_then(|place| *place) else {
                    return Err(DecodeError::Bulk("sealed memory means nothing here"));
                };
                let sealed = memory.accept_sealed(cap, len as usize);
                Data::Sealed(sealed.map_err(DecodeError::Bulk)?, charges)
            }
        }))
    }
}

/// Takes out the place of what was found for a bulk argument of the message.
fn take_place(caps: &mut Vec<Cap>, is_it: impl Fn(&Found) -> bool) -> Option<Place> {
    let found =
        |cap: &Cap| cap.held::<Option<Found>>().and_then(Option::as_ref).is_some_and(&is_it);
    let at = caps.iter().rposition(found)?;
    caps.remove(at).into_held()
}

impl BulkOwned {
    /// Returns sealed memory of this process, for the drivers, which make it.
    #[must_use]
    pub const fn sealed(memory: Arc<dyn SealedMemory>) -> Self {
        Self(Data::Sealed(memory, Vec::new()))
    }
}

impl From<Vec<u8>> for BulkOwned {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Data::Inline(Cow::Owned(bytes)))
    }
}

impl From<BufferMut> for BulkOwned {
    fn from(buffer: BufferMut) -> Self {
        Self(Data::Buffer(buffer))
    }
}

impl fmt::Debug for Bulk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &self.0 {
            Data::Inline(_) => "inline",
            Data::Slot(_) => "slot",
            Data::Sealed(..) => "sealed",
            Data::Buffer(_) => "buffer",
        };
        write!(f, "Bulk({} bytes, {way})", self.len())
    }
}

const _: fn() = || {
    fn any_thread<T: Send + Sync>() {}
    any_thread::<BulkOwned>();
};
