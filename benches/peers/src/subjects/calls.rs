//! State of a server, shared by the candidates with remote procedure calls.
//!
//! `begin` announces a load, `echo` answers a payload with one of the same size, `put` receives a payload of a stream,
//! `finish` ends the stream and returns the number of payloads received.

use crate::load::{Damaged, Inbox, Load, Outbox, Pattern};
use crate::subject::Result;

/// Payloads received since the last `begin`.
pub(crate) struct Ledger {
    inbox: Inbox,
    outbox: Outbox,
}

impl Ledger {
    pub(crate) fn begin(size: usize, thorough: bool) -> Self {
        // The client checks numbers and direction.
        let load = Load { pattern: Pattern::Stream, size, count: 0, thorough };
        Self { inbox: Inbox::new(&load), outbox: Outbox::new(size) }
    }

    /// Receives a payload.
    ///
    /// # Errors
    /// Fails if the payload differs from the one sent.
    pub(crate) fn put(&mut self, payload: &[u8]) -> std::result::Result<(), Damaged> {
        self.inbox.accept(payload)
    }

    /// Receives a payload and returns the answer.
    ///
    /// # Errors
    /// Fails if the payload differs from the one sent.
    pub(crate) fn echo(&mut self, payload: &[u8]) -> std::result::Result<&[u8], Damaged> {
        self.put(payload)?;
        Ok(self.outbox.next())
    }

    pub(crate) const fn received(&self) -> u64 {
        self.inbox.received()
    }
}

/// Checks the number of payloads of a stream, for the client.
///
/// # Errors
/// Fails if some were lost.
pub(crate) fn all_came(load: &Load, received: u64) -> Result {
    let total = load.total();
    if received == total {
        Ok(())
    } else {
        Err(format!("{received} of {total} payloads came").into())
    }
}
