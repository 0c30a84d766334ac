//! Replies and notices that are ready to send and do not fit into the channel.
//!
//! A reply must never be dropped because the channel is full, so it is queued here. Every kind of entry has a bound:
//!
//! | entry | bound |
//! |---|---|
//! | replies, including `NoReply` | [`MAX_PENDING_REPLIES`], counting the replies that this end has still to send: at that number, the end receives no more calls |
//! | words of queued replies, at the end of a service | [`MAX_QUEUED_WORDS`] plus one reply: beyond that, the end receives no more calls. Replies that were pending by then may be added |
//! | `Cancelled` notices | one for each call under way: while anything is queued, no further call is accepted |
//! | notices of lost messages | one entry for each reason, with a count |
//!
//! At the end of a service, the memory of what waits is charged to the peer (`Resource::Bytes`); over its limit the binding
//! ends.
//!
//! # Deadlock freedom
//!
//! Two ends deadlock if each refuses to receive until it has sent. At least one end always keeps receiving:
//!
//! 1. Each end has at most [`CALL_WINDOW`] calls under way; more wait for their turn. A call is under way until its reply
//!    comes or it is given up. The peer receives each call before the notice that it is cancelled, and answers before the
//!    caller learns of the reply. So of the calls that an end has received and does not know to be cancelled, at most a
//!    window is pending or queued here; a reply whose call turns out to be cancelled is removed.
//! 2. [`MAX_PENDING_REPLIES`] is two windows. So no end stops receiving because of the number of calls that its peer makes.
//! 3. Only the end of a service counts words. The end of the client keeps receiving, by 2; so the service gets rid of what is
//!    queued, and receives again.
//!
//! An end that receives no more calls still receives notices, and replies to its own calls, until a message of another kind
//! is ahead of them.
//!
//! The second of the two windows is for other work: messages that `AsyncRx` handles, replies to cancelled calls that their
//! handlers keep, and blocking calls, which nest. They end by themselves, unless a whole window of them waits for this very
//! peer.
//!
//! A peer that makes more calls than its window stops nobody but itself. A peer that calls and never reads costs what the
//! table says.
//!
//! [`CALL_WINDOW`]: super::CALL_WINDOW
//! [`MAX_PENDING_REPLIES`]: super::MAX_PENDING_REPLIES

use std::collections::VecDeque;

use super::message::Owned;
use super::notice::{NoReply, Notice};

/// Words of queued replies at which the end of a service receives no more calls.
pub(super) const MAX_QUEUED_WORDS: usize = if cfg!(any(test, fuzzing)) { 40 } else { 1 << 17 };

/// Capacity that an empty queue keeps.
const KEPT: usize = 256;

/// Exceeds the highest code of a refusal.
const LOSSES: usize = 6;

/// The queue. `R` is a receipt of the shell, which is returned when a message is settled.
pub(in crate::binding) struct Backlog<R> {
    queue: VecDeque<Queued<R>>,
    /// Number of queued notices for each reason of a loss.
    losses: [u64; LOSSES],
    /// Number of replies in the queue, including notices that stand for one.
    replies: usize,
    /// Words of those replies.
    words: usize,
}

/// One entry.
pub(in crate::binding) enum Queued<R> {
    /// The reply to this call of the peer.
    Reply(u32, Owned),
    Notice(Notice),
    /// A message that was accepted before the binding began to close.
    Message(Owned, Option<R>),
}

impl<R> Queued<R> {
    /// Returns the call that the entry answers.
    const fn call(&self) -> Option<u32> {
        match self {
            Self::Reply(call, _) => Some(*call),
            Self::Notice(Notice::NoReply(call, _) | Notice::CapsRefused(_, Some(call))) => {
                Some(*call)
            }
            Self::Notice(Notice::Cancelled(_) | Notice::CapsRefused(_, None))
            | Self::Message(..) => None,
        }
    }

    const fn words(&self) -> usize {
        match self {
            Self::Reply(_, message) => message.words.len(),
            Self::Notice(Notice::NoReply(_, NoReply::Refused(why))) => why.reason.len().div_ceil(8),
            Self::Notice(_) | Self::Message(..) => 0,
        }
    }
}

impl<R> Default for Backlog<R> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), losses: [0; LOSSES], replies: 0, words: 0 }
    }
}

impl<R> Backlog<R> {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Number of replies in the queue, including notices that stand for one.
    #[inline]
    pub(super) const fn replies(&self) -> usize {
        self.replies
    }

    /// Words of those replies.
    #[inline]
    pub(super) const fn words(&self) -> usize {
        self.words
    }

    pub(super) fn push(&mut self, entry: Queued<R>) {
        if let Queued::Notice(Notice::CapsRefused(refusal, None)) = entry {
            let times = &mut self.losses[refusal.code() as usize];
            *times += 1;
            if *times > 1 {
                return;
            }
        }
        self.count(&entry);
        self.queue.push_back(entry);
    }

    /// Removes the first entry and returns it as a message.
    pub(super) fn pop(&mut self) -> Option<(Owned, Option<R>)> {
        let entry = self.queue.pop_front()?;
        self.discount(&entry);
        match entry {
            Queued::Reply(_, message) => Some((message, None)),
            Queued::Message(message, report) => Some((message, report)),
            Queued::Notice(notice) => {
                if let Notice::CapsRefused(refusal, None) = notice {
                    let times = &mut self.losses[refusal.code() as usize];
                    *times -= 1;
                    if *times > 0 {
                        self.queue.push_back(Queued::Notice(notice.clone()));
                    }
                }
                Some((notice.into_owned(), None))
            }
        }
    }

    /// Frees the memory that a long queue took.
    pub(super) fn give_back(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
    }

    /// Words of all entries.
    pub(super) fn all_words(&self) -> usize {
        let words = self.queue.iter().map(|entry| match entry {
            Queued::Message(message, _) => message.words.len(),
            entry => entry.words(),
        });
        words.sum()
    }

    /// Takes the receipts out.
    pub(super) fn receipts(&mut self) -> impl Iterator<Item = R> {
        self.queue.iter_mut().filter_map(|entry| match entry {
            Queued::Message(_, report) => report.take(),
            Queued::Reply(..) | Queued::Notice(_) => None,
        })
    }

    /// Removes and returns the reply to `call`, if it is queued: the peer cancelled the call.
    pub(super) fn cancel(&mut self, call: u32) -> Option<Queued<R>> {
        let at = self.queue.iter().position(|entry| entry.call() == Some(call))?;
        let entry = self.queue.remove(at)?;
        self.discount(&entry);
        Some(entry)
    }

    fn count(&mut self, entry: &Queued<R>) {
        self.replies += usize::from(entry.call().is_some());
        self.words += entry.words();
    }

    fn discount(&mut self, entry: &Queued<R>) {
        self.replies -= usize::from(entry.call().is_some());
        self.words -= entry.words();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{CapRefusal, RUNTIME_MESSAGE};

    fn reply(call: u32, words: usize) -> Queued<()> {
        Queued::Reply(call, Owned { number: 1, words: vec![0; words], ..Owned::default() })
    }

    #[test]
    fn losses_are_counted_and_each_is_sent() {
        let mut backlog = Backlog::<()>::default();
        let refusals: Vec<_> = (1..).map_while(CapRefusal::from_code).collect();
        assert_eq!(refusals.len() + 1, LOSSES);
        for n in 0..1000 {
            let refusal = refusals[n % refusals.len()];
            backlog.push(Queued::Notice(Notice::CapsRefused(refusal, None)));
        }
        assert_eq!(backlog.queue.len(), refusals.len());
        let mut counts = vec![0; LOSSES];
        while let Some((message, _)) = backlog.pop() {
            assert_eq!(message.number, RUNTIME_MESSAGE);
            match Notice::parse(&message.words) {
                Some(Notice::CapsRefused(refusal, None)) => counts[refusal.code() as usize] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(
            refusals.iter().all(|refusal| counts[refusal.code() as usize] == 200),
            "{counts:?}"
        );
    }

    #[test]
    fn replies_are_counted_until_sent_or_cancelled() {
        let mut backlog = Backlog::<()>::default();
        backlog.push(reply(7, 3));
        backlog.push(Queued::Notice(Notice::NoReply(8, NoReply::Dropped)));
        backlog.push(Queued::Notice(Notice::CapsRefused(CapRefusal::Sender, Some(9))));
        // Of a call of this end.
        backlog.push(Queued::Notice(Notice::Cancelled(10)));
        backlog.push(reply(11, 4));
        assert_eq!((backlog.replies, backlog.words), (4, 7));
        for call in [8, 9, 11] {
            assert!(backlog.cancel(call).is_some());
            assert!(backlog.cancel(call).is_none());
        }
        assert!(backlog.cancel(10).is_none());
        assert_eq!((backlog.replies, backlog.words), (1, 3));
        assert!(backlog.pop().is_some_and(|(message, _)| message.words.len() == 3));
        let notice = backlog.pop().map(|(message, _)| Notice::parse(&message.words));
        assert_eq!(notice, Some(Some(Notice::Cancelled(10))));
        assert_eq!((backlog.replies, backlog.words, backlog.is_empty()), (0, 0, true));
    }
}
