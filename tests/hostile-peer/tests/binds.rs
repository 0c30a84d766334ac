//! Binds of a hostile client: sizes, regions, names.

mod support;

use std::os::fd::AsFd;

use flounder_hostile_peer::PATIENCE;
use flounder_hostile_peer::interface::Interface;
use flounder_hostile_peer::lmp::pair;
use flounder_hostile_peer::monitor::{Answer, Link, Request};
use flounder_hostile_peer::region::{Region, SEALS, unsealed};
use flounder_hostile_peer::ump::{Doorbell, OFFER, control_line, try_regions};
use rustix::fs::{FallocateFlags, fallocate, fcntl_add_seals, fstat};
use rustix::io::pwrite;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use support::{Host, VICTIM};

/// Features of docs/wire.md.
const KNOWN_FEATURES: u64 = 0b11;

/// Most bytes that a service with default settings spends on the ring of a client that spends a page.
const MOST_BYTES: i64 = 64 * 1024;

#[test]
fn buffer_of_any_size_costs_what_the_client_spends() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let mut kept = Vec::new();
    for buffer in [u64::MAX, u64::MAX - 1, 1 << 63, 1 << 32, 1 << 24] {
        let (ring, doorbell) = (Region::new(1, &control_line(1)), Doorbell::new());
        let request =
            Request { iref, digest: VICTIM.digest(), buffer, driver: "ump", words: OFFER.to_vec() };
        let fds = [ring.fd.as_fd(), doorbell.sender.as_fd(), doorbell.log.fd.as_fd()];
        link.request(&request, &fds).expect("the link is up");
        let (_, fds) = link.answer(PATIENCE).bound();
        let bytes = fstat(&fds[0]).expect("a ring").st_size;
        assert!(
            bytes <= MOST_BYTES,
            "a ring of one page and the number {buffer} cost {bytes} bytes"
        );
        kept.push((fds, ring, doorbell));
    }
}

#[test]
fn features_are_those_that_both_ends_know() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let (ours, theirs) = pair();
    let request =
        Request { iref, digest: VICTIM.digest(), buffer: 0, driver: "lmp", words: vec![2] };
    link.request(&request, &[theirs.as_fd()]).expect("the link is up");
    match link.answer(PATIENCE) {
        Answer::Bound { features, .. } => assert_eq!(features, KNOWN_FEATURES),
        other => panic!("no binding: {other:?}"),
    }
    drop(ours);
}

#[test]
fn log_of_more_than_a_page_is_refused() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    for pages in [2, 3, 4096] {
        let (ring, doorbell) = (Region::new(1, &control_line(1)), Doorbell::new());
        let log = Region::new(pages, &[]);
        let regions = [ring.fd.as_fd(), doorbell.sender.as_fd(), log.fd.as_fd()];
        let answer = try_regions(&mut link, iref, VICTIM.digest(), regions);
        assert_eq!(answer.refused(), "UNSOUND", "a log of {pages} pages");
    }
    assert!(still_binds(&mut link, iref), "a sound client is taken");
}

#[test]
fn region_with_a_hole_is_refused() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    // The file has as many blocks as its size asks for, but one of them lies beyond its end.
    let holed = |words: &[u64]| {
        let fd = unsealed(2);
        for (at, word) in words.iter().enumerate() {
            pwrite(&fd, &word.to_ne_bytes(), at as u64 * 8).expect("room");
        }
        fallocate(&fd, FallocateFlags::KEEP_SIZE, 2 * 4096, 4096).expect("room");
        fallocate(&fd, FallocateFlags::empty(), 0, 4096).expect("room");
        fcntl_add_seals(&fd, SEALS).expect("seals");
        fd
    };
    let doorbell = Doorbell::new();
    let ring = holed(&control_line(2));
    let regions = [ring.as_fd(), doorbell.sender.as_fd(), doorbell.log.fd.as_fd()];
    let answer = try_regions(&mut link, iref, VICTIM.digest(), regions);
    assert_eq!(answer.refused(), "UNSOUND", "a ring");
    assert!(still_binds(&mut link, iref), "a sound client is taken");
}

#[test]
fn ring_that_is_its_own_log_is_refused() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let (ring, doorbell) = (Region::new(1, &control_line(1)), Doorbell::new());
    let regions = [ring.fd.as_fd(), doorbell.sender.as_fd(), ring.fd.as_fd()];
    let answer = try_regions(&mut link, iref, VICTIM.digest(), regions);
    assert_eq!(answer.refused(), "UNSOUND");
    assert!(still_binds(&mut link, iref), "a sound client is taken");
}

#[test]
fn interface_of_another_name_is_refused() {
    let host = Host::new();
    let (_domain, mut link, iref) = host.attack();
    let other = Interface { name: "other".into(), ..VICTIM.clone() };
    let refusal = link.bind_lmp(iref, other.digest()).expect_err("its name is another");
    assert_eq!(refusal.refused(), "INTERFACE");
    assert!(still_binds(&mut link, iref), "the right name is taken");
}

#[test]
fn nothing_is_allocated_before_the_service_consents() {
    let host = Host::with("refuse", |_| {});
    let (_domain, mut link, iref) = host.attack();
    // A service that makes a ring first can't: its refusal, or its end, is another.
    let pid = Pid::from_raw(host.service.pid().cast_signed());
    prlimit(pid, Resource::Fsize, Rlimit { current: Some(0), maximum: None }).expect("a limit");
    for buffer in [16 << 20, 4096, 0] {
        let (ring, doorbell) = (Region::new(4096, &control_line(4096)), Doorbell::new());
        let request =
            Request { iref, digest: VICTIM.digest(), buffer, driver: "ump", words: OFFER.to_vec() };
        let fds = [ring.fd.as_fd(), doorbell.sender.as_fd(), doorbell.log.fd.as_fd()];
        link.request(&request, &fds).expect("the link is up");
        assert_eq!(link.answer(PATIENCE).refused(), "SERVICE");
    }
}

fn still_binds(link: &mut Link, iref: u64) -> bool {
    link.bind_lmp(iref, VICTIM.digest()).is_ok()
}
