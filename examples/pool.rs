//! A service whose handlers run on a pool of threads: `cargo run --release --example pool`.
//!
//! The calls of one client are answered one at a time and in order, by whichever thread of the pool is free; those of
//! different clients at once. Each of the clients counts the primes of a part of the numbers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use flounder::{Iref, Peer, Shared, SharedWaitset, Waitset, flounder};

flounder! {
    interface primes "Counts primes" {
        rpc count(in uint64 begin, in uint64 end, out uint64 primes);
    };
}

const THREADS: usize = 4;
const CLIENTS: u64 = 4;
const NUMBERS: u64 = 400_000;

/// The handlers of one client. They are `Send`: what they share is behind a lock.
struct Counter(Arc<Mutex<HashSet<ThreadId>>>);

impl primes::Rx<Shared> for Counter {
    fn count(
        &mut self,
        _: &primes::Binding<Shared>,
        begin: u64,
        end: u64,
        reply: primes::CountReply<Shared>, // may be sent later, from any thread
    ) {
        self.0.lock().expect("no handler panics").insert(thread::current().id());
        reply.send((begin..end).filter(|n| is_prime(*n)).count() as u64);
    }
}

fn is_prime(n: u64) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

/// Counts the primes of one part, on a binding of its own.
fn count(iref: Iref, part: u64) -> Result<u64, flounder::Error> {
    let ws = Waitset::new();
    let client = primes::RpcClient::new(&primes::bind(iref, &ws, ()).wait()?);
    let end = (part + 1) * NUMBERS / CLIENTS;
    let calls = (part * NUMBERS / CLIENTS..end).step_by(1000);
    Ok(calls.map(|n| client.count(n, end.min(n + 1000))).sum::<Result<u64, _>>()?)
}

fn main() -> Result<(), flounder::Error> {
    let (pool, ended) = (SharedWaitset::new(), AtomicBool::new(false));
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let theirs = Arc::clone(&threads);
    // With `nameservice::register`, clients of other processes would find it.
    let iref = primes::export(&pool, move |_: &Peer| Ok(Counter(theirs.clone()))).wait()?.iref();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| pool.dispatch_until(None, || ended.load(Ordering::Acquire)));
        }
        let clients: Vec<_> =
            (0..CLIENTS).map(|part| scope.spawn(move || count(iref, part))).collect();
        let counts = clients.into_iter().map(|client| client.join().expect("no client panics"));
        let primes = counts.sum::<Result<u64, _>>();
        ended.store(true, Ordering::Release);
        pool.wake_all();
        println!("{} primes below {NUMBERS}", primes?);
        Ok::<_, flounder::Error>(())
    })?;
    println!("counted by {} threads", threads.lock().expect("no handler panics").len());
    Ok(())
}
