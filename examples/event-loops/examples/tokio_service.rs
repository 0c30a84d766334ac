//! A service and its clients in one multi-threaded tokio program: `cargo run --release -p event-loops --example tokio_service`.
//!
//! Both ends need only a name: a thread of the library serves them. Clients are tasks on any thread, which call
//! through a `RpcClient<Shared>`; the service has its work done by tasks, and replies where its binding lives.

use std::error::Error;
use std::time::Duration;

use flounder::flounder;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

flounder! {
    interface primes "Counts primes" {
        rpc count(in uint64 from, in uint64 to, out uint64 primes);
        message note(string text);
        rpc notes(out uint64 notes);
    };
}

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

struct Server {
    tokio: Handle,
    notes: u64,
}

impl primes::Rx for Server {
    fn count(&mut self, b: &primes::Binding, from: u64, to: u64, reply: primes::CountReply) {
        let Some(ws) = b.waitset() else { return };
        let work = self.tokio.spawn(async move { (from..to).filter(|n| is_prime(*n)).count() });
        // The handler is free for the next call; replies go out as the work is done. Work that panics drops its reply, which
        // informs the caller.
        ws.spawn_local(async move {
            if let Ok(primes) = work.await {
                reply.send(primes as u64);
            }
        })
        .detach();
    }

    fn note(&mut self, _: &primes::Binding, _: &str) {
        self.notes += 1;
    }

    fn notes(&mut self, _: &primes::Binding, reply: primes::NotesReply) {
        reply.send(self.notes);
    }
}

fn is_prime(n: u64) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> Result {
    let tokio = Handle::current();
    let _service =
        primes::serve("primes", move || Server { tokio: tokio.clone(), notes: 0 }).await?;
    let binding = primes::connect("primes").await?;
    println!("connected by driver {}", binding.driver());
    let client = primes::RpcClient::new(&binding);

    let mut tasks = JoinSet::new();
    for n in 0..100u64 {
        let (client, binding) = (client.clone(), binding.clone());
        tasks.spawn(async move {
            binding.send_note(&format!("task {n} begins")).await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(client.count_async(n * 100, n * 100 + 100).await?)
        });
    }
    let mut primes = 0;
    while let Some(counted) = tasks.join_next().await {
        primes += counted??;
    }
    println!("100 concurrent calls: {primes} primes below 10000");
    assert_eq!(primes, 1229);
    assert_eq!(client.notes_async().await?, 100);

    // A dropped future gives its call up; here the deadline drops it.
    let much = client.count_async(0, 1_000_000);
    match tokio::time::timeout(Duration::from_millis(1), much).await {
        Ok(counted) => assert_eq!(counted?, 78498),
        Err(late) => println!("a long call is given up: {late}"),
    }
    // Outside of tasks, a call may block its thread.
    let counted = tokio::task::spawn_blocking(move || client.count(0, 100)).await??;
    assert_eq!(counted, 25);
    Ok(())
}
