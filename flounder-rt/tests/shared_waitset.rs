//! The waitset that several threads serve.

mod waitset_support;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use flounder_rt::waitset::{ChannelState, EventError, Interest, SharedEvent};
use flounder_rt::{DispatchError, Outcome, SharedWaitset};
use waitset_support::{LIMIT, cpu_time, rules_of_each_waitset, within};

type Log = Arc<Mutex<Vec<u64>>>;

fn note(log: &Log, value: u64) -> impl FnOnce(&SharedWaitset) -> Outcome + Send + 'static {
    let log = Arc::clone(log);
    move |_| {
        log.lock().expect("nobody panics with it").push(value);
        Ok(())
    }
}

fn seen(log: &Log) -> Vec<u64> {
    core::mem::take(&mut log.lock().expect("nobody panics with it"))
}

rules_of_each_waitset!(SharedWaitset, SharedEvent);

/// Threads that dispatch until they are dismissed.
struct Dispatchers {
    ws: SharedWaitset,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<Duration>>,
}

impl Dispatchers {
    /// All of them are about to dispatch, or do already.
    fn new(ws: &SharedWaitset, count: usize) -> Self {
        let (stop, ready) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(count + 1)));
        let threads = (0..count)
            .map(|_| {
                let (ws, stop, ready) = (ws.clone(), Arc::clone(&stop), Arc::clone(&ready));
                thread::spawn(move || {
                    ready.wait();
                    let done = || stop.load(Ordering::Relaxed);
                    assert!(ws.dispatch_until(None, done).expect("no callback fails"));
                    cpu_time()
                })
            })
            .collect();
        ready.wait();
        Self { ws: ws.clone(), stop, threads }
    }

    /// Ends the threads. Returns the processor time of each.
    fn dismiss(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.ws.wake_all();
        self.threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    }
}

#[test]
fn it_can_be_shared_and_sent() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<SharedWaitset>();
    shared::<SharedEvent>();
}

#[test]
fn a_hundred_thousand_events_are_each_delivered_once() {
    const EVENTS: usize = 100_000;
    within(LIMIT, || {
        let ws = SharedWaitset::new();
        let threads = Dispatchers::new(&ws, 4);
        let counts: Arc<Vec<AtomicUsize>> =
            Arc::new((0..EVENTS).map(|_| AtomicUsize::new(0)).collect());
        let (done, finished) = mpsc::channel::<()>();
        let left = Arc::new(AtomicUsize::new(EVENTS));
        // Two threads outside post half each, so that giving and taking overlap in every way.
        let posters: Vec<_> = (0..2)
            .map(|half| {
                let (ws, counts) = (ws.clone(), Arc::clone(&counts));
                let (left, done) = (Arc::clone(&left), done.clone());
                thread::spawn(move || {
                    for n in (half..EVENTS).step_by(2) {
                        let (counts, left) = (Arc::clone(&counts), Arc::clone(&left));
                        let done = done.clone();
                        ws.post(move |_| {
                            counts[n].fetch_add(1, Ordering::Relaxed);
                            if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                                done.send(())?;
                            }
                            Ok(())
                        });
                    }
                })
            })
            .collect();
        posters.into_iter().for_each(|poster| poster.join().expect("it does not panic"));
        finished.recv().expect("the last event tells");
        threads.dismiss();
        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    });
}

#[test]
fn no_post_is_missed_by_threads_that_block() {
    within(LIMIT, || {
        let ws = SharedWaitset::new();
        for threads in [1, 2, 4] {
            let threads = Dispatchers::new(&ws, threads);
            let (ack, acked) = mpsc::channel::<usize>();
            for n in 0..5000 {
                let ack = ack.clone();
                ws.post(move |_| {
                    ack.send(n)?;
                    Ok(())
                });
                assert_eq!(acked.recv().expect("one of them runs it"), n);
            }
            threads.dismiss();
        }
    });
}

#[test]
fn threads_that_wait_all_get_events() {
    within(LIMIT, || {
        let ws = SharedWaitset::new();
        let threads = Dispatchers::new(&ws, 4);
        // Each event holds its thread until all four are held.
        let meeting = Arc::new(Barrier::new(5));
        for _ in 0..200 {
            for _ in 0..4 {
                let meeting = Arc::clone(&meeting);
                ws.post(move |_| {
                    meeting.wait();
                    Ok(())
                });
            }
            meeting.wait();
        }
        threads.dismiss();
    });
}

#[test]
fn long_handler_stops_no_post_timer_or_descriptor() {
    within(LIMIT, || {
        let ws = SharedWaitset::new();
        let threads = Dispatchers::new(&ws, 2);
        for _ in 0..200 {
            let (hold, held) = mpsc::channel::<()>();
            let (entered, inside) = mpsc::channel::<()>();
            // The thread that blocks in the kernel, or waits behind it, is the one that is held.
            ws.post(move |_| {
                entered.send(())?;
                // It ends when the test drops the other side.
                let _ = held.recv();
                Ok(())
            });
            inside.recv().expect("one thread takes it");
            let (ack, acked) = mpsc::channel::<u32>();
            let tell = |value: u32| {
                let ack = ack.clone();
                move |_: &SharedWaitset| {
                    ack.send(value)?;
                    Ok(())
                }
            };
            ws.post(tell(1));
            assert_eq!(acked.recv(), Ok(1));
            ws.after(Duration::from_micros(100), tell(2));
            assert_eq!(acked.recv(), Ok(2));
            let (mut near, far) = UnixStream::pair().expect("a socket pair");
            let fired = tell(3);
            ws.when(far, Interest::Readable, move |ws, _| fired(ws)).expect("it can be watched");
            near.write_all(b"x").expect("it has room");
            assert_eq!(acked.recv(), Ok(3));
            drop(hold);
        }
        threads.dismiss();
    });
}

#[test]
fn blocked_threads_use_no_processor() {
    within(LIMIT, || {
        let ws = SharedWaitset::new();
        let threads = Dispatchers::new(&ws, 4);
        thread::sleep(Duration::from_millis(300));
        for used in threads.dismiss() {
            assert!(used < Duration::from_millis(5), "{used:?}");
        }
    });
}

#[test]
fn an_earlier_timer_shortens_a_wait_that_is_under_way() {
    within(LIMIT, || {
        let ws = SharedWaitset::new();
        let late = ws.after(Duration::from_secs(3600), |_| Err("too late".into()));
        let threads = Dispatchers::new(&ws, 2);
        for _ in 0..200 {
            let (ack, acked) = mpsc::channel::<()>();
            ws.after(Duration::from_millis(1), move |_| {
                ack.send(())?;
                Ok(())
            });
            acked.recv().expect("the timer fires");
        }
        assert!(late.cancel());
        threads.dismiss();
    });
}

#[test]
fn timers_fire_in_their_order_unless_cancelled() {
    within(LIMIT, || {
        let (ws, log) = (SharedWaitset::new(), Log::default());
        ws.after(Duration::from_millis(20), note(&log, 2));
        ws.after(Duration::from_millis(10), note(&log, 1));
        let never = ws.after(Duration::from_millis(15), note(&log, 9));
        assert!(never.cancel());
        let started = Instant::now();
        (0..2).for_each(|_| ws.dispatch().expect("no callback fails"));
        assert!(started.elapsed() >= Duration::from_millis(20));
        assert_eq!(seen(&log), [1, 2]);
        let fired = ws.after(Duration::ZERO, note(&log, 3));
        ws.dispatch().expect("no callback fails");
        assert!(!fired.cancel());
    });
}

#[test]
fn a_flood_starves_neither_timers_nor_descriptors() {
    let (ws, log) = (SharedWaitset::new(), Log::default());
    fn flood(ws: &SharedWaitset) -> Outcome {
        ws.post(flood);
        Ok(())
    }
    let (mut near, far) = UnixStream::pair().expect("a socket pair");
    let fired = note(&log, 2);
    ws.when(far, Interest::Readable, move |ws, _| fired(ws)).expect("it can be watched");
    near.write_all(b"x").expect("it has room");
    ws.after(Duration::ZERO, note(&log, 1));
    ws.post(flood);
    (0..400).for_each(|_| ws.dispatch().expect("no callback fails"));
    let mut all = seen(&log);
    all.sort_unstable();
    assert_eq!(all, [1, 2]);
}

#[test]
fn deadlines_end_the_poll_and_the_wait_in_line() {
    within(LIMIT, || {
        let ws = SharedWaitset::new();
        let threads: Vec<_> = (1..=4)
            .map(|n| {
                let ws = ws.clone();
                thread::spawn(move || {
                    let started = Instant::now();
                    let wait = Duration::from_millis(10 * n);
                    let done = ws.dispatch_until(Some(started + wait), || false);
                    assert!(!done.expect("no callback fails"));
                    assert!(started.elapsed() >= wait);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
        // Nobody who left has taken the poll along.
        ws.after(Duration::from_millis(1), |_| Ok(()));
        ws.dispatch().expect("no callback fails");
    });
}

#[test]
fn deadlines_that_pass_in_a_storm_of_posts_lose_nothing() {
    within(LIMIT, || {
        let ws = SharedWaitset::new();
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (ws, stop) = (ws.clone(), Arc::clone(&stop));
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let soon = Instant::now() + Duration::from_micros(50);
                        ws.dispatch_until(Some(soon), || false).expect("no callback fails");
                    }
                })
            })
            .collect();
        let (done, finished) = mpsc::channel::<()>();
        for _ in 0..20_000 {
            let (count, done) = (Arc::clone(&count), done.clone());
            ws.post(move |_| {
                if count.fetch_add(1, Ordering::AcqRel) + 1 == 20_000 {
                    done.send(())?;
                }
                Ok(())
            });
        }
        finished.recv().expect("the last event tells");
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
        assert_eq!(drain(&ws), 0);
    });
}

#[test]
fn an_event_goes_through_its_states() {
    let (ws, log) = (SharedWaitset::new(), Log::default());
    let event = SharedEvent::new();
    assert_eq!(event.state(), ChannelState::Unregistered);
    assert_eq!(event.trigger(), Err(EventError::NotRegistered));
    assert_eq!(event.deregister(), Err(EventError::NotRegistered));

    event.register(&ws, note(&log, 1)).expect("it is free");
    assert_eq!(event.state(), ChannelState::Idle);
    assert_eq!(event.register(&ws, |_| Ok(())), Err(EventError::AlreadyRegistered));
    event.deregister().expect("idle");

    event.register(&ws, note(&log, 2)).expect("it is free");
    event.trigger().expect("it is registered");
    event.trigger().expect("a second trigger changes nothing");
    assert_eq!(event.state(), ChannelState::Pending);
    event.deregister().expect("pending");
    assert_eq!(drain(&ws), 0, "no event, not even an empty one");

    // The delivery of an earlier registration is not one of a later one.
    event.register(&ws, note(&log, 3)).expect("it is free");
    assert_eq!(event.state(), ChannelState::Idle);
    assert_eq!(drain(&ws), 0);

    let (inner, again) = (event.clone(), note(&log, 5));
    event.deregister().expect("idle");
    let run = move |ws: &SharedWaitset| {
        assert_eq!(inner.state(), ChannelState::Unregistered);
        inner.register(ws, again)?;
        inner.trigger()?;
        Ok(())
    };
    event.register(&ws, run).expect("it is free");
    event.trigger().expect("it is registered");
    assert_eq!(drain(&ws), 2);
    assert_eq!(seen(&log), [5]);

    event.register(&ws, note(&log, 6)).expect("it is free");
    drop(ws);
    assert_eq!(event.state(), ChannelState::Unregistered);
    assert_eq!(event.trigger(), Err(EventError::NotRegistered));
}

#[test]
fn triggers_from_many_threads_deliver_a_registration_once() {
    within(LIMIT, || {
        let ws = SharedWaitset::new();
        let threads = Dispatchers::new(&ws, 2);
        let event = SharedEvent::new();
        for _ in 0..500 {
            let (ack, acked) = mpsc::channel::<()>();
            let run = move |_: &SharedWaitset| {
                ack.send(())?;
                Ok(())
            };
            event.register(&ws, run).expect("it is free");
            thread::scope(|scope| {
                for _ in 0..3 {
                    // One that comes after the delivery finds nothing registered.
                    scope.spawn(|| {
                        let _ = event.trigger();
                    });
                }
            });
            acked.recv().expect("it is delivered");
            assert!(acked.recv().is_err(), "once");
        }
        threads.dismiss();
    });
}

#[test]
fn errors_and_panics_affect_no_others() {
    within(LIMIT, || {
        let (ws, log) = (SharedWaitset::new(), Log::default());
        ws.post(|_| Err("no".into()));
        ws.post(|_| panic!("on purpose"));
        ws.post(note(&log, 1));
        match ws.dispatch() {
            Err(DispatchError::Callback(error)) => assert_eq!(error.to_string(), "no"),
            other => panic!("{other:?}"),
        }
        let theirs = ws.clone();
        let unwound = thread::spawn(move || theirs.dispatch()).join();
        assert!(unwound.is_err());
        ws.dispatch().expect("the third is fine");
        assert_eq!(seen(&log), [1]);
        ws.after(Duration::from_millis(1), note(&log, 2));
        ws.dispatch().expect("it still blocks and wakes");
        assert_eq!(seen(&log), [2]);
    });
}
