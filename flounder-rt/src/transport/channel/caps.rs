//! Capabilities that travel beside a channel, through the brokers or with a doorbell.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::account::{Account, Charge, Resource};
use crate::cap::Cap;
use crate::channel::ProtocolError;
use crate::notify::Notifier;

/// Maximum number of messages whose capabilities a driver may pass to the brokers before the receiver has begun to read
/// the messages. With this number, capabilities travel while the receiver reads, and the receiver holds the capabilities of at
/// most one message besides the current one.
pub const CAPS_AHEAD: usize = 1;

/// Events about the capabilities of one end of a channel, queued until the channel takes them.
///
/// The events are in the order of their messages, whatever the order in which they come: capabilities of one message may
/// go through the brokers, and those of the next one with a doorbell.
#[derive(Debug)]
pub struct CapInbox {
    events: Mutex<Events>,
    /// Number of the last message of this end whose capabilities the kernel has.
    sent: AtomicU64,
    notifier: Notifier,
}

#[derive(Debug, Default)]
struct Events {
    queue: VecDeque<(CapEvent, Option<Charge>)>,
    /// True once the peer has sent more than it may.
    exceeded: bool,
}

/// An event about capabilities.
#[derive(Debug)]
pub enum CapEvent {
    /// The capabilities of the peer's message with this sequence number.
    Arrived(u64, Vec<Cap>),
    /// The capabilities of the peer's message with this sequence number are lost, for this reason.
    Lost(u64, CapRefusal),
}

impl CapEvent {
    /// Returns the sequence number of the message.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        match self {
            Self::Arrived(sequence, _) | Self::Lost(sequence, _) => *sequence,
        }
    }
}

impl CapInbox {
    /// Creates an empty inbox whose events wake `notifier`.
    #[must_use]
    pub const fn new(notifier: Notifier) -> Self {
        let events = Events { queue: VecDeque::new(), exceeded: false };
        Self { events: Mutex::new(events), sent: AtomicU64::new(0), notifier }
    }

    /// Records that the kernel has the capabilities of message number `sequence` of this end, which
    /// a driver passed to [`Link::send_caps`](crate::channel::Link::send_caps), and wakes the end.
    pub fn note_sent(&self, sequence: u64) {
        // SYNC caps-sent: Release, pairs with the Acquire in `is_sent`. The notifier comes after it.
        self.sent.fetch_max(sequence, Ordering::Release);
        self.notifier.notify();
    }

    /// Returns true if the kernel has the capabilities of message number `sequence` of this end.
    #[must_use]
    pub fn is_sent(&self, sequence: u64) -> bool {
        // SYNC caps-sent: Acquire, pairs with the Release in `note_sent`.
        self.sent.load(Ordering::Acquire) >= sequence
    }

    /// Adds an event and wakes the end.
    pub fn put(&self, event: CapEvent) {
        self.events.lock().insert(event, None);
        self.notifier.notify();
    }

    /// Adds an event and wakes the end, unless more than [`CAPS_AHEAD`] events are queued, which
    /// only a sender that violates the protocol causes. Returns true if the event was added.
    /// `charge` is kept until the event is taken.
    #[must_use]
    pub fn offer(&self, event: CapEvent, charge: Option<Charge>) -> bool {
        let added = self.events.lock().offer(event, charge);
        self.notifier.notify();
        added.is_ok()
    }

    /// Adds an event like [`offer`](Self::offer), without a charge, and does not wake the end. For a caller that holds a
    /// lock. Without it, the caller calls [`charge`](Self::charge), and [`wake`](Self::wake).
    ///
    /// # Errors
    /// The event, if more than [`CAPS_AHEAD`] are queued.
    pub fn add(&self, event: CapEvent) -> Result<(), CapEvent> {
        self.events.lock().offer(event, None)
    }

    /// Charges the capabilities of message number `sequence`, which were [added](Self::add), to `account` until the end
    /// takes them. They are lost if they exceed its limit.
    pub fn charge(&self, sequence: u64, account: &Account) {
        let find = |events: &mut Events| {
            let at = events.queue.iter().position(|(event, _)| event.sequence() == sequence)?;
            let CapEvent::Arrived(_, caps) = &events.queue[at].0 else { return None };
            Some((at, caps.len() as u64))
        };
        let Some((_, amount)) = find(&mut self.events.lock()) else { return };
        // A refusal is logged: nothing is locked.
        let charge = account.charge(Resource::Descriptors, amount);
        let mut events = self.events.lock();
        // The end may have taken the event meanwhile.
        let Some((at, _)) = find(&mut events) else { return };
        let lost = match charge {
            Ok(charge) => {
                events.queue[at].1 = Some(charge);
                None
            }
            Err(_) => {
                let lost = CapEvent::Lost(sequence, CapRefusal::ReceiverLimit);
                Some(core::mem::replace(&mut events.queue[at].0, lost))
            }
        };
        drop(events);
        drop(lost);
    }

    /// Wakes the end.
    pub fn wake(&self) {
        self.notifier.notify();
    }

    /// Returns the event of the first message, and removes it.
    #[must_use]
    pub fn take(&self) -> Option<CapEvent> {
        self.events.lock().queue.pop_front().map(|(event, _)| event)
    }

    /// Returns the event of message number `sequence`, if it has come, and removes it. One of a message that comes later is
    /// left.
    ///
    /// # Errors
    /// If an event is about a message that does not expect it, or there were too many.
    pub fn take_due(&self, sequence: u64) -> Result<Option<CapEvent>, ProtocolError> {
        let mut events = self.events.lock();
        match events.first_is_due(sequence) {
            Ok(true) => Ok(events.queue.pop_front().map(|(event, _)| event)),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns true if [`take_due`](Self::take_due) would return an event or an error.
    #[must_use]
    pub fn is_due(&self, sequence: u64) -> bool {
        self.events.lock().first_is_due(sequence) != Ok(false)
    }

    /// Returns true if there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.lock().queue.is_empty()
    }
}

impl Events {
    fn insert(&mut self, event: CapEvent, charge: Option<Charge>) {
        let is_before = |(other, _): &(CapEvent, _)| other.sequence() <= event.sequence();
        let at = self.queue.iter().rposition(is_before).map_or(0, |at| at + 1);
        self.queue.insert(at, (event, charge));
    }

    fn offer(&mut self, event: CapEvent, charge: Option<Charge>) -> Result<(), CapEvent> {
        if self.queue.len() > CAPS_AHEAD {
            self.exceeded = true;
            return Err(event);
        }
        self.insert(event, charge);
        Ok(())
    }

    fn first_is_due(&self, sequence: u64) -> Result<bool, ProtocolError> {
        let ahead = self.queue.front().map(|(event, _)| event.sequence().checked_sub(sequence));
        match ahead {
            _ if self.exceeded => {
                Err(ProtocolError::Frame("capabilities came for more messages than may be ahead"))
            }
            None => Ok(false),
            Some(Some(0)) => Ok(true),
            Some(Some(ahead)) if ahead <= CAPS_AHEAD as u64 => Ok(false),
            Some(_) => Err(ProtocolError::Frame(
                "capabilities came for a message that does not expect them",
            )),
        }
    }
}

/// Reason for which the capabilities of a message were lost. `MON_ERR_CAP_SEND`
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapRefusal {
    /// A rule of the sender's domain refuses the capability.
    Sender,
    /// A rule of the receiver's domain refuses the capability.
    Receiver,
    /// The sender has no descriptor to spare.
    SenderLimit,
    /// The receiver has no descriptor to spare.
    ReceiverLimit,
    /// The link between the two processes has ended.
    LinkLost,
}

impl CapRefusal {
    /// Returns the number of the refusal on the wire.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Sender => 1,
            Self::Receiver => 2,
            Self::SenderLimit => 3,
            Self::ReceiverLimit => 4,
            Self::LinkLost => 5,
        }
    }

    /// Returns the refusal with this number.
    #[must_use]
    pub const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            1 => Self::Sender,
            2 => Self::Receiver,
            3 => Self::SenderLimit,
            4 => Self::ReceiverLimit,
            5 => Self::LinkLost,
            _ => return None,
        })
    }
}

crate::debug_as_chain!(CapRefusal);

impl fmt::Display for CapRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sender => "a rule of the sender's domain refuses the capability",
            Self::Receiver => "a rule of the receiver's domain refuses the capability",
            Self::SenderLimit => "the sender is at its descriptor limit",
            Self::ReceiverLimit => "the receiver is at its descriptor limit",
            Self::LinkLost => "the link between the processes has ended",
        })
    }
}

impl std::error::Error for CapRefusal {}
