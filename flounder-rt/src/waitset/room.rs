//! Room in the descriptors of sources.
//!
//! The kernel reports each edge: a socket has room again whenever the peer has read. So a source that waits for an answer is
//! woken when the peer has read its message. Between two processors that is of use: the processor is awake when the answer
//! comes (a round trip of lmp between two sleepers takes 10 us, and 13 us without). On one processor it is a switch for nothing:
//! while waits block at once, room is watched for a source that needs it, until the first report that the source does not need.

use crate::waitset::{Source, Waitset};

impl Waitset {
    /// Has the kernel report room, unless that would be a switch for nothing. The source has had a turn in vain.
    pub(super) fn watch_room(&self, token: u64, source: &dyn Source) {
        if !self.0.one_core.blocks() || source.needs_room() {
            self.set_watches_room(token, source, true);
        }
    }

    /// The kernel reports room in the descriptor of a source, and nothing else.
    pub(super) fn room_found(&self, token: u64) {
        let source = self.0.queues.borrow().source(token).cloned();
        match source {
            Some(source) if self.0.one_core.blocks() && !source.needs_room() => {
                self.set_watches_room(token, &*source, false);
            }
            // A task may wait for its descriptor.
            _ => self.poke(token),
        }
    }

    fn set_watches_room(&self, token: u64, source: &dyn Source, watches: bool) {
        if !self.0.queues.borrow_mut().note_watches_room(token, watches) {
            return;
        }
        let mut is_set = false;
        source.with_descriptors(&mut |fds| {
            let set = self.with_sleeper(|sleeper| sleeper.epoll.watch_room(fds, token, watches));
            is_set = set.is_ok();
        });
        if !is_set {
            // The next turn in vain tries again.
            self.0.queues.borrow_mut().note_watches_room(token, !watches);
        }
    }
}
