//! Memory of large messages: kept while they follow each other, given back once none has come for a while.

use std::alloc::System;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use flounder::{Iref, Shared, SharedWaitset, Waitset};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

flounder::flounder! {
    interface store "Keeps bytes" {
        rpc put(in uint8 data[n, 16777216], out uint32 length);
    };
}

struct Store;

impl store::Rx for Store {
    fn put(&mut self, _: &store::Binding, data: &[u8], reply: store::PutReply) {
        reply.send(data.len() as u32);
    }
}

impl store::Rx<Shared> for Store {
    fn put(&mut self, _: &store::Binding<Shared>, data: &[u8], reply: store::PutReply<Shared>) {
        reply.send(data.len() as u32);
    }
}

/// Length of a message, and of each of those that follow each other.
const LARGE: usize = 4 << 20;
const NEXT: usize = 512 << 10;
const COUNT: usize = 8;
/// What the runtime may allocate meanwhile for itself.
const SLACK: usize = 256 << 10;
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends the service, even if the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Serves until `is_over`, on a waitset for one thread or for several.
fn serve(is_shared: bool, started: &Sender<Iref>, is_over: &AtomicBool) {
    let soon = || Some(Instant::now() + Duration::from_millis(5));
    if is_shared {
        let ws = SharedWaitset::new();
        let export = store::export(&ws, |_| Ok(Store)).wait().expect("it can be exported");
        started.send(export.iref()).expect("the test waits");
        while !is_over.load(Ordering::Acquire) {
            ws.dispatch_until(soon(), || false).expect("no callback fails");
        }
    } else {
        let ws = Waitset::new();
        // Each wait is one in the kernel.
        ws.set_spin(Duration::ZERO);
        let export = store::export(&ws, |_| Ok(Store)).wait().expect("it can be exported");
        started.send(export.iref()).expect("the test waits");
        while !is_over.load(Ordering::Acquire) {
            ws.dispatch_until(soon(), || false).expect("no callback fails");
        }
    }
}

/// Bytes that are allocated now, of all threads.
fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn keeps_and_gives_back(driver: &str, iref: Iref) {
    let data = vec![1; LARGE];
    let ws = Waitset::new();
    ws.set_spin(Duration::ZERO);
    let bind = store::bind(iref, &ws, ()).driver(driver);
    let rpc = store::RpcClient::new(&bind.wait().expect("it can be bound to"));
    assert_eq!(rpc.put(&data[..1]), Ok(1), "{driver}");
    let before = live();

    // Unless the machine is busy with something else, they follow each other quickly.
    let allocated = (0..3).map(|_| {
        assert_eq!(rpc.put(&data[..NEXT]), Ok(NEXT as u32), "{driver}");
        let allocated = ALLOCATOR.stats().bytes_allocated;
        for _ in 0..COUNT {
            assert_eq!(rpc.put(&data[..NEXT]), Ok(NEXT as u32), "{driver}");
        }
        ALLOCATOR.stats().bytes_allocated - allocated
    });
    let least = allocated.min().expect("three rows");
    assert!(least < NEXT * COUNT / 4, "{driver}: {least} bytes for {COUNT} messages of {NEXT}");

    assert_eq!(rpc.put(&data), Ok(LARGE as u32), "{driver}");
    let end = Instant::now() + PATIENCE;
    while live() > before + SLACK {
        assert!(Instant::now() < end, "{driver}: {} bytes are left", live() - before);
        let soon = Instant::now() + Duration::from_millis(5);
        ws.dispatch_until(Some(soon), || false).expect("no callback fails");
    }
}

// One test, because the allocator counts what all threads do.
#[test]
fn memory_of_large_messages_is_kept_for_a_while() {
    for is_shared in [false, true] {
        for driver in ["ump", "lmp"] {
            let is_over = AtomicBool::new(false);
            let (started, iref) = channel();
            thread::scope(|threads| {
                threads.spawn(|| serve(is_shared, &started, &is_over));
                let _end = End(&is_over);
                keeps_and_gives_back(driver, iref.recv_timeout(PATIENCE).expect("it is exported"));
            });
        }
    }
}
