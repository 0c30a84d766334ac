//! The two cores of a run, and a probe that detects other work on them.

use std::fmt;
use std::fs;
use std::hint::spin_loop;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

use crate::subject::{Error, Result};
use crate::thread::side_by_side;

/// Batches of a probe, and round trips of a batch.
const BATCHES: u64 = 20;
const TRIPS: u64 = 100;

/// Two cores: the leader's and the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    leader: usize,
    peer: usize,
}

impl Cores {
    /// Returns the first two cores that this process may use.
    ///
    /// # Errors
    /// Fails if there is only one.
    pub(crate) fn first_two() -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        match (cores.next(), cores.next()) {
            (Some(leader), Some(peer)) => Ok(Self { leader, peer }),
            _ => Err("a comparison needs two cores".into()),
        }
    }

    /// Pins the calling thread, and the threads it starts, to the leader's core.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub(crate) fn pin_leader(self) -> Result {
        pin(self.leader)
    }

    /// Pins the calling thread, and the threads it starts, to the peer's core.
    ///
    /// # Errors
    /// Returns the error of the system call.
    pub(crate) fn pin_peer(self) -> Result {
        pin(self.peer)
    }

    /// Measures a cache line there and back.
    ///
    /// # Errors
    /// Fails if the thread for the peer's core cannot be started.
    pub(crate) fn probe(self) -> Result<Probe> {
        let (there, back) = (Line::default(), Line::default());
        let mut batches = Vec::with_capacity(BATCHES as usize);
        side_by_side(
            self,
            || {
                let started = Instant::now();
                for batch in 0..=BATCHES {
                    let started = Instant::now();
                    for trip in batch * TRIPS + 1..=(batch + 1) * TRIPS {
                        there.0.store(trip, Ordering::Release);
                        back.wait_for(trip);
                    }
                    // The first one is the warm-up.
                    if batch > 0 {
                        batches.push(started.elapsed());
                    }
                }
                Ok(started.elapsed())
            },
            || {
                for trip in 1..=(BATCHES + 1) * TRIPS {
                    there.wait_for(trip);
                    back.0.store(trip, Ordering::Release);
                }
                Ok(())
            },
        )?;
        Ok(Probe::of(batches))
    }
}

/// Round trips of a cache line, in nanoseconds.
///
/// The median shows the distance of the two cores: far apart, or halves of one. A mean far above the median shows that other
/// work had one of them for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Probe {
    /// Median over batches.
    pub(crate) typical: f64,
    pub(crate) mean: f64,
}

impl Probe {
    fn of(mut batches: Vec<Duration>) -> Self {
        let each = |time: Duration| time.as_secs_f64() * 1e9 / TRIPS as f64;
        batches.sort_unstable();
        let sum: Duration = batches.iter().sum();
        Self { typical: each(batches[batches.len() / 2]), mean: each(sum) / batches.len() as f64 }
    }
}

/// `LEADER,PEER`, the format that [`FromStr`] parses.
impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.leader, self.peer)
    }
}

impl FromStr for Cores {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (leader, peer) = text.split_once(',').ok_or("two numbers with a comma between them")?;
        let cores = Self { leader: leader.parse()?, peer: peer.parse()? };
        if cores.leader == cores.peer || cores.leader.max(cores.peer) >= CpuSet::MAX_CPU {
            return Err("two different cores are needed".into());
        }
        Ok(cores)
    }
}

fn pin(core: usize) -> Result {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).map_err(|error| format!("core {core}: {error}").into())
}

/// A number on its own pair of cache lines, because some processors fetch lines in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU64);

impl Line {
    fn wait_for(&self, number: u64) {
        let mut looks = 0_u32;
        while self.0.load(Ordering::Acquire) != number {
            looks += 1;
            // If the system has taken a core away, the other thread may be waiting for this one.
            if looks.is_multiple_of(100_000) { thread::yield_now() } else { spin_loop() }
        }
    }
}

/// Description of the machine.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("an unknown processor", |(_, name)| name.trim())
            .to_owned();
        let kernel = rustix::system::uname();
        Self {
            processor,
            // All cores of the machine, not only those that this thread is pinned to.
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: format!(
                "{} {}",
                kernel.sysname().to_string_lossy(),
                kernel.release().to_string_lossy()
            ),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, kernel } = self;
        write!(f, "{processor}, {cores} cores, {kernel}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_was_interrupted_is_typical_all_the_same() {
        let mut batches = vec![Duration::from_micros(20); 19];
        batches.push(Duration::from_millis(4));
        let Probe { typical, mean } = Probe::of(batches);
        assert!((199.9..200.1).contains(&typical), "{typical}");
        assert!((2189.9..2190.1).contains(&mean), "{mean}");
    }

    #[test]
    fn cores_are_read_as_they_are_written() {
        let cores = Cores { leader: 3, peer: 1 };
        assert_eq!(cores.to_string().parse::<Cores>().ok(), Some(cores));
        for text in ["", "1", "1,", "1,1", "0,9999999"] {
            assert!(text.parse::<Cores>().is_err(), "{text:?}");
        }
    }
}
