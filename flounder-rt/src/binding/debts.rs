//! The replies that one end owes, found by the ids that their callers gave them.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use crate::binding::{Core, MAX_OWED_REPLIES};

/// The replies that one end owes.
#[derive(Default)]
pub(super) struct Debts {
    count: Cell<usize>,
    /// No more than were ever owed at a time.
    slots: RefCell<Slots>,
}

#[derive(Default)]
struct Slots {
    debts: Vec<Debt>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Debt {
    id: u32,
    state: State,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Paid,
    Owed,
    /// The caller waits no more.
    Cancelled,
}

impl Debts {
    pub(super) fn count(&self) -> usize {
        self.count.get()
    }

    /// The caller of `id` waits no more. Ids are the peer's: two calls may have the same, and there may be none.
    pub(super) fn cancel(&self, id: u32) -> Vec<Waker> {
        let mut woken = Vec::new();
        for debt in &mut self.slots.borrow_mut().debts {
            if debt.id == id && debt.state == State::Owed {
                debt.state = State::Cancelled;
                woken.extend(debt.waker.take());
            }
        }
        woken
    }

    /// Puts the wakers of all into `woken`: the binding has ended.
    pub(super) fn wake_all(&self, woken: &mut Vec<Waker>) {
        woken.extend(self.slots.borrow_mut().debts.iter_mut().filter_map(|debt| debt.waker.take()));
    }

    /// The id of the call whose reply is noted at `at`.
    #[inline]
    pub(super) fn id(&self, at: u32) -> u32 {
        self.slots.borrow().debts[at as usize].id
    }

    #[inline]
    pub(super) fn is_cancelled(&self, at: u32) -> bool {
        self.slots.borrow().debts[at as usize].state == State::Cancelled
    }

    /// Has `waker` woken when the reply at `at` is cancelled.
    pub(super) fn watch(&self, at: u32, waker: &Waker) {
        // To copy or to drop a waker is user code: nothing is borrowed.
        let waker = waker.clone();
        let old = self.slots.borrow_mut().debts[at as usize].waker.replace(waker);
        drop(old);
    }
}

impl Core {
    /// Owes a reply to call `id`; gives where it is noted.
    pub(super) fn owe(&self, id: u32) -> u32 {
        self.owe_work();
        let slots = &mut *self.debts.slots.borrow_mut();
        let debt = Debt { id, state: State::Owed, waker: None };
        match slots.free.pop() {
            Some(at) => {
                slots.debts[at as usize] = debt;
                at
            }
            None => {
                slots.debts.push(debt);
                u32::try_from(slots.debts.len() - 1).expect("far fewer are received at a time")
            }
        }
    }

    /// Owes nothing any more for what is noted at `at`; says whether it was cancelled.
    #[inline]
    pub(super) fn settle_debt(&self, at: u32) -> bool {
        self.work_done();
        let mut slots = self.debts.slots.borrow_mut();
        let debt = core::mem::take(&mut slots.debts[at as usize]);
        slots.free.push(at);
        drop(slots);
        debt.state == State::Cancelled
    }

    /// Has work to do for a message that it has received.
    #[inline]
    pub(super) fn owe_work(&self) {
        let count = self.debts.count.get() + 1;
        self.debts.count.set(count);
        if count >= MAX_OWED_REPLIES {
            self.calm.set(false);
        }
    }

    #[inline]
    pub(super) fn work_done(&self) {
        let count = self.debts.count.get();
        self.debts.count.set(count - 1);
        if !self.calm.get() && count + self.io.borrow().backlog.answers() >= MAX_OWED_REPLIES {
            // The binding had stopped receiving.
            self.poke();
        }
    }
}
