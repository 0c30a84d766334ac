//! Capabilities that travel beside a channel, through the brokers.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::account::Charge;
use crate::cap::Cap;
use crate::notify::Notifier;

/// Maximum number of messages whose capabilities a driver may pass to the brokers before the receiver has begun to read
/// the messages. With this number, capabilities travel while the receiver reads, and the receiver holds the capabilities of at
/// most one message besides the current one.
pub const CAPS_AHEAD: usize = 1;

/// Events about the capabilities of one end of a channel, queued by the broker until the channel takes them.
#[derive(Debug)]
pub struct CapInbox {
    events: Mutex<VecDeque<(CapEvent, Option<Charge>)>>,
    /// Number of the last message of this end whose capabilities the kernel has.
    sent: AtomicU64,
    notifier: Notifier,
}

/// An event about capabilities.
#[derive(Debug)]
pub enum CapEvent {
    /// The capabilities of the peer's message with this sequence number.
    Arrived(u64, Vec<Cap>),
    /// The capabilities of the peer's message with this sequence number are lost, for this reason.
    Lost(u64, CapRefusal),
}

impl CapInbox {
    /// Creates an empty inbox whose events wake `notifier`.
    #[must_use]
    pub const fn new(notifier: Notifier) -> Self {
        Self { events: Mutex::new(VecDeque::new()), sent: AtomicU64::new(0), notifier }
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
        self.events.lock().push_back((event, None));
        self.notifier.notify();
    }

    /// Adds an event and wakes the end, unless more than [`CAPS_AHEAD`] events are queued, which
    /// only a sender that violates the protocol causes. Returns true if the event was added.
    /// `charge` is kept until the event is taken.
    #[must_use]
    pub fn offer(&self, event: CapEvent, charge: Option<Charge>) -> bool {
        let mut events = self.events.lock();
        let has_room = events.len() <= CAPS_AHEAD;
        if has_room {
            events.push_back((event, charge));
            drop(events);
            self.notifier.notify();
        }
        has_room
    }

    /// Returns the oldest event and removes it.
    #[must_use]
    pub fn take(&self) -> Option<CapEvent> {
        self.events.lock().pop_front().map(|(event, _)| event)
    }

    /// Returns true if there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.lock().is_empty()
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
