//! Bindings whose two ends are in one thread: an end that blocks for a reply serves the other end.

use core::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use crate::binding::shell::Shell;
use crate::channel::PairId;

thread_local! {
    /// Ends of this thread whose other end has not been attached in this thread.
    static ALONE: RefCell<HashMap<PairId, Weak<Shell>>> = RefCell::default();
}

/// Notes that a binding was attached to one end of `pair`.
pub(super) fn attached(pair: PairId, shell: &Rc<Shell>) {
    // A thread that is ending makes no calls.
    let _ = ALONE.try_with(|alone| {
        let mut alone = alone.borrow_mut();
        let other = alone.remove(&pair);
        if let Some(other) = other.as_ref().and_then(Weak::upgrade) {
            return self::pair(shell, &other);
        }
        if alone.len() == alone.capacity() {
            alone.retain(|_, shell| shell.strong_count() > 0);
        }
        alone.insert(pair, Rc::downgrade(shell));
    });
}

/// Notes that the two are the ends of one channel.
pub(super) fn pair(one: &Rc<Shell>, other: &Rc<Shell>) {
    *one.own.local_peer.borrow_mut() = Rc::downgrade(other);
    *other.own.local_peer.borrow_mut() = Rc::downgrade(one);
}
