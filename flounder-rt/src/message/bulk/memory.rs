//! What the pools of a binding need of its driver: memory that one process writes and another one reads.

use core::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::cap::Cap;

/// Memory of one slot of a pool, in the hands of its only writer.
pub trait SlotMemory: Send + Sync + fmt::Debug {
    /// Returns the bytes of the slot; none in a forked child.
    fn bytes(&self) -> &[u8];

    /// Returns the bytes of the slot, to be written; none in a forked child.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Makes the first `len` bytes visible to the reader of a message that is sent after this call. Coherent memory has
    /// nothing to do.
    fn publish(&self, _len: usize) {}
}

/// Memory of a pool of the peer, which this process only reads and the peer may change at any time.
pub trait PeerMemory: Send + Sync + fmt::Debug {
    /// Copies the bytes from offset `at` on, each of them read once.
    ///
    /// # Panics
    /// If they do not lie in the memory.
    fn copy(&self, at: usize, into: &mut [u8]);

    /// Has the kernel write bytes from offset `at` on to `fd`. Returns the number of bytes written.
    ///
    /// # Errors
    /// The error of `write`.
    ///
    /// # Panics
    /// If the bytes do not lie in the memory.
    fn write_to(&self, at: usize, len: usize, fd: BorrowedFd<'_>) -> io::Result<usize>;

    /// Drops old copies of these bytes, so that reading them after this call returns what the peer published before it sent
    /// the message that was received last. Coherent memory has nothing to do.
    fn refresh(&self, _at: usize, _len: usize) {}
}

/// Sealed memory that nobody can change.
pub trait SealedMemory: Send + Sync + fmt::Debug {
    /// Returns the bytes.
    fn bytes(&self) -> &[u8];

    /// Returns a capability for the memory.
    ///
    /// # Errors
    /// `EMFILE` at the descriptor limit.
    fn cap(&self) -> io::Result<Cap>;
}

/// Makes and accepts the memory of pools between two processes.
pub trait BulkMemory: Sync {
    /// Makes memory for `slots` slots of `slot_bytes` bytes each, and the capability for the reader.
    ///
    /// # Errors
    /// The errors of the system calls.
    fn make(&self, slots: usize, slot_bytes: usize) -> io::Result<(Vec<Box<dyn SlotMemory>>, Cap)>;

    /// Checks memory of `bytes` bytes that a peer has made, and maps it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn accept(&self, cap: Cap, bytes: usize) -> Result<Box<dyn PeerMemory>, &'static str>;

    /// Checks sealed memory of `len` bytes that a peer has made, and maps it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn accept_sealed(&self, cap: Cap, len: usize) -> Result<Arc<dyn SealedMemory>, &'static str>;
}

/// Memory of a slot whose reader is in the same process.
#[derive(Debug)]
pub(super) struct HeapSlot(pub(super) Box<[u8]>);

impl SlotMemory for HeapSlot {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
