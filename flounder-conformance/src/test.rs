//! Both ends of a channel, and the steps that the tests share.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use flounder_rt::cap::Cap;
use flounder_rt::channel::Progress;
use flounder_rt::wire::Gather;

use crate::end::{EndHandle, ErrorText, Message, Received};
use crate::{LIMITS, Reach, Suite};

/// Numbers of the messages of [`LIMITS`], by what they may have.
pub(crate) const WORDS: u16 = 1;
pub(crate) const CAPS: u16 = 2;
pub(crate) const NOTHING: u16 = 3;

/// Maximum number of words of a message.
pub(crate) const LONGEST: usize = LIMITS[0].words;

/// More words than any channel may hold: 256 MiB.
pub(crate) const TOO_MANY: u64 = 1 << 25;

/// Both ends of a channel.
pub(crate) struct Test<'a> {
    pub(crate) suite: &'a Suite<'a>,
    /// The end that sends.
    pub(crate) client: EndHandle,
    /// The end that receives.
    pub(crate) service: EndHandle,
}

impl<'a> Test<'a> {
    pub(crate) fn new(suite: &'a Suite<'a>) -> Self {
        let (mut client, mut service) = suite.connect();
        assert_eq!(client.driver(), service.driver(), "the ends belong to two drivers");
        Self { suite, client, service }
    }

    /// Sends a small message, whole in one call.
    pub(crate) fn put(&mut self, number: u16, words: &[u64]) {
        assert_eq!(self.client.begin(number, words), Ok(Progress::Done));
    }

    /// Sends messages until one does not fit, and returns the number of those that did. The channel
    /// may have taken a part of the next one.
    pub(crate) fn fill(&mut self, body: impl Fn(u64) -> Vec<u64>) -> u64 {
        let (mut sent, mut words) = (0, 0);
        while self.client.begin(WORDS, &body(sent)).expect("it is open") == Progress::Done {
            words += body(sent).len() as u64 + 1;
            sent += 1;
            assert!(words < TOO_MANY, "the channel takes everything");
        }
        sent
    }

    /// Sends a message while the other end receives it.
    pub(crate) fn exchange(
        &mut self,
        number: u16,
        body: &Gather<'_>,
        caps: Vec<Cap>,
        expected: &[u64],
    ) {
        self.finish(number, body, caps, expected, Progress::Partial(0));
    }

    /// Sends the rest of a message while the other end receives it.
    pub(crate) fn finish(
        &mut self,
        number: u16,
        body: &Gather<'_>,
        mut caps: Vec<Cap>,
        expected: &[u64],
        progress: Progress,
    ) {
        let inodes: Vec<_> = caps.iter().map(inode).collect();
        let mut deadline = Instant::now() + self.suite.timeout;
        let (mut from, mut is_sent) = match progress {
            Progress::Done => (0, true),
            Progress::Partial(taken) => (taken, false),
        };
        let mut received = None;
        while !(is_sent && received.is_some()) {
            assert!(Instant::now() < deadline, "the message is under way for too long");
            if !is_sent {
                let sent = self.client.send(number, body, &mut caps, inodes.len(), from);
                match sent.expect("the channel is sound") {
                    Progress::Done => is_sent = true,
                    Progress::Partial(taken) if taken == from => {}
                    Progress::Partial(taken) => {
                        from = taken;
                        deadline = Instant::now() + self.suite.timeout;
                    }
                }
            }
            if received.is_none()
                && let Received::Message(message) =
                    self.service.recv().expect("the channel is sound")
            {
                received = Some(message);
            }
        }
        let Message { number: arrived, words, caps } = received.expect("the loop has ended");
        assert_eq!(arrived, number, "another message arrives");
        assert!(words == expected, "a message of {} words arrives otherwise", expected.len());
        let arrived: Vec<_> = caps.iter().map(inode).collect();
        assert_eq!(arrived, inodes, "other capabilities arrive than were sent");
    }

    /// Receives one message, and waits for it, while the waitset of the other end runs, as clause 7
    /// requires.
    pub(crate) fn receive(&mut self) -> Result<Message, ErrorText> {
        let deadline = Instant::now() + self.suite.timeout;
        loop {
            match self.service.recv()? {
                Received::Message(message) => return Ok(message),
                Received::More => {}
                Received::Empty | Received::Unsure => {
                    self.client.wakes();
                }
            }
            assert!(Instant::now() < deadline, "no message arrives, and no end");
        }
    }

    /// Receives a message, and compares it with this one.
    pub(crate) fn expect(&mut self, number: u16, words: &[u64]) {
        let message = self.receive().expect("the channel is sound");
        assert_eq!(message.number, number, "another message arrives");
        assert!(message.words == words, "a message of {} words arrives otherwise", words.len());
        assert!(message.caps.is_empty(), "a capability arrives that nobody sent");
    }

    /// Returns the number of words of a message that is longer than most channels are.
    pub(crate) fn long(&self) -> u64 {
        if self.suite.reach == Reach::Dispatcher { LONGEST as u64 } else { 1 << 14 }
    }

    /// Sends a message again and again until the channel accepts no more. Returns the number of
    /// messages accepted, and the words accepted of the next one.
    pub(crate) fn fill_with(&mut self, words: &[u64]) -> (u64, usize) {
        let (mut sent, mut from) = (0, 0);
        loop {
            let body = Gather::words_only(words);
            match self.client.send(WORDS, &body, &mut vec![], 0, from).expect("it is open") {
                Progress::Done => (sent, from) = (sent + 1, 0),
                Progress::Partial(taken) if taken == from => return (sent, from),
                Progress::Partial(taken) => from = taken,
            }
            assert!(sent * (words.len() as u64) < TOO_MANY, "the channel takes everything");
        }
    }

    pub(crate) fn expect_empty(&mut self) {
        let got = self.service.recv();
        assert!(matches!(got, Ok(Received::Empty)), "{got:?}, and nothing was sent");
    }

    /// Returns the error with which the service's end ends.
    pub(crate) fn end(&mut self) -> ErrorText {
        let ended = self.receive();
        ended.map(|message| message.number).expect_err("the channel has ended")
    }
}

/// Arms an end that has nothing to do. Returns the number of its wake-ups so far.
pub(crate) fn fall_asleep(handle: &mut EndHandle) -> usize {
    handle.arm();
    assert!(handle.soon(|handle| !handle.is_ready()), "nothing makes it ready");
    handle.wakes()
}

/// Returns capabilities for files that differ.
pub(crate) fn caps(count: usize) -> Vec<Cap> {
    let pipe = || io::pipe().expect("there are descriptors to spare").0;
    (0..count).map(|_| Cap::from(pipe())).collect()
}

pub(crate) fn inode(fd: &impl AsFd) -> u64 {
    rustix::fs::fstat(fd).expect("an open descriptor has an inode").st_ino
}
