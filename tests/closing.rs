//! A peer may send descriptors whose close blocks: only the peer itself is held up.

use flounder::Cap;
use flounder_conformance::LingeringSocket;
use flounder_test_support as support;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use support::mute_files::MuteFiles;
use support::protocol::{Driver, Event};
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

/// Returns true if a thread of the process is in `close(2)`.
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
fn dropped_capabilities_that_block_delay_no_others() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let (mut server, mut client, mut hostile) =
            (system.spawn(), system.spawn(), system.spawn());
        server.export("echo");
        client.bind(driver, "echo");
        let before = server.descriptors();
        hostile.bind(driver, "echo");
        hostile.give_lingering_sockets(MANY);
        server.wait_for(&Event::CapsDropped);
        until_it_closes(&server);
        client.talk(100);
        // The monitors of both go on as well, and the root, which is one of them.
        client.join();
        client.bind(driver, "echo");
        client.unbind();
        hostile.kill();
        client.bind(driver, "echo");
        client.talk(100);
        client.unbind();
        server.settle_at(before);
    }
}

#[test]
fn files_of_a_mute_file_system_delay_no_others() {
    for driver in DRIVERS {
        let system = TestSystem::new();
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let (mut server, mut client, mut hostile) =
            (system.spawn(), system.spawn(), system.spawn());
        // Dropped before the processes, which could not end while they close.
        let Some(files) = MuteFiles::mount(dir.path()) else { return };
        server.export("echo");
        client.bind(driver, "echo");
        let before = server.descriptors();
        hostile.bind(driver, "echo");
        hostile.give_files(MANY, files.path());
        server.wait_for(&Event::CapsDropped);
        until_it_closes(&server);
        client.talk(100);
        client.join();
        client.bind(driver, "echo");
        client.talk(100);
        client.unbind();
        drop(files);
        hostile.kill();
        server.settle_at(before);
    }
}

#[test]
fn unannounced_capabilities_hold_up_no_monitor() {
    let system = TestSystem::new();
    let (mut server, mut client) = (system.spawn(), system.spawn());
    let iref = server.export("echo").iref();
    client.bind(Driver::Ump, "echo");
    let raw_monitor = RawMonitor::join(&system, 77);
    let link = raw_monitor.link(iref);
    let (socket, _reader) = LingeringSocket::new();
    link.binding.tx_cap(Cap::from(socket)).expect("it can be sent");
    link.end();
    client.join();
    client.bind(Driver::Ump, "echo");
    client.talk(100);
}

#[test]
fn root_takes_no_descriptors_before_hello_or_after() {
    let system = TestSystem::new();
    let mut root = system.spawn();
    root.join();
    let socket = connect(&system);
    let (lingering, reader) = LingeringSocket::new();
    let fds = [lingering.as_fd()];
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
    drop((lingering, socket));
    let mut other = system.spawn();
    other.join();
}
