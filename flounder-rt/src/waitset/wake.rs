//! Waking a waitset for one of its sources, from any thread.

/// The target of a [`Notifier`](crate::notify::Notifier): a waitset, or anything in tests.
pub trait Wake: Send + Sync {
    /// Called when something happened to the channel that the target knows as `token`.
    fn wake(&self, token: u64);

    /// Called when the peer of the channel `token` is gone, which the channel itself may not
    /// report.
    fn peer_gone(&self, token: u64, _gone: Gone) {
        self.wake(token);
    }
}

/// Why the peer of a channel is gone, as the broker knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The process of the peer died.
    Died,
    /// The peer closed its end.
    Closed,
}
