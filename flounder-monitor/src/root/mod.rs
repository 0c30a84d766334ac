//! The root monitor: holds the names of a host, and introduces its domains to each other.
//!
//! It runs on the waitset of the monitor that was elected; that monitor is one of its domains like the others, connected
//! through the socket. It keeps nothing that a successor would need: when it dies, domains tell the next root what they
//! have published and named. It carries no messages between domains, so bindings never notice.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use flounder_drivers::lmp;
use flounder_rt::cap::Cap;
use flounder_rt::waitset::Interest;
use flounder_rt::{BindingError, Iref, Peer, Rejected, TxError, Waitset};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept_with, socketpair};

use crate::death::DeathWatch;
use crate::outbox::{Message, Outbox, Sending};
use crate::process::process_of;
use crate::protocol::monitor::{self, Verdict};

mod names;
mod service;

use names::Names;
pub(crate) use names::{MAX_NAME, is_name};
use service::FromDomain;

/// Services that one domain may publish.
const MAX_SERVICES: usize = 65_536;

/// Domains accepted in a row, so that a storm of them does not keep the others waiting.
const BURST: usize = 16;

/// Before the next look at the door, when a domain could not even be refused.
const PAUSE: Duration = Duration::from_millis(10);

thread_local! {
    static HERE: RefCell<Option<Rc<Root>>> = const { RefCell::new(None) };
}

/// The root monitor.
pub(crate) struct Root {
    waitset: Waitset,
    uid: u32,
    next: Cell<u64>,
    domains: RefCell<HashMap<u64, Rc<Domain>>>,
    /// Domains by the numbers that they chose.
    ids: RefCell<HashMap<u64, u64>>,
    services: RefCell<HashMap<Iref, Service>>,
    names: RefCell<Names<monitor::AwaitNameReply>>,
    /// Given up for a moment to refuse a domain when no other descriptor is left.
    reserve: RefCell<Option<OwnedFd>>,
}

/// A domain that is connected.
struct Domain {
    /// The number it chose, once it has said hello.
    id: Cell<Option<u64>>,
    peer: Peer,
    outbox: Rc<Outbox<Introduced>>,
    services: RefCell<HashSet<Iref>>,
    death: DeathWatch,
}

struct Service {
    owner: u64,
    interface: String,
}

/// A link for a domain.
struct Introduced {
    domain: u64,
    peer: Peer,
    caller: bool,
    socket: Cap,
    process: Cap,
}

impl Message for Introduced {
    type Binding = monitor::Binding;
    const MAX_WAITING: usize = 32;

    fn send(self, binding: &monitor::Binding) -> Sending<Self> {
        let Self { domain, peer, caller, socket, process } = self;
        let (pid, uid, gid) = (peer.pid, peer.uid, peer.gid);
        match binding.tx_introduced(domain, pid, uid, gid, caller, socket, process) {
            Ok(_) => Sending::Sent,
            Err(Rejected { error: TxError::Busy, given: (socket, process) }) => {
                Sending::Later(Self { domain, peer, caller, socket, process })
            }
            Err(Rejected { error: TxError::Closed, .. }) => Sending::Ended,
            Err(Rejected { error, .. }) => {
                // The domain's bind ends at its deadline.
                tracing::warn!(%error, %peer, "an introduction could not be sent");
                Sending::Sent
            }
        }
    }
}

impl Root {
    /// Begins to serve on a listening socket, until the process ends.
    pub(crate) fn start(waitset: &Waitset, listener: OwnedFd) {
        let root = Rc::new(Self {
            waitset: waitset.clone(),
            uid: rustix::process::geteuid().as_raw(),
            next: Cell::new(1),
            domains: RefCell::default(),
            ids: RefCell::default(),
            services: RefCell::default(),
            names: RefCell::new(Names::new()),
            reserve: RefCell::new(None),
        });
        HERE.with(|here| here.replace(Some(Rc::clone(&root))));
        root.refill(&listener);
        root.listen(Rc::new(listener));
    }

    /// The root of this thread.
    fn here() -> Option<Rc<Self>> {
        HERE.with(|here| here.borrow().clone())
    }

    /// Accepts domains whenever there are some.
    fn listen(self: Rc<Self>, listener: Rc<OwnedFd>) {
        let waitset = self.waitset.clone();
        let (root, door) = (Rc::clone(&self), Rc::clone(&listener));
        let watched = waitset.when(door, Interest::Readable, move |_, door| {
            if root.accept_some(&door) {
                root.listen(door);
            } else {
                root.listen_later(door);
            }
            Ok(())
        });
        if watched.is_err() {
            self.listen_later(listener);
        }
    }

    fn listen_later(self: Rc<Self>, listener: Rc<OwnedFd>) {
        let waitset = self.waitset.clone();
        waitset.after(PAUSE, move |_| {
            self.refill(&listener);
            self.listen(listener);
            Ok(())
        });
    }

    /// Accepts those that wait. False if that should be left for a while.
    fn accept_some(self: &Rc<Self>, listener: &OwnedFd) -> bool {
        for _ in 0..BURST {
            match accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(socket) => self.admit(socket),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(errno) => {
                    tracing::warn!(%errno, "a domain could not be accepted");
                    if !self.turn_away(listener) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Makes room with the reserve to refuse the first that waits: it learns, and does not wait for its deadline.
    fn turn_away(&self, listener: &OwnedFd) -> bool {
        let reserve = self.reserve.borrow_mut().take();
        if reserve.is_none() {
            return false;
        }
        drop(reserve);
        let refused = accept_with(listener, SocketFlags::CLOEXEC);
        let done = refused.is_ok();
        drop(refused);
        self.refill(listener);
        done
    }

    fn refill(&self, listener: &OwnedFd) {
        let mut reserve = self.reserve.borrow_mut();
        if reserve.is_none() {
            *reserve = fcntl_dupfd_cloexec(listener, 0).ok();
        }
    }

    /// Takes a domain in. One that is turned away sees its connection end.
    fn admit(&self, socket: OwnedFd) {
        let Ok(peer) = socket_peercred(&socket) else { return };
        let uid = peer.uid.as_raw();
        if uid != self.uid && uid != 0 {
            tracing::warn!(uid, "a process of another user was turned away");
            return;
        }
        let number = self.next.get();
        self.next.set(number + 1);
        if let Err(error) = self.connect(number, socket, peer) {
            tracing::warn!(%error, "a domain could not be taken in");
        }
    }

    fn connect(
        &self,
        number: u64,
        socket: OwnedFd,
        peer: rustix::net::UCred,
    ) -> std::io::Result<()> {
        let process = process_of(socket.as_fd(), peer.pid)?;
        let death = DeathWatch::new(&self.waitset, process, move |remote| {
            remote.post(move |_| {
                if let Some(root) = Self::here() {
                    root.remove(number);
                }
                Ok(())
            });
        })?;
        let channel = lmp::over(socket).map_err(std::io::Error::other)?;
        let binding = monitor::Binding::attach(channel as _, &self.waitset, FromDomain { number })?;
        binding.exempt();
        let peer = Peer {
            pid: peer.pid.as_raw_nonzero().get().unsigned_abs(),
            uid: peer.uid.as_raw(),
            gid: peer.gid.as_raw(),
        };
        let domain = Domain {
            id: Cell::new(None),
            peer,
            outbox: Outbox::new(&self.waitset, binding),
            services: RefCell::default(),
            death,
        };
        self.domains.borrow_mut().insert(number, Rc::new(domain));
        Ok(())
    }

    fn domain(&self, number: u64) -> Option<Rc<Domain>> {
        self.domains.borrow().get(&number).cloned()
    }

    /// A domain is gone, or is to go: what it had here goes with it.
    fn remove(&self, number: u64) {
        let Some(domain) = self.domains.borrow_mut().remove(&number) else { return };
        tracing::debug!(peer = %domain.peer, "a domain has left");
        if let Some(id) = domain.id.get() {
            self.ids.borrow_mut().remove(&id);
        }
        let mut services = self.services.borrow_mut();
        domain.services.borrow().iter().for_each(|iref| {
            services.remove(iref);
        });
        drop(services);
        let waited = self.names.borrow_mut().remove_owner(number);
        domain.outbox.binding().teardown();
        // The binding's handlers may be on the stack; replies that are dropped go through it.
        self.waitset.post(move |_| {
            drop((domain, waited));
            Ok(())
        });
    }

    /// Makes a link between two domains and gives each its end.
    fn introduce(&self, caller: &Domain, callee: &Domain) -> Result<(), Verdict> {
        let (Some(caller_id), Some(callee_id)) = (caller.id.get(), callee.id.get()) else {
            return Err(Verdict::Unknown);
        };
        let exhausted = |error: &dyn core::fmt::Display| {
            tracing::warn!(%error, "two domains could not be introduced");
            Verdict::Exhausted
        };
        let pair =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.map_err(|errno| exhausted(&errno))?;
        let process =
            |of: &Domain| of.death.process().try_clone().map_err(|error| exhausted(&error));
        let (caller_process, callee_process) = (process(caller)?, process(callee)?);
        let to_caller = Introduced {
            domain: callee_id,
            peer: callee.peer.clone(),
            caller: true,
            socket: ours.into(),
            process: callee_process.into(),
        };
        let to_callee = Introduced {
            domain: caller_id,
            peer: caller.peer.clone(),
            caller: false,
            socket: theirs.into(),
            process: caller_process.into(),
        };
        // If either is too far behind to be told, the other's end of the link ends at once.
        if callee.outbox.push(to_callee) && caller.outbox.push(to_caller) {
            Ok(())
        } else {
            Err(Verdict::Exhausted)
        }
    }

    fn ended(&self, number: u64, error: &BindingError) {
        tracing::debug!(%error, "the connection of a domain has ended");
        self.remove(number);
    }
}
