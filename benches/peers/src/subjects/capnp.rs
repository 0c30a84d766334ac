//! Cap'n Proto's RPC over a Unix socket; a runtime of one thread at each end.
//!
//! A stream is a streaming method: the library decides how many calls are outstanding. [`crate::peer_capnp`] is generated
//! from `schema/peer.capnp`.

use std::cell::RefCell;
use std::os::unix::net::UnixStream as StdStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use capnp::message::ReaderOptions;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use capnp_rpc::{RpcSystem, new_client};
use tokio::net::UnixStream;
use tokio::runtime::{self, Runtime};
use tokio::task::LocalSet;
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use super::calls::{Ledger, all_came};
use crate::load::{Damaged, Inbox, Load, Outbox, Pattern, WARM_UP};
use crate::machine::Cores;
use crate::peer_capnp::peer::{
    BeginParams, BeginResults, Client, EchoParams, EchoResults, FinishParams, FinishResults,
    PutParams, Server,
};
use crate::process::{Peer, Seat};
use crate::subject::{Candidate, Result, Subject};

pub(crate) const CANDIDATES: &[Candidate] =
    &[Candidate::between_processes("capnp-rpc", open, serve)];

fn open(candidate: &Candidate, cores: Cores) -> Result<Box<dyn Subject>> {
    let (ours, theirs) = StdStream::pair()?;
    let peer = Peer::start(candidate, cores, "", &[theirs.into()])?;
    let (runtime, local) = (runtime()?, LocalSet::new());
    let client = local.block_on(&runtime, async {
        let mut system = RpcSystem::new(Box::new(network(ours, Side::Client)?), None);
        let client: Client = system.bootstrap(Side::Server);
        tokio::task::spawn_local(system);
        Result::Ok(client)
    })?;
    Ok(Box::new(Calls { client, local, runtime, _peer: peer }))
}

struct Calls {
    client: Client,
    local: LocalSet,
    runtime: Runtime,
    _peer: Peer,
}

impl Subject for Calls {
    fn run(&mut self, load: &Load) -> Result<Duration> {
        self.local.block_on(&self.runtime, lead(&self.client, load))
    }
}

async fn lead(client: &Client, load: &Load) -> Result<Duration> {
    let (mut outbox, mut inbox) = (Outbox::new(load.size), Inbox::new(load));
    let mut begin = client.begin_request();
    begin.get().set_size(load.size as u64);
    begin.get().set_thorough(load.thorough);
    begin.send().promise.await?;
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
            for _ in 0..load.count {
                let mut put = client.put_request();
                put.get().set_payload(outbox.next());
                put.send().await?;
            }
            let finished = client.finish_request().send().promise.await?;
            all_came(load, finished.get()?.get_received())?;
        }
    }
    Ok(started.elapsed())
}

async fn echo(client: &Client, outbox: &mut Outbox, inbox: &mut Inbox) -> Result {
    let mut request = client.echo_request();
    request.get().set_payload(outbox.next());
    let answer = request.send().promise.await?;
    Ok(inbox.accept(answer.get()?.get_payload()?)?)
}

fn serve(mut seat: Seat) -> Result {
    let socket = seat.fds.pop().ok_or("a socket is needed")?;
    LocalSet::new().block_on(&runtime()?, async {
        let ledger = RefCell::new(Ledger::begin(0, false));
        let client: Client = new_client(Service(ledger));
        let network = network(socket.into(), Side::Server)?;
        seat.ready()?;
        Ok(RpcSystem::new(Box::new(network), Some(client.client)).await?)
    })
}

struct Service(RefCell<Ledger>);

impl Server for Service {
    async fn begin(
        self: Rc<Self>,
        params: BeginParams,
        _: BeginResults,
    ) -> std::result::Result<(), capnp::Error> {
        let params = params.get()?;
        self.0.replace(Ledger::begin(params.get_size() as usize, params.get_thorough()));
        Ok(())
    }

    async fn echo(
        self: Rc<Self>,
        params: EchoParams,
        mut results: EchoResults,
    ) -> std::result::Result<(), capnp::Error> {
        let mut ledger = self.0.borrow_mut();
        results.get().set_payload(ledger.echo(params.get()?.get_payload()?).map_err(damaged)?);
        Ok(())
    }

    async fn put(self: Rc<Self>, params: PutParams) -> std::result::Result<(), capnp::Error> {
        self.0.borrow_mut().put(params.get()?.get_payload()?).map_err(damaged)
    }

    async fn finish(
        self: Rc<Self>,
        _: FinishParams,
        mut results: FinishResults,
    ) -> std::result::Result<(), capnp::Error> {
        results.get().set_received(self.0.borrow().received());
        Ok(())
    }
}

fn damaged(error: Damaged) -> capnp::Error {
    capnp::Error::failed(error.to_string())
}

fn runtime() -> std::io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// Returns one side of the socket. Must be called inside a runtime.
fn network(
    socket: StdStream,
    side: Side,
) -> Result<VatNetwork<impl futures::AsyncRead + Unpin + 'static>> {
    socket.set_nonblocking(true)?;
    let (reader, writer) = UnixStream::from_std(socket)?.into_split();
    Ok(VatNetwork::new(reader.compat(), writer.compat_write(), side, ReaderOptions::default()))
}
