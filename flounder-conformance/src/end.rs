//! One end of a channel for the tests: on this thread, on another thread, or in another process.
//!
//! A test requests an [`Operation`], and a [`TestEnd`] runs it on its end. So the same tests run for
//! every location of the ends.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use flounder_rt::barrier::arm_then_barrier;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    Channel, ChannelError, End, Incoming, Outgoing, Progress, Recv, RecvNow, SourceFds,
};
use flounder_rt::notify::{Notifier, Wake};
use flounder_rt::waitset::Waitset;
use flounder_rt::wire::Gather;

use crate::{LIMITS, Paths, WakeCounter};

/// Runs operations on one end.
pub(crate) trait TestEnd {
    fn run(&mut self, operation: Operation) -> Response;

    /// Returns true if operations of the other end take effect within the call, on this thread.
    fn is_here(&self) -> bool {
        false
    }
}

/// An operation on an end.
#[derive(Debug)]
pub(crate) enum Operation {
    Send(SendCall),
    SendNow {
        number: u16,
        words: Vec<u64>,
    },
    Recv,
    RecvNow,
    Ready,
    CanResume,
    IsOver,
    /// Arms, with the barrier that follows.
    Arm,
    Disarm,
    Close,
    /// Drops the end.
    Drop,
    /// Kills the process of the end.
    Die,
    /// Counts the wake-ups.
    Wakes,
    /// Moves the end to another waitset, with a new counter.
    Move,
    Driver,
}

/// Arguments of a call of `send`.
#[derive(Debug, Default)]
pub(crate) struct SendCall {
    pub(crate) number: u16,
    pub(crate) fixed: Vec<u64>,
    pub(crate) tails: Vec<Vec<u8>>,
    pub(crate) caps: Vec<Cap>,
    pub(crate) cap_count: usize,
    pub(crate) from: usize,
}

/// Result of an operation.
#[derive(Debug)]
pub(crate) enum Response {
    /// Result of `send`, and the capabilities that were left.
    Sent(Result<Progress, ErrorText>, Vec<Cap>),
    Received(Result<Received, ErrorText>),
    Yes(bool),
    Count(usize),
    Name(String),
    Done,
}

/// Result of `recv` or `recv_now`.
#[derive(Debug)]
pub(crate) enum Received {
    Message(Message),
    More,
    Empty,
    /// Only `recv` can decide. A result of `recv_now` only.
    Unsure,
}

/// A message that has arrived.
#[derive(Debug, Default)]
pub(crate) struct Message {
    pub(crate) number: u16,
    pub(crate) words: Vec<u64>,
    pub(crate) caps: Vec<Cap>,
}

/// A [`ChannelError`] that may be from another process. Two errors are equal if their texts are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ErrorText(pub(crate) String);

impl From<ChannelError> for ErrorText {
    fn from(error: ChannelError) -> Self {
        Self(format!("{error:?}"))
    }
}

impl PartialEq<ChannelError> for ErrorText {
    fn eq(&self, other: &ChannelError) -> bool {
        self.0 == format!("{other:?}")
    }
}

impl fmt::Debug for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An end of this thread, with its wake-ups, its waitset, and the message that it receives.
pub(crate) struct LocalEnd {
    channel: Option<Box<dyn Channel>>,
    notifier: Notifier,
    wakes: Arc<WakeCounter>,
    waitset: Waitset,
    /// Watches the edges of the descriptor, as a waitset does, if the end has one.
    edges: Option<OwnedFd>,
    incoming: Incoming,
}

impl LocalEnd {
    /// Creates an end from a channel that was made with `notifier`.
    pub(crate) fn new(mut channel: Box<dyn Channel>, notifier: Notifier) -> Self {
        let waitset = Waitset::new();
        channel.attached(&waitset).expect("the waitset watches what the driver wants watched");
        let mut local = Self {
            edges: edges(&*channel),
            channel: Some(channel),
            notifier,
            wakes: Arc::default(),
            waitset,
            incoming: Incoming::new(LIMITS),
        };
        local.retarget();
        local
    }

    fn channel(&mut self) -> &mut dyn Channel {
        &mut **self.channel.as_mut().expect("the test has not dropped this end")
    }

    fn retarget(&mut self) {
        self.wakes = Arc::default();
        self.notifier.retarget(Arc::clone(&self.wakes) as Arc<dyn Wake>, 0);
    }

    fn send(&mut self, call: SendCall) -> Response {
        let SendCall { number, fixed, tails, mut caps, cap_count, from } = call;
        let tails: Vec<&[u8]> = tails.iter().map(Vec::as_slice).collect();
        let body = Gather { fixed: &fixed, tails: &tails };
        let mut message = Outgoing { number, body, caps: &mut caps, cap_count };
        let sent = self.channel().send(&mut message, from).map_err(ErrorText::from);
        Response::Sent(sent, caps)
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

impl TestEnd for LocalEnd {
    fn run(&mut self, operation: Operation) -> Response {
        match operation {
            Operation::Send(call) => return self.send(call),
            Operation::SendNow { number, words } => {
                return Response::Yes(self.channel().send_now(number, &words));
            }
            Operation::Recv => {
                let channel = self.channel.as_mut().expect("the test has not dropped this end");
                return Response::Received(match channel.recv(&mut self.incoming) {
                    Ok(Recv::Message) => Ok(Received::Message(self.message())),
                    Ok(Recv::More) => Ok(Received::More),
                    Ok(Recv::Empty) => Ok(Received::Empty),
                    Err(error) => Err(error.into()),
                });
            }
            Operation::RecvNow => {
                let channel = self.channel.as_mut().expect("the test has not dropped this end");
                return Response::Received(Ok(match channel.recv_now(&mut self.incoming) {
                    RecvNow::Message => Received::Message(self.message()),
                    RecvNow::Empty => Received::Empty,
                    RecvNow::Unsure => Received::Unsure,
                }));
            }
            Operation::Ready => return Response::Yes(self.channel().ready()),
            Operation::CanResume => return Response::Yes(self.channel().can_resume()),
            Operation::IsOver => return Response::Yes(self.channel().is_over()),
            Operation::Arm => {
                arm_then_barrier(|| self.channel().arm());
                // An earlier edge does not end this sleep.
                self.saw_edge();
            }
            Operation::Disarm => self.channel().disarm(),
            Operation::Close => self.channel().close(),
            Operation::Drop => self.channel = None,
            Operation::Die => unreachable!("only processes of the suite die"),
            Operation::Wakes => return Response::Count(self.count_wakes()),
            Operation::Move => {
                let waitset = Waitset::new();
                self.channel().attached(&waitset).expect("the waitset watches");
                self.waitset = waitset;
                self.edges = edges(self.channel());
                self.saw_edge();
                self.retarget();
            }
            Operation::Driver => return Response::Name(self.channel().driver().to_owned()),
        }
        Response::Done
    }

    fn is_here(&self) -> bool {
        true
    }
}

/// Returns an epoll descriptor that watches the channel for edges, if the channel has a descriptor.
fn edges(channel: &dyn Channel) -> Option<OwnedFd> {
    let fds = channel.readiness().fds()?;
    Some(watch(fds).expect("there are descriptors to spare"))
}

fn watch(fds: SourceFds<'_>) -> rustix::io::Result<OwnedFd> {
    let edges = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    for fd in [Some(fds.arrivals), fds.room].into_iter().flatten() {
        epoll::add(&edges, fd, EventData::new_u64(0), flags)?;
    }
    Ok(edges)
}

/// An end with typed operations and deadlines, for the tests.
pub(crate) struct EndHandle {
    end: Box<dyn TestEnd>,
    paths: Paths,
    timeout: Duration,
}

impl EndHandle {
    pub(crate) fn new(end: Box<dyn TestEnd>, paths: Paths, timeout: Duration) -> Self {
        Self { end, paths, timeout }
    }

    /// Runs an operation, and checks that the call returns sooner than a test waits for an event (clause 3).
    fn run(&mut self, operation: Operation) -> Response {
        let asked = Instant::now();
        let answer = self.end.run(operation);
        assert!(asked.elapsed() < self.timeout, "a call does not return");
        answer
    }

    pub(crate) fn send(
        &mut self,
        number: u16,
        body: &Gather<'_>,
        caps: &mut Vec<Cap>,
        cap_count: usize,
        from: usize,
    ) -> Result<Progress, ErrorText> {
        let call = SendCall {
            number,
            fixed: body.fixed.to_vec(),
            tails: body.tails.iter().map(|tail| tail.to_vec()).collect(),
            caps: std::mem::take(caps),
            cap_count,
            from,
        };
        let Response::Sent(sent, left) = self.run(Operation::Send(call)) else { mistaken() };
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

    /// Begins to send a message without capabilities: as a binding does, by the fast path first.
    pub(crate) fn begin(&mut self, number: u16, words: &[u64]) -> Result<Progress, ErrorText> {
        if self.send_now(number, words) {
            return Ok(Progress::Done);
        }
        self.send(number, &Gather::words_only(words), &mut Vec::new(), 0, 0)
    }

    /// Tries the fast path, if the test uses it.
    pub(crate) fn send_now(&mut self, number: u16, words: &[u64]) -> bool {
        self.paths == Paths::FastFirst
            && self.yes(Operation::SendNow { number, words: words.to_vec() })
    }

    /// Receives at most one message: as a binding does, by the fast path first.
    pub(crate) fn recv(&mut self) -> Result<Received, ErrorText> {
        if self.paths == Paths::FastFirst {
            match self.recv_now() {
                Received::Unsure => {}
                sure => return Ok(sure),
            }
        }
        match self.run(Operation::Recv) {
            Response::Received(got) => got,
            _ => mistaken(),
        }
    }

    /// Tries the fast path.
    pub(crate) fn recv_now(&mut self) -> Received {
        match self.run(Operation::RecvNow) {
            Response::Received(Ok(got)) => got,
            _ => mistaken(),
        }
    }

    /// Receives one message, and waits for it.
    pub(crate) fn receive(&mut self) -> Result<Message, ErrorText> {
        let deadline = Instant::now() + self.timeout;
        loop {
            if let Received::Message(message) = self.recv()? {
                return Ok(message);
            }
            assert!(Instant::now() < deadline, "no message arrives");
        }
    }

    pub(crate) fn is_ready(&mut self) -> bool {
        self.yes(Operation::Ready)
    }

    pub(crate) fn can_resume(&mut self) -> bool {
        self.yes(Operation::CanResume)
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.yes(Operation::IsOver)
    }

    /// Returns true if `is_so` is true: at once for an end of this thread, within the timeout for
    /// another.
    pub(crate) fn soon(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) -> bool {
        if self.end.is_here() {
            return is_so(self);
        }
        let deadline = Instant::now() + self.timeout;
        while !is_so(self) {
            if Instant::now() > deadline {
                return false;
            }
        }
        true
    }

    /// Returns true if there is one more wake-up than `before` within the timeout.
    pub(crate) fn is_woken_after(&mut self, before: usize) -> bool {
        let deadline = Instant::now() + self.timeout;
        while self.wakes() <= before {
            if Instant::now() > deadline {
                return false;
            }
        }
        true
    }

    pub(crate) fn wakes(&mut self) -> usize {
        match self.run(Operation::Wakes) {
            Response::Count(count) => count,
            _ => mistaken(),
        }
    }

    pub(crate) fn driver(&mut self) -> String {
        match self.run(Operation::Driver) {
            Response::Name(name) => name,
            _ => mistaken(),
        }
    }

    pub(crate) fn arm(&mut self) {
        self.run(Operation::Arm);
    }

    pub(crate) fn disarm(&mut self) {
        self.run(Operation::Disarm);
    }

    pub(crate) fn close(&mut self) {
        self.run(Operation::Close);
    }

    pub(crate) fn drop_end(&mut self) {
        self.run(Operation::Drop);
    }

    pub(crate) fn move_to_another_waitset(&mut self) {
        self.run(Operation::Move);
    }

    pub(crate) fn die(&mut self) {
        self.end.run(Operation::Die);
    }

    fn yes(&mut self, operation: Operation) -> bool {
        match self.run(operation) {
            Response::Yes(yes) => yes,
            _ => mistaken(),
        }
    }
}

/// Returns an end with a notifier of its own.
pub(crate) fn end(connection: u64, buffer: usize) -> End {
    End { notifier: Notifier::new(), connection, buffer }
}

fn mistaken() -> ! {
    unreachable!("each operation has its kind of response")
}
