//! The path of the capabilities of a message, which do not go through the ring.

use std::sync::Arc;

use flounder_rt::cap::Cap;
use flounder_rt::channel::{CapEvent, CapInbox, CapRefusal, End, Link, PairId, ProtocolError};

use crate::doorbell::{CapSender, Doorbell, DoorbellReceiver, DoorbellSlot};

/// [`CAPS_AHEAD`](flounder_rt::channel::CAPS_AHEAD) as a number of messages.
pub(crate) const CAPS_AHEAD: u64 = flounder_rt::channel::CAPS_AHEAD as u64;

/// Path to the other end.
enum Route {
    /// Into the inbox of the other end, in this process.
    Local(Arc<CapInbox>),
    /// To the other process: with its doorbell, if the kernel takes them there; else through the brokers.
    Remote {
        /// Link to the other process.
        link: Arc<dyn Link>,
        /// Number of this connection on the link.
        connection: u64,
        /// The other end's doorbell, if capabilities may go with it.
        doorbell: Option<CapSender>,
        /// Our doorbell, if capabilities may come with it.
        receiver: Option<Arc<DoorbellReceiver>>,
    },
}

/// Maximum number of calls of [`Caps::collect`] that ask for one more, for one message. More datagrams than the kernel holds
/// have been taken by then: a process that goes on ringing for a peer that has died does not delay the report of the death.
const MAX_COLLECTS: u32 = 512;

/// State of one end's capabilities, incoming and outgoing.
pub(crate) struct Caps {
    route: Route,
    inbox: Arc<CapInbox>,
    pair: Option<PairId>,
    /// Messages with capabilities of which at least the first line was sent.
    sent: u64,
    /// Messages with capabilities of which the first line has arrived.
    seen: u64,
    /// Number of calls of [`collect`](Self::collect) for the current message that ended before the socket was empty.
    collects: u32,
}

/// The way that the capabilities of a message have taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandedTo {
    /// They arrive, even if this process ends.
    Kernel,
    /// The brokers report when the kernel has them.
    Brokers,
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
        let (link, connection) = (Arc::clone(link), end.connection);
        Self::new(Route::Remote { link, connection, doorbell: None, receiver: None }, inbox, None)
    }

    /// Capabilities of the other end may come with the doorbell of this slot.
    pub(crate) fn come_with(&mut self, slot: &DoorbellSlot) {
        if let Route::Remote { connection, receiver, .. } = &mut self.route {
            slot.expect_caps(*connection, &self.inbox);
            *receiver = Some(Arc::clone(slot.receiver()));
        }
    }

    /// Capabilities may go to the other end with its doorbell.
    pub(crate) fn go_with(&mut self, theirs: &Doorbell) {
        if let Route::Remote { doorbell, .. } = &mut self.route {
            *doorbell = theirs.cap_sender();
        }
    }

    const fn new(route: Route, inbox: Arc<CapInbox>, pair: Option<PairId>) -> Self {
        Self { route, inbox, pair, sent: 0, seen: 0, collects: 0 }
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

    /// Returns true if the capabilities of the current message may go with the doorbell of the other end.
    pub(crate) const fn may_go_with_doorbell(&self) -> bool {
        matches!(self.route, Route::Remote { doorbell: Some(_), .. })
    }

    /// Sends the capabilities of the current message with the doorbell of the other end, which wakes it. Returns false if
    /// they are the caller's still: the socket is full, or the kernel refuses.
    pub(crate) fn send_with_doorbell(&self, caps: &mut Vec<Cap>) -> bool {
        let Route::Remote { link, connection, doorbell: Some(doorbell), .. } = &self.route else {
            return false;
        };
        let sent = doorbell.send(*connection, self.sent, caps).is_ok();
        if sent {
            // Our copy may be the last one open by now.
            caps.drain(..).for_each(|mut cap| cap.share(link.origin()));
        }
        sent
    }

    /// Passes the capabilities of the current message on.
    ///
    /// # Errors
    /// The reason for which the brokers refuse them.
    pub(crate) fn hand_over(&self, caps: &mut Vec<Cap>) -> Result<HandedTo, CapRefusal> {
        match &self.route {
            Route::Local(_) => Ok(HandedTo::Kernel),
            Route::Remote { .. } if self.send_with_doorbell(caps) => Ok(HandedTo::Kernel),
            Route::Remote { link, connection, .. } => link
                .send_caps(*connection, self.sent, core::mem::take(caps))
                .map(|()| HandedTo::Brokers),
        }
    }

    /// Makes the brokers report to the other end that this one is closed, for a channel that cannot
    /// report it itself. Does nothing within a process.
    pub(crate) fn report_closed(&self) {
        if let Route::Remote { link, connection, .. } = &self.route {
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
        self.collects = 0;
        self.seen
    }

    /// Returns true if [`take`](Self::take) would return something.
    pub(crate) fn has_event(&self) -> bool {
        self.inbox.is_due(self.seen)
    }

    /// Takes what has come with the doorbell, until the capabilities of the current message are there. Returns true if it has
    /// to be called again: there is more.
    pub(crate) fn collect(&mut self) -> bool {
        let Route::Remote { receiver: Some(receiver), .. } = &self.route else { return false };
        let is_more = receiver.collect(&self.inbox, self.seen) && self.collects < MAX_COLLECTS;
        self.collects += u32::from(is_more);
        is_more
    }

    /// Takes the event of the message that waits for its capabilities.
    ///
    /// # Errors
    /// If an event is about another message that does not expect it.
    pub(crate) fn take(&self) -> Result<Delivery, ProtocolError> {
        Ok(match self.inbox.take_due(self.seen)? {
            None => Delivery::Nothing,
            Some(CapEvent::Arrived(_, caps)) => Delivery::Caps(caps),
            Some(CapEvent::Lost(_, refusal)) => Delivery::Lost(refusal),
        })
    }
}

fn inbox_of(end: &End) -> Arc<CapInbox> {
    Arc::new(CapInbox::new(end.notifier.clone()))
}
