//! State of all channels between this process and one other: a core with its kernel, whose FIFO is
//! in the region that the other process writes, and the doorbells; and the terms that two halves of
//! a channel exchange through the brokers.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use parking_lot::Mutex;

use flounder_rt::account::{Charge, Resource};
use flounder_rt::cap::Cap;
use flounder_rt::channel::{ConnectError, Link, Offer};
use flounder_rt::notify::Notifier;

use crate::beehive::memory_port::{self, LINES, MemoryPort};
use crate::beehive::node::{CoreOwner, Interrupts, Node};
use crate::beehive::window::{MAX_WINDOW, MIN_WINDOW};
use crate::doorbell::{
    Doorbell, DoorbellReceiver, DoorbellSender, DoorbellSlot, accept_log, new_log,
};
use crate::mem::LINE_WORDS;
use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::seal::{PAGE, RegionSize, accept_region, create_sealed};
use crate::process_pair::{claim, link_state};

/// Version of the terms, the FIFO and the frames.
const VERSION: u64 = 1;
/// Flag: the socket, log and region that belong to the sender of the terms are enclosed.
const ENCLOSED: u64 = 1;
/// Flag: the sender of the terms has those of the receiver.
const HELD: u64 = 2;

/// Number of pages of a region.
const PAGES: usize = (LINES * LINE_WORDS * 8).div_ceil(PAGE);
const SIZE: RegionSize = RegionSize::Pages(PAGES, "the region is not three pages");

/// State shared by all channels between this process and one other.
pub(crate) struct CorePair {
    node: Arc<Node>,
    /// Slot at which the peer rings for the node.
    slot: DoorbellSlot,
    state: Mutex<CorePairState>,
    /// Charges for the descriptors that are kept, for logs and regions, and for the bytes of ours.
    _charges: [Charge; 3],
}

/// Descriptors that two processes keep for each other: the receiver's socket, and the sender's.
const DESCRIPTORS: u64 = 2;

/// Mappings that two processes keep for each other: a log and a region each.
const MAPPINGS: u64 = 4;

struct CorePairState {
    /// Our region and the log of our doorbell, until the machine takes them.
    own: Option<(MappedOwn, MappedOwn)>,
    /// Inodes of the regions in use: ours, and both logs.
    regions: HashSet<u64>,
}

/// Terms of the other half of a channel.
pub(crate) struct PeerTerms {
    pub(crate) association: u16,
    pub(crate) window: u16,
}

impl CoreOwner for CorePair {}

impl CorePair {
    /// Returns the state of `link`, made for the first channel.
    pub(crate) fn over(link: &Arc<dyn Link>) -> Result<Arc<Self>, ConnectError> {
        link_state(link, super::NAME, Self::new)
    }

    fn new(link: &dyn Link) -> io::Result<Self> {
        let (account, origin) = (link.account(), link.origin());
        let charges = [
            account.charge(Resource::Descriptors, DESCRIPTORS)?,
            account.charge(Resource::Mappings, MAPPINGS)?,
            account.charge(Resource::Bytes, (PAGES * PAGE) as u64)?,
        ];
        let (log_lines, log, log_inode) = new_log()?;
        let (lines, region, inode) = create_sealed(PAGES)?;
        let receiver = DoorbellReceiver::new([log, region], origin, account)?;
        // The peer checks this before there is a machine on our side.
        memory_port::initialize(&lines);
        let node = Node::toward_process();
        let interrupts = Notifier::new();
        interrupts.retarget(Arc::new(Interrupts(Arc::downgrade(&node))), 0);
        let slot = Arc::new(receiver).add_slot(interrupts);
        let regions = HashSet::from([inode, log_inode]);
        let state = CorePairState { own: Some((lines, log_lines)), regions };
        Ok(Self { node, slot, state: Mutex::new(state), _charges: charges })
    }

    pub(crate) const fn node(&self) -> &Arc<Node> {
        &self.node
    }

    pub(crate) fn receiver(&self) -> &Arc<DoorbellReceiver> {
        self.slot.receiver()
    }

    /// Returns the terms of a half: its association, and the window for what it sends.
    pub(crate) fn terms(&self, association: u16, window: u16) -> Result<Offer, ConnectError> {
        let mut flags = 0;
        let caps = self.receiver().setup_caps()?;
        if !caps.is_empty() {
            flags |= ENCLOSED;
        }
        if self.state.lock().own.is_none() {
            flags |= HELD;
        }
        let slot = u64::from(self.slot.number());
        let words = vec![VERSION, flags, slot, u64::from(association), u64::from(window)];
        Ok(Offer { words, caps })
    }

    /// Takes the terms of the other half. Whatever is wrong with them, every descriptor in them is
    /// closed or kept.
    pub(crate) fn take(&self, terms: Offer) -> Result<PeerTerms, ConnectError> {
        let [VERSION, flags, slot, association, window] = terms.words[..] else {
            return Err(ConnectError::Refused("the terms are of no known version"));
        };
        if flags & !(ENCLOSED | HELD) != 0 {
            return Err(ConnectError::Refused("the terms have unknown flags"));
        }
        let slot =
            u32::try_from(slot).map_err(|_| ConnectError::Refused("the slot is too large"))?;
        let association = u16::try_from(association)
            .map_err(|_| ConnectError::Refused("the association is too large"))?;
        let window = u16::try_from(window)
            .ok()
            .filter(|window| (MIN_WINDOW..=MAX_WINDOW).contains(window))
            .ok_or(ConnectError::Refused("the window is too small, or too large"))?;
        let mut caps = terms.caps.into_iter();
        let enclosed = match (caps.next(), caps.next(), caps.next(), caps.next()) {
            (None, ..) if flags & ENCLOSED == 0 => None,
            (Some(sender), Some(log), Some(region), None) if flags & ENCLOSED != 0 => {
                Some((sender, log, region))
            }
            _ => {
                return Err(ConnectError::Refused(
                    "the terms have too many descriptors, or too few",
                ));
            }
        };
        let held = flags & HELD != 0;
        if held {
            self.receiver().setup_received();
        }
        if self.attach_hardware(enclosed, slot)? && held {
            // The peer learns it from these terms only, before its next bind.
            self.node.ring();
        }
        Ok(PeerTerms { association, window })
    }

    /// Connects this process's core to the machine when the peer's part of it arrives. Returns true
    /// the first time.
    fn attach_hardware(
        &self,
        enclosed: Option<(Cap, Cap, Cap)>,
        slot: u32,
    ) -> Result<bool, ConnectError> {
        let mut state = self.state.lock();
        if state.own.is_none() {
            return Ok(false);
        }
        let Some((socket, log, region)) = enclosed else {
            return Err(ConnectError::Refused("the terms have no machine"));
        };
        DoorbellSender::check(socket.as_fd())?;
        let theirs = accept_region(region, SIZE)?;
        MemoryPort::<MappedOwn, MappedPeer>::check(&theirs.lines).map_err(ConnectError::Refused)?;
        let log = accept_log(log)?;
        let mut regions = state.regions.clone();
        claim(&mut regions, theirs.inode)?;
        claim(&mut regions, log.inode)?;
        self.receiver().set_log(log);
        let Some((lines, log_lines)) = state.own.take() else { return Ok(false) };
        state.regions = regions;
        // Under the lock: a thread that finds `own` empty also finds the attached hardware.
        let doorbell = Doorbell::remote(Arc::new(DoorbellSender::new(socket, log_lines)), slot);
        self.node.attach_hardware(Box::new(MemoryPort::new(lines, theirs.lines)), doorbell);
        Ok(true)
    }
}
