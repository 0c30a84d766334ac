//! The directory where the domains of one user meet.
//!
//! It is `$FLOUNDER_RUNTIME_DIR`; else `flounder` in `$XDG_RUNTIME_DIR`, if there is such a directory; else
//! `flounder-UID` in the directory for temporary files. It is made with mode 0700 if it is not there. Whoever could put
//! files into it could pose as the root monitor, so it is used only if it is a directory itself (no link), belongs to this
//! user, and nobody else has any access. What was checked is what is used: everything goes through the descriptor.

use std::env;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

use crate::error::{DirProblem, MonitorError};
use crate::sys::ROOT_SOCKET;

/// The directory, open and checked.
#[derive(Debug)]
pub(crate) struct RuntimeDir {
    path: PathBuf,
    fd: OwnedFd,
}

impl RuntimeDir {
    /// The one that the environment names.
    pub(crate) fn open() -> Result<Self, MonitorError> {
        Self::at(chosen(|name| env::var_os(name)))
    }

    fn at(path: PathBuf) -> Result<Self, MonitorError> {
        match open(&path) {
            Ok(fd) => Ok(Self { path, fd }),
            Err(why) => Err(MonitorError::RuntimeDir { path, why }),
        }
    }

    /// The descriptor, whose lock makes a root.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// The descriptor alone.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Where the root listens. A path that is too long for a socket goes by way of the descriptor.
    pub(crate) fn root_address(&self) -> Result<SocketAddrUnix, MonitorError> {
        let name = ROOT_SOCKET.to_str().expect("the name is ASCII");
        let address = SocketAddrUnix::new(self.path.join(name)).or_else(|_| {
            SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", self.fd.as_raw_fd()))
        });
        address.map_err(MonitorError::os("name the root's socket"))
    }
}

fn chosen(var: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let set = |name| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set("FLOUNDER_RUNTIME_DIR") {
        return path;
    }
    if let Some(path) = set("XDG_RUNTIME_DIR").filter(|path| path.is_dir()) {
        return path.join("flounder");
    }
    env::temp_dir().join(format!("flounder-{}", rustix::process::geteuid().as_raw()))
}

fn open(path: &Path) -> Result<OwnedFd, DirProblem> {
    match mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(DirProblem::Os(errno.raw_os_error())),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(CWD, path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOTDIR | Errno::LOOP => DirProblem::NotADirectory,
        errno => DirProblem::Os(errno.raw_os_error()),
    })?;
    let status = fstat(&fd).map_err(|errno| DirProblem::Os(errno.raw_os_error()))?;
    if status.st_uid != rustix::process::geteuid().as_raw() {
        return Err(DirProblem::Owner { uid: status.st_uid });
    }
    match status.st_mode & 0o777 {
        mode if mode & 0o077 != 0 => Err(DirProblem::Mode { mode }),
        _ => Ok(fd),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn problem(path: PathBuf) -> DirProblem {
        match RuntimeDir::at(path) {
            Err(MonitorError::RuntimeDir { why, .. }) => why,
            other => panic!("expected a problem, got {other:?}"),
        }
    }

    #[test]
    fn it_is_made_private_and_found_again() {
        let parent = tempfile::tempdir().expect("a directory");
        let path = parent.path().join("run");
        RuntimeDir::at(path.clone()).expect("it can be made");
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        RuntimeDir::at(path).expect("it is good the second time");
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).expect("chmod");
        assert_eq!(problem(dir.path().to_owned()), DirProblem::Mode { mode: 0o750 });
    }

    #[test]
    fn a_link_and_a_file_are_refused() {
        let parent = tempfile::tempdir().expect("a directory");
        let (real, link) = (parent.path().join("real"), parent.path().join("link"));
        fs::create_dir(&real).expect("mkdir");
        std::os::unix::fs::symlink(&real, &link).expect("symlink");
        assert_eq!(problem(link), DirProblem::NotADirectory);
        let file = parent.path().join("file");
        fs::write(&file, "").expect("write");
        assert_eq!(problem(file), DirProblem::NotADirectory);
    }

    #[test]
    fn a_missing_parent_is_said() {
        let parent = tempfile::tempdir().expect("a directory");
        let why = problem(parent.path().join("no/such"));
        assert_eq!(why, DirProblem::Os(libc::ENOENT));
        assert!(why.to_string().contains("FLOUNDER_RUNTIME_DIR"), "it says what to do: {why}");
    }

    #[test]
    fn the_environment_chooses() {
        let dir = tempfile::tempdir().expect("a directory");
        let xdg = dir.path().as_os_str().to_owned();
        let vars = |flounder: Option<&str>, xdg: Option<OsString>| {
            let flounder = flounder.map(OsString::from);
            chosen(move |name| match name {
                "FLOUNDER_RUNTIME_DIR" => flounder.clone(),
                _ => xdg.clone(),
            })
        };
        assert_eq!(vars(Some("/run/mine"), Some(xdg.clone())), Path::new("/run/mine"));
        assert_eq!(vars(Some(""), Some(xdg.clone())), dir.path().join("flounder"));
        let temporary = vars(None, Some("/no/such/place".into()));
        assert!(temporary.starts_with(env::temp_dir()), "{temporary:?}");
    }

    #[test]
    fn a_long_path_still_has_an_address() {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = RuntimeDir::at(parent.path().join("x".repeat(200))).expect("it can be made");
        let address = dir.root_address().expect("by way of the descriptor");
        assert!(address.path_bytes().is_some_and(|path| path.starts_with(b"/proc/self/fd/")));
    }
}
