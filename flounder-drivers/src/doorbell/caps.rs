//! Datagrams with the capabilities of a message: what is in them, and how they are sent.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use flounder_rt::cap::Cap;
use rustix::io::Errno;

use super::sender::DoorbellSender;
use crate::datagram;

/// Sends capabilities to the channel in one slot of another process.
#[derive(Debug)]
pub(crate) struct CapSender {
    sender: Arc<DoorbellSender>,
    slot: u32,
}

impl CapSender {
    pub(super) const fn new(sender: Arc<DoorbellSender>, slot: u32) -> Self {
        Self { sender, slot }
    }

    /// Sends the capabilities of message number `sequence` of `connection`, which wakes the channel. Never blocks.
    ///
    /// # Errors
    /// If the kernel has not taken them.
    pub(crate) fn send(&self, connection: u64, sequence: u64, caps: &[Cap]) -> Result<(), Errno> {
        let header = CapHeader { slot: self.slot, count: caps.len(), connection, sequence };
        let fds: Vec<BorrowedFd<'_>> = caps.iter().map(AsFd::as_fd).collect();
        let words = header.words();
        let piece = IoSlice::new(bytemuck::cast_slice(&words));
        let socket = self.sender.socket().ok_or(Errno::CHILD)?;
        datagram::transmit(socket, &[piece], &fds).map(drop)
    }
}

/// Number of words in a datagram with capabilities.
pub(super) const CAP_WORDS: usize = 3;

/// Content of a datagram with capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CapHeader {
    pub(super) slot: u32,
    /// Number of capabilities.
    pub(super) count: usize,
    pub(super) connection: u64,
    /// Number of their message among those with capabilities.
    pub(super) sequence: u64,
}

impl CapHeader {
    pub(super) const fn words(self) -> [u64; CAP_WORDS] {
        [(self.count as u64) << 32 | self.slot as u64, self.connection, self.sequence]
    }

    pub(super) const fn parse([first, connection, sequence]: [u64; CAP_WORDS]) -> Self {
        Self { slot: first as u32, count: (first >> 32) as usize, connection, sequence }
    }
}
