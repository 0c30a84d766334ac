//! The contract of a driver as tests, one for each clause: every driver runs all of them, those of other crates too.
//!
//! ```
//! use flounder_drivers::{conformance, loopback::Loopback};
//! use flounder_rt::channel::Connector;
//!
//! conformance::run(&|client, service| Loopback.pair_local(client, service).expect("it reaches its own thread"));
//! ```
//!
//! The functions panic where a driver breaks the contract. Every wait in them ends with [`PATIENCE`].

mod link;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flounder_rt::barrier::barrier;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    Channel, ChannelError, End, Incoming, Limits, MAX_CAPS, MessageLimit, Outgoing, Pair, Progress,
    ProtocolError, RUNTIME_MESSAGE, Readiness, Recv,
};
use flounder_rt::notify::{Notifier, Wake};
use flounder_rt::waitset::Waitset;
use flounder_rt::wire::Gather;

pub use link::TestLink;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a pair of ends for a test.
pub type Connect<'a> = &'a dyn Fn(&End, &End) -> Pair;

/// The messages that the tests send: 1 has up to 2^17 words, 2 has capabilities as well, 3 has none of either.
pub const LIMITS: Limits = &[
    MessageLimit { words: 1 << 17, caps: 0 },
    MessageLimit { words: 1 << 17, caps: MAX_CAPS },
    MessageLimit { words: 0, caps: 0 },
];

/// Runs all tests.
pub fn run(connect: Connect<'_>) {
    messages_arrive_once_whole_and_in_order(connect);
    tails_are_padded_and_joined(connect);
    capabilities_arrive_with_their_message(connect);
    send_stops_when_full_and_goes_on_when_told(connect);
    nothing_taken_changes_nothing(connect);
    what_the_interface_lacks_is_an_error_for_good(connect);
    close_comes_after_what_was_sent(connect);
    dropping_an_end_closes_it(connect);
    a_closed_end_sends_no_more(connect);
    a_quiet_channel_is_not_ready(connect);
    a_sleeper_is_woken_by_a_message(connect);
    a_sleeper_is_woken_by_room(connect);
    a_sleeper_is_woken_by_the_end(connect);
    the_runtime_has_a_message_of_its_own(connect);
}

/// Clauses 1 and 2.
pub fn messages_arrive_once_whole_and_in_order(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    for round in 0..3000_u64 {
        let words: Vec<u64> = (0..[0, 1, 6, 7, 8, 13, 14, 100, 5000][round as usize % 9])
            .map(|i| round << 32 | i)
            .collect();
        test.exchange(1, Gather::words_only(&words), vec![]);
        assert_eq!(test.incoming.words(), words, "message {round}");
    }
    test.expect_empty();
}

/// Clause 2, for bodies in pieces.
pub fn tails_are_padded_and_joined(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    let bytes: Vec<u8> = (0..70_000_u32).map(|i| i as u8).collect();
    for lengths in [&[0, 1][..], &[3, 8, 5], &[56, 57], &[70_000, 1, 65_537], &[17; 200]] {
        let tails: Vec<&[u8]> = lengths.iter().map(|length| &bytes[..*length]).collect();
        let body = Gather { fixed: &[1, 2, 3], tails: &tails };
        let mut expected = vec![0; body.len()];
        body.reader(0).read(&mut expected);
        test.exchange(1, body, vec![]);
        assert_eq!(test.incoming.words(), expected, "tails of {lengths:?}");
    }
}

/// Clause 2, for capabilities: each with its message, in order, and none left over.
pub fn capabilities_arrive_with_their_message(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    for round in 0..60_usize {
        let count = [0, 1, 3, MAX_CAPS, 2, 0][round % 6];
        let words: Vec<u64> = (0..[0, 2, 7, 50, 9000][round % 5]).collect();
        let pipes: Vec<_> =
            (0..count).map(|_| io::pipe().expect("there are descriptors to spare")).collect();
        let inodes: Vec<_> = pipes.iter().map(|(reader, _)| inode(reader)).collect();
        let caps = pipes.into_iter().map(|(reader, _)| Cap::from(reader)).collect();
        test.exchange(2, Gather::words_only(&words), caps);
        assert_eq!(test.incoming.words(), words, "message {round}");
        let got: Vec<_> = test.incoming.take_caps().iter().map(inode).collect();
        assert_eq!(got, inodes, "capabilities of message {round}");
    }
}

/// Clauses 3 and 4.
pub fn send_stops_when_full_and_goes_on_when_told(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    let words: Vec<u64> = (0..1 << 17).collect();
    let mut caps = vec![];
    let (mut begun, mut from) = (0_u64, 0);
    // Fill the channel, with nobody reading.
    loop {
        match send(&mut *test.client, 1, Gather::words_only(&words), &mut caps, 0, from) {
            Ok(Progress::Done) => (begun, from) = (begun + 1, 0),
            Ok(Progress::Partial(taken)) if taken == from => break,
            Ok(Progress::Partial(taken)) => from = taken,
            Err(error) => panic!("a full channel is no error: {error}"),
        }
        assert!(begun < 100_000, "the channel takes everything");
    }
    // Then read, and go on.
    let deadline = Instant::now() + PATIENCE;
    let mut received = 0;
    while received <= begun {
        assert!(Instant::now() < deadline, "{received} of {begun} and one arrived");
        if test.service.recv(&mut test.incoming).expect("the channel is sound") == Recv::Message {
            assert_eq!(test.incoming.words(), words);
            received += 1;
        }
        if from != usize::MAX {
            match send(&mut *test.client, 1, Gather::words_only(&words), &mut caps, 0, from) {
                Ok(Progress::Done) => from = usize::MAX,
                Ok(Progress::Partial(taken)) => {
                    assert!(taken >= from, "words that were taken are taken back");
                    from = taken;
                }
                Err(error) => panic!("the channel is sound: {error}"),
            }
        }
    }
    test.expect_empty();
}

/// Clause 5.
pub fn nothing_taken_changes_nothing(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    let mut sent = 0_u64;
    while let Progress::Done =
        send(&mut *test.client, 1, Gather::words_only(&[sent]), &mut vec![], 0, 0)
            .expect("it is open")
    {
        sent += 1;
        assert!(sent < 10_000_000, "the channel takes everything");
    }
    // Another message than the one that was not taken, and its capability is still here.
    let (reader, _writer) = io::pipe().expect("there are descriptors to spare");
    let mut caps = vec![Cap::from(reader)];
    assert_eq!(
        send(&mut *test.client, 2, Gather::words_only(&[]), &mut caps, 1, 0),
        Ok(Progress::Partial(0))
    );
    assert_eq!(caps.len(), 1, "nothing taken, but the capability");
    for expected in 0..sent {
        test.receive();
        assert_eq!(test.incoming.words(), [expected]);
    }
    test.expect_empty();
    test.exchange(1, Gather::words_only(&[77, 78]), vec![]);
    assert_eq!(test.incoming.words(), [77, 78]);
}

/// Clause 6.
pub fn what_the_interface_lacks_is_an_error_for_good(connect: Connect<'_>) {
    type Is = fn(&ProtocolError) -> bool;
    let bad: [(u16, usize, usize, Is); 3] = [
        (4, 1, 0, |error| matches!(error, ProtocolError::Number(4))),
        (3, 1, 0, |error| matches!(error, ProtocolError::Length { number: 3, words: 1, max: 0 })),
        (1, 1, 1, |error| matches!(error, ProtocolError::CapCount { number: 1, caps: 1, max: 0 })),
    ];
    for (number, words, caps, is_expected) in bad {
        let mut test = Test::new(connect);
        test.exchange(1, Gather::words_only(&[1]), vec![]);
        let mut pipes: Vec<_> = (0..caps)
            .map(|_| Cap::from(io::pipe().expect("there are descriptors to spare").0))
            .collect();
        let words: Vec<u64> = vec![0; words];
        // A driver may wait for the receiver before it is done.
        send(&mut *test.client, number, Gather::words_only(&words), &mut pipes, caps, 0)
            .expect("it is open");
        for _ in 0..2 {
            match test.end() {
                ChannelError::Protocol(error) if is_expected(&error) => {}
                error => panic!("message {number} with {caps} capabilities gives {error:?}"),
            }
        }
    }
}

/// Clause 7, for the peer's close.
pub fn close_comes_after_what_was_sent(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    // As much as fits: the close has to get through none the less.
    let mut sent = 0_u64;
    while let Progress::Done =
        send(&mut *test.client, 1, Gather::words_only(&[sent; 5]), &mut vec![], 0, 0)
            .expect("it is open")
    {
        sent += 1;
    }
    test.client.close();
    test.client.close();
    for expected in 0..sent {
        test.receive();
        assert_eq!(test.incoming.words(), [expected; 5]);
    }
    for _ in 0..3 {
        assert_eq!(test.end(), ChannelError::Closed);
    }
    assert!(
        send(&mut *test.service, 1, Gather::words_only(&[]), &mut vec![], 0, 0).is_err(),
        "sent to a closed channel"
    );
}

/// Clause 7: an end that goes away without a word has closed, as long as its process lives.
pub fn dropping_an_end_closes_it(connect: Connect<'_>) {
    let Test { mut client, service, mut incoming, .. } = {
        let mut test = Test::new(connect);
        // Something is unread at the end that goes.
        send(&mut *test.client, 1, Gather::words_only(&[1]), &mut vec![], 0, 0)
            .expect("it is open");
        send(&mut *test.service, 1, Gather::words_only(&[2]), &mut vec![], 0, 0)
            .expect("it is open");
        test
    };
    drop(service);
    assert_eq!(receive(&mut *client, &mut incoming), Ok(()));
    assert_eq!(incoming.words(), [2]);
    assert_eq!(receive(&mut *client, &mut incoming), Err(ChannelError::Closed));
}

/// Clause 7, for this end's close.
pub fn a_closed_end_sends_no_more(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    send(&mut *test.client, 1, Gather::words_only(&[5]), &mut vec![], 0, 0).expect("it is open");
    test.service.close();
    assert!(send(&mut *test.service, 1, Gather::words_only(&[]), &mut vec![], 0, 0).is_err());
    test.receive();
    assert_eq!(test.incoming.words(), [5]);
    assert_eq!(test.end(), ChannelError::Closed);
}

/// Of `ready`: never false in vain, and not true for ever.
pub fn a_quiet_channel_is_not_ready(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    for words in [&[][..], &[1], &[0; 400]] {
        test.expect_empty();
        assert!(!test.service.ready() && !test.client.ready(), "nothing happened");
        let body = Gather::words_only(words);
        let progress = send(&mut *test.client, 1, body, &mut vec![], 0, 0).expect("it is open");
        assert!(test.service.ready(), "a message of {} words is there", words.len());
        // A channel may hold less than the longest of them.
        test.finish(1, body, vec![], progress);
    }
}

/// Clause 8, for messages. Every sleep has a wake-up of its own.
pub fn a_sleeper_is_woken_by_a_message(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    if !test.is_polled() {
        return;
    }
    for round in 0..100 {
        test.service.arm();
        barrier();
        assert!(!test.service.ready());
        let before = test.service_wakes.count();
        test.put(1, &[round]);
        assert!(test.service_wakes.came_after(before, &test.waitset), "sleep {round}");
        if round % 2 == 0 {
            test.service.disarm();
        }
        test.receive();
    }
}

/// Clause 8, for room.
pub fn a_sleeper_is_woken_by_room(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    if !test.is_polled() {
        return;
    }
    while let Progress::Done =
        send(&mut *test.client, 1, Gather::words_only(&[1]), &mut vec![], 0, 0).expect("it is open")
    {
    }
    test.client.arm();
    barrier();
    assert!(!test.client.ready());
    let before = test.client_wakes.count();
    while test.service.recv(&mut test.incoming).expect("it is open") != Recv::Empty {}
    assert!(test.client_wakes.came_after(before, &test.waitset));
    assert!(test.client.ready());
    test.client.disarm();
    test.put(1, &[2]);
    // And an end that finds the channel full while it counts as asleep.
    test.client.arm();
    barrier();
    while let Progress::Done =
        send(&mut *test.client, 1, Gather::words_only(&[1]), &mut vec![], 0, 0).expect("it is open")
    {
    }
    let before = test.client_wakes.count();
    while test.service.recv(&mut test.incoming).expect("it is open") != Recv::Empty {}
    assert!(test.client_wakes.came_after(before, &test.waitset));
}

/// Clause 8, for the end of the channel.
pub fn a_sleeper_is_woken_by_the_end(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    if test.is_polled() {
        test.service.arm();
        barrier();
        let before = test.service_wakes.count();
        test.client.close();
        assert!(test.service_wakes.came_after(before, &test.waitset));
    } else {
        test.client.close();
    }
    assert!(test.service.ready());
}

/// Message 0 is the runtime's, and has at most seven words.
pub fn the_runtime_has_a_message_of_its_own(connect: Connect<'_>) {
    let mut test = Test::new(connect);
    test.exchange(RUNTIME_MESSAGE, Gather::words_only(&[1, 2, 3]), vec![]);
    assert_eq!((test.incoming.number(), test.incoming.words()), (RUNTIME_MESSAGE, &[1, 2, 3][..]));
}

/// Two ends of a channel, who woke them, and a message coming in.
struct Test {
    client: Box<dyn Channel>,
    service: Box<dyn Channel>,
    client_wakes: Arc<Wakes>,
    service_wakes: Arc<Wakes>,
    incoming: Incoming,
    /// Watches what the driver wants watched.
    waitset: Waitset,
}

impl Test {
    fn new(connect: Connect<'_>) -> Self {
        let (client_wakes, client_end) = Wakes::new();
        let (service_wakes, service_end) = Wakes::new();
        let (mut client, mut service) = connect(&client_end, &service_end);
        let waitset = Waitset::new();
        client.attached(&waitset).expect("the waitset watches");
        service.attached(&waitset).expect("the waitset watches");
        Self {
            waitset,
            client,
            service,
            client_wakes,
            service_wakes,
            incoming: Incoming::new(LIMITS),
        }
    }

    /// Whether an end is woken by its notifier, and in this thread.
    fn is_polled(&self) -> bool {
        matches!(self.service.readiness(), Readiness::Polled)
    }

    /// Sends a small message, all of it.
    fn put(&mut self, number: u16, words: &[u64]) {
        let sent = send(&mut *self.client, number, Gather::words_only(words), &mut vec![], 0, 0);
        assert_eq!(sent, Ok(Progress::Done));
    }

    /// Sends a message while the other end receives it.
    fn exchange(&mut self, number: u16, body: Gather<'_>, caps: Vec<Cap>) {
        self.finish(number, body, caps, Progress::Partial(0));
    }

    /// The same, for one of which some was sent.
    fn finish(&mut self, number: u16, body: Gather<'_>, mut caps: Vec<Cap>, progress: Progress) {
        let cap_count = caps.len();
        let deadline = Instant::now() + PATIENCE;
        let (mut from, mut is_sent, mut is_received) = match progress {
            Progress::Done => (0, true, false),
            Progress::Partial(taken) => (taken, false, false),
        };
        while !(is_sent && is_received) {
            assert!(Instant::now() < deadline, "the message is under way for too long");
            if !is_sent {
                match send(&mut *self.client, number, body, &mut caps, cap_count, from)
                    .expect("the channel is sound")
                {
                    Progress::Done => is_sent = true,
                    Progress::Partial(taken) => from = taken,
                }
            }
            if !is_received {
                is_received = self.service.recv(&mut self.incoming).expect("the channel is sound")
                    == Recv::Message;
            }
        }
        assert!(caps.is_empty(), "the driver has no more use for these");
        assert_eq!((self.incoming.number(), self.incoming.missing()), (number, 0));
        assert_eq!(self.incoming.cap_count(), cap_count);
    }

    fn receive(&mut self) {
        receive(&mut *self.service, &mut self.incoming).expect("the channel is sound");
    }

    fn expect_empty(&mut self) {
        assert_eq!(self.service.recv(&mut self.incoming), Ok(Recv::Empty));
    }

    /// The error with which the service's end ends.
    fn end(&mut self) -> ChannelError {
        receive(&mut *self.service, &mut self.incoming).expect_err("the channel has ended")
    }
}

fn send(
    channel: &mut dyn Channel,
    number: u16,
    body: Gather<'_>,
    caps: &mut Vec<Cap>,
    cap_count: usize,
    from: usize,
) -> Result<Progress, ChannelError> {
    channel.send(&mut Outgoing { number, body, caps, cap_count }, from)
}

fn receive(channel: &mut dyn Channel, incoming: &mut Incoming) -> Result<(), ChannelError> {
    let deadline = Instant::now() + PATIENCE;
    while channel.recv(incoming)? != Recv::Message {
        assert!(Instant::now() < deadline, "no message arrives");
    }
    Ok(())
}

/// Counts the wake-ups of one end.
#[derive(Debug, Default)]
pub struct Wakes(AtomicUsize);

impl Wakes {
    /// A counter, and an end that it counts for.
    #[must_use]
    pub fn new() -> (Arc<Self>, End) {
        let wakes = Arc::new(Self::default());
        let notifier = Notifier::new();
        notifier.retarget(Arc::clone(&wakes) as Arc<dyn Wake>, 0);
        (wakes, End { notifier, connection: 0, buffer: 0 })
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether there is one more than `before`, within [`PATIENCE`], while `waitset` runs.
    ///
    /// # Panics
    /// If the waitset fails.
    #[must_use]
    pub fn came_after(&self, before: usize, waitset: &Waitset) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while self.count() <= before {
            if Instant::now() > deadline {
                return false;
            }
            waitset.try_dispatch().expect("nothing in the waitset fails");
        }
        true
    }
}

impl Wake for Wakes {
    fn wake(&self, _token: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn inode(fd: &impl std::os::fd::AsFd) -> u64 {
    rustix::fs::fstat(fd).expect("an open descriptor has an inode").st_ino
}
