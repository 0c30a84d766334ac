//! Doorbells: how one end of a channel wakes the other.
//!
//! Within a process the doorbell is the [`Notifier`] of the other end. Between two processes, each
//! process has one [`DoorbellReceiver`], whatever the number of channels: a datagram socket and a
//! *log*, one page that the peer alone writes. The other end of the socket goes to the peer, which
//! uses it in a [`DoorbellSender`].
//!
//! ```text
//!   sender:   log[n mod 512] = (n + 1) << 32 | slot;  n += 1;  send 1 byte to the socket
//!   receiver: socket readable -> take a byte; read the log from where it stopped; notify the slots; a gap -> notify all slots;
//!             unless there was one entry, take more and read on
//! ```
//!
//! A datagram may carry the *capabilities* of a message instead (`docs/design/0017`): then it names the slot, and the receiver
//! puts them into the inbox of that channel, which is notified. Whoever takes a datagram does all of this, a waitset that was
//! woken or a channel that looks for its own capabilities; the lock is held from the system call until the inbox has them.
//!
//! So ten thousand sleeping channels cost two descriptors, and a wake-up costs one entry instead of
//! a search. The log may be overrun, which its tags show; then every channel of this link is visited
//! once.
//!
//! Why a socket and not an eventfd: a peer can set the counter of a shared eventfd to its maximum
//! and take `O_NONBLOCK` away, and a write then blocks for ever. `send` with `MSG_DONTWAIT` never
//! blocks, whatever the peer does to the socket. Why datagrams: the end of the peer's process
//! leaves a stream readable for ever; a datagram socket stays silent.
//!
//! If the kernel refuses a ring (no memory, a seccomp filter), the ring is *pending*: its end
//! sleeps for a limited time and retries each time; after a second the channel ends with the error.
//! A full socket counts as rung: the receiver has datagrams to read, and reads the log after them.
//!
//! A hostile peer can ring without a message. Each ring costs the receiver one visit to the socket,
//! bounded by [`DRAIN`] and the log. A datagram with capabilities counts as [`CAPS_COST`] others. Capabilities that no
//! channel here expects are closed.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair,
    sockopt::{Timeout, set_socket_timeout, socket_domain, socket_type},
};

use flounder_rt::account::Account;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{BRIEF_WAIT, CapEvent, CapInbox, CapRefusal, ConnectError};
use flounder_rt::closer::Origin;
use flounder_rt::notify::Notifier;
use flounder_rt::waitset::Watched;

use crate::datagram::{self, Received, Wait};
use crate::mem::mapped::{MappedOwn, MappedPeer};
use crate::mem::seal::{AcceptedRegion, RegionSize, accept_region, create_sealed};
use crate::mem::{LINE_WORDS, LineMemory, OwnMemory, tag};
use crate::sync::{Ordering, fence};
use flounder_rt::fork::{ForkGeneration, Mark};

/// Number of pages of a log.
const LOG_PAGES: usize = 1;

/// Maximum number of datagrams taken from a socket in one visit.
const DRAIN: usize = 64;

/// Part of [`DRAIN`] that a datagram with capabilities uses up: each may bring 64 descriptors.
const CAPS_COST: usize = 8;

/// What a channel that looks for its own capabilities takes in one call, as a part of [`DRAIN`].
const COLLECT: usize = 16;

/// Time for which a doorbell may fail before its channel ends with the error.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);

/// Bounds of the sleep of a waitset that has a ring to retry. Between them, the sleep is as long as
/// the ring has been failing.
const RETRY_TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(100);

/// Attempts to ring a failing doorbell before it is dropped.
const LAST_TRIES: usize = 64;

/// Attempts to send after signals, in one ring.
const INTERRUPTIONS: usize = 8;

/// The doorbell of the other end.
#[derive(Debug)]
pub(crate) struct Doorbell {
    target: Target,
    /// The pending ring, if the last one failed.
    failed: Option<FailedRing>,
}

#[derive(Debug)]
enum Target {
    /// In this process.
    Local(Notifier),
    /// In another process: the slot of the other end there.
    Remote(Arc<DoorbellSender>, u32),
}

#[derive(Debug, Clone, Copy)]
struct FailedRing {
    since: Instant,
    error: Errno,
}

impl Doorbell {
    /// Returns a doorbell that rings in this process.
    pub(crate) const fn local(notifier: Notifier) -> Self {
        Self { target: Target::Local(notifier), failed: None }
    }

    /// Returns a doorbell that rings for `slot` in another process.
    pub(crate) const fn remote(sender: Arc<DoorbellSender>, slot: u32) -> Self {
        Self { target: Target::Remote(sender, slot), failed: None }
    }

    /// Returns the sender of capabilities to the same slot, in another process.
    pub(crate) fn cap_sender(&self) -> Option<CapSender> {
        match &self.target {
            Target::Local(_) => None,
            Target::Remote(sender, slot) => {
                Some(CapSender { sender: Arc::clone(sender), slot: *slot })
            }
        }
    }

    /// Rings. Returns false if that failed: the ring is pending, and [`retry`](Self::retry) has to
    /// be called.
    #[must_use = "a doorbell that was not rung has to be rung later"]
    pub(crate) fn ring(&mut self) -> bool {
        let rung = match &self.target {
            Target::Local(notifier) => {
                notifier.notify();
                Ok(())
            }
            Target::Remote(sender, slot) => sender.ring(*slot),
        };
        self.failed = rung.err().map(|error| FailedRing {
            since: self.failed.map_or_else(Instant::now, |failed| failed.since),
            error,
        });
        self.failed.is_none()
    }

    /// Rings if a ring is pending. Returns true if none is pending any more.
    ///
    /// # Errors
    /// The error of the system call, if it has failed for [`GIVE_UP_AFTER`].
    pub(crate) fn retry(&mut self) -> Result<bool, Errno> {
        if self.failed.is_none() || self.ring() {
            return Ok(true);
        }
        self.failure().map_or(Ok(false), Err)
    }

    /// Returns the error of a ring that has failed for [`GIVE_UP_AFTER`].
    pub(crate) fn failure(&self) -> Option<Errno> {
        self.failed
            .filter(|failed| failed.since.elapsed() > GIVE_UP_AFTER)
            .map(|failed| failed.error)
    }

    /// Returns the longest sleep until the next retry; `None` if no ring is pending.
    pub(crate) fn sleep_limit(&self) -> Option<Duration> {
        self.failed.map(|failed| retry_time(failed.since))
    }

    /// Retries a pending ring up to [`LAST_TRIES`] times, because no thread may be left to retry
    /// later. Returns false if it is still pending: then the monitors have to report the close to
    /// the peer.
    #[must_use = "a peer that cannot be woken has to be told by the brokers"]
    pub(crate) fn retry_before_drop(&mut self) -> bool {
        for _ in 0..LAST_TRIES {
            if self.failed.is_none() || self.ring() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }
}

/// Returns the longest sleep of a waitset that has been retrying since `since`.
pub(crate) fn retry_time(since: Instant) -> Duration {
    since.elapsed().clamp(*RETRY_TIMES.start(), *RETRY_TIMES.end())
}

/// Sends capabilities to the channel in one slot of another process.
#[derive(Debug)]
pub(crate) struct CapSender {
    sender: Arc<DoorbellSender>,
    slot: u32,
}

impl CapSender {
    /// Sends the capabilities of message number `sequence` of `connection`, which wakes the channel. Never blocks.
    ///
    /// # Errors
    /// If the kernel has not taken them.
    pub(crate) fn send(&self, connection: u64, sequence: u64, caps: &[Cap]) -> Result<(), Errno> {
        if !self.sender.born.is_here() {
            return Err(Errno::CHILD);
        }
        let header = CapHeader { slot: self.slot, count: caps.len(), connection, sequence };
        let fds: Vec<BorrowedFd<'_>> = caps.iter().map(AsFd::as_fd).collect();
        let words = header.words();
        let piece = IoSlice::new(bytemuck::cast_slice(&words));
        datagram::transmit(self.sender.socket.as_fd(), &[piece], &fds).map(drop)
    }
}

/// Number of words in a datagram with capabilities.
const CAP_WORDS: usize = 3;

/// Content of a datagram with capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CapHeader {
    slot: u32,
    /// Number of capabilities.
    count: usize,
    connection: u64,
    /// Number of their message among those with capabilities.
    sequence: u64,
}

impl CapHeader {
    const fn words(self) -> [u64; CAP_WORDS] {
        [(self.count as u64) << 32 | self.slot as u64, self.connection, self.sequence]
    }

    const fn parse([first, connection, sequence]: [u64; CAP_WORDS]) -> Self {
        Self { slot: first as u32, count: (first >> 32) as usize, connection, sequence }
    }
}

/// Rings the channels of another process.
#[derive(Debug)]
pub(crate) struct DoorbellSender {
    log: Mutex<LogWriter>,
    // Dropped first: once the number is free, another thread may reuse it.
    _mark: Mark,
    /// The peer's socket. Whatever the peer does to it delays its own wake-ups only.
    socket: Cap,
    born: ForkGeneration,
}

#[derive(Debug)]
struct LogWriter {
    lines: MappedOwn,
    next: u64,
}

impl DoorbellSender {
    /// Returns a sender for this socket, which was checked, and this log.
    pub(crate) fn new(socket: Cap, log: MappedOwn) -> Self {
        let _mark = Mark::new(socket.as_fd());
        Self {
            _mark,
            log: Mutex::new(LogWriter { lines: log, next: 0 }),
            socket,
            born: ForkGeneration::now(),
        }
    }

    /// Checks a socket that the peer has sent.
    ///
    /// # Errors
    /// [`ConnectError::Refused`] if it is not a local datagram socket.
    pub(crate) fn check(socket: BorrowedFd<'_>) -> Result<(), ConnectError> {
        let is_local = socket_domain(socket).is_ok_and(|domain| domain == AddressFamily::UNIX);
        if is_local && socket_type(socket).is_ok_and(|kind| kind == SocketType::DGRAM) {
            Ok(())
        } else {
            Err(ConnectError::Refused("the doorbell is not a local datagram socket"))
        }
    }

    /// Rings for a slot of the peer.
    ///
    /// # Errors
    /// If the kernel did not take the datagram and the peer has no other to read.
    fn ring(&self, slot: u32) -> Result<(), Errno> {
        // A forked child has no mapping of the log, and no peer.
        if !self.born.is_here() {
            return Ok(());
        }
        let mut log = self.log.lock();
        let (line, word) = locate(log.next, log.lines.lines());
        // SYNC wake-log: Release, pairs with the Acquire in `DoorbellReceiver::fired`; the socket orders it as well, except when full.
        log.lines.store(
            line,
            word,
            u64::from(tag(log.next)) << 32 | u64::from(slot),
            Ordering::Release,
        );
        log.next += 1;
        drop(log);
        // SYNC wake-log: if the socket is full, nothing is sent; its owner has not drained it then, and reads the log after
        // it does. The entry must be there before the socket is seen full.
        fence(Ordering::SeqCst);
        for _ in 0..INTERRUPTIONS {
            return match send(&self.socket, &[0], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => Ok(()),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) if self.is_full() => Ok(()),
                // The receiver is gone: there is nothing to wake.
                Err(Errno::CONNREFUSED | Errno::CONNRESET | Errno::NOTCONN | Errno::PIPE) => Ok(()),
                Err(error) => Err(error),
            };
        }
        Err(Errno::INTR)
    }

    /// Returns true if the socket has datagrams that the peer has not read.
    fn is_full(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let found = poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(&now));
        found == Ok(0)
    }
}

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
    log: Option<MappedPeer>,
    /// Descriptors that the peer needs to ring here, until the peer is known to have them.
    setup: Vec<Cap>,
    /// Number of entries read.
    next: u64,
    taken: Vec<Option<SlotEntry>>,
    free: Vec<u32>,
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
            next: 0,
            taken: Vec::new(),
            free: Vec::new(),
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
        self.inner.lock().log.get_or_insert(log.lines);
    }

    /// Notifies the slots that were rung, without a visit to the socket: one load if there are
    /// none. For a driver that checks its doorbell before the waitset reports it.
    #[cfg(feature = "scc")]
    pub(crate) fn poll_log(&self) {
        let mut served = Served::default();
        self.inner.lock().read_log(&mut served, None);
        served.rung.iter().for_each(Notifier::notify);
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
            let Ok(received) = received else { break };
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
            return 1;
        }
        inner.put_caps(words, received, self.origin.is_cut_off(), served);
        CAPS_COST
    }

    /// Blocks until the peer rings or sends capabilities, for about [`BRIEF_WAIT`] at most, and notifies the channels, except
    /// for the slot `own` of a ring. Returns false at once if another waitset watches the socket: its thread could take what
    /// this one waits for, and could not wake it.
    fn wait(&self, own: u32) -> bool {
        if !self.born.is_here() || !self.begin_waiting() {
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

    fn fired(&self) {
        if !self.born.is_here() {
            return;
        }
        let (mut left, mut next, mut is_first) = (DRAIN, 1, true);
        loop {
            let served = self.serve(next, &mut left);
            let is_over = served.datagrams == 0 && !is_first;
            let woken = served.slots + served.arrived.len();
            served.finish(&self.account, None);
            // A datagram that is left in the socket makes it fire again. So one ring costs one look, and no entry is missed.
            if is_over || woken == 1 {
                return;
            }
            (next, is_first) = (if woken == 0 { DRAIN } else { woken }, false);
        }
    }
}

impl ReceiverState {
    /// Reads the log, after datagrams were taken or none was there.
    fn look(&mut self, served: &mut Served, own: Option<u32>) {
        if served.datagrams > 0 {
            // The peer has rung, so it has the sender: drop the spare copies and their descriptors.
            served.unused.append(&mut self.setup);
        }
        // SYNC wake-log: with the fence in `DoorbellSender::ring`. The log is read after something was drained.
        fence(Ordering::SeqCst);
        self.read_log(served, own);
    }

    /// Finds the slots that were rung since the last call, or all slots if the log was overrun. Leaves out the notifier of
    /// `own`.
    fn read_log(&mut self, served: &mut Served, own: Option<u32>) {
        let Some(log) = &self.log else { return };
        let entries = (log.lines() * LINE_WORDS) as u64;
        for _ in 0..entries {
            let (line, word) = locate(self.next, log.lines());
            // SYNC wake-log: Acquire, pairs with the Release in `DoorbellSender::ring`.
            let entry = log.load(line, word, Ordering::Acquire);
            let ahead = ((entry >> 32) as u32).wrapping_sub(tag(self.next));
            if ahead == 0 {
                self.next += 1;
                let number = entry as u32;
                if let Some(Some(slot)) = self.taken.get(number as usize) {
                    served.slots += 1;
                    if own != Some(number) {
                        served.rung.push(slot.notifier.clone());
                    }
                }
            } else if entry == 0 || ahead > u32::MAX / 2 {
                return;
            } else {
                // Overrun: the entries between are gone.
                self.next += u64::from(ahead) + 1;
                return self.find_all(served);
            }
        }
        // At most as many as the log holds in one visit: more may follow, and a hostile peer can make them up.
        self.find_all(served);
    }

    fn find_all(&self, served: &mut Served) {
        served.rung = self.taken.iter().flatten().map(|slot| slot.notifier.clone()).collect();
        served.slots = served.rung.len();
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

fn locate(entry: u64, lines: usize) -> (usize, usize) {
    let at = (entry % (lines * LINE_WORDS) as u64) as usize;
    (at / LINE_WORDS, at % LINE_WORDS)
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::AtomicUsize;
    use std::io::Read;

    use flounder_rt::notify::Wake;
    use rustix::net::{SocketAddrUnix, bind, connect, getsockname, socket_with};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(&self, _token: u64) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Count {
        fn notifier(self: &Arc<Self>) -> Notifier {
            let notifier = Notifier::new();
            notifier.retarget(Arc::clone(self) as Arc<dyn Wake>, 0);
            notifier
        }

        fn take(&self) -> usize {
            self.0.swap(0, Ordering::SeqCst)
        }
    }

    fn connected() -> (Arc<DoorbellReceiver>, DoorbellSender) {
        let receiver = DoorbellReceiver::new([], &Origin::LOCAL, &Account::unlimited()).unwrap();
        let socket = receiver.setup_caps().unwrap().pop().unwrap();
        let (lines, log, _) = new_log().unwrap();
        receiver.set_log(accept_log(log.into()).unwrap());
        DoorbellSender::check(socket.as_fd()).unwrap();
        (Arc::new(receiver), DoorbellSender::new(socket, lines))
    }

    fn is_readable(receiver: &DoorbellReceiver) -> bool {
        poll(
            &mut [PollFd::new(&receiver.socket, PollFlags::IN)],
            Some(&Timespec { tv_sec: 0, tv_nsec: 0 }),
        )
        .unwrap()
            > 0
    }

    #[test]
    fn ring_wakes_its_slot_only() {
        let (receiver, sender) = connected();
        let (a, b) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (slot_a, slot_b) = (receiver.add_slot(a.notifier()), receiver.add_slot(b.notifier()));
        for lap in 0..1000 {
            assert!(!is_readable(&receiver));
            sender.ring(if lap % 3 == 0 { &slot_a } else { &slot_b }.number()).unwrap();
            assert!(is_readable(&receiver));
            receiver.fired();
            assert_eq!((a.take(), b.take()), if lap % 3 == 0 { (1, 0) } else { (0, 1) });
        }
    }

    #[cfg(feature = "scc")]
    #[test]
    fn ring_is_found_without_reading_the_socket() {
        let (receiver, sender) = connected();
        let count = Arc::new(Count::default());
        let slot = receiver.add_slot(count.notifier());
        receiver.poll_log();
        assert_eq!(count.take(), 0);
        sender.ring(slot.number()).unwrap();
        receiver.poll_log();
        assert_eq!(count.take(), 1);
        // The waitset is still woken, although the log has been read.
        assert!(is_readable(&receiver));
        receiver.fired();
        assert!(!is_readable(&receiver));
        assert_eq!(count.take(), 0);
    }

    #[test]
    fn overrun_log_wakes_all_slots_and_recovers() {
        let (receiver, sender) = connected();
        let counts: Vec<_> = (0..100).map(|_| Arc::new(Count::default())).collect();
        let slots: Vec<_> =
            counts.iter().map(|count| receiver.add_slot(count.notifier())).collect();
        for overrun in [512, 513, 600, 1024, 5000] {
            for _ in 0..overrun {
                sender.ring(slots[7].number()).unwrap();
            }
            sender.ring(slots[99].number()).unwrap();
            while is_readable(&receiver) {
                receiver.fired();
            }
            assert!(counts.iter().all(|count| count.take() > 0), "{overrun} rings");
            sender.ring(slots[3].number()).unwrap();
            while is_readable(&receiver) {
                receiver.fired();
            }
            assert!(counts[3].take() > 0);
        }
    }

    #[test]
    fn end_of_the_peer_leaves_the_socket_silent() {
        let (receiver, sender) = connected();
        drop(sender);
        assert!(!is_readable(&receiver));
    }

    #[test]
    fn freed_slot_is_reused_and_unknown_slots_are_ignored() {
        let (receiver, sender) = connected();
        let count = Arc::new(Count::default());
        let number = receiver.add_slot(Notifier::new()).number();
        let slot = receiver.add_slot(count.notifier());
        assert_eq!(slot.number(), number);
        sender.ring(number + 1).unwrap();
        sender.ring(u32::MAX).unwrap();
        receiver.fired();
        assert_eq!(count.take(), 0);
    }

    /// For a time the sender is connected to a socket that takes datagrams from another socket
    /// only.
    #[test]
    fn refused_ring_is_retried() {
        let (receiver, sender) = connected();
        let [deaf, other] = [(); 2].map(|()| {
            let flags = SocketFlags::CLOEXEC;
            socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap()
        });
        for socket in [receiver.socket.as_fd(), deaf.as_fd(), other.as_fd()] {
            bind(socket, &SocketAddrUnix::new_unnamed()).unwrap();
        }
        connect(&sender.socket, &getsockname(&deaf).unwrap()).unwrap();
        connect(&deaf, &getsockname(&other).unwrap()).unwrap();
        let count = Arc::new(Count::default());
        let slot = receiver.add_slot(count.notifier());
        let sender = Arc::new(sender);
        let mut doorbell = Doorbell::remote(Arc::clone(&sender), slot.number());
        assert_eq!(doorbell.sleep_limit(), None);
        assert!(!doorbell.ring());
        assert!(doorbell.sleep_limit().is_some());
        assert_eq!(doorbell.retry(), Ok(false));
        assert!(!is_readable(&receiver));
        connect(&sender.socket, &getsockname(&receiver.socket).unwrap()).unwrap();
        assert_eq!(doorbell.retry(), Ok(true));
        assert_eq!(doorbell.sleep_limit(), None);
        receiver.fired();
        assert!(count.take() > 0);
    }

    #[test]
    fn full_socket_counts_as_rung() {
        let (receiver, sender) = connected();
        let slot = receiver.add_slot(Notifier::new());
        for ring in 0..10_000 {
            assert_eq!(sender.ring(slot.number()), Ok(()), "ring {ring}");
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        assert_eq!(send(&sender.socket, &[0], flags), Err(Errno::AGAIN), "it is full");
    }

    fn pipe() -> (io::PipeReader, Cap) {
        let (reader, writer) = io::pipe().expect("there are descriptors to spare");
        (reader, Cap::from(writer))
    }

    /// Waits until no writer of the pipe is left.
    fn expect_closed(mut reader: io::PipeReader) {
        let timeout = Timespec { tv_sec: 10, tv_nsec: 0 };
        let found = poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&timeout));
        assert_eq!(found, Ok(1), "the capability is closed");
        assert_eq!(reader.read(&mut [0]).expect("a pipe"), 0);
    }

    fn inbox(count: &Arc<Count>) -> Arc<CapInbox> {
        Arc::new(CapInbox::new(count.notifier()))
    }

    #[test]
    fn documented_datagram_with_capabilities() {
        let header = CapHeader { slot: 3, count: 2, connection: 6, sequence: 1 };
        assert_eq!(header.words(), [0x2_0000_0003, 6, 1]);
        assert_eq!(CapHeader::parse(header.words()), header);
    }

    #[test]
    fn capabilities_go_to_the_channel_of_slot_and_connection() {
        let (receiver, sender) = connected();
        let (counts, sender) = ([(); 2].map(|()| Arc::new(Count::default())), Arc::new(sender));
        let inboxes = [inbox(&counts[0]), inbox(&counts[1])];
        let slots = [0, 1].map(|i| receiver.add_slot(counts[i].notifier()));
        slots[0].expect_caps(6, &inboxes[0]);
        slots[1].expect_caps(8, &inboxes[1]);
        let to =
            |slot: &DoorbellSlot| CapSender { sender: Arc::clone(&sender), slot: slot.number() };
        let (reader, cap) = pipe();
        to(&slots[1]).send(8, 1, &[cap]).unwrap();
        receiver.fired();
        assert!(!is_readable(&receiver));
        assert_eq!(counts.each_ref().map(|count| count.take()), [0, 1], "one is notified");
        assert!(inboxes[0].is_empty());
        let arrived = inboxes[1].take_due(1);
        assert!(matches!(&arrived, Ok(Some(CapEvent::Arrived(1, caps))) if caps.len() == 1));
        drop(arrived);
        expect_closed(reader);
        // The channel that had the slot before, and a slot that never was.
        for (slot, connection) in [(slots[1].number(), 6), (77, 8)] {
            let (reader, cap) = pipe();
            let sender = CapSender { sender: Arc::clone(&sender), slot };
            sender.send(connection, 2, &[cap]).unwrap();
            receiver.fired();
            assert_eq!(counts.each_ref().map(|count| count.take()), [0, 0]);
            assert!(inboxes.iter().all(|inbox| inbox.is_empty()));
            expect_closed(reader);
        }
    }

    #[test]
    fn too_many_or_false_capabilities_are_closed() {
        let (receiver, sender) = connected();
        let count = Arc::new(Count::default());
        let (inbox, sender) = (inbox(&count), Arc::new(sender));
        let slot = receiver.add_slot(count.notifier());
        slot.expect_caps(0, &inbox);
        let number = slot.number();
        let transmit = |bytes: &[u8], fds: &[BorrowedFd<'_>]| {
            datagram::transmit(sender.socket.as_fd(), &[IoSlice::new(bytes)], fds).unwrap();
            receiver.fired();
        };
        // Not what a datagram of capabilities looks like.
        for bytes in [&[0][..], &[0; 16], &[0; 32]] {
            let (reader, cap) = pipe();
            transmit(bytes, &[cap.as_fd()]);
            assert!(inbox.is_empty());
            drop(cap);
            expect_closed(reader);
        }
        // Fewer or more than announced.
        for (sequence, announced) in [(1, 0), (2, 2)] {
            let (reader, cap) = pipe();
            let header = CapHeader { slot: number, count: announced, connection: 0, sequence };
            transmit(bytemuck::cast_slice(&header.words()), &[cap.as_fd()]);
            drop(cap);
            let due = inbox.take_due(sequence);
            let refusal = CapRefusal::ReceiverLimit;
            assert!(
                matches!(due, Ok(Some(CapEvent::Lost(number, why))) if (number, why) == (sequence, refusal))
            );
            expect_closed(reader);
        }
        // More messages than may be ahead.
        let to = CapSender { sender: Arc::clone(&sender), slot: number };
        for sequence in 3..6 {
            to.send(0, sequence, &[]).unwrap();
            receiver.fired();
        }
        assert!(inbox.take_due(3).is_err());
    }

    #[test]
    fn capabilities_beyond_the_limit_are_lost() {
        let receiver = {
            let id = flounder_rt::account::ProcessId { pid: Some(9), uid: Some(70_001), inode: 9 };
            let account = Account::of(id);
            flounder_rt::account::set_limits(flounder_rt::account::Limits::default().with(
                flounder_rt::account::Resource::Descriptors,
                flounder_rt::account::Scope::Process,
                2,
            ));
            Arc::new(DoorbellReceiver::new([], &Origin::LOCAL, &account).unwrap())
        };
        let socket = receiver.setup_caps().unwrap().pop().unwrap();
        let sender = Arc::new(DoorbellSender::new(socket, new_log().unwrap().0));
        let count = Arc::new(Count::default());
        let (inbox, slot) = (inbox(&count), receiver.add_slot(count.notifier()));
        slot.expect_caps(0, &inbox);
        let to = CapSender { sender, slot: slot.number() };
        for sequence in 1..20 {
            // One more than the limit, and then as many as it allows.
            let three = sequence % 2 == 1;
            let pipes: Vec<_> = (0..if three { 3 } else { 2 }).map(|_| pipe()).collect();
            let (readers, caps): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
            to.send(0, sequence, &caps).unwrap();
            drop(caps);
            receiver.fired();
            match inbox.take_due(sequence) {
                Ok(Some(CapEvent::Arrived(_, caps))) => assert!(!three && caps.len() == 2),
                Ok(Some(CapEvent::Lost(_, refusal))) => {
                    assert!(three && refusal == CapRefusal::ReceiverLimit);
                }
                other => panic!("{other:?}"),
            }
            readers.into_iter().for_each(expect_closed);
        }
        flounder_rt::account::set_limits(flounder_rt::account::Limits::default());
    }

    #[test]
    fn collecting_channel_serves_the_others() {
        let (receiver, sender) = connected();
        let sender = Arc::new(sender);
        let counts = [(); 3].map(|()| Arc::new(Count::default()));
        let inboxes = counts.each_ref().map(inbox);
        let slots = [0, 1, 2].map(|i| receiver.add_slot(counts[i].notifier()));
        for (slot, inbox) in slots.iter().zip(&inboxes) {
            slot.expect_caps(0, inbox);
        }
        let to =
            |slot: &DoorbellSlot| CapSender { sender: Arc::clone(&sender), slot: slot.number() };
        sender.ring(slots[1].number()).unwrap();
        to(&slots[2]).send(0, 1, &[]).unwrap();
        to(&slots[0]).send(0, 1, &[]).unwrap();
        to(&slots[0]).send(0, 2, &[]).unwrap();
        while receiver.collect(&inboxes[0], 1) {}
        assert!(inboxes[0].is_due(1) && !inboxes[0].is_due(0));
        assert_eq!(counts.each_ref().map(|count| count.take()), [0, 1, 1], "its own is awaited");
        assert!(inboxes[2].is_due(1));
        assert!(is_readable(&receiver), "it takes no more than it needs");
        assert!(matches!(inboxes[0].take_due(1), Ok(Some(_))));
        receiver.fired();
        assert_eq!(counts[0].take(), 1);
        assert!(inboxes[0].is_due(2));
    }

    /// A peer floods the socket: each call takes a bounded part.
    #[test]
    fn flood_is_taken_in_parts() {
        let (receiver, sender) = connected();
        let (sender, count) = (Arc::new(sender), Arc::new(Count::default()));
        let (inbox, slot) = (inbox(&count), receiver.add_slot(count.notifier()));
        slot.expect_caps(0, &inbox);
        let noise = CapSender { sender: Arc::clone(&sender), slot: 1234 };
        let mut sent = 0;
        while noise.send(0, 1, &[]).is_ok() {
            sent += 1;
        }
        let mut calls = 0;
        while receiver.collect(&inbox, 1) {
            calls += 1;
            assert!(calls <= sent, "each call takes some");
        }
        assert_eq!(calls, sent / (COLLECT / CAPS_COST), "of {sent} datagrams");
    }

    /// Two threads take datagrams, as two waitsets of a process do, and the one that owns the channel finds every message
    /// when its datagram is gone from the socket.
    #[test]
    fn two_readers_lose_and_swap_nothing() {
        const MESSAGES: u64 = 20_000;
        let (receiver, sender) = connected();
        let (sender, count) = (Arc::new(sender), Arc::new(Count::default()));
        let (inbox, slot) = (inbox(&count), receiver.add_slot(count.notifier()));
        slot.expect_caps(0, &inbox);
        let to = CapSender { sender, slot: slot.number() };
        let is_over = core::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (receiver, is_over) = (&receiver, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    receiver.fired();
                }
            });
            for sequence in 1..=MESSAGES {
                to.send(0, sequence, &[]).unwrap();
                // The datagram was sent, so it is in the inbox once the socket is empty.
                while receiver.collect(&inbox, sequence) {}
                let due = inbox.take_due(sequence);
                let arrived =
                    matches!(&due, Ok(Some(CapEvent::Arrived(number, _))) if *number == sequence);
                if !arrived {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("message {sequence}: {due:?}");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn other_sockets_are_refused_as_doorbells() {
        let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        for fd in [stream.as_fd(), file.as_fd()] {
            assert_eq!(
                DoorbellSender::check(fd),
                Err(ConnectError::Refused("the doorbell is not a local datagram socket"))
            );
        }
    }
}
