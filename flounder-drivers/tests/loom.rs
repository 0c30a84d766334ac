//! Every interleaving and every weak behaviour of the ring that ships, over atomics of loom, for small bounds.
//!
//! `ci/loom.sh` runs these, and then with one defect after the other put into the ring (`FLOUNDER_DEFECT`), each of which one of
//! these must find: a model that cannot fail proves nothing.

#![cfg(loom)]

use flounder_drivers::__private::PeerEnd;
use flounder_drivers::__private::ump::line::{LineInfo, LineKind};
use flounder_drivers::__private::ump::ring::{DATA, Ring, WakeCause};
use flounder_drivers::mem::heap::{HeapOwn, HeapPeer, allocate};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering, fence};
use loom::thread;

type End = Ring<HeapOwn, HeapPeer>;

/// Returns both ends, with rings of this many data lines, where sequence numbers start at `start`.
fn ends(data_lines: usize, start: u64) -> (End, End) {
    let (a_own, a_peer) = allocate(DATA + data_lines);
    let (b_own, b_peer) = allocate(DATA + data_lines);
    (Ring::starting_at(a_own, b_peer, true, start), Ring::starting_at(b_own, a_peer, true, start))
}

fn head() -> LineInfo {
    LineInfo::new(LineKind::Whole, 1, 7, 0)
}

fn send(end: &mut End, value: u64) {
    while !end.room().expect("the peer is honest") {
        thread::yield_now();
    }
    end.publish(&[value; 7], head());
}

fn receive(end: &mut End) -> u64 {
    let (taken, payload) = loop {
        match end.take() {
            Some(line) => break line,
            None => thread::yield_now(),
        }
    };
    assert_eq!(taken, head());
    assert_eq!(payload, [payload[0]; 7], "a torn line");
    if end.ack_is_due() {
        end.acknowledge();
    }
    payload[0]
}

/// A line is seen whole or not at all.
#[test]
fn publish_and_observe() {
    loom::model(|| {
        let (mut writer, mut reader) = ends(2, 0);
        let thread = thread::spawn(move || {
            send(&mut writer, 1);
            send(&mut writer, 2);
        });
        assert_eq!(receive(&mut reader), 1);
        assert_eq!(receive(&mut reader), 2);
        thread.join().unwrap();
    });
}

/// A line is not written again before it was read; old lines are not taken for new ones.
#[test]
fn full_ring_and_ack() {
    loom::model(|| {
        let (mut writer, mut reader) = ends(1, 0);
        let thread = thread::spawn(move || {
            send(&mut writer, 1);
            send(&mut writer, 2);
        });
        assert_eq!(receive(&mut reader), 1);
        assert_eq!(receive(&mut reader), 2);
        assert!(reader.take().is_none());
        thread.join().unwrap();
    });
}

/// The same where the tags and the positions wrap.
#[test]
fn wrap() {
    for start in [u64::from(u32::MAX) - 2, u64::MAX - 2] {
        loom::model(move || {
            let (mut writer, mut reader) = ends(2, start);
            let thread = thread::spawn(move || {
                for value in 1..=3 {
                    send(&mut writer, value);
                }
            });
            for value in 1..=3 {
                assert_eq!(receive(&mut reader), value);
            }
            thread.join().unwrap();
        });
    }
}

/// A receiver that goes to sleep on an empty ring either sees the line or is woken.
#[test]
fn sleep_and_line() {
    loom::model(|| {
        let (mut writer, mut reader) = ends(1, 0);
        let thread = thread::spawn(move || {
            send(&mut writer, 1);
            writer.look().is_some_and(|state| writer.must_ring(state, WakeCause::Line))
        });
        reader.arm(false);
        fence(Ordering::SeqCst);
        let sleeps = !reader.has_line();
        let rung = thread.join().unwrap();
        assert!(rung || !sleeps, "asleep, with a line in the ring, and nobody rings");
    });
}

/// A hint of the peer that is wrong decides whether a receiver polls, never whether it is woken.
#[test]
fn sleep_by_a_false_hint() {
    loom::model(|| {
        let (mut writer, mut reader) = ends(1, 0);
        let thread = thread::spawn(move || {
            writer.publish_processor(0);
            send(&mut writer, 1);
            let state = writer.look();
            writer.publish_processor(7);
            state.is_some_and(|state| writer.must_ring(state, WakeCause::Line))
        });
        let polls = reader.peer_processor() != Some(0);
        if polls && reader.has_line() {
            thread.join().unwrap();
            return;
        }
        reader.publish_processor(0);
        reader.arm(false);
        fence(Ordering::SeqCst);
        let sleeps = !reader.has_line();
        let rung = thread.join().unwrap();
        assert!(rung || !sleeps, "asleep, with a line in the ring, and nobody rings");
    });
}

/// A sender that goes to sleep on a full ring either sees the room or is woken.
#[test]
fn sleep_and_room() {
    loom::model(|| {
        let (mut writer, mut reader) = ends(1, 0);
        send(&mut writer, 1);
        let thread = thread::spawn(move || {
            assert!(reader.take().is_some());
            assert!(reader.ack_is_due());
            reader.acknowledge();
            reader.look().is_some_and(|state| reader.must_ring(state, WakeCause::Room))
        });
        writer.arm(true);
        fence(Ordering::SeqCst);
        let sleeps = !writer.room().unwrap();
        let rung = thread.join().unwrap();
        assert!(rung || !sleeps, "asleep, with room in the ring, and nobody rings");
    });
}

/// A second sleep has a doorbell of its own: one that waits for it is not left waiting.
#[test]
fn sleep_again() {
    loom::model(|| {
        let (mut writer, mut reader) = ends(2, 0);
        let doorbells = Arc::new(AtomicUsize::new(0));
        let rung = Arc::clone(&doorbells);
        let thread = thread::spawn(move || {
            for value in 1..=2 {
                send(&mut writer, value);
                if let Some(state) = writer.look()
                    && writer.must_ring(state, WakeCause::Line)
                {
                    writer.note_rung(state);
                    rung.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        for _ in 0..2 {
            let before = doorbells.load(Ordering::SeqCst);
            reader.arm(false);
            fence(Ordering::SeqCst);
            if !reader.has_line() {
                while doorbells.load(Ordering::SeqCst) == before {
                    thread::yield_now();
                }
            }
            reader.disarm();
            receive(&mut reader);
        }
        thread.join().unwrap();
    });
}

/// A datagram with capabilities wakes the sleep that it finds, and no later one: the next line rings for that.
#[test]
fn sleep_after_capabilities() {
    loom::model(|| {
        let (mut writer, mut reader) = ends(2, 0);
        let datagrams = Arc::new(AtomicUsize::new(0));
        let sent = Arc::clone(&datagrams);
        let thread = thread::spawn(move || {
            send(&mut writer, 1);
            let signalled = writer.look_and_wake(|_| {
                sent.fetch_add(1, Ordering::SeqCst);
                true
            });
            let rings = |state| writer.must_ring(state, WakeCause::Line);
            assert!(!signalled.is_some_and(rings), "one datagram is enough");
            send(&mut writer, 2);
            if let Some(state) = writer.look()
                && writer.must_ring(state, WakeCause::Line)
            {
                writer.note_rung(state);
                sent.fetch_add(1, Ordering::SeqCst);
            }
        });
        for taken in 0..2 {
            // The first time, the reader may sleep or not when it takes the datagram.
            reader.arm(false);
            fence(Ordering::SeqCst);
            if !reader.has_line() {
                while datagrams.load(Ordering::SeqCst) == taken {
                    thread::yield_now();
                }
            }
            reader.disarm();
            receive(&mut reader);
            while taken == 0 && datagrams.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
        }
        thread.join().unwrap();
    });
}

/// A reader whose barrier was refused, and whose peer does not fence by itself, sleeps without a limit only when its peer
/// fences.
#[test]
fn sleep_after_a_refused_barrier() {
    loom::model(|| {
        let (writer_own, writer_peer) = allocate(DATA + 1);
        let (reader_own, reader_peer) = allocate(DATA + 1);
        let mut writer = Ring::starting_at(writer_own, reader_peer, false, 0);
        let mut reader = Ring::starting_at(reader_own, writer_peer, false, 0);
        let thread = thread::spawn(move || {
            // It sleeps as well, and wakes.
            writer.arm(false);
            fence(Ordering::SeqCst);
            writer.disarm();
            send(&mut writer, 1);
            writer.look().is_some_and(|state| writer.must_ring(state, WakeCause::Line))
        });
        assert!(reader.ask_for_fences());
        let is_sure = !reader.is_unsure();
        reader.arm(false);
        fence(Ordering::SeqCst);
        let sleeps = is_sure && !reader.has_line();
        let rung = thread.join().unwrap();
        assert!(rung || !sleeps, "asleep for good, with a line in the ring, and nobody rings");
    });
}

/// An end that sees the peer's close sees all messages that the peer sent before.
#[test]
fn close_and_last_message() {
    loom::model(|| {
        let (mut writer, mut reader) = ends(1, 0);
        let thread = thread::spawn(move || {
            send(&mut writer, 1);
            writer.close();
        });
        let seen = reader.take().is_some();
        if !seen && reader.peer_state(Ordering::Acquire).is_closed() {
            assert!(
                reader.has_line() && reader.take().is_some(),
                "closed, and the last message is not there"
            );
        }
        thread.join().unwrap();
    });
}
