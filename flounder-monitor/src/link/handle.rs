//! The side of a link that drivers and other threads use.

use core::fmt;
use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use flounder_rt::account::{Account, Charge, Resource};
use flounder_rt::cap::Cap;
use flounder_rt::channel::{CapEvent, CapInbox, CapRefusal, Link};
use flounder_rt::closer::Origin;
use flounder_rt::notify::{Gone, Notifier};
use flounder_rt::{Iref, Peer};
use parking_lot::Mutex;

use crate::link::transfer::Transfer;
use crate::link::{EventSender, Frame, LinkEvent};
use crate::protocol::intermon;

/// Number of ends before the first sweep.
const MIN_SWEEP: usize = 64;

/// A link, as drivers and other threads see it.
pub(crate) struct LinkHandle {
    peer: Peer,
    account: Account,
    /// The process at the other end, as the origin of descriptors.
    origin: Origin,
    events: EventSender,
    transfer: Arc<Transfer>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ended: bool,
    ends: HashMap<u64, LocalEnd>,
    inboxes: HashMap<u64, Weak<CapInbox>>,
    /// Bind requests of the peer that are not answered; false if the client has given up.
    incoming_binds: HashMap<u64, bool>,
    drivers: HashMap<&'static str, Arc<dyn Any + Send + Sync>>,
    sweep_at: usize,
}

/// An end of a binding in this process.
struct LocalEnd {
    /// Wakes the binding. If no other copy exists, the binding is gone.
    notifier: Notifier,
    /// Set at a client's end.
    about: Option<ClientInfo>,
}

/// Description of a client's binding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientInfo {
    pub(crate) iref: Iref,
    pub(crate) driver: &'static str,
    pub(crate) since: SystemTime,
}

impl LinkHandle {
    pub(crate) fn new(peer: Peer, account: Account, events: EventSender) -> Arc<Self> {
        let state = State { sweep_at: MIN_SWEEP, ..State::default() };
        let hang_up = events.clone();
        let origin = Origin::new(account.clone(), move || {
            hang_up.post(LinkEvent::Ended("too many of its descriptors wait to be closed"));
        });
        let transfer = Arc::default();
        Arc::new(Self { peer, account, origin, events, transfer, state: Mutex::new(state) })
    }

    /// Returns the state of the message that the link gives to the kernel.
    pub(super) const fn transfer(&self) -> &Arc<Transfer> {
        &self.transfer
    }

    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Adds an end made over this link, so that it learns when the peer dies. `about` is set at a
    /// client's end.
    pub(crate) fn add_end(&self, connection: u64, notifier: Notifier, about: Option<ClientInfo>) {
        let mut state = self.state.lock();
        state.sweep();
        if state.ended {
            drop(state);
            notifier.peer_gone(Gone::Died);
        } else {
            state.ends.insert(connection, LocalEnd { notifier, about });
        }
    }

    /// Notifies our end of a connection that the other one is closed.
    pub(crate) fn peer_closed(&self, connection: u64) {
        let mut state = self.state.lock();
        if let Some(still_wanted) = state.incoming_binds.get_mut(&connection) {
            *still_wanted = false;
        }
        let end = state.ends.remove(&connection);
        drop(state);
        if let Some(end) = end {
            end.notifier.peer_gone(Gone::Closed);
        }
    }

    /// Returns the bindings of clients here with connection numbers after `after`: the first `max`
    /// in order.
    pub(crate) fn client_bindings(&self, after: Option<u64>, max: usize) -> Vec<(u64, ClientInfo)> {
        let state = self.state.lock();
        let held = state.ends.iter().filter_map(|(connection, end)| {
            let later = after.is_none_or(|after| *connection > after);
            let about = end.about.filter(|_| later && !end.notifier.is_last())?;
            Some((*connection, about))
        });
        let mut held: Vec<_> = held.collect();
        drop(state);
        held.sort_unstable_by_key(|(connection, _)| *connection);
        held.truncate(max);
        held
    }

    /// Returns true if the connection is in use, in any state.
    pub(crate) fn has_connection(&self, connection: u64) -> bool {
        let state = self.state.lock();
        state.incoming_binds.contains_key(&connection)
            || state.ends.get(&connection).is_some_and(|end| !end.notifier.is_last())
    }

    /// Puts an event into the inbox of an end, if that exists. Returns false if the peer has sent
    /// more than it may.
    ///
    /// Capabilities are charged to the peer until the end takes them. Those that exceed its limit are lost.
    pub(crate) fn deliver_caps(&self, connection: u64, event: CapEvent) -> bool {
        let inbox = self.state.lock().inboxes.get(&connection).and_then(Weak::upgrade);
        let Some(inbox) = inbox else { return true };
        let (event, charge) = match event {
            CapEvent::Arrived(sequence, caps) => {
                match self.account.charge(Resource::Descriptors, caps.len() as u64) {
                    Ok(charge) => (CapEvent::Arrived(sequence, caps), Some(charge)),
                    Err(_) => (CapEvent::Lost(sequence, CapRefusal::ReceiverLimit), None),
                }
            }
            lost @ CapEvent::Lost(..) => (lost, None),
        };
        inbox.offer(event, charge)
    }

    /// Ends the link: notifies every end made over it, once, that its peer is gone.
    pub(crate) fn end(&self) {
        let (ends, drivers) = {
            let mut state = self.state.lock();
            state.ended = true;
            state.inboxes.clear();
            (core::mem::take(&mut state.ends), core::mem::take(&mut state.drivers))
        };
        drop(drivers);
        for end in ends.into_values().filter(|end| !end.notifier.is_last()) {
            end.notifier.peer_gone(Gone::Died);
        }
    }

    /// Records a bind request that is being answered, and keeps its charges until then.
    pub(crate) fn begin_incoming_bind(
        self: &Arc<Self>,
        connection: u64,
        charges: impl Into<Vec<Charge>>,
    ) -> IncomingBind {
        self.state.lock().incoming_binds.insert(connection, true);
        IncomingBind { handle: Arc::clone(self), connection, _charges: charges.into() }
    }

    /// Returns true while the client waits for the answer.
    fn is_still_wanted(&self, connection: u64) -> bool {
        self.state.lock().incoming_binds.get(&connection).copied().unwrap_or(false)
    }

    /// Keeps a ping of the peer, with its charge, until it is answered.
    pub(crate) fn begin_ping(self: &Arc<Self>, number: u64, charge: Charge) -> IncomingPing {
        let health = intermon::Health::Missing;
        IncomingPing { handle: Arc::clone(self), number, health, _charge: charge }
    }

    /// Passes a frame to the monitor, which sends it.
    fn send(&self, frame: Frame) {
        self.events.post(LinkEvent::Send(frame));
    }
}

impl Link for LinkHandle {
    fn account(&self) -> &Account {
        &self.account
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn send_caps(&self, connection: u64, sequence: u64, caps: Vec<Cap>) -> Result<(), CapRefusal> {
        let inbox = {
            let state = self.state.lock();
            if state.ended {
                return Err(CapRefusal::LinkLost);
            }
            state.inboxes.get(&connection).cloned().unwrap_or_default()
        };
        self.send(Frame::Caps { connection, sequence, caps, inbox });
        Ok(())
    }

    fn finish_transfer(&self) {
        self.transfer.wait();
    }

    fn drivers_may_carry(&self) -> bool {
        true
    }

    fn expect_caps(&self, connection: u64, inbox: &Arc<CapInbox>) {
        let mut state = self.state.lock();
        if !state.ended {
            state.inboxes.insert(connection, Arc::downgrade(inbox));
        }
    }

    fn closed(&self, connection: u64) {
        self.send(Frame::Closed { connection });
    }

    fn state(
        &self,
        name: &'static str,
        make: &mut dyn FnMut() -> io::Result<Arc<dyn Any + Send + Sync>>,
    ) -> io::Result<Arc<dyn Any + Send + Sync>> {
        let mut state = self.state.lock();
        if let Some(kept) = state.drivers.get(name) {
            return Ok(Arc::clone(kept));
        }
        let made = make()?;
        if !state.ended {
            state.drivers.insert(name, Arc::clone(&made));
        }
        Ok(made)
    }
}

impl State {
    /// Removes entries of bindings that are gone, each time that the tables have doubled.
    fn sweep(&mut self) {
        if self.ends.len() >= self.sweep_at {
            self.ends.retain(|_, end| !end.notifier.is_last());
            self.sweep_at = (self.ends.len() * 2).max(MIN_SWEEP);
        }
        if self.inboxes.len() >= self.sweep_at * 2 {
            self.inboxes.retain(|_, inbox| inbox.strong_count() > 0);
        }
    }
}

/// A bind request of the peer, on the service's thread. If it is dropped, the answer is "no service".
pub(crate) struct IncomingBind {
    handle: Arc<LinkHandle>,
    connection: u64,
    _charges: Vec<Charge>,
}

impl IncomingBind {
    pub(crate) const fn handle(&self) -> &Arc<LinkHandle> {
        &self.handle
    }

    pub(crate) const fn connection(&self) -> u64 {
        self.connection
    }

    /// Returns a function that returns true while the client waits for the answer.
    pub(crate) fn still_wanted(&self) -> impl Fn() -> bool + 'static {
        let (handle, connection) = (Arc::clone(&self.handle), self.connection);
        move || handle.is_still_wanted(connection)
    }

    /// Sends the service's answer. `end` is the end that it has made.
    pub(crate) fn answer(self, reply: Frame, end: Option<Notifier>) {
        let still_wanted = self.finish();
        if let Some(end) = end {
            match still_wanted {
                true => self.handle.add_end(self.connection, end, None),
                false => end.peer_gone(Gone::Closed),
            }
        }
        if still_wanted {
            self.handle.send(reply);
        }
    }

    /// Removes the request from the table. Returns true if it was there and the client still waits.
    fn finish(&self) -> bool {
        self.handle.state.lock().incoming_binds.remove(&self.connection).unwrap_or(false)
    }
}

impl Drop for IncomingBind {
    fn drop(&mut self) {
        if self.finish() {
            self.handle.send(Frame::no_service(self.connection));
        }
    }
}

/// A ping of the peer on its way to the waitset of a service. Its drop answers it: without [`alive`](Self::alive), that the
/// service is missing.
pub(crate) struct IncomingPing {
    handle: Arc<LinkHandle>,
    number: u64,
    health: intermon::Health,
    _charge: Charge,
}

impl IncomingPing {
    /// Answers the ping, from the waitset of the service.
    pub(crate) fn alive(mut self) {
        self.health = intermon::Health::Alive;
    }
}

impl Drop for IncomingPing {
    fn drop(&mut self) {
        self.handle.send(Frame::Pong { number: self.number, health: self.health });
    }
}

impl fmt::Debug for LinkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("number", &self.events.number())
            .field("peer", &self.peer)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::io::Read;

    use flounder_rt::Waitset;
    use flounder_rt::notify::Wake;

    use super::*;

    #[derive(Default)]
    struct Counters {
        died: AtomicUsize,
        closed: AtomicUsize,
    }

    impl Counters {
        /// Returns the number of ends that were notified of a death, and of a close.
        fn counts(&self) -> (usize, usize) {
            (self.died.load(Ordering::Relaxed), self.closed.load(Ordering::Relaxed))
        }
    }

    impl Wake for Counters {
        fn wake(&self, _token: u64) {}

        fn peer_gone(&self, _token: u64, gone: Gone) {
            let counter = match gone {
                Gone::Died => &self.died,
                Gone::Closed => &self.closed,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn handle() -> Arc<LinkHandle> {
        let events = EventSender::new(1, Waitset::new().remote(), |_, _| {});
        LinkHandle::new(Peer::this_process(), Account::unlimited(), events)
    }

    fn end(counters: &Arc<Counters>) -> Notifier {
        let end = Notifier::new();
        end.retarget(Arc::clone(counters) as Arc<dyn Wake>, 0);
        end
    }

    #[test]
    fn each_end_is_notified_once_of_death_or_close() {
        let (handle, counters) = (handle(), Arc::new(Counters::default()));
        let ends: Vec<_> = (0..10).map(|_| end(&counters)).collect();
        for (i, end) in ends.iter().enumerate() {
            handle.add_end(i as u64, end.clone(), None);
        }
        for _ in 0..2 {
            handle.peer_closed(3);
            assert_eq!(counters.counts(), (0, 1));
        }
        handle.end();
        handle.end();
        assert_eq!(counters.counts(), (9, 1));
        handle.add_end(10, end(&counters), None);
        assert_eq!(counters.counts(), (10, 1), "a late end is notified at once");
    }

    #[test]
    fn ends_that_are_gone_are_swept() {
        let (handle, notifier) = (handle(), Notifier::new());
        handle.add_end(u64::MAX, notifier.clone(), None);
        for connection in 0..100_000 {
            let inbox = Arc::new(CapInbox::new(Notifier::new()));
            handle.expect_caps(connection, &inbox);
            handle.add_end(connection, Notifier::new(), None);
        }
        let state = handle.state.lock();
        assert!(state.ends.len() <= MIN_SWEEP + 1, "{} ends are left", state.ends.len());
        assert!(
            state.inboxes.len() <= MIN_SWEEP * 2 + 1,
            "{} inboxes are left",
            state.inboxes.len()
        );
        assert!(state.ends.contains_key(&u64::MAX), "the one that lives is left");
        drop(notifier);
    }

    #[test]
    fn inbox_holds_two_capability_messages() {
        let (handle, inbox) = (handle(), Arc::new(CapInbox::new(Notifier::new())));
        handle.expect_caps(4, &inbox);
        assert!(handle.deliver_caps(4, CapEvent::Arrived(1, Vec::new())));
        assert!(handle.deliver_caps(4, CapEvent::Arrived(2, Vec::new())));
        assert!(
            !handle.deliver_caps(4, CapEvent::Arrived(3, Vec::new())),
            "the first event is still in the inbox"
        );
        assert!(matches!(inbox.take(), Some(CapEvent::Arrived(1, _))));
        assert!(handle.deliver_caps(4, CapEvent::Arrived(3, Vec::new())));
        assert!(matches!(inbox.take(), Some(CapEvent::Arrived(2, _))));
        assert!(matches!(inbox.take(), Some(CapEvent::Arrived(3, _))));
        assert!(inbox.is_empty());
        drop(inbox);
        let (mut reader, writer) = std::io::pipe().expect("there are descriptors to spare");
        assert!(
            handle.deliver_caps(4, CapEvent::Arrived(3, vec![Cap::from(writer)])),
            "the end is gone"
        );
        assert_eq!(reader.read(&mut [0]).expect("a pipe"), 0, "the capability is closed");
    }

    #[test]
    fn client_bindings_are_listed_in_order() {
        let handle = handle();
        let about = |bits| {
            let iref = Iref::from_bits(bits).expect("not zero");
            Some(ClientInfo { iref, driver: "lmp", since: SystemTime::UNIX_EPOCH })
        };
        let ends: Vec<_> = (0..6).map(|_| Notifier::new()).collect();
        for (i, end) in ends.iter().enumerate().rev() {
            let i = i as u64;
            handle.add_end(i, end.clone(), if i == 3 { None } else { about(i + 1) });
        }
        let held = |after, max| -> Vec<u64> {
            handle
                .client_bindings(after, max)
                .into_iter()
                .map(|(connection, _)| connection)
                .collect()
        };
        assert_eq!(held(None, 3), [0, 1, 2]);
        assert_eq!(held(Some(2), 3), [4, 5], "3 is the service's end");
        drop(ends);
        assert_eq!(held(None, 3), [0; 0], "the bindings are gone");
    }

    #[test]
    fn cancelled_request_closes_the_service_end() {
        let (handle, counters) = (handle(), Arc::new(Counters::default()));
        let bind = handle.begin_incoming_bind(4, []);
        handle.peer_closed(4);
        bind.answer(Frame::no_service(4), Some(end(&counters)));
        assert_eq!(counters.counts(), (0, 1), "the service's end is ended");
        assert!(!handle.has_connection(4));
    }
}
