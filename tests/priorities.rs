//! Priorities: events of a higher one are served first, and none starves. Counted in events and messages, so that no clock
//! and no load of the machine is in it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flounder::drivers::{lmp::Lmp, loopback::Loopback, ump::Ump};
use flounder::{Outcome, Peer, Priority, Shared, SharedWaitset, Waitset};
use flounder_conformance::TestLink;
use flounder_rt::channel::{Channel, Connector, End};
use flounder_rt::notify::Notifier;

flounder::flounder! {
    interface work "Numbered pieces of work" {
        message item(uint64 n);
        rpc add(in uint64 a, in uint64 b, out uint64 c);
    };
}

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

const DRIVERS: [&str; 4] = ["ump", "ump between processes", "lmp", "loopback"];

/// Events of other priorities after which one of normal, and one of low priority is served. An event is one message here,
/// or up to 32 of a stream.
const NORMAL_WAITS: usize = 9;
const LOW_WAITS: usize = 64;
const RUN: usize = 32;

/// What was received: which binding, and which message.
type Seen = Rc<RefCell<Vec<(usize, u64)>>>;

/// One binding of the waitset under test, and its client.
struct Load {
    client: work::ClientBinding,
    served: work::Binding,
    next: u64,
    /// A binding ends with its waitset.
    _clients: Waitset,
}

struct Items(usize, Seen);

impl work::Rx for Items {
    fn item(&mut self, _: &work::Binding, n: u64) {
        self.1.borrow_mut().push((self.0, n));
    }

    fn add(&mut self, _: &work::Binding, a: u64, b: u64, reply: work::AddReply) {
        self.1.borrow_mut().push((self.0, a));
        reply.send(a + b);
    }
}

impl Load {
    fn new(driver: &str, ws: &Waitset, who: usize, seen: &Seen) -> Self {
        let (client, service) = pair(driver);
        let clients = if driver == "loopback" { ws.clone() } else { Waitset::new() };
        let items = Items(who, Rc::clone(seen));
        Self {
            client: work::over(client, &clients, ()).expect("the channel is new"),
            served: work::over(service, ws, items).expect("the channel is new"),
            next: 0,
            _clients: clients,
        }
    }

    fn send(&mut self, count: u64) {
        for _ in 0..count {
            self.client.tx_item(self.next).expect("there is room");
            self.next += 1;
        }
    }
}

fn pair(driver: &str) -> (Box<dyn Channel>, Box<dyn Channel>) {
    let end = || End { notifier: Notifier::new(), connection: 0, buffer: 0 };
    match driver {
        "loopback" => Loopback.pair_local(&end(), &end()).expect("it reaches this thread"),
        "ump between processes" => {
            let (here, there) = TestLink::pair();
            let (client, service) = TestLink::connect_over(&Ump, &end(), &end(), &here, &there);
            (client, service)
        }
        "lmp" => {
            let (client, service) = Lmp.pair(&end(), &end()).expect("it reaches this process");
            (client, service)
        }
        _ => {
            let (client, service) = Ump.pair(&end(), &end()).expect("it reaches this process");
            (client, service)
        }
    }
}

/// A waitset with bindings of these priorities, each of which has had a message.
fn loads(driver: &str, priorities: &[Priority]) -> (Waitset, Vec<Load>, Seen) {
    let (ws, seen) = (Waitset::new(), Seen::default());
    let mut loads: Vec<_> =
        (0..priorities.len()).map(|who| Load::new(driver, &ws, who, &seen)).collect();
    for (load, priority) in loads.iter_mut().zip(priorities) {
        load.served.set_priority(*priority);
        load.send(1);
    }
    dispatch_until(&ws, || seen.borrow().len() == priorities.len());
    // Each has been visited in vain since.
    while ws.try_dispatch().expect("the waitset works") {}
    seen.borrow_mut().clear();
    (ws, loads, seen)
}

fn dispatch_until(ws: &Waitset, done: impl FnMut() -> bool) {
    let deadline = Some(Instant::now() + PATIENCE);
    assert!(ws.dispatch_until(deadline, done).expect("the waitset works"));
}

/// Runs one event while all loads have something to do, and returns the loads whose messages it has delivered.
fn event(ws: &Waitset, loads: &mut [Load], seen: &Seen) -> Vec<usize> {
    seen.borrow_mut().clear();
    let deadline = Instant::now() + PATIENCE;
    while seen.borrow().is_empty() {
        assert!(ws.try_dispatch().expect("the waitset works") || Instant::now() < deadline);
    }
    let served: Vec<_> = seen.borrow().iter().map(|(who, _)| *who).collect();
    for who in &served {
        loads[*who].send(1);
    }
    served
}

/// The most events in a row without one of `who`.
fn longest_wait(events: &[usize], who: usize) -> usize {
    events.split(|other| *other == who).map(<[_]>::len).max().unwrap_or(0)
}

#[test]
fn what_has_come_is_served_by_priority() {
    for driver in DRIVERS {
        let priorities = [Priority::Low, Priority::Normal, Priority::High, Priority::Normal];
        let (ws, mut loads, seen) = loads(driver, &priorities);
        for _ in 0..100 {
            // A binding with a descriptor is visited until it has nothing: then the descriptors of all are looked at.
            while ws.try_dispatch().expect("the waitset works") {}
            seen.borrow_mut().clear();
            loads.iter_mut().for_each(|load| load.send(1));
            dispatch_until(&ws, || seen.borrow().len() == 4);
            let order: Vec<_> = seen.borrow().iter().map(|(who, _)| *who).collect();
            let at = |who| order.iter().position(|other| *other == who);
            assert!(at(2) < at(1) && at(2) < at(3), "{driver}: {order:?}");
            assert!(at(0) == Some(3), "{driver}: {order:?}");
        }
    }
}

#[test]
fn a_flood_of_high_priority_starves_none() {
    for driver in DRIVERS {
        let (ws, mut loads, seen) =
            loads(driver, &[Priority::Low, Priority::Normal, Priority::High]);
        for load in &mut loads {
            load.send(40);
        }
        let mut events = Vec::new();
        while events.len() < 3000 {
            let served = event(&ws, &mut loads, &seen);
            assert!(served.len() <= RUN && served.iter().all(|who| *who == served[0]));
            events.push(served[0]);
        }
        // What lmp has to report is found when the descriptors are looked at, once in 64 messages.
        let found = if driver == "lmp" { 64 } else { 0 };
        assert!(longest_wait(&events, 1) <= NORMAL_WAITS + found, "{driver}");
        assert!(longest_wait(&events, 0) <= LOW_WAITS + found, "{driver}");
        let of = |who| events.iter().filter(|other| **other == who).count();
        assert!(of(2) > 5 * of(1) && of(1) > 5 * of(0) && of(0) > 0, "{driver}");
    }
}

#[test]
fn many_bindings_of_low_priority_take_turns() {
    for driver in DRIVERS {
        let mut priorities = vec![Priority::Low; 10];
        priorities.push(Priority::Normal);
        let (ws, mut loads, seen) = loads(driver, &priorities);
        loads.iter_mut().for_each(|load| load.send(40));
        let events: Vec<_> = (0..6000).map(|_| event(&ws, &mut loads, &seen)[0]).collect();
        for low in 0..10 {
            let wait = longest_wait(&events, low);
            assert!(wait <= 10 * (LOW_WAITS + 1) + 64, "{driver}: {wait} events");
        }
    }
}

#[test]
fn tasks_are_served_beside_a_flood_of_high_priority() {
    let (ws, mut loads, seen) = loads("ump", &[Priority::High]);
    loads[0].send(40);
    for _ in 0..100 {
        let ran = Rc::new(RefCell::new(false));
        let set = Rc::clone(&ran);
        ws.post(move |_| -> Outcome {
            *set.borrow_mut() = true;
            Ok(())
        });
        let mut events = 0;
        while !*ran.borrow() {
            seen.borrow_mut().clear();
            ws.dispatch().expect("the waitset works");
            let served = seen.borrow().len();
            loads[0].send(served as u64);
            events += 1;
        }
        assert!(events <= NORMAL_WAITS + 1, "{events} events");
    }
}

#[test]
fn a_priority_is_kept_where_the_binding_moves() {
    for driver in DRIVERS {
        let (ws, mut loads, seen) = loads(driver, &[Priority::Low, Priority::High]);
        let elsewhere = Waitset::new();
        for load in &loads {
            load.served.change_waitset(&elsewhere).expect("it can be watched");
        }
        assert!(!ws.try_dispatch().expect("the waitset works"));
        while elsewhere.try_dispatch().expect("the waitset works") {}
        loads.iter_mut().for_each(|load| load.send(1));
        dispatch_until(&elsewhere, || seen.borrow().len() == 2);
        assert_eq!(seen.borrow()[0].0, 1, "{driver}");
    }
}

#[test]
fn calls_are_answered_whatever_their_priority() {
    let (ws, loads, _) = loads("ump", &[Priority::Low, Priority::Normal, Priority::High]);
    let clients: Vec<_> =
        loads.iter().map(|load| work::RpcClient::new(&load.client.shared())).collect();
    let done = Arc::new(Mutex::new(0));
    std::thread::scope(|scope| {
        for client in clients {
            let done = Arc::clone(&done);
            scope.spawn(move || {
                for n in 0..100 {
                    assert_eq!(client.add(n, 1).expect("it is answered"), n + 1);
                }
                *done.lock().expect("nobody panics") += 1;
            });
        }
        let all = || *done.lock().expect("nobody panics") == 3;
        let deadline = Instant::now() + PATIENCE;
        while !all() {
            assert!(Instant::now() < deadline);
            let _ = ws.try_dispatch().expect("the waitset works");
            for load in &loads {
                let _ = load._clients.try_dispatch().expect("the waitset works");
            }
        }
    });
}

#[test]
fn any_thread_sets_a_priority() {
    let (ws, mut loads, seen) = loads("ump", &[Priority::Normal, Priority::Normal]);
    let handle = loads[1].served.shared();
    for (priority, first) in [(Priority::High, 1), (Priority::Low, 0)] {
        std::thread::scope(|scope| scope.spawn(|| handle.set_priority(priority)).join())
            .expect("it does not panic");
        while ws.try_dispatch().expect("the waitset works") {}
        for _ in 0..10 {
            seen.borrow_mut().clear();
            loads.iter_mut().for_each(|load| load.send(1));
            dispatch_until(&ws, || seen.borrow().len() == 2);
            assert_eq!(seen.borrow()[0].0, first, "{priority:?}");
        }
    }
}

/// Handlers for any thread, which give their binding its priority when the first message comes.
struct SharedItems(usize, Arc<Mutex<Vec<usize>>>);

impl work::Rx<Shared> for SharedItems {
    fn item(&mut self, binding: &work::Binding<Shared>, n: u64) {
        if n == 0 {
            binding.set_priority([Priority::Low, Priority::Normal, Priority::High][self.0]);
        }
        self.1.lock().expect("nobody panics").push(self.0);
    }

    fn add(&mut self, _: &work::Binding<Shared>, a: u64, b: u64, reply: work::AddReply<Shared>) {
        reply.send(a + b);
    }
}

#[test]
fn a_shared_waitset_serves_by_priority_and_starves_none() {
    let (ws, seen) = (SharedWaitset::new(), Arc::<Mutex<Vec<usize>>>::default());
    let (mut count, noted) = (0, Arc::clone(&seen));
    let connect = move |_: &Peer| {
        count += 1;
        Ok(SharedItems(count - 1, Arc::clone(&noted)))
    };
    let is_bound = AtomicBool::new(false);
    let clients = std::thread::scope(|scope| {
        // One thread admits the clients; the test is the only one that dispatches afterwards.
        scope.spawn(|| {
            let deadline = Some(Instant::now() + PATIENCE);
            ws.dispatch_until(deadline, || is_bound.load(Ordering::Acquire)).expect("it works");
        });
        let exported = work::export(&ws, connect).wait().expect("export the service");
        let clients = [(); 3].map(|()| {
            let own = Waitset::new();
            let bind = work::bind(exported.iref(), &own, ());
            (bind.wait().expect("bind"), own)
        });
        is_bound.store(true, Ordering::Release);
        ws.wake_all();
        clients
    });
    let mut next = 0;
    let mut event = |sends: &[usize]| {
        for who in sends {
            clients[*who].0.tx_item(next / 3).expect("there is room");
            next += 1;
        }
        let (before, deadline) =
            (seen.lock().expect("nobody panics").len(), Instant::now() + PATIENCE);
        loop {
            let _ = ws.try_dispatch().expect("it works");
            let seen = seen.lock().expect("nobody panics");
            if seen.len() > before {
                return seen[before];
            }
            assert!(Instant::now() < deadline);
        }
    };
    // The first message of each sets the priority.
    event(&[0, 1, 2]);
    (0..2).for_each(|_| _ = event(&[]));
    event(&[0, 1, 2]);
    let mut last = 0;
    (0..40).for_each(|_| last = event(&[0, 1, 2]));
    let events: Vec<_> = (0..3000)
        .map(|_| {
            last = event(&[last]);
            last
        })
        .collect();
    assert!(longest_wait(&events, 1) <= NORMAL_WAITS);
    assert!(longest_wait(&events, 0) <= LOW_WAITS);
    let of = |who| events.iter().filter(|other| **other == who).count();
    assert!(of(2) > 5 * of(1) && of(1) > 5 * of(0) && of(0) > 0, "{} {} {}", of(0), of(1), of(2));
}
