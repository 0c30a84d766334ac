//! Belonging to a host: standing for root, joining the root that there is, and starting over when it is gone.
//!
//! ```text
//!   Joining --lock got--> serve as root --.
//!      ^  '---------------connect, hello, publish and register again--> Member --the root is gone--> Joining
//!      |                                        |
//!      '------- somebody asks ------- Failed <--'  (nothing that trying again would mend)
//! ```

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use flounder_drivers::lmp;
use flounder_rt::cap::Cap;
use flounder_rt::channel::CapRefusal;
use flounder_rt::{BindingError, Escaped, Iref, Peer, RpcError, TxError};
use rustix::fs::fstat;

use crate::death::DeathWatch;
use crate::election;
use crate::error::{DirProblem, MonitorError};
use crate::link::Introduction;
use crate::monitor::Monitor;
use crate::outbox::{Message, Outbox, Sending};
use crate::place::{Place, RootProcess};
use crate::process::{id_from_wire, pid_from_wire, random_number};
use crate::protocol::{VERSION, monitor};
use crate::root::{Policy, Root};
use crate::runtime_dir::{RuntimeDir, Spot};
use crate::wait::{sleep, within};

/// Between two attempts to join, at first; each is twice as long as the one before, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Between two attempts that only a change of the system can make succeed, for the sake of what is published.
const RETRY: Duration = Duration::from_secs(1);

/// Between two comparisons of where the root was found with where its path leads: as seldom as nobody notices.
const COMPARE: Duration = Duration::from_secs(5);

/// A root that takes longer than this to answer the first call is not one.
const HELLO_DEADLINE: Duration = Duration::from_secs(2);

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
    death: DeathWatch,
    /// The root.
    root: Peer,
    /// Where it was found, and found to be still.
    spot: RefCell<Spot>,
}

/// What the root is told without being asked for an answer.
pub(super) enum Notice {
    Withdraw(Iref),
    Forget(u64),
    Reported { ticket: u64, bindings: Vec<monitor::Held> },
}

impl Message for Notice {
    type Binding = monitor::Binding;
    const MAX_WAITING: usize = 8192;

    fn send(self, binding: &monitor::Binding) -> Sending<Self> {
        let sent = match &self {
            Self::Withdraw(iref) => binding.tx_withdraw(*iref),
            Self::Forget(ticket) => binding.tx_forget(*ticket),
            Self::Reported { ticket, bindings } => binding.tx_reported(*ticket, bindings),
        };
        match sent {
            Ok(_) => Sending::Sent,
            Err(TxError::Busy) => Sending::Later(self),
            Err(_) => Sending::Ended,
        }
    }
}

/// Why an attempt to join failed.
enum Setback {
    /// The next may succeed.
    Again,
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
            loop {
                match me.join().await {
                    // Dead already, and its socket kept by a child of it.
                    Ok(membership) if me.root_number.get() != membership.number => {}
                    Ok(membership) => {
                        pause = FIRST_PAUSE;
                        let ended = Rc::clone(&membership.ended);
                        me.set_status(Status::Member(membership));
                        me.tell_late();
                        me.until_ended(&ended).await;
                        tracing::debug!("the root is gone");
                        me.set_status(Status::Joining);
                    }
                    Err(Setback::Again) => {
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

    /// Waits until the membership ends. Ends it if the root is no longer where its path leads.
    async fn until_ended(&self, ended: &Cell<bool>) {
        let over = || ended.get().then_some(());
        // The root looks for itself, and may be about to make its place anew.
        let mut misses = 0;
        while within(&self.waitset, COMPARE, self.changed.until(over)).await.is_none() {
            let member = match &*self.status.borrow() {
                Status::Member(membership) => Rc::clone(membership),
                _ => continue,
            };
            misses = if member.is_in_place() || Root::serves_here() { 0 } else { misses + 1 };
            if misses > 1 {
                tracing::warn!(place = %member.place(), "the path leads to another root monitor now");
                member.end(self);
            }
        }
    }

    /// Where this process meets others, and who is the root there.
    pub(crate) fn place(&self) -> Place {
        match &*self.status.borrow() {
            Status::Member(membership) => membership.place(),
            _ => Place::new(RuntimeDir::chosen(), None),
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

    /// Calls the root; if it goes meanwhile, calls the next one.
    pub(super) async fn ask<T, F>(
        &self,
        call: impl Fn(&monitor::RpcClient) -> F,
    ) -> Result<T, MonitorError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        loop {
            let membership = self.membership().await?;
            match call(&membership.client).await {
                Ok(value) => return Ok(value),
                Err(RpcError::NoReply) => return Err(MonitorError::Busy),
                Err(error) => {
                    tracing::debug!(%error, "a call to the root failed");
                    membership.end(self);
                }
            }
        }
    }

    fn set_status(&self, status: Status) {
        let old = self.status.replace(status);
        drop(old);
        self.changed.raise();
    }

    /// One attempt.
    async fn join(&self) -> Result<Rc<Membership>, Setback> {
        if !Root::serves_here()
            && let Some(office) = election::stand()?
        {
            tracing::info!("this process is the root monitor");
            Root::start(&self.waitset, office, Policy::embedded());
        }
        let (socket, directory) = election::join()?.ok_or(Setback::Again)?;
        let membership = self.connect(socket, &directory)?;
        let introduced = self.introduce_to_root(&membership, &directory);
        match within(&self.waitset, HELLO_DEADLINE, introduced).await {
            Some(Ok(())) => Ok(membership),
            Some(Err(setback)) => Err(setback),
            None => Err(Setback::Again),
        }
    }

    fn connect(&self, socket: OwnedFd, directory: &RuntimeDir) -> Result<Rc<Membership>, Setback> {
        let (root, process) = election::root_of(&socket, directory)?.ok_or(Setback::Again)?;
        let channel = lmp::over(socket).map_err(|_| Setback::Again)?;
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
            death,
            root,
            spot: RefCell::new(directory.spot().clone()),
        }))
    }

    /// Says who this is, and tells a new root what the last one knew of us.
    async fn introduce_to_root(
        &self,
        membership: &Membership,
        directory: &RuntimeDir,
    ) -> Result<(), Setback> {
        let again = |_| Setback::Again;
        let domain = match self.domain.get() {
            0 => random_number().map_err(MonitorError::os("get random bits"))?,
            domain => domain,
        };
        let verdict = membership.client.hello_async(VERSION, domain).await.map_err(again)?;
        match verdict {
            monitor::Verdict::Ok => self.domain.set(domain),
            monitor::Verdict::Version => {
                return Err(Setback::Final(MonitorError::Version { place: membership.place() }));
            }
            monitor::Verdict::Forbidden => {
                return Err(Setback::Final(MonitorError::TurnedAway {
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
            self.publish_over(&membership.client, iref).await.map_err(again)?;
        }
        let names = self.names.borrow().clone();
        for (name, iref) in names {
            let (verdict, pid) =
                membership.client.register_async(&name, iref).await.map_err(again)?;
            if verdict != monitor::Verdict::Ok {
                tracing::warn!(name = %Escaped(&name), pid, "the name was lost to another process with the root");
                self.names.borrow_mut().remove(&name);
            }
        }
        // Before anything that is asked of this root from now on.
        membership.client.binding().tx_settled().map(drop).map_err(|_| Setback::Again)
    }

    /// The root of connection `number` is dead.
    fn root_died(&self, number: u64) {
        if self.root_number.get() != number {
            return;
        }
        self.root_number.set(0);
        let member = match &*self.status.borrow() {
            Status::Member(membership) => Some(Rc::clone(membership)),
            _ => None,
        };
        if let Some(membership) = member {
            membership.end(self);
        }
    }
}

impl Membership {
    /// Where the root was found, and who that is.
    pub(super) fn place(&self) -> Place {
        let directory = self.spot.borrow().path().to_owned();
        Place::new(directory, Some(RootProcess::new(&self.root)))
    }

    /// Whether who looks for the root where this one was found finds it, or nobody.
    fn is_in_place(&self) -> bool {
        if self.spot.borrow().is_there() {
            return true;
        }
        let path = self.spot.borrow().path().to_owned();
        let Ok(directory) = RuntimeDir::existing(path) else { return true };
        let found = election::connect_in(&directory).ok().flatten();
        let found = found.and_then(|socket| election::root_of(&socket, &directory).ok().flatten());
        let inode = |process: &OwnedFd| fstat(process).map(|status| status.st_ino);
        match found {
            Some((root, process)) if root == self.root => {
                let same = inode(&process) == inode(self.death.process());
                if same {
                    self.spot.replace(directory.spot().clone());
                }
                same
            }
            _ => false,
        }
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
        let peer = Peer::process(pid_from_wire(pid), id_from_wire(uid), id_from_wire(gid));
        let (socket, process) = (socket.into(), process.into());
        let introduction = Introduction { domain, peer, caller, socket, process };
        Monitor::here_do(|monitor| monitor.introduced(introduction));
    }

    fn report(&mut self, _: &monitor::Binding, ticket: u64, link: u64, connection: u64) {
        Monitor::here_do(|monitor| monitor.report(ticket, (link, connection)));
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

    fn forget(&mut self, _: &monitor::Binding, _: u64) {}

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

    fn settled(&mut self, _: &monitor::Binding) {}

    fn relieve(&mut self, _: &monitor::Binding, _: monitor::RelieveReply) {}

    fn find(&mut self, _: &monitor::Binding, _: Iref, _: monitor::FindReply) {}

    fn introduce(&mut self, _: &monitor::Binding, _: u64, _: monitor::IntroduceReply) {}
}

/// Whether an error passes by itself.
fn is_shortage(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EAGAIN)
}
