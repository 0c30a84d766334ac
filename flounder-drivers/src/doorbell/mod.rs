//! Doorbells: how one end of a channel wakes the other.
//!
//! Within a process the doorbell is the [`Notifier`] of the other end. Between two processes, each
//! process has one [`DoorbellReceiver`], whatever the number of channels: a datagram socket and a
//! *log*, one page that the peer alone writes. The other end of the socket goes to the peer, which
//! uses it in a [`DoorbellSender`].
//!
//! ```text
//!   sender:   log[n mod 512] = (n + 1) << 32 | slot;  n += 1;  send 1 byte to the socket
//!   receiver: socket readable -> read the log from where it stopped; notify the slots; a gap -> notify all slots;
//!             before the next sleep, or at once if there was no entry -> take the datagrams; read the log again
//! ```
//!
//! A datagram may carry the *capabilities* of a message instead (`docs/design/0017`): then it names the slot, and the receiver
//! puts them into the inbox of that channel, which is notified. Whoever takes a datagram does all of this, a waitset that was
//! woken or a channel that looks for its own capabilities; the lock is held from the system call until the inbox has them.
//!
//! The log comes first because it takes no system call: the channel that was rung answers before its datagram is taken.
//!
//! So ten thousand sleeping channels cost two descriptors, and a wake-up costs one entry instead of
//! a search. The log may be overrun, which its tags show; then every channel of this link is visited
//! once.
//!
//! Why a socket and not an eventfd: a peer can set the counter of a shared eventfd to its maximum
//! and take `O_NONBLOCK` away, and a write then blocks for ever. `send` with `MSG_DONTWAIT` never
//! blocks, whatever the peer does to the socket. Why datagrams: the end of the peer's process
//! leaves a stream readable for ever; a datagram socket stays silent.
//!
//! If the kernel refuses a ring (no memory, a seccomp filter), the ring is *pending*: its end
//! sleeps for a limited time and retries each time; after a second the channel ends with the error.
//! A full socket counts as rung: the receiver has datagrams to read, and reads the log after them.
//!
//! A hostile peer can ring without a message. Each ring costs the receiver one visit to the socket,
//! bounded by [`DRAIN`](receiver::DRAIN) and the log. A datagram with capabilities counts as [`CAPS_COST`](receiver::CAPS_COST) others. Capabilities that no
//! channel here expects are closed.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use flounder_rt::notify::Notifier;
use rustix::io::Errno;

mod caps;
mod log;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub(crate) use caps::CapSender;
pub(crate) use log::{accept_log, new_log};
pub(crate) use receiver::{DoorbellReceiver, DoorbellSlot};
pub(crate) use sender::DoorbellSender;

/// Time for which a doorbell may fail before its channel ends with the error.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);

/// Bounds of the sleep of a waitset that has a ring to retry. Between them, the sleep is as long as
/// the ring has been failing.
const RETRY_TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(100);

/// Attempts to ring a failing doorbell before it is dropped.
const LAST_TRIES: usize = 64;

/// The doorbell of the other end.
#[derive(Debug)]
pub(crate) struct Doorbell {
    target: Target,
    /// The pending ring, if the last one failed.
    failed: Option<FailedRing>,
}

#[derive(Debug)]
enum Target {
    /// In this process.
    Local(Notifier),
    /// In another process: the slot of the other end there.
    Remote(Arc<DoorbellSender>, u32),
}

#[derive(Debug, Clone, Copy)]
struct FailedRing {
    since: Instant,
    error: Errno,
}

impl Doorbell {
    /// Returns a doorbell that rings in this process.
    pub(crate) const fn local(notifier: Notifier) -> Self {
        Self { target: Target::Local(notifier), failed: None }
    }

    /// Returns a doorbell that rings for `slot` in another process.
    pub(crate) const fn remote(sender: Arc<DoorbellSender>, slot: u32) -> Self {
        Self { target: Target::Remote(sender, slot), failed: None }
    }

    /// Returns the sender of capabilities to the same slot, in another process.
    pub(crate) fn cap_sender(&self) -> Option<CapSender> {
        match &self.target {
            Target::Local(_) => None,
            Target::Remote(sender, slot) => Some(CapSender::new(Arc::clone(sender), *slot)),
        }
    }

    /// Rings. Returns false if that failed: the ring is pending, and [`retry`](Self::retry) has to
    /// be called.
    #[must_use = "a doorbell that was not rung has to be rung later"]
    pub(crate) fn ring(&mut self) -> bool {
        let rung = match &self.target {
            Target::Local(notifier) => {
                notifier.notify();
                Ok(())
            }
            Target::Remote(sender, slot) => sender.ring(*slot),
        };
        self.failed = rung.err().map(|error| FailedRing {
            since: self.failed.map_or_else(Instant::now, |failed| failed.since),
            error,
        });
        self.failed.is_none()
    }

    /// Rings if a ring is pending. Returns true if none is pending any more.
    ///
    /// # Errors
    /// The error of the system call, if it has failed for [`GIVE_UP_AFTER`].
    pub(crate) fn retry(&mut self) -> Result<bool, Errno> {
        if self.failed.is_none() || self.ring() {
            return Ok(true);
        }
        self.failure().map_or(Ok(false), Err)
    }

    /// Returns the error of a ring that has failed for [`GIVE_UP_AFTER`].
    pub(crate) fn failure(&self) -> Option<Errno> {
        self.failed
            .filter(|failed| failed.since.elapsed() > GIVE_UP_AFTER)
            .map(|failed| failed.error)
    }

    /// Returns the longest sleep until the next retry; `None` if no ring is pending.
    pub(crate) fn sleep_limit(&self) -> Option<Duration> {
        self.failed.map(|failed| retry_time(failed.since))
    }

    /// Retries a pending ring up to [`LAST_TRIES`] times, because no thread may be left to retry
    /// later. Returns false if it is still pending: then the monitors have to report the close to
    /// the peer.
    #[must_use = "a peer that cannot be woken has to be told by the brokers"]
    pub(crate) fn retry_before_drop(&mut self) -> bool {
        for _ in 0..LAST_TRIES {
            if self.failed.is_none() || self.ring() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }
}

/// Returns the longest sleep of a waitset that has been retrying since `since`.
pub(crate) fn retry_time(since: Instant) -> Duration {
    since.elapsed().clamp(*RETRY_TIMES.start(), *RETRY_TIMES.end())
}
