//! A model of the machine, for the threads of one process: thirteen cores on a ring, each with a FIFO, and no flow control.
//!
//! A message goes into the FIFO of its receiver at once. One that finds the FIFO full stalls the ring: it never gets there,
//! nothing is sent on this ring any more, and [`Fabric::stalls`] counts it. Beehive would hang.

use core::sync::atomic::AtomicBool;
use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use flounder_rt::channel::ProtocolError;

use crate::beehive::hardware::{
    CORES, Core, FIFO_WORDS, Hardware, MAX_MESSAGE, Message, STALLED, hardware_header,
    parse_hardware_header,
};
use crate::sync::{AtomicU64, Ordering, fence};

/// The ring of cores.
#[derive(Debug)]
pub struct Fabric {
    /// Each on cache lines of its own.
    fifos: [CachePadded<Fifo>; CORES],
    stalls: AtomicU64,
}

#[derive(Debug)]
struct Fifo {
    /// Never more than [`FIFO_WORDS`].
    words: Mutex<VecDeque<u32>>,
    /// Number of words in the FIFO.
    filled: AtomicU64,
    /// Maximum number of words that were ever in the FIFO.
    fullest: AtomicU64,
    /// True if the core needs interrupts.
    listens: AtomicBool,
}

impl Fabric {
    /// Returns a ring with empty FIFOs.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let fifos = core::array::from_fn(|_| {
            CachePadded::new(Fifo {
                words: Mutex::new(VecDeque::new()),
                filled: AtomicU64::new(0),
                fullest: AtomicU64::new(0),
                listens: AtomicBool::new(false),
            })
        });
        Arc::new(Self { fifos, stalls: AtomicU64::new(0) })
    }

    /// Returns the view of one core.
    ///
    /// # Panics
    /// If there is no such core.
    #[must_use]
    pub fn port(self: &Arc<Self>, core: Core) -> Port {
        assert!(core.index() < CORES, "a ring has thirteen cores");
        Port { fabric: Arc::clone(self), core }
    }

    /// Returns the number of messages that found a FIFO full, or the ring stalled.
    #[must_use]
    pub fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    /// Returns the maximum number of words that the FIFO of this core ever held.
    #[must_use]
    pub fn fullest(&self, core: Core) -> u64 {
        self.fifos[core.index()].fullest.load(Ordering::Relaxed)
    }
}

/// View that a core has of a [`Fabric`].
#[derive(Debug)]
pub struct Port {
    fabric: Arc<Fabric>,
    core: Core,
}

impl Port {
    fn fifo(&self) -> &Fifo {
        &self.fabric.fifos[self.core.index()]
    }
}

impl Hardware for Port {
    fn cores(&self) -> usize {
        CORES
    }

    fn send(&mut self, to: Core, words: &[u32]) -> Result<(), ProtocolError> {
        assert!((1..=MAX_MESSAGE).contains(&words.len()), "a message has 1 to 63 words");
        let fifo = &self.fabric.fifos[to.index()];
        let mut queue = fifo.words.lock();
        let filled = queue.len() + 1 + words.len();
        if filled > FIFO_WORDS || self.fabric.stalls() > 0 {
            self.fabric.stalls.fetch_add(1, Ordering::Relaxed);
            return Err(STALLED);
        }
        queue.push_back(hardware_header(self.core, words.len()));
        queue.extend(words);
        // Under the lock: both follow the queue.
        fifo.filled.store(filled as u64, Ordering::Relaxed);
        fifo.fullest.fetch_max(filled as u64, Ordering::Relaxed);
        Ok(())
    }

    fn poll(&self) -> bool {
        // No word is read on the strength of this: `receive` takes the lock.
        self.fifo().filled.load(Ordering::Relaxed) > 0
    }

    fn receive(&mut self, into: &mut Message) -> Result<Option<(Core, usize)>, ProtocolError> {
        if !self.poll() {
            return Ok(None);
        }
        let fifo = self.fifo();
        let mut queue = fifo.words.lock();
        let Some(header) = queue.pop_front() else { return Ok(None) };
        let (source, length) = parse_hardware_header(header, CORES)?;
        for (word, value) in into.iter_mut().zip(queue.drain(..length)) {
            *word = value;
        }
        fifo.filled.store(queue.len() as u64, Ordering::Relaxed);
        Ok(Some((source, length)))
    }

    fn listen(&mut self, wanted: bool) {
        self.fifo().listens.store(wanted, Ordering::Relaxed);
        // SYNC interrupt: pairs with the fence in `must_interrupt`. Of the message and the wish, one side sees the other's.
        fence(Ordering::SeqCst);
    }

    fn must_interrupt(&mut self, to: Core) -> bool {
        // SYNC interrupt: pairs with the fence in `listen`.
        fence(Ordering::SeqCst);
        self.fabric.fifos[to.index()].listens.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_in_order_with_their_source() {
        let fabric = Fabric::new();
        let mut to = fabric.port(Core(12));
        let mut message = [0; MAX_MESSAGE];
        for round in 0..100_u32 {
            for source in 0..12_u8 {
                let words = [round; 63];
                let length = 1 + (round as usize + usize::from(source)) % 63;
                fabric.port(Core(source)).send(Core(12), &words[..length]).unwrap();
                if source % 2 == 1 {
                    assert!(to.poll());
                    for expected in [source - 1, source] {
                        let length = 1 + (round as usize + usize::from(expected)) % 63;
                        assert_eq!(to.receive(&mut message), Ok(Some((Core(expected), length))));
                        assert_eq!(message[..length], words[..length]);
                    }
                }
            }
        }
        assert!(!to.poll());
        assert_eq!((to.receive(&mut message), fabric.stalls()), (Ok(None), 0));
    }

    #[test]
    fn full_fifo_stalls_the_whole_ring() {
        let fabric = Fabric::new();
        let mut from = fabric.port(Core(0));
        for _ in 0..16 {
            from.send(Core(1), &[0; 63]).unwrap();
        }
        assert_eq!((fabric.fullest(Core(1)), fabric.stalls()), (1024, 0));
        assert_eq!(from.send(Core(1), &[0]), Err(STALLED));
        assert_eq!(fabric.port(Core(5)).send(Core(6), &[0]), Err(STALLED));
        assert_eq!(fabric.stalls(), 2);
    }
}
