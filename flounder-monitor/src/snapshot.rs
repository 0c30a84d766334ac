//! A snapshot of a host: names, domains, and the bindings between them.
//!
//! The root knows names and domains. It asks each domain for the bindings whose client the domain
//! is. So a binding is as reliable as its client's report; the processes at its ends are reported
//! by the root.
//!
//! ```no_run
//! use flounder_monitor::snapshot;
//! # fn main() -> Result<(), snapshot::SnapshotError> {
//! let snapshot = snapshot::take(None)?;
//! for entry in &snapshot.names {
//!     println!("{} is a {}", entry.name, entry.interface);
//! }
//! # Ok(())
//! # }
//! ```

use core::fmt;
use core::time::Duration;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use flounder_rt::account::{OverLimit, Resource};
use flounder_rt::{Escaped, Iref, Peer};

use crate::accounts::{amounts_from_wire, limit_from_wire};
use crate::directory::choice;
use crate::directory::runtime_dir::RuntimeDir;
use crate::error::{DirProblem, MonitorError, NO_ENTRY};
use crate::name::Entry;
use crate::process::{id_from_wire, pid_from_wire};
use crate::protocol::monitor::{BindingReport, Verdict};
use crate::root_client::RootClient;

/// Number of domains that are asked at once, so that unresponsive ones cost their deadline
/// together.
const MAX_ASKED_AT_ONCE: usize = 64;

/// Number of roots that may die while the snapshot is taken.
const MAX_ROOTS_TRIED: usize = 5;

/// Maximum number of bindings fetched from one domain, which could invent any number.
const MAX_BINDINGS: usize = 65_536;

/// Names, domains and bindings of one runtime directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The runtime directory.
    pub directory: PathBuf,
    /// The process that is the root.
    pub root: Process,
    /// Registered names, in order.
    pub names: Vec<Entry>,
    /// The domains. Only the root's user and user 0 see those of other users.
    pub domains: Vec<Process>,
    /// Bindings between these domains and others.
    pub bindings: Vec<Binding>,
    /// Resources that these domains hold for each other.
    pub accounts: Vec<Account>,
    /// Domains that did not report their bindings in time.
    pub unresponsive: Vec<Process>,
}

/// A process, as the kernel reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Process {
    /// Process id, if the process is visible from here.
    pub pid: Option<u32>,
    /// User id, if the user has a number here.
    pub uid: Option<u32>,
}

/// A binding between two domains.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binding {
    /// The client's process, which reported the binding.
    pub client: Process,
    /// The service's process; `None` if it has left the root in the meantime.
    pub service: Option<Process>,
    /// Reference of the service.
    pub iref: Iref,
    /// Name of the service's interface; empty if the service is no longer published.
    pub interface: String,
    /// Name of the driver.
    pub driver: String,
    /// Time when the binding was made, by the client's clock.
    pub since: SystemTime,
}

/// Resources that a process holds for a peer process, and the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The process that holds the resources, and reports them.
    pub holder: Process,
    /// The process that they are held for.
    pub peer: Process,
    /// Amounts that are held for the peer.
    pub used: Amounts,
    /// Limits of the holder for one process.
    pub limit: Amounts,
    /// Limits of the holder for all peers together.
    pub limit_of_all: Amounts,
}

/// An amount of each resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts([u64; Resource::ALL.len()]);

impl Amounts {
    /// Returns the amount of `resource`. As a limit, [`UNLIMITED`](flounder_rt::account::UNLIMITED) means that there is none.
    #[must_use]
    pub const fn get(&self, resource: Resource) -> u64 {
        self.0[resource.number() as usize]
    }
}

/// Takes a snapshot of a runtime directory; `None` for the one that the environment names. Never
/// becomes root.
///
/// # Errors
/// [`SnapshotError::NoMonitor`] if there is no root; [`SnapshotError::Monitor`] if the root cannot
/// be asked; [`SnapshotError::OverLimit`] if it may not keep as many requests of this process as
/// there are domains, up to 64.
pub fn take(directory: Option<&Path>) -> Result<Snapshot, SnapshotError> {
    ask_root(directory, |client, directory| take_from(&Rc::new(client), directory))
}

/// Returns the root monitor of a runtime directory; `None` for the one that the environment names. Never becomes root.
///
/// ```no_run
/// let root = flounder_monitor::snapshot::root(None)?;
/// println!("process {:?} is the root monitor", root.pid);
/// # Ok::<(), flounder_monitor::snapshot::SnapshotError>(())
/// ```
///
/// # Errors
/// [`SnapshotError::NoMonitor`] if there is no root; [`SnapshotError::Monitor`] if it cannot be asked.
pub fn root(directory: Option<&Path>) -> Result<Process, SnapshotError> {
    ask_root(directory, |client, _| Ok(Process::new(&client.root)))
}

/// Joins the root of a directory, and asks it. If it dies meanwhile, asks the next one.
fn ask_root<T>(
    directory: Option<&Path>,
    ask: impl Fn(RootClient, &RuntimeDir) -> Result<T, SnapshotError>,
) -> Result<T, SnapshotError> {
    let path = directory.map_or_else(choice::chosen, Path::to_owned);
    let nobody = || SnapshotError::NoMonitor { directory: path.clone() };
    let directory = RuntimeDir::existing(path.clone()).map_err(|error| match error {
        MonitorError::RuntimeDir { why: DirProblem::Os(NO_ENTRY), .. } => nobody(),
        error => error.into(),
    })?;
    for _ in 0..MAX_ROOTS_TRIED {
        let client = RootClient::join(&directory)?.ok_or_else(nobody)?;
        match ask(client, &directory) {
            // The root has died in the meantime.
            Err(SnapshotError::Monitor(MonitorError::Ended)) => {}
            result => return result,
        }
    }
    Err(MonitorError::Ended.into())
}

fn take_from(client: &Rc<RootClient>, directory: &RuntimeDir) -> Result<Snapshot, SnapshotError> {
    let names = names(client)?;
    let mut snapshot = Snapshot {
        directory: directory.path().to_owned(),
        root: Process::new(&client.root),
        names,
        domains: Vec::new(),
        bindings: Vec::new(),
        accounts: Vec::new(),
        unresponsive: Vec::new(),
    };
    let members = members(client)?;
    if !members.iter().any(|(_, domain)| *domain == snapshot.root) {
        // A daemon is not a domain of its own.
        let own = accounts(Rc::clone(client), 0, snapshot.root);
        match client
            .waitset
            .block_on(own)
            .unwrap_or(Err(SnapshotError::Monitor(MonitorError::Ended)))
        {
            Ok(own) => snapshot.accounts.extend(own),
            Err(error) if error.is_no_answer() => {}
            Err(error) => return Err(error),
        }
    }
    for batch in members.chunks(MAX_ASKED_AT_ONCE) {
        let ask = |(number, domain): &(u64, Process)| {
            let (number, domain, client) = (*number, *domain, Rc::clone(client));
            let waitset = client.waitset.clone();
            let answer = async move {
                let bindings = bindings(Rc::clone(&client), number, domain).await?;
                Ok::<_, SnapshotError>((bindings, accounts(client, number, domain).await?))
            };
            (domain, waitset.spawn_local(answer))
        };
        let asked: Vec<_> = batch.iter().map(ask).collect();
        // All of them, also after an error: a task that has not ended keeps the connection to the root.
        let answers = asked.into_iter().map(|(domain, answer)| {
            let answer = client.waitset.block_on(answer);
            (domain, answer.unwrap_or(Err(SnapshotError::Monitor(MonitorError::Ended))))
        });
        for (domain, answer) in answers.collect::<Vec<_>>() {
            snapshot.domains.push(domain);
            match answer {
                Ok((bindings, accounts)) => {
                    snapshot.bindings.extend(bindings);
                    snapshot.accounts.extend(accounts);
                }
                // The domain has left, or does not answer.
                Err(error) if error.is_no_answer() => snapshot.unresponsive.push(domain),
                Err(error) => return Err(error),
            }
        }
    }
    snapshot.domains.sort_unstable();
    snapshot.unresponsive.sort_unstable();
    snapshot.accounts.sort_by_key(|account| (account.holder, account.peer));
    snapshot.bindings.sort_by_key(|binding| (binding.client, binding.since));
    Ok(snapshot)
}

fn names(client: &RootClient) -> Result<Vec<Entry>, MonitorError> {
    let mut names: Vec<Entry> = Vec::new();
    loop {
        let last = names.last().map_or("", |entry| entry.name.as_str());
        let page = client.ask(|root| root.list_async(last))?;
        // Names are sent in order: a root that repeats itself ends the list.
        let next = page.into_iter().filter_map(Entry::from_wire);
        let next: Vec<_> = next.filter(|entry| entry.name.as_str() > last).collect();
        if next.is_empty() {
            return Ok(names);
        }
        names.extend(next);
    }
}

/// Returns the domains, with their ids at the root.
fn members(client: &RootClient) -> Result<Vec<(u64, Process)>, MonitorError> {
    let (mut members, mut last) = (Vec::new(), 0);
    loop {
        let page = client.ask(|root| root.members_async(last))?;
        let next: Vec<_> = page.iter().filter(|member| member.domain > last).collect();
        let Some(end) = next.last() else { return Ok(members) };
        last = end.domain;
        let others = next.iter().filter(|member| member.domain != client.number);
        members.extend(
            others.map(|member| (member.domain, Process::from_wire(member.pid, member.uid))),
        );
    }
}

/// Returns the bindings that a domain reports.
async fn bindings(
    root_client: Rc<RootClient>,
    number: u64,
    client: Process,
) -> Result<Vec<Binding>, SnapshotError> {
    let (mut bindings, mut last) = (Vec::new(), (0, 0));
    while bindings.len() < MAX_BINDINGS {
        let (verdict, limit, page) =
            root_client.call(|root| root.bindings_async(number, last.0, last.1)).await?;
        match verdict {
            Verdict::Ok => {}
            // The domain has left in the meantime.
            Verdict::Unknown => break,
            verdict => return Err(refused(verdict, limit)),
        }
        let begins = bindings.is_empty();
        let next: Vec<_> =
            page.into_iter().filter(|told| begins || (told.link, told.connection) > last).collect();
        let Some(end) = next.last() else { break };
        last = (end.link, end.connection);
        bindings.extend(next.into_iter().filter_map(|told| Binding::from_wire(told, client)));
    }
    Ok(bindings)
}

/// Returns the accounts that a domain keeps, or for number 0 those of the root's process.
async fn accounts(
    root_client: Rc<RootClient>,
    number: u64,
    holder: Process,
) -> Result<Vec<Account>, SnapshotError> {
    let (mut accounts, mut last) = (Vec::new(), 0);
    while accounts.len() < MAX_BINDINGS {
        let (verdict, over, page, limits) =
            root_client.call(|root| root.accounts_async(number, last)).await?;
        match verdict {
            Verdict::Ok => {}
            Verdict::Unknown | Verdict::Forbidden => break,
            verdict => return Err(refused(verdict, over)),
        }
        let (limit, limit_of_all) = limits.split_at(limits.len() / 2);
        let (limit, limit_of_all) = (Amounts::from_wire(limit), Amounts::from_wire(limit_of_all));
        let next: Vec<_> = page.into_iter().filter(|report| report.domain > last).collect();
        let Some(end) = next.last() else { break };
        last = end.domain;
        let others = next.into_iter().filter(|report| report.domain != root_client.number);
        accounts.extend(others.map(|report| {
            let peer = Process::from_wire(report.pid, report.uid);
            let used = Amounts(amounts_from_wire(&report.used));
            Account { holder, peer, used, limit, limit_of_all }
        }));
    }
    Ok(accounts)
}

/// Returns the error for a request that the root has refused.
fn refused(verdict: Verdict, limit: u64) -> SnapshotError {
    match (verdict, limit_from_wire(limit)) {
        (Verdict::Quota, Some(limit)) => SnapshotError::OverLimit(limit),
        _ => MonitorError::Busy.into(),
    }
}

impl Amounts {
    /// Returns the amounts of a list; those beyond its end are 0.
    fn from_wire(amounts: &[u64]) -> Self {
        Self(core::array::from_fn(|at| amounts.get(at).copied().unwrap_or_default()))
    }
}

impl Binding {
    fn from_wire(told: BindingReport, client: Process) -> Option<Self> {
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(told.since))?;
        let service =
            Some(Process::from_wire(told.pid, told.uid)).filter(|of| *of != Process::UNKNOWN);
        Some(Self {
            client,
            service,
            iref: Iref::from_bits(told.iref)?,
            interface: told.iface,
            driver: told.driver,
            since,
        })
    }
}

impl Process {
    const UNKNOWN: Self = Self { pid: None, uid: None };

    fn new(peer: &Peer) -> Self {
        Self { pid: peer.pid(), uid: peer.uid() }
    }

    fn from_wire(pid: u32, uid: u32) -> Self {
        Self { pid: pid_from_wire(pid), uid: id_from_wire(uid) }
    }
}

/// Reason why there is no snapshot.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The directory has no root.
    NoMonitor {
        /// The runtime directory.
        directory: PathBuf,
    },
    /// The root holds as many requests of this process as its limits allow.
    OverLimit(OverLimit),
    /// The root cannot be asked.
    Monitor(MonitorError),
}

impl SnapshotError {
    /// Returns true if a domain did not answer, or has left.
    const fn is_no_answer(&self) -> bool {
        matches!(self, Self::Monitor(MonitorError::Busy | MonitorError::NoRoot { .. }))
    }
}

impl From<MonitorError> for SnapshotError {
    fn from(error: MonitorError) -> Self {
        Self::Monitor(error)
    }
}

flounder_rt::debug_as_chain!(SnapshotError);

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMonitor { directory } => {
                write!(f, "no monitor is running in {}", Escaped(directory.display()))
            }
            Self::OverLimit(_) => f.write_str("the root monitor holds too much for this process"),
            Self::Monitor(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl Error for SnapshotError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoMonitor { .. } => None,
            Self::OverLimit(limit) => Some(limit),
            Self::Monitor(error) => error.source(),
        }
    }
}
