//! The names of a host with several users, written down where only the root's user can read and write.
//!
//! Domains tell a new root which names they have. Where all are of one user the first to speak may be believed; where they
//! are not, a name must go to nobody but its owner for as long as that one lives, also while there is no root, and also if
//! it is slow to come back. So the root keeps a file beside its socket, which says for each name whose it is. It is there
//! while it has something to say.
//!
//! ```text
//!   byte 0        8        16       20       24       26                       512
//!        | process |  iref  |  pid   |  user  | length |  name, then zeros ..  |     one record; all zeros: free
//! ```
//! The process is the number of its pidfd's inode, which on Linux 6.9 and later no other process ever has. A record never
//! crosses a page and is written by one call, so a root that is killed leaves each whole or not there.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use flounder_rt::Iref;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fstat, openat, unlinkat};
use rustix::io::Errno;

use crate::root::names::{MAX_NAME, is_name};

/// The file, in the runtime directory.
const FILE: &str = "names";

/// Bytes of a record.
const RECORD: usize = 512;

/// Where the name begins.
const NAME: usize = 26;

const _: () = assert!(NAME + MAX_NAME <= RECORD && 4096 % RECORD == 0);

/// A process, told from all others before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    /// 0 if it is not visible from the root.
    pid: u32,
    pub(crate) uid: u32,
    inode: u64,
}

impl Identity {
    /// That of a pidfd.
    pub(crate) fn new(process: &OwnedFd, pid: Option<u32>, uid: u32) -> rustix::io::Result<Self> {
        Ok(Self { pid: pid.unwrap_or(0), uid, inode: fstat(process)?.st_ino.max(1) })
    }

    /// Number of the process, if it is visible from the root.
    pub(crate) fn pid(&self) -> Option<u32> {
        (self.pid != 0).then_some(self.pid)
    }
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) iref: Iref,
    pub(crate) owner: Identity,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Register {
    /// The directory, opened anew: the descriptor with the lock has no copies.
    directory: OwnedFd,
    file: Option<File>,
    /// Where each name is.
    places: HashMap<String, u64>,
    free: Vec<u64>,
    records: u64,
    /// What the last root has left.
    found: Vec<Record>,
}

impl Register {
    /// Opens that of a directory, and reads what is in it.
    pub(crate) fn open(directory: &OwnedFd) -> rustix::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(directory, ".", flags, Mode::empty())?;
        let file = match openat(&directory, FILE, open_flags(), Mode::empty()) {
            Ok(file) => Some(File::from(file)),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(errno),
        };
        let mut register = Self {
            directory,
            file,
            places: HashMap::new(),
            free: Vec::new(),
            records: 0,
            found: Vec::new(),
        };
        register.read();
        Ok(register)
    }

    /// Writes one for the next root, by a root that has kept none.
    pub(crate) fn leave(
        directory: &OwnedFd,
        mut records: impl Iterator<Item = Record>,
    ) -> io::Result<()> {
        Self::discard(directory)?;
        let mut register = Self::open(directory)?;
        records.try_for_each(|record| register.enter(&record))
    }

    /// Removes that of a directory with one user.
    pub(crate) fn discard(directory: &OwnedFd) -> rustix::io::Result<()> {
        match unlinkat(directory, FILE, AtFlags::empty()) {
            Err(errno) if errno != Errno::NOENT => Err(errno),
            _ => Ok(()),
        }
    }

    /// What the last root knew; nothing the second time.
    pub(crate) fn take_found(&mut self) -> Vec<Record> {
        core::mem::take(&mut self.found)
    }

    /// Writes down whose a name is.
    pub(crate) fn enter(&mut self, record: &Record) -> io::Result<()> {
        let known = self.places.get(&record.name).copied();
        let free = || self.free.last().copied().unwrap_or(self.records);
        let place = known.unwrap_or_else(free);
        write(self.file()?, place, &encode(record))?;
        if known.is_none() {
            match self.free.pop() {
                Some(_) => {}
                None => self.records += 1,
            }
            self.places.insert(record.name.clone(), place);
        }
        Ok(())
    }

    /// A name is nobody's any more.
    pub(crate) fn strike(&mut self, name: &str) {
        let Some(place) = self.places.remove(name) else { return };
        let struck = match &self.file {
            Some(_) if self.places.is_empty() => {
                self.file = None;
                (self.free, self.records) = (Vec::new(), 0);
                Self::remove(&self.directory)
            }
            Some(file) => {
                self.free.push(place);
                write(file, place, &[0; RECORD])
            }
            None => Ok(()),
        };
        if let Err(error) = struck {
            // The next root keeps it for a process that will say that it has no such name.
            tracing::warn!(%error, name, "a name could not be struck out of the register");
        }
    }

    fn remove(directory: &OwnedFd) -> io::Result<()> {
        Ok(unlinkat(directory, FILE, AtFlags::empty())?)
    }

    /// The file; made if it is not there.
    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let flags = open_flags() | OFlags::CREATE;
            let mode = Mode::RUSR | Mode::WUSR;
            let file = openat(&self.directory, FILE, flags, mode)?;
            // The umask may have taken from the owner, too, and the next root opens it anew.
            fchmod(&file, mode)?;
            self.file = Some(File::from(file));
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn read(&mut self) {
        let Some(file) = &self.file else { return };
        let mut bytes = [0; RECORD];
        while file.read_exact_at(&mut bytes, self.records * RECORD as u64).is_ok() {
            match decode(&bytes) {
                Some(record) if !self.places.contains_key(&record.name) => {
                    self.places.insert(record.name.clone(), self.records);
                    self.found.push(record);
                }
                _ => self.free.push(self.records),
            }
            self.records += 1;
        }
    }
}

fn open_flags() -> OFlags {
    OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn write(file: &File, place: u64, bytes: &[u8; RECORD]) -> io::Result<()> {
    file.write_all_at(bytes, place * RECORD as u64)
}

fn encode(record: &Record) -> [u8; RECORD] {
    let Record { name, iref, owner } = record;
    let length = u16::try_from(name.len()).expect("a name has at most 255 bytes");
    let mut bytes = [0; RECORD];
    bytes[..8].copy_from_slice(&owner.inode.to_ne_bytes());
    bytes[8..16].copy_from_slice(&iref.to_bits().to_ne_bytes());
    bytes[16..20].copy_from_slice(&owner.pid.to_ne_bytes());
    bytes[20..24].copy_from_slice(&owner.uid.to_ne_bytes());
    bytes[24..NAME].copy_from_slice(&length.to_ne_bytes());
    bytes[NAME..NAME + name.len()].copy_from_slice(name.as_bytes());
    bytes
}

/// The record, unless it is free or makes no sense.
fn decode(bytes: &[u8; RECORD]) -> Option<Record> {
    let number = |at: usize| u64::from_ne_bytes(*bytes[at..].first_chunk().expect("8 bytes"));
    let half = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().expect("4 bytes"));
    let length = u16::from_ne_bytes(*bytes[24..].first_chunk().expect("2 bytes"));
    let name = bytes[NAME..].get(..usize::from(length))?;
    let name = core::str::from_utf8(name).ok().filter(|name| is_name(name))?;
    let inode = Some(number(0)).filter(|inode| *inode != 0)?;
    let owner = Identity { pid: half(16), uid: half(20), inode };
    Some(Record { name: name.to_owned(), iref: Iref::from_bits(number(8))?, owner })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().expect("a directory");
        let fd = File::open(dir.path()).expect("it is there").into();
        (dir, fd)
    }

    fn record(name: &str, number: u32) -> Record {
        let iref = Iref::from_bits(u64::from(number)).expect("not zero");
        let owner = Identity { pid: number, uid: 7, inode: u64::MAX - u64::from(number) };
        Record { name: name.to_owned(), iref, owner }
    }

    fn found(fd: &OwnedFd) -> Vec<Record> {
        let mut register = Register::open(fd).expect("it can be opened");
        let mut found = register.take_found();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    #[test]
    fn what_one_root_enters_the_next_finds() {
        let (dir, fd) = directory();
        let mut register = Register::open(&fd).expect("it can be opened");
        assert_eq!(register.take_found(), []);
        let long = "n".repeat(MAX_NAME);
        let records = [record("a", 1), record("b", 2), record(&long, 3)];
        records.iter().for_each(|record| register.enter(record).expect("room"));
        register.enter(&record("b", 4)).expect("it is there");
        register.strike("a");
        register.enter(&record("c", 5)).expect("room");
        drop(register);
        assert_eq!(found(&fd), [record("b", 4), record("c", 5), record(&long, 3)]);
        let length = dir.path().join(FILE).metadata().expect("it is there").len();
        assert_eq!(length, 3 * RECORD as u64, "a record that was free is used again");
    }

    #[test]
    fn the_file_is_there_while_it_has_something_to_say() {
        let (dir, fd) = directory();
        let mut register = Register::open(&fd).expect("it can be opened");
        let is_there = || dir.path().join(FILE).exists();
        assert!(!is_there());
        for _ in 0..2 {
            register.enter(&record("a", 1)).expect("room");
            register.enter(&record("b", 1)).expect("room");
            register.strike("a");
            assert!(is_there());
            register.strike("b");
            assert!(!is_there());
        }
    }

    #[test]
    fn nonsense_is_passed_over_and_its_place_used() {
        let (dir, fd) = directory();
        let mut bytes = Vec::new();
        let mut control = encode(&record("a", 1));
        control[NAME] = 7;
        let mut long = encode(&record("a", 1));
        long[24..NAME].copy_from_slice(&600_u16.to_ne_bytes());
        let twice = encode(&record("b", 2));
        for record in [&control, &long, &[0xff; RECORD], &[0; RECORD], &twice, &twice] {
            bytes.extend_from_slice(record);
        }
        bytes.extend_from_slice(&twice[..100]);
        std::fs::write(dir.path().join(FILE), &bytes).expect("it is ours");
        assert_eq!(found(&fd), [record("b", 2)]);
        let mut register = Register::open(&fd).expect("it can be opened");
        (0..5).for_each(|i| register.enter(&record(&format!("n{i}"), 3)).expect("room"));
        assert_eq!(register.records, 6);
        assert_eq!(found(&fd).len(), 6);
    }

    #[test]
    fn a_link_is_not_followed() {
        let (dir, fd) = directory();
        std::os::unix::fs::symlink("/dev/null", dir.path().join(FILE)).expect("symlink");
        assert_eq!(Register::open(&fd).expect_err("a link"), Errno::LOOP);
        Register::discard(&fd).expect("it can go");
        Register::open(&fd).expect("nothing is there");
    }
}
