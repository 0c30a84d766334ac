//! What a call costs through a shared binding, beside the binding alone: `cargo bench --bench threads`.
//!
//! `-- tokio` runs the rows with this word in their names only. The service has a thread of its own, and so has the shared binding, except in the last row.

#[path = "../tests/support/waitset_thread.rs"]
mod waitset_thread;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use flounder::{Iref, Peer, Shared, SharedWaitset, Waitset, flounder, nameservice};
use waitset_thread::WaitsetThread;

flounder! {
    interface work "Work" {
        rpc double(in uint64 n, out uint64 twice);
    };
}

const DRIVER: &str = "ump";
const CALLS: u64 = 8_000;

fn main() {
    if std::env::var_os("FLOUNDER_RUNTIME_DIR").is_none() {
        return in_own_directory();
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("calls over {DRIVER}, ns a call, {cores} processors");
    let base = best(alone);
    let row = |what: &str, run: &dyn Fn() -> f64| row(what, run, base);
    row("binding alone, one call at a time", &alone);
    row("binding alone, 64 tasks of its waitset", &alone_in_flight);
    for threads in [1, 2, 4] {
        let what = format!("alone, to handlers on {threads} threads");
        row(&what, &|| any_thread(threads));
    }
    for threads in [1, 4] {
        row(&format!("shared, {threads} blocking threads"), &|| shared(threads));
    }
    row("connect, 1 blocking thread", &connected);
    row("connect to serve, 1 blocking thread", &served);
    row("shared, 64 tasks of tokio", &tasks);
    row("connect, 64 tasks of tokio", &connected_tasks);
    row("connect to serve, 64 tasks of tokio", &served_tasks);
    row("shared, 64 tasks of its own waitset", &at_home);
}

/// Runs this program again, where its names are its own.
fn in_own_directory() {
    let dir = tempfile::tempdir().expect("create a temporary directory");
    // The monitor refuses a directory that is open to others, whatever the umask is.
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("it is ours");
    let program = std::env::current_exe().expect("this program has a path");
    let mut again = Command::new(program);
    let again =
        again.args(std::env::args_os().skip(1)).env("FLOUNDER_RUNTIME_DIR", dir.path().join("run"));
    assert!(again.status().expect("start this program").success());
}

/// Prints a row, unless the command line names others by parts of their names.
fn row(what: &str, run: &dyn Fn() -> f64, base: f64) {
    let mut names = std::env::args().skip(1).filter(|name| !name.starts_with('-')).peekable();
    if names.peek().is_none() || names.any(|name| what.contains(&name)) {
        let ns = best(run);
        println!("{what:<44} {ns:>9.0} {:>7.2}", ns / base);
    }
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

fn serve() -> (WaitsetThread, Iref) {
    WaitsetThread::start(|ws| {
        let exported = work::export(ws, |_: &Peer| Ok(Service)).wait();
        exported.expect("it can be exported").iref()
    })
}

fn bind(ws: &Waitset, iref: Iref) -> work::ClientBinding {
    let bind = work::bind(iref, ws, ()).driver(DRIVER);
    bind.wait().expect("the service is there")
}

fn alone() -> f64 {
    let (_service, iref) = serve();
    let ws = Waitset::new();
    let client = work::RpcClient::new(&bind(&ws, iref));
    let started = Instant::now();
    for n in 0..CALLS {
        assert_eq!(client.double(n), Ok(2 * n));
    }
    per(started, CALLS)
}

impl work::Rx<Shared> for Service {
    fn double(&mut self, _: &work::Binding<Shared>, n: u64, reply: work::DoubleReply<Shared>) {
        reply.send(2 * n);
    }
}

/// Calls of one thread, to a service whose waitset so many threads dispatch.
fn any_thread(threads: usize) -> f64 {
    let ws = SharedWaitset::new();
    let ended = AtomicBool::new(false);
    let exported = work::export(&ws, |_: &Peer| Ok(Service)).wait();
    let iref = exported.expect("it can be exported").iref();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| ws.dispatch_until(None, || ended.load(Ordering::Acquire)));
        }
        let own = Waitset::new();
        let client = work::RpcClient::new(&bind(&own, iref));
        let started = Instant::now();
        for n in 0..CALLS {
            assert_eq!(client.double(n), Ok(2 * n));
        }
        let ns = per(started, CALLS);
        ended.store(true, Ordering::Release);
        ws.wake_all();
        ns
    })
}

const TASKS: u64 = 64;

/// The calls of one task, through either kind of client.
macro_rules! calls {
    ($client:expr) => {{
        let client = $client.clone();
        async move {
            for n in 0..CALLS / TASKS {
                assert_eq!(client.double_async(n).await, Ok(2 * n));
            }
        }
    }};
}

fn in_tasks_of<F: Future<Output = ()> + 'static>(ws: &Waitset, calls: impl Fn() -> F) -> f64 {
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS).map(|_| ws.spawn_local(calls())).collect();
    for task in tasks {
        ws.block_on(task).expect("no callback fails");
    }
    per(started, CALLS)
}

fn alone_in_flight() -> f64 {
    let (_service, iref) = serve();
    let ws = Waitset::new();
    let client = work::RpcClient::new(&bind(&ws, iref));
    in_tasks_of(&ws, || calls!(client))
}

fn shared(threads: u64) -> f64 {
    let (_service, iref) = serve();
    let (_client, binding) = WaitsetThread::start(move |ws| bind(ws, iref).shared());
    blocking(&binding, threads)
}

fn blocking(binding: &work::ClientBinding<Shared>, threads: u64) -> f64 {
    let client = work::RpcClient::new(binding);
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
    let (_service, iref) = serve();
    let (_client, binding) = WaitsetThread::start(move |ws| bind(ws, iref).shared());
    in_tokio(&binding)
}

/// With a service that has a waitset of its own.
fn with_connection(calls: impl Fn(&work::ClientBinding<Shared>) -> f64) -> f64 {
    let (_service, iref) = serve();
    nameservice::register("work", iref).wait().expect("register the service");
    let binding = work::connect("work").wait().expect("connect to the service");
    assert_eq!(binding.driver(), DRIVER);
    calls(&binding)
}

/// With a service in the thread of the library, which is that of the client as well.
fn with_service(calls: impl Fn(&work::ClientBinding<Shared>) -> f64) -> f64 {
    let _service = work::serve("served", || Service).wait().expect("serve");
    calls(&work::connect("served").wait().expect("connect to the service"))
}

fn connected() -> f64 {
    with_connection(|binding| blocking(binding, 1))
}

fn connected_tasks() -> f64 {
    with_connection(in_tokio)
}

fn served() -> f64 {
    with_service(|binding| blocking(binding, 1))
}

fn served_tasks() -> f64 {
    with_service(in_tokio)
}

fn in_tokio(binding: &work::ClientBinding<Shared>) -> f64 {
    let client = work::RpcClient::new(binding);
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS).map(|_| runtime.spawn(calls!(client))).collect();
    for task in tasks {
        runtime.block_on(task).expect("it does not panic");
    }
    per(started, CALLS)
}

fn at_home() -> f64 {
    let (_service, iref) = serve();
    let ws = Waitset::new();
    let client = work::RpcClient::new(&bind(&ws, iref).shared());
    in_tasks_of(&ws, || calls!(client))
}
