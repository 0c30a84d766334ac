//! The receiving half: what is received, and what has to wait.

use super::backlog::MAX_QUEUED_WORDS;
use super::notice::{NoReply, Notice};
use super::{Connection, Event, MAX_PENDING_REPLIES, State};
use crate::binding::error::{BindingError, RpcError};
use crate::interface::MessageKind;
use crate::notify::Gone;
use crate::wire::DecodeError;

/// What an end receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::binding) enum Intake {
    Everything,
    /// Replies and runtime messages; anything else is held back.
    Replies,
    Nothing,
}

/// The receiving half.
#[derive(Default)]
pub(super) struct ReceiveHalf {
    /// True if the shell has received a message that is held back.
    pub(super) has_held_back: bool,
    /// True if the inbox has no room.
    pub(super) is_inbox_full: bool,
    /// What the broker has reported of the peer.
    pub(super) peer_gone: Option<Gone>,
}

impl<T, R> Connection<T, R> {
    /// True if the next step has only to receive.
    #[inline]
    pub(in crate::binding) const fn is_receive_only(&self) -> bool {
        self.receive_only
    }

    /// The next step looks at everything.
    pub(in crate::binding) const fn look_at_everything(&mut self) {
        self.receive_only = false;
    }

    /// Recomputes [`is_receive_only`](Self::is_receive_only).
    pub(in crate::binding) fn recompute(&mut self) {
        self.receive_only = self.may_only_receive();
    }

    /// Returns true if nothing else is to be done than to receive.
    pub(in crate::binding) fn may_only_receive(&self) -> bool {
        self.send.state == State::Free
            && self.events.is_empty()
            && self.send.backlog.is_empty()
            && !self.has_many_replies()
            && !self.receive.is_inbox_full
            && !self.receive.has_held_back
            && self.receive.peer_gone.is_none()
            && self.unreported_errors.is_empty()
    }

    /// Returns true if the peer makes calls faster than it gets their replies.
    #[inline]
    fn has_many_replies(&self) -> bool {
        let backlog = &self.send.backlog;
        self.replies.count() + backlog.replies() >= MAX_PENDING_REPLIES
            || (self.is_service && backlog.words() >= MAX_QUEUED_WORDS)
    }

    /// Returns what may be received; `channel_is_over` is asked whether the channel has ended.
    ///
    /// What is to be sent to a peer that is gone holds back nothing: what the peer sent before is received, and then its
    /// end is reported.
    #[inline]
    pub(in crate::binding) fn intake(&self, channel_is_over: impl FnOnce() -> bool) -> Intake {
        if self.receive.is_inbox_full {
            return Intake::Nothing;
        }
        if !self.has_many_replies() || self.is_peer_gone(channel_is_over) {
            return Intake::Everything;
        }
        if self.receive.has_held_back { Intake::Nothing } else { Intake::Replies }
    }

    /// Returns true if the peer is gone, by the broker's report or by the channel.
    pub(in crate::binding) fn is_peer_gone(&self, channel_is_over: impl FnOnce() -> bool) -> bool {
        self.receive.peer_gone.is_some() || channel_is_over()
    }

    /// Returns true if there is work for the waitset that no channel announces.
    pub(in crate::binding) fn has_news(&self) -> bool {
        (self.receive.peer_gone.is_some() && !self.receive.is_inbox_full)
            || !self.unreported_errors.is_empty()
            || self.is_new
    }

    /// A message has come that must wait: the shell holds it back.
    pub(in crate::binding) const fn hold_back(&mut self) {
        self.receive.has_held_back = true;
        self.receive_only = false;
    }

    pub(in crate::binding) const fn has_held_back(&self) -> bool {
        self.receive.has_held_back
    }

    /// Returns true if there is a message that was held back, which is delivered now.
    pub(in crate::binding) const fn take_held_back(&mut self) -> bool {
        core::mem::replace(&mut self.receive.has_held_back, false)
    }

    /// Sets whether the inbox has no room.
    pub(in crate::binding) const fn set_inbox_full(&mut self, is_full: bool) {
        self.receive.is_inbox_full = is_full;
        if is_full {
            self.receive_only = false;
        }
    }

    /// Returns true if the end has as many pending replies as it receives calls of a peer that is gone.
    pub(in crate::binding) const fn has_too_many_replies(&self) -> bool {
        self.replies.count() >= 2 * MAX_PENDING_REPLIES
    }

    /// The broker reports that the peer is gone.
    pub(in crate::binding) fn set_peer_gone(&mut self, gone: Gone) {
        self.receive.peer_gone.get_or_insert(gone);
        self.receive_only = false;
    }

    /// Returns what the broker has reported of the peer.
    pub(in crate::binding) const fn peer_gone(&self) -> Option<Gone> {
        self.receive.peer_gone
    }

    /// Returns true if a message is the reply to a call of this end.
    pub(in crate::binding) fn is_reply(&self, number: u16) -> bool {
        let info = self.interface.message(number);
        info.is_some_and(|info| matches!(info.kind, MessageKind::RpcResponse { .. }))
    }

    /// Handles a message of the peer's runtime, which may give reasons if it `knows_reasons`.
    pub(in crate::binding) fn runtime_message(&mut self, words: &[u64], knows_reasons: bool) {
        match Notice::parse(words) {
            Some(Notice::NoReply(call, why)) if knows_reasons || why == NoReply::Dropped => {
                match self.error_of(why) {
                    Some(error) => _ = self.fail_call(call, error),
                    None => self.note_malformed(words),
                }
            }
            Some(Notice::Cancelled(call)) => {
                self.events.extend(self.replies.cancel(call).map(Event::Wake));
                drop(self.send.backlog.cancel(call));
            }
            Some(Notice::CapsRefused(refusal, call)) if !self.is_exempt => match call {
                Some(call) => _ = self.fail_call(call, RpcError::CapsRefused(refusal)),
                None => self.note(BindingError::CapsRefused(refusal)),
            },
            _ => self.note_malformed(words),
        }
    }

    /// Returns the error of a call that gets no reply; `None` if the reason names no argument of a reply.
    fn error_of(&self, why: NoReply) -> Option<RpcError> {
        Some(match why {
            NoReply::Dropped => RpcError::NoReply,
            NoReply::Panicked => RpcError::HandlerPanicked,
            NoReply::Failed => RpcError::HandlerFailed,
            NoReply::Closed => RpcError::ServiceClosed,
            NoReply::Refused(refusal) => RpcError::Refused(refusal),
            NoReply::TooLong { number, argument, length } => {
                let argument = usize::from(argument).checked_sub(1)?;
                let mut arguments = self.interface.message(number)?.arguments();
                let arg = arguments.nth(argument).filter(|_| self.is_reply(number))?.name;
                RpcError::ReplyTooLong { arg, length }
            }
        })
    }

    /// A message of the peer's runtime is malformed: the binding ends.
    fn note_malformed(&mut self, words: &[u64]) {
        let error = DecodeError::Short { need: 2, have: words.len() };
        self.note(BindingError::Decode { message: "(runtime)", error });
    }
}
