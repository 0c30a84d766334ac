//! Beehive: no FIFO is ever full, credit is neither lost nor made, and a core gone wrong harms its own channels alone.

mod support;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use flounder_conformance::{LIMITS, TIMEOUT, TestLink, WakeCounter};
use flounder_drivers::__private::beehive::board::Board;
use flounder_drivers::__private::beehive::credit::START;
use flounder_drivers::__private::beehive::frame::{FrameHeader, FrameKind, kernel_header};
use flounder_drivers::beehive::hardware::{CORES, Core, Hardware};
use flounder_drivers::beehive::{ASSOCIATIONS, Beehive};
use flounder_rt::barrier::arm_then_barrier;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    Channel, ChannelError, ConnectError, Connector, End, Incoming, Link, Offer, Outgoing, Progress,
    ProtocolError, Recv, SendPair,
};
use flounder_rt::waitset::Waitset;
use flounder_rt::wire::Gather;
use support::{Parker, check, stream};

const A: Core = Core(0);
const B: Core = Core(1);

fn end(buffer: usize) -> End {
    End { buffer, ..WakeCounter::new().1 }
}

fn connect(board: &Arc<Board>, client: Core, service: Core, buffer: usize) -> SendPair {
    board.connect((client, &end(buffer)), (service, &end(buffer))).unwrap()
}

fn send(channel: &mut dyn Channel, words: &[u64], from: usize) -> Result<Progress, ChannelError> {
    let body = Gather::words_only(words);
    let mut message = Outgoing { number: 1, body, caps: &mut Vec::new(), cap_count: 0 };
    channel.send(&mut message, from)
}

/// Returns the error with which a channel ends, and checks that it stays the same.
fn error_of(channel: &mut dyn Channel) -> ChannelError {
    let mut incoming = Incoming::new(LIMITS);
    let deadline = Instant::now() + TIMEOUT;
    loop {
        assert!(Instant::now() < deadline, "the channel does not end");
        if let Err(error) = channel.recv(&mut incoming) {
            assert_eq!(channel.recv(&mut incoming), Err(error.clone()));
            assert!(channel.ready(), "an error is worth a visit");
            return error;
        }
    }
}

// ---- credit ---------------------------------------------------------------------------------------------------------------

/// A generator of test cases (splitmix64): the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % bound as u64) as usize
    }
}

/// One direction of a channel: what is on its way.
#[derive(Default)]
struct Traffic {
    /// The message in hand, and how much of it was taken.
    sending: Option<(Vec<u64>, usize)>,
    expected: VecDeque<Vec<u64>>,
}

struct Ends {
    channels: [Box<dyn Channel + Send>; 2],
    incoming: [Incoming; 2],
    /// From the end of that index.
    traffic: [Traffic; 2],
}

impl Ends {
    fn new((client, service): SendPair) -> Self {
        Self {
            channels: [client, service],
            incoming: [Incoming::new(LIMITS), Incoming::new(LIMITS)],
            traffic: Default::default(),
        }
    }

    /// Continues the current message, or begins one of this many words.
    fn send(&mut self, from: usize, words: usize, random: &mut Random) {
        let traffic = &mut self.traffic[from];
        let (message, taken) = traffic.sending.take().unwrap_or_else(|| {
            ((0..words).map(|word| (random.below(1 << 30) as u64) << 32 | word as u64).collect(), 0)
        });
        match send(&mut *self.channels[from], &message, taken).unwrap() {
            Progress::Done => traffic.expected.push_back(message),
            Progress::Partial(taken) => traffic.sending = Some((message, taken)),
        }
    }

    fn recv(&mut self, to: usize) -> Recv {
        let received = self.channels[to].recv(&mut self.incoming[to]).unwrap();
        if received == Recv::Message {
            let traffic = &mut self.traffic[1 - to];
            let expected = traffic.expected.pop_front().expect("a message that was sent");
            assert_eq!(self.incoming[to].words(), expected);
        }
        received
    }

    fn is_quiet(&self) -> bool {
        self.traffic.iter().all(|traffic| traffic.sending.is_none() && traffic.expected.is_empty())
    }
}

/// Sends what is left of every message, and receives everything.
#[track_caller]
fn settle(channels: &mut [Ends], random: &mut Random, check: impl Fn()) {
    let deadline = Instant::now() + TIMEOUT;
    while !channels.iter().all(Ends::is_quiet) {
        for ends in &mut *channels {
            for side in 0..2 {
                if ends.traffic[side].sending.is_some() {
                    ends.send(side, 0, random);
                }
                ends.recv(1 - side);
            }
        }
        check();
        assert!(Instant::now() < deadline, "the channels have come to a stop");
    }
}

/// Between two idle cores every word of credit is in one place, and credit is withheld only if it must be.
fn check_credit(board: &Board, a: Core, b: Core) {
    for (here, there) in [(a, b), (b, a)] {
        let (available, owed) = board.credit(here, there);
        let (_, owed_there) = board.credit(there, here);
        assert!(available + owed_there <= START, "{available} available and {owed_there} owed");
        assert!(owed <= 2 || available < 2, "{owed} owed though {available} are available");
    }
}

/// Random traffic of many channels between the same two cores, in both directions.
#[test]
fn credit_is_conserved() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let board = Board::new();
        let mut channels: Vec<_> = (0..1 + random.below(ASSOCIATIONS))
            .map(|_| {
                let buffer = [0, 1, 1000, 1 << 16][random.below(4)];
                let cores = if random.below(2) == 0 { (A, B) } else { (B, A) };
                Ends::new(connect(&board, cores.0, cores.1, buffer))
            })
            .collect();
        for _ in 0..4000 {
            let chosen = random.below(channels.len());
            let (ends, side) = (&mut channels[chosen], random.below(2));
            match random.below(10) {
                0..4 => {
                    let words = [0, 1, 2, 27, 28, 29, 56, 57, 300][random.below(9)];
                    ends.send(side, words, &mut random);
                }
                4..8 => drop(ends.recv(side)),
                8 => ends.channels[side].arm(),
                _ => drop(ends.channels[side].ready()),
            }
            check_credit(&board, A, B);
        }
        settle(&mut channels, &mut random, || check_credit(&board, A, B));
        // What neither has is in the other's debt: with nothing under way, all of it is found.
        for ends in &mut channels {
            for end in &mut ends.channels {
                end.ready();
            }
        }
        for (here, there) in [(A, B), (B, A)] {
            assert_eq!(board.credit(here, there).0 + board.credit(there, here).1, START);
        }
        assert_eq!(board.fabric().stalls(), 0, "seed {seed}");
    }
}

/// All thirteen cores send to all others as much as they may, and no core receives for as long as possible.
#[test]
fn thirteen_cores_do_not_fill_a_fifo() {
    let board = Board::new();
    let mut random = Random(13);
    let mut channels = Vec::new();
    for a in 0..CORES as u8 {
        for b in 0..a {
            channels.push(Ends::new(connect(&board, Core(a), Core(b), 0)));
            channels.push(Ends::new(connect(&board, Core(b), Core(a), 0)));
        }
    }
    for words in [0, 1, 5, 28, 100] {
        for round in 0..40 {
            for ends in &mut channels {
                ends.send(round % 2, words, &mut random);
                ends.send(1 - round % 2, words, &mut random);
            }
        }
        settle(&mut channels, &mut random, || ());
    }
    assert_eq!(board.fabric().stalls(), 0);
    for core in 0..CORES as u8 {
        assert!(board.fabric().fullest(Core(core)) <= 12 * u64::from(START));
    }
}

/// An end that needs nearly all credit for its frame is not passed over for ever by those that need little.
#[test]
fn long_message_is_sent_beside_a_stream_of_short_ones() {
    let board = Board::new();
    let mut random = Random(0);
    let mut short: Vec<_> = (0..8).map(|_| Ends::new(connect(&board, A, B, 0))).collect();
    let mut long = Ends::new(connect(&board, A, B, 0));
    let deadline = Instant::now() + TIMEOUT;
    long.send(0, 2000, &mut random);
    while !long.is_quiet() {
        long.recv(1);
        for ends in &mut short {
            while ends.recv(1) == Recv::Message {}
        }
        // What credit there is is gone before the turn of the long message.
        for ends in &mut short {
            ends.send(0, 3, &mut random);
            ends.send(0, 3, &mut random);
        }
        if long.traffic[0].sending.is_some() {
            long.send(0, 0, &mut random);
        }
        assert!(Instant::now() < deadline, "the long message does not get on");
    }
}

// ---- lengths and windows --------------------------------------------------------------------------------------------------

/// What frames of every length cost: their payload, the head, and two headers.
#[test]
fn message_costs_its_words_and_three() {
    for (words, caps, payload, progress) in [
        (0, 0, 0, Progress::Done),
        (0, 1, 1, Progress::Done),
        (27, 1, 55, Progress::Done),
        (28, 0, 56, Progress::Done),
        (28, 1, 57, Progress::Done),
        // 58 words of payload are one too many: the first frame has the length of the message and 28 words.
        (29, 0, 57, Progress::Partial(28)),
        (29, 1, 56, Progress::Partial(27)),
    ] {
        let board = Board::new();
        let (mut client, mut service) = connect(&board, A, B, 0);
        let body: Vec<u64> = (1..=words).map(|word| (word << 32) | (0xffff_ffff - word)).collect();
        let mut pipes: Vec<_> = (0..caps).map(|_| Cap::from(std::io::pipe().unwrap().0)).collect();
        let mut incoming = Incoming::new(LIMITS);
        let mut send = |from| {
            let body = Gather::words_only(&body);
            client.send(&mut Outgoing { number: 2, body, caps: &mut pipes, cap_count: caps }, from)
        };
        let sent = send(0).unwrap();
        assert_eq!(sent, progress, "{words} words, {caps} capabilities");
        assert_eq!(board.credit(A, B).0, START - payload - 3, "{words} words, {caps} capabilities");
        let mut received = service.recv(&mut incoming).unwrap();
        if let Progress::Partial(taken) = sent {
            assert_eq!(received, Recv::Empty);
            assert_eq!(send(taken), Ok(Progress::Done));
            received = service.recv(&mut incoming).unwrap();
        }
        assert_eq!(received, Recv::Message);
        assert_eq!((incoming.take_caps().len(), incoming.words()), (caps, &body[..]));
    }
}

/// A window takes what fits and no word more, whatever the credit; and opens again when the other end has seen it.
#[test]
fn window_has_its_exact_size() {
    // (bytes asked for, messages of one frame word, each counted as two, until one does not fit any more)
    for (buffer, fits) in
        [(1, 29), (58 * 4, 29), (60 * 4, 30), (0, 58), (4000, 500), (1 << 20, 1 << 13)]
    {
        let board = Board::new();
        let (mut client, mut service) = connect(&board, A, B, buffer);
        let mut incoming = Incoming::new(LIMITS);
        for round in 0..3 {
            let mut sent = 0;
            loop {
                // The core takes everything in; the channel nothing.
                assert_eq!(service.ready(), sent > 0);
                match send(&mut *client, &[], 0).unwrap() {
                    Progress::Done => sent += 1,
                    progress => break assert_eq!(progress, Progress::Partial(0)),
                }
            }
            assert_eq!(sent, fits, "{buffer} bytes, round {round}");
            assert!(!client.can_resume());
            for _ in 0..sent {
                assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
            }
            assert_eq!(service.recv(&mut incoming), Ok(Recv::Empty));
            assert!(client.can_resume());
            // The count that the other end knows of is up to date, so that the next round begins like this one.
            assert_eq!(send(&mut *service, &[], 0), Ok(Progress::Done));
            assert_eq!(client.recv(&mut incoming), Ok(Recv::Message));
        }
    }
}

// ---- associations ---------------------------------------------------------------------------------------------------------

const NO_PLACE: ConnectError = ConnectError::Refused("all 32 associations of the core are in use");

#[test]
fn core_refuses_its_thirty_third_channel() {
    let board = Board::new();
    let mut channels: Vec<_> =
        (1..=ASSOCIATIONS as u8).map(|n| connect(&board, A, Core(1 + n % 12), 0)).collect();
    let again = |other| board.connect((A, &end(0)), (other, &end(0))).map(drop);
    assert_eq!(again(B), Err(NO_PLACE));
    assert_eq!(again(Core(12)), Err(NO_PLACE));
    assert!(board.connect((B, &end(0)), (Core(12), &end(0))).is_ok(), "other cores have room");
    channels.pop();
    assert_eq!(again(B), Ok(()));
    assert_eq!(again(A), Err(ConnectError::Refused("a core sends no messages to itself")));
}

#[test]
fn thread_has_no_limit_of_channels() {
    let mut incoming = Incoming::new(LIMITS);
    let mut channels: Vec<_> = (0..500).map(|_| Beehive.pair(&end(0), &end(0)).unwrap()).collect();
    for (number, (client, service)) in (0..).zip(&mut channels) {
        assert_eq!(send(&mut **client, &[number], 0), Ok(Progress::Done));
        assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
        assert_eq!(incoming.words(), [number]);
    }
}

#[test]
fn two_processes_have_thirty_two_channels() {
    let (here, there) = TestLink::pair();
    let link: Arc<dyn Link> = Arc::clone(&here) as _;
    let mut channels: Vec<_> = (0..ASSOCIATIONS as u64)
        .map(|connection| {
            let end = End { connection, ..end(0) };
            TestLink::connect_over(&Beehive, &end, &end, &here, &there)
        })
        .collect();
    assert_eq!(Beehive.offer(&end(0), &link).map(drop), Err(NO_PLACE));
    channels.clear();
    // Slots are reused thousands of times, and late frames for the previous channel are dropped.
    let mut incoming = Incoming::new(LIMITS);
    for round in 0..5000 {
        let (mut client, mut service) =
            TestLink::connect_over(&Beehive, &end(0), &end(0), &here, &there);
        assert_eq!(send(&mut *client, &[round], 0), Ok(Progress::Done));
        assert_eq!(send(&mut *service, &[round], 0), Ok(Progress::Done));
        if round % 2 == 0 {
            assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
            assert_eq!(incoming.words(), [round]);
        }
    }
    // An offer that is given up returns its place.
    for _ in 0..100 {
        Beehive.offer(&end(0), &link).unwrap();
    }
}

#[test]
fn message_for_no_channel_is_dropped_and_credited() {
    let board = Board::new();
    let (mut client, mut service) = connect(&board, A, B, 0);
    // A place never used, one that is used under another generation, and one beyond the places.
    for round in 0..300_u16 {
        let nobody = [1, 1 << 5, 31][usize::from(round) % 3];
        assert!(board.inject(A, B, nobody, &[FrameHeader::new(FrameKind::Whole, 1, 0).raw(); 58]));
        assert!(!service.ready() && !client.ready());
        assert_eq!(board.dropped(B), u64::from(round) + 1);
    }
    assert_eq!(send(&mut *client, &[5], 0), Ok(Progress::Done));
    let mut incoming = Incoming::new(LIMITS);
    assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
    assert_eq!((incoming.words(), board.fabric().stalls()), (&[5][..], 0));
}

/// A frame for the previous channel of a slot is dropped.
#[test]
fn late_message_does_not_reach_a_new_channel() {
    let board = Board::new();
    for generation in 0..70_u16 {
        let (_client, mut service) = connect(&board, A, B, 0);
        // With what the last tenant of the place had under way.
        let before = board.dropped(B);
        let late = [generation.wrapping_sub(1) & 0x7ff, generation + 1];
        for other in late {
            assert!(board.inject(
                A,
                B,
                other << 5,
                &[FrameHeader::new(FrameKind::Whole, 1, 0).raw()]
            ));
        }
        assert_eq!(service.recv(&mut Incoming::new(LIMITS)), Ok(Recv::Empty));
        assert_eq!(board.dropped(B), before + 2);
    }
}

// ---- sleepers and ends ----------------------------------------------------------------------------------------------------

/// A close is sent as soon as there is credit, also if no channel uses the core any more.
#[test]
fn end_without_credit_still_closes() {
    let board = Board::new();
    let (mut client, mut service) = connect(&board, A, B, 0);
    let words = [7; 28];
    let mut caps = vec![Cap::from(std::io::pipe().unwrap().0)];
    let body = Gather::words_only(&words);
    let mut message = Outgoing { number: 2, body, caps: &mut caps, cap_count: 1 };
    assert_eq!(client.send(&mut message, 0), Ok(Progress::Done));
    assert_eq!(board.credit(A, B).0, 4, "no frame can be sent with that");
    drop(client);
    let mut incoming = Incoming::new(LIMITS);
    assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
    assert_eq!(error_of(&mut *service), ChannelError::Closed);
}

/// An interrupt for one sleeper leaves the others asleep, and the next one finds them.
/// If no channel is left to receive the credit for the last frame, the brokers report the close.
#[test]
fn brokers_report_a_close_without_credit() {
    let (here, there) = TestLink::pair();
    let end = End { connection: 7, ..end(8 << 10) };
    let mut incoming = Incoming::new(LIMITS);
    // 3 words and 2 headers each: of 64 words of credit 4 are left, or 9.
    for (count, told) in [(12, vec![7]), (11, vec![])] {
        let (mut client, mut service) = TestLink::connect_over(&Beehive, &end, &end, &here, &there);
        for word in 0..count {
            assert_eq!(send(&mut *client, &[word], 0), Ok(Progress::Done));
        }
        drop(client);
        assert_eq!((here.take_closed(), there.take_closed()), (told, vec![]), "{count} messages");
        for word in 0..count {
            assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
            assert_eq!(incoming.words(), [word]);
        }
        drop(service);
        let (mut client, _service) = TestLink::connect_over(&Beehive, &end, &end, &here, &there);
        assert_eq!(client.recv(&mut incoming), Ok(Recv::Empty), "it has its credit back");
    }
}

#[test]
fn armed_ends_are_woken_one_by_one() {
    let (here, there) = TestLink::pair();
    let waitset = Waitset::new();
    let mut channels: Vec<_> = (0..ASSOCIATIONS as u64)
        .map(|connection| {
            let (wakes, end) = WakeCounter::new();
            let (client_end, service_end) =
                (End { connection, ..WakeCounter::new().1 }, End { connection, ..end });
            let (client, mut service) =
                TestLink::connect_over(&Beehive, &client_end, &service_end, &here, &there);
            service.attached(&waitset).unwrap();
            (client, service, wakes)
        })
        .collect();
    arm_then_barrier(|| channels.iter_mut().for_each(|(_, service, _)| service.arm()));
    for chosen in [0, 31, 7, 8, 9] {
        let (client, service, wakes) = &mut channels[chosen];
        let before = wakes.count();
        assert_eq!(send(&mut **client, &[1], 0), Ok(Progress::Done));
        assert!(wakes.came_after(before, &waitset), "channel {chosen} sleeps on");
        // The end stays awake: only the kernel requests interrupts, for ends that are still asleep.
        assert!(service.ready());
    }
    let woken: usize = channels.iter().map(|(_, _, wakes)| wakes.count()).sum();
    assert_eq!(woken, 5, "others were woken");
}

// ---- hostile peers --------------------------------------------------------------------------------------------------------

/// Each frame that no end sends ends its own channel with an error, and no other.
#[test]
fn bad_frame_ends_its_channel_only() {
    let head = |kind, number, ack| FrameHeader::new(kind, number, ack).raw();
    let whole = head(FrameKind::Whole, 1, 0);
    let frames: &[&[&[u32]]] = &[
        // Too long for a frame, if not for the hardware.
        &[&[whole; 59]],
        &[&[whole; 60]],
        // Half a word; capabilities that message 1 cannot have; none, but announced.
        &[&[whole, 1]],
        &[&[whole, 0, 1, 2]],
        &[&[head(FrameKind::Whole, 0, 0), 1, 1, 2]],
        // An unknown message; one over its maximum; one longer than announced.
        &[&[head(FrameKind::Whole, 9, 0)]],
        &[&[head(FrameKind::Whole, 3, 0), 1, 2]],
        &[&[head(FrameKind::First, 1, 0), u32::MAX, 1, 2]],
        &[&[head(FrameKind::First, 1, 0), 2, 1, 2], &[head(FrameKind::Next, 1, 0), 1, 2, 3, 4]],
        // Frames that do not belong together.
        &[&[head(FrameKind::First, 1, 0)]],
        &[&[head(FrameKind::First, 1, 0), 1, 1, 2]],
        &[&[head(FrameKind::Next, 1, 0), 1, 2]],
        &[&[head(FrameKind::First, 1, 0), 5, 1, 2], &[whole]],
        &[&[head(FrameKind::First, 1, 0), 5, 1, 2], &[head(FrameKind::Next, 2, 0), 1, 2]],
        // Acknowledged before it was sent.
        &[&[head(FrameKind::Whole, 1, 1)]],
        &[&[head(FrameKind::Control, 0, u16::MAX)]],
        // Control frames of no kind, and one more frame after the last.
        &[&[head(FrameKind::Control, 2, 0)]],
        &[&[head(FrameKind::Control, 0, 0), 1]],
        &[&[head(FrameKind::Control, 0, 0), 1, 2, 3]],
        &[&[head(FrameKind::Control, FrameHeader::CLOSED, 0)], &[head(FrameKind::Control, 0, 0)]],
    ];
    for (case, frames) in frames.iter().enumerate() {
        let board = Board::new();
        let (_client, mut service) = connect(&board, A, B, 0);
        let (mut other_client, mut other_service) = connect(&board, A, B, 0);
        let deadline = Instant::now() + TIMEOUT;
        for frame in *frames {
            while !board.inject(A, B, 0, frame) {
                other_service.ready();
                other_client.ready();
                assert!(Instant::now() < deadline, "case {case}: no credit comes back");
            }
        }
        let error = error_of(&mut *service);
        assert!(matches!(error, ChannelError::Protocol(_)), "case {case}: {error:?}");
        assert_eq!(send(&mut *service, &[], 0), Err(error), "case {case}");
        let mut incoming = Incoming::new(LIMITS);
        assert_eq!(send(&mut *other_client, &[7], 0), Ok(Progress::Done));
        assert_eq!(other_service.recv(&mut incoming), Ok(Recv::Message), "case {case}");
        assert_eq!(incoming.words(), [7]);
    }
}

/// Whatever comes out of the FIFO: messages, or an error, and nothing else.
#[test]
fn random_frames_give_messages_or_an_error() {
    let mut ends = 0;
    for seed in 0..3000 {
        let mut random = Random(seed);
        let board = Board::new();
        let (mut client, mut service) = connect(&board, A, B, 0);
        assert_eq!(send(&mut *service, &[1, 2, 3], 0), Ok(Progress::Done));
        // The other core itself, past its kernel.
        let mut port = board.fabric().port(A);
        let mut incoming = Incoming::new(LIMITS);
        for _ in 0..20 {
            let length = random.below(63) + 1;
            let mut message: Vec<u32> = (0..length).map(|_| random.below(1 << 32) as u32).collect();
            // Near enough to what is right to get far.
            message[0] =
                kernel_header([0, 0, 0, 1, 8][random.below(5)], [0, 0, 0, 1][random.below(4)]);
            if let Some(head) = message.get_mut(1) {
                let kind =
                    [FrameKind::Whole, FrameKind::First, FrameKind::Next, FrameKind::Control]
                        [random.below(4)];
                *head = FrameHeader::new(kind, random.below(4) as u16, 0).raw();
            }
            if let Some(length) = message.get_mut(2) {
                *length >>= [0, 20, 28][random.below(3)];
            }
            port.send(B, &message).unwrap();
            service.ready();
            let received = service.recv(&mut incoming);
            client.ready();
            if let Err(error) = received {
                assert!(matches!(error, ChannelError::Protocol(_) | ChannelError::Closed));
                assert_eq!(service.recv(&mut incoming), Err(error));
                ends += 1;
                break;
            }
        }
    }
    assert!(ends > 2000, "{ends}: the noise is not bad enough");
}

/// Who sends past its window fills no more memory than that.
#[test]
fn frame_beyond_the_window_is_an_error() {
    let board = Board::new();
    let (mut client, mut service) = connect(&board, A, B, 1);
    let frame = [FrameHeader::new(FrameKind::Whole, 1, 0).raw()];
    for _ in 0..30 {
        assert!(board.inject(A, B, 0, &frame));
        service.ready();
        client.ready();
    }
    let mut incoming = Incoming::new(LIMITS);
    for _ in 0..29 {
        assert_eq!(service.recv(&mut incoming), Ok(Recv::Message));
    }
    let error = ProtocolError::Frame("a frame does not fit into the window");
    assert_eq!(error_of(&mut *service), ChannelError::Protocol(error));
}

/// A core that breaks the rules between cores ends all channels of the core that it does it to, with an error.
#[test]
fn false_credit_ends_the_channels_of_the_core() {
    type Is = fn(&ProtocolError) -> bool;
    let wrong: [(&[&[u32]], Is); 3] = [
        // More returned than was ever sent.
        (&[&[kernel_header(1, 0)]], |error| {
            matches!(error, ProtocolError::Position { claim: 1, max: 0 })
        }),
        (&[&[kernel_header(u16::MAX, 31), 5]], |error| {
            matches!(error, ProtocolError::Position { max: 0, .. })
        }),
        // More sent than there is credit for: 32 words of frame and 2 of headers, twice.
        (&[&[kernel_header(0, 31); 33], &[kernel_header(0, 31); 33]], |error| {
            matches!(error, ProtocolError::Frame("a message was sent without credit"))
        }),
    ];
    for (messages, is_expected) in wrong {
        let board = Board::new();
        let (mut client, mut service) = connect(&board, A, B, 0);
        let (wakes, sleeper) = WakeCounter::new();
        let (mut other, _other_service) = board.connect((B, &sleeper), (Core(2), &end(0))).unwrap();
        other.arm();
        let mut port = board.fabric().port(Core(7));
        for message in messages {
            port.send(B, message).unwrap();
        }
        for channel in [&mut service, &mut other] {
            match error_of(&mut **channel) {
                ChannelError::Protocol(error) => assert!(is_expected(&error), "{error:?}"),
                error => panic!("it ends with {error:?}"),
            }
        }
        assert_eq!(wakes.count(), 1, "an end sleeps on");
        // The others lose a peer that does not answer any more, and nothing else.
        assert!(!client.ready());
        assert!(send(&mut *client, &[1], 0).is_ok());
        assert_eq!(board.fabric().stalls(), 0);
    }
}

/// If the ring stalls all the same, that is an error too, and not a wait.
#[test]
fn stall_is_an_error() {
    let board = Board::new();
    let (mut client, _service) = connect(&board, A, B, 0);
    let mut port = board.fabric().port(Core(7));
    while port.send(B, &[0; 63]).is_ok() {}
    assert_eq!(board.fabric().stalls(), 1);
    assert!(matches!(send(&mut *client, &[1], 0), Err(ChannelError::Protocol(_))));
    assert!(matches!(error_of(&mut *client), ChannelError::Protocol(_)));
}

/// Returns the service's result for an offer with these changes.
fn refusal_of(change: impl FnOnce(&mut Offer)) -> &'static str {
    let (here, there) = TestLink::pair();
    let (here, there): (Arc<dyn Link>, Arc<dyn Link>) = (here, there);
    let (mut offer, _offered) = Beehive.offer(&end(0), &here).unwrap();
    change(&mut offer);
    match Beehive.accept(&end(0), &there, offer) {
        Err(ConnectError::Refused(why)) => why,
        Err(error) => panic!("it is refused for another reason: {error}"),
        Ok(_) => panic!("it is accepted"),
    }
}

#[test]
fn each_fault_in_the_terms_has_its_own_error() {
    let pipe = || Cap::from(std::io::pipe().unwrap().0);
    let mut reasons = [
        refusal_of(|offer| offer.words[0] = 2),
        refusal_of(|offer| offer.words[1] = 4 | 1),
        refusal_of(|offer| offer.words[2] = 1 << 32),
        refusal_of(|offer| offer.words[3] = 1 << 16),
        refusal_of(|offer| offer.words[4] = 57),
        refusal_of(|offer| drop(offer.caps.pop())),
        refusal_of(|offer| offer.caps[0] = pipe()),
        refusal_of(|offer| offer.caps[2] = pipe()),
        // A log is sealed memory as well, and no FIFO.
        refusal_of(|offer| offer.caps.swap(1, 2)),
        refusal_of(|offer| {
            offer.words[1] = 0;
            offer.caps.clear();
        }),
    ];
    reasons.sort_unstable();
    assert!(
        reasons.windows(2).all(|two| two[0] != two[1]),
        "two checks say the same: {reasons:#?}"
    );
    assert_eq!(
        refusal_of(|offer| offer.words[4] = 1 << 15),
        "the window is too small, or too large"
    );
}

/// With our own region, which a peer sends back, an end would receive what it sends.
#[test]
fn own_region_is_refused() {
    let (here, _there) = TestLink::pair();
    let here: Arc<dyn Link> = here;
    let (offer, offered) = Beehive.offer(&end(0), &here).unwrap();
    assert_eq!(
        offered.complete(offer).map(drop),
        Err(ConnectError::Refused("the region is in use already"))
    );
}

// ---- threads --------------------------------------------------------------------------------------------------------------

/// Words of message `number`: pseudo-random, and that number.
fn body(number: u64, words: &mut Vec<u64>) {
    let mut random = Random(number);
    words.clear();
    let length = [0, 1, 5, 28, 29, 200][random.below(6)];
    words.extend((0..length).map(|_| random.below(usize::MAX) as u64));
    words.push(number);
}

/// Channels of one pair of cores, each end in a thread of its own, all asleep most of the time.
fn threads(mut pair: impl FnMut(&End, &End) -> SendPair, channels: usize, messages: u64) {
    thread::scope(|scope| {
        for number in 0..channels {
            let parkers = [Arc::new(Parker::default()), Arc::new(Parker::default())];
            let (client, mut service) = pair(&parkers[0].end(0), &parkers[1].end(0));
            let [client_parker, service_parker] = parkers;
            let messages = messages + number as u64;
            scope.spawn(move || stream(client, messages, body, |end| client_parker.sleep(end)));
            scope.spawn(move || {
                check(&mut *service, messages, body, |end| service_parker.sleep(end))
            });
        }
    });
}

#[test]
fn many_threads_share_two_cores() {
    let board = Board::new();
    let mut swap = false;
    threads(
        |client, service| {
            swap = !swap;
            let (a, b) = if swap { (A, B) } else { (B, A) };
            board.connect((a, client), (b, service)).unwrap()
        },
        4,
        4000,
    );
    assert_eq!(board.fabric().stalls(), 0);
}

#[test]
fn each_pair_of_threads_has_a_fabric_of_its_own() {
    threads(|client, service| Beehive.pair(client, service).unwrap(), 1, 20_000);
}
