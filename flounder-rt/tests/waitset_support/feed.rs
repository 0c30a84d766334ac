//! A channel of one-word messages that a test or benchmark of the waitset supplies.

use flounder_rt::Interface;
use flounder_rt::channel::{
    Channel, ChannelError, Incoming, MessageLimit, Outgoing, Progress, Readiness, Recv,
};
use flounder_rt::interface::{Direction, MessageInfo, MessageKind};
use flounder_rt::wire::Bulks;

/// Where the messages wait.
pub(crate) trait Feeds {
    /// The next one. Called once for each visit of the channel.
    fn take(&self) -> Option<u64>;

    /// Returns true if there is one.
    fn has_some(&self) -> bool;

    /// True if the thread that adds a message must wake the channel.
    fn arm(&self, _armed: bool) {}
}

/// The channel.
pub(crate) struct Fed<F>(pub(crate) F);

impl<F: Feeds> Channel for Fed<F> {
    fn driver(&self) -> &'static str {
        "feed"
    }

    fn send(&mut self, _: &mut Outgoing<'_>, _: usize) -> Result<Progress, ChannelError> {
        Ok(Progress::Done)
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        let Some(value) = self.0.take() else { return Ok(Recv::Empty) };
        incoming.begin(1, 1, 0).map_err(ChannelError::Protocol)?;
        incoming.push(&[value]).map_err(ChannelError::Protocol)?;
        Ok(Recv::Message)
    }

    fn ready(&mut self) -> bool {
        self.0.has_some()
    }

    fn arm(&mut self) {
        self.0.arm(true);
    }

    fn disarm(&mut self) {
        self.0.arm(false);
    }

    fn readiness(&self) -> Readiness<'_> {
        Readiness::Polled
    }

    fn close(&mut self) {}
}

/// Its one message.
pub(crate) const INTERFACE: &Interface = &Interface {
    name: "feed",
    description: "",
    messages: &[MessageInfo {
        number: 1,
        name: "value",
        kind: MessageKind::Message,
        direction: Direction::Both,
        args: "",
        form: "message value(value:uint64)",
        externs: &[],
        annotations: &[],
        fingerprint: 1,
        limit: MessageLimit { words: 1, caps: 0 },
        bulks: Bulks::NONE,
    }],
    limits: &[MessageLimit { words: 1, caps: 0 }],
    fingerprint: 1,
};
