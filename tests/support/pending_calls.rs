//! What a test process does that waits, in every way that there is, for a peer that ends meanwhile.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use flounder::binding::Call;
use flounder::{BindingError, Cap, Exported, Iref, Peer, Waitset, nameservice};
use futures_core::Stream;

use super::kind::Kind;
use super::process::{answer, iref, say, tell};

flounder::flounder! {
    interface pending_calls "To be waited for" {
        message note(uint32 n);
        message bulk(uint8 data[length, 1048576]);
        message give(uint32 n, give_away_cap c);
        rpc hold(in uint32 n, out uint32 n);
    };
}

/// Runs a command of a test process.
pub fn run(waitset: &Waitset, words: &[&str]) {
    match *words {
        // A service, which keeps the replies that it owes, and its ends.
        ["export", name] => {
            let exported = pending_calls::export(waitset, |_: &Peer| Ok(End)).start();
            let exported = exported.expect("it can be exported");
            let iref = exported.iref();
            with(|here| here.exported.push(exported));
            answer(&nameservice::register(name, iref).map(|()| iref.to_bits()));
        }
        ["bind", driver, name] => bind(waitset, driver, name, End),
        ["bind-inbox", driver, name, room] => {
            let inbox = pending_calls::Inbox::beside(room.parse().expect("a number"), End);
            bind(waitset, driver, name, inbox);
        }
        // Serves its end no more, and leaves it as it is.
        ["mute"] => {
            let asleep = Waitset::new();
            binding().change_waitset(&asleep).expect("it can be moved");
            with(|here| here.asleep.push(asleep));
            say("ok");
        }
        ["close"] => {
            binding().teardown();
            say("ok");
        }
        // Says what the error handlers were told.
        ["forget"] => say(&forget().kind()),
        // Waits, and tells what came of it.
        ["wait", way] => wait(waitset, way),
        ["wait-lookup", name] => report(waitset, "lookup", nameservice::lookup_async(name)),
        ["wait-bind", driver, bits] => {
            let bind = pending_calls::bind(iref(bits), waitset, End).driver(driver);
            let bind = bind.deadline(super::TIMEOUT);
            report(waitset, "bind", async move { bind.await.map(drop) });
        }
        // Waits for a name in many ways at once, and then in none; says what came of one that ended before.
        ["lookups", count, name] => {
            let count = count.parse().expect("a number");
            let waiting: Vec<_> =
                (0..count).map(|_| nameservice::blocking_lookup_async(name)).collect();
            // It is answered behind them.
            let list = nameservice::list();
            let early: Vec<_> = waiting.into_iter().map(Box::pin).filter_map(early).collect();
            answer(&list.map(|_| early));
        }
        // Sends one after the other as there is room, and tells of each that is sent.
        ["notes"] => {
            let binding = binding();
            say("ok");
            let notes = async move {
                for n in 0_u32.. {
                    match binding.tx_note(n) {
                        Ok(sent) if sent.await.is_ok() => tell(&format!("sent {n}")),
                        end => return tell(&format!("note {n}: {}", end.map(drop).kind())),
                    }
                }
            };
            waitset.spawn_local(notes).detach();
        }
        // What comes into the inbox, until the end.
        ["drain"] => {
            let binding = binding();
            let drain = async move {
                for expected in 0_u32.. {
                    match binding.recv_note().await {
                        Ok(n) if n == expected => {}
                        other => return say(&format!("{expected} notes, {}", other.kind())),
                    }
                }
            };
            waitset.spawn_local(drain).detach();
        }
        // Calls by hand, of which there is no end; nobody waits for the replies.
        ["call-regardless", count] => {
            let (binding, count) = (binding(), count.parse().expect("a number"));
            say("ok");
            let calls = async move {
                for n in 0..count {
                    let call = pending_calls::Message::HoldCall { id: n, n };
                    binding.tx(&call).expect("the slot is free").await.expect("the service lives");
                }
                tell("called");
            };
            waitset.spawn_local(calls).detach();
        }
        // Calls that are left to themselves.
        ["calls", count] => {
            let rpc = pending_calls::RpcClient::new(&binding());
            for n in 0..count.parse().expect("a number") {
                waitset.spawn_local(rpc.hold_async(n)).detach();
            }
            say("ok");
        }
        ["fill"] => {
            fill(&binding());
            say("ok");
        }
        // A call that may take so long; the answer is what comes of it.
        ["call-within", millis] => {
            let time = Duration::from_millis(millis.parse().expect("a number"));
            let call = pending_calls::RpcClient::new(&binding()).hold_async(7).timeout(time);
            waitset.spawn_local(async move { answer(&call.await) }).detach();
        }
        // Gives no reply to one call.
        ["drop-reply"] => {
            let reply = with(|here| here.held.remove(0));
            drop(reply);
            say("ok");
        }
        // Replies to one call.
        ["reply"] => {
            let reply = with(|here| here.held.remove(0));
            reply.send(0);
            say("ok");
        }
        // Replies owed, and how many of them nobody waits for.
        ["held"] => {
            let held = with(|here| {
                let cancelled = here.held.iter().filter(|reply| reply.is_cancelled()).count();
                (here.held.len(), cancelled)
            });
            say(&format!("{held:?}"));
        }
        _ => say(&format!("error: no such command: {words:?}")),
    }
}

/// What a test process has of this.
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
    nameservice::lookup(name).expect("it is registered")
}

/// Binds, and has the service meet its end.
fn bind(waitset: &Waitset, driver: &str, name: &str, rx: impl pending_calls::Handlers) {
    let bind = pending_calls::bind(lookup(name), waitset, rx).driver(driver);
    let started = bind.on_bound(|bound| {
        let bound = bound.map(|binding| {
            binding.tx_note(0).expect("there is room");
            with(|here| here.binding = Some(binding));
        });
        answer(&bound);
    });
    started.expect("it starts");
}

/// Either end.
struct End;

impl pending_calls::Rx for End {
    fn note(&mut self, binding: &pending_calls::Binding, _: u32) {
        if with(|here| here.binding.replace(binding.clone())).is_none() {
            tell("met");
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
fn wait(waitset: &Waitset, way: &str) {
    let binding = binding();
    let rpc = pending_calls::RpcClient::new(&binding);
    match way {
        "send" => {
            fill(&binding);
            report(waitset, way, async move { binding.send_note(1).await });
        }
        "give" => {
            fill(&binding);
            let cap = Cap::from(std::fs::File::open("/dev/null").expect("it is there"));
            let give =
                async move { binding.send_give(1, cap).await.map_err(|rejected| rejected.error) };
            report(waitset, way, give);
        }
        "sent" => {
            let task = async move {
                loop {
                    let sent = binding.tx_bulk(&[7; 1 << 20]).expect("the slot is free");
                    if !sent.is_sent() {
                        return sent.await;
                    }
                }
            };
            report(waitset, way, task);
        }
        "call" => report(waitset, way, rpc.hold_async(1)),
        "call-for-room" => {
            fill(&binding);
            report(waitset, way, rpc.hold_async(1));
        }
        "call-beside-cancelled" => {
            let (call, other) = (rpc.hold_async(1), started(rpc.hold_async(2)));
            let call = started(call);
            fill(&binding);
            drop(other);
            report(waitset, way, call);
        }
        "blocking" | "blocking-for-room" => {
            if way == "blocking-for-room" {
                fill(&binding);
            }
            say("ok");
            tell(&format!("{way}: {}", rpc.timeout(Duration::MAX).hold(1).kind()));
        }
        "recv" => report(waitset, way, async move { binding.recv().await.map(drop) }),
        "recv-note" => report(waitset, way, async move { binding.recv_note().await }),
        "messages" => {
            let task = async move {
                let next = {
                    let mut messages = pin!(binding.messages());
                    poll_fn(|cx| messages.as_mut().poll_next(cx)).await
                };
                (next.map(drop), binding.ended())
            };
            report(waitset, way, task);
        }
        "shared-call" => {
            let client = pending_calls::SharedClient::new(&binding.shared());
            report(waitset, way, client.hold_async(1));
        }
        "shared-call-of-a-thread" => {
            let client = pending_calls::SharedClient::new(&binding.shared());
            in_thread(way, move || client.hold_async(1).wait_timeout(Duration::MAX));
        }
        "shared-send" | "shared-send-of-a-thread" => {
            fill(&binding);
            let shared = binding.shared();
            // The queue is full when the binding's hands are, too.
            waitset.post({
                let (waitset, way) = (waitset.clone(), way.to_owned());
                move |_| {
                    for _ in 0..2 {
                        while shared.send_note(1).try_now().is_ok() {}
                        for _ in 0..8 {
                            waitset.try_dispatch()?;
                        }
                    }
                    while shared.send_note(1).try_now().is_ok() {}
                    let send = shared.send_note(2);
                    if way == "shared-send" {
                        report(&waitset, &way, send);
                    } else {
                        in_thread(&way, move || send.wait());
                    }
                    Ok(())
                }
            });
        }
        "cancelled" => {
            let mut reply = with(|here| here.held.pop()).expect("one is owed");
            report(waitset, way, async move {
                reply.cancelled().await;
                reply.is_cancelled()
            });
        }
        _ => say(&format!("error: no such way to wait: {way}")),
    }
}

/// What a future gives that need not wait.
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

/// Tells what comes of a future; says so when it waits.
fn report<T: Kind + 'static>(
    waitset: &Waitset,
    way: &str,
    future: impl Future<Output = T> + 'static,
) {
    let way = way.to_owned();
    let task = async move {
        let mut future = pin!(future);
        let mut waits = false;
        let value = poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            if !std::mem::replace(&mut waits, true) {
                say(if polled.is_pending() { "ok" } else { "error: it need not wait" });
            }
            polled
        });
        let value = value.await;
        tell(&format!("{way}: {}", value.kind()));
    };
    waitset.spawn_local(task).detach();
}

/// Tells what comes of something that blocks its thread.
fn in_thread<T: Kind>(way: &str, run: impl FnOnce() -> T + Send + 'static) {
    let way = way.to_owned();
    say("ok");
    thread::spawn(move || tell(&format!("{way}: {}", run().kind())));
}
