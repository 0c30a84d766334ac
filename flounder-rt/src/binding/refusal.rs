//! Capabilities that may not or cannot travel: both ends learn of it, in the same way over every driver.
//!
//! The rules of [`policy`](crate::policy) are asked here, before a message reaches the channel and before it reaches its
//! handler. A message with capabilities that is lost, for whatever reason, is lost for both ends: the one that finds out
//! sends the other a [`Notice`].
//!
//! ```text
//!   who finds out                   learns by                       the other end learns by
//!   sender, before it is accepted   TxError                         error handler
//!   sender, after that              error handler                   error handler
//!   receiver                        error handler                   error handler
//!   .. of a call, at either end     as above; the caller: RpcError::CapsRefused, or ::Tx if it was not accepted
//!   .. of a response                as above; the caller: RpcError::CapsRefused; a server that finds out: BindingError::Reply
//! ```

use std::io;

use crate::binding::notice::Notice;
use crate::binding::{BindingError, Core, RawBinding, RpcError, TxError, TxState};
use crate::cap::Cap;
use crate::channel::{CapRefusal, Incoming};
use crate::interface::MessageKind;
use crate::policy::{self, Direction};
use crate::wire::Gather;

/// What a message is, with the number of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Message,
    Call(u32),
    Response(u32),
}

impl RawBinding {
    /// Takes this binding out of the rules about capabilities, and has it tell nothing to the peer about those that are
    /// lost. For the bindings of brokers, which carry what others were asked about, and keep count themselves.
    pub fn exempt(&self) {
        self.0.exempt.set(true);
        self.0.calls.never_tick();
    }

    /// A capability of a message could not be copied. Used by generated code.
    #[doc(hidden)]
    #[cold]
    #[must_use]
    pub fn cap_copy(&self, error: io::Error) -> TxError {
        let state = self.0.io.borrow().state;
        match state {
            TxState::Free => {
                self.0.tell_refusal(CapRefusal::SenderLimit, None);
                TxError::cap_copy(error)
            }
            TxState::Sending => TxError::Busy,
            TxState::Closing | TxState::Closed => TxError::Closed,
        }
    }
}

impl Core {
    /// Asks whether the capabilities of a message may leave this domain; if not, the peer is told.
    pub(super) fn ask_out(
        &self,
        number: u16,
        body: Gather<'_>,
        caps: &[Cap],
    ) -> Result<(), TxError> {
        if self.exempt.get() || self.may_leave(caps) {
            return Ok(());
        }
        self.refused_out(number, body, CapRefusal::Sender);
        Err(TxError::CapsRefused(CapRefusal::Sender))
    }

    /// Whether the capabilities of a message may leave this domain.
    pub(super) fn may_leave(&self, caps: &[Cap]) -> bool {
        policy::allows(Direction::Send, &self.peer, caps)
    }

    /// Whether the capabilities of a message may enter this domain.
    pub(super) fn may_enter(&self, caps: &[Cap]) -> bool {
        self.exempt.get() || policy::allows(Direction::Receive, &self.peer, caps)
    }

    /// A message of ours is lost with its capabilities: tells the peer.
    pub(super) fn refused_out(&self, number: u16, body: Gather<'_>, refusal: CapRefusal) {
        let word = |at| {
            let mut word = [0];
            (body.reader(at).read(&mut word) == 1).then_some(word[0])
        };
        let part = self.part(number, word);
        if let Part::Call(call) = part {
            self.calls.fail(call, RpcError::CapsRefused(refusal));
        }
        if let Some(notice) = self.lost_notice(part, refusal) {
            self.tell_peer(notice);
        }
    }

    /// What the peer is told of a message of ours that is lost with its capabilities.
    pub(super) fn lost_notice(&self, part: Part, refusal: CapRefusal) -> Option<Notice> {
        let call = if let Part::Response(call) = part { Some(call) } else { None };
        (!self.exempt.get()).then_some(Notice::CapsRefused(refusal, call))
    }

    /// The message in `incoming` is lost with its capabilities: tells everybody.
    pub(super) fn refused_in(&self, incoming: &mut Incoming, refusal: CapRefusal) {
        drop(incoming.take_caps());
        let call = match self.part(incoming.number(), |at| incoming.words().get(at).copied()) {
            Part::Response(call) => {
                self.calls.fail(call, RpcError::CapsRefused(refusal));
                None
            }
            part => {
                self.note(BindingError::CapsRefused(refusal));
                if let Part::Call(call) = part { Some(call) } else { None }
            }
        };
        self.tell_refusal(refusal, call);
    }

    /// The peer tells that a message is lost: `call` was ours.
    pub(super) fn told_refusal(&self, refusal: CapRefusal, call: Option<u32>) {
        match call {
            Some(call) => _ = self.calls.fail(call, RpcError::CapsRefused(refusal)),
            None => self.note(BindingError::CapsRefused(refusal)),
        }
    }

    pub(super) fn tell_refusal(&self, refusal: CapRefusal, call: Option<u32>) {
        if !self.exempt.get() {
            self.tell_peer(Notice::CapsRefused(refusal, call));
        }
    }

    /// Which part of a call a message is, by its words.
    pub(super) fn part(&self, number: u16, word: impl FnOnce(usize) -> Option<u64>) -> Part {
        let number_at = |at: usize| Some((word(at / 8)? >> (at % 8 * 8)) as u32);
        let part = match self.interface.message(number).map(|message| message.kind) {
            Some(MessageKind::RpcCall { at }) => number_at(at).map(Part::Call),
            Some(MessageKind::RpcResponse { at }) => number_at(at).map(Part::Response),
            Some(MessageKind::Message) | None => None,
        };
        part.unwrap_or(Part::Message)
    }
}
