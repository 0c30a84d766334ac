//! The tests, each named after its clause.

use std::time::Instant;

use flounder_rt::channel::{ChannelError, MAX_CAPS, Progress, ProtocolError, RUNTIME_MESSAGE};
use flounder_rt::wire::Gather;

use crate::end::{EndHandle, ErrorText, Received};
use crate::test::{CAPS, LONGEST, NOTHING, TOO_MANY, Test, WORDS, caps, fall_asleep, inode};
use crate::{Clause, Paths, Reach, Suite};

macro_rules! all {
    ($($name:ident,)+) => {
        pub(crate) const ALL: &[(&str, Clause)] = &[$((stringify!($name), $name)),+];
    };
}

all! {
    clause_1_prefix,
    clause_1_prefix_of_what_was_cut_off,
    clause_2_whole,
    clause_2_whole_with_tails,
    clause_2_whole_with_capabilities,
    clause_3_never_blocks,
    clause_4_partial_sends,
    clause_4_partial_sends_with_capabilities,
    clause_5_nothing_taken,
    clause_6_total,
    clause_6_total_for_the_runtime,
    clause_7_end,
    clause_7_end_is_foreseen,
    clause_7_end_by_drop,
    clause_7_end_of_this_side,
    clause_7_end_by_death,
    clause_8_sleep_until_a_message,
    clause_8_sleep_until_room,
    clause_8_sleep_until_the_end,
    clause_9_retarget,
    clause_10_ready,
    clause_10_ready_for_room,
    clause_11_quick_ways,
    clause_11_quick_ways_leave_the_rest,
    clause_11_quick_ways_when_full,
    clause_11_quick_ways_at_the_end,
    clause_12_done_is_sent,
}

/// Messages of all sizes arrive once and in order.
fn clause_1_prefix(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let rounds = if suite.reach == Reach::Dispatcher { 3000 } else { 300 };
    for round in 0..rounds {
        // Long messages are slow over some drivers, so there are few.
        let long = if round % 10 == 0 { 5000 } else { 250 };
        let length = [0, 1, 6, 7, 8, 13, 14, 100, long][round as usize % 9];
        let words: Vec<u64> = (0..length).map(|i| round << 32 | i).collect();
        test.exchange(WORDS, &Gather::words_only(&words), vec![], &words);
    }
    // Then many messages under way at a time.
    for _ in 0..3 {
        let sent = test.fill(|number| vec![number; 1 + number as usize % 7]);
        for number in 0..sent {
            test.expect(WORDS, &vec![number; 1 + number as usize % 7]);
        }
        test.expect_empty();
        // The channel may have taken a part of the message that did not fit, which is not continued: the channel is useless now.
        test = Test::new(suite);
    }
}

/// A message that was not wholly sent when the channel ended does not arrive, and all messages
/// before it do.
fn clause_1_prefix_of_what_was_cut_off(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let long: Vec<u64> = (0..test.long()).collect();
    let (sent, _) = test.fill_with(&long);
    test.client.close();
    for _ in 0..sent {
        test.expect(WORDS, &long);
    }
    assert_eq!(test.end(), ChannelError::Closed);
}

/// Every word arrives, for sizes around the ends of words, lines, frames and buffers.
fn clause_2_whole(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let powers = |factor: usize| (0..18).map(move |power| factor << power);
    let mut sizes: Vec<usize> = (0..=130).collect();
    let near = |size: usize| [size - 1, size, size + 1];
    sizes.extend(powers(1).chain(powers(7)).filter(|size| *size < 1 << 13).flat_map(near));
    sizes.extend(powers(1).chain(powers(7)));
    sizes.retain(|size| *size < LONGEST);
    // A long message crosses a short channel in many steps, each of which is an operation on an end that may be elsewhere.
    if suite.reach != Reach::Dispatcher || suite.paths == Paths::SlowOnly {
        sizes.retain(|size| *size < 1 << 12);
    }
    if suite.paths == Paths::FastFirst && !suite.swapped {
        sizes.extend([LONGEST - 1, LONGEST]);
    }
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        let words: Vec<u64> = (1..=size as u64).map(|word| word.rotate_right(7)).collect();
        test.exchange(WORDS, &Gather::words_only(&words), vec![], &words);
    }
    test.expect_empty();
}

/// A body in pieces arrives as one body, each piece padded with zeroes to whole words.
fn clause_2_whole_with_tails(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let bytes: Vec<u8> = (0..70_000_u32).map(|i| (i | 1) as u8).collect();
    let near = |length: usize| vec![length - 1, length, length + 1];
    let mut bodies = vec![vec![0, 1], vec![3, 8, 5], vec![70_000, 1, 65_537], vec![17; 200]];
    bodies.extend([8, 28, 32, 56, 64, 112, 228, 4096].map(near));
    for lengths in bodies {
        let tails: Vec<&[u8]> = lengths.iter().map(|length| &bytes[..*length]).collect();
        let body = Gather { fixed: &[1, 2, 3], tails: &tails };
        let mut expected = vec![0; body.len()];
        body.reader(0).read(&mut expected);
        test.exchange(WORDS, &body, vec![], &expected);
    }
}

/// Capabilities arrive with their message, in order, and none is left over.
fn clause_2_whole_with_capabilities(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    for round in 0..60_usize {
        let count = [0, 1, 3, MAX_CAPS, 2, 0, 7][round % 7];
        let length = [0, 2, 7, 50, if suite.reach == Reach::Dispatcher { 9000 } else { 300 }];
        let words: Vec<u64> = (0..length[round % 5]).collect();
        test.exchange(CAPS, &Gather::words_only(&words), caps(count), &words);
    }
    // A message without capabilities next to one with some, on any path.
    test.exchange(CAPS, &Gather::words_only(&[1]), caps(1), &[1]);
    assert_eq!(test.client.begin(CAPS, &[2]), Ok(Progress::Done));
    test.expect(CAPS, &[2]);
    test.expect_empty();
}

/// `recv` returns from an empty channel and `send` from a full one, and a channel does get full.
fn clause_3_never_blocks(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    test.expect_empty();
    let sent = test.fill(|number| vec![number; 5]);
    assert!(sent > 0, "not even one small message fits");
    for number in 0..sent {
        test.expect(WORDS, &[number; 5]);
    }
}

/// A partial send continues where it stopped; it takes back no word, and does not begin the message
/// again.
fn clause_4_partial_sends(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let words: Vec<u64> = (0..test.long()).map(|word| word * 3 + 1).collect();
    let (begun, mut from) = test.fill_with(&words);
    let mut deadline = Instant::now() + suite.timeout;
    let (mut received, mut sent) = (0, false);
    while received <= begun {
        assert!(Instant::now() < deadline, "{received} of {begun} and one arrived");
        match test.service.recv().expect("the channel is sound") {
            Received::Message(message) => {
                assert!(message.words == words, "message {received} is not what was sent");
                received += 1;
            }
            Received::More | Received::Empty | Received::Unsure => {}
        }
        if !sent {
            let body = Gather::words_only(&words);
            match test.client.send(WORDS, &body, &mut vec![], 0, from).expect("it is open") {
                Progress::Done => sent = true,
                Progress::Partial(taken) if taken == from => {}
                Progress::Partial(taken) => {
                    from = taken;
                    deadline = Instant::now() + suite.timeout;
                }
            }
        }
    }
    test.expect_empty();
}

/// A send whose last part is a capability continues, too; a channel that stops with a capability
/// pending reports that.
fn clause_4_partial_sends_with_capabilities(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let sent = test.fill(|number| vec![number]);
    let mut held = caps(3);
    let inodes: Vec<_> = held.iter().map(inode).collect();
    let (mut from, mut is_sent, mut received) = (0, false, 0);
    let deadline = Instant::now() + suite.timeout;
    while !is_sent || received <= sent {
        assert!(Instant::now() < deadline, "{received} of {sent} and one arrived");
        if !is_sent {
            let body = Gather::words_only(&[7; 30]);
            match test.client.send(CAPS, &body, &mut held, 3, from).expect("it is open") {
                Progress::Done => is_sent = true,
                Progress::Partial(0) => {
                    assert_eq!(from, 0, "what has begun looks like what has not");
                    assert_eq!(held.len(), 3, "nothing is taken, but capabilities");
                }
                Progress::Partial(taken) => from = taken,
            }
        }
        match test.service.recv().expect("the channel is sound") {
            Received::Message(message) if received == sent => {
                assert_eq!((message.number, &message.words[..]), (CAPS, &[7; 30][..]));
                let arrived: Vec<_> = message.caps.iter().map(inode).collect();
                assert_eq!(arrived, inodes, "other capabilities arrive than were sent");
                received += 1;
            }
            Received::Message(message) => {
                assert_eq!(message.words, [received]);
                received += 1;
            }
            Received::More | Received::Empty | Received::Unsure => {}
        }
    }
    test.expect_empty();
}

/// After `Partial(0)` another message may be sent, and the capabilities are still the caller's.
fn clause_5_nothing_taken(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let sent = test.fill(|number| vec![number]);
    let mut held = caps(1);
    let other = test.client.send(CAPS, &Gather::words_only(&[]), &mut held, 1, 0);
    // If the ends are apart, there may be room meanwhile.
    let other = match other.expect("it is open") {
        Progress::Partial(0) => {
            assert_eq!(held.len(), 1, "nothing is taken, but the capability");
            false
        }
        progress => {
            assert!(suite.reach != Reach::Dispatcher, "a full channel has room: {progress:?}");
            true
        }
    };
    for number in 0..sent {
        test.expect(WORDS, &[number]);
    }
    if !other {
        test.expect_empty();
        test.exchange(WORDS, &Gather::words_only(&[77, 78]), vec![], &[77, 78]);
        test.expect_empty();
    }
}

/// A message that the interface does not permit is an error: the right one, and the same in every
/// later call.
fn clause_6_total(suite: &Suite<'_>) {
    let bad = [
        (NOTHING + 1, 1, 0, ProtocolError::Number(NOTHING + 1)),
        (NOTHING, 1, 0, ProtocolError::Length { number: NOTHING, words: 1, max: 0 }),
        (WORDS, 1, 1, ProtocolError::CapCount { number: WORDS, caps: 1, max: 0 }),
        (
            WORDS,
            LONGEST + 1,
            0,
            ProtocolError::Length { number: WORDS, words: LONGEST + 1, max: LONGEST },
        ),
    ];
    for (number, words, cap_count, expected) in bad {
        let mut test = Test::new(suite);
        test.exchange(WORDS, &Gather::words_only(&[1]), vec![], &[1]);
        let words = vec![0; words];
        // A driver may wait for the receiver before it is done.
        if cap_count == 0 {
            test.client.begin(number, &words).expect("it is open");
        } else {
            let body = Gather::words_only(&words);
            let held = &mut caps(cap_count);
            test.client.send(number, &body, held, cap_count, 0).expect("it is open");
        }
        for _ in 0..3 {
            assert_eq!(test.end(), ChannelError::Protocol(expected.clone()));
        }
    }
}

/// Message 0 belongs to the runtime in every interface, and has at most seven words.
fn clause_6_total_for_the_runtime(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    for words in [&[][..], &[1, 2, 3], &[9; 7]] {
        test.exchange(RUNTIME_MESSAGE, &Gather::words_only(words), vec![], words);
    }
    test.client
        .send(RUNTIME_MESSAGE, &Gather::words_only(&[9; 8]), &mut vec![], 0, 0)
        .expect("it is open");
    let expected = ProtocolError::Length { number: RUNTIME_MESSAGE, words: 8, max: 7 };
    for _ in 0..3 {
        assert_eq!(test.end(), ChannelError::Protocol(expected.clone()));
    }
}

/// The peer's close is reported after all that the peer sent, and in every later call.
fn clause_7_end(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let sent = test.fill(|number| vec![number; 5]);
    test.client.close();
    test.client.close();
    for number in 0..sent {
        test.expect(WORDS, &[number; 5]);
    }
    for _ in 0..3 {
        assert_eq!(test.end(), ChannelError::Closed);
    }
    assert!(test.service.begin(WORDS, &[]).is_err(), "a message is sent to one who has left");
}

/// `is_over` may report the end while messages are left. Once true it stays true, and it is false
/// before the close.
fn clause_7_end_is_foreseen(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let sent = test.fill(|number| vec![number; 5]);
    assert!(!test.service.is_over() && !test.client.is_over(), "both ends are open");
    test.client.close();
    let mut foreseen = false;
    for number in 0..sent {
        let is_over = test.service.is_over();
        assert!(is_over || !foreseen, "the peer has come back");
        foreseen = is_over;
        test.expect(WORDS, &[number; 5]);
    }
    assert_eq!(test.end(), ChannelError::Closed);
    assert!(test.service.is_over() || !foreseen, "the peer has come back");
}

/// An end that is dropped is closed, as long as its process lives.
fn clause_7_end_by_drop(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    // The end that is dropped has something unread.
    test.put(WORDS, &[1]);
    assert_eq!(test.service.begin(WORDS, &[2]), Ok(Progress::Done));
    test.service.drop_end();
    let message = test.client.receive().expect("the channel is sound");
    assert_eq!(message.words, [2]);
    for _ in 0..2 {
        assert_eq!(test.client.receive().map(drop), Err(ErrorText::from(ChannelError::Closed)));
    }
}

/// A closed end sends no more, and receives what is there.
fn clause_7_end_of_this_side(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    test.put(WORDS, &[5]);
    assert!(test.service.soon(EndHandle::is_ready), "a message is there");
    test.service.close();
    assert!(test.service.begin(WORDS, &[]).is_err(), "a closed end sends");
    test.expect(WORDS, &[5]);
    for _ in 0..3 {
        assert_eq!(test.end(), ChannelError::Closed);
    }
    assert_eq!(test.client.receive().map(drop), Err(ErrorText::from(ChannelError::Closed)));
}

/// Messages that a process sent before it was killed arrive. Then the end reports death, or stays
/// silent and leaves it to the broker.
fn clause_7_end_by_death(suite: &Suite<'_>) {
    if suite.reach != Reach::Processes || !suite.swapped {
        return;
    }
    let mut test = Test::new(suite);
    for number in 0..10 {
        test.put(WORDS, &[number]);
    }
    test.client.die();
    for number in 0..10 {
        let message = test.service.receive().expect("what was sent before death arrives");
        assert_eq!(message.words, [number]);
    }
    for _ in 0..3 {
        match test.service.recv() {
            Ok(Received::Empty) => {}
            Err(error) => assert_eq!(error, ChannelError::PeerDied),
            Ok(other) => panic!("{other:?} after the last message"),
        }
    }
}

/// A message wakes an armed end, once for each sleep.
fn clause_8_sleep_until_a_message(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    for round in 0..100 {
        let before = fall_asleep(&mut test.service);
        test.put(WORDS, &[round]);
        assert!(test.service.is_woken_after(before), "a message does not end sleep {round}");
        if round % 2 == 0 {
            test.service.disarm();
        }
        test.expect(WORDS, &[round]);
    }
}

/// Room wakes an armed end that could not send, also if the channel was full only after the end had
/// armed.
fn clause_8_sleep_until_room(suite: &Suite<'_>) {
    for is_asleep_first in [false, true] {
        let mut test = Test::new(suite);
        let before = if is_asleep_first {
            fall_asleep(&mut test.client);
            let sent = test.fill(|number| vec![number]);
            assert!(sent > 0, "not even one small message fits");
            test.client.wakes()
        } else {
            test.fill(|number| vec![number]);
            fall_asleep(&mut test.client)
        };
        while let Received::Message(_) | Received::More = test.service.recv().expect("it is open") {
        }
        assert!(test.client.is_woken_after(before), "room does not end a sleep");
        assert!(test.client.soon(EndHandle::is_ready), "room does not make it ready");
        test.client.disarm();
        test.exchange(WORDS, &Gather::words_only(&[2]), vec![], &[2]);
    }
}

/// The end of the channel wakes an armed end.
fn clause_8_sleep_until_the_end(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let before = fall_asleep(&mut test.service);
    test.client.close();
    assert!(test.service.is_woken_after(before), "the end does not end a sleep");
    assert!(test.service.soon(EndHandle::is_ready), "the end does not make it ready");
}

/// After a change of its waitset, an end is woken through the new waitset.
fn clause_9_retarget(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    for round in 0..20 {
        if round % 2 == 0 {
            test.service.move_to_another_waitset();
        }
        let mut before = fall_asleep(&mut test.service);
        if round % 2 == 1 {
            // In its sleep.
            test.service.move_to_another_waitset();
            before = test.service.wakes();
        }
        test.put(WORDS, &[round]);
        assert!(
            test.service.is_woken_after(before),
            "sleep {round} does not end where it moved to"
        );
        test.service.disarm();
        test.expect(WORDS, &[round]);
    }
}

/// A message makes an end ready, and so does the end of the channel; nothing else does.
fn clause_10_ready(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    for words in [&[][..], &[1], &[0; 400]] {
        test.expect_empty();
        let quiet = |handle: &mut EndHandle| !handle.is_ready();
        assert!(test.service.soon(quiet) && test.client.soon(quiet), "nothing makes it ready");
        let progress = test.client.begin(WORDS, words).expect("it is open");
        assert!(
            test.service.soon(EndHandle::is_ready),
            "a message of {} words does not",
            words.len()
        );
        // A channel may hold less than the longest message.
        test.finish(WORDS, &Gather::words_only(words), vec![], words, progress);
    }
    test.client.close();
    assert!(test.service.soon(EndHandle::is_ready), "the end does not make it ready");
}

/// Room for a blocked send makes an end ready, and so does the end of the channel; incoming
/// messages do not let it resume.
fn clause_10_ready_for_room(suite: &Suite<'_>) {
    for ends in [false, true] {
        let mut test = Test::new(suite);
        test.fill(|number| vec![number]);
        assert!(test.client.soon(|handle| !handle.is_ready()), "a full channel is ready");
        assert!(test.client.soon(|handle| !handle.can_resume()), "a full channel has room");
        if ends {
            test.service.close();
        } else {
            while let Received::Message(_) | Received::More =
                test.service.recv().expect("it is open")
            {}
        }
        assert!(test.client.soon(EndHandle::is_ready), "room does not make it ready");
        assert!(ends || test.client.soon(EndHandle::can_resume), "with room it cannot resume");
    }
}

/// Messages keep one order, whichever paths they take in and out.
fn clause_11_quick_ways(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let lengths = [1, 3, 0, 2, 4];
    let words: Vec<u64> = (1..=60).collect();
    for pattern in 0..32_u32 {
        let mut under_way = 0;
        for (i, length) in lengths.into_iter().enumerate() {
            let words = &words[..length];
            if pattern >> i & 1 == 0 && test.client.send_now(WORDS, words) {
                under_way += 1;
                continue;
            }
            match test.client.send(WORDS, &Gather::words_only(words), &mut vec![], 0, 0) {
                Ok(Progress::Done) => under_way += 1,
                Ok(Progress::Partial(_)) => panic!("not even five small messages fit"),
                Err(error) => panic!("it is open: {error:?}"),
            }
        }
        for length in &lengths[..under_way] {
            test.expect(WORDS, &words[..*length]);
        }
        // A message of more than one line between small messages.
        for length in [7, 29, 3, 57] {
            let progress = test.client.begin(WORDS, &words[..length]).expect("it is open");
            let body = Gather::words_only(&words[..length]);
            test.finish(WORDS, &body, vec![], &words[..length], progress);
        }
        test.expect_empty();
    }
}

/// `recv_now` leaves every message that is not for it untouched, so that `recv` can take or refuse
/// it.
fn clause_11_quick_ways_leave_the_rest(suite: &Suite<'_>) {
    if suite.paths == Paths::SlowOnly {
        return;
    }
    let mut test = Test::new(suite);
    assert!(
        matches!(test.service.recv_now(), Received::Empty | Received::Unsure),
        "there is nothing"
    );
    // Long messages, also between their parts.
    let long: Vec<u64> = (0..3000).collect();
    test.exchange(WORDS, &Gather::words_only(&long), vec![], &long);
    // Messages with capabilities, and messages of the runtime, must not be delivered as ordinary ones.
    test.exchange(CAPS, &Gather::words_only(&[4]), caps(1), &[4]);
    let sent = test.client.send(RUNTIME_MESSAGE, &Gather::words_only(&[1]), &mut vec![], 0, 0);
    assert_eq!(sent, Ok(Progress::Done));
    match test.service.soon(EndHandle::is_ready).then(|| test.service.recv_now()) {
        Some(Received::Unsure) => test.expect(RUNTIME_MESSAGE, &[1]),
        other => panic!("the quick way does not leave a message of the runtime: {other:?}"),
    }
    for (number, words) in [(NOTHING, &[1][..]), (NOTHING + 1, &[])] {
        let mut test = Test::new(suite);
        test.client.begin(number, words).expect("it is open");
        assert!(test.service.soon(EndHandle::is_ready), "a message is there");
        for _ in 0..2 {
            assert!(
                matches!(test.service.recv_now(), Received::Unsure),
                "the quick way does not leave what the interface lacks"
            );
            let ErrorText(error) = test.end();
            assert!(error.starts_with("the peer broke the protocol: "), "{error}");
        }
    }
}

/// `send_now` takes nothing into a full channel, and what it took before arrives.
fn clause_11_quick_ways_when_full(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let mut sent = 0;
    while test.client.send_now(WORDS, &[sent; 2]) {
        sent += 1;
        assert!(sent < TOO_MANY, "the channel takes everything");
    }
    for number in 0..sent {
        test.expect(WORDS, &[number; 2]);
    }
    test.expect_empty();
    test.exchange(WORDS, &Gather::words_only(&[1]), vec![], &[1]);
}

/// A message that `send_now` refuses at the end arrives once at most. Once the end was reported,
/// `send_now` takes nothing.
fn clause_11_quick_ways_at_the_end(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    test.service.close();
    assert!(test.client.soon(EndHandle::is_ready), "the end does not make it ready");
    let most = 1 + u32::from(test.client.send_now(WORDS, &[1]));
    // The message is refused, or taken by a channel that does not know of the end yet.
    let _ = test.client.send(WORDS, &Gather::words_only(&[1]), &mut vec![], 0, 0);
    let mut arrived = 0;
    while let Ok(Received::Message(_)) = test.service.recv() {
        arrived += 1;
    }
    assert!(arrived <= most, "one message arrives {arrived} times");
    assert_eq!(test.client.receive().map(drop), Err(ErrorText::from(ChannelError::Closed)));
    assert!(!test.client.send_now(WORDS, &[1]), "a message is sent to one who has left");
    assert!(test.client.begin(WORDS, &[1]).is_err(), "a message is sent to one who has left");

    let mut test = Test::new(suite);
    test.client.close();
    assert!(!test.client.send_now(WORDS, &[1]), "a closed end sends");
    assert_eq!(test.end(), ChannelError::Closed);
}

/// A message that is done arrives with its capabilities, even if its sender and its broker end at
/// once.
fn clause_12_done_is_sent(suite: &Suite<'_>) {
    let mut test = Test::new(suite);
    let mut held = caps(2);
    let inodes: Vec<_> = held.iter().map(inode).collect();
    let deadline = Instant::now() + suite.timeout;
    let mut from = 0;
    while let Progress::Partial(taken) = test
        .client
        .send(CAPS, &Gather::words_only(&[12]), &mut held, 2, from)
        .expect("the channel is sound")
    {
        from = taken;
        assert!(Instant::now() < deadline, "the message is not sent");
    }
    test.client.drop_end();
    let message = test.receive().expect("a message that is sent arrives");
    assert_eq!((message.number, &message.words[..]), (CAPS, &[12][..]));
    let arrived: Vec<_> = message.caps.iter().map(inode).collect();
    assert_eq!(arrived, inodes, "other capabilities arrive than were sent");
}
