//! Commands that wait, in every way that there is, for a peer that ends meanwhile.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use flounder::{BindingError, Call, Cap, Exported, Iref, Peer, Waitset, nameservice};
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use super::TIMEOUT;
use super::kind::Kind;
use super::protocol::{Driver, Event, Reply, ServiceId, commands};

flounder::flounder! {
    @symmetric
    interface pending_calls "To be waited for" {
        message note(uint32 n);
        message bulk(uint8 data[length, 1048576]);
        message give(uint32 n, give_away_cap c);
        rpc hold(in uint32 n, out uint32 n);
    };
}

commands! { PendingCalls:
    /// Exports and registers a service that keeps its unsent replies and its bindings.
    export_keeper: Export { name: String } -> ServiceId;
    /// Binds to such a service, and has it meet its end.
    bind_keeper: Bind { driver: Driver, name: String } -> ();
    /// Binds with an inbox for this many messages.
    bind_inbox: BindInbox { driver: Driver, name: String, room: usize } -> ();
    /// Serves the binding no more, and leaves it open.
    stop_serving: StopServing {} -> ();
    /// Tears the binding down.
    close_binding: Close {} -> ();
    /// Drops everything but services; returns the errors that error handlers got.
    drop_all: DropAll {} -> Vec<String>;
    /// Waits in some way; returns once it waits, and reports the outcome as [`Event::Waited`].
    begin_wait: BeginWait { way: Way } -> ();
    /// Looks a name up as [`BeginWait`] waits.
    begin_lookup: BeginLookup { name: String } -> ();
    /// Binds as [`BeginWait`] waits.
    begin_bind: BeginBind { driver: Driver, service: ServiceId } -> ();
    /// Waits for a name in many futures at once and drops them; returns the results of those that ended before.
    drop_lookups: DropLookups { count: u32, name: String } -> Vec<String>;
    /// Sends notes as long as there is room, and reports each as [`Event::NoteSent`].
    send_notes: SendNotes {} -> ();
    /// Takes all that comes into the inbox, until the end.
    drain_inbox: DrainInbox {} -> Drained;
    /// Sends calls, cancels them, and reports [`Event::Called`].
    call_regardless: CallRegardless { count: u32 } -> ();
    /// Begins calls that are left to themselves.
    begin_calls: BeginCalls { count: u32 } -> ();
    /// Fills the binding with messages that do not fit into the channel.
    fill_channel: FillChannel {} -> ();
    /// Makes a call that may take so long.
    call_keeper: CallKeeper { timeout: Duration } -> u32;
    /// Drops the oldest unsent reply.
    drop_reply: DropReply {} -> ();
    /// Sends the oldest unsent reply.
    send_reply: SendReply {} -> ();
    /// Returns the number of unsent replies, and how many of them were cancelled.
    replies_owed: RepliesOwed {} -> Owed;
}

/// What [`DrainInbox`] took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drained {
    /// Number of notes.
    pub notes: u32,
    /// What came behind them.
    pub end: String,
}

/// Unsent replies of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    pub replies: usize,
    /// Number of cancelled ones among them.
    pub cancelled: usize,
}

/// A way to wait for a peer; those of `docs/async.md`, and lookups and binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    Send,
    GiveCap,
    Sent,
    Call,
    CallForRoom,
    CallBesideCancelled,
    Blocking,
    BlockingForRoom,
    Recv,
    RecvNote,
    Messages,
    SharedCall,
    SharedCallOfThread,
    SharedSend,
    SharedSendOfThread,
    Cancelled,
    Lookup,
    Bind,
}

/// Runs a command.
pub fn run(waitset: &Waitset, request: Request) {
    match request {
        Request::Export(Export { name }, reply) => {
            let exported = pending_calls::export(waitset, |_: &Peer| Ok(End)).wait();
            let exported = exported.expect("it can be exported");
            let iref = exported.iref();
            with(|here| here.exported.push(exported));
            reply.send(nameservice::register(&name, iref).wait().map(|()| iref.into()));
        }
        Request::Bind(Bind { driver, name }, reply) => bind(waitset, driver, &name, End, reply),
        Request::BindInbox(BindInbox { driver, name, room }, reply) => {
            bind(waitset, driver, &name, flounder::Inbox::beside(room, End), reply);
        }
        Request::StopServing(StopServing {}, reply) => {
            let asleep = Waitset::new();
            binding().change_waitset(&asleep).expect("it can be moved");
            with(|here| here.asleep.push(asleep));
            reply.ok(());
        }
        Request::Close(Close {}, reply) => {
            binding().teardown();
            reply.ok(());
        }
        Request::DropAll(DropAll {}, reply) => {
            reply.ok(forget().iter().map(Kind::kind).collect());
        }
        Request::BeginWait(BeginWait { way }, reply) => wait(waitset, way, reply),
        Request::BeginLookup(BeginLookup { name }, reply) => {
            report(waitset, Way::Lookup, nameservice::lookup_with_owner(&name), reply);
        }
        Request::BeginBind(BeginBind { driver, service }, reply) => {
            let bind = pending_calls::bind(service.iref(), waitset, End).driver(driver.name());
            let bind = bind.timeout(TIMEOUT);
            report(waitset, Way::Bind, async move { bind.await.map(drop) }, reply);
        }
        Request::DropLookups(DropLookups { count, name }, reply) => {
            let mut waiting: Vec<_> =
                (0..count).map(|_| nameservice::blocking_lookup_with_owner(&name)).collect();
            for lookup in &mut waiting {
                let begun = Pin::new(lookup).poll(&mut Context::from_waker(Waker::noop()));
                assert!(begun.is_pending(), "nobody has the name");
            }
            // It is answered behind them.
            let list = nameservice::list().wait();
            let early: Vec<_> = waiting.into_iter().map(Box::pin).filter_map(early).collect();
            reply.send(list.map(|_| early.iter().map(Kind::kind).collect()));
        }
        Request::SendNotes(SendNotes {}, reply) => {
            let binding = binding();
            reply.ok(());
            let notes = async move {
                for n in 0_u32.. {
                    match binding.tx_note(n) {
                        Ok(sent) if sent.await.is_ok() => Event::NoteSent(n).report(),
                        _ => return,
                    }
                }
            };
            waitset.spawn_local(notes).detach();
        }
        Request::DrainInbox(DrainInbox {}, reply) => {
            let binding = binding();
            let drain = async move {
                let mut notes = 0;
                let end = loop {
                    match binding.recv_note().await {
                        Ok(n) if n == notes => notes += 1,
                        other => break other.kind(),
                    }
                };
                reply.ok(Drained { notes, end });
            };
            waitset.spawn_local(drain).detach();
        }
        Request::CallRegardless(CallRegardless { count }, reply) => {
            let binding = binding();
            reply.ok(());
            let calls = async move {
                for n in 0..count {
                    let call = pending_calls::Message::HoldCall { id: n, n };
                    binding.tx(&call).expect("the slot is free").await.expect("the service lives");
                }
                Event::Called.report();
            };
            waitset.spawn_local(calls).detach();
        }
        Request::BeginCalls(BeginCalls { count }, reply) => {
            let rpc = pending_calls::RpcClient::new(&binding());
            for n in 0..count {
                waitset.spawn_local(rpc.hold_async(n)).detach();
            }
            reply.ok(());
        }
        Request::FillChannel(FillChannel {}, reply) => {
            fill(&binding());
            reply.ok(());
        }
        Request::CallKeeper(CallKeeper { timeout }, reply) => {
            let call = pending_calls::RpcClient::new(&binding()).hold_async(7).timeout(timeout);
            waitset.spawn_local(async move { reply.send(call.await) }).detach();
        }
        Request::DropReply(DropReply {}, reply) => {
            drop(with(|here| here.held.remove(0)));
            reply.ok(());
        }
        Request::SendReply(SendReply {}, reply) => {
            with(|here| here.held.remove(0)).send(0);
            reply.ok(());
        }
        Request::RepliesOwed(RepliesOwed {}, reply) => reply.ok(with(|here| {
            let cancelled = here.held.iter().filter(|reply| reply.is_cancelled()).count();
            Owed { replies: here.held.len(), cancelled }
        })),
    }
}

/// What a test process has for these commands.
#[derive(Default)]
struct Here {
    exported: Vec<Exported>,
    binding: Option<pending_calls::Binding>,
    asleep: Vec<Waitset>,
    held: Vec<pending_calls::HoldReply>,
    errors: Vec<BindingError>,
}

thread_local! {
    static HERE: RefCell<Here> = RefCell::default();
}

fn with<T>(change: impl FnOnce(&mut Here) -> T) -> T {
    HERE.with_borrow_mut(change)
}

fn binding() -> pending_calls::Binding {
    with(|here| here.binding.clone()).expect("there is a binding")
}

/// Drops everything but services.
fn forget() -> Vec<BindingError> {
    let exported = with(|here| std::mem::take(&mut here.exported));
    let Here { errors, .. } =
        with(|here| std::mem::replace(here, Here { exported, ..Here::default() }));
    errors
}

fn lookup(name: &str) -> Iref {
    nameservice::lookup(name).wait().expect("it is registered")
}

/// Binds, and has the service meet its end.
fn bind(
    waitset: &Waitset,
    driver: Driver,
    name: &str,
    rx: impl pending_calls::Handlers,
    reply: Reply<()>,
) {
    let bind = pending_calls::bind(lookup(name), waitset, rx).driver(driver.name());
    bind.then(|bound| {
        reply.send(bound.map(|binding| {
            binding.tx_note(0).expect("there is room");
            with(|here| here.binding = Some(binding));
        }));
    });
}

/// Either end.
struct End;

impl pending_calls::Rx for End {
    fn note(&mut self, binding: &pending_calls::Binding, _: u32) {
        if with(|here| here.binding.replace(binding.clone())).is_none() {
            Event::Met.report();
        }
    }

    fn bulk(&mut self, _: &pending_calls::Binding, _: &[u8]) {}

    fn give(&mut self, _: &pending_calls::Binding, _: u32, _: Cap) {}

    fn hold(&mut self, _: &pending_calls::Binding, _: u32, reply: pending_calls::HoldReply) {
        with(|here| here.held.push(reply));
    }

    fn error(&mut self, _: &pending_calls::Binding, error: BindingError) {
        with(|here| here.errors.push(error));
    }
}

/// Fills the slot with a message that does not fit into the channel.
fn fill(binding: &pending_calls::Binding) {
    while binding.can_send() {
        binding.tx_bulk(&[7; 1 << 20]).expect("the slot is free");
    }
}

/// Waits in one of the ways of `docs/async.md`. The peer does not look at what is sent.
fn wait(waitset: &Waitset, way: Way, reply: Reply<()>) {
    let binding = binding();
    let rpc = pending_calls::RpcClient::new(&binding);
    match way {
        Way::Send => {
            fill(&binding);
            report(waitset, way, async move { binding.send_note(1).await }, reply);
        }
        Way::GiveCap => {
            fill(&binding);
            let cap = Cap::from(std::fs::File::open("/dev/null").expect("it is there"));
            let give =
                async move { binding.send_give(1, cap).await.map_err(|rejected| rejected.error) };
            report(waitset, way, give, reply);
        }
        Way::Sent => {
            let task = async move {
                loop {
                    let sent = binding.tx_bulk(&[7; 1 << 20]).expect("the slot is free");
                    if !sent.is_sent() {
                        return sent.await;
                    }
                }
            };
            report(waitset, way, task, reply);
        }
        Way::Call => report(waitset, way, rpc.hold_async(1), reply),
        Way::CallForRoom => {
            fill(&binding);
            report(waitset, way, rpc.hold_async(1), reply);
        }
        Way::CallBesideCancelled => {
            let (call, other) = (rpc.hold_async(1), started(rpc.hold_async(2)));
            let call = started(call);
            fill(&binding);
            drop(other);
            report(waitset, way, call, reply);
        }
        Way::Blocking | Way::BlockingForRoom => {
            if way == Way::BlockingForRoom {
                fill(&binding);
            }
            reply.ok(());
            let outcome = rpc.timeout(Duration::MAX).hold(1).kind();
            Event::Waited { way, outcome }.report();
        }
        Way::Recv => report(waitset, way, async move { binding.recv().await.map(drop) }, reply),
        Way::RecvNote => report(waitset, way, async move { binding.recv_note().await }, reply),
        Way::Messages => {
            let task = async move {
                let next = {
                    let mut messages = pin!(binding.messages());
                    poll_fn(|cx| messages.as_mut().poll_next(cx)).await
                };
                (next.map(drop), binding.ended())
            };
            report(waitset, way, task, reply);
        }
        Way::SharedCall => {
            let client = pending_calls::RpcClient::new(&binding).shared();
            report(waitset, way, client.hold_async(1), reply);
        }
        Way::SharedCallOfThread => {
            let client = pending_calls::RpcClient::new(&binding).shared();
            in_thread(way, move || client.hold_async(1).timeout(Duration::MAX).wait(), reply);
        }
        Way::SharedSend | Way::SharedSendOfThread => {
            fill(&binding);
            let shared = binding.shared();
            // The queue is full when the binding's hands are, too.
            waitset.post({
                let waitset = waitset.clone();
                move |_| {
                    for _ in 0..2 {
                        while shared.tx_note(1).is_ok() {}
                        for _ in 0..8 {
                            waitset.try_dispatch()?;
                        }
                    }
                    while shared.tx_note(1).is_ok() {}
                    if way == Way::SharedSend {
                        report(&waitset, way, async move { shared.send_note(2).await }, reply);
                    } else {
                        in_thread(way, move || shared.send_note(2).wait(), reply);
                    }
                    Ok(())
                }
            });
        }
        Way::Cancelled => {
            let mut held = with(|here| here.held.pop()).expect("one is owed");
            report(
                waitset,
                way,
                async move {
                    held.cancelled().await;
                    held.is_cancelled()
                },
                reply,
            );
        }
        Way::Lookup | Way::Bind => reply.fail("it has a command of its own"),
    }
}

/// Returns the output of a future that need not wait.
fn early<F: Future>(mut future: Pin<Box<F>>) -> Option<F::Output> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A call that is under way.
fn started(call: Call<pending_calls::HoldReply>) -> Pin<Box<Call<pending_calls::HoldReply>>> {
    let mut call = Box::pin(call);
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Pending);
    call
}

/// Reports the outcome of a future, and answers the command once the future waits.
fn report<T: Kind + 'static>(
    waitset: &Waitset,
    way: Way,
    future: impl Future<Output = T> + 'static,
    reply: Reply<()>,
) {
    let task = async move {
        let mut future = pin!(future);
        let mut reply = Some(reply);
        let value = poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            if let Some(reply) = reply.take() {
                reply.result(if polled.is_pending() { Ok(()) } else { Err("it need not wait") });
            }
            polled
        });
        Event::Waited { way, outcome: value.await.kind() }.report();
    };
    waitset.spawn_local(task).detach();
}

/// Reports the outcome of something that blocks a thread of its own.
fn in_thread<T: Kind>(way: Way, run: impl FnOnce() -> T + Send + 'static, reply: Reply<()>) {
    reply.ok(());
    thread::spawn(move || Event::Waited { way, outcome: run().kind() }.report());
}
