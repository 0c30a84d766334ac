//! A waitset inside of an outer event loop: its descriptor is readable unless there is nothing to do.

mod waitset_support;

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flounder_rt::Waitset;
use flounder_rt::waitset::{EventChannel, Interest, Watched};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use waitset_support::{LIMIT, within};

/// Longer than anything takes that happens, shorter than a test may take that waits for nothing to happen.
const MOMENT: Duration = Duration::from_millis(30);

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).expect("it is short"),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}

fn becomes_readable(ws: &Waitset, within: Duration) -> bool {
    poll(&mut [PollFd::new(ws, PollFlags::IN)], Some(&timespec(within))).expect("it can be polled")
        > 0
}

fn is_readable(ws: &Waitset) -> bool {
    becomes_readable(ws, Duration::ZERO)
}

/// As a loop does until it may wait.
fn come_to_rest(ws: &Waitset) -> usize {
    let mut events = 0;
    loop {
        while ws.try_dispatch().expect("no callback fails") {
            events += 1;
        }
        if ws.prepare_wait().expect("there are descriptors") {
            return events;
        }
        assert!(events < 1_000_000, "it does not come to rest");
    }
}

/// Waits as an outer loop does, and dispatches; fails if there was nothing to wake up for.
#[track_caller]
fn wait(ws: &Waitset) -> usize {
    assert!(becomes_readable(ws, LIMIT), "the outer loop is not woken");
    let events = come_to_rest(ws);
    assert!(!is_readable(ws), "it is at rest");
    events
}

#[test]
fn it_is_readable_until_it_was_prepared_to_wait() {
    let ws = Waitset::new();
    assert!(is_readable(&ws));
    assert!(!ws.try_dispatch().expect("no callback fails"));
    assert!(is_readable(&ws), "whoever forgets to prepare spins");
    assert!(ws.prepare_wait().expect("there are descriptors"));
    assert!(!is_readable(&ws));
    assert!(ws.prepare_wait().expect("there are descriptors"), "twice is as good as once");
    assert!(!becomes_readable(&ws, MOMENT), "at rest it stays so");
    assert!(!ws.try_dispatch().expect("no callback fails"));
    assert!(is_readable(&ws), "whoever looks has to prepare again");
}

#[test]
fn what_is_pending_may_not_be_waited_for() {
    let ws = Waitset::new();
    come_to_rest(&ws);
    ws.post(|_| Ok(()));
    assert!(!ws.prepare_wait().expect("there are descriptors"));
    assert!(is_readable(&ws));
    assert_eq!(wait(&ws), 1);

    let remote = ws.remote();
    remote.post(|_| Ok(()));
    assert!(!ws.prepare_wait().expect("there are descriptors"));
    assert_eq!(wait(&ws), 1);

    ws.after(Duration::ZERO, |_| Ok(()));
    assert!(!ws.prepare_wait().expect("there are descriptors"));
    assert_eq!(wait(&ws), 1);
}

/// One thing after the other happens while the loop waits, from this very thread, as another task of it does.
#[test]
fn whatever_this_thread_does_meanwhile_is_seen() {
    let ws = Waitset::new();
    let hits = Rc::new(Cell::new(0));
    let hit = || {
        let hits = Rc::clone(&hits);
        move |_: &Waitset| {
            hits.set(hits.get() + 1);
            Ok(())
        }
    };
    come_to_rest(&ws);

    ws.post(hit());
    assert_eq!(wait(&ws), 1, "a task");

    ws.after(Duration::from_millis(1), hit());
    come_to_rest(&ws);
    assert_eq!(wait(&ws), 1, "a timer");

    // One that is set while nothing wakes the loop.
    ws.after(Duration::from_millis(1), hit());
    let events = wait(&ws);
    assert_eq!(if events == 0 { wait(&ws) } else { events }, 1, "a timer set meanwhile");

    let channel = EventChannel::new();
    channel.register(&ws, hit()).expect("it is free");
    come_to_rest(&ws);
    channel.trigger().expect("it is registered");
    assert_eq!(wait(&ws), 1, "an event");

    let (mut near, far) = UnixStream::pair().expect("a socket pair");
    let fired = hit();
    ws.when(far, Interest::Readable, move |ws, _| fired(ws)).expect("it can be watched");
    come_to_rest(&ws);
    near.write_all(b"x").expect("it has room");
    assert_eq!(wait(&ws), 1, "a descriptor");

    let (mut near, far) = UnixStream::pair().expect("a socket pair");
    near.write_all(b"x").expect("it has room");
    let fired = hit();
    ws.when(far, Interest::Readable, move |ws, _| fired(ws)).expect("it can be watched");
    assert_eq!(wait(&ws), 1, "one that is readable already");

    let fired = hit();
    let theirs = ws.clone();
    ws.spawn_local(async move { fired(&theirs).expect("it does not fail") }).detach();
    assert_eq!(wait(&ws), 1, "a future");

    ws.remote().post({
        let hits = Arc::new(AtomicUsize::new(0));
        move |_| {
            hits.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    });
    assert_eq!(wait(&ws), 1, "a task through the handle for other threads");
    assert_eq!(hits.get(), 7);
}

#[test]
fn dispatch_by_another_caller_leaves_nothing_behind() {
    let ws = Waitset::new();
    come_to_rest(&ws);
    // A blocking wait in another task of the loop: what it does not run is pending when it is over.
    let done = Rc::new(Cell::new(false));
    let theirs = Rc::clone(&done);
    ws.post(move |_| {
        theirs.set(true);
        Ok(())
    });
    ws.post(|_| Ok(()));
    assert!(ws.dispatch_until(None, || done.get()).expect("no callback fails"));
    assert_eq!(wait(&ws), 1);

    // One that ends with nothing left: the loop is woken, prepares anew, and others ring again.
    ws.after(Duration::from_millis(1), |_| Ok(()));
    ws.dispatch().expect("no callback fails");
    assert!(is_readable(&ws));
    assert_eq!(come_to_rest(&ws), 0);
    let remote = ws.remote();
    let thread = thread::spawn(move || remote.post(|_| Ok(())));
    assert_eq!(wait(&ws), 1);
    thread.join().expect("it does not panic");

    // An event that is taken out and kept blocks no other.
    ws.post(|_| Ok(()));
    let event = ws.check_for_event().expect("there are descriptors").expect("there is one");
    come_to_rest(&ws);
    event.run().expect("no callback fails");
}

#[test]
fn waitset_with_a_polled_event_never_rests() {
    let ws = Waitset::new();
    let asked = Rc::new(Cell::new(0));
    let theirs = Rc::clone(&asked);
    let channel = EventChannel::new();
    let poll = move || {
        theirs.set(theirs.get() + 1);
        theirs.get() > 100
    };
    come_to_rest(&ws);
    channel.register_polled(&ws, poll, |_| Ok(())).expect("it is free");
    assert!(is_readable(&ws), "there is something to poll");
    let mut rounds = 0;
    while !ws.try_dispatch().expect("no callback fails") {
        assert!(!ws.prepare_wait().expect("there are descriptors"));
        assert!(is_readable(&ws));
        rounds += 1;
        assert!(rounds < 1000);
    }
    assert_eq!(come_to_rest(&ws), 0);
}

#[test]
fn timers_wake_the_loop_in_their_order_and_at_their_time() {
    let ws = Waitset::new();
    let log = Rc::new(RefCell::new(Vec::new()));
    let begun = Instant::now();
    let set = |millis: u64| {
        let log = Rc::clone(&log);
        ws.after(Duration::from_millis(millis), move |_| {
            log.borrow_mut().push(millis);
            assert!(begun.elapsed() >= Duration::from_millis(millis), "it came too early");
            Ok(())
        })
    };
    let _ = (set(400), set(200));
    let cancelled = set(100);
    come_to_rest(&ws);
    assert!(cancelled.cancel());
    // Earlier than what the loop waits for.
    let _ = set(50);
    while log.borrow().len() < 3 {
        assert!(becomes_readable(&ws, LIMIT), "the timer does not wake the loop");
        come_to_rest(&ws);
    }
    assert_eq!(*log.borrow(), [50, 200, 400]);
    assert!(!becomes_readable(&ws, MOMENT), "a timer that has fired is over");
    // One that is farther away than the kernel takes.
    ws.after(Duration::MAX, |_| Ok(()));
    assert_eq!(come_to_rest(&ws), 0);
    assert!(!is_readable(&ws));
}

/// Another thread posts again and again, at any moment of the loop; each task is answered before the next comes, so that a
/// wake-up which is lost is never made good by a later one.
#[test]
fn no_wake_up_of_another_thread_is_lost() {
    within(LIMIT, || {
        for edge in [EventFlags::empty(), EventFlags::ET] {
            let ws = Waitset::new();
            let outer = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a descriptor");
            epoll::add(&outer, &ws, EventData::new_u64(0), EventFlags::IN | edge)
                .expect("it can be watched");
            let (remote, run) = (ws.remote(), Arc::new(AtomicUsize::new(0)));
            const ROUNDS: usize = 20_000;
            let theirs = Arc::clone(&run);
            let thread = thread::spawn(move || {
                for round in 0..ROUNDS {
                    let run = Arc::clone(&theirs);
                    remote.post(move |_| {
                        run.fetch_add(1, Ordering::Release);
                        Ok(())
                    });
                    while theirs.load(Ordering::Acquire) == round {
                        core::hint::spin_loop();
                    }
                    // Where in the loop the next one comes changes from round to round.
                    (0..round % 97).for_each(|_| core::hint::spin_loop());
                    if round % 16 == 0 {
                        thread::yield_now();
                    }
                }
            });
            let mut events = [const { std::mem::MaybeUninit::uninit() }; 4];
            while run.load(Ordering::Acquire) < ROUNDS {
                come_to_rest(&ws);
                if run.load(Ordering::Acquire) == ROUNDS {
                    break;
                }
                let limit = timespec(LIMIT);
                let (ready, _) =
                    epoll::wait(&outer, &mut events, Some(&limit)).expect("it can be waited for");
                let posted = run.load(Ordering::Acquire);
                assert!(!ready.is_empty(), "the wake-up after {posted} is lost ({edge:?})");
            }
            thread.join().expect("it does not panic");
        }
    });
}

/// A descriptor of a driver.
struct Listener {
    fd: std::os::fd::OwnedFd,
    fired: AtomicUsize,
    drains: AtomicBool,
}

impl Watched for Listener {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn fired(&self) {
        self.fired.fetch_add(1, Ordering::Relaxed);
        if self.drains.load(Ordering::Relaxed) {
            rustix::io::read(&self.fd, &mut [0_u8; 8]).expect("it is readable");
        }
    }
}

#[test]
fn descriptor_watched_by_a_driver_wakes_the_loop_each_time() {
    let ws = Waitset::new();
    let listener = Arc::new(Listener {
        fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("a descriptor"),
        fired: AtomicUsize::new(0),
        drains: AtomicBool::new(true),
    });
    ws.watch(&(Arc::clone(&listener) as Arc<dyn Watched>)).expect("it can be watched");
    come_to_rest(&ws);
    for round in 1..=100 {
        rustix::io::write(&listener.fd, &1_u64.to_ne_bytes()).expect("it has room");
        assert_eq!(wait(&ws), 0);
        assert_eq!(listener.fired.load(Ordering::Relaxed), round);
    }
    // One that leaves something for the next time keeps the loop awake until it does not.
    listener.drains.store(false, Ordering::Relaxed);
    rustix::io::write(&listener.fd, &1_u64.to_ne_bytes()).expect("it has room");
    for _ in 0..3 {
        assert!(is_readable(&ws));
        assert!(!ws.try_dispatch().expect("no callback fails"));
        assert!(!ws.prepare_wait().expect("there are descriptors"), "it is readable still");
    }
    listener.drains.store(true, Ordering::Relaxed);
    come_to_rest(&ws);
    assert!(!is_readable(&ws));
}

#[test]
fn more_events_than_one_epoll_wait_returns_are_all_fetched() {
    let ws = Waitset::new();
    let hits = Rc::new(Cell::new(0));
    let mut ends = Vec::new();
    for _ in 0..300 {
        let (near, far) = UnixStream::pair().expect("a socket pair");
        let hits = Rc::clone(&hits);
        ws.when(far, Interest::Readable, move |_, _| {
            hits.set(hits.get() + 1);
            Ok(())
        })
        .expect("it can be watched");
        ends.push(near);
    }
    come_to_rest(&ws);
    ends.iter_mut().for_each(|end| end.write_all(b"x").expect("it has room"));
    assert_eq!(wait(&ws), 300);
    assert_eq!(hits.get(), 300);
}

#[test]
fn descriptor_stays_the_same_and_closes_with_the_waitset() {
    let ws = Waitset::new();
    let before = ws.as_raw_fd();
    come_to_rest(&ws);
    assert_eq!(ws.as_raw_fd(), before);
    assert_eq!(ws.clone().as_fd().as_raw_fd(), before);
    let outer = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a descriptor");
    epoll::add(&outer, &ws, EventData::new_u64(0), EventFlags::IN).expect("it can be watched");
    ws.post(|_| Ok(()));
    drop(ws);
    let mut events = [const { std::mem::MaybeUninit::uninit() }; 4];
    let (ready, _) = epoll::wait(&outer, &mut events, Some(&timespec(Duration::ZERO)))
        .expect("it can be waited for");
    assert!(ready.is_empty(), "the outer loop hears of it no more");
}
