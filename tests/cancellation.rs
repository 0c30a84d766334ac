//! Futures that are dropped at each of their await points. A dropped future does nothing more, what it has done stays, its
//! resources are freed, and futures that wait behind it go on.

use std::cell::RefCell;
use std::future::Future;
use std::io::PipeReader;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use flounder::driver::closer::wait_until_closed;
use flounder::limits::CALL_WINDOW;
use flounder::{BindingError, Call, Cap, Iref, Peer, Waitset};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

flounder::flounder! {
    interface work "To be called off" {
        message bulk(uint8 data[length, 1048576]);
        message give(uint32 n, give_away_cap c);
        rpc hold(in uint32 n, out uint32 n);
        rpc swap(in uint32 n, in give_away_cap there, out give_away_cap back);
        rpc long(in uint8 data[length, 1048576], out uint32 length);
    };
}

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

const DRIVERS: [&str; 5] = ["loopback", "lmp", "ump", "scc", "beehive"];

/// Bytes that do not fit into any channel at once.
const BULK: usize = 1 << 20;

/// When a future is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    NeverPolled,
    Waiting,
    /// It could go on, and was not polled since.
    Woken,
    Done,
}

use Moment::{Done, NeverPolled, Waiting, Woken};

const MOMENTS: [Moment; 4] = [NeverPolled, Waiting, Woken, Done];

/// What a service has.
#[derive(Default)]
struct Seen {
    bulks: RefCell<Vec<usize>>,
    given: RefCell<Vec<(u32, Cap)>>,
    held: RefCell<Vec<(u32, work::HoldReply)>>,
    swaps: RefCell<Vec<(u32, Cap, work::SwapReply)>>,
    longs: RefCell<Vec<work::LongReply>>,
    bound: RefCell<usize>,
    errors: RefCell<Vec<BindingError>>,
}

struct Service(Rc<Seen>);

impl work::Rx for Service {
    fn bulk(&mut self, _: &work::Binding, data: &[u8]) {
        self.0.bulks.borrow_mut().push(data.len());
    }

    fn give(&mut self, _: &work::Binding, n: u32, c: Cap) {
        self.0.given.borrow_mut().push((n, c));
    }

    fn hold(&mut self, _: &work::Binding, n: u32, reply: work::HoldReply) {
        self.0.held.borrow_mut().push((n, reply));
    }

    fn swap(&mut self, _: &work::Binding, n: u32, there: Cap, reply: work::SwapReply) {
        self.0.swaps.borrow_mut().push((n, there, reply));
    }

    fn long(&mut self, _: &work::Binding, data: &[u8], reply: work::LongReply) {
        assert!(data.iter().all(|byte| *byte == 3));
        self.0.longs.borrow_mut().push(reply);
    }

    fn error(&mut self, _: &work::Binding, error: BindingError) {
        self.0.errors.borrow_mut().push(error);
    }
}

fn export(ws: &Waitset) -> (Rc<Seen>, Iref) {
    let seen = Rc::<Seen>::default();
    let theirs = Rc::clone(&seen);
    let export = work::export(ws, move |_: &Peer| {
        *theirs.bound.borrow_mut() += 1;
        Ok(Service(Rc::clone(&theirs)))
    });
    (seen, export.wait().expect("it can be exported").iref())
}

/// A client and a service in one thread, each with a waitset of its own.
struct Ends {
    here: Waitset,
    there: Waitset,
    client: work::ClientBinding,
    rpc: work::RpcClient,
    seen: Rc<Seen>,
}

impl Ends {
    fn new(driver: &str) -> Self {
        let (here, there) = (Waitset::new(), Waitset::new());
        let (seen, iref) = export(&there);
        let bind = work::bind(iref, &there, ()).driver(driver);
        let client = bind.wait().expect("it can be bound to");
        client.change_waitset(&here).expect("it can be moved");
        let rpc = work::RpcClient::new(&client);
        Self { here, there, client, rpc, seen }
    }

    /// Fills the slot with a message that does not fit into the channel.
    fn fill(&self) {
        for _ in 0..100 {
            self.client.tx_bulk(&[7; BULK]).expect("the slot is free");
            if !self.client.can_send() {
                return;
            }
        }
        panic!("the binding is never busy");
    }

    /// Has both ends dispatch until `done`.
    #[track_caller]
    fn until(&self, mut done: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < end, "too late");
            for waitset in [&self.there, &self.here] {
                waitset.try_dispatch().expect("no callback fails");
            }
        }
    }

    /// Has both ends dispatch until nothing happens any more.
    #[track_caller]
    fn settle(&self) {
        settle(&[&self.here, &self.there]);
    }

    /// Output of a future.
    #[track_caller]
    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let (mut future, mut value) = (Box::pin(future), None);
        self.until(|| {
            if value.is_none()
                && let Poll::Ready(ready) = look(future.as_mut())
            {
                value = Some(ready);
            }
            value.is_some()
        });
        value.expect("it was awaited")
    }

    /// Polls a future up to the point of its drop, and drops it. Returns true if its waker is still held.
    #[track_caller]
    fn drop_at<T>(&self, moment: Moment, future: impl Future<Output = T>) -> bool {
        let (mut future, woken) = (Box::pin(future), Arc::<Flag>::default());
        if [Waiting, Woken].contains(&moment) {
            let waker = Waker::from(Arc::clone(&woken));
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending(), "it does not have to wait");
        }
        match moment {
            NeverPolled | Waiting => {}
            Woken => self.until(|| woken.0.load(Ordering::Relaxed)),
            Done => drop(self.run(future.as_mut())),
        }
        drop(future);
        Arc::strong_count(&woken) > 1
    }

    /// Everything works as before: both ends answer, and have nothing left to do.
    #[track_caller]
    fn expect_order(&self, what: &str) {
        let mut call = Box::pin(self.rpc.hold_async(99));
        assert!(look(call.as_mut()).is_pending());
        let ours = || self.seen.held.borrow().iter().position(|(n, _)| *n == 99);
        self.until(|| look(call.as_mut()).is_ready() || ours().is_some());
        let at = ours().expect("it was not refused");
        let (n, reply) = self.seen.held.borrow_mut().remove(at);
        reply.send(n);
        assert_eq!(self.run(call), Ok(99), "{what}");
        assert_eq!(*self.seen.errors.borrow(), [], "{what}");
        assert_eq!(self.client.ended(), None, "{what}");
        self.settle();
    }
}

/// Whether it was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn look<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[track_caller]
fn settle(waitsets: &[&Waitset]) {
    let end = Instant::now() + PATIENCE;
    let step = |waitset: &&Waitset| waitset.try_dispatch().expect("no callback fails");
    while waitsets.iter().any(step) {
        assert!(Instant::now() < end, "they never come to rest");
    }
}

/// A capability, and a way to see that all its copies are closed.
fn pipe() -> (PipeReader, Cap) {
    let (reader, writer) = std::io::pipe().expect("there are descriptors");
    (reader, Cap::from(std::os::fd::OwnedFd::from(writer)))
}

fn is_let_go(reader: &PipeReader) -> bool {
    // A descriptor that was received may be closed by another thread.
    assert!(wait_until_closed(Instant::now() + PATIENCE), "everything gets closed");
    let mut fds = [PollFd::new(reader, PollFlags::empty())];
    let ready = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("it can be asked");
    ready == 1 && fds[0].revents().contains(PollFlags::HUP)
}

#[test]
fn dropped_send_sends_nothing_unless_it_is_done() {
    for driver in DRIVERS {
        for moment in MOMENTS {
            let what = format!("{driver}, {moment:?}");
            let ends = Ends::new(driver);
            ends.fill();
            let (reader, cap) = pipe();
            assert!(!ends.drop_at(moment, ends.client.send_give(1, cap)), "{what}");
            ends.run(ends.client.send_give(2, pipe().1)).expect("the binding lives");
            ends.settle();
            let given: Vec<_> = ends.seen.given.borrow().iter().map(|(n, _)| *n).collect();
            let expected: &[u32] = if moment == Done { &[1, 2] } else { &[2] };
            assert_eq!(given, expected, "{what}");
            assert_eq!(is_let_go(&reader), moment != Done, "{what}");
            ends.seen.given.take();
            assert!(is_let_go(&reader), "{what}");
            ends.expect_order(&what);
        }
    }
}

#[test]
fn accepted_message_is_sent_without_an_await() {
    for driver in DRIVERS {
        for moment in MOMENTS {
            let what = format!("{driver}, {moment:?}");
            let ends = Ends::new(driver);
            let mut sent = 0;
            loop {
                let future = ends.client.tx_bulk(&[5; BULK]).expect("the slot is free");
                sent += 1;
                if !future.is_sent() {
                    ends.drop_at(moment, async { future.await });
                    break;
                }
            }
            ends.until(|| ends.seen.bulks.borrow().len() == sent);
            ends.settle();
            assert_eq!(*ends.seen.bulks.borrow(), vec![BULK; sent], "{what}");
            ends.expect_order(&what);
        }
    }
}

/// What a call waits for when it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// The slot, which a message has.
    Room,
    /// A place among the calls that may be under way.
    Place,
}

#[test]
fn dropping_an_unaccepted_call_sends_nothing() {
    for driver in DRIVERS {
        for (waits, moment) in [For::Room, For::Place]
            .iter()
            .flat_map(|waits| [NeverPolled, Waiting, Woken].map(|moment| (*waits, moment)))
        {
            let what = format!("{driver}, for {waits:?}, {moment:?}");
            let ends = Ends::new(driver);
            let mut calls: Vec<Pin<Box<Call<work::HoldReply>>>> = Vec::new();
            if waits == For::Room {
                ends.fill();
            } else {
                for _ in 0..CALL_WINDOW {
                    let mut call = Box::pin(ends.rpc.hold_async(0));
                    assert!(look(call.as_mut()).is_pending());
                    calls.push(call);
                    ends.settle();
                }
            }
            let (reader, cap) = pipe();
            let dropped = ends.rpc.swap_async(1, cap);
            if waits == For::Place && moment == Woken {
                let answer = ends.seen.held.borrow_mut().pop().expect("there are many");
                ends.there.post(move |_| {
                    answer.1.send(0);
                    Ok(())
                });
            }
            assert!(!ends.drop_at(moment, dropped), "{what}");
            assert!(is_let_go(&reader), "{what}");
            let mut behind = Box::pin(ends.rpc.swap_async(2, pipe().1));
            let _ = look(behind.as_mut());
            if waits == For::Place && moment != Woken {
                let answer = ends.seen.held.borrow_mut().pop().expect("there are many");
                answer.1.send(0);
            }
            ends.until(|| {
                assert!(look(behind.as_mut()).is_pending());
                !ends.seen.swaps.borrow().is_empty()
            });
            let (n, _, reply) = ends.seen.swaps.borrow_mut().pop().expect("it came");
            assert_eq!(n, 2, "{what}");
            reply.send(pipe().1);
            ends.run(behind).expect("it is answered");
            assert_eq!(ends.seen.swaps.borrow().len(), 0, "{what}");
            let held = ends.seen.held.take();
            assert!(held.iter().all(|(_, reply)| !reply.is_cancelled()), "{what}");
            drop(held);
            ends.expect_order(&what);
        }
    }
}

#[test]
fn dropping_an_accepted_call_cancels_it_unless_answered() {
    for driver in DRIVERS {
        for moment in [Waiting, Woken, Done] {
            let what = format!("{driver}, {moment:?}");
            let ends = Ends::new(driver);
            let (there, cap) = pipe();
            let (back, answer) = pipe();
            let mut call = Box::pin(ends.rpc.swap_async(1, cap));
            assert!(look(call.as_mut()).is_pending());
            ends.until(|| !ends.seen.swaps.borrow().is_empty());
            let (_, given, reply) = ends.seen.swaps.borrow_mut().pop().expect("it came");
            if moment == Waiting {
                assert!(!ends.drop_at(moment, call), "{what}");
                ends.until(|| reply.is_cancelled());
                // It is late, and goes nowhere.
                reply.send(answer);
            } else {
                assert!(!reply.is_cancelled(), "{what}");
                ends.there.post(move |_| {
                    reply.send(answer);
                    Ok(())
                });
                ends.drop_at(moment, call);
            }
            ends.settle();
            assert!(
                is_let_go(&back),
                "{what}: what comes with a reply that nobody takes is closed"
            );
            assert!(!is_let_go(&there));
            drop(given);
            assert!(is_let_go(&there), "{what}");
            ends.expect_order(&what);
        }
    }
}

#[test]
fn call_dropped_half_sent_arrives_whole_and_cancelled() {
    for driver in DRIVERS {
        let ends = Ends::new(driver);
        // Until one stays in the slot.
        let mut calls = Vec::new();
        while ends.client.can_send() {
            assert!(calls.len() < 100, "the binding is never busy");
            let mut call = Box::pin(ends.rpc.long_async(&[3; BULK]));
            assert!(look(call.as_mut()).is_pending());
            calls.push(call);
        }
        let others = calls.len() - 1;
        drop(calls.pop());
        ends.until(|| ends.seen.longs.borrow().len() == others + 1);
        ends.settle();
        let replies = ends.seen.longs.take();
        let cancelled: Vec<_> = replies.iter().map(|reply| reply.is_cancelled()).collect();
        let mut expected = vec![false; others];
        expected.push(true);
        assert_eq!(cancelled, expected, "{driver}");
        replies.into_iter().for_each(|reply| reply.send(1));
        for call in calls {
            assert_eq!(ends.run(call), Ok(1), "{driver}");
        }
        ends.expect_order(driver);
    }
}

#[test]
fn dropping_a_cancellation_wait_keeps_the_reply_owed() {
    for driver in DRIVERS {
        for moment in MOMENTS {
            let what = format!("{driver}, {moment:?}");
            let ends = Ends::new(driver);
            let mut call = Box::pin(ends.rpc.hold_async(1));
            assert!(look(call.as_mut()).is_pending());
            ends.until(|| !ends.seen.held.borrow().is_empty());
            let (n, mut reply) = ends.seen.held.borrow_mut().pop().expect("it came");
            if [NeverPolled, Waiting].contains(&moment) {
                ends.drop_at(moment, reply.cancelled());
                assert!(!reply.is_cancelled(), "{what}");
                reply.send(n);
                assert_eq!(ends.run(call), Ok(1), "{what}");
            } else {
                ends.here.post(move |_| {
                    drop(call);
                    Ok(())
                });
                ends.drop_at(moment, reply.cancelled());
                assert!(reply.is_cancelled(), "{what}");
                reply.send(n);
            }
            ends.expect_order(&what);
        }
    }
}

#[test]
fn a_bind_that_is_dropped_leaves_no_binding() {
    for driver in DRIVERS {
        for moment in MOMENTS {
            let what = format!("{driver}, {moment:?}");
            let ends = Ends::new(driver);
            let (seen, iref) = export(&ends.there);
            let bind = || work::bind(iref, &ends.here, ()).driver(driver);
            ends.drop_at(moment, bind());
            if moment == NeverPolled {
                // The first poll begins it.
                ends.settle();
                assert_eq!(*seen.bound.borrow(), 0, "{what}: nothing was begun");
                assert_eq!(*seen.errors.borrow(), [], "{what}");
            } else {
                ends.until(|| *seen.bound.borrow() == 1 && !seen.errors.borrow().is_empty());
                ends.settle();
                assert_eq!(*seen.bound.borrow(), 1, "{what}");
                assert_eq!(*seen.errors.borrow(), [BindingError::Closed], "{what}");
            }
            ends.expect_order(&what);
        }
    }
}
