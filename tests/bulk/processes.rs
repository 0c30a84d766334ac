//! Pools between processes, which fork and are killed.

use super::*;
use crate::lost::{
    slot_of_a_message_that_is_lost_comes_back, slot_of_a_message_that_may_not_leave_comes_back,
};

/// The process of a service.
struct OtherProcess {
    child: Child,
    iref: Iref,
}

impl OtherProcess {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", "processes::service_process", "--nocapture"])
            .env(ROLE, "service")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let out = child.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(out).lines();
        let iref = loop {
            let line = lines.next().expect("a line").expect("it can be read");
            if let Some(bits) = line.split("iref=").nth(1) {
                break bits.trim().parse().expect("a number");
            }
        };
        Self { child, iref: Iref::from_bits(iref).expect("not 0") }
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn service_process() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let ws = Waitset::current();
    let exported = frames::export(&ws, |_: &Peer| Ok(Service::default())).wait();
    let exported = exported.expect("it can be exported");
    flounder::monitor::publish(exported.iref()).wait().expect("there is a monitor");
    println!("iref={}", exported.iref().to_bits());
    loop {
        ws.dispatch().expect("no callback fails");
    }
}

#[test]
fn pools_between_processes() {
    if std::env::var_os(ROLE).is_some() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory can be made");
    let status = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "processes::client_process", "--nocapture"])
        .env(ROLE, "client")
        .env("FLOUNDER_RUNTIME_DIR", dir.path().join("run"))
        .status()
        .expect("this program can be started");
    assert!(status.success());
}

#[test]
fn client_process() {
    if std::env::var(ROLE).as_deref() != Ok("client") {
        return;
    }
    let service = OtherProcess::start();
    for driver in ["ump", "lmp", "scc", "beehive"] {
        let client = Client::new(service.iref, driver);
        everything(&client, "slot");
        calls_carry_bulk_data_as_messages_do(&client);
        slots_of_calls_that_are_not_sent_come_back(&client);
        slot_of_a_message_that_is_lost_comes_back(&client);
        slot_of_a_message_that_may_not_leave_comes_back(&client);
        kept_slots_are_free_once_dropped(&client);
        pool_outlives_the_messages_that_name_its_slots(&client);
        refused_send_gives_the_buffer_back(&client);
    }
    forked_child_has_no_slots(&Client::new(service.iref, "ump"));
    idle_pool_is_one_mapping(&Client::new(service.iref, "ump"));
    death_of_the_reader_closes_the_pool(service);
    killed_peer_leaves_nothing_behind();
}

/// In a child of a process of several threads: pools are closed, buffers and slots are empty, nothing is mapped, and no drop
/// waits for a thread that the child does not have.
fn forked_child_has_no_slots(client: &Client) {
    let pool = client.open(Slots { count: 4, bytes: 4096 });
    let rpc = frames::RpcClient::new(&client.binding);
    let deadline = Instant::now() + TIMEOUT;
    let kept = loop {
        let (_, kept) = rpc.echo(&filled(60_000, 1), true).expect("an answer");
        if way(&kept) == "slot" {
            break kept;
        }
        assert!(Instant::now() < deadline, "in time: the service has a pool");
    };
    let buffer = takes(&pool, 4096, 1);
    let (start, stop) = (buffer.as_ptr().addr(), AtomicBool::new(false));
    let slots = RefCell::new(Some((buffer, kept, pool.clone())));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drop(pool.take(1));
            }
        });
        for _ in 0..50 {
            // SAFETY:
            // * The child uses nothing that another thread may have locked, which is what this test is about; it ends by
            //   `_exit`.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let (buffer, kept, pool) = slots.take().expect("it has a copy of everything");
                let is_empty = buffer.is_empty() && kept.to_vec().iter().all(|byte| *byte == 0);
                let is_closed = pool.take(1).err() == Some(PoolError::Closed) && !pool.is_open();
                let is_refused = Pool::new(&client.binding, Slots::default()).is_err();
                drop((buffer, kept, pool));
                let has_none = is_empty && is_closed && is_refused && !is_mapped(start);
                // SAFETY:
                // * It ends the child, which has nothing to clean up.
                unsafe { libc::_exit(i32::from(!has_none)) };
            }
            let child = Pid::from_raw(child).expect("a child");
            let status = loop {
                if let Some((_, status)) =
                    waitpid(Some(child), WaitOptions::NOHANG).expect("it is ours")
                {
                    break status.exit_status();
                }
                assert!(Instant::now() < deadline, "in time: the child ends");
                std::thread::yield_now();
            };
            assert_eq!(status, Some(0));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (buffer, kept, _) = slots.take().expect("the children had their own");
    assert_eq!(sum_of(&kept), sum(&filled(60_000, 1)), "the parent has everything");
    assert_eq!(&buffer[..], filled(4096, 1));
}

fn idle_pool_is_one_mapping(client: &Client) {
    let (descriptors, mappings) = resources();
    let pool = client.open(Slots { count: 4, bytes: 65_536 });
    let settles = |expected: (usize, usize)| {
        // The descriptor is closed a moment later, by another thread, which is no event here.
        let deadline = Instant::now() + TIMEOUT;
        while resources() != expected {
            assert!(Instant::now() < deadline, "{:?} is not {expected:?} in time", resources());
            let tick = Some(Instant::now() + Duration::from_millis(10));
            client.ws.dispatch_until(tick, || false).expect("no callback fails");
        }
    };
    settles((descriptors, mappings + 1));
    drop(pool);
    settles((descriptors, mappings));
}

fn is_mapped(address: usize) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it can be read");
    maps.lines().any(|line| {
        let (start, rest) = line.split_once('-').expect("a range");
        let end = rest.split(' ').next().expect("a range");
        let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).expect("a number"));
        (start..end).contains(&address)
    })
}

/// Descriptors, and mappings of memory of channels and pools.
fn resources() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it can be read");
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("it can be read").count();
    (descriptors, maps.lines().filter(|line| line.contains("memfd:flounder")).count())
}

/// A peer takes, fills, sends, calls, keeps and releases slots in both directions until it is killed, wherever it is then.
fn killed_peer_leaves_nothing_behind() {
    let (ws, received) = (Waitset::current(), Rc::new(Cell::new(0)));
    let theirs = Rc::clone(&received);
    let exported = frames::export(&ws, move |_: &Peer| {
        let received = Rc::clone(&theirs);
        Ok(Service { received, ..Service::default() })
    });
    let exported = exported.wait().expect("it can be exported");
    flounder::monitor::publish(exported.iref()).wait().expect("there is a monitor");
    let mut before = (usize::MAX, 0);
    for kill_at in 0..30 {
        received.set(0);
        let mut peer = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", "processes::busy_process", "--nocapture"])
            .env(ROLE, ["ump", "lmp", "scc"][kill_at % 3])
            .env(IREF, exported.iref().to_bits().to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("this program can be started");
        // What is closed by another thread is no event here.
        let until = |what: &str, done: &dyn Fn() -> bool| {
            let deadline = Instant::now() + TIMEOUT;
            while !done() {
                let (tick, now) = (Duration::from_millis(10), Instant::now());
                assert!(now < deadline, "in time: {what}; {:?}, before {before:?}", resources());
                ws.dispatch_until(Some(now + tick), done).expect("no callback fails");
            }
        };
        until("frames", &|| received.get() > 3 * kill_at);
        peer.kill().expect("it runs");
        peer.wait().expect("it is ours");
        let is_settled = || {
            let (descriptors, mappings) = resources();
            mappings <= before.1 && descriptors <= before.0
        };
        until("nothing is left", &is_settled);
        // The first ones leave what the monitor and the threads of the library keep for others.
        if kill_at == 3 {
            before = resources();
        }
    }
}

#[test]
fn busy_process() {
    let Ok(iref) = std::env::var(IREF) else { return };
    let driver = std::env::var(ROLE).expect("it is set");
    let iref = Iref::from_bits(iref.parse().expect("a number")).expect("not 0");
    let client = Client::new(iref, &driver);
    let (rpc, mut kept) = (frames::RpcClient::new(&client.binding), VecDeque::new());
    let pool = client.open(Slots { count: 4, bytes: 65_536 });
    for seq in 0.. {
        let mut buffer = client.run(pool.taken(60_000)).expect("it comes back");
        fill(&mut buffer, seq);
        client.run(client.binding.send_frame(seq, buffer)).expect("it is accepted");
        client.run(client.binding.send_keep(seq % 3 > 0)).expect("it is accepted");
        let mut buffer = client.run(pool.taken(60_000)).expect("it comes back");
        fill(&mut buffer, seq);
        kept.push_back(rpc.echo(buffer, true).expect("an answer"));
        if kept.len() > 3 {
            kept.pop_front();
        }
    }
}

fn death_of_the_reader_closes_the_pool(mut service: OtherProcess) {
    let client = Client::new(service.iref, "ump");
    let pool = client.open(Slots { count: 1, bytes: 64 });
    client.run(client.binding.send_keep(true)).expect("it is accepted");
    let buffer = takes(&pool, 64, 1);
    client.run(client.binding.send_frame(1, buffer)).expect("it is accepted");
    let _ = client.report();
    assert_eq!(pool.take(1).err(), Some(PoolError::Busy));
    let is_over = Cell::new(false);
    service.child.kill().expect("it runs");
    client.run(async {
        assert_eq!(pool.taken(1).await.err(), Some(PoolError::Closed));
        is_over.set(true);
    });
    assert!(is_over.get());
}
