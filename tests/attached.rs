//! Bindings over a given channel: both ends attached in one thread.

use std::time::{Duration, Instant};

use flounder::driver::channel::{Connector, End};
use flounder::driver::notify::Notifier;
use flounder::{RpcError, Waitset, flounder};
use flounder_drivers::beehive::Beehive;
use flounder_drivers::lmp::Lmp;
use flounder_drivers::loopback::Loopback;
use flounder_drivers::scc::Scc;
use flounder_drivers::ump::Ump;

flounder! {
    interface sums "Adds" {
        rpc add(in uint32 a, in uint32 b, out uint32 sum);
    };
}

struct Service;

impl sums::Rx for Service {
    fn add(&mut self, _: &sums::Binding, a: u32, b: u32, reply: sums::AddReply) {
        reply.send(a + b);
    }
}

/// A service that needs the waitset for its answer.
struct Later;

impl sums::AsyncRx for Later {
    async fn add(&self, _: &sums::Binding, a: u32, b: u32) -> Result<u32, flounder::CallbackError> {
        let mut polled = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut polled, true) {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
        Ok(a + b)
    }
}

fn drivers() -> [&'static dyn Connector; 5] {
    [&Loopback, &Lmp, &Ump, &Scc, &Beehive]
}

fn ends(driver: &dyn Connector) -> flounder::driver::channel::Pair {
    let end = || End { notifier: Notifier::new(), connection: 0, buffer: 0 };
    driver.pair_local(&end(), &end()).expect("it reaches its own thread")
}

#[test]
fn blocking_call_between_attached_ends_is_answered() {
    for driver in drivers() {
        let ws = Waitset::new();
        for is_async in [false, true] {
            let (near, far) = ends(driver);
            let service = if is_async {
                sums::over(far, &ws, flounder::Async(Later))
            } else {
                sums::over(far, &ws, Service)
            };
            let service = service.expect("it can be watched");
            let client = sums::over(near, &ws, sums::ClientRxVtbl::default());
            let client = client.expect("it can be watched");
            let rpc = sums::RpcClient::new(&client).timeout(Duration::from_secs(20));
            for n in 0..100 {
                assert_eq!(rpc.add(n, 1), Ok(n + 1), "{}", driver.name());
            }
            drop(service);
        }
    }
}

#[test]
fn peer_of_an_attached_binding_is_unknown() {
    for driver in drivers() {
        let ws = Waitset::new();
        let (near, _far) = ends(driver);
        let client = sums::over(near, &ws, sums::ClientRxVtbl::default());
        let client = client.expect("it can be watched");
        let peer = client.peer();
        assert_eq!((peer.pid(), peer.uid(), peer.gid()), (None, None, None), "{}", driver.name());
        assert!(!peer.is_this_process(), "{}", driver.name());
    }
}

#[test]
fn call_that_is_late_before_it_is_sent_is_not_sent() {
    for driver in drivers() {
        let ws = Waitset::new();
        let (near, far) = ends(driver);
        let service = sums::over(far, &ws, Service).expect("it can be watched");
        let client = sums::over(near, &ws, sums::ClientRxVtbl::default());
        let client = client.expect("it can be watched");
        let rpc = sums::RpcClient::new(&client);
        for rpc in [rpc.deadline(Instant::now()), rpc.timeout(Duration::ZERO)] {
            assert_eq!(rpc.add(1, 2), Err(RpcError::Deadline), "{}", driver.name());
            let awaited = ws.block_on(rpc.add_async(1, 2)).expect("no callback fails");
            assert_eq!(awaited, Err(RpcError::Deadline), "{}", driver.name());
        }
        drop(service);
    }
}
