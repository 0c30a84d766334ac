//! What lmp receives and does not hand out, and what lies in the queue of its socket, is closed without blocking.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use flounder_conformance::{LIMITS, LingeringSocket};
use flounder_drivers::lmp;
use flounder_rt::channel::{Channel, ChannelError, Incoming};
use flounder_rt::closer::{Origin, wait_until_closed};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};

/// A close that lingers takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

fn ends() -> (Box<dyn Channel + Send>, OwnedFd) {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .expect("there are descriptors to spare");
    (lmp::over(ours, Origin::LOCAL).expect("it is such a socket"), theirs)
}

/// Sends a datagram with a stuck socket, of which no copy is left here.
fn post(socket: &OwnedFd, words: &[u64]) -> LingeringSocket {
    let (writer, reader) = LingeringSocket::new();
    let fds = [writer.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)), "there is room for one");
    let pieces = [IoSlice::new(bytemuck::cast_slice(words))];
    sendmsg(socket, &pieces, &mut control, SendFlags::NOSIGNAL).expect("the other end lives");
    reader
}

/// Runs `f` with a time limit, alone and then while another thread hangs in a close.
fn in_time(what: &str, f: impl FnOnce()) {
    let before = Instant::now();
    f();
    let took = before.elapsed();
    assert!(took < PATIENCE, "{what} took {took:?}");
    let soon = Instant::now() + Duration::from_millis(200);
    assert!(!wait_until_closed(soon), "{what}: no close blocks: the test tests nothing");
}

fn settle(readers: Vec<LingeringSocket>) {
    drop(readers);
    assert!(wait_until_closed(Instant::now() + PATIENCE), "everything gets closed");
}

#[test]
fn unclaimed_descriptors_are_closed_without_blocking() {
    // A frame that is none, one that announces no capability, one of a message that the interface lacks, and the first
    // half of a message.
    let first = |number: u64, caps: u64| (1 << 32) | (1 << 24) | (caps << 14) | number;
    let frames: [(&str, &[u64]); 4] = [
        ("no frame", &[0]),
        ("an unannounced capability", &[first(1, 0), 1, 7]),
        ("an unknown message", &[first(999, 1), 1, 7]),
        ("half a message", &[first(2, 1), 2, 7]),
    ];
    for (what, words) in frames {
        let (mut channel, theirs) = ends();
        let reader = post(&theirs, words);
        in_time(what, || {
            let mut incoming = Incoming::new(LIMITS);
            let received = channel.recv(&mut incoming);
            assert!(!matches!(received, Err(ChannelError::Os(_))), "{what}: {received:?}");
            drop((incoming, channel));
        });
        settle(vec![reader]);
    }
    let (channel, theirs) = ends();
    let readers = (0..3).map(|_| post(&theirs, &[0])).collect();
    in_time("the queue of a socket", || drop(channel));
    settle(readers);
}
