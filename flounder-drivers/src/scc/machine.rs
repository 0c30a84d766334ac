//! The real machine: memory shared by two processes or threads, and the instructions that command the caches.
//!
//! If the hardware keeps the caches of both ends coherent, the instructions only cost time. If it does not, as between the
//! hosts of a memory pool, the channel needs them.
//!
//! Two lines of the driver share one line of the processor. Both are in the same region, so they have the same writer, and a
//! reader never has a dirty copy to write back: dropping the one drops the other, which is always allowed.

use std::sync::Arc;

use flounder_rt::waitset::Watched;
use rustix::io::Errno;

use super::cache::Caches;
use super::hardware::{CacheOpReason, DoorbellFlag, Hardware, LINE_WORDS, LineCaches};
use crate::doorbell::Doorbell;
use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::{self, LineMemory, OwnMemory};
use crate::process_pair::ChannelResources;
use crate::sync::Ordering;

/// Lines of the driver in one line of the memory.
const PER_LINE: usize = mem::LINE_WORDS / LINE_WORDS;

/// The machine, as one end sees it.
pub(crate) struct Machine {
    caches: Caches,
    mine: MappedOwn,
    theirs: MappedPeer,
    /// The peer's doorbell.
    peer_doorbell: Doorbell,
    flag: Arc<DoorbellFlag>,
    /// Resources of a channel to another process, held until everything above is gone.
    resources: Option<ChannelResources>,
}

impl Machine {
    pub(crate) const fn new(
        caches: Caches,
        mine: MappedOwn,
        theirs: MappedPeer,
        peer_doorbell: Doorbell,
        flag: Arc<DoorbellFlag>,
        resources: Option<ChannelResources>,
    ) -> Self {
        Self { caches, mine, theirs, peer_doorbell, flag, resources }
    }
}

/// Returns the line and the word of the memory for a word of a line of the driver.
#[inline]
const fn locate(line: usize, word: usize) -> (usize, usize) {
    (line / PER_LINE, line % PER_LINE * LINE_WORDS + word)
}

impl Hardware for Machine {
    fn lines(&self) -> usize {
        self.mine.lines() * PER_LINE
    }

    fn peer_lines(&self) -> usize {
        self.theirs.lines() * PER_LINE
    }

    #[inline]
    fn store(&mut self, line: usize, word: usize, value: u64) {
        let (line, word) = locate(line, word);
        // SYNC scc-line: Release keeps the stores to one line in order, as the driver requires; pairs with `load`.
        self.mine.store(line, word, value, Ordering::Release);
    }

    #[inline]
    fn load(&mut self, line: usize, word: usize) -> u64 {
        let (line, word) = locate(line, word);
        // SYNC scc-line: Acquire keeps the loads in order, and what is stored later behind them; it pairs with `store`.
        self.theirs.load(line, word, Ordering::Acquire)
    }

    fn ring(&mut self) -> bool {
        let rung = self.peer_doorbell.ring();
        if !rung {
            // This end may be asleep, and has to retry.
            self.flag.wake_owner();
        }
        rung
    }

    fn ring_failure(&self) -> Option<Errno> {
        self.peer_doorbell.failure()
    }

    #[inline]
    fn rung(&mut self) -> bool {
        if self.flag.take() {
            return true;
        }
        match &self.resources {
            None => false,
            Some(resources) => {
                resources.slot.receiver().poll_log();
                self.flag.take()
            }
        }
    }

    fn watched(&self) -> Option<Arc<dyn Watched>> {
        let resources = self.resources.as_ref()?;
        Some(Arc::clone(resources.slot.receiver()) as Arc<dyn Watched>)
    }
}

impl LineCaches for Machine {
    #[inline]
    fn write_back(&mut self, line: usize, _reason: CacheOpReason) {
        let (line, word) = locate(line, 0);
        self.caches.write_back(self.mine.address(line, word));
    }

    #[inline]
    fn invalidate(&mut self, line: usize, _reason: CacheOpReason) {
        let (line, word) = locate(line, 0);
        self.caches.drop_line(self.theirs.address(line, word));
    }

    #[inline]
    fn fence_writes(&mut self, _reason: CacheOpReason) {
        self.caches.fence_writes();
    }

    #[inline]
    fn fence_reads(&mut self, _reason: CacheOpReason) {
        self.caches.fence_reads();
    }
}
