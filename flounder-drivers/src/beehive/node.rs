//! A core with its kernel, and the two ways to reach it: calls of its own channels, and interrupts.
//!
//! The kernel of a core is entered by any thread that uses a channel there, one at a time. When it
//! leaves, with no lock held, a thread wakes the ends that sleep and interrupts the cores that
//! requested it. Within a process an interrupt is a call into the other core's kernel, which takes
//! in what has arrived; to another process it is the doorbell.

use core::time::Duration;
use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use rustix::io::Errno;

use flounder_rt::channel::ConnectError;
use flounder_rt::notify::{Notifier, Wake};

use crate::beehive::endpoint::PeerAddress;
use crate::beehive::hardware::{Core, Hardware};
use crate::beehive::kernel::Kernel;
use crate::doorbell::Doorbell;

/// Maximum depth of interrupts that follow from one call. The chain of credit returned for returned
/// credit ends, but other threads may send meanwhile. At this depth the sleepers of the core are
/// woken instead, to look for themselves.
const MAX_DEPTH: usize = 8;

/// A core.
///
/// The cores of a board are made one after the other. Each kernel lies on cache lines of its own, or threads that use
/// different cores would take lines away from each other.
pub(crate) struct Node {
    kernel: CachePadded<Mutex<Kernel>>,
    others: OtherCores,
}

/// Path to the other cores.
enum OtherCores {
    /// In this process.
    Board(Weak<Nodes>),
    /// One core in another process, once its doorbell has arrived.
    Process(Mutex<Option<Doorbell>>),
}

/// The cores of a board, by number.
pub(crate) struct Nodes(pub(crate) Vec<Arc<Node>>);

/// Owner of a node: a board, or the machine of two processes. It lives as long as a channel of the node.
pub(crate) trait CoreOwner: Send + Sync {}

impl Node {
    /// Returns a core of a board.
    pub(crate) fn on_board(kernel: Kernel, nodes: Weak<Nodes>) -> Arc<Self> {
        Arc::new(Self { kernel: Mutex::new(kernel).into(), others: OtherCores::Board(nodes) })
    }

    /// Returns the core that this process has toward another one, without a machine yet.
    pub(crate) fn toward_process() -> Arc<Self> {
        Arc::new(Self {
            kernel: Mutex::new(Kernel::new()).into(),
            others: OtherCores::Process(Mutex::new(None)),
        })
    }

    /// Connects the core to its machine, and to the doorbell of the process where the other core is.
    pub(crate) fn attach_hardware(&self, hardware: Box<dyn Hardware>, doorbell: Doorbell) {
        if let OtherCores::Process(slot) = &self.others {
            // There is one other core, with one doorbell: a second doorbell is the same one.
            slot.lock().get_or_insert(doorbell);
        }
        self.kernel.lock().attach_hardware(hardware);
    }

    /// Runs `what` in the kernel, and then the wake-ups that follow from it.
    pub(crate) fn enter<T>(&self, what: impl FnOnce(&mut Kernel) -> T) -> T {
        self.visit(0, what)
    }

    /// Returns an association for a new channel.
    ///
    /// # Errors
    /// [`ConnectError::Refused`] if all are in use.
    pub(crate) fn open(&self, notifier: &Notifier) -> Result<u16, ConnectError> {
        self.enter(|kernel| kernel.open(notifier.clone()))
            .ok_or(ConnectError::Refused("all 32 associations of the core are in use"))
    }

    /// Connects an association to the other end, with these windows.
    pub(crate) fn connect(&self, association: u16, peer: PeerAddress, out: u16, into: u16) {
        self.enter(|kernel| kernel.endpoint(association).connect(peer, out, into));
    }

    /// Gives up an association. No thread may be left to take in credit for its last frame, or to
    /// retry its doorbell: returns false if the other end may not learn of the close.
    pub(crate) fn abandon(&self, association: u16) -> bool {
        self.enter(|kernel| {
            kernel.poll();
            kernel.endpoint(association).abandon();
        });
        let is_told = self.enter(|kernel| kernel.close_is_reported(association));
        self.with_doorbell(Doorbell::retry_before_drop).unwrap_or(true) && is_told
    }

    /// Rings the doorbell of the other process for no channel.
    pub(crate) fn ring(&self) {
        let _ = self.with_doorbell(Doorbell::ring);
    }

    /// Rings the doorbell of the other process if a ring is pending.
    ///
    /// # Errors
    /// The error of the doorbell, if it has failed for too long.
    pub(crate) fn retry_doorbell(&self) -> Result<(), Errno> {
        self.with_doorbell(Doorbell::retry).unwrap_or(Ok(true)).map(drop)
    }

    /// Returns the longest sleep of the ends of this core, if a ring is pending.
    pub(crate) fn sleep_limit(&self) -> Option<Duration> {
        self.with_doorbell(|doorbell| doorbell.sleep_limit()).flatten()
    }

    fn with_doorbell<T>(&self, f: impl FnOnce(&mut Doorbell) -> T) -> Option<T> {
        match &self.others {
            OtherCores::Board(_) => None,
            OtherCores::Process(doorbell) => doorbell.lock().as_mut().map(f),
        }
    }

    fn visit<T>(&self, depth: usize, what: impl FnOnce(&mut Kernel) -> T) -> T {
        let mut kernel = self.kernel.lock();
        let result = what(&mut kernel);
        kernel.flush();
        let wakeups = kernel.take_wakeups();
        drop(kernel);
        for notifier in wakeups.wake {
            notifier.notify();
        }
        for core in (0..16).filter(|core| wakeups.interrupt >> core & 1 != 0) {
            self.interrupt_other(Core(core), depth);
        }
        result
    }

    fn interrupt_other(&self, core: Core, depth: usize) {
        match &self.others {
            OtherCores::Board(nodes) => {
                // A board that is being dropped has no channel that could miss the interrupt.
                if let Some(nodes) = nodes.upgrade() {
                    nodes.0[core.index()].interrupt(depth + 1);
                }
            }
            OtherCores::Process(_) => {
                if self.with_doorbell(Doorbell::ring) == Some(false) {
                    // Ends that are asleep have to retry.
                    let notifiers = self.kernel.lock().notifiers();
                    notifiers.iter().for_each(Notifier::notify);
                }
            }
        }
    }

    /// Takes in what has arrived for this core.
    fn interrupt(&self, depth: usize) {
        self.visit(depth, |kernel| {
            if depth < MAX_DEPTH {
                kernel.poll();
                kernel.ask_again();
            } else {
                kernel.wake_all();
            }
        });
    }
}

/// Enters a core's kernel when the doorbell of the process rings.
pub(crate) struct Interrupts(pub(crate) Weak<Node>);

impl Wake for Interrupts {
    fn wake(&self, _token: u64) {
        if let Some(node) = self.0.upgrade() {
            node.interrupt(0);
        }
    }
}
