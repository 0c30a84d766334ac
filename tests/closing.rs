//! A peer that sends descriptors whose close blocks harms nobody but itself.

mod support;

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use flounder::Iref;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use support::process::stuck;
use support::raw_monitor::{RawMonitor, connect};
use support::{DRIVERS, TIMEOUT, TestProcess, TestSystem};

/// Sockets that one peer sends: more than there are threads that close.
const MANY: u32 = 6;

/// Number of the system call `close`.
const CLOSE: &str = if cfg!(target_arch = "x86_64") { "3" } else { "57" };

#[test]
fn test_process() {
    support::process::run();
}

/// Whether a thread of the process is in `close(2)`.
fn closes(process: &TestProcess) -> bool {
    let tasks = Path::new("/proc").join(process.pid().to_string()).join("task");
    let tasks = std::fs::read_dir(tasks).expect("the process lives");
    let mut calls =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("syscall")).ok());
    calls.any(|call| call.split(' ').next() == Some(CLOSE))
}

fn until_it_closes(process: &TestProcess) {
    let deadline = Instant::now() + TIMEOUT;
    while !closes(process) {
        assert!(
            Instant::now() < deadline,
            "no close of the process blocks: the test tests nothing"
        );
        std::thread::yield_now();
    }
}

#[test]
fn dropped_capabilities_that_block_hold_nobody_up() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client, mut hostile) =
            (system.spawn(), system.spawn(), system.spawn());
        server.must("export echo");
        client.must(&format!("bind {driver} echo"));
        let before = server.descriptors();
        hostile.must(&format!("bind {driver} echo"));
        hostile.must(&format!("stick {MANY}"));
        server.event("dropped");
        until_it_closes(&server);
        assert_eq!(client.ask("talk 100"), "ok", "{driver}");
        // The monitors of both go on as well, and the root, which is one of them.
        client.must("list");
        client.must(&format!("bind {driver} echo"));
        client.must("unbind");
        hostile.kill();
        client.must(&format!("bind {driver} echo"));
        assert_eq!(client.ask("talk 100"), "ok", "{driver}: after the end of the hostile peer");
        client.must("unbind");
        server.settle_at(before);
    }
}

#[test]
fn capabilities_that_nothing_announced_hold_no_monitor_up() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    let bits = server.must("export echo");
    client.must("bind ump echo");
    let iref = Iref::from_bits(bits.parse().expect("a number")).expect("not zero");
    let raw_monitor = RawMonitor::join(&system, 77);
    let link = raw_monitor.link(iref);
    let (socket, _reader) = stuck();
    link.binding.tx_cap(socket).expect("it can be sent");
    link.end();
    client.must("list");
    client.must("bind ump echo");
    assert_eq!(client.ask("talk 100"), "ok");
}

#[test]
fn root_takes_no_descriptors_before_hello_or_after() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.must("list");
    let socket = connect(&system);
    let (stuck, reader) = stuck();
    let fds = [stuck.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)), "there is room for one");
    match sendmsg(&socket, &[IoSlice::new(&[0; 16])], &mut control, SendFlags::NOSIGNAL) {
        Err(Errno::PERM) => {}
        sent => {
            println!("skipped: the kernel has no SO_PASSRIGHTS, and sends descriptors: {sent:?}")
        }
    }
    // Without its other end it does not linger.
    drop(reader);
    drop((stuck, socket));
    let mut other = system.spawn();
    other.must("list");
}
