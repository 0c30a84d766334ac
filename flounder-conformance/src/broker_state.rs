//! State that a broker keeps for the drivers at one end of a link.

use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use flounder_rt::account::Account;
use flounder_rt::channel::CapInbox;

/// Inboxes of the connections, and the state that drivers keep for the link.
#[derive(Debug, Default)]
pub(crate) struct BrokerState {
    account: Account,
    inboxes: Mutex<HashMap<u64, Weak<CapInbox>>>,
    states: Mutex<HashMap<&'static str, Arc<dyn Any + Send + Sync>>>,
    /// Locked from before capabilities are sent until the end here is notified.
    transfer: Mutex<()>,
}

impl BrokerState {
    /// See [`Link::account`](flounder_rt::channel::Link::account).
    pub(crate) const fn account(&self) -> &Account {
        &self.account
    }

    /// Returns the inbox of `connection`, if the connection is still there.
    pub(crate) fn inbox(&self, connection: u64) -> Option<Arc<CapInbox>> {
        self.inboxes.lock().get(&connection).and_then(Weak::upgrade)
    }

    /// See [`Link::expect_caps`](flounder_rt::channel::Link::expect_caps).
    pub(crate) fn expect_caps(&self, connection: u64, inbox: &Arc<CapInbox>) {
        self.inboxes.lock().insert(connection, Arc::downgrade(inbox));
    }

    /// Runs `transfer`, which sends capabilities and notifies the end here.
    pub(crate) fn transfer<T>(&self, transfer: impl FnOnce() -> T) -> T {
        let _transfer = self.transfer.lock();
        transfer()
    }

    /// See [`Link::finish_transfer`](flounder_rt::channel::Link::finish_transfer).
    pub(crate) fn finish_transfer(&self) {
        drop(self.transfer.lock());
    }

    /// See [`Link::state`](flounder_rt::channel::Link::state).
    pub(crate) fn state(
        &self,
        name: &'static str,
        make: &mut dyn FnMut() -> io::Result<Arc<dyn Any + Send + Sync>>,
    ) -> io::Result<Arc<dyn Any + Send + Sync>> {
        let mut states = self.states.lock();
        match states.get(name) {
            Some(state) => Ok(Arc::clone(state)),
            None => Ok(Arc::clone(states.entry(name).or_insert(make()?))),
        }
    }
}
