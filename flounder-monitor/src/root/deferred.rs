//! Requests that wait for owners to rejoin.
//!
//! A root that has just taken over does not know all domains of the last one yet. Until it does, it
//! must not answer that there is no such name or service. Such a request is put here, and retried
//! when a domain has rejoined, when an owner dies, and when the time is over.

use std::rc::Rc;
use std::time::Instant;

use super::{REJOIN_TIMEOUT, Root};

/// Retries a request.
type Request = Box<dyn FnOnce(&Rc<Root>)>;

/// The requests, and how long they may wait.
pub(super) struct DeferredRequests {
    requests: Vec<Request>,
    /// Until then domains may rejoin that are not in the journal.
    until: Instant,
}

impl DeferredRequests {
    /// Returns the state of a root that starts now. The first root of a directory does not wait.
    pub(super) fn new(is_first: bool) -> Self {
        let now = Instant::now();
        Self { requests: Vec::new(), until: if is_first { now } else { now + REJOIN_TIMEOUT } }
    }
}

impl Root {
    /// Returns true while services may be published again that are not in the journal.
    pub(super) fn awaits_services(&self) -> bool {
        Instant::now() < self.deferred.borrow().until
    }

    /// Defers a request. `again` retries it, and may defer it again.
    pub(super) fn defer(&self, again: impl FnOnce(&Rc<Self>) + 'static) {
        self.deferred.borrow_mut().requests.push(Box::new(again));
    }

    /// Retries all deferred requests.
    pub(super) fn retry_deferred(self: &Rc<Self>) {
        let requests = core::mem::take(&mut self.deferred.borrow_mut().requests);
        requests.into_iter().for_each(|again| again(self));
    }

    /// Answers the lookups that wait for a change, if the name of one is not registered when the time to rejoin is over. Until
    /// then its owner may register it again.
    pub(super) fn recheck_lookups_later(self: &Rc<Self>) {
        let me = Rc::downgrade(self);
        self.waitset.after(REJOIN_TIMEOUT, move |_| {
            if let Some(root) = me.upgrade() {
                let names = root.waiting_lookups.borrow().names();
                names.iter().for_each(|name| root.answer_waiting_lookups(name));
            }
            Ok(())
        });
    }

    /// Retries all deferred requests when the time to rejoin is over.
    pub(super) fn retry_deferred_later(self: &Rc<Self>) {
        let me = Rc::downgrade(self);
        self.waitset.after(REJOIN_TIMEOUT, move |_| {
            if let Some(root) = me.upgrade() {
                root.expire_unjoined_owners();
                root.retry_deferred();
            }
            Ok(())
        });
    }
}
