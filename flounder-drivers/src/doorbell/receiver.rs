//! The socket of this process's doorbell, and the channels that are rung with it.
//!
//! # Invariants
//! * The log is read after a datagram was taken: an entry whose datagram did not fit into the full socket is found then. It may
//!   be read before as well. Then `deferred` datagrams are taken before the waitset sleeps again, and the log is read after them.
//! * The lock is held from the system call that takes a datagram until its capabilities are in their inbox, except while a
//!   thread waits on the socket, which `is_waiting` reports.
//! * Nothing is notified, logged or closed under the lock ([`Served`]).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

use flounder_rt::account::Account;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{BRIEF_WAIT, CapEvent, CapInbox, CapRefusal};
use flounder_rt::closer::Origin;
use flounder_rt::fork::{ForkGeneration, Mark};
use flounder_rt::notify::Notifier;
use flounder_rt::waitset::Watched;
use parking_lot::Mutex;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::caps::{CAP_WORDS, CapHeader};
use super::log::{LogRead, LogReader};
use crate::datagram::{self, Received, Wait};
use crate::mem::seal::AcceptedRegion;
use crate::sync::{Ordering, fence};

/// Maximum number of datagrams taken from a socket in one visit.
pub(super) const DRAIN: usize = 64;

/// Part of [`DRAIN`] that a datagram with capabilities uses up: each may bring 64 descriptors.
pub(super) const CAPS_COST: usize = 8;

/// What a channel that looks for its own capabilities takes in one call, as a part of [`DRAIN`].
pub(super) const COLLECT: usize = 16;

/// Receives the rings of another process for the channels of this one.
pub(crate) struct DoorbellReceiver {
    // Dropped first: once the number is free, another thread may reuse it.
    _mark: Mark,
    socket: Cap,
    /// The process that rings.
    origin: Origin,
    account: Account,
    inner: Mutex<ReceiverState>,
    born: ForkGeneration,
}

struct ReceiverState {
    log: Option<LogReader>,
    /// Descriptors that the peer needs to ring here, until the peer is known to have them.
    setup: Vec<Cap>,
    taken: Vec<Option<SlotEntry>>,
    free: Vec<u32>,
    /// Datagrams that [`fired`](Watched::fired) has left in the socket for [`finish`](Watched::finish): at most [`DRAIN`].
    deferred: usize,
    /// Datagrams that are in the socket because a driver has found their rings itself: at most [`DRAIN`].
    polled: usize,
    /// Number of waitsets that have watched the socket so far.
    watchers: usize,
    /// Calls that wait on the socket take [`BRIEF_WAIT`] at most.
    is_limited: bool,
    /// A thread waits on the socket without the lock, or has a datagram in hand.
    is_waiting: bool,
}

/// A channel of this process.
struct SlotEntry {
    notifier: Notifier,
    /// Number of its connection, and its inbox for capabilities, if they come with the doorbell.
    caps: Option<(u64, Weak<CapInbox>)>,
}

impl DoorbellReceiver {
    /// Returns a receiver of the rings of `origin`, which has this account. The other end of its socket and the descriptors in
    /// `setup` are for the peer.
    pub(crate) fn new(
        setup: impl IntoIterator<Item = OwnedFd>,
        origin: &Origin,
        account: &Account,
    ) -> io::Result<Self> {
        let (socket, sender) =
            socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        // The peer can put descriptors into the queue of the one, and gets a copy of the others.
        let shared = |fd| Cap::from_peer(fd, origin.clone());
        let (socket, setup) =
            (shared(socket), [sender].into_iter().chain(setup).map(shared).collect());
        let inner = ReceiverState {
            log: None,
            setup,
            taken: Vec::new(),
            free: Vec::new(),
            deferred: 0,
            polled: 0,
            watchers: 0,
            is_limited: false,
            is_waiting: false,
        };
        let _mark = Mark::new(socket.as_fd());
        Ok(Self {
            _mark,
            socket,
            origin: origin.clone(),
            account: account.clone(),
            inner: Mutex::new(inner),
            born: ForkGeneration::now(),
        })
    }

    /// Returns copies of the descriptors that the peer needs to ring here: none if the peer is known
    /// to have them.
    pub(crate) fn setup_caps(&self) -> io::Result<Vec<Cap>> {
        let inner = self.inner.lock();
        inner.setup.iter().map(Cap::try_clone).collect()
    }

    /// Drops the descriptors that the peer needs to ring here, because the peer has them.
    pub(crate) fn setup_received(&self) {
        let setup = core::mem::take(&mut self.inner.lock().setup);
        drop(setup);
    }

    /// Sets the log that the peer writes when it rings.
    pub(crate) fn set_log(&self, log: AcceptedRegion) {
        self.inner.lock().log.get_or_insert_with(|| LogReader::new(log.lines));
    }

    /// Returns a slot for a channel of this process, which `notifier` wakes.
    pub(crate) fn add_slot(self: &Arc<Self>, notifier: Notifier) -> DoorbellSlot {
        let mut inner = self.inner.lock();
        let number = inner.free.pop().unwrap_or_else(|| {
            inner.taken.push(None);
            u32::try_from(inner.taken.len() - 1).expect("channels are fewer than 2^32")
        });
        inner.taken[number as usize] = Some(SlotEntry { notifier, caps: None });
        DoorbellSlot { receiver: Arc::clone(self), number }
    }
}

impl DoorbellReceiver {
    /// Takes datagrams until `inbox` has the event of message number `sequence`, or no datagram is there. Returns true if more
    /// may be there: it has taken as many as one call may, or another thread is taking one.
    ///
    /// `inbox` belongs to the caller, which is not notified of this event.
    pub(crate) fn collect(&self, inbox: &Arc<CapInbox>, sequence: u64) -> bool {
        let mut left = if self.born.is_here() { COLLECT } else { 0 };
        let (mut is_empty, mut is_unsure) = (left == 0, false);
        while !is_empty && left > 0 && !inbox.is_due(sequence) {
            let served = self.serve(1, &mut left);
            (is_empty, is_unsure) = (served.datagrams == 0, served.is_other_waiting);
            served.finish(&self.account, Some((inbox, sequence)));
        }
        (!is_empty || is_unsure) && !inbox.is_due(sequence)
    }

    /// Notifies the slots that were rung, without a visit to the socket: one load if there are none. For a driver that checks
    /// its doorbell before the waitset reports it.
    #[cfg(feature = "scc")]
    pub(crate) fn poll_log(&self) {
        self.read_ahead(|inner| &mut inner.polled);
    }

    /// Notifies the slots that were rung, and adds their number to the datagrams that are left in the socket. Returns true if
    /// there are any.
    #[inline]
    fn read_ahead(&self, left: impl FnOnce(&mut ReceiverState) -> &mut usize) -> bool {
        let mut inner = self.inner.lock();
        if !inner.log.as_ref().is_some_and(LogReader::has_entry) {
            return false;
        }
        let mut served = Served::default();
        inner.read_log(&mut served, None);
        let left = left(&mut inner);
        *left = left.saturating_add(served.slots).min(DRAIN);
        drop(inner);
        served.rung.iter().for_each(Notifier::notify);
        served.slots > 0
    }

    /// Takes the datagrams that were deferred. Returns true if it has woken a channel.
    fn take_deferred(&self) -> bool {
        let (mut left, mut next) = (DRAIN, self.inner.lock().deferred);
        let mut has_woken = false;
        while next > 0 {
            let served = self.serve(next, &mut left);
            let is_over = served.datagrams == 0;
            next = if is_over { 0 } else { served.woken() };
            has_woken |= served.woken() > 0;
            served.finish(&self.account, None);
        }
        has_woken
    }

    /// Takes up to `datagrams` datagrams, within `left`, and then reads the log.
    fn serve(&self, datagrams: usize, left: &mut usize) -> Served {
        let mut served = Served::default();
        let mut inner = self.inner.lock();
        for _ in 0..datagrams {
            if *left == 0 {
                break;
            }
            let mut words = [0; CAP_WORDS];
            let received =
                datagram::receive(self.socket.as_fd(), &mut words, &self.origin, Wait::Not);
            let Ok(received) = received else {
                // Another thread has taken them, or the kernel had no room for them.
                (inner.deferred, inner.polled) = (0, 0);
                break;
            };
            *left = left.saturating_sub(self.take(&mut inner, words, received, &mut served));
        }
        served.is_other_waiting = inner.is_waiting;
        inner.look(&mut served, None);
        served
    }

    /// Takes one datagram in. Returns what it costs, in rings.
    fn take(
        &self,
        inner: &mut ReceiverState,
        words: [u64; CAP_WORDS],
        received: Received,
        served: &mut Served,
    ) -> usize {
        served.datagrams += 1;
        if received.bytes != size_of_val(&words) && received.caps.is_empty() {
            let left = if inner.polled > 0 { &mut inner.polled } else { &mut inner.deferred };
            *left = left.saturating_sub(1);
            return 1;
        }
        inner.put_caps(words, received, self.origin.is_cut_off(), served);
        CAPS_COST
    }

    /// Blocks until the peer rings or sends capabilities, for about [`BRIEF_WAIT`] at most, and notifies the channels, except
    /// for the slot `own` of a ring. Returns false at once if another waitset watches the socket: its thread could take what
    /// this one waits for, and could not wake it.
    fn wait(&self, own: u32) -> bool {
        if !self.born.is_here() {
            return false;
        }
        // What is left from before would end the wait.
        if self.take_deferred() {
            return true;
        }
        if !self.begin_waiting() {
            return false;
        }
        let mut words = [0; CAP_WORDS];
        let received = datagram::receive(self.socket.as_fd(), &mut words, &self.origin, Wait::Once);
        let mut served = Served::default();
        let mut inner = self.inner.lock();
        inner.is_waiting = false;
        if let Ok(received) = received {
            self.take(&mut inner, words, received, &mut served);
            // What is left in the socket is reported to the waitset.
            inner.look(&mut served, Some(own));
        }
        drop(inner);
        served.finish(&self.account, None);
        true
    }

    /// Returns true if this thread may wait on the socket without the lock, for a limited time.
    fn begin_waiting(&self) -> bool {
        let mut inner = self.inner.lock();
        if inner.watchers != 1 || inner.is_waiting {
            return false;
        }
        // The peer has the other socket of the pair, and cannot change this.
        inner.is_limited = inner.is_limited
            || set_socket_timeout(&self.socket, Timeout::Recv, Some(BRIEF_WAIT)).is_ok();
        inner.is_waiting = inner.is_limited;
        inner.is_waiting
    }
}

/// What the datagrams and the log have brought. Used without a lock: notifiers take locks of waitsets, a refused charge is
/// logged, and a capability may wait to be closed.
#[derive(Default)]
struct Served {
    /// Number of datagrams taken.
    datagrams: usize,
    /// Another thread waits on the socket, and may have taken a datagram that is not in its inbox yet.
    is_other_waiting: bool,
    /// Number of slots that were rung.
    slots: usize,
    /// Their notifiers, except for that of the caller.
    rung: Vec<Notifier>,
    /// Inboxes that have an event of the message with this number.
    arrived: Vec<(Arc<CapInbox>, u64)>,
    /// Capabilities to close.
    unused: Vec<Cap>,
}

impl Served {
    /// Returns the number of channels that are woken.
    const fn woken(&self) -> usize {
        self.slots + self.arrived.len()
    }

    /// Charges the capabilities to `account` and notifies the channels, except of the event of a message that the caller
    /// waits for.
    fn finish(self, account: &Account, awaited: Option<(&Arc<CapInbox>, u64)>) {
        self.rung.iter().for_each(Notifier::notify);
        for (inbox, number) in self.arrived {
            inbox.charge(number, account);
            let is_awaited = awaited
                .is_some_and(|(own, sequence)| number == sequence && Arc::ptr_eq(own, &inbox));
            if !is_awaited {
                inbox.wake();
            }
        }
    }
}

impl Watched for DoorbellReceiver {
    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn watched(&self) {
        self.inner.lock().watchers += 1;
    }

    /// Reads the log, which takes no system call, and leaves the datagrams to [`finish`](Watched::finish): the channels that
    /// were rung have their turns before. A datagram without an entry is taken at once. So is one at least where a driver
    /// polls, which leaves them behind: a doorbell that is full costs that driver's peer less than one that has room.
    fn fired(&self) {
        if !self.born.is_here() {
            return;
        }
        let is_polled = self.inner.lock().polled > 0;
        if !is_polled && self.read_ahead(|inner| &mut inner.deferred) {
            return;
        }
        let (mut left, mut next, mut is_first) = (DRAIN, 1, true);
        loop {
            let served = self.serve(next, &mut left);
            let is_over = served.datagrams == 0 && !is_first;
            let woken = served.woken();
            served.finish(&self.account, None);
            // A datagram that is left in the socket makes it fire again. So one ring costs one look, and no entry is missed.
            if is_over || woken == 1 {
                return;
            }
            (next, is_first) = (if woken == 0 { DRAIN } else { woken }, false);
        }
    }

    fn finish(&self) {
        if self.born.is_here() {
            self.take_deferred();
        }
    }
}

impl ReceiverState {
    /// Reads the log, after datagrams were taken or none was there.
    fn look(&mut self, served: &mut Served, own: Option<u32>) {
        // SYNC wake-log: with the fence in `DoorbellSender::ring`. The log is read after something was drained.
        fence(Ordering::SeqCst);
        self.read_log(served, own);
    }

    /// Finds the slots that were rung since the last call, or all slots if the log was overrun. Leaves out the notifier of
    /// `own`.
    fn read_log(&mut self, served: &mut Served, own: Option<u32>) {
        let Some(log) = &mut self.log else { return self.drop_spares(served) };
        let slots = &self.taken;
        let read = log.read(|number| {
            if let Some(Some(slot)) = slots.get(number as usize) {
                served.slots += 1;
                if own != Some(number) {
                    served.rung.push(slot.notifier.clone());
                }
            }
        });
        if read == LogRead::Lost {
            served.rung = slots.iter().flatten().map(|slot| slot.notifier.clone()).collect();
            served.slots = served.rung.len();
        }
        self.drop_spares(served);
    }

    /// Drops the descriptors that are kept for the peer once it has rung, because it has them.
    fn drop_spares(&mut self, served: &mut Served) {
        if served.datagrams + served.slots > 0 {
            served.unused.append(&mut self.setup);
        }
    }

    /// Puts the capabilities of a datagram into the inbox that they are for.
    fn put_caps(
        &self,
        words: [u64; CAP_WORDS],
        Received { bytes, caps, caps_lost }: Received,
        is_refused: bool,
        served: &mut Served,
    ) {
        let header = CapHeader::parse(words);
        let is_whole = bytes == size_of_val(&words);
        let slot = self.taken.get(header.slot as usize).and_then(Option::as_ref);
        let inbox = slot.and_then(|slot| match &slot.caps {
            Some((connection, inbox)) if *connection == header.connection => inbox.upgrade(),
            _ => None,
        });
        let Some(inbox) = inbox.filter(|_| is_whole) else {
            // The channel is gone, or the datagram is none of ours.
            return served.unused.extend(caps);
        };
        let event = if caps.len() == header.count && !caps_lost && !is_refused {
            CapEvent::Arrived(header.sequence, caps)
        } else {
            // Without a free descriptor, the kernel delivers the datagram without some of its own.
            served.unused.extend(caps);
            CapEvent::Lost(header.sequence, CapRefusal::ReceiverLimit)
        };
        if let Err(CapEvent::Arrived(_, caps)) = inbox.add(event) {
            served.unused.extend(caps);
        }
        served.arrived.push((inbox, header.sequence));
    }
}

/// A slot of a receiver, freed when dropped.
pub(crate) struct DoorbellSlot {
    receiver: Arc<DoorbellReceiver>,
    number: u32,
}

impl DoorbellSlot {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn receiver(&self) -> &Arc<DoorbellReceiver> {
        &self.receiver
    }

    /// Blocks until the peer rings, for this slot or another one, for about [`BRIEF_WAIT`] at most. Returns false at once if
    /// this thread cannot wait here.
    pub(crate) fn wait(&self) -> bool {
        self.receiver.wait(self.number)
    }

    /// Sets the inbox for capabilities of `connection` that come with the doorbell.
    pub(crate) fn expect_caps(&self, connection: u64, inbox: &Arc<CapInbox>) {
        let mut inner = self.receiver.inner.lock();
        if let Some(Some(slot)) = inner.taken.get_mut(self.number as usize) {
            slot.caps = Some((connection, Arc::downgrade(inbox)));
        }
    }
}

impl Drop for DoorbellSlot {
    fn drop(&mut self) {
        let mut inner = self.receiver.inner.lock();
        inner.taken[self.number as usize] = None;
        inner.free.push(self.number);
    }
}
