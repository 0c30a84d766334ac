//! Bindings over a driver from another crate, chosen by its name and by its position in an order.

use std::sync::{Arc, Once, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flounder::driver::registry;
use flounder::{BindError, Iref, Waitset, flounder};
use foreign_driver::Mailbox;

flounder! {
    interface counter "Counts" {
        message add(uint32 amount, uint8 reason[len, 10000]);
        rpc total(out uint64 total);
    };
}

const TIMEOUT: Duration = Duration::from_secs(20);

fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| registry::register(Arc::new(Mailbox)).expect("register the driver once"));
}

struct Server(u64);

impl counter::Rx for Server {
    fn add(&mut self, _: &counter::Binding, amount: u32, reason: &[u8]) {
        self.0 += u64::from(amount) + reason.len() as u64;
    }

    fn total(&mut self, _: &counter::Binding, reply: counter::TotalReply) {
        reply.send(self.0);
    }
}

/// A service on a thread of its own, until `stop` is dropped.
struct Service {
    iref: Iref,
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Service {
    fn start() -> Self {
        register();
        let (sender, receiver) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            let ws = Waitset::current();
            let service = counter::export(&ws, |_| Ok(Server(0))).wait().unwrap();
            sender.send(service.iref()).unwrap();
            let deadline = Instant::now() + TIMEOUT;
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                assert!(Instant::now() < deadline, "the service was not stopped in time");
                ws.dispatch_until(Some(Instant::now() + Duration::from_millis(5)), || false)
                    .unwrap();
            }
        });
        let iref = receiver.recv_timeout(TIMEOUT).unwrap();
        Self { iref, stop, thread }
    }

    fn end(self) {
        drop(self.stop);
        self.thread.join().unwrap();
    }
}

/// Sends more messages than the channel holds, and returns the total that the service counted.
fn count(ws: &Waitset, binding: &counter::ClientBinding) -> u64 {
    ws.block_on(async {
        for _ in 0..200 {
            binding.tx_add(1, &[0; 9999]).unwrap().await.unwrap();
        }
    })
    .unwrap();
    counter::RpcClient::new(binding).total().unwrap()
}

#[test]
fn bound_by_name_in_one_thread() {
    register();
    let ws = Waitset::current();
    let service = counter::export(&ws, |_| Ok(Server(0))).wait().unwrap();
    let binding = counter::bind(service.iref(), &ws, ()).driver("mailbox").wait().unwrap();
    assert_eq!(binding.driver(), "mailbox");
    assert_eq!(count(&ws, &binding), 2_000_000);
}

#[test]
fn bound_by_name_and_by_order_between_threads() {
    let service = Service::start();
    let ws = Waitset::current();
    for order in [&["mailbox"][..], &["loopback", "mailbox", "lmp"]] {
        let binding = counter::bind(service.iref, &ws, ()).drivers(order.iter().copied());
        let binding = binding.wait().unwrap();
        assert_eq!(binding.driver(), "mailbox", "of {order:?}");
        assert_eq!(count(&ws, &binding), 2_000_000);
        binding.teardown();
    }
    service.end();
}

#[test]
fn unknown_driver_is_named_in_the_error() {
    let service = Service::start();
    let ws = Waitset::current();
    let refused = counter::bind(service.iref, &ws, ()).drivers(["mailbox", "unknown"]).wait();
    assert_eq!(refused.err(), Some(BindError::UnknownDriver("unknown".into())));
    service.end();
}
