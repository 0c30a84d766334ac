//! Messages that are lost with their capabilities: calls fail, and both ends learn of it.

use super::backlog::Queued;
use super::notice::Notice;
use super::{Connection, State};
use crate::binding::error::{BindingError, RpcError};
use crate::channel::CapRefusal;
use crate::interface::{Interface, MessageKind};
use crate::wire::Gather;

/// Which part of a call a message is, with the id of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Message,
    Call(u32),
    Response(u32),
}

impl<T, R> Connection<T, R> {
    /// A message of this end is lost with its capabilities before it was accepted.
    pub(in crate::binding) fn lost_out(
        &mut self,
        number: u16,
        body: Gather<'_>,
        refusal: CapRefusal,
    ) {
        let word = |at| {
            let mut word = [0];
            (body.reader(at).read(&mut word) == 1).then_some(word[0])
        };
        let part = part(self.interface, number, word);
        self.lost_in(part, refusal, true);
    }

    /// A message of the peer is lost with its capabilities.
    pub(in crate::binding) fn lost_incoming(
        &mut self,
        number: u16,
        words: &[u64],
        refusal: CapRefusal,
    ) {
        let part = part(self.interface, number, |at| words.get(at).copied());
        if !matches!(part, Part::Response(_)) {
            self.note(BindingError::CapsRefused(refusal));
        }
        self.lost_in(part, refusal, false);
    }

    /// Fails the call of this end that is lost, and reports the loss to the peer.
    pub(super) fn lost_in(&mut self, part: Part, refusal: CapRefusal, is_ours: bool) {
        let (own, peers) = match (part, is_ours) {
            (Part::Call(call), true) | (Part::Response(call), false) => (Some(call), None),
            (Part::Response(call), true) | (Part::Call(call), false) => (None, Some(call)),
            (Part::Message, _) => (None, None),
        };
        if let Some(call) = own {
            self.fail_call(call, RpcError::CapsRefused(refusal));
        }
        self.report_refusal(refusal, peers);
    }

    /// Reports to the peer that a message is lost; with the id of its call, if the message was that call or the reply to it.
    pub(in crate::binding) fn report_refusal(&mut self, refusal: CapRefusal, call: Option<u32>) {
        if self.is_exempt {
            return;
        }
        let notice = Notice::CapsRefused(refusal, call);
        if self.send.state == State::Closing && !self.send.is_cut {
            // The peer of a binding that closes learns of what it misses.
            self.send.backlog.push(Queued::Notice(notice));
        } else {
            self.notify(notice);
        }
    }

    /// The error handler is to be given this error, in the step that runs or in the next.
    pub(in crate::binding) fn note(&mut self, error: BindingError) {
        self.receive_only = false;
        self.unreported_errors.push_back(error);
    }

    pub(in crate::binding) fn has_unreported_errors(&self) -> bool {
        !self.unreported_errors.is_empty()
    }

    /// Returns the next error for the error handler.
    pub(in crate::binding) fn next_error(&mut self) -> Option<BindingError> {
        self.unreported_errors.pop_front()
    }
}

/// Returns which part of a call a message is, by its words.
pub(super) fn part(
    interface: &Interface,
    number: u16,
    word: impl FnOnce(usize) -> Option<u64>,
) -> Part {
    let id_at = |at: usize| Some((word(at / 8)? >> (at % 8 * 8)) as u32);
    let part = match interface.message(number).map(|message| message.kind) {
        Some(MessageKind::RpcCall { at }) => id_at(at).map(Part::Call),
        Some(MessageKind::RpcResponse { at }) => id_at(at).map(Part::Response),
        Some(MessageKind::Message) | None => None,
    };
    part.unwrap_or(Part::Message)
}
