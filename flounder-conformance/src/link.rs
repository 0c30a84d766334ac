//! Links for tests, which do what two brokers do for drivers.

use core::sync::atomic::{AtomicBool, Ordering};
use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use flounder_rt::account::Account;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    CapEvent, CapInbox, CapRefusal, Channel, ChannelError, Connector, End, Incoming, Link,
    Outgoing, Pair, PairId, Progress, Readiness, Recv, RecvNow,
};
use flounder_rt::closer::Origin;
use flounder_rt::notify::Notifier;
use flounder_rt::waitset::Watcher;

/// A connection, the number of a message on it, and the capabilities of that message.
type Unsent = (u64, u64, Vec<Cap>);

/// Delay of a thread that sends capabilities within a process.
const MOMENT: Duration = Duration::from_millis(1);

/// One end of a link, with the state that a broker keeps for drivers. `C` carries capabilities to the other end: see
/// [`TestLink`] and [`SocketLink`](crate::SocketLink).
pub struct BrokerLink<C> {
    pub(crate) carrier: C,
    account: Account,
    inboxes: Mutex<HashMap<u64, Weak<CapInbox>>>,
    /// State of the drivers.
    states: Mutex<HashMap<&'static str, Arc<dyn Any + Send + Sync>>>,
    /// Locked from before capabilities are sent until the end here is notified.
    transfer: Mutex<()>,
    /// Queue of the thread that sends capabilities, if there is one.
    thread: Mutex<Option<Sender<Unsent>>>,
    /// Capabilities that were handed over, while the broker of this end is stalled.
    stalled: Mutex<Option<Vec<Unsent>>>,
    /// Connections that drivers have reported as closed.
    closed: Mutex<Vec<u64>>,
    /// True if drivers may carry capabilities themselves.
    drivers_may_carry: AtomicBool,
}

/// Carries capabilities to the other end of a link.
pub trait Carrier: Send + Sync + 'static {
    /// Sends the capabilities of message `sequence` of `connection`.
    ///
    /// # Errors
    /// If the other end is gone, or refuses them.
    fn carry(&self, connection: u64, sequence: u64, caps: Vec<Cap>) -> Result<(), CapRefusal>;
}

impl<C: Carrier> BrokerLink<C> {
    pub(crate) fn over(carrier: C) -> Self {
        Self {
            carrier,
            account: Account::default(),
            inboxes: Mutex::default(),
            states: Mutex::default(),
            transfer: Mutex::default(),
            thread: Mutex::default(),
            stalled: Mutex::default(),
            closed: Mutex::default(),
            drivers_may_carry: AtomicBool::new(false),
        }
    }

    /// Lets drivers carry capabilities to the other end themselves, without this link. To be called before the first
    /// channel is made.
    pub fn let_drivers_carry(&self) {
        self.drivers_may_carry.store(true, Ordering::Relaxed);
    }

    /// Makes a thread send the capabilities of this end from now on, as monitors do: `delay` after they were handed over, if
    /// the end still exists.
    pub(crate) fn send_by_thread(self: &Arc<Self>, delay: Duration) {
        let (thread, unsent) = channel::<Unsent>();
        *self.thread.lock() = Some(thread);
        let link = Arc::downgrade(self);
        thread::spawn(move || {
            for (connection, sequence, caps) in unsent {
                thread::sleep(delay);
                let Some(link) = link.upgrade() else { return };
                // An error means that the other end is gone.
                let _ = link.send(connection, sequence, caps);
            }
        });
    }

    /// Keeps capabilities that are handed over at this end with its broker from now on.
    pub fn stall(&self) {
        self.stalled.lock().get_or_insert_default();
    }

    /// Sends the capabilities that were kept.
    ///
    /// # Panics
    /// If the other end is gone.
    pub fn resume(&self) {
        for (connection, sequence, caps) in self.stalled.lock().take().unwrap_or_default() {
            self.send(connection, sequence, caps).expect("the other end is there");
        }
    }

    fn send(&self, connection: u64, sequence: u64, caps: Vec<Cap>) -> Result<(), CapRefusal> {
        let _transfer = self.transfer.lock();
        self.carrier.carry(connection, sequence, caps)?;
        if let Some(inbox) = self.inbox(connection) {
            inbox.note_sent(sequence);
        }
        Ok(())
    }

    /// Returns the connections that drivers have reported as closed since the last call. The other
    /// end is not notified.
    #[must_use]
    pub fn take_closed(&self) -> Vec<u64> {
        core::mem::take(&mut self.closed.lock())
    }

    /// Returns the inbox of `connection`, if the connection is still there.
    pub(crate) fn inbox(&self, connection: u64) -> Option<Arc<CapInbox>> {
        self.inboxes.lock().get(&connection).and_then(Weak::upgrade)
    }
}

impl<C: Carrier> Link for BrokerLink<C> {
    fn account(&self) -> &Account {
        &self.account
    }

    fn origin(&self) -> &Origin {
        &Origin::LOCAL
    }

    fn send_caps(&self, connection: u64, sequence: u64, caps: Vec<Cap>) -> Result<(), CapRefusal> {
        if let Some(stalled) = &mut *self.stalled.lock() {
            stalled.push((connection, sequence, caps));
            return Ok(());
        }
        if let Some(thread) = &*self.thread.lock() {
            let unsent = (connection, sequence, caps);
            return thread.send(unsent).map_err(|_| CapRefusal::LinkLost);
        }
        self.send(connection, sequence, caps)
    }

    fn finish_transfer(&self) {
        drop(self.transfer.lock());
    }

    fn drivers_may_carry(&self) -> bool {
        self.drivers_may_carry.load(Ordering::Relaxed)
    }

    fn expect_caps(&self, connection: u64, inbox: &Arc<CapInbox>) {
        self.inboxes.lock().insert(connection, Arc::downgrade(inbox));
    }

    fn closed(&self, connection: u64) {
        self.closed.lock().push(connection);
    }

    fn state(
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

/// A link from a process to itself, with two ends, to connect channels half by half.
///
/// Capabilities sent at one end arrive at the other at once, unless they are [held](Self::hold). Refusals can be planned.
pub type TestLink = BrokerLink<Passage>;

/// Carries capabilities between two ends in one process.
#[derive(Default)]
pub struct Passage {
    peer: Mutex<Weak<TestLink>>,
    refusal: Mutex<Option<PlannedRefusal>>,
    /// Events sent at this end and held back, while any are.
    held: Mutex<Option<Vec<(u64, CapEvent)>>>,
}

/// Refusal of capabilities that a test has planned.
enum PlannedRefusal {
    Next(CapRefusal),
    All(CapRefusal),
}

impl Carrier for Passage {
    fn carry(&self, connection: u64, sequence: u64, caps: Vec<Cap>) -> Result<(), CapRefusal> {
        let peer = self.peer.lock().upgrade().ok_or(CapRefusal::LinkLost)?;
        let mut planned = self.refusal.lock();
        let (event, result) = match *planned {
            None => (CapEvent::Arrived(sequence, caps), Ok(())),
            Some(PlannedRefusal::Next(refusal)) => {
                *planned = None;
                (CapEvent::Lost(sequence, refusal), Ok(()))
            }
            Some(PlannedRefusal::All(refusal)) => (CapEvent::Lost(sequence, refusal), Err(refusal)),
        };
        match &mut *self.held.lock() {
            Some(held) => held.push((connection, event)),
            None => peer.deliver(connection, event),
        }
        result
    }
}

impl TestLink {
    /// Returns both ends.
    #[must_use]
    pub fn pair() -> (Arc<Self>, Arc<Self>) {
        let [a, b] = [(), ()].map(|()| Arc::new(Self::over(Passage::default())));
        *a.carrier.peer.lock() = Arc::downgrade(&b);
        *b.carrier.peer.lock() = Arc::downgrade(&a);
        (a, b)
    }

    /// Loses the capabilities that are sent next at this end, and reports the reason to the other end.
    pub fn refuse_next(&self, refusal: CapRefusal) {
        *self.carrier.refusal.lock() = Some(PlannedRefusal::Next(refusal));
    }

    /// Loses all capabilities that are sent at this end from now on, and reports the reason to both ends.
    pub fn refuse_all(&self, refusal: CapRefusal) {
        *self.carrier.refusal.lock() = Some(PlannedRefusal::All(refusal));
    }

    /// Holds back the capabilities that are sent at this end from now on.
    pub fn hold(&self) {
        self.carrier.held.lock().get_or_insert_default();
    }

    /// Delivers the capabilities that were held back.
    ///
    /// # Panics
    /// If there are more than a driver may send.
    pub fn release(&self) {
        let held = self.carrier.held.lock().take().unwrap_or_default();
        if let Some(peer) = self.carrier.peer.lock().upgrade() {
            held.into_iter().for_each(|(connection, event)| peer.deliver(connection, event));
        }
    }

    /// Connects two ends over a new link, half by half, as two processes do. Threads send the
    /// capabilities.
    ///
    /// # Panics
    /// If the driver refuses.
    #[must_use]
    pub fn connect(driver: &dyn Connector, client: &End, service: &End) -> Pair {
        Self::connect_holding(driver, client, service, Self::pair())
    }

    /// Connects two ends like [`connect`](Self::connect), over a link whose drivers
    /// [may carry](Self::let_drivers_carry) capabilities.
    ///
    /// # Panics
    /// If the driver refuses.
    #[must_use]
    pub fn connect_carrying(driver: &dyn Connector, client: &End, service: &End) -> Pair {
        let (here, there) = Self::pair();
        here.let_drivers_carry();
        there.let_drivers_carry();
        Self::connect_holding(driver, client, service, (here, there))
    }

    fn connect_holding(
        driver: &dyn Connector,
        client: &End,
        service: &End,
        (here, there): (Arc<Self>, Arc<Self>),
    ) -> Pair {
        for end in [&here, &there] {
            end.send_by_thread(MOMENT);
        }
        let (client, service) = Self::connect_over(driver, client, service, &here, &there);
        (
            Box::new(HeldLink { channel: client, _link: here }),
            Box::new(HeldLink { channel: service, _link: there }),
        )
    }

    /// Connects two ends over this link.
    ///
    /// # Panics
    /// If the driver refuses.
    #[must_use]
    pub fn connect_over(
        driver: &dyn Connector,
        client: &End,
        service: &End,
        here: &Arc<Self>,
        there: &Arc<Self>,
    ) -> (Box<dyn Channel + Send>, Box<dyn Channel + Send>) {
        let [here, there] = [here, there].map(|link| Arc::clone(link) as Arc<dyn Link>);
        let (offer, offered) = driver.offer(client, &here).expect("the driver offers");
        let (service, answer) = driver.accept(service, &there, offer).expect("the offer is sound");
        let client = offered.complete(answer).expect("the answer is sound");
        (client, service)
    }

    fn deliver(&self, connection: u64, event: CapEvent) {
        if let Some(inbox) = self.inbox(connection) {
            assert!(inbox.offer(event, None), "capabilities were handed over too far ahead");
        }
    }
}

/// A channel that keeps its end of a link alive, as a broker does.
struct HeldLink {
    channel: Box<dyn Channel + Send>,
    _link: Arc<TestLink>,
}

impl Channel for HeldLink {
    fn driver(&self) -> &'static str {
        self.channel.driver()
    }

    fn send(&mut self, message: &mut Outgoing<'_>, from: usize) -> Result<Progress, ChannelError> {
        self.channel.send(message, from)
    }

    fn recv(&mut self, incoming: &mut Incoming) -> Result<Recv, ChannelError> {
        self.channel.recv(incoming)
    }

    fn send_now(&mut self, number: u16, words: &[u64]) -> bool {
        self.channel.send_now(number, words)
    }

    fn recv_now(&mut self, incoming: &mut Incoming) -> RecvNow {
        self.channel.recv_now(incoming)
    }

    fn recv_row(&mut self, incoming: &mut Incoming) -> bool {
        self.channel.recv_row(incoming)
    }

    fn ready(&mut self) -> bool {
        self.channel.ready()
    }

    fn arm(&mut self) {
        self.channel.arm();
    }

    fn disarm(&mut self) {
        self.channel.disarm();
    }

    fn can_resume(&mut self) -> bool {
        self.channel.can_resume()
    }

    fn is_over(&mut self) -> bool {
        self.channel.is_over()
    }

    fn sleep_limit(&mut self) -> Option<Duration> {
        self.channel.sleep_limit()
    }

    fn readiness(&self) -> Readiness<'_> {
        self.channel.readiness()
    }

    fn notifier(&self) -> Option<Notifier> {
        self.channel.notifier()
    }

    fn pair(&self) -> Option<PairId> {
        self.channel.pair()
    }

    fn attached(&mut self, waitset: &dyn Watcher) -> io::Result<()> {
        self.channel.attached(waitset)
    }

    fn close(&mut self) {
        self.channel.close();
    }
}
