//! Every interleaving of the three protocols of a shared binding, in their shipped source: the queue to its thread
//! (`job_queue.rs`), where no thread that waits for room is forgotten and the server is notified of everything; where a call meets its
//! result (`slot.rs`); and which thread serves the queue of a binding that belongs to none (`combiner.rs`).

mod loom_support;

use loom_support::sync;

#[path = "../src/binding/combiner.rs"]
mod combiner;
#[path = "../src/binding/shared/job_queue.rs"]
mod job_queue;
#[path = "../src/binding/shared/slot.rs"]
mod slot;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Wake, Waker};

use combiner::Combiner;
use job_queue::{JobQueue, Notify, Put, Room, Taken};
use loom::thread;
use loom_support::{Bell, model};
use slot::Slot;

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// A job_queue, and what its server sleeps on.
struct Way {
    job_queue: JobQueue<u32, u32>,
    capacity: usize,
    server: Bell,
}

impl Way {
    fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { job_queue: JobQueue::new(capacity), capacity, server: Bell::default() })
    }

    fn notify(&self, notify: Notify) {
        if notify == Notify::Yes {
            self.server.ring();
        }
    }

    /// Puts it in, waiting for room; false if the server is gone.
    fn put(&self, item: u32) -> bool {
        let (mut item, mut ticket, bell) = (Some(item), None, Arc::new(Bell::default()));
        let waker = Waker::from(Arc::clone(&bell));
        loop {
            match self.job_queue.put(&mut item, &mut ticket, Some(&waker)) {
                Put::Done(notify) => {
                    assert_eq!((item, ticket), (None, None));
                    self.notify(notify);
                    return true;
                }
                Put::Full => bell.wait(),
                Put::Closed => {
                    assert_eq!(ticket, None);
                    return false;
                }
            }
        }
    }

    /// Asks for room twice, and gives up then.
    fn try_twice(&self, item: u32) -> bool {
        let (mut item, mut ticket) = (Some(item), None);
        let waker = Waker::from(Arc::new(Bell::default()));
        for _ in 0..2 {
            if let Put::Done(notify) = self.job_queue.put(&mut item, &mut ticket, Some(&waker)) {
                self.notify(notify);
                return true;
            }
        }
        if let Some(ticket) = ticket {
            self.job_queue.give_up(ticket);
        }
        false
    }

    /// Serves until `done`.
    fn serve(&self, mut done: impl FnMut(&[u32], &[u32], bool) -> bool) {
        let (mut items, mut handle_events) = (VecDeque::new(), Vec::new());
        let (mut taken, mut remarked) = (Vec::new(), Vec::new());
        loop {
            let Taken { used, next } = self.job_queue.take(&mut items, &mut handle_events);
            next.into_iter().for_each(Waker::wake);
            assert!(items.len() <= self.capacity);
            let idle = items.is_empty() && handle_events.is_empty();
            taken.extend(items.drain(..));
            remarked.append(&mut handle_events);
            if done(&taken, &remarked, used) {
                return;
            }
            if idle {
                self.server.wait();
            }
        }
    }
}

/// Senders put in, in order, what the server takes out. A wake-up that is lost, of a sender or of the server, is a deadlock.
fn sending(preemptions: usize, capacity: usize, senders: u32, each: u32) {
    model(Some(preemptions), move || {
        let way = Way::new(capacity);
        for sender in 0..senders {
            let way = Arc::clone(&way);
            thread::spawn(move || (0..each).for_each(|n| assert!(way.put(sender * 10 + n))));
        }
        way.serve(|taken, _, _| {
            for sender in 0..senders {
                let own = taken.iter().filter(|item| **item / 10 == sender);
                assert!(own.copied().zip(0..).all(|(item, n)| item == sender * 10 + n));
            }
            taken.len() == (senders * each) as usize
        });
    });
}

#[test]
fn every_waiter_for_room_gets_it() {
    sending(3, 1, 1, 3);
    sending(3, 1, 2, 1);
    sending(2, 1, 2, 2);
    sending(2, 2, 2, 2);
}

#[test]
fn queue_is_busy_until_the_server_comes_back() {
    model(Some(3), || {
        let way = Way::new(2);
        let sender = {
            let way = Arc::clone(&way);
            thread::spawn(move || assert!(way.put(0)))
        };
        let (mut items, mut handle_events) = (VecDeque::new(), Vec::new());
        while items.is_empty() {
            drop(way.job_queue.take(&mut items, &mut handle_events));
            if items.is_empty() {
                way.server.wait();
            }
        }
        assert!(way.job_queue.looks().1, "the server has an item in its hands");
        items.clear();
        drop(way.job_queue.take(&mut items, &mut handle_events));
        assert!(!way.job_queue.looks().1);
        sender.join().expect("it does not panic");
    });
}

#[test]
fn waiter_that_gives_up_passes_its_place_on() {
    model(Some(3), || {
        let way = Way::new(1);
        assert!(way.put(0));
        let other = {
            let way = Arc::clone(&way);
            thread::spawn(move || way.try_twice(1))
        };
        let patient = {
            let way = Arc::clone(&way);
            thread::spawn(move || assert!(way.put(2)))
        };
        // It ends only if the patient one had its place.
        way.serve(|taken, _, _| taken.contains(&2));
        patient.join().expect("it does not panic");
        other.join().expect("it does not panic");
    });
}

#[test]
fn watcher_learns_of_room_and_of_the_end() {
    for closes in [false, true] {
        model(Some(3), move || {
            let way = Way::new(1);
            let watcher = {
                let way = Arc::clone(&way);
                thread::spawn(move || {
                    let bell = Arc::new(Bell::default());
                    let waker = Waker::from(Arc::clone(&bell));
                    let is_sent = way.put(0);
                    loop {
                        match way.job_queue.watch_room(&waker) {
                            Room::Free => return assert!(is_sent && way.job_queue.has_room()),
                            Room::Watched => bell.wait(),
                            Room::Closed => return assert!(closes && !way.job_queue.has_room()),
                            Room::WatchedByAnother => panic!("there is one watcher"),
                        }
                    }
                })
            };
            if closes {
                way.job_queue.close();
            } else {
                way.serve(|taken, _, _| taken.len() == 1);
            }
            watcher.join().expect("it does not panic");
        });
    }
}

#[test]
fn a_server_that_goes_sends_everybody_away() {
    model(Some(3), || {
        let way = Way::new(1);
        let senders: Vec<_> = (1..3)
            .map(|item| {
                let way = Arc::clone(&way);
                thread::spawn(move || way.put(item))
            })
            .collect();
        let left = way.job_queue.close();
        let put = senders.into_iter().map(|sender| sender.join().expect("it does not panic"));
        assert_eq!(put.filter(|put| *put).count(), left.len(), "each was sent away, or came");
        assert!(!way.put(3));
    });
}

#[test]
fn server_is_notified_of_reports() {
    model(Some(3), || {
        let way = Way::new(1);
        for n in 0..2 {
            let way = Arc::clone(&way);
            thread::spawn(move || way.notify(way.job_queue.report(n)));
        }
        way.serve(|_, remarked, _| remarked.len() == 2);
    });
}

#[test]
fn server_is_notified_of_the_last_user() {
    model(Some(3), || {
        let way = Way::new(1);
        way.job_queue.enter();
        way.job_queue.enter();
        for n in 0..2 {
            let way = Arc::clone(&way);
            thread::spawn(move || {
                way.put(n);
                way.notify(way.job_queue.leave());
            });
        }
        way.serve(|taken, _, used| {
            assert!(used || taken.len() == 2, "what was sent before is taken first");
            !used
        });
    });
}

#[test]
fn result_wakes_the_waiting_caller() {
    model(None, || {
        let (slot, bell) = (Arc::new(Slot::default()), Arc::new(Bell::default()));
        let server = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || {
                assert!(slot.begin(7));
                slot.settle(42);
            })
        };
        let waker = Waker::from(Arc::clone(&bell));
        while !slot.listen(&waker) {
            bell.wait();
        }
        assert_eq!(slot.take(), Some(42));
        server.join().expect("it does not panic");
    });
}

#[test]
fn dropped_call_is_not_begun_or_is_reported_to_the_server() {
    model(None, || {
        let slot = Arc::new(Slot::<u32>::default());
        let caller = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.give_up())
        };
        let begun = slot.begin(7);
        let result = caller.join().expect("it does not panic");
        assert_eq!(result, begun.then_some(7));
    });
}

#[test]
fn work_is_done_by_one_thread_at_a_time_and_for_all() {
    struct Shared {
        combiner: Combiner,
        requests: sync::Mutex<u32>,
        done: sync::Mutex<u32>,
        is_working: sync::AtomicBool,
    }
    impl Shared {
        fn request(&self) {
            *self.requests.lock() += 1;
            self.combiner.request(|| {
                let overlaps = self.is_working.swap(true, sync::Ordering::AcqRel);
                assert!(!overlaps && self.combiner.is_busy(), "two threads work");
                let requests = core::mem::take(&mut *self.requests.lock());
                *self.done.lock() += requests;
                self.is_working.store(false, sync::Ordering::Release);
            });
        }
    }
    model(Some(2), || {
        let shared = Arc::new(Shared {
            combiner: Combiner::new(),
            requests: sync::Mutex::new(0),
            done: sync::Mutex::new(0),
            is_working: sync::AtomicBool::new(false),
        });
        let others: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.request())
            })
            .collect();
        shared.request();
        others.into_iter().for_each(|other| other.join().expect("it does not panic"));
        assert_eq!(*shared.done.lock(), 3, "a request is forgotten");
        assert!(!shared.combiner.is_busy());
    });
}
