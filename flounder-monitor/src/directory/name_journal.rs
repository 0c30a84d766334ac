//! The journal of names: a file that only the root's user can read and write.
//!
//! Domains register their names again with a new root, but not all at once, and a stopped one not
//! at all. A name must stay with its owner for as long as the owner lives, also while there is no
//! root, and a lookup must not be answered with "no such name". So the root keeps a file beside its
//! socket with the owner of each name. The file exists while there is at least one name.
//!
//! ```text
//!   byte 0        8        16       20       24       32       34                       512
//!        | process |  iref  |  pid   |  user  | space  | length |  name, then zeros ..  |   one record; all zeros: free
//! ```
//! `process` is the inode of the owner's pidfd, which on Linux 6.9 and later is never reused.
//! `space` is the PID namespace of the root that wrote the record: in another namespace the pid
//! has no meaning. A record never crosses a page and is written by one call, so a root that is
//! killed leaves each record whole or absent. A new root writes a file of its own and renames it
//! over the last one, so nothing that a replaced root still writes is ever read.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};

use flounder_rt::account::{Account, ProcessId};
use flounder_rt::{Escaped, Iref, log_limited};
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fstat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::directory::root_lock::NAMES;
use crate::name::{MAX_NAME, is_name};
use crate::process::{is_dead, is_unknown_uid, random_number};

/// Size of a record, in bytes.
const RECORD: usize = 512;

/// Offsets of the length of the name, and of the name.
const LENGTH: usize = 32;
const NAME: usize = 34;

const _: () = assert!(NAME + MAX_NAME <= RECORD && 4096 % RECORD == 0);

/// Identity of a process, different from that of every process before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ProcessIdentity {
    /// 0 if the process is not visible from the root.
    pid: u32,
    pub(crate) uid: u32,
    inode: u64,
}

impl ProcessIdentity {
    /// Returns the identity of the process of a pidfd.
    pub(crate) fn new(process: &OwnedFd, pid: Option<u32>, uid: u32) -> rustix::io::Result<Self> {
        Ok(Self { pid: pid.unwrap_or(0), uid, inode: fstat(process)?.st_ino.max(1) })
    }

    /// Returns the process id, if the process is visible from the root.
    pub(crate) fn pid(&self) -> Option<u32> {
        (self.pid != 0).then_some(self.pid)
    }

    /// Returns true if both are the same process. A pid of 0, from a root that could not see the
    /// process, matches every pid.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same_pid = self.pid == other.pid || self.pid == 0 || other.pid == 0;
        same_pid && (self.inode, self.uid) == (other.inode, other.uid)
    }

    /// Returns the account of the process. For this process, an unlimited one.
    pub(crate) fn account(&self) -> Account {
        if self.is_own() {
            return Account::unlimited();
        }
        let uid = Some(self.uid).filter(|uid| !is_unknown_uid(*uid));
        Account::of(ProcessId { pid: self.pid(), uid, inode: self.inode })
    }

    /// Returns a pidfd of the process; `None` if it is dead, or not visible from here.
    pub(crate) fn open(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?).ok()?)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let found = Self::new(&process, self.pid(), self.uid).ok()?;
        (found.is_same(self) && !is_dead(process.as_fd())).then_some(process)
    }

    /// Returns true for this process.
    fn is_own(&self) -> bool {
        self.pid == std::process::id()
    }
}

/// A name, its service and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) iref: Iref,
    pub(crate) owner: ProcessIdentity,
}

/// The journal of one runtime directory.
#[derive(Debug)]
pub(crate) struct NameJournal {
    /// The directory, opened again: the descriptor with the lock must have no copies.
    directory: OwnedFd,
    file: Option<File>,
    /// Record number of each name.
    slots: HashMap<String, u64>,
    free: Vec<u64>,
    records: u64,
    /// True if the last [`replace`](Self::replace) failed: the file in place may be the last
    /// root's.
    replace_failed: bool,
    /// Records of the last root.
    previous: Vec<Record>,
}

impl NameJournal {
    /// Opens the journal of a directory, and reads the records of the last root.
    pub(crate) fn open(directory: &OwnedFd) -> rustix::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(directory, ".", flags, Mode::empty())?;
        let file = match openat(&directory, NAMES, open_flags(), Mode::empty()) {
            Ok(file) => Some(File::from(file)),
            Err(Errno::NOENT) => None,
            Err(error) => {
                // The first write of this root replaces the file.
                tracing::warn!(%error, "the names of the last root cannot be read");
                None
            }
        };
        let mut journal = Self::empty(directory);
        if let Some(file) = file {
            journal.read(&file);
        }
        Ok(journal)
    }

    fn empty(directory: OwnedFd) -> Self {
        Self {
            directory,
            file: None,
            slots: HashMap::new(),
            free: Vec::new(),
            records: 0,
            replace_failed: false,
            previous: Vec::new(),
        }
    }

    /// Replaces the file by one that has exactly these records.
    pub(crate) fn replace(&mut self, records: &[Record]) -> io::Result<()> {
        let directory = self.directory.try_clone()?;
        *self = Self::empty(directory);
        if records.is_empty() {
            return Self::remove(&self.directory);
        }
        let name = format!("names.{:016x}", random_number()?);
        let written = create(&self.directory, &name).and_then(|file| {
            self.file = Some(file);
            records.iter().try_for_each(|record| self.record_owner(record))?;
            Ok(renameat(&self.directory, &name, &self.directory, NAMES)?)
        });
        if written.is_err() {
            // A file that stays is never read.
            let _ = unlinkat(&self.directory, &name, AtFlags::empty());
            let directory = self.directory.try_clone()?;
            *self = Self { replace_failed: true, ..Self::empty(directory) };
        }
        written
    }

    /// Returns true if the file is still the one that the next root will read.
    pub(crate) fn is_in_place(&self) -> bool {
        let Some(file) = &self.file else { return !self.replace_failed };
        let there = statat(&self.directory, NAMES, AtFlags::SYMLINK_NOFOLLOW);
        match (file.metadata(), there) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.st_dev, there.st_ino),
            _ => false,
        }
    }

    /// Returns the records of the last root; nothing the second time.
    pub(crate) fn take_previous(&mut self) -> Vec<Record> {
        core::mem::take(&mut self.previous)
    }

    /// Writes the record of a name, over the one that the name has.
    pub(crate) fn record_owner(&mut self, record: &Record) -> io::Result<()> {
        let joined_domain = self.slots.get(&record.name).copied();
        let free = || self.free.last().copied().unwrap_or(self.records);
        let slot = joined_domain.unwrap_or_else(free);
        write(self.file()?, slot, &encode(record))?;
        if joined_domain.is_none() {
            match self.free.pop() {
                Some(_) => {}
                None => self.records += 1,
            }
            self.slots.insert(record.name.clone(), slot);
        }
        Ok(())
    }

    /// Erases the record of a name that is free.
    pub(crate) fn erase(&mut self, name: &str) {
        let Some(slot) = self.slots.remove(name) else { return };
        let erased = match &self.file {
            Some(_) if self.slots.is_empty() => {
                self.file = None;
                (self.free, self.records) = (Vec::new(), 0);
                Self::remove(&self.directory)
            }
            Some(file) => {
                self.free.push(slot);
                write(file, slot, &[0; RECORD])
            }
            None => Ok(()),
        };
        if let Err(error) = erased {
            // The next root keeps the name until its former owner rejoins without it.
            log_limited!(warn, %error, name = %Escaped(name), "the record of a name could not be erased");
        }
    }

    fn remove(directory: &OwnedFd) -> io::Result<()> {
        match unlinkat(directory, NAMES, AtFlags::empty()) {
            Err(errno) if errno != Errno::NOENT => Err(errno.into()),
            _ => Ok(()),
        }
    }

    /// Returns the file, and creates it if it is missing.
    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            self.file = Some(create(&self.directory, NAMES)?);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn read(&mut self, file: &File) {
        let mut names = HashSet::new();
        let new = records(file).filter(|(_, record)| names.insert(record.name.clone()));
        self.previous.extend(new.map(|(_, record)| record));
    }
}

/// Removes the journal of a directory if only this process and dead ones have names in it. Otherwise erases the records of
/// this process, so that the last of the others finds none but its own. For the end of the process: the caller has the lock,
/// and there is no root.
pub(crate) fn leave(directory: BorrowedFd<'_>) {
    let Ok(file) = openat(directory, NAMES, open_flags(), Mode::empty()) else { return };
    let file = File::from(file);
    let (mut own, mut others_live) = (Vec::new(), HashMap::new());
    for (slot, Record { owner, .. }) in records(&file) {
        if owner.is_own() {
            own.push(slot);
        } else if let Entry::Vacant(entry) = others_live.entry(owner) {
            // The life of a process that is not visible from here is unknown.
            entry.insert(owner.pid().is_none() || owner.open().is_some());
        }
    }
    // A root that replaced a stopped one needs no lock, and may have put a file of its own in place.
    let there = statat(directory, NAMES, AtFlags::SYMLINK_NOFOLLOW);
    let in_place = match (file.metadata(), there) {
        (Ok(read), Ok(there)) => (read.dev(), read.ino()) == (there.st_dev, there.st_ino),
        _ => false,
    };
    if others_live.into_values().any(|lives| lives) {
        // Without room on the disk a record may stay. The next root removes it.
        own.into_iter().for_each(|slot| drop(write(&file, slot, &[0; RECORD])));
    } else if in_place {
        let _ = unlinkat(directory, NAMES, AtFlags::empty());
    }
}

/// Returns the records of a file, each with its number.
fn records(file: &File) -> impl Iterator<Item = (u64, Record)> {
    let read = |slot| {
        let mut bytes = [0; RECORD];
        file.read_exact_at(&mut bytes, slot * RECORD as u64).is_ok().then_some((slot, bytes))
    };
    (0..).map_while(read).filter_map(|(slot, bytes)| Some((slot, decode(&bytes)?)))
}

/// Creates a file. Fails if it exists: then it is another root's.
fn create(directory: &OwnedFd, name: impl rustix::path::Arg) -> io::Result<File> {
    let flags = open_flags() | OFlags::CREATE | OFlags::EXCL;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = openat(directory, name, flags, mode)?;
    // The umask may have removed permissions of the owner, and the next root must be able to open
    // the file.
    fchmod(&file, mode)?;
    Ok(File::from(file))
}

fn open_flags() -> OFlags {
    OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn write(file: &File, slot: u64, bytes: &[u8; RECORD]) -> io::Result<()> {
    file.write_all_at(bytes, slot * RECORD as u64)
}

fn encode(record: &Record) -> [u8; RECORD] {
    let Record { name, iref, owner } = record;
    let length = u16::try_from(name.len()).expect("a name has at most 255 bytes");
    let mut bytes = [0; RECORD];
    bytes[..8].copy_from_slice(&owner.inode.to_ne_bytes());
    bytes[8..16].copy_from_slice(&iref.to_bits().to_ne_bytes());
    bytes[16..20].copy_from_slice(&owner.pid.to_ne_bytes());
    bytes[20..24].copy_from_slice(&owner.uid.to_ne_bytes());
    bytes[24..LENGTH].copy_from_slice(&pid_namespace().to_ne_bytes());
    bytes[LENGTH..NAME].copy_from_slice(&length.to_ne_bytes());
    bytes[NAME..NAME + name.len()].copy_from_slice(name.as_bytes());
    bytes
}

/// Returns the record, or `None` if it is free or malformed.
fn decode(bytes: &[u8; RECORD]) -> Option<Record> {
    let number = |at: usize| u64::from_ne_bytes(*bytes[at..].first_chunk().expect("8 bytes"));
    let half = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().expect("4 bytes"));
    let length = u16::from_ne_bytes(*bytes[LENGTH..].first_chunk().expect("2 bytes"));
    let name = bytes[NAME..].get(..usize::from(length))?;
    let name = core::str::from_utf8(name).ok().filter(|name| is_name(name))?;
    let inode = Some(number(0)).filter(|inode| *inode != 0)?;
    let pid = if number(24) == pid_namespace() { half(16) } else { 0 };
    let owner = ProcessIdentity { pid, uid: half(20), inode };
    Some(Record { name: name.to_owned(), iref: Iref::from_bits(number(8))?, owner })
}

/// Returns the inode of the PID namespace of this process; 0 if it is unknown.
fn pid_namespace() -> u64 {
    static INODE: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *INODE.get_or_init(|| rustix::fs::stat("/proc/self/ns/pid").map_or(0, |status| status.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "names";

    fn directory() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().expect("create a temporary directory");
        let fd = File::open(dir.path()).expect("the file exists").into();
        (dir, fd)
    }

    fn record(name: &str, number: u32) -> Record {
        let iref = Iref::from_bits(u64::from(number)).expect("not zero");
        let owner = ProcessIdentity { pid: number, uid: 7, inode: u64::MAX - u64::from(number) };
        Record { name: name.to_owned(), iref, owner }
    }

    fn previous(fd: &OwnedFd) -> Vec<Record> {
        let mut journal = NameJournal::open(fd).expect("open the journal");
        let mut previous = journal.take_previous();
        previous.sort_by(|a, b| a.name.cmp(&b.name));
        previous
    }

    #[test]
    fn next_root_finds_records_of_the_last() {
        let (dir, fd) = directory();
        let mut journal = NameJournal::open(&fd).expect("open the journal");
        assert_eq!(journal.take_previous(), []);
        let long = "n".repeat(MAX_NAME);
        let records = [record("a", 1), record("b", 2), record(&long, 3)];
        records.iter().for_each(|record| journal.record_owner(record).expect("below the limit"));
        journal.record_owner(&record("b", 4)).expect("the file exists");
        journal.erase("a");
        journal.record_owner(&record("c", 5)).expect("below the limit");
        drop(journal);
        assert_eq!(previous(&fd), [record("b", 4), record("c", 5), record(&long, 3)]);
        let length = dir.path().join(FILE).metadata().expect("the file exists").len();
        assert_eq!(length, 3 * RECORD as u64, "a record that was free is used again");
    }

    #[test]
    fn file_exists_while_there_are_names() {
        let (dir, fd) = directory();
        let mut journal = NameJournal::open(&fd).expect("open the journal");
        let is_there = || dir.path().join(FILE).exists();
        assert!(!is_there());
        for _ in 0..2 {
            journal.record_owner(&record("a", 1)).expect("below the limit");
            journal.record_owner(&record("b", 1)).expect("below the limit");
            journal.erase("a");
            assert!(is_there());
            journal.erase("b");
            assert!(!is_there());
        }
    }

    #[test]
    fn malformed_records_are_skipped() {
        let (dir, fd) = directory();
        let mut bytes = Vec::new();
        let mut control = encode(&record("a", 1));
        control[NAME] = 7;
        let mut long = encode(&record("a", 1));
        long[LENGTH..NAME].copy_from_slice(&600_u16.to_ne_bytes());
        let twice = encode(&record("b", 2));
        for record in [&control, &long, &[0xff; RECORD], &[0; RECORD], &twice, &twice] {
            bytes.extend_from_slice(record);
        }
        bytes.extend_from_slice(&twice[..100]);
        std::fs::write(dir.path().join(FILE), &bytes).expect("own the directory");
        assert_eq!(previous(&fd), [record("b", 2)]);
        let mut journal = NameJournal::open(&fd).expect("open the journal");
        let records = journal.take_previous();
        journal.replace(&records).expect("below the limit");
        (0..5).for_each(|i| {
            journal.record_owner(&record(&format!("n{i}"), 3)).expect("below the limit")
        });
        assert_eq!(journal.records, 6);
        assert_eq!(previous(&fd).len(), 6);
    }

    #[test]
    fn symbolic_link_is_not_followed() {
        let (dir, fd) = directory();
        std::os::unix::fs::symlink("/dev/null", dir.path().join(FILE)).expect("symlink");
        let mut journal = NameJournal::open(&fd).expect("open the journal");
        assert_eq!(journal.take_previous(), []);
        journal.record_owner(&record("a", 1)).expect_err("the link is in the way");
        journal.replace(&[record("a", 1)]).expect("replace the link");
        assert_eq!(previous(&fd), [record("a", 1)]);
    }

    #[test]
    fn writes_of_a_replaced_root_are_not_read() {
        let (_dir, fd) = directory();
        let mut replaced = NameJournal::open(&fd).expect("open the journal");
        replaced.record_owner(&record("a", 1)).expect("below the limit");
        let mut next = NameJournal::open(&fd).expect("open the journal");
        let records = next.take_previous();
        next.replace(&records).expect("below the limit");
        assert!(next.is_in_place() && !replaced.is_in_place());
        replaced.record_owner(&record("b", 1)).expect("below the limit");
        assert_eq!(previous(&fd), [record("a", 1)]);
        // The replaced root renames its file over the new one.
        replaced.replace(&[record("b", 1)]).expect("below the limit");
        assert!(!next.is_in_place());
    }

    #[test]
    fn pid_of_another_namespace_is_unknown() {
        let mut bytes = encode(&record("a", 1));
        bytes[24..LENGTH].copy_from_slice(&(pid_namespace() + 1).to_ne_bytes());
        let owner = decode(&bytes).expect("a record").owner;
        assert_eq!(owner.pid, 0);
        assert!(owner.is_same(&record("a", 1).owner));
        assert!(!owner.is_same(&record("a", 2).owner), "its inode is another");
    }
}
