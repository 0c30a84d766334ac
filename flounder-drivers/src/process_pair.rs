//! State of all shared-memory channels between this process and one other: the doorbells, the set
//! of regions in use, and the terms that two halves of a channel exchange through the brokers.

use std::any::Any;
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;

use flounder_rt::account::{Account, Charge, Resource};
use flounder_rt::cap::Cap;
use flounder_rt::channel::{ConnectError, End, Link, Offer};
use flounder_rt::notify::Notifier;

use crate::caps::Caps;
use crate::doorbell::{
    Doorbell, DoorbellReceiver, DoorbellSender, DoorbellSlot, accept_log, new_log,
};
use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::seal::{PAGE, RegionSize, accept_region, create_sealed};
use crate::mem::{LINE_WORDS, LineMemory};

/// Key of this state in the link.
const NAME: &str = "shared memory";

/// Version of the terms and of the lines.
const VERSION: u64 = 1;
/// Flag: the socket and the log that ring the sender of the terms are enclosed.
const DOORBELL_ENCLOSED: u64 = 1;
/// Flag: the sender of the terms has the socket and the log that ring the receiver.
const DOORBELL_HELD: u64 = 2;
/// Flag: the sender of the terms takes capabilities with its doorbell.
const TAKES_CAPS: u64 = 4;

/// The half of a channel that this process has made.
pub(crate) struct LocalHalf {
    pair: Arc<ProcessPair>,
    lines: MappedOwn,
    region: ClaimedRegion,
    slot: DoorbellSlot,
    caps: Caps,
    charges: [Charge; 2],
}

/// The parts of a channel of which both halves are known.
pub(crate) struct JoinedHalves {
    pub(crate) mine: MappedOwn,
    pub(crate) theirs: MappedPeer,
    pub(crate) doorbell: Doorbell,
    pub(crate) caps: Caps,
    pub(crate) resources: ChannelResources,
}

impl LocalHalf {
    /// Returns a half over a region of `pages` pages, woken by `notifier`, and its terms.
    /// `initialize` writes into the region what the other half checks.
    pub(crate) fn new(
        end: &End,
        link: &Arc<dyn Link>,
        notifier: Notifier,
        pages: usize,
        initialize: impl FnOnce(&MappedOwn),
    ) -> Result<(Self, Offer), ConnectError> {
        let pair = ProcessPair::over(link)?;
        let account = link.account();
        let charges = [
            account.charge(Resource::Mappings, 1)?,
            account.charge(Resource::Bytes, (pages * PAGE) as u64)?,
        ];
        let (lines, fd, inode) = create_sealed(pages)?;
        let region = pair.claim(inode)?;
        let slot = pair.add_slot(notifier);
        // The peer checks this before there is a ring on our side.
        initialize(&lines);
        let mut caps = Caps::over(link, end);
        if pair.may_carry {
            caps.come_with(&slot);
        }
        let terms = pair.terms(fd, &slot)?;
        Ok((Self { pair, lines, region, slot, caps, charges }, terms))
    }

    /// Takes the terms of the other half: [`ProcessPair::take`].
    pub(crate) fn take(
        &self,
        terms: Offer,
        check: impl FnOnce(&MappedPeer) -> Result<(), &'static str>,
    ) -> Result<PeerHalf, ConnectError> {
        self.pair.take(terms, check)
    }

    /// Joins this half with the other one.
    pub(crate) fn join(mut self, theirs: PeerHalf) -> JoinedHalves {
        let PeerHalf { theirs, region, doorbell, takes_caps, charge } = theirs;
        if takes_caps && self.pair.may_carry {
            self.caps.go_with(&doorbell);
        }
        let [mapping, bytes] = self.charges;
        let resources = ChannelResources {
            slot: self.slot,
            _regions: [self.region, region],
            _charges: [mapping, bytes, charge],
        };
        JoinedHalves { mine: self.lines, theirs, doorbell, caps: self.caps, resources }
    }
}

/// The checked half of the peer.
pub(crate) struct PeerHalf {
    theirs: MappedPeer,
    region: ClaimedRegion,
    doorbell: Doorbell,
    /// True if the peer takes capabilities with its doorbell.
    takes_caps: bool,
    /// Charge for the mapping.
    charge: Charge,
}

impl PeerHalf {
    /// Pages of the peer's ring.
    pub(crate) fn pages(&self) -> usize {
        self.theirs.lines() * LINE_WORDS * 8 / PAGE
    }
}

/// State shared by all channels between this process and one other.
pub(crate) struct ProcessPair {
    receiver: Arc<DoorbellReceiver>,
    /// True if capabilities may go with the doorbells.
    may_carry: bool,
    state: Mutex<PairState>,
    account: Account,
    /// Charges for the descriptors that are kept, and for the logs.
    _charges: [Charge; 2],
}

/// Descriptors that two processes keep for each other: the receiver's socket, and the sender's.
const DESCRIPTORS: u64 = 2;

/// Mappings that two processes keep for each other: a log each.
const LOGS: u64 = 2;

struct PairState {
    /// Rings the peer; `None` until the peer has sent its socket.
    sender: Option<Arc<DoorbellSender>>,
    /// Our log, until `sender` takes it.
    log: Option<MappedOwn>,
    /// Inodes of the regions in use: those of channels, and both logs.
    regions: HashSet<u64>,
}

impl ProcessPair {
    /// Returns the state of `link`, made for the first channel.
    pub(crate) fn over(link: &Arc<dyn Link>) -> Result<Arc<Self>, ConnectError> {
        link_state(link, NAME, Self::new)
    }

    fn new(link: &dyn Link) -> io::Result<Self> {
        let (account, origin) = (link.account(), link.origin());
        let charges = [
            account.charge(Resource::Descriptors, DESCRIPTORS)?,
            account.charge(Resource::Mappings, LOGS)?,
        ];
        let (lines, log, inode) = new_log()?;
        let receiver = Arc::new(DoorbellReceiver::new([log], origin, account)?);
        let state = PairState { sender: None, log: Some(lines), regions: HashSet::from([inode]) };
        let account = account.clone();
        let (may_carry, state) = (link.drivers_may_carry(), Mutex::new(state));
        Ok(Self { receiver, may_carry, state, account, _charges: charges })
    }

    /// Returns a slot of this process's receiver for a new channel.
    pub(crate) fn add_slot(&self, notifier: Notifier) -> DoorbellSlot {
        self.receiver.add_slot(notifier)
    }

    /// Claims a region for one channel.
    pub(crate) fn claim(self: &Arc<Self>, inode: u64) -> Result<ClaimedRegion, ConnectError> {
        claim(&mut self.state.lock().regions, inode)?;
        Ok(ClaimedRegion { pair: Arc::clone(self), inode })
    }

    /// Returns the terms of a half with this ring, woken at `slot`.
    pub(crate) fn terms(&self, ring: OwnedFd, slot: &DoorbellSlot) -> Result<Offer, ConnectError> {
        let mut flags = 0;
        let mut caps = vec![Cap::from(ring)];
        let gift = self.receiver.setup_caps()?;
        if !gift.is_empty() {
            flags |= DOORBELL_ENCLOSED;
            caps.extend(gift);
        }
        if self.state.lock().sender.is_some() {
            flags |= DOORBELL_HELD;
        }
        if self.may_carry {
            flags |= TAKES_CAPS;
        }
        Ok(Offer { words: vec![VERSION, flags, u64::from(slot.number())], caps })
    }

    /// Takes the terms of the other half, if its region passes `check`.
    ///
    /// Whatever is wrong with the terms, every descriptor in them is closed or kept.
    pub(crate) fn take(
        self: &Arc<Self>,
        terms: Offer,
        check: impl FnOnce(&MappedPeer) -> Result<(), &'static str>,
    ) -> Result<PeerHalf, ConnectError> {
        let [VERSION, flags, slot] = terms.words[..] else {
            return Err(ConnectError::Refused("the terms are of no known version"));
        };
        let slot =
            u32::try_from(slot).map_err(|_| ConnectError::Refused("the slot is too large"))?;
        if flags & !(DOORBELL_ENCLOSED | DOORBELL_HELD | TAKES_CAPS) != 0 {
            return Err(ConnectError::Refused("the terms have unknown flags"));
        }
        let mut caps = terms.caps.into_iter();
        let (ring, doorbell) = match (caps.next(), caps.next(), caps.next(), caps.next()) {
            (Some(ring), None, None, None) if flags & DOORBELL_ENCLOSED == 0 => (ring, None),
            (Some(ring), Some(sender), Some(log), None) if flags & DOORBELL_ENCLOSED != 0 => {
                (ring, Some((sender, log)))
            }
            _ => {
                return Err(ConnectError::Refused(
                    "the terms have too many descriptors, or too few",
                ));
            }
        };
        let charge = self.account.charge(Resource::Mappings, 1)?;
        let ring = accept_region(ring, RegionSize::Any)?;
        check(&ring.lines).map_err(ConnectError::Refused)?;
        let region = self.claim(ring.inode)?;
        let held = flags & DOORBELL_HELD != 0;
        if held {
            self.receiver.setup_received();
        }
        let (sender, is_new) = self.sender(doorbell)?;
        let mut doorbell = Doorbell::remote(sender, slot);
        if is_new && held {
            // The peer learns it from these terms only, before its next bind. Otherwise it keeps descriptors that it does not need.
            let _ = doorbell.ring();
        }
        let takes_caps = flags & TAKES_CAPS != 0;
        Ok(PeerHalf { theirs: ring.lines, region, doorbell, takes_caps, charge })
    }

    /// Returns the sender that rings the peer, and whether it was created by this call.
    fn sender(
        &self,
        doorbell: Option<(Cap, Cap)>,
    ) -> Result<(Arc<DoorbellSender>, bool), ConnectError> {
        let mut state = self.state.lock();
        if let Some(sender) = &state.sender {
            return Ok((Arc::clone(sender), false));
        }
        let Some((socket, theirs)) = doorbell else {
            return Err(ConnectError::Refused("the terms have no doorbell"));
        };
        DoorbellSender::check(socket.as_fd())?;
        let theirs = accept_log(theirs)?;
        claim(&mut state.regions, theirs.inode)?;
        self.receiver.set_log(theirs);
        let log = state.log.take().expect("the log is there until the sender is");
        let sender = Arc::new(DoorbellSender::new(socket, log));
        state.sender = Some(Arc::clone(&sender));
        Ok((sender, true))
    }
}

/// Claims the region with this inode.
///
/// # Errors
/// [`ConnectError::Refused`] if it is in use.
pub(crate) fn claim(regions: &mut HashSet<u64>, inode: u64) -> Result<(), ConnectError> {
    if regions.insert(inode) {
        Ok(())
    } else {
        Err(ConnectError::Refused("the region is in use already"))
    }
}

/// Returns the state that `link` keeps under `name`, made on first use.
pub(crate) fn link_state<T: Any + Send + Sync>(
    link: &Arc<dyn Link>,
    name: &'static str,
    make: fn(&dyn Link) -> io::Result<T>,
) -> Result<Arc<T>, ConnectError> {
    link.state(name, &mut || Ok(Arc::new(make(&**link)?) as Arc<dyn Any + Send + Sync>))?
        .downcast()
        .map_err(|_| ConnectError::Refused("the link keeps something else under this name"))
}

/// Resources of a channel to another process, which it holds in the state of its link.
pub(crate) struct ChannelResources {
    /// Slot at which the peer rings for the channel.
    pub(crate) slot: DoorbellSlot,
    /// The channel's memory, and the peer's.
    pub(crate) _regions: [ClaimedRegion; 2],
    /// Charges for both mappings, and for the bytes of our memory.
    pub(crate) _charges: [Charge; 3],
}

/// A region in use by a channel, free again when dropped.
pub(crate) struct ClaimedRegion {
    pair: Arc<ProcessPair>,
    inode: u64,
}

impl Drop for ClaimedRegion {
    fn drop(&mut self) {
        self.pair.state.lock().regions.remove(&self.inode);
    }
}
