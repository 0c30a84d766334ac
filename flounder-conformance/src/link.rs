//! A link whose two ends are in one process.

use std::any::Any;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use flounder_rt::account::Account;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{
    CapEvent, CapInbox, CapRefusal, Channel, ChannelError, Connector, Control, End, Incoming, Link,
    Outgoing, Pair, Progress, Readiness, Recv, RecvNow,
};
use flounder_rt::closer::Origin;
use flounder_rt::notify::Notifier;
use flounder_rt::waitset::Watcher;

use crate::broker_state::BrokerState;

/// A connection, the number of a message on it, and the capabilities of that message.
type Unsent = (u64, u64, Vec<Cap>);

/// Delay of a thread that sends capabilities.
const MOMENT: Duration = Duration::from_millis(1);

/// A link from a process to itself, as two ends, to connect channels half by half.
///
/// Capabilities sent at one end arrive at the other at once, unless they are [held](Self::hold) or
/// sent [by a thread](Self::send_by_thread). A refusal can be planned.
#[derive(Default)]
pub struct TestLink {
    peer: Mutex<Weak<TestLink>>,
    /// Queue of the thread that sends capabilities, if there is one.
    thread: Mutex<Option<Sender<Unsent>>>,
    broker: BrokerState,
    refusal: Mutex<Option<CapRefusal>>,
    /// Capabilities at the broker of this end, while it is stalled.
    stalled: Mutex<Option<Vec<Unsent>>>,
    /// Connections that drivers have reported as closed.
    closed: Mutex<Vec<u64>>,
    /// Events sent at this end and held back, while any are.
    held: Mutex<Option<Vec<(u64, CapEvent)>>>,
}

impl TestLink {
    /// Returns both ends.
    #[must_use]
    pub fn pair() -> (Arc<Self>, Arc<Self>) {
        let (a, b) = (Arc::new(Self::default()), Arc::new(Self::default()));
        *a.peer.lock() = Arc::downgrade(&b);
        *b.peer.lock() = Arc::downgrade(&a);
        (a, b)
    }

    /// Has a thread send the capabilities of this end from now on, as monitors do: a moment after
    /// they were handed over, if the end still exists.
    pub fn send_by_thread(self: &Arc<Self>) {
        let (thread, unsent) = channel::<Unsent>();
        *self.thread.lock() = Some(thread);
        let link = Arc::downgrade(self);
        thread::spawn(move || {
            for (connection, sequence, caps) in unsent {
                thread::sleep(MOMENT);
                let Some(link) = link.upgrade() else { return };
                // An error means that the other end is gone.
                let _ = link.send(connection, sequence, caps);
            }
        });
    }

    /// Loses the capabilities that are sent next at this end, for this reason.
    pub fn refuse_next(&self, refusal: CapRefusal) {
        *self.refusal.lock() = Some(refusal);
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
        let peer = self.peer.lock().upgrade().ok_or(CapRefusal::LinkLost)?;
        let event = match self.refusal.lock().take() {
            None => CapEvent::Arrived(sequence, caps),
            Some(refusal) => CapEvent::Lost(sequence, refusal),
        };
        self.broker.transfer(|| {
            match &mut *self.held.lock() {
                Some(held) => held.push((connection, event)),
                None => peer.deliver(connection, event),
            }
            if let Some(inbox) = self.broker.inbox(connection) {
                inbox.note_sent(sequence);
            }
        });
        Ok(())
    }

    /// Returns the connections that drivers have reported as closed since the last call. The other
    /// end is not notified.
    #[must_use]
    pub fn take_closed(&self) -> Vec<u64> {
        core::mem::take(&mut self.closed.lock())
    }

    /// Holds back the capabilities that are sent at this end from now on.
    pub fn hold(&self) {
        self.held.lock().get_or_insert_default();
    }

    /// Delivers the capabilities that were held back.
    ///
    /// # Panics
    /// If there are more than a driver may send.
    pub fn release(&self) {
        let held = self.held.lock().take().unwrap_or_default();
        if let Some(peer) = self.peer.lock().upgrade() {
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
        let (here, there) = Self::pair();
        here.send_by_thread();
        there.send_by_thread();
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
        if let Some(inbox) = self.broker.inbox(connection) {
            assert!(inbox.offer(event, None), "capabilities were handed over too far ahead");
        }
    }
}

impl Link for TestLink {
    fn account(&self) -> &Account {
        self.broker.account()
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
        self.broker.finish_transfer();
    }

    fn expect_caps(&self, connection: u64, inbox: &Arc<CapInbox>) {
        self.broker.expect_caps(connection, inbox);
    }

    fn closed(&self, connection: u64) {
        self.closed.lock().push(connection);
    }

    fn state(
        &self,
        name: &'static str,
        make: &mut dyn FnMut() -> io::Result<Arc<dyn Any + Send + Sync>>,
    ) -> io::Result<Arc<dyn Any + Send + Sync>> {
        self.broker.state(name, make)
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

    fn readiness(&self) -> Readiness<'_> {
        self.channel.readiness()
    }

    fn notifier(&self) -> Option<Notifier> {
        self.channel.notifier()
    }

    fn attached(&mut self, waitset: &dyn Watcher) -> io::Result<()> {
        self.channel.attached(waitset)
    }

    fn control(&mut self, control: Control) -> Result<(), ChannelError> {
        self.channel.control(control)
    }

    fn close(&mut self) {
        self.channel.close();
    }
}
