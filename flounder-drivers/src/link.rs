//! What the two halves of a channel over shared memory tell each other through the brokers, and what all such channels
//! between two processes share: an ear, a mouth, and the set of regions in use.

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

use crate::bell::{Bell, Ear, Mouth, Slot, accept_log, new_log};
use crate::caps::Caps;
use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::seal::{PAGE, Size, accept_region, create_sealed};
use crate::mem::{LINE_WORDS, LineMemory};

/// Under which the link keeps this.
const NAME: &str = "shared memory";

/// Version of the terms and of the lines.
const VERSION: u64 = 1;
/// The sender's mouth and log are enclosed.
const BELL_ENCLOSED: u64 = 1;
/// The sender has the receiver's mouth and log.
const BELL_HELD: u64 = 2;

/// The half of a channel that this process has made.
pub(crate) struct MyHalf {
    shared: Arc<Shared>,
    lines: MappedOwn,
    region: Region,
    slot: Slot,
    caps: Caps,
    charges: [Charge; 2],
}

/// What a channel is made of when both halves are there.
pub(crate) struct Joined {
    pub(crate) mine: MappedOwn,
    pub(crate) theirs: MappedPeer,
    pub(crate) bell: Bell,
    pub(crate) caps: Caps,
    pub(crate) held: Held,
}

impl MyHalf {
    /// Over a region of so many pages, in which `inscribe` writes what the other half checks; woken by `notifier`.
    pub(crate) fn new(
        end: &End,
        link: &Arc<dyn Link>,
        notifier: Notifier,
        pages: usize,
        inscribe: impl FnOnce(&MappedOwn),
    ) -> Result<(Self, Offer), ConnectError> {
        let shared = Shared::over(link)?;
        let account = link.account();
        let charges = [
            account.charge(Resource::Mappings, 1)?,
            account.charge(Resource::Bytes, (pages * PAGE) as u64)?,
        ];
        let (lines, fd, inode) = create_sealed(pages)?;
        let region = shared.claim(inode)?;
        let slot = shared.enter(notifier);
        // The peer checks this before there is a ring on our side.
        inscribe(&lines);
        let terms = shared.terms(fd, &slot)?;
        Ok((Self { shared, lines, region, slot, caps: Caps::over(link, end), charges }, terms))
    }

    /// Takes the terms of the other half, as [`Shared::take`].
    pub(crate) fn take(
        &self,
        terms: Offer,
        check: impl FnOnce(&MappedPeer) -> Result<(), &'static str>,
    ) -> Result<Half, ConnectError> {
        self.shared.take(terms, check)
    }

    /// With the other half.
    pub(crate) fn join(self, theirs: Half) -> Joined {
        let Half { theirs, region, bell, charge } = theirs;
        let [mapping, bytes] = self.charges;
        let held = Held {
            slot: self.slot,
            _regions: [self.region, region],
            _charges: [mapping, bytes, charge],
        };
        Joined { mine: self.lines, theirs, bell, caps: self.caps, held }
    }
}

/// The other half of a channel, checked.
pub(crate) struct Half {
    theirs: MappedPeer,
    region: Region,
    bell: Bell,
    /// Of the mapping.
    charge: Charge,
}

impl Half {
    /// Pages that the other half spends on its ring.
    pub(crate) fn pages(&self) -> usize {
        self.theirs.lines() * LINE_WORDS * 8 / PAGE
    }
}

/// What the channels between this process and another one share.
pub(crate) struct Shared {
    ear: Arc<Ear>,
    side: Mutex<Side>,
    account: Account,
    /// Of the descriptors that are kept, and of the logs.
    _charges: [Charge; 2],
}

/// Descriptors that two processes keep for each other: the ear, and the mouth of the other one.
const DESCRIPTORS: u64 = 2;

/// Mappings likewise: a log for each.
const LOGS: u64 = 2;

struct Side {
    /// What the peer is rung with, once it has handed over its mouth.
    mouth: Option<Arc<Mouth>>,
    /// The log for that, until then.
    log: Option<MappedOwn>,
    /// Regions in use, by inode: those of channels, and both logs.
    regions: HashSet<u64>,
}

impl Shared {
    /// What is shared over `link`; made when the first channel is.
    pub(crate) fn over(link: &Arc<dyn Link>) -> Result<Arc<Self>, ConnectError> {
        kept(link, NAME, Self::new)
    }

    fn new(link: &dyn Link) -> io::Result<Self> {
        let (account, origin) = (link.account(), link.origin());
        let charges = [
            account.charge(Resource::Descriptors, DESCRIPTORS)?,
            account.charge(Resource::Mappings, LOGS)?,
        ];
        let (lines, log, inode) = new_log()?;
        let ear = Arc::new(Ear::new([log], origin)?);
        let side = Side { mouth: None, log: Some(lines), regions: HashSet::from([inode]) };
        let account = account.clone();
        Ok(Self { ear, side: Mutex::new(side), account, _charges: charges })
    }

    /// A place for a new channel in this process's ear.
    pub(crate) fn enter(&self, notifier: Notifier) -> Slot {
        self.ear.enter(notifier)
    }

    /// Claims a region for one channel.
    pub(crate) fn claim(self: &Arc<Self>, inode: u64) -> Result<Region, ConnectError> {
        claim(&mut self.side.lock().regions, inode)?;
        Ok(Region { shared: Arc::clone(self), inode })
    }

    /// The terms of a half with this ring, woken at this slot.
    pub(crate) fn terms(&self, ring: OwnedFd, slot: &Slot) -> Result<Offer, ConnectError> {
        let mut flags = 0;
        let mut caps = vec![Cap::from(ring)];
        let gift = self.ear.gift()?;
        if !gift.is_empty() {
            flags |= BELL_ENCLOSED;
            caps.extend(gift);
        }
        if self.side.lock().mouth.is_some() {
            flags |= BELL_HELD;
        }
        Ok(Offer { words: vec![VERSION, flags, u64::from(slot.number())], caps })
    }

    /// Takes the terms of the other half, if its region passes this check of what is in it. Whatever is wrong with them,
    /// every descriptor in them is closed or kept.
    pub(crate) fn take(
        self: &Arc<Self>,
        terms: Offer,
        check: impl FnOnce(&MappedPeer) -> Result<(), &'static str>,
    ) -> Result<Half, ConnectError> {
        let [VERSION, flags, slot] = terms.words[..] else {
            return Err(ConnectError::Refused("the terms are of no known version"));
        };
        let slot =
            u32::try_from(slot).map_err(|_| ConnectError::Refused("the slot is too large"))?;
        if flags & !(BELL_ENCLOSED | BELL_HELD) != 0 {
            return Err(ConnectError::Refused("the terms have unknown flags"));
        }
        let mut caps = terms.caps.into_iter();
        let (ring, bell) = match (caps.next(), caps.next(), caps.next(), caps.next()) {
            (Some(ring), None, None, None) if flags & BELL_ENCLOSED == 0 => (ring, None),
            (Some(ring), Some(mouth), Some(log), None) if flags & BELL_ENCLOSED != 0 => {
                (ring, Some((mouth, log)))
            }
            _ => {
                return Err(ConnectError::Refused(
                    "the terms have too many descriptors, or too few",
                ));
            }
        };
        let charge = self.account.charge(Resource::Mappings, 1)?;
        let ring = accept_region(ring, Size::Any)?;
        check(&ring.lines).map_err(ConnectError::Refused)?;
        let region = self.claim(ring.inode)?;
        let held = flags & BELL_HELD != 0;
        if held {
            self.ear.gift_arrived();
        }
        let (mouth, is_new) = self.mouth(bell)?;
        let mut bell = Bell::there(mouth, slot);
        if is_new && held {
            // That is all that the peer can learn it from before its next bind. What it does not learn costs it descriptors.
            let _ = bell.ring();
        }
        Ok(Half { theirs: ring.lines, region, bell, charge })
    }

    /// Returns what the peer is rung with, and whether it has come just now.
    fn mouth(&self, bell: Option<(Cap, Cap)>) -> Result<(Arc<Mouth>, bool), ConnectError> {
        let mut side = self.side.lock();
        if let Some(mouth) = &side.mouth {
            return Ok((Arc::clone(mouth), false));
        }
        let Some((socket, theirs)) = bell else {
            return Err(ConnectError::Refused("the terms have no bell"));
        };
        Mouth::check(socket.as_fd())?;
        let theirs = accept_log(theirs)?;
        claim(&mut side.regions, theirs.inode)?;
        self.ear.listen_to(theirs);
        let log = side.log.take().expect("the log is there until the mouth is");
        let mouth = Arc::new(Mouth::new(socket, log));
        side.mouth = Some(Arc::clone(&mouth));
        Ok((mouth, true))
    }
}

/// Claims the region with this inode.
pub(crate) fn claim(regions: &mut HashSet<u64>, inode: u64) -> Result<(), ConnectError> {
    if regions.insert(inode) {
        Ok(())
    } else {
        Err(ConnectError::Refused("the region is in use already"))
    }
}

/// What `link` keeps under this name; made on first use.
pub(crate) fn kept<T: Any + Send + Sync>(
    link: &Arc<dyn Link>,
    name: &'static str,
    make: fn(&dyn Link) -> io::Result<T>,
) -> Result<Arc<T>, ConnectError> {
    link.state(name, &mut || Ok(Arc::new(make(&**link)?) as Arc<dyn Any + Send + Sync>))?
        .downcast()
        .map_err(|_| ConnectError::Refused("the link keeps something else under this name"))
}

/// What a channel to another process occupies in the state of its link.
pub(crate) struct Held {
    /// Where the peer rings for it.
    pub(crate) slot: Slot,
    /// Its memory, and the peer's.
    pub(crate) _regions: [Region; 2],
    /// Of both mappings, and of the bytes of its memory.
    pub(crate) _charges: [Charge; 3],
}

/// A region in use by a channel; free again when dropped.
pub(crate) struct Region {
    shared: Arc<Shared>,
    inode: u64,
}

impl Drop for Region {
    fn drop(&mut self) {
        self.shared.side.lock().regions.remove(&self.inode);
    }
}
