//! Cores to measure on, and a description of the machine.

use std::collections::BTreeSet;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

use crate::error::Result;

/// Number of a processor, as the kernel counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Core(pub(crate) usize);

/// Cores of the client and the service.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cores {
    pub(crate) client: Core,
    pub(crate) service: Core,
}

impl Cores {
    /// Returns two processors that this process may use, on different cores.
    pub(crate) fn choose() -> Result<Self> {
        let allowed = allowed()?;
        let Some(&client) = allowed.first() else {
            return Err("there is no core to run on".into());
        };
        let siblings = siblings(client);
        let apart = allowed.iter().find(|core| !siblings.contains(core));
        match apart.or_else(|| allowed.iter().find(|&&core| core != client)) {
            Some(&service) => Ok(Self { client, service }),
            None => Err("two cores are needed, and this process may use one only".into()),
        }
    }

    /// Returns one processor for both sides.
    pub(crate) fn one() -> Result<Self> {
        let core = *allowed()?.first().ok_or("there is no core to run on")?;
        Ok(Self { client: core, service: core })
    }

    /// Returns true if both sides share a processor.
    pub(crate) fn are_one(self) -> bool {
        self.client == self.service
    }

    /// Parses `A,B` from the command line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once(',').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        match numbers {
            Some((a, b)) if a != b => Ok(Self { client: Core(a), service: Core(b) }),
            _ => Err("two different numbers are expected, such as 0,1".into()),
        }
    }
}

/// Pins this thread to `core`.
pub(crate) fn pin(core: Core) -> Result {
    if core.0 >= CpuSet::MAX_CPU {
        return Err(format!("there is no core {}", core.0).into());
    }
    let mut set = CpuSet::new();
    set.set(core.0);
    sched_setaffinity(None, &set)
        .map_err(|error| format!("this process may not use core {}: {error}", core.0))?;
    Ok(())
}

fn allowed() -> Result<BTreeSet<Core>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).map(Core).collect())
}

/// Returns the processors on the same core as this one, including it.
fn siblings(core: Core) -> BTreeSet<Core> {
    let path = format!("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", core.0);
    fs::read_to_string(path).map(|list| parse_list(&list)).unwrap_or_default()
}

/// Parses a list of processors in the kernel's format: `0-3,8`.
fn parse_list(list: &str) -> BTreeSet<Core> {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().map(Core).collect()
}

/// Description of the machine that figures were measured on.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Model name of the processor.
    pub(crate) cpu: String,
    /// Number of processors.
    pub(crate) processors: usize,
    /// Kernel release.
    pub(crate) kernel: String,
    /// Frequency governor, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) governor: Option<String>,
    /// True in a virtual machine.
    pub(crate) virtual_machine: bool,
    /// Time of the measurement, in UTC.
    pub(crate) date: String,
}

impl Machine {
    pub(crate) fn describe(cores: Cores) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
        let governor =
            format!("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", cores.client.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Self {
            cpu: field("model name").unwrap_or_else(|| "unknown".into()),
            processors: parse_list(&online).len(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| "unknown".into(), |release| release.trim().to_owned()),
            governor: fs::read_to_string(governor).ok().map(|name| name.trim().to_owned()),
            virtual_machine: field("flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            date: date(now),
        }
    }
}

/// Formats seconds since 1970 as `2026-01-31T12:00:00Z`.
fn date(seconds: u64) -> String {
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hours, minutes, seconds) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year}-{month:02}-{:02}T{hours:02}:{minutes:02}:{seconds:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(date(1_798_761_599), "2026-12-31T23:59:59Z");
    }

    #[test]
    fn lists_of_the_kernel_are_parsed() {
        assert_eq!(parse_list("0-2,5\n"), [0, 1, 2, 5].map(Core).into());
        assert_eq!(parse_list(""), BTreeSet::new());
    }

    #[test]
    fn cores_are_two() {
        assert!(Cores::parse("0,1").is_ok_and(|cores| cores.service == Core(1)));
        for wrong in ["0", "1,1", "a,b", ""] {
            assert!(Cores::parse(wrong).is_err(), "{wrong}");
        }
    }
}
