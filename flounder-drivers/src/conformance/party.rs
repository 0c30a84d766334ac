//! One end of a channel as the tests see it: here, in another thread, or in another process.
//!
//! A test asks, a [`Party`] does it to its end and answers. So the same tests run whatever lies between the ends.

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use flounder_rt::barrier::arm_then_barrier;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    Channel, ChannelError, End, Incoming, Outgoing, Progress, Readiness, Recv, RecvNow,
};
use flounder_rt::notify::{Notifier, Wake};
use flounder_rt::waitset::Waitset;
use flounder_rt::wire::Gather;

use super::{LIMITS, Wakes, Ways};

/// Has one end do something.
pub(super) trait Party {
    fn ask(&mut self, ask: Ask) -> Answer;

    /// Whether what the other end is told to do is done within the call, in this thread.
    fn is_here(&self) -> bool {
        false
    }
}

/// What an end is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Send(Sending),
    SendNow {
        number: u16,
        words: Vec<u64>,
    },
    Recv,
    RecvNow,
    Ready,
    CanResume,
    IsOver,
    /// Arms, with the barrier that belongs to it.
    Arm,
    Disarm,
    Close,
    /// Drops the end.
    Drop,
    /// Kills the process of the end.
    Die,
    /// How often it was woken.
    Wakes,
    /// Another waitset, and another count.
    Move,
    Driver,
}

/// A call of `send`.
#[derive(Debug, Default)]
pub(super) struct Sending {
    pub(super) number: u16,
    pub(super) fixed: Vec<u64>,
    pub(super) tails: Vec<Vec<u8>>,
    pub(super) caps: Vec<Cap>,
    pub(super) cap_count: usize,
    pub(super) from: usize,
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// Of `send`: what became of it, and the capabilities that were left.
    Sent(Result<Progress, Said>, Vec<Cap>),
    Got(Result<Got, Said>),
    Yes(bool),
    Count(usize),
    Name(String),
    Done,
}

/// Of `recv`.
#[derive(Debug)]
pub(super) enum Got {
    Message(Message),
    More,
    Empty,
    /// By the quick way only.
    Unsure,
}

/// A message that has come.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) number: u16,
    pub(super) words: Vec<u64>,
    pub(super) caps: Vec<Cap>,
}

/// A [`ChannelError`] that may have come from another process: equal to one that is written alike.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Said(pub(super) String);

impl From<ChannelError> for Said {
    fn from(error: ChannelError) -> Self {
        Self(format!("{error:?}"))
    }
}

impl PartialEq<ChannelError> for Said {
    fn eq(&self, other: &ChannelError) -> bool {
        self.0 == format!("{other:?}")
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One end with what belongs to it: who is woken, the waitset that it is under, and the message that it receives.
pub(super) struct Side {
    channel: Option<Box<dyn Channel>>,
    notifier: Notifier,
    wakes: Arc<Wakes>,
    waitset: Waitset,
    /// For an end that has a descriptor: sees its edges, as a waitset does.
    edges: Option<OwnedFd>,
    incoming: Incoming,
}

impl Side {
    /// `channel` was made for an end with `notifier`.
    pub(super) fn new(mut channel: Box<dyn Channel>, notifier: Notifier) -> Self {
        let waitset = Waitset::new();
        channel.attached(&waitset).expect("the waitset watches what the driver wants watched");
        let mut side = Self {
            edges: edges(&*channel),
            channel: Some(channel),
            notifier,
            wakes: Arc::default(),
            waitset,
            incoming: Incoming::new(LIMITS),
        };
        side.retarget();
        side
    }

    fn channel(&mut self) -> &mut dyn Channel {
        &mut **self.channel.as_mut().expect("the test has not dropped this end")
    }

    fn retarget(&mut self) {
        self.wakes = Arc::default();
        self.notifier.retarget(Arc::clone(&self.wakes) as Arc<dyn Wake>, 0);
    }

    fn send(&mut self, sending: Sending) -> Answer {
        let Sending { number, fixed, tails, mut caps, cap_count, from } = sending;
        let tails: Vec<&[u8]> = tails.iter().map(Vec::as_slice).collect();
        let body = Gather { fixed: &fixed, tails: &tails };
        let mut message = Outgoing { number, body, caps: &mut caps, cap_count };
        let sent = self.channel().send(&mut message, from).map_err(Said::from);
        Answer::Sent(sent, caps)
    }

    fn message(&mut self) -> Message {
        assert_eq!(self.incoming.missing(), 0, "a message is handed out without some of its words");
        let (number, announced) = (self.incoming.number(), self.incoming.cap_count());
        let words = self.incoming.words().to_vec();
        let caps = self.incoming.take_caps();
        assert_eq!(caps.len(), announced, "a message is handed out without its capabilities");
        Message { number, words, caps }
    }

    fn count_wakes(&mut self) -> usize {
        self.waitset.try_dispatch().expect("nothing in the waitset fails");
        if self.saw_edge() {
            self.wakes.wake(0);
        }
        self.wakes.count()
    }

    fn saw_edge(&self) -> bool {
        let Some(edges) = &self.edges else { return false };
        let mut events = Vec::with_capacity(1);
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        epoll::wait(edges, rustix::buffer::spare_capacity(&mut events), Some(&now))
            .expect("an epoll descriptor can be waited for")
            > 0
    }
}

impl Party for Side {
    fn ask(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Send(sending) => return self.send(sending),
            Ask::SendNow { number, words } => {
                return Answer::Yes(self.channel().send_now(number, &words));
            }
            Ask::Recv => {
                let channel = self.channel.as_mut().expect("the test has not dropped this end");
                return Answer::Got(match channel.recv(&mut self.incoming) {
                    Ok(Recv::Message) => Ok(Got::Message(self.message())),
                    Ok(Recv::More) => Ok(Got::More),
                    Ok(Recv::Empty) => Ok(Got::Empty),
                    Err(error) => Err(error.into()),
                });
            }
            Ask::RecvNow => {
                let channel = self.channel.as_mut().expect("the test has not dropped this end");
                return Answer::Got(Ok(match channel.recv_now(&mut self.incoming) {
                    RecvNow::Message => Got::Message(self.message()),
                    RecvNow::Empty => Got::Empty,
                    RecvNow::Unsure => Got::Unsure,
                }));
            }
            Ask::Ready => return Answer::Yes(self.channel().ready()),
            Ask::CanResume => return Answer::Yes(self.channel().can_resume()),
            Ask::IsOver => return Answer::Yes(self.channel().is_over()),
            Ask::Arm => {
                arm_then_barrier(|| self.channel().arm());
                // What was seen before this sleep does not end it.
                self.saw_edge();
            }
            Ask::Disarm => self.channel().disarm(),
            Ask::Close => self.channel().close(),
            Ask::Drop => self.channel = None,
            Ask::Die => unreachable!("only processes of the suite die"),
            Ask::Wakes => return Answer::Count(self.count_wakes()),
            Ask::Move => {
                let waitset = Waitset::new();
                self.channel().attached(&waitset).expect("the waitset watches");
                self.waitset = waitset;
                self.edges = edges(self.channel());
                self.saw_edge();
                self.retarget();
            }
            Ask::Driver => return Answer::Name(self.channel().driver().to_owned()),
        }
        Answer::Done
    }

    fn is_here(&self) -> bool {
        true
    }
}

/// Sees the edges of the descriptor of a channel, if it has one.
fn edges(channel: &dyn Channel) -> Option<OwnedFd> {
    let Readiness::Fd(fd) = channel.readiness() else { return None };
    Some(watch(fd).expect("there are descriptors to spare"))
}

fn watch(fd: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let edges = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    epoll::add(&edges, fd, EventData::new_u64(0), flags)?;
    Ok(edges)
}

/// What a test holds: asks of a party, with types and deadlines.
pub(super) struct Hand {
    party: Box<dyn Party>,
    ways: Ways,
    patience: Duration,
}

impl Hand {
    pub(super) fn new(party: Box<dyn Party>, ways: Ways, patience: Duration) -> Self {
        Self { party, ways, patience }
    }

    /// Asks; no call takes as long as a test waits for what must happen (clause 3).
    fn ask(&mut self, ask: Ask) -> Answer {
        let asked = Instant::now();
        let answer = self.party.ask(ask);
        assert!(asked.elapsed() < self.patience, "a call does not return");
        answer
    }

    pub(super) fn send(
        &mut self,
        number: u16,
        body: &Gather<'_>,
        caps: &mut Vec<Cap>,
        cap_count: usize,
        from: usize,
    ) -> Result<Progress, Said> {
        let sending = Sending {
            number,
            fixed: body.fixed.to_vec(),
            tails: body.tails.iter().map(|tail| tail.to_vec()).collect(),
            caps: std::mem::take(caps),
            cap_count,
            from,
        };
        let Answer::Sent(sent, left) = self.ask(Ask::Send(sending)) else { mistaken() };
        *caps = left;
        if let Ok(Progress::Partial(taken)) = sent {
            assert!(taken >= from, "words that were taken are taken back");
            assert!(taken <= body.len().max(1), "more words are taken than there are");
        }
        if sent == Ok(Progress::Done) {
            assert!(caps.is_empty(), "capabilities stay behind when their message is sent");
        }
        sent
    }

    /// Begins to send a message without capabilities: the way that a binding does.
    pub(super) fn begin(&mut self, number: u16, words: &[u64]) -> Result<Progress, Said> {
        if self.send_now(number, words) {
            return Ok(Progress::Done);
        }
        self.send(number, &Gather::words_only(words), &mut Vec::new(), 0, 0)
    }

    /// Tries the quick way, if it is to be used.
    pub(super) fn send_now(&mut self, number: u16, words: &[u64]) -> bool {
        self.ways == Ways::Both && self.yes(Ask::SendNow { number, words: words.to_vec() })
    }

    /// Receives at most one message: the way that a binding does.
    pub(super) fn recv(&mut self) -> Result<Got, Said> {
        if self.ways == Ways::Both {
            match self.recv_now() {
                Got::Unsure => {}
                sure => return Ok(sure),
            }
        }
        match self.ask(Ask::Recv) {
            Answer::Got(got) => got,
            _ => mistaken(),
        }
    }

    /// Tries the quick way.
    pub(super) fn recv_now(&mut self) -> Got {
        match self.ask(Ask::RecvNow) {
            Answer::Got(Ok(got)) => got,
            _ => mistaken(),
        }
    }

    /// Receives one message, for which it waits.
    pub(super) fn receive(&mut self) -> Result<Message, Said> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Got::Message(message) = self.recv()? {
                return Ok(message);
            }
            assert!(Instant::now() < deadline, "no message arrives");
        }
    }

    pub(super) fn is_ready(&mut self) -> bool {
        self.yes(Ask::Ready)
    }

    pub(super) fn can_resume(&mut self) -> bool {
        self.yes(Ask::CanResume)
    }

    pub(super) fn is_over(&mut self) -> bool {
        self.yes(Ask::IsOver)
    }

    /// Whether this comes true: at once for an end in this thread, in time for another.
    pub(super) fn soon(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) -> bool {
        if self.party.is_here() {
            return is_so(self);
        }
        let deadline = Instant::now() + self.patience;
        while !is_so(self) {
            if Instant::now() > deadline {
                return false;
            }
        }
        true
    }

    /// Whether it is woken once more than `before`.
    pub(super) fn is_woken_after(&mut self, before: usize) -> bool {
        let deadline = Instant::now() + self.patience;
        while self.wakes() <= before {
            if Instant::now() > deadline {
                return false;
            }
        }
        true
    }

    pub(super) fn wakes(&mut self) -> usize {
        match self.ask(Ask::Wakes) {
            Answer::Count(count) => count,
            _ => mistaken(),
        }
    }

    pub(super) fn driver(&mut self) -> String {
        match self.ask(Ask::Driver) {
            Answer::Name(name) => name,
            _ => mistaken(),
        }
    }

    pub(super) fn arm(&mut self) {
        self.ask(Ask::Arm);
    }

    pub(super) fn disarm(&mut self) {
        self.ask(Ask::Disarm);
    }

    pub(super) fn close(&mut self) {
        self.ask(Ask::Close);
    }

    pub(super) fn drop_end(&mut self) {
        self.ask(Ask::Drop);
    }

    pub(super) fn move_to_another_waitset(&mut self) {
        self.ask(Ask::Move);
    }

    pub(super) fn die(&mut self) {
        self.party.ask(Ask::Die);
    }

    fn yes(&mut self, ask: Ask) -> bool {
        match self.ask(ask) {
            Answer::Yes(yes) => yes,
            _ => mistaken(),
        }
    }
}

/// An end, and its notifier.
pub(super) fn end(connection: u64, buffer: usize) -> End {
    End { notifier: Notifier::new(), connection, buffer }
}

fn mistaken() -> ! {
    unreachable!("each question has its answer")
}
