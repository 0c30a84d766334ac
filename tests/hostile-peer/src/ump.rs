//! Lines of ump (`docs/wire.md`, "Lines of ump"), by one end that polls and never sleeps.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

use crate::PATIENCE;
use crate::monitor::{Answer, Link, Request};
use crate::region::{PAGE, ReadOnly, Region};

/// First word of a ring.
pub const MAGIC: u64 = u64::from_be_bytes(*b"flndr_u\x01");

/// Lines of a page.
pub const LINES: usize = PAGE / 64;

/// This end can't run a barrier on the processors of its peer, and never sleeps.
const STATE_FENCE: u64 = 1 << 1;

/// What a bind over ump hands over besides the ring.
#[derive(Debug)]
pub struct Doorbell {
    /// The receiving end, of this process.
    pub receiver: OwnedFd,
    /// Its other end, for the peer.
    pub sender: OwnedFd,
    /// The log of this process.
    pub log: Region,
}

impl Doorbell {
    /// Makes a socket pair and a log of one page.
    ///
    /// # Panics
    /// If a system call fails.
    #[must_use]
    pub fn new() -> Self {
        let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
        let pair = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None);
        let (receiver, sender) = pair.expect("a socket pair");
        Self { receiver, sender, log: Region::new(1, &[]) }
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

/// Words of a valid control line of a ring of this many pages.
#[must_use]
pub fn control_line(pages: usize) -> [u64; 3] {
    [MAGIC, (pages * LINES) as u64, STATE_FENCE]
}

/// The words of an offer that encloses a doorbell and a log.
pub const OFFER: [u64; 3] = [1, 1, 0];

/// A channel of ump, as its client.
#[derive(Debug)]
pub struct Channel {
    own: Region,
    theirs: ReadOnly,
    /// Sending end and log index by which the peer is rung, with the slot of its end.
    sender: OwnedFd,
    log: Region,
    rings: u64,
    slot: u64,
    lines: usize,
    their_lines: usize,
    sent: u64,
    read: u64,
    _receiver: OwnedFd,
}

impl Channel {
    /// Binds over ump with a ring of this many pages and a doorbell that the service has not seen before.
    ///
    /// # Errors
    /// The answer, if there is no binding.
    ///
    /// # Panics
    /// If the link ends, or the terms are not as documented.
    pub fn bind(link: &mut Link, iref: u64, digest: u128, pages: usize) -> Result<Self, Answer> {
        let (own, doorbell) = (Region::new(pages, &control_line(pages)), Doorbell::new());
        let buffer = (pages * PAGE) as u64;
        let request = Request { iref, digest, buffer, driver: "ump", words: OFFER.to_vec() };
        let fds = [own.fd.as_fd(), doorbell.sender.as_fd(), doorbell.log.fd.as_fd()];
        link.request(&request, &fds).expect("the link is up");
        let (words, mut fds) = match link.answer(PATIENCE) {
            Answer::Bound { words, fds, .. } => (words, fds),
            other => return Err(other),
        };
        let [1, flags, slot] = words[..] else { panic!("terms of ump: {words:?}") };
        assert_eq!(flags & 1, 1, "the first answer encloses a doorbell and a log");
        assert_eq!(fds.len(), 3, "ring, doorbell, log");
        let theirs = ReadOnly::new(&fds[0]);
        assert_eq!(theirs.load(0), MAGIC);
        let their_lines = usize::try_from(theirs.load(1)).expect("few lines");
        assert_eq!(their_lines * 8, theirs.words());
        Ok(Self {
            own,
            theirs,
            sender: fds.remove(1),
            log: doorbell.log,
            rings: 0,
            slot,
            lines: pages * LINES,
            their_lines,
            sent: 0,
            read: 0,
            _receiver: doorbell.receiver,
        })
    }

    /// Sends a message of up to 7 words.
    ///
    /// # Panics
    /// If there is no room within the patience of the tests, or the message is longer.
    pub fn send(&mut self, number: u16, words: &[u64]) {
        assert!(words.len() <= 7, "one line");
        let used = (words.len() as u64) << 13;
        self.send_line(u64::from(number) << 18 | used, words);
    }

    /// Writes the next line, with any header below the sequence number, and rings.
    ///
    /// # Panics
    /// If there is no room within the patience of the tests.
    pub fn send_line(&mut self, header: u64, words: &[u64]) {
        let deadline = Instant::now() + PATIENCE;
        let capacity = (self.lines - 2) as u64;
        while self.sent - self.theirs.load(8) >= capacity {
            assert!(Instant::now() < deadline, "the ring stays full");
            std::thread::yield_now();
        }
        let line = (2 + usize::try_from(self.sent % capacity).expect("small")) * 8;
        for at in 0..7 {
            self.own.store(line + at, words.get(at).copied().unwrap_or(0));
        }
        self.sent += 1;
        self.own.store(line + 7, (self.sent & 0xffff_ffff) << 32 | header);
        self.ring();
    }

    /// Rings the peer, asleep or not.
    pub fn ring(&mut self) {
        let at = usize::try_from(self.rings % 512).expect("small");
        self.rings += 1;
        self.log.store(at, (self.rings & 0xffff_ffff) << 32 | self.slot);
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        let _ = rustix::net::send(&self.sender, &[0], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }

    /// Receives a message of one line; `None` if none comes in time.
    ///
    /// # Panics
    /// If a longer one comes.
    pub fn receive(&mut self, patience: Duration) -> Option<(u16, Vec<u64>)> {
        let deadline = Instant::now() + patience;
        let capacity = (self.their_lines - 2) as u64;
        let line = (2 + usize::try_from(self.read % capacity).expect("small")) * 8;
        let expected = (self.read + 1) & 0xffff_ffff;
        loop {
            let header = self.theirs.load(line + 7);
            if header >> 32 == expected {
                assert_eq!(header >> 16 & 3, 0, "a whole message");
                let used = (header >> 13 & 7) as usize;
                let words = (0..used).map(|at| self.theirs.load(line + at)).collect();
                self.read += 1;
                self.own.store(8, self.read);
                self.ring();
                return Some(((header >> 18 & 0x3fff) as u16, words));
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::yield_now();
        }
    }

    /// Stores a word of the own ring, wherever it lies.
    pub fn scribble(&self, at: usize, word: u64) {
        self.own.store(at, word);
    }
}

/// Sends a bind request over ump with these regions and returns how it ends.
///
/// # Panics
/// If the link has ended.
#[must_use]
pub fn try_regions(
    link: &mut Link,
    iref: u64,
    digest: u128,
    [ring, sender, log]: [BorrowedFd<'_>; 3],
) -> Answer {
    let request = Request { iref, digest, buffer: 4096, driver: "ump", words: OFFER.to_vec() };
    link.request(&request, &[ring, sender, log]).expect("the link is up");
    link.answer(PATIENCE)
}
