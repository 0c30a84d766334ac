//! Messages between two bindings of one dispatcher: a queue in each direction, in ordinary memory.
//!
//! Messages are encoded as for every driver, so that a program behaves the same over all of them. A
//! queue holds sixty-four messages, in entries that are made when they are needed and keep their
//! buffers: a message of a size that was sent before costs no allocation. Capabilities are moved.
//! Neither end leaves its thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use flounder_rt::bulk::BulkMemory;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    Channel, ChannelError, ConnectError, Connector, End, Incoming, Outgoing, Pair, PairId,
    Progress, Readiness, Recv, RecvNow,
};
use flounder_rt::notify::Notifier;
use flounder_rt::wire::{LINE, copy_line};

use crate::mem::pool::MAPPED;

const NAME: &str = "loopback";

/// Maximum number of messages in a queue.
const MAX_MESSAGES: usize = 64;

/// Maximum number of words in a queue; a message of more words is queued alone.
const MAX_WORDS: usize = (1 << 20) / 8;

/// Size in words above which an entry frees its buffer.
const KEPT_WORDS: usize = 8 << 10;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Loopback;

impl Connector for Loopback {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pair_local(&self, client: &End, service: &End) -> Result<Pair, ConnectError> {
        let (to_service, to_client) = (Rc::new(Queue::new(service)), Rc::new(Queue::new(client)));
        let pair = PairId::fresh();
        let client = LoopbackChannel::new(Rc::clone(&to_service), Rc::clone(&to_client), pair);
        Ok((Box::new(client), Box::new(LoopbackChannel::new(to_client, to_service, pair))))
    }
}

/// One end of a channel.
struct LoopbackChannel {
    out: Rc<Queue>,
    into: Rc<Queue>,
    pair: PairId,
    /// Length of the message that found no room; the reader of `out` wakes this end for it.
    blocked: Option<usize>,
}

/// The queue of one direction.
struct Queue {
    messages: RefCell<Messages>,
    /// State of the end that takes messages out.
    reader: Reader,
    /// True once one of the ends is closed.
    closed: Cell<bool>,
}

struct Messages {
    /// The entries of a ring of `MAX_MESSAGES` that were used at least once, with messages in `len` of them from `head` on.
    /// The first lap makes them in order; `head < MAX_MESSAGES` and `len <= MAX_MESSAGES`.
    entries: Vec<QueuedMessage>,
    head: usize,
    len: usize,
    /// Sum of the words of these messages.
    words: usize,
}

#[derive(Default)]
struct QueuedMessage {
    number: u16,
    words: usize,
    inline: [u64; LINE],
    large: Vec<u64>,
    caps: Vec<Cap>,
}

/// Wakes an end that may be asleep.
struct Reader {
    notifier: Notifier,
    state: Cell<SleepState>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SleepState {
    Awake,
    ForMessages,
    /// Asleep until a message arrives or there is room.
    ForRoom,
}

impl LoopbackChannel {
    const fn new(out: Rc<Queue>, into: Rc<Queue>, pair: PairId) -> Self {
        Self { out, into, pair, blocked: None }
    }
}

impl Channel for LoopbackChannel {
    fn bulk(&self) -> Option<&'static dyn BulkMemory> {
        Some(&MAPPED)
    }

    fn driver(&self) -> &'static str {
        NAME
    }

    fn pair(&self) -> Option<PairId> {
        Some(self.pair)
    }

    #[inline]
    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        if self.out.closed.get() {
            return Err(ChannelError::Closed);
        }
        let words = message.body.len();
        if !self.out.messages.borrow_mut().put(message, words) {
            self.blocked = Some(words);
            if self.into.reader.state.get() != SleepState::Awake {
                self.into.reader.state.set(SleepState::ForRoom);
            }
            return Ok(Progress::Partial(0));
        }
        self.blocked = None;
        self.out.reader.wake(SleepState::ForMessages);
        Ok(Progress::Done)
    }

    #[inline]
    fn send_now(&mut self, number: u16, words: &[u64]) -> bool {
        if self.out.closed.get() || !self.out.messages.borrow_mut().put_small(number, words) {
            return false;
        }
        self.blocked = None;
        self.out.reader.wake(SleepState::ForMessages);
        true
    }

    #[inline]
    fn recv_now(&mut self, incoming: &mut Incoming) -> RecvNow {
        if !self.into.messages.borrow_mut().take_small(incoming) {
            let nothing = self.into.messages.borrow().len == 0 && !self.into.closed.get();
            return if nothing { RecvNow::Empty } else { RecvNow::Unsure };
        }
        // The end that sends to us is the reader of what we send.
        self.out.reader.wake(SleepState::ForRoom);
        RecvNow::Message
    }

    #[inline]
    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        if !self.into.messages.borrow_mut().take(incoming)? {
            return if self.into.closed.get() {
                Err(ChannelError::Closed)
            } else {
                Ok(Recv::Empty)
            };
        }
        // The end that sends to us is the reader of what we send.
        self.out.reader.wake(SleepState::ForRoom);
        Ok(Recv::Message)
    }

    #[inline]
    fn ready(&mut self) -> bool {
        self.into.messages.borrow().len > 0 || self.into.closed.get() || self.can_resume()
    }

    fn can_resume(&mut self) -> bool {
        self.blocked.is_some_and(|words| {
            self.out.closed.get() || self.out.messages.borrow().has_room(words)
        })
    }

    fn is_over(&mut self) -> bool {
        self.into.closed.get()
    }

    fn arm(&mut self) {
        self.into.reader.state.set(if self.blocked.is_some() {
            SleepState::ForRoom
        } else {
            SleepState::ForMessages
        });
    }

    fn disarm(&mut self) {
        self.into.reader.state.set(SleepState::Awake);
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn close(&mut self) {
        if !self.out.closed.replace(true) | !self.into.closed.replace(true) {
            self.out.reader.wake(SleepState::ForMessages);
        }
    }
}

impl Drop for LoopbackChannel {
    fn drop(&mut self) {
        self.close();
    }
}

impl Queue {
    fn new(reader: &End) -> Self {
        Self {
            messages: RefCell::new(Messages { entries: Vec::new(), head: 0, len: 0, words: 0 }),
            reader: Reader {
                notifier: reader.notifier.clone(),
                state: Cell::new(SleepState::Awake),
            },
            closed: Cell::new(false),
        }
    }
}

impl Messages {
    #[inline]
    const fn has_room(&self, words: usize) -> bool {
        self.len == 0 || self.len < MAX_MESSAGES && self.words + words <= MAX_WORDS
    }

    /// Returns the place of the entry after the last message.
    #[inline]
    const fn next(&self) -> usize {
        (self.head + self.len) % MAX_MESSAGES
    }

    /// Appends a message of `words` words. Returns false if there is no room.
    #[inline]
    fn put(&mut self, message: &mut Outgoing<'_>, words: usize) -> bool {
        if !self.has_room(words) {
            return false;
        }
        let at = self.next();
        if at == self.entries.len() {
            self.entries.push(QueuedMessage::default());
        }
        let entry = &mut self.entries[at];
        (entry.number, entry.words) = (message.number, words);
        if words > LINE {
            entry.large.resize(words, 0);
            message.body.reader(0).read(&mut entry.large);
        } else {
            message.body.reader(0).read(&mut entry.inline);
        }
        if message.cap_count > 0 {
            entry.caps = core::mem::take(message.caps);
        }
        self.len += 1;
        self.words += words;
        true
    }

    /// Appends a message that needs no buffer. Returns false if there is no room or no entry, or the
    /// message needs a buffer.
    #[inline]
    fn put_small(&mut self, number: u16, words: &[u64]) -> bool {
        // An empty queue has room: it has no words.
        let has_room = self.len < MAX_MESSAGES && self.words + words.len() <= MAX_WORDS;
        if words.len() > LINE || !has_room {
            return false;
        }
        let at = self.next();
        let Some(entry) = self.entries.get_mut(at) else { return false };
        (entry.number, entry.words) = (number, words.len());
        copy_line(words, &mut entry.inline);
        self.len += 1;
        self.words += words.len();
        true
    }

    /// Takes the oldest message, if it needs no buffer and has no capabilities. Returns false
    /// otherwise.
    #[inline]
    fn take_small(&mut self, incoming: &mut Incoming) -> bool {
        if self.len == 0 {
            return false;
        }
        let entry = &self.entries[self.head];
        let words = entry.words;
        if words > LINE || !entry.caps.is_empty() || !incoming.may_be_whole(entry.number, words) {
            return false;
        }
        *incoming.line() = entry.inline;
        incoming.put_whole(entry.number, words);
        self.head = (self.head + 1) % MAX_MESSAGES;
        self.len -= 1;
        self.words -= words;
        true
    }

    /// Takes the oldest message. Returns false if there is none.
    ///
    /// # Errors
    /// If the interface does not permit the message.
    #[inline]
    fn take(&mut self, incoming: &mut Incoming) -> Result<bool, ChannelError> {
        if self.len == 0 {
            return Ok(false);
        }
        let entry = &mut self.entries[self.head];
        let words = if entry.words <= LINE { &entry.inline[..entry.words] } else { &entry.large };
        incoming
            .begin(entry.number, words.len(), entry.caps.len())
            .map_err(ChannelError::Protocol)?;
        incoming.push(words).map_err(ChannelError::Protocol)?;
        incoming.put_caps(core::mem::take(&mut entry.caps)).map_err(ChannelError::Protocol)?;
        if entry.large.capacity() > KEPT_WORDS {
            entry.large = Vec::new();
        }
        self.head = (self.head + 1) % MAX_MESSAGES;
        self.len -= 1;
        self.words -= entry.words;
        Ok(true)
    }
}

impl Reader {
    /// Wakes the end once, if it sleeps for this cause.
    #[inline]
    fn wake(&self, cause: SleepState) {
        let state = self.state.get();
        if state == SleepState::ForRoom || state == cause {
            self.state.set(SleepState::Awake);
            self.notifier.notify();
        }
    }
}
