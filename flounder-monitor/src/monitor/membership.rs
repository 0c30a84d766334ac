//! Belonging to a host: standing for root, joining the root that there is, and starting over when it is gone or stuck.
//!
//! ```text
//!   Joining --nobody there--> serve as root --.
//!      ^  '-------------------connect, hello, publish and register again--> Member --the root is gone, or stuck--> Joining
//!      |                                              |
//!      '------- somebody asks ------- Failed <--------'  (nothing that trying again would mend)
//! ```
//! A root that does not answer for [`SILENCE`] is stuck: one of its domains takes its place. It may go on later and answer
//! what it was asked, so an answer counts only if the root is still in its place after it came.

use core::cell::Cell;
use core::time::Duration;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use flounder_drivers::lmp;
use flounder_rt::cap::Cap;
use flounder_rt::channel::CapRefusal;
use flounder_rt::closer::Origin;
use flounder_rt::{BindingError, Escaped, Iref, Peer, RpcError, TxError};

use crate::death::DeathWatch;
use crate::election::{self, Knock, Stand, VACANCY};
use crate::error::{DirProblem, MonitorError};
use crate::link::Introduction;
use crate::monitor::Monitor;
use crate::nameservice::LostName;
use crate::outbox::{Message, Outbox, Sending};
use crate::process::{id_from_wire, pid_from_wire, pid_of, random_number};
use crate::protocol::{VERSION, monitor};
use crate::root::{Policy, Root};
use crate::root_location::{RootLocation, RootProcess};
use crate::runtime_dir::{Office, RuntimeDir, Spot};
use crate::wait::{first, sleep, unless_silent, within};

/// Between two attempts to join, at first; each is twice as long as the one before, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Between two attempts that only a change of the system can make succeed, for the sake of what is published.
const RETRY: Duration = Duration::from_secs(1);

/// A call that has not been answered by then is followed by another, which every root answers at once.
const DOUBT: Duration = Duration::from_millis(250);

/// Between two looks at whether the root is still in its place. A root that is stuck does not say that it has been replaced.
const LOOK: Duration = Duration::from_secs(1);

/// How this domain stands.
pub(super) enum Status {
    /// On its way.
    Joining,
    /// It has a connection to the root.
    Member(Rc<Membership>),
    /// It cannot join.
    Failed(MonitorError),
}

/// A connection to the root.
pub(super) struct Membership {
    number: u64,
    pub(super) client: monitor::RpcClient,
    pub(super) notices: Rc<Outbox<Notice>>,
    ended: Rc<Cell<bool>>,
    /// Which root it is, where its socket is, and its process.
    office: Office,
    spot: Spot,
    root: Peer,
    _death: DeathWatch,
}

/// What the root is told without being asked for an answer.
pub(super) enum Notice {
    Withdraw(Iref),
    Reported { ticket: u64, bindings: Vec<monitor::Held> },
    ReportedAccounts { ticket: u64, accounts: Vec<monitor::Spent>, limits: Vec<u64> },
}

impl Message for Notice {
    type Binding = monitor::Binding;
    const MAX_WAITING: usize = 8192;

    fn send(self, binding: &monitor::Binding) -> Sending<Self> {
        let sent = match &self {
            Self::Withdraw(iref) => binding.tx_withdraw(*iref),
            Self::Reported { ticket, bindings } => binding.tx_reported(*ticket, bindings),
            Self::ReportedAccounts { ticket, accounts, limits } => {
                binding.tx_reported_accounts(*ticket, accounts, limits)
            }
        };
        match sent {
            Ok(_) => Sending::Sent,
            Err(TxError::Busy) => Sending::Later(self),
            Err(_) => Sending::Ended,
        }
    }
}

/// When a root answers a call.
#[derive(Debug, Clone, Copy)]
enum Answers {
    /// In a moment: it is asked again and again whether it is alive.
    Soon,
    /// When something happens: it is asked once whether it has heard the call.
    Sometime,
}

/// Why an attempt to join failed.
enum Setback {
    /// The next may succeed.
    Again,
    /// There is no root that listens, and another process has the lock.
    Vacant(Option<Office>),
    /// This root does not answer, or takes nobody in.
    Silent(Option<Office>),
    /// Not before something is changed.
    Final(MonitorError),
}

impl From<MonitorError> for Setback {
    fn from(error: MonitorError) -> Self {
        match error {
            MonitorError::Os { errno, .. }
            | MonitorError::RuntimeDir { why: DirProblem::Os(errno), .. }
                if is_shortage(errno) =>
            {
                tracing::debug!(%error, "the monitor is short of something and tries again");
                Self::Again
            }
            error => Self::Final(error),
        }
    }
}

impl Monitor {
    /// The monitor's main task: it never ends.
    pub(super) fn keep_membership(self: &Rc<Self>) -> impl Future<Output = ()> + 'static {
        let me = Rc::clone(self);
        async move {
            let mut pause = FIRST_PAUSE;
            let mut vacant: Option<(Option<Office>, Instant)> = None;
            loop {
                let joined = me.join(Stand::IfFree).await;
                let joined = match joined {
                    Err(Setback::Silent(office)) => me.join(Stand::InPlaceOf(office)).await,
                    Err(Setback::Vacant(office)) => {
                        let since = vacant.filter(|(before, _)| *before == office);
                        let (_, since) = *vacant.insert(since.unwrap_or((office, Instant::now())));
                        match since.elapsed() < VACANCY {
                            true => Err(Setback::Again),
                            false => me.join(Stand::InPlaceOf(office)).await,
                        }
                    }
                    joined => joined,
                };
                match joined {
                    // Dead already, and its socket kept by a child of it.
                    Ok(membership) if me.root_number.get() != membership.number => {}
                    Ok(membership) => {
                        pause = FIRST_PAUSE;
                        let ended = Rc::clone(&membership.ended);
                        vacant = None;
                        me.set_status(Status::Member(membership));
                        me.tell_late();
                        me.changed.until(|| ended.get().then_some(())).await;
                        tracing::debug!("the root is gone");
                        me.set_status(Status::Joining);
                    }
                    Err(Setback::Again | Setback::Vacant(_) | Setback::Silent(_)) => {
                        // Those who gave up meanwhile are forgotten.
                        me.changed.raise();
                        sleep(&me.waitset, pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                    Err(Setback::Final(error)) => {
                        tracing::warn!(%error, "the monitor cannot join");
                        me.set_status(Status::Failed(error));
                        me.until_worth_a_try().await;
                    }
                }
            }
        }
    }

    /// Looks now and then whether the root is still in its place.
    pub(super) fn watch_place(self: &Rc<Self>) -> impl Future<Output = ()> + 'static {
        let me = Rc::clone(self);
        async move {
            loop {
                sleep(&me.waitset, LOOK).await;
                Root::check_office();
                let member = me.member();
                if let Some(membership) = member.filter(|membership| !membership.is_in_place()) {
                    membership.end(&me);
                }
            }
        }
    }

    /// Where this process meets others, and who is the root there.
    pub(crate) fn location(&self) -> RootLocation {
        match &*self.status.borrow() {
            Status::Member(membership) => membership.location(),
            _ => {
                let root = self.root_seen.borrow().as_ref().map(RootProcess::new);
                RootLocation::new(RuntimeDir::chosen(), root)
            }
        }
    }

    /// The connection to the root, if there is one.
    pub(super) fn member(&self) -> Option<Rc<Membership>> {
        match &*self.status.borrow() {
            Status::Member(membership) => Some(Rc::clone(membership)),
            _ => None,
        }
    }

    /// Waits until somebody asks; if something is published here that others may look for, not for long.
    async fn until_worth_a_try(&self) {
        let joining = || matches!(*self.status.borrow(), Status::Joining);
        let asked = self.changed.until(|| joining().then_some(()));
        if self.published.borrow().is_empty() {
            asked.await;
        } else if within(&self.waitset, RETRY, asked).await.is_none() {
            self.set_status(Status::Joining);
        }
    }

    /// The connection to the root, as soon as there is one.
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
        self.changed.until(found).await
    }

    /// Calls the root; if it goes or is stuck meanwhile, calls the next one.
    ///
    /// A root that was stopped, and deposed, does not know it when it goes on. What it says then is void: it is asked for
    /// after the answer whether it was still the root, and whoever takes its place reads what it has written down after
    /// that. So a name that is granted here is known to every root to come.
    pub(super) async fn ask<T, F>(
        &self,
        call: impl Fn(&monitor::RpcClient) -> F,
    ) -> Result<T, MonitorError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        self.ask_within(Answers::Soon, call).await
    }

    /// As [`ask`](Self::ask), where the answer may come much later.
    pub(super) async fn ask_and_wait<T, F>(
        &self,
        call: impl Fn(&monitor::RpcClient) -> F,
    ) -> Result<T, MonitorError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        self.ask_within(Answers::Sometime, call).await
    }

    async fn ask_within<T, F>(
        &self,
        answers: Answers,
        call: impl Fn(&monitor::RpcClient) -> F,
    ) -> Result<T, MonitorError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        loop {
            let membership = self.membership().await?;
            let silence = self.silence(&membership, answers);
            let answer = first(call(&membership.client), silence).await;
            match answer {
                Some(Ok(value)) if membership.is_in_place() => return Ok(value),
                Some(Err(RpcError::NoReply)) => return Err(MonitorError::Busy),
                Some(Ok(_)) => tracing::debug!("an answer came from a root that is deposed"),
                Some(Err(error)) => tracing::debug!(%error, "a call to the root failed"),
                None => self.depose(&membership).await,
            }
            membership.end(self);
        }
    }

    /// Completes when the root is stuck.
    async fn silence(&self, membership: &Membership, answers: Answers) {
        sleep(&self.waitset, DOUBT).await;
        while unless_silent(&self.waitset, membership.client.alive_async()).await.is_some() {
            match answers {
                Answers::Soon => sleep(&self.waitset, LOOK).await,
                // The root has heard of it. If it gets stuck, those who have something to tell it notice.
                Answers::Sometime => core::future::pending().await,
            }
        }
    }

    /// Takes the place of a root that is stuck, if this process can.
    async fn depose(&self, membership: &Membership) {
        if membership.ended.get() || Root::serves_here() {
            return;
        }
        tracing::warn!(
            location = %membership.location(),
            "the root monitor does not answer: another process takes its place"
        );
        if let Err(Setback::Final(error)) = self.stand(Stand::InPlaceOf(Some(membership.office))) {
            tracing::warn!(%error, "this process cannot be the root monitor");
        }
    }

    fn set_status(&self, status: Status) {
        let old = self.status.replace(status);
        drop(old);
        self.changed.raise();
    }

    /// One attempt.
    async fn join(&self, stand: Stand) -> Result<Rc<Membership>, Setback> {
        if stand != Stand::IfFree {
            self.stand(stand)?;
        }
        let mut directory = RuntimeDir::open()?;
        let mut office = directory.spot().office();
        let mut knock = election::knock(&directory)?;
        if let Knock::NobodyThere = knock {
            self.root_seen.take();
            // A root of this process whose socket was removed is none.
            if Root::check_office() {
                return Err(Setback::Again);
            }
            if !self.stand_in(directory, Stand::IfFree)? {
                return Err(Setback::Vacant(office));
            }
            directory = RuntimeDir::open()?;
            office = directory.spot().office();
            knock = election::knock(&directory)?;
        }
        let (socket, office) = match (knock, office) {
            (Knock::Connected(socket), Some(office)) => (socket, office),
            (Knock::Busy, office) => {
                let waiting = self.until_not_busy(&directory);
                return match unless_silent(&self.waitset, waiting).await {
                    None if directory.spot().office() == office => Err(Setback::Silent(office)),
                    Some(Err(error)) => Err(error.into()),
                    _ => Err(Setback::Again),
                };
            }
            _ => return Err(Setback::Again),
        };
        let membership = self.connect(socket, office, &directory)?;
        match self.introduce_to_root(&membership, &directory).await {
            Ok(()) if membership.is_in_place() => Ok(membership),
            Ok(()) => Err(Setback::Again),
            Err(setback) => Err(setback),
        }
    }

    /// Waits until the root takes somebody in, or is gone.
    async fn until_not_busy(&self, directory: &RuntimeDir) -> Result<(), MonitorError> {
        while let Knock::Busy = election::knock(directory)? {
            sleep(&self.waitset, LONGEST_PAUSE).await;
        }
        Ok(())
    }

    /// Becomes the root if there is none. False if another process is, or is about to be.
    fn stand(&self, when: Stand) -> Result<bool, Setback> {
        self.stand_in(RuntimeDir::open()?, when)
    }

    fn stand_in(&self, directory: RuntimeDir, when: Stand) -> Result<bool, Setback> {
        if Root::serves_here() {
            return Ok(false);
        }
        let Some(elected) = election::stand(directory, when)? else { return Ok(false) };
        tracing::info!("this process is the root monitor");
        Root::start(&self.waitset, elected, Policy::embedded());
        Ok(true)
    }

    fn connect(
        &self,
        socket: OwnedFd,
        office: Office,
        directory: &RuntimeDir,
    ) -> Result<Rc<Membership>, Setback> {
        let (root, process) = election::root_of(&socket, directory)?.ok_or(Setback::Again)?;
        self.root_seen.replace(Some(root.clone()));
        let channel = lmp::over(socket, Origin::LOCAL).map_err(|_| Setback::Again)?;
        let ended = Rc::new(Cell::new(false));
        let rx = FromRoot { ended: Rc::clone(&ended) };
        let failed = |error: std::io::Error| MonitorError::Os {
            what: "watch the root",
            errno: error.raw_os_error().unwrap_or(0),
        };
        let binding = monitor::Binding::attach(channel as _, &self.waitset, rx).map_err(failed)?;
        binding.exempt();
        let number = self.number();
        let death = DeathWatch::new(&self.waitset, process, move |remote| {
            remote.post(move |_| {
                Monitor::here_do(|monitor| monitor.root_died(number));
                Ok(())
            });
        })
        .map_err(failed)?;
        self.root_number.set(number);
        Ok(Rc::new(Membership {
            number,
            client: monitor::RpcClient::new(&binding),
            notices: Outbox::new(&self.waitset, binding),
            ended,
            office,
            spot: directory.spot().clone(),
            root,
            _death: death,
        }))
    }

    /// Says who this is, and tells a new root what the last one knew of us.
    async fn introduce_to_root(
        &self,
        membership: &Membership,
        directory: &RuntimeDir,
    ) -> Result<(), Setback> {
        let domain = match self.domain.get() {
            0 => random_number().map_err(MonitorError::os("get random bits"))?,
            domain => domain,
        };
        let verdict =
            self.heard(membership, membership.client.hello_async(VERSION, domain)).await?;
        match verdict {
            monitor::Verdict::Ok => self.domain.set(domain),
            monitor::Verdict::Version => {
                return Err(Setback::Final(MonitorError::Version {
                    location: membership.location(),
                }));
            }
            monitor::Verdict::Forbidden => {
                return Err(Setback::Final(MonitorError::JoinDenied {
                    directory: directory.path().to_owned(),
                    owner: directory.owner(),
                }));
            }
            monitor::Verdict::Duplicate => {
                // Of an earlier connection of ours that the root has not seen end, or a thief's. Another will do.
                self.domain.set(0);
                return Err(Setback::Again);
            }
            _ => return Err(Setback::Again),
        }
        let published: Vec<_> = self.published.borrow().iter().copied().collect();
        for iref in published {
            self.heard(membership, self.publish_over(&membership.client, iref)).await?;
        }
        let names = self.names.borrow().clone();
        for (name, iref) in names {
            let (verdict, pid) =
                self.heard(membership, membership.client.register_async(&name, iref)).await?;
            if verdict != monitor::Verdict::Ok {
                tracing::warn!(
                    name = %Escaped(&name),
                    pid,
                    "the name was lost to another process with the root"
                );
                self.names.borrow_mut().remove(&name);
                let lost = LostName { name: name.clone(), pid: pid_from_wire(pid) };
                self.lost.borrow_mut().insert(name, lost);
                self.changed.raise();
            }
        }
        // Before anything that is asked of this root from now on.
        membership.client.binding().tx_settled().map(drop).map_err(|_| Setback::Again)
    }

    /// What a root that is joined answers.
    async fn heard<T>(
        &self,
        membership: &Membership,
        call: impl Future<Output = Result<T, RpcError>>,
    ) -> Result<T, Setback> {
        match unless_silent(&self.waitset, call).await {
            Some(answer) => answer.map_err(|_| Setback::Again),
            None if membership.is_in_place() => Err(Setback::Silent(Some(membership.office))),
            None => Err(Setback::Again),
        }
    }

    /// The root of connection `number` is dead.
    fn root_died(&self, number: u64) {
        if self.root_number.get() != number {
            return;
        }
        self.root_number.set(0);
        self.root_seen.take();
        if let Some(membership) = self.member() {
            membership.end(self);
        }
    }
}

impl Membership {
    /// Where the root was found, and who that is.
    pub(super) fn location(&self) -> RootLocation {
        RootLocation::new(self.spot.path().to_owned(), Some(RootProcess::new(&self.root)))
    }

    /// Whether no other root has taken the place of this one. If nobody is in that place, no other has yet.
    fn is_in_place(&self) -> bool {
        self.spot.office().is_none_or(|office| office == self.office)
    }

    /// Ends it: the main task starts over.
    pub(super) fn end(&self, monitor: &Monitor) {
        if !self.ended.replace(true) {
            self.notices.binding().teardown();
            monitor.changed.raise();
        }
    }
}

/// What the root says.
struct FromRoot {
    ended: Rc<Cell<bool>>,
}

impl monitor::Rx for FromRoot {
    fn introduced(
        &mut self,
        _: &monitor::Binding,
        domain: u64,
        pid: u32,
        uid: u32,
        gid: u32,
        caller: bool,
        socket: Cap,
        process: Cap,
    ) {
        // The root's number of it is one of the root's namespace.
        let pid = pid_of(process.as_fd()).or_else(|| pid_from_wire(pid));
        let peer = Peer::process(pid, id_from_wire(uid), id_from_wire(gid));
        let introduction = Introduction { domain, peer, caller, socket, process };
        Monitor::here_do(|monitor| monitor.introduced(introduction));
    }

    fn report(&mut self, _: &monitor::Binding, ticket: u64, link: u64, connection: u64) {
        Monitor::here_do(|monitor| monitor.report(ticket, (link, connection)));
    }

    fn report_accounts(&mut self, _: &monitor::Binding, ticket: u64, after: u64) {
        Monitor::here_do(|monitor| monitor.report_accounts(ticket, after));
    }

    fn error(&mut self, _: &monitor::Binding, error: BindingError) {
        match error {
            BindingError::CapsRefused(CapRefusal::ReceiverLimit) => Monitor::here_do(|monitor| {
                let lost = &monitor.introductions_lost;
                lost.set(lost.get() + 1);
                monitor.changed.raise();
            }),
            error if !error.is_fatal() => {}
            error => {
                tracing::debug!(%error, "the connection to the root has ended");
                self.ended.set(true);
                Monitor::here_do(|monitor| monitor.changed.raise());
            }
        }
    }

    // A root asks nothing of a domain. A reply that is dropped says so.
    fn hello(&mut self, _: &monitor::Binding, _: u32, _: u64, _: monitor::HelloReply) {}

    fn publish(
        &mut self,
        _: &monitor::Binding,
        _: Iref,
        _: &str,
        _: u64,
        _: u64,
        _: monitor::PublishReply,
    ) {
    }

    fn withdraw(&mut self, _: &monitor::Binding, _: Iref) {}

    fn register(&mut self, _: &monitor::Binding, _: &str, _: Iref, _: monitor::RegisterReply) {}

    fn unregister(&mut self, _: &monitor::Binding, _: &str, _: monitor::UnregisterReply) {}

    fn lookup(&mut self, _: &monitor::Binding, _: &str, _: monitor::LookupReply) {}

    fn await_name(&mut self, _: &monitor::Binding, _: u64, _: &str, _: monitor::AwaitNameReply) {}

    fn forget(&mut self, _: &monitor::Binding, _: u64, _: monitor::ForgetReply) {}

    fn list(&mut self, _: &monitor::Binding, _: &str, _: monitor::ListReply) {}

    fn members(&mut self, _: &monitor::Binding, _: u64, _: monitor::MembersReply) {}

    fn bindings(
        &mut self,
        _: &monitor::Binding,
        _: u64,
        _: u64,
        _: u64,
        _: monitor::BindingsReply,
    ) {
    }

    fn reported(&mut self, _: &monitor::Binding, _: u64, _: &[monitor::Held]) {}

    fn accounts(&mut self, _: &monitor::Binding, _: u64, _: u64, _: monitor::AccountsReply) {}

    fn reported_accounts(&mut self, _: &monitor::Binding, _: u64, _: &[monitor::Spent], _: &[u64]) {
    }

    fn settled(&mut self, _: &monitor::Binding) {}

    fn relieve(&mut self, _: &monitor::Binding, _: monitor::RelieveReply) {}

    fn find(&mut self, _: &monitor::Binding, _: Iref, _: monitor::FindReply) {}

    fn introduce(&mut self, _: &monitor::Binding, _: u64, _: monitor::IntroduceReply) {}

    fn alive(&mut self, _: &monitor::Binding, _: monitor::AliveReply) {}
}

/// Whether an error passes by itself.
fn is_shortage(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN)
}
