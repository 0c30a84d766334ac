//! Many calls under way at a time: 10,000 of them, 64 at once, with replies out of order, between two threads.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use flounder::error::Chain;
use flounder::{BindingError, Peer, Waitset, flounder};

flounder! {
    interface square "Computes" {
        rpc square(in uint32 n, out uint64 result);
    };
}

const CALLS: u32 = 10_000;
const WINDOW: u32 = 64;

/// Collects calls, and replies to eight at a time, the last one first.
struct Service {
    held: Vec<(u32, square::SquareReply)>,
    ended: Rc<Cell<bool>>,
}

impl square::Rx for Service {
    fn square(&mut self, _: &square::Binding, n: u32, reply: square::SquareReply) {
        self.held.push((n, reply));
        if self.held.len() == 8 {
            while let Some((n, reply)) = self.held.pop() {
                reply.send(u64::from(n) * u64::from(n));
            }
        }
    }

    fn error(&mut self, _: &square::Binding, error: BindingError) {
        self.ended.set(error.is_fatal());
    }
}

fn serve(tell: impl FnOnce(flounder::Iref)) -> Result<(), Box<dyn Error>> {
    let (ws, ended) = (Waitset::current(), Rc::new(Cell::new(false)));
    let theirs = Rc::clone(&ended);
    let export = square::export(&ws, move |_: &Peer| {
        Ok(Service { held: Vec::new(), ended: Rc::clone(&theirs) })
    });
    tell(export.wait()?.iref());
    while !ended.get() {
        ws.dispatch()?;
    }
    Ok(())
}

fn call(iref: flounder::Iref) -> Result<(), Box<dyn Error>> {
    let ws = Waitset::current();
    let binding = square::bind(iref, &ws, ()).wait()?;
    let rpc = square::RpcClient::new(&binding);
    let (next, order) = (Cell::new(0), RefCell::new(Vec::new()));
    let shared = Rc::new((rpc, next, order));
    let started = Instant::now();
    // One task for each call that may be under way. Each makes one call after the other.
    let tasks: Vec<_> = (0..WINDOW)
        .map(|_| {
            let shared = Rc::clone(&shared);
            ws.spawn_local(async move {
                let (rpc, next, order) = &*shared;
                while next.get() < CALLS {
                    let n = next.replace(next.get() + 1);
                    assert_eq!(rpc.square_async(n).await?, u64::from(n) * u64::from(n));
                    order.borrow_mut().push(n);
                }
                Ok::<_, flounder::RpcError>(())
            })
        })
        .collect();
    for task in tasks {
        ws.block_on(task)??;
    }
    let time = started.elapsed();
    let mut order = shared.2.take();
    assert!(!order.is_sorted(), "replies come out of order");
    order.sort_unstable();
    assert!(order.into_iter().eq(0..CALLS), "each call has its reply");
    println!("{CALLS} calls over {}, {WINDOW} at a time, in {time:.1?}", binding.driver());
    Ok(())
}

fn run() -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = channel();
    let service = thread::spawn(move || {
        let tell = |iref| sender.send(iref).expect("the client waits");
        serve(tell).map_err(|error| format!("{error:?}"))
    });
    call(receiver.recv()?)?;
    service.join().map_err(|_| "the service panicked")??;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipeline: {}", Chain(&*error));
            ExitCode::FAILURE
        }
    }
}
