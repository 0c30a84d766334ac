//! tarpc over a Unix socket, with bincode; a runtime of one thread at each end.
//!
//! Every call has an answer, so a stream is a window of calls with empty answers.

use std::os::unix::net::UnixStream as StdStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tarpc::serde_transport::Transport;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context};
use tokio::net::UnixStream;
use tokio::runtime::{self, Runtime};

use super::calls::{Ledger, all_came};
use crate::load::{Inbox, Load, Outbox, Pattern, WARM_UP};
use crate::machine::Cores;
use crate::process::{Peer, Seat};
use crate::subject::{Candidate, Result, Subject};

pub(crate) const CANDIDATES: &[Candidate] = &[Candidate::between_processes("tarpc", open, serve)];

/// Number of outstanding calls of a stream.
const WINDOW: usize = 64;

#[tarpc::service]
trait Carrier {
    async fn begin(size: u64, thorough: bool);
    async fn echo(payload: ByteBuf) -> std::result::Result<ByteBuf, String>;
    async fn put(payload: ByteBuf) -> std::result::Result<(), String>;
    async fn finish() -> u64;
}

fn open(candidate: &Candidate, cores: Cores) -> Result<Box<dyn Subject>> {
    let (ours, theirs) = StdStream::pair()?;
    let peer = Peer::start(candidate, cores, "", &[theirs.into()])?;
    let runtime = runtime()?;
    let client = {
        let _entered = runtime.enter();
        CarrierClient::new(client::Config::default(), transport(ours)?).spawn()
    };
    Ok(Box::new(Calls { runtime, client, _peer: peer }))
}

struct Calls {
    runtime: Runtime,
    client: CarrierClient,
    _peer: Peer,
}

impl Subject for Calls {
    fn run(&mut self, load: &Load) -> Result<Duration> {
        self.runtime.block_on(lead(&self.client, load))
    }
}

async fn lead(client: &CarrierClient, load: &Load) -> Result<Duration> {
    let (mut outbox, mut inbox) = (Outbox::new(load.size), Inbox::new(load));
    client.begin(context::current(), load.size as u64, load.thorough).await?;
    for _ in 0..WARM_UP {
        echo(client, &mut outbox, &mut inbox).await?;
    }
    let started = Instant::now();
    match load.pattern {
        Pattern::RoundTrip => {
            for _ in 0..load.count {
                echo(client, &mut outbox, &mut inbox).await?;
            }
        }
        Pattern::Stream => {
            let puts = stream::iter(0..load.count).map(|_| {
                let payload = ByteBuf::from(outbox.next());
                async move { Result::Ok(client.put(context::current(), payload).await??) }
            });
            puts.buffered(WINDOW).try_for_each(|()| async { Ok(()) }).await?;
            all_came(load, client.finish(context::current()).await?)?;
        }
    }
    Ok(started.elapsed())
}

async fn echo(client: &CarrierClient, outbox: &mut Outbox, inbox: &mut Inbox) -> Result {
    let answer = client.echo(context::current(), ByteBuf::from(outbox.next())).await??;
    Ok(inbox.accept(&answer)?)
}

fn serve(mut seat: Seat) -> Result {
    let socket = seat.fds.pop().ok_or("a socket is needed")?;
    runtime()?.block_on(async {
        let channel = BaseChannel::with_defaults(transport(StdStream::from(socket))?);
        let server = Server(Arc::new(Mutex::new(Ledger::begin(0, false))));
        seat.ready()?;
        // One after the other: the handlers never wait, and a stream is ordered.
        channel.execute(server.serve()).for_each(|answer| answer).await;
        Ok(())
    })
}

#[derive(Clone)]
struct Server(Arc<Mutex<Ledger>>);

impl Server {
    fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Carrier for Server {
    async fn begin(self, _: context::Context, size: u64, thorough: bool) {
        self.with(|ledger| *ledger = Ledger::begin(size as usize, thorough));
    }

    async fn echo(
        self,
        _: context::Context,
        payload: ByteBuf,
    ) -> std::result::Result<ByteBuf, String> {
        self.with(|ledger| ledger.echo(&payload).map(ByteBuf::from).map_err(|e| e.to_string()))
    }

    async fn put(self, _: context::Context, payload: ByteBuf) -> std::result::Result<(), String> {
        self.with(|ledger| ledger.put(&payload).map_err(|error| error.to_string()))
    }

    async fn finish(self, _: context::Context) -> u64 {
        self.with(|ledger| ledger.received())
    }
}

fn runtime() -> std::io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// Returns the transport of one side. Must be called inside a runtime.
fn transport<Item, SinkItem>(
    socket: StdStream,
) -> Result<Transport<UnixStream, Item, SinkItem, Bincode<Item, SinkItem>>>
where
    Item: for<'de> Deserialize<'de>,
    SinkItem: Serialize,
{
    socket.set_nonblocking(true)?;
    Ok(Transport::from((UnixStream::from_std(socket)?, Bincode::default())))
}
