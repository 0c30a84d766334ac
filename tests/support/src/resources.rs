//! What a process holds, as the kernel counts it: descriptors, mappings, threads.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use super::{POLL_INTERVAL, TIMEOUT, TestProcess};

/// What one process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// What each descriptor is, without its number.
    descriptors: Vec<String>,
    /// Rights and name of each mapping that has one.
    mappings: Vec<String>,
    /// Mappings without a name: what the allocator has.
    anonymous: usize,
    threads: usize,
}

impl Resources {
    /// What a test process holds now, once what it has let go is closed.
    pub fn of(process: &mut TestProcess) -> Self {
        // It waits for that before it answers.
        process.count();
        let process = Path::new("/proc").join(process.pid().to_string());
        let links = fs::read_dir(process.join("fd")).expect("the process lives");
        let targets = links.flatten().filter_map(|link| fs::read_link(link.path()).ok());
        let kind = |target: &str| target.split(":[").next().map(str::to_owned);
        let descriptors = targets.filter_map(|target| kind(&target.to_string_lossy()));
        let maps = fs::read_to_string(process.join("maps")).expect("the process lives");
        let mapping = |line: &str| {
            let mut fields = line.split_ascii_whitespace();
            Some(format!("{} {}", fields.nth(1)?, fields.nth(3)?))
        };
        let mappings = sorted(maps.lines().filter_map(mapping));
        let threads = threads(&process);
        Self {
            descriptors: sorted(descriptors),
            anonymous: maps.lines().count() - mappings.len(),
            mappings,
            threads,
        }
    }

    /// Returns true if the descriptors and the named mappings are the same.
    pub fn has_files_of(&self, other: &Self) -> bool {
        (&self.descriptors, &self.mappings) == (&other.descriptors, &other.mappings)
    }

    /// Waits until a test process holds exactly these resources. Its allocator may keep this many further mappings.
    #[track_caller]
    pub fn settle(&self, process: &mut TestProcess, room: usize) {
        let deadline = Instant::now() + TIMEOUT / 2;
        loop {
            let now = Self::of(process);
            let anonymous = now.anonymous;
            if (Self { anonymous: self.anonymous, ..now.clone() }) == *self
                && anonymous <= self.anonymous + room
            {
                return;
            }
            assert!(Instant::now() < deadline, "{}", self.difference(&now));
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn difference(&self, now: &Self) -> String {
        let only = |these: &[String], those: &[String]| {
            let mut rest = those.to_vec();
            let is_new = |one: &&String| match rest.iter().position(|other| other == *one) {
                Some(at) => {
                    rest.swap_remove(at);
                    false
                }
                None => true,
            };
            these.iter().filter(is_new).cloned().collect::<Vec<_>>()
        };
        format!(
            "before: {self}; now: {now}; new: {:?} {:?}; gone: {:?} {:?}",
            only(&now.descriptors, &self.descriptors),
            only(&now.mappings, &self.mappings),
            only(&self.descriptors, &now.descriptors),
            only(&self.mappings, &now.mappings)
        )
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { descriptors, mappings, anonymous, threads } = self;
        let (descriptors, mappings) = (descriptors.len(), mappings.len() + anonymous);
        write!(f, "{descriptors} descriptors, {mappings} mappings, {threads} threads")
    }
}

/// Threads of a process, without those that close descriptors, which come and go.
pub fn threads(process: &Path) -> usize {
    let tasks = fs::read_dir(process.join("task")).expect("the process lives").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() != "flounder-close").count()
}

/// Bytes of a test process's memory that are resident.
pub fn resident(process: &TestProcess) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid()));
    let status = status.expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("the kernel tells") << 10
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
