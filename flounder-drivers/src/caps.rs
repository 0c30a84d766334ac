//! The path of the capabilities of a message, which do not go through the ring.

use std::sync::Arc;

use flounder_rt::cap::Cap;
use flounder_rt::channel::{CapEvent, CapInbox, CapRefusal, End, Link, PairId, ProtocolError};

/// [`CAPS_AHEAD`](flounder_rt::channel::CAPS_AHEAD) as a number of messages.
pub(crate) const CAPS_AHEAD: u64 = flounder_rt::channel::CAPS_AHEAD as u64;

/// Path to the other end.
enum Route {
    /// Into the inbox of the other end, in this process.
    Local(Arc<CapInbox>),
    /// Through the brokers of the two processes.
    Remote {
        /// Link to the other process.
        link: Arc<dyn Link>,
        /// Number of this connection on the link.
        connection: u64,
    },
}

/// State of one end's capabilities, incoming and outgoing.
pub(crate) struct Caps {
    route: Route,
    inbox: Arc<CapInbox>,
    pair: Option<PairId>,
    /// Messages with capabilities of which at least the first line was sent.
    sent: u64,
    /// Messages with capabilities of which the first line has arrived.
    seen: u64,
}

/// Content of the inbox for the current message.
pub(crate) enum Delivery {
    Nothing,
    Caps(Vec<Cap>),
    /// The capabilities of the current message will not arrive.
    Lost(CapRefusal),
}

impl Caps {
    /// Returns the state of two ends in this process.
    pub(crate) fn between(client: &End, service: &End) -> [Self; 2] {
        let [at_client, at_service] = [client, service].map(inbox_of);
        let to_service = Route::Local(Arc::clone(&at_service));
        let to_client = Route::Local(Arc::clone(&at_client));
        let pair = Some(PairId::fresh());
        [Self::new(to_service, at_client, pair), Self::new(to_client, at_service, pair)]
    }

    /// Returns the state of an end whose peer is in another process. From now on the link delivers
    /// capabilities to it.
    pub(crate) fn over(link: &Arc<dyn Link>, end: &End) -> Self {
        let inbox = inbox_of(end);
        link.expect_caps(end.connection, &inbox);
        Self::new(Route::Remote { link: Arc::clone(link), connection: end.connection }, inbox, None)
    }

    const fn new(route: Route, inbox: Arc<CapInbox>, pair: Option<PairId>) -> Self {
        Self { route, inbox, pair, sent: 0, seen: 0 }
    }

    /// Returns the identity that both ends share, within a process.
    pub(crate) const fn pair(&self) -> Option<PairId> {
        self.pair
    }

    /// Counts a message with capabilities that is about to be sent. Within a process, its
    /// capabilities go ahead of it.
    pub(crate) fn start(&mut self, caps: &mut Vec<Cap>) {
        self.sent += 1;
        if let Route::Local(peer) = &self.route {
            peer.put(CapEvent::Arrived(self.sent, core::mem::take(caps)));
        }
    }

    /// Returns true within a process, where capabilities need no hand-over through the brokers.
    pub(crate) const fn are_local(&self) -> bool {
        matches!(self.route, Route::Local(_))
    }

    /// Returns the number of messages with capabilities of which the first line has arrived.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Returns the number of messages with capabilities that were sent.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Passes the capabilities of the current message to the broker.
    ///
    /// # Errors
    /// The reason for which the broker refuses them.
    pub(crate) fn hand_over(&self, caps: &mut Vec<Cap>) -> Result<(), CapRefusal> {
        match &self.route {
            Route::Local(_) => Ok(()),
            Route::Remote { link, connection } => {
                link.send_caps(*connection, self.sent, core::mem::take(caps))
            }
        }
    }

    /// Makes the brokers report to the other end that this one is closed, for a channel that cannot
    /// report it itself. Does nothing within a process.
    pub(crate) fn report_closed(&self) {
        if let Route::Remote { link, connection } = &self.route {
            link.closed(*connection);
        }
    }

    /// Returns true if the kernel has the capabilities of the last message that was handed over, as
    /// far as this end was notified.
    pub(crate) fn are_sent(&self) -> bool {
        self.inbox.is_sent(self.sent)
    }

    /// Returns true if the kernel has the capabilities of the last message that was handed over:
    /// always if the other end has them.
    pub(crate) fn are_with_kernel(&self) -> bool {
        if !self.are_sent()
            && let Route::Remote { link, .. } = &self.route
        {
            link.finish_transfer();
        }
        self.are_sent()
    }

    /// Counts a message with capabilities of which the first line has arrived, and returns its
    /// number.
    pub(crate) const fn count_seen(&mut self) -> u64 {
        self.seen += 1;
        self.seen
    }

    /// Returns true if the inbox has an event.
    pub(crate) fn has_event(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Takes the oldest event, for a message that waits for its capabilities.
    ///
    /// # Errors
    /// If the event is about another message.
    pub(crate) fn take(&self) -> Result<Delivery, ProtocolError> {
        match self.inbox.take() {
            None => Ok(Delivery::Nothing),
            Some(CapEvent::Arrived(number, caps)) if number == self.seen => {
                Ok(Delivery::Caps(caps))
            }
            Some(CapEvent::Lost(number, refusal)) if number == self.seen => {
                Ok(Delivery::Lost(refusal))
            }
            Some(CapEvent::Arrived(..) | CapEvent::Lost(..)) => Err(ProtocolError::Frame(
                "capabilities came for a message that does not expect them",
            )),
        }
    }
}

fn inbox_of(end: &End) -> Arc<CapInbox> {
    Arc::new(CapInbox::new(end.notifier.clone()))
}
