//! The directory where domains meet.
//!
//! It is `$FLOUNDER_RUNTIME_DIR`; else `flounder` in `$XDG_RUNTIME_DIR`, if there is such a directory; else
//! `flounder-UID` in the directory for temporary files. It is made with mode 0700 if it is not there. Whoever could put
//! files into it could pose as the root monitor, so it is used only if it is a directory itself (no link) that nobody but
//! its owner can read or write, and if the owner is to be trusted: this user, user 0, or the one that
//! `$FLOUNDER_TRUST_UID` names. What was checked is what is used: everything goes through the descriptor.
//!
//! | form | mode | made by | who comes to the socket |
//! |---|---|---|---|
//! | private | 0700 | any domain | the owner, and user 0 |
//! | shared | 0711, the socket 0666 | a daemon that lets others in | everybody; the daemon asks the kernel who it is |
//!
//! The lock that makes a root needs a descriptor that can read. So only the owner's processes ever hold it: a user who is
//! let in can neither become root, nor keep others from it.

use std::env;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, chmodat, fchmod, flock, fstat, mkdirat, openat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

use crate::error::{DirProblem, MonitorError};
use crate::sys::ROOT_SOCKET;

/// Others may enter, and nothing else: they reach the socket.
const SHARED: Mode = Mode::from_raw_mode(0o711);

/// What nobody but the owner may have: reading, which would let them hold the lock, and writing.
const ACCESS_OF_OTHERS: u32 = 0o066;

/// The directory, open and checked.
#[derive(Debug)]
pub(crate) struct RuntimeDir {
    path: PathBuf,
    /// Good for the lock if the directory is this user's; else only a place.
    fd: OwnedFd,
    owner: u32,
    shared: bool,
    made: bool,
}

impl RuntimeDir {
    /// The one that the environment names; it is made if it is not there.
    pub(crate) fn open() -> Result<Self, MonitorError> {
        Self::at(Self::chosen())
    }

    /// This one; it is made if it is not there.
    pub(crate) fn at(path: PathBuf) -> Result<Self, MonitorError> {
        match mkdirat(CWD, &path, Mode::RWXU) {
            Ok(()) => Ok(Self { made: true, ..Self::existing(path)? }),
            Err(Errno::EXIST) => Self::existing(path),
            Err(errno) => {
                let why = DirProblem::Os(errno.raw_os_error());
                Err(MonitorError::RuntimeDir { path, why })
            }
        }
    }

    /// This one, if it is there.
    pub(crate) fn existing(path: PathBuf) -> Result<Self, MonitorError> {
        match open(&path) {
            Ok((fd, owner, shared)) => Ok(Self { path, fd, owner, shared, made: false }),
            Err(why) => Err(MonitorError::RuntimeDir { path, why }),
        }
    }

    /// Which one the environment names.
    pub(crate) fn chosen() -> PathBuf {
        chosen(|name| env::var_os(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The descriptor, whose lock makes a root.
    pub(crate) const fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// The descriptor alone.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// The user whose processes, and those of user 0, can be the root here.
    pub(crate) const fn owner(&self) -> u32 {
        self.owner
    }

    /// Whether this process can be the root here.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner == own_uid()
    }

    /// Whether others may enter.
    pub(crate) const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Whether opening made it: then nobody has been here before.
    pub(crate) const fn was_made(&self) -> bool {
        self.made
    }

    /// Gives it one of the two forms.
    pub(crate) fn share(&mut self, shared: bool) -> rustix::io::Result<()> {
        if self.shared != shared {
            fchmod(&self.fd, if shared { SHARED } else { Mode::RWXU })?;
            self.shared = shared;
        }
        Ok(())
    }

    /// Lets those who may enter connect to the socket.
    pub(crate) fn share_socket(&self) -> rustix::io::Result<()> {
        chmodat(&self.fd, ROOT_SOCKET, Mode::from_raw_mode(0o666), AtFlags::empty())
    }

    /// Takes the lock of the root; false if another has it.
    pub(crate) fn lock(&self) -> Result<bool, MonitorError> {
        let lock = || flock(&self.fd, FlockOperation::NonBlockingLockExclusive);
        match rustix::io::retry_on_intr(lock) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(MonitorError::os("lock the runtime directory")(errno)),
        }
    }

    /// Removes the socket, if there is one.
    pub(crate) fn remove_socket(&self) -> Result<(), MonitorError> {
        match unlinkat(&self.fd, ROOT_SOCKET, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(MonitorError::os("remove the socket of a dead root")(errno)),
        }
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

/// The user of this process.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn chosen(var: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let set = |name| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = set("FLOUNDER_RUNTIME_DIR") {
        return path;
    }
    if let Some(path) = set("XDG_RUNTIME_DIR").filter(|path| path.is_dir()) {
        return path.join("flounder");
    }
    env::temp_dir().join(format!("flounder-{}", own_uid()))
}

/// Whether what `uid` offers can be believed here.
fn is_trusted(uid: u32, named: Option<OsString>) -> bool {
    let named = named.and_then(|named| named.to_str()?.parse().ok());
    uid == own_uid() || uid == 0 || Some(uid) == named
}

/// The directory, its owner, and whether others may enter.
fn open(path: &Path) -> Result<(OwnedFd, u32, bool), DirProblem> {
    let failed = |errno: Errno| match errno {
        Errno::NOTDIR | Errno::LOOP => DirProblem::NotADirectory,
        errno => DirProblem::Os(errno.raw_os_error()),
    };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat(CWD, path, OFlags::PATH | flags, Mode::empty()).map_err(failed)?;
    let status = fstat(&place).map_err(failed)?;
    let (owner, mode) = (status.st_uid, status.st_mode & 0o777);
    if !is_trusted(owner, env::var_os("FLOUNDER_TRUST_UID")) {
        return Err(DirProblem::Owner { uid: owner });
    }
    if mode & ACCESS_OF_OTHERS != 0 {
        return Err(DirProblem::Mode { mode });
    }
    let fd = match owner == own_uid() {
        true => openat(&place, ".", OFlags::RDONLY | flags, Mode::empty()).map_err(failed)?,
        false => place,
    };
    Ok((fd, owner, mode & 0o011 != 0))
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
    fn others_may_enter_but_neither_read_nor_write() {
        let parent = tempfile::tempdir().expect("a directory");
        let path = parent.path().join("run");
        let mut dir = RuntimeDir::at(path.clone()).expect("it can be made");
        assert!(dir.was_made() && dir.is_ours() && !dir.is_shared());
        dir.share(true).expect("it is ours");
        let again = RuntimeDir::at(path.clone()).expect("it can be used");
        assert!(again.is_shared() && !again.was_made());
        assert!(again.lock().expect("the owner can read") && !dir.lock().expect("it can be asked"));
        for mode in [0o701, 0o710, 0o711] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
            assert!(RuntimeDir::at(path.clone()).expect("it can be used").is_shared());
        }
        for mode in [0o715, 0o713, 0o751, 0o731, 0o704, 0o702] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
            assert_eq!(problem(path.clone()), DirProblem::Mode { mode });
        }
        dir.share(false).expect("it is ours");
    }

    #[test]
    fn only_who_is_named_is_believed_besides_oneself_and_user_0() {
        let other = own_uid() + 1;
        assert!(is_trusted(own_uid(), None) && is_trusted(0, None));
        assert!(!is_trusted(other, None) && !is_trusted(other, Some("".into())));
        assert!(is_trusted(other, Some(other.to_string().into())));
        assert!(!is_trusted(other + 1, Some(other.to_string().into())));
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
