//! Drivers that lose every message with capabilities at the sender, after the binding has accepted it.

use std::sync::Arc;

use flounder::driver::bulk::BulkMemory;
use flounder::driver::channel::{
    CapRefusal, Channel, Connector, End, Incoming, Outgoing, Pair, Progress, Readiness, Recv,
};
use flounder::drivers::registry;
use flounder::drivers::ump::Ump;
use flounder::error::{ChannelError, ConnectError};

/// When a message is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// In the call that takes its capabilities.
    AtOnce,
    /// In the next call.
    Later,
}

/// Registers the drivers. Returns their names.
pub(crate) fn register_all() -> [&'static str; 2] {
    [(Loss::AtOnce, "lossy at once"), (Loss::Later, "lossy later")].map(|(loss, name)| {
        registry::register(Arc::new(LossyDriver { loss, name })).expect("the name is new");
        name
    })
}

struct LossyDriver {
    loss: Loss,
    name: &'static str,
}

impl Connector for LossyDriver {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pair_local(&self, client: &End, service: &End) -> Result<Pair, ConnectError> {
        let (client, service) = Ump.pair_local(client, service)?;
        let end = |channel| {
            Box::new(LossyChannel { channel, loss: self.loss, name: self.name, has_begun: false })
        };
        Ok((end(client), end(service)))
    }
}

struct LossyChannel {
    channel: Box<dyn Channel>,
    loss: Loss,
    name: &'static str,
    /// True if a message with capabilities was begun.
    has_begun: bool,
}

impl Channel for LossyChannel {
    fn driver(&self) -> &'static str {
        self.name
    }

    fn bulk(&self) -> Option<&'static dyn BulkMemory> {
        self.channel.bulk()
    }

    fn send(&mut self, message: &mut Outgoing<'_>, from: usize) -> Result<Progress, ChannelError> {
        if message.cap_count == 0 {
            return self.channel.send(message, from);
        }
        if self.loss == Loss::Later && !self.has_begun {
            self.has_begun = true;
            return Ok(Progress::Partial(0));
        }
        self.has_begun = false;
        message.caps.clear();
        Err(ChannelError::Caps(CapRefusal::SenderLimit))
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.channel.recv(incoming)
    }

    fn ready(&mut self) -> bool {
        self.has_begun || self.channel.ready()
    }

    fn can_resume(&mut self) -> bool {
        self.has_begun || self.channel.can_resume()
    }

    fn is_over(&mut self) -> bool {
        self.channel.is_over()
    }

    fn arm(&mut self) {
        self.channel.arm();
    }

    fn disarm(&mut self) {
        self.channel.disarm();
    }

    fn readiness(&self) -> Readiness<'_> {
        self.channel.readiness()
    }

    fn close(&mut self) {
        self.channel.close();
    }
}
