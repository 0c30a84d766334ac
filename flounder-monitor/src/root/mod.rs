//! The root monitor: holds the names of a host, and introduces its domains to each other.
//!
//! The root runs on the waitset of the monitor that was elected, which is one of its domains like
//! the others, connected through the socket; or it is a daemon. The owners of names are the only
//! state that a successor needs; when the root dies, domains publish and register again with the
//! next one. No messages between domains pass through the root, so its death does not affect
//! bindings.
//!
//! | module | contents |
//! |---|---|
//! | here | accepting connections, and introductions |
//! | `service` | requests of domains |
//! | `names` | the table of names |
//! | `waiting_lookups` | lookups that wait for a name |
//! | `users` | who may join, and how much one user may have |
//! | `socket_watch` | keeps the socket in place |
//! | `unjoined` | keeps names for owners that are not connected |
//! | `deferred` | requests that wait for owners to rejoin |
//! | `reports` | forwards requests for bindings and accounts to domains |

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use flounder_drivers::lmp;
use flounder_rt::account::{Account, Charge, Resource, watch_descriptors};
use flounder_rt::binding::AsRaw as _;
use flounder_rt::cap::Cap;
use flounder_rt::closer::Origin;
use flounder_rt::export::exempt;
use flounder_rt::fork::ProcessFd;
use flounder_rt::waitset::{Interest, Timer};
use flounder_rt::{BindingError, Iref, Peer, Rejected, TxError, Waitset, log_limited};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, accept_with, shutdown, socketpair,
};

use crate::directory::election::{ElectedRoot, RootSocket};
use crate::directory::name_journal::{NameJournal, ProcessIdentity};
use crate::directory::root_lock;
use crate::exit_watch::ExitWatch;
use crate::outbox::{Outbox, OutboxMessage, SendOutcome};
use crate::process::{process_of, to_wire};
use crate::protocol::monitor::{self, Verdict};
use crate::sys::{self, Credentials};

mod deferred;
mod names;
mod reports;
mod service;
mod socket_watch;
mod unjoined;
mod users;
mod waiting_lookups;

use deferred::DeferredRequests;
use names::Names;
use reports::PendingReports;
use service::DomainHandler;
use unjoined::UnjoinedOwner;
pub(crate) use users::JoinPolicy;
use users::{JoinDecision, MAX_INTRODUCTIONS, Users};
use waiting_lookups::WaitingLookups;

/// Descriptors of one connection: the socket, and a pidfd.
const DESCRIPTORS: u64 = 2;

/// Connections accepted in a row, so that many of them do not delay other events.
const MAX_ACCEPTS_IN_A_ROW: usize = 16;

/// Delay before the next accept, after a connection could not even be refused.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(10);

/// Time that a connection has to send `hello` before it is closed.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// Time that owners of names and services have to rejoin before a new root answers that there is no
/// such thing.
const REJOIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Time from the release of the socket to the close of connections, so that the daemon that asked
/// becomes root first.
const HANDOVER_DELAY: Duration = Duration::from_millis(50);

thread_local! {
    static CURRENT: RefCell<Option<Rc<Root>>> = const { RefCell::new(None) };

    /// The last number given to a connection by any root of this process.
    static LAST_NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// The root monitor.
pub(crate) struct Root {
    waitset: Waitset,
    /// True after [`release`](Self::release): connections that send a request are closed.
    released: Cell<bool>,
    socket: RefCell<RootSocket>,
    domains: RefCell<HashMap<u64, Rc<Domain>>>,
    /// Connection numbers by the ids that domains chose.
    ids: RefCell<BTreeMap<u64, u64>>,
    services: RefCell<HashMap<Iref, Service>>,
    names: RefCell<Names>,
    waiting_lookups: RefCell<WaitingLookups<WaitingLookup>>,
    users: RefCell<Users>,
    /// Owners of names on disk; `None` after [`release`](Self::release).
    journal: RefCell<Option<NameJournal>>,
    unjoined: RefCell<HashMap<u64, UnjoinedOwner>>,
    deferred: RefCell<DeferredRequests>,
    reports: RefCell<PendingReports>,
    /// Closed for a moment to accept and refuse a connection when no other descriptor is left.
    reserve: RefCell<Option<ProcessFd>>,
}

/// A connected domain.
struct Domain {
    number: u64,
    /// Id that the domain chose; `None` before `hello`.
    id: Cell<Option<u64>>,
    peer: Peer,
    /// User to whom the domain's resources are charged.
    uid: u32,
    identity: ProcessIdentity,
    /// True if the domain may not join; the reply to its `hello` says so.
    forbidden: bool,
    /// Runs until `hello`.
    hello_timer: Cell<Option<Timer>>,
    outbox: Rc<Outbox<MessageToDomain>>,
    services: RefCell<HashSet<Iref>>,
    death: ExitWatch,
    account: Account,
    /// Charge for the connection, until `hello`.
    connection_charge: Cell<Option<Charge>>,
    /// Charge for the descriptors.
    _charge: Charge,
}

struct Service {
    owner: u64,
    interface: String,
    /// Digest of the interface.
    digest: u128,
    _charge: Charge,
}

/// A lookup that waits.
struct WaitingLookup {
    reply: monitor::AwaitNameReply,
    /// The service that the requester knows by the name.
    known: Option<Iref>,
    _charge: Charge,
}

/// A message that the root sends to a domain on its own initiative.
enum MessageToDomain {
    Introduced(OutgoingIntroduction),
    Report { ticket: u64, link: u64, connection: u64 },
    ReportAccounts { ticket: u64, after: u64 },
    NameTaken { name: String, pid: u32 },
}

/// One end of a link, for a domain.
struct OutgoingIntroduction {
    domain: u64,
    peer: Peer,
    caller: bool,
    socket: Cap,
    process: Cap,
}

impl OutboxMessage for MessageToDomain {
    type Binding = monitor::Binding;
    const MAX_QUEUED: usize = 32;

    fn send(self, binding: &monitor::Binding) -> SendOutcome<Self> {
        match self {
            Self::Introduced(introduced) => introduced.send(binding),
            Self::Report { ticket, link, connection } => {
                self.or_retry(binding.tx_report(ticket, link, connection))
            }
            Self::ReportAccounts { ticket, after } => {
                self.or_retry(binding.tx_report_accounts(ticket, after))
            }
            Self::NameTaken { name, pid } => match binding.tx_name_taken(&name, pid) {
                Ok(_) => SendOutcome::Sent,
                Err(TxError::Busy) => SendOutcome::Retry(Self::NameTaken { name, pid }),
                Err(_) => SendOutcome::Closed,
            },
        }
    }
}

impl MessageToDomain {
    fn or_retry<T>(self, sent: Result<T, TxError>) -> SendOutcome<Self> {
        match sent {
            Ok(_) => SendOutcome::Sent,
            Err(TxError::Busy) => SendOutcome::Retry(self),
            Err(_) => SendOutcome::Closed,
        }
    }
}

impl OutgoingIntroduction {
    fn send(self, binding: &monitor::Binding) -> SendOutcome<MessageToDomain> {
        let Self { domain, peer, caller, socket, process } = self;
        let (pid, uid, gid) = to_wire(&peer);
        match binding.tx_introduced(domain, pid, uid, gid, caller, socket, process) {
            Ok(_) => SendOutcome::Sent,
            Err(Rejected { error: TxError::Busy, given: (socket, process) }) => {
                let again = Self { domain, peer, caller, socket, process };
                SendOutcome::Retry(MessageToDomain::Introduced(again))
            }
            Err(Rejected { error: TxError::Closed, .. }) => SendOutcome::Closed,
            Err(Rejected { error, .. }) => {
                // The domain's bind ends at its deadline.
                log_limited!(warn, ?error, %peer, "an introduction could not be sent");
                SendOutcome::Sent
            }
        }
    }
}

impl Root {
    /// Starts a root on this thread. It serves until the process ends or another process replaces
    /// it.
    pub(crate) fn start(waitset: &Waitset, elected: ElectedRoot, policy: JoinPolicy) {
        let listener = Rc::clone(&elected.socket.listener);
        // No message to the root has descriptors. On a kernel without the option those that arrive
        // are closed when their
        // frame is refused.
        if let Err(error) = sys::refuse_descriptors(listener.as_fd()) {
            tracing::debug!(%error, "the root monitor cannot have the kernel refuse descriptors");
        }
        let root = Rc::new(Self {
            waitset: waitset.clone(),
            released: Cell::new(false),
            socket: RefCell::new(elected.socket),
            domains: RefCell::default(),
            ids: RefCell::default(),
            services: RefCell::default(),
            names: RefCell::default(),
            waiting_lookups: RefCell::new(WaitingLookups::new()),
            users: RefCell::new(Users::new(policy)),
            journal: RefCell::new(Some(elected.journal)),
            unjoined: RefCell::default(),
            deferred: RefCell::new(DeferredRequests::new(elected.is_first)),
            reports: RefCell::default(),
            reserve: RefCell::new(None),
        });
        CURRENT.with(|current| current.replace(Some(Rc::clone(&root))));
        root.restore_names();
        root.retry_deferred_later();
        root.recheck_lookups_later();
        root.refill_reserve(&listener);
        Rc::clone(&root).listen(listener);
        root.watch_socket();
    }

    /// Returns the root of this thread.
    fn current() -> Option<Rc<Self>> {
        CURRENT.with(|current| current.borrow().clone())
    }

    /// Returns true if this thread has a root that has not been released.
    pub(crate) fn serves_here() -> bool {
        Self::current().is_some_and(|root| !root.released.get())
    }

    /// Releases the root for a daemon that has asked for it. Connections are closed a little later,
    /// so that domains find the daemon.
    fn hand_over(self: &Rc<Self>) {
        tracing::info!("a daemon replaces this process as the root monitor");
        self.release(HANDOVER_DELAY);
    }

    /// Releases socket and lock, and closes the connections of domains after `hang_up_after`.
    fn release(self: &Rc<Self>, hang_up_after: Duration) {
        self.released.set(true);
        self.journal.take();
        // Wakes the watch of the listener, which then ends.
        let _ = shutdown(&self.socket.borrow().listener, Shutdown::Both);
        root_lock::release();
        let me = Rc::clone(self);
        self.waitset.after(hang_up_after, move |waitset| {
            let numbers: Vec<_> = me.domains.borrow().keys().copied().collect();
            numbers.into_iter().for_each(|number| me.remove(number));
            CURRENT.with(|current| {
                if current.borrow().as_ref().is_some_and(|root| Rc::ptr_eq(root, &me)) {
                    current.replace(None);
                }
            });
            // After the tasks that `remove` has posted.
            waitset.post(move |_| {
                drop(me);
                Ok(())
            });
            Ok(())
        });
    }

    /// Accepts connections from now on.
    fn listen(self: Rc<Self>, listener: Rc<ProcessFd>) {
        let waitset = self.waitset.clone();
        let (root, watched_listener) = (Rc::clone(&self), Rc::clone(&listener));
        let watched = waitset.when(watched_listener, Interest::Readable, move |_, listener| {
            if root.released.get() || !root.is_current_listener(&listener) {
                return Ok(());
            }
            if root.accept_some(&listener) {
                root.listen(listener);
            } else {
                root.listen_later(listener);
            }
            Ok(())
        });
        if watched.is_err() {
            self.listen_later(listener);
        }
    }

    fn listen_later(self: Rc<Self>, listener: Rc<ProcessFd>) {
        let waitset = self.waitset.clone();
        waitset.after(ACCEPT_RETRY_DELAY, move |_| {
            if self.released.get() || !self.is_current_listener(&listener) {
                return Ok(());
            }
            self.refill_reserve(&listener);
            self.listen(listener);
            Ok(())
        });
    }

    /// Accepts waiting connections. Returns false if accepting must pause.
    fn accept_some(self: &Rc<Self>, listener: &ProcessFd) -> bool {
        for _ in 0..MAX_ACCEPTS_IN_A_ROW {
            match accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(socket) => self.accept_domain(untrusted_cap(socket)),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(errno) => {
                    log_limited!(warn, %errno, "a connection could not be accepted");
                    if !self.reject_next(listener) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Closes the reserve to accept and refuse one connection, so that its process need not wait
    /// for a deadline.
    fn reject_next(&self, listener: &ProcessFd) -> bool {
        let reserve = self.reserve.borrow_mut().take();
        if reserve.is_none() {
            return false;
        }
        drop(reserve);
        let refused = accept_with(listener, SocketFlags::CLOEXEC).map(untrusted_cap);
        let done = refused.is_ok();
        drop(refused);
        self.refill_reserve(listener);
        done
    }

    fn refill_reserve(&self, listener: &ProcessFd) {
        let mut reserve = self.reserve.borrow_mut();
        if reserve.is_none() {
            *reserve = fcntl_dupfd_cloexec(listener, 0).ok().map(ProcessFd::new);
        }
    }

    /// Admits the process of a new connection, or closes the connection.
    fn accept_domain(&self, socket: Cap) {
        let credentials = match sys::peer_credentials(socket.as_fd()) {
            Ok(credentials) => credentials.or_nobody(),
            Err(error) => {
                return log_limited!(warn, %error, "the credentials of a process could not be read");
            }
        };
        let uid = credentials.uid;
        let entrance = self.users.borrow_mut().decide(uid);
        if entrance == JoinDecision::Later {
            return log_limited!(
                warn,
                uid,
                "a connection was refused: its user has too many, or must wait"
            );
        }
        let number = next_number();
        let forbidden = entrance == JoinDecision::Deny;
        match self.attach(number, socket, credentials, forbidden) {
            Ok(domain) => drop(self.domains.borrow_mut().insert(number, Rc::new(domain))),
            Err(error) => {
                self.users.borrow_mut().left(uid, false);
                log_limited!(warn, %error, "a connection could not be set up");
            }
        }
    }

    fn attach(
        &self,
        number: u64,
        mut socket: Cap,
        credentials: Credentials,
        forbidden: bool,
    ) -> std::io::Result<Domain> {
        let process = process_of(socket.as_fd(), credentials)?;
        watch_descriptors(process.as_fd());
        let peer = credentials.peer();
        let identity = ProcessIdentity::new(&process, peer.pid(), credentials.uid)?;
        let account = identity.account();
        let connection_charge = account.charge(Resource::Connections, 1)?;
        let charge = account.charge(Resource::Descriptors, DESCRIPTORS)?;
        let remote = self.waitset.remote();
        let origin = Origin::new(account.clone(), move || {
            remote.post(move |_| {
                if let Some(root) = Self::current() {
                    root.remove(number);
                }
                Ok(())
            });
        });
        socket.share(&origin);
        let death = self.watch(number, Cap::from_peer(process, origin.clone()))?;
        let channel = lmp::over(socket, origin).map_err(std::io::Error::other)?;
        let binding = monitor::over(channel as _, &self.waitset, DomainHandler { number })?;
        exempt(binding.as_raw());
        let hello_timer = self.waitset.after(HELLO_DEADLINE, move |_| {
            if let Some(root) = Self::current() {
                root.remove(number);
            }
            Ok(())
        });
        Ok(Domain {
            number,
            id: Cell::new(None),
            peer,
            uid: credentials.uid,
            identity,
            forbidden,
            hello_timer: Cell::new(Some(hello_timer)),
            outbox: Outbox::new(&self.waitset, binding),
            services: RefCell::default(),
            death,
            account,
            connection_charge: Cell::new(Some(connection_charge)),
            _charge: charge,
        })
    }

    /// Removes a connection, or an unjoined owner, when its process exits.
    fn watch(&self, number: u64, process: impl Into<Cap>) -> std::io::Result<ExitWatch> {
        ExitWatch::new(&self.waitset, process, move |remote| {
            remote.post(move |_| {
                if let Some(root) = Self::current() {
                    root.remove(number);
                    root.forget_unjoined_owner(number);
                    root.retry_deferred();
                }
                Ok(())
            });
        })
    }

    fn domain(&self, number: u64) -> Option<Rc<Domain>> {
        self.domains.borrow().get(&number).cloned()
    }

    /// Returns the domain with the id that it chose.
    fn domain_of(&self, id: u64) -> Option<Rc<Domain>> {
        let number = self.ids.borrow().get(&id).copied()?;
        self.domain(number)
    }

    /// Closes a connection, and removes everything that its domain has here.
    fn remove(self: &Rc<Self>, number: u64) {
        let Some(domain) = self.domains.borrow_mut().remove(&number) else { return };
        tracing::debug!(peer = %domain.peer, "a domain has left");
        if let Some(id) = domain.id.get() {
            self.ids.borrow_mut().remove(&id);
        }
        if let Some(hello_timer) = domain.hello_timer.take() {
            hello_timer.cancel();
        }
        let mut services = self.services.borrow_mut();
        domain.services.borrow().iter().for_each(|iref| {
            services.remove(iref);
        });
        drop(services);
        let mut users = self.users.borrow_mut();
        users.left(domain.uid, domain.id.get().is_some());
        drop(users);
        let waited = self.waiting_lookups.borrow_mut().forget_all(number);
        let unheard = self.reports.borrow_mut().forget(number);
        if !self.retain_names(number, &domain) {
            self.free_names(number);
        }
        domain.outbox.binding().teardown();
        // Handlers of the binding may be on the stack, and dropped replies use the binding.
        self.waitset.post(move |_| {
            drop((domain, waited, unheard));
            Ok(())
        });
    }

    /// Creates a link between two domains, and sends each its end.
    fn introduce(&self, caller: &Domain, callee: &Domain) -> Result<(), Verdict> {
        let (Some(caller_id), Some(callee_id)) = (caller.id.get(), callee.id.get()) else {
            return Err(Verdict::Unknown);
        };
        let exhausted = |error: &dyn core::fmt::Display| {
            log_limited!(warn, %error, "two domains could not be introduced");
            Verdict::Exhausted
        };
        let own = |of: &Domain| self.users.borrow().policy().is_own(of.uid);
        let behind = |of: &Domain| !own(of) && of.outbox.queued() >= MAX_INTRODUCTIONS;
        if behind(caller) || behind(callee) {
            return Err(Verdict::Exhausted);
        }
        let pair =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.map_err(|errno| exhausted(&errno))?;
        let process =
            |of: &Domain| of.death.process().try_clone().map_err(|error| exhausted(&error));
        let (caller_process, callee_process) = (process(caller)?, process(callee)?);
        let to_caller = OutgoingIntroduction {
            domain: callee_id,
            peer: callee.peer.clone(),
            caller: true,
            socket: ours.into(),
            process: callee_process,
        };
        let to_callee = OutgoingIntroduction {
            domain: caller_id,
            peer: caller.peer.clone(),
            caller: false,
            socket: theirs.into(),
            process: caller_process,
        };
        // If the outbox of one is full, the other's end of the link ends at once.
        if callee.outbox.push(MessageToDomain::Introduced(to_callee))
            && caller.outbox.push(MessageToDomain::Introduced(to_caller))
        {
            Ok(())
        } else {
            Err(Verdict::Exhausted)
        }
    }

    fn ended(self: &Rc<Self>, number: u64, error: &BindingError) {
        tracing::debug!(?error, "the connection of a domain has ended");
        self.remove(number);
    }
}

/// Returns the socket of a process that has connected, and may already have sent descriptors.
fn untrusted_cap(socket: OwnedFd) -> Cap {
    Cap::from_peer(socket, Origin::LOCAL)
}

/// Returns a number that no other connection or owner has.
fn next_number() -> u64 {
    LAST_NUMBER.with(|last| {
        last.set(last.get() + 1);
        last.get()
    })
}
