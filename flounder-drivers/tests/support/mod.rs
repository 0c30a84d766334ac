//! Streams of messages between two threads, each checked, and how their ends sleep.

#![allow(dead_code)]

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flounder_conformance::LIMITS;
use flounder_rt::barrier::arm_then_barrier;
use flounder_rt::channel::{Channel, ChannelError, End, Incoming, Outgoing, Progress, Recv};
use flounder_rt::notify::{Notifier, Wake};
use flounder_rt::wire::Gather;

/// How long a sleep may be, and all yielding together.
const PATIENCE: Duration = Duration::from_secs(60);

/// Puts the words of a message, by its number, into a vector.
pub(crate) type Body = fn(u64, &mut Vec<u64>);

/// Sends this many messages, waiting for room, and drops the end.
pub(crate) fn stream(
    mut client: Box<dyn Channel + Send>,
    messages: u64,
    body: Body,
    mut wait: impl FnMut(&mut dyn Channel),
) {
    let mut words = Vec::new();
    for number in 0..messages {
        body(number, &mut words);
        let mut from = 0;
        loop {
            let body = Gather::words_only(&words);
            let mut message = Outgoing { number: 1, body, caps: &mut Vec::new(), cap_count: 0 };
            match client.send(&mut message, from).unwrap() {
                Progress::Done => break,
                Progress::Partial(taken) => from = taken,
            }
            wait(&mut *client);
        }
    }
}

/// Receives what [`stream`] sends, and its end. Waits where there is nothing.
pub(crate) fn check(
    service: &mut dyn Channel,
    messages: u64,
    body: Body,
    mut wait: impl FnMut(&mut dyn Channel),
) {
    let (mut words, mut incoming, mut number) = (Vec::new(), Incoming::new(LIMITS), 0);
    let error = loop {
        match service.recv(&mut incoming) {
            Ok(Recv::Message) => {
                body(number, &mut words);
                assert_eq!(incoming.words(), words, "message {number}");
                number += 1;
            }
            Ok(Recv::More) => {}
            Ok(Recv::Empty) => wait(service),
            Err(error) => break error,
        }
    };
    assert_eq!((error, number), (ChannelError::Closed, messages));
}

/// Waits by yielding the processor, and fails when that takes too long.
pub(crate) fn yielding() -> impl FnMut(&mut dyn Channel) {
    let deadline = Instant::now() + PATIENCE;
    move |_| {
        assert!(Instant::now() < deadline, "nothing happens any more");
        thread::yield_now();
    }
}

/// Puts an end to sleep until `wake`.
#[derive(Default)]
pub(crate) struct Parker {
    woken: Mutex<bool>,
    condvar: Condvar,
}

impl Wake for Parker {
    fn wake(&self, _token: u64) {
        *self.woken.lock().unwrap() = true;
        self.condvar.notify_all();
    }
}

impl Parker {
    /// Returns an end that it wakes.
    pub(crate) fn end(self: &Arc<Self>, buffer: usize) -> End {
        let notifier = Notifier::new();
        notifier.retarget(Arc::clone(self) as Arc<dyn Wake>, 0);
        End { notifier, connection: 0, buffer }
    }

    /// Sleeps until woken, if the channel is not ready: as a waitset does.
    pub(crate) fn sleep(&self, channel: &mut dyn Channel) {
        self.sleep_armed(channel, |channel| arm_then_barrier(|| channel.arm()));
    }

    /// The same for a channel that needs no barrier.
    pub(crate) fn sleep_without_barrier(&self, channel: &mut dyn Channel) {
        self.sleep_armed(channel, |channel| channel.arm());
    }

    fn sleep_armed(&self, channel: &mut dyn Channel, arm: impl FnOnce(&mut dyn Channel)) {
        *self.woken.lock().unwrap() = false;
        arm(channel);
        if !channel.ready() {
            let (woken, limit) = (self.woken.lock().unwrap(), channel.sleep_limit());
            let time = limit.unwrap_or(PATIENCE);
            let (woken, timeout) =
                self.condvar.wait_timeout_while(woken, time, |woken| !*woken).unwrap();
            let is_late = timeout.timed_out() && limit.is_none();
            assert!(!is_late, "asleep for good: a wake-up was lost");
            drop(woken);
        }
        channel.disarm();
    }
}
