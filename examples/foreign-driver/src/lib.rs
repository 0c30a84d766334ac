//! A driver from another crate: whole messages in a mailbox between two threads, behind one lock.
//!
//! The crate shows the parts of a driver and nothing else: no ring, no descriptor, no fast paths. It needs
//! `flounder::driver` only. `docs/drivers.md` explains it step by step; `tests/conformance.rs` tests it against the driver contract. The comments
//! here name the clauses of that contract.
//!
//! ```
//! use std::sync::Arc;
//! use flounder::driver::registry;
//!
//! registry::register(Arc::new(foreign_driver::Mailbox))?;
//! assert!(registry::find("mailbox").is_some());
//! # Ok::<(), registry::NameTaken>(())
//! ```

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::Arc;

use flounder::Cap;
use flounder::driver::channel::{
    Channel, ChannelError, ConnectError, Connector, End, Incoming, Outgoing, Progress, Readiness,
    Recv, SendPair,
};
use flounder::driver::notify::Notifier;
use parking_lot::Mutex;

const NAME: &str = "mailbox";

/// Maximum number of messages in a queue (clause 3).
const MAX_MESSAGES: usize = 32;

/// Maximum number of words in a queue; a message of more words is queued alone.
const MAX_WORDS: usize = 1 << 16;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Mailbox;

impl Connector for Mailbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pair(&self, client: &End, service: &End) -> Result<SendPair, ConnectError> {
        let doorbells = [&client.notifier, &service.notifier].map(Notifier::clone);
        let shared = Arc::new(Shared { state: Mutex::default(), doorbells });
        let end = |index| MailboxChannel { shared: Arc::clone(&shared), index };
        Ok((Box::new(end(0)), Box::new(end(1))))
    }
}

/// State that both ends share.
struct Shared {
    state: Mutex<State>,
    /// Notifier of each end.
    doorbells: [Notifier; 2],
}

#[derive(Default)]
struct State {
    /// Queue of messages to each end.
    queues: [Queue; 2],
    /// True once either end is closed.
    closed: bool,
}

/// Messages to one end, and the events that it waits for.
#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// Sum of the words of `messages`.
    words: usize,
    /// True from `arm` until `disarm` or the next wake-up.
    armed: bool,
    /// Length in words of the message that this end could not send.
    blocked: Option<usize>,
}

struct Message {
    number: u16,
    words: Vec<u64>,
    caps: Vec<Cap>,
}

/// One end of a channel.
struct MailboxChannel {
    shared: Arc<Shared>,
    /// Index of this end: 0 for the client, 1 for the service.
    index: usize,
}

impl MailboxChannel {
    const fn peer(&self) -> usize {
        1 - self.index
    }

    /// Wakes the peer if it was armed. Call this after the lock is released: what is woken may call into this channel.
    fn wake_peer(&self, was_armed: bool) {
        if was_armed {
            self.shared.doorbells[self.peer()].notify();
        }
    }
}

impl Queue {
    fn has_room(&self, words: usize) -> bool {
        self.messages.is_empty()
            || self.messages.len() < MAX_MESSAGES && self.words + words <= MAX_WORDS
    }

    /// Disarms this end. Returns true if it was armed and has to be woken.
    fn take_armed(&mut self) -> bool {
        core::mem::take(&mut self.armed)
    }
}

impl State {
    fn can_resume(&self, end: usize) -> bool {
        let blocked = self.queues[end].blocked;
        blocked.is_some_and(|words| self.closed || self.queues[1 - end].has_room(words))
    }
}

impl Channel for MailboxChannel {
    fn driver(&self) -> &'static str {
        NAME
    }

    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        let words = message.body.len();
        let mut state = self.shared.state.lock();
        if state.closed {
            return Err(ChannelError::Closed);
        }
        // A message is taken whole or not at all (clauses 4 and 5).
        if !state.queues[self.peer()].has_room(words) {
            state.queues[self.index].blocked = Some(words);
            return Ok(Progress::Partial(0));
        }
        state.queues[self.index].blocked = None;
        let mut copy = Message {
            number: message.number,
            words: vec![0; words],
            caps: core::mem::take(message.caps),
        };
        message.body.reader(0).read(&mut copy.words);
        let queue = &mut state.queues[self.peer()];
        queue.words += words;
        queue.messages.push_back(copy);
        let was_armed = queue.take_armed();
        drop(state);
        self.wake_peer(was_armed);
        Ok(Progress::Done)
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        let mut state = self.shared.state.lock();
        let closed = state.closed;
        let queue = &mut state.queues[self.index];
        let Some(message) = queue.messages.front() else {
            // The end of the channel is reported after all messages (clause 7).
            return if closed { Err(ChannelError::Closed) } else { Ok(Recv::Empty) };
        };
        // A message that the interface refuses stays in the queue, so that each call returns the same error (clause 6).
        incoming
            .begin(message.number, message.words.len(), message.caps.len())
            .map_err(ChannelError::Protocol)?;
        incoming.push(&message.words).map_err(ChannelError::Protocol)?;
        queue.words -= message.words.len();
        let caps = queue.messages.pop_front().map_or_else(Vec::new, |message| message.caps);
        incoming.put_caps(caps).map_err(ChannelError::Protocol)?;
        let peer = &mut state.queues[self.peer()];
        let was_armed = peer.blocked.is_some() && peer.take_armed();
        drop(state);
        self.wake_peer(was_armed);
        Ok(Recv::Message)
    }

    fn ready(&mut self) -> bool {
        let state = self.shared.state.lock();
        !state.queues[self.index].messages.is_empty()
            || state.closed
            || state.can_resume(self.index)
    }

    fn can_resume(&mut self) -> bool {
        self.shared.state.lock().can_resume(self.index)
    }

    // The lock orders `arm` before the peer's next call, so no wake-up is missed (clause 8).
    fn arm(&mut self) {
        self.shared.state.lock().queues[self.index].armed = true;
    }

    fn disarm(&mut self) {
        self.shared.state.lock().queues[self.index].armed = false;
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn close(&mut self) {
        let mut state = self.shared.state.lock();
        if !core::mem::replace(&mut state.closed, true) {
            let was_armed = state.queues[self.peer()].take_armed();
            drop(state);
            self.wake_peer(was_armed);
        }
    }
}

impl Drop for MailboxChannel {
    fn drop(&mut self) {
        self.close();
    }
}
