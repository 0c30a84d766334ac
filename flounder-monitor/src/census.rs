//! What there is on a host: names, domains, and the bindings between them.
//!
//! The root knows the names and domains; about bindings it asks the domains, each of which tells of those whose client it
//! is. So what is said of a binding is as true as its client; who is at its ends is the root's word.
//!
//! ```no_run
//! use flounder_monitor::census;
//! # fn main() -> Result<(), census::CensusError> {
//! let census = census::take(None)?;
//! for entry in &census.names {
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

use flounder_rt::{Escaped, Iref, Peer};

use crate::error::{DirProblem, MonitorError};
use crate::nameservice::Entry;
use crate::process::{id_from_wire, pid_from_wire};
use crate::protocol::monitor::{Told, Verdict};
use crate::runtime_dir::RuntimeDir;
use crate::visitor::Visitor;

/// Domains that are asked at a time: those that do not answer are waited for together.
const AT_ONCE: usize = 64;

/// Roots that may die while they are asked.
const ROOTS: usize = 5;

/// Bindings of one domain that are fetched: a domain that makes them up ends there.
const MAX_BINDINGS: usize = 65_536;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// The directory where these domains meet.
    pub directory: PathBuf,
    /// The process that is the root.
    pub root: Party,
    /// The names, in order.
    pub names: Vec<Entry>,
    /// The domains; of those of other users only the root's user and user 0 learn.
    pub domains: Vec<Party>,
    /// Bindings between these domains and others.
    pub bindings: Vec<Binding>,
    /// Domains that did not tell of their bindings.
    pub silent: Vec<Party>,
}

/// A process, as the kernel vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Party {
    /// Its number, if it is visible from here.
    pub pid: Option<u32>,
    /// Its user, if it has a number here.
    pub uid: Option<u32>,
}

/// A binding between two domains.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binding {
    /// The client's process, which told of it.
    pub client: Party,
    /// The service's process; `None` if it has left the root since.
    pub service: Option<Party>,
    /// The service.
    pub iref: Iref,
    /// Name of the service's interface; empty if the service is not published any more.
    pub interface: String,
    /// The driver.
    pub driver: String,
    /// When it was made, by the client's clock.
    pub since: SystemTime,
}

/// Asks the root of a directory, or of the one that the environment names. Never becomes the root.
///
/// # Errors
/// [`CensusError::NoMonitor`] if there is no root; [`CensusError::Monitor`] if it cannot be asked.
pub fn take(directory: Option<&Path>) -> Result<Census, CensusError> {
    let path = directory.map_or_else(RuntimeDir::chosen, Path::to_owned);
    let nobody = || CensusError::NoMonitor { directory: path.clone() };
    let directory = RuntimeDir::existing(path.clone()).map_err(|error| match error {
        MonitorError::RuntimeDir { why: DirProblem::Os(libc::ENOENT), .. } => nobody(),
        error => error.into(),
    })?;
    for _ in 0..ROOTS {
        let visitor = Rc::new(Visitor::join(&directory)?.ok_or_else(nobody)?);
        match take_from(&visitor, &directory) {
            // The root has gone meanwhile.
            Err(MonitorError::Ended) => {}
            result => return Ok(result?),
        }
    }
    Err(MonitorError::Ended.into())
}

fn take_from(visitor: &Rc<Visitor>, directory: &RuntimeDir) -> Result<Census, MonitorError> {
    let names = names(visitor)?;
    let mut census = Census {
        directory: directory.path().to_owned(),
        root: Party::new(&visitor.root),
        names,
        domains: Vec::new(),
        bindings: Vec::new(),
        silent: Vec::new(),
    };
    for crowd in members(visitor)?.chunks(AT_ONCE) {
        let ask = |(number, domain): &(u64, Party)| {
            let answer = bindings(Rc::clone(visitor), *number, *domain);
            (*domain, visitor.waitset.spawn_local(answer))
        };
        let asked: Vec<_> = crowd.iter().map(ask).collect();
        for (domain, answer) in asked {
            census.domains.push(domain);
            match visitor.waitset.block_on(answer).unwrap_or(Err(MonitorError::Ended)) {
                Ok(bindings) => census.bindings.extend(bindings),
                // It has left, or does not answer.
                Err(MonitorError::Busy | MonitorError::NoRoot { .. }) => census.silent.push(domain),
                Err(error) => return Err(error),
            }
        }
    }
    census.domains.sort_unstable();
    census.silent.sort_unstable();
    census.bindings.sort_by_key(|binding| (binding.client, binding.since));
    Ok(census)
}

fn names(visitor: &Visitor) -> Result<Vec<Entry>, MonitorError> {
    let mut names: Vec<Entry> = Vec::new();
    loop {
        let last = names.last().map_or("", |entry| entry.name.as_str());
        let page = visitor.ask(|root| root.list_async(last))?;
        // They come in order: a root that goes round in circles is cut short.
        let next = page.into_iter().filter_map(Entry::from_wire);
        let next: Vec<_> = next.filter(|entry| entry.name.as_str() > last).collect();
        if next.is_empty() {
            return Ok(names);
        }
        names.extend(next);
    }
}

/// The domains, with their numbers at the root.
fn members(visitor: &Visitor) -> Result<Vec<(u64, Party)>, MonitorError> {
    let (mut members, mut last) = (Vec::new(), 0);
    loop {
        let page = visitor.ask(|root| root.members_async(last))?;
        let next: Vec<_> = page.iter().filter(|member| member.domain > last).collect();
        let Some(end) = next.last() else { return Ok(members) };
        last = end.domain;
        let others = next.iter().filter(|member| member.domain != visitor.number);
        members
            .extend(others.map(|member| (member.domain, Party::from_wire(member.pid, member.uid))));
    }
}

/// What a domain tells. A root that gives no verdict is as silent as the domain.
async fn bindings(
    visitor: Rc<Visitor>,
    number: u64,
    client: Party,
) -> Result<Vec<Binding>, MonitorError> {
    let (mut bindings, mut last) = (Vec::new(), (0, 0));
    while bindings.len() < MAX_BINDINGS {
        let (verdict, page) =
            visitor.call(|root| root.bindings_async(number, last.0, last.1)).await?;
        match verdict {
            Verdict::Ok => {}
            // It has left since.
            Verdict::Unknown => break,
            _ => return Err(MonitorError::Busy),
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

impl Binding {
    fn from_wire(told: Told, client: Party) -> Option<Self> {
        let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(told.since))?;
        let service = Some(Party::from_wire(told.pid, told.uid)).filter(|of| *of != Party::UNKNOWN);
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

impl Party {
    const UNKNOWN: Self = Self { pid: None, uid: None };

    fn new(peer: &Peer) -> Self {
        Self { pid: peer.pid(), uid: peer.uid() }
    }

    fn from_wire(pid: u32, uid: u32) -> Self {
        Self { pid: pid_from_wire(pid), uid: id_from_wire(uid) }
    }
}

/// Why there is no census.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CensusError {
    /// Nobody is the root there.
    NoMonitor {
        /// The directory.
        directory: PathBuf,
    },
    /// The root cannot be asked.
    Monitor(MonitorError),
}

impl From<MonitorError> for CensusError {
    fn from(error: MonitorError) -> Self {
        Self::Monitor(error)
    }
}

flounder_rt::debug_as_chain!(CensusError);

impl fmt::Display for CensusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMonitor { directory } => {
                write!(f, "no monitor is running in {}", Escaped(directory.display()))
            }
            Self::Monitor(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl Error for CensusError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoMonitor { .. } => None,
            Self::Monitor(error) => error.source(),
        }
    }
}
