//! The real machine: memory shared by two processes or threads, and the instructions that command the caches.
//!
//! Where the caches of both ends are kept coherent by the hardware, the instructions do nothing but cost their time. Where
//! they are not, as between the hosts of a pool of memory, they are what makes a channel work.
//!
//! Two lines of the driver share one of the processor. Both are in the same region, so they have the same writer, and a
//! reader never has a dirty copy to write back: dropping the one drops the other, which is always allowed.

use std::sync::Arc;

use flounder_rt::waitset::Watched;
use rustix::io::Errno;

use super::cache::Caches;
use super::hardware::{Doorbell, Hardware, LINE_WORDS, Why};
use crate::bell::Bell;
use crate::link::Held;
use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::{self, LineMemory, OwnMemory};
use crate::sync::Ordering;

/// Lines of the driver in one of the memory's.
const PER_LINE: usize = mem::LINE_WORDS / LINE_WORDS;

/// The machine, as one end sees it.
pub(crate) struct Machine {
    caches: Caches,
    mine: MappedOwn,
    theirs: MappedPeer,
    /// What rings at the peer.
    peer: Bell,
    bell: Arc<Doorbell>,
    /// Held by an end of a channel to another process until all of the above is gone.
    held: Option<Held>,
}

impl Machine {
    pub(crate) const fn new(
        caches: Caches,
        mine: MappedOwn,
        theirs: MappedPeer,
        peer: Bell,
        bell: Arc<Doorbell>,
        held: Option<Held>,
    ) -> Self {
        Self { caches, mine, theirs, peer, bell, held }
    }
}

/// Where a word of a line is.
#[inline]
const fn place(line: usize, word: usize) -> (usize, usize) {
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
        let (line, word) = place(line, word);
        // SYNC scc-line: Release keeps the stores to one line in order, as the driver wants them; it pairs with `load`.
        self.mine.store(line, word, value, Ordering::Release);
    }

    #[inline]
    fn load(&mut self, line: usize, word: usize) -> u64 {
        let (line, word) = place(line, word);
        // SYNC scc-line: Acquire keeps the loads in order, and what is stored later behind them; it pairs with `store`.
        self.theirs.load(line, word, Ordering::Acquire)
    }

    #[inline]
    fn write_back(&mut self, line: usize, _why: Why) {
        let (line, word) = place(line, 0);
        self.caches.write_back(self.mine.address(line, word));
    }

    #[inline]
    fn invalidate(&mut self, line: usize, _why: Why) {
        let (line, word) = place(line, 0);
        self.caches.drop_line(self.theirs.address(line, word));
    }

    #[inline]
    fn fence_writes(&mut self, _why: Why) {
        self.caches.fence_writes();
    }

    #[inline]
    fn fence_reads(&mut self, _why: Why) {
        self.caches.fence_reads();
    }

    fn ring(&mut self) -> bool {
        let rung = self.peer.ring();
        if !rung {
            // This end may be asleep, and has to try again.
            self.bell.wake_owner();
        }
        rung
    }

    fn ring_failure(&self) -> Option<i32> {
        self.peer.failure().map(Errno::raw_os_error)
    }

    #[inline]
    fn rung(&mut self) -> bool {
        if self.bell.take() {
            return true;
        }
        match &self.held {
            None => false,
            Some(held) => {
                held.slot.ear().look();
                self.bell.take()
            }
        }
    }

    fn watched(&self) -> Option<Arc<dyn Watched>> {
        let held = self.held.as_ref()?;
        Some(Arc::clone(held.slot.ear()) as Arc<dyn Watched>)
    }
}
