//! Capabilities that may not or cannot be transferred: both ends learn of it, in the same way over every driver.
//!
//! The rules of [`policy`](crate::policy) are applied here, before a message reaches the channel and before it reaches its
//! handler. A message with capabilities that is lost, for whatever reason, is lost for both ends: the end that finds out
//! sends a notice to the other.
//!
//! ```text
//!   where it is found               learns by                       the other end learns by
//!   sender, before it is accepted   TxError                         error handler
//!   sender, after that              error handler                   error handler
//!   receiver                        error handler                   error handler
//!   .. of a call, at either end     as above; the caller: RpcError::CapsRefused, or ::Tx if it was not accepted
//!   .. of a response                as above; the caller: RpcError::CapsRefused; a server that finds out: BindingError::Reply
//! ```

use std::io;

use crate::binding::connection::State;
use crate::binding::shell::Shell;
use crate::binding::threading::{Lock, Threading};
use crate::binding::{RawBinding, TxError};
use crate::cap::Cap;
use crate::channel::CapRefusal;
use crate::policy::{self, Direction};
use crate::wire::Gather;

impl RawBinding {
    /// Excludes this binding from the rules about capabilities, and from reports to the peer about those that are lost.
    pub(crate) fn exempt(&self) {
        self.shell().stop_ticking();
        self.shell().io.borrow_mut().connection.exempt();
    }

    /// Returns the error of a message with a capability that could not be copied, and reports the loss to the peer.
    #[cold]
    pub(crate) fn cap_copy(&self, error: io::Error) -> TxError {
        let state = self.shell().io.borrow().connection.state();
        match state {
            State::Free => {
                self.shell().report_refusal(CapRefusal::SenderLimit, None);
                TxError::cap_copy(error)
            }
            State::Sending => TxError::Busy,
            State::Closing | State::Closed => TxError::Closed,
        }
    }
}

impl<T: Threading> Shell<T> {
    /// Checks whether the capabilities of a message may leave this domain; if not, the peer learns of it.
    pub(super) fn check_leaving(
        &self,
        number: u16,
        body: Gather<'_>,
        caps: &[Cap],
    ) -> Result<(), TxError> {
        if self.may_leave(caps) {
            return Ok(());
        }
        self.io.lock().connection.lost_out(number, body, CapRefusal::Sender);
        self.flush();
        Err(TxError::CapsRefused(CapRefusal::Sender))
    }

    /// Returns true if the capabilities of a message may leave this domain.
    pub(super) fn may_leave(&self, caps: &[Cap]) -> bool {
        self.is_allowed(Direction::Send, caps)
    }

    /// Returns true if the capabilities of a message may enter this domain.
    pub(super) fn may_enter(&self, caps: &[Cap]) -> bool {
        self.is_allowed(Direction::Receive, caps)
    }

    fn is_allowed(&self, direction: Direction, caps: &[Cap]) -> bool {
        let is_exempt = self.io.lock().connection.is_exempt();
        is_exempt || policy::allows(direction, &self.peer, caps)
    }

    /// Reports to the peer that a message is lost: the reply to this call of the peer, or another message.
    pub(super) fn report_refusal(&self, refusal: CapRefusal, call: Option<u32>) {
        self.io.lock().connection.report_refusal(refusal, call);
        self.flush();
    }
}
