//! The monitor of this process: one thread, one waitset, and its state.
//!
//! All state belongs to the monitor's thread. Other threads post tasks to its waitset
//! ([`crate::monitor_thread`]); the tasks find the monitor with [`Monitor::current`]. Work that
//! waits is written as futures on that waitset.
//!
//! | module | contents |
//! |---|---|
//! | here | the table of links |
//! | `membership` | keeps a connection to the root, and becomes root when there is none |
//! | `binding` | binds for clients of this process |
//! | `naming` | publishes and names services of this process, and looks up others |
//! | `report` | reports bindings and accounts to the root |

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use flounder_rt::{Iref, Peer, Waitset, log_limited};

use crate::directory::runtime_dir::RootSocketId;
use crate::link::{Introduction, LinkEvent, PeerLink};
use crate::name::LostName;
use crate::oneshot;
use crate::outbox::Unsent;
use crate::wait::ChangeNotifier;

mod binding;
mod membership;
mod naming;
mod report;

use membership::Status;

/// Interval at which [`Monitor::flush`] checks whether everything is sent.
const FLUSH_POLL_INTERVAL: Duration = Duration::from_millis(1);

thread_local! {
    static CURRENT: RefCell<Option<Rc<Monitor>>> = const { RefCell::new(None) };
}

/// The monitor.
pub(crate) struct Monitor {
    waitset: Waitset,
    /// Notified when any field below changes.
    changed: ChangeNotifier,
    status: RefCell<Status>,
    links: RefCell<HashMap<u64, Rc<PeerLink>>>,
    /// Numbers of links by domain.
    links_by_domain: RefCell<HashMap<u64, u64>>,
    /// Domains of services that were bound to.
    service_domains: RefCell<HashMap<Iref, u64>>,
    /// Domains to which the root was asked for an introduction that has not arrived.
    introducing: RefCell<HashSet<u64>>,
    /// Number of introductions that were lost for lack of a descriptor.
    introductions_lost: Cell<u64>,
    /// Random id of this domain at roots; 0 before the first `hello`.
    domain: Cell<u64>,
    /// Number of the current connection to the root.
    root_number: Cell<u64>,
    next: Cell<u64>,
    /// Services that are published, also with the next root.
    published: RefCell<HashSet<Iref>>,
    /// Services that the root may know, though it has not answered.
    publishing: RefCell<HashSet<Iref>>,
    /// Names that are registered, also with the next root.
    names: RefCell<BTreeMap<String, Iref>>,
    /// Names that are being registered: for which service, and by how many requests.
    claimed: RefCell<HashMap<String, (Iref, usize)>>,
    /// Names that another process has taken over.
    lost: RefCell<HashMap<String, LostName>>,
    /// The last root that this process tried to join, unless it is known to be dead.
    last_root: RefCell<Option<Peer>>,
    /// The socket of the last root, if its connection ended as that of a dead process.
    dying_root: Cell<Option<RootSocketId>>,
    /// Services withdrawn while there was no root.
    unsent_withdrawals: RefCell<Vec<Iref>>,
    /// Number of binds in progress.
    binds: Cell<usize>,
    /// Binds that wait for one in progress to end, in order.
    binds_waiting: RefCell<VecDeque<binding::QueuedBind>>,
}

impl Monitor {
    /// Creates the monitor of this thread.
    pub(crate) fn install(waitset: &Waitset) {
        let monitor = Rc::new(Self {
            waitset: waitset.clone(),
            changed: ChangeNotifier::default(),
            status: RefCell::new(Status::Joining),
            links: RefCell::default(),
            links_by_domain: RefCell::default(),
            service_domains: RefCell::default(),
            introducing: RefCell::default(),
            introductions_lost: Cell::new(0),
            domain: Cell::new(0),
            root_number: Cell::new(0),
            next: Cell::new(1),
            published: RefCell::default(),
            publishing: RefCell::default(),
            unsent_withdrawals: RefCell::default(),
            names: RefCell::default(),
            claimed: RefCell::default(),
            lost: RefCell::default(),
            last_root: RefCell::new(None),
            dying_root: Cell::new(None),
            binds: Cell::new(0),
            binds_waiting: RefCell::default(),
        });
        CURRENT.with(|current| current.replace(Some(Rc::clone(&monitor))));
        waitset.spawn_local(monitor.run_membership()).detach();
        waitset.spawn_local(monitor.watch_root_socket()).detach();
    }

    /// Returns the monitor, if this is its thread.
    pub(crate) fn current() -> Option<Rc<Self>> {
        CURRENT.with(|current| current.borrow().clone())
    }

    /// Runs `f` with the monitor, if this is its thread.
    pub(crate) fn with_current(f: impl FnOnce(&Self)) {
        if let Some(monitor) = Self::current() {
            f(&monitor);
        }
    }

    /// Completes `sender` once the kernel has everything that was queued before this call.
    pub(crate) fn flush(&self, sender: oneshot::Sender<()>) {
        let mut unsent = self.unsent();
        if unsent.is_empty() {
            return sender.send(());
        }
        let waitset = self.waitset.clone();
        let task = async move {
            loop {
                unsent.retain(|backlog| !backlog.is_sent());
                if unsent.is_empty() {
                    return sender.send(());
                }
                waitset.sleep(FLUSH_POLL_INTERVAL).await;
            }
        };
        self.waitset.spawn_local(task).detach();
    }

    fn unsent(&self) -> Vec<Unsent> {
        let mut unsent: Vec<_> =
            self.links.borrow().values().filter_map(|link| link.unsent()).collect();
        if let Status::Member(membership) = &*self.status.borrow() {
            unsent.extend(membership.outbox.unsent());
        }
        unsent
    }

    pub(crate) const fn waitset(&self) -> &Waitset {
        &self.waitset
    }

    /// Returns a new number for a link, a lookup or a connection to the root.
    fn next_number(&self) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        number
    }

    /// Returns the link with this number, unless it has ended.
    fn link(&self, number: u64) -> Option<Rc<PeerLink>> {
        self.links.borrow().get(&number).cloned()
    }

    /// Returns the link to a domain.
    fn link_to(&self, domain: u64) -> Option<Rc<PeerLink>> {
        let number = self.links_by_domain.borrow().get(&domain).copied()?;
        self.link(number)
    }

    /// Handles an introduction by the root. Two domains that ask for each other at once are
    /// introduced twice; both receive the two links in the same order and keep the first.
    fn introduced(&self, introduction: Introduction) {
        if self.link_to(introduction.domain).is_some() {
            return;
        }
        let (number, domain) = (self.next_number(), introduction.domain);
        match PeerLink::new(&self.waitset, number, introduction, Self::link_event) {
            Ok(link) => {
                tracing::debug!(peer = %link.peer(), "linked");
                self.links.borrow_mut().insert(number, link);
                self.links_by_domain.borrow_mut().insert(domain, number);
                self.introducing.borrow_mut().remove(&domain);
            }
            Err(error) => {
                log_limited!(warn, ?error, "a link could not be set up");
                self.introductions_lost.set(self.introductions_lost.get() + 1);
            }
        }
        self.changed.notify_all();
    }

    /// Handles an event of the link with this number, on the monitor's thread.
    fn link_event(number: u64, event: LinkEvent) {
        let Some(monitor) = Self::current() else { return };
        match event {
            LinkEvent::Ended(why) => monitor.link_ended(number, why),
            LinkEvent::Send(frame) => {
                if let Some(link) = monitor.link(number) {
                    link.send(frame);
                }
            }
            LinkEvent::ProcessExited => {
                if let Some(link) = monitor.link(number) {
                    link.process_exited();
                }
            }
        }
    }

    /// Ends a link and notifies its bindings. Does nothing the second time.
    fn link_ended(&self, number: u64, why: &'static str) {
        let Some(link) = self.links.borrow_mut().remove(&number) else { return };
        tracing::debug!(peer = %link.peer(), why, "a link has ended");
        let domain = link.domain();
        self.links_by_domain.borrow_mut().remove(&domain);
        self.service_domains.borrow_mut().retain(|_, of_service| *of_service != domain);
        link.end();
        self.changed.notify_all();
        // Handlers of the link may be on the stack: they are dropped with the binding, from a later
        // dispatch.
        self.waitset.post(move |_| {
            drop(link);
            Ok(())
        });
    }
}
