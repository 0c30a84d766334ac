//! Calls through a shared binding. Its waitset has a thread of its own, on the core of the client.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use flounder::event::Remote;
use flounder::{Iref, Shared, Waitset};

use crate::error::Result;
use crate::over::{Client, bench};
use crate::sample::{Amount, Sample};

/// A binding that other threads than its own use.
pub(crate) struct SharedClient {
    binding: bench::ClientBinding<Shared>,
    remote: Arc<Remote>,
    has_ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SharedClient {
    /// Starts the thread of a binding to a service that the driver reaches.
    pub(crate) fn bind(iref: Iref, driver: &'static str) -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let has_ended = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&has_ended);
        let run = move || {
            let ws = Waitset::new();
            let bound = Client::bind(ws.clone(), iref, driver, 0).and_then(|client| {
                let client = client.ok_or("the driver does not reach the service")?;
                let _ = sender.send(Ok((client.shared(), ws.remote())));
                Ok(ws.dispatch_until(None, || theirs.load(Ordering::Acquire))?)
            });
            if let Err(error) = bound {
                // Nobody waits for it once the binding was made: the calls fail then.
                let _ = sender.send(Err(error.to_string()));
            }
        };
        let thread = thread::Builder::new().name("shared".into()).spawn(run)?;
        let (binding, remote) = receiver.recv()??;
        Ok(Self { binding, remote, has_ended, thread: Some(thread) })
    }

    /// Times calls of a thread that blocks.
    pub(crate) fn calls(&self, amount: Amount) -> Result<Sample> {
        let (rpc, mut n) = (bench::RpcClient::new(&self.binding), 0);
        amount.time(|| {
            let next = rpc.next(n)?;
            n += 1;
            if next == n { Ok(()) } else { Err("a reply belongs to another call".into()) }
        })
    }

    /// Times calls of `tasks` tasks of another waitset.
    pub(crate) fn calls_of_tasks(&self, amount: Amount, tasks: usize) -> Result<Sample> {
        let ws = Waitset::new();
        amount.time_whole(|count| {
            let (left, wrong) = (Rc::new(Cell::new(count)), Rc::new(Cell::new(0)));
            let started = Instant::now();
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let rpc = bench::RpcClient::new(&self.binding);
                    let (left, wrong) = (Rc::clone(&left), Rc::clone(&wrong));
                    ws.spawn_local(async move {
                        while let Some(next) = left.get().checked_sub(1) {
                            left.set(next);
                            if rpc.next_async(next).await != Ok(next + 1) {
                                wrong.set(wrong.get() + 1);
                            }
                        }
                    })
                })
                .collect();
            for task in tasks {
                ws.block_on(task)?;
            }
            let time = started.elapsed();
            match wrong.get() {
                0 => Ok(time),
                wrong => Err(format!("{wrong} calls failed, or had the reply of another").into()),
            }
        })
    }
}

impl Drop for SharedClient {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Release);
        self.remote.post(|_| Ok(()));
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed, and the calls have failed.
            let _ = thread.join();
        }
    }
}
