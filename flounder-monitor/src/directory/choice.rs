//! The choice of the runtime directory among the candidates.
//!
//! The environment is read once, at the first use, and a relative path is made absolute then: a
//! later change of the environment or the working directory has no effect. The candidates are
//!
//! 1. `$FLOUNDER_RUNTIME_DIR`, and then no other;
//! 2. `flounder` in `$XDG_RUNTIME_DIR`, if that is an absolute path to a directory of this user;
//! 3. `flounder` in `/run/user/UID`, if that is a directory of this user;
//! 4. `/tmp/flounder-UID`.
//!
//! The first candidate that has a root is chosen, or else the first. So a program that cron started
//! before its user logged in, and whose directory a login would not choose, is found nevertheless.
//! The choice is kept while the directory can be used or created again, and no other candidate is
//! the only one with a root. A program that gained privileges by being started (`AT_SECURE`)
//! ignores the environment, which its caller controls.
//!
//! # Two roots at once
//! Processes of a user may have different candidates, and each may find no root and become one. Two
//! rules bring them together. Both rest on the order above, which is the same in all processes, and
//! on the last candidate, which all have.
//!
//! * A process that has put its socket in place checks its other candidates *after* that
//!   ([`must_yield`]). If two processes do so at once, and each has the directory of the other
//!   among its candidates, at least one sees the other. The process in the later directory
//!   continues; the other removes its socket and joins. A process joins a root that was there
//!   before.
//! * A root checks once a second whether a root listens in a later candidate
//!   ([`must_yield_to_later`]), and then joins it with its domains. This finds a root that could
//!   not see this one: a process without the directory of this root has a later one.
//!
//! A daemon stays where it was started.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::stat;

use crate::directory::election::{self, RootProbe};
use crate::directory::runtime_dir::RuntimeDir;
use crate::directory::settings::{self, Settings};
use crate::error::MonitorError;
use crate::process::own_uid;

/// Time from the death of a root to the next one, if a domain can replace it.
const TAKEOVER_TIME: Duration = Duration::from_millis(20);

/// The chosen candidate.
static CHOSEN: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Opens the runtime directory of this process, and creates it if it is missing.
pub(crate) fn open() -> Result<RuntimeDir, MonitorError> {
    let path = chosen();
    let opened = RuntimeDir::at(path.clone());
    let Err(error) = opened else { return opened };
    // Its parent is gone, for example because the user has logged out.
    CHOSEN.lock().take();
    match chosen() {
        same if same == path => Err(error),
        other => {
            tracing::warn!(?error, now = %other.display(), "the runtime directory cannot be used: another one is chosen");
            RuntimeDir::at(other)
        }
    }
}

/// Returns the path of the runtime directory of this process.
pub(crate) fn chosen() -> PathBuf {
    let mut candidates = candidates(Settings::here(), own_uid());
    if candidates.len() == 1 {
        return candidates.remove(0);
    }
    let mut chosen = CHOSEN.lock();
    match &*chosen {
        Some(path) if candidates.contains(path) => path.clone(),
        _ => {
            let busy = candidates.iter().position(|path| has_root(path.clone()));
            let path = candidates.swap_remove(busy.unwrap_or(0));
            chosen.insert(path).clone()
        }
    }
}

/// Returns the chosen path, if there is one. Does not block on the lock: in a forked child its
/// holder may not exist.
pub(crate) fn chosen_already() -> Option<PathBuf> {
    let named = settings::read_already().and_then(|settings| settings.named.clone());
    named.or_else(|| CHOSEN.try_lock()?.clone())
}

/// Returns true if there is a root, or if a domain replaces one that has just died.
fn has_root(path: PathBuf) -> bool {
    let Ok(directory) = RuntimeDir::existing(path) else { return false };
    let listens = || !matches!(election::probe(&directory), Ok(RootProbe::NoRoot));
    if directory.identity().root_socket_id().is_none() {
        return false;
    }
    listens() || {
        thread::sleep(TAKEOVER_TIME);
        listens()
    }
}

/// Chooses another candidate than `path` in which a root listens, and opens it. `None` if there is
/// none, or if this process
/// has no choice.
pub(crate) fn switch_from(path: &Path) -> Option<RuntimeDir> {
    let (earlier, later) = others(path)?;
    let path = earlier.into_iter().chain(later).find(|path| root_listens(path))?;
    choose(&path);
    RuntimeDir::existing(path).ok()
}

/// Returns true if this process, whose socket has just been put into `path`, must give way to a
/// root in another
/// candidate. That one is chosen from now on.
pub(crate) fn must_yield(path: &Path) -> bool {
    let Some((earlier, later)) = others(path) else { return false };
    let stays = |path: &PathBuf| {
        root_listens(path) && {
            // The other process may have just put its socket there, and be about to see this one.
            thread::sleep(TAKEOVER_TIME);
            root_listens(path)
        }
    };
    let other = later.into_iter().find(|path| root_listens(path));
    choose_if_some(other.or_else(|| earlier.into_iter().find(stays)))
}

/// Returns true if a root listens in a candidate after `path`. That one is chosen from now on.
pub(crate) fn must_yield_to_later(path: &Path) -> bool {
    let Some((_, later)) = others(path) else { return false };
    choose_if_some(later.into_iter().find(|path| root_listens(path)))
}

fn choose_if_some(path: Option<PathBuf>) -> bool {
    path.inspect(|path| choose(path)).is_some()
}

fn choose(path: &Path) {
    tracing::warn!(path = %path.display(), "another runtime directory has a root monitor: this process joins it");
    CHOSEN.lock().replace(path.to_owned());
}

/// Returns the candidates before and after `path`; `None` if it is the only one, or none of them.
fn others(path: &Path) -> Option<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut earlier = candidates(Settings::here(), own_uid());
    let at = earlier.iter().position(|candidate| candidate == path)?;
    let later = earlier.split_off(at + 1);
    earlier.pop();
    (!earlier.is_empty() || !later.is_empty()).then_some((earlier, later))
}

/// Returns true if a process accepts connections as the root of the directory `path`.
fn root_listens(path: &Path) -> bool {
    let Ok(directory) = RuntimeDir::existing(path.to_owned()) else { return false };
    directory.identity().root_socket_id().is_some()
        && matches!(election::probe(&directory), Ok(RootProbe::Connected(_) | RootProbe::Busy))
}

/// Returns the candidates in order. The last, or only, one does not depend on what exists.
fn candidates(settings: &Settings, uid: u32) -> Vec<PathBuf> {
    if let Some(path) = &settings.named {
        return vec![path.clone()];
    }
    let of_user = |path: &PathBuf| {
        let status = stat(path);
        status.is_ok_and(|status| status.st_uid == uid && status.st_mode & 0o170_000 == 0o040_000)
    };
    let by_login = PathBuf::from(format!("/run/user/{uid}"));
    let mut candidates = Vec::new();
    for parent in settings.xdg.iter().chain([&by_login]).filter(|path| of_user(path)) {
        let path = parent.join("flounder");
        if !candidates.contains(&path) {
            candidates.push(path);
        }
    }
    candidates.push(PathBuf::from(format!("/tmp/flounder-{uid}")));
    candidates
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;
    use crate::directory::settings::from_vars;

    #[test]
    fn environment_determines_the_candidates() {
        let dir = tempfile::tempdir().expect("create a temporary directory");
        let xdg = dir.path().to_str().expect("UTF-8");
        let uid = own_uid();
        let tmp = PathBuf::from(format!("/tmp/flounder-{uid}"));
        let named = from_vars(&[("FLOUNDER_RUNTIME_DIR", "/run/mine"), ("XDG_RUNTIME_DIR", xdg)]);
        assert_eq!(candidates(&named, uid), [Path::new("/run/mine")]);
        let by_xdg =
            candidates(&from_vars(&[("FLOUNDER_RUNTIME_DIR", ""), ("XDG_RUNTIME_DIR", xdg)]), uid);
        assert_eq!(by_xdg.first(), Some(&dir.path().join("flounder")));
        assert_eq!(by_xdg.last(), Some(&tmp));
        // No other difference between a login, cron and a service matters.
        let others = [("TMPDIR", xdg), ("HOME", xdg), ("XDG_RUNTIME_DIR", "/no/such/place")];
        assert_eq!(candidates(&from_vars(&others), uid), candidates(&Settings::default(), uid));
        assert_eq!(candidates(&Settings::default(), uid).last(), Some(&tmp));
    }

    #[test]
    fn relative_path_is_made_absolute_or_ignored() {
        let relative = from_vars(&[("FLOUNDER_RUNTIME_DIR", "run"), ("XDG_RUNTIME_DIR", ".")]);
        let here = env::current_dir().expect("the file exists");
        assert_eq!(candidates(&relative, own_uid()), [here.join("run")]);
        assert_eq!(from_vars(&[("XDG_RUNTIME_DIR", ".")]).xdg, None);
    }

    #[test]
    fn directory_of_another_user_is_no_candidate() {
        let dir = tempfile::tempdir().expect("create a temporary directory");
        let xdg = dir.path().to_str().expect("UTF-8");
        let of_another = candidates(&from_vars(&[("XDG_RUNTIME_DIR", xdg)]), own_uid() + 1);
        assert!(!of_another.contains(&dir.path().join("flounder")), "{of_another:?}");
    }

    #[test]
    fn only_a_listening_socket_counts_as_root() {
        let parent = tempfile::tempdir().expect("create a temporary directory");
        let path = parent.path().join("run");
        assert!(!has_root(path.clone()) && !path.exists());
        let dir = RuntimeDir::at(path.clone()).expect("create the directory");
        assert!(!has_root(path.clone()));
        let elected = election::install_socket(&dir, election::SocketAccess::Private)
            .expect("own the directory");
        assert!(has_root(path.clone()));
        drop(elected);
        assert!(!has_root(path.clone()) && path.join("root.sock").exists());
    }
}
