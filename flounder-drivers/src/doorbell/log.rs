//! The log of a doorbell: one page of entries, each of which names a slot that was rung.
//!
//! The sender of rings alone writes it. Entry `n` lies at `n mod 512`, with `n + 1` in its upper half: so the reader sees that
//! an entry is new, and that it was overrun.

use std::os::fd::OwnedFd;

use flounder_rt::cap::Cap;
use flounder_rt::channel::ConnectError;
use rustix::io::Errno;

use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::seal::{AcceptedRegion, RegionSize, accept_region, create_sealed};
use crate::mem::{LINE_WORDS, LineMemory, OwnMemory, tag};
use crate::sync::Ordering;

/// Number of pages of a log.
const LOG_PAGES: usize = 1;

/// Returns a log for this process to write, its descriptor for the peer, and its inode.
pub(crate) fn new_log() -> Result<(MappedOwn, OwnedFd, u64), Errno> {
    create_sealed(LOG_PAGES)
}

/// Checks a log that the peer has made.
///
/// # Errors
/// [`ConnectError::Refused`] if the log is not one page or not sealed as a region must be;
/// [`ConnectError::Os`] if a system call fails.
pub(crate) fn accept_log(fd: Cap) -> Result<AcceptedRegion, ConnectError> {
    accept_region(fd, RegionSize::Pages(LOG_PAGES, "the log is not one page"))
}

/// The log of the peer's doorbell, which this process writes.
#[derive(Debug)]
pub(super) struct LogWriter {
    lines: MappedOwn,
    /// Number of the next entry.
    next: u64,
}

impl LogWriter {
    pub(super) const fn new(lines: MappedOwn) -> Self {
        Self { lines, next: 0 }
    }

    /// Adds an entry for `slot`, in place of the oldest.
    pub(super) fn append(&mut self, slot: u32) {
        let (line, word) = locate(self.next, self.lines.lines());
        // SYNC wake-log: Release, pairs with the Acquire in `LogReader::read`; the socket orders it as well, except when full.
        let entry = u64::from(tag(self.next)) << 32 | u64::from(slot);
        self.lines.store(line, word, entry, Ordering::Release);
        self.next += 1;
    }
}

/// The log of this process's doorbell, which the peer writes.
pub(super) struct LogReader {
    lines: MappedPeer,
    /// Number of the next entry to read.
    next: u64,
}

/// Whether a reader has seen every entry of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "if entries are lost, any slot may have been rung"]
pub(super) enum LogRead {
    All,
    /// Some are overwritten, or there are more than one visit may read.
    Lost,
}

impl LogReader {
    pub(super) const fn new(lines: MappedPeer) -> Self {
        Self { lines, next: 0 }
    }

    /// Returns true if [`read`](Self::read) has something to read. One load.
    #[inline]
    pub(super) fn has_entry(&self) -> bool {
        self.next_entry().is_some()
    }

    /// Returns the next entry, and how many are lost before it.
    #[inline]
    fn next_entry(&self) -> Option<(u64, u32)> {
        let (line, word) = locate(self.next, self.lines.lines());
        // SYNC wake-log: Acquire, pairs with the Release in `LogWriter::append`.
        let entry = self.lines.load(line, word, Ordering::Acquire);
        let ahead = ((entry >> 32) as u32).wrapping_sub(tag(self.next));
        (ahead == 0 || entry != 0 && ahead <= u32::MAX / 2).then_some((entry, ahead))
    }

    /// Calls `rung` with the slot of each entry since the last call. One load if there is none.
    pub(super) fn read(&mut self, mut rung: impl FnMut(u32)) -> LogRead {
        let entries = (self.lines.lines() * LINE_WORDS) as u64;
        for _ in 0..entries {
            let Some((entry, lost)) = self.next_entry() else { return LogRead::All };
            self.next += u64::from(lost) + 1;
            if lost > 0 {
                // Overrun: the entries between are gone.
                return LogRead::Lost;
            }
            rung(entry as u32);
        }
        // At most as many as the log holds in one visit: more may follow, and a hostile peer can make them up.
        LogRead::Lost
    }
}

/// Returns the line and the word of an entry.
fn locate(entry: u64, lines: usize) -> (usize, usize) {
    let at = (entry % (lines * LINE_WORDS) as u64) as usize;
    (at / LINE_WORDS, at % LINE_WORDS)
}
