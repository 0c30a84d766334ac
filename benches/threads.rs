//! What a call costs through a shared binding, beside the binding alone: `cargo bench --bench threads`.
//!
//! The service has a thread of its own, and so has the shared binding, except in the last row.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use flounder::waitset::Remote;
use flounder::{Peer, Waitset, flounder};

flounder! {
    interface work "Work" {
        rpc double(in uint64 n, out uint64 twice);
    };
}

const DRIVER: &str = "ump";
const CALLS: u64 = 8_000;

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("calls over {DRIVER}, ns a call, {cores} processors");
    let alone = best(alone);
    row("binding alone, one call at a time", alone, alone);
    let window = best(alone_in_flight);
    row("binding alone, 64 tasks of its waitset", window, alone);
    for threads in [1, 4] {
        row(&format!("shared, {threads} blocking threads"), best(|| shared(threads)), alone);
    }
    row("shared, 64 tasks of tokio", best(tasks), alone);
    row("shared, 64 tasks of its own waitset", best(at_home), alone);
}

fn row(what: &str, ns: f64, base: f64) {
    println!("{what:<44} {ns:>9.0} {:>7.2}", ns / base);
}

/// The best of three: what the machine does beside only adds.
fn best(run: impl Fn() -> f64) -> f64 {
    (0..3).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn per(started: Instant, count: u64) -> f64 {
    started.elapsed().as_secs_f64() * 1e9 / count as f64
}

struct Service;

impl work::Rx for Service {
    fn double(&mut self, _: &work::Binding, n: u64, reply: work::DoubleReply) {
        reply.send(2 * n);
    }
}

/// A thread with a waitset.
struct Loop {
    remote: Arc<Remote>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Loop {
    fn start<T: Send + 'static>(begin: impl FnOnce(&Waitset) -> T + Send + 'static) -> (Self, T) {
        let (sender, receiver) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let ws = Waitset::new();
            let made = begin(&ws);
            sender.send((ws.remote(), made)).expect("the bench waits for it");
            ws.dispatch_until(None, || theirs.load(Ordering::Acquire)).expect("no callback fails");
        });
        let (remote, made) = receiver.recv().expect("the thread begins");
        (Self { remote, stop, thread: Some(thread) }, made)
    }

    fn serve() -> (Self, flounder::Iref) {
        Self::start(|ws| {
            let exported = work::export(ws, |_: &Peer| Ok(Service)).start();
            exported.expect("it can be exported").iref()
        })
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.remote.post(|_| Ok(()));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic");
        }
    }
}

fn bind(ws: &Waitset, iref: flounder::Iref) -> work::Binding {
    let bind = work::bind(iref, ws, work::RxVtbl::default()).driver(DRIVER);
    bind.wait().expect("the service is there")
}

fn alone() -> f64 {
    let (_service, iref) = Loop::serve();
    let ws = Waitset::new();
    let client = work::RpcClient::new(&bind(&ws, iref));
    let started = Instant::now();
    for n in 0..CALLS {
        assert_eq!(client.double(n), Ok(2 * n));
    }
    per(started, CALLS)
}

const TASKS: u64 = 64;

fn alone_in_flight() -> f64 {
    let (_service, iref) = Loop::serve();
    let ws = Waitset::new();
    let client = work::RpcClient::new(&bind(&ws, iref));
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let client = client.clone();
            ws.spawn_local(async move {
                for n in 0..CALLS / TASKS {
                    assert_eq!(client.double_async(n).await, Ok(2 * n));
                }
            })
        })
        .collect();
    for task in tasks {
        ws.block_on(task).expect("no callback fails");
    }
    per(started, CALLS)
}

fn shared(threads: u64) -> f64 {
    let (_service, iref) = Loop::serve();
    let (_client, binding) = Loop::start(move |ws| bind(ws, iref).shared());
    let client = work::SharedClient::new(&binding);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for n in 0..CALLS / threads {
                    assert_eq!(client.double(n), Ok(2 * n));
                }
            });
        }
    });
    per(started, CALLS)
}

fn tasks() -> f64 {
    let (_service, iref) = Loop::serve();
    let (_client, binding) = Loop::start(move |ws| bind(ws, iref).shared());
    let client = work::SharedClient::new(&binding);
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let client = client.clone();
            runtime.spawn(async move {
                for n in 0..CALLS / TASKS {
                    assert_eq!(client.double_async(n).await, Ok(2 * n));
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).expect("it does not panic");
    }
    per(started, CALLS)
}

fn at_home() -> f64 {
    let (_service, iref) = Loop::serve();
    let ws = Waitset::new();
    let client = work::SharedClient::new(&bind(&ws, iref).shared());
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let client = client.clone();
            ws.spawn_local(async move {
                for n in 0..CALLS / TASKS {
                    assert_eq!(client.double_async(n).await, Ok(2 * n));
                }
            })
        })
        .collect();
    for task in tasks {
        ws.block_on(task).expect("no callback fails");
    }
    per(started, CALLS)
}
