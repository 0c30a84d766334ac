//! The runtime directory: opening, checking and creating it.
//!
//! # Checks
//! A missing directory is created with mode 0700, unless its parent belongs to another user. A
//! process that could put files into the directory could pose as the root monitor. So the directory
//! is used only if it is a directory itself (no link) that only its owner can read or write,
//! and if its owner is trusted: this user, user 0, or the user in `$FLOUNDER_TRUST_UID`. Everything
//! goes through the descriptor that was checked.
//!
//! | form | mode | created by | who can connect to the socket |
//! |---|---|---|---|
//! | private | 0700 | any domain | the owner, and user 0 |
//! | shared | 0711, the socket 0666 | a daemon that admits other users | everybody; the daemon checks the user that the kernel reports |
//!
//! A process that can write to the directory can be root, and the lock needs a descriptor that can
//! read. So only processes of the owner become root: a user who is admitted can neither become root
//! nor keep others from it.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf, absolute};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, Stat, chmod, chmodat, fchmod, flock,
    fstat, lstat, mkdirat, openat, renameat, stat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

use crate::directory::root_lock::ROOT_SOCKET;
use crate::directory::settings::Settings;
use crate::error::{DirProblem, MonitorError, NO_ENTRY};
use crate::process::{is_unknown_uid, own_uid};

/// Mode of a shared directory: others may enter it, and so reach the socket, and nothing else.
const SHARED: Mode = Mode::from_raw_mode(0o711);

/// Permissions that only the owner may have: to read, which is enough to take the lock, and to
/// write.
const FORBIDDEN_BITS: u32 = 0o066;

/// Mode bit of directories in which only the owner of a file can remove it.
const STICKY: u32 = 0o1000;

/// Path of a directory, with the device and inode that were found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirIdentity {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// An open runtime directory that has passed the checks.
#[derive(Debug)]
pub(crate) struct RuntimeDir {
    directory_id: DirIdentity,
    /// Can be locked if the directory belongs to this user; otherwise opened with `O_PATH`.
    fd: OwnedFd,
    owner: u32,
    shared: bool,
    created: bool,
}

impl RuntimeDir {
    /// Opens the directory `path`, and creates it if it is missing.
    pub(crate) fn at(path: PathBuf) -> Result<Self, MonitorError> {
        let path = absolute(&path).unwrap_or(path);
        match Self::existing(path.clone()) {
            Err(MonitorError::RuntimeDir { why: DirProblem::Os(NO_ENTRY), .. }) => {}
            result => return result,
        }
        if let Err(why) = make(&path) {
            return Err(MonitorError::RuntimeDir { path, why });
        }
        Ok(Self { created: true, ..Self::existing(path)? })
    }

    /// Opens the directory `path` if it exists.
    pub(crate) fn existing(path: PathBuf) -> Result<Self, MonitorError> {
        let path = absolute(&path).unwrap_or(path);
        match open(&path) {
            Ok((fd, status)) => Ok(Self {
                directory_id: DirIdentity::new(path, &status),
                fd,
                owner: status.st_uid,
                shared: status.st_mode & 0o011 != 0,
                created: false,
            }),
            Err(why) => Err(MonitorError::RuntimeDir { path, why }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory_id.path
    }

    /// Returns path, device and inode.
    pub(crate) const fn identity(&self) -> &DirIdentity {
        &self.directory_id
    }

    /// Returns the descriptor.
    pub(crate) const fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Returns the descriptor, which keeps the lock.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Returns the owner: only processes of that user, and of user 0, can be root here.
    pub(crate) const fn owner(&self) -> u32 {
        self.owner
    }

    /// Returns true if the directory belongs to this user, so that this process can be root.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner == own_uid()
    }

    /// Returns true if other users may enter the directory.
    pub(crate) const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Returns true if opening created the directory, so that no process has used it before.
    pub(crate) const fn was_created(&self) -> bool {
        self.created
    }

    /// Sets the form: shared or private.
    pub(crate) fn share(&mut self, shared: bool) -> rustix::io::Result<()> {
        if self.shared != shared {
            fchmod(&self.fd, if shared { SHARED } else { Mode::RWXU })?;
            self.shared = shared;
        }
        Ok(())
    }

    /// Sets who may connect to the socket `name`, regardless of the umask of this process.
    pub(crate) fn set_socket_access(&self, name: &str, others: bool) -> rustix::io::Result<()> {
        let mode = if others { 0o666 } else { 0o600 };
        chmodat(&self.fd, name, Mode::from_raw_mode(mode), AtFlags::empty())
    }

    /// Renames the listening socket `name` to the root's socket. Its process is the root from then
    /// on.
    pub(crate) fn install_socket(&self, name: &str) -> rustix::io::Result<RootSocketId> {
        let status = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        renameat(&self.fd, name, &self.fd, ROOT_SOCKET)?;
        Ok(RootSocketId::new(&status))
    }

    /// Takes the root's lock. Returns false if another process has it.
    pub(crate) fn lock(&self) -> Result<bool, MonitorError> {
        let lock = || flock(&self.fd, FlockOperation::NonBlockingLockExclusive);
        match rustix::io::retry_on_intr(lock) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(MonitorError::os("lock the runtime directory")(errno)),
        }
    }

    /// Returns the names of the sockets in the directory that belong to this user.
    pub(crate) fn own_sockets(&self) -> rustix::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let status = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
            let is_own_socket = |status: &Stat| {
                let is_socket = FileType::from_raw_mode(status.st_mode) == FileType::Socket;
                is_socket && status.st_uid == own_uid()
            };
            if status.is_ok_and(|status| is_own_socket(&status)) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Removes the socket `name`.
    pub(crate) fn remove_socket(&self, name: &str) {
        // A socket that stays is removed by the next root.
        let _ = unlinkat(&self.fd, name, AtFlags::empty());
    }

    /// Returns the address of the root's socket.
    pub(crate) fn root_address(&self) -> Result<SocketAddrUnix, MonitorError> {
        self.address(ROOT_SOCKET)
    }

    /// Returns the address of a socket in the directory. A path that is too long goes through the
    /// descriptor.
    pub(crate) fn address(&self, name: &str) -> Result<SocketAddrUnix, MonitorError> {
        let address = SocketAddrUnix::new(self.path().join(name)).or_else(|_| {
            SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", self.fd.as_raw_fd()))
        });
        address.map_err(MonitorError::os("name the root's socket"))
    }
}

/// Identity of a root: device and inode of its socket. A root keeps its socket open, so no other
/// file gets these numbers while the process is the root or could be taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RootSocketId {
    device: u64,
    inode: u64,
}

impl RootSocketId {
    fn new(status: &Stat) -> Self {
        Self { device: status.st_dev, inode: status.st_ino }
    }

    /// Returns the inode.
    pub(crate) const fn inode(&self) -> u64 {
        self.inode
    }
}

impl DirIdentity {
    fn new(path: PathBuf, status: &Stat) -> Self {
        Self { path, device: status.st_dev, inode: status.st_ino }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if the path still leads to this directory. Requires that a process keeps the
    /// directory open: otherwise the kernel may reuse the inode.
    pub(crate) fn is_there(&self) -> bool {
        lstat(&self.path)
            .is_ok_and(|status| (status.st_dev, status.st_ino) == (self.device, self.inode))
    }

    /// Returns the identity of the root's socket at this path, or `None` if there is none or the
    /// directory is gone.
    pub(crate) fn root_socket_id(&self) -> Option<RootSocketId> {
        Some(RootSocketId::new(&lstat(self.path.join(ROOT_SOCKET)).ok()?))
    }
}

/// Returns true if this process trusts directories of `uid`.
fn is_trusted(uid: u32, named: Option<u32>) -> bool {
    uid == own_uid() || uid == 0 || Some(uid) == named
}

/// Creates a missing directory.
fn make(path: &Path) -> Result<(), DirProblem> {
    let failed = |errno: Errno| DirProblem::Os(errno.into());
    if Settings::here().trusted.is_some_and(|uid| uid != own_uid()) {
        // Only that user may create it: a directory of this user would keep the others out.
        return Err(failed(Errno::NOENT));
    }
    let parent = match path.parent() {
        Some(parent) => stat(parent).map_err(failed)?,
        None => return Err(failed(Errno::NOENT)),
    };
    if !is_trusted(parent.st_uid, None) && parent.st_mode & STICKY == 0 {
        return Err(DirProblem::Parent { uid: parent.st_uid });
    }
    match mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    }
    // The umask may have removed permissions of the owner.
    chmod(path, Mode::RWXU).map_err(failed)
}

/// Opens a directory and checks it.
fn open(path: &Path) -> Result<(OwnedFd, Stat), DirProblem> {
    let failed = |errno: Errno| match errno {
        Errno::NOTDIR | Errno::LOOP => DirProblem::NotADirectory,
        errno => DirProblem::Os(errno.into()),
    };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = openat(CWD, path, OFlags::PATH | flags, Mode::empty()).map_err(failed)?;
    let status = fstat(&place).map_err(failed)?;
    let (owner, mode) = (status.st_uid, status.st_mode & 0o777);
    // O_NOATIME succeeds only for the owner, or with CAP_FOWNER.
    let opens_as_owner =
        |place| openat(place, ".", OFlags::RDONLY | OFlags::NOATIME | flags, Mode::empty()).is_ok();
    if is_unknown_uid(owner) && !(owner == own_uid() && opens_as_owner(&place)) {
        return Err(DirProblem::UnknownOwner);
    }
    if !is_trusted(owner, Settings::here().trusted) {
        return Err(DirProblem::Owner { uid: owner });
    }
    if mode & FORBIDDEN_BITS != 0 {
        return Err(DirProblem::Mode { mode });
    }
    let fd = match owner == own_uid() {
        true => openat(&place, ".", OFlags::RDONLY | flags, Mode::empty()).map_err(failed)?,
        false => place,
    };
    Ok((fd, status))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::directory::settings::from_vars;

    fn problem(path: PathBuf) -> DirProblem {
        match RuntimeDir::at(path) {
            Err(MonitorError::RuntimeDir { why, .. }) => why,
            other => panic!("expected a problem, got {other:?}"),
        }
    }

    #[test]
    fn new_directory_is_private() {
        let parent = tempfile::tempdir().expect("create a temporary directory");
        let path = parent.path().join("run");
        RuntimeDir::at(path.clone()).expect("create the directory");
        let mode = fs::metadata(&path).expect("the file exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        RuntimeDir::at(path).expect("open the directory again");
    }

    #[test]
    fn directory_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("create a temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).expect("chmod");
        assert_eq!(problem(dir.path().to_owned()), DirProblem::Mode { mode: 0o750 });
    }

    #[test]
    fn shared_directory_gives_others_search_permission_only() {
        let parent = tempfile::tempdir().expect("create a temporary directory");
        let path = parent.path().join("run");
        let mut dir = RuntimeDir::at(path.clone()).expect("create the directory");
        assert!(dir.was_created() && dir.is_ours() && !dir.is_shared());
        dir.share(true).expect("own the directory");
        let again = RuntimeDir::at(path.clone()).expect("open the directory");
        assert!(again.is_shared() && !again.was_created());
        assert!(again.lock().expect("lock the directory") && !dir.lock().expect("try the lock"));
        for mode in [0o701, 0o710, 0o711] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
            assert!(RuntimeDir::at(path.clone()).expect("open the directory").is_shared());
        }
        for mode in [0o715, 0o713, 0o751, 0o731, 0o704, 0o702] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
            assert_eq!(problem(path.clone()), DirProblem::Mode { mode });
        }
        dir.share(false).expect("own the directory");
    }

    #[test]
    fn own_user_user_0_and_the_named_user_are_trusted() {
        let other = own_uid() + 1;
        assert!(is_trusted(own_uid(), None) && is_trusted(0, None));
        assert!(!is_trusted(other, None) && is_trusted(other, Some(other)));
        assert!(!is_trusted(other + 1, Some(other)));
        let other = other.to_string();
        assert_eq!(from_vars(&[("FLOUNDER_TRUST_UID", "")]).trusted, None);
        assert_eq!(from_vars(&[("FLOUNDER_TRUST_UID", &other)]).trusted, other.parse().ok());
    }

    #[test]
    fn link_and_file_are_refused() {
        let parent = tempfile::tempdir().expect("create a temporary directory");
        let (real, link) = (parent.path().join("real"), parent.path().join("link"));
        fs::create_dir(&real).expect("mkdir");
        std::os::unix::fs::symlink(&real, &link).expect("symlink");
        assert_eq!(problem(link), DirProblem::NotADirectory);
        let file = parent.path().join("file");
        fs::write(&file, "").expect("write");
        assert_eq!(problem(file), DirProblem::NotADirectory);
    }

    #[test]
    fn missing_parent_is_reported() {
        let parent = tempfile::tempdir().expect("create a temporary directory");
        let why = problem(parent.path().join("no/such"));
        assert_eq!(why, DirProblem::Os(NO_ENTRY));
        assert!(why.to_string().contains("FLOUNDER_RUNTIME_DIR"), "it says what to do: {why}");
    }

    #[test]
    fn nothing_is_created_in_a_directory_of_another_user() {
        if own_uid() != 0 {
            return println!("skipped: only user 0 can make a directory of another user");
        }
        let dir = tempfile::tempdir().expect("create a temporary directory");
        std::os::unix::fs::chown(dir.path(), Some(7), Some(7)).expect("chown as user 0");
        let path = dir.path().join("run");
        let why = problem(path.clone());
        assert_eq!(why, DirProblem::Parent { uid: 7 });
        assert!(!path.exists() && why.to_string().contains("FLOUNDER_RUNTIME_DIR"), "{why}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).expect("chmod");
        RuntimeDir::at(path).expect("create the directory in a sticky one");
    }

    #[test]
    fn renamed_directory_is_detected() {
        let parent = tempfile::tempdir().expect("create a temporary directory");
        let path = parent.path().join("run");
        let dir = RuntimeDir::at(path.clone()).expect("create the directory");
        assert!(dir.identity().is_there());
        fs::rename(&path, parent.path().join("old")).expect("rename");
        assert!(!dir.identity().is_there());
        let anew = RuntimeDir::at(path).expect("create the directory");
        assert!(anew.identity().is_there() && !dir.identity().is_there());
    }

    #[test]
    fn long_path_has_an_address() {
        let parent = tempfile::tempdir().expect("create a temporary directory");
        let dir =
            RuntimeDir::at(parent.path().join("x".repeat(200))).expect("create the directory");
        let address = dir.root_address().expect("an address through the descriptor");
        assert!(address.path_bytes().is_some_and(|path| path.starts_with(b"/proc/self/fd/")));
    }
}
