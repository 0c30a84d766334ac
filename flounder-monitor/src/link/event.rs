//! Events that a link reports to the monitor that owns it.

use std::sync::Arc;

use flounder_rt::waitset::Remote;

use super::Frame;

/// An event of one link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// A driver, or a service on another thread, has a frame to send.
    Send(Frame),
    /// The process at the other end has exited.
    ProcessExited,
    /// The link must end, for this reason.
    Ended(&'static str),
}

/// Delivers the events of one link on the monitor's thread.
///
/// A function pointer instead of a reference to the monitor, so that links do not depend on it.
#[derive(Clone)]
pub(crate) struct EventSender {
    /// Number of the link.
    number: u64,
    remote: Arc<Remote>,
    deliver: fn(u64, LinkEvent),
}

impl EventSender {
    pub(super) fn new(number: u64, remote: Arc<Remote>, deliver: fn(u64, LinkEvent)) -> Self {
        Self { number, remote, deliver }
    }

    /// Delivers `event` from a later dispatch. May be called on any thread, and while handlers run.
    pub(super) fn post(&self, event: LinkEvent) {
        let (number, deliver) = (self.number, self.deliver);
        self.remote.post(move |_| {
            deliver(number, event);
            Ok(())
        });
    }

    /// Delivers `event` before the call returns. Must be called on the monitor's thread.
    pub(super) fn deliver_now(&self, event: LinkEvent) {
        (self.deliver)(self.number, event);
    }

    /// Returns the number of the link.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }
}
