//! A channel in the memory of one thread. The test decides how much it holds and when it fails.

use core::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    CapRefusal, Channel, ChannelError, Incoming, Outgoing, Progress, Readiness, Recv,
};

/// One direction of a fake channel.
#[derive(Debug, Default)]
pub struct Pipe {
    /// Messages on their way. A test may inspect them, remove some, and add forged ones.
    pub messages: RefCell<VecDeque<Message>>,
    /// Number of messages that still fit.
    pub room: Cell<usize>,
    closed: Cell<bool>,
    /// True while no message is accepted, whatever room there is.
    pub refuses: Cell<bool>,
    /// True while capabilities are taken from the sender and then refused.
    pub refuses_caps: Cell<bool>,
    /// Error that the receiver gets next in place of a message.
    pub fault: RefCell<Option<ChannelError>>,
}

/// A message on its way.
#[derive(Debug)]
pub struct Message {
    /// Number in the interface.
    pub number: u16,
    /// Words of the body.
    pub words: Vec<u64>,
    /// Capabilities, in order.
    pub caps: Vec<Cap>,
}

/// One end of a fake channel.
#[derive(Debug)]
pub struct FakeChannel {
    out: Rc<Pipe>,
    into: Rc<Pipe>,
}

/// Returns the client's end, the service's end, the pipe to the service and the pipe to the client. Each pipe holds `room`
/// messages.
#[must_use]
pub fn pair(room: usize) -> (FakeChannel, FakeChannel, Rc<Pipe>, Rc<Pipe>) {
    let (to_service, to_client) = (Rc::new(Pipe::default()), Rc::new(Pipe::default()));
    to_service.room.set(room);
    to_client.room.set(room);
    let client = FakeChannel { out: Rc::clone(&to_service), into: Rc::clone(&to_client) };
    let service = FakeChannel { out: Rc::clone(&to_client), into: Rc::clone(&to_service) };
    (client, service, to_service, to_client)
}

impl Channel for FakeChannel {
    fn driver(&self) -> &'static str {
        "fake"
    }

    fn send(&mut self, message: &mut Outgoing<'_>, from: usize) -> Result<Progress, ChannelError> {
        if self.into.closed.get() || self.out.closed.get() {
            return Err(ChannelError::Closed);
        }
        if self.out.room.get() == 0 || self.out.refuses.get() {
            return Ok(Progress::Partial(from));
        }
        self.out.room.set(self.out.room.get() - 1);
        let mut words = vec![0; message.body.len()];
        message.body.reader(0).read(&mut words);
        let caps = core::mem::take(message.caps);
        if self.out.refuses_caps.get() && !caps.is_empty() {
            return Err(ChannelError::Caps(CapRefusal::Sender));
        }
        self.out.messages.borrow_mut().push_back(Message { number: message.number, words, caps });
        Ok(Progress::Done)
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        if let Some(fault) = self.into.fault.borrow().clone() {
            return Err(fault);
        }
        let Some(Message { number, words, caps }) = self.into.messages.borrow_mut().pop_front()
        else {
            return if self.into.closed.get() {
                Err(ChannelError::Closed)
            } else {
                Ok(Recv::Empty)
            };
        };
        self.into.room.set(self.into.room.get().saturating_add(1));
        incoming.begin(number, words.len(), caps.len()).map_err(ChannelError::Protocol)?;
        incoming.push(&words).map_err(ChannelError::Protocol)?;
        incoming.put_caps(caps).map_err(ChannelError::Protocol)?;
        Ok(Recv::Message)
    }

    fn ready(&mut self) -> bool {
        !self.into.messages.borrow().is_empty()
            || self.into.closed.get()
            || (self.out.room.get() > 0 && !self.out.refuses.get())
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn close(&mut self) {
        self.out.closed.set(true);
    }
}
