//! Messages that wait for the one outgoing slot of a binding.

use core::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use flounder_rt::Waitset;
use flounder_rt::binding::RawBinding;

/// What a queue is made of.
pub(crate) trait OutboxMessage: Sized + 'static {
    /// The binding that it goes over.
    type Binding: core::ops::Deref<Target = RawBinding> + 'static;

    /// How many may wait: a peer that reads nothing and still has us answer costs no more than that.
    const MAX_QUEUED: usize;

    /// Sends it, or says what to do instead.
    fn send(self, binding: &Self::Binding) -> SendOutcome<Self>;
}

/// What became of an attempt to send.
pub(crate) enum SendOutcome<M> {
    /// It is accepted.
    Sent,
    /// The slot is taken: this is to be sent when it is free.
    Retry(M),
    /// The binding has ended.
    Closed,
}

/// The queue of one binding.
pub(crate) struct Outbox<M: OutboxMessage> {
    myself: Weak<Self>,
    waitset: Waitset,
    binding: M::Binding,
    queue: RefCell<VecDeque<M>>,
    /// Number of messages that have left the queue.
    taken: Cell<u64>,
    /// Whether the binding will tell when the slot is free.
    waiting_for_slot: Cell<bool>,
}

/// The messages that waited in an outbox at one moment.
pub(crate) struct Unsent(Box<dyn Fn() -> bool>);

impl Unsent {
    /// Whether the kernel has them all, or the binding has ended.
    pub(crate) fn is_sent(&self) -> bool {
        self.0()
    }
}

impl<M: OutboxMessage> Outbox<M> {
    pub(crate) fn new(waitset: &Waitset, binding: M::Binding) -> Rc<Self> {
        Rc::new_cyclic(|myself| Self {
            myself: myself.clone(),
            waitset: waitset.clone(),
            binding,
            queue: RefCell::default(),
            taken: Cell::new(0),
            waiting_for_slot: Cell::new(false),
        })
    }

    pub(crate) const fn binding(&self) -> &M::Binding {
        &self.binding
    }

    /// How many messages wait.
    pub(crate) fn queued(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Returns the messages that are not with the kernel, if there are some.
    pub(crate) fn unsent(&self) -> Option<Unsent> {
        let (me, last) = (self.myself.clone(), self.taken.get() + self.queue.borrow().len() as u64);
        let is_sent = move || {
            let Some(me) = me.upgrade() else { return true };
            let is_last = me.taken.get() == last;
            me.taken.get() > last
                || is_last && me.binding.can_send()
                || me.binding.ended().is_some()
        };
        if is_sent() { None } else { Some(Unsent(Box::new(is_sent))) }
    }

    /// Sends `message` after those that wait. False if the peer has let too many pile up.
    #[must_use]
    pub(crate) fn push(&self, message: M) -> bool {
        let room = self.queue.borrow().len() < M::MAX_QUEUED;
        if room {
            self.queue.borrow_mut().push_back(message);
            self.pump();
        }
        room
    }

    /// Sends `message` ahead of those that wait: in place of one that was accepted and then lost.
    pub(crate) fn push_instead(&self, message: M) {
        self.taken.set(self.taken.get().saturating_sub(1));
        self.queue.borrow_mut().push_front(message);
        self.pump();
    }

    fn pump(&self) {
        while !self.waiting_for_slot.get() {
            let Some(message) = self.queue.borrow_mut().pop_front() else { return };
            match message.send(&self.binding) {
                SendOutcome::Sent => self.taken.set(self.taken.get() + 1),
                SendOutcome::Retry(message) => {
                    self.queue.borrow_mut().push_front(message);
                    self.wait();
                }
                SendOutcome::Closed => self.queue.borrow_mut().clear(),
            }
        }
    }

    fn wait(&self) {
        let me = self.myself.clone();
        let registered = self.binding.register_send(&self.waitset, move |_| {
            if let Some(me) = me.upgrade() {
                me.waiting_for_slot.set(false);
                me.pump();
            }
            Ok(())
        });
        match registered {
            Ok(()) => self.waiting_for_slot.set(true),
            // Closed: nobody else registers on this binding.
            Err(_) => self.queue.borrow_mut().clear(),
        }
    }
}
