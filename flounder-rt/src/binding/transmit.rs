//! Sending: what is accepted goes to the channel, and what the channel does not take into the slot.

use crate::binding::connection::{Queued, Rule, Sender};
use crate::binding::shell::{Io, Shell};
use crate::binding::threading::{Lock, Threading};
use crate::binding::{BindingError, Owned, TxError};
use crate::cap::Cap;
use crate::channel::{Channel, ChannelError, Outgoing, Progress};
use crate::message::bulk::{BulkEnd, Loans};
use crate::wire::{Bulks, Gather};

impl<T: Threading> Io<T> {
    /// Gives the channel a small message, if the slot is free. Returns true if the channel took the message.
    #[inline(always)]
    pub(super) fn hand_over(&mut self, number: u16, words: &[u64]) -> bool {
        self.connection.is_free() && self.channel.send_now(number, words)
    }
}

/// Ends the borrow apart from the usual way, which is three instructions shorter without a second way out.
#[cold]
#[inline(never)]
fn not_taken<T>(io: T) -> Option<u64> {
    drop(io);
    None
}

impl<T: Threading> Shell<T> {
    /// Accepts a small message, if the channel takes it at once and whole; otherwise does nothing.
    #[inline]
    pub(super) fn accept_now(&self, number: u16, words: &[u64]) -> Option<u64> {
        // Borrowed only by a bug in here, which the general way reports.
        let mut io = self.io.try_lock()?;
        if !io.hand_over(number, words) {
            return not_taken(io);
        }
        Some(io.connection.sent_at_once())
    }

    /// Accepts a message, if its capabilities may leave this domain.
    #[inline]
    pub(super) fn accept(
        &self,
        number: u16,
        body: Gather<'_>,
        caps: &mut Vec<Cap>,
    ) -> Result<u64, TxError> {
        if let Some(last) = caps.last() {
            if last.is_held() {
                return self.accept_with_slots(number, body, caps);
            }
            // The policy is not asked about a message that would not be accepted.
            if self.io.lock().connection.rule(Sender::Any) == Rule::Send {
                self.check_leaving(number, body, caps)?;
            }
        }
        match self.accept_allowed(number, body, caps) {
            Err(TxError::Busy) => self.accept_behind_caps(number, body, caps),
            accepted => accepted,
        }
    }

    /// Accepts a message that was kept and names slots, which are behind its capabilities.
    #[cold]
    fn accept_with_slots(
        &self,
        number: u16,
        body: Gather<'_>,
        caps: &mut Vec<Cap>,
    ) -> Result<u64, TxError> {
        let loans = Loans::take_from(caps);
        let accepted = self.accept(number, body, caps);
        match accepted {
            Ok(_) => loans.sent(),
            Err(_) => loans.put_back(caps),
        }
        accepted
    }

    /// Accepts a message if the one in the slot has waited for nothing but its capabilities, and these are sent: its answer
    /// may have come before the waitset has seen that. Tasks that wait for the slot go first.
    #[cold]
    fn accept_behind_caps(
        &self,
        number: u16,
        body: Gather<'_>,
        caps: &mut Vec<Cap>,
    ) -> Result<u64, TxError> {
        {
            let io = self.io.lock();
            if io.register_send.is_some() || !io.connection.waits_for_caps_alone() {
                return Err(TxError::Busy);
            }
        }
        self.pump_channel();
        // The wakers run in the next step.
        self.poke();
        if self.io.lock().connection.rule(Sender::Any) != Rule::Send {
            return Err(TxError::Busy);
        }
        self.accept(number, body, caps)
    }

    /// Accepts a message: onto the channel as far as it goes, the rest into the slot.
    // In place, so that the message is put together where it is handed over, and not moved there.
    #[inline(always)]
    pub(super) fn accept_allowed(
        &self,
        number: u16,
        body: Gather<'_>,
        caps: &mut Vec<Cap>,
    ) -> Result<u64, TxError> {
        let mut io = self.io.lock();
        match io.connection.rule(Sender::Any) {
            Rule::Send => {}
            Rule::WaitForSlot | Rule::WaitForPlace => return Err(TxError::Busy),
            Rule::Refuse => return Err(TxError::Closed),
        }
        let cap_count = caps.len();
        match io.channel.send(&mut Outgoing { number, body, caps, cap_count }, 0) {
            Ok(Progress::Done) => Ok(io.connection.sent_at_once()),
            Ok(Progress::Partial(taken)) => {
                let serial = io.connection.stash(number, body, caps, cap_count, taken);
                io.note_unsent();
                // The waitset looks at the channel when poked.
                drop(io);
                self.poke();
                Ok(serial)
            }
            Err(error) if caps.len() < cap_count => {
                // The channel had taken capabilities already: the message was accepted, and is lost.
                let serial = io.connection.lost_at_once();
                drop(io);
                self.take_slots_back(number, body.fixed);
                if let TxError::CapsRefused(refusal) = self.send_failed(error, number, body) {
                    self.note(BindingError::CapsRefused(refusal));
                    self.poke();
                }
                Ok(serial)
            }
            Err(error) => {
                drop(io);
                Err(self.send_failed(error, number, body))
            }
        }
    }

    /// A message that was accepted is lost with its capabilities: slots that its record names are free again.
    #[cold]
    pub(super) fn take_slots_back(&self, number: u16, record: &[u64]) {
        self.with_pools(number, |end, bulks| end.lost(bulks, record));
    }

    /// Runs `f` with the pools of this end, and where a message has the heads of bulk arguments, if there are both.
    pub(super) fn with_pools(&self, number: u16, f: impl FnOnce(&BulkEnd, &Bulks)) {
        if let Some(bulks) = self.bulks_of(number)
            && let Some(end) = T::bulk_end(self)
        {
            f(&end, bulks);
        }
    }

    /// Returns where a message has the heads of bulk arguments, if it has any.
    pub(super) fn bulks_of(&self, number: u16) -> Option<&'static Bulks> {
        self.interface.message(number).map(|info| &info.bulks).filter(|bulks| !bulks.is_empty())
    }

    /// A send met an error: it is reported from the waitset, because handlers do not run inside a send.
    #[cold]
    fn send_failed(&self, error: ChannelError, number: u16, body: Gather<'_>) -> TxError {
        if let ChannelError::Caps(refusal) = error {
            self.io.lock().connection.lost_out(number, body, refusal);
            self.flush();
            return TxError::CapsRefused(refusal);
        }
        // `recv` reports that the peer is gone, and why, once what the peer sent before has been received.
        if !matches!(error, ChannelError::Closed | ChannelError::PeerDied) {
            self.note(error.into());
        }
        self.poke();
        TxError::Closed
    }

    /// Sends the reply to `call`, or queues it. Does nothing if the binding has ended.
    pub(super) fn reply(&self, call: u32, number: u16, body: Gather<'_>, mut caps: Vec<Cap>) {
        // Dropped with the reply, unless that is sent or queued.
        let loans = Loans::take_from(&mut caps);
        let fail = |error| {
            self.note(BindingError::Reply(error));
            self.poke();
        };
        if !caps.is_empty()
            && let Err(error) = self.check_leaving(number, body, &caps)
        {
            return fail(error);
        }
        if self.io.lock().connection.may_reply() {
            match self.accept_allowed(number, body, &mut caps) {
                Ok(_) => return loans.sent(),
                Err(TxError::Closed) => return,
                Err(TxError::Busy) => {}
                Err(error) => return fail(error),
            }
        }
        let is_over_limit = {
            let io = &mut *self.io.lock();
            if io.connection.rule(Sender::Any) == Rule::Refuse {
                return;
            }
            let mut words = vec![0; body.len()];
            body.reader(0).read(&mut words);
            let cap_count = caps.len();
            loans.put_back(&mut caps);
            io.connection.queue(Queued::Reply(call, Owned { number, words, caps, cap_count }));
            io.note_unsent();
            io.connection.has_unreported_errors()
        };
        if is_over_limit {
            self.poke();
        }
    }
}
