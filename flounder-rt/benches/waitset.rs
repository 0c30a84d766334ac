//! What a waitset costs: a task, a visit, ten thousand quiet neighbours, a wake-up.

#[path = "../tests/waitset_support/feed.rs"]
mod feed;

use std::cell::Cell;
use std::collections::VecDeque;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use flounder_rt::binding::{Dispatch, RawBinding, Received};
use flounder_rt::wire::DecodeError;
use flounder_rt::{BindingError, SharedWaitset, Waitset};

use feed::{Fed, Feeds, INTERFACE};

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("waitset, {cores} processors");
    row("post and run a task", best(local_task));
    row("post and run a task, through the remote", best(remote_task));
    row("post and run a task, shared waitset", best(shared_task));
    row("visit a polled source that has nothing", best(visit));
    let few = best(|| busy_among(10));
    let many = best(|| busy_among(10_000));
    row("message, 10 quiet sources beside", few);
    row("message, 10,000 quiet sources beside", many);
    println!("{:<44} {:>9.2}", "  ratio", many / few);
    row("wake a blocked thread and hear from it", best(wake_local));
    row("wake one of two blocked threads, shared", best(wake_shared));
}

fn row(what: &str, ns: f64) {
    println!("{what:<44} {ns:>9.1} ns");
}

/// The best of five: what the machine does beside only adds.
fn best(run: impl Fn() -> f64) -> f64 {
    (0..5).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn per(started: Instant, count: u32) -> f64 {
    started.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

const TASKS: u32 = 200_000;

fn local_task() -> f64 {
    let (ws, hits) = (Waitset::new(), Rc::new(Cell::new(0)));
    let started = Instant::now();
    for _ in 0..TASKS {
        let hits = Rc::clone(&hits);
        ws.post(move |_| {
            hits.set(hits.get() + 1);
            Ok(())
        });
        ws.dispatch().expect("no callback fails");
    }
    assert_eq!(hits.get(), TASKS);
    per(started, TASKS)
}

fn remote_task() -> f64 {
    let ws = Waitset::new();
    let remote = ws.remote();
    let started = Instant::now();
    for n in 0..TASKS {
        remote.post(move |_| {
            black_box(n);
            Ok(())
        });
        ws.dispatch().expect("no callback fails");
    }
    assert!(ws.is_quiet());
    per(started, TASKS)
}

fn shared_task() -> f64 {
    let ws = SharedWaitset::new();
    let started = Instant::now();
    for n in 0..TASKS {
        ws.post(move |_| {
            black_box(n);
            Ok(())
        });
        ws.dispatch().expect("no callback fails");
    }
    assert!(!ws.try_dispatch().expect("no callback fails"));
    per(started, TASKS)
}

fn visit() -> f64 {
    const SOURCES: u32 = 100;
    const ROUNDS: u32 = 2000;
    let ws = Waitset::new();
    let sources: Vec<_> = (0..SOURCES).map(|_| bind(&ws, &Rc::default())).collect();
    while ws.try_dispatch().expect("no callback fails") {}
    let visits = || sources.iter().map(|(feed, _)| feed.0.visits.get()).sum::<u32>();
    let before = visits();
    let started = Instant::now();
    for _ in 0..ROUNDS {
        assert!(!ws.try_dispatch().expect("no callback fails"));
    }
    per(started, visits() - before)
}

fn busy_among(quiet: usize) -> f64 {
    let (ws, hits) = (Waitset::new(), Rc::new(Cell::new(0)));
    let (busy, _endpoint) = bind(&ws, &hits);
    let _quiet: Vec<_> = (0..quiet).map(|_| bind(&ws, &Rc::default())).collect();
    let run = |count: u32| {
        let (before, started) = (hits.get(), Instant::now());
        for n in 0..count {
            busy.0.messages.set({
                let mut messages = busy.0.messages.take();
                messages.push_back(u64::from(n));
                messages
            });
            ws.dispatch().expect("no callback fails");
        }
        while hits.get() - before < count {
            ws.dispatch().expect("no callback fails");
        }
        per(started, count)
    };
    // Until those that are quiet have come to rest.
    run(50_000);
    run(TASKS)
}

fn wake_local() -> f64 {
    const ROUNDS: u32 = 5000;
    let (hand, handed) = mpsc::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&stop);
    let thread = thread::spawn(move || {
        let ws = Waitset::new();
        ws.set_spin(Duration::ZERO);
        hand.send(ws.remote()).expect("the bench waits for it");
        ws.dispatch_until(None, || theirs.load(Ordering::Relaxed)).expect("no callback fails");
    });
    let remote = handed.recv().expect("the thread sends it");
    let ns = round_trips(ROUNDS, |ack| {
        remote.post(move |_| {
            ack.send(())?;
            Ok(())
        });
    });
    stop.store(true, Ordering::Relaxed);
    remote.post(|_| Ok(()));
    thread.join().expect("it does not panic");
    ns
}

fn wake_shared() -> f64 {
    const ROUNDS: u32 = 5000;
    let (ws, stop) = (SharedWaitset::new(), AtomicBool::new(false));
    let serve = || ws.dispatch_until(None, || stop.load(Ordering::Relaxed));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| serve().expect("no callback fails"));
        }
        let ns = round_trips(ROUNDS, |ack| {
            ws.post(move |_| {
                ack.send(())?;
                Ok(())
            });
        });
        stop.store(true, Ordering::Relaxed);
        ws.wake_all();
        ns
    })
}

fn round_trips(rounds: u32, mut post: impl FnMut(mpsc::Sender<()>)) -> f64 {
    let (ack, acked) = mpsc::channel();
    let started = Instant::now();
    for _ in 0..rounds {
        post(ack.clone());
        acked.recv().expect("the task tells");
    }
    per(started, rounds)
}

/// A channel that the bench feeds.
#[derive(Clone, Default)]
struct Feed(Rc<Line>);

#[derive(Default)]
struct Line {
    messages: Cell<VecDeque<u64>>,
    visits: Cell<u32>,
}

impl Feeds for Feed {
    fn take(&self) -> Option<u64> {
        self.0.visits.set(self.0.visits.get() + 1);
        let mut messages = self.0.messages.take();
        let message = messages.pop_front();
        self.0.messages.set(messages);
        message
    }

    fn has_some(&self) -> bool {
        let messages = self.0.messages.take();
        let has_some = !messages.is_empty();
        self.0.messages.set(messages);
        has_some
    }
}

struct Count(Rc<Cell<u32>>);

impl Dispatch for Count {
    fn deliver(&mut self, _: &RawBinding, message: Received<'_>) -> Result<(), DecodeError> {
        black_box(message.words);
        self.0.set(self.0.get() + 1);
        Ok(())
    }

    fn error(&mut self, _: &RawBinding, _: BindingError) {}
}

fn bind(ws: &Waitset, hits: &Rc<Cell<u32>>) -> (Feed, RawBinding) {
    let feed = Feed::default();
    let handler = Box::new(Count(Rc::clone(hits)));
    let raw = RawBinding::attach(Box::new(Fed(feed.clone())), ws, INTERFACE, handler);
    (feed, raw.expect("a polled channel needs no descriptor"))
}
