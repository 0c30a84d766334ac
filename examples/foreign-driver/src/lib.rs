//! A driver from another crate: whole messages in a queue between two threads, behind one lock.
//!
//! It shows what a driver is made of, and nothing else: no ring, no descriptor, no quick ways. It needs `flounder-rt` only.
//! `docs/drivers.md` goes through it; `tests/conformance.rs` holds it to the contract, of which the comments here name the
//! clauses.
//!
//! ```
//! use std::sync::Arc;
//! use flounder::drivers::registry;
//!
//! registry::register(Arc::new(foreign_driver::Post))?;
//! assert!(registry::find("post").is_some());
//! # Ok::<(), registry::NameTaken>(())
//! ```

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::Arc;

use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    Channel, ChannelError, ConnectError, Connector, End, Incoming, Outgoing, Progress, Readiness,
    Recv, SendPair,
};
use flounder_rt::notify::Notifier;
use parking_lot::Mutex;

const NAME: &str = "post";

/// Messages in a queue (clause 3).
const MAX_LETTERS: usize = 32;

/// Words in a queue, unless one message alone has more.
const MAX_WORDS: usize = 1 << 16;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Post;

impl Connector for Post {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pair(&self, client: &End, service: &End) -> Result<SendPair, ConnectError> {
        let notifiers = [&client.notifier, &service.notifier].map(Notifier::clone);
        let office = Arc::new(Office { desks: Mutex::default(), notifiers });
        let counter = |me| Counter { office: Arc::clone(&office), me };
        Ok((Box::new(counter(0)), Box::new(counter(1))))
    }
}

/// What both ends share.
struct Office {
    desks: Mutex<Desks>,
    /// Who is woken for an end.
    notifiers: [Notifier; 2],
}

#[derive(Default)]
struct Desks {
    of: [Desk; 2],
    /// Whether one of the ends is closed.
    closed: bool,
}

/// What there is for one end.
#[derive(Default)]
struct Desk {
    letters: VecDeque<Letter>,
    /// Words of these.
    words: usize,
    /// Whether the end sleeps.
    armed: bool,
    /// The words of a message that the end could not send.
    blocked: Option<usize>,
}

struct Letter {
    number: u16,
    words: Vec<u64>,
    caps: Vec<Cap>,
}

/// One end.
struct Counter {
    office: Arc<Office>,
    me: usize,
}

impl Counter {
    const fn peer(&self) -> usize {
        1 - self.me
    }

    /// Wakes the peer, after the lock is given back: what is woken may call into this channel.
    fn wake_peer(&self, sleeps: bool) {
        if sleeps {
            self.office.notifiers[self.peer()].notify();
        }
    }
}

impl Desk {
    fn has_room(&self, words: usize) -> bool {
        self.letters.is_empty()
            || self.letters.len() < MAX_LETTERS && self.words + words <= MAX_WORDS
    }

    /// Whether the end has to be woken; if so it is awake from here on.
    fn stir(&mut self) -> bool {
        core::mem::take(&mut self.armed)
    }
}

impl Desks {
    fn can_resume(&self, me: usize) -> bool {
        let blocked = self.of[me].blocked;
        blocked.is_some_and(|words| self.closed || self.of[1 - me].has_room(words))
    }
}

impl Channel for Counter {
    fn driver(&self) -> &'static str {
        NAME
    }

    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        let words = message.body.len();
        let mut desks = self.office.desks.lock();
        if desks.closed {
            return Err(ChannelError::Closed);
        }
        // Whole or not at all: no message is ever partly taken (clauses 4 and 5).
        if !desks.of[self.peer()].has_room(words) {
            desks.of[self.me].blocked = Some(words);
            return Ok(Progress::Partial(0));
        }
        desks.of[self.me].blocked = None;
        let mut letter = Letter {
            number: message.number,
            words: vec![0; words],
            caps: core::mem::take(message.caps),
        };
        message.body.reader(0).read(&mut letter.words);
        let desk = &mut desks.of[self.peer()];
        desk.words += words;
        desk.letters.push_back(letter);
        let sleeps = desk.stir();
        drop(desks);
        self.wake_peer(sleeps);
        Ok(Progress::Done)
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        let mut desks = self.office.desks.lock();
        let closed = desks.closed;
        let desk = &mut desks.of[self.me];
        let Some(letter) = desk.letters.front() else {
            // The end comes after what was sent (clause 7).
            return if closed { Err(ChannelError::Closed) } else { Ok(Recv::Empty) };
        };
        // What the interface refuses stays where it is, and is refused again (clause 6).
        incoming
            .begin(letter.number, letter.words.len(), letter.caps.len())
            .map_err(ChannelError::Protocol)?;
        incoming.push(&letter.words).map_err(ChannelError::Protocol)?;
        desk.words -= letter.words.len();
        let caps = desk.letters.pop_front().map_or_else(Vec::new, |letter| letter.caps);
        incoming.put_caps(caps).map_err(ChannelError::Protocol)?;
        let peer = &mut desks.of[self.peer()];
        let sleeps = peer.blocked.is_some() && peer.stir();
        drop(desks);
        self.wake_peer(sleeps);
        Ok(Recv::Message)
    }

    fn ready(&mut self) -> bool {
        let desks = self.office.desks.lock();
        !desks.of[self.me].letters.is_empty() || desks.closed || desks.can_resume(self.me)
    }

    fn can_resume(&mut self) -> bool {
        self.office.desks.lock().can_resume(self.me)
    }

    // The lock orders this before whatever the peer does next: no wake-up is missed (clause 8).
    fn arm(&mut self) {
        self.office.desks.lock().of[self.me].armed = true;
    }

    fn disarm(&mut self) {
        self.office.desks.lock().of[self.me].armed = false;
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn close(&mut self) {
        let mut desks = self.office.desks.lock();
        if !core::mem::replace(&mut desks.closed, true) {
            let sleeps = desks.of[self.peer()].stir();
            drop(desks);
            self.wake_peer(sleeps);
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.close();
    }
}
