//! What lmp receives and does not hand out, and what lies in the queue of its socket, is closed without blocking.

use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use flounder_conformance::LIMITS;
use flounder_drivers::lmp;
use flounder_rt::channel::{Channel, ChannelError, Incoming};
use flounder_rt::closer::{Origin, wait_until_closed};
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};

/// A close that lingers takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A socket whose last close takes a minute, unless the other end closes before.
fn stuck() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback");
    let address = listener.local_addr().expect("it is bound");
    let mut writer = TcpStream::connect(address).expect("somebody listens");
    let (reader, _) = listener.accept().expect("somebody connects");
    set_socket_linger(&writer, Some(Duration::from_secs(60))).expect("the option is known");
    writer.set_nonblocking(true).expect("the flag is known");
    while writer.write(&[0; 65536]).is_ok() {}
    (writer.into(), reader)
}

fn ends() -> (Box<dyn Channel + Send>, OwnedFd) {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .expect("there are descriptors to spare");
    (lmp::over(ours, Origin::LOCAL).expect("it is such a socket"), theirs)
}

/// Sends a datagram with a stuck socket, of which no copy is left here.
fn post(socket: &OwnedFd, words: &[u64]) -> TcpStream {
    let (writer, reader) = stuck();
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

fn settle(readers: Vec<TcpStream>) {
    for reader in readers {
        // Data that are lost end the connection, and what lingers.
        set_socket_linger(&reader, Some(Duration::ZERO)).expect("the option is known");
    }
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
