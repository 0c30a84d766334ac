//! Both ends of a doorbell, over sockets of the kernel.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::io::{self, IoSlice, Read};
use std::os::fd::{AsFd, BorrowedFd};

use flounder_rt::account::Account;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{BRIEF_WAIT, CapEvent, CapInbox, CapRefusal, ConnectError};
use flounder_rt::closer::Origin;
use flounder_rt::notify::Wake;
use flounder_rt::waitset::Watched;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, getsockname,
    send, socket_with,
};

use super::caps::CapHeader;
use super::receiver::{CAPS_COST, COLLECT};
use super::*;
use crate::datagram;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(&self, _token: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn notifier(self: &Arc<Self>) -> Notifier {
        let notifier = Notifier::new();
        notifier.retarget(Arc::clone(self) as Arc<dyn Wake>, 0);
        notifier
    }

    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

fn connected() -> (Arc<DoorbellReceiver>, DoorbellSender) {
    let receiver = DoorbellReceiver::new([], &Origin::LOCAL, &Account::unlimited()).unwrap();
    let socket = receiver.setup_caps().unwrap().pop().unwrap();
    let (lines, log, _) = new_log().unwrap();
    receiver.set_log(accept_log(log.into()).unwrap());
    DoorbellSender::check(socket.as_fd()).unwrap();
    (Arc::new(receiver), DoorbellSender::new(socket, lines))
}

/// Does what a waitset does that wakes, has nothing else to do, and is about to sleep again.
fn visit(receiver: &DoorbellReceiver) {
    receiver.fired();
    receiver.finish();
}

fn is_readable(receiver: &DoorbellReceiver) -> bool {
    poll(
        &mut [PollFd::new(&receiver.fd(), PollFlags::IN)],
        Some(&Timespec { tv_sec: 0, tv_nsec: 0 }),
    )
    .unwrap()
        > 0
}

#[test]
fn ring_wakes_its_slot_only() {
    let (receiver, sender) = connected();
    let (a, b) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (slot_a, slot_b) = (receiver.add_slot(a.notifier()), receiver.add_slot(b.notifier()));
    for lap in 0..1000 {
        assert!(!is_readable(&receiver));
        sender.ring(if lap % 3 == 0 { &slot_a } else { &slot_b }.number()).unwrap();
        assert!(is_readable(&receiver));
        visit(&receiver);
        assert_eq!((a.take(), b.take()), if lap % 3 == 0 { (1, 0) } else { (0, 1) });
    }
}

#[test]
fn rung_slot_is_notified_before_its_datagram_is_taken() {
    let (receiver, sender) = connected();
    let count = Arc::new(Count::default());
    let slot = receiver.add_slot(count.notifier());
    for rings in 1..=3 {
        for _ in 0..rings {
            sender.ring(slot.number()).unwrap();
        }
        receiver.fired();
        assert_eq!(count.take(), rings);
        assert!(is_readable(&receiver), "the socket was not read");
        receiver.finish();
        assert_eq!(count.take(), 0);
        assert!(!is_readable(&receiver), "{rings} datagrams are taken");
    }
}

#[test]
fn ring_that_comes_before_the_datagrams_are_taken_is_found() {
    let (receiver, sender) = connected();
    let count = Arc::new(Count::default());
    let slot = receiver.add_slot(count.notifier());
    // The last one finds no room in the socket for its datagram.
    for more in [1, 2, 300, 1000] {
        sender.ring(slot.number()).unwrap();
        receiver.fired();
        assert!(count.take() > 0);
        for _ in 0..more {
            sender.ring(slot.number()).unwrap();
        }
        receiver.finish();
        assert!(count.take() > 0);
        while is_readable(&receiver) {
            visit(&receiver);
        }
        count.take();
    }
}

#[test]
fn capabilities_behind_rings_that_were_read_are_found() {
    let (receiver, sender) = connected();
    let (sender, count) = (Arc::new(sender), Arc::new(Count::default()));
    let (inbox, slot) = (inbox(&count), receiver.add_slot(count.notifier()));
    slot.expect_caps(0, &inbox);
    sender.ring(slot.number()).unwrap();
    CapSender::new(Arc::clone(&sender), slot.number()).send(0, 1, &[]).unwrap();
    receiver.fired();
    assert!(!inbox.is_due(1));
    // The channel that looks for its capabilities takes the datagram of the ring first. So `finish` has none to take.
    while receiver.collect(&inbox, 1) {}
    assert!(inbox.is_due(1));
    sender.ring(slot.number()).unwrap();
    receiver.finish();
    assert!(is_readable(&receiver), "the next datagram makes the socket fire");
}

#[test]
fn brief_wait_is_not_ended_by_datagrams_of_rings_that_were_read() {
    let (receiver, sender) = connected();
    let count = Arc::new(Count::default());
    let slot = receiver.add_slot(count.notifier());
    receiver.watched();
    sender.ring(slot.number()).unwrap();
    receiver.fired();
    assert_eq!(count.take(), 1);
    let began = Instant::now();
    assert!(slot.wait());
    assert!(began.elapsed() >= BRIEF_WAIT / 2, "it has waited");
    assert!(!is_readable(&receiver));
    // One that comes before the wait ends it, although it is not from the socket.
    sender.ring(slot.number()).unwrap();
    receiver.fired();
    sender.ring(slot.number()).unwrap();
    assert!(slot.wait());
    assert_eq!(count.take(), 2);
}

#[cfg(feature = "scc")]
#[test]
fn ring_is_found_without_reading_the_socket() {
    let (receiver, sender) = connected();
    let count = Arc::new(Count::default());
    let slot = receiver.add_slot(count.notifier());
    receiver.poll_log();
    assert_eq!(count.take(), 0);
    sender.ring(slot.number()).unwrap();
    receiver.poll_log();
    assert_eq!(count.take(), 1);
    // The waitset is still woken, although the log has been read.
    assert!(is_readable(&receiver));
    visit(&receiver);
    assert!(!is_readable(&receiver));
    assert_eq!(count.take(), 0);
}

#[test]
fn overrun_log_wakes_all_slots_and_recovers() {
    let (receiver, sender) = connected();
    let counts: Vec<_> = (0..100).map(|_| Arc::new(Count::default())).collect();
    let slots: Vec<_> = counts.iter().map(|count| receiver.add_slot(count.notifier())).collect();
    for overrun in [512, 513, 600, 1024, 5000] {
        for _ in 0..overrun {
            sender.ring(slots[7].number()).unwrap();
        }
        sender.ring(slots[99].number()).unwrap();
        while is_readable(&receiver) {
            visit(&receiver);
        }
        assert!(counts.iter().all(|count| count.take() > 0), "{overrun} rings");
        sender.ring(slots[3].number()).unwrap();
        while is_readable(&receiver) {
            visit(&receiver);
        }
        assert!(counts[3].take() > 0);
    }
}

#[test]
fn end_of_the_peer_leaves_the_socket_silent() {
    let (receiver, sender) = connected();
    drop(sender);
    assert!(!is_readable(&receiver));
}

#[test]
fn freed_slot_is_reused_and_unknown_slots_are_ignored() {
    let (receiver, sender) = connected();
    let count = Arc::new(Count::default());
    let number = receiver.add_slot(Notifier::new()).number();
    let slot = receiver.add_slot(count.notifier());
    assert_eq!(slot.number(), number);
    sender.ring(number + 1).unwrap();
    sender.ring(u32::MAX).unwrap();
    visit(&receiver);
    assert_eq!(count.take(), 0);
}

/// For a time the sender is connected to a socket that takes datagrams from another socket
/// only.
#[test]
fn refused_ring_is_retried() {
    let (receiver, sender) = connected();
    let [deaf, other] = [(); 2].map(|()| {
        let flags = SocketFlags::CLOEXEC;
        socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap()
    });
    for socket in [receiver.fd(), deaf.as_fd(), other.as_fd()] {
        bind(socket, &SocketAddrUnix::new_unnamed()).unwrap();
    }
    connect(sender.socket().unwrap(), &getsockname(&deaf).unwrap()).unwrap();
    connect(&deaf, &getsockname(&other).unwrap()).unwrap();
    let count = Arc::new(Count::default());
    let slot = receiver.add_slot(count.notifier());
    let sender = Arc::new(sender);
    let mut doorbell = Doorbell::remote(Arc::clone(&sender), slot.number());
    assert_eq!(doorbell.sleep_limit(), None);
    assert!(!doorbell.ring());
    assert!(doorbell.sleep_limit().is_some());
    assert_eq!(doorbell.retry(), Ok(false));
    assert!(!is_readable(&receiver));
    connect(sender.socket().unwrap(), &getsockname(receiver.fd()).unwrap()).unwrap();
    assert_eq!(doorbell.retry(), Ok(true));
    assert_eq!(doorbell.sleep_limit(), None);
    visit(&receiver);
    assert!(count.take() > 0);
}

#[test]
fn full_socket_counts_as_rung() {
    let (receiver, sender) = connected();
    let slot = receiver.add_slot(Notifier::new());
    for ring in 0..10_000 {
        assert_eq!(sender.ring(slot.number()), Ok(()), "ring {ring}");
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    assert_eq!(send(sender.socket().unwrap(), &[0], flags), Err(Errno::AGAIN), "it is full");
}

fn pipe() -> (io::PipeReader, Cap) {
    let (reader, writer) = io::pipe().expect("there are descriptors to spare");
    (reader, Cap::from(writer))
}

/// Waits until no writer of the pipe is left.
fn expect_closed(mut reader: io::PipeReader) {
    let timeout = Timespec { tv_sec: 10, tv_nsec: 0 };
    let found = poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&timeout));
    assert_eq!(found, Ok(1), "the capability is closed");
    assert_eq!(reader.read(&mut [0]).expect("a pipe"), 0);
}

fn inbox(count: &Arc<Count>) -> Arc<CapInbox> {
    Arc::new(CapInbox::new(count.notifier()))
}

#[test]
fn documented_datagram_with_capabilities() {
    let header = CapHeader { slot: 3, count: 2, connection: 6, sequence: 1 };
    assert_eq!(header.words(), [0x2_0000_0003, 6, 1]);
    assert_eq!(CapHeader::parse(header.words()), header);
}

#[test]
fn capabilities_go_to_the_channel_of_slot_and_connection() {
    let (receiver, sender) = connected();
    let (counts, sender) = ([(); 2].map(|()| Arc::new(Count::default())), Arc::new(sender));
    let inboxes = [inbox(&counts[0]), inbox(&counts[1])];
    let slots = [0, 1].map(|i| receiver.add_slot(counts[i].notifier()));
    slots[0].expect_caps(6, &inboxes[0]);
    slots[1].expect_caps(8, &inboxes[1]);
    let to = |slot: &DoorbellSlot| CapSender::new(Arc::clone(&sender), slot.number());
    let (reader, cap) = pipe();
    to(&slots[1]).send(8, 1, &[cap]).unwrap();
    visit(&receiver);
    assert!(!is_readable(&receiver));
    assert_eq!(counts.each_ref().map(|count| count.take()), [0, 1], "one is notified");
    assert!(inboxes[0].is_empty());
    let arrived = inboxes[1].take_due(1);
    assert!(matches!(&arrived, Ok(Some(CapEvent::Arrived(1, caps))) if caps.len() == 1));
    drop(arrived);
    expect_closed(reader);
    // The channel that had the slot before, and a slot that never was.
    for (slot, connection) in [(slots[1].number(), 6), (77, 8)] {
        let (reader, cap) = pipe();
        let sender = CapSender::new(Arc::clone(&sender), slot);
        sender.send(connection, 2, &[cap]).unwrap();
        visit(&receiver);
        assert_eq!(counts.each_ref().map(|count| count.take()), [0, 0]);
        assert!(inboxes.iter().all(|inbox| inbox.is_empty()));
        expect_closed(reader);
    }
}

#[test]
fn too_many_or_false_capabilities_are_closed() {
    let (receiver, sender) = connected();
    let count = Arc::new(Count::default());
    let (inbox, sender) = (inbox(&count), Arc::new(sender));
    let slot = receiver.add_slot(count.notifier());
    slot.expect_caps(0, &inbox);
    let number = slot.number();
    let transmit = |bytes: &[u8], fds: &[BorrowedFd<'_>]| {
        datagram::transmit(sender.socket().unwrap(), &[IoSlice::new(bytes)], fds).unwrap();
        visit(&receiver);
    };
    // Not what a datagram of capabilities looks like.
    for bytes in [&[0][..], &[0; 16], &[0; 32]] {
        let (reader, cap) = pipe();
        transmit(bytes, &[cap.as_fd()]);
        assert!(inbox.is_empty());
        drop(cap);
        expect_closed(reader);
    }
    // Fewer or more than announced.
    for (sequence, announced) in [(1, 0), (2, 2)] {
        let (reader, cap) = pipe();
        let header = CapHeader { slot: number, count: announced, connection: 0, sequence };
        transmit(bytemuck::cast_slice(&header.words()), &[cap.as_fd()]);
        drop(cap);
        let due = inbox.take_due(sequence);
        let refusal = CapRefusal::ReceiverLimit;
        assert!(
            matches!(due, Ok(Some(CapEvent::Lost(number, why))) if (number, why) == (sequence, refusal))
        );
        expect_closed(reader);
    }
    // More messages than may be ahead.
    let to = CapSender::new(Arc::clone(&sender), number);
    for sequence in 3..6 {
        to.send(0, sequence, &[]).unwrap();
        visit(&receiver);
    }
    assert!(inbox.take_due(3).is_err());
}

#[test]
fn capabilities_beyond_the_limit_are_lost() {
    let receiver = {
        let id = flounder_rt::account::ProcessId { pid: Some(9), uid: Some(70_001), inode: 9 };
        let account = Account::of(id);
        flounder_rt::account::set_limits(flounder_rt::account::Limits::default().with(
            flounder_rt::account::Resource::Descriptors,
            flounder_rt::account::Scope::Process,
            2,
        ));
        Arc::new(DoorbellReceiver::new([], &Origin::LOCAL, &account).unwrap())
    };
    let socket = receiver.setup_caps().unwrap().pop().unwrap();
    let sender = Arc::new(DoorbellSender::new(socket, new_log().unwrap().0));
    let count = Arc::new(Count::default());
    let (inbox, slot) = (inbox(&count), receiver.add_slot(count.notifier()));
    slot.expect_caps(0, &inbox);
    let to = CapSender::new(sender, slot.number());
    for sequence in 1..20 {
        // One more than the limit, and then as many as it allows.
        let three = sequence % 2 == 1;
        let pipes: Vec<_> = (0..if three { 3 } else { 2 }).map(|_| pipe()).collect();
        let (readers, caps): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
        to.send(0, sequence, &caps).unwrap();
        drop(caps);
        visit(&receiver);
        match inbox.take_due(sequence) {
            Ok(Some(CapEvent::Arrived(_, caps))) => assert!(!three && caps.len() == 2),
            Ok(Some(CapEvent::Lost(_, refusal))) => {
                assert!(three && refusal == CapRefusal::ReceiverLimit);
            }
            other => panic!("{other:?}"),
        }
        readers.into_iter().for_each(expect_closed);
    }
    flounder_rt::account::set_limits(flounder_rt::account::Limits::default());
}

#[test]
fn collecting_channel_serves_the_others() {
    let (receiver, sender) = connected();
    let sender = Arc::new(sender);
    let counts = [(); 3].map(|()| Arc::new(Count::default()));
    let inboxes = counts.each_ref().map(inbox);
    let slots = [0, 1, 2].map(|i| receiver.add_slot(counts[i].notifier()));
    for (slot, inbox) in slots.iter().zip(&inboxes) {
        slot.expect_caps(0, inbox);
    }
    let to = |slot: &DoorbellSlot| CapSender::new(Arc::clone(&sender), slot.number());
    sender.ring(slots[1].number()).unwrap();
    to(&slots[2]).send(0, 1, &[]).unwrap();
    to(&slots[0]).send(0, 1, &[]).unwrap();
    to(&slots[0]).send(0, 2, &[]).unwrap();
    while receiver.collect(&inboxes[0], 1) {}
    assert!(inboxes[0].is_due(1) && !inboxes[0].is_due(0));
    assert_eq!(counts.each_ref().map(|count| count.take()), [0, 1, 1], "its own is awaited");
    assert!(inboxes[2].is_due(1));
    assert!(is_readable(&receiver), "it takes no more than it needs");
    assert!(matches!(inboxes[0].take_due(1), Ok(Some(_))));
    visit(&receiver);
    assert_eq!(counts[0].take(), 1);
    assert!(inboxes[0].is_due(2));
}

/// A peer floods the socket: each call takes a bounded part.
#[test]
fn flood_is_taken_in_parts() {
    let (receiver, sender) = connected();
    let (sender, count) = (Arc::new(sender), Arc::new(Count::default()));
    let (inbox, slot) = (inbox(&count), receiver.add_slot(count.notifier()));
    slot.expect_caps(0, &inbox);
    let noise = CapSender::new(Arc::clone(&sender), 1234);
    let mut sent = 0;
    while noise.send(0, 1, &[]).is_ok() {
        sent += 1;
    }
    let mut calls = 0;
    while receiver.collect(&inbox, 1) {
        calls += 1;
        assert!(calls <= sent, "each call takes some");
    }
    assert_eq!(calls, sent / (COLLECT / CAPS_COST), "of {sent} datagrams");
}

/// Two threads take datagrams, as two waitsets of a process do, and the one that owns the channel finds every message
/// when its datagram is gone from the socket.
#[test]
fn two_readers_lose_and_swap_nothing() {
    const MESSAGES: u64 = 20_000;
    let (receiver, sender) = connected();
    let (sender, count) = (Arc::new(sender), Arc::new(Count::default()));
    let (inbox, slot) = (inbox(&count), receiver.add_slot(count.notifier()));
    slot.expect_caps(0, &inbox);
    let to = CapSender::new(sender, slot.number());
    let is_over = core::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (receiver, is_over) = (&receiver, &is_over);
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                visit(receiver);
            }
        });
        for sequence in 1..=MESSAGES {
            to.send(0, sequence, &[]).unwrap();
            // The datagram was sent, so it is in the inbox once the socket is empty.
            while receiver.collect(&inbox, sequence) {}
            let due = inbox.take_due(sequence);
            let arrived =
                matches!(&due, Ok(Some(CapEvent::Arrived(number, _))) if *number == sequence);
            if !arrived {
                is_over.store(true, Ordering::Relaxed);
                panic!("message {sequence}: {due:?}");
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn other_sockets_are_refused_as_doorbells() {
    let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for fd in [stream.as_fd(), file.as_fd()] {
        assert_eq!(
            DoorbellSender::check(fd),
            Err(ConnectError::Refused("the doorbell is not a local datagram socket"))
        );
    }
}
