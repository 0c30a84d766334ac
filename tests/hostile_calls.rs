//! A peer cancels calls that it never made and answers calls that it never got, again and again. Calls of other bindings are
//! not affected, and no table grows.
//!
//! The peer is a binding that sends the messages of the runtime and of calls by hand.

use std::alloc::System;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use flounder::driver::channel::RUNTIME_MESSAGE;
use flounder::limits::MAX_PENDING_REPLIES;
use flounder::{BindingError, Call, Peer, RpcError, TxError, Waitset};
use flounder_rt::binding::AsRaw as _;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

flounder::flounder! {
    @symmetric
    interface work "To be cancelled" {
        rpc hold(in uint32 n, out uint32 n);
        rpc name(in uint32 n, out string name[100]);
    };
}

use work::Message;

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

const DRIVERS: [&str; 5] = ["loopback", "lmp", "ump", "scc", "beehive"];

/// Notices of a flood, and what the victim may hold more after it.
const FLOOD: u32 = 10_000;
const SLACK: usize = 32 << 10;

/// As in `docs/wire.md`.
const NO_REPLY: u64 = 1;
const CANCELLED: u64 = 3;
const NO_REPLY_BECAUSE: u64 = 8;
const PANICKED: u64 = 1;
const TOO_LONG: u64 = 4;
const REFUSED: u64 = 5;

/// Unsent replies of the victim, by binding.
#[derive(Default)]
struct Victim {
    held: RefCell<Vec<(work::Binding, u32, work::HoldReply)>>,
    errors: RefCell<Vec<BindingError>>,
}

struct Service(Rc<Victim>);

impl work::Rx for Service {
    fn hold(&mut self, b: &work::Binding, n: u32, reply: work::HoldReply) {
        self.0.held.borrow_mut().push((b.clone(), n, reply));
    }

    fn name(&mut self, _: &work::Binding, n: u32, reply: work::NameReply) {
        reply.send(&n.to_string());
    }

    fn error(&mut self, _: &work::Binding, error: BindingError) {
        self.0.errors.borrow_mut().push(error);
    }
}

/// Argument of the first call of each client, and the id of both calls.
const HOSTILE: u32 = 0;
const HONEST: u32 = 1;
const FIRST: u32 = 1;

/// A victim with two clients, each of the three with a waitset of its own.
struct Scene {
    victim: Rc<Victim>,
    waitsets: [Waitset; 3],
    hostile: work::Binding,
    honest: work::Binding,
    /// The victim's end of the hostile client's binding.
    theirs: work::Binding,
    /// Each client has made one; with the same id, as each binding counts its own.
    calls: Vec<Held>,
    _alone: MutexGuard<'static, ()>,
}

type Held = Pin<Box<Call<work::HoldReply>>>;

impl Scene {
    fn new(driver: &str) -> Self {
        // Allocations are those of all threads.
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let waitsets = [Waitset::new(), Waitset::new(), Waitset::new()];
        let victim = Rc::<Victim>::default();
        let theirs = Rc::clone(&victim);
        let export = work::export(&waitsets[0], move |_: &Peer| Ok(Service(Rc::clone(&theirs))));
        let iref = export.wait().expect("it can be exported").iref();
        let [hostile, honest] = [1, 2].map(|at| {
            // It answers no calls, either.
            let bind = work::bind(iref, &waitsets[0], Service(Rc::default())).driver(driver);
            let binding = bind.wait().expect("it can be bound to");
            binding.change_waitset(&waitsets[at]).expect("it can be moved");
            binding
        });
        let calls = vec![hold(&hostile, HOSTILE), hold(&honest, HONEST)];
        settle(&waitsets);
        let theirs = {
            let held = victim.held.borrow();
            held.iter().find(|(_, n, _)| *n == HOSTILE).expect("it came").0.clone()
        };
        Self { victim, waitsets, hostile, honest, theirs, calls, _alone: alone }
    }

    fn settle(&self) {
        settle(&self.waitsets);
    }

    /// The hostile client sends a message, as soon as there is room.
    fn say(&self, number: u16, words: &[u64]) {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.hostile.as_raw().send(number, words, &[]) {
                Ok(_) => return,
                Err(TxError::Busy) => self.settle(),
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < end, "the victim does not take anything");
        }
    }

    fn cancel(&self, id: u32) {
        self.say(RUNTIME_MESSAGE, &[CANCELLED, id.into()]);
    }

    fn no_reply(&self, id: u32) {
        self.say(RUNTIME_MESSAGE, &[NO_REPLY, id.into()]);
    }

    /// The same, with the longest reason.
    fn refuse(&self, id: u32) {
        let text = [u64::from_le_bytes(*b"no, no, "); 32];
        let words = [&[NO_REPLY_BECAUSE, id.into(), REFUSED, 7, 256][..], &text].concat();
        self.say(RUNTIME_MESSAGE, &words);
    }

    fn tell(&self, message: &Message) {
        let message =
            flounder::message::MessageBuffer::encode(message).expect("nothing is too long");
        self.say(message.number, &message.words);
    }

    /// Arguments of the cancelled calls.
    fn cancelled(&self) -> Vec<u32> {
        let held = self.victim.held.borrow();
        let cancelled = held.iter().filter(|(.., reply)| reply.is_cancelled());
        let mut cancelled: Vec<_> = cancelled.map(|(_, n, _)| *n).collect();
        cancelled.sort_unstable();
        cancelled
    }

    /// Returns an unsent reply.
    fn reply_to(&self, n: u32) -> work::HoldReply {
        let mut held = self.victim.held.borrow_mut();
        let at = held.iter().position(|held| held.1 == n).expect("it came");
        held.remove(at).2
    }

    /// Checks that everything works: replies reach those who wait, and calls go both ways over both bindings.
    #[track_caller]
    fn expect_order(self, waiting: usize) {
        self.settle();
        assert_eq!(*self.victim.errors.borrow(), []);
        for (.., reply) in self.victim.held.take() {
            reply.send(7);
        }
        self.settle();
        let answers: Vec<_> = self.calls.into_iter().filter_map(now).collect();
        assert_eq!(answers, vec![Ok(7); waiting]);
        for binding in [&self.hostile, &self.honest] {
            let mut call = Box::pin(work::RpcClient::new(binding).name_async(5));
            assert!(is_pending(call.as_mut()));
            settle(&self.waitsets);
            assert_eq!(now(call), Some(Ok("5".to_owned())));
        }
    }
}

fn hold(binding: &work::Binding, n: u32) -> Held {
    let mut call = Box::pin(work::RpcClient::new(binding).hold_async(n));
    assert!(is_pending(call.as_mut()));
    call
}

fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// The value of a future that has it now.
fn now<F: Future>(mut future: Pin<Box<F>>) -> Option<F::Output> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[track_caller]
fn settle(waitsets: &[Waitset]) {
    let end = Instant::now() + PATIENCE;
    let step = |waitset: &Waitset| waitset.try_dispatch().expect("no callback fails");
    while waitsets.iter().any(step) {
        assert!(Instant::now() < end, "they never come to rest");
    }
}

/// Bytes that are allocated more after `run` than before.
fn growth(run: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    run();
    let stats = region.change();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

#[test]
fn cancelling_unknown_or_foreign_calls_changes_nothing() {
    for driver in DRIVERS {
        let scene = Scene::new(driver);
        // The ids of the honest client's calls, which the hostile one has answered meanwhile.
        scene.reply_to(HOSTILE).send(7);
        scene.settle();
        // The victim calls, too.
        let mut back = hold(&scene.theirs, 1);
        let grown = growth(|| {
            (0..FLOOD).for_each(|id| scene.cancel(id));
            (0..FLOOD).for_each(|n| scene.cancel(u32::MAX - n * 3));
            scene.settle();
        });
        assert!(grown <= SLACK, "{driver}: {grown} bytes");
        assert_eq!(scene.cancelled(), [], "{driver}");
        assert!(
            is_pending(back.as_mut()),
            "{driver}: a call of the victim is not the peer's to cancel"
        );
        drop(back);
        scene.expect_order(2);
    }
}

#[test]
fn cancelling_a_call_again_and_again_cancels_that_call() {
    for driver in DRIVERS {
        let scene = Scene::new(driver);
        let mut others = [hold(&scene.honest, 2), hold(&scene.hostile, 3)];
        scene.settle();
        let grown = growth(|| {
            (0..FLOOD).for_each(|_| scene.cancel(FIRST));
            scene.settle();
        });
        assert!(grown <= SLACK, "{driver}: {grown} bytes");
        assert_eq!(scene.cancelled(), [HOSTILE], "{driver}");
        // Ids that come again are those of calls of their own, and are cancelled together.
        for n in [10, 11, 12] {
            scene.tell(&Message::HoldCall { id: FIRST, n });
        }
        scene.settle();
        assert_eq!(scene.cancelled(), [HOSTILE], "{driver}");
        scene.cancel(FIRST);
        scene.settle();
        assert_eq!(scene.cancelled(), [HOSTILE, 10, 11, 12], "{driver}");
        assert!(others.iter_mut().all(|call| is_pending(call.as_mut())));
        drop(others);
        scene.expect_order(1);
    }
}

#[test]
fn replies_to_unknown_or_finished_calls_are_discarded() {
    for driver in DRIVERS {
        let scene = Scene::new(driver);
        let first = hold(&scene.theirs, 1);
        let dropped = hold(&scene.theirs, 2);
        let shared = work::RpcClient::new(&scene.theirs).shared();
        let mut of_a_thread = Box::pin(shared.hold_async(3));
        assert!(is_pending(of_a_thread.as_mut()));
        scene.settle();
        // The victim has made three calls over this binding, the first of all.
        let (one, two, three) = (1, 2, 3);
        drop(dropped);
        scene.settle();
        let grown = growth(|| {
            for n in 0..FLOOD {
                let id = if n.is_multiple_of(2) { two } else { 4 + n * 7 };
                scene.tell(&Message::HoldResponse { id, n });
                scene.no_reply(id);
                scene.refuse(id);
            }
            scene.settle();
        });
        assert!(grown <= SLACK, "{driver}: {grown} bytes");
        let mut calls = [first];
        assert!(is_pending(calls[0].as_mut()) && is_pending(of_a_thread.as_mut()), "{driver}");
        let grown = growth(|| {
            for n in 0..FLOOD {
                scene.tell(&Message::HoldResponse { id: one, n: 100 + n });
                scene.tell(&Message::HoldResponse { id: three, n: 200 + n });
                scene.no_reply(one);
                scene.no_reply(three);
                scene.refuse(three);
            }
            scene.settle();
        });
        assert!(grown <= SLACK, "{driver}: {grown} bytes");
        let [first] = calls;
        assert_eq!(now(first), Some(Ok(100)), "{driver}: the first counts");
        assert_eq!(now(of_a_thread), Some(Ok(200)), "{driver}");
        scene.expect_order(2);
    }
}

#[test]
fn reply_of_another_rpc_fails_the_call_and_ends_the_binding() {
    for driver in DRIVERS {
        let scene = Scene::new(driver);
        let call = hold(&scene.theirs, 1);
        scene.settle();
        scene.tell(&Message::NameResponse { id: 1, name: "seven".to_owned() });
        scene.settle();
        assert!(matches!(now(call), Some(Err(RpcError::Decode(_)))), "{driver}");
        scene.settle();
        assert!(
            matches!(scene.victim.errors.borrow()[..], [BindingError::Decode { .. }]),
            "{driver}"
        );
        assert_eq!(scene.theirs.ended(), scene.victim.errors.borrow().first().cloned());
        assert_eq!(scene.honest.ended(), None);
    }
}

#[test]
fn forged_notice_ends_only_its_binding() {
    // Message 2 is the response of `hold`, with one argument.
    let nonsense: [&[u64]; 16] = [
        &[],
        &[CANCELLED],
        &[CANCELLED, 1 << 32],
        &[CANCELLED, 1, 2],
        &[99, 1],
        &[NO_REPLY_BECAUSE, 1],
        &[NO_REPLY_BECAUSE, 1, 0],
        &[NO_REPLY_BECAUSE, 1 << 32, PANICKED],
        &[NO_REPLY_BECAUSE, 1, PANICKED, 0],
        &[NO_REPLY_BECAUSE, 1, TOO_LONG, 1, 1, 8, 7],
        &[NO_REPLY_BECAUSE, 1, TOO_LONG, 2, 0, 8, 7],
        &[NO_REPLY_BECAUSE, 1, TOO_LONG, 2, 2, 8, 7],
        &[NO_REPLY_BECAUSE, 1, TOO_LONG, 9, 1, 8, 7],
        &[NO_REPLY_BECAUSE, 1, TOO_LONG, 2, 1, 7, 7],
        &[NO_REPLY_BECAUSE, 1, REFUSED, 0, 1, 0xff],
        &[NO_REPLY_BECAUSE, 1, REFUSED, 0, 257],
    ];
    for driver in DRIVERS {
        for words in nonsense {
            let scene = Scene::new(driver);
            scene.say(RUNTIME_MESSAGE, words);
            scene.settle();
            assert!(matches!(scene.victim.errors.borrow()[..], [BindingError::Decode { .. }]));
            let held = scene.victim.held.take();
            assert_eq!(held.iter().filter(|(.., reply)| reply.is_cancelled()).count(), 1);
            held.into_iter().for_each(|(.., reply)| reply.send(7));
            scene.settle();
            let answers: Vec<_> = scene.calls.into_iter().map(now).collect();
            let closed = Some(Err(RpcError::Closed(BindingError::Closed)));
            assert_eq!(answers, [closed, Some(Ok(7))], "{driver}, {words:?}");
        }
    }
}

#[test]
fn cancelled_calls_count_until_the_service_drops_their_replies() {
    for driver in DRIVERS {
        let scene = Scene::new(driver);
        for id in 10..4 * MAX_PENDING_REPLIES as u32 {
            // A full channel takes no further message.
            let call = flounder::message::MessageBuffer::encode(&Message::HoldCall { id, n: id })
                .expect("nothing is too long");
            let notice = [CANCELLED, id.into()];
            for (number, words) in [(call.number, &call.words[..]), (RUNTIME_MESSAGE, &notice)] {
                if scene.hostile.as_raw().send(number, words, &[]).is_err() {
                    scene.settle();
                }
            }
        }
        scene.settle();
        let held = scene.victim.held.borrow().len();
        assert_eq!(held, MAX_PENDING_REPLIES + 1, "{driver}");
    }
}
