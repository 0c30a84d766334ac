//! Drivers with one defect each: the test must find them.

use std::sync::Arc;

use flounder::driver::channel::{
    Channel, Connector, End, Incoming, Outgoing, Pair, Progress, Readiness, Recv,
};
use flounder::drivers::registry;
use flounder::drivers::ump::Ump;
use flounder::error::{ChannelError, ConnectError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Reports a closed peer as dead.
    Death,
    /// Loses one message of a hundred.
    Loss,
    /// Never has room again, once it was full.
    Room,
}

/// Registers a driver for each fault. Returns their names and their faults.
pub(crate) fn register_all() -> [(&'static str, &'static str); 3] {
    let warps = [
        (Fault::Death, "faulty death", "takes a close for a death"),
        (Fault::Loss, "faulty loss", "loses a message"),
        (Fault::Room, "faulty room", "never goes on once it was full"),
    ];
    warps.map(|(fault, name, what)| {
        registry::register(Arc::new(FaultyDriver { fault, name })).expect("the name is new");
        (name, what)
    })
}

struct FaultyDriver {
    fault: Fault,
    name: &'static str,
}

impl Connector for FaultyDriver {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pair_local(&self, client: &End, service: &End) -> Result<Pair, ConnectError> {
        let (client, service) = Ump.pair_local(client, service)?;
        let end = |channel| FaultyChannel {
            channel,
            fault: self.fault,
            name: self.name,
            sent: 0,
            stopped: false,
        };
        Ok((Box::new(end(client)), Box::new(end(service))))
    }
}

struct FaultyChannel {
    channel: Box<dyn Channel>,
    fault: Fault,
    name: &'static str,
    sent: u64,
    stopped: bool,
}

impl Channel for FaultyChannel {
    fn driver(&self) -> &'static str {
        self.name
    }

    fn send(&mut self, message: &mut Outgoing<'_>, from: usize) -> Result<Progress, ChannelError> {
        self.sent += 1;
        if self.fault == Fault::Loss && self.sent.is_multiple_of(20) && message.cap_count == 0 {
            return Ok(Progress::Done);
        }
        if self.stopped && self.fault == Fault::Room {
            return Ok(Progress::Partial(0));
        }
        let sent = self.channel.send(message, from);
        self.stopped |= matches!(sent, Ok(Progress::Partial(_)));
        sent
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        match self.channel.recv(incoming) {
            Err(ChannelError::Closed) if self.fault == Fault::Death => Err(ChannelError::PeerDied),
            received => received,
        }
    }

    fn ready(&mut self) -> bool {
        self.channel.ready()
    }

    fn can_resume(&mut self) -> bool {
        self.channel.can_resume()
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
