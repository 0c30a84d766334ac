//! Memory and descriptors of this process, read from the kernel's tables.

use std::fs;
use std::ops::Sub;

use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Memory and descriptors of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Resident private memory in bytes.
    pub(crate) heap: u64,
    /// Mapped shared memory in bytes.
    pub(crate) shared: u64,
    /// Number of descriptors.
    pub(crate) descriptors: u64,
}

impl Usage {
    /// Returns the present usage of this process.
    pub(crate) fn now() -> Result<Self> {
        Ok(Self {
            heap: anonymous(&fs::read_to_string("/proc/self/smaps_rollup")?),
            shared: shared(&fs::read_to_string("/proc/self/maps")?),
            descriptors: fs::read_dir("/proc/self/fd")?.count() as u64,
        })
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            heap: self.heap.saturating_sub(before.heap),
            shared: self.shared.saturating_sub(before.shared),
            descriptors: self.descriptors.saturating_sub(before.descriptors),
        }
    }
}

/// Returns private memory from `smaps_rollup`, in bytes.
fn anonymous(rollup: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Returns the size of shared mappings of unnamed files from `maps`, in bytes.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel_are_parsed() {
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
}
