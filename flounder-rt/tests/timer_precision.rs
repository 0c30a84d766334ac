//! Timers and deadlines are as precise as the kernel's. Alone in its process: what one thread is refused changes the waits of
//! all.

mod waitset_support;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flounder_conformance::seccomp;
use flounder_rt::{SharedWaitset, Waitset};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use waitset_support::within;

/// Shorter than a millisecond, to which coarse waits round.
const DELAY: Duration = Duration::from_micros(200);
const ROUNDS: usize = 101;

/// As the kernel waits.
fn by_ppoll() {
    let delay = Timespec { tv_sec: 0, tv_nsec: i64::from(DELAY.subsec_nanos()) };
    poll(&mut [], Some(&delay)).expect("it can wait");
}

/// Sets a timer; returns whether it has fired.
fn set_timer(ws: &Waitset) -> Rc<Cell<bool>> {
    let fired = Rc::new(Cell::new(false));
    let theirs = Rc::clone(&fired);
    ws.after(DELAY, move |_| {
        theirs.set(true);
        Ok(())
    });
    fired
}

fn by_timer(ws: &Waitset) {
    let fired = set_timer(ws);
    while !fired.get() {
        ws.dispatch().expect("no callback fails");
    }
}

fn by_deadline(ws: &Waitset) {
    let until = ws.dispatch_until(Some(Instant::now() + DELAY), || false);
    assert!(!until.expect("no callback fails"));
}

fn by_outer_loop(ws: &Waitset) {
    let fired = set_timer(ws);
    while !fired.get() {
        if ws.prepare_wait().expect("there are descriptors") {
            poll(&mut [PollFd::new(ws, PollFlags::IN)], None).expect("it can be polled");
        }
        while ws.try_dispatch().expect("no callback fails") {}
    }
}

fn by_shared_timer(ws: &SharedWaitset) {
    let fired = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&fired);
    ws.after(DELAY, move |_| {
        theirs.store(true, Ordering::Relaxed);
        Ok(())
    });
    while !fired.load(Ordering::Relaxed) {
        ws.dispatch().expect("no callback fails");
    }
}

/// How late it ends, of something that is to take [`DELAY`]; never early.
fn lateness(wait: impl FnOnce()) -> Duration {
    let began = Instant::now();
    wait();
    began.elapsed().checked_sub(DELAY).expect("nothing is early")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn compare_with_the_kernel(what: &str) {
    let (ws, shared) = (Waitset::new(), SharedWaitset::new());
    let ways: [(&str, &dyn Fn()); 4] = [
        ("a timer", &|| by_timer(&ws)),
        ("a deadline", &|| by_deadline(&ws)),
        ("a timer of a shared waitset", &|| by_shared_timer(&shared)),
        ("a timer in an outer loop", &|| by_outer_loop(&ws)),
    ];
    for (way, wait) in ways {
        // In turns, so that what else the machine does is the same for both.
        let pairs = (0..ROUNDS).map(|_| (lateness(by_ppoll), lateness(wait)));
        let (kernel, ours): (Vec<_>, Vec<_>) = pairs.unzip();
        let (kernel, ours) = (median(kernel), median(ours));
        assert!(
            ours < 2 * kernel + Duration::from_micros(300),
            "{way}, {what}: {ours:?} late, the kernel {kernel:?}"
        );
    }
}

#[test]
fn timers_are_as_precise_as_ppoll() {
    within(Duration::from_secs(60), || {
        compare_with_the_kernel("with epoll_pwait2");
        seccomp::refuse(&[libc::SYS_epoll_pwait2], libc::ENOSYS);
        compare_with_the_kernel("without epoll_pwait2");
    });
}
