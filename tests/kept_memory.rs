//! Memory that bindings keep after large messages: little, at both ends, over every driver.

use std::alloc::System;
use std::thread;

use flounder::{Waitset, flounder};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

flounder! {
    interface blocks "Carries large things" {
        message put(uint8 data[len, 8388608]);
        rpc swap(in uint8 data[len, 8388608], out uint8 back[back_len, 8388608]);
    };
}

struct Service;

impl blocks::Rx for Service {
    fn put(&mut self, _: &blocks::Binding, _: &[u8]) {}

    fn swap(&mut self, _: &blocks::Binding, data: &[u8], reply: blocks::SwapReply) {
        reply.send(data);
    }
}

const LARGE: usize = 1 << 20;
const BINDINGS: usize = 2;

/// Bytes that are allocated in this process.
fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

// One test, because the allocator counts what all threads do.
#[test]
fn large_buffers_are_given_back_when_their_message_is_done() {
    for driver in ["loopback", "lmp", "ump", "scc", "beehive"] {
        let size = if driver == "beehive" { LARGE / 8 } else { LARGE };
        let ws = Waitset::current();
        let (stop, service) = if driver == "loopback" {
            let service = blocks::export(&ws, |_| Ok(Service)).wait();
            (None, service.expect("it is exported").iref())
        } else {
            let (sender, iref) = std::sync::mpsc::channel();
            let thread = thread::spawn(move || {
                let ws = Waitset::current();
                let service = blocks::export(&ws, |_| Ok(Service)).wait();
                let iref = service.expect("it is exported").iref();
                let over = std::rc::Rc::new(std::cell::Cell::new(false));
                sender.send((iref, ws.remote())).expect("the test waits");
                OVER.set(Some(std::rc::Rc::clone(&over)));
                ws.dispatch_until(None, || over.get()).expect("no callback fails");
            });
            let (iref, remote) = iref.recv().expect("the thread sends it");
            (Some((thread, remote)), iref)
        };
        let bindings: Vec<_> = (0..BINDINGS)
            .map(|_| {
                let bind = blocks::bind(service, &ws, ()).driver(driver);
                bind.wait().expect("it is there")
            })
            .collect();
        let data = vec![7; size];
        let each = |data: &[u8]| {
            for binding in &bindings {
                ws.block_on(binding.send_put(data)).expect("no callback fails").expect("sent");
                let rpc = blocks::RpcClient::new(binding);
                let back = rpc.swap(data).expect("it is answered");
                assert_eq!(back.len(), data.len());
                let back = ws.block_on(rpc.swap_async(data)).expect("no callback fails");
                assert_eq!(back.expect("it is answered").len(), data.len());
            }
        };
        each(&[1]);
        let before = live();
        each(&data);
        each(&[1]);
        // A waitset frees memory before it sleeps; the service sleeps while no client calls.
        let rest = std::time::Instant::now() + std::time::Duration::from_millis(50);
        let woken = ws.dispatch_until(Some(rest), || false).expect("no callback fails");
        assert!(!woken);
        let kept = live().saturating_sub(before);
        // At each end 64 KiB for what comes in, and for what goes out; the rest is for the driver's queues and the tables.
        let most = BINDINGS * (4 * (64 << 10) + (64 << 10));
        assert!(kept <= most, "{driver}: {kept} bytes are kept of {size}, {most} may be");
        drop(bindings);
        if let Some((thread, remote)) = stop {
            remote.post(|_| {
                OVER.with_borrow(|over| over.as_ref().expect("it is set").set(true));
                Ok(())
            });
            thread.join().expect("it does not panic");
        }
    }
}

thread_local! {
    static OVER: std::cell::RefCell<Option<std::rc::Rc<std::cell::Cell<bool>>>> =
        const { std::cell::RefCell::new(None) };
}
