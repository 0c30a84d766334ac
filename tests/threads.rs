//! Bindings shared by many threads, over real drivers: every call gets its own answer, also when an end closes meanwhile.

#[path = "support/waitset_thread.rs"]
mod waitset_thread;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use flounder::{BindingError, Cap, Iref, Peer, RpcError, TxError, Waitset, flounder, nameservice};
use parking_lot::Mutex;
use waitset_thread::WaitsetThread;

/// The longest that anything may take before its test fails.
const TIMEOUT: Duration = Duration::from_secs(20);

flounder! {
    interface work "Work for many" {
        message note(uint32 from, uint64 number, uint8 data[len, 20000]);
        rpc heard(out uint64 count, out uint64 sum);
        rpc double(in uint64 n, out uint64 twice);
        rpc echo(in string s, out string t);
        /// The capability that was given, back again.
        rpc swap(in give_away_cap there, out give_away_cap back);
        /// Never answered.
        rpc hold(in uint64 n, out uint64 m);
        /// One of three, which are to come with nothing between.
        message part(uint32 from, uint32 group, uint32 part);
        rpc groups(out uint32 whole, out uint32 torn);
    };
}

/// A service that checks the order of the notes of each sender.
#[derive(Default)]
struct Service {
    next: std::collections::HashMap<u32, u64>,
    count: u64,
    sum: u64,
    held: Vec<work::HoldReply>,
    /// The last part, and the groups that were whole and were not.
    last: Option<(u32, u32, u32)>,
    whole: u32,
    torn: u32,
}

impl work::Rx for Service {
    fn note(&mut self, _: &work::Binding, from: u32, number: u64, data: &[u8]) {
        let next = self.next.entry(from).or_default();
        assert_eq!(number, *next, "the notes of {from} are in order");
        *next += 1;
        self.count += 1;
        self.sum += data.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }

    fn heard(&mut self, _: &work::Binding, reply: work::HeardReply) {
        reply.send(self.count, self.sum);
    }

    fn double(&mut self, _: &work::Binding, n: u64, reply: work::DoubleReply) {
        reply.send(2 * n);
    }

    fn echo(&mut self, _: &work::Binding, s: &str, reply: work::EchoReply) {
        reply.send(s);
    }

    fn swap(&mut self, _: &work::Binding, there: Cap, reply: work::SwapReply) {
        reply.send(there);
    }

    fn hold(&mut self, _: &work::Binding, _: u64, reply: work::HoldReply) {
        self.held.push(reply);
    }

    fn part(&mut self, _: &work::Binding, from: u32, group: u32, part: u32) {
        let last = self.last.replace((from, group, part));
        match part {
            0 => {}
            _ if last != Some((from, group, part - 1)) => self.torn += 1,
            2 => self.whole += 1,
            _ => {}
        }
    }

    fn groups(&mut self, _: &work::Binding, reply: work::GroupsReply) {
        reply.send(self.whole, self.torn);
    }

    fn error(&mut self, _: &work::Binding, _: BindingError) {
        self.held.clear();
    }
}

fn serve(ws: &Waitset) -> Iref {
    let exported = work::export(ws, |_: &Peer| Ok(Service::default())).wait();
    exported.expect("it can be exported").iref()
}

fn bind(ws: &Waitset, iref: Iref, driver: &str) -> work::ClientBinding<flounder::Shared> {
    let binding = work::bind(iref, ws, ()).driver(driver).wait();
    let binding = binding.expect("the service is there");
    assert_eq!(binding.driver(), driver);
    binding.shared()
}

/// A service, and a binding to it that any thread may use.
struct Site {
    binding: work::ClientBinding<flounder::Shared>,
    client: WaitsetThread,
    /// None if the client's thread serves, too.
    service: Option<WaitsetThread>,
}

impl Site {
    fn over(driver: &'static str) -> Self {
        let (client, binding, service) = if driver == "loopback" {
            let (both, binding) = WaitsetThread::start(move |ws| {
                let iref = serve(ws);
                bind(ws, iref, driver)
            });
            (both, binding, None)
        } else {
            let (service, iref) = WaitsetThread::start(serve);
            let (client, binding) = WaitsetThread::start(move |ws| bind(ws, iref, driver));
            (client, binding, Some(service))
        };
        Self { binding, client, service }
    }

    fn client(&self) -> work::RpcClient<flounder::Shared> {
        work::RpcClient::new(&self.binding)
    }
}

const DRIVERS: [&str; 5] = ["loopback", "ump", "lmp", "scc", "beehive"];

/// Those that reach other threads and processes.
const FAR: [&str; 4] = ["ump", "lmp", "scc", "beehive"];

/// Runs the closure in this many threads, and returns when all have ended.
fn in_threads(threads: u32, run: impl Fn(u32) + Sync) {
    thread::scope(|scope| {
        let (run, (ended, endings)) = (&run, mpsc::channel());
        for n in 0..threads {
            let ended = ended.clone();
            scope.spawn(move || {
                run(n);
                let _ = ended.send(());
            });
        }
        drop(ended);
        let deadline = Instant::now() + 3 * TIMEOUT;
        for _ in 0..threads {
            let left = deadline.saturating_duration_since(Instant::now());
            if endings.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
                // The scope would wait for them.
                eprintln!("threads are stuck");
                std::process::abort();
            }
        }
    });
}

#[test]
fn many_threads_call_and_get_their_own_answers() {
    for driver in DRIVERS {
        let site = Site::over(driver);
        in_threads(4, |thread| {
            let client = site.client();
            for n in 0..400 {
                let n = u64::from(thread) << 32 | n;
                assert_eq!(client.double(n), Ok(2 * n), "{driver}");
                if n % 8 == 0 {
                    let text = format!("{n} ").repeat((n % 977) as usize);
                    assert_eq!(client.echo(&text), Ok(text), "{driver}");
                }
            }
        });
    }
}

#[test]
fn notes_of_each_thread_come_in_order_and_whole() {
    const NOTES: u64 = 500;
    for driver in DRIVERS {
        let (site, sum) = (Site::over(driver), AtomicU64::new(0));
        in_threads(4, |from| {
            for number in 0..NOTES {
                let data = vec![from as u8; if number % 50 == 0 { 20_000 } else { 9 }];
                sum.fetch_add(data.len() as u64 * u64::from(from), Ordering::Relaxed);
                site.binding.send_note(from, number, &data).wait().expect("the binding lives");
            }
        });
        assert_eq!(site.client().heard(), Ok((4 * NOTES, sum.into_inner())), "{driver}");
    }
}

#[test]
fn capabilities_go_there_and_back() {
    for driver in DRIVERS {
        let site = Site::over(driver);
        in_threads(3, |thread| {
            let client = site.client();
            for n in 0..20 {
                let text = format!("{thread} {n}");
                let mut file = tempfile::tempfile().expect("a file can be made");
                file.write_all(text.as_bytes()).expect("there is room");
                let back = client.swap(file.into()).expect("it is answered");
                let (mut file, mut found) = (File::from(back), String::new());
                file.rewind().expect("it is a file");
                file.read_to_string(&mut found).expect("it is text");
                assert_eq!(found, text, "{driver}");
            }
        });
    }
}

/// What a thread learns that calls until it cannot any more.
fn call_until_the_end(client: &work::RpcClient<flounder::Shared>, hold: bool) -> RpcError {
    let deadline = Instant::now() + TIMEOUT;
    for n in 0.. {
        let result = if hold { client.hold(n) } else { client.double(n) };
        match result {
            Ok(twice) => assert_eq!(twice, 2 * n),
            Err(error) => return error,
        }
        assert!(Instant::now() < deadline, "there is no end");
    }
    unreachable!("the numbers do not run out")
}

/// Many threads call, some without an answer, while an end is closed.
fn interrupted(driver: &'static str, end: impl FnOnce(&mut Site)) -> Option<BindingError> {
    interrupt(Site::over(driver), driver, end)
}

/// Returns the reason why the binding ended.
fn interrupt(mut site: Site, driver: &str, end: impl FnOnce(&mut Site)) -> Option<BindingError> {
    let clients: Vec<_> = (0..6).map(|_| site.client()).collect();
    let calling = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0u32..)
        .zip(clients)
        .map(|(n, client)| {
            let calling = Arc::clone(&calling);
            thread::spawn(move || {
                assert_eq!(client.double(21), Ok(42));
                calling.fetch_add(1, Ordering::Relaxed);
                call_until_the_end(&client, n % 2 == 0)
            })
        })
        .collect();
    let deadline = Instant::now() + TIMEOUT;
    while calling.load(Ordering::Relaxed) < 6 {
        assert!(Instant::now() < deadline, "{driver}: the threads do not begin");
        thread::yield_now();
    }
    end(&mut site);
    for thread in threads {
        while !thread.is_finished() {
            assert!(Instant::now() < deadline, "{driver}: a call hangs");
            thread::yield_now();
        }
        let error = thread.join().expect("it does not panic");
        let is_ended =
            matches!(error, RpcError::Closed(_) | RpcError::NotSent(_) | RpcError::ServiceClosed);
        assert!(is_ended, "{driver}: {error:?}");
    }
    assert_eq!(site.binding.send_note(0, 0, &[]).wait(), Err(TxError::Closed));
    site.binding.ended()
}

#[test]
fn every_call_ends_when_the_waitset_goes() {
    for driver in DRIVERS {
        let why = interrupted(driver, |site| site.client.stop());
        assert_eq!(why, Some(BindingError::Closed));
    }
}

#[test]
fn every_call_ends_when_the_service_goes() {
    for driver in FAR {
        let why = interrupted(driver, |site| drop(site.service.take()));
        assert_eq!(why, Some(BindingError::Closed));
    }
}

/// Which part of the next test a process plays: the client, or the service to be reached over a driver.
const ROLE: &str = "FLOUNDER_TEST_ROLE";

#[test]
fn every_call_ends_when_the_process_of_the_service_is_killed() {
    let part = |role: &str| {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        let name = "every_call_ends_when_the_process_of_the_service_is_killed";
        command.args([name, "--exact"]).env(ROLE, role);
        command
    };
    match std::env::var(ROLE).as_deref() {
        Ok("client") => {
            for driver in FAR {
                let mut service = part(driver).spawn().expect("it can be started");
                let iref = nameservice::blocking_lookup(driver).timeout(TIMEOUT).wait();
                let iref = iref.expect("it is registered");
                let (client, binding) = WaitsetThread::start(move |ws| bind(ws, iref, driver));
                let site = Site { binding, client, service: None };
                let why = interrupt(site, driver, |_| service.kill().expect("it lives"));
                assert_eq!(why, Some(BindingError::PeerDied), "{driver}");
                service.wait().expect("it is a child");
            }
        }
        Ok(driver) => {
            let ws = Waitset::current();
            // One name for each driver: that of a service that was killed may be there for a while.
            nameservice::register(driver, serve(&ws)).wait().expect("the name is free");
            while ws.dispatch().is_ok() {}
        }
        Err(_) => {
            let dir = tempfile::tempdir().expect("a directory can be made");
            let mut client = part("client");
            let status = client.env("FLOUNDER_RUNTIME_DIR", dir.path().join("run")).status();
            assert!(status.expect("it can be started").success());
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(3).enable_time().build().expect("threads can be started")
}

#[test]
fn tasks_of_tokio_call_from_any_thread() {
    for driver in DRIVERS {
        let site = Site::over(driver);
        runtime().block_on(async {
            let tasks: Vec<_> = (0..100u64)
                .map(|n| {
                    let client = site.client();
                    tokio::spawn(async move {
                        for m in 0..10 {
                            assert_eq!(client.double_async(n * m).await, Ok(2 * n * m));
                        }
                        client.echo_async(&n.to_string()).await
                    })
                })
                .collect();
            let all = async {
                for (n, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.await.expect("it does not panic"), Ok(n.to_string()));
                }
            };
            tokio::time::timeout(TIMEOUT, all).await.expect("all are answered");
        });
    }
}

#[test]
fn cancelled_futures_disturb_no_others() {
    for driver in DRIVERS {
        let site = Site::over(driver);
        runtime().block_on(async {
            for round in 0..20u64 {
                let mut tasks = Vec::new();
                for n in 0..100u64 {
                    let (client, binding) = (site.client(), site.binding.clone());
                    tasks.push(tokio::spawn(async move {
                        let patience = Duration::from_micros(n * 10);
                        match n % 3 {
                            0 => {
                                let held = client.hold_async(n);
                                assert!(tokio::time::timeout(patience, held).await.is_err());
                            }
                            1 => {
                                let asked = client.double_async(n);
                                if let Ok(answer) = tokio::time::timeout(patience, asked).await {
                                    assert_eq!(answer, Ok(2 * n));
                                }
                            }
                            _ => {
                                // One sender each: sent or not, it comes first.
                                let from = (round * 100 + n) as u32;
                                let note = binding.send_note(from, 0, &[1; 3000]);
                                let _ = tokio::time::timeout(patience, note).await;
                            }
                        }
                    }));
                }
                for task in tasks {
                    task.await.expect("it does not panic");
                }
            }
            let asked = site.client().double_async(4);
            let answer = tokio::time::timeout(TIMEOUT, asked).await.expect("it is answered");
            assert_eq!(answer, Ok(8), "{driver}");
        });
    }
}

const GROUPS: u32 = 200;

#[test]
fn message_groups_of_blocking_sends_are_not_interleaved() {
    for driver in DRIVERS {
        let site = Site::over(driver);
        let line = Mutex::new(site.binding.clone());
        in_threads(4, |from| {
            for group in 0..GROUPS {
                let binding = line.lock();
                for part in 0..3 {
                    binding.send_part(from, group, part).wait().expect("the binding lives");
                }
            }
        });
        assert_eq!(site.client().groups(), Ok((4 * GROUPS, 0)), "{driver}");
    }
}

#[test]
fn message_groups_of_awaited_sends_are_not_interleaved() {
    for driver in DRIVERS {
        let site = Site::over(driver);
        let line = Arc::new(tokio::sync::Mutex::new(site.binding.clone()));
        runtime().block_on(async {
            let tasks: Vec<_> = (0..4)
                .map(|from| {
                    let line = Arc::clone(&line);
                    tokio::spawn(async move {
                        for group in 0..GROUPS {
                            let binding = line.lock().await;
                            for part in 0..3 {
                                let sent = binding.send_part(from, group, part).await;
                                sent.expect("the binding lives");
                            }
                        }
                    })
                })
                .collect();
            for task in tasks {
                let end = tokio::time::timeout(TIMEOUT, task).await;
                end.expect("it goes on").expect("it does not panic");
            }
        });
        assert_eq!(site.client().groups(), Ok((4 * GROUPS, 0)), "{driver}");
    }
}

#[test]
fn calls_time_out_in_any_thread_and_any_runtime() {
    let short = Duration::from_millis(5);
    for driver in DRIVERS {
        let site = Site::over(driver);
        let soon = || Instant::now() + short;
        in_threads(2, |_| {
            let client = site.client();
            assert_eq!(client.timeout(short).hold(1), Err(RpcError::Deadline), "{driver}");
            assert_eq!(client.deadline(soon()).hold(1), Err(RpcError::Deadline), "{driver}");
            let held = client.hold_async(1).timeout(short).wait();
            assert_eq!(held, Err(RpcError::Deadline), "{driver}");
            assert_eq!(client.timeout(TIMEOUT).double(4), Ok(8), "{driver}");
        });
        runtime().block_on(async {
            let tasks: Vec<_> = (0..20)
                .map(|n: u64| {
                    let client = site.client();
                    tokio::spawn(async move {
                        let held = match n % 4 {
                            0 => client.timeout(short).hold_async(n).await,
                            1 => client.deadline(Instant::now() + short).hold_async(n).await,
                            2 => client.hold_async(n).timeout(short).await,
                            _ => client.hold_async(n).deadline(Instant::now() + short).await,
                        };
                        assert_eq!(held, Err(RpcError::Deadline));
                        assert_eq!(client.timeout(TIMEOUT).double_async(n).await, Ok(2 * n));
                    })
                })
                .collect();
            for task in tasks {
                let end = tokio::time::timeout(TIMEOUT, task).await;
                end.expect("the clock is watched").expect("it does not panic");
            }
        });
    }
}
