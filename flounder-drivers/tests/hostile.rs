//! What a hostile peer may send: bad lines, false claims, bad frames, bad regions. Each causes its error, and no panic.

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use flounder_conformance::{LIMITS, TestLink, WakeCounter};
#[cfg(feature = "beehive")]
use flounder_drivers::beehive::Beehive;
#[cfg(all(feature = "scc", target_arch = "x86_64"))]
use flounder_drivers::scc::Scc;
use flounder_drivers::{lmp::Lmp, ump::Ump};
use flounder_rt::barrier::arm_then_barrier;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    CapRefusal, Channel, ChannelError, ConnectError, Connector, End, Incoming, Link, Offer,
    Outgoing, Progress, ProtocolError, Recv,
};
use flounder_rt::closer::wait_until_closed;
use flounder_rt::waitset::Waitset;
use flounder_rt::wire::Gather;
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create,
};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const PAGE: usize = 4096;
const MAGIC: u64 = u64::from_be_bytes(*b"flndr_u\x01");
const LINES: u64 = 64;
const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE);

/// Descriptors are counted and limited for the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Those that wait for a thread that closes them are not counted.
fn open_descriptors() -> usize {
    let deadline = Instant::now() + Duration::from_secs(20);
    assert!(wait_until_closed(deadline), "descriptors are closed");
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

// ---- regions --------------------------------------------------------------------------------------------------------------

fn memory(flags: MemfdFlags, bytes: usize) -> OwnedFd {
    let fd = memfd_create("hostile", flags | MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&fd, bytes as u64).unwrap();
    fd
}

fn allocated(bytes: usize) -> OwnedFd {
    let fd = memory(MemfdFlags::ALLOW_SEALING, bytes);
    fallocate(&fd, FallocateFlags::empty(), 0, bytes as u64).unwrap();
    fd
}

fn sealed(fd: OwnedFd, seals: SealFlags) -> OwnedFd {
    fcntl_add_seals(&fd, seals).unwrap();
    fd
}

/// A sound ring, but for what `spoil` does to its control line.
fn ring(spoil: impl FnOnce(&File)) -> OwnedFd {
    let file = File::from(allocated(PAGE));
    file.write_all_at(&MAGIC.to_ne_bytes(), 0).unwrap();
    file.write_all_at(&LINES.to_ne_bytes(), 8).unwrap();
    spoil(&file);
    sealed(file.into(), SEALS)
}

/// Returns the service's result for an offer with these changes.
fn accept(change: impl FnOnce(&mut Offer)) -> Result<Box<dyn Channel + Send>, ConnectError> {
    let (here, there) = TestLink::pair();
    let (here, there): (Arc<dyn Link>, Arc<dyn Link>) = (here, there);
    let (mut offer, _offered) = Ump.offer(&WakeCounter::new().1, &here).unwrap();
    change(&mut offer);
    Ump.accept(&WakeCounter::new().1, &there, offer).map(|(channel, _)| channel)
}

fn refusal_of(region: OwnedFd) -> &'static str {
    match accept(|offer| offer.caps[0] = Cap::from(region)) {
        Err(ConnectError::Refused(reason)) => reason,
        Err(error) => panic!("it is refused for another reason: {error}"),
        Ok(_) => panic!("it is accepted"),
    }
}

#[test]
fn memory_of_a_channel_is_not_executable() {
    const F_SEAL_EXEC: u32 = 0x20;
    let _alone = alone();
    let (here, _there) = TestLink::pair();
    let here: Arc<dyn Link> = here;
    let (offer, _offered) = Ump.offer(&WakeCounter::new().1, &here).unwrap();
    let is_memory = |fd: &&Cap| rustix::fs::fcntl_get_seals(fd).is_ok();
    let regions: Vec<_> = offer.caps.iter().filter(is_memory).collect();
    assert!(!regions.is_empty(), "the client offers its ring");
    for region in regions {
        let seals = rustix::fs::fcntl_get_seals(region).unwrap();
        assert_eq!(seals.bits() & F_SEAL_EXEC, F_SEAL_EXEC, "{seals:?}");
    }
}

#[test]
fn each_unsound_region_has_its_own_error() {
    let _alone = alone();
    let before = open_descriptors();
    let sealed_but = |seal: SealFlags| sealed(allocated(PAGE), SEALS.difference(seal));
    let mut reasons = vec![
        refusal_of(File::open("/dev/zero").unwrap().into()),
        refusal_of(sealed_but(SealFlags::SHRINK)),
        refusal_of(sealed_but(SealFlags::GROW)),
        refusal_of(sealed_but(SealFlags::FUTURE_WRITE)),
        refusal_of(sealed_but(SealFlags::SEAL)),
        refusal_of(sealed(memory(MemfdFlags::ALLOW_SEALING, 0), SEALS)),
        refusal_of(sealed(allocated(PAGE + 64), SEALS)),
        refusal_of(sealed(memory(MemfdFlags::ALLOW_SEALING, 1 << 40), SEALS)),
        refusal_of(sealed(memory(MemfdFlags::ALLOW_SEALING, 16 * PAGE), SEALS)),
        refusal_of(ring(|file| file.write_all_at(&[0; 8], 0).unwrap())),
        refusal_of(ring(|file| file.write_all_at(&65_u64.to_ne_bytes(), 8).unwrap())),
    ];
    // Anything that is not sealable is refused in the same words.
    let tmp = rustix::fs::open(
        "/dev/shm",
        rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR,
        0o600.into(),
    );
    for other in
        [tmp.ok(), Some(io::pipe().unwrap().0.into()), Some(memory(MemfdFlags::empty(), PAGE))]
    {
        let Some(fd) = other else { continue };
        let reason = refusal_of(fd);
        assert!(reason.contains("seal") || reason.contains("shrink"), "{reason}");
    }
    match memfd_create("huge", MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB) {
        Ok(huge) if ftruncate(&huge, 2 << 20).is_ok() => {
            reasons.push(refusal_of(sealed(huge, SEALS)))
        }
        _ => eprintln!("skipped: no huge pages here"),
    }
    let count = reasons.len();
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons.len(), count, "two checks say the same: {reasons:#?}");
    assert_eq!(open_descriptors(), before, "a refusal keeps descriptors");
}

/// Sealed memory of so many pages, all of which are allocated, but those of `hole`; and as many blocks beyond the end.
fn hollow(pages: usize, hole: core::ops::Range<usize>) -> OwnedFd {
    let fd = memory(MemfdFlags::ALLOW_SEALING, pages * PAGE);
    let file = File::from(fd);
    file.write_all_at(&MAGIC.to_ne_bytes(), 0).unwrap();
    file.write_all_at(&(pages as u64 * LINES).to_ne_bytes(), 8).unwrap();
    for page in (1..pages).filter(|page| !hole.contains(page)) {
        file.write_all_at(&[0], (page * PAGE) as u64).unwrap();
    }
    let beyond = (pages * PAGE) as u64;
    fallocate(&file, FallocateFlags::KEEP_SIZE, beyond, (pages * PAGE) as u64).unwrap();
    sealed(file.into(), SEALS)
}

#[test]
fn hole_is_found_despite_blocks_beyond_the_end() {
    let _alone = alone();
    for (pages, hole) in [(2, 1..2), (16, 1..16), (16, 7..8), (4096, 4095..4096)] {
        assert_eq!(refusal_of(hollow(pages, hole.clone())), "the region has holes", "{hole:?}");
    }
    assert!(accept(|offer| offer.caps[0] = Cap::from(hollow(16, 0..0))).is_ok());
}

#[test]
fn log_of_another_size_is_refused() {
    let _alone = alone();
    for pages in [2, 512, 4096] {
        let log = sealed(allocated(pages * PAGE), SEALS);
        let refused = accept(|offer| offer.caps[2] = Cap::from(log)).err();
        assert_eq!(refused, Some(ConnectError::Refused("the log is not one page")), "{pages}");
    }
}

#[cfg(feature = "beehive")]
#[test]
fn fifo_region_of_another_size_is_refused() {
    let _alone = alone();
    let (here, there) = TestLink::pair();
    let (here, there): (Arc<dyn Link>, Arc<dyn Link>) = (here, there);
    for pages in [2, 4, 4096] {
        let (mut offer, _offered) = Beehive.offer(&WakeCounter::new().1, &here).unwrap();
        offer.caps[2] = Cap::from(sealed(allocated(pages * PAGE), SEALS));
        let refused = Beehive.accept(&WakeCounter::new().1, &there, offer).err();
        let reason = ConnectError::Refused("the region is not three pages");
        assert_eq!(refused, Some(reason), "{pages} pages");
    }
}

/// Drivers whose offers enclose a doorbell of their own.
const WITH_DOORBELL: &[&dyn Connector] = &[
    &Ump,
    #[cfg(feature = "beehive")]
    &Beehive,
];

#[test]
fn region_in_use_is_refused_as_a_log() {
    let _alone = alone();
    let in_use = Some(ConnectError::Refused("the region is in use already"));
    let ring_and_log = accept(|offer| {
        let ring = ring(|_| ());
        offer.caps[2] = Cap::from(ring.try_clone().unwrap());
        offer.caps[0] = Cap::from(ring);
    });
    assert_eq!(ring_and_log.err(), in_use);
    // A log of this process comes back from the peer.
    for &connector in WITH_DOORBELL {
        let (here, there) = TestLink::pair();
        let (here, there): (Arc<dyn Link>, Arc<dyn Link>) = (here, there);
        let (offer, offered) = connector.offer(&WakeCounter::new().1, &here).unwrap();
        let log = if connector.name() == "ump" { 2 } else { 1 };
        let own_log = offer.caps[log].try_clone().unwrap();
        let (_channel, mut answer) =
            connector.accept(&WakeCounter::new().1, &there, offer).unwrap();
        answer.caps[log] = own_log;
        assert_eq!(offered.complete(answer).err(), in_use, "{}", connector.name());
    }
}

/// Once a peer has rung it has the doorbell: copies of it, and of the log, are closed.
#[test]
fn doorbell_costs_two_descriptors_after_its_first_ring() {
    let _alone = alone();
    for &connector in WITH_DOORBELL {
        let before = open_descriptors();
        let (here, there) = TestLink::pair();
        let waitset = Waitset::new();
        // What a waitset needs to block, and the links of the test.
        waitset.after(core::time::Duration::ZERO, |_| Ok(()));
        waitset.dispatch().unwrap();
        let links = open_descriptors() - before;
        let (client, mut service) = TestLink::connect_over(
            connector,
            &WakeCounter::new().1,
            &WakeCounter::new().1,
            &here,
            &there,
        );
        service.attached(&waitset).unwrap();
        while waitset.try_dispatch().unwrap() {}
        // A receiver and a sender for each of both ends, which are in this process.
        assert_eq!(open_descriptors() - before - links, 4, "{}", connector.name());
        drop((client, service, here, there));
    }
}

#[test]
fn region_serves_one_channel() {
    let _alone = alone();
    let (here, there) = TestLink::pair();
    let (here, there): (Arc<dyn Link>, Arc<dyn Link>) = (here, there);
    let region = ring(|_| ());
    let mut offers: Vec<_> =
        (0..2).map(|_| Ump.offer(&WakeCounter::new().1, &here).unwrap()).collect();
    let mut accept = |region: OwnedFd| {
        let (mut offer, _offered) = offers.pop().unwrap();
        offer.caps[0] = Cap::from(region);
        Ump.accept(&WakeCounter::new().1, &there, offer)
    };
    let first = accept(region.try_clone().unwrap()).map(|(channel, _)| channel).ok().unwrap();
    assert_eq!(accept(region).err(), Some(ConnectError::Refused("the region is in use already")));
    drop(first);
}

#[test]
fn own_region_is_refused() {
    let _alone = alone();
    let (here, _there) = TestLink::pair();
    let here: Arc<dyn Link> = here;
    let (offer, offered) = Ump.offer(&WakeCounter::new().1, &here).unwrap();
    let error = offered.complete(offer).err();
    assert_eq!(error, Some(ConnectError::Refused("the region is in use already")));
}

#[test]
fn unsound_terms_are_refused() {
    let _alone = alone();
    let before = open_descriptors();
    type Change = fn(&mut Offer);
    let changes: [Change; 11] = [
        |terms| terms.words.clear(),
        |terms| terms.words.push(0),
        |terms| terms.words[0] = 2,
        |terms| terms.words[1] |= 8,
        |terms| terms.words[1] = 0,
        |terms| terms.words[2] = 1 << 32,
        |terms| terms.caps.clear(),
        |terms| terms.caps.truncate(2),
        |terms| terms.caps.push(Cap::from(io::pipe().unwrap().0)),
        |terms| terms.caps[1] = Cap::from(io::pipe().unwrap().0),
        |terms| terms.caps[2] = Cap::from(io::pipe().unwrap().0),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let result = accept(change);
        assert!(matches!(result, Err(ConnectError::Refused(_))), "change {number} is not refused");
    }
    // A second channel need not bring a doorbell, but the first must.
    let result = accept(|terms| {
        terms.words[1] = 0;
        terms.caps.truncate(1);
    });
    assert_eq!(result.err(), Some(ConnectError::Refused("the terms have no doorbell")));
    assert_eq!(open_descriptors(), before, "a refusal keeps descriptors");
}

// ---- lines ----------------------------------------------------------------------------------------------------------------

/// A service whose peer writes to its memory directly, through a descriptor that the peer kept.
struct Victim {
    channel: Box<dyn Channel + Send>,
    incoming: Incoming,
    /// What the peer can still write: it keeps a writable mapping from before the seal.
    peer: Writer,
}

/// A writable mapping of a page, made before the seal, reached through `/proc/self/mem` so that the test needs no pointer.
struct Writer {
    memory: File,
    base: u64,
    _link: [Arc<dyn Link>; 2],
}

impl Victim {
    /// Connects by the front door, and finds the client's own mapping of its ring.
    fn new() -> Self {
        let (here, there) = TestLink::pair();
        let (here, there): (Arc<dyn Link>, Arc<dyn Link>) = (here, there);
        let small = flounder_rt::channel::End { buffer: PAGE, ..WakeCounter::new().1 };
        let (offer, offered) = Ump.offer(&small, &here).unwrap();
        let inode = rustix::fs::fstat(&offer.caps[0]).unwrap().st_ino;
        let (channel, _answer) = Ump.accept(&small, &there, offer).unwrap();
        let base = writable_mapping(inode);
        // The client's half is never completed; its mapping lives as long as the process.
        std::mem::forget(offered);
        let memory = File::options().read(true).write(true).open("/proc/self/mem").unwrap();
        Self {
            channel,
            incoming: Incoming::new(LIMITS),
            peer: Writer { memory, base, _link: [here, there] },
        }
    }

    fn recv(&mut self) -> Result<Recv, ChannelError> {
        self.channel.recv(&mut self.incoming)
    }

    fn send(&mut self) -> Result<Progress, ChannelError> {
        let mut caps = vec![];
        let body = Gather::words_only(&[1]);
        self.channel.send(&mut Outgoing { number: 1, body, caps: &mut caps, cap_count: 0 }, 0)
    }

    fn send_cap(&mut self, caps: &mut Vec<Cap>, from: usize) -> Result<Progress, ChannelError> {
        let body = Gather::words_only(&[]);
        self.channel.send(&mut Outgoing { number: 2, body, caps, cap_count: 1 }, from)
    }
}

impl Writer {
    fn store(&self, line: u64, word: u64, value: u64) {
        self.memory.write_all_at(&value.to_ne_bytes(), self.base + line * 64 + word * 8).unwrap();
    }

    /// Writes data line `line` with the header of sequence number `line`.
    fn line(&self, line: u64, payload: [u64; 7], head: u64) {
        for (word, value) in (0..).zip(payload) {
            self.store(2 + line, word, value);
        }
        self.store(2 + line, 7, (line + 1) << 32 | head);
    }
}

fn writable_mapping(inode: u64) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mapping = maps.lines().find(|line| {
        let mut fields = line.split_whitespace();
        fields.nth(1) == Some("rw-s") && fields.nth(2) == Some(&inode.to_string())
    });
    let (base, _) = mapping.expect("the maker maps its ring for writing").split_once('-').unwrap();
    u64::from_str_radix(base, 16).unwrap()
}

const WHOLE: u64 = 0;
const FIRST: u64 = 1 << 16;
const NEXT: u64 = 2 << 16;

const fn head(number: u64, kind: u64, used: u64, caps: u64) -> u64 {
    number << 18 | kind | used << 13 | caps << 6
}

#[test]
fn sound_line_is_a_message() {
    let _alone = alone();
    let mut victim = Victim::new();
    assert_eq!(victim.recv(), Ok(Recv::Empty));
    victim.peer.line(0, [8, 9, 0, 0, 0, 0, 0], head(1, WHOLE, 2, 0));
    assert_eq!(victim.recv(), Ok(Recv::Message));
    assert_eq!((victim.incoming.number(), victim.incoming.words()), (1, &[8, 9][..]));
    assert_eq!(victim.recv(), Ok(Recv::Empty));
}

#[test]
fn bad_line_ends_the_channel() {
    let _alone = alone();
    let zero = [0; 7];
    let nine = [9, 1, 2, 3, 4, 5, 6];
    type Line = ([u64; 7], u64);
    let cases: [(&str, Vec<Line>); 20] = [
        ("no such message", vec![(zero, head(9, WHOLE, 0, 0))]),
        ("runtime message with capabilities", vec![(zero, head(0, WHOLE, 0, 1))]),
        ("longer than the message may be", vec![(zero, head(3, WHOLE, 1, 0))]),
        ("capabilities where there are none", vec![(zero, head(1, WHOLE, 1, 1))]),
        ("more than 64 capabilities", vec![(zero, head(2, WHOLE, 1, 65))]),
        ("127 capabilities", vec![(zero, head(2, WHOLE, 1, 127))]),
        ("reserved bit", vec![(zero, head(1, WHOLE, 1, 0) | 1)]),
        ("another reserved bit", vec![(zero, head(1, WHOLE, 1, 0) | 32)]),
        ("unknown kind", vec![(zero, head(1, 3 << 16, 1, 0))]),
        ("padding that is not zero", vec![([0, 0, 0, 0, 0, 0, 1], head(1, WHOLE, 6, 0))]),
        ("padding of an empty message", vec![([1, 0, 0, 0, 0, 0, 0], head(1, WHOLE, 0, 0))]),
        ("goes on without a beginning", vec![(zero, head(1, NEXT, 7, 0))]),
        ("several lines where one will do", vec![([7, 0, 0, 0, 0, 0, 0], head(1, FIRST, 7, 0))]),
        ("first line not full", vec![([9, 1, 2, 3, 4, 5, 0], head(1, FIRST, 6, 0))]),
        ("longer than any message", vec![([u64::MAX, 1, 2, 3, 4, 5, 6], head(1, FIRST, 7, 0))]),
        ("begins twice", vec![(nine, head(1, FIRST, 7, 0)), (nine, head(1, FIRST, 7, 0))]),
        ("whole inside another", vec![(nine, head(1, FIRST, 7, 0)), (zero, head(1, WHOLE, 0, 0))]),
        (
            "goes on as another",
            vec![(nine, head(1, FIRST, 7, 0)), ([7, 8, 9, 0, 0, 0, 0], head(2, NEXT, 3, 0))],
        ),
        (
            "goes on too far",
            vec![(nine, head(1, FIRST, 7, 0)), ([7, 8, 9, 1, 0, 0, 0], head(1, NEXT, 4, 0))],
        ),
        (
            "goes on without progress",
            vec![(nine, head(1, FIRST, 7, 0)), (zero, head(1, NEXT, 0, 0))],
        ),
    ];
    for (what, lines) in cases {
        let mut victim = Victim::new();
        for (number, (payload, head)) in (0..).zip(lines) {
            victim.peer.line(number, payload, head);
        }
        let error = loop {
            match victim.recv() {
                Ok(Recv::More) => {}
                Ok(other) => panic!("{what}: {other:?}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ChannelError::Protocol(_)), "{what}: {error:?}");
        assert_eq!(victim.recv(), Err(error.clone()), "{what}: for good");
        assert_eq!(victim.send(), Err(error), "{what}: in both directions");
    }
}

#[test]
fn old_tags_and_future_tags_are_not_lines() {
    let _alone = alone();
    for tag in [0, 2, 63, u64::from(u32::MAX)] {
        let mut victim = Victim::new();
        victim.peer.store(2, 7, tag << 32 | head(1, WHOLE, 0, 0));
        assert_eq!(victim.recv(), Ok(Recv::Empty));
    }
}

#[test]
fn false_claims_end_the_channel() {
    let _alone = alone();
    for claim in [63, u64::MAX, 1 << 63, 1 << 32] {
        let mut victim = Victim::new();
        victim.peer.store(1, 0, claim);
        let mut sent = 0;
        let error = loop {
            match victim.send() {
                Ok(Progress::Done) => sent += 1,
                Ok(partial) => panic!("{claim} is believed: {partial:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(
            (sent, error),
            (62, ChannelError::Protocol(ProtocolError::Position { claim, max: 62 }))
        );
    }
}

#[test]
fn decreasing_ack_ends_the_channel() {
    let _alone = alone();
    let mut victim = Victim::new();
    victim.peer.store(1, 0, 40);
    for _ in 0..62 {
        assert_eq!(victim.send(), Ok(Progress::Done));
    }
    for _ in 0..40 {
        assert_eq!(victim.send(), Ok(Progress::Done));
    }
    victim.peer.store(1, 0, 39);
    let expected = ChannelError::Protocol(ProtocolError::Position { claim: 39, max: 102 });
    assert_eq!(victim.send(), Err(expected.clone()));
    assert_eq!(victim.recv(), Err(expected));
}

#[test]
fn false_claim_about_capabilities_ends_the_channel() {
    let _alone = alone();
    let mut victim = Victim::new();
    let mut caps = vec![Cap::from(io::pipe().unwrap().0)];
    assert_eq!(victim.send_cap(&mut caps, 0), Ok(Progress::Done), "one may go ahead");
    let mut caps = vec![Cap::from(io::pipe().unwrap().0)];
    assert_eq!(victim.send_cap(&mut caps, 0), Ok(Progress::Partial(1)));
    assert_eq!(caps.len(), 1, "they are not handed over before the peer expects those before");
    victim.peer.store(1, 1, 3);
    let error = victim.send_cap(&mut caps, 1);
    assert_eq!(error, Err(ChannelError::Protocol(ProtocolError::Position { claim: 3, max: 2 })));
}

#[test]
fn close_before_the_hand_over_of_capabilities_is_a_close() {
    let _alone = alone();
    let mut victim = Victim::new();
    victim.peer.line(0, [0; 7], head(2, WHOLE, 0, 1));
    assert_eq!(victim.recv(), Ok(Recv::Empty));
    assert!(!victim.channel.ready());
    victim.peer.store(0, 2, 8);
    assert!(victim.channel.ready());
    assert_eq!(victim.recv(), Err(ChannelError::Closed));
}

#[test]
fn random_writes_give_messages_or_an_error() {
    let _alone = alone();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for _ in 0..40 {
        let mut victim = Victim::new();
        for step in 0..400 {
            let value = match next() % 4 {
                0 => next(),
                1 => next() % 4,
                2 => (1 + next() % 3) << 32 | next() & 0xffff_ffff,
                _ => {
                    (1 + next() % 3) << 32
                        | head(1 + next() % 3, (next() % 4) << 16, next() % 8, next() % 3)
                }
            };
            victim.peer.store(
                [0, 1, 2, 3, 4, next() % 64][step % 6],
                [7, 0, 1, 2, next() % 8][step % 5],
                value,
            );
            let _ = victim.recv();
            let _ = victim.send();
            let _ = victim.channel.ready();
            victim.channel.arm();
            victim.channel.disarm();
        }
    }
}

/// A memory that counts how often each word is loaded, and never returns the same value twice.
struct ChangingMemory {
    inner: flounder_drivers::mem::heap::HeapPeer,
    loads: std::rc::Rc<std::cell::RefCell<Vec<u64>>>,
}

impl flounder_drivers::mem::LineMemory for ChangingMemory {
    fn lines(&self) -> usize {
        self.inner.lines()
    }

    fn load(&self, line: usize, word: usize, order: std::sync::atomic::Ordering) -> u64 {
        let loads = &mut self.loads.borrow_mut()[line * 8 + word];
        *loads += 1;
        // A header keeps its tag, or there would be no line.
        self.inner.load(line, word, order) ^ (*loads - 1)
    }
}

#[test]
fn each_word_of_a_line_is_read_once() {
    use flounder_drivers::__private::PeerEnd;
    use flounder_drivers::__private::ump::line::{LineInfo, LineKind};
    use flounder_drivers::__private::ump::ring::{DATA, Ring};
    use flounder_drivers::mem::heap::allocate;
    let ((a_own, a_peer), (b_own, b_peer)) = (allocate(DATA + 3), allocate(DATA + 3));
    let loads = std::rc::Rc::new(std::cell::RefCell::new(vec![0; 5 * 8]));
    let fickle = ChangingMemory { inner: a_peer, loads: std::rc::Rc::clone(&loads) };
    let mut writer = Ring::new(a_own, b_peer, true);
    let mut reader = Ring::new(b_own, fickle, true);
    for value in 0..10 {
        assert!(writer.room().unwrap());
        let head = LineInfo::new(LineKind::Whole, 1, 7, 0);
        writer.publish(&[value; 7], head);
        loads.borrow_mut().fill(0);
        assert_eq!(reader.take(), Some((head, [value; 7])));
        assert_eq!(loads.borrow().iter().sum::<u64>(), 8, "a header and seven words, each once");
        assert!(loads.borrow().iter().all(|loads| *loads <= 1));
        reader.acknowledge();
    }
}

// ---- capabilities beside a channel ----------------------------------------------------------------------------------------

/// The drivers whose capabilities do so, as far as they reach other processes.
const BESIDE: &[&dyn Connector] = &[
    &Ump,
    #[cfg(all(feature = "scc", target_arch = "x86_64"))]
    &Scc,
    #[cfg(feature = "beehive")]
    &Beehive,
];

/// The drivers whose capabilities can go with their doorbells.
const CARRYING: &[&dyn Connector] = &[
    &Ump,
    #[cfg(all(feature = "scc", target_arch = "x86_64"))]
    &Scc,
];

/// Both ends of a channel whose capabilities go over a link.
struct Linked {
    /// The client's end of the link.
    here: Arc<TestLink>,
    client: Box<dyn Channel + Send>,
    service: Box<dyn Channel + Send>,
    incoming: Incoming,
    _there: Arc<TestLink>,
}

impl Linked {
    fn over(driver: &dyn Connector) -> Self {
        Self::with_buffers(driver, 0)
    }

    fn with_buffers(driver: &dyn Connector, buffer: usize) -> Self {
        Self::over_links(driver, buffer, TestLink::pair())
    }

    /// With capabilities that go with the doorbell.
    fn carrying(driver: &dyn Connector) -> Self {
        let (here, there) = TestLink::pair();
        here.let_drivers_carry();
        there.let_drivers_carry();
        Self::over_links(driver, PAGE, (here, there))
    }

    fn over_links(
        driver: &dyn Connector,
        buffer: usize,
        (here, there): (Arc<TestLink>, Arc<TestLink>),
    ) -> Self {
        let end = || End { buffer, ..WakeCounter::new().1 };
        let (client, service) = TestLink::connect_over(driver, &end(), &end(), &here, &there);
        Self { here, client, service, incoming: Incoming::new(LIMITS), _there: there }
    }

    /// Sends a message of these words and this many capabilities.
    fn send(
        &mut self,
        words: &[u64],
        from: usize,
        count: usize,
        caps: &mut Vec<Cap>,
    ) -> Result<Progress, ChannelError> {
        let body = Gather::words_only(words);
        self.client.send(&mut Outgoing { number: 2, body, caps, cap_count: count }, from)
    }

    /// Sends a message of these words and one capability, from the beginning.
    fn give(&mut self, words: &[u64]) -> Result<Progress, ChannelError> {
        self.send(words, 0, 1, &mut vec![pipe()])
    }

    fn recv(&mut self) -> Result<Recv, ChannelError> {
        self.service.recv(&mut self.incoming)
    }
}

fn pipe() -> Cap {
    Cap::from(io::pipe().unwrap().0)
}

#[test]
fn lost_capabilities_lose_their_message_only() {
    let _alone = alone();
    for driver in BESIDE {
        let mut ends = Linked::over(*driver);
        ends.here.refuse_next(CapRefusal::Receiver);
        assert_eq!(ends.give(&[1]), Ok(Progress::Done));
        assert_eq!(ends.recv(), Err(ChannelError::Caps(CapRefusal::Receiver)), "{}", driver.name());
        // The binding reports to the sender which message was lost.
        assert_eq!((ends.incoming.number(), ends.incoming.words()), (2, &[1][..]));
        for (word, count) in [(2, 0), (3, 1)] {
            let mut caps: Vec<_> = (0..count).map(|_| pipe()).collect();
            assert_eq!(ends.send(&[word], 0, count, &mut caps), Ok(Progress::Done));
            assert_eq!(ends.recv(), Ok(Recv::Message), "{}", driver.name());
            assert_eq!(ends.incoming.words(), [word]);
        }
        assert_eq!(ends.recv(), Ok(Recv::Empty));
    }
}

#[test]
fn refused_capabilities_lose_their_message_only() {
    let _alone = alone();
    for driver in BESIDE {
        let (here, there) = TestLink::pair();
        here.refuse_all(CapRefusal::Sender);
        let (here, there): (Arc<dyn Link>, Arc<dyn Link>) = (here, there);
        let (offer, offered) = driver.offer(&WakeCounter::new().1, &here).unwrap();
        let (mut service, answer) = driver.accept(&WakeCounter::new().1, &there, offer).unwrap();
        let mut client = offered.complete(answer).unwrap();
        let mut incoming = Incoming::new(LIMITS);
        for word in [1, 2] {
            let words = [word];
            let mut send = |count, caps: &mut Vec<Cap>| {
                let body = Gather::words_only(&words);
                client.send(&mut Outgoing { number: 2, body, caps, cap_count: count }, 0)
            };
            let refused = Err(ChannelError::Caps(CapRefusal::Sender));
            assert_eq!(send(1, &mut vec![pipe()]), refused, "{}", driver.name());
            assert_eq!(send(0, &mut Vec::new()), Ok(Progress::Done), "{}", driver.name());
            let refused = Err(ChannelError::Caps(CapRefusal::Sender));
            assert_eq!(service.recv(&mut incoming), refused, "{}", driver.name());
            assert_eq!(service.recv(&mut incoming), Ok(Recv::Message), "{}", driver.name());
            assert_eq!(incoming.words(), words);
        }
    }
}

#[test]
fn early_capabilities_wait_for_their_message() {
    let _alone = alone();
    for driver in BESIDE {
        let mut ends = Linked::with_buffers(*driver, PAGE);
        // Half of a message, and all of its capabilities.
        let mut caps = vec![pipe()];
        let sent = ends.send(&[7; 1000], 0, 1, &mut caps);
        assert!(matches!(sent, Ok(Progress::Partial(1..1000))), "{sent:?} over {}", driver.name());
        ends.here.send_caps(0, 1, caps).unwrap();
        for _ in 0..2 {
            assert_eq!(ends.recv(), Ok(Recv::Empty), "{}", driver.name());
            assert!(!ends.service.ready(), "{}", driver.name());
        }
    }
}

#[test]
fn capabilities_go_one_message_ahead_at_most() {
    let _alone = alone();
    for driver in BESIDE {
        let mut ends = Linked::over(*driver);
        let name = driver.name();
        for round in 0..100 {
            let [mut first, mut second, mut third] = std::array::from_fn(|_| vec![pipe()]);
            let sent = ends.send(&[], 0, 1, &mut first);
            assert_eq!(sent, Ok(Progress::Done), "{name} in round {round}");
            assert_eq!(ends.send(&[], 0, 1, &mut second), Ok(Progress::Partial(1)));
            assert_eq!(second.len(), 1, "the peer has begun neither");
            assert!(!ends.client.can_resume(), "{name} in round {round}");
            assert_eq!(ends.recv(), Ok(Recv::Message));
            assert!(ends.client.can_resume() && ends.client.ready(), "{name} in round {round}");
            assert_eq!(ends.send(&[], 1, 1, &mut second), Ok(Progress::Done));
            assert_eq!(ends.send(&[], 0, 1, &mut third), Ok(Progress::Partial(1)));
            assert_eq!(ends.recv(), Ok(Recv::Message));
            assert_eq!(ends.recv(), Ok(Recv::Empty), "the third is with its sender");
            assert_eq!(ends.send(&[], 1, 1, &mut third), Ok(Progress::Done));
            assert_eq!(ends.recv(), Ok(Recv::Message));
        }
    }
}

#[test]
fn capabilities_with_the_doorbell_go_one_message_ahead_at_most() {
    let _alone = alone();
    for driver in CARRYING {
        let mut ends = Linked::carrying(*driver);
        let name = driver.name();
        ends.here.refuse_all(CapRefusal::LinkLost);
        let mut before = 0;
        for round in 0..100 {
            // The first datagram shows that the peer has the doorbell: spare copies are closed.
            before = if round == 1 { open_descriptors() } else { before };
            let [mut first, mut second] = std::array::from_fn(|_| vec![pipe(), pipe()]);
            let sent = ends.send(&[7], 0, 2, &mut first);
            assert_eq!(sent, Ok(Progress::Done), "{name} in round {round}");
            assert!(first.is_empty() && ends.service.ready());
            assert_eq!(ends.send(&[], 0, 2, &mut second), Ok(Progress::Partial(1)));
            assert_eq!(second.len(), 2, "the peer has not begun the first");
            assert!(!ends.client.can_resume(), "{name} in round {round}");
            assert_eq!(ends.recv(), Ok(Recv::Message));
            assert_eq!(ends.incoming.take_caps().len(), 2);
            assert!(ends.client.can_resume() && ends.client.ready(), "{name} in round {round}");
            assert_eq!(ends.recv(), Ok(Recv::Empty), "{name}: the words are there");
            assert!(!ends.service.ready());
            assert_eq!(ends.send(&[], 1, 2, &mut second), Ok(Progress::Done));
            assert!(ends.service.ready(), "{name} in round {round}");
            assert_eq!(ends.recv(), Ok(Recv::Message));
            assert_eq!(ends.incoming.take_caps().len(), 2);
            assert_eq!(ends.recv(), Ok(Recv::Empty));
        }
        assert_eq!(open_descriptors(), before, "{name}");
    }
}

/// The doorbell of the receiver is full, so that capabilities go through the brokers: they may overtake those before, which
/// the receiver has not taken yet.
#[test]
fn capabilities_that_overtake_others_wait_for_their_message() {
    let _alone = alone();
    let (here, there) = TestLink::pair();
    here.let_drivers_carry();
    there.let_drivers_carry();
    let (here, there): (Arc<dyn Link>, Arc<dyn Link>) = (here, there);
    let end = || End { buffer: PAGE, ..WakeCounter::new().1 };
    let (offer, offered) = Ump.offer(&end(), &here).unwrap();
    let (mut service, answer) = Ump.accept(&end(), &there, offer).unwrap();
    let doorbell = answer.caps[1].try_clone().unwrap();
    let mut client = offered.complete(answer).unwrap();
    let mut incoming = Incoming::new(LIMITS);
    // More than the ring has room for: the service reads the beginning, and not the rest.
    let long: Vec<u64> = (0..500).collect();
    let mut caps = vec![pipe()];
    let mut send = |words: &[u64], from, caps: &mut Vec<Cap>| {
        let body = Gather::words_only(words);
        client.send(&mut Outgoing { number: 2, body, caps, cap_count: 1 }, from)
    };
    let Ok(Progress::Partial(from)) = send(&long, 0, &mut caps) else { panic!("it has no room") };
    assert_eq!(service.recv(&mut incoming), Ok(Recv::Empty));
    assert_eq!(send(&long, from, &mut caps), Ok(Progress::Done));
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    while rustix::net::send(&doorbell, &[0], flags).is_ok() {}
    assert_eq!(send(&[1], 0, &mut vec![pipe()]), Ok(Progress::Done));
    assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
    assert_eq!(incoming.words(), long);
    assert_eq!(incoming.take_caps().len(), 1);
    assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
    assert_eq!(incoming.words(), [1]);
    assert_eq!(incoming.take_caps().len(), 1);
    assert_eq!(service.recv(&mut incoming), Ok(Recv::Empty));
}

/// One datagram carries the capabilities and wakes: the doorbell is not rung besides. The next line rings for the next sleep.
#[test]
fn capabilities_wake_a_sleeping_end_once() {
    let _alone = alone();
    let (here, there) = TestLink::pair();
    here.let_drivers_carry();
    there.let_drivers_carry();
    let (waitset, (wakes, end)) = (Waitset::new(), WakeCounter::new());
    let (mut client, mut service) =
        TestLink::connect_over(&Ump, &WakeCounter::new().1, &end, &here, &there);
    service.attached(&waitset).unwrap();
    let mut incoming = Incoming::new(LIMITS);
    // In the first round, a datagram may be left of the bind.
    for round in 0..10 {
        for count in [1, 0] {
            arm_then_barrier(|| service.arm());
            let before = wakes.count();
            let (body, caps) = (Gather::words_only(&[7]), &mut vec![pipe()]);
            caps.truncate(count);
            let message = &mut Outgoing { number: 2, body, caps, cap_count: count };
            assert_eq!(client.send(message, 0), Ok(Progress::Done));
            assert!(wakes.came_after(before, &waitset), "round {round}");
            // Everything that was sent is in the socket already.
            for _ in 0..4 {
                waitset.dispatch_until(Some(Instant::now()), || false).unwrap();
            }
            assert!(round == 0 || wakes.count() == before + 1, "round {round}: too many wake-ups");
            assert!(service.ready());
            service.disarm();
            assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
            assert_eq!(incoming.take_caps().len(), count);
        }
    }
}

/// A process rings without end, and the capabilities that are handed over do not come with the doorbell. The end that waits for
/// them finds nothing after a bounded number of looks: if its peer has died, it can report that.
#[test]
fn search_for_capabilities_in_a_flood_is_bounded() {
    let _alone = alone();
    let (link, there) = TestLink::pair();
    link.let_drivers_carry();
    there.let_drivers_carry();
    link.hold();
    let (here, there): (Arc<dyn Link>, Arc<dyn Link>) = (link.clone(), there);
    let end = || WakeCounter::new().1;
    let (offer, offered) = Ump.offer(&end(), &here).unwrap();
    let (mut service, answer) = Ump.accept(&end(), &there, offer).unwrap();
    let doorbell = answer.caps[1].try_clone().unwrap();
    let mut client = offered.complete(answer).unwrap();
    let flood = || {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        (0..1000).take_while(|_| rustix::net::send(&doorbell, &[0], flags).is_ok()).count()
    };
    let full = flood();
    let message = &mut Outgoing {
        number: 2,
        body: Gather::words_only(&[7]),
        caps: &mut vec![pipe()],
        cap_count: 1,
    };
    assert_eq!(client.send(message, 0), Ok(Progress::Done), "the brokers have them");
    let (mut incoming, mut calls) = (Incoming::new(LIMITS), 0);
    while service.recv(&mut incoming) == Ok(Recv::More) {
        calls += 1;
        let taken = flood();
        assert!(0 < taken && taken < full / 2, "a call takes {taken} of {full} datagrams");
    }
    assert!((1..10_000).contains(&calls), "{calls} calls");
    assert_eq!(service.recv(&mut incoming), Ok(Recv::Empty));
    link.release();
    assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
    assert_eq!(incoming.take_caps().len(), 1);
}

/// The brokers carry the capabilities if either end does not take them with its doorbell.
#[test]
fn capabilities_go_with_the_doorbell_if_both_ends_agree() {
    let _alone = alone();
    for driver in CARRYING {
        for which in [0, 1] {
            let (here, there) = TestLink::pair();
            [&here, &there][which].let_drivers_carry();
            let mut ends = Linked::over_links(*driver, 0, (here, there));
            ends.here.hold();
            assert_eq!(ends.give(&[7]), Ok(Progress::Done));
            assert_eq!(ends.recv(), Ok(Recv::Empty), "{}", driver.name());
            ends.here.release();
            assert_eq!(ends.recv(), Ok(Recv::Message), "{}", driver.name());
        }
    }
}

#[test]
fn capabilities_with_the_doorbell_arrive_after_a_close() {
    let _alone = alone();
    for driver in CARRYING {
        let mut ends = Linked::carrying(*driver);
        assert_eq!(ends.give(&[7]), Ok(Progress::Done));
        ends.client.close();
        assert_eq!(ends.recv(), Ok(Recv::Message), "{}", driver.name());
        assert_eq!(ends.incoming.take_caps().len(), 1);
        assert_eq!(ends.recv(), Err(ChannelError::Closed), "{}", driver.name());
    }
}

/// Without a free descriptor the kernel delivers the datagram without its capabilities.
#[test]
fn capabilities_with_the_doorbell_are_lost_at_the_limit() {
    let _alone = alone();
    for driver in CARRYING {
        let mut ends = Linked::carrying(*driver);
        let refused = Err(ChannelError::Caps(CapRefusal::ReceiverLimit));
        // The first datagram shows that the peer has the doorbell: spare copies are closed.
        assert_eq!(ends.give(&[0]), Ok(Progress::Done));
        assert_eq!(ends.recv(), Ok(Recv::Message), "{}", driver.name());
        assert_eq!(ends.incoming.take_caps().len(), 1);
        assert_eq!(ends.give(&[1]), Ok(Progress::Done));
        let before = open_descriptors();
        let (limit, used) = (getrlimit(Resource::Nofile), highest_descriptor() + 1);
        let holes = fill_holes(used);
        setrlimit(Resource::Nofile, Rlimit { current: Some(used), maximum: limit.maximum })
            .unwrap();
        let received = ends.recv();
        setrlimit(Resource::Nofile, limit).unwrap();
        drop(holes);
        assert_eq!(received, refused, "{}", driver.name());
        assert_eq!(open_descriptors(), before, "{}", driver.name());
        assert_eq!(ends.give(&[2]), Ok(Progress::Done));
        assert_eq!(ends.recv(), Ok(Recv::Message), "{}", driver.name());
        assert_eq!(ends.incoming.words(), [2]);
    }
}

#[test]
fn message_is_done_when_the_kernel_has_its_capabilities() {
    let _alone = alone();
    for driver in BESIDE {
        let mut ends = Linked::over(*driver);
        let (name, mut caps) = (driver.name(), vec![pipe()]);
        ends.here.stall();
        assert_eq!(ends.send(&[7], 0, 1, &mut caps), Ok(Progress::Partial(1)), "{name}");
        assert!(caps.is_empty(), "{name}: they are handed over");
        assert!(!ends.client.can_resume(), "{name}: the broker has not sent them");
        assert_eq!(ends.send(&[7], 1, 1, &mut caps), Ok(Progress::Partial(1)), "{name}");
        assert_eq!(ends.recv(), Ok(Recv::Empty), "{name}");
        ends.here.resume();
        assert!(ends.client.can_resume() && ends.client.ready(), "{name}");
        assert_eq!(ends.send(&[7], 1, 1, &mut caps), Ok(Progress::Done), "{name}");
        assert_eq!(ends.recv(), Ok(Recv::Message), "{name}");
    }
}

#[test]
fn late_capabilities_arrive_after_the_senders_close() {
    let _alone = alone();
    for driver in BESIDE {
        let mut ends = Linked::over(*driver);
        ends.here.hold();
        for _ in 0..2 {
            assert_eq!(ends.give(&[]), Ok(Progress::Done));
            // The second is handed over while the first is read.
            assert_eq!(ends.recv(), Ok(Recv::Empty));
        }
        ends.client.close();
        assert_eq!(ends.recv(), Ok(Recv::Empty), "{}", driver.name());
        ends.here.release();
        for _ in 0..2 {
            assert_eq!(ends.recv(), Ok(Recv::Message), "{}", driver.name());
        }
        assert_eq!(ends.recv(), Err(ChannelError::Closed), "{}", driver.name());
    }
}

#[test]
fn late_capabilities_arrive_after_the_receivers_close() {
    let _alone = alone();
    for driver in BESIDE {
        let mut ends = Linked::over(*driver);
        ends.here.hold();
        // The words come first, then the sender's report about the capabilities.
        assert_eq!(ends.give(&[7; 10]), Ok(Progress::Done));
        ends.service.close();
        for _ in 0..2 {
            assert_eq!(ends.recv(), Ok(Recv::Empty), "{}", driver.name());
        }
        ends.here.release();
        assert_eq!(ends.recv(), Ok(Recv::Message), "{}", driver.name());
        assert_eq!(ends.recv(), Err(ChannelError::Closed), "{}", driver.name());
    }
}

#[test]
fn end_that_reported_the_end_is_ready() {
    let _alone = alone();
    for driver in BESIDE {
        let mut ends = Linked::over(*driver);
        while ends.send(&[], 0, 0, &mut Vec::new()) == Ok(Progress::Done) {}
        assert!(!ends.client.can_resume(), "{}", driver.name());
        ends.service.close();
        let received = ends.client.recv(&mut ends.incoming);
        assert_eq!(received, Err(ChannelError::Closed), "{}", driver.name());
        assert!(
            ends.client.can_resume(),
            "{}: its message fails, and has to be told so",
            driver.name()
        );
        assert_eq!(ends.send(&[], 0, 0, &mut Vec::new()), Err(ChannelError::Closed));
    }
}

#[test]
fn closed_end_does_not_wait_for_unsent_capabilities() {
    let _alone = alone();
    for driver in BESIDE {
        let mut ends = Linked::over(*driver);
        assert_eq!(ends.give(&[]), Ok(Progress::Done));
        assert_eq!(ends.give(&[]), Ok(Progress::Partial(1)), "its capabilities stay");
        assert_eq!(ends.recv(), Ok(Recv::Message));
        ends.service.close();
        assert_eq!(ends.recv(), Err(ChannelError::Closed), "{}", driver.name());
    }
}

// ---- frames ---------------------------------------------------------------------------------------------------------------

/// A service of lmp whose peer sends datagrams by hand.
struct Socket {
    /// The socket on which the peer sends.
    peer: OwnedFd,
    _receiving: OwnedFd,
    channel: Box<dyn Channel + Send>,
    incoming: Incoming,
}

impl Socket {
    fn new() -> Self {
        let (_receiving, theirs) = packet_sockets();
        let (channel, peer) = accept_socket(theirs).unwrap();
        Self { peer, _receiving, channel, incoming: Incoming::new(LIMITS) }
    }

    fn send(&self, words: &[u64], fds: &[BorrowedFd<'_>]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.send_bytes(&bytes, fds);
    }

    fn send_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        rustix::net::sendmsg(&self.peer, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
            .unwrap();
    }

    fn recv(&mut self) -> Result<Recv, ChannelError> {
        self.channel.recv(&mut self.incoming)
    }
}

fn packet_sockets() -> (OwnedFd, OwnedFd) {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None).unwrap()
}

/// Has a service of lmp send on this socket. Returns its end, and the socket on which it receives from the peer.
fn accept_socket(socket: OwnedFd) -> Result<(Box<dyn Channel + Send>, OwnedFd), ConnectError> {
    let link: Arc<dyn Link> = TestLink::pair().0;
    let offer = Offer { words: vec![2], caps: vec![Cap::from(socket)] };
    let (channel, answer) = Lmp.accept(&WakeCounter::new().1, &link, offer)?;
    let [socket] = <[Cap; 1]>::try_from(answer.caps).expect("one socket");
    Ok((channel, socket.as_fd().try_clone_to_owned().unwrap()))
}

/// A header of lmp.
const fn frame(kind: u64, number: u64, caps: u64, payload: u64, second: u64) -> [u64; 2] {
    [payload << 32 | kind << 24 | caps << 14 | number, second]
}

#[test]
fn other_descriptors_are_refused_as_sockets() {
    let _alone = alone();
    let before = open_descriptors();
    let unconnected =
        rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    let reasons = [
        accept_socket(File::open("/dev/null").unwrap().into()).err(),
        accept_socket(std::os::unix::net::UnixStream::pair().unwrap().0.into()).err(),
        accept_socket(unconnected).err(),
        accept_socket(rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap())
            .err(),
    ];
    assert!(
        reasons.iter().all(|reason| matches!(reason, Some(ConnectError::Refused(_)))),
        "{reasons:?}"
    );
    assert_eq!(open_descriptors(), before, "a refusal keeps descriptors");
}

#[test]
fn bad_frame_ends_the_channel() {
    let _alone = alone();
    let (pipe, _writer) = io::pipe().unwrap();
    let fds = [pipe.as_fd(); 70];
    let begun = [&frame(1, 1, 0, 2, 9)[..], &[1, 2]].concat();
    type Datagram = (Vec<u64>, usize);
    let cases: [(&str, Vec<Datagram>); 19] = [
        ("no header", vec![(vec![1], 0)]),
        ("longer than it says", vec![([&frame(1, 1, 0, 0, 1)[..], &[1]].concat(), 0)]),
        ("shorter than it says", vec![(frame(1, 1, 0, 1, 1).to_vec(), 0)]),
        ("unknown kind", vec![(frame(9, 1, 0, 0, 0).to_vec(), 0)]),
        ("reserved bit", vec![(vec![frame(1, 1, 0, 0, 0)[0] | 1 << 21, 0], 0)]),
        ("no such message", vec![(frame(1, 9, 0, 0, 0).to_vec(), 0)]),
        ("longer than the message may be", vec![(frame(1, 1, 0, 0, u64::MAX).to_vec(), 0)]),
        ("more than the message has", vec![([&frame(1, 1, 0, 2, 1)[..], &[1, 2]].concat(), 0)]),
        ("nothing of the message", vec![(frame(1, 1, 0, 0, 1).to_vec(), 0)]),
        ("capabilities that were not announced", vec![(frame(1, 1, 0, 0, 0).to_vec(), 1)]),
        ("more capabilities than announced", vec![(frame(1, 2, 1, 0, 0).to_vec(), 2)]),
        ("far more capabilities than announced", vec![(frame(1, 2, 64, 0, 0).to_vec(), 70)]),
        ("fewer capabilities than announced", vec![(frame(1, 2, 2, 0, 0).to_vec(), 1)]),
        ("more than 64 capabilities", vec![(frame(1, 2, 65, 0, 0).to_vec(), 0)]),
        ("goes on without a beginning", vec![(frame(2, 1, 0, 0, 0).to_vec(), 0)]),
        ("begins twice", vec![(begun.clone(), 0), (begun.clone(), 0)]),
        (
            "goes on elsewhere",
            vec![(begun.clone(), 0), ([&frame(2, 1, 0, 1, 3)[..], &[1]].concat(), 0)],
        ),
        ("goes on without progress", vec![(begun.clone(), 0), (frame(2, 1, 0, 0, 2).to_vec(), 0)]),
        (
            "goes on with capabilities",
            vec![(begun, 0), ([&frame(2, 1, 0, 1, 2)[..], &[1]].concat(), 1)],
        ),
    ];
    let before = open_descriptors();
    for (what, frames) in cases {
        let mut socket = Socket::new();
        for (words, count) in frames {
            socket.send(&words, &fds[..count]);
        }
        let error = match socket.recv() {
            Err(error) => error,
            Ok(other) => panic!("{what}: {other:?}"),
        };
        assert!(matches!(error, ChannelError::Protocol(_)), "{what}: {error:?}");
        assert_eq!(socket.recv(), Err(error), "{what}: for good");
    }
    let mut socket = Socket::new();
    socket.send_bytes(&[1; 17], &[]);
    assert!(matches!(socket.recv(), Err(ChannelError::Protocol(_))), "not whole words");
    drop(socket);
    let mut socket = Socket::new();
    socket.send(&vec![0; 4097], &fds[..3]);
    assert!(matches!(socket.recv(), Err(ChannelError::Protocol(_))), "too long");
    drop(socket);
    assert_eq!(open_descriptors(), before, "a bad frame leaves descriptors behind");
}

#[test]
fn socket_without_a_close_frame_means_death() {
    let _alone = alone();
    let mut socket = Socket::new();
    socket.send(&[&frame(1, 1, 0, 1, 1)[..], &[7]].concat(), &[]);
    socket.peer = File::open("/dev/null").unwrap().into();
    assert_eq!(socket.recv(), Ok(Recv::Message));
    for _ in 0..2 {
        assert_eq!(socket.recv(), Err(ChannelError::PeerDied));
    }
}

#[test]
fn flags_set_by_the_peer_do_not_block() {
    let _alone = alone();
    let (mine, theirs) = packet_sockets();
    let kept = theirs.try_clone().unwrap();
    let (mut channel, given) = accept_socket(theirs).unwrap();
    rustix::io::ioctl_fionbio(&kept, false).unwrap();
    rustix::io::ioctl_fionbio(&given, false).unwrap();
    assert_eq!(channel.recv(&mut Incoming::new(LIMITS)), Ok(Recv::Empty));
    let mut caps = vec![];
    let words = [0; 1000];
    loop {
        let body = Gather::words_only(&words);
        match channel
            .send(&mut Outgoing { number: 1, body, caps: &mut caps, cap_count: 0 }, 0)
            .unwrap()
        {
            Progress::Done => {}
            Progress::Partial(taken) => break assert_eq!(taken, 0),
        }
    }
    drop(mine);
}

#[test]
fn descriptor_limit_loses_one_whole_message() {
    let _alone = alone();
    let (mut client, mut service) = Lmp.pair(&WakeCounter::new().1, &WakeCounter::new().1).unwrap();
    let mut incoming = Incoming::new(LIMITS);
    let (pipe, _writer) = io::pipe().unwrap();
    // More than a frame, so that there is a rest to get over.
    let words: Vec<u64> = (0..9000).collect();
    let send = |client: &mut dyn Channel, count: usize| {
        let mut caps: Vec<_> = (0..count).map(|_| Cap::from(pipe.try_clone().unwrap())).collect();
        let body = Gather::words_only(&words);
        let sent =
            client.send(&mut Outgoing { number: 2, body, caps: &mut caps, cap_count: count }, 0);
        assert_eq!((sent, caps.len()), (Ok(Progress::Done), 0));
    };
    let received = |service: &mut dyn Channel, incoming: &mut Incoming| loop {
        match service.recv(incoming) {
            Ok(Recv::More) => {}
            other => break other,
        }
    };
    for room in [0, 1, 2] {
        send(&mut *client, 3);
        let before = open_descriptors();
        let limit = getrlimit(Resource::Nofile);
        // The descriptor that counts the others is closed again.
        let used = highest_descriptor() + 1;
        let holes = fill_holes(used);
        setrlimit(Resource::Nofile, Rlimit { current: Some(used + room), maximum: limit.maximum })
            .unwrap();
        let result = received(&mut *service, &mut incoming);
        setrlimit(Resource::Nofile, limit).unwrap();
        drop(holes);
        assert_eq!(result, Err(ChannelError::Caps(CapRefusal::ReceiverLimit)));
        assert_eq!(open_descriptors(), before, "descriptors of a lost message are kept");
        assert_eq!(received(&mut *service, &mut incoming), Ok(Recv::Empty));
        send(&mut *client, 1);
        assert_eq!(received(&mut *service, &mut incoming), Ok(Recv::Message));
        assert_eq!(incoming.take_caps().len(), 1);
        assert_eq!(incoming.words(), words);
    }
}

fn highest_descriptor() -> u64 {
    let names = std::fs::read_dir("/proc/self/fd").unwrap();
    names.map(|name| name.unwrap().file_name().to_str().unwrap().parse().unwrap()).max().unwrap()
}

/// Takes every free number below `limit`.
fn fill_holes(limit: u64) -> Vec<File> {
    let mut taken: Vec<File> = Vec::new();
    loop {
        let file = File::open("/dev/null").unwrap();
        if std::os::fd::AsRawFd::as_raw_fd(&file) as u64 >= limit {
            return taken;
        }
        taken.push(file);
    }
}
