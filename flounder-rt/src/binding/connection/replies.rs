//! The replies that one end still has to send, found by where they are noted.

use core::task::Waker;

use super::backlog::Queued;
use super::notice::{NoReply, Notice};
use super::{Connection, MAX_PENDING_REPLIES};

/// The replies that one end still has to send, and the messages that its handlers still work on.
#[derive(Default)]
pub(super) struct PendingReplies {
    count: usize,
    /// As many entries as were ever pending at a time.
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Entry {
    /// Id of the call. Ids are the peer's: several entries may have the same.
    id: u32,
    state: State,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Answered,
    Pending,
    /// The peer cancelled its call.
    Cancelled,
}

impl PendingReplies {
    /// Number of replies that are pending, and of messages that are worked on.
    #[inline]
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Notes that call `id` is to be answered. Returns where.
    #[inline]
    pub(super) fn begin(&mut self, id: u32) -> u32 {
        self.begin_work();
        let entry = Entry { id, state: State::Pending, waker: None };
        match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("far fewer are received at a time")
            }
        }
    }

    /// The reply noted at `at` is sent, or will not be. Returns true if its call was cancelled, and a waker to be dropped.
    #[inline]
    pub(super) fn finish(&mut self, at: u32) -> (bool, Option<Waker>) {
        self.finish_work();
        let entry = core::mem::take(&mut self.entries[at as usize]);
        self.free.push(at);
        (entry.state == State::Cancelled, entry.waker)
    }

    /// A handler works on a message that needs no reply.
    #[inline]
    pub(super) const fn begin_work(&mut self) {
        self.count += 1;
    }

    /// It is done.
    #[inline]
    pub(super) const fn finish_work(&mut self) {
        self.count -= 1;
    }

    /// The peer cancelled call `id`. Returns the tasks that watch for that.
    pub(super) fn cancel(&mut self, id: u32) -> impl Iterator<Item = Waker> {
        let entries = self.entries.iter_mut();
        let pending = entries.filter(move |entry| entry.id == id && entry.state == State::Pending);
        pending.filter_map(|entry| {
            entry.state = State::Cancelled;
            entry.waker.take()
        })
    }

    /// Returns the wakers of all tasks that watch a reply: the binding has ended.
    pub(super) fn end(&mut self) -> impl Iterator<Item = Waker> {
        self.entries.iter_mut().filter_map(|entry| entry.waker.take())
    }

    /// Returns the id of the call whose reply is noted at `at`.
    #[inline]
    pub(super) fn id(&self, at: u32) -> u32 {
        self.entries[at as usize].id
    }

    #[inline]
    pub(super) fn is_cancelled(&self, at: u32) -> bool {
        self.entries[at as usize].state == State::Cancelled
    }

    /// Wakes `waker` when the call noted at `at` is cancelled. Returns the waker before.
    pub(super) fn watch(&mut self, at: u32, waker: Waker) -> Option<Waker> {
        self.entries[at as usize].waker.replace(waker)
    }
}

/// What a pending reply leaves behind.
pub(in crate::binding) struct Finished {
    /// True if the peer cancelled the call.
    pub(in crate::binding) cancelled: bool,
    /// True if the end may receive again, and had stopped.
    pub(in crate::binding) resumes: bool,
    /// To be dropped.
    pub(in crate::binding) waker: Option<Waker>,
}

impl<T, R> Connection<T, R> {
    /// A call has come. Returns where its reply is noted.
    #[inline]
    pub(in crate::binding) fn begin_reply(&mut self, id: u32) -> u32 {
        let at = self.replies.begin(id);
        self.check_replies();
        at
    }

    /// A handler works on a message that needs no reply.
    pub(in crate::binding) fn begin_work(&mut self) {
        self.replies.begin_work();
        self.check_replies();
    }

    #[inline]
    fn check_replies(&mut self) {
        if self.replies.count() >= MAX_PENDING_REPLIES {
            self.receive_only = false;
        }
    }

    /// A reply is sent, or will not be. Returns whether its call was cancelled, and whether the end may receive again.
    #[inline]
    pub(in crate::binding) fn finish_reply(&mut self, at: u32) -> Finished {
        let resumes = self.resumes();
        let (cancelled, waker) = self.replies.finish(at);
        Finished { cancelled, resumes, waker }
    }

    /// A handler is done with a message. Returns true if the end may receive again.
    pub(in crate::binding) fn finish_work(&mut self) -> bool {
        let resumes = self.resumes();
        self.replies.finish_work();
        resumes
    }

    #[inline]
    fn resumes(&self) -> bool {
        !self.receive_only
            && self.replies.count() + self.send.backlog.replies() >= MAX_PENDING_REPLIES
    }

    /// Returns the id of the call whose reply is noted at `at`.
    #[inline]
    pub(in crate::binding) fn reply_id(&self, at: u32) -> u32 {
        self.replies.id(at)
    }

    #[inline]
    pub(in crate::binding) fn is_reply_cancelled(&self, at: u32) -> bool {
        self.replies.is_cancelled(at)
    }

    /// Wakes `waker` when the call of a reply is cancelled. Returns the waker before, to be dropped.
    #[must_use]
    pub(in crate::binding) fn watch_reply(&mut self, at: u32, waker: Waker) -> Option<Waker> {
        self.replies.watch(at, waker)
    }

    /// Returns true if the reply noted at `at` may go to the channel at once.
    #[inline]
    pub(in crate::binding) fn may_reply_at_once(&self, at: u32) -> bool {
        // With `receive_only`, the slot and the backlog are empty.
        self.receive_only && !self.replies.is_cancelled(at)
    }

    /// The caller gets no reply.
    pub(in crate::binding) fn no_reply(&mut self, call: u32, why: NoReply) {
        self.notify(Notice::NoReply(call, why));
    }

    /// The end is about to close: the callers whose replies are pending get none.
    pub(in crate::binding) fn no_more_replies(&mut self) {
        for entry in &mut self.replies.entries {
            if entry.state == State::Pending {
                entry.state = State::Cancelled;
                let notice = Notice::NoReply(entry.id, NoReply::Closed);
                self.send.backlog.push(Queued::Notice(notice));
            }
        }
    }
}
