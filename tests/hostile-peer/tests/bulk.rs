//! A hostile sender of bulk data: pools, slots, heads, sealed memory.

mod support;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flounder_hostile_peer::PATIENCE;
use flounder_hostile_peer::lmp::{Message, Socket, pair};
use flounder_hostile_peer::monitor::Link;
use flounder_hostile_peer::region::{PAGE, Region, SEALS, unsealed};
use flounder_hostile_peer::value::{Value, encode};
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create,
};
use rustix::io::pwrite;
use support::{Host, VICTIM};

/// Bytes of a slot in these tests: one page has two.
const SLOT: u64 = 2048;

const INLINE: u64 = 0;
const IN_SLOT: u64 = 1;
const SEALED: u64 = 2;

/// A head, also one that means nothing.
fn head(length: u64, way: u64, pool: u64, slot: u64) -> u64 {
    length | way << 32 | pool << 34 | slot << 42
}

/// A binding over lmp.
struct Attack {
    socket: Socket,
}

impl Attack {
    fn new(link: &mut Link, iref: u64) -> Self {
        let socket = link.bind_lmp(iref, VICTIM.digest()).expect("a sound client is taken");
        Self { socket }
    }

    fn picture(&self, seq: u64, pixels: Value, fds: &[BorrowedFd<'_>]) {
        let message = VICTIM.message("picture");
        let types: Vec<_> = message.args.iter().map(|(_, ty)| ty).collect();
        let words = encode(&types, &[Value::Number(seq), pixels]);
        // A victim that has ended the binding takes nothing more.
        let _ = self.socket.send(message.number, &words, fds);
    }

    fn runtime(&self, words: &[u64], fds: &[BorrowedFd<'_>]) {
        let _ = self.socket.send(0, words, fds);
    }

    fn next(&self) -> Message {
        self.socket.receive(PATIENCE).expect("the victim answers")
    }

    /// Offers a pool of two slots in this memory; returns the answer.
    fn offer(&self, pool: u64, memory: BorrowedFd<'_>) -> u64 {
        self.runtime(&[4, pool, 2, SLOT], &[memory]);
        let answer = self.next();
        assert_eq!((answer.number, &answer.words[..2]), (0, &[5, pool][..]));
        answer.words[2]
    }

    /// Sends a slot of an accepted pool, and expects the sum and the release.
    fn shows(&self, pool: u64, slot: u64, sum: u64) {
        self.picture(7, Value::Elsewhere(head(16, IN_SLOT, pool, slot)), &[]);
        self.answers(16, sum);
        let released = self.next();
        assert_eq!((released.number, &released.words[..]), (0, &[6, pool, 0, 1 << slot][..]));
    }

    fn answers(&self, length: u64, sum: u64) {
        let seen = self.next();
        assert_eq!(
            (seen.number, &seen.words[..]),
            (VICTIM.message("seen").number, &[7, length, sum][..])
        );
    }

    fn ends(&self) -> bool {
        self.socket.ends_within(PATIENCE)
    }
}

/// A page with these words at the beginning of its second slot.
fn pool() -> Region {
    let region = Region::new(1, &[]);
    region.store(SLOT as usize / 8, 40);
    region.store(SLOT as usize / 8 + 1, 2);
    region
}

#[test]
fn sound_pools_slots_and_memory_are_taken() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let attack = Attack::new(&mut link, iref);
    attack.picture(7, Value::Bulk(vec![1, 0, 0, 0, 0, 0, 0, 0, 9]), &[]);
    attack.answers(9, 10);
    let memory = pool();
    assert_eq!(attack.offer(0, memory.fd.as_fd()), 0, "the pool is taken");
    for _ in 0..3 {
        attack.shows(0, 1, 42);
    }
    attack.shows(0, 0, 0);
    let blob = sealed(&[3, 4], CONTENTS);
    attack.picture(7, Value::Elsewhere(head(16, SEALED, 0, 0)), &[blob.as_fd()]);
    attack.answers(16, 7);
    // Of the pools that are taken at a time there are four.
    for number in 1..4 {
        assert_eq!(attack.offer(number, pool().fd.as_fd()), 0);
    }
    assert_ne!(attack.offer(4, pool().fd.as_fd()), 0, "a fifth");
    attack.runtime(&[7, 2], &[]);
    assert_eq!(attack.offer(5, pool().fd.as_fd()), 0, "one is gone");
    attack.shows(5, 1, 42);
}

#[test]
fn bad_memory_of_a_pool_is_not_taken() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let attack = Attack::new(&mut link, iref);
    let full = |pages: usize, seals: SealFlags| {
        let fd = unsealed(pages);
        fallocate(&fd, FallocateFlags::empty(), 0, (pages * PAGE) as u64).expect("memory");
        fcntl_add_seals(&fd, seals).expect("seals");
        fd
    };
    let sparse = unsealed(1);
    fcntl_add_seals(&sparse, SEALS).expect("seals");
    let holed = unsealed(1);
    fallocate(&holed, FallocateFlags::KEEP_SIZE, PAGE as u64, PAGE as u64).expect("memory");
    fcntl_add_seals(&holed, SEALS).expect("seals");
    let odd = unsealed(1);
    ftruncate(&odd, 100).expect("a size");
    fallocate(&odd, FallocateFlags::empty(), 0, 100).expect("memory");
    fcntl_add_seals(&odd, SEALS).expect("seals");
    let (ours, _theirs) = pair();
    let bad: Vec<(&str, OwnedFd)> = vec![
        ("that can shrink", full(1, SEALS.difference(SealFlags::SHRINK))),
        ("that can grow", full(1, SEALS.difference(SealFlags::GROW))),
        ("that others can write", full(1, SEALS.difference(SealFlags::FUTURE_WRITE))),
        ("whose seals are not final", full(1, SEALS.difference(SealFlags::SEAL))),
        ("without seals", full(1, SealFlags::empty())),
        ("of two pages", full(2, SEALS)),
        ("without a page", full_of_nothing()),
        ("that is sparse", sparse),
        ("with a hole and a block beyond its end", holed),
        ("of 100 bytes", odd),
        ("that is a socket", ours),
        ("that is a device", std::fs::File::open("/dev/zero").expect("a device").into()),
    ];
    for (number, (what, memory)) in (0..).zip(&bad) {
        assert_ne!(attack.offer(number, memory.as_fd()), 0, "memory {what}");
    }
    let number = bad.len() as u64;
    assert_eq!(attack.offer(number, pool().fd.as_fd()), 0, "sound memory");
    attack.shows(number, 1, 42);
}

fn full_of_nothing() -> OwnedFd {
    let fd = unsealed(0);
    fcntl_add_seals(&fd, SEALS).expect("seals");
    fd
}

#[test]
fn bad_shape_of_a_pool_is_not_taken() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let attack = Attack::new(&mut link, iref);
    let shapes = [
        (0, 64),
        (1, 0),
        (64, 63),
        (65_537, 64),
        (2, 64 << 20),
        (u64::MAX, 64),
        (1 << 60, 1 << 60),
    ];
    for (number, (slots, bytes)) in (0..).zip(shapes) {
        attack.runtime(&[4, number, slots, bytes], &[pool().fd.as_fd()]);
        let answer = attack.next();
        assert_eq!((answer.number, &answer.words[..2]), (0, &[5, number][..]));
        assert_ne!(answer.words[2], 0, "{slots} slots of {bytes} bytes");
    }
}

#[test]
fn bad_head_ends_the_binding() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let bad = [
        ("way 3", head(8, 3, 0, 0)),
        ("a pool in the way 0", head(0, INLINE, 1, 0)),
        ("a slot in the way 0", head(0, INLINE, 0, 1)),
        ("a spare bit", head(16, IN_SLOT, 0, 1) | 1 << 58),
        ("the last bit", head(16, IN_SLOT, 0, 1) | 1 << 63),
        ("no tail", head(16, INLINE, 0, 0)),
        ("over the maximum", head(65_537, IN_SLOT, 0, 1)),
        ("longer than the slot", head(SLOT + 1, IN_SLOT, 0, 1)),
        ("a slot beyond the pool", head(16, IN_SLOT, 0, 2)),
        ("the last slot of all", head(16, IN_SLOT, 0, 65_535)),
        ("a pool that was never offered", head(16, IN_SLOT, 1, 0)),
        ("the last pool of all", head(16, IN_SLOT, 255, 0)),
        ("sealed memory that is missing", head(16, SEALED, 0, 0)),
        ("a pool in the way 2", head(16, SEALED, 1, 0)),
    ];
    for (what, bits) in bad {
        let attack = Attack::new(&mut link, iref);
        assert_eq!(attack.offer(0, pool().fd.as_fd()), 0);
        attack.picture(7, Value::Elsewhere(bits), &[]);
        assert!(attack.ends(), "{what}");
    }
    // A capability beside a slot, and one beside inline data.
    for bits in [head(16, IN_SLOT, 0, 1), head(0, INLINE, 0, 0)] {
        let attack = Attack::new(&mut link, iref);
        assert_eq!(attack.offer(0, pool().fd.as_fd()), 0);
        attack.picture(7, Value::Elsewhere(bits), &[pool().fd.as_fd()]);
        assert!(attack.ends(), "a capability too many");
    }
    assert!(link.bind_lmp(iref, VICTIM.digest()).is_ok(), "a sound client is taken");
}

#[test]
fn message_about_a_pool_out_of_turn_ends_the_binding() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let bad: [&[u64]; 14] = [
        &[4, 1, 2, SLOT],
        &[4, u64::MAX, 2, SLOT],
        &[4, 0, 2],
        &[4, 0, 2, SLOT, 1],
        &[4, 0, 2, SLOT, 1, 1],
        &[5, 0, 0],
        &[5, 1 << 40, 1],
        &[6, 0, 0, 1],
        &[6, u64::MAX, u64::MAX, u64::MAX],
        &[6, 0],
        &[7, 0],
        &[7],
        &[7, 0, 0],
        &[8, 0],
    ];
    for words in bad {
        let attack = Attack::new(&mut link, iref);
        attack.runtime(words, &[]);
        assert!(attack.ends(), "{words:?}");
    }
    let memory = pool();
    let with_a_capability: [&[u64]; 4] = [&[5, 0, 0], &[6, 0, 0, 1], &[7, 0], &[3, 1]];
    for words in with_a_capability {
        let attack = Attack::new(&mut link, iref);
        attack.runtime(words, &[memory.fd.as_fd()]);
        assert!(attack.ends(), "{words:?} with a capability");
    }
    let attack = Attack::new(&mut link, iref);
    assert_eq!(attack.offer(0, memory.fd.as_fd()), 0);
    attack.runtime(&[4, 0, 2, SLOT], &[memory.fd.as_fd()]);
    assert!(attack.ends(), "a pool that is offered twice");
}

const CONTENTS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

fn sealed(words: &[u64], seals: SealFlags) -> OwnedFd {
    let fd = memfd_create("blob", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
    let fd = fd.expect("a descriptor");
    for (at, word) in words.iter().enumerate() {
        pwrite(&fd, &word.to_ne_bytes(), at as u64 * 8).expect("room");
    }
    fcntl_add_seals(&fd, seals).expect("seals");
    fd
}

#[test]
fn bad_sealed_memory_ends_the_binding() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let sparse = memfd_create("blob", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .expect("a descriptor");
    ftruncate(&sparse, 16).expect("a size");
    fcntl_add_seals(&sparse, CONTENTS).expect("seals");
    let bad: Vec<(&str, OwnedFd, u64)> = vec![
        ("that can be written", sealed(&[1, 2], CONTENTS.difference(SealFlags::WRITE)), 16),
        ("that can shrink", sealed(&[1, 2], CONTENTS.difference(SealFlags::SHRINK)), 16),
        ("that can grow", sealed(&[1, 2], CONTENTS.difference(SealFlags::GROW)), 16),
        ("without seals", sealed(&[1, 2], SealFlags::empty()), 16),
        ("that is shorter", sealed(&[1], CONTENTS), 16),
        ("that is longer", sealed(&[1, 2, 3], CONTENTS), 16),
        ("without a byte", sealed(&[], CONTENTS), 0),
        ("that is sparse", sparse, 16),
        ("of a pool", pool().fd, PAGE as u64),
        ("that is a device", std::fs::File::open("/dev/zero").expect("a device").into(), 16),
    ];
    for (what, memory, length) in bad {
        let attack = Attack::new(&mut link, iref);
        attack.picture(7, Value::Elsewhere(head(length, SEALED, 0, 0)), &[memory.as_fd()]);
        assert!(attack.ends(), "memory {what}");
    }
    assert!(link.bind_lmp(iref, VICTIM.digest()).is_ok(), "a sound client is taken");
}

/// `FLOUNDER_SCRIBBLE_SECONDS` is for how long; two are the default.
#[test]
fn pool_that_is_scribbled_on_harms_nobody() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let attack = Attack::new(&mut link, iref);
    let memory = Region::new(1, &[]);
    assert_eq!(attack.offer(0, memory.fd.as_fd()), 0);
    let seconds = std::env::var("FLOUNDER_SCRIBBLE_SECONDS")
        .map_or(2, |seconds| seconds.parse().expect("a number of seconds"));
    let is_over = AtomicBool::new(false);
    let is_over = &is_over;
    std::thread::scope(|threads| {
        let scribbler = threads.spawn(move || {
            let mut word = 1_u64;
            while !is_over.load(Ordering::Relaxed) {
                word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
                memory.store((word >> 32) as usize % (PAGE / 8), word);
            }
        });
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(seconds) {
            attack.picture(7, Value::Elsewhere(head(SLOT, IN_SLOT, 0, 1)), &[]);
            let seen = attack.next();
            assert_eq!(&seen.words[..2], &[7, SLOT]);
            assert_eq!(attack.next().words, [6, 0, 0, 2]);
        }
        is_over.store(true, Ordering::Relaxed);
        scribbler.join().expect("it only writes");
    });
}
