//! A channel within one thread whose queues a test can inspect, block, and put forged messages into.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use flounder_rt::Cap;
use flounder_rt::channel::{Channel, ChannelError, Incoming, Outgoing, Progress, Readiness, Recv};

/// A message on its way.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) number: u16,
    pub(crate) words: Vec<u64>,
    pub(crate) caps: Vec<Cap>,
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) messages: VecDeque<Message>,
    /// Takes nothing while set.
    pub(crate) blocked: bool,
    closed: bool,
}

pub(crate) type Shared = Rc<RefCell<Queue>>;

/// One end.
struct FakeChannel {
    out: Shared,
    into: Shared,
}

/// Both ends, and the queue from the first to the second and the one back.
pub(crate) fn pair() -> (Box<dyn Channel>, Box<dyn Channel>, Shared, Shared) {
    let (there, back) = (Shared::default(), Shared::default());
    let first = FakeChannel { out: Rc::clone(&there), into: Rc::clone(&back) };
    let second = FakeChannel { out: Rc::clone(&back), into: Rc::clone(&there) };
    (Box::new(first), Box::new(second), there, back)
}

impl Channel for FakeChannel {
    fn driver(&self) -> &'static str {
        "fake_channel"
    }

    fn send(&mut self, message: &mut Outgoing<'_>, _from: usize) -> Result<Progress, ChannelError> {
        let mut queue = self.out.borrow_mut();
        if queue.closed {
            return Err(ChannelError::Closed);
        }
        if queue.blocked {
            return Ok(Progress::Partial(0));
        }
        let mut words = vec![0; message.body.len()];
        message.body.reader(0).read(&mut words);
        let caps = std::mem::take(message.caps);
        queue.messages.push_back(Message { number: message.number, words, caps });
        Ok(Progress::Done)
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        let mut queue = self.into.borrow_mut();
        let Some(message) = queue.messages.pop_front() else {
            return if queue.closed { Err(ChannelError::Closed) } else { Ok(Recv::Empty) };
        };
        let begun = incoming.begin(message.number, message.words.len(), message.caps.len());
        begun.map_err(ChannelError::Protocol)?;
        incoming.push(&message.words).map_err(ChannelError::Protocol)?;
        incoming.put_caps(message.caps).map_err(ChannelError::Protocol)?;
        Ok(Recv::Message)
    }

    fn ready(&mut self) -> bool {
        let queue = self.into.borrow();
        !queue.messages.is_empty() || queue.closed || !self.out.borrow().blocked
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn close(&mut self) {
        self.out.borrow_mut().closed = true;
        self.into.borrow_mut().closed = true;
    }
}
