//! Every interleaving of how other threads wait for a shared binding, in the shipped source: one that blocks until a future
//! is ready (`park.rs`), and the alarms of those that await one and have a deadline (`alarm.rs`).

mod loom_support;

use loom_support::sync;

#[path = "../src/binding/shared/alarm.rs"]
mod alarm;
#[allow(dead_code, reason = "the models of `loom_job_queue.rs` use all of it")]
#[path = "../src/binding/shared/job_queue.rs"]
mod job_queue;
#[path = "../src/binding/shared/park.rs"]
mod park;
#[allow(dead_code, reason = "the models of `loom_job_queue.rs` use all of it")]
#[path = "../src/binding/shared/slot.rs"]
mod slot;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Wake, Waker};

use alarm::{Alarm, Alarms};
use job_queue::Notify;
use loom::thread;
use loom_support::{Bell, model};
use slot::Slot;

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// Ready with the result of a call.
fn result(slot: &Slot<u32>) -> impl Future<Output = Option<u32>> + '_ {
    poll_fn(|cx| if slot.listen(cx.waker()) { Poll::Ready(slot.take()) } else { Poll::Pending })
}

fn block_on<F: Future>(future: F) -> F::Output {
    park::block_on(future, None).expect("there is no deadline")
}

#[test]
fn a_thread_that_blocks_is_woken() {
    model(None, || {
        let slot = Arc::new(Slot::default());
        let server = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.settle(42))
        };
        assert_eq!(block_on(result(&slot)), Some(42));
        server.join().expect("it does not panic");
    });
}

/// The word that the first is ready may come when the thread waits for the second.
#[test]
fn late_wake_up_does_not_wake_another_future() {
    model(Some(3), || {
        let slots = Arc::new([Slot::default(), Slot::default()]);
        for n in 0..2 {
            let slots = Arc::clone(&slots);
            thread::spawn(move || slots[n].settle(n as u32));
        }
        for (n, slot) in slots.iter().enumerate() {
            assert_eq!(block_on(result(slot)), Some(n as u32));
        }
    });
}

#[test]
fn a_future_may_block_its_thread() {
    model(Some(3), || {
        let slots = Arc::new([Slot::default(), Slot::default()]);
        for n in 0..2 {
            let slots = Arc::clone(&slots);
            thread::spawn(move || slots[n].settle(n as u32));
        }
        let both = async {
            let outer = result(&slots[0]).await;
            (outer, block_on(result(&slots[1])))
        };
        assert_eq!(block_on(both), (Some(0), Some(1)));
    });
}

/// A time that never comes.
const FAR: u32 = 1000;

/// The thread with the timers, and what it sleeps on.
struct Clock {
    alarms: Alarms<u32>,
    bell: Bell,
}

impl Clock {
    fn set(&self, alarm: &mut Alarm, at: u32, waker: &Waker) {
        if self.alarms.set(alarm, at, waker) == Notify::Yes {
            self.bell.ring();
        }
    }

    /// Watches the clock until so many have been woken. Time passes when it knows when to look; otherwise it sleeps, for ever if
    /// it was not notified of an alarm.
    fn serve(&self, late: &Late, count: u32) {
        let (mut now, mut next) = (0, FAR);
        while late.0.load(Relaxed) < count {
            if !self.alarms.take_new() {
                if next == FAR {
                    self.bell.wait();
                    continue;
                }
                now = next;
            }
            next = self.alarms.look(now).unwrap_or(FAR);
        }
    }
}

/// Counts those that are woken, which the server does.
#[derive(Default)]
struct Late(AtomicU32);

impl Wake for Late {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// One thread for each list of times, at which it has itself woken, one after the other in one alarm.
fn alarms(threads: &'static [&'static [u32]], count: u32) {
    model(Some(3), move || {
        let clock = Arc::new(Clock { alarms: Alarms::new(), bell: Bell::default() });
        let late = Arc::new(Late::default());
        let threads: Vec<_> = threads
            .iter()
            .map(|times| {
                let (clock, waker) = (Arc::clone(&clock), Waker::from(Arc::clone(&late)));
                thread::spawn(move || {
                    let mut alarm = Alarm::default();
                    times.iter().for_each(|at| clock.set(&mut alarm, *at, &waker));
                    if times.ends_with(&[FAR]) {
                        clock.alarms.clear(&mut alarm);
                    }
                })
            })
            .collect();
        clock.serve(&late, count);
        threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
        assert_eq!(clock.alarms.look(FAR), None);
        assert_eq!(late.0.load(Relaxed), count, "those that were taken back wake nobody");
    });
}

#[test]
fn server_is_notified_of_every_alarm() {
    alarms(&[&[1]], 1);
    alarms(&[&[1], &[2]], 2);
    alarms(&[&[1], &[1]], 2);
}

#[test]
fn earlier_alarm_wakes_the_server() {
    alarms(&[&[FAR], &[1]], 1);
    alarms(&[&[FAR, FAR], &[2]], 1);
}
