//! Requests that wait for owners to come back.
//!
//! A root that has just taken over has not heard from every domain of the last one. Until it has, it does not say that there
//! is no such thing: what it cannot answer yet is put here, and looked at again when a domain has told everything, when an
//! owner is dead, and when the time is over.

use std::rc::Rc;
use std::time::Instant;

use super::{REJOIN_TIMEOUT, Root};

/// Looks at a request again.
type Request = Box<dyn FnOnce(&Rc<Root>)>;

/// Those requests.
pub(super) struct DeferredRequests {
    requests: Vec<Request>,
    /// Until then domains may come back of which nothing is written down.
    until: Instant,
}

impl DeferredRequests {
    /// For a root that begins now. Where nobody was before, nobody comes back.
    pub(super) fn new(is_first: bool) -> Self {
        let now = Instant::now();
        Self { requests: Vec::new(), until: if is_first { now } else { now + REJOIN_TIMEOUT } }
    }
}

impl Root {
    /// Whether services may be published again of which nothing is written down.
    pub(super) fn awaits_services(&self) -> bool {
        Instant::now() < self.deferred.borrow().until
    }

    /// Has a request wait. `again` looks at it anew, and may hold it again.
    pub(super) fn defer(&self, again: impl FnOnce(&Rc<Self>) + 'static) {
        self.deferred.borrow_mut().requests.push(Box::new(again));
    }

    /// Looks at all of them again.
    pub(super) fn retry_deferred(self: &Rc<Self>) {
        let requests = core::mem::take(&mut self.deferred.borrow_mut().requests);
        requests.into_iter().for_each(|again| again(self));
    }

    /// Looks at all of them again when owners have had their time to come back.
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
