//! Closing descriptors whose close can block.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flounder_conformance::LingeringSocket;
use flounder_rt::Cap;
use flounder_rt::account::{Account, Limits, ProcessId, Resource, Scope, set_limits};
use flounder_rt::closer::{self, HANG, MAX_THREADS, MAX_WAITING, Origin};
use rustix::fs::{MemfdFlags, memfd_create};

/// Longest time for an operation that does not wait; a close that lingers takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Threads and limits are those of the process, and tests run beside each other.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    set_limits(Limits::default());
    turn
}

fn peer(inode: u64, uid: u32) -> (Origin, Arc<AtomicUsize>) {
    let account = Account::of(ProcessId { pid: Some(1), uid: Some(uid), inode });
    let cut = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&cut);
    let origin = Origin::new(account, move || {
        theirs.fetch_add(1, Ordering::Relaxed);
    });
    (origin, cut)
}

/// A pipe that shows when its other end is closed.
fn pipe() -> (std::io::PipeReader, OwnedFd) {
    let (reader, writer) = std::io::pipe().expect("there are descriptors to spare");
    (reader, writer.into())
}

fn is_closed(mut reader: std::io::PipeReader) -> bool {
    let ended = thread::spawn(move || reader.read(&mut [0]).is_ok_and(|read| read == 0));
    let deadline = Instant::now() + PATIENCE;
    while !ended.is_finished() && Instant::now() < deadline {
        thread::yield_now();
    }
    ended.is_finished() && ended.join().expect("it does not panic")
}

fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("it is there");
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "flounder-close").count()
}

fn settle() {
    assert!(closer::wait_until_closed(Instant::now() + PATIENCE), "everything gets closed");
}

#[test]
fn close_that_blocks_does_not_block_the_caller() {
    let _turn = alone();
    let (socket, stuck) = LingeringSocket::new();
    let (origin, _) = peer(1, 70_000);
    let before = Instant::now();
    drop(Cap::from_peer(socket, origin));
    assert!(before.elapsed() < PATIENCE, "the drop took {:?}", before.elapsed());
    assert!(!closer::wait_until_closed(Instant::now() + HANG), "it blocks somebody else");
    drop(stuck);
    settle();
}

#[test]
fn peer_that_hangs_does_not_hold_up_another() {
    let _turn = alone();
    let mut stuck = Vec::new();
    // Two of one user, and one of each of others.
    for (inode, uid) in [(11, 70_001), (12, 70_001), (13, 70_002)] {
        let (origin, _) = peer(inode, uid);
        for _ in 0..3 {
            let (socket, release) = LingeringSocket::new();
            closer::close(socket, origin.clone());
            stuck.push(release);
        }
    }
    let (reader, writer) = pipe();
    closer::close(writer, peer(14, 70_003).0);
    assert!(is_closed(reader), "the pipe of the honest peer is closed");
    assert!(threads() <= MAX_THREADS);
    drop(stuck);
    settle();
}

#[test]
fn user_that_hangs_leaves_a_thread_for_others() {
    let _turn = alone();
    let mut stuck = Vec::new();
    for inode in 21..21 + 2 * MAX_THREADS as u64 {
        let (socket, release) = LingeringSocket::new();
        closer::close(socket, peer(inode, 70_004).0);
        stuck.push(release);
    }
    let (reader, writer) = pipe();
    closer::close(writer, peer(31, 70_005).0);
    assert!(is_closed(reader), "the pipe of the other user is closed");
    assert_eq!(threads(), MAX_THREADS);
    drop(stuck);
    settle();
}

#[test]
fn peer_over_its_limit_is_cut_off_once() {
    let _turn = alone();
    set_limits(Limits::default().with(Resource::Closes, Scope::Process, 4));
    let (origin, cut) = peer(41, 70_006);
    let (socket, stuck) = LingeringSocket::new();
    closer::close(socket, origin.clone());
    assert!(!closer::wait_until_closed(Instant::now() + HANG), "it hangs");
    for waiting in 1..=8 {
        closer::close(pipe().1, origin.clone());
        let expected = usize::from(waiting > 4);
        assert_eq!(cut.load(Ordering::Relaxed), expected, "{waiting} wait");
        assert_eq!(origin.is_cut_off(), waiting > 4);
    }
    drop(stuck);
    settle();
}

#[test]
fn peer_with_a_long_queue_that_moves_is_not_cut_off() {
    let _turn = alone();
    set_limits(Limits::default().with(Resource::Closes, Scope::Process, 1));
    let (origin, cut) = peer(51, 70_007);
    for _ in 0..10 * MAX_WAITING {
        drop(Cap::from_peer(pipe().1, origin.clone()));
    }
    settle();
    assert_eq!(cut.load(Ordering::Relaxed), 0);
}

#[test]
fn full_queue_delays_the_caller_once_and_not_for_long() {
    let _turn = alone();
    let (origin, _) = peer(61, 70_008);
    let (socket, stuck) = LingeringSocket::new();
    closer::close(socket, origin.clone());
    let before = Instant::now();
    for _ in 0..2 * MAX_WAITING {
        closer::close(pipe().1, origin.clone());
    }
    assert!(before.elapsed() < PATIENCE, "it took {:?}", before.elapsed());
    drop(stuck);
    settle();
}

#[test]
fn files_in_memory_need_no_thread() {
    let _turn = alone();
    let (origin, _) = peer(71, 70_009);
    let deadline = Instant::now() + PATIENCE;
    while threads() > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(threads(), 0, "threads without work end");
    for _ in 0..1000 {
        let file = memfd_create("file", MemfdFlags::CLOEXEC).expect("there is memory");
        drop(Cap::from_peer(file, origin.clone()));
    }
    assert_eq!(threads(), 0);
}

#[test]
fn capability_of_the_program_itself_is_closed_at_once() {
    let (mut reader, writer) = pipe();
    drop(Cap::from(writer));
    let (mut read, flags) = ([0], rustix::fs::fcntl_getfl(&reader).expect("a pipe"));
    rustix::fs::fcntl_setfl(&reader, flags | rustix::fs::OFlags::NONBLOCK).expect("a pipe");
    assert_eq!(reader.read(&mut read).expect("the end, not EAGAIN"), 0);
}

#[test]
fn copies_and_parts_keep_their_origin() {
    let _turn = alone();
    let (origin, _) = peer(81, 70_010);
    let (socket, stuck) = LingeringSocket::new();
    let cap = Cap::from_peer(socket, origin.clone());
    let copy = cap.try_clone().expect("there are descriptors to spare");
    drop(cap);
    let before = Instant::now();
    drop(copy);
    // Taken apart it is the program's, until it is put together again.
    let (socket, other) = LingeringSocket::new();
    let fd = OwnedFd::from(Cap::from_peer(socket, origin.clone()));
    assert!(fd.as_fd().try_clone_to_owned().is_ok());
    drop(Cap::from_peer(fd, origin));
    assert!(before.elapsed() < PATIENCE);
    drop(stuck);
    drop(other);
    settle();
}
