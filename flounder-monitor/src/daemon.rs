//! A root monitor in a process of its own: for a host that wants one fixed root, or that has
//! several users.
//!
//! The daemon is a root like the one that every domain embeds, and nothing else depends on it: when
//! it is killed, a domain of its user replaces it until it is started again. An embedded root hands
//! over when a daemon asks.
//!
//! Other users reach the socket in a directory that they can enter, and neither read nor write. The
//! kernel reports the user of each process; exactly the users on the daemon's list may join. Their
//! domains survive the daemon and wait for the next one: only processes of the directory's owner
//! can be root, and the owners of names stay in the name journal for as long as they live.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use flounder_rt::{Escaped, Peer, Waitset};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::directory::choice;
use crate::directory::election::{self, RootProbe, STALE_LOCK_TIMEOUT, SocketAccess};
use crate::directory::runtime_dir::RuntimeDir;
use crate::error::MonitorError;
use crate::monitor_thread;
use crate::process::{is_unknown_uid, own_uid};
use crate::protocol::monitor::Verdict;
use crate::root::{JoinPolicy, Root};
use crate::root_client::RootClient;

/// Delay between two attempts to lock the directory.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(1);

/// Time to wait for the lock after a root has handed over, before the next attempt.
const HANDOVER_TIMEOUT: Duration = Duration::from_millis(20);

/// Interval of checks whether this process is still the root.
const ROOT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Time after which `waiting` is called.
const WAITING_NOTICE_DELAY: Duration = Duration::from_secs(1);

/// Time that the domains of a private directory have to register their names again when the
/// directory becomes shared, before other users may join.
const REJOIN_HEAD_START: Duration = Duration::from_secs(1);

/// Options of a daemon.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// The runtime directory; `None` for the one that the environment names.
    pub directory: Option<PathBuf>,
    /// Users that may join, besides the daemon's own and user 0.
    pub allowed: BTreeSet<u32>,
}

/// A daemon that is the root of a runtime directory.
pub struct Daemon {
    waitset: Waitset,
    directory: PathBuf,
    allowed: BTreeSet<u32>,
}

impl Daemon {
    /// Becomes the root of a directory, replacing an embedded root. Blocks for as long as that
    /// takes; `waiting` is called once if that is more than a second, with the process that is the
    /// root.
    ///
    /// # Errors
    /// [`DaemonError::Running`] if another daemon is the root; [`DaemonError::NotOwner`] if the
    /// directory belongs to another user; [`DaemonError::UnknownUser`] if a user cannot be
    /// identified; [`DaemonError::Monitor`] if the directory cannot be used or a system call fails.
    pub fn start(options: Options, waiting: impl FnOnce(&Peer)) -> Result<Self, DaemonError> {
        let path = options.directory.unwrap_or_else(choice::chosen);
        let directory = RuntimeDir::at(path)?;
        if !directory.is_ours() {
            return Err(DaemonError::NotOwner { directory: directory.path().to_owned() });
        }
        let mut users = options.allowed.iter().copied().chain([own_uid()]);
        if let Some(uid) = users.find(|uid| !options.allowed.is_empty() && is_unknown_uid(*uid)) {
            return Err(DaemonError::UnknownUser { uid });
        }
        raise_limit();
        let path = directory.path().to_owned();
        let waitset = Waitset::new();
        waitset.set_spin(Duration::ZERO);
        monitor_thread::prepare(&waitset)?;
        let daemon = Self { waitset, directory: path, allowed: options.allowed };
        daemon.become_root(directory, waiting)?;
        Ok(daemon)
    }

    /// Becomes root in `directory`.
    fn become_root(
        &self,
        mut directory: RuntimeDir,
        waiting: impl FnOnce(&Peer),
    ) -> Result<(), DaemonError> {
        displace_root(&directory, waiting)?;
        let shared = !self.allowed.is_empty();
        // A new directory has no earlier domains; in one that was shared before, the journal has
        // their names.
        let first_come = shared && !directory.is_shared() && !directory.was_created();
        let pause = if first_come { REJOIN_HEAD_START } else { Duration::ZERO };
        directory.share(shared).map_err(MonitorError::os("set who may enter the directory"))?;
        let elected = election::acquire(
            directory,
            if shared { SocketAccess::Open } else { SocketAccess::Private },
        )?;
        Root::start(&self.waitset, elected, JoinPolicy::daemon(self.allowed.clone(), pause));
        Ok(())
    }

    /// Returns the runtime directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Serves until the process ends. A normal exit (`std::process::exit`, on any thread) removes
    /// the socket. If this process was stopped and replaced, it becomes root again.
    pub fn serve(self) -> ! {
        let waitset = self.waitset.clone();
        waitset.spawn_local(self.keep_root()).detach();
        monitor_thread::serve(&waitset, "the monitor")
    }

    async fn keep_root(self) {
        loop {
            self.waitset.sleep(ROOT_CHECK_INTERVAL).await;
            if Root::check_socket() {
                continue;
            }
            let directory = RuntimeDir::at(self.directory.clone()).map_err(DaemonError::from);
            match directory.and_then(|directory| self.become_root(directory, |_| {})) {
                Ok(()) => tracing::info!("this process is the root monitor again"),
                Err(error) => {
                    tracing::error!(?error, "this process is not the root monitor any more")
                }
            }
        }
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Asks roots to hand over until there is none. Returns with the lock, or with a stuck root in
/// place.
fn displace_root(directory: &RuntimeDir, waiting: impl FnOnce(&Peer)) -> Result<(), DaemonError> {
    let (began, mut waiting) = (Instant::now(), Some(waiting));
    let mut vacant_since = None;
    loop {
        let locked = directory.lock()?;
        let socket_id = directory.identity().root_socket_id();
        match (election::probe(directory)?, locked) {
            (RootProbe::NoRoot, true) => return Ok(()),
            (RootProbe::NoRoot, false) => {
                // The lock may be held by a root that was replaced and is still stopped.
                if vacant_since.get_or_insert_with(Instant::now).elapsed() >= STALE_LOCK_TIMEOUT {
                    return Ok(());
                }
            }
            (RootProbe::Connected(socket), _) => {
                vacant_since = None;
                let answered = request_handover(directory)?;
                if began.elapsed() >= WAITING_NOTICE_DELAY
                    && let Some((root, _)) = election::identify_root(&socket, directory)?
                    && let Some(waiting) = waiting.take()
                {
                    waiting(&root);
                }
                if !answered && directory.identity().root_socket_id() == socket_id {
                    return Ok(());
                }
            }
            (RootProbe::Busy | RootProbe::Denied, _) if began.elapsed() >= WAITING_NOTICE_DELAY => {
                return Ok(());
            }
            (RootProbe::Busy | RootProbe::Denied, _) => {}
        }
        let until = Instant::now() + HANDOVER_TIMEOUT;
        thread::sleep(LOCK_RETRY_DELAY);
        while Instant::now() < until && !directory.lock()? {
            thread::sleep(LOCK_RETRY_DELAY);
        }
    }
}

/// Asks the root to hand over. Returns false if it does not answer.
fn request_handover(directory: &RuntimeDir) -> Result<bool, DaemonError> {
    let client = match RootClient::join(directory) {
        Ok(Some(client)) => client,
        // The root is dying, or busy.
        Ok(None) | Err(MonitorError::Busy) => return Ok(true),
        // The root is stuck.
        Err(MonitorError::NoRoot { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let pid = client.root.pid();
    match client.ask(|root| root.request_handover_async()) {
        Ok(Verdict::Stays) => Err(DaemonError::Running { pid }),
        Err(MonitorError::NoRoot { .. }) => Ok(false),
        Ok(_) | Err(_) => Ok(true),
    }
}

/// Raises the descriptor limit to what the system allows: each domain takes two descriptors.
fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit { current: maximum, maximum };
    if let Err(errno) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%errno, "the limit of descriptors could not be raised");
    }
}

/// Reason why a daemon did not become root.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DaemonError {
    /// Another daemon is the root.
    Running {
        /// Process id of the other daemon, if it is visible from here.
        pid: Option<u32>,
    },
    /// The directory belongs to another user.
    NotOwner {
        /// The runtime directory.
        directory: PathBuf,
    },
    /// Other users are to join, and one of them, or the daemon's own, cannot be distinguished from
    /// users without a number in this user namespace.
    UnknownUser {
        /// The uid that stands for all users without a number.
        uid: u32,
    },
    /// The directory cannot be used, or a system call failed.
    Monitor(MonitorError),
}

impl From<MonitorError> for DaemonError {
    fn from(error: MonitorError) -> Self {
        Self::Monitor(error)
    }
}

flounder_rt::debug_as_chain!(DaemonError);

impl fmt::Display for DaemonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { pid } => {
                f.write_str("another daemon is the root monitor there already: ")?;
                match pid {
                    Some(pid) => write!(f, "process {pid}"),
                    None => f.write_str("a process that is not visible from here"),
                }
            }
            Self::NotOwner { directory } => {
                write!(f, "the directory {} belongs to another user", Escaped(directory.display()))
            }
            Self::UnknownUser { uid } => write!(
                f,
                "user {uid} stands for every user without a number in this user namespace and cannot \
                 be let in, nor let others in; run the daemon where all users have numbers"
            ),
            Self::Monitor(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl Error for DaemonError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Monitor(error) => error.source(),
            _ => None,
        }
    }
}
