//! Locks of sockets that a client holds for ever: the service needs none of them.

mod support;

use std::os::fd::AsFd;
use std::time::Duration;

use flounder_hostile_peer::PATIENCE;
use flounder_hostile_peer::held_locks::{HeldLocks, Lock};
use flounder_hostile_peer::lmp::{Socket, pair};
use flounder_hostile_peer::monitor::Typed;
use rustix::net::{SendFlags, send};
use support::{Host, VICTIM};

/// Longest time that a call or a bind of the honest client may take beside the attack.
const BOUND: Duration = Duration::from_secs(5);

#[test]
fn locks_that_a_client_holds_stop_no_service() {
    let host = Host::new();
    let mut client = host.client();
    let (domain, mut link, iref) = host.attack();
    let (receiving, theirs) = pair();
    send(&receiving, &[7], SendFlags::empty()).expect("room");
    let locks = [(theirs.as_fd(), Lock::Receiving), (theirs.as_fd(), Lock::Options)];
    let Some(held) = HeldLocks::take(&locks, PATIENCE) else { return };
    let mut others_go_on = |when: &str| {
        let round = client.round();
        assert!(round.slowest < BOUND, "{when}: a call or bind took {:?}", round.slowest);
    };
    let sending = link.bind_lmp_with(iref, VICTIM.digest(), theirs.as_fd());
    let sending = sending.expect("the service needs no lock of a socket that it did not make");
    others_go_on("a bind");
    let locks = [(sending.as_fd(), Lock::Options), (receiving.as_fd(), Lock::Options)];
    let held = (held, HeldLocks::take(&locks, PATIENCE));
    let mut calls = Typed::new(Socket { receiving, sending: Some(sending) }, &VICTIM);
    for i in 0..10_u64 {
        let (sum, _) = calls.call("add", &[i.into(), 3.into()]);
        assert_eq!(sum[0].number(), i + 3);
    }
    others_go_on("calls");
    drop((calls, link, domain));
    others_go_on("the end of the link");
    drop(held);
}
