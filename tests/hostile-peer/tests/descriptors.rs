//! Descriptors whose close blocks: whichever thread closes them, all others go on.

mod support;

use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use flounder_hostile_peer::PATIENCE;
use flounder_hostile_peer::attack::Stuck;
use flounder_hostile_peer::lmp::pair;
use flounder_hostile_peer::monitor::{Answer, Domain, Request};
use flounder_hostile_peer::value::Value;
use rustix::net::sockopt::set_socket_linger;
use support::{Client, Host, VICTIM};

/// Longest time that a call or a bind of the honest client may take beside the attack. A close that blocks takes a minute.
const BOUND: Duration = Duration::from_secs(5);

/// An attacked service, and its honest client.
struct Attack {
    host: Host,
    client: Client,
    /// Other ends of the connections: open, and never read from.
    unread: Vec<TcpStream>,
}

impl Attack {
    fn new() -> Self {
        let host = Host::new();
        let client = host.client();
        Self { host, client, unread: Vec::new() }
    }

    /// Sends a descriptor whose close blocks while the service stands still, and closes the own copy: so the last close is
    /// the service's. If it is not sent, the own close does not block.
    fn send<R>(
        &mut self,
        send: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<R>,
    ) -> rustix::io::Result<R> {
        let Stuck { socket, unread } = Stuck::new();
        self.host.service.stop();
        let result = send(socket.as_fd());
        if result.is_err() {
            set_socket_linger(&socket, None).expect("an option");
        }
        drop(socket);
        self.host.service.resume();
        self.unread.push(unread);
        result
    }

    #[track_caller]
    fn others_go_on(&mut self, when: &str) {
        let round = self.client.round();
        assert!(round.slowest < BOUND, "{when}: a call or bind took {:?}", round.slowest);
    }
}

#[test]
fn stuck_descriptor_before_hello_blocks_no_thread() {
    let mut attack = Attack::new();
    for _ in 0..8 {
        let socket = Domain::connect(&attack.host.dir());
        // A root that takes no descriptors may refuse the frame.
        let _ = attack.send(|fd| socket.send(1, &[0, 0], &[fd]));
        attack.others_go_on("before hello");
        drop(socket);
        attack.others_go_on("the end of the connection");
    }
    let _ = attack.host.attack();
}

#[test]
fn stuck_descriptor_in_a_dropped_queue_blocks_no_thread() {
    let mut attack = Attack::new();
    for _ in 0..4 {
        let socket = Domain::connect(&attack.host.dir());
        // The first frame ends the connection; the descriptors lie behind it.
        let _ = attack.send(|fd| {
            let _ = socket.send_bytes(&[0; 3], &[]);
            (0..20).try_for_each(|_| socket.send(1, &[0, 0], &[fd]))
        });
        attack.others_go_on("a bad frame before it");
    }
}

#[test]
fn stuck_descriptor_in_a_message_blocks_no_thread() {
    let mut attack = Attack::new();
    let (_domain, mut link, iref) = attack.host.attack();
    let socket = link.bind_lmp(iref, VICTIM.digest()).expect("the service takes it");
    for _ in 0..3 {
        let give = VICTIM.message("give").number;
        attack.send(|fd| socket.send(give, &[], &[fd])).expect("the channel is up");
        attack.others_go_on("a handler drops it");
    }
}

#[test]
fn stuck_descriptor_in_a_bad_frame_blocks_no_thread() {
    let mut attack = Attack::new();
    let (_domain, mut link, iref) = attack.host.attack();
    for kind in [1, 2, 3, 9] {
        let socket = link.bind_lmp(iref, VICTIM.digest()).expect("the service takes it");
        let give = VICTIM.message("give").number;
        // Half a message, a continuation of nothing, a last frame and an unknown kind, each with a descriptor.
        let _ = attack.send(|fd| socket.send_frame(kind, give, 50, &[1, 2], &[fd]));
        attack.others_go_on("a frame of no message");
        drop(socket);
        attack.others_go_on("its end");
    }
}

#[test]
fn stuck_descriptor_in_a_refused_bind_blocks_no_thread() {
    let mut attack = Attack::new();
    let (_domain, mut link, iref) = attack.host.attack();
    for driver in ["lmp", "ump", "scc", "beehive", "none"] {
        let digest = VICTIM.digest();
        let request = Request { iref, digest, buffer: 0, driver, words: vec![1, 1, 0] };
        let count = if driver == "lmp" { 1 } else { 3 };
        attack.send(|fd| link.request(&request, &[fd; 3][..count])).expect("the link is up");
        let why = link.answer(PATIENCE).refused();
        attack.others_go_on(&format!("{driver} refused it: {why}"));
    }
}

#[test]
fn stuck_descriptor_in_half_an_assembly_blocks_no_thread() {
    let mut attack = Attack::new();
    let (domain, mut link, iref) = attack.host.attack();
    let digest = VICTIM.digest();
    let request = Request { iref, digest, buffer: 0, driver: "ump", words: vec![1, 1, 0] };
    // Three are announced, two come, then the link ends.
    let sent = attack.send(|fd| {
        link.announce(&request, 3)?;
        (0..2).try_for_each(|_| link.monitor.send("cap", &[Value::Cap], &[fd]))
    });
    sent.expect("the link is up");
    drop(link);
    drop(domain);
    attack.others_go_on("half an assembly");
}

#[test]
fn peer_with_many_stuck_descriptors_is_cut_off() {
    let mut attack = Attack::new();
    let before = attack.client.round();
    let (_domain, mut link, iref) = attack.host.attack();
    let socket = link.bind_lmp(iref, VICTIM.digest()).expect("the service takes it");
    let give = VICTIM.message("give").number;
    // To stop the service interrupts a close that blocks: so few stops, and many descriptors for each.
    for _ in 0..2 {
        let stuck: Vec<_> = (0..200).map(|_| Stuck::new()).collect();
        attack.host.service.stop();
        for Stuck { socket: fd, unread } in stuck {
            socket.send(give, &[], &[fd.as_fd()]).expect("the channel is up");
            attack.unread.push(unread);
        }
        attack.host.service.resume();
        attack.others_go_on("some that block");
    }
    // The sockets of the attacker wait behind its descriptors, so it does not see that they ended. But they answer no more.
    let (_ours, theirs) = pair();
    let digest = VICTIM.digest();
    let request = Request { iref, digest, buffer: 0, driver: "lmp", words: vec![2] };
    let _ = link.request(&request, &[theirs.as_fd()]);
    let answer = link.answer(Duration::from_secs(3));
    assert!(matches!(answer, Answer::Nothing), "nobody cuts the attacker off: {answer:?}");
    attack.others_go_on("many that block");
    let after = attack.client.round();
    let kept = after.descriptors.saturating_sub(before.descriptors);
    assert!(kept <= 300, "the service keeps {kept} descriptors");
}
