//! Who is at the other end.

use core::fmt;

/// The other end of a binding, as the kernel vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its process.
    pub pid: u32,
    /// Its effective user when it joined.
    pub uid: u32,
    /// Its effective group when it joined.
    pub gid: u32,
}

impl Peer {
    /// This process.
    #[must_use]
    pub fn this_process() -> Self {
        Self {
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }

    /// Whether the other end is in this process.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of user {}", self.pid, self.uid)
    }
}
