//! How the capabilities of a message get to the other end: never through the ring.

use std::sync::Arc;

use flounder_rt::cap::Cap;
use flounder_rt::channel::{CapEvent, CapInbox, CapRefusal, End, Link, PairId, ProtocolError};

/// As a number of messages.
pub(crate) const CAPS_AHEAD: u64 = flounder_rt::channel::CAPS_AHEAD as u64;

/// Their way.
enum Route {
    /// Into the inbox of the other end, in this process.
    Local(Arc<CapInbox>),
    /// By the brokers of the two processes.
    Remote {
        /// The way to the other process.
        link: Arc<dyn Link>,
        /// This connection on it.
        connection: u64,
    },
}

/// The capabilities of one end: those on their way in, and those on their way out.
pub(crate) struct Caps {
    route: Route,
    inbox: Arc<CapInbox>,
    pair: Option<PairId>,
    /// Messages with capabilities sent (at least their first line).
    sent: u64,
    /// Messages with capabilities of which the first line has come.
    seen: u64,
}

/// What the inbox had for the message in hand.
pub(crate) enum Delivery {
    Nothing,
    Caps(Vec<Cap>),
    /// The capabilities of the message in hand will not come.
    Lost(CapRefusal),
}

impl Caps {
    /// Those of two ends in this process.
    pub(crate) fn between(client: &End, service: &End) -> [Self; 2] {
        let [at_client, at_service] = [client, service].map(inbox_of);
        let to_service = Route::Local(Arc::clone(&at_service));
        let to_client = Route::Local(Arc::clone(&at_client));
        let pair = Some(PairId::fresh());
        [Self::new(to_service, at_client, pair), Self::new(to_client, at_service, pair)]
    }

    /// Those of an end whose peer is in another process. They are expected from now on.
    pub(crate) fn over(link: &Arc<dyn Link>, end: &End) -> Self {
        let inbox = inbox_of(end);
        link.expect_caps(end.connection, &inbox);
        Self::new(Route::Remote { link: Arc::clone(link), connection: end.connection }, inbox, None)
    }

    const fn new(route: Route, inbox: Arc<CapInbox>, pair: Option<PairId>) -> Self {
        Self { route, inbox, pair, sent: 0, seen: 0 }
    }

    /// What the two ends have in common, within a process.
    pub(crate) const fn pair(&self) -> Option<PairId> {
        self.pair
    }

    /// Counts a message with capabilities that is about to be sent. Within a process, they go ahead of it.
    pub(crate) fn start(&mut self, caps: &mut Vec<Cap>) {
        self.sent += 1;
        if let Route::Local(peer) = &self.route {
            peer.put(CapEvent::Arrived(self.sent, core::mem::take(caps)));
        }
    }

    /// Whether capabilities come by themselves, within this process: then nobody waits for leave to hand them over.
    pub(crate) const fn are_local(&self) -> bool {
        matches!(self.route, Route::Local(_))
    }

    /// Number of the last message with capabilities of which the first line has come.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Number of the last message with capabilities sent.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Hands over those of the message in hand.
    pub(crate) fn hand_over(&self, caps: &mut Vec<Cap>) -> Result<(), CapRefusal> {
        match &self.route {
            Route::Local(_) => Ok(()),
            Route::Remote { link, connection } => {
                link.send_caps(*connection, self.sent, core::mem::take(caps))
            }
        }
    }

    /// Has the brokers tell the other end that this one is closed, because the channel cannot. Within a process it can.
    pub(crate) fn report_closed(&self) {
        if let Route::Remote { link, connection } = &self.route {
            link.closed(*connection);
        }
    }

    /// Whether the kernel has the capabilities of the last message with some that were handed over.
    pub(crate) fn are_sent(&self) -> bool {
        self.inbox.is_sent(self.sent)
    }

    /// Counts a message with capabilities of which the first line has come, and gives its number.
    pub(crate) const fn count_seen(&mut self) -> u64 {
        self.seen += 1;
        self.seen
    }

    /// Whether there is news.
    pub(crate) fn has_event(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Takes the oldest news, for a message in hand that waits for its capabilities.
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
