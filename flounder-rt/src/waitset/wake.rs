//! Waking a waitset for one of its sources, from any thread.

/// What a [`Notifier`](crate::notify::Notifier) wakes. A waitset, in practice; anything, in tests.
pub trait Wake: Send + Sync {
    /// Something happened to the channel that the target knows as `token`.
    fn wake(&self, token: u64);

    /// There is nobody at the other end of the channel that the target knows as `token`, and the channel itself may not tell.
    fn peer_gone(&self, token: u64, _gone: Gone) {
        self.wake(token);
    }
}

/// What the broker knows of the other end of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Its process is dead.
    Died,
    /// It is closed.
    Closed,
}
