//! A waitset inside another event loop: no wake-up is lost, over any driver.

use flounder_test_support as support;
use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use flounder::event::Remote;
use flounder::{Control, Iref, Peer, Waitset};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use support::protocol::Driver;
use support::{DRIVERS, TIMEOUT, TestSystem};

flounder::flounder! {
    interface echo "To wait for" {
        message ping(uint32 n);
        message pong(uint32 n);
        // Has the service send a pong, a moment later, and answers at once.
        rpc arrange(in uint32 n, out uint32 same);
    };
}

/// Nothing happens for so long where nothing is to happen.
const MOMENT: Duration = Duration::from_millis(50);

#[test]
fn test_process() {
    support::process::run();
}

/// An event loop with a waitset in it.
struct Loop {
    epoll: OwnedFd,
    ws: Waitset,
}

impl Loop {
    fn new(ws: &Waitset, trigger: EventFlags) -> Self {
        let epoll = epoll::create(CreateFlags::CLOEXEC).expect("a descriptor");
        epoll::add(&epoll, ws, EventData::new_u64(0), EventFlags::IN | trigger)
            .expect("it can be watched");
        Self { epoll, ws: ws.clone() }
    }

    /// Waits for readability; returns true if it came in time.
    fn wait(&self, time: Duration) -> bool {
        let time = Timespec {
            tv_sec: i64::try_from(time.as_secs()).expect("it is short"),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        let mut events = [const { MaybeUninit::uninit() }; 4];
        let (ready, _) =
            epoll::wait(&self.epoll, &mut events, Some(&time)).expect("it can be waited for");
        !ready.is_empty()
    }

    /// Runs what there is, until the loop may wait.
    fn come_to_rest(&self) {
        loop {
            while self.ws.try_dispatch().expect("no callback fails") {}
            if self.ws.prepare_wait().expect("there are descriptors") {
                return;
            }
        }
    }

    #[track_caller]
    fn run_until(&self, what: &str, done: impl Fn() -> bool) {
        loop {
            self.come_to_rest();
            if done() {
                return;
            }
            assert!(self.wait(TIMEOUT), "nothing wakes the loop that waits for {what}");
        }
    }
}

/// Answers each ping with a pong.
struct Service(Waitset);

impl echo::Rx for Service {
    fn ping(&mut self, binding: &echo::Binding, n: u32) {
        binding.tx_pong(n).expect("it has room for one");
    }

    fn pong(&mut self, _: &echo::Binding, _: u32) {}

    fn arrange(&mut self, binding: &echo::Binding, n: u32, reply: echo::ArrangeReply) {
        reply.send(n);
        let binding = binding.clone();
        self.0.after(Duration::from_millis(2), move |_| {
            binding.tx_pong(n).expect("it has room for one");
            Ok(())
        });
    }
}

fn export(ws: &Waitset) -> Iref {
    let theirs = ws.clone();
    let export = echo::export(ws, move |_: &Peer| Ok(Service(theirs.clone())));
    export.wait().expect("it can be exported").iref()
}

/// A service whose thread waits in a loop of its own.
struct Elsewhere {
    iref: Iref,
    remote: Arc<Remote>,
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Elsewhere {
    fn new(trigger: EventFlags) -> Self {
        let (sender, receiver) = channel();
        let over = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let ws = Waitset::current();
            sender.send((export(&ws), ws.remote())).expect("the test waits");
            Loop::new(&ws, trigger).run_until("the end", || theirs.load(Ordering::Acquire));
        });
        let (iref, remote) = receiver.recv_timeout(TIMEOUT).expect("it can be exported");
        Self { iref, remote, over, thread: Some(thread) }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.remote.post(|_| Ok(()));
        let end = self.thread.take().map(thread::JoinHandle::join);
        assert!(thread::panicking() || end.is_some_and(|end| end.is_ok()));
    }
}

/// The pongs that have come.
type Pongs = Rc<RefCell<Vec<u32>>>;

fn bind(iref: Iref, ws: &Waitset, driver: Driver, pongs: &Pongs) -> echo::ClientBinding {
    let pongs = Rc::clone(pongs);
    let vtbl = echo::ClientRxVtbl {
        pong: Some(Box::new(move |_: &echo::ClientBinding, n| pongs.borrow_mut().push(n))),
        ..echo::ClientRxVtbl::default()
    };
    let bind = echo::bind(iref, ws, vtbl).timeout(TIMEOUT).driver(driver.name());
    bind.wait().expect("the service is there")
}

#[test]
fn no_message_between_threads_is_missed_by_a_sleeper() {
    const ROUNDS: u32 = 3000;
    for driver in DRIVERS {
        for trigger in [EventFlags::empty(), EventFlags::ET] {
            let service = Elsewhere::new(trigger);
            let (ws, pongs) = (Waitset::new(), Pongs::default());
            let outer = Loop::new(&ws, trigger);
            let binding = bind(service.iref, &ws, driver, &pongs);
            for n in 0..ROUNDS {
                outer.come_to_rest();
                // The loop is about to wait; another task of this thread sends.
                binding.tx_ping(n).expect("it has room for one");
                // Sometimes the answer is there before the loop waits, sometimes after.
                (0..n % 64 * 32).for_each(|_| core::hint::spin_loop());
                outer.run_until("a pong", || pongs.borrow().len() > n as usize);
            }
            assert!(pongs.borrow().iter().copied().eq(0..ROUNDS), "over {driver}");
            assert!(!outer.wait(MOMENT), "over {driver}: a quiet loop is woken");
        }
    }
}

#[test]
fn end_that_hands_over_is_not_woken_when_its_message_is_read() {
    const CALLS: u32 = 200;
    let service = Elsewhere::new(EventFlags::ET);
    let (ws, pongs) = (Waitset::new(), Pongs::default());
    let outer = Loop::new(&ws, EventFlags::ET);
    let binding = bind(service.iref, &ws, Driver::Lmp, &pongs);
    binding.control(Control::SetSync).expect("it is open");
    // The waitset learns in a call that waits that it blocks at once, and at the next report that the report is of no use.
    // Where this thread loses its processor for a moment, the answer is there and the call does not wait: one of many will.
    for n in 0..CALLS {
        assert_eq!(echo::RpcClient::new(&binding).arrange(n), Ok(n));
    }
    outer.run_until("pongs", || pongs.borrow().len() == CALLS as usize);
    outer.come_to_rest();
    // The service does not answer this.
    binding.tx_pong(1).expect("it has room for one");
    outer.wait(MOMENT);
    outer.come_to_rest();
    binding.tx_pong(2).expect("it has room for one");
    assert!(!outer.wait(MOMENT), "a quiet loop is woken");
    binding.tx_ping(3).expect("it has room for one");
    outer.run_until("a pong", || pongs.borrow().len() > CALLS as usize);
}

#[test]
fn both_ends_in_one_loop() {
    let (ws, pongs) = (Waitset::new(), Pongs::default());
    let iref = export(&ws);
    let outer = Loop::new(&ws, EventFlags::ET);
    for driver in [Driver::Loopback, Driver::Ump, Driver::Lmp] {
        let binding = bind(iref, &ws, driver, &pongs);
        for n in 0..200 {
            outer.come_to_rest();
            binding.tx_ping(n).expect("it has room for one");
            outer.run_until("a pong", || pongs.borrow().len() > n as usize);
        }
        pongs.borrow_mut().clear();
    }
}

#[test]
fn a_blocking_call_of_another_task_leaves_the_loop_awake() {
    for driver in DRIVERS {
        let service = Elsewhere::new(EventFlags::empty());
        let (ws, pongs) = (Waitset::new(), Pongs::default());
        let binding = bind(service.iref, &ws, driver, &pongs);
        let client = echo::RpcClient::new(&binding);
        // The call goes to sleep at once, or finds its answer when it is about to.
        ws.set_spin(Duration::ZERO);
        for trigger in [EventFlags::empty(), EventFlags::ET] {
            let outer = Loop::new(&ws, trigger);
            for n in 0..100 {
                outer.come_to_rest();
                assert_eq!(client.arrange(n), Ok(n), "over {driver}");
                // As a loop that was waiting all the time: it does not know of the call.
                assert!(outer.wait(TIMEOUT), "over {driver}: the loop sleeps on");
                outer.run_until("a pong", || pongs.borrow().len() > n as usize);
            }
            pongs.borrow_mut().clear();
        }
    }
}

#[test]
fn bindings_that_come_go_and_move_lose_nothing() {
    let service = Elsewhere::new(EventFlags::empty());
    let (ws, aside, pongs) = (Waitset::new(), Waitset::new(), Pongs::default());
    let outer = Loop::new(&ws, EventFlags::empty());
    let mut bindings = Vec::new();
    for n in 0..400_u32 {
        let driver = DRIVERS[n as usize % DRIVERS.len()];
        if n % 4 == 3 {
            drop(bindings.swap_remove(n as usize * 7 % bindings.len()));
        }
        bindings.push(bind(service.iref, &ws, driver, &pongs));
        let binding: &echo::ClientBinding = &bindings[n as usize * 37 % bindings.len()];
        if n % 5 == 0 {
            // The answer arrives outside of the loop, which must be woken with it.
            binding.change_waitset(&aside).expect("nothing is under way");
            outer.come_to_rest();
            binding.tx_ping(n).expect("it has room for one");
            binding.change_waitset(&ws).expect("nothing is under way");
            assert!(outer.wait(TIMEOUT), "nobody hears of a binding that has come");
        } else {
            outer.come_to_rest();
            binding.tx_ping(n).expect("it has room for one");
        }
        outer.run_until("a pong", || pongs.borrow().len() > n as usize);
    }
    assert!(pongs.borrow().iter().copied().eq(0..400));
    assert!(!outer.wait(MOMENT), "{} quiet bindings wake the loop", bindings.len());
}

#[test]
fn a_bind_goes_on_while_the_loop_waits() {
    let service = Elsewhere::new(EventFlags::ET);
    let ws = Waitset::new();
    let outer = Loop::new(&ws, EventFlags::ET);
    outer.come_to_rest();
    let bound = Rc::new(Cell::new(None));
    let theirs = Rc::clone(&bound);
    echo::bind(service.iref, &ws, echo::ClientRxVtbl::default())
        .then(move |binding| theirs.set(Some(binding.expect("the service is there").driver())));
    outer.run_until("a binding", || bound.get().is_some());
    assert_eq!(bound.get(), Some("ump"));
}

#[test]
fn processes_that_wait_in_outer_loops_talk_over_each_driver() {
    for driver in DRIVERS {
        let system = TestSystem::in_outer_loops();
        let (mut server, mut client) = (system.spawn(), system.spawn());
        server.export("echo");
        client.bind(driver, "echo");
        client.talk(3000);
        assert_eq!(client.add(20, 22), 42, "over {driver}");
        client.talk(100);
        server.kill();
        client.wait_for_client_error("PeerDied");
        client.end();
    }
}
