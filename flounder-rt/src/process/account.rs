//! Accounts of the resources that this process holds for peers, and their limits.
//!
//! Each peer process has an [`Account`]. A charge to the account of a process is also charged to the account of its user
//! and to the total of all peers, and is refused with [`OverLimit`] if one of the three would exceed its limit. The holder
//! of a resource keeps the [`Charge`], which returns the amount when it is dropped.
//!
//! ```text
//!   Charge --> Account of a process --> account of its user --> total of all peers
//!              Scope::Process           Scope::User             Scope::All
//! ```
//!
//! [`Limits::default`] derives the limits from the kernel's limits of this process; [`set_limits`] changes them:
//!
//! ```
//! use flounder_rt::account::{Limits, Resource, Scope, set_limits};
//!
//! // At most 100 bindings for each client process, and 64 MiB for all of them.
//! set_limits(
//!     Limits::default()
//!         .with(Resource::Bindings, Scope::Process, 100)
//!         .with(Resource::Bytes, Scope::All, 64 << 20),
//! );
//! ```
//!
//! Clients in this process have no account: a process cannot be protected from itself.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use rustix::process::{Resource as Rlimit, getrlimit};

use crate::log_rate::LogRate;

/// A resource that this process can hold for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Resource {
    /// Bindings.
    Bindings,
    /// Memory mappings: `vm.max_map_count` bounds those of a process.
    Mappings,
    /// Bytes of memory, shared and private.
    Bytes,
    /// File descriptors.
    Descriptors,
    /// Bind requests that have not been answered.
    Requests,
    /// Connections to the root monitor that have not sent `hello`.
    Connections,
    /// Services published at the root monitor.
    Services,
    /// Lookups at the root monitor that wait for a name.
    Lookups,
    /// Received descriptors that wait to be closed.
    Closes,
    /// Names registered at the root monitor.
    Names,
    /// Requests for the bindings and accounts of a process that the root monitor has not answered.
    Reports,
}

/// Number of resources.
const RESOURCES: usize = 11;

impl Resource {
    /// All resources, in the order in which they are reported.
    pub const ALL: [Self; RESOURCES] = [
        Self::Bindings,
        Self::Mappings,
        Self::Bytes,
        Self::Descriptors,
        Self::Requests,
        Self::Connections,
        Self::Services,
        Self::Lookups,
        Self::Closes,
        Self::Names,
        Self::Reports,
    ];

    /// Returns the resource with this [`number`](Self::number).
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Returns the number of the resource on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the name of the resource, in the plural.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bindings => "bindings",
            Self::Mappings => "mappings",
            Self::Bytes => "bytes",
            Self::Descriptors => "descriptors",
            Self::Requests => "requests to bind",
            Self::Connections => "connections without hello",
            Self::Services => "services",
            Self::Lookups => "waiting lookups",
            Self::Closes => "descriptors to close",
            Self::Names => "names",
            Self::Reports => "pending reports",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Scope of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Scope {
    /// One peer process.
    Process,
    /// All peer processes of one user.
    User,
    /// All peer processes.
    All,
}

impl Scope {
    /// All scopes, from the narrowest to the widest.
    pub const ALL: [Self; 3] = [Self::Process, Self::User, Self::All];

    /// Returns the scope with this [`number`](Self::number).
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Returns the number of the scope on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "one process",
            Self::User => "all processes of one user",
            Self::All => "all other processes together",
        })
    }
}

/// Limit of a resource that is not limited.
pub const UNLIMITED: u64 = u64::MAX;

/// Limits on the resources that this process holds for peers.
///
/// A limit that is not set has its default:
///
/// | resource | of a process | of all peers |
/// |---|---|---|
/// | bindings | 4,096 | unlimited |
/// | mappings | half of all | half of `vm.max_map_count` |
/// | bytes | half of all | half of the physical memory, or of the memory limit of the control group |
/// | descriptors | half of all | half of `RLIMIT_NOFILE` |
/// | bind requests under way | 1,024 | 16,384 |
/// | connections without hello | 16 | 1,024; 256 of a user |
/// | services | 65,536 | unlimited; 131,072 of a user |
/// | waiting lookups | 512 | unlimited; 65,536 of a user |
/// | descriptors to close | 256 | 1,024 |
/// | names | 4,096 | unlimited; 65,536 of a user |
/// | pending reports | 512 | unlimited |
///
/// If the table names no limit for a user, it is half of the limit of all peers. User 0 and the user of this process have only
/// the limit of all peers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    set: [[Option<u64>; 3]; RESOURCES],
}

impl Limits {
    /// Returns these limits with one of them changed.
    #[must_use]
    pub const fn with(mut self, resource: Resource, scope: Scope, limit: u64) -> Self {
        self.set[resource as usize][scope as usize] = Some(limit);
        self
    }

    /// Returns the effective limit for peers of user `uid`: the one that was set, or the default.
    #[must_use]
    pub fn get(&self, resource: Resource, scope: Scope, uid: Option<u32>) -> u64 {
        self.get_from(&Given::now(), resource, scope, uid)
    }

    fn get_from(&self, given: &Given, resource: Resource, scope: Scope, uid: Option<u32>) -> u64 {
        let set = &self.set[resource as usize];
        if let Some(limit) = set[scope as usize] {
            return limit;
        }
        let all = set[Scope::All as usize].unwrap_or_else(|| given.half(resource));
        match (scope, resource) {
            (Scope::All, _) => all,
            (Scope::Process, Resource::Bindings) => 4096,
            (Scope::Process, Resource::Requests) => 1024,
            (Scope::Process, Resource::Connections) => 16,
            (Scope::User, Resource::Connections) => 256,
            (Scope::Process, Resource::Services) => 65_536,
            (Scope::User, Resource::Services) => 131_072,
            (Scope::Process, Resource::Lookups) => 512,
            (Scope::User, Resource::Lookups) => 65_536,
            (Scope::Process, Resource::Closes) => 256,
            (Scope::Process, Resource::Names) => 4096,
            (Scope::User, Resource::Names) => 65_536,
            (Scope::Process, Resource::Reports) => 512,
            (Scope::User, _) if is_own(uid) => UNLIMITED,
            _ => half(all),
        }
    }
}

/// Sets the limits of this process. Resources that are held already stay, even if they exceed the new limits.
pub fn set_limits(limits: Limits) {
    let mut set = LIMITS.lock();
    set.limits = limits;
    set.refresh();
}

/// Returns the limits of this process as they were set.
#[must_use]
pub fn limits() -> Limits {
    LIMITS.lock().limits
}

/// Returns the amount of `resource` that this process holds for all peers together.
#[must_use]
pub fn used_by_all(resource: Resource) -> u64 {
    ALL.get(resource)
}

/// Warns, at most once a second, if this process is near its limit of descriptors. `newest` is a descriptor that it has
/// just received: the kernel assigns the lowest free number, so at least that many are in use.
pub fn watch_descriptors(newest: BorrowedFd<'_>) {
    let Some(limit) = getrlimit(Rlimit::Nofile).current else { return };
    let open = u64::from(newest.as_raw_fd().unsigned_abs()) + 1;
    if open <= limit / 8 * 7 {
        return;
    }
    if let Some(held_back) = NEAR.pass() {
        let for_peers = used_by_all(Resource::Descriptors);
        tracing::warn!(
            open,
            limit,
            for_peers,
            held_back,
            "this process is near its limit of descriptors, and will refuse clients: raise RLIMIT_NOFILE (ulimit -n)"
        );
    }
}

/// A refusal: a charge would exceed a limit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OverLimit {
    /// Resource that was to be charged.
    pub resource: Resource,
    /// The limit.
    pub limit: u64,
    /// Scope of the limit.
    pub of: Scope,
}

impl OverLimit {
    /// Returns a refusal of another process that came over the wire.
    #[must_use]
    pub const fn new(resource: Resource, limit: u64, of: Scope) -> Self {
        Self { resource, limit, of }
    }
}

crate::debug_as_chain!(OverLimit);

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, limit, of } = self;
        write!(f, "over the limit of {limit} {resource} for {of}; release some, or raise the limit")
    }
}

impl std::error::Error for OverLimit {}

impl From<OverLimit> for std::io::Error {
    fn from(limit: OverLimit) -> Self {
        Self::new(std::io::ErrorKind::QuotaExceeded, limit)
    }
}

/// Identity of a peer process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// Process id, if the process is visible in this PID namespace.
    pub pid: Option<u32>,
    /// User of the process, if known.
    pub uid: Option<u32>,
    /// Inode number of its pidfd, which no other process has on Linux 6.9 and later.
    pub inode: u64,
}

/// The account of a peer process. Clones are the same account, and so are all accounts that are opened for one process.
#[derive(Clone)]
pub struct Account(Arc<Process>);

struct Process {
    /// `None` for an account that is not counted among those of peers.
    id: Option<ProcessId>,
    /// Number of the process at the root monitor; 0 while it is not known.
    domain: AtomicU64,
    used: Counters,
    user: Option<Arc<User>>,
}

struct User {
    uid: Option<u32>,
    used: Counters,
}

impl Account {
    /// Returns the account of a peer process: the same one for as long as a clone of it exists.
    #[must_use]
    pub fn of(id: ProcessId) -> Self {
        let mut books = BOOKS.lock();
        let books = books.get_or_insert_default();
        if let Some(kept) = books.processes.get(&id).and_then(Weak::upgrade) {
            return Self(kept);
        }
        books.sweep();
        LIMITS.lock().refresh_if_old();
        let user = match books.users.get(&id.uid).and_then(Weak::upgrade) {
            Some(user) => user,
            None => {
                let user = Arc::new(User { uid: id.uid, used: Counters::new() });
                books.users.insert(id.uid, Arc::downgrade(&user));
                user
            }
        };
        let (domain, used) = (AtomicU64::new(0), Counters::new());
        let process = Arc::new(Process { id: Some(id), domain, used, user: Some(user) });
        books.processes.insert(id, Arc::downgrade(&process));
        Self(process)
    }

    /// Returns an account that counts and never refuses, for a peer that is part of this process.
    #[must_use]
    pub fn unlimited() -> Self {
        let (domain, used) = (AtomicU64::new(0), Counters::new());
        Self(Arc::new(Process { id: None, domain, used, user: None }))
    }

    /// Returns true if this is the same account as `other`.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the process; `None` for an account that is not counted among those of peers.
    #[must_use]
    pub fn process(&self) -> Option<ProcessId> {
        self.0.id
    }

    /// Sets the number of the process at the root monitor.
    pub fn set_domain(&self, domain: u64) {
        // SYNC domain: a number for reports; nothing else depends on it.
        self.0.domain.store(domain, Ordering::Relaxed);
    }

    /// Returns the amount of `resource` that this process holds for the peer.
    #[must_use]
    pub fn used(&self, resource: Resource) -> u64 {
        self.0.used.get(resource)
    }

    /// Charges `amount` of `resource` until the charge is dropped.
    ///
    /// # Errors
    /// [`OverLimit`] if the process, its user or all peers together would exceed a limit. Nothing is charged then.
    pub fn charge(&self, resource: Resource, amount: u64) -> Result<Charge, OverLimit> {
        self.add(resource, amount).inspect_err(|refusal| self.log(*refusal))?;
        Ok(Charge { account: self.clone(), resource, amount })
    }

    /// Charges `amount` of `resource` that is held already until the charge is dropped, even beyond the limits.
    ///
    /// ```
    /// use flounder_rt::account::{Account, Limits, ProcessId, Resource, Scope, set_limits};
    ///
    /// set_limits(Limits::default().with(Resource::Names, Scope::Process, 1));
    /// let account = Account::of(ProcessId { pid: Some(7), uid: Some(1000), inode: 7 });
    /// let held = account.charge_held(Resource::Names, 2);
    /// assert_eq!(account.used(Resource::Names), 2);
    /// assert!(account.charge(Resource::Names, 1).is_err());
    /// drop(held);
    /// assert!(account.charge(Resource::Names, 1).is_ok());
    /// ```
    pub fn charge_held(&self, resource: Resource, amount: u64) -> Charge {
        self.0.used.add(resource, amount, UNLIMITED);
        if let Some(user) = &self.0.user {
            user.used.add(resource, amount, UNLIMITED);
            ALL.add(resource, amount, UNLIMITED);
        }
        Charge { account: self.clone(), resource, amount }
    }

    fn add(&self, resource: Resource, amount: u64) -> Result<(), OverLimit> {
        match self.try_add(resource, amount) {
            Ok(()) => Ok(()),
            Err(_) => {
                // The kernel's limits may have been raised since the table was filled.
                LIMITS.lock().refresh_if_old();
                self.try_add(resource, amount)
            }
        }
    }

    fn try_add(&self, resource: Resource, amount: u64) -> Result<(), OverLimit> {
        let Process { used, user: Some(user), .. } = &*self.0 else {
            self.0.used.add(resource, amount, UNLIMITED);
            return Ok(());
        };
        let over = |of, limit| OverLimit { resource, limit, of };
        let limit = TABLE.get(resource, Row::Process);
        if !used.add(resource, amount, limit) {
            return Err(over(Scope::Process, limit));
        }
        let row = if is_own(user.uid) { Row::OwnUser } else { Row::OtherUser };
        let limit = TABLE.get(resource, row);
        if !user.used.add(resource, amount, limit) {
            used.subtract(resource, amount);
            return Err(over(Scope::User, limit));
        }
        let limit = TABLE.get(resource, Row::All);
        if !ALL.add(resource, amount, limit) {
            user.used.subtract(resource, amount);
            used.subtract(resource, amount);
            return Err(over(Scope::All, limit));
        }
        if resource == Resource::Descriptors && ALL.get(resource) > limit / 8 * 7 {
            let used = ALL.get(resource);
            if let Some(held_back) = NEAR.pass() {
                tracing::warn!(
                    used,
                    limit,
                    held_back,
                    "peers hold nearly as many descriptors of this process as they may: raise RLIMIT_NOFILE \
                     (ulimit -n), or the limit (account::set_limits)"
                );
            }
        }
        Ok(())
    }

    fn subtract(&self, resource: Resource, amount: u64) {
        self.0.used.subtract(resource, amount);
        if let Some(user) = &self.0.user {
            user.used.subtract(resource, amount);
            ALL.subtract(resource, amount);
        }
    }

    fn log(&self, refusal: OverLimit) {
        let (pid, uid) = self.0.id.map_or((None, None), |id| (id.pid, id.uid));
        crate::log_limited!(warn, pid, uid, "a peer was refused: {refusal}");
    }
}

impl Default for Account {
    fn default() -> Self {
        Self::unlimited()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Account");
        text.field("process", &self.0.id);
        for resource in Resource::ALL.into_iter().filter(|resource| self.used(*resource) > 0) {
            text.field(resource.name(), &self.used(resource));
        }
        text.finish()
    }
}

/// An amount that is charged to an account until this is dropped.
#[must_use = "a charge that is dropped is given back"]
pub struct Charge {
    account: Account,
    resource: Resource,
    amount: u64,
}

impl Charge {
    /// Returns the account.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Returns the amount.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// Changes the amount.
    ///
    /// # Errors
    /// [`OverLimit`], as from [`Account::charge`]. The amount is unchanged then.
    pub fn resize(&mut self, amount: u64) -> Result<(), OverLimit> {
        if amount > self.amount {
            let more = amount - self.amount;
            self.account
                .add(self.resource, more)
                .inspect_err(|refusal| self.account.log(*refusal))?;
        } else {
            self.account.subtract(self.resource, self.amount - amount);
        }
        self.amount = amount;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.subtract(self.resource, self.amount);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charge({} {})", self.amount, self.resource)
    }
}

/// Resources that are held for one peer process; see [`usage`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The process.
    pub process: ProcessId,
    /// Number at the root monitor; 0 if unknown.
    pub domain: u64,
    used: [u64; RESOURCES],
}

impl Usage {
    /// Returns the amount of `resource` that is held for the process.
    #[must_use]
    pub const fn used(&self, resource: Resource) -> u64 {
        self.used[resource as usize]
    }
}

/// Returns the resources that this process holds for each peer process.
#[must_use]
pub fn usage() -> Vec<Usage> {
    let kept: Vec<_> = match &*BOOKS.lock() {
        Some(books) => books.processes.values().filter_map(Weak::upgrade).collect(),
        None => Vec::new(),
    };
    let usage = |process: &Arc<Process>| {
        Some(Usage {
            process: process.id?,
            // SYNC domain: as in `set_domain`.
            domain: process.domain.load(Ordering::Relaxed),
            used: Resource::ALL.map(|resource| process.used.get(resource)),
        })
    };
    kept.iter().filter_map(usage).collect()
}

/// The accounts of all peers.
#[derive(Default)]
struct Books {
    processes: HashMap<ProcessId, Weak<Process>>,
    users: HashMap<Option<u32>, Weak<User>>,
    /// Number of accounts at which unused ones are removed.
    sweep_at: usize,
}

impl Books {
    fn sweep(&mut self) {
        if self.processes.len() >= self.sweep_at {
            self.processes.retain(|_, account| account.strong_count() > 0);
            self.users.retain(|_, account| account.strong_count() > 0);
            self.sweep_at = (self.processes.len() * 2).max(64);
        }
    }
}

static BOOKS: Mutex<Option<Books>> = Mutex::new(None);
static LIMITS: Mutex<InForce> =
    Mutex::new(InForce { limits: Limits { set: [[None; 3]; RESOURCES] }, refreshed: None });
static ALL: Counters = Counters::new();
static TABLE: Table = Table([const { [const { AtomicU64::new(UNLIMITED) }; RESOURCES] }; 4]);

/// An amount of each resource.
struct Counters([AtomicU64; RESOURCES]);

impl Counters {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; RESOURCES])
    }

    // SYNC counters: each is an amount of its own, and no other memory is published through it; a read-modify-write never
    // loses one of two changes. So `Relaxed` is enough throughout.

    fn get(&self, resource: Resource) -> u64 {
        self.0[resource as usize].load(Ordering::Relaxed)
    }

    /// Adds, unless the sum would exceed `limit`. An amount of 0 always fits.
    fn add(&self, resource: Resource, amount: u64, limit: u64) -> bool {
        let sum = |used: u64| used.checked_add(amount).filter(|sum| *sum <= limit || amount == 0);
        let counter = &self.0[resource as usize];
        counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok()
    }

    fn subtract(&self, resource: Resource, amount: u64) {
        let before = self.0[resource as usize].fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "only what was charged is given back");
    }
}

/// The limits that were set, and when [`TABLE`] was last filled from them.
struct InForce {
    limits: Limits,
    refreshed: Option<Instant>,
}

impl InForce {
    /// Fills the table, unless it was filled a moment ago. The kernel's limits can change, but a peer that is refused again
    /// and again must not cause files to be read each time.
    fn refresh_if_old(&mut self) {
        if self.refreshed.is_none_or(|last| last.elapsed() > Duration::from_millis(100)) {
            self.refresh();
        }
    }

    fn refresh(&mut self) {
        TABLE.fill(&self.limits);
        self.refreshed = Some(Instant::now());
    }
}

/// The effective [`Limits`], as a table.
struct Table([[AtomicU64; RESOURCES]; 4]);

/// Kind of user for which limits are valid.
#[derive(Clone, Copy)]
enum Row {
    Process,
    OwnUser,
    OtherUser,
    All,
}

impl Table {
    // SYNC limits: each stands for itself; a charge that runs at the same time as a change may use the old limit or the new one.

    fn get(&self, resource: Resource, row: Row) -> u64 {
        self.0[row as usize][resource as usize].load(Ordering::Relaxed)
    }

    fn fill(&self, limits: &Limits) {
        let (own, other, given) = (Some(0), None, Given::now());
        let get = |resource, scope, uid| limits.get_from(&given, resource, scope, uid);
        for resource in Resource::ALL {
            let rows = [
                (Row::Process, get(resource, Scope::Process, own)),
                (Row::OwnUser, get(resource, Scope::User, own)),
                (Row::OtherUser, get(resource, Scope::User, other)),
                (Row::All, get(resource, Scope::All, own)),
            ];
            for (row, limit) in rows {
                self.0[row as usize][resource as usize].store(limit, Ordering::Relaxed);
            }
        }
    }
}

/// Returns true if a user could end this process anyway.
fn is_own(uid: Option<u32>) -> bool {
    uid.is_some_and(|uid| uid == 0 || uid == rustix::process::geteuid().as_raw())
}

/// Returns half of a limit, if there is one.
const fn half(limit: u64) -> u64 {
    if limit == UNLIMITED { UNLIMITED } else { limit / 2 }
}

/// Limits of the kernel for this process.
struct Given {
    mappings: u64,
    descriptors: u64,
    bytes: u64,
}

impl Given {
    fn now() -> Self {
        let descriptors = getrlimit(Rlimit::Nofile).current.unwrap_or(1 << 20);
        Self { mappings: max_map_count(), descriptors, bytes: memory() }
    }

    /// Returns the default limit for all peers: half of the kernel's.
    fn half(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Mappings => self.mappings / 2,
            Resource::Descriptors => self.descriptors / 2,
            Resource::Bytes => self.bytes / 2,
            Resource::Requests => 16_384,
            Resource::Connections | Resource::Closes => 1024,
            _ => UNLIMITED,
        }
    }
}

/// Returns the maximum number of mappings of a process.
fn max_map_count() -> u64 {
    const KERNEL_DEFAULT: u64 = 65_530;
    read_number("/proc/sys/vm/max_map_count").unwrap_or(KERNEL_DEFAULT)
}

/// Returns the number of bytes of memory that this process may use: the physical memory, or less if a control group limits it.
fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    let physical = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit));
    control_group_limit().map_or(physical, |limit| limit.min(physical))
}

/// Returns the least memory limit of the control groups of this process, of version 2 or 1.
fn control_group_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (mount, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        let path = std::path::Path::new(mount).join(group.trim_start_matches('/'));
        let up = path.ancestors().take_while(|path| path.starts_with(mount));
        up.filter_map(|group| read_number(group.join(file))).collect()
    });
    limits.min()
}

fn read_number(path: impl AsRef<std::path::Path>) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Rate of the warnings that descriptors are nearly used up: one line is enough.
static NEAR: LogRate = LogRate::with_burst(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Limits are those of the process, and tests run beside each other.
    static TURN: Mutex<()> = Mutex::new(());

    fn process(inode: u64, uid: u32) -> Account {
        Account::of(ProcessId { pid: Some(1), uid: Some(uid), inode })
    }

    #[test]
    fn charges_are_refused_at_the_limit_and_given_back() {
        let _turn = TURN.lock();
        set_limits(Limits::default().with(Resource::Bindings, Scope::Process, 3));
        let (greedy, honest) = (process(1, 70_000), process(2, 70_000));
        let held: Vec<_> = (0..3).map(|_| greedy.charge(Resource::Bindings, 1)).collect();
        let refused = greedy.charge(Resource::Bindings, 1).expect_err("the limit is reached");
        assert_eq!(refused, OverLimit::new(Resource::Bindings, 3, Scope::Process));
        assert!(honest.charge(Resource::Bindings, 3).is_ok(), "the limit is that of one process");
        drop(held);
        assert_eq!(greedy.used(Resource::Bindings), 0);
        assert!(greedy.charge(Resource::Bindings, 3).is_ok());
        set_limits(Limits::default());
    }

    #[test]
    fn a_refusal_names_whose_limit_it_is_and_charges_nothing() {
        let _turn = TURN.lock();
        let all = used_by_all(Resource::Closes);
        set_limits(
            Limits::default()
                .with(Resource::Closes, Scope::Process, 10)
                .with(Resource::Closes, Scope::User, 15)
                .with(Resource::Closes, Scope::All, all + 20),
        );
        let [a, b, c] = [(11, 70_001), (12, 70_001), (13, 70_002)].map(|(i, uid)| process(i, uid));
        let kept = a.charge(Resource::Closes, 10).expect("room");
        assert_eq!(b.charge(Resource::Closes, 6).expect_err("of the user").of, Scope::User);
        let more = b.charge(Resource::Closes, 5).expect("room");
        assert_eq!(c.charge(Resource::Closes, 6).expect_err("of all").of, Scope::All);
        assert_eq!((b.used(Resource::Closes), c.used(Resource::Closes)), (5, 0));
        drop((kept, more));
        assert_eq!(used_by_all(Resource::Closes), all);
        set_limits(Limits::default());
    }

    #[test]
    fn one_process_has_one_account_while_it_is_in_use() {
        let _turn = TURN.lock();
        let first = process(21, 70_003);
        let charge = first.charge(Resource::Bytes, 7).expect("room");
        assert_eq!(process(21, 70_003).used(Resource::Bytes), 7);
        assert!(
            usage()
                .iter()
                .any(|usage| usage.process.inode == 21 && usage.used(Resource::Bytes) == 7)
        );
        drop(first);
        assert_eq!(process(21, 70_003).used(Resource::Bytes), 7, "the charge keeps it");
        drop(charge);
        assert!(usage().iter().all(|usage| usage.process.inode != 21));
    }

    #[test]
    fn a_charge_changes_its_amount_within_the_limit() {
        let _turn = TURN.lock();
        set_limits(Limits::default().with(Resource::Bytes, Scope::Process, 100));
        let account = process(31, 70_004);
        let mut charge = account.charge(Resource::Bytes, 60).expect("room");
        charge.resize(101).expect_err("over the limit");
        assert_eq!((charge.amount(), account.used(Resource::Bytes)), (60, 60));
        charge.resize(100).expect("room");
        charge.resize(10).expect("less always fits");
        assert_eq!(account.used(Resource::Bytes), 10);
        set_limits(Limits::default());
    }

    #[test]
    fn defaults_leave_the_program_half_of_what_the_kernel_gives() {
        let limits = Limits::default();
        let all = |resource| limits.get(resource, Scope::All, None);
        assert_eq!(all(Resource::Mappings), max_map_count() / 2);
        let descriptors = getrlimit(Rlimit::Nofile).current.unwrap_or(1 << 20);
        assert_eq!(all(Resource::Descriptors), descriptors / 2);
        assert_eq!(limits.get(Resource::Bindings, Scope::Process, None), 4096);
        let at_root = [
            (Resource::Connections, 16, 256),
            (Resource::Services, 65_536, 131_072),
            (Resource::Lookups, 512, 65_536),
            (Resource::Names, 4096, 65_536),
            (Resource::Reports, 512, UNLIMITED),
        ];
        for (resource, process, user) in at_root {
            let limit = |scope| limits.get(resource, scope, Some(70_006));
            assert_eq!((limit(Scope::Process), limit(Scope::User)), (process, user), "{resource}");
        }
        let user = |uid| limits.get(Resource::Mappings, Scope::User, Some(uid));
        assert_eq!(user(0), UNLIMITED, "it could end the process anyway");
        assert_eq!(user(70_005), all(Resource::Mappings) / 2);
    }
}
