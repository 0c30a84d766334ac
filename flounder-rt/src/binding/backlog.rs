//! What waits for room behind the message in the slot: answers to the peer's calls, and notices. Nothing of it may fail for
//! want of room, so it is kept; and each kind has its bound.
//!
//! | what | at most |
//! |---|---|
//! | answers: a reply, or the word that there will be none | [`MAX_OWED_REPLIES`], those that are still owed included: with so many, nothing more is taken |
//! | words of answers, at the end of a service | [`MAX_WAITING_WORDS`], and one reply: with more, nothing more is taken. Replies that are owed by then may come on top |
//! | *nobody waits for this call of ours* | one for each call under way: while anything waits here, no call is accepted |
//! | *a message is lost* | one entry for each reason, with a count |
//!
//! # Why two ends never hold each other up
//!
//! An end that receives nothing before it has sent something waits for the other end to receive: for ever, if that one does
//! the same. So one of the two goes on receiving, whatever it has to send.
//!
//! 1. An end has at most [`CALL_WINDOW`](super::CALL_WINDOW) calls under way, and more wait for their turn (`window.rs`). A
//!    call is under way until its answer comes or it is given up. The end that is called hears of each call before it hears
//!    that nobody waits for it, and answers before the caller hears of that. So of the calls that it has heard of and does
//!    not know to be given up, no more than a window are owed an answer or have it in here; an answer that finds out here
//!    that nobody waits for it goes away.
//! 2. [`MAX_OWED_REPLIES`] is two windows. So no end stops receiving because of how many calls the other one makes.
//! 3. Words are counted by the end of a service only. The client's end goes on receiving, by 2; so the service's end gets rid
//!    of what waits here, and receives again.
//!
//! An end that takes nothing more still takes notices, and replies to its own calls, until another message is ahead of them.
//!
//! The second of the two windows is for what else is owed: messages that `AsyncRx` works on, replies to calls that were given
//! up which their handlers keep all the same, and blocking calls, which nest. They end by themselves, unless a whole window
//! of them waits for this very peer.
//!
//! A peer that makes more calls than its window stops nobody but itself. One that calls and never reads costs what the table
//! says.

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::binding::notice::Notice;
use crate::binding::shared::SentSlot;
use crate::binding::{Core, Io, MAX_OWED_REPLIES, Owned, wake_all};

/// Words of answers that may wait for room at the end of a service.
pub(super) const MAX_WAITING_WORDS: usize = 1 << 17;

/// Places of an empty queue that are kept.
const KEPT: usize = 256;

/// More than the highest number of a refusal.
const LOSSES: usize = 6;

/// What waits for room, in order.
#[derive(Default)]
pub(super) struct Backlog {
    queue: VecDeque<Waiting>,
    /// How often each loss that is in the queue is to be told.
    losses: [u64; LOSSES],
    /// Of the answers in the queue.
    answers: usize,
    words: usize,
}

pub(super) enum Waiting {
    /// The reply to a call of the peer's.
    Reply(u32, Owned),
    Notice(Notice),
    /// A message that another thread has handed to a binding that is closing now; the slot is told when it is sent.
    Message(Owned, Option<Arc<SentSlot>>),
}

impl Waiting {
    /// The call that it answers.
    const fn call(&self) -> Option<u32> {
        match self {
            Self::Reply(call, _) => Some(*call),
            Self::Notice(Notice::NoReply(call) | Notice::CapsRefused(_, Some(call))) => Some(*call),
            Self::Notice(Notice::Cancelled(_) | Notice::CapsRefused(_, None))
            | Self::Message(..) => None,
        }
    }

    const fn words(&self) -> usize {
        match self {
            Self::Reply(_, message) => message.words.len(),
            Self::Notice(_) | Self::Message(..) => 0,
        }
    }
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many answers wait.
    pub(super) const fn answers(&self) -> usize {
        self.answers
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        if let Waiting::Notice(Notice::CapsRefused(refusal, None)) = waiting {
            let times = &mut self.losses[refusal.code() as usize];
            *times += 1;
            if *times > 1 {
                return;
            }
        }
        self.count(&waiting);
        self.queue.push_back(waiting);
    }

    /// Takes the first out, as a message, with who waits for it to be sent.
    pub(super) fn pop(&mut self) -> Option<(Owned, Option<Arc<SentSlot>>)> {
        let waiting = self.queue.pop_front()?;
        self.discount(&waiting);
        match waiting {
            Waiting::Reply(_, message) => Some((message, None)),
            Waiting::Message(message, report) => Some((message, report)),
            Waiting::Notice(notice) => {
                if let Notice::CapsRefused(refusal, None) = notice {
                    let times = &mut self.losses[refusal.code() as usize];
                    *times -= 1;
                    if *times > 0 {
                        self.queue.push_back(waiting);
                    }
                }
                Some((notice.into_owned(), None))
            }
        }
    }

    /// Gives back what many answers at a time took.
    pub(super) fn give_back(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
    }

    /// Words of everything that waits.
    pub(super) fn all_words(&self) -> usize {
        let words = self.queue.iter().map(|waiting| match waiting {
            Waiting::Message(message, _) => message.words.len(),
            waiting => waiting.words(),
        });
        words.sum()
    }

    /// Takes out who waits for messages to be sent.
    pub(super) fn reports(&mut self) -> impl Iterator<Item = Arc<SentSlot>> {
        self.queue.iter_mut().filter_map(|waiting| match waiting {
            Waiting::Message(_, report) => report.take(),
            Waiting::Reply(..) | Waiting::Notice(_) => None,
        })
    }

    /// Nobody waits for the answer to `call`. What comes back has capabilities to be closed.
    fn cancel(&mut self, call: u32) -> Option<Waiting> {
        let at = self.queue.iter().position(|waiting| waiting.call() == Some(call))?;
        let waiting = self.queue.remove(at)?;
        self.discount(&waiting);
        Some(waiting)
    }

    fn count(&mut self, waiting: &Waiting) {
        self.answers += usize::from(waiting.call().is_some());
        self.words += waiting.words();
    }

    fn discount(&mut self, waiting: &Waiting) {
        self.answers -= usize::from(waiting.call().is_some());
        self.words -= waiting.words();
    }
}

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog").field("len", &self.queue.len()).finish_non_exhaustive()
    }
}

impl Core {
    /// Whether messages are held back: because there is much to be answered or sent first, or because an inbox is full. What is
    /// owed to a peer that is gone holds back nothing: what it sent before is received, and then its end is told.
    #[inline]
    pub(super) fn holds_back(&self, io: &mut Io) -> bool {
        self.is_mail_full() || (self.has_much(io) && !self.is_peer_gone(io))
    }

    /// Whether the peer makes calls faster than it gets their answers.
    #[inline]
    pub(super) fn has_much(&self, io: &Io) -> bool {
        self.debts.count() + io.backlog.answers >= MAX_OWED_REPLIES
            || (io.backlog.words >= MAX_WAITING_WORDS && self.is_service.get())
    }

    /// Whether only what makes more to be answered is held back. What concerns calls is received all the same: replies to those
    /// of this end, and that the peer waits for some of its own no more.
    pub(super) fn takes_news(&self, io: &Io) -> bool {
        self.has_much(io) && !self.is_mail_full() && !self.parked.get()
    }

    pub(super) fn is_peer_gone(&self, io: &mut Io) -> bool {
        self.is_told_gone() || io.channel.is_over()
    }

    /// Whether the broker has told so.
    pub(super) fn is_told_gone(&self) -> bool {
        self.peer_gone.get().is_some()
    }

    /// The peer tells that nobody waits for the answer to a call of its any more.
    pub(super) fn cancelled(&self, call: u32) {
        let (woken, answer) = (self.debts.cancel(call), self.io.borrow_mut().backlog.cancel(call));
        drop(answer);
        wake_all(woken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{CapRefusal, RUNTIME_MESSAGE};

    fn reply(call: u32, words: usize) -> Waiting {
        Waiting::Reply(call, Owned { number: 1, words: vec![0; words], ..Owned::default() })
    }

    #[test]
    fn losses_are_counted_and_each_is_told() {
        let mut backlog = Backlog::default();
        let refusals: Vec<_> = (1..).map_while(CapRefusal::from_code).collect();
        assert_eq!(refusals.len() + 1, LOSSES);
        for n in 0..1000 {
            let refusal = refusals[n % refusals.len()];
            backlog.push(Waiting::Notice(Notice::CapsRefused(refusal, None)));
        }
        assert_eq!(backlog.queue.len(), refusals.len());
        let mut told = vec![0; LOSSES];
        while let Some((message, _)) = backlog.pop() {
            assert_eq!(message.number, RUNTIME_MESSAGE);
            match Notice::parse(&message.words) {
                Some(Notice::CapsRefused(refusal, None)) => told[refusal.code() as usize] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(refusals.iter().all(|refusal| told[refusal.code() as usize] == 200), "{told:?}");
    }

    #[test]
    fn answers_are_counted_until_they_are_sent_or_nobody_waits_for_them() {
        let mut backlog = Backlog::default();
        backlog.push(reply(7, 3));
        backlog.push(Waiting::Notice(Notice::NoReply(8)));
        backlog.push(Waiting::Notice(Notice::CapsRefused(CapRefusal::Sender, Some(9))));
        // Of a call of this end.
        backlog.push(Waiting::Notice(Notice::Cancelled(10)));
        backlog.push(reply(11, 4));
        assert_eq!((backlog.answers, backlog.words), (4, 7));
        for call in [8, 9, 11] {
            assert!(backlog.cancel(call).is_some());
            assert!(backlog.cancel(call).is_none());
        }
        assert!(backlog.cancel(10).is_none());
        assert_eq!((backlog.answers, backlog.words), (1, 3));
        assert!(backlog.pop().is_some_and(|(message, _)| message.words.len() == 3));
        let notice = backlog.pop().map(|(message, _)| Notice::parse(&message.words));
        assert_eq!(notice, Some(Some(Notice::Cancelled(10))));
        assert_eq!((backlog.answers, backlog.words, backlog.is_empty()), (0, 0, true));
    }
}
