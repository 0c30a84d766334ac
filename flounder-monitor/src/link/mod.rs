//! The link between two domains: bind requests, capabilities for drivers that carry none, and the
//! report that the peer has died.
//!
//! There is one link for each pair of domains, made when the root introduces them. It keeps nothing
//! per binding but a number and a notifier. The domain that asked for the link uses even connection
//! numbers, the other one odd ones. *The link is the peer*: when it ends, because the process died
//! or broke the protocol, every binding made over it reports that the peer is gone.
//!
//! | module | contents |
//! |---|---|
//! | here | the monitor's side: sending and receiving |
//! | `event` | events that the link reports to the monitor |
//! | `handle` | the side that drivers and other threads use |
//! | `assembly` | messages with the capabilities that follow them |
//! | `frame` | frames, and their form on the wire |
//! | `transfer` | the channel, which records that the kernel has a message |

use core::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use flounder_drivers::{lmp, registry};
use flounder_rt::account::{Charge, Resource, watch_descriptors};
use flounder_rt::bind::BindRefusal;
use flounder_rt::binding::AsRaw as _;
use flounder_rt::cap::Cap;
use flounder_rt::channel::{CapEvent, CapRefusal, ConnectError, End, Link, Offer};
use flounder_rt::export::{Client, ServiceEntry, exempt};
use flounder_rt::notify::{Gone, Wake as _};
use flounder_rt::{BindingError, Errno, Iref, Peer, Waitset, log_limited, peer};

use crate::error::MonitorError;
use crate::exit_watch::ExitWatch;
use crate::oneshot;
use crate::outbox::{Outbox, Unsent};
use crate::process::account_of;
use crate::protocol::intermon;
use crate::services;

mod assembly;
mod event;
mod frame;
mod handle;
mod transfer;

use assembly::{Assembly, Complete};
pub(crate) use event::{EventSender, LinkEvent};
pub(crate) use frame::{Frame, MAX_DRIVER_NAME, MAX_TERMS, Request};
use frame::{OutgoingItem, refusal_of};
use handle::IncomingBind;
pub(crate) use handle::{ClientInfo, LinkHandle};
use transfer::NotingChannel;

/// Error of a driver that did not get the capabilities of its offer: a process has no descriptor to spare.
const MFILE: Errno = Errno::from_raw_os_error(libc::EMFILE);

/// Answer of the service's side to a bind request.
pub(crate) type Answer = Result<Bound, BindRefusal>;

/// The service's half of a binding.
pub(crate) struct Bound {
    /// Features that both ends know, as the service says.
    pub(crate) features: u64,
    /// The driver's answer.
    pub(crate) offer: Offer,
}

/// One end of a link.
pub(crate) struct PeerLink {
    domain: u64,
    handle: Arc<LinkHandle>,
    outbox: Rc<Outbox<OutgoingItem>>,
    events: EventSender,
    /// True if this domain asked for the link.
    caller: bool,
    /// Number of connections that this domain has begun.
    connections_begun: Cell<u64>,
    /// Clients of this domain that wait for an answer, by connection.
    pending_requests: RefCell<HashMap<u64, oneshot::Sender<Answer>>>,
    /// Pings of this domain that wait for an answer, by number.
    pings: RefCell<HashMap<u64, oneshot::Sender<intermon::Health>>>,
    assembly: RefCell<Assembly<FrameHead>>,
    /// `None` once the link has ended.
    death: Cell<Option<ExitWatch>>,
    ended: Cell<bool>,
    /// Number of messages that may still be received; `None` while the process lives.
    messages_left: Cell<Option<u32>>,
    /// Charge for the socket and the pidfd.
    _charge: Charge,
}

/// Most messages received from the socket of a dead process: more than the kernel can hold for it.
/// A process with a copy of the socket could send for ever.
const MAX_MESSAGES_AFTER_DEATH: u32 = 1024;

/// Descriptors of a link: the socket, and a pidfd.
const DESCRIPTORS: u64 = 2;

/// A frame whose capabilities have not all arrived.
#[derive(Debug)]
enum FrameHead {
    Request { connection: u64, request: Request },
    Bound { connection: u64, features: u64, words: Vec<u64> },
    Caps { connection: u64, sequence: u64 },
}

/// A new link, as the root introduces it.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub(crate) domain: u64,
    pub(crate) peer: Peer,
    pub(crate) caller: bool,
    pub(crate) socket: Cap,
    pub(crate) process: Cap,
}

impl PeerLink {
    /// Starts a link. Its events go to `deliver`, on the thread of `waitset`.
    pub(crate) fn new(
        waitset: &Waitset,
        number: u64,
        introduction: Introduction,
        deliver: fn(u64, LinkEvent),
    ) -> Result<Rc<Self>, MonitorError> {
        let Introduction { domain, peer, caller, socket, mut process } = introduction;
        let account =
            account_of(&process, &peer).map_err(MonitorError::os("identify a process"))?;
        account.set_domain(domain);
        watch_descriptors(process.as_fd());
        let charge = account.charge(Resource::Descriptors, DESCRIPTORS)?;
        let events = EventSender::new(number, waitset.remote(), deliver);
        let handle = LinkHandle::new(peer, account, events.clone());
        process.share(handle.origin());
        let channel = lmp::over(socket, handle.origin().clone())
            .map_err(MonitorError::connect("set up a link"))?;
        let channel = NotingChannel { channel, transfer: Arc::clone(handle.transfer()) };
        let link = Rc::new(OnceCell::new());
        let handler = LinkHandler { link: Rc::clone(&link) };
        let binding = intermon::over(Box::new(channel) as _, waitset, handler)
            .map_err(MonitorError::os("watch a link"))?;
        exempt(binding.as_raw());
        let exits = events.clone();
        let death = ExitWatch::new(waitset, process, move |_| exits.post(LinkEvent::ProcessExited))
            .map_err(MonitorError::os("watch a process"))?;
        let new = Rc::new(Self {
            domain,
            handle,
            outbox: Outbox::new(waitset, binding),
            events,
            caller,
            connections_begun: Cell::new(0),
            pending_requests: RefCell::default(),
            pings: RefCell::default(),
            assembly: RefCell::new(Assembly::Idle),
            death: Cell::new(Some(death)),
            ended: Cell::new(false),
            messages_left: Cell::new(None),
            _charge: charge,
        });
        let _ = link.set(Rc::downgrade(&new));
        Ok(new)
    }

    /// Returns the id of the domain at the other end.
    pub(crate) const fn domain(&self) -> u64 {
        self.domain
    }

    /// Returns the process at the other end.
    pub(crate) fn peer(&self) -> &Peer {
        self.handle.peer()
    }

    /// Returns the side that drivers and other threads use.
    pub(crate) const fn handle(&self) -> &Arc<LinkHandle> {
        &self.handle
    }

    /// Returns the number of a new connection of a client here.
    pub(crate) fn next_connection(&self) -> u64 {
        let connections_begun = self.connections_begun.get();
        self.connections_begun.set(connections_begun + 1);
        connections_begun * 2 + u64::from(!self.caller)
    }

    fn is_ours(&self, connection: u64) -> bool {
        connection % 2 == u64::from(!self.caller)
    }

    /// Sends a bind request. The receiver gets `None` if the link ends first.
    /// [`cancel_request`](Self::cancel_request) cancels it.
    pub(crate) fn request(
        &self,
        connection: u64,
        request: Request,
        offer: Offer,
    ) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.pending_requests.borrow_mut().insert(connection, sender);
        self.send(Frame::Request { connection, request, offer });
        receiver
    }

    /// Cancels a request whose client has given up, or could not use the answer.
    pub(crate) fn cancel_request(&self, connection: u64) {
        let sender = self.pending_requests.borrow_mut().remove(&connection);
        drop(sender);
        self.send(Frame::Closed { connection });
    }

    /// Sends a ping to the waitset of a service. The receiver gets `None` if the link ends first.
    /// [`forget_ping`](Self::forget_ping) forgets it.
    pub(crate) fn ping(&self, number: u64, iref: Iref) -> oneshot::Receiver<intermon::Health> {
        let (sender, receiver) = oneshot::channel();
        self.pings.borrow_mut().insert(number, sender);
        self.send(Frame::Ping { number, iref });
        receiver
    }

    /// Forgets a ping for which nobody waits any more.
    pub(crate) fn forget_ping(&self, number: u64) {
        let sender = self.pings.borrow_mut().remove(&number);
        drop(sender);
    }

    /// Sends a frame. The link ends if too many wait because the peer does not read.
    pub(crate) fn send(&self, frame: Frame) {
        if !frame.into_items(self.handle.transfer()).all(|item| self.outbox.push(item)) {
            self.fail("it has not read too many messages");
        }
    }

    /// Returns the messages that the kernel does not have yet, or `None` if it has all.
    pub(crate) fn unsent(&self) -> Option<Unsent> {
        self.outbox.unsent()
    }

    /// Handles the exit of the process. What it had sent is received first; then the binding ends.
    pub(crate) fn process_exited(&self) {
        self.messages_left.set(Some(MAX_MESSAGES_AFTER_DEATH));
        let binding = self.outbox.binding();
        if let Some(waitset) = binding.waitset() {
            waitset.remote().peer_gone(binding.as_raw().token(), Gone::Died);
        }
    }

    /// Counts a received message. Returns false if the process is dead and has used up its
    /// messages.
    fn may_receive(&self) -> bool {
        let Some(messages_left) = self.messages_left.get() else { return true };
        self.messages_left.set(Some(messages_left.saturating_sub(1)));
        messages_left > 0
    }

    /// Ends the link: pending requests fail, and bindings made over it are notified that the peer is gone.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.outbox.binding().teardown();
        // Dropped now, since the next link to the same process may bring another copy of its pidfd.
        drop(self.death.take());
        let pending_requests = self.pending_requests.take();
        drop(pending_requests);
        let pings = self.pings.take();
        drop(pings);
        self.handle.end();
    }

    /// Ends the link, because the peer broke the protocol. From a later dispatch: handlers of the
    /// link are running.
    fn fail(&self, what: &'static str) {
        log_limited!(warn, peer = %self.peer(), what, "the monitor of another domain broke the protocol");
        self.events.post(LinkEvent::Ended(what));
    }

    fn begin_assembly(&self, head: FrameHead, caps: u32) {
        let begun = self.assembly.borrow_mut().begin(head, caps);
        self.assembled(begun);
    }

    fn add_to_assembly(&self, cap: Result<Cap, CapRefusal>) {
        let added = self.assembly.borrow_mut().add(cap);
        self.assembled(added);
    }

    fn assembled(&self, step: Result<Option<Complete<FrameHead>>, &'static str>) {
        match step {
            Ok(None) => {}
            Ok(Some((head, caps))) => self.complete(head, caps),
            Err(what) => self.fail(what),
        }
    }

    /// Returns true if a message without capabilities may come now; otherwise the link fails.
    fn expect_standalone(&self) -> bool {
        let result = self.assembly.borrow().expect_idle();
        result.map_err(|what| self.fail(what)).is_ok()
    }

    fn complete(&self, head: FrameHead, caps: Result<Vec<Cap>, CapRefusal>) {
        match head {
            FrameHead::Request { connection, request } => {
                self.bind_requested(connection, request, caps)
            }
            FrameHead::Bound { connection, features, words } => {
                let no_descriptor = BindRefusal::Driver(ConnectError::Os(MFILE));
                let bound = |caps| Bound { features, offer: Offer { words, caps } };
                let answer = caps.map(bound).map_err(|_| no_descriptor);
                self.bind_answered(connection, answer);
            }
            FrameHead::Caps { connection, sequence } => {
                self.caps_arrived(connection, sequence, caps)
            }
        }
    }

    /// Handles a bind request of a client of the peer.
    fn bind_requested(
        &self,
        connection: u64,
        request: Request,
        caps: Result<Vec<Cap>, CapRefusal>,
    ) {
        if self.is_ours(connection) || self.handle.has_connection(connection) {
            return self.fail("it used the number of another connection");
        }
        match self.start_incoming_bind(connection, request, caps) {
            Ok(()) => {}
            Err(why) => self.send(Frame::Refused { connection, why }),
        }
    }

    /// Passes the request to the service's waitset.
    fn start_incoming_bind(
        &self,
        connection: u64,
        request: Request,
        caps: Result<Vec<Cap>, CapRefusal>,
    ) -> Result<(), BindRefusal> {
        let service = services::find(request.iref).ok_or(BindRefusal::NoService)?;
        let driver = registry::find(&request.driver);
        let connector = driver.ok_or(BindRefusal::Driver(ConnectError::Reach))?;
        let caps = caps.map_err(|_| BindRefusal::Driver(ConnectError::Os(MFILE)))?;
        let account = self.handle.account();
        let charges = [
            account.charge(Resource::Requests, 1)?,
            account.charge(Resource::Descriptors, caps.len() as u64)?,
        ];
        let bind = self.handle.begin_incoming_bind(connection, charges);
        let features = request.features & peer::FEATURES;
        let offer = Offer { words: request.words, caps };
        let client = Client {
            peer: self.peer().clone().agreeing_on(features),
            account: Some(account.clone()),
            fingerprint: request.fingerprint,
            connection,
            buffer: request.buffer,
        };
        admit_client(&service, client, connector, offer, bind);
        Ok(())
    }

    /// Passes a ping of the peer to the waitset of the service, which answers it.
    fn pinged(&self, number: u64, iref: Iref) {
        let Ok(charge) = self.handle.account().charge(Resource::Requests, 1) else {
            return self.send(Frame::Pong { number, health: intermon::Health::TooMany });
        };
        let ping = self.handle.begin_ping(number, charge);
        if let Some(service) = services::find(iref) {
            service.run(|| ping.alive());
        }
    }

    /// Handles the answer to a ping. It may be late.
    fn ponged(&self, number: u64, health: intermon::Health) {
        let sender = self.pings.borrow_mut().remove(&number);
        if let Some(sender) = sender {
            sender.send(health);
        }
    }

    /// Handles the answer to a request of a client here.
    fn bind_answered(&self, connection: u64, answer: Answer) {
        if !self.is_ours(connection) {
            return self.fail("it answered a request that was not sent");
        }
        // No client waits if the answer is late: the peer gets the `closed` that the client sent.
        let sender = self.pending_requests.borrow_mut().remove(&connection);
        if let Some(sender) = sender {
            sender.send(answer);
        }
    }

    /// Handles capabilities for an end here.
    fn caps_arrived(&self, connection: u64, sequence: u64, caps: Result<Vec<Cap>, CapRefusal>) {
        // The end that loses capabilities reports that to the other one.
        let event = match caps {
            Ok(caps) => CapEvent::Arrived(sequence, caps),
            Err(refusal) => CapEvent::Lost(sequence, refusal),
        };
        if !self.handle.deliver_caps(connection, event) {
            self.fail("it sent capabilities that no end expects yet");
        }
    }
}

/// Admits a client from the waitset of the service, and sends the answer.
fn admit_client(
    service: &ServiceEntry,
    client: Client,
    connector: &'static dyn flounder_rt::channel::Connector,
    offer: Offer,
    bind: IncomingBind,
) {
    let connection = bind.connection();
    let link = Arc::clone(bind.handle()) as Arc<dyn Link>;
    let peer = client.peer.clone();
    let features = peer.features();
    let make = move |end: &End| {
        let (channel, answer) =
            connector.accept(end, &link, offer).map_err(|error| match error {
                ConnectError::OverLimit(limit) => limit.into(),
                error => BindRefusal::Driver(error),
            })?;
        if answer.words.len() > MAX_TERMS {
            let error = ConnectError::Refused("its terms are too long");
            return Err(BindRefusal::Driver(error));
        }
        Ok((channel, answer))
    };
    let still_wanted = bind.still_wanted();
    service.admit(client, still_wanted, make, move |admitted| match admitted {
        Ok((offer, end)) => bind.answer(Frame::Bound { connection, features, offer }, Some(end)),
        Err(why) => {
            tracing::debug!(%peer, ?why, "a client was not admitted");
            bind.answer(Frame::Refused { connection, why }, None);
        }
    });
}

/// Receives the messages of one link.
struct LinkHandler {
    /// Set when the link is complete, before anything is received.
    link: Rc<OnceCell<Weak<PeerLink>>>,
}

impl LinkHandler {
    fn link(&self) -> Option<Rc<PeerLink>> {
        self.link.get()?.upgrade().filter(|link| !link.ended.get())
    }

    /// Runs `f` unless the link has ended.
    fn with(&self, f: impl FnOnce(&PeerLink)) {
        let Some(link) = self.link() else { return };
        if link.may_receive() {
            f(&link);
        } else {
            let why = "the process is dead, and another one uses its socket";
            link.events.deliver_now(LinkEvent::Ended(why));
        }
    }

    /// Runs `f` for a message without capabilities.
    fn standalone(&self, f: impl FnOnce(&PeerLink)) {
        self.with(|link| {
            if link.expect_standalone() {
                f(link);
            }
        });
    }
}

impl intermon::Rx for LinkHandler {
    fn bind_request(
        &mut self,
        _: &intermon::Binding,
        connection: u64,
        iref: Iref,
        fingerprint: u128,
        buffer: u64,
        features: u64,
        driver: &str,
        words: &[u64],
        caps: u32,
    ) {
        let request = Request {
            iref,
            fingerprint,
            buffer: usize::try_from(buffer).unwrap_or(usize::MAX),
            features,
            driver: driver.to_owned(),
            words: words.to_vec(),
        };
        self.with(|link| link.begin_assembly(FrameHead::Request { connection, request }, caps));
    }

    fn bound(
        &mut self,
        _: &intermon::Binding,
        connection: u64,
        features: u64,
        words: &[u64],
        caps: u32,
    ) {
        let head = FrameHead::Bound { connection, features, words: words.to_vec() };
        self.with(|link| link.begin_assembly(head, caps));
    }

    fn refused(
        &mut self,
        _: &intermon::Binding,
        connection: u64,
        why: intermon::Refusal,
        code: u64,
        text: &str,
        table: &[intermon::Digest],
    ) {
        let why = refusal_of(why, code, text, table);
        self.standalone(|link| link.bind_answered(connection, Err(why)));
    }

    fn closed(&mut self, _: &intermon::Binding, connection: u64) {
        self.standalone(|link| link.handle.peer_closed(connection));
    }

    fn ping(&mut self, _: &intermon::Binding, number: u64, iref: Iref) {
        self.standalone(|link| link.pinged(number, iref));
    }

    fn pong(&mut self, _: &intermon::Binding, number: u64, health: intermon::Health) {
        self.standalone(|link| link.ponged(number, health));
    }

    fn cap_send(&mut self, _: &intermon::Binding, connection: u64, sequence: u64, caps: u32) {
        self.with(|link| link.begin_assembly(FrameHead::Caps { connection, sequence }, caps));
    }

    fn cap(&mut self, _: &intermon::Binding, cap: Cap) {
        self.with(|link| link.add_to_assembly(Ok(cap)));
    }

    fn no_cap(&mut self, _: &intermon::Binding, code: u32) {
        let refusal = CapRefusal::from_code(code).unwrap_or(CapRefusal::Sender);
        self.with(|link| link.add_to_assembly(Err(refusal)));
    }

    fn error(&mut self, _: &intermon::Binding, error: BindingError) {
        match error {
            // No descriptor was free here: one of the announced capabilities is lost.
            BindingError::CapsRefused(CapRefusal::ReceiverLimit) => {
                self.with(|link| link.add_to_assembly(Err(CapRefusal::ReceiverLimit)));
            }
            // The kernel refused a capability of ours after the binding had accepted it.
            BindingError::CapsRefused(refusal) => {
                self.with(|link| link.outbox.push_instead(OutgoingItem::NoCap(refusal)));
            }
            error => {
                tracing::debug!(?error, "a link has ended");
                if let Some(link) = self.link() {
                    link.events.deliver_now(LinkEvent::Ended("its connection has ended"));
                }
            }
        }
    }
}
