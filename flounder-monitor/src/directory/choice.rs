//! The choice of the runtime directory among the candidates.
//!
//! The environment is read once, when it is first needed, and a relative path is made absolute then: what a program does
//! to its environment or working directory later moves nothing. The candidates are
//!
//! 1. `$FLOUNDER_RUNTIME_DIR`, and then no other;
//! 2. `flounder` in `$XDG_RUNTIME_DIR`, if that is an absolute path to a directory of this user;
//! 3. `flounder` in `/run/user/UID`, if that is a directory of this user;
//! 4. `/tmp/flounder-UID`.
//!
//! The first that has a root is chosen, or else the first. So a program that cron has started before its user logged in,
//! in a directory that the login would not choose, is found nevertheless. The choice is kept for as long as the directory
//! can be used or made anew. In a program that gained privileges by being started (`AT_SECURE`), the environment is its
//! caller's and is not read.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::stat;

use crate::directory::election::{self, RootProbe};
use crate::directory::runtime_dir::RuntimeDir;
use crate::directory::settings::{self, Settings};
use crate::error::MonitorError;
use crate::process::own_uid;

/// Between the death of a root and the next one, if there is a domain that can be it.
const TAKEOVER_TIME: Duration = Duration::from_millis(20);

/// The choice among several candidates, for as long as it can be used.
static CHOSEN: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Opens the one of this process; it is made if it is not there.
pub(crate) fn open() -> Result<RuntimeDir, MonitorError> {
    let path = chosen();
    let opened = RuntimeDir::at(path.clone());
    let Err(error) = opened else { return opened };
    // What it was in is gone, such as the directory of a user who has logged out.
    CHOSEN.lock().take();
    match chosen() {
        same if same == path => Err(error),
        other => {
            tracing::warn!(%error, now = %other.display(), "processes meet elsewhere from now on");
            RuntimeDir::at(other)
        }
    }
}

/// Returns the path of the one where this process meets others.
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

/// Returns the path that was chosen, if one was. It takes no lock: a thread that does not exist in a forked child may hold it.
pub(crate) fn chosen_already() -> Option<PathBuf> {
    let named = settings::read_already().and_then(|settings| settings.named.clone());
    named.or_else(|| CHOSEN.try_lock()?.clone())
}

/// Whether there is a root, or one has just died and a domain takes its place.
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

/// Where processes of this user may meet; the last, or only, one is there always.
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
    use std::path::Path;

    use super::*;
    use crate::directory::settings::from_vars;

    #[test]
    fn the_environment_names_candidates() {
        let dir = tempfile::tempdir().expect("a directory");
        let xdg = dir.path().to_str().expect("UTF-8");
        let uid = own_uid();
        let tmp = PathBuf::from(format!("/tmp/flounder-{uid}"));
        let named = from_vars(&[("FLOUNDER_RUNTIME_DIR", "/run/mine"), ("XDG_RUNTIME_DIR", xdg)]);
        assert_eq!(candidates(&named, uid), [Path::new("/run/mine")]);
        let by_xdg =
            candidates(&from_vars(&[("FLOUNDER_RUNTIME_DIR", ""), ("XDG_RUNTIME_DIR", xdg)]), uid);
        assert_eq!(by_xdg.first(), Some(&dir.path().join("flounder")));
        assert_eq!(by_xdg.last(), Some(&tmp));
        // Nothing else that differs between a login, cron and a service counts.
        let others = [("TMPDIR", xdg), ("HOME", xdg), ("XDG_RUNTIME_DIR", "/no/such/place")];
        assert_eq!(candidates(&from_vars(&others), uid), candidates(&Settings::default(), uid));
        assert_eq!(candidates(&Settings::default(), uid).last(), Some(&tmp));
    }

    #[test]
    fn a_relative_path_is_made_absolute_or_passed_over() {
        let relative = from_vars(&[("FLOUNDER_RUNTIME_DIR", "run"), ("XDG_RUNTIME_DIR", ".")]);
        let here = env::current_dir().expect("it is there");
        assert_eq!(candidates(&relative, own_uid()), [here.join("run")]);
        assert_eq!(from_vars(&[("XDG_RUNTIME_DIR", ".")]).xdg, None);
    }

    #[test]
    fn a_directory_of_another_user_is_no_candidate() {
        let dir = tempfile::tempdir().expect("a directory");
        let xdg = dir.path().to_str().expect("UTF-8");
        let of_another = candidates(&from_vars(&[("XDG_RUNTIME_DIR", xdg)]), own_uid() + 1);
        assert!(!of_another.contains(&dir.path().join("flounder")), "{of_another:?}");
    }

    #[test]
    fn a_root_is_known_by_its_socket_and_a_dead_one_is_none() {
        let parent = tempfile::tempdir().expect("a directory");
        let path = parent.path().join("run");
        assert!(!has_root(path.clone()) && !path.exists());
        let dir = RuntimeDir::at(path.clone()).expect("it can be made");
        assert!(!has_root(path.clone()));
        let elected =
            election::install_socket(&dir, election::SocketAccess::Private).expect("it is ours");
        assert!(has_root(path.clone()));
        drop(elected);
        assert!(!has_root(path.clone()) && path.join("root.sock").exists());
    }
}
