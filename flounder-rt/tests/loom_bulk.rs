//! Every interleaving of the slots of a pool at the end that reads, in their shipped source (`slot_bits.rs`): whichever threads
//! release slots, the thread of the binding tells the peer of each of them once, and the peer writes none that is being read.

mod loom_support;

use loom_support::sync;

// Models use a part of it.
#[allow(dead_code)]
#[path = "../src/message/bulk/slot_bits.rs"]
mod slot_bits;

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use loom_support::{Bell, model};
use slot_bits::{Note, SlotBits};

/// The memory of a pool, and what its reader knows of the slots. The thread of the binding does what the peer does as soon as
/// it is told: it writes a slot that is free, and names it again.
struct Pool {
    held: SlotBits,
    released: SlotBits,
    note: Note,
    /// Wakes the thread of the binding.
    bell: Bell,
    slots: [UnsafeCell<()>; 2],
}

// SAFETY:
// * Threads share the cells as two processes share memory: loom reports each access that races with another one, and the
//   value is never looked at.
unsafe impl Sync for Pool {}

impl Pool {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            held: SlotBits::new(2),
            released: SlotBits::new(2),
            note: Note::new(),
            bell: Bell::default(),
            slots: [UnsafeCell::new(()), UnsafeCell::new(())],
        })
    }

    /// The peer fills a slot, and a message names it.
    fn lend(&self, slot: u16) {
        self.slots[usize::from(slot)].with_mut(|_| ());
        assert!(self.held.set(slot), "it was released before");
    }

    /// A lease is read and dropped, by any thread.
    fn read(&self, slot: u16) {
        self.slots[usize::from(slot)].with(|_| ());
        self.held.clear(slot);
        assert!(self.released.set(slot), "it is released once");
        if self.note.set() {
            self.bell.ring();
        }
    }

    /// Tells the peer of slots until there were `count`. The peer uses each of them again at once, and `then` is called.
    fn tell(self: &Arc<Self>, count: usize, mut then: impl FnMut(u16)) {
        let mut told = 0;
        loop {
            self.note.take();
            for (first, mask) in self.released.take() {
                for slot in (0..64).filter(|bit| mask >> bit & 1 == 1).map(|bit| first + bit) {
                    let slot = u16::try_from(slot).expect("there are two slots");
                    told += 1;
                    self.lend(slot);
                    then(slot);
                }
            }
            if told == count {
                return;
            }
            self.bell.wait();
        }
    }
}

#[test]
fn slots_released_elsewhere_are_told_once_before_they_are_reused() {
    model(Some(3), || {
        let pool = Pool::new();
        let readers = [0, 1].map(|slot| {
            pool.lend(slot);
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.read(slot))
        });
        let mut seen = Vec::new();
        pool.tell(2, |slot| seen.push(slot));
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
        for reader in readers {
            reader.join().expect("no panic");
        }
        assert_eq!(pool.released.take().count(), 0);
    });
}

#[test]
fn slot_goes_round_between_its_two_ends() {
    model(Some(3), || {
        let pool = Pool::new();
        pool.lend(0);
        let mut reader = Some({
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.read(0))
        });
        let again = Arc::clone(&pool);
        let mut rounds = 0;
        pool.tell(3, |slot| {
            rounds += 1;
            if let Some(reader) = reader.take() {
                reader.join().expect("no panic");
            }
            if rounds < 3 {
                let again = Arc::clone(&again);
                reader = Some(thread::spawn(move || again.read(slot)));
            }
        });
        assert!(!pool.held.set(0), "it is lent");
    });
}
