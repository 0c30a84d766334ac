//! What remote procedure calls have in common: what their server keeps.
//!
//! `begin` says what comes, `echo` answers a payload with one of the same size, `put` takes one of a stream, `finish` ends
//! the stream with the number of those that came.

use crate::load::{Damaged, Inbox, Load, Outbox, Pattern};
use crate::subject::Result;

/// What has come since the last `begin`.
pub(crate) struct Ledger {
    inbox: Inbox,
    outbox: Outbox,
}

impl Ledger {
    pub(crate) fn begin(size: usize, thorough: bool) -> Self {
        // How much will come, and which way, is the client's business.
        let load = Load { pattern: Pattern::Stream, size, count: 0, thorough };
        Self { inbox: Inbox::new(&load), outbox: Outbox::new(size) }
    }

    /// Takes a payload.
    ///
    /// # Errors
    /// If it is damaged.
    pub(crate) fn put(&mut self, payload: &[u8]) -> std::result::Result<(), Damaged> {
        self.inbox.accept(payload)
    }

    /// Takes a payload and gives the one to answer with.
    ///
    /// # Errors
    /// If it is damaged.
    pub(crate) fn echo(&mut self, payload: &[u8]) -> std::result::Result<&[u8], Damaged> {
        self.put(payload)?;
        Ok(self.outbox.next())
    }

    pub(crate) const fn received(&self) -> u64 {
        self.inbox.received()
    }
}

/// Returns true if everything came, in the client's words.
///
/// # Errors
/// If not.
pub(crate) fn all_came(load: &Load, received: u64) -> Result {
    let total = load.total();
    if received == total {
        Ok(())
    } else {
        Err(format!("{received} of {total} payloads came").into())
    }
}
