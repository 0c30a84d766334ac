//! A root monitor that is a process of its own and stays: for a host that wants one place, and to let other users in.
//!
//! It is the root that every domain embeds, and nothing else depends on it: when it is killed, a domain of its user takes
//! its place, until it is started again. A root that is only for the moment hands its office over when a daemon asks.
//!
//! Users who are let in reach the socket in a directory that they can enter, and neither read nor write. The kernel tells
//! the daemon who they are; exactly those on its list come in. Domains of these users go on living when the daemon dies,
//! and wait for the next one: nobody but the owner of the directory can be the root, and whose the names are stays
//! written down for as long as their owners live.

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
use crate::wait::sleep;

/// Between two attempts to lock the directory.
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(1);

/// How long one root, that has let go of its office, or does not listen, is waited for before the next is asked.
const HANDOVER_TIMEOUT: Duration = Duration::from_millis(20);

/// Between two looks at whether this process is still the root.
const ROOT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// After this long without the office, those who started the daemon are told.
const WAITING_NOTICE_DELAY: Duration = Duration::from_secs(1);

/// When a directory is shared that was private, its domains have this long to tell what they have named, before other
/// users come in.
const REJOIN_HEAD_START: Duration = Duration::from_secs(1);

/// What a daemon is to do.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// The directory where domains meet; else the one that the environment names.
    pub directory: Option<PathBuf>,
    /// Users who are let in, besides the daemon's own and user 0.
    pub allowed: BTreeSet<u32>,
}

/// A daemon that is the root.
pub struct Daemon {
    waitset: Waitset,
    directory: PathBuf,
    allowed: BTreeSet<u32>,
}

impl Daemon {
    /// Becomes the root of a directory, from one of its domains if need be. Waits for as long as that takes; `waiting` is
    /// called once if it takes long, with the process that is the root.
    ///
    /// # Errors
    /// [`DaemonError::Running`] if another daemon is the root; [`DaemonError::Monitor`].
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

    /// Becomes the root.
    fn become_root(
        &self,
        mut directory: RuntimeDir,
        waiting: impl FnOnce(&Peer),
    ) -> Result<(), DaemonError> {
        displace_root(&directory, waiting)?;
        let shared = !self.allowed.is_empty();
        // Where nobody was before, nobody has to be waited for; where others were let in before, it is written down.
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

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Serves until the process ends. A normal end (`std::process::exit`, on any thread) removes the socket. If this process
    /// was stopped, and another has become the root meanwhile, takes the office back.
    pub fn serve(self) -> ! {
        let waitset = self.waitset.clone();
        waitset.spawn_local(self.keep_root()).detach();
        monitor_thread::serve(&waitset)
    }

    async fn keep_root(self) {
        loop {
            sleep(&self.waitset, ROOT_CHECK_INTERVAL).await;
            if Root::check_socket() {
                continue;
            }
            let directory = RuntimeDir::at(self.directory.clone()).map_err(DaemonError::from);
            match directory.and_then(|directory| self.become_root(directory, |_| {})) {
                Ok(()) => tracing::info!("this process is the root monitor again"),
                Err(error) => tracing::error!(%error, "the office of the root monitor is lost"),
            }
        }
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Asks whoever is the root to let go, until nobody is. Returns with the lock, or with a root in place that is stuck.
fn displace_root(directory: &RuntimeDir, waiting: impl FnOnce(&Peer)) -> Result<(), DaemonError> {
    let (began, mut waiting) = (Instant::now(), Some(waiting));
    let mut vacant_since = None;
    loop {
        let locked = directory.lock()?;
        let socket_id = directory.identity().root_socket_id();
        match (election::probe(directory)?, locked) {
            (RootProbe::NoRoot, true) => return Ok(()),
            (RootProbe::NoRoot, false) => {
                // The lock may be that of a root that was deposed and is still stopped.
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

/// Asks the root of the moment to hand over. False if it does not answer.
fn request_handover(directory: &RuntimeDir) -> Result<bool, DaemonError> {
    let client = match RootClient::join(directory) {
        Ok(Some(client)) => client,
        // It is about to die, or has too much to do.
        Ok(None) | Err(MonitorError::Busy) => return Ok(true),
        // It is stopped.
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

/// As many domains as the system lets this process have: each takes two descriptors.
fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit { current: maximum, maximum };
    if let Err(errno) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%errno, "the limit of descriptors could not be raised");
    }
}

/// Why a daemon did not become the root.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DaemonError {
    /// Another daemon is the root.
    Running {
        /// That process, if it is visible from here.
        pid: Option<u32>,
    },
    /// The directory is another user's.
    NotOwner {
        /// The directory.
        directory: PathBuf,
    },
    /// It was to let other users in, and one of them, or its own, cannot be told from users without a number in this user
    /// namespace.
    UnknownUser {
        /// The number that stands for all of these.
        uid: u32,
    },
    /// The directory or the system does not let it.
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
