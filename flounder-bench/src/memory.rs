//! What an idle binding holds: many are opened, and what they hold together is divided.
//!
//! It is measured in processes of its own, where no earlier measurement has left memory behind that can be used again.

use std::fs;
use std::ops::Sub;

use clap::Args;
use flounder::{BindError, Waitset};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::over::{Client, Service};
use crate::process::{Process, ServiceThread, find, fresh_name};
use crate::work::Between;

/// What a process holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Bytes of private memory that are there, not only reserved.
    pub(crate) heap: u64,
    /// Bytes of shared memory that are mapped.
    pub(crate) shared: u64,
    /// Descriptors.
    pub(crate) descriptors: u64,
}

impl Memory {
    /// What this process holds now.
    pub(crate) fn now() -> Result<Self> {
        Ok(Self {
            heap: anonymous(&fs::read_to_string("/proc/self/smaps_rollup")?),
            shared: shared(&fs::read_to_string("/proc/self/maps")?),
            descriptors: fs::read_dir("/proc/self/fd")?.count() as u64,
        })
    }

    fn per(self, count: u64) -> Held {
        let part = |total: u64| total as f64 / count as f64;
        Held {
            private_bytes: part(self.heap),
            shared_bytes: part(self.shared),
            descriptors: part(self.descriptors),
        }
    }
}

impl Sub for Memory {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            heap: self.heap.saturating_sub(before.heap),
            shared: self.shared.saturating_sub(before.shared),
            descriptors: self.descriptors.saturating_sub(before.descriptors),
        }
    }
}

/// From `smaps_rollup`.
fn anonymous(rollup: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// From `maps`: shared mappings of files that have no name in any file system.
fn shared(maps: &str) -> u64 {
    let of_line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let permissions = fields.next()?;
        let is_ours = permissions.ends_with('s') && line.contains("/memfd:");
        let address = |text| u64::from_str_radix(text, 16).ok();
        is_ours.then_some(address(end)? - address(start)?)
    };
    maps.lines().filter_map(of_line).sum()
}

/// What one binding holds in one process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Bytes of private memory.
    pub(crate) private_bytes: f64,
    /// Bytes of shared memory. Both ends map the same.
    pub(crate) shared_bytes: f64,
    /// Descriptors.
    pub(crate) descriptors: f64,
}

/// What one binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct PerBinding {
    /// In the client's process; in both ends' process, if that is one.
    pub(crate) client: Held,
    /// In the service's process, if that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<Held>,
}

/// What a process is to measure.
#[derive(Args)]
pub(crate) struct Order {
    #[arg(long)]
    driver: String,
    /// Bytes of buffer to ask for; 0 for the default.
    #[arg(long)]
    buffer: usize,
    /// Bindings to open, at most.
    #[arg(long)]
    count: u64,
    /// The service, in another process.
    #[arg(long)]
    name: Option<String>,
    /// The service is in another thread.
    #[arg(long)]
    threads: bool,
}

impl Order {
    /// Does it; there is nothing to measure where the driver does not reach.
    pub(crate) fn carry_out(&self) -> Result<Option<PerBinding>> {
        let driver = flounder::drivers::registry::find(&self.driver)
            .ok_or_else(|| format!("there is no driver called {}", self.driver))?
            .name();
        let ws = Waitset::current();
        let thread = if self.threads { Some(ServiceThread::start(None)?) } else { None };
        let iref = match (&self.name, &thread) {
            (Some(name), _) => find(name)?,
            (None, Some(thread)) => thread.iref(),
            (None, None) => Service::export(ws.clone())?.iref(),
        };
        let Some(client) = Client::bind(ws, iref, driver, self.buffer)? else { return Ok(None) };
        // The first of its kind may make what all others use.
        let first = client.bind_idle(self.buffer)?;
        let before = (Memory::now()?, client.memory_of_service()?);
        let mut bindings = Vec::new();
        for _ in 0..self.count {
            match client.bind_idle(self.buffer) {
                Ok(binding) => bindings.push(binding),
                // There are drivers that can have so many and no more.
                Err(BindError::Drivers(_)) if !bindings.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
        }
        let count = bindings.len() as u64;
        let after = (Memory::now()?, client.memory_of_service()?);
        drop((first, bindings));
        Ok(Some(PerBinding {
            client: (after.0 - before.0).per(count),
            service: self.name.is_some().then(|| (after.1 - before.1).per(count)),
        }))
    }
}

/// Measures it: `count` bindings of a driver with a buffer of this size (0 for the default). There is nothing to measure
/// where the driver does not reach.
pub(crate) fn measure(
    driver: &str,
    between: Between,
    buffer: usize,
    count: u64,
) -> Result<Option<PerBinding>> {
    let number = |number: u64| number.to_string();
    let mut arguments = vec!["memory".to_owned(), "--driver".into(), driver.into()];
    arguments.extend(["--buffer".into(), number(buffer as u64), "--count".into(), number(count)]);
    let mut service = None;
    match between {
        Between::Here => {}
        Between::Threads => arguments.push("--threads".into()),
        Between::Processes => {
            let name = fresh_name();
            service = Some(Process::serve(&name, None)?);
            arguments.extend(["--name".into(), name]);
        }
    }
    let answer = Process::ask(&arguments)?;
    drop(service);
    Ok(serde_json::from_str(&answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_tables_are_understood() {
        assert_eq!(anonymous("Rss:    12 kB\nAnonymous:          8 kB\n"), 8192);
        assert_eq!(anonymous(""), 0);
        let maps = "\
7f0000000000-7f0000010000 rw-s 00000000 00:01 5 /memfd:flounder (deleted)
7f0000010000-7f0000020000 r--s 00000000 00:01 6 /memfd:flounder (deleted)
7f0000020000-7f0000030000 rw-p 00000000 00:01 6 /memfd:private (deleted)
7f0000030000-7f0000040000 r--s 00000000 08:01 6 /usr/share/fonts
7f0000040000-7f0000050000 rw-p 00000000 00:00 0 
";
        assert_eq!(shared(maps), 0x20000);
    }

    #[test]
    fn a_share_is_what_was_added_divided() {
        let before = Memory { heap: 1000, shared: 10, descriptors: 9 };
        let after = Memory { heap: 3000, shared: 10, descriptors: 8 };
        let held = (after - before).per(4);
        assert_eq!((held.private_bytes, held.shared_bytes, held.descriptors), (500.0, 0.0, 0.0));
    }
}
