//! A queue of messages that wait for the one outgoing slot of a binding.

use core::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use flounder_rt::Waitset;
use flounder_rt::binding::AsRaw;

/// A message that an [`Outbox`] can queue.
pub(crate) trait OutboxMessage: Sized + 'static {
    /// Binding over which the message is sent.
    type Binding: AsRaw + 'static;

    /// Maximum number of queued messages, which bounds the cost of a peer that sends requests and reads nothing.
    const MAX_QUEUED: usize;

    /// Tries to send the message.
    fn send(self, binding: &Self::Binding) -> SendOutcome<Self>;
}

/// Result of an attempt to send.
pub(crate) enum SendOutcome<M> {
    /// The binding has accepted the message.
    Sent,
    /// The slot is taken: send this message when it is free.
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
    /// True if the binding will call back when the slot is free.
    waiting_for_slot: Cell<bool>,
}

/// The messages that were queued in an outbox at one moment.
pub(crate) struct Unsent(Box<dyn Fn() -> bool>);

impl Unsent {
    /// Returns true if the kernel has all the messages, or the binding has ended.
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

    /// Returns the number of queued messages.
    pub(crate) fn queued(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Returns the messages that the kernel does not have yet, or `None` if it has all.
    pub(crate) fn unsent(&self) -> Option<Unsent> {
        let (me, last) = (self.myself.clone(), self.taken.get() + self.queue.borrow().len() as u64);
        let is_sent = move || {
            let Some(me) = me.upgrade() else { return true };
            let is_last = me.taken.get() == last;
            me.taken.get() > last
                || is_last && me.binding.as_raw().can_send()
                || me.binding.as_raw().ended().is_some()
        };
        if is_sent() { None } else { Some(Unsent(Box::new(is_sent))) }
    }

    /// Queues and sends `message`. Returns false if too many messages are queued.
    #[must_use]
    pub(crate) fn push(&self, message: M) -> bool {
        let room = self.queue.borrow().len() < M::MAX_QUEUED;
        if room {
            self.queue.borrow_mut().push_back(message);
            self.pump();
        }
        room
    }

    /// Sends `message` ahead of the queue, in place of one that was accepted and then lost.
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
        let registered = self.binding.as_raw().register_send(&self.waitset, move |_| {
            if let Some(me) = me.upgrade() {
                me.waiting_for_slot.set(false);
                me.pump();
            }
            Ok(())
        });
        match registered {
            Ok(()) => self.waiting_for_slot.set(true),
            // The binding is closed: nothing else registers on it.
            Err(_) => self.queue.borrow_mut().clear(),
        }
    }
}
