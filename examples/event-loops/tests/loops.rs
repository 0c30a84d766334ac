//! In each loop, messages, timers, and what other threads post all come, and nothing is slept through.

#[path = "../../../flounder-rt/tests/waitset_support/mod.rs"]
mod waitset_support;

use std::cell::Cell;
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use flounder::event::Remote;
use flounder::{DispatchError, Iref, Peer, Waitset};
use waitset_support::{LIMIT, within};

flounder::flounder! {
    interface echo "To wait for" {
        call ping(uint32 n);
        response pong(uint32 n);
        rpc double(in uint32 n, out uint32 result);
    };
}

const DRIVERS: [&str; 4] = ["loopback", "lmp", "ump", "beehive"];
const ROUNDS: u32 = 500;
const TIMERS: u32 = 20;

struct Service;

impl echo::Rx for Service {
    fn ping(&mut self, binding: &echo::Binding, n: u32) {
        binding.tx_pong(n).expect("it has room for one");
    }

    fn double(&mut self, _: &echo::Binding, n: u32, reply: echo::DoubleReply) {
        reply.send(2 * n);
    }
}

fn export(ws: &Waitset) -> Iref {
    echo::export(ws, |_: &Peer| Ok(Service)).wait().expect("it can be exported").iref()
}

/// A service in a thread of its own that dispatches as a plain program does, until this is dropped.
struct Elsewhere(Iref, Arc<Remote>, Arc<AtomicU32>);

impl Elsewhere {
    fn new() -> Self {
        let over = Arc::new(AtomicU32::new(0));
        let theirs = Arc::clone(&over);
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let ws = Waitset::current();
            sender.send((export(&ws), ws.remote())).expect("the test waits");
            let deadline = Some(Instant::now() + 4 * LIMIT);
            ws.dispatch_until(deadline, || theirs.load(Ordering::Acquire) > 0)
        });
        let (iref, remote) = receiver.recv_timeout(LIMIT).expect("it can be exported");
        Self(iref, remote, over)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.2.store(1, Ordering::Release);
        self.1.post(|_| Ok(()));
    }
}

/// Everything that may wake a waitset, at once.
struct Scene {
    pongs: Rc<Cell<u32>>,
    timers: Rc<Cell<u32>>,
    posted: Arc<AtomicU32>,
    bindings: Vec<echo::ClientBinding>,
    _service: Elsewhere,
}

impl Scene {
    fn begin(ws: &Waitset) -> Self {
        let service = Elsewhere::new();
        let pongs = Rc::new(Cell::new(0));
        let own = export(ws);
        let bindings = DRIVERS.map(|driver| {
            let pongs = Rc::clone(&pongs);
            let vtbl = echo::ClientRxVtbl {
                pong: Some(Box::new(move |binding: &echo::ClientBinding, n| {
                    pongs.set(pongs.get() + 1);
                    if n < ROUNDS {
                        binding.tx_ping(n + 1).expect("it has room for one");
                    }
                })),
                ..echo::ClientRxVtbl::default()
            };
            let iref = if driver == "loopback" { own } else { service.0 };
            let bind = echo::bind(iref, ws, vtbl).timeout(LIMIT).drivers([driver]);
            bind.wait().expect("the service is there")
        });
        for binding in &bindings {
            binding.tx_ping(1).expect("it has room for one");
        }

        let timers = Rc::new(Cell::new(0));
        tick(ws, &timers);

        let (remote, posted) = (ws.remote(), Arc::new(AtomicU32::new(0)));
        let theirs = Arc::clone(&posted);
        thread::spawn(move || {
            for round in 0..ROUNDS {
                let posted = Arc::clone(&theirs);
                remote.post(move |_| {
                    posted.fetch_add(1, Ordering::Release);
                    Ok(())
                });
                let deadline = Instant::now() + LIMIT;
                while theirs.load(Ordering::Acquire) == round && Instant::now() < deadline {
                    thread::yield_now();
                }
            }
        });
        Self { pongs, timers, posted, bindings: bindings.into(), _service: service }
    }

    fn is_over(&self) -> bool {
        self.pongs.get() == ROUNDS * DRIVERS.len() as u32
            && self.timers.get() == TIMERS
            && self.posted.load(Ordering::Acquire) == ROUNDS
    }
}

fn tick(ws: &Waitset, timers: &Rc<Cell<u32>>) {
    let timers = Rc::clone(timers);
    ws.after(Duration::from_millis(1), move |ws| {
        timers.set(timers.get() + 1);
        if timers.get() < TIMERS {
            tick(ws, &timers);
        }
        Ok(())
    });
}

/// Polls two futures until the first is ready; the second never is, except with an error.
async fn beside<T>(
    first: impl Future<Output = T>,
    second: impl Future<Output: std::fmt::Debug>,
) -> T {
    let (mut first, mut second) = (pin!(first), pin!(second));
    std::future::poll_fn(|context| {
        if let Poll::Ready(end) = second.as_mut().poll(context) {
            panic!("the driver has ended: {end:?}");
        }
        first.as_mut().poll(context)
    })
    .await
}

/// Ready when the scene is over. It is asked when the driver beside it has had its turn.
async fn end_of(scene: &Scene) {
    std::future::poll_fn(|_| if scene.is_over() { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("there is room")
}

#[test]
fn mio() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let scene = Scene::begin(&ws);
        event_loops::mio::run_until(&ws, || scene.is_over()).expect("no callback fails");
    });
}

#[test]
fn async_io() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let scene = Scene::begin(&ws);
        let driver = event_loops::async_io::drive(&ws);
        ::async_io::block_on(beside(end_of(&scene), driver));
    });
}

#[test]
fn tokio_by_hand() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let scene = Scene::begin(&ws);
        let driver = event_loops::tokio::drive(&ws);
        current_thread().block_on(beside(end_of(&scene), driver));
    });
}

#[test]
fn tokio_driver() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let scene = Scene::begin(&ws);
        current_thread().block_on(beside(end_of(&scene), flounder::tokio::drive(&ws)));
        drop(scene);
        let scene = Scene::begin(&ws);
        let end = flounder::tokio::run_until(&ws, end_of(&scene));
        current_thread().block_on(end).expect("no callback fails");
    });
}

/// Futures of one thread beside the driver: they bind, send, call and wait, while it sleeps.
#[test]
fn tasks_on_a_local_set_use_bindings() {
    within(LIMIT, || {
        let service = Elsewhere::new();
        let iref = service.0;
        let local = tokio::task::LocalSet::new();
        let work = async move {
            let ws = Waitset::current();
            let driven = ws.clone();
            let driver =
                tokio::task::spawn_local(async move { flounder::tokio::drive(&driven).await });
            let mut tasks = Vec::new();
            for task in 0..20_u32 {
                let ws = ws.clone();
                tasks.push(tokio::task::spawn_local(async move {
                    let driver = DRIVERS[1..][task as usize % 3];
                    let bind = echo::bind(iref, &ws, ());
                    let binding = bind.timeout(LIMIT).drivers([driver]).await;
                    let binding = binding.expect("the service is there");
                    let client = echo::RpcClient::new(&binding);
                    for n in 0..50 {
                        assert_eq!(client.double_async(n).await, Ok(2 * n), "over {driver}");
                        if n % 10 == task % 10 {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                        if n == 25 {
                            // A blocking call dispatches itself, under the nose of the driver.
                            assert_eq!(client.double(n), Ok(2 * n), "over {driver}");
                        }
                    }
                }));
            }
            for task in tasks {
                task.await.expect("it does not panic");
            }
            assert!(!driver.is_finished(), "it goes on");
            driver.abort();
        };
        local.block_on(&current_thread(), work);
    });
}

#[test]
fn the_main_task_of_a_runtime_of_several_threads_drives() {
    within(LIMIT, || {
        let service = Elsewhere::new();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("there is room");
        let ws = Waitset::new();
        let sums = runtime.block_on(flounder::tokio::run_until(&ws, async {
            let bind = echo::bind(service.0, &ws, ()).timeout(LIMIT);
            let client = echo::RpcClient::new(&bind.await.expect("the service is there"));
            let mut sum = 0;
            for n in 0..500 {
                // Something of the other threads in between.
                let n = tokio::spawn(async move { n }).await.expect("it does not panic");
                sum += client.double_async(n).await.expect("it is answered");
            }
            sum
        }));
        assert_eq!(sums.expect("no callback fails"), 499 * 500);
    });
}

#[test]
fn a_callback_that_fails_ends_the_driver_and_nothing_else() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let runtime = current_thread();
        ws.post(|_| Err("on purpose".into()));
        let after = Rc::new(Cell::new(false));
        let theirs = Rc::clone(&after);
        ws.post(move |_| {
            theirs.set(true);
            Ok(())
        });
        let end = runtime.block_on(flounder::tokio::drive(&ws));
        assert!(
            matches!(end, Err(DispatchError::Callback(error)) if error.to_string() == "on purpose")
        );
        assert!(!after.get());
        let next =
            std::future::poll_fn(|_| if after.get() { Poll::Ready(7) } else { Poll::Pending });
        let end = runtime.block_on(flounder::tokio::run_until(&ws, next));
        assert_eq!(end.expect("no callback fails"), 7);
    });
}

#[test]
fn a_flood_of_events_leaves_the_other_futures_their_turns() {
    fn flood(ws: &Waitset) -> flounder::Outcome {
        ws.post(flood);
        Ok(())
    }
    within(LIMIT, || {
        let ws = Waitset::new();
        flood(&ws).expect("it does not fail");
        let sleep = async { tokio::time::sleep(Duration::from_millis(5)).await };
        let end = current_thread().block_on(async { flounder::tokio::run_until(&ws, sleep).await });
        end.expect("no callback fails");
    });
}

#[test]
fn a_waitset_has_one_driver_at_a_time() {
    within(LIMIT, || {
        let ws = Waitset::new();
        current_thread().block_on(async {
            let inner = ws.clone();
            let nested = async move { flounder::tokio::run_until(&inner, pending::<()>()).await };
            let end = flounder::tokio::run_until(&ws, nested).await.expect("no callback fails");
            assert!(matches!(end, Err(DispatchError::Os(_))), "{end:?}");
        });
    });
}

#[test]
fn a_quiet_waitset_uses_no_processor() {
    within(LIMIT, || {
        let ws = Waitset::new();
        let scene = Scene::begin(&ws);
        let quiet = async {
            end_of(&scene).await;
            let before = waitset_support::cpu_time();
            tokio::time::sleep(Duration::from_millis(300)).await;
            waitset_support::cpu_time() - before
        };
        let used =
            current_thread().block_on(async { flounder::tokio::run_until(&ws, quiet).await });
        let used = used.expect("no callback fails");
        assert_eq!(scene.bindings.len(), DRIVERS.len());
        assert!(used < Duration::from_millis(15), "{used:?} of 300 ms");
    });
}
