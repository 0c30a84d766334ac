//! Membership of this domain: becomes root or joins the root that there is, and starts over when
//! the root is gone or stuck.
//!
//! ```text
//!   Joining --no root--> become root --.
//!      ^  '----------------connect, hello, publish and register again--> Member --root is gone, or stuck--> Joining
//!      |                                              |
//!      '------- a request arrives -- Failed <---------'  (an error that a retry does not change)
//! ```
//! A root that does not answer for [`RESPONSE_TIMEOUT`](crate::wait::RESPONSE_TIMEOUT) is stuck:
//! one of its domains replaces it. A stuck root may run again later and answer old requests. So an
//! answer counts only if the root is still in place after the answer has arrived.

use core::cell::Cell;
use core::time::Duration;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use flounder_drivers::lmp;
use flounder_rt::binding::AsRaw as _;
use flounder_rt::cap::Cap;
use flounder_rt::channel::CapRefusal;
use flounder_rt::closer::Origin;
use flounder_rt::export::exempt;
use flounder_rt::{BindingError, Errno, Escaped, Iref, Peer, RpcError, TxError, log_limited};

use crate::directory::choice;
use crate::directory::election::{self, Precondition, RootProbe, STALE_LOCK_TIMEOUT};
use crate::directory::root_lock;
use crate::directory::runtime_dir::{DirIdentity, RootSocketId, RuntimeDir};
use crate::error::{DirProblem, MonitorError, NO_ENTRY};
use crate::exit_watch::ExitWatch;
use crate::limit::Progress;
use crate::link::Introduction;
use crate::monitor::Monitor;
use crate::name::Awaited;
use crate::outbox::{Outbox, OutboxMessage, SendOutcome};
use crate::process::{id_from_wire, pid_from_wire, pid_of, random_number};
use crate::protocol::{VERSION, monitor};
use crate::root::{JoinPolicy, Root};
use crate::root_location::{RootLocation, RootProcess};
use crate::wait::{until_cancelled, within_response_timeout, within_response_timeout_while};

/// Delay after the first failed attempt to join. Doubles with each attempt, up to
/// [`MAX_RETRY_DELAY`].
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(1);
const MAX_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Delay between attempts after a permanent error, if services are published here.
const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Time after which an unanswered call is followed by `alive`, which every root answers at once.
const ALIVE_CHECK_DELAY: Duration = Duration::from_millis(250);

/// Time without an answer after which a root counts as dead if its connection ended as that of a
/// dead process and it still listens. The kernel closes the descriptors of a dying process one after
/// the other, which may take a second on a busy machine.
const DYING_ROOT_TIMEOUT: Duration = Duration::from_millis(200);

/// Interval of checks whether the root is still in place. A stuck root does not report that it was
/// replaced.
const ROOT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Interval of questions whether a new root still waits for owners of names.
const OWNERS_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// State of this domain's membership.
pub(super) enum Status {
    /// The domain tries to join.
    Joining,
    /// The domain has a connection to the root.
    Member(Rc<Membership>),
    /// The domain cannot join.
    Failed(MonitorError),
}

/// A connection to the root.
pub(super) struct Membership {
    number: u64,
    pub(super) client: monitor::RpcClient,
    pub(super) outbox: Rc<Outbox<MessageToRoot>>,
    ended: Rc<Cell<bool>>,
    /// True if the connection ended as that of a dead process.
    hung_up: Rc<Cell<bool>>,
    /// Identity of the root's socket.
    socket_id: RootSocketId,
    directory_id: DirIdentity,
    root: Peer,
    _death: ExitWatch,
}

/// A message to the root that has no answer.
pub(super) enum MessageToRoot {
    Withdraw(Iref),
    Reported { ticket: u64, bindings: Vec<monitor::HeldBinding> },
    ReportedAccounts { ticket: u64, accounts: Vec<monitor::AccountReport>, limits: Vec<u64> },
}

impl OutboxMessage for MessageToRoot {
    type Binding = monitor::ClientBinding;
    const MAX_QUEUED: usize = 8192;

    fn send(self, binding: &monitor::ClientBinding) -> SendOutcome<Self> {
        let sent = match &self {
            Self::Withdraw(iref) => binding.tx_withdraw(*iref),
            Self::Reported { ticket, bindings } => binding.tx_reported(*ticket, bindings),
            Self::ReportedAccounts { ticket, accounts, limits } => {
                binding.tx_reported_accounts(*ticket, accounts, limits)
            }
        };
        match sent {
            Ok(_) => SendOutcome::Sent,
            Err(TxError::Busy) => SendOutcome::Retry(self),
            Err(_) => SendOutcome::Closed,
        }
    }
}

/// When a root answers a call.
#[derive(Debug, Clone, Copy)]
enum ReplyTiming<'a> {
    /// At once: the root is checked with `alive` until it answers.
    Immediate,
    /// When a name is registered: `alive` is called once, to check that the root has received the
    /// call.
    Deferred(&'a Progress),
}

/// Reason why an attempt to join failed.
enum JoinFailure {
    /// The next attempt may succeed.
    Retry,
    /// No root listens, and another process has the lock.
    NoListener(Option<RootSocketId>),
    /// This root does not answer, or accepts no connection.
    Unresponsive(Option<RootSocketId>),
    /// A retry fails until something is changed.
    Permanent(MonitorError),
}

impl From<MonitorError> for JoinFailure {
    fn from(error: MonitorError) -> Self {
        match error {
            // The directory, or the socket on its way to its place, was removed.
            MonitorError::Os { errno: NO_ENTRY, .. } => Self::Retry,
            MonitorError::Os { errno, .. }
            | MonitorError::RuntimeDir { why: DirProblem::Os(errno), .. }
                if is_shortage(errno) =>
            {
                tracing::debug!(?error, "the monitor lacks a resource and tries again");
                Self::Retry
            }
            error => Self::Permanent(error),
        }
    }
}

impl Monitor {
    /// The monitor's main task. It never ends.
    pub(super) fn run_membership(self: &Rc<Self>) -> impl Future<Output = ()> + 'static {
        let me = Rc::clone(self);
        async move {
            let mut pause = FIRST_RETRY_DELAY;
            let mut vacant: Option<(Option<RootSocketId>, Instant)> = None;
            loop {
                let joined = me.join(Precondition::NoRoot).await;
                let joined = match joined {
                    Err(JoinFailure::Unresponsive(socket_id)) => {
                        me.join(Precondition::RootIs(socket_id)).await
                    }
                    Err(JoinFailure::NoListener(socket_id)) => {
                        let since = vacant.filter(|(before, _)| *before == socket_id);
                        let (_, since) =
                            *vacant.insert(since.unwrap_or((socket_id, Instant::now())));
                        match since.elapsed() < STALE_LOCK_TIMEOUT {
                            true => Err(JoinFailure::Retry),
                            false => me.join(Precondition::RootIs(socket_id)).await,
                        }
                    }
                    joined => joined,
                };
                match joined {
                    // The root is dead already, and a child of it keeps its socket.
                    Ok(membership) if me.root_number.get() != membership.number => {}
                    Ok(membership) => {
                        pause = FIRST_RETRY_DELAY;
                        let (ended, hung_up) =
                            (Rc::clone(&membership.ended), Rc::clone(&membership.hung_up));
                        let socket_id = membership.socket_id;
                        vacant = None;
                        me.set_status(Status::Member(membership));
                        me.send_unsent_withdrawals();
                        me.changed.wait_for(|| ended.get().then_some(())).await;
                        me.dying_root.set(hung_up.get().then_some(socket_id));
                        tracing::debug!("the root is gone");
                        me.set_status(Status::Joining);
                    }
                    Err(
                        JoinFailure::Retry
                        | JoinFailure::NoListener(_)
                        | JoinFailure::Unresponsive(_),
                    ) => {
                        // Wakes binds and lookups that have given up.
                        me.changed.notify_all();
                        me.waitset.sleep(pause).await;
                        pause = (pause * 2).min(MAX_RETRY_DELAY);
                    }
                    Err(JoinFailure::Permanent(error)) => {
                        tracing::warn!(?error, "the monitor cannot join");
                        me.set_status(Status::Failed(error));
                        me.wait_before_retry().await;
                    }
                }
            }
        }
    }

    /// Checks periodically whether the root is still in place. Never ends.
    pub(super) fn watch_root_socket(self: &Rc<Self>) -> impl Future<Output = ()> + 'static {
        let me = Rc::clone(self);
        async move {
            loop {
                me.waitset.sleep(ROOT_CHECK_INTERVAL).await;
                Root::check_socket();
                let member = me.member();
                if let Some(membership) = member.filter(|membership| !membership.is_in_place()) {
                    membership.end(&me);
                }
            }
        }
    }

    /// Returns the runtime directory and its root.
    pub(crate) fn location(&self) -> RootLocation {
        match &*self.status.borrow() {
            Status::Member(membership) => membership.location(),
            _ => {
                let root = self.last_root.borrow().as_ref().map(RootProcess::new);
                RootLocation::new(choice::chosen(), root)
            }
        }
    }

    /// Returns the connection to the root, if there is one.
    pub(super) fn member(&self) -> Option<Rc<Membership>> {
        match &*self.status.borrow() {
            Status::Member(membership) => Some(Rc::clone(membership)),
            _ => None,
        }
    }

    /// Waits until a request arrives, and at most [`RETRY_AFTER_FAILURE`] if services are published
    /// here.
    async fn wait_before_retry(&self) {
        let joining = || matches!(*self.status.borrow(), Status::Joining);
        let asked = self.changed.wait_for(|| joining().then_some(()));
        if self.published.borrow().is_empty() {
            asked.await;
        } else if self.waitset.timeout(RETRY_AFTER_FAILURE, asked).await.is_err() {
            self.set_status(Status::Joining);
        }
    }

    /// Waits for a connection to the root, and returns it.
    pub(super) async fn membership(&self) -> Result<Rc<Membership>, MonitorError> {
        if matches!(*self.status.borrow(), Status::Failed(_)) {
            self.set_status(Status::Joining);
        }
        let found = || match &*self.status.borrow() {
            Status::Joining => None,
            Status::Member(membership) if membership.ended.get() => None,
            Status::Member(membership) => Some(Ok(Rc::clone(membership))),
            Status::Failed(error) => Some(Err(error.clone())),
        };
        self.changed.wait_for(found).await
    }

    /// Calls the root. If it dies or is stuck, calls the next one.
    ///
    /// A root that was stopped and replaced does not know that when it continues, and its answers
    /// are void. So after each answer this checks that the root is still in place. The root that
    /// replaces it reads the journal after the rename. So a name that is granted here is known to
    /// every later root.
    pub(super) async fn call_root<T, F>(
        &self,
        call: impl Fn(&monitor::RpcClient) -> F,
    ) -> Result<T, MonitorError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        self.call_root_with(ReplyTiming::Immediate, call).await
    }

    /// Like [`call_root`](Self::call_root), for calls that the root answers when a name is
    /// registered.
    pub(super) async fn call_root_deferred<T, F>(
        &self,
        progress: &Progress,
        call: impl Fn(&monitor::RpcClient) -> F,
    ) -> Result<T, MonitorError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        self.call_root_with(ReplyTiming::Deferred(progress), call).await
    }

    async fn call_root_with<T, F>(
        &self,
        timing: ReplyTiming<'_>,
        call: impl Fn(&monitor::RpcClient) -> F,
    ) -> Result<T, MonitorError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        loop {
            if let ReplyTiming::Deferred(progress) = timing {
                progress.set_awaited(Awaited::Root);
            }
            let membership = self.membership().await?;
            let until_unresponsive = self.until_unresponsive(&membership, timing);
            let answer = until_cancelled(call(&membership.client), until_unresponsive).await;
            match answer {
                Some(Ok(value)) if membership.is_in_place() => return Ok(value),
                Some(Err(RpcError::NoReply)) => return Err(MonitorError::Busy),
                Some(Ok(_)) => tracing::debug!("an answer came from a root that was replaced"),
                Some(Err(error)) => tracing::debug!(?error, "a call to the root failed"),
                None => self.replace_root(&membership).await,
            }
            membership.end(self);
        }
    }

    /// Completes when the root is stuck.
    async fn until_unresponsive(&self, membership: &Membership, timing: ReplyTiming<'_>) {
        let delay = match timing {
            ReplyTiming::Immediate => ALIVE_CHECK_DELAY,
            ReplyTiming::Deferred(progress) => progress.check_delay(ALIVE_CHECK_DELAY),
        };
        self.waitset.sleep(delay).await;
        while let Some(alive) =
            within_response_timeout(&self.waitset, membership.client.alive_async()).await
        {
            match timing {
                ReplyTiming::Immediate => self.waitset.sleep(ROOT_CHECK_INTERVAL).await,
                ReplyTiming::Deferred(progress) if alive == Ok(true) => {
                    progress.set_awaited(Awaited::Owners);
                    self.waitset.sleep(progress.check_delay(OWNERS_CHECK_INTERVAL)).await;
                }
                // The root has received the call. If it gets stuck, the next other call notices.
                ReplyTiming::Deferred(progress) => {
                    progress.set_awaited(Awaited::Registration);
                    core::future::pending().await
                }
            }
        }
    }

    /// Replaces a stuck root, if this process can be root.
    async fn replace_root(&self, membership: &Membership) {
        if membership.ended.get() || Root::serves_here() {
            return;
        }
        tracing::warn!(
            location = %membership.location(),
            "the root monitor does not answer: another process takes its place"
        );
        if let Err(JoinFailure::Permanent(error)) =
            self.become_root(Precondition::RootIs(Some(membership.socket_id)))
        {
            tracing::warn!(?error, "this process cannot be the root monitor");
        }
    }

    fn set_status(&self, status: Status) {
        let old = self.status.replace(status);
        drop(old);
        self.changed.notify_all();
    }

    /// Makes one attempt to join.
    async fn join(&self, precondition: Precondition) -> Result<Rc<Membership>, JoinFailure> {
        if precondition != Precondition::NoRoot {
            self.become_root(precondition)?;
        }
        let mut directory = choice::open()?;
        let mut socket_id = directory.identity().root_socket_id();
        let mut probe = election::probe(&directory)?;
        if let RootProbe::NoRoot = probe {
            self.last_root.take();
            // The root may be in this process, and its socket removed.
            if Root::check_socket() {
                return Err(JoinFailure::Retry);
            }
            directory = match choice::switch_from(directory.path()) {
                Some(other) => other,
                None if self.become_root_in(directory, Precondition::NoRoot)? => choice::open()?,
                None => return Err(JoinFailure::NoListener(socket_id)),
            };
            socket_id = directory.identity().root_socket_id();
            probe = election::probe(&directory)?;
        }
        let (socket, socket_id) = match (probe, socket_id) {
            (RootProbe::Connected(socket), Some(socket_id)) => (socket, socket_id),
            (RootProbe::Busy, socket_id) => {
                let waiting = self.until_not_busy(&directory);
                return match within_response_timeout(&self.waitset, waiting).await {
                    None if directory.identity().root_socket_id() == socket_id => {
                        Err(JoinFailure::Unresponsive(socket_id))
                    }
                    Some(Err(error)) => Err(error.into()),
                    _ => Err(JoinFailure::Retry),
                };
            }
            _ => return Err(JoinFailure::Retry),
        };
        let membership = self.connect(socket, socket_id, &directory)?;
        match self.register_with_root(&membership, &directory).await {
            Ok(()) if membership.is_in_place() => Ok(membership),
            Ok(()) => Err(JoinFailure::Retry),
            Err(setback) => Err(setback),
        }
    }

    /// Waits until the root accepts a connection, or is gone.
    async fn until_not_busy(&self, directory: &RuntimeDir) -> Result<(), MonitorError> {
        while let RootProbe::Busy = election::probe(directory)? {
            self.waitset.sleep(MAX_RETRY_DELAY).await;
        }
        Ok(())
    }

    /// Tries to become root. Returns false if another process is root, or is becoming root.
    fn become_root(&self, precondition: Precondition) -> Result<bool, JoinFailure> {
        self.become_root_in(choice::open()?, precondition)
    }

    fn become_root_in(
        &self,
        directory: RuntimeDir,
        precondition: Precondition,
    ) -> Result<bool, JoinFailure> {
        if Root::serves_here() {
            return Ok(false);
        }
        let Some(elected) = election::try_become_root(directory, precondition)? else {
            return Ok(false);
        };
        if choice::must_yield(elected.socket.directory_id.path()) {
            root_lock::release();
            return Err(JoinFailure::Retry);
        }
        tracing::info!("this process is the root monitor");
        Root::start(&self.waitset, elected, JoinPolicy::embedded());
        Ok(true)
    }

    fn connect(
        &self,
        socket: OwnedFd,
        socket_id: RootSocketId,
        directory: &RuntimeDir,
    ) -> Result<Rc<Membership>, JoinFailure> {
        let (root, process) =
            election::identify_root(&socket, directory)?.ok_or(JoinFailure::Retry)?;
        self.last_root.replace(Some(root.clone()));
        let channel = lmp::over(socket, Origin::LOCAL).map_err(|_| JoinFailure::Retry)?;
        let (ended, hung_up) = <(Rc<Cell<bool>>, Rc<Cell<bool>>)>::default();
        let rx = RootHandler { ended: Rc::clone(&ended), hung_up: Rc::clone(&hung_up) };
        let failed = MonitorError::os("watch the root");
        let binding = monitor::over(channel as _, &self.waitset, rx).map_err(&failed)?;
        exempt(binding.as_raw());
        let number = self.next_number();
        let death = ExitWatch::new(&self.waitset, process, move |remote| {
            remote.post(move |_| {
                Monitor::with_current(|monitor| monitor.root_died(number));
                Ok(())
            });
        })
        .map_err(failed)?;
        self.root_number.set(number);
        Ok(Rc::new(Membership {
            number,
            client: monitor::RpcClient::new(&binding),
            outbox: Outbox::new(&self.waitset, binding),
            ended,
            hung_up,
            socket_id,
            directory_id: directory.identity().clone(),
            root,
            _death: death,
        }))
    }

    /// Sends `hello`, then publishes and registers again what the last root had from this domain.
    async fn register_with_root(
        &self,
        membership: &Membership,
        directory: &RuntimeDir,
    ) -> Result<(), JoinFailure> {
        let domain = match self.domain.get() {
            0 => random_number().map_err(MonitorError::os("get random bits"))?,
            domain => domain,
        };
        let verdict =
            self.reply_in_time(membership, membership.client.hello_async(VERSION, domain)).await?;
        match verdict {
            monitor::Verdict::Ok => self.domain.set(domain),
            monitor::Verdict::Version => {
                return Err(JoinFailure::Permanent(MonitorError::Version {
                    location: membership.location(),
                }));
            }
            monitor::Verdict::Forbidden => {
                return Err(JoinFailure::Permanent(MonitorError::JoinDenied {
                    directory: directory.path().to_owned(),
                    owner: directory.owner(),
                }));
            }
            monitor::Verdict::Duplicate => {
                // The id is that of an earlier connection that the root still has, or of another
                // process. A new id will do.
                self.domain.set(0);
                return Err(JoinFailure::Retry);
            }
            _ => return Err(JoinFailure::Retry),
        }
        let published: Vec<_> = self.published.borrow().iter().copied().collect();
        for iref in published {
            self.reply_in_time(membership, self.publish_over(&membership.client, iref)).await?;
        }
        let names = self.names.borrow().clone();
        for (name, iref) in names {
            let (verdict, pid, _) = self
                .reply_in_time(membership, membership.client.register_async(&name, iref, false))
                .await?;
            if verdict != monitor::Verdict::Ok {
                log_limited!(
                    warn,
                    name = %Escaped(&name),
                    pid,
                    "the name was lost to another process with the root"
                );
                self.name_taken(&name, pid);
            }
        }
        // Sent before any other request to this root.
        membership.client.binding().tx_rejoined().map(drop).map_err(|_| JoinFailure::Retry)
    }

    /// Awaits the reply of a root that is being joined.
    async fn reply_in_time<T>(
        &self,
        membership: &Membership,
        call: impl Future<Output = Result<T, RpcError>>,
    ) -> Result<T, JoinFailure> {
        let is_in_place = || membership.is_in_place();
        let answer = if self.dying_root.get() == Some(membership.socket_id) {
            self.waitset.timeout(DYING_ROOT_TIMEOUT, call).await.ok()
        } else {
            within_response_timeout_while(&self.waitset, is_in_place, call).await
        };
        match answer {
            Some(answer) => answer.map_err(|_| JoinFailure::Retry),
            None if is_in_place() => Err(JoinFailure::Unresponsive(Some(membership.socket_id))),
            None => Err(JoinFailure::Retry),
        }
    }

    /// Handles the exit of the root of connection `number`.
    fn root_died(&self, number: u64) {
        if self.root_number.get() != number {
            return;
        }
        self.root_number.set(0);
        self.last_root.take();
        if let Some(membership) = self.member() {
            membership.end(self);
        }
    }
}

impl Membership {
    /// Returns the runtime directory and its root.
    pub(super) fn location(&self) -> RootLocation {
        RootLocation::new(self.directory_id.path().to_owned(), Some(RootProcess::new(&self.root)))
    }

    /// Returns true unless another root has replaced this one. If no socket is in place, there is no other root.
    fn is_in_place(&self) -> bool {
        self.directory_id.root_socket_id().is_none_or(|socket_id| socket_id == self.socket_id)
    }

    /// Ends the membership: the main task joins again.
    pub(super) fn end(&self, monitor: &Monitor) {
        if !self.ended.replace(true) {
            self.outbox.binding().teardown();
            monitor.changed.notify_all();
        }
    }
}

/// Receives the messages of the root.
struct RootHandler {
    ended: Rc<Cell<bool>>,
    hung_up: Rc<Cell<bool>>,
}

impl monitor::ClientRx for RootHandler {
    fn introduced(
        &mut self,
        _: &monitor::ClientBinding,
        domain: u64,
        pid: u32,
        uid: u32,
        gid: u32,
        caller: bool,
        socket: Cap,
        process: Cap,
    ) {
        // The root sends a pid of its own PID namespace.
        let pid = pid_of(process.as_fd()).or_else(|| pid_from_wire(pid));
        let peer = Peer::process(pid, id_from_wire(uid), id_from_wire(gid));
        let introduction = Introduction { domain, peer, caller, socket, process };
        Monitor::with_current(|monitor| monitor.introduced(introduction));
    }

    fn name_taken(&mut self, _: &monitor::ClientBinding, name: &str, pid: u32) {
        Monitor::with_current(|monitor| monitor.name_taken(name, pid));
    }

    fn report(&mut self, _: &monitor::ClientBinding, ticket: u64, link: u64, connection: u64) {
        Monitor::with_current(|monitor| monitor.report(ticket, (link, connection)));
    }

    fn report_accounts(&mut self, _: &monitor::ClientBinding, ticket: u64, after: u64) {
        Monitor::with_current(|monitor| monitor.report_accounts(ticket, after));
    }

    fn error(&mut self, _: &monitor::ClientBinding, error: BindingError) {
        match error {
            BindingError::CapsRefused(CapRefusal::ReceiverLimit) => {
                Monitor::with_current(|monitor| {
                    let lost = &monitor.introductions_lost;
                    lost.set(lost.get() + 1);
                    monitor.changed.notify_all();
                })
            }
            error if !error.is_fatal() => {}
            error => {
                tracing::debug!(?error, "the connection to the root has ended");
                self.hung_up.set(error == BindingError::PeerDied);
                self.ended.set(true);
                Monitor::with_current(|monitor| monitor.changed.notify_all());
            }
        }
    }
}

/// Returns true for errors that pass by themselves.
fn is_shortage(errno: Errno) -> bool {
    matches!(
        errno.raw_os_error(),
        libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN
    )
}
