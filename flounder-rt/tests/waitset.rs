//! The waitset of one thread, rule by rule.

#[path = "waitset_support/feed.rs"]
mod feed;
mod waitset_support;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use feed::{Fed, Feeds, INTERFACE};
use flounder_rt::binding::{Dispatch, RawBinding, Received};
use flounder_rt::notify::Notifier;
use flounder_rt::peer::Peer;
use flounder_rt::waitset::{ChannelState, EventChannel, EventError, Interest, Watched, Watcher};
use flounder_rt::wire::DecodeError;
use flounder_rt::{BindingError, DispatchError, Outcome, SharedWaitset, Waitset};
use waitset_support::{LIMIT, cpu_time, rules_of_each_waitset, within};

type Log = Rc<RefCell<Vec<u64>>>;

fn note(log: &Log, value: u64) -> impl FnOnce(&Waitset) -> Outcome + 'static {
    let log = Rc::clone(log);
    move |_| {
        log.borrow_mut().push(value);
        Ok(())
    }
}

fn seen(log: &Log) -> Vec<u64> {
    core::mem::take(&mut log.borrow_mut())
}

rules_of_each_waitset!(Waitset, EventChannel);

// ---- A binding whose messages come from the test, from any thread.

#[derive(Clone, Default)]
struct Feed(Arc<Mutex<Line>>, Notifier);

#[derive(Default)]
struct Line {
    messages: VecDeque<u64>,
    armed: bool,
    looks: usize,
}

impl Feed {
    fn put(&self, value: u64) {
        let armed = {
            let mut line = self.0.lock().expect("nobody panics with it");
            line.messages.push_back(value);
            line.armed
        };
        if armed {
            self.1.notify();
        }
    }

    fn is_armed(&self) -> bool {
        self.0.lock().expect("nobody panics with it").armed
    }

    fn looks(&self) -> usize {
        self.0.lock().expect("nobody panics with it").looks
    }

    fn forget_looks(&self) {
        self.0.lock().expect("nobody panics with it").looks = 0;
    }
}

impl Feeds for Feed {
    fn take(&self) -> Option<u64> {
        let mut line = self.0.lock().expect("nobody panics with it");
        line.looks += 1;
        line.messages.pop_front()
    }

    fn has_some(&self) -> bool {
        !self.0.lock().expect("nobody panics with it").messages.is_empty()
    }

    fn arm(&self, armed: bool) {
        self.0.lock().expect("nobody panics with it").armed = armed;
    }
}

struct Handler<F>(F);

impl<F: FnMut(u64)> Dispatch for Handler<F> {
    fn deliver(&mut self, _: &RawBinding, message: Received<'_>) -> Result<(), DecodeError> {
        (self.0)(message.words[0]);
        Ok(())
    }

    fn error(&mut self, _: &RawBinding, _: BindingError) {}
}

fn bind(ws: &Waitset, handler: impl FnMut(u64) + 'static) -> (Feed, RawBinding) {
    let feed = Feed::default();
    let (notifier, handler) = (feed.1.clone(), Box::new(Handler(handler)));
    let channel = Box::new(Fed(feed.clone()));
    let raw = RawBinding::attach_from(
        channel,
        ws,
        INTERFACE,
        handler,
        notifier,
        Peer::this_process(),
        None,
    )
    .expect("a polled channel needs no descriptor");
    (feed, raw)
}

fn logging(ws: &Waitset, log: &Log, base: u64) -> (Feed, RawBinding) {
    let log = Rc::clone(log);
    bind(ws, move |value| log.borrow_mut().push(base + value))
}

// ---- Order

#[test]
fn what_a_task_posts_comes_behind_what_is_pending() {
    let (ws, log) = (Waitset::new(), Log::default());
    let later = note(&log, 3);
    ws.post(|ws| {
        ws.post(later);
        Ok(())
    });
    ws.post(note(&log, 2));
    assert_eq!(drain(&ws), 3);
    assert_eq!(seen(&log), [2, 3]);
}

#[test]
fn polling_begins_behind_the_last_hit_and_stops_at_the_first() {
    let (ws, log) = (Waitset::new(), Log::default());
    let lines: Vec<_> = (0..4).map(|i| logging(&ws, &log, i * 100)).collect();
    drain(&ws);
    for (feed, _) in &lines {
        feed.put(1);
        feed.put(2);
    }
    lines.iter().for_each(|(feed, _)| feed.forget_looks());
    ws.dispatch().expect("no callback fails");
    let looks: usize = lines.iter().map(|(feed, _)| feed.looks()).sum();
    assert_eq!(looks, 1, "a dispatch stops at the first hit");
    while ws.try_dispatch().expect("no callback fails") {}
    let order = seen(&log);
    let (first, second) = order.split_at(4);
    let sources = |values: &[u64]| values.iter().map(|value| value / 100).collect::<Vec<_>>();
    assert_eq!(sources(first), sources(second), "each has a turn in each round: {order:?}");
    let mut all = sources(first);
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
}

#[test]
fn pending_flood_starves_no_polled_source_timer_or_descriptor() {
    let (ws, log) = (Waitset::new(), Log::default());
    fn flood(ws: &Waitset) -> Outcome {
        ws.post(flood);
        Ok(())
    }
    let (feed, _endpoint) = logging(&ws, &log, 0);
    let (mut near, far) = UnixStream::pair().expect("a socket pair");
    let fired = note(&log, 2);
    ws.when(far, Interest::Readable, move |ws, _| fired(ws)).expect("a socket can be watched");
    drain(&ws);
    ws.post(flood);
    feed.put(1);
    near.write_all(b"x").expect("it has room");
    ws.after(Duration::ZERO, note(&log, 3));
    let events = (0..400).find(|_| {
        ws.dispatch().expect("no callback fails");
        log.borrow().len() == 3
    });
    assert!(events.is_some(), "only {:?} came", log.borrow());
}

#[test]
fn a_flood_of_messages_does_not_starve_the_pending() {
    let ws = Waitset::new();
    let again: Rc<RefCell<Option<Feed>>> = Rc::default();
    let theirs = Rc::clone(&again);
    let (feed, _endpoint) = bind(&ws, move |value| {
        let feed = theirs.borrow();
        feed.as_ref().expect("it was put there").put(value);
    });
    *again.borrow_mut() = Some(feed.clone());
    feed.put(1);
    let log = Log::default();
    ws.post(note(&log, 7));
    (0..10).for_each(|_| ws.dispatch().expect("no callback fails"));
    assert_eq!(seen(&log), [7]);
}

#[test]
fn quiet_sources_are_armed_beside_a_busy_one_and_wake_again() {
    let (ws, log) = (Waitset::new(), Log::default());
    let lines: Vec<_> = (0..200).map(|i| logging(&ws, &log, i * 1_000_000)).collect();
    drain(&ws);
    for value in 0..20_000 {
        lines[0].0.put(value);
        ws.dispatch().expect("no callback fails");
    }
    assert_eq!(seen(&log), (0..20_000).collect::<Vec<_>>());
    assert!(lines[1..].iter().all(|(feed, _)| feed.is_armed()), "all others rest");
    lines.iter().for_each(|(feed, _)| feed.forget_looks());
    for value in 0..1000 {
        lines[0].0.put(value);
        ws.dispatch().expect("no callback fails");
    }
    let looks: usize = lines[1..].iter().map(|(feed, _)| feed.looks()).sum();
    assert_eq!(looks, 0, "those that rest are not looked at");
    seen(&log);
    lines[150].0.put(5);
    drain(&ws);
    assert_eq!(seen(&log), [150_000_005]);
    assert!(!lines[150].0.is_armed(), "one that was woken is polled again");
}

// ---- Event channels

#[test]
fn an_event_channel_goes_through_its_states() {
    let (ws, log) = (Waitset::new(), Log::default());
    let channel = EventChannel::new();
    assert_eq!(channel.state(), ChannelState::Unregistered);
    assert_eq!(channel.trigger(), Err(EventError::NotRegistered));
    assert_eq!(channel.deregister(), Err(EventError::NotRegistered));
    channel.migrate(&ws);
    assert_eq!(channel.state(), ChannelState::Unregistered);

    channel.register(&ws, note(&log, 1)).expect("it is free");
    assert_eq!(channel.state(), ChannelState::Idle);
    assert_eq!(channel.register(&ws, |_| Ok(())), Err(EventError::AlreadyRegistered));
    let polled = channel.register_polled(&ws, || true, |_| Ok(()));
    assert_eq!(polled, Err(EventError::AlreadyRegistered));
    assert_eq!(drain(&ws), 0, "an idle channel delivers nothing");

    channel.trigger().expect("it is registered");
    assert_eq!(channel.state(), ChannelState::Pending);
    channel.trigger().expect("a second trigger changes nothing");
    assert_eq!(channel.register(&ws, |_| Ok(())), Err(EventError::AlreadyRegistered));
    assert_eq!(drain(&ws), 1);
    assert_eq!(seen(&log), [1]);
    assert_eq!(channel.state(), ChannelState::Unregistered);
    assert_eq!(channel.trigger(), Err(EventError::NotRegistered));
}

#[test]
fn deregister_works_in_every_state_and_leaves_no_event() {
    let (ws, log) = (Waitset::new(), Log::default());
    let channel = EventChannel::new();
    channel.register(&ws, note(&log, 1)).expect("it is free");
    channel.deregister().expect("idle");
    channel.register_polled(&ws, || true, note(&log, 2)).expect("it is free");
    channel.deregister().expect("polled");
    channel.register(&ws, note(&log, 3)).expect("it is free");
    channel.trigger().expect("it is registered");
    channel.deregister().expect("pending");
    assert_eq!(drain(&ws), 0, "no event, not even an empty one");
    // The delivery of an earlier registration is not one of a later one.
    channel.register(&ws, note(&log, 4)).expect("it is free");
    assert_eq!(drain(&ws), 0);
    assert_eq!(channel.state(), ChannelState::Idle);
    assert_eq!(seen(&log), []);
}

#[test]
fn delivery_unregisters_before_the_closure_runs() {
    let (ws, log) = (Waitset::new(), Log::default());
    let channel = EventChannel::new();
    let (inner, again) = (channel.clone(), note(&log, 2));
    let run = move |ws: &Waitset| {
        assert_eq!(inner.state(), ChannelState::Unregistered);
        inner.register(ws, again)?;
        inner.trigger()?;
        Ok(())
    };
    channel.register(&ws, run).expect("it is free");
    channel.trigger().expect("it is registered");
    assert_eq!(drain(&ws), 2);
    assert_eq!(seen(&log), [2]);
}

#[test]
fn polled_channel_is_asked_until_it_hits_and_stops_the_round() {
    let (ws, log) = (Waitset::new(), Log::default());
    let channels: Vec<_> = (0..3).map(|_| EventChannel::new()).collect();
    let asked: Rc<Cell<usize>> = Rc::default();
    let go: Rc<Cell<bool>> = Rc::default();
    for (i, channel) in channels.iter().enumerate() {
        let (asked, go) = (Rc::clone(&asked), Rc::clone(&go));
        let poll = move || {
            asked.set(asked.get() + 1);
            go.get()
        };
        channel.register_polled(&ws, poll, note(&log, i as u64)).expect("it is free");
    }
    assert!(!ws.try_dispatch().expect("no callback fails"));
    assert!(asked.get() >= 3, "each was asked");
    go.set(true);
    asked.set(0);
    ws.dispatch().expect("no callback fails");
    assert_eq!(asked.get(), 1, "the round ends at the first hit");
    assert_eq!(log.borrow().len(), 1);
    assert_eq!(drain(&ws), 2);
    let mut all = seen(&log);
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2]);
}

#[test]
fn a_poll_function_that_hits_once_is_not_asked_again() {
    // As with a counter that is reset by reading it.
    let (ws, log) = (Waitset::new(), Log::default());
    for value in 0..3 {
        let mut hits = 1;
        let poll = move || core::mem::replace(&mut hits, 0) == 1;
        EventChannel::new().register_polled(&ws, poll, note(&log, value)).expect("it is free");
    }
    ws.next_event().expect("no system call fails").run().expect("no callback fails");
    ws.dispatch().expect("no callback fails");
    ws.set_spin(Duration::ZERO);
    ws.dispatch().expect("no callback fails");
    assert_eq!(seen(&log).len(), 3);
}

#[test]
fn a_channel_migrates_in_every_state() {
    let (here, there, log) = (Waitset::new(), Waitset::new(), Log::default());
    let channel = EventChannel::new();

    channel.register(&here, note(&log, 1)).expect("it is free");
    channel.migrate(&there);
    assert_eq!(channel.state(), ChannelState::Idle);
    channel.trigger().expect("it is registered");
    assert_eq!((drain(&here), drain(&there)), (0, 1));

    channel.register_polled(&here, || true, note(&log, 2)).expect("it is free");
    channel.migrate(&there);
    assert_eq!(channel.state(), ChannelState::Polled);
    assert_eq!((drain(&here), drain(&there)), (0, 1));

    channel.register(&here, note(&log, 3)).expect("it is free");
    channel.trigger().expect("it is registered");
    channel.migrate(&there);
    assert_eq!(channel.state(), ChannelState::Pending);
    assert_eq!((drain(&here), drain(&there)), (0, 1));
    assert_eq!(seen(&log), [1, 2, 3]);
}

#[test]
fn a_channel_is_free_again_when_its_waitset_is_gone() {
    let (ws, log) = (Waitset::new(), Log::default());
    let channel = EventChannel::new();
    channel.register(&ws, note(&log, 1)).expect("it is free");
    channel.trigger().expect("it is registered");
    let remote = ws.remote();
    drop(ws);
    assert!(Waitset::local(&remote).is_none(), "a registered channel does not keep its waitset");
    assert_eq!(channel.state(), ChannelState::Unregistered);
    assert_eq!(channel.trigger(), Err(EventError::NotRegistered));
    let other = Waitset::new();
    channel.register(&other, note(&log, 2)).expect("it is free");
    channel.trigger().expect("it is registered");
    assert_eq!(drain(&other), 1);
    assert_eq!(seen(&log), [2]);
}

// ---- Sleeping and waking

#[test]
fn a_waitset_with_nothing_to_do_uses_no_processor() {
    within(LIMIT, || {
        let (ws, log) = (Waitset::new(), Log::default());
        let _lines: Vec<_> = (0..100).map(|_| logging(&ws, &log, 0)).collect();
        drain(&ws);
        ws.after(Duration::from_millis(200), |_| Ok(()));
        let (before, started) = (cpu_time(), Instant::now());
        ws.dispatch().expect("no callback fails");
        let used = cpu_time() - before;
        assert!(started.elapsed() >= Duration::from_millis(200));
        assert!(used < Duration::from_millis(5), "{used:?}");
    });
}

#[test]
fn a_waitset_polls_less_while_polling_does_not_pay() {
    /// Looks at a source in each of some waits that are long, and in one after a message that came soon.
    fn looks() -> (Vec<usize>, usize) {
        let (ws, log) = (Waitset::new(), Log::default());
        ws.set_spin(Duration::from_millis(2));
        let (feed, _endpoint) = logging(&ws, &log, 0);
        let wait = |value| {
            feed.put(value);
            ws.dispatch().expect("no callback fails");
            feed.forget_looks();
            let until = Instant::now() + Duration::from_millis(10);
            ws.dispatch_until(Some(until), || false).expect("no callback fails");
            feed.looks()
        };
        let long = (0..4).map(wait).collect();
        // One message makes the source polled again, and the next comes soon after it.
        feed.put(7);
        ws.dispatch().expect("no callback fails");
        let late = feed.clone();
        let sender = thread::spawn(move || late.put(8));
        while log.borrow().len() < 6 {
            ws.dispatch().expect("no callback fails");
        }
        sender.join().expect("it puts a message");
        (long, wait(9))
    }
    within(LIMIT, || {
        // Other work on the machine may take a wait's looks away.
        let learned = (0..20).any(|_| {
            let (long, after) = looks();
            long[3] * 4 < long[0] && long[3] * 4 < after
        });
        assert!(learned, "it polls as long as ever");
    });
}

#[test]
fn a_post_from_another_thread_always_wakes() {
    within(LIMIT, || {
        let ws = Waitset::new();
        ws.set_spin(Duration::ZERO);
        let (ack, acked) = mpsc::channel::<u32>();
        let remote = ws.remote();
        let poster = thread::spawn(move || {
            for n in 0..10_000 {
                let ack = ack.clone();
                remote.post(move |_| {
                    ack.send(n)?;
                    Ok(())
                });
                assert_eq!(acked.recv().expect("the waitset runs it"), n);
            }
        });
        for _ in 0..10_000 {
            ws.dispatch().expect("no callback fails");
        }
        poster.join().expect("every post was run");
    });
}

#[test]
fn a_message_always_wakes_a_binding_that_rests() {
    within(LIMIT, || {
        let ws = Waitset::new();
        ws.set_spin(Duration::ZERO);
        let (ack, acked) = mpsc::channel::<u64>();
        let (feed, _endpoint) = bind(&ws, move |value| ack.send(value).expect("the feeder lives"));
        let feeder = thread::spawn(move || {
            for n in 0..10_000 {
                feed.put(n);
                assert_eq!(acked.recv().expect("the binding gets it"), n);
            }
        });
        while !feeder.is_finished() {
            let soon = Instant::now() + Duration::from_millis(100);
            ws.dispatch_until(Some(soon), || feeder.is_finished()).expect("no callback fails");
        }
        feeder.join().expect("every message was delivered");
    });
}

#[test]
fn posts_from_many_threads_all_arrive_in_order() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let log: Arc<Mutex<Vec<Vec<u32>>>> = Arc::new(Mutex::new(vec![Vec::new(); 4]));
        let count = Arc::new(AtomicUsize::new(0));
        let posters: Vec<_> = (0..4)
            .map(|i| {
                let (remote, log, count) = (ws.remote(), Arc::clone(&log), Arc::clone(&count));
                thread::spawn(move || {
                    for n in 0..5000 {
                        let (log, count) = (Arc::clone(&log), Arc::clone(&count));
                        remote.post(move |_| {
                            log.lock().expect("nobody panics with it")[i].push(n);
                            count.fetch_add(1, Ordering::Relaxed);
                            Ok(())
                        });
                    }
                })
            })
            .collect();
        let all = || count.load(Ordering::Relaxed) == 20_000;
        ws.dispatch_until(Some(Instant::now() + LIMIT), all).expect("no callback fails");
        posters.into_iter().for_each(|poster| poster.join().expect("it does not panic"));
        let log = log.lock().expect("nobody panics with it");
        assert!(log.iter().all(|values| values.iter().copied().eq(0..5000)));
    });
}

static STORM: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count_signal(_: libc::c_int) {
    STORM.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn a_storm_of_signals_harms_nothing() {
    within(LIMIT, || {
        // SAFETY:
        // * All-zero bytes are a `sigaction`: no flags (so no `SA_RESTART`), an empty mask.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        action.sa_sigaction = count_signal as *const () as usize;
        // SAFETY:
        // * Both pointers are valid for the call or null; the handler only adds to an atomic.
        let set =
            unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, core::ptr::null_mut()) };
        assert_eq!(set, 0);
        // SAFETY:
        // * It takes nothing and names the calling thread.
        let me = unsafe { libc::pthread_self() };
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let stormer = thread::spawn(move || {
            while !theirs.load(Ordering::Relaxed) {
                // SAFETY:
                // * The thread lives: it joins this one before it ends.
                unsafe { libc::pthread_kill(me, libc::SIGUSR1) };
                thread::sleep(Duration::from_millis(1));
            }
        });
        let (ws, log) = (Waitset::new(), Log::default());
        let (mut near, far) = UnixStream::pair().expect("a socket pair");
        let fired = note(&log, 2);
        ws.when(far, Interest::Readable, move |ws, _| fired(ws)).expect("a socket can be watched");
        let started = Instant::now();
        ws.after(Duration::from_millis(200), note(&log, 1));
        ws.dispatch().expect("a signal is no error");
        assert_eq!(seen(&log), [1]);
        assert!(started.elapsed() >= Duration::from_millis(200));
        near.write_all(b"x").expect("it has room");
        ws.dispatch().expect("a signal is no error");
        assert_eq!(seen(&log), [2]);
        stop.store(true, Ordering::Relaxed);
        stormer.join().expect("it does not panic");
        assert!(STORM.load(Ordering::Relaxed) > 10, "the storm came");
    });
}

/// A pipe's reading end; the copy of it lives elsewhere.
struct Rung(OwnedFd, Arc<AtomicUsize>);

impl Watched for Rung {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn fired(&self) {
        let mut byte = [0];
        let _ = rustix::io::read(&self.0, &mut byte);
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn watched_descriptor_fires_until_empty_and_is_free_when_gone() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let (read, write) = rustix::pipe::pipe().expect("a pipe");
        let copy = read.try_clone().expect("a copy");
        let hits = Arc::new(AtomicUsize::new(0));
        let rung: Arc<dyn Watched> = Arc::new(Rung(read, Arc::clone(&hits)));
        ws.watch(&rung).expect("a pipe can be watched");
        ws.watch(&rung).expect("a second time is nothing");
        rustix::io::write(&write, b"abc").expect("it has room");
        let deadline = Some(Instant::now() + LIMIT);
        let three = || hits.load(Ordering::Relaxed) == 3;
        assert!(ws.dispatch_until(deadline, three).expect("no callback fails"));
        // Readable for ever, by a copy that the kernel goes on to report.
        rustix::io::write(&write, b"d").expect("it has room");
        drop(rung);
        ws.after(Duration::from_millis(200), |_| Ok(()));
        let before = cpu_time();
        ws.dispatch().expect("no callback fails");
        let used = cpu_time() - before;
        assert!(used < Duration::from_millis(5), "{used:?}");
        assert_eq!(hits.load(Ordering::Relaxed), 3);
        drop(copy);
    });
}

/// A pipe's reading end, which is read once the events that it has caused have run.
struct ReadLater {
    pipe: OwnedFd,
    log: Arc<Mutex<Vec<&'static str>>>,
    event: Box<dyn Fn() + Send + Sync>,
}

impl ReadLater {
    fn watched(
        log: &Arc<Mutex<Vec<&'static str>>>,
        post: impl Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static,
    ) -> (Arc<dyn Watched>, OwnedFd) {
        let (pipe, write) = rustix::pipe::pipe().expect("a pipe");
        let theirs = Arc::clone(log);
        let event = Box::new(move || {
            let log = Arc::clone(&theirs);
            post(Box::new(move || log.lock().expect("nobody panics with it").push("event")));
        });
        (Arc::new(Self { pipe, log: Arc::clone(log), event }), write)
    }

    fn note(&self, what: &'static str) {
        self.log.lock().expect("nobody panics with it").push(what);
    }
}

impl Watched for ReadLater {
    fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    fn fired(&self) {
        self.note("fired");
        (self.event)();
    }

    fn finish(&self) {
        self.note("finish");
        rustix::io::read(&self.pipe, &mut [0]).expect("it is readable");
    }
}

/// Makes the pipe readable, twice; `dispatch` dispatches once, and then until the time that it is given.
#[track_caller]
fn finishes_after_its_event(
    log: &Mutex<Vec<&'static str>>,
    write: &OwnedFd,
    dispatch: impl Fn(Option<Instant>),
) {
    for _ in 0..2 {
        rustix::io::write(write, b"x").expect("it has room");
        dispatch(Some(Instant::now() + Duration::from_millis(1)));
        let seen = core::mem::take(&mut *log.lock().expect("nobody panics with it"));
        assert_eq!(seen, ["fired", "event", "finish"]);
    }
}

#[test]
fn driver_finishes_after_its_events_and_before_the_next_wait() {
    within(LIMIT, || {
        let (ws, log) = (Waitset::new(), Arc::new(Mutex::new(Vec::new())));
        let remote = ws.remote();
        let (watched, write) = ReadLater::watched(&log, move |event| {
            remote.post(move |_| {
                event();
                Ok(())
            });
        });
        ws.watch(&watched).expect("a pipe can be watched");
        finishes_after_its_event(&log, &write, |soon| {
            ws.dispatch().expect("no callback fails");
            ws.dispatch_until(soon, || false).expect("no callback fails");
        });
    });
}

#[test]
fn driver_finishes_before_a_shared_waitset_waits_again() {
    within(LIMIT, || {
        let (ws, log) = (SharedWaitset::new(), Arc::new(Mutex::new(Vec::new())));
        let theirs = ws.clone();
        let (watched, write) = ReadLater::watched(&log, move |event| {
            theirs.post(move |_| {
                event();
                Ok(())
            });
        });
        ws.watch(&watched).expect("a pipe can be watched");
        finishes_after_its_event(&log, &write, |soon| {
            ws.dispatch().expect("no callback fails");
            ws.dispatch_until(soon, || false).expect("no callback fails");
        });
    });
}

// ---- Timers

#[test]
fn timers_fire_in_the_order_of_their_times_unless_cancelled() {
    within(LIMIT, || {
        let (ws, log) = (Waitset::new(), Log::default());
        ws.after(Duration::from_millis(30), note(&log, 3));
        ws.after(Duration::from_millis(10), note(&log, 1));
        let never = ws.after(Duration::from_millis(15), note(&log, 9));
        ws.after(Duration::from_millis(20), note(&log, 2));
        let endless = ws.after(Duration::MAX, note(&log, 8));
        assert!(never.cancel());
        let started = Instant::now();
        (0..3).for_each(|_| ws.dispatch().expect("no callback fails"));
        assert_eq!(seen(&log), [1, 2, 3]);
        assert!(started.elapsed() >= Duration::from_millis(29));
        assert!(endless.cancel());
        let late = ws.after(Duration::ZERO, note(&log, 4));
        ws.dispatch().expect("no callback fails");
        assert!(!late.cancel(), "it has fired");
    });
}

#[test]
fn equal_timers_fire_in_the_order_they_were_set() {
    let (ws, log) = (Waitset::new(), Log::default());
    (0..100).for_each(|n| drop(ws.after(Duration::ZERO, note(&log, n))));
    assert_eq!(drain(&ws), 100);
    assert_eq!(seen(&log), (0..100).collect::<Vec<_>>());
}

#[test]
fn timer_fires_while_a_polled_channel_keeps_the_waitset_awake() {
    within(LIMIT, || {
        let (ws, log) = (Waitset::new(), Log::default());
        let channel = EventChannel::new();
        channel.register_polled(&ws, || false, |_| Ok(())).expect("it is free");
        ws.after(Duration::from_millis(5), note(&log, 1));
        ws.dispatch().expect("no callback fails");
        assert_eq!(seen(&log), [1]);
    });
}

// ---- Descriptors

#[test]
fn descriptors_fire_once_when_readable_writable_or_ended() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let (mut near, far) = UnixStream::pair().expect("a socket pair");
        let given: Rc<RefCell<Option<UnixStream>>> = Rc::default();
        let keep = |given: &Rc<RefCell<Option<UnixStream>>>| {
            let given = Rc::clone(given);
            move |_: &Waitset, fd: UnixStream| {
                *given.borrow_mut() = Some(fd);
                Ok(())
            }
        };
        let back = || given.borrow_mut().take();

        ws.when(far, Interest::Readable, keep(&given)).expect("it can be watched");
        assert_eq!(drain(&ws), 0, "nothing to read");
        near.write_all(b"x").expect("it has room");
        ws.dispatch().expect("no callback fails");
        let far = back().expect("one dispatch is one event");

        ws.when(far, Interest::Writable, keep(&given)).expect("it can be watched again");
        ws.dispatch().expect("no callback fails");
        let mut far = back().expect("there is room");
        assert_eq!(drain(&ws), 0, "once only");

        far.read_exact(&mut [0]).expect("the byte is there");
        ws.when(far, Interest::Readable, keep(&given)).expect("it can be watched again");
        drop(near);
        ws.dispatch().expect("no callback fails");
        let mut far = back().expect("the end is readable");
        assert_eq!(far.read(&mut [0]).expect("the end"), 0);
    });
}

#[test]
fn a_descriptor_that_cannot_be_watched_is_refused() {
    let ws = Waitset::new();
    let file = std::fs::File::open("/proc/self/exe").expect("this program");
    assert!(ws.when(file, Interest::Readable, |_, _| Ok(())).is_err());
    assert_eq!(drain(&ws), 0);
}

// ---- The other ways to dispatch

#[test]
fn events_can_be_taken_and_run_later() {
    within(LIMIT, || {
        let (ws, log) = (Waitset::new(), Log::default());
        assert!(ws.check_for_event().expect("no system call fails").is_none());
        ws.post(note(&log, 1));
        let first = ws.next_event().expect("no system call fails");
        ws.post(note(&log, 2));
        let second = ws.check_for_event().expect("no system call fails").expect("it is pending");
        assert_eq!(seen(&log), []);
        second.run().expect("no callback fails");
        first.run().expect("no callback fails");
        assert_eq!(seen(&log), [2, 1]);
        ws.after(Duration::from_millis(5), note(&log, 3));
        ws.next_event().expect("it blocks until then").run().expect("no callback fails");
        assert_eq!(seen(&log), [3]);
    });
}

#[test]
fn a_message_whose_event_is_dropped_is_not_lost() {
    let (ws, log) = (Waitset::new(), Log::default());
    let (feed, _endpoint) = logging(&ws, &log, 0);
    // The first is its visit after the registration, pending; the second is polled.
    for value in 0..2 {
        feed.put(value);
        drop(ws.check_for_event().expect("no system call fails").expect("there is a message"));
        assert_eq!(seen(&log), []);
        drain(&ws);
        assert_eq!(seen(&log), [value]);
    }
}

#[test]
fn taking_events_starves_nothing_either() {
    let (ws, log) = (Waitset::new(), Log::default());
    fn flood(ws: &Waitset) -> Outcome {
        ws.post(flood);
        Ok(())
    }
    let (feed, _endpoint) = logging(&ws, &log, 0);
    drain(&ws);
    ws.post(flood);
    feed.put(1);
    ws.after(Duration::ZERO, note(&log, 2));
    for _ in 0..400 {
        ws.next_event().expect("no system call fails").run().expect("no callback fails");
    }
    let mut all = seen(&log);
    all.sort_unstable();
    assert_eq!(all, [1, 2]);
}

#[test]
fn dispatch_until_ends_at_its_deadline_in_a_flood() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let soon = || Some(Instant::now() + Duration::from_millis(20));
        let started = Instant::now();
        assert!(!ws.dispatch_until(soon(), || false).expect("no callback fails"));
        assert!(started.elapsed() >= Duration::from_millis(20));
        fn flood(ws: &Waitset) -> Outcome {
            ws.post(flood);
            Ok(())
        }
        ws.post(flood);
        assert!(!ws.dispatch_until(soon(), || false).expect("no callback fails"));
        let mut asked = 0;
        let done = ws.dispatch_until(None, || {
            asked += 1;
            asked > 5
        });
        assert!(done.expect("no callback fails"));
    });
}

#[test]
fn a_failing_callback_loses_nothing_else() {
    let (ws, log) = (Waitset::new(), Log::default());
    ws.post(note(&log, 1));
    ws.post(|_| Err("no".into()));
    ws.post(note(&log, 2));
    ws.dispatch().expect("the first is fine");
    match ws.dispatch() {
        Err(DispatchError::Callback(error)) => assert_eq!(error.to_string(), "no"),
        other => panic!("{other:?}"),
    }
    ws.dispatch().expect("the third is fine");
    assert_eq!(seen(&log), [1, 2]);
}

#[test]
fn a_panic_leaves_the_waitset_usable() {
    let (ws, log) = (Waitset::new(), Log::default());
    let (feed, _endpoint) = logging(&ws, &log, 0);
    drain(&ws);
    ws.post(|_| panic!("on purpose"));
    ws.post(note(&log, 1));
    let dispatch = std::panic::AssertUnwindSafe(|| ws.dispatch());
    assert!(std::panic::catch_unwind(dispatch).is_err());
    feed.put(2);
    drain(&ws);
    assert_eq!(seen(&log), [1, 2]);
}

#[test]
fn handlers_may_dispatch() {
    let (ws, log) = (Waitset::new(), Log::default());
    let (theirs, their_log) = (ws.clone(), Rc::clone(&log));
    let (feed, _endpoint) = bind(&ws, move |value| {
        theirs.post(note(&their_log, value + 1));
        theirs.dispatch().expect("no callback fails");
        their_log.borrow_mut().push(value);
    });
    // Once from the pending queue, once from polling.
    for _ in 0..2 {
        feed.put(10);
        drain(&ws);
        assert_eq!(seen(&log), [11, 10]);
    }
}

// ---- The end

struct Tell(Rc<Cell<bool>>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn what_is_posted_goes_with_the_waitset() {
    let ws = Waitset::new();
    let dropped: Vec<Rc<Cell<bool>>> = (0..4).map(|_| Rc::default()).collect();
    let tell = |i: usize| Tell(Rc::clone(&dropped[i]));
    let (posted, timed, watched, event) = (tell(0), tell(1), tell(2), tell(3));
    ws.post(move |_| {
        drop(posted);
        Ok(())
    });
    let timer = ws.after(Duration::from_secs(60), move |_| {
        drop(timed);
        Ok(())
    });
    let (_near, far) = UnixStream::pair().expect("a socket pair");
    let task = move |_: &Waitset, _| {
        drop(watched);
        Ok(())
    };
    ws.when(far, Interest::Readable, task).expect("it can be watched");
    let channel = EventChannel::new();
    let task = move |_: &Waitset| {
        drop(event);
        Ok(())
    };
    channel.register(&ws, task).expect("it is free");
    channel.trigger().expect("it is registered");
    drop(channel);
    let remote = ws.remote();
    drop(ws);
    assert!(dropped.iter().all(|dropped| dropped.get()), "everything is dropped");
    assert!(!timer.cancel());

    let alive = Arc::new(());
    let theirs = Arc::clone(&alive);
    remote.post(move |_| {
        drop(theirs);
        Ok(())
    });
    assert_eq!(Arc::strong_count(&alive), 1, "a closed remote takes nothing");
}

#[test]
fn channels_that_come_and_go_leave_no_events() {
    let (ws, log) = (Waitset::new(), Log::default());
    let channel = EventChannel::new();
    for n in 0..10_000 {
        channel.register(&ws, note(&log, n)).expect("it is free");
        channel.trigger().expect("it is registered");
        channel.deregister().expect("it is registered");
        channel.register_polled(&ws, || false, note(&log, n)).expect("it is free");
        channel.deregister().expect("it is registered");
    }
    ws.post(note(&log, 7));
    assert_eq!(drain(&ws), 1);
    assert_eq!(seen(&log), [7]);
}

// ---- Futures

#[test]
fn futures_are_woken_from_other_threads() {
    within(LIMIT, || {
        let ws = Waitset::new();
        ws.set_spin(Duration::ZERO);
        let (hand, wakers) = mpsc::channel::<(Arc<AtomicBool>, Waker)>();
        let waking = thread::spawn(move || {
            for (flag, waker) in wakers {
                flag.store(true, Ordering::Release);
                waker.wake();
            }
        });
        let wait = |hand: mpsc::Sender<(Arc<AtomicBool>, Waker)>| {
            let flag = Arc::new(AtomicBool::new(false));
            let mut handed = false;
            core::future::poll_fn(move |context| {
                if flag.load(Ordering::Acquire) {
                    return Poll::Ready(());
                }
                if !core::mem::replace(&mut handed, true) {
                    let waker = context.waker().clone();
                    hand.send((Arc::clone(&flag), waker)).expect("it takes them");
                }
                Poll::Pending
            })
        };
        for _ in 0..2000 {
            let task = ws.spawn_local(wait(hand.clone()));
            ws.block_on(wait(hand.clone())).expect("no callback fails");
            ws.block_on(task).expect("no callback fails");
        }
        drop(hand);
        waking.join().expect("it does not panic");
    });
}

#[test]
fn a_waker_that_outlives_the_waitset_is_harmless() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let (hand, wakers) = mpsc::channel::<Waker>();
        let task = ws.spawn_local(core::future::poll_fn(move |context| {
            hand.send(context.waker().clone()).expect("the test takes it");
            Poll::<()>::Pending
        }));
        ws.dispatch().expect("no callback fails");
        task.detach();
        drop(ws);
        let waker = wakers.recv().expect("it was polled");
        thread::spawn(move || waker.wake()).join().expect("waking does not panic");
    });
}
