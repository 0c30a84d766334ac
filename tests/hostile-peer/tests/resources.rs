//! Resources: what one peer process can make a service hold has a bound, and others are served meanwhile.

mod support;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use flounder_hostile_peer::PATIENCE;
use flounder_hostile_peer::lmp::{Socket, pair};
use flounder_hostile_peer::monitor::{Answer, Domain, Link, Request};
use flounder_hostile_peer::region::Region;
use flounder_hostile_peer::ump::{Doorbell, OFFER, control_line};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use support::{Client, Host, VICTIM};

/// Bindings of one process that a service with default settings takes.
const BINDINGS: usize = 4096;

/// Longest time that a call or a bind of the honest client may take beside the attack.
const BOUND: Duration = Duration::from_secs(5);

#[track_caller]
fn others_go_on(client: &mut Client) {
    let round = client.round();
    assert!(round.slowest < BOUND, "a call or bind took {:?}", round.slowest);
}

/// This process holds an end of each binding.
fn raise_own_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
}

fn limit_descriptors(host: &Host, most: u64) {
    let pid = Pid::from_raw(host.service.pid().cast_signed());
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    prlimit(pid, Resource::Nofile, limit).expect("a limit");
}

/// Binds until it is refused; returns the number of bindings, why there are no more, and what keeps them.
fn bind_all<T>(
    most: usize,
    mut bind: impl FnMut(usize) -> Result<T, Answer>,
) -> (usize, Option<String>, Vec<T>) {
    let mut kept = Vec::new();
    for i in 0..most {
        match bind(i) {
            Ok(channel) => kept.push(channel),
            Err(answer) => return (i, Some(answer.refused()), kept),
        }
    }
    (most, None, kept)
}

/// A bind over ump with rings of one page; the first one brings the doorbell.
fn bind_ump(
    link: &mut Link,
    iref: u64,
    doorbell: &Doorbell,
    i: usize,
) -> Result<(Region, Vec<OwnedFd>), Answer> {
    let ring = Region::new(1, &control_line(1));
    let (words, fds) = match i {
        0 => (
            OFFER.to_vec(),
            vec![ring.fd.as_fd(), doorbell.sender.as_fd(), doorbell.log.fd.as_fd()],
        ),
        i => (vec![1, 2, i as u64], vec![ring.fd.as_fd()]),
    };
    let request = Request { iref, digest: VICTIM.digest(), buffer: 4096, driver: "ump", words };
    link.request(&request, &fds).expect("the link is up");
    match link.answer(PATIENCE) {
        Answer::Bound { fds, .. } => {
            // The doorbell is kept by the first one; the rings of the service are of no use here.
            Ok((ring, if i == 0 { fds } else { Vec::new() }))
        }
        other => Err(other),
    }
}

#[test]
fn bindings_of_one_process_over_ump_are_bounded() {
    raise_own_limit();
    let host = Host::new();
    let mut client = host.client();
    let (_domain, mut link, iref) = host.attack();
    let doorbell = Doorbell::new();
    let (bound, why, kept) = bind_all(BINDINGS + 100, |i| bind_ump(&mut link, iref, &doorbell, i));
    assert_eq!(why.as_deref(), Some("OVER_LIMIT"), "after {bound} bindings");
    assert!(bound <= BINDINGS, "{bound} bindings");
    assert!(bound >= BINDINGS / 4, "only {bound} bindings");
    others_go_on(&mut client);
    let _late = host.client();
    drop((kept, link));
    others_go_on(&mut client);
}

#[test]
fn bindings_of_one_process_over_lmp_leave_descriptors() {
    raise_own_limit();
    let host = Host::new();
    limit_descriptors(&host, 512);
    let mut client = host.client();
    let (_domain, mut link, iref) = host.attack();
    let bind = |_| -> Result<Socket, Answer> { link.bind_lmp(iref, VICTIM.digest()) };
    let (bound, why, kept) = bind_all(1000, bind);
    assert_eq!(why.as_deref(), Some("OVER_LIMIT"), "after {bound} bindings");
    assert!(bound <= 256, "{bound} bindings of half of 512 descriptors");
    others_go_on(&mut client);
    let _late = host.client();
    drop(kept);
}

#[test]
fn binds_under_way_of_one_process_are_bounded() {
    let host = Host::new();
    let mut client = host.client();
    let (_domain, mut link, iref) = host.attack();
    let sender = std::thread::spawn(move || {
        let (_ours, theirs) = pair();
        let digest = VICTIM.digest();
        let request = Request { iref, digest, buffer: 0, driver: "lmp", words: vec![2] };
        // Nobody reads the answers: in the end the link is full, or cut.
        (0..20_000).take_while(|_| link.request(&request, &[theirs.as_fd()]).is_ok()).count()
    });
    for _ in 0..3 {
        others_go_on(&mut client);
    }
    drop(host);
    assert!(sender.join().expect("it does not panic") < 20_000, "each request was taken");
}

#[test]
fn silent_connections_of_one_process_exclude_no_others() {
    raise_own_limit();
    let host = Host::new();
    let silent: Vec<_> = (0..1000).map(|_| Domain::connect(&host.dir())).collect();
    // The honest client is a new process: it has to join.
    let mut client = host.client();
    others_go_on(&mut client);
    drop(silent);
    let _late = host.client();
}

#[test]
fn messages_that_never_end_are_charged() {
    /// Words of a message of `MIB` MiB: length and bytes.
    const MIB: u64 = 15;
    let host = Host::with("spare", |_| {});
    let mut client = host.client();
    let (_domain, mut link, iref) = host.attack();
    let begin = |socket: &Socket| {
        let load = VICTIM.message("load").number;
        socket.send_frame(1, load, 1 + MIB * (1 << 17), &[MIB << 20; 64], &[]).expect("room");
    };
    let mut bind = || link.bind_lmp(iref, VICTIM.digest()).expect("a binding costs little");
    // 16 MiB of memory for each.
    let full: [_; 4] = std::array::from_fn(|_| bind());
    full.iter().for_each(begin);
    let over = bind();
    begin(&over);
    assert!(over.ends_within(PATIENCE), "a fifth message is begun within 64 MiB");
    others_go_on(&mut client);
    // What is given back is free again.
    drop(full);
    let mut free = || {
        let again = bind();
        begin(&again);
        !again.ends_within(Duration::from_millis(100))
    };
    let deadline = Instant::now() + PATIENCE;
    while !free() {
        assert!(Instant::now() < deadline, "what ended bindings held is not given back");
    }
}
